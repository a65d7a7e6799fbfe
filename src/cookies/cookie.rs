//! One cookie: how it is read, and which requests it is for (RFC 6265, sections 5.2 to 5.4).

use super::date;
use super::request_uri::RequestUri;
use super::scope::Scope;
use crate::error::CookieError;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::request_uri;

    const NOW: u64 = 1_000_000_000;

    /// The cookie that `wss://h.example/a/b` sets.
    fn set(field: &str) -> Result<Cookie, CookieError> {
        let target = request_uri::parse("wss://h.example/a/b").unwrap();
        Cookie::parse(field, &RequestUri::of(&target).unwrap(), NOW)
    }

    #[test]
    fn the_end_of_a_cookie_is_computed_from_the_time_that_is_given() {
        let table = [
            ("a=1", None),
            ("a=1; Max-Age=60", Some(NOW + 60)),
            ("a=1; max-age = 60 ", Some(NOW + 60)),
            ("a=1; Max-Age=0", Some(0)),
            ("a=1; Max-Age=-1", Some(0)),
            ("a=1; Max-Age=99999999999999999999999", Some(u64::MAX)),
            ("a=1; Max-Age=18446744073709551615", Some(u64::MAX)),
            ("a=1; Max-Age=-99999999999999999999999", Some(0)),
            ("a=1; Max-Age=", None),
            ("a=1; Max-Age=-", None),
            ("a=1; Max-Age=+60", None),
            ("a=1; Max-Age=6e1", None),
            ("a=1; Max-Age=60; Max-Age=x", Some(NOW + 60)),
            ("a=1; Max-Age=60; Max-Age=70", Some(NOW + 70)),
            ("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("a=1; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=60", Some(NOW + 60)),
            ("a=1; Max-Age=60; Expires=Sun, 06 Nov 1994 08:49:37 GMT", Some(NOW + 60)),
            ("a=1; Expires=soon", None),
        ];
        for (field, expires) in table {
            assert_eq!(set(field).ok().unwrap().expires, expires, "{field}");
        }
        let cookie = set("a=1; Max-Age=60").ok().unwrap();
        assert!(!cookie.is_expired(NOW + 59) && cookie.is_expired(NOW + 60));
        assert!(!set("a=1").ok().unwrap().is_expired(u64::MAX));
    }

    #[test]
    fn paths_match_at_the_borders_of_directories() {
        let table = [
            ("/", "/", true),
            ("/a", "/", true),
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/a/b", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/", false),
            ("/A", "/a", false),
            ("/", "/a", false),
            ("/a%2Fb", "/a", false),
        ];
        for (path, above, expected) in table {
            assert_eq!(is_at_or_below(path, above), expected, "{path} for a cookie of {above}");
        }
    }

    #[test]
    fn attributes_are_read_as_servers_write_them() {
        let cookie = set(" a = b=c \"d\" ;\tPATH=/x;secure ; HttpOnly=no; SameSite=Lax; Partitioned;;").ok().unwrap();
        assert_eq!((cookie.name.as_str(), cookie.value.as_deref()), ("a", Some("b=c \"d\"")));
        assert_eq!((cookie.path.as_str(), cookie.is_secure, cookie.is_http_only), ("/x", true, true));
        assert_eq!(set("a=; Path=/x; Path=y").ok().unwrap().path, "/a");
        assert_eq!(set("a=; Path").ok().unwrap().path, "/a");
        assert_eq!(set(&format!("a=; Path=/{}", "x".repeat(MAX_ATTRIBUTE))).ok().unwrap().path, "/a");
        assert_eq!(set("a=; Domain=").ok().unwrap().scope, Scope::Host("h.example".into()));
        assert_eq!(set("a=; Domain=h.example; Domain=").ok().unwrap().scope, Scope::Domain("h.example".into()));
    }
}
