//! Received bytes to frames.

use super::error::ProtocolError;
use super::frame::{FrameHeader, Rsv};
use super::limits::Limits;
use super::mask::{mask, rotate};
use super::opcode::Opcode;
use super::role::Role;
use crate::buffer::Window;
use crate::message::MessageKind;

/// Owns the window of received bytes and cuts it into frames.
///
/// Payloads are not gathered here: a data frame comes in as many parts as it arrives in, each where it lies, unmasked. So what
/// the window holds is never more than the beginning of a header or of a control frame, and whatever was just handed out.
#[derive(Debug)]
pub(crate) struct FrameBuffer {
    window: Window,
    role: Role,
    /// The bits that the negotiated extensions may set.
    reserved: Rsv,
    max_frame_size: usize,
    /// The data frame whose header was consumed and whose payload was not, all of it.
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    header: FrameHeader,
    consumed: u64,
}

/// A part of a frame, `len` bytes long: all of a control frame, whatever has arrived of a data frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) header: FrameHeader,
    pub(crate) len: usize,
    /// Whether the frame begins with this part.
    pub(crate) first: bool,
    /// Whether it ends with it.
    pub(crate) last: bool,
}

impl FrameBuffer {
    pub(crate) fn new(role: Role, limits: &Limits, reserved: Rsv) -> Self {
        Self { window: Window::new(), role, reserved, max_frame_size: limits.max_frame_size, current: None }
    }

    /// Where received bytes go.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.window.space()
    }

    pub(crate) fn received(&mut self, length: usize) {
        self.window.received(length);
    }

    /// What was received and not yet looked at.
    pub(crate) fn unread(&self) -> &[u8] {
        self.window.unread()
    }

    /// Forgets what was received and not yet looked at.
    pub(crate) fn discard(&mut self) {
        self.window.consume(self.window.len());
    }

    pub(crate) fn capacity(&self) -> usize {
        self.window.capacity()
    }

    pub(crate) fn can_release(&self) -> bool {
        self.window.can_release()
    }

    pub(crate) fn release(&mut self) {
        self.window.release();
    }

    /// The last `length` bytes of payload that were handed out.
    #[inline]
    pub(crate) fn payload(&self, length: usize) -> &[u8] {
        self.window.behind(length)
    }

    /// How much of the current data frame has not arrived.
    pub(crate) fn missing(&self) -> u64 {
        self.current.map_or(0, |current| current.header.len - current.consumed)
    }

    /// A whole message in one unmasked frame of less than 64 KiB, if that is what lies at the front: by far the commonest case,
    /// and decided by a look at two to four bytes. What is anything else, or not legal, is left to [`next_part`](Self::next_part).
    #[inline]
    pub(crate) fn short_message(&mut self, longest: u16) -> Option<(MessageKind, usize)> {
        let unread = self.window.unread();
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
        if length > longest || rest.len() < usize::from(length) {
            return None;
        }
        let length = usize::from(length);
        self.window.consume(unread.len() - rest.len() + length);
        Some((if first == 0x81 { MessageKind::Text } else { MessageKind::Binary }, length))
    }

    /// The next part of a frame, or `None` until more has arrived.
    #[inline]
    pub(crate) fn next_part(&mut self) -> Result<Option<Part>, ProtocolError> {
        if self.current.is_some() {
            return Ok(self.further_part());
        }
        let Some((header, length)) = FrameHeader::parse(self.window.unread())? else { return Ok(None) };
        self.check(&header)?;
        let arrived = self.window.len() - length;
        let whole = header.len <= arrived as u64;
        if header.opcode.is_control() && !whole {
            return Ok(None);
        }
        self.window.consume(length);
        let len = if whole { header.len as usize } else { arrived };
        self.hand_out(len, header.mask);
        if !whole {
            self.current = Some(Current { header, consumed: len as u64 });
        }
        Ok(Some(Part { header, len, first: true, last: whole }))
    }

    /// Counts `length` bytes of the current frame's payload that were read past the window; they lie in `payload` and are
    /// unmasked there.
    pub(crate) fn bypass(&mut self, payload: &mut [u8]) {
        let Some(current) = &mut self.current else { return };
        if let Some(key) = current.header.mask {
            mask(rotate(key, (current.consumed % 4) as usize), payload);
        }
        current.consumed += payload.len() as u64;
    }

    fn further_part(&mut self) -> Option<Part> {
        let Current { header, consumed } = self.current?;
        let missing = header.len - consumed;
        if missing > 0 && self.window.is_empty() {
            return None;
        }
        let len = missing.min(self.window.len() as u64) as usize;
        self.hand_out(len, header.mask.map(|key| rotate(key, (consumed % 4) as usize)));
        let last = len as u64 == missing;
        self.current = if last { None } else { Some(Current { header, consumed: consumed + len as u64 }) };
        Some(Part { header, len, first: false, last })
    }

    /// Unmasks the next `length` bytes and consumes them.
    #[inline]
    fn hand_out(&mut self, length: usize, key: Option<[u8; 4]>) {
        if let Some(key) = key {
            mask(key, &mut self.window.unread_mut()[..length]);
        }
        self.window.consume(length);
    }

    /// The rules for a header that depend on the connection; one test when all is well.
    #[inline]
    fn check(&self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let masked = header.mask.is_some();
        let fits = header.len <= self.max_frame_size as u64 || header.opcode.is_control();
        if self.reserved.contains(header.rsv) && masked == (self.role == Role::Server) && fits {
            return Ok(());
        }
        Err(self.broken_rule(header))
    }

    #[cold]
    fn broken_rule(&self, header: &FrameHeader) -> ProtocolError {
        if !self.reserved.contains(header.rsv) {
            return ProtocolError::ReservedBits;
        }
        match (self.role, header.mask) {
            (Role::Client, Some(_)) => ProtocolError::MaskedFrame,
            (Role::Server, None) => ProtocolError::UnmaskedFrame,
            _ => ProtocolError::FrameTooBig { limit: self.max_frame_size },
        }
    }
}

impl Part {
    /// Whether this part is a control frame.
    #[inline]
    pub(crate) const fn is_control(&self) -> bool {
        self.header.opcode.is_control()
    }

    /// Whether a message ends with this part.
    #[inline]
    pub(crate) const fn ends_message(&self) -> bool {
        self.last && self.header.fin
    }

    /// Whether this part is a message by itself: one frame, all of it here.
    #[inline]
    pub(crate) const fn is_whole_message(&self) -> bool {
        self.first && self.last && self.header.fin && matches!(self.header.opcode, Opcode::Text | Opcode::Binary)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::frame::Frame;

    fn buffer(role: Role) -> FrameBuffer {
        FrameBuffer::new(role, &Limits { max_frame_size: 100_000, ..Limits::default() }, Rsv::NONE)
    }

    fn feed(frames: &mut FrameBuffer, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = frames.space();
            let length = space.len().min(bytes.len());
            space[..length].copy_from_slice(&bytes[..length]);
            frames.received(length);
            bytes = &bytes[length..];
        }
    }

    #[test]
    fn a_data_frame_comes_in_parts_and_a_control_frame_whole() {
        let mut frames = buffer(Role::Client);
        feed(&mut frames, b"\x81\x05He");
        let part = frames.next_part().unwrap().unwrap();
        assert_eq!((part.len, part.first, part.last), (2, true, false));
        assert_eq!(frames.payload(2), b"He");
        assert_eq!(frames.missing(), 3);
        assert!(frames.next_part().unwrap().is_none());
        feed(&mut frames, b"llo\x89\x04pi");
        let part = frames.next_part().unwrap().unwrap();
        assert_eq!((part.len, part.first, part.last), (3, false, true));
        assert!(frames.next_part().unwrap().is_none(), "half a ping is nothing");
        feed(&mut frames, b"ng");
        let part = frames.next_part().unwrap().unwrap();
        assert!(part.is_control() && part.last);
        assert_eq!(frames.payload(4), b"ping");
    }

    #[test]
    fn masked_payloads_are_unmasked_wherever_they_are_cut() {
        let payload: Vec<u8> = (0..=255).cycle().take(3000).collect();
        let bytes = Frame::new(Opcode::Binary, payload.clone()).to_bytes(Some([9, 8, 7, 6]));
        for size in [1, 2, 3, 7, 64, 1000, 4000] {
            let mut frames = buffer(Role::Server);
            let mut received = Vec::new();
            for piece in bytes.chunks(size) {
                feed(&mut frames, piece);
                while let Some(part) = frames.next_part().unwrap() {
                    received.extend_from_slice(frames.payload(part.len));
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
            let mut frames = buffer(*role);
            feed(&mut frames, bytes);
            assert_eq!(frames.next_part().err(), Some(*expected), "{bytes:02x?}");
        }
        let mut frames = buffer(Role::Client);
        feed(&mut frames, b"\x82\x7f\0\0\0\0\0\x01\x86\xa0");
        assert!(frames.next_part().is_ok(), "exactly the limit is allowed");
    }
}
