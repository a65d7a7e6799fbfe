//! A Close that the peer has sent is told, whichever way the connection comes to its end: a send that timed out, a frame that was sent in
//! part, an abort, a reset. And nothing is received behind the end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/layers.rs"]
mod layers;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use layers::{LAYERS, Layer, Script, Server, TCP_AND_TLS, open_on, open_saying, promptly, refused, tcp_pair};
use support::cases::Cases;
use support::{by_deadline, closed, frame, join, masked_frame, ms, unit};
use websocket_sync::protocol::LocalProtocolError;
use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, Error, Frame, Message, MessageKind, Opcode, Phase,
    Result, WebSocket, WebSocketApp,
};

const MUCH: usize = 16 << 20;
const REASON: &str = "message too big";

/// The peer's Close, with 1009.
fn too_big() -> Vec<u8> {
    frame(0x88, [b"\x03\xf1", REASON.as_bytes()].concat())
}

#[track_caller]
fn assert_too_big(info: &CloseInfo) {
    assert_eq!((info.code, info.reason.as_str()), (CloseCode::MESSAGE_TOO_BIG, REASON), "{info:?}");
}

/// Receives until the connection is over; says how it ended.
#[track_caller]
fn until_closed(ws: &mut WebSocket) -> CloseInfo {
    loop {
        match ws.recv() {
            Ok(_) => {}
            Err(error) => return closed::<()>(Err(error)),
        }
    }
}

type Send = fn(&WebSocket) -> Result<()>;

/// Each sends much in one frame, or tears what it cannot send whole.
const SENDS_OF_ONE_FRAME: &[(&str, Send)] = &[
    ("send_binary", |ws| unit(ws.send_binary(&vec![1; MUCH]))),
    ("send_text", |ws| unit(ws.send_text(&"x".repeat(MUCH)))),
    ("Sender::send_binary", |ws| unit(ws.sender().send_binary(&vec![1; MUCH]))),
    ("send_frame", |ws| unit(ws.send_frame(&Frame::new(Opcode::Binary, vec![1; MUCH])))),
    ("send_reader with the length", |ws| {
        unit(ws.send_reader(MessageKind::Binary, io::repeat(1).take(MUCH as u64), Some(MUCH as u64)))
    }),
    ("a batch of one", |ws| ws.cork(|batch| unit(batch.send_binary(&vec![1; MUCH])))),
    ("a batch of many", |ws| ws.cork(|batch| (0..MUCH / 1000).try_for_each(|_| unit(batch.send_binary(&[1; 1000]))))),
];

/// Each sends as much in fragments.
const SENDS_IN_FRAGMENTS: &[(&str, Send)] = &[
    ("send_reader", |ws| unit(ws.send_reader(MessageKind::Binary, io::repeat(1).take(MUCH as u64), None))),
    ("a writer", |ws| {
        let mut writer = ws.message_writer(MessageKind::Binary)?;
        writer.write_all(&vec![1; MUCH])?;
        writer.finish()
    }),
];

/// A server that hears the beginning of what is sent, says why it will not have more, reads nothing more and stays. It is gone when
/// the test is over.
fn stops_reading(layer: Layer, options: &ConnectOptions) -> (WebSocket, Receiver<()>, mpsc::Sender<()>, Script<()>) {
    let (tell, told) = mpsc::channel();
    let (stay, stays) = mpsc::channel::<()>();
    let (ws, peer) = open_on(layer, options, move |mut server| {
        server.take(64 * 1024);
        server.say(too_big());
        let _ = tell.send(());
        let _ = stays.recv();
    });
    (ws, told, stay, peer)
}

// (a) A send that times out.

#[test]
fn the_peers_close_is_told_after_a_send_that_timed_out() {
    let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(500));
    let mut cases = Cases::new();
    for &layer in LAYERS {
        // Over TLS, what differs is what is below the sends.
        let sends = if layer == Layer::Tcp { SENDS_OF_ONE_FRAME } else { &SENDS_OF_ONE_FRAME[..1] };
        for &(name, send) in sends {
            let one = options.clone();
            cases.add(format!("{name}, by recv, over {layer:?}"), move || {
                let (mut ws, _told, _stay, _peer) = stops_reading(layer, &one);
                refused(send(&ws));
                assert!(!ws.connected());
                // What had arrived by then is known without a receive.
                assert_too_big(&ws.close_info().unwrap());
                assert_too_big(&until_closed(&mut ws));
                assert_too_big(&ws.close_info().unwrap());
                assert_too_big(&closed(promptly(|| ws.send_text("no more"))));
                assert_too_big(&closed(promptly(|| ws.recv())));
            });
        }
        for &(name, send) in sends.iter().chain(if layer == Layer::Tcp { SENDS_IN_FRAGMENTS } else { &[] }) {
            let one = options.clone();
            cases.add(format!("{name}, by recv alone, over {layer:?}"), move || {
                let (mut ws, _told, _stay, _peer) = stops_reading(layer, &one);
                refused(send(&ws));
                assert_too_big(&until_closed(&mut ws));
                assert_too_big(&ws.close_info().unwrap());
            });
            let one = options.clone();
            cases.add(format!("{name}, by close, over {layer:?}"), move || {
                let (ws, _told, _stay, _peer) = stops_reading(layer, &one);
                refused(send(&ws));
                by_deadline(ms(1000), || ws.close().unwrap());
                assert_too_big(&ws.close_info().unwrap());
            });
        }
    }
    cases.run_few(8, 30);
}

#[test]
fn a_server_tells_the_clients_close_after_a_send_that_timed_out() {
    let (ours, theirs) = tcp_pair();
    let (stay, stays) = mpsc::channel::<()>();
    let client = thread::spawn(move || {
        let client = support::Peer::new(theirs);
        client.say(support::REQUEST);
        client.say(masked_frame(0x88, [b"\x03\xf1", REASON.as_bytes()].concat()));
        let _ = stays.recv();
    });
    let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(500));
    let mut ws = options.accept(ours).unwrap();
    refused(ws.send_binary(&vec![1; MUCH]));
    assert_too_big(&ws.close_info().unwrap());
    assert_too_big(&until_closed(&mut ws));
    drop(stay);
    join(client);
}

#[test]
fn messages_that_came_before_the_close_do_not_hide_it_after_a_send_that_timed_out() {
    let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(500));
    let before: [(&str, Vec<u8>); 4] = [
        ("a message", frame(0x81, "before")),
        ("many messages", frame(0x82, [1; 100]).repeat(50)),
        ("a ping", frame(0x89, "?")),
        ("half a message", frame(0x01, "half")),
    ];
    let mut cases = Cases::new();
    for (name, before) in before {
        let options = options.clone();
        cases.add(name, move || {
            let (stay, stays) = mpsc::channel::<()>();
            let (mut ws, _peer) = open_on(Layer::Tcp, &options, move |mut server| {
                server.take(64 * 1024);
                server.say([before, too_big()].concat());
                let _ = stays.recv();
            });
            refused(ws.send_binary(&vec![1; MUCH]));
            assert_too_big(&until_closed(&mut ws));
            assert_too_big(&ws.close_info().unwrap());
            drop(stay);
        });
    }
    cases.run(10);
}

// (b) A receive in another thread.

#[test]
fn a_receive_tells_the_peers_close_at_once_though_another_threads_send_is_stuck() {
    type Receive = fn(&mut WebSocket) -> Result<()>;
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| unit(ws.recv())),
        ("recv_ref", |ws| unit(ws.recv_ref())),
        ("recv_timeout", |ws| unit(ws.recv_timeout(ms(20_000)))),
        ("messages", |ws| match ws.messages().next() {
            Some(message) => unit(message),
            None => unit(ws.recv()),
        }),
        ("recv_data_frame", |ws| match ws.recv_data_frame(ControlFrames::Hide)? {
            Frame { opcode: Opcode::Close, .. } => unit(ws.recv()),
            other => panic!("{other:?}"),
        }),
        ("try_recv", |ws| {
            while ws.try_recv()?.is_none() {
                thread::sleep(ms(1));
            }
            Ok(())
        }),
    ];
    const CLOSE: Duration = ms(2000);
    let mut cases = Cases::new();
    for &layer in LAYERS {
        let receives = if layer == Layer::Tcp { RECEIVES } else { &RECEIVES[..1] };
        for &(name, receive) in receives {
            cases.add(format!("{name} over {layer:?}"), move || {
                let options = ConnectOptions::new().close_timeout(CLOSE);
                let (mut ws, told, _stay, _peer) = stops_reading(layer, &options);
                let sender = ws.sender();
                let sending = {
                    let sender = sender.clone();
                    thread::spawn(move || sender.send_binary(&vec![1; MUCH]))
                };
                let receiving = thread::spawn(move || (closed(receive(&mut ws)), ws));
                told.recv().unwrap();
                let (info, ws) = by_deadline(ms(500), || join(receiving));
                assert_too_big(&info);
                assert_too_big(&ws.close_info().unwrap());
                assert!(!sender.connected());
                assert_too_big(&closed(promptly(|| sender.send_text("no more"))));
                // That send does not last for ever either.
                match refused(by_deadline(2 * CLOSE, || join(sending))) {
                    Error::Closed(info) => assert_too_big(&info),
                    Error::Timeout(Phase::Send) => {}
                    other => panic!("{other:?}"),
                }
                drop(ws);
            });
        }
    }
    cases.run_few(4, 40);
}

// (c) An abort.

#[test]
fn an_abort_tells_the_peers_close_if_it_has_arrived() {
    type Abort = fn(&WebSocket);
    const ABORTS: &[(&str, Abort)] = &[("abort", |ws| ws.abort()), ("Sender::abort", |ws| ws.sender().abort())];
    let before: [(&'static str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("a message", frame(0x81, "before")),
        ("a ping", frame(0x89, "?")),
        ("half a message", frame(0x01, "half")),
        ("a message of 100 KB", frame(0x82, vec![1; 100_000])),
    ];
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for &(name, abort) in ABORTS {
            for (what, before) in before.clone() {
                for with_the_101 in [true, false] {
                    if (layer != Layer::Tcp && what != "nothing") || (with_the_101 && before.len() > 1000) {
                        continue;
                    }
                    let said = [before.clone(), too_big()].concat();
                    let how = if with_the_101 { "behind the 101" } else { "later" };
                    cases.add(format!("{name} with {what} before, {how}, over {layer:?}"), move || {
                        let (stay, stays) = mpsc::channel::<()>();
                        let first = if with_the_101 { said.clone() } else { Vec::new() };
                        let options = ConnectOptions::new();
                        let (mut ws, _peer) = open_saying(layer, tcp_pair, &options, first, move |mut server| {
                            if !with_the_101 {
                                server.say(said);
                            }
                            let _ = stays.recv();
                        });
                        thread::sleep(ms(200));
                        promptly(|| abort(&ws));
                        assert_too_big(&ws.close_info().unwrap());
                        assert_too_big(&promptly(|| until_closed(&mut ws)));
                        drop(stay);
                    });
                }
            }
        }
        cases.add(format!("Sender::abort while another thread's send is stuck over {layer:?}"), move || {
            let (mut ws, told, _stay, _peer) = stops_reading(layer, &ConnectOptions::new());
            let sender = ws.sender();
            let sending = thread::spawn(move || sender.send_binary(&vec![1; MUCH]));
            told.recv().unwrap();
            thread::sleep(ms(100));
            promptly(|| ws.sender().abort());
            assert_too_big(&ws.close_info().unwrap());
            assert_too_big(&promptly(|| until_closed(&mut ws)));
            closed(by_deadline(ms(1000), || join(sending)));
        });
    }
    cases.run_few(12, 30);
}

#[test]
fn an_abort_waits_for_no_close_that_has_not_arrived() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for said in [0, 1, 10] {
            cases.add(format!("{said} bytes of it, over {layer:?}"), move || {
                let (stay, stays) = mpsc::channel::<()>();
                let (mut ws, _peer) = open_on(layer, &ConnectOptions::new(), move |mut server| {
                    server.say(&too_big()[..said]);
                    let _ = stays.recv();
                });
                thread::sleep(ms(100));
                promptly(|| ws.abort());
                let info = ws.close_info().unwrap();
                assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::Aborted));
                assert_eq!(promptly(|| closed(ws.recv())), info);
                drop(stay);
            });
        }
    }
    cases.run(6);
}

// (d) A reset.

#[cfg(target_os = "linux")]
#[test]
fn the_peers_close_is_told_though_a_reset_follows_it() {
    /// Says why, and makes a reset of the end; then tells.
    fn resets(mut server: Server, heard: usize) {
        server.take(heard);
        server.say(too_big());
        thread::sleep(ms(50));
        server.reset();
    }
    let options = ConnectOptions::new().close_timeout(ms(500));
    let mut cases = Cases::new();
    for &layer in LAYERS {
        let one = options.clone();
        cases.add(format!("while nothing is sent over {layer:?}"), move || {
            let (mut ws, peer) = open_on(layer, &one, |server| resets(server, 0));
            peer.join();
            thread::sleep(ms(50));
            assert_too_big(&until_closed(&mut ws));
            assert_too_big(&ws.close_info().unwrap());
        });
        let one = options.clone();
        cases.add(format!("found out by a short send over {layer:?}"), move || {
            let (mut ws, peer) = open_on(layer, &one, |server| resets(server, 0));
            peer.join();
            thread::sleep(ms(50));
            while ws.send_text("is anybody there?").is_ok() {}
            assert_too_big(&until_closed(&mut ws));
        });
        for by_close in [false, true] {
            let one = options.clone();
            let how = if by_close { "close" } else { "recv" };
            cases.add(format!("while much is sent, by {how}, over {layer:?}"), move || {
                let (mut ws, _peer) = open_on(layer, &one, |server| resets(server, 64 * 1024));
                refused(ws.send_binary(&vec![1; MUCH]));
                if by_close {
                    by_deadline(ms(1000), || ws.close().unwrap());
                } else {
                    assert_too_big(&until_closed(&mut ws));
                }
                assert_too_big(&ws.close_info().unwrap());
            });
        }
        let one = options.clone();
        cases.add(format!("while another thread sends much over {layer:?}"), move || {
            let (mut ws, _peer) = open_on(layer, &one, |server| resets(server, 64 * 1024));
            let sender = ws.sender();
            let sending = thread::spawn(move || sender.send_binary(&vec![1; MUCH]));
            assert_too_big(&until_closed(&mut ws));
            refused(join(sending));
        });
    }
    cases.run_few(8, 30);
}

// (e) What is broken off on this side.

/// Gives half a megabyte, waits until the peer's Close has arrived, and then gives up.
struct BreaksOff {
    given: usize,
    told: Receiver<()>,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Panics,
    Fails,
    Ends,
    GivesInvalidText,
}

impl Read for BreaksOff {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.given < 1 << 19 {
            let length = buf.len().min(1 << 16);
            buf[..length].fill(b'x');
            self.given += length;
            return Ok(length);
        }
        // The second time nobody tells any more.
        if self.told.recv().is_ok() {
            thread::sleep(ms(100));
        }
        match self.how {
            How::Panics => panic!("as it should"),
            How::Fails => Err(io::ErrorKind::NotFound.into()),
            How::Ends => Ok(0),
            How::GivesInvalidText => {
                buf[0] = 0xFF;
                Ok(1)
            }
        }
    }
}

/// Asserts that a message failed for what its reader did, and not for the peer's Close.
#[track_caller]
fn assert_broken_off(how: How, sent: thread::Result<Result<u64>>) {
    match (how, sent) {
        (How::Panics, Err(_)) => {}
        (How::Fails, Ok(Err(error))) => assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound),
        (How::Ends, Ok(sent)) => {
            assert_eq!(closed(sent).cause, CloseCause::Unfinished(LocalProtocolError::PayloadLength));
        }
        (How::GivesInvalidText, Ok(sent)) => {
            assert_eq!(closed(sent).cause, CloseCause::Unfinished(LocalProtocolError::TextNotUtf8));
        }
        (_, other) => panic!("{how:?}: {other:?}"),
    }
}

#[test]
fn the_peers_close_is_told_when_this_side_breaks_a_message_off() {
    let options = ConnectOptions::new().close_timeout(ms(500));
    let mut cases = Cases::new();
    // A Unix socket has no room for as much as leaves before.
    for &layer in TCP_AND_TLS {
        for how in [How::Panics, How::Fails, How::Ends, How::GivesInvalidText] {
            let one = options.clone();
            cases.add(format!("a reader of known length {how:?} over {layer:?}"), move || {
                let (mut ws, told, _stay, _peer) = stops_reading(layer, &one);
                let reader = BreaksOff { given: 0, told, how };
                let sent =
                    panic::catch_unwind(AssertUnwindSafe(|| ws.send_reader(MessageKind::Text, reader, Some(1 << 20))));
                assert_broken_off(how, sent);
                assert!(!ws.connected());
                assert_too_big(&ws.close_info().unwrap());
                assert_too_big(&until_closed(&mut ws));
            });
        }
        for how in [How::Panics, How::Fails, How::GivesInvalidText] {
            let one = options.clone();
            cases.add(format!("a reader {how:?} over {layer:?}"), move || {
                let (mut ws, told, _stay, _peer) = stops_reading(layer, &one);
                let reader = BreaksOff { given: 0, told, how };
                let sent = panic::catch_unwind(AssertUnwindSafe(|| ws.send_reader(MessageKind::Text, reader, None)));
                assert_broken_off(how, sent);
                assert_too_big(&until_closed(&mut ws));
                assert_too_big(&ws.close_info().unwrap());
            });
        }
    }
    for &layer in LAYERS {
        for panics in [true, false] {
            let one = options.clone().send_timeout(ms(300));
            cases.add(format!("a batch, {panics}, over {layer:?}"), move || {
                let (mut ws, _told, _stay, _peer) = stops_reading(layer, &one);
                let sent = panic::catch_unwind(AssertUnwindSafe(|| {
                    ws.cork::<()>(|batch| {
                        let sent = batch.send_binary(&vec![1; MUCH]);
                        assert!(!panics, "as it should");
                        sent.map(drop)?;
                        Err(Error::other("enough"))
                    })
                }));
                match sent {
                    Err(_) => assert!(panics),
                    Ok(sent) => assert!(!panics && matches!(sent, Err(Error::Timeout(Phase::Send))), "{sent:?}"),
                }
                assert_too_big(&ws.close_info().unwrap());
                assert_too_big(&until_closed(&mut ws));
            });
        }
        let one = options.clone();
        cases.add(format!("a batch that panics between its messages over {layer:?}"), move || {
            let (mut ws, told, _stay, _peer) = stops_reading(layer, &one);
            let sent = panic::catch_unwind(AssertUnwindSafe(|| {
                ws.cork::<()>(|batch| {
                    batch.send_binary(&[1; 200_000])?;
                    told.recv().unwrap();
                    thread::sleep(ms(50));
                    batch.send_binary(b"pending")?;
                    panic!("as it should");
                })
            }));
            sent.unwrap_err();
            assert_too_big(&until_closed(&mut ws));
        });
    }
    cases.run_few(8, 30);
}

// (f) A Close that comes later, within the closing time.

#[test]
fn a_close_that_comes_after_a_send_timed_out_is_waited_for() {
    let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(2000));
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for by in ["recv", "recv_timeout", "try_recv", "close", "Sender::close and recv"] {
            let one = options.clone();
            cases.add(format!("by {by} over {layer:?}"), move || {
                let (timed_out, waits) = mpsc::channel::<()>();
                let (mut ws, _peer) = open_on(layer, &one, move |mut server| {
                    server.take(64 * 1024);
                    waits.recv().unwrap();
                    thread::sleep(ms(200));
                    let _ = server.try_say(too_big());
                    // It stays until the test is over.
                    let _ = waits.recv();
                });
                refused(ws.send_binary(&vec![1; MUCH]));
                timed_out.send(()).unwrap();
                match by {
                    "close" => ws.close().unwrap(),
                    "recv_timeout" => loop {
                        match ws.recv_timeout(ms(20)) {
                            Err(Error::Timeout(Phase::Recv)) => {}
                            other => break assert_too_big(&closed(other)),
                        }
                    },
                    "try_recv" => loop {
                        match ws.try_recv() {
                            Ok(None) => thread::sleep(ms(1)),
                            other => break assert_too_big(&closed(other)),
                        }
                    },
                    "recv" => assert_too_big(&until_closed(&mut ws)),
                    _ => {
                        ws.sender().close().unwrap();
                        assert_too_big(&until_closed(&mut ws));
                    }
                }
                assert_too_big(&ws.close_info().unwrap());
            });
        }
    }
    cases.run_few(8, 30);
}

#[test]
fn a_peer_that_never_says_why_is_not_waited_for_beyond_the_closing_time() {
    let options = ConnectOptions::new().send_timeout(ms(300)).close_timeout(ms(300));
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for by_close in [true, false] {
            let one = options.clone();
            cases.add(format!("{by_close}, over {layer:?}"), move || {
                let (_stay, stays) = mpsc::channel::<()>();
                let (mut ws, _peer) = open_on(layer, &one, move |_server| stays.recv().unwrap_or(()));
                refused(ws.send_binary(&vec![1; MUCH]));
                closed(promptly(|| ws.send_text("no more")));
                by_deadline(ms(750), || {
                    if by_close {
                        ws.close().unwrap();
                    } else {
                        closed(ws.recv());
                    }
                });
                let info = ws.close_info().unwrap();
                assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::TornFrame));
            });
        }
    }
    cases.run_few(8, 20);
}

#[test]
fn an_app_that_sends_too_much_hears_in_on_close_why() {
    let mut cases = Cases::new();
    for from_a_callback in [true, false] {
        cases.add(if from_a_callback { "from a callback" } else { "from another thread" }, move || {
            let (_stay, stays) = mpsc::channel::<()>();
            let (url, _peer) = support::serve(move |mut peer| {
                peer.accept();
                peer.say(frame(0x81, "go"));
                let mut some = [std::mem::MaybeUninit::uninit(); 1024];
                for _ in 0..64 {
                    peer.socket().recv(&mut some).unwrap();
                }
                peer.say(too_big());
                let _ = stays.recv();
            });
            let (heard, hears) = mpsc::channel();
            let options = ConnectOptions::new().send_timeout(ms(500)).close_timeout(ms(500));
            let mut app = WebSocketApp::new(url)
                .options(options)
                .on_message(move |app, _| {
                    if from_a_callback {
                        let _ = app.send_binary(&vec![1; MUCH]);
                        return;
                    }
                    let app = app.clone();
                    thread::spawn(move || app.send_binary(&vec![1; MUCH]));
                })
                .on_close(move |_, closed| heard.send((closed.code, closed.reason.clone())).unwrap());
            let _ = app.run_forever();
            assert_eq!(hears.recv().unwrap(), (CloseCode::MESSAGE_TOO_BIG, REASON.to_owned()));
        });
    }
    cases.run(8);
}

// A Close that is a violation.

#[test]
fn the_reason_is_told_of_a_close_with_a_code_that_must_not_be_on_the_wire() {
    type Ends = fn(&mut WebSocket) -> Option<Error>;
    const ENDS: &[(&str, Ends)] = &[
        ("recv", |ws| Some(refused(ws.recv()))),
        ("recv_ref", |ws| Some(refused(unit(ws.recv_ref())))),
        ("recv_data_frame", |ws| Some(refused(ws.recv_data_frame(ControlFrames::Show)))),
        ("recv_frame", |ws| Some(refused(ws.recv_frame()))),
        ("try_recv", |ws| {
            loop {
                match ws.try_recv() {
                    Ok(None) => thread::sleep(ms(1)),
                    other => break Some(refused(other)),
                }
            }
        }),
        ("close", |ws| {
            ws.close().unwrap();
            None
        }),
        ("send_close and recv", |ws| {
            ws.send_close(CloseCode::NORMAL, "").unwrap();
            Some(refused(ws.recv()))
        }),
    ];
    let mut cases = Cases::new();
    for code in [1005_u16, 1006] {
        for &(name, end) in ENDS {
            for &layer in if name == "recv" { LAYERS } else { &LAYERS[..1] } {
                cases.add(format!("{code} by {name} over {layer:?}"), move || {
                    let options = ConnectOptions::new().close_timeout(ms(500));
                    let (mut ws, _peer) = open_on(layer, &options, move |mut server| {
                        server.say(frame(0x88, [&code.to_be_bytes()[..], b"why"].concat()));
                        server.rest();
                    });
                    if let Some(error) = end(&mut ws) {
                        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
                    }
                    let info = ws.close_info().unwrap();
                    assert!(matches!(info.cause, CloseCause::Violation(_)), "{info:?}");
                    assert_eq!(info.reason, "why", "{info:?}");
                    assert_eq!(closed(ws.recv()).reason, "why");
                });
            }
        }
    }
    cases.run(8);
}

#[test]
fn on_close_tells_the_reason_of_a_close_with_a_code_that_must_not_be_on_the_wire() {
    let (url, peer) = support::serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x88, b"\x03\xeewhy"));
        peer.rest();
    });
    let (heard, hears) = mpsc::channel();
    let mut app = WebSocketApp::new(url)
        .options(ConnectOptions::new().close_timeout(ms(500)))
        .on_close(move |_, closed| heard.send(closed.reason.clone()).unwrap());
    let _ = app.run_forever();
    assert_eq!(hears.recv().unwrap(), "why");
    peer.join();
}

// Behind the end there is nothing.

#[test]
fn nothing_is_received_after_invalid_compressed_text() {
    use websocket_sync::protocol::ProtocolError;
    type Receive = fn(&mut WebSocket) -> Result<Option<String>>;
    fn shown<T: std::fmt::Debug>(received: Result<T>) -> Result<Option<String>> {
        received.map(|received| Some(format!("{received:?}")))
    }
    const RECEIVES: &[(&str, Receive)] = &[
        ("recv", |ws| shown(ws.recv())),
        ("recv_ref", |ws| shown(ws.recv_ref())),
        ("recv_timeout", |ws| shown(ws.recv_timeout(ms(2000)))),
        ("recv_ref_timeout", |ws| shown(ws.recv_ref_timeout(ms(2000)))),
        ("recv_data", |ws| shown(ws.recv_data(ControlFrames::Show))),
        ("recv_data_frame", |ws| shown(ws.recv_data_frame(ControlFrames::Hide))),
        ("recv_frame", |ws| shown(ws.recv_frame())),
        ("messages", |ws| match ws.messages().next() {
            Some(message) => shown(message),
            None => shown(ws.recv()),
        }),
        ("message_reader", |ws| {
            let mut bytes = Vec::new();
            ws.message_reader()?.read_to_end(&mut bytes)?;
            Ok(Some(format!("{bytes:?}")))
        }),
        ("try_recv", |ws| ws.try_recv().map(|message| message.map(|message| format!("{message:?}")))),
        ("try_recv_ref", |ws| ws.try_recv_ref().map(|message| message.map(|message| format!("{message:?}")))),
        ("try_recv_data_frame", |ws| {
            ws.try_recv_data_frame(ControlFrames::Show).map(|frame| frame.map(|frame| format!("{frame:?}")))
        }),
    ];
    /// Asks again until there is something or the end.
    fn patiently(ws: &mut WebSocket, receive: Receive) -> Result<String> {
        loop {
            match receive(ws)? {
                Some(received) => return Ok(received),
                None => thread::sleep(ms(1)),
            }
        }
    }
    // The octet FF as text, in a stored block.
    let bad = frame(0xC1, b"\x00\x01\x00\xfe\xff\xff\x00");
    let behind: [(&'static str, Vec<u8>); 4] = [
        ("short text", frame(0x81, "after").repeat(3)),
        ("binary", frame(0x82, [1; 1000])),
        ("compressed", frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")),
        ("fragments", [frame(0x01, "af"), frame(0x80, "ter")].concat()),
    ];
    let mut cases = Cases::new();
    for (what, behind) in behind {
        for &(first_name, first) in RECEIVES {
            // Short text is received in a way of its own.
            let all =
                what == "short text" && ["recv", "recv_frame", "message_reader", "try_recv"].contains(&first_name);
            let seconds = if all { RECEIVES } else { &RECEIVES[..1] };
            for &(second_name, second) in seconds {
                let said = [bad.clone(), behind.clone()].concat();
                cases.add(format!("{what}, {first_name}, then {second_name}"), move || {
                    let options =
                        ConnectOptions::new().deflate(websocket_sync::DeflateOptions::new()).close_timeout(ms(500));
                    let (ours, theirs) = tcp_pair();
                    let peer = thread::spawn(move || {
                        let mut peer = support::Peer::new(theirs);
                        let answer = support::answer_to(&peer.head());
                        let field = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
                        let head = format!("{}{field}", answer.strip_suffix("\r\n").unwrap());
                        peer.say([head.as_bytes(), &said].concat());
                        peer.close_code()
                    });
                    let mut ws = options.connect_over(ours, "ws://peer/").unwrap();
                    assert!(ws.deflate().is_some());
                    let error = match patiently(&mut ws, first) {
                        Err(error) => error,
                        Ok(received) => panic!("received {received}"),
                    };
                    assert!(matches!(error, Error::Protocol(ProtocolError::TextNotUtf8)), "{error:?}");
                    for _ in 0..3 {
                        let info = closed(promptly(|| patiently(&mut ws, second)));
                        assert_eq!(info.cause, CloseCause::Violation(ProtocolError::TextNotUtf8));
                    }
                    assert_eq!(join(peer), 1007);
                });
            }
        }
    }
    cases.run(20);
}

#[test]
fn nothing_is_received_after_a_violation_or_a_close_by_any_receive() {
    let mut cases = Cases::new();
    for (what, end) in [
        ("invalid text", frame(0x81, [0xFF])),
        ("long invalid text", frame(0x81, [0xFF; 200])),
        ("an unknown opcode", frame(0x83, "")),
        ("a close", frame(0x88, b"\x03\xe8")),
    ] {
        cases.add(what, move || {
            let first = [end, frame(0x81, "after").repeat(10)].concat();
            let options = ConnectOptions::new().close_timeout(ms(300));
            let (mut ws, _peer) = open_saying(Layer::Tcp, tcp_pair, &options, first, |mut server| drop(server.rest()));
            refused(ws.recv());
            closed(ws.recv());
            closed(ws.try_recv());
            closed(unit(ws.recv_ref()));
            closed(unit(ws.try_recv_ref()));
            closed(ws.recv_data(ControlFrames::Show));
            closed(ws.recv_frame());
            closed(ws.recv_timeout(ms(10)));
            closed(unit(ws.message_reader()));
            assert!(ws.messages().all(|message| message.is_err()));
        });
    }
    cases.add("control: without an end there is", || {
        let options = ConnectOptions::new();
        let (mut ws, _peer) =
            open_saying(Layer::Tcp, tcp_pair, &options, frame(0x81, "after"), |mut server| drop(server.rest()));
        assert_eq!(ws.recv().unwrap(), Message::from("after"));
    });
    cases.run(6);
}
