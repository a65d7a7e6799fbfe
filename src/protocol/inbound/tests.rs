//! The receiving half against tables of bytes.

use std::iter;

use super::*;
use crate::protocol::CloseCode;

fn feed(inbound: &mut Inbound, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let length = inbound.push(bytes);
        assert!(length > 0);
        bytes = &bytes[length..];
    }
}

fn client(limits: Limits) -> Inbound {
    Inbound::new(Role::Client, limits)
}

/// Everything that comes of `bytes`, fed `size` at a time: what each step brought, as text.
fn events(bytes: &[u8], size: usize, limits: Limits) -> Vec<String> {
    let mut inbound = client(limits);
    let mut seen = Vec::new();
    for piece in bytes.chunks(size) {
        let mut piece = piece;
        while !piece.is_empty() {
            let length = inbound.push(piece);
            piece = &piece[length..];
            loop {
                let event = match inbound.advance() {
                    Ok(Step::NeedMore | Step::Ended) => break,
                    Ok(Step::Message) => match inbound.message() {
                        Ok(message) => format!("{message:?}"),
                        Err(error) => error.to_string(),
                    },
                    Ok(step) => format!("{step:?} {:?}", inbound.control()),
                    Err(error) => {
                        seen.push(error.to_string());
                        return seen;
                    }
                };
                seen.push(event);
            }
        }
    }
    seen
}

#[test]
fn any_cut_of_the_stream_gives_the_same_events() {
    let long = "x".repeat(300);
    let mut bytes = b"\x81\x05Hello\x82\x00\x01\x02\xce\xba\x89\x01p\x00\x01\xe1\x80\x02\xbd\xb9".to_vec();
    bytes.extend_from_slice(b"\x81\x7e\x01\x2c");
    bytes.extend_from_slice(long.as_bytes());
    bytes.extend_from_slice(b"\x8a\x00\x88\x05\x03\xe8bye\x81\x01x");
    let whole = events(&bytes, bytes.len(), Limits::default());
    assert_eq!(whole.len(), 7, "{whole:?}");
    // Miri takes minutes for all.
    for size in (1..bytes.len()).step_by(if cfg!(miri) { 53 } else { 1 }) {
        assert_eq!(events(&bytes, size, Limits::default()), whole, "in pieces of {size}");
    }
}

#[test]
fn a_violation_is_the_answer_to_every_further_step() {
    let cases: &[(&[u8], ProtocolError)] = &[
        (b"\x80\x00", ProtocolError::UnexpectedContinuation),
        (b"\x01\x00\x81\x00", ProtocolError::ExpectedContinuation),
        (b"\x01\x00\x02\x00", ProtocolError::ExpectedContinuation),
        (b"\x01\x01\xc3\x80\x00", ProtocolError::TextNotUtf8),
        (b"\x81\x7e\x00\x7d", ProtocolError::NonMinimalLength),
        (b"\x81\x7e\x00\x01a", ProtocolError::NonMinimalLength),
        (b"\x81\x7e\x01\x00\xff", ProtocolError::TextNotUtf8),
        (b"\x01\x02\xf0\x28", ProtocolError::TextNotUtf8),
        (b"\x88\x01\x03", ProtocolError::CloseBodyOfOneByte),
        (b"\x88\x02\x03\xe7", ProtocolError::CloseCode(CloseCode(999))),
    ];
    for (bytes, expected) in cases {
        let mut inbound = client(Limits::default());
        feed(&mut inbound, bytes);
        assert_eq!(inbound.advance(), Err(*expected), "{bytes:02x?}");
        feed(&mut inbound, b"\x81\x00");
        assert_eq!(inbound.advance(), Err(*expected));
        assert_eq!(inbound.advance_frame(), Err(*expected));
    }
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x81\x02\xc3(\x81\x00");
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message(), Err(ProtocolError::TextNotUtf8));
    assert_eq!(inbound.advance(), Err(ProtocolError::TextNotUtf8));
}

#[test]
fn of_two_rules_that_a_header_breaks_the_one_is_told_whose_octet_comes_first() {
    let limits = Limits { max_frame_size: 200, ..Limits::default() };
    let cases: &[(Role, &[u8], ProtocolError)] = &[
        (Role::Client, b"\x91\x7e\x00\x01", ProtocolError::ReservedBits),
        (Role::Client, b"\xc9\x7e\x00\x80", ProtocolError::ReservedBits),
        (Role::Client, b"\x91\x80abcd", ProtocolError::ReservedBits),
        (Role::Client, b"\x80\x80abcd", ProtocolError::UnexpectedContinuation),
        (Role::Client, b"\x80\x7e\x00\x01", ProtocolError::UnexpectedContinuation),
        (Role::Client, b"\x80\x7e\x01\x00", ProtocolError::UnexpectedContinuation),
        (Role::Client, b"\x81\xfe\x00\x01abcd", ProtocolError::MaskedFrame),
        (Role::Client, b"\x81\xfe\x01\x00abcd", ProtocolError::MaskedFrame),
        (Role::Server, b"\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x01", ProtocolError::UnmaskedFrame),
        (Role::Server, b"\x89\x7e\x00\x80", ProtocolError::UnmaskedFrame),
        (Role::Server, b"\x81\xff\xff\x00\x00\x00\x00\x00\x00\x01", ProtocolError::LengthOverflow),
    ];
    for &(role, bytes, expected) in cases {
        for size in 1..=bytes.len() {
            let mut inbound = Inbound::new(role, limits);
            let told = bytes.chunks(size).find_map(|piece| {
                feed(&mut inbound, piece);
                inbound.advance().err()
            });
            assert_eq!(told, Some(expected), "{bytes:02x?} in pieces of {size}");
        }
    }
}

#[test]
fn limits_are_kept_to_the_byte() {
    let limits = Limits { max_message_size: 300, max_frame_size: 200, max_fragments: 3, max_control_frames: 2 };
    let too_big = ProtocolError::MessageTooBig { limit: 300 }.to_string();
    let frame = |first: u8, length: u8| {
        let mut bytes = vec![first, 126, 0, length];
        bytes.resize(4 + usize::from(length), b'x');
        bytes
    };
    let fits = [frame(0x02, 150), frame(0x80, 150)].concat();
    assert_eq!(events(&fits, 7, limits).len(), 1);
    let over = [frame(0x02, 150), frame(0x80, 151)].concat();
    assert_eq!(events(&over[..158], 7, limits), [too_big], "the header is enough");
    let frame_too_big = ProtocolError::FrameTooBig { limit: 200 }.to_string();
    assert_eq!(events(&frame(0x82, 201)[..4], 1, limits), [frame_too_big]);
    let fragments = b"\x01\x00\x00\x00\x00\x00\x00\x00";
    assert_eq!(events(fragments, 8, limits), [ProtocolError::TooManyFragments { limit: 3 }.to_string()]);
    let pings = b"\x89\x00\x8a\x00\x81\x00\x89\x00\x89\x00\x89\x00";
    let seen = events(pings, 12, limits);
    assert_eq!(seen.len(), 6);
    assert_eq!(seen[5], ProtocolError::TooManyControlFrames { limit: 2 }.to_string());
}

#[test]
fn memory_follows_what_arrived_and_not_what_was_claimed() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x82\x7f\x00\x00\x00\x00\x03\xff\xff\xff");
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    feed(&mut inbound, &[1; 5000]);
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    assert!(inbound.memory() < 200_000, "{}", inbound.memory());
}

#[test]
#[cfg_attr(miri, ignore = "it masks and compares megabytes")]
fn a_large_payload_is_read_past_the_window_and_arrives_whole() {
    for role in [Role::Client, Role::Server] {
        let payload: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
        let key = (role == Role::Server).then_some([1, 2, 3, 4]);
        let mut bytes = Frame::new(Opcode::Binary, payload.clone()).to_bytes(key);
        bytes.extend(Frame::new(Opcode::Text, "next").to_bytes(key));
        let mut inbound = Inbound::new(role, Limits::default());
        let mut rest = bytes.as_slice();
        let mut messages = Vec::new();
        while !rest.is_empty() {
            let length = inbound.push(rest);
            rest = &rest[length..];
            while inbound.advance().unwrap() == Step::Message {
                messages.push(inbound.take_message().unwrap());
            }
        }
        assert_eq!(messages, [Message::Binary(payload), Message::Text("next".into())]);
    }
}

#[test]
fn frames_and_pieces_come_as_they_arrive() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x01\x02\xc3\x89\x00\x01\xc3\x89\x00");
    assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
    assert_eq!(inbound.frame(), Frame::new(Opcode::Text, "\u{c9}").fragment());
    assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
    assert_eq!(inbound.frame(), Frame::new(Opcode::Continuation, [0xc3]).fragment());
    assert_eq!(inbound.advance_frame(), Ok(Step::Ping));
    assert_eq!(inbound.frame(), Frame::new(Opcode::Ping, ""));
    assert_eq!(inbound.half_taken(), Some(Granularity::Frame), "the rest of the character belongs to a frame");
    feed(&mut inbound, b"\x80\x01\x89");
    assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
    assert_eq!(inbound.frame(), Frame::new(Opcode::Continuation, [0x89]));
    feed(&mut inbound, b"\x81\x04\xc3\x89x");
    let piece = Piece { kind: MessageKind::Text, frame_finished: false, message_finished: false };
    assert_eq!(inbound.advance_piece(), Ok(Step::Piece(piece)));
    assert_eq!(inbound.message(), Ok(MessageRef::Text("\u{c9}x")));
    assert_eq!(inbound.advance_piece(), Ok(Step::NeedMore));
    feed(&mut inbound, b"y");
    let piece = Piece { kind: MessageKind::Text, frame_finished: true, message_finished: true };
    assert_eq!(inbound.advance_piece(), Ok(Step::Piece(piece)));
    assert_eq!(inbound.message(), Ok(MessageRef::Text("y")));
}

#[test]
fn a_skipped_message_is_still_checked_and_does_not_touch_the_next() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x01\x02ab\x00\x01c");
    assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
    inbound.skip_message();
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    feed(&mut inbound, b"\x80\x01d\x81\x04next");
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message(), Ok(MessageRef::Text("next")));
    feed(&mut inbound, b"\x01\x01a");
    assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
    inbound.skip_message();
    feed(&mut inbound, b"\x80\x01\xff");
    assert_eq!(inbound.advance(), Err(ProtocolError::TextNotUtf8));
}

#[test]
fn text_that_is_not_validated_arrives_as_binary() {
    let mut inbound = Inbound::inflating(Role::Client, Limits::default(), TextPolicy::Skip, None);
    feed(&mut inbound, b"\x81\x01\xff\x01\x01\xfe\x80\x00");
    for expected in [b"\xff", b"\xfe"] {
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.kind(), MessageKind::Text);
        assert_eq!(inbound.message(), Ok(MessageRef::Binary(expected)));
    }
    feed(&mut inbound, b"\x81\x01\xff");
    assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
    assert_eq!(inbound.unfragmented(), Some(MessageRef::Binary(b"\xff")));
    assert_eq!(inbound.part(), (&b"\xff"[..], true));
    feed(&mut inbound, b"\x01\x01a");
    assert_eq!((inbound.advance_frame(), inbound.part()), (Ok(Step::Frame), (&b"a"[..], false)));
}

#[test]
fn a_message_can_be_looked_at_as_the_frame_that_it_would_be() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x81\x02ab\x01\x01c\x80\x01d");
    for text in ["ab", "cd"] {
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.frame(), Frame::new(Opcode::Text, text));
        assert_eq!(inbound.unfragmented(), None, "a message is no frame");
    }
}

#[test]
fn what_one_granularity_has_taken_another_does_not_repeat() {
    for first in [1, 2] {
        let mut inbound = client(Limits::default());
        feed(&mut inbound, &[first, 2, b'a', b'b', 0, 2, b'c', b'd', 0x80, 2, b'e', b'f']);
        assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
        assert_eq!(inbound.frame().payload, b"ab");
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.message().unwrap().as_bytes(), b"cdef");

        let mut inbound = client(Limits::default());
        feed(&mut inbound, &[first, 4, b'a', b'b']);
        assert!(matches!(inbound.advance_piece(), Ok(Step::Piece(_))));
        assert_eq!(inbound.message().unwrap().as_bytes(), b"ab");
        feed(&mut inbound, &[b'c', b'd', 0x80, 2, b'e', b'f']);
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.message().unwrap().as_bytes(), b"cdef");
    }
}

#[test]
fn a_close_that_is_refused_still_says_why_the_peer_closes() {
    type Case = (&'static [u8], ProtocolError, Option<(u16, &'static str)>);
    let cases: &[Case] = &[
        (b"\x88\x06\x03\xedlost", ProtocolError::CloseCode(CloseCode(1005)), Some((1005, "lost"))),
        (b"\x88\x06\x03\xeelost", ProtocolError::CloseCode(CloseCode(1006)), Some((1006, "lost"))),
        (b"\x88\x04\x00\x01\xffa", ProtocolError::CloseCode(CloseCode(1)), Some((1, "\\xffa"))),
        (b"\x88\x05\x03\xe8a\n\xff", ProtocolError::CloseReasonNotUtf8, Some((1000, "a\\n\\xff"))),
        (b"\x88\x01\x03", ProtocolError::CloseBodyOfOneByte, None),
    ];
    for (bytes, error, expected) in cases {
        let mut inbound = client(Limits::default());
        feed(&mut inbound, bytes);
        assert_eq!(inbound.rejected_close(), None);
        assert_eq!(inbound.advance(), Err(*error));
        assert_eq!(inbound.close(), None);
        let rejected = inbound.rejected_close().map(|close| (close.code.0, close.reason.as_str()));
        assert_eq!(rejected, *expected, "{bytes:02x?}");
    }
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x88\x02\x03\xe8");
    assert_eq!(inbound.advance(), Ok(Step::Close));
    assert!(inbound.close().is_some() && inbound.rejected_close().is_none());
}

#[test]
#[cfg_attr(miri, ignore = "it validates 10 MiB")]
fn while_messages_are_discarded_they_take_no_memory_and_are_still_checked() {
    let large = Frame::new(Opcode::Text, vec![b'x'; 10 << 20]).to_bytes(None);
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x02\x03abc");
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    inbound.discard_messages();
    assert_eq!(inbound.half_taken(), None);
    let mut pings = 0;
    for bytes in [&b"\x00\x01d\x89\x01p\x80\x00"[..], &large, b"\x81\x02hi\x89\x01p"] {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[inbound.push(rest)..];
            loop {
                match inbound.advance().unwrap() {
                    Step::NeedMore => break,
                    Step::Ping => pings += 1,
                    step => panic!("{step:?}"),
                }
            }
            assert!(inbound.memory() < 200_000);
        }
    }
    assert_eq!(pings, 2);
    feed(&mut inbound, b"\x81\x01\xff");
    assert_eq!(inbound.advance(), Err(ProtocolError::TextNotUtf8));
    let mut inbound = client(Limits::default());
    inbound.discard_messages();
    feed(&mut inbound, b"\x81\x02hi\x88\x00");
    assert_eq!(inbound.advance(), Ok(Step::Close));
}

#[test]
fn text_is_the_same_wherever_it_lies_in_the_window_and_however_long_it_is() {
    let text: String = "a\u{e9}\u{20ac}\u{1f600}b".repeat(60);
    let mut inbound = client(Limits::default());
    // Miri takes minutes for all.
    for start in (0..130).step_by(if cfg!(miri) { 65 } else { 1 }) {
        let text: String = text.chars().skip(start).collect();
        for end in (0..text.len().min(300)).filter(|&end| text.is_char_boundary(end)) {
            feed(&mut inbound, &Frame::new(Opcode::Text, &text[..end]).to_bytes(None));
            assert_eq!(inbound.advance(), Ok(Step::Message));
            assert_eq!(inbound.message(), Ok(MessageRef::Text(&text[..end])));
            assert_eq!(inbound.message(), Ok(MessageRef::Text(&text[..end])), "a second look");
            if start % 3 == 0 {
                assert_eq!(inbound.advance(), Ok(Step::NeedMore));
            }
        }
    }
    for bad in [&b"\xa9abc"[..], b"abc\xc3", b"\x80", b"\xe2\x82", b"a\xffb"] {
        let mut inbound = client(Limits::default());
        feed(&mut inbound, &Frame::new(Opcode::Text, "\u{20ac}".repeat(30)).to_bytes(None));
        feed(&mut inbound, &Frame::new(Opcode::Text, bad).to_bytes(None));
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert!(inbound.message().is_ok());
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.message(), Err(ProtocolError::TextNotUtf8), "{bad:02x?}");
    }
}

#[test]
fn text_that_is_read_past_the_window_is_refused_at_the_octet_that_is_wrong() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00ab");
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    feed(&mut inbound, &[b'c'; 1000]);
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    feed(&mut inbound, b"d\xff");
    assert_eq!(inbound.advance(), Err(ProtocolError::TextNotUtf8));
}

#[test]
#[cfg_attr(miri, ignore = "it validates hundreds of kilobytes")]
fn a_large_piece_is_taken_up_to_its_last_whole_character() {
    let text = "\u{20ac}".repeat(Inbound::LARGE);
    let bytes = Frame::new(Opcode::Text, text.as_str()).to_bytes(None);
    let mut inbound = client(Limits::default());
    let mut taken = String::new();
    let mut longest = 0;
    // The first brings no whole character, the others end inside of one and are read past the window.
    let (head, rest) = bytes.split_at(11);
    for part in iter::once(head).chain(rest.chunks(Inbound::LARGE + 1000)) {
        feed(&mut inbound, part);
        while let Step::Piece(_) = inbound.advance_piece().unwrap() {
            let Message::Text(piece) = inbound.take_message().unwrap() else { panic!("a piece of text is text") };
            longest = longest.max(piece.len());
            taken += &piece;
        }
    }
    assert!(taken == text && longest > Inbound::LARGE, "{longest}");
}

#[test]
fn memory_is_given_back_but_for_what_a_message_in_progress_has_in_it() {
    let mut inbound = client(Limits::default());
    feed(&mut inbound, &Frame { fin: false, ..Frame::new(Opcode::Binary, vec![7; 100_000]) }.to_bytes(None));
    assert_eq!(inbound.advance(), Ok(Step::NeedMore));
    inbound.release();
    assert!(inbound.memory() >= 100_000);
    feed(&mut inbound, b"\x80\x01\x08");
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message().unwrap().as_bytes().len(), 100_001);
    assert!(inbound.can_release());
    inbound.release();
    assert!(!inbound.can_release() && inbound.memory() < 10_000, "{}", inbound.memory());
}

#[test]
fn memory_of_what_was_handed_out_or_is_skipped_is_given_back_while_its_message_is_in_progress() {
    let fragment = Frame { fin: false, ..Frame::new(Opcode::Text, "x".repeat(1 << 20)) }.to_bytes(None);
    for is_skipped in [false, true] {
        let mut inbound = client(Limits::default());
        let mut step = Step::NeedMore;
        for bytes in fragment.chunks(60_000) {
            feed(&mut inbound, bytes);
            step = inbound.advance_frame().unwrap();
        }
        assert_eq!(step, Step::Frame);
        assert!(inbound.memory() > 1 << 20);
        if is_skipped {
            inbound.skip_message();
        }
        assert!(inbound.can_release(), "skipped: {is_skipped}");
        inbound.release();
        assert!(!inbound.can_release() && inbound.memory() < 10_000, "{} bytes", inbound.memory());
        feed(&mut inbound, b"\x80\x01y\x81\x01z");
        if !is_skipped {
            assert_eq!(inbound.advance_frame(), Ok(Step::Frame));
            assert_eq!(inbound.frame(), Frame::new(Opcode::Continuation, "y"));
        }
        assert_eq!(inbound.advance(), Ok(Step::Message));
        assert_eq!(inbound.message(), Ok(MessageRef::Text("z")));
    }
}

#[test]
fn a_large_message_is_moved_out_and_the_memory_of_a_small_one_is_kept() {
    for (length, is_moved) in [(20_000, false), (100_000, true)] {
        let mut inbound = client(Limits::default());
        let half = Frame { fin: false, ..Frame::new(Opcode::Binary, vec![7; length / 2]) };
        feed(&mut inbound, &half.to_bytes(None));
        assert_eq!(inbound.advance(), Ok(Step::NeedMore));
        feed(&mut inbound, &Frame::new(Opcode::Continuation, vec![7; length / 2]).to_bytes(None));
        assert_eq!(inbound.advance(), Ok(Step::Message));
        let before = inbound.memory();
        assert_eq!(inbound.take_message(), Ok(Message::Binary(vec![7; length])));
        assert_eq!(before - inbound.memory() >= length, is_moved, "{length}");
    }
}

#[test]
fn before_the_first_step_there_is_nothing_to_look_at() {
    let mut inbound = client(Limits::default());
    assert_eq!(inbound.message(), Ok(MessageRef::Binary(b"")));
    assert_eq!(inbound.frame().payload, b"");
}

#[test]
fn a_limit_of_no_fragments_refuses_every_message_however_it_is_cut() {
    let limits = Limits { max_fragments: 0, ..Limits::default() };
    for size in 1..8 {
        let seen = events(b"\x89\x00\x81\x02ab", size, limits);
        assert_eq!(seen, ["Ping []", &ProtocolError::TooManyFragments { limit: 0 }.to_string()], "in pieces of {size}");
    }
}
