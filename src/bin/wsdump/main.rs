//! `wsdump`: talks to a WebSocket server from a shell, as that of Python's websocket-client does, and does what operators
//! have asked such programs for. It uses the public interface of the crate and nothing else.
//!
//! | | |
//! |---|---|
//! | `arguments`, `connect` | what is asked for, and the options that this comes to |
//! | `session`, `events` | a dialogue: what comes is shown |
//! | `input`, `prompt`, `command` | what is sent: lines, bytes, a prompt |
//! | `line`, `json`, `hex`, `repr`, `unpack`, `escape` | what comes, as a line |
//! | `console`, `output`, `progress`, `trace` | where it is shown |
//! | `record`, `replay`, `listen`, `bench`, `documents` | what else it does |
//! | `exit`, `failure`, `signals` | how it ends |

mod arguments;
mod bench;
mod command;
mod connect;
mod console;
mod documents;
mod escape;
mod events;
mod exit;
mod failure;
mod hex;
mod input;
mod json;
mod line;
mod listen;
mod output;
mod pings;
mod progress;
mod prompt;
mod record;
mod replay;
mod repr;
mod session;
mod signals;
mod terminal;
mod trace;
mod unpack;

use std::process::ExitCode;
use std::time::Instant;

use crate::arguments::Arguments;
use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = Arguments::from_command_line();
    let console = match Console::new(&arguments, began) {
        Ok(console) => console,
        Err(failure) => return failure.report(&mut std::io::stderr()).into(),
    };
    if arguments.verbose > 1 {
        trace::start(&console);
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
        return listen::serve(address, arguments, console);
    }
    match arguments.bench {
        Some(how) => bench::measure(how, arguments, console),
        None => session::talk(arguments, console),
    }
}
