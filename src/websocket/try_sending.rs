//! Sending without waiting: a message is taken whole or not at all, and what does not leave at once stays as a bounded tail of
//! the connection, which the reader or the next sender sends on.

use super::shared::{Purpose, Shared};
use crate::error::{Error, OptionsError, Result};
use crate::message::MessageRef;
use crate::protocol::{
    CloseCode, CloseFrame, Compression, Fin, Frame, FrameHeader, LocalProtocolError, Opcode, Outbound,
};

impl Shared {
    /// Takes a message, if there is room for it; returns the length of its frame in bytes.
    #[inline]
    pub(crate) fn try_send_message(&self, message: MessageRef<'_>, compression: Compression) -> Result<usize> {
        self.try_send_data(message.kind().into(), message.as_bytes(), compression)
    }

    /// Takes a payload as a whole message or a control frame, if there is room for it.
    pub(crate) fn try_send(&self, payload: &[u8], opcode: Opcode, compression: Compression) -> Result<usize> {
        match opcode {
            Opcode::Text => {
                let text = simdutf8::basic::from_utf8(payload).map_err(|_| LocalProtocolError::TextNotUtf8)?;
                self.try_send_message(MessageRef::Text(text), compression)
            }
            Opcode::Binary | Opcode::Continuation => self.try_send_data(opcode, payload, compression),
            Opcode::Ping => self.try_send_frame(Purpose::Control, payload.len(), |outbound| outbound.ping(payload)),
            Opcode::Pong => self.try_send_frame(Purpose::Control, payload.len(), |outbound| outbound.pong(payload)),
            Opcode::Close => {
                let close = CloseFrame::parse(payload).map_err(LocalProtocolError::CloseBody)?;
                self.traffic().check(Purpose::Control)?;
                self.try_close(close.code, &close.reason)?;
                Ok(Frame::new(opcode, payload).encoded_len(self.role))
            }
        }
    }

    /// Takes a frame that was put together by hand and is no Close, if there is room for it.
    pub(super) fn try_send_by_hand(&self, purpose: Purpose, frame: &Frame, compression: Compression) -> Result<usize> {
        let fin = if frame.fin { Fin::Last } else { Fin::More };
        self.try_send_frame(purpose, frame.payload.len(), |outbound| match purpose {
            Purpose::Control => outbound.frame(frame),
            Purpose::Message | Purpose::Fragment => outbound.data_with(frame.opcode, fin, &frame.payload, compression),
        })
    }

    /// Queues our Close and sends it if that needs no waiting. After the first, none is sent.
    pub(crate) fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        let close = CloseFrame::new(code, reason)?;
        if let Some(closed) = self.closed() {
            return Err(closed);
        }
        self.queue_close(close);
        self.settle();
        Ok(())
    }

    /// Sends what waits to be sent as far as that is possible without waiting; whether that is all of it.
    pub(crate) fn try_flush(&self) -> Result<bool> {
        if self.is_unsettled() {
            self.settle();
        }
        if self.is_mute() { Err(self.dead()) } else { Ok(!self.is_unsettled()) }
    }

    fn try_send_data(&self, opcode: Opcode, payload: &[u8], compression: Compression) -> Result<usize> {
        let purpose = if opcode == Opcode::Continuation { Purpose::Fragment } else { Purpose::Message };
        self.try_send_frame(purpose, payload.len(), |outbound| {
            outbound.data_with(opcode, Fin::Last, payload, compression)
        })
    }

    #[inline]
    fn try_send_frame(
        &self,
        purpose: Purpose,
        length: usize,
        encode: impl FnOnce(&mut Outbound) -> Result<usize, LocalProtocolError>,
    ) -> Result<usize> {
        let limit = self.max_unsent();
        let size = length.saturating_add(FrameHeader::MAX_LEN);
        if size > limit {
            return Err(too_large(length));
        }
        self.try_turn(purpose)?.try_send(size, limit, encode)
    }
}

/// No waiting will make room for it.
#[cold]
fn too_large(length: usize) -> Error {
    let problem = format!("a message of {length} bytes does not fit");
    Error::Options(Box::new(OptionsError::new("max_unsent", problem)))
}
