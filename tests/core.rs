//! The two halves of the core, and the events on them, against models: granularities that are mixed, rules that are broken, and bytes
//! that are cut anywhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;

use proptest::prelude::*;
use websocket_sync::protocol::handshake::ExtensionOffer;
use websocket_sync::protocol::{
    BytesMessage, CloseCode, CloseFrame, Connection, ConnectionBuilder, DeflateOptions, Event, Extension, Fin, Frame,
    Granularity, Inbound, Limits, LocalProtocolError, MaskKeys, Opcode, Outbound, PerMessageDeflate, ProtocolError,
    Role, Rsv, Step, TextMessage, TextPolicy,
};
use websocket_sync::{Message, MessageKind, MessageRef};

/// The extension, agreed to by both ends.
fn agreed() -> (PerMessageDeflate, PerMessageDeflate) {
    let new = || PerMessageDeflate::new(DeflateOptions::new().threshold(0)).unwrap();
    let (mut client, mut server) = (new(), new());
    let offer = ExtensionOffer::new("permessage-deflate");
    server.accept(&offer).unwrap();
    client.finalize(&offer).unwrap();
    (client, server)
}

fn keys() -> MaskKeys {
    MaskKeys::pooled(Box::new(|bytes| bytes.fill(0xA7)))
}

/// How two ends talk to each other.
#[derive(Clone, Copy, Debug)]
enum Wire {
    /// From a server to a client.
    Plain,
    /// The same, compressed.
    Deflated,
    /// From a client to a server.
    Masked,
}

impl Wire {
    fn sender(self) -> Outbound {
        match self {
            Self::Plain => Outbound::deflating(Role::Server, keys(), None),
            Self::Deflated => Outbound::deflating(Role::Server, keys(), agreed().1.deflater()),
            Self::Masked => Outbound::deflating(Role::Client, keys(), None),
        }
    }

    fn receiver(self, limits: Limits) -> Inbound {
        let (role, inflater) = match self {
            Self::Plain => (Role::Client, None),
            Self::Deflated => (Role::Client, agreed().0.inflater()),
            Self::Masked => (Role::Server, None),
        };
        Inbound::inflating(role, limits, TextPolicy::Validate, inflater)
    }

    /// The same as events.
    fn connection(self, limits: Limits) -> Connection {
        let builder = ConnectionBuilder::new().limits(limits);
        let (builder, role) = match self {
            Self::Plain => (builder, Role::Client),
            Self::Deflated => (builder.extension(agreed().0), Role::Client),
            Self::Masked => (builder, Role::Server),
        };
        builder.open(role, Box::new(|bytes| bytes.fill(0)))
    }
}

fn wire() -> impl Strategy<Value = Wire> {
    prop_oneof![Just(Wire::Plain), Just(Wire::Deflated), Just(Wire::Masked)]
}

/// Gives all of it, wherever there is room.
fn feed(inbound: &mut Inbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let length = inbound.push(bytes);
        assert!(length > 0);
        bytes = &bytes[length..];
    }
}

mod granularities {
    use super::*;

    /// A message in fragments, cut anywhere.
    #[derive(Clone, Debug)]
    struct Sent {
        kind: MessageKind,
        fragments: Vec<Vec<u8>>,
    }

    fn messages() -> impl Strategy<Value = Vec<Sent>> {
        let text = "[a\u{e9}\u{20ac}\u{1f600}]{0,12}".prop_map(|text| (MessageKind::Text, text.into_bytes()));
        let bytes = prop::collection::vec(any::<u8>(), 0..30).prop_map(|bytes| (MessageKind::Binary, bytes));
        let long = prop_oneof![
            Just((MessageKind::Binary, vec![0xB1; 70_000])),
            Just((MessageKind::Text, "\u{20ac}".repeat(25_000).into_bytes())),
        ];
        let content = prop_oneof![8 => text, 4 => bytes, 1 => long];
        let message =
            (content, prop::collection::vec(any::<prop::sample::Index>(), 0..4)).prop_map(|(content, cuts)| {
                let (kind, bytes) = content;
                let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
                ends.push(bytes.len());
                ends.sort_unstable();
                let mut start = 0;
                let fragments = ends.into_iter().map(|end| bytes[std::mem::replace(&mut start, end)..end].to_vec());
                Sent { kind, fragments: fragments.collect() }
            });
        prop::collection::vec(message, 1..6)
    }

    fn encode(wire: Wire, messages: &[Sent]) -> Vec<u8> {
        let mut outbound = wire.sender();
        for Sent { kind, fragments } in messages {
            for (index, fragment) in fragments.iter().enumerate() {
                let opcode = if index == 0 { (*kind).into() } else { Opcode::Continuation };
                let fin = if index + 1 == fragments.len() { Fin::Last } else { Fin::More };
                outbound.data(opcode, fin, fragment).unwrap();
                outbound.ping(b"?").unwrap();
            }
        }
        outbound.close(&CloseFrame::empty()).unwrap();
        outbound.pending().to_vec()
    }

    /// What the steps have told of the messages.
    #[derive(Debug, Default)]
    struct Told {
        messages: Vec<Option<(MessageKind, Vec<u8>)>>,
        current: Vec<u8>,
        skipped: bool,
    }

    impl Told {
        fn add(&mut self, kind: MessageKind, bytes: &[u8], ends: bool) {
            self.current.extend_from_slice(bytes);
            if ends {
                self.messages.push(Some((kind, std::mem::take(&mut self.current))));
            }
        }
    }

    fn advance(inbound: &mut Inbound, granularity: Granularity) -> Step {
        match granularity {
            Granularity::Message => inbound.advance(),
            Granularity::Frame => inbound.advance_frame(),
            Granularity::Piece => inbound.advance_piece(),
        }
        .unwrap()
    }

    /// Takes a step and notes what it tells; whether there was one.
    fn step(inbound: &mut Inbound, asked: Granularity, told: &mut Told) -> bool {
        let half = inbound.half_taken();
        let step = advance(inbound, asked);
        let due = half.unwrap_or(asked);
        match step {
            Step::NeedMore | Step::Ended => return false,
            Step::Message => {
                assert_eq!(due, Granularity::Message);
                let (kind, bytes) = (inbound.kind(), inbound.message().unwrap().as_bytes().to_vec());
                assert_eq!(inbound.message().unwrap().kind(), kind);
                told.add(kind, &bytes, true);
            }
            Step::Frame => {
                assert_eq!(due, Granularity::Frame);
                let frame = inbound.frame();
                told.add(inbound.kind(), &frame.payload, frame.fin);
            }
            Step::Piece(piece) => {
                assert_eq!(due, Granularity::Piece);
                let message = inbound.message().unwrap();
                assert_eq!(message.kind(), piece.kind);
                told.add(piece.kind, message.as_bytes(), piece.message_finished);
            }
            _ => {}
        }
        true
    }

    fn granularity() -> impl Strategy<Value = Granularity> {
        prop_oneof![Just(Granularity::Message), Just(Granularity::Frame), Just(Granularity::Piece)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_byte_is_lost_or_told_twice_however_they_are_mixed(
            wire in wire(),
            sent in messages(),
            sizes in prop::collection::vec(prop_oneof![1..4_usize, 1..40_usize, 1..50_000_usize], 1..20),
            asked in prop::collection::vec(granularity(), 1..40),
            skips in prop::collection::vec(0..12_u8, 1..20),
        ) {
            let bytes = encode(wire, &sent);
            let mut inbound = wire.receiver(Limits::default());
            let mut told = Told::default();
            let (mut sizes, mut asked) = (sizes.iter().cycle(), asked.iter().cycle());
            let mut skips = skips.iter().cycle();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let length = rest.len().min(*sizes.next().unwrap());
                let pushed = inbound.push(&rest[..length]);
                rest = &rest[pushed..];
                loop {
                    let before = inbound.in_progress();
                    let more = step(&mut inbound, *asked.next().unwrap(), &mut told);
                    if before.is_some() && inbound.in_progress().is_none() && told.skipped {
                        // A message that was skipped has ended without a word.
                        told.current.clear();
                        told.skipped = false;
                        told.messages.push(None);
                    }
                    if inbound.in_progress().is_some() && !told.skipped && *skips.next().unwrap() == 0 {
                        inbound.skip_message();
                        told.skipped = true;
                        prop_assert_eq!(inbound.half_taken(), None);
                    }
                    if !more {
                        break;
                    }
                }
            }
            // What was skipped and not followed by anything is noticed when the Close comes, at the latest.
            if told.skipped {
                told.messages.push(None);
            }
            prop_assert!(inbound.close().is_some());
            prop_assert_eq!((inbound.half_taken(), inbound.in_progress()), (None, None));
            let mut told = told.messages.into_iter();
            for Sent { kind, fragments } in &sent {
                match told.next() {
                    Some(Some(message)) => prop_assert!(message == (*kind, fragments.concat())),
                    Some(None) => {}
                    None => prop_assert!(false, "a message is lost"),
                }
            }
            prop_assert_eq!(told.next(), None);
        }
    }

    fn client() -> Inbound {
        Inbound::new(Role::Client, Limits::default())
    }

    #[test]
    fn a_character_that_a_frame_has_cut_is_taken_as_frames() {
        let mut inbound = client();
        feed(&mut inbound, b"\x01\x04caf\xc3");
        assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
        assert_eq!(inbound.frame().payload, b"caf\xc3");
        assert_eq!(inbound.half_taken(), Some(Granularity::Frame));
        feed(&mut inbound, b"\x80\x02\xa9!\x81\x01x");
        assert_eq!(inbound.advance(), Ok(Step::Frame), "nothing is told twice");
        assert_eq!(inbound.frame().payload, b"\xa9!");
        assert_eq!(inbound.half_taken(), None);
        assert_eq!(inbound.advance(), Ok(Step::Message));
    }

    #[test]
    fn a_character_that_a_piece_has_cut_is_not_lost() {
        let mut inbound = client();
        feed(&mut inbound, b"\x81\x06caf\xc3");
        assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
        assert_eq!(inbound.message(), Ok(MessageRef::Text("caf")));
        assert_eq!(inbound.half_taken(), Some(Granularity::Piece));
        feed(&mut inbound, b"\xa9");
        assert!(matches!(inbound.advance_frame(), Ok(Step::Piece(_))));
        assert_eq!(inbound.message(), Ok(MessageRef::Text("\u{e9}")));
        assert_eq!(inbound.half_taken(), None);
        feed(&mut inbound, b"!");
        assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
        assert_eq!(inbound.frame(), Frame::new(Opcode::Continuation, "!"));
    }

    #[test]
    fn what_a_piece_has_taken_a_frame_does_not_repeat() {
        let mut inbound = client();
        feed(&mut inbound, b"\x82\x06abc");
        assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
        assert_eq!(inbound.message().unwrap().as_bytes(), b"abc");
        feed(&mut inbound, b"def");
        assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
        assert_eq!(inbound.frame().payload, b"def");
    }

    #[test]
    fn a_close_inside_a_message_leaves_nothing_in_progress() {
        type Take = fn(&mut Inbound) -> Result<Step, ProtocolError>;
        let takings: [Take; 3] = [Inbound::advance, Inbound::advance_frame, Inbound::advance_piece];
        for take in takings {
            let mut inbound = client();
            feed(&mut inbound, b"\x01\x02ab\x00\x05c");
            while take(&mut inbound).unwrap() != Step::NeedMore {}
            feed(&mut inbound, b"defg\x88\x00");
            while take(&mut inbound).unwrap() != Step::Close {}
            assert_eq!((inbound.half_taken(), inbound.in_progress()), (None, None));
            inbound.skip_message();
            assert_eq!(inbound.advance(), Ok(Step::Ended));
            assert!(inbound.close().is_some());
            inbound.release();
            assert_eq!(inbound.memory(), 0);
        }
    }
}

mod violations {
    use super::*;

    /// Whole messages, and the rule that was broken after them.
    type Verdict = (Vec<Message>, Option<ProtocolError>);

    /// Cuts bytes into chunks of these sizes, over and over.
    fn cut<'a>(mut bytes: &'a [u8], sizes: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
        sizes.iter().cycle().map_while(move |&size| {
            let (chunk, rest) = bytes.split_at(bytes.len().min(size));
            bytes = rest;
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    fn as_messages(wire: Wire, limits: Limits, bytes: &[u8], sizes: &[usize]) -> Verdict {
        let mut inbound = wire.receiver(limits);
        let mut messages = Vec::new();
        for chunk in cut(bytes, sizes) {
            feed_and_step(&mut inbound, chunk);
            loop {
                match inbound.advance() {
                    Ok(Step::NeedMore | Step::Ended) => break,
                    Ok(Step::Message) => match inbound.take_message() {
                        Ok(message) => messages.push(message),
                        Err(error) => return (messages, Some(error)),
                    },
                    Ok(_) => {}
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    }

    fn feed_and_step(inbound: &mut Inbound, chunk: &[u8]) {
        assert_eq!(inbound.push(chunk), chunk.len());
    }

    fn as_pieces(wire: Wire, limits: Limits, bytes: &[u8], sizes: &[usize]) -> Verdict {
        let mut inbound = wire.receiver(limits);
        let mut messages = Vec::new();
        let mut current = Vec::new();
        for chunk in cut(bytes, sizes) {
            feed_and_step(&mut inbound, chunk);
            loop {
                match inbound.advance_piece() {
                    Ok(Step::NeedMore | Step::Ended) => break,
                    Ok(Step::Piece(piece)) => {
                        current.extend_from_slice(inbound.message().unwrap().as_bytes());
                        if piece.message_finished {
                            messages.push(message(piece.kind, std::mem::take(&mut current)));
                        }
                    }
                    Ok(_) => {}
                    Err(error) => return (messages, Some(error)),
                }
            }
        }
        (messages, None)
    }

    fn as_events(wire: Wire, limits: Limits, bytes: &[u8], sizes: &[usize]) -> Verdict {
        let mut connection = wire.connection(limits);
        let mut messages = Vec::new();
        let mut current = Vec::new();
        for chunk in cut(bytes, sizes) {
            connection.receive_data(Some(chunk)).unwrap();
            while let Some(event) = connection.next_event() {
                let (kind, ends) = match event {
                    Event::TextMessage(TextMessage { data, message_finished, .. }) => {
                        current.extend_from_slice(data.as_bytes());
                        (MessageKind::Text, message_finished)
                    }
                    Event::BytesMessage(BytesMessage { data, message_finished, .. }) => {
                        current.extend_from_slice(&data);
                        (MessageKind::Binary, message_finished)
                    }
                    Event::ProtocolViolation(violation) => return (messages, Some(violation.error)),
                    _ => continue,
                };
                if ends {
                    messages.push(message(kind, std::mem::take(&mut current)));
                }
            }
        }
        (messages, None)
    }

    fn message(kind: MessageKind, bytes: Vec<u8>) -> Message {
        match kind {
            MessageKind::Text => Message::Text(String::from_utf8(bytes).unwrap()),
            MessageKind::Binary => Message::Binary(bytes),
        }
    }

    /// A frame that may break a rule.
    fn frame() -> impl Strategy<Value = Frame> {
        let opcode = prop_oneof![
            6 => Just(Opcode::Text), 4 => Just(Opcode::Binary), 8 => Just(Opcode::Continuation),
            1 => Just(Opcode::Ping), 1 => Just(Opcode::Close),
        ];
        let rsv = prop_oneof![6 => Just(Rsv::NONE), 6 => Just(Rsv::RSV1), 1 => Just(Rsv::RSV2)];
        (opcode, rsv, prop::bool::weighted(0.7), payload()).prop_map(|(opcode, rsv, fin, payload)| {
            let (fin, rsv) = if opcode.is_control() { (true, Rsv::NONE) } else { (fin, rsv) };
            Frame { fin, rsv, opcode, payload }
        })
    }

    /// Text, bad text, what text or anything is compressed to, whole or not, and bytes that are nothing.
    fn payload() -> impl Strategy<Value = Vec<u8>> {
        let text = "[a-c\u{e9}\u{20ac}]{0,20}".prop_map(String::into_bytes);
        let bad = ("[a\u{e9}]{0,9}", 0x80..=0xFF_u8, "[a-z]{0,9}")
            .prop_map(|(before, bad, behind)| [before.as_bytes(), &[bad], behind.as_bytes()].concat());
        let content = prop_oneof![3 => text, 2 => bad, 1 => prop::collection::vec(any::<u8>(), 0..20)].boxed();
        let long = (content.clone(), 1..60_usize).prop_map(|(content, times)| content.repeat(times));
        let compressed =
            (prop_oneof![content.clone(), long.boxed()], any::<prop::sample::Index>(), 0..6_u8, any::<u8>()).prop_map(
                |(content, at, change, byte)| {
                    let mut outbound = Wire::Deflated.sender();
                    outbound.data(Opcode::Binary, Fin::Last, &content).unwrap();
                    let bytes = outbound.pending();
                    let head = if bytes[1] == 126 { 4 } else { 2 };
                    let mut payload = bytes[head..].to_vec();
                    match change {
                        0 if !payload.is_empty() => payload.truncate(at.index(payload.len())),
                        1 if !payload.is_empty() => {
                            let at = at.index(payload.len());
                            payload[at] = byte;
                        }
                        _ => {}
                    }
                    payload
                },
            );
        prop_oneof![content, compressed]
    }

    fn limits() -> impl Strategy<Value = Limits> {
        let size = prop_oneof![0..12_usize, 0..70_usize, Just(usize::MAX)];
        let frame = prop_oneof![0..40_usize, Just(usize::MAX), Just(usize::MAX)];
        (size, frame, prop_oneof![1..5_u32, Just(u32::MAX)]).prop_map(|(size, frame, fragments)| {
            let mut limits = Limits::default();
            limits.max_message_size = size;
            limits.max_frame_size = frame;
            limits.max_fragments = fragments;
            limits
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn the_rule_that_is_told_does_not_depend_on_how_the_bytes_were_cut_nor_on_who_looks(
            wire in wire(),
            frames in prop::collection::vec(frame(), 1..6),
            limits in limits(),
            sizes in prop::collection::vec(1..30_usize, 1..10),
        ) {
            let key = matches!(wire, Wire::Masked).then_some([7, 1, 8, 2]);
            let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.to_bytes(key)).collect();
            let whole = as_messages(wire, limits, &bytes, &[bytes.len()]);
            for sizes in [&[1][..], &sizes, &[bytes.len()]] {
                prop_assert_eq!(&as_messages(wire, limits, &bytes, sizes), &whole, "as messages, {:?}", sizes);
                prop_assert_eq!(&as_pieces(wire, limits, &bytes, sizes), &whole, "as pieces, {:?}", sizes);
                prop_assert_eq!(&as_events(wire, limits, &bytes, sizes), &whole, "as events, {:?}", sizes);
            }
        }
    }

    #[test]
    fn of_two_rules_the_one_is_told_whose_octet_comes_first() {
        let mut limits = Limits::default();
        limits.max_message_size = 5;
        // FF in a stored block, then a stored block of which some is too much.
        let bytes = b"\xc1\x0f\x00\x09\x00\xf6\xff\xffaaaaaaaa\x00";
        for sizes in [&[1][..], &[9, 100], &[100]] {
            for look in [as_messages, as_pieces, as_events] {
                let verdict = look(Wire::Deflated, limits, bytes, sizes);
                assert_eq!(verdict, (Vec::new(), Some(ProtocolError::TextNotUtf8)), "{sizes:?}");
            }
        }
    }

    #[test]
    fn an_announced_length_is_judged_by_the_header_whoever_looks() {
        let mut limits = Limits::default();
        limits.max_message_size = 5;
        for wire in [Wire::Plain, Wire::Deflated] {
            for look in [as_messages, as_pieces, as_events] {
                let verdict = look(wire, limits, b"\x82\x06", &[1]);
                assert_eq!(verdict.1, Some(ProtocolError::MessageTooBig { limit: 5 }), "{wire:?}");
            }
        }
    }

    #[test]
    fn after_a_violation_nothing_is_told_whatever_lies_behind_it() {
        let broken: [(Wire, &[u8], ProtocolError); 4] = [
            (Wire::Deflated, b"\xc1\x07\x00\x01\x00\xfe\xff\xff\x00", ProtocolError::TextNotUtf8),
            (Wire::Plain, b"\x81\x01\xff", ProtocolError::TextNotUtf8),
            (Wire::Plain, b"\x80\x00", ProtocolError::UnexpectedContinuation),
            (Wire::Plain, b"\x88\x02\x03\xed", ProtocolError::CloseCode(CloseCode(1005))),
        ];
        for (wire, bytes, error) in broken {
            let mut inbound = wire.receiver(Limits::default());
            feed(&mut inbound, &[bytes, b"\x81\x05after\x89\x00\x88\x00"].concat());
            let told = inbound.advance().and_then(|_| inbound.message().map(|_| ()));
            assert_eq!(told, Err(error));
            for _ in 0..3 {
                assert_eq!(inbound.message().map(|_| ()), Err(error));
                assert_eq!(inbound.take_message(), Err(error));
                assert_eq!(inbound.advance(), Err(error));
                assert_eq!(inbound.advance_frame(), Err(error));
                assert_eq!(inbound.advance_piece(), Err(error));
                assert_eq!((inbound.close(), inbound.control(), inbound.has_buffered()), (None, &b""[..], false));
                assert!(inbound.frame().payload.is_empty());
                feed(&mut inbound, b"\x81\x05after");
            }
        }
    }

    #[test]
    fn memory_after_the_end_is_bounded_for_those_who_go_on_reading() {
        let mut limits = Limits::default();
        limits.max_message_size = 1 << 20;
        let large = Frame::new(Opcode::Binary, vec![7; 3 << 20]).to_bytes(None);
        let begun = Frame::new(Opcode::Binary, vec![7; 500_000]).fragment().to_bytes(None);
        let ends: [&[u8]; 3] = [&large, b"\x88\x00", b"\x83\x00"];
        for end in ends {
            let mut inbound = Inbound::new(Role::Client, limits);
            let mut most = 0;
            for bytes in [&begun[..], end, &large, &large] {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let length = inbound.push(rest);
                    assert!(length > 0, "there is always room");
                    rest = &rest[length..];
                    let _ = inbound.advance();
                    most = most.max(inbound.memory());
                }
            }
            assert!(inbound.advance() != Ok(Step::NeedMore));
            assert!(most < 2 << 20, "{most}");
            assert!(inbound.memory() < 300_000, "{}", inbound.memory());
        }
    }

    #[test]
    fn control_frames_among_the_fragments_of_a_long_message_are_no_flood() {
        let mut inbound = Inbound::new(Role::Client, Limits::default());
        feed(&mut inbound, b"\x02\x00");
        let mut fragment = b"\x89\x01p\x00\x7e\x10\x00".to_vec();
        fragment.extend_from_slice(&[7; 4096]);
        let fragments = fragment.repeat(20);
        let mut pings = 0;
        for _ in 0..750 {
            let mut rest = fragments.as_slice();
            while !rest.is_empty() {
                rest = &rest[inbound.push(rest)..];
                while inbound.advance().unwrap() == Step::Ping {
                    pings += 1;
                }
            }
        }
        assert_eq!(pings, 15_000);
        let flood = [b"\x89\x01p\x00\x00".repeat(10_001), b"\x80\x01x".to_vec()].concat();
        let mut rest = flood.as_slice();
        let error = loop {
            rest = &rest[inbound.push(rest)..];
            if let Some(error) = std::iter::repeat_with(|| inbound.advance())
                .take_while(|step| *step != Ok(Step::NeedMore))
                .find_map(Result::err)
            {
                break error;
            }
        };
        assert_eq!(error, ProtocolError::TooManyControlFrames { limit: 10_000 }, "empty fragments are none");
    }

    #[test]
    fn control_frames_among_empty_messages_are_no_flood_in_either_role() {
        let mut limits = Limits::default();
        limits.max_control_frames = 1000;
        let whole = vec![Frame::new(Opcode::Text, [])];
        let fragmented = vec![Frame::new(Opcode::Text, []).fragment(), Frame::new(Opcode::Continuation, [])];
        for (role, key) in [(Role::Client, None), (Role::Server, Some([1, 2, 3, 4]))] {
            for message in [&whole, &fragmented] {
                let mut inbound = Inbound::new(role, limits);
                let frames = [Frame::new(Opcode::Ping, [])].into_iter().chain(message.iter().cloned());
                let bytes: Vec<u8> = frames.flat_map(|frame| frame.to_bytes(key)).collect();
                let mut rest = &bytes.repeat(2000)[..];
                let mut messages = 0;
                while !rest.is_empty() {
                    rest = &rest[inbound.push(rest)..];
                    loop {
                        match inbound.advance().unwrap() {
                            Step::NeedMore => break,
                            Step::Message => messages += 1,
                            _ => {}
                        }
                    }
                }
                assert_eq!(messages, 2000, "{role:?}");
            }
        }
    }
}

mod compressed_ends {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Text, payload) }.to_bytes(None)
    }

    /// "Hello", compressed.
    const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

    fn receive(inbound: &mut Inbound, bytes: &[u8]) -> Result<Message, ProtocolError> {
        feed(inbound, bytes);
        assert_eq!(inbound.advance()?, Step::Message);
        inbound.take_message()
    }

    #[test]
    fn a_message_that_is_cut_anywhere_is_refused() {
        let text: String = (0..60).fold(String::new(), |mut text, n| {
            write!(text, "{{\"id\":{n},\"value\":{}}},", n * n * 31).unwrap();
            text
        });
        for options in [DeflateOptions::new(), DeflateOptions::new().server_no_context_takeover()] {
            let mut server = PerMessageDeflate::new(options.level(6)).unwrap();
            server.accept(&ExtensionOffer::new("permessage-deflate")).unwrap();
            let mut outbound = Outbound::deflating(Role::Server, keys(), server.deflater());
            outbound.message(MessageRef::Text(&text)).unwrap();
            let payload = outbound.pending()[4..].to_vec();
            assert_eq!(payload[0] & 0b110, 0b100, "the block has a head with codes");
            for length in 1..payload.len() {
                let mut inbound = Wire::Deflated.receiver(Limits::default());
                assert_eq!(receive(&mut inbound, &frame(HELLO)), Ok(Message::from("Hello")));
                let cut = receive(&mut inbound, &frame(&payload[..length]));
                assert_eq!(cut, Err(ProtocolError::ExtensionPayload), "cut at {length} of {}", payload.len());
            }
        }
    }

    #[test]
    fn a_message_that_ends_in_the_head_of_a_block_never_swallows_the_next() {
        // The beginning of a block with codes, final or not, behind one that has ended.
        for head in [&b"\x15\x27"[..], b"\x14\x27", b"\x15", b"\x14"] {
            let mut inbound = Wire::Deflated.receiver(Limits::default());
            let payload = [HELLO, b"\0\0\xff\xff", head].concat();
            assert_eq!(receive(&mut inbound, &frame(&payload)), Err(ProtocolError::ExtensionPayload), "{head:02x?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_ends_a_message_the_next_is_itself_or_refused(end in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut inbound = Wire::Deflated.receiver(Limits::default());
            receive(&mut inbound, &frame(HELLO)).unwrap();
            let payload = [&HELLO[..6], &end].concat();
            if receive(&mut inbound, &frame(&payload)).is_ok() {
                prop_assert_eq!(receive(&mut inbound, &frame(HELLO)), Ok(Message::from("Hello")));
            }
        }
    }
}

mod text_to_send {
    use super::*;

    const NOT_UTF8: LocalProtocolError = LocalProtocolError::TextNotUtf8;

    fn server() -> Outbound {
        Outbound::deflating(Role::Server, keys(), None)
    }

    #[test]
    fn text_that_is_none_is_not_encoded_whichever_way_it_comes() {
        for bad in [&b"caf\xff"[..], b"caf\xc3"] {
            for wire in [Wire::Plain, Wire::Deflated, Wire::Masked] {
                let mut outbound = wire.sender();
                assert_eq!(outbound.data(Opcode::Text, Fin::Last, bad), Err(NOT_UTF8));
                assert_eq!(outbound.data_uncompressed(Opcode::Text, Fin::Last, bad), Err(NOT_UTF8));
                assert_eq!(outbound.frame(&Frame::new(Opcode::Text, bad)), Err(NOT_UTF8));
                assert_eq!((outbound.pending(), outbound.in_progress()), (&b""[..], None));
                outbound.data(Opcode::Binary, Fin::Last, bad).unwrap();
            }
        }
    }

    #[test]
    fn the_last_octet_of_bad_text_in_fragments_is_not_encoded_and_another_end_may_be_tried() {
        let mut outbound = server();
        outbound.data(Opcode::Text, Fin::More, b"caf\xc3").unwrap();
        for bad in [&b""[..], b"x", b"\xa9\xff", b"\xa9\xe2\x82"] {
            assert_eq!(outbound.data(Opcode::Continuation, Fin::Last, bad), Err(NOT_UTF8), "{bad:02x?}");
        }
        assert_eq!(outbound.data(Opcode::Continuation, Fin::More, b"\xff"), Err(NOT_UTF8));
        assert_eq!(outbound.begin(Opcode::Continuation, Fin::Last, 0), Err(NOT_UTF8));
        assert_eq!(outbound.pending(), b"\x01\x04caf\xc3");
        outbound.data(Opcode::Continuation, Fin::Last, b"\xa9").unwrap();
        assert_eq!(outbound.pending(), b"\x01\x04caf\xc3\x80\x01\xa9");
        outbound.data(Opcode::Text, Fin::Last, b"next").unwrap();
    }

    #[test]
    fn the_last_octet_of_bad_text_in_chunks_is_not_encoded() {
        for (chunks, bad) in [(&[&b"ca"[..], b"f\xc3"][..], 1), (&[b"\xc3", b"a", b"bc"], 1), (&[b"abcd"], 9)] {
            let mut outbound = server();
            outbound.begin(Opcode::Text, Fin::Last, 4).unwrap();
            for (index, chunk) in chunks.iter().enumerate() {
                let before = outbound.pending().len();
                if index == bad {
                    assert_eq!(outbound.payload(chunk), Err(NOT_UTF8));
                    assert_eq!(outbound.pending().len(), before);
                    break;
                }
                outbound.payload(chunk).unwrap();
            }
        }
        let mut outbound = server();
        outbound.begin(Opcode::Text, Fin::More, 1).unwrap();
        outbound.payload(b"\xc3").unwrap();
        outbound.begin(Opcode::Continuation, Fin::Last, 2).unwrap();
        outbound.payload(b"\xa9").unwrap();
        assert_eq!(outbound.payload(b"\xa9"), Err(NOT_UTF8));
        outbound.payload(b"!").unwrap();
        assert_eq!(outbound.pending(), b"\x01\x01\xc3\x80\x02\xa9!");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_what_a_receiver_takes(
            wire in wire(),
            chunks in prop::collection::vec(prop_oneof![
                3 => "[a\u{e9}\u{20ac}\u{1f600}]{0,3}".prop_map(String::into_bytes),
                1 => prop::collection::vec(any::<u8>(), 0..3),
            ], 1..6),
            cut in any::<prop::sample::Index>(),
            at_once in any::<bool>(),
        ) {
            let bytes = chunks.concat();
            let (first, rest) = bytes.split_at(cut.index(bytes.len() + 1));
            let mut outbound = wire.sender();
            let sent = if at_once {
                outbound.data(Opcode::Text, Fin::Last, &bytes).map(|_| ())
            } else {
                outbound
                    .data(Opcode::Text, Fin::More, first)
                    .and_then(|_| outbound.data(Opcode::Continuation, Fin::Last, rest))
                    .map(|_| ())
            };
            let is_text = std::str::from_utf8(&bytes).is_ok();
            prop_assert_eq!(sent, if is_text { Ok(()) } else { Err(NOT_UTF8) });
            let mut inbound = wire.receiver(Limits::default());
            feed(&mut inbound, outbound.pending());
            let step = inbound.advance();
            prop_assert_eq!(step, Ok(if is_text { Step::Message } else { Step::NeedMore }));
        }
    }

    #[test]
    fn pending_output_moves_seldom_however_much_it_becomes() {
        let mut outbound = server();
        let mut moves = 0;
        for _ in 0..(64 << 20) / 4096 {
            let before = outbound.memory();
            outbound.data(Opcode::Binary, Fin::Last, &[7; 4096]).unwrap();
            moves += usize::from(outbound.memory() != before);
        }
        assert!(moves <= 20, "{moves} times");
    }

    #[test]
    fn what_is_not_to_be_compressed_is_not_whichever_way_compression_was_agreed() {
        let connection =
            ConnectionBuilder::new().extension(agreed().1).open(Role::Server, Box::new(|bytes| bytes.fill(0)));
        let mut outbound = connection.into_halves().unwrap().outbound;
        outbound.data_uncompressed(Opcode::Text, Fin::Last, b"aaaaaaaaaaaaaaaa").unwrap();
        assert_eq!(outbound.pending()[0], 0x81);
    }
}
