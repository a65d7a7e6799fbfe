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

/// Plays a scenario with real threads. Each round has to end.
#[cfg(not(shuttle))]
pub(super) fn explore(scenario: fn()) {
    use std::sync::mpsc::{self, RecvTimeoutError};

    let rounds = if run_in_full() { 200 } else { 40 };
    let (tell, told) = mpsc::channel();
    let player = thread::spawn(move || {
        for round in 0..rounds {
            scenario();
            tell.send(round).unwrap();
        }
    });
    for round in 0..rounds {
        match told.recv_timeout(Duration::from_secs(30)) {
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => panic!("round {round} hangs"),
        }
    }
    join(player);
}
