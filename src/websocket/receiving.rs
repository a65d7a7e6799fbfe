//! What a [`WebSocket`] receives, in every shape that is asked for.

use std::time::Duration;

use super::reader::ControlFrames;
use super::{MessageReader, Messages, WebSocket, not_zero};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::net::Deadline;
use crate::protocol::{Frame, Granularity, Opcode, Step};

/// Receiving.
impl WebSocket {
    /// Receives a message as a value of its own. Pings are answered on the way, and so is the peer's Close; then a client waits
    /// for the server to end the connection, at most for the close timeout, before it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over, now and ever after; [`Error::Protocol`] when the peer broke a rule, which has
    /// ended the connection; [`Error::Timeout`] when the [timeout](crate::ConnectOptions::recv_timeout) has passed: nothing is lost
    /// then, the next receive goes on; [`Error::Usage`] while a frame is received in part by [`recv_frame`](Self::recv_frame).
    #[inline]
    pub fn recv(&mut self) -> Result<Message> {
        let (reader, shared) = self.halves()?;
        if reader.inbound.advance_short() {
            reader.take_message(shared, None)
        } else {
            reader.receive_owned(shared, None)
        }
    }

    /// Receives a message without copying it: valid until the next receive. To answer it while it is borrowed, send through a
    /// [`sender`](Self::sender).
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
        if reader.inbound.advance_short() {
            reader.message(shared, None)
        } else {
            reader.receive_borrowed(shared, None)
        }
    }

    /// Receives within `timeout`, whatever the options say.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Options`] for a timeout of zero.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message> {
        let deadline = Deadline::after(not_zero("recv_timeout", Some(timeout))?);
        let (reader, shared) = self.halves()?;
        reader.receive_owned(shared, Some(deadline))
    }

    /// Receives within `timeout`, without copying.
    ///
    /// # Errors
    ///
    /// As for [`recv_timeout`](Self::recv_timeout).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<MessageRef<'_>> {
        let deadline = Deadline::after(not_zero("recv_timeout", Some(timeout))?);
        let (reader, shared) = self.halves()?;
        reader.receive_borrowed(shared, Some(deadline))
    }

    /// Receives a message with its opcode, as bytes; the peer's Close comes as [`Opcode::Close`] with its body, once. With
    /// [`fire_cont_frame`](crate::ConnectOptions::fire_cont_frame), each fragment comes by itself.
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
        let already_over = shared.over().is_some();
        let mut deadline = None;
        match reader.receive(shared, granularity, control, &mut deadline) {
            Ok(Step::Message) => {
                let opcode = reader.inbound.kind().into();
                let message = reader.message(shared, deadline)?;
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
        let Some(connection) = &self.connection else { return false };
        // A close that reads keeps nothing.
        let Ok(reader) = connection.reader.try_lock() else { return false };
        reader.has_buffered(&connection.shared)
    }
}
