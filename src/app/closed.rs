//! What `on_close` is told.

use std::time::Duration;

use crate::error::{CloseCause, CloseInfo};
use crate::websocket::CloseCode;

/// How a connection of an app ended, and whether another one follows.
///
/// ```no_run
/// # use websocket_sync::{CloseCause, WebSocketApp};
/// WebSocketApp::new("wss://feed.example/").on_close(|_, closed| match closed.cause {
///     CloseCause::Remote => println!("the server closed: {} {}", closed.code, closed.reason),
///     cause => println!("{cause}; connects again: {}", closed.reconnect.is_some()),
/// });
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the peer's Close frame, or ours where the peer sent none; 1005 for one without a code, 1006 for none at all.
    #[doc(alias = "close_status_code")]
    pub code: CloseCode,
    /// The reason that came with the code; empty when there was none.
    #[doc(alias = "close_msg")]
    pub reason: String,
    /// Who ended the connection, and how. [`NotConnected`](CloseCause::NotConnected) where there was none.
    pub cause: CloseCause,
    /// In how long the next attempt to connect follows; `None` where the run ends.
    pub reconnect: Option<Duration>,
}

impl Closed {
    /// Whether both sides agreed to end.
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, CloseCause::Local | CloseCause::Remote)
    }

    pub(super) fn new(info: &CloseInfo, reconnect: Option<Duration>) -> Self {
        Self { code: info.code, reason: info.reason.clone(), cause: info.cause, reconnect }
    }
}
