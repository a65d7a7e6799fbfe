//! What the threads of a connection share: who may write, what waits to be sent, how far the closing handshake has come.
//!
//! One lock guards this state and is never held across a wait for the network. The sending half is not locked but taken out
//! of the state: the thread that writes holds it in a [`WriteGuard`](super::write_guard::WriteGuard), all others see that it is
//! taken, wait for it with a deadline of their own, or leave a control frame for its holder to send. So the thread that
//! receives never waits for one that sends.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::acquire::STALL;
use super::close_state::CloseState;
use super::event_loop::{Activity, ActivitySnapshot, EventLoop};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::{Deadline, Layer, Stream};
use crate::options::Timeouts;
use crate::protocol::{LocalProtocolError, MAX_CONTROL_PAYLOAD, MaskKeys, Outbound, Role};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, ThreadToken};
use crate::trace::{FrameTap, TraceDirection, Tracer};

/// A connection as all its threads see it.
#[derive(Debug)]
pub(crate) struct SharedConnection {
    /// For the thread that keeps the closing deadline.
    pub(super) this: Weak<Self>,
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
    pub(super) has_unsent: AtomicBool,
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
    /// The ping of a keepalive that found no room, or its turn taken. A later one replaces it.
    pub(super) ping: Option<Box<ControlPayload>>,
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
                ping: None,
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

    /// Notes whether something waits to be sent, and returns whether an event loop is to be woken for it. Called under the lock,
    /// under which nobody is woken: who wakes is the user's.
    #[must_use]
    pub(super) fn set_unsent(&self, unsent: bool) -> bool {
        let was_unsent = self.has_unsent.load(Ordering::Relaxed);
        if was_unsent != unsent {
            self.has_unsent.store(unsent, Ordering::Relaxed);
        }
        unsent && !was_unsent
    }

    /// Queues the answer to a ping, unless none is due any more (RFC 6455, section 5.5.2); whether it is.
    pub(super) fn queue_pong(&self, payload: &[u8]) -> bool {
        let mut state = self.state();
        let is_due = matches!(state.close, CloseState::Open | CloseState::Sent { .. });
        if is_due {
            state.pong = Some(ControlPayload::new(payload));
            self.has_unsent.store(true, Ordering::Relaxed);
        }
        is_due
    }

    /// Queues a ping for whoever gives the sending half back next, or sends what waits to be sent.
    pub(super) fn queue_ping(&self, payload: &[u8]) -> Result<()> {
        let mut state = self.state();
        state.check(Purpose::Control)?;
        state.ping = Some(Box::new(ControlPayload::new(payload)));
        self.has_unsent.store(true, Ordering::Relaxed);
        Ok(())
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

    /// How many bytes have come of a message that is not whole.
    pub(crate) fn gathered(&self) -> u64 {
        self.activity.gathered()
    }

    /// Takes a new source of masking keys.
    pub(crate) fn set_mask_keys(&self, keys: MaskKeys) -> Result<()> {
        self.acquire(Purpose::Control)?.set_mask_keys(keys);
        Ok(())
    }

    /// How much memory the sending half and the stream hold, in bytes, without the half that a thread has taken.
    pub(super) fn memory(&self) -> usize {
        let outbound = self.state().outbound.as_ref().map_or(0, |outbound| outbound.memory());
        outbound + self.stream.memory()
    }

    /// Whether the sending half or the stream holds more memory than an idle connection needs.
    pub(super) fn can_release(&self) -> bool {
        let outbound = self.state().outbound.as_ref().is_some_and(|outbound| outbound.can_release());
        outbound || self.stream.can_release()
    }

    /// Gives back the memory that a burst has taken, unless it is in use.
    pub(super) fn release_memory(&self) {
        if let Some(outbound) = &mut self.state().outbound {
            outbound.release();
        }
        self.stream.release();
    }

    /// Whether something lies in the socket that has not been read: bytes, or the end.
    pub(super) fn has_arrived(&self) -> bool {
        self.stream.is_readable()
    }

    /// How long a send waits at most without any progress.
    pub(super) fn longest_send(&self) -> Duration {
        self.timeouts().send.unwrap_or(STALL)
    }

    /// Whether it belongs to an event loop.
    pub(super) fn is_in_event_loop(&self) -> bool {
        self.event_loop.is_attached()
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

    /// Nothing may be sent any more but a Close that is queued.
    pub(super) fn discard_queued_controls(&mut self) {
        self.pong = None;
        self.ping = None;
    }

    pub(super) fn wake_all(&self, connection: &SharedConnection) {
        if self.waiting > 0 {
            connection.changed.notify_all();
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
