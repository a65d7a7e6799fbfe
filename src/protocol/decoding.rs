//! The extensions of the receiving half, one after the other.

use super::continuous_frame::ContinuousFrame;
use super::error::ProtocolError;
use super::extension::{InboundExtension, Room};
use super::frame::{FrameHeader, Rsv};
use super::frame_buffer::Part;

/// Passes the payload of data frames through the negotiated extensions; without any, hands it on as it lies.
#[derive(Debug)]
pub(crate) struct Decoding {
    extensions: Vec<Box<dyn InboundExtension>>,
    max_message_size: usize,
    /// What an extension was given and what it made of it, in turn.
    piece: Vec<u8>,
    decoded: Vec<u8>,
}

impl Decoding {
    pub(crate) const fn new(extensions: Vec<Box<dyn InboundExtension>>, max_message_size: usize) -> Self {
        Self { extensions, max_message_size, piece: Vec::new(), decoded: Vec::new() }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.extensions.is_empty()
    }

    pub(crate) const fn capacity(&self) -> usize {
        self.piece.capacity() + self.decoded.capacity()
    }

    pub(crate) fn release(&mut self) {
        self.piece = Vec::new();
        self.decoded = Vec::new();
    }

    /// A frame begins: every reserved bit must be claimed by an extension (RFC 6455, section 5.2).
    #[inline]
    pub(crate) fn header(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let mut claimed = Rsv::NONE;
        for extension in &mut self.extensions {
            claimed = claimed | extension.header(header)?;
        }
        if claimed.contains(header.rsv) { Ok(()) } else { Err(ProtocolError::ReservedBits) }
    }

    /// Decodes a part of a data frame and hands it on to `gather`.
    #[inline]
    pub(crate) fn piece(
        &mut self,
        part: &Part,
        payload: &[u8],
        message: &mut ContinuousFrame,
        gather: impl FnOnce(&mut ContinuousFrame, &[u8]) -> Result<(), ProtocolError>,
    ) -> Result<(), ProtocolError> {
        if self.extensions.is_empty() {
            return gather(message, payload);
        }
        self.decode(part, payload, message.room())?;
        message.announce(self.piece.len() as u64)?;
        gather(message, &self.piece)
    }

    fn decode(&mut self, part: &Part, payload: &[u8], left: usize) -> Result<(), ProtocolError> {
        let room = Room::new(left, self.max_message_size);
        self.piece.clear();
        self.piece.extend_from_slice(payload);
        for extension in &mut self.extensions {
            self.decoded.clear();
            extension.payload(&self.piece, &mut self.decoded, room)?;
            if part.last {
                extension.complete(&part.header, &mut self.decoded, room)?;
            }
            std::mem::swap(&mut self.piece, &mut self.decoded);
        }
        Ok(())
    }
}
