//! The buffer that bytes are received into.

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(window: &mut Window, n: usize) -> usize {
        let n = n.min(window.space().len());
        window.received(n);
        n
    }

    #[test]
    fn nothing_is_allocated_before_the_first_read() {
        let mut window = Window::new();
        assert_eq!((window.capacity(), window.len(), window.is_empty()), (0, 0, true));
        assert_eq!(window.space().len(), SMALLEST);
    }

    #[test]
    fn reads_that_fill_it_double_it_up_to_128_kib() {
        let mut window = Window::new();
        for expected in [4096, 8192, 16_384, 32_768, 65_536, 131_072, 131_072] {
            let n = read(&mut window, usize::MAX);
            assert_eq!(n, expected);
            window.consume(n);
        }
    }

    #[test]
    fn reads_that_leave_it_unused_halve_it_down_to_4_kib() {
        let mut window = Window::new();
        for _ in 0..6 {
            let n = read(&mut window, usize::MAX);
            window.consume(n);
        }
        for expected in [131_072, 65_536, 32_768, 16_384, 8192, 4096, 4096] {
            for _ in 0..PATIENCE {
                assert_eq!(window.space().len(), expected);
                window.received(9);
                window.consume(9);
            }
        }
    }

    #[test]
    fn the_short_read_at_the_end_of_each_burst_changes_nothing() {
        let mut window = Window::new();
        for _ in 0..6 {
            let n = read(&mut window, usize::MAX);
            window.consume(n);
        }
        let before = window.space().as_ptr();
        for _ in 0..50 {
            for n in [usize::MAX, usize::MAX, 100] {
                let n = read(&mut window, n);
                window.consume(n);
            }
        }
        assert_eq!(window.space().as_ptr(), before);
    }

    #[test]
    fn an_unread_tail_moves_to_the_front_only_when_room_is_short() {
        let mut window = Window::new();
        window.space()[..1000].fill(1);
        window.received(1000);
        window.consume(990);
        assert_eq!(window.space().len(), 3096, "most of it is free: nothing moves");
        window.received(2000);
        window.consume(2005);
        assert_eq!(window.space().len(), 4091);
        assert_eq!(window.len(), 5);
    }

    #[test]
    fn unread_bytes_that_fill_it_make_it_grow() {
        let mut window = Window::new();
        let mut total = 0;
        while total < LARGEST {
            total += read(&mut window, 1000);
        }
        assert_eq!((window.len(), window.space().len()), (LARGEST, 0));
        window.consume(1);
        assert_eq!(window.space().len(), 1);
    }

    #[test]
    fn release_gives_the_memory_back_but_no_unread_byte() {
        let mut window = Window::new();
        window.space()[0] = b'x';
        window.received(1);
        window.release();
        assert_eq!(window.unread(), b"x");
        window.consume(1);
        window.release();
        assert_eq!(window.capacity(), 0);
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(
            steps in prop::collection::vec((0usize..100_000, 0usize..100_000), 1..60),
        ) {
            let mut window = Window::new();
            let (mut written, mut read) = (0_usize, 0_usize);
            for (give, take) in steps {
                let unread = window.len();
                let space = window.space();
                prop_assert!(!space.is_empty() || unread >= LARGEST);
                let give = give.min(space.len());
                for (i, byte) in space[..give].iter_mut().enumerate() {
                    *byte = ((written + i) % 251) as u8;
                }
                window.received(give);
                written += give;
                prop_assert!(window.start <= window.end && window.end <= window.bytes.len());
                prop_assert_eq!(window.len(), written - read);
                let take = take.min(window.len());
                let expected: Vec<u8> = (read..read + take).map(|i| (i % 251) as u8).collect();
                prop_assert_eq!(&window.unread()[..take], &expected[..]);
                prop_assert_eq!(window.unread_mut().len(), window.len());
                window.consume(take);
                read += take;
            }
        }
    }
}
