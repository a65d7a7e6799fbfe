//! Chance that can be repeated.

use std::time::Duration;

/// Numbers that follow from a seed, and look as if they did not.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub(super) const fn roll(&mut self) -> u64 {
        // A counter whose bits are mixed.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Any number below this one.
    pub(super) const fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    /// Yes, so often in a thousand times.
    pub(super) const fn permille(&mut self, often: u64) -> bool {
        self.below(1000) < often
    }

    /// Any time up to this one.
    pub(super) const fn up_to(&mut self, longest: Duration) -> Duration {
        Duration::from_micros(self.below(longest.as_micros() as u64 + 1))
    }
}
