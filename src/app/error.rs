//! What can go wrong in an app beside what goes wrong with its connections.

use std::any::Any;

use thiserror::Error;

/// What can go wrong in an app, beside what goes wrong with its connections. It comes inside of
/// [`Error::Other`](crate::Error::Other).
///
/// ```
/// use websocket_sync::{AppError, Error, WebSocketApp};
///
/// let app = WebSocketApp::new("ws://localhost:9001/").on_error(|_, error| match error {
///     Error::Other(other) if other.is::<AppError>() => eprintln!("a mistake of ours: {other}"),
///     other => eprintln!("{other}"),
/// });
/// ```
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum AppError {
    /// A callback panicked.
    #[error("{callback} panicked: {message}")]
    Panicked {
        /// Which one.
        callback: &'static str,
        /// What it said.
        message: String,
    },
    /// The callbacks are slower than the server, and the [queue](crate::WebSocketApp::queue) is not to lose anything.
    #[error("the queue of {capacity} messages is full")]
    QueueFull {
        /// How many it holds.
        capacity: usize,
    },
    /// There is no connection, and the [outbox](crate::WebSocketApp::outbox) is full.
    #[error("not connected, and the outbox of {capacity} messages is full")]
    OutboxFull {
        /// How many it holds.
        capacity: usize,
    },
}

impl AppError {
    /// A panic, by what it was caught as.
    pub(super) fn panicked(callback: &'static str, payload: &(dyn Any + Send)) -> Self {
        let message = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
            (Some(text), _) => (*text).to_owned(),
            (None, Some(text)) => text.clone(),
            (None, None) => "no message".to_owned(),
        };
        Self::Panicked { callback, message }
    }
}
