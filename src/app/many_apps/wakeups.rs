//! Wake-ups of the loop by other threads and by callbacks: which apps they are for, and which apps are added.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;

use crate::app::{AppError, WebSocketApp};
use crate::error::{Error, Result};

/// The wake-ups of a loop.
pub(super) struct Wakeups<'env> {
    waker: Arc<Waker>,
    /// The numbers of the apps that were woken, each once.
    woken: Arc<Mutex<Vec<usize>>>,
    added: Mutex<Added<'env>>,
}

/// Apps that are to be driven too.
#[derive(Debug)]
enum Added<'env> {
    Waiting(Vec<WebSocketApp<'env>>),
    /// Nobody will drive them: the loop has ended.
    Refused,
}

/// Whether an app was woken since its last turn began.
#[derive(Clone, Debug, Default)]
pub(super) struct WakeFlag(Arc<AtomicBool>);

impl WakeFlag {
    /// The turn begins: a wake-up from now on is for the next one. What was done before a wake-up is seen in this turn.
    pub(super) fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl<'env> Wakeups<'env> {
    pub(super) fn new(waker: Waker) -> Self {
        Self { waker: Arc::new(waker), woken: Arc::default(), added: Mutex::new(Added::Waiting(Vec::new())) }
    }

    /// What wakes the loop, for whatever it finds.
    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Leaves an app for the loop. It counts as running from now on.
    ///
    /// # Errors
    ///
    /// [`AppError::LoopEnded`].
    pub(super) fn add(&self, app: WebSocketApp<'env>) -> Result<()> {
        match &mut *lock(&self.added) {
            Added::Waiting(apps) => {
                app.handle().shared().announce();
                apps.push(app);
            }
            Added::Refused => return Err(loop_ended()),
        }
        // A system that cannot do even that cannot be helped.
        let _ = self.waker.wake();
        Ok(())
    }

    /// Takes the apps that were left.
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

    /// Takes one of the apps that were woken.
    pub(super) fn take_woken(&self) -> Option<usize> {
        lock(&self.woken).pop()
    }

    /// What wakes an app, from any thread. It never waits.
    pub(super) fn app_waker(&self, number: usize, flag: WakeFlag) -> impl Fn() + Send + Sync + use<> {
        let (waker, list) = (Arc::clone(&self.waker), Arc::clone(&self.woken));
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
        f.debug_struct("Wakeups").field("woken", &lock(&self.woken).len()).finish_non_exhaustive()
    }
}

fn loop_ended() -> Error {
    Error::other(AppError::LoopEnded)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
