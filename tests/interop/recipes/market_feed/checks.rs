//! Against aiohttp.

use std::sync::mpsc;

use serde_json::{Value, json};
use websocket_sync::{Error, create_connection};

use super::*;
use crate::{Check, LIMIT};

pub(crate) const CHECKS: [Check; 3] = [
    ("subscribed again after a connection that was dropped", dropped),
    ("a gap", gap),
    ("subscribed again after a restart", restart),
];

fn dropped(base: &str) -> Result<()> {
    assert_eq!(follow(base, "drop", 13)?, [1, 2, 3, 11, 12, 13]);
    assert_ends(base, "drop", ["drop", "1000 "])
}

/// What comes behind the gap is not handed out.
fn gap(base: &str) -> Result<()> {
    assert_eq!(follow(base, "gap", 13)?, [1, 2, 11, 12, 13]);
    assert_ends(base, "gap", ["4000 a gap", "1000 "])
}

fn restart(base: &str) -> Result<()> {
    assert_eq!(follow(base, "restart", 5)?, [1, 2, 3, 4, 5]);
    assert_ends(base, "restart", ["restart", "1000 "])
}

/// The numbers of the ticks of a feed, up to the last one.
fn follow(base: &str, name: &str, last: u64) -> Result<Vec<u64>> {
    let (ticks, received) = mpsc::channel();
    let app = feed(&format!("{base}/feed/{name}"), ticks).spawn()?;
    let mut numbers = Vec::new();
    while numbers.last() != Some(&last) {
        let tick = received.recv_timeout(LIMIT).map_err(Error::other)?;
        assert_eq!(tick.price, tick.sequence as f64 / 2.0);
        numbers.push(tick.sequence);
    }
    app.handle().close()?;
    app.join()?;
    Ok(numbers)
}

/// How the connections ended, each of which has begun with a subscription.
fn assert_ends(base: &str, name: &str, ends: [&str; 2]) -> Result<()> {
    let mut ws = create_connection(&format!("{base}/seen/{name}"))?;
    let seen: Value = ws.recv_json()?;
    let connection = |end: &str| json!({ "subscription": { "subscribe": ["BTC-USD"] }, "end": end });
    assert_eq!(seen, json!(ends.map(connection)));
    ws.close()
}
