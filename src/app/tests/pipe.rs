//! A connection without a network, whose waits are the scheduler's to see.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use crate::net::Transport;
use crate::sync::{Condvar, Mutex, MutexGuard, now};

/// The two ends of one. So many bytes are on their way at most.
pub(super) fn pair(capacity: usize) -> (End, End) {
    let new = || Arc::new(Lane { capacity, state: Mutex::default(), changed: Condvar::new() });
    let (there, back) = (new(), new());
    let ours = End { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
    (ours, End { incoming: there, outgoing: back })
}

/// One end. Dropped, it is closed.
#[derive(Debug)]
pub(super) struct End {
    incoming: Arc<Lane>,
    outgoing: Arc<Lane>,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    is_over: bool,
}

impl Lane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `act` to have something to say.
    fn wait(
        &self,
        timeout: Option<Duration>,
        act: impl Fn(&mut State) -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        let until = timeout.map(|timeout| now() + timeout);
        let mut state = self.state();
        loop {
            if let Some(result) = act(&mut state) {
                self.changed.notify_all();
                return result;
            }
            state = self.sleep(state, until)?;
        }
    }

    fn sleep<'a>(&self, state: MutexGuard<'a, State>, until: Option<Instant>) -> io::Result<MutexGuard<'a, State>> {
        let Some(until) = until else {
            return Ok(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let rest = until.saturating_duration_since(now());
        if rest.is_zero() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }
}

impl Transport for End {
    fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.incoming.wait(timeout, |State { bytes, is_over }| {
            let length = buf.len().min(bytes.len());
            (length > 0 || *is_over).then_some(Ok(length))
        })?;
        let mut state = self.incoming.state();
        let length = buf.len().min(state.bytes.len());
        buf.iter_mut().zip(state.bytes.drain(..length)).for_each(|(to, byte)| *to = byte);
        self.incoming.changed.notify_all();
        Ok(length)
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf, Some(Duration::ZERO))
    }

    fn write(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        let capacity = self.outgoing.capacity;
        self.outgoing.wait(timeout, |State { bytes, is_over }| {
            if *is_over {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let length = buf.len().min(capacity - bytes.len());
            bytes.extend(&buf[..length]);
            (length > 0).then_some(Ok(length))
        })
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf, Some(Duration::ZERO))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            self.incoming.end();
        }
        if how != Shutdown::Read {
            self.outgoing.end();
        }
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}
