//! An app: callbacks, keepalive and reconnecting around a connection, to be left alone for months.
//!
//! | | |
//! |---|---|
//! | `life`, `keepalive`, `reconnect` | what follows what, and when: without I/O, clocks and chance, which are handed in |
//! | `session` | one run: what has happened goes in, callbacks and the next step come out |
//! | `stage`, `closures`, `handler` | where callbacks are called, and what they are |
//! | `run`, `queue`, `app_thread` | drivers: threads and waiting |
//! | `task`, `many_apps` | drivers that do not wait: a loop of the user's, and one for many apps |
//! | `shared`, `outbox`, `handle` | what the threads share, what could not be sent yet, and what the user has of it |

mod app_thread;
mod attempt;
mod closed;
mod closures;
mod error;
mod handle;
mod handler;
mod keepalive;
mod life;
#[cfg(all(unix, feature = "mio"))]
mod many_apps;
mod outbox;
mod queue;
mod reconnect;
mod run;
mod session;
mod shared;
mod stage;
mod statistics;
mod sync;
mod task;
#[cfg(test)]
mod tests;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

pub use self::app_thread::AppThread;
pub use self::attempt::Attempt;
pub use self::closed::Closed;
pub use self::error::AppError;
pub use self::handle::Handle;
pub use self::handler::{Handler, Outcome};
#[cfg(all(unix, feature = "mio"))]
pub use self::many_apps::{AppAdder, ManyApps};
pub use self::queue::Overflow;
pub use self::reconnect::{Reconnect, set_reconnect};
pub use self::stage::CallbackPolicy;
pub use self::statistics::{Latency, Statistics};
pub use self::task::{AppStep, AppTask, Connected, Connecting};

use self::attempt::Connector;
use self::closures::Closures;
use self::error::duplicate;
use self::keepalive::PingOptions;
use self::outbox::Outbox;
use self::queue::{Entrance, Queue};
use self::reconnect::default_reconnect;
use self::run::{Way, run};
use self::session::Session;
use self::shared::Shared;
use self::stage::{CallbackPolicies, Stage};
use crate::error::{Error, Result};
use crate::options::ConnectOptions;
use crate::sync::thread::{self, Builder, Scope};
use crate::websocket::Sender;
use crate::websocket::not_connected;

/// A connection that is driven by callbacks, kept alive with pings, and made again when it is lost.
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::{Reconnect, WebSocketApp};
///
/// let mut messages = 0;
/// WebSocketApp::new("wss://feed.example/")
///     .on_open(|app| app.send_text("subscribe"))
///     .on_message(|app, message| {
///         messages += 1;
///         println!("{message:?}");
///         if messages == 100 { app.close() } else { Ok(()) }
///     })
///     .on_error(|_, error| eprintln!("{error}"))
///     .on_close(|_, closed| println!("{}, connects again in {:?}", closed.cause, closed.reconnect))
///     .ping_interval(Duration::from_secs(20))
///     .ping_timeout(Duration::from_secs(10))
///     .reconnect(Reconnect::backoff())
///     .run_forever()?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
///
/// # Callbacks
///
/// They are called one at a time, on the thread of [`run_forever`](Self::run_forever), which receives meanwhile nothing: neither are
/// the server's pings answered nor its messages taken, unless there is a [queue](Self::queue). They may borrow what lives
/// longer than the app, and are `Send`, so that the app can be moved to another thread; only [`spawn`](Self::spawn) needs `'static`. The order is that of websocket-client: `on_open`, then
/// for each message `on_data` and `on_message`, `on_error` for whatever fails, `on_close`.
///
/// A panic in a callback is caught and told to `on_error` as [`AppError::Panicked`]; the app goes on, unless
/// [told otherwise](Self::callback_panics). What the callback has left half done is its own affair. The panic's message is printed by
/// Rust as always; where panics abort, there is nothing to catch.
///
/// # The end
///
/// [`Handle::close`] and [`Handle::stop`] end a run from any thread. A signal is left to the program: Ctrl-C ends the process unless it
/// is handled, and then a run can be ended in order:
///
/// ```no_run
/// use websocket_sync::{Error, WebSocketApp};
///
/// let mut app = WebSocketApp::new("wss://feed.example/");
/// let handle = app.handle();
/// // The crate `ctrlc` calls it on a thread of its own, which may wait.
/// ctrlc::set_handler(move || drop(handle.close())).map_err(Error::other)?;
/// app.run_forever()?;
/// # Ok::<(), Error>(())
/// ```
#[must_use = "it does nothing until it runs"]
pub struct WebSocketApp<'env> {
    url: String,
    options: ConnectOptions,
    connector: Option<Connector<'env>>,
    closures: Closures<'env>,
    policies: CallbackPolicies,
    pings: PingOptions,
    reconnect: Option<Reconnect>,
    queue: Option<(usize, Overflow)>,
    handle: Handle,
}

impl<'env> WebSocketApp<'env> {
    /// An app for this URL, with the default options.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            options: ConnectOptions::new(),
            connector: None,
            closures: Closures::default(),
            policies: CallbackPolicies::default(),
            pings: PingOptions::default(),
            reconnect: None,
            queue: None,
            handle: Handle::new(Arc::new(Shared::new(Outbox::default()))),
        }
    }

    /// How connections are made: everything that [`ConnectOptions`] has. A receive timeout is not used: what is late is found out by
    /// [pings](Self::ping_interval).
    ///
    /// Default: [`ConnectOptions::new`].
    #[doc(alias = "header")]
    #[doc(alias = "cookie")]
    #[doc(alias = "subprotocols")]
    pub fn options(mut self, options: ConnectOptions) -> Self {
        self.options = options;
        self
    }

    /// How often a ping is sent, the first time after one interval; zero for never. It is sent by a thread of its own, so that no
    /// callback delays it; a message that is being sent does.
    ///
    /// Default: never.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.pings.interval = Some(interval);
        self
    }

    /// How long nothing at all may come after a ping until the peer is taken for dead: the connection then fails with
    /// [`CloseCause::PingTimeout`](crate::CloseCause::PingTimeout). Whatever comes counts, not only the pong; and only the time
    /// counts in which a thread waits for it, so that a slow callback is not a dead peer. It may be longer than the interval. A peer
    /// that takes nothing, so that the ping cannot leave, is as dead as one that does not answer; but not while a large message is
    /// leaving, for which the [send timeout](crate::ConnectOptions::send_timeout) counts.
    ///
    /// Default: for ever. Without an interval it means nothing; zero is refused.
    pub fn ping_timeout(mut self, timeout: Duration) -> Self {
        self.pings.timeout = Some(timeout);
        self
    }

    /// The payload of the pings, up to 125 bytes, the same each time.
    ///
    /// Default: the number of the ping as 8 bytes, by which its pong is known. With a payload of your own, a pong is taken for
    /// that of the latest ping.
    pub fn ping_payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.pings.payload = Some(payload.into());
        self
    }

    /// Whether and when a lost connection is made again.
    ///
    /// Default: that of [`set_reconnect`] if there is one, else [`Reconnect::never`].
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Calls back behind a queue of so many messages, at least one: a thread of its own receives, so that the server's pings are
    /// answered and its close is seen while a callback is busy. Messages are copied for it.
    ///
    /// Where messages are handed out in fragments, none may be dropped: the run is refused with [`Error::Options`](crate::Error::Options).
    ///
    /// Default: callbacks are called as soon as something comes, and nothing is copied.
    ///
    /// ```
    /// use websocket_sync::{Overflow, WebSocketApp};
    ///
    /// // A display that may skip what it cannot show in time.
    /// let app = WebSocketApp::new("wss://feed.example/")
    ///     .queue(100, Overflow::DropOldest)
    ///     .on_message(|_, tick| println!("{tick:?}"))
    ///     .on_close(|app, _| println!("skipped {}", app.statistics().messages_dropped));
    /// ```
    pub fn queue(mut self, capacity: usize, overflow: Overflow) -> Self {
        self.queue = Some((capacity, overflow));
        self
    }

    /// Keeps up to so many messages that [`Handle::send_text`] and [`Handle::send_binary`] are given while there is no connection, in
    /// their order, and up to so many [bytes](Self::outbox_bytes). They are not sent by themselves, since what is old may be wrong by
    /// then: [`Handle::send_unsent`] sends them, [`Handle::take_unsent`] hands them back.
    ///
    /// What other threads send while `on_open` or `on_reconnect` runs is put behind them, and leaves when the callback has returned: so
    /// a login comes first, and nothing overtakes what was to be sent before it.
    ///
    /// Default: none; sending fails while there is no connection.
    ///
    /// ```no_run
    /// use websocket_sync::{Reconnect, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").reconnect(Reconnect::backoff()).outbox(100).on_open(|app| {
    ///     app.send_text("log in")?;
    ///     app.send_unsent()
    /// });
    /// # let _: WebSocketApp<'_> = app;
    /// ```
    pub fn outbox(self, capacity: usize) -> Self {
        self.handle.shared().outbox(|outbox| outbox.set_capacity(capacity));
        self
    }

    /// How many bytes there may be in the messages of the [outbox](Self::outbox).
    ///
    /// Default: 16 MiB.
    pub fn outbox_bytes(self, most: usize) -> Self {
        self.handle.shared().outbox(|outbox| outbox.set_max_bytes(most));
        self
    }

    /// What becomes of the run when a callback returns an error.
    ///
    /// Default: it goes on.
    pub const fn callback_errors(mut self, policy: CallbackPolicy) -> Self {
        self.policies.errors = policy;
        self
    }

    /// What becomes of the run when a callback panics.
    ///
    /// Default: it goes on.
    ///
    /// ```
    /// use websocket_sync::{CallbackPolicy, WebSocketApp};
    ///
    /// let mut ticks: Vec<f64> = Vec::new();
    /// let app = WebSocketApp::new("wss://feed.example/")
    ///     .callback_errors(CallbackPolicy::Continue) // a tick that cannot be read is told to on_error
    ///     .callback_panics(CallbackPolicy::Stop) // a bug ends the run
    ///     .on_message(|_, message| message.as_text().unwrap_or_default().parse().map(|tick| ticks.push(tick)));
    /// ```
    pub const fn callback_panics(mut self, policy: CallbackPolicy) -> Self {
        self.policies.panics = policy;
        self
    }

    /// What sends, closes the app, and says how it fares; for other threads, too.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Connects, calls back, keeps alive and connects again, on this thread, until nothing more is to be done. Then all of its
    /// threads have ended. It can be called again.
    ///
    /// Returns how the last connection ended: when it was closed by [`Handle::close`] or its kin, or cleanly by the server where
    /// no reconnect follows.
    ///
    /// # Errors
    ///
    /// The last failure, when no further attempt follows it; the failure of a callback with [`CallbackPolicy::Stop`]; before
    /// anything is done, [`Error::Options`](crate::Error::Options) for a setting that cannot be meant.
    pub fn run_forever(&mut self) -> Result<Closed> {
        if let Err(error) = self.validate() {
            self.handle.shared().refuse(&error);
            return Err(error);
        }
        let fragments = self.hands_out_fragments();
        let Self { url, options, connector, closures, policies, pings, reconnect, queue, handle } = self;
        let (handle, pings) = (&*handle, &*pings);
        let shared = handle.shared();
        let cancellation = shared.begin();
        let finish = Finish { shared, outcome: None };
        let _called_off = options.settings().cancellation.clone().map(|users| {
            let handle = handle.clone();
            users.watch(move || handle.shared().call_off())
        });
        let queue = queue.map(|(capacity, overflow)| Arc::new(Queue::new(capacity, overflow)));
        let _woken = queue.clone().map(|queue| {
            let waiting = Arc::clone(&queue);
            shared.set_waker(Arc::new(move || waiting.wake()));
            cancellation.watch(move || queue.wake())
        });
        let way =
            Way { url, options: options.clone().cancellation(&cancellation), connector: connector.as_mut(), fragments };
        let reconnect = reconnect.clone().unwrap_or_else(default_reconnect);
        let stage = Stage::new(closures, handle, *policies);
        thread::scope(|scope| {
            // The threads are waited for after this.
            let mut finish = finish;
            let (stage, outcome) = match start_pings(scope, shared, pings) {
                Err(error) => (stage, Err(error.into())),
                Ok(()) => match queue.as_deref() {
                    None => run_here(Session::new(handle, pings, reconnect, stage), way),
                    Some(queue) => {
                        let session = Session::new(handle, pings, reconnect, Entrance { queue, shared, connection: 0 });
                        run_behind_queue(scope, session, way, queue, stage)
                    }
                },
            };
            let outcome = stage.end(outcome, None);
            finish.outcome = Some(duplicate(&outcome));
            outcome
        })
    }

    /// Whether the settings can be meant.
    fn validate(&self) -> Result<()> {
        self.pings.validate()?;
        self.options.validate()?;
        match self.queue {
            Some((_, overflow)) if self.hands_out_fragments() => overflow.allow_fragments(),
            _ => Ok(()),
        }
    }

    /// Whether messages are handed out fragment by fragment.
    fn hands_out_fragments(&self) -> bool {
        self.closures.wants_fragments() || self.options.settings().fires_cont_frame
    }
}

fn start_pings<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Shared<Sender>,
    pings: &PingOptions,
) -> io::Result<()> {
    if pings.are_wanted() {
        Builder::new().name("websocket-ping".to_owned()).spawn_scoped(scope, || shared.keep_alive())?;
    }
    Ok(())
}

/// Receives and calls back on this thread.
fn run_here<'a, 'env>(
    mut session: Session<'a, Stage<'a, 'env>>,
    way: Way<'_, '_>,
) -> (Stage<'a, 'env>, Result<Closed>) {
    let outcome = run(&mut session, way);
    let stage = session.into_audience();
    (stage, outcome.map_err(unshared))
}

/// Receives on a thread of its own, and calls back on this one.
fn run_behind_queue<'scope, 'a: 'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    mut session: Session<'a, Entrance<'a>>,
    way: Way<'a, 'env>,
    queue: &Queue,
    mut stage: Stage<'a, 'env>,
) -> (Stage<'a, 'env>, Result<Closed>) {
    let shared = session.handle().shared();
    let receiver = Builder::new().name("websocket-recv".to_owned());
    let outcome = match receiver.spawn_scoped(scope, move || run(&mut session, way)) {
        Ok(receiver) => {
            queue.drain(shared, &mut stage);
            receiver.join().unwrap_or_else(|panicked| resume_unwind(panicked)).map_err(unshared)
        }
        Err(error) => Err(error.into()),
    };
    (stage, outcome)
}

/// The error that ends a run. The session and the queue are gone, so nobody else has it.
fn unshared(error: Arc<Error>) -> Error {
    Arc::into_inner(error).unwrap_or_else(not_connected)
}

/// Ends a run, however it ends.
struct Finish<'a> {
    shared: &'a Shared<Sender>,
    /// None after a panic.
    outcome: Option<Result<Closed>>,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.shared.finish(self.outcome.take().unwrap_or_else(|| Err(not_connected())));
    }
}

impl fmt::Debug for WebSocketApp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketApp")
            .field("options", &self.options)
            .field("callbacks", &self.closures)
            .field("policies", &self.policies)
            .field("pings", &self.pings)
            .field("reconnect", &self.reconnect)
            .field("queue", &self.queue)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
