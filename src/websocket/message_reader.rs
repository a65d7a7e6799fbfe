//! A message that is received as it is read.

use std::io::{self, Read};

use super::reader::{ControlFrames, Reader};
use super::shared::Shared;
use crate::error::Result;
use crate::message::MessageKind;
use crate::protocol::{Granularity, Piece, Step};

/// Reads one message before all of it has arrived; the end of the message is the end of the reader.
///
/// Text is valid UTF-8, checked as it comes. Dropped early, the rest of the message is skipped by the next receive.
///
/// ```no_run
/// use std::io::Read;
///
/// use websocket_sync::create_connection;
///
/// let mut ws = create_connection("ws://localhost:9001/")?;
/// let mut message = ws.message_reader()?;
/// let mut first = [0; 16];
/// message.read_exact(&mut first)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageReader<'a> {
    reader: &'a mut Reader,
    shared: &'a Shared,
    piece: Piece,
    /// How much of the piece was read.
    read: usize,
}

impl<'a> MessageReader<'a> {
    /// Waits for a message to begin.
    pub(super) fn new(reader: &'a mut Reader, shared: &'a Shared) -> Result<Self> {
        let piece = next_piece(reader, shared)?;
        Ok(Self { reader, shared, piece, read: 0 })
    }

    /// Whether the message is text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.piece.kind
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let message = self.reader.inbound.message().map_err(crate::Error::Protocol)?;
            let unread = message.as_bytes().get(self.read..).unwrap_or_default();
            if !unread.is_empty() || buf.is_empty() {
                let length = unread.len().min(buf.len());
                buf[..length].copy_from_slice(&unread[..length]);
                self.read += length;
                return Ok(length);
            }
            if self.piece.message_finished {
                return Ok(0);
            }
            self.piece = next_piece(self.reader, self.shared)?;
            self.read = 0;
        }
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        self.reader.inbound.skip_message();
    }
}

fn next_piece(reader: &mut Reader, shared: &Shared) -> Result<Piece> {
    loop {
        if let Step::Piece(piece) = reader.receive(shared, Granularity::Piece, ControlFrames::Hide, &mut None)? {
            return Ok(piece);
        }
    }
}
