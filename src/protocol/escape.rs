//! What a peer said, as it is shown to people and written to logs: on one line, bounded, without control characters.

use std::fmt::{self, Write};

/// The most characters that are shown of a name or a reason.
const MAX_SHOWN: usize = 128;

/// Text that stands without quotation marks. What is no plain text is escaped as in a string literal: control
/// characters, line feeds, backslashes, what changes the direction of text. Letters of all scripts and quotation marks
/// stay.
pub(crate) struct Escaped<'a> {
    text: &'a str,
    limit: usize,
}

/// The same with quotation marks around it, so that those inside are escaped too.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl<'a> Escaped<'a> {
    /// The first 128 characters.
    pub(crate) const fn new(text: &'a str) -> Self {
        Self::up_to(MAX_SHOWN, text)
    }

    /// The first `limit` characters.
    pub(crate) const fn up_to(limit: usize, text: &'a str) -> Self {
        Self { text, limit }
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_escaped(f, self.text, self.limit, &['\'', '"'])
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write_escaped(f, self.0, MAX_SHOWN, &['\''])?;
        f.write_char('"')
    }
}

/// Writes no more than so many characters of the text. Of what std escapes, `plain` stays as it is.
fn write_escaped(f: &mut fmt::Formatter<'_>, text: &str, limit: usize, plain: &[char]) -> fmt::Result {
    let end = text.char_indices().nth(limit).map(|(end, _)| end);
    let mut rest = &text[..end.unwrap_or(text.len())];
    while let Some(at) = rest.find(plain) {
        let (before, after) = rest.split_at(at);
        // What is `plain` is ASCII.
        let (character, after) = after.split_at(1);
        write!(f, "{}{character}", before.escape_debug())?;
        rest = after;
    }
    write!(f, "{}", rest.escape_debug())?;
    if end.is_some() { f.write_str("…") } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plain_text_is_escaped_and_letters_stay() {
        let table = [
            ("", "", "\"\""),
            ("bye", "bye", "\"bye\""),
            (
                "x\n2026-01-01 ERROR forged\r\x1b[2J\0\x7f",
                r"x\n2026-01-01 ERROR forged\r\u{1b}[2J\0\u{7f}",
                r#""x\n2026-01-01 ERROR forged\r\u{1b}[2J\0\u{7f}""#,
            ),
            ("κόσμε 日本 हिन्दी \u{1f388}", "κόσμε 日本 हिन्दी \u{1f388}", "\"κόσμε 日本 हिन्दी \u{1f388}\""),
            (
                "\u{85}\u{9b}\u{2028}\u{202e}\u{feff}",
                r"\u{85}\u{9b}\u{2028}\u{202e}\u{feff}",
                r#""\u{85}\u{9b}\u{2028}\u{202e}\u{feff}""#,
            ),
            (r#"it's "C:\""#, r#"it's "C:\\""#, r#""it's \"C:\\\"""#),
        ];
        for (text, escaped, quoted) in table {
            assert_eq!((Escaped::new(text).to_string(), Quoted(text).to_string()), (escaped.into(), quoted.into()));
        }
    }

    #[test]
    fn no_more_is_shown_than_can_be_read() {
        let long = "é".repeat(129);
        assert_eq!(Escaped::new(&long).to_string(), format!("{}…", "é".repeat(128)));
        assert_eq!(Escaped::new(&long[2..]).to_string(), "é".repeat(128));
        assert_eq!(Escaped::up_to(1, "ab").to_string(), "a…");
        assert_eq!(Quoted(&long).to_string(), format!("\"{}…\"", "é".repeat(128)));
    }
}
