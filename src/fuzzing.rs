//! The private parsers and state machines, for the fuzz targets in `fuzz/`. It exists with `--cfg fuzzing` only, and is no part of the
//! public interface.

pub use crate::app::fuzzing::{KeepaliveMachine, KeepaliveStep, LifecycleMachine};
use crate::authentication::{AllowedSchemes, Challenges, Credentials};
#[cfg(feature = "cookies")]
pub use crate::cookies::fuzzing::CookieStore;
use crate::error::{ProxyUrlError, Result};
pub use crate::net::TlsConnection;
use crate::net::{Transport, fuzzed_socks};
use crate::protocol::handshake::{HandshakeError, HeadLimits, Refusal, Tunnel, TunnelOutcome};
use crate::url::{ProxyUrl, Target, UrlError};

/// A URL, read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "for the fuzz targets alone")]
pub struct ParsedUrl {
    /// Whether TLS is spoken.
    pub secure: bool,
    /// Whether it is that of a Unix socket.
    pub is_unix: bool,
    /// The host, without brackets.
    pub host: String,
    /// The zone of a link-local address.
    pub zone: Option<String>,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub resource: String,
    /// Whether there is a userinfo.
    pub has_userinfo: bool,
    /// The value of the `Host` field.
    pub host_header: String,
    /// The normal form, without userinfo.
    pub shown: String,
}

impl From<Target> for ParsedUrl {
    fn from(target: Target) -> Self {
        Self {
            host_header: target.host_header(),
            shown: target.to_string(),
            secure: target.secure,
            is_unix: target.socket_path.is_some(),
            has_userinfo: target.userinfo.is_some(),
            host: target.host,
            zone: target.zone,
            port: target.port,
            resource: target.resource,
        }
    }
}

/// Reads a URL.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_url(text: &str) -> std::result::Result<ParsedUrl, UrlError> {
    Target::parse(text).map(ParsedUrl::from)
}

/// Where a redirect from one URL leads.
///
/// # Errors
///
/// What is wrong with either.
pub fn resolve_reference(base: &str, reference: &str) -> std::result::Result<ParsedUrl, UrlError> {
    Target::parse(base)?.resolve(reference).map(ParsedUrl::from)
}

/// The URL of a proxy, read.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "for the fuzz targets alone")]
pub struct ParsedProxyUrl {
    /// The scheme, as it is written.
    pub scheme: &'static str,
    /// The host, without brackets.
    pub host: String,
    /// The zone of a link-local address.
    pub zone: Option<String>,
    /// The port.
    pub port: u16,
    /// User and password.
    pub credentials: Option<(String, String)>,
    /// The `Debug` form.
    pub shown: String,
}

/// Reads the URL of a proxy.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_proxy_url(text: &str) -> std::result::Result<ParsedProxyUrl, ProxyUrlError> {
    let url = ProxyUrl::parse(text)?;
    let shown = format!("{url:?}");
    let credentials = url.credentials.map(|credentials| (credentials.user, credentials.password));
    Ok(ParsedProxyUrl {
        scheme: url.scheme.as_str(),
        host: url.host,
        zone: url.zone,
        port: url.port,
        credentials,
        shown,
    })
}

/// The authorization that answers the challenges in these fields, and whether one of them says `stale`.
pub fn answer_challenges(
    fields: &[&[u8]],
    (user, password): (&str, &str),
    digest_only: DigestOnly,
    uri: &str,
) -> (Option<Vec<u8>>, bool) {
    let challenges = Challenges::in_fields(fields.iter().copied());
    let credentials = Credentials { user: user.to_owned(), password: password.to_owned() };
    let allowed = match digest_only {
        DigestOnly::No => AllowedSchemes::BasicAndDigest,
        DigestOnly::Yes => AllowedSchemes::DigestOnly,
    };
    (challenges.answer(&credentials, allowed, ("GET", uri), [7; 16]), challenges.is_stale())
}

/// Whether user and password may be told by Basic.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "for the fuzz targets alone")]
pub enum DigestOnly {
    /// They may.
    No,
    /// They must not.
    Yes,
}

/// What an HTTP proxy answers to `CONNECT`.
#[derive(Debug)]
pub struct TunnelReader(Tunnel);

/// How it has answered.
#[derive(Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "for the fuzz targets alone")]
pub enum TunnelAnswer {
    /// There is a tunnel; so many bytes came behind the head.
    Established(usize),
    /// There is none, and whether another request may follow.
    Refused(Refusal, bool),
}

impl TunnelReader {
    /// Reads within these limits.
    pub fn new(limits: HeadLimits) -> Self {
        Self(Tunnel::new(limits))
    }

    /// Takes bytes.
    ///
    /// # Errors
    ///
    /// The rule that they break.
    pub fn receive(&mut self, bytes: &[u8]) -> std::result::Result<Option<TunnelAnswer>, HandshakeError> {
        Ok(self.0.receive(bytes)?.map(|outcome| match outcome {
            TunnelOutcome::Established { surplus } => TunnelAnswer::Established(surplus),
            TunnelOutcome::Refused(refused) => TunnelAnswer::Refused(refused.refusal, refused.persists),
        }))
    }

    /// The connection has ended.
    pub fn receive_eof(self) -> Option<Refusal> {
        self.0.receive_eof()
    }
}

/// Which protocol a SOCKS proxy speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "for the fuzz targets alone")]
pub enum SocksVersion {
    /// SOCKS 4a.
    Four,
    /// SOCKS 5.
    Five,
}

/// Has a SOCKS proxy connect to port 80 of a host over this stream.
///
/// # Errors
///
/// What the proxy says, and what it cannot be asked.
pub fn connect_by_socks(
    stream: Box<dyn Transport>,
    version: SocksVersion,
    host: &str,
    credentials: Option<(&str, &str)>,
) -> Result<()> {
    let credentials =
        credentials.map(|(user, password)| Credentials { user: user.to_owned(), password: password.to_owned() });
    match version {
        SocksVersion::Four => fuzzed_socks::version_4(stream, host, credentials.as_ref()),
        SocksVersion::Five => fuzzed_socks::version_5(stream, host, credentials.as_ref()),
    }
}
