//! The recipe "Request and response over one connection".

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use websocket_sync::{AppThread, Error, Handle, WebSocketApp};

type Pending = Arc<Mutex<HashMap<u64, mpsc::Sender<Incoming>>>>;

struct Client {
    handle: Handle,
    last_id: AtomicU64,
    pending: Pending,
}

#[derive(Deserialize)]
struct Incoming {
    /// That of the request; there is none in what the server sends by itself.
    id: Option<u64>,
    #[serde(default)]
    result: Value,
    error: Option<Value>,
}

#[derive(Debug)]
enum CallError {
    /// What the server says.
    Refused(Value),
    /// The answer has not come in time, or the connection was lost.
    Unanswered,
    NotSent(Error),
}

impl Client {
    fn connect(url: &str) -> websocket_sync::Result<(Self, AppThread)> {
        let pending = Pending::default();
        let (answers, lost) = (Arc::clone(&pending), Arc::clone(&pending));
        let app = WebSocketApp::new(url)
            .on_message(move |_, message| {
                let message: Incoming = message.json()?;
                // Nobody waits for an event, nor for what came too late.
                let caller = message.id.and_then(|id| answers.lock().unwrap().remove(&id));
                caller.map(|caller| caller.send(message));
                Ok::<(), Error>(())
            })
            .on_close(move |_, _| lost.lock().unwrap().clear())
            .spawn()?;
        app.handle().wait_open(Duration::from_secs(10));
        Ok((Self { handle: app.handle(), last_id: AtomicU64::new(0), pending }, app))
    }

    /// Any number of threads may call at the same time.
    fn call(&self, method: &str, params: Value, timeout: Duration) -> Result<Value, CallError> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let (answer, answered) = mpsc::channel();
        self.pending.lock().unwrap().insert(id, answer);
        let sent = self.handle.send_json(&json!({ "id": id, "method": method, "params": params }));
        let message = sent.map(|()| answered.recv_timeout(timeout));
        self.pending.lock().unwrap().remove(&id);
        match message {
            Ok(Ok(Incoming { error: None, result, .. })) => Ok(result),
            Ok(Ok(Incoming { error: Some(error), .. })) => Err(CallError::Refused(error)),
            Ok(Err(_)) => Err(CallError::Unanswered),
            Err(error) => Err(CallError::NotSent(error)),
        }
    }
}

pub(crate) mod checks;
