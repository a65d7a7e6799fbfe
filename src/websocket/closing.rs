//! Closing, from whichever thread: bounded, idempotent, exactly one Close on the wire (RFC 6455, section 7).

use std::sync::Mutex;
use std::sync::TryLockError;

use super::reader::Reader;
use super::shared::Shared;
use crate::error::{CloseCause, Error, Result};
use crate::net::Deadline;
use crate::protocol::{CloseCode, CloseFrame};

impl Shared {
    /// Sends a Close and does not wait for the peer's. After the first, none is sent.
    pub(crate) fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        let close = CloseFrame::new(code, reason)?;
        if let Some(closed) = self.closed() {
            return Err(closed);
        }
        if !self.queue_close(close) {
            return Ok(());
        }
        self.send_queued_close(Deadline::after(Some(self.timeouts().close)))
    }

    /// Closes from a thread that does not have the reader: whoever receives completes the handshake while this one waits. From
    /// the receiving thread itself it does not wait.
    pub(crate) fn close(&self, code: CloseCode, reason: &str) -> Result<()> {
        let Some(deadline) = self.begin_close(code, reason)? else { return Ok(()) };
        if !self.is_reader() && !self.wait_until_over(deadline) {
            self.abort(CloseCause::Unanswered);
        }
        Ok(())
    }

    /// Closes from the thread that has the reader, unless another one is faster.
    pub(super) fn close_with_reader(&self, reader: &Mutex<Reader>, code: CloseCode, reason: &str) -> Result<()> {
        let Some(deadline) = self.begin_close(code, reason)? else { return Ok(()) };
        match reader.try_lock() {
            Ok(mut reader) => reader.discard_until_closed(self, deadline),
            Err(TryLockError::Poisoned(reader)) => reader.into_inner().discard_until_closed(self, deadline),
            Err(TryLockError::WouldBlock) => {
                self.wait_until_over(deadline);
            }
        }
        if self.over().is_none() {
            self.abort(CloseCause::Unanswered);
        }
        Ok(())
    }

    /// Says good-bye without waiting for anything: the connection is given up.
    pub(super) fn leave(&self) {
        if self.over().is_some() || !self.is_ours() {
            return;
        }
        if let Ok(close) = CloseFrame::new(CloseCode::GOING_AWAY, "") {
            self.queue_close(close);
        }
        self.settle();
        self.abort(CloseCause::Aborted);
    }

    /// Sends our Close, if there is still something to close; returns by when all of it must be done.
    fn begin_close(&self, code: CloseCode, reason: &str) -> Result<Option<Deadline>> {
        let close = CloseFrame::new(code, reason)?;
        if self.over().is_some() {
            return Ok(None);
        }
        let deadline = Deadline::after(Some(self.timeouts().close));
        self.queue_close(close);
        match self.send_queued_close(deadline) {
            Ok(()) => Ok(Some(deadline)),
            // Whether it timed out or the connection broke: it is over, which is what was wanted.
            Err(Error::Timeout(_)) => {
                self.abort(CloseCause::Unanswered);
                Ok(None)
            }
            Err(_) => Ok(None),
        }
    }
}
