//! Which hosts a cookie is for (RFC 6265, section 5.1.3).

use std::net::IpAddr;

use psl::Psl;

use crate::error::CookieError;
use crate::url::canonical_host;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Result<Scope, CookieError> {
        Ok(Scope::Host(name.into()))
    }

    fn domain(name: &str) -> Result<Scope, CookieError> {
        Ok(Scope::Domain(name.into()))
    }

    const FOREIGN: Result<Scope, CookieError> = Err(CookieError::Domain);
    const SUFFIX: Result<Scope, CookieError> = Err(CookieError::PublicSuffix);

    #[test]
    fn a_domain_must_cover_the_host_and_hosts_of_one_owner_only() {
        let table = [
            ("a.example.com", "example.com", domain("example.com")),
            ("a.example.com", ".Example.COM", domain("example.com")),
            ("a.b.example.com", "b.example.com", domain("b.example.com")),
            ("example.com", "example.com", domain("example.com")),
            ("example.com", "a.example.com", FOREIGN),
            ("b.example.com", "a.example.com", FOREIGN),
            ("badexample.com", "example.com", FOREIGN),
            ("example.com", "ample.com", FOREIGN),
            ("example.com", "..example.com", FOREIGN),
            ("example.com", "example.com.", FOREIGN),
            ("example.com.", "example.com", FOREIGN),
            ("example.com.", "com.", FOREIGN),
            ("example.com", "exa mple.com", FOREIGN),
            ("example.com", "example.com/", FOREIGN),
            ("example.com", "example.com:80", FOREIGN),
            ("example.com", "%65xample.com", FOREIGN),
            ("example.com", ".", FOREIGN),
            ("example.com", "com", SUFFIX),
            ("example.com", ".com", SUFFIX),
            ("example.co.uk", "co.uk", SUFFIX),
            ("example.co.uk", "uk", SUFFIX),
            ("example.co.uk", "example.co.uk", domain("example.co.uk")),
            ("me.github.io", "github.io", SUFFIX),
            ("me.github.io", "me.github.io", domain("me.github.io")),
            ("github.io", "github.io", host("github.io")),
            ("co.uk", "co.uk", host("co.uk")),
            ("a.b.ck", "b.ck", SUFFIX),
            ("a.www.ck", "www.ck", domain("www.ck")),
            ("a.city.kawasaki.jp", "city.kawasaki.jp", domain("city.kawasaki.jp")),
            ("a.b.kawasaki.jp", "b.kawasaki.jp", SUFFIX),
            ("a.xn--55qx5d.cn", "xn--55qx5d.cn", SUFFIX),
            ("a.xn--55qx5d.cn", "\u{516c}\u{53f8}.cn", SUFFIX),
            ("a.xn--bcher-kva.example", "b\u{fc}cher.example", domain("xn--bcher-kva.example")),
            ("a.corp.internal", "internal", SUFFIX),
            ("a.corp.internal", "corp.internal", domain("corp.internal")),
            ("localhost", "localhost", host("localhost")),
            ("a.localhost", "localhost", SUFFIX),
            ("127.0.0.1", "127.0.0.1", host("127.0.0.1")),
            ("127.0.0.1", "0.0.1", FOREIGN),
            ("127.0.0.1", "1", FOREIGN),
            ("127.0.0.1", "7.0.0.1", FOREIGN),
            ("::1", "[::1]", host("::1")),
            ("::1", "::1", FOREIGN),
            ("fe80::1%eth0", "[fe80::1]", FOREIGN),
        ];
        for (from, attribute, expected) in table {
            assert_eq!(Scope::new(from, Some(attribute)), expected, "{from} sets Domain={attribute}");
        }
        assert_eq!(Scope::new("example.com", None), host("example.com"));
    }

    #[test]
    fn a_domain_covers_what_is_below_it_and_a_host_does_not() {
        let table = [
            ("example.com", true, true),
            ("a.example.com", false, true),
            ("a.b.example.com", false, true),
            ("badexample.com", false, false),
            ("com", false, false),
            ("example.com.", false, false),
            ("example.com.evil.example", false, false),
        ];
        for (name, by_host, by_domain) in table {
            assert_eq!(Scope::Host("example.com".into()).covers(name), by_host, "{name}");
            assert_eq!(Scope::Domain("example.com".into()).covers(name), by_domain, "{name}");
        }
    }
}
