//! A connection without a network, whose waits are the scheduler's to see.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::net::{Interest, Transport};
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

    fn sleep<'a>(&self, state: MutexGuard<'a, State>, until: Option<Instant>) -> Option<MutexGuard<'a, State>> {
        let Some(until) = until else {
            return Some(self.changed.wait(state).unwrap_or_else(PoisonError::into_inner));
        };
        let rest = until.saturating_duration_since(now());
        if rest.is_zero() {
            return None;
        }
        Some(self.changed.wait_timeout(state, rest).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }
}

impl Transport for End {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.incoming.state();
        let length = buf.len().min(state.bytes.len());
        if length == 0 && !state.is_over {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        buf.iter_mut().zip(state.bytes.drain(..length)).for_each(|(to, byte)| *to = byte);
        self.incoming.changed.notify_all();
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.outgoing.state();
        if state.is_over {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let length = buf.len().min(self.outgoing.capacity - state.bytes.len());
        if length == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        state.bytes.extend(&buf[..length]);
        self.outgoing.changed.notify_all();
        Ok(length)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        let lane = match interest {
            Interest::Read => &self.incoming,
            Interest::Write => &self.outgoing,
        };
        let mut state = lane.state();
        loop {
            let is_ready = match interest {
                Interest::Read => !state.bytes.is_empty(),
                Interest::Write => state.bytes.len() < lane.capacity,
            };
            if is_ready || state.is_over {
                return Ok(true);
            }
            let Some(woken) = lane.sleep(state, deadline) else { return Ok(false) };
            state = woken;
        }
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
