//! A connection in the hands of a loop: nothing that is done to it may keep the loop waiting, whoever does it.

use std::fmt;
use std::sync::OnceLock;

use super::WebSocket;
use super::events::Received;
use super::reader::{ControlFrames, Reader};
use super::shared::Shared;
use crate::error::Result;
use crate::protocol::{CloseCode, CloseFrame, Granularity, Step};

/// Who drives a connection: what tells that loop that a Close is to be seen to.
#[derive(Default)]
pub(super) struct Driver(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl Driver {
    /// Whether there is one.
    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.0.get().is_some()
    }

    pub(super) fn wake(&self) {
        if let Some(wake) = self.0.get() {
            wake();
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").field(&self.is_there()).finish()
    }
}

impl WebSocket {
    /// Makes this thread's loop the one that receives. From now on messages, control frames and a Close that anybody sends are
    /// taken without waiting, or not at all. `wake` is called from any thread when a Close is to be seen to; it must not wait.
    pub(crate) fn drive(&mut self, wake: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let (reader, shared) = self.halves()?;
        reader.note_thread(shared);
        // A connection has one driver.
        let _ = shared.driver.0.set(Box::new(wake));
        Ok(())
    }

    /// Receives a whole message or a control frame if one is at hand, without copying it.
    #[inline]
    pub(crate) fn try_recv_event(&mut self) -> Result<Option<Received<'_>>> {
        let (reader, shared) = self.halves()?;
        if reader.inbound.advance_short() {
            return Ok(reader.try_message(shared)?.map(Received::Message));
        }
        match reader.try_receive(shared, Granularity::Message, ControlFrames::Show)? {
            None => Ok(None),
            Some(Step::Ping) => Ok(Some(Received::Ping(reader.inbound.control()))),
            Some(Step::Pong) => Ok(Some(Received::Pong(reader.inbound.control()))),
            Some(_) => Ok(reader.try_message(shared)?.map(Received::Message)),
        }
    }

    /// The same, but a message that comes in fragments is received fragment by fragment.
    pub(crate) fn try_recv_fragment(&mut self) -> Result<Option<Received<'_>>> {
        let (reader, shared) = self.halves()?;
        match reader.try_receive(shared, Granularity::Frame, ControlFrames::Show)? {
            None => Ok(None),
            Some(Step::Ping) => Ok(Some(Received::Ping(reader.inbound.control()))),
            Some(Step::Pong) => Ok(Some(Received::Pong(reader.inbound.control()))),
            Some(_) => Ok(Some(reader.data_frame())),
        }
    }

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    pub(crate) fn can_release(&mut self) -> bool {
        self.halves().is_ok_and(|(reader, _)| reader.inbound.can_release())
    }
}

impl Reader {
    /// The data frame of the last step.
    pub(super) fn data_frame(&self) -> Received<'_> {
        if let Some(message) = self.inbound.unfragmented() {
            return Received::Message(message);
        }
        let opcode = self.inbound.kind().into();
        let (payload, fin) = self.inbound.part();
        Received::Fragment { opcode, payload, fin }
    }
}

impl Shared {
    /// Whether a loop drives the connection, so that nobody may wait in a send.
    #[inline]
    pub(super) fn is_driven(&self) -> bool {
        self.driver.is_there()
    }

    /// Begins to close; from another thread than that of the loop it waits until the loop has seen the end.
    pub(super) fn close_driven(&self, code: CloseCode, reason: &str) -> Result<()> {
        let close = CloseFrame::new(code, reason)?;
        if self.is_over() {
            return Ok(());
        }
        self.queue_close(close);
        self.settle();
        if !self.is_reader() && !self.is_mute() {
            self.await_end(self.close_by());
        }
        Ok(())
    }
}
