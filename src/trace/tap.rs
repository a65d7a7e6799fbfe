//! Bytes that pass by, seen as heads and frames. Nothing is judged here: what is wrong with them is for others to say.

use super::head;
use super::record::{TraceDirection, TraceEvent, TraceFrame};
use super::switch::{Epoch, Tracer};
use crate::protocol::{FrameHeader, mask};

/// Listens for the head of a request or an answer, and tells of it when it has passed: at the latest, of as much as has come, when
/// this is dropped.
#[derive(Debug)]
pub(crate) struct HeadTap<'a> {
    tracer: Tracer,
    /// The subprotocols that are shown beside those that are registered.
    public: &'a [String],
    kind: Kind,
    /// What has passed; `None` when there is nothing to listen for.
    bytes: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Request,
    Response,
}

impl<'a> HeadTap<'a> {
    /// How much of a head is shown, in bytes.
    const SHOWN: usize = 16 * 1024;

    /// Listens for a request.
    pub(crate) fn request(tracer: Tracer, public: &'a [String]) -> Self {
        Self::new(tracer, public, Kind::Request)
    }

    /// Listens for an answer; those that come before it (1xx) are told of, too.
    pub(crate) fn response(tracer: Tracer, public: &'a [String]) -> Self {
        Self::new(tracer, public, Kind::Response)
    }

    fn new(tracer: Tracer, public: &'a [String], kind: Kind) -> Self {
        Self { tracer, public, kind, bytes: Epoch::now().map(|_| Vec::new()) }
    }

    /// Takes note of what was received.
    pub(crate) fn pass(&mut self, piece: &[u8]) {
        let Some(bytes) = &mut self.bytes else { return };
        let room = Self::SHOWN.saturating_sub(bytes.len());
        // Nothing is looked at twice but what may be the beginning of an empty line.
        let mut seen = bytes.len().saturating_sub(2);
        bytes.extend_from_slice(&piece[..room.min(piece.len())]);
        while let Some(mut head) = self.bytes.take() {
            let Some(end) = head::end(&head[seen..]).map(|end| seen + end) else {
                self.bytes = Some(head);
                return;
            };
            let rest = head.split_off(end);
            seen = 0;
            self.tell(&head);
            self.bytes = (self.kind == Kind::Response && is_interim(&head)).then_some(rest);
        }
    }

    fn tell(&self, head: &[u8]) {
        let shown = head::shown(head, self.public);
        let event = match self.kind {
            Kind::Request => TraceEvent::Request(&shown),
            Kind::Response => TraceEvent::Response(&shown),
        };
        self.tracer.tell(TraceDirection::Received, event);
    }
}

impl Drop for HeadTap<'_> {
    fn drop(&mut self) {
        if let Some(head) = self.bytes.as_ref().filter(|head| !head.is_empty()) {
            self.tell(head);
        }
    }
}

/// Whether another answer follows this one (RFC 9110, section 15.2); 101 is the last in HTTP.
fn is_interim(head: &[u8]) -> bool {
    let status = head.split(|&byte| byte == b' ').nth(1).and_then(|status| status.get(..3));
    head.starts_with(b"HTTP/") && status.is_some_and(|status| status.starts_with(b"1") && status != b"101")
}

/// Listens for the frames of one direction.
#[derive(Debug)]
pub(crate) struct FrameTap {
    tracer: Tracer,
    direction: TraceDirection,
    /// Since when it has seen everything.
    since: Option<Epoch>,
    state: TapState,
    /// The header of the frame that passes, as far as it has, and the beginning of its payload.
    raw: Vec<u8>,
}

/// What passes next.
#[derive(Clone, Copy, Debug)]
enum TapState {
    /// The header of a frame, or the rest of one.
    Header,
    /// So much of the payload of a frame.
    Payload { header: FrameHeader, header_len: usize, missing: u64 },
    /// So much of a frame whose beginning nobody has seen.
    Unseen { missing: u64 },
    /// What is no frame.
    Malformed,
}

impl FrameTap {
    /// How much of a payload is shown, in bytes.
    const SHOWN: usize = 1024;

    pub(crate) const fn new(tracer: Tracer, direction: TraceDirection) -> Self {
        Self { tracer, direction, since: None, state: TapState::Header, raw: Vec::new() }
    }

    /// Whether it has seen everything since `epoch` began.
    pub(crate) fn follows(&self, epoch: Epoch) -> bool {
        self.since == Some(epoch)
    }

    /// Begins to listen, where `missing` bytes of a frame are still to pass before the next one begins.
    pub(crate) fn join(&mut self, epoch: Epoch, missing: u64) {
        self.since = Some(epoch);
        self.state = if missing > 0 { TapState::Unseen { missing } } else { TapState::Header };
        self.raw.clear();
    }

    /// Takes note of what passes.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            bytes = match self.state {
                TapState::Header => match self.header(bytes) {
                    Some(rest) => rest,
                    None => return,
                },
                TapState::Payload { header, header_len, missing } => {
                    let (piece, rest) = cut(bytes, missing);
                    let room = (header_len + Self::SHOWN).saturating_sub(self.raw.len());
                    self.raw.extend_from_slice(&piece[..room.min(piece.len())]);
                    let missing = missing - piece.len() as u64;
                    if missing > 0 {
                        self.state = TapState::Payload { header, header_len, missing };
                        return;
                    }
                    self.tell(header, header_len);
                    self.begin();
                    rest
                }
                TapState::Unseen { missing } => {
                    let (piece, rest) = cut(bytes, missing);
                    let missing = missing - piece.len() as u64;
                    if missing > 0 {
                        self.state = TapState::Unseen { missing };
                        return;
                    }
                    self.begin();
                    rest
                }
                TapState::Malformed => return,
            };
        }
    }

    /// Looks at what may be a header; what is behind it is returned.
    fn header<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let seen = self.raw.len();
        let room = FrameHeader::MAX_LEN.saturating_sub(seen);
        self.raw.extend_from_slice(&bytes[..room.min(bytes.len())]);
        match FrameHeader::parse(&self.raw) {
            Ok(None) => None,
            Ok(Some((header, header_len))) => {
                self.raw.truncate(header_len);
                self.state = TapState::Payload { header, header_len, missing: header.len };
                Some(&bytes[header_len - seen..])
            }
            Err(_) => {
                self.state = TapState::Malformed;
                self.tracer.tell(self.direction, TraceEvent::Malformed(&self.raw));
                None
            }
        }
    }

    fn tell(&self, header: FrameHeader, header_len: usize) {
        let mut payload = self.raw[header_len..].to_vec();
        if let Some(key) = header.mask {
            mask(key, &mut payload);
        }
        let frame = TraceFrame { header, payload: &payload, raw: &self.raw };
        self.tracer.tell(self.direction, TraceEvent::Frame(frame));
    }

    fn begin(&mut self) {
        self.state = TapState::Header;
        self.raw.clear();
    }
}

/// The first `missing` bytes, as far as they are there, and the rest.
fn cut(bytes: &[u8], missing: u64) -> (&[u8], &[u8]) {
    bytes.split_at(usize::try_from(missing).unwrap_or(usize::MAX).min(bytes.len()))
}
