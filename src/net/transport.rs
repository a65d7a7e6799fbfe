//! What carries the bytes: sockets, streams of the user's own.

use std::fmt;
#[cfg(not(unix))]
use std::io::Write;
use std::io::{self, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
#[cfg(unix)]
use std::os::{fd::AsFd, fd::BorrowedFd, unix::net::UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A stream of bytes that a WebSocket can be carried over: one of your own, such as a serial line, a multiplexed
/// channel or a simulated network. (TCP and Unix sockets need no implementation: pass them as they are.)
///
/// All methods take `&self`: one thread reads while another writes, at most one of each kind at a time. A call of one
/// kind must not wait for a call of the other. With timeouts that are observed, everything that this crate says about
/// deadlines holds. For a stream that cannot do that there is [`HalfDuplex`](crate::HalfDuplex).
///
/// ```
/// use std::io;
/// use std::net::{Shutdown, TcpStream};
/// use std::time::Duration;
///
/// use websocket_sync::Transport;
///
/// /// Counts what passes.
/// #[derive(Debug)]
/// struct Metered {
///     inner: Box<dyn Transport>,
///     received: std::sync::atomic::AtomicUsize,
/// }
///
/// impl Transport for Metered {
///     fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
///         let n = self.inner.read(buf, timeout)?;
///         self.received.fetch_add(n, std::sync::atomic::Ordering::Relaxed);
///         Ok(n)
///     }
///     fn write(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
///         self.inner.write(buf, timeout)
///     }
///     fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
///         self.inner.try_write(buf)
///     }
///     fn shutdown(&self, how: Shutdown) -> io::Result<()> {
///         self.inner.shutdown(how)
///     }
/// }
///
/// fn metered(socket: TcpStream) -> Metered {
///     Metered { inner: socket.into(), received: 0.into() }
/// }
/// ```
pub trait Transport: fmt::Debug + Send + Sync {
    /// Waits for bytes and reads some: `Ok(0)` says that no more will come.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) or [`TimedOut`](io::ErrorKind::TimedOut) when none came within
    /// `timeout`; without a timeout it waits as long as it takes. After [`Interrupted`](io::ErrorKind::Interrupted) it
    /// is called again, after anything else the connection is over: after a `TimedOut` too that comes from a Unix system
    /// itself (`ETIMEDOUT`), which has then given the connection up.
    fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize>;

    /// Reads what is at hand without waiting. [`WebSocket::try_recv`](crate::WebSocket::try_recv) and its kin stand on it.
    ///
    /// Default: a [`read`](Self::read) that waits for no longer than a millisecond.
    ///
    /// # Errors
    ///
    /// As with [`read`](Self::read); [`WouldBlock`](io::ErrorKind::WouldBlock) when nothing is there.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read(buf, Some(Duration::from_millis(1)))
    }

    /// Waits until bytes can be written and writes some, at least one.
    ///
    /// # Errors
    ///
    /// As with [`read`](Self::read); `WouldBlock` and `TimedOut` say that not a single byte left within `timeout`.
    fn write(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize>;

    /// Writes what can be written without waiting. The thread that receives answers pings with it.
    ///
    /// Default: a [`write`](Self::write) that waits for no longer than a millisecond.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when that is nothing.
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.write(buf, Some(Duration::from_millis(1)))
    }

    /// Ends one direction or both, and wakes the threads that wait in it: a read then answers `Ok(0)`, a write fails.
    /// It may be called at any time and more than once. It must not wait, and not ask the
    /// [`Cancellation`](crate::Cancellation) that calls it.
    ///
    /// # Errors
    ///
    /// They are ignored.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// This side's address. Default: none.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The peer's address. Default: none.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The file descriptor beneath, for polling. Default: none.
    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The socket beneath, for polling. Default: none.
    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        None
    }
}

impl<T: Transport + 'static> From<T> for Box<dyn Transport> {
    fn from(transport: T) -> Self {
        Box::new(transport)
    }
}

impl From<TcpStream> for Box<dyn Transport> {
    fn from(stream: TcpStream) -> Self {
        Box::new(Socket::new(stream.into()))
    }
}

#[cfg(unix)]
impl From<UnixStream> for Box<dyn Transport> {
    fn from(stream: UnixStream) -> Self {
        Box::new(Socket::new(stream.into()))
    }
}

/// A socket of the operating system, in blocking mode, and the timeouts that are set on it.
#[derive(Debug)]
pub(crate) struct Socket {
    socket: socket2::Socket,
    read_timeout: SetTimeout,
    #[cfg(not(unix))]
    write_timeout: SetTimeout,
}

impl Socket {
    pub(crate) fn new(socket: socket2::Socket) -> Self {
        // One that does not block would turn every wait into a timeout. Should this fail, the first read fails too.
        let _ = socket.set_nonblocking(false);
        Self {
            socket,
            read_timeout: SetTimeout::unknown(),
            #[cfg(not(unix))]
            write_timeout: SetTimeout::unknown(),
        }
    }
}

#[cfg(unix)]
impl Socket {
    /// Waits until the socket takes bytes again. It is said to do so when a third of its buffer is free; for a peer that
    /// reads slowly, any room counts when time is up.
    #[cold]
    fn write_later(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, poll};

        use super::deadline::poll_timeout;

        let timeout = poll_timeout(timeout);
        let ready = poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], timeout.as_ref())? > 0;
        match self.try_write(buf) {
            // It was nothing after all. Whoever counts the time may ask again.
            Err(error) if ready && error.kind() == io::ErrorKind::WouldBlock => Err(io::ErrorKind::Interrupted.into()),
            result => result,
        }
    }
}

impl Transport for Socket {
    #[inline]
    fn read(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.read_timeout.set(timeout, |timeout| self.socket.set_read_timeout(timeout))?;
        (&self.socket).read(buf)
    }

    #[cfg(unix)]
    #[inline]
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.socket, buf, rustix::net::RecvFlags::DONTWAIT)?.0)
    }

    /// A send that waits does not keep to the timeout of its socket: on Linux a Unix socket counts it anew for every 32
    /// KiB, and TCP may add 200 ms. So it is not the send that waits.
    #[cfg(unix)]
    #[inline]
    fn write(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        match self.try_write(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.write_later(buf, timeout),
            result => result,
        }
    }

    /// Windows sends all or, when time is up, an unknown part: small pieces tell more often how far it came.
    #[cfg(not(unix))]
    fn write(&self, buf: &[u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.write_timeout.set(timeout, |timeout| self.socket.set_write_timeout(timeout))?;
        (&self.socket).write(&buf[..buf.len().min(64 * 1024)])
    }

    #[cfg(unix)]
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.socket, buf, NO_SIGNAL | rustix::net::SendFlags::DONTWAIT)?)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        self.socket.local_addr().ok()?.as_socket()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.socket.peer_addr().ok()?.as_socket()
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.socket.as_fd())
    }

    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        Some(self.socket.as_socket())
    }
}

/// A peer that has gone makes a write fail; it must not kill the process, whoever opened the socket.
#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::NOSIGNAL;
/// There it is an option of the socket, which std and socket2 set.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::empty();

/// The timeout that a socket has in one direction, so that it is set only when it changes.
///
/// The atomic needs no ordering: only the one thread that reads, or writes, at a time uses it.
#[derive(Debug)]
struct SetTimeout(AtomicU64);

impl SetTimeout {
    const UNKNOWN: u64 = u64::MAX;

    /// The socket comes from elsewhere.
    const fn unknown() -> Self {
        Self(AtomicU64::new(Self::UNKNOWN))
    }

    #[inline]
    fn set(&self, timeout: Option<Duration>, apply: impl FnOnce(Option<Duration>) -> io::Result<()>) -> io::Result<()> {
        let nanos = timeout.map_or(0, |timeout| u64::try_from(timeout.as_nanos()).unwrap_or(Self::UNKNOWN - 1));
        if self.0.load(Ordering::Relaxed) == nanos {
            return Ok(());
        }
        self.0.store(Self::UNKNOWN, Ordering::Relaxed);
        // The system counts in micro- or milliseconds, and takes zero for endless.
        apply(timeout.map(|timeout| timeout.max(Duration::from_millis(1))))?;
        self.0.store(nanos, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;
    use std::time::Instant;

    use super::*;

    fn pair() -> (Box<dyn Transport>, Box<dyn Transport>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (client.into(), server.into())
    }

    #[test]
    fn a_timeout_is_set_only_when_it_changes() {
        let timeout = SetTimeout::unknown();
        let mut applied = Vec::new();
        let second = Duration::from_secs(1);
        let mut set = |wanted| {
            let apply = |wanted| {
                applied.push(wanted);
                if wanted == Some(3 * second) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
            };
            timeout.set(wanted, apply)
        };
        for wanted in [None, None, Some(second), Some(second), None, Some(Duration::from_nanos(1)), Some(Duration::MAX)]
        {
            set(wanted).unwrap();
        }
        set(Some(3 * second)).unwrap_err();
        set(Some(Duration::MAX)).unwrap();
        let (rounded, endless) = (Some(Duration::from_millis(1)), Some(Duration::MAX));
        assert_eq!(applied[..5], [None, Some(second), None, rounded, endless]);
        assert_eq!(applied[5..], [Some(3 * second), endless], "after a failure nothing is known");
    }

    #[test]
    fn a_socket_reads_writes_and_observes_its_timeouts() {
        let (client, server) = pair();
        assert_eq!(client.write(b"hello", None).unwrap(), 5);
        let mut buf = [0; 16];
        assert_eq!(server.read(&mut buf, Some(Duration::from_secs(5))).unwrap(), 5);
        let start = Instant::now();
        let error = server.read(&mut buf, Some(Duration::from_millis(20))).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut));
        assert!(start.elapsed() >= Duration::from_millis(20));
        server.read(&mut buf, Some(Duration::from_nanos(1))).unwrap_err();
        assert_eq!(client.local_addr(), server.peer_addr());
        assert_eq!(client.peer_addr(), server.local_addr());
    }

    #[test]
    fn try_read_takes_what_is_there_and_never_waits() {
        let (client, server) = pair();
        let mut buf = [0; 16];
        let start = Instant::now();
        for _ in 0..10 {
            let error = server.try_read(&mut buf).unwrap_err();
            assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(5));
        client.write(b"hello", None).unwrap();
        while server.try_read(&mut buf).ok() != Some(5) {}
        client.shutdown(Shutdown::Write).unwrap();
        while server.try_read(&mut buf).ok() != Some(0) {}
    }

    #[test]
    fn try_write_never_waits_for_a_peer_that_does_not_read() {
        let (client, _server) = pair();
        let junk = vec![0; 1 << 20];
        let start = Instant::now();
        let error = loop {
            if let Err(error) = client.try_write(&junk) {
                break error;
            }
        };
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error:?}");
        assert!(start.elapsed() < Duration::from_secs(5));
        let error = client.write(&junk, Some(Duration::from_millis(20))).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error:?}");
    }

    #[test]
    fn shutdown_wakes_a_blocked_reader() {
        let (client, _server) = pair();
        let client: Arc<dyn Transport> = client.into();
        let reader = thread::spawn({
            let client = Arc::clone(&client);
            move || client.read(&mut [0; 8], None)
        });
        thread::sleep(Duration::from_millis(20));
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), 0);
    }

    #[test]
    fn a_socket_that_does_not_block_is_made_to() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.set_nonblocking(true).unwrap();
        let client: Box<dyn Transport> = client.into();
        let (mut server, _) = listener.accept().unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            server.write_all(b"x").unwrap();
        });
        assert_eq!(client.read(&mut [0; 8], None).unwrap(), 1);
        writer.join().unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn unix_sockets_carry_bytes_and_have_no_address() {
        let (a, b) = UnixStream::pair().unwrap();
        let (a, b) = (<Box<dyn Transport>>::from(a), <Box<dyn Transport>>::from(b));
        assert_eq!(a.try_write(b"hi").unwrap(), 2);
        assert_eq!(b.read(&mut [0; 8], None).unwrap(), 2);
        assert!(a.local_addr().is_none() && a.peer_addr().is_none() && a.as_fd().is_some());
        drop(b);
        assert_eq!(a.write(b"hi", None).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
