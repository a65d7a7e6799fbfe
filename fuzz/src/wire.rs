//! What the targets for frames share: the settings of a receiving half, and what it makes of bytes, as a list of events.

use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    DeflateOptions, Extension, Inbound, Limits, PerMessageDeflate, ProtocolError, Role, Step, TextPolicy,
};

use crate::input::Input;

/// What a receiving half was built with.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub role: Role,
    pub deflate: bool,
    /// Whether the peer keeps its window from one message to the next.
    pub takeover: bool,
    pub policy: TextPolicy,
    pub limits: Limits,
}

/// What was received, or what ended it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    Text(Vec<u8>),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(ProtocolError),
}

impl Settings {
    /// Three bytes.
    pub fn from_input(input: &mut Input<'_>) -> Self {
        let flags = input.byte();
        let mut limits = Limits::default();
        limits.max_message_size = size(input.byte());
        limits.max_frame_size = size(input.byte());
        if flags & 0x10 != 0 {
            limits.max_fragments = 3;
        }
        Self {
            role: if flags & 1 == 0 { Role::Client } else { Role::Server },
            deflate: flags & 2 != 0,
            takeover: flags & 4 == 0,
            policy: if flags & 8 == 0 { TextPolicy::Validate } else { TextPolicy::Skip },
            limits,
        }
    }

    pub fn inbound(&self) -> Inbound {
        let inflater = self.deflate.then(|| agreed(self.role, self.takeover).inflater().expect("it is agreed"));
        Inbound::inflating(self.role, self.limits, self.policy, inflater)
    }

    /// The most that a receiving half may hold: the message and, while it grows, its copy; a window and a state of zlib.
    pub fn most_memory(&self) -> usize {
        2 * self.limits.max_message_size + (256 << 10)
    }
}

/// Small limits, which inputs of a few thousand bytes can reach, and that of which one byte less is 64 KiB.
const fn size(byte: u8) -> usize {
    match byte {
        0 => 65_535,
        1..200 => byte as usize,
        _ => (byte as usize - 199) * 400,
    }
}

/// permessage-deflate, agreed for this side of a connection.
pub fn agreed(role: Role, takeover: bool) -> PerMessageDeflate {
    let mut extension = PerMessageDeflate::new(DeflateOptions::new()).expect("the defaults are in range");
    let mut terms = ExtensionOffer::new("permessage-deflate");
    if !takeover {
        terms = terms.param("server_no_context_takeover", None).param("client_no_context_takeover", None);
    }
    match role {
        Role::Client => extension.finalize(&terms).expect("it is what was offered"),
        Role::Server => assert!(extension.accept(&terms).is_some(), "it can be done"),
    }
    extension
}

/// Takes bytes in, and the events that follow from them out.
#[derive(Debug)]
pub struct Receiver {
    inbound: Inbound,
    most_memory: usize,
    pub events: Vec<Event>,
}

impl Receiver {
    pub fn new(settings: &Settings) -> Self {
        Self { inbound: settings.inbound(), most_memory: settings.most_memory(), events: Vec::new() }
    }

    pub fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.inbound.push(bytes);
            assert!(taken > 0, "there is room when all steps were taken");
            bytes = &bytes[taken..];
            self.advance();
            let memory = self.inbound.memory();
            assert!(memory <= self.most_memory, "{memory} bytes are held, {} are allowed", self.most_memory);
        }
    }

    fn advance(&mut self) {
        loop {
            let event = match self.inbound.advance() {
                Ok(Step::NeedMore) => return,
                Ok(Step::Ended) => {
                    assert!(matches!(self.events.last(), Some(Event::Close(..))), "an end without a Close");
                    return;
                }
                Ok(step) => self.event(step),
                Err(error) => Event::Failed(error),
            };
            if let Some(Event::Failed(first)) = self.events.last() {
                assert_eq!(event, Event::Failed(*first), "after a violation");
                return;
            }
            assert!(!matches!(self.events.last(), Some(Event::Close(..))), "after a Close: {event:?}");
            let is_failure = matches!(event, Event::Failed(_));
            self.events.push(event);
            if is_failure {
                return;
            }
        }
    }

    fn event(&mut self, step: Step) -> Event {
        match step {
            Step::Message => {
                let kind = self.inbound.kind();
                match self.inbound.message() {
                    Ok(message) => match kind {
                        websocket_sync::MessageKind::Text => Event::Text(message.as_bytes().to_vec()),
                        websocket_sync::MessageKind::Binary => Event::Binary(message.as_bytes().to_vec()),
                    },
                    Err(error) => Event::Failed(error),
                }
            }
            Step::Ping => Event::Ping(self.inbound.control().to_vec()),
            Step::Pong => Event::Pong(self.inbound.control().to_vec()),
            Step::Close => {
                let close = self.inbound.close().expect("a Close was received");
                Event::Close(close.code.0, close.reason.clone())
            }
            other => panic!("{other:?} was not asked for"),
        }
    }
}
