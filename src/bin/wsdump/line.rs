//! What has come, as a line in the format of Python's wsdump.

use std::borrow::Cow;
use std::time::Duration;

use websocket_sync::Opcode;

use crate::escape::escape;
use crate::hex;
use crate::repr::repr;
use crate::unpack::unpack;

/// How a line is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Format {
    /// Whether it begins with what kind of frame it is.
    pub(crate) kinds: bool,
    /// Whether it begins with the time.
    pub(crate) times: bool,
    /// Whether binary messages are a table.
    pub(crate) hex: bool,
    /// Whether what a terminal would obey is escaped.
    pub(crate) escapes: bool,
}

impl Format {
    /// The line for a frame that came `since` the start, without line feed.
    pub(crate) fn line<'a>(&self, opcode: Opcode, payload: &'a [u8], since: Duration) -> Cow<'a, str> {
        let mut shown = self.payload(opcode, payload);
        if self.escapes
            && let Cow::Owned(escaped) = escape(&shown)
        {
            shown = Cow::Owned(escaped);
        }
        if self.kinds {
            shown = Cow::Owned(format!("{opcode}: {shown}"));
        }
        if self.times {
            shown = Cow::Owned(format!("{}: {shown}", since.as_secs_f64()));
        }
        shown
    }

    /// Text as it is; anything else unpacked if it is packed, and as Python's `repr` if not.
    fn payload<'a>(&self, opcode: Opcode, payload: &'a [u8]) -> Cow<'a, str> {
        if matches!(opcode, Opcode::Text | Opcode::Close)
            && let Ok(text) = str::from_utf8(payload)
        {
            return Cow::Borrowed(text);
        }
        if self.hex && opcode == Opcode::Binary {
            return Cow::Owned(hex::dump(payload));
        }
        Cow::Owned(unpack(payload).unwrap_or_else(|| repr(payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Format = Format { kinds: false, times: false, hex: false, escapes: false };

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
        let format = Format { escapes: true, ..PLAIN };
        assert_eq!(format.line(Opcode::Text, b"\x1b[2J", Duration::ZERO), "\\x1b[2J");
        assert_eq!(PLAIN.line(Opcode::Text, b"\x1b[2J", Duration::ZERO), "\x1b[2J");
    }

    #[test]
    fn binary_messages_may_be_a_table() {
        let format = Format { hex: true, ..PLAIN };
        assert!(format.line(Opcode::Binary, b"A", Duration::ZERO).starts_with("1 bytes\n00000000  41 "));
        assert_eq!(format.line(Opcode::Ping, b"A", Duration::ZERO), "b'A'");
    }
}
