//! The right to write: the sending half of a connection in the hands of one thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;

use super::shared::{CloseState, ControlPayload, Purpose, SendState, SharedConnection, Transaction, WriterKind};
use crate::error::{CloseCause, Error, Phase, Result};
use crate::message::MessageRef;
use crate::net::{Deadline, SendDeadline, is_timeout};
use crate::protocol::{Checkpoint, CloseFrame, Compression, LocalProtocolError, MaskKeys, Outbound};
use crate::sync::{MutexGuard, ThreadToken};
use crate::trace::Epoch;

/// How long a send may go without a byte leaving when no limit is set for the whole.
pub(super) const STALL: Duration = Duration::from_secs(30);

/// The sending half, taken out of the shared state. Dropped, it is given back; a control frame that the receiver has queued in
/// the meantime is sent first, as far as that is possible without waiting.
#[derive(Debug)]
pub(super) struct WriteGuard<'a> {
    shared: &'a SharedConnection,
    /// There until the guard is dropped.
    outbound: Option<Box<Outbound>>,
    /// By when what is written must have left; `None` until the first wait, when its time begins to run.
    deadline: Option<SendDeadline>,
    condition: Condition,
    hold: Hold,
    trace: Tracing,
}

/// The sending half, taken where nothing had to be considered. Dropped, it is given back as by a [`WriteGuard`].
struct TakenOutbound<'a> {
    shared: &'a SharedConnection,
    outbound: Option<Box<Outbound>>,
}

impl<'a> TakenOutbound<'a> {
    #[inline(always)]
    fn outbound(&mut self) -> &mut Outbound {
        self.outbound.as_mut().expect("the sending half is there until it is given back")
    }

    /// Gives the half back after all of it was written; at once, unless something has happened meanwhile.
    #[inline(always)]
    fn give_back(mut self) {
        let mut state = self.shared.state();
        if state.is_undisturbed() && !self.shared.is_marked_unsent() {
            std::mem::swap(&mut state.outbound, &mut self.outbound);
        }
    }

    #[cold]
    fn into_guard(mut self) -> WriteGuard<'a> {
        WriteGuard::untraced(self.shared, self.outbound.take())
    }
}

impl Drop for TakenOutbound<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(outbound) = self.outbound.take() {
            drop(WriteGuard::untraced(self.shared, Some(outbound)));
        }
    }
}

/// What has become of what was begun.
#[derive(Clone, Copy, Debug)]
enum Condition {
    /// Nothing is begun that must be finished.
    Whole,
    /// A message was begun at the checkpoint, of which no part may remain.
    Unfinished(Checkpoint),
    /// Nothing can be written any more.
    Failed,
}

/// For how long the half is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Hold {
    /// For one frame or message.
    Single,
    /// For a transaction of this thread, which ends with the guard.
    Exclusive,
}

/// Whether the trace is told of what is written. A frame that was begun untold is not told to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tracing {
    Off,
    On,
}

/// A control frame that was queued.
enum QueuedControl {
    Pong(ControlPayload),
    Close(CloseFrame),
}

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

impl SharedConnection {
    /// Sends a message as one frame, and waits for the sending half and the network within the time for a send.
    ///
    /// In the usual case nobody else sends, nothing is compressed, and the frame leaves at once. That case is decided here with one
    /// look at the state before and one after; all others go through a [`WriteGuard`].
    #[inline(always)]
    pub(super) fn write_message(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        let Some(mut taken) = self.take_undisturbed() else { return self.write_message_in_turn(message, compression) };
        let outbound = taken.outbound();
        let Some(length) = outbound.plain_message(message) else {
            drop(taken);
            return self.write_message_in_turn(message, compression);
        };
        let pending = outbound.pending();
        let all = pending.len();
        match self.stream.try_write_all(pending) {
            Ok(()) => {
                outbound.written(all);
                taken.give_back();
                Ok(length)
            }
            Err(written) => taken.into_guard().finish_message(length, written),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_message_in_turn(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        self.acquire(Purpose::Message)?.send(|outbound| outbound.message_with(message, compression))
    }

    /// Takes the sending half where nothing has to be considered and there is no trace.
    #[inline(always)]
    fn take_undisturbed(&self) -> Option<TakenOutbound<'_>> {
        let mut state = self.state();
        if !state.is_undisturbed() || Epoch::now().is_some() {
            return None;
        }
        let outbound = state.outbound.take();
        drop(state);
        outbound.is_some().then_some(TakenOutbound { shared: self, outbound })
    }

    /// Takes the sending half, and waits for it within the time for a send.
    pub(super) fn acquire<'a>(&'a self, purpose: Purpose) -> Result<WriteGuard<'a>> {
        let mut state = self.state();
        state.check(purpose)?;
        if state.overtaken == 0
            && let Some(outbound) = state.take_outbound(purpose)
        {
            drop(state);
            return Ok(WriteGuard::new(self, outbound, None));
        }
        self.wait_for_outbound(state, purpose, None)
    }

    /// The same within `longest` at most, which also covers what is written then.
    pub(super) fn acquire_within<'a>(&'a self, purpose: Purpose, longest: Option<Duration>) -> Result<WriteGuard<'a>> {
        let state = self.state();
        let mut deadline = send_deadline(&state);
        deadline.total = deadline.total.min(Deadline::after(longest));
        self.wait_for_outbound(state, purpose, Some(deadline))
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
        deadline: Option<SendDeadline>,
    ) -> Result<WriteGuard<'a>> {
        let deadline = deadline.unwrap_or_else(|| send_deadline(&state));
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
        if self.can_write() { Ok(!self.has_unsent()) } else { Err(self.write_error()) }
    }

    /// Sends our Close if it still waits to be sent, by the deadline.
    pub(super) fn send_queued_close(&self, deadline: Deadline) -> CloseSendStatus {
        let mut state = self.state();
        loop {
            match &state.close {
                CloseState::WriteFailed { .. } => return CloseSendStatus::Failed,
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

    /// Gives the sending half back, unless a control frame was queued that must be sent first: then both are returned.
    fn give_back(&self, outbound: Box<Outbound>) -> Option<(Box<Outbound>, QueuedControl)> {
        let mut state = self.state();
        let is_stuck = !outbound.pending().is_empty();
        if !is_stuck && let Some(control) = state.take_control(&outbound) {
            return Some((outbound, control));
        }
        self.put_back(state, outbound);
        None
    }

    fn put_back(&self, mut state: MutexGuard<'_, SendState>, outbound: Box<Outbound>) {
        let has_pending = !outbound.pending().is_empty() || self.stream.has_output();
        if !has_pending && outbound.close_sent().is_some() {
            state.close_left();
        }
        let unsent = has_pending || state.pong.is_some() || state.queued_close().is_some();
        self.set_unsent(unsent && state.close.can_write());
        state.outbound = Some(outbound);
        state.writer = WriterKind::Waiting;
        state.wake_all(self);
    }
}

impl SendState {
    /// The control frame that is to be sent next.
    fn take_control(&mut self, outbound: &Outbound) -> Option<QueuedControl> {
        if !self.close.can_write() {
            return None;
        }
        match self.queued_close() {
            Some(close) if outbound.close_sent().is_none() => Some(QueuedControl::Close(close.clone())),
            _ => self.pong.take().map(QueuedControl::Pong),
        }
    }

    /// The usual case: nobody else sends or wants to, nothing is queued, neither side has closed.
    #[inline]
    fn is_undisturbed(&self) -> bool {
        self.waiting == 0 && self.pong.is_none() && self.transaction.is_none() && matches!(self.close, CloseState::Open)
    }
}

impl<'a> WriteGuard<'a> {
    /// A payload is masked and written in chunks of this size: large enough that the system call is nothing, small enough that the
    /// kernel finds it in the second-level cache.
    pub(super) const CHUNK: usize = 256 * 1024;
    /// What is at least so long may take a while to leave.
    const LARGE: usize = 16 * 1024;
    /// So many control frames in a row are sent for the receiver: a peer that pings without end must not keep a sender from
    /// returning.
    const CONTROLS: usize = 4;

    fn new(shared: &'a SharedConnection, outbound: Box<Outbound>, deadline: Option<SendDeadline>) -> Self {
        let trace = match Epoch::now() {
            Some(epoch) if shared.is_traced(epoch, &outbound) => Tracing::On,
            _ => Tracing::Off,
        };
        let mut guard = Self::untraced(shared, Some(outbound));
        (guard.deadline, guard.trace) = (deadline, trace);
        guard
    }

    /// A guard whose time has not begun, without a trace.
    #[cold]
    const fn untraced(shared: &'a SharedConnection, outbound: Option<Box<Outbound>>) -> Self {
        Self { shared, outbound, deadline: None, condition: Condition::Whole, hold: Hold::Single, trace: Tracing::Off }
    }

    /// Keeps the half for a transaction of this thread, whose other calls are refused meanwhile.
    pub(super) fn exclusive(mut self) -> Self {
        self.shared.state().transaction = Some(Transaction::Exclusive(ThreadToken::current()));
        self.hold = Hold::Exclusive;
        self
    }

    /// Sends one frame, or nothing of it: when no byte has left by the deadline, it is rolled back.
    pub(super) fn send<N>(&mut self, encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>) -> Result<N> {
        let checkpoint = self.checkpoint();
        let length = encode(self.outbound())?;
        match self.flush() {
            Ok(()) => Ok(length),
            Err(error) => Err(self.roll_back(checkpoint, error)),
        }
    }

    /// Sends the rest of a message of which a first write has taken a part, or nothing.
    #[cold]
    #[inline(never)]
    fn finish_message(mut self, length: usize, written: io::Result<usize>) -> Result<usize> {
        let checkpoint = self.outbound().checkpoint_before_message(length);
        match self.flush_rest(written) {
            Ok(()) => Ok(length),
            Err(error) => Err(self.roll_back(checkpoint, error)),
        }
    }

    /// Sends one frame by the deadline, if that goes. Before a byte of it has left it is rolled back; otherwise the rest stays
    /// pending, since this frame is no reason to end the connection. A timeout says that nothing has left at all, also of what
    /// was pending before.
    pub(super) fn send_or_leave_pending<N>(
        &mut self,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        let checkpoint = self.checkpoint();
        let left = self.outbound().left();
        let length = encode(self.outbound())?;
        match self.flush() {
            Err(error) if error.is_timeout() && matches!(self.condition, Condition::Whole) => {
                self.outbound().rollback(checkpoint);
                Err(if self.outbound().left() > left { Error::Full } else { error })
            }
            flushed => flushed.map(|()| length),
        }
    }

    /// Sends one frame of about `size` bytes without waiting, or nothing of it: what does not leave at once stays pending, as long
    /// as that is no more than `limit` bytes.
    pub(super) fn send_now<N>(
        &mut self,
        size: usize,
        limit: usize,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        self.flush_now()?;
        let outbound = self.outbound();
        if size > limit.saturating_sub(outbound.pending().len()) {
            return Err(Error::Full);
        }
        outbound.compact();
        let length = encode(outbound)?;
        self.flush_now()?;
        Ok(length)
    }

    /// Sends a message in several steps. If one fails, or panics since a reader of the user's does, nothing of it may remain: what
    /// has not left is rolled back, otherwise the connection cannot go on.
    pub(super) fn send_in_steps<T>(&mut self, steps: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let checkpoint = self.checkpoint();
        self.condition = Condition::Unfinished(checkpoint);
        let sent = steps(self);
        if let Condition::Unfinished(_) = self.condition {
            self.condition = Condition::Whole;
        }
        sent.map_err(|error| self.roll_back(checkpoint, error))
    }

    /// Encodes without sending; [`flush`](Self::flush) sends.
    #[inline]
    pub(super) fn encode<N>(
        &mut self,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        self.check()?;
        encode(self.outbound()).map_err(Error::Usage)
    }

    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be written any more.
    pub(super) fn check(&self) -> Result<()> {
        match self.condition {
            Condition::Whole | Condition::Unfinished(_) => Ok(()),
            Condition::Failed => Err(self.shared.write_error()),
        }
    }

    /// How many bytes are encoded and not sent.
    pub(super) fn pending(&mut self) -> usize {
        self.outbound().pending().len()
    }

    /// Where what is encoded next begins, for [`roll_back`](Self::roll_back).
    pub(super) fn checkpoint(&mut self) -> Checkpoint {
        self.outbound().checkpoint()
    }

    /// Takes back what was encoded since the checkpoint. If a byte of it has left, the connection cannot go on. Returns the error
    /// for the caller, who was given `error`.
    #[cold]
    pub(super) fn roll_back(&mut self, checkpoint: Checkpoint, error: Error) -> Error {
        if let Condition::Failed = self.condition {
            return error;
        }
        if !self.outbound().has_left_since(checkpoint) {
            // Where nothing was encoded yet, there is nothing to take back.
            self.outbound().rollback(checkpoint);
            return error;
        }
        match error {
            Error::Usage(broken) => self.fail(CloseCause::Unfinished(broken)),
            error => {
                self.fail(CloseCause::TornFrame);
                error
            }
        }
    }

    /// Writes what is pending. After a timeout the rest stays, to be rolled back if it may be: nothing may follow a frame that was
    /// written in part.
    pub(super) fn flush(&mut self) -> Result<()> {
        let shared = self.shared;
        let pending = self.outbound().pending();
        let all = pending.len();
        match shared.stream.try_write_all(pending) {
            Ok(()) => {
                self.note_written(all);
                Ok(())
            }
            Err(written) => self.flush_rest(written),
        }
    }

    /// Waits until the rest of what is pending has left too.
    #[cold]
    fn flush_rest(&mut self, written: io::Result<usize>) -> Result<()> {
        let shared = self.shared;
        self.check()?;
        match written {
            Ok(length) => self.note_written(length),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(self.fail(CloseCause::Lost(error.kind()))),
        }
        let deadline = *self.deadline.get_or_insert_with(|| send_deadline(&shared.state()));
        let pending = self.outbound().pending();
        let is_large = pending.len() >= Self::LARGE;
        if is_large {
            shared.activity.begin_large_send();
        }
        let flushed = shared.stream.write_all(pending, deadline);
        if is_large {
            shared.activity.end_large_send();
        }
        match flushed {
            Ok(()) => {
                let length = self.pending();
                self.note_written(length);
                Ok(())
            }
            Err(failure) if is_timeout(&failure.error) => {
                self.note_written(failure.taken);
                Err(Error::Timeout(Phase::Send))
            }
            Err(failure) => Err(self.fail(CloseCause::Lost(failure.error.kind()))),
        }
    }

    /// Writes what goes without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be written any more.
    fn flush_now(&mut self) -> Result<()> {
        let shared = self.shared;
        self.check()?;
        if shared.stream.has_output()
            && let Err(error) = shared.stream.try_flush()
        {
            return Err(self.fail(CloseCause::Lost(error.kind())));
        }
        while self.pending() > 0 {
            match shared.stream.try_write(self.outbound().pending()) {
                Ok(0) => break,
                Ok(length) => {
                    self.note_written(length);
                    shared.event_loop.count_sent(length);
                }
                Err(error) if is_timeout(&error) => break,
                Err(error) => return Err(self.fail(CloseCause::Lost(error.kind()))),
            }
        }
        Ok(())
    }

    /// Sends our Close, and waits for that until the deadline of the guard. What has not left by then stays pending.
    fn flush_close(mut self) {
        let control = self.shared.state().take_control(self.outbound());
        if let Some(control) = control {
            self.encode_control(&control);
        }
        // Failures are in the state now, where the caller looks.
        let _ = self.flush();
    }

    pub(super) fn set_mask_keys(&mut self, keys: MaskKeys) {
        self.outbound().set_mask_keys(keys);
    }

    /// Nothing more can be written: drops what is pending, and says so to all.
    #[cold]
    fn fail(&mut self, cause: CloseCause) -> Error {
        self.condition = Condition::Failed;
        self.outbound().discard_pending();
        self.shared.write_failed(cause)
    }

    fn encode_control(&mut self, control: &QueuedControl) {
        let outbound = self.outbound();
        // Neither can be refused: a pong repeats what a ping brought, and a Close was checked before it was queued.
        let _ = match control {
            QueuedControl::Pong(payload) => outbound.pong(payload.as_slice()),
            QueuedControl::Close(close) => outbound.close(close),
        };
    }

    /// Takes note that the first `length` pending bytes were written.
    fn note_written(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        if self.trace == Tracing::On {
            self.shared.trace_sent(&self.outbound().pending()[..length]);
        }
        self.outbound().written(length);
    }

    #[inline]
    pub(super) fn outbound(&mut self) -> &mut Outbound {
        self.outbound.as_mut().expect("the sending half is there until the guard is dropped")
    }

    /// Gives the half back after the control frames that were queued meanwhile.
    #[cold]
    fn give_back(&mut self) {
        if let Condition::Unfinished(checkpoint) = self.condition {
            self.condition = Condition::Whole;
            drop(self.roll_back(checkpoint, Error::Full));
        }
        if self.hold == Hold::Exclusive {
            self.shared.state().transaction = None;
        }
        // What fails is in the state, where the next call finds it.
        let _ = self.flush_now();
        // A source of masking keys may panic: a second time would end the process.
        let controls = if thread::panicking() { 0 } else { Self::CONTROLS };
        for _ in 0..controls {
            let Some(outbound) = self.outbound.take() else { return };
            let Some((outbound, control)) = self.shared.give_back(outbound) else { return };
            self.outbound = Some(outbound);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.encode_control(&control))) {
                self.put_back();
                resume_unwind(panic);
            }
            let _ = self.flush_now();
        }
        self.put_back();
    }

    fn put_back(&mut self) {
        if let Some(outbound) = self.outbound.take() {
            self.shared.put_back(self.shared.state(), outbound);
        }
    }
}

impl Drop for WriteGuard<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl SharedConnection {
    /// Whether the trace has seen all that was written since `epoch` began, or can begin now: between two frames.
    #[cold]
    fn is_traced(&self, epoch: Epoch, outbound: &Outbound) -> bool {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        if !trace.follows(epoch) && outbound.pending().is_empty() && !outbound.is_inside_frame() {
            trace.join(epoch, 0);
        }
        trace.follows(epoch)
    }

    #[cold]
    fn trace_sent(&self, bytes: &[u8]) {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).pass(bytes);
    }
}

/// The time for a send, from now.
fn send_deadline(state: &SendState) -> SendDeadline {
    match state.timeouts.send {
        Some(limit) => SendDeadline::until(Deadline::after(Some(limit))),
        None => SendDeadline::while_progressing(STALL),
    }
}
