//! Plays a scenario in many orders of what its threads do.

use std::time::Duration;

#[cfg(not(shuttle))]
use super::{round::join, run_in_full};
#[cfg(not(shuttle))]
use crate::sync::thread;

/// Plays a scenario in 10,000 schedules, or as many as the variable `SCHEDULES` says: in one half of them chance says who goes on each
/// time, in the other half chance gives out priorities and changes three of them on the way, which finds what takes few but unlikely
/// switches.
#[cfg(shuttle)]
pub(super) fn explore(scenario: fn()) {
    use shuttle::scheduler::{PctScheduler, RandomScheduler};
    use shuttle::{Config, MaxSteps, Runner};

    let rounds = std::env::var("SCHEDULES").map_or(10_000, |number| number.parse().expect("a number of schedules"));
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = MaxSteps::FailAfter(50_000);
    config.silence_warnings = true;
    let play = move || {
        crate::sync::reset();
        scenario();
        let passed = crate::sync::passed();
        assert!(passed < Duration::from_secs(60), "{passed:?} have passed");
    };
    Runner::new(RandomScheduler::new(rounds / 2), config.clone()).run(play);
    Runner::new(PctScheduler::new(3, rounds / 2), config).run(play);
}

/// Plays a scenario with real threads, some rounds at the same time, as most of a round is waiting. Each round has to end.
#[cfg(not(shuttle))]
pub(super) fn explore(scenario: fn()) {
    use std::sync::mpsc::{self, RecvTimeoutError};

    const PLAYERS: usize = 4;

    let rounds = if run_in_full() { 200 } else { 40 };
    let (tell, told) = mpsc::channel();
    let play = |_| {
        let tell = tell.clone();
        thread::spawn(move || {
            for _ in 0..rounds / PLAYERS {
                scenario();
                tell.send(()).unwrap();
            }
        })
    };
    let players: Vec<_> = (0..PLAYERS).map(play).collect();
    drop(tell);
    for ended in 0..rounds {
        match told.recv_timeout(Duration::from_secs(30)) {
            Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => panic!("a round hangs, after {ended} that have ended"),
        }
    }
    players.into_iter().for_each(join);
}
