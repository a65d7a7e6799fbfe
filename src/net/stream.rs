//! One connection as the driver sees it: a transport, with or without TLS upon it.

#[cfg(feature = "mio")]
use std::any::Any;
use std::io;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::sync::Arc;

use super::deadline::{Deadline, SendDeadline, SendTimer, is_timeout, timed_out};
#[cfg(feature = "mio")]
use super::socket::Socket;
use super::source::Source;
use super::tls::Tls;
use super::transport::{Interest, Transport};
use crate::cancellation::{Cancellation, Watch};
use crate::sync::now;

/// A transport beneath any number of TLS layers: none for `ws`, one for `wss`, two for `wss` through a proxy that
/// speaks TLS itself.
///
/// At most one thread reads and at most one thread writes at a time (the driver sees to that), but a reader and a
/// writer at once: neither ever waits for the other's network.
#[derive(Debug)]
pub(crate) enum Stream {
    /// The transport itself. Shared with whoever may have to end it from another thread.
    Plain(Arc<dyn Transport>),
    /// TLS over another stream.
    Tls(Box<Tls>),
}

/// A write that did not come to its end.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// What stopped it.
    pub(crate) error: io::Error,
    /// How many bytes of it have left or will leave, so that nothing else can take their place.
    pub(crate) taken: usize,
}

impl Stream {
    /// Reads some bytes: as many as are at hand and fit, and waits only if there are none, and not at all with
    /// [`Deadline::NOW`]. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when none came before the deadline; nothing is lost then, and the next read goes on.
    /// Any other error is the end.
    #[inline]
    pub(crate) fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        // Nothing read would look like the end of the stream. There is no room only where there is no memory for it.
        if buf.is_empty() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        match self {
            Self::Plain(transport) => read(&**transport, buf, deadline),
            Self::Tls(tls) => tls.read(buf, deadline),
        }
    }

    /// Writes all of `buf`, after what an earlier write may have left behind.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline has passed, with the word how much has left. Any other error is the end.
    pub(crate) fn write_all(&self, buf: &[u8], deadline: SendDeadline) -> Result<(), WriteError> {
        let mut taken = 0;
        self.send(buf, &mut SendTimer::new(deadline), &mut taken).map_err(|error| WriteError { error, taken })
    }

    /// Writes what can be written without waiting, and says how many bytes that is: possibly none.
    ///
    /// TLS takes up to 64 KiB, unless something earlier is still in its way. What of it does not leave at once leaves
    /// before anything that is written later; see [`has_output`](Self::has_output).
    ///
    /// # Errors
    ///
    /// Those that are the end.
    #[inline]
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => try_write(&**transport, buf),
            Self::Tls(tls) => tls.try_write(buf),
        }
    }

    /// Writes all of `buf` without waiting, so that nothing of it is left here either.
    ///
    /// # Errors
    ///
    /// What a [`try_write`](Self::try_write) said that has done less.
    #[inline]
    pub(crate) fn try_write_all(&self, buf: &[u8]) -> Result<(), io::Result<usize>> {
        match self {
            Self::Plain(transport) => match transport.try_write(buf) {
                Ok(n) if n == buf.len() => Ok(()),
                tried => Err(try_write_again(&**transport, buf, tried)),
            },
            Self::Tls(tls) => match tls.try_write(buf) {
                Ok(n) if n == buf.len() && !tls.has_output() => Ok(()),
                tried => Err(tried),
            },
        }
    }

    /// Whether a read may give bytes without waiting for the network: TLS has some that did not fit the last read, or that read has stopped
    /// before it had taken all that has arrived.
    pub(crate) fn has_input(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.has_input(),
        }
    }

    /// Whether the transport has bytes that nobody has read, or has ended. Does not wait.
    pub(crate) fn is_readable(&self) -> bool {
        self.transport().wait(Interest::Read, Some(now())).unwrap_or(true)
    }

    /// How many bytes came for TLS, whether they gave anything to read or not yet; 0 without TLS.
    pub(crate) fn arrived(&self) -> u64 {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.arrived(),
        }
    }

    /// Gives back the memory that a burst has taken, unless it is in use.
    pub(crate) fn release(&self) {
        if let Self::Tls(tls) = self {
            tls.release_memory();
        }
    }

    /// Whether TLS has bytes to send that no write is going to send: the rest of a [`try_write`](Self::try_write) or of a write that
    /// failed, or what TLS itself has to say to the peer and could not.
    #[inline]
    pub(crate) fn has_output(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.has_output(),
        }
    }

    /// How many bytes that are.
    pub(crate) fn output_len(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.output_len(),
        }
    }

    /// Sends of what is left in TLS what can be sent without waiting. Harmless at any time, from any thread.
    ///
    /// # Errors
    ///
    /// Those that are the end.
    pub(crate) fn try_flush(&self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.try_flush(),
        }
    }

    /// Ends one direction or both and wakes the threads that wait in it. Never waits. TLS sends close_notify first,
    /// if that goes without waiting.
    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Plain(transport) => transport.shutdown(how),
            Self::Tls(tls) => tls.shutdown(how),
        }
    }

    /// Ends the transport when it is called off, until what this returns is dropped. That wakes whoever waits in the stream,
    /// through all its layers.
    pub(crate) fn watch(&self, cancellation: Option<&Cancellation>) -> Option<Watch> {
        let cancellation = cancellation?;
        let transport = Arc::clone(self.transport());
        Some(cancellation.watch(move || {
            let _ = transport.shutdown(Shutdown::Both);
        }))
    }

    /// Whether the bytes are encrypted.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// This side's address, if the transport has one.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        self.transport().local_addr()
    }

    /// The peer's address, if the transport has one.
    pub(crate) fn peer_addr(&self) -> Option<SocketAddr> {
        self.transport().peer_addr()
    }

    /// The descriptor beneath, if the transport has one.
    #[cfg(unix)]
    pub(crate) fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport().as_fd()
    }

    /// The socket beneath, if the transport has one.
    #[cfg(windows)]
    pub(crate) fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        self.transport().as_socket()
    }

    /// What is waited for to read.
    pub(crate) fn source(&self) -> Source {
        Source::reading(Arc::clone(self.transport()))
    }

    /// Whether it is a TCP socket of this crate's own, without TLS: then a read that brings less than there was room for has taken all that
    /// had arrived.
    #[cfg(feature = "mio")]
    pub(crate) fn is_plain_tcp(&self) -> bool {
        match self {
            Self::Plain(transport) => {
                let transport: &dyn Any = &**transport;
                transport.downcast_ref::<Socket>().is_some_and(Socket::is_tcp)
            }
            Self::Tls(_) => false,
        }
    }

    pub(super) fn transport(&self) -> &Arc<dyn Transport> {
        match self {
            Self::Plain(transport) => transport,
            Self::Tls(tls) => tls.below().transport(),
        }
    }

    /// Writes `buf` from `taken` on, and counts there what has left or will.
    pub(super) fn send(&self, buf: &[u8], timer: &mut SendTimer, taken: &mut usize) -> io::Result<()> {
        let transport = match self {
            Self::Plain(transport) => &**transport,
            Self::Tls(tls) => return tls.send(buf, timer, taken),
        };
        while *taken < buf.len() {
            let rest = &buf[*taken..];
            timer.check()?;
            match transport.try_write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) if n <= rest.len() => {
                    timer.note_progress();
                    *taken += n;
                }
                Ok(_) => return Err(impossible_count()),
                Err(error) if is_timeout(&error) => timer.wait_writable(transport)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => timer.note_interrupted()?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl From<Box<dyn Transport>> for Stream {
    fn from(transport: Box<dyn Transport>) -> Self {
        Self::Plain(transport.into())
    }
}

#[inline]
fn read(transport: &dyn Transport, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
    if deadline.is_now() {
        return try_read(transport, buf);
    }
    loop {
        match transport.read(buf, deadline.instant()) {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => retry(error, deadline)?,
        }
    }
}

fn try_read(transport: &dyn Transport, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match transport.try_read(buf) {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => retry(error, Deadline::NEVER)?,
        }
    }
}

#[inline]
fn try_write(transport: &dyn Transport, buf: &[u8]) -> io::Result<usize> {
    match transport.try_write(buf) {
        Ok(n) if n <= buf.len() => Ok(n),
        tried => try_write_again(transport, buf, tried),
    }
}

#[cold]
fn try_write_again(transport: &dyn Transport, buf: &[u8], mut tried: io::Result<usize>) -> io::Result<usize> {
    loop {
        match tried {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) if is_timeout(&error) => return Ok(0),
            Err(error) => retry(error, Deadline::NEVER)?,
        }
        tried = transport.try_write(buf);
    }
}

/// EINTR: the call is made again, unless its time is up. What else did not wait any longer has one name.
#[cold]
fn retry(error: io::Error, deadline: Deadline) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted if !deadline.is_over() => Ok(()),
        io::ErrorKind::Interrupted => Err(timed_out()),
        _ if is_timeout(&error) => Err(timed_out()),
        _ => Err(error),
    }
}

/// A transport that claims more bytes than it was given. To believe it would be to invent data.
#[cold]
fn impossible_count() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the transport reports more bytes than there was room for")
}
