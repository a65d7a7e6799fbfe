//! The receiving side of a connection, one state machine whether it waits or not: reads, steps, answers what must be answered, and
//! ends the connection in order.

use std::io;
use std::time::Duration;

use super::ending::{Ending, LastLook};
use super::event_loop::Readiness;
use super::receive_deadline::ReceiveDeadline;
use super::shared::SharedConnection;
use crate::error::{CloseCause, Error, Phase, Result};
use crate::message::{Message, MessageRef};
use crate::net::{Deadline, Layer, is_timeout};
use crate::protocol::{CloseFrame, Granularity, Inbound, LocalProtocolError, ProtocolError, Step};
use crate::sync::ThreadToken;
use crate::trace::{Epoch, FrameTap, TraceDirection, Tracer};

/// The receiving half of a connection and what drives it.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) inbound: Inbound,
    /// Covers one receive; `None` for as long as it takes.
    pub(super) timeout: Option<Duration>,
    /// The end that has begun.
    pub(super) ending: Option<Box<Ending>>,
    pub(super) buffered: Buffered,
    pub(super) trace: FrameTap,
    pub(super) readiness: Readiness,
    /// The thread that receives, as the others know it.
    thread: ThreadToken,
    /// Who has closed, where both have.
    pub(super) closed_first: CloseCause,
    pub(super) last_look: LastLook,
    /// How many bytes were received after the closing deadline.
    late: usize,
}

/// What is known of what was received and not looked at yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Buffered {
    /// What lies in the buffers tells.
    Unknown,
    /// A receive has seen everything; what lies there is a beginning.
    Nothing,
    /// More was read than a receive has seen: it has stopped before the end, or somebody else has read.
    More,
}

/// Whether a receive shows the control frames that it handles.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "they are shown or they are not")]
pub enum ControlFrames {
    /// Pings and pongs are handled inside.
    #[default]
    Hide,
    /// Pings and pongs are returned too; a ping has been answered by then.
    Show,
}

/// What becomes of a control frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ControlPolicy {
    /// It is answered as need be, and handed out or not.
    Handle(ControlFrames),
    /// It is handed out, a Close too, and nothing is answered.
    Raw,
}

/// What a receive that does not wait may still read: a peer that sends without a pause must not keep it from returning.
#[derive(Debug)]
struct Budget {
    reads: u32,
    bytes: usize,
}

/// What came of an attempt to read.
enum Filled {
    Bytes(usize),
    /// Nothing by the deadline.
    Nothing,
}

impl Budget {
    const FULL: Self = Self { reads: 64, bytes: 1 << 20 };

    const fn spend(&mut self, length: usize) {
        self.reads = self.reads.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(length);
    }

    const fn is_full(&self) -> bool {
        self.reads == Self::FULL.reads
    }

    const fn is_spent(&self) -> bool {
        self.reads == 0 || self.bytes == 0
    }

    /// How many bytes the next read may bring by this deadline.
    const fn next_read(&self, deadline: Deadline) -> usize {
        if deadline.is_now() { self.bytes } else { usize::MAX }
    }
}

impl Reader {
    /// How long nothing has to come until memory is given back.
    const IDLE: Duration = Duration::from_secs(1);
    /// How often what found no room is sent again, while nothing is received: the peer may wait for it before it says anything.
    const RETRY: Duration = Duration::from_millis(50);
    /// How much is received that had arrived by the closing deadline, in bytes.
    const MAX_LATE: usize = 1 << 20;

    pub(super) fn new(inbound: Inbound, timeout: Option<Duration>, tracer: Tracer) -> Self {
        let mut reader = Self {
            inbound,
            timeout,
            ending: None,
            buffered: Buffered::Unknown,
            trace: FrameTap::new(tracer, TraceDirection::Received),
            readiness: Readiness::Untold,
            thread: ThreadToken::current(),
            closed_first: CloseCause::Local,
            last_look: LastLook::Due,
            late: 0,
        };
        // What came behind the head is there already.
        reader.follow_trace();
        reader
    }

    /// Notes which thread receives, for those that close.
    #[inline]
    pub(super) fn note_thread(&mut self, shared: &SharedConnection) {
        if !self.thread.is_current() {
            self.change_thread(shared);
        }
    }

    #[cold]
    fn change_thread(&mut self, shared: &SharedConnection) {
        self.thread = ThreadToken::current();
        shared.set_receiver(self.thread);
    }

    /// The deadline of a receive by the options.
    #[inline]
    pub(super) const fn deadline(&self) -> ReceiveDeadline {
        ReceiveDeadline::Timeout(self.timeout)
    }

    /// Goes on until there is something for the caller; `None` when nothing has come by the deadline.
    ///
    /// # Errors
    ///
    /// The end of the connection; a peer's Close is answered by then. [`Error::Usage`] while another granularity has taken a
    /// part of something.
    #[inline(never)]
    pub(super) fn receive(
        &mut self,
        shared: &SharedConnection,
        granularity: Granularity,
        control: ControlPolicy,
        deadline: &mut ReceiveDeadline,
    ) -> Result<Option<Step>> {
        self.allow(shared, granularity)?;
        self.buffered = Buffered::Unknown;
        let received = self.advance(shared, granularity, control, deadline);
        if received.is_err() {
            // What lies behind the end is looked at no more.
            self.buffered = Buffered::Nothing;
        }
        received
    }

    fn advance(
        &mut self,
        shared: &SharedConnection,
        granularity: Granularity,
        control: ControlPolicy,
        deadline: &mut ReceiveDeadline,
    ) -> Result<Option<Step>> {
        let mut budget = Budget::FULL;
        loop {
            if self.ending.is_some() {
                self.buffered = Buffered::Nothing;
                return advance_ending(&mut self.ending, shared, deadline.start()).map(|()| None);
            }
            let step = match granularity {
                Granularity::Message => self.inbound.advance(),
                Granularity::Frame => self.inbound.advance_frame(),
                Granularity::Piece => self.inbound.advance_piece(),
            };
            if let Ok(Step::NeedMore) = step {
                let end = deadline.start();
                match self.fill(shared, end, budget.next_read(end))? {
                    Filled::Bytes(length) => budget.spend(length),
                    // So short a time may have passed before anything was looked at.
                    Filled::Nothing if end.is_brief() && budget.is_full() => *deadline = ReceiveDeadline::NOW,
                    Filled::Nothing => {
                        self.buffered = if shared.stream.has_input() { Buffered::More } else { Buffered::Nothing };
                        return Ok(None);
                    }
                }
            } else if let Some(step) = self.handle(shared, step, control)? {
                return Ok(Some(step));
            }
            if budget.is_spent() && matches!(deadline, ReceiveDeadline::At(deadline) if deadline.is_now()) {
                self.buffered = Buffered::More;
                return Ok(None);
            }
        }
    }

    /// Answers what must be answered, and begins the end where that has come. Returns what is for the caller.
    #[inline]
    fn handle(
        &mut self,
        shared: &SharedConnection,
        step: Result<Step, ProtocolError>,
        control: ControlPolicy,
    ) -> Result<Option<Step>> {
        match (step, control) {
            (Ok(Step::Close), ControlPolicy::Raw) => {
                if shared.is_open() {
                    self.closed_first = CloseCause::Remote;
                }
                return Ok(Some(Step::Close));
            }
            (Ok(Step::Close | Step::Ended), _) => self.answer_close(shared)?,
            (Err(error), _) => {
                // A Close that must not be sent may have a reason all the same.
                let reason = self.inbound.rejected_close().map(|close| &*close.reason);
                begin_violation(&mut self.ending, shared, error, reason)?;
            }
            (Ok(Step::Ping), ControlPolicy::Handle(show)) => {
                if shared.queue_pong(self.inbound.control()) {
                    shared.flush_pending();
                }
                if show == ControlFrames::Show {
                    return Ok(Some(Step::Ping));
                }
            }
            (Ok(Step::Pong), ControlPolicy::Handle(ControlFrames::Hide)) => {}
            (Ok(step), _) => {
                flush_unsent(shared);
                return Ok(Some(step));
            }
        }
        Ok(None)
    }

    /// Receives a message and leaves it where it lies.
    #[inline(never)]
    pub(super) fn receive_borrowed(
        &mut self,
        shared: &SharedConnection,
        mut deadline: ReceiveDeadline,
    ) -> Result<Option<MessageRef<'_>>> {
        match self.receive(shared, Granularity::Message, ControlPolicy::Handle(ControlFrames::Hide), &mut deadline)? {
            Some(_) => self.message(shared, deadline),
            None => Ok(None),
        }
    }

    /// Receives a message as a value of its own.
    #[inline(never)]
    pub(super) fn receive_owned(
        &mut self,
        shared: &SharedConnection,
        mut deadline: ReceiveDeadline,
    ) -> Result<Option<Message>> {
        match self.receive(shared, Granularity::Message, ControlPolicy::Handle(ControlFrames::Hide), &mut deadline)? {
            Some(_) => self.take_message(shared, deadline),
            None => Ok(None),
        }
    }

    /// The message of the last step, for a receive that waits. Text that is not UTF-8 shows only here, and ends the connection
    /// within the deadline of the receive.
    #[inline(always)]
    pub(super) fn short_message(&mut self, shared: &SharedConnection) -> Result<MessageRef<'_>> {
        let Self { inbound, ending, buffered, timeout, .. } = self;
        match inbound.message() {
            Ok(message) => Ok(message),
            Err(error) => {
                *buffered = Buffered::Nothing;
                let ended = end_for_text(ending, shared, error, ReceiveDeadline::Timeout(*timeout));
                Err(ended.err().unwrap_or_else(timed_out))
            }
        }
    }

    /// The message of the last step.
    #[inline]
    pub(super) fn message(
        &mut self,
        shared: &SharedConnection,
        deadline: ReceiveDeadline,
    ) -> Result<Option<MessageRef<'_>>> {
        let Self { inbound, ending, buffered, .. } = self;
        match inbound.message() {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                *buffered = Buffered::Nothing;
                end_for_text(ending, shared, error, deadline).map(|()| None)
            }
        }
    }

    /// The same as a value of its own.
    #[inline]
    pub(super) fn take_message(
        &mut self,
        shared: &SharedConnection,
        deadline: ReceiveDeadline,
    ) -> Result<Option<Message>> {
        match self.inbound.take_message() {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                self.buffered = Buffered::Nothing;
                end_for_text(&mut self.ending, shared, error, deadline).map(|()| None)
            }
        }
    }

    /// Receives until the connection is over, and keeps nothing. Our Close is queued; the closing deadline ends it.
    pub(super) fn discard_until_closed(&mut self, shared: &SharedConnection) {
        self.note_thread(shared);
        self.inbound.discard_messages();
        shared.flush_pending();
        let control = ControlPolicy::Handle(ControlFrames::Hide);
        let is_over = |reader: &Self| reader.ending.as_ref().is_none_or(|ending| ending.is_over());
        while !(shared.is_over() && is_over(self)) {
            // The error of the end is told by `close_info`.
            let _ = self.advance(shared, Granularity::Message, control, &mut ReceiveDeadline::Timeout(None));
            if let Some(ending) = &self.ending {
                // Our Close is behind a send that is stuck.
                shared.send_queued_close(ending.until());
            }
        }
    }

    /// Whether a receive may give something without waiting.
    pub(super) fn has_buffered(&self, shared: &SharedConnection) -> bool {
        match self.buffered {
            Buffered::Unknown => self.inbound.has_buffered() || shared.stream.has_input(),
            Buffered::Nothing => false,
            Buffered::More => true,
        }
    }

    /// By when the closing handshake that is under way has to be over.
    pub(super) fn closing_deadline(&self, shared: &SharedConnection) -> Deadline {
        self.ending
            .as_ref()
            .filter(|ending| !ending.is_over())
            .map_or_else(|| shared.closing_deadline(), |ending| ending.until())
    }

    /// Refuses a step of this granularity where it would lose what another one has taken a part of. Of a connection that is over the
    /// end is told instead: the rest cannot come any more.
    fn allow(&mut self, shared: &SharedConnection, granularity: Granularity) -> Result<()> {
        let is_other = self.inbound.half_taken().is_some_and(|taken| taken != granularity);
        if !is_other || self.ending.is_some() {
            return Ok(());
        }
        match shared.closed() {
            Some(closed) => Err(self.look_for_close(shared).unwrap_or(closed)),
            None if shared.closing_deadline().is_over() => Err(self.give_up(shared)),
            None => Err(Error::Usage(LocalProtocolError::ReceivingMessage)),
        }
    }

    /// The peer's Close is there: answers it, unless it answers ours (RFC 6455, section 5.5.1).
    fn answer_close(&mut self, shared: &SharedConnection) -> Result<()> {
        let theirs = self.inbound.close().cloned().unwrap_or_else(CloseFrame::empty);
        let info = shared.receive_close(&theirs, self.closed_first);
        let error = Error::Closed(Box::new(info.clone()));
        if shared.is_over() {
            return Err(error);
        }
        self.ending = Some(Ending::new(shared, info, error));
        Ok(())
    }

    /// Reads once, at most so many bytes. What waits to be sent goes first, if it goes without waiting.
    fn fill(&mut self, shared: &SharedConnection, deadline: Deadline, most: usize) -> Result<Filled> {
        loop {
            flush_unsent(shared);
            let closing = match shared.begin_receive(deadline) {
                Ok(closing) => closing,
                Err(closed) => return Err(self.look_for_close(shared).unwrap_or(closed)),
            };
            if closing.is_over() {
                return self.fill_late(shared);
            }
            if deadline.is_now() && self.readiness == Readiness::Drained {
                shared.activity.await_readiness();
                return Ok(Filled::Nothing);
            }
            shared.activity.note_gathered(self.inbound.gathered());
            let pause = self.pause(shared);
            match self.read(shared, deadline.min(closing).min(pause), most) {
                Ok(0) => return Err(self.read_failed(shared, io::ErrorKind::UnexpectedEof)),
                Ok(length) => return Ok(self.filled(shared, length)),
                Err(error) if !is_timeout(&error) => return Err(self.read_failed(shared, error.kind())),
                Err(_) if deadline.is_now() => {
                    shared.activity.await_readiness();
                    return Ok(Filled::Nothing);
                }
                Err(_) => shared.activity.end_wait(0),
            }
            if deadline.is_over() && !closing.is_over() {
                return Ok(Filled::Nothing);
            }
            if pause.is_half_over() {
                self.release_if_idle(shared);
            } else if !closing.is_half_over() {
                // The stream has not waited as long as it should: it is not asked in a loop.
                return Ok(Filled::Nothing);
            }
        }
    }

    /// The closing deadline has passed. What has arrived by now is still received, since nobody may have received for a while; but
    /// no more than [`MAX_LATE`](Self::MAX_LATE), since the peer may go on sending. Then the connection is over.
    #[cold]
    fn fill_late(&mut self, shared: &SharedConnection) -> Result<Filled> {
        if self.late < Self::MAX_LATE
            && let Ok(length @ 1..) = self.read(shared, Deadline::NOW, Self::MAX_LATE - self.late)
        {
            self.late += length;
            return Ok(self.filled(shared, length));
        }
        shared.activity.end_wait(0);
        Err(self.give_up(shared))
    }

    /// The closing deadline has passed: ends the connection.
    #[cold]
    fn give_up(&mut self, shared: &SharedConnection) -> Error {
        let closed = Error::Closed(Box::new(shared.abort(CloseCause::Unanswered)));
        self.look_for_close(shared).unwrap_or(closed)
    }

    fn filled(&mut self, shared: &SharedConnection, length: usize) -> Filled {
        shared.activity.end_wait(length);
        self.inbound.received(length);
        Filled::Bytes(length)
    }

    /// When a receive that waits looks up: what found no room is sent again, and memory that a burst has taken is given back.
    fn pause(&self, shared: &SharedConnection) -> Deadline {
        if shared.has_unsent() {
            Deadline::after(Some(Self::RETRY))
        } else if self.inbound.can_release() || shared.can_release() {
            Deadline::after(Some(Self::IDLE))
        } else {
            Deadline::NEVER
        }
    }

    fn release_if_idle(&mut self, shared: &SharedConnection) {
        if !shared.has_unsent() {
            self.inbound.release();
            shared.release_memory();
        }
    }

    /// The stream has come to its end: there is nothing more to look for in it.
    #[cold]
    fn read_failed(&mut self, shared: &SharedConnection, kind: io::ErrorKind) -> Error {
        shared.activity.end_wait(0);
        self.last_look = LastLook::Done;
        shared.read_failed(kind)
    }

    /// Reads once, at most so many bytes, and tells the trace of it if there is one.
    #[inline]
    pub(super) fn read(&mut self, shared: &SharedConnection, deadline: Deadline, most: usize) -> io::Result<usize> {
        let is_traced = self.follow_trace();
        let space = self.inbound.space();
        let room = space.len().min(most);
        let space = &mut space[..room];
        let read = shared.stream.read(space, deadline);
        self.readiness.note_read(*read.as_ref().unwrap_or(&0), room);
        if is_traced && let Ok(length) = read {
            self.trace.pass(&space[..length]);
        }
        read
    }

    /// Whether there is a trace, which then has seen all that has come of the frame that comes next.
    #[inline]
    fn follow_trace(&mut self) -> bool {
        let Some(epoch) = Epoch::now() else { return false };
        if !self.trace.follows(epoch) {
            self.join_trace(epoch);
        }
        true
    }

    #[cold]
    fn join_trace(&mut self, epoch: Epoch) {
        let (missing, beginning) = self.inbound.beginning();
        self.trace.join(epoch, missing);
        self.trace.pass(beginning);
    }
}

#[inline]
fn flush_unsent(shared: &SharedConnection) {
    if shared.has_unsent() {
        shared.flush_pending();
    }
}

/// A message is not the text that it claims to be.
#[cold]
fn end_for_text(
    ending: &mut Option<Box<Ending>>,
    shared: &SharedConnection,
    error: ProtocolError,
    mut deadline: ReceiveDeadline,
) -> Result<()> {
    begin_violation(ending, shared, error, None)?;
    advance_ending(ending, shared, deadline.start())
}

/// The peer broke a rule, now or before; `reason` is that of a Close which is refused.
#[cold]
fn begin_violation(
    ending: &mut Option<Box<Ending>>,
    shared: &SharedConnection,
    error: ProtocolError,
    reason: Option<&str>,
) -> Result<()> {
    if let Some(closed) = shared.closed() {
        return Err(match reason {
            Some(reason) => Error::Closed(Box::new(shared.receive_rejected_close(error, reason))),
            None => closed,
        });
    }
    let info = shared.receive_violation(error, reason.unwrap_or_default());
    if shared.is_over() {
        return Err(Error::Protocol(error));
    }
    *ending = Some(Ending::new(shared, info, Error::Protocol(error)));
    Ok(())
}

fn advance_ending(ending: &mut Option<Box<Ending>>, shared: &SharedConnection, deadline: Deadline) -> Result<()> {
    let Some(current) = ending else { return Ok(()) };
    let Some(error) = current.advance(shared, deadline) else { return Ok(()) };
    if current.is_over() {
        *ending = None;
    }
    Err(error)
}

/// The error of a receive that waited in vain.
#[cold]
pub(super) const fn timed_out() -> Error {
    Error::Timeout(Phase::Recv)
}
