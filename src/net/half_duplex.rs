//! Streams that can do one thing at a time.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::deadline::is_timeout;
use super::transport::{Interest, Transport};

/// Carries a WebSocket over any `Read + Write`: a TLS stream of another library, a pair of pipes, an SSH channel.
///
/// Such a stream can do one thing at a time and knows no timeouts. So a send waits while a receive waits for the peer,
/// and no deadline holds, nor does a call that should not wait return at once: use it where one thread asks and waits for
/// the answer. Everything else wants a [`Transport`].
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
}

impl<S: Read + Write + Send> HalfDuplex<S> {
    /// Takes a stream that blocks.
    pub const fn new(stream: S) -> Self {
        Self { stream: Mutex::new(stream), ended: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Neither `try_read` nor `try_write` keeps its promise: each waits for as long as it takes, since there is no telling whether it would.
impl<S: Read + Write + Send> Transport for HalfDuplex<S> {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut stream = self.lock();
        if self.ended.load(Ordering::Acquire) { Ok(0) } else { stream.read(buf) }
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut stream = self.lock();
        if self.ended.load(Ordering::Acquire) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let n = stream.write(buf)?;
        match stream.flush() {
            // The bytes are taken: to say that time was up would be to have them sent again.
            Err(error) if is_timeout(&error) => Ok(n),
            flushed => flushed.map(|()| n),
        }
    }

    /// Says that it is ready, whatever it is: the wait is in what comes after it.
    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    /// Wakes nobody: the calls that come after it learn of it.
    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        self.ended.store(true, Ordering::Release);
        Ok(())
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
}
