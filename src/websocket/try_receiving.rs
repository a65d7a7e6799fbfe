//! Receiving without waiting: the same steps as `reader` takes, which end when nothing is at hand.

use super::ending::Ending;
use super::reader::{AtHand, ControlFrames, Reader, settle};
use super::shared::Shared;
use super::turn::is_timeout;
use crate::error::{CloseCause, Error, Result};
use crate::message::{Message, MessageRef};
use crate::net::Deadline;
use crate::protocol::{Granularity, Step};

/// What a call may still read. A peer that sends without a pause must not keep it from returning.
#[derive(Debug)]
struct Budget {
    reads: u32,
    bytes: usize,
}

impl Budget {
    const FULL: Self = Self { reads: 64, bytes: 1 << 20 };

    const fn spend(&mut self, length: usize) {
        self.reads -= 1;
        self.bytes = self.bytes.saturating_sub(length);
    }

    const fn is_spent(&self) -> bool {
        self.reads == 0 || self.bytes == 0
    }
}

impl Reader {
    /// Goes on until there is something for the caller, or nothing more at hand.
    #[inline(never)]
    pub(super) fn try_receive(
        &mut self,
        shared: &Shared,
        granularity: Granularity,
        control: ControlFrames,
    ) -> Result<Option<Step>> {
        self.allow(granularity)?;
        self.at_hand = AtHand::Unknown;
        let mut budget = Budget::FULL;
        loop {
            if self.ending.is_some() {
                // What lies behind the end is looked at no more.
                self.at_hand = AtHand::Nothing;
                return Ending::go_on(&mut self.ending, shared).map(|()| None);
            }
            match self.advance(granularity) {
                Ok(Step::NeedMore) => match self.try_fill(shared)? {
                    Some(length) => budget.spend(length),
                    None => {
                        self.at_hand = AtHand::Nothing;
                        return Ok(None);
                    }
                },
                Ok(Step::Ping) => {
                    shared.answer_ping(self.inbound.control());
                    shared.settle();
                    if control == ControlFrames::Show {
                        return Ok(Some(Step::Ping));
                    }
                }
                Ok(Step::Pong) if control == ControlFrames::Hide => {}
                Ok(Step::Close | Step::Ended) => {
                    not_over(shared)?;
                    self.ending = Some(Ending::closed_by_peer(&self.inbound, shared));
                }
                Err(error) => {
                    not_over(shared)?;
                    self.ending = Some(Ending::violated(shared, error));
                }
                Ok(step) => {
                    settle(shared);
                    return Ok(Some(step));
                }
            }
            if budget.is_spent() {
                self.at_hand = AtHand::More;
                return Ok(None);
            }
        }
    }

    /// A message that is at hand, left where it lies.
    #[inline(never)]
    pub(super) fn try_receive_borrowed(&mut self, shared: &Shared) -> Result<Option<MessageRef<'_>>> {
        match self.try_receive(shared, Granularity::Message, ControlFrames::Hide)? {
            Some(_) => self.try_message(shared),
            None => Ok(None),
        }
    }

    /// A message that is at hand, as a value of its own.
    #[inline(never)]
    pub(super) fn try_receive_owned(&mut self, shared: &Shared) -> Result<Option<Message>> {
        match self.try_receive(shared, Granularity::Message, ControlFrames::Hide)? {
            Some(_) => self.try_take_message(shared),
            None => Ok(None),
        }
    }

    /// The message of the last step; text that is not UTF-8 begins the end of the connection.
    #[inline]
    pub(super) fn try_message(&mut self, shared: &Shared) -> Result<Option<MessageRef<'_>>> {
        let Self { inbound, ending, .. } = self;
        match inbound.message() {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                *ending = Some(Ending::violated(shared, error));
                Ending::go_on(ending, shared).map(|()| None)
            }
        }
    }

    /// The same as a value of its own.
    #[inline]
    pub(super) fn try_take_message(&mut self, shared: &Shared) -> Result<Option<Message>> {
        match self.inbound.take_message() {
            Ok(message) => Ok(Some(message)),
            Err(error) => {
                self.ending = Some(Ending::violated(shared, error));
                Ending::go_on(&mut self.ending, shared).map(|()| None)
            }
        }
    }

    /// By when the end of the connection has to be over that is under way.
    pub(super) fn ends_by(&self, shared: &Shared) -> Deadline {
        self.ending.as_ref().map_or_else(|| shared.close_by(), |ending| ending.until())
    }

    /// Reads what is at hand, once; says how much that is. What was left to be sent goes first.
    fn try_fill(&mut self, shared: &Shared) -> Result<Option<usize>> {
        not_over(shared)?;
        if shared.close_by().is_over() {
            return Err(Error::Closed(Box::new(shared.abort(CloseCause::Unanswered))));
        }
        self.note_thread(shared);
        settle(shared);
        let read = self.read_now(shared, Deadline::NOW);
        shared.pulse.end_wait(read.as_ref().map_or(0, |&length| length));
        match read {
            Ok(0) => Err(shared.lost(std::io::ErrorKind::UnexpectedEof)),
            Ok(length) => {
                self.inbound.received(length);
                Ok(Some(length))
            }
            Err(error) if is_timeout(&error) => {
                // The next call will see what comes, and whoever does not wait calls when something does.
                shared.pulse.begin_wait();
                Ok(None)
            }
            Err(error) => Err(shared.lost(error.kind())),
        }
    }
}

fn not_over(shared: &Shared) -> Result<()> {
    shared.closed().map_or(Ok(()), Err)
}
