//! What the threads of a connection share: who may write, what waits to be written, and how it ended.
//!
//! One lock, `traffic`, guards all of it and is never held across a wait for the network. The sending half is not locked but
//! *taken* (see `turns`): a thread that writes has it in its turn, and everybody else can see that it is away, wait for it with a deadline,
//! or leave a reply for its holder to send. So the reader never waits for a writer.

mod turns;

use std::io;
use std::net::Shutdown;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

pub(super) use self::turns::STALL;

use super::driven::Driver;
use super::pulse::{Pulse, Vitals};
use super::reply::{Payload, Reply};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::{Deadline, Stream};
use crate::options::Timeouts;
use crate::protocol::{CloseCode, CloseFrame, LocalProtocolError, MaskKeys, Outbound, ProtocolError, Role};
use crate::sync::thread::{self, ThreadId};
use crate::sync::{AtomicBool, Condvar, Mutex, MutexGuard};
use crate::trace::{FrameTap, TraceDirection, Tracer};

/// A connection as all its threads see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) stream: Stream,
    pub(super) role: Role,
    pub(super) pulse: Pulse,
    pub(super) driver: Driver,
    /// Of what is sent. Whoever has the turn has this, too.
    pub(super) trace: Mutex<FrameTap>,
    traffic: Mutex<Traffic>,
    /// The turn is free, or the connection is over.
    changed: Condvar,
    /// Something waits to be sent, and perhaps nobody is about to send it: the reader looks after it. Written under the lock of
    /// `traffic`; read without, which is soon enough.
    unsettled: AtomicBool,
    /// How many bytes may wait to be sent that were sent without waiting.
    max_unsent: usize,
    /// The process that made the connection: a fork must not speak on it (DESIGN: drop).
    process: u32,
}

/// The state behind the lock.
#[derive(Debug)]
pub(super) struct Traffic {
    /// The sending half, unless a thread has it.
    outbound: Option<Box<Outbound>>,
    /// Whether the thread that has it waits for nothing and gives it back in a moment.
    brief: bool,
    /// How many threads wait for [`Shared::changed`].
    waiting: usize,
    /// How many of them were woken for the turn, and found that somebody else had taken it again.
    overtaken: usize,
    /// What is to be sent as soon as the turn is free.
    pub(super) reply: Reply,
    sending: Sending,
    /// Our Close, once it is sent or waits to be sent.
    close_sent: Option<CloseFrame>,
    /// By when the closing handshake has to be over that our Close began.
    close_by: Deadline,
    /// How the connection is about to end: the peer has closed it or broken a rule, or a write has failed. What was received
    /// before a write failed may still be looked at; it may say why.
    ending: Option<CloseInfo>,
    /// A write has failed: not a byte more can be sent.
    mute: bool,
    /// How the connection ended.
    over: Option<CloseInfo>,
    /// The thread that received last, or made the connection: it must not wait for itself.
    reader: ThreadId,
    timeouts: Timeouts,
}

/// What a thread sends that takes more than one call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sending {
    Nothing,
    /// A message in fragments: other messages wait until it is done, control frames pass.
    Fragments(ThreadId),
    /// A batch: the thread keeps the turn.
    Batch(ThreadId),
}

/// What a turn is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// A message of its own, or the first fragment of one.
    Message,
    /// A further fragment of the message that this thread sends.
    Fragment,
    /// A control frame: it may stand between fragments.
    Control,
}

impl Shared {
    pub(super) fn new(
        stream: Stream,
        role: Role,
        outbound: Outbound,
        timeouts: Timeouts,
        max_unsent: usize,
        tracer: Tracer,
    ) -> Self {
        Self {
            stream,
            role,
            pulse: Pulse::default(),
            driver: Driver::default(),
            trace: Mutex::new(FrameTap::new(tracer, TraceDirection::Sent)),
            traffic: Mutex::new(Traffic {
                outbound: Some(Box::new(outbound)),
                brief: false,
                waiting: 0,
                overtaken: 0,
                reply: Reply::Empty,
                sending: Sending::Nothing,
                close_sent: None,
                close_by: Deadline::NEVER,
                ending: None,
                mute: false,
                over: None,
                reader: thread::current().id(),
                timeouts,
            }),
            changed: Condvar::new(),
            unsettled: AtomicBool::new(false),
            max_unsent,
            process: std::process::id(),
        }
    }

    pub(super) fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a pong to be sent by [`settle`](Self::settle), in place of an older one.
    pub(super) fn answer_ping(&self, payload: &[u8]) {
        let mut traffic = self.traffic();
        if !matches!(traffic.reply, Reply::Close(_)) && !traffic.is_mute() {
            traffic.reply = Reply::Pong(Payload::new(payload));
            self.unsettled.store(true, Ordering::Relaxed);
        }
    }

    /// Whether something waits to be sent that perhaps nobody is about to send.
    #[inline]
    pub(super) fn is_unsettled(&self) -> bool {
        self.unsettled.load(Ordering::Relaxed) || self.stream.has_output()
    }

    /// Notes which thread receives.
    pub(super) fn note_reader(&self, reader: ThreadId) {
        self.traffic().reader = reader;
    }

    /// Whether the calling thread is the one that receives: it must not wait for itself.
    pub(super) fn is_reader(&self) -> bool {
        self.traffic().reader == thread::current().id()
    }

    /// Notes what a thread sends that takes more than one call.
    pub(super) fn set_sending(&self, sending: Sending) {
        let mut traffic = self.traffic();
        traffic.sending = sending;
        if traffic.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Notes our Close. The first one counts: there is never a second on the wire.
    pub(super) fn queue_close(&self, close: CloseFrame) -> bool {
        let mut traffic = self.traffic();
        if traffic.close_sent.is_some() || traffic.over.is_some() {
            return false;
        }
        traffic.close_by = Deadline::after(Some(traffic.timeouts.close));
        traffic.close_sent = Some(close.clone());
        traffic.reply = Reply::Close(close);
        self.unsettled.store(true, Ordering::Relaxed);
        drop(traffic);
        self.driver.wake();
        true
    }

    /// By when the peer has to have answered our Close; never if it need not, or has.
    pub(super) fn close_by(&self) -> Deadline {
        let traffic = self.traffic();
        if traffic.over.is_none() { traffic.close_by } else { Deadline::NEVER }
    }

    /// How many bytes may wait to be sent that were sent without waiting.
    pub(super) const fn max_unsent(&self) -> usize {
        self.max_unsent
    }

    /// How the connection ended, if it did.
    pub(crate) fn over(&self) -> Option<CloseInfo> {
        self.traffic().over.clone()
    }

    /// The same, and how it is about to end where that is known already.
    pub(super) fn over_soon(&self) -> Option<CloseInfo> {
        let traffic = self.traffic();
        traffic.over.as_ref().or(traffic.ending.as_ref()).cloned()
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_mute(&self) -> bool {
        self.traffic().is_mute()
    }

    /// Whether anything comes in.
    pub(crate) fn vitals(&self) -> Vitals {
        let vitals = self.pulse.vitals();
        // What was sent without waiting may still be here, and a ping behind it.
        let leaving = self.is_driven() && self.is_unsettled();
        Vitals { received: vitals.received + self.stream.arrived(), waiting: vitals.waiting && !leaving }
    }

    /// The error for a call on a connection that is over.
    pub(super) fn closed(&self) -> Option<Error> {
        self.over().map(|info| Error::Closed(Box::new(info)))
    }

    /// The error for a write where nothing can be written any more.
    #[cold]
    pub(super) fn dead(&self) -> Error {
        self.over_soon().map_or_else(super::not_connected, |info| Error::Closed(Box::new(info)))
    }

    /// Whether the connection is over.
    pub(super) fn is_over(&self) -> bool {
        self.traffic().over.is_some()
    }

    /// Whether the connection stands: messages can be sent, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        let traffic = self.traffic();
        traffic.over.is_none() && traffic.ending.is_none() && traffic.close_sent.is_none()
    }

    /// Notes what the peer did that ends the connection. However the rest goes, this is how it ended. No pong is due any more
    /// (RFC 6455, section 5.5.2).
    pub(super) fn end_soon(&self, info: CloseInfo) {
        let mut traffic = self.traffic();
        traffic.ending = Some(info);
        if matches!(traffic.reply, Reply::Pong(_)) {
            traffic.reply = Reply::Empty;
        }
    }

    /// Ends the connection. The first reason counts; it is returned.
    pub(super) fn end(&self, info: CloseInfo) -> CloseInfo {
        let mut traffic = self.traffic();
        let info = traffic.ending.take().unwrap_or(info);
        let info = traffic.over.get_or_insert(info).clone();
        traffic.reply = Reply::Empty;
        self.changed.notify_all();
        info
    }

    /// Ends the connection at once: whoever reads or writes is woken.
    pub(crate) fn abort(&self, cause: CloseCause) -> CloseInfo {
        let info = self.end(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause));
        // The socket may be gone already; that is what is wanted.
        let _ = self.stream.shutdown(Shutdown::Both);
        info
    }

    /// The connection failed while it was read. If we had closed it, the peer just did not answer.
    pub(super) fn lost(&self, kind: io::ErrorKind) -> Error {
        let cause = self.traffic().cause_of_loss(kind);
        Error::Closed(Box::new(self.abort(cause)))
    }

    /// A write failed, so nothing more is sent. A peer that closes and goes does that to whoever is sending: its Close may have
    /// been received, so it is for the reader to find out how the connection ended.
    #[cold]
    pub(super) fn write_failed(&self, kind: io::ErrorKind) -> Error {
        let mut traffic = self.traffic();
        if let Some(info) = &traffic.over {
            return Error::Closed(Box::new(info.clone()));
        }
        let info = CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", traffic.cause_of_loss(kind));
        let info = traffic.ending.get_or_insert(info).clone();
        traffic.mute = true;
        traffic.reply = Reply::Empty;
        self.changed.notify_all();
        drop(traffic);
        // A reader that waits is woken; what has arrived it can still read.
        let _ = self.stream.shutdown(Shutdown::Both);
        Error::Closed(Box::new(info))
    }

    /// Waits until the connection is over.
    pub(super) fn wait_until_over(&self, deadline: Deadline) -> bool {
        let mut traffic = self.traffic();
        while traffic.over.is_none() {
            let (woken, waited) = self.wait(traffic, deadline);
            traffic = woken;
            if waited.is_err() {
                return traffic.over.is_some();
            }
        }
        true
    }

    /// Whether this process made the connection; after a fork the child has a copy that it must leave alone.
    pub(super) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// Takes a new source of masking keys.
    pub(crate) fn set_mask_keys(&self, keys: MaskKeys) -> Result<()> {
        self.turn(Purpose::Control)?.set_mask_keys(keys);
        Ok(())
    }

    /// How much memory the sending half holds, in bytes; nothing is said while a thread has it.
    pub(super) fn memory(&self) -> usize {
        self.traffic().outbound.as_ref().map_or(0, |outbound| outbound.memory())
    }

    /// Gives back the memory that a burst has taken, unless it is in use.
    pub(super) fn release(&self) {
        if let Some(outbound) = &mut self.traffic().outbound {
            outbound.release();
        }
        self.stream.release();
    }

    pub(crate) fn timeouts(&self) -> Timeouts {
        self.traffic().timeouts
    }

    pub(crate) fn set_timeouts(&self, change: impl FnOnce(&mut Timeouts)) {
        change(&mut self.traffic().timeouts);
    }
}

impl Traffic {
    /// Whether a call may send at all.
    pub(super) fn check(&self, purpose: Purpose) -> Result<()> {
        if let Some(info) = self.over.as_ref().or(self.ending.as_ref()) {
            return Err(Error::Closed(Box::new(info.clone())));
        }
        if let Some(close) = &self.close_sent {
            let info = CloseInfo::new(close.code, &close.reason, CloseCause::Closing);
            return Err(Error::Closed(Box::new(info)));
        }
        // To wait for what this very thread does would be to wait for ever.
        let ours = match self.sending {
            Sending::Nothing => false,
            Sending::Fragments(thread) => purpose == Purpose::Message && thread == thread::current().id(),
            Sending::Batch(thread) => thread == thread::current().id(),
        };
        if ours {
            return Err(Error::Usage(LocalProtocolError::SendingMessage));
        }
        Ok(())
    }

    /// Whether nothing can be sent any more, not even a reply.
    fn is_mute(&self) -> bool {
        self.mute || self.over.is_some()
    }

    fn cause_of_loss(&self, kind: io::ErrorKind) -> CloseCause {
        if self.close_sent.is_some() { CloseCause::Unanswered } else { CloseCause::Lost(kind) }
    }

    fn take_turn(&mut self, purpose: Purpose) -> Option<Box<Outbound>> {
        if self.is_held_up(purpose) { None } else { self.outbound.take() }
    }

    /// Whether a message in fragments has to be finished first.
    fn is_held_up(&self, purpose: Purpose) -> bool {
        purpose == Purpose::Message && matches!(self.sending, Sending::Fragments(_))
    }
}

/// How a connection ends that the peer broke a rule on.
pub(super) fn violation(error: ProtocolError) -> CloseInfo {
    CloseInfo::new(error.close_code(), "", CloseCause::Violation(error))
}
