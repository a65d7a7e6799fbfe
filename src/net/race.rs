//! Happy eyeballs (RFC 8305, section 5): which address is tried when. No sockets, no clock: the time is passed in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::vec;

/// How long an attempt has for itself, before the next address is tried beside it.
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that wait for their turn, and attempts that are under way.
#[derive(Debug)]
pub(super) struct Race<T> {
    waiting: vec::IntoIter<SocketAddr>,
    runners: Vec<Runner<T>>,
    /// When the next of those who wait may start; `None` for at once.
    next_start: Option<Instant>,
    /// How long an attempt may take while others are left.
    limit: Duration,
}

/// An attempt to connect to one address.
#[derive(Debug)]
pub(super) struct Runner<T> {
    pub(super) address: SocketAddr,
    pub(super) attempt: T,
    start: Instant,
}

impl<T> Race<T> {
    /// Nobody has started yet.
    pub(super) fn new(addresses: Vec<SocketAddr>, limit: Duration) -> Self {
        Self { waiting: addresses.into_iter(), runners: Vec::new(), next_start: None, limit }
    }

    /// Whose turn it is, if it is anybody's. Who does not [`enter`](Self::enter) then leaves the turn to the next.
    pub(super) fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.next_start.is_some_and(|start| now < start) { None } else { self.waiting.next() }
    }

    /// An attempt is under way.
    pub(super) fn enter(&mut self, address: SocketAddr, attempt: T, now: Instant) {
        self.runners.push(Runner { address, attempt, start: now });
        self.next_start = Some(now + STAGGER);
    }

    /// Takes an attempt out that has come to its end. If it has failed, the next one waits no longer.
    pub(super) fn leave(&mut self, index: usize) -> Runner<T> {
        self.next_start = None;
        self.runners.remove(index)
    }

    /// Takes out an attempt that has had its time. Nobody gives up the last address that is left.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Runner<T>> {
        if self.is_last() {
            return None;
        }
        let index = self.runners.iter().position(|runner| runner.rest(self.limit, now).is_zero())?;
        Some(self.leave(index))
    }

    /// How long nothing happens by itself; `None` for ever.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let start = self.next_start.filter(|_| self.waiting.len() > 0);
        let start = start.map(|start| start.saturating_duration_since(now));
        let expiry = self.runners.iter().map(|runner| runner.rest(self.limit, now)).min();
        start.into_iter().chain(expiry.filter(|_| !self.is_last())).min()
    }

    /// Those who are under way, the earliest first.
    pub(super) fn attempts(&self) -> impl ExactSizeIterator<Item = &T> {
        self.runners.iter().map(|runner| &runner.attempt)
    }

    /// Whether nobody is left.
    pub(super) fn is_over(&self) -> bool {
        self.runners.is_empty() && self.waiting.len() == 0
    }

    fn is_last(&self) -> bool {
        self.runners.len() + self.waiting.len() <= 1
    }
}

impl<T> Runner<T> {
    fn rest(&self, limit: Duration, now: Instant) -> Duration {
        limit.saturating_sub(now.saturating_duration_since(self.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LIMIT: Duration = Duration::from_secs(10);

    fn address(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 80))
    }

    /// Lets everybody start whose turn it is; says who that was.
    fn start(race: &mut Race<u8>, now: Instant) -> Vec<u8> {
        let mut started = Vec::new();
        while let Some(address) = race.next(now) {
            let SocketAddr::V4(v4) = address else { unreachable!() };
            started.push(v4.ip().octets()[3]);
            race.enter(address, v4.ip().octets()[3], now);
        }
        started
    }

    fn race(addresses: u8, limit: Duration) -> Race<u8> {
        Race::new((1..=addresses).map(address).collect(), limit)
    }

    #[test]
    fn one_starts_every_250_ms() {
        let begin = Instant::now();
        let mut race = race(3, LIMIT);
        let table: [(u32, &[u8], Option<Duration>); 7] = [
            (0, &[1], Some(250 * MS)),
            (1, &[], Some(249 * MS)),
            (249, &[], Some(MS)),
            (250, &[2], Some(250 * MS)),
            (499, &[], Some(MS)),
            (600, &[3], Some(9400 * MS)),
            (5000, &[], Some(5000 * MS)),
        ];
        for (ms, started, wait) in table {
            let now = begin + ms * MS;
            assert_eq!(start(&mut race, now), started, "{ms} ms");
            assert_eq!(race.wait(now), wait, "{ms} ms");
        }
        assert_eq!(race.attempts().copied().collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[test]
    fn after_a_failure_the_next_starts_at_once_and_has_250_ms_for_itself() {
        let begin = Instant::now();
        let mut race = race(4, LIMIT);
        assert_eq!(start(&mut race, begin), [1]);
        assert_eq!(race.leave(0).address, address(1));
        assert_eq!(start(&mut race, begin + 10 * MS), [2]);
        assert_eq!(start(&mut race, begin + 259 * MS), [0; 0]);
        assert_eq!(start(&mut race, begin + 260 * MS), [3]);
        assert_eq!(race.leave(1).attempt, 3);
        assert_eq!(start(&mut race, begin + 261 * MS), [4]);
    }

    #[test]
    fn who_cannot_even_start_costs_no_time() {
        let begin = Instant::now();
        let mut race = race(3, LIMIT);
        assert_eq!(race.next(begin), Some(address(1)));
        assert_eq!(race.next(begin), Some(address(2)));
        assert_eq!(start(&mut race, begin), [3]);
        race.leave(0);
        assert!(race.is_over());
    }

    #[test]
    fn an_address_is_given_up_after_its_limit_but_never_the_last_one() {
        let begin = Instant::now();
        let mut race = race(2, LIMIT);
        start(&mut race, begin);
        start(&mut race, begin + STAGGER);
        assert!(race.expire(begin + LIMIT - MS).is_none());
        assert_eq!(race.expire(begin + LIMIT).map(|runner| runner.attempt), Some(1));
        assert!(race.expire(begin + 10 * LIMIT).is_none());
        assert_eq!(race.wait(begin + 10 * LIMIT), None);
        assert!(!race.is_over());
    }

    #[test]
    fn one_that_expires_makes_room_for_those_who_wait() {
        let begin = Instant::now();
        let mut race = race(2, 100 * MS);
        start(&mut race, begin);
        assert_eq!(race.wait(begin), Some(100 * MS));
        assert!(race.expire(begin + 100 * MS).is_some());
        assert_eq!(start(&mut race, begin + 100 * MS), [2]);
    }

    #[test]
    fn limits_without_end_and_clocks_that_stand_still_do_no_harm() {
        let begin = Instant::now();
        let mut race = race(2, Duration::MAX);
        start(&mut race, begin);
        start(&mut race, begin + STAGGER);
        assert!(race.expire(begin + 100 * LIMIT).is_none());
        assert!(race.wait(begin).is_some_and(|wait| wait > 100 * LIMIT));
        assert!(Race::<u8>::new(Vec::new(), LIMIT).is_over());
    }
}
