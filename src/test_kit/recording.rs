//! What was on the wire of a connection, as bytes and as frames.

use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::peer::take_payload;
use crate::net::{Interest, Transport};
use crate::protocol::{Frame, FrameHeader};
use crate::trace::TraceDirection;

/// A recording of one connection: all bytes of both directions, up to 16 MiB of each, and when they passed. Its clones are the same.
///
/// A [`TestServer`](super::TestServer) makes one of each connection, from the server's side. [`wrap`](Self::wrap) makes one of any
/// transport, from the side that holds it.
///
/// ```
/// use websocket_sync::test_kit::TestServer;
/// use websocket_sync::{Opcode, TraceDirection, create_connection};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = TestServer::start(|peer| {
///     peer.accept()?;
///     peer.echo()
/// })?;
/// let mut ws = create_connection(server.url())?;
/// ws.send_text("hello")?;
/// ws.recv()?;
/// ws.close()?;
///
/// let recording = server.recordings().remove(0);
/// server.finish()?;
/// assert!(recording.head(TraceDirection::Received).starts_with(b"GET / HTTP/1.1\r\n"));
/// let frames = recording.frames();
/// let opcodes: Vec<_> = frames.iter().map(|recorded| recorded.frame.opcode).collect();
/// assert_eq!(opcodes, [Opcode::Text, Opcode::Text, Opcode::Close, Opcode::Close]);
/// assert!(frames[0].direction == TraceDirection::Received && frames[0].mask.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Recording(Arc<Mutex<RecordedBytes>>);

/// How many bytes of each direction are kept.
const LIMIT: usize = 16 << 20;

#[derive(Debug)]
struct RecordedBytes {
    began: Instant,
    sent: RecordedDirection,
    received: RecordedDirection,
    /// How many chunks were noted, in both directions.
    chunks: usize,
}

/// One direction.
#[derive(Debug, Default)]
struct RecordedDirection {
    bytes: Vec<u8>,
    chunks: Vec<RecordedChunk>,
    is_truncated: bool,
}

/// The bytes of one read or write.
#[derive(Clone, Copy, Debug)]
struct RecordedChunk {
    /// Where it ends among the bytes of its direction.
    end: usize,
    /// Its place among the chunks of both directions.
    number: usize,
    at: Duration,
}

/// A frame that was sent or received, from the side that recorded it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct RecordedFrame {
    /// Who sent it: `Sent` is the side that recorded.
    pub direction: TraceDirection,
    /// When its last byte passed, since the recording began.
    pub at: Duration,
    /// Its masking key, if it was masked.
    pub mask: Option<[u8; 4]>,
    /// What it was; the payload without the mask, and compressed where it was.
    pub frame: Frame,
}

impl Recording {
    /// A recording that begins now.
    pub fn new() -> Self {
        let wire = RecordedBytes {
            began: Instant::now(),
            sent: RecordedDirection::default(),
            received: RecordedDirection::default(),
            chunks: 0,
        };
        Self(Arc::new(Mutex::new(wire)))
    }

    /// A transport that does what this one does, and is recorded. Where TLS is spoken over it, that is what TLS makes of the frames: a
    /// [`TestServer`](super::TestServer::recordings) records them as they are.
    ///
    /// ```
    /// use std::net::TcpStream;
    ///
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::test_kit::{Recording, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     peer.echo()
    /// })?;
    /// let recording = Recording::new();
    /// let stream = recording.wrap(TcpStream::connect(server.address())?);
    /// let ws = ConnectOptions::new().connect_over(stream, server.url())?;
    /// ws.send_text("hello")?;
    /// assert_eq!(recording.frames()[0].frame.payload, b"hello");
    /// # ws.close()?;
    /// # server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wrap(&self, transport: impl Into<Box<dyn Transport>>) -> RecordedTransport {
        RecordedTransport { inner: transport.into(), recording: self.clone() }
    }

    /// All bytes of one direction.
    pub fn bytes(&self, direction: TraceDirection) -> Vec<u8> {
        self.wire().direction(direction).bytes.clone()
    }

    /// The heads of HTTP messages before the frames of one direction: a request, or a response, with what came before it, such as a
    /// `CONNECT` to a proxy; empty where there is none.
    pub fn head(&self, direction: TraceDirection) -> Vec<u8> {
        let wire = self.wire();
        let bytes = &wire.direction(direction).bytes;
        bytes[..last_head(bytes).1].to_vec()
    }

    /// The frames of both directions in the order of their last bytes. Where a direction breaks the rules for headers of frames, its
    /// frames end there.
    pub fn frames(&self) -> Vec<RecordedFrame> {
        let wire = self.wire();
        let mut frames: Vec<_> = [TraceDirection::Sent, TraceDirection::Received]
            .into_iter()
            .flat_map(|direction| wire.direction(direction).frames(direction).0)
            .collect();
        frames.sort_by_key(|(number, _)| *number);
        frames.into_iter().map(|(_, frame)| frame).collect()
    }

    /// What stands behind the last whole frame of one direction: the beginning of one that was cut, the body of a refusal, or what is no
    /// frame.
    pub fn rest(&self, direction: TraceDirection) -> Vec<u8> {
        let wire = self.wire();
        let recorded = wire.direction(direction);
        recorded.bytes[recorded.frames(direction).1..].to_vec()
    }

    /// Whether there was more in this direction than is kept.
    pub fn is_truncated(&self, direction: TraceDirection) -> bool {
        self.wire().direction(direction).is_truncated
    }

    pub(super) fn note(&self, direction: TraceDirection, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut wire = self.wire();
        let (number, at) = (wire.chunks, wire.began.elapsed());
        wire.chunks += 1;
        let recorded = match direction {
            TraceDirection::Sent => &mut wire.sent,
            TraceDirection::Received => &mut wire.received,
        };
        let kept = bytes.len().min(LIMIT - recorded.bytes.len());
        recorded.is_truncated |= kept < bytes.len();
        recorded.bytes.extend_from_slice(&bytes[..kept]);
        if kept > 0 {
            recorded.chunks.push(RecordedChunk { end: recorded.bytes.len(), number, at });
        }
    }

    fn wire(&self) -> MutexGuard<'_, RecordedBytes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Its frames, one a line.
impl fmt::Display for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.frames().iter().try_for_each(|frame| writeln!(f, "{frame}"))
    }
}

/// `received after 1.2ms: fin=1 opcode=1 data="hello"`
impl fmt::Display for RecordedFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            TraceDirection::Sent => "sent",
            TraceDirection::Received => "received",
        };
        write!(f, "{direction} after {:?}: {}", self.at, self.frame)
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

impl RecordedBytes {
    const fn direction(&self, direction: TraceDirection) -> &RecordedDirection {
        match direction {
            TraceDirection::Sent => &self.sent,
            TraceDirection::Received => &self.received,
        }
    }
}

impl RecordedDirection {
    /// Each frame with the number of the chunk that completed it; where they end.
    fn frames(&self, direction: TraceDirection) -> (Vec<(usize, RecordedFrame)>, usize) {
        let mut frames = Vec::new();
        let (last_head, mut end) = last_head(&self.bytes);
        let refused = self.bytes.starts_with(b"HTTP/") && !is_switching(&self.bytes[last_head..end]);
        while !refused && let Some((mask, frame, length)) = parse_frame(&self.bytes[end..]) {
            end += length;
            let chunk = self.chunks.partition_point(|chunk| chunk.end < end);
            let Some(chunk) = self.chunks.get(chunk) else { break };
            frames.push((chunk.number, RecordedFrame { direction, at: chunk.at, mask, frame }));
        }
        (frames, end)
    }
}

/// The frame at the beginning, its masking key and its length.
fn parse_frame(bytes: &[u8]) -> Option<(Option<[u8; 4]>, Frame, usize)> {
    let (header, start) = FrameHeader::parse(bytes).ok()??;
    let (frame, length) = take_payload(&header, start, bytes)?;
    Some((header.mask, frame, length))
}

/// Where the last of the heads at the beginning begins and ends. No frame begins like one: `C`, `G` and `H` are reserved opcodes or a
/// control frame that is fragmented.
fn last_head(bytes: &[u8]) -> (usize, usize) {
    const BEGINNINGS: [&[u8]; 3] = [b"CONNECT ", b"GET ", b"HTTP/"];
    let (mut start, mut end) = (0, 0);
    while BEGINNINGS.iter().any(|beginning| bytes[end..].starts_with(beginning)) {
        match bytes[end..].windows(4).position(|window| window == b"\r\n\r\n") {
            Some(length) => (start, end) = (end, end + length + 4),
            None => break,
        }
    }
    (start, end)
}

/// Whether this response is a 101.
fn is_switching(head: &[u8]) -> bool {
    head.split(|byte| *byte == b' ').nth(1) == Some(b"101")
}

/// What [`Recording::wrap`] makes.
#[derive(Debug)]
pub struct RecordedTransport {
    inner: Box<dyn Transport>,
    recording: Recording,
}

impl Transport for RecordedTransport {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.try_read(buf)?;
        self.recording.note(TraceDirection::Received, buf.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let length = self.inner.try_write(buf)?;
        self.recording.note(TraceDirection::Sent, buf.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.inner.wait(interest, deadline)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }

    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        let length = self.inner.read(buf, deadline)?;
        self.recording.note(TraceDirection::Received, buf.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.inner.local_addr()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.inner.peer_addr()
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.as_fd()
    }

    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        self.inner.as_socket()
    }
}
