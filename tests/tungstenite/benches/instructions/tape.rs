//! A stream that lies in memory.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use tungstenite::handshake::derive_accept_key;
use websocket_sync::{Interest, Transport};

/// Gives the same bytes again and again, and swallows what is written. An opening handshake is answered.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    /// What is given once, before the rest.
    head: Vec<u8>,
    bytes: Vec<u8>,
    position: usize,
}

impl Tape {
    pub(crate) fn new(message: &[u8]) -> Self {
        let times = (256 * 1024 / message.len()).max(1);
        Self { bytes: message.repeat(times), ..Self::default() }
    }
}

impl Read for Tape {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.head.is_empty() {
            let length = self.head.len().min(buf.len());
            buf[..length].copy_from_slice(&self.head[..length]);
            self.head.drain(..length);
            return Ok(length);
        }
        let rest = &self.bytes[self.position..];
        let length = rest.len().min(buf.len());
        buf[..length].copy_from_slice(&rest[..length]);
        self.position = (self.position + length) % self.bytes.len();
        Ok(length)
    }
}

impl Write for Tape {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.starts_with(b"GET") {
            let request = String::from_utf8_lossy(buf);
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap_or_default();
            let accept = derive_accept_key(key.as_bytes());
            self.head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            )
            .into_bytes();
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same for a client that reads and writes at once.
#[derive(Debug)]
pub(crate) struct SharedTape(Mutex<Tape>);

impl SharedTape {
    pub(crate) const fn new(tape: Tape) -> Self {
        Self(Mutex::new(tape))
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap()
    }
}

impl Transport for SharedTape {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.tape().read(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.tape().write(buf)
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
