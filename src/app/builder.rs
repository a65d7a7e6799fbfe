//! [`WebSocketApp`]: what it is made of.

use std::fmt;
use std::sync::Arc;

use super::callbacks::Closures;
use super::calling::CallbackPolicies;
use super::facts::Attempt;
use super::handle::Handle;
use super::keepalive::PingOptions;
use super::queue::Overflow;
use super::reconnect::Reconnect;
use super::shared::{Outbox, Shared};
use crate::error::Result;
use crate::options::ConnectOptions;
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
///     .on_error(|_, error| eprintln!("{error:#}"))
///     .on_close(|_, closed| println!("{closed}, connects again in {:?}", closed.reconnect))
///     .ping_interval(Duration::from_secs(20))
///     .ping_timeout(Duration::from_secs(10))
///     .reconnect(Reconnect::backoff())
///     .run_forever()?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
///
/// # Callbacks
///
/// They are called one at a time, on the thread of [`run_forever`](Self::run_forever). While a callback runs nothing is received and no
/// ping is answered; a [queue](Self::queue) changes that. They may borrow what lives longer than the app, and are `Send`, so that the app
/// can be moved to another thread; only [`spawn`](Self::spawn) needs `'static`. The order is that of websocket-client: `on_open`, then
/// for each message `on_data` and `on_message`, `on_error` for whatever fails, `on_close`.
///
/// A panic in a callback is caught and given to `on_error` as [`AppError::Panicked`](crate::AppError::Panicked); the app goes on, unless
/// [`callback_panics`](Self::callback_panics) says otherwise. What the callback has left half done stays so. Rust prints the panic's
/// message as always; with `panic = "abort"` the process ends.
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
    pub(super) connector: Option<ConnectHook<'env>>,
    pub(super) closures: Closures<'env>,
    pub(super) policies: CallbackPolicies,
    pub(super) pings: PingOptions,
    pub(super) reconnect: Option<Reconnect>,
    pub(super) queue: Option<(usize, Overflow)>,
    pub(super) handle: Handle,
}

/// Makes a connection.
pub(super) type ConnectHook<'env> = Box<dyn FnMut(&Attempt<'_>, ConnectOptions) -> Result<WebSocket> + Send + 'env>;

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
