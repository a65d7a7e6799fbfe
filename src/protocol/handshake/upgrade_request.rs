//! The request as a server receives it, judged by the rules of RFC 6455, section 4.2.1.

use super::answer::is_upgrade_to_websocket;
use super::error::HandshakeError;
use super::extension_header::ExtensionOffer;
use super::grammar;
use super::head::RequestHead;
use super::headers::Headers;
use super::key::is_key;
use super::subprotocol_header;

/// A client's request to open a WebSocket, as a server received it. It keeps every rule of RFC 6455, section 4.2.1.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpgradeRequest {
    /// The request target as the client wrote it: a path with its query, or a whole URL.
    pub target: String,
    /// `Host`: the name that the client called the server by, with the port if it is not the default one.
    pub host: String,
    /// The subprotocols that the client speaks, the best first.
    pub subprotocols: Vec<String>,
    /// The extensions that the client offers, the best first.
    pub extensions: Vec<ExtensionOffer>,
    /// All header fields; the names of those that were received are in lower case.
    pub headers: Headers,
}

impl UpgradeRequest {
    /// Judges a request, in the order of wsproto.
    pub(super) fn judge(head: RequestHead) -> Result<Self, HandshakeError> {
        let RequestHead { method, target, minor_version, headers } = head;
        if method != "GET" {
            return Err(HandshakeError::Method);
        }
        if !headers.has_element("connection", "upgrade") {
            return Err(HandshakeError::Connection);
        }
        check_version(&headers)?;
        check_key(&headers)?;
        if !is_upgrade_to_websocket(&headers) {
            return Err(HandshakeError::Upgrade);
        }
        let host = only_host(&headers)?;
        if minor_version != 1 {
            return Err(HandshakeError::HttpVersion);
        }
        if headers.contains("transfer-encoding") || headers.all("content-length").any(|length| length != b"0") {
            return Err(HandshakeError::RequestBody);
        }
        let subprotocols = subprotocol_header::offered(&headers).map_err(|_| HandshakeError::SubprotocolSyntax)?;
        let extensions = ExtensionOffer::from_headers(&headers)?;
        Ok(Self { target, host, subprotocols, extensions, headers })
    }

    /// The client's key.
    pub(super) fn key(&self) -> String {
        self.headers.text("sec-websocket-key").unwrap_or_default().into_owned()
    }
}

/// 13 and nothing else; a list of versions does not exist in a request.
fn check_version(headers: &Headers) -> Result<(), HandshakeError> {
    let mut versions = headers.all("sec-websocket-version");
    match (versions.next(), versions.next()) {
        (None, _) => Err(HandshakeError::MissingVersion),
        (Some(b"13"), None) => Ok(()),
        _ => Err(HandshakeError::UnsupportedVersion),
    }
}

fn check_key(headers: &Headers) -> Result<(), HandshakeError> {
    let mut keys = headers.all("sec-websocket-key");
    match (keys.next(), keys.next()) {
        (None, _) => Err(HandshakeError::MissingKey),
        (Some(_), Some(_)) => Err(HandshakeError::RepeatedKey),
        (Some(key), None) if is_key(key) => Ok(()),
        (Some(_), None) => Err(HandshakeError::InvalidKey),
    }
}

fn only_host(headers: &Headers) -> Result<String, HandshakeError> {
    let mut hosts = headers.all("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if grammar::is_visible(host) => Ok(String::from_utf8_lossy(host).into_owned()),
        _ => Err(HandshakeError::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("Host", "example.com"),
        ("Connection", "Keep-Alive, Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Upgrade", "WebSocket"),
    ];

    fn judge(method: &str, minor_version: u8, headers: Headers) -> Result<UpgradeRequest, HandshakeError> {
        UpgradeRequest::judge(RequestHead { method: method.into(), target: "/".into(), minor_version, headers })
    }

    /// The good request with other fields of one name.
    fn with(name: &str, values: &[&str]) -> Result<UpgradeRequest, HandshakeError> {
        let kept = GOOD.into_iter().filter(|(other, _)| *other != name);
        judge("GET", 1, kept.chain(values.iter().map(|value| (name, *value))).collect())
    }

    #[test]
    fn a_request_is_taken_apart() {
        let mut headers = Headers::from(GOOD);
        headers.extend([("Sec-WebSocket-Protocol", "one, two"), ("X-Foo", "bar"), ("Sec-WebSocket-Protocol", "three")]);
        headers.extend([("Sec-WebSocket-Extensions", "x-mark; a=1, y"), ("sec-websocket-extensions", "x-mark")]);
        let request = judge("GET", 1, headers.clone()).unwrap();
        assert_eq!((request.host.as_str(), request.target.as_str()), ("example.com", "/"));
        assert_eq!(request.subprotocols, ["one", "two", "three"]);
        let extensions: Vec<String> = request.extensions.iter().map(ExtensionOffer::to_string).collect();
        assert_eq!(extensions, ["x-mark; a=1", "y", "x-mark"]);
        assert_eq!(request.headers, headers);
    }

    #[test]
    fn what_the_rules_forbid_is_refused_by_name() {
        use HandshakeError::*;
        let cases: &[(&str, &[&str], HandshakeError)] = &[
            ("Connection", &[], Connection),
            ("Connection", &["Keep-Alive, No-Upgrade"], Connection),
            ("Sec-WebSocket-Version", &[], MissingVersion),
            ("Sec-WebSocket-Version", &["12"], UnsupportedVersion),
            ("Sec-WebSocket-Version", &["not-a-digit"], UnsupportedVersion),
            ("Sec-WebSocket-Version", &["8, 13"], UnsupportedVersion),
            ("Sec-WebSocket-Version", &["13", "13"], UnsupportedVersion),
            ("Sec-WebSocket-Key", &[], MissingKey),
            ("Sec-WebSocket-Key", &["abc"], InvalidKey),
            ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], RepeatedKey),
            ("Upgrade", &[], Upgrade),
            ("Upgrade", &["h2c"], Upgrade),
            ("Host", &[], Host),
            ("Host", &["a", "b"], Host),
            ("Host", &["a b"], Host),
            ("Content-Length", &["5"], RequestBody),
            ("Transfer-Encoding", &["chunked"], RequestBody),
            ("Sec-WebSocket-Protocol", &["a b"], SubprotocolSyntax),
            ("Sec-WebSocket-Protocol", &["a, b", "a"], SubprotocolSyntax),
            ("Sec-WebSocket-Extensions", &["a b"], ExtensionSyntax),
            ("Sec-WebSocket-Extensions", &[""], ExtensionSyntax),
        ];
        for (name, values, expected) in cases {
            assert_eq!(with(name, values), Err(expected.clone()), "{name} {values:?}");
        }
        assert_eq!(judge("POST", 1, GOOD.into()), Err(Method));
        assert_eq!(judge("get", 1, GOOD.into()), Err(Method));
        assert_eq!(judge("GET", 0, GOOD.into()), Err(HttpVersion));
        assert!(with("Content-Length", &["0"]).is_ok());
    }
}
