//! Frames (RFC 6455, section 5.2): opcode, reserved bits and header as they lie on the wire, and a frame as a value.

use std::fmt;
use std::ops::BitOr;

use super::close::CloseFrame;
use super::error::{LocalProtocolError, ProtocolError};
use super::mask::mask;
use crate::message::MessageKind;

/// The longest payload of a control frame, in bytes (RFC 6455, section 5.5).
#[doc(alias = "MAX_PAYLOAD_NORMAL")]
pub const MAX_CONTROL_PAYLOAD: usize = 125;
/// The first payload length that does not fit the 7 bits of the second byte.
pub const LENGTH_7: u64 = 0x7E;
/// The first payload length that does not fit the 16-bit form.
pub const LENGTH_16: u64 = 1 << 16;
/// The first payload length that no frame can have.
pub const LENGTH_63: u64 = 1 << 63;

/// Which endpoint of a connection this is (RFC 6455, section 5.1): it decides who masks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[doc(alias = "ConnectionType")]
#[expect(clippy::exhaustive_enums, reason = "a connection has two ends")]
pub enum Role {
    /// Masks what it sends; what it receives is not masked.
    Client,
    /// Receives masked frames and sends unmasked ones.
    Server,
}

/// What a frame is (RFC 6455, section 5.2). The reserved values 0x3 to 0x7 and 0xB to 0xF have no member: a frame that
/// bears one is a violation.
///
/// ```
/// use websocket_sync::protocol::Opcode;
///
/// assert_eq!(Opcode::from_bits(0x9), Some(Opcode::Ping));
/// assert_eq!(Opcode::from_bits(0x3), None);
/// assert_eq!(Opcode::Ping.bits(), 0x9);
/// assert!(Opcode::Ping.is_control());
/// assert_eq!(Opcode::Ping.to_string(), "ping");
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[doc(alias = "OPCODE_MAP")]
#[doc(alias = "OPCODES")]
#[expect(clippy::exhaustive_enums, reason = "RFC 6455 defines six, and no extension adds one")]
pub enum Opcode {
    /// 0x0: a further fragment of a message.
    #[doc(alias = "OPCODE_CONT")]
    Continuation,
    /// 0x1: text, the whole message or its first fragment.
    #[doc(alias = "OPCODE_TEXT")]
    Text,
    /// 0x2: binary, the whole message or its first fragment.
    #[doc(alias = "OPCODE_BINARY")]
    Binary,
    /// 0x8: the sender closes the connection.
    #[doc(alias = "OPCODE_CLOSE")]
    Close,
    /// 0x9: asks for a pong with the same payload.
    #[doc(alias = "OPCODE_PING")]
    Ping,
    /// 0xA: answers a ping, or tells without being asked that the sender is there.
    #[doc(alias = "OPCODE_PONG")]
    Pong,
}

impl Opcode {
    /// The opcode with these four bits, or `None` for the reserved ones.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// The four bits on the wire.
    pub const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    /// Whether frames of this kind steer the connection (close, ping, pong) and carry no part of a message.
    #[doc(alias = "iscontrol")]
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl From<MessageKind> for Opcode {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

/// websocket-client's names: `cont`, `text`, `binary`, `close`, `ping`, `pong`.
impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Continuation => "cont",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::Close => "close",
            Self::Ping => "ping",
            Self::Pong => "pong",
        })
    }
}

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
    #[doc(alias = "masking_key")]
    pub mask: Option<[u8; 4]>,
    /// How many bytes of payload follow.
    #[doc(alias = "payload_len")]
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
    #[doc(alias = "parse_header")]
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        match FrameStart::parse(bytes)? {
            Some(start) => start.header(bytes),
            None => Ok(None),
        }
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

/// The first two bytes of a header. What is wrong with them is judged before the rest, so that the rule is told whose byte comes first.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameStart {
    fin: bool,
    pub(super) rsv: Rsv,
    pub(super) opcode: Opcode,
    pub(super) is_masked: bool,
    /// The payload length, or 126 or 127 for the form in which it follows.
    form: u8,
}

impl FrameStart {
    /// Reads the first two bytes; `None` while they are not there.
    #[inline]
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let &[first, second, ..] = bytes else { return Ok(None) };
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(ProtocolError::UnknownOpcode(first & 0x0F));
        };
        let fin = first & 0x80 != 0;
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        Ok(Some(Self { fin, rsv: Rsv::of(first), opcode, is_masked: second & 0x80 != 0, form: second & 0x7F }))
    }

    /// Reads the rest of the header that begins `bytes` like this, and says how long all of it is; `None` while it is not all there.
    #[inline]
    pub(super) fn header(self, bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, ProtocolError> {
        let Self { fin, rsv, opcode, is_masked, form } = self;
        let &[_, _, ref rest @ ..] = bytes else { return Ok(None) };
        if form > 125 && opcode.is_control() {
            return Err(ProtocolError::ControlTooLong);
        }
        let (len, rest) = match form {
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
        if form > 125 {
            check_length(form, len)?;
        }
        let (mask, rest) = if is_masked {
            let Some((key, rest)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        Ok(Some((FrameHeader { fin, rsv, opcode, mask, len }, bytes.len() - rest.len())))
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
mod tests;
