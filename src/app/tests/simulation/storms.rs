//! What a server sees of clients that have lost it.

use std::time::{Duration, Instant};

use super::dice::Dice;
use crate::app::lifecycle::{ConnectionEnd, Lifecycle, NextStep};
use crate::app::reconnect::Reconnect;
use crate::error::{CloseCause, CloseInfo, Error};
use crate::websocket::CloseCode;

const CLIENTS: u64 = 1000;
const SECOND: Duration = Duration::from_secs(1);

fn lost() -> Error {
    let cause = CloseCause::Lost(std::io::ErrorKind::UnexpectedEof);
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause)))
}

/// When a client comes again that has just lost the server.
fn next(lifecycle: &mut Lifecycle, now: Instant, retry_after: Option<Duration>, dice: &mut Dice) -> Instant {
    let end =
        ConnectionEnd { error: &lost(), retry_after, is_healthy: false, is_replaced: false, entropy: dice.roll() };
    let NextStep::Retry { at, .. } = lifecycle.ended(now, end) else { panic!("there is no end to it") };
    at
}

/// When each of them comes, in order, after all were cut off at once; each comes again and again until the server is back.
fn arrivals(seed: u64, outage: Duration, retry_after: Option<Duration>) -> Vec<Duration> {
    let start = Instant::now();
    let mut dice = Dice::new(seed);
    let mut arrivals = Vec::new();
    for _ in 0..CLIENTS {
        let mut lifecycle = Lifecycle::new(Reconnect::backoff());
        lifecycle.connect();
        lifecycle.opened(start - 60 * SECOND);
        let mut now = next(&mut lifecycle, start, retry_after, &mut dice);
        while now < start + outage {
            lifecycle.connect();
            now = next(&mut lifecycle, now, retry_after, &mut dice);
        }
        arrivals.push(now - start);
    }
    arrivals.sort_unstable();
    arrivals
}

/// How many of them come in each 100 ms, from the first to the last.
fn crowds(arrivals: &[Duration]) -> Vec<u64> {
    let slot = |arrival: &Duration| ((*arrival - arrivals[0]).as_millis() / 100) as usize;
    let mut crowds = vec![0; slot(arrivals.last().unwrap()) + 1];
    arrivals.iter().for_each(|arrival| crowds[slot(arrival)] += 1);
    crowds
}

fn max_over_mean(crowds: &[u64]) -> f64 {
    let mean = crowds.iter().sum::<u64>() as f64 / crowds.len() as f64;
    *crowds.iter().max().unwrap() as f64 / mean
}

#[test]
fn a_thousand_clients_that_are_cut_off_together_do_not_come_back_together() {
    for seed in 0..100 {
        for retry_after in [None, Some(5 * SECOND)] {
            let crowds = crowds(&arrivals(seed, Duration::ZERO, retry_after));
            assert_eq!(crowds.iter().sum::<u64>(), CLIENTS);
            assert!(crowds.len() > 5, "seed {seed}: all within {} ms", 100 * crowds.len());
            assert!(max_over_mean(&crowds) < 3.0, "seed {seed}: {crowds:?}");
        }
    }
}

#[test]
fn after_an_outage_they_come_back_over_a_long_time() {
    for seed in 0..20 {
        for minutes in [1, 10] {
            let arrivals = arrivals(seed, 60 * minutes * SECOND, None);
            assert!(
                arrivals.last().unwrap() <= &((60 * minutes + 60) * SECOND),
                "nobody waits for longer than a minute"
            );
            let most = *crowds(&arrivals).iter().max().unwrap();
            assert!(most <= CLIENTS / 50, "seed {seed}: {most} in 100 ms");
        }
    }
}

#[test]
fn the_measure_sees_those_who_come_together() {
    let start = Instant::now();
    let mut dice = Dice::new(1);
    let together = (0..CLIENTS).map(|_| {
        let mut lifecycle = Lifecycle::new(Reconnect::fixed(5 * SECOND));
        lifecycle.connect();
        next(&mut lifecycle, start, None, &mut dice) - start
    });
    assert_eq!(crowds(&together.collect::<Vec<_>>()), [CLIENTS]);
    assert!(max_over_mean(&[CLIENTS, 0, 0, 0]) >= 3.0);
}

#[test]
fn a_server_that_accepts_and_drops_at_once_is_asked_as_often_as_the_back_off_says() {
    for seed in 0..100 {
        let start = Instant::now();
        let (mut dice, mut lifecycle) = (Dice::new(seed), Lifecycle::new(Reconnect::backoff()));
        let mut minutes = [0; 60];
        let mut now = start;
        while let Some(minute) = minutes.get_mut((now - start).as_secs() as usize / 60) {
            *minute += 1;
            lifecycle.connect();
            lifecycle.opened(now);
            now = next(&mut lifecycle, now, None, &mut dice);
        }
        // Half of 60 s on average, after a first minute with shorter ones.
        let hour: u32 = minutes.iter().sum();
        assert!((90..200).contains(&hour), "seed {seed}: {hour} in an hour");
        let most = minutes.iter().max().unwrap();
        assert!(*most <= 16, "seed {seed}: {most} in a minute");
    }
}
