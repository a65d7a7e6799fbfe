use websocket_sync::protocol::handshake::{
    ClientHandshake, ClientRequest, HandshakeError, HandshakeOutcome, HeadLimits, Headers, Refusal,
};

use crate::input::{Cuts, Input};

/// The nonce of each request, and so the accept key of each good response: `ICX+Yqv66kxgM0FcWaLWlFLwTAI=`.
pub const NONCE: [u8; 16] = [0; 16];

/// How a response is taken does not depend on how it was cut; what is kept of it keeps to the limits.
///
/// Input: flags (1 byte), a seed of cuts (2), then what the server sends until it ends the connection.
pub fn response_head(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let seed = input.short();
    let bytes = input.rest();
    let whole = outcome(flags, [bytes].into_iter());
    assert_eq!(outcome(flags, bytes.chunks(1)), whole, "byte by byte");
    assert_eq!(outcome(flags, Cuts::new(bytes, seed)), whole, "cut by seed {seed}");
    let limits = limits(flags);
    if let Ok(Taken::Accepted { status, headers, surplus }) = &whole {
        assert_eq!(*status, 101);
        assert!(bytes.ends_with(surplus), "what comes behind the head is the rest of what came");
        check_headers(headers, limits.head);
    }
    if let Ok(Taken::Refused(refusal)) = &whole {
        assert!(refusal.body.len() <= limits.body, "{} bytes of a body are kept", refusal.body.len());
        check_headers(&refusal.headers, limits.head);
    }
}

/// How a response was taken; what came behind the head, in however many calls.
#[derive(Debug, Eq, PartialEq)]
enum Taken {
    Accepted { status: u16, headers: Headers, surplus: Vec<u8> },
    Refused(Refusal),
}

pub fn limits(flags: u8) -> HeadLimits {
    let mut limits = HeadLimits::default();
    if flags & 2 != 0 {
        (limits.head, limits.line, limits.fields, limits.interim, limits.body) = (400, 120, 8, 2, 50);
    }
    limits
}

/// Fields are tokens in lower case, and values that can be handed on.
pub fn check_headers(headers: &Headers, most: usize) {
    let mut size = 0;
    for (name, value) in headers.iter() {
        assert!(!name.is_empty() && !name.contains(|c: char| c.is_ascii_uppercase() || c.is_control()), "{name:?}");
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{name}: {value:?}");
        size += name.len() + value.len();
    }
    assert!(size <= most, "{size} bytes of header fields");
}

fn outcome<'a>(flags: u8, mut chunks: impl Iterator<Item = &'a [u8]>) -> Result<Taken, HandshakeError> {
    let request = ClientRequest::new("example.com", "/")
        .subprotocols(["chat", "superchat"])
        .extensions("permessage-deflate; client_max_window_bits");
    let (mut handshake, _) = ClientHandshake::new(&request, limits(flags), NONCE).expect("a request");
    if flags & 1 != 0 {
        handshake = handshake.lenient();
    }
    for chunk in chunks.by_ref() {
        match handshake.receive(chunk)? {
            None => {}
            Some(HandshakeOutcome::Accepted { response, mut surplus }) => {
                surplus.extend(chunks.flatten());
                return Ok(Taken::Accepted { status: response.status, headers: response.headers, surplus });
            }
            Some(HandshakeOutcome::Refused(refusal)) => return Ok(Taken::Refused(refusal)),
        }
    }
    handshake.receive_eof().map(Taken::Refused)
}
