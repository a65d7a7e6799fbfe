//! What goes wrong with a proxy.

use std::fmt::{self, Formatter};
use std::io;

use thiserror::Error;

use super::{Retry, duplicate_io, fmt_with_cause};
use crate::protocol::LocalProtocolError;
use crate::protocol::handshake::{HandshakeError, Refusal};
use crate::url::ProxyUrlError;

/// Why a proxy does not connect to the server.
///
/// `Display` shows no user, no password and no URL.
///
/// ```
/// use websocket_sync::{ConnectOptions, Error, ProxyError, ProxyUrlError};
///
/// let error = ConnectOptions::new().proxy("ftp://proxy.example").connect("wss://feed.example/").unwrap_err();
/// let Error::Proxy(error) = error else { unreachable!() };
/// assert!(matches!(*error, ProxyError::Url { variable: None, problem: ProxyUrlError::Scheme }));
/// ```
#[derive(Debug, Error)]
#[doc(alias = "WebSocketProxyException")]
#[non_exhaustive]
pub enum ProxyError {
    /// The proxy asks for user and password and does not accept those it got, or there are none (RFC 1929, section 2;
    /// RFC 1928, section 3). An HTTP proxy says so with the status 407 of a [refusal](Self::Refused).
    #[error("SOCKS proxy does not accept user and password, or wants some")]
    Authentication,
    /// The proxy could not be connected to.
    #[error(fmt = fmt_connect)]
    Connect {
        /// Its host and port.
        proxy: String,
        /// What the operating system said.
        #[source]
        problem: io::Error,
    },
    /// The proxy's protocol cannot carry this user and password.
    #[error("user and password for the proxy: {0}")]
    Credentials(&'static str),
    /// Bytes followed the proxy's answer before anything was sent to the server.
    #[error("bytes follow the proxy's answer before anything was sent to the server")]
    EarlyBytes,
    /// The connection ended before the proxy had answered.
    #[error("proxy ended the connection before it had answered")]
    Eof,
    /// A header field for the proxy that must not be sent.
    #[error("header field for the proxy: {0}")]
    Header(LocalProtocolError),
    /// The answer of an HTTP proxy is malformed, or over a limit such as [`max_head_size`](crate::ConnectOptions::max_head_size).
    #[error("proxy's answer is malformed: {0}")]
    Http(HandshakeError),
    /// An HTTP proxy answered `CONNECT` with something else than 2xx.
    #[error("proxy refused: {0}")]
    Refused(Box<Refusal>),
    /// A SOCKS proxy refused (RFC 1928, section 6, for version 5).
    #[error("proxy refused: SOCKS{version} reply {code}, {}", socks_words(*.version, *.code))]
    Socks {
        /// The version of the protocol: 4 or 5.
        version: u8,
        /// The code of the reply: 1 to 255 in version 5, 91 to 93 in version 4.
        code: u8,
    },
    /// The answer of a SOCKS proxy is malformed.
    #[error("proxy's answer is malformed: {0}")]
    SocksSyntax(&'static str),
    /// The proxy's protocol cannot carry the server's name or address.
    #[error("proxy cannot be told the server's address: {0}")]
    Target(&'static str),
    /// The URL of the proxy is invalid.
    #[error("{} is not the URL of a proxy: {problem}", .variable.unwrap_or("option proxy"))]
    Url {
        /// The variable of the environment that holds it, if it comes from there.
        variable: Option<&'static str>,
        /// What is wrong with it.
        problem: ProxyUrlError,
    },
}

impl ProxyError {
    /// Whether another attempt may follow: [`retry`](Self::retry) does not say never.
    pub const fn is_retryable(&self) -> bool {
        !matches!(self.retry(), Retry::Never)
    }

    /// Whether another attempt is worth it, and how soon; see [`Error::retry`](crate::Error::retry).
    pub const fn retry(&self) -> Retry {
        match self {
            Self::Connect { .. } | Self::EarlyBytes | Self::Eof | Self::Http(_) | Self::SocksSyntax(_) => Retry::Soon,
            Self::Refused(refusal) => Retry::after_status(refusal.status),
            Self::Socks { .. } if self.is_of_network() => Retry::Soon,
            Self::Authentication | Self::Socks { .. } => Retry::Slowly,
            Self::Credentials(_) | Self::Header(_) | Self::Target(_) | Self::Url { .. } => Retry::Never,
        }
    }

    /// Whether the proxy or the server was not reached, or the proxy was overloaded.
    pub(crate) const fn is_of_network(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Eof => true,
            Self::Refused(refusal) => matches!(refusal.status, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Socks { version: 4, code } => *code == 91,
            Self::Socks { code, .. } => matches!(code, 1 | 3..=6),
            Self::Authentication
            | Self::Credentials(_)
            | Self::EarlyBytes
            | Self::Header(_)
            | Self::Http(_)
            | Self::SocksSyntax(_)
            | Self::Target(_)
            | Self::Url { .. } => false,
        }
    }

    /// The same error once more.
    pub(super) fn duplicate(&self) -> Self {
        match self {
            Self::Authentication => Self::Authentication,
            Self::Connect { proxy, problem } => Self::Connect { proxy: proxy.clone(), problem: duplicate_io(problem) },
            Self::Credentials(problem) => Self::Credentials(problem),
            Self::EarlyBytes => Self::EarlyBytes,
            Self::Eof => Self::Eof,
            Self::Header(error) => Self::Header(*error),
            Self::Http(error) => Self::Http(error.clone()),
            Self::Refused(refusal) => Self::Refused(refusal.clone()),
            Self::Socks { version, code } => Self::Socks { version: *version, code: *code },
            Self::SocksSyntax(problem) => Self::SocksSyntax(problem),
            Self::Target(problem) => Self::Target(problem),
            Self::Url { variable, problem } => Self::Url { variable: *variable, problem: *problem },
        }
    }

    /// Whether other credentials may help. Some HTTP proxies say 401 where they should say 407.
    pub const fn wants_credentials(&self) -> bool {
        match self {
            Self::Authentication => true,
            Self::Refused(refusal) => matches!(refusal.status, 401 | 407),
            _ => false,
        }
    }
}

fn fmt_connect(proxy: &str, problem: &io::Error, f: &mut Formatter<'_>) -> fmt::Result {
    fmt_with_cause(f, format_args!("cannot connect to proxy {proxy:?}"), problem)
}

/// The meaning of a reply: RFC 1928, section 6, and the paper on version 4.
const fn socks_words(version: u8, code: u8) -> &'static str {
    match (version, code) {
        (4, 91) => "request rejected or failed",
        (4, 92) => "identd of this machine was not reached",
        (4, 93) => "identd of this machine names another user",
        (5, 1) => "general failure",
        (5, 2) => "not allowed by the proxy's rules",
        (5, 3) => "network unreachable",
        (5, 4) => "host unreachable",
        (5, 5) => "connection refused",
        (5, 6) => "time to live expired",
        (5, 7) => "command not supported",
        (5, 8) => "address type not supported",
        _ => "which has no meaning",
    }
}
