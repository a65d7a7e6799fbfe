//! The receiving half of a connection: bytes in, messages, frames or pieces out.

mod frames;
mod messages;

pub(crate) use self::frames::Chunk;

use self::frames::FrameParser;
use self::messages::is_validated;
use super::close::CloseFrame;
use super::deflate::Inflater;
use super::error::ProtocolError;
use super::frame::{Frame, FrameHeader, Opcode, Role, Rsv};
use super::utf8::{Utf8Validator, from_utf8};
use crate::buffer::{ByteBuffer, Window};
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
/// They may be mixed: no byte is lost or told twice. What one has begun is finished in that granularity, whichever is asked for; see
/// [`half_taken`](Self::half_taken).
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
#[doc(alias = "FrameProtocol")]
#[doc(alias = "FrameDecoder")]
#[doc(alias = "MessageDecoder")]
#[doc(alias = "received_frames")]
#[doc(alias = "continuous_frame")]
pub struct Inbound {
    window: Window,
    frames: FrameParser,
    inflater: Option<Inflater>,
    policy: TextPolicy,
    /// Follows the text of the message in progress, whatever becomes of it.
    utf8: Utf8Validator,
    /// What was gathered of the message in progress and not handed out, or what the last step brought.
    bytes: ByteBuffer,
    state: ReceiveState,
    /// A message whose payload is shorter than this may be taken after a look at the beginning of its frame alone. 0 where masks or
    /// reserved bits take part, or no message is allowed; a compressed message does not begin like a plain one.
    short: u32,
    /// Every data message is checked and thrown away.
    discards: bool,
    latest: Latest,
    /// The Close that the state tells of: the peer's, or one that was refused.
    close: Option<CloseFrame>,
}

/// Where the receiving half stands between two calls. Everything that depends on it asks it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceiveState {
    /// Between two messages.
    Idle,
    /// In a message, of which something is or is not taken and not handed out.
    Receiving(Taking),
    /// The peer has closed; whatever follows is thrown away.
    Closed,
    /// The peer broke a rule; whatever follows is thrown away.
    Failed(ProtocolError),
}

/// What has been begun of a message and must be finished.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Taking {
    /// Nothing: all that has come was handed out.
    Nothing,
    /// The message, or all of it that was not handed out.
    Message,
    /// A frame with this opcode, or one that begins with the rest of a character.
    Frame(Opcode),
    /// A piece that begins with the rest of a character.
    Piece,
    /// The rest of the message, to be checked and thrown away.
    Skip,
}

/// Where that lies which the last step brought.
#[derive(Clone, Copy, Debug)]
enum Latest {
    /// Nowhere.
    Nothing,
    /// A whole message whose payload the window handed out last; text is not validated yet.
    Window(MessageKind, usize),
    /// A message or a piece, in the bytes, validated but for the beginning of a character at the end of a piece.
    Gathered,
    /// A data frame, in the bytes, and whether it ends its message.
    Frame(Opcode, bool),
    /// A control frame whose payload the window handed out last.
    Control(Opcode, usize),
    /// There is nothing: room in the bytes was handed out, to read payload to that need not pass through the window.
    DirectSpace,
}

/// A driver receives into [`space`](Self::space), says how much that was with [`received`](Self::received), and then takes steps until
/// one needs more. The three kinds of steps differ in how much they wait for:
///
/// ```
/// use websocket_sync::protocol::{CloseCode, Inbound, Limits, Opcode, Role, Step, TextPolicy};
/// use websocket_sync::{Message, MessageKind};
///
/// let mut inbound = Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, None);
/// let bytes = b"\x82\x02Hi\x01\x01a\x80\x01b\x82\x05abc";
/// inbound.space()[..bytes.len()].copy_from_slice(bytes);
/// inbound.received(bytes.len());
///
/// // A message, a frame of the next one, the rest of it, and what has arrived of the third.
/// assert_eq!(inbound.advance()?, Step::Message);
/// assert_eq!((inbound.kind(), inbound.take_message()?), (MessageKind::Binary, Message::from(&b"Hi"[..])));
/// assert_eq!(inbound.advance_frame()?, Step::Frame);
/// assert_eq!((inbound.frame().opcode, inbound.frame().fin), (Opcode::Text, false));
/// assert_eq!(inbound.in_progress(), Some(MessageKind::Text));
/// assert_eq!(inbound.advance_frame()?, Step::Frame);
/// let Step::Piece(piece) = inbound.advance_piece()? else { panic!("no piece") };
/// assert_eq!((piece.message_finished, inbound.message()?.as_bytes()), (false, &b"abc"[..]));
/// assert!(inbound.half_taken().is_none() && !inbound.has_buffered());
///
/// // The rest of it is not wanted.
/// inbound.skip_message();
/// inbound.push(b"de\x88\x02\x03\xe8");
/// while inbound.advance_piece()? != Step::Close {}
/// assert_eq!(inbound.close().map(|close| close.code), Some(CloseCode::NORMAL));
/// assert_eq!((inbound.rejected_close(), inbound.can_release()), (None, false));
/// inbound.release();
/// println!("{} bytes of memory", inbound.memory());
/// # Ok::<(), websocket_sync::protocol::ProtocolError>(())
/// ```
impl Inbound {
    /// A payload of which at least this much is missing is read past the window.
    const DIRECT: u64 = 16 * 1024;
    /// What is read past the window at once at least. Memory grows by what has arrived, never by what a header claims.
    const DIRECT_STEP: usize = 64 * 1024;
    /// A message that is larger is moved out by [`take_message`](Self::take_message); a copy of a smaller one costs less than memory
    /// for the next.
    const LARGE: usize = 64 * 1024;
    /// A read of less than this is no flood: the control frames before it are forgotten.
    const TRICKLE: usize = 1024;

    /// The receiving half of a connection whose opening handshake is over.
    pub fn new(role: Role, limits: Limits) -> Self {
        Self::inflating(role, limits, TextPolicy::Validate, None)
    }

    /// The same with a policy for text, and with compression if that was agreed.
    pub fn inflating(role: Role, limits: Limits, policy: TextPolicy, inflater: Option<Inflater>) -> Self {
        let reserved = if inflater.is_some() { Rsv::RSV1 } else { Rsv::NONE };
        let longest = usize::from(u16::MAX).min(limits.max_frame_size).min(limits.max_message_size);
        let short = if role == Role::Client && limits.max_fragments > 0 { longest as u32 + 1 } else { 0 };
        Self::over(FrameParser::new(role, limits, reserved, inflater.is_some()), policy, inflater, short)
    }

    /// The same for [extensions](super::Extension) that decode what [`advance_piece`](Self::advance_piece) brings: frames may have
    /// these reserved bits, text is not validated, and the size of messages is not limited. [`chunk`](Self::chunk) tells the rest.
    pub(super) fn encoded(role: Role, limits: Limits, reserved: Rsv) -> Self {
        let limits = Limits { max_message_size: usize::MAX, ..limits };
        Self::over(FrameParser::new(role, limits, reserved, false), TextPolicy::Skip, None, 0)
    }

    fn over(frames: FrameParser, policy: TextPolicy, inflater: Option<Inflater>, short: u32) -> Self {
        Self {
            window: Window::new(),
            frames,
            inflater,
            policy,
            utf8: Utf8Validator::default(),
            bytes: ByteBuffer::default(),
            state: ReceiveState::Idle,
            short,
            discards: false,
            latest: Latest::Nothing,
            close: None,
        }
    }

    /// Where received bytes are to be written to. What the last step brought may be gone afterwards.
    ///
    /// Empty only if the steps before did not go on until they needed more.
    pub fn space(&mut self) -> &mut [u8] {
        self.latest = Latest::Nothing;
        match self.state {
            ReceiveState::Receiving(Taking::Message | Taking::Frame(_)) if self.reads_past_the_window() => {
                let missing = usize::try_from(self.frames.missing()).unwrap_or(usize::MAX);
                // Where there is no memory for it, the step says so that wants to move a chunk from the window to there.
                if self.bytes.room_within(Self::DIRECT_STEP, missing).is_ok() {
                    self.latest = Latest::DirectSpace;
                    return self.bytes.spare(missing);
                }
            }
            ReceiveState::Idle | ReceiveState::Receiving(Taking::Nothing) => self.bytes.clear(),
            ReceiveState::Receiving(_) => {}
            ReceiveState::Closed | ReceiveState::Failed(_) => self.discard(),
        }
        self.window.space()
    }

    /// Says how many bytes were written to the beginning of [`space`](Self::space). After a Close and after a violation they are
    /// thrown away.
    pub fn received(&mut self, length: usize) {
        if length < Self::TRICKLE {
            self.frames.forgive_control_frames();
        }
        if matches!(self.latest, Latest::DirectSpace) {
            self.received_directly(length);
        } else {
            self.bytes.note_use(self.bytes.len());
            self.window.received(length);
            if matches!(self.state, ReceiveState::Closed | ReceiveState::Failed(_)) {
                self.window.discard();
            }
        }
    }

    /// Copies received bytes in, as many as there is [`space`](Self::space) for; says how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let space = self.space();
        let length = space.len().min(bytes.len());
        space[..length].copy_from_slice(&bytes[..length]);
        self.received(length);
        length
    }

    /// Advances to the next whole message or control frame.
    ///
    /// # Errors
    ///
    /// The rule that the peer broke; it is the answer to every further step as well.
    #[inline]
    pub fn advance(&mut self) -> Result<Step, ProtocolError> {
        if self.advance_short() { Ok(Step::Message) } else { self.step(Granularity::Message) }
    }

    /// Goes on to the next message if it is a short one that lies there as a whole.
    #[inline]
    pub(crate) fn advance_short(&mut self) -> bool {
        let ReceiveState::Idle = self.state else { return false };
        let Some((kind, length)) = self.frames.short_message(&mut self.window, self.short) else { return false };
        self.latest = Latest::Window(kind, length);
        true
    }

    /// Advances to the next whole frame, of data or control.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    pub fn advance_frame(&mut self) -> Result<Step, ProtocolError> {
        self.step(Granularity::Frame)
    }

    /// Advances to whatever has arrived of a message, or to a control frame.
    ///
    /// # Errors
    ///
    /// As for [`advance`](Self::advance).
    pub fn advance_piece(&mut self) -> Result<Step, ProtocolError> {
        self.step(Granularity::Piece)
    }

    /// The message or the piece of the last step. After any other step it is empty.
    ///
    /// A text message that came in one frame is validated here, where it lies.
    ///
    /// # Errors
    ///
    /// [`ProtocolError::TextNotUtf8`]; it is the answer to every further step as well. After a violation, that.
    #[inline(always)]
    pub fn message(&mut self) -> Result<MessageRef<'_>, ProtocolError> {
        let Latest::Window(kind, length) = self.latest else { return self.gathered_message() };
        if !is_validated(kind, self.policy) {
            return Ok(MessageRef::Binary(self.window.behind(length)));
        }
        match text_behind(&mut self.window, length) {
            Some(text) => Ok(MessageRef::Text(text)),
            None => Err(fail(&mut self.state, ProtocolError::TextNotUtf8)),
        }
    }

    /// The message of the last step as a value of its own. A large one that was gathered is moved out, not copied.
    ///
    /// # Errors
    ///
    /// As for [`message`](Self::message).
    #[inline]
    pub fn take_message(&mut self) -> Result<Message, ProtocolError> {
        let is_large = matches!(self.latest, Latest::Gathered) && self.bytes.len() > Self::LARGE;
        if is_large && self.utf8.incomplete() == 0 {
            return self.move_message();
        }
        self.message().map(MessageRef::to_owned)
    }

    /// The kind of the message of the last step, as the peer sent it.
    pub const fn kind(&self) -> MessageKind {
        match self.latest {
            Latest::Window(kind, _) => kind,
            _ => self.frames.message.kind,
        }
    }

    /// The frame of the last step. One whose beginning was handed out as pieces is a continuation of them.
    pub fn frame(&self) -> Frame {
        match self.latest {
            Latest::Control(opcode, length) => Frame::new(opcode, self.window.behind(length)),
            Latest::Frame(opcode, fin) => {
                Frame { fin, rsv: Rsv::NONE, opcode, payload: self.bytes.as_slice().to_vec() }
            }
            Latest::Window(kind, length) => Frame::new(kind.into(), self.window.behind(length)),
            Latest::Gathered => Frame::new(self.kind().into(), self.bytes.as_slice()),
            Latest::Nothing | Latest::DirectSpace => Frame::new(self.kind().into(), []),
        }
    }

    /// The same; a large one is moved out, not copied.
    pub(crate) fn take_frame(&mut self) -> Frame {
        match self.latest {
            Latest::Frame(opcode, fin) if self.bytes.len() > Self::LARGE => {
                self.latest = Latest::Nothing;
                Frame { fin, rsv: Rsv::NONE, opcode, payload: self.bytes.take() }
            }
            _ => self.frame(),
        }
    }

    /// The data frame of the last step, where it lies: its payload, and whether it ends its message.
    pub(crate) fn part(&self) -> (&[u8], bool) {
        match self.latest {
            Latest::Frame(_, fin) => (self.bytes.as_slice(), fin),
            _ => (&[], false),
        }
    }

    /// The piece of the last step as bytes, of text whole characters. It was validated as it came, and is not looked through again: who
    /// reads it byte by byte asks for it as often.
    pub(crate) fn piece(&self) -> &[u8] {
        match self.latest {
            Latest::Gathered => &self.bytes.as_slice()[..self.bytes.len() - self.utf8.incomplete()],
            _ => &[],
        }
    }

    /// The message that the data frame of the last step is by itself, unless it is one of several fragments.
    pub(crate) fn unfragmented(&self) -> Option<MessageRef<'_>> {
        let bytes = self.bytes.as_slice();
        match self.latest {
            Latest::Frame(Opcode::Text, true) if self.policy == TextPolicy::Validate => {
                from_utf8(bytes).ok().map(MessageRef::Text)
            }
            Latest::Frame(Opcode::Text | Opcode::Binary, true) => Some(MessageRef::Binary(bytes)),
            _ => None,
        }
    }

    /// The payload of the control frame of the last step.
    pub fn control(&self) -> &[u8] {
        match self.latest {
            Latest::Control(_, length) => self.window.behind(length),
            _ => &[],
        }
    }

    /// The peer's Close, once it was received.
    pub const fn close(&self) -> Option<&CloseFrame> {
        match self.state {
            ReceiveState::Closed => self.close.as_ref(),
            _ => None,
        }
    }

    /// What the peer's Close said that was refused because of its code or its reason, as far as that can be told: bytes of the
    /// reason that are not UTF-8 are escaped.
    pub const fn rejected_close(&self) -> Option<&CloseFrame> {
        match self.state {
            ReceiveState::Failed(_) => self.close.as_ref(),
            _ => None,
        }
    }

    /// The chunk of a frame that the last step took last, as it came, and the header of that frame: for
    /// [`encoded`](Self::encoded).
    pub(super) const fn chunk(&self) -> (Chunk, FrameHeader) {
        (self.frames.chunk, self.frames.header)
    }

    /// What is known of the frame at the end of what was received, when the steps have gone as far as they can: how much of its
    /// payload has not come, or else as much of its beginning as has.
    pub(crate) fn beginning(&self) -> (u64, &[u8]) {
        (self.frames.missing(), self.window.unread())
    }

    /// Whether a step is possible without receiving more. It may turn out to be [`Step::NeedMore`] when only a beginning is
    /// there.
    pub const fn has_buffered(&self) -> bool {
        matches!(self.state, ReceiveState::Idle | ReceiveState::Receiving(_)) && !self.window.is_empty()
    }

    /// The message of which a part was received, but not its end; `None` once that cannot come any more.
    pub const fn in_progress(&self) -> Option<MessageKind> {
        match self.state {
            ReceiveState::Receiving(_) => Some(self.frames.message.kind),
            ReceiveState::Idle | ReceiveState::Closed | ReceiveState::Failed(_) => None,
        }
    }

    /// How many bytes were gathered of that message and not handed out: after decompression, and as far as whole chunks were taken.
    pub(crate) fn gathered(&self) -> usize {
        match self.state {
            ReceiveState::Receiving(_) => self.bytes.len(),
            ReceiveState::Idle | ReceiveState::Closed | ReceiveState::Failed(_) => 0,
        }
    }

    /// The granularity of which something was taken and not yet handed out: a part of a message or of a frame, or the beginning of
    /// a character that the end of a frame or of a piece has cut. The next step is of that granularity, whichever is asked for.
    pub const fn half_taken(&self) -> Option<Granularity> {
        match self.state {
            ReceiveState::Receiving(Taking::Message) => Some(Granularity::Message),
            ReceiveState::Receiving(Taking::Frame(_)) => Some(Granularity::Frame),
            ReceiveState::Receiving(Taking::Piece) => Some(Granularity::Piece),
            _ => None,
        }
    }

    /// Throws the rest of the message in progress away as it comes. It is still checked.
    pub fn skip_message(&mut self) {
        if let ReceiveState::Receiving(taking) = &mut self.state {
            *taking = Taking::Skip;
            self.latest = Latest::Nothing;
            self.bytes.clear();
        }
    }

    /// From now on every data message, also the one in progress, is checked and thrown away as it comes; control frames are
    /// still reported. For the closing handshake, which must not make this side hold what nobody will look at.
    pub(crate) fn discard_messages(&mut self) {
        self.skip_message();
        self.discards = true;
        self.short = 0;
        self.bytes.release();
    }

    /// How many bytes of memory this half holds.
    pub fn memory(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.memory());
        self.window.capacity() + self.bytes.capacity() + inflater
    }

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    pub const fn can_release(&self) -> bool {
        let inflater = matches!(&self.inflater, Some(inflater) if inflater.can_release());
        inflater || self.window.can_release() || (self.half_taken().is_none() && self.bytes.can_release())
    }

    /// Frees the memory that a burst or a large message has taken, unless it is in use. The result of the last step is no longer
    /// available afterwards.
    pub fn release(&mut self) {
        self.latest = Latest::Nothing;
        self.window.release();
        if let Some(inflater) = &mut self.inflater {
            inflater.release();
        }
        if self.half_taken().is_none() {
            self.bytes.release();
        }
    }

    /// A message or a piece that does not lie in the window. It was validated as it came, and is looked at again only because bytes
    /// are no text by themselves.
    #[inline(never)]
    fn gathered_message(&mut self) -> Result<MessageRef<'_>, ProtocolError> {
        if let ReceiveState::Failed(error) = self.state {
            return Err(error);
        }
        let Latest::Gathered = self.latest else { return Ok(MessageRef::Binary(&[])) };
        let bytes = self.bytes.as_slice();
        if !is_validated(self.frames.message.kind, self.policy) {
            return Ok(MessageRef::Binary(bytes));
        }
        let whole = &bytes[..bytes.len() - self.utf8.incomplete()];
        from_utf8(whole).map(MessageRef::Text).map_err(|_| fail(&mut self.state, ProtocolError::TextNotUtf8))
    }

    fn move_message(&mut self) -> Result<Message, ProtocolError> {
        self.latest = Latest::Nothing;
        let bytes = self.bytes.take();
        if !is_validated(self.frames.message.kind, self.policy) {
            return Ok(Message::Binary(bytes));
        }
        String::from_utf8(bytes).map(Message::Text).map_err(|_| fail(&mut self.state, ProtocolError::TextNotUtf8))
    }

    fn reads_past_the_window(&self) -> bool {
        self.frames.missing() >= Self::DIRECT && self.window.is_empty() && !self.frames.message.compressed
    }

    fn received_directly(&mut self, length: usize) {
        self.latest = Latest::Nothing;
        let before = self.bytes.len();
        self.bytes.fill(length);
        let payload = &mut self.bytes.as_mut_slice()[before..];
        self.frames.take_direct(payload);
        if is_validated(self.frames.message.kind, self.policy) && self.utf8.push(payload).is_err() {
            self.state = ReceiveState::Failed(ProtocolError::TextNotUtf8);
        }
        self.bytes.note_use(self.bytes.len());
    }

    /// Nothing that was received and not told will ever be.
    #[cold]
    fn discard(&mut self) {
        self.latest = Latest::Nothing;
        self.window.discard();
        self.bytes.release();
    }
}

/// The bytes that the window handed out last, as text if they are. UTF-8 is checked in blocks of 64 bytes; a rest costs more than
/// another block, so NULs in front make whole blocks of it, which are valid by themselves and make nothing valid that is not.
#[inline(always)]
fn text_behind(window: &mut Window, length: usize) -> Option<&str> {
    match length.wrapping_neg() % 64 {
        0 => from_utf8(window.behind(length)).ok(),
        padding => from_utf8(window.behind_padded(length, padding)).ok()?.get(padding..),
    }
}

/// Nothing is told any more but this.
#[cold]
const fn fail(state: &mut ReceiveState, error: ProtocolError) -> ProtocolError {
    *state = ReceiveState::Failed(error);
    error
}

/// What a peer may make us hold (RFC 6455, section 10.4): limits on what is received. Going over one is a violation: the peer gets a Close and the connection ends.
///
/// ```
/// use websocket_sync::protocol::Limits;
///
/// let limits = Limits::default();
/// assert_eq!(limits.max_message_size, 64 << 20);
/// assert_eq!(limits.max_fragments, 131_072);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest message, in bytes, after an extension has decoded it. Default: 64 MiB.
    pub max_message_size: usize,
    /// The largest payload of one frame, in bytes. Default: 64 MiB.
    pub max_frame_size: usize,
    /// The most fragments of one message; empty ones count. Default: 131,072.
    pub max_fragments: u32,
    /// The most control frames in a row. The count begins anew with a message, with a fragment that is not empty, and with a read
    /// from the network of less than 1 KiB, so that the pings of a quiet connection never add up. Default: 10,000.
    pub max_control_frames: u32,
}

impl Limits {
    /// No limits at all: for peers that are trusted with all memory there is. What takes more is
    /// [`ProtocolError::OutOfMemory`].
    ///
    /// ```
    /// use websocket_sync::protocol::Limits;
    ///
    /// assert_eq!(Limits::no_limits().max_message_size, usize::MAX);
    /// ```
    pub const fn no_limits() -> Self {
        Self {
            max_message_size: usize::MAX,
            max_frame_size: usize::MAX,
            max_fragments: u32::MAX,
            max_control_frames: u32::MAX,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 64 << 20,
            max_frame_size: 64 << 20,
            max_fragments: 131_072,
            max_control_frames: 10_000,
        }
    }
}

/// Whether text is validated.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "it is checked or it is not")]
pub enum TextPolicy {
    /// Text is validated and arrives as text (RFC 6455, section 8.1).
    #[default]
    Validate,
    /// Text is not validated and therefore arrives as binary.
    #[doc(alias = "skip_utf8_validation")]
    Skip,
}

/// What a step brought.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing until more bytes are received.
    NeedMore,
    /// A whole message: [`Inbound::message`](Inbound::message).
    Message,
    /// A whole data frame: [`Inbound::frame`](Inbound::frame).
    Frame,
    /// A piece of a message: [`Inbound::message`](Inbound::message).
    Piece(Piece),
    /// A ping; it ought to be answered with a pong of the same payload (RFC 6455, section 5.5.2).
    Ping,
    /// A pong.
    Pong,
    /// A Close; it must be answered with a Close, unless one was sent before (section 5.5.1).
    Close,
    /// Nothing ever again: a Close was received before.
    Ended,
}

/// What is known of a piece of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to say of a piece")]
pub struct Piece {
    /// The kind of the message that it belongs to.
    pub kind: MessageKind,
    /// Whether it ends its frame.
    pub frame_finished: bool,
    /// Whether it ends its message.
    pub message_finished: bool,
}

/// How much a step waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between these")]
pub enum Granularity {
    /// A whole message.
    Message,
    /// A whole frame.
    Frame,
    /// Whatever has arrived.
    Piece,
}

#[cfg(test)]
mod tests;
