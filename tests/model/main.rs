//! Random programs of calls over real sockets, in real time.
//!
//! `PROGRAMS` says how many (2,000 if it says nothing), `SEED` which is the first.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/model/mod.rs"]
mod model;
mod world;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use model::{Program, judge, report, run, seeds};

const PROGRAMS: u64 = 2_000;
/// Most of a program is waiting.
const AT_ONCE: usize = 12;

#[test]
fn random_programs_of_calls_keep_what_the_api_promises_over_sockets() {
    let seeds = seeds(PROGRAMS);
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let found = Mutex::new(BTreeMap::new());
    world::watch_the_clock();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    if let Some(report) = play(seed) {
                        found.lock().unwrap().insert(seed, report);
                    }
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    println!("{} programs in {:.1?}", seeds.end - seeds.start, began.elapsed());
    found.values().take(8).for_each(|report| println!("{report}"));
    assert!(found.is_empty(), "programs have found faults: {:?}", found.keys());
}

/// Runs the program of this seed; a report if it finds a fault.
fn play(seed: u64) -> Option<String> {
    let program = Program::new(seed);
    let played = panic::catch_unwind(AssertUnwindSafe(|| {
        let (ours, theirs) = world::pair(seed, program.capacity);
        let outcome = run(program, ours, theirs);
        let faults = judge(&outcome);
        (!faults.is_empty()).then(|| report(&outcome, &faults))
    }));
    played.unwrap_or_else(|_| Some(format!("{}PANIC\n", Program::new(seed))))
}
