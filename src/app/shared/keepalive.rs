//! The pings of a connection, and what follows when nothing comes: by a thread that waits, and by a loop that does not.

use std::time::Instant;

use super::{Link, PingOutcome, RunPhase, Shared};
use crate::app::keepalive::{KeepaliveAction, KeepalivePing};
use crate::error::Error;
use crate::sync;

impl<L: Link> Shared<L> {
    /// Sends the pings of each connection, until the run is over: for a thread of its own.
    pub(in crate::app) fn keep_alive(&self) {
        let mut state = self.state();
        while state.run == RunPhase::During {
            let now = sync::now();
            let Some(open) = &mut state.connection else {
                state = self.wait(state, None);
                continue;
            };
            let activity = open.link.activity();
            let due =
                open.keepalive.as_mut().map_or(KeepaliveAction::Wait(None), |keepalive| keepalive.poll(now, activity));
            // Whoever waits holds no connection: when it is lost, it is gone.
            if let KeepaliveAction::Wait(until) = due {
                state = self.wait(state, until.map(|until| until.saturating_duration_since(now)));
                continue;
            }
            let (link, number) = (open.link.clone(), open.number);
            drop(state);
            match due {
                KeepaliveAction::Wait(_) => {}
                KeepaliveAction::Dead => drop(self.fail_silent_peer(&link, number)),
                KeepaliveAction::Ping(ping) => self.send_ping(&link, number, &ping, now),
            }
            state = self.state();
        }
    }

    /// What the keepalive of the open connection has to do now, for a loop whose links do not wait.
    pub(in crate::app) fn poll_keepalive(&self) -> PingOutcome {
        loop {
            let now = sync::now();
            let mut state = self.state();
            let Some(open) = &mut state.connection else { return PingOutcome::WaitUntil(None) };
            let Some(keepalive) = &mut open.keepalive else { return PingOutcome::WaitUntil(None) };
            let (link, number) = (open.link.clone(), open.number);
            let due = keepalive.poll(now, link.activity());
            drop(state);
            match due {
                KeepaliveAction::Wait(until) => return PingOutcome::WaitUntil(until),
                KeepaliveAction::Dead if self.fail_silent_peer(&link, number) => return PingOutcome::Dead,
                KeepaliveAction::Dead => {}
                KeepaliveAction::Ping(ping) => self.send_ping(&link, number, &ping, now),
            }
        }
    }

    /// Sends a ping, and counts it for its own connection only.
    fn send_ping(&self, link: &L, number: u64, ping: &KeepalivePing, now: Instant) {
        self.state().last_ping = Some(now);
        let sent = link.ping(&ping.payload, ping.longest);
        let mut state = self.state();
        let Some(keepalive) = state.open(number).and_then(|open| open.keepalive.as_mut()) else { return };
        match sent {
            Ok(()) => keepalive.sent(ping.number, sync::now(), link.activity()),
            Err(Error::Timeout(_)) => keepalive.stuck(ping.number, sync::now(), link.activity()),
            Err(_) => keepalive.unsent(ping.number),
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
