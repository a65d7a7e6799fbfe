//! Fragments to messages (RFC 6455, section 5.4): sequence, limits, UTF-8, and the one buffer in which a message is put
//! together.

use super::error::ProtocolError;
use super::extension::Room;
use super::frame::FrameHeader;
use super::limits::Limits;
use super::opcode::Opcode;
use super::step::Gather;
use super::utf8::Utf8Decoder;
use crate::buffer::{ByteBuffer, growth};
use crate::message::{Message, MessageKind, MessageRef};

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

/// Follows the message in progress, whatever becomes of its payload, and gathers the payload where it is wanted.
#[derive(Debug)]
pub(crate) struct ContinuousFrame {
    limits: Limits,
    policy: TextPolicy,
    /// The message of which a first frame was seen and the last was not.
    in_progress: Option<MessageKind>,
    /// What the gathered payload belongs to.
    kind: MessageKind,
    fragments: u32,
    /// The bytes of the message, those announced by the last header included.
    size: usize,
    decoder: Utf8Decoder,
    text: String,
    bytes: ByteBuffer,
    /// How often in a row the window was read to while `bytes` and `text` were larger than they need to be.
    idle: u8,
}

impl ContinuousFrame {
    /// The most that is read ahead of what has arrived, and the most that is kept for the next message.
    const STEP: usize = 64 * 1024;
    /// What an idle connection may keep.
    const SMALL: usize = 4 * 1024;
    /// So many reads without a large message, and its memory is given back.
    const IDLE: u8 = 16;

    pub(crate) fn new(limits: Limits, policy: TextPolicy) -> Self {
        Self {
            limits,
            policy,
            in_progress: None,
            kind: MessageKind::Binary,
            fragments: 0,
            size: 0,
            decoder: Utf8Decoder::default(),
            text: String::new(),
            bytes: ByteBuffer::default(),
            idle: 0,
        }
    }

    /// The message of which a part was seen and the end was not.
    #[inline]
    pub(crate) const fn in_progress(&self) -> Option<MessageKind> {
        self.in_progress
    }

    /// Takes note of a data frame: does it continue the message in progress, or begin one, and does it stay within the limits?
    #[inline]
    pub(crate) fn begin(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        match (header.opcode, self.in_progress) {
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation),
            (_, Some(_)) => return Err(ProtocolError::ExpectedContinuation),
            (opcode, None) => {
                let kind = if opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
                self.in_progress = Some(kind);
                self.kind = kind;
                (self.fragments, self.size) = (0, 0);
                self.forget();
                self.give_back_other();
            }
        }
        self.fragments += 1;
        if self.fragments > self.limits.max_fragments {
            return Err(ProtocolError::TooManyFragments { limit: self.limits.max_fragments });
        }
        Ok(())
    }

    /// Counts bytes of the message before any memory is given to them.
    #[inline]
    pub(crate) fn announce(&mut self, len: u64) -> Result<(), ProtocolError> {
        if len > self.room() as u64 {
            return Err(ProtocolError::MessageTooBig { limit: self.limits.max_message_size });
        }
        self.size += len as usize;
        Ok(())
    }

    /// How many more bytes the message may have.
    #[inline]
    pub(crate) const fn room(&self) -> usize {
        self.limits.max_message_size.saturating_sub(self.size)
    }

    /// Takes a piece of payload.
    #[inline]
    pub(crate) fn gather(&mut self, piece: &[u8], how: Gather) -> Result<(), ProtocolError> {
        match how {
            Gather::Message | Gather::Piece => self.add(piece),
            Gather::Frame => self.add_raw(piece),
            Gather::Nothing => self.check(piece),
        }
    }

    /// Takes what `inflate` appends to the bytes. Text stays there as bytes, checked, unless it is handed out in pieces; a message
    /// that comes `whole` is checked by whoever looks at it, where it lies.
    pub(crate) fn gather_inflated(
        &mut self,
        how: Gather,
        whole: bool,
        inflate: impl FnOnce(&mut ByteBuffer, &mut Room) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        let before = self.bytes.len();
        let mut room = Room::new(self.room(), self.limits.max_message_size);
        inflate(&mut self.bytes, &mut room)?;
        let inflated = &self.bytes.as_slice()[before..];
        self.size += inflated.len();
        if self.is_text() && !(whole && how == Gather::Message) {
            match how {
                Gather::Piece => self.decoder.push(inflated, |text| self.text.push_str(text))?,
                _ => self.decoder.push(inflated, |_| ())?,
            }
        }
        if how == Gather::Nothing {
            self.bytes.clear();
        }
        Ok(())
    }

    /// Gathers a piece of payload.
    #[inline]
    fn add(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        let limit = self.limits.max_message_size;
        if self.is_text() {
            // With what was cut off the piece before, but never more than the message may have.
            let more = (piece.len() + 3).min(limit.saturating_sub(self.text.len()));
            self.text.reserve_exact(growth(self.text.len(), self.text.capacity(), more, limit));
            return self.decoder.push(piece, |text| self.text.push_str(text));
        }
        self.bytes.extend(piece, limit);
        Ok(())
    }

    /// Validates a piece of payload that is not gathered.
    fn check(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        if self.is_text() { self.decoder.push(piece, |_| ()) } else { Ok(()) }
    }

    /// Gathers a piece as it came, whatever its kind, and validates it if it is text.
    fn add_raw(&mut self, piece: &[u8]) -> Result<(), ProtocolError> {
        self.bytes.extend(piece, self.limits.max_message_size);
        self.check(piece)
    }

    /// Whether the payload in progress can be read directly to [`direct_space`](Self::direct_space).
    pub(crate) fn takes_bytes(&self) -> bool {
        self.in_progress.is_some() && !self.is_text()
    }

    /// Where payload can be read to without a detour through the window: at most `missing` bytes. Memory grows by what has
    /// arrived, never by what a header claims.
    pub(crate) fn direct_space(&mut self, missing: usize) -> &mut [u8] {
        if self.bytes.spare(missing).len() < missing.min(Self::STEP) {
            let length = self.bytes.len();
            self.bytes.room(growth(length, length, missing.min(Self::STEP), length.saturating_add(missing)));
        }
        self.bytes.spare(missing)
    }

    /// Takes over `length` bytes that were read to [`direct_space`](Self::direct_space); returns them.
    pub(crate) fn direct_received(&mut self, length: usize) -> &mut [u8] {
        let before = self.bytes.len();
        self.bytes.fill(length);
        &mut self.bytes.as_mut_slice()[before..]
    }

    /// Ends the message. Text must not end inside a character.
    #[inline]
    pub(crate) fn finish(&mut self) -> Result<(), ProtocolError> {
        self.in_progress = None;
        self.decoder.finish()
    }

    /// The gathered message. Text that is not validated arrives as binary.
    #[inline]
    pub(crate) fn message(&self) -> MessageRef<'_> {
        if self.is_text() { MessageRef::Text(&self.text) } else { MessageRef::Binary(self.bytes.as_slice()) }
    }

    /// The gathered bytes: of a frame, or of a message that was inflated.
    pub(crate) fn raw(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The gathered message as a value of its own: a large one is moved out, a small one copied, so that the buffer is there for
    /// the next.
    pub(crate) fn take_message(&mut self) -> Message {
        match self.message() {
            MessageRef::Text(text) if text.len() > Self::STEP => Message::Text(std::mem::take(&mut self.text)),
            MessageRef::Binary(bytes) if bytes.len() > Self::STEP => Message::Binary(self.bytes.take()),
            small => small.to_owned(),
        }
    }

    /// The gathered bytes as a value of its own, if they are so many that moving them out is better than a copy.
    pub(crate) fn take_large(&mut self) -> Option<Vec<u8>> {
        (self.bytes.len() > Self::STEP).then(|| self.bytes.take())
    }

    /// The kind of the message in progress, or of the last one.
    pub(crate) const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// Forgets what was gathered, not what is in progress.
    #[inline]
    pub(crate) fn forget(&mut self) {
        self.text.clear();
        self.bytes.clear();
    }

    /// Of the two buffers, only one may be as large as a message.
    #[inline]
    fn give_back_other(&mut self) {
        if self.capacity() > Self::STEP {
            match self.kind {
                MessageKind::Text => self.bytes.release(),
                MessageKind::Binary => self.text = String::new(),
            }
        }
    }

    /// Called after each read that brought something: gives the memory of a large message back after a while without another.
    pub(crate) fn breathe(&mut self) {
        if self.in_progress.is_some() || self.capacity() <= Self::STEP {
            self.idle = 0;
            return;
        }
        self.idle += 1;
        if self.idle == Self::IDLE {
            self.release();
        }
    }

    pub(crate) const fn can_release(&self) -> bool {
        self.in_progress.is_none() && self.capacity() > Self::SMALL
    }

    /// Gives the memory back.
    pub(crate) fn release(&mut self) {
        self.idle = 0;
        self.text = String::new();
        self.bytes.release();
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.text.capacity() + self.bytes.capacity()
    }

    #[inline]
    const fn is_text(&self) -> bool {
        matches!((self.kind, self.policy), (MessageKind::Text, TextPolicy::Validate))
    }
}
