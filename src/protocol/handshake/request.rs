//! The client's request, part by part, and what makes it one for a WebSocket (RFC 6455, section 4.1).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::fields::{ExtensionOffer, HandshakeOffer, KEY_LEN, is_key, key_from, subprotocols};
use super::headers::{self, Headers, ShownTarget};
use super::subprotocols::ShownSubprotocols;
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
/// it, whatever its case; what it says counts when the response is checked, too. Three of them must say what ours would:
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
#[derive(Clone, Eq, PartialEq)]
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

/// Hides subprotocols that may be tokens.
impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("target", &ShownTarget(&self.target))
            .field("host", &self.host)
            .field("origin", &self.origin)
            .field("connection", &self.connection)
            .field("subprotocols", &ShownSubprotocols(&self.subprotocols))
            .field("extensions", &self.extensions)
            .field("headers", &self.headers)
            .field("cookie", &self.cookie)
            .finish()
    }
}

/// A text that `Debug` does not show.
#[derive(Clone, Eq, PartialEq)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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

    /// The bytes of the request, and what the response will be checked against.
    pub(in crate::protocol) fn encode(
        &self,
        entropy: [u8; KEY_LEN],
    ) -> Result<(Vec<u8>, HandshakeOffer), LocalProtocolError> {
        self.check_parts()?;
        let fields = self.fields(key_from(entropy));
        fields.check()?;
        let offer = offer_in(&fields)?;
        Ok((fields.to_head(&format!("GET {} HTTP/1.1", self.target)), offer))
    }

    /// Refuses parts that would break out of their place; the names of the parts are for people.
    fn check_parts(&self) -> Result<(), LocalProtocolError> {
        let is_text = |text: &Option<String>| text.as_ref().is_none_or(|text| headers::is_field_value(text.as_bytes()));
        let checks = [
            ("request target", is_target(&self.target)),
            ("host", self.host.as_ref().is_none_or(|host| is_host(host.as_bytes()))),
            ("origin", is_text(&self.origin)),
            ("connection", headers::is_field_value(self.connection.as_bytes())),
            ("subprotocol", self.subprotocols.iter().all(|name| headers::is_token(name.as_bytes()))),
            ("extensions", is_text(&self.extensions)),
            ("cookie", self.cookie.as_ref().is_none_or(|cookie| headers::is_field_value(cookie.0.as_bytes()))),
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
    headers::is_visible(target.as_bytes())
        && !target.contains('#')
        && (target.starts_with('/') || target.contains("://"))
}

/// What these fields offer, if they are a request for a WebSocket. Read back from what will be sent, so that the fields of the
/// user count as much as ours.
fn offer_in(fields: &Headers) -> Result<HandshakeOffer, LocalProtocolError> {
    check_meaning(fields)?;
    Ok(HandshakeOffer {
        key: fields.text("Sec-WebSocket-Key").unwrap_or_default().into_owned(),
        extensions: ExtensionOffer::from_headers(fields)
            .map_err(|_| LocalProtocolError::HeaderValue("Sec-WebSocket-Extensions"))?,
        subprotocols: subprotocols(fields)?,
    })
}

/// Refuses fields that would make this another request than one for a WebSocket.
fn check_meaning(fields: &Headers) -> Result<(), LocalProtocolError> {
    const ONCE: [&str; 7] =
        ["Upgrade", "Host", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Cookie", "Content-Length"];
    fields.check_once(&ONCE)?;
    let is = |name: &str, test: fn(&[u8]) -> bool| fields.first(name).is_none_or(test);
    let checks = [
        ("Upgrade", is("Upgrade", |value| value.eq_ignore_ascii_case(b"websocket"))),
        ("Host", is("Host", is_host)),
        ("Sec-WebSocket-Key", is("Sec-WebSocket-Key", is_key)),
        ("Sec-WebSocket-Version", is("Sec-WebSocket-Version", |value| value == b"13")),
        ("Connection", fields.has_element("Connection", "upgrade")),
        // The request has no body; a server that was told of one would take our first frames for it.
        ("Content-Length", is("Content-Length", |value| value == b"0")),
        ("Transfer-Encoding", !fields.contains("Transfer-Encoding")),
    ];
    match checks.iter().find(|(_, allowed)| !allowed) {
        Some((name, _)) => Err(LocalProtocolError::HeaderValue(name)),
        None => Ok(()),
    }
}

/// Whether this can stand in `Host`: visible ASCII without what delimits the other parts of a URL. An empty one is
/// allowed (RFC 9110, section 7.2). Names in other scripts must come as A-labels (`xn--`).
pub(super) fn is_host(host: &[u8]) -> bool {
    headers::is_visible(host) && !host.iter().any(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'@' | b','))
}

#[cfg(test)]
mod tests;
