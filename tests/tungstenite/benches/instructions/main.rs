//! How many instructions a message takes, in memory, without a system: a figure that does not depend on who else is using
//! the machine.
//!
//! ```text
//! cargo bench -p websocket-sync-tungstenite --bench instructions          # all of it
//! cargo bench -p websocket-sync-tungstenite --bench instructions -- read  # what has "read" in its name
//! ```
//!
//! It runs itself under valgrind's callgrind, with few messages and with many; the difference is what the messages took.
//! `core` is this crate's `Inbound` or `Outbound`, `driver` a `WebSocket` over a transport that lies in memory, beside
//! tungstenite's `WebSocket` over a stream that does.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod contenders;
mod tape;

use std::env;
use std::process::{Command, ExitCode, Stdio};

use websocket_sync::protocol::{Frame, Opcode};

use crate::contenders::Contender;

/// Messages of a short and of a long run.
const FEW: usize = 2_000;
const MANY: usize = 12_000;

/// A processor copies large blocks with a single instruction, of which valgrind counts each byte as one. glibc can be told to do
/// without it.
const COPY_IN_WORDS: (&str, &str) =
    ("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824");

/// The flag for a run that is counted.
const COUNTED: &str = "--counted";

/// A line of the table.
struct Workload {
    name: &'static str,
    direction: Direction,
    /// The frames of a message.
    message: fn() -> Vec<Frame>,
    /// What the project wants of the core at most.
    target: Option<u64>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Read,
    Write,
}

const WORKLOADS: &[Workload] = &[
    read("read text 16 B", || text(16)),
    Workload { target: Some(110), ..read("read text 64 B", || text(64)) },
    read("read text 125 B", || text(125)),
    read("read text 256 B", || text(256)),
    read("read Greek 256 B", || vec![Frame::new(Opcode::Text, "\u{3bb}".repeat(128))]),
    read("read text 4 KiB", || text(4096)),
    read("read fragments 8 x 64 B", || fragments(8, 64)),
    write("write text 64 B", || text(64)),
    write("write text 256 B", || text(256)),
    write("write text 4 KiB", || text(4096)),
];

const fn read(name: &'static str, message: fn() -> Vec<Frame>) -> Workload {
    Workload { name, direction: Direction::Read, message, target: None }
}

const fn write(name: &'static str, message: fn() -> Vec<Frame>) -> Workload {
    Workload { name, direction: Direction::Write, message, target: None }
}

fn text(length: usize) -> Vec<Frame> {
    vec![Frame::new(Opcode::Text, vec![b'x'; length])]
}

fn fragments(number: usize, length: usize) -> Vec<Frame> {
    let mut frames = vec![Frame::new(Opcode::Text, vec![b'x'; length]).fragment()];
    frames.resize(number - 1, Frame::new(Opcode::Continuation, vec![b'x'; length]).fragment());
    frames.push(Frame::new(Opcode::Continuation, vec![b'x'; length]));
    frames
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [flag, name, contender, messages] = arguments.as_slice()
        && flag == COUNTED
    {
        let workload = WORKLOADS.iter().find(|workload| workload.name == name).unwrap();
        Contender::named(contender).run(workload.direction, &(workload.message)(), messages.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    if !has_valgrind() {
        println!("valgrind is not there: no instructions are counted");
        return ExitCode::SUCCESS;
    }
    let parts: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with("--")).collect();
    println!(
        "{:<25} {:>8} {:>8} {:>11} {:>6} {:>7}",
        "instructions", "core", "driver", "tungstenite", "ratio", "target"
    );
    for workload in WORKLOADS {
        if parts.is_empty() || parts.iter().any(|part| workload.name.contains(part.as_str())) {
            print_line(workload);
        }
    }
    ExitCode::SUCCESS
}

fn print_line(workload: &Workload) {
    let [core, driver, theirs] = Contender::ALL.map(|contender| per_message(workload, contender));
    let missed = workload.target.is_some_and(|target| core > target);
    println!(
        "{:<25} {core:>8} {driver:>8} {theirs:>11} {:>6.2} {:>7}{}",
        workload.name,
        core as f64 / theirs as f64,
        workload.target.map_or_else(String::new, |target| target.to_string()),
        if missed { "  missed" } else { "" },
    );
}

fn per_message(workload: &Workload, contender: Contender) -> u64 {
    let [few, many] = [FEW, MANY].map(|messages| count(workload, contender, messages));
    (many - few) / (MANY - FEW) as u64
}

/// Has a run counted, which says how many instructions it was at the end of what valgrind says.
fn count(workload: &Workload, contender: Contender, messages: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .env(COPY_IN_WORDS.0, COPY_IN_WORDS.1)
        .arg(env::current_exe().unwrap())
        .args([COUNTED, workload.name, contender.name(), &messages.to_string()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    match collected {
        Some((_, number)) if output.status.success() => number.trim().parse().unwrap(),
        _ => panic!("{said}"),
    }
}

fn has_valgrind() -> bool {
    Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}
