//! An open connection in an event loop: how much is delivered in one turn, stalled sends, and memory that is given back.

use std::time::{Duration, Instant};

use crate::app::calling::CallbackRunner;
use crate::app::session::Session;
use crate::app::shared::{DrainOutcome, StopRequest};
use crate::error::Error;
use crate::websocket::{CloseCode, Granularity, SendProgress, WebSocket};

/// A connection that is open.
#[derive(Debug)]
pub(super) struct OpenConnection {
    pub(super) ws: WebSocket,
    /// When something waited to be sent first, or sending last got on; and how far it had come by then.
    pub(super) unsent: Option<(Instant, SendProgress)>,
    /// When memory is given back that a burst has taken, unless something comes.
    pub(super) release_at: Option<Instant>,
}

/// A connection that is to end in order. What comes is thrown away.
#[derive(Debug)]
pub(super) struct ClosingConnection {
    pub(super) ws: WebSocket,
    /// Why, unless its end says so.
    pub(super) error: Option<Error>,
    pub(super) was_open: bool,
}

/// How many messages one call hands out, and how many bytes, before it is the turn of others.
pub(super) const MESSAGES: usize = 64;
const BYTES: usize = 1 << 20;
/// How long callbacks may take together until it is the turn of pings and of others.
const TURN: Duration = Duration::from_millis(10);
/// How long nothing has to come until memory is given back.
const IDLE: Duration = Duration::from_secs(1);

/// How often what lies in the outbox is sent again where no event of the socket tells that there is room.
const RETRY: Duration = Duration::from_millis(50);

/// Whether more is at hand after a turn.
#[derive(Clone, Copy, Debug)]
pub(super) enum Backlog {
    Empty,
    More,
}

/// What became of what had come.
pub(super) enum Delivery {
    /// Nothing more is at hand; whether anything was.
    Drained(bool),
    /// More has come than one turn hands out.
    BudgetSpent,
    Stopping,
    Rejected(Error),
    Ended(Error),
}

pub(super) fn deliver(
    session: &mut Session<'_, CallbackRunner<'_, '_>>,
    ws: &mut WebSocket,
    granularity: Granularity,
) -> Delivery {
    let shared = session.handle().shared();
    let before = shared.received.bytes();
    let begun = Instant::now();
    for delivered in 0..MESSAGES {
        if shared.is_stopping() {
            return Delivery::Stopping;
        }
        if shared.received.bytes() - before > BYTES as u64 {
            return Delivery::BudgetSpent;
        }
        let received = ws.try_recv_event(granularity);
        match received.map(|received| received.map(|received| session.received(received))) {
            Ok(Some(Ok(()))) if begun.elapsed() >= TURN => return Delivery::BudgetSpent,
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => return Delivery::Rejected(error),
            Ok(None) if ws.has_buffered() => return Delivery::BudgetSpent,
            Ok(None) => return Delivery::Drained(delivered > 0),
            Err(error) => return Delivery::Ended(error),
        }
    }
    Delivery::BudgetSpent
}

/// Begins to close.
pub(super) fn begin_close(ws: WebSocket, code: CloseCode, error: Option<Error>, was_open: bool) -> ClosingConnection {
    // The code can be sent, so there is nothing to refuse; and what is over is left, too.
    let _ = ws.try_close(code, "");
    ClosingConnection { ws, error, was_open }
}

/// Begins to close as the end of the run was asked for.
pub(super) fn begin_requested_close(
    request: Option<StopRequest>,
    ws: WebSocket,
    error: Option<Error>,
    was_open: bool,
) -> ClosingConnection {
    match request {
        Some(StopRequest::Disconnect) => ws.sender().disconnect(),
        // It was looked at when it was asked for.
        Some(StopRequest::Close(code, reason)) => drop(ws.try_close(code, &reason)),
        None => return begin_close(ws, CloseCode::NORMAL, error, was_open),
    }
    ClosingConnection { ws, error, was_open }
}

impl OpenConnection {
    /// When the connection is given up, if nothing leaves until then. When the time is up, there is a last try: callbacks may have taken the
    /// time in which the peer made room.
    pub(super) fn stalls_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.stall_deadline(now);
        if at.is_none_or(|at| now < at) {
            return at;
        }
        // That the connection is over is told by the next receive.
        let _ = self.ws.try_flush();
        self.stall_deadline(now)
    }

    /// The time after which sending has to have got on, as far as it has come now.
    fn stall_deadline(&mut self, now: Instant) -> Option<Instant> {
        if !self.ws.wants_write() {
            self.unsent = None;
            return None;
        }
        let progress = self.ws.send_progress();
        let (since, before) = self.unsent.get_or_insert((now, progress));
        // A send of another thread has a deadline of its own.
        if *before != progress || self.ws.is_held_by_another() {
            (*since, *before) = (now, progress);
        }
        since.checked_add(self.ws.stall_timeout())
    }

    /// When the outbox is looked after again that found no room: in the midst of a message of another thread, whose end nobody tells. All
    /// other room comes with an event of the socket.
    pub(super) fn retries_at(&self, outbox: DrainOutcome, now: Instant) -> Option<Instant> {
        let is_told = self.ws.wants_write() && !self.ws.is_held_by_another();
        (outbox == DrainOutcome::Full && !is_told).then(|| now + RETRY)
    }

    /// Gives memory back when nothing has come for a while; when to look again.
    pub(super) fn releases_at(&mut self, now: Instant) -> Option<Instant> {
        if !self.ws.can_release() {
            return None;
        }
        let at = *self.release_at.get_or_insert(now + IDLE);
        if now < at {
            return Some(at);
        }
        self.ws.release();
        self.release_at = None;
        None
    }
}
