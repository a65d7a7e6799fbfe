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

use super::deadline::{Deadline, is_timeout, timed_out};
use super::layer::Layer;
use super::send_timer::SendTimer;
#[cfg(feature = "mio")]
use super::socket::Socket;
use super::source::Source;
use super::tls::{Tls, TlsEnd};
use super::transport::{Interest, Transport};
use crate::cancellation::{Cancellation, Watch};
use crate::options::TlsVersion;
use crate::sync::now;

/// A transport beneath any number of TLS layers: none for `ws`, one for `wss`, two for `wss` through a proxy that
/// speaks TLS itself.
#[derive(Debug)]
pub(crate) enum Stream {
    /// The transport itself. Shared with whoever may have to end it from another thread.
    Plain(Arc<dyn Transport>),
    /// TLS over another stream.
    Tls(Box<Tls<Self>>),
}

impl Stream {
    /// Writes all of `buf` without waiting, so that nothing of it is left here either.
    ///
    /// # Errors
    ///
    /// What a [`try_write`](Layer::try_write) said that has done less.
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

    /// Whether the transport has bytes that nobody has read, or has ended. Does not wait.
    pub(crate) fn is_readable(&self) -> bool {
        self.transport().wait(Interest::Read, Some(now())).unwrap_or(true)
    }

    /// Ends the transport when it is cancelled, until what this returns is dropped. That wakes whoever waits in the stream,
    /// through all its layers.
    pub(crate) fn watch(&self, cancellation: Option<&Cancellation>) -> Option<Watch> {
        let cancellation = cancellation?;
        let transport = Arc::clone(self.transport());
        Some(cancellation.watch(move || {
            let _ = transport.shutdown(Shutdown::Both);
        }))
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

    /// Whether TLS is spoken with the peer, and not merely with a proxy on the way there.
    pub(crate) fn is_secure(&self) -> bool {
        self.peers_tls().is_some()
    }

    /// The peer's certificate, in DER form: that of the server, not of a proxy. None without TLS, or where the library does not tell, as
    /// with the facts below.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.peers_tls()?.peer_certificate()
    }

    /// The application protocol that was agreed upon (RFC 7301).
    pub(crate) fn alpn(&self) -> Option<String> {
        self.peers_tls()?.alpn()
    }

    /// The version of TLS that was agreed upon.
    pub(crate) fn tls_version(&self) -> Option<TlsVersion> {
        self.peers_tls()?.version()
    }

    /// The cipher suite that was agreed upon, by its IANA name.
    pub(crate) fn cipher_suite(&self) -> Option<String> {
        self.peers_tls()?.cipher_suite()
    }

    /// The TLS that is spoken with the peer.
    fn peers_tls(&self) -> Option<&Tls<Self>> {
        self.tls().filter(|tls| tls.end() == TlsEnd::Peer)
    }

    /// The outermost layer of TLS.
    const fn tls(&self) -> Option<&Tls<Self>> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Plain(_) => None,
        }
    }
}

impl Layer for Stream {
    #[inline]
    fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        // Nothing read would look like the end of the stream. There is no room only where there is no memory for it.
        if buf.is_empty() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        match self {
            Self::Plain(transport) => read(&**transport, buf, deadline),
            Self::Tls(tls) => tls.read(buf, deadline),
        }
    }

    fn send(&self, buf: &[u8], timer: &mut SendTimer, taken: &mut usize) -> io::Result<()> {
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

    #[inline]
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(transport) => try_write(&**transport, buf),
            Self::Tls(tls) => tls.try_write(buf),
        }
    }

    fn has_input(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.has_input())
    }

    fn arrived(&self) -> u64 {
        self.tls().map_or(0, Tls::arrived)
    }

    #[inline]
    fn has_output(&self) -> bool {
        matches!(self, Self::Tls(tls) if tls.has_output())
    }

    fn output_len(&self) -> usize {
        self.tls().map_or(0, Tls::output_len)
    }

    fn try_flush(&self) -> io::Result<()> {
        self.tls().map_or(Ok(()), Tls::try_flush)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Plain(transport) => transport.shutdown(how),
            Self::Tls(tls) => tls.shutdown(how),
        }
    }

    fn release(&self) {
        if let Some(tls) = self.tls() {
            tls.release();
        }
    }

    fn can_release(&self) -> bool {
        self.tls().is_some_and(Tls::can_release)
    }

    fn memory(&self) -> usize {
        self.tls().map_or(0, Tls::memory)
    }

    fn is_tls(&self) -> bool {
        self.tls().is_some()
    }

    fn transport(&self) -> &Arc<dyn Transport> {
        match self {
            Self::Plain(transport) => transport,
            Self::Tls(tls) => tls.transport(),
        }
    }
}

impl From<Tls<Self>> for Stream {
    fn from(tls: Tls<Self>) -> Self {
        Self::Tls(Box::new(tls))
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
