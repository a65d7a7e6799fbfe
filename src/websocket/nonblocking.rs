//! The connection for those who must not wait: game loops, event loops, many connections on one thread.

use std::time::Instant;

use super::WebSocket;
use super::reader::ControlFrames;
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::protocol::{CloseCode, Compression, Frame, Granularity, Opcode, Step};

/// Without waiting.
///
/// Nothing here waits, whatever the timeouts are (but see [`HalfDuplex`](crate::HalfDuplex)), and everything may be mixed with the
/// calls that do, from the same thread and from others. A loop that waits for sockets by itself
///
/// * receives with [`try_recv_ref`](Self::try_recv_ref) when the socket ([`as_fd`](Self::as_fd)) is readable, until that answers
///   `None` and [`has_buffered`](Self::has_buffered) says no: until then TLS may have bytes of which the socket knows nothing any
///   more;
/// * sends with [`try_send_text`](Self::try_send_text), and calls [`try_flush`](Self::try_flush) when the socket is writable, as
///   long as [`wants_write`](Self::wants_write) says so;
/// * receives once more at the [`close_deadline`](Self::close_deadline), if there is one.
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::create_connection;
///
/// # fn draw() {}
/// let mut game = create_connection("wss://game.example/")?;
/// loop {
///     while let Some(message) = game.try_recv_ref()? {
///         println!("{message:?}");
///     }
///     game.try_send_text("still here")?;
///     draw();
///     std::thread::sleep(Duration::from_millis(16));
/// }
/// # #[allow(unreachable_code)]
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// Receives a message if one is at hand. Pings are answered on the way; a message of which a part has come is kept until the
    /// rest does. The peer's Close is answered, and is an error once our answer has left and the peer has hung up, or the close
    /// timeout is over.
    ///
    /// At most 1 MiB is read at a time: then it answers `None` and [`has_buffered`](Self::has_buffered) yes.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv), but for the timeout.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<Message>> {
        let (reader, shared) = self.halves()?;
        if reader.inbound.advance_short() { reader.try_take_message(shared) } else { reader.try_receive_owned(shared) }
    }

    /// The same without copying the message: valid until the next receive. To answer it while it is borrowed, send through a
    /// [`sender`](Self::sender).
    ///
    /// # Errors
    ///
    /// As for [`try_recv`](Self::try_recv).
    #[inline]
    pub fn try_recv_ref(&mut self) -> Result<Option<MessageRef<'_>>> {
        let (reader, shared) = self.halves()?;
        if reader.inbound.advance_short() { reader.try_message(shared) } else { reader.try_receive_borrowed(shared) }
    }

    /// The same as [`recv_data_frame`](Self::recv_data_frame): with opcodes, and control frames if they are to be shown.
    ///
    /// # Errors
    ///
    /// As for [`try_recv`](Self::try_recv).
    pub fn try_recv_data_frame(&mut self, control: ControlFrames) -> Result<Option<Frame>> {
        let fragments = self.options.settings().fires_cont_frame;
        let granularity = if fragments { Granularity::Frame } else { Granularity::Message };
        let (reader, shared) = self.halves()?;
        let already_over = shared.over().is_some() && reader.ending.is_none();
        match reader.try_receive(shared, granularity, control) {
            Ok(None) => Ok(None),
            Ok(Some(Step::Message)) => {
                let opcode = reader.inbound.kind().into();
                Ok(reader.try_message(shared)?.map(|message| Frame::new(opcode, message.as_bytes())))
            }
            Ok(Some(_)) => Ok(Some(reader.inbound.frame())),
            Err(Error::Closed(info)) if info.is_clean() && !already_over => {
                let close = reader.inbound.close().map(|close| close.to_body());
                Ok(Some(Frame::new(Opcode::Close, close.unwrap_or_default())))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether something waits to be sent: call [`try_flush`](Self::try_flush) when the socket is writable. Every other call that
    /// sends or receives sends it on, too.
    pub fn wants_write(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let shared = &connection.shared;
            shared.is_unsettled() && !shared.is_mute()
        })
    }

    /// Sends what waits to be sent, as far as that is possible without waiting; says whether that is all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be sent any more. What was received may still say why.
    pub fn try_flush(&self) -> Result<bool> {
        self.shared()?.try_flush()
    }

    /// While a closing handshake is under way: by when a receive ends it, although the peer says nothing.
    pub fn close_deadline(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        // A close that reads has a deadline of its own.
        let reader = connection.reader.try_lock().ok()?;
        reader.ends_by(&connection.shared).instant()
    }

    /// Gives back the memory that a burst has taken, unless it is in use. A receive that waits does that by itself after a second;
    /// who does not wait may do so for a connection that has fallen silent. What is borrowed of the last message is gone.
    pub fn release(&mut self) {
        if let Ok((reader, shared)) = self.halves() {
            reader.inbound.release();
            shared.release();
        }
    }

    /// Sends a text message without waiting; returns the frame's length in bytes. It is taken whole or not at all: what does not
    /// leave at once waits in the connection, in its order, see [`wants_write`](Self::wants_write).
    ///
    /// # Errors
    ///
    /// [`Error::Full`](crate::Error::Full) when too much waits already, or another thread is in the midst of a send that waits.
    /// [`Error::Options`](crate::Error::Options) for a message that is larger than [`max_unsent`](crate::ConnectOptions::max_unsent).
    /// Otherwise as for [`send_text`](Self::send_text).
    #[inline]
    pub fn try_send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.try_send_message(text.into(), Compression::Agreed)
    }

    /// Sends a binary message without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`try_send_text`](Self::try_send_text).
    #[inline]
    pub fn try_send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.try_send_message(bytes.into(), Compression::Agreed)
    }

    /// Sends a payload as a whole message or a control frame, without waiting; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`try_send_text`](Self::try_send_text) and for [`send`](Self::send).
    pub fn try_send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.try_send(payload.as_ref(), opcode, Compression::Agreed)
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
    /// [`Error::Closed`], which comes by the [`close_deadline`](Self::close_deadline). After the first Close none is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, [`Error::Closed`] when the connection is over.
    pub fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.try_close(code, reason)
    }
}
