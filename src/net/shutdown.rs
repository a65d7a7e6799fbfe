//! Shutting reading down without losing what has arrived: only Linux keeps that for later reads. BSD and macOS discard it at
//! SHUT_RD, and Windows refuses to give it out after SD_RECEIVE.

use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::transport::Interest;

/// How much is kept, in bytes: as much as is looked through for the peer's Close after this side has ended a connection.
const MAX_KEPT: usize = 1 << 20;

/// Which directions of a socket were shut down, and what had arrived when reading was.
#[derive(Debug, Default)]
pub(super) struct ShutdownState {
    /// Locked by whoever reads from the socket, so that bytes stay in their order. Nobody waits with it, unless the owner of a clone makes
    /// the socket block, on Windows, which the docs forbid.
    arrived: Mutex<io::Cursor<Vec<u8>>>,
    is_read_ended: AtomicBool,
    is_write_ended: AtomicBool,
}

impl ShutdownState {
    /// Whether a wait is over, since what is waited for was shut down.
    pub(super) fn has_ended(&self, interest: Interest) -> bool {
        match interest {
            Interest::Read => self.is_read_ended.load(Ordering::Acquire),
            Interest::Write => self.is_write_ended.load(Ordering::Acquire),
        }
    }

    /// Reads from the socket, and after the shutdown what had arrived before it.
    ///
    /// # Errors
    ///
    /// Those of `receive`, which must not wait.
    pub(super) fn read(
        &self,
        buf: &mut [u8],
        receive: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut arrived = self.lock();
        if self.has_ended(Interest::Read) { arrived.read(buf) } else { receive(buf) }
    }

    /// Calls `shutdown`, for reading after all that has arrived was taken with `receive`.
    ///
    /// # Errors
    ///
    /// Those of `shutdown`.
    pub(super) fn shut_down(
        &self,
        how: Shutdown,
        mut receive: impl FnMut(&mut [u8]) -> io::Result<usize>,
        shutdown: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        if how != Shutdown::Read {
            self.is_write_ended.store(true, Ordering::Release);
        }
        if how == Shutdown::Write {
            return shutdown();
        }
        let mut arrived = self.lock();
        let mut chunk = [0; 4096];
        while !self.has_ended(Interest::Read) && arrived.get_ref().len() < MAX_KEPT {
            match receive(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
                Ok(n) => arrived.get_mut().extend_from_slice(&chunk[..n]),
            }
        }
        self.is_read_ended.store(true, Ordering::Release);
        shutdown()
    }

    fn lock(&self) -> MutexGuard<'_, io::Cursor<Vec<u8>>> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_arrived_is_read_after_the_shutdown_up_to_the_bound_and_then_comes_the_end() {
        let state = ShutdownState::default();
        let mut buf = [0; 4];
        assert_eq!(state.read(&mut buf, |buf| (&b"ab"[..]).read(buf)).unwrap(), 2);
        let mut arrived = io::repeat(b'c').take(3 * MAX_KEPT as u64);
        state.shut_down(Shutdown::Both, |buf| arrived.read(buf), || Ok(())).unwrap();
        assert!(state.has_ended(Interest::Read));
        let unread = |_: &mut [u8]| -> io::Result<usize> { panic!("the socket is not read any more") };
        state.shut_down(Shutdown::Both, unread, || Ok(())).unwrap();
        assert!(state.has_ended(Interest::Write));
        let mut total = 0;
        loop {
            match state.read(&mut buf, unread).unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, MAX_KEPT);
    }

    #[test]
    fn an_error_ends_what_has_arrived_but_eintr() {
        let state = ShutdownState::default();
        let mut reads = [Ok(2), Err(io::ErrorKind::Interrupted), Ok(1), Err(io::ErrorKind::WouldBlock)].into_iter();
        state
            .shut_down(Shutdown::Both, |_| Ok(reads.next().unwrap()?), || Err(io::ErrorKind::NotConnected.into()))
            .unwrap_err();
        assert_eq!(state.read(&mut [0; 9], |_| panic!()).unwrap(), 3);
    }
}
