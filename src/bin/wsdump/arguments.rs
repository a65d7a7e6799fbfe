//! The command line: the flags of Python's wsdump with the same meaning and more, and which of them do nothing with others.

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum, ValueHint};
use clap_complete::Shell;
use websocket_sync::CloseCode;
use websocket_sync::protocol::MAX_CLOSE_REASON;

use crate::connect::unix_url;
use crate::documents::{SHORT_HELP, long_help};

/// Talk to WebSocket servers from a shell.
#[derive(Clone, Parser)]
#[command(name = "wsdump", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// The server: ws://, wss://, ws+unix:// or wss+unix://. Without a scheme it is ws:// for this machine and wss:// for
    /// others; a path that begins with a slash or a dot is that of a Unix socket
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<String>,

    /// Use this proxy: http, https, socks5h, socks5, socks4a or socks4://user:password@host:port. Without it, the proxy that
    /// the environment names is used (http_proxy, https_proxy, all_proxy, no_proxy)
    #[arg(short, long, value_name = "URL", value_hint = ValueHint::Url, help_heading = CONNECTING)]
    pub(crate) proxy: Option<String>,
    /// Send this header field, 'Name: value'; can be repeated. @FILE reads fields from a file, one a line, and for each
    /// connection anew; @- reads them from standard input. Both keep secrets out of the list of processes
    #[arg(short = 'H', long = "header", value_name = "FIELD", help_heading = CONNECTING)]
    pub(crate) header: Vec<String>,
    /// Send these header fields, separated by commas; for values with commas there is -H
    #[arg(long, value_name = "FIELDS", help_heading = CONNECTING)]
    pub(crate) headers: Option<String>,
    /// Send this Origin field instead of that of the URL
    #[arg(short, long, help_heading = CONNECTING)]
    pub(crate) origin: Option<String>,
    /// Send no Origin field, as programs that are no browsers do
    #[arg(long, conflicts_with = "origin", help_heading = CONNECTING)]
    pub(crate) no_origin: bool,
    /// Offer these subprotocols, the best first; with --listen, accept them; with --proxy-to, pass on no others
    #[arg(short, long, num_args = 0.., value_delimiter = ',', value_name = "NAME", help_heading = CONNECTING)]
    pub(crate) subprotocols: Vec<String>,
    /// User and password for a server that asks for them (Basic or Digest). NAME alone asks for the password at the
    /// terminal; @FILE and @- read both
    #[arg(short, long, value_name = "NAME:PASSWORD", help_heading = CONNECTING)]
    pub(crate) user: Option<String>,
    /// Send these cookies, 'a=1; b=2'; @FILE and @- read them
    #[arg(long, value_name = "COOKIES", help_heading = CONNECTING)]
    pub(crate) cookie: Option<String>,
    /// Keep cookies in this file, in the format of curl's cookies.txt; it is created if it does not exist
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = CONNECTING)]
    pub(crate) cookie_jar: Option<PathBuf>,
    /// Follow at most N redirects
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = CONNECTING)]
    pub(crate) max_redirects: usize,
    /// Connect to this Unix socket; the server is told the host of the URL
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath, help_heading = CONNECTING)]
    pub(crate) unix_socket: Option<PathBuf>,
    /// Give up connecting after so many seconds, all steps together
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = positive_seconds, help_heading = CONNECTING)]
    pub(crate) connect_timeout: Duration,
    /// Accept messages of at most so many bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64 << 20, help_heading = CONNECTING)]
    pub(crate) max_message_size: usize,
    /// Offer compression (permessage-deflate); with --listen, accept it
    #[arg(long, help_heading = CONNECTING)]
    pub(crate) compress: bool,
    /// Connect again when the connection is lost or closed by the server, after 1, 2, 4 ... 60 seconds or a random part of
    /// that; at most N times in a row
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "4294967295", help_heading = CONNECTING)]
    pub(crate) reconnect: Option<u32>,
    /// Send a ping every so many seconds and show how long the answer took. A server that sends nothing for as long again is
    /// given up
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds, help_heading = CONNECTING)]
    pub(crate) ping_interval: Option<Duration>,
    /// Close after so many seconds, whatever goes on
    #[arg(short, long, value_name = "SECONDS", value_parser = positive_seconds, help_heading = CONNECTING)]
    pub(crate) max_time: Option<Duration>,

    /// Accept any certificate, for any host name
    #[arg(short, long, visible_alias = "insecure", visible_short_alias = 'k', help_heading = TLS)]
    pub(crate) nocert: bool,
    /// Trust the authorities in this PEM file instead of the system's
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, visible_alias = "cacert", help_heading = TLS)]
    pub(crate) ca: Vec<PathBuf>,
    /// Show this certificate to a server that asks for one, or with --listen to clients: a PEM file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = TLS)]
    pub(crate) cert: Option<PathBuf>,
    /// The key of --cert, if it is not in the same file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "cert", help_heading = TLS)]
    pub(crate) key: Option<PathBuf>,
    /// Expect a certificate for this name instead of the host in the URL
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Hostname, help_heading = TLS)]
    pub(crate) server_name: Option<String>,
    /// Use at least this version of TLS
    #[arg(long, value_name = "VERSION", help_heading = TLS)]
    pub(crate) tls_min: Option<TlsMin>,
    /// Use this TLS library, if the program was built with it. With rustls, keys are written to the file that the variable
    /// SSLKEYLOGFILE names
    #[arg(long, value_name = "LIBRARY", help_heading = TLS)]
    pub(crate) tls_library: Option<TlsLibrary>,

    /// Send this text first on each connection; can be repeated
    #[arg(short, long, allow_hyphen_values = true, help_heading = SENDING)]
    pub(crate) text: Vec<String>,
    /// Close so many seconds after the end of the input. Without it, close when no message has come for 1 second, but at most
    /// 10 seconds after the end; with --max-messages, when those have come; at the prompt, at once
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = SENDING)]
    pub(crate) eof_wait: Option<Duration>,
    /// After the end of the input, close when no message, nor a part of one, has come for so many seconds, however long that takes
    #[arg(long, value_name = "SECONDS", value_parser = positive_seconds, conflicts_with = "eof_wait", help_heading = SENDING)]
    pub(crate) eof_silence: Option<Duration>,
    /// Close with this code and reason, such as 4000:bye, instead of 1000
    #[arg(long, value_name = "CODE[:REASON]", value_parser = close_request, help_heading = SENDING)]
    pub(crate) close: Option<CloseRequest>,
    /// Read no input, and stay until the server closes
    #[arg(long, conflicts_with = "replay", help_heading = SENDING)]
    pub(crate) no_input: bool,
    /// Send the input as bytes, in binary messages of up to 64 KiB, instead of lines. With --raw or in a pipe, what comes is
    /// written as it is, too
    #[arg(short, long, help_heading = SENDING)]
    pub(crate) binary: bool,
    /// Keep what is typed at the prompt for the next time, but for lines that begin with a blank: in this file, or without one
    /// in wsdump/history in $XDG_STATE_HOME or ~/.local/state
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SENDING)]
    pub(crate) history: Option<Option<PathBuf>>,
    /// Send what the client sent in this recording, at the same times; with --listen, what the server sent
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SENDING)]
    pub(crate) replay: Option<PathBuf>,

    /// Show the kind of each frame; twice (or -v 2), also what goes over the wire
    #[arg(short, long, action = ArgAction::Count, help_heading = SHOWING)]
    pub(crate) verbose: u8,
    /// Show messages only: no prompt, no notes, and control characters as they are
    #[arg(short, long, help_heading = SHOWING)]
    pub(crate) raw: bool,
    /// Put the seconds since the start in front of each line
    #[arg(long, help_heading = SHOWING)]
    pub(crate) timings: bool,
    /// Show each event as a JSON object on a line
    #[arg(long, conflicts_with_all = ["hex", "binary", "timings"], help_heading = SHOWING)]
    pub(crate) json: bool,
    /// Show JSON over several lines, and on a terminal with colours
    #[arg(long, help_heading = SHOWING)]
    pub(crate) pretty: bool,
    /// Show binary messages in hexadecimal
    #[arg(long, conflicts_with = "binary", help_heading = SHOWING)]
    pub(crate) hex: bool,
    /// Write the payloads of messages to this file, one behind the other
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SHOWING)]
    pub(crate) output: Option<PathBuf>,
    /// Record all messages, sent and received, with their times, for --replay
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = SHOWING)]
    pub(crate) record: Option<PathBuf>,
    /// Close after so many messages
    #[arg(long, value_name = "N", help_heading = SHOWING)]
    pub(crate) max_messages: Option<u64>,

    /// Be a server that sends everything back, on this address, such as 0.0.0.0:9001. A port alone is on 127.0.0.1, port 0 is
    /// any free one, and a path with a slash is a Unix socket. With --cert it speaks TLS
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["url", "bench"], help_heading = OTHER)]
    pub(crate) listen: Option<String>,
    /// With --listen: send everything to all other clients instead
    #[arg(long, requires = "listen", help_heading = OTHER)]
    pub(crate) broadcast: bool,
    /// With --listen: connect each client to this server instead, and show and record what passes in both directions. The
    /// server is asked for the path and query of the client, unless URL has its own, and with the header fields and
    /// subprotocols of the client; what it answers goes to the client. The options for connecting are for that server, and go
    /// before what the client says; --cert is for the clients
    #[arg(long, value_name = "URL", requires = "listen", value_hint = ValueHint::Url, help_heading = OTHER)]
    pub(crate) proxy_to: Option<String>,
    /// Measure a server that sends everything back
    #[arg(long, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "round-trips", help_heading = OTHER)]
    pub(crate) bench: Option<Bench>,
    /// How many messages --bench sends
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000), help_heading = OTHER)]
    pub(crate) bench_messages: u32,
    /// How many bytes a message of --bench has
    #[arg(long, value_name = "BYTES", default_value_t = 64, value_parser = clap::value_parser!(u32).range(..=16_777_216), help_heading = OTHER)]
    pub(crate) bench_size: u32,
    /// Print the completions for this shell
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
const OTHER: &str = "Server, benchmark, documentation";

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

/// What --bench measures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Bench {
    /// How long a message takes there and back.
    RoundTrips,
    /// How many messages go there and back in a second.
    Flood,
}

impl Arguments {
    /// What the command line asks for; ends the program where it is wrong, and for `--help` and `--version`.
    pub(crate) fn from_command_line() -> Self {
        let given = expand_verbose(std::env::args_os());
        let help = if given.iter().any(|argument| argument == "--help") { long_help() } else { SHORT_HELP.to_owned() };
        let matches = Self::command().help_template(help).try_get_matches_from(given).unwrap_or_else(|mut error| {
            // Neither a guess at what was meant nor advice on `--` helps those who mistyped a flag.
            error.remove(ContextKind::Suggested);
            error.exit()
        });
        if let Some(problem) = without_effect(&matches) {
            Self::command().error(ErrorKind::ArgumentConflict, problem).exit();
        }
        let mut arguments = Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
        arguments.take_url_from_subprotocols();
        arguments.take_url_from_history();
        for url in [&mut arguments.url, &mut arguments.proxy_to] {
            if let Some(full) = url.as_deref().and_then(with_scheme) {
                eprintln!("No scheme: {full}");
                *url = Some(full);
            }
        }
        arguments
    }

    /// `--history ws://server/`: the URL is no file where there is no other one.
    fn take_url_from_history(&mut self) {
        if self.url.is_none()
            && let Some(given @ Some(_)) = &mut self.history
        {
            self.url = given.take().and_then(|path| path.into_os_string().into_string().ok());
        }
    }

    /// What this side closes with.
    pub(crate) fn close_request(&self) -> CloseRequest {
        self.close.clone().unwrap_or(CloseRequest { code: CloseCode::NORMAL, reason: String::new() })
    }

    /// `-s a b server:9001/`: the URL is no subprotocol, which has neither a colon nor a slash (RFC 6455, section 4.1; RFC 9110, section
    /// 5.6.2).
    fn take_url_from_subprotocols(&mut self) {
        if self.url.is_none() && self.subprotocols.last().is_some_and(|name| name.contains([':', '/'])) {
            self.url = self.subprotocols.pop();
        }
    }
}

/// What has an effect with `--listen`.
const FOR_SERVERS: &[&str] = &[
    "listen",
    "broadcast",
    "binary",
    "cert",
    "compress",
    "connect_timeout",
    "hex",
    "json",
    "key",
    "max_message_size",
    "max_messages",
    "max_time",
    "output",
    "pretty",
    "raw",
    "record",
    "replay",
    "subprotocols",
    "timings",
    "tls_library",
    "verbose",
];

/// What has one besides with `--proxy-to`.
const FOR_PROXIES: &[&str] = &[
    "ca",
    "cookie",
    "header",
    "headers",
    "max_redirects",
    "no_origin",
    "nocert",
    "origin",
    "proxy",
    "proxy_to",
    "server_name",
    "tls_library",
    "tls_min",
    "user",
];

/// What has none with `--bench`.
const NOT_FOR_BENCHES: &[&str] = &[
    "binary",
    "close",
    "eof_silence",
    "eof_wait",
    "hex",
    "history",
    "max_messages",
    "max_time",
    "no_input",
    "output",
    "ping_interval",
    "pretty",
    "raw",
    "reconnect",
    "record",
    "replay",
    "text",
    "timings",
];

/// Pairs of which the first has no effect with the second.
const WITHOUT_EFFECT: &[(&str, &str)] = &[
    ("binary", "proxy_to"),
    ("broadcast", "proxy_to"),
    ("broadcast", "replay"),
    ("ca", "nocert"),
    ("hex", "output"),
    ("output", "proxy_to"),
    ("history", "no_input"),
    ("history", "raw"),
    ("history", "replay"),
    ("json", "output"),
    ("pretty", "json"),
    ("pretty", "output"),
    ("proxy", "unix_socket"),
    ("raw", "json"),
    ("replay", "proxy_to"),
    ("timings", "output"),
];

/// Pairs of which the first has no effect without the second.
const ONLY_WITH: &[(&str, &str)] = &[("bench_messages", "bench"), ("bench_size", "bench")];

/// Which option that was given would do nothing, in words.
fn without_effect(matches: &ArgMatches) -> Option<String> {
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let flag = |id: &str| format!("'--{}'", id.replace('_', "-"));
    let given = || matches.ids().map(clap::Id::as_str).filter(|id| is_given(id));
    let is_for_servers = |id: &str| FOR_SERVERS.contains(&id) || (is_given("proxy_to") && FOR_PROXIES.contains(&id));
    if is_given("listen")
        && let Some(id) = given().find(|id| !is_for_servers(id) && *id != "url" && *id != "Arguments")
    {
        return Some(format!("{} does nothing with '--listen'", flag(id)));
    }
    let is_shown = ["verbose", "json", "output", "proxy_to"].into_iter().any(is_given);
    if is_given("listen") && !is_shown {
        let shows = ["binary", "hex", "pretty", "timings"].into_iter().find(|id| is_given(id));
        if let Some(id) = shows {
            return Some(format!("{} does nothing with '--listen' without '--verbose'", flag(id)));
        }
    }
    if is_given("listen") && is_given("tls_library") && !is_given("cert") && !is_given("proxy_to") {
        return Some(format!("{} does nothing with '--listen' without '--cert'", flag("tls_library")));
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

/// A code and a reason to close with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CloseRequest {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

fn close_request(value: &str) -> Result<CloseRequest, String> {
    let (code, reason) = value.split_once(':').unwrap_or((value, ""));
    let code = code.parse().map(CloseCode).map_err(|_| "a code is a number, such as 1000".to_owned())?;
    if !code.is_sendable() {
        return Err("a code that can be sent is 1000 to 1003, 1007 to 1014 or 3000 to 4999".to_owned());
    }
    if reason.len() > MAX_CLOSE_REASON {
        return Err(format!("a reason has at most {MAX_CLOSE_REASON} bytes"));
    }
    Ok(CloseRequest { code, reason: reason.to_owned() })
}

/// A URL without a scheme with the one that is meant: TLS, unless nobody else can read what is sent. A path is that of a Unix socket.
fn with_scheme(url: &str) -> Option<String> {
    if url.starts_with(['/', '.']) {
        let path = std::path::absolute(url).ok()?;
        return Some(unix_url("ws", &path, "/"));
    }
    if url.contains("://") || url.is_empty() {
        return None;
    }
    let authority = url.split(['/', '?', '#']).next().unwrap_or(url);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let name = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or(host),
    };
    let is_local = name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    Some(format!("{}://{url}", if is_local { "ws" } else { "wss" }))
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
    fn a_scheme_is_added_to_what_has_none() {
        let table = [
            ("localhost:9001/x", Some("ws://localhost:9001/x")),
            ("127.3.2.1", Some("ws://127.3.2.1")),
            ("[::1]:80", Some("ws://[::1]:80")),
            ("me:pw@LOCALHOST", Some("ws://me:pw@LOCALHOST")),
            ("localhost.evil.example", Some("wss://localhost.evil.example")),
            ("localhost@evil.example", Some("wss://localhost@evil.example")),
            ("192.168.0.1", Some("wss://192.168.0.1")),
            ("h/?to=ws://x", None),
            ("/run/a b.sock", Some("ws+unix:///run/a%20b.sock:/")),
            ("ws://h", None),
            ("", None),
        ];
        for (url, expected) in table {
            assert_eq!(with_scheme(url).as_deref(), expected, "{url}");
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
