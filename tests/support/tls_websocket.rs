//! The server's end of a WebSocket over TLS. It reads and writes as it is told, so it does not read while it writes.
//!
//! Whoever uses it has the modules `support` and `tls_peer` at the root of the crate.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};

use crate::support::{Heard, answer_to, frame, parse};
use crate::tls_peer::Peer;

pub(crate) struct TlsWebSocket<S: Read + Write> {
    tls: Peer<S>,
    unread: Vec<u8>,
}

impl<S: Read + Write> TlsWebSocket<S> {
    /// Answers the opening handshake. A client that is not satisfied with the certificate does not make one.
    pub(crate) fn accept(tls: Peer<S>) -> io::Result<Self> {
        let mut ws = Self { tls, unread: Vec::new() };
        let end = loop {
            if let Some(start) = ws.unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break start + 4;
            }
            ws.read()?;
        };
        let head: Vec<u8> = ws.unread.drain(..end).collect();
        ws.say(answer_to(&String::from_utf8(head).unwrap()))?;
        Ok(ws)
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.say(frame(0x81, text)).unwrap();
    }

    pub(crate) fn send_binary(&mut self, bytes: &[u8]) {
        self.say(frame(0x82, bytes)).unwrap();
    }

    /// The next message, which has to be one frame. `None` when the connection has ended, by a Close, which is answered, or
    /// without one.
    pub(crate) fn message(&mut self) -> Option<Heard> {
        let (first, payload) = self.frame()?;
        if first == 0x88 {
            // The client may not wait for it.
            let _ = self.say(frame(0x88, payload));
            return None;
        }
        assert!(matches!(first, 0x81 | 0x82), "{first:02x} is no message in one frame");
        Some((first, payload))
    }

    /// Sends back what it gets until the connection ends.
    pub(crate) fn echo(mut self) {
        while let Some((first, payload)) = self.message() {
            self.say(frame(first, payload)).unwrap();
        }
    }

    /// Sends a Close, and expects the client's answer and nothing before it.
    pub(crate) fn close(mut self) {
        self.say(frame(0x88, [0x03, 0xe8])).unwrap();
        assert_eq!(self.frame(), Some((0x88, vec![0x03, 0xe8])));
    }

    /// The TLS session, to write to it what is no WebSocket.
    pub(crate) const fn tls(&mut self) -> &mut Peer<S> {
        &mut self.tls
    }

    fn frame(&mut self) -> Option<Heard> {
        loop {
            if let Some((frame, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Some(frame);
            }
            self.read().ok()?;
        }
    }

    fn read(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 * 1024];
        match self.tls.read(&mut piece)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => {
                self.unread.extend_from_slice(&piece[..length]);
                Ok(())
            }
        }
    }

    fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.tls.write_all(bytes.as_ref())?;
        self.tls.flush()
    }
}
