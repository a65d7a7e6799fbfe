//! The server's end of a WebSocket over TLS: a peer of the test kit over a TLS server of the test's own. It reads and writes as it is
//! told, so it does not read while it writes.
//!
//! Whoever uses it has the modules `support` and `tls_peer` at the root of the crate.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use websocket_sync::protocol::Role;
use websocket_sync::test_kit::{self, PeerError};

use crate::support::{Heard, answer_to, frame, parse};
use crate::tls_peer::Peer;

pub(crate) struct TlsWebSocket {
    peer: test_kit::Peer,
    tls: Session,
}

impl TlsWebSocket {
    /// Answers the opening handshake. A client that is not satisfied with the certificate does not make one.
    pub(crate) fn accept(tls: Peer<TcpStream>) -> Result<Self, PeerError> {
        let socket = tls.sock.try_clone()?;
        let tls = Session(Arc::new(Mutex::new(tls)));
        let mut peer = test_kit::Peer::layered(tls.clone(), socket, Role::Server)?;
        peer.set_timeout(Duration::from_secs(60));
        let head = peer.expect_head()?;
        peer.send_bytes(answer_to(&String::from_utf8(head).unwrap()))?;
        Ok(Self { peer, tls })
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.peer.send_bytes(frame(0x81, text)).unwrap();
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.peer.send_bytes(frame(0x82, bytes)).unwrap();
    }

    /// The next message, which has to be one frame. `None` when the connection has ended, by a Close, which is answered, or
    /// without one.
    pub(crate) fn message(&mut self) -> Option<Heard> {
        let (first, payload) = self.frame()?;
        if first == 0x88 {
            // The client may not wait for it.
            let _ = self.peer.send_bytes(frame(0x88, payload));
            return None;
        }
        assert!(matches!(first, 0x81 | 0x82), "{first:02x} is no message in one frame");
        Some((first, payload))
    }

    /// Sends back what it gets until the connection ends.
    pub(crate) fn echo(mut self) {
        while let Some((first, payload)) = self.message() {
            self.peer.send_bytes(frame(first, payload)).unwrap();
        }
    }

    /// Sends a Close, and expects the client's answer and nothing before it.
    pub(crate) fn close(mut self) {
        self.peer.send_bytes(frame(0x88, [0x03, 0xe8])).unwrap();
        assert_eq!(self.frame(), Some((0x88, vec![0x03, 0xe8])));
    }

    /// The TLS session, to write to it what is no WebSocket.
    pub(crate) fn tls(&self) -> MutexGuard<'_, Peer<TcpStream>> {
        self.tls.0.lock().unwrap()
    }

    fn frame(&mut self) -> Option<Heard> {
        self.peer.expect_with("a frame", |bytes| Ok(parse(bytes))).ok()
    }
}

/// A session that the peer and the test have in common.
#[derive(Clone)]
struct Session(Arc<Mutex<Peer<TcpStream>>>);

impl Read for Session {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().read(buf)
    }
}

impl Write for Session {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.lock().unwrap().flush()
    }
}
