//! The handle of an app, for callbacks and other threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::facts::{Closed, Statistics};
use super::ping_thread::KeepaliveTarget;
use super::shared::{Link, Shared};
use crate::error::{CloseInfo, Error, Result};
#[cfg(feature = "json")]
use crate::message::to_json;
use crate::message::{Message, MessageRef};
use crate::websocket::Sender;
use crate::websocket::{ActivitySnapshot, CloseCode, Opcode, PingStatus, Response, check_close, not_connected};

/// Sends on an app's connection, closes it, and says how it fares: from callbacks, and from any other thread.
///
/// Clones belong to the same app. It outlives every connection of the app; what is sent goes to the one that is open.
///
/// The handle given to `on_open`, `on_reconnect` and the callbacks of messages, pings and pongs belongs to that connection. Once that is
/// gone, sending through it fails with [`Error::Closed`](crate::Error::Closed), instead of going to the next one or to the outbox. A clone
/// goes to whichever is open.
///
/// ```no_run
/// use std::{thread, time::Duration};
///
/// use websocket_sync::WebSocketApp;
///
/// let mut app = WebSocketApp::new("wss://feed.example/").on_message(|_, message| println!("{message:?}"));
/// let handle = app.handle();
/// thread::spawn(move || {
///     thread::sleep(Duration::from_secs(60));
///     handle.close() // run_forever returns
/// });
/// app.run_forever()?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
pub struct Handle {
    shared: Arc<Shared<Sender>>,
    /// The number of the one connection that it is for.
    bound: Option<u64>,
}

/// Sending. Each call goes to the connection that is open; while there is none, it fails with [`Error::Closed`](crate::Error::Closed), or
/// keeps the message in the [outbox](crate::WebSocketApp::outbox). To learn the length of the frame, send through
/// [`sender`](Self::sender).
impl Handle {
    /// Sends a text message, or puts it into the outbox.
    ///
    /// # Errors
    ///
    /// * [`Error::Closed`](crate::Error::Closed) while no connection is open and there is no outbox, and when the connection ends
    ///   meanwhile.
    /// * [`Error::Timeout`](crate::Error::Timeout) when the [send timeout](crate::ConnectOptions::send_timeout) has passed: if a byte of
    ///   the message has left, the connection is over; otherwise nothing was sent and the connection goes on.
    /// * [`Error::Usage`](crate::Error::Usage) while the same thread is in the middle of another message, by [`sender`](Self::sender).
    /// * [`Error::Other`](crate::Error::Other) with [`AppError::OutboxFull`](crate::AppError::OutboxFull) when the outbox has no room.
    /// * In an event loop ([`AppTask`](crate::AppTask), `ManyApps`) nothing waits. There it is [`Error::Full`](crate::Error::Full) when too
    ///   much waits to be sent already, and [`Error::Options`](crate::Error::Options) for a message that is larger than
    ///   [`max_unsent`](crate::ConnectOptions::max_unsent).
    pub fn send_text(&self, text: &str) -> Result<()> {
        self.shared.send(self.bound, text.into())
    }

    /// Sends a binary message, or puts it into the outbox.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    #[doc(alias = "send_bytes")]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<()> {
        self.shared.send(self.bound, bytes.into())
    }

    /// Sends a value as JSON, in a text message, or puts it into the outbox (feature `json`).
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Json`](crate::Error::Json) for a value that JSON cannot express.
    ///
    /// ```no_run
    /// use websocket_sync::WebSocketApp;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Tick {
    ///     symbol: String,
    ///     price: f64,
    /// }
    ///
    /// WebSocketApp::new("wss://feed.example/")
    ///     .on_open(|app| app.send_json(&serde_json::json!({"subscribe": "ticks"})))
    ///     .on_message(|_, message| {
    ///         let tick: Tick = message.json()?;
    ///         println!("{} {}", tick.symbol, tick.price);
    ///         Ok::<(), websocket_sync::Error>(())
    ///     })
    ///     .run_forever()?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn send_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<()> {
        self.send_text(&to_json(value)?)
    }

    /// Sends a payload as a whole message or a control frame.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text), but nothing that is sent this way is kept in the outbox;
    /// [`Error::Usage`](crate::Error::Usage) for text that is not UTF-8 and for a control frame that must not be sent.
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<()> {
        let payload = payload.as_ref();
        self.open()?.send(payload, opcode)?;
        if !opcode.is_control() {
            self.shared.sent.count(payload.len());
        }
        Ok(())
    }

    /// Sends a ping with a payload of up to 125 bytes, beside those of the keepalive.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text), but nothing is kept in the outbox; [`Error::Usage`](crate::Error::Usage) for a longer payload.
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.open()?.ping(payload)
    }

    /// What sends on the connection that is open now, and on no other: for streams, batches and frames. `None` while no connection is
    /// open.
    #[doc(alias = "sock")]
    pub fn sender(&self) -> Option<Sender> {
        self.shared.link(self.bound)
    }

    /// Sends what the [outbox](crate::WebSocketApp::outbox) holds, the oldest first; what other threads send meanwhile goes behind it.
    /// Returns at once where another thread is already sending it.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text). The message that did not leave is kept, with those behind it, for another call; in an
    /// [`AppTask`](crate::AppTask), what finds no room ([`Error::Full`](crate::Error::Full)) leaves by itself when there is some.
    pub fn send_unsent(&self) -> Result<()> {
        self.shared.send_unsent(self.bound)
    }

    /// Takes what the [outbox](crate::WebSocketApp::outbox) holds, the oldest first, to decide about each message. To send all of it,
    /// [`send_unsent`](Self::send_unsent) is better: what it cannot send it keeps.
    pub fn take_unsent(&self) -> Vec<Message> {
        self.shared.outbox(|outbox| outbox.take())
    }

    fn open(&self) -> Result<Sender> {
        self.shared.link(self.bound).ok_or_else(not_connected)
    }
}

/// Ending the run.
impl Handle {
    /// Ends the run: [`run_forever`](crate::WebSocketApp::run_forever) returns. An open connection is closed with code 1000, and this waits
    /// for the end of it: until our Close has left, and for the answer, each at most for the
    /// [close timeout](crate::ConnectOptions::close_timeout). An attempt to connect or the wait for the next one is cancelled at once.
    /// In a callback this does not wait, unless there is a [queue](crate::WebSocketApp::queue).
    ///
    /// Before the first run, it makes that run end as soon as it begins; after a run there is nothing to close. No message is handed out
    /// after this.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) when this thread calls it inside a batch ([`Sender::cork`]) or from a reader that was given to
    /// [`Sender::send_reader`]; the run goes on. None otherwise: what is over is closed, however that came.
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes. 1005 without a reason sends a Close without a body.
    ///
    /// # Errors
    ///
    /// As for [`close`](Self::close), and [`Error::Usage`](crate::Error::Usage) for a code or a reason that must not be sent; the run goes on.
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        self.shared.close(code, reason)
    }

    /// Begins to end the run as [`close_with`](Self::close_with) does, without waiting: to close thousands of apps at a time. The thread or
    /// loop that runs the app does the rest, within the same times as there; [`wait_end`](Self::wait_end) waits for it.
    ///
    /// # Errors
    ///
    /// As for [`close_with`](Self::close_with).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use websocket_sync::{CloseCode, Handle, WebSocketApp};
    ///
    /// fn close_all(apps: &[Handle]) -> websocket_sync::Result<()> {
    ///     apps.iter().try_for_each(|app| app.try_close(CloseCode::GOING_AWAY, "restarting"))?;
    ///     for app in apps {
    ///         app.wait_end(Duration::MAX);
    ///     }
    ///     Ok(())
    /// }
    ///
    /// close_all(&[WebSocketApp::new("ws://127.0.0.1:9/").spawn()?.handle()])?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        self.shared.try_close(code, reason)
    }

    /// Ends the run without waiting for anything: an open connection is dropped, with a Close 1001 if that can be sent at once. For
    /// threads that must not wait, such as one that handles signals.
    #[doc(alias = "keep_running")]
    pub fn stop(&self) {
        self.shared.disconnect();
    }
}

/// Forcing a reconnect.
impl Handle {
    /// Closes the connection that is open with this code and a reason of up to 123 bytes, and has the app connect again: because a
    /// subscription has a gap, a token was renewed, a server is to be left. No message of the old connection reaches a callback after
    /// this. `on_close` is called, and the next attempt follows as after a loss, by the app's [`Reconnect`](crate::Reconnect): after a
    /// delay, and as one more of the attempts that are counted. With [`Reconnect::never`](crate::Reconnect::never) the run ends.
    ///
    /// During the delay before an attempt, it has that attempt made at once. It waits for the end of the old connection as
    /// [`close`](Self::close) does. In `on_error`, `on_close` and while an attempt is made, it does nothing: what follows is decided.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) for a code or a reason that must not be sent, and when this thread calls it inside a batch
    /// ([`Sender::cork`]) or from a reader that was given to [`Sender::send_reader`]; the connection goes on.
    ///
    /// ```
    /// use websocket_sync::{CloseCode, Reconnect, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").reconnect(Reconnect::backoff()).on_message(|app, message| {
    ///     if message.as_text() == Some("gap") { app.reconnect(CloseCode(4000), "a gap") } else { Ok(()) }
    /// });
    /// ```
    pub fn reconnect(&self, code: CloseCode, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        self.shared.reconnect(self.bound, code, reason)
    }
}

/// State of the app.
impl Handle {
    /// Whether the app runs: connects, is connected, or waits to connect again. So it is from [`spawn`](crate::WebSocketApp::spawn) on,
    /// until [`on_end`](crate::WebSocketApp::on_end) has returned.
    #[doc(alias = "keep_running")]
    pub fn is_running(&self) -> bool {
        self.shared.is_running()
    }

    /// Waits until a connection is open and its [`on_open`](crate::WebSocketApp::on_open) or `on_reconnect` has returned, at most for
    /// `timeout`; `Duration::MAX` is for ever. So what is sent then comes behind a login of that callback. Returns false when time is up or
    /// the run is over; [`is_running`](Self::is_running) says which. In `on_open` itself it returns at once; in another callback it keeps
    /// the app waiting.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use websocket_sync::{Reconnect, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").reconnect(Reconnect::backoff()).spawn()?;
    /// let handle = app.handle();
    /// if handle.wait_open(Duration::from_secs(10)) {
    ///     handle.send_text("hello")?;
    /// }
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn wait_open(&self, timeout: Duration) -> bool {
        self.shared.wait_open(timeout)
    }

    /// Waits until the run is over, at most for `timeout`; `Duration::MAX` is for ever. Returns what
    /// [`run_forever`](crate::WebSocketApp::run_forever) returns, or `None` when time is up. Before the first run it waits for that one,
    /// after a run it returns at once. An error that is not of this crate comes as its text. In a callback it keeps the app waiting.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use websocket_sync::WebSocketApp;
    ///
    /// let handle = WebSocketApp::new("wss://feed.example/").spawn()?.handle();
    /// match handle.wait_end(Duration::from_secs(60)) {
    ///     Some(Ok(closed)) => println!("ended: {closed}"),
    ///     Some(Err(error)) => eprintln!("failed: {error:#}"),
    ///     None => println!("it still runs"),
    /// }
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn wait_end(&self, timeout: Duration) -> Option<Result<Closed>> {
        self.shared.wait_end(timeout)
    }

    /// Whether a connection is open.
    pub fn ready(&self) -> bool {
        self.shared.link(self.bound).is_some_and(|sender| sender.connected())
    }

    /// Call it when the connection has proved itself, say after a login: when it is lost, attempts and delays count from the beginning.
    /// Without it, that takes [`Reconnect::stable_after`](crate::Reconnect::stable_after).
    pub fn mark_healthy(&self) {
        self.shared.mark_healthy(self.bound);
    }

    /// The delay before the next attempt to connect, where one follows: in `on_error` after an attempt that has failed, in `on_close` as
    /// [`Closed::reconnect`], and until the attempt begins. It is counted from the end of those callbacks. `None` while the app connects
    /// or is connected, and where the run ends. Behind a [queue](crate::WebSocketApp::queue), callbacks that are late see what is the
    /// case by then.
    ///
    /// ```
    /// use websocket_sync::{Reconnect, WebSocketApp};
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").reconnect(Reconnect::backoff()).on_error(|app, error| {
    ///     match app.retry_delay() {
    ///         Some(delay) => eprintln!("{error:#}; next attempt in {:.1} s", delay.as_secs_f64()),
    ///         None => eprintln!("{error:#}"),
    ///     }
    /// });
    /// ```
    pub fn retry_delay(&self) -> Option<Duration> {
        self.shared.retry_delay()
    }

    /// How many messages, bytes and connections there were, and how long pings took, over all runs of the app.
    #[doc(alias = "last_ping_tm")]
    #[doc(alias = "last_pong_tm")]
    pub fn statistics(&self) -> Statistics {
        self.shared.statistics()
    }

    /// How the last connection of this run ended, if one did.
    #[doc(alias = "last_close_frame")]
    pub fn last_close(&self) -> Option<CloseInfo> {
        self.shared.last_close()
    }

    /// Whether anything that `on_error` is told of has failed in this run; after it, in the last one.
    pub fn has_errored(&self) -> bool {
        self.shared.has_errored()
    }

    /// The server's answer to the opening handshake of the connection that is open.
    #[doc(alias = "getheaders")]
    pub fn response(&self) -> Option<Arc<Response>> {
        self.shared.response(self.bound)
    }

    /// The subprotocol that was agreed upon for the connection that is open.
    pub fn subprotocol(&self) -> Option<String> {
        self.response()?.subprotocol.clone()
    }
}

impl Handle {
    pub(super) const fn new(shared: Arc<Shared<Sender>>) -> Self {
        Self { shared, bound: None }
    }

    /// The handle for callbacks that hear of this connection.
    pub(super) fn bound_to(&self, number: u64) -> Self {
        Self { shared: Arc::clone(&self.shared), bound: Some(number) }
    }

    /// A clone that is bound as this one is.
    pub(super) fn still_bound(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bound: self.bound }
    }

    pub(super) fn shared(&self) -> &Shared<Sender> {
        &self.shared
    }

    /// The app, for the thread that sends its pings.
    pub(super) fn keepalive_target(&self) -> Arc<dyn KeepaliveTarget> {
        Arc::<Shared<Sender>>::clone(&self.shared)
    }
}

/// For the app, whichever connection the callback was told of.
impl Clone for Handle {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bound: None }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("is_running", &self.is_running()).field("ready", &self.ready()).finish()
    }
}

impl Link for Sender {
    fn check_close(&self) -> Result<()> {
        self.check_close()
    }

    fn close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.close_with(code, reason)
    }

    fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        match self.try_close(code, reason) {
            Err(Error::Closed(_)) => Ok(()),
            begun => begun,
        }
    }

    fn disconnect(&self) {
        self.disconnect();
    }

    fn fail_silent(&self) {
        self.fail_silent_peer();
    }

    fn send_ping(&self, payload: &[u8]) -> Result<PingStatus> {
        self.send_keepalive_ping(payload)
    }

    fn flush_ping(&self) -> PingStatus {
        self.flush_keepalive_ping()
    }

    fn activity(&self) -> ActivitySnapshot {
        self.activity()
    }

    fn gathered(&self) -> u64 {
        self.gathered()
    }

    fn has_arrived(&self) -> bool {
        self.has_arrived()
    }

    fn send(&self, message: MessageRef<'_>) -> Result<()> {
        match message {
            MessageRef::Text(text) => self.send_text(text)?,
            MessageRef::Binary(bytes) => self.send_binary(bytes)?,
        };
        Ok(())
    }

    fn send_timeout(&self) -> Duration {
        self.longest_send()
    }

    fn is_in_event_loop(&self) -> bool {
        self.is_in_event_loop()
    }
}
