//! Masking (RFC 6455, section 5.3): XOR with a key of four bytes that no one can foresee.

use std::fmt;

/// Applies `key` to `data` in place; applying it twice gives the data back.
///
/// ```
/// use websocket_sync::protocol::mask;
///
/// let mut data = *b"Hello";
/// mask(*b"abcd", &mut data);
/// assert_eq!(data, [0x29, 0x07, 0x0f, 0x08, 0x0e]);
/// mask(*b"abcd", &mut data);
/// assert_eq!(&data, b"Hello");
/// ```
#[doc(alias = "XorMaskerSimple")]
#[doc(alias = "XorMaskerNull")]
#[inline]
pub fn mask(key: [u8; 4], data: &mut [u8]) {
    let word = u32::from_ne_bytes(key);
    let (words, tail) = data.as_chunks_mut::<4>();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Writes `source`, masked with `key`, to `target`, in one pass over both, which are equally long.
#[inline]
pub(crate) fn copy_masked(key: [u8; 4], source: &[u8], target: &mut [u8]) {
    debug_assert_eq!(source.len(), target.len());
    let word = u32::from_ne_bytes(key);
    let (from, from_tail) = source.as_chunks::<4>();
    let (to, to_tail) = target.as_chunks_mut::<4>();
    for (to, from) in to.iter_mut().zip(from) {
        *to = (u32::from_ne_bytes(*from) ^ word).to_ne_bytes();
    }
    for ((to, from), key) in to_tail.iter_mut().zip(from_tail).zip(key) {
        *to = from ^ key;
    }
}

/// The key as it applies `offset` bytes into a payload.
#[inline]
pub(crate) const fn rotate(key: [u8; 4], offset: usize) -> [u8; 4] {
    u32::from_le_bytes(key).rotate_right((offset % 4 * 8) as u32).to_le_bytes()
}

/// Fills a slice with bytes that a peer cannot foresee: a cryptographically strong source, handed in because the core
/// has none of its own.
pub type Entropy = Box<dyn FnMut(&mut [u8]) + Send>;

/// Masking keys, a fresh one for each frame (RFC 6455, section 5.3).
///
/// ```
/// use websocket_sync::protocol::{MaskKeys, Outbound, Role};
///
/// // Keys that can be foreseen are for tests only.
/// let keys = MaskKeys::each(Box::new(|| *b"abcd"));
/// let mut outbound = Outbound::deflating(Role::Client, keys, None);
/// outbound.ping(b"Hello")?;
/// assert_eq!(outbound.pending(), b"\x89\x85abcd\x29\x07\x0f\x08\x0e");
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
pub struct MaskKeys {
    source: KeySource,
    /// Keys not used yet are `pool[next..]`.
    pool: [[u8; 4]; Self::BATCH],
    next: usize,
    /// How many are drawn next.
    batch: usize,
}

enum KeySource {
    Pool(Entropy),
    Each(Box<dyn FnMut() -> [u8; 4] + Send>),
}

impl MaskKeys {
    /// Enough to make the system call behind the source cheap per key, few enough to be nothing per connection.
    const BATCH: usize = 256;
    /// Enough for a connection that says little: randomness costs by the byte, too.
    const FIRST_BATCH: usize = 16;

    /// Keys drawn from `entropy` in batches of 16, then 64, then 256.
    pub fn pooled(entropy: Entropy) -> Self {
        Self::new(KeySource::Pool(entropy))
    }

    /// Asks `key` anew for each frame.
    pub fn each(key: Box<dyn FnMut() -> [u8; 4] + Send>) -> Self {
        Self::new(KeySource::Each(key))
    }

    const fn new(source: KeySource) -> Self {
        Self { source, pool: [[0; 4]; Self::BATCH], next: Self::BATCH, batch: Self::FIRST_BATCH }
    }

    /// A key that was never handed out before.
    #[inline]
    pub(crate) fn draw(&mut self) -> [u8; 4] {
        if let Some(key) = self.pool.get(self.next) {
            self.next += 1;
            return *key;
        }
        self.refill()
    }

    #[cold]
    fn refill(&mut self) -> [u8; 4] {
        match &mut self.source {
            KeySource::Pool(entropy) => {
                let first = Self::BATCH - self.batch;
                entropy(self.pool[first..].as_flattened_mut());
                self.next = first + 1;
                self.batch = (4 * self.batch).min(Self::BATCH);
                self.pool[first]
            }
            KeySource::Each(key) => key(),
        }
    }
}

/// Shows no key: whoever knows the next one can foresee what a proxy will see.
impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytewise(key: [u8; 4], data: &[u8]) -> Vec<u8> {
        data.iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    #[test]
    fn masking_is_the_bytewise_xor_at_every_length_and_alignment() {
        let data: Vec<u8> = (0..=255).cycle().take(1100).collect();
        let key = [0x37, 0xfa, 0x21, 0x3d];
        // Miri takes minutes for all.
        let (starts, lengths) = if cfg!(miri) { (3, 12) } else { (16, 70) };
        for start in 0..starts {
            for length in (0..lengths).chain([127, 128, 129, 1000, 1024]) {
                let source = &data[start..start + length];
                let expected = bytewise(key, source);
                let mut in_place = data.clone();
                mask(key, &mut in_place[start..start + length]);
                assert_eq!(in_place[start..start + length], expected);
                let mut copy = vec![0xAA; length];
                copy_masked(key, source, &mut copy);
                assert_eq!(copy, expected);
            }
        }
    }

    #[test]
    fn a_rotated_key_goes_on_where_the_payload_was_cut() {
        let key = *b"1234";
        let data = b"some very long data for masking by websocket";
        let expected = b"B]^Q\x11DVFH\x12_[_U\x13PPFR\x14W]A\x14\\S@_X\\T\x14SK\x13CTP@[RYV@";
        for cut in 0..data.len() {
            let mut masked = *data;
            let (head, tail) = masked.split_at_mut(cut);
            mask(key, head);
            mask(rotate(key, cut), tail);
            assert_eq!(&masked, expected);
        }
    }

    #[test]
    fn every_frame_gets_a_key_of_its_own() {
        let mut drawn = 0u32;
        let mut lengths = vec![64, 256, 1024, 1024].into_iter();
        let mut keys = MaskKeys::pooled(Box::new(move |bytes| {
            assert_eq!(Some(bytes.len()), lengths.next());
            for key in bytes.as_chunks_mut::<4>().0 {
                *key = drawn.to_be_bytes();
                drawn += 1;
            }
        }));
        for expected in 0..16 + 64 + 256 + 1_u32 {
            assert_eq!(keys.draw(), expected.to_be_bytes());
        }
    }
}
