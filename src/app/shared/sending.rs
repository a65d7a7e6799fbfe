//! Sending through a handle: on the connection that is open, or into the outbox, as one lock decides.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::{Link, OpenLink, Outbox, Shared, SharedState};
use crate::app::sync;
use crate::error::{Error, Phase, Result};
use crate::message::{Message, MessageRef};
use crate::sync::ThreadToken;
use crate::websocket::not_connected;

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
enum Turn {
    Now,
    /// It is kept, and leaves behind those that were to be sent before it.
    Behind,
    /// It waits until those have left.
    Wait,
}

/// Which messages of the outbox are to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Unsent {
    /// Those that leave by themselves.
    Flowing,
    /// What is held, too.
    All,
}

/// What becomes of the messages behind one that could not be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rest {
    /// They leave when there is room.
    Flows,
    /// The application decides.
    Held,
}

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
                (Some(open), None) => open,
                (Some(open), Some(number)) if open.number == number => open,
                (_, Some(_)) => return Err(not_connected()),
                (None, None) => {
                    outbox.keep(message)?;
                    outbox.hold();
                    return Ok(None);
                }
            };
            match open.turn(outbox) {
                Turn::Now => return Ok(Some(open.link.clone())),
                Turn::Behind => return outbox.keep(message).map(|()| None),
                Turn::Wait => {}
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
            if !state.outbox.is_flowing() {
                return Ok(());
            }
        }
        self.drain(number, Unsent::Flowing)
    }

    /// Sends all that the outbox holds, the oldest first.
    ///
    /// # Errors
    ///
    /// That of the message that could not be sent; it and those behind it are kept.
    pub(in crate::app) fn send_unsent(&self, bound: Option<u64>) -> Result<()> {
        let number = self.number(bound).ok_or_else(not_connected)?;
        self.drain(number, Unsent::All)
    }

    /// Goes on sending what found no room, for a loop. Whether there is more.
    ///
    /// # Errors
    ///
    /// That of the message that could not be sent, unless there is still no room.
    pub(in crate::app) fn go_on_draining(&self) -> Result<bool> {
        let number = {
            let state = self.state();
            match &state.connection {
                Some(open) if open.on_open == OpenCallback::Done && state.outbox.is_flowing() => open.number,
                Some(_) | None => return Ok(false),
            }
        };
        match self.drain(number, Unsent::Flowing) {
            Ok(()) => Ok(self.state().outbox.is_flowing()),
            // There will be room when the socket is writable; and the end of the connection is told elsewhere.
            Err(Error::Full | Error::Closed(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn drain(&self, number: u64, unsent: Unsent) -> Result<()> {
        let Some(mut count) = self.begin_drain(number, unsent)? else { return Ok(()) };
        loop {
            let Some((link, index, message)) = self.next_unsent(number, &mut count)? else { return Ok(()) };
            // A waker of the user's may panic.
            match catch_unwind(AssertUnwindSafe(|| link.send(message.as_ref()))) {
                Ok(Ok(())) => self.sent.count(message.as_bytes().len()),
                Ok(Err(error)) => {
                    let rest = if matches!(error, Error::Full) { Rest::Flows } else { Rest::Held };
                    self.end_drain(number, index, message, rest);
                    return Err(error);
                }
                Err(panic) => {
                    self.end_drain(number, index, message, Rest::Held);
                    resume_unwind(panic);
                }
            }
        }
    }

    /// Begins to send what lies in the outbox. How much that is; `None` where another thread is at it.
    fn begin_drain(&self, number: u64, unsent: Unsent) -> Result<Option<usize>> {
        let until = sync::now().checked_add(HANDOVER);
        let mut state = self.state();
        loop {
            let Some(open) = state.open(number) else { return Err(not_connected()) };
            let may_wait = !open.link.is_in_event_loop();
            if unsent == Unsent::All {
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
        // Those who would add to it wait now, so that it comes to an end.
        if *count == 0 && open.on_open == OpenCallback::Done && !open.link.is_in_event_loop() {
            *count = usize::MAX;
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
    fn end_drain(&self, number: u64, index: usize, message: Message, rest: Rest) {
        let mut state = self.state();
        let is_open = state.open(number).is_some();
        state.outbox.put_back(index, message);
        state.outbox.end_drain();
        if !is_open || rest == Rest::Held {
            state.outbox.hold();
        }
        self.changed.notify_all();
    }
}

impl<L: Link> OpenLink<L> {
    fn turn(&self, outbox: &Outbox) -> Turn {
        if !outbox.is_wanted() {
            return Turn::Now;
        }
        match self.on_open {
            OpenCallback::Running(thread) if thread.is_current() => Turn::Now,
            OpenCallback::Due | OpenCallback::Running(_) => Turn::Behind,
            OpenCallback::Done if !outbox.is_flowing() => Turn::Now,
            OpenCallback::Done if self.link.is_in_event_loop() => Turn::Behind,
            OpenCallback::Done => Turn::Wait,
        }
    }
}
