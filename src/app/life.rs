//! The life of an app as a state machine: what follows what, and when. It neither waits nor looks at a clock; time and chance are
//! handed in. Whoever drives it, a thread of its own or one for thousands of apps, does what it says.

use std::time::{Duration, Instant};

use super::reconnect::Reconnect;
use crate::error::Error;

/// The life of an app during one run.
///
/// ```text
///             opened                    ended
/// Connecting ────────▶ Open ─────────────────────────▶ Backoff ─▶ Connecting …
///      └──────────────────────── ended ──────────────▶ Stopped
/// ```
#[derive(Debug)]
pub(super) struct Life {
    reconnect: Reconnect,
    phase: Phase,
    /// Attempts since a connection last was stable, the present one included.
    attempts: u32,
    /// When the first of them failed.
    failing_since: Option<Instant>,
    /// Whether any connection of this run was open.
    has_opened: bool,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    Connecting,
    Open { since: Instant },
    Backoff { until: Instant },
    Stopped,
}

/// Which callback an open connection fires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opened {
    /// `on_open`: no connection of this run was open before.
    First,
    /// `on_reconnect`.
    Again,
}

/// What follows the end of a connection or of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Next {
    Retry { delay: Duration, at: Instant },
    Stop,
}

/// How a connection or an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End<'a> {
    pub(super) error: &'a Error,
    /// What a server that refused has asked for.
    pub(super) retry_after: Option<Duration>,
    /// Whether the application has said that the connection works.
    pub(super) is_healthy: bool,
    /// Any number, drawn anew each time.
    pub(super) entropy: u64,
}

impl Life {
    pub(super) const fn new(reconnect: Reconnect) -> Self {
        Self { reconnect, phase: Phase::Stopped, attempts: 0, failing_since: None, has_opened: false }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether any connection of this run was open.
    pub(super) const fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// Begins an attempt; returns its number, counted since a connection last was stable.
    pub(super) const fn connect(&mut self) -> u32 {
        self.phase = Phase::Connecting;
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// The attempt has succeeded.
    pub(super) const fn opened(&mut self, now: Instant) -> Opened {
        self.phase = Phase::Open { since: now };
        let opened = if self.has_opened { Opened::Again } else { Opened::First };
        self.has_opened = true;
        opened
    }

    /// The attempt has failed, or the connection is over.
    pub(super) fn ended(&mut self, now: Instant, end: End<'_>) -> Next {
        let uptime = match self.phase {
            Phase::Open { since } => Some(now.saturating_duration_since(since)),
            Phase::Connecting | Phase::Backoff { .. } | Phase::Stopped => None,
        };
        if end.is_healthy || uptime.is_some_and(|uptime| self.reconnect.is_stable(uptime)) {
            self.attempts = 0;
            self.failing_since = None;
        }
        let failing_for = now.saturating_duration_since(*self.failing_since.get_or_insert(now));
        let next = self.next(now, end, failing_for);
        self.phase = match next {
            Next::Retry { at, .. } => Phase::Backoff { until: at },
            Next::Stop => Phase::Stopped,
        };
        next
    }

    /// The application has ended the run.
    pub(super) const fn stop(&mut self) {
        self.phase = Phase::Stopped;
    }

    fn next(&self, now: Instant, end: End<'_>, failing_for: Duration) -> Next {
        if !self.reconnect.allows(end.error) {
            return Next::Stop;
        }
        let delay = self.reconnect.delay(self.attempts, end.retry_after, end.entropy);
        if self.reconnect.is_exhausted(self.attempts, failing_for.saturating_add(delay)) {
            return Next::Stop;
        }
        match now.checked_add(delay) {
            Some(at) => Next::Retry { delay, at },
            None => Next::Stop,
        }
    }
}
