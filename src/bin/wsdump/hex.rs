//! Bytes as a table of hexadecimal numbers and characters.

use std::fmt::Write;

/// Bytes to a line.
const WIDTH: usize = 16;

/// A line for each 16 bytes: offset, numbers, characters, as `hexdump -C` has it. A line of its own says how many there are.
pub(crate) fn dump(bytes: &[u8]) -> String {
    let mut shown = format!("{} bytes", bytes.len());
    for (index, row) in bytes.chunks(WIDTH).enumerate() {
        let _ = write!(shown, "\n{:08x} ", index * WIDTH);
        for column in 0..WIDTH {
            if column == WIDTH / 2 {
                shown.push(' ');
            }
            match row.get(column) {
                Some(byte) => drop(write!(shown, " {byte:02x}")),
                None => shown.push_str("   "),
            }
        }
        let characters: String =
            row.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' }).collect();
        let _ = write!(shown, "  |{characters}|");
    }
    shown
}

/// The bytes that pairs of hexadecimal digits stand for; blanks between them do not count.
pub(crate) fn parse(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        digits.chars().filter(|digit| !digit.is_whitespace()).map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_sixteen_bytes() {
        let expected = "18 bytes\n\
            00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n\
            00000010  41 7f                                             |A.|";
        let bytes: Vec<u8> = (0..16).chain([0x41, 0x7F]).collect();
        assert_eq!(dump(&bytes), expected);
        assert_eq!(dump(b""), "0 bytes");
    }

    #[test]
    fn pairs_of_digits_are_bytes() {
        assert_eq!(parse("00 fF7a"), Some(vec![0, 255, 0x7A]));
        assert_eq!(parse(""), Some(vec![]));
        assert_eq!(parse("123"), None);
        assert_eq!(parse("zz"), None);
    }
}
