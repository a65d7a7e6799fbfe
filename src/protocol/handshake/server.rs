//! The server's side of the opening handshake (RFC 6455, section 4.2): how the request is judged, and the two ways to answer it.

use std::collections::BTreeSet;
use std::fmt;

use super::error::HandshakeError;
use super::fields::{ExtensionOffer, HandshakeOffer, accept_for, check_upgrade, is_key, subprotocols};
use super::headers::{Headers, ShownTarget, is_field_value, is_visible};
use super::http::{HeadCollector, HeadLimits, RequestHead, StartLine, decimal};
use super::subprotocols::{ShownSubprotocol, ShownSubprotocols};
use crate::protocol::LocalProtocolError;

/// The fields of a 101 that the handshake itself sends, or that would announce a body.
const RESERVED: [&str; 7] = [
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
];

/// The opening handshake of a server: reads the request, makes the response.
///
/// ```
/// use websocket_sync::protocol::handshake::{Acceptance, HeadLimits, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// let request = handshake.receive(
///     b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
/// )?;
/// assert_eq!(request.map(|request| request.target).as_deref(), Some("/chat"));
/// let bytes = handshake.accept(&Acceptance::default())?;
/// assert!(bytes.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// assert!(handshake.take_early_data().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "H11Handshake")]
pub struct ServerHandshake {
    stage: ServerStage,
    limits: HeadLimits,
    /// What followed the request.
    early_data: Vec<u8>,
}

/// Without what the client has said behind its request.
impl fmt::Debug for ServerHandshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandshake")
            .field("stage", &self.stage)
            .field("limits", &self.limits)
            .field("early_data", &format_args!("{} bytes", self.early_data.len()))
            .finish()
    }
}

#[derive(Debug)]
enum ServerStage {
    /// The request is being received.
    Head(HeadCollector),
    /// The request broke a rule; it can only be rejected.
    Broken,
    /// The request waits for its response.
    Requested(HandshakeOffer),
    /// The head of the rejection is made, its body is not.
    Rejecting(BodyWriter),
    /// Accepted or rejected.
    Over,
}

impl ServerHandshake {
    /// A server that waits for a request.
    pub const fn new(limits: HeadLimits) -> Self {
        Self {
            stage: ServerStage::Head(HeadCollector::new(StartLine::Request, limits)),
            limits,
            early_data: Vec::new(),
        }
    }

    /// A server whose request was read by somebody else, such as an HTTP server that also speaks WebSocket.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the request breaks; [`Rejection::for_error`] says what to answer.
    #[doc(alias = "initiate_upgrade_connection")]
    pub fn from_parsed(
        method: &str,
        target: &str,
        headers: Headers,
        limits: HeadLimits,
    ) -> Result<(Self, UpgradeRequest), HandshakeError> {
        let head = RequestHead { method: method.to_owned(), target: target.to_owned(), minor_version: 1, headers };
        let request = UpgradeRequest::judge(head)?;
        let stage = ServerStage::Requested(request.offer());
        Ok((Self { stage, limits, early_data: Vec::new() }, request))
    }

    /// Takes bytes that were received: the request, once it is whole. What follows it is kept for the frames.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the client broke; [`Rejection::for_error`] says what to answer.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<UpgradeRequest>, HandshakeError> {
        match &mut self.stage {
            ServerStage::Head(collector) => {
                let mut rest = bytes;
                let request = read_request(collector, &mut rest).inspect_err(|_| self.stage = ServerStage::Broken)?;
                if let Some(request) = &request {
                    self.stage = ServerStage::Requested(request.offer());
                    self.keep_early_data(rest)?;
                }
                Ok(request)
            }
            ServerStage::Requested(_) => self.keep_early_data(bytes).map(|()| None),
            ServerStage::Broken | ServerStage::Rejecting(_) | ServerStage::Over => Err(HandshakeError::Over),
        }
    }

    /// Opens the WebSocket: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a request waits for its response, and others where the response would not
    /// be one to this request. The request goes on waiting then.
    pub fn accept(&mut self, acceptance: &Acceptance) -> Result<Vec<u8>, LocalProtocolError> {
        let bytes = acceptance.encode(self.offer()?)?;
        self.stage = ServerStage::Over;
        Ok(bytes)
    }

    /// Refuses: the bytes to be sent. Where a body was announced, it follows through [`reject_data`](Self::reject_data)
    /// and [`finish_rejection`](Self::finish_rejection).
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] after a response was given, and others where the rejection cannot be sent as it
    /// is.
    pub fn reject(&mut self, rejection: &Rejection) -> Result<Vec<u8>, LocalProtocolError> {
        if matches!(self.stage, ServerStage::Rejecting(_) | ServerStage::Over) {
            return Err(LocalProtocolError::Handshake("RejectConnection"));
        }
        let (bytes, body) = rejection.encode()?;
        self.stage = if rejection.has_body { ServerStage::Rejecting(body) } else { ServerStage::Over };
        Ok(bytes)
    }

    /// A part of the rejection's body: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a body was announced, [`LocalProtocolError::PayloadLength`] for more
    /// than that.
    pub fn reject_data(&mut self, data: &[u8]) -> Result<Vec<u8>, LocalProtocolError> {
        match &mut self.stage {
            ServerStage::Rejecting(body) => body.write(data),
            _ => Err(LocalProtocolError::Handshake("RejectData")),
        }
    }

    /// The last part of the rejection's body, which may be empty: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a body was announced, [`LocalProtocolError::PayloadLength`] where it is
    /// not as long as that. The part is not taken then.
    pub fn finish_rejection(&mut self, data: &[u8]) -> Result<Vec<u8>, LocalProtocolError> {
        let ServerStage::Rejecting(mut body) = self.stage else {
            return Err(LocalProtocolError::Handshake("RejectData"));
        };
        let mut bytes = body.write(data)?;
        bytes.append(&mut body.finish()?);
        self.stage = ServerStage::Over;
        Ok(bytes)
    }

    /// What came behind the request: the beginning of the first frames, for the time after [`accept`](Self::accept).
    pub fn take_early_data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early_data)
    }

    /// Whether received bytes still matter: not after a rule was broken, nor after the response.
    pub(in crate::protocol) const fn is_listening(&self) -> bool {
        matches!(self.stage, ServerStage::Head(_) | ServerStage::Requested(_))
    }

    /// Whether the body of a rejection is still to be sent.
    pub(in crate::protocol) const fn is_rejecting(&self) -> bool {
        matches!(self.stage, ServerStage::Rejecting(_))
    }

    /// What the request offers that waits for its response.
    pub(in crate::protocol) fn offer(&self) -> Result<&HandshakeOffer, LocalProtocolError> {
        match &self.stage {
            ServerStage::Requested(offer) => Ok(offer),
            _ => Err(LocalProtocolError::Handshake("AcceptConnection")),
        }
    }

    fn keep_early_data(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        if self.early_data.len() + bytes.len() > self.limits.head {
            self.stage = ServerStage::Broken;
            return Err(HandshakeError::EarlyData { limit: self.limits.head });
        }
        self.early_data.extend_from_slice(bytes);
        Ok(())
    }
}

/// Takes the request from the front of `bytes`; `None` if all were taken and it goes on.
fn read_request(collector: &mut HeadCollector, bytes: &mut &[u8]) -> Result<Option<UpgradeRequest>, HandshakeError> {
    if collector.collect(bytes)? { UpgradeRequest::judge(collector.request()?).map(Some) } else { Ok(None) }
}

/// A client's request to open a WebSocket, as a server received it. It keeps every rule of RFC 6455, section 4.2.1.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// The request target as the client wrote it: a path with its query, or a whole URL.
    pub target: String,
    /// `Host`: the name that the client called the server by, with the port if it is not the default one.
    pub host: String,
    /// The subprotocols that the client speaks, the best first.
    pub subprotocols: Vec<String>,
    /// The extensions that the client offers, the best first.
    pub extensions: Vec<ExtensionOffer>,
    /// All header fields; the names of those that were received are in lower case.
    pub headers: Headers,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for UpgradeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeRequest")
            .field("target", &ShownTarget(&self.target))
            .field("host", &self.host)
            .field("subprotocols", &ShownSubprotocols(&self.subprotocols))
            .field("extensions", &self.extensions)
            .field("headers", &self.headers)
            .finish()
    }
}

impl UpgradeRequest {
    /// Judges a request, in the order of wsproto.
    pub(super) fn judge(head: RequestHead) -> Result<Self, HandshakeError> {
        let RequestHead { method, target, minor_version, headers } = head;
        if method != "GET" {
            return Err(HandshakeError::Method);
        }
        if !headers.has_element("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        let version = headers.only("sec-websocket-version").map_err(|_| HandshakeError::UnsupportedVersion)?;
        if version.ok_or(HandshakeError::MissingVersion)? != b"13" {
            return Err(HandshakeError::UnsupportedVersion);
        }
        let key = headers.only("sec-websocket-key").map_err(|_| HandshakeError::RepeatedKey)?;
        if !is_key(key.ok_or(HandshakeError::MissingKey)?) {
            return Err(HandshakeError::InvalidKey);
        }
        check_upgrade(&headers)?;
        let host = match headers.only("host") {
            Ok(Some(host)) if is_visible(host) => String::from_utf8_lossy(host).into_owned(),
            _ => return Err(HandshakeError::Host),
        };
        if minor_version != 1 {
            return Err(HandshakeError::HttpVersion);
        }
        if headers.contains("transfer-encoding") || headers.all("content-length").any(|length| length != b"0") {
            return Err(HandshakeError::RequestBody);
        }
        let subprotocols = subprotocols(&headers).map_err(|_| HandshakeError::SubprotocolSyntax)?;
        let extensions = ExtensionOffer::from_headers(&headers)?;
        Ok(Self { target, host, subprotocols, extensions, headers })
    }

    /// What an acceptance is checked against.
    fn offer(&self) -> HandshakeOffer {
        HandshakeOffer {
            key: self.headers.text("sec-websocket-key").unwrap_or_default().into_owned(),
            subprotocols: self.subprotocols.clone(),
            extensions: self.extensions.clone(),
        }
    }
}

/// A server's consent to open a WebSocket.
#[derive(Clone, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Acceptance {
    /// The subprotocol, one of those offered. Default: none.
    pub subprotocol: Option<String>,
    /// The extensions, each one offered. Default: none.
    pub extensions: Vec<ExtensionOffer>,
    /// Further header fields, which come last. Those that make the handshake are not among them.
    pub headers: Headers,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acceptance")
            .field("subprotocol", &ShownSubprotocol(&self.subprotocol))
            .field("extensions", &self.extensions)
            .field("headers", &self.headers)
            .finish()
    }
}

impl Acceptance {
    /// Chooses a subprotocol.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Agrees to an extension.
    #[must_use]
    pub fn extension(mut self, extension: ExtensionOffer) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The bytes of a 101, in the order of wsproto (RFC 6455, section 4.2.2).
    pub(in crate::protocol) fn encode(&self, offer: &HandshakeOffer) -> Result<Vec<u8>, LocalProtocolError> {
        self.check(offer)?;
        let mut headers = Headers::from([
            ("Upgrade", String::from("websocket")),
            ("Connection", String::from("Upgrade")),
            ("Sec-WebSocket-Accept", accept_for(&offer.key)),
        ]);
        if let Some(subprotocol) = &self.subprotocol {
            headers.push("Sec-WebSocket-Protocol", subprotocol.as_str());
        }
        if !self.extensions.is_empty() {
            let list: Vec<String> = self.extensions.iter().map(ExtensionOffer::to_string).collect();
            headers.push("Sec-WebSocket-Extensions", list.join(", "));
        }
        headers.extend(self.headers.iter());
        headers.check()?;
        Ok(headers.to_head("HTTP/1.1 101 Switching Protocols"))
    }

    /// Refuses what the client did not offer, what is agreed to twice, and fields that only the handshake itself sends.
    fn check(&self, offer: &HandshakeOffer) -> Result<(), LocalProtocolError> {
        if self.subprotocol.as_ref().is_some_and(|chosen| !offer.subprotocols.contains(chosen)) {
            return Err(LocalProtocolError::UnofferedSubprotocol);
        }
        let mut seen = BTreeSet::new();
        for extension in &self.extensions {
            if !offer.extensions.iter().any(|offered| offered.name == extension.name) {
                return Err(LocalProtocolError::UnofferedExtension);
            }
            if !seen.insert(&extension.name) {
                return Err(LocalProtocolError::RepeatedExtension);
            }
            // What we write must read back as it was meant.
            if ExtensionOffer::parse_list(extension.to_string()).as_deref() != Ok(std::slice::from_ref(extension)) {
                return Err(LocalProtocolError::IllegalCharacter("extensions"));
            }
        }
        match RESERVED.into_iter().find(|name| self.headers.contains(name)) {
            Some(name) => Err(LocalProtocolError::RepeatedHeader(name)),
            None => Ok(()),
        }
    }
}

/// A server's refusal to open a WebSocket.
///
/// ```
/// use websocket_sync::protocol::handshake::{HeadLimits, Rejection, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// let bytes = handshake.reject(&Rejection::new(403).header("X-Why", "closed on Sundays"))?;
/// assert_eq!(
///     String::from_utf8_lossy(&bytes),
///     "HTTP/1.1 403 Forbidden\r\nX-Why: closed on Sundays\r\nContent-Length: 0\r\n\r\n"
/// );
///
/// // With a body, which may come in parts.
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// let mut bytes = handshake.reject(&Rejection::new(503).header("Content-Length", "11").with_body())?;
/// bytes.extend(handshake.reject_data(b"try ")?);
/// bytes.extend(handshake.finish_rejection(b"later\r\n")?);
/// assert!(bytes.ends_with(b"\r\n\r\ntry later\r\n"));
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The status, 200 to 599. Default: 400.
    pub status: u16,
    /// The reason phrase. Default: the usual one of the status, which for the rarer ones is empty.
    pub reason: Option<String>,
    /// Header fields. One that tells the length of the body counts; see [`has_body`](Self::has_body).
    pub headers: Headers,
    /// Whether a body follows: as long as `Content-Length` says, or else in chunks. Default: false.
    pub has_body: bool,
}

impl Rejection {
    /// A refusal with this status, without a body.
    pub const fn new(status: u16) -> Self {
        Self { status, reason: None, headers: Headers::new(), has_body: false }
    }

    /// Sets the reason phrase.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Announces a body.
    #[must_use]
    pub const fn with_body(mut self) -> Self {
        self.has_body = true;
        self
    }

    /// What to answer a request that broke this rule, or `None` where nobody is there who would understand.
    ///
    /// The status is 400, 431 for a head over a limit, and 426 with the version that we speak for another version
    /// (RFC 6455, section 4.2.2; RFC 9110, section 15.5.22).
    pub fn for_error(error: &HandshakeError) -> Option<Self> {
        let rejection = match error {
            HandshakeError::Eof | HandshakeError::NotHttp | HandshakeError::Over => return None,
            HandshakeError::HeadTooLarge { .. }
            | HandshakeError::LineTooLong { .. }
            | HandshakeError::TooManyFields { .. } => Self::new(431),
            HandshakeError::MissingVersion => Self::new(400).header("Sec-WebSocket-Version", "13"),
            HandshakeError::UnsupportedVersion => Self::new(426)
                .header("Sec-WebSocket-Version", "13")
                .header("Upgrade", "websocket")
                .header("Connection", "Upgrade"),
            _ => Self::default(),
        };
        Some(rejection)
    }

    /// The bytes of the head, and what writes the body.
    pub(super) fn encode(&self) -> Result<(Vec<u8>, BodyWriter), LocalProtocolError> {
        self.headers.check()?;
        let reason = self.reason.as_deref().unwrap_or_else(|| reason_phrase(self.status));
        // RFC 9112, section 4: what may be in a reason phrase may be in the value of a field.
        if !is_field_value(reason.as_bytes()) {
            return Err(LocalProtocolError::IllegalCharacter("reason phrase"));
        }
        if !matches!(self.status, 200..=599) || (self.has_body && self.is_bodiless()) {
            return Err(LocalProtocolError::Status(self.status));
        }
        let mut headers = self.headers.clone();
        let body = self.complete(&mut headers)?;
        Ok((headers.to_head(&format!("HTTP/1.1 {} {reason}", self.status)), body))
    }

    /// Whether responses of this status end with their head (RFC 9110, sections 15.3.5 and 15.4.5).
    const fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    /// Adds the field that tells the length of the body, unless the user's do or it has no place (RFC 9112, section 6).
    fn complete(&self, headers: &mut Headers) -> Result<BodyWriter, LocalProtocolError> {
        headers.check_once(&["Content-Length"])?;
        let length = match headers.first("content-length").map(decimal) {
            Some(None) => return Err(LocalProtocolError::HeaderValue("Content-Length")),
            length => length.flatten(),
        };
        let codings: Vec<&[u8]> = headers.elements("transfer-encoding").collect();
        match (self.has_body, length, codings.as_slice()) {
            (true, Some(length), []) => Ok(BodyWriter::Length(length)),
            (true, None, [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(BodyWriter::Chunked),
            (true, None, []) => {
                headers.push("Transfer-Encoding", "chunked");
                Ok(BodyWriter::Chunked)
            }
            (true, ..) => Err(LocalProtocolError::HeaderValue("Transfer-Encoding")),
            (false, ..) if headers.contains("transfer-encoding") => {
                Err(LocalProtocolError::HeaderValue("Transfer-Encoding"))
            }
            (false, Some(1..), _) => Err(LocalProtocolError::HeaderValue("Content-Length")),
            (false, length, _) => {
                if length.is_none() && !self.is_bodiless() {
                    headers.push("Content-Length", "0");
                }
                Ok(BodyWriter::Length(0))
            }
        }
    }
}

impl Default for Rejection {
    fn default() -> Self {
        Self::new(400)
    }
}

/// Writes the body of a rejection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BodyWriter {
    /// This many bytes are still to be written.
    Length(u64),
    Chunked,
}

impl BodyWriter {
    /// The bytes of a part of the body.
    pub(super) fn write(&mut self, data: &[u8]) -> Result<Vec<u8>, LocalProtocolError> {
        match self {
            Self::Length(left) => {
                *left = left.checked_sub(data.len() as u64).ok_or(LocalProtocolError::PayloadLength)?;
                Ok(data.to_vec())
            }
            // An empty chunk would end the body.
            Self::Chunked if data.is_empty() => Ok(Vec::new()),
            Self::Chunked => {
                let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
                chunk.extend_from_slice(data);
                chunk.extend_from_slice(b"\r\n");
                Ok(chunk)
            }
        }
    }

    /// The bytes that end the body.
    pub(super) fn finish(self) -> Result<Vec<u8>, LocalProtocolError> {
        match self {
            Self::Length(0) => Ok(Vec::new()),
            Self::Length(_) => Err(LocalProtocolError::PayloadLength),
            Self::Chunked => Ok(b"0\r\n\r\n".to_vec()),
        }
    }
}

/// What is usually said with a status (RFC 9110, section 15, and RFC 6585); nothing for the rarer ones.
const fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
