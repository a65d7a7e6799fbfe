//! The client's side of the opening handshake (RFC 6455, section 4.1): how the response is read and judged.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;

use super::error::HandshakeError;
use super::fields::{ExtensionOffer, HandshakeOffer, KEY_LEN, accept_for, check_upgrade};
use super::headers::Headers;
use super::http::{BodyEnd, HeadLimits, ResponseHead, ResponsePart, ResponseReader, Strictness};
use super::request::ClientRequest;
use super::subprotocols::{HIDDEN, ShownSubprotocol, shown};
use crate::protocol::{Escaped, LocalProtocolError};

/// The opening handshake of a client: makes the request, reads the response.
///
/// ```
/// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HandshakeOutcome, HeadLimits};
///
/// let request = ClientRequest::new("example.com", "/chat");
/// let (mut handshake, bytes) = ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce")?;
/// // Send `bytes`; then, with what is received:
/// assert_eq!(handshake.receive(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")?, None);
/// let rest = b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello";
/// match handshake.receive(rest)? {
///     Some(HandshakeOutcome::Accepted { response, surplus }) => {
///         assert_eq!(response.status, 101);
///         assert_eq!(surplus, b"\x81\x05Hello", "the first frame came with the response");
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "H11Handshake")]
#[doc(alias = "handshake")]
pub struct ClientHandshake {
    offer: HandshakeOffer,
    reader: VerdictReader,
    strictness: Strictness,
}

/// How a server answers the request of a client.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle both")]
pub enum HandshakeOutcome {
    /// The WebSocket is open.
    Accepted {
        /// What the server said.
        response: Response,
        /// What came behind the response: the beginning of the first frames.
        surplus: Vec<u8>,
    },
    /// The server does not open a WebSocket.
    Refused(Refusal),
}

impl ClientHandshake {
    /// Begins a handshake: the state, and the bytes to be sent. The entropy becomes `Sec-WebSocket-Key` and must be
    /// fresh and unpredictable for every connection.
    ///
    /// # Errors
    ///
    /// A [`LocalProtocolError`] where a part of the request cannot be sent as it is; no byte has been made then.
    pub fn new(
        request: &ClientRequest,
        limits: HeadLimits,
        entropy: [u8; KEY_LEN],
    ) -> Result<(Self, Vec<u8>), LocalProtocolError> {
        let (bytes, offer) = request.encode(entropy)?;
        Ok((Self { offer, reader: VerdictReader::new(limits), strictness: Strictness::Strict }, bytes))
    }

    /// Takes a 101 that breaks some rules of form, for servers that cannot be mended:
    ///
    /// | rule | what is taken |
    /// | --- | --- |
    /// | the version is HTTP/1.1 (RFC 6455, section 4.1) | HTTP/1.0 too |
    /// | `Upgrade`, `Sec-WebSocket-Accept`, `-Protocol` and `-Extensions` occur once | several fields with equal values |
    /// | `Sec-WebSocket-Protocol` and `-Extensions` are not empty | empty ones, as if they were not there |
    /// | a line is a field, with a token and a colon (RFC 9112, section 5.1) | other lines, which are skipped |
    /// | no more fields than [`HeadLimits::fields`] | as many as [`HeadLimits::head`] has room for |
    ///
    /// Everything else stays as it is: the key must be answered, what was not offered is refused, folded lines and control
    /// characters too, and a response other than 101 is read strictly.
    ///
    /// ```
    /// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HandshakeOutcome, HeadLimits};
    ///
    /// let request = ClientRequest::new("example.com", "/");
    /// let (handshake, _) = ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce")?;
    /// let answer = b"HTTP/1.0 101 OK\r\nUpgrade: websocket\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    ///     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol:\r\nno field\r\n\r\n";
    /// assert!(matches!(handshake.lenient().receive(answer)?, Some(HandshakeOutcome::Accepted { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub const fn lenient(mut self) -> Self {
        self.strictness = Strictness::Lenient;
        self.reader.response.set_strictness(self.strictness);
        self
    }

    /// Takes bytes that were received; `None` while the response goes on.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the server broke. The connection must be given up.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<HandshakeOutcome>, HandshakeError> {
        let mut rest = bytes;
        let verdict = self.reader.receive(&mut rest, |head| match head.status {
            101 => self.offer.judge_with(head, self.strictness).map(Verdict::Accepted),
            _ => Ok(Verdict::Refused(Refusal::new(head))),
        })?;
        Ok(verdict.map(|verdict| match verdict {
            Verdict::Accepted(response) => HandshakeOutcome::Accepted { response, surplus: rest.to_vec() },
            Verdict::Refused(refusal) => HandshakeOutcome::Refused(refusal),
        }))
    }

    /// The server has ended the connection: the refusal, if the response was one, as far as it came.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] where the response had not come.
    pub fn receive_eof(&mut self) -> Result<Refusal, HandshakeError> {
        self.reader.receive_eof()
    }

    /// Whether the response is a refusal of which a part of the body is still missing. It need not be waited for.
    pub const fn is_refused(&self) -> bool {
        self.refusal().is_some()
    }

    /// That refusal as far as it has come: status, headers, the beginning of the body.
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.reader.refusal()
    }

    /// The refusal with as much of its body as has come, for those who do not wait any longer; `None` where the response
    /// is none.
    pub fn finish_refusal(self) -> Option<Refusal> {
        self.reader.into_refusal()
    }
}

/// The server's response to a handshake that succeeded: 101, and what was agreed on.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The status: 101.
    pub status: u16,
    /// The reason phrase, such as `Switching Protocols`; it may be empty.
    pub reason: String,
    /// All header fields, their names in lower case.
    pub headers: Headers,
    /// The subprotocol that the server chose among those offered, as the server spelled it.
    #[doc(alias = "getsubprotocol")]
    pub subprotocol: Option<String>,
    /// The extensions that the server agreed to.
    pub extensions: Vec<ExtensionOffer>,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("headers", &self.headers)
            .field("subprotocol", &ShownSubprotocol(&self.subprotocol))
            .field("extensions", &self.extensions)
            .finish()
    }
}

impl Response {
    /// What a server has to show after it accepted: the fields of the client's request, and what was chosen.
    pub(crate) fn accepted(headers: Headers, subprotocol: Option<String>, extensions: Vec<ExtensionOffer>) -> Self {
        let reason = "Switching Protocols".to_owned();
        Self { status: 101, reason, headers, subprotocol, extensions }
    }
}

/// A server's response other than 101: it understood the request and does not open a WebSocket.
///
/// `Display` is the status and the beginning of the body, such as `status 403 Forbidden: this origin is not allowed`: at most
/// 128 characters of the reason phrase and 256 of the body, escaped. It never has a header, which may hold secrets. A server may
/// repeat in the body what it was sent: for a log that must not have it, take `status` and `reason`. A redirect is a refusal, too;
/// where it leads is in `headers`.
///
/// ```
/// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HandshakeOutcome, HeadLimits};
///
/// let request = ClientRequest::new("example.com", "/");
/// let (mut handshake, _) = ClientHandshake::new(&request, HeadLimits::default(), [7; 16])?;
/// let response = b"HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\nContent-Length: 5\r\n\r\nmoved";
/// let Some(HandshakeOutcome::Refused(refusal)) = handshake.receive(response)? else { unreachable!() };
/// assert_eq!(refusal.to_string(), "status 302 Found: moved");
/// assert_eq!(refusal.headers.text("location").as_deref(), Some("wss://other.example/"));
/// assert_eq!(refusal.body_text(), "moved");
///
/// // A body that ends with the connection.
/// let (mut handshake, _) = ClientHandshake::new(&request, HeadLimits::default(), [7; 16])?;
/// assert_eq!(handshake.receive(b"HTTP/1.1 503 Busy\r\n\r\nlater")?, None);
/// assert!(handshake.is_refused());
/// assert_eq!(handshake.receive_eof()?.to_string(), "status 503 Busy: later");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, Error, PartialEq)]
#[error("status {status}{}{}{}", if .reason.is_empty() { "" } else { " " }, Escaped::new(.reason), excerpt(.headers, .body))]
#[doc(alias = "WebSocketBadStatusException")]
#[non_exhaustive]
pub struct Refusal {
    /// The status, such as 403.
    #[doc(alias = "status_code")]
    pub status: u16,
    /// The reason phrase, such as `Forbidden`; it may be empty.
    #[doc(alias = "status_message")]
    pub reason: String,
    /// All header fields, their names in lower case.
    #[doc(alias = "resp_headers")]
    pub headers: Headers,
    /// The beginning of the body, up to [`HeadLimits::body`] bytes; chunks are joined.
    #[doc(alias = "resp_body")]
    pub body: Vec<u8>,
    /// Whether that is all of the body, or why not.
    pub body_end: BodyEnd,
}

impl Refusal {
    /// The beginning of the body as text. What is not UTF-8 is replaced by U+FFFD; nothing is escaped or decompressed.
    pub fn body_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The refusal with this head, whose body is still to come.
    pub(super) fn new(head: ResponseHead) -> Self {
        let ResponseHead { status, reason, headers, .. } = head;
        Self { status, reason, headers, body: Vec::new(), body_end: BodyEnd::NotAwaited }
    }

    /// Appends to the body; whether that stays within its limit.
    fn append(&mut self, data: &[u8], limit: usize) -> bool {
        let room = limit - self.body.len();
        self.body.extend_from_slice(&data[..data.len().min(room)]);
        data.len() <= room
    }
}

/// Most characters that are shown of a refusal's body: Chromium takes 241 to say why it refuses an origin.
const BODY_SHOWN: usize = 256;

/// The beginning of a refusal's body, to be shown behind its status; nothing for one that is compressed.
fn excerpt(headers: &Headers, body: &[u8]) -> String {
    let body = body.trim_ascii();
    if body.is_empty()
        || headers.text("content-encoding").is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        return String::new();
    }
    // One character more than is shown, of which none has more than four bytes.
    let beginning = &body[..body.len().min(4 * (BODY_SHOWN + 1))];
    format!(": {}", Escaped::up_to(BODY_SHOWN, &String::from_utf8_lossy(beginning)))
}

/// Of the body, which can be large, there are the length and the beginning.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes{}", self.body.len(), excerpt(&self.headers, &self.body)))
            .field("body_end", &self.body_end)
            .finish()
    }
}

/// What whoever sent the request makes of the response.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Verdict<A> {
    Accepted(A),
    Refused(Refusal),
}

/// Reads a response until there is a verdict. What accepts ends with its head; a refusal is collected with its body.
#[derive(Debug)]
pub(super) struct VerdictReader {
    response: ResponseReader,
    body_limit: usize,
    /// A refusal of which the body goes on.
    refusal: Option<Refusal>,
    is_over: bool,
}

impl VerdictReader {
    pub(super) const fn new(limits: HeadLimits) -> Self {
        Self { response: ResponseReader::new(limits), body_limit: limits.body, refusal: None, is_over: false }
    }

    /// Takes from the front of `bytes` up to the end of the response; `None` if it goes on.
    pub(super) fn receive<A>(
        &mut self,
        bytes: &mut &[u8],
        mut judge: impl FnMut(ResponseHead) -> Result<Verdict<A>, HandshakeError>,
    ) -> Result<Option<Verdict<A>>, HandshakeError> {
        if std::mem::replace(&mut self.is_over, true) {
            return Err(HandshakeError::Over);
        }
        while let Some(part) = self.response.read(bytes)? {
            match part {
                ResponsePart::Head(head) => match judge(head)? {
                    Verdict::Refused(refusal) => self.refusal = Some(refusal),
                    accepted => return Ok(Some(accepted)),
                },
                ResponsePart::Body(data) => {
                    let is_kept = self.refusal.as_mut().is_some_and(|refusal| refusal.append(data, self.body_limit));
                    if !is_kept {
                        return Ok(self.end(BodyEnd::LimitReached).map(Verdict::Refused));
                    }
                }
                ResponsePart::End(end) => return Ok(self.end(end).map(Verdict::Refused)),
            }
        }
        self.is_over = false;
        Ok(None)
    }

    /// The connection has ended: the refusal as far as it came.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] where no head had come.
    pub(super) fn receive_eof(&mut self) -> Result<Refusal, HandshakeError> {
        if std::mem::replace(&mut self.is_over, true) {
            return Err(HandshakeError::Over);
        }
        let end = self.response.read_eof()?;
        self.end(end).ok_or(HandshakeError::Eof)
    }

    /// A refusal of which the body goes on.
    pub(super) const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }

    /// The same, whose body is not waited for.
    pub(super) fn into_refusal(self) -> Option<Refusal> {
        self.refusal
    }

    fn end(&mut self, body_end: BodyEnd) -> Option<Refusal> {
        self.refusal.take().map(|refusal| Refusal { body_end, ..refusal })
    }
}

impl HandshakeOffer {
    /// Judges a 101 by the rules of RFC 6455, section 4.1.
    pub(in crate::protocol) fn judge(&self, head: ResponseHead) -> Result<Response, HandshakeError> {
        self.judge_with(head, Strictness::Strict)
    }

    fn judge_with(&self, head: ResponseHead, strictness: Strictness) -> Result<Response, HandshakeError> {
        let ResponseHead { minor_version, status, reason, headers } = head;
        let judged = match strictness {
            Strictness::Strict if minor_version != 1 => return Err(HandshakeError::HttpVersion),
            Strictness::Strict => Cow::Borrowed(&headers),
            Strictness::Lenient => Cow::Owned(without_tolerated(&headers)),
        };
        if !judged.has_element("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        check_upgrade(&judged)?;
        let accept = judged.only("sec-websocket-accept").map_err(|_| HandshakeError::RepeatedAccept)?;
        if accept.ok_or(HandshakeError::MissingAccept)? != accept_for(&self.key).as_bytes() {
            return Err(HandshakeError::AcceptMismatch);
        }
        let subprotocol = self.agreed_subprotocol(&judged)?;
        let extensions = self.agreed_extensions(&judged)?;
        Ok(Response { status, reason, headers, subprotocol, extensions })
    }

    /// The subprotocol of the response. A server need not choose one (RFC 6455, section 4.2.2), but not one that was not
    /// offered.
    fn agreed_subprotocol(&self, headers: &Headers) -> Result<Option<String>, HandshakeError> {
        match headers.only("sec-websocket-protocol").map_err(|_| HandshakeError::RepeatedSubprotocol)? {
            None => Ok(None),
            Some([]) => Err(HandshakeError::EmptyField("Sec-WebSocket-Protocol")),
            Some(value) => match self.subprotocols.iter().find(|name| name.as_bytes() == value) {
                Some(name) => Ok(Some(name.clone())),
                None => Err(HandshakeError::UnofferedSubprotocol(self.without_tokens(value))),
            },
        }
    }

    /// What a server has chosen without an offer, without what repeats an offer of ours that may be a token.
    fn without_tokens(&self, value: &[u8]) -> String {
        let text = String::from_utf8_lossy(value);
        let lower = text.to_ascii_lowercase();
        let is_repeated = |name: &String| shown(name, &[]) == HIDDEN && lower.contains(&name.to_ascii_lowercase());
        if self.subprotocols.iter().any(is_repeated) { HIDDEN.to_owned() } else { text.into_owned() }
    }

    /// The extensions of the response: each one offered, and none twice.
    fn agreed_extensions(&self, headers: &Headers) -> Result<Vec<ExtensionOffer>, HandshakeError> {
        if headers.all("sec-websocket-extensions").any(<[u8]>::is_empty) {
            return Err(HandshakeError::EmptyField("Sec-WebSocket-Extensions"));
        }
        let agreed = ExtensionOffer::from_headers(headers)?;
        let mut seen = BTreeSet::new();
        for ExtensionOffer { name, .. } in &agreed {
            if !self.extensions.iter().any(|offer| offer.name == *name) {
                return Err(HandshakeError::UnofferedExtension(name.clone()));
            }
            if !seen.insert(name) {
                return Err(HandshakeError::RepeatedExtension(name.clone()));
            }
        }
        Ok(agreed)
    }
}

/// The fields of a 101 without those that are tolerated: a handshake field that repeats one of the same value, and an empty
/// subprotocol or extension.
fn without_tolerated(headers: &Headers) -> Headers {
    const ONCE: [&str; 4] = ["upgrade", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions"];
    let mut seen = BTreeSet::new();
    let mut kept = Headers::new();
    for (name, value) in headers.iter() {
        let is_empty = value.is_empty() && matches!(name, "sec-websocket-protocol" | "sec-websocket-extensions");
        let is_repeated = ONCE.contains(&name) && !seen.insert((name, value));
        if !is_empty && !is_repeated {
            kept.push(name, value);
        }
    }
    kept
}

#[cfg(test)]
mod tests;
