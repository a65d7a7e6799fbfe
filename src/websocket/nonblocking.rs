//! The calls that never wait, for loops of the user's own.

use std::time::Instant;

use super::WebSocket;
use super::reader::ControlFrames;
use super::receive_deadline::ReceiveDeadline;
use super::writing::Wait;
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::message::{Message, MessageRef};
use crate::protocol::{CloseCode, CloseFrame, Compression, Frame, Opcode};

/// Without blocking, for event loops.
///
/// These calls return at once, whatever the timeouts are (but see [`HalfDuplex`](crate::HalfDuplex)). They can be mixed with the
/// blocking ones, from the same thread and from others. A loop that polls the socket ([`as_fd`](Self::as_fd))
///
/// * receives when it is readable, with [`try_recv_ref`](Self::try_recv_ref) until that returns `None` and
///   [`has_buffered`](Self::has_buffered) is false: TLS may hold decrypted bytes, for which the socket does not become readable;
/// * sends with [`try_send_text`](Self::try_send_text), polls for writable while [`wants_write`](Self::wants_write) is true, and
///   calls [`try_flush`](Self::try_flush) then;
/// * receives once more at the [`close_deadline`](Self::close_deadline), if there is one.
///
/// ```no_run
/// use std::time::Instant;
///
/// use websocket_sync::{CloseCode, ControlFrames, Opcode, Result, WebSocket, create_connection};
///
/// /// What to wait for until the next turn, besides for the socket to be readable.
/// struct Wait {
///     writable: bool,
///     until: Option<Instant>,
/// }
///
/// fn turn(ws: &mut WebSocket) -> Result<Wait> {
///     loop {
///         while let Some(message) = ws.try_recv_ref()? {
///             println!("{message:?}");
///         }
///         if !ws.has_buffered() {
///             break;
///         }
///     }
///     ws.try_flush()?;
///     Ok(Wait { writable: ws.wants_write(), until: ws.close_deadline() })
/// }
///
/// let mut ws = create_connection("wss://game.example/")?;
/// ws.try_send_text("Hello")?;
/// ws.try_send_binary(&[1, 2, 3])?;
/// ws.try_send("Hello", Opcode::Text)?;
/// ws.try_ping("are you there?")?;
/// let wait = turn(&mut ws)?;
///
/// // Copied, or with opcodes and control frames.
/// let message = ws.try_recv()?;
/// let frame = ws.try_recv_data_frame(ControlFrames::Show)?;
///
/// ws.release();
/// ws.try_close(CloseCode::NORMAL, "")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// Receives a message, or returns `None` if no whole message has arrived; a part of one is kept until the rest arrives. Pings are
    /// answered on the way. The peer's Close is answered, and returned as [`Error::Closed`] when our answer has left and the peer has
    /// ended the connection, or the close timeout is over.
    ///
    /// It reads at most 1 MiB from the network: then it returns `None`, and [`has_buffered`](Self::has_buffered) is true.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), but for the timeout.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Message>> {
        let (reader, shared) = self.receiver()?;
        if reader.inbound.advance_short() {
            reader.take_message(shared, ReceiveDeadline::NOW)
        } else {
            reader.receive_owned(shared, ReceiveDeadline::NOW)
        }
    }

    /// The same without copying the message: valid until the next receive. To answer it while it is borrowed, send through a
    /// [`sender`](Self::sender).
    ///
    /// # Errors
    ///
    /// As for [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Option<MessageRef<'_>>> {
        let (reader, shared) = self.receiver()?;
        if reader.inbound.advance_short() {
            reader.message(shared, ReceiveDeadline::NOW)
        } else {
            reader.receive_borrowed(shared, ReceiveDeadline::NOW)
        }
    }

    /// The same as [`recv_data_frame`](Self::recv_data_frame): with opcodes, and control frames if they are to be shown.
    ///
    /// # Errors
    ///
    /// As for [`try_recv`](Self::try_recv).
    pub fn try_recv_data_frame(&mut self, control: ControlFrames) -> Result<Option<Frame>> {
        self.data_frame(control, ReceiveDeadline::NOW)
    }

    /// Whether bytes have been received that no receive has processed yet. Then the socket may not become readable, although a message
    /// is there; the next receive may still have to wait for the rest of a frame.
    #[doc(alias = "pending")]
    pub fn has_buffered(&self) -> bool {
        let Some(connection) = &self.connection else { return false };
        // A close that reads keeps nothing.
        let Ok(reader) = connection.reader.try_lock() else { return false };
        reader.has_buffered(&connection.shared)
    }

    /// Sends a text message without waiting; returns the frame's length in bytes. It is taken whole or not at all: what does not
    /// leave at once waits in the connection, in its order, see [`wants_write`](Self::wants_write).
    ///
    /// # Errors
    ///
    /// [`Error::Full`] when too much waits already, or another thread is in the midst of a send that waits.
    /// [`Error::Options`] for a message that is larger than [`max_unsent`](crate::ConnectOptions::max_unsent).
    /// Otherwise as for [`send_text`](Self::send_text).
    #[inline]
    pub fn try_send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into(), Compression::Agreed, Wait::Never)
    }

    /// Sends a binary message without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`try_send_text`](Self::try_send_text).
    #[inline]
    pub fn try_send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), Compression::Agreed, Wait::Never)
    }

    /// Sends a payload as a whole message or a control frame, without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`try_send_text`](Self::try_send_text) and for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, Compression::Agreed, Wait::Never)
    }

    /// Sends a ping with a payload of up to 125 bytes, without waiting.
    ///
    /// # Errors
    ///
    /// As for [`try_send`](Self::try_send).
    pub fn try_ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.try_send(payload, Opcode::Ping).map(drop)
    }

    /// Begins to close, without waiting: our Close leaves as soon as it can, behind what waits to be sent. Then receive until
    /// [`Error::Closed`], which comes by the [`close_deadline`](Self::close_deadline). Further calls send no second Close. 1005 without a
    /// reason sends a Close without a body.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, and as for [`close`](Self::close); [`Error::Closed`] when the
    /// connection is over.
    pub fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(CloseFrame::new(code, reason)?, Wait::Never)
    }

    /// Whether something waits to be sent: call [`try_flush`](Self::try_flush) when the socket is writable. Every other call that
    /// sends or receives flushes it, too.
    pub fn wants_write(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let shared = &connection.shared;
            shared.has_unsent() && shared.can_write()
        })
    }

    /// Sends what waits to be sent, as far as that is possible without waiting; returns whether all of it has left.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be sent any more. What was received may still say why.
    pub fn try_flush(&self) -> Result<bool> {
        self.shared()?.try_flush()
    }

    /// While a closing handshake is under way, or nothing can be sent any more: when a receive gives up waiting for the peer and ends
    /// the connection. It is set anew when our Close has left.
    pub fn close_deadline(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        // A close that reads has a deadline of its own.
        let reader = connection.reader.try_lock().ok()?;
        reader.closing_deadline(&connection.shared).instant()
    }

    /// Frees memory that a burst of messages has taken and that is not in use. A receive that waits does so by itself after a second;
    /// a loop that does not wait may call this for a connection that is idle. A message that was borrowed is no longer available.
    pub fn release(&mut self) {
        if let Ok((reader, shared)) = self.receiver() {
            reader.inbound.release();
            shared.release_memory();
        }
    }
}
