//! The end of a connection in steps that do not wait: what `finish` does in one.

use std::net::Shutdown;

use super::reader::{Reader, answer_close, denounce, finish, waits_for_end};
use super::shared::Shared;
use super::turn::is_timeout;
use crate::error::{CloseInfo, Error, Result};
use crate::net::Deadline;
use crate::protocol::{Inbound, ProtocolError};

/// A connection that the peer has closed, or broken a rule on, and that is to end in order: our Close leaves, this half is shut,
/// the rest is drained.
#[derive(Debug)]
pub(super) struct Ending {
    info: CloseInfo,
    /// What the receive is to say when all is done.
    error: Error,
    until: Deadline,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Our Close may not have left.
    Closing,
    /// So many bytes were thrown away since.
    Draining(usize),
}

impl Ending {
    /// The peer's Close was received.
    pub(super) fn closed_by_peer(inbound: &Inbound, shared: &Shared) -> Box<Self> {
        let info = answer_close(inbound, shared);
        log::debug!("connection closed: {info}");
        Self::new(shared, info.clone(), Error::Closed(Box::new(info)))
    }

    /// The peer broke a rule.
    #[cold]
    pub(super) fn violated(shared: &Shared, error: ProtocolError) -> Box<Self> {
        Self::new(shared, denounce(shared, error), Error::Protocol(error))
    }

    fn new(shared: &Shared, info: CloseInfo, error: Error) -> Box<Self> {
        shared.end_soon(info.clone());
        let until = Deadline::after(Some(shared.timeouts().close));
        Box::new(Self { info, error, until, stage: Stage::Closing })
    }

    /// By when it is over, whatever the peer does.
    pub(super) const fn until(&self) -> Deadline {
        self.until
    }

    /// Goes on as far as that is possible without waiting. The end of it is the error.
    pub(super) fn go_on(slot: &mut Option<Box<Self>>, shared: &Shared) -> Result<()> {
        let Some(ending) = slot else { return Ok(()) };
        if ending.step(shared) {
            return Ok(());
        }
        // The peer may have been faster; then there is nothing left to shut down.
        let _ = shared.stream.shutdown(Shutdown::Both);
        slot.take().map_or(Ok(()), |ending| Err(ending.error))
    }

    /// Waits for the rest of it after all.
    pub(super) fn finish(self, shared: &Shared, deadline: Deadline) -> Error {
        finish(shared, self.info, self.until.min(deadline));
        self.error
    }

    /// Whether there is more to come.
    fn step(&mut self, shared: &Shared) -> bool {
        if self.stage == Stage::Closing {
            shared.settle_surely();
            let lost = shared.is_mute();
            let sent = !lost && !shared.is_unsettled();
            if !sent && !lost && !self.until.is_over() {
                return true;
            }
            // Whoever waits for the end need not wait for the peer to hang up.
            shared.end(self.info.clone());
            if !sent || !waits_for_end(shared, &self.info) || shared.stream.shutdown(Shutdown::Write).is_err() {
                return false;
            }
            self.stage = Stage::Draining(0);
        }
        self.drain(shared)
    }

    fn drain(&mut self, shared: &Shared) -> bool {
        let mut scratch = [0; 4096];
        while let Stage::Draining(drained) = &mut self.stage {
            match shared.stream.read(&mut scratch, Deadline::NOW) {
                Ok(length @ 1..) if *drained + length < Reader::DRAIN => *drained += length,
                Err(error) if is_timeout(&error) => return !self.until.is_over(),
                Ok(_) | Err(_) => return false,
            }
        }
        false
    }
}
