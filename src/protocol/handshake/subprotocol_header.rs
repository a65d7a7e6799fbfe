//! `Sec-WebSocket-Protocol` in a request: what it says (RFC 6455, sections 4.1 and 11.3.4).

use super::grammar;
use super::headers::Headers;

/// What can be wrong with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// A name that is no token.
    NoToken,
    /// The same name twice.
    Repeated,
}

/// The subprotocols that these fields offer: tokens, each once, in their order; without a field there are none.
pub(super) fn offered(headers: &Headers) -> Result<Vec<String>, Fault> {
    let mut offered: Vec<String> = Vec::new();
    for name in headers.elements("sec-websocket-protocol") {
        let name = str::from_utf8(name).map_err(|_| Fault::NoToken)?;
        if !grammar::is_token(name.as_bytes()) {
            return Err(Fault::NoToken);
        }
        if offered.iter().any(|other| other == name) {
            return Err(Fault::Repeated);
        }
        offered.push(name.to_owned());
    }
    Ok(offered)
}
