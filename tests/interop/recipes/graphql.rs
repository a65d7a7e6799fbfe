//! The recipe "GraphQL".

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};
use websocket_sync::{ConnectOptions, Error, Result, WebSocket};

fn connect(url: &str, params: &Value) -> Result<WebSocket> {
    let options = ConnectOptions::new().subprotocols(["graphql-transport-ws"]);
    let mut ws = options.connect(url)?;
    ws.send_json(&json!({ "type": "connection_init", "payload": params }))?;
    loop {
        let message: Value = ws.recv_timeout(Duration::from_secs(10))?.json()?;
        match message["type"].as_str() {
            Some("connection_ack") => return Ok(ws),
            Some("ping") => drop(ws.send_json(&json!({ "type": "pong" }))?),
            _ => return Err(Error::other(format!("unexpected: {message}"))),
        }
    }
}

/// Hands out each result of an operation, until there are no more or `each` breaks. An id is used once for each connection.
fn subscribe(ws: &mut WebSocket, id: &str, query: &str, mut each: impl FnMut(Value) -> ControlFlow<()>) -> Result<()> {
    ws.send_json(&json!({ "type": "subscribe", "id": id, "payload": { "query": query } }))?;
    loop {
        let mut message: Value = ws.recv_json()?;
        match message["type"].as_str() {
            Some("ping") => drop(ws.send_json(&json!({ "type": "pong" }))?),
            // What was on its way when another operation was ended.
            _ if message["id"] != id => {}
            Some("next") => {
                if each(message["payload"].take()).is_break() {
                    return ws.send_json(&json!({ "type": "complete", "id": id })).map(drop);
                }
            }
            Some("complete") => return Ok(()),
            _ => return Err(Error::other(message["payload"].to_string())),
        }
    }
}

pub(crate) mod checks;
