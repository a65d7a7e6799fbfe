//! Compression: what goes in comes out, however it is cut, flushed and ended, and against zlib itself.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use websocket_sync::Message;
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    DeflateOptions, Extension, Fin, Inbound, Limits, MaskKeys, Opcode, Outbound, PerMessageDeflate, ProtocolError,
    Role, Step, TextPolicy,
};

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// A server's sending half and a client's receiving half, after these bits and this takeover were agreed to.
fn pair(bits: u8, level: u8, takeover: bool) -> (Outbound, Inbound) {
    let new = || PerMessageDeflate::new(DeflateOptions::new().threshold(0).level(level)).unwrap();
    let (mut server, mut client) = (new(), new());
    let mut extension =
        ExtensionOffer::new("permessage-deflate").param("server_max_window_bits", Some(&bits.to_string()));
    if !takeover {
        extension = extension.param("server_no_context_takeover", None);
    }
    server.accept(&extension).unwrap();
    client.finalize(&extension).unwrap();
    let outbound = Outbound::deflating(Role::Server, MaskKeys::pooled(Box::new(|_| {})), server.deflater());
    (outbound, Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, client.inflater()))
}

/// Pushes all of it and takes the messages; pings and pongs are passed over.
fn receive(inbound: &mut Inbound, mut bytes: &[u8]) -> Result<Vec<Message>, ProtocolError> {
    let mut messages = Vec::new();
    loop {
        match inbound.advance()? {
            Step::Message => messages.push(inbound.take_message()?),
            Step::NeedMore if bytes.is_empty() => return Ok(messages),
            Step::NeedMore => bytes = &bytes[inbound.push(bytes)..],
            _ => {}
        }
    }
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    })
    .take(length)
    .collect()
}

/// A message as a compressor may leave it: flushed in some way after each third, and ended with a final block where `flush` is
/// odd.
fn compress_as(zlib: &mut flate2::Compress, bytes: &[u8], flush: u8) -> Vec<u8> {
    use flate2::FlushCompress::{Finish, Full, None, Partial, Sync};
    let mut out = vec![0; bytes.len() * 2 + 1000];
    let before = zlib.total_out();
    let made = |zlib: &flate2::Compress| (zlib.total_out() - before) as usize;
    for piece in bytes.chunks(bytes.len() / 3 + 1) {
        let at = made(zlib);
        zlib.compress(piece, &mut out[at..], [None, Partial, Sync, Full][usize::from(flush / 2 % 4)]).unwrap();
    }
    let at = made(zlib);
    if flush % 2 == 1 {
        zlib.compress(b"", &mut out[at..], Finish).unwrap();
        out.truncate(made(zlib));
        out.push(0);
        zlib.reset();
        return out;
    }
    zlib.compress(b"", &mut out[at..], Sync).unwrap();
    out.truncate(made(zlib));
    if out.ends_with(&TAIL) {
        out.truncate(out.len() - TAIL.len());
    }
    if out.is_empty() {
        out.push(0);
    }
    out
}

/// A message: its bytes, where it is cut, and what stands between the pieces.
fn messages() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<usize>, bool)>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..70_000_usize).prop_map(|(byte, length)| vec![byte; length]),
        (any::<u32>(), 0..5000_usize).prop_map(|(seed, length)| noise(length, seed)),
        prop::collection::vec(prop_oneof!["price", "volume", "[0-9]{1,6}", "symbol", "[{}:,\"]"], 0..200)
            .prop_map(|words| words.concat().into_bytes()),
    ];
    prop::collection::vec((payload, prop::collection::vec(0..2000_usize, 0..5), any::<bool>()), 1..20)
}

/// More of them in `.ci/run`, which sets `LONG_TESTS`.
fn cases() -> u32 {
    if std::env::var_os("LONG_TESTS").is_some() { 1000 } else { 300 }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn what_is_sent_is_what_arrives_however_it_is_cut(
        messages in messages(),
        bits in 9_u8..=15,
        level in 0_u8..=9,
        takeover in any::<bool>(),
        chunk in 1..3000_usize,
    ) {
        let (mut outbound, mut inbound) = pair(bits, level, takeover);
        let mut wire = Vec::new();
        let mut expected = Vec::new();
        for (payload, cuts, excepted) in messages {
            let mut rest = &payload[..];
            let mut opcode = Opcode::Binary;
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                if excepted {
                    outbound.data_uncompressed(opcode, Fin::More, piece).unwrap();
                } else {
                    outbound.data(opcode, Fin::More, piece).unwrap();
                }
                opcode = Opcode::Continuation;
                outbound.ping(b"between").unwrap();
            }
            if excepted {
                outbound.data_uncompressed(opcode, Fin::Last, rest).unwrap();
            } else {
                outbound.data(opcode, Fin::Last, rest).unwrap();
            }
            wire.extend_from_slice(outbound.pending());
            outbound.written(usize::MAX);
            expected.push(Message::Binary(payload));
        }
        let mut received = Vec::new();
        for piece in wire.chunks(chunk) {
            received.extend(receive(&mut inbound, piece).unwrap());
        }
        prop_assert_eq!(received, expected);
    }

    #[test]
    fn what_zlib_makes_is_read_however_it_flushes_and_ends(
        messages in prop::collection::vec((0..3000_usize, 0..9_u8, 1..700_usize), 1..20),
        bits in 9_u8..=15,
        level in 0_u32..=9,
        takeover in any::<bool>(),
        chunk in 1..3000_usize,
    ) {
        let (_, mut inbound) = pair(15, 1, takeover);
        let mut zlib = flate2::Compress::new_with_window_bits(flate2::Compression::new(level), false, bits);
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for (seed, (length, flush, fragment)) in messages.into_iter().enumerate() {
            let text: String = (0..length).map(|n| char::from(b'a' + (n * n / (seed + 1) % 23) as u8)).collect();
            let compressed = compress_as(&mut zlib, text.as_bytes(), flush);
            if !takeover {
                zlib.reset();
            }
            let count = compressed.chunks(fragment).count();
            for (index, piece) in compressed.chunks(fragment).enumerate() {
                let first = if index == 0 { 0x41 } else { 0 };
                let last = if index + 1 == count { 0x80 } else { 0 };
                wire.extend([first | last, 126]);
                let size = wire.len();
                if piece.len() < 126 {
                    wire[size - 1] = piece.len() as u8;
                } else {
                    wire.extend((piece.len() as u16).to_be_bytes());
                }
                wire.extend_from_slice(piece);
                wire.extend(b"\x8a\x01?");
            }
            expected.push(Message::Text(text));
        }
        let mut received = Vec::new();
        for piece in wire.chunks(chunk) {
            received.extend(receive(&mut inbound, piece).unwrap());
        }
        prop_assert_eq!(received, expected);
    }

    #[test]
    fn no_bytes_make_it_panic_or_hang(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut inbound) = pair(15, 1, true);
        let length = bytes.len() as u16;
        let frame = [&[0xC2, 126][..], &length.max(126).to_be_bytes(), &bytes, &[0; 126]].concat();
        let _ = receive(&mut inbound, &frame);
    }
}
