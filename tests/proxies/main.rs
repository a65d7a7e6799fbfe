//! Through proxies that follow a script, over loopback: what they hear, what the server hears, and what comes of their answers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authorization;
#[macro_use]
#[path = "../support/backends.rs"]
mod backends;
mod connect;
mod deadlines;
mod environment;
mod injection;
mod socks;
#[path = "../support/mod.rs"]
mod support;
mod tls;
#[path = "../support/tls_peer.rs"]
mod tls_peer;

use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use support::{Peer, frame};
use websocket_sync::{
    ConnectOptions, Error, Message, Opcode, Proxy, ProxyError, Result, Retry, SocketOptions, TlsBackend, TlsOptions,
    WebSocket,
};

const ESTABLISHED: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Options that know `proxy.example`, which is this machine, and no other name: whoever asks for another is told.
fn options() -> ConnectOptions {
    ConnectOptions::new().resolver(|host, port| {
        assert_eq!(host, "proxy.example", "looked up");
        Ok(vec![([127, 0, 0, 1], port).into()])
    })
}

/// A proxy on a thread of its own, which gets connections as its script takes them. Says its port.
fn proxy<T: Send + 'static>(script: impl FnOnce(&TcpListener) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (port, thread::spawn(move || script(&listener)))
}

/// The next connection.
fn next(listener: &TcpListener) -> Peer {
    Peer::new(socket(listener))
}

fn socket(listener: &TcpListener) -> TcpStream {
    listener.accept().unwrap().0
}

/// A server that says hello, and hears it said back.
fn serve_hello(peer: &mut Peer) -> String {
    let head = peer.head();
    peer.say(support::answer_to(&head));
    peer.say(frame(0x81, "hello"));
    assert_eq!(peer.frame(), (0x81, b"hello".to_vec()));
    head
}

/// A client that says back what it hears.
#[track_caller]
fn say_back(ws: &mut WebSocket) {
    let heard = ws.recv().unwrap();
    assert_eq!(heard, Message::from("hello"));
    ws.send(heard.as_bytes(), Opcode::Text).unwrap();
}

/// What a proxy did wrong.
#[track_caller]
fn wrong<T: std::fmt::Debug>(result: Result<T>) -> ProxyError {
    match result {
        Err(Error::Proxy(problem)) => *problem,
        other => panic!("{other:?}"),
    }
}

/// The proxy at this port, with this scheme.
fn at(scheme: &str, port: u16) -> Proxy {
    Proxy::new(format!("{scheme}://proxy.example:{port}"))
}
