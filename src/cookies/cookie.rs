//! One cookie: how it is read, and which requests it is for (RFC 6265, sections 5.1.3 to 5.4).

use std::borrow::Cow;

use super::date;
use crate::error::CookieError;
use crate::url::{Target, UrlError, canonical_host};
use psl::Psl;
use std::net::IpAddr;

/// The largest size of name and value together, in bytes.
const MAX_SIZE: usize = 4096;
/// The largest value of an attribute that is looked at.
const MAX_ATTRIBUTE: usize = 1024;

/// A cookie, free of control characters.
#[derive(Clone)]
pub(super) struct Cookie {
    pub(super) name: String,
    /// None if there is no `=` behind the name. Servers cannot set such a cookie (RFC 6265, section 5.2); Python keeps
    /// them.
    pub(super) value: Option<String>,
    pub(super) scope: Scope,
    pub(super) path: String,
    pub(super) is_secure: bool,
    /// Told apart only for those who read a saved file.
    pub(super) is_http_only: bool,
    /// Seconds since 1970; none if it goes with the program.
    pub(super) expires: Option<u64>,
}

/// What a `Set-Cookie` field says behind name and value.
#[derive(Default)]
struct Attributes<'a> {
    domain: Option<&'a str>,
    path: Option<&'a str>,
    expires: Option<u64>,
    /// In seconds since 1970, too.
    max_age: Option<u64>,
    is_secure: bool,
    is_http_only: bool,
}

impl Cookie {
    /// Reads the value of a `Set-Cookie` field that came from `uri`.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub(super) fn parse(field: &str, uri: &RequestUri<'_>, now: u64) -> Result<Self, CookieError> {
        if field.chars().any(|c| c.is_control() && c != '\t') {
            return Err(CookieError::ControlCharacter);
        }
        let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
        let (name, value) = split_pair(pair).filter(|(name, _)| !name.is_empty()).ok_or(CookieError::Syntax)?;
        let attributes = Attributes::parse(attributes, now);
        let cookie = Self {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            scope: Scope::new(&uri.host, attributes.domain)?,
            path: attributes.path.unwrap_or_else(|| uri.default_path()).to_owned(),
            is_secure: attributes.is_secure,
            is_http_only: attributes.is_http_only,
            expires: attributes.max_age.or(attributes.expires),
        };
        cookie.check()?;
        if cookie.is_secure && !uri.secure {
            return Err(CookieError::Secure);
        }
        if has_prefix(name, "__Host-") && attributes.path.is_none() {
            return Err(CookieError::Prefix);
        }
        Ok(cookie)
    }

    /// Refuses what no server may set from anywhere, and what would break out of a header field or a line.
    pub(super) fn check(&self) -> Result<(), CookieError> {
        let value = self.value.as_deref().unwrap_or_default();
        let parts = [&self.name, value, &self.path, self.scope.name()];
        if parts.iter().any(|part| part.contains(char::is_control)) {
            return Err(CookieError::ControlCharacter);
        }
        if self.name.is_empty() || self.name.contains(['=', ';']) || value.contains(';') {
            return Err(CookieError::Syntax);
        }
        if self.name.len() + value.len() > MAX_SIZE {
            return Err(CookieError::TooLong { limit: MAX_SIZE });
        }
        let is_of_host = self.is_secure && matches!(self.scope, Scope::Host(_)) && self.path == "/";
        if has_prefix(&self.name, "__Secure-") && !self.is_secure || has_prefix(&self.name, "__Host-") && !is_of_host {
            return Err(CookieError::Prefix);
        }
        Ok(())
    }

    /// Whether it is for a request to this URI.
    pub(super) fn is_for(&self, uri: &RequestUri<'_>) -> bool {
        self.scope.covers(&uri.host) && is_at_or_below(uri.path, &self.path) && (uri.secure || !self.is_secure)
    }

    /// Adds it as a `Cookie` field writes it (RFC 6265, section 4.2.1); without a value it is its name, as in Python.
    pub(super) fn push_to(&self, field: &mut String) {
        field.push_str(&self.name);
        if let Some(value) = &self.value {
            field.extend(["=", value]);
        }
    }

    /// How many bytes that is.
    pub(super) fn len(&self) -> usize {
        self.name.len() + self.value.as_ref().map_or(0, |value| 1 + value.len())
    }

    pub(super) fn is_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether one takes the place of the other (RFC 6265, section 5.3, step 11).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.name == other.name && self.scope == other.scope && self.path == other.path
    }

    /// Whether this one, set without TLS, would stand in for `other`, which was set with it (RFC 6265bis, "leave secure cookies
    /// alone").
    pub(super) fn shadows(&self, other: &Self) -> bool {
        other.is_secure
            && self.name == other.name
            && self.scope.overlaps(&other.scope)
            && is_at_or_below(&self.path, &other.path)
    }
}

impl<'a> Attributes<'a> {
    /// Of those that are repeated the last one counts; unknown ones, and those of which the value makes no sense, do not.
    fn parse(text: &'a str, now: u64) -> Self {
        let mut attributes = Self::default();
        for attribute in text.split(';') {
            let (name, value) = split_pair(attribute).unwrap_or_else(|| (trim(attribute), ""));
            if value.len() <= MAX_ATTRIBUTE {
                attributes.set(name, value, now);
            }
        }
        attributes
    }

    fn set(&mut self, name: &str, value: &'a str, now: u64) {
        match name.to_ascii_lowercase().as_str() {
            "domain" if !value.is_empty() => self.domain = Some(value),
            "path" => self.path = Some(value).filter(|path| path.starts_with('/')),
            "expires" => self.expires = date::parse(value).or(self.expires),
            "max-age" => self.max_age = parse_max_age(value, now).or(self.max_age),
            "secure" => self.is_secure = true,
            "httponly" => self.is_http_only = true,
            _ => {}
        }
    }
}

/// The point in time of `Max-Age`: 0 for what is over, as far away as can be for what is too large to count.
fn parse_max_age(value: &str, now: u64) -> Option<u64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = digits.parse().unwrap_or(u64::MAX);
    Some(if value.starts_with('-') || seconds == 0 { 0 } else { now.saturating_add(seconds) })
}

/// Whether a path is this one or lies below it, where directories end (RFC 6265, section 5.1.4).
fn is_at_or_below(path: &str, above: &str) -> bool {
    let rest = path.strip_prefix(above);
    rest.is_some_and(|rest| rest.is_empty() || above.ends_with('/') || rest.starts_with('/'))
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn split_pair(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    Some((trim(name), trim(value)))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// The hosts that a cookie is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Scope {
    /// Exactly this one.
    Host(String),
    /// This one and all below it.
    Domain(String),
}

impl Scope {
    /// The scope of a cookie that `host` sets with this `Domain` attribute (RFC 6265, section 5.3, steps 4 to 6).
    ///
    /// # Errors
    ///
    /// [`CookieError::Domain`] when it does not cover the host, [`CookieError::PublicSuffix`] when it covers hosts of other
    /// owners.
    pub(super) fn new(host: &str, domain: Option<&str>) -> Result<Self, CookieError> {
        let Some(domain) = domain else { return Ok(Self::Host(host.to_owned())) };
        let domain = canonical(domain).ok_or(CookieError::Domain)?;
        match (domain == host, is_below(host, &domain), is_shared(&domain)) {
            // There is nothing below an address, and what is below a public suffix belongs to others.
            (true, _, true) => Ok(Self::Host(domain)),
            (true, _, false) | (false, true, false) => Ok(Self::Domain(domain)),
            (false, true, true) => Err(CookieError::PublicSuffix),
            (false, false, _) => Err(CookieError::Domain),
        }
    }

    /// A domain with all below it, or the host alone where that belongs to others, or ends with a dot. `None` if it is
    /// no name.
    pub(super) fn widest(domain: &str) -> Option<Self> {
        let domain = canonical_host(without_leading_dot(domain)).ok()?;
        Some(if domain.ends_with('.') || is_shared(&domain) { Self::Host(domain) } else { Self::Domain(domain) })
    }

    pub(super) fn covers(&self, host: &str) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::Domain(name) => name == host || is_below(host, name),
        }
    }

    /// Whether there are hosts that both are for, or would be if host and domain made no difference.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (one, other) = (self.name(), other.name());
        one == other || is_below(one, other) || is_below(other, one)
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::Host(name) | Self::Domain(name) => name,
        }
    }
}

/// The value of a `Domain` attribute as a host is written, without the dot that it may begin with. `None` if it is no name.
fn canonical(domain: &str) -> Option<String> {
    canonical_host(without_leading_dot(domain)).ok().filter(|name| !name.ends_with('.'))
}

fn without_leading_dot(domain: &str) -> &str {
    domain.strip_prefix('.').unwrap_or(domain)
}

/// Whether `host` is a name that ends with a dot and this domain.
fn is_below(host: &str, domain: &str) -> bool {
    !is_address(host) && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// Whether hosts below this belong to different owners, or cannot be.
fn is_shared(domain: &str) -> bool {
    is_address(domain)
        || !domain.contains('.')
        || psl::List.suffix(domain.as_bytes()).is_none_or(|suffix| suffix.as_bytes() == domain.as_bytes())
}

/// A zone may follow the address.
fn is_address(host: &str) -> bool {
    host.contains(':') || host.parse::<IpAddr>().is_ok()
}

/// Host, path and whether TLS is spoken. Cookies know no ports (RFC 6265, section 8.5).
pub(super) struct RequestUri<'a> {
    pub(super) host: Cow<'a, str>,
    pub(super) path: &'a str,
    pub(super) secure: bool,
}

impl<'a> RequestUri<'a> {
    /// # Errors
    ///
    /// [`CookieError::NoHost`] for a Unix socket: all of them are called `localhost`, and are servers of different owners.
    pub(super) fn of(target: &'a Target) -> Result<Self, CookieError> {
        if target.socket_path.is_some() {
            return Err(CookieError::NoHost);
        }
        let host = match &target.zone {
            // The same address on another link is another machine.
            Some(zone) => Cow::Owned(format!("{}%{zone}", target.host)),
            None => Cow::Borrowed(target.host.as_str()),
        };
        let path = target.resource.split('?').next().unwrap_or_default();
        Ok(Self { host, path, secure: target.secure })
    }

    /// The directory of the path, which cookies are for that do not say (RFC 6265, section 5.1.4).
    pub(super) fn default_path(&self) -> &'a str {
        match self.path.rfind('/') {
            None | Some(0) => "/",
            Some(end) => &self.path[..end],
        }
    }
}

/// Reads a URL, for which `http` is as good as `ws`, and `https` as `wss`.
pub(super) fn parse_url(url: &str) -> Result<Target, UrlError> {
    match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Target::parse(&format!("ws:{rest}")),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Target::parse(&format!("wss:{rest}")),
        _ => Target::parse(url),
    }
}

#[cfg(test)]
mod tests;
