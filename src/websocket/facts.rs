//! What is known of a connection and of TLS beneath it, and the timeouts that can be changed while it stands.

use std::net::SocketAddr;
use std::time::Duration;

use super::{ActiveConnection, WebSocket};
use crate::error::{Error, OptionsError, Result};
use crate::net::Source;
use crate::net::Stream;
use crate::options::TlsVersion;
use crate::protocol::DeflateParams;
use crate::protocol::handshake::{Headers, Response};
use crate::timings::Timings;

/// Timeouts. They can be changed while connected, and hold for later connections of this `WebSocket`, too.
///
/// ```no_run
/// use std::time::Duration;
///
/// let mut ws = websocket_sync::create_connection("wss://feed.example/")?;
/// ws.set_timeout(Some(Duration::from_secs(10)))?;
/// assert_eq!(ws.timeout(), Some(Duration::from_secs(10)));
/// // Or each by itself.
/// ws.set_recv_timeout(None)?;
/// ws.set_send_timeout(Some(Duration::from_secs(5)))?;
/// ws.set_close_timeout(Duration::from_secs(1))?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// Sets the timeouts for receiving and for sending; `None` for the defaults.
    ///
    /// # Errors
    ///
    /// [`Error::Options`](crate::Error::Options) for a timeout of zero.
    #[doc(alias = "settimeout")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.set_send_timeout(timeout)?;
        self.set_recv_timeout(timeout)
    }

    /// Sets the timeout for receiving; `None` to wait for as long as it takes, zero to take what has arrived.
    ///
    /// # Errors
    ///
    /// It never fails.
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.timeouts.recv = timeout;
        if let Some(connection) = &mut self.connection {
            connection.reader_mut().timeout = timeout;
        }
        Ok(())
    }

    /// Sets the timeout for a whole send; `None` for 30 s without progress.
    ///
    /// # Errors
    ///
    /// [`Error::Options`](crate::Error::Options) for a timeout of zero.
    pub fn set_send_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.timeouts.send = not_zero("send_timeout", timeout)?;
        if let Some(connection) = &self.connection {
            connection.shared.set_timeouts(|timeouts| timeouts.send = timeout);
        }
        Ok(())
    }

    /// Sets how long our Close may take to leave, and after that how long the peer's answer may take.
    ///
    /// # Errors
    ///
    /// [`Error::Options`](crate::Error::Options) for a timeout of zero.
    pub fn set_close_timeout(&mut self, timeout: Duration) -> Result<()> {
        not_zero("close_timeout", Some(timeout))?;
        self.timeouts.close = timeout;
        if let Some(connection) = &self.connection {
            connection.shared.set_timeouts(|timeouts| timeouts.close = timeout);
        }
        Ok(())
    }

    /// The timeout for receiving.
    #[doc(alias = "gettimeout")]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeouts.recv
    }
}

/// What is known of the connection.
///
/// ```no_run
/// let ws = websocket_sync::create_connection("wss://feed.example/")?;
/// println!("{:?} from {:?} to {:?}", ws.url(), ws.local_addr(), ws.peer_addr());
/// println!("status {:?}, subprotocol {:?}", ws.status(), ws.subprotocol());
/// if let Some(headers) = ws.headers() {
///     println!("server: {:?}", headers.text("server"));
/// }
/// println!("opened in {:?}, TLS: {}, {} bytes of memory", ws.timings(), ws.is_ssl(), ws.memory());
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// The server's answer to the opening handshake; `None` while there is no connection, and for one of
    /// [`from_open`](crate::ConnectOptions::from_open).
    #[doc(alias = "handshake_response")]
    pub fn response(&self) -> Option<&Response> {
        self.connection.as_ref()?.response.as_deref()
    }

    /// The URL of the connection in its normal form, without user and password: the one that was asked for, or the last that a
    /// redirect led to. `None` while there is no connection, and in the server's role.
    ///
    /// ```no_run
    /// let ws = websocket_sync::create_connection("ws://example.com")?;
    /// println!("{:?} after {} redirects", ws.url(), ws.redirects().len());
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn url(&self) -> Option<&str> {
        self.connection.as_ref()?.visited.0.last().map(String::as_str)
    }

    /// The URLs that redirects led to, in their order and without user and password; the last one is that of the connection.
    pub fn redirects(&self) -> &[String] {
        self.connection.as_ref().and_then(|connection| connection.visited.0.get(1..)).unwrap_or_default()
    }

    /// The status of the server's answer to the opening handshake: 101. `None` while there is no connection.
    #[doc(alias = "getstatus")]
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// The header fields of the server's answer to the opening handshake; in the server's role, those of the client's request.
    #[doc(alias = "getheaders")]
    pub fn headers(&self) -> Option<&Headers> {
        self.response().map(|response| &response.headers)
    }

    /// The subprotocol that was agreed upon; `None` if there is none.
    #[doc(alias = "getsubprotocol")]
    pub fn subprotocol(&self) -> Option<&str> {
        self.response()?.subprotocol.as_deref()
    }

    /// How long each phase of the opening took; none of them for a stream that was accepted.
    pub fn timings(&self) -> Option<Timings> {
        self.connection.as_ref().map(|connection| connection.timings)
    }

    /// The parameters of permessage-deflate that were agreed; `None` if messages are not compressed.
    pub fn deflate(&self) -> Option<DeflateParams> {
        self.connection.as_ref()?.deflate
    }

    /// Whether TLS protects the connection, all the way to the peer. TLS with a proxy alone does not.
    pub fn is_ssl(&self) -> bool {
        self.stream().is_some_and(Stream::is_secure)
    }

    /// The address of this end, if the stream has one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.shared.stream.local_addr()
    }

    /// The address of the peer, if the stream has one; behind a proxy, that of the proxy.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.shared.stream.peer_addr()
    }

    /// The socket, to be waited for to read, and to write while something waits to be sent.
    pub(crate) fn source(&self) -> Option<Source> {
        let source = self.connection.as_ref()?.shared.stream.source();
        Some(if self.wants_write() { source.and_writing() } else { source })
    }

    /// The socket, if the stream is one: to be waited for or configured, not to be read or written. `None` while there is no
    /// connection. Before waiting for it, see [`has_buffered`](Self::has_buffered).
    ///
    /// ```no_run
    /// # #[cfg(unix)]
    /// # fn main() -> websocket_sync::Result<()> {
    /// use std::os::fd::AsRawFd;
    ///
    /// let ws = websocket_sync::create_connection("wss://feed.example/")?;
    /// if let Some(socket) = ws.as_fd() {
    ///     println!("file descriptor {}", socket.as_raw_fd());
    /// }
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    #[cfg(unix)]
    #[doc(alias = "fileno")]
    pub fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.connection.as_ref()?.shared.stream.as_fd()
    }

    /// The socket, if the stream is one: to be waited for or configured, not to be read or written. `None` while there is no
    /// connection. Before waiting for it, see [`has_buffered`](Self::has_buffered).
    #[cfg(windows)]
    #[doc(alias = "fileno")]
    pub fn as_socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.connection.as_ref()?.shared.stream.as_socket()
    }

    /// How much memory the buffers of the connection take, in bytes; without those of the TLS library.
    pub fn memory(&self) -> usize {
        self.connection.as_ref().map_or(0, ActiveConnection::memory)
    }
}

/// What is known of TLS with the peer. All of it is `None` without that, also where TLS is spoken with a proxy alone, and while there is no
/// connection.
///
/// ```no_run
/// let ws = websocket_sync::create_connection("wss://echo.example/")?;
/// if let Some(certificate) = ws.peer_certificate() {
///     println!("{} bytes of DER over {:?} with {:?}", certificate.len(), ws.tls_version(), ws.tls_cipher_suite());
/// }
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// The peer's certificate, in DER form (RFC 5280); `None` for a client that has shown none.
    #[doc(alias = "getpeercert")]
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.stream()?.peer_certificate()
    }

    /// The version of TLS that was agreed upon; native-tls does not tell.
    pub fn tls_version(&self) -> Option<TlsVersion> {
        self.stream()?.tls_version()
    }

    /// The cipher suite that was agreed upon, by its IANA name; native-tls does not tell.
    #[doc(alias = "cipher")]
    pub fn tls_cipher_suite(&self) -> Option<String> {
        self.stream()?.cipher_suite()
    }

    /// The application protocol that was agreed upon (ALPN, RFC 7301); `None` also when the server picked none. See
    /// [`TlsOptions::alpn`](crate::TlsOptions::alpn).
    #[doc(alias = "selected_alpn_protocol")]
    pub fn alpn(&self) -> Option<String> {
        self.stream()?.alpn()
    }

    fn stream(&self) -> Option<&Stream> {
        self.connection.as_ref().map(|connection| &connection.shared.stream)
    }
}

/// Refuses a timeout of zero for sending and closing: `try_send` and its kin are the calls that do not wait.
fn not_zero(option: &'static str, timeout: Option<Duration>) -> Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(Error::Options(Box::new(OptionsError::of_zero(option))));
    }
    Ok(timeout)
}
