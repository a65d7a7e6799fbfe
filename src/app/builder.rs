//! [`WebSocketApp`]: its settings, and how it is run.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::blocking::run_app;
use super::callbacks::{Closures, Outcome};
use super::calling::{CallbackPolicies, CallbackPolicy};
use super::facts::{AppError, Attempt, Closed};
use super::handle::Handle;
use super::keepalive::PingOptions;
use super::queue::Overflow;
use super::reconnect::Reconnect;
use super::shared::{Outbox, Shared};
use crate::error::{Error, Result};
use crate::message::MessageRef;
use crate::options::ConnectOptions;
use crate::sync::thread::{Builder, JoinHandle};
use crate::websocket::WebSocket;

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
    pub(super) url: String,
    pub(super) options: ConnectOptions,
    pub(super) connector: Option<Connector<'env>>,
    pub(super) closures: Closures<'env>,
    pub(super) policies: CallbackPolicies,
    pub(super) pings: PingOptions,
    pub(super) reconnect: Option<Reconnect>,
    pub(super) queue: Option<(usize, Overflow)>,
    pub(super) handle: Handle,
}

/// Makes a connection.
pub(super) type Connector<'env> = Box<dyn FnMut(&Attempt<'_>, ConnectOptions) -> Result<WebSocket> + Send + 'env>;

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

    /// A message has come. It is borrowed: valid until the callback returns.
    ///
    /// ```
    /// use websocket_sync::{MessageRef, WebSocketApp};
    ///
    /// let mut bytes = 0;
    /// let app = WebSocketApp::new("ws://localhost:9001/").on_message(|app, message| match message {
    ///     MessageRef::Text(text) => app.send_text(text),
    ///     MessageRef::Binary(binary) => {
    ///         bytes += binary.len();
    ///         Ok(())
    ///     }
    /// });
    /// ```
    pub fn on_message<R: Outcome>(
        mut self,
        mut callback: impl FnMut(&Handle, MessageRef<'_>) -> R + Send + 'env,
    ) -> Self {
        self.closures.on_message = Some(Box::new(move |app, message| callback(app, message).into_result()));
        self
    }

    /// How often a ping is sent, the first time after one interval; zero for never. It is sent by another thread, the same for all apps of the process, so that no
    /// callback delays it; a message that is being sent does.
    ///
    /// Default: never.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.pings.interval = Some(interval);
        self
    }

    /// Whether and when a lost connection is made again.
    ///
    /// Default: that of [`set_reconnect`](crate::set_reconnect) if there is one, else [`Reconnect::never`].
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// Connects, calls back, keeps alive and connects again, on this thread, until nothing more is to be done. Then its threads
    /// have ended, but for the one that sends the pings of all apps, which ends with the last of them. It can be called again.
    ///
    /// Returns how the last connection ended: when it was closed by [`Handle::close`] or its kin, or cleanly by the server where
    /// no reconnect follows.
    ///
    /// # Errors
    ///
    /// The last failure, when no further attempt follows it; the failure of a callback with [`CallbackPolicy::Stop`]; before
    /// anything is done, [`Error::Options`](crate::Error::Options) for an invalid setting.
    pub fn run_forever(&mut self) -> Result<Closed> {
        if let Err(error) = self.validate() {
            self.handle.shared().refuse(&error);
            return Err(error);
        }
        run_app(self)
    }
}

impl WebSocketApp<'static> {
    /// Runs the app on a thread of its own, as [`run_forever`](Self::run_forever) does.
    ///
    /// # Errors
    ///
    /// [`Error::Other`] when the system has no thread to give.
    ///
    /// ```no_run
    /// use websocket_sync::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").on_message(|_, message| println!("{message:?}")).spawn()?;
    /// // … and when it is no longer wanted:
    /// app.handle().close()?;
    /// app.join()?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn spawn(mut self) -> Result<AppThread> {
        let handle = self.handle();
        // From now on it can be closed, whether its thread has begun or not.
        handle.shared().announce();
        match Builder::new().name("websocket-app".to_owned()).spawn(move || self.run_forever()) {
            Ok(thread) => Ok(AppThread { handle, thread }),
            Err(error) => {
                let error = Error::from(error);
                handle.shared().refuse(&error);
                Err(error)
            }
        }
    }
}

/// How connections are made and kept.
impl<'env> WebSocketApp<'env> {
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

    /// Makes each connection: with a URL, header fields or subprotocols of its own, through another proxy, over a stream that is
    /// connected already. It is handed the app's options, and must not wait for longer than they do.
    ///
    /// Default: `options.connect(attempt.url)`.
    ///
    /// ```no_run
    /// use websocket_sync::{Reconnect, WebSocketApp};
    /// # fn fresh_token() -> websocket_sync::Result<String> { Ok("token".into()) }
    ///
    /// WebSocketApp::new("wss://feed.example/")
    ///     .reconnect(Reconnect::backoff())
    ///     .connect_with(|attempt, options| {
    ///         let url = if attempt.number % 2 == 1 { attempt.url } else { "wss://other.feed.example/" };
    ///         let bearer = format!("Bearer {}", fresh_token()?);
    ///         options.header("Authorization", bearer).connect(url)
    ///     })
    ///     .run_forever()?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "header")]
    #[doc(alias = "socket")]
    pub fn connect_with(
        mut self,
        connector: impl FnMut(&Attempt<'_>, ConnectOptions) -> Result<WebSocket> + Send + 'env,
    ) -> Self {
        self.connector = Some(Box::new(connector));
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
}

/// Threads, memory, and failures of callbacks.
impl WebSocketApp<'_> {
    /// A handle that sends, closes the app and reports its state, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
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
}

impl WebSocketApp<'_> {
    /// Refuses invalid settings.
    pub(super) fn validate(&self) -> Result<()> {
        self.pings.validate()?;
        self.options.validate()?;
        match self.queue {
            Some((_, overflow)) if self.hands_out_fragments() => overflow.allow_fragments(),
            _ => Ok(()),
        }
    }

    /// Whether messages are handed out fragment by fragment.
    pub(super) fn hands_out_fragments(&self) -> bool {
        self.closures.wants_fragments() || self.options.settings().fires_cont_frame
    }
}

/// An app that runs on a thread of its own. Dropped, it lets the app run on.
#[derive(Debug)]
#[must_use = "it says how the app ends"]
pub struct AppThread {
    handle: Handle,
    thread: JoinHandle<Result<Closed>>,
}

impl AppThread {
    /// What sends, and closes the app.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether the run is over, so that [`join`](Self::join) would not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    ///
    /// As for [`WebSocketApp::run_forever`].
    pub fn join(self) -> Result<Closed> {
        let panicked = |payload: Box<dyn Any + Send>| Err(Error::other(AppError::panicked("the app", &*payload)));
        self.thread.join().unwrap_or_else(panicked)
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
