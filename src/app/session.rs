//! One run of an app: a driver tells it what has happened; it emits events for the callbacks and says what follows.
//!
//! The drivers, `blocking` and `task`, connect, receive and wait; they decide nothing.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::TryRng;
use rand::rngs::SysRng;

use super::calling::EventSink;
use super::facts::Closed;
use super::handle::Handle;
use super::keepalive::PingOptions;
use super::lifecycle::{ConnectionEnd, Lifecycle, LifecyclePhase, NextStep};
use super::reconnect::Reconnect;
use super::shared::LostLink;
use crate::error::{CloseCause, CloseInfo, Error, ProxyError, Result};
use crate::sync::now;
use crate::websocket::{CloseCode, Received, WebSocket};

/// One run of an app.
#[derive(Debug)]
pub(super) struct Session<'a, A> {
    handle: &'a Handle,
    pings: &'a PingOptions,
    lifecycle: Lifecycle,
    sink: A,
    /// What the attempt before this one ended with.
    last_error: Option<Arc<Error>>,
    /// The number of the connection that was opened last; 0 for none.
    number: u64,
}

/// What follows the end of a connection or of an attempt.
#[derive(Debug)]
pub(super) enum RetryDecision {
    /// Another attempt, then.
    Retry(Instant),
    /// The end of the run.
    Over(Result<Closed, Arc<Error>>),
}

/// The state of a session between the turns of a driver that does not keep it.
#[derive(Debug)]
pub(super) struct SessionState {
    lifecycle: Lifecycle,
    last_error: Option<Arc<Error>>,
    number: u64,
}

impl SessionState {
    /// Before the first attempt.
    pub(super) const fn none(reconnect: Reconnect) -> Self {
        Self { lifecycle: Lifecycle::new(reconnect), last_error: None, number: 0 }
    }

    /// The number of the connection that was opened last; 0 for none.
    pub(super) const fn connection(&self) -> u64 {
        self.number
    }
}

impl<'a, A: EventSink> Session<'a, A> {
    /// Continues a session that was [suspended](Self::suspend).
    pub(super) fn resume(handle: &'a Handle, pings: &'a PingOptions, suspended: SessionState, sink: A) -> Self {
        let SessionState { lifecycle, last_error, number } = suspended;
        Self { handle, pings, lifecycle, sink, last_error, number }
    }

    /// Gives the session up, to be [resumed](Self::resume) later.
    pub(super) fn suspend(self) -> (SessionState, A) {
        (SessionState { lifecycle: self.lifecycle, last_error: self.last_error, number: self.number }, self.sink)
    }

    /// Begins an attempt to connect: its number, and what the one before it ended with.
    pub(super) fn begin_attempt(&mut self) -> (u32, Option<Arc<Error>>) {
        self.handle.shared().set_retry_delay(None);
        (self.lifecycle.connect(), self.last_error.clone())
    }

    pub(super) fn new(handle: &'a Handle, pings: &'a PingOptions, reconnect: Reconnect, sink: A) -> Self {
        Self::resume(handle, pings, SessionState::none(reconnect), sink)
    }

    /// The run is over.
    pub(super) fn into_sink(self) -> A {
        self.sink
    }

    pub(super) const fn handle(&self) -> &'a Handle {
        self.handle
    }

    /// The attempt has succeeded. Not so if the run was ended in the meantime: then the connection is to be closed.
    pub(super) fn opened(&mut self, ws: &mut WebSocket) -> Result<()> {
        ws.receive_here()?;
        // Its end is for the keepalive to find out.
        ws.set_recv_timeout(None)?;
        let now = now();
        let number = self.handle.shared().opened(ws.sender(), self.pings.start(now), ws.response().cloned());
        let Some(number) = number else { return Err(cancelled()) };
        self.number = number;
        log::info!("connected");
        let opened = self.lifecycle.opened(now);
        self.sink.opened(opened, number);
        Ok(())
    }

    /// Something has come. An error is a reason to close the connection.
    #[inline]
    pub(super) fn received(&mut self, received: Received<'_>) -> Result<()> {
        let shared = self.handle.shared();
        // It may have come while the run, or the connection, was ended.
        if shared.is_discarding(self.number) {
            return Ok(());
        }
        match received {
            Received::Message(message) => shared.received.count_alone(message.as_bytes().len()),
            Received::Fragment { payload, .. } => shared.received.count_alone(payload.len()),
            Received::Ping(_) => {}
            Received::Pong(payload) => shared.pong(payload, now()),
        }
        self.sink.received(received)
    }

    /// Hands out the messages that lie there already. Breaks when a message is a reason to close the connection.
    #[inline]
    pub(super) fn drain(&mut self, ws: &mut WebSocket) -> Result<ControlFlow<Error>> {
        let (shared, number) = (self.handle.shared(), self.number);
        if shared.is_discarding(number) {
            return Ok(ControlFlow::Continue(()));
        }
        let drained = self.sink.catch_panics(|sink| {
            ws.each_buffered(|message| {
                shared.received.count_alone(message.as_bytes().len());
                match sink.message(message) {
                    Ok(()) if shared.is_discarding(number) => ControlFlow::Break(None),
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(Some(error)),
                }
            })
        });
        match drained {
            Some(Ok(ControlFlow::Break(Some(error)))) => Ok(ControlFlow::Break(error)),
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(ControlFlow::Continue(())),
        }
    }

    /// Something has failed that does not end the connection.
    pub(super) fn failed(&mut self, error: Error) {
        self.sink.failed(Arc::new(error));
    }

    /// The attempt has failed, or the connection is over. `info` is how the connection ended, where the error does not say.
    pub(super) fn ended(&mut self, error: Error, info: Option<CloseInfo>) -> RetryDecision {
        let shared = self.handle.shared();
        let was_open = matches!(self.lifecycle.phase(), LifecyclePhase::Open { .. });
        let info = info.or_else(|| error.close_info().cloned()).unwrap_or_else(never_connected);
        let lost = if was_open { shared.lost(&info) } else { LostLink::default() };
        // The application has closed it to have another one.
        let is_replaced = lost.is_replaced && !info.is_retryable();
        let is_wanted = shared.is_stopping() || info.cause == CloseCause::Cancelled;
        let next = if is_wanted {
            self.lifecycle.stop();
            NextStep::Stop
        } else {
            let retry_after = retry_after(&error);
            let (is_healthy, entropy) = (lost.is_healthy, entropy());
            self.lifecycle.ended(now(), ConnectionEnd { error: &error, retry_after, is_healthy, is_replaced, entropy })
        };
        shared.set_retry_delay(self.retry_delay(next));
        // A connection that was closed before the app had it has failed, however clean that was.
        let is_clean_end = was_open && error.close_info().is_some_and(CloseInfo::is_clean);
        let is_failure = !is_wanted && !is_clean_end && !is_replaced;
        let error = Arc::new(error);
        self.last_error = Some(Arc::clone(&error));
        if is_failure {
            self.sink.failed(Arc::clone(&error));
        }
        let closed = self.tell_closed(&info, next, was_open);
        match next {
            // The callbacks that were told of the delay have taken their time.
            NextStep::Retry { delay, at } if closed.reconnect.is_some() => {
                RetryDecision::Retry(now().checked_add(delay).unwrap_or(at))
            }
            NextStep::Stop if is_failure => RetryDecision::Over(Err(error)),
            NextStep::Retry { .. } | NextStep::Stop => RetryDecision::Over(Ok(closed)),
        }
    }

    /// The delay before the next attempt, unless the run was ended or cancelled.
    fn retry_delay(&self, next: NextStep) -> Option<Duration> {
        next.delay().filter(|_| !self.handle.shared().is_cancelled())
    }

    /// The wait for the next attempt was cancelled: the run ends.
    pub(super) fn cancelled(&mut self) -> Closed {
        self.lifecycle.stop();
        let info = CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Cancelled);
        self.tell_closed(&info, NextStep::Stop, false)
    }

    /// Fires `on_close` where it is due: once for each connection that was open, and once for a run that ends without one.
    fn tell_closed(&mut self, info: &CloseInfo, next: NextStep, was_open: bool) -> Closed {
        // `on_error` may have ended the run.
        let delay = self.retry_delay(next);
        self.handle.shared().set_retry_delay(delay);
        let closed = Closed::new(info, delay);
        match delay {
            Some(delay) => log::info!("{info}; connects again in {delay:?}"),
            None => log::info!("{info}"),
        }
        if was_open || (delay.is_none() && !self.lifecycle.has_opened()) {
            self.sink.closed(closed.clone());
        }
        closed
    }
}

fn cancelled() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Cancelled)))
}

fn never_connected() -> CloseInfo {
    CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::NotConnected)
}

/// What a server or a proxy that refused has asked for (RFC 9110, section 10.2.3).
fn retry_after(error: &Error) -> Option<Duration> {
    let refusal = match error {
        Error::Refused(refusal) => refusal,
        Error::Proxy(problem) => match &**problem {
            ProxyError::Refused(refusal) => refusal,
            _ => return None,
        },
        _ => return None,
    };
    refusal.retry_after(SystemTime::now())
}

/// A random number, to spread the clients that lost the same server. A system without randomness is no reason not to connect.
fn entropy() -> u64 {
    SysRng.try_next_u64().unwrap_or(u64::MAX / 2)
}
