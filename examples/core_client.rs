//! The client of wsproto's guide: the protocol core alone, over `std::net`. It opens a WebSocket, sends a message and a
//! ping, closes, and prints every event.
//!
//! `cargo run --example core_client` talks to a server of its own; with an address such as `127.0.0.1:9001` behind
//! `--`, to another echo server, such as `core_server`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use rand::TryRng;
use rand::rngs::SysRng;
use websocket_sync::protocol::{
    AcceptConnection, CloseCode, CloseConnection, Connection, ConnectionState, Event, Ping, Request, TextMessage,
};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let address = match std::env::args().nth(1) {
        Some(address) => address,
        None => start_server()?,
    };
    let mut peer = Peer { stream: TcpStream::connect(&address)?, connection: Connection::client(Box::new(entropy)) };

    peer.send(Request::new(address, "/"))?;
    match peer.next_event()? {
        Event::AcceptConnection(_) => println!("open"),
        other => return Err(format!("no WebSocket: {other:?}").into()),
    }

    peer.send(TextMessage::new("Hello"))?;
    println!("{:?}", peer.next_event()?);

    peer.send(Ping::new("are you there?"))?;
    println!("{:?}", peer.next_event()?);

    peer.send(CloseConnection::new(CloseCode::NORMAL, "bye"))?;
    println!("{:?}", peer.next_event()?);
    assert_eq!(peer.connection.state(), ConnectionState::Closed);
    Ok(())
}

/// A connection and the stream that carries its bytes.
struct Peer {
    stream: TcpStream,
    connection: Connection,
}

impl Peer {
    fn send(&mut self, event: impl Into<Event>) -> Result<()> {
        let bytes = self.connection.send(event)?;
        Ok(self.stream.write_all(&bytes)?)
    }

    /// The next event, for which as much is received as it takes.
    fn next_event(&mut self) -> Result<Event> {
        let mut received = [0; 4096];
        loop {
            if let Some(event) = self.connection.next_event() {
                return Ok(event);
            }
            match self.stream.read(&mut received)? {
                0 => self.connection.receive_data(None)?,
                length => self.connection.receive_data(Some(&received[..length]))?,
            }
        }
    }
}

/// Keys that nobody can foresee (RFC 6455, section 10.3).
fn entropy(bytes: &mut [u8]) {
    SysRng.try_fill_bytes(bytes).expect("the operating system has random bytes");
}

/// An echo server for one connection, on a thread; returns its address.
fn start_server() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        if let Err(error) = serve(&listener) {
            eprintln!("server: {error}");
        }
    });
    Ok(address)
}

fn serve(listener: &TcpListener) -> Result<()> {
    let (stream, _) = listener.accept()?;
    let mut client = Peer { stream, connection: Connection::server() };
    while client.connection.state() != ConnectionState::Closed {
        match client.next_event()? {
            Event::Request(_) => client.send(AcceptConnection::default())?,
            Event::Ping(ping) => client.send(ping.response())?,
            Event::CloseConnection(close) => client.send(close.response())?,
            message => client.send(message)?,
        }
    }
    Ok(())
}
