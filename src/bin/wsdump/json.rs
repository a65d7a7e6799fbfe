//! SessionHandler as JSON, one object a line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use websocket_sync::{CloseCode, Opcode, WebSocket};

use crate::format::escape_json;
use crate::recording::Side;

/// An event of this kind, to be filled.
fn event(kind: &str, at: f64) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("at".to_owned(), json!(at));
    object.insert("event".to_owned(), json!(kind));
    object
}

fn line(object: Map<String, Value>) -> String {
    escape_json(&Value::Object(object).to_string()).into_owned()
}

/// A connection is open.
pub(crate) fn opened(ws: &WebSocket, at: f64) -> String {
    let mut object = event("open", at);
    object.insert("url".to_owned(), json!(ws.url()));
    object.insert("redirects".to_owned(), json!(ws.redirects()));
    object.insert("subprotocol".to_owned(), json!(ws.subprotocol()));
    object.insert("compressed".to_owned(), json!(ws.deflate().is_some()));
    line(object)
}

/// A message or a control frame has come; `round_trip` is that of the ping that a pong is for, in seconds.
pub(crate) fn frame(opcode: Opcode, payload: &[u8], round_trip: Option<f64>, at: f64) -> String {
    let mut object = event(&opcode.to_string(), at);
    insert_payload(&mut object, payload);
    if let Some(seconds) = round_trip {
        object.insert("round_trip".to_owned(), json!(seconds));
    }
    line(object)
}

/// A message has passed from a client of `--proxy-to`, or to it.
pub(crate) fn passed(client: u64, from: Side, opcode: Opcode, payload: &[u8], at: f64) -> String {
    let mut object = event(&opcode.to_string(), at);
    object.insert("client".to_owned(), json!(client));
    object.insert("from".to_owned(), json!(from.as_str()));
    insert_payload(&mut object, payload);
    line(object)
}

/// A connection is over.
pub(crate) fn closed(code: CloseCode, reason: &str, cause: &str, reconnect: Option<f64>, at: f64) -> String {
    let mut object = event("close", at);
    object.insert("code".to_owned(), json!(code.0));
    object.insert("reason".to_owned(), json!(reason));
    object.insert("cause".to_owned(), json!(cause));
    if let Some(seconds) = reconnect {
        object.insert("reconnects_in".to_owned(), json!(seconds));
    }
    line(object)
}

/// Something has failed; the next attempt follows in so many seconds.
pub(crate) fn error(description: &str, reconnect: Option<f64>, at: f64) -> String {
    let mut object = event("error", at);
    object.insert("error".to_owned(), json!(description));
    if let Some(seconds) = reconnect {
        object.insert("reconnects_in".to_owned(), json!(seconds));
    }
    line(object)
}

/// Text as it is, anything else in base64.
fn insert_payload(object: &mut Map<String, Value>, payload: &[u8]) {
    let is_text = object.get("event").is_some_and(|event| event == "text");
    match str::from_utf8(payload) {
        Ok(text) if is_text => object.insert("text".to_owned(), json!(text)),
        _ => object.insert("base64".to_owned(), json!(STANDARD.encode(payload))),
    };
}

/// Whether tokens have colours.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum TokenColours {
    Shown,
    None,
}

/// JSON over several lines, its tokens as they came: the order of keys, numbers of any size, escapes. `None` for what is no
/// object and no array.
pub(crate) fn pretty(text: &str, colours: TokenColours) -> Option<String> {
    if !text.trim_start().starts_with(['{', '[']) || serde_json::from_str::<Value>(text).is_err() {
        return None;
    }
    let mut shown = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, behind) = rest.split_at(token_length(rest));
        rest = behind.trim_start();
        match first {
            '{' | '[' if rest.starts_with(['}', ']']) => shown.push(first),
            '{' | '[' => {
                depth += 1;
                shown.push(first);
                new_line(&mut shown, depth);
            }
            '}' | ']' => {
                if !shown.ends_with(['{', '[']) {
                    depth -= 1;
                    new_line(&mut shown, depth);
                }
                shown.push(first);
            }
            ',' => {
                shown.push(',');
                new_line(&mut shown, depth);
            }
            ':' => shown.push_str(": "),
            _ => push_coloured(&mut shown, token, colour_of(token, rest), colours),
        }
    }
    Some(shown)
}

/// How long the first token of valid JSON is.
fn token_length(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate();
    match bytes.next() {
        Some((_, b'"')) => {
            let mut is_escaped = false;
            for (index, byte) in bytes {
                match byte {
                    b'"' if !is_escaped => return index + 1,
                    byte => is_escaped = byte == b'\\' && !is_escaped,
                }
            }
            text.len()
        }
        Some((_, b'{' | b'}' | b'[' | b']' | b',' | b':')) => 1,
        _ => text.find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace()).unwrap_or(text.len()),
    }
}

fn new_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth));
}

/// Of the 256 colours those that can be read on black and on white.
fn colour_of(token: &str, behind: &str) -> u8 {
    match token.as_bytes().first() {
        Some(b'"') if behind.starts_with(':') => 33,
        Some(b'"') => 28,
        Some(b'-' | b'0'..=b'9') => 166,
        _ => 133,
    }
}

fn push_coloured(shown: &mut String, token: &str, colour: u8, colours: TokenColours) {
    let token = escape_json(token);
    match colours {
        TokenColours::Shown => shown.push_str(&format!("\x1b[38;5;{colour}m{token}\x1b[39m")),
        TokenColours::None => shown.push_str(&token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_objects_on_one_line() {
        assert_eq!(frame(Opcode::Text, b"a\"\n\x1b", None, 1.5), r#"{"at":1.5,"event":"text","text":"a\"\n\u001b"}"#);
        assert_eq!(frame(Opcode::Binary, b"hi", None, 0.0), r#"{"at":0.0,"base64":"aGk=","event":"binary"}"#);
        let pong = r#"{"at":0.0,"base64":"","event":"pong","round_trip":0.25}"#;
        assert_eq!(frame(Opcode::Pong, b"", Some(0.25), 0.0), pong);
        let close = r#"{"at":2.0,"cause":"closed by the peer","code":4000,"event":"close","reason":"bye"}"#;
        assert_eq!(closed(CloseCode(4000), "bye", "closed by the peer", None, 2.0), close);
    }

    #[test]
    fn json_over_several_lines_has_the_same_tokens() {
        let table = [
            ("{}", "{}"),
            (" [ ] ", "[]"),
            (
                r#"{"b":[1.50,-0e5,12345678901234567890],"a":"x,]}\"\\"}"#,
                "{\n  \"b\": [\n    1.50,\n    -0e5,\n    12345678901234567890\n  ],\n  \"a\": \"x,]}\\\"\\\\\"\n}",
            ),
            ("{\r\n\"a\":\r1}\r\n", "{\n  \"a\": 1\n}"),
            ("[[],{\"a\":null}]", "[\n  [],\n  {\n    \"a\": null\n  }\n]"),
        ];
        for (text, expected) in table {
            assert_eq!(pretty(text, TokenColours::None).as_deref(), Some(expected));
        }
        for text in ["", "1", "\"a\"", "{", "{]", "{1 2}", "[1,]", "hello"] {
            assert_eq!(pretty(text, TokenColours::None), None, "{text}");
        }
        // A string that holds what ends one elsewhere.
        assert_eq!(pretty("[\"\u{9b}\"]", TokenColours::None).as_deref(), Some("[\n  \"\\u009b\"\n]"));
    }
}
