//! The clock, the locks and the threads of the driver and of the app.
//!
//! They are std's. Tests that are built with `--cfg shuttle` have others of the same names in their place, which explore one schedule
//! after the other, on a clock of their own: see `app::schedules`.

#[cfg(all(test, shuttle))]
mod explored;

#[cfg(not(all(test, shuttle)))]
pub(crate) use std::{
    sync::atomic::{AtomicBool, AtomicU64},
    sync::{Condvar, Mutex, MutexGuard},
    thread,
};

#[cfg(all(test, shuttle))]
pub(crate) use self::explored::{AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard, now, passed, reset, thread};
#[cfg(all(test, shuttle))]
pub(crate) use self::explored::{SeededScheduler, VirtualClock, late};

/// What time it is.
#[cfg(not(all(test, shuttle)))]
#[inline]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
