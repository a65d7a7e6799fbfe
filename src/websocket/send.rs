//! What sends: the calls of a [`WebSocket`], and a [`Sender`] for other threads.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use super::event_loop::ActivitySnapshot;
use super::shared::SharedConnection;
use super::writing::{Batch, PingStatus, Wait};
use super::{MessageWriter, WebSocket, not_connected};
#[cfg(doc)]
use crate::error::Error;
use crate::error::{CloseCause, Result};
use crate::message::MessageKind;
#[cfg(feature = "json")]
use crate::message::to_json;
use crate::protocol::{CloseCode, CloseFrame, Compression, Frame, Opcode};

/// Sending. All of it works from any number of threads at once, and while another thread receives.
///
/// ```no_run
/// use std::fs::File;
///
/// use websocket_sync::{MessageKind, Opcode, create_connection};
///
/// let ws = create_connection("wss://echo.example/")?;
/// ws.send_text("Hello")?;
/// ws.send_binary(&[1, 2, 3])?;
/// ws.send("Hello", Opcode::Text)?;
/// ws.ping("are you there?")?;
/// ws.pong("heartbeat")?;
///
/// let file = File::open("large.iso")?;
/// let length = file.metadata()?.len();
/// ws.send_reader(MessageKind::Binary, file, Some(length))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl WebSocket {
    /// Sends a text message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over or this side has closed it. [`Error::Timeout`] when it took longer than the
    /// [timeout](crate::ConnectOptions::send_timeout): if any byte of the frame has left, the connection is over; otherwise nothing
    /// was sent and the connection goes on. [`Error::Usage`] while the same thread is in the middle of another message: in fragments,
    /// in a batch, from a reader.
    #[inline]
    pub fn send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into(), Compression::Agreed, Wait::Allowed)
    }

    /// Sends a binary message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    #[doc(alias = "send_bytes")]
    #[inline]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), Compression::Agreed, Wait::Allowed)
    }

    /// Sends a value as JSON, in a text message (feature `json`); returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Json`] for a value that JSON cannot express: nothing was sent, the connection
    /// goes on.
    ///
    /// ```no_run
    /// #[derive(serde::Serialize)]
    /// struct Order<'a> {
    ///     symbol: &'a str,
    ///     amount: u32,
    /// }
    ///
    /// let ws = websocket_sync::create_connection("wss://exchange.example/")?;
    /// ws.send_json(&Order { symbol: "ABC", amount: 7 })?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn send_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<usize> {
        self.send_text(&to_json(value)?)
    }

    /// Sends a payload as a whole message or a control frame; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Usage`] for text that is not UTF-8 and for a control frame that must not be
    /// sent.
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, Compression::Agreed, Wait::Allowed)
    }

    /// Sends a ping with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Usage`] for a longer payload.
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.send(payload, Opcode::Ping).map(drop)
    }

    /// Sends an unsolicited pong with a payload of up to 125 bytes (RFC 6455, section 5.5.3). Pings are answered without it.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Usage`] for a longer payload.
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.send(payload, Opcode::Pong).map(drop)
    }

    /// A [`Sender`], which sends from other threads, on this connection only. Without a connection, every call of it that sends returns
    /// [`Error::Closed`].
    #[doc(alias = "enable_multithread")]
    pub fn sender(&self) -> Sender {
        match &self.connection {
            Some(connection) => Sender::new(Arc::clone(&connection.shared)),
            None => Sender::unconnected(),
        }
    }

    /// Sends several messages in as few writes as possible. Each write has the [time of a send](crate::ConnectOptions::send_timeout),
    /// and so has the wait for other threads. Those that send meanwhile wait until the closure returns. Inside it, this thread can
    /// only send through the batch: other calls that send or close return [`Error::Usage`].
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
        self.shared()?.cork(Compression::Agreed, batch)
    }

    /// Begins a message and returns a writer that sends it while it is written. See [`MessageWriter`].
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter> {
        MessageWriter::new(Arc::clone(self.shared()?), kind, Compression::Agreed)
    }

    /// Sends all bytes of a reader as one message: in a single frame if their number is given and they are not compressed, otherwise
    /// in fragments. Returns the length of the payload in bytes. The [send timeout](crate::ConnectOptions::send_timeout) is for the whole,
    /// from when it first has to wait for the network.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text). The reader's own error when it fails, and [`Error::Usage`] when it ends before `len`
    /// bytes or gives text that is not UTF-8: if no byte of the message has left, the connection goes on. Otherwise the connection is
    /// over, and instead of [`Error::Usage`] it is [`Error::Closed`] with
    /// [`CloseCause::Unfinished`](crate::CloseCause::Unfinished); where the message was in fragments, a Close with 1011 is sent, which may
    /// wait for the [close timeout](crate::ConnectOptions::close_timeout).
    pub fn send_reader(&self, kind: MessageKind, reader: impl Read, len: Option<u64>) -> Result<u64> {
        self.shared()?.send_reader(kind, reader, len, Compression::Agreed)
    }
}

/// Sends on a connection from any thread, while another one receives.
///
/// Clones share the connection. A sender does not keep it open: when the [`WebSocket`](crate::WebSocket) is dropped or closed, every
/// call that sends returns [`Error::Closed`].
///
/// ```no_run
/// use std::thread;
///
/// use websocket_sync::create_connection;
///
/// let mut ws = create_connection("wss://echo.example/")?;
/// let sender = ws.sender();
/// thread::spawn(move || {
///     sender.send_text("from another thread")?;
///     // Without waiting for other threads or for the network.
///     sender.try_send_text("when there is room")?;
///     sender.try_send_binary(&[1, 2, 3])?;
///     sender.close()
/// });
/// println!("{:?}", ws.recv()?);
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct Sender {
    /// `None` for one of a WebSocket that was not connected.
    shared: Option<Arc<SharedConnection>>,
    compression: Compression,
}

impl Sender {
    /// Sends a text message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    #[inline]
    pub fn send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into(), self.compression, Wait::Allowed)
    }

    /// Sends a binary message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    #[doc(alias = "send_bytes")]
    #[inline]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), self.compression, Wait::Allowed)
    }

    /// Sends a value as JSON, in a text message (feature `json`); returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_json`](crate::WebSocket::send_json).
    #[cfg(feature = "json")]
    pub fn send_json<T: serde::Serialize + ?Sized>(&self, value: &T) -> Result<usize> {
        self.send_text(&to_json(value)?)
    }

    /// Sends a payload as a whole message or a control frame; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send`](crate::WebSocket::send).
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, self.compression, Wait::Allowed)
    }

    /// Sends a ping with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text); [`Error::Usage`] for a longer payload.
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.send(payload, Opcode::Ping).map(drop)
    }

    /// Sends a pong that nobody asked for, with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text); [`Error::Usage`] for a longer payload.
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.send(payload, Opcode::Pong).map(drop)
    }

    /// Sends messages in one write, see [`WebSocket::cork`](crate::WebSocket::cork).
    ///
    /// # Errors
    ///
    /// What `batch` returns, or as for [`WebSocket::send_text`](crate::WebSocket::send_text).
    pub fn cork<T>(&self, batch: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        self.shared()?.cork(self.compression, batch)
    }

    /// Begins a message that is sent while it is written, see [`MessageWriter`].
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter> {
        MessageWriter::new(Arc::clone(self.shared()?), kind, self.compression)
    }

    /// Sends what a reader gives as one message, see [`WebSocket::send_reader`](crate::WebSocket::send_reader).
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_reader`](crate::WebSocket::send_reader).
    pub fn send_reader(&self, kind: MessageKind, reader: impl Read, len: Option<u64>) -> Result<u64> {
        self.shared()?.send_reader(kind, reader, len, self.compression)
    }

    /// Sends a Close with code 1000, and waits until the thread that receives has seen the peer's answer. Sending may take the
    /// [close timeout](crate::ConnectOptions::close_timeout), and the answer the same again. On the thread that receives it does not wait
    /// for the answer: there the next receive ends the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when this thread calls it inside a batch or from a reader that was given to
    /// [`send_reader`](Self::send_reader).
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes. 1005 without a reason sends a Close without a body.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, and as for [`close`](Self::close).
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        match &self.shared {
            Some(shared) => shared.close(CloseFrame::new(code, reason)?),
            None => Ok(()),
        }
    }

    /// Sends a Close and does not wait for the peer's, see [`WebSocket::send_close`](crate::WebSocket::send_close).
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_close`](crate::WebSocket::send_close).
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(CloseFrame::new(code, reason)?, Wait::Allowed)
    }

    /// Ends the connection at once, without a Close; a thread that waits in a receive or a send is woken.
    pub fn abort(&self) {
        if let Some(shared) = &self.shared {
            shared.abort(CloseCause::Aborted);
        }
    }

    /// Whether the connection is neither closed nor known to be lost.
    pub fn connected(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_open())
    }

    /// A sender for the same connection that does not compress: for data that is compressed already, or that holds a secret.
    ///
    /// ```no_run
    /// use websocket_sync::{ConnectOptions, DeflateOptions};
    ///
    /// let ws = ConnectOptions::new().deflate(DeflateOptions::new()).connect("wss://example.com/")?;
    /// ws.send_text(&"compressed ".repeat(100))?;
    /// ws.sender().uncompressed().send_binary(b"\xff\xd8\xff, the rest of an image")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[must_use]
    pub fn uncompressed(&self) -> Self {
        Self { compression: Compression::Off, ..self.clone() }
    }

    /// Sends a frame that was put together by hand; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_frame`](crate::WebSocket::send_frame).
    pub fn send_frame(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame(frame, self.compression, Wait::Allowed)
    }

    /// Sends a text message without waiting, see [`WebSocket::try_send_text`](crate::WebSocket::try_send_text); returns the frame's
    /// length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send_text`](crate::WebSocket::try_send_text).
    #[inline]
    pub fn try_send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into(), self.compression, Wait::Never)
    }

    /// Sends a binary message without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send_text`](crate::WebSocket::try_send_text).
    #[inline]
    pub fn try_send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), self.compression, Wait::Never)
    }

    /// Sends a payload as a whole message or a control frame, without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send`](crate::WebSocket::try_send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, self.compression, Wait::Never)
    }

    /// Sends a ping with a payload of up to 125 bytes, without waiting.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send`](crate::WebSocket::try_send).
    pub fn try_ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.try_send(payload, Opcode::Ping).map(drop)
    }

    /// Begins to close, without waiting, see [`WebSocket::try_close`](crate::WebSocket::try_close).
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_close`](crate::WebSocket::try_close).
    pub fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(CloseFrame::new(code, reason)?, Wait::Never)
    }

    /// Whether this thread may close the connection now: not inside of a batch, nor from a reader that is being sent.
    pub(crate) fn check_close(&self) -> Result<()> {
        self.shared.as_ref().map_or(Ok(()), |shared| shared.check_close())
    }

    /// Ends the connection at once, with a Close if that needs no waiting.
    pub(crate) fn disconnect(&self) {
        if let Some(shared) = &self.shared {
            shared.disconnect();
        }
    }

    /// Ends the connection of a peer that has fallen silent.
    pub(crate) fn fail_silent_peer(&self) {
        if let Some(shared) = &self.shared {
            shared.abort(CloseCause::PingTimeout);
        }
    }

    /// Sends the ping of a keepalive, or queues it; see [`SharedConnection::send_keepalive_ping`].
    pub(crate) fn send_keepalive_ping(&self, payload: &[u8]) -> Result<PingStatus> {
        self.shared()?.send_keepalive_ping(payload)
    }

    /// Sends a queued ping of a keepalive if that goes without waiting; whether it has left.
    pub(crate) fn flush_keepalive_ping(&self) -> PingStatus {
        self.shared.as_ref().map_or(PingStatus::Left, |shared| shared.flush_keepalive_ping())
    }

    /// Whether something lies in the socket that has not been read, as far as the system knows.
    pub(crate) fn has_arrived(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.has_arrived())
    }

    /// How long a send waits at most without any progress.
    pub(crate) fn longest_send(&self) -> Duration {
        self.shared.as_ref().map_or(Duration::ZERO, |shared| shared.longest_send())
    }

    /// Whether it belongs to an event loop: then no send waits.
    pub(crate) fn is_in_event_loop(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_in_event_loop())
    }

    /// Whether anything comes in.
    pub(crate) fn activity(&self) -> ActivitySnapshot {
        self.shared.as_ref().map_or_else(ActivitySnapshot::default, |shared| shared.activity())
    }

    /// How many bytes have come of a message that is not whole.
    pub(crate) fn gathered(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.gathered())
    }

    pub(crate) const fn new(shared: Arc<SharedConnection>) -> Self {
        Self { shared: Some(shared), compression: Compression::Agreed }
    }

    pub(crate) const fn unconnected() -> Self {
        Self { shared: None, compression: Compression::Agreed }
    }

    #[inline]
    fn shared(&self) -> Result<&Arc<SharedConnection>> {
        self.shared.as_ref().ok_or_else(not_connected)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("connected", &self.connected()).finish_non_exhaustive()
    }
}
