//! The right to write: the sending half of a connection in the hands of one thread.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::PoisonError;
use std::thread;

use super::MessageWriter;
use super::acquire::{QueuedControl, send_deadline};
use super::shared::{SharedConnection, Transaction};
use crate::error::{CloseCause, CloseInfo, Error, Phase, Result};
use crate::net::{Layer, SendDeadline, is_timeout};
use crate::protocol::{Checkpoint, CloseCode, CloseFrame, LocalProtocolError, MaskKeys, Outbound};
use crate::sync::ThreadToken;
use crate::trace::Epoch;

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

impl<'a> WriteGuard<'a> {
    /// A payload is masked and written in chunks of this size: large enough that the system call is nothing, small enough that the
    /// kernel finds it in the second-level cache.
    pub(super) const CHUNK: usize = 256 * 1024;
    /// What is at least so long may take a while to leave.
    const LARGE: usize = 16 * 1024;
    /// So many control frames in a row are sent for the receiver: a peer that pings without end must not keep a sender from
    /// returning.
    const CONTROLS: usize = 4;

    pub(super) fn new(shared: &'a SharedConnection, outbound: Box<Outbound>, deadline: Option<SendDeadline>) -> Self {
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
    pub(super) const fn untraced(shared: &'a SharedConnection, outbound: Option<Box<Outbound>>) -> Self {
        Self { shared, outbound, deadline: None, condition: Condition::Whole, hold: Hold::Single, trace: Tracing::Off }
    }

    /// Keeps the half for a transaction of this thread, whose other calls are refused meanwhile.
    pub(super) fn exclusive(mut self) -> Self {
        self.shared.state().transaction = Some(Transaction::Exclusive(ThreadToken::current()));
        self.hold = Hold::Exclusive;
        self
    }

    /// What follows has the time of a send of its own: what the user has done meanwhile is no wait for the network.
    pub(super) const fn renew_deadline(&mut self) {
        self.deadline = None;
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

    /// By when what is sent must have left, once its time has begun to run: for those that follow within the same time.
    pub(super) const fn deadline(&self) -> Option<SendDeadline> {
        self.deadline
    }

    /// Sends the rest of a message of which a first write has taken a part, or nothing.
    #[cold]
    #[inline(never)]
    pub(super) fn finish_message(mut self, length: usize, written: io::Result<usize>) -> Result<usize> {
        let checkpoint = self.outbound().checkpoint_before_message(length);
        match self.flush_rest(written) {
            Ok(()) => Ok(length),
            Err(error) => Err(self.roll_back(checkpoint, error)),
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
        if !error.is_timeout() && !thread::panicking() && self.is_between_fragments() {
            return self.give_up_message(error);
        }
        match error {
            Error::Usage(broken) => self.fail(CloseCause::Unfinished(broken)),
            error => {
                self.fail(CloseCause::TornFrame);
                error
            }
        }
    }

    /// Whether fragments of a message have left, each of them whole, and more are to come.
    fn is_between_fragments(&mut self) -> bool {
        let outbound = self.outbound();
        outbound.in_progress().is_some() && !outbound.is_inside_frame() && outbound.pending().is_empty()
    }

    /// Closes the connection in the midst of a message in fragments, so that half of it does not pass for all. Returns the error for the
    /// caller, who was given `error`.
    #[cold]
    fn give_up_message(&mut self, error: Error) -> Error {
        let shared = self.shared;
        if let Ok(close) = CloseFrame::new(CloseCode::INTERNAL_ERROR, MessageWriter::UNFINISHED)
            && shared.queue_close(close)
        {
            self.deadline = Some(SendDeadline::until(shared.closing_deadline()));
            self.write_close();
            // If it could not leave, the receive that follows may still send it.
            shared.state().renew_send_by();
            shared.watch_blocked_receive();
        }
        match error {
            Error::Usage(broken) => {
                let cause = CloseCause::Unfinished(broken);
                Error::Closed(Box::new(CloseInfo::new(CloseCode::INTERNAL_ERROR, "", cause)))
            }
            error => error,
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
    pub(super) fn flush_close(mut self) {
        self.write_close();
    }

    fn write_close(&mut self) {
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
        // None can be refused: a pong repeats what a ping brought, a Close was checked before it was queued, and so was the length of a ping.
        let _ = match control {
            QueuedControl::Pong(payload) => outbound.pong(payload.as_slice()),
            QueuedControl::Ping(payload) => outbound.ping(payload.as_slice()),
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
        // A transport or a source of masking keys of the user's may panic: the half is given back all the same, and there is no second
        // panic, which would end the process.
        let sent =
            if thread::panicking() { Ok(()) } else { catch_unwind(AssertUnwindSafe(|| self.send_queued_controls())) };
        self.put_back();
        sent.unwrap_or_else(|panic| resume_unwind(panic));
    }

    /// Writes what goes without waiting, then the control frames that were queued meanwhile.
    fn send_queued_controls(&mut self) {
        // What fails is in the state, where the next call finds it.
        let _ = self.flush_now();
        for _ in 0..Self::CONTROLS {
            let Some(outbound) = self.outbound.take() else { return };
            let Some((outbound, control)) = self.shared.put_back_or_take_control(outbound) else { return };
            self.outbound = Some(outbound);
            self.encode_control(&control);
            let _ = self.flush_now();
        }
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
