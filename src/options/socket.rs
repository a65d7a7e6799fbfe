//! What is set on a TCP socket before it connects.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use super::Hook;

/// What is set on a TCP socket before it connects: websocket-client's defaults, and a limit for data that nobody
/// acknowledges.
///
/// What a platform does not have is left out there.
///
/// ```
/// use std::time::Duration;
/// use websocket_sync::{ConnectOptions, SocketOptions};
///
/// let seconds = Duration::from_secs;
/// let socket = SocketOptions::new().keepalive(seconds(10), seconds(5), 3).recv_buffer_size(1 << 20);
/// let options = ConnectOptions::new().socket(socket);
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "sockopt")]
#[doc(alias = "DEFAULT_SOCKET_OPTION")]
#[non_exhaustive]
pub struct SocketOptions {
    pub(crate) nodelay: bool,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) recv_buffer_size: Option<usize>,
    pub(crate) send_buffer_size: Option<usize>,
    pub(crate) configure: Option<Hook<Configure>>,
}

pub(crate) type Configure = dyn Fn(&TcpStream) -> io::Result<()> + Send + Sync;

/// When and how often the system asks a silent peer whether it is still there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Keepalive {
    pub(crate) idle: Duration,
    pub(crate) interval: Duration,
    pub(crate) count: u32,
}

impl SocketOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends small messages at once (`TCP_NODELAY`).
    ///
    /// Default: so.
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

    /// After `idle` without a byte the system asks the peer whether it is there, then every `interval`, and takes the
    /// connection for lost after `count` questions without an answer. Whole seconds.
    ///
    /// Default: 30 s, 10 s, 3.
    #[doc(alias = "SO_KEEPALIVE")]
    #[doc(alias = "TCP_KEEPIDLE")]
    #[doc(alias = "TCP_KEEPINTVL")]
    #[doc(alias = "TCP_KEEPCNT")]
    pub fn keepalive(self, idle: Duration, interval: Duration, count: u32) -> Self {
        Self { keepalive: Some(Keepalive { idle, interval, count }), ..self }
    }

    /// Does not ask a silent peer whether it is there.
    ///
    /// Default: it is asked.
    pub fn without_keepalive(self) -> Self {
        Self { keepalive: None, ..self }
    }

    /// Takes the connection for lost when data has not been acknowledged for so long (`TCP_USER_TIMEOUT`, on Linux).
    /// Keepalive does not notice that, since it asks only when nothing else is on its way.
    ///
    /// Default: 60 s.
    #[doc(alias = "TCP_USER_TIMEOUT")]
    pub fn user_timeout(self, timeout: Duration) -> Self {
        Self { user_timeout: Some(timeout), ..self }
    }

    /// Leaves it to the system how long data may go without being acknowledged: a quarter of an hour on Linux.
    ///
    /// Default: 60 s.
    pub fn without_user_timeout(self) -> Self {
        Self { user_timeout: None, ..self }
    }

    /// The size of the system's receive buffer, in bytes (`SO_RCVBUF`).
    ///
    /// Default: the system finds it, and does so better than a fixed number.
    #[doc(alias = "SO_RCVBUF")]
    pub fn recv_buffer_size(self, bytes: usize) -> Self {
        Self { recv_buffer_size: Some(bytes), ..self }
    }

    /// The size of the system's send buffer, in bytes (`SO_SNDBUF`).
    ///
    /// Default: the system finds it.
    #[doc(alias = "SO_SNDBUF")]
    pub fn send_buffer_size(self, bytes: usize) -> Self {
        Self { send_buffer_size: Some(bytes), ..self }
    }

    /// Called with each socket after all else has been set and before it connects: for whatever has no setter here. An
    /// error keeps the socket from being used.
    ///
    /// Default: nothing.
    ///
    /// ```
    /// use websocket_sync::SocketOptions;
    ///
    /// let near = SocketOptions::new().configure(|socket| socket.set_ttl(1));
    /// ```
    #[doc(alias = "setsockopt")]
    pub fn configure(self, hook: impl Fn(&TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self { configure: Some(Hook(Arc::new(hook))), ..self }
    }
}

impl Default for SocketOptions {
    fn default() -> Self {
        let keepalive = Keepalive { idle: Duration::from_secs(30), interval: Duration::from_secs(10), count: 3 };
        Self {
            nodelay: true,
            keepalive: Some(keepalive),
            user_timeout: Some(Duration::from_secs(60)),
            recv_buffer_size: None,
            send_buffer_size: None,
            configure: None,
        }
    }
}
