//! A connection in the hands of a loop: nothing that is done to it may keep the loop waiting, whoever does it.

use std::fmt;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::WebSocket;
use super::events::Received;
use super::reader::{ControlFrames, Reader};
use super::shared::{STALL, Shared};
use crate::error::{CloseCause, Result};
use crate::protocol::{CloseCode, CloseFrame, Granularity, Step};

/// Who drives a connection.
#[derive(Default)]
pub(super) struct Driver {
    /// Tells the loop that a Close, or what could not be sent at once, is to be seen to.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Counts the bytes that were sent without waiting.
    moved: AtomicU64,
}

/// How far sending has come. As long as it changes, the peer reads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Progress {
    /// How many bytes have left, ever; with TLS, how many it has taken.
    moved: u64,
    /// How many of those TLS still has.
    left: usize,
}

impl Driver {
    /// Whether there is one.
    #[inline]
    pub(super) fn is_there(&self) -> bool {
        self.wake.get().is_some()
    }

    pub(super) fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    pub(super) fn count(&self, length: usize) {
        self.moved.fetch_add(length as u64, Ordering::Relaxed);
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").field(&self.is_there()).finish()
    }
}

impl WebSocket {
    /// Makes this thread's loop the one that receives. From now on messages, control frames and a Close that anybody sends are
    /// taken without waiting, or not at all. `wake` is called from any thread when a Close, or what did not leave at once, is to be
    /// seen to; it must not wait.
    pub(crate) fn drive(&mut self, wake: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let (reader, shared) = self.halves()?;
        reader.note_thread(shared);
        // A connection has one driver.
        let _ = shared.driver.wake.set(Box::new(wake));
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

    /// How far sending has come.
    pub(crate) fn progress(&self) -> Progress {
        self.connection.as_ref().map_or_else(Progress::default, |connection| {
            let Shared { driver, stream, .. } = &*connection.shared;
            Progress { moved: driver.moved.load(Ordering::Relaxed), left: stream.output_len() }
        })
    }

    /// How long it may stay the same while something waits to be sent.
    pub(crate) fn send_patience(&self) -> Duration {
        self.connection.as_ref().and_then(|connection| connection.shared.timeouts().send).unwrap_or(STALL)
    }

    /// Ends the connection of a peer that takes nothing.
    pub(crate) fn give_up_sending(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.abort(CloseCause::Lost(io::ErrorKind::TimedOut));
        }
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
