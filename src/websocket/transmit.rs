//! The calls that send, as the handle and the connection share them.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, WRONG_LENGTH, frame_length};
use super::message_writer::MessageWriter;
use super::shared::{Purpose, Sending, Shared};
use super::turn::Turn;
use crate::error::{CloseCause, Error, Result};
use crate::message::{MessageKind, MessageRef};
use crate::net::Deadline;
use crate::protocol::{CloseFrame, Compression, Fin, Frame, LocalProtocolError, Opcode, TextCheck};
use crate::sync::thread;

impl Shared {
    #[inline]
    pub(crate) fn send_message(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        if self.is_driven() {
            return self.try_send_message(message, compression);
        }
        self.turn(Purpose::Message)?.compressing(compression).message(message).map(frame_length)
    }

    /// Sends a payload as a whole message or a control frame.
    pub(crate) fn send(&self, payload: &[u8], opcode: Opcode, compression: Compression) -> Result<usize> {
        if self.is_driven() {
            return self.try_send(payload, opcode, compression);
        }
        match opcode {
            Opcode::Text => {
                let text = simdutf8::basic::from_utf8(payload).map_err(|_| LocalProtocolError::TextNotUtf8)?;
                self.send_message(MessageRef::Text(text), compression)
            }
            Opcode::Binary => self.send_message(MessageRef::Binary(payload), compression),
            Opcode::Ping => self.turn(Purpose::Control)?.send(|outbound| outbound.ping(payload)),
            Opcode::Pong => self.turn(Purpose::Control)?.send(|outbound| outbound.pong(payload)),
            Opcode::Continuation | Opcode::Close => self.send_frame(&Frame::new(opcode, payload), compression),
        }
    }

    /// Sends a ping of the keepalive, and waits for that at most so long. [`Error::Timeout`] says that all this time another thread
    /// was sending, or the peer has taken nothing.
    pub(crate) fn ping_within(&self, payload: &[u8], longest: Option<Duration>) -> Result<()> {
        if self.is_driven() {
            return self.try_send(payload, Opcode::Ping, Compression::Agreed).map(|_| ());
        }
        let mut turn = self.turn_by(Purpose::Control, Deadline::after(longest))?;
        turn.send_leniently(|outbound| outbound.ping(payload)).map(|_| ())
    }

    /// Sends a frame that was put together by hand.
    pub(crate) fn send_frame(&self, frame: &Frame, compression: Compression) -> Result<usize> {
        frame.validate()?;
        if frame.opcode == Opcode::Close {
            let close = CloseFrame::parse(&frame.payload).map_err(LocalProtocolError::CloseBody)?;
            self.traffic().check(Purpose::Control)?;
            self.send_close(close.code, &close.reason)?;
            return Ok(frame.encoded_len(self.role));
        }
        let purpose = match frame.opcode {
            Opcode::Text | Opcode::Binary => Purpose::Message,
            Opcode::Continuation => Purpose::Fragment,
            _ => Purpose::Control,
        };
        if self.is_driven() {
            return self.try_send_by_hand(purpose, frame, compression);
        }
        let mut turn = self.turn(purpose)?.compressing(compression);
        if frame.opcode.is_control() {
            return turn.send(|outbound| outbound.frame(frame));
        }
        let fin = if frame.fin { Fin::Last } else { Fin::More };
        turn.data(frame.opcode, fin, &frame.payload).map(frame_length)
    }

    /// Sends a frame as it stands, past every rule.
    pub(crate) fn send_frame_unchecked(&self, frame: &Frame) -> Result<usize> {
        self.turn(Purpose::Control)?.send(|outbound| Ok(outbound.frame_unchecked(frame)))
    }

    pub(crate) fn cork<T>(
        &self,
        compression: Compression,
        fill: impl FnOnce(&mut Batch<'_>) -> Result<T>,
    ) -> Result<T> {
        let turn = self.turn(Purpose::Message)?.compressing(compression);
        self.set_sending(Sending::Batch(thread::current().id()));
        let _uncork = Uncork(self);
        let mut batch = Batch::new(turn);
        let filled = fill(&mut batch);
        // What was gathered counts as sent for the caller, so it leaves even when a later call failed.
        batch.flush()?;
        filled
    }

    /// Sends what `reader` gives: as one frame when its length is known and it is not compressed, in fragments otherwise.
    pub(crate) fn send_reader(
        self: &Arc<Self>,
        kind: MessageKind,
        mut reader: impl Read,
        len: Option<u64>,
        compression: Compression,
    ) -> Result<u64> {
        let Some(len) = len else {
            let mut writer = MessageWriter::new(Arc::clone(self), kind, compression)?;
            // What the writer says comes wrapped; what the reader says is its own.
            let copied = io::copy(&mut reader, &mut writer).map_err(Error::from)?;
            writer.finish()?;
            return Ok(copied);
        };
        let mut turn = self.turn(Purpose::Message)?.compressing(compression);
        let text = (kind == MessageKind::Text).then(TextCheck::default);
        let mut form = Form::Frame;
        if len > 0 && turn.would_deflate(kind.into(), Fin::Last, len) {
            form = Form::Fragments(kind.into());
        } else {
            turn.encode(|outbound| outbound.begin(kind.into(), Fin::Last, len))?;
        }
        turn.whole_message(|turn| send_pieces(turn, &mut reader, len, text, form))?;
        Ok(len)
    }

    /// Gives the connection up. One that is over may still wait for the peer to hang up.
    pub(crate) fn give_up(&self) {
        self.abort(CloseCause::Aborted);
    }
}

/// Ends a batch, however it ends.
struct Uncork<'a>(&'a Shared);

impl Drop for Uncork<'_> {
    fn drop(&mut self) {
        self.0.set_sending(Sending::Nothing);
    }
}

/// What a message of known length is sent as.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// One frame, whose header was encoded.
    Frame,
    /// A fragment for each piece, since what it is compressed to has no known length; the next one has this opcode.
    Fragments(Opcode),
}

fn send_pieces(
    turn: &mut Turn<'_>,
    reader: &mut impl Read,
    len: u64,
    mut text: Option<TextCheck>,
    mut form: Form,
) -> Result<()> {
    let mut piece = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(Turn::PIECE)];
    let mut missing = len;
    while missing > 0 {
        let wanted = usize::try_from(missing).unwrap_or(usize::MAX).min(piece.len());
        let length = match reader.read(&mut piece[..wanted]) {
            Ok(0) => return Err(Error::Usage(WRONG_LENGTH)),
            Ok(length) => length.min(wanted),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if let Some(text) = &mut text {
            text.push(&piece[..length]).map_err(|_| LocalProtocolError::TextNotUtf8)?;
        }
        missing -= length as u64;
        let piece = &piece[..length];
        match form {
            Form::Frame => turn.encode(|outbound| outbound.payload(piece))?,
            Form::Fragments(opcode) => {
                turn.encode_data(opcode, if missing > 0 { Fin::More } else { Fin::Last }, piece)?;
                form = Form::Fragments(Opcode::Continuation);
            }
        }
        turn.flush()?;
    }
    // An empty payload has left its header behind.
    turn.flush()?;
    match text {
        Some(text) => text.finish().map_err(|_| Error::Usage(LocalProtocolError::TextNotUtf8)),
        None => Ok(()),
    }
}
