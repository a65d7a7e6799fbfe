//! The one thread that sends the pings of all apps of the process that run on threads of their own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex as StdMutex, PoisonError, Weak};
use std::time::Instant;
use std::{fmt, io};

use super::callbacks::log_error;
use super::facts::AppError;
use super::shared::PingOutcome;
use super::timers::Timers;
use crate::error::Error;
use crate::sync::thread::{Builder, JoinHandle};
use crate::sync::{self, Condvar, Mutex, MutexGuard};

/// An app whose pings are sent. Dropped, they are no longer.
#[derive(Debug)]
pub(super) struct PingRegistration {
    thread: Arc<PingThread>,
    number: usize,
}

/// The thread. It begins with the first app, and has ended when the last one is dropped.
#[derive(Debug)]
struct PingThread {
    queue: Arc<PingQueue>,
}

/// What the thread shares with the apps.
#[derive(Debug)]
struct PingQueue {
    state: Mutex<PingState>,
    changed: Condvar,
}

#[derive(Debug)]
struct PingState {
    apps: Vec<Option<App>>,
    /// The numbers that are free again.
    free: Vec<usize>,
    timers: Timers,
    phase: ThreadPhase,
}

#[derive(Debug)]
enum ThreadPhase {
    NotStarted,
    Running(JoinHandle<()>),
    Ending,
}

/// An app, as far as its pings go.
pub(super) trait KeepaliveTarget: fmt::Debug + Send + Sync {
    /// Does what the keepalive of the open connection has to do now. Does not wait.
    fn poll_keepalive(&self) -> PingOutcome;
    /// Ends the open connection as that of a peer that has fallen silent.
    fn abandon_connection(&self);
    /// Is to be called when a connection is open, until the run is over.
    fn set_ping_waker(&self, waker: Arc<dyn Fn() + Send + Sync>);
}

type App = Arc<dyn KeepaliveTarget>;

/// The thread of this process, if it has one. Locked for a moment only, and never while another lock is taken.
#[cfg(not(all(test, shuttle)))]
static THREAD: StdMutex<Weak<PingThread>> = StdMutex::new(Weak::new());

#[cfg(all(test, shuttle))]
thread_local! {
    /// That of one exploration: all threads of it are one thread of the system.
    static THREAD: StdMutex<Weak<PingThread>> = const { StdMutex::new(Weak::new()) };
}

impl PingRegistration {
    /// Has the pings of an app sent from now on, for each of its connections.
    ///
    /// # Errors
    ///
    /// When the system has no thread to give.
    pub(super) fn new(app: App) -> io::Result<Self> {
        let thread = PingThread::of_process();
        let number = thread.queue.add(Arc::clone(&app))?;
        let queue = Arc::clone(&thread.queue);
        app.set_ping_waker(Arc::new(move || queue.schedule(number, sync::now())));
        Ok(Self { thread, number })
    }
}

impl Drop for PingRegistration {
    fn drop(&mut self) {
        self.thread.queue.remove(self.number);
    }
}

impl PingThread {
    #[cfg(not(all(test, shuttle)))]
    fn of_process() -> Arc<Self> {
        Self::current(&THREAD)
    }

    #[cfg(all(test, shuttle))]
    fn of_process() -> Arc<Self> {
        THREAD.with(Self::current)
    }

    fn current(current: &StdMutex<Weak<Self>>) -> Arc<Self> {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = current.upgrade() {
            return thread;
        }
        let state =
            PingState { apps: Vec::new(), free: Vec::new(), timers: Timers::default(), phase: ThreadPhase::NotStarted };
        let queue = PingQueue { state: Mutex::new(state), changed: Condvar::new() };
        let thread = Arc::new(Self { queue: Arc::new(queue) });
        *current = Arc::downgrade(&thread);
        thread
    }
}

impl Drop for PingThread {
    fn drop(&mut self) {
        let phase = std::mem::replace(&mut self.queue.state().phase, ThreadPhase::Ending);
        self.queue.changed.notify_all();
        if let ThreadPhase::Running(thread) = phase {
            // It has caught the panics of what it calls.
            let _ = thread.join();
        }
    }
}

impl PingQueue {
    /// Adds an app, and starts the thread for the first one. Returns its number.
    fn add(self: &Arc<Self>, app: App) -> io::Result<usize> {
        let mut state = self.state();
        if let ThreadPhase::NotStarted = state.phase {
            let queue = Arc::clone(self);
            let thread = Builder::new().name("websocket-ping".to_owned()).spawn(move || queue.run())?;
            state.phase = ThreadPhase::Running(thread);
        }
        let number = state.free.pop().unwrap_or(state.apps.len());
        if number == state.apps.len() {
            state.apps.push(None);
        }
        state.apps[number] = Some(app);
        Ok(number)
    }

    fn remove(&self, number: usize) {
        let mut state = self.state();
        let app = state.apps[number].take();
        state.timers.set(number, None);
        state.free.push(number);
        drop(state);
        drop(app);
    }

    /// Looks after an app at this moment, or before.
    fn schedule(&self, number: usize, moment: Instant) {
        let mut state = self.state();
        if state.apps.get(number).is_some_and(Option::is_some) && state.timers.set_earlier(number, moment) {
            self.changed.notify_all();
        }
    }

    /// What the thread does.
    fn run(&self) {
        let mut state = self.state();
        while !matches!(state.phase, ThreadPhase::Ending) {
            let now = sync::now();
            let Some(number) = state.timers.take_due(now) else {
                state = match state.timers.wait(now) {
                    None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(wait) => self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0,
                };
                continue;
            };
            let Some(app) = state.apps.get(number).cloned().flatten() else { continue };
            drop(state);
            let next = poll(&*app);
            drop(app);
            if let Some(next) = next {
                self.schedule(number, next);
            }
            state = self.state();
        }
    }

    fn state(&self) -> MutexGuard<'_, PingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends the pings of an app that are due. Returns when to look again. A user's Transport that panics ends its own connection only.
fn poll(app: &dyn KeepaliveTarget) -> Option<Instant> {
    match catch_unwind(AssertUnwindSafe(|| app.poll_keepalive())) {
        Ok(PingOutcome::WaitUntil(next)) => next,
        Ok(PingOutcome::Dead) => None,
        Err(payload) => {
            log_error(&Error::other(AppError::panicked("a Transport", &*payload)));
            let _ = catch_unwind(AssertUnwindSafe(|| app.abandon_connection()));
            None
        }
    }
}
