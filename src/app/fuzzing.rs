//! The state machines of a run and of its pings, for the fuzz targets.

use std::time::{Duration, Instant};

use super::keepalive::{Keepalive, KeepaliveAction, KeepalivePing, PingOptions};
use super::lifecycle::{ConnectionEnd, Lifecycle, LifecyclePhase, NextStep, OpenEvent};
use super::reconnect::Reconnect;
use crate::error::Error;
use crate::websocket::ActivitySnapshot;

/// The state machine of a run.
#[derive(Debug)]
pub struct LifecycleMachine(Lifecycle);

impl LifecycleMachine {
    /// A run that has not begun.
    pub const fn new(reconnect: Reconnect) -> Self {
        Self(Lifecycle::new(reconnect))
    }

    /// Begins an attempt: its number.
    pub const fn connect(&mut self) -> u32 {
        self.0.connect()
    }

    /// The attempt has succeeded: whether it is the first of the run that has.
    pub fn opened(&mut self, now: Instant) -> bool {
        self.0.opened(now) == OpenEvent::First
    }

    /// The attempt has failed, or the connection is over: the delay until the next and its time, or none where the run ends.
    pub fn ended(
        &mut self,
        now: Instant,
        error: &Error,
        retry_after: Option<Duration>,
        (is_healthy, is_replaced): (bool, bool),
        entropy: u64,
    ) -> Option<(Duration, Instant)> {
        match self.0.ended(now, ConnectionEnd { error, retry_after, is_healthy, is_replaced, entropy }) {
            NextStep::Retry { delay, at } => Some((delay, at)),
            NextStep::Stop => None,
        }
    }

    /// The application has ended the run.
    pub const fn stop(&mut self) {
        self.0.stop();
    }

    /// Whether the run is over, or has not begun.
    pub fn is_stopped(&self) -> bool {
        self.0.phase() == LifecyclePhase::Stopped
    }
}

/// The state machine of the pings of a connection.
#[derive(Debug)]
pub struct KeepaliveMachine(Keepalive);

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "for the fuzz targets alone")]
pub enum KeepaliveStep {
    /// Send this ping.
    Ping(u64, Vec<u8>),
    /// Look whether this ping has left.
    Flush(u64),
    /// Nothing until then.
    Wait(Option<Instant>),
    /// The peer is dead.
    Dead,
}

impl KeepaliveMachine {
    /// The pings of a connection that is open since `now`, where any are wanted.
    pub fn start(
        interval: Duration,
        timeout: Option<Duration>,
        payload: Option<Vec<u8>>,
        now: Instant,
    ) -> Option<Self> {
        let options = PingOptions { interval: Some(interval), timeout, payload };
        options.validate().ok()?;
        options.start(now).map(Self)
    }

    /// What is to be done now.
    pub fn poll(&mut self, now: Instant, (received, waiting): (u64, bool)) -> KeepaliveStep {
        match self.0.poll(now, ActivitySnapshot { received, waiting }) {
            KeepaliveAction::Ping(KeepalivePing { number, payload }) => KeepaliveStep::Ping(number, payload),
            KeepaliveAction::Flush(number) => KeepaliveStep::Flush(number),
            KeepaliveAction::Wait(until) => KeepaliveStep::Wait(until),
            KeepaliveAction::Dead => KeepaliveStep::Dead,
        }
    }

    /// The ping has left.
    pub fn sent(&mut self, number: u64, now: Instant, (received, waiting): (u64, bool)) {
        self.0.sent(number, now, ActivitySnapshot { received, waiting });
    }

    /// The ping has not left yet.
    pub fn queued(&mut self, number: u64, now: Instant, (received, waiting): (u64, bool)) {
        self.0.queued(number, now, ActivitySnapshot { received, waiting });
    }

    /// The ping could not leave.
    pub fn unsent(&mut self, number: u64) {
        self.0.unsent(number);
    }

    /// A pong has come: how long its ping took.
    pub fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        self.0.pong(payload, now)
    }
}
