//! Where to connect to: `ws://` and `wss://` URLs (RFC 6455, section 3), and those of Unix sockets.
//!
//! The text is checked as it was given before anything interprets it. The WHATWG rules of the `url` crate forgive too
//! much for a program: `\` for `/`, tabs that vanish, `0x7f.1` for 127.0.0.1. They are used for names in other scripts
//! only.

mod error;
mod host;
mod proxy;
mod reference;

use std::fmt;
use std::path::PathBuf;

use self::error::excerpt;
pub use self::error::{ProxyUrlError, UrlError};
use self::host::{Host, encode_into, encode_resource, parse_host, parse_port, percent_decode, split_port};
pub(crate) use self::proxy::{ProxyScheme, ProxyUrl, to_ascii};
use crate::authentication::Credentials;

/// Where to connect to, and what to ask for there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// Whether TLS is spoken: the scheme is `wss` or `wss+unix`.
    pub(crate) secure: bool,
    /// The Unix socket to connect to in place of host and port: the scheme is `ws+unix` or `wss+unix`.
    pub(crate) socket_path: Option<PathBuf>,
    /// Lower case and ASCII; an address is in its canonical form, an IPv6 one without brackets and zone. `localhost` for a Unix
    /// socket.
    pub(crate) host: String,
    /// The zone of a link-local IPv6 address: a name or number of an interface (RFC 6874). It is for this machine alone: no peer
    /// is told of it.
    pub(crate) zone: Option<String>,
    pub(crate) port: u16,
    /// Path and query, percent-encoded where RFC 3986 wants it. Begins with a slash.
    pub(crate) resource: String,
    pub(crate) userinfo: Option<UserInfo>,
}

/// What stands before the `@`, percent-encoded as it was given. Its `Debug` form does not show it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct UserInfo(pub(crate) String);

/// What a scheme says.
#[derive(Clone, Copy, Debug)]
struct Scheme {
    secure: bool,
    unix: bool,
}

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// A [`UrlError`] for everything that is not the URL of a WebSocket by the letter of RFC 3986 and RFC 6455, save
    /// that what only needs percent-encoding in path and query gets it.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        check_characters(url)?;
        let (scheme, rest) = split_scheme(url)?;
        let (authority, rest) = split_before(rest, ['/', '?', '#']);
        let (userinfo, host_and_port) = split_userinfo(authority)?;
        if let Some(at) = authority.find(' ') {
            return Err(UrlError::Character { character: ' ', at: url.len() - rest.len() - authority.len() + at });
        }
        if scheme.unix {
            return Self::of_socket(scheme.secure, userinfo, host_and_port, rest);
        }
        // A slash in a password ends the authority, and an encoded `@` does not end the userinfo: what is then no host
        // or port must not be shown.
        let hides_password = |error| {
            let is_userinfo = rest.contains('@') || hides_userinfo(host_and_port) || hides_userinfo(rest);
            if is_userinfo { UrlError::UserInfo } else { error }
        };
        let (Host { name, zone }, port) = parse_host_and_port(host_and_port).map_err(hides_password)?;
        Ok(Self {
            secure: scheme.secure,
            socket_path: None,
            host: name,
            zone,
            port: port.unwrap_or_else(|| default_port(scheme.secure)),
            resource: encode_resource(rest),
            userinfo,
        })
    }

    /// Reads what stands behind the authority of a Unix socket's URL, which has no host.
    fn of_socket(secure: bool, userinfo: Option<UserInfo>, host: &str, rest: &str) -> Result<Self, UrlError> {
        if !host.is_empty() {
            return Err(UrlError::UnixSocket);
        }
        let (path, resource) = split_socket_path(rest)?;
        Ok(Self {
            secure,
            socket_path: Some(path),
            host: String::from("localhost"),
            zone: None,
            port: default_port(secure),
            resource: encode_resource(resource),
            userinfo,
        })
    }

    /// The value of the `Host` header field: the port is left out where it is the scheme's own.
    pub(crate) fn host_header(&self) -> String {
        self.authority("")
    }

    /// The value of the `Origin` header field that names the server itself, as websocket-client sends it.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host_header())
    }

    /// Whether secrets meant for one are safe with the other: scheme, host and port are the same (RFC 6454, section 4), and what
    /// else leads to another server.
    pub(crate) fn is_same_origin(&self, other: &Self) -> bool {
        let origin = |target: &Self| (target.secure, target.port);
        origin(self) == origin(other)
            && self.host == other.host
            && self.zone == other.zone
            && self.socket_path == other.socket_path
    }

    /// Host and port; `zone` stands behind an IPv6 address.
    fn authority(&self, zone: &str) -> String {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let mut authority = [brackets.0, &self.host, zone, brackets.1].concat();
        if self.port != default_port(self.secure) {
            authority.push(':');
            authority.push_str(&self.port.to_string());
        }
        authority
    }
}

/// What of a URL may be shown to anybody who reads a log: all but the query, which may hold a token. There must be no userinfo in
/// it.
pub(crate) fn without_query(url: &str) -> &str {
    split_before(url, ['?']).0
}

/// The URL in its normal form, without userinfo.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        if let Some(path) = &self.socket_path {
            let mut encoded = String::new();
            encode_into(&mut encoded, &path.to_string_lossy(), UNSAFE_IN_SOCKET_PATH);
            return write!(f, "{scheme}+unix://{encoded}:{}", self.resource);
        }
        let zone = self.zone.as_ref().map(|zone| format!("%25{zone}")).unwrap_or_default();
        write!(f, "{scheme}://{}{}", self.authority(&zone), self.resource)
    }
}

impl UserInfo {
    /// `user:password` in bytes, as Basic authorization wants it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = percent_decode(&self.0);
        if !self.0.contains(':') {
            bytes.push(b':');
        }
        bytes
    }

    /// The same apart, if both are text.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let (user, password) = self.0.split_once(':').unwrap_or((&self.0, ""));
        let text = |part| String::from_utf8(percent_decode(part)).ok();
        Some(Credentials { user: text(user)?, password: text(password)? })
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(..)")
    }
}

/// A host that stands alone, in the form of [`Target::host`].
pub(crate) fn canonical_host(text: &str) -> Result<String, UrlError> {
    parse_host(text).map(|host| host.name)
}

/// Whether there is an `@`, or a colon, that becomes one only when it is decoded: percent-encoded, even several times,
/// or as compatibility characters of Unicode.
fn hides_userinfo(text: &str) -> bool {
    const MAX_ROUNDS: usize = 8;
    let is_at = |c| matches!(c, '\u{ff20}' | '\u{fe6b}');
    let is_colon = |c| matches!(c, '\u{ff1a}' | '\u{fe55}' | '\u{fe13}');
    let mut encoded = text.to_owned();
    for _ in 0..MAX_ROUNDS {
        if encoded.contains(|c| is_at(c) || is_colon(c)) {
            return true;
        }
        let decoded = String::from_utf8_lossy(&percent_decode(&encoded)).into_owned();
        if decoded == encoded {
            return false;
        }
        if decoded.contains('@') || decoded.matches(':').count() > encoded.matches(':').count() {
            return true;
        }
        encoded = decoded;
    }
    true
}

fn parse_host_and_port(text: &str) -> Result<(Host, Option<u16>), UrlError> {
    let (host, port) = split_port(text)?;
    Ok((parse_host(host)?, port.map(parse_port).transpose()?))
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

/// Refuses what no part of a URL may contain, and what a lenient parser would drop or take for a slash.
fn check_characters(url: &str) -> Result<(), UrlError> {
    let last = url.chars().next_back().map_or(0, |last| url.len() - last.len_utf8());
    for (at, character) in url.char_indices() {
        let edge = at == 0 || at == last;
        if character.is_control() || character == '\\' || edge && character.is_whitespace() {
            return Err(UrlError::Character { character, at });
        }
    }
    Ok(())
}

/// What the scheme says, and what follows its two slashes.
fn split_scheme(url: &str) -> Result<(Scheme, &str), UrlError> {
    let (scheme, rest) = url.split_once(':').filter(|(scheme, _)| is_scheme(scheme)).ok_or(UrlError::NoScheme)?;
    let rest = rest.strip_prefix("//").ok_or(UrlError::NoScheme)?;
    let (secure, unix) = match scheme.to_ascii_lowercase().as_str() {
        "ws" => (false, false),
        "wss" => (true, false),
        "ws+unix" => (false, true),
        "wss+unix" => (true, true),
        other => return Err(UrlError::Scheme(excerpt(other))),
    };
    Ok((Scheme { secure, unix }, rest))
}

/// Whether this can be a scheme (RFC 3986, section 3.1).
fn is_scheme(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(is_letter)
}

/// What stands before the first of `delimiters`, and the rest, which begins with it.
fn split_before<const N: usize>(text: &str, delimiters: [char; N]) -> (&str, &str) {
    text.split_at(text.find(delimiters).unwrap_or(text.len()))
}

fn split_userinfo(authority: &str) -> Result<(Option<UserInfo>, &str), UrlError> {
    match authority.split_once('@') {
        None => Ok((None, authority)),
        Some((_, rest)) if rest.contains('@') => Err(UrlError::UserInfo),
        Some(("", rest)) => Ok((None, rest)),
        Some((userinfo, rest)) => Ok((Some(UserInfo(userinfo.to_owned())), rest)),
    }
}

// Unix sockets, in the form of npm ws: `ws+unix:///absolute/path.sock:/resource?query`.

/// What in a socket's path is percent-encoded: what would end it, and the percent sign itself.
const UNSAFE_IN_SOCKET_PATH: &[u8] = b"%:?#\\\"<>`{}^|";

/// The path of the socket, which ends at the first colon, and what is asked for behind it.
fn split_socket_path(rest: &str) -> Result<(PathBuf, &str), UrlError> {
    let (path, rest) = split_before(rest, [':', '?', '#']);
    let resource = rest.strip_prefix(':').unwrap_or(rest);
    let path = String::from_utf8(percent_decode(path)).map_err(|_| UrlError::UnixSocket)?;
    let is_absolute = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
    let is_resource = resource.is_empty() || resource.starts_with(['/', '?', '#']);
    if !is_absolute || !is_resource {
        return Err(UrlError::UnixSocket);
    }
    Ok((PathBuf::from(path), resource))
}

#[cfg(test)]
mod tests;
