//! Sending our Close takes at most the close timeout, the peer's answer at most the close timeout again, whoever closed and whichever
//! call receives; and what does not wait returns at once, whatever other threads do.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/layers.rs"]
mod layers;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use layers::{LAYERS, Layer, Script, Server, TCP_AND_TLS, open_on, open_saying, promptly, tcp_pair};
use support::cases::Cases;
use support::{by_deadline, closed, fill, frame, join, masked_frame, ms, narrow, timed, unit};
use websocket_sync::protocol::LocalProtocolError;
use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, Error, Frame, Message, MessageKind, Opcode, Phase,
    Result, Sender, WebSocket, WebSocketApp,
};

const CLOSE: Duration = ms(300);
/// By when all of a close must be over; the helpers of `support` allow 100 ms more.
const OVER: Duration = over(CLOSE);

/// [`OVER`] for another close timeout.
const fn over(close: Duration) -> Duration {
    ms(2 * close.as_millis() as u64 + 150)
}

type Receive = fn(&mut WebSocket) -> Result<()>;
type Close = fn(&WebSocket) -> Result<()>;
type SenderClose = fn(&Sender) -> Result<()>;
type Act = fn(&mut WebSocket);

const RECEIVES: &[(&str, Receive)] = &[
    ("recv", |ws| unit(ws.recv())),
    ("recv_ref", |ws| unit(ws.recv_ref())),
    ("recv_timeout", |ws| unit(ws.recv_timeout(ms(10_000)))),
    ("recv_ref_timeout", |ws| unit(ws.recv_ref_timeout(ms(10_000)))),
    ("recv_timeout, again and again", |ws| unit(ws.recv_timeout(ms(40)))),
    ("recv_data", |ws| unit(ws.recv_data(ControlFrames::Hide))),
    ("recv_data_frame", |ws| unit(ws.recv_data_frame(ControlFrames::Show))),
    ("recv_frame", |ws| unit(ws.recv_frame())),
    ("message_reader", |ws| unit(ws.message_reader()?.read_to_end(&mut Vec::new()).map_err(Error::from))),
    ("messages", |ws| match ws.messages().next() {
        Some(message) => unit(message),
        // A clean end.
        None => unit(ws.recv()),
    }),
    ("try_recv", |ws| {
        thread::sleep(ms(1));
        unit(ws.try_recv())
    }),
    ("try_recv_data_frame", |ws| {
        thread::sleep(ms(1));
        unit(ws.try_recv_data_frame(ControlFrames::Show))
    }),
];

fn options() -> ConnectOptions {
    ConnectOptions::new().close_timeout(CLOSE)
}

/// Receives until the connection is over; says how it ended.
#[track_caller]
fn until_closed(ws: &mut WebSocket, receive: Receive) -> CloseInfo {
    loop {
        match receive(ws) {
            Ok(()) | Err(Error::Timeout(Phase::Recv)) => {}
            Err(error) => return closed::<()>(Err(error)),
        }
    }
}

#[track_caller]
fn assert_unanswered(info: &CloseInfo) {
    assert_eq!((info.code, info.cause), (CloseCode::ABNORMAL_CLOSURE, CloseCause::Unanswered));
}

/// A close that nobody answers: it takes the close timeout at least, and twice that at most.
#[track_caller]
fn at_closing_deadline<T>(close_timeout: Duration, close: impl FnOnce() -> T) -> T {
    let (result, took) = timed(|| by_deadline(over(close_timeout), close));
    assert!(took + ms(5) >= close_timeout, "over after {took:?}, before the close timeout of {close_timeout:?}");
    result
}

/// The same, which tells at its end that nobody has answered.
#[track_caller]
fn ends_unanswered(close: impl FnOnce() -> CloseInfo) {
    assert_unanswered(&at_closing_deadline(CLOSE, close));
}

/// Hears the Close, and says nothing until the other side is gone.
fn silent(mut server: Server) {
    server.close_code();
    server.rest();
}

/// Answers the Close.
fn answers_close(mut server: Server) -> u16 {
    let code = server.close_code();
    let _ = server.try_say(frame(0x88, code.to_be_bytes()));
    server.rest();
    code
}

// After our Close every receive ends in time.

#[test]
fn after_send_close_every_receive_ends_at_the_closing_deadline() {
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES {
        cases.add(name, move || {
            let (mut ws, _peer) = open_on(Layer::Tcp, &options(), silent);
            ends_unanswered(|| {
                ws.send_close(CloseCode(4001), "").unwrap();
                until_closed(&mut ws, receive)
            });
            assert_unanswered(&ws.close_info().unwrap());
        });
    }
    cases.run(5);
}

#[test]
fn a_receive_in_the_midst_of_a_message_ends_at_the_closing_deadline() {
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES {
        cases.add(name, move || {
            let first = [&frame(0x01, "begun"), &frame(0x80, [1; 1000])[..10]].concat();
            let (mut ws, _peer) = open_saying(Layer::Tcp, tcp_pair, &options(), first, silent);
            ends_unanswered(|| {
                ws.send_close(CloseCode(4001), "").unwrap();
                until_closed(&mut ws, receive)
            });
        });
    }
    cases.run(5);
}

#[test]
fn however_this_side_closed_a_receive_ends_at_the_closing_deadline() {
    const CLOSES: &[(&str, Close)] = &[
        ("send_close", |ws| ws.send_close(CloseCode::NORMAL, "")),
        ("Sender::send_close", |ws| ws.sender().send_close(CloseCode::NORMAL, "")),
        ("try_close", |ws| ws.try_close(CloseCode::NORMAL, "")),
        ("Sender::try_close", |ws| ws.sender().try_close(CloseCode::NORMAL, "")),
        ("Sender::close on the receiving thread", |ws| ws.sender().close()),
        ("Sender::close_with on the receiving thread", |ws| ws.sender().close_with(CloseCode(4001), "bye")),
        ("send_frame", |ws| unit(ws.send_frame(&Frame::new(Opcode::Close, *b"\x03\xe8")))),
        ("send", |ws| unit(ws.send(b"\x03\xe8", Opcode::Close))),
        ("try_send", |ws| unit(ws.try_send(b"\x03\xe8", Opcode::Close))),
        ("a writer that is dropped", |ws| {
            let mut writer = ws.message_writer(MessageKind::Text)?;
            std::io::Write::write_all(&mut writer, b"half")?;
            Ok(())
        }),
    ];
    let mut cases = Cases::new();
    for &(name, close) in CLOSES {
        cases.add(name, move || {
            let (mut ws, _peer) = open_saying(Layer::Tcp, tcp_pair, &options(), frame(0x81, "go"), silent);
            assert_eq!(ws.recv().unwrap(), Message::from("go"));
            ends_unanswered(|| {
                close(&ws).unwrap();
                until_closed(&mut ws, |ws| unit(ws.recv()))
            });
        });
    }
    cases.run(5);
}

#[test]
fn over_every_kind_of_stream_a_receive_ends_at_the_closing_deadline() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        for &(name, receive) in RECEIVES.iter().filter(|(name, _)| ["recv", "recv_frame", "try_recv"].contains(name)) {
            cases.add(format!("{name} over {layer:?}"), move || {
                let (mut ws, _peer) = open_on(layer, &options(), silent);
                ends_unanswered(|| {
                    ws.send_close(CloseCode::NORMAL, "").unwrap();
                    until_closed(&mut ws, receive)
                });
            });
        }
    }
    cases.run(6);
}

#[test]
fn a_servers_receive_ends_at_the_closing_deadline_as_well() {
    let mut cases = Cases::new();
    for &(name, receive) in &RECEIVES[..2] {
        cases.add(name, move || {
            let (ours, theirs) = tcp_pair();
            let client = thread::spawn(move || {
                let mut client = support::Peer::new(theirs);
                client.say(support::REQUEST);
                client.head();
                client.rest();
            });
            let mut ws = options().accept(ours).unwrap();
            ends_unanswered(|| {
                ws.send_close(CloseCode::NORMAL, "").unwrap();
                until_closed(&mut ws, receive)
            });
            join(client);
        });
    }
    cases.run(5);
}

#[test]
fn a_peer_that_goes_on_talking_does_not_extend_the_closing_deadline_of_a_receive() {
    let talks: [(&str, Vec<u8>, Duration); 6] = [
        ("messages", frame(0x81, "still here"), ms(20)),
        ("messages without a pause", frame(0x82, [1; 100]).repeat(500), ms(0)),
        ("pings", frame(0x89, "?"), ms(20)),
        ("fragments without an end", frame(0x00, "more"), ms(20)),
        ("one frame byte by byte", b"x".to_vec(), ms(20)),
        ("large messages", frame(0x82, [1; 200_000]), ms(5)),
    ];
    let mut cases = Cases::new();
    for (name, talk, pause) in talks {
        cases.add(name, move || {
            let first = match name {
                "fragments without an end" => frame(0x01, "begin"),
                "one frame byte by byte" => frame(0x82, [1; 60_000])[..4].to_vec(),
                _ => Vec::new(),
            };
            let (mut ws, peer) = open_saying(Layer::Tcp, tcp_pair, &options(), first, move |mut server| {
                while server.try_say(&talk).is_ok() {
                    thread::sleep(pause);
                }
            });
            peer.detach();
            ends_unanswered(|| {
                ws.send_close(CloseCode::NORMAL, "").unwrap();
                until_closed(&mut ws, |ws| unit(ws.recv_ref()))
            });
        });
    }
    cases.run(6);
}

#[test]
fn a_close_from_another_thread_ends_a_receive_that_waits_at_the_closing_deadline() {
    const CLOSES: &[(&str, SenderClose)] = &[
        ("send_close", |sender| sender.send_close(CloseCode::NORMAL, "")),
        ("try_close", |sender| sender.try_close(CloseCode::NORMAL, "")),
        ("close", Sender::close),
    ];
    let mut cases = Cases::new();
    for &(close_name, close) in CLOSES {
        for &(name, receive) in RECEIVES {
            cases.add(format!("{name} and Sender::{close_name}"), move || {
                let (mut ws, _peer) = open_on(Layer::Tcp, &options(), silent);
                let sender = ws.sender();
                let receiving = thread::spawn(move || until_closed(&mut ws, receive));
                thread::sleep(ms(100));
                ends_unanswered(|| {
                    close(&sender).unwrap();
                    join(receiving)
                });
            });
        }
    }
    for &layer in LAYERS {
        cases.add(format!("recv and Sender::send_close over {layer:?}"), move || {
            let (mut ws, _peer) = open_on(layer, &options(), silent);
            let sender = ws.sender();
            let receiving = thread::spawn(move || closed(ws.recv()));
            thread::sleep(ms(100));
            ends_unanswered(|| {
                sender.send_close(CloseCode::NORMAL, "").unwrap();
                join(receiving)
            });
        });
    }
    cases.run(8);
}

#[test]
fn an_app_whose_callback_closes_through_its_sender_ends_at_the_closing_deadline() {
    const CLOSES: &[(&str, SenderClose)] = &[
        ("close", Sender::close),
        ("send_close", |sender| sender.send_close(CloseCode::NORMAL, "")),
        ("try_close", |sender| sender.try_close(CloseCode::NORMAL, "")),
    ];
    let mut cases = Cases::new();
    for &(name, close) in CLOSES {
        for event in ["open", "message", "ping"] {
            cases.add(format!("Sender::{name} in on_{event}"), move || {
                let (url, _peer) = support::serve(|mut peer| {
                    peer.accept();
                    peer.say([frame(0x89, "?"), frame(0x81, "go")].concat());
                    peer.rest();
                });
                let close = move |app: &websocket_sync::Handle| close(&app.sender().unwrap());
                let app = WebSocketApp::new(url).options(options());
                let mut app = match event {
                    "open" => app.on_open(close),
                    "message" => app.on_message(move |app, _| close(app)),
                    _ => app.on_ping(move |app, _| close(app)),
                };
                let handle = app.handle();
                let (ended, took) = timed(|| by_deadline(OVER + ms(100), || app.run_forever()));
                assert!(took >= CLOSE, "{took:?}");
                let info = handle.last_close();
                assert_eq!(info.map(|info| info.cause), Some(CloseCause::Unanswered), "{ended:?}");
            });
        }
    }
    cases.run(5);
}

// From when the time runs.

/// The peer takes our Close after 0.7 s and answers it 0.7 s later; each is less than the close timeout, and both together are more.
fn late_but_in_time() -> (WebSocket, mpsc::Sender<usize>, thread::JoinHandle<()>) {
    let options = ConnectOptions::new().close_timeout(ms(1000)).send_timeout(ms(100));
    let (ours, theirs) = narrow();
    let (go, waits) = mpsc::channel::<usize>();
    let peer = thread::spawn(move || {
        let mut peer = support::Peer::new(theirs);
        peer.accept();
        let messages = waits.recv().unwrap();
        thread::sleep(ms(700));
        for _ in 0..messages {
            assert_eq!(peer.frame(), (0x82, vec![7; 100]));
        }
        peer.close_code();
        thread::sleep(ms(700));
        let _ = peer.try_say(frame(0x88, b"\x03\xe8"));
        peer.rest();
    });
    (options.connect_over(ours, "ws://peer/").unwrap(), go, peer)
}

#[test]
fn the_time_for_the_answer_runs_from_when_our_close_has_left() {
    let mut cases = Cases::new();
    for &(name, receive) in &[RECEIVES[0], RECEIVES[4], RECEIVES[10]] {
        cases.add(format!("try_close and {name}"), move || {
            let (mut ws, go, _peer) = late_but_in_time();
            go.send(fill(&ws)).unwrap();
            ws.try_close(CloseCode::NORMAL, "").unwrap();
            let info = by_deadline(ms(2000), || until_closed(&mut ws, receive));
            assert_eq!(info.cause, CloseCause::Local);
        });
    }
    cases.add("close", || {
        let (ws, go, _peer) = late_but_in_time();
        go.send(fill(&ws)).unwrap();
        by_deadline(ms(2000), || ws.close().unwrap());
        assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
    });
    cases.add("Sender::close while another thread receives", || {
        let (mut ws, go, _peer) = late_but_in_time();
        let sender = ws.sender();
        go.send(fill(&ws)).unwrap();
        let receiving = thread::spawn(move || until_closed(&mut ws, |ws| unit(ws.recv())));
        thread::sleep(ms(50));
        by_deadline(ms(2000), || sender.close().unwrap());
        assert_eq!(join(receiving).cause, CloseCause::Local);
    });
    cases.run(6);
}

#[test]
fn a_close_that_never_finds_room_is_over_within_twice_the_close_timeout() {
    let options = || options().send_timeout(ms(100));
    /// A peer that reads nothing until what is returned beside the connection is dropped.
    fn reads_nothing(options: &ConnectOptions, first: Vec<u8>) -> (WebSocket, mpsc::Sender<()>, Script<()>) {
        let (stay, stays) = mpsc::channel::<()>();
        let (ws, peer) = open_saying(Layer::Tcp, narrow, options, first, move |server| {
            let _ = stays.recv();
            drop(server);
        });
        (ws, stay, peer)
    }
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES {
        cases.add(format!("try_close and {name}"), move || {
            let (mut ws, _stay, _peer) = reads_nothing(&options(), Vec::new());
            fill(&ws);
            ends_unanswered(|| {
                promptly(|| ws.try_close(CloseCode::NORMAL, "").unwrap());
                until_closed(&mut ws, receive)
            });
        });
    }
    cases.add("send_close and recv", move || {
        let (mut ws, _stay, _peer) = reads_nothing(&options(), Vec::new());
        fill(&ws);
        ends_unanswered(|| {
            let sent = ws.send_close(CloseCode::NORMAL, "");
            assert!(matches!(sent, Err(Error::Timeout(Phase::Close))), "{sent:?}");
            until_closed(&mut ws, |ws| unit(ws.recv()))
        });
    });
    cases.add("Sender::close on the receiving thread and recv", move || {
        // Long enough to tell the two apart.
        let options = options().close_timeout(ms(1200));
        let (mut ws, _stay, _peer) = reads_nothing(&options, frame(0x81, "go"));
        ws.recv().unwrap();
        fill(&ws);
        let info = at_closing_deadline(ms(1200), || {
            promptly(|| ws.sender().close().unwrap());
            until_closed(&mut ws, |ws| unit(ws.recv()))
        });
        assert_unanswered(&info);
    });
    cases.add("close", move || {
        let (ws, _stay, _peer) = reads_nothing(&options(), Vec::new());
        fill(&ws);
        at_closing_deadline(CLOSE, || ws.close().unwrap());
        assert_unanswered(&ws.close_info().unwrap());
    });
    cases.run(6);
}

#[test]
fn close_never_takes_more_than_twice_the_close_timeout() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        cases.add(format!("silent over {layer:?}"), move || {
            let (ws, _peer) = open_on(layer, &options(), silent);
            at_closing_deadline(CLOSE, || ws.close_with(CloseCode(4001), "ours").unwrap());
            // The code of a Close that nobody answered is not that of the connection.
            assert_unanswered(&ws.close_info().unwrap());
            assert_eq!(ws.close_info().unwrap().reason, "");
        });
        cases.add(format!("another thread's send is stuck over {layer:?}"), move || {
            let (_stay, stays) = mpsc::channel::<()>();
            let (ws, _peer) = open_on(layer, &options(), move |server| {
                let _ = stays.recv();
                drop(server);
            });
            let sender = ws.sender();
            let sending = thread::spawn(move || sender.send_binary(&[1; 16 << 20]));
            thread::sleep(ms(150));
            at_closing_deadline(CLOSE, || ws.close().unwrap());
            by_deadline(ms(1000), || join(sending).unwrap_err());
        });
    }
    cases.add("another thread receives and talks", || {
        let (mut ws, _peer) = open_on(Layer::Tcp, &options(), |mut server| {
            while server.try_say(frame(0x81, "still here")).is_ok() {
                thread::sleep(ms(1));
            }
        });
        let sender = ws.sender();
        let receiving = thread::spawn(move || until_closed(&mut ws, |ws| unit(ws.recv_ref())));
        thread::sleep(ms(50));
        at_closing_deadline(CLOSE, || sender.close().unwrap());
        assert_unanswered(&by_deadline(ms(100), || join(receiving)));
    });
    cases.run_few(6, 15);
}

// Which thread receives.

#[test]
fn sender_close_on_the_thread_that_has_received_returns_at_once_though_another_connected() {
    let mut cases = Cases::new();
    for &(name, receive) in RECEIVES.iter().filter(|(name, _)| *name != "recv_timeout, again and again") {
        cases.add(format!("{name}, with the message behind the 101"), move || {
            let first = [frame(0x81, "first"), frame(0x81, "second")].concat();
            let (mut ws, peer) = open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, answers_close);
            let receiving = thread::spawn(move || {
                receive(&mut ws).unwrap();
                promptly(|| ws.sender().close().unwrap());
                until_closed(&mut ws, receive)
            });
            assert_eq!(join(receiving).cause, CloseCause::Local);
            assert_eq!(peer.join(), 1000);
        });
    }
    for &layer in LAYERS {
        cases.add(format!("over {layer:?}"), move || {
            let first = frame(0x81, "first");
            let (mut ws, peer) = open_saying(layer, tcp_pair, &ConnectOptions::new(), first, answers_close);
            let receiving = thread::spawn(move || {
                ws.recv().unwrap();
                promptly(|| ws.sender().close().unwrap());
                closed(ws.recv())
            });
            assert_eq!(join(receiving).cause, CloseCause::Local);
            assert_eq!(peer.join(), 1000);
        });
    }
    cases.add("a server, with the message behind the request", || {
        let (ours, theirs) = tcp_pair();
        let client = thread::spawn(move || {
            let mut client = support::Peer::new(theirs);
            client.say([support::REQUEST.as_bytes(), &masked_frame(0x81, "first")].concat());
            client.head();
            client.end_as_client();
        });
        let mut ws = ConnectOptions::new().accept(ours).unwrap();
        let receiving = thread::spawn(move || {
            assert_eq!(ws.recv().unwrap(), Message::from("first"));
            promptly(|| ws.sender().close().unwrap());
            closed(ws.recv())
        });
        assert_eq!(join(receiving).cause, CloseCause::Local);
        join(client);
    });
    cases.run(8);
}

#[test]
fn sender_close_returns_at_once_on_a_third_thread_that_took_over_in_the_midst_of_buffered_messages() {
    let mut cases = Cases::new();
    for behind_the_101 in [true, false] {
        for &(name, receive) in &[RECEIVES[0], RECEIVES[1], RECEIVES[6], RECEIVES[10]] {
            cases.add(format!("{name}, {behind_the_101}"), move || {
                let said = [frame(0x81, "first"), frame(0x81, "second")].concat();
                let first = if behind_the_101 { said.clone() } else { Vec::new() };
                let (mut ws, peer) =
                    open_saying(Layer::Tcp, tcp_pair, &ConnectOptions::new(), first, move |mut server| {
                        if !behind_the_101 {
                            thread::sleep(ms(100));
                            server.say(said);
                        }
                        answers_close(server)
                    });
                let mut ws = join(thread::spawn(move || {
                    assert_eq!(ws.recv().unwrap(), Message::from("first"));
                    ws
                }));
                let receiving = thread::spawn(move || {
                    receive(&mut ws).unwrap();
                    promptly(|| ws.sender().close().unwrap());
                    until_closed(&mut ws, receive)
                });
                assert_eq!(join(receiving).cause, CloseCause::Local);
                assert_eq!(peer.join(), 1000);
            });
        }
    }
    cases.run(8);
}

#[test]
fn sender_close_on_a_thread_that_has_handed_the_connection_on_waits_for_the_answer() {
    let mut cases = Cases::new();
    for &layer in LAYERS {
        cases.add(format!("{layer:?}"), move || {
            let first = [frame(0x81, "first"), frame(0x81, "second")].concat();
            let (mut ws, _peer) = open_saying(layer, tcp_pair, &ConnectOptions::new(), first, |mut server| {
                assert_eq!(server.close_code(), 1000);
                thread::sleep(ms(300));
                server.say(frame(0x88, b"\x03\xe8"));
                server.rest();
            });
            // This thread has received.
            assert_eq!(ws.recv().unwrap(), Message::from("first"));
            let sender = ws.sender();
            let (tell, told) = mpsc::channel();
            let receiving = thread::spawn(move || {
                assert_eq!(ws.recv().unwrap(), Message::from("second"));
                tell.send(()).unwrap();
                // It may be a while until this one receives again; that the other must not wait for itself is not so any more.
                thread::sleep(ms(100));
                closed(ws.recv())
            });
            told.recv().unwrap();
            sender.close().unwrap();
            assert_eq!(closed(sender.send_text("")).cause, CloseCause::Local, "it is over when close returns");
            assert_eq!(join(receiving).cause, CloseCause::Local);
        });
    }
    cases.run(6);
}

// What does not wait does not wait for another thread's send either.

/// The length of the message that is stuck.
const STUCK: usize = 16 << 20;

/// Does something while another thread's send is stuck, then lets the peer read: the message must arrive whole. With a Close, that
/// must come behind it, and is answered.
fn behind_a_stuck_send(layer: Layer, act: Act, closes: bool) {
    let (go, waits) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let (mut ws, peer) = open_on(layer, &ConnectOptions::new(), move |mut server| {
        server.say(frame(0x81, "go"));
        server.take(64 * 1024);
        tell.send(()).unwrap();
        waits.recv().unwrap();
        assert_eq!(server.frame_length(), (0x82, STUCK));
        if !closes {
            assert_eq!(server.frame(), (0x81, b"after".to_vec()));
        }
        answers_close(server)
    });
    assert_eq!(ws.recv().unwrap(), Message::from("go"));
    let sender = ws.sender();
    let sending = thread::spawn(move || sender.send_binary(&vec![1; STUCK]));
    told.recv().unwrap();
    // Time enough for the rest to fill what the system takes.
    thread::sleep(ms(300));
    promptly(|| act(&mut ws));
    assert!(!sending.is_finished(), "the send that was stuck is over: {:?}", join(sending));
    go.send(()).unwrap();
    if closes {
        assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
        assert!(join(sending).is_ok());
    } else {
        // Its thread may be late to give back what it had.
        join(sending).unwrap();
        ws.send_text("after").unwrap();
        ws.close().unwrap();
        assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
    }
    assert_eq!(peer.join(), 1000);
}

#[test]
fn no_close_that_does_not_wait_is_held_up_by_another_threads_send_nor_aborts_it() {
    const CLOSES: &[(&str, Act)] = &[
        ("Sender::close on the receiving thread", |ws| ws.sender().close().unwrap()),
        ("Sender::try_close", |ws| ws.sender().try_close(CloseCode::NORMAL, "").unwrap()),
        ("try_close", |ws| ws.try_close(CloseCode::NORMAL, "").unwrap()),
        ("try_send", |ws| unit(ws.try_send(b"\x03\xe8", Opcode::Close)).unwrap()),
    ];
    let mut cases = Cases::new();
    for &layer in TCP_AND_TLS {
        for &(name, close) in CLOSES {
            cases.add(format!("{name} over {layer:?}"), move || behind_a_stuck_send(layer, close, true));
        }
    }
    cases.run_few(4, 30);
}

#[test]
fn no_call_that_does_not_wait_is_held_up_by_another_threads_send() {
    #[track_caller]
    fn full<T: std::fmt::Debug>(sent: Result<T>) {
        assert!(matches!(sent, Err(Error::Full)), "{sent:?}");
    }
    const CALLS: &[(&str, Act)] = &[
        ("try_send_*", |ws| {
            full(ws.try_send_text("later"));
            full(ws.try_send_binary(b"later"));
            full(ws.try_send("later", Opcode::Text));
            full(ws.try_ping("later"));
            full(ws.sender().try_send_text("later"));
            full(ws.sender().try_send_binary(b"later"));
            full(ws.sender().try_ping("later"));
        }),
        ("try_recv*", |ws| {
            assert!(ws.try_recv().unwrap().is_none());
            assert!(ws.try_recv_ref().unwrap().is_none());
            assert!(ws.try_recv_data_frame(ControlFrames::Show).unwrap().is_none());
        }),
        ("try_flush", |ws| unit(ws.try_flush()).unwrap()),
        ("what is known of it", |ws| {
            let _ = (ws.wants_write(), ws.memory(), ws.close_deadline(), ws.has_buffered());
            assert!(ws.connected() && ws.sender().connected() && ws.close_info().is_none());
            ws.set_timeout(None).unwrap();
            ws.set_close_timeout(ms(3000)).unwrap();
            ws.release();
        }),
    ];
    let mut cases = Cases::new();
    for &layer in TCP_AND_TLS {
        for &(name, call) in CALLS {
            cases.add(format!("{name} over {layer:?}"), move || behind_a_stuck_send(layer, call, false));
        }
        for (name, end) in
            [("drop", drop as fn(WebSocket)), ("abort", |ws| ws.abort()), ("Sender::abort", |ws| ws.sender().abort())]
        {
            cases.add(format!("{name} over {layer:?}"), move || {
                let (_stay, stays) = mpsc::channel::<()>();
                let (ws, _peer) = open_on(layer, &ConnectOptions::new(), move |server| {
                    let _ = stays.recv();
                    drop(server);
                });
                let sender = ws.sender();
                let sending = thread::spawn(move || sender.send_binary(&vec![1; STUCK]));
                thread::sleep(ms(200));
                promptly(|| end(ws));
                closed(by_deadline(ms(1000), || join(sending)));
            });
        }
    }
    cases.run_few(4, 30);
}

#[test]
fn a_send_that_does_not_wait_is_full_while_another_thread_writes_a_message_and_a_close_is_not() {
    let (mut ws, peer) = open_on(Layer::Tcp, &options(), answers_close);
    let sender = ws.sender();
    let (done, may_end) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let writing = thread::spawn(move || {
        let mut writer = sender.message_writer(MessageKind::Binary).unwrap();
        std::io::Write::write_all(&mut writer, b"half").unwrap();
        std::io::Write::flush(&mut writer).unwrap();
        tell.send(()).unwrap();
        may_end.recv().unwrap();
        writer.finish()
    });
    told.recv().unwrap();
    assert!(matches!(promptly(|| ws.try_send_text("later")), Err(Error::Full)));
    promptly(|| ws.try_ping("now").unwrap());
    promptly(|| ws.sender().close().unwrap());
    assert_eq!(closed(ws.recv()).cause, CloseCause::Local);
    done.send(()).unwrap();
    closed(join(writing));
    assert_eq!(peer.join(), 1000);
}

// What a close keeps, and what it tells.

#[test]
fn close_keeps_nothing_of_a_large_message_that_the_peer_is_in_the_midst_of() {
    const MIB: usize = 1 << 20;
    fn in_fragments(opcode: u8) -> Vec<Vec<u8>> {
        let mut parts = vec![frame(opcode, vec![b'x'; MIB])];
        parts.extend((1..23).map(|_| frame(0x00, vec![b'x'; MIB])));
        parts.push(frame(0x80, vec![b'x'; MIB]));
        parts
    }
    let one_frame =
        |opcode: u8| -> Vec<Vec<u8>> { frame(opcode, vec![b'x'; 24 * MIB]).chunks(MIB).map(<[u8]>::to_vec).collect() };
    let mut cases = Cases::new();
    for (name, parts) in [
        ("one binary frame", one_frame(0x82)),
        ("one text frame", one_frame(0x81)),
        ("binary fragments", in_fragments(0x02)),
        ("text fragments", in_fragments(0x01)),
    ] {
        cases.add(name, move || {
            let options = ConnectOptions::new().close_timeout(ms(20_000));
            let (go, waits) = mpsc::channel();
            let (mut ws, peer) = open_on(Layer::Tcp, &options, move |mut server| {
                server.say(&parts[0]);
                waits.recv().unwrap();
                for part in &parts[1..] {
                    server.say(part);
                }
                answers_close(server)
            });
            let received = ws.recv_timeout(ms(200));
            assert!(matches!(received, Err(Error::Timeout(_))), "{received:?}");
            go.send(()).unwrap();
            let allocated = allocation_counter::measure(|| ws.close().unwrap());
            assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
            assert_eq!(peer.join(), 1000);
            assert!(allocated.bytes_max < 4 << 20, "{} bytes", allocated.bytes_max);
            assert!(ws.memory() < 4 << 20, "{} bytes", ws.memory());
        });
    }
    cases.run(30);
}

#[test]
fn the_cause_is_remote_where_recv_frame_received_the_peers_close_and_this_side_closed_then() {
    const CLOSES: &[(&str, Act)] = &[
        ("close", |ws| ws.close().unwrap()),
        ("send_close and recv", |ws| {
            ws.send_close(CloseCode::GOING_AWAY, "").unwrap();
            unit(ws.recv()).unwrap_err();
        }),
        ("send_frame and recv_frame", |ws| {
            ws.send_frame(&Frame::new(Opcode::Close, *b"\x03\xe9")).unwrap();
            unit(ws.recv_frame()).unwrap_err();
        }),
        ("Sender::close and recv", |ws| {
            ws.sender().close_with(CloseCode::GOING_AWAY, "").unwrap();
            unit(ws.recv()).unwrap_err();
        }),
        ("try_close and try_recv", |ws| {
            ws.try_close(CloseCode::GOING_AWAY, "").unwrap();
            while ws.try_recv().is_ok() {
                thread::sleep(ms(1));
            }
        }),
    ];
    let mut cases = Cases::new();
    for &(name, close) in CLOSES {
        cases.add(name, move || {
            let first = frame(0x88, b"\x03\xe9going");
            let (mut ws, _peer) =
                open_saying(Layer::Tcp, tcp_pair, &options(), first, |mut server| server.close_code());
            assert_eq!(ws.recv_frame().unwrap(), Frame::new(Opcode::Close, *b"\x03\xe9going"));
            by_deadline(OVER, || close(&mut ws));
            let info = ws.close_info().unwrap();
            assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode(1001), "going", CloseCause::Remote));
        });
    }
    cases.run(5);
}

#[test]
fn a_close_with_a_code_or_a_reason_that_must_not_be_sent_leaves_the_connection_as_it_was() {
    let (mut ws, peer) = open_on(Layer::Tcp, &options(), |mut server| {
        assert_eq!(server.frame(), (0x81, b"still here".to_vec()));
        server.say(frame(0x81, "so am I"));
        answers_close(server)
    });
    let (long, sender) = ("x".repeat(124), ws.sender());
    for refused in [
        ws.close_with(CloseCode(1015), ""),
        ws.close_with(CloseCode::NORMAL, &long),
        ws.send_close(CloseCode(1006), ""),
        ws.try_close(CloseCode(999), ""),
        sender.close_with(CloseCode(1015), ""),
        sender.send_close(CloseCode::NORMAL, &long),
        sender.try_close(CloseCode(5000), ""),
        unit(ws.send(b"\x03\xed", Opcode::Close)),
        unit(ws.try_send(b"\x03", Opcode::Close)),
    ] {
        assert!(
            matches!(refused, Err(Error::Usage(problem)) if problem != LocalProtocolError::AfterClose),
            "{refused:?}"
        );
    }
    ws.send_text("still here").unwrap();
    assert_eq!(ws.recv().unwrap(), Message::from("so am I"));
    let ((), took) = timed(|| ws.close().unwrap());
    assert!(took < OVER, "{took:?}");
    assert_eq!(peer.join(), 1000);
}
