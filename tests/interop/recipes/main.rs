//! Recipes of docs/COOKBOOK.md, run against servers that others wrote.
//!
//! Each recipe is a file, whose text is that of the cookbook: tests/documents compares them. What is asked of the server is in
//! `checks` beside it.

#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

mod devtools;
mod graphql;
mod jupyter;
mod market_feed;
mod mqtt;
mod request_response;
mod socket_io;

use std::env;
use std::panic;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::Result;

/// A name, and a function that is given the URL of the server. It panics when something is not as it should be.
type Check = (&'static str, fn(&str) -> Result<()>);

/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(30);

const RECIPES: [(&str, &[Check]); 7] = [
    ("devtools", &devtools::checks::CHECKS),
    ("graphql", &graphql::checks::CHECKS),
    ("jupyter", &jupyter::checks::CHECKS),
    ("market_feed", &market_feed::checks::CHECKS),
    ("mqtt", &mqtt::checks::CHECKS),
    ("request_response", &request_response::checks::CHECKS),
    ("socket_io", &socket_io::checks::CHECKS),
];

const USAGE: &str = "usage: interop_recipes RECIPE URL";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (recipe, url) = (arguments.next().expect(USAGE), arguments.next().expect(USAGE));
    let (_, checks) = RECIPES.iter().find(|(name, _)| *name == recipe).expect("a recipe");
    for &(name, check) in *checks {
        let began = Instant::now();
        if let Err(failure) = run(check, &url) {
            eprintln!("FAILED {name}: {failure}");
            return ExitCode::FAILURE;
        }
        println!("ok {name}, {} ms", began.elapsed().as_millis());
    }
    println!("{} passed", checks.len());
    ExitCode::SUCCESS
}

/// Runs a check on a thread of its own, since it may wait for ever.
fn run(check: fn(&str) -> Result<()>, url: &str) -> std::result::Result<(), String> {
    let (outcome, finished) = mpsc::channel();
    let url = url.to_owned();
    thread::spawn(move || outcome.send(panic::catch_unwind(|| check(&url))));
    match finished.recv_timeout(LIMIT) {
        Ok(Ok(Ok(()))) => Ok(()),
        Ok(Ok(Err(error))) => Err(format!("{error:#}")),
        Ok(Err(_)) => Err("see the panic above".to_owned()),
        Err(_) => Err(format!("not done after {} s", LIMIT.as_secs())),
    }
}
