//! Who may write: the sending half is taken by one thread at a time, and given back.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Purpose, Shared, Traffic};
use crate::error::{Error, Phase, Result};
use crate::net::{Deadline, SendDeadline};
use crate::options::Timeouts;
use crate::protocol::Outbound;
use crate::sync::MutexGuard;
use crate::websocket::reply::Reply;
use crate::websocket::turn::Turn;

impl Shared {
    /// Waits for the sending half.
    pub(in crate::websocket) fn turn(&self, purpose: Purpose) -> Result<Turn<'_>> {
        self.turn_by(purpose, Deadline::NEVER)
    }

    /// The same for who has less patience: the wait is over by then, and so is what is sent in the turn.
    #[inline]
    pub(in crate::websocket) fn turn_by(&self, purpose: Purpose, deadline: Deadline) -> Result<Turn<'_>> {
        let mut traffic = self.traffic();
        let mut patience = patience(traffic.timeouts);
        patience.total = patience.total.min(deadline);
        traffic.check(purpose)?;
        if traffic.overtaken == 0
            && let Some(outbound) = traffic.take_turn(purpose)
        {
            drop(traffic);
            return Ok(Turn::new(self, outbound, patience));
        }
        let outbound = self.wait_for_turn(traffic, purpose, patience.total.min(Deadline::after(patience.stall)))?;
        Ok(Turn::new(self, outbound, patience))
    }

    /// The sending half for a moment, unless somebody who may wait for the network has it or comes first.
    pub(in crate::websocket) fn try_turn(&self, purpose: Purpose) -> Result<Turn<'_>> {
        let mut traffic = self.traffic();
        loop {
            traffic.check(purpose)?;
            if traffic.overtaken > 0 || traffic.is_held_up(purpose) {
                return Err(Error::Full);
            }
            if let Some(outbound) = traffic.outbound.take() {
                traffic.brief = true;
                drop(traffic);
                return Ok(Turn::new(self, outbound, SendDeadline::until(Deadline::NOW)));
            }
            if !traffic.brief {
                return Err(Error::Full);
            }
            traffic = self.wait(traffic, Deadline::NEVER).0;
        }
    }

    /// Waits for the sending half while others have it. Who was woken for it and found it taken again goes before everybody who
    /// comes later: a thread that sends without a pause must not starve the others.
    #[cold]
    fn wait_for_turn<'a>(
        &'a self,
        mut traffic: MutexGuard<'a, Traffic>,
        purpose: Purpose,
        deadline: Deadline,
    ) -> Result<Box<Outbound>> {
        let mut overtaken = false;
        let outcome = loop {
            let (woken, waited) = self.wait(traffic, deadline);
            traffic = woken;
            let outbound = match traffic.check(purpose) {
                Ok(()) if overtaken || traffic.overtaken == 0 => traffic.take_turn(purpose),
                Ok(()) => None,
                Err(error) => break Err(error),
            };
            if let Some(outbound) = outbound {
                break Ok(outbound);
            }
            if waited.is_err() {
                break Err(Error::Timeout(Phase::Send));
            }
            // Whoever waits for the end of a message has nobody before it to complain of, and must not be before anybody:
            // the thread that is to end it may wait here too.
            let is_overtaken = traffic.outbound.is_none() && !traffic.is_held_up(purpose);
            self.count_overtaken(&mut traffic, &mut overtaken, is_overtaken);
        };
        self.count_overtaken(&mut traffic, &mut overtaken, false);
        outcome
    }

    /// Counts a waiting thread among those that were overtaken, or no longer: then the others may go on.
    fn count_overtaken(&self, traffic: &mut Traffic, counted: &mut bool, is_overtaken: bool) {
        match (*counted, is_overtaken) {
            (false, true) => traffic.overtaken += 1,
            (true, false) => traffic.overtaken -= 1,
            _ => return,
        }
        *counted = is_overtaken;
        if !is_overtaken && traffic.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Sends our Close if it still waits to be sent, and waits for that. An error means that it could not be sent, or not in time.
    pub(in crate::websocket) fn send_queued_close(&self, deadline: Deadline) -> Result<()> {
        let mut traffic = self.traffic();
        loop {
            if traffic.over.is_some() {
                return Ok(());
            }
            if let (true, Some(info)) = (traffic.mute, &traffic.ending) {
                return Err(Error::Closed(Box::new(info.clone())));
            }
            if let Some(outbound) = traffic.outbound.take() {
                drop(traffic);
                return Turn::new(self, outbound, SendDeadline::until(deadline)).send_reply();
            }
            let (woken, waited) = self.wait(traffic, deadline);
            traffic = woken;
            waited.map_err(|_| Error::Timeout(Phase::Close))?;
        }
    }

    /// Takes what waits to be sent.
    pub(in crate::websocket) fn take_reply(&self) -> Reply {
        std::mem::take(&mut self.traffic().reply)
    }

    /// Waits until something changes, or says that the time for it is up.
    pub(super) fn wait<'a>(
        &'a self,
        mut traffic: MutexGuard<'a, Traffic>,
        deadline: Deadline,
    ) -> (MutexGuard<'a, Traffic>, io::Result<()>) {
        let timeout = match deadline.remaining() {
            Ok(timeout) => timeout,
            Err(error) => return (traffic, Err(error)),
        };
        traffic.waiting += 1;
        let mut traffic = match timeout {
            None => self.changed.wait(traffic).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => self.changed.wait_timeout(traffic, timeout).unwrap_or_else(PoisonError::into_inner).0,
        };
        traffic.waiting -= 1;
        (traffic, Ok(()))
    }

    /// Gives the sending half back. Unless something is stuck in it, a reply that came in the meantime must be sent first: then
    /// both are returned.
    pub(in crate::websocket) fn give_back(&self, outbound: Box<Outbound>) -> Option<(Box<Outbound>, Reply)> {
        let mut traffic = self.traffic();
        let stuck = !outbound.pending().is_empty() || traffic.is_mute();
        if !stuck && !matches!(traffic.reply, Reply::Empty) {
            return Some((outbound, std::mem::take(&mut traffic.reply)));
        }
        self.put_back(traffic, outbound);
        None
    }

    /// Gives the sending half back, whatever waits to be sent: whoever waits for it is there, the reader tries again.
    pub(in crate::websocket) fn give_up_turn(&self, outbound: Box<Outbound>) {
        self.put_back(self.traffic(), outbound);
    }

    fn put_back(&self, mut traffic: MutexGuard<'_, Traffic>, outbound: Box<Outbound>) {
        let waits = !outbound.pending().is_empty() || !matches!(traffic.reply, Reply::Empty);
        let waits = waits && !traffic.is_mute();
        if self.unsettled.swap(waits, Ordering::Relaxed) != waits && waits {
            self.driver.wake();
        }
        traffic.outbound = Some(outbound);
        traffic.brief = false;
        if traffic.waiting > 0 {
            self.changed.notify_all();
        }
    }

    /// Sends what waits to be sent as far as that is possible without waiting. While another thread has the turn, that sends the
    /// reply when it is done, if there is room.
    pub(in crate::websocket) fn settle(&self) {
        self.settle_now(self.traffic());
    }

    /// The same, behind a thread that has the turn for a moment: afterwards it is known what is left.
    pub(in crate::websocket) fn settle_surely(&self) {
        let mut traffic = self.traffic();
        while traffic.outbound.is_none() && traffic.brief {
            traffic = self.wait(traffic, Deadline::NEVER).0;
        }
        self.settle_now(traffic);
    }

    fn settle_now(&self, mut traffic: MutexGuard<'_, Traffic>) {
        if traffic.is_mute() {
            self.unsettled.store(false, Ordering::Relaxed);
            return;
        }
        let Some(outbound) = traffic.outbound.take() else { return };
        traffic.brief = true;
        drop(traffic);
        drop(Turn::new(self, outbound, SendDeadline::until(Deadline::NOW)));
    }
}

/// How long a send may go without a byte leaving when no limit is set for the whole.
pub(in crate::websocket) const STALL: Duration = Duration::from_secs(30);

fn patience(timeouts: Timeouts) -> SendDeadline {
    match timeouts.send {
        Some(limit) => SendDeadline::until(Deadline::after(Some(limit))),
        None => SendDeadline::while_progressing(STALL),
    }
}
