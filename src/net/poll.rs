//! Waiting for the readiness of sockets: `poll`, and EINTR.

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

use super::deadline::has_come;
use super::system_calls;
use super::transport::Interest;
use crate::cancellation::{Cancellation, Watch};
use crate::sync::now;

/// The longest wait that `poll` takes everywhere: macOS and Windows count it in milliseconds, in an `int`.
const LONGEST_POLL: Duration = Duration::from_millis(i32::MAX as u64);

/// How often a wait on Windows looks whether another thread has shut the socket down: nothing says that this ends a WSAPoll, as it
/// ends a recv.
const SLICE: Option<Duration> = if cfg!(windows) { Some(Duration::from_millis(50)) } else { None };

/// How long a `poll` that says EAGAIN is left alone.
const PAUSE: Duration = Duration::from_millis(1);

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
        if has_come(deadline) {
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

/// A socket that becomes readable when the opening is cancelled.
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
    /// The opening was cancelled.
    Cancelled,
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
        return Ok(PollOutcome::Cancelled);
    }
    Ok(polled.iter().position(is_ready).map_or(PollOutcome::Nothing, PollOutcome::Ready))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

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
        assert_eq!(poll_sockets([].into_iter(), Some(&wake), Some(5000 * MS)).unwrap(), PollOutcome::Cancelled);
        assert!(start.elapsed() < 1000 * MS);
        assert_eq!(poll_sockets([&connected()].into_iter(), Some(&wake), None).unwrap(), PollOutcome::Cancelled);
        canceller.join().unwrap();
    }

    #[test]
    fn who_was_cancelled_before_does_not_poll_sockets() {
        let cancellation = Cancellation::new();
        cancellation.cancel();
        let wake = CancelSignal::new(&cancellation).unwrap();
        assert_eq!(poll_sockets([].into_iter(), Some(&wake), None).unwrap(), PollOutcome::Cancelled);
    }

    #[test]
    fn the_first_socket_that_is_ready_is_told() {
        let sockets = [connected(), connected()];
        assert_eq!(poll_sockets(sockets.iter(), None, None).unwrap(), PollOutcome::Ready(0));
    }
}
