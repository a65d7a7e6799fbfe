//! How a socket connects, and what is set on it before.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Hook;
use crate::error::OptionsError;

/// The longest name of a device, in bytes: `IFNAMSIZ` without the zero at its end.
const MAX_DEVICE: usize = 15;

/// How a socket connects, and what is set on it before: websocket-client's defaults. It holds for each socket that is connected, to a
/// server or to a proxy.
///
/// What a platform does not have is left out there, unless it says otherwise. A Unix socket takes the sizes of the buffers and the
/// [hook](Self::configure).
///
/// ```
/// use std::time::Duration;
/// use websocket_sync::{ConnectOptions, SocketOptions};
///
/// let seconds = Duration::from_secs;
/// let socket = SocketOptions::new().keepalive(seconds(10), seconds(5), 3).recv_buffer_size(1 << 20);
/// let options = ConnectOptions::new().socket(socket);
///
/// // Addresses are given up sooner, and a peer that acknowledges nothing for a minute.
/// let impatient = SocketOptions::new().attempt_timeout(seconds(3)).user_timeout(seconds(60)).quickack();
/// let plain = SocketOptions::new().without_nodelay().without_keepalive().send_buffer_size(1 << 20);
/// let defaults = SocketOptions::new().nodelay().without_user_timeout();
/// ```
#[derive(Clone, Debug)]
#[must_use]
#[doc(alias = "sockopt")]
#[doc(alias = "DEFAULT_SOCKET_OPTION")]
#[non_exhaustive]
pub struct SocketOptions {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<TcpKeepaliveOptions>,
    /// None: as long as the system lets data go without being acknowledged.
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) recv_buffer_size: Option<usize>,
    pub(crate) send_buffer_size: Option<usize>,
    pub(crate) quickack: bool,
    pub(crate) family: Family,
    pub(crate) bind: Option<SocketAddr>,
    pub(crate) device: Option<String>,
    /// None: a while, if other addresses are left.
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) configure: Option<Hook<Configure>>,
}

/// Which addresses of a host are tried, and which of them first.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Family {
    /// All, beginning with the family that the resolver put first.
    #[default]
    Any,
    /// All, IPv4 first.
    PreferIpv4,
    /// All, IPv6 first.
    PreferIpv6,
    /// Those of IPv4 only.
    Ipv4Only,
    /// Those of IPv6 only.
    Ipv6Only,
}

/// Sets what has no setter.
type Configure = dyn Fn(&socket2::Socket) -> io::Result<()> + Send + Sync;

/// When and how often the system asks a silent peer whether it is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TcpKeepaliveOptions {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl TcpKeepaliveOptions {
    const USUAL: Self = Self { idle: Duration::from_secs(30), interval: Duration::from_secs(10), count: 3 };
}

impl SocketOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends small messages at once (`TCP_NODELAY`).
    ///
    /// Default: this.
    #[doc(alias = "TCP_NODELAY")]
    pub fn nodelay(self) -> Self {
        Self { nodelay: true, ..self }
    }

    /// Lets the system hold a small message back until the peer has acknowledged the one before.
    ///
    /// Default: it does not.
    pub fn without_nodelay(self) -> Self {
        Self { nodelay: false, ..self }
    }

    /// TCP keepalive: after `idle` without a byte the system probes the peer every `interval`, and ends the connection after `count`
    /// probes without an answer. Both are rounded up to whole seconds, and are 1 s to 32,767 s; there are 1 to 127 probes. So it is on
    /// Linux, and what is beyond is taken for the nearest of these. It does not probe while data waits to be acknowledged: then
    /// [`user_timeout`](Self::user_timeout) says how a peer that vanished is detected; on Linux it also replaces the count where it is
    /// set.
    ///
    /// Default: 30 s, 10 s, 3.
    #[doc(alias = "SO_KEEPALIVE")]
    #[doc(alias = "TCP_KEEPIDLE")]
    #[doc(alias = "TCP_KEEPINTVL")]
    #[doc(alias = "TCP_KEEPCNT")]
    pub fn keepalive(self, idle: Duration, interval: Duration, count: u32) -> Self {
        Self { keepalive: Some(TcpKeepaliveOptions { idle, interval, count }), ..self }
    }

    /// Turns TCP keepalive off.
    ///
    /// Default: it is on.
    pub fn without_keepalive(self) -> Self {
        Self { keepalive: None, ..self }
    }

    /// Ends the connection when data has waited for this long (`TCP_USER_TIMEOUT`, on Linux): sent and not acknowledged, or not sent
    /// because the peer's receive window is full. The second case also hits a peer that is alive and only does not read: stopped in a
    /// debugger, collecting garbage, busy. So choose a time longer than any pause of the peer. It is 1 ms to 24 days; what is beyond is
    /// taken for the nearest of these.
    ///
    /// Other ways to detect a peer that vanished: [`ping_timeout`](crate::WebSocketApp::ping_timeout) of an app and a
    /// [receive timeout](crate::ConnectOptions::recv_timeout), at once and on every system; [`keepalive`](Self::keepalive), but only while
    /// nothing that was sent is unacknowledged.
    ///
    /// Default: the system's, about 15 minutes of retransmissions on Linux, as in Python.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub fn user_timeout(self, timeout: Duration) -> Self {
        Self { user_timeout: Some(timeout), ..self }
    }

    /// Undoes [`user_timeout`](Self::user_timeout): the system decides how long data may go without being acknowledged.
    ///
    /// Default: this.
    pub fn without_user_timeout(self) -> Self {
        Self { user_timeout: None, ..self }
    }

    /// The size of the system's receive buffer, in bytes (`SO_RCVBUF`).
    ///
    /// Default: the system adapts it to the connection, which is better than a fixed size.
    #[doc(alias = "SO_RCVBUF")]
    pub fn recv_buffer_size(self, bytes: usize) -> Self {
        Self { recv_buffer_size: Some(bytes), ..self }
    }

    /// The size of the system's send buffer, in bytes (`SO_SNDBUF`).
    ///
    /// Default: the system adapts it to the connection.
    #[doc(alias = "SO_SNDBUF")]
    pub fn send_buffer_size(self, bytes: usize) -> Self {
        Self { send_buffer_size: Some(bytes), ..self }
    }

    /// Asks the system to acknowledge what it receives at once (`TCP_QUICKACK`, on Linux). It may go back to its own ways later.
    ///
    /// Default: the system's ways.
    #[doc(alias = "TCP_QUICKACK")]
    pub fn quickack(self) -> Self {
        Self { quickack: true, ..self }
    }

    /// Which addresses of a host are tried, and which first. Two families take turns: while an attempt has not succeeded within 250
    /// ms, the next address is tried beside it, and when one fails, the next is tried at once (RFC 8305).
    ///
    /// Default: [`Family::Any`].
    ///
    /// ```
    /// use websocket_sync::{ConnectOptions, Family, SocketOptions};
    ///
    /// let options = ConnectOptions::new().socket(SocketOptions::new().family(Family::PreferIpv4));
    /// ```
    #[doc(alias = "AF_INET")]
    #[doc(alias = "AF_INET6")]
    pub fn family(self, family: Family) -> Self {
        Self { family, ..self }
    }

    /// How long each address is tried, the only one and the last one too; at most for the
    /// [open timeout](crate::ConnectOptions::open_timeout).
    ///
    /// Default: 10 s while others are left. The last one has what remains of the open timeout.
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    /// The address to connect from, and the port, where 0 stands for any. Addresses of the other family are not tried; with a port
    /// of one's own, two addresses of a host can not always be tried at the same time.
    ///
    /// Default: the system finds them.
    ///
    /// ```
    /// use websocket_sync::SocketOptions;
    ///
    /// let from = SocketOptions::new().bind(([192, 0, 2, 7], 0));
    /// ```
    #[doc(alias = "source_address")]
    pub fn bind(self, local: impl Into<SocketAddr>) -> Self {
        Self { bind: Some(local.into()), ..self }
    }

    /// The network device to use, whatever the routes say (`SO_BINDTODEVICE`). On another system than Linux it is
    /// refused.
    ///
    /// Default: that of the route.
    ///
    /// ```
    /// use websocket_sync::SocketOptions;
    ///
    /// let through = SocketOptions::new().device("wg0");
    /// ```
    #[doc(alias = "SO_BINDTODEVICE")]
    #[doc(alias = "interface")]
    pub fn device(self, name: impl Into<String>) -> Self {
        Self { device: Some(name.into()), ..self }
    }

    /// Called with each socket after all else has been set and before it connects: for whatever has no setter here. An
    /// error keeps the socket from being used. Several addresses of a host can make for several sockets.
    ///
    /// The socket is one of [socket2](crate::socket2), in the version that this crate re-exports. Whether it blocks, and its timeout for
    /// reads, are set by the crate afterwards, and are not to be changed through a clone of it.
    ///
    /// Default: nothing.
    ///
    /// ```
    /// use websocket_sync::{SocketOptions, socket2};
    ///
    /// let near = SocketOptions::new().configure(|socket: &socket2::Socket| socket.set_ttl_v4(1));
    /// ```
    #[doc(alias = "setsockopt")]
    pub fn configure(self, hook: impl Fn(&socket2::Socket) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { configure: Some(Hook(Arc::new(hook))), ..self }
    }
}

impl SocketOptions {
    /// Refuses what the system would take for something else.
    pub(super) fn check(&self) -> Result<(), OptionsError> {
        match &self.device {
            Some(_) if !cfg!(target_os = "linux") => Err(OptionsError::new("device", "for Linux only")),
            // Linux cuts a longer name, and takes none for any device.
            Some(name) if !(1..=MAX_DEVICE).contains(&name.len()) || name.contains('\0') => {
                Err(OptionsError::new("device", format!("{name:?} is not the name of a network device")))
            }
            _ => Ok(()),
        }
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            nodelay: true,
            keepalive: Some(TcpKeepaliveOptions::USUAL),
            user_timeout: None,
            recv_buffer_size: None,
            send_buffer_size: None,
            quickack: false,
            family: Family::Any,
            bind: None,
            device: None,
            attempt_timeout: None,
            configure: None,
        }
    }
}
