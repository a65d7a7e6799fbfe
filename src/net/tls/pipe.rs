//! What a TLS library takes for its socket: two buffers in memory.

use std::io::{self, Read, Write};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::{Retention, Window};

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

/// Ciphertext to go out.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// During the handshake: a TLS library that gives up drops its socket, and what that socket was told last is the alert that
    /// tells the peer why.
    Shared(SharedBytes),
    /// Afterwards, so that a send has no lock to take for it.
    Own(Vec<u8>),
}

/// Bytes that outlive the [`Pipe`].
#[derive(Clone, Debug, Default)]
pub(super) struct SharedBytes(Arc<Mutex<Vec<u8>>>);

/// Access to the bytes of [`Outgoing`].
pub(super) enum OutgoingBytes<'a> {
    Shared(MutexGuard<'a, Vec<u8>>),
    Own(&'a mut Vec<u8>),
}

impl Outgoing {
    #[inline]
    pub(super) fn bytes(&mut self) -> OutgoingBytes<'_> {
        match self {
            Self::Shared(shared) => OutgoingBytes::Shared(shared.lock()),
            Self::Own(bytes) => OutgoingBytes::Own(bytes),
        }
    }
}

impl Default for Outgoing {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl SharedBytes {
    /// Contended by nobody: one thread makes the handshake.
    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Deref for OutgoingBytes<'_> {
    type Target = Vec<u8>;

    #[inline]
    fn deref(&self) -> &Vec<u8> {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

impl DerefMut for OutgoingBytes<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

impl Pipe {
    /// For a handshake, and what goes out.
    pub(super) fn for_handshake() -> (Self, SharedBytes) {
        let shared = SharedBytes::default();
        (Self { outgoing: Outgoing::Shared(shared.clone()), ..Self::default() }, shared)
    }

    /// The handshake is over, and all that it had to say was sent. Certificates are larger than most of what follows: their buffers are
    /// not kept for it.
    pub(super) fn end_handshake(&mut self) {
        self.incoming.release();
        self.outgoing = Outgoing::Own(Vec::new());
    }

    /// Gives back the memory that holds nothing.
    pub(super) fn release(&mut self) {
        self.incoming.release();
        let mut outgoing = self.outgoing.bytes();
        if outgoing.is_empty() {
            *outgoing = Vec::new();
        }
    }

    /// Whether [`release`](Self::release) would give back more memory than an idle connection needs.
    pub(super) fn can_release(&mut self) -> bool {
        let outgoing = self.outgoing.bytes();
        self.incoming.can_release() || (outgoing.is_empty() && outgoing.capacity() > Retention::SMALLEST)
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
        self.outgoing.bytes().extend_from_slice(buf);
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
        let (mut pipe, outgoing) = Pipe::for_handshake();
        pipe.write_all(b"alert").unwrap();
        drop(pipe);
        assert_eq!(*outgoing.lock(), b"alert");
    }
}
