//! Where the body of a refusal ends (RFC 9112, sections 6 and 7): a length, chunks, or the end of the connection.

use super::head::ResponseHead;
use crate::protocol::handshake::grammar;
use crate::protocol::handshake::headers::Headers;

/// The most bytes of a chunk's extension, or of the trailer: nobody reads them here.
const MAX_IGNORED: usize = 16 * 1024;

/// How the body of a [`Refusal`](super::Refusal) ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum BodyEnd {
    /// The body is all there.
    Complete,
    /// The connection ended before the body did.
    ConnectionLost,
    /// More than [`HeadLimits::body`](super::HeadLimits::body) came; the rest is missing.
    LimitReached,
    /// Its length or its chunks make no sense.
    Malformed,
    /// The caller did not wait for the rest.
    NotAwaited,
}

/// The body that is being received.
#[derive(Debug)]
pub(in crate::protocol) struct Body {
    framing: Framing,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Framing {
    /// This many bytes follow.
    Length(u64),
    UntilEof,
    Chunk(Chunk),
    Ended(BodyEnd),
}

/// Where in a chunk the next byte stands (RFC 9112, section 7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Chunk {
    /// In the size; `None` before its first digit.
    Size(Option<u64>),
    /// Behind the size: an extension of so many bytes yet, or the end of the line.
    Extension { size: u64, ignored: usize },
    /// This many bytes of data follow.
    Data(u64),
    /// In the end of line behind the data.
    DataEnd,
    /// In the trailer: in a line of so many bytes yet, so many in all.
    Trailer { line: usize, ignored: usize },
}

impl Body {
    /// The body that follows this head (RFC 9112, section 6.3).
    pub(super) fn after(head: &ResponseHead) -> Self {
        let codings = head.headers.contains("transfer-encoding");
        let framing = match (head.status, head.minor_version) {
            (204 | 304, _) => Framing::Ended(BodyEnd::Complete),
            // HTTP/1.0 knows no transfer codings.
            (_, 1) if codings && is_chunked(&head.headers) => Framing::Chunk(Chunk::Size(None)),
            _ if codings => Framing::UntilEof,
            _ => length(&head.headers),
        };
        Self { framing: framing.settled() }
    }

    /// Takes received bytes: how many, and what of the body they hold. Call again with the rest until nothing is taken.
    pub(in crate::protocol) fn decode<'a>(&mut self, bytes: &'a [u8]) -> (usize, &'a [u8]) {
        let (taken, data, next) = match self.framing {
            Framing::Length(left) => {
                let data = at_most(bytes, left);
                (data.len(), data, Framing::Length(left - data.len() as u64))
            }
            Framing::UntilEof => (bytes.len(), bytes, Framing::UntilEof),
            Framing::Chunk(Chunk::Data(left)) => {
                let data = at_most(bytes, left);
                (data.len(), data, Framing::Chunk(Chunk::Data(left - data.len() as u64)))
            }
            Framing::Chunk(_) => self.skip_to_data(bytes),
            Framing::Ended(_) => (0, &bytes[..0], self.framing),
        };
        self.framing = next.settled();
        (taken, data)
    }

    /// The connection has ended.
    pub(in crate::protocol) const fn end_of_connection(&mut self) -> BodyEnd {
        let end = match self.framing {
            Framing::Ended(end) => end,
            Framing::UntilEof => BodyEnd::Complete,
            Framing::Length(_) | Framing::Chunk(_) => BodyEnd::ConnectionLost,
        };
        self.framing = Framing::Ended(end);
        end
    }

    /// How the body ended, if it has.
    pub(in crate::protocol) const fn end(&self) -> Option<BodyEnd> {
        match self.framing {
            Framing::Ended(end) => Some(end),
            _ => None,
        }
    }

    /// Takes what stands between the data of two chunks.
    fn skip_to_data<'a>(&self, bytes: &'a [u8]) -> (usize, &'a [u8], Framing) {
        let mut framing = self.framing;
        for (taken, &byte) in bytes.iter().enumerate() {
            framing = match framing {
                Framing::Chunk(Chunk::Data(_)) | Framing::Ended(_) => return (taken, &[], framing),
                Framing::Chunk(chunk) => chunk.after(byte).settled(),
                other => other,
            };
        }
        (bytes.len(), &[], framing)
    }
}

impl Framing {
    /// The same, or what follows where nothing is left.
    const fn settled(self) -> Self {
        match self {
            Self::Length(0) => Self::Ended(BodyEnd::Complete),
            Self::Chunk(Chunk::Data(0)) => Self::Chunk(Chunk::DataEnd),
            other => other,
        }
    }
}

impl Chunk {
    /// The state after a byte that is not data.
    fn after(self, byte: u8) -> Framing {
        let next = match (self, byte) {
            (Self::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Not more than 60 bits, so that there is no overflow.
                let Some(size) = Some(size.unwrap_or(0)).filter(|size| size >> 56 == 0) else {
                    return Framing::Ended(BodyEnd::Malformed);
                };
                Self::Size(Some(size << 4 | u64::from(hex_digit(byte))))
            }
            (Self::Size(Some(size)), b';' | b' ' | b'\t' | b'\r') => Self::Extension { size, ignored: 0 },
            (Self::Size(Some(0)) | Self::Extension { size: 0, .. }, b'\n') => Self::Trailer { line: 0, ignored: 0 },
            (Self::Size(Some(size)) | Self::Extension { size, .. }, b'\n') => Self::Data(size),
            (Self::Extension { size, ignored }, _) if ignored < MAX_IGNORED => {
                Self::Extension { size, ignored: ignored + 1 }
            }
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(None),
            (Self::Trailer { line: 0, .. }, b'\n') => return Framing::Ended(BodyEnd::Complete),
            (Self::Trailer { ignored, .. }, b'\n') if ignored < MAX_IGNORED => {
                Self::Trailer { line: 0, ignored: ignored + 1 }
            }
            (Self::Trailer { line, ignored }, b'\r') if ignored < MAX_IGNORED => {
                Self::Trailer { line, ignored: ignored + 1 }
            }
            (Self::Trailer { line, ignored }, _) if ignored < MAX_IGNORED => {
                Self::Trailer { line: line + 1, ignored: ignored + 1 }
            }
            _ => return Framing::Ended(BodyEnd::Malformed),
        };
        Framing::Chunk(next)
    }
}

/// Whether the last transfer coding is `chunked` (RFC 9112, section 6.3).
fn is_chunked(headers: &Headers) -> bool {
    headers.elements("transfer-encoding").last().is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"))
}

/// The body of which `Content-Length` tells the length; several must agree (RFC 9112, section 6.3).
fn length(headers: &Headers) -> Framing {
    let mut lengths = headers.all("content-length").flat_map(|value| {
        let mut elements: Vec<&[u8]> = grammar::elements(value).collect();
        if elements.is_empty() {
            elements.push(b"");
        }
        elements
    });
    let Some(first) = lengths.next() else {
        return Framing::UntilEof;
    };
    match decimal(first) {
        Some(length) if lengths.all(|other| decimal(other) == Some(length)) => Framing::Length(length),
        _ => Framing::Ended(BodyEnd::Malformed),
    }
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

/// The first bytes, not more than these.
fn at_most(bytes: &[u8], most: u64) -> &[u8] {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    &bytes[..bytes.len().min(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: u16, minor_version: u8, headers: &[(&str, &str)]) -> ResponseHead {
        ResponseHead { minor_version, status, reason: String::new(), headers: headers.iter().copied().collect() }
    }

    /// The body in `bytes`, received in pieces of this size, and how it ends if the connection does so afterwards.
    fn decode(mut body: Body, bytes: &[u8], size: usize) -> (Vec<u8>, BodyEnd) {
        let mut decoded = Vec::new();
        for mut piece in bytes.chunks(size) {
            while body.end().is_none() && !piece.is_empty() {
                let (taken, data) = body.decode(piece);
                decoded.extend_from_slice(data);
                piece = &piece[taken..];
            }
        }
        (decoded, body.end_of_connection())
    }

    /// Status, minor version, headers, what is received; the body in it, and how it ends.
    type Case<'a> = (u16, u8, &'a [(&'a str, &'a str)], &'a str, &'a str, BodyEnd);

    #[test]
    fn a_body_ends_where_rfc_9112_says() {
        let chunked = [("transfer-encoding", "gzip, Chunked")];
        let cases: &[Case<'_>] = &[
            (403, 1, &[], "until the end", "until the end", BodyEnd::Complete),
            (204, 1, &[("content-length", "5")], "Hello", "", BodyEnd::Complete),
            (304, 1, &[], "Hello", "", BodyEnd::Complete),
            (403, 1, &[("content-length", "0")], "Hello", "", BodyEnd::Complete),
            (403, 1, &[("content-length", "5")], "Hello, and more", "Hello", BodyEnd::Complete),
            (403, 1, &[("content-length", "5")], "Hel", "Hel", BodyEnd::ConnectionLost),
            (403, 1, &[("content-length", "5, 5"), ("content-length", "5")], "Hello!", "Hello", BodyEnd::Complete),
            (403, 1, &[("content-length", "5, 6")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "abc")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "-1")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "+5")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "99999999999999999999")], "Hello!", "", BodyEnd::Malformed),
            (403, 1, &[("content-length", "18446744073709551615")], "Hello!", "Hello!", BodyEnd::ConnectionLost),
            (403, 1, &[("transfer-encoding", "gzip")], "Hello!", "Hello!", BodyEnd::Complete),
            (403, 0, &chunked, "5\r\n", "5\r\n", BodyEnd::Complete),
            (403, 1, &chunked, "5\r\nHello\r\n0\r\n\r\nmore", "Hello", BodyEnd::Complete),
            (403, 1, &chunked, "5\nHello\n0\n\n", "Hello", BodyEnd::Complete),
            (
                403,
                1,
                &chunked,
                "3;a=b\r\nHel\r\n02 \r\nlo\r\n000;x\r\nA: b\r\nC: d\r\n\r\n",
                "Hello",
                BodyEnd::Complete,
            ),
            (403, 1, &chunked, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", BodyEnd::Complete),
            (403, 1, &chunked, "5\r\nHel", "Hel", BodyEnd::ConnectionLost),
            (403, 1, &chunked, "5\r\nHello\r\n", "Hello", BodyEnd::ConnectionLost),
            (403, 1, &chunked, "5\r\nHello5\r\n", "Hello", BodyEnd::Malformed),
            (403, 1, &chunked, "\r\n", "", BodyEnd::Malformed),
            (403, 1, &chunked, "x\r\n", "", BodyEnd::Malformed),
            (403, 1, &chunked, "-1\r\n", "", BodyEnd::Malformed),
            (403, 1, &chunked, "10000000000000000\r\n", "", BodyEnd::Malformed),
        ];
        for (status, version, headers, received, expected, end) in cases {
            for size in 1..=received.len() {
                let body = Body::after(&head(*status, *version, headers));
                let decoded = decode(body, received.as_bytes(), size);
                assert_eq!(decoded, (expected.as_bytes().to_vec(), *end), "{headers:?} {received:?} by {size}");
            }
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_cut_off() {
        for (opening, filler) in [("5;", "a"), ("0\r\n", "a"), ("0\r\n", "\r"), ("0\r\n", "a\r\n")] {
            let received = opening.to_owned() + &filler.repeat(2 * MAX_IGNORED);
            let body = Body::after(&head(403, 1, &[("transfer-encoding", "chunked")]));
            let (_, end) = decode(body, received.as_bytes(), 999);
            assert_eq!(end, BodyEnd::Malformed, "{opening:?} {filler:?}");
        }
    }
}
