//! The system calls on sockets, the lookup of a name, and the start of a helper thread: each in one function, which all of the crate
//! goes through. In unit tests on Linux any of them fails on demand, see `faults`; in all other builds nothing stands between.

use std::io;
#[cfg(any(not(unix), all(target_os = "linux", not(portable_io))))]
use std::io::Read;
#[cfg(not(unix))]
use std::io::Write;
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
#[cfg(all(target_os = "linux", not(portable_io)))]
use std::time::Duration;

use rustix::event::{PollFd, Timespec};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

#[cfg(all(test, target_os = "linux"))]
#[cfg_attr(
    any(shuttle, not(any(feature = "native-tls", feature = "rustls"))),
    allow(dead_code, reason = "its tests are not built")
)]
pub(crate) mod faults;

#[cfg(all(test, target_os = "linux"))]
use self::faults::{attempt, look_up as attempt_lookup, transfer};

/// Which call it is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[cfg_attr(not(test), allow(dead_code, reason = "tests alone ask which, and not every system has all"))]
pub(crate) enum Call {
    /// The lookup of a name: getaddrinfo.
    Lookup,
    /// The start of a helper thread.
    Spawn,
    /// socket, or socketpair.
    Open,
    /// Blocking or not: ioctl with FIONBIO.
    SetMode,
    /// setsockopt with SO_RCVTIMEO.
    SetTimeout,
    Connect,
    /// getsockname, getpeername.
    Address,
    Poll,
    /// recv, whether it waits or not.
    Receive,
    Send,
    Shutdown,
}

/// A call that moves bytes or counts: what it is given to do at most, and how much it has done.
#[cfg(not(all(test, target_os = "linux")))]
#[inline(always)]
fn transfer(
    _: Call,
    _: Option<&Socket>,
    most: usize,
    call: impl FnOnce(usize) -> io::Result<usize>,
) -> io::Result<usize> {
    call(most)
}

/// A call that is done or fails.
#[cfg(not(all(test, target_os = "linux")))]
#[inline(always)]
fn attempt<T>(_: Call, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    call()
}

#[cfg(not(all(test, target_os = "linux")))]
#[inline(always)]
fn attempt_lookup(call: impl FnOnce() -> io::Result<Vec<SocketAddr>>) -> io::Result<Vec<SocketAddr>> {
    call()
}

/// Reads what has arrived, whatever the mode of the socket.
#[cfg(unix)]
#[inline]
pub(super) fn receive(socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    transfer(Call::Receive, Some(socket), buf.len(), |most| {
        Ok(rustix::net::recv(socket, &mut buf[..most], rustix::net::RecvFlags::DONTWAIT)?.0)
    })
}

#[cfg(not(unix))]
pub(super) fn receive(mut socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    set_nonblocking(socket, true)?;
    transfer(Call::Receive, Some(socket), buf.len(), |most| socket.read(&mut buf[..most]))
}

/// Reads, and waits for bytes as long as the socket's timeout says.
#[cfg(all(target_os = "linux", not(portable_io)))]
#[inline]
pub(super) fn receive_waiting(mut socket: &Socket, buf: &mut [u8]) -> io::Result<usize> {
    transfer(Call::Receive, Some(socket), buf.len(), |most| socket.read(&mut buf[..most]))
}

/// How long the socket waits for bytes.
#[cfg(all(target_os = "linux", not(portable_io)))]
pub(super) fn set_read_timeout(socket: &Socket, timeout: Option<Duration>) -> io::Result<()> {
    attempt(Call::SetTimeout, || socket.set_read_timeout(timeout))
}

/// A peer that has gone makes a write fail; it must not kill the process (SIGPIPE), whoever opened the socket.
#[cfg(all(unix, not(target_vendor = "apple")))]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::NOSIGNAL;
/// There it is an option of the socket (SO_NOSIGPIPE), which std and socket2 set.
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: rustix::net::SendFlags = rustix::net::SendFlags::empty();

/// Writes what there is room for, whatever the mode of the socket.
#[cfg(unix)]
#[inline]
pub(super) fn send(socket: &Socket, buf: &[u8]) -> io::Result<usize> {
    #[cfg(target_vendor = "apple")]
    set_nonblocking(socket, true)?;
    transfer(Call::Send, Some(socket), buf.len(), |most| {
        Ok(rustix::net::send(socket, &buf[..most], NO_SIGNAL | rustix::net::SendFlags::DONTWAIT)?)
    })
}

/// Windows may copy all that it is given into memory of its own, however much that is.
#[cfg(not(unix))]
pub(super) fn send(mut socket: &Socket, buf: &[u8]) -> io::Result<usize> {
    set_nonblocking(socket, true)?;
    transfer(Call::Send, Some(socket), buf.len().min(64 * 1024), |most| socket.write(&buf[..most]))
}

/// How many are ready.
pub(super) fn poll(polled: &mut [PollFd<'_>], timeout: Option<&Timespec>) -> io::Result<usize> {
    transfer(Call::Poll, None, polled.len(), |_| Ok(rustix::event::poll(polled, timeout)?))
}

/// By one system call on every system, where socket2 asks for the flags first on Unix.
pub(super) fn set_nonblocking(socket: &Socket, is_nonblocking: bool) -> io::Result<()> {
    attempt(Call::SetMode, || Ok(rustix::io::ioctl_fionbio(socket, is_nonblocking)?))
}

pub(super) fn open(domain: Domain, protocol: Option<Protocol>) -> io::Result<Socket> {
    attempt(Call::Open, || Socket::new(domain, Type::STREAM, protocol))
}

#[cfg(unix)]
pub(super) fn open_pair() -> io::Result<(UnixStream, UnixStream)> {
    attempt(Call::Open, UnixStream::pair)
}

pub(super) fn connect(socket: &Socket, address: &SockAddr) -> io::Result<()> {
    attempt(Call::Connect, || socket.connect(address))
}

pub(super) fn local_address(socket: &Socket) -> io::Result<SockAddr> {
    attempt(Call::Address, || socket.local_addr())
}

pub(super) fn peer_address(socket: &Socket) -> io::Result<SockAddr> {
    attempt(Call::Address, || socket.peer_addr())
}

pub(super) fn shutdown(socket: &Socket, how: Shutdown) -> io::Result<()> {
    attempt(Call::Shutdown, || socket.shutdown(how))
}

/// By the resolver of the platform, for as long as that takes.
pub(super) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    attempt_lookup(|| (host, port).to_socket_addrs().map(Iterator::collect))
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    attempt(Call::Spawn, || thread::Builder::new().name(name.to_owned()).spawn(work))
}
