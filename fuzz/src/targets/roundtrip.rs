use websocket_sync::MessageRef;
use websocket_sync::protocol::{CloseCode, CloseFrame, Fin, MaskKeys, Opcode, Outbound, Role, TextPolicy};

use crate::decoder::{End, decode};
use crate::input::{Chance, Cuts, Input};
use crate::wire::{Event, Receiver, Settings, agreed};

/// What the sending half has encoded is what the receiving half of the other role receives, with masks, fragments, chunks and
/// compression, and what a decoder of other making reads.
///
/// Input: settings of the receiver (3 bytes), a seed of keys and cuts (2), then a program of what is sent.
pub fn roundtrip(data: &[u8]) {
    let mut input = Input::new(data);
    let settings =
        Settings { limits: <_>::default(), policy: TextPolicy::Validate, ..Settings::from_input(&mut input) };
    let seed = input.short();
    let mut sent = Sent::new(&settings, seed);
    for _ in 0..64 {
        if input.is_empty() {
            break;
        }
        sent.step(&mut input);
    }
    let mut receiver = Receiver::new(&settings);
    Cuts::new(&sent.bytes, seed).for_each(|chunk| receiver.receive(chunk));
    assert_eq!(receiver.events, sent.events, "with {settings:?}");
    let decoded = decode(&settings, &sent.bytes);
    assert_eq!((decoded.events, decoded.end), (sent.events, End::Open), "with {settings:?}");
}

/// What was sent so far, and what must be received.
struct Sent {
    outbound: Outbound,
    bytes: Vec<u8>,
    events: Vec<Event>,
    /// The message in progress.
    message: Option<(Opcode, Vec<u8>)>,
}

impl Sent {
    fn new(settings: &Settings, seed: u16) -> Self {
        let role = match settings.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        let mut chance = Chance::new(seed.into());
        let keys = MaskKeys::each(Box::new(move || (chance.next() as u32).to_be_bytes()));
        let deflater = settings.deflate.then(|| agreed(role, settings.takeover).deflater().expect("it is agreed"));
        Self {
            outbound: Outbound::deflating(role, keys, deflater),
            bytes: Vec::new(),
            events: Vec::new(),
            message: None,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let action = input.byte();
        let payload = payload(input);
        // Whatever is refused leaves nothing on the wire.
        let accepted = match action % 8 {
            0 => self.message(&String::from_utf8_lossy(&payload)),
            1 => self.fragment(Opcode::Binary, Fin::Last, &payload),
            2 | 3 => self.fragment(if action & 8 == 0 { Opcode::Text } else { Opcode::Binary }, Fin::More, &payload),
            4 => self.fragment(Opcode::Continuation, if action & 8 == 0 { Fin::Last } else { Fin::More }, &payload),
            5 => self.in_chunks(input, &payload),
            6 => self.control(action & 8 == 0, &payload),
            _ => action & 0x38 == 0 && self.close(&payload),
        };
        let pending = self.outbound.pending();
        assert!(accepted || pending.is_empty(), "what was refused is to be written");
        self.bytes.extend_from_slice(pending);
        self.outbound.written(self.outbound.pending().len());
    }

    fn message(&mut self, text: &str) -> bool {
        let is_sent = self.outbound.message(MessageRef::Text(text)).is_ok();
        assert_eq!(is_sent, self.message.is_none() && !self.is_closed());
        if is_sent {
            self.events.push(Event::Text(text.as_bytes().to_vec()));
        }
        is_sent
    }

    fn fragment(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> bool {
        let is_sent = self.outbound.data(opcode, fin, payload).is_ok();
        if is_sent {
            self.sent(opcode, fin, payload);
        }
        is_sent
    }

    /// A frame whose payload follows in chunks. Half of a text may turn out to be none: then the frame cannot be finished.
    fn in_chunks(&mut self, input: &mut Input<'_>, payload: &[u8]) -> bool {
        let opcode = if self.message.is_some() { Opcode::Continuation } else { Opcode::Binary };
        let is_text = self.message.as_ref().is_some_and(|(opcode, _)| *opcode == Opcode::Text);
        if is_text || self.outbound.begin(opcode, Fin::Last, payload.len() as u64).is_err() {
            return false;
        }
        for chunk in Cuts::new(payload, input.short()) {
            self.outbound.payload(chunk).expect("it is as long as was announced");
        }
        assert!(!self.outbound.is_inside_frame());
        self.sent(opcode, Fin::Last, payload);
        true
    }

    fn sent(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) {
        let (_, bytes) = self.message.get_or_insert_with(|| (opcode, Vec::new()));
        bytes.extend_from_slice(payload);
        if fin == Fin::Last
            && let Some((opcode, bytes)) = self.message.take()
        {
            self.events.push(if opcode == Opcode::Text { Event::Text(bytes) } else { Event::Binary(bytes) });
        }
    }

    fn control(&mut self, is_ping: bool, payload: &[u8]) -> bool {
        let result = if is_ping { self.outbound.ping(payload) } else { self.outbound.pong(payload) };
        // What follows our Close is not received any more.
        if result.is_ok() && !self.is_closed() {
            self.events.push(if is_ping { Event::Ping(payload.to_vec()) } else { Event::Pong(payload.to_vec()) });
        }
        result.is_ok()
    }

    fn close(&mut self, payload: &[u8]) -> bool {
        let mut input = Input::new(payload);
        let code = CloseCode(input.short());
        let reason = String::from_utf8_lossy(input.rest()).into_owned();
        let Ok(frame) = CloseFrame::new(code, &reason) else { return false };
        let is_sent = self.outbound.close(&frame).is_ok();
        if is_sent {
            self.events.push(Event::Close(code.0, reason));
        }
        is_sent
    }

    const fn is_closed(&self) -> bool {
        self.outbound.close_sent().is_some()
    }
}

/// A payload: bytes of the input, or one of the lengths where the form of a frame changes.
fn payload(input: &mut Input<'_>) -> Vec<u8> {
    let form = input.byte();
    let length = match form {
        ..=200 => return input.bytes(form.into()).to_vec(),
        201..=225 => 100 + usize::from(form),
        226..=250 => 65_511 + usize::from(form - 226),
        _ => 20_000 * usize::from(form - 250),
    };
    let unit = input.counted();
    let unit = if unit.is_empty() { b"a" } else { unit };
    unit.iter().copied().cycle().take(length).collect()
}
