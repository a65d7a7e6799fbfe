//! Starts the program, and hears what it has to say.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How long it may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);

/// What it said, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program with these arguments, and without anything of the environment that it listens to.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsdump"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy", "no_proxy", "NO_COLOR"] {
        command.env_remove(variable).env_remove(variable.to_uppercase());
    }
    command
}

/// Runs it without any input.
#[track_caller]
pub(crate) fn wsdump(arguments: &[&str]) -> Said {
    wait(command(arguments).spawn().unwrap())
}

/// Runs it with this input, which then ends.
#[track_caller]
pub(crate) fn wsdump_with(input: impl Into<Vec<u8>>, arguments: &[&str]) -> Said {
    let input = input.into();
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It may have ended before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let said = wait(child);
    writer.join().unwrap();
    said
}

/// Waits for its end.
#[track_caller]
pub(crate) fn wait(mut child: Child) -> Said {
    drop(child.stdin.take());
    end_of(child)
}

/// Waits for its end, with its input left open.
#[track_caller]
pub(crate) fn end_of(mut child: Child) -> Said {
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let (done, ended) = mpsc::channel::<()>();
    let id = child.id();
    let watch = thread::spawn(move || {
        if ended.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            kill(id);
        }
    });
    let status = child.wait().unwrap();
    drop(done);
    watch.join().unwrap();
    Said { code: status.code().unwrap_or(-1), out: out.join().unwrap(), err: err.join().unwrap() }
}

/// Ends one that hangs, so that the test fails and does not hang.
fn kill(id: u32) {
    let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
}

/// Asks it to end, as the system and Ctrl-C do.
#[cfg(unix)]
pub(crate) fn interrupt(child: &Child) {
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
}

fn collect(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut stream) = stream {
            stream.read_to_end(&mut all).unwrap();
        }
        String::from_utf8(all).unwrap_or_else(|error| format!("not UTF-8: {:?}", error.into_bytes()))
    })
}

/// One that runs, and is talked to.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn new(arguments: &[&str]) -> Self {
        let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { stdin: child.stdin.take(), child, stdout }
    }

    pub(crate) fn say(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// The next line that it puts out.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end_matches('\n').to_owned()
    }

    pub(crate) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for its end; `out` is what was not heard yet.
    #[track_caller]
    pub(crate) fn end(self) -> Said {
        let Self { child, stdin, mut stdout } = self;
        let rest = thread::spawn(move || {
            let mut rest = String::new();
            stdout.read_to_string(&mut rest).unwrap();
            rest
        });
        let said = end_of(child);
        drop(stdin);
        Said { out: rest.join().unwrap(), ..said }
    }
}
