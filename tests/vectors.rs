//! What the tests of Python's websocket-client expect of a connection (test_websocket, test_abnf, test_large_payloads), retold, and
//! corrected where that is wrong: bytes on the wire, fragments, timeouts in the middle, how a connection ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io;
use std::sync::mpsc;

use support::{Peer, at_once, bounded, closed, frame, ms, open};
use websocket_sync::protocol::{CloseFrame, LENGTH_7, LENGTH_16, LENGTH_63, LocalProtocolError, ProtocolError, Rsv};
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, ControlFrames, Error, Frame, Message, MessageRef, Opcode, Phase, WebSocket,
};

/// A connection to a peer that says all this at once and then hears everything.
fn saying(options: &ConnectOptions, bytes: impl Into<Vec<u8>>) -> WebSocket {
    let bytes = bytes.into();
    let (ws, _) = open(options, move |mut peer| {
        peer.say(bytes);
        peer.rest();
    });
    ws
}

// Bytes on the wire.

#[test]
fn frames_are_masked_with_the_keys_of_the_test() {
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.hear(b"\x81\x85abcd\x29\x07\x0f\x08\x0e");
            peer.hear(b"\x81\x8fabcd\x82\xe3\xf0\x87\xe3\xf1\x80\xe5\xca\x81\xe2\xc5\x82\xe3\xcc");
            peer.hear(b"\x81\x80abcd");
            peer.hear(b"\x82\x81abcd\x60");
            peer.hear(b"\x88\x82abcd\x62\x8a");
        });
        ws.set_mask_key(|| *b"abcd").unwrap();
        assert_eq!(ws.send_text("Hello").unwrap(), 11);
        assert_eq!(ws.send_text("\u{3053}\u{3093}\u{306b}\u{3061}\u{306f}").unwrap(), 21);
        assert_eq!(ws.send_text("").unwrap(), 6);
        assert_eq!(ws.send_binary(&[1]).unwrap(), 7);
        ws.send_close(CloseCode::NORMAL, "").unwrap();
        peer.join();
    });
}

#[test]
fn each_frame_asks_for_a_key_and_the_option_gives_one_too() {
    bounded(20, || {
        let mut next = 0;
        let options = ConnectOptions::new().mask_key(|| [0; 4]);
        let (ws, peer) = open(&options, |mut peer| {
            peer.hear(b"\x81\x81\0\0\0\0a");
            peer.hear(b"\x81\x81\x01\x01\x01\x01\x60");
            peer.hear(b"\x89\x80\x02\x02\x02\x02");
        });
        ws.send_text("a").unwrap();
        ws.set_mask_key(move || {
            next += 1;
            [next; 4]
        })
        .unwrap();
        ws.send_text("a").unwrap();
        ws.ping("").unwrap();
        peer.join();
    });
}

/// Sec-WebSocket-Key and masks come from the system: nothing repeats, and no frame goes unmasked, not even an empty one.
#[test]
fn without_a_key_of_ones_own_none_is_used_twice() {
    bounded(20, || {
        let mut keys = Vec::new();
        // Not by another connection either.
        for _ in 0..2 {
            let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
                let bytes = peer.rest();
                bytes.chunks(6).map(|frame| <[u8; 4]>::try_from(&frame[2..]).unwrap()).collect::<Vec<_>>()
            });
            for _ in 0..2000 {
                ws.send_binary(b"").unwrap();
            }
            ws.abort();
            keys.extend(peer.join());
        }
        let all = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert!(all > 2000 && all - keys.len() <= 1, "{} of {all} keys are repeated", all - keys.len());
    });
}

#[test]
fn send_returns_the_length_of_the_frame() {
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| while peer.frame().0 != 0x88 {});
        assert_eq!(ws.send_text("Hello, Server").unwrap(), 19);
        assert_eq!(ws.send("Hello, Server", Opcode::Binary).unwrap(), 19);
        assert_eq!(ws.send("Hello, Server", Opcode::Ping).unwrap(), 19);
        assert_eq!(ws.send_frame(&Frame::new(Opcode::Text, "Hello, Server")).unwrap(), 19);
        let sizes = [0, 1, 125, 126, 127, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 131_072, 1 << 20];
        for size in sizes {
            let header = 2
                + 4
                + if size < 126 {
                    0
                } else if size < 65_536 {
                    2
                } else {
                    8
                };
            assert_eq!(ws.send_binary(&vec![1; size]).unwrap(), header + size);
            assert_eq!(Frame::new(Opcode::Binary, vec![1; size]).to_bytes(Some([0; 4])).len(), header + size);
        }
        assert_eq!(ws.send(CloseFrame::empty().to_body(), Opcode::Close).unwrap(), 6);
        peer.join();
    });
}

#[test]
fn payloads_of_every_size_are_received() {
    bounded(20, || {
        let sizes = [0, 1, 125, 126, 127, 16_383, 16_384, 16_385, 32_768, 65_535, 65_536, 131_072, 1 << 20];
        let (mut ws, peer) = open(&ConnectOptions::new(), move |peer| {
            for size in sizes {
                peer.say(frame(0x82, vec![size as u8; size]));
            }
            // 26 KB of characters that are not ASCII.
            peer.say(frame(0x81, "\u{20ac}\u{e9}\u{1f600}".repeat(2900)));
            peer.end()
        });
        for size in sizes {
            assert_eq!(ws.recv_ref().unwrap(), MessageRef::Binary(&vec![size as u8; size]));
        }
        assert_eq!(ws.recv().unwrap(), Message::Text("\u{20ac}\u{e9}\u{1f600}".repeat(2900)));
        ws.close().unwrap();
        peer.join();
    });
}

// Fragments, and what stands between them.

#[test]
fn fragments_become_one_message() {
    bounded(20, || {
        let bytes = [
            frame(0x01, "Brevity is "),
            frame(0x80, "the soul of wit"),
            frame(0x01, "Once more unto the breach, "),
            frame(0x00, "dear friends, "),
            frame(0x80, "once more"),
            frame(0x02, [1]),
            frame(0x00, []),
            frame(0x80, [2]),
        ];
        let mut ws = saying(&ConnectOptions::new(), bytes.concat());
        assert_eq!(ws.recv().unwrap(), Message::from("Brevity is the soul of wit"));
        // The opcode is that of the message; websocket-client says that of the last fragment, 0.
        let (opcode, text) = ws.recv_data(ControlFrames::Hide).unwrap();
        assert_eq!(
            (opcode, text.as_slice()),
            (Opcode::Text, &b"Once more unto the breach, dear friends, once more"[..])
        );
        assert_eq!(ws.recv_data_frame(ControlFrames::Hide).unwrap(), Frame::new(Opcode::Binary, [1, 2]));
    });
}

#[test]
fn a_ping_between_fragments_is_answered_with_its_payload_and_the_message_is_whole() {
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new().mask_key(|| *b"abcd"), |mut peer| {
            peer.say(frame(0x01, "Too much "));
            peer.say(frame(0x89, "Please PONG this"));
            peer.hear(b"\x8a\x90abcd1\x0e\x06\x05\x12\x07C4.,$D\x15\n\n\x17");
            peer.say(frame(0x80, "of a good thing"));
            peer.end()
        });
        assert_eq!(ws.recv().unwrap(), Message::from("Too much of a good thing"));
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn every_ping_has_its_pong_in_order() {
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            let pings: Vec<u8> = (0..10_u8).flat_map(|number| frame(0x89, [number; 125])).collect();
            peer.say([pings, frame(0x81, "done")].concat());
            for number in 0..10 {
                assert_eq!(peer.frame(), (0x8A, vec![number; 125]));
            }
            peer.end()
        });
        assert_eq!(ws.recv().unwrap(), Message::from("done"));
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn with_fire_cont_frame_each_fragment_comes_by_itself() {
    bounded(20, || {
        let bytes = [
            frame(0x01, "Once more unto the breach, "),
            frame(0x00, "dear friends, "),
            frame(0x80, "once more"),
            frame(0x82, "whole"),
            frame(0x80, "stray"),
        ];
        let mut ws = saying(&ConnectOptions::new().fire_cont_frame(), bytes.concat());
        let expected = [
            Frame::new(Opcode::Text, "Once more unto the breach, ").fragment(),
            Frame::new(Opcode::Continuation, "dear friends, ").fragment(),
            Frame::new(Opcode::Continuation, "once more"),
            Frame::new(Opcode::Binary, "whole"),
        ];
        for frame in expected {
            assert_eq!(ws.recv_data_frame(ControlFrames::Hide).unwrap(), frame);
        }
        let stray = ws.recv_data(ControlFrames::Hide).unwrap_err();
        assert!(matches!(stray, Error::Protocol(ProtocolError::UnexpectedContinuation)), "{stray:?}");
    });
}

/// A character may be cut by the fragments; websocket-client failed on that.
#[test]
fn with_fire_cont_frame_a_character_may_be_cut() {
    bounded(20, || {
        let bytes = [frame(0x01, b"\xe2\x82"), frame(0x80, b"\xac"), frame(0x01, b"\xe2\x82"), frame(0x80, b"\x28")];
        let mut ws = saying(&ConnectOptions::new().fire_cont_frame(), bytes.concat());
        assert_eq!(ws.recv_data(ControlFrames::Hide).unwrap(), (Opcode::Text, b"\xe2\x82".to_vec()));
        assert_eq!(ws.recv_data(ControlFrames::Hide).unwrap(), (Opcode::Continuation, b"\xac".to_vec()));
        ws.recv_data(ControlFrames::Hide).unwrap();
        let bad = ws.recv_data(ControlFrames::Hide).unwrap_err();
        assert!(matches!(bad, Error::Protocol(ProtocolError::TextNotUtf8)), "{bad:?}");
    });
}

#[test]
fn a_stray_continuation_is_a_violation() {
    bounded(20, || {
        for bytes in [frame(0x80, "stray"), frame(0x00, "stray"), [frame(0x81, "a"), frame(0x80, "b")].concat()] {
            let whole = bytes[0] == 0x81;
            let (mut ws, peer) = open(&ConnectOptions::new(), move |peer| {
                peer.say(bytes);
                peer.end()
            });
            if whole {
                assert_eq!(ws.recv().unwrap(), Message::from("a"));
            }
            let error = ws.recv().unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::UnexpectedContinuation)), "{error:?}");
            assert_eq!(peer.join(), 1002);
        }
    });
}

#[test]
fn control_frames_are_seen_where_that_is_asked_for() {
    bounded(20, || {
        let bytes = [frame(0x89, "ping"), frame(0x8A, "pong"), frame(0x81, "text"), frame(0x88, b"\x03\xe9gone")];
        for show in [true, false] {
            let mut ws = saying(&ConnectOptions::new(), bytes.concat());
            let control = if show { ControlFrames::Show } else { ControlFrames::Hide };
            if show {
                assert_eq!(ws.recv_data(control).unwrap(), (Opcode::Ping, b"ping".to_vec()));
                assert_eq!(ws.recv_data(control).unwrap(), (Opcode::Pong, b"pong".to_vec()));
            }
            assert_eq!(ws.recv_data(control).unwrap(), (Opcode::Text, b"text".to_vec()));
            assert_eq!(ws.recv_data(control).unwrap(), (Opcode::Close, b"\x03\xe9gone".to_vec()), "once");
            assert_eq!(closed(ws.recv_data(control)).code, CloseCode::GOING_AWAY);
        }
    });
}

// Timeouts in the middle of a frame.

#[test]
fn a_frame_that_comes_with_pauses_costs_timeouts_and_nothing_else() {
    bounded(20, || {
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(30)), move |mut peer| {
            for piece in [&b"\x81"[..], b"\x0dHello", b", World!"] {
                peer.say(piece);
                waits.recv().unwrap();
            }
            peer.fall_silent();
            peer.rest();
        });
        for _ in 0..2 {
            assert!(matches!(ws.recv(), Err(Error::Timeout(Phase::Recv))));
            go.send(()).unwrap();
        }
        ws.set_recv_timeout(None).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("Hello, World!"));
        go.send(()).unwrap();
        assert_eq!(closed(ws.recv()).cause, CloseCause::Lost(io::ErrorKind::UnexpectedEof));
        peer.join();
    });
}

/// The masked bytes of the original test: a server may receive them.
#[test]
fn a_masked_frame_that_comes_with_pauses_is_received_by_a_server() {
    bounded(20, || {
        let (ours, theirs) = support::narrow();
        let (go, waits) = mpsc::channel();
        let client = std::thread::spawn(move || {
            let mut peer = Peer::new(theirs);
            peer.say(support::REQUEST);
            peer.head();
            for piece in [&b"\x81"[..], b"\x8dabcd\x29\x07\x0f\x08\x0e", b"\x4e\x43\x33\x0e\x10\x0f\x00\x40"] {
                peer.say(piece);
                waits.recv().unwrap();
            }
            peer.say(b"\x88\x80abcd");
            peer.hear(b"\x88\x00");
        });
        let mut ws = ConnectOptions::new().recv_timeout(ms(30)).accept(ours).unwrap();
        for _ in 0..2 {
            assert!(matches!(ws.recv(), Err(Error::Timeout(Phase::Recv))));
            go.send(()).unwrap();
        }
        ws.set_recv_timeout(None).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("Hello, World!"));
        go.send(()).unwrap();
        let info = closed(ws.recv());
        assert_eq!((info.code, info.cause), (CloseCode::NO_STATUS_RECEIVED, CloseCause::Remote));
        support::join(client);
    });
}

/// `recv_strict(9)` over "foo", a timeout, "bar" and "baz".
#[test]
fn a_payload_in_three_parts_with_a_pause_is_whole() {
    bounded(20, || {
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(30)), move |mut peer| {
            peer.say(b"\x82\x09foo");
            waits.recv().unwrap();
            peer.say("bar");
            peer.say("baz");
            peer.rest();
        });
        assert!(matches!(ws.recv_frame(), Err(Error::Timeout(Phase::Recv))));
        go.send(()).unwrap();
        ws.set_recv_timeout(None).unwrap();
        assert_eq!(ws.recv_frame().unwrap(), Frame::new(Opcode::Binary, "foobarbaz"));
        drop(ws);
        peer.join();
    });
}

#[test]
fn timeouts_can_be_looked_at_and_changed() {
    let mut ws = WebSocket::new();
    assert_eq!(ws.timeout(), None);
    ws.set_timeout(Some(ms(5000))).unwrap();
    assert_eq!(ws.timeout(), Some(ms(5000)));
    ws.set_timeout(None).unwrap();
    assert_eq!(ws.timeout(), None);
}

// UTF-8.

#[test]
fn text_is_utf8_or_a_violation_however_it_is_cut() {
    bounded(60, || {
        let cases: [(&[u8], bool); 13] = [
            (b"", true),
            ("\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}".as_bytes(), true),
            (b"\xf0\x90\x80\x80", true),
            (b"\xf4\x8f\xbf\xbf", true),
            (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64", false),
            (b"\xff\xfe", false),
            (b"\x80\x80", false),
            (b"\xc0\xaf", false),
            (b"\xf4\x90\x80\x80", false),
            (b"\xf0\x28\x8c\x28", false),
            // These end in the middle; websocket-client took them for valid.
            (b"abc\xe2\x82", false),
            (b"\xf0\x9f\x98", false),
            (b"a\xc3", false),
        ];
        for (text, valid) in cases {
            let whole = frame(0x81, text);
            let mut bytes = frame(0x01, "");
            text.iter().for_each(|byte| bytes.extend(frame(0x00, [*byte])));
            bytes.extend(frame(0x80, ""));
            for script in [whole, bytes] {
                let (mut ws, peer) = open(&ConnectOptions::new(), move |peer| {
                    peer.say(script);
                    peer.end()
                });
                match ws.recv() {
                    Ok(message) => {
                        assert!(valid, "{text:02x?}");
                        assert_eq!(message.as_bytes(), text);
                        ws.close().unwrap();
                        assert_eq!(peer.join(), 1000);
                    }
                    Err(Error::Protocol(ProtocolError::TextNotUtf8)) => {
                        assert!(!valid, "{text:02x?}");
                        assert_eq!(peer.join(), 1007);
                    }
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    });
}

/// The octet that is wrong is enough; the rest of the message need not come.
#[test]
fn bad_text_is_refused_as_it_comes() {
    bounded(20, || {
        for said in [&b"\x81\x7e\x10\x00good\xff"[..], b"\x01\x04good\x00\x7e\x10\x00\xed\xa0"] {
            let (mut ws, peer) = open(&ConnectOptions::new(), move |mut peer| {
                peer.say(said);
                // Nothing more, until the Close is there.
                assert_eq!(peer.close_code(), 1007);
            });
            let error = ws.recv().unwrap_err();
            assert!(matches!(error, Error::Protocol(ProtocolError::TextNotUtf8)), "{error:?}");
            peer.join();
        }
    });
}

#[test]
fn text_that_is_not_validated_comes_as_bytes() {
    bounded(20, || {
        let script = [frame(0x81, b"\xff"), frame(0x01, b"\xfe"), frame(0x80, b"\xfd"), frame(0x88, b"\x03\xe8\xff")];
        let mut ws = saying(&ConnectOptions::new().skip_utf8_validation(), script.concat());
        assert_eq!(ws.recv().unwrap(), Message::Binary(vec![0xFF]));
        assert_eq!(ws.recv_data(ControlFrames::Hide).unwrap(), (Opcode::Text, vec![0xFE, 0xFD]));
        // The reason of a Close is text all the same.
        let error = ws.recv().unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::CloseReasonNotUtf8)), "{error:?}");
    });
}

// How connections end.

/// websocket-client: `""`, then "Connection to remote host was lost.", then "Connection is closed."; always 1000 in return, and
/// the socket stays open.
#[test]
fn after_the_peers_close_every_call_says_so_and_the_socket_is_gone() {
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9gone"));
            assert_eq!(peer.close_code(), 1001, "the code comes back");
            assert_eq!(peer.rest(), b"");
        });
        for _ in 0..3 {
            let info = closed(ws.recv());
            assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode(1001), "gone", CloseCause::Remote));
        }
        assert!(!ws.connected());
        // It has heard the end, without a close of ours.
        peer.join();
        closed(ws.send_text("after"));
        closed(ws.ping(""));
        closed(ws.recv_frame());
        closed(ws.message_reader().map(drop));
        at_once(|| ws.close().unwrap());
        assert_eq!(ws.close_info().unwrap().code, CloseCode::GOING_AWAY);
    });
}

#[test]
fn after_our_close_every_call_says_so() {
    bounded(20, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |peer| peer.end());
        ws.close_with(CloseCode(3000), "str reasons are fine").unwrap();
        for info in [closed(ws.recv()), closed(ws.send_text("")), closed(ws.send_close(CloseCode::NORMAL, ""))] {
            assert_eq!((info.code, info.cause), (CloseCode(3000), CloseCause::Local));
        }
        assert_eq!(peer.join(), 3000);
    });
}

#[cfg(unix)]
#[test]
fn a_lost_connection_is_one_error_whether_it_ends_or_is_reset() {
    bounded(20, || {
        for reset in [true, false] {
            let (mut ws, peer) =
                open(&ConnectOptions::new(), move |peer| if reset { peer.reset() } else { drop(peer) });
            peer.join();
            let info = closed(ws.recv());
            let expected = if reset { io::ErrorKind::ConnectionReset } else { io::ErrorKind::UnexpectedEof };
            assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::Lost(expected)));
            assert!(info.is_retryable());
        }
    });
}

#[test]
fn an_iteration_ends_with_a_clean_close_and_an_unclean_one_comes_once() {
    bounded(20, || {
        let script = [frame(0x81, "1"), frame(0x81, "2"), frame(0x88, b"\x03\xe8")].concat();
        let mut ws = saying(&ConnectOptions::new(), script);
        let messages: Vec<Message> = ws.messages().map(Result::unwrap).collect();
        assert_eq!(messages, [Message::from("1"), Message::from("2")]);
        assert!((&mut ws).into_iter().next().is_none());

        let (mut ws, peer) = open(&ConnectOptions::new(), |peer| peer.say(frame(0x81, "1")));
        let mut messages = ws.messages();
        assert_eq!(messages.next().unwrap().unwrap(), Message::from("1"));
        assert!(matches!(messages.next(), Some(Err(Error::Closed(_)))));
        assert!(messages.next().is_none());
        peer.join();
    });
}

#[test]
fn a_close_with_a_bad_body_is_a_violation() {
    bounded(20, || {
        let cases = [
            (&b"\x01"[..], 1002),
            (b"\x01\x8a\xaa\xff\xdd", 1002),
            (b"\x03\xe7", 1002),
            (b"\x03\xed", 1002),
            (b"\x0b\xb7", 1002),
            (b"\x13\x88", 1002),
            (b"\x03\xe8\xff\xfe", 1007),
        ];
        for (body, expected) in cases {
            let (mut ws, peer) = open(&ConnectOptions::new(), move |peer| {
                peer.say(frame(0x88, body));
                peer.end()
            });
            assert!(matches!(ws.recv(), Err(Error::Protocol(_))), "{body:02x?}");
            assert_eq!(peer.join(), expected, "{body:02x?}");
        }
    });
}

// Frames as values (ABNF).

#[test]
fn frames_are_judged_and_written_as_those_of_abnf() {
    let ping = Frame::new(Opcode::Ping, "");
    assert_eq!(ping.clone().fragment().validate(), Err(LocalProtocolError::ControlFragment));
    assert_eq!(Frame { rsv: Rsv::RSV1, ..ping }.validate(), Err(LocalProtocolError::ReservedBits));
    assert_eq!(Frame::new(Opcode::Ping, [0; 126]).validate(), Err(LocalProtocolError::ControlTooLong(126)));
    for body in [&b"\x01"[..], b"\x01\x8a\xaa\xff\xdd", b"\x03\xe7"] {
        let refused = Frame::new(Opcode::Close, body).validate();
        assert!(matches!(refused, Err(LocalProtocolError::CloseBody(_))), "{refused:?}");
    }
    assert_eq!(Opcode::from_bits(5), None);

    assert_eq!(Frame::new(Opcode::Text, "abcdefghij").fragment().to_bytes(Some([0; 4]))[..2], [0x01, 0x8A]);
    assert_eq!(Frame::new(Opcode::Binary, [0; 20]).fragment().to_bytes(Some([0; 4]))[..2], [0x02, 0x94]);
    assert_eq!(Frame::new(Opcode::Text, [1, 0x8A, 0xCC]).fragment().to_bytes(None), [1, 3, 1, 0x8A, 0xCC]);
    assert_eq!(Frame::new(Opcode::Text, "a").to_bytes(Some(*b"aaaa")), b"\x81\x81aaaa\x00");
    assert_eq!(Frame::new(Opcode::Text, "abcdefghij").fragment().to_string(), r#"fin=0 opcode=1 data="abcdefghij""#);
    assert_eq!(Frame::new(Opcode::Binary, vec![0; 126]).to_bytes(None)[..4], [0x82, 0x7E, 0, 126]);
    assert_eq!(
        Frame::new(Opcode::Binary, vec![0; 66_000]).to_bytes(None)[..10],
        [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 1, 0xD0]
    );
    assert_eq!((LENGTH_7, LENGTH_16, LENGTH_63), (0x7E, 1 << 16, 1 << 63));
    assert_eq!((CloseCode::SERVICE_RESTART.0, CloseCode::TRY_AGAIN_LATER.0), (1012, 1013));
}

#[test]
fn a_frame_is_sent_past_every_rule_where_that_is_asked_for() {
    bounded(20, || {
        let (ws, peer) = open(&ConnectOptions::new().mask_key(|| [0; 4]), |mut peer| {
            peer.hear(b"\x09\x80\0\0\0\0");
            peer.hear(b"\xc1\x81\0\0\0\0\xff");
            peer.hear(b"\x88\x81\0\0\0\0\x01");
            peer.hear(b"\x81\x80\0\0\0\0");
        });
        ws.send_frame_unchecked(&Frame::new(Opcode::Ping, "").fragment()).unwrap();
        ws.send_frame_unchecked(&Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Text, [0xFF]) }).unwrap();
        ws.send_frame_unchecked(&Frame::new(Opcode::Close, [1])).unwrap();
        ws.send_text("").unwrap();
        peer.join();
    });
}

/// The first frame may come together with the answer to the handshake.
#[test]
fn frames_behind_the_head_are_not_lost() {
    bounded(20, || {
        for cut in 0..20 {
            let (url, peer) = support::serve(move |mut peer| {
                let answer = support::answer_to(&peer.head()).into_bytes();
                let script = [answer, frame(0x81, "first"), frame(0x82, [7; 3000]), frame(0x89, "?")].concat();
                let (a, b) = script.split_at(script.len() * cut / 20);
                peer.say(a);
                std::thread::sleep(ms(2));
                peer.say(b);
                assert_eq!(peer.frame(), (0x8A, b"?".to_vec()));
                peer.end()
            });
            let mut ws = ConnectOptions::new().connect(&url).unwrap();
            assert_eq!(ws.recv().unwrap(), Message::from("first"));
            assert_eq!(ws.recv().unwrap(), Message::Binary(vec![7; 3000]));
            assert!(matches!(ws.recv_timeout(ms(20)), Err(Error::Timeout(_))));
            ws.close().unwrap();
            peer.join();
        }
    });
}
