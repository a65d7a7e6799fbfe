//! Whether and when a connection is made again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::callbacks::log_error;
use super::facts::AppError;
use crate::error::{CloseCause, Error, Retry};
use crate::options::Hook;

/// Whether and when a lost connection is made again.
///
/// Every failure is followed by another attempt, except where only this side could change something. [`Error::retry`] decides:
///
/// | what has failed | error | tried again | called |
/// |---|---|---|---|
/// | the name, the network, time | [`Address`](Error::Address), [`Io`](Error::Io), [`Timeout`](Error::Timeout) | soon | `on_error` |
/// | the connection was lost, a ping not answered, a message not finished | [`Closed`](Error::Closed) | soon | `on_error`, `on_close` |
/// | the server closed, with whatever code | [`Closed`](Error::Closed) | soon | `on_close`; inside of [`connect_with`](crate::WebSocketApp::connect_with) `on_error` |
/// | a rule was broken | [`Handshake`](Error::Handshake), [`Protocol`](Error::Protocol) | soon | `on_error`; if it was open, `on_close` |
/// | a redirect, a status but those below | [`Redirect`](Error::Redirect), [`Refused`](Error::Refused) | soon | `on_error` |
/// | the status 400, 401, 403, 404, 407 or 410 | [`Refused`](Error::Refused) | slowly | `on_error` |
/// | a gateway in trouble: no TLS, or its `internal_error` | [`Tls`](Error::Tls) | soon | `on_error` |
/// | a certificate, a pin, all else of TLS | [`Tls`](Error::Tls) | slowly | `on_error` |
/// | the proxy was not reached, was overloaded, or broke a rule | [`Proxy`](Error::Proxy) | soon | `on_error` |
/// | the proxy refused | [`Proxy`](Error::Proxy) | slowly | `on_error` |
/// | the function given to `connect_with`, a [`header_provider`](crate::ConnectOptions::header_provider) | [`Other`](Error::Other), [`Full`](Error::Full) | soon | `on_error` |
/// | a message that is not the JSON that the function given to `connect_with` expected | `Json` (feature `json`) | soon | `on_error` |
/// | an invalid URL or proxy URL, option, call or cookie, an address that the system does not support | [`Url`](Error::Url), [`Options`](Error::Options), [`Usage`](Error::Usage), [`Cookie`](Error::Cookie), [`Proxy`](Error::Proxy), [`Io`](Error::Io) | never | `on_error`, `on_close` |
/// | this side has ended it | [`Closed`](Error::Closed) | never | `on_close` |
///
/// *Soon* is the delay of the [back-off](Self::backoff), or the [fixed](Self::fixed) one. *Slowly* is a delay between half the
/// [cap](Self::cap) and the cap, drawn at random, or the longer of the fixed one and 60 s. What the server or the proxy says with
/// `Retry-After` is waited for instead, up to the cap. At the end of a run that never had a connection, `on_close` is called in any case.
/// [`stop_on_refusal`](Self::stop_on_refusal), [`stop_on_close`](Self::stop_on_close) and [`retry_if`](Self::retry_if) decide
/// otherwise.
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
    stops_on_refusal: bool,
    retry_if: Option<Hook<Predicate>>,
}

type Predicate = dyn Fn(&Error, Retry) -> Retry + Send + Sync;

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Delays {
    Never,
    Fixed(Duration),
    Backoff { base: Duration, factor: f64, floor: Option<Duration> },
}

/// The shortest delay of a back-off by default, but never longer than its cap.
const FLOOR: Duration = Duration::from_millis(250);

/// The shortest of the fixed delays after what only somebody else can mend.
const SLOW: Duration = Duration::from_secs(60);

impl Reconnect {
    /// Not at all: the run ends with its first connection, or with the attempt to make it. The default of an app.
    pub fn never() -> Self {
        Self::with(Delays::Never)
    }

    /// After the same delay each time; zero stands for never, as in websocket-client. Where many clients may lose the same server,
    /// [`backoff`](Self::backoff) is the better choice.
    pub fn fixed(delay: Duration) -> Self {
        Self::with(if delay.is_zero() { Delays::Never } else { Delays::Fixed(delay) })
    }

    /// After a delay that is drawn at random below an upper bound, which doubles with each attempt ("full jitter").
    ///
    /// Defaults: [`base`](Self::base) 1 s, [`factor`](Self::factor) 2, [`cap`](Self::cap) 60 s, [`floor`](Self::floor) 250 ms.
    pub fn backoff() -> Self {
        Self::with(Delays::Backoff { base: Duration::from_secs(1), factor: 2.0, floor: None })
    }

    /// Upper bound of the first delay of a back-off, which is drawn at random below it, but not below the [floor](Self::floor).
    ///
    /// Default: 1 s.
    pub fn base(mut self, longest_first: Duration) -> Self {
        if let Delays::Backoff { base, .. } = &mut self.delays {
            *base = longest_first;
        }
        self
    }

    /// By what factor the upper bound of the delay grows with each attempt of a back-off. Less than 1, and NaN, is taken for 1.
    ///
    /// Default: 2.
    pub fn factor(mut self, growth: f64) -> Self {
        if let Delays::Backoff { factor, .. } = &mut self.delays {
            *factor = growth.max(1.0);
        }
        self
    }

    /// Upper bound of all delays of a back-off, unless the [floor](Self::floor) is longer; and of a `Retry-After` that is heeded, to which
    /// a back-off adds its delay.
    ///
    /// Default: 60 s.
    pub fn cap(mut self, longest: Duration) -> Self {
        self.cap = longest;
        self
    }

    /// Lower bound of all delays of a back-off, even where the [base](Self::base) or the [cap](Self::cap) is shorter.
    ///
    /// Default: 250 ms, or the cap where that is shorter.
    pub fn floor(mut self, shortest: Duration) -> Self {
        if let Delays::Backoff { floor, .. } = &mut self.delays {
            *floor = Some(shortest);
        }
        self
    }

    /// How long a connection has to last until it counts as stable: then attempts and delays count from the beginning when it is lost. A
    /// server that accepts and drops at once is thus tried again after ever longer delays.
    /// [`Handle::mark_healthy`](crate::Handle::mark_healthy) makes a connection count as stable at once.
    ///
    /// Default: 10 s.
    pub fn stable_after(mut self, uptime: Duration) -> Self {
        self.stable_after = uptime;
        self
    }

    /// How many attempts may follow each other without a [stable](Self::stable_after) connection, the first one included. Then the run ends
    /// with the last error, or with `Ok` where the last connection was closed cleanly. 1 makes no second attempt before a connection was
    /// stable; 0 makes none after that either, as [`never`](Self::never) does.
    ///
    /// Default: any number.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = Some(attempts);
        self
    }

    /// For how long attempts may go on without a [stable](Self::stable_after) connection, counted from the first failure. The run ends, as
    /// with [`max_attempts`](Self::max_attempts), when the next attempt would come later than that.
    ///
    /// Default: for ever.
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.max_elapsed = Some(time);
        self
    }

    /// A Close of the server, with whatever code, ends the run.
    ///
    /// Default: another attempt follows, as in websocket-client.
    pub fn stop_on_close(mut self) -> Self {
        self.stops_on_close = true;
        self
    }

    /// A failure that is tried again *slowly* in the table [above](Self) ends the run: certain HTTP statuses, a certificate that is not
    /// trusted, a refusal by the proxy.
    ///
    /// Default: another attempt follows, since somebody else may mend it.
    pub fn stop_on_refusal(mut self) -> Self {
        self.stops_on_refusal = true;
        self
    }

    /// A function that decides whether and how soon an attempt follows a failure. It is given the failure, and what would be decided
    /// without it; a clean close by the peer comes as [`Error::Closed`]. [`max_attempts`](Self::max_attempts) and
    /// [`max_elapsed`](Self::max_elapsed) hold all the same, and it is not asked where this side has ended the connection.
    ///
    /// Default: as in the table [above](Self); so it is, too, where the function panics, which is logged.
    ///
    /// ```
    /// use websocket_sync::{Error, Reconnect, Retry};
    ///
    /// // A gateway that says 403 while it starts, and a server that closes with 4001 those whom it does not want.
    /// let reconnect = Reconnect::backoff().retry_if(|error, default| match error {
    ///     Error::Refused(refusal) if refusal.status == 403 => Retry::Soon,
    ///     Error::Closed(info) if info.code.0 == 4001 => Retry::Never,
    ///     _ => default,
    /// });
    /// ```
    pub fn retry_if(mut self, predicate: impl Fn(&Error, Retry) -> Retry + Send + Sync + 'static) -> Self {
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
            stops_on_refusal: false,
            retry_if: None,
        }
    }

    /// Whether another attempt may follow this end, and how soon.
    pub(super) fn retry(&self, error: &Error) -> Retry {
        let is_ended_here = error.close_info().is_some_and(|info| !info.is_retryable());
        if self.delays == Delays::Never || is_ended_here {
            return Retry::Never;
        }
        let default = self.default_for(error);
        let Some(predicate) = &self.retry_if else { return default };
        catch_unwind(AssertUnwindSafe(|| (predicate.0)(error, default))).unwrap_or_else(|payload| {
            log_error(&Error::other(AppError::panicked("retry_if", &*payload)));
            default
        })
    }

    fn default_for(&self, error: &Error) -> Retry {
        match error.retry() {
            Retry::Slowly if self.stops_on_refusal => Retry::Never,
            _ if self.stops_on_close && is_close_of_peer(error) => Retry::Never,
            retry => retry,
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

    /// How long to wait after so many attempts in a row; `None` for ever. `entropy` is any number, drawn anew each time.
    pub(super) fn delay(
        &self,
        retry: Retry,
        attempts: u32,
        retry_after: Option<Duration>,
        entropy: u64,
    ) -> Option<Duration> {
        // What the server asks for is more than a guess.
        let is_slow = match retry {
            Retry::Never => return None,
            Retry::Slowly => retry_after.is_none(),
            Retry::Soon => false,
        };
        let (shortest, longest) = match self.delays {
            Delays::Never => return None,
            Delays::Fixed(delay) if is_slow => (delay.max(SLOW), delay.max(SLOW)),
            Delays::Fixed(delay) => (delay, delay),
            Delays::Backoff { base, factor, floor } => {
                let floor = floor.unwrap_or_else(|| FLOOR.min(self.cap));
                let (low, high) =
                    if is_slow { (self.cap / 2, self.cap) } else { (floor, self.ceiling(base, factor, attempts)) };
                (low.max(floor), high.max(floor))
            }
        };
        let share = (entropy >> 11) as f64 / (1u64 << 53) as f64;
        let drawn = shortest + (longest - shortest).mul_f64(share);
        Some(match (retry_after, self.delays) {
            (None, _) => drawn,
            (Some(asked), Delays::Fixed(_)) => drawn.max(asked.min(self.cap)),
            // All who were told the same time must not come back together.
            (Some(asked), _) => asked.min(self.cap).saturating_add(drawn),
        })
    }

    /// The longest delay of a back-off after so many attempts.
    fn ceiling(&self, base: Duration, factor: f64, attempts: u32) -> Duration {
        if base.is_zero() {
            return Duration::ZERO;
        }
        let exponent = i32::try_from(attempts.saturating_sub(1)).unwrap_or(i32::MAX);
        let ceiling = Duration::try_from_secs_f64(base.as_secs_f64() * factor.powi(exponent));
        ceiling.map_or(self.cap, |ceiling| ceiling.min(self.cap))
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self::never()
    }
}

/// Whether the peer closed, with a Close frame.
fn is_close_of_peer(error: &Error) -> bool {
    error.close_info().is_some_and(|info| info.cause == CloseCause::Remote)
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
    use crate::error::{CloseInfo, TlsErrorKind};
    use crate::websocket::CloseCode;

    const HALF: u64 = u64::MAX / 2;

    /// How long it waits after something that may work the next time.
    fn delay(reconnect: &Reconnect, attempts: u32, retry_after: Option<Duration>, entropy: u64) -> Duration {
        reconnect.delay(Retry::Soon, attempts, retry_after, entropy).unwrap()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_back_off_doubles_up_to_its_cap_and_never_falls_below_its_floor() {
        let backoff = Reconnect::backoff();
        let longest = |attempts| delay(&backoff, attempts, None, u64::MAX).as_secs_f64();
        for (attempts, seconds) in [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (6, 32.0), (7, 60.0), (u32::MAX, 60.0)] {
            assert!((longest(attempts) - seconds).abs() < 1e-6, "{attempts}: {}", longest(attempts));
            assert_eq!(delay(&backoff, attempts, None, 0), ms(250), "{attempts}");
        }
        let middle = delay(&backoff, 2, None, HALF).as_secs_f64();
        assert!((middle - 1.125).abs() < 1e-6, "{middle}");
    }

    #[test]
    fn odd_settings_give_delays_all_the_same() {
        for factor in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            let backoff = Reconnect::backoff().factor(factor);
            assert!(delay(&backoff, 5, None, HALF) <= ms(60_000), "{factor}");
        }
        let huge = Reconnect::backoff().base(Duration::MAX).cap(Duration::MAX).floor(Duration::MAX);
        assert!(delay(&huge, 3, Some(Duration::MAX), u64::MAX) > ms(1));
        assert!(delay(&Reconnect::backoff().cap(ms(10)), 9, None, u64::MAX) <= ms(10));
    }

    #[test]
    fn no_delay_of_a_back_off_is_shorter_than_its_floor() {
        for base in [ms(0), ms(20), ms(200), ms(400)] {
            let backoff = Reconnect::backoff().base(base).floor(ms(200));
            for attempts in 1..10 {
                for entropy in [0, HALF, u64::MAX] {
                    let delay = delay(&backoff, attempts, None, entropy);
                    assert!(delay >= ms(200), "{base:?}, {attempts}: {delay:?}");
                }
            }
        }
        for attempts in [1, 2, 1_000, 1_025, 1_026, u32::MAX] {
            let delay = delay(&Reconnect::backoff().base(ms(0)), attempts, None, u64::MAX);
            assert_eq!(delay, ms(250), "{attempts}");
        }
        assert_eq!(delay(&Reconnect::backoff().floor(ms(200)).cap(ms(100)), 9, None, HALF), ms(200));
    }

    #[test]
    fn certificates_are_tried_again_slowly_and_a_gateway_in_trouble_soon() {
        let retry = |kind| {
            let error = crate::error::TlsError { host: String::new(), kind, problem: "a test".into() };
            Reconnect::backoff().retry(&Error::Tls(Box::new(error)))
        };
        for kind in [TlsErrorKind::NotTls, TlsErrorKind::Alert(80)] {
            assert_eq!(retry(kind), Retry::Soon, "{kind:?}");
        }
        for kind in [TlsErrorKind::Expired, TlsErrorKind::PinMismatch, TlsErrorKind::Alert(116), TlsErrorKind::Other] {
            assert_eq!(retry(kind), Retry::Slowly, "{kind:?}");
        }
    }

    #[test]
    fn slowly_is_the_upper_half_of_the_cap_or_a_minute_unless_the_server_says_when() {
        let slowly = |reconnect: &Reconnect, retry_after, entropy| {
            reconnect.delay(Retry::Slowly, 1, retry_after, entropy).unwrap()
        };
        let backoff = Reconnect::backoff().cap(ms(20_000));
        assert_eq!(slowly(&backoff, None, 0), ms(10_000));
        assert!(slowly(&backoff, None, u64::MAX) > ms(19_999));
        assert_eq!(slowly(&backoff, Some(ms(3000)), 0), ms(3250));
        assert_eq!(slowly(&backoff, Some(ms(90_000)), 0), ms(20_250));
        assert_eq!(slowly(&backoff.floor(ms(30_000)), None, HALF), ms(30_000));
        assert_eq!(slowly(&Reconnect::fixed(ms(5)), None, HALF), ms(60_000));
        assert_eq!(slowly(&Reconnect::fixed(ms(90_000)), None, HALF), ms(90_000));
        assert_eq!(slowly(&Reconnect::fixed(ms(5)), Some(ms(3000)), HALF), ms(3000));
    }

    #[test]
    fn the_predicate_is_handed_the_default_and_has_the_last_word_but_for_what_is_ended_here() {
        let closed = |cause| Error::Closed(Box::new(CloseInfo::new(CloseCode(4001), "", cause)));
        let all = [
            Error::Timeout(crate::error::Phase::Connect),
            Error::Usage(crate::protocol::LocalProtocolError::AfterClose),
            closed(CloseCause::Remote),
            closed(CloseCause::TornFrame),
        ];
        for strict in [Reconnect::backoff(), Reconnect::backoff().stop_on_close().stop_on_refusal()] {
            for error in &all {
                let unchanged = strict.clone().retry_if(|_, default| default);
                assert_eq!(unchanged.retry(error), strict.retry(error), "{error:?}");
                assert_eq!(strict.clone().retry_if(|_, _| Retry::Slowly).retry(error), Retry::Slowly, "{error:?}");
            }
            assert_eq!(strict.retry_if(|_, _| Retry::Soon).retry(&closed(CloseCause::Local)), Retry::Never);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_waited_for_within_the_cap() {
        let fixed = Reconnect::fixed(ms(5000));
        assert_eq!(delay(&fixed, 7, None, HALF), ms(5000));
        assert_eq!(delay(&fixed, 7, Some(ms(1000)), HALF), ms(5000));
        assert_eq!(delay(&fixed, 7, Some(ms(9000)), HALF), ms(9000));
        assert_eq!(delay(&fixed, 7, Some(ms(999_000)), HALF), ms(60_000));
        let backoff = Reconnect::backoff();
        assert_eq!(delay(&backoff, 1, Some(ms(9000)), 0), ms(9250));
        assert_eq!(delay(&backoff, 1, Some(ms(999_000)), 0), ms(60_250));
    }

    #[test]
    fn a_delay_of_zero_is_never() {
        assert_eq!(Reconnect::fixed(Duration::ZERO).delays, Delays::Never);
    }
}
