//! Frames (RFC 6455, section 5.2): the header as it lies on the wire, and a frame as a value.

use std::fmt;
use std::ops::BitOr;

use super::close::CloseFrame;
use super::error::{LocalProtocolError, ProtocolError};
use super::mask::mask;
use super::opcode::Opcode;
use super::role::Role;

/// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The first payload length that does not fit the 7 bits of the second byte.
pub const LENGTH_7: u64 = 0x7E;
/// The first payload length that does not fit the 16-bit form.
pub const LENGTH_16: u64 = 1 << 16;
/// The first payload length that no frame can have.
pub const LENGTH_63: u64 = 1 << 63;

/// The three reserved bits of a frame (RFC 6455, section 5.2); extensions give them a meaning.
///
/// ```
/// use websocket_sync::protocol::Rsv;
///
/// assert!(Rsv::NONE.is_empty());
/// assert!((Rsv::RSV1 | Rsv::RSV3).contains(Rsv::RSV1));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[doc(alias = "RsvBits")]
pub struct Rsv(u8);

impl Rsv {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// The first bit; permessage-deflate's.
    pub const RSV1: Self = Self(0x40);
    /// The second bit.
    pub const RSV2: Self = Self(0x20);
    /// The third bit.
    pub const RSV3: Self = Self(0x10);

    /// The bits of a frame's first byte.
    const fn of(first: u8) -> Self {
        Self(first & 0x70)
    }

    /// Whether no bit is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all bits of `other` are set here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Rsv {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What stands before a payload (RFC 6455, section 5.2).
///
/// ```
/// use websocket_sync::protocol::{FrameHeader, Opcode};
///
/// let (header, length) = FrameHeader::parse(b"\x81\x05Hello")?.expect("it is all there");
/// assert_eq!((header.fin, header.opcode, header.len, length), (true, Opcode::Text, 5, 2));
/// assert_eq!(FrameHeader::parse(b"\x81")?, None); // the rest has not arrived
/// # Ok::<(), websocket_sync::protocol::ProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 6455, section 5.2, has these fields")]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the frame is.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<[u8; 4]>,
    /// How many bytes of payload follow.
    pub len: u64,
}

impl FrameHeader {
    /// The longest header: two bytes, a length of eight, a key of four.
    pub const MAX_LEN: usize = 14;

    /// Reads the header at the beginning of `bytes` and says how long it is; `None` while it is not all there.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] for a reserved opcode, a control frame that is fragmented or longer than 125 bytes, and a length
    /// that is not in its shortest form or has its highest bit set. Which reserved bits and which masking are right
    /// depends on the connection and is judged there.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(ProtocolError::UnknownOpcode(first & 0x0F));
        };
        let fin = first & 0x80 != 0;
        if opcode.is_control() && (!fin || second & 0x7F > 125) {
            return Err(if fin { ProtocolError::ControlTooLong } else { ProtocolError::FragmentedControl });
        }
        let (len, rest) = match second & 0x7F {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*len), rest)
            }
            len => (u64::from(len), rest),
        };
        check_length(second & 0x7F, len)?;
        let (mask, rest) = if second & 0x80 == 0 {
            (None, rest)
        } else {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*key), rest)
        };
        let header = Self { fin, rsv: Rsv::of(first), opcode, mask, len };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Writes the header to the beginning of `out` and says how long it is. The length takes its shortest form.
    #[inline]
    pub fn write(&self, out: &mut [u8; Self::MAX_LEN]) -> usize {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        out[0] = (u8::from(self.fin) << 7) | self.rsv.0 | self.opcode.bits();
        let end = match self.len {
            0..LENGTH_7 => {
                out[1] = masked | self.len as u8;
                2
            }
            LENGTH_7..LENGTH_16 => {
                out[1] = masked | 126;
                out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                4
            }
            LENGTH_16.. => {
                out[1] = masked | 127;
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                10
            }
        };
        let Some(key) = self.mask else { return end };
        out[end..end + 4].copy_from_slice(&key);
        end + 4
    }
}

/// The length must be in its shortest form, and a 64-bit one must not have its highest bit set (RFC 6455, section 5.2).
#[inline]
const fn check_length(form: u8, len: u64) -> Result<(), ProtocolError> {
    match (form, len) {
        (126, ..LENGTH_7) | (127, ..LENGTH_16) => Err(ProtocolError::NonMinimalLength),
        (127, LENGTH_63..) => Err(ProtocolError::LengthOverflow),
        _ => Ok(()),
    }
}

/// A frame as a value: what `recv_frame` gives and `send_frame` takes.
///
/// ```
/// use websocket_sync::protocol::{Frame, Opcode};
///
/// let first = Frame::new(Opcode::Text, "Hel").fragment();
/// let last = Frame::new(Opcode::Continuation, "lo");
/// assert!(first.validate().is_ok());
/// assert_eq!(first.to_bytes(None), b"\x01\x03Hel");
/// assert_eq!(last.to_string(), r#"fin=1 opcode=0 data="lo""#);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[doc(alias = "ABNF")]
#[expect(clippy::exhaustive_structs, reason = "RFC 6455, section 5.2, has these fields")]
pub struct Frame {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The reserved bits.
    pub rsv: Rsv,
    /// What the frame is.
    pub opcode: Opcode,
    /// The payload, unmasked.
    #[doc(alias = "data")]
    pub payload: Vec<u8>,
}

impl Frame {
    /// A frame that is whole by itself: FIN set, no reserved bits.
    #[doc(alias = "create_frame")]
    pub fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Self {
        Self { fin: true, rsv: Rsv::NONE, opcode, payload: payload.into() }
    }

    /// The same frame without FIN: further fragments follow.
    #[must_use]
    pub fn fragment(mut self) -> Self {
        self.fin = false;
        self
    }

    /// Whether this frame may be sent by itself, as far as it alone can tell (whether it continues a message is known to
    /// the connection).
    ///
    /// # Errors
    ///
    /// A [`LocalProtocolError`] for reserved bits, a control frame that is fragmented or too long, and a Close frame with a
    /// body that must not be sent.
    pub fn validate(&self) -> Result<(), LocalProtocolError> {
        if !self.rsv.is_empty() {
            return Err(LocalProtocolError::ReservedBits);
        }
        if !self.opcode.is_control() {
            return Ok(());
        }
        if !self.fin {
            return Err(LocalProtocolError::ControlFragment);
        }
        if self.payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(LocalProtocolError::ControlTooLong(self.payload.len()));
        }
        if self.opcode == Opcode::Close {
            CloseFrame::parse(&self.payload).map_err(LocalProtocolError::CloseBody)?;
        }
        Ok(())
    }

    /// How many bytes the frame has on the wire when this endpoint sends it.
    pub fn encoded_len(&self, sender: Role) -> usize {
        let mask = if sender == Role::Client { 4 } else { 0 };
        let length = match self.payload.len() as u64 {
            0..LENGTH_7 => 0,
            LENGTH_7..LENGTH_16 => 2,
            LENGTH_16.. => 8,
        };
        2 + length + mask + self.payload.len()
    }

    /// The frame as it goes over the wire, masked with `key` (clients must, servers must not).
    #[doc(alias = "format")]
    pub fn to_bytes(&self, key: Option<[u8; 4]>) -> Vec<u8> {
        let header = FrameHeader {
            fin: self.fin,
            rsv: self.rsv,
            opcode: self.opcode,
            mask: key,
            len: self.payload.len() as u64,
        };
        let mut head = [0; FrameHeader::MAX_LEN];
        let length = header.write(&mut head);
        let mut bytes = Vec::with_capacity(length + self.payload.len());
        bytes.extend_from_slice(&head[..length]);
        bytes.extend_from_slice(&self.payload);
        mask(key.unwrap_or_default(), &mut bytes[length..]);
        bytes
    }
}

/// As websocket-client shows it; bytes that are no text are escaped, so that a terminal is safe.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fin, opcode) = (u8::from(self.fin), self.opcode.bits());
        match std::str::from_utf8(&self.payload) {
            Ok(text) => write!(f, "fin={fin} opcode={opcode} data={text:?}"),
            Err(_) => write!(f, "fin={fin} opcode={opcode} data=\"{}\"", self.payload.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: FrameHeader = FrameHeader { fin: true, rsv: Rsv::NONE, opcode: Opcode::Text, mask: None, len: 0 };

    #[test]
    fn headers_read_back_as_they_were_written_and_wait_for_their_last_byte() {
        let lengths =
            [0, 1, 125, 126, 127, 16383, 16384, 32768, 65535, 65536, 131_072, 1 << 31, 1 << 32, (1 << 63) - 1];
        for len in lengths {
            for key in [None, Some([1, 2, 3, 4])] {
                let header = FrameHeader { len, mask: key, ..TEXT };
                let mut bytes = [0; FrameHeader::MAX_LEN];
                let length = header.write(&mut bytes);
                let expected =
                    2 + if len < 126 {
                        0
                    } else if len < 65536 {
                        2
                    } else {
                        8
                    } + key.map_or(0, |_| 4);
                assert_eq!(length, expected, "{len}");
                assert_eq!(FrameHeader::parse(&bytes[..length]), Ok(Some((header, length))));
                for cut in 0..length {
                    assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn headers_that_break_a_rule_are_refused_by_its_name() {
        let cases: &[(&[u8], ProtocolError)] = &[
            (b"\x83\x00", ProtocolError::UnknownOpcode(3)),
            (b"\x8e\x00", ProtocolError::UnknownOpcode(0xE)),
            (b"\x09\x02", ProtocolError::FragmentedControl),
            (b"\x89\x7e\x00\x80", ProtocolError::ControlTooLong),
            (b"\x88\x7f", ProtocolError::ControlTooLong),
            (b"\x81\x7e\x00\x40", ProtocolError::NonMinimalLength),
            (b"\x81\x7e\x00\x7d", ProtocolError::NonMinimalLength),
            (b"\x81\x7f\x00\x00\x00\x00\x00\x00\x02\x00", ProtocolError::NonMinimalLength),
            (b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", ProtocolError::NonMinimalLength),
            (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", ProtocolError::LengthOverflow),
            (b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", ProtocolError::LengthOverflow),
        ];
        for (bytes, expected) in cases {
            assert_eq!(FrameHeader::parse(bytes), Err(*expected), "{bytes:02x?}");
        }
    }

    #[test]
    fn all_two_byte_headers_are_judged_by_opcode_fin_and_length() {
        for first in 0..=255u8 {
            for second in 0..=255u8 {
                let bytes = [first, second, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                let verdict = FrameHeader::parse(&bytes);
                let (known, control) = (matches!(first & 0xF, 0..=2 | 8..=10), first & 8 != 0);
                let legal = known && !(control && (first < 0x80 || second & 0x7F > 125));
                assert_eq!(verdict.is_ok(), legal, "{first:02x} {second:02x}");
            }
        }
    }

    #[test]
    fn frames_take_the_bytes_of_section_5_7() {
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        let hello = Frame::new(Opcode::Text, "Hello");
        assert_eq!(hello.to_bytes(None), b"\x81\x05Hello");
        assert_eq!(hello.to_bytes(key), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(Frame::new(Opcode::Ping, "Hello").to_bytes(None), b"\x89\x05Hello");
        assert_eq!(Frame::new(Opcode::Binary, vec![0; 256]).to_bytes(None)[..4], *b"\x82\x7e\x01\x00");
        let large = Frame::new(Opcode::Binary, vec![0; 65536]).to_bytes(None);
        assert_eq!(large[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
        assert_eq!(Frame::new(Opcode::Text, "a").to_bytes(Some(*b"aaaa")), b"\x81\x81aaaa\x00");
    }

    #[test]
    fn frames_that_must_not_be_sent_are_refused() {
        let cases = [
            (Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Text, "") }, LocalProtocolError::ReservedBits),
            (Frame::new(Opcode::Ping, "").fragment(), LocalProtocolError::ControlFragment),
            (Frame::new(Opcode::Pong, vec![0; 126]), LocalProtocolError::ControlTooLong(126)),
            (Frame::new(Opcode::Close, [1]), LocalProtocolError::CloseBody(ProtocolError::CloseBodyOfOneByte)),
        ];
        for (frame, expected) in cases {
            assert_eq!(frame.validate(), Err(expected), "{frame}");
        }
        assert_eq!(Frame::new(Opcode::Ping, vec![0; 125]).validate(), Ok(()));
        assert_eq!(Frame::new(Opcode::Close, "").validate(), Ok(()));
    }
}
