//! What the threads of a connection share: who may write, what waits to be sent, how far the closing handshake has come.
//!
//! One lock guards this state and is never held across a wait for the network. The sending half is not locked but taken out
//! of the state: the thread that writes holds it in a [`WriteGuard`](super::write_guard::WriteGuard), all others see that it is
//! taken, wait for it with a deadline of their own, or leave a control frame for its holder to send. So the thread that
//! receives never waits for one that sends.

use std::io;
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};

use super::event_loop::{Activity, ActivitySnapshot, EventLoop};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::{Deadline, Stream};
use crate::options::Timeouts;
use crate::protocol::{
    CloseCode, CloseFrame, LocalProtocolError, MAX_CONTROL_PAYLOAD, MaskKeys, Outbound, ProtocolError, Role,
};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, ThreadToken, thread};
use crate::trace::{FrameTap, TraceDirection, Tracer};

/// A connection as all its threads see it.
#[derive(Debug)]
pub(crate) struct SharedConnection {
    /// For the thread that keeps the closing deadline.
    this: Weak<Self>,
    pub(super) stream: Stream,
    pub(super) role: Role,
    pub(super) activity: Activity,
    pub(super) event_loop: EventLoop,
    /// Of what is sent. Used by whoever holds the sending half.
    pub(super) trace: Mutex<FrameTap>,
    state: Mutex<SendState>,
    /// The sending half was given back, a transaction has ended, or the state of the closing handshake has changed.
    pub(super) changed: Condvar,
    /// Something waits to be sent, and perhaps nobody is about to send it. Written under the lock, read without it.
    has_unsent: AtomicBool,
    /// The thread that received last, or else made the connection: it must not wait for itself.
    receiver: AtomicU64,
    /// How many bytes may be pending that were sent without waiting.
    pub(super) max_unsent: usize,
    /// The process that made the connection: its copy in a forked child must not be written to.
    process: u32,
}

/// The state behind the lock.
#[derive(Debug)]
pub(super) struct SendState {
    /// The sending half, unless a thread has taken it.
    pub(super) outbound: Option<Box<Outbound>>,
    /// How the thread that has taken it writes.
    pub(super) writer: WriterKind,
    /// How many threads wait for [`SharedConnection::changed`].
    pub(super) waiting: usize,
    /// How many of them were woken for the sending half, and found that a newcomer had taken it.
    pub(super) overtaken: usize,
    pub(super) transaction: Option<Transaction>,
    /// The pong that is due. A later ping replaces it (RFC 6455, section 5.5.3).
    pub(super) pong: Option<ControlPayload>,
    pub(super) close: CloseState,
    pub(super) timeouts: Timeouts,
}

/// Whether the thread that has taken the sending half may wait for the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WriterKind {
    /// It may.
    Waiting,
    /// It writes what goes without waiting, and gives the half back at once: even a call that does not wait may wait for that.
    Immediate,
}

/// What one thread sends with more than one frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Transaction {
    /// A message in fragments: other messages wait for its end, control frames pass between the fragments.
    Fragments(ThreadToken),
    /// The same from a reader of the user's: a Close of this thread would have to leave before the end of the message.
    Reader(ThreadToken),
    /// A batch, or a message from a reader of the user's: this thread holds the sending half until the end.
    Exclusive(ThreadToken),
}

/// What the sending half is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Purpose {
    /// A message of its own, or a fragment of one that is sent by hand.
    Message,
    /// A fragment of the message that a writer of this thread sends.
    Fragment,
    /// A control frame: it may stand between fragments (RFC 6455, section 5.4).
    Control,
    /// Our Close: nothing can follow it.
    Close,
}

/// How far the closing handshake has come (RFC 6455, section 7).
#[derive(Debug)]
pub(super) enum CloseState {
    /// Neither side has closed.
    Open,
    /// Our Close waits to be sent.
    Queued { ours: CloseFrame, send_by: Deadline },
    /// Our Close has left, the peer's is awaited.
    Sent { ours: CloseFrame, answer_by: Deadline },
    /// The peer has closed or broken a rule, which decides how the connection ends; it is over by `until`. `ours` is our Close
    /// while it waits to be sent.
    Ending { info: CloseInfo, ours: Option<CloseFrame>, until: Deadline },
    /// Nothing more can be sent. What was received before, or comes until `read_by`, may say why.
    WriteFailed { info: CloseInfo, read_by: Deadline },
    /// The connection is over.
    Closed(CloseInfo),
}

/// The payload of a control frame, kept without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct ControlPayload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    length: usize,
}

impl SharedConnection {
    pub(super) fn new(
        stream: Stream,
        role: Role,
        outbound: Outbound,
        timeouts: Timeouts,
        max_unsent: usize,
        tracer: Tracer,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            stream,
            role,
            activity: Activity::default(),
            event_loop: EventLoop::default(),
            trace: Mutex::new(FrameTap::new(tracer, TraceDirection::Sent)),
            state: Mutex::new(SendState {
                outbound: Some(Box::new(outbound)),
                writer: WriterKind::Waiting,
                waiting: 0,
                overtaken: 0,
                transaction: None,
                pong: None,
                close: CloseState::Open,
                timeouts,
            }),
            changed: Condvar::new(),
            has_unsent: AtomicBool::new(false),
            receiver: AtomicU64::new(ThreadToken::current().number()),
            max_unsent,
            process: std::process::id(),
        })
    }

    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, SendState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change of the state, at most until `deadline`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline is over.
    pub(super) fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, SendState>,
        deadline: Deadline,
    ) -> (MutexGuard<'a, SendState>, io::Result<()>) {
        let timeout = match deadline.remaining() {
            Ok(timeout) => timeout,
            Err(error) => return (state, Err(error)),
        };
        state.waiting += 1;
        let mut state = match timeout {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.changed.wait_timeout(state, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        state.waiting -= 1;
        (state, Ok(()))
    }

    /// Whether something waits to be sent that perhaps nobody is about to send.
    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        self.has_unsent.load(Ordering::Relaxed) || self.stream.has_output()
    }

    /// The same without what TLS has.
    #[inline]
    pub(super) fn is_marked_unsent(&self) -> bool {
        self.has_unsent.load(Ordering::Relaxed)
    }

    /// Notes whether something waits to be sent; an event loop is woken for it. Called under the lock.
    pub(super) fn set_unsent(&self, unsent: bool) {
        if self.has_unsent.load(Ordering::Relaxed) != unsent {
            self.has_unsent.store(unsent, Ordering::Relaxed);
            if unsent {
                self.event_loop.wake();
            }
        }
    }

    /// Queues the answer to a ping (RFC 6455, section 5.5.2).
    pub(super) fn queue_pong(&self, payload: &[u8]) {
        let mut state = self.state();
        if matches!(state.close, CloseState::Open | CloseState::Sent { .. }) {
            state.pong = Some(ControlPayload::new(payload));
            self.has_unsent.store(true, Ordering::Relaxed);
        }
    }

    /// Queues our Close unless there was one; the first counts, and there is never a second on the wire (section 5.5.1).
    pub(super) fn queue_close(&self, close: CloseFrame) -> bool {
        let mut state = self.state();
        if !matches!(state.close, CloseState::Open) {
            return false;
        }
        let send_by = state.close_deadline();
        state.close = CloseState::Queued { ours: close, send_by };
        state.pong = None;
        self.has_unsent.store(true, Ordering::Relaxed);
        drop(state);
        self.event_loop.wake();
        true
    }

    /// The peer's Close was received: queues the answer, unless it answers ours (section 5.5.1). Returns how the connection ends.
    pub(super) fn receive_close(&self, theirs: &CloseFrame, first: CloseCause) -> CloseInfo {
        let mut state = self.state();
        let answer = CloseFrame { code: theirs.code, reason: String::new() };
        let (cause, ours) = match &mut state.close {
            CloseState::Open => (CloseCause::Remote, Some(answer)),
            CloseState::Queued { ours, .. } => (first, Some(ours.clone())),
            CloseState::Sent { .. } => (first, None),
            CloseState::WriteFailed { info, .. } => {
                let info = info.with_close(theirs);
                return self.end_unanswered(state, info);
            }
            CloseState::Ending { info, .. } => return info.clone(),
            CloseState::Closed(info) => {
                // This side had ended it meanwhile. What the peer said last counts.
                if !info.is_decided_by_peer() {
                    *info = info.with_close(theirs);
                }
                return info.clone();
            }
        };
        let info = CloseInfo::new(theirs.code, &theirs.reason, cause);
        self.begin_ending(state, info.clone(), ours);
        log::debug!("connection closed: {info}");
        info
    }

    /// The peer broke a rule: queues the Close that says which (section 7.1.7). Returns how the connection ends.
    #[cold]
    pub(super) fn receive_violation(&self, error: ProtocolError, reason: &str) -> CloseInfo {
        log::debug!("peer violated the protocol: {error}");
        let state = self.state();
        let ours = match &state.close {
            CloseState::Open => CloseFrame::new(error.close_code(), "").ok(),
            CloseState::Queued { ours, .. } => Some(ours.clone()),
            CloseState::Sent { .. } => None,
            CloseState::WriteFailed { .. } => {
                let info = CloseInfo::new(error.close_code(), reason, CloseCause::Violation(error));
                return self.end_unanswered(state, info);
            }
            CloseState::Ending { info, .. } | CloseState::Closed(info) => return info.clone(),
        };
        let info = CloseInfo::new(error.close_code(), reason, CloseCause::Violation(error));
        self.begin_ending(state, info.clone(), ours);
        info
    }

    /// No pong is due any more (section 5.5.2).
    fn begin_ending(&self, mut state: MutexGuard<'_, SendState>, info: CloseInfo, ours: Option<CloseFrame>) {
        if ours.is_some() {
            self.has_unsent.store(true, Ordering::Relaxed);
        }
        // Our own closing deadline holds for what is left to do, too.
        let until = match state.close {
            CloseState::Sent { answer_by, .. } => answer_by,
            _ => state.close_deadline(),
        };
        state.close = CloseState::Ending { info, ours, until };
        state.pong = None;
        state.wake_all(self);
    }

    /// The peer has said why it ends a connection that nothing can be sent on: there is nothing more to do.
    fn end_unanswered(&self, mut state: MutexGuard<'_, SendState>, info: CloseInfo) -> CloseInfo {
        state.close = CloseState::Closed(info.clone());
        state.wake_all(self);
        drop(state);
        let _ = self.stream.shutdown(Shutdown::Both);
        info
    }

    /// Ends the connection. What was decided before counts; how it ended is returned.
    pub(super) fn end(&self, info: CloseInfo) -> CloseInfo {
        let mut state = self.state();
        let info = match &state.close {
            CloseState::Closed(info) => return info.clone(),
            CloseState::Ending { info, .. } | CloseState::WriteFailed { info, .. } => info.clone(),
            CloseState::Open | CloseState::Queued { .. } | CloseState::Sent { .. } => info,
        };
        state.close = CloseState::Closed(info.clone());
        state.pong = None;
        self.has_unsent.store(false, Ordering::Relaxed);
        state.wake_all(self);
        info
    }

    /// Ends the connection at once: whoever reads or writes is woken.
    pub(crate) fn abort(&self, cause: CloseCause) -> CloseInfo {
        let info = self.end(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause));
        // The socket may be gone already; that is what is wanted.
        let _ = self.stream.shutdown(Shutdown::Both);
        info
    }

    /// A read failed.
    pub(super) fn read_failed(&self, kind: io::ErrorKind) -> Error {
        let cause = self.state().close.cause_of_loss(kind);
        Error::Closed(Box::new(self.abort(cause)))
    }

    /// A write failed, or a frame was written in part and cannot be finished: nothing more is sent. A peer that closes and goes
    /// does that to whoever is sending, so what it said last is still received: see [`CloseState::WriteFailed`].
    #[cold]
    pub(super) fn write_failed(&self, cause: CloseCause) -> Error {
        let mut state = self.state();
        let mut read_by = state.close_deadline();
        let info = match &mut state.close {
            CloseState::Open => CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause),
            CloseState::Queued { .. } => CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Unanswered),
            CloseState::Sent { answer_by, .. } => {
                read_by = *answer_by;
                CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Unanswered)
            }
            CloseState::Ending { info, ours, .. } => {
                *ours = None;
                let info = info.clone();
                state.wake_all(self);
                return Error::Closed(Box::new(info));
            }
            CloseState::WriteFailed { info, .. } | CloseState::Closed(info) => {
                return Error::Closed(Box::new(info.clone()));
            }
        };
        state.close = CloseState::WriteFailed { info: info.clone(), read_by };
        state.pong = None;
        self.has_unsent.store(false, Ordering::Relaxed);
        state.wake_all(self);
        drop(state);
        self.event_loop.wake();
        match cause {
            // Nothing has arrived that a receive could wait behind, and nothing more is to be expected.
            CloseCause::Lost(_) if self.activity.is_blocked() => drop(self.stream.shutdown(Shutdown::Both)),
            // A peer that still reads finds out, and hangs up sooner.
            _ => {
                let _ = self.stream.shutdown(Shutdown::Write);
                self.watch_blocked_receive();
            }
        }
        Error::Closed(Box::new(info))
    }

    /// The error for a call on a connection that is over.
    pub(super) fn closed(&self) -> Option<Error> {
        match &self.state().close {
            CloseState::Closed(info) => Some(Error::Closed(Box::new(info.clone()))),
            _ => None,
        }
    }

    /// How a connection that nothing can be sent on ends with this Close of the peer; `None` in any other state.
    pub(super) fn close_info_after_failed_write(&self, theirs: &CloseFrame) -> Option<CloseInfo> {
        match &self.state().close {
            CloseState::WriteFailed { info, .. } => Some(info.with_close(theirs)),
            _ => None,
        }
    }

    /// Whether nothing more can be sent, and what has arrived may say why.
    pub(super) fn has_failed_write(&self) -> bool {
        matches!(self.state().close, CloseState::WriteFailed { .. })
    }

    /// How the connection ended or is about to end, if that is known.
    pub(super) fn close_info(&self) -> Option<CloseInfo> {
        self.state().close.info().cloned()
    }

    /// The error for a write where nothing can be written any more.
    #[cold]
    pub(super) fn write_error(&self) -> Error {
        self.close_info().map_or_else(super::not_connected, |info| Error::Closed(Box::new(info)))
    }

    /// Whether the connection is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().close, CloseState::Closed(_))
    }

    /// Whether the connection stands: messages can be sent, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state().close, CloseState::Open)
    }

    /// Whether anything can still be sent, if only our Close.
    pub(super) fn can_write(&self) -> bool {
        self.state().close.can_write()
    }

    /// By when what the closing handshake waits for must have come.
    pub(super) fn closing_deadline(&self) -> Deadline {
        self.state().close.deadline()
    }

    /// A receive is about to wait, or to look without waiting. Returns the closing deadline, which it has to heed; whoever
    /// changes that later finds the receive noted here.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over.
    pub(super) fn begin_receive(&self, deadline: Deadline) -> Result<Deadline> {
        let state = self.state();
        if let CloseState::Closed(info) = &state.close {
            return Err(Error::Closed(Box::new(info.clone())));
        }
        self.activity.begin_wait(deadline);
        Ok(state.close.deadline())
    }

    /// Notes which thread receives.
    pub(super) fn set_receiver(&self, thread: ThreadToken) {
        self.receiver.store(thread.number(), Ordering::Relaxed);
    }

    /// Whether the calling thread is the one that receives: it must not wait for itself.
    pub(super) fn is_receiver(&self) -> bool {
        self.receiver.load(Ordering::Relaxed) == ThreadToken::current().number()
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

    /// A message in fragments is in progress, until [`end_fragments`](Self::end_fragments).
    pub(super) fn set_fragments(&self, transaction: Transaction) {
        let mut state = self.state();
        state.transaction = Some(transaction);
        state.wake_all(self);
    }

    /// The message in fragments is finished or given up. No other transaction can have begun before.
    pub(super) fn end_fragments(&self) {
        let mut state = self.state();
        state.transaction = None;
        state.wake_all(self);
    }

    /// Whether this process made the connection; a forked child has a copy that it must leave alone.
    pub(super) fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether anything comes in.
    pub(crate) fn activity(&self) -> ActivitySnapshot {
        let activity = self.activity.snapshot();
        // What was sent without waiting may still be here, and a ping behind it.
        let leaving = self.event_loop.is_attached() && self.has_unsent();
        ActivitySnapshot { received: activity.received + self.stream.arrived(), waiting: activity.waiting && !leaving }
    }

    /// Takes a new source of masking keys.
    pub(crate) fn set_mask_keys(&self, keys: MaskKeys) -> Result<()> {
        self.acquire(Purpose::Control)?.set_mask_keys(keys);
        Ok(())
    }

    /// How much memory the sending half holds, in bytes; 0 while a thread has taken it.
    pub(super) fn memory(&self) -> usize {
        self.state().outbound.as_ref().map_or(0, |outbound| outbound.memory())
    }

    /// Gives back the memory that a burst has taken, unless it is in use.
    pub(super) fn release_memory(&self) {
        if let Some(outbound) = &mut self.state().outbound {
            outbound.release();
        }
        self.stream.release();
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.state().timeouts
    }

    pub(crate) fn set_timeouts(&self, change: impl FnOnce(&mut Timeouts)) {
        change(&mut self.state().timeouts);
    }
}

impl SendState {
    /// Whether a call may send at all.
    #[inline]
    pub(super) fn check(&self, purpose: Purpose) -> Result<()> {
        if matches!((&self.close, self.transaction), (CloseState::Open, None)) {
            return Ok(());
        }
        self.refusal(purpose).map_or(Ok(()), Err)
    }

    #[cold]
    fn refusal(&self, purpose: Purpose) -> Option<Error> {
        let closed = match &self.close {
            CloseState::Open => None,
            CloseState::Queued { ours, .. } | CloseState::Sent { ours, .. } => {
                Some(CloseInfo::new(ours.code, &ours.reason, CloseCause::Closing))
            }
            CloseState::Ending { info, .. } | CloseState::WriteFailed { info, .. } | CloseState::Closed(info) => {
                Some(info.clone())
            }
        };
        closed.map(|info| Error::Closed(Box::new(info))).or_else(|| self.own_transaction(purpose))
    }

    /// The error for a thread that would wait for what it sends itself.
    pub(super) fn own_transaction(&self, purpose: Purpose) -> Option<Error> {
        let is_own = match self.transaction {
            None => false,
            Some(Transaction::Fragments(thread)) => purpose == Purpose::Message && thread.is_current(),
            Some(Transaction::Reader(thread)) => {
                matches!(purpose, Purpose::Message | Purpose::Close) && thread.is_current()
            }
            Some(Transaction::Exclusive(thread)) => thread.is_current(),
        };
        is_own.then_some(Error::Usage(LocalProtocolError::SendingMessage))
    }

    /// The sending half, if it is there and this may be sent now.
    #[inline]
    pub(super) fn take_outbound(&mut self, purpose: Purpose) -> Option<Box<Outbound>> {
        if self.is_held_up(purpose) { None } else { self.outbound.take() }
    }

    /// Whether a message in fragments has to be finished first.
    #[inline]
    pub(super) fn is_held_up(&self, purpose: Purpose) -> bool {
        purpose == Purpose::Message
            && matches!(self.transaction, Some(Transaction::Fragments(_) | Transaction::Reader(_)))
    }

    /// Our Close, if it waits to be sent.
    pub(super) const fn queued_close(&self) -> Option<&CloseFrame> {
        match &self.close {
            CloseState::Queued { ours, .. } => Some(ours),
            CloseState::Ending { ours: Some(ours), .. } => Some(ours),
            _ => None,
        }
    }

    /// Our Close has left: the time for the peer's begins to run.
    pub(super) fn close_left(&mut self) {
        let answer_by = self.close_deadline();
        match &mut self.close {
            CloseState::Queued { ours, .. } => {
                let ours = std::mem::replace(ours, CloseFrame::empty());
                self.close = CloseState::Sent { ours, answer_by };
            }
            CloseState::Ending { ours, .. } => *ours = None,
            CloseState::Open | CloseState::Sent { .. } | CloseState::WriteFailed { .. } | CloseState::Closed(_) => {}
        }
    }

    /// Gives our Close, which found no room in time, the same time again: the receive that follows may still send it.
    pub(super) fn renew_send_by(&mut self) {
        let renewed = self.close_deadline();
        if let CloseState::Queued { send_by, .. } = &mut self.close {
            *send_by = renewed;
        }
    }

    /// The close timeout, from now.
    fn close_deadline(&self) -> Deadline {
        Deadline::after(Some(self.timeouts.close))
    }

    pub(super) fn wake_all(&self, connection: &SharedConnection) {
        if self.waiting > 0 {
            connection.changed.notify_all();
        }
    }
}

impl CloseState {
    /// How the connection ends, if that is known.
    const fn info(&self) -> Option<&CloseInfo> {
        match self {
            Self::Open | Self::Queued { .. } | Self::Sent { .. } => None,
            Self::Ending { info, .. } | Self::WriteFailed { info, .. } | Self::Closed(info) => Some(info),
        }
    }

    pub(super) const fn can_write(&self) -> bool {
        match self {
            Self::Open | Self::Queued { .. } | Self::Sent { .. } | Self::Ending { .. } => true,
            Self::WriteFailed { .. } | Self::Closed(_) => false,
        }
    }

    /// By when this state must have come to its end.
    pub(super) const fn deadline(&self) -> Deadline {
        match self {
            Self::Queued { send_by, .. } => *send_by,
            Self::Sent { answer_by, .. } => *answer_by,
            Self::Ending { until, .. } => *until,
            Self::WriteFailed { read_by, .. } => *read_by,
            Self::Open | Self::Closed(_) => Deadline::NEVER,
        }
    }

    /// What the loss of the connection means: after our Close, that it was not answered.
    fn cause_of_loss(&self, kind: io::ErrorKind) -> CloseCause {
        match self {
            Self::Queued { .. } | Self::Sent { .. } => CloseCause::Unanswered,
            _ => CloseCause::Lost(kind),
        }
    }
}

impl ControlPayload {
    fn new(payload: &[u8]) -> Self {
        let length = payload.len().min(MAX_CONTROL_PAYLOAD);
        let mut bytes = [0; MAX_CONTROL_PAYLOAD];
        bytes[..length].copy_from_slice(&payload[..length]);
        Self { bytes, length }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
