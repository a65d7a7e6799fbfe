use websocket_sync::protocol::handshake::{ExtensionOffer, accept_extensions, finalize_extensions, offer_extensions};
use websocket_sync::protocol::{DeflateOptions, Extension, PerMessageDeflate};

use crate::input::Input;

/// The field of extensions is read in bounded steps, what is read is written as it was, and what a server answers to any offer, our
/// client's among them, can be worked with.
///
/// Input: options of both sides (4 bytes), then the value of a field: an offer and an answer at once.
pub fn extensions(data: &[u8]) {
    let mut input = Input::new(data);
    let (ours, theirs) = (options(&mut input), options(&mut input));
    let mut client: [Box<dyn Extension>; 1] = [Box::new(extension(&ours))];
    let mut server: [Box<dyn Extension>; 1] = [Box::new(extension(&theirs))];
    let value = input.rest();
    if let Ok(read) = ExtensionOffer::parse_list(value) {
        assert!(read.len() <= 32 && read.iter().all(|offer| offer.params.len() <= 32));
        let written: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(ExtensionOffer::parse_list(written.join(", ")).as_ref(), Ok(&read), "{written:?}");
        // As the offer of a client, and as the answer of a server.
        let answer = accept_extensions(&read, &mut server).expect("it can be sent");
        assert!(answer.len() <= 1);
        check(&server);
        if finalize_extensions(&read, &mut client).is_ok() {
            check(&client);
        }
    }
    agree(&ours, &theirs);
}

/// Both sides agree on the same, or on nothing.
fn agree(ours: &DeflateOptions, theirs: &DeflateOptions) {
    let mut client: [Box<dyn Extension>; 1] = [Box::new(extension(ours))];
    let mut server: [Box<dyn Extension>; 1] = [Box::new(extension(theirs))];
    let offer = offer_extensions(&client).expect("it offers");
    let offers = ExtensionOffer::parse_list(offer).expect("it is well-formed");
    let answer = accept_extensions(&offers, &mut server).expect("it can be sent");
    if !answer.is_empty() {
        finalize_extensions(&answer, &mut client).expect("the answer fits the offer");
        assert_eq!(agreed(&client), agreed(&server));
        assert!(agreed(&client).is_some());
    }
}

fn check(extensions: &[Box<dyn Extension>; 1]) {
    if let Some(params) = agreed(extensions) {
        assert!((8..=15).contains(&params.server_max_window_bits), "{params:?}");
        assert!((8..=15).contains(&params.client_max_window_bits), "{params:?}");
    }
}

fn agreed(extensions: &[Box<dyn Extension>; 1]) -> Option<websocket_sync::DeflateParams> {
    let extension: &dyn std::any::Any = &*extensions[0];
    extension.downcast_ref::<PerMessageDeflate>().expect("there is no other").agreed()
}

fn extension(options: &DeflateOptions) -> PerMessageDeflate {
    PerMessageDeflate::new(*options).expect("they are in range")
}

fn options(input: &mut Input<'_>) -> DeflateOptions {
    let (flags, bits) = (input.byte(), input.byte());
    let mut options =
        DeflateOptions::new().server_max_window_bits(9 + (bits & 15) % 7).client_max_window_bits(9 + (bits >> 4) % 7);
    if flags & 1 != 0 {
        options = options.server_no_context_takeover();
    }
    if flags & 2 != 0 {
        options = options.client_no_context_takeover();
    }
    if flags & 4 != 0 {
        options = options.without_client_max_window_bits();
    }
    options
}
