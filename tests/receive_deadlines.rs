//! Receives with a deadline of their own: a duration, a moment, or no time at all, which looks once at what is there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/layers.rs"]
mod layers;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use layers::{LAYERS, Layer, Script, Server, open_on, open_saying, promptly, refused, tcp_pair};
use support::cases::Cases;
use support::{at_deadline, bounded, by_deadline, closed, frame, ms, timed, unit};
use websocket_sync::protocol::{LocalProtocolError, ProtocolError};
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, ControlFrames, Error, Frame, Message, MessageRef, Opcode, Phase, Result,
    WebSocket,
};

const ZERO: Duration = Duration::ZERO;
const NANOSECOND: Duration = Duration::from_nanos(1);

type Receive = fn(&mut WebSocket) -> Result<String>;

/// Each looks once; they say what they have found.
const LOOKS: &[(&str, Receive)] = &[
    ("recv_timeout", |ws| ws.recv_timeout(ZERO).map(|message| shown(message.as_ref()))),
    ("recv_ref_timeout", |ws| ws.recv_ref_timeout(ZERO).map(shown)),
    ("recv_deadline, now", |ws| ws.recv_deadline(Instant::now()).map(|message| shown(message.as_ref()))),
    ("recv_data_timeout", |ws| ws.recv_data_timeout(ControlFrames::Hide, ZERO).map(|data| shown_data(data.0, &data.1))),
    ("recv_data_frame_timeout", |ws| {
        ws.recv_data_frame_timeout(ControlFrames::Hide, ZERO).map(|frame| shown_data(frame.opcode, &frame.payload))
    }),
    ("recv, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(ZERO))?;
        ws.recv().map(|message| shown(message.as_ref()))
    }),
    ("recv_ref, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(ZERO))?;
        ws.recv_ref().map(shown)
    }),
    ("recv_data, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(ZERO))?;
        ws.recv_data(ControlFrames::Hide).map(|data| shown_data(data.0, &data.1))
    }),
    ("recv_data_frame, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(ZERO))?;
        ws.recv_data_frame(ControlFrames::Hide).map(|frame| shown_data(frame.opcode, &frame.payload))
    }),
    ("messages, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(ZERO))?;
        let message = match ws.messages().next() {
            Some(message) => message?,
            // A clean end.
            None => ws.recv()?,
        };
        Ok(shown(message.as_ref()))
    }),
];

fn shown(message: MessageRef<'_>) -> String {
    match message {
        MessageRef::Text(text) => text.to_owned(),
        MessageRef::Binary(bytes) => format!("{} bytes", bytes.len()),
    }
}

/// A Close is told by the next receive as the error that it is elsewhere.
fn shown_data(opcode: Opcode, payload: &[u8]) -> String {
    match opcode {
        Opcode::Text => String::from_utf8(payload.to_vec()).unwrap(),
        Opcode::Close => "close".to_owned(),
        _ => format!("{} bytes", payload.len()),
    }
}

#[track_caller]
fn assert_timeout<T: std::fmt::Debug>(result: Result<T>) {
    assert!(matches!(result, Err(Error::Timeout(Phase::Recv))), "{result:?}");
}

/// Says the same when it is told to, and waits for the end.
fn when_told(layer: Layer, options: &ConnectOptions, said: Vec<u8>) -> (WebSocket, mpsc::Sender<()>, Script<()>) {
    let (go, waits) = mpsc::channel::<()>();
    let (ws, peer) = open_on(layer, options, move |mut server| {
        let _ = waits.recv();
        server.say(&said);
        server.rest();
    });
    (ws, go, peer)
}

/// Looks again and again, for ten seconds at most.
#[track_caller]
fn until_there(ws: &mut WebSocket, look: Receive) -> Result<String> {
    let start = Instant::now();
    loop {
        match look(ws) {
            Err(Error::Timeout(Phase::Recv)) => thread::sleep(ms(1)),
            found => return found,
        }
        assert!(start.elapsed() < ms(10_000), "nothing comes");
    }
}

// No time at all.

#[test]
fn a_receive_with_no_time_tells_at_once_that_nothing_is_there_and_later_what_is() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for &(name, look) in LOOKS {
            if layer != Layer::Tcp && name != "recv_timeout" {
                continue;
            }
            cases.add(format!("{name} over {layer:?}"), move || {
                let said = [frame(0x81, "one"), frame(0x89, "?"), frame(0x82, [2; 300]), frame(0x81, "three")].concat();
                let (mut ws, go, _peer) = when_told(layer, &ConnectOptions::new(), said);
                promptly(|| (0..20).for_each(|_| assert_timeout(look(&mut ws))));
                assert!(ws.connected());
                go.send(()).unwrap();
                assert_eq!(until_there(&mut ws, look).unwrap(), "one");
                // The others came with it.
                thread::sleep(ms(20));
                assert_eq!(promptly(|| look(&mut ws)).unwrap(), "300 bytes");
                assert_eq!(promptly(|| look(&mut ws)).unwrap(), "three");
                promptly(|| assert_timeout(look(&mut ws)));
            });
        }
    }
    cases.run(15);
}

#[test]
fn a_receive_with_no_time_finds_what_came_behind_the_101() {
    let mut cases = Cases::new();
    for &(name, look) in LOOKS {
        cases.add(name, move || {
            let first = [frame(0x81, "one"), frame(0x81, "two")].concat();
            let (mut ws, _peer) =
                open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, |mut server| drop(server.rest()));
            assert_eq!(promptly(|| look(&mut ws)).unwrap(), "one");
            assert_eq!(promptly(|| look(&mut ws)).unwrap(), "two");
            promptly(|| assert_timeout(look(&mut ws)));
        });
    }
    cases.run(5);
}

#[test]
fn receives_with_no_time_put_together_what_comes_by_and_by() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        cases.add(format!("{layer:?}"), move || {
            let (mut ws, _peer) = open_on(layer, &ConnectOptions::new(), |mut server| {
                for byte in [frame(0x01, "by and "), frame(0x80, "by")].concat() {
                    server.say([byte]);
                    thread::sleep(ms(2));
                }
                server.say(frame(0x82, vec![1; 2_000_000]));
                server.rest();
            });
            assert_eq!(until_there(&mut ws, LOOKS[0].1).unwrap(), "by and by");
            assert_eq!(until_there(&mut ws, LOOKS[0].1).unwrap(), "2000000 bytes");
        });
    }
    cases.run(15);
}

#[test]
fn a_receive_with_no_time_does_not_wait_for_the_end_of_a_connection() {
    let ends: [(&'static str, Vec<u8>, CloseCause); 3] = [
        ("a close", frame(0x88, b"\x03\xe9bye"), CloseCause::Remote),
        ("a violation", frame(0x83, ""), CloseCause::Violation(ProtocolError::UnknownOpcode(3))),
        ("invalid text", frame(0x81, b"\xff"), CloseCause::Violation(ProtocolError::TextNotUtf8)),
    ];
    let mut cases = Cases::new();
    for (what, end, cause) in ends {
        for &(name, look) in LOOKS {
            let end = end.clone();
            cases.add(format!("{what}, {name}"), move || {
                // It stays, so that there is an end to wait for.
                let (go, waits) = mpsc::channel::<()>();
                let options = ConnectOptions::new().close_timeout(ms(1500));
                let (mut ws, _peer) = open_saying(Layer::Tcp, tcp_pair, &options, end, move |_server| {
                    let _ = waits.recv();
                });
                let start = Instant::now();
                let told = loop {
                    match promptly(|| look(&mut ws)) {
                        Err(Error::Timeout(_)) => thread::sleep(ms(1)),
                        other => break other,
                    }
                    assert!(start.elapsed() < ms(3000), "it does not end");
                };
                assert!(told.is_err() || told.is_ok_and(|told| told == "close"));
                assert_eq!(closed(promptly(|| look(&mut ws))).cause, cause);
                assert_eq!(ws.close_info().unwrap().cause, cause);
                drop(go);
            });
        }
    }
    cases.run(10);
}

#[test]
fn receives_with_no_time_end_at_the_closing_deadline() {
    let mut cases = Cases::new();
    for &(name, look) in LOOKS {
        cases.add(name, move || {
            let options = ConnectOptions::new().close_timeout(ms(300));
            let (mut ws, _peer) = open_on(Layer::Tcp, &options, |mut server| drop(server.rest()));
            let (info, took) = timed(|| {
                by_deadline(ms(750), || {
                    ws.send_close(CloseCode::NORMAL, "").unwrap();
                    closed(until_there(&mut ws, look))
                })
            });
            assert!(took >= ms(300), "over after {took:?}, before the close timeout");
            assert_eq!(info.cause, CloseCause::Unanswered);
        });
    }
    cases.run(6);
}

#[test]
fn a_storm_of_pings_does_not_extend_a_receive_with_no_time() {
    bounded(15, || {
        let options = ConnectOptions::new().max_control_frames(u32::MAX).close_timeout(ms(100));
        let (mut ws, peer) = open_on(Layer::Tcp, &options, |mut server| {
            let pings = frame(0x89, [5; 125]).repeat(400);
            while server.try_say(&pings).is_ok() {}
        });
        peer.detach();
        thread::sleep(ms(50));
        for _ in 0..5 {
            assert_timeout(by_deadline(ms(200), || ws.recv_timeout(ZERO)));
        }
    });
}

#[test]
fn a_receive_timeout_of_zero_can_be_set_and_unset_while_connected() {
    bounded(15, || {
        let (mut ws, go, peer) = when_told(Layer::Tcp, &ConnectOptions::new(), frame(0x81, "later"));
        ws.set_recv_timeout(Some(ZERO)).unwrap();
        assert_eq!(ws.timeout(), Some(ZERO));
        promptly(|| assert_timeout(ws.recv()));
        promptly(|| assert_timeout(unit(ws.message_reader())));
        promptly(|| assert_timeout(ws.recv_frame()));
        ws.set_recv_timeout(Some(ms(100))).unwrap();
        at_deadline(ms(100), || assert_timeout(ws.recv()));
        ws.set_recv_timeout(None).unwrap();
        go.send(()).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("later"));
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_message_reader_with_no_time_goes_on_where_it_was() {
    bounded(15, || {
        let (go, waits) = mpsc::channel::<()>();
        let first = frame(0x01, "half");
        let (mut ws, peer) =
            open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, move |mut server: Server| {
                waits.recv().unwrap();
                server.say(frame(0x80, " and half"));
                server.rest();
            });
        ws.set_recv_timeout(Some(ZERO)).unwrap();
        let mut reader = ws.message_reader().unwrap();
        let mut text = String::new();
        let error = promptly(|| reader.read_to_string(&mut text)).unwrap_err();
        assert_eq!((text.as_str(), error.kind()), ("half", std::io::ErrorKind::TimedOut));
        go.send(()).unwrap();
        thread::sleep(ms(200));
        text.clear();
        promptly(|| reader.read_to_string(&mut text)).unwrap();
        assert_eq!(text, " and half");
        drop(reader);
        drop(ws);
        peer.join();
    });
}

// Hardly any time, which may have passed before anything was looked at.

/// Each has a nanosecond; they say what they have found.
const GLANCES: &[(&str, Receive)] = &[
    ("recv_timeout", |ws| ws.recv_timeout(NANOSECOND).map(|message| shown(message.as_ref()))),
    ("recv_ref_timeout", |ws| ws.recv_ref_timeout(NANOSECOND).map(shown)),
    ("recv_deadline", |ws| ws.recv_deadline(Instant::now() + NANOSECOND).map(|message| shown(message.as_ref()))),
    ("recv_data_timeout", |ws| {
        ws.recv_data_timeout(ControlFrames::Hide, NANOSECOND).map(|data| shown_data(data.0, &data.1))
    }),
    ("recv, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(NANOSECOND))?;
        ws.recv().map(|message| shown(message.as_ref()))
    }),
    ("message_reader, set_recv_timeout", |ws| {
        ws.set_recv_timeout(Some(NANOSECOND))?;
        let mut text = String::new();
        ws.message_reader()?.read_to_string(&mut text)?;
        Ok(text)
    }),
];

#[test]
fn a_receive_with_hardly_any_time_takes_what_has_arrived() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for &(name, glance) in GLANCES {
            if layer != Layer::Tcp && name != "recv_timeout" {
                continue;
            }
            cases.add(format!("{name} over {layer:?}"), move || {
                let (mut ws, go, _peer) = when_told(layer, &ConnectOptions::new(), frame(0x81, "one"));
                promptly(|| (0..20).for_each(|_| assert_timeout(glance(&mut ws))));
                go.send(()).unwrap();
                thread::sleep(ms(200));
                assert_eq!(promptly(|| glance(&mut ws)).unwrap(), "one");
                promptly(|| assert_timeout(glance(&mut ws)));
            });
        }
    }
    cases.run(15);
}

#[test]
fn pings_without_end_do_not_extend_a_receive_with_hardly_any_time() {
    assert_not_extended_by(frame(0x89, [5; 125]).repeat(400));
}

#[test]
fn empty_fragments_without_end_do_not_extend_a_receive_with_hardly_any_time() {
    assert_not_extended_by(frame(0x00, "").repeat(20_000));
}

/// A message begins, and is followed by this again and again.
fn assert_not_extended_by(flood: Vec<u8>) {
    bounded(15, || {
        let options = ConnectOptions::new().no_limits().close_timeout(ms(100));
        let (mut ws, peer) =
            open_saying(
                Layer::Tcp,
                tcp_pair,
                &options,
                frame(0x01, "x"),
                move |mut server| {
                    while server.try_say(&flood).is_ok() {}
                },
            );
        peer.detach();
        ws.set_recv_timeout(Some(NANOSECOND)).unwrap();
        let mut reader = ws.message_reader().unwrap();
        thread::sleep(ms(50));
        let mut text = String::new();
        for _ in 0..5 {
            let error = by_deadline(ms(200), || reader.read_to_string(&mut text)).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        }
    });
}

// A moment, and a duration for the other shapes.

#[test]
fn recv_deadline_waits_until_that_moment_and_no_longer() {
    bounded(20, || {
        let (mut ws, go, peer) =
            when_told(Layer::Tcp, &ConnectOptions::new().recv_timeout(ms(5000)), frame(0x81, "late"));
        at_deadline(ms(300), || assert_timeout(ws.recv_deadline(Instant::now() + ms(300))));
        // A moment that is over looks once, too.
        let before = Instant::now();
        thread::sleep(ms(20));
        promptly(|| assert_timeout(ws.recv_deadline(before)));
        go.send(()).unwrap();
        assert_eq!(ws.recv_deadline(Instant::now() + ms(10_000)).unwrap(), Message::from("late"));
        drop(ws);
        peer.join();
    });
}

#[test]
fn one_deadline_holds_for_many_receives() {
    bounded(20, || {
        let (mut ws, peer) = open_on(Layer::Tcp, &ConnectOptions::new(), |mut server| {
            while server.try_say(frame(0x81, "tick")).is_ok() {
                thread::sleep(ms(20));
            }
        });
        let count = at_deadline(ms(400), || {
            let deadline = Instant::now() + ms(400);
            let mut count = 0;
            loop {
                match ws.recv_deadline(deadline) {
                    Ok(message) => assert_eq!(message, Message::from("tick")),
                    other => break assert_timeout(other),
                }
                count += 1;
            }
            count
        });
        assert!(count >= 2, "{count}");
        drop(ws);
        peer.join();
    });
}

#[test]
fn recv_deadline_knows_moments_that_are_far_away() {
    bounded(20, || {
        let first = frame(0x81, "now").repeat(2);
        let (mut ws, peer) = open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, |mut server| {
            thread::sleep(ms(100));
            server.say(frame(0x81, "then"));
            server.rest();
        });
        let centuries = Instant::now() + Duration::from_secs(200 * 365 * 86_400);
        for expected in ["now", "now", "then"] {
            assert_eq!(ws.recv_deadline(centuries).unwrap(), Message::from(expected));
        }
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_close_and_a_violation_are_answered_within_the_deadline_of_the_receive() {
    type Until = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Until)] = &[
        ("recv_deadline", |ws| unit(ws.recv_deadline(Instant::now() + ms(300)))),
        ("recv_data_timeout", |ws| unit(ws.recv_data_timeout(ControlFrames::Show, ms(300)))),
        ("recv_data_frame_timeout", |ws| unit(ws.recv_data_frame_timeout(ControlFrames::Show, ms(300)))),
    ];
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES {
        for (end, code) in [(frame(0x88, b"\x03\xe9bye"), 1001), (frame(0x83, ""), 1002)] {
            cases.add(format!("{name}, {code}"), move || {
                let (go, waits) = mpsc::channel::<()>();
                let (mut ws, peer) =
                    open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), end, move |mut server: Server| {
                        let code = server.close_code();
                        // It does not hang up.
                        let _ = waits.recv();
                        code
                    });
                let _ = by_deadline(ms(300), || receive(&mut ws));
                let info = closed(by_deadline(ms(300), || receive(&mut ws)));
                assert_eq!(info.code.0, code);
                drop(go);
                assert_eq!(peer.join(), code);
            });
        }
    }
    cases.run(10);
}

#[test]
fn recv_data_timeout_and_recv_data_frame_timeout_keep_their_time_and_show_what_is_asked_for() {
    bounded(20, || {
        let options = ConnectOptions::new().recv_timeout(ms(5000));
        let said = [frame(0x89, "ping"), frame(0x01, "a "), frame(0x8A, "pong"), frame(0x80, "b"), frame(0x82, [3])];
        let (mut ws, go, peer) = when_told(Layer::Tcp, &options, [said.concat(), said.concat()].concat());
        let (long, show, hide) = (ms(10_000), ControlFrames::Show, ControlFrames::Hide);
        at_deadline(ms(200), || assert_timeout(ws.recv_data_timeout(hide, ms(200))));
        at_deadline(ms(200), || assert_timeout(ws.recv_data_frame_timeout(show, ms(200))));
        go.send(()).unwrap();
        assert_eq!(ws.recv_data_timeout(show, long).unwrap(), (Opcode::Ping, b"ping".to_vec()));
        assert_eq!(ws.recv_data_frame_timeout(show, long).unwrap(), Frame::new(Opcode::Pong, *b"pong"));
        assert_eq!(ws.recv_data_timeout(hide, long).unwrap(), (Opcode::Text, b"a b".to_vec()));
        assert_eq!(ws.recv_data_frame_timeout(hide, long).unwrap(), Frame::new(Opcode::Binary, [3]));
        assert_eq!(ws.recv_data_frame_timeout(hide, long).unwrap(), Frame::new(Opcode::Text, *b"a b"));
        assert_eq!(ws.recv_data_timeout(hide, long).unwrap(), (Opcode::Binary, vec![3]));
        drop(ws);
        peer.join();
    });
}

#[test]
fn recv_data_frame_timeout_gives_fragments_where_they_are_asked_for() {
    bounded(20, || {
        let first = [frame(0x01, "a "), frame(0x00, "b "), frame(0x80, "c")].concat();
        let options = ConnectOptions::new().fire_cont_frame();
        let (mut ws, peer) = open_saying(Layer::Tcp, tcp_pair, &options, first, |mut server| drop(server.rest()));
        let mut next = || ws.recv_data_frame_timeout(ControlFrames::Hide, ms(5000)).unwrap();
        let fragments = [next(), next(), next()];
        assert_eq!(
            fragments.map(|frame| (frame.fin, frame.payload)),
            [(false, b"a ".to_vec()), (false, b"b ".to_vec()), (true, b"c".to_vec())]
        );
        assert_timeout(ws.recv_data_timeout(ControlFrames::Hide, ZERO));
        drop(ws);
        peer.join();
    });
}

#[test]
fn what_another_kind_of_receive_has_begun_is_not_taken_by_these() {
    bounded(20, || {
        let first = frame(0x81, "whole")[..4].to_vec();
        let (go, waits) = mpsc::channel::<()>();
        let (mut ws, peer) =
            open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, move |mut server: Server| {
                waits.recv().unwrap();
                server.say("ole");
                server.rest();
            });
        ws.set_recv_timeout(Some(ms(50))).unwrap();
        assert_timeout(ws.recv_frame());
        for refusal in [
            refused(ws.recv_deadline(Instant::now())),
            refused(ws.recv_timeout(ZERO)),
            refused(ws.recv_data_timeout(ControlFrames::Hide, ZERO)),
            refused(ws.recv_data_frame_timeout(ControlFrames::Hide, ms(50))),
        ] {
            assert!(matches!(refusal, Error::Usage(LocalProtocolError::ReceivingMessage)), "{refusal:?}");
        }
        go.send(()).unwrap();
        ws.set_recv_timeout(None).unwrap();
        assert_eq!(ws.recv_frame().unwrap(), Frame::new(Opcode::Text, *b"whole"));
        drop(ws);
        peer.join();
    });
}

#[test]
fn who_is_not_connected_receives_nothing_by_any_deadline() {
    let mut ws = WebSocket::new();
    let later = Instant::now() + ms(5000);
    assert_eq!(closed(promptly(|| ws.recv_deadline(later))).cause, CloseCause::NotConnected);
    assert_eq!(closed(promptly(|| ws.recv_timeout(ZERO))).cause, CloseCause::NotConnected);
    let all = ControlFrames::Show;
    assert_eq!(closed(promptly(|| ws.recv_data_timeout(all, ms(5000)))).cause, CloseCause::NotConnected);
    assert_eq!(closed(promptly(|| ws.recv_data_frame_timeout(all, ms(5000)))).cause, CloseCause::NotConnected);
}
