//! The receiving side of the driver: reads, steps, answers what must be answered, and ends the connection in order.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use super::ending::Ending;
use super::shared::{Shared, violation};
use super::turn::is_timeout;
use crate::error::{CloseCause, CloseInfo, Error, Phase, Result};
use crate::message::{Message, MessageRef};
use crate::net::Deadline;
use crate::protocol::{CloseFrame, Granularity, Inbound, LocalProtocolError, ProtocolError, Role, Step};
use crate::sync::thread::{self, ThreadId};
use crate::trace::{Epoch, FrameTap, TraceDirection, Tracer};

/// The receiving half of a connection and its driver.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) inbound: Inbound,
    /// Covers one receive; `None` for as long as it takes.
    pub(super) timeout: Option<Duration>,
    /// The end that was begun without waiting.
    pub(super) ending: Option<Box<Ending>>,
    pub(super) at_hand: AtHand,
    pub(super) trace: FrameTap,
    /// The thread that received last, as the others know it.
    thread: ThreadId,
}

/// What is known of what was received and not looked at yet.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AtHand {
    /// What lies in the buffers tells.
    Unknown,
    /// A receive that does not wait has seen everything; what lies there is a beginning.
    Nothing,
    /// A receive that does not wait has stopped before it had seen everything.
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

impl Reader {
    /// What is read after a Close so that a reset does not eat ours, in bytes.
    pub(super) const DRAIN: usize = 1 << 20;
    /// How long nothing has to come until memory is given back.
    const IDLE: Duration = Duration::from_secs(1);
    /// How often a reply is tried again that found no room, while nothing is received.
    const RETRY: Duration = Duration::from_millis(50);

    pub(super) fn new(inbound: Inbound, timeout: Option<Duration>, tracer: Tracer) -> Self {
        let trace = FrameTap::new(tracer, TraceDirection::Received);
        let mut reader =
            Self { inbound, timeout, ending: None, at_hand: AtHand::Unknown, trace, thread: thread::current().id() };
        // What came behind the head is there already.
        reader.listen();
        reader
    }

    /// Goes on until there is something for the caller. A peer's Close is answered, and is an error. `deadline` is that of the
    /// whole call; without one it begins to run when this has to wait.
    #[inline(never)]
    pub(super) fn receive(
        &mut self,
        shared: &Shared,
        granularity: Granularity,
        control: ControlFrames,
        deadline: &mut Option<Deadline>,
    ) -> Result<Step> {
        self.allow(granularity)?;
        self.at_hand = AtHand::Unknown;
        loop {
            match self.advance(granularity) {
                Ok(Step::NeedMore) => self.fill(shared, self.started(deadline))?,
                Ok(Step::Ping) => {
                    shared.answer_ping(self.inbound.control());
                    shared.settle();
                    if control == ControlFrames::Show {
                        return Ok(Step::Ping);
                    }
                }
                Ok(Step::Pong) if control == ControlFrames::Hide => {}
                Ok(Step::Close | Step::Ended) => return Err(self.closed_by_peer(shared, self.started(deadline))),
                Err(error) => return Err(self.violated(shared, error, self.started(deadline))),
                Ok(step) => {
                    settle(shared);
                    return Ok(step);
                }
            }
        }
    }

    #[inline]
    pub(super) fn advance(&mut self, granularity: Granularity) -> Result<Step, ProtocolError> {
        match granularity {
            Granularity::Message => self.inbound.advance(),
            Granularity::Frame => self.inbound.advance_frame(),
            Granularity::Piece => self.inbound.advance_piece(),
        }
    }

    /// Receives a message and leaves it where it lies.
    #[inline(never)]
    pub(super) fn receive_borrowed(
        &mut self,
        shared: &Shared,
        mut deadline: Option<Deadline>,
    ) -> Result<MessageRef<'_>> {
        self.receive(shared, Granularity::Message, ControlFrames::Hide, &mut deadline)?;
        self.message(shared, deadline)
    }

    /// Receives a message as a value of its own.
    #[inline(never)]
    pub(super) fn receive_owned(&mut self, shared: &Shared, mut deadline: Option<Deadline>) -> Result<Message> {
        self.receive(shared, Granularity::Message, ControlFrames::Hide, &mut deadline)?;
        self.take_message(shared, deadline)
    }

    /// The message of the last step; text that is not UTF-8 ends the connection. `deadline` is that of the receive, if it had to
    /// wait.
    #[inline(always)]
    pub(super) fn message(&mut self, shared: &Shared, deadline: Option<Deadline>) -> Result<MessageRef<'_>> {
        let timeout = self.timeout;
        self.inbound.message().map_err(|error| not_text(shared, error, deadline, timeout))
    }

    /// The same as a value of its own.
    #[inline]
    pub(super) fn take_message(&mut self, shared: &Shared, deadline: Option<Deadline>) -> Result<Message> {
        let timeout = self.timeout;
        self.inbound.take_message().map_err(|error| not_text(shared, error, deadline, timeout))
    }

    /// Whether a receive may give something without waiting.
    pub(super) fn has_buffered(&self, shared: &Shared) -> bool {
        match self.at_hand {
            AtHand::Unknown => self.inbound.has_buffered() || shared.stream.has_input(),
            AtHand::Nothing => false,
            AtHand::More => true,
        }
    }

    /// Whether a step of this granularity would lose what another one has gathered.
    pub(super) fn allow(&self, granularity: Granularity) -> Result<()> {
        match self.inbound.half_taken() {
            Some(half) if half != granularity => Err(Error::Usage(LocalProtocolError::ReceivingMessage)),
            _ => Ok(()),
        }
    }

    /// The deadline of this receive. Its time begins to run when it first has to wait.
    fn started(&self, deadline: &mut Option<Deadline>) -> Deadline {
        *deadline.get_or_insert_with(|| Deadline::after(self.timeout))
    }

    /// Goes on to the next frame and answers nothing; the peer's Close is a frame like any other.
    pub(super) fn receive_raw(&mut self, shared: &Shared) -> Result<Step> {
        let deadline = Deadline::after(self.timeout);
        self.at_hand = AtHand::Unknown;
        loop {
            match self.inbound.advance_frame() {
                Ok(Step::NeedMore) => self.fill(shared, deadline)?,
                Ok(Step::Ended) => return Err(self.closed_by_peer(shared, deadline)),
                Ok(step) => return Ok(step),
                Err(error) => return Err(self.violated(shared, error, deadline)),
            }
        }
    }

    /// Sends the Close that waits, receives until the connection is over, and keeps nothing.
    pub(super) fn discard_until_closed(&mut self, shared: &Shared, deadline: Deadline) {
        shared.settle();
        self.inbound.discard_messages();
        loop {
            match self.inbound.advance() {
                Ok(Step::NeedMore) => {
                    if self.fill(shared, deadline).is_err() {
                        return;
                    }
                }
                Ok(Step::Close | Step::Ended) => {
                    self.closed_by_peer(shared, deadline);
                    return;
                }
                // Until the peer has closed, its pings are answered (RFC 6455, section 5.5.2).
                Ok(Step::Ping) => {
                    shared.answer_ping(self.inbound.control());
                    shared.settle();
                }
                Ok(_) => {}
                Err(error) => {
                    self.violated(shared, error, deadline);
                    return;
                }
            }
        }
    }

    /// The peer's Close is there: answers it, unless it answers ours (RFC 6455, section 5.5.1).
    fn closed_by_peer(&mut self, shared: &Shared, deadline: Deadline) -> Error {
        if let Some(ending) = self.ending.take() {
            return ending.finish(shared, deadline);
        }
        if let Some(closed) = shared.closed() {
            return closed;
        }
        let info = finish(shared, answer_close(&self.inbound, shared), deadline);
        log::debug!("connection closed: {info}");
        Error::Closed(Box::new(info))
    }

    /// The peer broke a rule, now or before.
    #[cold]
    fn violated(&mut self, shared: &Shared, error: ProtocolError, deadline: Deadline) -> Error {
        match self.ending.take() {
            Some(ending) => ending.finish(shared, deadline),
            None => violated(shared, error, deadline),
        }
    }

    /// Notes which thread receives.
    pub(super) fn note_thread(&mut self, shared: &Shared) {
        let thread = thread::current().id();
        if thread != self.thread {
            self.thread = thread;
            shared.note_reader(thread);
        }
    }

    /// Reads once. What was left to be sent goes first, if it goes without waiting.
    fn fill(&mut self, shared: &Shared, deadline: Deadline) -> Result<()> {
        if let Some(closed) = shared.closed() {
            return Err(closed);
        }
        self.note_thread(shared);
        shared.pulse.begin_wait();
        let read = self.read(shared, deadline);
        shared.pulse.end_wait(read.as_ref().map_or(0, |&length| length));
        match read {
            Ok(0) => Err(shared.lost(io::ErrorKind::UnexpectedEof)),
            Ok(length) => {
                self.inbound.received(length);
                Ok(())
            }
            Err(error) if is_timeout(&error) => Err(Error::Timeout(Phase::Recv)),
            Err(error) => Err(shared.lost(error.kind())),
        }
    }

    /// Reads once, and tells the trace of it if there is one.
    #[inline]
    pub(super) fn read_now(&mut self, shared: &Shared, deadline: Deadline) -> io::Result<usize> {
        let is_traced = self.listen();
        let space = self.inbound.space();
        let read = shared.stream.read(space, deadline);
        if is_traced && let Ok(length) = read {
            self.trace.pass(&space[..length]);
        }
        read
    }

    /// Whether there is a trace, which then has seen all that has come of the frame that comes next.
    #[inline]
    fn listen(&mut self) -> bool {
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

    /// Waits for bytes, and looks up now and then while there is something to see to: a reply that found no room is tried again,
    /// since the peer may wait for it before it says anything and nobody else may have anything to send; and what a burst has
    /// taken of memory is given back when nothing has come for a while.
    fn read(&mut self, shared: &Shared, deadline: Deadline) -> io::Result<usize> {
        loop {
            settle(shared);
            let unsettled = shared.is_unsettled();
            let pause = match (unsettled, self.inbound.can_release()) {
                (true, _) => Deadline::after(Some(Self::RETRY)),
                (false, true) => Deadline::after(Some(Self::IDLE)),
                (false, false) => Deadline::NEVER,
            };
            match self.read_now(shared, deadline.min(pause)) {
                // A stream that does not wait is not asked again and again; one may be a little early, though.
                Err(error) if is_timeout(&error) && pause.is_half_over() && !deadline.is_over() => {
                    if !unsettled {
                        self.inbound.release();
                        shared.release();
                    }
                }
                result => return result,
            }
        }
    }
}

/// The peer's Close is there: queues the answer, unless it answers ours (RFC 6455, section 5.5.1), and says how the connection
/// is to end.
pub(super) fn answer_close(inbound: &Inbound, shared: &Shared) -> CloseInfo {
    let theirs = inbound.close().cloned().unwrap_or_else(CloseFrame::empty);
    let reply = CloseFrame { code: theirs.code, reason: String::new() };
    let cause = if shared.queue_close(reply) { CloseCause::Remote } else { CloseCause::Local };
    CloseInfo::new(theirs.code, &theirs.reason, cause)
}

#[inline]
pub(super) fn settle(shared: &Shared) {
    if shared.is_unsettled() {
        shared.settle();
    }
}

/// The peer broke a rule: tells it, and ends the connection.
#[cold]
pub(super) fn violated(shared: &Shared, error: ProtocolError, deadline: Deadline) -> Error {
    if let Some(closed) = shared.closed() {
        return closed;
    }
    finish(shared, denounce(shared, error), deadline);
    Error::Protocol(error)
}

/// Queues the Close that tells the peer which rule it broke, and says how the connection is to end.
#[cold]
pub(super) fn denounce(shared: &Shared, error: ProtocolError) -> CloseInfo {
    log::debug!("peer violated the protocol: {error}");
    if let Ok(close) = CloseFrame::new(error.close_code(), "") {
        shared.queue_close(close);
    }
    violation(error)
}

/// A message is not the text that it claims to be, which shows only when it is looked at: after the receive, and within its
/// deadline. If it did not have to wait, that begins to run now.
#[cold]
fn not_text(shared: &Shared, error: ProtocolError, deadline: Option<Deadline>, timeout: Option<Duration>) -> Error {
    violated(shared, error, deadline.unwrap_or_else(|| Deadline::after(timeout)))
}

/// Ends a connection on which our Close is sent or waits to be sent: sends it, half-closes, and lets the peer take it in before the
/// socket goes, since closing a socket with unread bytes makes a reset of them that may overtake the Close.
///
/// After a closing handshake nothing is unread; then a client waits for the server to end the connection, and a server does
/// not wait (RFC 6455, section 7.1.1).
pub(super) fn finish(shared: &Shared, info: CloseInfo, deadline: Deadline) -> CloseInfo {
    let deadline = Deadline::after(Some(shared.timeouts().close)).min(deadline);
    let waits = waits_for_end(shared, &info);
    shared.end_soon(info.clone());
    let sent = shared.send_queued_close(deadline).is_ok();
    // Whoever waits for the end need not wait for the peer to hang up.
    let info = shared.end(info);
    if sent && waits && shared.stream.shutdown(Shutdown::Write).is_ok() {
        drain(shared, deadline);
    }
    // The peer may have been faster; then there is nothing left to shut down.
    let _ = shared.stream.shutdown(Shutdown::Both);
    info
}

/// Whether the peer is to end the connection before the socket goes.
pub(super) fn waits_for_end(shared: &Shared, info: &CloseInfo) -> bool {
    shared.role == Role::Client || !info.is_clean()
}

fn drain(shared: &Shared, deadline: Deadline) {
    let mut scratch = [0; 4096];
    let mut drained = 0;
    while drained < Reader::DRAIN {
        match shared.stream.read(&mut scratch, deadline) {
            Ok(0) | Err(_) => return,
            Ok(length) => drained += length,
        }
    }
}
