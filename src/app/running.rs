//! How an app is run: on this thread or another, with which queue and outbox, and what follows when a callback fails.

use std::any::Any;

use super::WebSocketApp;
use super::blocking::run_app;
use super::calling::CallbackPolicy;
use super::facts::{AppError, Closed};
use super::handle::Handle;
use super::queue::Overflow;
use crate::error::{Error, Result};
use crate::sync::thread::{Builder, JoinHandle};

/// Running.
impl WebSocketApp<'_> {
    /// Connects, calls back, keeps alive and connects again, on this thread, until no further attempt follows. Then its threads
    /// have ended, but for the one that sends the pings of all apps, which ends with the last of them. It can be called again.
    ///
    /// Returns how the last connection ended where that is no failure: it was closed by [`Handle::close`], [`Handle::close_with`] or
    /// [`Handle::stop`], the opening was cancelled, or the server closed and no further attempt follows.
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

    /// A handle that sends, closes the app and reports its state, from any thread.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
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

/// Threads, memory, and failures of callbacks.
impl WebSocketApp<'_> {
    /// Receives on a thread of its own, and puts the messages into a queue for the callbacks: so pings are answered, and the server's
    /// Close is seen, while a callback runs. The queue holds `capacity` messages, at least one, each of them a copy; `overflow` says what
    /// becomes of one that finds it full.
    ///
    /// Where messages are handed out in fragments, none of them may be dropped: with [`Overflow::DropOldest`] or
    /// [`Overflow::DropNewest`] the run is then refused with [`Error::Options`](crate::Error::Options).
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

    /// Keeps messages that [`Handle::send_text`] and [`Handle::send_binary`] are given while there is no connection, in their order: at
    /// most `capacity` of them, with at most [`outbox_bytes`](Self::outbox_bytes) in them. They are not sent by themselves, since what is
    /// old may be wrong by then: [`Handle::send_unsent`] sends them, [`Handle::take_unsent`] hands them back.
    ///
    /// What other threads send while `on_open` or `on_reconnect` runs is put behind them, and leaves when the callback has returned: so
    /// a login comes first. Without an outbox it is sent at once, and may overtake the login.
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

    /// How many bytes the messages in the [outbox](Self::outbox) may have together.
    ///
    /// Default: 16 MiB.
    pub fn outbox_bytes(self, most: usize) -> Self {
        self.handle.shared().outbox(|outbox| outbox.set_max_bytes(most));
        self
    }

    /// What becomes of the run when a callback returns an error. [`on_error`](Self::on_error) is called in any case.
    ///
    /// Default: it goes on.
    pub const fn callback_errors(mut self, policy: CallbackPolicy) -> Self {
        self.policies.errors = policy;
        self
    }

    /// What becomes of the run when a callback panics. [`on_error`](Self::on_error) is called in any case.
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
