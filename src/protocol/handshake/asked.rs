//! What a request asks for, read back from the fields that will be sent, so that those of the user count as much as
//! ours (RFC 6455, section 4.1).

use super::extension_header::ExtensionOffer;
use super::grammar;
use super::headers::Headers;
use super::key::is_key;
use super::subprotocol_header::{self, Fault};
use crate::protocol::LocalProtocolError;

/// What the answer to a request is checked against.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Asked {
    pub(super) key: String,
    pub(super) subprotocols: Vec<String>,
    pub(super) extensions: Vec<ExtensionOffer>,
}

impl Asked {
    /// What these fields ask for, if they are a request that RFC 6455, section 4.1, allows.
    pub(super) fn from_fields(fields: &Headers) -> Result<Self, LocalProtocolError> {
        check_meaning(fields)?;
        let key = fields.text("Sec-WebSocket-Key").unwrap_or_default().into_owned();
        let extensions = ExtensionOffer::from_headers(fields)
            .map_err(|_| LocalProtocolError::HeaderValue("Sec-WebSocket-Extensions"))?;
        let subprotocols = subprotocol_header::offered(fields).map_err(|fault| match fault {
            Fault::NoToken => LocalProtocolError::IllegalCharacter("subprotocol"),
            Fault::Repeated => LocalProtocolError::RepeatedSubprotocol,
        })?;
        Ok(Self { key, subprotocols, extensions })
    }
}

/// Refuses fields that would make this another request than one for a WebSocket. The user's fields come to this, too.
fn check_meaning(fields: &Headers) -> Result<(), LocalProtocolError> {
    const ONCE: [&str; 7] =
        ["Upgrade", "Host", "Origin", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Cookie", "Content-Length"];
    for once in ONCE {
        if fields.all(once).count() > 1 {
            return Err(LocalProtocolError::RepeatedHeader(once));
        }
    }
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
    grammar::is_visible(host) && !host.iter().any(|byte| matches!(byte, b'/' | b'\\' | b'?' | b'#' | b'@' | b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 5] = [
        ("Upgrade", "websocket"),
        ("Host", "h"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Connection", "Upgrade"),
    ];

    /// The good fields with others of one name.
    fn with(name: &str, values: &[&str]) -> Result<Asked, LocalProtocolError> {
        let kept = GOOD.into_iter().filter(|(other, _)| *other != name);
        let given = values.iter().map(|value| (name, *value));
        Asked::from_fields(&kept.chain(given).collect())
    }

    #[test]
    fn fields_of_the_user_cannot_make_it_another_request() {
        let cases = [
            ("Upgrade", "h2c"),
            ("Host", "a b"),
            ("Sec-WebSocket-Key", "abc"),
            ("Sec-WebSocket-Version", "8"),
            ("Connection", "keep-alive"),
            ("Content-Length", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Sec-WebSocket-Extensions", "a b"),
        ];
        for (name, value) in cases {
            assert_eq!(with(name, &[value]), Err(LocalProtocolError::HeaderValue(name)), "{value}");
        }
        for name in ["Host", "Origin", "Sec-WebSocket-Key", "Cookie", "Content-Length"] {
            assert_eq!(with(name, &["0", "5"]), Err(LocalProtocolError::RepeatedHeader(name)));
        }
        for (name, value) in [("Upgrade", "WebSocket"), ("Content-Length", "0"), ("Connection", "x, upgrade")] {
            assert!(with(name, &[value]).is_ok(), "{name}");
        }
    }

    #[test]
    fn subprotocols_are_tokens_and_each_is_offered_once() {
        let cases = [
            (vec!["a, b", "c"], Ok(vec!["a".into(), "b".into(), "c".into()])),
            (vec!["a b"], Err(LocalProtocolError::IllegalCharacter("subprotocol"))),
            (vec!["a, b", "a"], Err(LocalProtocolError::RepeatedSubprotocol)),
        ];
        for (values, expected) in cases {
            assert_eq!(with("Sec-WebSocket-Protocol", &values).map(|asked| asked.subprotocols), expected);
        }
    }
}
