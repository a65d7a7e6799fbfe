//! Every call that waits returns when its time is up, whatever the peer does, and what it leaves behind is in order.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use support::cases::Cases;
use support::{
    Memory, Peer, at_deadline, at_once, bounded, by_deadline, closed, fill, frame, join, ms, narrow, open, open_over,
    serve, timed,
};
#[cfg(unix)]
use websocket_sync::SocketOptions;
use websocket_sync::protocol::{Frame, ProtocolError};
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, ControlFrames, Error, Message, MessageKind, Opcode, Phase, Result, WebSocket,
};

/// How often somebody speaks who takes his time.
const SLOWLY: Duration = ms(250);

#[track_caller]
fn timed_out<T: std::fmt::Debug>(phase: Phase, result: Result<T>) {
    match result {
        Err(Error::Timeout(what)) if what == phase => {}
        other => panic!("{other:?}, not a timeout of {phase}"),
    }
}

// Opening.

#[test]
fn an_answer_that_comes_byte_by_byte_does_not_extend_the_open_timeout() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| {
            let answer = support::answer_to(&peer.head());
            peer.drip(answer, SLOWLY);
        });
        let options = ConnectOptions::new().open_timeout(ms(600));
        timed_out(Phase::Handshake, at_deadline(ms(600), || options.connect(&url)));
        peer.join();
    });
}

#[test]
fn interim_answers_do_not_extend_the_open_timeout() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| {
            peer.head();
            while peer.try_say("HTTP/1.1 103 Early Hints\r\n\r\n").is_ok() {
                thread::sleep(SLOWLY);
            }
        });
        let options = ConnectOptions::new().open_timeout(ms(600));
        timed_out(Phase::Handshake, at_deadline(ms(600), || options.connect(&url)));
        peer.join();
    });
}

#[test]
fn a_server_that_never_answers_costs_the_open_timeout() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| peer.rest());
        let options = ConnectOptions::new().open_timeout(ms(300));
        timed_out(Phase::Handshake, at_deadline(ms(300), || options.connect(&url)));
        peer.join();
    });
}

#[test]
fn timeout_covers_opening_as_well() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| peer.rest());
        let options = ConnectOptions::new().timeout(ms(300));
        timed_out(Phase::Handshake, at_deadline(ms(300), || options.connect(&url)));
        peer.join();
    });
}

/// The system takes connections that nobody accepts until its queue is full; then it lets them wait.
#[cfg(target_os = "linux")]
#[test]
fn a_server_that_never_accepts_costs_the_open_timeout() {
    bounded(20, || {
        let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        loop {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            if socket.connect_timeout(&address, ms(100)).is_err() {
                break;
            }
            queue.push(socket);
        }
        let url = format!("ws://{}/", address.as_socket().unwrap());
        let options = ConnectOptions::new().open_timeout(ms(300));
        timed_out(Phase::Connect, at_deadline(ms(300), || options.connect(&url)));
    });
}

#[test]
fn a_name_that_does_not_resolve_in_time_costs_the_open_timeout() {
    bounded(20, || {
        let (wake, sleeps) = mpsc::channel::<()>();
        let sleeps = std::sync::Mutex::new(sleeps);
        let options = ConnectOptions::new().open_timeout(ms(300)).resolver(move |_, port| {
            let _ = sleeps.lock().unwrap().recv();
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        timed_out(Phase::Resolve, at_deadline(ms(300), || options.connect("ws://slow.example/")));
        drop(wake);
    });
}

#[test]
fn the_open_timeout_is_one_for_all_phases() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| peer.rest());
        let port: u16 = url.trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        let options = ConnectOptions::new().open_timeout(ms(500)).resolver(|_, port| {
            thread::sleep(ms(400));
            Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))])
        });
        let url = format!("ws://slow.example:{port}/");
        timed_out(Phase::Handshake, at_deadline(ms(500), || options.connect(&url)));
        peer.join();
    });
}

#[test]
fn a_request_that_comes_byte_by_byte_does_not_extend_the_open_timeout_of_a_server() {
    bounded(20, || {
        let (ours, theirs) = narrow();
        let client = thread::spawn(move || Peer::new(ours).drip(support::REQUEST, SLOWLY));
        let options = ConnectOptions::new().open_timeout(ms(600));
        timed_out(Phase::Handshake, at_deadline(ms(600), || options.accept(theirs)));
        join(client);
    });
}

// Receiving.

#[test]
fn bytes_that_come_one_by_one_do_not_extend_a_receive_and_none_of_them_is_lost() {
    let script = [frame(0x82, [1; 300]), frame(0x81, "Hello")].concat();
    let mut cases = Cases::new();
    for (from, what) in [(0, "in the header"), (3, "in the length"), (100, "in the payload")] {
        let script = script.clone();
        cases.add(what, move || {
            let (go, waits) = mpsc::channel();
            let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(600)), move |peer| {
                peer.say(&script[..from]);
                peer.drip(&script[from..from + 2], SLOWLY);
                waits.recv().unwrap();
                peer.say(&script[from + 2..]);
                peer.end()
            });
            let received = at_deadline(ms(600), || ws.recv());
            assert!(received.is_err(), "{what}");
            timed_out(Phase::Recv, received);
            go.send(()).unwrap();
            assert_eq!(ws.recv().unwrap(), Message::Binary(vec![1; 300]), "{what}");
            assert_eq!(ws.recv().unwrap(), Message::from("Hello"), "{what}");
            ws.close().unwrap();
            peer.join();
        });
    }
    cases.run(30);
}

#[test]
fn every_kind_of_receive_keeps_its_deadline() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(100)), |peer| peer.end());
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.recv()));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.recv_ref().map(|_| ())));
        timed_out(Phase::Recv, at_deadline(ms(150), || ws.recv_timeout(ms(150))));
        timed_out(Phase::Recv, at_deadline(ms(150), || ws.recv_ref_timeout(ms(150)).map(|_| ())));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.recv_data(ControlFrames::Show)));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.recv_data_frame(ControlFrames::Hide)));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.recv_frame()));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.message_reader().map(|_| ())));
        timed_out(Phase::Recv, at_deadline(ms(100), || ws.messages().next().unwrap()));
        ws.set_recv_timeout(Some(ms(50))).unwrap();
        timed_out(Phase::Recv, at_deadline(ms(50), || ws.recv()));
        ws.set_timeout(Some(ms(70))).unwrap();
        timed_out(Phase::Recv, at_deadline(ms(70), || ws.recv()));
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_receive_that_times_out_anywhere_goes_on_where_it_was() {
    let script = [
        frame(0x81, "\u{3ba}\u{1f79}\u{3c3}"),
        frame(0x01, "\u{3ba}\u{1f79}"),
        frame(0x89, "p"),
        frame(0x80, "\u{3bc}\u{3b5}"),
        frame(0x82, [9; 200]),
        frame(0x81, "end"),
    ]
    .concat();
    let expected = [
        Message::from("\u{3ba}\u{1f79}\u{3c3}"),
        Message::from("\u{3ba}\u{1f79}\u{3bc}\u{3b5}"),
        Message::Binary(vec![9; 200]),
        Message::from("end"),
    ];
    let mut cases = Cases::new();
    for split in 1..script.len() {
        let (script, expected) = (script.clone(), expected.clone());
        cases.add(format!("split at {split}"), move || {
            let (go, waits) = mpsc::channel();
            let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(10)), move |mut peer| {
                peer.say(&script[..split]);
                waits.recv().unwrap();
                peer.say(&script[split..]);
                assert_eq!(peer.frame(), (0x8A, b"p".to_vec()));
                peer.end()
            });
            let mut received = Vec::new();
            let mut timeouts = 0;
            while received.len() < expected.len() {
                match ws.recv() {
                    Ok(message) => received.push(message),
                    Err(Error::Timeout(Phase::Recv)) if timeouts == 0 => {
                        timeouts += 1;
                        go.send(()).unwrap();
                        ws.set_recv_timeout(None).unwrap();
                    }
                    Err(other) => panic!("{other:?} with a split at {split}"),
                }
            }
            assert_eq!(received, expected, "split at {split}");
            ws.close().unwrap();
            peer.join();
        });
    }
    // Not all: where a thread is late, less has been received when the time is up.
    cases.run_few(8, 60);
}

#[test]
fn a_frame_or_a_stream_that_times_out_in_the_middle_goes_on_there() {
    bounded(30, || {
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(50)), move |peer| {
            for _ in 0..3 {
                peer.say(&frame(0x81, "Hello")[..4]);
                waits.recv().unwrap();
                peer.say("llo");
                waits.recv().unwrap();
            }
            peer.end()
        });
        timed_out(Phase::Recv, ws.recv_frame());
        assert!(matches!(ws.recv(), Err(Error::Usage(_))), "the frame would lose its beginning");
        go.send(()).unwrap();
        assert_eq!(ws.recv_frame().unwrap(), Frame::new(Opcode::Text, "Hello"));
        go.send(()).unwrap();

        timed_out(Phase::Recv, ws.recv_data(ControlFrames::Hide));
        assert!(matches!(ws.recv_frame(), Err(Error::Usage(_))));
        assert!(matches!(ws.message_reader(), Err(Error::Usage(_))));
        go.send(()).unwrap();
        assert_eq!(ws.recv_data(ControlFrames::Hide).unwrap(), (Opcode::Text, b"Hello".to_vec()));
        go.send(()).unwrap();

        let mut reader = ws.message_reader().unwrap();
        let mut text = String::new();
        let error = reader.read_to_string(&mut text).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        go.send(()).unwrap();
        let mut rest = String::new();
        reader.read_to_string(&mut rest).unwrap();
        assert_eq!(text + &rest, "Hello");
        drop(reader);
        go.send(()).unwrap();
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_storm_of_pings_does_not_extend_a_receive_and_is_not_kept() {
    bounded(30, || {
        let options = ConnectOptions::new().recv_timeout(ms(500)).max_control_frames(u32::MAX).close_timeout(ms(100));
        // It never reads, so that the pongs fill the socket.
        let (mut ws, peer) = open_over(narrow(), &options, |peer| {
            let _ = peer.repeat(frame(0x89, [5; 125]), usize::MAX >> 20);
        });
        let memory = Memory::now();
        timed_out(Phase::Recv, at_deadline(ms(500), || ws.recv()));
        assert!(ws.connected());
        assert!(ws.memory() < 256 * 1024, "{} bytes", ws.memory());
        // The other tests of this file hold some at the same time.
        assert!(memory.peak() < 16 << 20, "{} bytes", memory.peak());
        by_deadline(2 * ms(100), || ws.close().unwrap());
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_storm_of_pings_keeps_no_sender() {
    bounded(30, || {
        let options = ConnectOptions::new().recv_timeout(ms(1000)).max_control_frames(u32::MAX).close_timeout(ms(100));
        let (mut ws, peer) = open(&options, |peer| {
            let mut pongs = Peer::new(peer.socket().try_clone().unwrap());
            let reader = thread::spawn(move || pongs.rest());
            // Few at a time, so that they never count as a flood.
            while peer.try_say(frame(0x89, [5; 125]).repeat(4)).is_ok() {}
            join(reader);
        });
        let sender = ws.sender();
        let sending = thread::spawn(move || {
            let mut longest = Duration::ZERO;
            for _ in 0..300 {
                longest = longest.max(timed(|| sender.send_binary(&[1; 1000]).unwrap()).1);
                thread::sleep(ms(1));
            }
            longest
        });
        timed_out(Phase::Recv, at_deadline(ms(1000), || ws.recv()));
        let longest = join(sending);
        assert!(longest < ms(300), "{longest:?}");
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_pong_that_found_no_room_leaves_as_soon_as_there_is_some() {
    bounded(30, || {
        let options = ConnectOptions::new().send_timeout(ms(200)).recv_timeout(ms(10_000));
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open_over(narrow(), &options, move |mut peer| {
            let messages = waits.recv().unwrap();
            peer.say(frame(0x89, "are you there?"));
            // Time enough for the pong to find the socket full.
            thread::sleep(ms(200));
            for _ in 0..messages {
                assert_eq!(peer.frame(), (0x82, vec![7; 100]));
            }
            // Nothing else is said meanwhile, and nothing sent.
            let (heard, took) = timed(|| peer.frame());
            assert_eq!(heard, (0x8A, b"are you there?".to_vec()));
            assert!(took < ms(1000), "{took:?}");
            peer.say(frame(0x81, "good"));
            peer.end()
        });
        go.send(fill(&ws)).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("good"));
        ws.close().unwrap();
        peer.join();
    });
}

#[test]
fn a_close_that_found_no_room_leaves_as_soon_as_there_is_some() {
    bounded(30, || {
        let options = ConnectOptions::new().send_timeout(ms(100)).close_timeout(ms(300)).recv_timeout(ms(10_000));
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open_over(narrow(), &options, move |mut peer| {
            let messages = waits.recv().unwrap();
            for _ in 0..messages {
                assert_eq!(peer.frame(), (0x82, vec![7; 100]));
            }
            let (code, took) = timed(|| peer.close_code());
            assert_eq!(code, 4000);
            assert!(took < ms(1000), "{took:?}");
            peer.say(frame(0x88, b"\x0f\xa0"));
        });
        let sent = fill(&ws);
        timed_out(Phase::Close, at_deadline(ms(300), || ws.send_close(CloseCode(4000), "")));
        let sender = ws.sender();
        let receiving = thread::spawn(move || closed(ws.recv()));
        // It receives by now.
        thread::sleep(ms(100));
        go.send(sent).unwrap();
        assert_eq!(join(receiving).cause, CloseCause::Local);
        assert!(!sender.connected());
        peer.join();
    });
}

#[test]
fn a_violation_is_told_within_the_deadline_of_the_receive_that_finds_it() {
    let bad_text = frame(0x81, [0xFF]);
    let bad_opcode = b"\x83\x00".to_vec();
    let bad_fragment = [frame(0x01, "a"), frame(0x81, "b")].concat();
    let mut cases = Cases::new();
    for (name, bad) in [("text", bad_text), ("opcode", bad_opcode), ("fragment", bad_fragment)] {
        cases.add(name, move || {
            // It hears the Close and stays, so that there is no end to wait for.
            let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(300)), move |mut peer| {
                peer.say([frame(0x81, "good"), bad].concat());
                (peer.close_code(), peer)
            });
            assert_eq!(ws.recv().unwrap(), Message::from("good"));
            let error = by_deadline(ms(300), || ws.recv()).unwrap_err();
            let Error::Protocol(broken) = error else { panic!("{error:?}") };
            assert_eq!(peer.join().0, broken.close_code().0);
        });
    }
    cases.run(30);
}

#[test]
fn a_close_is_answered_within_the_deadline_of_the_receive_that_finds_it() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new().recv_timeout(ms(300)), |mut peer| {
            peer.say([frame(0x81, "good"), frame(0x88, b"\x03\xe8done")].concat());
            assert_eq!(peer.close_code(), 1000);
            peer
        });
        assert_eq!(ws.recv().unwrap(), Message::from("good"));
        let info = closed(by_deadline(ms(300), || ws.recv()));
        assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode::NORMAL, "done", CloseCause::Remote));
        peer.join();
    });
}

#[test]
fn a_violation_found_by_recv_timeout_is_told_within_that_time() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x81, [0xFF]));
            (peer.close_code(), peer)
        });
        let error = by_deadline(ms(300), || ws.recv_timeout(ms(300))).unwrap_err();
        assert!(matches!(error, Error::Protocol(ProtocolError::TextNotUtf8)), "{error:?}");
        assert_eq!(peer.join().0, 1007);
    });
}

// Sending.

#[test]
fn a_send_into_a_full_socket_times_out_and_no_byte_follows_the_torn_frame() {
    bounded(30, || {
        let (go, waits) = mpsc::channel::<()>();
        let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(300));
        let (ws, peer) = open_over(narrow(), &options, move |mut peer| {
            let _ = waits.recv();
            peer.rest()
        });
        timed_out(Phase::Send, at_deadline(ms(300), || ws.send_binary(&[1; 8 << 20])));
        assert!(!ws.connected());
        let info = closed(at_once(|| ws.send_text("another")));
        assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::TornFrame));
        closed(at_once(|| ws.ping("")));
        closed(at_once(|| ws.sender().send_binary(&[2])));
        // The peer may still say why.
        by_deadline(ms(300), || ws.close().unwrap());
        drop((go, ws));
        let heard = peer.join();
        let (frames, torn) = support::parse_all(&heard);
        assert_eq!(frames.len(), 0);
        assert_eq!(torn[..10], [0x82, 0xFF, 0, 0, 0, 0, 0, 0x80, 0, 0]);
        let key: [u8; 4] = *torn[10..].first_chunk().unwrap();
        let payload = torn[14..].iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        assert!(payload.into_iter().all(|byte| byte == 1), "something follows the torn frame");
    });
}

#[test]
fn a_send_of_which_no_byte_left_leaves_the_connection_as_it_was() {
    bounded(30, || {
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open_over(narrow(), &ConnectOptions::new().send_timeout(ms(200)), move |mut peer| {
            let messages: usize = waits.recv().unwrap();
            for _ in 0..messages {
                assert_eq!(peer.frame(), (0x82, vec![7; 100]));
            }
            assert_eq!(peer.frame(), (0x81, b"after".to_vec()));
            peer.say(frame(0x81, "good"));
            peer.end()
        });
        let sent = fill(&ws);
        assert!(ws.connected());
        timed_out(Phase::Send, at_deadline(ms(200), || ws.send_text("not this")));
        timed_out(Phase::Send, at_deadline(ms(200), || ws.ping("nor this")));
        timed_out(Phase::Send, at_deadline(ms(200), || ws.send_binary(&[1; 300_000])));
        timed_out(Phase::Send, at_deadline(ms(200), || ws.send_frame(&Frame::new(Opcode::Text, "").fragment())));
        assert!(ws.connected());
        go.send(sent).unwrap();
        ws.set_send_timeout(Some(ms(5000))).unwrap();
        ws.send_text("after").unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("good"));
        ws.close().unwrap();
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn a_peer_that_takes_byte_by_byte_does_not_extend_a_send_with_a_timeout() {
    bounded(30, || {
        let (ws, peer) = open_over(narrow(), &ConnectOptions::new().send_timeout(ms(600)), |peer| {
            let mut socket = TcpStream::from(peer.socket().try_clone().unwrap());
            while socket.read(&mut [0; 200]).is_ok_and(|length| length > 0) {
                thread::sleep(ms(50));
            }
        });
        timed_out(Phase::Send, at_deadline(ms(600), || ws.send_binary(&[1; 8 << 20])));
        drop(ws);
        drop(peer);
    });
}

#[cfg(unix)]
#[test]
fn a_peer_that_takes_piece_by_piece_from_a_unix_socket_does_not_extend_a_send_either() {
    bounded(30, || {
        let (ws, peer) = support::open_unix(&ConnectOptions::new().send_timeout(ms(600)), |peer| {
            let mut socket = TcpStream::from(peer.socket().try_clone().unwrap());
            while socket.read(&mut [0; 40_000]).is_ok_and(|length| length > 0) {
                thread::sleep(ms(400));
            }
        });
        timed_out(Phase::Send, at_deadline(ms(600), || ws.send_binary(&[1; 8 << 20])));
        drop(ws);
        drop(peer);
    });
}

#[test]
fn a_sender_that_waits_for_another_keeps_its_deadline() {
    bounded(30, || {
        let (mut ws, peer) = open_over(narrow(), &ConnectOptions::new().send_timeout(ms(400)), |mut peer| {
            thread::sleep(ms(1500));
            peer.rest();
        });
        let first = ws.sender();
        let first = thread::spawn(move || first.send_binary(&[1; 8 << 20]));
        thread::sleep(ms(100));
        ws.set_send_timeout(Some(ms(150))).unwrap();
        timed_out(Phase::Send, at_deadline(ms(150), || ws.send_text("waits")));
        timed_out(Phase::Send, join(first));
        closed(at_once(|| ws.send_text("too late")));
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_writer_of_fragments_keeps_the_send_timeout_and_may_try_again() {
    use std::io::Write;
    bounded(30, || {
        let (go, waits) = mpsc::channel();
        let (mut ws, peer) = open_over(narrow(), &ConnectOptions::new().send_timeout(ms(200)), move |mut peer| {
            let messages: usize = waits.recv().unwrap();
            for _ in 0..messages {
                assert_eq!(peer.frame(), (0x82, vec![7; 100]));
            }
            assert_eq!(peer.frame(), (0x01, b"Hel".to_vec()));
            assert_eq!(peer.frame(), (0x80, b"lo".to_vec()));
            peer.end()
        });
        let sent = fill(&ws);
        let sender = ws.sender();
        let mut writer = sender.message_writer(MessageKind::Text).unwrap();
        writer.write_all(b"Hel").unwrap();
        let error = at_deadline(ms(200), || writer.flush()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        go.send(sent).unwrap();
        ws.set_send_timeout(Some(ms(5000))).unwrap();
        writer.flush().unwrap();
        writer.write_all(b"lo").unwrap();
        writer.finish().unwrap();
        ws.close().unwrap();
        assert_eq!(peer.join(), 1000);
    });
}

// Closing.

#[test]
fn a_close_that_is_never_answered_costs_the_close_timeout() {
    bounded(30, || {
        let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(300)), |mut peer| {
            assert_eq!(peer.close_code(), 4000);
            assert_eq!(peer.rest(), b"", "one Close, and nothing else");
        });
        at_deadline(ms(300), || ws.close_with(CloseCode(4000), "").unwrap());
        let info = ws.close_info().unwrap();
        assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::Unanswered));
        at_once(|| ws.close().unwrap());
        closed(at_once(|| ws.send_text("")));
        peer.join();
    });
}

#[test]
fn three_seconds_are_the_close_timeout_unless_it_is_set() {
    bounded(30, || {
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| peer.rest());
        at_deadline(ms(3000), || ws.close().unwrap());
        peer.join();
    });
}

#[test]
fn a_peer_that_goes_on_talking_does_not_extend_a_close() {
    let mut cases = Cases::new();
    for (name, bytes) in [
        ("messages", frame(0x82, [1; 1000])),
        ("pings", frame(0x89, "p")),
        ("one byte", vec![0x82]),
        ("fragments", frame(0x02, "")),
    ] {
        cases.add(name, move || {
            let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(300)), move |peer| {
                while peer.try_say(&bytes).is_ok() {
                    thread::sleep(ms(20));
                }
            });
            by_deadline(ms(300), || ws.close().unwrap());
            assert!(!ws.connected());
            drop(ws);
            peer.join();
        });
    }
    cases.run(30);
}

#[test]
fn a_peer_that_answers_a_close_and_stays_does_not_extend_it_and_it_is_clean() {
    bounded(30, || {
        let (ws, peer) = open(&ConnectOptions::new().close_timeout(ms(300)), |mut peer| {
            assert_eq!(peer.close_code(), 1000);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer
        });
        by_deadline(ms(300), || ws.close().unwrap());
        assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
        peer.join();
    });
}

#[test]
fn a_close_that_another_thread_receives_the_answer_to_is_clean_though_the_peer_stays() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new().close_timeout(ms(300)), |mut peer| {
            assert_eq!(peer.close_code(), 1000);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer
        });
        let sender = ws.sender();
        let receiving = thread::spawn(move || {
            let info = closed(ws.recv());
            (info, ws.close_info().unwrap())
        });
        thread::sleep(ms(100));
        by_deadline(ms(300), || sender.close().unwrap());
        let (seen, kept) = join(receiving);
        assert_eq!((seen.code, seen.cause), (CloseCode::NORMAL, CloseCause::Local));
        assert_eq!(kept, seen);
        peer.join();
    });
}

#[test]
fn a_close_wakes_the_thread_that_receives() {
    bounded(30, || {
        for answers in [true, false] {
            let (mut ws, peer) = open(&ConnectOptions::new().close_timeout(ms(300)), move |mut peer| {
                assert_eq!(peer.close_code(), 1000);
                if answers {
                    peer.say(frame(0x88, b"\x03\xe8"));
                    return;
                }
                peer.rest();
            });
            let sender = ws.sender();
            let receiving = thread::spawn(move || closed(ws.recv()));
            thread::sleep(ms(100));
            if answers {
                at_once(|| sender.close().unwrap());
            } else {
                at_deadline(ms(300), || sender.close().unwrap());
            }
            let info = at_once(|| join(receiving));
            assert_eq!(info.cause, if answers { CloseCause::Local } else { CloseCause::Unanswered });
            assert!(!sender.connected());
            peer.join();
        }
    });
}

#[test]
fn a_close_is_bounded_while_another_thread_sends_into_a_full_socket() {
    bounded(30, || {
        let (ws, peer) = open_over(narrow(), &ConnectOptions::new().close_timeout(ms(300)), |mut peer| {
            thread::sleep(ms(1000));
            peer.rest()
        });
        let sender = ws.sender();
        let sending = thread::spawn(move || closed(sender.send_binary(&[1; 8 << 20])));
        thread::sleep(ms(100));
        at_deadline(ms(300), || ws.close().unwrap());
        let info = at_once(|| join(sending));
        assert_eq!(info.cause, CloseCause::Unanswered);
        drop(ws);
        let heard = peer.join();
        let (frames, _) = support::parse_all(&heard);
        assert_eq!(frames.len(), 0, "no Close inside a frame");
    });
}

#[test]
fn a_close_into_a_full_socket_is_bounded() {
    bounded(30, || {
        let options = ConnectOptions::new().close_timeout(ms(300)).send_timeout(ms(100));
        let (ws, peer) = open_over(narrow(), &options, |mut peer| {
            thread::sleep(ms(1500));
            peer.rest()
        });
        fill(&ws);
        at_deadline(ms(300), || ws.close().unwrap());
        drop(ws);
        peer.join();
    });
}

#[test]
fn a_close_on_the_thread_that_receives_does_not_wait_for_itself() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.say(frame(0x81, "go"));
            assert_eq!(peer.close_code(), 1000);
            peer.say([frame(0x81, "still there"), frame(0x88, b"\x03\xe8")].concat());
        });
        let sender = ws.sender();
        assert_eq!(ws.recv().unwrap(), Message::from("go"));
        at_once(|| sender.close().unwrap());
        closed(sender.send_text("no more"));
        assert_eq!(ws.recv().unwrap(), Message::from("still there"));
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
        peer.join();
    });
}

#[test]
fn a_send_close_does_not_wait_for_the_answer() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.close_code(), 1000);
            thread::sleep(ms(200));
            peer.say([frame(0x81, "still there"), frame(0x88, b"\x03\xe8")].concat());
        });
        at_once(|| ws.send_close(CloseCode::NORMAL, "").unwrap());
        assert_eq!(ws.recv().unwrap(), Message::from("still there"));
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
        peer.join();
    });
}

#[test]
fn an_abort_wakes_the_thread_that_receives_and_the_one_that_sends() {
    bounded(30, || {
        let (mut ws, peer) = open_over(narrow(), &ConnectOptions::new(), |mut peer| {
            thread::sleep(ms(500));
            peer.rest();
        });
        let (sender, aborting) = (ws.sender(), ws.sender());
        let sending = thread::spawn(move || closed(sender.send_binary(&[1; 8 << 20])));
        let receiving = thread::spawn(move || closed(ws.recv()));
        thread::sleep(ms(100));
        at_once(|| aborting.abort());
        for thread in [sending, receiving] {
            let info = at_once(|| join(thread));
            assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::Aborted));
        }
        at_once(|| aborting.close().unwrap());
        peer.join();
    });
}

#[test]
fn an_abort_ends_the_wait_for_a_peer_that_does_not_hang_up() {
    bounded(30, || {
        let (mut ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            peer.say(b"\x83\x00");
            assert_eq!(peer.close_code(), 1002);
            peer
        });
        let sender = ws.sender();
        let receiving = thread::spawn(move || (ws.recv().map(drop), ws));
        let peer = peer.join();
        thread::sleep(ms(100));
        assert!(!receiving.is_finished());
        at_once(|| sender.abort());
        let (received, ws) = at_once(|| join(receiving));
        assert!(matches!(received, Err(Error::Protocol(ProtocolError::UnknownOpcode(3)))), "{received:?}");
        assert_eq!(ws.close_info().unwrap().cause, CloseCause::Violation(ProtocolError::UnknownOpcode(3)));
        drop(peer);
    });
}

#[test]
fn a_drop_waits_for_nobody() {
    bounded(30, || {
        // For no answer,
        let (ws, peer) = open(&ConnectOptions::new(), |mut peer| {
            assert_eq!(peer.close_code(), 1001);
            assert_eq!(peer.rest(), b"");
        });
        let sender = ws.sender();
        at_once(|| drop(ws));
        closed(at_once(|| sender.send_text("")));
        assert!(!sender.connected());
        peer.join();

        // nor for room in the socket, nor for a thread that waits for that.
        let (ws, peer) = open_over(narrow(), &ConnectOptions::new(), |mut peer| {
            thread::sleep(ms(500));
            peer.rest();
        });
        let sender = ws.sender();
        let sending = thread::spawn(move || closed(sender.send_binary(&[1; 8 << 20])));
        thread::sleep(ms(100));
        at_once(|| drop(ws));
        at_once(|| join(sending));
        peer.join();
    });
}

#[test]
fn a_writer_that_is_dropped_unfinished_waits_at_most_the_close_timeout() {
    bounded(30, || {
        let options = ConnectOptions::new().close_timeout(ms(300)).send_timeout(ms(100));
        let (ws, peer) = open_over(narrow(), &options, |mut peer| {
            thread::sleep(ms(1000));
            peer.rest();
        });
        fill(&ws);
        let writer = ws.message_writer(MessageKind::Text).unwrap();
        by_deadline(ms(300), || drop(writer));
        at_once(|| drop(ws));
        peer.join();
    });
}

/// The mode of a socket belongs to all who have a clone of it: a hook, and whoever keeps what the hook was given.
#[cfg(unix)]
#[test]
fn a_hook_or_the_owner_of_a_clone_that_changes_the_mode_of_the_socket_changes_no_deadline() {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, Mutex};

    let mut cases = Cases::new();
    for (nonblocking, flips) in [(false, None), (true, None), (false, Some(ms(1)))] {
        cases.add(format!("nonblocking: {nonblocking}, changed every {flips:?}"), move || {
            let clone = Arc::new(Mutex::new(None));
            let kept = Arc::clone(&clone);
            let hook = move |socket: &socket2::Socket| {
                socket.set_nonblocking(nonblocking)?;
                *kept.lock().unwrap() = Some(socket.try_clone()?);
                Ok(())
            };
            let over = Arc::new(AtomicBool::new(false));
            let owner = thread::spawn({
                let (clone, over) = (Arc::clone(&clone), Arc::clone(&over));
                move || {
                    let mut mode = nonblocking;
                    while !over.load(Ordering::Relaxed) {
                        if let Some(socket) = &*clone.lock().unwrap() {
                            socket.set_nonblocking(mode).unwrap();
                        }
                        mode ^= flips.is_some();
                        thread::sleep(flips.unwrap_or(ms(20)));
                    }
                }
            });
            let options = ConnectOptions::new().socket(SocketOptions::new().configure(hook));
            let (url, peer) = serve(|mut peer| peer.rest());
            let hasty = options.clone().open_timeout(ms(300));
            timed_out(Phase::Handshake, at_deadline(ms(300), || hasty.connect(&url)));
            // The clone keeps the connection open.
            drop(clone.lock().unwrap().take());
            peer.join();

            let (go, waits) = mpsc::channel::<()>();
            let (url, peer) = serve(move |mut peer| {
                peer.accept();
                peer.say(frame(0x81, "Hello"));
                let _ = waits.recv();
            });
            let mut ws = options.send_timeout(ms(300)).close_timeout(ms(300)).connect(&url).unwrap();
            assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
            for limit in [ms(5), ms(50), ms(400)] {
                timed_out(Phase::Recv, at_deadline(limit, || ws.recv_timeout(limit)));
            }
            at_once(|| assert!(ws.try_recv().unwrap().is_none()));
            timed_out(Phase::Send, at_deadline(ms(300), || ws.send_binary(&[1; 8 << 20])));
            at_once(|| ws.try_send_text("no room").unwrap_err());
            by_deadline(ms(600), || ws.close().unwrap());
            drop((ws, go));
            peer.join();
            over.store(true, Ordering::Relaxed);
            join(owner);
        });
    }
    cases.run(30);
}

#[test]
fn durations_at_their_extremes_neither_panic_nor_end_early() {
    bounded(30, || {
        for limit in [Duration::MAX, Duration::from_secs(u64::MAX / 2), Duration::from_secs(1 << 40)] {
            let options = ConnectOptions::new().timeout(limit).close_timeout(limit);
            let (mut ws, peer) = open(&options, |mut peer| {
                peer.hear(b"");
                assert_eq!(peer.frame(), (0x81, b"Hello".to_vec()));
                thread::sleep(ms(50));
                peer.say(frame(0x81, "Hello"));
                peer.end()
            });
            ws.send_text("Hello").unwrap();
            assert_eq!(ws.recv().unwrap(), Message::from("Hello"));
            ws.close().unwrap();
            peer.join();
        }
        for limit in [Duration::from_nanos(1), Duration::from_micros(1)] {
            let (mut ws, peer) = open(&ConnectOptions::new().close_timeout(limit), |mut peer| {
                peer.rest();
            });
            ws.set_timeout(Some(limit)).unwrap();
            timed_out(Phase::Recv, at_once(|| ws.recv()));
            at_once(|| ws.close().unwrap());
            drop(ws);
            peer.join();
        }
    });
}

#[test]
fn a_timeout_of_zero_is_refused_but_for_a_receive() {
    let zero = Duration::ZERO;
    let new = ConnectOptions::new;
    let all = [new().timeout(zero), new().open_timeout(zero), new().send_timeout(zero), new().close_timeout(zero)];
    for options in all {
        let refused = options.connect("ws://127.0.0.1:9/").unwrap_err();
        assert!(matches!(refused, Error::Options(_)), "{refused:?}");
    }
    let mut ws = WebSocket::new();
    assert!(matches!(ws.set_timeout(Some(zero)), Err(Error::Options(_))));
    ws.set_recv_timeout(Some(zero)).unwrap();
    assert!(matches!(ws.set_send_timeout(Some(zero)), Err(Error::Options(_))));
    assert!(matches!(ws.set_close_timeout(zero), Err(Error::Options(_))));
    closed(ws.recv_timeout(zero));
}
