//! What carries the bytes of a connection: a socket, or a stream of the user's own.

use std::any::Any;
use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
#[cfg(unix)]
use std::os::{fd::BorrowedFd, unix::net::UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deadline::is_timeout;
use super::poll;
use super::socket::Socket;

/// A stream of bytes that a WebSocket can be carried over: one of your own, such as a serial line, a multiplexed channel or a simulated
/// network. TCP and Unix sockets need no implementation: pass them as they are. Whether such a socket blocks, and its timeout for
/// reads, are then set by this crate, and are not to be changed through a clone of it.
///
/// The contract is that of a non-blocking descriptor and `poll`: [`try_read`](Self::try_read) and [`try_write`](Self::try_write) never
/// wait, [`wait`](Self::wait) does. All methods take `&self`: one thread reads while another writes, at most one of each kind at a time,
/// and neither may wait for the other. A transport that keeps to this keeps all deadlines of this crate. For a stream that cannot, there
/// is [`HalfDuplex`](crate::HalfDuplex).
///
/// A channel in memory, as an example; the other end has the same two queues, swapped:
///
/// ```
/// use std::collections::VecDeque;
/// use std::io;
/// use std::net::Shutdown;
/// use std::sync::{Arc, Condvar, Mutex};
/// use std::time::Instant;
///
/// use websocket_sync::{Interest, Transport};
///
/// /// Bytes on their way in one direction.
/// #[derive(Debug, Default)]
/// struct Queue {
///     state: Mutex<State>,
///     changed: Condvar,
/// }
///
/// #[derive(Debug, Default)]
/// struct State {
///     bytes: VecDeque<u8>,
///     ended: bool,
/// }
///
/// #[derive(Debug)]
/// struct Channel {
///     incoming: Arc<Queue>,
///     outgoing: Arc<Queue>,
/// }
///
/// const CAPACITY: usize = 64 * 1024;
///
/// impl Transport for Channel {
///     fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
///         let mut state = self.incoming.state.lock().unwrap();
///         let n = io::Read::read(&mut state.bytes, buf)?;
///         if n == 0 && !state.ended {
///             return Err(io::ErrorKind::WouldBlock.into());
///         }
///         self.incoming.changed.notify_all();
///         Ok(n)
///     }
///
///     fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
///         let mut state = self.outgoing.state.lock().unwrap();
///         if state.ended {
///             return Err(io::ErrorKind::BrokenPipe.into());
///         }
///         let n = buf.len().min(CAPACITY - state.bytes.len());
///         if n == 0 {
///             return Err(io::ErrorKind::WouldBlock.into());
///         }
///         state.bytes.extend(&buf[..n]);
///         self.outgoing.changed.notify_all();
///         Ok(n)
///     }
///
///     fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
///         let queue = match interest {
///             Interest::Read => &self.incoming,
///             Interest::Write => &self.outgoing,
///         };
///         let mut state = queue.state.lock().unwrap();
///         loop {
///             let ready = match interest {
///                 Interest::Read => !state.bytes.is_empty(),
///                 Interest::Write => state.bytes.len() < CAPACITY,
///             };
///             if ready || state.ended {
///                 return Ok(true);
///             }
///             state = match deadline {
///                 None => queue.changed.wait(state).unwrap(),
///                 Some(deadline) => {
///                     let rest = deadline.saturating_duration_since(Instant::now());
///                     if rest.is_zero() {
///                         return Ok(false);
///                     }
///                     queue.changed.wait_timeout(state, rest).unwrap().0
///                 }
///             };
///         }
///     }
///
///     fn shutdown(&self, how: Shutdown) -> io::Result<()> {
///         let ends = |queue: &Queue| {
///             queue.state.lock().unwrap().ended = true;
///             queue.changed.notify_all();
///         };
///         if how != Shutdown::Write {
///             ends(&self.incoming);
///         }
///         if how != Shutdown::Read {
///             ends(&self.outgoing);
///         }
///         Ok(())
///     }
/// }
/// # let [a, b] = [Arc::<Queue>::default(), Arc::default()];
/// # let server = Channel { incoming: a.clone(), outgoing: b.clone() };
/// # let client = Channel { incoming: b, outgoing: a };
/// # let server = std::thread::spawn(move || {
/// #     let mut ws = websocket_sync::WebSocket::accept(server)?;
/// #     let text = ws.recv()?;
/// #     ws.send_text(text.as_text().unwrap_or_default())?;
/// #     ws.recv().map(drop)
/// # });
/// # let mut ws = websocket_sync::ConnectOptions::new().connect_over(client, "ws://channel/").unwrap();
/// # ws.send_text("there and back").unwrap();
/// # assert_eq!(ws.recv().unwrap().as_text(), Some("there and back"));
/// # ws.close().unwrap();
/// # server.join().unwrap().unwrap_err();
/// ```
pub trait Transport: Any + fmt::Debug + Send + Sync {
    /// Reads what has arrived, without waiting. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) (EAGAIN) when nothing has arrived. After [`Interrupted`](io::ErrorKind::Interrupted)
    /// (EINTR) it is called again. After anything else the connection is over.
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as there is room for, without waiting: one byte at least, where there are any.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when there is no room for a single byte; otherwise as with [`try_read`](Self::try_read).
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Waits until [`try_read`](Self::try_read) or [`try_write`](Self::try_write) has something other to say than `WouldBlock`, which
    /// includes the end of the stream and errors: `true`. It may say so in error now and then. `false` says that the deadline has passed;
    /// one that has passed already is no reason not to look. Without a deadline it waits for as long as it takes.
    ///
    /// [`shutdown`](Self::shutdown) in another thread ends the wait.
    ///
    /// # Errors
    ///
    /// [`Interrupted`](io::ErrorKind::Interrupted) (EINTR): then it is called again. After anything else the connection is over.
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool>;

    /// Ends one direction or both, and wakes the threads that wait in it: a read then answers `Ok(0)`, a write fails. It may be called at
    /// any time and more than once. It must not wait, and not ask the [`Cancellation`](crate::Cancellation) that calls it.
    ///
    /// # Errors
    ///
    /// They are ignored.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Reads, and waits for bytes until the deadline if there are none. Provided: [`try_read`](Self::try_read) and
    /// [`wait`](Self::wait) in turn. Implement it where one call does both.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) when the deadline has passed, also when it has passed before the call, whatever has arrived.
    /// Otherwise as with [`try_read`](Self::try_read).
    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        poll::read(self, buf, deadline)
    }

    /// This side's address. Default: none.
    fn local_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The peer's address. Default: none.
    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// The file descriptor beneath, for polling by others: [`WebSocket`](crate::WebSocket) and an app in an event loop. Default: none.
    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The socket beneath, for polling by others. Default: none.
    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        None
    }
}

/// What a [`Transport`] is waited for: POLLIN or POLLOUT.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a transport has to handle each")]
pub enum Interest {
    /// Until something can be read, or the stream has ended or failed.
    Read,
    /// Until something can be written, or the stream has ended or failed.
    Write,
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

/// Carries a WebSocket over any `Read + Write`: a TLS stream of another library, a pair of pipes, an SSH channel.
///
/// Such a stream can do one thing at a time and knows no timeouts. So a send waits while a receive waits for the peer, until its own
/// deadline, and what does not wait sends nothing in that time. Once the stream is read or written, no deadline holds, nor does
/// a call that should not wait return at once: use it where one thread asks and waits for the answer. Everything else wants
/// a [`Transport`].
///
/// ```
/// use std::io::{self, Read, Write};
///
/// use websocket_sync::{HalfDuplex, Transport};
///
/// let pair: Box<dyn Transport> = HalfDuplex::new(Pair(io::empty(), io::sink())).into();
///
/// struct Pair<R, W>(R, W);
///
/// impl<R: Read, W> Read for Pair<R, W> {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         self.0.read(buf)
///     }
/// }
///
/// impl<R, W: Write> Write for Pair<R, W> {
///     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
///         self.1.write(buf)
///     }
///     fn flush(&mut self) -> io::Result<()> {
///         self.1.flush()
///     }
/// }
/// ```
pub struct HalfDuplex<S> {
    stream: Mutex<S>,
    ended: AtomicBool,
    occupancy: Occupancy,
}

/// Whether a thread is at a stream that takes one at a time.
#[derive(Debug)]
struct Occupancy {
    is_occupied: Mutex<bool>,
    freed: Condvar,
}

/// A thread is at the stream, until this is dropped.
struct Turn<'a>(&'a Occupancy);

impl<S: Read + Write + Send> HalfDuplex<S> {
    /// Takes a stream that blocks.
    pub const fn new(stream: S) -> Self {
        let occupancy = Occupancy { is_occupied: Mutex::new(false), freed: Condvar::new() };
        Self { stream: Mutex::new(stream), ended: AtomicBool::new(false), occupancy }
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neither `try_read` nor `try_write` keeps its promise: once it has its turn, each waits for as long as it takes, since there is no
/// telling whether it would.
impl<S: Read + Write + Send + 'static> Transport for HalfDuplex<S> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let _turn = self.occupancy.enter()?;
        if self.ended.load(Ordering::Acquire) { Ok(0) } else { self.lock().read(buf) }
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let _turn = self.occupancy.enter()?;
        if self.ended.load(Ordering::Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut stream = self.lock();
        let n = stream.write(buf)?;
        match stream.flush() {
            // The bytes are taken: to say that time was up would be to have them sent again.
            Err(error) if is_timeout(&error) => Ok(n),
            flushed => flushed.map(|()| n),
        }
    }

    /// Waits for its turn, and then says that the stream is ready, whatever it is: the other wait is in what comes after it.
    fn wait(&self, _interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        Ok(self.occupancy.wait(deadline))
    }

    /// Wakes nobody: the calls that come after it learn of it. Writing cannot be ended by itself, and what has arrived can be read.
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how == Shutdown::Write {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ended.store(true, Ordering::Release);
        Ok(())
    }
}

impl Occupancy {
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] while another thread is there.
    fn enter(&self) -> io::Result<Turn<'_>> {
        match mem::replace(&mut *self.is_occupied(), true) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(Turn(self)),
        }
    }

    /// Waits until nobody is there: `true`; or until the deadline.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut is_occupied = self.is_occupied();
        while *is_occupied {
            is_occupied = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.freed.wait(is_occupied).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return false,
                Some(rest) => self.freed.wait_timeout(is_occupied, rest).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        true
    }

    fn is_occupied(&self) -> MutexGuard<'_, bool> {
        self.is_occupied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.is_occupied() = false;
        self.0.freed.notify_all();
    }
}

impl<S> fmt::Debug for HalfDuplex<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HalfDuplex").field("ended", &self.ended).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn half_duplex_carries_any_stream_until_it_is_shut_down() {
        let stream = HalfDuplex::new(Cursor::new(b"abcdef".to_vec()));
        let mut buf = [0; 3];
        assert_eq!(stream.try_read(&mut buf).unwrap(), 3);
        assert_eq!(stream.try_write(b"xy").unwrap(), 2);
        assert_eq!(stream.try_write(b"z").unwrap(), 1);
        assert_eq!(stream.lock().get_ref(), b"abcxyz");
        stream.shutdown(Shutdown::Both).unwrap();
        assert_eq!(stream.try_read(&mut buf).unwrap(), 0);
        assert_eq!(stream.try_write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(format!("{stream:?}"), "HalfDuplex { ended: true, .. }");
    }

    /// Reads until it is told not to.
    struct Reading(mpsc::Receiver<()>);

    impl Read for Reading {
        fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
            self.0.recv().map(|()| 1).map_err(io::Error::other)
        }
    }

    impl Write for Reading {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn while_it_is_read_nothing_is_written_and_the_wait_for_that_keeps_its_deadline() {
        let (says, hears) = mpsc::channel();
        let stream = HalfDuplex::new(Reading(hears));
        thread::scope(|scope| {
            let reader = scope.spawn(|| stream.read(&mut [0], None));
            while !*stream.occupancy.is_occupied() {
                thread::yield_now();
            }
            assert_eq!(stream.try_write(b"x").unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let start = Instant::now();
            assert!(!stream.wait(Interest::Write, Some(start)).unwrap());
            assert!(!stream.wait(Interest::Write, Some(start + Duration::from_millis(30))).unwrap());
            assert!(start.elapsed() >= Duration::from_millis(30));
            let writer = scope.spawn(|| stream.wait(Interest::Write, None).and_then(|_| stream.try_write(b"x")));
            says.send(()).unwrap();
            assert_eq!((reader.join().unwrap().unwrap(), writer.join().unwrap().unwrap()), (1, 1));
        });
    }
}
