//! A model test: random programs of calls on a WebSocket, against a peer that follows a random script.
//!
//! Whoever includes this has a module `world` beside it, with the crate under test, a clock, threads and streams: `tests/model.rs`
//! runs programs over sockets in real time, `websocket::tests` in memory on a virtual clock. A program follows from its seed:
//! `SEED=17 PROGRAMS=1` repeats it.

mod calls;
mod chance;
mod findings;
mod frames;
mod judge;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod record;
mod run;

use super::world;

pub(crate) use self::findings::Findings;
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
