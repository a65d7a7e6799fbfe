//! The recipe "Socket.IO".

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;
use websocket_sync::{ConnectOptions, Error, Result, WebSocket};

struct SocketIo {
    ws: WebSocket,
    last_id: u64,
    /// What came while an acknowledgement was waited for.
    events: VecDeque<Packet>,
}

/// `437["done"]` acknowledges event 7: the kind is 43, the id is 7.
struct Packet {
    kind: String,
    id: String,
    /// Of an event, its name and its arguments.
    value: Value,
}

impl SocketIo {
    /// Connects to the default namespace of `ws://HOST/`.
    fn connect(base: &str, auth: &Value) -> Result<Self> {
        let options = ConnectOptions::new().recv_timeout(Duration::from_secs(10));
        let ws = options.connect(&format!("{base}socket.io/?EIO=4&transport=websocket"))?;
        let mut this = Self { ws, last_id: 0, events: VecDeque::new() };
        let open = this.packet()?.value;
        // A server that does not ping for so long is gone.
        let milliseconds = ["pingInterval", "pingTimeout"].iter().filter_map(|name| open[name].as_u64()).sum();
        this.ws.set_recv_timeout(Some(Duration::from_millis(milliseconds)))?;
        this.ws.send_text(&format!("40{auth}"))?;
        let answer = this.packet()?;
        if answer.kind == "40" { Ok(this) } else { Err(Error::other(answer.value.to_string())) }
    }

    fn emit(&self, event: &Value) -> Result<()> {
        self.ws.send_text(&format!("42{event}")).map(drop)
    }

    /// Returns what the server acknowledges the event with.
    fn emit_with_ack(&mut self, event: &Value) -> Result<Value> {
        self.last_id += 1;
        let id = self.last_id.to_string();
        self.ws.send_text(&format!("42{id}{event}"))?;
        loop {
            let packet = self.packet()?;
            match packet.kind.as_str() {
                "43" if packet.id == id => return Ok(packet.value),
                "42" => self.events.push_back(packet),
                "41" => return Err(Error::other("disconnected")),
                _ => {} // an acknowledgement that nobody waits for
            }
        }
    }

    /// The next event, `None` when the server has disconnected.
    fn event(&mut self) -> Result<Option<Packet>> {
        loop {
            let packet = self.events.pop_front().map_or_else(|| self.packet(), Ok)?;
            match packet.kind.as_str() {
                "42" => return Ok(Some(packet)),
                "41" => return Ok(None),
                _ => {}
            }
        }
    }

    /// Acknowledges an event that has an id.
    fn acknowledge(&self, event: &Packet, arguments: &Value) -> Result<()> {
        self.ws.send_text(&format!("43{}{arguments}", event.id)).map(drop)
    }

    fn disconnect(&self) -> Result<()> {
        self.ws.send_text("41")?;
        self.ws.close()
    }

    /// Answers pings. Without them the server disconnects, so it must be called again and again.
    fn packet(&mut self) -> Result<Packet> {
        loop {
            let message = self.ws.recv()?;
            let text = message.as_text().ok_or_else(|| Error::other("a binary packet"))?;
            if text == "2" {
                self.ws.send_text("3")?;
                continue;
            }
            let (head, json) = text.split_at(text.find(['[', '{']).unwrap_or(text.len()));
            let (kind, id) = head.split_at_checked(2).unwrap_or((head, ""));
            let value = if json.is_empty() { Ok(Value::Null) } else { serde_json::from_str(json) };
            return Ok(Packet { kind: kind.to_owned(), id: id.to_owned(), value: value.map_err(Error::other)? });
        }
    }
}

pub(crate) mod checks;
