//! A stream of the user's own for each hop of an opening.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::{ConnectOptions, Hook};
use crate::net::Transport;
use crate::url::{Target, without_query};

/// Connects to a server.
pub(crate) type Dial = dyn Fn(&Hop) -> io::Result<Box<dyn Transport>> + Send + Sync;

/// A server that an opening is to be connected to: the one of the URL, or where a redirect leads.
///
/// Handed to a hook of [`ConnectOptions::dial_with`].
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

impl ConnectOptions {
    /// Connects with a function of your own: to the server of the URL, again where a challenge is answered, and wherever redirects lead.
    /// It takes the place of the [resolver](Self::resolver), of the [proxy](Self::proxy) and of what is set on
    /// [sockets](Self::socket). TLS is spoken over the stream for `wss`, and then HTTP.
    ///
    /// The function runs on a thread of its own, so that the [open timeout](Self::open_timeout) holds, unless that is endless and
    /// there is no [cancellation](Self::cancellation); but one that never returns keeps that thread, whoever has given up waiting; an
    /// app in an event loop does not call it again before. Its error is told as [`Error::Io`](crate::Error::Io) with
    /// [`Phase::Connect`](crate::Phase::Connect), and one of kind [`TimedOut`](io::ErrorKind::TimedOut) as
    /// [`Error::Timeout`](crate::Error::Timeout).
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
}
