//! How long an operation may take.

use std::io;
use std::time::{Duration, Instant};

use crate::sync::now;

/// The moment by which an operation has to be over. It covers the whole operation, however many calls that takes.
///
/// Monotonic: setting the clock has no effect on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Deadline(When);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum When {
    Never,
    Now,
    At(Limit),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Limit {
    start: Instant,
    length: Duration,
}

impl Deadline {
    /// Never over.
    pub(crate) const NEVER: Self = Self(When::Never);
    /// Nothing is waited for: what can be done at once is done.
    pub(crate) const NOW: Self = Self(When::Now);

    /// See [`is_brief`](Self::is_brief).
    const BRIEF: Duration = Duration::from_millis(1);

    /// `length` from now; never without one, or with one that the clock cannot count to.
    pub(crate) fn after(length: Option<Duration>) -> Self {
        let Some(length) = length else { return Self::NEVER };
        let start = now();
        Self(start.checked_add(length).map_or(When::Never, |_| When::At(Limit { start, length })))
    }

    /// How much time is left: `None` for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when there is none.
    #[inline]
    pub(crate) fn remaining(self) -> io::Result<Option<Duration>> {
        match self.0 {
            When::Never => Ok(None),
            When::Now => Err(timed_out()),
            When::At(limit) => limit.remaining(limit.elapsed()).map(Some).ok_or_else(timed_out),
        }
    }

    /// Whether it is over.
    pub(crate) fn is_over(self) -> bool {
        self.has_passed(|length| length)
    }

    /// Whether half of the time has passed: enough to tell a wait that was a little too short from one that was none.
    pub(crate) fn is_half_over(self) -> bool {
        self.has_passed(|length| length / 2)
    }

    /// Whether it will never be over.
    pub(crate) const fn is_never(self) -> bool {
        matches!(self.0, When::Never)
    }

    /// Whether nothing may be waited for.
    pub(crate) const fn is_now(self) -> bool {
        matches!(self.0, When::Now)
    }

    /// Whether the whole time is so short that it may pass before what it is for has begun.
    pub(crate) const fn is_brief(self) -> bool {
        match self.0 {
            When::Never | When::Now => false,
            When::At(limit) => limit.length.as_nanos() <= Self::BRIEF.as_nanos(),
        }
    }

    /// The moment itself, if there is one to come or gone by; none for [`NOW`](Self::NOW) and [`NEVER`](Self::NEVER).
    #[inline]
    pub(crate) fn instant(self) -> Option<Instant> {
        match self.0 {
            When::Never | When::Now => None,
            When::At(limit) => Some(limit.end()),
        }
    }

    /// The earlier of the two.
    pub(crate) fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (When::Now, _) | (_, When::Now) => Self::NOW,
            (When::At(a), When::At(b)) if b.end() < a.end() => other,
            (When::Never, When::At(_)) => other,
            _ => self,
        }
    }

    fn has_passed(self, part: impl FnOnce(Duration) -> Duration) -> bool {
        match self.0 {
            When::Never => false,
            When::Now => true,
            When::At(limit) => limit.elapsed() >= part(limit.length),
        }
    }
}

impl Limit {
    fn end(self) -> Instant {
        self.start + self.length
    }

    fn elapsed(self) -> Duration {
        now().saturating_duration_since(self.start)
    }

    fn remaining(self, elapsed: Duration) -> Option<Duration> {
        self.length.checked_sub(elapsed).filter(|rest| !rest.is_zero())
    }
}

/// # Errors
///
/// [`io::ErrorKind::TimedOut`] when the moment has come, if there is one.
#[inline]
pub(super) fn check(end: Option<Instant>) -> io::Result<()> {
    if has_come(end) { Err(timed_out()) } else { Ok(()) }
}

/// Whether the moment has come; never, if there is none.
#[inline]
pub(super) fn has_come(end: Option<Instant>) -> bool {
    end.is_some_and(|end| now() >= end)
}

/// The error of everything here whose time is up. It allocates nothing.
#[cold]
pub(crate) fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// The error of what was cancelled. Whoever did that is told so by the opening.
#[cold]
pub(crate) fn cancelled() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Whether a call did not wait (EAGAIN), or no longer than its deadline. What the system itself calls ETIMEDOUT is another thing: it has
/// given the connection up, as the peer did not acknowledge or answer.
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => true,
        io::ErrorKind::TimedOut => error.raw_os_error().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_remains_is_exact_and_never_zero() {
        let limit = Limit { start: Instant::now(), length: 100 * MS };
        let cases = [(0, Some(100)), (15, Some(85)), (16, Some(84)), (99, Some(1)), (100, None), (101, None)];
        for (elapsed, expected) in cases {
            assert_eq!(limit.remaining(elapsed * MS), expected.map(|expected| expected * MS), "{elapsed} ms");
        }
        let nano = Duration::from_nanos(1);
        assert_eq!(limit.remaining(100 * MS - nano), Some(nano));
    }

    #[test]
    fn extremes_neither_panic_nor_wrap() {
        let endless = Deadline::after(Some(Duration::MAX));
        assert!(endless.is_never() && !endless.is_over() && !endless.is_half_over());
        assert_eq!(endless.remaining().unwrap(), None);
        for length in [Duration::ZERO, Duration::from_nanos(1)] {
            let deadline = Deadline::after(Some(length));
            std::thread::sleep(MS);
            assert!(deadline.is_over());
            assert_eq!(deadline.remaining().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(Deadline::after(None), Deadline::NEVER);
        let ages = Limit { start: Instant::now(), length: Duration::MAX };
        assert!(ages.remaining(Duration::from_secs(1 << 40)).is_some_and(|rest| rest > Duration::ZERO));
    }

    #[test]
    fn the_earlier_of_two_deadlines_is_found() {
        let (soon, late) = (Deadline::after(Some(MS)), Deadline::after(Some(1000 * MS)));
        for (a, b, expected) in [
            (soon, late, soon),
            (late, soon, soon),
            (Deadline::NEVER, late, late),
            (late, Deadline::NEVER, late),
            (Deadline::NOW, late, Deadline::NOW),
            (soon, Deadline::NOW, Deadline::NOW),
            (Deadline::NEVER, Deadline::NOW, Deadline::NOW),
        ] {
            assert_eq!(a.min(b), expected);
        }
        assert_eq!(Deadline::NEVER.min(Deadline::NEVER), Deadline::NEVER);
    }

    #[test]
    fn now_is_over_and_allows_no_wait() {
        assert!(Deadline::NOW.is_over() && Deadline::NOW.is_half_over() && !Deadline::NOW.is_never());
        assert_eq!(Deadline::NOW.remaining().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(Deadline::NOW.instant().is_none());
    }
}
