use websocket_sync::protocol::{Frame, Opcode, Rsv, TextPolicy};

use crate::decoder::{End, decode};
use crate::input::{Cuts, Input};
use crate::wire::{Event, Receiver, Settings};

/// Compressed bytes inflate to what another inflater makes of them, in memory that does not depend on them.
///
/// Input: settings (3 bytes), a seed of cuts (2), then messages, each behind a byte of length; 255 stands for all the rest.
pub fn inflate(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = Settings { deflate: true, policy: TextPolicy::Skip, ..Settings::from_input(&mut input) };
    let seed = input.short();
    let mut stream = Vec::new();
    while !input.is_empty() {
        let payload = match input.byte() {
            255 => input.bytes(usize::MAX),
            length => input.bytes(length.into()),
        };
        let key = (settings.role == websocket_sync::protocol::Role::Server).then_some([1, 2, 3, 4]);
        let frame = Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Binary, payload) };
        stream.extend(frame.to_bytes(key));
    }
    let mut receiver = Receiver::new(&settings);
    Cuts::new(&stream, seed).for_each(|chunk| receiver.receive(chunk));
    let expected = decode(&settings, &stream);
    let common = expected.events.len();
    assert!(receiver.events.len() >= common, "{:?} instead of {expected:?}", receiver.events);
    assert_eq!(receiver.events[..common], expected.events, "with {settings:?}");
    let refused = matches!(receiver.events.last(), Some(Event::Failed(_)));
    match expected.end {
        End::Violation(_) => assert!(refused, "{:?} instead of {expected:?}", receiver.events),
        End::Open => assert!(!refused, "{:?} instead of {expected:?}", receiver.events),
        End::Undecided | End::Unknown => {}
    }
}
