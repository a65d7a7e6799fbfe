//! The command line: the flags of Python's wsdump with the same meaning and more, and what is made from them: help, a man page and
//! completions.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use clap_complete::Shell;

use crate::ending::{Exit, Failure};
use crate::output::Output;

/// A WebSocket from the shell: shows what comes, sends what is typed or piped in.
#[derive(Parser)]
#[command(name = "wsdump", version, max_term_width = 100, after_help = Exit::TABLE, after_long_help = help_tail())]
pub(crate) struct Arguments {
    /// The server: ws://, wss://, ws+unix:// or wss+unix://
    #[arg(value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Go through a proxy: http://user:password@host:port, https, socks5h, socks5, socks4a or socks4. Without it, the
    /// environment is asked (http_proxy, https_proxy, all_proxy, no_proxy)
    #[arg(short, long, value_name = "URL", help_heading = CONNECTING)]
    pub(crate) proxy: Option<String>,
    /// A header field, 'Name: value'; can be repeated. @FILE reads fields from a file, one a line, which keeps secrets out
    /// of the list of processes
    #[arg(short = 'H', long = "header", value_name = "FIELD", help_heading = CONNECTING)]
    pub(crate) header: Vec<String>,
    /// Header fields, separated by commas; for values with commas there is -H
    #[arg(long, value_name = "FIELDS", help_heading = CONNECTING)]
    pub(crate) headers: Option<String>,
    /// The header field Origin
    #[arg(short, long, help_heading = CONNECTING)]
    pub(crate) origin: Option<String>,
    /// Subprotocols to offer, best first
    #[arg(short, long, num_args = 0.., value_name = "NAME", help_heading = CONNECTING)]
    pub(crate) subprotocols: Vec<String>,
    /// User and password, NAME:PASSWORD, for a server that asks for them (Basic or Digest); @FILE reads them from a file
    #[arg(short, long, value_name = "WHO", help_heading = CONNECTING)]
    pub(crate) user: Option<String>,
    /// Cookies, 'a=1; b=2'; @FILE reads them from a file
    #[arg(long, value_name = "COOKIES", help_heading = CONNECTING)]
    pub(crate) cookie: Option<String>,
    /// Keep cookies in this file, in the form of curl's cookies.txt; it is made if it is not there
    #[arg(long, value_name = "FILE", help_heading = CONNECTING)]
    pub(crate) cookie_jar: Option<PathBuf>,
    /// How many redirects to follow
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = CONNECTING)]
    pub(crate) max_redirects: usize,
    /// Connect to this Unix socket; the URL still says what to ask for, and of whom
    #[arg(long, value_name = "PATH", help_heading = CONNECTING)]
    pub(crate) unix_socket: Option<PathBuf>,
    /// How long connecting may take, in seconds, all of it
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = positive_seconds, help_heading = CONNECTING)]
    pub(crate) connect_timeout: Duration,
    /// The longest message to accept, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, help_heading = CONNECTING)]
    pub(crate) max_message_size: usize,
    /// Offer compression (permessage-deflate); with --listen, accept it
    #[arg(long, help_heading = CONNECTING)]
    pub(crate) compress: bool,
    /// Connect again when the connection is lost, after 1 s, 2 s, 4 s and so on up to a minute, or a random part of it; at
    /// most N times in a row, if N is given
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "4294967295", help_heading = CONNECTING)]
    pub(crate) reconnect: Option<u32>,
    /// Send a ping every so many seconds and show how long its answer took; a server from which nothing at all comes for
    /// as long again is given up
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds, help_heading = CONNECTING)]
    pub(crate) ping_interval: Option<Duration>,

    /// Accept any certificate of the server, for any name
    #[arg(short, long, help_heading = TLS)]
    pub(crate) nocert: bool,
    /// Trust the authorities in this PEM file, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub(crate) ca: Vec<PathBuf>,
    /// Show this certificate to a server that asks: a PEM file, with its key in --key or in the same file
    #[arg(long, value_name = "FILE", help_heading = TLS)]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = TLS)]
    pub(crate) key: Option<PathBuf>,
    /// The name that the certificate has to be for, if it is not that of the URL
    #[arg(long, value_name = "NAME", help_heading = TLS)]
    pub(crate) server_name: Option<String>,
    /// The oldest version of TLS to speak
    #[arg(long, value_name = "VERSION", help_heading = TLS)]
    pub(crate) tls_min: Option<TlsMin>,
    /// The library that speaks TLS, among those that this program was built with
    #[arg(long, value_name = "LIBRARY", help_heading = TLS)]
    pub(crate) tls_library: Option<TlsLibrary>,

    /// Send this text when a connection is open, before anything else; can be repeated
    #[arg(short, long, allow_hyphen_values = true, help_heading = SENDING)]
    pub(crate) text: Vec<String>,
    /// Close so many seconds after the end of the input, whatever comes. Without it, close when no message has come for 1
    /// second, at most 10 seconds after the end; with --max-messages, when those have come
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = SENDING)]
    pub(crate) eof_wait: Option<Duration>,
    /// Close when no message has come for so many seconds after the end of the input, instead of 1
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds, conflicts_with = "eof_wait", help_heading = SENDING)]
    pub(crate) eof_silence: Option<Duration>,
    /// Read no input, and stay until the server closes
    #[arg(long, conflicts_with = "replay", help_heading = SENDING)]
    pub(crate) no_input: bool,
    /// Bytes instead of lines: what is piped in is sent in binary messages of up to 64 KiB, and with --raw or in a pipe what
    /// comes is put out as it is
    #[arg(short, long, help_heading = SENDING)]
    pub(crate) binary: bool,
    /// Keep what is typed at the prompt in this file, for the next time
    #[arg(long, value_name = "FILE", help_heading = SENDING)]
    pub(crate) history: Option<PathBuf>,
    /// Send what the client sent in this recording, with the same pauses; with --listen, what the server sent, to each client
    #[arg(long, value_name = "FILE", help_heading = SENDING)]
    pub(crate) replay: Option<PathBuf>,

    /// Show what kind of frame came; twice (or -v 2): what goes over the wire, too
    #[arg(short, long, action = ArgAction::Count, help_heading = SHOWING)]
    pub(crate) verbose: u8,
    /// Nothing but what comes: no prompt, no notes, and control characters as they are
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) raw: bool,
    /// Put the seconds since the start in front of each line
    #[arg(long, help_heading = SHOWING)]
    pub(crate) timings: bool,
    /// A JSON object for each event, one a line
    #[arg(long, conflicts_with_all = ["hex", "binary", "timings"], help_heading = SHOWING)]
    pub(crate) json: bool,
    /// Show binary messages as a table of numbers
    #[arg(long, conflicts_with = "binary", help_heading = SHOWING)]
    pub(crate) hex: bool,
    /// Write the payloads of messages to this file, as they are and without anything in between
    #[arg(long, value_name = "FILE", help_heading = SHOWING)]
    pub(crate) output: Option<PathBuf>,
    /// Record what is sent and received, with times, as JSON, for --replay
    #[arg(long, value_name = "FILE", help_heading = SHOWING)]
    pub(crate) record: Option<PathBuf>,
    /// Close after so many messages
    #[arg(long, value_name = "N", help_heading = SHOWING)]
    pub(crate) max_messages: Option<u64>,

    /// Be a server on this address, such as 127.0.0.1:9001, that sends everything back; port 0 picks a free one
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["url", "bench"], help_heading = OTHER)]
    pub(crate) listen: Option<String>,
    /// With --listen: send everything to all other clients instead
    #[arg(long, requires = "listen", help_heading = OTHER)]
    pub(crate) broadcast: bool,
    /// Measure a server that sends everything back: one message at a time, or as many as fit
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "round-trips", help_heading = OTHER)]
    pub(crate) bench: Option<Bench>,
    /// How many messages --bench sends
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000), help_heading = OTHER)]
    pub(crate) bench_messages: u32,
    /// How many bytes a message of --bench has
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=16_777_216), help_heading = OTHER)]
    pub(crate) bench_size: u32,
    /// Print what this shell needs to complete these flags
    #[arg(long, value_name = "SHELL", exclusive = true, help_heading = OTHER)]
    pub(crate) completions: Option<Shell>,
    /// Print the man page
    #[arg(long, exclusive = true, help_heading = OTHER)]
    pub(crate) man: bool,
}

const CONNECTING: &str = "Connecting";
const TLS: &str = "TLS";
const SENDING: &str = "Sending";
const SHOWING: &str = "Showing";
const OTHER: &str = "Other uses";

/// The oldest version of TLS to speak.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TlsMin {
    /// TLS 1.2
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3
    #[value(name = "1.3")]
    Tls13,
}

/// A library that speaks TLS.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TlsLibrary {
    /// That of the platform
    NativeTls,
    /// Rustls
    Rustls,
}

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Bench {
    /// How long a message takes there and back.
    RoundTrips,
    /// How many messages go there and back in a second.
    Flood,
}

impl Arguments {
    /// What the command line asks for; ends the program where it cannot be meant, and for `--help` and `--version`.
    pub(crate) fn from_command_line() -> Self {
        let matches = Self::command().get_matches_from(expand_verbose(std::env::args_os()));
        if let Some(problem) = without_effect(&matches) {
            Self::command().error(ErrorKind::ArgumentConflict, problem).exit();
        }
        let mut arguments = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        arguments.take_url_from_subprotocols();
        arguments
    }

    /// `-s a b ws://server/`: the URL is no subprotocol, which has no colon (RFC 6455, section 4.1).
    fn take_url_from_subprotocols(&mut self) {
        if self.url.is_none() && self.subprotocols.last().is_some_and(|name| name.contains("://")) {
            self.url = self.subprotocols.pop();
        }
    }
}

/// What has an effect with `--listen`.
const FOR_SERVERS: &[&str] = &[
    "listen",
    "broadcast",
    "binary",
    "compress",
    "connect_timeout",
    "hex",
    "json",
    "max_message_size",
    "max_messages",
    "output",
    "raw",
    "record",
    "replay",
    "subprotocols",
    "timings",
    "verbose",
];

/// What has none with `--bench`.
const NOT_FOR_BENCHES: &[&str] = &[
    "binary",
    "eof_silence",
    "eof_wait",
    "hex",
    "history",
    "max_messages",
    "no_input",
    "output",
    "ping_interval",
    "raw",
    "reconnect",
    "record",
    "replay",
    "text",
    "timings",
];

/// Pairs of which the first has no effect with the second.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("broadcast", "replay"),
    ("ca", "nocert"),
    ("hex", "output"),
    ("history", "no_input"),
    ("history", "raw"),
    ("history", "replay"),
    ("json", "output"),
    ("proxy", "unix_socket"),
    ("raw", "json"),
    ("timings", "output"),
];

/// Pairs of which the first has no effect without the second.
const ONLY_WITH: &[(&str, &str)] = &[("bench_messages", "bench"), ("bench_size", "bench")];

/// Which option that was given would do nothing, in words.
fn without_effect(matches: &ArgMatches) -> Option<String> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let flag = |id: &str| format!("'--{}'", id.replace('_', "-"));
    let given = || matches.ids().map(clap::Id::as_str).filter(|id| is_given(id));
    if is_given("listen")
        && let Some(id) = given().find(|id| !FOR_SERVERS.contains(id) && *id != "url" && *id != "Arguments")
    {
        return Some(format!("{} does nothing with '--listen'", flag(id)));
    }
    if is_given("listen") && !is_given("verbose") && !is_given("json") && !is_given("output") {
        let shows = ["binary", "hex", "timings"].into_iter().find(|id| is_given(id));
        if let Some(id) = shows {
            return Some(format!("{} does nothing with '--listen' without '--verbose'", flag(id)));
        }
    }
    if is_given("bench")
        && let Some(id) = given().find(|id| NOT_FOR_BENCHES.contains(id))
    {
        return Some(format!("{} does nothing with '--bench'", flag(id)));
    }
    if let Some((id, with)) = WITHOUT_EFFECT.iter().find(|(id, with)| is_given(id) && is_given(with)) {
        return Some(format!("{} does nothing with {}", flag(id), flag(with)));
    }
    let (id, with) = ONLY_WITH.iter().find(|(id, with)| is_given(id) && !is_given(with))?;
    Some(format!("{} does nothing without {}", flag(id), flag(with)))
}

/// Python's `-v 2` as `-v -v`, and the same for its other spellings; an argument behind `-v` that is no number is left alone.
fn expand_verbose(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut expanded: Vec<OsString> = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--" {
            expanded.push(argument);
            expanded.extend(arguments.by_ref());
            break;
        }
        if let Some(level) = text.strip_prefix("--verbose=").or_else(|| text.strip_prefix("-v")).and_then(level) {
            expanded.extend(std::iter::repeat_n("-v".into(), level));
            continue;
        }
        if text == "-v" || text == "--verbose" {
            let next = arguments.next_if(|next| next.to_str().and_then(level).is_some());
            let level = next.and_then(|next| level(next.to_str()?)).unwrap_or(1);
            expanded.extend(std::iter::repeat_n("-v".into(), level));
            continue;
        }
        expanded.push(argument);
    }
    expanded
}

/// The level that a value of Python's `-v` stands for: a number, or a `v` for each one beyond the first.
fn level(value: &str) -> Option<usize> {
    if !value.is_empty() && value.bytes().all(|byte| byte == b'v') {
        return Some(value.len() + 1);
    }
    // There is nothing beyond 2.
    value.parse::<u32>().ok().map(|level| level.min(3) as usize)
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn positive_seconds(value: &str) -> Result<Duration, String> {
    match seconds(value)? {
        Duration::ZERO => Err("has to be more than zero".to_owned()),
        duration => Ok(duration),
    }
}

/// What stands below the flags.
fn help_tail() -> String {
    format!("{EXAMPLES}\n\n{PROMPT}\n\n{}", Exit::TABLE)
}

/// What can be said at the prompt.
pub(crate) const PROMPT: &str = "\
At the prompt:
  hello                 send a text message
  //hello               send one that begins with a slash: /hello
  /text @FILE           send a file as text
  /binary @FILE         send a file as it is; /binary 00ff7a sends these bytes
  /ping [TEXT]          send a ping, and show how long its answer takes
  /pong [TEXT]          send a pong that nobody asked for
  /close [CODE [WHY]]   close, such as /close 1000 bye
  /help                 say this";

const EXAMPLES: &str = "\
Examples:
  Talk to a server at a prompt:
      wsdump wss://echo.example/
  Send a line and show what comes back within a second:
      echo hello | wsdump -r --eof-wait 1 wss://echo.example/
  Follow a feed behind a login, as JSON, and for ever:
      wsdump --json -H @secret-header --reconnect --no-input --ping-interval 20 wss://feed.example/
  See why a server says no:
      wsdump -vv -H 'Origin: https://app.example' wss://app.example/socket
  Send a file as one message, or save what comes:
      wsdump wss://files.example/       then: /binary @photo.jpg
      wsdump --output photo.jpg --max-messages 1 wss://files.example/photo
  Both ends of a test in one line:
      wsdump --listen 127.0.0.1:9001 --max-messages 1 & sleep 1; echo hello | wsdump -r ws://127.0.0.1:9001/
  Record a session, and have a server play its part again:
      wsdump --record session.jsonl wss://feed.example/
      wsdump --listen 127.0.0.1:9001 --replay session.jsonl
  How fast is it?
      wsdump --bench --bench-size 1000 wss://echo.example/";

/// The man page, in roff.
///
/// # Errors
///
/// None that is known: it is made in memory.
pub(crate) fn man_page() -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    let made = clap_mangen::Man::new(Arguments::command()).render(&mut page);
    made.map(|()| page).map_err(|error| Failure::local("the man page", error))
}

/// What a shell needs to complete the flags.
pub(crate) fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "wsdump", &mut script);
    script
}

/// Puts a document out.
///
/// # Errors
///
/// What the system says.
pub(crate) fn print(document: Vec<u8>) -> Result<Exit, Failure> {
    match Output::standard().bytes(&document) {
        Ok(()) => Ok(Exit::Success),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Success),
        Err(error) => Err(Failure::local("output", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn expanded(arguments: &[&str]) -> String {
        let expanded = expand_verbose(arguments.iter().map(OsString::from));
        expanded.iter().map(|argument| argument.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_flags_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn verbosity_is_spelled_as_in_python_and_never_takes_the_url() {
        let table = [
            ("w -v u", "w -v u"),
            ("w -v 2 u", "w -v -v u"),
            ("w -v2 u", "w -v -v u"),
            ("w -vv u", "w -v -v u"),
            ("w --verbose 2 u", "w -v -v u"),
            ("w --verbose=2 u", "w -v -v u"),
            ("w --verbose u", "w -v u"),
            ("w -v 0 u", "w u"),
            ("w -v 99999999 u", "w -v -v -v u"),
            ("w -v ws://v/", "w -v ws://v/"),
            ("w -rv u", "w -rv u"),
            ("w -v -- 2", "w -v -- 2"),
            ("w -- -v 2", "w -- -v 2"),
        ];
        for (given, expected) in table {
            let given: Vec<&str> = given.split(' ').collect();
            assert_eq!(expanded(&given), expected, "{given:?}");
        }
    }

    #[test]
    fn the_url_may_stand_behind_the_subprotocols() {
        for line in [["w", "ws://h/", "-s", "a", "b"], ["w", "-s", "a", "b", "ws://h/"]] {
            let mut arguments = Arguments::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
            arguments.take_url_from_subprotocols();
            assert_eq!(arguments.url.as_deref(), Some("ws://h/"));
            assert_eq!(arguments.subprotocols, ["a", "b"]);
        }
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(seconds("0"), Ok(Duration::ZERO));
        for wrong in ["", "x", "-1", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
        assert!(positive_seconds("0").is_err());
    }
}
