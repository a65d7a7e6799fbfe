//! The receiving side: compressed payload in, the message's bytes out.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::TAIL;
use super::negotiation::DeflateParams;
use super::pool::{IdleStates, InflateState, StatePool};
use crate::buffer::ByteBuffer;
use crate::protocol::{ProtocolError, Role, Room};

/// Inflates received messages (RFC 7692, section 7.2.2); for [`Inbound::inflating`](crate::protocol::Inbound::inflating).
#[derive(Debug)]
pub struct Inflater {
    /// Whether the peer keeps its window from one message to the next.
    takeover: bool,
    state: Option<InflateState>,
    idle: IdleStates,
    /// The last byte of compressed payload, or [`BOUNDARY`](Self::BOUNDARY).
    last: u8,
}

impl Inflater {
    /// What there is room for at least whenever something is inflated, in bytes.
    const LEAST: usize = 1024;
    /// The last byte where a block has just ended and no bit is left over: that of an empty stored block. No message ends in it as it
    /// is sent, since the header of that block, whose bits are zeros, comes last (RFC 7692, section 7.2.1).
    const BOUNDARY: u8 = 0xFF;
    /// A stored block without content, from the boundary of a byte (RFC 1951, section 3.2.4).
    const EMPTY_BLOCK: [u8; 5] = [0x00, 0x00, 0x00, 0xFF, 0xFF];

    /// For messages that come from this end.
    pub(super) fn new(params: &DeflateParams, sender: Role) -> Self {
        Self { takeover: params.takeover(sender), state: None, idle: IdleStates::default(), last: Self::BOUNDARY }
    }

    pub(super) fn set_pool(&mut self, pool: Box<dyn StatePool>) {
        self.idle = IdleStates::Shared(pool);
    }

    /// Asks the pool for a state, unless there is one: the pool may be the user's, and panic, which must not happen in the midst of
    /// something.
    pub(in crate::protocol) fn take_state(&mut self) {
        zlib(&mut self.state, &mut self.idle);
    }

    /// Gives the state back after a message, unless the next one needs its window.
    pub(in crate::protocol) fn give_back(&mut self) {
        if !self.takeover
            && let Some(mut state) = self.state.take()
        {
            state.0.reset(false);
            self.idle.pool().give_inflate(state);
        }
    }

    /// Appends to `out` what a chunk of the message in progress inflates to, at most `room`. After an error, it is there up to the
    /// place of the error, and does not depend on how the message was cut.
    #[inline]
    pub(in crate::protocol) fn inflate(
        &mut self,
        chunk: &[u8],
        out: &mut ByteBuffer,
        room: Room,
    ) -> Result<(), ProtocolError> {
        let Some(&last) = chunk.last() else { return Ok(()) };
        self.last = last;
        let end = out.len().saturating_add(room.left);
        let mut input = chunk;
        let zlib = zlib(&mut self.state, &mut self.idle);
        loop {
            // Where nothing more is allowed, there must be nothing more, which takes room for a byte to see.
            let mut excess = [0];
            let left = end - out.len();
            let space = match left {
                0 => &mut excess[..],
                _ => out.room_within(Self::LEAST, left).map_err(|_| ProtocolError::OutOfMemory)?,
            };
            let (length, read, made) = (space.len(), zlib.total_in(), zlib.total_out());
            let status = zlib.decompress(input, space, InflateFlush::NoFlush);
            let (read, made) = ((zlib.total_in() - read) as usize, (zlib.total_out() - made) as usize);
            if made > left {
                return Err(room.error());
            }
            out.fill(made);
            input = &input[read..];
            match status {
                Err(_) => return Err(ProtocolError::ExtensionPayload),
                // The sender has ended its stream with a final block; the next begins another (RFC 7692, section 7.2.3.4).
                Ok(Status::StreamEnd) => {
                    zlib.reset(false);
                    if input.is_empty() {
                        self.last = Self::BOUNDARY;
                        return Ok(());
                    }
                }
                Ok(_) if made == length => {}
                Ok(_) if input.is_empty() => return Ok(()),
                Ok(_) => return Err(ProtocolError::ExtensionPayload),
            }
        }
    }

    /// Ends the message: what was cut off behind it is put back, and must bring it to the end of a block (RFC 7692, section 7.2.2).
    pub(in crate::protocol) fn finish(&mut self) -> Result<(), ProtocolError> {
        let Some(state) = &mut self.state else {
            // A message without payload, and no other before it: legal it is not, but clear.
            return Ok(());
        };
        let tail = if self.last == Self::BOUNDARY { &[][..] } else { &TAIL };
        self.last = Self::BOUNDARY;
        // What follows is looked at up to the end of a block. Only where a block can begin it is not taken, or taken by itself; bits
        // of the last byte, all of them ones, make it a final block or an error.
        for (block, next) in [(tail, &Self::EMPTY_BLOCK), (&Self::EMPTY_BLOCK[..], &Self::EMPTY_BLOCK)] {
            if !block.is_empty() && !ends_block(&mut state.0, block, next) {
                return Err(ProtocolError::ExtensionPayload);
            }
        }
        Ok(())
    }

    /// Gives back the memory of states that no message needs.
    pub(in crate::protocol) fn release(&mut self) {
        self.idle.release();
    }

    /// Whether there is any.
    pub(in crate::protocol) const fn can_release(&self) -> bool {
        self.idle.memory() > 0
    }

    /// How many bytes of memory it holds, about.
    pub(in crate::protocol) const fn memory(&self) -> usize {
        let in_use = if self.state.is_some() { InflateState::MEMORY } else { 0 };
        in_use + self.idle.memory()
    }
}

/// The state of zlib, there from the first message on.
fn zlib<'a>(state: &'a mut Option<InflateState>, idle: &mut IdleStates) -> &'a mut Inflate {
    &mut state.get_or_insert_with(|| idle.pool().take_inflate().unwrap_or_else(InflateState::new)).0
}

/// Whether these bytes end a block that makes no output, and `next`, which lies behind them, begins another.
fn ends_block(zlib: &mut Inflate, block: &[u8], next: &[u8; 5]) -> bool {
    let mut input = [0; 10];
    let length = block.len();
    input[..length].copy_from_slice(block);
    input[length..length + next.len()].copy_from_slice(next);
    let (read, made) = (zlib.total_in(), zlib.total_out());
    let status = zlib.decompress(&input[..length + next.len()], &mut [0], InflateFlush::Block);
    status == Ok(Status::Ok) && zlib.total_in() - read == length as u64 && zlib.total_out() == made
}
