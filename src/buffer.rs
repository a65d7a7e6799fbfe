//! Buffers whose memory follows the traffic: a window that is received into, and bytes that pile up.
//!
//! Memory grows by doubling, and is given back by one policy, [`Retention`]. Where a peer decides how far it grows, a system that has
//! none to give is an error, and no abort.

use std::collections::TryReserveError;
use std::fmt;

/// How much memory a buffer retains: the high-water mark of its latest uses decides.
///
/// A use is whatever fills the buffer and empties it again: a read, a frame, a message. The memory is cut down after
/// [`RUN`](Self::RUN) uses of which none needed a quarter of it. So one burst in a run keeps its memory, and what a single large
/// message has taken does not stay.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retention {
    /// The largest use of this run, in bytes.
    high_water: usize,
    /// How many uses this run has had.
    uses: u16,
}

impl Retention {
    /// What a buffer may always keep, in bytes: the price of an idle connection.
    pub(crate) const SMALLEST: usize = 4 * 1024;
    /// How many uses are looked at together. To shrink and grow again costs about as much as that many system calls.
    pub(crate) const RUN: u16 = 256;

    /// Takes note of a use of `used` bytes; returns what to cut the `capacity` down to, if that is due.
    #[inline]
    pub(crate) fn note(&mut self, used: usize, capacity: usize) -> Option<usize> {
        if capacity <= Self::SMALLEST { None } else { self.note_large(used, capacity) }
    }

    fn note_large(&mut self, used: usize, capacity: usize) -> Option<usize> {
        if used >= capacity / 4 {
            *self = Self::default();
            return None;
        }
        self.high_water = self.high_water.max(used);
        self.uses += 1;
        if self.uses < Self::RUN {
            return None;
        }
        let enough = (2 * self.high_water).next_power_of_two().max(Self::SMALLEST);
        *self = Self::default();
        (enough < capacity).then_some(enough)
    }
}

/// The capacity to grow to for `needed` bytes: `limit` halved as often as that leaves room for them. So memory doubles, and of a
/// buffer that becomes as large as it may be, half is there when it moves for the last time.
fn grown(needed: usize, limit: usize) -> usize {
    // Halves of this are powers of two.
    const UNLIMITED: usize = 1 << (usize::BITS - 1);
    match limit.min(UNLIMITED).checked_div(needed) {
        Some(ratio @ 1..) => limit.min(UNLIMITED) >> ratio.ilog2(),
        _ => needed,
    }
}

/// A buffer that is written at its end and read at its start: received bytes.
///
/// It holds nothing at first, then 4 KiB, doubles up to 128 KiB while reads fill it, and shrinks while they leave it mostly
/// unused. The bytes are initialised once, when they are allocated, never again before a read.
///
/// Invariant: `start <= end <= bytes.len()`, and `start >= HEADROOM` unless nothing is allocated. What lies between `start` and
/// `end` is received and unread, what lies behind `end` is room for the next read.
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// What the buffer's size should be, as the latest reads show; applied by the next [`space`](Self::space).
    wanted: usize,
    retention: Retention,
}

impl Window {
    /// What a read asks for at most. Half as much costs a message of 4 KiB a tenth; more gains no system calls worth having, and
    /// leaves the second level cache.
    const LARGEST: usize = 128 * 1024;
    /// What [`behind_padded`](Self::behind_padded) may extend by, and write to, in front of the first byte of a read.
    pub(crate) const HEADROOM: usize = 64;

    /// An empty window, without any memory.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            wanted: Retention::SMALLEST,
            retention: Retention { high_water: 0, uses: 0 },
        }
    }

    /// Where the next read may write to; [`received`](Self::received) then says how much it wrote.
    ///
    /// Never empty while fewer than 128 KiB are unread, unless the system has no memory for more.
    #[inline]
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = Self::HEADROOM;
            self.end = Self::HEADROOM;
            if self.bytes.len() != Self::HEADROOM + self.wanted {
                self.replace();
            }
        } else if self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.make_room();
        }
        &mut self.bytes[self.end..]
    }

    /// Takes note that a read wrote `n` bytes to the start of [`space`](Self::space).
    #[inline]
    pub(crate) fn received(&mut self, n: usize) {
        let space = self.bytes.len() - self.end;
        debug_assert!(n <= space, "{n} bytes received into {space}");
        if n >= space {
            self.wanted = (self.size() * 2).clamp(Retention::SMALLEST, Self::LARGEST);
        }
        if let Some(enough) = self.retention.note(n, self.size()) {
            self.wanted = enough;
        }
        self.end += n.min(space);
    }

    /// The bytes that have been received and not consumed.
    #[inline]
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The bytes that have been received and not consumed, to be changed where they lie.
    #[inline]
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// Drops the first `n` unread bytes. They stay where they are until the next [`space`](Self::space).
    #[inline]
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len(), "{n} bytes consumed of {}", self.len());
        self.start += n;
    }

    /// Drops all unread bytes.
    pub(crate) const fn discard(&mut self) {
        self.start = self.end;
    }

    /// The last `n` bytes that were consumed.
    #[inline]
    pub(crate) fn behind(&self, n: usize) -> &[u8] {
        &self.bytes[self.start - n..self.start]
    }

    /// The same with `padding` NULs in front, at most 64 of them.
    #[inline]
    pub(crate) fn behind_padded(&mut self, n: usize, padding: usize) -> &[u8] {
        debug_assert!(padding <= Self::HEADROOM);
        let start = self.start - Self::HEADROOM - n;
        let region = &mut self.bytes[start..self.start];
        // A constant number of them takes no loop.
        if let Some(consumed) = region.first_chunk_mut::<{ Self::HEADROOM }>() {
            *consumed = [0; Self::HEADROOM];
        }
        &region[Self::HEADROOM - padding..]
    }

    /// How many bytes are unread.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether everything has been consumed.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How much memory the window holds, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Whether more memory is held than an idle connection pays for, and nothing is unread.
    pub(crate) const fn can_release(&self) -> bool {
        self.is_empty() && self.size() > Retention::SMALLEST
    }

    /// Gives the memory back, if nothing is unread.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// How many bytes it can hold.
    const fn size(&self) -> usize {
        self.bytes.len().saturating_sub(Self::HEADROOM)
    }

    /// A buffer of the size that is wanted, or as it was where there is no memory for another.
    #[cold]
    fn replace(&mut self) {
        match zeroed(Self::HEADROOM + self.wanted) {
            Ok(bytes) => self.bytes = bytes,
            Err(_) if self.size() > 0 => self.wanted = self.size(),
            Err(_) => self.bytes = vec![0; Self::HEADROOM + Retention::SMALLEST],
        }
    }

    /// Less than half of the buffer is behind the unread bytes: moves them to the front, or grows if the latest read filled it.
    #[cold]
    fn make_room(&mut self) {
        if self.wanted > self.size() && self.resize(self.wanted).is_ok() {
            return;
        }
        if self.start > Self::HEADROOM {
            self.bytes.copy_within(self.start..self.end, Self::HEADROOM);
            self.end = Self::HEADROOM + self.len();
            self.start = Self::HEADROOM;
        } else if self.bytes.len() == self.end {
            // Without the memory there is no room, of which the read then says why.
            let _ = self.resize((self.size() * 2).min(Self::LARGEST).max(self.size()));
        }
    }

    /// A buffer of `size` bytes with the unread ones at its front. `size` is at least their number.
    fn resize(&mut self, size: usize) -> Result<(), TryReserveError> {
        let mut bytes = zeroed(Self::HEADROOM + size)?;
        let end = Self::HEADROOM + self.len();
        bytes[Self::HEADROOM..end].copy_from_slice(self.unread());
        let wanted = size.clamp(Retention::SMALLEST, Self::LARGEST);
        *self = Self { bytes, start: Self::HEADROOM, end, wanted, retention: Retention::default() };
        Ok(())
    }
}

fn zeroed(size: usize) -> Result<Vec<u8>, TryReserveError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size)?;
    bytes.resize(size, 0);
    Ok(bytes)
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

/// Says how much there is; the bytes themselves may be secrets, and many.
impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("unread", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }
}

/// Bytes that pile up: `bytes[..filled]`. What lies behind is initialised already and is the room for more.
///
/// A `Vec` by itself would have to be zero-filled before each read or each masking pass into its spare capacity.
#[derive(Default)]
pub(crate) struct ByteBuffer {
    /// Invariant: `filled <= bytes.len()`.
    bytes: Vec<u8>,
    filled: usize,
    retention: Retention,
}

impl ByteBuffer {
    /// How much is initialised at once at most beyond what is needed.
    const AHEAD: usize = 64 * 1024;

    /// What has piled up.
    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.filled]
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.filled
    }

    /// How many bytes of memory are held.
    pub(crate) const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Room for `wanted` more bytes of this side's own, to be written to and then taken over with [`fill`](Self::fill).
    #[inline]
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.filled < wanted && self.grow(wanted, usize::MAX).is_err() {
            // Ends the process, as everything does that runs out of memory by itself.
            self.bytes.resize(self.filled + wanted, 0);
        }
        &mut self.bytes[self.filled..][..wanted]
    }

    /// Room for what is not known in length: at least `least` bytes, unless no more than `most` may come at all, and at most `most`.
    /// Whoever fills it asks again.
    ///
    /// # Errors
    ///
    /// The system has no memory for it. What is there stays.
    #[inline]
    pub(crate) fn room_within(&mut self, least: usize, most: usize) -> Result<&mut [u8], TryReserveError> {
        let least = most.min(least);
        if self.bytes.len() - self.filled < least {
            let limit = self.filled.saturating_add(most);
            self.grow(self.filled.max(least).min(most), limit).or_else(|_| self.grow(least, limit))?;
        }
        Ok(self.spare(most))
    }

    /// The room that is there already, at most `most` bytes of it.
    pub(crate) fn spare(&mut self, most: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.filled.saturating_add(most));
        &mut self.bytes[self.filled..end]
    }

    /// Takes over `length` bytes of the room.
    #[inline]
    pub(crate) fn fill(&mut self, length: usize) {
        debug_assert!(length <= self.bytes.len() - self.filled);
        self.filled = self.bytes.len().min(self.filled + length);
    }

    /// Appends a copy of `chunk`; with others like it, it will be no more than `limit` bytes.
    ///
    /// # Errors
    ///
    /// The system has no memory for it. What is there stays.
    #[inline]
    pub(crate) fn extend(&mut self, chunk: &[u8], limit: usize) -> Result<(), TryReserveError> {
        match self.bytes.get_mut(self.filled..self.filled + chunk.len()) {
            Some(room) => {
                room.copy_from_slice(chunk);
                self.filled += chunk.len();
                Ok(())
            }
            None => self.extend_slowly(chunk, limit),
        }
    }

    #[cold]
    fn extend_slowly(&mut self, chunk: &[u8], limit: usize) -> Result<(), TryReserveError> {
        self.reserve(chunk.len(), limit)?;
        self.bytes.truncate(self.filled);
        self.bytes.extend_from_slice(chunk);
        self.filled += chunk.len();
        Ok(())
    }

    /// Forgets the bytes and keeps the memory.
    #[inline]
    pub(crate) const fn clear(&mut self) {
        self.filled = 0;
    }

    /// Forgets the first `length` bytes.
    pub(crate) fn drop_front(&mut self, length: usize) {
        self.bytes.copy_within(length..self.filled, 0);
        self.filled -= length;
    }

    /// Forgets all but the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.filled = self.filled.min(length);
    }

    /// Takes note of a use of `used` bytes that has ended, or goes on; gives memory back that the latest uses have left idle.
    #[inline]
    pub(crate) fn note_use(&mut self, used: usize) {
        if let Some(enough) = self.retention.note(used, self.capacity()) {
            self.shrink(enough);
        }
    }

    /// Whether more memory is held than an idle connection pays for.
    pub(crate) const fn can_release(&self) -> bool {
        self.capacity() > Retention::SMALLEST
    }

    /// Forgets the bytes and gives the memory back.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// The bytes as a `Vec`; the buffer is empty afterwards and holds nothing.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let Self { mut bytes, filled, .. } = std::mem::take(self);
        bytes.truncate(filled);
        bytes
    }

    #[cold]
    fn shrink(&mut self, capacity: usize) {
        self.bytes.truncate(capacity.max(self.filled));
        self.bytes.shrink_to(capacity);
    }

    /// Initialises room for `more` bytes, and as many again as there are, if the memory is there.
    #[cold]
    fn grow(&mut self, more: usize, limit: usize) -> Result<(), TryReserveError> {
        self.reserve(more, limit)?;
        let ahead = self.filled.min(Self::AHEAD);
        self.bytes.resize((self.filled + more + ahead).min(self.bytes.capacity()), 0);
        Ok(())
    }

    /// Makes the memory large enough for `more` bytes.
    fn reserve(&mut self, more: usize, limit: usize) -> Result<(), TryReserveError> {
        let needed = self.filled.saturating_add(more);
        if needed <= self.bytes.capacity() {
            return Ok(());
        }
        // Of what is no part of the bytes nothing is moved.
        self.bytes.truncate(self.filled);
        let doubled = grown(needed, limit).max(needed) - self.filled;
        self.bytes.try_reserve_exact(doubled).or_else(|_| self.bytes.try_reserve_exact(more))
    }
}

/// Says how much there is; the bytes themselves may be secrets, and many.
impl fmt::Debug for ByteBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteBuffer").field("filled", &self.filled).field("capacity", &self.capacity()).finish()
    }
}

/// Bytes that others append to, through a `Vec`.
pub(crate) struct Scratch {
    pub(crate) bytes: Vec<u8>,
    retention: Retention,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), retention: Retention { high_water: 0, uses: 0 } }
    }

    /// Ends a use: forgets the bytes, and gives memory back that the latest uses have left idle.
    pub(crate) fn clear(&mut self) {
        let enough = self.retention.note(self.bytes.len(), self.bytes.capacity());
        self.bytes.clear();
        if let Some(enough) = enough {
            self.bytes.shrink_to(enough);
        }
    }
}

/// Says how much there is, as the others do.
impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("filled", &self.bytes.len()).field("capacity", &self.bytes.capacity()).finish()
    }
}

#[cfg(test)]
mod tests;
