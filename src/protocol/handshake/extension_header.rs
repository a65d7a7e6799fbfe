//! `Sec-WebSocket-Extensions`: what it says (RFC 6455, section 9.1).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" ( token | quoted-string ) ]    ; unquoted, the string must be a token, too
//! ```

use std::fmt;

use super::error::HandshakeError;
use super::grammar;
use super::headers::Headers;

/// The most extensions in a handshake, and the most parameters of one, that are read. Chrome offers one with one
/// parameter.
const MAX_ELEMENTS: usize = 32;

/// An extension with its parameters: offered by a client, or agreed to by a server (RFC 6455, section 9.1).
///
/// A client may offer the same extension several times with different parameters, the best first.
///
/// ```
/// use websocket_sync::protocol::handshake::ExtensionOffer;
///
/// let offers = ExtensionOffer::parse_list("permessage-deflate; client_max_window_bits, x-mark; level=\"3\"")?;
/// assert_eq!(offers[0], ExtensionOffer::new("permessage-deflate").param("client_max_window_bits", None));
/// assert_eq!(offers[1], ExtensionOffer::new("x-mark").param("level", Some("3")));
/// assert_eq!(offers[1].to_string(), "x-mark; level=3");
/// # Ok::<(), websocket_sync::HandshakeError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct ExtensionOffer {
    /// The registered name, such as `permessage-deflate`.
    pub name: String,
    /// The parameters in their order, with the value of those that have one. Quotes are taken off.
    pub params: Vec<(String, Option<String>)>,
}

impl ExtensionOffer {
    /// An extension without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), params: Vec::new() }
    }

    /// The same with one parameter more. Names and values are checked where they are sent.
    #[must_use]
    pub fn param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// Reads the value of the header, in linear time.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::ExtensionSyntax`] for what the grammar does not allow, an empty list included, and
    /// [`HandshakeError::TooManyExtensions`] for more than 32 extensions or 32 parameters of one.
    pub fn parse_list(value: impl AsRef<[u8]>) -> Result<Vec<Self>, HandshakeError> {
        let mut extensions = Vec::new();
        for element in grammar::elements(value.as_ref()) {
            if extensions.len() == MAX_ELEMENTS {
                return Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
            }
            extensions.push(Self::parse(element)?);
        }
        if extensions.is_empty() { Err(HandshakeError::ExtensionSyntax) } else { Ok(extensions) }
    }

    /// Reads all headers of this name as one list (RFC 6455, section 9.1); without one the list is empty.
    pub(super) fn from_headers(headers: &Headers) -> Result<Vec<Self>, HandshakeError> {
        let mut extensions = Vec::new();
        for value in headers.all("sec-websocket-extensions") {
            extensions.append(&mut Self::parse_list(value)?);
            if extensions.len() > MAX_ELEMENTS {
                return Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
            }
        }
        Ok(extensions)
    }

    /// Reads one extension.
    fn parse(element: &[u8]) -> Result<Self, HandshakeError> {
        let mut rest = Tokens { rest: element };
        let mut extension = Self::new(rest.token()?);
        while rest.skip(b';') {
            if extension.params.len() == MAX_ELEMENTS {
                return Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
            }
            let name = rest.token()?;
            let value = if rest.skip(b'=') { Some(rest.token_or_quoted()?) } else { None };
            extension.params.push((name, value));
        }
        if rest.is_empty() { Ok(extension) } else { Err(HandshakeError::ExtensionSyntax) }
    }
}

/// As it stands in the header.
impl fmt::Display for ExtensionOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, "; {name}={value}")?,
                None => write!(f, "; {name}")?,
            }
        }
        Ok(())
    }
}

/// What is still to be read of one extension.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    /// Whether nothing follows.
    const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Takes this separator and the whitespace around it, if it comes next.
    fn skip(&mut self, separator: u8) -> bool {
        match grammar::trim(self.rest).split_first() {
            Some((&first, rest)) if first == separator => {
                self.rest = grammar::trim(rest);
                true
            }
            _ => false,
        }
    }

    /// Takes a token.
    fn token(&mut self) -> Result<String, HandshakeError> {
        let end = self.rest.iter().position(|&byte| !grammar::is_token_byte(byte)).unwrap_or(self.rest.len());
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        to_token(token.to_vec())
    }

    /// Takes a token, or the content of a quoted string, which must be a token as well.
    fn token_or_quoted(&mut self) -> Result<String, HandshakeError> {
        let [b'"', quoted @ ..] = self.rest else {
            return self.token();
        };
        let mut content = Vec::new();
        let mut bytes = quoted.iter().enumerate();
        while let Some((at, &byte)) = bytes.next() {
            match byte {
                b'"' => {
                    self.rest = &quoted[at + 1..];
                    return to_token(content);
                }
                b'\\' => content.extend(bytes.next().map(|(_, &escaped)| escaped)),
                _ => content.push(byte),
            }
        }
        Err(HandshakeError::ExtensionSyntax)
    }
}

/// The bytes as a string, if they are a token.
fn to_token(bytes: Vec<u8>) -> Result<String, HandshakeError> {
    if !grammar::is_token(&bytes) {
        return Err(HandshakeError::ExtensionSyntax);
    }
    String::from_utf8(bytes).map_err(|_| HandshakeError::ExtensionSyntax)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_the_grammar_says() {
        let cases: &[(&str, &[&str])] = &[
            ("foo", &["foo"]),
            (",foo,, bar ,", &["foo", "bar"]),
            ("foo;a;b=1", &["foo; a; b=1"]),
            ("foo ; a = 1 ;\tb", &["foo; a=1; b"]),
            (r#"foo; a="1"; b="\2""#, &["foo; a=1; b=2"]),
            ("a; x, a; y", &["a; x", "a; y"]),
            ("permessage-deflate; client_max_window_bits", &["permessage-deflate; client_max_window_bits"]),
        ];
        for (value, expected) in cases {
            let parsed: Vec<String> =
                ExtensionOffer::parse_list(value).unwrap().iter().map(ExtensionOffer::to_string).collect();
            assert_eq!(parsed, *expected, "{value}");
        }
    }

    #[test]
    fn what_the_grammar_does_not_allow_is_refused() {
        let cases = [
            "",
            " ",
            ",",
            ";",
            ";a",
            "foo;",
            "foo; ",
            "foo;;a",
            "foo; a=",
            "foo; =1",
            "foo bar",
            "foo; a b",
            "foo; a=1 2",
            "foo=1",
            r#""foo""#,
            r#"foo; "a""#,
            r#"foo; a="1"#,
            r#"foo; a="1\"#,
            r#"foo; a="1"2"#,
            r#"foo; a="1 2""#,
            r#"foo; a="""#,
            r#"foo; a=",b""#,
            r#"foo; a=1"2""#,
            "föö",
            "foo; a=\u{e9}",
            "i am the lizard queen; worship me",
        ];
        for value in cases {
            assert_eq!(ExtensionOffer::parse_list(value), Err(HandshakeError::ExtensionSyntax), "{value}");
        }
    }

    #[test]
    fn a_quoted_comma_does_not_smuggle_an_offer() {
        let parsed = ExtensionOffer::parse_list(r#"x; y=",permessage-deflate;""#);
        assert_eq!(parsed, Err(HandshakeError::ExtensionSyntax));
    }

    #[test]
    fn several_headers_are_one_list() {
        let headers =
            Headers::from([("Sec-WebSocket-Extensions", "a; x"), ("Host", "h"), ("sec-websocket-extensions", "b, c")]);
        let names: Vec<String> =
            ExtensionOffer::from_headers(&headers).unwrap().into_iter().map(|extension| extension.name).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(ExtensionOffer::from_headers(&Headers::new()), Ok(Vec::new()));
    }

    #[test]
    fn more_than_anyone_needs_is_refused() {
        let limit = Err(HandshakeError::TooManyExtensions { limit: MAX_ELEMENTS });
        let list = |count| vec!["a"; count].join(",");
        assert_eq!(ExtensionOffer::parse_list(list(MAX_ELEMENTS)).map(|list| list.len()), Ok(MAX_ELEMENTS));
        assert_eq!(ExtensionOffer::parse_list(list(MAX_ELEMENTS + 1)), limit);
        assert_eq!(ExtensionOffer::parse_list(format!("a{}", "; b".repeat(MAX_ELEMENTS + 1))), limit);
        let headers: Headers = (0..2).map(|_| ("sec-websocket-extensions", list(MAX_ELEMENTS))).collect();
        assert_eq!(ExtensionOffer::from_headers(&headers), limit);
    }

    #[test]
    fn a_hostile_value_is_read_in_linear_time() {
        for hostile in [r#"permessage-deflate; a=""#.to_owned() + &r#"\""#.repeat(1 << 20), "\t ".repeat(1 << 20)] {
            assert_eq!(ExtensionOffer::parse_list(hostile), Err(HandshakeError::ExtensionSyntax));
        }
    }
}
