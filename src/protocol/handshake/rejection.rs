//! How a server refuses: the head, and the body that may follow (RFC 6455, section 4.2.2; RFC 9112, section 6).

use super::body::decimal;
use super::error::HandshakeError;
use super::headers::Headers;
use crate::protocol::LocalProtocolError;

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
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Rejection {
    /// The status, 200 to 599. Default: 400.
    pub status: u16,
    /// Header fields. One that tells the length of the body counts; see [`has_body`](Self::has_body).
    pub headers: Headers,
    /// Whether a body follows: as long as `Content-Length` says, or else in chunks. Default: false.
    pub has_body: bool,
}

impl Rejection {
    /// A refusal with this status, without a body.
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), has_body: false }
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
        if !matches!(self.status, 200..=599) || (self.has_body && self.is_bodiless()) {
            return Err(LocalProtocolError::Status(self.status));
        }
        let mut headers = self.headers.clone();
        let body = if self.has_body { self.body(&mut headers)? } else { self.no_body(&mut headers)? };
        Ok((headers.to_head(&format!("HTTP/1.1 {} {}", self.status, reason_phrase(self.status))), body))
    }

    /// Whether answers of this status end with their head (RFC 9110, sections 15.3.5 and 15.4.5).
    const fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }

    /// The length of no body; the header is added unless it is there or has no place.
    fn no_body(&self, headers: &mut Headers) -> Result<BodyWriter, LocalProtocolError> {
        match declared_length(headers)? {
            _ if headers.contains("transfer-encoding") => {
                return Err(LocalProtocolError::HeaderValue("Transfer-Encoding"));
            }
            Some(0) => {}
            Some(_) => return Err(LocalProtocolError::HeaderValue("Content-Length")),
            None if self.is_bodiless() => {}
            None => headers.push("Content-Length", "0"),
        }
        Ok(BodyWriter::Length(0))
    }

    /// The length of a body: that of the user, or chunks.
    fn body(&self, headers: &mut Headers) -> Result<BodyWriter, LocalProtocolError> {
        let length = declared_length(headers)?;
        let mut codings = headers.elements("transfer-encoding");
        match (length, codings.next(), codings.next()) {
            (Some(length), None, _) => return Ok(BodyWriter::Length(length)),
            (None, None, _) => {}
            (None, Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => return Ok(BodyWriter::Chunked),
            _ => return Err(LocalProtocolError::HeaderValue("Transfer-Encoding")),
        }
        drop(codings);
        headers.push("Transfer-Encoding", "chunked");
        Ok(BodyWriter::Chunked)
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

/// The user's `Content-Length`, if there is one.
fn declared_length(headers: &Headers) -> Result<Option<u64>, LocalProtocolError> {
    let mut lengths = headers.all("content-length");
    match (lengths.next(), lengths.next()) {
        (None, _) => Ok(None),
        (Some(length), None) => match decimal(length) {
            Some(length) => Ok(Some(length)),
            None => Err(LocalProtocolError::HeaderValue("Content-Length")),
        },
        (Some(_), Some(_)) => Err(LocalProtocolError::RepeatedHeader("Content-Length")),
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
mod tests {
    use super::*;

    fn head(rejection: &Rejection) -> Result<String, LocalProtocolError> {
        rejection.encode().map(|(bytes, _)| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_length_of_the_body_is_always_told() {
        let cases = [
            (Rejection::default(), "400 Bad Request\r\nContent-Length: 0\r\n"),
            (Rejection::new(599), "599 \r\nContent-Length: 0\r\n"),
            (Rejection::new(204), "204 No Content\r\n"),
            (Rejection::new(403).header("content-length", "0"), "403 Forbidden\r\ncontent-length: 0\r\n"),
            (Rejection::new(403).with_body(), "403 Forbidden\r\nTransfer-Encoding: chunked\r\n"),
            (Rejection::new(403).header("content-length", "5").with_body(), "403 Forbidden\r\ncontent-length: 5\r\n"),
            (
                Rejection::new(403).header("transfer-encoding", "Chunked").with_body(),
                "403 Forbidden\r\ntransfer-encoding: Chunked\r\n",
            ),
        ];
        for (rejection, expected) in cases {
            assert_eq!(head(&rejection), Ok(format!("HTTP/1.1 {expected}\r\n")));
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused() {
        use LocalProtocolError::*;
        let cases = [
            (Rejection::new(101), Status(101)),
            (Rejection::new(199), Status(199)),
            (Rejection::new(600), Status(600)),
            (Rejection::new(204).with_body(), Status(204)),
            (Rejection::new(403).header("content-length", "5"), HeaderValue("Content-Length")),
            (Rejection::new(403).header("content-length", "+5").with_body(), HeaderValue("Content-Length")),
            (
                Rejection::new(403).header("content-length", "5").header("Content-Length", "5").with_body(),
                RepeatedHeader("Content-Length"),
            ),
            (Rejection::new(403).header("transfer-encoding", "chunked"), HeaderValue("Transfer-Encoding")),
            (Rejection::new(403).header("transfer-encoding", "gzip").with_body(), HeaderValue("Transfer-Encoding")),
            (
                Rejection::new(403).header("transfer-encoding", "chunked").header("content-length", "5").with_body(),
                HeaderValue("Transfer-Encoding"),
            ),
            (Rejection::new(403).header("a b", ""), IllegalCharacter("header name")),
            (Rejection::new(403).header("a", "b\r\nc: d"), IllegalCharacter("header value")),
        ];
        for (rejection, expected) in cases {
            assert_eq!(head(&rejection), Err(expected), "{rejection:?}");
        }
    }

    #[test]
    fn a_body_is_as_long_as_it_was_announced_to_be() {
        let mut length = BodyWriter::Length(5);
        assert_eq!(length.write(b"Hel"), Ok(b"Hel".to_vec()));
        assert_eq!(length.finish(), Err(LocalProtocolError::PayloadLength));
        assert_eq!(length.write(b"loo"), Err(LocalProtocolError::PayloadLength));
        assert_eq!(length.write(b"lo"), Ok(b"lo".to_vec()));
        assert_eq!(length.finish(), Ok(Vec::new()));

        let mut chunked = BodyWriter::Chunked;
        assert_eq!(chunked.write(&[b'x'; 26]), Ok([b"1a\r\n", &[b'x'; 26][..], b"\r\n"].concat()));
        assert_eq!(chunked.write(b""), Ok(Vec::new()));
        assert_eq!(chunked.finish(), Ok(b"0\r\n\r\n".to_vec()));
    }
}
