//! What can go wrong in an app beside what goes wrong with its connections.

use std::any::Any;

use thiserror::Error;

use super::closed::Closed;
use crate::error;

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
    /// A callback, a hook of the options or a [`Transport`](crate::Transport) panicked.
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
    /// The loop that an app was added to has ended: `ManyApps::run` has returned, or it was dropped.
    #[error("the loop that was to drive the app has ended")]
    LoopEnded,
    /// The message cannot be sent yet, and the [outbox](crate::WebSocketApp::outbox) is full.
    #[error("the outbox of {capacity} messages or {max_bytes} bytes is full")]
    OutboxFull {
        /// How many messages it holds.
        capacity: usize,
        /// How many bytes there may be in them.
        max_bytes: usize,
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

/// The outcome of a run once more, for those who wait for it.
pub(super) fn duplicate(outcome: &error::Result<Closed>) -> error::Result<Closed> {
    match outcome {
        Ok(closed) => Ok(closed.clone()),
        Err(error) => Err(duplicate_error(error)),
    }
}

/// The same error once more; one that is not of this crate comes as its text.
pub(super) fn duplicate_error(error: &error::Error) -> error::Error {
    match error {
        error::Error::Other(other) => match other.downcast_ref::<AppError>() {
            Some(app) => error::Error::other(app.clone()),
            None => error.duplicate(),
        },
        error => error.duplicate(),
    }
}
