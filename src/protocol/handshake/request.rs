//! The client's request, part by part (RFC 6455, section 4.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::asked::{Asked, is_host};
use super::grammar;
use super::headers::Headers;
use super::key::{KEY_LEN, key_from};
use crate::protocol::LocalProtocolError;

/// The fields of our own, in the order of websocket-client; `Cookie` follows the fields of the user.
const OURS: [&str; 8] = [
    "Upgrade",
    "Host",
    "Origin",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Connection",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Extensions",
];

/// A client's opening request, part by part. Nothing is checked before it becomes bytes in
/// [`ClientHandshake::new`](super::ClientHandshake::new).
///
/// The head is that of websocket-client, field by field: `Upgrade`, `Host`, `Origin`, `Sec-WebSocket-Key`,
/// `Sec-WebSocket-Version`, `Connection`, `Sec-WebSocket-Protocol`, `Sec-WebSocket-Extensions`, then the fields of the
/// user, then `Cookie`. A field of the user with one of these names takes the place of ours instead of standing beside
/// it, whatever its case; what it says counts when the answer is checked, too. Three of them must say what ours would:
/// `Upgrade` (`websocket`), `Sec-WebSocket-Version` (`13`) and `Connection`, which must contain `Upgrade`.
///
/// ```
/// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HeadLimits};
///
/// let request = ClientRequest::new("example.com", "/chat").origin("http://example.com").header("X-Id", "7");
/// let (_, bytes) = ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce")?;
/// assert_eq!(
///     String::from_utf8_lossy(&bytes),
///     "GET /chat HTTP/1.1\r\n\
///      Upgrade: websocket\r\n\
///      Host: example.com\r\n\
///      Origin: http://example.com\r\n\
///      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
///      Sec-WebSocket-Version: 13\r\n\
///      Connection: Upgrade\r\n\
///      X-Id: 7\r\n\
///      \r\n"
/// );
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ClientRequest {
    target: String,
    host: Option<String>,
    origin: Option<String>,
    connection: String,
    subprotocols: Vec<String>,
    extensions: Option<String>,
    headers: Headers,
    cookie: Option<Secret>,
}

/// A text that `Debug` does not show.
#[derive(Clone, Eq, PartialEq)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<hidden>")
    }
}

impl ClientRequest {
    /// A request for a host and a target: `host[:port]` in ASCII, and the path with its query.
    pub fn new(host: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            target: target.into(),
            host: Some(host.into()),
            origin: None,
            connection: String::from("Upgrade"),
            subprotocols: Vec::new(),
            extensions: None,
            headers: Headers::new(),
            cookie: None,
        }
    }

    /// Leaves `Host` out, which RFC 6455 does not allow and websocket-client does.
    #[must_use]
    pub fn suppress_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// Sends `Origin`. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// The value of `Connection`; it must contain `Upgrade`. Default: `Upgrade`.
    #[must_use]
    pub fn connection(mut self, connection: impl Into<String>) -> Self {
        self.connection = connection.into();
        self
    }

    /// Offers subprotocols, the best first. Default: none.
    #[must_use]
    pub fn subprotocols<S: Into<String>>(mut self, subprotocols: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = subprotocols.into_iter().map(Into::into).collect();
        self
    }

    /// Offers extensions: the value of `Sec-WebSocket-Extensions`. Default: none.
    #[must_use]
    pub fn extensions(mut self, extensions: impl Into<String>) -> Self {
        self.extensions = Some(extensions.into());
        self
    }

    /// Adds a field of the user.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Adds fields of the user, in their order.
    #[must_use]
    pub fn headers<N: Into<String>, V: Into<Vec<u8>>>(mut self, headers: impl IntoIterator<Item = (N, V)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Sends `Authorization: Basic` with these credentials, `user:password` in bytes (RFC 7617). Default: none.
    #[must_use]
    pub fn basic_authorization(self, credentials: &[u8]) -> Self {
        let value = format!("Basic {}", STANDARD.encode(credentials));
        self.header("Authorization", value)
    }

    /// Sends `Cookie`, as the last field. Default: none.
    #[must_use]
    pub fn cookie(mut self, cookie: impl Into<String>) -> Self {
        self.cookie = Some(Secret(cookie.into()));
        self
    }

    /// The bytes of the request, and what the answer will be checked against.
    pub(super) fn encode(&self, entropy: [u8; KEY_LEN]) -> Result<(Vec<u8>, Asked), LocalProtocolError> {
        self.check_parts()?;
        let fields = self.fields(key_from(entropy));
        fields.check()?;
        let asked = Asked::from_fields(&fields)?;
        Ok((fields.to_head(&format!("GET {} HTTP/1.1", self.target)), asked))
    }

    /// Refuses parts that would break out of their place; the names of the parts are for people.
    fn check_parts(&self) -> Result<(), LocalProtocolError> {
        let is_text = |text: &Option<String>| text.as_ref().is_none_or(|text| grammar::is_field_value(text.as_bytes()));
        let checks = [
            ("request target", is_target(&self.target)),
            ("host", self.host.as_ref().is_none_or(|host| is_host(host.as_bytes()))),
            ("origin", is_text(&self.origin)),
            ("connection", grammar::is_field_value(self.connection.as_bytes())),
            ("subprotocol", self.subprotocols.iter().all(|name| grammar::is_token(name.as_bytes()))),
            ("extensions", is_text(&self.extensions)),
            ("cookie", self.cookie.as_ref().is_none_or(|cookie| grammar::is_field_value(cookie.0.as_bytes()))),
        ];
        match checks.iter().find(|(_, allowed)| !allowed) {
            Some((part, _)) => Err(LocalProtocolError::IllegalCharacter(part)),
            None => Ok(()),
        }
    }

    /// The fields in their order: ours, each replaced by the user's of the same name, then the user's other fields,
    /// then `Cookie`.
    fn fields(&self, key: String) -> Headers {
        let subprotocols = Some(self.subprotocols.join(",")).filter(|list| !list.is_empty());
        let ours: [Option<String>; OURS.len()] = [
            Some(String::from("websocket")),
            self.host.clone(),
            self.origin.clone(),
            Some(key),
            Some(String::from("13")),
            Some(self.connection.clone()),
            subprotocols,
            self.extensions.clone(),
        ];
        let mut fields = Headers::new();
        for (name, value) in OURS.into_iter().zip(ours) {
            self.push_field(&mut fields, name, value);
        }
        let others = self.headers.iter().filter(|(name, _)| {
            !name.eq_ignore_ascii_case("Cookie") && !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
        });
        fields.extend(others);
        self.push_field(&mut fields, "Cookie", self.cookie.as_ref().map(|cookie| cookie.0.clone()));
        fields
    }

    /// Appends the user's fields of this name, or ours where there are none.
    fn push_field(&self, fields: &mut Headers, name: &str, ours: Option<String>) {
        if self.headers.contains(name) {
            fields.extend(self.headers.iter().filter(|(theirs, _)| theirs.eq_ignore_ascii_case(name)));
        } else if let Some(value) = ours {
            fields.push(name, value);
        }
    }
}

/// Whether this can be requested: visible ASCII, a path or a whole URL, without a fragment (RFC 9112, section 3.2;
/// RFC 6455, section 3).
fn is_target(target: &str) -> bool {
    grammar::is_visible(target.as_bytes())
        && !target.contains('#')
        && (target.starts_with('/') || target.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; KEY_LEN] = *b"the sample nonce";

    /// The head's lines, without the empty one.
    fn lines(request: &ClientRequest) -> Vec<String> {
        let (bytes, _) = request.encode(NONCE).unwrap();
        let head = String::from_utf8(bytes).unwrap();
        head.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned).collect()
    }

    fn minimal() -> ClientRequest {
        ClientRequest::new("h", "/")
    }

    #[test]
    fn everything_stands_in_the_order_of_websocket_client() {
        let request = ClientRequest::new("example.com:8080", "/chat?x=1")
            .cookie("a=1; b=2")
            .headers([("X-One", "1"), ("x-two", "2")])
            .extensions("permessage-deflate; client_max_window_bits")
            .subprotocols(["a", "b"])
            .origin("http://example.com:8080");
        assert_eq!(
            lines(&request),
            [
                "GET /chat?x=1 HTTP/1.1",
                "Upgrade: websocket",
                "Host: example.com:8080",
                "Origin: http://example.com:8080",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                "Sec-WebSocket-Version: 13",
                "Connection: Upgrade",
                "Sec-WebSocket-Protocol: a,b",
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
                "X-One: 1",
                "x-two: 2",
                "Cookie: a=1; b=2",
            ]
        );
    }

    #[test]
    fn fields_of_the_user_take_the_place_of_ours() {
        let request = minimal()
            .origin("http://h")
            .cookie("ours=1")
            .subprotocols(["ours"])
            .header("X-First", "1")
            .header("COOKIE", "theirs=1")
            .header("host", "other")
            .header("ORIGIN", "null")
            .header("connection", "keep-alive, upgrade")
            .header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==")
            .header("sec-websocket-protocol", "theirs, more")
            .header("Sec-WebSocket-Protocol", "last");
        assert_eq!(
            lines(&request),
            [
                "GET / HTTP/1.1",
                "Upgrade: websocket",
                "host: other",
                "ORIGIN: null",
                "sec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==",
                "Sec-WebSocket-Version: 13",
                "connection: keep-alive, upgrade",
                "sec-websocket-protocol: theirs, more",
                "Sec-WebSocket-Protocol: last",
                "X-First: 1",
                "COOKIE: theirs=1",
            ]
        );
        let (_, asked) = request.encode(NONCE).unwrap();
        assert_eq!(asked.key, "x3JJHMbDL1EzLkh9GBhXDw==");
        assert_eq!(asked.subprotocols, ["theirs", "more", "last"]);
    }

    #[test]
    fn host_may_be_left_out_and_empty_values_are_sent() {
        assert!(!lines(&minimal().suppress_host()).iter().any(|line| line.starts_with("Host")));
        assert!(lines(&minimal().origin("")).contains(&String::from("Origin: ")));
    }

    #[test]
    fn nothing_can_be_injected_into_any_part() {
        let strings = [
            "a\rb",
            "a\nb",
            "a\r\nb",
            "a\r\nX-Evil: 1",
            "a\r\n\r\nGET / HTTP/1.1",
            "\n",
            "\r",
            "a\0",
            "\x01",
            "a\x1bb",
            "a\x7f",
            "a\x0bb",
        ];
        type Put = fn(ClientRequest, &str) -> ClientRequest;
        let parts: [(&str, Put); 10] = [
            ("request target", |_, text| ClientRequest::new("h", format!("/{text}"))),
            ("host", |_, text| ClientRequest::new(text, "/")),
            ("origin", |request, text| request.origin(text)),
            ("connection", |request, text| request.connection(format!("Upgrade, {text}"))),
            ("subprotocol", |request, text| request.subprotocols(["ok", text])),
            ("extensions", |request, text| request.extensions(format!("x; a={text}"))),
            ("header name", |request, text| request.header(text, "v")),
            ("header value", |request, text| request.header("n", text)),
            ("header value", |request, text| request.header("Host", text)),
            ("cookie", |request, text| request.cookie(text)),
        ];
        for (part, put) in parts {
            for string in strings {
                let refused = put(minimal(), string).encode(NONCE);
                assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter(part)), "{string:?}");
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_their_grammar_are_refused() {
        for target in ["", "a", "/a b", "/a#b", "/\u{e9}"] {
            let refused = ClientRequest::new("h", target).encode(NONCE);
            assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("request target")), "{target:?}");
        }
        for host in ["a b", "b\u{fc}cher.example", "h/x", "u@h", "a,b"] {
            let refused = ClientRequest::new(host, "/").encode(NONCE);
            assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("host")), "{host:?}");
        }
        for name in ["", "a b", "a,b", "a/b", "\u{e9}"] {
            let refused = minimal().subprotocols([name]).encode(NONCE);
            assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("subprotocol")), "{name:?}");
        }
        assert!(ClientRequest::new("[::1]:80", "wss://h/ws").encode(NONCE).is_ok());
    }

    #[test]
    fn a_cookie_is_not_shown() {
        assert!(!format!("{:?}", minimal().cookie("canary").header("Authorization", "canary")).contains("canary"));
    }
}
