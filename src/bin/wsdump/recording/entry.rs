//! One line of a recording: a JSON object, such as `{"at":0.5,"from":"client","kind":"text","text":"hello"}`.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use websocket_sync::Message;

/// A message, who sent it, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// Counted from the beginning of the recording, to the microsecond.
    pub(crate) at: Duration,
    pub(crate) from: Side,
    pub(crate) message: Message,
}

/// Who sent a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Client, Self::Server].into_iter().find(|side| side.as_str() == name)
    }
}

impl Entry {
    /// What a line says; `None` for one that is not of a recording.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let object: Value = serde_json::from_slice(line).ok()?;
        let at = time(object.get("at")?.as_f64()?)?;
        let from = Side::parse(object.get("from")?.as_str()?)?;
        let message = match object.get("kind")?.as_str()? {
            "text" => Message::Text(object.get("text")?.as_str()?.to_owned()),
            "binary" => Message::Binary(STANDARD.decode(object.get("base64")?.as_str()?).ok()?),
            _ => return None,
        };
        Some(Self { at, from, message })
    }
}

/// The longest time of a recording, in seconds: about 31 years. Up to it, numbers that are neighbours are the same microsecond.
const LONGEST: f64 = 1e9;

/// A time in seconds, to the microsecond: a number that is written may be read as a neighbour of itself.
fn time(seconds: f64) -> Option<Duration> {
    if !(0.0..=LONGEST).contains(&seconds) {
        return None;
    }
    Some(Duration::from_micros((seconds * 1e6).round() as u64))
}

/// The line for a message of this kind, `text` or `binary`: text as it is, anything else in base64.
pub(crate) fn line(at: Duration, from: Side, kind: &str, payload: &[u8]) -> String {
    let mut object = Map::new();
    object.insert("at".to_owned(), json!(at.as_secs_f64()));
    object.insert("from".to_owned(), json!(from.as_str()));
    object.insert("kind".to_owned(), json!(kind));
    match str::from_utf8(payload) {
        Ok(text) if kind == "text" => object.insert("text".to_owned(), json!(text)),
        _ => object.insert("base64".to_owned(), json!(STANDARD.encode(payload))),
    };
    Value::Object(object).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_of_one_side() {
        let text = br#"{"at":1.5,"from":"client","kind":"text","text":"hi"}"#;
        let at = Duration::from_millis(1500);
        assert_eq!(Entry::parse(text), Some(Entry { at, from: Side::Client, message: Message::from("hi") }));
        let binary = br#"{"at":0,"from":"server","kind":"binary","base64":"AAE="}"#;
        let entry = Entry { at: Duration::ZERO, from: Side::Server, message: Message::Binary(vec![0, 1]) };
        assert_eq!(Entry::parse(binary), Some(entry));
    }

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let at = Duration::from_micros(1_234_567_890_123);
        for (kind, message) in
            [("text", Message::from("a\"\n\u{2028}é")), ("binary", Message::Binary(vec![b'a', 0xFF]))]
        {
            let written = line(at, Side::Server, kind, message.as_bytes());
            assert_eq!(written.lines().count(), 1, "{written}");
            assert_eq!(Entry::parse(written.as_bytes()), Some(Entry { at, from: Side::Server, message }), "{written}");
        }
    }

    #[test]
    fn times_are_written_as_they_are_read() {
        // What fuzzing has found: serde_json reads some numbers as a neighbour of the nearest one.
        for at in ["123456789.123456789", "12345678.123345679", "0.1", "1e9", "999999999.9999995", "4e-7"] {
            let text = format!(r#"{{"at":{at},"from":"server","kind":"binary","base64":""}}"#);
            let entry = Entry::parse(text.as_bytes()).expect("a line of a recording");
            let written = line(entry.at, entry.from, "binary", b"");
            assert_eq!(Entry::parse(written.as_bytes()), Some(entry), "{at}: {written}");
        }
    }

    #[test]
    fn what_is_no_recording_is_refused() {
        for line in [
            "",
            "hello",
            "{}",
            r#"{"at":-1,"from":"client","kind":"text","text":"hi"}"#,
            r#"{"at":1e300,"from":"client","kind":"text","text":"hi"}"#,
            r#"{"at":1000000001,"from":"client","kind":"text","text":"hi"}"#,
            r#"{"at":0,"from":"client","kind":"text","base64":"AAE="}"#,
            r#"{"at":0,"from":"client","kind":"binary","base64":"?"}"#,
            r#"{"at":0,"from":"client","kind":"close"}"#,
            r#"{"at":0,"from":"proxy","kind":"text","text":"hi"}"#,
        ] {
            assert_eq!(Entry::parse(line.as_bytes()), None, "{line}");
        }
    }
}
