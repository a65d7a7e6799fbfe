//! Several messages in one write.

use super::turn::Turn;
use crate::error::Result;
use crate::message::MessageRef;
use crate::protocol::LocalProtocolError;

/// Gathers messages, so that many small ones leave in one write; made by [`WebSocket::cork`](crate::WebSocket::cork).
#[derive(Debug)]
pub struct Batch<'a> {
    turn: Turn<'a>,
}

impl<'a> Batch<'a> {
    /// How much is gathered before it is written, in bytes.
    const FULL: usize = 64 * 1024;

    pub(super) const fn new(turn: Turn<'a>) -> Self {
        Self { turn }
    }

    /// Adds a text message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<usize> {
        self.send(MessageRef::Text(text))
    }

    /// Adds a binary message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_binary`](crate::WebSocket::send_binary).
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<usize> {
        self.send(MessageRef::Binary(bytes))
    }

    /// Adds a ping.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<()> {
        self.turn.encode(|outbound| outbound.ping(payload)).map(|_| ())
    }

    /// Writes what is gathered so far.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.turn.flush();
        if flushed.is_err() {
            self.turn.tear();
        }
        flushed
    }

    #[inline]
    fn send(&mut self, message: MessageRef<'_>) -> Result<usize> {
        if message.as_bytes().len() > Self::FULL {
            self.flush()?;
            return self.turn.message(message).map(frame_length);
        }
        let length = self.turn.encode_message(message)?;
        if self.turn.pending() >= Self::FULL {
            self.flush()?;
        }
        Ok(length)
    }
}

/// A frame that lies in memory has a length that fits.
pub(super) fn frame_length(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

/// For a payload whose length was announced wrong.
pub(super) const WRONG_LENGTH: LocalProtocolError = LocalProtocolError::PayloadLength;
