//! WebSocketApp: what the wire and the callers see of a run that is ended from elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use app_support::finish;
use support::{Peer, Script, at_once, bounded, frame, join, ms};
use websocket_sync::{AppStep, CallbackPolicy, CloseCause, CloseCode, ConnectOptions, Handle, WebSocketApp};

fn accepting<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, Script<T>) {
    support::serve(|mut peer| {
        peer.accept();
        script(peer)
    })
}

/// An app whose run is ended by this when its connection is made, but not known to be open yet.
fn ended_while_opening<'env>(url: &'env str, end: fn(&Handle)) -> WebSocketApp<'env> {
    let app = WebSocketApp::new(url).on_open(|_| -> () { panic!("nobody wants it") });
    let handle = app.handle();
    app.connect_with(move |_, options| {
        let ws = options.connect(url)?;
        end(&handle);
        Ok(ws)
    })
}

#[test]
fn the_code_of_a_close_reaches_the_wire_although_nobody_knew_of_the_connection() {
    bounded(20, || {
        let close: fn(&Handle) = |app| app.close_with(CloseCode(4000), "bye").unwrap();
        let (url, peer) = accepting(Peer::end);
        ended_while_opening(&url, close).run_forever().unwrap();
        assert_eq!(peer.join(), 4000);

        let (url, peer) = accepting(Peer::end);
        let mut task = ended_while_opening(&url, close).into_task(|| {}).unwrap();
        finish(&mut task).unwrap();
        assert_eq!(peer.join(), 4000);
    });
}

#[test]
fn the_code_of_a_close_reaches_the_wire_although_the_run_saw_first_that_it_is_to_end() {
    bounded(60, || {
        for round in 0..50 {
            let (url, peer) = accepting(|peer| {
                let start = Instant::now();
                while start.elapsed() < ms(15) && peer.try_say(frame(0x81, "flood").repeat(50)).is_ok() {}
                peer.end()
            });
            let app = WebSocketApp::new(url).on_message(|_, _| ()).spawn().unwrap();
            while !app.handle().ready() {
                thread::yield_now();
            }
            thread::sleep(Duration::from_micros(50 * round));
            app.handle().close_with(CloseCode(4000), "bye").unwrap();
            app.join().unwrap();
            assert_eq!(peer.join(), 4000, "round {round}");
        }
    });
}

#[test]
fn nothing_is_handed_out_after_a_close() {
    bounded(20, || {
        for fragments in [false, true] {
            let (url, peer) = accepting(|mut peer| {
                assert_eq!(peer.close_code(), 1000);
                peer.say([frame(0x81, "late"), frame(0x8A, "late"), frame(0x88, b"\x03\xe8")].concat());
                peer.rest();
            });
            let (opens, open) = mpsc::channel();
            let app = WebSocketApp::new(url)
                .on_open(move |_| opens.send(()).unwrap())
                .on_data(|_, _, _, _| panic!("late data") as ())
                .on_message(|_, _| panic!("a late message") as ())
                .on_pong(|_, _| panic!("a late pong") as ())
                .callback_panics(CallbackPolicy::Stop);
            let app = if fragments { app.on_cont_message(|_, _, _| ()) } else { app };
            let app = app.spawn().unwrap();
            open.recv().unwrap();
            // The run waits for the network by then.
            thread::sleep(ms(50));
            app.handle().close().unwrap();
            assert_eq!(app.join().unwrap().cause, CloseCause::Local);
            peer.join();
        }
    });
}

#[test]
fn a_stop_waits_for_nobody_although_nobody_knew_of_the_connection() {
    bounded(20, || {
        let (url, peer) = accepting(|mut peer| peer.rest());
        let closed = at_once(|| ended_while_opening(&url, Handle::stop).run_forever()).unwrap();
        assert_eq!(closed.cause, CloseCause::Cancelled);
        peer.join();
    });
}

#[test]
fn a_callback_closes_without_waiting_whichever_thread_has_connected() {
    bounded(20, || {
        let (url, peer) = accepting(Peer::end);
        let elsewhere = |url: String, options: ConnectOptions| join(thread::spawn(move || options.connect(&url)));
        let mut app = WebSocketApp::new(&url)
            .connect_with(|_, options| elsewhere(url.clone(), options))
            .on_open(|app| at_once(|| app.close()));
        assert_eq!(app.run_forever().unwrap().cause, CloseCause::Local);
        drop(app);
        assert_eq!(peer.join(), 1000);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn who_drops_a_task_calls_its_attempt_off() {
    bounded(20, || {
        let hole = support::BlackHole::new([127, 0, 0, 1].into()).unwrap();
        let url = format!("ws://{}/", hole.address);
        let app = WebSocketApp::new(&url).connect_with(|_, options| options.connect(&url));
        let mut task = app.into_task(|| {}).unwrap();
        let AppStep::Connect(attempt) = task.advance() else { panic!("no attempt") };
        let (begins, begun) = mpsc::channel();
        thread::scope(|scope| {
            let connecting = scope.spawn(move || {
                begins.send(()).unwrap();
                let start = Instant::now();
                drop(attempt.run());
                start.elapsed()
            });
            begun.recv().unwrap();
            thread::sleep(ms(100));
            drop(task);
            assert!(connecting.join().unwrap() < ms(2000));
        });
    });
}
