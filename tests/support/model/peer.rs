//! A peer that follows a script: it takes either role of the opening handshake, sends bytes in given cuts with pauses, reads or does
//! not read, and ends the connection in whichever way a connection can end.
//!
//! It uses one thread, and reads while it waits for room to write unless it is told not to read.

use std::io;
use std::time::{Duration, Instant};

use super::frames::{self, Frame};
use super::world::now;

/// How long the peer does not read although it could: longer than any timeout of a program.
pub(crate) const DEAFNESS: Duration = Duration::from_secs(1);

/// The peer's end of a stream of bytes, which does not wait by itself.
pub(crate) trait Wire: Send + 'static {
    /// # Errors
    ///
    /// `WouldBlock` when nothing is there.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// # Errors
    ///
    /// `WouldBlock` when there is no room.
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Waits until one of the directions can be used, or time is up.
    fn wait(&self, readable: bool, writable: bool, longest: Duration);

    /// Ends what this side sends.
    fn shutdown_write(&self);

    /// Ends both directions; what is on its way is lost.
    fn reset(&self);
}

/// How bytes are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    /// So many bytes at a time.
    pub(crate) length: usize,
    pub(crate) pause: Duration,
}

impl Cuts {
    pub(crate) const NONE: Self = Self { length: usize::MAX, pause: Duration::ZERO };
}

/// Whether the peer reads while it does something else.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Reads {
    Yes,
    No,
}

/// How what comes from the other side has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    Eof,
    Error(io::ErrorKind),
}

/// The peer, with all that it has received.
pub(crate) struct Peer<W> {
    wire: W,
    /// All that was received.
    pub(crate) received: Vec<u8>,
    /// How much of it was looked at.
    parsed: usize,
    pub(crate) end: Option<End>,
    /// Nothing can be sent any more.
    is_mute: bool,
}

impl<W: Wire> Peer<W> {
    pub(crate) const fn new(wire: W) -> Self {
        Self { wire, received: Vec::new(), parsed: 0, end: None, is_mute: false }
    }

    /// Receives the head of an HTTP message; `None` if the other side ends before it has sent one.
    pub(crate) fn head(&mut self, patience: Duration) -> Option<String> {
        let until = now() + patience;
        loop {
            let unread = &self.received[self.parsed..];
            if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&unread[..end + 4]).into_owned();
                self.parsed += end + 4;
                return Some(head);
            }
            if self.end.is_some() || now() >= until {
                return None;
            }
            self.pass(&mut &[][..], Reads::Yes, until);
        }
    }

    /// Forgets what was received and looked at: what follows are frames.
    pub(crate) fn begin_frames(&mut self) {
        self.received.drain(..self.parsed);
        self.parsed = 0;
    }

    /// Sends bytes; says whether all have left within `patience`. It does not go without reading for ever, since the other side may wait
    /// for that before it reads itself.
    pub(crate) fn send(&mut self, bytes: &[u8], cuts: Cuts, reads: Reads, patience: Duration) -> bool {
        let begin = now();
        let until = begin + patience;
        let deaf_until = begin + DEAFNESS;
        for (number, piece) in bytes.chunks(cuts.length.max(1)).enumerate() {
            if number > 0 && !cuts.pause.is_zero() {
                self.pause(cuts.pause, reads);
            }
            let mut rest = piece;
            while !rest.is_empty() {
                if self.is_mute || now() >= until {
                    return false;
                }
                match reads {
                    Reads::No if now() < deaf_until => self.pass(&mut rest, reads, until.min(deaf_until)),
                    _ => self.pass(&mut rest, Reads::Yes, until),
                }
            }
        }
        true
    }

    /// Waits, and receives meanwhile if it is to.
    pub(crate) fn pause(&mut self, length: Duration, reads: Reads) {
        let until = now() + length;
        while now() < until {
            self.pass(&mut &[][..], reads, until);
        }
    }

    /// Receives until there is a frame, and returns it; `None` if none comes by then, or no frame can come any more.
    pub(crate) fn frame(&mut self, until: Instant) -> Option<Frame> {
        loop {
            if let Ok(Some((frame, length))) = frames::parse(&self.received[self.parsed..]) {
                self.parsed += length;
                return Some(frame);
            }
            if self.end.is_some() || now() >= until {
                return None;
            }
            self.pass(&mut &[][..], Reads::Yes, until);
        }
    }

    pub(crate) fn shutdown_write(&mut self) {
        self.is_mute = true;
        self.wire.shutdown_write();
    }

    pub(crate) fn reset(&mut self) {
        self.is_mute = true;
        self.wire.reset();
    }

    /// Passes on what can be passed on, in both directions; waits if that is nothing.
    fn pass(&mut self, rest: &mut &[u8], reads: Reads, until: Instant) {
        let mut moved = false;
        if !rest.is_empty() && !self.is_mute {
            match self.wire.try_write(rest) {
                Ok(length) => {
                    *rest = &rest[length..];
                    moved = true;
                }
                Err(error) if is_retried(&error) => {}
                Err(_) => self.is_mute = true,
            }
        }
        let reads = reads == Reads::Yes && self.end.is_none();
        if reads {
            let mut buffer = [0; 4096];
            match self.wire.try_read(&mut buffer) {
                Ok(0) => {
                    self.end = Some(End::Eof);
                    moved = true;
                }
                Ok(length) => {
                    self.received.extend_from_slice(&buffer[..length]);
                    moved = true;
                }
                Err(error) if is_retried(&error) => {}
                Err(error) => {
                    self.end = Some(End::Error(error.kind()));
                    moved = true;
                }
            }
        }
        let writes = !rest.is_empty() && !self.is_mute;
        if !moved && (writes || rest.is_empty()) {
            self.wire.wait(reads && self.end.is_none(), writes, until.saturating_duration_since(now()));
        }
    }
}

fn is_retried(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
