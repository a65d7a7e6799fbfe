//! The sending half of a connection: messages and control frames in, bytes out.

use super::close::CloseFrame;
use super::deflate::Deflater;
use super::error::LocalProtocolError;
use super::frame::{Frame, FrameHeader, LENGTH_63, MAX_CONTROL_PAYLOAD, Opcode, Role, Rsv};
use super::mask::{Entropy, MaskKeys, copy_masked, rotate};
use super::utf8::Utf8Validator;
use crate::buffer::{ByteBuffer, Retention};
use crate::message::{MessageKind, MessageRef};

/// The sending half of a connection.
///
/// Each call appends a frame to the bytes that are [`pending`](Self::pending); the driver writes them and says with
/// [`written`](Self::written) how many have gone.
///
/// ```
/// use websocket_sync::MessageRef;
/// use websocket_sync::protocol::{Outbound, Role};
///
/// let mut outbound = Outbound::new(Role::Server, Box::new(|_| unreachable!("a server does not mask")));
/// let length = outbound.message(MessageRef::Text("Hello"))?;
/// assert_eq!(outbound.pending(), b"\x81\x05Hello");
/// outbound.written(length);
/// assert!(outbound.pending().is_empty());
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Debug)]
#[doc(alias = "FrameProtocol")]
pub struct Outbound {
    role: Role,
    keys: MaskKeys,
    deflater: Option<Box<Deflater>>,
    buffer: ByteBuffer,
    /// How much of the buffer was written.
    written: usize,
    /// How many bytes were written since the beginning.
    total_written: u64,
    /// The message of which a first fragment was sent and the last was not.
    in_progress: Option<MessageKind>,
    /// Follows its text, which must be UTF-8 as a whole (RFC 6455, section 5.6) although it may be cut anywhere.
    utf8: Utf8Validator,
    /// The frame of which the header was encoded and the payload was not, all of it.
    current: Option<CurrentFrame>,
    close: Option<CloseFrame>,
    /// How many bytes those are when all of the Close has been.
    close_end: u64,
}

/// Whether a frame ends its message: the FIN bit (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "one bit")]
pub enum Fin {
    /// Further fragments follow.
    More,
    /// The message ends with this frame.
    Last,
}

/// Whether a message may be compressed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Compression {
    /// As was agreed, if it was.
    #[default]
    Agreed,
    /// Not this one.
    Off,
}

/// Whether text may be invalid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Text {
    /// It comes as bytes: it is validated as it is encoded.
    Unchecked,
    /// It is known to be valid.
    Valid,
}

/// A payload that is encoded in chunks.
#[derive(Clone, Copy, Debug)]
struct CurrentFrame {
    key: Option<[u8; 4]>,
    encoded: u64,
    missing: u64,
    fin: Fin,
    /// Whether the payload is text that must be validated.
    text: Option<Utf8Validator>,
}

/// The state before a frame was encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpoint {
    /// How many bytes have left when what was pending before has.
    position: u64,
    in_progress: Option<MessageKind>,
    utf8: Utf8Validator,
    inside_frame: bool,
    deflating: bool,
    closed: bool,
}

/// ```
/// use websocket_sync::protocol::{CloseCode, CloseFrame, Fin, Frame, MaskKeys, Opcode, Outbound, Role};
///
/// let mut outbound = Outbound::new(Role::Server, Box::new(|_| unreachable!("a server does not mask")));
/// // A message in two fragments, the second one encoded in chunks.
/// outbound.data(Opcode::Text, Fin::More, b"He")?;
/// assert!(outbound.in_progress().is_some());
/// outbound.begin(Opcode::Continuation, Fin::Last, 3)?;
/// outbound.payload(b"l")?;
/// assert!(outbound.is_inside_frame());
/// outbound.payload(b"lo")?;
/// outbound.data_uncompressed(Opcode::Binary, Fin::Last, b"\xff\xd8")?;
/// // Control frames, and frames as they are given.
/// outbound.ping(b"1")?;
/// outbound.pong(b"2")?;
/// outbound.frame(&Frame::new(Opcode::Text, "x"))?;
/// outbound.frame_unchecked(&Frame::new(Opcode::Continuation, "continues nothing"));
/// outbound.close(&CloseFrame::new(CloseCode::NORMAL, "bye")?)?;
/// assert_eq!(outbound.close_sent().map(|close| close.code), Some(CloseCode::NORMAL));
///
/// outbound.written(outbound.pending().len());
/// outbound.release();
/// println!("{} bytes of memory", outbound.memory());
///
/// let mut client = Outbound::deflating(Role::Client, MaskKeys::pooled(Box::new(|bytes| bytes.fill(7))), None);
/// client.set_mask_keys(MaskKeys::each(Box::new(|| [1, 2, 3, 4])));
/// client.ping(b"")?;
/// assert_eq!(client.pending(), b"\x89\x80\x01\x02\x03\x04");
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
impl Outbound {
    /// The sending half of a connection whose opening handshake is over. A client draws its masking keys from `entropy`.
    pub fn new(role: Role, entropy: Entropy) -> Self {
        Self::deflating(role, MaskKeys::pooled(entropy), None)
    }

    /// The same with a source of keys, and with compression if that was agreed.
    pub fn deflating(role: Role, keys: MaskKeys, deflater: Option<Deflater>) -> Self {
        Self {
            role,
            keys,
            deflater: deflater.map(Box::new),
            buffer: ByteBuffer::default(),
            written: 0,
            total_written: 0,
            in_progress: None,
            utf8: Utf8Validator::new(),
            current: None,
            close: None,
            close_end: 0,
        }
    }

    /// What is encoded and not yet written.
    #[inline]
    pub fn pending(&self) -> &[u8] {
        &self.buffer.as_slice()[self.written..]
    }

    /// Says that the first `length` pending bytes were written.
    #[inline]
    pub fn written(&mut self, length: usize) {
        if length < self.buffer.len() - self.written {
            self.total_written += length as u64;
            self.written += length;
        } else {
            self.all_written();
        }
    }

    /// Says that all pending bytes were written.
    #[inline]
    pub(crate) fn all_written(&mut self) {
        self.total_written = self.position();
        if self.buffer.capacity() > Retention::SMALLEST {
            self.buffer.note_use(self.buffer.len());
        }
        self.buffer.clear();
        self.written = 0;
    }

    /// Encodes a whole message as one frame; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::AfterClose`] after a Close, [`LocalProtocolError::OutOfSequence`] inside a fragmented message.
    #[inline]
    pub fn message(&mut self, message: MessageRef<'_>) -> Result<usize, LocalProtocolError> {
        self.message_with(message, Compression::Agreed)
    }

    /// The same; `compression` says whether it may be compressed.
    #[inline]
    pub(crate) fn message_with(
        &mut self,
        message: MessageRef<'_>,
        compression: Compression,
    ) -> Result<usize, LocalProtocolError> {
        match self.plain_message(message) {
            Some(length) => Ok(length),
            None => self.encode_data(message.kind().into(), Fin::Last, message.as_bytes(), compression, Text::Valid),
        }
    }

    /// Encodes a data frame: a message's first fragment has its kind as opcode, each further one [`Opcode::Continuation`]. Returns
    /// the frame's length in bytes.
    ///
    /// Text is validated: the octet that makes it invalid, or that leaves its last character unfinished, is not encoded.
    ///
    /// # Errors
    ///
    /// As for [`message`](Self::message), when a continuation has nothing to continue, and [`LocalProtocolError::TextNotUtf8`];
    /// nothing is encoded then, and another fragment may be tried.
    #[doc(alias = "send_data")]
    #[inline]
    pub fn data(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        self.data_with(opcode, fin, payload, Compression::Agreed)
    }

    /// The same without compression. What is said of a message's first fragment counts for all of them.
    ///
    /// # Errors
    ///
    /// As for [`data`](Self::data).
    pub fn data_uncompressed(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        self.data_with(opcode, fin, payload, Compression::Off)
    }

    #[inline]
    pub(crate) fn data_with(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        compression: Compression,
    ) -> Result<usize, LocalProtocolError> {
        self.encode_data(opcode, fin, payload, compression, Text::Unchecked)
    }

    /// Encodes a data frame whose payload an [extension](super::Extension) has made, with these reserved bits. It is asked for once
    /// the frame [may be sent](Self::check_data).
    pub(super) fn data_encoded(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        rsv: Rsv,
        payload: &[u8],
    ) -> Result<usize, LocalProtocolError> {
        let key = self.begin_data(opcode, fin, payload, Text::Valid)?.1;
        Ok(self.encode(key, fin, rsv, opcode, payload))
    }

    /// Whether a data frame would be compressed if it were sent now.
    #[inline]
    pub(crate) fn would_deflate(&self, opcode: Opcode, fin: Fin, len: u64, compression: Compression) -> bool {
        self.deflater.as_ref().is_some_and(|deflater| deflater.would_deflate(opcode, fin, len, compression))
    }

    /// Encodes the header of a data frame whose payload, `len` bytes, follows in chunks with [`payload`](Self::payload). Returns the
    /// length that the whole frame will have, in bytes.
    ///
    /// # Errors
    ///
    /// As for [`data`](Self::data); compression needs the payload at once: with it, send fragments. A message that is begun like
    /// this is not compressed.
    pub fn begin(&mut self, opcode: Opcode, fin: Fin, len: u64) -> Result<u64, LocalProtocolError> {
        self.begin_frame(opcode, fin, len, Text::Unchecked)
    }

    /// The same for a whole message, whose payload is not validated again.
    pub(crate) fn begin_message(&mut self, message: MessageRef<'_>) -> Result<u64, LocalProtocolError> {
        self.begin_frame(message.kind().into(), Fin::Last, message.as_bytes().len() as u64, Text::Valid)
    }

    /// Encodes the next chunk of the payload that was begun.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::PayloadLength`] when it is more than was announced, [`LocalProtocolError::TextNotUtf8`] as for
    /// [`data`](Self::data); nothing is encoded then.
    pub fn payload(&mut self, chunk: &[u8]) -> Result<(), LocalProtocolError> {
        let Some(mut current) = self.current.filter(|current| chunk.len() as u64 <= current.missing) else {
            return if chunk.is_empty() { Ok(()) } else { Err(LocalProtocolError::PayloadLength) };
        };
        let key = current.key.map(|key| rotate(key, (current.encoded % 4) as usize));
        current.encoded += chunk.len() as u64;
        current.missing -= chunk.len() as u64;
        if let Some(utf8) = &mut current.text {
            utf8.push(chunk)?;
            if current.missing == 0 && current.fin == Fin::Last {
                utf8.finish()?;
            }
            self.utf8 = *utf8;
        }
        self.append(key, chunk);
        self.current = (current.missing > 0).then_some(current);
        Ok(())
    }

    /// Encodes a ping.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::ControlTooLong`] for more than 125 bytes, [`LocalProtocolError::AfterClose`] after a Close.
    pub fn ping(&mut self, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        if self.close.is_some() {
            return Err(LocalProtocolError::AfterClose);
        }
        self.control(Opcode::Ping, payload)
    }

    /// Encodes a pong. It may still follow our Close, as long as the peer's has not come.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::ControlTooLong`] for more than 125 bytes.
    pub fn pong(&mut self, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        self.control(Opcode::Pong, payload)
    }

    /// Encodes a Close; data and pings cannot follow it (RFC 6455, section 5.5.1).
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::AfterClose`] if one was sent before; those of [`CloseFrame::new`] if the frame must not be sent.
    pub fn close(&mut self, close: &CloseFrame) -> Result<usize, LocalProtocolError> {
        if self.close.is_some() {
            return Err(LocalProtocolError::AfterClose);
        }
        let close = CloseFrame::new(close.code, &close.reason)?;
        let length = self.control(Opcode::Close, &close.to_body())?;
        (self.close, self.close_end) = (Some(close), self.position());
        Ok(length)
    }

    /// Encodes a single frame.
    ///
    /// # Errors
    ///
    /// Those of [`Frame::validate`] and of the method for its kind.
    pub fn frame(&mut self, frame: &Frame) -> Result<usize, LocalProtocolError> {
        frame.validate()?;
        match frame.opcode {
            Opcode::Ping => self.ping(&frame.payload),
            Opcode::Pong => self.pong(&frame.payload),
            Opcode::Close => self.close(&CloseFrame::parse(&frame.payload).map_err(LocalProtocolError::CloseBody)?),
            Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                self.data(frame.opcode, if frame.fin { Fin::Last } else { Fin::More }, &frame.payload)
            }
        }
    }

    /// Encodes a frame without checking whether RFC 6455 allows it: for tests of a peer. Returns the frame's length in bytes.
    #[doc(hidden)]
    pub fn frame_unchecked(&mut self, frame: &Frame) -> usize {
        let key = self.key();
        self.encode(key, if frame.fin { Fin::Last } else { Fin::More }, frame.rsv, frame.opcode, &frame.payload)
    }

    /// The Close that was sent, if one was.
    pub const fn close_sent(&self) -> Option<&CloseFrame> {
        self.close.as_ref()
    }

    /// Whether a Close has left to its last byte.
    pub(crate) const fn has_close_left(&self) -> bool {
        self.close.is_some() && self.total_written >= self.close_end
    }

    /// The message of which a part was sent, but not its end.
    pub const fn in_progress(&self) -> Option<MessageKind> {
        self.in_progress
    }

    /// Whether a payload was announced and not all of it encoded: nothing else can be sent before.
    pub const fn is_inside_frame(&self) -> bool {
        self.current.is_some()
    }

    /// Takes a new source of masking keys.
    #[doc(alias = "get_mask_key")]
    pub fn set_mask_keys(&mut self, keys: MaskKeys) {
        self.keys = keys;
    }

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    pub(crate) fn can_release(&self) -> bool {
        let deflater = self.deflater.as_ref().is_some_and(|deflater| deflater.can_release());
        deflater || (self.pending().is_empty() && self.buffer.can_release())
    }

    /// Frees the memory that large frames have taken, unless something is pending.
    pub fn release(&mut self) {
        if let Some(deflater) = &mut self.deflater {
            deflater.release();
        }
        if self.pending().is_empty() {
            self.buffer.release();
            self.written = 0;
        }
    }

    /// How many bytes of memory this half holds.
    pub fn memory(&self) -> usize {
        self.buffer.capacity() + self.deflater.as_ref().map_or(0, |deflater| deflater.memory())
    }

    /// How many bytes have left when all that is pending has.
    #[inline]
    const fn position(&self) -> u64 {
        self.total_written + (self.buffer.len() - self.written) as u64
    }

    /// Remembers where the next frame begins, for [`rollback`](Self::rollback).
    #[inline]
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            position: self.position(),
            in_progress: self.in_progress,
            utf8: self.utf8,
            inside_frame: self.current.is_some(),
            deflating: self.deflater.as_ref().is_some_and(|deflater| deflater.is_deflating()),
            closed: self.close.is_some(),
        }
    }

    /// Encodes a whole message as one frame that is not compressed, in the usual case: nothing is in progress, and no compression
    /// was agreed upon.
    #[inline(always)]
    pub(crate) fn plain_message(&mut self, message: MessageRef<'_>) -> Option<usize> {
        let is_usual =
            self.in_progress.is_none() && self.deflater.is_none() && self.current.is_none() && self.close.is_none();
        if !is_usual {
            return None;
        }
        let key = self.key();
        Some(self.encode(key, Fin::Last, Rsv::NONE, message.kind().into(), message.as_bytes()))
    }

    /// The state before the last frame, `length` bytes long, that [`plain_message`](Self::plain_message) has encoded.
    #[cold]
    pub(crate) fn checkpoint_before_message(&self, length: usize) -> Checkpoint {
        Checkpoint { position: self.position() - length as u64, ..self.checkpoint() }
    }

    /// Whether any of what was encoded since `checkpoint` has left.
    pub(crate) const fn has_left_since(&self, checkpoint: Checkpoint) -> bool {
        self.total_written > checkpoint.position
    }

    /// Takes back what was encoded since `checkpoint`, unless any of it has left; says whether.
    #[cold]
    pub(crate) fn rollback(&mut self, checkpoint: Checkpoint) -> bool {
        let Some(kept) = checkpoint.position.checked_sub(self.total_written) else { return false };
        let length = self.written + usize::try_from(kept).unwrap_or(usize::MAX - self.written);
        if checkpoint.inside_frame || self.buffer.len() <= length {
            return false;
        }
        self.buffer.truncate(length);
        self.in_progress = checkpoint.in_progress;
        self.utf8 = checkpoint.utf8;
        self.current = None;
        if let Some(deflater) = &mut self.deflater {
            deflater.rollback(checkpoint.deflating);
        }
        if !checkpoint.closed {
            self.close = None;
        }
        true
    }

    /// Room for so many bytes behind what is pending.
    #[inline]
    fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.written > 0 {
            self.compact();
        }
        self.buffer.room(wanted)
    }

    /// Moves what is pending to the front of the buffer, once as much was written as that: a buffer that is never empty must not
    /// grow for ever.
    #[cold]
    fn compact(&mut self) {
        if self.written >= self.pending().len() {
            self.buffer.drop_front(self.written);
            self.written = 0;
        }
    }

    /// Forgets what is pending: it will never be written, and nothing may follow it.
    #[cold]
    pub(crate) fn discard_pending(&mut self) {
        if !self.has_close_left() {
            self.close = None;
        }
        self.buffer.release();
        self.written = 0;
        self.current = None;
    }

    #[inline]
    fn encode_data(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        compression: Compression,
        text: Text,
    ) -> Result<usize, LocalProtocolError> {
        let (kind, utf8) = self.check_payload(opcode, fin, payload, text)?;
        let key = self.key();
        let is_deflated = self.deflate(opcode, fin, payload, compression);
        self.utf8 = utf8;
        self.set_in_progress(kind, fin);
        if is_deflated {
            return Ok(self.encode_deflated(key, fin, opcode));
        }
        Ok(self.encode(key, fin, Rsv::NONE, opcode, payload))
    }

    fn begin_frame(&mut self, opcode: Opcode, fin: Fin, len: u64, text: Text) -> Result<u64, LocalProtocolError> {
        if opcode == Opcode::Continuation && self.deflater.as_ref().is_some_and(|deflater| deflater.is_deflating()) {
            return Err(LocalProtocolError::PayloadInPieces);
        }
        if len >= LENGTH_63 {
            return Err(LocalProtocolError::PayloadLength);
        }
        // The end of an empty frame is its header.
        let (kind, key) = self.begin_data(opcode, if len == 0 { fin } else { Fin::More }, b"", text)?;
        self.set_in_progress(kind, fin);
        if let Some(deflater) = &mut self.deflater {
            deflater.begin(false);
        }
        let header = FrameHeader { fin: fin == Fin::Last, rsv: Rsv::NONE, opcode, mask: key, len };
        let length = self.encode_header(&header);
        let text = (kind == MessageKind::Text && text == Text::Unchecked).then_some(self.utf8);
        self.current = (len > 0).then_some(CurrentFrame { key, encoded: 0, missing: len, fin, text });
        Ok(length as u64 + len)
    }

    /// Checks that a data frame may be sent now, and takes note of it; returns the kind of its message, and its masking key. That
    /// is drawn before anything changes, since its source may be the user's, and panic.
    #[inline]
    fn begin_data(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        text: Text,
    ) -> Result<(MessageKind, Option<[u8; 4]>), LocalProtocolError> {
        let (kind, utf8) = self.check_payload(opcode, fin, payload, text)?;
        let key = self.key();
        self.utf8 = utf8;
        self.set_in_progress(kind, fin);
        Ok((kind, key))
    }

    /// The kind of the message that a data frame belongs to, and what follows its text, if it may be sent now.
    #[inline]
    fn check_payload(
        &self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        text: Text,
    ) -> Result<(MessageKind, Utf8Validator), LocalProtocolError> {
        let kind = self.check_data(opcode)?;
        let mut utf8 = self.utf8;
        if kind == MessageKind::Text && text == Text::Unchecked {
            utf8.push(payload)?;
            if fin == Fin::Last {
                utf8.finish()?;
            }
        }
        Ok((kind, utf8))
    }

    /// The kind of the message that a data frame belongs to, if it may be sent now (RFC 6455, section 5.4).
    #[inline]
    pub(super) fn check_data(&self, opcode: Opcode) -> Result<MessageKind, LocalProtocolError> {
        if self.close.is_some() {
            return Err(LocalProtocolError::AfterClose);
        }
        let kind = match (opcode, self.in_progress) {
            (Opcode::Text, None) => MessageKind::Text,
            (Opcode::Binary, None) => MessageKind::Binary,
            (Opcode::Continuation, Some(kind)) => kind,
            _ => return Err(LocalProtocolError::OutOfSequence(opcode)),
        };
        if self.current.is_some() { Err(LocalProtocolError::PayloadLength) } else { Ok(kind) }
    }

    #[inline]
    fn set_in_progress(&mut self, kind: MessageKind, fin: Fin) {
        self.in_progress = if fin == Fin::Last { None } else { Some(kind) };
    }

    fn control(&mut self, opcode: Opcode, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(LocalProtocolError::ControlTooLong(payload.len()));
        }
        if self.current.is_some() {
            return Err(LocalProtocolError::PayloadLength);
        }
        let key = self.key();
        Ok(self.encode(key, Fin::Last, Rsv::NONE, opcode, payload))
    }

    #[inline]
    fn encode(&mut self, key: Option<[u8; 4]>, fin: Fin, rsv: Rsv, opcode: Opcode, payload: &[u8]) -> usize {
        let header = FrameHeader { fin: fin == Fin::Last, rsv, opcode, mask: key, len: payload.len() as u64 };
        let room = self.room(FrameHeader::MAX_LEN + payload.len());
        let length = header.write(room.first_chunk_mut().expect("it has that length"));
        let room = &mut room[length..length + payload.len()];
        match key {
            Some(key) => copy_masked(key, payload, room),
            None => room.copy_from_slice(payload),
        }
        let length = length + payload.len();
        self.buffer.fill(length);
        length
    }

    /// A data frame begins: compresses it if that is to be, and says whether it was. The pool of zlib's states may be the user's, and
    /// panic: nothing else has changed by then.
    #[inline]
    fn deflate(&mut self, opcode: Opcode, fin: Fin, payload: &[u8], compression: Compression) -> bool {
        let Some(deflater) = &mut self.deflater else { return false };
        let deflating = deflater.would_deflate(opcode, fin, payload.len() as u64, compression);
        if deflating {
            deflater.deflate(fin, payload);
        }
        deflater.begin(deflating);
        deflating
    }

    /// Encodes what was compressed last. The first frame of a compressed message is marked (RFC 7692, section 6.1).
    fn encode_deflated(&mut self, key: Option<[u8; 4]>, fin: Fin, opcode: Opcode) -> usize {
        let Some(deflater) = self.deflater.take() else { return 0 };
        let rsv = if opcode == Opcode::Continuation { Rsv::NONE } else { Rsv::RSV1 };
        let length = self.encode(key, fin, rsv, opcode, deflater.deflated());
        self.deflater = Some(deflater);
        length
    }

    #[inline]
    fn encode_header(&mut self, header: &FrameHeader) -> usize {
        let room = self.room(FrameHeader::MAX_LEN).first_chunk_mut().expect("it has that length");
        let length = header.write(room);
        self.buffer.fill(length);
        length
    }

    #[inline]
    fn append(&mut self, key: Option<[u8; 4]>, chunk: &[u8]) {
        let room = self.room(chunk.len());
        match key {
            Some(key) => copy_masked(key, chunk, room),
            None => room.copy_from_slice(chunk),
        }
        self.buffer.fill(chunk.len());
    }

    /// Clients mask every frame with a fresh key, servers none (RFC 6455, section 5.3). The source of keys may be the user's, and
    /// panic: a key is drawn before anything changes.
    #[inline]
    fn key(&mut self) -> Option<[u8; 4]> {
        match self.role {
            Role::Client => Some(self.keys.draw()),
            Role::Server => None,
        }
    }
}

#[cfg(test)]
mod tests;
