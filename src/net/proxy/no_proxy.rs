//! Which servers are connected to directly: the lists of `no_proxy` and
//! [`bypass_proxy`](crate::ConnectOptions::bypass_proxy).
//!
//! A name matches names and an address matches addresses, never one the other: `0.0.1` is no end of `127.0.0.1`, and
//! what a zone is called is no name. Nothing is looked up.

use std::net::IpAddr;

use crate::url::{Target, to_ascii};

/// How many bits stand before an IPv4 address where it is written as an IPv6 address (RFC 4291, section 2.5.5.2).
const BEFORE_IPV4: u32 = 96;

/// Whether a server is in one of these lists, whose entries are separated by commas or spaces. What means nothing is told in the
/// log, by its place: it may be anything that somebody has pasted.
pub(super) fn lists<'a>(name: &str, lists: impl IntoIterator<Item = &'a str>, target: &Target) -> bool {
    let (entries, without_meaning) = parse(lists);
    if !without_meaning.is_empty() {
        let places = without_meaning.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        log::warn!("{name} has entries that are no name, address or network and match nothing, at place {places}");
    }
    let host = TargetHost::of(target);
    entries.iter().any(|entry| entry.matches(&host, target.port))
}

/// The entries, and the places of those that mean nothing, counted from 1.
fn parse<'a>(lists: impl IntoIterator<Item = &'a str>) -> (Vec<BypassEntry>, Vec<usize>) {
    let separators = |c: char| c == ',' || c.is_whitespace();
    let texts = lists.into_iter().flat_map(|list| list.split(separators)).filter(|text| !text.is_empty());
    let (mut entries, mut without_meaning) = (Vec::new(), Vec::new());
    for (text, place) in texts.zip(1..) {
        match BypassEntry::parse(text) {
            Some(entry) => entries.push(entry),
            None => without_meaning.push(place),
        }
    }
    (entries, without_meaning)
}

/// What an entry means. An IPv6 address without brackets has colons, so that `::1:80` can be read in both ways.
struct BypassEntry {
    at_any_port: Option<Pattern>,
    at_port: Option<(Pattern, u16)>,
}

impl BypassEntry {
    fn parse(text: &str) -> Option<Self> {
        let with_port = |(rest, port): (&str, &str)| {
            let port = parse_number(port).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0)?;
            let pattern = Pattern::parse(rest).filter(|_| !rest.contains('/'))?;
            Some((pattern, port))
        };
        let entry = Self { at_any_port: Pattern::parse(text), at_port: text.rsplit_once(':').and_then(with_port) };
        (entry.at_any_port.is_some() || entry.at_port.is_some()).then_some(entry)
    }

    fn matches(&self, host: &TargetHost<'_>, port: u16) -> bool {
        self.at_any_port.as_ref().is_some_and(|pattern| pattern.matches(host))
            || self.at_port.as_ref().is_some_and(|(pattern, only)| *only == port && pattern.matches(host))
    }
}

/// What hosts are meant.
enum Pattern {
    All,
    /// A name in lower case and ASCII as [`Target::host`] has it, without the final dot, and those below it; or these alone.
    Name {
        domain: String,
        is_itself_meant: bool,
    },
    /// The addresses that begin with these bits, in the form of IPv6.
    Network {
        address: u128,
        prefix: u32,
    },
}

impl Pattern {
    /// `None` for what no host can match.
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some((network, prefix)) = text.split_once('/') {
            return Self::network(network, prefix);
        }
        // Addresses are compared as numbers, so it does not matter how they are written.
        match parse_address(text) {
            Some(address) => Some(Self::Network { address: number(address), prefix: 128 }),
            None => Self::name(text),
        }
    }

    fn network(network: &str, prefix: &str) -> Option<Self> {
        let (network, prefix) = (parse_address(network)?, parse_number(prefix)?);
        let prefix = match network {
            IpAddr::V4(_) if prefix <= 32 => BEFORE_IPV4 + prefix,
            IpAddr::V6(_) if prefix <= 128 => prefix,
            _ => return None,
        };
        Some(Self::Network { address: number(network), prefix })
    }

    fn name(text: &str) -> Option<Self> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let (domain, is_itself_meant) = match text.strip_prefix("*.") {
            Some(domain) => (domain, false),
            None => (text.strip_prefix('.').unwrap_or(text), true),
        };
        // A dot at either end, or two in a row: there is no such name.
        if domain.split('.').any(str::is_empty) || domain.contains(['[', ']', '*']) {
            return None;
        }
        let domain = to_ascii(domain).filter(|domain| domain.parse::<IpAddr>().is_err())?;
        Some(Self::Name { domain, is_itself_meant })
    }

    fn matches(&self, host: &TargetHost<'_>) -> bool {
        match (self, host) {
            (Self::All, _) => true,
            (Self::Name { domain, is_itself_meant }, TargetHost::Name(name)) => match name.strip_suffix(domain) {
                Some("") => *is_itself_meant,
                Some(below) => below.len() > 1 && below.ends_with('.'),
                None => false,
            },
            (Self::Network { address, prefix }, TargetHost::Address(of_host)) => {
                // All of IPv4 is a small part of `::/0`, and not what is meant by it.
                let is_too_wide = *prefix < BEFORE_IPV4 && of_host.to_canonical().is_ipv4();
                !is_too_wide && (address ^ number(*of_host)).checked_shr(128 - prefix).unwrap_or(0) == 0
            }
            (Self::Name { .. } | Self::Network { .. }, _) => false,
        }
    }
}

enum TargetHost<'a> {
    Address(IpAddr),
    /// In lower case, without the final dot.
    Name(&'a str),
}

impl<'a> TargetHost<'a> {
    fn of(target: &'a Target) -> Self {
        match target.host.parse() {
            Ok(address) => Self::Address(address),
            Err(_) => Self::Name(target.host.strip_suffix('.').unwrap_or(&target.host)),
        }
    }
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
        assert_eq!(lists("no_proxy", [list], &target), expected, "{url} and {list:?}");
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
            assert!(!lists("no_proxy", [list], &target), "{list}");
        }
        assert!(lists("no_proxy", ["fe80::/10"], &target) && lists("no_proxy", ["[fe80::1]"], &target));
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
    fn what_means_nothing_is_found_by_its_place() {
        let without_meaning = |lists: &[&str]| parse(lists.iter().copied()).1;
        let good = "*, a, A.b, .a.b., *.a, a:80, *:80, b\u{fc}cher.example, a_b, ::1, [::1]:80, 10.0.0.1, 10.0.0.1:1, fd00::/8, \
                    10.0.0.0/0, ::1:80, [fd00::]/8";
        assert!(without_meaning(&[good]).is_empty(), "{:?}", without_meaning(&[good]));
        for bad in [
            ".",
            "..",
            "*.",
            "*.*",
            "a*.b",
            "a..b",
            "*a",
            "10.0.0.0/33",
            "10.0.0.0/8/8",
            "/8",
            "10.0.0.0/",
            "fd00::/129",
            "10.0.0.0/8:80",
            "127.1",
            "127.000.0.1",
            "127.0.0",
            "192",
            "[::1",
            "[127.0.0.1]",
            "[::1%25eth0]",
            "::1%eth0",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "http://a",
            "u:p@a",
            "\u{fffd}.a",
            "a%62",
            "<local>",
        ] {
            assert_eq!(without_meaning(&[bad]), [1], "{bad}");
        }
        assert_eq!(without_meaning(&["a,, /8 b", "c", "10.0.0.0/33\td"]), [2, 5]);
        assert!(without_meaning(&["", " , ,"]).is_empty());
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
        assert!(lists("bypass_proxy", ["a.example", "b.example"], &Target::parse("ws://b.example/").unwrap()));
        assert!(!lists("bypass_proxy", [], &Target::parse("ws://b.example/").unwrap()));
    }
}
