//! Load that is held: many connections of one process to a server with random faults (resets, half closes, silence, frames that are cut,
//! bursts, slow readers, restarts), for minutes. Every message is delivered once and in order, or its sender or its receiver is told that
//! the connection has ended; at the end nothing is left of descriptors, threads and memory.
//!
//! ```text
//! cargo test --release --all-features --test held_load -- --ignored --nocapture   # 10,000 connections, 10 minutes
//! HELD_LOAD_CONNECTIONS=2000 HELD_LOAD_SECONDS=60 HELD_LOAD_SEED=7 cargo test ... # other values; the seed is printed
//! ```
//!
//! The apps run on one loop (feature `mio`), without the feature on a thread each. The server is a process of its own, so that what is
//! left can be counted. It reads and writes frames without the crate. Both sides note of each connection what they have sent and received
//! and how it ended; `accounts` compares the two.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod clients;
mod message;
mod pace;
mod server;
mod server_process;

use std::alloc::System;
use std::env;
use std::time::{Duration, Instant, SystemTime};

use cap::Cap;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use support::{bounded, descriptors_and_threads, settled_descriptors_and_threads};

use crate::clients::Clients;
use crate::pace::Pace;
use crate::server_process::ServerProcess;

#[global_allocator]
static HEAP: Cap<System> = Cap::new(System, usize::MAX);

/// What the heap may have grown by when all is closed, in bytes, however many connections there were: the standard library and the
/// harness keep a little.
const HEAP_GROWTH: usize = 1024;
/// Set for the server: its seed, and how long the faults go on.
const SERVES: &str = "HELD_LOAD_SERVES";

#[derive(Clone, Copy, Debug)]
struct Plan {
    connections: usize,
    seconds: u64,
    seed: u64,
}

#[test]
fn a_hundred_connections_for_three_seconds() {
    let plan = Plan { connections: 100, seconds: 3, seed: number("HELD_LOAD_SEED").unwrap_or_else(any_seed) };
    bounded(180, move || run(plan));
}

#[ignore = "ten minutes"]
#[test]
fn ten_thousand_connections_for_ten_minutes() {
    let plan = Plan {
        connections: usize::try_from(number("HELD_LOAD_CONNECTIONS").unwrap_or(10_000)).unwrap(),
        seconds: number("HELD_LOAD_SECONDS").unwrap_or(600),
        seed: number("HELD_LOAD_SEED").unwrap_or_else(any_seed),
    };
    bounded(plan.seconds + 600, move || run(plan));
}

#[ignore = "the server of the other tests, in a process of its own"]
#[test]
fn serves() {
    let Ok(plan) = env::var(SERVES) else { return };
    allow_many_sockets();
    let (seed, seconds) = plan.split_once(' ').unwrap();
    server::serve(seed.parse().unwrap(), Pace::of(seconds.parse().unwrap()));
}

fn run(plan: Plan) {
    println!("{plan:?}");
    allow_many_sockets();
    let pace = Pace::of(plan.seconds);
    // What is made once for the process, and kept, is made by these.
    held(Plan { connections: 2, seconds: 0, ..plan }, pace);
    let (before, heap_before) = (settled_descriptors_and_threads(), HEAP.allocated());
    held(plan, pace);
    let after = settled_descriptors_and_threads();
    let heap = HEAP.allocated().saturating_sub(heap_before);
    let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    println!("{cpu:?} on the processor, the server not included");
    println!("left: {heap} bytes of heap; descriptors and threads {after:?}, {before:?} before");
    assert_eq!(descriptors_and_threads(), before);
    assert!(heap <= HEAP_GROWTH, "{heap} bytes are left");
}

/// One run with a server of its own; all that it made is dropped when it returns.
fn held(plan: Plan, pace: Pace) {
    let mut server = ServerProcess::start(plan.seed, plan.seconds);
    let start = Instant::now();
    let clients = Clients::start(plan.connections, server.port(), pace, plan.seed);
    clients.wait_all_open(Duration::from_secs(300));
    println!("all {} are open after {:?}", plan.connections, start.elapsed());
    if plan.seconds > 0 {
        server.tell("faults");
        let end = Instant::now() + Duration::from_secs(plan.seconds);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_secs(1).min(end.saturating_duration_since(Instant::now())));
            clients.assert_running();
        }
        server.tell("calm");
        clients.wait_all_open(pace.recovery());
        println!("the faults are over, and all are open again after {:?}", end.elapsed());
    }
    clients.stop_sending();
    server.tell("hush");
    server.wait_settled(&clients, Duration::from_secs(60));
    let (connections, lag) = clients.close();
    accounts::compare(&connections, &server.finish(), pace.longest_silence(lag));
}

fn allow_many_sockets() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|value| value.parse().unwrap())
}

fn any_seed() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}
