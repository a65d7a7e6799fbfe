//! Sending through a handle: on the connection that is open, or into the outbox, as one lock decides.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::{Link, OpenLink, Shared, SharedState};
use crate::app::facts::AppError;
use crate::error::{Error, Phase, Result};
use crate::message::{Message, MessageRef};
use crate::sync::{self, ThreadToken};
use crate::websocket::not_connected;

/// Messages that could not be sent yet, the oldest first.
///
/// The oldest of them may be *held*: they were kept while there was no connection, and wait until the application takes them or has them
/// sent. Those behind were to be sent on the connection that is open, and leave by themselves.
#[derive(Debug)]
pub(in crate::app) struct Outbox {
    /// How many messages it holds at most; 0 where there is none.
    capacity: usize,
    max_bytes: usize,
    unsent: VecDeque<Message>,
    /// The bytes in them.
    bytes: usize,
    /// How many of them, from the oldest on, are held.
    held: usize,
    /// The connection that a thread is sending them on.
    drains_for: Option<u64>,
}

impl Outbox {
    /// So many bytes are kept by default.
    const MAX_BYTES: usize = 16 << 20;

    pub(in crate::app) const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(in crate::app) const fn set_max_bytes(&mut self, bytes: usize) {
        self.max_bytes = bytes;
    }

    /// Whether anything can be kept.
    pub(in crate::app) const fn is_wanted(&self) -> bool {
        self.capacity > 0
    }

    /// Whether messages leave by themselves, so that others have to go behind them.
    pub(in crate::app) fn is_draining(&self) -> bool {
        self.drains_for.is_some() || self.unsent.len() > self.held
    }

    /// Whether messages are to leave by themselves, and no thread is sending them.
    fn is_left_behind(&self) -> bool {
        self.drains_for.is_none() && self.is_draining()
    }

    /// Keeps a message that cannot be sent now.
    pub(in crate::app) fn keep(&mut self, message: MessageRef<'_>) -> Result<()> {
        if self.capacity == 0 {
            return Err(not_connected());
        }
        let length = message.as_bytes().len();
        if self.unsent.len() >= self.capacity || length > self.max_bytes.saturating_sub(self.bytes) {
            let (capacity, max_bytes) = (self.capacity, self.max_bytes);
            return Err(Error::other(AppError::OutboxFull { capacity, max_bytes }));
        }
        self.bytes += length;
        self.unsent.push_back(message.to_owned());
        Ok(())
    }

    /// There is no connection: all of it waits for the application.
    pub(in crate::app) fn hold(&mut self) {
        self.held = self.unsent.len();
    }

    /// Hands back what it holds, the oldest first.
    pub(in crate::app) fn take(&mut self) -> Vec<Message> {
        (self.bytes, self.held) = (0, 0);
        std::mem::take(&mut self.unsent).into()
    }

    /// What is held is to be sent, too.
    pub(in crate::app) const fn release(&mut self) {
        self.held = 0;
    }

    /// The connection that a thread is sending them on.
    pub(in crate::app) const fn drains_for(&self) -> Option<u64> {
        self.drains_for
    }

    /// A thread begins to send on this connection; how many messages.
    pub(in crate::app) fn begin_drain(&mut self, number: u64) -> usize {
        self.drains_for = Some(number);
        self.unsent.len() - self.held
    }

    pub(in crate::app) const fn end_drain(&mut self) {
        self.drains_for = None;
    }

    /// Takes the next one to be sent, and says where it lay.
    pub(in crate::app) fn pop(&mut self) -> Option<(usize, Message)> {
        let message = self.unsent.remove(self.held)?;
        self.bytes -= message.as_bytes().len();
        Some((self.held, message))
    }

    /// Puts back the one that was taken last, and could not be sent; how many lie up to and with it.
    pub(in crate::app) fn put_back(&mut self, index: usize, message: Message) -> usize {
        self.bytes += message.as_bytes().len();
        // All of them may have been taken since, or be held.
        let index = index.min(self.unsent.len());
        self.unsent.insert(index, message);
        if index < self.held {
            self.held += 1;
        }
        index + 1
    }

    /// So many, from the oldest on, wait for the application. Those behind them leave as before.
    pub(in crate::app) fn hold_first(&mut self, count: usize) {
        self.held = self.held.max(count);
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { capacity: 0, max_bytes: Self::MAX_BYTES, unsent: VecDeque::new(), bytes: 0, held: 0, drains_for: None }
    }
}

/// How far a connection is, for those who send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum OpenCallback {
    /// `on_open` has not been called yet.
    Due,
    /// This thread is in it.
    Running(ThreadToken),
    /// It has returned.
    Done,
}

/// What becomes of a message while a connection is open.
enum SendOrder {
    Now,
    /// It is kept, and leaves behind those that were to be sent before it.
    Queue,
    /// It waits until those have left.
    Wait,
}

/// Which messages of the outbox are to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum DrainScope {
    /// Those that leave by themselves.
    Queued,
    /// What is held, too.
    All,
}

/// What a loop finds when it goes on sending what lies in the outbox.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::app) enum DrainOutcome {
    /// Nothing leaves by itself any more.
    Empty,
    /// More was put there meanwhile.
    More,
    /// There is no room.
    Full,
}

/// What becomes of the messages behind one that could not be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Remaining {
    /// They leave when there is room.
    Queued,
    /// The application decides.
    Held,
}

/// More messages than an outbox holds: each that is there.
const ALL: usize = usize::MAX;

/// How long a thread waits for one that still sends on the connection before, which ends at once.
const HANDOVER: Duration = Duration::from_secs(1);

impl<L: Link> Shared<L> {
    /// Sends a message on the connection that is open, or keeps it while there is none. `bound` is the connection that it is meant for,
    /// where that is a certain one: then it is not kept.
    pub(in crate::app) fn send(&self, bound: Option<u64>, message: MessageRef<'_>) -> Result<()> {
        let Some(link) = self.route(bound, message)? else { return Ok(()) };
        link.send(message)?;
        self.sent.count(message.as_bytes().len());
        Ok(())
    }

    /// The connection to send a message on; `None` where it was kept. Both are decided under one lock, so that no message is kept after
    /// the connection was opened and the outbox emptied.
    fn route(&self, bound: Option<u64>, message: MessageRef<'_>) -> Result<Option<L>> {
        let mut state = self.state();
        let mut until = None;
        loop {
            let SharedState { connection, outbox, .. } = &mut *state;
            let open = match (connection, bound) {
                (Some(open), None) if !open.is_replaced => open,
                (Some(open), Some(number)) if open.number == number => open,
                (_, Some(_)) => return Err(not_connected()),
                // What is to be replaced is as good as gone.
                (_, None) => {
                    outbox.keep(message)?;
                    outbox.hold();
                    return Ok(None);
                }
            };
            match open.send_order(outbox) {
                SendOrder::Now => return Ok(Some(open.link.clone())),
                SendOrder::Queue => return outbox.keep(message).map(|()| None),
                SendOrder::Wait => {}
            }
            let until = *until.get_or_insert_with(|| sync::now().checked_add(open.link.send_timeout()));
            state = self.wait_until(state, until).ok_or(Error::Timeout(Phase::Send))?;
        }
    }

    /// `on_open` is about to be called, on this thread: what it sends leaves before what others do.
    pub(in crate::app) fn begin_on_open(&self, number: u64) {
        if let Some(open) = self.state().open(number) {
            open.on_open = OpenCallback::Running(ThreadToken::current());
        }
    }

    /// `on_open` has returned. Sends what others wanted to send in the meantime.
    ///
    /// # Errors
    ///
    /// That of the message that could not be sent; it and those behind it are kept.
    pub(in crate::app) fn end_on_open(&self, number: u64) -> Result<()> {
        {
            let mut state = self.state();
            let Some(open) = state.open(number) else { return Ok(()) };
            open.on_open = OpenCallback::Done;
            self.changed.notify_all();
            if !state.outbox.is_draining() {
                return Ok(());
            }
        }
        self.drain(number, DrainScope::Queued)
    }

    /// Sends all that the outbox holds, the oldest first.
    ///
    /// # Errors
    ///
    /// That of the message that could not be sent; it and those behind it are kept.
    pub(in crate::app) fn send_unsent(&self, bound: Option<u64>) -> Result<()> {
        let number = self.number(bound).ok_or_else(not_connected)?;
        let sent = self.drain(number, DrainScope::All);
        let waker = {
            let state = self.state();
            state.waker.clone().filter(|_| state.outbox.is_draining())
        };
        // The loop, which may sleep, sends what found no room or was queued meanwhile. Its waker may be the user's: the lock is not held.
        waker.iter().for_each(|waker| (waker.0)());
        sent
    }

    /// Goes on sending what found no room, for a loop.
    ///
    /// # Errors
    ///
    /// That of the message that could not be sent, unless there is still no room.
    pub(in crate::app) fn continue_draining(&self) -> Result<DrainOutcome> {
        let number = {
            let state = self.state();
            match &state.connection {
                Some(open) if open.on_open == OpenCallback::Done && state.outbox.is_draining() => open.number,
                Some(_) | None => return Ok(DrainOutcome::Empty),
            }
        };
        match self.drain(number, DrainScope::Queued) {
            Ok(()) if self.state().outbox.is_draining() => Ok(DrainOutcome::More),
            // The end of the connection is told elsewhere.
            Ok(()) | Err(Error::Closed(_)) => Ok(DrainOutcome::Empty),
            Err(Error::Full) => Ok(DrainOutcome::Full),
            Err(error) => Err(error),
        }
    }

    fn drain(&self, number: u64, unsent: DrainScope) -> Result<()> {
        let drained = self.drain_on(number, unsent);
        if drained.is_err()
            && let Some(next) = self.left_behind(number)
        {
            // What cannot be sent is kept.
            let _ = self.drain(next, DrainScope::Queued);
        }
        drained
    }

    /// The connection that has opened since the one with this number, if messages for it waited for a thread that was still sending on
    /// that one: who opened it waits no longer than [`HANDOVER`]. In a loop it is woken for them.
    fn left_behind(&self, number: u64) -> Option<u64> {
        let state = self.state();
        let open = state.connection.as_ref().filter(|open| open.number != number)?;
        let is_due = open.on_open == OpenCallback::Done && state.outbox.is_left_behind();
        (is_due && !open.link.is_in_event_loop()).then_some(open.number)
    }

    fn drain_on(&self, number: u64, unsent: DrainScope) -> Result<()> {
        let Some(mut count) = self.begin_drain(number, unsent)? else { return Ok(()) };
        loop {
            let Some((link, index, message)) = self.next_unsent(number, &mut count)? else { return Ok(()) };
            // A waker of the user's may panic.
            match catch_unwind(AssertUnwindSafe(|| link.send(message.as_ref()))) {
                Ok(Ok(())) => self.sent.count(message.as_bytes().len()),
                Ok(Err(error)) => {
                    let rest = if matches!(error, Error::Full) { Remaining::Queued } else { Remaining::Held };
                    self.end_drain(number, index, message, rest);
                    return Err(error);
                }
                Err(panic) => {
                    self.end_drain(number, index, message, Remaining::Held);
                    resume_unwind(panic);
                }
            }
        }
    }

    /// Begins to send what lies in the outbox. How much that is; `None` where another thread is at it.
    fn begin_drain(&self, number: u64, unsent: DrainScope) -> Result<Option<usize>> {
        let until = sync::now().checked_add(HANDOVER);
        let mut state = self.state();
        loop {
            let Some(open) = state.open(number) else { return Err(not_connected()) };
            let may_wait = !open.link.is_in_event_loop();
            if unsent == DrainScope::All {
                state.outbox.release();
            }
            match state.outbox.drains_for() {
                None => return Ok(Some(state.outbox.begin_drain(number))),
                Some(other) if other == number || !may_wait => return Ok(None),
                Some(_) => {}
            }
            let Some(waited) = self.wait_until(state, until) else { return Ok(None) };
            state = waited;
        }
    }

    /// The next message to be sent, where it lay, and what sends it; `None` when that was all.
    fn next_unsent(&self, number: u64, count: &mut usize) -> Result<Option<(L, usize, Message)>> {
        let mut state = self.state();
        let SharedState { connection, outbox, .. } = &mut *state;
        let Some(open) = connection.as_ref().filter(|open| open.number == number) else {
            outbox.end_drain();
            self.changed.notify_all();
            return Err(not_connected());
        };
        // Those who would add to it wait now, so that all of it comes to an end.
        if *count == 0 && open.on_open == OpenCallback::Done && !open.link.is_in_event_loop() {
            *count = ALL;
        }
        let next = if *count > 0 { outbox.pop() } else { None };
        let Some((index, message)) = next else {
            outbox.end_drain();
            self.changed.notify_all();
            return Ok(None);
        };
        *count -= 1;
        Ok(Some((open.link.clone(), index, message)))
    }

    /// A message could not be sent: it is the next one again.
    fn end_drain(&self, number: u64, index: usize, message: Message, rest: Remaining) {
        let mut state = self.state();
        let is_open = state.open(number).is_some();
        let count = state.outbox.put_back(index, message);
        state.outbox.end_drain();
        match rest {
            // Those behind it were held when the connection was lost, or were sent for the one that has opened since.
            Remaining::Queued | Remaining::Held if !is_open => state.outbox.hold_first(count),
            Remaining::Queued => {}
            Remaining::Held => state.outbox.hold(),
        }
        self.changed.notify_all();
    }
}

impl<L> OpenLink<L> {
    /// Whether it is what those wait for who want an open connection: `on_open` has returned, and the application has not closed it to
    /// have another one; or this thread is in `on_open`.
    pub(super) fn is_awaited(&self) -> bool {
        match self.on_open {
            OpenCallback::Due => false,
            OpenCallback::Running(thread) => thread.is_current(),
            OpenCallback::Done => !self.is_replaced,
        }
    }
}

impl<L: Link> OpenLink<L> {
    fn send_order(&self, outbox: &Outbox) -> SendOrder {
        if !outbox.is_wanted() {
            return SendOrder::Now;
        }
        match self.on_open {
            OpenCallback::Running(thread) if thread.is_current() => SendOrder::Now,
            OpenCallback::Due | OpenCallback::Running(_) => SendOrder::Queue,
            OpenCallback::Done if !outbox.is_draining() => SendOrder::Now,
            OpenCallback::Done if self.link.is_in_event_loop() => SendOrder::Queue,
            OpenCallback::Done => SendOrder::Wait,
        }
    }
}
