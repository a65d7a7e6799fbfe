//! Percent-encoding (RFC 3986, section 2.1).

use super::split_before;

/// Upper case, as RFC 3986, section 2.1, asks for.
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Path and query for the request line, without the fragment (RFC 6455, section 3).
///
/// Nothing is decoded, and dots in the path are left alone: the server gets what the user wrote.
pub(super) fn encode_resource(rest: &str) -> String {
    let (rest, _fragment) = split_before(rest, ['#']);
    let mut resource = String::with_capacity(rest.len() + 1);
    if !rest.starts_with('/') {
        resource.push('/');
    }
    let (path, query) = split_before(rest, ['?']);
    encode_into(&mut resource, path, b"\"<>`{}^");
    encode_into(&mut resource, query, b"\"<>");
    resource
}

/// Appends `text`, percent-encoding spaces, what is not ASCII, and the characters of `unsafe_characters` (for path and query,
/// those of the WHATWG's sets).
pub(super) fn encode_into(out: &mut String, text: &str, unsafe_characters: &[u8]) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !unsafe_characters.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 0xf)]));
        }
    }
}

/// Replaces each `%XX` by its byte; what is no such thing stays.
pub(super) fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.first_chunk::<2>().filter(|_| first == b'%').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            u8::from_str_radix(digits, 16).ok()
        });
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}
