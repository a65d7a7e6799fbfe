//! Payloads as lines: the format of Python's wsdump, tables of bytes, what is compressed unpacked, and control characters escaped.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::Read;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use websocket_sync::Opcode;

use crate::json::{self, TokenColours};

/// How a line is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Format {
    /// Whether it begins with what kind of frame it is.
    pub(crate) kinds: bool,
    /// Whether it begins with the time.
    pub(crate) times: bool,
    /// Whether binary messages are a table.
    pub(crate) hex: bool,
    /// Who reads it.
    pub(crate) audience: Audience,
    /// Whether JSON goes over several lines.
    pub(crate) pretty: Option<TokenColours>,
}

/// Who reads the lines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Audience {
    /// A program, or somebody who wants it raw: all is as it came.
    #[default]
    Program,
    /// Somebody at a terminal: what a terminal would interpret is escaped, what is huge is cut, pings and pongs are marked.
    Terminal,
}

/// How many bytes of a message a terminal is shown.
const MAX_SHOWN: usize = 64 * 1024;

impl Format {
    /// The line for a frame that came `since` the start, without line feed.
    pub(crate) fn line<'a>(&self, opcode: Opcode, payload: &'a [u8], since: Duration) -> Cow<'a, str> {
        let mut shown = match self.pretty_json(opcode, payload) {
            Some(pretty) => Cow::Owned(pretty),
            None => self.one_line(opcode, payload),
        };
        if self.kinds {
            shown = Cow::Owned(format!("{opcode}: {shown}"));
        }
        if self.times {
            shown = Cow::Owned(format!("{}: {shown}", since.as_secs_f64()));
        }
        shown
    }

    fn pretty_json(&self, opcode: Opcode, payload: &[u8]) -> Option<String> {
        let is_too_long = self.audience == Audience::Terminal && payload.len() > MAX_SHOWN;
        match (self.pretty, opcode) {
            (Some(colours), Opcode::Text) if !is_too_long => json::pretty(str::from_utf8(payload).ok()?, colours),
            _ => None,
        }
    }

    fn one_line<'a>(&self, opcode: Opcode, payload: &'a [u8]) -> Cow<'a, str> {
        if self.audience == Audience::Program {
            return self.payload(opcode, payload);
        }
        let kept = if payload.len() > MAX_SHOWN { cut(opcode, payload) } else { payload };
        let mut shown = self.payload(opcode, kept);
        if let Cow::Owned(escaped) = escape(&shown) {
            shown = Cow::Owned(escaped);
        }
        if kept.len() < payload.len() {
            shown = Cow::Owned(format!("{shown}… ({} bytes in all)", payload.len()));
        }
        match opcode {
            Opcode::Ping | Opcode::Pong if !self.kinds => Cow::Owned(format!("{shown} ({opcode})")),
            _ => shown,
        }
    }

    /// Text as it is; anything else unpacked if it is packed, and as Python's `repr` if not.
    fn payload<'a>(&self, opcode: Opcode, payload: &'a [u8]) -> Cow<'a, str> {
        if matches!(opcode, Opcode::Text | Opcode::Close)
            && let Ok(text) = str::from_utf8(payload)
        {
            return if opcode == Opcode::Close { Cow::Owned(escape_line(text)) } else { Cow::Borrowed(text) };
        }
        if self.hex && opcode == Opcode::Binary {
            return Cow::Owned(hex_dump(payload));
        }
        Cow::Owned(unpack(payload).unwrap_or_else(|| repr(payload)))
    }
}

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

/// Bytes to a line.
const HEX_WIDTH: usize = 16;

/// A line for each 16 bytes: offset, numbers, characters, as `hexdump -C` has it. A line of its own says how many there are.
pub(crate) fn hex_dump(bytes: &[u8]) -> String {
    let mut shown = format!("{} bytes", bytes.len());
    for (index, row) in bytes.chunks(HEX_WIDTH).enumerate() {
        let _ = write!(shown, "\n{:08x} ", index * HEX_WIDTH);
        for column in 0..HEX_WIDTH {
            if column == HEX_WIDTH / 2 {
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
pub(crate) fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> =
        digits.chars().filter(|digit| !digit.is_whitespace()).map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

/// Escapes control characters (C0 but for line feed and tab, DEL, C1) and those that change the direction of text: a peer
/// could otherwise move the cursor, hide what it says, or have the terminal answer.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\r' => escaped.push_str("\\r"),
            character if !is_dangerous(character) => escaped.push(character),
            character if (character as u32) < 0x100 => escaped.push_str(&format!("\\x{:02x}", character as u32)),
            character => escaped.push_str(&format!("\\u{:04x}", character as u32)),
        }
    }
    Cow::Owned(escaped)
}

/// The same inside of JSON, whose own escapes stand for the same characters.
pub(crate) fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_dangerous) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        match character {
            character if is_dangerous(character) => escaped.push_str(&format!("\\u{:04x}", character as u32)),
            character => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// The same for what must stay on its line, so that a peer cannot write one that looks like ours.
pub(crate) fn escape_line(text: &str) -> String {
    escape(text).replace('\n', "\\n")
}

const fn is_dangerous(character: char) -> bool {
    match character {
        '\t' | '\n' => false,
        // C0, DEL and C1.
        '\0'..='\x1f' | '\x7f'..='\u{9f}' => true,
        // Marks, embeddings, overrides and isolates (UAX #9), and the separators that some take for line feeds.
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        _ => false,
    }
}

/// What is unpacked at most: a megabyte of zeros takes a kilobyte, and nobody reads more of it.
const UNPACK_LIMIT: usize = 16 * 1024 * 1024;
/// What is unpacked at a time.
const UNPACK_CHUNK: usize = 32 * 1024;

/// The text that a payload holds in compressed form, with what it is compressed by in front; `None` if it is something else.
///
/// Python knows gzip and bare deflate, which it calls zlib; beside them this knows zlib itself.
pub(crate) fn unpack(payload: &[u8]) -> Option<String> {
    match payload {
        [0x1F, 0x8B, _, ..] => Some(format!("[gzip] {}", gunzip(payload)?)),
        _ => Some(format!("[zlib] {}", inflate(payload, Wrapping::None).or_else(|| inflate(payload, Wrapping::Zlib))?)),
    }
}

/// What is around the compressed bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wrapping {
    /// Nothing (RFC 1951).
    None,
    /// A header and a checksum (RFC 1950).
    Zlib,
}

fn gunzip(payload: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    MultiGzDecoder::new(payload).take(UNPACK_LIMIT as u64 + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() > UNPACK_LIMIT {
        return None;
    }
    String::from_utf8(bytes).ok()
}

/// Not by a reader: that would take a stream that was cut short for one that ends.
fn inflate(payload: &[u8], wrapping: Wrapping) -> Option<String> {
    let mut state = Decompress::new(wrapping == Wrapping::Zlib);
    let mut bytes = Vec::new();
    loop {
        let (read, written) = (usize::try_from(state.total_in()).ok()?, bytes.len());
        bytes.reserve(UNPACK_CHUNK);
        let status = state.decompress_vec(payload.get(read..)?, &mut bytes, FlushDecompress::None).ok()?;
        if bytes.len() > UNPACK_LIMIT {
            return None;
        }
        match status {
            Status::StreamEnd => return String::from_utf8(bytes).ok(),
            Status::Ok | Status::BufError if bytes.len() == written && state.total_in() == read as u64 => return None,
            Status::Ok | Status::BufError => {}
        }
    }
}

/// The beginning of a payload; of text, without half a character.
fn cut(opcode: Opcode, payload: &[u8]) -> &[u8] {
    let mut end = MAX_SHOWN.min(payload.len());
    while opcode == Opcode::Text && end > 0 && payload.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end -= 1;
    }
    &payload[..end]
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    const PLAIN: Format = Format { kinds: false, times: false, hex: false, audience: Audience::Program, pretty: None };

    #[test]
    fn lines_are_those_of_python() {
        let kinds = Format { kinds: true, ..PLAIN };
        let times = Format { times: true, ..kinds };
        let table: [(Format, Opcode, &[u8], &str); 9] = [
            (PLAIN, Opcode::Text, "κόσμε".as_bytes(), "κόσμε"),
            (PLAIN, Opcode::Binary, b"\x01\x02", r"b'\x01\x02'"),
            (PLAIN, Opcode::Ping, b"pp", "b'pp'"),
            (PLAIN, Opcode::Pong, b"", "b''"),
            (PLAIN, Opcode::Binary, b"\x03\x00", "[zlib] "),
            (kinds, Opcode::Text, b"hello", "text: hello"),
            (kinds, Opcode::Pong, b"", "pong: b''"),
            (kinds, Opcode::Close, b"1000 bye", "close: 1000 bye"),
            (times, Opcode::Text, b"hello", "1.5: text: hello"),
        ];
        for (format, opcode, payload, expected) in table {
            assert_eq!(format.line(opcode, payload, Duration::from_millis(1500)), expected);
        }
    }

    #[test]
    fn a_terminal_gets_nothing_that_it_would_obey() {
        let format = Format { audience: Audience::Terminal, ..PLAIN };
        assert_eq!(format.line(Opcode::Text, b"\x1b[2J", Duration::ZERO), "\\x1b[2J");
        assert_eq!(PLAIN.line(Opcode::Text, b"\x1b[2J", Duration::ZERO), "\x1b[2J");
    }

    #[test]
    fn binary_messages_may_be_a_table() {
        let format = Format { hex: true, ..PLAIN };
        assert!(format.line(Opcode::Binary, b"A", Duration::ZERO).starts_with("1 bytes\n00000000  41 "));
        assert_eq!(format.line(Opcode::Ping, b"A", Duration::ZERO), "b'A'");
    }

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

    #[test]
    fn a_line_has_sixteen_bytes() {
        let expected = "18 bytes\n\
            00000000  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|\n\
            00000010  41 7f                                             |A.|";
        let bytes: Vec<u8> = (0..16).chain([0x41, 0x7F]).collect();
        assert_eq!(hex_dump(&bytes), expected);
        assert_eq!(hex_dump(b""), "0 bytes");
    }

    #[test]
    fn pairs_of_digits_are_bytes() {
        assert_eq!(parse_hex("00 fF7a"), Some(vec![0, 255, 0x7A]));
        assert_eq!(parse_hex(""), Some(vec![]));
        assert_eq!(parse_hex("123"), None);
        assert_eq!(parse_hex("zz"), None);
    }

    #[test]
    fn what_a_terminal_obeys_is_made_visible() {
        let table = [
            ("plain κόσμε 🎈\ttab\nline", "plain κόσμε 🎈\ttab\nline"),
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\u{9b}31m", "\\x9b31m"),
            ("a\rb\x08\x7f\0", "a\\rb\\x08\\x7f\\x00"),
            ("\u{202e}evil\u{2066}\u{61c}", "\\u202eevil\\u2066\\u061c"),
            ("\u{2028}", "\\u2028"),
        ];
        for (text, expected) in table {
            assert_eq!(escape(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_must_stay_on_its_line_stays_there() {
        assert_eq!(escape_line("bye\nwsdump: forged\r\n\ta"), "bye\\nwsdump: forged\\r\\n\ta");
    }

    #[test]
    fn what_is_harmless_is_not_copied() {
        assert!(matches!(escape("κόσμε"), Cow::Borrowed(_)));
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).expect("memory");
        encoder.finish().expect("memory")
    }

    #[test]
    fn what_is_packed_is_shown_unpacked() {
        assert_eq!(unpack(&gzip(b"hello")).as_deref(), Some("[gzip] hello"));
        assert_eq!(unpack(&deflate(b"hello")).as_deref(), Some("[zlib] hello"));
        assert_eq!(unpack(&zlib(b"hello")).as_deref(), Some("[zlib] hello"));
        let twice = [gzip(b"hello, "), gzip(b"you")].concat();
        assert_eq!(unpack(&twice).as_deref(), Some("[gzip] hello, you"));
    }

    #[test]
    fn what_is_not_packed_text_is_left_alone() {
        let cut = &gzip(b"hello")[..12];
        let latin = deflate(b"\xff");
        for payload in [b"".as_slice(), b"pp", b"\x01\x02", b"\x1f\x8b\x08rubbish", cut, &latin] {
            assert_eq!(unpack(payload), None, "{payload:?}");
        }
    }

    #[test]
    fn bombs_are_not_unpacked() {
        let bomb = gzip(&vec![b'0'; UNPACK_LIMIT + 1]);
        assert!(bomb.len() < 32 * 1024);
        assert_eq!(unpack(&bomb), None);
    }
}
