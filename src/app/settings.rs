//! The settings of an app for its connections: pings, reconnecting, and how they are made.

use std::time::Duration;

use super::WebSocketApp;
use super::facts::Attempt;
use super::reconnect::Reconnect;
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::websocket::WebSocket;

/// Keepalive.
impl WebSocketApp<'_> {
    /// How often a ping is sent, the first time after one interval; zero for never, and less than a millisecond is taken for one. It is
    /// sent by a thread of its own, the same one for all apps of the process, so that no callback delays it; a message that is being
    /// sent does.
    ///
    /// Default: never.
    pub fn ping_interval(mut self, interval: Duration) -> Self {
        self.pings.interval = Some(interval);
        self
    }

    /// How long nothing at all may come after a ping until the peer is taken for dead: the connection then fails with
    /// [`CloseCause::PingTimeout`](crate::CloseCause::PingTimeout). Whatever comes counts as an answer, not only the pong. Time spent in
    /// callbacks does not count. A ping that cannot be sent counts as unanswered, unless a large message is just being sent: then the
    /// [send timeout](crate::ConnectOptions::send_timeout) decides. The timeout may be longer than the interval.
    ///
    /// It also has to cover how long either program may go without a processor: on a busy machine, timeouts of some milliseconds take
    /// live peers for dead. After a pause of this process, the socket is looked at once more before the connection fails.
    ///
    /// Default: for ever. Without a [`ping_interval`](Self::ping_interval) it has no effect. Zero is refused when the run begins.
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

/// Reconnecting.
impl WebSocketApp<'_> {
    /// Whether and when a lost connection is made again.
    ///
    /// Default: that of [`set_reconnect`](crate::set_reconnect) if there is one, else [`Reconnect::never`].
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }
}

/// How connections are made.
impl<'env> WebSocketApp<'env> {
    /// How connections are made: everything that [`ConnectOptions`] has. Its receive timeout is not used; a peer that has fallen silent is
    /// found out by [`ping_timeout`](Self::ping_timeout).
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
    /// connected already. It is given the app's options, and must not wait for longer than their timeouts.
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
    #[doc(alias = "prepared_socket")]
    #[doc(alias = "socket")]
    pub fn connect_with(
        mut self,
        connector: impl FnMut(&Attempt<'_>, ConnectOptions) -> Result<WebSocket> + Send + 'env,
    ) -> Self {
        self.connector = Some(Box::new(connector));
        self
    }
}
