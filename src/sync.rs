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

#[cfg(not(all(test, shuttle)))]
thread_local! {
    /// The number of the thread; zero until it is asked for.
    static TOKEN: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Names a thread for as long as the process lives: no two threads have the same, and to ask for it costs a load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ThreadToken(u64);

impl ThreadToken {
    /// That of the calling thread.
    #[cfg(not(all(test, shuttle)))]
    pub(crate) fn current() -> Self {
        use std::sync::atomic::Ordering;

        static LAST: AtomicU64 = AtomicU64::new(0);

        if TOKEN.get() == 0 {
            TOKEN.set(LAST.fetch_add(1, Ordering::Relaxed) + 1);
        }
        Self(TOKEN.get())
    }

    /// Whether it is that of the calling thread.
    #[cfg(not(all(test, shuttle)))]
    #[inline]
    pub(crate) fn is_current(self) -> bool {
        TOKEN.get() == self.0
    }

    /// Whether it is that of the calling thread.
    #[cfg(all(test, shuttle))]
    pub(crate) fn is_current(self) -> bool {
        self == Self::current()
    }

    /// That of the calling thread: all of shuttle's are one thread of the system.
    #[cfg(all(test, shuttle))]
    pub(crate) fn current() -> Self {
        Self(usize::from(thread::current().id()) as u64)
    }

    /// The name as a number, for an atomic.
    #[inline]
    pub(crate) const fn number(self) -> u64 {
        self.0
    }
}
