//! Who may write next: how a thread takes the sending half, waits for its turn, and gives the half back.

use std::time::Duration;

use super::close_state::CloseState;
use super::shared::{ControlPayload, Purpose, SendState, SharedConnection, WriterKind};
use super::write_guard::WriteGuard;
use crate::error::{Error, Phase, Result};
use crate::net::{Deadline, Layer, SendDeadline};
use crate::protocol::{CloseFrame, Outbound};
use crate::sync::MutexGuard;

/// How long a send may go without a byte leaving when no limit is set for the whole.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// How far the sending of a queued Close has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CloseSendStatus {
    /// It has left, or nothing is due.
    Left,
    /// The peer has not taken it by the deadline.
    Late,
    /// It waits behind what another thread sends, which is not over by the deadline.
    Behind,
    /// It cannot leave any more.
    Failed,
}

/// A control frame that was queued.
pub(super) enum QueuedControl {
    Pong(ControlPayload),
    Ping(ControlPayload),
    Close(CloseFrame),
}

impl SharedConnection {
    /// Takes the sending half, and waits for it within the time for a send.
    pub(super) fn acquire<'a>(&'a self, purpose: Purpose) -> Result<WriteGuard<'a>> {
        self.acquire_within(purpose, None)
    }

    /// The same by a deadline that runs already, if there is one.
    pub(super) fn acquire_within<'a>(
        &'a self,
        purpose: Purpose,
        deadline: Option<SendDeadline>,
    ) -> Result<WriteGuard<'a>> {
        let mut state = self.state();
        state.check(purpose)?;
        if state.overtaken == 0
            && let Some(outbound) = state.take_outbound(purpose)
        {
            drop(state);
            return Ok(WriteGuard::new(self, outbound, deadline));
        }
        let deadline = deadline.unwrap_or_else(|| send_deadline(&state));
        self.wait_for_outbound(state, purpose, deadline)
    }

    /// Takes the sending half without waiting, to give it back at once.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] while a thread has it that may wait for the network, or others come first.
    pub(super) fn try_acquire<'a>(&'a self, purpose: Purpose) -> Result<WriteGuard<'a>> {
        let mut state = self.state();
        loop {
            state.check(purpose)?;
            if state.overtaken > 0 || state.is_held_up(purpose) {
                return Err(Error::Full);
            }
            if let Some(outbound) = state.outbound.take() {
                state.writer = WriterKind::Immediate;
                drop(state);
                return Ok(WriteGuard::new(self, outbound, Some(SendDeadline::until(Deadline::NOW))));
            }
            if state.writer == WriterKind::Waiting {
                return Err(Error::Full);
            }
            state = self.wait(state, Deadline::NEVER).0;
        }
    }

    /// Waits for the sending half while others have it. A thread that was woken for it and found it taken again goes before all
    /// that come later: one that sends without a pause must not starve the others.
    #[cold]
    fn wait_for_outbound<'a>(
        &'a self,
        mut state: MutexGuard<'a, SendState>,
        purpose: Purpose,
        deadline: SendDeadline,
    ) -> Result<WriteGuard<'a>> {
        let until = deadline.total.min(Deadline::after(deadline.stall));
        let mut overtaken = false;
        let outcome = loop {
            let outbound = match state.check(purpose) {
                Ok(()) if overtaken || state.overtaken == 0 => state.take_outbound(purpose),
                Ok(()) => None,
                Err(error) => break Err(error),
            };
            if let Some(outbound) = outbound {
                break Ok(outbound);
            }
            let (woken, waited) = self.wait(state, until);
            state = woken;
            if waited.is_err() {
                break Err(Error::Timeout(Phase::Send));
            }
            // Whoever waits for the end of a message in fragments was not overtaken, and must not be before the thread that is to
            // end it.
            let is_overtaken = state.outbound.is_none() && !state.is_held_up(purpose);
            self.count_overtaken(&mut state, &mut overtaken, is_overtaken);
        };
        self.count_overtaken(&mut state, &mut overtaken, false);
        drop(state);
        outcome.map(|outbound| WriteGuard::new(self, outbound, Some(deadline)))
    }

    /// Counts a waiting thread among those that were overtaken, or no longer: then the others may go on.
    fn count_overtaken(&self, state: &mut SendState, counted: &mut bool, is_overtaken: bool) {
        match (*counted, is_overtaken) {
            (false, true) => state.overtaken += 1,
            (true, false) => state.overtaken -= 1,
            _ => return,
        }
        *counted = is_overtaken;
        if !is_overtaken {
            state.wake_all(self);
        }
    }

    /// Sends what waits to be sent as far as that is possible without waiting. A thread that has the sending half sends it
    /// when it gives that back.
    pub(super) fn flush_pending(&self) {
        let mut state = self.state();
        if let Some(outbound) = state.outbound.take() {
            state.writer = WriterKind::Immediate;
            drop(state);
            drop(WriteGuard::new(self, outbound, Some(SendDeadline::until(Deadline::NOW))));
        }
    }

    /// The same; whether that is all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be sent any more.
    pub(super) fn try_flush(&self) -> Result<bool> {
        if self.has_unsent() {
            self.flush_pending();
        }
        self.check_can_write().map(|()| !self.has_unsent())
    }

    /// Sends our Close if it still waits to be sent, by the deadline.
    pub(super) fn send_queued_close(&self, deadline: Deadline) -> CloseSendStatus {
        let mut state = self.state();
        loop {
            match &state.close {
                CloseState::WriteFailed { .. } => return CloseSendStatus::Failed,
                // Another thread has ended the connection. A half that somebody has tells that our Close has not left.
                CloseState::Closed(_) if !state.outbound.as_ref().is_some_and(|outbound| outbound.has_close_left()) => {
                    return CloseSendStatus::Failed;
                }
                _ if state.queued_close().is_none() => return CloseSendStatus::Left,
                _ => {}
            }
            if let Some(outbound) = state.outbound.take() {
                state.writer = if deadline.is_now() { WriterKind::Immediate } else { WriterKind::Waiting };
                drop(state);
                WriteGuard::new(self, outbound, Some(SendDeadline::until(deadline))).flush_close();
                state = self.state();
                if state.queued_close().is_some() && state.close.can_write() {
                    return CloseSendStatus::Late;
                }
                continue;
            }
            if deadline.is_now() && state.writer == WriterKind::Waiting {
                return CloseSendStatus::Behind;
            }
            // A writer that does not wait is done in a moment.
            let until = if deadline.is_now() { Deadline::NEVER } else { deadline };
            let (woken, waited) = self.wait(state, until);
            state = woken;
            if waited.is_err() {
                return CloseSendStatus::Behind;
            }
        }
    }

    /// Puts the sending half back, unless a control frame was queued that must be sent first: then both are returned.
    pub(super) fn put_back_or_take_control(&self, outbound: Box<Outbound>) -> Option<(Box<Outbound>, QueuedControl)> {
        let mut state = self.state();
        let is_stuck = !outbound.pending().is_empty();
        if !is_stuck && let Some(control) = state.take_control(&outbound) {
            return Some((outbound, control));
        }
        self.put_back(state, outbound);
        None
    }

    pub(super) fn put_back(&self, mut state: MutexGuard<'_, SendState>, outbound: Box<Outbound>) {
        let has_pending = !outbound.pending().is_empty() || self.stream.has_output();
        if !has_pending && outbound.close_sent().is_some() {
            state.close_left();
        }
        let unsent = has_pending || state.pong.is_some() || state.ping.is_some() || state.queued_close().is_some();
        let is_news = self.set_unsent(unsent && state.close.can_write());
        state.outbound = Some(outbound);
        state.writer = WriterKind::Waiting;
        state.wake_all(self);
        drop(state);
        if is_news {
            self.event_loop.wake();
        }
    }
}

impl SendState {
    /// The control frame that is to be sent next.
    pub(super) fn take_control(&mut self, outbound: &Outbound) -> Option<QueuedControl> {
        if !self.close.can_write() {
            return None;
        }
        match self.queued_close() {
            Some(close) if outbound.close_sent().is_none() => Some(QueuedControl::Close(close.clone())),
            _ => self
                .pong
                .take()
                .map(QueuedControl::Pong)
                .or_else(|| self.ping.take().map(|ping| QueuedControl::Ping(*ping))),
        }
    }
}

/// The time for a send, from now.
pub(super) fn send_deadline(state: &SendState) -> SendDeadline {
    match state.timeouts.send {
        Some(limit) => SendDeadline::until(Deadline::after(Some(limit))),
        None => SendDeadline::while_progressing(STALL),
    }
}

#[cfg(all(test, unix, not(shuttle)))]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use crate::options::ConnectOptions;
    use crate::protocol::Role;

    #[test]
    fn a_wake_that_panics_leaves_the_sending_half_in_its_place() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let options = ConnectOptions::new().max_unsent(8 << 20);
        let mut ws = options.from_open(ours, Role::Client, b"", None).unwrap();
        ws.attach(|| panic!("as it should")).unwrap();
        let more_than_the_socket_takes = vec![0; 4 << 20];
        let sent = catch_unwind(AssertUnwindSafe(|| ws.try_send_binary(&more_than_the_socket_takes)));
        assert!(sent.is_err(), "{sent:?}");
        let (tell, told) = mpsc::channel();
        thread::spawn(move || tell.send(ws.try_send_text("small")));
        told.recv_timeout(Duration::from_secs(5)).expect("it does not wait").unwrap();
    }
}
