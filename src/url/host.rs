//! The host of a URL, and its port (RFC 3986, sections 3.2.2 and 3.2.3); percent-encoding (section 2.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::error::{UrlError, excerpt};
use super::split_before;

/// The longest name that the DNS has room for (RFC 1035, section 3.1), in presentation form without a final dot.
const MAX_NAME: usize = 253;
/// The longest part of a name between two dots (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;
/// Longer than the name of any interface.
const MAX_ZONE: usize = 64;

/// What to connect to.
pub(super) struct Host {
    /// As [`Target::host`](super::Target::host) has it.
    pub(super) name: String,
    pub(super) zone: Option<String>,
}

/// The host, with its brackets if it has any, and the port, if one is given. An empty one is none (RFC 3986, section
/// 3.2.3).
pub(super) fn split_port(text: &str) -> Result<(&str, Option<&str>), UrlError> {
    let after_host = match text.find(']') {
        Some(bracket) => bracket + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, port) = text.split_at(after_host);
    match port.strip_prefix(':') {
        Some(port) if port.contains(':') => Err(UrlError::UnbracketedIpv6),
        Some(port) => Ok((host, Some(port).filter(|port| !port.is_empty()))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(UrlError::Ipv6(excerpt(text))),
    }
}

/// 0 is no port that one can connect to, though it parses as one.
pub(super) fn parse_port(port: &str) -> Result<u16, UrlError> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|&number| digits && number != 0).ok_or_else(|| UrlError::Port(excerpt(port)))
}

pub(super) fn parse_host(host: &str) -> Result<Host, UrlError> {
    if host.contains(['[', ']']) {
        return parse_ipv6(host);
    }
    Ok(Host { name: parse_name(host)?, zone: None })
}

/// A name, or an IPv4 address.
fn parse_name(host: &str) -> Result<String, UrlError> {
    if host.is_empty() {
        return Err(UrlError::EmptyHost);
    }
    // The `url` crate would decode it, and another program would not.
    if host.contains('%') {
        return Err(UrlError::Host(excerpt(host)));
    }
    match url::Host::parse(host) {
        Ok(url::Host::Domain(name)) if is_name(&name) => Ok(name),
        Ok(url::Host::Ipv4(address)) if host.parse() == Ok::<Ipv4Addr, _>(address) => Ok(address.to_string()),
        Ok(url::Host::Ipv4(_)) => Err(UrlError::Ipv4(excerpt(host))),
        Err(url::ParseError::InvalidIpv4Address) => Err(UrlError::Ipv4(excerpt(host))),
        _ => Err(UrlError::Host(excerpt(host))),
    }
}

fn parse_ipv6(host: &str) -> Result<Host, UrlError> {
    let inside = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let inside = inside.ok_or_else(|| UrlError::Ipv6(excerpt(host)))?;
    let (address, zone) = match inside.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (inside, None),
    };
    let address: Ipv6Addr = address.parse().map_err(|_| UrlError::Ipv6(excerpt(host)))?;
    let zone = match zone {
        Some(zone) if address.is_unicast_link_local() => Some(parse_zone(zone)?),
        Some(_) => return Err(UrlError::ZoneId),
        None => None,
    };
    Ok(Host { name: address.to_string(), zone })
}

/// The zone behind a percent sign, which is to be encoded as `%25` (RFC 6874, section 2). One that is not is what people paste;
/// it is understood where the zone does not begin with 25.
fn parse_zone(zone: &str) -> Result<String, UrlError> {
    let zone = percent_decode(zone.strip_prefix("25").unwrap_or(zone));
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    let is_zone = (1..=MAX_ZONE).contains(&zone.len()) && zone.iter().all(is_letter);
    String::from_utf8(zone).ok().filter(|_| is_zone).ok_or(UrlError::ZoneId)
}

/// Whether the DNS could know the name, as far as lengths go. One final dot is allowed.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= MAX_NAME && name.split('.').all(|label| (1..=MAX_LABEL).contains(&label.len()))
}

/// Upper case, as RFC 3986, section 2.1, asks for.
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Path and query for the request line, without the fragment (RFC 6455, section 3).
///
/// Nothing is decoded, and dots in the path are left alone: the server gets what the user wrote.
pub(super) fn encode_resource(rest: &str) -> String {
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

/// Appends `text`, percent-encoding spaces, what is not ASCII, and the characters of `unsafe_characters` (for path and query,
/// those of the WHATWG's sets).
pub(super) fn encode_into(out: &mut String, text: &str, unsafe_characters: &[u8]) {
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
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
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
