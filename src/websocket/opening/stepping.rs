//! An opening in an event loop.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use super::Opener;
#[cfg(doc)]
use crate::cancellation::Cancellation;
use crate::cancellation::Watch;
use crate::error::Result;
use crate::net::{Awaited, AwaitedEvent, HelperLock, Source, WaitMode};
use crate::options::{ConnectOptions, Timeouts};
use crate::url::Target;
use crate::websocket::{ActiveConnection, WebSocket, cancelled, not_connected};

/// How often there is a step while nothing tells that it has something to do.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// An opening under way that never waits: name lookup, connecting, proxy, TLS, HTTP, redirects and challenges go on with each
/// [`step`](Self::step), from a loop of your own. [`ConnectOptions::start`] begins it.
///
/// Between two steps the loop waits for the [sources](Self::sources), and until [`next_step`](Self::next_step) at most. Both change with
/// each step. What cannot be done without waiting is done by helper threads: name lookups, a [resolver](ConnectOptions::resolver), a
/// [header provider](ConnectOptions::header_provider), a hook of [`dial_with`](ConnectOptions::dial_with), and the files of
/// certificates, the first time. [`on_wake`](Self::on_wake) tells the loop when they are done. A hook of
/// [`SocketOptions::configure`](crate::SocketOptions::configure) is called within a step.
///
/// The [open timeout](ConnectOptions::open_timeout) counts from the start. Dropping it gives up. One step reads at most 64 times,
/// whatever the peer sends. Only a [`HalfDuplex`](crate::HalfDuplex) stream waits nevertheless.
///
/// In a loop that has other things to do, and looks at its sockets now and then:
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::ConnectOptions;
///
/// let mut opening = ConnectOptions::new().start("wss://game.example/")?;
/// let mut ws = loop {
///     if let Some(ws) = opening.step()? {
///         break ws;
///     }
///     draw();
///     std::thread::sleep(Duration::from_millis(16));
/// };
/// # fn draw() {}
/// # let _ = ws.try_recv();
/// # Ok::<(), websocket_sync::Error>(())
/// ```
///
/// A loop that waits polls the sources, and is woken:
///
/// ```no_run
/// # fn poll(_: &[websocket_sync::Source], _: Option<std::time::Instant>) {}
/// # fn wake_the_loop() {}
/// use websocket_sync::ConnectOptions;
///
/// let mut opening = ConnectOptions::new().start("wss://feed.example/")?.on_wake(wake_the_loop);
/// let ws = loop {
///     if let Some(ws) = opening.step()? {
///         break ws;
///     }
///     poll(&opening.sources(), opening.next_step());
/// };
/// # Ok::<(), websocket_sync::Error>(())
/// ```
///
/// The example `opening` of this crate does so with `poll(2)`.
pub struct Opening {
    options: ConnectOptions,
    timeouts: Timeouts,
    /// None when it is over.
    machine: Option<Machine>,
    awaited: Arc<Awaited>,
    /// When the last step was.
    stepped: Instant,
    wake: Arc<WakeHook>,
    /// Wakes the loop when it is cancelled; until it is over.
    watch: Option<Watch>,
}

/// The state machine that the compiler makes of [`Opener::connect`].
type Machine = Pin<Box<dyn Future<Output = Result<ActiveConnection>> + Send>>;

impl Opening {
    pub(in crate::websocket) fn new(
        options: ConnectOptions,
        timeouts: Timeouts,
        target: Target,
        helper: HelperLock,
    ) -> Result<Self> {
        let awaited = Arc::new(Awaited::new(helper));
        let opener = Opener::new(options.clone(), timeouts, WaitMode::Stepping(Arc::clone(&awaited)))?;
        let machine: Machine = Box::pin(async move { opener.connect(target).await });
        let wake = Arc::<WakeHook>::default();
        let cancellation = options.settings().cancellation.as_ref();
        let waker = WakeHook::waker(&wake);
        let watch = cancellation.map(|cancellation| cancellation.watch(move || waker.wake_by_ref()));
        Ok(Self { options, timeouts, machine: Some(machine), awaited, stepped: Instant::now(), wake, watch })
    }

    /// Calls `wake` from other threads when the next step has something to do that no source tells: a helper thread is done, or the
    /// opening was [cancelled](ConnectOptions::cancellation). It must not wait, nor panic, nor ask the [`Cancellation`] that calls it. A
    /// second one is ignored.
    ///
    /// Default: nothing; [`next_step`](Self::next_step) is 20 ms away at most while a helper thread is at work, and where the opening can
    /// be cancelled.
    pub fn on_wake(self, wake: impl Fn() + Send + Sync + 'static) -> Self {
        let _ = self.wake.0.set(Box::new(wake));
        // What has happened before told nobody: the next step is due at once.
        self.awaited.clear();
        self
    }

    /// Goes on as far as that is possible without waiting: `None` says that there is more to come. After a connection or an error it is
    /// over.
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::connect`]. [`Error::Closed`](crate::Error::Closed) when it was over before.
    ///
    /// # Panics
    ///
    /// When a hook of the user's does, such as the [resolver](ConnectOptions::resolver). Then it is over.
    pub fn step(&mut self) -> Result<Option<WebSocket>> {
        let Some(connection) = self.advance()? else { return Ok(None) };
        Ok(Some(WebSocket { options: self.options.clone(), timeouts: self.timeouts, connection: Some(connection) }))
    }

    fn advance(&mut self) -> Result<Option<ActiveConnection>> {
        let Some(mut machine) = self.machine.take() else { return Err(not_connected()) };
        let watch = self.watch.take();
        self.awaited.clear();
        self.stepped = Instant::now();
        if self.options.settings().is_cancelled() {
            return Err(cancelled());
        }
        let waker = WakeHook::waker(&self.wake);
        match machine.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(opened) => opened.map(Some),
            Poll::Pending => {
                (self.machine, self.watch) = (Some(machine), watch);
                Ok(None)
            }
        }
    }

    /// All steps, with `poll` between them.
    #[cfg(stepped_opening)]
    pub(in crate::websocket) fn finish(self) -> Result<ActiveConnection> {
        use std::io::Write;
        use std::os::unix::net::UnixStream;

        let (wakes, wake) = UnixStream::pair().expect("a pair of sockets");
        wake.set_nonblocking(true).expect("it is one of ours");
        let mut opening = self.on_wake(move || drop((&wake).write(&[0])));
        loop {
            if let Some(connection) = opening.advance()? {
                return Ok(connection);
            }
            Source::poll(&opening.sources(), &wakes, opening.next_step());
        }
    }

    /// The sockets that it waits for: while it connects one for each address that is tried, later one, and none during a name lookup. A
    /// socket that was none of them for a while may be one again: in an epoll, delete it in the meantime.
    pub fn sources(&self) -> Vec<Source> {
        match self.awaited.event() {
            AwaitedEvent::Sockets(sources, _) => sources,
            AwaitedEvent::Nothing | AwaitedEvent::Helper(_) | AwaitedEvent::Time(_) => Vec::new(),
        }
    }

    /// When the next step is due, whatever the sources say; it may have passed. `None` for no such time.
    pub fn next_step(&self) -> Option<Instant> {
        self.machine.as_ref()?;
        let has_hook = self.wake.0.get().is_some();
        // A cancellation reaches a loop by its hook alone.
        let is_told = has_hook || self.watch.is_none();
        let (until, is_told) = match self.awaited.event() {
            AwaitedEvent::Nothing => return Some(Instant::now()),
            AwaitedEvent::Sockets(sources, until) => (until, is_told && sources.iter().all(Source::can_be_polled)),
            AwaitedEvent::Helper(until) => (until, has_hook),
            AwaitedEvent::Time(until) => (until, is_told),
        };
        let look = (!is_told).then(|| self.stepped + LOOK_INTERVAL);
        until.into_iter().chain(look).min()
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("awaited", &self.awaited).finish_non_exhaustive()
    }
}

/// What wakes the loop.
#[derive(Default)]
struct WakeHook(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl WakeHook {
    /// What helper threads wake. When the opening is gone, it wakes nobody.
    fn waker(hook: &Arc<Self>) -> Waker {
        Waker::from(Arc::new(WeakHook(Arc::downgrade(hook))))
    }
}

struct WeakHook(Weak<WakeHook>);

impl Wake for WeakHook {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(hook) = self.0.upgrade() else { return };
        if let Some(wake) = hook.0.get() {
            wake();
        }
    }
}

impl ConnectOptions {
    /// Begins to open a connection from an event loop: neither this call nor the steps that follow block. See [`Opening`].
    ///
    /// # Errors
    ///
    /// [`Error::Url`](crate::Error::Url) and [`Error::Options`](crate::Error::Options) for an invalid URL or option.
    /// [`Opening::step`] returns all other errors.
    pub fn start(&self, url: &str) -> Result<Opening> {
        self.start_at(Target::parse(url)?, HelperLock::default())
    }

    /// The same for one of several openings that have one helper thread at a time, but for name lookups of the system's.
    pub(crate) fn start_at(&self, target: Target, helper: HelperLock) -> Result<Opening> {
        Opening::new(self.clone(), self.settings().timeouts(), target, helper)
    }
}
