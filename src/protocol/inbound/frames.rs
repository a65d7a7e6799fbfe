//! Received bytes to chunks of frames, and every rule that the header of a frame can break.

use super::Limits;
use crate::buffer::Window;
use crate::message::MessageKind;
use crate::protocol::error::ProtocolError;
use crate::protocol::frame::{FrameHeader, FrameStart, Opcode, Role, Rsv};
use crate::protocol::mask::{mask, rotate};

/// Cuts the window of received bytes into frames.
///
/// Payloads are not gathered here: a data frame comes in as many chunks as it arrives in, each where it lies, unmasked. So what the
/// window holds is never more than the beginning of a header or of a control frame, and the chunk that was taken last.
#[derive(Debug)]
pub(super) struct FrameParser {
    role: Role,
    /// The bits that the negotiated extensions may set.
    reserved: Rsv,
    /// Whether permessage-deflate was agreed, which RSV1 belongs to.
    deflate: bool,
    limits: Limits,
    /// The header that was taken last.
    pub(super) header: FrameHeader,
    /// How much of the payload behind it was taken, unless all of it was.
    taken: Option<u64>,
    /// Control frames since the last data frame that was not empty or ended a message, as long as they come thick and fast.
    control_frames: u32,
    /// Of the message in progress, or of the last one.
    pub(super) message: MessageFacts,
    /// What the latest [`next_chunk`](Self::next_chunk) has brought.
    pub(super) chunk: Chunk,
}

/// What the frames of a message have told of it so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageFacts {
    pub(super) kind: MessageKind,
    /// Whether it is compressed: RSV1 of its first frame (RFC 7692, section 6).
    pub(super) compressed: bool,
    fragments: u32,
    /// How many bytes it has: those that headers have announced, or that were inflated.
    pub(super) size: usize,
}

/// A chunk of a frame, `len` bytes long: all of a control frame, whatever has arrived of a data frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) len: usize,
    pub(crate) opcode: Opcode,
    /// Whether the frame ends its message.
    pub(crate) fin: bool,
    /// Whether the frame begins with this chunk.
    pub(crate) first: bool,
    /// Whether it ends with it.
    pub(crate) last: bool,
}

impl FrameParser {
    pub(super) const fn new(role: Role, limits: Limits, reserved: Rsv, deflate: bool) -> Self {
        let message = MessageFacts { kind: MessageKind::Binary, compressed: false, fragments: 0, size: 0 };
        let header = FrameHeader { fin: true, rsv: Rsv::NONE, opcode: Opcode::Continuation, mask: None, len: 0 };
        let chunk = Chunk { len: 0, opcode: Opcode::Continuation, fin: false, first: false, last: false };
        Self { role, reserved, deflate, limits, header, taken: None, control_frames: 0, message, chunk }
    }

    /// A whole message in one unmasked frame of less than `end` bytes, if that is what lies at the front: by far the commonest case,
    /// and decided by a look at two to four bytes. What is anything else, or not legal, is left to
    /// [`next_chunk`](Self::next_chunk).
    #[inline]
    pub(super) fn short_message(&mut self, window: &mut Window, end: u32) -> Option<(MessageKind, usize)> {
        let unread = window.unread();
        let &[first @ (0x81 | 0x82), form, ref rest @ ..] = unread else { return None };
        let (length, rest) = match form {
            ..126 => (u16::from(form), rest),
            126 => match rest {
                // A length that would have fitted the shorter form is not legal.
                [high, low, rest @ ..] if (*high, *low) >= (0, 126) => (u16::from_be_bytes([*high, *low]), rest),
                _ => return None,
            },
            _ => return None,
        };
        if u32::from(length) >= end || rest.len() < usize::from(length) {
            return None;
        }
        let length = usize::from(length);
        window.consume(unread.len() - rest.len() + length);
        self.control_frames = 0;
        Some((if first == 0x81 { MessageKind::Text } else { MessageKind::Binary }, length))
    }

    /// Goes on to the next [`chunk`](Self::chunk) of a frame; whether there is one already. Before the first chunk of a frame with
    /// compressed payload, calls `before_compressed`, which may panic: nothing has changed by then.
    #[inline]
    pub(super) fn next_chunk(
        &mut self,
        window: &mut Window,
        in_progress: bool,
        before_compressed: impl FnOnce(),
    ) -> Result<bool, ProtocolError> {
        if let Some(taken) = self.taken {
            return Ok(self.further_chunk(window, taken));
        }
        let unread = window.unread();
        let Some(start) = FrameStart::parse(unread)? else { return Ok(false) };
        self.check_start(&start, in_progress)?;
        let Some((header, length)) = start.header(unread)? else { return Ok(false) };
        let arrived = window.len() - length;
        let last = header.len <= arrived as u64;
        if header.opcode.is_control() {
            if !last {
                return Ok(false);
            }
            self.control_frames += 1;
        } else {
            self.check_size(&header)?;
            if header.len > 0 && self.is_compressed(&header) {
                before_compressed();
            }
            self.begin_data(&header);
        }
        self.header = header;
        let len = if last { header.len as usize } else { arrived };
        if let Some(key) = header.mask {
            mask(key, &mut window.unread_mut()[length..length + len]);
        }
        window.consume(length + len);
        // Until here it is `None`: a header is only read once all of the frame before it was taken.
        if !last {
            self.taken = Some(len as u64);
        }
        self.chunk = Chunk { len, opcode: header.opcode, fin: header.fin, first: true, last };
        Ok(true)
    }

    /// How much of the current data frame has not arrived.
    pub(super) fn missing(&self) -> u64 {
        self.taken.map_or(0, |taken| self.header.len - taken)
    }

    /// Unmasks bytes of the current frame's payload that were read past the window.
    pub(super) fn take_direct(&mut self, payload: &mut [u8]) {
        let Some(taken) = &mut self.taken else { return };
        if let Some(key) = self.header.mask {
            mask(rotate(key, (*taken % 4) as usize), payload);
        }
        *taken += payload.len() as u64;
    }

    /// Forgets the control frames, since so little has arrived that they are no flood.
    pub(super) const fn forgive_control_frames(&mut self) {
        self.control_frames = 0;
    }

    /// How many more bytes the message may have.
    pub(super) const fn room(&self) -> usize {
        self.limits.max_message_size.saturating_sub(self.message.size)
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Every rule for the first two bytes of a frame that depends on the connection, in the order of their bits. Those that hold for any
    /// header by itself (opcodes, control frames, the form of the length) are in [`FrameStart`]; a Close's body is judged by
    /// [`CloseFrame::parse`](crate::protocol::CloseFrame::parse), text by [`Utf8Validator`](crate::protocol::utf8::Utf8Validator).
    ///
    /// Nothing is noted: a header is looked at again until all of it is there, that of a control frame until all of the frame is.
    fn check_start(&self, start: &FrameStart, in_progress: bool) -> Result<(), ProtocolError> {
        let FrameStart { rsv, opcode, is_masked, .. } = *start;
        let begins = begins_message(opcode);
        // RFC 6455, section 5.2: reserved bits need an extension; RFC 7692, section 6: RSV1 is for the first frame of a message.
        if !rsv.is_empty() && (!self.reserved.contains(rsv) || (self.deflate && !begins)) {
            return Err(ProtocolError::ReservedBits);
        }
        if opcode.is_control() {
            // Section 10.4: the peer may not keep us busy for ever.
            let limit = self.limits.max_control_frames;
            if self.control_frames >= limit {
                return Err(ProtocolError::TooManyControlFrames { limit });
            }
        } else {
            // Section 5.4: fragments of different messages are not interleaved.
            match (begins, in_progress) {
                (true, true) => return Err(ProtocolError::ExpectedContinuation),
                (false, false) => return Err(ProtocolError::UnexpectedContinuation),
                _ => {}
            }
            let limit = self.limits.max_fragments;
            let fragments = if begins { 0 } else { self.message.fragments };
            if fragments >= limit {
                return Err(ProtocolError::TooManyFragments { limit });
            }
        }
        // Section 5.1: clients mask, servers do not.
        if is_masked != (self.role == Role::Server) {
            return Err(if is_masked { ProtocolError::MaskedFrame } else { ProtocolError::UnmaskedFrame });
        }
        Ok(())
    }

    /// The limits on what a data frame announces (RFC 6455, section 10.4), before any memory is given to it. What is compressed is counted
    /// as it is inflated.
    fn check_size(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let Limits { max_frame_size, max_message_size, .. } = self.limits;
        if header.len > max_frame_size as u64 {
            return Err(ProtocolError::FrameTooBig { limit: max_frame_size });
        }
        let room = if begins_message(header.opcode) { max_message_size } else { self.room() };
        if header.len > room as u64 && !self.is_compressed(header) {
            return Err(ProtocolError::MessageTooBig { limit: max_message_size });
        }
        Ok(())
    }

    /// Whether the message is compressed that a data frame belongs to: its first frame says so (RFC 7692, section 6).
    #[inline]
    fn is_compressed(&self, header: &FrameHeader) -> bool {
        if begins_message(header.opcode) { self.deflate && !header.rsv.is_empty() } else { self.message.compressed }
    }

    /// Takes note of a data frame that keeps the rules.
    #[inline]
    fn begin_data(&mut self, header: &FrameHeader) {
        match header.opcode {
            Opcode::Text | Opcode::Binary => {
                let kind = if header.opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary };
                let compressed = self.is_compressed(header);
                self.message = MessageFacts { kind, compressed, fragments: 1, size: 0 };
            }
            _ => self.message.fragments += 1,
        }
        if header.len > 0 || header.fin {
            self.control_frames = 0;
        }
        if !self.message.compressed {
            self.message.size += header.len as usize;
        }
    }

    fn further_chunk(&mut self, window: &mut Window, taken: u64) -> bool {
        let missing = self.header.len - taken;
        if missing > 0 && window.is_empty() {
            return false;
        }
        let len = missing.min(window.len() as u64) as usize;
        if let Some(key) = self.header.mask {
            mask(rotate(key, (taken % 4) as usize), &mut window.unread_mut()[..len]);
        }
        window.consume(len);
        let last = len as u64 == missing;
        self.taken = if last { None } else { Some(taken + len as u64) };
        self.chunk = Chunk { len, first: false, last, ..self.chunk };
        true
    }
}

/// Whether a data frame is the first one of its message.
#[inline]
const fn begins_message(opcode: Opcode) -> bool {
    matches!(opcode, Opcode::Text | Opcode::Binary)
}

impl Chunk {
    /// Whether this is a control frame.
    #[inline]
    pub(crate) const fn is_control(&self) -> bool {
        self.opcode.is_control()
    }

    /// Whether a message ends with this chunk.
    #[inline]
    pub(super) const fn ends_message(&self) -> bool {
        self.last && self.fin
    }

    /// Whether this chunk is a message by itself: one frame, all of it here.
    #[inline]
    pub(super) const fn is_whole_message(&self) -> bool {
        self.ends_message() && self.first && matches!(self.opcode, Opcode::Text | Opcode::Binary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::Frame;

    struct Fed(FrameParser, Window);

    impl Fed {
        fn new(role: Role) -> Self {
            let limits = Limits { max_frame_size: 100_000, ..Limits::default() };
            Self(FrameParser::new(role, limits, Rsv::NONE, false), Window::new())
        }

        fn feed(&mut self, mut bytes: &[u8]) {
            while !bytes.is_empty() {
                let space = self.1.space();
                let length = space.len().min(bytes.len());
                space[..length].copy_from_slice(&bytes[..length]);
                self.1.received(length);
                bytes = &bytes[length..];
            }
        }

        fn next_chunk(&mut self) -> Result<Option<Chunk>, ProtocolError> {
            Ok(self.0.next_chunk(&mut self.1, false, || {})?.then_some(self.0.chunk))
        }
    }

    #[test]
    fn a_data_frame_comes_in_chunks_and_a_control_frame_whole() {
        let mut fed = Fed::new(Role::Client);
        fed.feed(b"\x81\x05He");
        let chunk = fed.next_chunk().unwrap().unwrap();
        assert_eq!((chunk.len, chunk.first, chunk.last), (2, true, false));
        assert_eq!(fed.1.behind(2), b"He");
        assert_eq!(fed.0.missing(), 3);
        assert!(fed.next_chunk().unwrap().is_none());
        fed.feed(b"llo\x89\x04pi");
        let chunk = fed.next_chunk().unwrap().unwrap();
        assert_eq!((chunk.len, chunk.first, chunk.last), (3, false, true));
        assert!(fed.next_chunk().unwrap().is_none(), "half a ping is nothing");
        fed.feed(b"ng");
        let chunk = fed.next_chunk().unwrap().unwrap();
        assert!(chunk.is_control() && chunk.last);
        assert_eq!(fed.1.behind(4), b"ping");
    }

    #[test]
    fn masked_payloads_are_unmasked_wherever_they_are_cut() {
        // Miri takes minutes for all.
        let payload: Vec<u8> = (0..=255).cycle().take(if cfg!(miri) { 300 } else { 3000 }).collect();
        let bytes = Frame::new(Opcode::Binary, payload.clone()).to_bytes(Some([9, 8, 7, 6]));
        for size in [1, 2, 3, 7, 64, 1000, 4000] {
            let mut fed = Fed::new(Role::Server);
            let mut received = Vec::new();
            for piece in bytes.chunks(size) {
                fed.feed(piece);
                while let Some(chunk) = fed.next_chunk().unwrap() {
                    received.extend_from_slice(fed.1.behind(chunk.len));
                }
            }
            assert_eq!(received, payload, "in pieces of {size}");
        }
    }

    #[test]
    fn masking_reserved_bits_and_size_are_judged_by_the_header() {
        let cases: &[(Role, &[u8], ProtocolError)] = &[
            (Role::Client, b"\x81\x82abcd", ProtocolError::MaskedFrame),
            (Role::Server, b"\x81\x02", ProtocolError::UnmaskedFrame),
            (Role::Client, b"\x91\x00", ProtocolError::ReservedBits),
            (Role::Client, b"\xa1\x00", ProtocolError::ReservedBits),
            (Role::Client, b"\xc9\x00", ProtocolError::ReservedBits),
            (Role::Client, b"\x82\x7f\0\0\0\0\0\x01\x86\xa1", ProtocolError::FrameTooBig { limit: 100_000 }),
            (Role::Client, b"\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", ProtocolError::FrameTooBig { limit: 100_000 }),
        ];
        for (role, bytes, expected) in cases {
            let mut fed = Fed::new(*role);
            fed.feed(bytes);
            assert_eq!(fed.next_chunk().err(), Some(*expected), "{bytes:02x?}");
        }
        let mut fed = Fed::new(Role::Client);
        fed.feed(b"\x82\x7f\0\0\0\0\0\x01\x86\xa0");
        assert!(fed.next_chunk().is_ok(), "exactly the limit is allowed");
    }
}
