//! Opcodes (RFC 6455, section 5.2 and 11.8).

use std::fmt;

use crate::message::MessageKind;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_members_map_both_ways() {
        let known: Vec<u8> = (0..=0xF).filter(|&bits| Opcode::from_bits(bits).is_some()).collect();
        assert_eq!(known, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for bits in known {
            let opcode = Opcode::from_bits(bits).unwrap();
            assert_eq!(opcode.bits(), bits);
            assert_eq!(opcode.is_control(), bits & 0x8 != 0);
        }
        assert_eq!(Opcode::from_bits(0x10), None);
    }
}
