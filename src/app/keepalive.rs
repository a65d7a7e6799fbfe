//! State machine of the pings: when one is due, and when a peer that does not answer is dead. Pure: the time and what was received are
//! arguments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::error::{Error, OptionsError, Result};
use crate::websocket::ActivitySnapshot;

/// What the user has set.
#[derive(Clone, Debug, Default)]
pub(super) struct PingOptions {
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    /// None: a payload of its own for each ping.
    pub(super) payload: Option<Vec<u8>>,
}

impl PingOptions {
    /// The longest payload of a control frame (RFC 6455, section 5.5).
    const MAX_PAYLOAD: usize = 125;

    pub(super) fn validate(&self) -> Result<()> {
        if self.timeout == Some(Duration::ZERO) {
            return Err(Error::Options(Box::new(OptionsError::of_zero("ping_timeout"))));
        }
        if self.payload.as_ref().is_some_and(|payload| payload.len() > Self::MAX_PAYLOAD) {
            return Err(Error::Options(Box::new(OptionsError::new("ping_payload", "more than 125 bytes"))));
        }
        Ok(())
    }

    /// Whether there are to be pings at all.
    pub(super) fn are_wanted(&self) -> bool {
        self.interval.is_some_and(|interval| !interval.is_zero())
    }

    /// The keepalive of a connection that is open since `now`; `None` where none is wanted.
    pub(super) fn start(&self, now: Instant) -> Option<Keepalive> {
        let interval = self.interval.filter(|interval| !interval.is_zero())?;
        let interval = interval.max(Keepalive::SHORTEST_INTERVAL);
        Some(Keepalive {
            interval,
            timeout: self.timeout,
            payload: self.payload.clone(),
            next: now.checked_add(interval),
            last_number: 0,
            queued: None,
            unanswered: VecDeque::new(),
            received: 0,
            silence: Silence::Unasked,
            silence_before: Silence::Unasked,
            is_extended: false,
        })
    }
}

/// The keepalive of one connection.
///
/// A ping leaves every interval, whatever else goes on. The peer is dead when a ping has left and then nothing at all has come in
/// for the timeout, counted while a thread was waiting for it: bytes that lie unread while a callback takes its time are not
/// missed. It is dead, too, when for the timeout it has neither taken the ping nor said anything.
///
/// A ping that cannot leave at once is queued in the connection, and looked after until it has left or the timeout is over; no other is
/// sent in that time.
///
/// A process that was stopped, frozen or paused with its machine waits for nothing either, but does not know it: its clock has gone
/// on. So the timeout begins once more, once in each silence, where this was found out too late, or where something lies in the socket
/// that the reader has not counted yet.
#[derive(Debug)]
pub(super) struct Keepalive {
    interval: Duration,
    timeout: Option<Duration>,
    payload: Option<Vec<u8>>,
    /// When the next ping is due; never where the clock does not reach.
    next: Option<Instant>,
    last_number: u64,
    /// The latest ping, while it has not left.
    queued: Option<QueuedPing>,
    /// Pings whose pongs have not come, the oldest first.
    unanswered: VecDeque<Unanswered>,
    /// What had come in when it was last looked at.
    received: u64,
    silence: Silence,
    /// What was known of it before the latest ping.
    silence_before: Silence,
    /// Whether the timeout has begun once more in this silence.
    is_extended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Unanswered {
    number: u64,
    sent: Instant,
}

/// A ping that has not left.
#[derive(Clone, Copy, Debug)]
struct QueuedPing {
    number: u64,
    /// When it is late; `None` where no peer is ever dead.
    late_at: Option<Instant>,
    /// When to look whether it has left.
    look_at: Option<Instant>,
    /// The time until the look after that.
    pause: Duration,
}

/// What is known of the peer since the last ping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Silence {
    /// It has answered, or was not asked.
    Unasked,
    /// It was asked, and nobody waits for what it says.
    Unheard,
    /// It was asked, and nothing has come since then.
    Since(Instant),
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum KeepaliveAction {
    /// Send this ping, then say that it was [sent](Keepalive::sent), [queued](Keepalive::queued) or [neither](Keepalive::unsent).
    Ping(KeepalivePing),
    /// Look whether the ping of this number has left that was queued, and say so as above.
    Flush(u64),
    /// Nothing until then, `None` for ever.
    Wait(Option<Instant>),
    /// The peer is dead.
    Dead,
}

/// A ping to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct KeepalivePing {
    pub(super) number: u64,
    pub(super) payload: Vec<u8>,
}

impl Keepalive {
    /// Whoever sends the pings has other things to do between two of them.
    const SHORTEST_INTERVAL: Duration = Duration::from_millis(1);
    /// How often to look whether a busy reader waits for the network again, or a queued ping has left.
    const LOOK: Duration = Duration::from_millis(20);
    /// Who finds out so late that the peer is dead was not running in the meantime.
    const LATE: Duration = Duration::from_millis(100);
    /// A queued ping is looked at at least so often.
    const LONGEST_PAUSE: Duration = Duration::from_secs(1);
    /// How many pings may be unanswered until the oldest is forgotten.
    const UNANSWERED: usize = 64;

    /// What is to be done now.
    pub(super) fn poll(&mut self, now: Instant, activity: ActivitySnapshot) -> KeepaliveAction {
        self.observe(now, activity);
        let mut dead_at = self.dead_at();
        if let Some(at) = dead_at.filter(|&at| now >= at) {
            let is_late = now.saturating_duration_since(at) >= Self::LATE;
            if !(is_late && self.extend(now)) {
                return KeepaliveAction::Dead;
            }
            dead_at = self.dead_at();
        }
        if let Some(queued) = self.queued.filter(|queued| queued.look_at.is_some_and(|look_at| now >= look_at)) {
            return KeepaliveAction::Flush(queued.number);
        }
        if self.next.is_some_and(|next| now >= next) {
            self.schedule_next(now);
            if self.queued.is_none() {
                return KeepaliveAction::Ping(self.ping(now, activity));
            }
        }
        let look = match self.silence {
            Silence::Unheard if self.timeout.is_some() => now.checked_add(Self::LOOK),
            _ => None,
        };
        let flush = self.queued.and_then(|queued| queued.look_at);
        KeepaliveAction::Wait([dead_at, self.next, look, flush].into_iter().flatten().min())
    }

    /// Begins the timeout once more, since the peer may have answered without anybody having noticed. Not a second time.
    pub(super) const fn extend(&mut self, now: Instant) -> bool {
        if self.is_extended {
            return false;
        }
        self.is_extended = true;
        self.silence = Silence::Since(now);
        true
    }

    /// The ping has left. From now on the peer may be missed.
    pub(super) fn sent(&mut self, number: u64, now: Instant, activity: ActivitySnapshot) {
        self.queued = None;
        if let Some(ping) = self.unanswered.iter_mut().find(|ping| ping.number == number) {
            ping.sent = now;
        }
        if self.silence_before == Silence::Unasked {
            self.silence = Silence::Unheard;
        }
        self.observe(now, activity);
    }

    /// The ping has not left yet. When it is late, the peer is missed only if nothing came in that time, and nothing large was leaving.
    pub(super) fn queued(&mut self, number: u64, now: Instant, activity: ActivitySnapshot) {
        self.observe(now, activity);
        let mut queued = self.queued.unwrap_or_else(|| {
            let late_at = self.dead_at().or_else(|| now.checked_add(self.timeout?));
            QueuedPing { number, late_at, look_at: None, pause: Self::LOOK }
        });
        if queued.late_at.is_some_and(|late_at| now >= late_at) {
            self.queued = None;
            if self.dead_at().is_none_or(|dead_at| now < dead_at) {
                self.unsent(number);
            }
            return;
        }
        queued.look_at = [now.checked_add(queued.pause), queued.late_at].into_iter().flatten().min();
        queued.pause = (queued.pause * 2).min(Self::LONGEST_PAUSE);
        self.queued = Some(queued);
    }

    /// The ping could not leave, for a reason that does not tell of the peer.
    pub(super) fn unsent(&mut self, number: u64) {
        self.queued = None;
        self.unanswered.retain(|ping| ping.number != number);
        if self.silence_before == Silence::Unasked {
            self.silence = Silence::Unasked;
        }
    }

    /// A pong has come; returns how long its ping took, if it is the pong of one. With a payload that is always the same, it is
    /// taken for that of the latest (RFC 6455, section 5.5.3).
    pub(super) fn pong(&mut self, payload: &[u8], now: Instant) -> Option<Duration> {
        let answered = match &self.payload {
            Some(ours) if ours == payload => self.unanswered.len().checked_sub(1)?,
            Some(_) => return None,
            None => self.unanswered.iter().position(|ping| ping.number.to_be_bytes() == payload)?,
        };
        let ping = self.unanswered.drain(..=answered).next_back()?;
        Some(now.saturating_duration_since(ping.sent))
    }

    fn schedule_next(&mut self, now: Instant) {
        let next = self.next.and_then(|next| next.checked_add(self.interval));
        // Who comes too late does not make up for what was missed.
        self.next = next.filter(|&next| next > now).or_else(|| now.checked_add(self.interval));
    }

    fn ping(&mut self, now: Instant, activity: ActivitySnapshot) -> KeepalivePing {
        self.last_number += 1;
        let number = self.last_number;
        if self.unanswered.len() == Self::UNANSWERED {
            self.unanswered.pop_front();
        }
        self.unanswered.push_back(Unanswered { number, sent: now });
        let payload = self.payload.clone().unwrap_or_else(|| number.to_be_bytes().to_vec());
        self.silence_before = self.silence;
        if self.silence == Silence::Unasked {
            self.silence = Silence::Unheard;
            self.observe(now, activity);
        }
        KeepalivePing { number, payload }
    }

    fn observe(&mut self, now: Instant, activity: ActivitySnapshot) {
        if activity.received != self.received {
            self.received = activity.received;
            self.silence = Silence::Unasked;
            self.is_extended = false;
            return;
        }
        self.silence = match (self.silence, activity.waiting) {
            (Silence::Unheard, true) => Silence::Since(now),
            (Silence::Since(_), false) => Silence::Unheard,
            (silence, _) => silence,
        };
    }

    fn dead_at(&self) -> Option<Instant> {
        match (self.silence, self.timeout) {
            (Silence::Since(since), Some(timeout)) => since.checked_add(timeout),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
