//! Back and forth: a message leaves, and an answer is waited for.

use std::hint::black_box;
use std::io::Write;

use tungstenite::{Bytes, Message};
use websocket_sync::create_connection;
use websocket_sync::protocol::{Frame, Opcode, Role};
use websocket_sync_tungstenite::clock::{Cost, cost_of};
use websocket_sync_tungstenite::rounds::{Clock, Contenders, Outcome, compare};

use crate::clients::{self, FLOOR, Floor, OURS, THEIRS};
use crate::server::{Server, Speech};
use crate::stage::Stage;

/// Binary messages of this length, each of which comes back. `core` is the server's.
pub(crate) fn echo(stage: &Stage, length: usize, messages: usize, core: Option<usize>) -> Outcome {
    let server = Server::start(Speech::Plain, core);
    let (mut ours, mut theirs) = clients::connect(&server);
    let mut floor = Floor::connect(&server);
    let messages = stage.plan.messages(messages);
    let payload = vec![7; length];
    let shared = Bytes::from(payload.clone());
    let frame = Frame::new(Opcode::Binary, payload.as_slice());
    let request = frame.encoded_len(Role::Client);
    let reply = frame.to_bytes(None).into();
    let masked = frame.to_bytes(Some([0x37, 0xfa, 0x21, 0x3d]));
    let (server, payload, reply) = (&server, &payload, &reply);
    let contenders = Contenders {
        ours: Box::new(move || {
            server.answer(OURS, request, reply, messages);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    ours.send_binary(payload).unwrap();
                    black_box(ours.recv_ref().unwrap());
                }
            });
            server.finish();
            cost
        }),
        theirs: Box::new(move || {
            server.answer(THEIRS, request, reply, messages);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    theirs.send(Message::Binary(shared.clone())).unwrap();
                    black_box(theirs.read().unwrap());
                }
            });
            server.finish();
            cost
        }),
        floor: Some(Box::new(move || {
            server.answer(FLOOR, request, reply, messages);
            let cost = cost_of(|| {
                for _ in 0..messages {
                    floor.stream.write_all(&masked).unwrap();
                    black_box(floor.skip_message());
                }
            });
            server.finish();
            cost
        })),
        messages,
    };
    compare(contenders, stage.plan, Clock::Wall)
}

/// Connections, one after the other, each by nothing but its URL. What it costs to end them does not count: only ours say a Close.
pub(crate) fn connections(stage: &Stage, speech: Speech, connections: usize) -> Outcome {
    let server = Server::start(speech, stage.server_core());
    let connections = stage.plan.messages(connections);
    let server = &server;
    let contenders = Contenders {
        ours: Box::new(move || cost_of_opening(server, connections, |url| create_connection(url).unwrap())),
        theirs: Box::new(move || cost_of_opening(server, connections, |url| tungstenite::connect(url).unwrap())),
        floor: None,
        messages: connections,
    };
    compare(contenders, stage.plan, Clock::Cpu)
}

/// What it costs to open so many connections.
fn cost_of_opening<C>(server: &Server, connections: usize, open: impl Fn(&str) -> C) -> Cost {
    let mut opened = Vec::with_capacity(connections);
    let cost = cost_of(|| opened.extend((0..connections).map(|_| server.accept(&open))));
    drop(opened);
    server.forget();
    cost
}
