//! Shutting reading down without losing what has arrived: only Linux keeps that for later reads. BSD and macOS discard it at
//! SHUT_RD, and Windows refuses to give it out after SD_RECEIVE.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How much is kept, in bytes: as much as is looked through for the peer's Close after this side has ended a connection.
const MAX_KEPT: usize = 1 << 20;

/// What had arrived at a socket when its reading was shut down.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// Locked by whoever reads from the socket, so that bytes stay in their order. Nobody waits with it, unless the owner of a clone makes
    /// the socket block, on Windows, which the docs forbid.
    bytes: Mutex<io::Cursor<Vec<u8>>>,
    is_ended: AtomicBool,
}

impl Drained {
    /// Whether reading was shut down.
    pub(super) fn is_ended(&self) -> bool {
        self.is_ended.load(Ordering::Acquire)
    }

    /// Reads from the socket, and after the shutdown what had arrived before it.
    ///
    /// # Errors
    ///
    /// Those of `read`, which must not wait.
    pub(super) fn read(&self, buf: &mut [u8], read: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let mut bytes = self.lock();
        if self.is_ended() { bytes.read(buf) } else { read(buf) }
    }

    /// Takes what has arrived, and shuts reading down.
    pub(super) fn end(
        &self,
        mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
        shutdown: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = self.lock();
        let mut chunk = [0; 4096];
        while !self.is_ended() && bytes.get_ref().len() < MAX_KEPT {
            match read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(n) => bytes.get_mut().extend_from_slice(&chunk[..n]),
            }
        }
        self.is_ended.store(true, Ordering::Release);
        shutdown()
    }

    fn lock(&self) -> MutexGuard<'_, io::Cursor<Vec<u8>>> {
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_arrived_is_read_after_the_shutdown_up_to_the_bound_and_then_comes_the_end() {
        let drained = Drained::default();
        let mut buf = [0; 4];
        assert_eq!(drained.read(&mut buf, |buf| (&b"ab"[..]).read(buf)).unwrap(), 2);
        let mut arrived = io::repeat(b'c').take(3 * MAX_KEPT as u64);
        drained.end(|buf| arrived.read(buf), || Ok(())).unwrap();
        assert!(drained.is_ended());
        let unread = |_: &mut [u8]| -> io::Result<usize> { panic!("the socket is not read any more") };
        drained.end(unread, || Ok(())).unwrap();
        let mut total = 0;
        loop {
            match drained.read(&mut buf, unread).unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, MAX_KEPT);
    }

    #[test]
    fn an_error_ends_what_has_arrived_but_eintr() {
        let drained = Drained::default();
        let mut reads = [Ok(2), Err(io::ErrorKind::Interrupted), Ok(1), Err(io::ErrorKind::WouldBlock)].into_iter();
        drained.end(|_| Ok(reads.next().unwrap()?), || Err(io::ErrorKind::NotConnected.into())).unwrap_err();
        assert_eq!(drained.read(&mut [0; 9], |_| panic!()).unwrap(), 3);
    }
}
