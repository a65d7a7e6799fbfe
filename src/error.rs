//! All errors of the crate, as one type.

#[cfg(feature = "json")]
mod json;
mod proxy;
mod redirect;
mod retry_after;
mod tls;

use std::fmt::{self, Display, Formatter};
use std::io;

use thiserror::Error;

#[cfg(feature = "json")]
pub use self::json::JsonError;
pub use self::proxy::ProxyError;
pub use self::redirect::{RedirectError, RedirectProblem};
pub use self::tls::{TlsError, TlsErrorKind};
pub use crate::protocol::handshake::{HandshakeError, Refusal};
use crate::protocol::{CloseCode, CloseFrame, Escaped, LocalProtocolError, ProtocolError};
pub use crate::url::ProxyUrlError;
use crate::url::UrlError;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed.
///
/// `{}` shows this error alone; its cause is the [`source`](std::error::Error::source). `{:#}` shows both: what a person should read.
///
/// ```
/// use std::time::Duration;
///
/// use websocket_sync::{ConnectOptions, Error, create_connection};
///
/// let error = ConnectOptions::new().open_timeout(Duration::ZERO).connect("ws://localhost/").unwrap_err();
/// assert_eq!(format!("{error:#}"), format!("{error}: {}", std::error::Error::source(&error).unwrap()));
///
/// let error = create_connection("http://example.com/").unwrap_err();
/// assert!(matches!(error, Error::Url(_)));
/// assert!(!error.is_retryable());
/// assert!(!error.is_timeout() && !error.is_closed());
/// ```
#[derive(Debug, Error)]
#[doc(alias = "WebSocketException")]
#[non_exhaustive]
pub enum Error {
    /// The host name did not resolve to an address, or to none that the options or the proxy can use.
    #[doc(alias = "WebSocketAddressException")]
    #[error(fmt = fmt_address)]
    Address(#[source] Box<AddressError>),
    /// The connection is over: by a closing handshake, by its loss, or by a call of this side. Or there was none: it was cancelled before it
    /// was open, or never begun.
    #[doc(alias = "WebSocketConnectionClosedException")]
    #[error("{0}")]
    Closed(Box<CloseInfo>),
    /// A cookie that the host must not set.
    #[error("cookie refused: {0}")]
    Cookie(CookieError),
    /// A message could not be sent without waiting: too much waits to be sent already (see
    /// [`max_unsent`](crate::ConnectOptions::max_unsent)), or another thread is in the middle of a send that waits. Nothing of it was sent,
    /// the connection goes on.
    #[error("no room for what was to be sent without waiting")]
    Full,
    /// The server answered the opening handshake with something that RFC 6455 does not allow.
    #[error("opening handshake failed: {0}")]
    Handshake(Box<HandshakeError>),
    /// The network failed while the connection was made.
    #[error(fmt = fmt_io)]
    Io {
        /// The phase in which it failed.
        phase: Phase,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// A message that is not the JSON that was expected, which is kept in the error, or a value that JSON cannot express. The
    /// connection goes on.
    #[cfg(feature = "json")]
    #[error(transparent)]
    Json(Box<JsonError>),
    /// An option that is invalid or cannot be used, such as a CA file that cannot be read.
    #[error(fmt = fmt_options)]
    Options(#[source] Box<OptionsError>),
    /// An error of the user's code: of a reader whose bytes were to be sent, of a callback.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
    /// The peer broke the protocol or went over a limit. It gets a Close frame with the code for that if one can still be sent; the
    /// connection is over.
    #[doc(alias = "WebSocketProtocolException")]
    #[doc(alias = "WebSocketPayloadException")]
    #[error("peer violated the protocol: {0}")]
    Protocol(ProtocolError),
    /// The proxy did not connect to the server, or could not be reached.
    #[doc(alias = "WebSocketProxyException")]
    #[error(transparent)]
    Proxy(Box<ProxyError>),
    /// The server sent a redirect that was not followed.
    #[error(fmt = fmt_redirect)]
    Redirect(#[source] Box<RedirectError>),
    /// The server answered the upgrade with another status than 101.
    #[doc(alias = "WebSocketBadStatusException")]
    #[error("upgrade refused: {0}")]
    Refused(Box<Refusal>),
    /// The time for this phase ran out. Where the operating system itself gave a connection up that was being made (ETIMEDOUT), it is
    /// [`Error::Io`].
    #[doc(alias = "WebSocketTimeoutException")]
    #[error("{0} timed out")]
    Timeout(Phase),
    /// The TLS handshake failed: no version or cipher suite in common, or a certificate that is not trusted.
    #[error(fmt = fmt_tls)]
    Tls(#[source] Box<TlsError>),
    /// The URL is not one that a WebSocket can be opened to.
    #[error("invalid URL: {0}")]
    Url(UrlError),
    /// A call that the protocol does not allow at this moment, or with these arguments. Nothing was sent, the connection goes on.
    #[error("{0}")]
    Usage(LocalProtocolError),
}

impl Error {
    /// Wraps an error of another library, to be returned where this type is expected: from a callback, from a closure.
    ///
    /// ```
    /// use websocket_sync::Error;
    ///
    /// let parse = |text: &str| text.parse::<f64>().map_err(Error::other);
    /// assert_eq!(parse("1,5").unwrap_err().to_string(), "invalid float literal");
    /// ```
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    /// Any error; one of this crate comes back as it was.
    #[cold]
    pub(crate) fn from_any(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        match error.into().downcast::<Self>() {
            Ok(error) => *error,
            Err(error) => error.downcast::<io::Error>().map_or_else(Self::Other, |error| Self::from(*error)),
        }
    }

    /// Whether a timeout or a deadline has passed. The connection goes on after a receive that timed out, and after a send of which no
    /// byte had left.
    pub const fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether it is [`Error::Closed`]: the connection was over, cleanly or not, or there was none. It is false for an
    /// [`Error::Protocol`], by which the connection ends; calls after that return [`Error::Closed`].
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }

    /// Whether another attempt to connect may help: [`retry`](Self::retry) is not [`Retry::Never`].
    pub fn is_retryable(&self) -> bool {
        self.retry() != Retry::Never
    }

    /// Whether another attempt to connect is worth it, and how soon. An app decides by this, too: [`Reconnect`](crate::Reconnect) has a
    /// table of all errors.
    ///
    /// ```
    /// use websocket_sync::{Error, Phase, Retry, create_connection};
    ///
    /// assert_eq!(Error::Timeout(Phase::Connect).retry(), Retry::Soon);
    /// assert_eq!(create_connection("http://example.com/").unwrap_err().retry(), Retry::Never);
    /// ```
    pub fn retry(&self) -> Retry {
        match self {
            Self::Address(_)
            | Self::Full
            | Self::Handshake(_)
            | Self::Other(_)
            | Self::Protocol(_)
            | Self::Redirect(_)
            | Self::Timeout(_) => Retry::Soon,
            Self::Io { error, .. } => match error.kind() {
                // What was asked of the system makes no sense to it, such as a socket's path that is too long.
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Retry::Never,
                _ => Retry::Soon,
            },
            Self::Closed(info) => info.retry(),
            Self::Refused(refusal) => Retry::after_status(refusal.status),
            #[cfg(feature = "json")]
            Self::Json(error) => match **error {
                JsonError::Deserialize { .. } => Retry::Soon,
                JsonError::Serialize(_) => Retry::Never,
            },
            Self::Proxy(error) => error.retry(),
            Self::Tls(error) => error.retry(),
            Self::Cookie(_) | Self::Options(_) | Self::Url(_) | Self::Usage(_) => Retry::Never,
        }
    }

    /// The same error once more. One that is not of this crate comes as its text.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Address(error) => Self::Address(Box::new(AddressError {
                host: error.host.clone(),
                problem: duplicate_io(&error.problem),
            })),
            Self::Closed(info) => Self::Closed(info.clone()),
            Self::Cookie(error) => Self::Cookie(*error),
            Self::Full => Self::Full,
            Self::Handshake(error) => Self::Handshake(error.clone()),
            Self::Io { phase, error } => Self::Io { phase: *phase, error: duplicate_io(error) },
            #[cfg(feature = "json")]
            Self::Json(error) => Self::Json(Box::new(error.duplicate())),
            Self::Options(error) => Self::Options(Box::new(OptionsError::new(error.option, error.problem.clone()))),
            Self::Other(error) => Self::Other(text_of(&**error).into()),
            Self::Protocol(error) => Self::Protocol(*error),
            Self::Proxy(error) => Self::Proxy(Box::new(error.duplicate())),
            Self::Redirect(error) => Self::Redirect(error.clone()),
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Timeout(phase) => Self::Timeout(*phase),
            Self::Tls(error) => Self::Tls(Box::new(error.duplicate())),
            Self::Url(error) => Self::Url(error.clone()),
            Self::Usage(error) => Self::Usage(*error),
        }
    }

    /// How the connection ended, if that is what this error says.
    pub const fn close_info(&self) -> Option<&CloseInfo> {
        match self {
            Self::Closed(info) => Some(info),
            _ => None,
        }
    }
}

fn fmt_address(error: &AddressError, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("cannot resolve host {:?}", error.host), error)
}

fn fmt_io(phase: &Phase, error: &io::Error, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("{phase} failed"), error)
}

fn fmt_options(error: &OptionsError, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("option {}", error.option), error)
}

fn fmt_redirect(error: &RedirectError, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("redirect with status {} was not followed", error.status), error)
}

fn fmt_tls(error: &TlsError, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("TLS with {:?} failed{}", error.host, error.hint()), error)
}

/// What an error says itself and, with `{:#}`, what lies beneath it.
fn fmt_with_cause(f: &mut Formatter<'_>, own: impl Display, cause: &dyn std::error::Error) -> fmt::Result {
    write!(f, "{own}")?;
    if f.alternate() { write!(f, ": {}", text_of(cause)) } else { Ok(()) }
}

/// The same error once more: by its number, or else its kind and text.
fn duplicate_io(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| io::Error::new(error.kind(), text_of(error)), io::Error::from_raw_os_error)
}

/// An error and what lies beneath it.
pub(crate) fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether another attempt to connect is worth it, and how soon.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Retry {
    /// Try again soon: it may work the next time.
    Soon,
    /// Try again, but with a long delay: somebody has to mend something first, such as a token, a certificate or a path.
    Slowly,
    /// Do not try again: only a change on this side can help (the URL, an option, a call), or this side has closed.
    Never,
}

impl Retry {
    /// After an HTTP status other than 101.
    pub(crate) const fn after_status(status: u16) -> Self {
        match status {
            400 | 401 | 403 | 404 | 407 | 410 => Self::Slowly,
            _ => Self::Soon,
        }
    }
}

/// An error of this crate that went through `io::Read` or `io::Write` comes back as it was.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        error.downcast::<Self>().unwrap_or_else(|error| Self::Other(error.into()))
    }
}

/// For streaming through `io::Read` and `io::Write`: the kind says whether a timeout has passed or the connection has ended.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Other(error) => return error.downcast::<Self>().map_or_else(Self::other, |error| *error),
            Error::Io { ref error, .. } => error.kind(),
            Error::Timeout(_) => io::ErrorKind::TimedOut,
            Error::Full => io::ErrorKind::WouldBlock,
            Error::Closed(_) => io::ErrorKind::NotConnected,
            Error::Protocol(_) => io::ErrorKind::InvalidData,
            #[cfg(feature = "json")]
            Error::Json(_) => io::ErrorKind::InvalidData,
            Error::Cookie(_) | Error::Usage(_) => io::ErrorKind::InvalidInput,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<CookieError> for Error {
    fn from(error: CookieError) -> Self {
        Self::Cookie(error)
    }
}

impl From<HandshakeError> for Error {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(Box::new(error))
    }
}

#[cfg(feature = "json")]
impl From<JsonError> for Error {
    fn from(error: JsonError) -> Self {
        Self::Json(Box::new(error))
    }
}

impl From<LocalProtocolError> for Error {
    fn from(error: LocalProtocolError) -> Self {
        Self::Usage(error)
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl From<ProxyError> for Error {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(Box::new(error))
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

/// A phase of an operation, in which a timeout has passed or the network has failed.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving the host name.
    #[error("resolving the host name")]
    Resolve,
    /// Making the TCP connection.
    #[error("connecting")]
    Connect,
    /// The handshake with a proxy.
    #[error("proxy handshake")]
    Proxy,
    /// The TLS handshake.
    #[error("TLS handshake")]
    Tls,
    /// The opening handshake: our request, the server's answer.
    #[error("opening handshake")]
    Handshake,
    /// Receiving.
    #[error("receiving")]
    Recv,
    /// Sending.
    #[error("sending")]
    Send,
    /// The closing handshake.
    #[error("closing handshake")]
    Close,
}

/// How a connection ended. `Display` begins with the cause, and escapes control characters in the peer's reason.
///
/// ```
/// # use websocket_sync::{Error, WebSocket};
/// fn last_words(ws: &mut WebSocket) -> String {
///     loop {
///         match ws.recv() {
///             Ok(_) => continue,
///             Err(Error::Closed(info)) => return format!("{}: {}", info.code, info.reason),
///             Err(other) => return other.to_string(),
///         }
///     }
/// }
/// ```
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{}", EndText::new(*.code, .reason, *.cause))]
#[non_exhaustive]
pub struct CloseInfo {
    /// The code of the peer's Close frame; 1005 for one without a code, 1006 where none was received. The code of our own Close while
    /// this side is closing, after a violation, and after a message that was not finished.
    pub code: CloseCode,
    /// The reason that was received with the code, not escaped; empty when there was none.
    pub reason: String,
    /// Who ended the connection, and how.
    pub cause: CloseCause,
}

impl CloseInfo {
    pub(crate) fn new(code: CloseCode, reason: &str, cause: CloseCause) -> Self {
        Self { code, reason: reason.to_owned(), cause }
    }

    /// Whether it is known from the peer: nothing else can change it.
    pub(crate) const fn is_decided_by_peer(&self) -> bool {
        self.is_clean() || matches!(self.cause, CloseCause::Violation(_))
    }

    /// The same end of a connection, after the peer's Close was found to have come before it.
    pub(crate) fn with_close(&self, theirs: &CloseFrame) -> Self {
        let cause = if self.cause == CloseCause::Unanswered { CloseCause::Local } else { CloseCause::Remote };
        Self::new(theirs.code, &theirs.reason, cause)
    }

    /// The end by a rule that the peer broke; a Close that broke it may have a reason.
    pub(crate) fn of_violation(error: ProtocolError, reason: &str) -> Self {
        Self::new(error.close_code(), reason, CloseCause::Violation(error))
    }

    /// Whether a valid Close frame of the peer was received (RFC 6455, section 7.1.4). Our own may not have left, if nothing could be
    /// sent any more.
    pub const fn is_clean(&self) -> bool {
        matches!(self.cause, CloseCause::Local | CloseCause::Remote)
    }

    /// Whether connecting again may help: this side has not ended it.
    pub const fn is_retryable(&self) -> bool {
        matches!(self.retry(), Retry::Soon)
    }

    /// Whether another attempt is worth it: not after what this side has ended.
    const fn retry(&self) -> Retry {
        match self.cause {
            CloseCause::Local
            | CloseCause::Closing
            | CloseCause::Unanswered
            | CloseCause::Aborted
            | CloseCause::Cancelled
            | CloseCause::NotConnected => Retry::Never,
            CloseCause::Remote
            | CloseCause::Violation(_)
            | CloseCause::Unfinished(_)
            | CloseCause::TornFrame
            | CloseCause::Lost(_)
            | CloseCause::PingTimeout => Retry::Soon,
        }
    }
}

/// How a connection ended, in words: who ended it, then the code and the reason of the Close where one was exchanged.
pub(crate) struct EndText<'a> {
    code: CloseCode,
    reason: &'a str,
    cause: CloseCause,
}

impl<'a> EndText<'a> {
    pub(crate) const fn new(code: CloseCode, reason: &'a str, cause: CloseCause) -> Self {
        Self { code, reason, cause }
    }
}

impl Display for EndText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cause)?;
        if matches!(self.cause, CloseCause::Local | CloseCause::Remote | CloseCause::Closing) {
            write!(f, ": {}", self.code)?;
        }
        if self.reason.is_empty() { Ok(()) } else { write!(f, ": {}", Escaped::new(self.reason)) }
    }
}

/// Who ended a connection, and how.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum CloseCause {
    /// This side began the closing handshake, and the peer answered.
    #[error("closed by this side")]
    Local,
    /// The peer began the closing handshake.
    #[error("closed by the peer")]
    Remote,
    /// This side has sent a Close, and the peer's answer has not been received yet; receive to get it.
    #[error("this side is closing")]
    Closing,
    /// This side sent a Close, and no answer was received in time.
    #[error("closed by this side, without an answer")]
    Unanswered,
    /// This side ended the connection without a closing handshake.
    #[error("aborted by this side")]
    Aborted,
    /// The peer broke a rule, and this side ended the connection.
    #[error("peer violated the protocol: {0}")]
    Violation(ProtocolError),
    /// A part of a message was sent and the rest could not be, for this reason.
    #[error("a message was not finished: {0}")]
    Unfinished(LocalProtocolError),
    /// Only a part of a frame was written, so that nothing can follow it, and the peer sent no Close.
    #[error("a frame was sent in part")]
    TornFrame,
    /// The connection ended without a Close frame.
    #[error("connection lost: {0}")]
    Lost(io::ErrorKind),
    /// The peer sent nothing at all for the [ping timeout](crate::WebSocketApp::ping_timeout) after a ping.
    #[error("no answer to a ping")]
    PingTimeout,
    /// The opening was cancelled with [`Cancellation::cancel`](crate::Cancellation::cancel); in an app also where its run was ended while
    /// it connected or waited for the next attempt.
    #[error("opening was cancelled")]
    Cancelled,
    /// There is no connection: none was made, or [`shutdown`](crate::WebSocket::shutdown) has given it up.
    #[error("not connected")]
    NotConnected,
}

/// A host name that did not resolve.
#[derive(Debug, Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct AddressError {
    /// The name, as it was looked up.
    pub host: String,
    /// What the resolver said, or why none of the addresses can be used.
    pub problem: io::Error,
}

/// Why a cookie is not stored. `Display` shows nothing of the cookie.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum CookieError {
    /// A control character, which could break out of a header field.
    #[error("it has a control character")]
    ControlCharacter,
    /// A `Domain` that the host does not belong to (RFC 6265, section 5.3, step 6).
    #[error("its Domain does not cover the host that sets it")]
    Domain,
    /// A Unix socket, which has no name that a cookie could belong to.
    #[error("a Unix socket has no host name for it")]
    NoHost,
    /// A name that begins with `__Secure-` or `__Host-`, and not the attributes that this promises (RFC 6265bis, section 4.1.3).
    #[error("its name promises attributes that it does not have")]
    Prefix,
    /// A `Domain` below which hosts belong to different owners (RFC 6265, section 5.3, step 5).
    #[error("its Domain is a public suffix")]
    PublicSuffix,
    /// A `Secure` cookie, or one that would hide a `Secure` one, over a connection without TLS (RFC 6265bis, section 5.7).
    #[error("it is Secure, or hides one that is, and came without TLS")]
    Secure,
    /// No `name=value` (RFC 6265, section 5.2).
    #[error("it does not begin with name=value")]
    Syntax,
    /// Name and value are too long.
    #[error("its name and value are longer than the limit of {limit} bytes")]
    TooLong {
        /// What is kept at most, in bytes.
        limit: usize,
    },
}

/// An option that is invalid or cannot be used.
#[derive(Debug, Error)]
#[error("{problem}")]
#[non_exhaustive]
pub struct OptionsError {
    /// The option's name, that of its setter.
    pub option: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl OptionsError {
    pub(crate) fn new(option: &'static str, problem: impl Into<String>) -> Self {
        Self { option, problem: problem.into() }
    }

    /// A duration that must not be zero, and is.
    pub(crate) fn of_zero(option: &'static str) -> Self {
        Self::new(option, "a duration of zero; leave it out for the default, or give Duration::MAX for ever")
    }
}
