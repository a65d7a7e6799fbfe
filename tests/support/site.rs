//! A server that answers one request on each connection, by what the request says.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::{Peer, answer_to};

/// The server, and the heads that it was sent.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
}

impl Site {
    pub(crate) fn new(answer: impl FnMut(&str) -> String + Send + 'static) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), answer)
    }

    /// The same on a port that is known already. No connection is ended by this side.
    pub(crate) fn on(listener: TcpListener, mut answer: impl FnMut(&str) -> String + Send + 'static) -> Self {
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let server = thread::spawn({
            let (heads, is_over) = (Arc::clone(&heads), Arc::clone(&is_over));
            move || {
                let mut kept = Vec::new();
                for stream in listener.incoming() {
                    if is_over.load(Ordering::Acquire) {
                        return;
                    }
                    let mut peer = Peer::new(stream.unwrap());
                    let head = peer.head();
                    heads.lock().unwrap().push(head.clone());
                    // Who has asked may not want to hear it any more.
                    let _ = peer.try_say(answer(&head));
                    kept.push(peer);
                }
            }
        });
        Self { address, heads, is_over, server: Some(server) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// The heads so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        let ended = self.server.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the server has panicked");
    }
}

/// An answer without a body.
pub(crate) fn status(line: &str, fields: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{fields}Content-Length: 0\r\n\r\n")
}

/// A redirect.
pub(crate) fn found(location: &str) -> String {
    status("302 Found", &format!("Location: {location}\r\n"))
}

/// What opens the connection.
pub(crate) fn open(head: &str) -> String {
    answer_to(head)
}

/// The target of a request.
pub(crate) fn path(head: &str) -> &str {
    head.split(' ').nth(1).unwrap()
}

/// The values of a field.
pub(crate) fn fields<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    fields.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}
