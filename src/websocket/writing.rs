//! The sends, each written once for [`WebSocket`](super::WebSocket), [`Sender`](super::Sender) and event loops.

use std::io::{self, Read};
use std::sync::Arc;

use super::MessageWriter;
use super::close_state::CloseState;
use super::shared::{Purpose, SendState, SharedConnection};
use super::write_guard::WriteGuard;
use crate::error::{Error, OptionsError, Result};
#[cfg(feature = "json")]
use crate::message::to_json;
use crate::message::{MessageKind, MessageRef};
use crate::net::SendDeadline;
use crate::protocol::{
    Checkpoint, CloseFrame, Compression, Fin, Frame, FrameHeader, LocalProtocolError, MAX_CONTROL_PAYLOAD, Opcode,
    Outbound,
};
use crate::trace::Epoch;

/// Whether a call may wait for the network.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wait {
    /// Until its deadline. On a connection that an event loop has, it does not wait all the same.
    Allowed,
    /// It returns at once: the message is taken whole or not at all.
    Never,
}

/// Whether the ping of a keepalive has left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PingStatus {
    Left,
    Queued,
}

impl SharedConnection {
    /// Sends a message; returns the length of its frame in bytes.
    #[inline]
    pub(super) fn send_message(&self, message: MessageRef<'_>, compression: Compression, wait: Wait) -> Result<usize> {
        let length = message.as_bytes().len();
        if self.may_wait(wait) && length <= WriteGuard::CHUNK {
            return self.write_message(message, compression);
        }
        self.send_message_otherwise(message, compression, wait)
    }

    #[cold]
    fn send_message_otherwise(&self, message: MessageRef<'_>, compression: Compression, wait: Wait) -> Result<usize> {
        if self.may_wait(wait) {
            return self.acquire(Purpose::Message)?.send_large_message(message, compression);
        }
        self.send_frame_with(Purpose::Message, message.as_bytes().len(), wait, |outbound| {
            outbound.message_with(message, compression)
        })
    }

    /// Sends a message as one frame, and waits for the sending half and the network within the time for a send.
    ///
    /// In the usual case nobody else sends, nothing is compressed, and the frame leaves at once. That case is decided here with one
    /// look at the state before and one after; all others go through a [`WriteGuard`].
    #[inline(always)]
    fn write_message(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        let Some(mut taken) = self.take_undisturbed() else { return self.write_message_in_turn(message, compression) };
        let outbound = taken.outbound();
        let Some(length) = outbound.plain_message(message) else {
            drop(taken);
            return self.write_message_in_turn(message, compression);
        };
        match self.stream.try_write_all(outbound.pending()) {
            Ok(()) => {
                outbound.all_written();
                taken.give_back();
                Ok(length)
            }
            Err(written) => taken.into_guard().finish_message(length, written),
        }
    }

    #[cold]
    #[inline(never)]
    fn write_message_in_turn(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        self.acquire(Purpose::Message)?.send(|outbound| outbound.message_with(message, compression))
    }

    /// Takes the sending half where nothing has to be considered and there is no trace.
    #[inline(always)]
    fn take_undisturbed(&self) -> Option<TakenOutbound<'_>> {
        let mut state = self.state();
        if !state.is_undisturbed() || Epoch::now().is_some() {
            return None;
        }
        let outbound = state.outbound.take()?;
        drop(state);
        Some(TakenOutbound { shared: self, outbound: Some(outbound) })
    }

    /// Sends a payload as a whole message or a control frame.
    pub(super) fn send(&self, payload: &[u8], opcode: Opcode, compression: Compression, wait: Wait) -> Result<usize> {
        match opcode {
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.send_data(opcode, Fin::Last, payload, compression, wait)
            }
            Opcode::Ping => {
                self.send_frame_with(Purpose::Control, payload.len(), wait, |outbound| outbound.ping(payload))
            }
            Opcode::Pong => {
                self.send_frame_with(Purpose::Control, payload.len(), wait, |outbound| outbound.pong(payload))
            }
            Opcode::Close => {
                Frame::new(opcode, payload).validate()?;
                let close = CloseFrame::parse(payload).map_err(LocalProtocolError::CloseBody)?;
                self.state().check(Purpose::Close)?;
                self.send_close(close, wait)?;
                Ok(Frame::new(opcode, payload).encoded_len(self.role))
            }
        }
    }

    /// Sends a frame that was put together by hand.
    pub(super) fn send_frame(&self, frame: &Frame, compression: Compression, wait: Wait) -> Result<usize> {
        frame.validate()?;
        if frame.opcode.is_control() {
            return self.send(&frame.payload, frame.opcode, compression, wait);
        }
        let fin = if frame.fin { Fin::Last } else { Fin::More };
        self.send_data(frame.opcode, fin, &frame.payload, compression, wait)
    }

    /// Sends a frame as it stands, past every rule.
    pub(super) fn send_frame_unchecked(&self, frame: &Frame) -> Result<usize> {
        self.send_frame_with(Purpose::Control, frame.payload.len(), Wait::Allowed, |outbound| {
            Ok(outbound.frame_unchecked(frame))
        })
    }

    /// Sends the ping of a keepalive, of up to 125 bytes, without waiting. Where another thread sends, or the peer takes nothing, it is
    /// queued, and leaves when the other one is done or there is room.
    pub(super) fn send_keepalive_ping(&self, payload: &[u8]) -> Result<PingStatus> {
        if !self.may_wait(Wait::Allowed) {
            return self.send(payload, Opcode::Ping, Compression::Agreed, Wait::Never).map(|_| PingStatus::Left);
        }
        if payload.len() > MAX_CONTROL_PAYLOAD {
            return Err(Error::Usage(LocalProtocolError::ControlTooLong(payload.len())));
        }
        self.queue_ping(payload)?;
        Ok(self.flush_keepalive_ping())
    }

    /// Sends a queued ping if that goes without waiting; whether it has left.
    pub(super) fn flush_keepalive_ping(&self) -> PingStatus {
        self.flush_pending();
        if self.state().ping.is_some() { PingStatus::Queued } else { PingStatus::Left }
    }

    /// Sends the messages that `fill` puts into a batch.
    pub(super) fn cork<T>(
        &self,
        compression: Compression,
        fill: impl FnOnce(&mut Batch<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut batch = Batch::new(self.acquire(Purpose::Message)?.exclusive(), compression);
        let filled = fill(&mut batch);
        if batch.guard.check().is_err() {
            // The closure may know why.
            return filled.and_then(|value| batch.flush().map(|()| value));
        }
        // For the caller, what was gathered is sent, so it leaves even when a later call failed.
        batch.flush()?;
        filled
    }

    /// Sends what `reader` gives: as one frame when its length is known and it is not compressed, in fragments otherwise.
    pub(super) fn send_reader(
        self: &Arc<Self>,
        kind: MessageKind,
        mut reader: impl Read,
        len: Option<u64>,
        compression: Compression,
    ) -> Result<u64> {
        let Some(len) = len else {
            let mut writer = MessageWriter::for_reader(Arc::clone(self), kind, compression)?;
            // The writer's errors come wrapped; those of the reader are its own.
            return match io::copy(&mut reader, &mut writer) {
                Ok(copied) => writer.finish().map(|()| copied),
                Err(error) => Err(writer.abandon(error.into())),
            };
        };
        let mut guard = self.acquire(Purpose::Message)?.exclusive();
        let mut chunk = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(WriteGuard::CHUNK)];
        guard.send_in_steps(|guard| {
            let mut message = ChunkedMessage::new(guard, kind.into(), Fin::Last, len, compression);
            while message.missing > 0 {
                let wanted = usize::try_from(message.missing).unwrap_or(usize::MAX).min(chunk.len());
                let length = read_some(&mut reader, &mut chunk[..wanted])?;
                message.send(guard, &chunk[..length])?;
            }
            if len == 0 { message.send(guard, &[]) } else { Ok(()) }
        })?;
        Ok(len)
    }

    /// Sends a fragment of a message that a writer sends, by a deadline that several may have in common: its time begins to run where
    /// the first of them has to wait. It waits also on a connection that an event loop has.
    pub(super) fn send_fragment(
        &self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        compression: Compression,
        deadline: &mut Option<SendDeadline>,
    ) -> Result<()> {
        let mut guard = self.acquire_within(Purpose::Fragment, *deadline)?;
        let sent = guard.send(|outbound| outbound.data_with(opcode, fin, payload, compression));
        *deadline = guard.deadline();
        sent.map(drop)
    }

    /// Whether a call waits: not on a connection that an event loop has.
    #[inline]
    pub(super) fn may_wait(&self, wait: Wait) -> bool {
        wait == Wait::Allowed && !self.event_loop.is_attached()
    }

    fn send_data(
        &self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        compression: Compression,
        wait: Wait,
    ) -> Result<usize> {
        // A fragment by hand, too, waits for the end of a message that a writer sends: it is no part of that.
        if payload.len() > WriteGuard::CHUNK && self.may_wait(wait) {
            return self.acquire(Purpose::Message)?.send_large(opcode, fin, payload, compression);
        }
        self.send_frame_with(Purpose::Message, payload.len(), wait, |outbound| {
            outbound.data_with(opcode, fin, payload, compression)
        })
    }

    /// Sends one frame whose payload has about `length` bytes.
    #[inline]
    fn send_frame_with(
        &self,
        purpose: Purpose,
        length: usize,
        wait: Wait,
        encode: impl FnOnce(&mut Outbound) -> Result<usize, LocalProtocolError>,
    ) -> Result<usize> {
        if self.may_wait(wait) {
            return self.acquire(purpose)?.send(encode);
        }
        let size = length.saturating_add(FrameHeader::MAX_LEN);
        if size > self.max_unsent {
            return Err(too_large(length));
        }
        self.try_acquire(purpose)?.send_now(size, self.max_unsent, encode)
    }
}

impl SendState {
    /// The usual case: nobody else sends or wants to, nothing is queued, neither side has closed.
    #[inline]
    fn is_undisturbed(&self) -> bool {
        self.waiting == 0
            && self.pong.is_none()
            && self.ping.is_none()
            && self.transaction.is_none()
            && matches!(self.close, CloseState::Open)
    }
}

/// The sending half, taken where nothing had to be considered. Dropped, it is given back as by a [`WriteGuard`].
struct TakenOutbound<'a> {
    shared: &'a SharedConnection,
    outbound: Option<Box<Outbound>>,
}

impl<'a> TakenOutbound<'a> {
    #[inline(always)]
    fn outbound(&mut self) -> &mut Outbound {
        self.outbound.as_mut().expect("the sending half is there until it is given back")
    }

    /// Gives the half back after all of it was written; at once, unless something has happened meanwhile.
    #[inline(always)]
    fn give_back(mut self) {
        let mut state = self.shared.state();
        if state.is_undisturbed() && !self.shared.is_marked_unsent() {
            std::mem::swap(&mut state.outbound, &mut self.outbound);
        }
    }

    #[cold]
    fn into_guard(mut self) -> WriteGuard<'a> {
        WriteGuard::untraced(self.shared, self.outbound.take())
    }
}

impl Drop for TakenOutbound<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(outbound) = self.outbound.take() {
            drop(WriteGuard::untraced(self.shared, Some(outbound)));
        }
    }
}

impl WriteGuard<'_> {
    /// Sends a message that is too large to be copied at once; returns the length of what was sent in bytes.
    #[cold]
    fn send_large_message(&mut self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        self.send_in_steps(|guard| {
            let len = message.as_bytes().len() as u64;
            let mut chunked = ChunkedMessage::new(guard, message.kind().into(), Fin::Last, len, compression);
            chunked.valid = Some(message);
            chunked.send_all(guard, message.as_bytes())
        })
    }

    /// The same with a data frame, whose text may be none.
    #[cold]
    fn send_large(&mut self, opcode: Opcode, fin: Fin, payload: &[u8], compression: Compression) -> Result<usize> {
        self.send_in_steps(|guard| {
            let len = payload.len() as u64;
            ChunkedMessage::new(guard, opcode, fin, len, compression).send_all(guard, payload)
        })
    }
}

/// A message that leaves chunk by chunk.
struct ChunkedMessage<'a> {
    form: Form,
    /// The message, where its text is known to be valid.
    valid: Option<MessageRef<'a>>,
    /// The opcode of the next frame.
    opcode: Opcode,
    fin: Fin,
    /// How much of the payload has not been given yet, in bytes.
    missing: u64,
    /// How long what was encoded is, in bytes.
    encoded: u64,
    compression: Compression,
}

/// What a message is sent as whose length is known.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// One frame, whose header is not encoded yet.
    Frame,
    /// The rest of one frame.
    Payload,
    /// A fragment for each chunk, since the length of what it is compressed to is not known before its end.
    Fragments,
}

impl ChunkedMessage<'_> {
    fn new(guard: &mut WriteGuard<'_>, opcode: Opcode, fin: Fin, len: u64, compression: Compression) -> Self {
        let is_compressed = len > 0 && guard.outbound().would_deflate(opcode, fin, len, compression);
        let form = if is_compressed { Form::Fragments } else { Form::Frame };
        Self { form, valid: None, opcode, fin, missing: len, encoded: 0, compression }
    }

    /// Sends a payload that lies in memory; returns the length of what was sent in bytes.
    fn send_all(mut self, guard: &mut WriteGuard<'_>, payload: &[u8]) -> Result<usize> {
        for chunk in payload.chunks(WriteGuard::CHUNK) {
            self.send(guard, chunk)?;
        }
        Ok(usize::try_from(self.encoded).unwrap_or(usize::MAX))
    }

    /// Sends the next chunk of the payload.
    fn send(&mut self, guard: &mut WriteGuard<'_>, chunk: &[u8]) -> Result<()> {
        let len = self.missing;
        self.missing = len.saturating_sub(chunk.len() as u64);
        let (opcode, fin, compression, valid) = (self.opcode, self.fin, self.compression, self.valid);
        match self.form {
            Form::Frame => {
                self.form = Form::Payload;
                self.encoded = guard.encode(|outbound| {
                    let encoded = match valid {
                        Some(message) => outbound.begin_message(message)?,
                        None => outbound.begin(opcode, fin, len)?,
                    };
                    outbound.payload(chunk)?;
                    Ok(encoded)
                })?;
            }
            Form::Payload => guard.encode(|outbound| outbound.payload(chunk))?,
            Form::Fragments => {
                let fin = if self.missing > 0 { Fin::More } else { fin };
                self.encoded += guard.encode(|outbound| outbound.data_with(opcode, fin, chunk, compression))? as u64;
                self.opcode = Opcode::Continuation;
            }
        }
        guard.flush()
    }
}

/// Gathers messages, so that many small ones leave in one write; made by [`WebSocket::cork`](crate::WebSocket::cork).
#[derive(Debug)]
pub struct Batch<'a> {
    guard: WriteGuard<'a>,
    compression: Compression,
    /// Where what is gathered begins.
    begin: Checkpoint,
}

impl<'a> Batch<'a> {
    /// How much is gathered before it is written, in bytes.
    const FULL: usize = 64 * 1024;

    fn new(mut guard: WriteGuard<'a>, compression: Compression) -> Self {
        let begin = guard.checkpoint();
        Self { guard, compression, begin }
    }

    /// Adds a text message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    #[inline]
    pub fn send_text(&mut self, text: &str) -> Result<usize> {
        self.send(MessageRef::Text(text))
    }

    /// Adds a binary message; returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_binary`](crate::WebSocket::send_binary).
    #[inline]
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<usize> {
        self.send(MessageRef::Binary(bytes))
    }

    /// Adds a value as JSON, in a text message (feature `json`); returns the frame's length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_json`](crate::WebSocket::send_json).
    #[cfg(feature = "json")]
    pub fn send_json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<usize> {
        self.send_text(&to_json(value)?)
    }

    /// Adds a ping.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::ping`](crate::WebSocket::ping).
    pub fn ping(&mut self, payload: &[u8]) -> Result<()> {
        self.guard.encode(|outbound| outbound.ping(payload))?;
        self.flush_if_full()
    }

    /// Writes what is gathered so far. If no byte of it leaves in time, all of it is dropped and the connection goes on.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text).
    pub fn flush(&mut self) -> Result<()> {
        self.guard.check()?;
        self.guard.renew_deadline();
        if self.guard.pending() > 0
            && let Err(error) = self.guard.flush()
        {
            return Err(self.guard.roll_back(self.begin, error));
        }
        self.begin = self.guard.checkpoint();
        Ok(())
    }

    #[inline]
    fn send(&mut self, message: MessageRef<'_>) -> Result<usize> {
        let (payload, compression) = (message.as_bytes(), self.compression);
        if payload.len() > Self::FULL {
            self.flush()?;
            self.guard.renew_deadline();
            let length = self.guard.send_large_message(message, compression)?;
            self.begin = self.guard.checkpoint();
            return Ok(length);
        }
        let length = self.guard.encode(|outbound| outbound.message_with(message, compression))?;
        self.flush_if_full()?;
        Ok(length)
    }

    #[inline]
    fn flush_if_full(&mut self) -> Result<()> {
        if self.guard.pending() >= Self::FULL { self.flush() } else { Ok(()) }
    }
}

/// Reads the next bytes of a message that a reader of the user's gives.
fn read_some(reader: &mut impl Read, buf: &mut [u8]) -> Result<usize> {
    loop {
        match reader.read(buf) {
            Ok(0) => return Err(Error::Usage(LocalProtocolError::PayloadLength)),
            Ok(length) => return Ok(length.min(buf.len())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// No waiting will make room for it.
#[cold]
fn too_large(length: usize) -> Error {
    let problem = format!("a message of {length} bytes does not fit");
    Error::Options(Box::new(OptionsError::new("max_unsent", problem)))
}
