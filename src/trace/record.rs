//! The records that a trace sink gets, and their text.

use std::fmt;

use crate::protocol::{FrameHeader, Rsv};

/// A head or a frame that was sent or received. `Display` is one or more lines, in the form of websocket-client.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TraceRecord<'a> {
    /// The number of the connection, from 1 in the order of opening. Redirects and proxies belong to the opening.
    pub connection: u64,
    /// Whether it was sent or received.
    pub direction: TraceDirection,
    /// What was sent or received.
    pub event: TraceEvent<'a>,
}

/// Whether something was sent or received.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum TraceDirection {
    /// By this side.
    Sent,
    /// From the peer.
    Received,
}

/// What was sent or received.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum TraceEvent<'a> {
    /// The head of a request, line by line: of a handshake, or `CONNECT` for a proxy. Values that may be secret are left out.
    #[doc(alias = "dump")]
    Request(&'a str),
    /// The head of an answer, the same way.
    Response(&'a str),
    /// A frame. The record is made when its last byte was sent or received.
    #[doc(alias = "trace")]
    Frame(TraceFrame<'a>),
    /// Bytes that are no frame, where a frame should begin. Nothing is traced after them.
    Malformed(&'a [u8]),
}

/// A frame, as it went over the wire (RFC 6455, section 5.2).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct TraceFrame<'a> {
    /// The header: whether it is the last fragment, the opcode, the length of the whole payload.
    pub header: FrameHeader,
    /// The first 1,024 bytes of the payload, unmasked. With [`Rsv::RSV1`] the message is compressed.
    pub payload: &'a [u8],
    /// The header and the same bytes of the payload, masked if the payload is.
    pub raw: &'a [u8],
}

impl fmt::Display for TraceRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.direction {
            TraceDirection::Sent => "++Sent",
            TraceDirection::Received => "++Rcv",
        };
        match self.event {
            TraceEvent::Request(head) => write_head(f, "request header", head),
            TraceEvent::Response(head) => write_head(f, "response header", head),
            TraceEvent::Malformed(bytes) => write!(f, "{way} raw: {}", Bytes(bytes)),
            TraceEvent::Frame(frame) => write!(f, "{way} raw: {}\n{way} decoded: {frame}", frame.raw()),
        }
    }
}

/// `fin=1 opcode=1 data=b'Hello'`; reserved bits that are set stand behind `fin`.
impl fmt::Display for TraceFrame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fin={}", u8::from(self.header.fin))?;
        for (name, bit) in [("rsv1", Rsv::RSV1), ("rsv2", Rsv::RSV2), ("rsv3", Rsv::RSV3)] {
            if self.header.rsv.contains(bit) {
                write!(f, " {name}=1")?;
            }
        }
        write!(f, " opcode={} data={}", self.header.opcode.bits(), Part { bytes: self.payload, of: self.header.len })
    }
}

impl TraceFrame<'_> {
    fn raw(&self) -> Part<'_> {
        let header = self.raw.len() - self.payload.len();
        Part { bytes: self.raw, of: self.header.len.saturating_add(header as u64) }
    }
}

fn write_head(f: &mut fmt::Formatter<'_>, title: &str, head: &str) -> fmt::Result {
    write!(f, "--- {title} ---\n{head}\n-----------------------")
}

/// The beginning of something that is `of` bytes long.
struct Part<'a> {
    bytes: &'a [u8],
    of: u64,
}

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, of } = self;
        if bytes.len() as u64 == *of {
            return write!(f, "{}", Bytes(bytes));
        }
        write!(f, "{}... ({of} bytes)", Bytes(bytes))
    }
}

/// Bytes as Python shows them: no control character of theirs reaches a terminal.
struct Bytes<'a>(&'a [u8]);

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("b'")?;
        for &byte in self.0 {
            match byte {
                b'"' => f.write_str("\"")?,
                _ => write!(f, "{}", byte.escape_ascii())?,
            }
        }
        f.write_str("'")
    }
}
