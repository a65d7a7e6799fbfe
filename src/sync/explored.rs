//! What std has, for shuttle: a thread gives way at each lock, wait and atomic, and chance says who goes on.
//!
//! Shuttle knows no time. Here it passes when somebody has waited for it: the wait that ends first may end at any moment, and then it
//! is that late. So a timeout races everything else. Where a [`VirtualClock`] runs, time passes when nobody else can run.

mod virtual_clock;

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, LockResult, PoisonError, TryLockError, TryLockResult};
use std::time::{Duration, Instant};

use shuttle::rand::{Rng, thread_rng};
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};

pub(crate) use self::virtual_clock::{SeededScheduler, VirtualClock, late};

/// A mutex that is never poisoned.
#[derive(Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

/// The lock, as long as it is held.
pub(crate) struct MutexGuard<'a, T> {
    of: &'a Mutex<T>,
    /// There until the guard is dropped.
    held: Option<shuttle::sync::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        Ok(MutexGuard { of: self, held: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)) })
    }

    pub(crate) fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(held) => Ok(MutexGuard { of: self, held: Some(held) }),
            Err(TryLockError::Poisoned(held)) => Ok(MutexGuard { of: self, held: Some(held.into_inner()) }),
            Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
        }
    }

    pub(crate) fn get_mut(&mut self) -> LockResult<&mut T> {
        Ok(self.0.get_mut().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.held.as_ref().expect("held until it is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.held.as_mut().expect("held until it is dropped")
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

/// A condition variable whose waits can end by time.
#[derive(Debug, Default)]
pub(crate) struct Condvar {
    waits: Arc<shuttle::sync::Condvar>,
    /// How often all were woken. Not one of shuttle's: to look at it is no reason to give way.
    wakes: std::sync::atomic::AtomicU64,
}

/// Whether a wait has ended by time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitTimeoutResult;

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let held = guard.held.take().expect("held until it is dropped");
        guard.held = Some(self.waits.wait(held).unwrap_or_else(PoisonError::into_inner));
        Ok(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        longest: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        if let Some(_wait) = virtual_clock::wait(longest, &self.waits) {
            return Ok((self.wait(guard).unwrap_or_else(PoisonError::into_inner), WaitTimeoutResult));
        }
        let wakes = self.wakes();
        let wait = TimedWait::new(longest);
        while self.wakes() == wakes && !wait.is_over() {
            guard.held = None;
            shuttle::thread::yield_now();
            guard.held = guard.of.lock().unwrap_or_else(PoisonError::into_inner).held.take();
        }
        Ok((guard, WaitTimeoutResult))
    }

    pub(crate) fn notify_all(&self) {
        self.waits.notify_all();
        self.wakes.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }

    fn wakes(&self) -> u64 {
        self.wakes.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// The time, and until when somebody waits. All threads of a schedule are one thread of the system.
#[derive(Default)]
struct Clock {
    began: Option<Instant>,
    passed: Duration,
    waits: Vec<Duration>,
}

thread_local! {
    static CLOCK: RefCell<Clock> = RefCell::default();
}

/// What time it is.
pub(crate) fn now() -> Instant {
    CLOCK.with_borrow_mut(|clock| *clock.began.get_or_insert_with(Instant::now) + clock.passed)
}

/// How much time has passed in this schedule.
pub(crate) fn passed() -> Duration {
    CLOCK.with_borrow(|clock| clock.passed)
}

/// Another schedule begins.
pub(crate) fn reset() {
    CLOCK.take();
    virtual_clock::reset();
}

/// A wait for time to pass.
struct TimedWait {
    until: Duration,
}

impl TimedWait {
    /// One in so many looks at the clock finds that the time of the wait that ends first is over: the more seldom, the longer it is,
    /// since nobody is kept from running for half a minute. An hour never passes.
    fn odds(rest: Duration) -> u32 {
        match rest.as_millis() {
            0..500 => 8,
            500..5_000 => 100,
            5_000..600_000 => 1_000_000,
            _ => u32::MAX,
        }
    }

    fn new(longest: Duration) -> Self {
        CLOCK.with_borrow_mut(|clock| {
            let until = clock.passed.saturating_add(longest);
            clock.waits.push(until);
            Self { until }
        })
    }

    fn is_over(&self) -> bool {
        let may_end = thread_rng().gen_ratio(1, Self::odds(self.until.saturating_sub(passed())));
        CLOCK.with_borrow_mut(|clock| {
            if may_end && clock.waits.iter().min() == Some(&self.until) {
                clock.passed = clock.passed.max(self.until);
            }
            clock.passed >= self.until
        })
    }
}

impl Drop for TimedWait {
    fn drop(&mut self) {
        CLOCK.with_borrow_mut(|clock| {
            if let Some(place) = clock.waits.iter().position(|until| *until == self.until) {
                clock.waits.swap_remove(place);
            }
        });
    }
}

/// Threads that chance lets run.
pub(crate) mod thread {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    pub(crate) use shuttle::thread::{Scope, ScopedJoinHandle, current, scope, yield_now};

    /// A thread that can be waited for.
    #[derive(Debug)]
    pub(crate) struct JoinHandle<T> {
        thread: shuttle::thread::JoinHandle<T>,
        is_finished: Arc<AtomicBool>,
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn is_finished(&self) -> bool {
            self.is_finished.load(Ordering::Relaxed)
        }

        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.thread.join()
        }
    }

    pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let is_finished = Arc::new(AtomicBool::new(false));
        let finish = Arc::clone(&is_finished);
        let thread = shuttle::thread::spawn(move || {
            let result = body();
            finish.store(true, Ordering::Relaxed);
            result
        });
        JoinHandle { thread, is_finished }
    }

    /// Names are of no use here.
    #[derive(Debug)]
    pub(crate) struct Builder;

    impl Builder {
        pub(crate) const fn new() -> Self {
            Self
        }

        pub(crate) fn name(self, _: String) -> Self {
            self
        }

        pub(crate) fn spawn<T: Send + 'static>(
            self,
            body: impl FnOnce() -> T + Send + 'static,
        ) -> io::Result<JoinHandle<T>> {
            Ok(spawn(body))
        }

        pub(crate) fn spawn_scoped<'scope, T: Send + 'scope>(
            self,
            scope: &'scope Scope<'scope, '_>,
            body: impl FnOnce() -> T + Send + 'scope,
        ) -> io::Result<ScopedJoinHandle<'scope, T>> {
            Ok(scope.spawn(body))
        }
    }
}
