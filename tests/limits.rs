//! What a peer may make this side hold, and what becomes of one that wants more (RFC 6455, section 10.4).
//!
//! The tests run one at a time, since they look at the memory of the whole process.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use support::{Memory, Peer, alone, bounded, frame, masked_frame, ms, open, serve, timed};
use websocket_sync::protocol::ProtocolError;
use websocket_sync::protocol::handshake::BodyEnd;
use websocket_sync::{
    CloseCause, ConnectOptions, ControlFrames, Error, HandshakeError, Message, MessageRef, Phase, Refusal, WebSocket,
};

/// How soon a violation is noticed, however much the peer goes on to say.
const PROMPT: Duration = ms(200);
/// What may be held while nothing of what the peer says is wanted.
const LITTLE: u64 = 2 << 20;
const MIB: usize = 1 << 20;

/// Receives from a peer that says something and expects a Close in return; says which code that bore, and what the receive
/// returned. It must be there soon, and nothing be received afterwards.
fn receive(options: &ConnectOptions, script: impl FnOnce(&mut Peer) + Send + 'static) -> (Error, u16, u64) {
    let memory = Memory::now();
    let (mut ws, peer) = open(options, |mut peer| {
        script(&mut peer);
        peer.end()
    });
    let (result, took) = timed(|| ws.recv());
    let error = result.unwrap_err();
    assert!(took < PROMPT, "{error} after {took:?}");
    let again = support::closed(ws.recv());
    if let Error::Protocol(broken) = error {
        assert_eq!(again.cause, CloseCause::Violation(broken));
    }
    assert!(!ws.connected());
    (error, peer.join(), memory.peak())
}

fn protocol(error: Error) -> ProtocolError {
    match error {
        Error::Protocol(error) => error,
        other => panic!("{other:?}"),
    }
}

fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first, 127];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes
}

#[test]
fn a_length_of_64_bits_is_refused_by_its_header_and_costs_nothing() {
    let _alone = alone();
    bounded(20, || {
        let limit = 64 * MIB;
        let too_big = (ProtocolError::FrameTooBig { limit }, 1009);
        let overflow = (ProtocolError::LengthOverflow, 1002);
        let cases = [
            ((limit + 1) as u64, too_big),
            (u64::from(u32::MAX), too_big),
            (1 << 32, too_big),
            ((1 << 32) + 1, too_big),
            (1 << 62, too_big),
            ((1 << 63) - 1, too_big),
            (1 << 63, overflow),
            ((1 << 63) + 5, overflow),
            (u64::MAX, overflow),
        ];
        for (length, expected) in cases {
            for first in [0x81, 0x82, 0x01, 0x02] {
                let (error, code, held) = receive(&ConnectOptions::new(), move |peer| peer.say(header(first, length)));
                assert_eq!((protocol(error), code), expected, "{length:#x} after {first:#x}");
                assert!(held < LITTLE, "{held} bytes for {length:#x}");
            }
        }
    });
}

#[test]
fn a_length_of_64_bits_is_refused_in_the_middle_of_a_message_and_by_a_server_too() {
    let _alone = alone();
    bounded(20, || {
        let (error, code, _) = receive(&ConnectOptions::new(), |peer| {
            peer.say(frame(0x02, b"begun"));
            peer.say(header(0x80, (1 << 63) - 1));
        });
        assert_eq!((protocol(error), code), (ProtocolError::FrameTooBig { limit: 64 * MIB }, 1009));

        let (ours, theirs) = support::narrow();
        let client = std::thread::spawn(move || {
            let mut peer = Peer::new(ours);
            peer.say(support::REQUEST);
            peer.head();
            peer.say(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask");
            peer.hear(b"\x88\x02\x03\xf1");
        });
        let mut ws = WebSocket::accept(theirs).unwrap();
        assert_eq!(protocol(ws.recv().unwrap_err()), ProtocolError::FrameTooBig { limit: 64 * MIB });
        support::join(client);
    });
}

#[test]
fn the_fragment_that_goes_over_the_limit_is_refused_by_its_header() {
    let _alone = alone();
    bounded(20, || {
        let (error, code, held) = receive(&ConnectOptions::new().max_message_size(16 * 65_536), |peer| {
            peer.say(frame(0x02, [1; 65_536]));
            for _ in 1..16 {
                peer.say(frame(0x00, [1; 65_536]));
            }
            // The payload never comes.
            peer.say(&frame(0x00, [1; 126])[..4]);
        });
        assert_eq!((protocol(error), code), (ProtocolError::MessageTooBig { limit: MIB }, 1009));
        assert!(held < 2 * LITTLE, "{held} bytes");
    });
}

#[test]
fn the_default_limit_holds_for_a_message_in_fragments() {
    let _alone = alone();
    bounded(60, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |peer| {
            peer.say(frame(0x02, vec![1; MIB]));
            for _ in 1..64 {
                peer.say(frame(0x00, vec![1; MIB]));
            }
            peer.say(frame(0x00, b"x"));
            peer.end()
        });
        let memory = Memory::now();
        assert_eq!(protocol(ws.recv().unwrap_err()), ProtocolError::MessageTooBig { limit: 64 * MIB });
        assert_eq!(peer.join(), 1009);
        // The peer's own frame is in there, and the memory that growing leaves behind.
        let most = 2 * 64 * MIB as u64 + 2 * LITTLE;
        assert!(memory.peak() < most, "{} bytes", memory.peak());
    });
}

#[test]
fn what_is_exactly_at_the_limit_is_accepted() {
    let _alone = alone();
    bounded(20, || {
        let options = ConnectOptions::new().max_message_size(100_000).max_frame_size(60_000).max_fragments(3);
        let (mut ws, peer) = open(&options, |peer| {
            peer.say(frame(0x82, [1; 60_000]));
            peer.say(frame(0x02, [2; 60_000]));
            peer.say(frame(0x80, [2; 40_000]));
            for first in [0x02, 0x00, 0x80] {
                peer.say(frame(first, b"3"));
            }
            peer.say(frame(0x82, [4; 60_001]));
            peer.end()
        });
        for expected in [vec![1; 60_000], vec![2; 100_000], b"333".to_vec()] {
            assert_eq!(ws.recv().unwrap(), Message::Binary(expected));
        }
        assert_eq!(protocol(ws.recv().unwrap_err()), ProtocolError::FrameTooBig { limit: 60_000 });
        assert_eq!(peer.join(), 1009);
    });
}

#[test]
fn each_limit_on_messages_can_be_set() {
    let _alone = alone();
    bounded(20, || {
        let new = ConnectOptions::new;
        type Case = (ConnectOptions, Vec<u8>, ProtocolError, u16);
        let cases: [Case; 5] = [
            (new().max_message_size(9), frame(0x81, [b'x'; 10]), ProtocolError::MessageTooBig { limit: 9 }, 1009),
            (new().max_message_size(0), frame(0x81, b"x"), ProtocolError::MessageTooBig { limit: 0 }, 1009),
            (new().max_frame_size(9), frame(0x01, [b'x'; 10]), ProtocolError::FrameTooBig { limit: 9 }, 1009),
            (
                new().max_fragments(2),
                [frame(0x01, "a"), frame(0x00, "b"), frame(0x80, "c")].concat(),
                ProtocolError::TooManyFragments { limit: 2 },
                1008,
            ),
            (
                new().max_control_frames(2),
                frame(0x89, "p").repeat(3),
                ProtocolError::TooManyControlFrames { limit: 2 },
                1008,
            ),
        ];
        for (options, bytes, expected, code) in cases {
            let (error, told, _) = receive(&options, move |peer| peer.say(bytes));
            assert_eq!((protocol(error), told), (expected, code));
        }
    });
}

#[test]
fn fragments_without_end_are_refused_by_their_number_and_not_kept_one_by_one() {
    let _alone = alone();
    bounded(30, || {
        for payload in ["", "x"] {
            let memory = Memory::now();
            let (mut ws, peer) = open(&ConnectOptions::new(), move |mut peer| {
                peer.say(frame(0x01, payload));
                // It may end before all are said.
                let _ = peer.repeat(frame(0x00, payload), 300_000);
                peer.close_code()
            });
            let (result, took) = timed(|| ws.recv());
            assert_eq!(protocol(result.unwrap_err()), ProtocolError::TooManyFragments { limit: 131_072 });
            assert!(took < 5 * PROMPT, "{took:?}");
            assert!(memory.peak() < LITTLE, "{} bytes", memory.peak());
            drop(ws);
            assert_eq!(peer.join(), 1008);
        }
    });
}

#[test]
fn as_many_fragments_as_the_limit_allows_are_a_message() {
    let _alone = alone();
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |peer| {
            peer.say(frame(0x01, "x"));
            peer.repeat(frame(0x00, "x"), 131_070).unwrap();
            peer.say(frame(0x80, "x"));
            peer.end()
        });
        let memory = Memory::now();
        assert_eq!(ws.recv_ref().unwrap(), MessageRef::Text(&"x".repeat(131_072)));
        assert!(memory.peak() < LITTLE, "{} bytes", memory.peak());
        ws.close().unwrap();
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn a_flood_of_control_frames_is_refused_unless_messages_are_among_them() {
    let _alone = alone();
    bounded(30, || {
        for first in [0x89, 0x8A] {
            let memory = Memory::now();
            // A peer that does not read cannot be told either.
            let options = ConnectOptions::new().close_timeout(PROMPT);
            let (mut ws, peer) = open(&options, move |peer| {
                for _ in 0..5 {
                    peer.repeat(frame(first, [7; 125]), 9_000).unwrap();
                    peer.say(frame(0x82, "among"));
                }
                let _ = peer.repeat(frame(first, [7; 125]), 1_000_000);
            });
            for _ in 0..5 {
                assert_eq!(ws.recv_ref().unwrap(), MessageRef::Binary(b"among"));
            }
            let (result, took) = timed(|| ws.recv());
            assert_eq!(protocol(result.unwrap_err()), ProtocolError::TooManyControlFrames { limit: 10_000 });
            assert!(took < 5 * PROMPT, "{took:?}");
            assert!(memory.peak() < LITTLE, "{} bytes", memory.peak());
            drop(ws);
            peer.join();
        }
    });
}

#[test]
fn a_flood_of_control_frames_is_refused_with_1008() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            let _ = peer.repeat(frame(0x8A, [7; 125]), 200_000);
            peer.close_code()
        });
        assert_eq!(protocol(ws.recv().unwrap_err()), ProtocolError::TooManyControlFrames { limit: 10_000 });
        drop(ws);
        assert_eq!(peer.join(), 1008);
    });
}

#[test]
fn a_violation_between_other_frames_ends_the_connection_behind_them() {
    let _alone = alone();
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            let script = [frame(0x81, "one"), frame(0x89, "ping"), frame(0x81, [0xFF]), frame(0x81, "never")].concat();
            peer.say(script);
            assert_eq!(peer.frame(), (0x8A, b"ping".to_vec()));
            peer.end()
        });
        assert_eq!(ws.recv().unwrap(), Message::from("one"));
        assert_eq!(protocol(ws.recv().unwrap_err()), ProtocolError::TextNotUtf8);
        support::closed(ws.recv());
        support::closed(ws.recv_frame());
        support::closed(ws.recv_data(ControlFrames::Show));
        assert_eq!(peer.join(), 1007);
    });
}

/// Connects to a server whose answer is wrong or too large; how that ended, and what was held meanwhile.
fn connect(options: &ConnectOptions, answer: impl FnOnce(&mut Peer) + Send + 'static) -> (Error, Duration, u64) {
    let (url, peer) = serve(|mut peer| {
        peer.head();
        answer(&mut peer);
    });
    let memory = Memory::now();
    let (result, took) = timed(|| options.connect(&url));
    let error = result.unwrap_err();
    let held = memory.peak();
    peer.join();
    (error, took, held)
}

fn handshake(error: Error) -> HandshakeError {
    match error {
        Error::Handshake(error) => *error,
        other => panic!("{other:?}"),
    }
}

fn refusal(error: Error) -> Refusal {
    match error {
        Error::Refused(refusal) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_head_without_end_is_refused_long_before_20_mb() {
    let _alone = alone();
    bounded(30, || {
        type Case = (&'static str, String, HandshakeError);
        let cases: [Case; 5] = [
            ("HTTP/1.1 101 ", "a".repeat(1000), HandshakeError::LineTooLong { limit: 16 << 10 }),
            ("HTTP/1.1 101 Yes\r\nX-Long: ", "a".repeat(1000), HandshakeError::LineTooLong { limit: 16 << 10 }),
            (
                "HTTP/1.1 101 Yes\r\n",
                format!("X: {}\r\n", "a".repeat(1000)),
                HandshakeError::HeadTooLarge { limit: 64 << 10 },
            ),
            ("HTTP/1.1 101 Yes\r\n", "X: a\r\n".to_owned(), HandshakeError::TooManyFields { limit: 128 }),
            ("", "\r\n".to_owned(), HandshakeError::NotHttp),
        ];
        for (start, again, expected) in cases {
            let (error, took, held) = connect(&ConnectOptions::new(), move |peer| {
                peer.say(start);
                let times = 20_000_000 / again.len();
                peer.repeat(again, times).unwrap_err();
            });
            assert_eq!(handshake(error), expected);
            assert!(took < PROMPT, "{expected} after {took:?}");
            assert!(held < LITTLE, "{expected} and {held} bytes");
        }
    });
}

#[test]
fn interim_answers_without_end_are_refused_by_their_number() {
    let _alone = alone();
    bounded(20, || {
        for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"] {
            let (error, took, held) = connect(&ConnectOptions::new(), move |peer| {
                let _ = peer.repeat(interim, 100_000);
            });
            assert_eq!(handshake(error), HandshakeError::TooManyInterim { limit: 8 });
            assert!(took < PROMPT, "{took:?}");
            assert!(held < LITTLE, "{held} bytes");
        }
    });
}

#[test]
fn an_answer_with_a_thousand_fields_is_refused_and_one_with_as_many_as_allowed_is_not() {
    let _alone = alone();
    bounded(20, || {
        for (fields, expected) in [(1000, Some(HandshakeError::TooManyFields { limit: 128 })), (128, None)] {
            let (url, peer) = serve(move |mut peer| {
                let answer = support::answer_to(&peer.head());
                // Three are there already.
                let answer = answer.replace("\r\n\r\n", &("\r\nX: y".repeat(fields - 3) + "\r\n\r\n"));
                let _ = peer.try_say(answer);
                peer.rest();
            });
            match (ConnectOptions::new().connect(&url), expected) {
                (Ok(ws), None) => assert_eq!(ws.status(), Some(101)),
                (Err(error), Some(expected)) => assert_eq!(handshake(error), expected),
                (other, expected) => panic!("{other:?}, not {expected:?}"),
            }
            peer.join();
        }
    });
}

#[test]
fn each_limit_on_the_answer_can_be_set() {
    let _alone = alone();
    bounded(20, || {
        let new = ConnectOptions::new;
        let cases = [
            (new().max_head_size(20), "HTTP/1.1 101 Yes\r\nX: y\r\n", HandshakeError::HeadTooLarge { limit: 20 }),
            (new().max_head_line(8), "HTTP/1.1 101 Yes\r\n", HandshakeError::LineTooLong { limit: 8 }),
            (
                new().max_head_fields(1),
                "HTTP/1.1 101 Yes\r\nX: y\r\nX: y\r\n",
                HandshakeError::TooManyFields { limit: 1 },
            ),
            (
                new().max_interim_responses(0),
                "HTTP/1.1 100 Continue\r\n\r\n",
                HandshakeError::TooManyInterim { limit: 0 },
            ),
        ];
        for (options, answer, expected) in cases {
            let (error, _, _) = connect(&options, move |peer| peer.say(answer));
            assert_eq!(handshake(error), expected);
        }
        let (error, _, _) = connect(&new().max_refusal_body(3), |peer| {
            peer.say("HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nHello");
        });
        let refused = refusal(error);
        assert_eq!((refused.body.as_slice(), refused.body_end), (&b"Hel"[..], BodyEnd::LimitReached));
    });
}

#[test]
fn of_a_refusals_body_without_end_the_beginning_is_kept() {
    let _alone = alone();
    bounded(30, || {
        let cases = [
            ("HTTP/1.1 403 No\r\n\r\n", "x".repeat(1000)),
            ("HTTP/1.1 403 No\r\nContent-Length: 99999999999\r\n\r\n", "x".repeat(1000)),
            ("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n".to_owned()),
            ("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n", format!("ffff\r\n{}\r\n", "x".repeat(0xFFFF))),
        ];
        for (head, again) in cases {
            let (error, took, held) = connect(&ConnectOptions::new(), move |peer| {
                peer.say(head);
                peer.repeat(again, 1_000_000).unwrap_err();
            });
            let refused = refusal(error);
            assert_eq!((refused.status, refused.reason.as_str()), (403, "No"));
            assert_eq!((refused.body, refused.body_end), (vec![b'x'; 65_536], BodyEnd::LimitReached));
            assert!(took < PROMPT, "{took:?}");
            assert!(held < LITTLE, "{held} bytes");
        }
    });
}

#[test]
fn a_refusals_body_that_is_all_wrapping_is_given_up() {
    let _alone = alone();
    bounded(30, || {
        let head = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n";
        for (start, again) in [("5;", "extension"), ("0\r\n", "X: trailer\r\n"), ("", "0")] {
            let (error, took, held) = connect(&ConnectOptions::new().open_timeout(ms(500)), move |peer| {
                peer.say(head.to_owned() + start);
                let _ = peer.repeat(again, 10_000_000);
            });
            let refused = refusal(error);
            assert_eq!((refused.status, refused.headers.text("retry-after").as_deref()), (503, Some("7")));
            assert_eq!(refused.body, b"");
            assert!(took < ms(600), "{took:?}");
            assert!(held < LITTLE, "{held} bytes");
        }
    });
}

#[test]
fn a_request_without_end_is_refused_by_a_server() {
    let _alone = alone();
    bounded(20, || {
        type Case = (&'static str, &'static str, fn(&HandshakeError) -> bool);
        let cases: [Case; 4] = [
            ("GET /", "x", |error| matches!(error, HandshakeError::LineTooLong { .. })),
            ("GET / HTTP/1.1\r\n", "X: y\r\n", |error| matches!(error, HandshakeError::TooManyFields { .. })),
            ("", "\r\n", |error| matches!(error, HandshakeError::HeadTooLarge { .. })),
            ("", "\x16\x03\x01", |error| matches!(error, HandshakeError::NotHttp)),
        ];
        for (start, again, expected) in cases {
            let memory = Memory::now();
            let (ours, theirs) = support::narrow();
            let client = std::thread::spawn(move || {
                let peer = Peer::new(ours);
                peer.say(start);
                let _ = peer.repeat(again, 1_000_000);
            });
            let (result, took) = timed(|| WebSocket::accept(theirs));
            let error = handshake(result.unwrap_err());
            assert!(expected(&error), "{error:?}");
            assert!(took < PROMPT, "{error} after {took:?}");
            assert!(memory.peak() < LITTLE, "{error} and {} bytes", memory.peak());
            support::join(client);
        }
    });
}

#[test]
fn what_a_client_says_before_the_answer_is_bounded() {
    let _alone = alone();
    bounded(20, || {
        let (ours, theirs) = support::narrow();
        let client = std::thread::spawn(move || {
            let mut peer = Peer::new(ours);
            let early = masked_frame(0x82, [5; 1000]).repeat(2);
            peer.say([support::REQUEST.as_bytes(), &early].concat());
            peer.head();
            peer.end_as_client()
        });
        let mut ws = ConnectOptions::new().recv_timeout(ms(5000)).accept(theirs).unwrap();
        for _ in 0..2 {
            assert_eq!(ws.recv().unwrap(), Message::Binary(vec![5; 1000]));
        }
        ws.close().unwrap();
        support::join(client);
    });
}

#[test]
fn a_body_that_does_not_come_costs_the_open_timeout_and_no_status() {
    let _alone = alone();
    bounded(20, || {
        let options = ConnectOptions::new().open_timeout(ms(300));
        let (error, took, _) = connect(&options, |peer| {
            peer.say("HTTP/1.1 429 Slow Down\r\nContent-Length: 10\r\n\r\nHel");
            peer.rest();
        });
        let refused = refusal(error);
        assert_eq!((refused.status, refused.body.as_slice()), (429, &b"Hel"[..]));
        assert_eq!(refused.body_end, BodyEnd::NotAwaited);
        assert!(took < ms(400), "{took:?}");
        // Where not even the head comes, there is nothing to tell.
        let (error, _, _) = connect(&options, |peer| {
            peer.say("HTTP/1.1 429 Slow Down\r\n");
            peer.rest();
        });
        assert!(matches!(error, Error::Timeout(Phase::Handshake)), "{error:?}");
    });
}
