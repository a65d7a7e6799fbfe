//! Header fields: an ordered list, as they stand on the wire (RFC 9110, section 5).

use std::borrow::Cow;
use std::fmt;

use super::grammar;
use crate::protocol::LocalProtocolError;

/// The header fields of a request or an answer, in their order. A name may occur more than once.
///
/// Names are looked up without regard to case; those that were received are in lower case. Values are bytes without the
/// whitespace around them: RFC 9110, section 5.5, does not promise that they are UTF-8. `Debug` hides the values of
/// fields that may hold secrets, such as `Authorization` and `Set-Cookie`.
///
/// ```
/// use websocket_sync::protocol::handshake::Headers;
///
/// let headers = Headers::from([("Server", "example"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]);
/// assert_eq!(headers.first("server"), Some(&b"example"[..]));
/// assert_eq!(headers.text("server").as_deref(), Some("example"));
/// assert_eq!(headers.all("set-cookie").count(), 2);
/// assert_eq!(format!("{headers:?}"), r#"{"Server": "example", "Set-Cookie": <hidden>, "Set-Cookie": <hidden>}"#);
/// ```
#[derive(Clone, Default, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

impl Headers {
    /// No fields.
    pub const fn new() -> Self {
        Self { fields: Vec::new() }
    }

    /// Appends a field; others of the same name stay. It is checked where it is sent, not here.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.fields.push((name.into(), value.into()));
    }

    /// The value of the first field of this name.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// The value of the first field of this name as text; what is not UTF-8 is replaced by U+FFFD.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.first(name).map(String::from_utf8_lossy)
    }

    /// The values of all fields of this name, in their order.
    pub fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The elements of a comma-separated list, which may be spread over several fields of this name (RFC 9110, section
    /// 5.3). Commas inside quoted strings do not separate, and empty elements are left out.
    pub fn elements<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.all(name).flat_map(grammar::elements)
    }

    /// Whether such a list has this element, without regard to case.
    pub fn has_element(&self, name: &str, element: &str) -> bool {
        self.elements(name).any(|candidate| candidate.eq_ignore_ascii_case(element.as_bytes()))
    }

    /// Whether there is a field of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// All fields as name and value, in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    /// The number of fields.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there are no fields.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The same without the fields of these names.
    pub(in crate::protocol) fn without(&self, names: &[&str]) -> Self {
        self.iter().filter(|(name, _)| !names.iter().any(|other| other.eq_ignore_ascii_case(name))).collect()
    }

    /// Refuses names that are no tokens and values that would break out of their line.
    pub(super) fn check(&self) -> Result<(), LocalProtocolError> {
        if !self.iter().all(|(name, _)| grammar::is_token(name.as_bytes())) {
            return Err(LocalProtocolError::IllegalCharacter("header name"));
        }
        if !self.iter().all(|(_, value)| grammar::is_field_value(value)) {
            return Err(LocalProtocolError::IllegalCharacter("header value"));
        }
        Ok(())
    }

    /// A head as it goes onto the wire: the start line, these fields, the empty line. Everything must have been
    /// checked.
    pub(super) fn to_head(&self, start_line: &str) -> Vec<u8> {
        let mut head = Vec::with_capacity(512);
        head.extend_from_slice(start_line.as_bytes());
        head.extend_from_slice(b"\r\n");
        for (name, value) in self.iter() {
            head.extend_from_slice(name.as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        head
    }
}

/// Names are equal without regard to case, values byte by byte, and the order counts.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len()
            && self.iter().zip(other.iter()).all(|((name, value), (other_name, other_value))| {
                name.eq_ignore_ascii_case(other_name) && value == other_value
            })
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.iter().map(|(name, value)| {
            let shown = if is_secret(name) {
                String::from("<hidden>")
            } else {
                format!("{:?}", String::from_utf8_lossy(value))
            };
            (name, shown)
        });
        let mut map = f.debug_map();
        for (name, shown) in fields {
            map.entry(&name, &format_args!("{shown}"));
        }
        map.finish()
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self { fields: fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>> Extend<(N, V)> for Headers {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, fields: I) {
        self.fields.extend(fields.into_iter().map(|(name, value)| (name.into(), value.into())));
    }
}

impl<N: Into<String>, V: Into<Vec<u8>>, const COUNT: usize> From<[(N, V); COUNT]> for Headers {
    fn from(fields: [(N, V); COUNT]) -> Self {
        fields.into_iter().collect()
    }
}

/// Whether a field's value may be one that must not come into a log. Better one too many: `X-Api-Key` is as good a
/// secret as `Authorization`, a `Location` has a query, and only the handshake's own fields are known to be none.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let suspicious =
        ["auth", "cookie", "credential", "key", "location", "password", "secret", "session", "signature", "token"];
    !name.starts_with("sec-websocket-") && suspicious.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_without_regard_to_case() {
        let headers = Headers::from([("X-Foo", "1"), ("x-foo", "2"), ("X-Bar", "3")]);
        assert_eq!(headers.first("X-FOO"), Some(&b"1"[..]));
        assert_eq!(headers.all("x-Foo").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(headers.first("x-fo"), None);
        assert_eq!(headers, Headers::from([("x-foo", "1"), ("X-FOO", "2"), ("x-bar", "3")]));
        assert_ne!(headers, Headers::from([("x-foo", "2"), ("X-FOO", "1"), ("x-bar", "3")]));
        assert_ne!(headers, Headers::from([("x-foo", "1")]));
    }

    #[test]
    fn a_list_may_be_spread_over_several_fields() {
        let headers = Headers::from([("Connection", "keep-alive, TE"), ("Other", "x"), ("connection", ",UpGrade")]);
        assert_eq!(headers.elements("connection").collect::<Vec<_>>(), [&b"keep-alive"[..], b"TE", b"UpGrade"]);
        assert!(headers.has_element("Connection", "upgrade"));
        assert!(!headers.has_element("Connection", "up"));
    }

    #[test]
    fn values_that_may_be_secret_are_not_shown() {
        let secret = "canary";
        for name in ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token"] {
            let shown = format!("{:?}", Headers::from([(name, secret)]));
            assert!(shown.contains(name) && !shown.contains(secret), "{shown}");
        }
        let shown = format!("{:?}", Headers::from([("Sec-WebSocket-Key", "dGhl"), ("Host", "h\u{e9}")]));
        assert_eq!(shown, r#"{"Sec-WebSocket-Key": "dGhl", "Host": "hé"}"#);
    }

    #[test]
    fn a_field_that_would_break_its_line_is_refused() {
        for name in ["", "a b", "a:", "a\r", "a\n", "é", "a\0"] {
            assert_eq!(
                Headers::from([(name, "v")]).check(),
                Err(LocalProtocolError::IllegalCharacter("header name")),
                "{name:?}"
            );
        }
        for value in ["a\r\nb: c", "\r", "\n", "\0", "\x1b", "\x7f"] {
            assert_eq!(
                Headers::from([("n", value)]).check(),
                Err(LocalProtocolError::IllegalCharacter("header value")),
                "{value:?}"
            );
        }
        assert_eq!(Headers::from([("n", &b""[..]), ("m", b"\tobs \xff text")]).check(), Ok(()));
    }
}
