//! Cancelling an opening from another thread.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, PoisonError};
use std::{fmt, mem};

use crate::sync::{Mutex, MutexGuard};

/// Cancels the opening of connections from another thread: whatever it waits for, the resolver, the network, a proxy, it
/// returns at once with [`Error::Closed`](crate::Error::Closed) and the cause
/// [`Cancelled`](crate::CloseCause::Cancelled).
///
/// Clones cancel the same openings. A connection that is open is not touched.
///
/// It is for one use: once it is cancelled it stays so, and every opening that is given it fails at once. For the next one make another,
/// and give that to [`ConnectOptions::cancellation`](crate::ConnectOptions::cancellation), where it replaces the first.
///
/// ```
/// use websocket_sync::{CloseCause, Cancellation, ConnectOptions};
///
/// let cancellation = Cancellation::new();
/// let options = ConnectOptions::new().cancellation(&cancellation);
/// // On another thread, such as one that handles signals:
/// cancellation.cancel();
/// assert!(cancellation.is_cancelled());
///
/// let error = options.connect("ws://localhost:9001/").unwrap_err();
/// assert_eq!(error.close_info().unwrap().cause, CloseCause::Cancelled);
/// ```
#[derive(Clone, Default)]
pub struct Cancellation(Arc<Mutex<CancellationState>>);

#[derive(Default)]
struct CancellationState {
    is_cancelled: bool,
    /// What wakes those who wait, each with its number.
    wakers: Vec<(u64, Box<dyn Fn() + Send>)>,
    last: u64,
}

impl Cancellation {
    /// One that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancels every opening that uses this cancellation or a clone of it, now and later. Never waits, and may be called more than
    /// once.
    ///
    /// # Panics
    ///
    /// When a [`shutdown`](crate::Transport::shutdown) of the user's panics, after everything else has been cancelled.
    pub fn cancel(&self) {
        let mut state = self.state();
        state.is_cancelled = true;
        let wakers = mem::take(&mut state.wakers);
        let mut panicked = None;
        for (_, wake) in &wakers {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(wake)) {
                panicked.get_or_insert(payload);
            }
        }
        drop(state);
        // Only now: a stream of the user's may end with its waker, and do what it likes.
        drop(wakers);
        if let Some(payload) = panicked {
            resume_unwind(payload);
        }
    }

    /// Whether it has been cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.state().is_cancelled
    }

    /// Calls `wake` when it is cancelled, unless the watch is dropped before; at once if it has been already. `wake` must
    /// neither wait nor call anything of this object.
    pub(crate) fn watch(&self, wake: impl Fn() + Send + 'static) -> Watch {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        if state.is_cancelled {
            wake();
        } else {
            state.wakers.push((number, Box::new(wake)));
        }
        Watch { of: self.clone(), number }
    }

    fn state(&self) -> MutexGuard<'_, CancellationState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation").field("is_cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}

/// Somebody is woken when it is cancelled. After this is dropped, it does not happen any more.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct Watch {
    of: Cancellation,
    number: u64,
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.of.state();
        let own = state.wakers.iter().position(|(number, _)| *number == self.number);
        let waker = own.map(|own| state.wakers.remove(own));
        drop(state);
        // Only now: a stream of the user's may end with its waker, and do what it likes.
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn counter() -> (Arc<AtomicU32>, impl Fn() + Send + 'static) {
        let count = Arc::new(AtomicU32::new(0));
        let woken = Arc::clone(&count);
        (count, move || {
            woken.fetch_add(1, Ordering::Relaxed);
        })
    }

    #[test]
    fn those_who_watch_are_woken_once_and_others_not() {
        let cancellation = Cancellation::new();
        let (first, wake_first) = counter();
        let (second, wake_second) = counter();
        let _watch = cancellation.watch(wake_first);
        drop(cancellation.watch(wake_second));
        assert!(!cancellation.is_cancelled());
        let clone = cancellation.clone();
        clone.cancel();
        cancellation.cancel();
        assert!(cancellation.is_cancelled());
        assert_eq!((first.load(Ordering::Relaxed), second.load(Ordering::Relaxed)), (1, 0));
    }

    /// A stream of the user's, which at its end wants to know why.
    struct Curious(Cancellation, mpsc::Sender<bool>);

    impl Drop for Curious {
        fn drop(&mut self) {
            let _ = self.1.send(self.0.is_cancelled());
        }
    }

    #[test]
    fn what_ends_with_a_waker_may_ask_whether_it_was_cancelled() {
        let (ended, ends) = mpsc::channel();
        thread::spawn(move || {
            let cancellation = Cancellation::new();
            let watch = || {
                let curious = Curious(cancellation.clone(), ended.clone());
                cancellation.watch(move || drop(curious.0.clone()))
            };
            drop(watch());
            let _kept = watch();
            cancellation.cancel();
        });
        let end = || ends.recv_timeout(Duration::from_secs(10));
        assert_eq!((end(), end()), (Ok(false), Ok(true)));
    }

    #[test]
    fn a_waker_that_panics_leaves_none_unwoken() {
        let cancellation = Cancellation::new();
        let (first, wake_first) = counter();
        let (last, wake_last) = counter();
        let _watches = (
            cancellation.watch(wake_first),
            cancellation.watch(|| panic!("on purpose")),
            cancellation.watch(|| panic!("and another")),
            cancellation.watch(wake_last),
        );
        let caught = catch_unwind(AssertUnwindSafe(|| cancellation.cancel())).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"), "the first goes on");
        assert_eq!((first.load(Ordering::Relaxed), last.load(Ordering::Relaxed)), (1, 1));
        assert!(cancellation.is_cancelled());
        cancellation.cancel();
    }

    #[test]
    fn who_comes_late_is_woken_at_once() {
        let cancellation = Cancellation::new();
        cancellation.cancel();
        let (count, wake) = counter();
        drop(cancellation.watch(wake));
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
