//! Which proxy a server is reached through: the options, or the environment as curl and Python read it; and which servers are
//! connected to directly, by `no_proxy` and [`bypass_proxy`](crate::ConnectOptions::bypass_proxy).
//!
//! In these lists a name matches names and an address matches addresses, never one the other: `0.0.1` is no end of `127.0.0.1`, and
//! what a zone is called is no name. Nothing is looked up.

use std::net::IpAddr;

use super::ProxyHop;
use crate::error::{ProxyError, ProxyUrlError, Result};
use crate::net::connect::Dialer;
use crate::options::{ConnectOptions, ProxyChoice, TlsOptions};
use crate::url::{ProxyScheme, ProxyUrl, Target, to_ascii};

/// The proxy through which a server is to be reached, if it is by one.
///
/// # Errors
///
/// [`ProxyError::Url`] for what is no proxy, and the other errors of [`ProxyError`] for what this proxy could not be
/// told: nobody is bothered for nothing.
pub(in crate::net) async fn choose(dialer: &Dialer<'_>, target: &Target) -> Result<Option<ProxyHop>> {
    let Some(hop) = choose_from(target, dialer.options, &variable_of_process)? else { return Ok(None) };
    hop.check(target)?;
    if hop.url.scheme == ProxyScheme::Https {
        dialer.prepare_tls(&hop.tls).await?;
    }
    Ok(Some(hop))
}

pub(super) fn choose_from(
    target: &Target,
    options: &ConnectOptions,
    variables: Variables<'_>,
) -> Result<Option<ProxyHop>> {
    let settings = &options.settings().proxy;
    let is_local = target.socket_path.is_some();
    if is_local || is_bypassed("bypass_proxy", settings.bypass.iter().map(String::as_str), target) {
        return Ok(None);
    }
    match &settings.choice {
        ProxyChoice::Direct => Ok(None),
        ProxyChoice::Explicit(proxy) => ProxyHop::given(proxy).map(Some),
        // Whoever has set the variables for all programs did not mean what no proxy can do.
        ProxyChoice::Environment if target.zone.is_some() => Ok(None),
        ProxyChoice::Environment => {
            let Some((name, value)) = proxy_variable(target.secure, variables) else { return Ok(None) };
            if is_bypassed("no_proxy", bypass_of_environment(variables).as_deref(), target) {
                return Ok(None);
            }
            let url = parse_variable(name, &value)?;
            Ok(Some(ProxyHop { url, headers: Vec::new(), tls: TlsOptions::new() }))
        }
    }
}

/// Gives a variable of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables for both.
const FOR_ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
/// The variables for `wss`, the first of them first, each in lower and in upper case.
const FOR_WSS: [[&str; 2]; 3] = [["wss_proxy", "WSS_PROXY"], ["https_proxy", "HTTPS_PROXY"], FOR_ALL];
/// The variables for `ws`.
const FOR_WS: [[&str; 2]; 3] = [["ws_proxy", "WS_PROXY"], ["http_proxy", "HTTP_PROXY"], FOR_ALL];
/// The servers that are connected to directly.
const BYPASS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The variables of this process. What is not Unicode is no URL, and becomes something else that is none.
fn variable_of_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The variable that names the proxy for `wss` or `ws`, if there is one, and its value.
fn proxy_variable(is_secure: bool, variables: Variables<'_>) -> Option<(&'static str, String)> {
    let names = if is_secure { FOR_WSS } else { FOR_WS };
    names.into_iter().find_map(|names| look_up(names, variables))
}

/// GNOME sets `all_proxy` to `socks://`, for a proxy that speaks SOCKS 5 and resolves names.
///
/// # Errors
///
/// [`ProxyError::Url`] with the name of the variable that holds something else.
fn parse_variable(name: &'static str, value: &str) -> Result<ProxyUrl, ProxyError> {
    let parsed = match ProxyUrl::parse(value) {
        Err(ProxyUrlError::AmbiguousScheme) if FOR_ALL.contains(&name) => {
            let rest = value.split_once("://").map_or("", |(_, rest)| rest);
            ProxyUrl::parse(&format!("socks5h://{rest}")).inspect(|url| {
                log::info!("{name} names the proxy {} with socks://, taken for socks5h://", url.host_and_port());
            })
        }
        parsed => parsed,
    };
    parsed.map_err(|problem| ProxyError::Url { variable: Some(name), problem })
}

/// The list of servers that are connected to directly.
fn bypass_of_environment(variables: Variables<'_>) -> Option<String> {
    look_up(BYPASS, variables).map(|(_, value)| value)
}

/// The variable in lower case if it is there, else that in upper case, and its value if that is not empty.
fn look_up(names: [&'static str; 2], variables: Variables<'_>) -> Option<(&'static str, String)> {
    let trusted = names.into_iter().filter(|name| is_trusted(name, variables));
    let (name, value) = trusted.filter_map(|name| Some((name, variables(name)?))).next()?;
    (!value.trim().is_empty()).then_some((name, value))
}

/// In a CGI program, `HTTP_PROXY` is the field `Proxy` of a request that anybody may have sent (CVE-2016-5387). Windows
/// does not tell it from `http_proxy`.
fn is_trusted(name: &str, variables: Variables<'_>) -> bool {
    let is_http = if cfg!(windows) { name.eq_ignore_ascii_case("HTTP_PROXY") } else { name == "HTTP_PROXY" };
    !is_http || variables("REQUEST_METHOD").is_none()
}

/// How many bits stand before an IPv4 address where it is written as an IPv6 address (RFC 4291, section 2.5.5.2).
const BEFORE_IPV4: u32 = 96;

/// Whether a server is in one of these lists, whose entries are separated by commas or spaces. What means nothing is told in the
/// log, by its place: it may be anything that somebody has pasted.
fn is_bypassed<'a>(name: &str, lists: impl IntoIterator<Item = &'a str>, target: &Target) -> bool {
    let (entries, without_meaning) = parse_lists(lists);
    if !without_meaning.is_empty() {
        let places = without_meaning.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        log::warn!("{name} has entries that are no name, address or network and match nothing, at place {places}");
    }
    let host = TargetHost::of(target);
    entries.iter().any(|entry| entry.matches(&host, target.port))
}

/// The entries, and the places of those that mean nothing, counted from 1.
fn parse_lists<'a>(lists: impl IntoIterator<Item = &'a str>) -> (Vec<BypassEntry>, Vec<usize>) {
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
            Some(address) => Some(Self::Network { address: bits_of(address), prefix: 128 }),
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
        Some(Self::Network { address: bits_of(network), prefix })
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
                !is_too_wide && (address ^ bits_of(*of_host)).checked_shr(128 - prefix).unwrap_or(0) == 0
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
fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests;
