//! Waking a thread that waits for sockets.

#[cfg(unix)]
use std::fs::File;
use std::io;
#[cfg(not(unix))]
use std::net::UdpSocket;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::poll::poll;
use crate::cancellation::{Cancellation, Watch};

/// A socket that becomes readable when the opening is called off.
#[derive(Debug)]
pub(super) struct Wake {
    /// Before the socket that it writes to: so it never writes to one that is closed.
    _watch: Watch,
    socket: Readable,
}

#[cfg(unix)]
type Readable = UnixStream;
#[cfg(not(unix))]
type Readable = UdpSocket;

impl Wake {
    /// # Errors
    ///
    /// The system has no socket to spare.
    #[cfg(unix)]
    pub(super) fn new(cancellation: &Cancellation) -> io::Result<Self> {
        use std::io::Write;

        let (socket, writable) = UnixStream::pair()?;
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

/// What ended a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Woken {
    /// What is at this place is ready, or has failed.
    Ready(usize),
    /// The opening was called off.
    CalledOff,
    /// Nothing: time is up, or a signal came in between.
    Nobody,
}

/// Waits until one of the sockets has connected or failed to; `None` for as long as it takes.
///
/// # Errors
///
/// What the operating system says.
pub(super) fn wait<'a>(
    sockets: impl Iterator<Item = &'a socket2::Socket>,
    wake: Option<&'a Wake>,
    timeout: Option<Duration>,
) -> io::Result<Woken> {
    wait_for(sockets.map(|socket| PollFd::new(socket, PollFlags::OUT)).collect(), wake, timeout)
}

/// Waits until a file that is opened without blocking can be read, has ended or failed.
///
/// # Errors
///
/// What the operating system says.
#[cfg(unix)]
pub(super) fn wait_readable(file: &File, wake: Option<&Wake>, timeout: Option<Duration>) -> io::Result<Woken> {
    wait_for(vec![PollFd::new(file, PollFlags::IN)], wake, timeout)
}

fn wait_for<'a>(mut polled: Vec<PollFd<'a>>, wake: Option<&'a Wake>, timeout: Option<Duration>) -> io::Result<Woken> {
    polled.extend(wake.map(Wake::polled));
    if poll(&mut polled, timeout)? == 0 {
        return Ok(Woken::Nobody);
    }
    let is_ready = |polled: &PollFd<'_>| !polled.revents().is_empty();
    if wake.is_some() && polled.last().is_some_and(is_ready) {
        return Ok(Woken::CalledOff);
    }
    Ok(polled.iter().position(is_ready).map_or(Woken::Nobody, Woken::Ready))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// One that can be written, and one that waits to be connected.
    fn connected() -> socket2::Socket {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        TcpStream::connect(listener.local_addr().unwrap()).unwrap().into()
    }

    #[test]
    fn a_cancel_wakes_from_another_thread_and_goes_before_all_else() {
        let cancellation = Cancellation::new();
        let wake = Wake::new(&cancellation).unwrap();
        assert_eq!(wait([].into_iter(), Some(&wake), Some(MS)).unwrap(), Woken::Nobody);
        let canceller = thread::spawn(move || {
            thread::sleep(20 * MS);
            cancellation.cancel();
        });
        let start = Instant::now();
        assert_eq!(wait([].into_iter(), Some(&wake), Some(5000 * MS)).unwrap(), Woken::CalledOff);
        assert!(start.elapsed() < 1000 * MS);
        assert_eq!(wait([&connected()].into_iter(), Some(&wake), None).unwrap(), Woken::CalledOff);
        canceller.join().unwrap();
    }

    #[test]
    fn who_was_cancelled_before_does_not_wait() {
        let cancellation = Cancellation::new();
        cancellation.cancel();
        let wake = Wake::new(&cancellation).unwrap();
        assert_eq!(wait([].into_iter(), Some(&wake), None).unwrap(), Woken::CalledOff);
    }

    #[test]
    fn the_first_socket_that_is_ready_is_told() {
        let sockets = [connected(), connected()];
        assert_eq!(wait(sockets.iter(), None, None).unwrap(), Woken::Ready(0));
    }
}
