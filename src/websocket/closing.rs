//! Closing, from whichever thread: bounded, idempotent, exactly one Close on the wire (RFC 6455, section 7).

use std::sync::TryLockError;

use super::reader::Reader;
use super::shared::Shared;
use crate::error::{CloseCause, Error, Result};
use crate::net::Deadline;
use crate::protocol::{CloseCode, CloseFrame};
use crate::sync::Mutex;

impl Shared {
    /// Sends a Close and does not wait for the peer's. After the first, none is sent.
    pub(crate) fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        if self.is_driven() {
            return self.try_close(code, reason);
        }
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
        if self.is_driven() {
            return self.close_driven(code, reason);
        }
        let Some(deadline) = self.begin_close(code, reason)? else { return Ok(()) };
        // After a failed write there is nothing to wait for but the reader, and that has been woken.
        if !self.is_reader() && !self.is_mute() {
            self.await_end(deadline);
        }
        Ok(())
    }

    /// Closes while another thread, which closes too, has the reader.
    fn close_while_another_reads(&self, code: CloseCode, reason: &str) -> Result<()> {
        if let Some(deadline) = self.begin_close(code, reason)? {
            self.await_end(deadline);
        }
        Ok(())
    }

    pub(super) fn await_end(&self, deadline: Deadline) {
        if !self.wait_until_over(deadline) {
            self.abort(CloseCause::Unanswered);
        }
    }

    /// Closes from the thread that has the reader, unless another one is faster. It reads from the beginning: a peer that is
    /// kept from reading by what it has to say itself would not take our Close otherwise.
    pub(super) fn close_with_reader(&self, reader: &Mutex<Reader>, code: CloseCode, reason: &str) -> Result<()> {
        let mut reader = match reader.try_lock() {
            Ok(reader) => reader,
            Err(TryLockError::Poisoned(reader)) => reader.into_inner(),
            Err(TryLockError::WouldBlock) => return self.close_while_another_reads(code, reason),
        };
        let close = CloseFrame::new(code, reason)?;
        if self.is_over() {
            return Ok(());
        }
        let deadline = Deadline::after(Some(self.timeouts().close));
        self.queue_close(close);
        reader.discard_until_closed(self, deadline);
        if !self.is_over() {
            self.abort(CloseCause::Unanswered);
        }
        Ok(())
    }

    /// Says good-bye without waiting for anything: the connection is given up.
    pub(crate) fn leave(&self) {
        if self.is_over() || !self.is_ours() {
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
        if self.is_over() {
            return Ok(None);
        }
        let deadline = Deadline::after(Some(self.timeouts().close));
        self.queue_close(close);
        match self.send_queued_close(deadline) {
            Ok(()) => Ok(Some(deadline)),
            Err(Error::Timeout(_)) => {
                self.abort(CloseCause::Unanswered);
                Ok(None)
            }
            // The connection broke; perhaps it was received why.
            Err(_) => Ok(Some(deadline)),
        }
    }
}
