//! What a [`WebSocket`] receives, in every shape that is asked for, waiting or not.

use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::reader::{ControlFrames, ControlPolicy, ReceiveDeadline, timed_out};
use super::{MessageReader, WebSocket};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::protocol::{Frame, Granularity, Opcode, Step};

/// Receiving.
impl WebSocket {
    /// Receives a message as a value of its own. Pings are answered on the way, and so is the peer's Close; then a client waits
    /// for the server to end the connection, at most for the close timeout, before it returns.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the connection is over, now and ever after; where this side has closed, it comes by the
    /// [`close_deadline`](Self::close_deadline) at the latest. [`Error::Protocol`] when the peer broke a rule, which has
    /// ended the connection; [`Error::Timeout`] when the [timeout](crate::ConnectOptions::recv_timeout) has passed: nothing is lost
    /// then, the next receive goes on; [`Error::Usage`] while a frame is received in part by [`recv_frame`](Self::recv_frame).
    #[inline]
    pub fn recv(&mut self) -> Result<Message> {
        let (reader, shared) = self.receiver()?;
        if reader.inbound.advance_short() {
            return reader.short_message(shared).map(MessageRef::to_owned);
        }
        let deadline = reader.deadline();
        reader.receive_owned(shared, deadline)?.ok_or_else(timed_out)
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
        let (reader, shared) = self.receiver()?;
        if reader.inbound.advance_short() {
            return reader.short_message(shared);
        }
        let deadline = reader.deadline();
        reader.receive_borrowed(shared, deadline)?.ok_or_else(timed_out)
    }

    /// Receives a message, text or binary, that is JSON (feature `json`). Within a timeout of its own:
    /// `ws.recv_timeout(timeout)?.json()`.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Json`] for a message that is not the JSON that was expected: it is in the error, and
    /// the connection goes on.
    ///
    /// ```no_run
    /// #[derive(serde::Deserialize)]
    /// struct Tick {
    ///     symbol: String,
    ///     price: f64,
    /// }
    ///
    /// let mut feed = websocket_sync::create_connection("wss://feed.example/")?;
    /// feed.send_json(&serde_json::json!({"subscribe": "ticks"}))?;
    /// loop {
    ///     let tick: Tick = feed.recv_json()?;
    ///     println!("{} {}", tick.symbol, tick.price);
    /// }
    /// # #[allow(unreachable_code)]
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[cfg(feature = "json")]
    pub fn recv_json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        self.recv_ref()?.json()
    }

    /// Receives within `timeout`, whatever the options say. A timeout of zero looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message> {
        self.recv_within(ReceiveDeadline::Timeout(Some(timeout)))
    }

    /// Receives until `deadline`, whatever the options say. A deadline that has passed looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// ```no_run
    /// use std::time::{Duration, Instant};
    ///
    /// # let mut ws = websocket_sync::create_connection("ws://localhost:9001/")?;
    /// // The login and its answer, in five seconds together.
    /// let deadline = Instant::now() + Duration::from_secs(5);
    /// ws.send_text("login")?;
    /// let greeting = ws.recv_deadline(deadline)?;
    /// let answer = ws.recv_deadline(deadline)?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn recv_deadline(&mut self, deadline: Instant) -> Result<Message> {
        self.recv_within(ReceiveDeadline::by(deadline))
    }

    /// Receives within `timeout`, without copying. A timeout of zero looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<MessageRef<'_>> {
        let (reader, shared) = self.receiver()?;
        reader.receive_borrowed(shared, ReceiveDeadline::Timeout(Some(timeout)))?.ok_or_else(timed_out)
    }

    /// Receives until `deadline`, without copying. A deadline that has passed looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<MessageRef<'_>> {
        let (reader, shared) = self.receiver()?;
        reader.receive_borrowed(shared, ReceiveDeadline::by(deadline))?.ok_or_else(timed_out)
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

    /// The same within `timeout`, whatever the options say. A timeout of zero looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_timeout(&mut self, control: ControlFrames, timeout: Duration) -> Result<(Opcode, Vec<u8>)> {
        self.recv_data_frame_timeout(control, timeout).map(|frame| (frame.opcode, frame.payload))
    }

    /// Receives a message as a frame. Its opcode is that of the message, not of its last fragment. The peer's Close comes as a
    /// frame, once; with [`fire_cont_frame`](crate::ConnectOptions::fire_cont_frame), each fragment comes by itself.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_frame(&mut self, control: ControlFrames) -> Result<Frame> {
        let deadline = ReceiveDeadline::Timeout(self.timeouts.recv);
        self.data_frame(control, deadline)?.ok_or_else(timed_out)
    }

    /// The same within `timeout`, whatever the options say. A timeout of zero looks once.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_frame_timeout(&mut self, control: ControlFrames, timeout: Duration) -> Result<Frame> {
        self.data_frame(control, ReceiveDeadline::Timeout(Some(timeout)))?.ok_or_else(timed_out)
    }

    /// Receives a single frame, of data or control, and answers nothing: neither pings nor a Close.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Usage`] while a message is received in part by another call.
    pub fn recv_frame(&mut self) -> Result<Frame> {
        let (reader, shared) = self.receiver()?;
        let mut deadline = reader.deadline();
        match reader.receive(shared, Granularity::Frame, ControlPolicy::Raw, &mut deadline)? {
            Some(_) => Ok(reader.inbound.frame()),
            None => Err(timed_out()),
        }
    }

    /// Waits for a message to begin, to be read before it has ended.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Usage`] while a message is received in part by another call.
    pub fn message_reader(&mut self) -> Result<MessageReader<'_>> {
        let (reader, shared) = self.receiver()?;
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

    /// Whether something waits to be sent: call [`try_flush`](Self::try_flush) when the socket is writable. Every other call that
    /// sends or receives sends it on, too.
    pub fn wants_write(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let shared = &connection.shared;
            shared.has_unsent() && shared.can_write()
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

    /// While a closing handshake is under way, or nothing can be sent any more: by when a receive ends the connection, although the
    /// peer says nothing. It moves on when our Close has left.
    pub fn close_deadline(&self) -> Option<Instant> {
        let connection = self.connection.as_ref()?;
        // A close that reads has a deadline of its own.
        let reader = connection.reader.try_lock().ok()?;
        reader.closing_deadline(&connection.shared).instant()
    }

    /// Gives back the memory that a burst has taken, unless it is in use. A receive that waits does that by itself after a second;
    /// who does not wait may do so for a connection that has fallen silent. What is borrowed of the last message is gone.
    pub fn release(&mut self) {
        if let Ok((reader, shared)) = self.receiver() {
            reader.inbound.release();
            shared.release_memory();
        }
    }
}

/// What a receive brings to those who want to see everything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Received<'a> {
    Message(MessageRef<'a>),
    /// A fragment of a message; the opcode is that of the message.
    Fragment {
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
    },
    /// It has been answered.
    Ping(&'a [u8]),
    Pong(&'a [u8]),
}

/// For the app, which hands on what comes where it lies.
impl WebSocket {
    /// Receives a message or a control frame without copying it; with [`Granularity::Frame`], a message in fragments comes fragment
    /// by fragment.
    #[inline]
    pub(crate) fn recv_event(&mut self, granularity: Granularity) -> Result<Received<'_>> {
        let deadline = ReceiveDeadline::Timeout(self.timeouts.recv);
        self.event(granularity, deadline)?.ok_or_else(timed_out)
    }

    /// The same without waiting.
    #[inline]
    pub(crate) fn try_recv_event(&mut self, granularity: Granularity) -> Result<Option<Received<'_>>> {
        self.event(granularity, ReceiveDeadline::NOW)
    }

    /// Hands out the short messages that have been received already, where they lie, until `look` has enough of them.
    #[inline]
    pub(crate) fn each_buffered<B>(
        &mut self,
        mut look: impl FnMut(MessageRef<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let (reader, shared) = self.receiver()?;
        while reader.inbound.advance_short() {
            let looked = look(reader.short_message(shared)?);
            if looked.is_break() {
                return Ok(looked);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Makes this thread the one that receives, whichever made the connection: from now on a close on this thread does not wait.
    pub(crate) fn receive_here(&mut self) -> Result<()> {
        self.receiver().map(drop)
    }

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    pub(crate) fn can_release(&mut self) -> bool {
        self.receiver().is_ok_and(|(reader, _)| reader.inbound.can_release())
    }

    fn event(&mut self, granularity: Granularity, mut deadline: ReceiveDeadline) -> Result<Option<Received<'_>>> {
        let (reader, shared) = self.receiver()?;
        let control = ControlPolicy::Handle(ControlFrames::Show);
        match reader.receive(shared, granularity, control, &mut deadline)? {
            None => Ok(None),
            Some(Step::Ping) => Ok(Some(Received::Ping(reader.inbound.control()))),
            Some(Step::Pong) => Ok(Some(Received::Pong(reader.inbound.control()))),
            Some(Step::Message) => Ok(reader.message(shared, deadline)?.map(Received::Message)),
            Some(_) => {
                if let Some(message) = reader.inbound.unfragmented() {
                    return Ok(Some(Received::Message(message)));
                }
                let opcode = reader.inbound.kind().into();
                let (payload, fin) = reader.inbound.part();
                Ok(Some(Received::Fragment { opcode, payload, fin }))
            }
        }
    }

    fn recv_within(&mut self, deadline: ReceiveDeadline) -> Result<Message> {
        let (reader, shared) = self.receiver()?;
        reader.receive_owned(shared, deadline)?.ok_or_else(timed_out)
    }

    /// Receives a message as a frame, and the peer's Close, once.
    fn data_frame(&mut self, control: ControlFrames, mut deadline: ReceiveDeadline) -> Result<Option<Frame>> {
        let fragments = self.options.settings().fires_cont_frame;
        let granularity = if fragments { Granularity::Frame } else { Granularity::Message };
        let (reader, shared) = self.receiver()?;
        let already_told = reader.ending.as_ref().map_or_else(|| shared.is_over(), |ending| ending.is_told());
        let step = match reader.receive(shared, granularity, ControlPolicy::Handle(control), &mut deadline) {
            Err(Error::Closed(info)) if info.is_clean() && !already_told => {
                let close = reader.inbound.close().map(|close| close.to_body());
                return Ok(Some(Frame::new(Opcode::Close, close.unwrap_or_default())));
            }
            step => step?,
        };
        match step {
            None => Ok(None),
            Some(Step::Message) => {
                let opcode = reader.inbound.kind().into();
                Ok(reader.message(shared, deadline)?.map(|message| Frame::new(opcode, message.as_bytes())))
            }
            Some(_) => Ok(Some(reader.inbound.frame())),
        }
    }
}

/// Receives until the connection is closed; made by [`WebSocket::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    ws: &'a mut WebSocket,
    over: Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    No,
    Yes,
}

impl<'a> Messages<'a> {
    pub(super) const fn new(ws: &'a mut WebSocket) -> Self {
        Self { ws, over: Over::No }
    }
}

/// Ends after a clean close. An error ends it too, except a timeout, after which the next message may still come.
impl Iterator for Messages<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over == Over::Yes {
            return None;
        }
        match self.ws.recv() {
            Ok(message) => Some(Ok(message)),
            Err(error) if error.is_timeout() => Some(Err(error)),
            Err(error) => {
                self.over = Over::Yes;
                let clean = matches!(&error, Error::Closed(info) if info.is_clean());
                (!clean).then_some(Err(error))
            }
        }
    }
}

impl FusedIterator for Messages<'_> {}

impl<'a> IntoIterator for &'a mut WebSocket {
    type Item = Result<Message>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.messages()
    }
}
