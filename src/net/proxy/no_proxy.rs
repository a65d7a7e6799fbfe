//! Which servers are connected to directly: the lists of `no_proxy` and
//! [`bypass_proxy`](crate::ConnectOptions::bypass_proxy).
//!
//! A name matches names and an address matches addresses, never one the other: `0.0.1` is no end of `127.0.0.1`, and
//! what a zone is called is no name. Nothing is looked up.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::url::{Target, to_ascii};

/// How many bits stand before an IPv4 address where it is written as an IPv6 address (RFC 4291, section 2.5.5.2).
const BEFORE_IPV4: u32 = 96;

/// Whether a server is in one of these lists, whose entries are separated by commas or spaces.
pub(super) fn lists<'a>(lists: impl IntoIterator<Item = &'a str>, target: &Target) -> bool {
    let host = Host::of(target);
    let separators = |c: char| c == ',' || c.is_whitespace();
    lists.into_iter().flat_map(|list| list.split(separators)).any(|entry| is_meant(entry, &host, target.port))
}

enum Host<'a> {
    Address(IpAddr),
    /// In lower case, without the final dot.
    Name(&'a str),
}

impl<'a> Host<'a> {
    fn of(target: &'a Target) -> Self {
        match target.host.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(target.host.strip_suffix('.').unwrap_or(&target.host)),
        }
    }
}

fn is_meant(entry: &str, host: &Host<'_>, port: u16) -> bool {
    // An IPv6 address without brackets has colons, too.
    if matches_host(entry, host) {
        return true;
    }
    let Some((rest, only)) = entry.rsplit_once(':') else { return false };
    parse_number(only) == Some(u32::from(port)) && !rest.contains('/') && matches_host(rest, host)
}

fn matches_host(entry: &str, host: &Host<'_>) -> bool {
    match host {
        _ if entry == "*" => true,
        Host::Name(name) => matches_name(&entry.to_ascii_lowercase(), name),
        Host::Address(address) => matches_address(entry, *address),
    }
}

/// Both in lower case.
fn matches_name(entry: &str, name: &str) -> bool {
    let entry = entry.strip_suffix('.').unwrap_or(entry);
    let (domain, is_itself_meant) = match entry.strip_prefix("*.") {
        Some(domain) => (domain, false),
        None => (entry.strip_prefix('.').unwrap_or(entry), true),
    };
    let Some(domain) = ascii(domain) else { return false };
    let below = name.strip_suffix(&*domain);
    match below {
        Some("") => is_itself_meant,
        Some(below) => below.len() > 1 && below.ends_with('.'),
        None => false,
    }
}

/// A name in another script as the DNS has it; the server's name is in that form.
fn ascii(domain: &str) -> Option<Cow<'_, str>> {
    if domain.is_empty() {
        return None;
    }
    if domain.is_ascii() { Some(Cow::Borrowed(domain)) } else { to_ascii(domain).map(Cow::Owned) }
}

/// Addresses are compared as numbers, so it does not matter how they are written.
fn matches_address(entry: &str, address: IpAddr) -> bool {
    let Some((network, prefix)) = entry.split_once('/') else {
        return parse_address(entry).is_some_and(|entry| number(entry) == number(address));
    };
    let (Some(network), Some(prefix)) = (parse_address(network), parse_number(prefix)) else { return false };
    let prefix = match network {
        IpAddr::V4(_) if prefix <= 32 => BEFORE_IPV4 + prefix,
        IpAddr::V6(_) if prefix <= 128 => prefix,
        _ => return false,
    };
    // All of IPv4 is a small part of `::/0`, and not what is meant by it.
    if prefix < BEFORE_IPV4 && address.to_canonical().is_ipv4() {
        return false;
    }
    (number(network) ^ number(address)).checked_shr(128 - prefix).unwrap_or(0) == 0
}

/// An address, an IPv6 one with or without its brackets.
fn parse_address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']')?.parse().ok().map(IpAddr::V6),
        None => text.parse().ok(),
    }
}

/// Digits, and nothing but digits.
fn parse_number(digits: &str) -> Option<u32> {
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// IPv4 as the part of IPv6 that stands for it.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(url: &str, list: &str, expected: bool) {
        let target = Target::parse(url).unwrap();
        assert_eq!(lists([list], &target), expected, "{url} and {list:?}");
    }

    #[test]
    fn the_table_of_names() {
        let table = [
            ("ws://example.com/", "example.com", true),
            ("ws://example.com/", "EXAMPLE.com", true),
            ("ws://EXAMPLE.COM/", "example.com", true),
            ("ws://example.com./", "example.com", true),
            ("ws://example.com/", "example.com.", true),
            ("ws://example.com/", "other.com", false),
            ("ws://example.com/", "example.org", false),
            ("ws://example.com/", "com", true),
            ("ws://example.com/", ".com", true),
            ("ws://example.com/", "om", false),
            ("ws://example.com/", "ample.com", false),
            ("ws://notexample.com/", "example.com", false),
            ("ws://notexample.com/", ".example.com", false),
            ("ws://a.example.com/", "example.com", true),
            ("ws://a.b.example.com/", "example.com", true),
            ("ws://a.example.com/", ".example.com", true),
            ("ws://example.com/", ".example.com", true),
            ("ws://a.example.com/", "*.example.com", true),
            ("ws://a.b.example.com/", "*.Example.com", true),
            ("ws://example.com/", "*.example.com", false),
            ("ws://notexample.com/", "*.example.com", false),
            ("ws://a.example.com/", "a.example.com.evil", false),
            ("ws://example.com.evil/", "example.com", false),
            ("ws://echo.websocket.org/", ".websocket.org", true),
            ("ws://my.other.websocket.org/", "websocket.org", true),
            ("ws://websocket.com/", ".websocket.org", false),
            ("ws://b\u{fc}cher.example/", "b\u{fc}cher.example", true),
            ("ws://b\u{fc}cher.example/", "B\u{dc}CHER.example", true),
            ("ws://a.xn--bcher-kva.example/", ".b\u{fc}cher.example", true),
            ("ws://b\u{fc}cher.example/", "xn--bcher-kva.example", true),
            ("ws://a.example/", "\u{fffd}.example", false),
            ("ws://a.b/", "*.*", false),
            ("ws://ab.example/", "a*.example", false),
            ("ws://localhost/", "", false),
            ("ws://localhost/", "localhost", true),
            ("ws://localhost/", "127.0.0.1", false),
            ("ws://localhost/", "localhost.localdomain", false),
            ("ws://host/", ".", false),
            ("ws://host/", "..", false),
            ("ws://host/", "*.", false),
            ("ws://host./", ".", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn the_table_of_addresses() {
        let table = [
            ("ws://127.0.0.1/", "127.0.0.1", true),
            ("ws://127.0.0.1/", "127.0.0.2", false),
            ("ws://127.0.0.1/", "0.0.1", false),
            ("ws://127.0.0.1/", ".0.0.1", false),
            ("ws://127.0.0.1/", "127.0.0", false),
            ("ws://127.0.0.1/", "127.1", false),
            ("ws://127.0.0.1/", "127.000.0.1", false),
            ("ws://127.0.0.1/", "localhost", false),
            ("ws://127.0.0.1/", "127.0.0.0/8", true),
            ("ws://127.1.0.1/", "127.0.0.0/8", true),
            ("ws://127.1.0.1/", "127.0.0.0/24", false),
            ("ws://127.1.0.1/", "127.0.0.1/8", true),
            ("ws://10.1.2.3/", "10.0.0.0/8", true),
            ("ws://11.1.2.3/", "10.0.0.0/8", false),
            ("ws://10.1.2.3/", "10.1.2.3/32", true),
            ("ws://10.1.2.4/", "10.1.2.3/32", false),
            ("ws://10.1.2.3/", "0.0.0.0/0", true),
            ("ws://[::1]/", "0.0.0.0/0", false),
            ("ws://10.1.2.3/", "::/0", false),
            ("ws://[2001:db8::1]/", "::/0", true),
            ("ws://10.1.2.3/", "10.0.0.0/33", false),
            ("ws://10.1.2.3/", "10.0.0.0/", false),
            ("ws://10.1.2.3/", "10.0.0.0/+8", false),
            ("ws://10.1.2.3/", "10.0.0.0/-1", false),
            ("ws://10.1.2.3/", "10.0.0.0/255.0.0.0", false),
            ("ws://10.1.2.3/", "10.0.0.0/8/8", false),
            ("ws://10.1.2.3/", "/8", false),
            ("ws://10.0.0.0.example/", "10.0.0.0/8", false),
            ("ws://[::1]/", "::1", true),
            ("ws://[::1]/", "[::1]", true),
            ("ws://[0:0::1]/", "0:0:0:0:0:0:0:1", true),
            ("ws://[2001:DB8::1]/", "2001:db8:0::1", true),
            ("ws://[::1]/", "[::1", false),
            ("ws://[::1]/", "[127.0.0.1]", false),
            ("ws://127.0.0.1/", "[127.0.0.1]", false),
            ("ws://[2001:db8::1]/", "2001:db8::/64", true),
            ("ws://[2001:db8:1::1]/", "2001:db8::/64", false),
            ("ws://[2001:db8::1]/", "[2001:db8::]/64", true),
            ("ws://[fd12::1]/", "fd00::/8", true),
            ("ws://[fe12::1]/", "fd00::/8", false),
            ("ws://[fd12::1]/", "fd00::/129", false),
            ("ws://[::ffff:10.1.2.3]/", "10.0.0.0/8", true),
            ("ws://[::ffff:10.1.2.3]/", "10.1.2.3", true),
            ("ws://10.1.2.3/", "::ffff:10.0.0.0/104", true),
            ("ws://11.1.2.3/", "::ffff:10.0.0.0/104", false),
            ("ws://[::ffff:10.1.2.3]/", "::/0", false),
            // Zones are no names.
            ("ws://[::1]/", "[::1%25.example.com]", false),
            ("ws://example.com/", "[::1%25.example.com]", false),
            ("ws://example.com/", "::1%example.com", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn the_zone_of_a_server_matches_no_name() {
        let target = Target { zone: Some("x.example.com".to_owned()), ..Target::parse("ws://[fe80::1]/").unwrap() };
        for list in ["example.com", ".example.com", "*.example.com", "x.example.com", "fe80::1%x.example.com"] {
            assert!(!lists([list], &target), "{list}");
        }
        assert!(lists(["fe80::/10"], &target) && lists(["[fe80::1]"], &target));
    }

    #[test]
    fn the_table_of_ports() {
        let table = [
            ("ws://example.com/", "example.com:80", true),
            ("wss://example.com/", "example.com:443", true),
            ("wss://example.com/", "example.com:80", false),
            ("ws://example.com:8080/", "example.com:8080", true),
            ("ws://a.example.com:8080/", ".example.com:8080", true),
            ("ws://a.example.com:8080/", "*.example.com:8080", true),
            ("ws://example.com:8080/", "example.com:08080", true),
            ("ws://example.com:8080/", "example.com:", false),
            ("ws://example.com:8080/", "example.com:+8080", false),
            ("ws://example.com:8080/", ":8080", false),
            ("ws://example.com:8080/", "*:8080", true),
            ("ws://example.com:8081/", "*:8080", false),
            ("ws://127.0.0.1:8080/", "127.0.0.1:8080", true),
            ("ws://127.0.0.1:8081/", "127.0.0.1:8080", false),
            ("ws://[::1]:8080/", "[::1]:8080", true),
            ("ws://[::1]:8081/", "[::1]:8080", false),
            ("ws://10.1.2.3:8080/", "10.0.0.0/8:8080", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
    }

    #[test]
    fn the_table_of_lists() {
        let table = [
            ("ws://any.example/", "*", true),
            ("ws://[::1]/", "*", true),
            ("ws://10.0.0.1/", "*", true),
            ("ws://any.example/", "other.websocket.org, *", true),
            ("ws://127.0.0.1/", "other.websocket.org, 127.0.0.1", true),
            ("ws://echo.websocket.events/", "example1.com,example2.com, echo.websocket.events", true),
            ("ws://echo.websocket.events/", "example1.com,example2.com, .websocket.events", true),
            ("ws://192.168.3.4/", "127.0.0.0/8, 192.168.0.0/16", true),
            ("ws://192.169.3.4/", "127.0.0.0/8, 192.168.0.0/16", false),
            ("ws://b.example/", "a.example b.example\tc.example", true),
            ("ws://b.example/", ",, ,a.example,,b.example,", true),
            ("ws://d.example/", "a.example,b.example", false),
        ];
        for (url, list, expected) in table {
            check(url, list, expected);
        }
        assert!(lists(["a.example", "b.example"], &Target::parse("ws://b.example/").unwrap()));
        assert!(!lists([], &Target::parse("ws://b.example/").unwrap()));
    }
}
