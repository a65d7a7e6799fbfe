//! The fields of the WebSocket handshake: `Sec-WebSocket-Extensions`, `-Protocol`, `-Key` and `-Accept` (RFC 6455, sections
//! 4.1, 9.1 and 11.3).
//!
//! ```text
//! extension-list  = 1#extension
//! extension       = token *( ";" extension-param )
//! extension-param = token [ "=" ( token | quoted-string ) ]    ; unquoted, the string must be a token, too
//! ```

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use super::error::HandshakeError;
use super::headers::{self, Headers};
use super::subprotocols::ShownSubprotocols;
use crate::protocol::LocalProtocolError;

/// The number of bytes that a key stands for.
pub const KEY_LEN: usize = 16;

/// What the server appends to the key before it hashes (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

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
        for element in headers::elements(value.as_ref()) {
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
        match headers::trim(self.rest).split_first() {
            Some((&first, rest)) if first == separator => {
                self.rest = headers::trim(rest);
                true
            }
            _ => false,
        }
    }

    /// Takes a token.
    fn token(&mut self) -> Result<String, HandshakeError> {
        let end = self.rest.iter().position(|&byte| !headers::is_token_byte(byte)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        token(name.to_vec()).ok_or(HandshakeError::ExtensionSyntax)
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
                    return token(content).ok_or(HandshakeError::ExtensionSyntax);
                }
                b'\\' => content.extend(bytes.next().map(|(_, &escaped)| escaped)),
                _ => content.push(byte),
            }
        }
        Err(HandshakeError::ExtensionSyntax)
    }
}

/// The bytes as a string, if they are a token.
fn token(bytes: Vec<u8>) -> Option<String> {
    String::from_utf8(bytes).ok().filter(|text| headers::is_token(text.as_bytes()))
}

/// What a request offers. The response may agree to nothing else, whichever side judges that.
#[derive(Clone, Eq, PartialEq)]
pub(in crate::protocol) struct HandshakeOffer {
    pub(super) key: String,
    pub(super) subprotocols: Vec<String>,
    pub(in crate::protocol) extensions: Vec<ExtensionOffer>,
}

/// Hides subprotocols that may be tokens.
impl fmt::Debug for HandshakeOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandshakeOffer")
            .field("subprotocols", &ShownSubprotocols(&self.subprotocols))
            .field("extensions", &self.extensions)
            .finish()
    }
}

/// The subprotocols of a request: tokens, each once, in their order; without a field there are none (RFC 6455, section 4.1).
pub(super) fn subprotocols(headers: &Headers) -> Result<Vec<String>, LocalProtocolError> {
    // A peer may send thousands: to compare each with all others would take quadratic time.
    let mut seen = BTreeSet::new();
    let mut offered = Vec::new();
    for name in headers.elements("sec-websocket-protocol") {
        if !seen.insert(name) {
            return Err(LocalProtocolError::RepeatedSubprotocol);
        }
        offered.push(token(name.to_vec()).ok_or(LocalProtocolError::IllegalCharacter("subprotocol"))?);
    }
    Ok(offered)
}

/// Refuses an `Upgrade` that is not `websocket`, in any case, and nothing else (RFC 6455, sections 4.1 and 4.2.1).
pub(super) fn check_upgrade(headers: &Headers) -> Result<(), HandshakeError> {
    let mut protocols = headers.elements("upgrade");
    let is_websocket = |protocol: &[u8]| protocol.eq_ignore_ascii_case(b"websocket");
    if protocols.next().is_some_and(is_websocket) && protocols.next().is_none() {
        return Ok(());
    }
    Err(if headers.only("upgrade").is_err() { HandshakeError::RepeatedUpgrade } else { HandshakeError::Upgrade })
}

/// The `Sec-WebSocket-Key` that 16 bytes of entropy make (RFC 6455, section 4.1). They must be fresh and unpredictable
/// for every connection.
///
/// ```
/// use websocket_sync::protocol::handshake::key_from;
///
/// assert_eq!(key_from(*b"the sample nonce"), "dGhlIHNhbXBsZSBub25jZQ==");
/// ```
#[doc(alias = "generate_nonce")]
pub fn key_from(entropy: [u8; KEY_LEN]) -> String {
    STANDARD.encode(entropy)
}

/// The `Sec-WebSocket-Accept` that answers a key (RFC 6455, section 4.2.2).
///
/// ```
/// use websocket_sync::protocol::handshake::accept_for;
///
/// assert_eq!(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// ```
#[doc(alias = "generate_accept_token")]
pub fn accept_for(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// Whether this is the base64 of 16 bytes (RFC 6455, section 4.2.1): 22 digits and two signs of padding. The four bits
/// that the last digit has too many are not looked at; decoders differ about them.
pub(super) fn is_key(value: &[u8]) -> bool {
    let Some(digits) = value.strip_suffix(b"==") else {
        return false;
    };
    digits.len() == 22 && digits.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests;
