//! One connection as the driver sees it: a transport, with or without TLS upon it.

use std::io;
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::sync::Arc;
use std::time::Duration;

use super::deadline::{Deadline, Patience, cut_short, is_timeout, timed_out};
use super::tls::Tls;
use super::transport::Transport;
use crate::cancellation::{Cancellation, Watch};

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
    /// How many bytes of it have left or will leave, so that nothing else can take their place; `None` where the system does not
    /// tell.
    pub(crate) taken: Option<usize>,
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
        debug_assert!(!buf.is_empty(), "would look like the end of the stream");
        match self {
            Self::Plain(transport) => read(&**transport, buf, deadline),
            Self::Tls(tls) => tls.read(buf, deadline),
        }
    }

    /// Writes all of `buf`, after what an earlier write may have left behind.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when patience ran out, with the word how much has left.
    pub(crate) fn write_all(&self, buf: &[u8], patience: Patience) -> Result<(), WriteError> {
        let mut rest = buf;
        let result = loop {
            if rest.is_empty() {
                break self.flush(patience);
            }
            match self.write(rest, patience) {
                Ok(n) => rest = &rest[n..],
                Err(error) => break Err(error),
            }
        };
        // Where a write that times out says nothing of how far it came, anything may have left.
        let unknown = |error: &io::Error| cfg!(windows) && error.kind() == io::ErrorKind::TimedOut;
        result.map_err(|error| WriteError { taken: (!unknown(&error)).then(|| buf.len() - rest.len()), error })
    }

    /// Writes what can be written without waiting, and says how many bytes that is: possibly none.
    ///
    /// TLS takes up to 64 KiB, unless something earlier is still in its way. What of it does not leave at once leaves
    /// before anything that is written later; see [`has_output`](Self::has_output).
    ///
    /// # Errors
    ///
    /// Those that are the end.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => try_write(&**transport, buf),
            Self::Tls(tls) => tls.try_write(buf),
        }
    }

    /// Whether a read may give bytes without waiting for the network: TLS has some that did not fit the last read.
    pub(crate) fn has_input(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.has_input(),
        }
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

    /// Whether TLS has bytes to send that no write is going to send: the rest of a [`try_write`](Self::try_write), or
    /// what TLS itself has to say to the peer and could not.
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

    /// Sends of them what can be sent without waiting. Harmless at any time, from any thread.
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

    /// Ends one direction or both and wakes the threads that wait in it. Never waits. TLS says farewell first, if it
    /// can do so without waiting.
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

    fn transport(&self) -> &Arc<dyn Transport> {
        match self {
            Self::Plain(transport) => transport,
            Self::Tls(tls) => tls.below().transport(),
        }
    }

    /// Takes some bytes, waiting if it must. Those that TLS took leave at the latest with [`flush`](Self::flush).
    pub(super) fn write(&self, buf: &[u8], patience: Patience) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => write(&**transport, buf, patience),
            Self::Tls(tls) => tls.write(buf, patience),
        }
    }

    /// Sends what TLS took.
    #[inline]
    pub(super) fn flush(&self, patience: Patience) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(tls) => tls.flush(patience),
        }
    }
}

impl From<Box<dyn Transport>> for Stream {
    fn from(transport: Box<dyn Transport>) -> Self {
        Self::Plain(transport.into())
    }
}

#[inline]
fn read(transport: &dyn Transport, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
    loop {
        let wait = match deadline.wait() {
            Ok(wait) => cut_short(wait),
            Err(_) if deadline.is_now() => return try_read(transport, buf),
            Err(error) => return Err(error),
        };
        match transport.read(buf, wait) {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => again(error).or_else(|error| go_on(error, deadline, wait))?,
        }
    }
}

fn try_read(transport: &dyn Transport, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match transport.try_read(buf) {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => again(error)?,
        }
    }
}

#[inline]
fn write(transport: &dyn Transport, buf: &[u8], patience: Patience) -> io::Result<usize> {
    loop {
        let wait = patience.wait()?;
        // Without a deadline for the whole there is nothing to be late for.
        let wait = if patience.stall.is_none() { cut_short(wait) } else { wait };
        match transport.write(buf, wait) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => again(error).or_else(|error| go_on(error, patience.total, wait))?,
        }
    }
}

fn try_write(transport: &dyn Transport, buf: &[u8]) -> io::Result<usize> {
    loop {
        match transport.try_write(buf) {
            Ok(n) if n <= buf.len() => return Ok(n),
            Ok(_) => return Err(impossible_count()),
            Err(error) => match again(error) {
                Ok(()) => {}
                Err(error) if is_timeout(&error) => return Ok(0),
                Err(error) => return Err(error),
            },
        }
    }
}

/// Whether a call has to be made again. A wait that was too long is called by different names on different systems.
#[cold]
fn again(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        _ if is_timeout(&error) => Err(timed_out()),
        _ => Err(error),
    }
}

/// Goes on with a wait that was cut short.
#[cold]
fn go_on(error: io::Error, deadline: Deadline, waited: Option<Duration>) -> io::Result<()> {
    if is_timeout(&error) && deadline.goes_on(waited) { Ok(()) } else { Err(error) }
}

/// A transport that claims more bytes than it was given. To believe it would be to invent data.
#[cold]
fn impossible_count() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the transport reports more bytes than there was room for")
}
