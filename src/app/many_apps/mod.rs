//! Thousands of apps on one thread: waits for all their sockets at once.

mod connectors;
mod openings;
mod registration;
pub(super) mod wakeups;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token, Waker};

use self::connectors::{CloseOnDrop, Connectors};
use self::openings::{HostKey, OpeningLimits, Openings, Ticket, host_of};
use self::registration::Registration;
use self::wakeups::{WakeFlag, Wakeups, loop_ended};
use super::task::{AppStep, AppTask, Connected, Connecting, Permission};
use super::timers::Timers;
use crate::app::callbacks::{drop_transport, log_error};
use crate::app::facts::{AppError, duplicate_error};
use crate::app::{Closed, Handle, WebSocketApp};
use crate::error::{Error, Result};
use crate::net::Source;
use crate::websocket::SocketEvent;

/// Drives thousands of apps from one thread (feature `mio`), by epoll, kqueue, or on Windows by completion ports.
///
/// The callbacks are called on the thread of [`run`](Self::run), one at a time: one that takes its time keeps all apps
/// waiting. Nothing else does. Connections are opened on that thread too, many at a time: up to [1,024](Self::max_openings), of which
/// [128](Self::max_openings_per_host) to one host; what waits behind those of a host that does not answer holds up no other host. Threads
/// are for what may wait: name lookups, [resolvers](crate::ConnectOptions::resolver),
/// [header providers](crate::ConnectOptions::header_provider) and [`connect_with`](WebSocketApp::connect_with), one for an app at most, of
/// the last up to 128 at a time. They have ended when `run` returns, but for lookups, resolvers and providers that hang.
///
/// What is sent leaves at once or waits in memory, up to
/// [`max_unsent`](crate::ConnectOptions::max_unsent) bytes for each connection; beyond that sending fails with
/// [`Error::Full`]. A server that sends without a pause has its turn, and then the others have theirs.
///
/// [`Handle::try_close`] closes all of them at a time from another thread, where [`Handle::close`] waits for the end of each.
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
///     apps.add(app)?;
/// }
/// apps.run()?; // until each of them has ended
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[doc(alias = "create_dispatcher")]
#[doc(alias = "dispatcher")]
#[doc(alias = "rel")]
pub struct ManyApps<'env> {
    poll: Poll,
    events: Events,
    wakeups: Arc<Wakeups<'env>>,
    slots: Vec<Option<AppEntry<'env>>>,
    /// The numbers that are free again.
    free: Vec<usize>,
    timers: Timers,
    openings: Openings,
    /// Of the latest request for an opening.
    ticket: u64,
    /// The apps that wait for their turn, each once.
    queue: VecDeque<usize>,
    on_ended: Option<OnEnded<'env>>,
}

/// One app of a loop.
#[derive(Debug)]
struct AppEntry<'env> {
    task: AppTask<'env>,
    wake: WakeFlag,
    /// Whether it waits for its turn.
    is_queued: bool,
    /// What its openings count for; `None` for a URL that is none.
    host: Option<HostKey>,
    opening: EntryOpening,
    registered: Vec<Registration>,
    /// The connection that they belong to, if it is open.
    connection: Option<u64>,
}

/// What the openings of the loop know of an app.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum EntryOpening {
    None,
    /// It was requested.
    Waiting {
        ticket: u64,
    },
    /// It counts.
    UnderWay,
}

type OnEnded<'env> = Box<dyn FnMut(&Handle, Result<Closed>) + Send + 'env>;

/// Adds apps to a loop that runs: from callbacks, from other threads.
#[derive(Clone, Debug)]
pub struct AppAdder<'env> {
    wakeups: Arc<Wakeups<'env>>,
}

/// The attempts of `connect_with`, and what comes of them.
type AppConnectors<'env> = Connectors<Connecting<'env>, Connected<'env>>;

/// The token of the waker.
const WAKEUP: Token = Token(usize::MAX);
/// How many events one poll gives.
const EVENTS: usize = 1024;
const LIMITS: OpeningLimits =
    OpeningLimits { total: NonZeroUsize::new(1024).unwrap(), per_host: NonZeroUsize::new(128).unwrap() };

impl<'env> ManyApps<'env> {
    /// A loop without apps.
    ///
    /// # Errors
    ///
    /// [`Error::Other`] when the system has no means to wait for many sockets to give.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKEUP)?;
        // A system that cannot do even that cannot be helped.
        let wakeups = Wakeups::new(move || drop(waker.wake()));
        Ok(Self {
            poll,
            events: Events::with_capacity(EVENTS),
            wakeups: Arc::new(wakeups),
            slots: Vec::new(),
            free: Vec::new(),
            timers: Timers::default(),
            openings: Openings::new(LIMITS),
            ticket: 0,
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

    /// How many connections may be opened at a time. Those that are open do not count, nor attempts of
    /// [`connect_with`](WebSocketApp::connect_with).
    ///
    /// Default: 1,024.
    pub fn max_openings(&mut self, limit: NonZeroUsize) {
        self.openings.limits.total = limit;
    }

    /// How many connections to one host and port, or Unix socket, may be opened at a time. Others wait for their turn; the
    /// [open timeout](crate::ConnectOptions::open_timeout) counts from its beginning.
    ///
    /// Default: 128.
    pub fn max_openings_per_host(&mut self, limit: NonZeroUsize) {
        self.openings.limits.per_host = limit;
    }

    /// Adds an app, which begins to run with [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for an invalid setting, and for a [queue](WebSocketApp::queue): that needs threads.
    pub fn add(&mut self, app: WebSocketApp<'env>) -> Result<Handle> {
        let number = self.free.pop().unwrap_or(self.slots.len());
        if number == self.slots.len() {
            self.slots.push(None);
        }
        let handle = app.handle();
        match AppEntry::new(number, app, &self.wakeups) {
            Ok(slot) => {
                self.slots[number] = Some(slot);
                self.schedule(number);
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
        AppAdder { wakeups: Arc::clone(&self.wakeups) }
    }

    /// How many apps there are that have not ended.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len() + self.wakeups.count_added()
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
        let connectors = Connectors::new(Connecting::run);
        self.wakeups.open();
        thread::scope(|scope| {
            let _closing = CloseOnDrop(&connectors);
            loop {
                self.take_added();
                if self.is_empty() && self.wakeups.close_if_none_added() {
                    return Ok(());
                }
                if let Err(error) = self.wait() {
                    let error = Error::from(error);
                    self.stop(&error);
                    return Err(error);
                }
                self.schedule_woken(&connectors);
                for _ in 0..self.queue.len() {
                    if let Some(number) = self.queue.pop_front() {
                        self.turn(number, scope, &connectors);
                    }
                }
                self.begin_openings();
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

    /// Queues the apps that are woken, whose sockets are ready, or whose timers are due.
    fn schedule_woken(&mut self, connectors: &AppConnectors<'env>) {
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in events.iter().filter(|event| event.token() != WAKEUP) {
            let number = event.token().0;
            if let Some(Some(slot)) = self.slots.get_mut(number) {
                if event.is_read_closed() || event.is_error() {
                    slot.task.note_event(SocketEvent::ReadClosed);
                } else if event.is_readable() {
                    slot.task.note_event(SocketEvent::Readable);
                }
            }
            self.schedule(number);
        }
        self.events = events;
        while let Some(number) = self.wakeups.take_woken() {
            self.schedule(number);
        }
        for (number, connected) in connectors.take_done() {
            if let Some(Some(slot)) = self.slots.get_mut(number) {
                slot.task.connected(connected);
                self.schedule(number);
            }
        }
        let now = Instant::now();
        while let Some(number) = self.timers.take_due(now) {
            self.schedule(number);
        }
    }

    /// Queues an app for its turn.
    fn schedule(&mut self, number: usize) {
        if let Some(Some(slot)) = self.slots.get_mut(number)
            && !std::mem::replace(&mut slot.is_queued, true)
        {
            self.queue.push_back(number);
        }
    }

    /// One turn of an app.
    fn turn<'scope>(&mut self, number: usize, scope: &'scope Scope<'scope, '_>, connectors: &'scope AppConnectors<'env>)
    where
        'env: 'scope,
    {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        slot.is_queued = false;
        slot.wake.clear();
        let step = slot.task.advance();
        self.count_opening(number);
        match step {
            AppStep::Connect(attempt) => {
                self.timers.set(number, None);
                self.watch(number);
                self.start_connector(number, attempt, scope, connectors);
            }
            AppStep::Wait(until) => {
                self.timers.set(number, until);
                self.watch(number);
                self.cancel_attempt(number, connectors);
            }
            AppStep::Again => {
                self.watch(number);
                self.schedule(number);
            }
            AppStep::Over(outcome) => self.end(number, outcome),
        }
    }

    fn start_connector<'scope>(
        &mut self,
        number: usize,
        attempt: Connecting<'env>,
        scope: &'scope Scope<'scope, '_>,
        connectors: &'scope AppConnectors<'env>,
    ) where
        'env: 'scope,
    {
        let waker = self.wakeups.waker();
        let started = connectors.start(scope, number, attempt, move || waker());
        if let Err((attempt, error)) = started
            && let Some(Some(slot)) = self.slots.get_mut(number)
        {
            slot.task.connected(attempt.fail(error.into()));
            self.schedule(number);
        }
    }

    /// An app that is cancelled while its attempt waits for a thread does not wait any longer.
    fn cancel_attempt(&mut self, number: usize, connectors: &AppConnectors<'env>) {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        if slot.task.is_connecting()
            && let Some(attempt) = connectors.take_back(number, Connecting::is_cancelled)
        {
            slot.task.connected(attempt.cancel());
            self.schedule(number);
        }
    }

    /// Keeps the openings in step with an app that had its turn.
    fn count_opening(&mut self, number: usize) {
        let Self { slots, openings, ticket, .. } = self;
        let Some(Some(slot)) = slots.get_mut(number) else { return };
        if slot.opening == EntryOpening::UnderWay && !slot.task.is_opening() {
            slot.opening = EntryOpening::None;
            slot.host.iter().for_each(|host| openings.finish(host));
        }
        if slot.task.wants_to_open() && slot.opening == EntryOpening::None {
            let Some(host) = &slot.host else {
                // Its URL is none, which the attempt tells.
                slot.task.open();
                return self.schedule(number);
            };
            *ticket += 1;
            slot.opening = EntryOpening::Waiting { ticket: *ticket };
            openings.request(host, Ticket { app: number, number: *ticket });
        }
    }

    /// Begins the openings that there is room for.
    fn begin_openings(&mut self) {
        while let Some((host, ticket)) = self.openings.begin() {
            let slot = self.slots.get_mut(ticket.app).and_then(Option::as_mut);
            let waiting = EntryOpening::Waiting { ticket: ticket.number };
            match slot.filter(|slot| slot.opening == waiting) {
                Some(slot) if slot.task.wants_to_open() => {
                    slot.opening = EntryOpening::UnderWay;
                    slot.task.open();
                    self.schedule(ticket.app);
                }
                // The app was closed, or its slot is another one's.
                Some(slot) => {
                    slot.opening = EntryOpening::None;
                    self.openings.finish(&host);
                }
                None => self.openings.finish(&host),
            }
        }
    }

    /// Registers what an app waits for now, and nothing else of it.
    fn watch(&mut self, number: usize) {
        let Some(Some(slot)) = self.slots.get_mut(number) else { return };
        let connection = slot.task.connection();
        let is_known = connection.is_some() && connection == slot.connection;
        // Where events are edge-triggered, nothing changes while a connection is open.
        if is_known && cfg!(unix) {
            return;
        }
        slot.connection = connection;
        let mut sources = slot.task.sources();
        if connection.is_none() {
            // An opening without a socket is stepped now and then.
            sources.retain(Source::can_be_polled);
        }
        if let Err(error) = slot.register(self.poll.registry(), number, sources) {
            slot.task.fail(error);
            self.schedule(number);
        }
    }

    fn end(&mut self, number: usize, outcome: Result<Closed>) {
        let Some(mut slot) = self.slots[number].take() else { return };
        debug_assert_ne!(slot.opening, EntryOpening::UnderWay);
        slot.registered.drain(..).for_each(|registered| registered.remove(self.poll.registry()));
        self.timers.set(number, None);
        self.free.push(number);
        self.report_end(&slot.task.handle(), outcome);
    }

    /// Tells how an app has ended. A panic of who is told does not end the other apps.
    fn report_end(&mut self, handle: &Handle, outcome: Result<Closed>) {
        let Some(on_ended) = &mut self.on_ended else { return };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| on_ended(handle, outcome))) {
            log_error(&Error::other(AppError::panicked("on_ended", &*payload)));
        }
    }

    fn take_added(&mut self) {
        for app in self.wakeups.take_added() {
            let handle = app.handle();
            if let Err(error) = self.add(app) {
                self.report_end(&handle, Err(error));
            }
        }
    }

    /// Stops all apps: the loop cannot go on for this reason, by which each has ended.
    fn stop(&mut self, error: &Error) {
        let added = self.wakeups.close(error);
        for mut slot in std::mem::take(&mut self.slots).into_iter().flatten() {
            let handle = slot.task.handle();
            if let Err(payload) = slot.task.give_up(duplicate_error(error)) {
                log_error(&Error::other(AppError::panicked("a Transport", &*payload)));
            }
            drop_transport(slot);
            self.report_end(&handle, Err(duplicate_error(error)));
        }
        for app in added {
            self.report_end(&app.handle(), Err(duplicate_error(error)));
        }
        self.free.clear();
        self.queue.clear();
        self.timers = Timers::default();
        self.openings = Openings::new(self.openings.limits);
    }
}

impl Drop for ManyApps<'_> {
    fn drop(&mut self) {
        drop(self.wakeups.close(&loop_ended()));
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
        self.wakeups.add(app)?;
        Ok(handle)
    }
}

impl<'env> AppEntry<'env> {
    /// The app that a loop calls by this number.
    fn new(number: usize, app: WebSocketApp<'env>, wakeups: &Wakeups<'env>) -> Result<Self> {
        let wake = WakeFlag::default();
        let mut task = app.into_task_with(Permission::ByLoop, wakeups.app_waker(number, wake.clone()))?;
        let host = task.target().ok().map(|target| host_of(&target));
        let opening = EntryOpening::None;
        Ok(Self { task, wake, is_queued: false, host, opening, registered: Vec::new(), connection: None })
    }

    /// Waits for these sockets, and for no other of this app.
    fn register(&mut self, registry: &Registry, number: usize, sources: Vec<Source>) -> Result<()> {
        let gone = self.registered.extract_if(.., |known| !sources.iter().any(|source| known.is_of(source)));
        gone.for_each(|registered| registered.remove(registry));
        for source in sources {
            if let Some(_known) = self.registered.iter_mut().find(|known| known.is_of(&source)) {
                #[cfg(windows)]
                _known.rearm(registry, &source, Token(number))?;
                continue;
            }
            let registration = Registration::new(registry, source, Token(number), self.task.stream_option())?;
            self.registered.push(registration);
        }
        Ok(())
    }
}

impl fmt::Debug for ManyApps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManyApps").field("len", &self.len()).field("queued", &self.queue.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::CloseCause;

    #[test]
    fn a_loop_that_cannot_go_on_tells_how_each_app_has_ended() {
        let told = Mutex::new(Vec::new());
        let mut apps = ManyApps::new().unwrap();
        apps.on_ended(|handle, outcome| {
            told.lock().unwrap().push((handle.is_running(), outcome.unwrap_err().to_string()));
        });
        let app = || WebSocketApp::new("ws://unused/");
        let adder = apps.adder();
        // The last one waits for the loop to take it.
        let handles = [apps.add(app()).unwrap(), apps.add(app()).unwrap(), adder.add(app()).unwrap()];
        apps.stop(&Error::other("out of descriptors"));
        assert!(apps.is_empty() && adder.add(app()).is_err());
        drop(apps);
        for handle in handles {
            let outcome = handle.wait_end(Duration::ZERO).unwrap();
            assert_eq!(outcome.unwrap_err().to_string(), "out of descriptors");
        }
        assert_eq!(*told.lock().unwrap(), [(); 3].map(|()| (false, "out of descriptors".to_owned())));
    }

    #[test]
    fn an_attempt_is_cancelled_when_its_app_is_closed_and_not_before() {
        let app = WebSocketApp::new("ws://unused/").connect_with(|_, _| unreachable!("nobody makes the attempt"));
        let handle = app.handle();
        let mut task = app.into_task_with(Permission::ByLoop, || {}).unwrap();
        let AppStep::Connect(attempt) = task.advance() else { panic!("it wants to connect") };
        assert!(!attempt.is_cancelled());
        handle.stop();
        assert!(attempt.is_cancelled());
        task.connected(attempt.cancel());
        assert!(matches!(task.advance(), AppStep::Over(Ok(closed)) if closed.cause == CloseCause::Cancelled));
    }
}
