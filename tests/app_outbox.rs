//! WebSocketApp: what is sent while there is no connection, while one opens, and by callbacks that are late.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;

use std::io::Write;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use app_support::{finish, nowhere, serve_again, wait_for};
use support::{Peer, bounded, frame, join, ms};
use websocket_sync::{
    AppError, AppStep, AppTask, ConnectOptions, Error, Handle, Message, MessageKind, Overflow, Reconnect,
    SocketOptions, WebSocketApp,
};

/// A server that accepts and hears so many messages, then closes.
fn hearing(messages: usize) -> (String, support::Script<Vec<String>>) {
    support::serve(move |mut peer| {
        peer.accept();
        let heard = hear(&mut peer, messages);
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.rest();
        heard
    })
}

fn hear(peer: &mut Peer, messages: usize) -> Vec<String> {
    (0..messages).map(|_| String::from_utf8(peer.frame().1).unwrap()).collect()
}

fn numbers(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|number| format!("{number:04}"))
}

#[test]
fn it_keeps_what_cannot_be_sent_within_its_bounds_and_hands_it_back_or_sends_it() {
    bounded(10, || {
        let (url, peer) = hearing(3);
        let app = WebSocketApp::new(url).outbox(3).outbox_bytes(10).on_open(|app| {
            app.send_text("first")?;
            app.send_unsent()
        });
        let handle = app.handle();
        let is_full = |sent: websocket_sync::Result<()>| match sent {
            Err(Error::Other(error)) => {
                assert_eq!(error.downcast_ref(), Some(&AppError::OutboxFull { capacity: 3, max_bytes: 10 }));
            }
            other => panic!("{other:?}"),
        };
        handle.send_text("lost").unwrap();
        handle.send_binary(b"bytes").unwrap();
        is_full(handle.send_text("xx"));
        handle.send_text("x").unwrap();
        is_full(handle.send_text(""));
        assert_eq!(handle.take_unsent(), [Message::from("lost"), Message::from(&b"bytes"[..]), Message::from("x")]);
        is_full(handle.send_text("12345678901"));
        assert!(support::closed(handle.send_unsent()).reason.is_empty());
        handle.send_text("early").unwrap();
        handle.send_text("bird").unwrap();
        { app }.run_forever().unwrap();
        assert_eq!(peer.join(), ["first", "early", "bird"]);
        assert_eq!(handle.take_unsent(), Vec::<Message>::new());
    });
}

#[test]
fn nothing_overtakes_what_lies_in_it_while_on_open_empties_it() {
    bounded(30, || {
        for by_hand in [true, false] {
            let (url, peer) = hearing(601);
            let app = WebSocketApp::new(url).outbox(1000).on_open(move |app| {
                app.send_text("login")?;
                if !by_hand {
                    return app.send_unsent();
                }
                for message in app.take_unsent() {
                    app.send(message.as_bytes(), message.kind().into())?;
                    thread::yield_now();
                }
                Ok(())
            });
            let handle = app.handle();
            numbers(0..300).for_each(|number| handle.send_text(&number).unwrap());
            let sending = thread::spawn(move || {
                assert!(handle.wait_open(Duration::from_secs(10)));
                numbers(300..600).for_each(|number| handle.send_text(&number).unwrap());
                handle
            });
            { app }.run_forever().unwrap();
            let heard = peer.join();
            assert_eq!(heard[0], "login");
            let expected: Vec<String> = numbers(0..600).collect();
            assert!(heard[1..] == expected, "{by_hand}: {heard:?}");
            assert_eq!(join(sending).take_unsent(), Vec::<Message>::new());
        }
    });
}

#[test]
fn what_others_send_while_on_open_runs_leaves_by_itself_and_what_was_kept_before_does_not() {
    bounded(10, || {
        let (url, peer) = hearing(3);
        let (begun, begins) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        let app = WebSocketApp::new(url).outbox(10).on_open(move |app| {
            begun.send(()).unwrap();
            goes_on.recv().unwrap();
            app.send_text("login")
        });
        let handle = app.handle();
        handle.send_text("old").unwrap();
        let others = handle.clone();
        let sending = thread::spawn(move || {
            begins.recv().unwrap();
            others.send_text("one").unwrap();
            others.send_text("two").unwrap();
            go_on.send(()).unwrap();
        });
        { app }.run_forever().unwrap();
        join(sending);
        assert_eq!(peer.join(), ["login", "one", "two"]);
        assert_eq!(handle.take_unsent(), [Message::from("old")]);
    });
}

#[test]
fn in_a_loop_what_finds_no_room_leaves_later_and_in_order() {
    const MESSAGES: usize = 40;
    bounded(30, || {
        let long = |number: String| format!("{number}{}", "x".repeat(200_000));
        let (go, goes) = mpsc::channel();
        let (url, peer) = support::serve(move |mut peer| {
            peer.accept();
            goes.recv().unwrap();
            let heard = hear(&mut peer, MESSAGES);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            heard
        });
        let (full, filled) = mpsc::channel();
        let options = ConnectOptions::new().socket(SocketOptions::new().send_buffer_size(1));
        let app = WebSocketApp::new(url).options(options).outbox(100).on_open(move |app| {
            assert!(matches!(app.send_unsent(), Err(Error::Full)));
            full.send(()).unwrap();
        });
        let handle = app.handle();
        numbers(0..MESSAGES / 2).for_each(|number| handle.send_text(&long(number)).unwrap());
        let others = handle.clone();
        let sending = thread::spawn(move || {
            filled.recv().unwrap();
            numbers(MESSAGES / 2..MESSAGES).for_each(|number| others.send_text(&long(number)).unwrap());
            go.send(()).unwrap();
        });
        let mut task = app.into_task(|| {}).unwrap();
        finish(&mut task).unwrap();
        join(sending);
        let heard: Vec<String> = peer.join().into_iter().map(|message| message[..4].to_owned()).collect();
        assert_eq!(heard, numbers(0..MESSAGES).collect::<Vec<_>>());
        assert_eq!(handle.take_unsent(), Vec::<Message>::new());
    });
}

/// Begins a message on a thread of its own, which ends it when it is told to.
fn begin_message(app: &Handle) -> mpsc::Sender<()> {
    let (sender, begun, go) = (app.sender().unwrap(), mpsc::channel(), mpsc::channel());
    thread::spawn(move || {
        let mut message = sender.message_writer(MessageKind::Text).unwrap();
        message.write_all(b"one").unwrap();
        message.flush().unwrap();
        begun.0.send(()).unwrap();
        go.1.recv().unwrap();
        message.finish().unwrap();
    });
    begun.1.recv().unwrap();
    go.0
}

/// Advances until a connection is open and the task waits; until when.
#[track_caller]
fn open(task: &mut AppTask<'_>) -> Option<Instant> {
    let start = Instant::now();
    loop {
        match task.advance() {
            AppStep::Wait(until) if task.handle().ready() => return until,
            AppStep::Wait(_) => thread::sleep(ms(1)),
            AppStep::Again => {}
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it does not open");
    }
}

/// While another thread is in the midst of a message there is no room, and nothing tells the loop when that has ended: the socket has
/// room all the time.
#[test]
fn in_a_loop_what_waits_behind_a_message_of_another_thread_leaves_when_that_has_ended() {
    let serve = || {
        support::serve(|mut peer| {
            peer.accept();
            let heard = [peer.frame(), peer.frame(), peer.frame()];
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            heard
        })
    };
    let ends = |mut task: AppTask<'_>, until: Option<Instant>, go: mpsc::Sender<()>, peer: support::Script<_>| {
        let until = until.expect("the loop looks again");
        assert!(until < Instant::now() + ms(500));
        go.send(()).unwrap();
        finish(&mut task).unwrap();
        let heard: [(u8, Vec<u8>); 3] = peer.join();
        assert_eq!(heard, [(0x01, "one"), (0x80, ""), (0x81, "two")].map(|(first, text)| (first, text.into())));
    };
    // What others send while `on_open` runs.
    bounded(30, move || {
        let (url, peer) = serve();
        let (tell, told) = mpsc::channel();
        let app = WebSocketApp::new(url).outbox(100).on_open(move |app| {
            tell.send(begin_message(app)).unwrap();
            let other = app.clone();
            join(thread::spawn(move || other.send_text("two").unwrap()));
        });
        let mut task = app.into_task(|| {}).unwrap();
        let until = open(&mut task);
        ends(task, until, told.recv().unwrap(), peer);
    });
    // What was kept before, and another thread sends while the loop sleeps.
    bounded(30, move || {
        let (url, peer) = serve();
        let (wake, woken) = mpsc::channel();
        let app = WebSocketApp::new(url).outbox(100);
        let handle = app.handle();
        handle.send_text("two").unwrap();
        let wake = move || {
            let _ = wake.send(());
        };
        let mut task = app.into_task(wake).unwrap();
        open(&mut task);
        let go = begin_message(&handle);
        woken.try_iter().for_each(drop);
        assert!(matches!(handle.send_unsent(), Err(Error::Full)));
        woken.recv_timeout(Duration::from_secs(5)).expect("the loop has to look after it");
        let until = open(&mut task);
        ends(task, until, go, peer);
    });
}

#[test]
fn a_callback_that_is_late_sends_nothing_on_the_next_connection() {
    bounded(20, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            if number < 2 {
                return true;
            }
            assert_eq!(hear(&mut peer, 2), ["subscribe 3", "by a clone"]);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            false
        });
        let mut opened = 0;
        let app = WebSocketApp::new(url)
            .outbox(10)
            .queue(100, Overflow::Block)
            .reconnect(Reconnect::fixed(ms(1)).stop_on_close())
            .on_open(move |app| {
                wait_for("the third connection", || app.statistics().connects == 3);
                opened += 1;
                let sent = app.send_text(&format!("subscribe {opened}"));
                assert_eq!(app.ready() && app.sender().is_some(), opened == 3);
                if opened < 3 {
                    assert!(matches!(sent, Err(Error::Closed(_))), "{sent:?}");
                    assert!(matches!(app.send_unsent(), Err(Error::Closed(_))));
                    app.ping("").unwrap_err();
                } else {
                    sent.unwrap();
                    let clone = app.clone();
                    thread::spawn(move || clone.send_text("by a clone")).join().unwrap().unwrap();
                }
            });
        let handle = app.handle();
        { app }.run_forever().unwrap();
        join(server);
        assert_eq!(handle.take_unsent(), Vec::<Message>::new(), "nor is it kept for another one");
    });
}

#[test]
fn without_one_sending_needs_a_connection() {
    bounded(10, || {
        let app = WebSocketApp::new(nowhere());
        let handle = app.handle();
        support::closed(handle.send_text("x"));
        support::closed(handle.send_unsent());
        assert_eq!(handle.take_unsent(), Vec::<Message>::new());
    });
}
