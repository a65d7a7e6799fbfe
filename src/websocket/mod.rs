//! The blocking driver: a connection that is received from and sent to.
//!
//! [`WebSocket`] has the receiving half; the sending half is shared with every [`Sender`]. Who may write is decided in `shared`,
//! writing is in `turn`, receiving in `reader`, ending in `closing`.

mod batch;
mod closing;
mod entropy;
mod message_reader;
mod message_writer;
mod messages;
mod opening;
mod reader;
mod sending;
mod shared;
mod turn;

use std::io::Read;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::batch::Batch;
pub use self::message_reader::MessageReader;
pub use self::message_writer::MessageWriter;
pub use self::messages::Messages;
pub use self::reader::ControlFrames;
pub(crate) use self::shared::Shared;

use self::opening::Opening;
use self::reader::Reader;
use crate::error::{CloseCause, CloseInfo, Error, OptionsError, Result};
use crate::message::{Message, MessageKind, MessageRef};
use crate::net::Transport;
use crate::options::{ConnectOptions, Timeouts};
use crate::protocol::handshake::{Headers, Response};
use crate::protocol::{CloseCode, Frame, Granularity, MaskKeys, Opcode, Step};
use crate::sender::Sender;

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
        self.connection.as_ref()?.shared.over()
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

    /// Sends a Close and does not wait: what the peer has sent can be received, until [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, otherwise as for [`send_text`](Self::send_text).
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

/// Receiving.
impl WebSocket {
    /// Receives a message as a value of its own. Pings are answered on the way.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over, now and ever after; [`Error::Protocol`] when the peer broke a rule, which has
    /// ended the connection; [`Error::Timeout`] when the [timeout](ConnectOptions::recv_timeout) has passed: nothing is lost
    /// then, the next receive goes on.
    #[inline]
    pub fn recv(&mut self) -> Result<Message> {
        let (reader, shared) = self.halves()?;
        if !reader.inbound.advance_short() {
            reader.receive(shared, Granularity::Message, ControlFrames::Hide)?;
        }
        reader.take_message(shared)
    }

    /// Receives a message without copying it: valid until the next receive.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// ```no_run
    /// use websocket_sync::{MessageRef, create_connection};
    ///
    /// let mut feed = create_connection("wss://feed.example/")?;
    /// loop {
    ///     match feed.recv_ref()? {
    ///         MessageRef::Text(tick) => println!("{tick}"),
    ///         MessageRef::Binary(_) => {}
    ///     }
    /// }
    /// # #[allow(unreachable_code)]
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[inline]
    pub fn recv_ref(&mut self) -> Result<MessageRef<'_>> {
        let (reader, shared) = self.halves()?;
        if !reader.inbound.advance_short() {
            reader.receive(shared, Granularity::Message, ControlFrames::Hide)?;
        }
        reader.message(shared)
    }

    /// Receives within `timeout`, whatever the options say.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Options`] for a timeout of zero.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message> {
        self.recv_ref_timeout(timeout).map(MessageRef::to_owned)
    }

    /// Receives within `timeout`, without copying.
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Self::recv_timeout).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<MessageRef<'_>> {
        let timeout = not_zero("recv_timeout", Some(timeout))?;
        let (reader, shared) = self.halves()?;
        let usual = std::mem::replace(&mut reader.timeout, timeout);
        let received = reader.receive(shared, Granularity::Message, ControlFrames::Hide);
        reader.timeout = usual;
        received?;
        reader.message(shared)
    }

    /// Receives a message with its opcode, as bytes; the peer's Close comes as [`Opcode::Close`] with its body, once. With
    /// [`fire_cont_frame`](ConnectOptions::fire_cont_frame), each fragment comes by itself.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data(&mut self, control: ControlFrames) -> Result<(Opcode, Vec<u8>)> {
        self.recv_data_frame(control).map(|frame| (frame.opcode, frame.payload))
    }

    /// The same as a frame. Its opcode is that of the message, not of its last fragment.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_frame(&mut self, control: ControlFrames) -> Result<Frame> {
        let fragments = self.options.settings().fires_cont_frame;
        let granularity = if fragments { Granularity::Frame } else { Granularity::Message };
        let (reader, shared) = self.halves()?;
        reader.allow(granularity)?;
        let already_over = shared.over().is_some();
        match reader.receive(shared, granularity, control) {
            Ok(Step::Message) => {
                let opcode = reader.inbound.kind().into();
                let message = reader.message(shared)?;
                Ok(Frame::new(opcode, message.as_bytes()))
            }
            Ok(_) => Ok(reader.inbound.frame()),
            Err(Error::Closed(info)) if info.is_clean() && !already_over => {
                let close = reader.inbound.close().map(|close| close.to_body());
                Ok(Frame::new(Opcode::Close, close.unwrap_or_default()))
            }
            Err(error) => Err(error),
        }
    }

    /// Receives a single frame, of data or control, and answers nothing: neither pings nor a Close.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Usage`] while a message is received in part by another call.
    pub fn recv_frame(&mut self) -> Result<Frame> {
        let (reader, shared) = self.halves()?;
        reader.allow(Granularity::Frame)?;
        reader.receive_raw(shared)?;
        Ok(reader.inbound.frame())
    }

    /// Waits for a message to begin, to be read before it has ended.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Usage`] while a message is received in part by another call.
    pub fn message_reader(&mut self) -> Result<MessageReader<'_>> {
        let (reader, shared) = self.halves()?;
        reader.allow(Granularity::Piece)?;
        MessageReader::new(reader, shared)
    }

    /// The messages, until the connection is closed cleanly; an unclean end comes as an error, once.
    ///
    /// ```no_run
    /// # let mut ws = websocket_sync::create_connection("ws://localhost:9001/")?;
    /// for message in ws.messages() {
    ///     println!("{:?}", message?);
    /// }
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "__iter__")]
    pub const fn messages(&mut self) -> Messages<'_> {
        Messages::new(self)
    }

    /// Whether something was received and not yet looked at, so that a receive may not have to wait. For those who sum up what
    /// is there before they act on it; a receive may still have to wait for the rest of a frame.
    #[doc(alias = "pending")]
    pub fn has_buffered(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            connection.lock_reader().inbound.has_buffered() || connection.shared.stream.has_input()
        })
    }
}

/// Sending; all of it works from any number of threads at once, and while another thread receives.
impl WebSocket {
    /// Sends a text message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over or this side has closed it. [`Error::Timeout`] when it took longer than the
    /// [timeout](ConnectOptions::send_timeout): if any byte of the frame had left, the connection is over; otherwise nothing
    /// was sent and it goes on. [`Error::Usage`] inside a message that is sent in fragments.
    #[inline]
    pub fn send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into())
    }

    /// Sends a binary message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    #[doc(alias = "send_bytes")]
    #[inline]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into())
    }

    /// Sends a payload as a whole message or a control frame; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Usage`] for text that is not UTF-8 and for a control frame that must not be
    /// sent.
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode)
    }

    /// Sends a frame that was put together by hand, such as a fragment; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and when it does not continue the message in progress.
    pub fn send_frame(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame(frame)
    }

    /// Sends a frame as it stands, legal or not: for tests of a peer.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn send_frame_unchecked(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame_unchecked(frame)
    }

    /// Sends a ping with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Ping).map(|_| ())
    }

    /// Sends a pong that nobody asked for, with a payload of up to 125 bytes. Pings are answered without it.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Pong).map(|_| ())
    }

    /// Sends the messages of a batch in as few writes as possible. Other senders wait meanwhile.
    ///
    /// # Errors
    ///
    /// What `batch` returns, or as for [`send_text`](Self::send_text).
    ///
    /// ```no_run
    /// # let ws = websocket_sync::create_connection("ws://localhost:9001/")?;
    /// ws.cork(|batch| {
    ///     for order in ["buy", "sell"] {
    ///         batch.send_text(order)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn cork<T>(&self, batch: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        self.shared()?.cork(batch)
    }

    /// Begins a message that is sent while it is written.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter> {
        MessageWriter::new(Arc::clone(self.shared()?), kind)
    }

    /// Sends what a reader gives as one message: as a single frame when its length in bytes is known, in fragments otherwise.
    /// Returns the length of the payload in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text). When the reader fails, or gives less than `len` bytes, the connection is over:
    /// the frame cannot be finished. [`Error::Usage`] for text that is not UTF-8.
    pub fn send_reader(&self, kind: MessageKind, reader: impl Read, len: Option<u64>) -> Result<u64> {
        self.shared()?.send_reader(kind, reader, len)
    }

    /// A handle that sends from other threads, on this connection only. Without a connection, every call of it answers
    /// [`Error::Closed`].
    #[doc(alias = "enable_multithread")]
    pub fn sender(&self) -> Sender {
        match &self.connection {
            Some(connection) => Sender::new(Arc::clone(&connection.shared)),
            None => Sender::unconnected(),
        }
    }

    /// Takes a source of masking keys, asked anew for each frame: for tests.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn set_mask_key(&self, key: impl FnMut() -> [u8; 4] + Send + 'static) -> Result<()> {
        self.shared()?.set_mask_keys(MaskKeys::each(Box::new(key)))
    }
}

/// What is known of the connection.
impl WebSocket {
    /// The server's answer to the opening handshake; `None` while there is no connection.
    #[doc(alias = "handshake_response")]
    pub fn response(&self) -> Option<&Response> {
        self.connection.as_ref().map(|connection| &*connection.response)
    }

    /// The status of that answer: 101.
    #[doc(alias = "getstatus")]
    pub fn status(&self) -> Option<u16> {
        self.response().map(|response| response.status)
    }

    /// The header fields of that answer, or of the client's request in the server role.
    #[doc(alias = "getheaders")]
    pub fn headers(&self) -> Option<&Headers> {
        self.response().map(|response| &response.headers)
    }

    /// The subprotocol that was agreed upon.
    #[doc(alias = "getsubprotocol")]
    pub fn subprotocol(&self) -> Option<&str> {
        self.response()?.subprotocol.as_deref()
    }

    /// Whether TLS protects the connection.
    pub fn is_ssl(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.shared.stream.is_tls())
    }

    /// The address of this end, if the stream has one.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.shared.stream.local_addr()
    }

    /// The address of the peer, if the stream has one.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.connection.as_ref()?.shared.stream.peer_addr()
    }

    /// The socket, if the stream is one: to be waited for or configured, not to be read or written. `None` while there is no
    /// connection. Before waiting for it, see [`has_buffered`](Self::has_buffered).
    #[cfg(unix)]
    #[doc(alias = "fileno")]
    pub fn as_fd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        self.connection.as_ref()?.shared.stream.as_fd()
    }

    /// The socket, if the stream is one: to be waited for or configured, not to be read or written. `None` while there is no
    /// connection. Before waiting for it, see [`has_buffered`](Self::has_buffered).
    #[cfg(windows)]
    #[doc(alias = "fileno")]
    pub fn as_socket(&self) -> Option<std::os::windows::io::BorrowedSocket<'_>> {
        self.connection.as_ref()?.shared.stream.as_socket()
    }

    /// How much memory the connection holds in buffers of its own, in bytes; that of the TLS library is not known.
    pub fn memory(&self) -> usize {
        self.connection.as_ref().map_or(0, Connection::memory)
    }
}

/// Timeouts, to be changed while connected; they hold for later connections of this object too.
impl WebSocket {
    /// Sets the time for a receive and for a send; `None` for the defaults.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a timeout of zero.
    #[doc(alias = "settimeout")]
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.set_recv_timeout(timeout)?;
        self.set_send_timeout(timeout)
    }

    /// Sets the time for a receive; `None` to wait for as long as it takes.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a timeout of zero.
    pub fn set_recv_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.timeouts.recv = not_zero("recv_timeout", timeout)?;
        if let Some(connection) = &mut self.connection {
            connection.reader_mut().timeout = timeout;
        }
        Ok(())
    }

    /// Sets the time for a whole send; `None` for 30 s without progress.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a timeout of zero.
    pub fn set_send_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        self.timeouts.send = not_zero("send_timeout", timeout)?;
        if let Some(connection) = &self.connection {
            connection.shared.set_timeouts(|timeouts| timeouts.send = timeout);
        }
        Ok(())
    }

    /// Sets the time for the closing handshake.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a timeout of zero.
    pub fn set_close_timeout(&mut self, timeout: Duration) -> Result<()> {
        not_zero("close_timeout", Some(timeout))?;
        self.timeouts.close = timeout;
        if let Some(connection) = &self.connection {
            connection.shared.set_timeouts(|timeouts| timeouts.close = timeout);
        }
        Ok(())
    }

    /// The time for a receive.
    #[doc(alias = "gettimeout")]
    pub const fn timeout(&self) -> Option<Duration> {
        self.timeouts.recv
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

    fn lock_reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> usize {
        self.shared.memory() + self.lock_reader().inbound.memory()
    }
}

impl ConnectOptions {
    /// Opens a connection: resolves the name, connects, speaks TLS for `wss`, and makes the opening handshake.
    ///
    /// # Errors
    ///
    /// [`Error::Url`], [`Error::Options`] and [`Error::Usage`] for what was asked; [`Error::Address`], [`Error::Io`],
    /// [`Error::Tls`], [`Error::Handshake`] and [`Error::Refused`] for what came of it; [`Error::Timeout`] with the phase
    /// when it took longer than the [open timeout](Self::open_timeout).
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

    /// Opens a connection over a stream that is connected already; TLS is spoken over it for `wss`.
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
    /// [`Error::Timeout`] when it took longer than the [open timeout](Self::open_timeout); [`Error::Io`].
    pub fn accept(&self, stream: impl Into<Box<dyn Transport>>) -> Result<WebSocket> {
        let mut ws = WebSocket::with_options(self.clone());
        ws.connection = Some(ws.opening()?.accept(stream.into())?);
        Ok(ws)
    }
}

pub(crate) fn not_connected() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::NotConnected)))
}

/// Zero would mean "do not wait", which is what [`WebSocket::has_buffered`] is for.
fn not_zero(option: &'static str, timeout: Option<Duration>) -> Result<Option<Duration>> {
    if timeout == Some(Duration::ZERO) {
        return Err(Error::Options(Box::new(OptionsError::new(option, "a timeout of zero"))));
    }
    Ok(timeout)
}
