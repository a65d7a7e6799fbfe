//! Where to connect to: `ws://` and `wss://` URLs (RFC 6455, section 3).
//!
//! The text is checked as it was given before anything interprets it. The WHATWG rules of the `url` crate forgive too
//! much for a program: `\` for `/`, tabs that vanish, `0x7f.1` for 127.0.0.1. They are used for names in other scripts
//! only.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

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
    /// Lower case and ASCII; an address is in its canonical form, an IPv6 one without brackets.
    pub(crate) host: String,
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

fn parse_host(host: &str) -> Result<String, UrlError> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_are_read_by_the_letter() {
        // URL; secure, host, port, resource
        let cases: &[(&str, bool, &str, u16, &str)] = &[
            ("ws://www.example.com/r", false, "www.example.com", 80, "/r"),
            ("ws://www.example.com/r/", false, "www.example.com", 80, "/r/"),
            ("ws://www.example.com/", false, "www.example.com", 80, "/"),
            ("ws://www.example.com", false, "www.example.com", 80, "/"),
            ("ws://www.example.com:8080/r", false, "www.example.com", 8080, "/r"),
            ("ws://www.example.com:8080/", false, "www.example.com", 8080, "/"),
            ("ws://www.example.com:8080", false, "www.example.com", 8080, "/"),
            ("wss://www.example.com:8080/r", true, "www.example.com", 8080, "/r"),
            ("wss://www.example.com:8080/r?key=value", true, "www.example.com", 8080, "/r?key=value"),
            ("wss://h", true, "h", 443, "/"),
            ("WS://h", false, "h", 80, "/"),
            ("wSs://h", true, "h", 443, "/"),
            ("ws://H.Example.COM/Path", false, "h.example.com", 80, "/Path"),
            ("ws://h:/", false, "h", 80, "/"),
            ("ws://h:1", false, "h", 1, "/"),
            ("ws://h:65535", false, "h", 65535, "/"),
            ("ws://h:0080/", false, "h", 80, "/"),
            ("ws://h?a", false, "h", 80, "/?a"),
            ("ws://h?a#b", false, "h", 80, "/?a"),
            ("ws://h#b", false, "h", 80, "/"),
            ("ws://h/#/?", false, "h", 80, "/"),
            ("ws://h/?", false, "h", 80, "/?"),
            ("ws://h/??", false, "h", 80, "/??"),
            ("ws://h//a//b", false, "h", 80, "//a//b"),
            ("ws://h/a/../b/./c", false, "h", 80, "/a/../b/./c"),
            ("ws://h/a;p=1;v?q", false, "h", 80, "/a;p=1;v?q"),
            ("ws://h/a b?q=c d", false, "h", 80, "/a%20b?q=c%20d"),
            ("ws://h/\u{e9}?q=\u{e9}", false, "h", 80, "/%C3%A9?q=%C3%A9"),
            ("ws://h/%41%zz%", false, "h", 80, "/%41%zz%"),
            ("ws://h/a'b(c)!*$&+,=:@~", false, "h", 80, "/a'b(c)!*$&+,=:@~"),
            ("ws://h/\"<>`{}^|[]", false, "h", 80, "/%22%3C%3E%60%7B%7D%5E|[]"),
            ("ws://h/?{\"a\":[1,2]}", false, "h", 80, "/?{%22a%22:[1,2]}"),
            ("ws://h/?u=ws://x:1/y@z", false, "h", 80, "/?u=ws://x:1/y@z"),
            ("ws://h/@x:y", false, "h", 80, "/@x:y"),
            ("ws://localhost:9001", false, "localhost", 9001, "/"),
            ("ws://my_host-1/", false, "my_host-1", 80, "/"),
            ("ws://example.com./", false, "example.com.", 80, "/"),
            ("ws://127.0.0.1:1/", false, "127.0.0.1", 1, "/"),
            ("ws://1.2.3.4.example/", false, "1.2.3.4.example", 80, "/"),
            ("ws://[::1]/", false, "::1", 80, "/"),
            ("ws://[::1]:/", false, "::1", 80, "/"),
            ("ws://[2a03:4000:123:83::3]/r", false, "2a03:4000:123:83::3", 80, "/r"),
            ("ws://[2a03:4000:123:83::3]:8080/r", false, "2a03:4000:123:83::3", 8080, "/r"),
            ("wss://[2A03:4000:0123:0083:0:0:0:3]:8080/r", true, "2a03:4000:123:83::3", 8080, "/r"),
            ("ws://[::ffff:1.2.3.4]", false, "::ffff:1.2.3.4", 80, "/"),
            ("ws://b\u{fc}cher.example/", false, "xn--bcher-kva.example", 80, "/"),
            ("ws://B\u{dc}CHER.example/", false, "xn--bcher-kva.example", 80, "/"),
            ("ws://a\u{ad}b/\u{ad}", false, "ab", 80, "/%C2%AD"),
            ("ws://xn--bcher-kva.example/", false, "xn--bcher-kva.example", 80, "/"),
            ("ws://\u{4f8b}\u{3048}\u{3002}jp/", false, "xn--r8jz45g.jp", 80, "/"),
        ];
        for &(url, secure, host, port, resource) in cases {
            let expected = Target { secure, host: host.into(), port, resource: resource.into(), userinfo: None };
            assert_eq!(Target::parse(url), Ok(expected), "{url}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let character = |character, at| UrlError::Character { character, at };
        let cases: &[(&str, UrlError)] = &[
            ("", UrlError::NoScheme),
            ("ws", UrlError::NoScheme),
            ("example.com", UrlError::NoScheme),
            ("ws//example.com", UrlError::NoScheme),
            ("ws:h", UrlError::NoScheme),
            ("ws:/h", UrlError::NoScheme),
            ("localhost:80", UrlError::NoScheme),
            ("://h", UrlError::NoScheme),
            ("1ws://h", UrlError::NoScheme),
            ("w s://h", UrlError::NoScheme),
            ("http://h", UrlError::Scheme("http".into())),
            ("HTTPS://h", UrlError::Scheme("https".into())),
            ("wsss://h", UrlError::Scheme("wsss".into())),
            ("ws+unix:///run/socket", UrlError::UnixSocket),
            ("WSS+UNIX:///run/socket", UrlError::UnixSocket),
            ("ws://", UrlError::EmptyHost),
            ("ws:///x", UrlError::EmptyHost),
            ("ws://:80/", UrlError::EmptyHost),
            ("ws://user@/x", UrlError::EmptyHost),
            ("ws://?q", UrlError::EmptyHost),
            ("ws://#", UrlError::EmptyHost),
            ("ws://h:0/", UrlError::Port("0".into())),
            ("ws://h:65536/", UrlError::Port("65536".into())),
            ("ws://h:99999999999999999999/", UrlError::Port("99999999999999999999".into())),
            ("ws://h:abc/", UrlError::Port("abc".into())),
            ("ws://h:+80/", UrlError::Port("+80".into())),
            ("ws://h:-1/", UrlError::Port("-1".into())),
            ("ws://h:8\u{664}/", UrlError::Port("8\u{664}".into())),
            ("ws://::1/", UrlError::UnbracketedIpv6),
            ("ws://2a03:4000::3:80/", UrlError::UnbracketedIpv6),
            ("ws://[::1", UrlError::UnbracketedIpv6),
            ("ws://[::1]x:80", UrlError::Ipv6("[::1]x:80".into())),
            ("ws://[]/", UrlError::Ipv6("[]".into())),
            ("ws://[h]/", UrlError::Ipv6("[h]".into())),
            ("ws://[1.2.3.4]/", UrlError::Ipv6("[1.2.3.4]".into())),
            ("ws://[1::2::3]/", UrlError::Ipv6("[1::2::3]".into())),
            ("ws://[v1.a]/", UrlError::Ipv6("[v1.a]".into())),
            ("ws://a[::1]/", UrlError::Ipv6("a[::1]".into())),
            ("ws://a]/", UrlError::Ipv6("a]".into())),
            ("ws://[fe80::1%25eth0]/", UrlError::ZoneId),
            ("ws://[fe80::1%eth0]:80/", UrlError::ZoneId),
            ("ws://0x7f.1/", UrlError::Ipv4("0x7f.1".into())),
            ("ws://127.1/", UrlError::Ipv4("127.1".into())),
            ("ws://2130706433/", UrlError::Ipv4("2130706433".into())),
            ("ws://0177.0.0.1/", UrlError::Ipv4("0177.0.0.1".into())),
            ("ws://127.0.0.1./", UrlError::Ipv4("127.0.0.1.".into())),
            ("ws://1.2.3.256/", UrlError::Ipv4("1.2.3.256".into())),
            ("ws://1.2.3.4.5/", UrlError::Ipv4("1.2.3.4.5".into())),
            ("ws://\u{ff11}.2.3.4/", UrlError::Ipv4("\u{ff11}.2.3.4".into())),
            ("ws://a..b/", UrlError::Host("a..b".into())),
            ("ws://.a/", UrlError::Host(".a".into())),
            ("ws://./", UrlError::Host(".".into())),
            ("ws://ex%61mple/", UrlError::Host("ex%61mple".into())),
            ("ws://a%00b/", UrlError::Host("a%00b".into())),
            ("ws://a<b/", UrlError::Host("a<b".into())),
            ("ws://a|b/", UrlError::Host("a|b".into())),
            ("ws://\u{ad}/", UrlError::Host("\u{ad}".into())),
            ("ws://a@b@c/", UrlError::UserInfo),
            (" ws://h", character(' ', 0)),
            ("ws://h ", character(' ', 6)),
            ("ws://h/\u{a0}", character('\u{a0}', 7)),
            ("ws://h h/", character(' ', 6)),
            ("ws://u u@h/", character(' ', 6)),
            ("ws://h :80/", character(' ', 6)),
            ("ws://h\t/", character('\t', 6)),
            ("ws://h/a\r\nX: y", character('\r', 8)),
            ("ws://h/?\n", character('\n', 8)),
            ("ws://h/#\0", character('\0', 8)),
            ("ws://h/\u{7f}", character('\u{7f}', 7)),
            ("ws://h/\u{85}/", character('\u{85}', 7)),
            ("ws:\\\\h", character('\\', 3)),
            ("ws://h\\@evil/", character('\\', 6)),
            ("ws://h/a\\b", character('\\', 8)),
        ];
        for (url, expected) in cases {
            assert_eq!(Target::parse(url).as_ref(), Err(expected), "{url:?}");
        }
    }

    #[test]
    fn names_longer_than_the_dns_allows_are_refused() {
        let label = "a".repeat(63);
        let name = [label.as_str(); 4].join(".");
        assert_eq!(name.len(), 255);
        assert!(Target::parse(&format!("ws://{}", &name[2..])).is_ok());
        assert!(Target::parse(&format!("ws://{}.", &name[2..])).is_ok());
        assert!(Target::parse(&format!("ws://{}", &name[1..])).is_err());
        assert!(Target::parse(&format!("ws://a{label}.b")).is_err());
    }

    #[test]
    fn userinfo_is_kept_apart_and_never_shown() {
        let target = Target::parse("wss://john%40x:s3cret@h:1/r").unwrap();
        assert_eq!(target.userinfo, Some(UserInfo("john%40x:s3cret".into())));
        assert_eq!(target.to_string(), "wss://h:1/r");
        assert!(!format!("{target:?}").contains("s3cret"));
        let error = Target::parse("wss://john:s3cret@h h/").unwrap_err();
        assert!(!error.to_string().contains("s3cret"));
    }

    #[test]
    fn host_and_origin_leave_the_port_out_where_it_is_the_schemes_own() {
        let cases = [
            ("ws://h", "h", "http://h"),
            ("ws://h:80", "h", "http://h"),
            ("ws://h:443", "h:443", "http://h:443"),
            ("wss://h:443", "h", "https://h"),
            ("wss://h:80", "h:80", "https://h:80"),
            ("wss://h:8443", "h:8443", "https://h:8443"),
            ("ws://[::1]", "[::1]", "http://[::1]"),
            ("ws://[::1]:81", "[::1]:81", "http://[::1]:81"),
        ];
        for (url, host, origin) in cases {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host_header(), target.origin()), (host.into(), origin.into()), "{url}");
        }
    }

    #[test]
    fn errors_are_small() {
        assert!(size_of::<UrlError>() <= 24);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_accepted_is_safe_in_a_request(url in "(ws|wss|)(://|)[\\PC\\s]{0,40}") {
            if let Ok(target) = Target::parse(&url) {
                let shown = target.to_string();
                prop_assert!(shown.bytes().all(|byte| byte.is_ascii_graphic()), "{shown:?}");
                prop_assert!(target.resource.starts_with('/'));
                prop_assert_eq!(Target { userinfo: None, ..target }, Target::parse(&shown).unwrap());
            }
        }
    }
}
