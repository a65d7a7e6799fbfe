//! Buffers: the window that is received into, and bytes that pile up.

use std::fmt;

/// What an idle connection pays for.
const SMALLEST: usize = 4 * 1024;
/// What a read asks for at most. Half as much costs a message of 4 KiB a tenth; more gains no system calls worth having,
/// and leaves the second level cache.
const LARGEST: usize = 128 * 1024;
/// So many reads in a row that leave three quarters unused halve the buffer. It is many, since to shrink and grow with
/// every ripple of the traffic costs more than the memory; who is idle gives it back at once, with
/// [`Window::release`].
const PATIENCE: u16 = 4096;

/// A buffer that is written at its end and read at its start, and whose size follows the traffic.
///
/// It holds nothing at first, then 4 KiB, doubles up to 128 KiB while reads fill it, and halves again while they leave
/// it mostly unused. The bytes are initialised once, when they are allocated, never again before a read.
///
/// Invariant: `start <= end <= bytes.len()`. What lies between `start` and `end` is received and unread, what lies
/// behind `end` is room for the next read.
pub(crate) struct Window {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// What the buffer's size should be, as the latest reads show; applied by the next [`space`](Self::space).
    wanted: usize,
    /// How many of the latest reads left three quarters unused.
    unused: u16,
}

impl Window {
    /// An empty window, without any memory.
    pub(crate) const fn new() -> Self {
        Self { bytes: Vec::new(), start: 0, end: 0, wanted: SMALLEST, unused: 0 }
    }

    /// Where the next read may write to; [`received`](Self::received) then says how much it wrote.
    ///
    /// Never empty while fewer than 128 KiB are unread.
    #[inline]
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
            if self.bytes.len() != self.wanted {
                self.bytes = vec![0; self.wanted];
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
            self.wanted = LARGEST.min(self.bytes.len() * 2).max(SMALLEST);
            self.unused = 0;
        } else if n < self.bytes.len() / 4 {
            self.leave_unused();
        } else {
            self.unused = 0;
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

    /// The last `n` bytes that were consumed.
    #[inline]
    pub(crate) fn behind(&self, n: usize) -> &[u8] {
        &self.bytes[self.start - n..self.start]
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
        self.is_empty() && self.bytes.len() > SMALLEST
    }

    /// Gives the memory back, if nothing is unread.
    pub(crate) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::new();
        }
    }

    /// Less than half of the buffer is behind the unread bytes: moves them to the front, or grows if the latest read
    /// filled it.
    #[cold]
    fn make_room(&mut self) {
        if self.wanted > self.bytes.len() {
            self.resize(self.wanted);
        } else if self.start > 0 {
            self.compact();
        } else if self.bytes.len() == self.end {
            self.resize(LARGEST.min(self.bytes.len() * 2).max(self.bytes.len()));
        }
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }

    /// A buffer of `size` bytes with the unread ones at its front. `size` is at least their number.
    fn resize(&mut self, size: usize) {
        let mut bytes = vec![0; size];
        let len = self.len();
        bytes[..len].copy_from_slice(self.unread());
        *self = Self { bytes, start: 0, end: len, wanted: size.clamp(SMALLEST, LARGEST), unused: 0 };
    }

    #[inline]
    fn leave_unused(&mut self) {
        self.unused += 1;
        if self.unused >= PATIENCE {
            self.unused = 0;
            self.wanted = SMALLEST.max(self.bytes.len() / 2).min(LARGEST);
        }
    }
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
#[derive(Debug, Default)]
pub(crate) struct ByteBuffer {
    /// Invariant: `filled <= bytes.len()`.
    bytes: Vec<u8>,
    filled: usize,
}

impl ByteBuffer {
    /// By how much it grows at most beyond what is needed.
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

    /// Room for `wanted` more bytes, to be written to and then taken over with [`fill`](Self::fill).
    #[inline]
    pub(crate) fn room(&mut self, wanted: usize) -> &mut [u8] {
        if self.bytes.len() - self.filled < wanted {
            self.grow(wanted);
        }
        &mut self.bytes[self.filled..][..wanted]
    }

    /// What room there is without growing, at most `wanted` bytes.
    pub(crate) fn spare(&mut self, wanted: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.filled.saturating_add(wanted));
        &mut self.bytes[self.filled..end]
    }

    /// Takes over `length` bytes of the room.
    #[inline]
    pub(crate) fn fill(&mut self, length: usize) {
        debug_assert!(length <= self.bytes.len() - self.filled);
        self.filled = self.bytes.len().min(self.filled + length);
    }

    /// Appends a copy of `piece`; with others like it, it will be no more than `limit` bytes.
    #[inline]
    pub(crate) fn extend(&mut self, piece: &[u8], limit: usize) {
        match self.bytes.get_mut(self.filled..self.filled + piece.len()) {
            Some(room) => room.copy_from_slice(piece),
            None => {
                self.bytes.truncate(self.filled);
                self.bytes.reserve_exact(growth(self.filled, self.bytes.capacity(), piece.len(), limit));
                self.bytes.extend_from_slice(piece);
            }
        }
        self.filled += piece.len();
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

    /// Forgets the bytes and gives the memory back.
    pub(crate) fn release(&mut self) {
        *self = Self::default();
    }

    /// The bytes as a `Vec`; the buffer is empty afterwards and holds nothing.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let Self { mut bytes, filled } = std::mem::take(self);
        bytes.truncate(filled);
        bytes
    }

    /// What piles up grows by more than it needs, so that many small pieces are moved seldom.
    #[cold]
    fn grow(&mut self, wanted: usize) {
        let length = (self.filled + wanted.max(self.filled.min(Self::AHEAD))).next_multiple_of(256);
        self.bytes.reserve_exact(length.saturating_sub(self.bytes.len()));
        self.bytes.resize(length, 0);
    }
}

/// How much to reserve for `more` bytes behind `length`: up to the next of `limit`, half of it, a quarter of it and so on, so
/// that many pieces cost few reallocations. Of a message that is as long as it may be, half is there when it is moved for the
/// last time, and both copies together are no more than the limit.
pub(crate) fn growth(length: usize, capacity: usize, more: usize, limit: usize) -> usize {
    if capacity - length >= more {
        return 0;
    }
    let needed = length + more;
    let mut size = limit;
    while size / 2 >= needed {
        size /= 2;
    }
    size.max(needed) - length
}

/// What comes in unknown length.
impl ByteBuffer {
    /// Less room than this is not worth writing to when it is not known how much will come.
    const LEAST: usize = 1024;

    /// Room for what is not known in length: at most `step` bytes, of `left` that may come altogether. Whoever fills it asks again;
    /// memory doubles, and ends at what may come.
    #[inline]
    pub(crate) fn stretch(&mut self, step: usize, left: usize) -> &mut [u8] {
        let most = step.min(left);
        if self.bytes.len() - self.filled < most.min(Self::LEAST) {
            self.stretch_by(self.filled.max(Self::LEAST).min(most), left);
        }
        self.spare(most)
    }

    #[cold]
    fn stretch_by(&mut self, more: usize, left: usize) {
        let wanted = self.filled + more;
        if wanted > self.bytes.capacity() {
            self.bytes.truncate(self.filled);
            self.bytes.reserve_exact(growth(
                self.filled,
                self.bytes.capacity(),
                more,
                self.filled.saturating_add(left),
            ));
        }
        self.bytes.resize(wanted, 0);
    }
}

#[cfg(test)]
mod tests;
