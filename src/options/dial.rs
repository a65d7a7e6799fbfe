//! How the connection to a server is made: by the network, or by a function of the user's for each hop of an opening.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{ConnectOptions, Hook, SocketOptions, TlsOptions};
use crate::cancellation::Cancellation;
use crate::net::Transport;
use crate::url::{Target, without_query};

/// Connects to a server.
pub(crate) type Dial = dyn Fn(&Hop) -> io::Result<Box<dyn Transport>> + Send + Sync;

/// A server that an opening is to be connected to: the one of the URL, or where a redirect leads.
///
/// Handed to a hook of [`ConnectOptions::dial_with`].
///
/// ```no_run
/// use std::io;
/// use std::net::TcpStream;
///
/// use websocket_sync::{ConnectOptions, Hop};
///
/// fn dial(hop: &Hop) -> io::Result<TcpStream> {
///     if hop.socket_path().is_some() || hop.zone().is_some() || !hop.is_secure() {
///         return Err(io::Error::other(format!("{} is not for this tunnel", hop.url())));
///     }
///     TcpStream::connect((hop.host(), hop.port()))
/// }
///
/// let ws = ConnectOptions::new().dial_with(dial).connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct Hop {
    target: Target,
    deadline: Option<Instant>,
}

impl Hop {
    pub(crate) fn new(target: &Target, deadline: Option<Instant>) -> Self {
        Self { target: Target { userinfo: None, ..target.clone() }, deadline }
    }

    /// The host: a name in ASCII, or an address, an IPv6 one without brackets. `localhost` for a Unix socket.
    pub fn host(&self) -> &str {
        &self.target.host
    }

    /// The zone of a link-local IPv6 address: the name or number of an interface (RFC 6874).
    pub fn zone(&self) -> Option<&str> {
        self.target.zone.as_deref()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.target.port
    }

    /// The Unix socket of a URL with `ws+unix` or `wss+unix`.
    pub fn socket_path(&self) -> Option<&Path> {
        self.target.socket_path.as_deref()
    }

    /// Whether TLS is going to be spoken over the stream: it is `wss`.
    pub fn is_secure(&self) -> bool {
        self.target.secure
    }

    /// The URL, without user and password.
    pub fn url(&self) -> String {
        self.target.to_string()
    }

    /// When the [open timeout](ConnectOptions::open_timeout) is over; `None` for never. Nobody waits for the stream after that.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// Shows no query: there may be a secret in it.
impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        f.debug_struct("Hop").field("url", &without_query(&url)).field("deadline", &self.deadline).finish()
    }
}

/// How the connection is made.
///
/// ```no_run
/// use websocket_sync::{Cancellation, ConnectOptions, Family, SocketOptions, TlsOptions};
///
/// let cancellation = Cancellation::new();
/// let options = ConnectOptions::new()
///     .tls(TlsOptions::new().ca_certs("company-ca.pem"))
///     .socket(SocketOptions::new().family(Family::Ipv4Only))
///     .resolver(|_host, port| Ok(vec![([192, 0, 2, 7], port).into()]))
///     .cancellation(&cancellation);
/// let ws = options.connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl ConnectOptions {
    /// How TLS is spoken with a server of `wss`.
    ///
    /// Default: [`TlsOptions::new`].
    #[doc(alias = "sslopt")]
    pub fn tls(self, options: TlsOptions) -> Self {
        self.with(|settings| settings.tls = options)
    }

    /// What is set on the TCP socket before it connects.
    ///
    /// Default: [`SocketOptions::new`].
    #[doc(alias = "sockopt")]
    pub fn socket(self, options: SocketOptions) -> Self {
        self.with(|settings| settings.socket = options)
    }

    /// Resolves host names in place of the operating system: for another DNS, for a fixed address, for tests. The addresses are
    /// tried in their order, of which [`SocketOptions::family`] has IPv4 and IPv6 take turns. It is not called for hosts that are addresses.
    ///
    /// It is called for each host name that is connected to, and may block. That is on a thread of its own, or on the thread that connects
    /// if the [open timeout](Self::open_timeout) is endless and there is no [cancellation](Self::cancellation). If it never returns, that
    /// thread is never freed, although the opening times out, and an app in an event loop does not call it again before.
    ///
    /// Default: the operating system's resolver.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use websocket_sync::ConnectOptions;
    ///
    /// let staging = ConnectOptions::new().resolver(|_host, port| Ok(vec![SocketAddr::from(([192, 0, 2, 7], port))]));
    /// ```
    #[doc(alias = "getaddrinfo")]
    pub fn resolver(self, hook: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.resolver = Some(Hook(Arc::new(hook))))
    }

    /// Connects with a function of your own: to the server of the URL, again where a challenge is answered, and wherever redirects lead.
    /// It takes the place of the [resolver](Self::resolver), of the [proxy](Self::proxy) and of the [socket options](Self::socket). TLS is
    /// spoken over the stream for `wss`, and then HTTP.
    ///
    /// The function runs on a thread of its own, so that the [open timeout](Self::open_timeout) holds; on the thread that connects if that
    /// timeout is endless and there is no [cancellation](Self::cancellation). If it never returns, that thread is never freed, although
    /// the opening times out, and an app in an event loop does not call it again before. Its error is returned as
    /// [`Error::Io`](crate::Error::Io) with [`Phase::Connect`](crate::Phase::Connect), and one of kind
    /// [`TimedOut`](io::ErrorKind::TimedOut) as [`Error::Timeout`](crate::Error::Timeout).
    ///
    /// Default: the network.
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    ///
    /// use websocket_sync::ConnectOptions;
    ///
    /// // All hosts are behind one tunnel.
    /// let options = ConnectOptions::new().dial_with(|hop| {
    ///     println!("{}:{} until {:?}", hop.host(), hop.port(), hop.deadline());
    ///     TcpStream::connect("127.0.0.1:1080")
    /// });
    /// let ws = options.connect("wss://feed.example/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "socket")]
    pub fn dial_with<T: Into<Box<dyn Transport>>>(
        self,
        hook: impl Fn(&Hop) -> io::Result<T> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.dial = Some(Hook(Arc::new(move |hop| Ok(hook(hop)?.into())))))
    }

    /// Lets another thread cancel the opening. It interrupts every wait, except for a read or write of a
    /// [`HalfDuplex`](crate::HalfDuplex), which cannot be woken. A second call replaces the first.
    ///
    /// Default: none; the opening ends by the [open timeout](Self::open_timeout) at the latest.
    pub fn cancellation(self, cancellation: &Cancellation) -> Self {
        self.with(|settings| settings.cancellation = Some(cancellation.clone()))
    }
}
