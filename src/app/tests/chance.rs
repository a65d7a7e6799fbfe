//! What differs from round to round.

use std::time::Duration;

use crate::sync::thread;

/// Any number below this one.
#[cfg(shuttle)]
pub(super) fn below(limit: u32) -> u32 {
    use shuttle::rand::Rng;

    shuttle::rand::thread_rng().gen_range(0..limit)
}

/// Any number below this one.
#[cfg(not(shuttle))]
pub(super) fn below(limit: u32) -> u32 {
    use rand::TryRng;

    rand::rngs::SysRng.try_next_u32().unwrap() % limit
}

/// Lets the others go on for a moment, or not.
pub(super) fn dawdle() {
    (0..below(20)).for_each(|_| thread::yield_now());
}

/// Waits for up to that long.
#[cfg(shuttle)]
pub(super) fn wait_up_to(longest: Duration) {
    use crate::sync::{Condvar, Mutex};

    let lock = Mutex::new(());
    drop(Condvar::new().wait_timeout(lock.lock().unwrap(), longest * below(100) / 100));
}

/// Waits for up to that long.
#[cfg(not(shuttle))]
pub(super) fn wait_up_to(longest: Duration) {
    thread::sleep(longest * below(100) / 100);
}
