//! The recipe "A market feed".

use std::sync::mpsc::Sender;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use websocket_sync::{CloseCode, Handle, Handler, MessageRef, Reconnect, Result, WebSocketApp};

#[derive(Serialize)]
struct Subscribe<'a> {
    subscribe: &'a [&'a str],
}

#[derive(Deserialize)]
struct Tick {
    sequence: u64,
    price: f64,
}

struct Feed {
    /// The number of the next tick, once there was one on this connection.
    next: Option<u64>,
    /// To the thread that keeps the book.
    ticks: Sender<Tick>,
}

impl Handler for Feed {
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        self.next = None;
        app.send_json(&Subscribe { subscribe: &["BTC-USD"] })
    }

    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        let tick: Tick = message.json()?;
        if self.next.is_some_and(|next| next != tick.sequence) {
            return app.reconnect(CloseCode(4000), "a gap");
        }
        self.next = Some(tick.sequence + 1);
        match self.ticks.send(tick) {
            Ok(()) => Ok(()),
            Err(_) => app.close(), // nobody wants them any more
        }
    }
}

fn feed(url: &str, ticks: Sender<Tick>) -> WebSocketApp<'static> {
    WebSocketApp::new(url)
        .handler(Feed { next: None, ticks })
        .ping_interval(Duration::from_secs(20))
        .ping_timeout(Duration::from_secs(10))
        .reconnect(Reconnect::backoff().base(Duration::from_millis(10)))
}

pub(crate) mod checks;
