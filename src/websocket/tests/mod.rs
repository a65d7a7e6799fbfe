//! Random programs of calls, on a transport in memory and a virtual clock.
//!
//! `PROGRAMS` says how many (100,000 if it says nothing), `SEED` which is the first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../../tests/support/model/mod.rs"]
mod model;
mod schedules;
mod world;

use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use self::model::run::Outcome;
use self::model::{Findings, Program, run, seeds};
use crate::net::tests::pipe::{self, Room};
use crate::sync::{SeededScheduler, VirtualClock};

const PROGRAMS: u64 = 100_000;
/// So many are run with one set of stacks.
const TOGETHER: u64 = 500;

#[test]
fn random_programs_of_calls_keep_what_the_api_promises() {
    run_all(seeds(PROGRAMS), Program::new, |_| Ok(()));
}

/// Runs the programs of these seeds, on as many threads as the machine has cores; asserts that none finds a fault, nor does `check`.
fn run_all(
    seeds: Range<u64>,
    program: impl Fn(u64) -> Program + Send + Sync + 'static,
    check: impl Fn(&Outcome) -> Result<(), String> + Send + Sync + 'static,
) {
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let findings = Arc::new(Mutex::new(Findings::default()));
    let played = Arc::new(AtomicU64::new(0));
    let program = Arc::new(program);
    let play = {
        let (findings, program, played) = (Arc::clone(&findings), Arc::clone(&program), Arc::clone(&played));
        Arc::new(move |seed| {
            played.fetch_add(1, Ordering::Relaxed);
            let outcome = play(program(seed));
            findings.lock().unwrap().judge(&outcome, check(&outcome));
        })
    };
    let panicked = |seed, message: &str| findings.lock().unwrap().panicked(&program(seed), message);
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
                    if first >= seeds.end {
                        break;
                    }
                    explore(first..seeds.end.min(first + TOGETHER), &play, &panicked);
                }
            });
        }
    });
    let (number, took) = (seeds.end - seeds.start, began.elapsed());
    assert_eq!(played.load(Ordering::Relaxed), number, "as many programs are played as there are seeds");
    println!("{number} programs in {took:.1?}, {:.0} a second", number as f64 / took.as_secs_f64());
    let findings = findings.lock().unwrap();
    assert!(findings.is_empty(), "{findings}");
}

/// Plays these seeds. After a panic it goes on with the next one.
fn explore(
    mut seeds: Range<u64>,
    play: &Arc<impl Fn(u64) + Send + Sync + 'static>,
    panicked: &(impl Fn(u64, &str) + Sync),
) {
    while !seeds.is_empty() {
        let current = Arc::new(AtomicU64::new(seeds.start));
        let mut config = Config::new();
        config.stack_size = 256 * 1024;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let runner = Runner::new(SeededScheduler::new(seeds.clone()), config);
        let (seed, play) = (Arc::clone(&current), Arc::clone(play));
        let played = panic::catch_unwind(AssertUnwindSafe(|| {
            runner.run(move || {
                play(seed.load(Ordering::Relaxed));
                seed.fetch_add(1, Ordering::Relaxed);
            })
        }));
        let seed = current.load(Ordering::Relaxed);
        if let Err(payload) = played {
            let message = payload.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| payload.downcast_ref::<&str>().copied());
            panicked(seed, message.unwrap_or_default());
        }
        seeds.start = seed + 1;
    }
}

/// Runs a program, in one schedule.
fn play(program: Program) -> Outcome {
    crate::sync::reset();
    let clock = VirtualClock::start();
    let room = if program.takes_whole_writes { Room::Writes } else { Room::Bytes };
    let (ours, theirs) = pipe::pair_with(program.capacity, room);
    let outcome = run(program, ours.into(), world::End(theirs));
    drop(clock);
    assert!(crate::sync::passed() < Duration::from_secs(3600), "an hour has passed");
    outcome
}
