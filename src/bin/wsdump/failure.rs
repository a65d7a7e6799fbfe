//! What went wrong, as it is told.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;

use websocket_sync::{Error, ProxyError, Refusal};

use crate::escape::escape;
use crate::exit::Exit;

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With the connection.
    WebSocket(Error),
    /// With something of this side, such as a file.
    Local(String),
    /// With the command line.
    Usage(String),
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
            Self::WebSocket(error) => f.write_str(&describe(error)),
            Self::Local(problem) | Self::Usage(problem) => f.write_str(&escape(problem)),
        }
    }
}

/// The error with what lies beneath it, and what a server or proxy that refused has said.
pub(crate) fn describe(error: &Error) -> String {
    let mut said = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(said, ": {cause}");
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

/// Header fields and body, each line by itself.
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
