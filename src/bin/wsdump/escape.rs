//! What could do something to a terminal, made visible.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
