//! Every call that waits returns by its deadline: each call with each kind of peer that keeps it waiting. What the calls return, and
//! how a connection goes on afterwards, is in `deadlines`, `closing_deadlines` and `receive_deadlines`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{Cursor, Read, Write, repeat};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use support::cases::Cases;
use support::{
    Peer, REQUEST, answer_to, at_deadline, at_once, bounded, by_deadline, fill, frame, ms, narrow, open, open_over,
    serve,
};
use websocket_sync::{
    CloseCode, ConnectOptions, ControlFrames, Error, Frame, Handle, MessageKind, Opcode, Result, WebSocket,
    WebSocketApp,
};

/// How long a call may wait.
const TIMEOUT: Duration = ms(150);
/// How long each half of a closing handshake may take.
const CLOSE: Duration = ms(100);

/// A call, how often it may wait in one after the other, and its name.
type Call = (&'static str, u32, fn(&mut WebSocket) -> Result<()>);
/// What a peer does when the connection is open, until nobody listens any more.
type Habit = (&'static str, fn(Peer));

const RECEIVES: [Call; 16] = [
    ("recv", 1, |ws| ws.recv().map(drop)),
    ("recv_ref", 1, |ws| ws.recv_ref().map(|_| ())),
    ("recv_timeout", 1, |ws| ws.recv_timeout(TIMEOUT).map(drop)),
    ("recv_ref_timeout", 1, |ws| ws.recv_ref_timeout(TIMEOUT).map(|_| ())),
    ("recv_deadline", 1, |ws| ws.recv_deadline(Instant::now() + TIMEOUT).map(drop)),
    ("recv_ref_deadline", 1, |ws| ws.recv_ref_deadline(Instant::now() + TIMEOUT).map(|_| ())),
    ("recv_data", 1, |ws| ws.recv_data(ControlFrames::Hide).map(drop)),
    ("recv_data, control frames shown", 1, |ws| ws.recv_data(ControlFrames::Show).map(drop)),
    ("recv_data_timeout", 1, |ws| ws.recv_data_timeout(ControlFrames::Hide, TIMEOUT).map(drop)),
    ("recv_data_frame", 1, |ws| ws.recv_data_frame(ControlFrames::Hide).map(drop)),
    ("recv_data_frame, control frames shown", 1, |ws| ws.recv_data_frame(ControlFrames::Show).map(drop)),
    ("recv_data_frame_timeout", 1, |ws| ws.recv_data_frame_timeout(ControlFrames::Hide, TIMEOUT).map(drop)),
    ("recv_frame", 1, |ws| ws.recv_frame().map(drop)),
    ("message_reader", 1, |ws| ws.message_reader().map(drop)),
    ("message_reader, and a read of it", 2, |ws| {
        let mut reader = ws.message_reader()?;
        Ok(reader.read(&mut [0; 10]).map(drop)?)
    }),
    ("messages", 1, |ws| ws.messages().next().unwrap().map(drop)),
];

const SENDS: [Call; 13] = [
    ("send_text", 1, |ws| ws.send_text(&"x".repeat(100)).map(drop)),
    ("send_binary", 1, |ws| ws.send_binary(&[7; 100]).map(drop)),
    ("send", 1, |ws| ws.send([7; 100], Opcode::Binary).map(drop)),
    ("a large message", 1, |ws| ws.send_binary(&vec![7; 1 << 20]).map(drop)),
    ("ping", 1, |ws| ws.ping([7; 100])),
    ("pong", 1, |ws| ws.pong([7; 100])),
    ("send_frame", 1, |ws| ws.send_frame(&Frame::new(Opcode::Binary, vec![7; 100])).map(drop)),
    ("send_frame_unchecked", 1, |ws| ws.send_frame_unchecked(&Frame::new(Opcode::Binary, vec![7; 100])).map(drop)),
    ("cork", 1, |ws| ws.cork(|batch| batch.send_binary(&[7; 100]).map(drop))),
    ("message_writer, a write to it, and its end", 3, |ws| {
        let mut writer = ws.message_writer(MessageKind::Binary)?;
        writer.write_all(&[7; 100_000])?;
        writer.finish()
    }),
    ("send_reader of a known length", 1, |ws| {
        ws.send_reader(MessageKind::Binary, Cursor::new(vec![7; 1000]), Some(1000)).map(drop)
    }),
    ("send_reader of an unknown length", 2, |ws| {
        ws.send_reader(MessageKind::Binary, Cursor::new(vec![7; 1000]), None).map(drop)
    }),
    ("a sender's send_binary", 1, |ws| ws.sender().send_binary(&[7; 100]).map(drop)),
];

/// Those that wait for the answer, too: twice the closing time at most.
const CLOSES: [Call; 5] = [
    ("close", 2, |ws| ws.close()),
    ("close_with", 2, |ws| ws.close_with(CloseCode::GOING_AWAY, "going")),
    ("shutdown", 2, |ws| {
        ws.shutdown();
        Ok(())
    }),
    ("a sender's close", 2, |ws| ws.sender().close()),
    ("send_close", 1, |ws| ws.send_close(CloseCode::NORMAL, "")),
];

const WITHOUT_WAITING: [Call; 9] = [
    ("abort", 0, |ws| {
        ws.abort();
        Ok(())
    }),
    ("try_recv", 0, |ws| ws.try_recv().map(drop)),
    ("try_recv_ref", 0, |ws| ws.try_recv_ref().map(|_| ())),
    ("try_recv_data_frame", 0, |ws| ws.try_recv_data_frame(ControlFrames::Show).map(drop)),
    ("try_send_text", 0, |ws| ws.try_send_text("text").map(drop)),
    ("try_send_binary", 0, |ws| ws.try_send_binary(&[7; 100]).map(drop)),
    ("try_ping", 0, |ws| ws.try_ping("")),
    ("try_close", 0, |ws| ws.try_close(CloseCode::NORMAL, "")),
    ("try_flush", 0, |ws| ws.try_flush().map(drop)),
];

const SILENT: Habit = ("says nothing", |mut peer| drop(peer.rest()));
/// Each says something without end, and the message that is waited for is never whole.
const TALKATIVE: [Habit; 4] = [
    ("says a message byte by byte", |peer| peer.drip(frame(0x82, [7; 60_000]), ms(10))),
    ("pings without end, and reads nothing", |peer| {
        while peer.try_say(frame(0x89, [7; 125]).repeat(8)).is_ok() {
            thread::sleep(ms(1));
        }
    }),
    ("says fragments without end", |peer| {
        let mut result = peer.try_say(frame(0x02, ""));
        while result.is_ok() {
            result = peer.try_say(frame(0x00, "").repeat(8));
            thread::sleep(ms(1));
        }
    }),
    ("says the header of a frame byte by byte, and then pings between fragments", |peer| {
        peer.drip([0x02, 126, 0x01], ms(30));
        peer.drip([0; 1 + 256], ms(1));
        while peer.try_say([frame(0x89, ""), frame(0x00, "")].concat()).is_ok() {
            thread::sleep(ms(1));
        }
    }),
];

/// No limit ends what the peer does before the deadline.
fn options() -> ConnectOptions {
    let options = ConnectOptions::new().recv_timeout(TIMEOUT).send_timeout(TIMEOUT).close_timeout(CLOSE);
    options.max_control_frames(u32::MAX).max_fragments(u32::MAX)
}

/// How many calls keep to their deadlines at the same time: more, and the peers that talk without end would keep the machine busy.
const AT_ONCE: usize = 8;

fn names(call: &str, habit: &str) -> String {
    format!("{call} with a peer that {habit}")
}

#[test]
fn a_receive_from_a_peer_that_says_nothing_ends_at_its_deadline() {
    let mut cases = Cases::new();
    for (call, waits, receive) in RECEIVES {
        cases.add(names(call, SILENT.0), move || {
            let (mut ws, peer) = open(&options(), SILENT.1);
            // A reader that there is no message for is not read.
            let error = at_deadline(TIMEOUT, || receive(&mut ws)).unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{waits}: {error}");
            drop(ws);
            peer.join();
        });
    }
    cases.run_few(AT_ONCE, 60);
}

#[test]
fn a_receive_from_a_peer_that_never_comes_to_an_end_returns_by_its_deadline() {
    let mut cases = Cases::new();
    for (call, waits, receive) in RECEIVES {
        for (habit, script) in TALKATIVE {
            cases.add(names(call, habit), move || {
                let (mut ws, peer) = open(&options(), script);
                let _ = by_deadline(waits * TIMEOUT, || receive(&mut ws));
                drop(ws);
                peer.join();
            });
        }
    }
    cases.run_few(AT_ONCE, 60);
}

#[test]
fn a_send_to_a_peer_that_reads_nothing_fails_by_its_deadline() {
    let mut cases = Cases::new();
    for (call, waits, send) in SENDS {
        cases.add(names(call, "reads nothing"), move || {
            let (mut ws, peer) = open_over(narrow(), &options(), |peer| peer);
            fill(&ws);
            let error = by_deadline(waits * TIMEOUT, || send(&mut ws)).unwrap_err();
            assert!(matches!(error, Error::Timeout(_) | Error::Closed(_) | Error::Io { .. }), "{error}");
            drop(ws);
            peer.join();
        });
    }
    cases.run_few(AT_ONCE, 90);
}

#[test]
fn a_send_to_a_peer_that_reads_byte_by_byte_returns_by_its_deadline() {
    let mut cases = Cases::new();
    for (call, waits, send) in SENDS {
        cases.add(names(call, "reads byte by byte"), move || {
            let (mut ws, peer) = open_over(narrow(), &options(), |peer| {
                let mut byte = [0];
                while (&*peer.socket()).read(&mut byte).is_ok_and(|length| length > 0) {
                    thread::sleep(ms(5));
                }
            });
            fill(&ws);
            let _ = by_deadline(waits * TIMEOUT, || send(&mut ws));
            ws.abort();
            drop(ws);
            drop(peer);
        });
    }
    cases.run_few(AT_ONCE, 90);
}

#[test]
fn a_long_send_that_gets_on_all_the_time_returns_by_its_deadline() {
    const LENGTH: u64 = 32 << 20;
    const TIMEOUT: Duration = ms(500);
    // Made beforehand: a debug build takes long for it.
    static MESSAGE: [u8; LENGTH as usize] = [0; LENGTH as usize];
    let sends: [Call; 3] = [
        ("send_binary", 1, |ws| ws.send_binary(&MESSAGE).map(drop)),
        ("send_reader of a known length", 1, |ws| {
            ws.send_reader(MessageKind::Binary, repeat(7).take(LENGTH), Some(LENGTH)).map(drop)
        }),
        ("send_reader of an unknown length", 1, |ws| {
            ws.send_reader(MessageKind::Binary, repeat(7).take(LENGTH), None).map(drop)
        }),
    ];
    let mut cases = Cases::new();
    for (call, waits, send) in sends {
        cases.add(names(call, "reads slowly"), move || {
            let (mut ws, peer) = open(&options().send_timeout(TIMEOUT), |peer| {
                let mut some = [0; 16 * 1024];
                while (&*peer.socket()).read(&mut some).is_ok_and(|length| length > 0) {
                    thread::sleep(ms(5));
                }
            });
            let error = by_deadline(waits * TIMEOUT, || send(&mut ws)).unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{error}");
            ws.abort();
            drop(ws);
            drop(peer);
        });
    }
    cases.run(60);
}

#[test]
fn a_close_returns_within_twice_the_closing_time_whatever_the_peer_does() {
    let mut cases = Cases::new();
    for (call, waits, close) in CLOSES {
        for (habit, script) in TALKATIVE.into_iter().chain([SILENT]) {
            cases.add(names(call, habit), move || {
                let (mut ws, peer) = open(&options(), script);
                let _ = by_deadline(waits * CLOSE, || close(&mut ws));
                at_once(|| drop(ws));
                peer.join();
            });
        }
    }
    cases.run_few(AT_ONCE, 60);
}

#[test]
fn a_close_into_a_full_socket_returns_within_twice_the_closing_time() {
    let mut cases = Cases::new();
    for (call, waits, close) in CLOSES {
        cases.add(names(call, "reads nothing"), move || {
            let (mut ws, peer) = open_over(narrow(), &options(), |peer| peer);
            fill(&ws);
            let _ = by_deadline(waits * CLOSE, || close(&mut ws));
            at_once(|| drop(ws));
            peer.join();
        });
    }
    cases.run(60);
}

#[test]
fn a_call_that_does_not_wait_returns_at_once_whatever_the_peer_does() {
    let mut cases = Cases::new();
    for (habit, script) in TALKATIVE.into_iter().chain([SILENT]) {
        for (call, _, act) in WITHOUT_WAITING {
            cases.add(names(call, habit), move || {
                let (mut ws, peer) = open(&options(), script);
                let _ = at_once(|| act(&mut ws));
                at_once(|| drop(ws));
                peer.join();
            });
        }
    }
    // What returns at once is not measured beside others.
    cases.run_few(1, 60);
}

#[test]
fn a_read_with_no_time_returns_at_once_though_fragments_come_without_end() {
    bounded(60, || {
        let options = options().recv_timeout(Duration::ZERO).max_fragments(u32::MAX);
        let (mut ws, peer) = open(&options, |peer| {
            let _ = peer.try_say(frame(0x02, ""));
            let _ = peer.repeat(frame(0x00, ""), usize::MAX >> 20);
        });
        let mut reader = loop {
            if let Ok(reader) = ws.message_reader() {
                break reader;
            }
        };
        let error = at_once(|| reader.read(&mut [0; 10])).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        drop(reader);
        drop(ws);
        peer.join();
    });
}

/// What servers say to a request, without end.
const ANSWERS: [Habit; 5] = [
    ("says nothing", |mut peer| drop(peer.rest())),
    ("answers byte by byte", |mut peer| {
        let answer = answer_to(&peer.head());
        peer.drip(answer, ms(10));
    }),
    ("sends interim answers byte by byte", |mut peer| {
        peer.head();
        peer.drip("HTTP/1.1 103 Wait\r\n\r\n".repeat(100), ms(10));
    }),
    ("refuses with a body that does not come", |mut peer| {
        peer.head();
        peer.say("HTTP/1.1 503 Busy\r\nContent-Length: 99999999999\r\n\r\n");
        peer.rest();
    }),
    ("redirects to itself byte by byte", |mut peer| {
        peer.head();
        peer.drip("HTTP/1.1 302 There\r\nLocation: /there\r\nContent-Length: 1000\r\n\r\n", ms(10));
        peer.rest();
    }),
];

#[test]
fn an_opening_returns_by_its_deadline_whatever_the_server_does() {
    type Open = fn(&ConnectOptions, &str) -> Result<WebSocket>;
    let ways: [(&str, Open); 3] = [
        ("connect", |options, url| options.connect(url)),
        ("WebSocket::connect", |options, url| {
            let mut ws = WebSocket::with_options(options.clone());
            ws.connect(url).map(|()| ws)
        }),
        ("connect_over", |options, url| {
            let address = url.trim_start_matches("ws://").trim_end_matches('/');
            options.connect_over(TcpStream::connect(address).unwrap(), url)
        }),
    ];
    let mut cases = Cases::new();
    for (habit, script) in ANSWERS {
        for (call, open) in ways {
            cases.add(names(call, habit), move || {
                let (url, peer) = serve(script);
                by_deadline(TIMEOUT, || open(&ConnectOptions::new().open_timeout(TIMEOUT), &url)).unwrap_err();
                drop(peer);
            });
        }
    }
    cases.run_few(AT_ONCE, 60);
}

#[test]
fn an_accept_returns_by_its_deadline_whatever_the_client_does() {
    type Client = fn(TcpStream);
    let habits: [(&str, Client); 2] = [
        ("says nothing", |mut client| drop(client.read(&mut [0]))),
        ("says its request byte by byte", |mut client| {
            for byte in REQUEST.bytes() {
                thread::sleep(ms(10));
                if client.write_all(&[byte]).is_err() {
                    return;
                }
            }
        }),
    ];
    let mut cases = Cases::new();
    for (habit, script) in habits {
        cases.add(names("accept", habit), move || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let client = thread::spawn(move || script(TcpStream::connect(address).unwrap()));
            let (stream, _) = listener.accept().unwrap();
            at_deadline(TIMEOUT, || ConnectOptions::new().open_timeout(TIMEOUT).accept(stream)).unwrap_err();
            support::join(client);
        });
    }
    cases.run(60);
}

#[test]
fn an_app_ends_by_its_deadline_whatever_the_server_does() {
    type End = fn(&Handle);
    // How long the call may take, and the end after it.
    let ends: [(&str, u32, u32, End); 3] = [
        ("stop", 0, 0, |app| app.stop()),
        ("close", 2, 2, |app| app.close().unwrap()),
        ("try_close", 0, 2, |app| app.try_close(CloseCode::NORMAL, "").unwrap()),
    ];
    let mut cases = Cases::new();
    for (call, call_waits, end_waits, end) in ends {
        for (habit, script) in TALKATIVE.into_iter().chain([SILENT]) {
            cases.add(names(call, habit), move || {
                let (url, peer) = serve(move |mut peer| {
                    peer.accept();
                    script(peer);
                });
                let app = WebSocketApp::new(url)
                    .options(
                        ConnectOptions::new().close_timeout(CLOSE).max_control_frames(u32::MAX).max_fragments(u32::MAX),
                    )
                    .spawn()
                    .unwrap();
                assert!(app.handle().wait_open(ms(10_000)));
                assert!(at_deadline(TIMEOUT, || app.handle().wait_end(TIMEOUT)).is_none());
                by_deadline(call_waits * CLOSE, || end(&app.handle()));
                let _ = by_deadline(end_waits * CLOSE, || app.join());
                peer.join();
            });
        }
    }
    cases.run_few(AT_ONCE, 60);
}

#[test]
fn an_app_that_is_not_open_ends_at_once() {
    bounded(30, || {
        let (url, peer) = serve(SILENT.1);
        let app = WebSocketApp::new(url).spawn().unwrap();
        assert!(!at_deadline(TIMEOUT, || app.handle().wait_open(TIMEOUT)));
        at_once(|| app.handle().stop());
        let _ = at_once(|| app.join());
        peer.join();
    });
}
