//! Why it is the turn of an app without its socket being ready: other threads and callbacks wake the loop, apps are added, and timers
//! become due.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

/// The moments that a loop has to wake up at.
#[derive(Debug, Default)]
pub(super) struct Timers {
    /// Ordered by time. Invariant: an app's moment is here exactly if it is in `of_app`.
    order: BTreeSet<(Instant, usize)>,
    of_app: Vec<Option<Instant>>,
}

impl Timers {
    /// Sets the moment of an app in place of the one before; `None` for none.
    pub(super) fn set(&mut self, app: usize, moment: Option<Instant>) {
        if self.of_app.len() <= app {
            self.of_app.resize(app + 1, None);
        }
        if self.of_app[app] == moment {
            return;
        }
        if let Some(before) = std::mem::replace(&mut self.of_app[app], moment) {
            self.order.remove(&(before, app));
        }
        if let Some(moment) = moment {
            self.order.insert((moment, app));
        }
    }

    /// Takes an app whose moment has come, the one that waits longest first.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<usize> {
        let &(moment, app) = self.order.first()?;
        if moment > now {
            return None;
        }
        self.order.pop_first();
        self.of_app[app] = None;
        Some(app)
    }

    /// How long until the next moment: zero if it has passed, `None` if there is none.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        self.order.first().map(|(moment, _)| moment.saturating_duration_since(now))
    }
}

fn loop_ended() -> Error {
    Error::other(AppError::LoopEnded)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn apps_become_due_in_the_order_of_their_moments() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for (app, after) in [(0, 30), (1, 10), (7, 20), (3, 10)] {
            timers.set(app, Some(start + after * MS));
        }
        assert_eq!(timers.wait(start), Some(10 * MS));
        assert_eq!(timers.take_due(start + 9 * MS), None);
        let due: Vec<usize> = std::iter::from_fn(|| timers.take_due(start + 20 * MS)).collect();
        assert_eq!(due, [1, 3, 7]);
        assert_eq!(timers.wait(start + 40 * MS), Some(Duration::ZERO));
        assert_eq!((timers.take_due(start + 40 * MS), timers.wait(start)), (Some(0), None));
    }

    #[test]
    fn a_new_moment_replaces_the_old_one_so_that_nothing_piles_up() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for after in 0..1000 {
            timers.set(5, Some(start + after * MS));
            timers.set(6, Some(start));
            timers.set(6, None);
        }
        assert_eq!(timers.order.len(), 1);
        assert_eq!(timers.take_due(start + 998 * MS), None);
        assert_eq!(timers.take_due(start + 999 * MS), Some(5));
        assert_eq!(timers.take_due(start + 2000 * MS), None);
    }
}
