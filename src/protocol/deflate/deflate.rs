//! The sending side: a message's bytes in, compressed payload out.

use zlib_rs::DeflateFlush;

use super::TAIL;
use super::negotiation::{DeflateOptions, DeflateParams};
use super::pool::{DeflateShape, DeflateState, IdleStates, StatePool};
use crate::buffer::ByteBuffer;
use crate::protocol::outbound::Compression;
use crate::protocol::{Fin, Opcode, Role};

/// Compresses messages to be sent (RFC 7692, section 7.2.1); for [`Outbound::deflating`](crate::protocol::Outbound::deflating).
///
/// What each frame brings is flushed with it, so that the peer can inflate all of it when it has the frame.
#[derive(Debug)]
pub struct Deflater {
    /// Whether the message in progress is compressed.
    deflating: bool,
    /// `None` where the window that was agreed to is too small for zlib: then nothing is compressed.
    shape: Option<DeflateShape>,
    /// Whether the window is kept from one message to the next.
    takeover: bool,
    threshold: usize,
    state: Option<DeflateState>,
    idle: IdleStates,
    payload: ByteBuffer,
}

impl Deflater {
    /// For messages that this end sends.
    pub(super) fn new(options: &DeflateOptions, params: &DeflateParams, role: Role) -> Self {
        let takeover = params.takeover(role);
        Self {
            deflating: false,
            shape: DeflateShape::new(options.level, params.window_bits(role)),
            takeover,
            threshold: options.threshold_for(takeover),
            state: None,
            idle: IdleStates::default(),
            payload: ByteBuffer::default(),
        }
    }

    pub(super) fn set_pool(&mut self, pool: Box<dyn StatePool>) {
        self.idle = IdleStates::Shared(pool);
    }

    /// Whether this data frame would be compressed. That is decided for a message by its first frame.
    #[inline]
    pub(in crate::protocol) fn would_deflate(
        &self,
        opcode: Opcode,
        fin: Fin,
        len: u64,
        compression: Compression,
    ) -> bool {
        match opcode {
            Opcode::Text | Opcode::Binary => {
                let worth = fin == Fin::More || len >= self.threshold as u64;
                worth && self.shape.is_some() && compression == Compression::Agreed
            }
            _ => self.deflating,
        }
    }

    /// A data frame begins that would be compressed, or would not.
    #[inline]
    pub(in crate::protocol) const fn begin(&mut self, deflating: bool) {
        self.deflating = deflating;
    }

    /// Compresses the payload of a frame of a message that is compressed. The pool is asked for its states meanwhile: it may be the
    /// user's, and panic. Then the same frame, or another in its place, can be compressed again.
    pub(in crate::protocol) fn deflate(&mut self, fin: Fin, payload: &[u8]) -> &[u8] {
        self.payload.note_use(self.payload.len());
        self.payload.clear();
        self.feed(payload);
        if fin == Fin::Last {
            self.end_message();
        }
        self.deflated()
    }

    /// What was compressed last.
    pub(in crate::protocol) fn deflated(&self) -> &[u8] {
        self.payload.as_slice()
    }

    /// Whether the message in progress is compressed.
    pub(in crate::protocol) const fn is_deflating(&self) -> bool {
        self.deflating
    }

    /// Takes back what was compressed last, which the peer will never see. The window has moved with it, so it begins anew: that
    /// can be done at any time, since the peer's, which has more in it, holds all that this one will refer to.
    #[cold]
    pub(in crate::protocol) fn rollback(&mut self, deflating: bool) {
        self.deflating = deflating;
        if let Some(state) = &mut self.state {
            state.zlib.reset();
        }
    }

    /// Gives back the memory of what was compressed last, and of states that no message needs.
    pub(in crate::protocol) fn release(&mut self) {
        self.payload.release();
        self.idle.release();
    }

    /// Whether that is more than an idle connection pays for.
    pub(in crate::protocol) const fn can_release(&self) -> bool {
        self.payload.can_release() || self.idle.memory() > 0
    }

    /// How many bytes of memory it holds, about.
    pub(in crate::protocol) fn memory(&self) -> usize {
        let in_use = self.state.as_ref().map_or(0, |state| state.shape().memory());
        self.payload.capacity() + in_use + self.idle.memory()
    }

    /// Compresses and flushes: the output ends with an empty stored block. Nothing makes nothing: zlib does not flush twice.
    fn feed(&mut self, mut input: &[u8]) {
        let (Some(shape), false) = (self.shape, input.is_empty()) else { return };
        let idle = &mut self.idle;
        let taken = || idle.pool().take_deflate(shape).unwrap_or_else(|| DeflateState::new(shape));
        let state = self.state.get_or_insert_with(taken);
        loop {
            let room = self.payload.room(bound(input.len()));
            let (length, read, made) = (room.len(), state.zlib.total_in(), state.zlib.total_out());
            state.zlib.compress(input, room, DeflateFlush::SyncFlush).expect("zlib compresses whatever it is given");
            input = &input[(state.zlib.total_in() - read) as usize..];
            let made = (state.zlib.total_out() - made) as usize;
            self.payload.fill(made);
            if input.is_empty() && made < length {
                return;
            }
        }
    }

    /// Takes the end off that the peer puts back (RFC 7692, section 7.2.1). A message that is empty, or whose last fragment
    /// is, needs the beginning of that block (section 7.2.3.6).
    fn end_message(&mut self) {
        if self.payload.as_slice().ends_with(&TAIL) {
            self.payload.truncate(self.payload.len() - TAIL.len());
        } else {
            self.payload.room(1).copy_from_slice(&TAIL[..1]);
            self.payload.fill(1);
        }
        if !self.takeover
            && let Some(mut state) = self.state.take()
        {
            state.zlib.reset();
            self.idle.pool().give_deflate(state);
        }
    }
}

/// What a payload of this length becomes at worst, in bytes: nine bits for each of eight, headers, and an empty block.
const fn bound(length: usize) -> usize {
    length + length / 8 + 64
}
