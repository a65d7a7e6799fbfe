//! Frames on the wire and the events that they are: the ideas and the vectors of wsproto's tests of its frame protocol.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use websocket_sync::protocol::{
    BytesMessage, CloseCode, CloseConnection, Connection, Entropy, Event, Frame, LocalProtocolError, Opcode, Ping,
    Pong, ProtocolError, ProtocolViolation, Role, TextMessage, mask,
};

/// The masking key of every client here: "abcd".
fn entropy() -> Entropy {
    Box::new(|bytes| bytes.iter_mut().zip(b"abcd".iter().cycle()).for_each(|(byte, key)| *byte = *key))
}

fn open(role: Role) -> Connection {
    Connection::open(role, entropy())
}

/// What these bytes are, received in pieces that end at these places.
fn received(role: Role, bytes: &[u8], cuts: &[usize]) -> Vec<Event> {
    let mut connection = open(role);
    let mut events = Vec::new();
    let ends = cuts.iter().copied().chain([bytes.len()]);
    let mut start = 0;
    for end in ends {
        connection.receive_data(Some(&bytes[start..end])).unwrap();
        events.extend(connection.events());
        start = end;
    }
    events
}

fn violation(error: ProtocolError) -> Event {
    Event::ProtocolViolation(ProtocolViolation { error })
}

fn text(data: &str) -> Event {
    TextMessage::new(data).into()
}

fn close(code: u16, reason: &str) -> Event {
    CloseConnection::new(CloseCode(code), reason).into()
}

/// An unmasked frame with its length in the shortest form.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(length as u8),
        length @ 126..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// The text of these events, which must be pieces of one text message, and whether the last one alone ends it.
fn joined(events: &[Event]) -> String {
    let last = events.len() - 1;
    let mut joined = String::new();
    for (index, event) in events.iter().enumerate() {
        let Event::TextMessage(piece) = event else { panic!("{event:?}") };
        assert_eq!(piece.message_finished, index == last);
        joined += &piece.data;
    }
    joined
}

mod receiving {
    use super::*;

    #[test]
    fn short_frames_of_either_role() {
        assert_eq!(received(Role::Client, b"\x81\x00", &[]), [text("")]);
        assert_eq!(received(Role::Client, b"\x81\x02xy", &[]), [text("xy")]);
        assert_eq!(received(Role::Server, b"\x81\x82abcd\x19\x1b", &[]), [text("xy")]);
    }

    #[test]
    fn long_frames_arrive_whole() {
        for length in [125, 126, 127, 512, 65_535, 65_536, 128 * 1024] {
            let bytes = frame(0x81, &vec![b'x'; length]);
            assert!(joined(&received(Role::Client, &bytes, &[])) == "x".repeat(length), "{length}");
        }
    }

    #[test]
    fn the_header_may_be_cut_anywhere() {
        let short = frame(0x81, b"xy");
        let long = frame(0x81, &[b'x'; 512]);
        let very_long = frame(0x81, &[b'x'; 70_000]);
        for (bytes, header) in [(short, 2), (long, 4), (very_long, 10)] {
            let whole = joined(&received(Role::Client, &bytes, &[]));
            for cut in 0..=header {
                assert!(joined(&received(Role::Client, &bytes, &[cut])) == whole, "cut at {cut}");
            }
        }
        for cut in 0..8 {
            assert_eq!(joined(&received(Role::Server, b"\x81\x82abcd\x19\x1b", &[cut])), "xy");
        }
    }

    #[test]
    fn what_the_rules_forbid_is_a_violation() {
        use ProtocolError::*;
        let cases: &[(Role, Vec<u8>, ProtocolError)] = &[
            (Role::Client, b"\x81\x82abcd\x19\x1b".to_vec(), MaskedFrame),
            (Role::Server, b"\x81\x02xy".to_vec(), UnmaskedFrame),
            (Role::Client, b"\x8e\x02xy".to_vec(), UnknownOpcode(0xe)),
            (Role::Client, b"\x83\x02xy".to_vec(), UnknownOpcode(3)),
            (Role::Client, b"\x09\x02xy".to_vec(), FragmentedControl),
            (Role::Client, b"\x91\x02xy".to_vec(), ReservedBits),
            (Role::Client, b"\xa1\x02xy".to_vec(), ReservedBits),
            (Role::Client, b"\xc1\x02xy".to_vec(), ReservedBits),
            (Role::Client, [&b"\x81\x7e\x00\x40"[..], &[b'x'; 64]].concat(), NonMinimalLength),
            (Role::Client, b"\x81\x7f\0\0\0\0\0\0\x02\x00".to_vec(), NonMinimalLength),
            (Role::Client, b"\x81\x7f\0\0\0\0\0\0\0\x40".to_vec(), NonMinimalLength),
            (Role::Client, b"\x81\x7f\x80\x80\x80\x80\x80\x80\x80\x80".to_vec(), LengthOverflow),
            (Role::Client, frame(0x89, &[b'x'; 128]), ControlTooLong),
            (Role::Client, frame(0x80, &[b'x'; 23]), UnexpectedContinuation),
            (Role::Client, b"\x88\x01x".to_vec(), CloseBodyOfOneByte),
            (Role::Client, b"\x88\x02\x00\x7b".to_vec(), CloseCode(websocket_sync::CloseCode(123))),
            (Role::Client, b"\x88\x02\x0b\xb6".to_vec(), CloseCode(websocket_sync::CloseCode(2998))),
            (Role::Client, b"\x88\x02\x03\xed".to_vec(), CloseCode(websocket_sync::CloseCode(1005))),
            (Role::Client, b"\x88\x07\x03\xe8\xe2\x88\x82\xff\xff".to_vec(), CloseReasonNotUtf8),
            (Role::Client, b"\x88\x04\x03\xe8\xe2\x88".to_vec(), CloseReasonNotUtf8),
        ];
        for (role, bytes, error) in cases {
            assert_eq!(received(*role, bytes, &[]), [violation(*error)], "{bytes:02x?}");
        }
    }

    #[test]
    fn fragments_follow_each_other() {
        let begin = b"\x02\x02xy\x01\x02xy";
        assert_eq!(received(Role::Client, begin, &[])[1..], [violation(ProtocolError::ExpectedContinuation)]);
        let other = b"\x01\x02xy\x82\x02xy";
        assert_eq!(received(Role::Client, other, &[])[1..], [violation(ProtocolError::ExpectedContinuation)]);
        let again = b"\x81\x02xy\x80\x02xy";
        assert_eq!(received(Role::Client, again, &[])[1..], [violation(ProtocolError::UnexpectedContinuation)]);
        let fine = b"\x02\x01x\x00\x00\x80\x01y";
        assert_eq!(
            received(Role::Client, fine, &[]),
            [
                Event::from(BytesMessage::new("x").unfinished()),
                BytesMessage::new("").unfinished().into(),
                BytesMessage::new("y").into(),
            ]
        );
    }

    #[test]
    fn text_is_followed_over_frames_and_pieces() {
        let sample = "fñör∂".as_bytes();
        let bytes = [frame(0x01, &sample[..4]), frame(0x00, &sample[4..6]), frame(0x80, &sample[6..])].concat();
        assert_eq!(joined(&received(Role::Client, &bytes, &[])), "fñör∂");
        let sample = "∂".repeat(64);
        let bytes = frame(0x81, sample.as_bytes());
        let pieces = received(Role::Client, &bytes, &[4 + 64]);
        let lengths: Vec<usize> = pieces
            .iter()
            .map(|event| if let Event::TextMessage(piece) = event { piece.data.chars().count() } else { 0 })
            .collect();
        assert_eq!(lengths, [21, 43]);
        assert_eq!(joined(&pieces), sample);
    }

    #[test]
    fn bad_text_is_found_at_the_octet_that_is_wrong() {
        let whole: &[&[u8]] = &[
            &"fñör∂".as_bytes()[..4 + 3],
            b"f\xf1\xf6rd",
            b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64",
        ];
        for payload in whole {
            let bytes = frame(0x81, payload);
            assert_eq!(received(Role::Client, &bytes, &[]).last(), Some(&violation(ProtocolError::TextNotUtf8)));
        }
        for wrong in [&b"\xc0"[..], b"\xed\xa0", b"\xf4\x90", b"\xff", b"\xe2\x28", b"\xf5"] {
            let mut client = open(Role::Client);
            let (last, before) = wrong.split_last().unwrap();
            client.receive_data(Some(&[b"\x81\x7d", before].concat())).unwrap();
            assert_eq!(client.next_event(), None);
            client.receive_data(Some(&[*last])).unwrap();
            assert_eq!(client.next_event(), Some(violation(ProtocolError::TextNotUtf8)), "{wrong:02x?}");
        }
    }

    #[test]
    fn a_large_frame_comes_piece_by_piece() {
        let bytes = frame(0x81, &[b'x'; 128 * 1024]);
        let cuts: Vec<usize> = (1..128).map(|piece| 10 + piece * 1024).collect();
        let events = received(Role::Client, &bytes, &cuts);
        assert_eq!(events.len(), 128);
        assert_eq!(joined(&events).len(), 128 * 1024);
    }

    #[test]
    fn a_control_frame_is_one_event_however_it_arrives() {
        let payload = [b'x'; 64];
        let bytes = frame(0x89, &payload);
        let cuts: Vec<usize> = (11..bytes.len()).step_by(11).collect();
        assert_eq!(received(Role::Client, &bytes, &cuts), [Event::from(Ping::new(payload))]);
    }

    #[test]
    fn close_frames_tell_code_and_reason() {
        let cases = [
            (&b""[..], close(1005, "")),
            (b"\x03\xe8", close(1000, "")),
            (b"\x03\xe8tarah old chap", close(1000, "tarah old chap")),
            (b"\x03\xe8f\xc3\xb1\xc3\xb8r\xe2\x88\x82", close(1000, "fñør∂")),
        ];
        for (body, expected) in cases {
            assert_eq!(received(Role::Client, &frame(0x88, body), &[]), [expected]);
        }
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same_messages(
            messages in prop::collection::vec(("\\PC{0,300}", any::<bool>()), 1..6),
            cuts in prop::collection::vec(1..400_usize, 1..50),
            client in any::<bool>(),
        ) {
            let (sender, receiver) = if client { (Role::Server, Role::Client) } else { (Role::Client, Role::Server) };
            let mut sender = open(sender);
            let mut bytes = Vec::new();
            for (text, fragmented) in &messages {
                let half = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
                let (first, second) = text.split_at(half);
                if *fragmented {
                    sender.send_into(TextMessage::new(first).unfinished(), &mut bytes).unwrap();
                    sender.send_into(Ping::new("between"), &mut bytes).unwrap();
                    sender.send_into(TextMessage::new(second), &mut bytes).unwrap();
                } else {
                    sender.send_into(TextMessage::new(text.as_str()), &mut bytes).unwrap();
                }
            }
            let mut ends = Vec::new();
            let mut end = 0;
            for size in cuts.iter().cycle() {
                end += size;
                if end >= bytes.len() {
                    break;
                }
                ends.push(end);
            }
            let mut texts = vec![String::new()];
            for event in received(receiver, &bytes, &ends) {
                match event {
                    Event::TextMessage(piece) => {
                        *texts.last_mut().unwrap() += &piece.data;
                        if piece.message_finished {
                            texts.push(String::new());
                        }
                    }
                    Event::Ping(_) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            texts.pop();
            let expected: Vec<String> = messages.into_iter().map(|(text, _)| text).collect();
            prop_assert_eq!(texts, expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0..300_usize) {
            for role in [Role::Client, Role::Server] {
                let events = received(role, &bytes, &[cut.min(bytes.len())]);
                let is_end = |event: &Event| matches!(event, Event::ProtocolViolation(_) | Event::CloseConnection(_));
                let end = events.iter().position(is_end);
                prop_assert!(end.is_none_or(|at| at + 1 == events.len()), "nothing comes after the end");
            }
        }
    }
}

mod sending {
    use super::*;

    fn sent(role: Role, event: impl Into<Event>) -> Result<Vec<u8>, LocalProtocolError> {
        open(role).send(event)
    }

    #[test]
    fn a_server_sends_what_the_rfc_shows() {
        let cases: &[(Event, &[u8])] = &[
            (close(1005, ""), b"\x88\x00"),
            (close(1000, ""), b"\x88\x02\x03\xe8"),
            (close(1000, "fñør∂"), b"\x88\x0b\x03\xe8f\xc3\xb1\xc3\xb8r\xe2\x88\x82"),
            (Ping::default().into(), b"\x89\x00"),
            (Ping::new("x").into(), b"\x89\x01x"),
            (Pong::default().into(), b"\x8a\x00"),
            (Pong::new("x").into(), b"\x8a\x01x"),
            (text("fñör∂"), b"\x81\x09f\xc3\xb1\xc3\xb6r\xe2\x88\x82"),
            (BytesMessage::new(b"\x00\xff".as_slice()).into(), b"\x82\x02\x00\xff"),
            (BytesMessage::new("it is").unfinished().into(), b"\x02\x05it is"),
        ];
        for (event, expected) in cases {
            assert_eq!(sent(Role::Server, event.clone()).as_deref(), Ok(*expected), "{event:?}");
        }
    }

    #[test]
    fn lengths_take_their_shortest_form() {
        for length in [125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            assert!(sent(Role::Server, BytesMessage::new(payload.clone())) == Ok(frame(0x82, &payload)), "{length}");
        }
    }

    #[test]
    fn a_client_masks_behind_the_length() {
        for (length, header) in [(125, 2), (126, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let bytes = sent(Role::Client, BytesMessage::new(payload.clone())).unwrap();
            assert_eq!(bytes[1] & 0x80, 0x80);
            assert_eq!(bytes[2..header], frame(0x82, &payload)[2..header]);
            assert_eq!(bytes[header..header + 4], *b"abcd");
            let mut unmasked = bytes[header + 4..].to_vec();
            mask(*b"abcd", &mut unmasked);
            assert!(unmasked == payload);
        }
    }

    #[test]
    fn masking_is_the_same_as_that_of_wsproto() {
        let mut data = *b"some very long data for masking by websocket";
        mask(*b"1234", &mut data);
        assert_eq!(&data, b"B]^Q\x11DVFH\x12_[_U\x13PPFR\x14W]A\x14\\S@_X\\T\x14SK\x13CTP@[RYV@");
    }

    #[test]
    fn what_is_too_long_for_a_control_frame_is_refused() {
        assert!(sent(Role::Server, Ping::new([0; 125])).is_ok());
        assert_eq!(sent(Role::Server, Ping::new([0; 126])), Err(LocalProtocolError::ControlTooLong(126)));
        assert_eq!(sent(Role::Server, Pong::new([0; 126])), Err(LocalProtocolError::ControlTooLong(126)));
        assert!(sent(Role::Server, close(1000, &"é".repeat(61))).is_ok());
        assert_eq!(sent(Role::Server, close(1000, &"é".repeat(62))), Err(LocalProtocolError::CloseReason(124)));
    }

    #[test]
    fn a_message_goes_on_as_it_began() {
        let mut server = open(Role::Server);
        server.send(BytesMessage::new("x").unfinished()).unwrap();
        assert_eq!(server.send(TextMessage::new("y")), Err(LocalProtocolError::OutOfSequence(Opcode::Text)));
        assert_eq!(server.send(BytesMessage::new("y")), Ok(Frame::new(Opcode::Continuation, "y").to_bytes(None)));
    }
}
