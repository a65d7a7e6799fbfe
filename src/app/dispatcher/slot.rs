//! One app of a loop, and what calls for its turn.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use super::super::WebSocketApp;
use super::super::task::AppTask;
use crate::error::Result;

/// One app of a loop.
#[derive(Debug)]
pub(super) struct Slot<'env> {
    pub(super) task: AppTask<'env>,
    /// Whether somebody has called for its turn since it last had it.
    called: Arc<AtomicBool>,
    /// Whether it waits for its turn.
    pub(super) is_queued: bool,
    /// The connection whose socket is waited for.
    pub(super) watched: Option<u64>,
}

impl<'env> Slot<'env> {
    /// The app that a loop calls by this number.
    pub(super) fn new(number: usize, app: WebSocketApp<'env>, bell: &Bell<'env>) -> Result<Self> {
        let called = Arc::new(AtomicBool::new(false));
        let task = app.into_task(bell.rope(number, Arc::clone(&called)))?;
        Ok(Self { task, called, is_queued: false, watched: None })
    }

    /// Its turn begins: whoever calls for it from now on means the next one.
    pub(super) fn begin_turn(&mut self) {
        // Seen is what was done before the call.
        self.called.swap(false, Ordering::AcqRel);
        self.is_queued = false;
    }
}

/// Where other threads and callbacks wake the loop, and leave what they want of it.
pub(super) struct Bell<'env> {
    waker: Arc<Waker>,
    /// The numbers of the apps whose turn is called for, each once.
    called: Arc<Mutex<Vec<usize>>>,
    /// Apps that are to be driven too.
    added: Mutex<Vec<WebSocketApp<'env>>>,
}

impl<'env> Bell<'env> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { waker: Arc::new(waker), called: Arc::default(), added: Mutex::default() }
    }

    /// Wakes the loop, for whatever it finds.
    pub(super) fn pull(&self) {
        // A system that cannot do even that cannot be helped.
        let _ = self.waker.wake();
    }

    /// What wakes the loop, for whatever it finds.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(super) fn add(&self, app: WebSocketApp<'env>) {
        lock(&self.added).push(app);
        self.pull();
    }

    pub(super) fn take_added(&self) -> Vec<WebSocketApp<'env>> {
        std::mem::take(&mut lock(&self.added))
    }

    /// Takes one of the apps whose turn is called for.
    pub(super) fn take_called(&self) -> Option<usize> {
        lock(&self.called).pop()
    }

    /// What calls for a turn of an app. It never waits.
    fn rope(&self, number: usize, called: Arc<AtomicBool>) -> impl Fn() + Send + Sync + use<> {
        let (waker, list) = (Arc::clone(&self.waker), Arc::clone(&self.called));
        move || {
            if !called.swap(true, Ordering::AcqRel) {
                lock(&list).push(number);
                let _ = waker.wake();
            }
        }
    }
}

impl fmt::Debug for Bell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").field("called", &lock(&self.called).len()).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
