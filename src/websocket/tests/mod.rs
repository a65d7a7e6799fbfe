//! Random programs of calls, on a transport in memory and a virtual clock.
//!
//! `PROGRAMS` says how many (100,000 if it says nothing), `SEED` which is the first.

#[path = "../../../tests/support/model/mod.rs"]
mod model;
mod world;

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

use self::model::{Program, Rule, judge, report, run, seeds};
use crate::net::tests::pipe;
use crate::sync::{SeededScheduler, VirtualClock};

const PROGRAMS: u64 = 100_000;
/// So many are run with one set of stacks.
const TOGETHER: u64 = 500;
/// The buffers between the two sides during the opening handshake.
const ROOMY: usize = 65_536;

/// The faults that were found, and examples.
#[derive(Default)]
struct Found {
    faults: usize,
    /// For each rule how many programs have found it broken, and a few of their seeds; a panic breaks none of the rules.
    kinds: BTreeMap<Option<Rule>, (usize, Vec<u64>)>,
    reports: Vec<String>,
}

impl Found {
    fn note(&mut self, seed: u64, rules: impl IntoIterator<Item = Option<Rule>>, report: String) {
        self.faults += 1;
        let mut is_new = false;
        for rule in rules {
            let (count, seeds) = self.kinds.entry(rule).or_default();
            *count += 1;
            is_new |= *count <= 2;
            if seeds.len() < 12 {
                seeds.push(seed);
            }
        }
        if is_new {
            self.reports.push(report);
        }
    }
}

#[test]
fn random_programs_of_calls_keep_what_the_api_promises() {
    let seeds = seeds(PROGRAMS);
    let began = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let found = Arc::new(Mutex::new(Found::default()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let first = next.fetch_add(TOGETHER, Ordering::Relaxed);
                    if first >= seeds.end {
                        break;
                    }
                    explore(first, (first + TOGETHER).min(seeds.end), &found);
                }
            });
        }
    });
    let found = std::mem::take(&mut *found.lock().unwrap());
    let took = began.elapsed();
    let number = seeds.end - seeds.start;
    println!("{number} programs in {took:.1?}, {:.0} a second", number as f64 / took.as_secs_f64());
    found.reports.iter().for_each(|report| println!("{report}"));
    for (rule, (count, seeds)) in &found.kinds {
        println!("{rule:?}: {count}, such as {seeds:?}");
    }
    assert_eq!(found.faults, 0, "programs have found faults");
}

/// Runs the programs of these seeds. After a panic it goes on with the next one.
fn explore(mut first: u64, end: u64, found: &Arc<Mutex<Found>>) {
    while first < end {
        let current = Arc::new(AtomicU64::new(first));
        let mut config = Config::new();
        config.stack_size = 256 * 1024;
        config.max_steps = MaxSteps::FailAfter(1_000_000);
        config.failure_persistence = FailurePersistence::None;
        config.silence_warnings = true;
        let runner = Runner::new(SeededScheduler::new(first..end), config);
        let played = {
            let (current, found) = (Arc::clone(&current), Arc::clone(found));
            panic::catch_unwind(AssertUnwindSafe(|| {
                runner.run(move || {
                    play(current.load(Ordering::Relaxed), &found);
                    current.fetch_add(1, Ordering::Relaxed);
                })
            }))
        };
        let seed = current.load(Ordering::Relaxed);
        if let Err(panicked) = played {
            let message = panicked.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panicked.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let message = message.unwrap_or_default();
            found.lock().unwrap().note(seed, [None], format!("{}PANIC {message}\n", Program::new(seed)));
        }
        first = seed + 1;
    }
}

/// Runs the program of this seed, in one schedule.
fn play(seed: u64, found: &Mutex<Found>) {
    crate::sync::reset();
    let clock = VirtualClock::start();
    let (ours, theirs) = pipe::pair(ROOMY);
    let outcome = run(Program::new(seed), ours.into(), world::End(theirs));
    drop(clock);
    let faults = judge(&outcome);
    if !faults.is_empty() {
        let report = report(&outcome, &faults);
        found.lock().unwrap().note(seed, faults.iter().map(|fault| Some(fault.rule)), report);
    }
    assert!(crate::sync::passed() < Duration::from_secs(3600), "an hour has passed");
}
