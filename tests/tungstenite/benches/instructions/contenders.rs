//! Those whose instructions are counted.

use std::hint::black_box;
use std::io::Read;

use rand::TryRng;
use rand::rngs::SysRng;
use websocket_sync::protocol::{Frame, Inbound, Limits, Outbound, Role, Step};
use websocket_sync::{ConnectOptions, MessageRef};

use crate::Direction;
use crate::tape::{SharedTape, Tape};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Contender {
    Core,
    Driver,
    Theirs,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Core, Self::Driver, Self::Theirs];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::Driver => "driver",
            Self::Theirs => "theirs",
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|contender| contender.name() == name).unwrap()
    }

    /// Reads or writes so many times the message that these frames are.
    pub(crate) fn run(self, direction: Direction, message: &[Frame], messages: usize) {
        let bytes: Vec<u8> = message.iter().flat_map(|frame| frame.to_bytes(None)).collect();
        let text = String::from_utf8(message[0].payload.clone()).unwrap();
        let tape = Tape::new(&bytes);
        match (self, direction) {
            (Self::Core, Direction::Read) => read_with_the_core(tape, messages),
            (Self::Core, Direction::Write) => write_with_the_core(&text, messages),
            (Self::Driver, Direction::Read) => read_with_the_driver(tape, messages),
            (Self::Driver, Direction::Write) => write_with_the_driver(tape, &text, messages),
            (Self::Theirs, Direction::Read) => read_with_theirs(tape, messages),
            (Self::Theirs, Direction::Write) => write_with_theirs(tape, &text, messages),
        }
    }
}

fn read_with_the_core(mut tape: Tape, messages: usize) {
    let mut inbound = Inbound::new(Role::Client, Limits::default());
    let mut seen = 0;
    while seen < messages {
        match inbound.advance().unwrap() {
            Step::Message => {
                look_at(inbound.message().unwrap());
                seen += 1;
            }
            _ => {
                let length = tape.read(inbound.space()).unwrap();
                inbound.received(length);
            }
        }
    }
}

fn write_with_the_core(text: &str, messages: usize) {
    let mut outbound = Outbound::new(Role::Client, Box::new(|bytes| SysRng.try_fill_bytes(bytes).unwrap()));
    for _ in 0..messages {
        outbound.message(MessageRef::Text(text)).unwrap();
        let length = black_box(outbound.pending()).len();
        outbound.written(length);
    }
}

fn read_with_the_driver(tape: Tape, messages: usize) {
    let mut ws = ConnectOptions::new().connect_over(SharedTape::new(tape), "ws://tape/").unwrap();
    for _ in 0..messages {
        look_at(ws.recv_ref().unwrap());
    }
}

fn write_with_the_driver(tape: Tape, text: &str, messages: usize) {
    let ws = ConnectOptions::new().connect_over(SharedTape::new(tape), "ws://tape/").unwrap();
    for _ in 0..messages {
        ws.send_text(text).unwrap();
    }
}

fn read_with_theirs(tape: Tape, messages: usize) {
    let mut ws = tungstenite::client("ws://tape/", tape).unwrap().0;
    for _ in 0..messages {
        black_box(ws.read().unwrap());
    }
}

fn write_with_theirs(tape: Tape, text: &str, messages: usize) {
    let mut ws = tungstenite::client("ws://tape/", tape).unwrap().0;
    for _ in 0..messages {
        ws.send(tungstenite::Message::text(text)).unwrap();
    }
}

fn look_at(message: MessageRef<'_>) {
    match message {
        MessageRef::Text(text) => black_box(text).len(),
        MessageRef::Binary(bytes) => black_box(bytes).len(),
    };
}
