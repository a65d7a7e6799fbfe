//! Sending: the server lets everything fall.

use std::io::Write;

use tungstenite::{Bytes, Message};
use websocket_sync::protocol::{Frame, Opcode, Role};
use websocket_sync_tungstenite::clock::{Cost, cost_of};
use websocket_sync_tungstenite::rounds::{Clock, Contenders, Outcome, compare};

use crate::clients::{self, FLOOR, Floor, OURS, THEIRS};
use crate::server::{Server, Speech};
use crate::stage::Stage;

/// A key, for the frames that need none that is secret.
const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// How many messages leave before the server reads.
const BURST: usize = 500;

/// Each message by itself: in a system call of its own.
pub(crate) fn one_by_one(stage: &Stage, speech: Speech, length: usize, messages: usize) -> Outcome {
    let server = Server::start(speech, stage.server_core());
    let (ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let text = "x".repeat(length);
    let frame = Frame::new(Opcode::Text, text.as_str()).to_bytes(KEY);
    let bursts = stage.plan.messages(messages).div_ceil(BURST);
    let (text, frame, bytes) = (text.as_str(), &frame, frame.len() * BURST);
    let send = |connection, send: &mut dyn FnMut()| -> Cost {
        (0..bursts).map(|_| unread(&server, connection, bytes, || (0..BURST).for_each(|_| send()))).sum()
    };
    let send = &send;
    let contenders = Contenders {
        ours: Box::new(move || {
            send(OURS, &mut || {
                ours.send_text(text).unwrap();
            })
        }),
        theirs: Box::new(move || send(THEIRS, &mut || theirs.send(Message::text(text)).unwrap())),
        floor: Some(Box::new(move || send(FLOOR, &mut || floor.stream.write_all(frame).unwrap()))),
        messages: bursts * BURST,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}

/// Many messages in a write.
pub(crate) fn batched(stage: &Stage, length: usize, messages: usize) -> Outcome {
    let server = Server::start(Speech::Plain, stage.server_core());
    let (ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let text = "x".repeat(length);
    let frames = Frame::new(Opcode::Text, text.as_str()).to_bytes(KEY).repeat(BURST);
    let batches = stage.plan.messages(messages).div_ceil(BURST);
    let (text, frames) = (text.as_str(), &frames);
    let send = |connection, send: &mut dyn FnMut()| -> Cost {
        (0..batches).map(|_| unread(&server, connection, frames.len(), &mut *send)).sum()
    };
    let send = &send;
    let contenders = Contenders {
        ours: Box::new(move || {
            send(OURS, &mut || ours.cork(|batch| (0..BURST).try_for_each(|_| batch.send_text(text).map(drop))).unwrap())
        }),
        theirs: Box::new(move || {
            send(THEIRS, &mut || {
                (0..BURST).for_each(|_| theirs.write(Message::text(text)).unwrap());
                theirs.flush().unwrap();
            })
        }),
        floor: Some(Box::new(move || send(FLOOR, &mut || floor.stream.write_all(frames).unwrap()))),
        messages: batches * BURST,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}

/// What it costs to send what the server reads only when all of it has arrived. A server that is waiting would have to
/// be woken by the sender, at the sender's expense; from another machine it is not.
fn unread(server: &Server, connection: usize, bytes: usize, send: impl FnOnce()) -> Cost {
    let cost = cost_of(send);
    server.drain(connection, bytes);
    server.finish();
    cost
}

/// Large messages. tungstenite is handed the same `Bytes` again and again, so that it need not copy them.
pub(crate) fn large(stage: &Stage, length: usize, messages: usize) -> Outcome {
    let server = Server::start(Speech::Plain, stage.server_core());
    let (ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let messages = stage.plan.messages(messages);
    let payload = vec![7; length];
    let shared = Bytes::from(payload.clone());
    let frame = Frame::new(Opcode::Binary, payload.as_slice());
    let bytes = messages * frame.encoded_len(Role::Client);
    let (server, payload) = (&server, &payload);
    let contenders = Contenders {
        ours: Box::new(move || {
            server.drain(OURS, bytes);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    ours.send_binary(payload).unwrap();
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            server.drain(THEIRS, bytes);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    theirs.send(Message::Binary(shared.clone())).unwrap();
                }
            });
            server.finish();
            cost
        }),
        floor: Some(Box::new(move || {
            server.drain(FLOOR, bytes);
            let header = bytes / messages - payload.len();
            let cost = cost_of(|| {
                for _ in 0..messages {
                    floor.stream.write_all(&payload[..header]).unwrap();
                    floor.stream.write_all(payload).unwrap();
                }
            });
            server.finish();
            cost
        })),
        messages,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}
