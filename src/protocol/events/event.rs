//! What happens on a connection, as values: the events of wsproto.
//!
//! The same events are received from [`Connection::next_event`](super::Connection::next_event) and sent with
//! [`Connection::send`](super::Connection::send). Names, fields and defaults are those of wsproto, but for these:
//! extensions are [`ExtensionOffer`]s, what the peer did wrong is an event of its own, [`ProtocolViolation`], and a
//! missing close reason is an empty one.

use std::fmt;

use crate::protocol::handshake::{ExtensionOffer, Headers, ShownSubprotocol, ShownSubprotocols, ShownTarget};
use crate::protocol::{CloseCode, CloseFrame, ProtocolError};

/// An event, received or to be sent.
///
/// ```
/// use websocket_sync::protocol::{Event, Ping, Pong};
///
/// let event = Event::from(Ping::new("are you there?"));
/// let Event::Ping(ping) = event else { unreachable!() };
/// assert_eq!(ping.response(), Pong::new("are you there?"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A client asks for a WebSocket.
    Request(Request),
    /// A server opens it.
    AcceptConnection(AcceptConnection),
    /// A server refuses.
    RejectConnection(RejectConnection),
    /// A part of the body of a refusal.
    RejectData(RejectData),
    /// An endpoint closes, or the connection was lost.
    CloseConnection(CloseConnection),
    /// A chunk of a text message.
    TextMessage(TextMessage),
    /// A chunk of a binary message.
    BytesMessage(BytesMessage),
    /// A ping.
    Ping(Ping),
    /// A pong.
    Pong(Pong),
    /// The peer broke the protocol. Received only.
    ProtocolViolation(ProtocolViolation),
}

impl Event {
    /// The name of its kind.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Request(_) => "Request",
            Self::AcceptConnection(_) => "AcceptConnection",
            Self::RejectConnection(_) => "RejectConnection",
            Self::RejectData(_) => "RejectData",
            Self::CloseConnection(_) => "CloseConnection",
            Self::TextMessage(_) => "TextMessage",
            Self::BytesMessage(_) => "BytesMessage",
            Self::Ping(_) => "Ping",
            Self::Pong(_) => "Pong",
            Self::ProtocolViolation(_) => "ProtocolViolation",
        }
    }
}

/// The opening request: clients send it, servers receive it.
///
/// A client's connection offers the extensions that it was built with by itself; those named here are offered in
/// addition. A server receives all header fields but `Host`, `Sec-WebSocket-Protocol` and `Sec-WebSocket-Extensions`,
/// which are fields of their own, in `extra_headers`.
///
/// ```
/// use websocket_sync::protocol::Request;
///
/// let request = Request { subprotocols: vec!["chat".into()], ..Request::new("example.com", "/") };
/// assert!(request.extra_headers.is_empty());
/// ```
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct Request {
    /// `host[:port]` in ASCII.
    pub host: String,
    /// The path with its query, or a whole URL.
    pub target: String,
    /// The extensions that are offered.
    pub extensions: Vec<ExtensionOffer>,
    /// Further header fields.
    pub extra_headers: Headers,
    /// The subprotocols that are offered, the best first.
    pub subprotocols: Vec<String>,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("host", &self.host)
            .field("target", &ShownTarget(&self.target))
            .field("extensions", &self.extensions)
            .field("extra_headers", &self.extra_headers)
            .field("subprotocols", &ShownSubprotocols(&self.subprotocols))
            .finish()
    }
}

impl Request {
    /// A request without extensions, subprotocols and further headers.
    pub fn new(host: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            target: target.into(),
            extensions: Vec::new(),
            extra_headers: Headers::new(),
            subprotocols: Vec::new(),
        }
    }
}

/// The consent to a request: servers send it, clients receive it.
///
/// A server's connection agrees to the extensions that it was built with by itself, as far as they were offered; those
/// named here are agreed to in addition. A client receives all that was agreed to, and all header fields but those that
/// make the handshake.
#[derive(Clone, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct AcceptConnection {
    /// The subprotocol that the server chose. Default: none.
    pub subprotocol: Option<String>,
    /// The extensions that were agreed to.
    pub extensions: Vec<ExtensionOffer>,
    /// Further header fields.
    pub extra_headers: Headers,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for AcceptConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptConnection")
            .field("subprotocol", &ShownSubprotocol(&self.subprotocol))
            .field("extensions", &self.extensions)
            .field("extra_headers", &self.extra_headers)
            .finish()
    }
}

/// The refusal of a request: servers send it, clients receive it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct RejectConnection {
    /// The status. Default: 400.
    pub status_code: u16,
    /// The header fields.
    pub headers: Headers,
    /// Whether [`RejectData`] follows. When received it always does, if only to say that there is no body. Default:
    /// false.
    pub has_body: bool,
}

impl Default for RejectConnection {
    fn default() -> Self {
        Self { status_code: 400, headers: Headers::new(), has_body: false }
    }
}

/// A part of the body of a refusal. What is received ends with an empty part that has `body_finished`.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct RejectData {
    /// The bytes; chunks are undone when received and made when sent.
    pub data: Vec<u8>,
    /// Whether the body ends with this part. Default: true.
    pub body_finished: bool,
}

impl Default for RejectData {
    fn default() -> Self {
        Self { data: Vec::new(), body_finished: true }
    }
}

/// An endpoint closes: a Close frame, or its absence where the connection was lost (code 1006).
///
/// Nothing is answered by itself: send the [`response`](Self::response) unless a Close was sent before.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct CloseConnection {
    /// Why; [`CloseCode::NO_STATUS_RECEIVED`] for a frame without a body, [`CloseCode::ABNORMAL_CLOSURE`] for no frame
    /// at all.
    pub code: CloseCode,
    /// The same in words; empty when there are none.
    pub reason: String,
}

impl CloseConnection {
    /// A Close with a code and a reason, which may be empty.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into() }
    }

    /// The Close that answers this one: the same code and reason.
    #[must_use]
    pub fn response(&self) -> Self {
        self.clone()
    }
}

impl From<CloseFrame> for CloseConnection {
    fn from(close: CloseFrame) -> Self {
        Self { code: close.code, reason: close.reason }
    }
}

/// A chunk of a text message.
///
/// When received, a chunk is what has arrived: it need not be a whole frame, and it may be empty. When sent, it is a
/// frame.
#[derive(Clone, Debug, Eq, PartialEq)]
#[doc(alias = "Data")]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct TextMessage {
    /// The text.
    pub data: String,
    /// Whether its frame ends with it; it does when sent, whatever this says. Default: true.
    pub frame_finished: bool,
    /// Whether its message ends with it. Default: true.
    pub message_finished: bool,
}

impl TextMessage {
    /// A whole message.
    pub fn new(data: impl Into<String>) -> Self {
        Self { data: data.into(), frame_finished: true, message_finished: true }
    }

    /// The same with more of its message to follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.message_finished = false;
        self
    }
}

/// A chunk of a binary message.
///
/// When received, a chunk is what has arrived: it need not be a whole frame, and it may be empty. When sent, it is a
/// frame.
#[derive(Clone, Debug, Eq, PartialEq)]
#[doc(alias = "Data")]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct BytesMessage {
    /// The bytes.
    pub data: Vec<u8>,
    /// Whether its frame ends with it; it does when sent, whatever this says. Default: true.
    pub frame_finished: bool,
    /// Whether its message ends with it. Default: true.
    pub message_finished: bool,
}

impl BytesMessage {
    /// A whole message.
    pub fn new(data: impl Into<Vec<u8>>) -> Self {
        Self { data: data.into(), frame_finished: true, message_finished: true }
    }

    /// The same with more of its message to follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.message_finished = false;
        self
    }
}

/// A ping. Nothing is answered by itself: send the [`response`](Self::response).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct Ping {
    /// At most 125 bytes. Default: none.
    pub payload: Vec<u8>,
}

impl Ping {
    /// A ping with a payload.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into() }
    }

    /// The pong that answers it (RFC 6455, section 5.5.3).
    pub fn response(&self) -> Pong {
        Pong { payload: self.payload.clone() }
    }
}

/// A pong: the answer to a ping, or unsolicited (RFC 6455, section 5.5.3).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the fields of wsproto")]
pub struct Pong {
    /// At most 125 bytes. Default: none.
    pub payload: Vec<u8>,
}

impl Pong {
    /// A pong with a payload.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self { payload: payload.into() }
    }
}

/// The peer broke the protocol, and nothing more is read from it (RFC 6455, section 7.1.7). wsproto tells this as a
/// `CloseConnection`, which cannot be told from the peer's own.
///
/// Send the [`response`](Self::response) unless a Close was sent before, and give the connection up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[doc(alias = "Fail")]
#[doc(alias = "ConnectionFailed")]
#[doc(alias = "ParseFailed")]
#[expect(clippy::exhaustive_structs, reason = "the error says everything")]
pub struct ProtocolViolation {
    /// The rule that was broken.
    pub error: ProtocolError,
}

impl ProtocolViolation {
    /// The Close that tells the peer.
    pub fn response(&self) -> CloseConnection {
        CloseConnection::new(self.error.close_code(), self.error.to_string())
    }
}

macro_rules! into_event {
    ($($kind:ident),+) => {$(
        impl From<$kind> for Event {
            fn from(event: $kind) -> Self {
                Self::$kind(event)
            }
        }
    )+};
}

into_event!(
    Request,
    AcceptConnection,
    RejectConnection,
    RejectData,
    CloseConnection,
    TextMessage,
    BytesMessage,
    Ping,
    Pong
);
