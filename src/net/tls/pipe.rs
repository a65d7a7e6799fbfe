//! What a TLS library takes for its socket: two buffers in memory.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::Window;

/// Ciphertext that has come in and not been decrypted, and ciphertext to go out.
///
/// It never waits: what has not come in yet is [`WouldBlock`](io::ErrorKind::WouldBlock).
#[derive(Debug, Default)]
pub(super) struct Pipe {
    pub(super) incoming: Window,
    /// No more will come in.
    pub(super) ended: bool,
    pub(super) outgoing: Outgoing,
}

/// Ciphertext to go out. Shared, since a TLS library that gives up drops its socket, and what that socket was told last
/// is the alert that tells the peer why.
#[derive(Clone, Debug, Default)]
pub(super) struct Outgoing(Arc<Mutex<Vec<u8>>>);

impl Outgoing {
    /// Contended by nobody: it is used under the lock of the TLS layer only.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    /// Certificates are larger than most of what follows: their buffers are not kept for it.
    pub(super) fn settle(&mut self) {
        self.incoming.release();
        *self.outgoing.lock() = Vec::new();
    }

    /// Gives back the memory that holds nothing.
    pub(super) fn release(&mut self) {
        self.incoming.release();
        let mut outgoing = self.outgoing.lock();
        if outgoing.is_empty() {
            *outgoing = Vec::new();
        }
    }
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let unread = self.incoming.unread();
        if unread.is_empty() && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let n = unread.len().min(buf.len());
        buf[..n].copy_from_slice(&unread[..n]);
        self.incoming.consume(n);
        Ok(n)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.outgoing.lock().extend_from_slice(buf);
        Ok(buf.len())
    }

    /// Called for every record by some libraries.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_waits_and_ends_only_when_told_to() {
        let mut pipe = Pipe::default();
        let mut buf = [0; 4];
        assert_eq!(pipe.read(&mut buf).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        pipe.incoming.space()[..6].copy_from_slice(b"abcdef");
        pipe.incoming.received(6);
        pipe.ended = true;
        assert_eq!((pipe.read(&mut buf).unwrap(), &buf[..]), (4, &b"abcd"[..]));
        assert_eq!((pipe.read(&mut buf).unwrap(), &buf[..2]), (2, &b"ef"[..]));
        assert_eq!(pipe.read(&mut buf).unwrap(), 0);
    }

    #[test]
    fn what_was_written_outlives_it() {
        let mut pipe = Pipe::default();
        let outgoing = pipe.outgoing.clone();
        pipe.write_all(b"alert").unwrap();
        drop(pipe);
        assert_eq!(*outgoing.lock(), b"alert");
    }
}
