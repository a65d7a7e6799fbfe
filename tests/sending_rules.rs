//! What may be sent and when: text is judged before its last octet leaves, an error says truly whether the connection goes on, no thread
//! waits for itself, and no thread ends what another one has begun.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/layers.rs"]
mod layers;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use layers::{LAYERS, Layer, Script, Server, TCP_AND_TLS, open_on, open_saying, promptly, refused};
use support::cases::Cases;
use support::{Heard, bounded, by_deadline, closed, frame, join, ms, narrow, unit};
use websocket_sync::protocol::{LocalProtocolError, Rsv};
use websocket_sync::{
    AppStep, AppTask, CloseCause, CloseCode, ConnectOptions, Error, Frame, Message, MessageKind, Opcode, Result,
    Sender, WebSocket, WebSocketApp,
};

/// Deadlines that are far from what a call may take which is answered at once.
fn options() -> ConnectOptions {
    ConnectOptions::new().send_timeout(ms(1000)).close_timeout(ms(1000))
}

/// Everything that the server has heard until the end. It answers "still here" and a Close.
fn record_frames(mut server: Server) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some((first, payload)) = server.frame_or_end() {
        match (first, &payload[..]) {
            (0x81, b"still here") => server.say(frame(0x81, "so am I")),
            (0x88, _) => {
                let _ = server.try_say(frame(0x88, &payload[..payload.len().min(2)]));
            }
            _ => {}
        }
        heard.push((first, payload));
    }
    heard
}

fn watched(layer: Layer) -> (WebSocket, Script<Vec<Heard>>) {
    open_on(layer, &options(), record_frames)
}

/// Asserts that the connection works both ways, and closes it.
#[track_caller]
fn assert_goes_on(ws: &mut WebSocket) {
    assert!(ws.connected(), "{:?}", ws.close_info());
    ws.send_text("still here").unwrap();
    assert_eq!(ws.recv_timeout(ms(10_000)).unwrap(), Message::from("so am I"));
    ws.close().unwrap();
    assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
}

/// The whole messages among these frames.
#[track_caller]
fn messages(frames: &[Heard]) -> Vec<(u8, Vec<u8>)> {
    let (mut whole, mut begun) = (Vec::new(), None::<(u8, Vec<u8>)>);
    for (first, payload) in frames.iter().filter(|(first, _)| first & 0x08 == 0) {
        match (first & 0x0F, &mut begun) {
            (0, Some(begun)) => begun.1.extend_from_slice(payload),
            (opcode @ 1..=2, None) => begun = Some((opcode, payload.clone())),
            (opcode, _) => panic!("a frame with opcode {opcode} cannot come here"),
        }
        if first & 0x80 != 0 {
            whole.extend(begun.take());
        }
    }
    whole
}

/// Asserts that no whole message is invalid text.
#[track_caller]
fn assert_texts(frames: &[Heard]) {
    for (opcode, payload) in messages(frames) {
        let text = std::str::from_utf8(&payload);
        assert!(opcode != 1 || text.is_ok(), "a text of {} bytes is whole and invalid: {text:?}", payload.len());
    }
}

#[track_caller]
fn assert_usage<T: std::fmt::Debug>(result: Result<T>, expected: LocalProtocolError) {
    match result {
        Err(Error::Usage(problem)) if problem == expected => {}
        other => panic!("{other:?}, not a refusal: {expected}"),
    }
}

/// A reader that does something when it is first asked, and then gives bytes.
struct Doing<F>(Option<F>, &'static [u8]);

impl<F: FnOnce()> Read for Doing<F> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Some(act) = self.0.take() {
            act();
        }
        self.1.read(buf)
    }
}

/// A reader that fails at once.
struct Fails;

impl Read for Fails {
    fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }
}

// What is refused before a byte of it has left does not harm the connection.

type Call = fn(&WebSocket) -> Result<()>;

const INVALID_TEXT: &[(&str, Call)] = &[
    ("send_reader with the length, wrong at once", |ws| unit(ws.send_reader(MessageKind::Text, &b"\xff"[..], Some(1)))),
    ("send_reader with the length, wrong in the midst", |ws| {
        unit(ws.send_reader(MessageKind::Text, &b"caf\xff!"[..], Some(5)))
    }),
    ("send_reader with the length, cut", |ws| unit(ws.send_reader(MessageKind::Text, &b"caf\xc3"[..], Some(4)))),
    ("send_reader, wrong at once", |ws| unit(ws.send_reader(MessageKind::Text, &b"\xff"[..], None))),
    ("send_reader, wrong in the midst", |ws| unit(ws.send_reader(MessageKind::Text, &b"caf\xff!"[..], None))),
    ("send_reader, cut", |ws| unit(ws.send_reader(MessageKind::Text, &b"caf\xc3"[..], None))),
    ("Sender::send_reader with the length, cut", |ws| {
        unit(ws.sender().send_reader(MessageKind::Text, &b"caf\xc3"[..], Some(4)))
    }),
    ("Sender::send_reader, cut", |ws| unit(ws.sender().send_reader(MessageKind::Text, &b"caf\xc3"[..], None))),
    ("a writer, cut", |ws| {
        let mut writer = ws.message_writer(MessageKind::Text)?;
        writer.write_all(b"caf\xc3")?;
        writer.finish()
    }),
    ("a writer, wrong", |ws| {
        let mut writer = ws.message_writer(MessageKind::Text)?;
        assert_eq!(refused(writer.write_all(b"caf\xff")).kind(), io::ErrorKind::InvalidInput);
        writer.finish()
    }),
    ("Sender::message_writer, cut", |ws| {
        let mut writer = ws.sender().message_writer(MessageKind::Text)?;
        writer.write_all(b"\xf0\x9f\x98")?;
        writer.finish()
    }),
    ("send_frame, wrong", |ws| unit(ws.send_frame(&Frame::new(Opcode::Text, *b"caf\xff")))),
    ("send_frame, cut", |ws| unit(ws.send_frame(&Frame::new(Opcode::Text, *b"caf\xc3")))),
    ("send_frame, wrong in the first fragment", |ws| {
        unit(ws.send_frame(&Frame::new(Opcode::Text, *b"caf\xff").fragment()))
    }),
    ("Sender::send_frame, wrong", |ws| unit(ws.sender().send_frame(&Frame::new(Opcode::Text, *b"\xff\xfe")))),
    ("Sender::send_frame, cut", |ws| unit(ws.sender().send_frame(&Frame::new(Opcode::Text, *b"caf\xc3")))),
    ("send", |ws| unit(ws.send(b"caf\xc3", Opcode::Text))),
    ("Sender::send", |ws| unit(ws.sender().send(b"caf\xff", Opcode::Text))),
    ("try_send", |ws| unit(ws.try_send(b"caf\xc3", Opcode::Text))),
    ("Sender::try_send", |ws| unit(ws.sender().try_send(b"\xff", Opcode::Text))),
];

#[test]
fn invalid_text_of_which_nothing_has_left_is_refused_and_the_connection_goes_on() {
    let mut cases = Cases::new();
    for &(name, send) in INVALID_TEXT {
        cases.add(name, move || {
            let (mut ws, peer) = watched(Layer::Tcp);
            assert_usage(promptly(|| send(&ws)), LocalProtocolError::TextNotUtf8);
            assert_goes_on(&mut ws);
            let heard = peer.join();
            assert_eq!(heard, [(0x81, b"still here".to_vec()), (0x88, b"\x03\xe8".to_vec())]);
        });
    }
    for &layer in &LAYERS[1..] {
        for &(name, send) in &INVALID_TEXT[..6] {
            cases.add(format!("{name} over {layer:?}"), move || {
                let (mut ws, peer) = watched(layer);
                assert_usage(promptly(|| send(&ws)), LocalProtocolError::TextNotUtf8);
                assert_goes_on(&mut ws);
                assert_eq!(messages(&peer.join()).len(), 1);
            });
        }
    }
    cases.run(15);
}

#[test]
fn invalid_text_that_would_be_compressed_is_refused_and_the_connection_goes_on() {
    let mut cases = Cases::new();
    for &(name, send) in INVALID_TEXT {
        cases.add(name, move || {
            let options = options().deflate(websocket_sync::DeflateOptions::new());
            let (ours, theirs) = layers::tcp_pair();
            let server = {
                let options = options.clone();
                thread::spawn(move || {
                    let mut server = options.accept(theirs).unwrap();
                    let mut received = Vec::new();
                    loop {
                        match server.recv() {
                            Ok(message) => received.push(message),
                            Err(Error::Closed(info)) => return (received, info.cause),
                            Err(other) => panic!("{other:?}"),
                        }
                        server.send_text("so am I").unwrap();
                    }
                })
            };
            let mut ws = options.connect_over(ours, "ws://peer/").unwrap();
            assert!(ws.deflate().is_some());
            assert_usage(send(&ws), LocalProtocolError::TextNotUtf8);
            assert_goes_on(&mut ws);
            assert_eq!(join(server), (vec![Message::from("still here")], CloseCause::Remote));
        });
    }
    cases.run(15);
}

#[test]
fn every_call_that_is_refused_leaves_the_connection_as_it_was() {
    const LONG: [u8; 126] = [0; 126];
    const CALLS: &[(&str, Call)] = &[
        ("a reader that gives nothing", |ws| unit(ws.send_reader(MessageKind::Binary, io::empty(), Some(5)))),
        ("a reader that gives nothing of text", |ws| unit(ws.send_reader(MessageKind::Text, io::empty(), Some(5)))),
        ("a reader that gives nothing of very much", |ws| {
            unit(ws.sender().send_reader(MessageKind::Binary, io::empty(), Some(u64::MAX >> 1)))
        }),
        ("a length that no frame has", |ws| unit(ws.send_reader(MessageKind::Binary, io::empty(), Some(u64::MAX)))),
        ("ping", |ws| ws.ping(LONG)),
        ("pong", |ws| ws.pong(LONG)),
        ("try_ping", |ws| ws.try_ping(LONG)),
        ("a ping in a batch", |ws| ws.cork(|batch| batch.ping(&LONG))),
        ("a fragment of a ping", |ws| unit(ws.send_frame(&Frame::new(Opcode::Ping, "").fragment()))),
        ("reserved bits", |ws| {
            let mut frame = Frame::new(Opcode::Text, "");
            frame.rsv = Rsv::RSV2;
            unit(ws.send_frame(&frame))
        }),
        ("a continuation of nothing", |ws| unit(ws.send_frame(&Frame::new(Opcode::Continuation, "")))),
        ("a continuation of nothing by send", |ws| unit(ws.send("", Opcode::Continuation))),
        ("a continuation of nothing by try_send", |ws| unit(ws.try_send("", Opcode::Continuation))),
        ("a Close that must not be sent", |ws| unit(ws.send_frame(&Frame::new(Opcode::Close, *b"\x03\xed")))),
        ("another message than that of the writer", |ws| {
            let _writer = ws.message_writer(MessageKind::Text)?;
            unit(ws.send_text("no"))
        }),
        ("a batch beside the writer", |ws| {
            let _writer = ws.message_writer(MessageKind::Text)?;
            ws.cork(|batch| unit(batch.send_text("no")))
        }),
    ];
    let mut cases = Cases::new();
    for &(name, call) in CALLS {
        cases.add(name, move || {
            let (mut ws, peer) = watched(Layer::Tcp);
            let error = refused(promptly(|| call(&ws)));
            assert!(matches!(error, Error::Usage(_)), "{error:?}");
            assert_goes_on(&mut ws);
            let heard = peer.join();
            assert_eq!(heard, [(0x81, b"still here".to_vec()), (0x88, b"\x03\xe8".to_vec())]);
        });
    }
    cases.run(15);
}

#[test]
fn a_reader_that_fails_before_it_gave_anything_leaves_the_connection_as_it_was() {
    let mut cases = Cases::new();
    for length in [None, Some(5), Some(1 << 40)] {
        for kind in [MessageKind::Text, MessageKind::Binary] {
            cases.add(format!("{length:?}, {kind:?}"), move || {
                let (mut ws, peer) = watched(Layer::Tcp);
                let error = refused(ws.send_reader(kind, Fails, length));
                assert!(matches!(error, Error::Other(_)), "{error:?}");
                assert_goes_on(&mut ws);
                assert_eq!(messages(&peer.join()).len(), 1);
            });
        }
    }
    cases.run(15);
}

// Whatever has left already, the peer never sees a whole invalid text.

const LARGE: usize = 600_000;

/// So much text, and these bytes behind it.
fn text_and(last: &[u8]) -> Vec<u8> {
    [&vec![b'x'; LARGE][..], last].concat()
}

#[test]
fn the_peer_never_sees_a_whole_text_that_is_invalid() {
    type Send = fn(&WebSocket, &[u8]) -> Result<()>;
    const SENDS: &[(&str, Send)] = &[
        ("send_reader with the length", |ws, bytes| {
            unit(ws.send_reader(MessageKind::Text, bytes, Some(bytes.len() as u64)))
        }),
        ("send_reader", |ws, bytes| unit(ws.send_reader(MessageKind::Text, bytes, None))),
        ("a writer", |ws, bytes| {
            let mut writer = ws.message_writer(MessageKind::Text)?;
            writer.write_all(bytes)?;
            writer.finish()
        }),
        ("send_frame", |ws, bytes| unit(ws.send_frame(&Frame::new(Opcode::Text, bytes)))),
        ("send_frame in fragments", |ws, bytes| {
            let (first, last) = bytes.split_at(bytes.len() - 1);
            ws.send_frame(&Frame::new(Opcode::Text, first).fragment())?;
            unit(ws.send_frame(&Frame::new(Opcode::Continuation, last)))
        }),
        ("send of a continuation", |ws, bytes| {
            let (first, last) = bytes.split_at(bytes.len() - 1);
            ws.send_frame(&Frame::new(Opcode::Text, first).fragment())?;
            unit(ws.send(last, Opcode::Continuation))
        }),
        ("try_send of a continuation", |ws, bytes| {
            let (first, last) = bytes.split_at(bytes.len() - 1);
            ws.send_frame(&Frame::new(Opcode::Text, first).fragment())?;
            unit(ws.try_send(last, Opcode::Continuation))
        }),
        ("send", |ws, bytes| unit(ws.send(bytes, Opcode::Text))),
        ("try_send", |ws, bytes| unit(ws.try_send(bytes, Opcode::Text))),
    ];
    let mut cases = Cases::new();
    for &(name, send) in SENDS {
        for (what, bytes) in [
            ("short and cut", b"caf\xc3".to_vec()),
            ("short and wrong", b"caf\xff!".to_vec()),
            ("long and cut", text_and(b"\xe2\x82")),
            ("long and wrong", text_and(b"\xff!")),
        ] {
            cases.add(format!("{name}, {what}"), move || {
                let (ws, peer) = watched(Layer::Tcp);
                let sent = send(&ws, &bytes);
                drop(ws);
                assert_texts(&peer.join());
                refused(sent);
            });
        }
    }
    cases.run(15);
}

#[test]
fn text_found_invalid_after_some_of_it_has_left_ends_the_connection_and_is_never_whole() {
    type Send = fn(&WebSocket, &[u8]) -> Result<()>;
    const SENDS: &[(&str, Send)] = &[
        ("send_reader with the length", |ws, bytes| {
            unit(ws.send_reader(MessageKind::Text, bytes, Some(bytes.len() as u64)))
        }),
        ("Sender::send_reader with the length", |ws, bytes| {
            unit(ws.sender().send_reader(MessageKind::Text, bytes, Some(bytes.len() as u64)))
        }),
        ("send_reader", |ws, bytes| unit(ws.send_reader(MessageKind::Text, bytes, None))),
        ("a writer", |ws, bytes| {
            let mut writer = ws.message_writer(MessageKind::Text)?;
            // A write may be refused already; the end tells in any case.
            let _ = writer.write_all(bytes);
            writer.finish()
        }),
        ("a writer that is flushed", |ws, bytes| {
            let mut writer = ws.message_writer(MessageKind::Text)?;
            let (all_but_one, last) = bytes.split_at(bytes.len() - 1);
            let _ = writer.write_all(all_but_one);
            let _ = writer.flush();
            let _ = writer.write_all(last);
            writer.finish()
        }),
    ];
    let endings: [(&str, &[u8]); 4] = [
        ("cut", b"\xc3"),
        ("cut after three of four", b"\xf0\x9f\x98"),
        ("wrong", b"\xff"),
        ("wrong, and more", b"\xffxxxx"),
    ];
    let mut cases = Cases::new();
    for &layer in TCP_AND_TLS.iter().take(2) {
        for &(name, send) in SENDS {
            for (how, ending) in endings {
                cases.add(format!("{name}, {how}, over {layer:?}"), move || {
                    let (ws, peer) = watched(layer);
                    let error = refused(send(&ws, &text_and(ending)));
                    assert!(matches!(error, Error::Closed(_)), "{error:?}");
                    assert!(!ws.connected());
                    closed(promptly(|| ws.send_text("no more")));
                    ws.close().unwrap();
                    drop(ws);
                    let heard = peer.join();
                    assert_texts(&heard);
                    assert!(messages(&heard).is_empty(), "{} messages", messages(&heard).len());
                });
            }
        }
    }
    cases.run(20);
}

#[test]
fn a_payload_that_ends_too_early_when_some_of_it_has_left_ends_the_connection_and_is_never_whole() {
    let mut cases = Cases::new();
    for (length, announced) in [(LARGE, LARGE + 1), (LARGE, 2 * LARGE)] {
        cases.add(format!("{length} of {announced}"), move || {
            let (ws, peer) = watched(Layer::Tcp);
            let sent = ws.send_reader(MessageKind::Binary, &vec![1; length][..], Some(announced as u64));
            let error = refused(sent);
            assert!(matches!(error, Error::Closed(_)), "{error:?}");
            closed(promptly(|| ws.send_text("no more")));
            drop(ws);
            assert!(messages(&peer.join()).is_empty());
        });
    }
    cases.add("5 of 6", || {
        let (ws, peer) = watched(Layer::Tcp);
        let info = closed(ws.send_reader(MessageKind::Text, &b"short"[..], Some(6)));
        assert_eq!(info.cause, CloseCause::Unfinished(LocalProtocolError::PayloadLength));
        assert!(!ws.connected());
        drop(ws);
        assert!(messages(&peer.join()).is_empty());
    });
    cases.add("invalid text, byte by byte", || {
        let (ws, peer) = watched(Layer::Tcp);
        let bytes = b"c".chain(&b"a"[..]).chain(&b"f"[..]).chain(&b"\xc3"[..]);
        let info = closed(ws.send_reader(MessageKind::Text, bytes, Some(4)));
        assert_eq!(info.cause, CloseCause::Unfinished(LocalProtocolError::TextNotUtf8));
        assert!(!ws.connected());
        drop(ws);
        assert!(messages(&peer.join()).is_empty());
    });
    cases.run(10);
}

#[test]
fn compressed_text_found_invalid_after_some_of_it_has_left_is_never_whole() {
    let mut cases = Cases::new();
    for with_length in [true, false] {
        for (how, ending) in [("cut", &b"\xc3"[..]), ("wrong", b"\xff")] {
            cases.add(format!("{how}, {with_length}"), move || {
                let options = options().deflate(websocket_sync::DeflateOptions::new());
                let (ours, theirs) = layers::tcp_pair();
                let server = {
                    let options = options.clone();
                    thread::spawn(move || options.accept(theirs).unwrap().recv())
                };
                let ws = options.connect_over(ours, "ws://peer/").unwrap();
                let bytes = text_and(ending);
                let length = with_length.then_some(bytes.len() as u64);
                closed(ws.send_reader(MessageKind::Text, &bytes[..], length));
                drop(ws);
                // It is not told that this side has sent invalid text.
                closed(join(server));
            });
        }
    }
    cases.run(15);
}

#[test]
fn characters_that_are_cut_between_chunks_and_fragments_are_whole_in_the_end() {
    bounded(15, || {
        let text = "\u{e9}\u{1f600}".repeat(100_001);
        let (mut ws, peer) = watched(Layer::Tcp);
        let length = text.len() as u64;
        assert_eq!(ws.send_reader(MessageKind::Text, text.as_bytes(), Some(length)).unwrap(), length);
        assert_eq!(ws.send_reader(MessageKind::Text, text.as_bytes(), None).unwrap(), length);
        let mut writer = ws.message_writer(MessageKind::Text).unwrap();
        for bytes in text.as_bytes()[..60].chunks(1) {
            writer.write_all(bytes).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap();
        assert_goes_on(&mut ws);
        let sent: Vec<_> = messages(&peer.join()).into_iter().map(|message| message.1).collect();
        assert_eq!(sent.len(), 4);
        assert!(sent[0] == text.as_bytes() && sent[1] == text.as_bytes() && sent[2] == text.as_bytes()[..60]);
    });
}

#[test]
fn a_frame_by_hand_that_would_end_text_inside_a_character_is_refused_and_the_message_can_be_ended_well() {
    type Last = fn(&WebSocket, &[u8]) -> Result<()>;
    const LASTS: &[(&str, Last)] = &[
        ("send_frame", |ws, bytes| unit(ws.send_frame(&Frame::new(Opcode::Continuation, bytes)))),
        ("Sender::send_frame", |ws, bytes| unit(ws.sender().send_frame(&Frame::new(Opcode::Continuation, bytes)))),
        ("send", |ws, bytes| unit(ws.send(bytes, Opcode::Continuation))),
        ("Sender::send", |ws, bytes| unit(ws.sender().send(bytes, Opcode::Continuation))),
        ("try_send", |ws, bytes| unit(ws.try_send(bytes, Opcode::Continuation))),
    ];
    let mut cases = Cases::new();
    for &(name, last) in LASTS {
        cases.add(name, move || {
            let (mut ws, peer) = watched(Layer::Tcp);
            ws.send_frame(&Frame::new(Opcode::Text, *b"caf\xc3").fragment()).unwrap();
            ws.ping("between").unwrap();
            assert_usage(last(&ws, b""), LocalProtocolError::TextNotUtf8);
            assert_usage(last(&ws, b"x"), LocalProtocolError::TextNotUtf8);
            assert_usage(last(&ws, b"\xa9\xf0\x9f"), LocalProtocolError::TextNotUtf8);
            let wrong = Frame::new(Opcode::Continuation, *b"\xa9\xff").fragment();
            assert_usage(ws.send_frame(&wrong), LocalProtocolError::TextNotUtf8);
            ws.send_frame(&Frame::new(Opcode::Continuation, *b"\xa9\xf0\x9f").fragment()).unwrap();
            last(&ws, b"\x98\x80").unwrap();
            // The next message is another one.
            assert_usage(ws.send_frame(&Frame::new(Opcode::Text, *b"\xa9")), LocalProtocolError::TextNotUtf8);
            ws.send_frame(&Frame::new(Opcode::Binary, *b"\xff").fragment()).unwrap();
            last(&ws, b"\xfe").unwrap();
            assert_goes_on(&mut ws);
            let heard = peer.join();
            assert_eq!(
                messages(&heard),
                [(1, "caf\u{e9}\u{1f600}".as_bytes().to_vec()), (2, b"\xff\xfe".to_vec()), (1, b"still here".to_vec())]
            );
        });
    }
    cases.run(10);
}

// A thread does not wait for itself.

/// What a call inside of something that sends is answered with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    /// Refused: this very thread is sending.
    Sending,
    /// Refused like that, or done.
    SendingOrDone,
}

const INSIDE: &[(&str, Call)] = &[
    ("send_text", |ws| unit(ws.send_text("no"))),
    ("send_binary", |ws| unit(ws.send_binary(b"no"))),
    ("send_binary of much", |ws| unit(ws.send_binary(&[0; 300_000]))),
    ("send", |ws| unit(ws.send("no", Opcode::Text))),
    ("send_frame", |ws| unit(ws.send_frame(&Frame::new(Opcode::Text, "no")))),
    ("send_frame of a fragment", |ws| unit(ws.send_frame(&Frame::new(Opcode::Text, "no").fragment()))),
    ("cork", |ws| ws.cork(|batch| unit(batch.send_text("no")))),
    ("message_writer", |ws| unit(ws.message_writer(MessageKind::Text))),
    ("send_reader", |ws| unit(ws.send_reader(MessageKind::Text, &b"no"[..], None))),
    ("send_reader with the length", |ws| unit(ws.send_reader(MessageKind::Text, &b"no"[..], Some(2)))),
    ("try_send_text", |ws| unit(ws.try_send_text("no"))),
    ("try_send_binary", |ws| unit(ws.try_send_binary(b"no"))),
    ("try_send", |ws| unit(ws.try_send("no", Opcode::Text))),
    ("Sender::send_text", |ws| unit(ws.sender().send_text("no"))),
    ("Sender::cork", |ws| ws.sender().cork(|batch| unit(batch.send_text("no")))),
    ("Sender::try_send_text", |ws| unit(ws.sender().try_send_text("no"))),
];

const INSIDE_CONTROL: &[(&str, Call)] = &[
    ("ping", |ws| ws.ping("no")),
    ("pong", |ws| ws.pong("no")),
    ("send of a ping", |ws| unit(ws.send("no", Opcode::Ping))),
    ("send_frame of a ping", |ws| unit(ws.send_frame(&Frame::new(Opcode::Ping, "no")))),
    ("try_ping", |ws| ws.try_ping("no")),
    ("Sender::ping", |ws| ws.sender().ping("no")),
    ("set_mask_key", |ws| ws.set_mask_key(|| [1; 4])),
];

const INSIDE_CLOSE: &[(&str, Call)] = &[
    ("close", WebSocket::close),
    ("close_with", |ws| ws.close_with(CloseCode(4001), "no")),
    ("send_close", |ws| ws.send_close(CloseCode::NORMAL, "")),
    ("Sender::close", |ws| ws.sender().close()),
    ("Sender::send_close", |ws| ws.sender().send_close(CloseCode::NORMAL, "")),
    ("send_frame of a Close", |ws| unit(ws.send_frame(&Frame::new(Opcode::Close, *b"\x03\xe8")))),
];

/// Calls from inside a reader, a batch or the like (`outer`), which is to send "whole" in spite of that.
fn inside(
    cases: &mut Cases,
    calls: &[(&'static str, Call)],
    answer: Answer,
    outer: fn(&WebSocket, &dyn Fn()) -> Result<()>,
) {
    for &(name, call) in calls {
        cases.add(name, move || {
            let (mut ws, peer) = watched(Layer::Tcp);
            let answered = std::cell::Cell::new(None);
            let sent = outer(&ws, &|| answered.set(Some(promptly(|| call(&ws)))));
            let answered = answered.into_inner().expect("it was called");
            match (answer, answered) {
                (_, Err(Error::Usage(LocalProtocolError::SendingMessage))) | (Answer::SendingOrDone, Ok(())) => {}
                (_, other) => panic!("answered with {other:?}"),
            }
            sent.unwrap();
            assert_goes_on(&mut ws);
            let heard = messages(&peer.join());
            assert_eq!(heard, [(1, b"whole".to_vec()), (1, b"still here".to_vec())]);
        });
    }
}

/// Calls that do not wait: what is outside arrives whole.
fn inside_try_close(cases: &mut Cases, outer: fn(&WebSocket, &dyn Fn()) -> Result<()>) {
    let sending = Err(LocalProtocolError::SendingMessage);
    for (name, call, answer) in [
        ("try_close", (|ws| ws.try_close(CloseCode::NORMAL, "")) as Call, sending),
        ("Sender::try_close", |ws| ws.sender().try_close(CloseCode::NORMAL, ""), sending),
        ("try_flush", |ws| unit(ws.try_flush()), Ok(())),
    ] {
        cases.add(name, move || {
            let (ws, peer) = watched(Layer::Tcp);
            let answered = std::cell::Cell::new(None);
            let sent = outer(&ws, &|| answered.set(Some(promptly(|| call(&ws)))));
            match (answer, answered.into_inner().expect("it was called")) {
                (Ok(()), Ok(())) => {}
                (Err(expected), Err(Error::Usage(problem))) if problem == expected => {}
                (_, other) => panic!("answered with {other:?}"),
            }
            sent.unwrap();
            promptly(|| ws.close().unwrap());
            assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
            assert_eq!(messages(&peer.join()), [(1, b"whole".to_vec())]);
        });
    }
}

#[test]
fn a_call_from_inside_the_reader_of_send_reader_is_refused_at_once_and_the_message_arrives() {
    let outer: fn(&WebSocket, &dyn Fn()) -> Result<()> =
        |ws, act| unit(ws.send_reader(MessageKind::Text, Doing(Some(act), b"whole"), Some(5)));
    let mut cases = Cases::new();
    inside(&mut cases, INSIDE, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CONTROL, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CLOSE, Answer::Sending, outer);
    inside_try_close(&mut cases, outer);
    cases.run(10);
}

#[test]
fn a_call_from_inside_the_reader_of_a_message_of_unknown_length_is_refused_at_once_and_the_message_arrives() {
    let outer: fn(&WebSocket, &dyn Fn()) -> Result<()> =
        |ws, act| unit(ws.send_reader(MessageKind::Text, Doing(Some(act), b"whole"), None));
    let mut cases = Cases::new();
    inside(&mut cases, INSIDE, Answer::Sending, outer);
    // A control frame may stand between the fragments of a message.
    inside(&mut cases, INSIDE_CONTROL, Answer::SendingOrDone, outer);
    inside(&mut cases, INSIDE_CLOSE, Answer::Sending, outer);
    cases.run(10);
}

#[test]
fn a_call_from_inside_a_batch_is_refused_at_once_and_the_batch_arrives() {
    let outer: fn(&WebSocket, &dyn Fn()) -> Result<()> = |ws, act| {
        ws.cork(|batch| {
            batch.send_text("whole")?;
            act();
            Ok(())
        })
    };
    let mut cases = Cases::new();
    inside(&mut cases, INSIDE, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CONTROL, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CLOSE, Answer::Sending, outer);
    inside_try_close(&mut cases, outer);
    cases.run(10);
}

#[test]
fn a_call_from_inside_a_batch_of_a_sender_is_refused_at_once_and_the_batch_arrives() {
    let outer: fn(&WebSocket, &dyn Fn()) -> Result<()> = |ws, act| {
        ws.sender().cork(|batch| {
            act();
            batch.send_text("whole")?;
            Ok(())
        })
    };
    let mut cases = Cases::new();
    inside(&mut cases, INSIDE, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CONTROL, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CLOSE, Answer::Sending, outer);
    cases.run(10);
}

#[test]
fn a_message_from_the_thread_that_writes_another_is_refused_at_once_and_control_frames_pass() {
    let outer: fn(&WebSocket, &dyn Fn()) -> Result<()> = |ws, act| {
        let mut writer = ws.message_writer(MessageKind::Text)?;
        writer.write_all(b"who")?;
        writer.flush()?;
        act();
        writer.write_all(b"le")?;
        writer.finish()
    };
    let mut cases = Cases::new();
    inside(&mut cases, INSIDE, Answer::Sending, outer);
    inside(&mut cases, INSIDE_CONTROL, Answer::SendingOrDone, outer);
    for &(name, close) in INSIDE_CLOSE {
        cases.add(name, move || {
            let (ws, peer) = watched(Layer::Tcp);
            let mut writer = ws.message_writer(MessageKind::Text).unwrap();
            writer.write_all(b"half").unwrap();
            writer.flush().unwrap();
            ws.ping("passes").unwrap();
            promptly(|| close(&ws).unwrap());
            closed(writer.finish());
            ws.close().unwrap();
            assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
            let heard = peer.join();
            assert_eq!(heard.iter().map(|frame| frame.0).collect::<Vec<_>>(), [0x01, 0x89, 0x88]);
        });
    }
    cases.run(10);
}

#[test]
fn who_leaves_the_connection_from_inside_a_batch_or_a_reader_waits_for_nothing() {
    type Leave = fn(WebSocket);
    let mut cases = Cases::new();
    for (name, leave) in
        [("drop", drop as Leave), ("abort", |ws| ws.abort()), ("Sender::abort", |ws| ws.sender().abort())]
    {
        cases.add(format!("{name} in a batch"), move || {
            let (ws, _peer) = watched(Layer::Tcp);
            let sender = ws.sender();
            let left = sender.cork(|batch| {
                promptly(|| leave(ws));
                unit(batch.send_text("too late"))
            });
            closed(left);
        });
        cases.add(format!("{name} in a reader"), move || {
            let (ws, _peer) = watched(Layer::Tcp);
            let sender = ws.sender();
            closed(sender.send_reader(MessageKind::Text, Doing(Some(|| promptly(|| leave(ws))), b"late"), Some(4)));
        });
    }
    cases.run(10);
}

#[test]
fn a_panic_inside_a_reader_that_gave_nothing_leaves_the_connection_as_it_was() {
    let mut cases = Cases::new();
    for length in [Some(5), None] {
        cases.add(format!("{length:?}"), move || {
            let (mut ws, peer) = watched(Layer::Tcp);
            let panicked = panic::catch_unwind(AssertUnwindSafe(|| {
                ws.send_reader(MessageKind::Text, Doing(Some(|| panic!("as it should")), b""), length)
            }));
            panicked.unwrap_err();
            assert_goes_on(&mut ws);
            assert_eq!(messages(&peer.join()).len(), 1);
        });
    }
    cases.run(10);
}

// What one thread begins, another one's end does not clear.

const STRESS: Duration = ms(2000);

/// Lets threads send at the same time for a while, each what it likes, again and again. None may fail, and messages must not be mixed.
fn at_the_same_time(sends: &[fn(&Sender) -> Result<()>]) {
    let (ws, peer) = open_on(Layer::Tcp, &ConnectOptions::new().close_timeout(ms(5000)), |mut server| {
        let (mut begun, mut count) = (false, 0_u32);
        loop {
            match server.frame_length().0 {
                0x01 | 0x02 => assert!(!std::mem::replace(&mut begun, true), "a message within a message"),
                0x00 => assert!(begun, "a continuation of nothing"),
                0x80 => assert!(std::mem::take(&mut begun), "a continuation of nothing"),
                0x81 | 0x82 => assert!(!begun, "a message within a message"),
                0x89 => {}
                0x88 => break,
                other => panic!("{other:02x}"),
            }
            count += 1;
        }
        server.say(frame(0x88, b"\x03\xe8"));
        server.rest();
        count
    });
    let (start, failed) = (Instant::now(), Arc::new(AtomicBool::new(false)));
    let threads: Vec<_> = sends
        .iter()
        .map(|&send| {
            let (sender, failed) = (ws.sender(), Arc::clone(&failed));
            thread::spawn(move || {
                while start.elapsed() < STRESS && !failed.load(Ordering::Relaxed) {
                    if let Err(error) = send(&sender) {
                        failed.store(true, Ordering::Relaxed);
                        return Err(format!("{error:?} after {:?}", start.elapsed()));
                    }
                }
                Ok(())
            })
        })
        .collect();
    let failures: Vec<_> = threads.into_iter().filter_map(|thread| join(thread).err()).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    ws.close().unwrap();
    assert!(peer.join() > 100);
}

fn batch(sender: &Sender) -> Result<()> {
    sender.cork(|batch| unit(batch.send_binary(b"1")))
}

fn writer(sender: &Sender) -> Result<()> {
    let mut writer = sender.message_writer(MessageKind::Binary)?;
    for _ in 0..2 {
        writer.write_all(b"2")?;
        writer.flush()?;
    }
    writer.finish()
}

fn reader(sender: &Sender) -> Result<()> {
    unit(sender.send_reader(MessageKind::Binary, &[3; 200_000][..], None))
}

fn reader_of_known_length(sender: &Sender) -> Result<()> {
    unit(sender.send_reader(MessageKind::Binary, &b"4"[..], Some(1)))
}

fn empty_writer(sender: &Sender) -> Result<()> {
    drop(sender.message_writer(MessageKind::Binary)?);
    Ok(())
}

#[test]
fn the_end_of_a_batch_does_not_clear_what_another_threads_writer_has_begun() {
    bounded(10, || at_the_same_time(&[batch, batch, writer, writer]));
}

#[test]
fn the_end_of_a_batch_does_not_clear_what_another_threads_send_reader_has_begun() {
    bounded(10, || at_the_same_time(&[batch, batch, batch, reader, reader, empty_writer, reader_of_known_length]));
}

#[test]
fn the_end_of_a_batch_does_not_clear_what_another_thread_has_begun_by_hand() {
    bounded(10, || {
        at_the_same_time(&[
            |sender| {
                sender.send_frame(&Frame::new(Opcode::Binary, "5").fragment())?;
                sender.send_frame(&Frame::new(Opcode::Continuation, "6").fragment())?;
                sender.send_frame(&Frame::new(Opcode::Continuation, "7")).map(drop)
            },
            |sender| match batch(sender) {
                // It came within the fragments of the other one.
                Err(Error::Usage(LocalProtocolError::OutOfSequence(_))) => Ok(()),
                done => done,
            },
            |sender| sender.cork(|batch| batch.ping(b"8")),
        ]);
    });
}

// What has not left at once is known, over TLS as over TCP.

#[test]
fn what_did_not_leave_at_once_is_told_by_wants_write_and_leaves_by_try_flush() {
    let mut cases = Cases::new();
    for &layer in TCP_AND_TLS {
        cases.add(format!("{layer:?}"), move || {
            let (go, waits) = mpsc::channel::<usize>();
            let (ws, peer) = open_saying(layer, narrow, &ConnectOptions::new(), Vec::new(), move |mut server| {
                let sent = waits.recv().unwrap();
                for _ in 0..sent {
                    assert_eq!(server.frame_length(), (0x82, 100));
                }
                record_frames(server)
            });
            let mut sent = 0;
            while !ws.wants_write() {
                promptly(|| ws.try_send_binary(&[1; 100]).unwrap());
                sent += 1;
                assert_ne!(ws.try_flush().unwrap(), ws.wants_write(), "after {sent} messages");
            }
            assert!(!promptly(|| ws.try_flush().unwrap()));
            assert!(ws.wants_write());
            go.send(sent).unwrap();
            let start = Instant::now();
            while !ws.try_flush().unwrap() {
                assert!(start.elapsed() < ms(10_000), "it does not leave");
                thread::sleep(ms(1));
            }
            assert!(!ws.wants_write());
            ws.close().unwrap();
            assert_eq!(peer.join(), [(0x88, b"\x03\xe8".to_vec())]);
        });
    }
    cases.run(15);
}

/// Sends from another thread until something does not leave at once: the loop that drives the app must have been told, since it
/// has to watch the time for that. Before, it waits for nothing but its socket.
#[test]
fn a_loop_is_woken_by_what_did_not_leave_at_once_over_tls_as_over_tcp() {
    let mut cases = Cases::new();
    for &layer in TCP_AND_TLS {
        cases.add(format!("{layer:?}"), move || {
            let (release, waits) = mpsc::channel::<()>();
            let options = ConnectOptions::new().send_timeout(ms(20_000));
            let (ws, _peer) = open_saying(layer, narrow, &options, Vec::new(), move |mut server| {
                let _ = waits.recv();
                server.rest();
            });
            let mut connection = Some(ws);
            let app = WebSocketApp::new("ws://peer/")
                .options(options)
                .connect_with(move |_, _| connection.take().ok_or_else(|| Error::other("there is one")));
            let (wake, woken) = mpsc::channel();
            let mut task: AppTask<'_> = app
                .into_task(move || {
                    let _ = wake.send(());
                })
                .unwrap();
            match task.advance() {
                AppStep::Connect(attempt) => task.connected(attempt.run()),
                other => panic!("{other:?}"),
            }
            let moment = |task: &mut AppTask<'_>| loop {
                match task.advance() {
                    AppStep::Wait(until) => return until,
                    AppStep::Again => {}
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(moment(&mut task), None);
            while woken.try_recv().is_ok() {}
            let handle = task.handle();
            for sent in 1..10_000 {
                let sending = handle.clone();
                join(thread::spawn(move || sending.send_binary(&[1; 300]))).unwrap();
                let was_woken = woken.try_recv().is_ok();
                let until = moment(&mut task);
                assert!(was_woken || until.is_none(), "not woken, and there is a deadline after {sent} messages");
                if was_woken {
                    assert!(until.is_some(), "woken for what does not leave after {sent} messages, and no deadline");
                    drop(release);
                    return;
                }
            }
            panic!("it all leaves");
        });
    }
    cases.run(15);
}

#[test]
fn a_sender_that_waits_is_woken_when_another_threads_batch_is_over() {
    bounded(10, || {
        let (mut ws, peer) = watched(Layer::Tcp);
        let sender = ws.sender();
        let waiting = ws
            .cork(|batch| {
                batch.send_text("one")?;
                let waiting = thread::spawn(move || sender.send_text("two"));
                thread::sleep(ms(50));
                Ok(waiting)
            })
            .unwrap();
        by_deadline(ms(50), || join(waiting)).unwrap();
        assert_goes_on(&mut ws);
        let heard = messages(&peer.join());
        assert_eq!(heard[..2], [(1, b"one".to_vec()), (1, b"two".to_vec())]);
    });
}
