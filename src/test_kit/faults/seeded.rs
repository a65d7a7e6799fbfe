//! Faults that look like chance, and are the same for the same seed.

use std::time::Duration;

use super::{Fault, Operation};

/// Faults by seed.
#[derive(Clone, Copy)]
pub(super) struct Seeded {
    pub(super) seed: u64,
    pub(super) severity: Severity,
}

/// Which faults there are among them.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Severity {
    /// Those that no connection notices.
    Harmless,
    Any,
}

impl Seeded {
    /// Drawn from the seed and from which operation it is, so that threads that run beside each other change nothing.
    pub(super) fn fault(self, transport: usize, operation: Operation, number: usize) -> Option<Fault> {
        let place = (transport as u64) << 48 ^ (operation as u64) << 40 ^ number as u64;
        let drawn = mix(mix(self.seed) ^ place);
        if !drawn.is_multiple_of(16) {
            return None;
        }
        let (ends, kind, size) = (drawn >> 8 & 0xF, drawn >> 16, (drawn >> 32) as usize);
        if ends == 0 && self.severity == Severity::Any {
            return Some(match kind % 3 {
                0 => Fault::Reset,
                1 => Fault::Eof,
                _ => Fault::Torn(size % 64),
            });
        }
        Some(match kind % 4 {
            0 => Fault::Interrupted,
            1 => Fault::WouldBlock,
            2 => Fault::Short(1 + size % 64),
            _ => Fault::Delay(Duration::from_micros(size as u64 % 3000)),
        })
    }
}

/// A step of SplitMix64.
const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
