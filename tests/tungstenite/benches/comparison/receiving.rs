//! Receiving: what has arrived already.

use std::hint::black_box;
use std::sync::Arc;

use websocket_sync::protocol::{Frame, Opcode, Role};
use websocket_sync::{Message, MessageRef};
use websocket_sync_tungstenite::clock::{Cost, cost_of};
use websocket_sync_tungstenite::rounds::{Clock, Contenders, Outcome, compare};

use crate::clients::{self, FLOOR, Floor, OURS, Ours, THEIRS, Theirs};
use crate::server::{Server, Speech};
use crate::stage::Stage;

/// How this crate's client is asked for a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Receive {
    /// `recv_ref`
    Borrowed,
    /// `recv`
    Owned,
}

pub(crate) fn text(length: usize) -> Vec<Frame> {
    vec![Frame::new(Opcode::Text, vec![b'x'; length])]
}

/// Prose in Greek: two bytes a letter, between blanks.
pub(crate) fn greek(length: usize) -> Vec<Frame> {
    let mut text = "\u{3bb}\u{3cc}\u{3b3}\u{3bf}\u{3c2} ".repeat(length / 11 + 1);
    while text.len() > length {
        text.pop();
    }
    text.push_str(&" ".repeat(length - text.len()));
    vec![Frame::new(Opcode::Text, text)]
}

pub(crate) fn binary(length: usize) -> Vec<Frame> {
    vec![Frame::new(Opcode::Binary, vec![7; length])]
}

pub(crate) fn fragments(number: usize, length: usize) -> Vec<Frame> {
    let fragment = |index| {
        let opcode = if index == 0 { Opcode::Text } else { Opcode::Continuation };
        let frame = Frame::new(opcode, vec![b'x'; length]);
        if index + 1 == number { frame } else { frame.fragment() }
    };
    (0..number).map(fragment).collect()
}

/// How much lies ready when the clients begin to read.
pub(crate) const BURST: usize = 256 * 1024;

/// Many messages in each write and, with TLS, in each record.
pub(crate) fn bursts(stage: &Stage, speech: Speech, how: Receive, message: &[Frame], messages: usize) -> Outcome {
    receive(stage, speech, how, message, (BURST, messages))
}

/// Each message in a write of its own, which with TLS makes a record of it.
pub(crate) fn singles(stage: &Stage, speech: Speech, how: Receive, message: &[Frame], messages: usize) -> Outcome {
    let length = message.iter().map(|frame| frame.encoded_len(Role::Server)).sum();
    receive(stage, speech, how, message, (length, messages))
}

/// The server writes pieces of `piece` bytes. When a burst has arrived as a whole, the client reads it; only that is
/// measured. If the client read while the server writes, the faster of the clients would wait more often, and
/// waiting for small pieces costs more than receiving them.
fn receive(
    stage: &Stage,
    speech: Speech,
    how: Receive,
    message: &[Frame],
    (piece, messages): (usize, usize),
) -> Outcome {
    let server = Server::start(speech, stage.server_core());
    let (mut ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let message: Vec<u8> = message.iter().flat_map(|frame| frame.to_bytes(None)).collect();
    let in_burst = (BURST / message.len()).max(1);
    let bursts = stage.plan.messages(messages).div_ceil(in_burst);
    let (server, bytes) = (&server, Arc::from(message.repeat(in_burst)));
    let read = move |connection: usize, read: &mut dyn FnMut()| -> Cost {
        let burst = |_| {
            server.feed(connection, &bytes, piece);
            server.finish();
            cost_of(&mut *read)
        };
        (0..bursts).map(burst).sum()
    };
    let read = &read;
    let contenders = Contenders {
        ours: match how {
            Receive::Borrowed => Box::new(move || read(OURS, &mut || borrow_messages(&mut ours, in_burst))),
            Receive::Owned => Box::new(move || read(OURS, &mut || take_messages(&mut ours, in_burst))),
        },
        theirs: Box::new(move || read(THEIRS, &mut || read_messages(&mut theirs, in_burst))),
        floor: Some(Box::new(move || read(FLOOR, &mut || skip_messages(&mut floor, in_burst)))),
        messages: bursts * in_burst,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}

fn borrow_messages(ws: &mut Ours, messages: usize) {
    for _ in 0..messages {
        match ws.recv_ref().unwrap() {
            MessageRef::Text(text) => look_at(text.as_bytes()),
            MessageRef::Binary(bytes) => look_at(bytes),
        }
    }
}

fn take_messages(ws: &mut Ours, messages: usize) {
    for _ in 0..messages {
        match ws.recv().unwrap() {
            Message::Text(text) => look_at(text.as_bytes()),
            Message::Binary(bytes) => look_at(&bytes),
        }
    }
}

fn read_messages(ws: &mut Theirs, messages: usize) {
    for _ in 0..messages {
        match ws.read().unwrap() {
            tungstenite::Message::Text(text) => look_at(text.as_bytes()),
            tungstenite::Message::Binary(bytes) => look_at(&bytes),
            other => panic!("nobody sent {other}"),
        }
    }
}

fn skip_messages(floor: &mut Floor, messages: usize) {
    for _ in 0..messages {
        black_box(floor.skip_message());
    }
}

fn look_at(payload: &[u8]) {
    black_box(payload);
}
