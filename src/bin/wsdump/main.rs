//! `wsdump`: talks to a WebSocket server from a shell, as that of Python's websocket-client does, and does what operators
//! have asked such programs for. It uses the public interface of the crate and nothing else.
//!
//! | | |
//! |---|---|
//! | `arguments`, `documents` | the command line; help, man page and completions |
//! | `connect` | the options of a connection that the command line comes to |
//! | `session` | a dialogue with a server |
//! | `input`, `prompt` | what is sent: lines, bytes, files, what is typed |
//! | `console`, `output`, `format`, `json` | what comes, printed |
//! | `server`, `listener`, `proxy` | `--listen`, `--proxy-to` |
//! | `recording`, `bench` | `--record` and `--replay`, `--bench` |
//! | `ending` | exit codes, errors in words, signals |

mod arguments;
mod bench;
mod connect;
mod console;
mod documents;
mod ending;
mod format;
mod input;
mod json;
mod listener;
mod output;
mod prompt;
mod proxy;
mod recording;
mod server;
mod session;

use std::process::ExitCode;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::ending::{Exit, Failure};

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = Arguments::from_command_line();
    let console = match Console::new(&arguments, began) {
        Ok(console) => console,
        Err(failure) => return failure.report(&mut std::io::stderr()).into(),
    };
    if arguments.verbose > 1 {
        console::start_trace(&console);
    }
    let exit = match run(&arguments, &console) {
        Ok(exit) => exit,
        Err(failure) => console.report(&failure),
    };
    console.finish();
    exit.into()
}

/// Does what is asked for.
fn run(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    if let Some(shell) = arguments.completions {
        return documents::print(documents::completions(shell));
    }
    if arguments.man {
        return documents::print(documents::man_page()?);
    }
    if let Some(address) = &arguments.listen {
        return server::serve(address, arguments, console);
    }
    match arguments.bench {
        Some(how) => bench::measure(how, arguments, console),
        None => session::run_session(arguments, console),
    }
}
