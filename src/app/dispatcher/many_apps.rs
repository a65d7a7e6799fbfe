//! Thousands of apps on one thread: waits for all their sockets at once.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use super::Dispatcher;
use super::helpers::{Closing, Desk};
use super::slot::{Bell, Slot};
use super::timers::Timers;
use crate::app::error::AppError;
use crate::app::handler::log_error;
use crate::app::{AppStep, AppTask, Closed, Connected, Connecting, Handle, WebSocketApp};
use crate::error::{Error, OptionsError, Result};

/// Drives thousands of apps from one thread (feature `mio`, on Unix).
///
/// The callbacks are called on the thread of [`run`](Self::run), one at a time: one that takes its time keeps all apps
/// waiting. Nothing else does. Connections are made by at most four helper threads, which are started when they are needed, and
/// have ended when `run` returns; so four hosts that do not answer hold up the attempts behind them, for an
/// [open timeout](crate::ConnectOptions::open_timeout) at most. What is sent leaves at once or waits in memory, up to
/// [`max_unsent`](crate::ConnectOptions::max_unsent) bytes for each connection; beyond that sending fails with
/// [`Error::Full`]. A server that sends without a pause has its turn, and then the others have theirs.
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::{ManyApps, Reconnect, WebSocketApp};
///
/// let mut apps = ManyApps::new()?;
/// for shard in 0..1000 {
///     let app = WebSocketApp::new(format!("wss://feed.example/{shard}"))
///         .on_message(move |_, message| println!("{shard}: {message:?}"))
///         .ping_interval(Duration::from_secs(30))
///         .reconnect(Reconnect::backoff());
///     app.run_on(&mut apps)?;
/// }
/// apps.run()?; // until each of them has ended
/// # Ok::<(), websocket_sync::Error>(())
/// ```
pub struct ManyApps<'env> {
    poll: Poll,
    events: Events,
    bell: Arc<Bell<'env>>,
    slots: Vec<Option<Slot<'env>>>,
    /// The numbers that are free again.
    free: Vec<usize>,
    timers: Timers,
    /// The apps that wait for their turn, each once.
    queue: VecDeque<usize>,
    on_ended: Option<OnEnded<'env>>,
}

type OnEnded<'env> = Box<dyn FnMut(&Handle, Result<Closed>) + Send + 'env>;

/// Adds apps to a loop that runs: from callbacks, from other threads.
#[derive(Clone, Debug)]
pub struct AppAdder<'env> {
    bell: Arc<Bell<'env>>,
}

/// What the helpers do, and what comes of it.
type ConnectDesk<'env> = Desk<Connecting<'env>, Connected<'env>>;

/// What wakes the loop although no socket says anything.
const BELL: Token = Token(usize::MAX);
/// How many sockets are heard of at a time.
const EVENTS: usize = 1024;

impl<'env> ManyApps<'env> {
    /// A loop without apps.
    ///
    /// # Errors
    ///
    /// [`Error::Other`] when the system has no means to wait for many sockets to give.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let bell = Bell::new(Waker::new(poll.registry(), BELL)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            bell: Arc::new(bell),
            slots: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            queue: VecDeque::new(),
            on_ended: None,
        })
    }

    /// Is told how each app has ended, as [`WebSocketApp::run_forever`] would have returned. Its own panic is logged.
    ///
    /// Default: nobody is, but the callbacks of the app.
    pub fn on_ended(&mut self, callback: impl FnMut(&Handle, Result<Closed>) + Send + 'env) {
        self.on_ended = Some(Box::new(callback));
    }

    /// Adds an app, which begins to run with [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a setting that cannot be meant, and for a [queue](WebSocketApp::queue): that needs threads.
    pub fn add(&mut self, app: WebSocketApp<'env>) -> Result<Handle> {
        let number = self.free.pop().unwrap_or(self.slots.len());
        if number == self.slots.len() {
            self.slots.push(None);
        }
        let handle = app.handle();
        match Slot::new(number, app, &self.bell) {
            Ok(slot) => {
                self.slots[number] = Some(slot);
                self.call(number);
                Ok(handle)
            }
            Err(error) => {
                self.free.push(number);
                Err(error)
            }
        }
    }

    /// What adds apps while the loop runs.
    pub fn adder(&self) -> AppAdder<'env> {
        AppAdder { bell: Arc::clone(&self.bell) }
    }

    /// How many apps there are that have not ended.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len() + self.bell.count_added()
    }

    /// Whether all apps have ended.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs, on this thread, until all apps have ended. Then it can be used again.
    ///
    /// # Errors
    ///
    /// [`Error::Other`] when the system cannot wait for sockets; the apps are stopped. How an app ends is not an error of the loop.
    pub fn run(&mut self) -> Result<()> {
        let desk = Desk::new(Connecting::run);
        self.bell.open();
        thread::scope(|scope| {
            let _closing = Closing(&desk);
            loop {
                self.take_added();
                if self.is_empty() && self.bell.close_if_none_added() {
                    return Ok(());
                }
                if let Err(error) = self.wait() {
                    self.stop();
                    return Err(error.into());
                }
                self.find_called(&desk);
                for _ in 0..self.queue.len() {
                    if let Some(number) = self.queue.pop_front() {
                        self.turn(number, scope, &desk);
                    }
                }
            }
        })
    }

    /// Waits until there is a turn for some app.
    fn wait(&mut self) -> io::Result<()> {
        let wait = if self.queue.is_empty() { self.timers.wait(Instant::now()) } else { Some(Duration::ZERO) };
        match self.poll.poll(&mut self.events, wait) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            polled => polled,
        }
    }

    /// Queues the apps that something has happened to.
    fn find_called(&mut self, desk: &ConnectDesk<'env>) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        events.iter().filter(|event| event.token() != BELL).for_each(|event| self.call(event.token().0));
        self.events = events;
        while let Some(number) = self.bell.take_called() {
            self.call(number);
        }
        for (number, connected) in desk.take_done() {
            if let Some(Some(slot)) = self.slots.get_mut(number) {
                slot.task.connected(connected);
                self.call(number);
            }
        }
        let now = Instant::now();
        while let Some(number) = self.timers.take_due(now) {
            self.call(number);
        }
    }

    /// Queues an app for its turn.
    fn call(&mut self, number: usize) {
        if let Some(Some(slot)) = self.slots.get_mut(number)
            && !std::mem::replace(&mut slot.is_queued, true)
        {
            self.queue.push_back(number);
        }
    }

    /// One turn of an app.
    fn turn<'scope>(&mut self, number: usize, scope: &'scope Scope<'scope, '_>, desk: &'scope ConnectDesk<'env>)
    where
        'env: 'scope,
    {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        slot.begin_turn();
        match slot.task.advance() {
            AppStep::Connect(attempt) => {
                self.timers.set(number, None);
                let waker = self.bell.waker();
                let started = desk.start(scope, number, attempt, move || drop(waker.wake()));
                if let Err((attempt, error)) = started {
                    slot.task.connected(attempt.fail(error.into()));
                    self.call(number);
                }
            }
            AppStep::Wait(until) => {
                self.timers.set(number, until);
                self.watch(number);
                self.call_off(number, desk);
            }
            AppStep::Again => {
                self.watch(number);
                self.call(number);
            }
            AppStep::Over(outcome) => self.end(number, outcome),
        }
    }

    /// An app that is called off while its attempt waits for a helper does not wait any longer.
    fn call_off(&mut self, number: usize, desk: &ConnectDesk<'env>) {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        if let Some(attempt) = desk.take_back(number, Connecting::is_called_off) {
            slot.task.connected(attempt.call_off());
            self.call(number);
        }
    }

    /// Makes sure that the socket of the app's connection is waited for.
    fn watch(&mut self, number: usize) {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        let connection = slot.task.connection();
        if connection.is_none() || connection == slot.watched {
            return;
        }
        slot.watched = connection;
        if let Err(error) = register(&self.poll, &slot.task, number) {
            slot.task.fail(error);
            self.call(number);
        }
    }

    fn end(&mut self, number: usize, outcome: Result<Closed>) {
        let Some(slot) = self.slots[number].take() else { return };
        self.timers.set(number, None);
        self.free.push(number);
        self.tell(&slot.task.handle(), outcome);
    }

    /// Tells how an app has ended. A panic of who is told does not end the other apps.
    fn tell(&mut self, handle: &Handle, outcome: Result<Closed>) {
        let Some(on_ended) = &mut self.on_ended else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| on_ended(handle, outcome))) {
            log_error(&Error::other(AppError::panicked("on_ended", &*payload)));
        }
    }

    fn take_added(&mut self) {
        for app in self.bell.take_added() {
            let handle = app.handle();
            if let Err(error) = self.add(app) {
                self.tell(&handle, Err(error));
            }
        }
    }

    /// Stops all apps: the loop cannot go on.
    fn stop(&mut self) {
        self.bell.close();
        for slot in self.slots.drain(..).flatten() {
            slot.task.handle().stop();
        }
        self.free.clear();
        self.queue.clear();
        self.timers = Timers::default();
    }
}

impl Drop for ManyApps<'_> {
    fn drop(&mut self) {
        self.bell.close();
    }
}

impl<'env> AppAdder<'env> {
    /// Adds an app to the loop; it begins with the next turn of [`ManyApps::run`]. What is wrong with its settings is told by
    /// [`ManyApps::on_ended`].
    ///
    /// # Errors
    ///
    /// [`AppError::LoopEnded`](crate::AppError::LoopEnded) when the loop has ended, since all of its apps have: nobody would drive
    /// this one. [`ManyApps::add`] and another run begin anew.
    pub fn add(&self, app: WebSocketApp<'env>) -> Result<Handle> {
        let handle = app.handle();
        self.bell.add(app)?;
        Ok(handle)
    }
}

impl<'env> Dispatcher<'env> for &mut ManyApps<'env> {
    type Driven = Handle;

    fn drive(self, app: WebSocketApp<'env>) -> Result<Handle> {
        self.add(app)
    }
}

impl<'env> Dispatcher<'env> for &AppAdder<'env> {
    type Driven = Handle;

    fn drive(self, app: WebSocketApp<'env>) -> Result<Handle> {
        self.add(app)
    }
}

/// Waits for a socket from now on: each time that there is more to be read, or room to write. It is forgotten when it is closed.
fn register(poll: &Poll, task: &AppTask<'_>, number: usize) -> Result<()> {
    let Some(socket) = task.as_fd() else {
        let problem = "the stream has no socket that could be waited for";
        return Err(Error::Options(Box::new(OptionsError::new("connect_with", problem))));
    };
    let interest = Interest::READABLE | Interest::WRITABLE;
    Ok(poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), Token(number), interest)?)
}

impl fmt::Debug for ManyApps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManyApps").field("len", &self.len()).field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}
