//! What a keepalive does at which time.

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const WAITING: bool = true;
const BUSY: bool = false;

/// A keepalive with interval 1 s, and the time that passes for it.
struct Simulation {
    keepalive: Keepalive,
    start: Instant,
    received: u64,
    waiting: bool,
}

impl Simulation {
    fn new(timeout: Option<u64>, payload: Option<&str>) -> Self {
        let start = Instant::now();
        let options = PingOptions {
            interval: Some(ms(1000)),
            timeout: timeout.map(ms),
            payload: payload.map(|payload| payload.as_bytes().to_vec()),
        };
        Self { keepalive: options.start(start).unwrap(), start, received: 0, waiting: WAITING }
    }

    fn activity(&self) -> ActivitySnapshot {
        ActivitySnapshot { received: self.received, waiting: self.waiting }
    }

    /// What is due at so many milliseconds; a ping leaves at once.
    fn at(&mut self, millis: u64) -> KeepaliveAction {
        let now = self.start + ms(millis);
        let due = self.keepalive.poll(now, self.activity());
        let KeepaliveAction::Ping(ping) = due else { return due };
        self.keepalive.sent(ping.number, now, self.activity());
        KeepaliveAction::Ping(ping)
    }

    /// A ping is due at so many milliseconds, and cannot leave; its number.
    fn queue_at(&mut self, millis: u64) -> u64 {
        let now = self.start + ms(millis);
        let KeepaliveAction::Ping(ping) = self.keepalive.poll(now, self.activity()) else { panic!("no ping") };
        self.keepalive.queued(ping.number, now, self.activity());
        ping.number
    }

    /// Looks at so many milliseconds whether a queued ping has left, if that is due: it has not. Its number.
    fn flush_at(&mut self, millis: u64) -> Option<u64> {
        let now = self.start + ms(millis);
        let KeepaliveAction::Flush(number) = self.keepalive.poll(now, self.activity()) else { return None };
        self.keepalive.queued(number, now, self.activity());
        Some(number)
    }

    /// As a thread does: what is due, when it is due, until then.
    fn dead_at(&mut self, mut millis: u64, until: u64) -> Option<u64> {
        while millis < until {
            match self.at(millis) {
                KeepaliveAction::Dead => return Some(millis),
                KeepaliveAction::Ping(_) | KeepaliveAction::Flush(_) => {}
                KeepaliveAction::Wait(Some(time)) => millis = u64::try_from((time - self.start).as_millis()).unwrap(),
                KeepaliveAction::Wait(None) => return None,
            }
        }
        None
    }

    fn wait(&self, millis: u64) -> KeepaliveAction {
        KeepaliveAction::Wait(Some(self.start + ms(millis)))
    }
}

fn ping(number: u64) -> KeepaliveAction {
    KeepaliveAction::Ping(KeepalivePing { number, payload: number.to_be_bytes().to_vec() })
}

#[test]
fn the_first_ping_is_due_after_one_interval_and_then_each() {
    let mut simulation = Simulation::new(None, None);
    assert_eq!(simulation.at(0), simulation.wait(1000));
    assert_eq!(simulation.at(1000), ping(1));
    assert_eq!(simulation.at(1000), simulation.wait(2000));
    // A little late is not put on top; a lot is not made up for.
    assert_eq!(simulation.at(2100), ping(2));
    assert_eq!(simulation.at(2100), simulation.wait(3000));
    assert_eq!(simulation.at(7200), ping(3));
    assert_eq!(simulation.at(7200), simulation.wait(8200));
}

#[test]
fn a_silent_peer_is_dead_an_interval_and_a_timeout_later() {
    for (timeout, dead) in [(300, 1300), (1000, 2000), (2500, 3500)] {
        let mut simulation = Simulation::new(Some(timeout), None);
        assert_eq!(simulation.dead_at(0, 10_000), Some(dead), "timeout {timeout}");
    }
}

#[test]
fn it_is_found_out_within_that_time_whenever_the_peer_dies() {
    for timeout in [300, 1500, 4000] {
        for death in (0..6000).step_by(70) {
            let mut simulation = Simulation::new(Some(timeout), None);
            // Until then it says something every 10 ms.
            for millis in (0..death).step_by(10) {
                simulation.received += 1;
                assert_ne!(simulation.at(millis), KeepaliveAction::Dead, "timeout {timeout}, death {death}, {millis}");
            }
            let found = simulation.dead_at(death, death + 60_000).unwrap();
            assert!(found <= death + 1000 + timeout, "timeout {timeout}, death {death}: {found}");
        }
    }
}

#[test]
fn whatever_comes_is_a_sign_of_life() {
    let mut simulation = Simulation::new(Some(300), None);
    assert_eq!(simulation.at(1000), ping(1));
    simulation.received += 1;
    assert_eq!(simulation.at(1299), simulation.wait(2000));
    assert_eq!(simulation.at(2000), ping(2));
    assert_eq!(simulation.at(2300), KeepaliveAction::Dead);
}

#[test]
fn a_pong_that_is_faster_than_the_thread_that_sent_the_ping_counts() {
    let mut simulation = Simulation::new(Some(300), None);
    let now = simulation.start + ms(1000);
    let KeepaliveAction::Ping(sent) = simulation.keepalive.poll(now, simulation.activity()) else { panic!("no ping") };
    simulation.received += 10;
    assert_eq!(simulation.keepalive.pong(&sent.payload, now + ms(3)), Some(ms(3)));
    simulation.keepalive.sent(sent.number, now + ms(5), simulation.activity());
    assert_eq!(simulation.at(1300), simulation.wait(2000));
}

#[test]
fn the_time_of_a_slow_callback_does_not_count() {
    let mut simulation = Simulation::new(Some(300), None);
    simulation.waiting = BUSY;
    assert_eq!(simulation.at(1000), ping(1));
    assert_eq!(simulation.at(1000), simulation.wait(1020));
    assert_eq!(simulation.at(1900), simulation.wait(1920));
    assert_eq!(simulation.at(2000), ping(2));
    // It returns, and what the peer has said meanwhile is still on its way.
    simulation.waiting = WAITING;
    assert_eq!(simulation.at(2500), simulation.wait(2800));
    assert_eq!(simulation.at(2799), simulation.wait(2800));
    assert_eq!(simulation.at(2800), KeepaliveAction::Dead);
}

#[test]
fn a_ping_that_could_not_leave_is_not_missed() {
    let mut simulation = Simulation::new(Some(300), None);
    let KeepaliveAction::Ping(stuck) = simulation.keepalive.poll(simulation.start + ms(1000), simulation.activity())
    else {
        panic!("no ping")
    };
    simulation.keepalive.unsent(stuck.number);
    assert_eq!(simulation.at(1900), simulation.wait(2000));
    assert_eq!(simulation.keepalive.pong(&stuck.payload, simulation.start + ms(1900)), None);
}

/// What follows a ping at 1 s that does not leave within the timeout, while this happens.
fn after_a_stuck_ping(meanwhile: impl FnOnce(&mut Simulation)) -> KeepaliveAction {
    let mut simulation = Simulation::new(Some(300), None);
    let stuck = simulation.queue_at(1000);
    meanwhile(&mut simulation);
    for millis in [1020, 1060, 1140] {
        assert_eq!(simulation.flush_at(millis), Some(stuck), "{millis}");
    }
    simulation.flush_at(1300);
    simulation.at(1300)
}

#[test]
fn a_peer_that_takes_nothing_and_says_nothing_is_dead() {
    assert_eq!(after_a_stuck_ping(|_| ()), KeepaliveAction::Dead);
    let alive = Simulation::new(None, None);
    let next = after_a_stuck_ping(|simulation| simulation.received += 1);
    assert!(matches!(next, KeepaliveAction::Wait(Some(next)) if next > alive.start + ms(1900)), "{next:?}");
    // It takes something large, or nobody listens to it.
    let next = after_a_stuck_ping(|simulation| simulation.waiting = BUSY);
    assert!(matches!(next, KeepaliveAction::Wait(Some(next)) if next > alive.start + ms(1900)), "{next:?}");
}

#[test]
fn a_ping_is_looked_after_for_no_longer_than_until_the_one_before_it_is_missed() {
    let mut simulation = Simulation::new(Some(1500), None);
    assert_eq!(simulation.at(1000), ping(1));
    let second = simulation.queue_at(2000);
    assert_eq!(simulation.flush_at(2499), Some(second));
    assert_eq!(simulation.at(2500), KeepaliveAction::Dead);
}

#[test]
fn a_queued_ping_is_the_only_one_until_it_has_left_and_then_the_peer_may_be_missed() {
    let mut simulation = Simulation::new(Some(10_000), None);
    let queued = simulation.queue_at(1000);
    simulation.received += 1;
    for second in 2..9 {
        let millis = second * 1000 + 1;
        assert_eq!(simulation.flush_at(millis), Some(queued));
        assert!(matches!(simulation.at(millis), KeepaliveAction::Wait(_)), "no other ping is due at {millis}");
    }
    simulation.keepalive.sent(queued, simulation.start + ms(8100), simulation.activity());
    assert_eq!(simulation.at(8100), simulation.wait(9000));
    assert_eq!(simulation.keepalive.pong(&queued.to_be_bytes(), simulation.start + ms(8150)), Some(ms(50)));
    simulation.received += 1;
    assert_eq!(simulation.at(9000), ping(2));
    assert_eq!(simulation.dead_at(9000, 60_000), Some(19_000));
}

#[test]
fn a_queued_ping_is_looked_at_ever_less_often() {
    let mut simulation = Simulation::new(None, None);
    simulation.queue_at(1000);
    let mut looks = Vec::new();
    for millis in 1000..9000 {
        if simulation.flush_at(millis).is_some() {
            looks.push(millis);
        }
    }
    assert_eq!(looks, [1020, 1060, 1140, 1300, 1620, 2260, 3260, 4260, 5260, 6260, 7260, 8260]);
}

#[test]
fn pongs_are_matched_by_payload() {
    let mut simulation = Simulation::new(None, None);
    simulation.at(1000);
    simulation.at(2000);
    simulation.at(3000);
    let pong = |simulation: &mut Simulation, payload: &[u8], millis| {
        simulation.keepalive.pong(payload, simulation.start + ms(millis))
    };
    assert_eq!(pong(&mut simulation, b"", 3100), None);
    assert_eq!(pong(&mut simulation, &2u64.to_be_bytes(), 3100), Some(ms(1100)));
    // What was sent before the ping that is answered will not be answered any more.
    assert_eq!(pong(&mut simulation, &1u64.to_be_bytes(), 3100), None);
    assert_eq!(pong(&mut simulation, &3u64.to_be_bytes(), 3100), Some(ms(100)));
}

#[test]
fn a_payload_of_the_users_is_sent_as_it_is_and_its_pong_is_that_of_the_latest_ping() {
    let mut simulation = Simulation::new(None, Some("here"));
    assert_eq!(simulation.at(1000), KeepaliveAction::Ping(KeepalivePing { number: 1, payload: b"here".to_vec() }));
    simulation.at(2000);
    assert_eq!(simulation.keepalive.pong(b"there", simulation.start + ms(2050)), None);
    assert_eq!(simulation.keepalive.pong(b"here", simulation.start + ms(2050)), Some(ms(50)));
    assert_eq!(simulation.keepalive.pong(b"here", simulation.start + ms(2060)), None);
}

#[test]
fn pings_that_are_never_answered_do_not_pile_up() {
    let mut simulation = Simulation::new(None, None);
    for second in 1..10_000 {
        assert_eq!(simulation.at(second * 1000), ping(second));
    }
    assert!(simulation.keepalive.unanswered.len() <= Keepalive::UNANSWERED);
}

#[test]
fn intervals_that_no_clock_counts_to_never_end() {
    let options = PingOptions { interval: Some(Duration::MAX), timeout: Some(Duration::MAX), payload: None };
    let now = Instant::now();
    assert_eq!(options.start(now).unwrap().poll(now, ActivitySnapshot::default()), KeepaliveAction::Wait(None));
    assert!(PingOptions { interval: Some(Duration::ZERO), ..options }.start(now).is_none());
}

#[test]
fn who_finds_out_late_was_not_running_and_waits_once_more() {
    let mut simulation = Simulation::new(Some(300), None);
    assert_eq!(simulation.at(1000), ping(1));
    // Stopped until then.
    assert_eq!(simulation.at(1700), simulation.wait(2000));
    simulation.received += 1;
    assert_eq!(simulation.at(1750), simulation.wait(2000), "the answer was there");
    assert_eq!(simulation.at(2000), ping(2));
    assert_eq!(simulation.at(2800), simulation.wait(3000), "in each silence anew");
    assert_eq!(simulation.at(3000), ping(3));
    assert_eq!(simulation.at(3500), KeepaliveAction::Dead, "but only once in each");
}

/// Otherwise whoever sends the pings of an app would do nothing else any more.
#[test]
fn pings_are_apart_however_short_the_interval() {
    let start = Instant::now();
    let options = PingOptions { interval: Some(Duration::from_nanos(1)), timeout: None, payload: None };
    let mut keepalive = options.start(start).unwrap();
    let activity = ActivitySnapshot { received: 0, waiting: WAITING };
    let mut pings = 0;
    // Each look takes a microsecond.
    for micros in 1..=10_000 {
        let now = start + Duration::from_micros(micros);
        if let KeepaliveAction::Ping(ping) = keepalive.poll(now, activity) {
            keepalive.sent(ping.number, now, activity);
            pings += 1;
        }
    }
    assert!((9..=11).contains(&pings), "{pings} pings in 10 ms");
}
