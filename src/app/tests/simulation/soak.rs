//! One app over many years: 100,000 connections and 10,000,000 pings, with everything that can go wrong between them. That many
//! in a [full run](run_in_full), a fortieth of it otherwise.

use std::collections::VecDeque;
use std::thread;
use std::time::{Duration, Instant};

use super::dice::Dice;
use crate::app::facts::Latencies;
use crate::app::keepalive::{Keepalive, KeepaliveAction, PingOptions};
use crate::app::lifecycle::{ConnectionEnd, Lifecycle, LifecyclePhase, NextStep, OpenEvent};
use crate::app::reconnect::Reconnect;
use crate::app::tests::run_in_full;
use crate::error::{CloseCause, CloseInfo, Error, Phase};
use crate::websocket::{ActivitySnapshot, CloseCode};

const CONNECTIONS: u64 = 100_000;
const PINGS: u64 = 10_000_000;
/// What so many take at least, in simulated time.
const YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(10);
/// What finding out may take beyond interval and timeout.
const SLACK: Duration = Duration::from_millis(100);

/// The app's machines, and what a model knows of them.
struct Soak {
    dice: Dice,
    now: Instant,
    lifecycle: Lifecycle,
    latencies: Latencies,
    /// The latest latencies, as the model knows them.
    expected: VecDeque<Duration>,
    /// Attempts in a row, as the model counts them.
    attempts: u32,
    totals: Totals,
}

/// What has happened.
#[derive(Debug, Default)]
struct Totals {
    connects: u64,
    refused: u64,
    dropped: u64,
    dead: u64,
    pings: u64,
    pongs: u64,
    unsent: u64,
    queued: u64,
    slow_callbacks: u64,
}

/// The server and the way to it.
struct Line {
    /// After this the server says nothing any more.
    silent_from: Instant,
    /// Then the connection is dropped.
    dropped_at: Instant,
    /// Pongs on their way, in their order, and what they answer.
    pongs: VecDeque<(Instant, u64)>,
    /// When the server says something by itself.
    speaks_at: Instant,
    /// What has arrived and is not read, as a callback takes its time.
    unread: u64,
    unread_pongs: Vec<u64>,
    busy_until: Option<Instant>,
    received: u64,
    /// When something was received last, or was waited for again.
    quiet_since: Instant,
    /// When the first ping left to which nothing has come.
    asked: Option<Instant>,
    /// When each ping left, the last ones.
    sent: VecDeque<(u64, Instant)>,
}

impl Line {
    fn new(dice: &mut Dice, now: Instant) -> Self {
        let pings = if dice.permille(400) { dice.below(4) } else { dice.below(370) };
        let lifetime = INTERVAL * pings as u32 + dice.up_to(INTERVAL);
        let falls_silent = dice.permille(300);
        Self {
            silent_from: if falls_silent { now + lifetime } else { now + 1000 * lifetime },
            dropped_at: now + if falls_silent { lifetime + 10 * INTERVAL } else { lifetime },
            pongs: VecDeque::new(),
            speaks_at: now + dice.up_to(20 * INTERVAL),
            unread: 0,
            unread_pongs: Vec::new(),
            busy_until: None,
            received: 0,
            quiet_since: now,
            asked: None,
            sent: VecDeque::new(),
        }
    }

    fn activity(&self) -> ActivitySnapshot {
        ActivitySnapshot { received: self.received, waiting: self.busy_until.is_none() }
    }

    /// When something happens next by itself.
    fn next(&self) -> Instant {
        let earliest = self.dropped_at.min(self.speaks_at);
        let earliest = self.pongs.front().map_or(earliest, |(at, _)| earliest.min(*at));
        self.busy_until.map_or(earliest, |until| earliest.min(until))
    }

    /// A ping has left: its pong comes soon, or too late, or never.
    fn ping(&mut self, dice: &mut Dice, number: u64, now: Instant) {
        self.sent.push_back((number, now));
        if self.sent.len() > 100 {
            self.sent.pop_front();
        }
        self.asked.get_or_insert(now);
        let latency = match dice.below(1000) {
            0 => TIMEOUT + dice.up_to(INTERVAL),
            1 => return,
            2..20 => dice.up_to(TIMEOUT - Duration::from_millis(1)),
            _ => Duration::from_millis(1) + dice.up_to(Duration::from_millis(300)),
        };
        let earliest = self.pongs.back().map_or(now, |(at, _)| *at);
        let at = earliest.max(now + latency);
        if at < self.silent_from {
            self.pongs.push_back((at, number));
        }
    }
}

impl Soak {
    fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            now: Instant::now(),
            lifecycle: Lifecycle::new(Reconnect::backoff()),
            latencies: Latencies::default(),
            expected: VecDeque::new(),
            attempts: 0,
            totals: Totals::default(),
        }
    }

    /// One attempt, the connection that comes of it, and the wait for the next.
    fn turn(&mut self) {
        self.attempts += 1;
        assert_eq!(self.lifecycle.connect(), self.attempts);
        self.now += self.dice.up_to(Duration::from_secs(2));
        if self.dice.permille(200) {
            self.totals.refused += 1;
            let retry_after = self.dice.permille(300).then(|| self.dice.up_to(Duration::from_secs(120)));
            self.end(&Error::Timeout(Phase::Connect), retry_after, false);
            return;
        }
        let opened = self.lifecycle.opened(self.now);
        assert_eq!(opened == OpenEvent::First, self.totals.connects == 0);
        self.totals.connects += 1;
        let since = self.now;
        let cause = self.connection();
        let is_healthy = self.dice.permille(20);
        if is_healthy || self.now - since >= Duration::from_secs(10) {
            self.attempts = 0;
        }
        self.end(&closed(cause), None, is_healthy);
    }

    fn end(&mut self, error: &Error, retry_after: Option<Duration>, is_healthy: bool) {
        let end = ConnectionEnd { error, retry_after, is_healthy, is_replaced: false, entropy: self.dice.roll() };
        let NextStep::Retry { delay, at } = self.lifecycle.ended(self.now, end) else {
            panic!("there is no end to it")
        };
        let cap = Duration::from_secs(60);
        let ceiling = cap.min(Duration::from_secs(1 << self.attempts.saturating_sub(1).min(10)));
        let asked = retry_after.map_or(Duration::ZERO, |asked| asked.min(cap));
        let range = asked + Duration::from_millis(250)..=asked + ceiling;
        assert!(range.contains(&delay), "{delay:?} after {} attempts and {retry_after:?}", self.attempts);
        assert_eq!((at, self.lifecycle.phase()), (self.now + delay, LifecyclePhase::Backoff { until: at }));
        self.now = at;
    }

    /// One connection, as the threads of an app would lead it; says how it ended.
    fn connection(&mut self) -> CloseCause {
        let options = PingOptions { interval: Some(INTERVAL), timeout: Some(TIMEOUT), payload: None };
        let mut keepalive = options.start(self.now).unwrap();
        let mut line = Line::new(&mut self.dice, self.now);
        loop {
            match keepalive.poll(self.now, line.activity()) {
                KeepaliveAction::Dead => {
                    self.check_dead(&line);
                    return CloseCause::PingTimeout;
                }
                KeepaliveAction::Ping(ping) => self.ping(&mut keepalive, &mut line, ping.number),
                KeepaliveAction::Flush(number) => self.flush(&mut keepalive, &mut line, number),
                KeepaliveAction::Wait(until) => {
                    let until = until.expect("the next ping is due some time");
                    assert!(until > self.now, "it would be asked again and again");
                    self.now = until.min(line.next());
                }
            }
            self.check_alive(&line);
            if self.now >= line.dropped_at {
                self.totals.dropped += 1;
                return CloseCause::Lost(std::io::ErrorKind::ConnectionReset);
            }
            self.arrive(&mut keepalive, &mut line);
        }
    }

    fn ping(&mut self, keepalive: &mut Keepalive, line: &mut Line, number: u64) {
        self.totals.pings += 1;
        if self.dice.permille(1) {
            self.totals.unsent += 1;
            keepalive.unsent(number);
            return;
        }
        if self.dice.permille(5) {
            self.totals.queued += 1;
            keepalive.queued(number, self.now, line.activity());
            return;
        }
        line.ping(&mut self.dice, number, self.now);
        keepalive.sent(number, self.now, line.activity());
    }

    /// A ping has to wait behind a message for a moment.
    fn flush(&mut self, keepalive: &mut Keepalive, line: &mut Line, number: u64) {
        if self.dice.permille(300) {
            keepalive.queued(number, self.now, line.activity());
            return;
        }
        line.ping(&mut self.dice, number, self.now);
        keepalive.sent(number, self.now, line.activity());
    }

    /// What has come by now is received, unless a callback keeps the reader.
    fn arrive(&mut self, keepalive: &mut Keepalive, line: &mut Line) {
        while line.pongs.front().is_some_and(|(at, _)| *at <= self.now) {
            line.unread_pongs.extend(line.pongs.pop_front().map(|(_, number)| number));
            line.unread += 10;
        }
        let mut message = false;
        if line.speaks_at <= self.now {
            message = self.now < line.silent_from;
            line.unread += if message { 100 } else { 0 };
            line.speaks_at = self.now + self.dice.up_to(20 * INTERVAL) + Duration::from_millis(1);
        }
        if line.busy_until.is_some_and(|until| until > self.now) {
            return;
        }
        if line.busy_until.take().is_some() {
            line.quiet_since = self.now;
        }
        if line.unread == 0 {
            return;
        }
        line.received += std::mem::take(&mut line.unread);
        (line.asked, line.quiet_since) = (None, self.now);
        for number in std::mem::take(&mut line.unread_pongs) {
            self.pong(keepalive, line, number);
        }
        if message && self.dice.permille(500) {
            self.totals.slow_callbacks += 1;
            line.busy_until = Some(self.now + self.dice.up_to(5 * TIMEOUT));
        }
    }

    fn pong(&mut self, keepalive: &mut Keepalive, line: &Line, number: u64) {
        self.totals.pongs += 1;
        let sent = line.sent.iter().rev().find(|(sent, _)| *sent == number).map(|(_, at)| self.now - *at);
        let latency = keepalive.pong(&number.to_be_bytes(), self.now);
        assert_eq!(latency, sent);
        let latency = latency.unwrap();
        self.latencies.push(latency);
        self.expected.push_back(latency);
        if self.expected.len() > 256 {
            self.expected.pop_front();
        }
    }

    /// Not too early: somebody was asked, and was waited for long enough.
    fn check_dead(&mut self, line: &Line) {
        self.totals.dead += 1;
        let asked = line.asked.expect("somebody was asked");
        let waited = self.now - asked.max(line.quiet_since);
        assert!(waited >= TIMEOUT, "given up after {waited:?}");
        assert!(line.busy_until.is_none(), "given up during a callback");
    }

    /// Not too late: a server that says nothing, and is listened to, is found out within interval and timeout.
    fn check_alive(&self, line: &Line) {
        if line.busy_until.is_none() && line.unread == 0 {
            let quiet = self.now - line.quiet_since;
            assert!(quiet <= INTERVAL + TIMEOUT + SLACK || self.unsent_excuses(line), "silent for {quiet:?}");
        }
    }

    /// A ping that could not leave is not missed; the next one is.
    fn unsent_excuses(&self, line: &Line) -> bool {
        let asked = line.asked.map_or(Duration::ZERO, |asked| self.now - asked.max(line.quiet_since));
        asked <= TIMEOUT + SLACK
    }

    fn check_statistics(&self) {
        let summary = self.latencies.summary().unwrap();
        let mut sorted: Vec<_> = self.expected.iter().copied().collect();
        sorted.sort_unstable();
        assert_eq!(Some(&summary.last), self.expected.back());
        assert_eq!((summary.min, summary.p99), (sorted[0], sorted[sorted.len() * 99 / 100]));
        assert_eq!(summary.mean, sorted.iter().sum::<Duration>() / sorted.len() as u32);
    }
}

fn closed(cause: CloseCause) -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause)))
}

#[test]
fn a_hundred_thousand_connections_and_ten_million_pings_are_as_they_should_be() {
    const LANES: u64 = 4;
    let share = if run_in_full() { 1 } else { 40 };
    let (least_connects, least_pings) = (CONNECTIONS / share, PINGS / share);
    let lanes: Vec<Totals> = thread::scope(|scope| {
        let state = |seed| {
            scope.spawn(move || {
                let mut soak = Soak::new(seed);
                let start = soak.now;
                while soak.totals.connects < least_connects / LANES || soak.totals.pings < least_pings / LANES {
                    soak.turn();
                }
                soak.check_statistics();
                assert!(soak.now - start > YEARS / share as u32, "years have passed");
                soak.totals
            })
        };
        let lanes: Vec<_> = (1..=LANES).map(state).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    let total = |of: fn(&Totals) -> u64| lanes.iter().map(of).sum::<u64>();
    assert!(total(|totals| totals.connects) >= least_connects && total(|totals| totals.pings) >= least_pings);
    assert_eq!(total(|totals| totals.connects), total(|totals| totals.dropped + totals.dead));
    // Everything that can happen has happened often.
    let often: [fn(&Totals) -> u64; 6] = [
        |totals| totals.refused,
        |totals| totals.dropped,
        |totals| totals.dead,
        |totals| totals.unsent,
        |totals| totals.queued,
        |totals| totals.slow_callbacks,
    ];
    assert!(often.into_iter().all(|of| total(of) > 5_000 / share), "{lanes:?}");
    assert!(total(|totals| totals.pongs) > least_pings * 9 / 10, "{lanes:?}");
}
