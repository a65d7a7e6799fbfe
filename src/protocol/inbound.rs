//! The receiving half of a connection: bytes in, messages, frames or pieces out.

mod state;
mod stepping;

use self::state::{Place, State, Target};
use super::close::CloseFrame;
use super::continuous_frame::{ContinuousFrame, TextPolicy};
use super::decoding::Decoding;
use super::deflate::Inflater;
use super::error::ProtocolError;
use super::extension::InboundExtension;
use super::frame::{Frame, Rsv};
use super::frame_buffer::FrameBuffer;
use super::limits::Limits;
use super::opcode::Opcode;
use super::role::Role;
use super::step::{Granularity, Step};
use crate::message::{Message, MessageKind, MessageRef};

/// The receiving half of a connection.
///
/// The contract of a driver: read into [`space`](Self::space), say how much came with [`received`](Self::received), then call
/// [`advance`](Self::advance) until it answers [`Step::NeedMore`]. What a step brought is looked at with
/// [`message`](Self::message), [`control`](Self::control) and [`close`](Self::close) before the next step or read. Nothing is
/// answered here.
///
/// There are three granularities: whole messages ([`advance`](Self::advance), in place where they lie in one piece), frames
/// ([`advance_frame`](Self::advance_frame)), and pieces, before the frame has ended ([`advance_piece`](Self::advance_piece)).
/// They may be mixed; what one has taken, another does not repeat, see [`half_taken`](Self::half_taken).
///
/// ```
/// use websocket_sync::MessageRef;
/// use websocket_sync::protocol::{Inbound, Limits, Role, Step};
///
/// let mut inbound = Inbound::new(Role::Client, Limits::default());
/// inbound.push(b"\x01\x03Hel\x80\x02lo\x89\x00");
/// assert_eq!(inbound.advance()?, Step::Message);
/// assert_eq!(inbound.message()?, MessageRef::Text("Hello"));
/// assert_eq!(inbound.advance()?, Step::Ping);
/// assert_eq!(inbound.control(), b"");
/// assert_eq!(inbound.advance()?, Step::NeedMore);
/// # Ok::<(), websocket_sync::protocol::ProtocolError>(())
/// ```
#[derive(Debug)]
#[doc(alias = "frame_buffer")]
pub struct Inbound {
    frames: FrameBuffer,
    assembler: ContinuousFrame,
    decoding: Decoding,
    policy: TextPolicy,
    max_control_frames: u32,
    state: State,
    /// The longest payload of a message that may be taken after a look at the beginning of its frame alone. `None` where masks or
    /// extensions take part, and while a message is in progress.
    short: Option<u16>,
    /// `short`, for when no message is in progress.
    short_at_rest: Option<u16>,
    /// Every data message is checked and thrown away.
    discards: bool,
    place: Place,
    target: Target,
    half_taken: Option<Granularity>,
    /// Control frames since the last message, as long as they come thick and fast.
    controls: u32,
    close: Option<CloseFrame>,
}

impl Inbound {
    /// A payload of which at least this much is missing is read past the window.
    const DIRECT: u64 = 16 * 1024;
    /// A read of less than this is no flood: the control frames before it are forgotten.
    const TRICKLE: usize = 1024;

    /// The receiving half of a connection whose opening handshake is over.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self::with_extensions(role, limits, TextPolicy::Validate, Vec::new())
    }

    /// The same, with a policy for text and the extensions that were agreed upon, in the order in which received frames pass
    /// them.
    pub fn with_extensions(
        role: Role,
        limits: Limits,
        policy: TextPolicy,
        extensions: Vec<Box<dyn InboundExtension>>,
    ) -> Self {
        Self::decoding(role, limits, policy, Decoding::new(None, extensions, limits.max_message_size))
    }

    /// The same with compression and nothing else: messages are inflated straight to where they are put together.
    pub fn inflating(role: Role, limits: Limits, policy: TextPolicy, inflater: Option<Inflater>) -> Self {
        Self::decoding(role, limits, policy, Decoding::new(inflater, Vec::new(), limits.max_message_size))
    }

    fn decoding(role: Role, limits: Limits, policy: TextPolicy, decoding: Decoding) -> Self {
        let longest = usize::from(u16::MAX).min(limits.max_frame_size).min(limits.max_message_size) as u16;
        // A compressed message does not begin like a plain one, so that compression takes no part here.
        let short = (role == Role::Client && !decoding.has_extensions()).then_some(longest);
        Self {
            frames: FrameBuffer::new(role, &limits, decoding.reserved_bits()),
            assembler: ContinuousFrame::new(limits, policy),
            decoding,
            policy,
            max_control_frames: limits.max_control_frames,
            state: State::Open,
            short,
            short_at_rest: short,
            discards: false,
            place: Place::Gathered,
            target: Target::Window,
            half_taken: None,
            controls: 0,
            close: None,
        }
    }

    /// Where received bytes are to be written to. What the last step brought may be gone afterwards.
    ///
    /// Empty only if the steps before did not go on until they needed more.
    pub fn space(&mut self) -> &mut [u8] {
        // What lay in the window is about to be overwritten.
        self.place = Place::Gathered;
        if !self.reads_past_the_window() {
            self.target = Target::Window;
            return self.frames.space();
        }
        self.target = Target::Assembler;
        let missing = usize::try_from(self.frames.missing()).unwrap_or(usize::MAX);
        self.assembler.direct_space(missing)
    }

    /// Says how many bytes were written to the beginning of [`space`](Self::space).
    pub fn received(&mut self, length: usize) {
        self.assembler.breathe();
        if length < Self::TRICKLE {
            self.controls = 0;
        }
        match self.target {
            Target::Window => self.frames.received(length),
            Target::Assembler => self.frames.bypass(self.assembler.direct_received(length)),
        }
        self.target = Target::Window;
    }

    /// Copies received bytes in, as many as there is [`space`](Self::space) for; says how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let length = space.len().min(bytes.len());
        space[..length].copy_from_slice(&bytes[..length]);
        self.received(length);
        length
    }

    /// Goes on to the next whole message or control frame.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke; it is the answer to every further step as well.
    #[inline]
    pub fn advance(&mut self) -> Result<Step, ProtocolError> {
        if self.advance_short() { Ok(Step::Message) } else { self.go_on(Granularity::Message) }
    }

    /// Goes on to the next message if it is a short one that lies there as a whole.
    #[inline]
    pub(crate) fn advance_short(&mut self) -> bool {
        let Some(longest) = self.short else { return false };
        let Some((kind, length)) = self.frames.short_message(longest) else { return false };
        self.place = Place::Window(kind, length);
        self.controls = 0;
        true
    }

    /// Goes on to the next whole frame, of data or control.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    pub fn advance_frame(&mut self) -> Result<Step, ProtocolError> {
        self.go_on(Granularity::Frame)
    }

    /// Goes on to whatever has arrived of a message, or to a control frame.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    pub fn advance_piece(&mut self) -> Result<Step, ProtocolError> {
        self.go_on(Granularity::Piece)
    }

    /// The message or the piece of the last step.
    ///
    /// A text message that came in one frame is validated here, once, where it lies.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::TextNotUtf8`]; it is the answer to every further step as well.
    #[inline]
    pub fn message(&mut self) -> Result<MessageRef<'_>, ProtocolError> {
        let Place::Window(kind, length) = self.place else { return self.gathered_message() };
        as_message(kind, self.policy, self.frames.payload(length)).inspect_err(|&error| {
            self.state = State::Failed(error);
            self.short = None;
        })
    }

    /// The message of the last step as a value of its own. A large one that was gathered is moved out, not copied.
    ///
    /// # Errors
    ///
    /// As for [`message`](Self::message).
    #[inline]
    pub fn take_message(&mut self) -> Result<Message, ProtocolError> {
        match self.place {
            Place::Gathered => Ok(self.assembler.take_message()),
            Place::Inflated(_) => self.take_inflated(),
            _ => self.message().map(MessageRef::to_owned),
        }
    }

    /// The kind of the message of the last step, as the peer sent it.
    pub const fn kind(&self) -> MessageKind {
        match self.place {
            Place::Window(kind, _) | Place::Inflated(kind) => kind,
            _ => self.assembler.kind(),
        }
    }

    /// The frame of the last step.
    pub fn frame(&self) -> Frame {
        match self.place {
            Place::Control(opcode, length) => Frame::new(opcode, self.frames.payload(length)),
            Place::Frame { opcode, fin } => {
                Frame { fin, rsv: Rsv::NONE, opcode, payload: self.assembler.raw().to_vec() }
            }
            Place::Window(..) | Place::Gathered | Place::Inflated(_) => {
                Frame::new(self.kind().into(), self.assembler.raw())
            }
        }
    }

    /// The data frame of the last step, where it lies: its payload, and whether it ends its message.
    pub(crate) fn part(&self) -> (&[u8], bool) {
        (self.assembler.raw(), matches!(self.place, Place::Frame { fin: true, .. }))
    }

    /// The message that the data frame of the last step is by itself, unless it is one of several fragments.
    pub(crate) fn unfragmented(&self) -> Option<MessageRef<'_>> {
        match self.place {
            Place::Frame { opcode: Opcode::Text | Opcode::Binary, fin: true } => {
                as_message(self.kind(), self.policy, self.assembler.raw()).ok()
            }
            _ => None,
        }
    }

    /// The payload of the control frame of the last step.
    pub fn control(&self) -> &[u8] {
        match self.place {
            Place::Control(_, length) => self.frames.payload(length),
            _ => &[],
        }
    }

    /// The peer's Close, once it was received.
    pub const fn close(&self) -> Option<&CloseFrame> {
        self.close.as_ref()
    }

    /// What is known of the frame at the end of what was received, when the steps have gone as far as they can: how much of its
    /// payload has not come, or else as much of its beginning as has.
    pub(crate) fn beginning(&self) -> (u64, &[u8]) {
        (self.frames.missing(), self.frames.unread())
    }

    /// Whether a step is possible without receiving more. It may turn out to be [`Step::NeedMore`] when only a beginning is
    /// there.
    pub fn has_buffered(&self) -> bool {
        !self.frames.unread().is_empty()
    }

    /// The message of which a part was received, but not its end.
    pub const fn in_progress(&self) -> Option<MessageKind> {
        self.assembler.in_progress()
    }

    /// The granularity of which something was gathered and not yet handed out. To go on with another one would lose it.
    pub const fn half_taken(&self) -> Option<Granularity> {
        self.half_taken
    }

    /// Throws the rest of the message in progress away as it comes. It is still checked.
    pub fn skip_message(&mut self) {
        if self.state == State::Open && self.assembler.in_progress().is_some() {
            self.state = State::Skipping;
            self.half_taken = None;
            self.assembler.forget();
        }
    }

    /// From now on every data message, also the one in progress, is checked and thrown away as it comes; control frames are
    /// still reported. For the closing handshake, which must not make this side hold what nobody will look at.
    pub(crate) fn discard_messages(&mut self) {
        self.skip_message();
        self.discards = true;
        self.short = None;
        self.short_at_rest = None;
    }

    /// How many bytes of memory this half holds.
    pub fn memory(&self) -> usize {
        self.frames.capacity() + self.assembler.capacity() + self.decoding.capacity()
    }

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    pub fn can_release(&self) -> bool {
        self.frames.can_release() || self.assembler.can_release()
    }

    /// Gives back the memory that a burst or a large message has taken, unless it is in use. What the last step brought is gone
    /// afterwards.
    pub fn release(&mut self) {
        self.place = Place::Gathered;
        self.frames.release();
        if self.assembler.in_progress().is_none() {
            self.assembler.release();
            self.decoding.release();
        }
    }

    /// A message that does not lie in the window. What was gathered as it came was validated then; what was inflated in one go
    /// is validated here.
    #[inline(never)]
    fn gathered_message(&mut self) -> Result<MessageRef<'_>, ProtocolError> {
        let Place::Inflated(kind) = self.place else { return Ok(self.assembler.message()) };
        as_message(kind, self.policy, self.assembler.raw()).inspect_err(|&error| self.state = State::Failed(error))
    }

    fn reads_past_the_window(&self) -> bool {
        matches!(self.half_taken, Some(Granularity::Message | Granularity::Frame))
            && self.frames.missing() >= Self::DIRECT
            && self.frames.unread().is_empty()
            && self.assembler.takes_bytes()
            && self.decoding.is_plain()
    }

    /// An inflated message as a value of its own.
    fn take_inflated(&mut self) -> Result<Message, ProtocolError> {
        if matches!(self.message()?, MessageRef::Text(_)) {
            return match self.assembler.take_large() {
                Some(bytes) => String::from_utf8(bytes).map(Message::Text).map_err(|_| ProtocolError::TextNotUtf8),
                None => self.message().map(MessageRef::to_owned),
            };
        }
        match self.assembler.take_large() {
            Some(bytes) => Ok(Message::Binary(bytes)),
            None => self.message().map(MessageRef::to_owned),
        }
    }
}

/// A payload as the message that it is; text is validated.
#[inline]
fn as_message(kind: MessageKind, policy: TextPolicy, payload: &[u8]) -> Result<MessageRef<'_>, ProtocolError> {
    if kind == MessageKind::Binary || policy == TextPolicy::Skip {
        return Ok(MessageRef::Binary(payload));
    }
    simdutf8::basic::from_utf8(payload).map(MessageRef::Text).map_err(|_| ProtocolError::TextNotUtf8)
}

#[cfg(test)]
mod tests;
