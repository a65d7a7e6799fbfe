//! The receiving side: compressed payload in, the message's bytes out.

use flate2::{FlushDecompress, Status};

use super::TAIL;
use super::params::DeflateParams;
use super::pool::{InflateState, OwnPool, StatePool};
use crate::buffer::ByteBuffer;
use crate::protocol::{FrameHeader, InboundExtension, Opcode, ProtocolError, Role, Room, Rsv};

/// Inflates received messages (RFC 7692, section 7.2.2); for [`Inbound::inflating`](crate::protocol::Inbound::inflating).
#[derive(Debug)]
pub struct Inflater {
    /// Whether the message in progress is compressed. What stands between its fragments does not change that.
    inflating: bool,
    /// Whether the peer keeps its window from one message to the next.
    takeover: bool,
    state: Option<InflateState>,
    pool: Box<dyn StatePool>,
    /// The last byte of compressed payload, or [`BOUNDARY`](Self::BOUNDARY).
    last: u8,
    /// Where the generic seam has its output made.
    scratch: ByteBuffer,
}

impl Inflater {
    /// What is inflated before the limit is looked at again, in bytes.
    const STEP: usize = 32 * 1024;
    /// The last byte where a block has just ended and no bit is left over: that of an empty stored block. No message ends in it as it
    /// is sent, since the header of that block, whose bits are zeros, comes last (RFC 7692, section 7.2.1).
    const BOUNDARY: u8 = 0xFF;
    /// Two empty blocks, which change nothing where a block can begin, and are an error or output almost everywhere else.
    const PROBE: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0xFF, 0xFF];

    /// For messages that come from this end.
    pub(super) fn new(params: &DeflateParams, sender: Role) -> Self {
        Self {
            inflating: false,
            takeover: params.takeover(sender),
            state: None,
            pool: Box::new(OwnPool::default()),
            last: Self::BOUNDARY,
            scratch: ByteBuffer::default(),
        }
    }

    pub(super) fn set_pool(&mut self, pool: Box<dyn StatePool>) {
        self.pool = pool;
    }

    /// Whether the message in progress is compressed.
    #[inline]
    pub(in crate::protocol) const fn is_inflating(&self) -> bool {
        self.inflating
    }

    /// A frame begins; returns the bit that marks a compressed message, if it is there. It belongs on the first frame of a
    /// message and nowhere else (RFC 7692, section 6.1).
    #[inline]
    pub(in crate::protocol) fn begin(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError> {
        let marked = header.rsv.contains(Rsv::RSV1);
        match header.opcode {
            Opcode::Text | Opcode::Binary => self.inflating = marked,
            _ if marked => return Err(ProtocolError::ReservedBits),
            _ => {}
        }
        Ok(if marked { Rsv::RSV1 } else { Rsv::NONE })
    }

    /// Inflates a piece of the message in progress, at most `room` bytes of it, of which those that it took are gone then.
    #[inline]
    pub(in crate::protocol) fn inflate(
        &mut self,
        piece: &[u8],
        out: &mut ByteBuffer,
        room: &mut Room,
    ) -> Result<(), ProtocolError> {
        let Some(&last) = piece.last() else { return Ok(()) };
        self.last = last;
        self.feed(piece, out, room)
    }

    /// Ends the message: what was cut off behind it is put back, and must complete it.
    pub(in crate::protocol) fn finish(&mut self, out: &mut ByteBuffer, room: &mut Room) -> Result<(), ProtocolError> {
        if self.state.is_none() {
            // A message without payload, and no other before it: legal it is not, but clear.
            return Ok(());
        }
        let before = out.len();
        let tail = const {
            let ([a, b, c, d], [e, f, g, h, i, j]) = (TAIL, Self::PROBE);
            [a, b, c, d, e, f, g, h, i, j]
        };
        let tail = if self.last == Self::BOUNDARY { &tail[TAIL.len()..] } else { &tail };
        self.feed(tail, out, room)?;
        self.last = Self::BOUNDARY;
        if out.len() != before {
            return Err(ProtocolError::ExtensionPayload);
        }
        if !self.takeover
            && let Some(mut state) = self.state.take()
        {
            state.0.reset(false);
            self.pool.give_inflate(state);
        }
        Ok(())
    }

    /// How many bytes of memory it holds, about.
    pub(in crate::protocol) fn memory(&self) -> usize {
        self.scratch.capacity() + if self.state.is_some() { InflateState::MEMORY } else { 0 }
    }

    fn feed(&mut self, mut input: &[u8], out: &mut ByteBuffer, room: &mut Room) -> Result<(), ProtocolError> {
        let pool = &mut self.pool;
        let zlib = &mut self.state.get_or_insert_with(|| pool.take_inflate().unwrap_or_else(InflateState::new)).0;
        loop {
            // Where nothing more is allowed, there must be nothing more, which takes room for a byte to see.
            let mut excess = [0];
            let space = if room.left == 0 { &mut excess[..] } else { out.stretch(Self::STEP, room.left) };
            let (length, read, made) = (space.len(), zlib.total_in(), zlib.total_out());
            let status =
                zlib.decompress(input, space, FlushDecompress::None).map_err(|_| ProtocolError::ExtensionPayload)?;
            let (read, made) = ((zlib.total_in() - read) as usize, (zlib.total_out() - made) as usize);
            if made > room.left {
                return Err(room.error());
            }
            room.left -= made;
            out.fill(made);
            input = &input[read..];
            if status == Status::StreamEnd {
                // The sender has ended its stream with a final block; the next begins another (RFC 7692, section 7.2.3.4).
                zlib.reset(false);
                if input.is_empty() {
                    self.last = Self::BOUNDARY;
                    return Ok(());
                }
            } else if made < length {
                return if input.is_empty() { Ok(()) } else { Err(ProtocolError::ExtensionPayload) };
            }
        }
    }
}

impl InboundExtension for Inflater {
    fn reserved_bits(&self) -> Rsv {
        Rsv::RSV1
    }

    fn header(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError> {
        self.begin(header)
    }

    fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, mut room: Room) -> Result<(), ProtocolError> {
        if !self.inflating {
            if piece.len() > room.left {
                return Err(room.error());
            }
            decoded.extend_from_slice(piece);
            return Ok(());
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let inflated = self.inflate(piece, &mut scratch, &mut room);
        decoded.extend_from_slice(scratch.as_slice());
        scratch.clear();
        if scratch.capacity() <= Self::STEP {
            self.scratch = scratch;
        }
        inflated
    }

    fn complete(&mut self, header: &FrameHeader, _: &mut Vec<u8>, mut room: Room) -> Result<(), ProtocolError> {
        if !(self.inflating && header.fin) {
            return Ok(());
        }
        // What is made of the end must be nothing.
        self.finish(&mut ByteBuffer::default(), &mut room)
    }
}
