//! Wake-ups of the loop by other threads and by callbacks: which apps they are for, and which apps are added.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::app::{AppError, WebSocketApp};
use crate::error::{Error, Result};
use crate::sync::{AtomicBool, Mutex, MutexGuard};

/// The wake-ups of a loop.
pub(in crate::app) struct Wakeups<'env> {
    /// Ends a wait of the loop, or the next one.
    waker: Arc<dyn Fn() + Send + Sync>,
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
#[derive(Clone, Debug)]
pub(in crate::app) struct WakeFlag(Arc<AtomicBool>);

impl Default for WakeFlag {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(false)))
    }
}

impl WakeFlag {
    /// The turn begins: a wake-up from now on is for the next one. What was done before a wake-up is seen in this turn.
    pub(in crate::app) fn clear(&self) {
        self.0.swap(false, Ordering::AcqRel);
    }
}

impl<'env> Wakeups<'env> {
    pub(in crate::app) fn new(waker: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            waker: Arc::new(waker),
            woken: Arc::new(Mutex::new(Vec::new())),
            added: Mutex::new(Added::Waiting(Vec::new())),
        }
    }

    /// What wakes the loop, for whatever it finds.
    pub(in crate::app) fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        Arc::clone(&self.waker)
    }

    /// Leaves an app for the loop. It counts as running from now on.
    ///
    /// # Errors
    ///
    /// [`AppError::LoopEnded`].
    pub(in crate::app) fn add(&self, app: WebSocketApp<'env>) -> Result<()> {
        match &mut *lock(&self.added) {
            Added::Waiting(apps) => {
                app.handle().shared().announce();
                apps.push(app);
            }
            Added::Refused => return Err(loop_ended()),
        }
        (self.waker)();
        Ok(())
    }

    /// Takes the apps that were left.
    pub(in crate::app) fn take_added(&self) -> Vec<WebSocketApp<'env>> {
        match &mut *lock(&self.added) {
            Added::Waiting(apps) => std::mem::take(apps),
            Added::Refused => Vec::new(),
        }
    }

    /// How many apps wait to be taken.
    pub(in crate::app) fn count_added(&self) -> usize {
        match &*lock(&self.added) {
            Added::Waiting(apps) => apps.len(),
            Added::Refused => 0,
        }
    }

    /// The loop runs, or will.
    pub(in crate::app) fn open(&self) {
        let mut added = lock(&self.added);
        if matches!(*added, Added::Refused) {
            *added = Added::Waiting(Vec::new());
        }
    }

    /// The loop ends, unless an app was added in the meantime: then it goes on.
    pub(in crate::app) fn close_if_none_added(&self) -> bool {
        let mut added = lock(&self.added);
        if matches!(&*added, Added::Waiting(apps) if !apps.is_empty()) {
            return false;
        }
        *added = Added::Refused;
        true
    }

    /// The loop has ended. What was added and not taken does not run, for this reason; hands it back.
    pub(in crate::app) fn close(&self, reason: &Error) -> Vec<WebSocketApp<'env>> {
        let added = std::mem::replace(&mut *lock(&self.added), Added::Refused);
        let Added::Waiting(apps) = added else { return Vec::new() };
        apps.iter().for_each(|app| app.handle().shared().refuse(reason));
        apps
    }

    /// Takes one of the apps that were woken.
    pub(in crate::app) fn take_woken(&self) -> Option<usize> {
        lock(&self.woken).pop()
    }

    /// What wakes an app, from any thread. It never waits. The loop takes all apps that were woken before it waits again, so that the
    /// first of them alone ends its wait.
    pub(in crate::app) fn app_waker(&self, number: usize, flag: WakeFlag) -> impl Fn() + Send + Sync + use<> {
        let (waker, list) = (Arc::clone(&self.waker), Arc::clone(&self.woken));
        move || {
            if flag.0.swap(true, Ordering::AcqRel) {
                return;
            }
            let mut woken = lock(&list);
            woken.push(number);
            let is_first = woken.len() == 1;
            drop(woken);
            if is_first {
                waker();
            }
        }
    }
}

impl fmt::Debug for Wakeups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wakeups").field("woken", &lock(&self.woken).len()).finish_non_exhaustive()
    }
}

pub(in crate::app) fn loop_ended() -> Error {
    Error::other(AppError::LoopEnded)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
