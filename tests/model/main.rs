//! Random programs of calls over real sockets, in real time.
//!
//! `PROGRAMS` says how many (otherwise 500, and 2,000 where `LONG_TESTS` is set, as in `.ci/run`), `SEED` which is the first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/model/mod.rs"]
mod model;
mod world;

use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::{Findings, Program, run, seeds};

/// So many are run at a time: most of a program is waiting.
const TOGETHER: usize = 12;

#[test]
fn random_programs_of_calls_keep_what_the_api_promises_over_sockets() {
    let seeds = seeds(if std::env::var_os("LONG_TESTS").is_some() { 2_000 } else { 500 });
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let findings = Mutex::new(Findings::default());
    world::watch_the_clock();
    std::thread::scope(|scope| {
        for _ in 0..TOGETHER {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    play(seed, &findings);
                }
            });
        }
    });
    println!("{} programs in {:.1?}", seeds.end - seeds.start, began.elapsed());
    let findings = findings.into_inner().unwrap();
    assert!(findings.is_empty(), "{findings}");
}

/// Runs the program of this seed.
fn play(seed: u64, findings: &Mutex<Findings>) {
    let program = Program::new(seed);
    let played = panic::catch_unwind(AssertUnwindSafe(|| {
        let (ours, theirs) = world::pair(seed, program.capacity);
        run(program.clone(), ours, theirs)
    }));
    let mut findings = findings.lock().unwrap();
    match played {
        Ok(outcome) => findings.judge(&outcome, Ok(())),
        Err(_) => findings.panicked(&program, "see above"),
    }
}
