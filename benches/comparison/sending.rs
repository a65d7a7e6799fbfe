//! Sending: the server reads, and lets everything fall.

use std::io::Write;

use tungstenite::{Bytes, Message};
use websocket_sync::protocol::{Frame, Opcode, Role};

use crate::clients::{self, FLOOR, Floor, OURS, THEIRS};
use crate::clock::cost_of;
use crate::rounds::{Clock, Contender, Contenders, Outcome, compare};
use crate::server::Reading::{AtOnce, NowAndThen};
use crate::server::{Server, Speech};
use crate::stage::Stage;

/// A key, for the frames that need none that is secret.
const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

/// Each message by itself: in a system call of its own.
pub(crate) fn one_by_one(stage: &Stage, speech: Speech, length: usize, messages: usize) -> Outcome {
    let plain = matches!(speech, Speech::Plain);
    let server = Server::start(speech, stage.server_core());
    let (ours, mut theirs) = clients::connect(&server);
    let mut floor = plain.then(|| Floor::connect(&server));
    let messages = stage.plan.messages(messages);
    let text = "x".repeat(length);
    let frame = Frame::new(Opcode::Text, text.as_str());
    let bytes = messages * frame.encoded_len(Role::Client);
    let frame = frame.to_bytes(KEY);
    let (server, text, frame) = (&server, text.as_str(), &frame);
    let contenders = Contenders {
        ours: Box::new(move || {
            server.drain(OURS, bytes, NowAndThen);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    ours.send_text(text).unwrap();
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            server.drain(THEIRS, bytes, NowAndThen);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    theirs.send(Message::text(text)).unwrap();
                }
            });
            server.finish();
            cost
        }),
        floor: floor.as_mut().map(|floor| -> Contender<'_> {
            Box::new(move || {
                server.drain(FLOOR, bytes, NowAndThen);
                let cost = cost_of(|| {
                    for _ in 0..messages {
                        floor.socket.write_all(frame).unwrap();
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

/// Many messages in a write.
pub(crate) fn batched(stage: &Stage, length: usize, in_batch: usize, messages: usize) -> Outcome {
    let server = Server::start(Speech::Plain, stage.server_core());
    let (ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let batches = stage.plan.messages(messages).div_ceil(in_batch);
    let messages = batches * in_batch;
    let text = "x".repeat(length);
    let frame = Frame::new(Opcode::Text, text.as_str());
    let bytes = messages * frame.encoded_len(Role::Client);
    let frames = frame.to_bytes(KEY).repeat(in_batch);
    let (server, text, frames) = (&server, text.as_str(), &frames);
    let contenders = Contenders {
        ours: Box::new(move || {
            server.drain(OURS, bytes, NowAndThen);
            let cost = cost_of(|| {
                for _ in 0..batches {
                    ours.cork(|batch| (0..in_batch).try_for_each(|_| batch.send_text(text).map(drop))).unwrap();
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            server.drain(THEIRS, bytes, NowAndThen);
            let cost = cost_of(|| {
                for _ in 0..batches {
                    for _ in 0..in_batch {
                        theirs.write(Message::text(text)).unwrap();
                    }
                    theirs.flush().unwrap();
                }
            });
            server.finish();
            cost
        }),
        floor: Some(Box::new(move || {
            server.drain(FLOOR, bytes, NowAndThen);
            let cost = cost_of(|| {
                for _ in 0..batches {
                    floor.socket.write_all(frames).unwrap();
                }
            });
            server.finish();
            cost
        })),
        messages,
    };
    compare(contenders, stage.plan, Clock::Cpu)
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
            server.drain(OURS, bytes, AtOnce);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    ours.send_binary(payload).unwrap();
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            server.drain(THEIRS, bytes, AtOnce);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    theirs.send(Message::Binary(shared.clone())).unwrap();
                }
            });
            server.finish();
            cost
        }),
        floor: Some(Box::new(move || {
            server.drain(FLOOR, bytes, AtOnce);
            let header = bytes / messages - payload.len();
            let cost = cost_of(|| {
                for _ in 0..messages {
                    floor.socket.write_all(&payload[..header]).unwrap();
                    floor.socket.write_all(payload).unwrap();
                }
            });
            server.finish();
            cost
        })),
        messages,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}
