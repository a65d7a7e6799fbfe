//! Vectors and rules of both directions, on the halves of a connection.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;
use crate::message::{Message, MessageKind, MessageRef};
use crate::protocol::handshake::ExtensionOffer;
use crate::protocol::{
    CloseCode, Extension, Fin, Inbound, Limits, LocalProtocolError, MaskKeys, Opcode, Outbound, ProtocolError, Role,
    Step, TextPolicy,
};

const PLAIN: DeflateOptions = DeflateOptions::new().threshold(0);

/// Both ends of a connection that agreed to what these options offer.
fn pair(options: DeflateOptions) -> (PerMessageDeflate, PerMessageDeflate) {
    let mut client = PerMessageDeflate::new(options).unwrap();
    let mut server = PerMessageDeflate::new(options).unwrap();
    let value = format!("{NAME}; {}", client.offer().unwrap());
    let offer = ExtensionOffer::parse_list(value.trim_end_matches("; ")).unwrap().remove(0);
    let answer = format!("{NAME}; {}", server.accept(&offer).unwrap());
    client.finalize(&ExtensionOffer::parse_list(answer.trim_end_matches("; ")).unwrap()[0]).unwrap();
    (client, server)
}

fn keys() -> MaskKeys {
    MaskKeys::pooled(Box::new(|bytes| bytes.fill(0x5A)))
}

/// A client's receiving half.
fn inbound(options: DeflateOptions) -> Inbound {
    inbound_with(options, Limits::default())
}

fn inbound_with(options: DeflateOptions, limits: Limits) -> Inbound {
    Inbound::inflating(Role::Client, limits, TextPolicy::Validate, pair(options).0.inflater())
}

/// A server's sending half: its frames are not masked.
fn outbound(options: DeflateOptions) -> Outbound {
    Outbound::deflating(Role::Server, keys(), pair(options).1.deflater())
}

fn sent(outbound: &mut Outbound) -> Vec<u8> {
    let bytes = outbound.pending().to_vec();
    outbound.written(bytes.len());
    bytes
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

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
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

#[test]
fn the_examples_of_rfc_7692_are_read() {
    let cases = [
        ("one block", "c107 f248cdc9c90700", 1),
        ("a shared window", "c107 f248cdc9c90700 c105 f200110000", 2),
        ("fragments", "4103 f248cd 8004 c9c90700", 1),
        ("a ping between fragments", "4103 f248cd 8900 8004 c9c90700", 1),
        ("a ping and a plain message before", "8900 8105 48656c6c6f c107 f248cdc9c90700", 2),
        ("no compression", "c10b 000500faff48656c6c6f00", 1),
        ("a final block", "c108 f348cdc9c9070000", 1),
        ("a final block that nothing follows", "c107 f348cdc9c90700", 1),
        ("a final block, then other messages", "c108 f348cdc9c9070000 c107 f248cdc9c90700 c105 f200110000", 3),
        ("two blocks", "c10d f2480500 0000ffff cac9c90700", 1),
        ("a fragment that ends as a message does", "410b f248cdc9c907000000ffff 8001 00", 1),
        ("the same, and nothing in the last", "410b f248cdc9c907000000ffff 8000", 1),
        ("a message byte by byte", "4101f2 000148 0001cd 0001c9 0001c9 000107 800100", 1),
    ];
    for (name, bytes, count) in cases {
        let messages = receive(&mut inbound(PLAIN), &hex(bytes));
        assert_eq!(messages, Ok(vec![Message::from("Hello"); count]), "{name}");
        let mut split = inbound(PLAIN);
        let pieces = hex(bytes).into_iter().flat_map(|byte| receive(&mut split, &[byte]).unwrap());
        assert_eq!(pieces.collect::<Vec<_>>(), vec![Message::from("Hello"); count], "{name}, byte by byte");
    }
}

#[test]
fn empty_messages_are_messages() {
    for bytes in ["c10100", "c100", "c100 c100", "4100 8000", "4100 800100"] {
        let mut inbound = inbound(PLAIN);
        let empty = receive(&mut inbound, &hex(bytes)).unwrap();
        assert!(!empty.is_empty() && empty.iter().all(|message| message.as_text() == Some("")), "{bytes}");
        assert_eq!(receive(&mut inbound, &hex("c107 f248cdc9c90700")), Ok(vec![Message::from("Hello")]), "{bytes}");
    }
    let mut outbound = outbound(PLAIN);
    for _ in 0..3 {
        outbound.message(MessageRef::Text("")).unwrap();
        assert_eq!(sent(&mut outbound), hex("c10100"));
    }
}

#[test]
fn messages_are_written_as_in_the_examples() {
    let mut kept = outbound(PLAIN.level(6));
    for expected in ["c107f248cdc9c90700", "c105f200110000"] {
        kept.message(MessageRef::Text("Hello")).unwrap();
        assert_eq!(sent(&mut kept), hex(expected));
    }
    let mut alone = outbound(PLAIN.server_no_context_takeover());
    for _ in 0..3 {
        alone.message(MessageRef::Text("Hello")).unwrap();
        assert_eq!(sent(&mut alone), hex("c107f248cdc9c90700"));
    }
    kept.message(MessageRef::Binary(&[b'x'; 23])).unwrap();
    let bytes = sent(&mut kept);
    assert_eq!(receive(&mut inbound(PLAIN), &bytes), Ok(vec![Message::Binary(vec![b'x'; 23])]));
    assert_eq!(receive(&mut inbound(PLAIN), &hex("c206 aaa8c00a0000")), Ok(vec![Message::Binary(vec![b'x'; 23])]));
}

#[test]
fn every_fragment_can_be_read_when_it_is_there() {
    let mut outbound = outbound(PLAIN);
    let mut inbound = inbound(PLAIN);
    let mut text = String::new();
    for (opcode, fin, part) in [
        (Opcode::Text, Fin::More, "a first part"),
        (Opcode::Continuation, Fin::More, ""),
        (Opcode::Continuation, Fin::More, ", a second part"),
        (Opcode::Continuation, Fin::Last, ""),
    ] {
        outbound.data(opcode, fin, part.as_bytes()).unwrap();
        outbound.ping(b"").unwrap();
        let bytes = sent(&mut outbound);
        assert_eq!(bytes[0] & 0x40 != 0, opcode == Opcode::Text, "the first frame is marked, and no other");
        assert_eq!(inbound.push(&bytes), bytes.len());
        while let Step::Piece(_) = inbound.advance_piece().unwrap() {
            let MessageRef::Text(piece) = inbound.message().unwrap() else { panic!("it is text") };
            text.push_str(piece);
        }
        assert!(text.ends_with(part), "{text:?} after {part:?}");
    }
    assert_eq!(text, "a first part, a second part");
    assert_eq!(inbound.in_progress(), None);
}

#[test]
fn small_messages_and_those_that_are_excepted_go_as_they_are() {
    let mut outbound = outbound(DeflateOptions::new().threshold(10));
    outbound.message(MessageRef::Text("012345678")).unwrap();
    assert_eq!(sent(&mut outbound), b"\x81\x09012345678");
    outbound.message(MessageRef::Text("0123456789")).unwrap();
    assert_eq!(sent(&mut outbound)[0], 0xC1);
    outbound.data_uncompressed(Opcode::Binary, Fin::More, b"01234567890").unwrap();
    outbound.data(Opcode::Continuation, Fin::Last, b"01234567890").unwrap();
    let bytes = sent(&mut outbound);
    assert_eq!((bytes[0], bytes[13]), (0x02, 0x80), "what holds for the first frame holds for all");
    outbound.begin(Opcode::Binary, Fin::Last, 11).unwrap();
    outbound.payload(b"01234567890").unwrap();
    assert_eq!(sent(&mut outbound), b"\x82\x0b01234567890");
    for (options, length, compressed) in [
        (DeflateOptions::new(), 63, false),
        (DeflateOptions::new(), 64, true),
        (DeflateOptions::new().server_no_context_takeover(), 1023, false),
        (DeflateOptions::new().server_no_context_takeover(), 1024, true),
    ] {
        let mut outbound = self::outbound(options);
        outbound.message(MessageRef::Binary(&vec![0; length])).unwrap();
        assert_eq!(sent(&mut outbound)[0] & 0x40 != 0, compressed, "{length}");
    }
}

#[test]
fn a_frame_that_is_taken_back_leaves_a_stream_that_goes_on() {
    let tick = |n: u32| format!("{{\"symbol\":\"BTCUSD\",\"price\":{n},\"bid\":{},\"ask\":{}}}", n * 7, n * 9);
    let mut outbound = outbound(PLAIN);
    let mut inbound = inbound(PLAIN);
    for n in 0..50 {
        if n % 3 == 1 {
            let checkpoint = outbound.checkpoint();
            outbound.message(MessageRef::Text(&tick(1000 + n))).unwrap();
            outbound.rollback(checkpoint);
        }
        if n % 3 == 2 {
            // The first fragment has gone, the second has not, and what replaces it ends the message.
            outbound.data(Opcode::Text, Fin::More, tick(n).as_bytes()).unwrap();
            let checkpoint = outbound.checkpoint();
            outbound.data(Opcode::Continuation, Fin::Last, b"never seen").unwrap();
            outbound.rollback(checkpoint);
            outbound.data(Opcode::Continuation, Fin::Last, b"").unwrap();
        } else {
            outbound.message(MessageRef::Text(&tick(n))).unwrap();
        }
        let bytes = sent(&mut outbound);
        assert_eq!(receive(&mut inbound, &bytes), Ok(vec![Message::Text(tick(n))]));
    }
}

#[test]
fn before_anything_was_compressed_there_is_no_stream_to_take_back() {
    let mut outbound = outbound(DeflateOptions::new().threshold(100));
    let checkpoint = outbound.checkpoint();
    outbound.message(MessageRef::Text("short")).unwrap();
    assert!(outbound.rollback(checkpoint));
    outbound.message(MessageRef::Text(&"long ".repeat(40))).unwrap();
    let bytes = sent(&mut outbound);
    assert_eq!(receive(&mut inbound(PLAIN), &bytes), Ok(vec![Message::Text("long ".repeat(40))]));
}

#[test]
fn a_compressed_message_has_no_payload_in_chunks() {
    let mut outbound = outbound(PLAIN);
    outbound.data(Opcode::Text, Fin::More, b"a").unwrap();
    sent(&mut outbound);
    assert_eq!(outbound.begin(Opcode::Continuation, Fin::Last, 1), Err(LocalProtocolError::PayloadInPieces));
    assert_eq!(outbound.pending(), b"");
    outbound.data(Opcode::Continuation, Fin::Last, b"b").unwrap();
    sent(&mut outbound);
    outbound.begin(Opcode::Text, Fin::More, 1).unwrap();
    outbound.payload(b"a").unwrap();
    outbound.begin(Opcode::Continuation, Fin::Last, 1).unwrap();
    outbound.payload(b"b").unwrap();
    assert_eq!(sent(&mut outbound), b"\x01\x01a\x80\x01b");
}

#[test]
fn the_mark_of_compression_has_one_place() {
    for (bytes, name) in [
        ("c907 f248cdc9c90700", "a ping"),
        ("8a00 ca00", "a pong"),
        ("c800", "a close"),
        ("4103 f248cd c004 c9c90700", "a continuation"),
        ("0103 48656c c002 6c6f", "a continuation of a plain message"),
        ("a100", "another bit"),
        ("d100", "another bit beside"),
    ] {
        assert_eq!(receive(&mut inbound(PLAIN), &hex(bytes)), Err(ProtocolError::ReservedBits), "{name}");
    }
    let mut without = Inbound::new(Role::Client, Limits::default());
    assert_eq!(receive(&mut without, &hex("c107 f248cdc9c90700")), Err(ProtocolError::ReservedBits));
}

#[test]
fn what_cannot_be_inflated_is_refused_with_1007() {
    for (bytes, name) in [
        ("c117 7878787878787878787878787878787878787878787878", "no DEFLATE at all"),
        ("c106 f248cdc9c907", "the end is missing"),
        ("c103 f248cd", "half of it is missing"),
        ("c10a 000500faff48656c6c6f", "a stored block that nothing follows"),
        ("c108 000500faff48656c", "a stored block of which two bytes are missing"),
        ("c10b 000500fbff48656c6c6f00", "a stored block with a wrong length"),
        ("c101 06", "a block of the reserved type"),
        ("c105 f200110000", "a window that is not there"),
        ("4103 f248cd 8000", "a last fragment that is missing"),
    ] {
        let error = receive(&mut inbound(PLAIN), &hex(bytes)).unwrap_err();
        assert_eq!(error, ProtocolError::ExtensionPayload, "{name}");
        assert_eq!(error.close_code(), CloseCode::INVALID_PAYLOAD);
    }
}

#[test]
fn a_message_that_is_cut_short_is_refused() {
    let mut outbound = outbound(PLAIN.level(6));
    let text: String = (0..40).map(|n| format!("{{\"id\":{n},\"value\":{}}},", n * n * 31)).collect();
    outbound.message(MessageRef::Text(&text)).unwrap();
    let bytes = sent(&mut outbound);
    let payload = &bytes[4..];
    assert!(payload.len() > 125);
    let accepted: Vec<usize> = (1..payload.len())
        .filter(|&length| {
            let mut frame = vec![0xC1, 126];
            frame.extend_from_slice(&(length as u16).to_be_bytes());
            if length < 126 {
                frame.splice(1.., [length as u8]);
            }
            frame.extend_from_slice(&payload[..length]);
            receive(&mut inbound(PLAIN), &frame).is_ok()
        })
        .collect();
    assert!(accepted.is_empty(), "{accepted:?}");
}

#[test]
fn text_is_validated_behind_the_compression() {
    // This side sends no such text: it goes as bytes, and is called text on its way.
    let as_text = |fin, payload| {
        let mut outbound = outbound(PLAIN);
        outbound.data(Opcode::Binary, fin, payload).unwrap();
        let mut bytes = sent(&mut outbound);
        bytes[0] ^= Opcode::Binary.bits() ^ Opcode::Text.bits();
        bytes
    };
    let cut = as_text(Fin::Last, b"caf\xc3");
    assert_eq!(receive(&mut inbound(PLAIN), &cut), Err(ProtocolError::TextNotUtf8));
    let mut outbound = outbound(PLAIN);
    outbound.data(Opcode::Text, Fin::More, b"caf\xc3").unwrap();
    outbound.data(Opcode::Continuation, Fin::Last, b"\xa9").unwrap();
    let whole = sent(&mut outbound);
    assert_eq!(receive(&mut inbound(PLAIN), &whole), Ok(vec![Message::from("café")]));
    let bad = as_text(Fin::More, b"caf\xff");
    assert_eq!(receive(&mut inbound(PLAIN), &bad), Err(ProtocolError::TextNotUtf8), "before the message ends");
}

#[test]
#[cfg_attr(miri, ignore = "it sets up states of zlib by the dozen")]
fn windows_of_every_size_are_kept_and_given_up_as_agreed() {
    let noise = noise(4000, 7);
    for bits in 9..=15 {
        for level in [1, 6, 9] {
            for options in [
                PLAIN.server_max_window_bits(bits).level(level),
                PLAIN.server_max_window_bits(bits).level(level).server_no_context_takeover(),
            ] {
                let mut outbound = outbound(options);
                let mut bare = flate2::Decompress::new_with_window_bits(false, bits);
                let mut inbound = inbound(options);
                for round in 0..20 {
                    outbound.message(MessageRef::Binary(&noise)).unwrap();
                    let bytes = sent(&mut outbound);
                    assert_eq!(receive(&mut inbound, &bytes), Ok(vec![Message::Binary(noise.clone())]));
                    let mut payload = if bytes[1] == 126 { bytes[4..].to_vec() } else { bytes[2..].to_vec() };
                    payload.extend_from_slice(&TAIL);
                    let mut out = vec![0; 5000];
                    let before = bare.total_out();
                    bare.decompress(&payload, &mut out, flate2::FlushDecompress::Sync).unwrap();
                    assert_eq!((bare.total_out() - before) as usize, noise.len());
                    assert_eq!(out[..4000], noise, "{bits} bits, level {level}, round {round}: a window no larger");
                    if options.server_no_context_takeover {
                        bare.reset(false);
                    }
                }
            }
        }
    }
}

#[test]
fn a_state_that_was_used_before_shows_nothing_of_it() {
    let mut inbound = inbound(PLAIN.server_no_context_takeover());
    assert_eq!(receive(&mut inbound, &hex("c107 f248cdc9c90700")), Ok(vec![Message::from("Hello")]));
    assert_eq!(receive(&mut inbound, &hex("c107 f248cdc9c90700")), Ok(vec![Message::from("Hello")]));
    assert_eq!(receive(&mut inbound, &hex("c105 f200110000")), Err(ProtocolError::ExtensionPayload));
}

thread_local! {
    /// What this thread's connections have asked of [`NotingPool`].
    static NOTED: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Keeps nothing, and notes what it is asked for.
#[derive(Debug)]
struct NotingPool;

impl NotingPool {
    fn boxed() -> Box<dyn StatePool> {
        Box::new(Self)
    }

    fn note(what: &'static str) {
        NOTED.with_borrow_mut(|noted| noted.push(what));
    }
}

impl StatePool for NotingPool {
    fn take_inflate(&mut self) -> Option<InflateState> {
        Self::note("take inflate");
        None
    }

    fn give_inflate(&mut self, _: InflateState) {
        Self::note("give inflate");
    }

    fn take_deflate(&mut self, _: DeflateShape) -> Option<DeflateState> {
        Self::note("take deflate");
        None
    }

    fn give_deflate(&mut self, _: DeflateState) {
        Self::note("give deflate");
    }
}

#[test]
#[cfg_attr(miri, ignore = "zlib-rs, issue 491: a state dropped as an argument")]
fn states_come_from_the_pool_and_go_back_to_it_with_each_message() {
    let (client, server) = pair(PLAIN.server_no_context_takeover());
    let mut outbound = Outbound::deflating(Role::Server, keys(), server.pool(NotingPool::boxed).deflater());
    let inflater = client.pool(NotingPool::boxed).inflater();
    let mut inbound = Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, inflater);
    for _ in 0..2 {
        outbound.message(MessageRef::Text("Hello")).unwrap();
        assert_eq!(receive(&mut inbound, &sent(&mut outbound)), Ok(vec![Message::from("Hello")]));
        let noted = NOTED.take();
        assert_eq!(noted, ["take deflate", "give deflate", "take inflate", "give inflate"]);
    }
}

#[test]
fn a_window_too_small_for_zlib_is_received_and_never_sent() {
    let mut client = PerMessageDeflate::new(PLAIN).unwrap();
    let answer = ExtensionOffer::new(NAME).param("client_max_window_bits", Some("8"));
    client.finalize(&answer).unwrap();
    let mut outbound = Outbound::deflating(Role::Client, keys(), client.deflater());
    outbound.message(MessageRef::Binary(&[0; 5000])).unwrap();
    assert_eq!(sent(&mut outbound)[0], 0x82);
    for options in [PLAIN.server_max_window_bits(8), PLAIN.client_max_window_bits(16), PLAIN.level(10)] {
        assert!(PerMessageDeflate::new(options).is_err());
    }
}

#[test]
#[cfg_attr(miri, ignore = "it compresses 300 MiB")]
fn the_limit_on_messages_is_on_what_they_inflate_to() {
    let mut outbound = outbound(PLAIN);
    for (size, limit) in [(1000, 1000), (1000, 999), (300_000, 300_000), (300_000, 299_999), (1, 0), (0, 0)] {
        let limits = Limits { max_message_size: limit, ..Limits::default() };
        for fragment in [usize::MAX, 100] {
            let payload = vec![b'a'; size];
            let mut outbound = self::outbound(PLAIN);
            if fragment > size {
                outbound.message(MessageRef::Text(std::str::from_utf8(&payload).unwrap())).unwrap();
            } else {
                for (index, piece) in payload.chunks(fragment).enumerate() {
                    let fin = if (index + 1) * fragment >= size { Fin::Last } else { Fin::More };
                    outbound.data(if index == 0 { Opcode::Text } else { Opcode::Continuation }, fin, piece).unwrap();
                }
            }
            let bytes = sent(&mut outbound);
            let received = receive(&mut inbound_with(PLAIN, limits), &bytes);
            if size <= limit {
                assert_eq!(received.unwrap()[0].as_bytes().len(), size);
            } else {
                assert_eq!(received, Err(ProtocolError::MessageTooBig { limit }), "{size} in pieces of {fragment}");
            }
        }
    }
    // A bomb of 300 MiB, in one message, within the limit on frames.
    let zeros = vec![0; 1 << 20];
    for index in 0..300 {
        outbound.data(if index == 0 { Opcode::Binary } else { Opcode::Continuation }, Fin::More, &zeros).unwrap();
    }
    let bomb = sent(&mut outbound);
    let limit = 16 << 20;
    let mut inbound = inbound_with(PLAIN, Limits { max_message_size: limit, ..Limits::default() });
    assert_eq!(receive(&mut inbound, &bomb), Err(ProtocolError::MessageTooBig { limit }));
    assert!(inbound.memory() <= limit + (256 << 10), "{}", inbound.memory());
}

#[test]
#[cfg_attr(miri, ignore = "zlib-rs, issue 491: a state dropped as an argument")]
fn what_a_connection_holds_at_rest_is_bounded() {
    for (options, most) in
        [(PLAIN, (420 + 32) << 10), (PLAIN.server_no_context_takeover().client_no_context_takeover(), 16 << 10)]
    {
        let (client, server) = pair(options);
        let pool: fn() -> Box<dyn StatePool> = || Box::new(Nowhere);
        let mut inbound =
            Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, client.pool(pool).inflater());
        let mut outbound = Outbound::deflating(Role::Server, keys(), server.pool(pool).deflater());
        for _ in 0..100 {
            outbound.message(MessageRef::Binary(&noise(300, 3))).unwrap();
            let bytes = sent(&mut outbound);
            assert_eq!(receive(&mut inbound, &bytes).map(|messages| messages.len()), Ok(1));
        }
        let held = outbound.memory() + inbound.memory();
        assert!(held <= most, "{held}");
    }
}

#[test]
fn states_that_a_connection_keeps_for_itself_count_as_its_memory_and_are_given_back() {
    let options = PLAIN.server_no_context_takeover();
    let (mut outbound, mut inbound) = (outbound(options), inbound(options));
    let (sending, receiving) = (outbound.memory(), inbound.memory());
    outbound.message(MessageRef::Text("Hello")).unwrap();
    assert_eq!(receive(&mut inbound, &sent(&mut outbound)), Ok(vec![Message::from("Hello")]));
    assert!(outbound.memory() - sending > 300 << 10, "{}", outbound.memory());
    assert!(inbound.memory() - receiving > 40 << 10, "{}", inbound.memory());
    assert!(inbound.can_release() && outbound.can_release());
    inbound.release();
    outbound.release();
    assert_eq!((inbound.memory(), outbound.memory()), (0, 0));
    assert!(!inbound.can_release() && !outbound.can_release());
}

/// A pool that has nothing and keeps nothing.
#[derive(Debug)]
struct Nowhere;

impl StatePool for Nowhere {
    fn take_inflate(&mut self) -> Option<InflateState> {
        None
    }

    fn give_inflate(&mut self, _: InflateState) {}

    fn take_deflate(&mut self, _: DeflateShape) -> Option<DeflateState> {
        None
    }

    fn give_deflate(&mut self, _: DeflateState) {}
}

/// A pool that panics once where this thread has told it to.
#[derive(Debug)]
struct Panicking;

thread_local! {
    static PANICS_AT: Cell<Option<&'static str>> = const { Cell::new(None) };
}

impl Panicking {
    fn reach(place: &'static str) {
        if PANICS_AT.get() == Some(place) {
            PANICS_AT.set(None);
            panic!("as it should");
        }
    }
}

impl StatePool for Panicking {
    fn take_inflate(&mut self) -> Option<InflateState> {
        Self::reach("take inflate");
        None
    }

    fn give_inflate(&mut self, _: InflateState) {
        Self::reach("give inflate");
    }

    fn take_deflate(&mut self, _: DeflateShape) -> Option<DeflateState> {
        Self::reach("take deflate");
        None
    }

    fn give_deflate(&mut self, _: DeflateState) {
        Self::reach("give deflate");
    }
}

/// Both directions of a connection whose pool panics; no window is kept.
fn panicking() -> (Outbound, Inbound) {
    let (client, server) = pair(PLAIN.server_no_context_takeover());
    let outbound = Outbound::deflating(Role::Server, keys(), server.pool(|| Box::new(Panicking)).deflater());
    let inflater = client.pool(|| Box::new(Panicking)).inflater();
    (outbound, Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Validate, inflater))
}

#[test]
#[cfg_attr(miri, ignore = "zlib-rs, issue 491: a state dropped as an argument")]
fn a_pool_that_panics_when_something_is_sent_leaves_nothing_half_sent() {
    for place in ["take deflate", "give deflate"] {
        let (mut outbound, mut inbound) = panicking();
        PANICS_AT.set(Some(place));
        let sent_whole = catch_unwind(AssertUnwindSafe(|| outbound.message(MessageRef::Text("lost"))));
        assert!(sent_whole.is_err() && outbound.pending().is_empty(), "{place}");
        assert_eq!(outbound.in_progress(), None, "{place}");

        PANICS_AT.set(Some("take deflate"));
        let begun = catch_unwind(AssertUnwindSafe(|| outbound.data(Opcode::Text, Fin::More, b"lost")));
        assert!(begun.is_err(), "{place}");
        let usage = outbound.data(Opcode::Continuation, Fin::Last, b"continues nothing");
        assert_eq!(usage, Err(LocalProtocolError::OutOfSequence(Opcode::Continuation)));

        outbound.data(Opcode::Text, Fin::More, b"Hel").unwrap();
        PANICS_AT.set(Some("give deflate"));
        let ended = catch_unwind(AssertUnwindSafe(|| outbound.data(Opcode::Continuation, Fin::Last, b"lost")));
        assert!(ended.is_err() && outbound.in_progress().is_some(), "{place}");
        outbound.data(Opcode::Continuation, Fin::Last, b"lo").unwrap();
        let bytes = sent(&mut outbound);
        assert_eq!(bytes[0], 0x41, "it is compressed");
        assert_eq!(receive(&mut inbound, &bytes), Ok(vec![Message::from("Hello")]), "{place}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "zlib-rs, issue 491: a state dropped as an argument")]
fn a_pool_that_panics_when_something_is_received_leaves_the_rest_to_be_received() {
    for (place, left) in [("take inflate", vec!["one", "two"]), ("give inflate", vec!["two"])] {
        for cut in [1, usize::MAX] {
            let (mut outbound, mut inbound) = panicking();
            for text in ["one", "two"] {
                let bytes = text.as_bytes();
                let (begin, end) = bytes.split_at(cut.min(bytes.len()));
                if end.is_empty() {
                    outbound.data(Opcode::Text, Fin::Last, begin).unwrap();
                } else {
                    outbound.data(Opcode::Text, Fin::More, begin).unwrap();
                    outbound.data(Opcode::Continuation, Fin::Last, end).unwrap();
                }
            }
            let bytes = sent(&mut outbound);
            assert_eq!(inbound.push(&bytes), bytes.len());
            PANICS_AT.set(Some(place));
            assert!(catch_unwind(AssertUnwindSafe(|| inbound.advance())).is_err(), "{place}");
            let left: Vec<Message> = left.iter().map(|text| Message::from(*text)).collect();
            assert_eq!(receive(&mut inbound, b""), Ok(left), "{place}, cut at {cut}");
        }
    }
}

#[test]
fn skipped_and_framewise_messages_keep_the_window_right() {
    let text = "the same words again and again, the same words again and again";
    let mut outbound = outbound(PLAIN);
    let mut bytes = Vec::new();
    for _ in 0..3 {
        outbound.data(Opcode::Text, Fin::More, &text.as_bytes()[..20]).unwrap();
        outbound.data(Opcode::Continuation, Fin::Last, &text.as_bytes()[20..]).unwrap();
        bytes.extend(sent(&mut outbound));
    }
    let mut inbound = inbound(PLAIN);
    assert_eq!(inbound.push(&bytes), bytes.len());
    assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
    inbound.skip_message();
    let mut frames = Vec::new();
    for _ in 0..2 {
        assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
        frames.extend(inbound.frame().payload);
    }
    assert_eq!(frames, text.as_bytes());
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.kind(), MessageKind::Text);
    assert_eq!(inbound.message(), Ok(MessageRef::Text(text)));
}
