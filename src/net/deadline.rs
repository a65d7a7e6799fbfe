//! How long an operation may take.

use std::io;
use std::time::{Duration, Instant};

use rustix::event::Timespec;

use crate::sync::now;

/// What remains of a deadline is rounded up to steps of so many milliseconds, so that the timeout of a socket changes
/// seldom. An operation may last longer than it should by as much.
const STEP: u64 = 16;

/// The kernel counts the timeouts of sockets on a coarse clock: on Linux they may be late by an eighth of their length. A
/// wait longer than this is therefore cut short by as much, and the rest of it waited for afterwards.
const EXACT: Duration = Duration::from_millis(500);

/// The longest wait that `poll` takes everywhere: macOS and Windows count it in milliseconds, in an `int`.
const LONGEST_POLL: Duration = Duration::from_millis(i32::MAX as u64);

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
    /// Over already: what is at hand is taken, and nothing is waited for.
    pub(crate) const NOW: Self = Self(When::Now);

    /// `length` from now; never without one, or with one that the clock cannot count to.
    pub(crate) fn after(length: Option<Duration>) -> Self {
        let Some(length) = length else { return Self::NEVER };
        let start = now();
        Self(start.checked_add(length).map_or(When::Never, |_| When::At(Limit { start, length })))
    }

    /// How long a system call may wait: `None` for as long as it takes.
    ///
    /// Asked right after [`after`](Self::after) this is the very duration given there, later it shrinks in steps of 16
    /// ms.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline is over.
    #[inline]
    pub(crate) fn wait(self) -> io::Result<Option<Duration>> {
        match self.0 {
            When::Never => Ok(None),
            When::Now => Err(timed_out()),
            When::At(limit) => limit.wait(limit.elapsed()).map(Some).ok_or_else(timed_out),
        }
    }

    /// Whether there is time for another wait, after one that was [`cut_short`] has passed in vain. Not so when it did not
    /// last as long as it should have: who does not wait must not be asked in a loop.
    #[cold]
    pub(crate) fn goes_on(self, waited: Option<Duration>) -> bool {
        let (When::At(limit), Some(waited)) = (self.0, waited) else { return false };
        let rest = limit.length.saturating_sub(limit.elapsed());
        !rest.is_zero() && rest < waited / 4
    }

    /// Whether it is over.
    pub(crate) fn is_over(self) -> bool {
        self.has_passed(|length| length)
    }

    /// Whether half of the time has passed.
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

    /// The moment itself, if there is one to come or gone by.
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

    /// What remains after `elapsed`, rounded up; `None` when nothing does.
    fn wait(self, elapsed: Duration) -> Option<Duration> {
        if elapsed >= self.length {
            return None;
        }
        let millis = u64::try_from(elapsed.as_millis()).ok()?;
        Some(self.length - Duration::from_millis(millis - millis % STEP))
    }
}

/// How long sending may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Patience {
    /// When the whole operation has to be over.
    pub(crate) total: Deadline,
    /// How long the operation may go without a single byte leaving.
    pub(crate) stall: Option<Duration>,
}

impl Patience {
    /// As long as bytes go on leaving: at most `stall` from one to the next.
    pub(crate) const fn while_moving(stall: Duration) -> Self {
        Self { total: Deadline::NEVER, stall: Some(stall) }
    }

    /// Until the deadline, whether bytes leave or not.
    pub(crate) const fn until(total: Deadline) -> Self {
        Self { total, stall: None }
    }

    /// How long one system call may wait for the next byte to leave: `None` for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline of the whole is over.
    #[inline]
    pub(crate) fn wait(self) -> io::Result<Option<Duration>> {
        Ok(match (self.total.wait()?, self.stall) {
            (Some(total), Some(stall)) => Some(total.min(stall)),
            (total, stall) => total.or(stall),
        })
    }
}

/// For how long a socket is to wait, so that it waits for no longer than this.
#[inline]
pub(crate) fn cut_short(wait: Option<Duration>) -> Option<Duration> {
    wait.map(|wait| if wait > EXACT { wait - wait / 8 } else { wait })
}

/// For how long `poll` is to wait; `None` for as long as it takes. One that is longer than every system can count ends early, in some
/// weeks.
pub(crate) fn poll_timeout(wait: Option<Duration>) -> Option<Timespec> {
    let wait = wait.filter(|wait| *wait != Duration::MAX)?;
    Timespec::try_from(wait.min(LONGEST_POLL)).ok()
}

/// The error of everything here whose time is up. It allocates nothing.
#[cold]
pub(crate) fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
}

/// Whether a wait was too long, in the words of any system: Unix calls that `WouldBlock`, Windows `TimedOut`. Where a Unix
/// itself says `TimedOut`, it has given the connection up, as the peer did not acknowledge or answer (`ETIMEDOUT`).
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => true,
        io::ErrorKind::TimedOut => cfg!(not(unix)) || error.raw_os_error().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_fresh_deadline_waits_for_exactly_what_it_was_given() {
        for length in [Duration::from_nanos(30_000_000_001), 3 * MS * 1000, Duration::from_secs(u64::MAX / 4)] {
            assert_eq!(Deadline::after(Some(length)).wait().unwrap(), Some(length));
        }
    }

    #[test]
    fn a_long_wait_of_a_socket_is_cut_short_and_goes_on_until_the_deadline_unless_it_was_none() {
        for (wait, expected) in [(1, 1), (500, 500), (504, 441), (4000, 3500)] {
            assert_eq!(cut_short(Some(wait * MS)), Some(expected * MS));
        }
        assert_eq!(cut_short(None), None);
        let started = |ago: u32| Instant::now().checked_sub(ago * MS).unwrap();
        let deadline = |ago| Deadline(When::At(Limit { start: started(ago), length: 4000 * MS }));
        let waited = Some(3500 * MS);
        assert!(deadline(3500).goes_on(waited) && deadline(3900).goes_on(waited));
        assert!(!deadline(4000).goes_on(waited), "it is over");
        assert!(!deadline(10).goes_on(waited), "nobody has waited");
        assert!(!deadline(3500).goes_on(None) && !Deadline::NEVER.goes_on(waited));
    }

    #[test]
    fn a_poll_waits_for_no_longer_than_every_system_can_count() {
        let millis =
            |wait| poll_timeout(Some(wait)).map(|wait| wait.tv_sec * 1000 + i64::from(wait.tv_nsec as u32) / 1_000_000);
        let month = Duration::from_secs(30 * 24 * 3600);
        assert_eq!((millis(MS), millis(1500 * MS)), (Some(1), Some(1500)));
        assert_eq!(millis(month), Some(i64::from(i32::MAX)));
        assert_eq!((poll_timeout(None), poll_timeout(Some(Duration::MAX))), (None, None));
    }

    #[test]
    fn what_remains_shrinks_in_steps_and_never_to_zero() {
        let limit = Limit { start: Instant::now(), length: 100 * MS };
        let cases = [(0, Some(100)), (15, Some(100)), (16, Some(84)), (31, Some(84)), (99, Some(4)), (100, None)];
        for (elapsed, expected) in cases {
            assert_eq!(limit.wait(elapsed * MS), expected.map(|expected| expected * MS), "{elapsed} ms");
        }
        let just_before = 100 * MS - Duration::from_nanos(1);
        assert_eq!(limit.wait(just_before), Some(4 * MS));
    }

    #[test]
    fn no_operation_overshoots_by_more_than_16_ms() {
        let limit = Limit { start: Instant::now(), length: 1000 * MS };
        for elapsed in 0..1000 {
            let over = elapsed * MS + limit.wait(elapsed * MS).unwrap();
            assert!((1000 * MS..1016 * MS).contains(&over), "{over:?}");
        }
    }

    #[test]
    fn extremes_neither_panic_nor_wrap() {
        let endless = Deadline::after(Some(Duration::MAX));
        assert!(endless.is_never() && !endless.is_over() && !endless.is_half_over());
        assert_eq!(endless.wait().unwrap(), None);
        for length in [Duration::ZERO, Duration::from_nanos(1)] {
            let deadline = Deadline::after(Some(length));
            std::thread::sleep(MS);
            assert!(deadline.is_over());
            assert_eq!(deadline.wait().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(Deadline::after(None), Deadline::NEVER);
        let ages = Limit { start: Instant::now(), length: Duration::MAX };
        assert!(ages.wait(Duration::from_secs(1 << 40)).is_none_or(|rest| rest > Duration::ZERO));
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
        assert_eq!(Deadline::NOW.wait().unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(!Deadline::NOW.goes_on(Some(MS)) && Deadline::NOW.instant().is_none());
    }

    #[test]
    fn patience_is_the_shorter_of_its_two_limits() {
        let total = |ms| Deadline::after(Some(ms * MS));
        let cases = [
            (Patience::while_moving(30 * MS), Some(30 * MS)),
            (Patience::until(total(5000)), Some(5000 * MS)),
            (Patience::until(Deadline::NEVER), None),
            (Patience { total: total(5000), stall: Some(10 * MS) }, Some(10 * MS)),
            (Patience { total: total(5000), stall: Some(9000 * MS) }, Some(5000 * MS)),
        ];
        for (patience, expected) in cases {
            assert_eq!(patience.wait().unwrap(), expected, "{patience:?}");
        }
        assert!(Patience { total: Deadline::after(Some(Duration::ZERO)), stall: Some(MS) }.wait().is_err());
    }
}
