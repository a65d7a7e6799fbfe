//! The head of an HTTP message, collected as it arrives and read when it is whole (RFC 9112, sections 2 to 5).
//!
//! Each byte is looked at once while the head is collected, and once more by httparse when it is complete: however the
//! peer cuts its head into pieces, the work is linear and the memory bounded. A line may end with a lone LF, which RFC
//! 9112, section 2.2, allows a recipient to recognize and which every peer of ours does; nothing is forwarded here, so
//! nobody can be made to see another head than we do. A lone CR, NUL and the other control characters, and folded lines
//! are refused.

use super::error::HandshakeError;
use super::headers::Headers;

/// How much of a peer's handshake is read before it is refused. Memory is bounded by these whatever the peer sends.
///
/// ```
/// use websocket_sync::protocol::handshake::HeadLimits;
///
/// let mut limits = HeadLimits::default();
/// assert_eq!((limits.head, limits.line, limits.fields, limits.interim, limits.body), (65_536, 16_384, 128, 8, 65_536));
/// limits.head = 8192;
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct HeadLimits {
    /// Bytes of one head, from its start line to the empty line. Default: 65,536.
    pub head: usize,
    /// Bytes of one line, with its end. Default: 16,384.
    pub line: usize,
    /// Header fields. Default: 128.
    pub fields: usize,
    /// Interim answers (1xx other than 101) before the final one. Default: 8.
    pub interim: usize,
    /// Bytes of a refusal's body that are kept; what follows is not waited for. Default: 65,536.
    pub body: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head: 64 * 1024, line: 16 * 1024, fields: 128, interim: 8, body: 64 * 1024 }
    }
}

/// What the first line of a head is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StartLine {
    /// A server receives requests.
    Request,
    /// A client receives answers.
    Status,
}

/// A request as it was received.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct RequestHead {
    pub(super) method: String,
    pub(super) target: String,
    /// The digit after `HTTP/1.`.
    pub(super) minor_version: u8,
    pub(super) headers: Headers,
}

/// An answer as it was received.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct ResponseHead {
    /// The digit after `HTTP/1.`.
    pub(super) minor_version: u8,
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) headers: Headers,
}

/// Collects a head.
#[derive(Debug)]
pub(super) struct HeadCollector {
    start: StartLine,
    limits: HeadLimits,
    head: Vec<u8>,
    /// Where in `head` the line begins that is being received.
    line_start: usize,
    /// The lines that are complete, the start line among them.
    lines: usize,
}

impl HeadCollector {
    pub(super) const fn new(start: StartLine, limits: HeadLimits) -> Self {
        Self { start, limits, head: Vec::new(), line_start: 0, lines: 0 }
    }

    /// Takes received bytes up to the end of the head: how many they were if that has come, `None` if all were taken
    /// and the head goes on.
    pub(super) fn collect(&mut self, bytes: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (line, after) = rest.split_at(end + 1);
            self.append(line)?;
            rest = after;
            if self.end_line()? {
                return Ok(Some(bytes.len() - rest.len()));
            }
        }
        self.append(rest)?;
        self.check_beginning()?;
        Ok(None)
    }

    /// Forgets the head that was collected, to collect the next one.
    pub(super) fn restart(&mut self) {
        self.head.clear();
        self.line_start = 0;
        self.lines = 0;
    }

    /// The collected request.
    pub(super) fn request(&self) -> Result<RequestHead, HandshakeError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.lines];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(&self.head).map_err(|error| self.rule(error))?;
        match (parsed, request.method, request.path, request.version) {
            (httparse::Status::Complete(_), Some(method), Some(target), Some(minor_version)) => Ok(RequestHead {
                method: method.to_owned(),
                target: target.to_owned(),
                minor_version,
                headers: received(request.headers),
            }),
            _ => Err(HandshakeError::RequestLine),
        }
    }

    /// The collected answer.
    pub(super) fn response(&self) -> Result<ResponseHead, HandshakeError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.lines];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(&self.head).map_err(|error| self.rule(error))?;
        match (parsed, response.version, response.code, response.reason) {
            (httparse::Status::Complete(_), Some(minor_version), Some(status @ 100..), Some(reason)) => {
                Ok(ResponseHead {
                    minor_version,
                    status,
                    reason: reason.to_owned(),
                    headers: received(response.headers),
                })
            }
            _ => Err(HandshakeError::StatusLine),
        }
    }

    /// Appends a part of a line, if the limits allow it.
    fn append(&mut self, part: &[u8]) -> Result<(), HandshakeError> {
        if self.head.len() - self.line_start + part.len() > self.limits.line {
            return Err(HandshakeError::LineTooLong { limit: self.limits.line });
        }
        if self.head.len() + part.len() > self.limits.head {
            return Err(HandshakeError::HeadTooLarge { limit: self.limits.head });
        }
        self.head.extend_from_slice(part);
        Ok(())
    }

    /// Judges the line that is now complete: whether it is the empty one that ends the head.
    fn end_line(&mut self) -> Result<bool, HandshakeError> {
        self.check_beginning()?;
        let line = &self.head[self.line_start..];
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        self.line_start = self.head.len();
        match (line, self.lines) {
            // RFC 9112, section 2.2: a server ignores empty lines before the request.
            ([], 0) if self.start == StartLine::Request => return Ok(false),
            ([], 0) => return Err(HandshakeError::StatusLine),
            ([], _) => return Ok(true),
            ([b' ' | b'\t', ..], 1..) => return Err(HandshakeError::FoldedHeader),
            _ => check_characters(line)?,
        }
        self.lines += 1;
        // The start line is no field.
        if self.lines > self.limits.fields.saturating_add(1) {
            return Err(HandshakeError::TooManyFields { limit: self.limits.fields });
        }
        Ok(false)
    }

    /// Refuses what cannot become HTTP/1 as soon as that shows: a peer that speaks something else may wait for us, and
    /// no line of it need ever end.
    fn check_beginning(&self) -> Result<(), HandshakeError> {
        let begins_like = |prefix: &[u8]| self.head.iter().zip(prefix).all(|(byte, expected)| byte == expected);
        match self.start {
            StartLine::Status if !begins_like(b"HTTP/") => Err(HandshakeError::NotHttp),
            StartLine::Status if !begins_like(b"HTTP/1.") => Err(HandshakeError::HttpVersion),
            StartLine::Request
                if !self.head.first().is_none_or(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
            {
                Err(HandshakeError::NotHttp)
            }
            _ => Ok(()),
        }
    }

    /// The rule that httparse found broken.
    const fn rule(&self, error: httparse::Error) -> HandshakeError {
        match (error, self.start) {
            (httparse::Error::Version, _) => HandshakeError::HttpVersion,
            (httparse::Error::TooManyHeaders, _) => HandshakeError::TooManyFields { limit: self.limits.fields },
            (httparse::Error::HeaderName | httparse::Error::HeaderValue, _) => HandshakeError::HeaderSyntax,
            (_, StartLine::Request) => HandshakeError::RequestLine,
            (_, StartLine::Status) => HandshakeError::StatusLine,
        }
    }
}

/// Refuses control characters in a line; it comes without its end.
fn check_characters(line: &[u8]) -> Result<(), HandshakeError> {
    match line.iter().find(|&&byte| byte != b'\t' && byte.is_ascii_control()) {
        Some(b'\r') => Err(HandshakeError::BareCarriageReturn),
        Some(_) => Err(HandshakeError::ControlCharacter),
        None => Ok(()),
    }
}

/// Received fields as we keep them: names in lower case, values without the whitespace around them.
fn received(fields: &[httparse::Header<'_>]) -> Headers {
    fields.iter().map(|field| (field.name.to_ascii_lowercase(), super::grammar::trim(field.value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade:websocket\r\nX-Obs: \xff\t \r\nA: \n\nrest";

    fn collect(start: StartLine, bytes: &[u8]) -> Result<(HeadCollector, Option<usize>), HandshakeError> {
        let mut collector = HeadCollector::new(start, HeadLimits::default());
        let end = collector.collect(bytes)?;
        Ok((collector, end))
    }

    #[test]
    fn a_head_ends_at_the_same_byte_however_it_arrives() {
        let expected = collect(StartLine::Status, RESPONSE).unwrap().0.response().unwrap();
        assert_eq!(
            (expected.status, expected.reason.as_str(), expected.minor_version),
            (101, "Switching Protocols", 1)
        );
        assert_eq!(expected.headers, Headers::from([("upgrade", &b"websocket"[..]), ("x-obs", b"\xff"), ("a", b"")]));
        for size in 1..RESPONSE.len() {
            let mut collector = HeadCollector::new(StartLine::Status, HeadLimits::default());
            let mut taken = 0;
            let end = RESPONSE.chunks(size).find_map(|chunk| {
                let end = collector.collect(chunk).unwrap();
                taken += end.unwrap_or(chunk.len());
                end
            });
            assert!(end.is_some());
            assert_eq!(&RESPONSE[taken..], b"rest");
            assert_eq!(collector.response().unwrap(), expected);
        }
    }

    #[test]
    fn malformed_answers_are_told_apart() {
        use HandshakeError::*;
        let cases: &[(&[u8], HandshakeError)] = &[
            (b"ICY 200 OK\r\n\r\n", NotHttp),
            (b"SSH-2.0-OpenSSH", NotHttp),
            (b"\x15\x03\x01", NotHttp),
            (b"h", NotHttp),
            (b"HTTP/2 101", HttpVersion),
            (b"HTTP/1.2 101 Switching\r\n\r\n", HttpVersion),
            (b"HTTP/1.1\r\n\r\n", HttpVersion),
            (b"HTTP/1.1\xff 101\r\n\r\n", HttpVersion),
            (b"HTTP/1.1 XX Switching\r\n\r\n", StatusLine),
            (b"HTTP/1.1 10 Switching\r\n\r\n", StatusLine),
            (b"HTTP/1.1 099 Low\r\n\r\n", StatusLine),
            (b"HTTP/1.1 1010 Long\r\n\r\n", StatusLine),
            (b"HTTP/1.1  101 Spaces\r\n\r\n", StatusLine),
            (b"HTTP/1.1 101 OK\0\r\n\r\n", ControlCharacter),
            (b"HTTP/1.1 101 OK\r\nUpgrade websocket\r\n\r\n", HeaderSyntax),
            (b"HTTP/1.1 101 OK\r\nUpgrade : websocket\r\n\r\n", HeaderSyntax),
            (b"HTTP/1.1 101 OK\r\n: websocket\r\n\r\n", HeaderSyntax),
            (b"HTTP/1.1 101 OK\r\nUpgr\xc3\xa4de: websocket\r\n\r\n", HeaderSyntax),
            (b"HTTP/1.1 101 OK\r\nUpgrade: a\0b\r\n\r\n", ControlCharacter),
            (b"HTTP/1.1 101 OK\r\nUpgrade: a\x7fb\r\n\r\n", ControlCharacter),
            (b"HTTP/1.1 101 OK\r\nUpgrade: a\rb\r\n\r\n", BareCarriageReturn),
            (b"HTTP/1.1 101 OK\r\nUpgrade: a\r\r\n\r\n", BareCarriageReturn),
            (b"HTTP/1.1 101 OK\r\nA: b\r\n c\r\n\r\n", FoldedHeader),
            (b"HTTP/1.1 101 OK\r\n\tc: d\r\n\r\n", FoldedHeader),
        ];
        for (bytes, expected) in cases {
            let error = collect(StartLine::Status, bytes).and_then(|(collector, _)| collector.response());
            assert_eq!(error, Err(expected.clone()), "{}", bytes.escape_ascii());
        }
        assert_eq!(collect(StartLine::Status, b"\r\nHTTP/1.1 101 OK\r\n\r\n").unwrap_err(), NotHttp);
    }

    #[test]
    fn malformed_requests_are_told_apart() {
        use HandshakeError::*;
        let cases: &[(&[u8], HandshakeError)] = &[
            (b"\x16\x03\x01\x02\x00", NotHttp),
            (b"broken nonsense\r\n\r\n", RequestLine),
            (b"GET /\r\n\r\n", RequestLine),
            (b"GET / HTTP/2.0\r\n\r\n", HttpVersion),
            (b"GET  / HTTP/1.1\r\n\r\n", RequestLine),
            (b"GE(T / HTTP/1.1\r\n\r\n", RequestLine),
            (b"GET / HTTP/1.1\r\nHost\r\n\r\n", HeaderSyntax),
            (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", HeaderSyntax),
            (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", FoldedHeader),
        ];
        for (bytes, expected) in cases {
            let error = collect(StartLine::Request, bytes).and_then(|(collector, _)| collector.request());
            assert_eq!(error, Err(expected.clone()), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn empty_lines_before_a_request_are_ignored() {
        let (collector, end) = collect(StartLine::Request, b"\r\n\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert_eq!(end, Some(31));
        assert_eq!(collector.request().unwrap().target, "/x");
    }

    #[test]
    fn limits_hold_whatever_the_peer_sends() {
        let limits = HeadLimits::default();
        let fed = |piece: &[u8], most: usize| {
            let mut collector = HeadCollector::new(StartLine::Status, limits);
            collector.collect(b"HTTP/1.1 101 OK\r\n").unwrap();
            let error = (0..most).find_map(|_| collector.collect(piece).err());
            assert!(collector.head.capacity() <= 2 * limits.head, "{}", collector.head.capacity());
            error
        };
        assert_eq!(fed(b"a", 20_000_000), Some(HandshakeError::LineTooLong { limit: limits.line }));
        assert_eq!(fed(&vec![b'a'; 20_000_000], 1), Some(HandshakeError::LineTooLong { limit: limits.line }));
        assert_eq!(fed(b"a: b\r\n", 129), Some(HandshakeError::TooManyFields { limit: 128 }));
        assert_eq!(fed(b"a: b\r\n", 128), None);
        let long = format!("a: {}\r\n", "b".repeat(8000));
        assert_eq!(fed(long.as_bytes(), 100), Some(HandshakeError::HeadTooLarge { limit: limits.head }));
        let mut empty_lines = HeadCollector::new(StartLine::Request, limits);
        let error = (0..limits.head).find_map(|_| empty_lines.collect(b"\r\n").err());
        assert_eq!(error, Some(HandshakeError::HeadTooLarge { limit: limits.head }));
    }
}
