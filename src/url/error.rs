//! What can be wrong with a URL, of a server or of a proxy.

use thiserror::Error;

/// The most characters of a URL that an error holds.
const MAX_SHOWN: usize = 200;

/// Spaces stand only in path and query as they are.
const ENCODE: &str = "; in path and query write it percent-encoded";

/// What is wrong with a URL.
///
/// What it holds of the URL are the first 200 characters of the part that is wrong, shown with everything escaped that
/// is no plain text. User and password are not among them, even where an `@` is percent-encoded or in the wrong place.
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
    #[error("{character:?} at byte {at} is not allowed there{}", if *.character == ' ' { "" } else { ENCODE })]
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
    /// A Unix socket whose path is not absolute, not text, or followed by something that is no resource.
    #[error(
        "a Unix socket needs an absolute path, and a colon before the resource: ws+unix:///run/server.sock:/resource"
    )]
    UnixSocket,
    /// More than one `@` before the path, or one that is encoded or stands behind it while what stands before is no
    /// host and port: it is not clear where the host begins.
    #[error("user and password have a character that ends them; write %40 for @, %2F for /, %3F for ? and %23 for #")]
    UserInfo,
    /// A zone identifier that names no interface, or behind an address that needs none (RFC 6874).
    #[error(
        "a zone identifier is the name or number of an interface, behind a link-local address: ws://[fe80::1%25eth0]/"
    )]
    ZoneId,
}

/// As much of a part of a URL as an error holds.
pub(super) fn excerpt(part: &str) -> Box<str> {
    match part.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => [&part[..end], "…"].concat().into(),
        None => part.into(),
    }
}

/// What the user of an HTTP scheme meant.
fn hint(scheme: &str) -> &'static str {
    match scheme {
        "http" => "; write ws:// in its place",
        "https" => "; write wss:// in its place",
        _ => "",
    }
}

/// What is wrong with the URL of a proxy. It holds no part of that URL: what is malformed may well be a password.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// `socks://`, which programs take for different versions.
    #[error("socks:// does not say which version; write socks5h://, socks5://, socks4a:// or socks4://")]
    AmbiguousScheme,
    /// A control character, a space or a backslash.
    #[error("it has a character that no URL has")]
    Character,
    /// No host, or neither a name nor an address.
    #[error("its host is neither a name nor an address")]
    Host,
    /// A path, a query or a fragment, which nobody would be told.
    #[error("it goes on after host and port")]
    Path,
    /// A port that is no number from 1 to 65535.
    #[error("its port is not a number from 1 to 65535")]
    Port,
    /// Another scheme than those that this crate speaks.
    #[error("its scheme is not http, https, socks4, socks4a, socks5 or socks5h")]
    Scheme,
    /// User and password with a second `@`, or that are not UTF-8 when they are decoded.
    #[error("user and password are malformed; write %40 for @ in them")]
    UserInfo,
}
