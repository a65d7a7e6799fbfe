//! The lexical rules that header fields share (RFC 9110, section 5.6).

/// Whether this byte may stand in a token (RFC 9110, section 5.6.2).
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
    )
}

/// Whether this is a token: at least one byte, each of them allowed (RFC 9110, section 5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether this can be the value of a field: no control character but HTAB (RFC 9110, section 5.5).
/// Bytes from 0x80 up, "obs-text", are allowed.
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

/// Whether every byte is a visible character of ASCII: no space, no control character, nothing from 0x80 up.
pub(super) fn is_visible(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_graphic)
}

/// The same without the spaces and tabs at either end: "optional whitespace" (RFC 9110, section 5.6.3).
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list (RFC 9110, section 5.6.1): trimmed, empty ones left out. A comma inside a
/// quoted string does not separate.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (element, after) = split_element(rest);
            rest = after;
            if !element.is_empty() {
                return Some(element);
            }
        }
        None
    })
}

/// The first element, trimmed, and what follows its comma. A quoted string that is not closed reaches to the end.
fn split_element(list: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut bytes = list.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                bytes.next();
            }
            b',' if !quoted => return (trim(&list[..at]), &list[at + 1..]),
            _ => {}
        }
    }
    (trim(list), &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_of_exactly_the_bytes_of_rfc_9110() {
        let allowed: Vec<u8> = (0..=u8::MAX).filter(|&byte| is_token_byte(byte)).collect();
        assert_eq!(allowed, b"!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz|~");
        assert!(!is_token(b""));
    }

    #[test]
    fn a_field_value_has_no_control_characters_but_the_tab() {
        let refused: Vec<u8> = (0..=u8::MAX).filter(|&byte| !is_field_value(&[byte])).collect();
        let controls: Vec<u8> = (0..0x20).filter(|&byte| byte != b'\t').chain([0x7f]).collect();
        assert_eq!(refused, controls);
    }

    #[test]
    fn lists_are_split_at_commas_outside_of_quoted_strings() {
        let cases: &[(&str, &[&str])] = &[
            ("", &[]),
            (" , ,\t,", &[]),
            ("a", &["a"]),
            (" a , b,c\t", &["a", "b", "c"]),
            ("keep-alive,Upgrade", &["keep-alive", "Upgrade"]),
            (r#"x; y=",permessage-deflate;", z"#, &[r#"x; y=",permessage-deflate;""#, "z"]),
            (r#"x; y="\",a", b"#, &[r#"x; y="\",a""#, "b"]),
            (r#"x; y="open, b"#, &[r#"x; y="open, b"#]),
            (r#"x; y="\"#, &[r#"x; y="\"#]),
            (r"a\,b", &[r"a\", "b"]),
        ];
        for (list, expected) in cases {
            let split: Vec<&[u8]> = elements(list.as_bytes()).collect();
            let expected: Vec<&[u8]> = expected.iter().map(|element| element.as_bytes()).collect();
            assert_eq!(split, expected, "{list}");
        }
    }
}
