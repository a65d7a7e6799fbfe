//! What was agreed to be done to received messages: compression, and the extensions of others.

use super::continuous_frame::ContinuousFrame;
use super::deflate::Inflater;
use super::error::ProtocolError;
use super::extension::{InboundExtension, Room};
use super::frame::{FrameHeader, Rsv};
use super::frame_buffer::Part;
use super::step::Gather;

/// Decodes the payload of data frames on its way to the message; where nothing was agreed, hands it on as it lies.
#[derive(Debug)]
pub(crate) struct Decoding {
    /// Knows the message's buffer and inflates straight into it. Not together with `extensions`.
    inflater: Option<Inflater>,
    extensions: Vec<Box<dyn InboundExtension>>,
    max_message_size: usize,
    /// What an extension was given and what it made of it, in turn.
    piece: Vec<u8>,
    decoded: Vec<u8>,
}

impl Decoding {
    pub(crate) const fn new(
        inflater: Option<Inflater>,
        extensions: Vec<Box<dyn InboundExtension>>,
        max_message_size: usize,
    ) -> Self {
        Self { inflater, extensions, max_message_size, piece: Vec::new(), decoded: Vec::new() }
    }

    /// Whether the message in progress is as it came.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.extensions.is_empty() && !self.is_inflating()
    }

    /// Whether the message in progress is inflated straight into its buffer.
    #[inline]
    pub(crate) const fn is_inflating(&self) -> bool {
        match &self.inflater {
            Some(inflater) => inflater.is_inflating(),
            None => false,
        }
    }

    /// Whether extensions of others were agreed upon.
    pub(crate) const fn has_extensions(&self) -> bool {
        !self.extensions.is_empty()
    }

    /// The bits that frames may have.
    pub(crate) fn reserved_bits(&self) -> Rsv {
        let ours = if self.inflater.is_some() { Rsv::RSV1 } else { Rsv::NONE };
        self.extensions.iter().fold(ours, |bits, extension| bits | extension.reserved_bits())
    }

    pub(crate) fn capacity(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.memory());
        inflater + self.piece.capacity() + self.decoded.capacity()
    }

    pub(crate) fn release(&mut self) {
        self.piece = Vec::new();
        self.decoded = Vec::new();
    }

    /// A frame begins: every reserved bit must be claimed by an extension (RFC 6455, section 5.2).
    #[inline]
    pub(crate) fn header(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let mut claimed = match &mut self.inflater {
            Some(inflater) => inflater.begin(header)?,
            None => Rsv::NONE,
        };
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
        gather: Gather,
    ) -> Result<(), ProtocolError> {
        if let Some(inflater) = self.inflater.as_mut().filter(|inflater| inflater.is_inflating()) {
            return inflate(inflater, part, payload, message, gather);
        }
        if self.extensions.is_empty() {
            return message.gather(payload, gather);
        }
        self.decode(part, payload, message.room())?;
        message.announce(self.piece.len() as u64)?;
        message.gather(&self.piece, gather)
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

/// Inflates a part where the message is put together.
fn inflate(
    inflater: &mut Inflater,
    part: &Part,
    payload: &[u8],
    message: &mut ContinuousFrame,
    gather: Gather,
) -> Result<(), ProtocolError> {
    message.gather_inflated(gather, part.is_whole_message(), |bytes, room| {
        inflater.inflate(payload, bytes, room)?;
        if part.ends_message() { inflater.finish(bytes, room) } else { Ok(()) }
    })
}
