//! What frames become on their way through extensions that the halves of a connection do not know.

use std::mem;

use super::extension::{InboundExtension, OutboundExtension, Room};
use crate::buffer::{ByteBuffer, Scratch};
use crate::message::{MessageKind, MessageRef};
use crate::protocol::outbound::Compression;
use crate::protocol::utf8::{Utf8Validator, from_utf8};
use crate::protocol::{
    Deflater, Fin, FrameHeader, Inbound, Inflater, Limits, LocalProtocolError, Opcode, Outbound, ProtocolError, Role,
    Rsv, TextPolicy,
};

/// Decodes what is received through the extensions that were agreed upon, in the order in which received frames pass them.
#[derive(Debug)]
pub(super) struct ExtensionDecoder {
    extensions: Vec<Box<dyn InboundExtension>>,
    max_message_size: usize,
    policy: TextPolicy,
    /// How many bytes of the message in progress were decoded, and its text.
    size: usize,
    utf8: Utf8Validator,
    /// What the last chunk was decoded to, behind the beginning of a character that the one before ended with.
    decoded: Scratch,
    /// What an extension makes of that, in turn.
    scratch: Scratch,
}

impl ExtensionDecoder {
    pub(super) const fn new(
        extensions: Vec<Box<dyn InboundExtension>>,
        max_message_size: usize,
        policy: TextPolicy,
    ) -> Self {
        Self {
            extensions,
            max_message_size,
            policy,
            size: 0,
            utf8: Utf8Validator::new(),
            decoded: Scratch::new(),
            scratch: Scratch::new(),
        }
    }

    /// The receiving half that gives the decoder its chunks.
    pub(super) fn inbound(&self, role: Role, limits: Limits) -> Inbound {
        let none = Rsv::NONE;
        let reserved = self.extensions.iter().fold(none, |bits, extension| bits | extension.reserved_bits());
        Inbound::encoded(role, limits, reserved)
    }

    /// A frame has begun: every reserved bit must be claimed by an extension (RFC 6455, section 5.2).
    pub(super) fn header(&mut self, header: &FrameHeader) -> Result<(), ProtocolError> {
        let mut claimed = Rsv::NONE;
        for extension in &mut self.extensions {
            claimed = claimed | extension.header(header)?;
        }
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.size = 0;
        }
        if claimed.contains(header.rsv) { Ok(()) } else { Err(ProtocolError::ReservedBits) }
    }

    /// Decodes a chunk of a data frame; text comes in whole characters.
    ///
    /// An octet that makes text invalid is told before whatever is wrong with what comes behind it, however the bytes were cut.
    pub(super) fn decode(
        &mut self,
        header: &FrameHeader,
        frame_finished: bool,
        payload: &[u8],
        kind: MessageKind,
    ) -> Result<MessageRef<'_>, ProtocolError> {
        let cut = self.decoded.bytes.split_off(self.decoded.bytes.len() - self.utf8.incomplete());
        let room = Room::new(self.max_message_size.saturating_sub(self.size), self.max_message_size);
        self.decoded.clear();
        self.decoded.bytes.extend_from_slice(payload);
        let mut result = Ok(());
        for extension in &mut self.extensions {
            self.scratch.clear();
            let mut passed = extension.payload(&self.decoded.bytes, &mut self.scratch.bytes, room);
            // What an extension before has failed at has no end.
            if passed.is_ok() && result.is_ok() && frame_finished {
                passed = extension.complete(header, &mut self.scratch.bytes, room);
            }
            result = result.and(passed);
            mem::swap(&mut self.decoded, &mut self.scratch);
        }
        let decoded = &mut self.decoded.bytes;
        if decoded.len() > room.left {
            decoded.truncate(room.left);
            result = result.and_then(|()| Err(room.error()));
        }
        self.size += decoded.len();
        let is_text = (kind, self.policy) == (MessageKind::Text, TextPolicy::Validate);
        if is_text {
            self.utf8.push(decoded)?;
        }
        result?;
        if is_text && frame_finished && header.fin {
            self.utf8.finish()?;
        }
        decoded.splice(..0, cut);
        if !is_text {
            return Ok(MessageRef::Binary(decoded));
        }
        let whole = &decoded[..decoded.len() - self.utf8.incomplete()];
        Ok(MessageRef::Text(from_utf8(whole)?))
    }
}

/// Encodes a data frame through the extensions that were agreed upon, in that order; returns its length in bytes.
pub(super) fn encode(
    extensions: &mut [Box<dyn OutboundExtension>],
    outbound: &mut Outbound,
    opcode: Opcode,
    fin: Fin,
    payload: &[u8],
) -> Result<usize, LocalProtocolError> {
    outbound.check_data(opcode)?;
    let mut header = FrameHeader { fin: fin == Fin::Last, rsv: Rsv::NONE, opcode, mask: None, len: 0 };
    let mut payload = payload.to_vec();
    for extension in extensions {
        let mut encoded = Vec::new();
        extension.frame(&mut header, &payload, &mut encoded);
        payload = encoded;
    }
    outbound.data_encoded(opcode, fin, header.rsv, &payload)
}

/// permessage-deflate beside other extensions: whether the message in progress is compressed is not known to the receiving half.
#[derive(Debug)]
struct SeparateInflater {
    inflater: Inflater,
    inflating: bool,
}

impl InboundExtension for SeparateInflater {
    fn reserved_bits(&self) -> Rsv {
        Rsv::RSV1
    }

    /// The bit belongs on the first frame of a message and nowhere else (RFC 7692, section 6.1).
    fn header(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError> {
        let marked = header.rsv.contains(Rsv::RSV1);
        match header.opcode {
            Opcode::Text | Opcode::Binary => self.inflating = marked,
            _ if marked => return Err(ProtocolError::ReservedBits),
            _ => {}
        }
        Ok(if marked { Rsv::RSV1 } else { Rsv::NONE })
    }

    fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError> {
        if !self.inflating {
            let fits = piece.len().min(room.left);
            decoded.extend_from_slice(&piece[..fits]);
            return if fits == piece.len() { Ok(()) } else { Err(room.error()) };
        }
        let mut inflated = ByteBuffer::default();
        let result = self.inflater.inflate(piece, &mut inflated, room);
        decoded.extend_from_slice(inflated.as_slice());
        result
    }

    fn complete(&mut self, header: &FrameHeader, _: &mut Vec<u8>, _: Room) -> Result<(), ProtocolError> {
        if self.inflating && header.fin {
            self.inflater.finish()?;
            self.inflater.give_back();
        }
        Ok(())
    }
}

impl From<Inflater> for Box<dyn InboundExtension> {
    fn from(inflater: Inflater) -> Self {
        Box::new(SeparateInflater { inflater, inflating: false })
    }
}

impl OutboundExtension for Deflater {
    fn frame(&mut self, header: &mut FrameHeader, payload: &[u8], encoded: &mut Vec<u8>) {
        let fin = if header.fin { Fin::Last } else { Fin::More };
        let deflating = self.would_deflate(header.opcode, fin, payload.len() as u64, Compression::Agreed);
        encoded.extend_from_slice(if deflating { self.deflate(fin, payload) } else { payload });
        self.begin(deflating);
        if deflating && header.opcode != Opcode::Continuation {
            header.rsv = header.rsv | Rsv::RSV1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Retention;

    #[test]
    fn the_memory_of_a_large_chunk_is_given_back() {
        let extensions: Vec<Box<dyn InboundExtension>> = vec![Box::new(Copy), Box::new(Copy)];
        let mut decoder = ExtensionDecoder::new(extensions, usize::MAX, TextPolicy::Validate);
        let header = FrameHeader { fin: true, rsv: Rsv::NONE, opcode: Opcode::Text, mask: None, len: 0 };
        let mut decode = |payload: &[u8]| {
            decoder.header(&header).unwrap();
            let text = decoder.decode(&header, true, payload, MessageKind::Text).unwrap();
            assert_eq!(text.as_bytes(), payload);
            decoder.decoded.bytes.capacity() + decoder.scratch.bytes.capacity()
        };
        assert!(decode(&vec![b'x'; 1 << 20]) >= 1 << 20);
        let held = (0..2 * usize::from(Retention::RUN)).map(|_| decode(b"small")).last();
        assert!(held <= Some(2 * Retention::SMALLEST), "{held:?} bytes");
    }

    /// Changes nothing.
    #[derive(Debug)]
    struct Copy;

    impl InboundExtension for Copy {
        fn reserved_bits(&self) -> Rsv {
            Rsv::NONE
        }

        fn header(&mut self, _: &FrameHeader) -> Result<Rsv, ProtocolError> {
            Ok(Rsv::NONE)
        }

        fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, _: Room) -> Result<(), ProtocolError> {
            decoded.extend_from_slice(piece);
            Ok(())
        }

        fn complete(&mut self, _: &FrameHeader, _: &mut Vec<u8>, _: Room) -> Result<(), ProtocolError> {
            Ok(())
        }
    }
}
