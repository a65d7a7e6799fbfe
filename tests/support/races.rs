//! What races against an app: callbacks that panic, threads that send and close, a server of many moods.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use websocket_sync::{CloseCode, ConnectOptions, Handle, Reconnect, WebSocketApp};

use crate::support::{Peer, frame, ms};

/// What looks like chance, and is the same in each run but for the order of the threads.
pub(crate) type Seed = Arc<AtomicU64>;

/// How often an app was opened and closed.
#[derive(Clone, Default)]
pub(crate) struct Count(Arc<(AtomicUsize, AtomicUsize)>);

impl Count {
    pub(crate) fn opened(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    pub(crate) fn closed(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// Whether the server answers a Close, always.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manners {
    /// It does, and nothing else ends an app but what happens: no ping, no timeout for the Close.
    Polite,
    /// Not always, and then time has to run out.
    Rude,
}

/// Serves for as long as the process lives; returns the URL.
pub(crate) fn serve(manners: Manners) -> (String, Seed) {
    say_nothing_of_what_is_expected();
    let seed = Seed::new(AtomicU64::new(0x5EED));
    let of_server = Arc::clone(&seed);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        loop {
            let (stream, _) = listener.accept().unwrap();
            let seed = Arc::clone(&of_server);
            let server = thread::Builder::new().name(SERVER.to_owned());
            server.spawn(move || answer(Peer::new(stream), manners, &seed)).unwrap();
        }
    });
    (url, seed)
}

const SERVER: &str = "racing server";

/// A server whose client is gone panics, and so do callbacks; the messages would bury those that matter.
fn say_nothing_of_what_is_expected() {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let expected = info.payload().downcast_ref::<&str>().is_some_and(|message| *message == "expected by this test");
        if !expected && thread::current().name() != Some(SERVER) {
            before(info);
        }
    }));
}

/// An app that connects again, pings, and perhaps panics.
pub(crate) fn app(url: &str, manners: Manners, seed: &Seed) -> (WebSocketApp<'static>, Count) {
    let count = Count::default();
    let [opens, opens_again, closes] = std::array::from_fn(|_| count.clone());
    let panics = chance(seed).is_multiple_of(2);
    let (close_timeout, app) = match manners {
        Manners::Polite => (ms(60_000), WebSocketApp::new(url)),
        Manners::Rude => (ms(50), WebSocketApp::new(url).ping_interval(ms(2)).ping_timeout(ms(20))),
    };
    let app = app
        .options(ConnectOptions::new().close_timeout(close_timeout))
        .reconnect(Reconnect::fixed(ms(1)).max_attempts(3))
        .on_open(move |_| {
            opens.0.0.fetch_add(1, Ordering::SeqCst);
        })
        .on_reconnect(move |_| {
            opens_again.0.0.fetch_add(1, Ordering::SeqCst);
        })
        .on_message(move |_, _| assert!(!panics, "expected by this test"))
        .on_close(move |_, _| {
            closes.0.1.fetch_add(1, Ordering::SeqCst);
        });
    (app, count)
}

/// Threads that do what they like to an app, and one that closes it in the end.
pub(crate) fn interfere(handle: &Handle, seed: &Seed) -> Vec<JoinHandle<()>> {
    let thread = |last: fn(&Handle)| {
        let (handle, seed) = (handle.clone(), Arc::clone(seed));
        thread::spawn(move || {
            (0..3).for_each(|_| act(&handle, &seed));
            last(&handle);
        })
    };
    vec![thread(|_| {}), thread(|_| {}), thread(|handle| handle.close().unwrap())]
}

fn act(handle: &Handle, seed: &Seed) {
    thread::sleep(Duration::from_micros(chance(seed) % 2000));
    // What fails, fails because of another one.
    match chance(seed) % 7 {
        0 => handle.stop(),
        1 => handle.close().unwrap(),
        2 => handle.sender().into_iter().for_each(|sender| sender.abort()),
        3 => drop(handle.send_text("race")),
        4 => drop(handle.ping("race")),
        5 => drop(handle.send_binary(&[7; 50_000])),
        _ => handle.sender().into_iter().for_each(|sender| drop(sender.send_close(CloseCode::NORMAL, ""))),
    }
}

fn answer(mut peer: Peer, manners: Manners, seed: &Seed) {
    // Some are gone before they have said anything.
    if panic::catch_unwind(AssertUnwindSafe(|| peer.accept())).is_err() {
        return;
    }
    match chance(seed) % 5 {
        _ if manners == Manners::Polite && chance(seed).is_multiple_of(2) => {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| peer.end()));
        }
        2.. if manners == Manners::Polite => {
            let _ = peer.try_say([frame(0x81, "x").repeat(50), frame(0x88, b"\x03\xe8")].concat());
            peer.rest();
        }
        0 => drop(peer),
        1 => peer.reset(),
        2 => {
            let _ = peer.try_say([frame(0x81, "x"), frame(0x88, b"\x03\xe8")].concat());
            peer.rest();
        }
        3 => {
            let _ = peer.try_say(frame(0x81, "x").repeat(500));
            peer.rest();
        }
        _ => drop(peer.rest()),
    }
}

fn chance(seed: &Seed) -> u64 {
    let mut x = seed.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}
