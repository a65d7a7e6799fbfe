//! A growing buffer whose spare room can be written to without `unsafe`, and without being zeroed again and again.

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
#[cfg(feature = "deflate")]
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
mod tests {
    use super::*;

    #[test]
    fn bytes_pile_up_whichever_way_they_come() {
        let mut buffer = ByteBuffer::default();
        buffer.extend(b"ab", usize::MAX);
        buffer.room(3).copy_from_slice(b"cde");
        buffer.fill(3);
        buffer.room(9)[0] = b'f';
        buffer.fill(1);
        buffer.extend(b"gh", usize::MAX);
        assert_eq!(buffer.as_slice(), b"abcdefgh");
        assert_eq!(buffer.take(), b"abcdefgh");
        assert_eq!((buffer.len(), buffer.capacity()), (0, 0));
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn what_is_not_known_in_length_gets_as_much_memory_as_it_may_have() {
        let mut buffer = ByteBuffer::default();
        let limit = 100_000;
        while buffer.len() < limit {
            let room = buffer.stretch(32 * 1024, limit - buffer.len()).len();
            assert!((1..=32 * 1024).contains(&room));
            buffer.fill(room);
            assert!(buffer.capacity() <= limit && buffer.capacity() <= 2 * buffer.len().max(ByteBuffer::LEAST));
        }
        assert_eq!((buffer.len(), buffer.capacity()), (limit, limit));
        buffer.clear();
        assert_eq!(buffer.stretch(32 * 1024, limit).len(), 32 * 1024, "what is there is used");
    }

    #[test]
    fn a_cleared_buffer_needs_no_new_memory() {
        let mut buffer = ByteBuffer::default();
        buffer.extend(&[7; 1000], usize::MAX);
        let held = buffer.capacity();
        for _ in 0..10 {
            buffer.clear();
            buffer.extend(&[8; 900], usize::MAX);
            assert_eq!(buffer.as_slice(), [8; 900]);
        }
        assert_eq!(buffer.capacity(), held);
        assert!(buffer.spare(usize::MAX).len() >= 100);
    }
}
