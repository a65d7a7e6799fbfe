//! What a [`WebSocket`] receives, in every shape that is asked for, waiting or not.

use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::reader::{ControlFrames, ControlPolicy, timed_out};
use super::receive_deadline::ReceiveDeadline;
use super::{MessageReader, WebSocket};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::protocol::{Granularity, Opcode, Step};

/// Receiving.
///
/// ```no_run
/// use std::time::{Duration, Instant};
///
/// let mut ws = websocket_sync::create_connection("wss://feed.example/")?;
/// let first = ws.recv()?;
/// let soon = ws.recv_timeout(Duration::from_millis(50));
/// if soon.is_err_and(|error| !error.is_timeout()) {
///     return Ok(());
/// }
/// // The same without copying the message.
/// let deadline = Instant::now() + Duration::from_secs(1);
/// println!("{:?}", ws.recv_ref_deadline(deadline)?);
/// println!("{:?}", ws.recv_ref_timeout(Duration::from_secs(1))?);
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// Receives a message. Pings are answered meanwhile. The peer's Close is answered, too; a client then waits until the server ends the
    /// connection, for the [close timeout](crate::ConnectOptions::close_timeout) at most and within the time of the receive, and this
    /// returns [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// * [`Error::Closed`] when the connection is over, from this call and all that follow; where this side has closed, by the
    ///   [`close_deadline`](Self::close_deadline) at the latest.
    /// * [`Error::Protocol`] when the peer broke a rule or went over a limit. The connection is over; further calls return
    ///   [`Error::Closed`].
    /// * [`Error::Timeout`] when the [timeout](crate::ConnectOptions::recv_timeout) has passed: nothing is lost, the next receive
    ///   continues.
    /// * [`Error::Usage`] while a frame is received in part by [`recv_frame`](Self::recv_frame).
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

    /// Receives within `timeout`, whatever the options say. With zero it takes what has arrived.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Message> {
        self.recv_within(ReceiveDeadline::Timeout(Some(timeout)))
    }

    /// Receives until `deadline`, whatever the options say. One that has passed takes what has arrived.
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

    /// Receives within `timeout`, without copying. With zero it takes what has arrived.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_ref_timeout(&mut self, timeout: Duration) -> Result<MessageRef<'_>> {
        let (reader, shared) = self.receiver()?;
        reader.receive_borrowed(shared, ReceiveDeadline::Timeout(Some(timeout)))?.ok_or_else(timed_out)
    }

    /// Receives until `deadline`, without copying. One that has passed takes what has arrived.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_ref_deadline(&mut self, deadline: Instant) -> Result<MessageRef<'_>> {
        let (reader, shared) = self.receiver()?;
        reader.receive_borrowed(shared, ReceiveDeadline::by(deadline))?.ok_or_else(timed_out)
    }

    /// Waits for a message to begin, and returns a reader that reads it while it arrives. See [`MessageReader`].
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv); [`Error::Usage`] while a message is received in part by another call.
    pub fn message_reader(&mut self) -> Result<MessageReader<'_>> {
        let (reader, shared) = self.receiver()?;
        MessageReader::new(reader, shared)
    }

    /// An iterator over the messages. It ends when the connection is closed cleanly; any other end is its last item, an error.
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
        self.receiver().is_ok_and(|(reader, shared)| reader.inbound.can_release() || shared.can_release())
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
