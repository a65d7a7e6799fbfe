//! What can be wrong with the peer's half of the opening handshake.

use thiserror::Error;

use crate::protocol::Quoted;

/// A rule of the opening handshake that the peer broke, or a limit of ours that it went over: one variant each.
///
/// A server's response that is in order but not 101 is no error of this kind but a [`Refusal`](super::Refusal).
///
/// ```
/// use websocket_sync::HandshakeError;
///
/// let error = HandshakeError::AcceptMismatch;
/// assert_eq!(error.to_string(), "Sec-WebSocket-Accept does not answer our key");
/// assert_eq!(error.section(), "RFC 6455, section 4.1");
/// ```
#[derive(Clone, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The `Sec-WebSocket-Accept` of the response is not what our key makes; bytes are compared (RFC 6455, section 4.1).
    #[error("Sec-WebSocket-Accept does not answer our key")]
    AcceptMismatch,
    /// A CR that does not end a line (RFC 9112, section 2.2).
    #[error("a carriage return stands inside a line")]
    BareCarriageReturn,
    /// A `Connection` header without the token `Upgrade`, or none at all (RFC 6455, sections 4.1 and 4.2.1).
    #[error("Connection header lacks Upgrade")]
    Connection,
    /// A control character in the head, such as NUL (RFC 9110, section 5.5).
    #[error("head has a control character")]
    ControlCharacter,
    /// More data after the request than may wait for its answer.
    #[error("more than {limit} bytes follow the request before its answer (max_head_size)")]
    EarlyData {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A `Sec-WebSocket-Protocol` or `Sec-WebSocket-Extensions` of the response without a value: each has one element at
    /// least (RFC 6455, section 4.3).
    #[error("{0} is empty (lenient_handshake takes it in a 101)")]
    EmptyField(&'static str),
    /// The connection ended before the head did. Another attempt may succeed.
    #[error("connection ended before the handshake")]
    Eof,
    /// An extension's parameters that do not fit what was offered (RFC 6455, section 9.1).
    #[error("extension {}: {problem}", Quoted(.name))]
    ExtensionParameters {
        /// The name of the extension.
        name: String,
        /// What is wrong with its parameters.
        problem: &'static str,
    },
    /// A `Sec-WebSocket-Extensions` header that its grammar does not allow (RFC 6455, section 9.1).
    #[error("Sec-WebSocket-Extensions is malformed")]
    ExtensionSyntax,
    /// A line of the head that goes on in the next one, beginning with whitespace (RFC 9112, section 5.2).
    #[error("a header is folded over several lines")]
    FoldedHeader,
    /// A head larger than the limit.
    #[error("head is larger than the limit of {limit} bytes (max_head_size)")]
    HeadTooLarge {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// A line of the head that is no header: no colon, a space before it, a name that is no token (RFC 9112, section
    /// 5.1).
    #[error("a header line is malformed (lenient_handshake skips it in a 101)")]
    HeaderSyntax,
    /// A request without `Host`, or with several (RFC 6455, section 4.2.1; RFC 9112, section 3.2).
    #[error("request does not have exactly one Host header")]
    Host,
    /// Another version than HTTP/1.1 (RFC 6455, sections 4.1 and 4.2.1).
    #[error("HTTP version is not 1.1 (lenient_handshake takes a 101 of 1.0)")]
    HttpVersion,
    /// A `Sec-WebSocket-Key` that is not the base64 of 16 bytes (RFC 6455, section 4.2.1).
    #[error("Sec-WebSocket-Key is not the base64 of 16 bytes")]
    InvalidKey,
    /// A line of the head longer than the limit.
    #[error("a line of the head is longer than the limit of {limit} bytes (max_head_line)")]
    LineTooLong {
        /// The limit in force, in bytes.
        limit: usize,
    },
    /// Another method than GET (RFC 6455, section 4.2.1).
    #[error("request method is not GET")]
    Method,
    /// A response without `Sec-WebSocket-Accept` (RFC 6455, section 4.1).
    #[error("Sec-WebSocket-Accept is missing")]
    MissingAccept,
    /// A request without `Sec-WebSocket-Key` (RFC 6455, section 4.2.1).
    #[error("Sec-WebSocket-Key is missing")]
    MissingKey,
    /// A request without `Sec-WebSocket-Version` (RFC 6455, section 4.2.1).
    #[error("Sec-WebSocket-Version is missing")]
    MissingVersion,
    /// What came does not begin as HTTP does (RFC 9112, section 2.1).
    #[error("peer does not speak HTTP")]
    NotHttp,
    /// Bytes were given to a handshake that was over: a mistake of the caller.
    #[error("the handshake is already over")]
    Over,
    /// A refusal whose body has a length or chunks that make no sense (RFC 9112, sections 6 and 7).
    #[error("body of the refusal is malformed")]
    RefusalBody,
    /// Several `Sec-WebSocket-Accept` headers (RFC 6455, section 11.3.3).
    #[error("Sec-WebSocket-Accept occurs several times (lenient_handshake takes equal ones in a 101)")]
    RepeatedAccept,
    /// An extension that was agreed to twice (RFC 6455, section 9.1).
    #[error("extension {} is agreed to twice (lenient_handshake takes equal fields in a 101)", Quoted(.0))]
    RepeatedExtension(String),
    /// Several `Sec-WebSocket-Key` headers (RFC 6455, section 11.3.1).
    #[error("Sec-WebSocket-Key occurs several times")]
    RepeatedKey,
    /// A response with several subprotocols (RFC 6455, section 11.3.4).
    #[error("Sec-WebSocket-Protocol occurs several times (lenient_handshake takes equal ones in a 101)")]
    RepeatedSubprotocol,
    /// Several `Upgrade` headers (RFC 6455, sections 4.1 and 4.2.1).
    #[error("Upgrade occurs several times (lenient_handshake takes equal ones in a 101)")]
    RepeatedUpgrade,
    /// A request with a body, which cannot be told from frames (RFC 6455, section 4.1).
    #[error("request has a body")]
    RequestBody,
    /// A request line that is malformed (RFC 9112, section 3).
    #[error("request line is malformed")]
    RequestLine,
    /// A status line that is malformed (RFC 9112, section 4).
    #[error("status line is malformed")]
    StatusLine,
    /// A `Sec-WebSocket-Protocol` with something that is no token, or twice the same (RFC 6455, section 4.1).
    #[error("Sec-WebSocket-Protocol is malformed")]
    SubprotocolSyntax,
    /// More extensions, or parameters of one, than anyone needs.
    #[error("more than {limit} extensions, or parameters of one")]
    TooManyExtensions {
        /// The limit in force.
        limit: usize,
    },
    /// More headers than the limit allows.
    #[error("more than {limit} header fields (max_head_fields; lenient_handshake takes them in a 101)")]
    TooManyFields {
        /// The limit in force.
        limit: usize,
    },
    /// More interim responses (1xx) than the limit allows.
    #[error("more than {limit} interim responses (max_interim_responses)")]
    TooManyInterim {
        /// The limit in force.
        limit: usize,
    },
    /// An extension in the response that was not offered (RFC 6455, section 4.1).
    #[error("extension {} was not offered", Quoted(.0))]
    UnofferedExtension(String),
    /// A subprotocol in the response that was not offered; case counts (RFC 6455, section 4.1).
    #[error("subprotocol {} was not offered", Quoted(.0))]
    UnofferedSubprotocol(String),
    /// Another version of the WebSocket protocol than 13 (RFC 6455, section 4.2.1).
    #[error("Sec-WebSocket-Version is not 13")]
    UnsupportedVersion,
    /// An `Upgrade` header other than `websocket`, or none at all (RFC 6455, sections 4.1 and 4.2.1).
    #[error("Upgrade header is not websocket")]
    Upgrade,
}

impl HandshakeError {
    /// Where the rule stands; for limits, where RFC 6455 says that there must be some.
    pub const fn section(&self) -> &'static str {
        match self {
            Self::AcceptMismatch
            | Self::MissingAccept
            | Self::RequestBody
            | Self::SubprotocolSyntax
            | Self::UnofferedExtension(_)
            | Self::UnofferedSubprotocol(_) => "RFC 6455, section 4.1",
            Self::Connection | Self::HttpVersion | Self::RepeatedUpgrade | Self::Upgrade => {
                "RFC 6455, sections 4.1 and 4.2.1"
            }
            Self::EmptyField(_) => "RFC 6455, section 4.3",
            Self::Host
            | Self::InvalidKey
            | Self::Method
            | Self::MissingKey
            | Self::MissingVersion
            | Self::UnsupportedVersion => "RFC 6455, section 4.2.1",
            Self::ExtensionParameters { .. } | Self::ExtensionSyntax | Self::RepeatedExtension(_) => {
                "RFC 6455, section 9.1"
            }
            Self::EarlyData { .. }
            | Self::HeadTooLarge { .. }
            | Self::LineTooLong { .. }
            | Self::TooManyExtensions { .. }
            | Self::TooManyFields { .. }
            | Self::TooManyInterim { .. } => "RFC 6455, section 10.4",
            Self::RepeatedAccept => "RFC 6455, section 11.3.3",
            Self::RepeatedKey => "RFC 6455, section 11.3.1",
            Self::RepeatedSubprotocol => "RFC 6455, section 11.3.4",
            Self::ControlCharacter => "RFC 9110, section 5.5",
            Self::BareCarriageReturn => "RFC 9112, section 2.2",
            Self::NotHttp | Self::Over => "RFC 9112, section 2.1",
            Self::RequestLine => "RFC 9112, section 3",
            Self::StatusLine => "RFC 9112, section 4",
            Self::HeaderSyntax => "RFC 9112, section 5.1",
            Self::FoldedHeader => "RFC 9112, section 5.2",
            Self::RefusalBody => "RFC 9112, section 6",
            Self::Eof => "RFC 9112, section 8",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_section() {
        for rule in [
            HandshakeError::Eof,
            HandshakeError::Connection,
            HandshakeError::NotHttp,
            HandshakeError::HeadTooLarge { limit: 1 },
        ] {
            assert!(rule.section().starts_with("RFC "));
        }
    }

    #[test]
    fn what_the_peer_named_is_shown_escaped() {
        let error = HandshakeError::UnofferedSubprotocol("a\u{1b}[2J".into());
        assert_eq!(error.to_string(), r#"subprotocol "a\u{1b}[2J" was not offered"#);
        let hostile = format!("\u{202e}\u{9b}1m\"{}", "x".repeat(10_000));
        let shown = format!(r#""\u{{202e}}\u{{9b}}1m\"{}…""#, "x".repeat(123));
        let (unoffered, repeated) = (HandshakeError::UnofferedExtension, HandshakeError::RepeatedExtension);
        let parameters = HandshakeError::ExtensionParameters { name: hostile.clone(), problem: "no" };
        assert_eq!(unoffered(hostile.clone()).to_string(), format!("extension {shown} was not offered"));
        assert_eq!(
            repeated(hostile.clone()).to_string(),
            format!("extension {shown} is agreed to twice (lenient_handshake takes equal fields in a 101)")
        );
        assert_eq!(parameters.to_string(), format!("extension {shown}: no"));
        assert!(HandshakeError::UnofferedSubprotocol(hostile).to_string().len() < 200);
    }
}
