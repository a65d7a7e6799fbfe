//! The key and what the server makes of it (RFC 6455, sections 4.1, 4.2.2 and 1.3).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The number of bytes that a key stands for.
pub const KEY_LEN: usize = 16;

/// What the server appends to the key before it hashes (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

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
mod tests {
    use super::*;

    #[test]
    fn accept_is_that_of_the_rfc_and_of_other_implementations() {
        let vectors = [
            ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("c6b8hTg4EeGb2gQMztV1/g==", "Kxep+hNu9n51529fGidYu7a3wO0="),
        ];
        for (key, accept) in vectors {
            assert_eq!(accept_for(key), accept);
        }
    }

    #[test]
    fn a_key_is_base64_of_sixteen_bytes() {
        assert!(is_key(key_from([0; 16]).as_bytes()));
        assert!(is_key(key_from([0xff; 16]).as_bytes()));
        for wrong in ["", "abc", "==", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQQ=="]
        {
            assert!(!is_key(wrong.as_bytes()), "{wrong}");
        }
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25j ZQ=="));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25j-Q=="));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="));
    }
}
