//! The blocking driver: a connection that is received from and sent to.
//!
//! [`WebSocket`] owns the receiving half ([`reader`]); the sending half is shared with every [`Sender`] ([`shared`]), and taken by
//! whoever writes ([`acquire`], [`write_guard`], [`writing`]). [`opening`] and [`ending`] are the two handshakes, [`close_state`] is
//! how far the second one has come. The public calls are here, in [`receive`], [`send`], [`streams`] and [`facts`].

mod acquire;
mod close_state;
mod compression;
mod ending;
mod event_loop;
mod facts;
mod opening;
mod reader;
mod receive;
mod send;
mod shared;
mod streams;
#[cfg(all(test, shuttle))]
mod tests;
mod write_guard;
mod writing;

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

#[cfg(feature = "mio")]
pub(crate) use self::event_loop::SocketEvent;
pub(crate) use self::event_loop::{ActivitySnapshot, SendProgress};
pub use self::opening::Opening;
pub use self::reader::ControlFrames;
pub use self::receive::Messages;
pub(crate) use self::receive::Received;
pub use self::send::Sender;
pub use self::streams::{MessageReader, MessageWriter};
pub use self::writing::Batch;
pub(crate) use self::writing::PingStatus;
pub(crate) use crate::protocol::handshake::Response;
/// Plain values that those who drive a connection name too.
pub(crate) use crate::protocol::{CloseCode, Granularity, Opcode};

use self::acquire::STALL;
use self::opening::Opener;
use self::reader::Reader;
use self::shared::{SharedConnection, WriterKind};
use self::writing::Wait;
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::{Transport, WaitMode, block_on};
use crate::options::{ConnectOptions, Timeouts};
use crate::protocol::{CloseFrame, DeflateParams, PerMessageDeflate, Role};
use crate::sync::Mutex;
use crate::timings::Timings;
use crate::url::{Target, without_query};

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
    connection: Option<ActiveConnection>,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

/// What there is only while connected.
#[derive(Debug)]
struct ActiveConnection {
    shared: Arc<SharedConnection>,
    /// Locked only by those who have no exclusive reference: a close, an abort.
    reader: Mutex<Reader>,
    /// The answer to the opening handshake; `None` where that was done elsewhere.
    response: Option<Box<Response>>,
    timings: Timings,
    visited: VisitedUrls,
    deflate: Option<DeflateParams>,
}

/// The URLs that were asked, the first one first, without user and password; none in the server's role.
#[derive(Default)]
struct VisitedUrls(Vec<String>);

/// Shows no query: there may be a secret in it.
impl fmt::Debug for VisitedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|url| without_query(url))).finish()
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        self.shared.disconnect();
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
        self.connection = Some(self.open(url)?);
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
        let opener = self.opener()?;
        self.connection = Some(block_on(opener.connect_over(stream.into(), Target::parse(url)?))?);
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

    /// How the last connection ended, if it did. Where this side has ended it, or nothing can be sent any more, a Close of the peer
    /// that has arrived counts, although it was not received: that is looked for here, without waiting.
    #[doc(alias = "close_frame")]
    #[doc(alias = "last_close_frame")]
    pub fn close_info(&self) -> Option<CloseInfo> {
        let ActiveConnection { shared, reader, .. } = self.connection.as_ref()?;
        // What the peer said last may have arrived and not been received yet.
        if let Ok(mut reader) = reader.try_lock() {
            if shared.is_over() {
                reader.look_for_close(shared);
            } else if shared.has_failed_write()
                && let Some(theirs) = reader.peek_close(shared)
            {
                return shared.close_info_after_failed_write(&theirs);
            }
        }
        shared.close_info()
    }

    /// Sends a Close with code 1000 and ends the connection: within the [close timeout](ConnectOptions::close_timeout) for our Close to
    /// leave, and the same again for the peer's answer. What still arrives is thrown away; to keep it, use
    /// [`send_close`](Self::send_close) and receive until [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] inside a batch, or a reader given to [`send_reader`](Self::send_reader), of this thread. A connection that is
    /// over is closed, however that came; [`close_info`](Self::close_info) says how.
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent (RFC 6455, section 7.4), and as for [`close`](Self::close); the
    /// connection goes on.
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        match &self.connection {
            Some(connection) => connection.shared.close_with_reader(&connection.reader, CloseFrame::new(code, reason)?),
            None => Ok(()),
        }
    }

    /// Sends a Close and does not wait for the peer's: what the peer has sent can be received, until [`Error::Closed`]. After the
    /// first Close none is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, and inside a batch or a reader of this thread;
    /// [`Error::Closed`] when the connection is over. [`Error::Timeout`] when the Close did not leave within the
    /// [close timeout](ConnectOptions::close_timeout): it stays queued, and the receive that follows may still send it.
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(CloseFrame::new(code, reason)?, Wait::Allowed)
    }

    /// Ends the connection at once, without a Close; a thread that waits in a send is woken.
    pub fn abort(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.abort(CloseCause::Aborted);
        }
    }

    /// Ends the connection at once, without a Close, and gives the socket back to the system.
    pub fn shutdown(&mut self) {
        self.abort();
        self.connection = None;
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
        Opening::new(self.options.clone(), self.timeouts, url, crate::net::HelperLock::default())?.finish()
    }

    fn opener(&self) -> Result<Opener> {
        Opener::new(self.options.clone(), self.timeouts, WaitMode::Blocking)
    }

    fn shared(&self) -> Result<&Arc<SharedConnection>> {
        match &self.connection {
            Some(connection) => Ok(&connection.shared),
            None => Err(not_connected()),
        }
    }

    /// What receives, for the thread that receives from now on.
    #[inline]
    fn receiver(&mut self) -> Result<(&mut Reader, &Arc<SharedConnection>)> {
        let Some(ActiveConnection { shared, reader, .. }) = &mut self.connection else { return Err(not_connected()) };
        let reader = reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        reader.note_thread(shared);
        Ok((reader, shared))
    }
}

/// For an event loop.
impl WebSocket {
    /// Hands the connection to this thread's loop. From now on no call that sends or closes waits, whoever makes it. `wake` is
    /// called from any thread when a Close, or what did not leave at once, needs attention; it must not wait.
    pub(crate) fn attach(&mut self, wake: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let (_, shared) = self.receiver()?;
        shared.event_loop.attach(Box::new(wake));
        Ok(())
    }

    /// The loop waits for the socket edge-triggered, and tells its events: then a read that brought less than there was room for is not
    /// followed by one that finds nothing. It changes nothing for TLS, a Unix socket, and a stream of the user's.
    #[cfg(feature = "mio")]
    pub(crate) fn trust_events(&mut self) {
        if let Ok((reader, shared)) = self.receiver()
            && shared.stream.is_plain_tcp()
        {
            reader.readiness = event_loop::Readiness::Unknown;
        }
    }

    /// An event of the socket has come.
    #[cfg(feature = "mio")]
    pub(crate) fn note_event(&mut self, event: SocketEvent) {
        if let Ok((reader, _)) = self.receiver() {
            reader.readiness.note_event(event);
        }
    }

    /// How far sending has come.
    pub(crate) fn send_progress(&self) -> SendProgress {
        self.connection.as_ref().map_or_else(SendProgress::default, |connection| {
            let shared = &connection.shared;
            SendProgress { sent: shared.event_loop.sent(), in_tls: shared.stream.output_len() }
        })
    }

    /// Whether another thread is in the midst of a send that waits: whatever else waits to be sent is behind that.
    pub(crate) fn is_held_by_another(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let state = connection.shared.state();
            state.outbound.is_none() && state.writer == WriterKind::Waiting
        })
    }

    /// How long that may stay the same while something waits to be sent.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.connection.as_ref().and_then(|connection| connection.shared.timeouts().send).unwrap_or(STALL)
    }

    /// Ends the connection of a peer that takes nothing.
    pub(crate) fn abort_stalled(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.abort(CloseCause::Lost(io::ErrorKind::TimedOut));
        }
    }
}

impl ActiveConnection {
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
        ws.connection = Some(block_on(ws.opener()?.accept(stream.into()))?);
        Ok(ws)
    }
}

impl ConnectOptions {
    /// A WebSocket on a stream whose opening handshake was done elsewhere: by an HTTP server that upgrades a connection, by another
    /// library, by a test. No TLS is spoken over it. `received` is what came behind the handshake, at most 64 KiB. `deflate` is the
    /// extension after its negotiation; the option [`deflate`](Self::deflate) is ignored.
    ///
    /// [`WebSocket::response`] and [`WebSocket::url`] are `None` then.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for more than 64 KiB of `received`, and for options that cannot be met.
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
