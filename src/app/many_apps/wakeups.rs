//! What wakes the loop: calls of other threads and of callbacks, and what they leave for it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use crate::app::WebSocketApp;

/// The wake-ups of a loop.
pub(super) struct Wakeups<'env> {
    waker: Arc<Waker>,
    /// The numbers of the apps whose turn is called for, each once.
    called: Arc<Mutex<Vec<usize>>>,
    /// Apps that are to be driven too.
    added: Mutex<Vec<WebSocketApp<'env>>>,
}

/// Whether the turn of an app has been called for since it last had it.
#[derive(Clone, Debug, Default)]
pub(super) struct TurnFlag(Arc<AtomicBool>);

impl TurnFlag {
    /// The turn begins: whoever calls for one from now on means the next. What was done before a call is seen in this turn.
    pub(super) fn begin_turn(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl<'env> Wakeups<'env> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { waker: Arc::new(waker), called: Arc::default(), added: Mutex::default() }
    }

    /// What wakes the loop, for whatever it finds.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Leaves an app for the loop.
    pub(super) fn add(&self, app: WebSocketApp<'env>) {
        lock(&self.added).push(app);
        // A system that cannot do even that cannot be helped.
        let _ = self.waker.wake();
    }

    /// Takes the apps that were left.
    pub(super) fn take_added(&self) -> Vec<WebSocketApp<'env>> {
        std::mem::take(&mut lock(&self.added))
    }

    /// Takes one of the apps whose turn is called for.
    pub(super) fn take_called(&self) -> Option<usize> {
        lock(&self.called).pop()
    }

    /// What calls for a turn of an app. It never waits.
    pub(super) fn caller(&self, number: usize, flag: TurnFlag) -> impl Fn() + Send + Sync + use<> {
        let (waker, list) = (Arc::clone(&self.waker), Arc::clone(&self.called));
        move || {
            if !flag.0.swap(true, Ordering::AcqRel) {
                lock(&list).push(number);
                let _ = waker.wake();
            }
        }
    }
}

impl fmt::Debug for Wakeups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakeups").field("called", &lock(&self.called).len()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
