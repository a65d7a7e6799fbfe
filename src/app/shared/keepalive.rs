//! The keepalive of the connection that is open: sends what is due, and ends the connection when the peer is dead. For the thread that
//! sends pings and for a loop.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{Link, LoopWaker, PingOutcome, Shared};
use crate::app::keepalive::KeepaliveAction;
use crate::app::ping_thread::KeepaliveTarget;
use crate::error::Result;
use crate::sync;
use crate::websocket::PingStatus;

impl<L: Link + fmt::Debug + Send> KeepaliveTarget for Shared<L> {
    fn poll_keepalive(&self) -> PingOutcome {
        self.poll_keepalive()
    }

    fn abandon_connection(&self) {
        if let Some(link) = self.link(None) {
            link.fail_silent();
        }
    }

    fn set_ping_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.state().ping_waker = Some(LoopWaker(waker));
    }
}

impl<L: Link> Shared<L> {
    /// Does what the keepalive of the open connection has to do now. Does not wait.
    pub(in crate::app) fn poll_keepalive(&self) -> PingOutcome {
        loop {
            let now = sync::now();
            let mut state = self.state();
            let Some(open) = &mut state.connection else { return PingOutcome::WaitUntil(None) };
            let Some(keepalive) = &mut open.keepalive else { return PingOutcome::WaitUntil(None) };
            let (link, number) = (open.link.clone(), open.number);
            let action = keepalive.poll(now, link.activity());
            drop(state);
            match action {
                KeepaliveAction::Wait(until) => return PingOutcome::WaitUntil(until),
                KeepaliveAction::Dead if self.fail_silent_peer(&link, number) => return PingOutcome::Dead,
                KeepaliveAction::Dead => {}
                KeepaliveAction::Flush(ping) => {
                    let flushed = link.flush_ping();
                    self.note_ping(&link, number, ping, now, Ok(flushed));
                }
                KeepaliveAction::Ping(ping) => {
                    let sent = link.send_ping(&ping.payload);
                    self.note_ping(&link, number, ping.number, now, sent);
                }
            }
        }
    }

    /// Tells the keepalive of the connection with this number what became of its ping, which was begun then.
    fn note_ping(&self, link: &L, connection: u64, ping: u64, began: Instant, sent: Result<PingStatus>) {
        let mut state = self.state();
        if let Ok(PingStatus::Left) = sent {
            // Not the time now: its pong may have come already.
            state.last_ping = Some(began);
        }
        let Some(keepalive) = state.open(connection).and_then(|open| open.keepalive.as_mut()) else { return };
        match sent {
            Ok(PingStatus::Left) => keepalive.sent(ping, sync::now(), link.activity()),
            Ok(PingStatus::Queued) => keepalive.queued(ping, sync::now(), link.activity()),
            Err(_) => keepalive.unsent(ping),
        }
    }

    /// Ends the connection of a peer that seems to be dead, unless its answer lies in the socket: the process may have been stopped, and
    /// the reader not have come to it yet. Whether it has ended.
    fn fail_silent_peer(&self, link: &L, number: u64) -> bool {
        let has_arrived = link.has_arrived();
        let mut state = self.state();
        let Some(open) = state.open(number) else { return false };
        if has_arrived && open.keepalive.as_mut().is_some_and(|keepalive| keepalive.extend(sync::now())) {
            return false;
        }
        open.keepalive = None;
        drop(state);
        link.fail_silent();
        true
    }
}
