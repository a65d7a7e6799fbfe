//! A model test: random programs of calls on a WebSocket, against a peer that follows a random script.
//!
//! Whoever includes this has a module `world` beside it, with the crate under test, a clock, threads and streams: `tests/model.rs`
//! runs programs over sockets in real time, `websocket::tests` in memory on a virtual clock. A program follows from its seed:
//! `SEED=17 PROGRAMS=1` repeats it.

mod calls;
mod chance;
mod frames;
mod judge;
mod peer;
mod program;
mod record;
mod run;

use super::world;

pub(crate) use self::judge::{Fault, Rule, judge};
pub(crate) use self::peer::Wire;
pub(crate) use self::program::Program;
pub(crate) use self::run::{Outcome, run};

/// The programs that are to be run: from `SEED` on, so many as `PROGRAMS` says.
pub(crate) fn seeds(programs: u64) -> std::ops::Range<u64> {
    let number = |name, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => default,
    };
    let first = number("SEED", 1);
    let seeds = first..first + number("PROGRAMS", programs);
    println!("programs {} to {}", seeds.start, seeds.end - 1);
    seeds
}

/// A report of what a program has found: the program, what was called, and the faults.
pub(crate) fn report(outcome: &Outcome, faults: &[Fault]) -> String {
    let mut report = format!("{}", outcome.program);
    for record in outcome.receiver.iter().chain(&outcome.sender) {
        let result = match &record.result {
            Ok(()) => "Ok".to_owned(),
            Err(failure) => format!("{failure:?}"),
        };
        report += &format!(
            "{:>4} {:>9.3} to {:>9.3} ms, late {:.3}: {} -> {result}\n",
            record.began.order,
            record.began.time.as_secs_f64() * 1e3,
            record.ended.time.as_secs_f64() * 1e3,
            (record.ended.late - record.began.late).as_secs_f64() * 1e3,
            record.what,
        );
    }
    let peer = &outcome.peer;
    report += &format!("peer: {} messages sent, close {:?}, ended {:?}, then {:?}\n", peer.messages, peer.close, peer.ended, peer.end);
    faults.iter().for_each(|fault| report += &format!("FAULT {fault}\n"));
    report
}
