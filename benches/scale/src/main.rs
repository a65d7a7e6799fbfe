//! Thousands of connections in one process: `ManyApps` on one thread beside tokio-tungstenite on a current-thread runtime.
//!
//! ```text
//! cargo run --release                            # all of it, about 5 minutes
//! cargo run --release -- opening wss             # single measures: opening, dead, refused, unanswered, wss, apps-1000, apps-4000,
//!                                                # apps-19800, flood
//! cargo run --release -- --quick                 # one round: enough to see that it works
//! ```
//!
//! In a round each of the contenders does the same once, in a process of its own, so that nobody finds the memory of another; what
//! disturbs the machine disturbs them all. The server is one process for all of them, on another core. A line has the median of each, and
//! the ratio of ours to that of tokio-tungstenite as it comes: the median of the ratios of the single rounds, with the quartiles. The last
//! columns are for tokio-tungstenite with a read buffer of 4 KiB in place of 128 KiB, and the ratio to it. `cpu` is what the process of
//! the clients spends on the processor. Targets are from the project's plan: for a ratio, or for ours where they have a unit.
//!
//! Latency is from the moment at which the server writes a message to the callback. All apps of a measure have a keepalive of 30 s. Those
//! of `opening` and `wss` are opened at once, with at most 1,024 openings under way; `ManyApps` allows 128 of them for a host, and there
//! are 16 addresses. To close all, `Handle::close` is called for one app after the other, and of tokio-tungstenite each task is told at
//! once. It needs as many descriptors as connections, on both sides: `ulimit -Hn`.

mod child;
mod clients;
mod cores;
mod measures;
mod ours;
mod resources;
mod server;
mod table;
mod theirs;

use std::collections::HashMap;
use std::env;
use std::error::Error;

use crate::child::{ServerProcess, run_client};
use crate::clients::Contender;
use crate::cores::Cores;
use crate::measures::{MEASURES, Measure};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", core] => server::serve(core),
        ["client", core, contender, measure] => measures::run(core, contender.parse()?, measure),
        _ => compare(&words),
    }
}

fn compare(words: &[String]) -> Result<(), Failure> {
    let (flags, names): (Vec<&String>, Vec<&String>) = words.iter().partition(|word| word.starts_with("--"));
    if let Some(flag) = flags.iter().find(|flag| **flag != "--quick") {
        return Err(format!("--quick, or names of measures, not {flag}").into());
    }
    if let Some(name) = names.iter().find(|name| MEASURES.iter().all(|measure| measure.name != **name)) {
        let known: Vec<_> = MEASURES.iter().map(|measure| measure.name).collect();
        return Err(format!("no measure is called {name}: {}", known.join(", ")).into());
    }
    let cores = Cores::find();
    let descriptors = resources::allow_many_descriptors();
    let server = ServerProcess::start(cores)?;
    table::print_head(cores);
    for measure in MEASURES.iter().filter(|measure| names.is_empty() || names.contains(&&measure.name.to_owned())) {
        if measure.connections + 200 > descriptors {
            println!("{}: not with {descriptors} descriptors (ulimit -n)", measure.name);
            continue;
        }
        let rounds = if flags.is_empty() { measure.rounds } else { 1 };
        let figures = measured(measure, rounds, &server, cores)?;
        measure.lines.iter().for_each(|line| table::print_line(line, &figures));
    }
    Ok(())
}

/// What each contender has measured in each round, by the names of the figures.
type Figures = HashMap<(String, Contender), Vec<f64>>;

fn measured(
    measure: &Measure,
    rounds: usize,
    server: &ServerProcess,
    cores: Option<Cores>,
) -> Result<Figures, Failure> {
    let mut figures = Figures::new();
    for _ in 0..rounds {
        for contender in Contender::ALL {
            for (name, figure) in run_client(contender, measure.name, server, cores)? {
                figures.entry((name, contender)).or_default().push(figure);
            }
            server.wait_idle()?;
        }
    }
    Ok(figures)
}
