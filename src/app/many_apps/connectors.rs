//! The threads for what waits: a user's [`connect_with`](crate::WebSocketApp::connect_with), one thread for each call.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, Scope};
use std::time::Duration;

/// How many calls are made at a time. One that hangs keeps its thread, and no other call, unless all hang.
pub(super) const MAX_THREADS: usize = 128;
/// How long a thread waits for the next call until it ends.
const IDLE: Duration = Duration::from_secs(5);

/// What the threads share with the loop: the calls, and what has come of them.
pub(super) struct Connectors<J, D> {
    state: Mutex<State<J, D>>,
    /// There is a call to make, or there will be none any more.
    changed: Condvar,
    connect: fn(J) -> D,
}

struct State<J, D> {
    /// What no thread has begun yet, and the number of the app that it is for.
    waiting: VecDeque<(usize, J)>,
    done: Vec<(usize, D)>,
    threads: usize,
    /// How many of them have nothing to do.
    idle: usize,
    is_over: bool,
}

impl<J: Send, D: Send> Connectors<J, D> {
    /// Without a thread. `connect` must not panic.
    pub(super) fn new(connect: fn(J) -> D) -> Self {
        let state = State { waiting: VecDeque::new(), done: Vec::new(), threads: 0, idle: 0, is_over: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), connect }
    }

    /// Has a call made, by a thread that is started if none is idle and there are not too many yet; then behind those that wait
    /// already. `wake` is called by whoever has made one.
    ///
    /// # Errors
    ///
    /// The call, when the system has no thread for it and there is none yet that will come to it.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        app: usize,
        job: J,
        wake: impl Fn() + Send + 'scope,
    ) -> Result<(), (J, io::Error)> {
        let mut state = self.state();
        if state.idle <= state.waiting.len() && state.threads < MAX_THREADS {
            let thread = Builder::new().name("websocket-connect".to_owned());
            match thread.spawn_scoped(scope, move || self.work(wake)) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err((job, error)),
                Err(_) => {}
            }
        }
        state.waiting.push_back((app, job));
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Takes back the call of an app that no thread has begun, if `is_wanted` says so.
    pub(super) fn take_back(&self, app: usize, is_wanted: impl Fn(&J) -> bool) -> Option<J> {
        let mut state = self.state();
        let at = state.waiting.iter().position(|(number, job)| *number == app && is_wanted(job))?;
        state.waiting.remove(at).map(|(_, job)| job)
    }

    /// Takes what is done, with the apps that it is for.
    pub(super) fn take_done(&self) -> Vec<(usize, D)> {
        std::mem::take(&mut self.state().done)
    }

    /// Ends the threads, each when it has done what it does. What none has begun is thrown away.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.waiting.clear();
        drop(state);
        self.changed.notify_all();
    }

    /// What a thread does.
    fn work(&self, wake: impl Fn()) {
        while let Some((app, job)) = self.next() {
            let done = (self.connect)(job);
            self.state().done.push((app, done));
            wake();
        }
    }

    /// Waits for a call to make; `None` ends the thread.
    fn next(&self) -> Option<(usize, J)> {
        let mut state = self.state();
        state.idle += 1;
        let nothing = |state: &mut State<J, D>| state.waiting.is_empty() && !state.is_over;
        (state, _) = self.changed.wait_timeout_while(state, IDLE, nothing).unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.threads -= 1;
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, State<J, D>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Send, D: Send> fmt::Debug for Connectors<J, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connectors").field("threads", &self.state().threads).finish_non_exhaustive()
    }
}

/// Ends the threads when the loop ends, however it ends.
pub(super) struct CloseOnDrop<'a, J: Send, D: Send>(pub(super) &'a Connectors<J, D>);

impl<J: Send, D: Send> Drop for CloseOnDrop<'_, J, D> {
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

    fn connectors() -> Connectors<Job, usize> {
        Connectors::new(|job| job())
    }

    fn start<'scope>(
        connectors: &'scope Connectors<Job, usize>,
        scope: &'scope Scope<'scope, '_>,
        app: usize,
        done: &mpsc::Sender<()>,
        job: impl FnOnce() -> usize + Send + 'static,
    ) {
        let done = done.clone();
        connectors
            .start(scope, app, Box::new(job), move || done.send(()).unwrap())
            .map_err(|(_, error)| error)
            .unwrap();
    }

    #[test]
    fn no_thread_is_started_before_it_is_needed_and_never_too_many() {
        let connectors = connectors();
        let (done, woken) = mpsc::channel();
        thread::scope(|scope| {
            let _closing = CloseOnDrop(&connectors);
            assert_eq!(connectors.state().threads, 0);
            start(&connectors, scope, 9, &done, || 1);
            woken.recv_timeout(LONG).unwrap();
            assert_eq!(connectors.take_done(), [(9, 1)]);
            while connectors.state().idle == 0 {
                thread::yield_now();
            }
            start(&connectors, scope, 9, &done, || 2);
            assert_eq!(connectors.state().threads, 1, "the first one has nothing to do");
            let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            for app in 0..500 {
                let counts = Arc::clone(&counts);
                start(&connectors, scope, app, &done, move || {
                    counts.1.fetch_max(counts.0.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    counts.0.fetch_sub(1, Ordering::SeqCst);
                    0
                });
            }
            (0..501).for_each(|_| woken.recv_timeout(LONG).unwrap());
            assert_eq!((connectors.state().threads, counts.1.load(Ordering::SeqCst)), (MAX_THREADS, MAX_THREADS));
            assert_eq!(connectors.take_done().len(), 501);
        });
    }

    #[test]
    fn closed_they_finish_what_they_do_and_begin_nothing_more() {
        let connectors = connectors();
        let (done, _woken) = mpsc::channel();
        let begun = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            let _closing = CloseOnDrop(&connectors);
            for app in 0..1000 {
                let begun = Arc::clone(&begun);
                start(&connectors, scope, app, &done, move || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(50));
                    0
                });
            }
            while begun.load(Ordering::SeqCst) < MAX_THREADS {
                thread::yield_now();
            }
        });
        assert!(begun.load(Ordering::SeqCst) <= 2 * MAX_THREADS);
        assert_eq!(Arc::strong_count(&begun), 1, "every job is gone");
    }
}
