//! Whether and when a connection is made again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::error::AppError;
use super::handler::log_error;
use crate::error::{CloseCause, Error, TlsErrorKind};
use crate::options::Hook;

/// Whether and when a lost connection is made again.
///
/// Every failure is followed by another attempt, except where that is of no use: the statuses 400, 401, 403, 404 and 410, a failed
/// TLS handshake (but for a gateway in trouble, which answers in clear text or with an `internal_error`), a proxy that refuses for good,
/// a URL or an option that cannot be meant, and whatever this side has ended. What the server says with `Retry-After` is waited for,
/// up to the [cap](Self::cap). [`retry_if`](Self::retry_if) decides otherwise.
///
/// ```
/// use std::time::Duration;
/// use websocket_sync::Reconnect;
///
/// let patient = Reconnect::backoff().base(Duration::from_secs(2)).cap(Duration::from_secs(300)).max_attempts(20);
/// let steady = Reconnect::fixed(Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "reconnect")]
#[must_use]
pub struct Reconnect {
    delays: Delays,
    cap: Duration,
    stable_after: Duration,
    max_attempts: Option<u32>,
    max_elapsed: Option<Duration>,
    stops_on_close: bool,
    retry_if: Option<Hook<Predicate>>,
}

type Predicate = dyn Fn(&Error) -> bool + Send + Sync;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Delays {
    Never,
    Fixed(Duration),
    Backoff { base: Duration, factor: f64, floor: Option<Duration> },
}

/// The shortest delay of a back-off by default, but never longer than its cap.
const FLOOR: Duration = Duration::from_millis(250);

/// Statuses that another attempt will not change.
const FATAL: [u16; 5] = [400, 401, 403, 404, 410];

impl Reconnect {
    /// Not at all: the run ends with its first connection. The default of an app.
    pub fn never() -> Self {
        Self::with(Delays::Never)
    }

    /// After the same time each time; never for zero, as in websocket-client. Where many clients may lose the same server,
    /// [`backoff`](Self::backoff) is the better choice.
    pub fn fixed(delay: Duration) -> Self {
        Self::with(if delay.is_zero() { Delays::Never } else { Delays::Fixed(delay) })
    }

    /// After a time that doubles with each attempt, and of which each client draws its share at random ("full jitter").
    ///
    /// Defaults: [`base`](Self::base) 1 s, [`factor`](Self::factor) 2, [`cap`](Self::cap) 60 s, [`floor`](Self::floor) 250 ms.
    pub fn backoff() -> Self {
        Self::with(Delays::Backoff { base: Duration::from_secs(1), factor: 2.0, floor: None })
    }

    /// The longest that the first delay of a back-off can be, unless the [floor](Self::floor) is longer.
    ///
    /// Default: 1 s.
    pub fn base(mut self, longest_first: Duration) -> Self {
        if let Delays::Backoff { base, .. } = &mut self.delays {
            *base = longest_first;
        }
        self
    }

    /// By how much the longest delay of a back-off grows with each attempt. Less than 1, or no number, is taken for 1.
    ///
    /// Default: 2.
    pub fn factor(mut self, growth: f64) -> Self {
        if let Delays::Backoff { factor, .. } = &mut self.delays {
            *factor = growth.max(1.0);
        }
        self
    }

    /// The longest that any delay of a back-off can be, and the longest `Retry-After` that is honoured.
    ///
    /// Default: 60 s.
    pub fn cap(mut self, longest: Duration) -> Self {
        self.cap = longest;
        self
    }

    /// The shortest that any delay of a back-off can be, even where the [base](Self::base) or the [cap](Self::cap) is shorter.
    ///
    /// Default: 250 ms, or the cap where that is shorter.
    pub fn floor(mut self, shortest: Duration) -> Self {
        if let Delays::Backoff { floor, .. } = &mut self.delays {
            *floor = Some(shortest);
        }
        self
    }

    /// How long a connection has to stand until the count of attempts begins anew. A server that accepts and drops at once thus
    /// meets ever longer delays. [`Handle::mark_healthy`](crate::Handle::mark_healthy) does the same at once.
    ///
    /// Default: 10 s.
    pub fn stable_after(mut self, uptime: Duration) -> Self {
        self.stable_after = uptime;
        self
    }

    /// How many attempts may follow each other without a stable connection; then the run ends with the last error.
    ///
    /// Default: any number.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// How long attempts may go on without a stable connection; then the run ends with the last error.
    ///
    /// Default: for ever.
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.max_elapsed = Some(time);
        self
    }

    /// A peer that closes cleanly, with whatever code, ends the run.
    ///
    /// Default: it is connected to again, as by websocket-client.
    pub fn stop_on_close(mut self) -> Self {
        self.stops_on_close = true;
        self
    }

    /// Decides which failures another attempt may follow; a clean close by the peer is asked about as
    /// [`Error::Closed`]. Limits of attempts and time hold all the same, and what this side has ended stays ended.
    ///
    /// Default: as described [above](Self), and so where the predicate panics, which is logged.
    ///
    /// ```
    /// use websocket_sync::{Error, Reconnect};
    ///
    /// // A gateway that says 403 while it starts.
    /// let reconnect = Reconnect::backoff().retry_if(|error| match error {
    ///     Error::Refused(refusal) => refusal.status == 403 || refusal.status >= 500,
    ///     other => other.is_retryable(),
    /// });
    /// ```
    pub fn retry_if(mut self, predicate: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.retry_if = Some(Hook(Arc::new(predicate)));
        self
    }

    const fn with(delays: Delays) -> Self {
        Self {
            delays,
            cap: Duration::from_secs(60),
            stable_after: Duration::from_secs(10),
            max_attempts: None,
            max_elapsed: None,
            stops_on_close: false,
            retry_if: None,
        }
    }

    /// Whether another attempt may follow this end.
    pub(super) fn allows(&self, error: &Error) -> bool {
        if self.delays == Delays::Never || error.close_info().is_some_and(|info| is_ours(info.cause)) {
            return false;
        }
        match &self.retry_if {
            Some(predicate) => catch_unwind(AssertUnwindSafe(|| (predicate.0)(error))).unwrap_or_else(|payload| {
                log_error(&Error::other(AppError::panicked("retry_if", &*payload)));
                self.retries(error)
            }),
            None => self.retries(error),
        }
    }

    fn retries(&self, error: &Error) -> bool {
        match error {
            Error::Refused(refusal) => !FATAL.contains(&refusal.status),
            Error::Cookie(_) | Error::Options(_) | Error::Url(_) | Error::Usage(_) => false,
            Error::Tls(error) => passes(error.kind),
            Error::Proxy(error) => error.is_retryable(),
            Error::Closed(info) => !(info.cause == CloseCause::Remote && self.stops_on_close),
            Error::Address(_)
            | Error::Full
            | Error::Handshake(_)
            | Error::Io { .. }
            | Error::Other(_)
            | Error::Protocol(_)
            | Error::Redirect(_)
            | Error::Timeout(_) => true,
        }
    }

    /// Whether so many attempts in a row, over so long a time, are enough.
    pub(super) fn is_exhausted(&self, attempts: u32, elapsed: Duration) -> bool {
        self.max_attempts.is_some_and(|most| attempts >= most)
            || self.max_elapsed.is_some_and(|longest| elapsed > longest)
    }

    /// Whether a connection that stood for so long counts as one that works.
    pub(super) fn is_stable(&self, uptime: Duration) -> bool {
        uptime >= self.stable_after
    }

    /// How long to wait after so many attempts in a row. `entropy` is any number, drawn anew each time.
    pub(super) fn delay(&self, attempts: u32, retry_after: Option<Duration>, entropy: u64) -> Duration {
        let (floor, ceiling) = match self.delays {
            Delays::Never => return Duration::MAX,
            Delays::Fixed(delay) => (delay, delay),
            Delays::Backoff { base, factor, floor } => {
                let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
                let ceiling = Duration::try_from_secs_f64(base.as_secs_f64() * factor.powi(exponent));
                let ceiling = ceiling.map_or(self.cap, |ceiling| ceiling.min(self.cap));
                let floor = floor.unwrap_or_else(|| FLOOR.min(self.cap));
                (floor, ceiling.max(floor))
            }
        };
        let share = (entropy >> 11) as f64 / (1u64 << 53) as f64;
        let drawn = floor + (ceiling - floor).mul_f64(share);
        match (retry_after, self.delays) {
            (None, _) => drawn,
            (Some(asked), Delays::Fixed(_)) => drawn.max(asked.min(self.cap)),
            // All who were told the same time must not come back together.
            (Some(asked), _) => asked.min(self.cap).saturating_add(drawn),
        }
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::never()
    }
}

/// Whether TLS may succeed the next time without anything being changed: a gateway that has lost its server answers in clear text,
/// or with an `internal_error` (RFC 8446, section 6.2).
const fn passes(failure: TlsErrorKind) -> bool {
    matches!(failure, TlsErrorKind::NotTls | TlsErrorKind::Alert(80))
}

/// Whether this side has ended it, or it was never there.
const fn is_ours(cause: CloseCause) -> bool {
    matches!(
        cause,
        CloseCause::Local
            | CloseCause::Aborted
            | CloseCause::Unanswered
            | CloseCause::Cancelled
            | CloseCause::NotConnected
    )
}

static DEFAULT: RwLock<Option<Reconnect>> = RwLock::new(None);

/// Sets when apps connect again that do not say so themselves; `None` for never. It holds for every run in the process that
/// begins from now on, so it is for programs and not for libraries.
///
/// ```
/// use std::time::Duration;
/// use websocket_sync::{Reconnect, set_reconnect};
///
/// set_reconnect(Some(Reconnect::fixed(Duration::from_secs(5))));
/// # set_reconnect(None);
/// ```
#[doc(alias = "setReconnect")]
pub fn set_reconnect(reconnect: Option<Reconnect>) {
    *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = reconnect;
}

pub(super) fn default_reconnect() -> Reconnect {
    DEFAULT.read().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = u64::MAX / 2;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_back_off_doubles_up_to_its_cap_and_never_falls_below_its_floor() {
        let backoff = Reconnect::backoff();
        let longest = |attempts| backoff.delay(attempts, None, u64::MAX).as_secs_f64();
        for (attempts, seconds) in [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (u32::MAX, 60.0)] {
            assert!((longest(attempts) - seconds).abs() < 1e-6, "{attempts}: {}", longest(attempts));
            assert_eq!(backoff.delay(attempts, None, 0), ms(250), "{attempts}");
        }
        let middle = backoff.delay(2, None, HALF).as_secs_f64();
        assert!((middle - 1.125).abs() < 1e-6, "{middle}");
    }

    #[test]
    fn odd_settings_give_delays_all_the_same() {
        for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let backoff = Reconnect::backoff().factor(factor);
            assert!(backoff.delay(5, None, HALF) <= ms(60_000), "{factor}");
        }
        let huge = Reconnect::backoff().base(Duration::MAX).cap(Duration::MAX).floor(Duration::MAX);
        assert!(huge.delay(3, Some(Duration::MAX), u64::MAX) > ms(1));
        assert!(Reconnect::backoff().cap(ms(10)).delay(9, None, u64::MAX) <= ms(10));
    }

    #[test]
    fn no_delay_of_a_back_off_is_shorter_than_its_floor() {
        for base in [ms(0), ms(20), ms(200), ms(400)] {
            let backoff = Reconnect::backoff().base(base).floor(ms(200));
            for attempts in 1..10 {
                for entropy in [0, HALF, u64::MAX] {
                    let delay = backoff.delay(attempts, None, entropy);
                    assert!(delay >= ms(200), "{base:?}, {attempts}: {delay:?}");
                }
            }
        }
        assert_eq!(Reconnect::backoff().base(ms(0)).delay(1, None, u64::MAX), ms(250));
        assert_eq!(Reconnect::backoff().floor(ms(200)).cap(ms(100)).delay(9, None, HALF), ms(200));
    }

    #[test]
    fn certificates_are_not_tried_again_and_a_gateway_in_trouble_is() {
        for kind in [TlsErrorKind::NotTls, TlsErrorKind::Alert(80)] {
            assert!(passes(kind), "{kind:?}");
        }
        let fatal = [TlsErrorKind::Expired, TlsErrorKind::PinMismatch, TlsErrorKind::Alert(116), TlsErrorKind::Other];
        assert!(fatal.into_iter().all(|kind| !passes(kind)));
    }

    #[test]
    fn what_the_server_asks_for_is_waited_for_within_the_cap() {
        let fixed = Reconnect::fixed(ms(5000));
        assert_eq!(fixed.delay(7, None, HALF), ms(5000));
        assert_eq!(fixed.delay(7, Some(ms(1000)), HALF), ms(5000));
        assert_eq!(fixed.delay(7, Some(ms(9000)), HALF), ms(9000));
        assert_eq!(fixed.delay(7, Some(ms(999_000)), HALF), ms(60_000));
        let backoff = Reconnect::backoff();
        assert_eq!(backoff.delay(1, Some(ms(9000)), 0), ms(9250));
        assert_eq!(backoff.delay(1, Some(ms(999_000)), 0), ms(60_250));
    }

    #[test]
    fn a_delay_of_zero_is_never() {
        assert_eq!(Reconnect::fixed(Duration::ZERO).delays, Delays::Never);
    }
}
