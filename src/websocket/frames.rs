//! The calls by which messages have an opcode, and single frames are received and sent.

use std::time::Duration;

use super::WebSocket;
use super::reader::{ControlFrames, ControlPolicy, timed_out};
use super::receive_deadline::ReceiveDeadline;
use super::writing::Wait;
use crate::error::{Error, Result};
use crate::protocol::{Compression, Frame, Granularity, MaskKeys, Opcode, Step};

/// Messages with their opcodes, and single frames.
///
/// ```no_run
/// use std::time::Duration;
///
/// use websocket_sync::{ControlFrames, Frame, Opcode, create_connection};
///
/// let mut ws = create_connection("wss://echo.example/")?;
/// // A message in two fragments.
/// ws.send_frame(&Frame::new(Opcode::Text, "Hel").fragment())?;
/// ws.send_frame(&Frame::new(Opcode::Continuation, "lo"))?;
///
/// let (opcode, payload) = ws.recv_data(ControlFrames::Hide)?;
/// println!("{opcode}: {} bytes", payload.len());
/// // Pings, pongs and the Close of the peer, too.
/// let frame = ws.recv_data_frame_timeout(ControlFrames::Show, Duration::from_secs(5))?;
/// println!("{}: {} bytes", frame.opcode, frame.payload.len());
/// let frame = ws.recv_data_frame(ControlFrames::Show)?;
/// let (opcode, payload) = ws.recv_data_timeout(ControlFrames::Hide, Duration::from_secs(5))?;
///
/// // For tests of a server: a frame that breaks the rules, and masking keys that are known.
/// ws.send_frame_unchecked(&Frame::new(Opcode::Ping, [0; 126]))?;
/// ws.set_mask_key(|| [1, 2, 3, 4])?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// Receives a message with its opcode, as bytes; the peer's Close comes as [`Opcode::Close`] with its body, once. With
    /// [`fire_cont_frame`](crate::ConnectOptions::fire_cont_frame), each fragment comes by itself, with its own opcode.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data(&mut self, control: ControlFrames) -> Result<(Opcode, Vec<u8>)> {
        self.recv_data_frame(control).map(|frame| (frame.opcode, frame.payload))
    }

    /// The same within `timeout`, whatever the options say. With zero it takes what has arrived.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_timeout(&mut self, control: ControlFrames, timeout: Duration) -> Result<(Opcode, Vec<u8>)> {
        self.recv_data_frame_timeout(control, timeout).map(|frame| (frame.opcode, frame.payload))
    }

    /// Receives a message as a frame. Its opcode is that of the message, not of its last fragment. The peer's Close comes as a
    /// frame, once; with [`fire_cont_frame`](crate::ConnectOptions::fire_cont_frame), each fragment comes by itself, with its own opcode.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    pub fn recv_data_frame(&mut self, control: ControlFrames) -> Result<Frame> {
        let deadline = ReceiveDeadline::Timeout(self.timeouts.recv);
        self.data_frame(control, deadline)?.ok_or_else(timed_out)
    }

    /// The same within `timeout`, whatever the options say. With zero it takes what has arrived.
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
            Some(_) => Ok(reader.inbound.take_frame()),
            None => Err(timed_out()),
        }
    }

    /// Sends a single frame, such as a fragment of a message; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); [`Error::Usage`] for a frame that must not follow the one before it (RFC 6455, section 5.4).
    pub fn send_frame(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame(frame, Compression::Agreed, Wait::Allowed)
    }

    /// Sends a single frame without checking whether RFC 6455 allows it: for tests of a peer.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn send_frame_unchecked(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame_unchecked(frame)
    }

    /// Takes the masking key of each frame from a function: for tests.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn set_mask_key(&self, key: impl FnMut() -> [u8; 4] + Send + 'static) -> Result<()> {
        self.shared()?.set_mask_keys(MaskKeys::each(Box::new(key)))
    }
}

impl WebSocket {
    /// Receives a message as a frame, and the peer's Close, once.
    pub(super) fn data_frame(
        &mut self,
        control: ControlFrames,
        mut deadline: ReceiveDeadline,
    ) -> Result<Option<Frame>> {
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
            Some(_) => Ok(Some(reader.inbound.take_frame())),
        }
    }
}
