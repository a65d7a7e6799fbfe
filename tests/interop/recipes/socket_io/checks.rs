//! Against npm socket.io, and python-socketio on python-engineio.

use std::thread;
use std::time::Instant;

use serde_json::json;

use super::*;
use crate::{Check, LIMIT};

pub(crate) const CHECKS: [Check; 7] = [
    ("an acknowledgement, and an event before it", acknowledgement_and_event),
    ("an event that is to be acknowledged", event_to_acknowledge),
    ("pings while nothing comes", pings),
    ("one who does not answer pings is disconnected", unanswered_pings),
    ("disconnected by the server", disconnected_by_the_server),
    ("disconnected by this side", disconnected_by_this_side),
    ("a refused login, and a binary packet", refused_login_and_binary_packet),
];

fn open(base: &str) -> Result<SocketIo> {
    SocketIo::connect(base, &json!({ "token": "pa55" }))
}

/// The connection to the server is over: how it saw that.
fn last_end(base: &str) -> Result<Value> {
    let mut other = open(base)?;
    let ends = other.emit_with_ack(&json!(["tell_ends"]))?;
    other.disconnect()?;
    Ok(ends[0].as_array().and_then(|ends| ends.last()).cloned().unwrap_or_default())
}

fn next(socket: &mut SocketIo) -> Result<Packet> {
    Ok(socket.event()?.expect("the server has not disconnected"))
}

fn acknowledgement_and_event(base: &str) -> Result<()> {
    let mut socket = open(base)?;
    for room in ["den", "[7]", "{"] {
        assert_eq!(socket.emit_with_ack(&json!(["join", room]))?, json!([{ "room": room }]));
        assert_eq!(next(&mut socket)?.value, json!(["joined", room, "ü"]));
    }
    socket.disconnect()
}

fn event_to_acknowledge(base: &str) -> Result<()> {
    let mut socket = open(base)?;
    socket.emit(&json!(["ask", 20]))?;
    let question = next(&mut socket)?;
    assert_eq!(question.value, json!(["question", 20]));
    socket.acknowledge(&question, &json!([21]))?;
    assert_eq!(next(&mut socket)?.value, json!(["answered", 21]));
    socket.disconnect()
}

/// The server pings every 0.3 s, and waits 1.5 s for the answer. Only pings end the wait here.
fn pings(base: &str) -> Result<()> {
    let mut socket = open(base)?;
    let sender = socket.ws.sender();
    let later = thread::spawn(move || {
        thread::sleep(Duration::from_secs(3));
        sender.send_text(r#"42["join","later"]"#)
    });
    assert_eq!(next(&mut socket)?.value, json!(["joined", "later", "ü"]));
    later.join().expect("no panic")?;
    socket.disconnect()
}

fn unanswered_pings(base: &str) -> Result<()> {
    let socket = open(base)?;
    let mut ws = socket.ws;
    ws.set_recv_timeout(Some(LIMIT))?;
    let began = Instant::now();
    let end = loop {
        if let Err(error) = ws.recv() {
            break error;
        }
    };
    assert!(end.is_closed(), "{end}");
    assert!(began.elapsed() < LIMIT / 3, "{:?}", began.elapsed());
    let end = last_end(base)?;
    assert!(end == "ping timeout" || end == "transport close", "{end}"); // npm's, and that of python-engineio
    Ok(())
}

fn disconnected_by_the_server(base: &str) -> Result<()> {
    let mut socket = open(base)?;
    socket.emit(&json!(["leave"]))?;
    assert!(socket.event()?.is_none());
    socket.ws.close()?;
    let end = last_end(base)?;
    assert!(end == "server namespace disconnect" || end == "server disconnect", "{end}");
    Ok(())
}

fn disconnected_by_this_side(base: &str) -> Result<()> {
    let socket = open(base)?;
    socket.disconnect()?;
    let end = last_end(base)?;
    assert!(end == "client namespace disconnect" || end == "client disconnect", "{end}");
    Ok(())
}

fn refused_login_and_binary_packet(base: &str) -> Result<()> {
    let error = SocketIo::connect(base, &json!({ "token": "wrong" })).err().expect("a refusal").to_string();
    assert!(error.contains("not you"), "{error}");
    let mut socket = open(base)?;
    socket.emit(&json!(["send_bytes"]))?;
    let error = socket.event().err().expect("an error").to_string();
    assert_eq!(error, "a binary packet");
    socket.disconnect()
}
