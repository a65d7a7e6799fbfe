//! The few threads that do what waits: connecting.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// How many jobs are done at a time.
pub(super) const MOST: usize = 4;

type Job<T> = Box<dyn FnOnce() -> T + Send>;

/// Threads that are started as they are needed, and joined when this is dropped.
pub(super) struct Helpers<T: Send + 'static> {
    desk: Arc<Desk<T>>,
    threads: Vec<JoinHandle<()>>,
}

/// What the helpers share with the loop.
struct Desk<T> {
    papers: Mutex<Papers<T>>,
    /// There is a job, or there will be none any more.
    changed: Condvar,
    /// Tells the loop that something is done.
    wake: Box<dyn Fn() + Send + Sync>,
}

struct Papers<T> {
    /// The jobs that nobody has begun, and the apps that they are for.
    jobs: VecDeque<(usize, Job<T>)>,
    done: Vec<(usize, Option<T>)>,
    /// How many helpers have nothing to do.
    idle: usize,
    over: bool,
}

impl<T: Send + 'static> Helpers<T> {
    /// No thread yet. `wake` is called by a helper that has done something.
    pub(super) fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let papers = Papers { jobs: VecDeque::new(), done: Vec::new(), idle: 0, over: false };
        let desk = Desk { papers: Mutex::new(papers), changed: Condvar::new(), wake: Box::new(wake) };
        Self { desk: Arc::new(desk), threads: Vec::new() }
    }

    /// Has a job done for an app, behind those that wait already.
    ///
    /// # Errors
    ///
    /// The system has no thread for it, and there is none yet that will come to it.
    pub(super) fn start(&mut self, app: usize, job: impl FnOnce() -> T + Send + 'static) -> io::Result<()> {
        let lacking = {
            let papers = self.desk.papers();
            papers.idle <= papers.jobs.len() && self.threads.len() < MOST
        };
        if lacking {
            let desk = Arc::clone(&self.desk);
            match thread::Builder::new().name("websocket-connect".to_owned()).spawn(move || desk.work()) {
                Ok(thread) => self.threads.push(thread),
                Err(error) if self.threads.is_empty() => return Err(error),
                Err(_) => {}
            }
        }
        self.desk.papers().jobs.push_back((app, Box::new(job)));
        self.desk.changed.notify_one();
        Ok(())
    }

    /// Takes what is done, with the app that it was for; nothing came of a job that panicked.
    pub(super) fn take_done(&self) -> Vec<(usize, Option<T>)> {
        std::mem::take(&mut self.desk.papers().done)
    }
}

/// Waits for the jobs that are being done. The others are not begun.
impl<T: Send + 'static> Drop for Helpers<T> {
    fn drop(&mut self) {
        let mut papers = self.desk.papers();
        papers.over = true;
        papers.jobs.clear();
        drop(papers);
        self.desk.changed.notify_all();
        for thread in self.threads.drain(..) {
            // Whatever panicked was caught.
            let _ = thread.join();
        }
    }
}

impl<T> Desk<T> {
    fn papers(&self) -> MutexGuard<'_, Papers<T>> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some((app, job)) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(job)).ok();
            self.papers().done.push((app, outcome));
            (self.wake)();
        }
    }

    /// Waits for a job; `None` when there will be none any more.
    fn next(&self) -> Option<(usize, Job<T>)> {
        let mut papers = self.papers();
        papers.idle += 1;
        while papers.jobs.is_empty() && !papers.over {
            papers = self.changed.wait(papers).unwrap_or_else(PoisonError::into_inner);
        }
        papers.idle -= 1;
        papers.jobs.pop_front()
    }
}

impl<T: Send + 'static> fmt::Debug for Helpers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Helpers").field("threads", &self.threads.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    /// Helpers, and what tells when they have done something.
    fn helpers<T: Send + 'static>() -> (Helpers<T>, mpsc::Receiver<()>) {
        let (wake, woken) = mpsc::channel();
        let helpers = Helpers::new(move || wake.send(()).unwrap());
        (helpers, woken)
    }

    #[test]
    fn no_thread_is_started_before_it_is_needed_and_never_more_than_four() {
        let (mut helpers, woken) = helpers();
        assert_eq!(helpers.threads.len(), 0);
        helpers.start(9, || 1).unwrap();
        woken.recv_timeout(LONG).unwrap();
        assert_eq!(helpers.take_done(), [(9, Some(1))]);
        while helpers.desk.papers().idle == 0 {
            thread::yield_now();
        }
        helpers.start(9, || 2).unwrap();
        assert_eq!(helpers.threads.len(), 1, "the first one has nothing to do");
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        for app in 0..100 {
            let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
            let job = move || {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(1));
                at_once.fetch_sub(1, Ordering::SeqCst);
                0
            };
            helpers.start(app, job).unwrap();
        }
        (0..101).for_each(|_| woken.recv_timeout(LONG).unwrap());
        assert_eq!((helpers.threads.len(), most.load(Ordering::SeqCst)), (MOST, MOST));
        assert_eq!(helpers.take_done().len(), 101);
    }

    #[test]
    fn a_job_that_panics_leaves_its_helper_alive() {
        let (mut helpers, woken) = helpers::<()>();
        helpers.start(3, || panic!("expected by this test")).unwrap();
        woken.recv_timeout(LONG).unwrap();
        assert_eq!(helpers.take_done(), [(3, None)]);
        helpers.start(3, || ()).unwrap();
        woken.recv_timeout(LONG).unwrap();
        assert_eq!(helpers.take_done(), [(3, Some(()))]);
    }

    #[test]
    fn dropped_it_waits_for_what_is_being_done_and_begins_nothing_more() {
        let (mut helpers, _woken) = helpers();
        let begun = Arc::new(AtomicUsize::new(0));
        for app in 0..100 {
            let begun = Arc::clone(&begun);
            helpers
                .start(app, move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(50));
                })
                .unwrap();
        }
        while begun.load(Ordering::SeqCst) < MOST {
            thread::yield_now();
        }
        drop(helpers);
        assert!(begun.load(Ordering::SeqCst) <= 2 * MOST);
        assert_eq!(Arc::strong_count(&begun), 1, "every job is gone");
    }
}
