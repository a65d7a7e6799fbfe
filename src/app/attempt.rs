//! How an app makes its connections.

use super::WebSocketApp;
use crate::error::{Error, Result};
use crate::options::ConnectOptions;
use crate::websocket::WebSocket;

/// One attempt of an app to connect.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The URL that the app was given.
    pub url: &'a str,
    /// Its number: 1 for the first, and for the first after a connection that was [stable](crate::Reconnect::stable_after).
    pub number: u32,
    /// What the attempt before it, or the connection before it, ended with.
    pub last_error: Option<&'a Error>,
}

/// Makes a connection.
pub(super) type Connector<'env> = Box<dyn FnMut(&Attempt<'_>, ConnectOptions) -> Result<WebSocket> + Send + 'env>;

impl<'env> WebSocketApp<'env> {
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
}
