//! What a peer's bytes pass through: a socket, whose calls end at a deadline, and perhaps TLS over it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::Socket;

use crate::test_kit::error::PeerError;
use crate::test_kit::tls::{self, ByteStream};

/// A connection, and when its next call has to end.
pub(super) struct PeerLink {
    stream: Box<dyn ByteStream>,
    socket: Arc<Socket>,
    deadline: CallDeadline,
}

impl PeerLink {
    /// Over a socket itself.
    pub(super) fn plain(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        // A Unix socket has no such option.
        let _ = socket.set_tcp_nodelay(true);
        let socket = Arc::new(socket);
        let deadline = CallDeadline::default();
        let stream = SocketStream { socket: Arc::clone(&socket), deadline: deadline.clone() };
        Ok(Self { stream: Box::new(stream), socket, deadline })
    }

    /// Over a stream of the user's own, whose reads and writes have the timeouts of the socket.
    pub(super) fn layered(stream: impl Read + Write + Send + 'static, socket: Socket) -> io::Result<Self> {
        let Self { socket, deadline, .. } = Self::plain(socket)?;
        let stream = LayeredStream { stream, socket: Arc::clone(&socket), deadline: deadline.clone() };
        Ok(Self { stream: Box::new(stream), socket, deadline })
    }

    /// Makes the TLS handshake of a server.
    pub(super) fn accept_tls(self, until: Instant) -> Result<Self, PeerError> {
        self.over_tls(until, tls::accept)
    }

    /// Makes the TLS handshake of a client.
    pub(super) fn connect_tls(self, until: Instant) -> Result<Self, PeerError> {
        self.over_tls(until, tls::connect)
    }

    fn over_tls(
        self,
        until: Instant,
        handshake: impl FnOnce(SocketStream) -> Result<Box<dyn ByteStream>, PeerError>,
    ) -> Result<Self, PeerError> {
        let Self { socket, deadline, .. } = self;
        deadline.set(until);
        let stream = handshake(SocketStream { socket: Arc::clone(&socket), deadline: deadline.clone() })?;
        Ok(Self { stream, socket, deadline })
    }

    /// Reads, and waits until then.
    pub(super) fn read(&mut self, buf: &mut [u8], until: Instant) -> io::Result<usize> {
        self.retry(until, |stream| stream.read(buf))
    }

    /// Writes, and waits until then.
    pub(super) fn write(&mut self, bytes: &[u8], until: Instant) -> io::Result<usize> {
        self.retry(until, |stream| match stream.write(bytes)? {
            0 => Err(io::ErrorKind::WriteZero.into()),
            length => stream.flush().map(|()| length),
        })
    }

    fn retry(
        &mut self,
        until: Instant,
        mut call: impl FnMut(&mut dyn ByteStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.deadline.set(until);
        loop {
            // Also where bytes come, or leave, one after the other.
            if Instant::now() >= until {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match call(&mut *self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                result => return result,
            }
        }
    }

    pub(super) const fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Makes a reset of the end that comes when this is dropped.
    pub(super) fn reset(self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }
}

/// When the calls on a socket have to end; shared with the stream that TLS has for its own.
#[derive(Clone, Debug)]
struct CallDeadline(Arc<Mutex<Instant>>);

impl Default for CallDeadline {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }
}

impl CallDeadline {
    fn set(&self, until: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    /// What is left until then, as a timeout for a socket: zero would be none.
    fn left(&self) -> Option<Duration> {
        let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1)))
    }
}

/// A socket whose reads and writes end at the deadline, however many a TLS library makes for one of its own.
#[derive(Debug)]
struct SocketStream {
    socket: Arc<Socket>,
    deadline: CallDeadline,
}

impl Read for SocketStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.deadline.left())?;
        (&*self.socket).read(buf)
    }
}

impl Write for SocketStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.deadline.left())?;
        (&*self.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream of the user's own, which has the socket to itself.
struct LayeredStream<S> {
    stream: S,
    socket: Arc<Socket>,
    deadline: CallDeadline,
}

impl<S> LayeredStream<S> {
    /// Either call of the stream may read and write.
    fn ready(&mut self) -> io::Result<&mut S> {
        let left = self.deadline.left();
        self.socket.set_read_timeout(left)?;
        self.socket.set_write_timeout(left)?;
        Ok(&mut self.stream)
    }
}

impl<S: Read> Read for LayeredStream<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.ready()?.read(buf)
    }
}

impl<S: Write> Write for LayeredStream<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.ready()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.ready()?.flush()
    }
}
