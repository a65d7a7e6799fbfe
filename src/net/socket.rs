//! Sockets of the operating system: how bytes pass through them, and what is set on them before they are connected.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
#[cfg(unix)]
use std::os::{
    fd::{AsFd, BorrowedFd},
    unix::net::UnixStream,
};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, TcpKeepalive};

use super::poll;
#[cfg(any(not(target_os = "linux"), portable_io))]
use super::shutdown::ShutdownState;
use super::system_calls;
#[cfg(all(target_os = "linux", not(portable_io)))]
use super::timed_read::ReadTimeout;
#[cfg(all(target_os = "linux", not(portable_io)))]
use super::transport;
use super::transport::{Interest, Transport};
use crate::options::SocketOptions;

/// A connected socket.
///
/// What does not wait (`try_read`, `try_write`) does not rely on the mode of the socket, which belongs to all who have a clone of it:
/// where the system can be told so for a single call (`MSG_DONTWAIT`), it is. macOS ignores that flag for send, and Windows has none, so
/// the mode is set again there. It is blocking on Linux, where reads wait with the timeout of the kernel, and non-blocking elsewhere.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(super) inner: socket2::Socket,
    #[cfg(all(target_os = "linux", not(portable_io)))]
    read_timeout: ReadTimeout,
    #[cfg(any(not(target_os = "linux"), portable_io))]
    shutdown: ShutdownState,
}

impl Socket {
    pub(crate) fn new(socket: socket2::Socket) -> Self {
        let socket = Self::connecting(socket);
        socket.set_mode();
        socket
    }

    /// One that has not connected yet, in non-blocking mode.
    pub(super) fn connecting(socket: socket2::Socket) -> Self {
        Self {
            inner: socket,
            #[cfg(all(target_os = "linux", not(portable_io)))]
            read_timeout: ReadTimeout::unknown(),
            #[cfg(any(not(target_os = "linux"), portable_io))]
            shutdown: ShutdownState::default(),
        }
    }

    /// Whether it is a TCP socket, and not a Unix one, of which one read may bring less than there is.
    #[cfg(feature = "mio")]
    pub(super) fn is_tcp(&self) -> bool {
        system_calls::local_address(&self.inner).is_ok_and(|address| address.is_ipv4() || address.is_ipv6())
    }

    /// Makes it blocking or not, as reads need it.
    pub(super) fn set_mode(&self) {
        // Should this fail, so does the first read.
        let _ = system_calls::set_nonblocking(&self.inner, cfg!(any(not(target_os = "linux"), portable_io)));
    }
}

impl Transport for Socket {
    #[inline]
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        #[cfg(all(target_os = "linux", not(portable_io)))]
        return system_calls::receive(&self.inner, buf);
        #[cfg(any(not(target_os = "linux"), portable_io))]
        self.shutdown.read(buf, |buf| system_calls::receive(&self.inner, buf))
    }

    #[inline]
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        system_calls::send(&self.inner, buf)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        #[cfg(all(target_os = "linux", not(portable_io)))]
        let is_shut_down = || false; // poll says so
        #[cfg(any(not(target_os = "linux"), portable_io))]
        let is_shut_down = || self.shutdown.has_ended(interest);
        poll::wait(&self.inner, interest, deadline, is_shut_down)
    }

    #[cfg(all(target_os = "linux", not(portable_io)))]
    #[inline]
    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.read_timeout.read(&self.inner, buf, deadline, |buf| transport::read(self, buf, deadline))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        #[cfg(all(target_os = "linux", not(portable_io)))]
        return system_calls::shutdown(&self.inner, how);
        #[cfg(any(not(target_os = "linux"), portable_io))]
        self.shutdown.shut_down(
            how,
            |buf| system_calls::receive(&self.inner, buf),
            || system_calls::shutdown(&self.inner, how),
        )
    }

    fn local_addr(&self) -> Option<SocketAddr> {
        system_calls::local_address(&self.inner).ok()?.as_socket()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        system_calls::peer_address(&self.inner).ok()?.as_socket()
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.inner.as_fd())
    }

    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        Some(self.inner.as_socket())
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

/// A socket for a connection to `address`.
///
/// # Errors
///
/// What the system says of the socket, of the local address or of the device, and what the user's hook says.
pub(super) fn tcp(address: SocketAddr, options: &SocketOptions) -> io::Result<socket2::Socket> {
    let socket = system_calls::open(Domain::for_address(address), Some(Protocol::TCP))?;
    apply(&socket, options);
    buffers(&socket, options);
    bind(&socket, options)?;
    configure(&socket, options)?;
    Ok(socket)
}

/// A Unix socket. Of the options there are the sizes of the buffers and the hook.
///
/// # Errors
///
/// What the system says of the socket, and what the user's hook says.
#[cfg(unix)]
pub(super) fn unix(options: &SocketOptions) -> io::Result<socket2::Socket> {
    let socket = system_calls::open(Domain::UNIX, None)?;
    buffers(&socket, options);
    configure(&socket, options)?;
    Ok(socket)
}

/// Sets what the platform has. Nothing here is worth failing for.
fn apply(socket: &socket2::Socket, options: &SocketOptions) {
    log_failure("TCP_NODELAY", socket.set_tcp_nodelay(options.nodelay));
    if let Some(keepalive) = options.keepalive {
        let settings = TcpKeepalive::new()
            .with_time(keepalive_seconds(keepalive.idle))
            .with_interval(keepalive_seconds(keepalive.interval))
            .with_retries(keepalive.count.clamp(1, MAX_KEEPALIVE_COUNT));
        log_failure("keepalive", socket.set_tcp_keepalive(&settings));
    }
    #[cfg(target_os = "linux")]
    if let Some(timeout) = options.user_timeout {
        let timeout = timeout.clamp(MIN_USER_TIMEOUT, MAX_USER_TIMEOUT);
        log_failure("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(timeout)));
    }
    if options.quickack {
        log_failure("TCP_QUICKACK", quickack(socket));
    }
}

/// Linux counts milliseconds in an `int`, and takes 0 for its own default.
#[cfg(target_os = "linux")]
const MIN_USER_TIMEOUT: Duration = Duration::from_millis(1);
#[cfg(target_os = "linux")]
const MAX_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX as u64);

/// The shortest and the longest time and the most probes that Linux takes (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL, MAX_TCP_KEEPCNT). What it
/// refuses would stay as the system has it, and so would what is set after it.
const MIN_KEEPALIVE: Duration = Duration::from_secs(1);
const MAX_KEEPALIVE: Duration = Duration::from_secs(32_767);
const MAX_KEEPALIVE_COUNT: u32 = 127;

/// Rounded up: the system counts in seconds, and takes no zero.
fn keepalive_seconds(duration: Duration) -> Duration {
    let rounded = duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0));
    Duration::from_secs(rounded).clamp(MIN_KEEPALIVE, MAX_KEEPALIVE)
}

/// The largest buffer that can be asked for: systems count bytes in an `int`.
const MAX_BUFFER: usize = i32::MAX as usize;

fn buffers(socket: &socket2::Socket, options: &SocketOptions) {
    if let Some(bytes) = options.recv_buffer_size {
        log_failure("SO_RCVBUF", socket.set_recv_buffer_size(bytes.min(MAX_BUFFER)));
    }
    if let Some(bytes) = options.send_buffer_size {
        log_failure("SO_SNDBUF", socket.set_send_buffer_size(bytes.min(MAX_BUFFER)));
    }
}

fn log_failure(name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        log::debug!("cannot set {name}: {error}");
    }
}

#[cfg(target_os = "linux")]
fn quickack(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_tcp_quickack(true)
}

#[cfg(not(target_os = "linux"))]
fn quickack(_socket: &socket2::Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A way that was asked for is worth failing for: the bytes must not take another one.
fn bind(socket: &socket2::Socket, options: &SocketOptions) -> io::Result<()> {
    if let Some(device) = &options.device {
        bind_device(socket, device)?;
    }
    let Some(local) = options.bind else { return Ok(()) };
    // Else a port of one's own could not be used again for as long as the connection before lingers in TIME_WAIT. Windows has
    // another meaning for it.
    #[cfg(unix)]
    if local.port() != 0 {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&local.into())
}

#[cfg(target_os = "linux")]
fn bind_device(socket: &socket2::Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn bind_device(_socket: &socket2::Socket, _device: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "SocketOptions::device is for Linux"))
}

fn configure(socket: &socket2::Socket, options: &SocketOptions) -> io::Result<()> {
    match &options.configure {
        Some(configure) => (configure.0)(socket),
        None => Ok(()),
    }
}
