//! Where a request goes, as far as cookies care.

use std::borrow::Cow;

use crate::error::CookieError;
use crate::url::{Target, UrlError};

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
pub(super) fn parse(url: &str) -> Result<Target, UrlError> {
    match url.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => Target::parse(&format!("ws:{rest}")),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => Target::parse(&format!("wss:{rest}")),
        _ => Target::parse(url),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_path_is_the_directory() {
        let table = [
            ("ws://h", "/"),
            ("ws://h/", "/"),
            ("ws://h/a", "/"),
            ("ws://h/a/", "/a"),
            ("ws://h/a/b", "/a"),
            ("ws://h/a/b/c/", "/a/b/c"),
            ("ws://h/a?b/c", "/"),
            ("ws://h?a/b", "/"),
            ("HTTPS://h//", "/"),
            ("http://h/a/b?/c#/d/e", "/a"),
        ];
        for (url, path) in table {
            assert_eq!(RequestUri::of(&parse(url).unwrap()).unwrap().default_path(), path, "{url}");
        }
    }

    #[test]
    fn a_unix_socket_is_no_place_and_a_zone_is_a_part_of_one() {
        let target = Target::parse("ws://[fe80::1%25eth0]/").unwrap();
        assert_eq!(RequestUri::of(&target).unwrap().host, "fe80::1%eth0");
        let target = Target::parse("ws+unix:///run/feed.sock:/a").unwrap();
        assert_eq!(RequestUri::of(&target).err(), Some(CookieError::NoHost));
    }

    #[test]
    fn http_stands_for_ws_and_other_schemes_for_nothing() {
        assert_eq!(parse("https://h:8443/a"), Target::parse("wss://h:8443/a"));
        assert_eq!(parse("HTTP://h/"), Target::parse("ws://h/"));
        assert_eq!(parse("ftp://h/"), Err(UrlError::Scheme("ftp".into())));
    }
}
