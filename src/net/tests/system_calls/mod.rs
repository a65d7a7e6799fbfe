//! Single faults everywhere: for each route to a server, each scenario, each kind of system call and every n, the n-th call fails in
//! each way in which it can; then two calls fail that a seed draws. See `net::system_calls::faults`.
//!
//! The calls fail in processes of their own, each of which does one thing after the other; the servers are in this process, and none of
//! their calls fails. `FAULT_RUNS` says how many runs there are in all, `FAULT_SEED` how the pairs are drawn. A run that went wrong
//! prints its `FAULT_PLAN`: with that in the environment the test repeats this run alone.

mod faulty;
mod scenarios;
mod servers;
mod verdict;

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use self::faulty::Tally;
use self::servers::Servers;

const TEST: &str = "net::tests::system_calls::whichever_system_calls_fail_a_connection_goes_on_or_says_why_it_ended";
/// Where the servers are, for a process whose calls fail.
const SERVERS: &str = "FAULT_SERVERS";
/// Which of how many such processes it is.
const SHARE: &str = "FAULT_SHARE";
const RUNS: &str = "FAULT_RUNS";
const SEED: &str = "FAULT_SEED";
const PLAN: &str = "FAULT_PLAN";

/// What plain `cargo test` does.
const SHORT: usize = 600;
const PROCESSES: usize = 6;

#[test]
fn whichever_system_calls_fail_a_connection_goes_on_or_says_why_it_ended() {
    if let Ok(servers) = env::var(SERVERS) {
        return faulty::process(&servers);
    }
    let runs: usize = env::var(RUNS).map_or(SHORT, |runs| runs.parse().expect("a number of runs"));
    let seed = env::var(SEED).unwrap_or_else(|_| std::process::id().to_string());
    let (runs, processes) = if env::var(PLAN).is_ok() { (1, 1) } else { (runs, PROCESSES) };
    let start = Instant::now();
    let servers = Servers::start();
    let children: Vec<_> = (0..processes)
        .map(|index| {
            let child = begin(
                &servers,
                &[(SHARE, format!("{index} {processes}")), (RUNS, runs.to_string()), (SEED, seed.clone())],
            );
            thread::spawn(move || result(child))
        })
        .collect();
    let tallies: Vec<_> = children.into_iter().map(|child| child.join().unwrap()).collect();
    let failed: Vec<_> = tallies.iter().filter_map(|tally| tally.as_ref().err()).collect();
    assert!(failed.is_empty(), "{SEED}={seed}: {failed:#?}");
    let tally = tallies.into_iter().flatten().reduce(Tally::add).unwrap();
    println!("{tally}, {SEED}={seed}, {:?}", start.elapsed());
    assert_eq!(servers.left_open(), 0, "connections that nobody has ended");
    assert!(tally.runs >= runs, "{} of {runs} runs", tally.runs);
}

fn begin(servers: &Servers, variables: &[(&str, String)]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .envs(variables.iter().cloned())
        .env(SERVERS, servers.addresses())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a process says at its end, or else what went wrong. Its watchdog sees to it that there is an end.
fn result(mut child: Child) -> Result<Tally, String> {
    let (mut tally, mut problems) = (None, Vec::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        match line.strip_prefix(Tally::PREFIX) {
            Some(numbers) => tally = Some(Tally::parse(numbers)),
            None if line.contains(PLAN) || line.contains("panicked") => {
                eprintln!("{line}");
                problems.push(line);
            }
            None => {}
        }
    }
    let status = child.wait().unwrap();
    match tally {
        Some(tally) if status.success() && problems.is_empty() => Ok(tally),
        _ => Err(format!("{status}: {problems:#?}")),
    }
}
