//! Receiving: the server writes as fast as it can, the clients look at every message.

use std::hint::black_box;
use std::sync::Arc;

use websocket_sync::protocol::{Frame, Opcode};
use websocket_sync::{Message, MessageRef};

use crate::clients::{self, FLOOR, Floor, OURS, Ours, THEIRS, Theirs};
use crate::clock::cost_of;
use crate::rounds::{Clock, Contender, Contenders, Outcome, compare};
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

/// Many messages in each write and, with TLS, in each record.
pub(crate) fn bursts(stage: &Stage, speech: Speech, how: Receive, message: &[Frame], messages: usize) -> Outcome {
    let (bytes, in_burst) = clients::burst(message);
    receive(stage, speech, how, bytes, (in_burst, messages))
}

/// Each message in a write of its own, which with TLS makes a record of it.
pub(crate) fn singles(stage: &Stage, speech: Speech, how: Receive, message: &[Frame], messages: usize) -> Outcome {
    let bytes: Vec<u8> = message.iter().flat_map(|frame| frame.to_bytes(None)).collect();
    receive(stage, speech, how, bytes.into(), (1, messages))
}

/// `in_burst` messages are written at a time.
fn receive(
    stage: &Stage,
    speech: Speech,
    how: Receive,
    bytes: Arc<[u8]>,
    (in_burst, messages): (usize, usize),
) -> Outcome {
    let plain = matches!(speech, Speech::Plain);
    let server = Server::start(speech, stage.server_core());
    let (mut ours, mut theirs) = clients::connect(&server);
    let mut floor = plain.then(|| Floor::connect(&server));
    let times = stage.plan.messages(messages).div_ceil(in_burst);
    let messages = times * in_burst;
    let (server, bytes) = (&server, &bytes);
    let contenders = Contenders {
        ours: Box::new(move || {
            let cost = cost_of(|| {
                server.feed(OURS, bytes, times);
                match how {
                    Receive::Borrowed => borrow_messages(&mut ours, messages),
                    Receive::Owned => take_messages(&mut ours, messages),
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            let cost = cost_of(|| {
                server.feed(THEIRS, bytes, times);
                read_messages(&mut theirs, messages);
            });
            server.finish();
            cost
        }),
        floor: floor.as_mut().map(|floor| -> Contender<'_> {
            Box::new(move || {
                let cost = cost_of(|| {
                    server.feed(FLOOR, bytes, times);
                    for _ in 0..messages {
                        black_box(floor.skip_message());
                    }
                });
                server.finish();
                cost
            })
        }),
        messages,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}

fn borrow_messages(ws: &mut Ours, messages: usize) {
    for _ in 0..messages {
        match ws.recv_ref().unwrap() {
            MessageRef::Text(text) => black_box(text).len(),
            MessageRef::Binary(bytes) => black_box(bytes).len(),
        };
    }
}

fn take_messages(ws: &mut Ours, messages: usize) {
    for _ in 0..messages {
        let message: Message = ws.recv().unwrap();
        black_box(message);
    }
}

fn read_messages(ws: &mut Theirs, messages: usize) {
    for _ in 0..messages {
        black_box(ws.read().unwrap());
    }
}
