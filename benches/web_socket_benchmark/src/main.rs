//! The work of the public web-socket-benchmark: a client sends 100,000 times "Hello, World!\n", a server echoes, the client receives,
//! all in memory and on one thread. It is done by this crate's whole `WebSocket` and by four others.
//!
//! ```text
//! cargo run --release                                    # the figures
//! cargo run --release -- --messages 1000 --rounds 3      # enough to see that it works
//! ```
//!
//! A round is done by each of them in turn, so that what disturbs the machine disturbs them all; the first round warms up and does
//! not count. A line has the median of each part, and the minimum and the median of the sum, for all messages of a round.

mod contenders;
mod pipe;

use std::env;
use std::error::Error;
use std::time::Duration;

use crate::contenders::{CONTENDERS, Contender, MESSAGE, Round, Writes};

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { messages, rounds } = Arguments::of_this_run()?;
    let mut all: Vec<Vec<Round>> = CONTENDERS.iter().map(|_| Vec::new()).collect();
    for number in 0..=rounds {
        for (contender, done) in CONTENDERS.iter().zip(&mut all) {
            let round = (contender.run)(messages)?;
            if number > 0 {
                done.push(round);
            }
        }
    }
    println!(
        "{messages} messages of {} bytes, {rounds} rounds; ms, medians and, of the sum, the minimum\n",
        MESSAGE.len()
    );
    println!(
        "{:<26} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "", "writes", "send", "echo", "receive", "minimum", "median"
    );
    for (contender, done) in CONTENDERS.iter().zip(&all) {
        print_line(contender, done);
    }
    Ok(())
}

fn print_line(contender: &Contender, rounds: &[Round]) {
    let sorted = |part: fn(&Round) -> Duration| {
        let mut all: Vec<_> = rounds.iter().map(part).collect();
        all.sort_unstable();
        all
    };
    let middle = |part| millis(sorted(part)[rounds.len() / 2]);
    let total = sorted(|round| round.total());
    println!(
        "{:<26} {:<9} {:>8} {:>8} {:>8} {:>8} {:>8}",
        format!("{} {}", contender.package, version(contender.package)),
        match contender.writes {
            Writes::Each => "each",
            Writes::Gathered => "gathered",
        },
        middle(|round| round.send),
        middle(|round| round.echo),
        middle(|round| round.recv),
        millis(total[0]),
        millis(total[total.len() / 2]),
    );
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1e3)
}

/// The version that this program was built with.
fn version(package: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.expect("Cargo.lock has all packages of this program")
}

struct Arguments {
    messages: usize,
    rounds: usize,
}

impl Arguments {
    fn of_this_run() -> Result<Self, Box<dyn Error>> {
        let mut arguments = Self { messages: 100_000, rounds: 15 };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let number = words.next().ok_or_else(|| format!("{word} wants a number"))?.parse::<usize>()?.max(1);
            match &*word {
                "--messages" => arguments.messages = number,
                "--rounds" => arguments.rounds = number,
                _ => return Err(format!("--messages or --rounds, not {word}").into()),
            }
        }
        Ok(arguments)
    }
}
