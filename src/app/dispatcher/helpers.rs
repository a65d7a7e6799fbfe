//! The few threads that do what waits: connecting.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};

/// How many jobs are done at a time.
pub(super) const MOST: usize = 4;

/// What the helpers share with the loop: the jobs, and what has come of them.
pub(super) struct Desk<J, D> {
    papers: Mutex<Papers<J, D>>,
    /// There is a job, or there will be none any more.
    changed: Condvar,
    work: fn(J) -> D,
}

struct Papers<J, D> {
    /// What nobody has begun yet, and the number of the app that it is for.
    jobs: VecDeque<(usize, J)>,
    done: Vec<(usize, D)>,
    helpers: usize,
    /// How many of them have nothing to do.
    idle: usize,
    over: bool,
}

impl<J: Send, D: Send> Desk<J, D> {
    /// Nobody works yet. `work` must not panic.
    pub(super) fn new(work: fn(J) -> D) -> Self {
        let papers = Papers { jobs: VecDeque::new(), done: Vec::new(), helpers: 0, idle: 0, over: false };
        Self { papers: Mutex::new(papers), changed: Condvar::new(), work }
    }

    /// Has a job done, behind those that wait already, by a helper that is started if none is idle and there are not four yet.
    /// `wake` is called by whoever has done something.
    ///
    /// # Errors
    ///
    /// The job, when the system has no thread for it and there is none yet that will come to it.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        app: usize,
        job: J,
        wake: impl Fn() + Send + 'scope,
    ) -> Result<(), (J, io::Error)> {
        let mut papers = self.papers();
        if papers.idle <= papers.jobs.len() && papers.helpers < MOST {
            let helper = Builder::new().name("websocket-connect".to_owned());
            match helper.spawn_scoped(scope, move || self.help(wake)) {
                Ok(_) => papers.helpers += 1,
                Err(error) if papers.helpers == 0 => return Err((job, error)),
                Err(_) => {}
            }
        }
        papers.jobs.push_back((app, job));
        drop(papers);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes back the job of an app that nobody has begun, if `is_wanted` says so.
    pub(super) fn take_back(&self, app: usize, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut papers = self.papers();
        let at = papers.jobs.iter().position(|(number, job)| *number == app && is_wanted(job))?;
        papers.jobs.remove(at).map(|(_, job)| job)
    }

    /// Takes what is done, with the apps that it is for.
    pub(super) fn take_done(&self) -> Vec<(usize, D)> {
        std::mem::take(&mut self.papers().done)
    }

    /// Sends the helpers home, when each has done what it does. What nobody has begun is thrown away.
    pub(super) fn close(&self) {
        let mut papers = self.papers();
        papers.over = true;
        papers.jobs.clear();
        drop(papers);
        self.changed.notify_all();
    }

    /// The life of a helper.
    fn help(&self, wake: impl Fn()) {
        while let Some((app, job)) = self.next() {
            let done = (self.work)(job);
            self.papers().done.push((app, done));
            wake();
        }
    }

    /// Waits for a job; `None` when there will be none any more.
    fn next(&self) -> Option<(usize, J)> {
        let mut papers = self.papers();
        papers.idle += 1;
        while papers.jobs.is_empty() && !papers.over {
            papers = self.changed.wait(papers).unwrap_or_else(PoisonError::into_inner);
        }
        papers.idle -= 1;
        papers.jobs.pop_front()
    }

    fn papers(&self) -> MutexGuard<'_, Papers<J, D>> {
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Send, D: Send> fmt::Debug for Desk<J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("helpers", &self.papers().helpers).finish_non_exhaustive()
    }
}

/// Sends the helpers home when the loop ends, however it ends.
pub(super) struct Closing<'a, J: Send, D: Send>(pub(super) &'a Desk<J, D>);

impl<J: Send, D: Send> Drop for Closing<'_, J, D> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(10);

    type Job = Box<dyn FnOnce() -> usize + Send>;

    fn desk() -> Desk<Job, usize> {
        Desk::new(|job| job())
    }

    fn start<'scope>(
        desk: &'scope Desk<Job, usize>,
        scope: &'scope Scope<'scope, '_>,
        app: usize,
        done: &mpsc::Sender<()>,
        job: impl FnOnce() -> usize + Send + 'static,
    ) {
        let done = done.clone();
        desk.start(scope, app, Box::new(job), move || done.send(()).unwrap()).map_err(|(_, error)| error).unwrap();
    }

    #[test]
    fn no_thread_is_started_before_it_is_needed_and_never_more_than_four() {
        let desk = desk();
        let (done, woken) = mpsc::channel();
        thread::scope(|scope| {
            let _closing = Closing(&desk);
            assert_eq!(desk.papers().helpers, 0);
            start(&desk, scope, 9, &done, || 1);
            woken.recv_timeout(LONG).unwrap();
            assert_eq!(desk.take_done(), [(9, 1)]);
            while desk.papers().idle == 0 {
                thread::yield_now();
            }
            start(&desk, scope, 9, &done, || 2);
            assert_eq!(desk.papers().helpers, 1, "the first one has nothing to do");
            let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            for app in 0..100 {
                let counts = Arc::clone(&counts);
                start(&desk, scope, app, &done, move || {
                    counts.1.fetch_max(counts.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(1));
                    counts.0.fetch_sub(1, Ordering::SeqCst);
                    0
                });
            }
            (0..101).for_each(|_| woken.recv_timeout(LONG).unwrap());
            assert_eq!((desk.papers().helpers, counts.1.load(Ordering::SeqCst)), (MOST, MOST));
            assert_eq!(desk.take_done().len(), 101);
        });
    }

    #[test]
    fn sent_home_they_finish_what_they_do_and_begin_nothing_more() {
        let desk = desk();
        let (done, _woken) = mpsc::channel();
        let begun = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            let _closing = Closing(&desk);
            for app in 0..100 {
                let begun = Arc::clone(&begun);
                start(&desk, scope, app, &done, move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(50));
                    0
                });
            }
            while begun.load(Ordering::SeqCst) < MOST {
                thread::yield_now();
            }
        });
        assert!(begun.load(Ordering::SeqCst) <= 2 * MOST);
        assert_eq!(Arc::strong_count(&begun), 1, "every job is gone");
    }
}
