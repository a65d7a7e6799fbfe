//! How connections end, and what is told of it: by the peer, by this side, by both at once, by accident.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::mpsc;
use std::thread;

use support::{at_once, bounded, closed, frame, join, ms, open};
use websocket_sync::protocol::ProtocolError;
use websocket_sync::{CloseCause, CloseCode, CloseInfo, ConnectOptions, Error, Message, MessageKind, WebSocket};

fn options() -> ConnectOptions {
    ConnectOptions::new().close_timeout(ms(500))
}

#[track_caller]
fn assert_info(info: &CloseInfo, code: u16, reason: &str, cause: CloseCause) {
    assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode(code), reason, cause));
}

#[test]
fn a_close_is_answered_with_its_code_and_known_ever_after() {
    bounded(20, || {
        for (body, code, reason) in [
            (&b"\x03\xe8"[..], 1000, ""),
            (b"\x03\xe9going", 1001, "going"),
            (b"\x0f\xa1mine", 4001, "mine"),
            (b"", 1005, ""),
        ] {
            let (mut ws, peer) = open(&options(), move |mut peer| {
                peer.say(frame(0x88, body));
                // The code and no reason; no code where there was none.
                assert_eq!(peer.frame(), (0x88, body[..body.len().min(2)].to_vec()));
                assert_eq!(peer.rest(), b"");
            });
            assert_info(&closed(ws.recv()), code, reason, CloseCause::Remote);
            assert!(!ws.connected());
            at_once(|| ws.close().unwrap());
            for again in [closed(ws.recv()), closed(ws.send_text("")), ws.close_info().unwrap()] {
                assert_info(&again, code, reason, CloseCause::Remote);
            }
            peer.join();
        }
    });
}

#[test]
fn an_end_without_a_close_is_a_loss_and_no_part_of_a_message_is_delivered() {
    bounded(20, || {
        for (said, sent_close) in [(&b""[..], false), (b"\x81\x05Hel", false), (b"\x01\x03Hel", false), (b"", true)] {
            let (mut ws, peer) = open(&options(), move |peer| {
                peer.say(said);
                peer.fall_silent();
                peer
            });
            if sent_close {
                ws.send_close(CloseCode::NORMAL, "").unwrap();
            }
            let info = closed(ws.recv());
            let expected =
                if sent_close { CloseCause::Unanswered } else { CloseCause::Lost(std::io::ErrorKind::UnexpectedEof) };
            assert_info(&info, 1006, "", expected);
            assert!(info.is_retryable() != sent_close && !info.is_clean());
            assert_info(&closed(ws.recv()), 1006, "", expected);
            peer.join();
        }
    });
}

#[test]
fn nothing_is_delivered_that_comes_after_a_close() {
    bounded(20, || {
        let (mut ws, peer) = open(&options(), |mut peer| {
            peer.say([frame(0x81, "before"), frame(0x88, ""), frame(0x81, "after"), vec![0xFF; 100]].concat());
            peer.close_code()
        });
        assert_eq!(ws.recv().unwrap(), Message::from("before"));
        assert_info(&closed(ws.recv()), 1005, "", CloseCause::Remote);
        closed(ws.recv());
        assert_eq!(peer.join(), 1005);
    });
}

#[test]
fn both_may_close_at_once() {
    bounded(20, || {
        let (said, hears) = mpsc::channel();
        let (ws, peer) = open(&options(), move |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9theirs"));
            said.send(()).unwrap();
            assert_eq!(peer.close_code(), 1000, "ours, and no answer besides");
            assert_eq!(peer.rest(), b"");
        });
        hears.recv().unwrap();
        ws.close_with(CloseCode::NORMAL, "ours").unwrap();
        assert_info(&ws.close_info().unwrap(), 1001, "theirs", CloseCause::Local);
        peer.join();
    });
}

#[test]
fn what_arrives_during_a_close_is_discarded_and_after_a_send_close_is_not() {
    bounded(20, || {
        for waits in [true, false] {
            let (mut ws, peer) = open(&options(), |mut peer| {
                assert_eq!(peer.close_code(), 1000);
                peer.say([frame(0x81, "late"), frame(0x82, [1; 100_000]), frame(0x88, b"\x03\xe8")].concat());
            });
            if waits {
                ws.close().unwrap();
            } else {
                ws.send_close(CloseCode::NORMAL, "").unwrap();
                assert_eq!(ws.recv().unwrap(), Message::from("late"));
                assert_eq!(ws.recv().unwrap(), Message::Binary(vec![1; 100_000]));
            }
            assert_info(&closed(ws.recv()), 1000, "", CloseCause::Local);
            peer.join();
        }
    });
}

#[test]
fn a_peer_that_breaks_a_rule_while_we_close_is_told_nothing_more() {
    bounded(20, || {
        let (ws, peer) = open(&options(), |mut peer| {
            assert_eq!(peer.close_code(), 1000);
            peer.say(b"\x83\x00");
            assert_eq!(peer.rest(), b"", "there is one Close");
        });
        ws.close().unwrap();
        let expected = CloseCause::Violation(ProtocolError::UnknownOpcode(3));
        assert_eq!(ws.close_info().unwrap().cause, expected);
        peer.join();
    });
}

/// A peer that sends its last words, and whose socket is gone when this returns: what we send comes back as a reset.
#[cfg(target_os = "linux")]
fn with_last_words(words: Vec<u8>) -> WebSocket {
    let (ws, peer) = open(&options(), |peer| {
        peer.say(words);
        peer.reset();
    });
    peer.join();
    thread::sleep(ms(50));
    ws
}

#[cfg(target_os = "linux")]
#[test]
fn a_close_is_received_even_if_no_answer_can_be_sent() {
    bounded(20, || {
        let mut ws = with_last_words([frame(0x81, "last"), frame(0x88, b"\x03\xf0policy")].concat());
        assert_eq!(ws.recv().unwrap(), Message::from("last"));
        assert_info(&closed(ws.recv()), 1008, "policy", CloseCause::Remote);
        assert_info(&ws.close_info().unwrap(), 1008, "policy", CloseCause::Remote);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_pong_that_cannot_be_sent_does_not_keep_a_close_from_being_received() {
    bounded(20, || {
        let mut ws = with_last_words([frame(0x89, "?"), frame(0x81, "last"), frame(0x88, b"\x03\xf0policy")].concat());
        assert_eq!(ws.recv().unwrap(), Message::from("last"));
        assert_info(&closed(ws.recv()), 1008, "policy", CloseCause::Remote);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_send_that_fails_does_not_keep_from_receiving_why() {
    bounded(20, || {
        type Send = fn(&WebSocket) -> Result<(), Error>;
        let sends: [Send; 4] = [
            |ws| ws.send_text("is anybody there?").map(drop),
            |ws| ws.send_binary(&[0; 1 << 20]).map(drop),
            |ws| ws.send_reader(MessageKind::Binary, &[0; 9][..], Some(9)).map(drop),
            |ws| {
                ws.cork(|batch| {
                    batch.send_text("is anybody there?")?;
                    closed(batch.flush());
                    // Whoever does not listen is told again, and nothing is sent.
                    closed(batch.send_text("is nobody there?"));
                    batch.flush()
                })
            },
        ];
        for send in sends {
            receives_why(send);
        }
    });
}

#[cfg(target_os = "linux")]
fn receives_why(send: fn(&WebSocket) -> Result<(), Error>) {
    let mut ws = with_last_words([frame(0x81, "last"), frame(0x88, b"\x03\xf0policy")].concat());
    let info = closed(send(&ws));
    assert!(matches!(info.cause, CloseCause::Lost(_)), "{info:?}");
    assert!(!ws.connected());
    closed(at_once(|| ws.send_text("nobody")));
    // What had arrived by then is known without a receive, and takes nothing away from it.
    assert_info(&ws.close_info().unwrap(), 1008, "policy", CloseCause::Remote);
    assert_eq!(ws.recv().unwrap(), Message::from("last"));
    assert_info(&closed(ws.recv()), 1008, "policy", CloseCause::Remote);
    assert_info(&closed(ws.send_text("")), 1008, "policy", CloseCause::Remote);
}

#[cfg(target_os = "linux")]
#[test]
fn a_send_that_fails_wakes_the_thread_that_receives() {
    bounded(20, || {
        let (mut ws, peer) = open(&options(), |peer| {
            peer.say(frame(0x81, "last"));
            peer
        });
        let sender = ws.sender();
        let receiving = thread::spawn(move || {
            assert_eq!(ws.recv().unwrap(), Message::from("last"));
            closed(ws.recv())
        });
        thread::sleep(ms(50));
        peer.join().reset();
        while sender.send_text("is anybody there?").is_ok() {}
        assert!(matches!(join(receiving).cause, CloseCause::Lost(_)));
        at_once(|| sender.close().unwrap());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_close_on_a_broken_connection_finds_out_why_it_broke() {
    bounded(20, || {
        for says_why in [true, false] {
            let words = if says_why { frame(0x88, b"\x03\xf0policy") } else { frame(0x81, "last") };
            let ws = with_last_words(words);
            closed(ws.send_text("is anybody there?"));
            at_once(|| ws.close().unwrap());
            let info = ws.close_info().unwrap();
            if says_why {
                assert_eq!((info.code, info.reason.as_str()), (CloseCode::POLICY_VIOLATION, "policy"));
            } else {
                assert!(matches!(info.cause, CloseCause::Lost(_)), "{info:?}");
            }
            at_once(|| drop(ws));
        }
    });
}

/// Without the half-close and the wait for the peer's end, the reset for what is unread would overtake our Close.
#[test]
fn our_close_is_not_lost_with_what_is_unread() {
    bounded(60, || {
        for _ in 0..200 {
            let (mut ws, peer) = open(&options(), |mut peer| {
                peer.say(b"\x83\x00");
                let _ = peer.repeat(frame(0x82, [1; 1000]), 100);
                peer.close_code()
            });
            assert!(matches!(ws.recv(), Err(Error::Protocol(ProtocolError::UnknownOpcode(3)))));
            drop(ws);
            assert_eq!(peer.join(), 1002);
        }
    });
}

#[test]
fn many_may_close_and_one_close_is_sent() {
    bounded(60, || {
        for _ in 0..100 {
            let (ws, peer) = open(&options(), |mut peer| {
                peer.close_code();
                peer.say(frame(0x88, b"\x03\xe8"));
                assert_eq!(peer.rest(), b"");
            });
            thread::scope(|scope| {
                for code in 0..4 {
                    let (ws, sender) = (&ws, ws.sender());
                    scope.spawn(move || sender.close_with(CloseCode(4000 + code), "").unwrap());
                    scope.spawn(move || ws.close_with(CloseCode(4100 + code), "").unwrap());
                }
            });
            assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
            peer.join();
        }
    });
}

#[test]
fn whoever_closes_last_returns_when_it_is_over_though_another_reads() {
    bounded(20, || {
        let (mut ws, peer) = open(&options(), |mut peer| {
            // This thread is to be known as the one that received.
            peer.say(frame(0x81, "Hello"));
            peer.close_code();
            thread::sleep(ms(200));
            peer.say(frame(0x88, b"\x03\xe8"));
        });
        assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
        thread::scope(|scope| {
            scope.spawn(|| ws.close().unwrap());
            thread::sleep(ms(50));
            ws.close().unwrap();
            assert_eq!(ws.close_info().expect("it is over").cause, CloseCause::Local);
        });
        peer.join();
    });
}

#[test]
fn who_is_not_connected_has_nothing_to_close() {
    let mut ws = WebSocket::new();
    assert!(!ws.connected() && ws.close_info().is_none());
    ws.close().unwrap();
    ws.abort();
    ws.shutdown();
    assert_eq!(closed(ws.recv()).cause, CloseCause::NotConnected);
    assert_eq!(closed(ws.send_text("")).cause, CloseCause::NotConnected);
    assert_eq!(closed(ws.send_close(CloseCode::NORMAL, "")).cause, CloseCause::NotConnected);
    let sender = ws.sender();
    assert!(!sender.connected());
    sender.close().unwrap();
    sender.abort();
    assert_eq!(closed(sender.ping("")).cause, CloseCause::NotConnected);
}

#[test]
fn the_same_object_connects_again_after_a_close_and_after_an_abort() {
    bounded(20, || {
        let mut ws = WebSocket::with_options(options());
        for round in 0..4 {
            let (url, peer) = support::serve(|mut peer| {
                peer.accept();
                peer.say(frame(0x81, "Hello"));
                peer.rest();
            });
            ws.connect(&url).unwrap();
            assert!(ws.connected() && ws.close_info().is_none());
            let sender = ws.sender();
            assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
            match round {
                0 => ws.close().unwrap(),
                1 => ws.abort(),
                2 => ws.shutdown(),
                // The last is left by connecting again, or by the end.
                _ => continue,
            }
            closed(sender.send_text("to the one before"));
            peer.join();
        }
    });
}
