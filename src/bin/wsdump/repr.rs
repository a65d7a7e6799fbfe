//! Bytes as Python's `repr` shows them: what wsdump's users know.

/// `b'…'` with escapes; in double quotes where there are single ones within and no double ones.
pub(crate) fn repr(bytes: &[u8]) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut shown = String::with_capacity(bytes.len() + 3);
    shown.push('b');
    shown.push(quote);
    for &byte in bytes {
        match byte {
            b'\t' => shown.push_str("\\t"),
            b'\n' => shown.push_str("\\n"),
            b'\r' => shown.push_str("\\r"),
            b'\\' => shown.push_str("\\\\"),
            b' '..=b'~' if char::from(byte) == quote => {
                shown.push('\\');
                shown.push(quote);
            }
            b' '..=b'~' => shown.push(byte.into()),
            _ => {
                const DIGITS: &[u8; 16] = b"0123456789abcdef";
                shown.push_str("\\x");
                shown.push(DIGITS[usize::from(byte >> 4)].into());
                shown.push(DIGITS[usize::from(byte & 15)].into());
            }
        }
    }
    shown.push(quote);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_as_python_shows_them() {
        // The right side is what Python 3.11 printed.
        let table: [(&[u8], &str); 9] = [
            (b"", "b''"),
            (b"pp", "b'pp'"),
            (b"\x01\x02", r"b'\x01\x02'"),
            (b"\t\n\r\\", r"b'\t\n\r\\'"),
            (b"it's", r#"b"it's""#),
            (b"\"", r#"b'"'"#),
            (b"'\"", r#"b'\'"'"#),
            (b" ~\x7f\x80\xff\x1f", r"b' ~\x7f\x80\xff\x1f'"),
            (b"\x00\x0b\x0c", r"b'\x00\x0b\x0c'"),
        ];
        for (bytes, expected) in table {
            assert_eq!(repr(bytes), expected);
        }
    }
}
