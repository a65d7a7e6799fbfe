//! Close codes and the body of a Close frame (RFC 6455, sections 5.5.1 and 7.4).

use std::fmt;

use super::error::{LocalProtocolError, ProtocolError};
use super::escape::Escaped;

/// The longest reason that a Close frame can carry, in bytes: a control frame's 125 less the two of the code.
pub const MAX_CLOSE_REASON: usize = 123;

/// A close code (RFC 6455, section 7.4): why an endpoint ends the connection.
///
/// A newtype and not an enum: the codes 3000 to 4999 belong to libraries and applications, which give them meanings of their own.
///
/// ```
/// use websocket_sync::CloseCode;
///
/// assert_eq!(CloseCode::NORMAL, CloseCode(1000));
/// assert!(CloseCode::NORMAL.is_sendable());
/// assert!(CloseCode(4001).is_sendable());
/// assert!(!CloseCode::ABNORMAL_CLOSURE.is_sendable());
/// assert_eq!(CloseCode::GOING_AWAY.to_string(), "1001 (going away)");
///
/// let by_the_protocol = [CloseCode::PROTOCOL_ERROR, CloseCode::INVALID_PAYLOAD, CloseCode::MESSAGE_TOO_BIG];
/// let by_programs = [CloseCode::UNSUPPORTED_DATA, CloseCode::POLICY_VIOLATION, CloseCode::INTERNAL_ERROR];
/// let by_clients = [CloseCode::MANDATORY_EXTENSION];
/// let by_gateways = [CloseCode::SERVICE_RESTART, CloseCode::TRY_AGAIN_LATER, CloseCode::BAD_GATEWAY];
/// // These two are never sent: they say what happened without a Close frame.
/// let local_only = [CloseCode::NO_STATUS_RECEIVED, CloseCode::TLS_HANDSHAKE];
/// assert!(local_only.iter().all(|code| !code.is_sendable()));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[doc(alias = "CloseReason")]
#[doc(alias = "VALID_CLOSE_STATUS")]
#[expect(clippy::exhaustive_structs, reason = "a number and nothing else")]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    #[doc(alias = "STATUS_NORMAL")]
    #[doc(alias = "NORMAL_CLOSURE")]
    pub const NORMAL: Self = Self(1000);
    /// 1001: a server goes down, or a client leaves.
    #[doc(alias = "STATUS_GOING_AWAY")]
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke the protocol.
    #[doc(alias = "STATUS_PROTOCOL_ERROR")]
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of data that the endpoint cannot take.
    #[doc(alias = "STATUS_UNSUPPORTED_DATA_TYPE")]
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1005: stands for a Close frame without a code; never on the wire. To close with it and without a reason sends a Close without a body.
    #[doc(alias = "STATUS_STATUS_NOT_AVAILABLE")]
    #[doc(alias = "NO_STATUS_RCVD")]
    pub const NO_STATUS_RECEIVED: Self = Self(1005);
    /// 1006: stands for a connection that ended without a Close frame; never on the wire.
    #[doc(alias = "STATUS_ABNORMAL_CLOSED")]
    pub const ABNORMAL_CLOSURE: Self = Self(1006);
    /// 1007: a message's content does not fit its kind, such as text that is not UTF-8.
    #[doc(alias = "STATUS_INVALID_PAYLOAD")]
    #[doc(alias = "INVALID_FRAME_PAYLOAD_DATA")]
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: a policy of the endpoint is broken, and no other code fits.
    #[doc(alias = "STATUS_POLICY_VIOLATION")]
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message is too big to process.
    #[doc(alias = "STATUS_MESSAGE_TOO_BIG")]
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1010: the server did not agree to an extension that the client needs.
    #[doc(alias = "STATUS_INVALID_EXTENSION")]
    #[doc(alias = "MANDATORY_EXT")]
    pub const MANDATORY_EXTENSION: Self = Self(1010);
    /// 1011: an unexpected condition keeps the endpoint from going on.
    #[doc(alias = "STATUS_UNEXPECTED_CONDITION")]
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the service restarts.
    #[doc(alias = "STATUS_SERVICE_RESTART")]
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the service is overloaded; try again later.
    #[doc(alias = "STATUS_TRY_AGAIN_LATER")]
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// 1014: a gateway got a bad answer from the server behind it.
    #[doc(alias = "STATUS_BAD_GATEWAY")]
    pub const BAD_GATEWAY: Self = Self(1014);
    /// 1015: stands for a failed TLS handshake; never on the wire.
    #[doc(alias = "STATUS_TLS_HANDSHAKE_ERROR")]
    #[doc(alias = "TLS_HANDSHAKE_FAILED")]
    pub const TLS_HANDSHAKE: Self = Self(1015);

    /// Whether an endpoint may put this code into a Close frame: those that IANA lists for it, and 3000 to 4999
    /// (RFC 6455, section 7.4). [`NO_STATUS_RECEIVED`](Self::NO_STATUS_RECEIVED) is none of them, although closing with it is possible.
    #[doc(alias = "LOCAL_ONLY_CLOSE_REASONS")]
    pub const fn is_sendable(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }

    /// What the code says, or `None` for those that belong to libraries and applications.
    const fn meaning(self) -> Option<&'static str> {
        Some(match self {
            Self::NORMAL => "normal",
            Self::GOING_AWAY => "going away",
            Self::PROTOCOL_ERROR => "protocol error",
            Self::UNSUPPORTED_DATA => "unsupported data",
            Self::NO_STATUS_RECEIVED => "no code received",
            Self::ABNORMAL_CLOSURE => "no close frame received",
            Self::INVALID_PAYLOAD => "invalid payload",
            Self::POLICY_VIOLATION => "policy violation",
            Self::MESSAGE_TOO_BIG => "message too big",
            Self::MANDATORY_EXTENSION => "mandatory extension",
            Self::INTERNAL_ERROR => "internal error",
            Self::SERVICE_RESTART => "service restart",
            Self::TRY_AGAIN_LATER => "try again later",
            Self::BAD_GATEWAY => "bad gateway",
            Self::TLS_HANDSHAKE => "TLS handshake failed",
            _ => return None,
        })
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.meaning() {
            Some(meaning) => write!(f, "{} ({meaning})", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}

impl From<u16> for CloseCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

/// The body of a Close frame: a code and a reason (RFC 6455, section 5.5.1).
///
/// A Close frame without a body is the code [`CloseCode::NO_STATUS_RECEIVED`].
///
/// ```
/// use websocket_sync::protocol::{CloseCode, CloseFrame};
///
/// let close = CloseFrame::parse(b"\x03\xe8bye")?;
/// assert_eq!((close.code, close.reason.as_str()), (CloseCode::NORMAL, "bye"));
/// assert_eq!(CloseFrame::parse(b"")?.code, CloseCode::NO_STATUS_RECEIVED);
/// assert!(CloseFrame::parse(b"\x03").is_err());
/// assert_eq!(close.to_body(), b"\x03\xe8bye");
/// # Ok::<(), websocket_sync::protocol::ProtocolError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "RFC 6455, section 5.5.1, has these two fields")]
pub struct CloseFrame {
    /// Why the sender closes.
    pub code: CloseCode,
    /// The same in words, for people and logs; empty when there are none.
    pub reason: String,
}

impl CloseFrame {
    /// A Close frame that may be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::CloseCode`] for a code that must not be sent, [`LocalProtocolError::CloseReason`] for a reason of
    /// more than 123 bytes. [`CloseCode::NO_STATUS_RECEIVED`] with an empty reason is the frame without a body.
    pub fn new(code: CloseCode, reason: &str) -> Result<Self, LocalProtocolError> {
        let empty = code == CloseCode::NO_STATUS_RECEIVED && reason.is_empty();
        if !empty && !code.is_sendable() {
            return Err(LocalProtocolError::CloseCode(code));
        }
        if reason.len() > MAX_CLOSE_REASON {
            return Err(LocalProtocolError::CloseReason(reason.len()));
        }
        Ok(Self { code, reason: reason.to_owned() })
    }

    /// The frame without a body.
    pub const fn empty() -> Self {
        Self { code: CloseCode::NO_STATUS_RECEIVED, reason: String::new() }
    }

    /// Reads the body of a received Close frame.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] for a body of one byte, a code that must not be on the wire, or a reason that is not UTF-8
    /// (RFC 6455, sections 5.5.1 and 7.4.2).
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let Some((code, reason)) = body.split_first_chunk::<2>() else {
            return if body.is_empty() { Ok(Self::empty()) } else { Err(ProtocolError::CloseBodyOfOneByte) };
        };
        let code = CloseCode(u16::from_be_bytes(*code));
        if !code.is_sendable() {
            return Err(ProtocolError::CloseCode(code));
        }
        let reason = simdutf8::basic::from_utf8(reason).map_err(|_| ProtocolError::CloseReasonNotUtf8)?;
        Ok(Self { code, reason: reason.to_owned() })
    }

    /// What a body says that [`parse`](Self::parse) has refused: its code, and its reason with bytes that are no text escaped.
    pub(crate) fn parse_rejected(body: &[u8]) -> Option<Self> {
        let (code, reason) = body.split_first_chunk::<2>()?;
        let reason = match std::str::from_utf8(reason) {
            Ok(reason) => reason.to_owned(),
            Err(_) => reason.escape_ascii().to_string(),
        };
        Some(Self { code: CloseCode(u16::from_be_bytes(*code)), reason })
    }

    /// The body as it goes into a Close frame: empty for [`CloseCode::NO_STATUS_RECEIVED`].
    pub fn to_body(&self) -> Vec<u8> {
        if self.code == CloseCode::NO_STATUS_RECEIVED {
            return Vec::new();
        }
        let mut body = Vec::with_capacity(2 + self.reason.len());
        body.extend_from_slice(&self.code.0.to_be_bytes());
        body.extend_from_slice(self.reason.as_bytes());
        body
    }
}

/// What is no plain text in the reason is escaped.
impl fmt::Display for CloseFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            return write!(f, "{}", self.code);
        }
        write!(f, "{}: {}", self.code, Escaped::new(&self.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_registered_and_the_private_codes_are_sendable() {
        let sendable: Vec<u16> = (0..=u16::MAX).filter(|&code| CloseCode(code).is_sendable()).collect();
        let mut expected: Vec<u16> = vec![1000, 1001, 1002, 1003];
        expected.extend(1007..=1014);
        expected.extend(3000..=4999);
        assert_eq!(sendable, expected);
    }

    #[test]
    fn received_bodies_are_judged_by_the_rules_of_section_5_5_1() {
        type Verdict = Result<(u16, &'static str), ProtocolError>;
        let cases: &[(&[u8], Verdict)] = &[
            (b"", Ok((1005, ""))),
            (b"\x03", Err(ProtocolError::CloseBodyOfOneByte)),
            (b"\x03\xe8", Ok((1000, ""))),
            (b"\x03\xe8tarah old chap", Ok((1000, "tarah old chap"))),
            ("\u{3}\u{0}".as_bytes(), Err(ProtocolError::CloseCode(CloseCode(0x300)))),
            (b"\x03\xe7", Err(ProtocolError::CloseCode(CloseCode(999)))),
            (b"\x03\xec", Err(ProtocolError::CloseCode(CloseCode(1004)))),
            (b"\x03\xed", Err(ProtocolError::CloseCode(CloseCode(1005)))),
            (b"\x03\xee", Err(ProtocolError::CloseCode(CloseCode(1006)))),
            (b"\x03\xf6", Ok((1014, ""))),
            (b"\x03\xf7", Err(ProtocolError::CloseCode(CloseCode(1015)))),
            (b"\x0b\xb6", Err(ProtocolError::CloseCode(CloseCode(2998)))),
            (b"\x0f\xa0bye", Ok((4000, "bye"))),
            (b"\x13\x88", Err(ProtocolError::CloseCode(CloseCode(5000)))),
            (b"\x03\xe8f\xc3\xb1\xc3\xb8r\xe2\x88\x82", Ok((1000, "f\u{f1}\u{f8}r\u{2202}"))),
            (b"\x03\xe8f\xc3", Err(ProtocolError::CloseReasonNotUtf8)),
            (b"\x03\xe8\xff\xfe\xff", Err(ProtocolError::CloseReasonNotUtf8)),
        ];
        for (body, expected) in cases {
            let parsed = CloseFrame::parse(body);
            let parsed = parsed.as_ref().map(|close| (close.code.0, close.reason.as_str())).map_err(|error| *error);
            assert_eq!(parsed, *expected, "{body:02x?}");
        }
    }

    #[test]
    fn what_must_not_be_sent_is_refused() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
            let refused = CloseFrame::new(CloseCode(code), "why");
            assert_eq!(refused, Err(LocalProtocolError::CloseCode(CloseCode(code))));
        }
        let long = "x".repeat(MAX_CLOSE_REASON + 1);
        assert_eq!(CloseFrame::new(CloseCode::NORMAL, &long), Err(LocalProtocolError::CloseReason(124)));
        assert!(CloseFrame::new(CloseCode::NORMAL, &long[1..]).is_ok());
    }

    #[test]
    fn a_close_is_shown_by_its_code_and_its_reason_if_it_has_one() {
        let shown = |code: CloseCode, reason: &str| CloseFrame { code, reason: reason.to_owned() }.to_string();
        assert_eq!(shown(CloseCode::from(1000), "bye"), "1000 (normal): bye");
        assert_eq!(shown(CloseCode::GOING_AWAY, ""), "1001 (going away)");
        assert_eq!(shown(CloseCode(4000), ""), "4000");
        assert_eq!(shown(CloseCode(4000), "a\nb"), "4000: a\\nb");
    }

    #[test]
    fn a_body_reads_back_as_it_was_written() {
        for close in [CloseFrame::empty(), CloseFrame::new(CloseCode(4321), "na gut").unwrap()] {
            assert_eq!(CloseFrame::parse(&close.to_body()), Ok(close));
        }
    }
}
