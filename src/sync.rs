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

/// What time it is.
#[cfg(not(all(test, shuttle)))]
#[inline]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Names a thread for as long as the process lives: no two threads have the same, and to ask for it costs a load.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ThreadToken(u64);

impl ThreadToken {
    /// That of the calling thread.
    #[cfg(not(all(test, shuttle)))]
    #[inline]
    pub(crate) fn current() -> Self {
        use std::cell::Cell;
        use std::sync::atomic::Ordering;

        thread_local! {
            static TOKEN: Cell<u64> = const { Cell::new(0) };
        }

        #[cold]
        fn assign() -> u64 {
            static LAST: AtomicU64 = AtomicU64::new(0);

            let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
            TOKEN.set(number);
            number
        }

        match TOKEN.get() {
            0 => Self(assign()),
            number => Self(number),
        }
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
