//! How a connection ends, from whichever thread: bounded, idempotent, exactly one Close on the wire (RFC 6455, section 7).

use std::net::Shutdown;
use std::sync::PoisonError;
use std::time::Duration;

use super::acquire::CloseSendStatus;
use super::close_state::CloseState;
use super::reader::{Buffered, Reader};
use super::shared::{Purpose, SharedConnection};
use super::writing::Wait;
use crate::error::{CloseCause, CloseInfo, Error, Phase, Result};
use crate::net::{Deadline, Layer, is_timeout};
use crate::protocol::{CloseCode, CloseFrame, FrameHeader, Opcode, Role, Step, mask};
use crate::sync::{Mutex, thread};

impl SharedConnection {
    /// Sends a Close and does not wait for the peer's. After the first, none is sent.
    pub(super) fn send_close(&self, close: CloseFrame, wait: Wait) -> Result<()> {
        self.check_close()?;
        self.break_off(close, wait)
    }

    /// The same in the midst of what this thread sends.
    pub(super) fn break_off(&self, close: CloseFrame, wait: Wait) -> Result<()> {
        if !self.queue_close(close) {
            return self.check_can_write();
        }
        if !self.may_wait(wait) {
            self.flush_pending();
            self.watch_blocked_receive();
            return if self.has_failed_write() { Err(self.write_error()) } else { Ok(()) };
        }
        let progress = self.send_queued_close(self.closing_deadline());
        if matches!(progress, CloseSendStatus::Late | CloseSendStatus::Behind) {
            self.state().renew_send_by();
        }
        self.watch_blocked_receive();
        match progress {
            CloseSendStatus::Left => Ok(()),
            CloseSendStatus::Late | CloseSendStatus::Behind => Err(Error::Timeout(Phase::Close)),
            CloseSendStatus::Failed => Err(self.write_error()),
        }
    }

    /// Closes from a thread that has no [`Reader`]: whoever receives completes the handshake while this thread waits. On the
    /// receiving thread itself it does not wait.
    pub(super) fn close(&self, close: CloseFrame) -> Result<()> {
        if !self.begin_close(close)? {
            return Ok(());
        }
        let is_receiver = self.is_receiver();
        if is_receiver || self.event_loop.is_attached() {
            self.flush_pending();
        } else {
            // If it cannot leave, the receiver finds out why.
            self.send_queued_close(self.closing_deadline());
        }
        if !is_receiver {
            self.await_end();
        }
        Ok(())
    }

    /// Closes from a thread that can take the reader. It receives from the beginning: a peer that
    /// does not read before it has sent what it wants to would not take our Close otherwise.
    pub(super) fn close_with_reader(&self, reader: &Mutex<Reader>, close: CloseFrame) -> Result<()> {
        if self.begin_close(close)? {
            // Whoever has the reader looks at it for a moment, or closes as well.
            reader.lock().unwrap_or_else(PoisonError::into_inner).discard_until_closed(self);
        }
        Ok(())
    }

    /// Queues our Close unless there was one. Returns whether the connection has an end yet to come.
    fn begin_close(&self, close: CloseFrame) -> Result<bool> {
        if self.is_over() {
            return Ok(false);
        }
        self.check_close()?;
        self.queue_close(close);
        Ok(true)
    }

    /// The closing handshake has got a deadline: a receive that began to wait before that knows nothing of it.
    pub(super) fn watch_blocked_receive(&self) {
        if self.activity.is_blocked() {
            self.watch_closing_deadline();
        }
    }

    /// Has a thread of its own end the connection at the closing deadline.
    #[cold]
    pub(super) fn watch_closing_deadline(&self) {
        let Some(connection) = self.this.upgrade() else { return };
        let watch = thread::Builder::new().name("websocket-close".to_owned()).spawn(move || connection.await_end());
        if watch.is_err() {
            // Without a thread there is nobody to keep the deadline.
            self.abort(CloseCause::Unanswered);
        }
    }

    /// Waits until the connection is over, and ends it at the closing deadline.
    pub(super) fn await_end(&self) {
        let mut state = self.state();
        while !matches!(state.close, CloseState::Closed(_)) {
            let deadline = state.close.deadline();
            let (woken, waited) = self.wait(state, deadline);
            state = woken;
            // The state may have gone on to a later deadline meanwhile.
            if waited.is_err() && state.close.deadline().is_over() && !matches!(state.close, CloseState::Closed(_)) {
                drop(state);
                self.abort(CloseCause::Unanswered);
                return;
            }
        }
    }

    /// Gives the connection up: a Close 1001 goes out if that needs no waiting.
    pub(super) fn disconnect(&self) {
        if self.is_over() || !self.is_of_this_process() {
            return;
        }
        if let Ok(close) = CloseFrame::new(CloseCode::GOING_AWAY, "") {
            self.queue_close(close);
        }
        self.flush_pending();
        self.abort(CloseCause::Aborted);
    }

    /// # Errors
    ///
    /// [`Error::Usage`] inside a batch of the calling thread, or inside a reader that it sends: our Close could only leave after that.
    pub(super) fn check_close(&self) -> Result<()> {
        self.state().own_transaction(Purpose::Close).map_or(Ok(()), Err)
    }
}

/// The orderly end of a connection that the peer has closed, or broken a rule on: our Close leaves, this half is shut, and the rest
/// is drained, since closing a socket with unread bytes makes a reset of them that may overtake the Close.
#[derive(Debug)]
pub(super) struct Ending {
    info: CloseInfo,
    /// What the receive is told, once; later ones are told how the connection ended.
    error: Option<Error>,
    until: Deadline,
    /// Until then our Close waits behind what another thread sends.
    patience: Deadline,
    phase: EndingPhase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum EndingPhase {
    /// Our Close may still wait to be sent.
    SendingClose,
    /// So many bytes were discarded since it has.
    Draining(usize),
    Over,
}

impl Ending {
    /// What is read after a Close so that a reset does not overtake ours, in bytes.
    const MAX_DRAINED: usize = 1 << 20;

    /// For how long our Close waits behind a send of another thread before the receive is told. A send that gets on is over by
    /// then; one that does not must not hide what the peer said.
    const PATIENCE: Duration = Duration::from_millis(50);

    /// How the connection ends is noted in the shared state already. `error` is for the receive.
    pub(super) fn new(shared: &SharedConnection, info: CloseInfo, error: Error) -> Box<Self> {
        let until = shared.closing_deadline();
        let patience = Deadline::after(Some(Self::PATIENCE));
        Box::new(Self { info, error: Some(error), until, patience, phase: EndingPhase::SendingClose })
    }

    /// By when it is over, whatever the peer does.
    pub(super) const fn until(&self) -> Deadline {
        self.until
    }

    /// Whether a receive was told already.
    pub(super) const fn is_told(&self) -> bool {
        self.error.is_none()
    }

    /// Whether there is nothing left to do.
    pub(super) fn is_over(&self) -> bool {
        self.phase == EndingPhase::Over
    }

    /// Goes on, at most until the deadline. Returns the error for the receive; `None` says that nothing more can be done without
    /// waiting.
    pub(super) fn advance(&mut self, shared: &SharedConnection, deadline: Deadline) -> Option<Error> {
        if self.phase == EndingPhase::SendingClose {
            match self.send_close(shared, deadline) {
                CloseSendStatus::Left => self.shut_write(shared),
                CloseSendStatus::Failed => self.phase = EndingPhase::Over,
                CloseSendStatus::Behind if self.patience.is_over() && !self.until.is_over() => {
                    if self.error.is_some() {
                        shared.watch_closing_deadline();
                    }
                    return Some(self.error());
                }
                CloseSendStatus::Late | CloseSendStatus::Behind if deadline.is_now() && !self.until.is_over() => {
                    return None;
                }
                CloseSendStatus::Late | CloseSendStatus::Behind => self.phase = EndingPhase::Over,
            }
        }
        if self.drain(shared, deadline) == Drained::NotYet {
            return None;
        }
        self.phase = EndingPhase::Over;
        shared.end(self.info.clone());
        // The peer may have been faster; then there is nothing left to shut down.
        let _ = shared.stream.shutdown(Shutdown::Both);
        Some(self.error())
    }

    fn send_close(&self, shared: &SharedConnection, deadline: Deadline) -> CloseSendStatus {
        let by = self.until.min(deadline);
        if by.is_over() {
            return shared.send_queued_close(Deadline::NOW);
        }
        // Behind another thread's send it waits no longer than that, but for the peer to take it as long as there is time.
        let patience = if self.patience.is_over() { Deadline::NOW } else { by.min(self.patience) };
        match shared.send_queued_close(patience) {
            CloseSendStatus::Late => shared.send_queued_close(by),
            progress => progress,
        }
    }

    /// Whoever waits for the end need not wait for the peer to hang up. After a closing handshake nothing is unread; then a client
    /// waits for the server to end the connection, and a server does not wait (RFC 6455, section 7.1.1).
    fn shut_write(&mut self, shared: &SharedConnection) {
        shared.end(self.info.clone());
        let waits = shared.role == Role::Client || !self.info.is_clean();
        let is_shut = waits && shared.stream.shutdown(Shutdown::Write).is_ok();
        self.phase = if is_shut { EndingPhase::Draining(0) } else { EndingPhase::Over };
    }

    fn drain(&mut self, shared: &SharedConnection, deadline: Deadline) -> Drained {
        let mut scratch = [0; 4096];
        while let EndingPhase::Draining(drained) = &mut self.phase {
            match shared.stream.read(&mut scratch, self.until.min(deadline)) {
                Ok(length @ 1..) if *drained + length < Self::MAX_DRAINED => *drained += length,
                Err(error) if is_timeout(&error) && deadline.is_now() && !self.until.is_over() => {
                    return Drained::NotYet;
                }
                Ok(_) | Err(_) => self.phase = EndingPhase::Over,
            }
        }
        Drained::Enough
    }

    fn error(&mut self) -> Error {
        self.error.take().unwrap_or_else(|| Error::Closed(Box::new(self.info.clone())))
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Drained {
    Enough,
    NotYet,
}

/// Whether what the peer said before this side ended the connection was looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LastLook {
    Due,
    Done,
}

impl Reader {
    /// How much is looked through for a Close that came before this side ended the connection, in bytes.
    const MAX_LOOK: usize = 1 << 20;

    /// This side has ended the connection. If the peer's Close had come by then, that is how it ended: what has arrived is looked
    /// through once, without waiting. Whatever is read for that is looked at, so that nothing of it is received later.
    #[cold]
    pub(super) fn look_for_close(&mut self, shared: &SharedConnection) -> Option<Error> {
        let info = shared.close_info()?;
        if self.last_look == LastLook::Done || info.is_decided_by_peer() {
            return None;
        }
        self.last_look = LastLook::Done;
        self.inbound.discard_messages();
        let mut left = Self::MAX_LOOK;
        loop {
            match self.inbound.advance() {
                Ok(Step::NeedMore) if left > 0 => {
                    let Ok(length @ 1..) = self.read(shared, Deadline::NOW, left) else { return None };
                    self.inbound.received(length);
                    left -= length;
                }
                Ok(Step::NeedMore) => return None,
                Err(error) => {
                    // A Close that must not be sent says something all the same.
                    let info = shared.receive_rejected_close(error, &self.inbound.rejected_close()?.reason);
                    return Some(Error::Closed(Box::new(info)));
                }
                Ok(Step::Close | Step::Ended) => {
                    let info = shared.receive_close(self.inbound.close()?, self.closed_first);
                    return Some(Error::Closed(Box::new(info)));
                }
                Ok(_) => {}
            }
        }
    }

    /// Nothing more can be sent, and what has arrived can still be received. How the connection ends if the peer's Close is among that,
    /// without taking anything away from the receives that follow.
    #[cold]
    pub(super) fn peek_close(&mut self, shared: &SharedConnection) -> Option<CloseInfo> {
        // One that was handed out as a frame is answered, or told, only by the receive that follows.
        if let Some(theirs) = self.inbound.close() {
            return shared.close_info_after_failed_write(theirs);
        }
        let mut left = Self::MAX_LOOK;
        while left > 0
            && !self.inbound.space().is_empty()
            && let Ok(length @ 1..) = self.read(shared, Deadline::NOW, left)
        {
            self.inbound.received(length);
            self.buffered = Buffered::More;
            left -= length;
        }
        let (missing, unread) = self.inbound.beginning();
        let body = find_close(unread.get(usize::try_from(missing).ok()?..)?)?;
        match CloseFrame::parse(&body) {
            Ok(theirs) => shared.close_info_after_failed_write(&theirs),
            Err(error) => Some(CloseInfo::of_violation(error, &CloseFrame::parse_rejected(&body)?.reason)),
        }
    }
}

/// The body of the Close among whole frames; what is no frame hides the rest.
fn find_close(mut bytes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (header, length) = FrameHeader::parse(bytes).ok()??;
        let payload = bytes.get(length..)?;
        let (payload, rest) = payload.split_at_checked(usize::try_from(header.len).ok()?)?;
        if header.opcode == Opcode::Close {
            let mut body = payload.to_vec();
            mask(header.mask.unwrap_or_default(), &mut body);
            return Some(body);
        }
        bytes = rest;
    }
}
