//! State machine of a run: connecting, open, backing off, stopped. Pure: the time and random numbers are arguments, and a driver does
//! the rest.

use std::time::{Duration, Instant};

use super::reconnect::Reconnect;
use crate::error::{Error, Retry};

/// The state of a run.
///
/// ```text
///             opened                    ended
/// Connecting ────────▶ Open ─────────────────────────▶ Backoff ─▶ Connecting …
///      └──────────────────────── ended ──────────────▶ Stopped
/// ```
#[derive(Debug)]
pub(super) struct Lifecycle {
    reconnect: Reconnect,
    phase: LifecyclePhase,
    /// Attempts since a connection last was stable, the present one included.
    attempts: u32,
    /// When the first of them failed.
    failing_since: Option<Instant>,
    /// Whether any connection of this run was open.
    has_opened: bool,
}

/// The phase of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum LifecyclePhase {
    Connecting,
    Open { since: Instant },
    Backoff { until: Instant },
    Stopped,
}

/// Which callback an open connection fires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum OpenEvent {
    /// `on_open`: no connection of this run was open before.
    First,
    /// `on_reconnect`.
    Reconnected,
}

/// What follows the end of a connection or of an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NextStep {
    Retry { delay: Duration, at: Instant },
    Stop,
}

impl NextStep {
    /// The delay before the next attempt, if there is to be one.
    pub(super) const fn delay(self) -> Option<Duration> {
        match self {
            Self::Retry { delay, .. } => Some(delay),
            Self::Stop => None,
        }
    }
}

/// How a connection or an attempt ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConnectionEnd<'a> {
    pub(super) error: &'a Error,
    /// What a server that refused has asked for.
    pub(super) retry_after: Option<Duration>,
    /// Whether the application has said that the connection works.
    pub(super) is_healthy: bool,
    /// Whether the application has closed it to have another connection.
    pub(super) is_replaced: bool,
    /// A random number.
    pub(super) entropy: u64,
}

impl Lifecycle {
    /// What stands for a delay that the clock cannot count to: a hundred years.
    const FAR_AWAY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

    pub(super) const fn new(reconnect: Reconnect) -> Self {
        Self { reconnect, phase: LifecyclePhase::Stopped, attempts: 0, failing_since: None, has_opened: false }
    }

    pub(super) const fn phase(&self) -> LifecyclePhase {
        self.phase
    }

    /// Whether any connection of this run was open.
    pub(super) const fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// Begins an attempt; returns its number, counted since a connection last was stable.
    pub(super) const fn connect(&mut self) -> u32 {
        self.phase = LifecyclePhase::Connecting;
        self.attempts = self.attempts.saturating_add(1);
        self.attempts
    }

    /// The attempt has succeeded.
    pub(super) const fn opened(&mut self, now: Instant) -> OpenEvent {
        self.phase = LifecyclePhase::Open { since: now };
        let opened = if self.has_opened { OpenEvent::Reconnected } else { OpenEvent::First };
        self.has_opened = true;
        opened
    }

    /// The attempt has failed, or the connection is over.
    pub(super) fn ended(&mut self, now: Instant, end: ConnectionEnd<'_>) -> NextStep {
        let uptime = match self.phase {
            LifecyclePhase::Open { since } => Some(now.saturating_duration_since(since)),
            LifecyclePhase::Connecting | LifecyclePhase::Backoff { .. } | LifecyclePhase::Stopped => None,
        };
        if end.is_healthy || uptime.is_some_and(|uptime| self.reconnect.is_stable(uptime)) {
            self.attempts = 0;
            self.failing_since = None;
        }
        let failing_for = now.saturating_duration_since(*self.failing_since.get_or_insert(now));
        let next = self.next(now, end, failing_for);
        self.phase = match next {
            NextStep::Retry { at, .. } => LifecyclePhase::Backoff { until: at },
            NextStep::Stop => LifecyclePhase::Stopped,
        };
        next
    }

    /// The application has ended the run.
    pub(super) const fn stop(&mut self) {
        self.phase = LifecyclePhase::Stopped;
    }

    fn next(&self, now: Instant, end: ConnectionEnd<'_>, failing_for: Duration) -> NextStep {
        let retry = if end.is_replaced { Retry::Soon } else { self.reconnect.retry(end.error) };
        let Some(delay) = self.reconnect.delay(retry, self.attempts, end.retry_after, end.entropy) else {
            return NextStep::Stop;
        };
        if self.reconnect.is_exhausted(self.attempts, failing_for.saturating_add(delay)) {
            return NextStep::Stop;
        }
        let at = now.checked_add(delay).or_else(|| now.checked_add(Self::FAR_AWAY));
        at.map_or(NextStep::Stop, |at| NextStep::Retry { delay, at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{CloseCause, CloseInfo, Phase};
    use crate::websocket::CloseCode;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn timeout() -> Error {
        Error::Timeout(Phase::Connect)
    }

    fn closed(cause: CloseCause) -> Error {
        Error::Closed(Box::new(CloseInfo::new(CloseCode::NORMAL, "", cause)))
    }

    /// What follows an end, with the longest delay that chance can give.
    fn end(lifecycle: &mut Lifecycle, now: Instant, error: &Error) -> NextStep {
        lifecycle.ended(
            now,
            ConnectionEnd { error, retry_after: None, is_healthy: false, is_replaced: false, entropy: u64::MAX },
        )
    }

    /// The seconds that an end is followed by.
    #[track_caller]
    fn seconds(next: NextStep) -> u64 {
        let NextStep::Retry { delay, .. } = next else { panic!("no further attempt") };
        delay.as_secs_f64().round() as u64
    }

    #[test]
    fn the_first_connection_opens_and_later_ones_reconnect() {
        let now = Instant::now();
        let mut lifecycle = Lifecycle::new(Reconnect::fixed(ms(5)));
        assert_eq!(lifecycle.connect(), 1);
        assert_eq!(end(&mut lifecycle, now, &timeout()), NextStep::Retry { delay: ms(5), at: now + ms(5) });
        assert_eq!(lifecycle.phase(), LifecyclePhase::Backoff { until: now + ms(5) });
        assert_eq!(lifecycle.connect(), 2);
        assert_eq!(lifecycle.opened(now), OpenEvent::First);
        end(&mut lifecycle, now, &timeout());
        lifecycle.connect();
        assert_eq!(lifecycle.opened(now), OpenEvent::Reconnected);
    }

    #[test]
    fn delays_grow_until_a_connection_was_stable() {
        let mut now = Instant::now();
        let mut lifecycle = Lifecycle::new(Reconnect::backoff());
        for expected in [1, 2, 4] {
            // It opens, and is dropped too soon.
            lifecycle.connect();
            lifecycle.opened(now);
            now += ms(9_999);
            assert_eq!(seconds(end(&mut lifecycle, now, &timeout())), expected);
        }
        lifecycle.connect();
        lifecycle.opened(now);
        now += ms(10_000);
        assert_eq!(seconds(end(&mut lifecycle, now, &timeout())), 1);
        assert_eq!(lifecycle.connect(), 1);
    }

    #[test]
    fn an_application_that_calls_a_connection_healthy_begins_anew() {
        let now = Instant::now();
        let mut lifecycle = Lifecycle::new(Reconnect::backoff());
        for _ in 0..5 {
            lifecycle.connect();
            end(&mut lifecycle, now, &timeout());
        }
        lifecycle.connect();
        lifecycle.opened(now);
        let error = timeout();
        let next = lifecycle.ended(
            now,
            ConnectionEnd { error: &error, retry_after: None, is_healthy: true, is_replaced: false, entropy: u64::MAX },
        );
        assert_eq!(seconds(next), 1);
    }

    #[test]
    fn attempts_and_time_have_an_end() {
        let now = Instant::now();
        let mut lifecycle = Lifecycle::new(Reconnect::fixed(ms(10)).max_attempts(3));
        for number in 1..=3 {
            assert_eq!(lifecycle.connect(), number);
            let next = end(&mut lifecycle, now, &timeout());
            assert_eq!(next == NextStep::Stop, number == 3, "{number}");
        }
        assert_eq!(lifecycle.phase(), LifecyclePhase::Stopped);

        let mut lifecycle = Lifecycle::new(Reconnect::fixed(ms(10)).max_elapsed(ms(25)));
        let ends = [0, 10, 20].map(|later| {
            lifecycle.connect();
            end(&mut lifecycle, now + ms(later), &timeout()) == NextStep::Stop
        });
        assert_eq!(ends, [false, false, true]);
    }

    /// The run waits until the application asks for another connection, or for the end.
    #[test]
    fn a_delay_that_the_clock_cannot_count_to_is_no_end() {
        let now = Instant::now();
        for reconnect in [Reconnect::fixed(Duration::MAX), Reconnect::backoff().cap(Duration::MAX)] {
            let mut lifecycle = Lifecycle::new(reconnect.retry_if(|_, _| Retry::Slowly));
            lifecycle.connect();
            let NextStep::Retry { delay, at } = end(&mut lifecycle, now, &timeout()) else { panic!("the end") };
            assert!(delay >= Duration::MAX / 2 && at > now + Duration::from_secs(50 * 365 * 24 * 3600), "{delay:?}");
        }
    }

    #[test]
    fn what_this_side_has_ended_stays_ended() {
        let causes = [
            (CloseCause::Local, false),
            (CloseCause::Unanswered, false),
            (CloseCause::Aborted, false),
            (CloseCause::Cancelled, false),
            (CloseCause::Remote, true),
            (CloseCause::PingTimeout, true),
            (CloseCause::TornFrame, true),
            (CloseCause::Lost(std::io::ErrorKind::ConnectionReset), true),
        ];
        for (cause, again) in causes {
            let mut lifecycle = Lifecycle::new(Reconnect::fixed(ms(1)).retry_if(|_, _| Retry::Soon));
            lifecycle.connect();
            assert_eq!(end(&mut lifecycle, Instant::now(), &closed(cause)) != NextStep::Stop, again, "{cause}");
        }
    }

    #[test]
    fn a_clean_close_may_be_the_end() {
        let ends = |reconnect, cause| {
            let mut lifecycle = Lifecycle::new(reconnect);
            lifecycle.connect();
            lifecycle.opened(Instant::now());
            end(&mut lifecycle, Instant::now(), &closed(cause)) == NextStep::Stop
        };
        let steady = || Reconnect::fixed(ms(1));
        assert!(!ends(steady(), CloseCause::Remote));
        assert!(ends(steady().stop_on_close(), CloseCause::Remote));
        assert!(!ends(steady().stop_on_close(), CloseCause::PingTimeout));
        assert!(ends(
            steady().retry_if(|error, default| if error.is_closed() { Retry::Never } else { default }),
            CloseCause::PingTimeout
        ));
        assert!(ends(Reconnect::never(), CloseCause::PingTimeout));
    }

    #[test]
    fn an_age_of_simulated_time_passes_in_a_moment() {
        let mut now = Instant::now();
        let mut lifecycle = Lifecycle::new(Reconnect::backoff());
        for round in 0..100_000u64 {
            lifecycle.connect();
            if round % 3 > 0 {
                lifecycle.opened(now);
                now += ms(round % 20_000);
            }
            let entropy = round.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let error = timeout();
            let next = lifecycle.ended(
                now,
                ConnectionEnd { error: &error, retry_after: None, is_healthy: false, is_replaced: false, entropy },
            );
            let NextStep::Retry { delay, at } = next else { panic!("round {round}") };
            assert!((ms(250)..=ms(60_000)).contains(&delay), "round {round}: {delay:?}");
            now = at;
        }
    }
}
