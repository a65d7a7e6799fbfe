//! The recipe "A Jupyter kernel".

use std::time::Duration;

use serde_json::{Value, json};
use websocket_sync::{ConnectOptions, Result, WebSocket};

struct Kernel {
    ws: WebSocket,
    /// Tells the clients of a kernel apart.
    session: String,
    last_id: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Execution {
    /// What was printed, on either stream.
    output: String,
    /// The value of the last expression.
    value: Option<String>,
    error: Option<String>,
}

impl Kernel {
    /// Connects to `ws://HOST:8888/api/kernels/ID/channels`. A POST to `/api/kernels` starts a kernel and gives its ID.
    fn connect(url: &str, token: &str, session: &str) -> Result<Self> {
        let options = ConnectOptions::new().header("Authorization", format!("token {token}"));
        // A cell may take its time, but not in silence.
        let ws = options.recv_timeout(Duration::from_secs(600)).connect(url)?;
        Ok(Self { ws, session: session.to_owned(), last_id: 0 })
    }

    fn execute(&mut self, code: &str) -> Result<Execution> {
        self.last_id += 1;
        let id = format!("{}-{}", self.session, self.last_id);
        self.ws.send_json(&json!({
            "channel": "shell",
            "header": {
                "msg_id": id, "msg_type": "execute_request", "session": self.session, "username": "", "version": "5.3"
            },
            "parent_header": {},
            "metadata": {},
            "content": { "code": code, "silent": false, "store_history": true, "allow_stdin": false },
        }))?;
        let mut execution = Execution::default();
        // The reply and the output take different ways: either may be the last to come.
        let (mut is_replied, mut is_idle) = (false, false);
        while !(is_replied && is_idle) {
            let message: Value = self.ws.recv_json()?;
            if message["parent_header"]["msg_id"] != id {
                continue; // of another client of the kernel
            }
            let content = &message["content"];
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match message["header"]["msg_type"].as_str() {
                Some("stream") => execution.output += &text(&content["text"]),
                Some("execute_result") => execution.value = Some(text(&content["data"]["text/plain"])),
                Some("error") => {
                    execution.error = Some(format!("{}: {}", text(&content["ename"]), text(&content["evalue"])))
                }
                Some("execute_reply") => is_replied = true,
                Some("status") => is_idle = content["execution_state"] == "idle",
                _ => {}
            }
        }
        Ok(execution)
    }
}

pub(crate) mod checks;
