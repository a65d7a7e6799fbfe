//! How a server consents: what it chose, and the head of the 101 (RFC 6455, section 4.2.2).

use super::extension_header::ExtensionOffer;
use super::headers::Headers;
use super::key::accept_for;
use super::upgrade_request::UpgradeRequest;
use crate::protocol::LocalProtocolError;

/// A server's consent to open a WebSocket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Acceptance {
    /// The subprotocol, one of those offered. Default: none.
    pub subprotocol: Option<String>,
    /// The extensions, each one offered. Default: none.
    pub extensions: Vec<ExtensionOffer>,
    /// Further header fields, which come last. Those that make the handshake are not among them.
    pub headers: Headers,
}

impl Acceptance {
    /// Chooses a subprotocol.
    #[must_use]
    pub fn subprotocol(mut self, subprotocol: impl Into<String>) -> Self {
        self.subprotocol = Some(subprotocol.into());
        self
    }

    /// Agrees to an extension.
    #[must_use]
    pub fn extension(mut self, extension: ExtensionOffer) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push(name, value);
        self
    }

    /// The bytes of a 101, in the order of wsproto (RFC 6455, section 4.2.2).
    pub(super) fn encode(&self, request: &UpgradeRequest) -> Result<Vec<u8>, LocalProtocolError> {
        check_agreement(self, request)?;
        let mut headers = Headers::from([
            ("Upgrade", String::from("websocket")),
            ("Connection", String::from("Upgrade")),
            ("Sec-WebSocket-Accept", accept_for(&request.key())),
        ]);
        if let Some(subprotocol) = &self.subprotocol {
            headers.push("Sec-WebSocket-Protocol", subprotocol.as_str());
        }
        if !self.extensions.is_empty() {
            let list: Vec<String> = self.extensions.iter().map(ExtensionOffer::to_string).collect();
            headers.push("Sec-WebSocket-Extensions", list.join(", "));
        }
        headers.extend(self.headers.iter());
        headers.check()?;
        Ok(headers.to_head("HTTP/1.1 101 Switching Protocols"))
    }
}

/// Refuses what the client did not offer, and fields that only the handshake itself sends.
fn check_agreement(acceptance: &Acceptance, request: &UpgradeRequest) -> Result<(), LocalProtocolError> {
    if let Some(chosen) = &acceptance.subprotocol
        && !request.subprotocols.contains(chosen)
    {
        return Err(LocalProtocolError::UnofferedSubprotocol);
    }
    for extension in &acceptance.extensions {
        if !request.extensions.iter().any(|offer| offer.name == extension.name) {
            return Err(LocalProtocolError::UnofferedExtension);
        }
        // What we write must read back as it was meant.
        if ExtensionOffer::parse_list(extension.to_string()).as_deref() != Ok(std::slice::from_ref(extension)) {
            return Err(LocalProtocolError::IllegalCharacter("extensions"));
        }
    }
    for ours in [
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        if acceptance.headers.contains(ours) {
            return Err(LocalProtocolError::RepeatedHeader(ours));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{HeadLimits, ServerHandshake};
    use super::*;

    const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    /// The answer to a request that offers the subprotocols `one` and `two` and the extension `x-mark`.
    fn answer(acceptance: &Acceptance) -> Result<String, LocalProtocolError> {
        let headers = Headers::from([
            ("Host", "h"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "one, two"),
            ("Sec-WebSocket-Extensions", "x-mark; level=3"),
        ]);
        let (_, request) = ServerHandshake::from_parsed("GET", "/", headers, HeadLimits::default()).unwrap();
        acceptance.encode(&request).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_request_is_accepted_with_what_it_offered() {
        assert_eq!(answer(&Acceptance::default()), Ok(format!("{AGREED}\r\n")));
        let extension = ExtensionOffer::new("x-mark").param("level", Some("2"));
        let acceptance = Acceptance::default().subprotocol("two").extension(extension).header("X-Foo", "bar");
        assert_eq!(
            answer(&acceptance),
            Ok(format!(
                "{AGREED}Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Extensions: x-mark; level=2\r\nX-Foo: bar\r\n\r\n"
            ))
        );
    }

    #[test]
    fn nothing_is_accepted_that_was_not_offered_or_cannot_be_said() {
        use LocalProtocolError::*;
        let cases = [
            (Acceptance::default().subprotocol("three"), UnofferedSubprotocol),
            (Acceptance::default().extension(ExtensionOffer::new("other")), UnofferedExtension),
            (
                Acceptance::default().extension(ExtensionOffer::new("x-mark").param("a", Some("b\r\nc: d"))),
                IllegalCharacter("extensions"),
            ),
            (Acceptance::default().header("X", "b\r\nc: d"), IllegalCharacter("header value")),
            (Acceptance::default().header("sec-websocket-accept", "x"), RepeatedHeader("Sec-WebSocket-Accept")),
            (Acceptance::default().header("content-length", "5"), RepeatedHeader("Content-Length")),
        ];
        for (acceptance, expected) in cases {
            assert_eq!(answer(&acceptance), Err(expected), "{acceptance:?}");
        }
    }
}
