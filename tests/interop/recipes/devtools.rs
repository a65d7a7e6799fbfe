//! The recipe "Chrome DevTools".

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use websocket_sync::{ConnectOptions, Error, Result, WebSocket};

struct DevTools {
    ws: WebSocket,
    last_id: u64,
    /// What came while an answer was waited for.
    events: VecDeque<Value>,
}

impl DevTools {
    /// Connects to `webSocketDebuggerUrl` of a page, which http://127.0.0.1:9222/json lists.
    fn connect(url: &str) -> Result<Self> {
        let options = ConnectOptions::new().suppress_origin().no_limits().recv_timeout(Duration::from_secs(30));
        Ok(Self { ws: options.connect(url)?, last_id: 0, events: VecDeque::new() })
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.last_id += 1;
        self.ws.send_json(&json!({ "id": self.last_id, "method": method, "params": params }))?;
        loop {
            let mut message: Value = self.ws.recv_json()?;
            if message["id"] != self.last_id {
                self.events.push_back(message);
            } else if let Some(error) = message.get("error") {
                return Err(Error::other(error.to_string()));
            } else {
                return Ok(message["result"].take());
            }
        }
    }

    /// The parameters of the next event of this name. Those before it are dropped.
    fn event(&mut self, method: &str) -> Result<Value> {
        loop {
            let mut message = self.events.pop_front().map_or_else(|| self.ws.recv_json(), Ok)?;
            if message["method"] == method {
                return Ok(message["params"].take());
            }
        }
    }
}

pub(crate) mod checks;
