//! What compression takes of memory: nothing for each message once a connection has its buffers, and no more than the limit for a
//! bomb.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use allocation_counter::measure;
use websocket_sync::MessageRef;
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    DeflateOptions, Extension, Fin, Inbound, Limits, MaskKeys, Opcode, Outbound, PerMessageDeflate, ProtocolError,
    Role, Step, TextPolicy,
};

/// A server's sending half and a client's receiving half.
fn pair(options: DeflateOptions, limits: Limits) -> (Outbound, Inbound) {
    let mut server = PerMessageDeflate::new(options).unwrap();
    let mut client = PerMessageDeflate::new(options).unwrap();
    let mut offer = ExtensionOffer::new("permessage-deflate");
    if client.offer().unwrap().contains("server_no_context_takeover") {
        offer = offer.param("server_no_context_takeover", None);
    }
    server.accept(&offer).unwrap();
    client.finalize(&offer).unwrap();
    let outbound = Outbound::deflating(Role::Server, MaskKeys::pooled(Box::new(|_| {})), server.deflater());
    (outbound, Inbound::inflating(Role::Client, limits, TextPolicy::Validate, client.inflater()))
}

/// Sends and receives a message; no copy of it is made.
fn exchange(outbound: &mut Outbound, inbound: &mut Inbound, text: &str) {
    let length = outbound.message(MessageRef::Text(text)).unwrap();
    assert_eq!(inbound.push(outbound.pending()), length);
    outbound.written(length);
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message(), Ok(MessageRef::Text(text)));
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
}

#[test]
fn no_message_allocates_once_there_are_buffers() {
    let ticks: Vec<String> = (0..200)
        .map(|n| (0..n % 50 + 2).map(|m| format!("{{\"price\":{},\"size\":{}}}", n * 7919 + m, m * 31)).collect())
        .collect();
    for options in [DeflateOptions::new(), DeflateOptions::new().server_no_context_takeover()] {
        let (mut outbound, mut inbound) = pair(options.threshold(0), Limits::default());
        for tick in &ticks {
            exchange(&mut outbound, &mut inbound, tick);
        }
        let taken = measure(|| {
            for tick in ticks.iter().cycle().take(2000) {
                exchange(&mut outbound, &mut inbound, tick);
            }
        });
        assert_eq!((taken.count_total, taken.bytes_max), (0, 0), "{options:?}");
    }
}

/// 300 MiB of zeros in about 300 KiB, as one message.
#[test]
fn a_bomb_takes_no_more_than_the_limit() {
    let limit = 10_000_000;
    let mut limits = Limits::default();
    limits.max_message_size = limit;
    let (mut outbound, mut inbound) = pair(DeflateOptions::new().level(9), limits);
    let zeros = vec![0; 1 << 20];
    for index in 0..300 {
        let (opcode, fin) = match index {
            0 => (Opcode::Binary, Fin::More),
            299 => (Opcode::Continuation, Fin::Last),
            _ => (Opcode::Continuation, Fin::More),
        };
        outbound.data(opcode, fin, &zeros).unwrap();
    }
    let mut bomb = outbound.pending();
    assert!(bomb.len() < 2 << 20, "{}", bomb.len());
    let taken = measure(|| {
        let error = loop {
            match inbound.advance() {
                Ok(Step::NeedMore) => bomb = &bomb[inbound.push(bomb)..],
                Ok(step) => panic!("{step:?}"),
                Err(error) => break error,
            }
        };
        assert_eq!(error, ProtocolError::MessageTooBig { limit });
    });
    assert!(taken.bytes_current <= limit as i64 + (256 << 10), "{taken:?}");
    assert!(taken.count_total < 40, "memory doubles: {taken:?}");
}

/// 48 MiB of zeros in about 50 KiB, as one frame.
#[test]
fn a_message_that_is_skipped_is_not_gathered_though_it_is_compressed() {
    let (mut outbound, mut inbound) = pair(DeflateOptions::new(), Limits::default());
    outbound.data(Opcode::Text, Fin::Last, &vec![0; 48 << 20]).unwrap();
    outbound.message(MessageRef::Text("after")).unwrap();
    let mut bytes = outbound.pending();
    // Its beginning is all that is wanted.
    bytes = &bytes[inbound.push(&bytes[..32])..];
    assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
    inbound.skip_message();
    let taken = measure(|| {
        loop {
            match inbound.advance() {
                Ok(Step::NeedMore) => bytes = &bytes[inbound.push(bytes)..],
                step => break assert_eq!(step, Ok(Step::Message)),
            }
        }
    });
    assert_eq!(inbound.message(), Ok(MessageRef::Text("after")));
    assert!(taken.bytes_max < 4 << 20, "{taken:?}");
}
