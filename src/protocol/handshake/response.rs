//! What a client gets for its request: a connection, or a refusal.

use std::fmt;

use thiserror::Error;

use super::body::{Body, BodyEnd};
use super::extension_header::ExtensionOffer;
use super::head::ResponseHead;
use super::headers::Headers;

/// The server's answer to a handshake that succeeded: 101, and what was agreed on.
#[derive(Clone, Debug, Eq, PartialEq)]
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

impl Response {
    /// What a server has to show after it accepted: the fields of the client's request, and what was chosen.
    pub(crate) fn accepted(headers: Headers, subprotocol: Option<String>, extensions: Vec<ExtensionOffer>) -> Self {
        let reason = "Switching Protocols".to_owned();
        Self { status: 101, reason, headers, subprotocol, extensions }
    }
}

/// A server's answer other than 101: it understood the request and does not open a WebSocket.
///
/// `Display` is the status, such as `status 403 Forbidden`, and never a header, which may hold secrets. A redirect is a
/// refusal, too; where it leads is in `headers`.
///
/// ```
/// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HeadLimits, Progress};
///
/// let request = ClientRequest::new("example.com", "/");
/// let (mut handshake, _) = ClientHandshake::new(&request, HeadLimits::default(), [7; 16])?;
/// let answer = b"HTTP/1.1 302 Found\r\nLocation: wss://other.example/\r\nContent-Length: 5\r\n\r\nmoved";
/// let Progress::Refused(refusal) = handshake.receive(answer)? else { unreachable!() };
/// assert_eq!(refusal.to_string(), "status 302 Found");
/// assert_eq!(refusal.headers.text("location").as_deref(), Some("wss://other.example/"));
/// assert_eq!(refusal.body, b"moved");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, Error, PartialEq)]
#[error("status {status}{}{reason}", if .reason.is_empty() { "" } else { " " })]
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
    /// The beginning of the body, up to [`HeadLimits::body`](super::HeadLimits::body) bytes; chunks are joined.
    #[doc(alias = "resp_body")]
    pub body: Vec<u8>,
    /// Whether that is all of the body, or why not.
    pub body_end: BodyEnd,
}

impl Refusal {
    /// The refusal with this head, whose body is still to come.
    pub(super) fn new(head: ResponseHead) -> Self {
        Self {
            status: head.status,
            reason: head.reason,
            headers: head.headers,
            body: Vec::new(),
            body_end: BodyEnd::NotAwaited,
        }
    }

    /// Takes received bytes and keeps the body up to its limit: what follows the body if it has ended, `None` if it goes on.
    pub(super) fn receive_body<'a>(&mut self, body: &mut Body, bytes: &'a [u8], limit: usize) -> Option<&'a [u8]> {
        let mut rest = bytes;
        loop {
            if let Some(end) = body.end() {
                self.body_end = end;
                return Some(rest);
            }
            let (taken, data) = body.decode(rest);
            let room = limit - self.body.len();
            self.body.extend_from_slice(&data[..data.len().min(room)]);
            if data.len() > room {
                self.body_end = BodyEnd::LimitReached;
                return Some(rest);
            }
            rest = &rest[taken..];
            if rest.is_empty() && body.end().is_none() {
                return None;
            }
        }
    }
}

/// The body is told by its length: it can be large, and is for people only at times.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.status)
            .field("reason", &self.reason)
            .field("headers", &self.headers)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("body_end", &self.body_end)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, reason: &str) -> Refusal {
        let headers = Headers::from([("set-cookie", "canary"), ("www-authenticate", "canary")]);
        let mut refusal = Refusal::new(ResponseHead { minor_version: 1, status, reason: reason.into(), headers });
        refusal.body = b"canary".to_vec();
        refusal
    }

    #[test]
    fn display_is_the_status_and_no_secret() {
        assert_eq!(refusal(403, "Forbidden").to_string(), "status 403 Forbidden");
        assert_eq!(refusal(599, "").to_string(), "status 599");
    }

    #[test]
    fn debug_hides_what_may_be_secret() {
        assert!(!format!("{:?}", refusal(401, "Unauthorized")).contains("canary"));
    }
}
