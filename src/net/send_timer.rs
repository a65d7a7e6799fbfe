//! How long sending may take, and the waits of a send.

use std::io;
use std::time::{Duration, Instant};

use super::deadline::{Deadline, check, is_timeout, timed_out};
use super::transport::{Interest, Transport, Waits};
use crate::sync::now;

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
        check(self.stall.get_or_insert_with(Stall::begin).end(self.deadline))
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Each wait is as long as it should be, in no time.
    #[derive(Debug, Default)]
    struct Never(std::sync::Mutex<Vec<Option<Instant>>>);

    impl Transport for Never {
        fn try_read(&self, _buf: &mut [u8]) -> io::Result<usize> {
            unreachable!()
        }
        fn try_write(&self, _buf: &[u8]) -> io::Result<usize> {
            unreachable!()
        }
        fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
            assert_eq!(interest, Interest::Write);
            self.0.lock().unwrap().push(deadline);
            Ok(false)
        }
        fn shutdown(&self, _how: std::net::Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    /// Until when is waited, in milliseconds from the start of the stall, before the time is up.
    fn waits(deadline: SendDeadline) -> Vec<u128> {
        let transport = Never::default();
        let mut timer = SendTimer::new(deadline);
        while timer.wait_writable(&transport).is_ok() {}
        let since = timer.stall.unwrap().since;
        let waits = transport.0.into_inner().unwrap();
        waits.into_iter().map(|wait| (wait.unwrap() - since).as_millis()).collect()
    }

    #[test]
    fn a_stall_looks_for_room_now_and_then_and_ends_with_a_last_try() {
        assert_eq!(waits(SendDeadline::while_progressing(100 * MS)), [16, 32, 64, 100]);
        let looks = waits(SendDeadline::while_progressing(30_000 * MS));
        assert_eq!((looks.len(), looks[11]), (12, 30_000));
        assert_eq!(waits(SendDeadline::while_progressing(Duration::from_secs(1 << 40))).last(), Some(&(1000 << 40)));
    }

    #[test]
    fn the_limit_of_the_whole_is_waited_for_at_once_and_the_shorter_of_the_two_counts() {
        let total = |ms: u32| Deadline::after(Some(ms * MS));
        let rounded = |deadline| waits(deadline).into_iter().map(|wait| (wait + 5) / 10).collect::<Vec<_>>();
        assert_eq!(rounded(SendDeadline::until(total(5000))), [500]);
        assert_eq!(rounded(SendDeadline { total: total(5000), stall: Some(10 * MS) }), [1]);
        assert_eq!(rounded(SendDeadline { total: total(5000), stall: Some(9000 * MS) }).last(), Some(&500));
    }

    #[test]
    fn without_any_limit_a_send_waits_as_long_as_it_takes() {
        let transport = Never::default();
        let mut timer = SendTimer::new(SendDeadline::until(Deadline::NEVER));
        assert!(timer.check().is_ok() && timer.remaining().unwrap().is_none());
        timer.wait_writable(&transport).unwrap();
        assert_eq!(transport.0.into_inner().unwrap(), [None]);
    }

    #[test]
    fn progress_begins_the_time_of_a_stall_anew_and_no_other() {
        let mut timer = SendTimer::new(SendDeadline::while_progressing(500 * MS));
        timer.remaining().unwrap();
        std::thread::sleep(10 * MS);
        timer.note_interrupted().unwrap();
        std::thread::sleep(491 * MS);
        timer.note_interrupted().unwrap_err();
        timer.remaining().unwrap_err();
        timer.note_progress();
        timer.remaining().unwrap();
        let mut timer = SendTimer::new(SendDeadline::until(Deadline::after(Some(MS))));
        std::thread::sleep(2 * MS);
        timer.note_progress();
        timer.check().unwrap_err();
        timer.remaining().unwrap_err();
    }

    #[test]
    fn now_tries_and_does_not_wait() {
        let transport = Never::default();
        let mut timer = SendTimer::new(SendDeadline::until(Deadline::NOW));
        timer.check().unwrap();
        timer.note_interrupted().unwrap();
        assert_eq!(timer.wait_writable(&transport).unwrap_err().kind(), io::ErrorKind::TimedOut);
        timer.remaining().unwrap_err();
        assert!(transport.0.into_inner().unwrap().is_empty());
    }
}
