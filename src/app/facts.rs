//! What an app tells: how a connection ended, about an attempt to connect, what went wrong in it, and what has passed through it.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use thiserror::Error as ThisError;

use crate::error::{CloseCause, CloseInfo, EndText, Error, Result};
use crate::websocket::CloseCode;

/// One attempt of an app to connect. `Debug` does not show the URL, which may hold secrets.
#[non_exhaustive]
pub struct Attempt<'a> {
    /// The URL that the app was given.
    pub url: &'a str,
    /// Its number: 1 for the first, and for the first after a connection that was [stable](crate::Reconnect::stable_after).
    pub number: u32,
    /// What the attempt before it, or the connection before it, ended with.
    pub last_error: Option<&'a Error>,
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("number", &self.number)
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

/// How a connection of an app ended, and whether another one follows.
///
/// ```no_run
/// # use websocket_sync::{CloseCause, WebSocketApp};
/// WebSocketApp::new("wss://feed.example/").on_close(|_, closed| match closed.cause {
///     CloseCause::Remote => println!("the server closed: {} {}", closed.code, closed.reason),
///     _ => println!("{closed}; connects again: {}", closed.reconnect.is_some()),
/// });
/// ```
///
/// `Display` begins with the cause, and escapes control characters in the peer's reason.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the peer's Close; 1005 for one without a code. Where the peer sent none it is 1006, or the code of our own Close after a
    /// [violation](CloseCause::Violation) and after a message that was [not finished](CloseCause::Unfinished).
    #[doc(alias = "close_status_code")]
    pub code: CloseCode,
    /// The reason that came with the code; empty when there was none.
    #[doc(alias = "close_msg")]
    pub reason: String,
    /// Who ended the connection, and how; [`NotConnected`](CloseCause::NotConnected) for a run that never had one.
    pub cause: CloseCause,
    /// The delay after which the next attempt to connect follows; `None` where the run ends.
    pub reconnect: Option<Duration>,
}

impl Closed {
    /// Whether a Close of the peer was received.
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, CloseCause::Local | CloseCause::Remote)
    }

    pub(super) fn new(info: &CloseInfo, reconnect: Option<Duration>) -> Self {
        Self { code: info.code, reason: info.reason.clone(), cause: info.cause, reconnect }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        EndText::new(self.code, &self.reason, self.cause).fmt(f)
    }
}

/// What can go wrong in an app, beside what goes wrong with its connections. It comes inside of
/// [`Error::Other`](crate::Error::Other).
///
/// ```
/// use websocket_sync::{AppError, Error, WebSocketApp};
///
/// let app = WebSocketApp::new("ws://localhost:9001/").on_error(|_, error| match error {
///     Error::Other(other) if other.is::<AppError>() => eprintln!("a mistake of ours: {other:#}"),
///     other => eprintln!("{other:#}"),
/// });
/// ```
#[derive(Clone, Debug, Eq, PartialEq, ThisError)]
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
    /// The [queue](crate::WebSocketApp::queue) was full, with [`Overflow::Fail`](crate::Overflow::Fail): the callbacks are slower than the
    /// server.
    #[error("the queue of {capacity} messages is full")]
    QueueFull {
        /// How many it holds.
        capacity: usize,
    },
    /// The loop that an app was added to has ended: `ManyApps::run` has returned, or the `ManyApps` was dropped.
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
pub(super) fn duplicate(outcome: &Result<Closed>) -> Result<Closed> {
    match outcome {
        Ok(closed) => Ok(closed.clone()),
        Err(error) => Err(duplicate_error(error)),
    }
}

/// The same error once more; one that is not of this crate comes as its text.
pub(super) fn duplicate_error(error: &Error) -> Error {
    match error {
        Error::Other(other) => match other.downcast_ref::<AppError>() {
            Some(app) => Error::other(app.clone()),
            None => error.duplicate(),
        },
        error => error.duplicate(),
    }
}

/// What has passed through an app, over all its connections and runs.
///
/// ```
/// let app = websocket_sync::WebSocketApp::new("ws://localhost:9001/");
/// assert_eq!(app.handle().statistics().messages_received, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Statistics {
    /// Messages received; fragments, where they are handed out one by one.
    pub messages_received: u64,
    /// The bytes in them, after decompression.
    pub bytes_received: u64,
    /// The bytes that have come of a message which is not whole yet: they grow while a large one arrives. 0 between two messages, and
    /// while no connection is open.
    pub bytes_gathered: u64,
    /// Messages sent through a [`Handle`](crate::Handle).
    pub messages_sent: u64,
    /// The bytes in them, before compression.
    pub bytes_sent: u64,
    /// Messages that were thrown away since the [queue](crate::WebSocketApp::queue) was full.
    pub messages_dropped: u64,
    /// Connections that were opened.
    pub connects: u64,
    /// When the last ping of the keepalive left.
    #[doc(alias = "last_ping_tm")]
    pub last_ping: Option<Instant>,
    /// When the last pong came, whether it was asked for or not.
    #[doc(alias = "last_pong_tm")]
    pub last_pong: Option<Instant>,
    /// How long the pings of the keepalive took to be answered.
    pub latency: Option<Latency>,
}

/// How long pings took to be answered: the latest 256 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latency {
    /// The last one.
    pub last: Duration,
    /// The shortest.
    pub min: Duration,
    /// The mean.
    pub mean: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

/// The latest latencies.
#[derive(Debug, Default)]
pub(super) struct Latencies(VecDeque<Duration>);

impl Latencies {
    const WINDOW: usize = 256;

    pub(super) fn push(&mut self, latency: Duration) {
        if self.0.len() == Self::WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(latency);
    }

    pub(super) fn summary(&self) -> Option<Latency> {
        let last = *self.0.back()?;
        let mut sorted: Vec<Duration> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 99).div_ceil(100);
        let total = sorted.iter().fold(Duration::ZERO, |total, &latency| total.saturating_add(latency));
        let mean = total / u32::try_from(sorted.len()).ok()?;
        Some(Latency { last, min: *sorted.first()?, mean, p99: *sorted.get(rank - 1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn latencies_are_summed_up_over_a_window() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.summary(), None);
        latencies.push(ms(7));
        assert_eq!(latencies.summary(), Some(Latency { last: ms(7), min: ms(7), mean: ms(7), p99: ms(7) }));
        (1..=256).rev().for_each(|millis| latencies.push(ms(millis)));
        let expected = Latency { last: ms(1), min: ms(1), mean: Duration::from_micros(128_500), p99: ms(254) };
        assert_eq!(latencies.summary(), Some(expected));
    }
}
