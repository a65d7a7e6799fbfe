use crate::input::{Cuts, Input};
use crate::wire::{Receiver, Settings};

/// However received bytes are cut, the events are the same, and no more memory is held than the limits allow.
///
/// Input: settings (3 bytes), a seed of cuts (2), then what the peer sends.
pub fn inbound_chunks(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = Settings::from_input(&mut input);
    let seed = input.short();
    let stream = input.rest();
    let mut whole = Receiver::new(&settings);
    whole.receive(stream);
    let mut single = Receiver::new(&settings);
    stream.chunks(1).for_each(|byte| single.receive(byte));
    let mut cut = Receiver::new(&settings);
    Cuts::new(stream, seed).for_each(|chunk| cut.receive(chunk));
    assert_eq!(whole.events, single.events, "whole, and byte by byte, with {settings:?}");
    assert_eq!(whole.events, cut.events, "whole, and cut by seed {seed}, with {settings:?}");
}
