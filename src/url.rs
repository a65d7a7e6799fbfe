//! Where to connect to: `ws://` and `wss://` URLs (RFC 6455, section 3).
//!
//! The text is checked as it was given before anything interprets it. The WHATWG rules of the `url` crate forgive too
//! much for a program: `\` for `/`, tabs that vanish, `0x7f.1` for 127.0.0.1. They are used for names in other scripts
//! only.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use thiserror::Error;
use url::Host;

/// The longest name that the DNS has room for (RFC 1035, section 3.1), in presentation form without a final dot.
const MAX_NAME: usize = 253;
/// The longest part of a name between two dots (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;
/// Upper case, as RFC 3986, section 2.1, asks for.
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Where to connect to, and what to ask for there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    /// Whether TLS is spoken: the scheme is `wss`.
    pub(crate) secure: bool,
    /// The Unix socket to connect to in place of host and port: the scheme is `ws+unix` or `wss+unix`.
    pub(crate) socket_path: Option<PathBuf>,
    /// Lower case and ASCII; an address is in its canonical form, an IPv6 one without brackets and zone. `localhost` for a Unix
    /// socket.
    pub(crate) host: String,
    /// The zone of a link-local IPv6 address: a name or number of an interface (RFC 6874).
    pub(crate) zone: Option<String>,
    pub(crate) port: u16,
    /// Path and query, percent-encoded where RFC 3986 wants it. Begins with a slash.
    pub(crate) resource: String,
    pub(crate) userinfo: Option<UserInfo>,
}

/// What stands before the `@`, percent-encoded as it was given. Its `Debug` form does not show it.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct UserInfo(pub(crate) String);

impl Target {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// A [`UrlError`] for everything that is not the URL of a WebSocket by the letter of RFC 3986 and RFC 6455, save
    /// that what only needs percent-encoding in path and query gets it.
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        check_characters(url)?;
        let (secure, rest) = split_scheme(url)?;
        let (authority, rest) = split_before(rest, ['/', '?', '#']);
        let (userinfo, host_and_port) = split_userinfo(authority)?;
        if let Some(at) = authority.find(' ') {
            return Err(UrlError::Character { character: ' ', at: url.len() - rest.len() - authority.len() + at });
        }
        let (host, port) = split_port(host_and_port)?;
        let default_port = if secure { 443 } else { 80 };
        Ok(Self {
            secure,
            socket_path: None,
            zone: None,
            host: parse_host(host)?,
            port: port.map_or(Ok(default_port), parse_port)?,
            resource: encode_resource(rest),
            userinfo,
        })
    }

    /// The value of the `Host` header field: the port is left out where it is the scheme's own.
    pub(crate) fn host_header(&self) -> String {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let mut header = [brackets.0, &self.host, brackets.1].concat();
        if !self.has_default_port() {
            header.push(':');
            header.push_str(&self.port.to_string());
        }
        header
    }

    /// The value of the `Origin` header field that names the server itself, as websocket-client sends it.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.secure { "https" } else { "http" }, self.host_header())
    }

    const fn has_default_port(&self) -> bool {
        self.port == if self.secure { 443 } else { 80 }
    }
}

/// The URL in its normal form, without userinfo.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_header(), self.resource)
    }
}

impl UserInfo {
    /// `user:password` in bytes, as Basic authorization wants it.
    pub(crate) fn credentials(&self) -> Vec<u8> {
        let mut bytes = percent_decode(&self.0);
        if !self.0.contains(':') {
            bytes.push(b':');
        }
        bytes
    }
}

impl fmt::Debug for UserInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(..)")
    }
}

/// What is wrong with a URL.
///
/// ```
/// use websocket_sync::{Error, UrlError, create_connection};
///
/// let Err(Error::Url(error)) = create_connection("https://example.com/") else { unreachable!() };
/// assert_eq!(error, UrlError::Scheme("https".into()));
/// assert_eq!(error.to_string(), "scheme \"https\" is not ws or wss; write wss:// in its place");
/// ```
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// A character that cannot stand there as it is: a control character, a backslash, a space in the host or at either
    /// end.
    #[error("{character:?} at byte {at} is not allowed there; in path and query write it percent-encoded")]
    Character {
        /// The first such character.
        character: char,
        /// Where it is, in bytes from the start.
        at: usize,
    },
    /// Nothing where the host should be.
    #[error("it has no host")]
    EmptyHost,
    /// Neither a name nor an address.
    #[error("{0:?} is not a host name")]
    Host(Box<str>),
    /// Something that some programs take for an IPv4 address, but not four decimal numbers.
    #[error("{0:?} is not an IPv4 address of four decimal numbers")]
    Ipv4(Box<str>),
    /// Brackets around something that is no IPv6 address, or only one of them.
    #[error("{0:?} is not an IPv6 address in brackets")]
    Ipv6(Box<str>),
    /// No scheme, or not the two slashes after it.
    #[error("it does not begin with ws:// or wss://")]
    NoScheme,
    /// A port that is no number from 1 to 65535.
    #[error("port {0:?} is not a number from 1 to 65535")]
    Port(Box<str>),
    /// Another scheme than `ws` and `wss`.
    #[error("scheme {0:?} is not ws or wss{hint}", hint = hint(.0))]
    Scheme(Box<str>),
    /// An IPv6 address that is not in brackets.
    #[error("the IPv6 address needs brackets: ws://[::1]/")]
    UnbracketedIpv6,
    /// A socket of the file system.
    #[error("ws+unix is not supported yet; connect a UnixStream and use ConnectOptions::connect_over")]
    UnixSocket,
    /// More than one `@` before the path, so that it is not clear where the host begins.
    #[error("it has more than one @ before its path; in user and password write %40")]
    UserInfo,
    /// A zone identifier in an IPv6 address.
    #[error(
        "zone identifiers of IPv6 addresses are not supported yet; connect a TcpStream and use ConnectOptions::connect_over"
    )]
    ZoneId,
}

/// What the user of an HTTP scheme meant.
fn hint(scheme: &str) -> &'static str {
    match scheme {
        "http" => "; write ws:// in its place",
        "https" => "; write wss:// in its place",
        _ => "",
    }
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

/// Whether the scheme is `wss`, and what follows its two slashes.
fn split_scheme(url: &str) -> Result<(bool, &str), UrlError> {
    let (scheme, rest) = url.split_once(':').ok_or(UrlError::NoScheme)?;
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letters) {
        return Err(UrlError::NoScheme);
    }
    let rest = rest.strip_prefix("//").ok_or(UrlError::NoScheme)?;
    match scheme.to_ascii_lowercase().as_str() {
        "ws" => Ok((false, rest)),
        "wss" => Ok((true, rest)),
        "ws+unix" | "wss+unix" => Err(UrlError::UnixSocket),
        other => Err(UrlError::Scheme(other.into())),
    }
}

/// What stands before the first of `delimiters`, and the rest, which begins with it.
fn split_before<const N: usize>(text: &str, delimiters: [char; N]) -> (&str, &str) {
    text.split_at(text.find(delimiters).unwrap_or(text.len()))
}

fn split_userinfo(authority: &str) -> Result<(Option<UserInfo>, &str), UrlError> {
    match authority.split_once('@') {
        None => Ok((None, authority)),
        Some((_, rest)) if rest.contains('@') => Err(UrlError::UserInfo),
        Some((userinfo, rest)) => Ok((Some(UserInfo(userinfo.to_owned())), rest)),
    }
}

/// The host, with its brackets if it has any, and the port, if one is given. An empty one is none (RFC 3986, section
/// 3.2.3).
fn split_port(text: &str) -> Result<(&str, Option<&str>), UrlError> {
    let after_host = match text.find(']') {
        Some(bracket) => bracket + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(after_host);
    match port.strip_prefix(':') {
        Some(port) if port.contains(':') => Err(UrlError::UnbracketedIpv6),
        Some(port) => Ok((host, Some(port).filter(|port| !port.is_empty()))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(UrlError::Ipv6(text.into())),
    }
}

/// 0 is no port that one can connect to, though it parses as one.
fn parse_port(port: &str) -> Result<u16, UrlError> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|&number| digits && number != 0).ok_or_else(|| UrlError::Port(port.into()))
}

/// A name or an address in its canonical form, as [`Target`] has it.
pub(crate) fn parse_host(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return Err(UrlError::EmptyHost);
    }
    if host.contains(['[', ']']) {
        return parse_ipv6(host);
    }
    // The `url` crate would decode it, and another program would not.
    if host.contains('%') {
        return Err(UrlError::Host(host.into()));
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) if is_name(&name) => Ok(name),
        Ok(Host::Ipv4(address)) if host.parse() == Ok::<Ipv4Addr, _>(address) => Ok(address.to_string()),
        Ok(Host::Ipv4(_)) => Err(UrlError::Ipv4(host.into())),
        Err(url::ParseError::InvalidIpv4Address) => Err(UrlError::Ipv4(host.into())),
        _ => Err(UrlError::Host(host.into())),
    }
}

fn parse_ipv6(host: &str) -> Result<String, UrlError> {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let inside = inside.ok_or_else(|| UrlError::Ipv6(host.into()))?;
    if let Some((address, _)) = inside.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return Err(UrlError::ZoneId);
    }
    let address: Ipv6Addr = inside.parse().map_err(|_| UrlError::Ipv6(host.into()))?;
    Ok(address.to_string())
}

/// Whether the DNS could know the name, as far as lengths go. One final dot is allowed.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= MAX_NAME && name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()))
}

/// Path and query for the request line, without the fragment (RFC 6455, section 3).
///
/// Nothing is decoded, and dots in the path are left alone: the server gets what the user wrote.
fn encode_resource(rest: &str) -> String {
    let (rest, _fragment) = split_before(rest, ['#']);
    let mut resource = String::with_capacity(rest.len() + 1);
    if !rest.starts_with('/') {
        resource.push('/');
    }
    let (path, query) = split_before(rest, ['?']);
    encode_into(&mut resource, path, b"\"<>`{}^");
    encode_into(&mut resource, query, b"\"<>");
    resource
}

/// Appends `text`, percent-encoding spaces, what is not ASCII, and the characters of `unsafe_characters` (those of the
/// WHATWG's path and query sets).
fn encode_into(out: &mut String, text: &str, unsafe_characters: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !unsafe_characters.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
}

/// Replaces each `%XX` by its byte; what is no such thing stays.
fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.first_chunk::<2>().filter(|_| first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

#[cfg(test)]
mod tests;
