use crate::decoder::{End, decode};
use crate::input::{Cuts, Input};
use crate::wire::{Event, Receiver, Settings};

/// What is received is what a decoder of other making finds in the same bytes, and is refused where that finds a broken rule.
///
/// Input: settings (3 bytes), a seed of cuts (2), then what the peer sends.
pub fn inbound_vs_decoder(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = Settings::from_input(&mut input);
    let seed = input.short();
    let stream = input.rest();
    let mut receiver = Receiver::new(&settings);
    Cuts::new(stream, seed).for_each(|chunk| receiver.receive(chunk));
    let expected = decode(&settings, stream);
    let mut events = receiver.events;
    if matches!(expected.end, End::Unknown | End::Undecided) {
        let common = expected.events.len();
        assert!(events.len() >= common, "{events:?} instead of {expected:?}");
        let further = events.split_off(common);
        assert_eq!(events, expected.events, "with {settings:?}");
        let has_message = further.iter().any(|event| matches!(event, Event::Text(_) | Event::Binary(_)));
        assert!(expected.end == End::Unknown || !has_message, "{further:?} behind what is broken, with {settings:?}");
        return;
    }
    let refused = events.pop_if(|event| matches!(event, Event::Failed(_)));
    assert_eq!(events, expected.events, "then {refused:?} and {:?}, with {settings:?}", expected.end);
    let refused = match refused {
        Some(Event::Failed(error)) => Some(error.close_code().0),
        _ => None,
    };
    match (refused, &expected.end) {
        (None, End::Open) => {}
        (Some(code), End::Violation(codes)) if codes.contains(&code) => {}
        (refused, end) => panic!("refused with {refused:?}, expected {end:?}, behind {events:?} with {settings:?}"),
    }
}
