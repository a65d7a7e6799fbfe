//! Sockets that have their options and are not connected yet.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use crate::options::SocketOptions;

/// A socket for a connection to `address`.
///
/// # Errors
///
/// What the system says of the socket, of the local address or of the device, and what the user's hook says.
pub(super) fn tcp(address: SocketAddr, options: &SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
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
pub(super) fn unix(options: &SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    buffers(&socket, options);
    configure(&socket, options)?;
    Ok(socket)
}

/// Sets what the platform has. Nothing here is worth failing for.
fn apply(socket: &Socket, options: &SocketOptions) {
    tell("TCP_NODELAY", socket.set_tcp_nodelay(options.nodelay));
    if let Some(keepalive) = options.keepalive {
        let settings = TcpKeepalive::new().with_time(keepalive.idle).with_interval(keepalive.interval);
        tell("keepalive", socket.set_tcp_keepalive(&settings.with_retries(keepalive.count)));
    }
    #[cfg(target_os = "linux")]
    if let Some(limit) = options.unacknowledged_limit() {
        tell("TCP_USER_TIMEOUT", socket.set_tcp_user_timeout(Some(limit)));
    }
    if options.quickack {
        tell("TCP_QUICKACK", quickack(socket));
    }
}

fn buffers(socket: &Socket, options: &SocketOptions) {
    if let Some(bytes) = options.recv_buffer_size {
        tell("SO_RCVBUF", socket.set_recv_buffer_size(bytes));
    }
    if let Some(bytes) = options.send_buffer_size {
        tell("SO_SNDBUF", socket.set_send_buffer_size(bytes));
    }
}

fn tell(name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        log::debug!("cannot set {name}: {error}");
    }
}

#[cfg(target_os = "linux")]
fn quickack(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_quickack(true)
}

#[cfg(not(target_os = "linux"))]
fn quickack(_socket: &Socket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A way that was asked for is worth failing for: the bytes must not take another one.
fn bind(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
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
fn bind_device(socket: &Socket, device: &str) -> io::Result<()> {
    socket.bind_device(Some(device.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn bind_device(_socket: &Socket, _device: &str) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "SocketOptions::device is for Linux"))
}

fn configure(socket: &Socket, options: &SocketOptions) -> io::Result<()> {
    match &options.configure {
        Some(configure) => (configure.0)(socket),
        None => Ok(()),
    }
}
