//! What carries the bytes of a connection, a socket or a stream of the user's own, and how it is waited for.

use std::any::Any;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::thread;
use std::time::{Duration, Instant};

use super::deadline::{check, is_timeout, timed_out};
use crate::sync::now;

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
        read(self, buf, deadline)
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

/// The longest time between two looks at a transport that says "ready" and gives EAGAIN.
const LONGEST_INTERVAL: Duration = Duration::from_millis(50);

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::net::tests::lasts;

    const MS: Duration = Duration::from_millis(1);

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
    struct InterruptedRead(AtomicU32);

    impl Transport for InterruptedRead {
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
        let transport = InterruptedRead(AtomicU32::new(0));
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
}
