//! How long an operation may take.

use std::io;
use std::time::{Duration, Instant};

use super::poll::{self, Waits};
use super::transport::{Interest, Transport};
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

/// How long sending may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SendDeadline {
    /// When the whole operation has to be over. With [`Deadline::NOW`] what can be sent without waiting is sent.
    pub(crate) total: Deadline,
    /// How long the operation may go without a single byte leaving, counted from the last one that left.
    pub(crate) stall: Option<Duration>,
}

impl SendDeadline {
    /// As long as there is progress: at most `stall` from one byte that leaves to the next.
    pub(crate) const fn while_progressing(stall: Duration) -> Self {
        Self { total: Deadline::NEVER, stall: Some(stall) }
    }

    /// Until the deadline, whether bytes leave or not.
    pub(crate) const fn until(total: Deadline) -> Self {
        Self { total, stall: None }
    }
}

/// A [`SendDeadline`] that runs: one for each send, through all layers of a stream, so that every wait of it counts once.
#[derive(Debug)]
pub(crate) struct SendTimer {
    deadline: SendDeadline,
    stall: Option<Stall>,
}

/// No byte has left since the first EAGAIN after the last one.
#[derive(Debug)]
struct Stall {
    since: Instant,
    /// How often room was looked for before the time was up.
    looks: u32,
    /// The time is up, and what follows is the last try.
    is_last_try: bool,
    waits: Waits,
}

impl SendTimer {
    /// How long a stalled send waits before it looks for room by itself, at first; from then on twice as long each time.
    ///
    /// A socket is said to be writable when a third of its buffer is free, so a peer that reads slowly frees room long before
    /// that: it is found this way, and counts as progress. So does what the buffers of the system take a moment after EAGAIN,
    /// although the peer reads nothing: it is found within that moment, and not when the time is up, which would then begin anew.
    const FIRST_LOOK: Duration = Duration::from_millis(16);

    pub(crate) const fn new(deadline: SendDeadline) -> Self {
        Self { deadline, stall: None }
    }

    /// To be called before each try. The clock is read only if there is a deadline for the whole.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when that has passed.
    #[inline]
    pub(super) fn check(&self) -> io::Result<()> {
        let is_last_try = self.stall.as_ref().is_some_and(|stall| stall.is_last_try);
        if self.deadline.total.is_now() || is_last_try || !self.deadline.total.is_over() {
            return Ok(());
        }
        Err(timed_out())
    }

    /// At least one byte has left.
    #[inline]
    pub(super) fn note_progress(&mut self) {
        self.stall = None;
    }

    /// Waits for room, after EAGAIN.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the time was up before the try that met EAGAIN; what the transport says.
    #[cold]
    pub(super) fn wait_writable(&mut self, transport: &dyn Transport) -> io::Result<()> {
        if self.deadline.total.is_now() {
            return Err(timed_out());
        }
        let Self { deadline, stall } = self;
        let stall = stall.get_or_insert_with(Stall::begin);
        if stall.is_last_try {
            return Err(timed_out());
        }
        let end = stall.end(*deadline);
        let look = stall.next_look().filter(|look| deadline.stall.is_some() && end.is_none_or(|end| *look < end));
        match stall.waits.wait(transport, Interest::Write, look.or(end)) {
            Err(error) if is_timeout(&error) => {
                stall.looks += 1;
                stall.is_last_try = look.is_none();
                Ok(())
            }
            result => result,
        }
    }

    /// After EINTR: no byte has left.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the time is up.
    #[cold]
    pub(super) fn note_interrupted(&mut self) -> io::Result<()> {
        poll::check(self.stall.get_or_insert_with(Stall::begin).end(self.deadline))
    }

    /// How long may be waited for a byte to leave, whatever is in its way: `None` for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the time is up.
    #[cold]
    pub(super) fn remaining(&mut self) -> io::Result<Option<Duration>> {
        if self.deadline.total.is_now() {
            return Err(timed_out());
        }
        let Some(end) = self.stall.get_or_insert_with(Stall::begin).end(self.deadline) else { return Ok(None) };
        let rest = end.saturating_duration_since(now());
        if rest.is_zero() { Err(timed_out()) } else { Ok(Some(rest)) }
    }
}

impl Stall {
    fn begin() -> Self {
        Self { since: now(), looks: 0, is_last_try: false, waits: Waits::default() }
    }

    /// When the time is up, if ever.
    fn end(&self, deadline: SendDeadline) -> Option<Instant> {
        let stall = deadline.stall.and_then(|length| self.since.checked_add(length));
        deadline.total.instant().into_iter().chain(stall).min()
    }

    fn next_look(&self) -> Option<Instant> {
        let wait = SendTimer::FIRST_LOOK.checked_mul(1_u32.checked_shl(self.looks)?)?;
        self.since.checked_add(wait)
    }
}

/// The error of everything here whose time is up. It allocates nothing.
#[cold]
pub(crate) fn timed_out() -> io::Error {
    io::ErrorKind::TimedOut.into()
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
