//! What can go wrong with frames: [`ProtocolError`] is the peer's fault, [`LocalProtocolError`] the caller's.

use thiserror::Error;

use super::close::CloseCode;
use super::frame::Opcode;
use super::utf8::NotUtf8;

/// A rule of RFC 6455 that the peer broke, or a limit of ours that it went over: one variant each.
///
/// The connection cannot go on after any of them. [`close_code`](Self::close_code) is what the peer must be told.
///
/// ```
/// use websocket_sync::protocol::{CloseCode, ProtocolError};
///
/// let error = ProtocolError::FragmentedControl;
/// assert_eq!(error.to_string(), "control frame is fragmented");
/// assert_eq!(error.close_code(), CloseCode::PROTOCOL_ERROR);
/// assert_eq!(error.section(), "RFC 6455, section 5.5");
/// ```
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[doc(alias = "WebSocketProtocolException")]
#[doc(alias = "WebSocketPayloadException")]
#[doc(alias = "ParseFailed")]
#[non_exhaustive]
pub enum ProtocolError {
    /// A Close frame whose body is one byte long, half a code (section 5.5.1).
    #[error("close frame has a body of one byte")]
    CloseBodyOfOneByte,
    /// A Close frame with a code that must not be on the wire (section 7.4).
    #[error("close frame bears the illegal code {}", .0.0)]
    CloseCode(CloseCode),
    /// A Close frame whose reason is not UTF-8 (section 5.5.1).
    #[error("reason of the close frame is not UTF-8")]
    CloseReasonNotUtf8,
    /// A control frame of more than 125 bytes (section 5.5).
    #[error("control frame is longer than 125 bytes")]
    ControlTooLong,
    /// A text or binary frame before the fragmented message in progress was finished (section 5.4).
    #[error("new message begins inside a fragmented one")]
    ExpectedContinuation,
    /// An extension could not make sense of what it was given.
    #[error("payload does not fit the negotiated extension")]
    ExtensionPayload,
    /// A control frame without FIN (section 5.5).
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A frame that claims more bytes than the limit allows (section 10.4).
    #[error("frame is larger than the limit of {limit} bytes (max_frame_size)")]
    FrameTooBig {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A 64-bit length with its highest bit set (section 5.2).
    #[error("frame length has its highest bit set")]
    LengthOverflow,
    /// A masked frame from a server (section 5.1).
    #[error("server masked a frame")]
    MaskedFrame,
    /// A message that grows beyond the limit (section 10.4).
    #[error("message is larger than the limit of {limit} bytes (max_message_size)")]
    MessageTooBig {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A length that a shorter form could have expressed (section 5.2).
    #[error("frame length is not in its shortest form")]
    NonMinimalLength,
    /// A message within the limits for which this system has no memory (section 10.4).
    #[error("there is no memory for the message")]
    OutOfMemory,
    /// A reserved bit that no negotiated extension claims (section 5.2).
    #[error("reserved bit is set without an extension that defines it")]
    ReservedBits,
    /// Text that is not UTF-8 (section 8.1).
    #[error("text is not UTF-8")]
    TextNotUtf8,
    /// More control frames in a row than the limit allows, without a message among them.
    #[error("more than {limit} control frames in a row (max_control_frames)")]
    TooManyControlFrames {
        /// The limit in force.
        limit: u32,
    },
    /// A message of more fragments than the limit allows; empty ones count.
    #[error("message has more than {limit} fragments (max_fragments)")]
    TooManyFragments {
        /// The limit in force.
        limit: u32,
    },
    /// A continuation frame with no message to continue (section 5.4).
    #[error("continuation frame without a message to continue")]
    UnexpectedContinuation,
    /// A reserved opcode (section 5.2).
    #[error("unknown opcode 0x{0:x}")]
    UnknownOpcode(u8),
    /// An unmasked frame from a client (section 5.1).
    #[error("client did not mask a frame")]
    UnmaskedFrame,
}

impl ProtocolError {
    /// The code of the Close frame that tells the peer (RFC 6455, section 7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::CloseReasonNotUtf8 | Self::ExtensionPayload | Self::TextNotUtf8 => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::OutOfMemory => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyControlFrames { .. } | Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            Self::CloseBodyOfOneByte
            | Self::CloseCode(_)
            | Self::ControlTooLong
            | Self::ExpectedContinuation
            | Self::FragmentedControl
            | Self::LengthOverflow
            | Self::MaskedFrame
            | Self::NonMinimalLength
            | Self::ReservedBits
            | Self::UnexpectedContinuation
            | Self::UnknownOpcode(_)
            | Self::UnmaskedFrame => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// Where the rule stands.
    pub const fn section(self) -> &'static str {
        match self {
            Self::CloseBodyOfOneByte | Self::CloseReasonNotUtf8 => "RFC 6455, section 5.5.1",
            Self::CloseCode(_) => "RFC 6455, section 7.4",
            Self::ControlTooLong | Self::FragmentedControl => "RFC 6455, section 5.5",
            Self::ExpectedContinuation | Self::UnexpectedContinuation => "RFC 6455, section 5.4",
            Self::ExtensionPayload => "RFC 6455, section 9",
            Self::FrameTooBig { .. }
            | Self::MessageTooBig { .. }
            | Self::OutOfMemory
            | Self::TooManyControlFrames { .. }
            | Self::TooManyFragments { .. } => "RFC 6455, section 10.4",
            Self::LengthOverflow | Self::NonMinimalLength | Self::ReservedBits | Self::UnknownOpcode(_) => {
                "RFC 6455, section 5.2"
            }
            Self::MaskedFrame | Self::UnmaskedFrame => "RFC 6455, section 5.1",
            Self::TextNotUtf8 => "RFC 6455, section 8.1",
        }
    }
}

impl From<NotUtf8> for ProtocolError {
    fn from(_: NotUtf8) -> Self {
        Self::TextNotUtf8
    }
}

/// Something that the caller asked for and that the protocol forbids. Nothing was sent; the connection goes on.
///
/// ```
/// use websocket_sync::protocol::{CloseCode, CloseFrame, LocalProtocolError};
///
/// let refused = CloseFrame::new(CloseCode(1005), "why").unwrap_err();
/// assert_eq!(refused, LocalProtocolError::CloseCode(CloseCode(1005)));
/// assert_eq!(refused.to_string(), "close code 1005 must not be sent");
/// ```
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum LocalProtocolError {
    /// What must not follow a Close (section 5.5.1): after our own only a pong may, and after the peer's a pong, our Close, and the rest of
    /// a message that was begun. Once both were sent, or the connection is lost, anything.
    #[error("nothing more can be sent after a close frame")]
    AfterClose,
    /// A Close frame, put together by hand, whose body a peer would refuse (RFC 6455, section 5.5.1).
    #[error("close frame must not be sent: {0}")]
    CloseBody(ProtocolError),
    /// A code that must not be on the wire (section 7.4).
    #[error("close code {} must not be sent", .0.0)]
    CloseCode(CloseCode),
    /// A reason of more than 123 bytes (section 5.5.1), and how long it is.
    #[error("close reason has {0} bytes, 123 is the limit")]
    CloseReason(usize),
    /// A control frame without FIN (section 5.5).
    #[error("control frame must not be fragmented")]
    ControlFragment,
    /// A control frame's payload of more than 125 bytes (section 5.5), and how long it is.
    #[error("payload of a control frame has {0} bytes, 125 is the limit")]
    ControlTooLong(usize),
    /// An option of permessage-deflate that is out of its range (RFC 7692, section 7.1).
    #[error("option {0} of permessage-deflate is out of range")]
    DeflateOption(&'static str),
    /// An event or a call that does not belong to this state of the handshake.
    #[error("{0} cannot be sent in this state of the handshake")]
    Handshake(&'static str),
    /// A header with a value that would make the handshake another one than that of a WebSocket (section 4).
    #[error("header {0} cannot have that value")]
    HeaderValue(&'static str),
    /// A part of the opening handshake with a byte that its grammar does not allow: CR, LF, NUL and the like.
    #[error("{0} has a character that is not allowed there")]
    IllegalCharacter(&'static str),
    /// A continuation frame with no message to continue, or a new message inside a fragmented one (section 5.4).
    #[error("{}", out_of_sequence(*.0))]
    OutOfSequence(Opcode),
    /// An agreement to the same extension twice (section 9.1).
    #[error("an extension is agreed to twice")]
    RepeatedExtension,
    /// A header that there is only one of, given several times.
    #[error("header {0} is given several times")]
    RepeatedHeader(&'static str),
    /// A subprotocol that is offered twice (section 4.1).
    #[error("a subprotocol is offered twice")]
    RepeatedSubprotocol,
    /// A reserved bit that no negotiated extension defines (section 5.2).
    #[error("reserved bits need a negotiated extension")]
    ReservedBits,
    /// A header of the handshake itself among those of the user.
    #[error("header {0} is the handshake's own")]
    ReservedHeader(&'static str),
    /// A message that was received in part, and a call that wants something else first.
    #[error("a message is received in part; receive the rest of it first")]
    ReceivingMessage,
    /// A payload that shall follow in pieces, and an extension that needs it at once.
    #[error("an extension needs the payload of a frame at once")]
    PayloadInPieces,
    /// A payload that is not as long as was announced, or something else before it is complete.
    #[error("payload is not as long as announced")]
    PayloadLength,
    /// A status that cannot refuse a handshake: 1xx, one over 599, or one that has no body where a body was announced.
    #[error("status {0} cannot refuse a handshake like this")]
    Status(u16),
    /// Another message, or a call inside a batch that does not go through it, while this very thread is sending one.
    #[error("this thread is sending a message; finish it first")]
    SendingMessage,
    /// Text that is not UTF-8 (section 5.6).
    #[error("text to send is not UTF-8")]
    TextNotUtf8,
    /// An agreement to an extension that the client did not offer (section 4.2.2).
    #[error("the client did not offer that extension")]
    UnofferedExtension,
    /// A choice of a subprotocol that the client did not offer (section 4.2.2).
    #[error("the client did not offer that subprotocol")]
    UnofferedSubprotocol,
    /// An answer for a role that only the other one gives.
    #[error("only the other role does that")]
    WrongRole,
}

const fn out_of_sequence(opcode: Opcode) -> &'static str {
    match opcode {
        Opcode::Continuation => "continuation frame without a message to continue",
        _ => "a message cannot begin inside of one that is sent in fragments",
    }
}

impl From<NotUtf8> for LocalProtocolError {
    fn from(_: NotUtf8) -> Self {
        Self::TextNotUtf8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small_enough_for_the_fast_path() {
        assert!(size_of::<ProtocolError>() <= 16);
        assert!(size_of::<LocalProtocolError>() <= 24);
    }
}
