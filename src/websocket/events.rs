//! Receiving everything that comes, borrowed: for who hands it on to callbacks.

use std::ops::ControlFlow;

use super::WebSocket;
use super::reader::ControlFrames;
use crate::error::Result;
use crate::message::MessageRef;
use crate::protocol::{Granularity, Opcode, Step};

/// What a receive brings to those who want to see everything.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Received<'a> {
    Message(MessageRef<'a>),
    /// A part of a message that came in several; the opcode is that of the message.
    Fragment {
        opcode: Opcode,
        payload: &'a [u8],
        fin: bool,
    },
    /// It has been answered.
    Ping(&'a [u8]),
    Pong(&'a [u8]),
}

impl WebSocket {
    /// Makes this thread the one that receives, whichever made the connection: from now on a close on this thread does not wait.
    pub(crate) fn receive_here(&mut self) -> Result<()> {
        let (reader, shared) = self.halves()?;
        reader.note_thread(shared);
        Ok(())
    }

    /// Receives a whole message or a control frame, without copying it.
    #[inline]
    pub(crate) fn recv_event(&mut self) -> Result<Received<'_>> {
        let (reader, shared) = self.halves()?;
        if reader.inbound.advance_short() {
            return reader.message(shared, None).map(Received::Message);
        }
        let mut deadline = None;
        match reader.receive(shared, Granularity::Message, ControlFrames::Show, &mut deadline)? {
            Step::Ping => Ok(Received::Ping(reader.inbound.control())),
            Step::Pong => Ok(Received::Pong(reader.inbound.control())),
            _ => reader.message(shared, deadline).map(Received::Message),
        }
    }

    /// Hands out the short messages that have been received already, where they lie, until `look` has enough of them.
    #[inline]
    pub(crate) fn each_buffered<B>(
        &mut self,
        mut look: impl FnMut(MessageRef<'_>) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B>> {
        let (reader, shared) = self.halves()?;
        while reader.inbound.advance_short() {
            let looked = look(reader.message(shared, None)?);
            if looked.is_break() {
                return Ok(looked);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// As [`recv_event`](Self::recv_event), but a message that comes in fragments is received fragment by fragment.
    pub(crate) fn recv_fragment(&mut self) -> Result<Received<'_>> {
        let (reader, shared) = self.halves()?;
        let mut deadline = None;
        match reader.receive(shared, Granularity::Frame, ControlFrames::Show, &mut deadline)? {
            Step::Ping => return Ok(Received::Ping(reader.inbound.control())),
            Step::Pong => return Ok(Received::Pong(reader.inbound.control())),
            _ => {}
        }
        Ok(reader.data_frame())
    }
}
