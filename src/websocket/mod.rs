//! The blocking driver: a connection that is received from and sent to.
//!
//! [`WebSocket`] has the receiving half; the sending half is shared with every [`Sender`](crate::Sender). Who may write is
//! decided in `shared`, what is written passes through `transmit` and `turn`, what is read through `reader`; `opening` and
//! `closing` are the two handshakes. What users call is here and in `receiving`, `sending`,
//! `nonblocking` and `facts`.

mod batch;
mod closing;
mod compression;
mod driven;
mod ending;
mod entropy;
mod events;
mod facts;
mod itinerary;
mod message_reader;
mod message_writer;
mod messages;
mod nonblocking;
mod opening;
mod pulse;
mod reader;
mod receiving;
mod reply;
mod sending;
mod shared;
mod state_pool;
mod tls_facts;
mod transmit;
mod try_receiving;
mod try_sending;
mod turn;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

pub use self::batch::Batch;
pub(crate) use self::driven::Progress;
pub(crate) use self::events::Received;
pub use self::message_reader::MessageReader;
pub use self::message_writer::MessageWriter;
pub use self::messages::Messages;
pub(crate) use self::pulse::Vitals;
pub use self::reader::ControlFrames;
pub(crate) use self::shared::Shared;
/// The same.
pub(crate) use crate::protocol::handshake::Response;
/// Plain values that those who drive a connection name too.
pub(crate) use crate::protocol::{CloseCode, Opcode};

use self::itinerary::Itinerary;
use self::opening::Opening;
use self::reader::Reader;
use crate::error::{CloseCause, CloseInfo, Error, OptionsError, Result};
use crate::net::Transport;
use crate::options::{ConnectOptions, Timeouts};
use crate::protocol::CloseFrame;
use crate::sync::Mutex;
use crate::timings::Timings;

/// A WebSocket connection, and the options to make another one.
///
/// Receiving takes `&mut self`, everything else `&self`; [`sender`](Self::sender) hands out what sends from other threads. Every
/// blocking call has a deadline, but for a receive without a [timeout](ConnectOptions::recv_timeout).
///
/// ```no_run
/// use websocket_sync::{Message, create_connection};
///
/// let mut ws = create_connection("wss://echo.example/")?;
/// ws.send_text("Hello")?;
/// match ws.recv()? {
///     Message::Text(text) => println!("{text}"),
///     Message::Binary(bytes) => println!("{} bytes", bytes.len()),
/// }
/// ws.close()?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    options: ConnectOptions,
    timeouts: Timeouts,
    connection: Option<Connection>,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

/// What there is only while connected.
#[derive(Debug)]
struct Connection {
    shared: Arc<Shared>,
    /// Locked only by a close, which has no exclusive reference.
    reader: Mutex<Reader>,
    response: Box<Response>,
    timings: Timings,
    itinerary: Itinerary,
    deflate: Option<crate::protocol::DeflateParams>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.leave();
    }
}

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

/// Making and leaving connections.
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

    /// Opens a connection. One that was open before is left with a Close 1001, without waiting.
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::connect`].
    pub fn connect(&mut self, url: &str) -> Result<()> {
        self.connection = None;
        self.connection = Some(self.opening()?.connect(url)?);
        Ok(())
    }

    /// Opens a connection over a stream that is connected already; TLS is spoken over it for `wss`.
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::connect`].
    #[doc(alias = "socket")]
    pub fn connect_over(&mut self, stream: impl Into<Box<dyn Transport>>, url: &str) -> Result<()> {
        self.connection = None;
        self.connection = Some(self.opening()?.connect_over(stream.into(), url)?);
        Ok(())
    }

    /// Serves the other role on a stream that a listener gave: reads the client's request and accepts it, with the first of its
    /// subprotocols that is among those of the options.
    ///
    /// # Errors
    ///
    /// As for [`ConnectOptions::accept`].
    pub fn accept(stream: impl Into<Box<dyn Transport>>) -> Result<Self> {
        ConnectOptions::new().accept(stream)
    }

    /// Whether a connection stands: neither closed nor lost, as far as is known.
    pub fn connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.shared.is_open())
    }

    /// How the last connection ended, if it did.
    #[doc(alias = "close_frame")]
    #[doc(alias = "last_close_frame")]
    pub fn close_info(&self) -> Option<CloseInfo> {
        self.connection.as_ref()?.shared.over_soon()
    }

    /// Closes with code 1000: sends a Close, waits for the peer's, at most the [close timeout](ConnectOptions::close_timeout), and
    /// ends the connection. What still arrives is thrown away; to keep it, use [`send_close`](Self::send_close) and receive until
    /// [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// None: a connection that is over is closed, however that came; [`close_info`](Self::close_info) says how.
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent (RFC 6455, section 7.4); the connection goes on.
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        match &self.connection {
            Some(connection) => connection.shared.close_with_reader(&connection.reader, code, reason),
            None => Ok(()),
        }
    }

    /// Sends a Close and does not wait for the peer's: what the peer has sent can be received, until [`Error::Closed`]. After the
    /// first Close none is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, [`Error::Closed`] when the connection is over.
    /// [`Error::Timeout`] when the Close could not be sent within the [close timeout](ConnectOptions::close_timeout): it waits
    /// for its turn behind what others send, and leaves as soon as it can.
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(code, reason)
    }

    /// Ends the connection at once, without a Close; a thread that waits in a send is woken.
    pub fn abort(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.give_up();
        }
    }

    /// Ends the connection at once, without a Close, and gives the socket back to the system.
    pub fn shutdown(&mut self) {
        self.abort();
        self.connection = None;
    }
}

impl WebSocket {
    fn opening(&self) -> Result<Opening<'_>> {
        Opening::new(&self.options, self.timeouts)
    }

    fn shared(&self) -> Result<&Arc<Shared>> {
        match &self.connection {
            Some(connection) => Ok(&connection.shared),
            None => Err(not_connected()),
        }
    }

    #[inline]
    fn halves(&mut self) -> Result<(&mut Reader, &Arc<Shared>)> {
        let Some(Connection { shared, reader, .. }) = &mut self.connection else { return Err(not_connected()) };
        Ok((reader.get_mut().unwrap_or_else(PoisonError::into_inner), shared))
    }
}

impl Connection {
    fn reader_mut(&mut self) -> &mut Reader {
        self.reader.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> usize {
        self.shared.memory() + self.reader.try_lock().map_or(0, |reader| reader.inbound.memory())
    }
}

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
    /// [`Error::Url`], [`Error::Options`] and [`Error::Usage`] for what was asked; [`Error::Address`], [`Error::Io`],
    /// [`Error::Proxy`], [`Error::Tls`], [`Error::Handshake`], [`Error::Redirect`] and [`Error::Refused`] for what came of it;
    /// [`Error::Timeout`] with the phase when it took longer than the [open timeout](Self::open_timeout), all redirects together;
    /// and that of the [header provider](Self::header_provider).
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

    /// Opens a connection over a stream that is connected already; TLS is spoken over it for `wss`. There is one request: a redirect
    /// and a challenge are refusals.
    ///
    /// # Errors
    ///
    /// As for [`connect`](Self::connect).
    pub fn connect_over(&self, stream: impl Into<Box<dyn Transport>>, url: &str) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connect_over(stream, url)?;
        Ok(ws)
    }

    /// Serves the other role on a stream that a listener gave: reads the client's request and accepts it, with the first of its
    /// subprotocols that is among those of the options.
    ///
    /// # Errors
    ///
    /// [`Error::Handshake`] for a request that is no opening handshake, which is answered with the status that says so;
    /// [`Error::Timeout`] when it took longer than the [open timeout](Self::open_timeout); [`Error::Tls`], [`Error::Io`];
    /// [`Error::Options`] and [`Error::Usage`] for options that cannot be met.
    pub fn accept(&self, stream: impl Into<Box<dyn Transport>>) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connection = Some(ws.opening()?.accept(stream.into())?);
        Ok(ws)
    }
}

#[cold]
pub(crate) fn cancelled() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Cancelled)))
}

#[cold]
pub(crate) fn not_connected() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::NotConnected)))
}

/// Refuses a code or a reason that must not be sent (RFC 6455, section 7.4).
pub(crate) fn check_close(code: CloseCode, reason: &str) -> Result<()> {
    CloseFrame::new(code, reason)?;
    Ok(())
}

/// Zero would mean "do not wait", which is what [`WebSocket::has_buffered`] is for.
fn not_zero(option: &'static str, timeout: Option<Duration>) -> Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(Error::Options(Box::new(OptionsError::new(option, "a timeout of zero"))));
    }
    Ok(timeout)
}
