//! One app of a loop, and what calls for its turn.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use super::super::WebSocketApp;
use super::super::error::AppError;
use super::super::task::AppTask;
use crate::error::{Error, Result};

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
    added: Mutex<Added<'env>>,
}

/// Apps that are to be driven too.
#[derive(Debug)]
enum Added<'env> {
    Waiting(Vec<WebSocketApp<'env>>),
    /// Nobody will drive them: the loop has ended.
    Refused,
}

impl<'env> Bell<'env> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { waker: Arc::new(waker), called: Arc::default(), added: Mutex::new(Added::Waiting(Vec::new())) }
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

    /// Leaves an app for the loop. It counts as running from now on.
    pub(super) fn add(&self, app: WebSocketApp<'env>) -> Result<()> {
        match &mut *lock(&self.added) {
            Added::Waiting(apps) => {
                app.handle().shared().announce();
                apps.push(app);
            }
            Added::Refused => return Err(loop_ended()),
        }
        self.pull();
        Ok(())
    }

    pub(super) fn take_added(&self) -> Vec<WebSocketApp<'env>> {
        match &mut *lock(&self.added) {
            Added::Waiting(apps) => std::mem::take(apps),
            Added::Refused => Vec::new(),
        }
    }

    /// How many apps wait to be taken.
    pub(super) fn count_added(&self) -> usize {
        match &*lock(&self.added) {
            Added::Waiting(apps) => apps.len(),
            Added::Refused => 0,
        }
    }

    /// The loop runs, or will.
    pub(super) fn open(&self) {
        let mut added = lock(&self.added);
        if matches!(*added, Added::Refused) {
            *added = Added::Waiting(Vec::new());
        }
    }

    /// The loop ends, unless an app was added in the meantime: then it goes on.
    pub(super) fn close_if_none_added(&self) -> bool {
        let mut added = lock(&self.added);
        if matches!(&*added, Added::Waiting(apps) if !apps.is_empty()) {
            return false;
        }
        *added = Added::Refused;
        true
    }

    /// The loop has ended. What was added and not taken does not run.
    pub(super) fn close(&self) {
        let added = std::mem::replace(&mut *lock(&self.added), Added::Refused);
        if let Added::Waiting(apps) = added {
            apps.iter().for_each(|app| app.handle().shared().refuse(&loop_ended()));
        }
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

fn loop_ended() -> Error {
    Error::other(AppError::LoopEnded)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
