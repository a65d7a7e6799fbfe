//! HTTP/1.1 as it is received: heads, which are collected within limits and parsed when they are whole, and responses, with
//! interim ones before them and a body behind (RFC 9112, sections 2 to 7).
//!
//! What is refused, and as what, never depends on how the bytes were cut on their way: each limit is judged at the byte that
//! breaks it, everything else by whole lines. The work is linear and the memory bounded. A line may end with a lone LF, which
//! RFC 9112, section 2.2, allows a recipient to recognize; nothing is forwarded here, so nobody can be made to see another head
//! than we do. A lone CR, NUL and the other control characters, and folded lines are refused.

use std::borrow::Cow;
use std::fmt;

use super::error::HandshakeError;
use super::headers::{Headers, elements, is_token, trim};

/// The most bytes of a chunk's extension, or of the trailer: nobody reads them here.
const MAX_IGNORED: usize = 16 * 1024;

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
    /// Interim responses (1xx other than 101) before the final one. Default: 8.
    pub interim: usize,
    /// Bytes of a refusal's body that are kept; what follows is not waited for. A [`Connection`](crate::protocol::Connection) keeps nothing of
    /// it, and tells all of it as it comes. Default: 65,536.
    pub body: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { head: 64 * 1024, line: 16 * 1024, fields: 128, interim: 8, body: 64 * 1024 }
    }
}

/// How the body of a [`Refusal`](super::Refusal) ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BodyEnd {
    /// The body is all there.
    Complete,
    /// The connection ended before the body did.
    ConnectionLost,
    /// More than [`HeadLimits::body`] came; the rest is missing.
    LimitReached,
    /// Its length or its chunks make no sense.
    Malformed,
    /// The caller did not wait for the rest.
    NotAwaited,
}

/// Reads one response: interim ones (1xx) are skipped, then comes the head of the final one, then its body. Whoever sent the
/// request judges the head, and stops reading where it knows of no body.
#[derive(Debug)]
pub(in crate::protocol) struct ResponseReader {
    head: HeadCollector,
    /// The interim responses so far.
    interim: usize,
    /// What is left of the body, once the final head has come.
    body: Option<Body>,
}

/// What a response consists of, in this order; the body comes in chunks.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::protocol) enum ResponsePart<'a> {
    Head(ResponseHead),
    Body(&'a [u8]),
    End(BodyEnd),
}

impl ResponseReader {
    pub(in crate::protocol) const fn new(limits: HeadLimits) -> Self {
        Self { head: HeadCollector::new(StartLine::Status, limits), interim: 0, body: None }
    }

    /// Reads the head of a 101 by these rules; any other head is read strictly.
    pub(super) const fn set_strictness(&mut self, strictness: Strictness) {
        self.head.strictness = strictness;
    }

    /// Takes the next part from the front of `bytes`; `None` if all of them were taken and the response goes on.
    pub(in crate::protocol) fn read<'a>(
        &mut self,
        bytes: &mut &'a [u8],
    ) -> Result<Option<ResponsePart<'a>>, HandshakeError> {
        if let Some(body) = &mut self.body {
            return Ok(body.read(bytes));
        }
        while self.head.collect(bytes)? {
            let head = self.head.response()?;
            self.head.restart();
            // After a 101 the connection no longer speaks HTTP (RFC 9110, section 15.2.2).
            if !matches!(head.status, 100 | 102..=199) {
                self.body = Some(Body::after(&head));
                return Ok(Some(ResponsePart::Head(head)));
            }
            let limit = self.head.limits.interim;
            if self.interim == limit {
                return Err(HandshakeError::TooManyInterim { limit });
            }
            self.interim += 1;
        }
        Ok(None)
    }

    /// The connection has ended: how that leaves the body.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] where the final head had not come.
    pub(in crate::protocol) const fn read_eof(&self) -> Result<BodyEnd, HandshakeError> {
        match self.body {
            None => Err(HandshakeError::Eof),
            Some(Body::Ended(end)) => Ok(end),
            Some(Body::UntilEof) => Ok(BodyEnd::Complete),
            Some(_) => Ok(BodyEnd::ConnectionLost),
        }
    }

    /// Whether the final head has come.
    pub(in crate::protocol) const fn has_head(&self) -> bool {
        self.body.is_some()
    }
}

/// By which rules a response is read that opens a WebSocket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Strictness {
    /// Those of the RFCs.
    Strict,
    /// Those of [`ClientHandshake::lenient`](super::ClientHandshake::lenient).
    Lenient,
}

/// What the first line of a head is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StartLine {
    /// A server receives requests.
    Request,
    /// A client receives responses.
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

/// A response as it was received, without its body.
#[derive(Debug, Eq, PartialEq)]
pub(in crate::protocol) struct ResponseHead {
    /// The digit after `HTTP/1.`.
    pub(super) minor_version: u8,
    pub(in crate::protocol) status: u16,
    pub(super) reason: String,
    pub(in crate::protocol) headers: Headers,
}

/// Collects a head.
pub(super) struct HeadCollector {
    start: StartLine,
    limits: HeadLimits,
    strictness: Strictness,
    head: Vec<u8>,
    /// Where in `head` the line begins that is being received.
    line_start: usize,
    /// The lines that are complete, the start line among them.
    lines: usize,
}

/// Without what was collected: there may be secrets in it.
impl fmt::Debug for HeadCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadCollector")
            .field("start", &self.start)
            .field("limits", &self.limits)
            .field("strictness", &self.strictness)
            .field("head", &format_args!("{} bytes", self.head.len()))
            .finish_non_exhaustive()
    }
}

impl HeadCollector {
    pub(super) const fn new(start: StartLine, limits: HeadLimits) -> Self {
        Self { start, limits, strictness: Strictness::Strict, head: Vec::new(), line_start: 0, lines: 0 }
    }

    /// Takes from the front of `bytes` what belongs to the head; whether the head is whole.
    pub(super) fn collect(&mut self, bytes: &mut &[u8]) -> Result<bool, HandshakeError> {
        // Most heads come whole and are short.
        if self.head.is_empty() {
            self.head.reserve(bytes.len().min(1024));
        }
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            self.append(split_front(bytes, end as u64 + 1))?;
            if self.end_line()? {
                return Ok(true);
            }
        }
        self.append(split_front(bytes, u64::MAX))?;
        Ok(false)
    }

    /// Drops the head that was collected, with its memory, to collect the next one.
    fn restart(&mut self) {
        *self = Self { strictness: self.strictness, ..Self::new(self.start, self.limits) };
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

    /// The collected response.
    fn response(&self) -> Result<ResponseHead, HandshakeError> {
        let mut fields = vec![httparse::EMPTY_HEADER; self.lines];
        let mut response = httparse::Response::new(&mut fields);
        let head = if self.is_lenient() { without_malformed_lines(&self.head).into() } else { Cow::from(&self.head) };
        let parsed = response.parse(&head).map_err(|error| self.rule(error))?;
        match (parsed, response.version, response.code, response.reason) {
            (httparse::Status::Complete(_), Some(minor_version), Some(status @ 100..), Some(reason)) => {
                let headers = received(response.headers);
                Ok(ResponseHead { minor_version, status, reason: reason.to_owned(), headers })
            }
            _ => Err(HandshakeError::StatusLine),
        }
    }

    /// Appends a part of a line. If it breaks several rules, the one whose byte comes first is told.
    fn append(&mut self, part: &[u8]) -> Result<(), HandshakeError> {
        let line_room = self.limits.line.saturating_sub(self.head.len() - self.line_start);
        let head_room = self.limits.head.saturating_sub(self.head.len());
        if self.lines == 0 {
            self.check_beginning(&part[..part.len().min(line_room).min(head_room)])?;
        }
        if part.len() > line_room && line_room <= head_room {
            return Err(HandshakeError::LineTooLong { limit: self.limits.line });
        }
        if part.len() > head_room {
            return Err(HandshakeError::HeadTooLarge { limit: self.limits.head });
        }
        self.head.extend_from_slice(part);
        Ok(())
    }

    /// Refuses what cannot become HTTP/1 as soon as that shows: a peer that speaks something else may wait for us, and
    /// no line of it need ever end. `part` belongs to the first line and comes behind what was collected.
    fn check_beginning(&self, part: &[u8]) -> Result<(), HandshakeError> {
        match (self.start, part) {
            (StartLine::Status, _) => {
                let mut begun = self.head.iter().chain(part).zip(b"HTTP/1.");
                match begun.position(|(byte, expected)| byte != expected) {
                    Some(..5) => Err(HandshakeError::NotHttp),
                    Some(_) => Err(HandshakeError::HttpVersion),
                    None => Ok(()),
                }
            }
            (StartLine::Request, [first, ..]) if self.line_start == self.head.len() => {
                let is_text = first.is_ascii_graphic() || first.is_ascii_whitespace();
                if is_text { Ok(()) } else { Err(HandshakeError::NotHttp) }
            }
            (StartLine::Request, _) => Ok(()),
        }
    }

    /// Judges the line that is now complete: whether it is the empty one that ends the head.
    fn end_line(&mut self) -> Result<bool, HandshakeError> {
        let line = &self.head[self.line_start..];
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or(line);
        self.line_start = self.head.len();
        match (line, self.lines) {
            // RFC 9112, section 2.2: empty lines before a request are ignored.
            ([], 0) => return Ok(false),
            ([], _) => return Ok(true),
            ([b' ' | b'\t', ..], 1..) => return Err(HandshakeError::FoldedHeader),
            _ => check_characters(line)?,
        }
        self.lines += 1;
        // The start line is no field.
        if self.lines > self.limits.fields.saturating_add(1) && !self.is_lenient() {
            return Err(HandshakeError::TooManyFields { limit: self.limits.fields });
        }
        Ok(false)
    }

    /// Whether this head is read leniently: that of a 101, where it was asked for.
    fn is_lenient(&self) -> bool {
        let is_upgrade = || matches!(self.head.get(8..13), Some([b' ', b'1', b'0', b'1', b' ' | b'\r' | b'\n']));
        self.strictness == Strictness::Lenient && is_upgrade()
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

/// A head without the lines that are no fields (RFC 9112, section 5.1).
fn without_malformed_lines(head: &[u8]) -> Vec<u8> {
    let is_field = |line: &[u8]| line.split(|&byte| byte == b':').next().is_some_and(is_token);
    let is_end = |line: &[u8]| matches!(line, b"\r\n" | b"\n");
    let mut lines = head.split_inclusive(|&byte| byte == b'\n');
    let mut kept = lines.next().unwrap_or_default().to_vec();
    lines.filter(|line| is_field(line) || is_end(line)).for_each(|line| kept.extend_from_slice(line));
    kept
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
    fields.iter().map(|field| (field.name.to_ascii_lowercase(), trim(field.value))).collect()
}

/// What is still to come of a body (RFC 9112, sections 6.3 and 7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Body {
    /// This many bytes.
    Length(u64),
    UntilEof,
    /// The size of a chunk goes on; `None` before its first digit.
    ChunkSize(Option<u64>),
    /// Behind the size: an extension, of so many bytes yet, or the end of the line.
    ChunkExtension {
        size: u64,
        ignored: usize,
    },
    /// This many bytes of a chunk's data.
    ChunkData(u64),
    /// The end of line behind the data.
    ChunkEnd,
    /// The trailer, of so many bytes yet.
    Trailer {
        is_line_empty: bool,
        ignored: usize,
    },
    Ended(BodyEnd),
}

impl Body {
    /// The body that follows this head (RFC 9112, section 6.3).
    fn after(head: &ResponseHead) -> Self {
        let is_coded = head.headers.contains("transfer-encoding");
        let is_chunked = || {
            let last = head.headers.elements("transfer-encoding").last();
            last.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
        };
        match (head.status, head.minor_version) {
            (101 | 204 | 304, _) => Self::Ended(BodyEnd::Complete),
            _ if !is_coded => Self::declared(&head.headers),
            // HTTP/1.0 knows no transfer codings.
            (_, 1) if is_chunked() => Self::ChunkSize(None),
            _ => Self::UntilEof,
        }
    }

    /// The body of which `Content-Length` tells the length; several must agree (RFC 9112, section 6.3).
    fn declared(headers: &Headers) -> Self {
        if !headers.contains("content-length") {
            return Self::UntilEof;
        }
        let is_empty = |value| elements(value).next().is_none();
        let mut lengths = headers.elements("content-length").map(decimal);
        let length = lengths.next().flatten().filter(|length| lengths.all(|other| other == Some(*length)));
        match length {
            Some(length) if !headers.all("content-length").any(is_empty) => Self::Length(length).after_data(0),
            _ => Self::Ended(BodyEnd::Malformed),
        }
    }

    /// Takes data from the front of `bytes`, or finds the end; `None` if all were taken and the body goes on.
    fn read<'a>(&mut self, bytes: &mut &'a [u8]) -> Option<ResponsePart<'a>> {
        loop {
            let most = match *self {
                Self::Ended(end) => return Some(ResponsePart::End(end)),
                _ if bytes.is_empty() => return None,
                Self::UntilEof => u64::MAX,
                Self::Length(left) | Self::ChunkData(left) => left,
                framing => {
                    *self = framing.after_byte(split_front(bytes, 1)[0]);
                    continue;
                }
            };
            let data = split_front(bytes, most);
            *self = self.after_data(data.len() as u64);
            return Some(ResponsePart::Body(data));
        }
    }

    /// What follows so many bytes of data, which are no more than were left.
    const fn after_data(self, length: u64) -> Self {
        match self {
            Self::Length(left) if left == length => Self::Ended(BodyEnd::Complete),
            Self::Length(left) => Self::Length(left - length),
            Self::ChunkData(left) if left == length => Self::ChunkEnd,
            Self::ChunkData(left) => Self::ChunkData(left - length),
            other => other,
        }
    }

    /// What follows a byte that is no data (RFC 9112, section 7.1).
    fn after_byte(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::ChunkSize(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => match size.unwrap_or(0) {
                // Not more than 60 bits, so that there is no overflow.
                size if size >> 56 == 0 => Self::ChunkSize(Some(size << 4 | u64::from(hex_digit(byte)))),
                _ => Self::Ended(BodyEnd::Malformed),
            },
            (Self::ChunkSize(Some(size)), b';' | b' ' | b'\t' | b'\r') => Self::ChunkExtension { size, ignored: 0 },
            (Self::ChunkSize(Some(0)) | Self::ChunkExtension { size: 0, .. }, b'\n') => {
                Self::Trailer { is_line_empty: true, ignored: 0 }
            }
            (Self::ChunkSize(Some(size)) | Self::ChunkExtension { size, .. }, b'\n') => Self::ChunkData(size),
            (Self::ChunkExtension { size, ignored }, _) if ignored < MAX_IGNORED => {
                Self::ChunkExtension { size, ignored: ignored + 1 }
            }
            (Self::ChunkEnd, b'\r') => Self::ChunkEnd,
            (Self::ChunkEnd, b'\n') => Self::ChunkSize(None),
            (Self::Trailer { is_line_empty: true, .. }, b'\n') => Self::Ended(BodyEnd::Complete),
            (Self::Trailer { is_line_empty, ignored }, _) if ignored < MAX_IGNORED => {
                Self::Trailer { is_line_empty: byte == b'\n' || is_line_empty && byte == b'\r', ignored: ignored + 1 }
            }
            _ => Self::Ended(BodyEnd::Malformed),
        }
    }
}

/// Takes the first bytes, at most so many.
fn split_front<'a>(bytes: &mut &'a [u8], most: u64) -> &'a [u8] {
    let length = bytes.len().min(usize::try_from(most).unwrap_or(usize::MAX));
    let (front, rest) = bytes.split_at(length);
    *bytes = rest;
    front
}

/// Digits, and nothing but digits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The value of a digit that was seen to be hexadecimal.
const fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests;
