//! The cloneable write handle.

use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{CloseCause, Result};
use crate::message::MessageKind;
use crate::protocol::{CloseCode, Compression, Frame, Opcode};
use crate::websocket::{Batch, MessageWriter, Shared, Vitals, not_connected};

/// Sends on a connection from any thread, while another one receives.
///
/// Clones share the connection. A sender does not keep it open: when the [`WebSocket`](crate::WebSocket) is dropped or closed, every
/// call answers [`Error::Closed`](crate::Error::Closed).
///
/// ```no_run
/// use std::thread;
///
/// use websocket_sync::create_connection;
///
/// let mut ws = create_connection("wss://echo.example/")?;
/// let sender = ws.sender();
/// thread::spawn(move || sender.send_text("from another thread"));
/// println!("{:?}", ws.recv()?);
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone)]
pub struct Sender {
    /// `None` for one of a WebSocket that was not connected.
    shared: Option<Arc<Shared>>,
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
        self.shared()?.send_message(text.into(), self.compression)
    }

    /// Sends a binary message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    #[doc(alias = "send_bytes")]
    #[inline]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), self.compression)
    }

    /// Sends a payload as a whole message or a control frame; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send`](crate::WebSocket::send).
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, self.compression)
    }

    /// Sends a text message without waiting, see [`WebSocket::try_send_text`](crate::WebSocket::try_send_text); returns the frame's
    /// length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send_text`](crate::WebSocket::try_send_text).
    #[inline]
    pub fn try_send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.try_send_message(text.into(), self.compression)
    }

    /// Sends a binary message without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send_text`](crate::WebSocket::try_send_text).
    #[inline]
    pub fn try_send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.try_send_message(bytes.into(), self.compression)
    }

    /// Sends a payload as a whole message or a control frame, without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::try_send`](crate::WebSocket::try_send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.try_send(payload.as_ref(), opcode, self.compression)
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
        self.shared()?.try_close(code, reason)
    }

    /// Sends a frame that was put together by hand; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_frame`](crate::WebSocket::send_frame).
    pub fn send_frame(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame(frame, self.compression)
    }

    /// Sends a ping with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Ping, self.compression).map(|_| ())
    }

    /// Sends a pong that nobody asked for, with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Pong, self.compression).map(|_| ())
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

    /// Sends a Close and does not wait for the peer's, see [`WebSocket::send_close`](crate::WebSocket::send_close).
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_close`](crate::WebSocket::send_close).
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(code, reason)
    }

    /// Closes with code 1000: sends a Close and waits, at most the close timeout, for the thread that receives to see the peer's.
    /// Called on that very thread it does not wait; the next receive ends the connection.
    ///
    /// # Errors
    ///
    /// None: a connection that is over is closed, however that came.
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`](crate::Error::Usage) for a code or a reason that must not be sent.
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        match &self.shared {
            Some(shared) => shared.close(code, reason),
            None => Ok(()),
        }
    }

    /// Ends the connection at once, without a Close; a thread that waits in a receive or a send is woken.
    pub fn abort(&self) {
        if let Some(shared) = &self.shared {
            shared.give_up();
        }
    }

    /// A handle on the same connection that sends every message as it is, for what is compressed already or holds a secret.
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

    /// Whether the connection stands: neither closed nor lost, as far as is known.
    pub fn connected(&self) -> bool {
        self.shared.as_ref().is_some_and(|shared| shared.is_open())
    }

    /// Ends the connection at once, with a Close if that needs no waiting.
    pub(crate) fn leave(&self) {
        if let Some(shared) = &self.shared {
            shared.leave();
        }
    }

    /// Ends the connection of a peer that has fallen silent.
    pub(crate) fn give_up_on_silent_peer(&self) {
        if let Some(shared) = &self.shared {
            shared.abort(CloseCause::PingTimeout);
        }
    }

    /// Sends a ping of the keepalive, see [`Shared::ping_within`].
    pub(crate) fn ping_within(&self, payload: &[u8], longest: Option<Duration>) -> Result<()> {
        self.shared()?.ping_within(payload, longest)
    }

    /// Whether anything comes in.
    pub(crate) fn vitals(&self) -> Vitals {
        self.shared.as_ref().map_or_else(Vitals::default, |shared| shared.vitals())
    }

    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared: Some(shared), compression: Compression::Agreed }
    }

    pub(crate) const fn unconnected() -> Self {
        Self { shared: None, compression: Compression::Agreed }
    }

    #[inline]
    fn shared(&self) -> Result<&Arc<Shared>> {
        self.shared.as_ref().ok_or_else(not_connected)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("connected", &self.connected()).finish_non_exhaustive()
    }
}
