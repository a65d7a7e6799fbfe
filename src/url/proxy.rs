//! Where a proxy is, and what is spoken with it: the URL that everybody gives for that.

use super::error::ProxyUrlError;
use super::host::{Host, parse_host, parse_port, split_port};
use super::{Target, split_before, split_userinfo};
use crate::authentication::Credentials;

/// What is spoken with a proxy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ProxyScheme {
    /// `CONNECT` (RFC 9110, section 9.3.6).
    Http,
    /// The same inside TLS.
    Https,
    /// SOCKS 4: an IPv4 address that is looked up here.
    Socks4,
    /// SOCKS 4a: a name that the proxy looks up.
    Socks4a,
    /// SOCKS 5 with an address that is looked up here.
    Socks5,
    /// SOCKS 5 with a name that the proxy looks up.
    Socks5h,
}

/// The URL of a proxy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ProxyUrl {
    pub(crate) scheme: ProxyScheme,
    /// Lower case and ASCII, an IPv6 address without brackets, as in [`Target`](super::Target).
    pub(crate) host: String,
    /// The zone of a link-local IPv6 address.
    pub(crate) zone: Option<String>,
    pub(crate) port: u16,
    pub(crate) credentials: Option<Credentials>,
}

impl ProxyUrl {
    /// Reads a URL. Without a scheme it is `http`, as curl has it.
    pub(crate) fn parse(url: &str) -> Result<Self, ProxyUrlError> {
        let url = url.trim();
        if url.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(ProxyUrlError::Character);
        }
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (parse_scheme(scheme)?, rest),
            None => (ProxyScheme::Http, url),
        };
        let (authority, rest) = split_before(rest, ['/', '?', '#']);
        let (userinfo, host_and_port) = split_userinfo(authority).map_err(|_| ProxyUrlError::UserInfo)?;
        let (host, port) = split_port(host_and_port).map_err(|_| ProxyUrlError::Host)?;
        let Host { name, zone } = parse_host(host).map_err(|_| ProxyUrlError::Host)?;
        let port = port.map_or_else(|| Ok(scheme.default_port()), parse_port).map_err(|_| ProxyUrlError::Port)?;
        let credentials = match userinfo {
            Some(userinfo) => Some(userinfo.credentials().ok_or(ProxyUrlError::UserInfo)?),
            None => None,
        };
        if !matches!(rest, "" | "/") {
            return Err(ProxyUrlError::Path);
        }
        Ok(Self { scheme, host: name, zone, port, credentials })
    }

    /// Host and port, for people and for logs.
    pub(crate) fn host_and_port(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

impl Target {
    /// Host and port, as a proxy is asked for them (RFC 9110, section 7.2). A zone means nothing to it.
    pub(crate) fn host_and_port(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

/// An IPv6 address gets its brackets.
fn host_and_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

impl ProxyScheme {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks4a | Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// As it stands in a URL.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }
}

/// A host name in another script as it stands in [`Target::host`](super::Target::host), if it can be one.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    parse_host(name).ok().map(|host| host.name)
}

fn parse_scheme(scheme: &str) -> Result<ProxyScheme, ProxyUrlError> {
    match scheme.to_ascii_lowercase().as_str() {
        "http" => Ok(ProxyScheme::Http),
        "https" => Ok(ProxyScheme::Https),
        "socks4" => Ok(ProxyScheme::Socks4),
        "socks4a" => Ok(ProxyScheme::Socks4a),
        "socks5" => Ok(ProxyScheme::Socks5),
        "socks5h" => Ok(ProxyScheme::Socks5h),
        "socks" => Err(ProxyUrlError::AmbiguousScheme),
        _ => Err(ProxyUrlError::Scheme),
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyScheme::{Http, Https, Socks4, Socks4a, Socks5, Socks5h};
    use super::*;

    #[test]
    fn a_proxy_is_named_by_one_url() {
        let table = [
            ("http://proxy", Http, "proxy", 80, None),
            ("http://proxy/", Http, "proxy", 80, None),
            ("http://proxy:3128", Http, "proxy", 3128, None),
            ("http://proxy:", Http, "proxy", 80, None),
            ("HTTP://Proxy.Example:3128/", Http, "proxy.example", 3128, None),
            ("https://proxy", Https, "proxy", 443, None),
            ("https://proxy:8443", Https, "proxy", 8443, None),
            ("socks4://proxy", Socks4, "proxy", 1080, None),
            ("socks4a://proxy:9050", Socks4a, "proxy", 9050, None),
            ("socks5://127.0.0.1", Socks5, "127.0.0.1", 1080, None),
            ("socks5h://[::1]", Socks5h, "::1", 1080, None),
            ("SOCKS5H://[2001:DB8:0::1]:1", Socks5h, "2001:db8::1", 1, None),
            ("proxy:3128", Http, "proxy", 3128, None),
            ("proxy", Http, "proxy", 80, None),
            ("127.0.0.1:8080", Http, "127.0.0.1", 8080, None),
            ("[::1]:8080", Http, "::1", 8080, None),
            (" http://proxy\n", Http, "proxy", 80, None),
            ("a:b@proxy:3128", Http, "proxy", 3128, Some(("a", "b"))),
            ("http://a:b@localhost/", Http, "localhost", 80, Some(("a", "b"))),
            ("http://a:b@localhost:3128/", Http, "localhost", 3128, Some(("a", "b"))),
            ("http://a:@proxy", Http, "proxy", 80, Some(("a", ""))),
            ("http://a@proxy", Http, "proxy", 80, Some(("a", ""))),
            ("http://:b@proxy", Http, "proxy", 80, Some(("", "b"))),
            ("http://@proxy", Http, "proxy", 80, None),
            ("http://a:b:c@proxy", Http, "proxy", 80, Some(("a", "b:c"))),
            ("socks5://a:b@[::1]:9", Socks5, "::1", 9, Some(("a", "b"))),
            (
                "http://john%40example.com:P%40SSWORD@localhost:3128/",
                Http,
                "localhost",
                3128,
                Some(("john@example.com", "P@SSWORD")),
            ),
            ("http://%75s%2Fer:%3a%25%F0%9F%94%91@p", Http, "p", 80, Some(("us/er", ":%\u{1f511}"))),
            ("http://a:100%@proxy", Http, "proxy", 80, Some(("a", "100%"))),
            ("http://b\u{fc}cher.example:1", Http, "xn--bcher-kva.example", 1, None),
        ];
        for (url, scheme, host, port, credentials) in table {
            let credentials = credentials
                .map(|(user, password): (&str, &str)| Credentials { user: user.into(), password: password.into() });
            let expected = ProxyUrl { scheme, host: host.to_owned(), zone: None, port, credentials };
            assert_eq!(ProxyUrl::parse(url), Ok(expected), "{url}");
            assert_eq!(scheme.as_str(), ProxyUrl::parse(url).unwrap().scheme.as_str());
        }
    }

    #[test]
    fn what_is_no_proxy_is_told_without_a_word_of_it() {
        use ProxyUrlError as E;
        let table = [
            ("", E::Host),
            ("http://", E::Host),
            ("http:///", E::Host),
            ("http://:80", E::Host),
            ("http://a:b@", E::Host),
            ("http://[::1", E::Host),
            ("http://::1:80", E::Host),
            ("http://[::1]x:80", E::Host),
            ("http://0x7f.1:80", E::Host),
            ("http://pro%78y:80", E::Host),
            ("http://[fe80::1%25]:80", E::Host),
            ("http:proxy:80", E::Host),
            ("http://proxy:0", E::Port),
            ("http://proxy:65536", E::Port),
            ("http://proxy:+80", E::Port),
            ("http://user:s3cret/more@proxy", E::Port),
            ("http://proxy:80/path", E::Path),
            ("http://proxy//", E::Path),
            ("http://proxy?query", E::Path),
            ("http://proxy/?", E::Path),
            ("http://proxy#fragment", E::Path),
            ("http://user#s3cret@proxy", E::Path),
            ("ftp://proxy", E::Scheme),
            ("ws://proxy", E::Scheme),
            ("socks6://proxy", E::Scheme),
            ("://proxy", E::Scheme),
            ("socks://proxy:1080", E::AmbiguousScheme),
            ("SOCKS://proxy:1080", E::AmbiguousScheme),
            ("http://us er@proxy", E::Character),
            ("http://proxy\r\nX-Evil:1", E::Character),
            ("http://proxy\\@evil", E::Character),
            ("http://pro\0xy", E::Character),
            ("http://a:s3@cret@proxy", E::UserInfo),
            ("http://%ff:s3cret@proxy", E::UserInfo),
        ];
        for (url, expected) in table {
            let error = ProxyUrl::parse(url).expect_err(url);
            assert_eq!(error, expected, "{url}");
            assert!(!error.to_string().contains("s3cret") && !error.to_string().contains("evil"));
        }
    }

    #[test]
    fn it_may_be_on_this_link() {
        let url = ProxyUrl::parse("socks5://[fe80::1%25eth0]").unwrap();
        assert_eq!((url.host.as_str(), url.zone.as_deref(), url.port), ("fe80::1", Some("eth0"), 1080));
    }

    #[test]
    fn its_debug_form_shows_no_password() {
        let shown = format!("{:?}", ProxyUrl::parse("http://user:s3cret@proxy").unwrap());
        assert!(shown.contains("proxy") && !shown.contains("s3cret") && !shown.contains("user:"), "{shown}");
    }
}
