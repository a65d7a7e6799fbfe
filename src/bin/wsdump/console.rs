//! Where things are printed, for all threads: messages on standard output, notes on standard error, both above the prompt
//! while there is one.

use std::cell::Cell;
use std::env;
use std::fmt::{Arguments as Words, Display};
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustyline::ExternalPrinter;
use websocket_sync::{CloseCause, CloseCode, Closed, Error, Opcode, Timings, TraceRecord, WebSocket, enable_trace};

use crate::arguments::Arguments;
use crate::ending::{Exit, Failure, HintContext, describe};
use crate::format::{Audience, Format, escape, escape_line};
use crate::json::{self, TokenColours};
use crate::output::{Output, Progress, leave_prompt};
use crate::recording::Side;

/// Where things are shown. Clones are the same console.
#[derive(Clone)]
pub(crate) struct Console(Arc<ConsoleState>);

struct ConsoleState {
    began: Instant,
    style: Style,
    format: Format,
    /// Of messages.
    colour: Colour,
    /// Of what went wrong.
    failure_colour: Colour,
    notes: Notes,
    hints: HintContext,
    has_prompt: bool,
    /// Whether the user wants to leave, and see no more messages.
    discards: AtomicBool,
    screen: Mutex<Screen>,
}

struct Screen {
    output: Output,
    /// How much has come, where it goes to a file.
    progress: Option<Progress>,
    prompt: PromptLine,
}

/// Whether there is a prompt.
enum PromptLine {
    None,
    /// This shows lines above it.
    Shown(Box<dyn ExternalPrinter + Send>),
    /// The program ends: none is shown any more.
    Over,
}

/// What comes: a blue that can be read on black and on white.
const BLUE: &str = "\x1b[38;5;33m";
/// What went wrong.
const RED: &str = "\x1b[31m";
const DEFAULT: &str = "\x1b[39m";

thread_local! {
    /// Whether the editor of the prompt runs on this thread.
    static IS_EDITOR_THREAD: Cell<bool> = const { Cell::new(false) };
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Style {
    /// A line.
    Plain,
    /// A line that begins like Python's at a prompt.
    Marked,
    /// A JSON object on a line.
    Json,
    /// Its payload, and nothing else.
    Payload,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Colour {
    Shown,
    None,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Notes {
    Shown,
    Silent,
}

impl Console {
    /// The console that the arguments ask for.
    ///
    /// # Errors
    ///
    /// When the file of `--output` cannot be made.
    pub(crate) fn new(arguments: &Arguments, began: Instant) -> Result<Self, Failure> {
        let is_terminal = io::stdout().is_terminal();
        let output = match &arguments.output {
            Some(path) => Output::file(path).map_err(|error| Failure::local(path.display(), error))?,
            None => Output::standard(),
        };
        let progress = arguments.output.is_some().then(|| Progress::new(None));
        let style = if arguments.output.is_some() || (arguments.binary && (arguments.raw || !is_terminal)) {
            Style::Payload
        } else if arguments.json {
            Style::Json
        } else if arguments.raw || !is_terminal {
            Style::Plain
        } else {
            Style::Marked
        };
        let is_coloured = is_terminal && wants_colours();
        let format = Format {
            kinds: arguments.verbose > 0,
            times: arguments.timings,
            hex: arguments.hex,
            audience: if is_terminal && !arguments.raw { Audience::Terminal } else { Audience::Program },
            pretty: arguments.pretty.then_some(if is_coloured { TokenColours::Shown } else { TokenColours::None }),
        };
        let is_quiet = (arguments.raw || arguments.json) && arguments.verbose == 0;
        Ok(Self(Arc::new(ConsoleState {
            began,
            style,
            format,
            colour: if is_coloured { Colour::Shown } else { Colour::None },
            failure_colour: if io::stderr().is_terminal() && wants_colours() { Colour::Shown } else { Colour::None },
            notes: if is_quiet { Notes::Silent } else { Notes::Shown },
            hints: HintContext::new(arguments),
            has_prompt: !arguments.raw,
            discards: AtomicBool::new(false),
            screen: Mutex::new(Screen { output, progress, prompt: PromptLine::None }),
        })))
    }

    /// Shows a message of one of several clients: at a prompt, with its number.
    pub(crate) fn frame_from(&self, client: u64, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        if self.0.style != Style::Marked {
            return self.frame(opcode, payload);
        }
        let line = self.0.format.line(opcode, payload, self.0.began.elapsed());
        self.print(self.mark(&format!("{client}: {line}")))
    }

    /// Shows a message that passes from a client to a server, or back.
    pub(crate) fn passed(&self, client: u64, from: Side, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        if self.0.style == Style::Json {
            return self.print(json::passed(client, from, opcode, payload, self.at()));
        }
        let line = self.0.format.line(opcode, payload, self.0.began.elapsed());
        let (arrow, colour) = match from {
            Side::Client => ('>', Colour::None),
            Side::Server => ('<', self.0.colour),
        };
        match colour {
            Colour::Shown => self.print(format!("{BLUE}{client} {arrow} {line}{DEFAULT}")),
            Colour::None => self.print(format!("{client} {arrow} {line}")),
        }
    }

    /// Shows a message or a control frame.
    pub(crate) fn frame(&self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        if self.0.discards.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.0.style {
            Style::Payload if opcode.is_control() => {
                if self.0.format.kinds {
                    self.print_note(escape_line(&self.0.format.line(opcode, payload, self.0.began.elapsed())));
                }
                Ok(())
            }
            Style::Payload => self.payload(payload),
            // They are no messages, and whoever reads a pipe has no use for them.
            Style::Plain if opcode.is_control() && !self.0.format.kinds => Ok(()),
            Style::Json => self.print(json::frame(opcode, payload, None, self.at())),
            Style::Plain | Style::Marked => {
                let line = self.0.format.line(opcode, payload, self.0.began.elapsed());
                self.print(self.mark(&line))
            }
        }
    }

    /// Writes a payload as it is, and shows how much there is by now.
    fn payload(&self, payload: &[u8]) -> io::Result<()> {
        let mut screen = self.screen();
        let Screen { output, progress, prompt } = &mut *screen;
        match (progress, &prompt) {
            (Some(progress), PromptLine::None | PromptLine::Over) => progress.advance(payload.len()),
            (Some(progress), PromptLine::Shown(_)) => {
                if let Some(said) = progress.advance_in_words(payload.len()) {
                    prompt.print_above(&said);
                }
            }
            (None, _) => {}
        }
        output.bytes_until(payload, &self.0.discards)
    }

    /// Shows a pong, and how long it took if it is an answer.
    pub(crate) fn pong(&self, payload: &[u8], round_trip: Option<Duration>, origin: PingOrigin) -> io::Result<()> {
        let seconds = round_trip.map(|time| time.as_secs_f64());
        if self.0.style == Style::Json {
            return self.print(json::frame(Opcode::Pong, payload, seconds, self.at()));
        }
        match origin {
            PingOrigin::Keepalive => {}
            PingOrigin::User => self.frame(Opcode::Pong, payload)?,
        }
        if let Some(seconds) = seconds {
            self.print_note(format_args!("Round trip: {:.3} ms", seconds * 1000.0));
        }
        Ok(())
    }

    /// Shows that a connection is open, and where redirects led.
    pub(crate) fn opened(&self, ws: &WebSocket) -> io::Result<()> {
        for url in ws.redirects() {
            self.print_note(format_args!("Redirected to {url}"));
        }
        if self.0.style == Style::Json {
            return self.print(json::opened(ws, self.at()));
        }
        let mut said = format!("Connected to {}", ws.url().unwrap_or("the server"));
        if let Some(subprotocol) = ws.subprotocol() {
            said += &format!(", subprotocol {subprotocol}");
        }
        if ws.deflate().is_some() {
            said += ", compressed";
        }
        self.print_note(said);
        Ok(())
    }

    /// Shows how long each phase of the opening took: with `-v 2`.
    pub(crate) fn opening(&self, ws: &WebSocket) {
        self.print_note(ws.timings().map(phases).unwrap_or_default());
    }

    /// Says how to leave: on a terminal beside the messages, which alone go to a pipe.
    pub(crate) fn greet(&self) -> io::Result<()> {
        const GREETING: &str = "Press Ctrl+C to quit";
        if self.0.style == Style::Marked {
            return self.print_words(format_args!("{GREETING}"));
        }
        self.print_note(GREETING);
        Ok(())
    }

    /// Shows the end of a connection as JSON.
    pub(crate) fn json_closed(&self, closed: &Closed) -> io::Result<()> {
        let reconnect = closed.reconnect.map(|delay| delay.as_secs_f64());
        self.print(json::closed(closed.code, &closed.reason, &closed.cause.to_string(), reconnect, self.at()))
    }

    /// Shows a failure as JSON, and in how long another attempt follows.
    pub(crate) fn json_error(&self, error: &Error, delay: Option<Duration>) -> io::Result<()> {
        self.print(json::error(&describe(error), delay.map(|delay| delay.as_secs_f64()), self.at()))
    }

    /// Shows how a connection ended that this side would have closed with a code.
    pub(crate) fn note_end(&self, closed: &Closed, ours: CloseCode) {
        match Exit::of_closed(closed, ours) {
            Exit::Success | Exit::Interrupted => self.print_note(describe_end(closed, ours)),
            _ => self.note_in_red(&describe_end(closed, ours)),
        }
    }

    /// Shows the peer's Close as a line: with `-v`.
    pub(crate) fn peer_closed(&self, closed: &Closed) -> io::Result<()> {
        if !self.0.format.kinds || !matches!(self.0.style, Style::Plain | Style::Marked) {
            return Ok(());
        }
        let gap = if closed.reason.is_empty() { "" } else { " " };
        let said = format!("{}{gap}{}", closed.code.0, closed.reason);
        self.frame(Opcode::Close, said.as_bytes())
    }

    /// Shows a failure that another attempt follows, and in how long unless `note_delay` says so later.
    pub(crate) fn note_failure(&self, error: &Error, delay: Option<Duration>) {
        self.note_in_red(&describe(error));
        if let Some(delay) = delay {
            self.note_delay(delay);
        }
    }

    /// Shows in how long the next attempt follows.
    pub(crate) fn note_delay(&self, delay: Duration) {
        self.print_note(format_args!("Connects again in {:.1} s", delay.as_secs_f64()));
    }

    /// Shows why the program ends with an error although the connection was closed, where no note has said so.
    pub(crate) fn explain(&self, closed: &Closed, ours: CloseCode) {
        match self.0.notes {
            Notes::Silent => self.print_in_red(&format!("wsdump: {}", escape(&describe_end(closed, ours)))),
            Notes::Shown => {}
        }
    }

    /// Shows what ends the program.
    pub(crate) fn report(&self, failure: &Failure) -> Exit {
        match failure {
            Failure::NobodyReads => {}
            Failure::WebSocket(error) => {
                self.print_in_red(&failure.to_string());
                if let Some(hint) = self.0.hints.hint(error) {
                    self.print_error_line(&format!("  {hint}"));
                }
            }
            failure => self.print_in_red(&failure.to_string()),
        }
        failure.exit()
    }

    /// Shows what went wrong and ends nothing.
    pub(crate) fn print_failure(&self, failure: &Failure) {
        self.print_in_red(&failure.to_string());
    }

    fn note_in_red(&self, words: &str) {
        match self.0.notes {
            Notes::Shown => self.print_in_red(&escape(words)),
            Notes::Silent => {}
        }
    }

    fn print_in_red(&self, words: &str) {
        match self.0.failure_colour {
            Colour::Shown => self.print_error_line(&format!("{RED}{words}{DEFAULT}")),
            Colour::None => self.print_error_line(words),
        }
    }

    /// Shows what is said to the user and is no message. It cannot do anything to a terminal.
    pub(crate) fn print_note(&self, words: impl Display) {
        match self.0.notes {
            Notes::Shown => self.print_error_line(&escape(&words.to_string())),
            Notes::Silent => {}
        }
    }

    /// Shows what a script may have to read, also where notes are silent.
    pub(crate) fn print_always(&self, words: impl Display) {
        self.print_error_line(&escape(&words.to_string()));
    }

    /// Shows a line of a prompt, of a server or of a measurement on standard output.
    pub(crate) fn print_words(&self, words: Words<'_>) -> io::Result<()> {
        self.print(words.to_string())
    }

    /// Whether there is a prompt, if standard input is a terminal.
    pub(crate) fn has_prompt(&self) -> bool {
        self.0.has_prompt
    }

    /// Shows no more messages, not even the rest of one that is being written.
    pub(crate) fn discard_messages(&self) {
        self.0.discards.store(true, Ordering::Relaxed);
    }

    /// Whether messages are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.0.style == Style::Json
    }

    /// Shows everything above a prompt from now on, unless the end has come: then there is none. To be called on the thread of its editor.
    pub(crate) fn attach(&self, printer: Box<dyn ExternalPrinter + Send>) -> Attached {
        let mut screen = self.screen();
        if let PromptLine::Over = screen.prompt {
            return Attached::No;
        }
        IS_EDITOR_THREAD.set(true);
        screen.prompt = PromptLine::Shown(printer);
        Attached::Yes
    }

    /// There is no prompt any more. To be called on the same thread.
    pub(crate) fn detach(&self) {
        IS_EDITOR_THREAD.set(false);
        let mut screen = self.screen();
        if let PromptLine::Shown(_) = screen.prompt {
            screen.prompt = PromptLine::None;
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn finish(&self) {
        let mut screen = self.screen();
        screen.progress = None;
        for _ in 0..2 {
            // One line may wait to be shown: it is when the one behind it has been taken, and this one shows nothing.
            screen.prompt.print_above("\x1b[1A");
        }
        if let PromptLine::Shown(_) = mem::replace(&mut screen.prompt, PromptLine::Over) {
            leave_prompt();
        }
    }

    /// Seconds since the start.
    fn at(&self) -> f64 {
        self.0.began.elapsed().as_secs_f64()
    }

    fn mark(&self, line: &str) -> String {
        match (self.0.style, self.0.colour) {
            (Style::Marked, Colour::Shown) => format!("{BLUE}< {line}{DEFAULT}"),
            (Style::Marked, Colour::None) => format!("< {line}"),
            _ => line.to_owned(),
        }
    }

    fn print(&self, line: String) -> io::Result<()> {
        let mut screen = self.screen();
        match screen.prompt.print_above(&line) {
            Printed::Yes => Ok(()),
            Printed::No => screen.output.line_until(line, &self.0.discards),
        }
    }

    fn print_error_line(&self, words: &str) {
        if IS_EDITOR_THREAD.get() {
            // The editor does not run now, and who holds the screen may be waiting for it.
            let _ = writeln!(io::stderr(), "{words}");
            return;
        }
        let mut screen = self.screen();
        if let Printed::No = screen.prompt.print_above(words) {
            // There is nowhere else to say that this failed.
            let _ = writeln!(io::stderr(), "{words}");
        }
    }

    fn screen(&self) -> MutexGuard<'_, Screen> {
        self.0.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a terminal is to have colours (no-color.org).
fn wants_colours() -> bool {
    let is_dumb = env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    !is_dumb && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How a connection ended. A code in answer to ours that is another one is the server's own: the two have crossed.
fn describe_end(closed: &Closed, ours: CloseCode) -> String {
    let gap = if closed.reason.is_empty() { "" } else { ": " };
    let by = match closed.cause {
        CloseCause::Local if closed.code != ours => "closed by both sides, the server with".to_owned(),
        cause => cause.to_string() + ":",
    };
    format!("connection is over, {by} {}{gap}{}", closed.code, escape_line(&closed.reason))
}

/// How long each phase of the opening took.
fn phases(timings: Timings) -> String {
    let phases = [
        ("name", timings.resolve),
        ("connection", timings.connect),
        ("proxy", timings.proxy),
        ("TLS", timings.tls),
        ("upgrade", timings.handshake),
    ];
    let known = phases.iter().filter_map(|(name, time)| Some(format!("{name} {:.3} ms", (*time)?.as_secs_f64() * 1e3)));
    known.collect::<Vec<_>>().join(", ")
}

/// Who sent the ping that a pong is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PingOrigin {
    /// The app, by itself.
    Keepalive,
    /// The user, or nobody.
    User,
}

/// Whether there is a prompt now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Attached {
    Yes,
    No,
}

enum Printed {
    Yes,
    No,
}

impl PromptLine {
    fn print_above(&mut self, line: &str) -> Printed {
        match self {
            Self::Shown(printer) => match printer.print(format!("{line}\n")) {
                Ok(()) => Printed::Yes,
                Err(_) => Printed::No,
            },
            Self::None | Self::Over => Printed::No,
        }
    }
}

/// Has heads and frames shown. The library leaves out what may be secret in them.
pub(crate) fn start_trace(console: &Console) {
    let console = console.clone();
    enable_trace(move |record: &TraceRecord<'_>| console.print_note(record));
}
