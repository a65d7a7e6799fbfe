//! A transport over any stream that blocks and does one thing at a time.

use std::fmt;
use std::io::{self, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deadline::is_timeout;
use super::transport::{Interest, Transport};

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
        // The bytes are taken: to say that time was up, or EINTR, would be to have them sent again.
        loop {
            match stream.flush() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Ok(n),
                flushed => return flushed.map(|()| n),
            }
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

    /// Has a flush that a signal interrupts once.
    #[derive(Default)]
    struct InterruptedFlush {
        written: Vec<u8>,
        flushes: u32,
    }

    impl Read for InterruptedFlush {
        fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
            Ok(0)
        }
    }

    impl Write for InterruptedFlush {
        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            self.written.write(buf)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushes += 1;
            if self.flushes == 1 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn what_was_written_is_not_written_again_after_a_flush_that_was_interrupted() {
        let stream = HalfDuplex::new(InterruptedFlush::default());
        // After EINTR it would be called again.
        assert_eq!(stream.try_write(b"once").unwrap(), 4);
        let stream = stream.lock();
        assert_eq!((stream.written.as_slice(), stream.flushes), (&b"once"[..], 2));
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
