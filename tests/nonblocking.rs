//! Receiving, sending and closing without waiting, over TCP and over TLS: for loops of the user's own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use support::cases::Cases;
use support::{Peer, at_once, bounded, by_deadline, closed, frame, join, ms, narrow};
use websocket_sync::protocol::ProtocolError;
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, ControlFrames, Error, Frame, Interest, Message, MessageRef, Opcode,
    TlsBackend, TlsOptions, Transport, WebSocket,
};

/// Over TCP, and over TLS of each library.
const PLAIN_AND_TLS: &[Layer] = &[
    Layer::Plain,
    #[cfg(feature = "native-tls")]
    Layer::Tls(TlsBackend::NativeTls),
    #[cfg(feature = "rustls")]
    Layer::Tls(TlsBackend::Rustls),
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Layer {
    Plain,
    Tls(TlsBackend),
}

/// An open connection to a peer that goes on with its script; TLS ends before the peer.
fn open<T: Send + 'static>(
    layer: Layer,
    options: &ConnectOptions,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> (WebSocket, JoinHandle<T>) {
    open_over(roomy, layer, options, script)
}

/// A pair of connected sockets that hold a lot.
fn roomy() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// The same over sockets of some kind.
fn open_over<T: Send + 'static>(
    pair: fn() -> (TcpStream, TcpStream),
    layer: Layer,
    options: &ConnectOptions,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> (WebSocket, JoinHandle<T>) {
    let (ours, theirs) = pair();
    let script = |theirs| {
        thread::spawn(move || {
            let mut peer = Peer::new(theirs);
            peer.accept();
            script(peer)
        })
    };
    match layer {
        Layer::Plain => {
            let script = script(theirs);
            (options.connect_over(ours, "ws://peer/").unwrap(), script)
        }
        Layer::Tls(backend) => {
            let authority = tls_peer::Authority::new();
            let config = authority.server("localhost");
            let (inner, plain) = pair();
            thread::spawn(move || forward(tls_peer::accept(config, theirs).unwrap(), &inner));
            let script = script(plain);
            let options =
                options.clone().tls(TlsOptions::new().backend(backend).ca_certs_pem(authority.pem.as_bytes()));
            (options.connect_over(ours, "wss://localhost/").unwrap(), script)
        }
    }
}

/// Does the same over each layer, at the same time.
fn on_each_layer(test: fn(Layer)) {
    let mut cases = Cases::new();
    for &layer in PLAIN_AND_TLS {
        cases.add(format!("{layer:?}"), move || test(layer));
    }
    cases.run(60);
}

/// Passes bytes on between the TLS of one side and the other side, until both have ended.
fn forward(mut tls: tls_peer::Peer<TcpStream>, mut plain: &TcpStream) {
    tls.sock.set_read_timeout(Some(ms(1))).unwrap();
    plain.set_read_timeout(Some(ms(1))).unwrap();
    let mut buf = vec![0; 16 * 1024];
    let (mut from_tls, mut from_plain) = (true, true);
    while from_tls || from_plain {
        if from_tls {
            match tls.read(&mut buf) {
                Err(error) if is_nothing(&error) => {}
                Ok(length @ 1..) => from_tls = plain.write_all(&buf[..length]).is_ok(),
                Ok(0) | Err(_) => from_tls = false,
            }
            if !from_tls {
                let _ = plain.shutdown(Shutdown::Write);
            }
        }
        if from_plain {
            match plain.read(&mut buf) {
                Err(error) if is_nothing(&error) => {}
                Ok(length @ 1..) => from_plain = tls.write_all(&buf[..length]).and_then(|()| tls.flush()).is_ok(),
                Ok(0) | Err(_) => from_plain = false,
            }
            if !from_plain {
                tls.conn.send_close_notify();
                let _ = tls.flush();
                let _ = tls.sock.shutdown(Shutdown::Write);
            }
        }
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Asks again and again, as a game would, until there is something or ten seconds have passed.
fn until<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "nothing came");
        thread::sleep(ms(1));
    }
}

/// The next message.
fn next(ws: &mut WebSocket) -> Message {
    until(|| ws.try_recv().unwrap())
}

/// Receives until an error, and nothing else comes.
fn last(ws: &mut WebSocket) -> Error {
    until(|| match ws.try_recv() {
        Ok(None) => None,
        Ok(Some(message)) => panic!("{message:?}"),
        Err(error) => Some(error),
    })
}

#[test]
fn a_message_that_comes_byte_by_byte_is_there_when_its_last_byte_is() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            let fragments = [frame(0x01, "one "), frame(0x89, "?"), frame(0x80, "message")].concat();
            peer.drip([frame(0x81, "H\u{e9}llo"), fragments, frame(0x82, [7; 300])].concat(), ms(1));
            assert_eq!(peer.frame(), (0x8A, b"?".to_vec()));
            peer.end()
        });
        let mut asked = 0;
        let mut patiently = || {
            until(|| {
                asked += 1;
                let message = ws.try_recv().unwrap();
                assert!(message.is_some() || !ws.has_buffered(), "a beginning is nothing to be looked at");
                message
            })
        };
        assert_eq!(patiently(), Message::Text("H\u{e9}llo".into()), "{layer:?}");
        assert_eq!(patiently(), Message::Text("one message".into()));
        assert_eq!(patiently(), Message::Binary(vec![7; 300]));
        assert!(asked > 30, "{asked}: it did not come by and by");
        ws.close().unwrap();
        assert_eq!(join(peer), 1000);
    });
}

#[test]
fn nothing_at_hand_is_none_and_costs_no_time() {
    bounded(60, || {
        for &layer in PLAIN_AND_TLS {
            let options = ConnectOptions::new().timeout(Duration::from_secs(30));
            let (mut ws, peer) = open(layer, &options, |mut peer| peer.rest());
            at_once(|| {
                for _ in 0..25 {
                    assert!(ws.try_recv().unwrap().is_none());
                    assert!(ws.try_recv_ref().unwrap().is_none());
                    assert!(ws.try_recv_data_frame(ControlFrames::Show).unwrap().is_none());
                    assert!(ws.try_flush().unwrap() && !ws.wants_write() && ws.close_deadline().is_none());
                }
            });
            drop(ws);
            join(peer);
        }
    });
}

#[test]
fn what_came_together_is_received_one_by_one_borrowed_or_owned_or_as_frames() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            let frames = [
                frame(0x81, "a"),
                frame(0x82, "b"),
                frame(0x89, "c"),
                frame(0x8A, "d"),
                frame(0x01, "e"),
                frame(0x80, "f"),
                frame(0x88, b"\x03\xe8"),
            ];
            peer.say(frames.concat());
            assert_eq!(peer.frame(), (0x8A, b"c".to_vec()));
            assert_eq!(peer.close_code(), 1000);
        });
        until(|| ws.try_recv_ref().unwrap().map(|message| assert_eq!(message, MessageRef::Text("a"))));
        assert_eq!(next(&mut ws), Message::Binary(b"b".to_vec()));
        for (opcode, payload) in [(Opcode::Ping, "c"), (Opcode::Pong, "d"), (Opcode::Text, "ef")] {
            let heard = until(|| ws.try_recv_data_frame(ControlFrames::Show).unwrap());
            assert_eq!(heard, Frame::new(opcode, payload.as_bytes()), "{layer:?}");
        }
        let heard = until(|| ws.try_recv_data_frame(ControlFrames::Show).unwrap());
        assert_eq!(heard, Frame::new(Opcode::Close, *b"\x03\xe8"));
        assert_eq!(closed(ws.try_recv_data_frame(ControlFrames::Show)).cause, CloseCause::Remote);
        join(peer);
    });
}

#[test]
fn what_the_peer_does_not_take_waits_in_its_order_and_leaves_when_it_does() {
    on_each_layer(|layer| {
        let options = ConnectOptions::new().max_unsent(256 * 1024);
        let (go, may_read) = std::sync::mpsc::channel::<usize>();
        let (mut ws, peer) = open_over(narrow, layer, &options, move |mut peer| {
            let sent = may_read.recv().unwrap();
            for number in 0..sent {
                let (first, payload) = peer.frame();
                assert_eq!((first, payload.len()), (0x82, 10_000));
                assert_eq!(payload[..8], number.to_be_bytes());
            }
            peer.end()
        });
        let message = |number: usize| {
            let mut message = vec![0; 10_000];
            message[..8].copy_from_slice(&number.to_be_bytes());
            message
        };
        let mut sent = 0;
        // As long as anybody in between takes it, it goes.
        let mut since = Instant::now();
        while since.elapsed() < ms(300) {
            match at_once(|| ws.try_send_binary(&message(sent))) {
                Ok(length) => {
                    assert_eq!(length, 10_000 + 8);
                    (sent, since) = (sent + 1, Instant::now());
                }
                Err(Error::Full) => thread::sleep(ms(10)),
                Err(error) => panic!("{error}"),
            }
        }
        assert!(ws.wants_write() && !ws.try_flush().unwrap());
        assert!(ws.memory() < 3 * 256 * 1024, "{layer:?}: {}", ws.memory());
        assert!(matches!(ws.try_ping(""), Ok(()) | Err(Error::Full)), "a ping may find room, a message not");
        assert!(ws.try_recv().unwrap().is_none(), "who receives does not wait for it either");
        let late = ws.sender();
        let too_large = ws.try_send_binary(&vec![0; 256 * 1024]).unwrap_err();
        assert!(matches!(&too_large, Error::Options(problem) if problem.option == "max_unsent"), "{too_large:?}");
        go.send(sent).unwrap();
        until(|| ws.try_flush().unwrap().then_some(()));
        assert!(!ws.wants_write());
        late.try_close(CloseCode(4000), "").unwrap();
        assert_eq!(closed::<()>(Err(last(&mut ws))).cause, CloseCause::Local);
        assert_eq!(join(peer), 4000);
    });
}

#[test]
fn a_sender_that_waits_sends_the_tail_first() {
    on_each_layer(|layer| {
        let (ws, peer) = open_over(narrow, layer, &ConnectOptions::new(), |mut peer| {
            thread::sleep(ms(100));
            for expected in ["tail", "waits", "last"] {
                assert_eq!(peer.frame().1[..4], expected.as_bytes()[..4]);
            }
            peer.end()
        });
        ws.try_send_text(&format!("tail{}", "x".repeat(900_000))).unwrap();
        assert!(ws.wants_write());
        let sender = ws.sender();
        let waiting = thread::spawn(move || sender.send_text(&format!("waits{}", "x".repeat(900_000))));
        join(waiting).unwrap();
        assert!(!ws.wants_write());
        ws.try_send_text("last").unwrap();
        ws.close().unwrap();
        assert_eq!(join(peer), 1000);
    });
}

#[test]
fn a_close_that_answers_the_peers_waits_for_room_and_leaves_behind_the_tail() {
    bounded(60, || {
        let (go, may_read) = std::sync::mpsc::channel::<()>();
        let (mut ws, peer) = open_over(narrow, Layer::Plain, &ConnectOptions::new(), move |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9"));
            may_read.recv().unwrap();
            peer.rest()
        });
        ws.try_send_binary(&[1; 1_000_000]).unwrap();
        for _ in 0..10 {
            at_once(|| assert!(ws.try_recv().unwrap().is_none()));
            thread::sleep(ms(5));
        }
        go.send(()).unwrap();
        let error = until(|| ws.try_recv().err());
        assert!(matches!(error, Error::Closed(info) if info.code == CloseCode(1001)));
        let heard = join(peer);
        let (frames, rest) = support::parse_all(&heard);
        assert!(rest.is_empty());
        assert_eq!(frames.len(), 2);
        assert_eq!((frames[0].1.len(), &frames[1]), (1_000_000, &(0x88, b"\x03\xe9".to_vec())));
    });
}

#[test]
fn a_message_with_its_header_may_be_as_large_as_what_may_wait() {
    // As long as a header can be.
    const HEADER: usize = 14;
    bounded(60, || {
        let options = ConnectOptions::new().max_unsent(1000);
        let (ws, peer) = open(Layer::Plain, &options, |mut peer| {
            assert_eq!(peer.frame().1.len(), 1000 - HEADER);
            peer.end()
        });
        assert!(matches!(ws.try_send_binary(&[1; 1001 - HEADER]), Err(Error::Options(_))));
        ws.try_send_binary(&[1; 1000 - HEADER]).unwrap();
        ws.close().unwrap();
        join(peer);
    });
}

#[test]
fn a_receive_that_waits_sends_the_tail_on() {
    bounded(60, || {
        let (mut ws, peer) = open_over(narrow, Layer::Plain, &ConnectOptions::new(), |mut peer| {
            thread::sleep(ms(100));
            assert_eq!(peer.frame().1.len(), 60_000);
            peer.say(frame(0x81, "got it"));
            peer.end()
        });
        ws.try_send_binary(&[1; 60_000]).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("got it".into()));
        ws.close().unwrap();
        join(peer);
    });
}

#[test]
fn a_send_that_times_out_behind_the_tail_of_another_tears_nothing() {
    bounded(60, || {
        let options = ConnectOptions::new().send_timeout(ms(200));
        let (ws, peer) = open_over(narrow, Layer::Plain, &options, |mut peer| {
            // Enough for a part of the tail to leave while the other one waits.
            thread::sleep(ms(100));
            let mut some = vec![0; 30_000];
            (&*peer.socket()).read_exact(&mut some).unwrap();
            thread::sleep(ms(400));
            let rest: Vec<u8> = peer.rest();
            [some, rest].concat()
        });
        ws.try_send_binary(&[1; 1_000_000]).unwrap();
        assert!(ws.send_text("too late").unwrap_err().is_timeout());
        assert!(ws.connected() && ws.wants_write());
        until(|| ws.try_flush().unwrap().then_some(()));
        ws.send_text("in time").unwrap();
        drop(ws);
        let heard = join(peer);
        let (frames, rest) = support::parse_all(&heard);
        assert!(rest.is_empty());
        assert_eq!(frames.len(), 3);
        assert_eq!((frames[0].1.len(), frames[1].1.as_slice(), frames[2].0), (1_000_000, &b"in time"[..], 0x88));
    });
}

#[test]
fn while_another_thread_waits_in_a_send_nothing_more_is_taken_and_nobody_waits() {
    bounded(60, || {
        let (go, may_read) = std::sync::mpsc::channel::<()>();
        let (mut ws, peer) = open_over(narrow, Layer::Plain, &ConnectOptions::new(), move |mut peer| {
            may_read.recv().unwrap();
            assert_eq!(peer.frame().1.len(), 10_000_000);
            assert_eq!(peer.frame(), (0x81, b"now".to_vec()));
            peer.end()
        });
        let sender = ws.sender();
        let waiting = thread::spawn(move || sender.send_binary(&[1; 10_000_000]));
        thread::sleep(ms(100));
        at_once(|| assert!(matches!(ws.try_send_text("later"), Err(Error::Full))));
        at_once(|| assert!(matches!(ws.try_ping("later"), Err(Error::Full))));
        at_once(|| assert!(ws.try_recv().unwrap().is_none()));
        go.send(()).unwrap();
        join(waiting).unwrap();
        ws.try_send_text("now").unwrap();
        ws.close().unwrap();
        join(peer);
    });
}

#[test]
fn the_frames_of_senders_that_wait_and_of_those_that_do_not_are_whole_and_in_order() {
    const EACH: usize = 300;
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            let mut next = [0_usize; 4];
            for _ in 0..4 * EACH {
                let (_, payload) = peer.frame();
                let (who, number) = (payload[0] as usize, usize::from_be_bytes(*payload[1..].first_chunk().unwrap()));
                assert_eq!(number, next[who]);
                assert!(payload[9..].iter().all(|byte| usize::from(*byte) == who));
                next[who] += 1;
            }
            peer.end()
        });
        let senders: Vec<_> = (0..4_u8)
            .map(|who| {
                let sender = ws.sender();
                thread::spawn(move || {
                    for number in 0..EACH {
                        let message = [&[who], &number.to_be_bytes()[..], &vec![who; 50 + number * 7]].concat();
                        if who % 2 == 0 {
                            sender.send_binary(&message).unwrap();
                            continue;
                        }
                        until(|| match sender.try_send_binary(&message) {
                            Ok(_) => Some(()),
                            Err(Error::Full) => None,
                            Err(error) => panic!("{error}"),
                        });
                    }
                })
            })
            .collect();
        while senders.iter().any(|sender| !sender.is_finished()) {
            assert!(ws.try_recv().unwrap().is_none());
        }
        senders.into_iter().for_each(join);
        until(|| ws.try_flush().unwrap().then_some(()));
        ws.close().unwrap();
        assert_eq!(join(peer), 1000);
    });
}

#[test]
fn a_close_of_ours_needs_no_waiting_and_what_was_said_before_is_received() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.close_code(), 4001);
            peer.say([frame(0x81, "before"), frame(0x88, b"\x0f\xa1")].concat());
            assert_eq!(peer.rest(), b"");
        });
        at_once(|| ws.try_close(CloseCode(4001), "done").unwrap());
        let deadline = ws.close_deadline().unwrap();
        assert!(deadline > Instant::now() && deadline < Instant::now() + ms(3100));
        ws.try_close(CloseCode(4002), "again").unwrap();
        assert_eq!(closed(ws.try_send_text("late")).cause, CloseCause::Closing);
        assert_eq!(next(&mut ws), Message::Text("before".into()));
        let info = closed::<()>(Err(last(&mut ws)));
        assert_eq!((info.code, info.cause), (CloseCode(4001), CloseCause::Local));
        assert_eq!(closed(ws.try_recv()), info);
        assert_eq!(closed(ws.try_close(CloseCode::NORMAL, "")), info);
        assert!(ws.close_deadline().is_none());
        drop(ws);
        join(peer);
    });
}

#[test]
fn a_close_that_the_peer_does_not_answer_ends_at_its_deadline() {
    on_each_layer(|layer| {
        let options = ConnectOptions::new().close_timeout(ms(200));
        let (mut ws, peer) = open(layer, &options, |peer| {
            // It goes on talking, and never of the end.
            while peer.try_say(frame(0x81, "still here")).is_ok() {
                thread::sleep(ms(5));
            }
        });
        ws.try_close(CloseCode::NORMAL, "").unwrap();
        let info = by_deadline(ms(200), || until(|| ws.try_recv().err()));
        assert_eq!(closed::<()>(Err(info)).cause, CloseCause::Unanswered, "{layer:?}");
        drop(ws);
        join(peer);
    });
}

#[test]
fn the_peers_close_is_answered_and_the_peer_has_time_to_hang_up() {
    on_each_layer(|layer| {
        let options = ConnectOptions::new().close_timeout(ms(300));
        let (mut ws, peer) = open(layer, &options, |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9bye"));
            assert_eq!(peer.frame(), (0x88, b"\x03\xe9".to_vec()));
            thread::sleep(ms(100));
        });
        let info = closed::<()>(Err(last(&mut ws)));
        assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode(1001), "bye", CloseCause::Remote));
        drop(ws);
        join(peer);

        let (mut ws, peer) = open(layer, &options, |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9"));
            assert_eq!(peer.frame().0, 0x88);
            peer
        });
        until(|| {
            assert!(ws.try_recv().unwrap().is_none());
            ws.close_deadline()
        });
        let info = by_deadline(ms(300), || last(&mut ws));
        assert_eq!(closed::<()>(Err(info)).cause, CloseCause::Remote, "it does not hang up");
        drop(join(peer));
    });
}

#[test]
fn who_breaks_a_rule_is_told_and_the_error_is_typed() {
    on_each_layer(|layer| {
        for (said, code, error) in [
            (frame(0x83, ""), 1002, ProtocolError::UnknownOpcode(3)),
            (frame(0x81, b"\xff"), 1007, ProtocolError::TextNotUtf8),
            (frame(0x82, vec![0; 2000]), 1009, ProtocolError::MessageTooBig { limit: 1000 }),
        ] {
            let options = ConnectOptions::new().max_message_size(1000).max_frame_size(10_000);
            let (mut ws, peer) = open(layer, &options, move |mut peer| {
                peer.say(said);
                // What is unread must not become a reset that overtakes the Close.
                peer.say(vec![0; 20_000]);
                peer.close_code()
            });
            let heard = last(&mut ws);
            assert!(matches!(heard, Error::Protocol(heard) if heard == error), "{heard:?}");
            assert_eq!(closed(ws.try_recv()).cause, CloseCause::Violation(error));
            assert_eq!(join(peer), code);
        }
    });
}

#[test]
fn what_lies_behind_the_end_is_not_to_be_looked_at() {
    let mut cases = Cases::new();
    for (name, end) in [("a violation", frame(0x83, "")), ("a Close", frame(0x88, b"\x03\xe8"))] {
        cases.add(name, move || {
            let options = ConnectOptions::new().close_timeout(ms(300));
            let (mut ws, peer) = open(Layer::Plain, &options, move |peer| {
                peer.say([end, frame(0x81, "never").repeat(10)].concat());
                thread::sleep(ms(600));
            });
            until(|| ws.try_recv().unwrap().is_none().then(|| ws.close_deadline()).flatten());
            for _ in 0..10 {
                assert!(ws.try_recv().unwrap().is_none());
                assert!(!ws.has_buffered(), "there is nothing to do before the deadline");
            }
            last(&mut ws);
            join(peer);
        });
    }
    cases.run(30);
}

#[test]
fn a_loss_is_told_after_what_came_before_it() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |peer| peer.say(frame(0x81, "last words")));
        assert_eq!(next(&mut ws), Message::Text("last words".into()));
        let info = closed::<()>(Err(last(&mut ws)));
        assert!(matches!(info.cause, CloseCause::Lost(_)), "{info:?}");
        assert!(matches!(ws.try_send_text("?"), Err(Error::Closed(_))));
        assert!(matches!(ws.try_flush(), Err(Error::Closed(_))) && !ws.wants_write());
        join(peer);
    });
    let mut unconnected = WebSocket::new();
    assert_eq!(closed(unconnected.try_recv()).cause, CloseCause::NotConnected);
    assert_eq!(closed(unconnected.try_send_text("")).cause, CloseCause::NotConnected);
    unconnected.release();
}

#[test]
fn what_was_begun_without_waiting_can_be_finished_by_waiting() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x01, "half a "));
            assert_eq!(peer.frame(), (0x81, b"go on".to_vec()));
            peer.say(frame(0x80, "message"));
            assert_eq!(peer.close_code(), 1000);
            peer.say(frame(0x88, b"\x03\xe8"));
            assert_eq!(peer.rest(), b"");
        });
        for _ in 0..20 {
            assert!(ws.try_recv().unwrap().is_none());
            thread::sleep(ms(1));
        }
        ws.try_send_text("go on").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::Text("half a message".into()));
        ws.try_close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
        join(peer);

        // The peer's Close is half answered when somebody waits for the rest.
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x88, b"\x03\xe9"));
            assert_eq!(peer.frame().0, 0x88);
            thread::sleep(ms(100));
        });
        until(|| {
            assert!(ws.try_recv().unwrap().is_none());
            ws.close_deadline()
        });
        let info = closed(ws.recv());
        assert_eq!((info.code, info.cause), (CloseCode(1001), CloseCause::Remote), "{layer:?}");
        join(peer);
    });
}

#[test]
fn a_close_from_another_thread_is_finished_by_a_loop_that_does_not_wait() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), Peer::end);
        let sender = ws.sender();
        let closing = thread::spawn(move || by_deadline(ms(1000), || sender.close().unwrap()));
        assert_eq!(closed::<()>(Err(last(&mut ws))).cause, CloseCause::Local);
        join(closing);
        assert_eq!(join(peer), 1000);
    });
}

/// After the opening, the same bytes again and again, as fast as they are taken.
#[derive(Debug)]
struct Endless {
    opening: Box<dyn Transport>,
    says: Vec<u8>,
    said: std::sync::atomic::AtomicUsize,
}

impl Transport for Endless {
    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.opening.read(buf, deadline)
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let start = self.said.fetch_add(buf.len(), std::sync::atomic::Ordering::Relaxed);
        let endless = self.says.iter().cycle().skip(start % self.says.len());
        buf.iter_mut().zip(endless).for_each(|(to, from)| *to = *from);
        Ok(buf.len())
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.opening.try_write(buf)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.opening.wait(interest, deadline)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.opening.shutdown(how)
    }
}

#[test]
fn a_peer_that_sends_without_a_pause_cannot_keep_a_call_from_returning() {
    bounded(60, || {
        for says in [frame(0x00, vec![b'x'; 6000]), frame(0x89, [b'?'; 125])] {
            let (ours, theirs) = narrow();
            let peer = thread::spawn(move || {
                let mut peer = Peer::new(theirs);
                peer.accept();
                // A message begins and never ends.
                peer.say(frame(0x01, ""));
                peer.rest();
            });
            let options = ConnectOptions::new().max_control_frames(u32::MAX).max_fragments(u32::MAX);
            let endless = Endless { opening: ours.into(), says, said: 0.into() };
            let mut ws = options.connect_over(endless, "ws://peer/").unwrap();
            ws.recv_timeout(ms(100)).unwrap_err();
            for _ in 0..3 {
                assert!(ws.try_recv().unwrap().is_none());
                assert!(ws.has_buffered(), "there is more");
            }
            drop(ws);
            join(peer);
        }
    });
}

#[test]
fn a_receive_that_waits_gives_back_what_a_large_message_has_taken() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            // Five records with TLS, which are read past all buffers but its own.
            let message = frame(0x82, vec![1; 5 << 14]);
            peer.say(&message[..10]);
            assert_eq!(peer.frame().1, b"go on");
            peer.say(&message[10..]);
            peer.end()
        });
        assert!(ws.recv_timeout(ms(200)).unwrap_err().is_timeout());
        ws.send_text("go on").unwrap();
        assert_eq!(ws.recv().unwrap().len(), 5 << 14);
        assert!(ws.recv_timeout(ms(1300)).unwrap_err().is_timeout());
        assert!(ws.memory() < 3 * 4096, "{layer:?}: {}", ws.memory());
        ws.close().unwrap();
        join(peer);
    });
}

#[test]
fn a_connection_that_has_fallen_silent_gives_its_memory_back() {
    on_each_layer(|layer| {
        let (mut ws, peer) = open(layer, &ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x82, vec![1; 1_000_000]));
            assert_eq!(peer.frame().1.len(), 500_000);
            peer.say(frame(0x81, "after"));
            peer.end()
        });
        assert_eq!(next(&mut ws).as_bytes().len(), 1_000_000);
        ws.try_send_binary(&[2; 500_000]).unwrap();
        until(|| ws.try_flush().unwrap().then_some(()));
        assert!(ws.memory() > 0);
        ws.release();
        assert!(ws.memory() < 1024, "{layer:?}: {}", ws.memory());
        assert_eq!(next(&mut ws), Message::Text("after".into()));
        ws.close().unwrap();
        join(peer);
    });
}

/// A stream that can do no more than read and write with a timeout.
#[derive(Debug)]
struct Old(Box<dyn Transport>);

impl Old {
    fn read_within(&self, buf: &mut [u8], timeout: Option<Duration>) -> io::Result<usize> {
        self.0.read(buf, timeout.map(|timeout| Instant::now() + timeout))
    }

    fn write_within(&self, buf: &[u8], timeout: Duration) -> io::Result<usize> {
        if self.0.wait(Interest::Write, Some(Instant::now() + timeout))? {
            self.0.try_write(buf)
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

impl Transport for Old {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_within(buf, Some(ms(1)))
    }

    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.read_within(buf, deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())))
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.write_within(buf, ms(1))
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

#[test]
fn a_transport_that_knows_only_timeouts_hardly_waits() {
    bounded(60, || {
        let (ours, theirs) = narrow();
        let peer = thread::spawn(move || {
            let mut peer = Peer::new(theirs);
            peer.accept();
            peer.say(frame(0x81, "hello"));
            peer.end()
        });
        let mut ws = ConnectOptions::new().connect_over(Old(ours.into()), "ws://peer/").unwrap();
        assert_eq!(next(&mut ws), Message::Text("hello".into()));
        by_deadline(ms(200), || {
            for _ in 0..20 {
                assert!(ws.try_recv().unwrap().is_none());
            }
        });
        ws.try_close(CloseCode::NORMAL, "").unwrap();
        assert_eq!(closed::<()>(Err(last(&mut ws))).cause, CloseCause::Local);
        assert_eq!(join(peer), 1000);
    });
}
