//! Header fields: an ordered list, as they stand on the wire, and the lexical rules that they share (RFC 9110, section 5).

use std::borrow::Cow;
use std::fmt;

use super::subprotocols::is_registered;
use crate::protocol::LocalProtocolError;

/// The header fields of a request or a response, in their order. A name may occur more than once.
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
/// assert_eq!(headers.iter().count(), 3);
///
/// let upgrade = Headers::from([("Connection", "keep-alive, Upgrade"), ("Connection", "x")]);
/// assert!(upgrade.has_element("connection", "upgrade"));
/// assert!(upgrade.elements("connection").eq([&b"keep-alive"[..], b"Upgrade", b"x"]));
/// assert_eq!(format!("{headers:?}"), r#"{"Server": "example", "Set-Cookie": <hidden>, "Set-Cookie": <hidden>}"#);
/// ```
#[derive(Clone, Default, Eq)]
pub struct Headers {
    fields: Vec<(String, Vec<u8>)>,
}

/// Of a field of which there must be no more than one, there are several.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct RepeatedField;

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
        self.all(name).flat_map(elements)
    }

    /// Whether such a list has this element, without regard to case.
    pub fn has_element(&self, name: &str, element: &str) -> bool {
        self.elements(name).any(|candidate| candidate.eq_ignore_ascii_case(element.as_bytes()))
    }

    /// The value of the field of this name, of which there must not be two.
    pub(super) fn only(&self, name: &str) -> Result<Option<&[u8]>, RepeatedField> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(RepeatedField),
            (value, None) => Ok(value),
        }
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
        if !self.iter().all(|(name, _)| is_token(name.as_bytes())) {
            return Err(LocalProtocolError::IllegalCharacter("header name"));
        }
        if !self.iter().all(|(_, value)| is_field_value(value)) {
            return Err(LocalProtocolError::IllegalCharacter("header value"));
        }
        Ok(())
    }

    /// Refuses several fields of one of these names.
    pub(super) fn check_once(&self, names: &[&'static str]) -> Result<(), LocalProtocolError> {
        match names.iter().find(|name| self.only(name).is_err()) {
            Some(name) => Err(LocalProtocolError::RepeatedHeader(name)),
            None => Ok(()),
        }
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
            let shown = if is_secret(name, value) {
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

/// A request target, for `Debug`: its query may hold secrets.
pub(in crate::protocol) struct ShownTarget<'a>(pub(in crate::protocol) &'a str);

impl fmt::Debug for ShownTarget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('?') {
            Some((path, _)) => format_args!("{path}?<hidden>").to_string().fmt(f),
            None => self.0.fmt(f),
        }
    }
}

/// Whether a field's value may be one that must not come into a log. Better one too many: `X-Api-Key` is as good a
/// secret as `Authorization`, a `Location` has a query, a subprotocol may be a token, and only the other fields of the
/// handshake are known to be none.
fn is_secret(name: &str, value: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    if name == "sec-websocket-protocol" {
        return !elements(value).all(is_registered);
    }
    let suspicious =
        ["auth", "cookie", "credential", "key", "location", "password", "secret", "session", "signature", "token"];
    !name.starts_with("sec-websocket-") && suspicious.iter().any(|word| name.contains(word))
}

/// Whether this byte may stand in a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
    )
}

/// Whether this is a token: at least one byte, each of them allowed (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether this can be the value of a field: no control character but HTAB (RFC 9110, section 5.5).
/// Bytes from 0x80 up, "obs-text", are allowed.
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// Whether every byte is a visible character of ASCII: no space, no control character, nothing from 0x80 up.
pub(super) fn is_visible(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_graphic)
}

/// The same without the spaces and tabs at either end: "optional whitespace" (RFC 9110, section 5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list (RFC 9110, section 5.6.1): trimmed, empty ones left out. A comma inside a
/// quoted string does not separate.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (element, after) = split_element(rest);
            rest = after;
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

/// The first element, trimmed, and what follows its comma. A quoted string that is not closed reaches to the end.
fn split_element(list: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut bytes = list.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b',' if !quoted => return (trim(&list[..at]), &list[at + 1..]),
            _ => {}
        }
    }
    (trim(list), &[])
}

#[cfg(test)]
mod tests;
