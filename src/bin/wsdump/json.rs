//! SessionHandler as JSON, one object a line.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use websocket_sync::{CloseCode, Opcode, WebSocket};

use crate::format::escape_json;

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

/// Something has failed; the next attempt follows in at most so many seconds.
pub(crate) fn error(description: &str, reconnects_within: Option<f64>, at: f64) -> String {
    let mut object = event("error", at);
    object.insert("error".to_owned(), json!(description));
    if let Some(seconds) = reconnects_within {
        object.insert("reconnects_within".to_owned(), json!(seconds));
    }
    line(object)
}

/// Text as it is, anything else in base64.
pub(crate) fn insert_payload(object: &mut Map<String, Value>, payload: &[u8]) {
    let is_text = object.get("event").or_else(|| object.get("kind")).is_some_and(|kind| kind == "text");
    match str::from_utf8(payload) {
        Ok(text) if is_text => object.insert("text".to_owned(), json!(text)),
        _ => object.insert("base64".to_owned(), json!(STANDARD.encode(payload))),
    };
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
}
