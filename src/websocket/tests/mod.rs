//! Random programs of calls, on a transport in memory and a virtual clock.
//!
//! `PROGRAMS` says how many (100,000 if it says nothing), `SEED` which is the first.

#[path = "../../../tests/support/model/mod.rs"]
mod model;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use self::model::{Findings, Program, run, seeds};
use crate::net::tests::pipe;
use crate::sync::{SeededScheduler, VirtualClock};

const PROGRAMS: u64 = 100_000;
/// So many are run with one set of stacks.
const TOGETHER: u64 = 500;
/// The buffers between the two sides during the opening handshake.
const ROOMY: usize = 65_536;

#[test]
fn random_programs_of_calls_keep_what_the_api_promises() {
    let seeds = seeds(PROGRAMS);
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let findings = Arc::new(Mutex::new(Findings::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
                    if first >= seeds.end {
                        break;
                    }
                    explore(first, (first + TOGETHER).min(seeds.end), &findings);
                }
            });
        }
    });
    let (number, took) = (seeds.end - seeds.start, began.elapsed());
    println!("{number} programs in {took:.1?}, {:.0} a second", number as f64 / took.as_secs_f64());
    let findings = findings.lock().unwrap();
    assert!(findings.is_empty(), "{findings}");
}

/// Runs the programs of these seeds. After a panic it goes on with the next one.
fn explore(mut first: u64, end: u64, findings: &Arc<Mutex<Findings>>) {
    while first < end {
        let current = Arc::new(AtomicU64::new(first));
        let mut config = Config::new();
        config.stack_size = 256 * 1024;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let runner = Runner::new(SeededScheduler::new(first..end), config);
        let played = {
            let (current, findings) = (Arc::clone(&current), Arc::clone(findings));
            panic::catch_unwind(AssertUnwindSafe(|| {
                runner.run(move || {
                    play(current.load(Ordering::Relaxed), &findings);
                    current.fetch_add(1, Ordering::Relaxed);
                })
            }))
        };
        let seed = current.load(Ordering::Relaxed);
        if let Err(panicked) = played {
            let message = panicked.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let message = message.unwrap_or_default();
            findings.lock().unwrap().panicked(seed, &message);
        }
        first = seed + 1;
    }
}

/// Runs the program of this seed, in one schedule.
fn play(seed: u64, findings: &Mutex<Findings>) {
    crate::sync::reset();
    let clock = VirtualClock::start();
    let (ours, theirs) = pipe::pair(ROOMY);
    let outcome = run(Program::new(seed), ours.into(), world::End(theirs));
    drop(clock);
    findings.lock().unwrap().judge(&outcome);
    assert!(crate::sync::passed() < Duration::from_secs(3600), "an hour has passed");
}
