//! This crate's client beside tungstenite's: the same work, the same server, one run, in turns.
//!
//! ```text
//! cargo bench -p websocket-sync-tungstenite --bench comparison             # all of it
//! cargo bench -p websocket-sync-tungstenite --bench comparison -- recv     # what has "recv" in its name
//! cargo bench -p websocket-sync-tungstenite --bench comparison -- --quick  # shorter: enough to see that it works
//! ```
//!
//! A line says what a message costs each of the two, and the ratio: the median of the ratios of the single rounds,
//! with the quartiles. `cpu` is the time of the client's thread on the processor, `wall` is the time that the user
//! waits. The target is from the project's plan. The floor is the ratio of a client that reads, hops from header to
//! header, writes, and does nothing else: measured in this run, and in brackets what it was when the targets were
//! set, on another machine. The last column is the ratio by the other clock.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod authority;
mod clients;
mod cores;
mod exchanging;
mod receiving;
mod sending;
mod server;
mod stage;
mod system_calls;

use std::env;
use std::process::ExitCode;

use websocket_sync_tungstenite::rounds::{Clock, Outcome, Plan};

use crate::cores::{Cores, stay_on};
use crate::exchanging::{connections, echo};
use crate::receiving::Receive::{Borrowed, Owned};
use crate::receiving::{binary, bursts, fragments, greek, singles, text};
use crate::sending::{batched, large, one_by_one};
use crate::server::Speech::Plain;
use crate::stage::Stage;

/// A line of the table.
struct Workload {
    name: &'static str,
    clock: Clock,
    run: fn(&Stage) -> Outcome,
    /// What the project wants the ratio to be, where it wants something.
    target: Option<f64>,
    /// The floor when the target was set.
    floor: Option<f64>,
}

const fn cpu(name: &'static str, run: fn(&Stage) -> Outcome) -> Workload {
    Workload { name, clock: Clock::Cpu, run, target: None, floor: None }
}

const fn wall(name: &'static str, run: fn(&Stage) -> Outcome) -> Workload {
    Workload { name, clock: Clock::Wall, run, target: None, floor: None }
}

impl Workload {
    const fn target(self, ratio: f64) -> Self {
        Self { target: Some(ratio), ..self }
    }

    const fn floor(self, ratio: f64) -> Self {
        Self { floor: Some(ratio), ..self }
    }
}

const MIB: usize = 1 << 20;

/// What is compared. The last number in each is that of the messages of a round.
const WORKLOADS: &[Workload] = &[
    cpu("recv_ref text 16 B", |s| bursts(s, Plain, Borrowed, &text(16), 400_000)).target(0.40).floor(0.37),
    cpu("recv_ref text 64 B", |s| bursts(s, Plain, Borrowed, &text(64), 400_000)).target(0.40).floor(0.17),
    cpu("recv_ref text 256 B", |s| bursts(s, Plain, Borrowed, &text(256), 200_000)).target(0.50).floor(0.46),
    cpu("recv_ref Greek 256 B", |s| bursts(s, Plain, Borrowed, &greek(256), 200_000)).target(0.25).floor(0.15),
    cpu("recv_ref fragments 8 x 64 B", |s| bursts(s, Plain, Borrowed, &fragments(8, 64), 50_000)).target(0.50),
    cpu("recv_ref text 1 KiB", |s| bursts(s, Plain, Borrowed, &text(1024), 100_000)),
    cpu("recv_ref binary 4 KiB", |s| bursts(s, Plain, Borrowed, &binary(4096), 30_000)).target(0.80).floor(0.70),
    cpu("recv_ref binary 1 MiB", |s| bursts(s, Plain, Borrowed, &binary(MIB), 200)).target(0.85).floor(0.80),
    cpu("recv text 64 B", |s| bursts(s, Plain, Owned, &text(64), 400_000)).target(0.65),
    cpu("send text 64 B", |s| one_by_one(s, Plain, 64, 40_000)).target(0.88).floor(0.83),
    cpu("send text 4 KiB", |s| one_by_one(s, Plain, 4096, 20_000)),
    cpu("send batches of 500 x 64 B", |s| batched(s, 64, 400_000)).target(0.55).floor(0.51),
    cpu("send binary 16 MiB", |s| large(s, 16 * MIB, 8)).target(0.92),
    wall("echo binary 1 MiB", |s| echo(s, MIB, 100, s.server_core())).target(0.75).floor(0.70),
    wall("round trip 64 B on one core", |s| echo(s, 64, 8_000, s.client_core())).target(0.85).floor(0.82),
    cpu("tls recv_ref text 64 B", |s| bursts(s, s.tls(), Borrowed, &text(64), 400_000)).target(0.60),
    cpu("tls recv_ref records of 100 B", |s| singles(s, s.tls(), Borrowed, &text(100), 40_000)).target(0.35),
    cpu("tls recv_ref binary 1 MiB", |s| bursts(s, s.tls(), Borrowed, &binary(MIB), 100)).target(0.70),
    cpu("tls send text 64 B", |s| one_by_one(s, s.tls(), 64, 20_000)).target(0.75),
    cpu("tls connect", |s| connections(s, s.tls(), 20)).target(0.50),
    cpu("connect", |s| connections(s, Plain, 100)),
];

fn main() -> ExitCode {
    authority::with_authority(|acceptor| {
        let arguments = Arguments::of_this_run();
        let cores = Cores::find();
        if let Some(cores) = cores {
            stay_on(cores.client);
        }
        let stage = Stage { plan: arguments.plan, cores, acceptor };
        print_head(&stage);
        for workload in WORKLOADS.iter().filter(|workload| arguments.want(workload.name)) {
            print_line(workload, &(workload.run)(&stage));
        }
        for (name, speech) in [("system calls text 64 B", Plain), ("tls system calls text 64 B", stage.tls())] {
            if arguments.want(name) {
                print_system_calls(name, system_calls::count(&stage, speech, 20));
            }
        }
        ExitCode::SUCCESS
    })
}

struct Arguments {
    plan: Plan,
    /// What a name has to hold one of.
    parts: Vec<String>,
}

impl Arguments {
    /// `cargo bench` adds `--bench`. Without it, this is `cargo test --benches`, which wants to know whether it works.
    fn of_this_run() -> Self {
        let (flags, parts): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|argument| argument.starts_with("--"));
        let quick = !flags.iter().any(|flag| flag == "--bench") || flags.iter().any(|flag| flag == "--quick");
        Self { plan: if quick { Plan::QUICK } else { Plan::FULL }, parts }
    }

    fn want(&self, name: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| name.contains(part))
    }
}

fn print_head(stage: &Stage) {
    match stage.cores {
        Some(cores) => println!(
            "{} rounds; clients on core {}, server on core {}\n",
            stage.plan.rounds, cores.client, cores.server
        ),
        None => println!("{} rounds; threads run where they like\n", stage.plan.rounds),
    }
    println!(
        "{:<29} {:>4} {:>9} {:>11} {:>6} {:>13} {:>6} {:>6} {:>6} {:>6}",
        "", "", "ours", "tungstenite", "ratio", "quartiles", "target", "floor", "[then]", "other"
    );
}

fn print_line(workload: &Workload, outcome: &Outcome) {
    let [low, ratio, high] = outcome.ratio;
    let missed = workload.target.is_some_and(|target| ratio > target);
    println!(
        "{:<29} {:>4} {:>9} {:>11} {ratio:>6.2} {:>13} {:>6} {:>6} {:>6} {:>6.2}{}",
        workload.name,
        workload.clock,
        time(outcome.ours),
        time(outcome.theirs),
        format!("{low:.2} - {high:.2}"),
        optional(workload.target),
        optional(outcome.floor),
        workload.floor.map_or_else(String::new, |floor| format!("[{floor:.2}]")),
        outcome.other,
        if missed { "  missed" } else { "" },
    );
}

/// What a message may take of them.
const MOST_SYSTEM_CALLS: f64 = 0.01;

fn print_system_calls(name: &str, (ours, theirs): (f64, f64)) {
    let missed = ours > MOST_SYSTEM_CALLS;
    println!(
        "{name:<29} {:>4} {ours:>9.5} {theirs:>11.5} {:>6} {:>13} {MOST_SYSTEM_CALLS:>6}{}",
        "",
        "",
        "",
        if missed { "  missed" } else { "" },
    );
}

fn optional(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"))
}

fn time(nanos: f64) -> String {
    match nanos {
        ..1e4 => format!("{nanos:.1} ns"),
        ..1e7 => format!("{:.1} us", nanos / 1e3),
        _ => format!("{:.1} ms", nanos / 1e6),
    }
}
