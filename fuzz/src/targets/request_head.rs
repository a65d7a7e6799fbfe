use websocket_sync::protocol::handshake::{
    Acceptance, ClientHandshake, ClientRequest, HandshakeError, HandshakeOutcome, HeadLimits, Rejection,
    ServerHandshake, UpgradeRequest,
};

use super::response_head::{NONCE, check_headers, limits};
use crate::input::{Cuts, Input};

/// How a request is taken does not depend on how it was cut, and whatever answers it is a response that our client reads. What a client
/// asks for with text of the input, a server reads as it was meant.
///
/// Input: flags (1 byte), a seed of cuts (2), then what the client sends.
pub fn request_head(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let seed = input.short();
    if flags & 4 != 0 {
        return asked(input);
    }
    let bytes = input.rest();
    let limits = limits(flags);
    let (whole, early_data) = outcome(limits, [bytes].into_iter());
    for (cut, early) in [outcome(limits, bytes.chunks(1)), outcome(limits, Cuts::new(bytes, seed))] {
        assert_eq!(cut, whole, "with seed {seed}");
        assert_eq!(early, early_data, "with seed {seed}");
    }
    match &whole {
        Ok(Some(request)) => {
            assert!(bytes.ends_with(&early_data));
            check_headers(&request.headers, limits.head);
        }
        Ok(None) => {}
        Err(error) => reject(error),
    }
}

type Taken = (Result<Option<UpgradeRequest>, HandshakeError>, Vec<u8>);

fn outcome<'a>(limits: HeadLimits, chunks: impl Iterator<Item = &'a [u8]>) -> Taken {
    let mut handshake = ServerHandshake::new(limits);
    let mut request = None;
    for chunk in chunks {
        match handshake.receive(chunk) {
            Ok(taken) => request = request.or(taken),
            Err(error) => {
                assert!(matches!(handshake.receive(b"x"), Err(HandshakeError::Over)), "a broken request goes on");
                return (Err(error), Vec::new());
            }
        }
    }
    if request.is_some() {
        let answer = handshake.accept(&Acceptance::default()).expect("a request can be accepted");
        assert!(answer.ends_with(b"\r\n\r\n"));
    }
    (Ok(request), handshake.take_early_data())
}

/// The answer to a broken request is a refusal for our client.
fn reject(error: &HandshakeError) {
    let Some(rejection) = Rejection::for_error(error) else { return };
    let mut server = ServerHandshake::new(HeadLimits::default());
    let mut answer = server.reject(&rejection).expect("it is made for that");
    if rejection.has_body {
        answer.extend(server.finish_rejection(b"").expect("a body may be empty"));
    }
    let request = ClientRequest::new("example.com", "/");
    let (mut client, _) = ClientHandshake::new(&request, HeadLimits::default(), NONCE).expect("a request");
    let refusal = match client.receive(&answer).expect("a response") {
        Some(HandshakeOutcome::Refused(refusal)) => refusal,
        Some(HandshakeOutcome::Accepted { .. }) => panic!("a rejection is taken for an acceptance"),
        None => client.receive_eof().expect("a refusal"),
    };
    assert_eq!(refusal.status, rejection.status);
}

/// A request with fields of the input is refused by the client that makes it, or read by a server with nothing more in it.
fn asked(mut input: Input<'_>) {
    let (host, target) = (input.text(), input.text());
    let (protocol, name, value) = (input.text(), input.text(), input.counted());
    let mut request = ClientRequest::new(host.clone(), target.clone()).header(name.clone(), value);
    if !protocol.is_empty() {
        request = request.subprotocols([protocol.clone()]);
    }
    let Ok((_, bytes)) = ClientHandshake::new(&request, HeadLimits::default(), NONCE) else { return };
    let (taken, early_data) = outcome(HeadLimits::default(), [&bytes[..]].into_iter());
    let taken = taken.expect("what was sent is a request").expect("all of it");
    assert!(early_data.is_empty(), "something broke out of the head");
    assert_eq!((taken.host, taken.target), (host, target));
    let protocols = if protocol.is_empty() { Vec::new() } else { vec![protocol] };
    assert_eq!(taken.subprotocols, protocols);
    assert!(taken.headers.all(&name).any(|found| found == value.trim_ascii()), "{name:?} was not sent");
}
