//! The calls that make a connection, in both roles; [`opening`](super::opening) has what they do.

#[cfg(stepped_opening)]
use super::Opening;
use super::opening::{Opener, PendingUpgrade};
use super::{ActiveConnection, WebSocket};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
#[cfg(stepped_opening)]
use crate::net::HelperLock;
use crate::net::{Transport, WaitMode, block_on};
use crate::options::ConnectOptions;
use crate::protocol::{PerMessageDeflate, Role};
use crate::url::Target;

/// Opens a connection with the default options: `ConnectOptions::new().connect(url)`.
///
/// # Errors
///
/// As for [`ConnectOptions::connect`].
///
/// ```no_run
/// let mut ws = websocket_sync::create_connection("ws://localhost:9001/")?;
/// ws.send_text("Hello")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
pub fn create_connection(url: &str) -> Result<WebSocket> {
    ConnectOptions::new().connect(url)
}

/// Connecting.
///
/// ```no_run
/// use websocket_sync::{ConnectOptions, WebSocket};
///
/// let mut ws = WebSocket::with_options(ConnectOptions::new().header("X-Api-Version", "7"));
/// ws.connect("wss://feed.example/")?;
/// ws.close()?;
/// // The same object can connect again, with the same options.
/// ws.connect("wss://feed.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// A WebSocket that is not connected yet, with the default options.
    pub fn new() -> Self {
        Self::with_options(ConnectOptions::new())
    }

    /// The same with options of your own.
    pub fn with_options(options: ConnectOptions) -> Self {
        let timeouts = options.settings().timeouts();
        Self { options, timeouts, connection: None }
    }

    /// Opens a connection. If one is open, it ends first, with a Close 1001 and without waiting.
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::connect`].
    pub fn connect(&mut self, url: &str) -> Result<()> {
        self.connection = None;
        self.connection = Some(self.open(url)?);
        Ok(())
    }

    /// Opens a connection over a stream that is connected already, with TLS over it for `wss`; see
    /// [`ConnectOptions::connect_over`].
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::connect`].
    #[doc(alias = "socket")]
    pub fn connect_over(&mut self, stream: impl Into<Box<dyn Transport>>, url: &str) -> Result<()> {
        self.connection = None;
        let opener = self.opener()?;
        self.connection = Some(block_on(opener.connect_over(stream.into(), Target::parse(url)?))?);
        Ok(())
    }

    /// Serves a client on a stream that a listener accepted, with the default options; see [`ConnectOptions::accept`].
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::accept`].
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    ///
    /// use websocket_sync::WebSocket;
    ///
    /// let (stream, _) = TcpListener::bind("127.0.0.1:9001")?.accept()?;
    /// let mut client = WebSocket::accept(stream)?;
    /// let greeting = client.recv()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(stream: impl Into<Box<dyn Transport>>) -> Result<Self> {
        ConnectOptions::new().accept(stream)
    }
}

impl WebSocket {
    #[cfg(not(stepped_opening))]
    fn open(&self, url: &str) -> Result<ActiveConnection> {
        let opener = self.opener()?;
        block_on(opener.connect(Target::parse(url)?))
    }

    /// In steps, so that all tests of blocking openings test these.
    #[cfg(stepped_opening)]
    fn open(&self, url: &str) -> Result<ActiveConnection> {
        Opening::new(self.options.clone(), self.timeouts, Target::parse(url)?, HelperLock::default())?.finish()
    }

    fn opener(&self) -> Result<Opener> {
        Opener::new(self.options.clone(), self.timeouts, WaitMode::Blocking)
    }
}

/// Connecting.
impl ConnectOptions {
    /// Opens a connection: resolves the name, connects, through a [proxy](Self::proxy) if there is one, speaks TLS for `wss`, and
    /// makes the opening handshake. Redirects are followed as far as the [redirect limit](Self::redirect_limit) goes.
    ///
    /// Beside `ws://host:port/path?query` and `wss://` there are `ws+unix:///path/of.sock:/path?query` and `wss+unix://` for a Unix
    /// socket. A link-local IPv6 address takes its zone along: `ws://[fe80::1%25eth0]/`. User and password in the URL are sent as
    /// Basic authorization.
    ///
    /// # Errors
    ///
    /// [`Error::Url`], [`Error::Options`] and [`Error::Usage`] for an invalid URL or option; [`Error::Address`], [`Error::Io`],
    /// [`Error::Proxy`], [`Error::Tls`], [`Error::Handshake`], [`Error::Redirect`] and [`Error::Refused`] for failures of the network,
    /// the proxy and the server; [`Error::Timeout`] with the phase after the [open timeout](Self::open_timeout), all redirects
    /// together; and the error of the [header provider](Self::header_provider).
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use websocket_sync::ConnectOptions;
    ///
    /// let ws = ConnectOptions::new()
    ///     .header("X-Api-Version", "7")
    ///     .recv_timeout(Duration::from_secs(30))
    ///     .connect("wss://feed.example/")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn connect(&self, url: &str) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connect(url)?;
        Ok(ws)
    }

    /// Opens a connection over a stream that is connected already, with TLS over it for `wss`. Only one request can be made over it, so
    /// that redirects and challenges (status 401) are returned as [`Error::Refused`].
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    ///
    /// ```no_run
    /// use std::net::TcpStream;
    ///
    /// use websocket_sync::ConnectOptions;
    ///
    /// let tunnel = TcpStream::connect("127.0.0.1:8022")?;
    /// let ws = ConnectOptions::new().connect_over(tunnel, "wss://feed.example/")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect_over(&self, stream: impl Into<Box<dyn Transport>>, url: &str) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connect_over(stream, url)?;
        Ok(ws)
    }

    /// Serves a client on a stream that a listener accepted: reads its request and accepts it, with the first of its subprotocols that
    /// is among those of these options.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] for a request that is no opening handshake, which gets an answer with a status that says so;
    /// [`Error::Timeout`] when it took longer than the [open timeout](Self::open_timeout); [`Error::Tls`], [`Error::Io`];
    /// [`Error::Options`] and [`Error::Usage`] for options that cannot be met.
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    ///
    /// use websocket_sync::ConnectOptions;
    ///
    /// let options = ConnectOptions::new().subprotocols(["chat"]);
    /// for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
    ///     let mut client = options.accept(stream?)?;
    ///     std::thread::spawn(move || {
    ///         let message = client.recv()?;
    ///         client.send(message.as_bytes(), message.kind().into())
    ///     });
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn accept(&self, stream: impl Into<Box<dyn Transport>>) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connection = Some(block_on(ws.opener()?.accept(stream.into()))?);
        Ok(ws)
    }

    /// Reads a client's request on a stream that a listener accepted, and leaves the answer to the caller, who may look at path, origin
    /// and cookies first: [`PendingUpgrade`].
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    ///
    /// ```no_run
    /// use std::net::TcpListener;
    ///
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::protocol::handshake::{Acceptance, Rejection};
    ///
    /// for stream in TcpListener::bind("127.0.0.1:9001")?.incoming() {
    ///     let pending = ConnectOptions::new().read_request(stream?)?;
    ///     match pending.request().target.as_str() {
    ///         "/feed" => pending.accept(Acceptance::default())?.send_text("welcome").map(drop)?,
    ///         _ => pending.reject(Rejection::new(404), b"")?,
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read_request(&self, stream: impl Into<Box<dyn Transport>>) -> Result<PendingUpgrade> {
        PendingUpgrade::read(self, stream.into())
    }

    /// A WebSocket on a stream whose opening handshake was done elsewhere: by an HTTP server that upgrades a connection, by another
    /// library, by a test. No TLS is spoken over it. `received` is what came behind the handshake, at most 64 KiB. `deflate` is the
    /// extension after its negotiation; the option [`deflate`](Self::deflate) is ignored.
    ///
    /// [`WebSocket::response`] and [`WebSocket::url`] are `None` then.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for more than 64 KiB of `received`, for a `deflate` that was negotiated for the other role, and for options that
    /// cannot be met.
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> websocket_sync::Result<()> {
    /// use std::os::unix::net::UnixStream;
    ///
    /// use websocket_sync::protocol::Role;
    /// use websocket_sync::{ConnectOptions, Message};
    ///
    /// let (here, there) = UnixStream::pair()?;
    /// let options = ConnectOptions::new();
    /// let mut client = options.from_open(here, Role::Client, b"\x81\x05Hello", None)?;
    /// let mut server = options.from_open(there, Role::Server, b"", None)?;
    /// assert_eq!(client.recv()?, Message::from("Hello"));
    /// client.send_text("Hello yourself")?;
    /// assert_eq!(server.recv()?, Message::from("Hello yourself"));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    pub fn from_open(
        &self,
        stream: impl Into<Box<dyn Transport>>,
        role: Role,
        received: &[u8],
        deflate: Option<PerMessageDeflate>,
    ) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connection = Some(ws.opener()?.take_open(stream.into(), role, received, deflate)?);
        Ok(ws)
    }
}
