//! WebSocketApp: callbacks, the end of a run, and what a handle does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;
#[path = "support/wrapped.rs"]
mod wrapped;

use std::io;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use app_support::{Log, finish, nowhere, serve_again, show_closed, wait_until};
use support::{Peer, at_once, bounded, by_deadline, descriptors_and_threads, frame, ms};
use websocket_sync::{
    AppError, CallbackPolicy, Cancellation, CloseCause, CloseCode, ConnectOptions, Error, Handle, Handler, MessageRef,
    Opcode, Overflow, Reconnect, Result, WebSocketApp,
};
use wrapped::Wrapped;

/// A server that accepts and goes on with its script.
fn accepting<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, support::Script<T>) {
    support::serve(|mut peer| {
        peer.accept();
        script(peer)
    })
}

/// A server that accepts, says this and closes.
fn saying(bytes: impl AsRef<[u8]>) -> (String, support::Script<()>) {
    let bytes = [bytes.as_ref(), &frame(0x88, b"\x03\xe8")].concat();
    accepting(move |mut peer| {
        peer.say(bytes);
        peer.rest();
    })
}

/// A server that answers until it is closed to.
fn patient() -> (String, support::Script<u16>) {
    accepting(Peer::end)
}

/// The failure of the app itself that is in an error.
#[track_caller]
fn app_error(error: &Error) -> &AppError {
    let Error::Other(other) = error else { panic!("{error:?}") };
    other.downcast_ref().unwrap_or_else(|| panic!("{other:?}"))
}

#[test]
fn closures_may_borrow_what_outlives_the_app() {
    bounded(10, || {
        let (url, peer) = saying([frame(0x81, "one"), frame(0x82, b"three")].concat());
        let mut bytes = 0;
        let mut texts = Vec::new();
        WebSocketApp::new(url)
            .on_data(|_, data, _, _| bytes += data.len())
            .on_message(|_, message| match message {
                MessageRef::Text(text) => texts.push(text.to_owned()),
                MessageRef::Binary(_) => {}
            })
            .run_forever()
            .unwrap();
        assert_eq!((bytes, texts), (8, vec!["one".to_owned()]));
        peer.join();
    });
}

#[test]
fn a_handler_shares_its_state_and_a_closure_goes_before_its_method() {
    #[derive(Default)]
    struct Counter {
        opened: bool,
        messages: usize,
        data: usize,
    }

    impl Handler for Counter {
        fn on_open(&mut self, app: &Handle) -> Result<()> {
            self.opened = app.ready() && app.is_running();
            Ok(())
        }

        fn on_message(&mut self, app: &Handle, _: MessageRef<'_>) -> Result<()> {
            self.messages += 1;
            if self.messages == 2 { app.close_with(CloseCode(4000), "enough") } else { Ok(()) }
        }

        fn on_data(&mut self, _: &Handle, _: &[u8], _: Opcode, _: bool) -> Result<()> {
            self.data += 1;
            Ok(())
        }
    }

    bounded(10, || {
        let (url, peer) = accepting(|peer| {
            peer.say(frame(0x81, "m").repeat(5));
            peer.end()
        });
        let mut counter = Counter::default();
        let mut datas = 0;
        let closed =
            WebSocketApp::new(url).handler(&mut counter).on_data(|_, _, _, _| datas += 1).run_forever().unwrap();
        assert_eq!(peer.join(), 4000);
        // Nothing is handed out after the close.
        assert_eq!((counter.opened, counter.messages, counter.data, datas), (true, 2, 0, 2));
        assert_eq!(show_closed(&closed), "4000 \"\" Local");
    });
}

#[test]
fn a_closure_goes_before_the_method_of_its_name_and_no_other() {
    /// Hears of the first connection, and of others if it says so.
    struct Opens(Log);
    struct Reconnects(Log);
    impl Handler for Opens {
        fn on_open(&mut self, _: &Handle) -> Result<()> {
            self.0.note("method on_open");
            Ok(())
        }
    }
    impl Handler for Reconnects {
        fn on_open(&mut self, _: &Handle) -> Result<()> {
            self.0.note("method on_open");
            Ok(())
        }

        fn on_reconnect(&mut self, _: &Handle) -> Result<()> {
            self.0.note("method on_reconnect");
            Ok(())
        }
    }
    fn heard(build: impl FnOnce(WebSocketApp<'static>, &Log) -> WebSocketApp<'static>) -> Vec<String> {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            number == 0
        });
        let log = Log::default();
        let app = WebSocketApp::new(url).reconnect(Reconnect::fixed(ms(1)).max_attempts(2));
        drop({ build(app, &log) }.run_forever());
        support::join(server);
        log.lines()
    }
    fn closure(app: WebSocketApp<'static>, log: &Log) -> WebSocketApp<'static> {
        let log = log.clone();
        app.on_open(move |_| log.note("closure on_open"))
    }
    bounded(10, || {
        let both = heard(|app, log| closure(app, log).handler(Reconnects(log.clone())));
        assert_eq!(both, ["closure on_open", "method on_reconnect"]);
        // The default of the method is the app's `on_open`, which is the closure.
        let default = heard(|app, log| closure(app, log).handler(Opens(log.clone())));
        assert_eq!(default, ["closure on_open", "closure on_open"]);
        let method = heard(|app, log| app.handler(Opens(log.clone())));
        assert_eq!(method, ["method on_open", "method on_open"]);
        let methods = heard(|app, log| app.handler(Reconnects(log.clone())));
        assert_eq!(methods, ["method on_open", "method on_reconnect"]);
        let other = heard(|app, log| {
            let noted = log.clone();
            app.on_reconnect(move |_| noted.note("closure on_reconnect")).handler(Reconnects(log.clone()))
        });
        assert_eq!(other, ["method on_open", "closure on_reconnect"]);
    });
}

#[test]
fn an_app_runs_from_spawn_on_and_its_end_can_be_waited_for() {
    bounded(20, || {
        for _ in 0..50 {
            let app = WebSocketApp::new(nowhere()).spawn().unwrap();
            let handle = app.handle();
            assert!(handle.is_running() || handle.has_errored());
            let waited = handle.wait_end(Duration::from_secs(10)).unwrap().unwrap_err();
            assert!(!handle.is_running() && !handle.wait_open(Duration::from_secs(10)));
            let returned = app.join().unwrap_err();
            assert_eq!(waited.to_string(), returned.to_string());
            assert!(matches!(waited, Error::Io { .. }), "{waited:?}");
        }
        // One that is refused is over, too.
        let refused = WebSocketApp::new(nowhere()).ping_timeout(Duration::ZERO).spawn().unwrap();
        let handle = refused.handle();
        assert!(matches!(handle.wait_end(Duration::from_secs(10)), Some(Err(Error::Options(_)))));
        assert!(!handle.is_running());
        refused.join().unwrap_err();
    });
}

#[test]
fn opening_and_end_are_waited_for_within_a_time() {
    bounded(20, || {
        let (open, opens) = mpsc::channel();
        let (url, peer) = support::serve(move |mut peer| {
            opens.recv().unwrap();
            peer.accept();
            peer.end()
        });
        let app = WebSocketApp::new(url);
        let handle = app.handle();
        assert!(at_once(|| handle.wait_end(Duration::ZERO)).is_none(), "it has not run yet");
        let app = app.spawn().unwrap();
        assert!(!support::at_deadline(ms(50), || handle.wait_open(ms(50))));
        open.send(()).unwrap();
        assert!(handle.wait_open(Duration::from_secs(10)) && handle.ready());
        assert!(support::at_deadline(ms(50), || handle.wait_end(ms(50))).is_none());
        handle.close().unwrap();
        let closed = handle.wait_end(Duration::from_secs(10)).unwrap().unwrap();
        assert_eq!(closed, app.join().unwrap());
        assert_eq!(closed.cause, CloseCause::Local);
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn who_waits_for_the_opening_sends_behind_what_on_open_sends() {
    bounded(20, || {
        for queued in [false, true] {
            let (url, peer) =
                accepting(|mut peer| [peer.frame().1, peer.frame().1, peer.end().to_string().into_bytes()]);
            let app = WebSocketApp::new(url).on_open(|app| {
                assert!(at_once(|| app.wait_open(Duration::ZERO)), "in the callback itself nothing is waited for");
                thread::sleep(ms(50));
                app.send_text("login")
            });
            let app = if queued { app.queue(10, Overflow::Block) } else { app };
            let app = app.spawn().unwrap();
            let handle = app.handle();
            assert!(handle.wait_open(Duration::from_secs(10)));
            handle.send_text("hello").unwrap();
            handle.close().unwrap();
            app.join().unwrap();
            assert_eq!(peer.join(), [&b"login"[..], b"hello", b"1000"]);
        }
    });
}

#[test]
fn a_callback_may_be_one_that_never_returns() {
    bounded(20, || {
        let (url, peer) = accepting(Peer::end);
        let log = Log::default();
        let errors = log.clone();
        let mut app = WebSocketApp::new(url).on_open(|_| panic!("on purpose")).on_error(move |app, error| {
            errors.note(error.to_string());
            app.close()
        });
        assert_eq!(app.run_forever().unwrap().to_string(), "closed by this side: 1000 (normal)");
        assert_eq!(log.lines(), ["on_open panicked: on purpose"]);
        assert_eq!(peer.join(), 1000);
    });
}

/// How the end of a run is told by its callback, beside what it returns.
fn told_end(
    app: WebSocketApp<'static>,
    run: fn(WebSocketApp<'static>) -> Result<websocket_sync::Closed>,
) -> Vec<String> {
    let (log, handle) = (Log::default(), app.handle());
    let [end, close] = [log.clone(), log.clone()];
    let show = |outcome: Result<&websocket_sync::Closed, &Error>| match outcome {
        Ok(closed) => show_closed(closed),
        Err(error) => app_support::show_error(error),
    };
    let app = app.on_close(move |_, closed| close.note(format!("close {}", show_closed(closed)))).on_end(
        move |app, outcome| {
            assert!(app.is_running());
            end.note(format!("end {}", show(outcome)));
        },
    );
    let outcome = run(app);
    assert_eq!(log.lines().last(), Some(&format!("end {}", show(outcome.as_ref()))));
    assert_eq!(log.count("end"), 1);
    let waited = handle.wait_end(Duration::ZERO).unwrap();
    assert_eq!(show(waited.as_ref()), show(outcome.as_ref()));
    log.lines()
}

#[test]
fn the_end_of_each_run_is_told_once() {
    fn here(mut app: WebSocketApp<'static>) -> Result<websocket_sync::Closed> {
        app.run_forever()
    }
    fn queued(app: WebSocketApp<'static>) -> Result<websocket_sync::Closed> {
        app.queue(10, Overflow::Block).run_forever()
    }
    fn stepped(app: WebSocketApp<'static>) -> Result<websocket_sync::Closed> {
        let mut task = app.into_task(|| {}).unwrap();
        finish(&mut task)
    }
    bounded(20, || {
        for run in [here, queued, stepped] {
            // One that had a connection, and gives up later.
            let (url, server) = serve_again(|number, mut peer| {
                if number == 0 {
                    peer.accept();
                } else {
                    peer.head();
                    peer.say("HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n");
                }
                number == 0
            });
            let lines = told_end(WebSocketApp::new(url).reconnect(Reconnect::fixed(ms(1)).max_attempts(2)), run);
            let lost = "close 1006 \"\" lost: UnexpectedEof, again";
            assert_eq!(lines, [lost, "end upgrade refused: status 503"]);
            support::join(server);
            // One that is closed, one that never had a connection, one that a callback ends.
            let (url, peer) = patient();
            let lines = told_end(WebSocketApp::new(url).on_open(|app| app.close()), run);
            assert_eq!(lines, ["close 1000 \"\" Local", "end 1000 \"\" Local"]);
            peer.join();
            assert_eq!(told_end(WebSocketApp::new(nowhere()), run).len(), 2);
            let (url, peer) = patient();
            let fails = WebSocketApp::new(url).callback_errors(CallbackPolicy::Stop);
            let lines = told_end(fails.on_open(|_| Err::<(), _>(Error::other("no"))), run);
            assert_eq!(lines.last().unwrap(), "end no");
            peer.join();
        }
        // Its own failure is told, and can be what the run returns.
        let (url, peer) = saying("");
        let log = Log::default();
        let app = log.app(&url).callback_panics(CallbackPolicy::Stop).on_end(|_, _| -> () { panic!("oops") });
        assert_eq!({ app }.run_forever().unwrap_err().to_string(), "on_end panicked: oops");
        assert_eq!(log.count("error on_end panicked: oops"), 1);
        peer.join();
    });
}

#[test]
fn fragments_are_handed_out_one_by_one_to_those_who_want_them() {
    bounded(10, || {
        let said = [frame(0x01, "\u{20ac}".as_bytes().split_at(1).0), frame(0x80, b"\x82\xac"), frame(0x81, "whole")];
        let (url, peer) = saying(said.concat());
        let log = Log::default();
        let fragments = log.clone();
        let app = log.app(&url).on_cont_message(move |_, bytes, fin| {
            fragments.note(format!("fragment {} {fin}", bytes.escape_ascii()));
        });
        { app }.run_forever().unwrap();
        peer.join();
        let heard = [
            "open",
            "data \\xe2 text false",
            "fragment \\xe2 false",
            "data \\x82\\xac text true",
            "fragment \\x82\\xac true",
            "data whole text true",
            "message whole",
            "close 1000 \"\" Remote",
        ];
        assert_eq!(log.lines(), heard);
    });
}

#[test]
fn fragments_are_put_together_for_those_who_do_not() {
    bounded(10, || {
        let (url, peer) = saying([frame(0x01, "Hel"), frame(0x89, ""), frame(0x80, "lo")].concat());
        let log = Log::default();
        log.app(&url).run_forever().unwrap();
        peer.join();
        let heard = ["open", "ping ", "data Hello text true", "message Hello", "close 1000 \"\" Remote"];
        assert_eq!(log.lines(), heard);
    });
}

/// What is heard of a panic in the callback of this name, with one message, ping, pong and a lost connection.
fn heard_of_a_panic_in(name: &'static str) -> (Vec<String>, bool) {
    let (url, peer) = accepting(|peer| {
        peer.say([frame(0x01, "a"), frame(0x80, "b"), frame(0x81, "m"), frame(0x89, "i"), frame(0x8A, "o")].concat());
        // Lost.
    });
    let log = Log::default();
    let mut app = log.app(&url).on_cont_message(|_, _, _| {});
    app = match name {
        "on_open" => app.on_open(|_| -> () { panic!("oops") }),
        "on_message" => app.on_message(|_, _| -> () { panic!("oops") }),
        "on_data" => app.on_data(|_, _, _, _| -> () { panic!("oops") }),
        "on_cont_message" => app.on_cont_message(|_, _, _| -> () { panic!("oops") }),
        "on_ping" => app.on_ping(|_, _| -> () { panic!("oops") }),
        "on_pong" => app.on_pong(|_, _| -> () { panic!("oops") }),
        "on_error" => app.on_error(|_, _| -> () { panic!("oops") }),
        "on_close" => app.on_close(|_, _| -> () { panic!("oops") }),
        other => panic!("{other}"),
    };
    let lost = app.run_forever().unwrap_err().is_closed();
    peer.join();
    (log.lines(), lost)
}

#[test]
fn a_panic_in_any_callback_is_told_to_on_error_once_and_the_app_goes_on() {
    bounded(30, || {
        for (name, panics) in [
            ("on_open", 1),
            ("on_message", 1),
            ("on_data", 3),
            ("on_cont_message", 2),
            ("on_ping", 1),
            ("on_pong", 1),
            ("on_close", 1),
        ] {
            let (heard, lost) = heard_of_a_panic_in(name);
            assert!(lost, "{name}");
            let told = heard.iter().filter(|line| **line == format!("error {name} panicked: oops")).count();
            assert_eq!(told, panics, "{name}: {heard:#?}");
            assert_eq!(heard.iter().any(|line| line.starts_with("close")), name != "on_close", "{name}: {heard:#?}");
            assert_eq!(heard.iter().any(|line| line == "pong o"), name != "on_pong", "{name}: {heard:#?}");
        }
        // It is not called again for its own panic.
        let (heard, lost) = heard_of_a_panic_in("on_error");
        assert!(lost);
        assert_eq!(heard.last().unwrap(), "close 1006 \"\" lost: UnexpectedEof", "{heard:#?}");
    });
}

#[test]
fn a_callback_may_fail_with_any_error_and_on_error_hears_of_it_as_it_is() {
    type Any = Box<dyn std::error::Error + Send + Sync>;
    bounded(10, || {
        let (url, peer) = saying([frame(0x81, "x"), frame(0x89, "y"), frame(0x8A, "z")].concat());
        let log = Log::default();
        let kinds = log.clone();
        let app = log
            .app(&url)
            .on_message(|_, message| message.as_text().unwrap().parse::<u8>())
            .on_ping(|_, _| -> Result<(), Any> { Err("only words".into()) })
            .on_pong(|_, _| Err::<(), Any>(Box::new(Error::Timeout(websocket_sync::Phase::Connect))))
            .on_open(|_| Err::<(), _>(io::Error::from(Error::Full)))
            .on_error(move |_, error| {
                kinds.note(match error {
                    Error::Other(other) if other.is::<std::num::ParseIntError>() => "a number",
                    Error::Other(other) if other.to_string() == "only words" => "words",
                    Error::Timeout(_) => "time",
                    Error::Full => "full",
                    other => panic!("{other:?}"),
                });
            });
        { app }.run_forever().unwrap();
        peer.join();
        let told: Vec<_> = log.lines().into_iter().filter(|line| !line.starts_with("data")).collect();
        assert_eq!(told, ["full", "a number", "words", "time", "close 1000 \"\" Remote"]);
    });
}

#[test]
fn a_callback_that_fails_can_be_the_end_of_the_run() {
    bounded(10, || {
        for panics in [false, true] {
            let (url, peer) = accepting(|peer| {
                peer.say(frame(0x81, "m").repeat(3));
                peer.end()
            });
            let log = Log::default();
            let app = log.app(&url).reconnect(Reconnect::fixed(ms(1))).on_data(|_, _, _, _| {});
            let mut app = if panics {
                app.callback_panics(CallbackPolicy::Stop).on_message(|_, _| -> () { panic!("oops {}", 1) })
            } else {
                app.callback_errors(CallbackPolicy::Stop).on_message(|_, _| Err::<(), _>(Error::other("oops 1")))
            };
            let error = app.run_forever().unwrap_err();
            assert_eq!(peer.join(), 1011);
            if panics {
                assert_eq!(*app_error(&error), AppError::Panicked { callback: "on_message", message: "oops 1".into() });
            } else {
                assert_eq!(error.to_string(), "oops 1");
            }
            assert_eq!(log.lines(), ["open", &format!("error {error}"), "close 1011 \"\" Local"]);
        }
    });
}

#[test]
fn a_panic_while_connecting_is_a_failed_attempt() {
    bounded(10, || {
        let (url, peer) = saying("");
        let log = Log::default();
        let closed = log
            .app("ws://unused/")
            .reconnect(Reconnect::fixed(ms(1)).stop_on_close())
            .connect_with(move |attempt, options| {
                assert!(attempt.number > 1, "not yet");
                assert_eq!(attempt.last_error.unwrap().to_string(), "connect_with panicked: not yet");
                options.connect(&url)
            })
            .run_forever()
            .unwrap();
        peer.join();
        assert_eq!(closed.cause, CloseCause::Remote);
        assert_eq!(log.lines(), ["error connect_with panicked: not yet", "open", "close 1000 \"\" Remote"]);
    });
}

#[test]
fn an_app_can_run_again() {
    bounded(10, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            peer.end();
            number < 2
        });
        let log = Log::default();
        let mut app = log.app(&url).on_open(|app| app.close());
        for run in 1..=3 {
            assert!(!app.handle().is_running());
            assert_eq!(app.run_forever().unwrap().cause, CloseCause::Local);
            assert_eq!(app.handle().statistics().connects, run);
            // There is nothing to close, so this does not concern the next run.
            app.handle().close().unwrap();
        }
        assert_eq!(log.lines(), ["close 1000 \"\" Local"; 3]);
        support::join(server);
    });
}

#[test]
fn closing_is_idempotent_and_the_wrong_code_is_refused() {
    bounded(10, || {
        let (url, peer) = patient();
        let app = WebSocketApp::new(url).on_open(|app| {
            let refused = app.close_with(CloseCode(1005), "").unwrap_err();
            assert!(matches!(refused, Error::Usage(_)), "{refused:?}");
            assert!(app.close_with(CloseCode::NORMAL, &"x".repeat(124)).is_err());
            assert!(app.ready(), "it is still open");
            app.close_with(CloseCode(4001), "enough")?;
            app.close_with(CloseCode(4002), "twice")
        });
        let app = app.spawn().unwrap();
        let handle = app.handle();
        let closers = [(); 4].map(|()| {
            let handle = handle.clone();
            thread::spawn(move || handle.close())
        });
        closers.into_iter().for_each(|closer| support::join(closer).unwrap());
        let closed = app.join();
        // Whoever came first.
        match closed.map(|closed| (closed.cause, closed.code)) {
            Ok((CloseCause::Local, code)) => assert_eq!(peer.join(), code.0),
            Ok((CloseCause::Cancelled, _)) => {}
            other => panic!("{other:?}"),
        }
        at_once(|| handle.close()).unwrap();
    });
}

#[test]
fn sending_needs_a_connection() {
    bounded(10, || {
        let app = WebSocketApp::new(nowhere());
        let handle = app.handle();
        for sent in [
            handle.send_text("x").map(|_| ()),
            handle.send_binary(b"x").map(|_| ()),
            handle.send("x", Opcode::Text).map(|_| ()),
            handle.ping("x"),
        ] {
            assert_eq!(support::closed(sent).cause, CloseCause::NotConnected);
        }
        assert!(handle.sender().is_none() && handle.response().is_none() && !handle.ready());
    });
}

#[test]
fn what_passes_is_counted() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| {
            peer.say([frame(0x81, "hello"), frame(0x82, b"yo"), frame(0x8A, b"")].concat());
            peer.frame();
            peer.frame();
            peer.say(frame(0x88, b"\x0f\xa0why"));
            peer.rest();
        });
        let app = WebSocketApp::new(url).on_open(|app| {
            app.send_text("question")?;
            app.send(b"mark", Opcode::Binary)
        });
        let handle = app.handle();
        { app }.run_forever().unwrap();
        peer.join();
        let statistics = handle.statistics();
        assert_eq!((statistics.messages_received, statistics.bytes_received), (2, 7));
        assert_eq!((statistics.messages_sent, statistics.bytes_sent), (2, 12));
        assert_eq!((statistics.connects, statistics.last_ping, statistics.latency), (1, None, None));
        assert!(statistics.last_pong.is_some());
        let last = handle.last_close().unwrap();
        assert_eq!((last.code, &*last.reason), (CloseCode(4000), "why"));
        assert!(!handle.has_errored());
    });
}

/// What is told to come is what has come of a message that is not whole.
#[test]
fn the_parts_of_a_message_are_counted_while_they_come() {
    bounded(20, || {
        let (go_on, parts) = mpsc::channel::<()>();
        let (url, peer) = accepting(move |mut peer| {
            // One frame, then one in fragments with a ping between them.
            let parts_of_it: [&[u8]; 5] = [b"\x82\x06abc", b"d", b"ef\x01\x02gh", b"\x89\x00\x00\x01i", b"\x80\x00"];
            for part in parts_of_it {
                peer.say(part);
                parts.recv().unwrap();
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let app = WebSocketApp::new(url).reconnect(Reconnect::never());
        let handle = app.handle();
        let thread = app.spawn().unwrap();
        for (messages, gathered) in [(0, 3), (0, 4), (1, 2), (1, 3), (2, 0)] {
            let is_as_expected = || {
                let statistics = handle.statistics();
                (statistics.messages_received, statistics.bytes_gathered) == (messages, gathered)
            };
            wait_until(is_as_expected);
            go_on.send(()).unwrap();
        }
        thread.join().unwrap();
        peer.join();
        assert_eq!(handle.statistics().bytes_gathered, 0);
    });
}

#[test]
fn a_connection_can_be_looked_at_while_it_is_open() {
    bounded(10, || {
        let (url, peer) = support::serve(|mut peer| {
            let request = peer.head();
            let answer = support::answer_to(&request).replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat\r\n\r\n");
            peer.say(answer);
            peer.end()
        });
        let mut app = WebSocketApp::new(url).options(ConnectOptions::new().subprotocols(["chat"])).on_open(|app| {
            assert_eq!(app.subprotocol().as_deref(), Some("chat"));
            assert_eq!(app.response().unwrap().status, 101);
            assert!(app.sender().unwrap().connected());
            app.close()
        });
        app.run_forever().unwrap();
        peer.join();
        assert!(app.handle().response().is_none());
    });
}

#[test]
fn settings_that_cannot_be_meant_are_refused_before_anything_is_done() {
    let log = Log::default();
    let apps = [
        log.app("ws://unused/").ping_timeout(Duration::ZERO),
        log.app("ws://unused/").ping_payload([0; 126]),
        log.app("ws://unused/").options(ConnectOptions::new().open_timeout(Duration::ZERO)),
    ];
    for mut app in apps {
        let error = app.run_forever().unwrap_err();
        assert!(matches!(error, Error::Options(_)), "{error:?}");
    }
    for (overflow, refused) in [(Overflow::Block, false), (Overflow::DropOldest, true), (Overflow::DropNewest, true)] {
        let app = WebSocketApp::new(nowhere()).on_cont_message(|_, _, _| ()).queue(9, overflow).run_forever();
        assert_eq!(matches!(app, Err(Error::Options(_))), refused, "{overflow:?}");
    }
    assert_eq!(log.lines(), [""; 0]);
}

#[test]
fn a_cancellation_of_the_users_ends_the_run_wherever_it_is_not_open() {
    bounded(10, || {
        // While it waits to connect again.
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation);
        let (waits, waiting) = mpsc::channel();
        let app = WebSocketApp::new(nowhere())
            .options(options.clone())
            .reconnect(Reconnect::fixed(Duration::from_secs(60)))
            .on_error(move |_, _| waits.send(()).unwrap())
            .spawn()
            .unwrap();
        waiting.recv().unwrap();
        thread::sleep(ms(20));
        cancellation.cancel();
        assert_eq!(at_once(|| app.join()).unwrap().cause, CloseCause::Cancelled);
        // Before it begins.
        let log = Log::default();
        let closed = log.app(&nowhere()).options(options).run_forever().unwrap();
        assert_eq!(closed.cause, CloseCause::Cancelled);
        assert_eq!(log.lines(), ["close 1006 \"\" Cancelled"]);
    });
}

/// An open connection is left alone by it; no other one follows, and on_close does not say so.
#[test]
fn after_a_cancellation_of_the_users_the_last_connection_is_told_to_be_the_last() {
    bounded(10, || {
        let cancellation = Cancellation::new();
        let (url, peer) = accepting(|peer| peer.say(frame(0x81, "cancel")));
        let log = Log::default();
        let told = std::sync::Mutex::new(Vec::new());
        let closed = log
            .app(&url)
            .options(ConnectOptions::new().cancellation(&cancellation))
            .reconnect(Reconnect::fixed(ms(50)))
            .on_message(|_, _| cancellation.cancel())
            .on_close(|app, closed| told.lock().unwrap().push((closed.reconnect, app.retry_delay())))
            .run_forever()
            .unwrap();
        peer.join();
        assert_eq!(*told.lock().unwrap(), [(None, None)], "{closed}");
    });
}

/// What on_error has ended is not told to go on.
#[test]
fn a_run_that_on_error_ends_has_no_delay_before_another_attempt() {
    bounded(10, || {
        let (url, peer) = accepting(drop);
        let told = std::sync::Mutex::new(Vec::new());
        WebSocketApp::new(url)
            .reconnect(Reconnect::fixed(ms(50)))
            .on_error(|app, _| app.close())
            .on_close(|app, closed| told.lock().unwrap().push((closed.reconnect, app.retry_delay())))
            .run_forever()
            .unwrap();
        peer.join();
        assert_eq!(*told.lock().unwrap(), [(None, None)]);
    });
}

#[test]
fn a_stop_waits_for_nothing_even_when_the_peer_reads_nothing() {
    bounded(20, || {
        let (url, peer) = accepting(|peer| {
            thread::sleep(ms(1000));
            drop(peer);
        });
        let app = WebSocketApp::new(url).on_open(|app| {
            let handle = app.clone();
            // Fills the way to the peer, and waits in the middle of it.
            thread::spawn(move || handle.send_binary(&vec![0; 64 << 20]));
        });
        let app = app.spawn().unwrap();
        thread::sleep(ms(300));
        at_once(|| app.handle().stop());
        assert_eq!(at_once(|| app.join()).unwrap().cause, CloseCause::Aborted);
        peer.join();
    });
}

#[test]
fn a_queue_answers_pings_while_a_callback_is_busy() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| {
            peer.say([frame(0x81, "slow"), frame(0x89, "now?")].concat());
            let pong = by_deadline(ms(0), || peer.frame());
            assert_eq!(pong, (0x8A, b"now?".to_vec()));
            peer.say([frame(0x81, "next"), frame(0x88, b"\x03\xe8")].concat());
            peer.rest();
        });
        let log = Log::default();
        let slow = log.clone();
        let mut app = log.app(&url).queue(8, Overflow::Block).on_message(move |_, message| {
            thread::sleep(ms(400));
            slow.note(app_support::show_message(message));
        });
        let closed = app.run_forever().unwrap();
        peer.join();
        assert_eq!(closed.cause, CloseCause::Remote);
        let heard = [
            "open",
            "data slow text true",
            "message slow",
            "ping now?",
            "data next text true",
            "message next",
            "close 1000 \"\" Remote",
        ];
        assert_eq!(log.lines(), heard);
    });
}

/// What a slow callback hears of ten messages through a queue of three, how the run ends, and how many were dropped.
fn through_a_queue(overflow: Overflow) -> (Vec<String>, Result<String>, u64) {
    let (received, all_there) = mpsc::channel::<()>();
    let (url, peer) = accepting(move |mut peer| {
        peer.say(frame(0x81, "0"));
        // The callback has the first.
        all_there.recv().unwrap();
        for number in 1..10 {
            peer.say(frame(0x81, number.to_string()));
        }
        // The pong says that everything was received, where it can be.
        let _ = peer.try_say(frame(0x88, b"\x03\xe8"));
        peer.rest();
    });
    let log = Log::default();
    let app = WebSocketApp::new(url).queue(3, overflow);
    let (heard, closed) = (log.clone(), log.clone());
    let mut app = app
        .on_message(move |_, message| {
            if message == MessageRef::Text("0") {
                received.send(()).unwrap();
                thread::sleep(ms(300));
            }
            heard.note(app_support::show_message(message));
        })
        .on_close(move |_, end| closed.note(show_closed(end)));
    let ended = app.run_forever().map(|closed| show_closed(&closed));
    peer.join();
    (log.lines(), ended, app.handle().statistics().messages_dropped)
}

#[test]
fn a_full_queue_does_what_it_was_told_to() {
    bounded(20, || {
        let messages = |numbers: &[u8]| numbers.iter().map(|number| format!("message {number}")).collect::<Vec<_>>();
        let clean = "1000 \"\" Remote";

        let (heard, ended, dropped) = through_a_queue(Overflow::Block);
        assert_eq!((ended.unwrap().as_str(), dropped), (clean, 0));
        assert_eq!(heard, [messages(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), vec![clean.to_owned()]].concat());

        let (heard, ended, dropped) = through_a_queue(Overflow::DropOldest);
        assert_eq!((ended.unwrap().as_str(), dropped), (clean, 6));
        assert_eq!(heard, [messages(&[0, 7, 8, 9]), vec![clean.to_owned()]].concat());

        let (heard, ended, dropped) = through_a_queue(Overflow::DropNewest);
        assert_eq!((ended.unwrap().as_str(), dropped), (clean, 6));
        assert_eq!(heard, [messages(&[0, 1, 2, 3]), vec![clean.to_owned()]].concat());

        let (heard, ended, _) = through_a_queue(Overflow::Fail);
        assert_eq!(*app_error(&ended.unwrap_err()), AppError::QueueFull { capacity: 3 });
        assert_eq!(heard[..4], messages(&[0, 1, 2, 3]));
        assert_eq!(heard.len(), 5, "{heard:?}");
    });
}

#[test]
fn no_message_is_lost_for_a_ping_or_a_pong() {
    bounded(20, || {
        for overflow in [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Fail] {
            let (busy, is_busy) = mpsc::channel();
            let (url, peer) = accepting(move |mut peer| {
                peer.say(frame(0x81, "first"));
                is_busy.recv().unwrap();
                let control = [frame(0x89, "ping"), frame(0x8A, "pong")].concat().repeat(10);
                peer.say([control.clone(), frame(0x81, "second"), control, frame(0x88, b"\x03\xe8")].concat());
                peer.rest();
            });
            let (mut texts, mut pings) = (Vec::new(), 0);
            let mut app = WebSocketApp::new(url)
                .queue(1, overflow)
                .on_message(|_, message| {
                    if message == MessageRef::Text("first") {
                        busy.send(()).unwrap();
                        thread::sleep(ms(200));
                    }
                    texts.push(app_support::show_message(message));
                })
                .on_ping(|_, _| pings += 1);
            app.run_forever().unwrap();
            assert_eq!(app.handle().statistics().messages_dropped, 0);
            drop(app);
            assert_eq!(texts, ["message first", "message second"], "{overflow:?}");
            assert!((1..=20).contains(&pings), "{overflow:?}: {pings}");
            peer.join();
        }
    });
}

#[test]
fn closing_from_a_callback_wakes_a_receiver_that_waits_for_room() {
    bounded(10, || {
        let (url, peer) = accepting(|peer| {
            let _ = peer.repeat(frame(0x81, "flood"), 10_000);
            peer.end()
        });
        let mut count = 0;
        let mut app = WebSocketApp::new(url).queue(2, Overflow::Block).on_message(|app, _| {
            count += 1;
            if count == 5 { app.close() } else { Ok(()) }
        });
        let closed = by_deadline(ms(1000), || app.run_forever()).unwrap();
        drop(app);
        assert_eq!((closed.cause, count), (CloseCause::Local, 5));
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn all_threads_and_sockets_are_gone_when_a_run_returns() {
    let _alone = support::alone();
    bounded(20, || {
        let run = || {
            let (url, peer) = saying(frame(0x81, "m"));
            let app = WebSocketApp::new(url).ping_interval(ms(1)).ping_timeout(ms(1000)).queue(1, Overflow::Block);
            { app }.run_forever().unwrap();
            peer.join();
        };
        run();
        let before = descriptors_and_threads();
        for _ in 0..50 {
            run();
        }
        let after = descriptors_and_threads();
        // Other tests of this file come and go; what is left behind would be left fifty times.
        assert!(after.0 < before.0 + 25 && after.1 < before.1 + 25, "{before:?}, then {after:?}");
    });
}

#[test]
fn debug_shows_no_secret() {
    let options = ConnectOptions::new().header("Authorization", "Bearer hidden");
    let app = WebSocketApp::new("ws://user:hidden@example.com/?token=hidden").options(options).on_open(|_| ());
    let shown = format!("{app:?} {:?}", app.handle());
    assert!(!shown.contains("hidden"), "{shown}");
    assert!(shown.contains("on_open"), "{shown}");
}

#[test]
fn a_message_costs_no_allocation() {
    bounded(20, || {
        let allocations = |messages: usize| {
            let (url, peer) = accepting(move |mut peer| {
                peer.repeat(frame(0x81, [b'x'; 64]), messages).unwrap();
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            let mut heard = 0;
            let mut app = WebSocketApp::new(url)
                .ping_interval(Duration::from_secs(60))
                .on_data(|_, _, _, _| ())
                .on_message(|_, _| heard += 1);
            let counted = allocation_counter::measure(|| drop(app.run_forever().unwrap()));
            drop(app);
            peer.join();
            assert_eq!(heard, messages);
            counted.count_total
        };
        // The first run of a process fills what is kept.
        allocations(10);
        let (few, many) = (allocations(2_000), allocations(50_000));
        assert!(many <= few + 20, "{few} for 2,000 messages, {many} for 50,000");
    });
}

#[test]
fn a_close_at_any_moment_ends_the_run_and_each_connection_is_closed_once() {
    // Its servers stay behind.
    let _alone = support::alone();
    bounded(60, || {
        for round in 0..300u32 {
            let (url, _) = serve_again(move |number, mut peer| {
                peer.accept();
                let _ = peer.try_say([frame(0x81, "m"), frame(0x89, "p")].concat());
                match number % 3 {
                    0 => {}
                    1 => drop(peer.try_say(frame(0x88, b"\x03\xe8"))),
                    _ => drop(thread::spawn(move || peer.rest())),
                }
                true
            });
            let log = Log::default();
            let app = log
                .app(&url)
                .options(ConnectOptions::new().close_timeout(ms(20)))
                .reconnect(Reconnect::fixed(ms(1)))
                .ping_interval(ms(1))
                .ping_timeout(ms(500));
            let app = if round % 2 == 0 { app } else { app.queue(1, Overflow::Block) };
            let app = app.spawn().unwrap();
            thread::sleep(Duration::from_micros(u64::from(round) * 20));
            let closers = [0, 1].map(|closer| {
                let handle = app.handle();
                thread::spawn(move || {
                    let _ = handle.send_text("raced");
                    if closer == 0 || round % 5 > 0 { handle.close().unwrap() } else { handle.stop() }
                })
            });
            closers.into_iter().for_each(support::join);
            let ended = by_deadline(ms(100), || app.join()).unwrap();
            assert_eq!(ended.reconnect, None, "round {round}");
            let opened = log.count("open") + log.count("reconnect");
            let lines = log.lines();
            assert_eq!(log.count("close"), opened.max(1), "round {round}: {lines:#?}");
            assert!(log.count("open") <= 1, "round {round}: {lines:#?}");
        }
    });
}

/// Panics when it is dropped after the read of its stream has panicked.
#[derive(Default)]
struct PanicsAfterPanic(AtomicBool);

impl Drop for PanicsAfterPanic {
    fn drop(&mut self) {
        assert!(!self.0.load(Ordering::SeqCst) || thread::panicking(), "expected by this test");
    }
}

/// A stream whose next read panics once it is told to, and that panics when it is dropped after that.
fn panicking(below: TcpStream, is_due: Arc<AtomicBool>) -> Wrapped {
    let panicked = PanicsAfterPanic::default();
    Wrapped::over(below).on_read(move |below, buf| {
        if is_due.swap(false, Ordering::SeqCst) {
            panicked.0.store(true, Ordering::SeqCst);
            panic!("expected by this test");
        }
        below.try_read(buf)
    })
}

#[test]
fn a_stream_that_panics_is_lost_and_the_run_goes_on() {
    bounded(20, || {
        for queued in [false, true] {
            let (url, server) = serve_again(|number, mut peer| {
                peer.accept();
                peer.say(frame(0x81, number.to_string()));
                if number == 1 {
                    peer.say(frame(0x88, b"\x03\xe8"));
                } else {
                    // It panics once the message was handed out.
                    thread::sleep(ms(100));
                    peer.say(frame(0x81, "never read"));
                }
                peer.rest();
                number == 0
            });
            let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
            let is_due = Arc::new(AtomicBool::new(false));
            let armed = Arc::clone(&is_due);
            let options = ConnectOptions::new()
                .dial_with(move |_| Ok(panicking(TcpStream::connect(&address)?, Arc::clone(&is_due))));
            let log = Log::default();
            let app = log.app(&url).options(options).reconnect(Reconnect::fixed(ms(20)).stop_on_close());
            let mut app = app.on_message(move |_, message| {
                if message.as_bytes() == b"0" {
                    armed.store(true, Ordering::SeqCst);
                }
            });
            if queued {
                app = app.queue(10, Overflow::Block);
            }
            app.run_forever().unwrap();
            let expected = [
                "open",
                "data 0 text true",
                "error a Transport panicked: expected by this test",
                "close 1006 \"\" lost: Other, again",
                "reconnect",
                "data 1 text true",
                "close 1000 \"\" Remote",
            ];
            assert_eq!(log.lines(), expected, "behind a queue: {queued}");
            server.join().unwrap();
        }
    });
}
