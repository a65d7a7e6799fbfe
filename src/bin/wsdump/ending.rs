//! How the program ends: exit codes, what is said of a failure, and signals.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;
use std::process::{self, ExitCode};
use std::sync::atomic::{AtomicBool, Ordering};

use websocket_sync::protocol::ProtocolError;
use websocket_sync::protocol::handshake::HandshakeError;
use websocket_sync::{CloseCause, CloseCode, Closed, Error, Phase, ProxyError, Refusal, TlsErrorKind};

use crate::arguments::Arguments;
use crate::format::escape;
use crate::output::restore_terminal;

/// Why the program ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Success = 0,
    Local = 1,
    Usage = 2,
    Address = 3,
    Connect = 4,
    Tls = 5,
    Proxy = 6,
    Refused = 7,
    Timeout = 8,
    Protocol = 9,
    Lost = 10,
    ClosedWithError = 11,
    Interrupted = 130,
}

impl Exit {
    /// The codes for `--help` and for the man page.
    pub(crate) const TABLE: &str = "\
Exit codes:
    0  the connection was closed in order, by either side
    1  something on this side failed, such as a file
    2  the command line, the URL or the value of an option is wrong
    3  the host name does not resolve
    4  connecting to the server failed
    5  TLS failed, such as a certificate that is not trusted
    6  the proxy failed or refused
    7  the server refused, or did not answer as a WebSocket server
    8  time ran out: for connecting, for the answer to our Close, or --max-time
    9  the server broke the protocol
   10  the connection was lost without a Close, or pings were not answered
   11  the server closed with a code other than 1000 and 1001
  130  Ctrl-C while connecting, or a second one while closing";

    /// What a failure of the library comes to.
    pub(crate) fn of(error: &Error) -> Self {
        match error {
            Error::Address(_) => Self::Address,
            Error::Closed(info) => Self::of_end(info.code, info.cause, CloseCode::NORMAL),
            Error::Cookie(_) | Error::Options(_) | Error::Url(_) | Error::Usage(_) => Self::Usage,
            Error::Handshake(_) | Error::Redirect(_) | Error::Refused(_) => Self::Refused,
            Error::Io { phase: Phase::Tls, .. } => Self::Tls,
            Error::Io { phase: Phase::Proxy, .. } => Self::Proxy,
            Error::Io { .. } => Self::Connect,
            Error::Protocol(_) => Self::Protocol,
            Error::Proxy(error) => match **error {
                ProxyError::Url { .. } => Self::Usage,
                _ => Self::Proxy,
            },
            Error::Timeout(_) => Self::Timeout,
            Error::Tls(_) => Self::Tls,
            // The list of errors may grow.
            _ => Self::Local,
        }
    }

    /// What the end of an app's connection comes to, where this side closes with that code, if it does.
    pub(crate) fn of_closed(closed: &Closed, ours: CloseCode) -> Self {
        Self::of_end(closed.code, closed.cause, ours)
    }

    /// A server that answers a Close repeats its code (RFC 6455, section 5.5.1): another one is that of a Close of its own, which
    /// has crossed ours.
    fn of_end(code: CloseCode, cause: CloseCause, ours: CloseCode) -> Self {
        match cause {
            CloseCause::Local if code == ours => Self::Success,
            CloseCause::Local | CloseCause::Remote => match code {
                CloseCode::NORMAL | CloseCode::GOING_AWAY | CloseCode::NO_STATUS_RECEIVED => Self::Success,
                _ => Self::ClosedWithError,
            },
            CloseCause::Violation(_) => Self::Protocol,
            CloseCause::Cancelled => Self::Interrupted,
            CloseCause::Unanswered => Self::Timeout,
            CloseCause::TornFrame | CloseCause::Lost(_) | CloseCause::PingTimeout => Self::Lost,
            CloseCause::Unfinished(_) => Self::Local,
            _ => Self::Success,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With the connection.
    WebSocket(Error),
    /// With something of this side, such as a file.
    Local(String),
    /// With the command line.
    Usage(String),
    /// The time of `--max-time` is over.
    TimeLimit,
    /// Nobody reads what is put out any more, which is no failure and not worth a word.
    NobodyReads,
}

impl Failure {
    pub(crate) fn local(what: impl std::fmt::Display, why: impl std::fmt::Display) -> Self {
        Self::Local(format!("{what}: {why}"))
    }

    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::WebSocket(error) => Exit::of(error),
            Self::Local(_) => Exit::Local,
            Self::Usage(_) => Exit::Usage,
            Self::TimeLimit => Exit::Timeout,
            Self::NobodyReads => Exit::Success,
        }
    }

    /// Tells about it where nothing has been set up for that yet.
    pub(crate) fn report(&self, to: &mut dyn Write) -> Exit {
        // There is nowhere else to say that this failed.
        let _ = writeln!(to, "{self}");
        self.exit()
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::WebSocket(error)
    }
}

/// Several lines, where the server said more than a status. What it said cannot do anything to a terminal.
impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("wsdump: ")?;
        match self {
            Self::NobodyReads => f.write_str("nobody reads the output"),
            Self::TimeLimit => f.write_str("time ran out (--max-time)"),
            Self::WebSocket(error) => f.write_str(&describe(error)),
            Self::Local(failure) | Self::Usage(failure) => f.write_str(&escape(failure)),
        }
    }
}

/// The error with what lies beneath it, and what a server or proxy that refused has said.
pub(crate) fn describe(error: &Error) -> String {
    let (mut said, mut source) = match error {
        Error::Options(error) => (format!("{}: {}", flag_of(error.option), in_flags(&error.problem)), None),
        Error::Protocol(
            violation @ (ProtocolError::FrameTooBig { limit } | ProtocolError::MessageTooBig { limit }),
        ) => {
            let what = if matches!(violation, ProtocolError::FrameTooBig { .. }) { "frame" } else { "message" };
            (format!("the server sent a {what} of more than {limit} bytes; --max-message-size allows more"), None)
        }
        Error::Refused(refusal) => (Error::Refused(without_body(refusal)).to_string(), None),
        error => (in_flags(&error.to_string()), error.source()),
    };
    while let Some(cause) = source {
        let _ = write!(said, ": {}", without_source_lines(&cause.to_string()));
        source = cause.source();
    }
    let mut said = escape(&said).into_owned();
    match error {
        Error::Refused(refusal) => describe_refusal(&mut said, refusal),
        Error::Proxy(error) => {
            if let ProxyError::Refused(refusal) = &**error {
                describe_refusal(&mut said, refusal);
            }
        }
        Error::Redirect(error) => {
            for url in &error.urls {
                let _ = write!(said, "\n  asked {}", escape(url));
            }
        }
        _ => {}
    }
    said
}

/// What OpenSSL says without where in its source it says so: `error:CODE:LIBRARY:FUNCTION:REASON:FILE:LINE:DATA`.
fn without_source_lines(said: &str) -> Cow<'_, str> {
    let [_, _, _, _, reason, _, line_and_data @ ..] = &*said.splitn(8, ':').collect::<Vec<_>>() else {
        return Cow::Borrowed(said);
    };
    match line_and_data {
        [line, data] if said.starts_with("error:") && line.parse::<u32>().is_ok() => {
            // Behind the first there may be others, of which it is the cause.
            let data = data.split(", error:").next().unwrap_or(data);
            Cow::Owned(format!("{reason}{data}"))
        }
        _ => Cow::Borrowed(said),
    }
}

/// The flag for an option of the library.
fn flag_of(option: &str) -> &str {
    match option {
        "alpn" | "backend" | "cipher_suites" | "key_log" | "max_version" => option,
        "ca_certs" | "system_roots" => "--ca",
        "client_cert" => "--cert",
        "credentials" => "--user",
        "min_version" => "--tls-min",
        "ping_payload" | "ping_timeout" => "--ping-interval",
        "server_hostname" => "--server-name",
        option => option,
    }
}

/// The library's advice in terms of flags.
fn in_flags(said: &str) -> String {
    said.replace("TlsOptions::ca_certs names one", "--ca FILE names one, -n accepts any certificate")
        .replace("TlsOptions::ca_certs", "--ca")
}

/// What is known of a connection that fails, from which advice follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HintContext {
    is_tls: bool,
    has_certificate: bool,
}

impl HintContext {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let is_tls = arguments.url.as_deref().is_some_and(|url| url.starts_with("wss"));
        Self { is_tls, has_certificate: arguments.cert.is_some() }
    }

    /// What may help.
    pub(crate) fn hint(self, error: &Error) -> Option<&'static str> {
        const WSS: &str = "the server seems to speak TLS on this port: try wss://";
        const WS: &str = "if the server does not use TLS, try ws://";
        const CERTIFICATE: &str = "if the server asks for a client certificate: --cert FILE shows one";
        const WS_OR_CERTIFICATE: &str =
            "if the server does not use TLS, try ws://; if it asks for a client certificate, --cert FILE shows one";
        match error {
            Error::Tls(error) => match error.kind {
                TlsErrorKind::NotTls => Some(WS),
                TlsErrorKind::Alert(40 | 42..=49 | 116) if !self.has_certificate => Some(CERTIFICATE),
                _ => None,
            },
            Error::Handshake(error) => match **error {
                HandshakeError::Eof if self.is_tls && !self.has_certificate => Some(CERTIFICATE),
                HandshakeError::Eof | HandshakeError::NotHttp if !self.is_tls => Some(WSS),
                _ => None,
            },
            Error::Io { phase: Phase::Tls, .. } if self.has_certificate => Some(WS),
            Error::Io { phase: Phase::Tls, .. } => Some(WS_OR_CERTIFICATE),
            // With TLS 1.3 the server looks at the certificate when TLS is done.
            Error::Io { phase: Phase::Handshake, .. } if self.is_tls && !self.has_certificate => Some(CERTIFICATE),
            Error::Refused(refusal) if !self.is_tls && refusal.status == 400 => {
                let body = String::from_utf8_lossy(&refusal.body);
                body.contains("HTTPS").then_some(WSS)
            }
            _ => None,
        }
    }
}

/// Header fields and body, each line by itself.
/// The body is shown line by line below.
fn without_body(refusal: &Refusal) -> Box<Refusal> {
    let mut refusal = refusal.clone();
    refusal.body.clear();
    Box::new(refusal)
}

fn describe_refusal(said: &mut String, refusal: &Refusal) {
    // What cookies hold is a secret.
    for (name, value) in refusal.headers.iter() {
        let value = String::from_utf8_lossy(value);
        let value = if name == "set-cookie" { "(not shown)" } else { &*value };
        let _ = write!(said, "\n  {}: {}", escape(name), escape(value));
    }
    let body = String::from_utf8_lossy(&refusal.body);
    for line in body.lines() {
        let _ = write!(said, "\n  {}", escape(line));
    }
}

/// Whether the program was asked to end, by a signal or by Ctrl-C at the prompt.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Calls this on a thread of its own when the program is asked to end; it must not wait. Asked again, the program ends at once.
///
/// # Errors
///
/// What the system says.
pub(crate) fn on_signal(mut end: impl FnMut() + Send + 'static) -> Result<(), Failure> {
    ctrlc::set_handler(move || {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            restore_terminal();
            process::exit(Exit::Interrupted as i32);
        }
        end();
    })
    .map_err(|error| Failure::local("signals", error))
}

/// Notes that the program was asked to end, at a prompt, where Ctrl-C is a key and no signal.
pub(crate) fn note_interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_connection_is_told_by_who_ended_it_and_how() {
        let table = [
            (CloseCause::Local, 1000, Exit::Success),
            (CloseCause::Local, 1001, Exit::Success),
            (CloseCause::Local, 4003, Exit::ClosedWithError),
            (CloseCause::Remote, 1000, Exit::Success),
            (CloseCause::Remote, 1001, Exit::Success),
            (CloseCause::Remote, 1005, Exit::Success),
            (CloseCause::Remote, 1008, Exit::ClosedWithError),
            (CloseCause::Remote, 4000, Exit::ClosedWithError),
            (CloseCause::Unanswered, 1000, Exit::Timeout),
            (CloseCause::Cancelled, 1006, Exit::Interrupted),
            (CloseCause::PingTimeout, 1006, Exit::Lost),
            (CloseCause::Lost(std::io::ErrorKind::ConnectionReset), 1006, Exit::Lost),
        ];
        for (cause, code, expected) in table {
            assert_eq!(Exit::of_end(CloseCode(code), cause, CloseCode::NORMAL), expected, "{cause} {code}");
        }
    }

    #[test]
    fn what_openssl_says_of_its_source_is_left_out() {
        let table = [
            (
                "error:0A000086:SSL routines:f:certificate verify failed:../ssl/s.c:1889: (unable to get issuer)",
                "certificate verify failed (unable to get issuer)",
            ),
            ("error:0A00010B:SSL routines:f:wrong version number:ssl/r.c:354:", "wrong version number"),
            ("error:1:l:f:first:a.c:1:, error:2:l:f:second:b.c:2:", "first"),
            ("error:1:l:f:first:a.c:no line:", "error:1:l:f:first:a.c:no line:"),
            ("invalid peer certificate: UnknownIssuer", "invalid peer certificate: UnknownIssuer"),
        ];
        for (said, expected) in table {
            assert_eq!(without_source_lines(said), expected);
        }
    }

    #[test]
    fn every_code_is_in_the_table() {
        let all = [
            Exit::Success,
            Exit::Local,
            Exit::Usage,
            Exit::Address,
            Exit::Connect,
            Exit::Tls,
            Exit::Proxy,
            Exit::Refused,
            Exit::Timeout,
            Exit::Protocol,
            Exit::Lost,
            Exit::ClosedWithError,
            Exit::Interrupted,
        ];
        let documented: Vec<u8> =
            Exit::TABLE.lines().skip(1).map(|line| line[..5].trim().parse::<u8>().expect("a number")).collect();
        assert_eq!(documented, all.map(|exit| exit as u8));
    }
}
