//! A transport with faults: operations that fail, are cut, come late or not at all.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Fault, Injection, Operation};
use crate::net::{Interest, Transport};

/// What [`FaultInjector::wrap`](super::FaultInjector::wrap) makes.
pub struct FaultyTransport {
    inner: Box<dyn Transport>,
    injection: Arc<Injection>,
    number: usize,
    state: Mutex<TransportState>,
    /// A blocked direction may be free.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct TransportState {
    reading: DirectionState,
    writing: DirectionState,
    waits: usize,
    end: Option<TransportEnd>,
}

#[derive(Debug, Default)]
struct DirectionState {
    /// How many operations have passed, whole or cut.
    passed: usize,
    /// The operation that a fault has kept from passing.
    kept: Option<usize>,
    blocked: Option<Blocked>,
    is_shut: bool,
}

#[derive(Clone, Copy, Debug)]
enum Blocked {
    Until(Instant),
    /// Until a wait has reached its deadline.
    UntilDeadline,
    /// A wait has reached its deadline, and nobody has tried again or waited anew.
    ForLastTry,
}

impl Blocked {
    fn by(delay: Duration) -> Self {
        Instant::now().checked_add(delay).map_or(Self::UntilDeadline, Self::Until)
    }
}

/// How a fault has ended the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum TransportEnd {
    Reset,
    Eof,
}

impl TransportState {
    const fn direction(&mut self, interest: Interest) -> &mut DirectionState {
        match interest {
            Interest::Read => &mut self.reading,
            Interest::Write => &mut self.writing,
        }
    }
}

impl DirectionState {
    /// Whether it is blocked now.
    fn is_blocked(&mut self) -> bool {
        if self.is_shut || matches!(self.blocked, Some(Blocked::Until(end)) if Instant::now() >= end) {
            self.blocked = None;
        }
        self.blocked.is_some()
    }
}

impl FaultyTransport {
    pub(super) fn new(inner: Box<dyn Transport>, injection: Arc<Injection>, number: usize) -> Self {
        Self { inner, injection, number, state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, TransportState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads or writes at most `length` bytes by `call`, which gets how many it may.
    fn pass(
        &self,
        interest: Interest,
        length: usize,
        call: impl FnOnce(usize) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if let Some(refused) = self.refuse(interest) {
            return refused;
        }
        // Not an operation: how often nothing is there, or no room, depends on the network.
        if !self.inner.wait(interest, Some(Instant::now()))? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let (number, fault) = self.next_fault(interest);
        match fault {
            None => call(length),
            Some(Fault::Interrupted) => Err(ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => Err(ErrorKind::WouldBlock.into()),
            Some(Fault::Short(0)) => Ok(0),
            Some(Fault::Short(bytes)) => call(length.min(bytes)),
            Some(Fault::Delay(delay)) => self.block(interest, Blocked::by(delay)),
            Some(Fault::Timeout) => self.block(interest, Blocked::UntilDeadline),
            Some(Fault::Torn(0) | Fault::Reset) => {
                self.end(TransportEnd::Reset);
                self.ended(TransportEnd::Reset, interest)
            }
            Some(Fault::Torn(bytes)) => {
                self.state().end = Some(TransportEnd::Reset);
                let passed = call(length.min(bytes));
                self.end(TransportEnd::Reset);
                passed
            }
            Some(Fault::Eof) => {
                self.end(TransportEnd::Eof);
                self.ended(TransportEnd::Eof, interest)
            }
            Some(Fault::Error(kind)) => Err(self.error(kind, operation(interest), number)),
            Some(Fault::Overrun) => Ok(length + 1),
        }
    }

    /// What an operation says without being one, after the end and where the direction is blocked.
    fn refuse(&self, interest: Interest) -> Option<io::Result<usize>> {
        let mut state = self.state();
        if let Some(end) = state.end {
            return Some(self.ended(end, interest));
        }
        let direction = state.direction(interest);
        let is_last_try = direction.blocked.take_if(|blocked| matches!(blocked, Blocked::ForLastTry)).is_some();
        (is_last_try || direction.is_blocked()).then(|| Err(ErrorKind::WouldBlock.into()))
    }

    /// The number of the operation that begins now, and what strikes it.
    fn next_fault(&self, interest: Interest) -> (usize, Option<Fault>) {
        let mut state = self.state();
        let direction = state.direction(interest);
        let number = direction.passed + 1;
        // An operation that is called again, since a fault has kept it, meets no other.
        let is_free = direction.kept == Some(number);
        let fault = if is_free { None } else { self.injection.strike(self.number, operation(interest), number) };
        match fault {
            None | Some(Fault::Short(_)) => direction.passed = number,
            Some(_) => direction.kept = Some(number),
        }
        (number, fault)
    }

    fn block(&self, interest: Interest, blocked: Blocked) -> io::Result<usize> {
        self.state().direction(interest).blocked = Some(blocked);
        Err(ErrorKind::WouldBlock.into())
    }

    /// Ends this transport and the one beneath, and the waits for both.
    fn end(&self, end: TransportEnd) {
        self.state().end = Some(end);
        let _ = self.inner.shutdown(Shutdown::Both);
        self.changed.notify_all();
    }

    /// What an operation says after the end.
    fn ended(&self, end: TransportEnd, interest: Interest) -> io::Result<usize> {
        match (end, interest) {
            (TransportEnd::Reset, _) => Err(self.injection.error(ErrorKind::ConnectionReset, "reset")),
            (TransportEnd::Eof, Interest::Read) => Ok(0),
            (TransportEnd::Eof, Interest::Write) => {
                Err(self.injection.error(ErrorKind::BrokenPipe, "end of the stream"))
            }
        }
    }

    fn error(&self, kind: ErrorKind, operation: Operation, number: usize) -> io::Error {
        self.injection.error(kind, &format!("{operation} {number}"))
    }

    /// Waits until the direction is not blocked; what the wait says where it ends before.
    fn wait_unblocked(&self, interest: Interest, deadline: Option<Instant>) -> Option<bool> {
        let mut state = self.state();
        state.direction(interest).blocked.take_if(|blocked| matches!(blocked, Blocked::ForLastTry));
        loop {
            if state.end.is_some() {
                return Some(true);
            }
            let direction = state.direction(interest);
            if !direction.is_blocked() {
                return None;
            }
            let now = Instant::now();
            if deadline.is_some_and(|deadline| now >= deadline) {
                if matches!(direction.blocked, Some(Blocked::UntilDeadline)) {
                    direction.blocked = Some(Blocked::ForLastTry);
                }
                return Some(false);
            }
            let until = match (direction.blocked, deadline) {
                (Some(Blocked::Until(end)), Some(deadline)) => Some(end.min(deadline)),
                (Some(Blocked::Until(end)), None) => Some(end),
                (_, deadline) => deadline,
            };
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(now);
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl Transport for FaultyTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.pass(Interest::Read, buf.len(), |length| self.inner.try_read(&mut buf[..length]))
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.pass(Interest::Write, buf.len(), |length| self.inner.try_write(&buf[..length]))
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        let mut state = self.state();
        state.waits += 1;
        let number = state.waits;
        drop(state);
        match self.injection.strike(self.number, Operation::Wait, number) {
            None | Some(Fault::Short(_) | Fault::Overrun) => {}
            Some(Fault::Interrupted) => return Err(ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => return Ok(true),
            Some(Fault::Delay(delay)) => drop(self.block(interest, Blocked::by(delay))),
            Some(Fault::Timeout) => drop(self.block(interest, Blocked::UntilDeadline)),
            Some(Fault::Torn(_) | Fault::Reset) => {
                self.end(TransportEnd::Reset);
                return Err(self.error(ErrorKind::ConnectionReset, Operation::Wait, number));
            }
            Some(Fault::Eof) => {
                self.end(TransportEnd::Eof);
                return Ok(true);
            }
            Some(Fault::Error(kind)) => return Err(self.error(kind, Operation::Wait, number)),
        }
        match self.wait_unblocked(interest, deadline) {
            Some(waited) => Ok(waited),
            None => self.inner.wait(interest, deadline),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state();
        state.reading.is_shut |= how != Shutdown::Write;
        state.writing.is_shut |= how != Shutdown::Read;
        drop(state);
        self.changed.notify_all();
        self.inner.shutdown(how)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr()
    }
}

const fn operation(interest: Interest) -> Operation {
    match interest {
        Interest::Read => Operation::Read,
        Interest::Write => Operation::Write,
    }
}

impl fmt::Debug for FaultyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyTransport")
            .field("inner", &self.inner)
            .field("number", &self.number)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
