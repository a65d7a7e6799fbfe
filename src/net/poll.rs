//! Waiting for readiness: `poll`, EINTR, and readiness after which there is EAGAIN nevertheless.

#[cfg(unix)]
use std::fs::File;
use std::io;
#[cfg(not(unix))]
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::deadline::{is_timeout, timed_out};
use super::system_calls;
use super::transport::{Interest, Transport};
use crate::cancellation::{Cancellation, Watch};
use crate::sync::now;

/// The longest wait that `poll` takes everywhere: macOS and Windows count it in milliseconds, in an `int`.
const LONGEST_POLL: Duration = Duration::from_millis(i32::MAX as u64);

/// How often a wait on Windows looks whether another thread has shut the socket down: nothing says that this ends a WSAPoll, as it
/// ends a recv.
const SLICE: Option<Duration> = if cfg!(windows) { Some(Duration::from_millis(50)) } else { None };

/// How long a `poll` that says EAGAIN is left alone.
const PAUSE: Duration = Duration::from_millis(1);

/// The longest time between two looks at a transport that says "ready" and gives EAGAIN.
const LONGEST_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until a socket is ready, has failed, was hung up or shut down: `true`; or until the deadline: `false`. Looks once if that has
/// passed.
///
/// # Errors
///
/// What the operating system says, but for EINTR.
pub(super) fn wait(
    socket: &socket2::Socket,
    interest: Interest,
    deadline: Option<Instant>,
    is_shut_down: impl Fn() -> bool,
) -> io::Result<bool> {
    let flags = match interest {
        Interest::Read => PollFlags::IN,
        Interest::Write => PollFlags::OUT,
    };
    loop {
        let rest = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        if is_shut_down() || poll(&mut [PollFd::new(socket, flags)], rest.into_iter().chain(SLICE).min())? > 0 {
            return Ok(true);
        }
        if is_over(deadline) {
            return Ok(false);
        }
    }
}

/// One `poll`: how many are ready. That is 0 when time is up, and after EINTR and EAGAIN, by which some systems say that they are short
/// of memory for the moment (POSIX): no time-out.
///
/// # Errors
///
/// What the operating system says, but for these.
pub(super) fn poll(polled: &mut [PollFd<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    match system_calls::poll(polled, timespec(timeout).as_ref()) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            thread::sleep(timeout.map_or(PAUSE, |timeout| timeout.min(PAUSE)));
            Ok(0)
        }
        result => result,
    }
}

/// `None` for as long as it takes. A wait that is longer than every system can count ends early, in some weeks.
fn timespec(timeout: Option<Duration>) -> Option<Timespec> {
    let timeout = timeout.filter(|timeout| *timeout != Duration::MAX)?;
    Timespec::try_from(timeout.min(LONGEST_POLL)).ok()
}

/// Reads some bytes, and waits for them if there are none: what [`Transport::read`] does by default.
///
/// # Errors
///
/// Those of [`Transport::read`].
pub(super) fn read<T: Transport + ?Sized>(
    transport: &T,
    buf: &mut [u8],
    deadline: Option<Instant>,
) -> io::Result<usize> {
    check(deadline)?;
    let mut waits = Waits::default();
    loop {
        match transport.try_read(buf) {
            Err(error) if is_timeout(&error) => waits.wait(transport, Interest::Read, deadline)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => check(deadline)?,
            result => return result,
        }
    }
}

/// The waits of one operation, each of them after EAGAIN.
///
/// A transport may say "ready" and EAGAIN follows nevertheless: now and then, or (a system short of memory, a transport that does not keep
/// to its contract) again and again. So the deadline is asked in each round, and from the second one on rounds are apart by a
/// time that grows.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// How often the transport has said "ready".
    rounds: u32,
    /// When it did so last, from the second time on.
    latest: Option<Instant>,
}

impl Waits {
    /// Waits for the transport.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] at the deadline; what the transport says.
    #[cold]
    pub(super) fn wait<T: Transport + ?Sized>(
        &mut self,
        transport: &T,
        interest: Interest,
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        if self.rounds > 0 {
            check(deadline)?;
            self.pause(deadline);
        }
        loop {
            match transport.wait(interest, deadline) {
                Ok(true) => break,
                Ok(false) => return Err(timed_out()),
                Err(error) if is_timeout(&error) => return Err(timed_out()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => check(deadline)?,
                Err(error) => return Err(error),
            }
        }
        self.rounds = self.rounds.saturating_add(1);
        Ok(())
    }

    /// Keeps rounds apart.
    fn pause(&mut self, deadline: Option<Instant>) {
        let now = now();
        if let Some(latest) = self.latest.replace(now) {
            let interval = Duration::from_millis(1 << self.rounds.min(10)).min(LONGEST_INTERVAL);
            let rest = deadline.map_or(interval, |deadline| deadline.saturating_duration_since(now));
            thread::sleep(interval.saturating_sub(now.saturating_duration_since(latest)).min(rest));
        }
    }
}

/// # Errors
///
/// [`io::ErrorKind::TimedOut`] when the deadline has passed.
#[inline]
pub(super) fn check(deadline: Option<Instant>) -> io::Result<()> {
    if is_over(deadline) { Err(timed_out()) } else { Ok(()) }
}

#[inline]
fn is_over(deadline: Option<Instant>) -> bool {
    deadline.is_some_and(|deadline| now() >= deadline)
}

/// A socket that becomes readable when the opening is called off.
#[derive(Debug)]
pub(super) struct CancelSignal {
    /// Before the socket that it writes to: so it never writes to one that is closed.
    _watch: Watch,
    socket: Readable,
}

#[cfg(unix)]
type Readable = UnixStream;
#[cfg(not(unix))]
type Readable = UdpSocket;

impl CancelSignal {
    /// # Errors
    ///
    /// The system has no socket to spare.
    #[cfg(unix)]
    pub(super) fn new(cancellation: &Cancellation) -> io::Result<Self> {
        use std::io::Write;

        let (socket, writable) = system_calls::open_pair()?;
        let wake = move || {
            let _ = (&writable).write(&[0]);
        };
        Ok(Self { _watch: cancellation.watch(wake), socket })
    }

    /// # Errors
    ///
    /// The system has no socket to spare.
    #[cfg(not(unix))]
    pub(super) fn new(cancellation: &Cancellation) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(socket.local_addr()?)?;
        let writable = socket.try_clone()?;
        let wake = move || {
            let _ = writable.send(&[0]);
        };
        Ok(Self { _watch: cancellation.watch(wake), socket })
    }

    fn polled(&self) -> PollFd<'_> {
        PollFd::new(&self.socket, PollFlags::IN)
    }
}

/// What ended a poll.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PollOutcome {
    /// What is at this place is ready, or has failed.
    Ready(usize),
    /// The opening was called off.
    CalledOff,
    /// Nothing: time is up, or a signal came in between.
    Nothing,
}

/// Waits until one of the sockets has connected or failed to; `None` for as long as it takes.
///
/// # Errors
///
/// What the operating system says.
pub(super) fn poll_sockets<'a>(
    sockets: impl Iterator<Item = &'a socket2::Socket>,
    signal: Option<&'a CancelSignal>,
    timeout: Option<Duration>,
) -> io::Result<PollOutcome> {
    poll_all(sockets.map(|socket| PollFd::new(socket, PollFlags::OUT)).collect(), signal, timeout)
}

/// Waits until a file that is opened without blocking can be read, has ended or failed.
///
/// # Errors
///
/// What the operating system says.
#[cfg(unix)]
pub(super) fn poll_file(
    file: &File,
    signal: Option<&CancelSignal>,
    timeout: Option<Duration>,
) -> io::Result<PollOutcome> {
    poll_all(vec![PollFd::new(file, PollFlags::IN)], signal, timeout)
}

fn poll_all<'a>(
    mut polled: Vec<PollFd<'a>>,
    signal: Option<&'a CancelSignal>,
    timeout: Option<Duration>,
) -> io::Result<PollOutcome> {
    polled.extend(signal.map(CancelSignal::polled));
    if poll(&mut polled, timeout)? == 0 {
        return Ok(PollOutcome::Nothing);
    }
    let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    if signal.is_some() && polled.last().is_some_and(is_ready) {
        return Ok(PollOutcome::CalledOff);
    }
    Ok(polled.iter().position(is_ready).map_or(PollOutcome::Nothing, PollOutcome::Ready))
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::net::tests::lasts;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_poll_waits_for_no_longer_than_every_system_can_count() {
        let millis =
            |wait| timespec(Some(wait)).map(|wait| wait.tv_sec * 1000 + i64::from(wait.tv_nsec as u32) / 1_000_000);
        let month = Duration::from_secs(30 * 24 * 3600);
        assert_eq!((millis(MS), millis(1500 * MS)), (Some(1), Some(1500)));
        assert_eq!(millis(month), Some(i64::from(i32::MAX)));
        assert_eq!((timespec(None), timespec(Some(Duration::MAX))), (None, None));
    }

    /// Gives nothing, and says what it says of whether it is ready.
    #[derive(Debug)]
    struct Fickle {
        tries: AtomicU32,
        answer: fn() -> io::Result<bool>,
    }

    impl Transport for Fickle {
        fn try_read(&self, _buf: &mut [u8]) -> io::Result<usize> {
            self.tries.fetch_add(1, Ordering::Relaxed);
            Err(io::ErrorKind::WouldBlock.into())
        }
        fn try_write(&self, _buf: &[u8]) -> io::Result<usize> {
            unreachable!()
        }
        fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
            (self.answer)()
        }
        fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn times_out(answer: fn() -> io::Result<bool>) -> u32 {
        let transport = Fickle { tries: AtomicU32::new(0), answer };
        let read = || read(&transport, &mut [0; 8], Some(Instant::now() + 300 * MS));
        let error = lasts(300, read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        transport.tries.into_inner()
    }

    #[test]
    fn ready_and_then_eagain_does_not_spin_and_ends_at_the_deadline() {
        let tries = times_out(|| Ok(true));
        assert!((5..20).contains(&tries), "{tries}");
    }

    #[test]
    fn signals_do_not_extend_a_wait() {
        let interrupted = || {
            thread::sleep(MS);
            Err(io::ErrorKind::Interrupted.into())
        };
        assert_eq!(times_out(interrupted), 1);
    }

    /// Is interrupted, and then reset.
    #[derive(Debug)]
    struct Interrupted(AtomicU32);

    impl Transport for Interrupted {
        fn try_read(&self, _buf: &mut [u8]) -> io::Result<usize> {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => Err(io::ErrorKind::Interrupted.into()),
                _ => Err(io::ErrorKind::ConnectionReset.into()),
            }
        }
        fn try_write(&self, _buf: &[u8]) -> io::Result<usize> {
            unreachable!()
        }
        fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
            unreachable!()
        }
        fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_signal_interrupts_is_tried_again_and_any_other_error_is_told() {
        let transport = Interrupted(AtomicU32::new(0));
        let error = read(&transport, &mut [0; 8], Some(Instant::now() + 300 * MS)).unwrap_err();
        assert_eq!((error.kind(), transport.0.into_inner()), (io::ErrorKind::ConnectionReset, 2));
    }

    #[test]
    fn a_wait_that_fails_ends_with_its_error() {
        let reset = || Err(io::ErrorKind::ConnectionReset.into());
        let transport = Fickle { tries: AtomicU32::new(0), answer: reset };
        let error = read(&transport, &mut [0; 8], Some(Instant::now() + 300 * MS)).unwrap_err();
        assert_eq!((error.kind(), transport.tries.into_inner()), (io::ErrorKind::ConnectionReset, 1));
    }

    #[test]
    fn a_deadline_that_has_passed_is_told_without_a_try() {
        let transport = Fickle { tries: AtomicU32::new(0), answer: || Ok(true) };
        let error = transport.read(&mut [0; 8], Some(Instant::now())).unwrap_err();
        assert_eq!((error.kind(), transport.tries.into_inner()), (io::ErrorKind::TimedOut, 0));
    }

    /// One that can be written, and one that waits to be connected.
    fn connected() -> socket2::Socket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap().into()
    }

    #[test]
    fn a_cancel_wakes_from_another_thread_and_goes_before_all_else() {
        let cancellation = Cancellation::new();
        let wake = CancelSignal::new(&cancellation).unwrap();
        assert_eq!(poll_sockets([].into_iter(), Some(&wake), Some(MS)).unwrap(), PollOutcome::Nothing);
        let canceller = thread::spawn(move || {
            thread::sleep(20 * MS);
            cancellation.cancel();
        });
        let start = Instant::now();
        assert_eq!(poll_sockets([].into_iter(), Some(&wake), Some(5000 * MS)).unwrap(), PollOutcome::CalledOff);
        assert!(start.elapsed() < 1000 * MS);
        assert_eq!(poll_sockets([&connected()].into_iter(), Some(&wake), None).unwrap(), PollOutcome::CalledOff);
        canceller.join().unwrap();
    }

    #[test]
    fn who_was_cancelled_before_does_not_poll_sockets() {
        let cancellation = Cancellation::new();
        cancellation.cancel();
        let wake = CancelSignal::new(&cancellation).unwrap();
        assert_eq!(poll_sockets([].into_iter(), Some(&wake), None).unwrap(), PollOutcome::CalledOff);
    }

    #[test]
    fn the_first_socket_that_is_ready_is_told() {
        let sockets = [connected(), connected()];
        assert_eq!(poll_sockets(sockets.iter(), None, None).unwrap(), PollOutcome::Ready(0));
    }
}
