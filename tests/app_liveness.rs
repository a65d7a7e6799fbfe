//! WebSocketApp: how soon a silent server is found out, in real time, and what is not taken for one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::Read;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use support::{Peer, bounded, frame, join, ms};
use websocket_sync::{CloseCause, Overflow, Result, WebSocketApp};

const INTERVAL: Duration = ms(400);
const TIMEOUT: Duration = ms(250);
/// How many moments of an interval a server falls silent at.
const PHASES: u32 = 20;

/// A server that answers pings for so long, and then says nothing; the last thing it said was then.
fn dies_after(life: Duration) -> (String, support::Script<Instant>) {
    support::serve(move |mut peer| {
        peer.accept();
        let end = Instant::now() + life;
        let mut last = Instant::now();
        loop {
            let rest = end.saturating_duration_since(Instant::now());
            if rest.is_zero() || !wait_for_byte(&peer, rest) {
                break;
            }
            let (first, payload) = peer.frame();
            assert_eq!(first, 0x89);
            peer.say(frame(0x8A, payload));
            last = Instant::now();
        }
        peer.rest();
        last
    })
}

/// Whether something comes by then.
fn wait_for_byte(peer: &Peer, longest: Duration) -> bool {
    peer.socket().set_read_timeout(Some(longest)).unwrap();
    let mut byte = [std::mem::MaybeUninit::uninit()];
    let came = peer.socket().peek(&mut byte).is_ok_and(|length| length > 0);
    peer.socket().set_read_timeout(Some(ms(20_000))).unwrap();
    came
}

/// How late this machine is at worst when a thread is to be woken, for as long as a test runs.
fn watch(stop: &mpsc::Receiver<()>) -> Duration {
    let mut worst = Duration::ZERO;
    while let Err(mpsc::TryRecvError::Empty) = stop.try_recv() {
        let start = Instant::now();
        thread::sleep(ms(2));
        worst = worst.max(start.elapsed().saturating_sub(ms(2)));
    }
    worst
}

fn is_ping_timeout<T: std::fmt::Debug>(ended: Result<T>) {
    assert_eq!(support::closed(ended).cause, CloseCause::PingTimeout);
}

#[test]
fn a_server_that_falls_silent_is_found_out_in_time_at_every_phase() {
    bounded(30, || {
        let (stop, stopped) = mpsc::channel();
        let watch = thread::spawn(move || watch(&stopped));
        let phases: Vec<_> = (0..PHASES)
            .map(|phase| {
                thread::spawn(move || {
                    let life = INTERVAL + INTERVAL * phase / PHASES;
                    let (url, peer) = dies_after(life);
                    let mut app = WebSocketApp::new(url).ping_interval(INTERVAL).ping_timeout(TIMEOUT);
                    is_ping_timeout(app.run_forever());
                    (phase, Instant::now() - peer.join())
                })
            })
            .collect();
        let took: Vec<_> = phases.into_iter().map(join).collect();
        drop(stop);
        let late = join(watch);
        let latest = INTERVAL + TIMEOUT + ms(100) + 3 * late;
        for (phase, took) in took {
            assert!(took >= TIMEOUT, "phase {phase}: given up after {took:?}");
            assert!(took <= latest, "phase {phase}: found out after {took:?} (this machine was late by {late:?})");
        }
    });
}

/// An app whose callback takes several timeouts while the server says nothing it could not answer later.
fn slow_callback(configure: impl FnOnce(WebSocketApp<'_>) -> WebSocketApp<'_>) {
    let (url, peer) = support::serve(|mut peer| {
        peer.accept();
        peer.say(frame(0x81, "slow"));
        let mut pings = 0;
        let start = Instant::now();
        // Answers all the time; what it says lies unread while the callback takes its time.
        while start.elapsed() < 4 * TIMEOUT {
            if wait_for_byte(&peer, ms(10)) {
                let (first, payload) = peer.frame();
                assert_eq!(first, 0x89);
                peer.say(frame(0x8A, payload));
                pings += 1;
            }
        }
        peer.say(frame(0x88, b"\x03\xe8"));
        peer.rest();
        pings
    });
    let app = WebSocketApp::new(url).ping_interval(TIMEOUT / 2).ping_timeout(TIMEOUT);
    let mut app = configure(app.on_message(|_, _| thread::sleep(3 * TIMEOUT)));
    assert_eq!(app.run_forever().unwrap().cause, CloseCause::Remote);
    assert!(peer.join() >= 4, "pings left in the meantime");
}

#[test]
fn a_slow_callback_is_not_a_dead_server() {
    bounded(20, || slow_callback(|app| app));
}

#[test]
fn a_slow_callback_behind_a_queue_is_not_a_dead_server() {
    bounded(20, || slow_callback(|app| app.queue(1, Overflow::Block)));
}

#[test]
fn a_server_that_dies_while_callbacks_are_queued_is_found_out_at_once() {
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            peer.say(frame(0x81, "slow"));
            peer.rest();
        });
        let (tell, told) = mpsc::channel();
        let app = WebSocketApp::new(url).ping_interval(ms(100)).ping_timeout(ms(100)).queue(4, Overflow::Block);
        let mut app = app.on_message(move |app, _| {
            let start = Instant::now();
            // The thread that receives finds out, whatever this one does.
            while app.ready() && start.elapsed() < ms(5000) {
                thread::sleep(ms(5));
            }
            tell.send(start.elapsed()).unwrap();
        });
        is_ping_timeout(app.run_forever());
        drop(app);
        let took = told.recv().unwrap();
        assert!(took > ms(100) && took < ms(1000), "{took:?}");
        peer.join();
    });
}

#[test]
fn a_large_message_that_comes_slowly_is_a_sign_of_life() {
    const LENGTH: usize = 200_000;
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            let message = frame(0x82, vec![7; LENGTH]);
            // Longer than several timeouts, and no pong in between.
            for piece in message.chunks(LENGTH / 20) {
                peer.say(piece);
                thread::sleep(TIMEOUT / 4);
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let mut bytes = 0;
        let app = WebSocketApp::new(url).ping_interval(TIMEOUT / 2).ping_timeout(TIMEOUT);
        let mut app = app.on_message(|_, message| bytes += message.as_bytes().len());
        assert_eq!(app.run_forever().unwrap().cause, CloseCause::Remote);
        drop(app);
        assert_eq!(bytes, LENGTH);
        peer.join();
    });
}

#[test]
fn a_large_message_that_leaves_slowly_is_none_of_death() {
    const LENGTH: usize = 100_000;
    bounded(20, || {
        let (ours, theirs) = support::narrow_with_room_for(16 * 1024);
        let server = thread::spawn(move || {
            let mut peer = Peer::new(theirs);
            peer.accept();
            let mut length = 0;
            let mut piece = [0; 4096];
            while length < LENGTH {
                thread::sleep(ms(20));
                length += (&*peer.socket()).read(&mut piece).unwrap();
            }
            // The rest of it, and the pings that have waited.
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let mut socket = Some(ours);
        let (tell, told) = mpsc::channel();
        let app = WebSocketApp::new("ws://peer/")
            .connect_with(move |_, options| options.connect_over(socket.take().unwrap(), "ws://peer/"))
            .ping_interval(ms(100))
            .ping_timeout(ms(150))
            .on_open(move |app| {
                let (app, tell) = (app.clone(), tell.clone());
                thread::spawn(move || {
                    let start = Instant::now();
                    let sent = app.send_binary(&vec![0; LENGTH]);
                    tell.send((sent, start.elapsed())).unwrap();
                });
            });
        let closed = { app }.run_forever().unwrap();
        let (sent, took) = told.recv().unwrap();
        assert!(sent.is_ok() && took > ms(200), "{sent:?} after {took:?}");
        assert_eq!(closed.cause, CloseCause::Remote);
        join(server);
    });
}
