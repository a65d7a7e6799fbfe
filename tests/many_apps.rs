//! Many apps on one thread: the callbacks that a thread of their own would call, and nobody in the way of the others.

#![cfg(feature = "mio")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
#[path = "support/races.rs"]
mod races;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;
#[path = "support/tls_websocket.rs"]
mod tls_websocket;
#[path = "support/wrapped.rs"]
mod wrapped;

use std::net::{Shutdown, TcpListener, TcpStream};
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use std::{io, iter};

use app_support::{Log, nowhere, serve_again, show_closed, show_error, wait_for};
use races::Manners;
#[cfg(target_os = "linux")]
use support::BlackHole;
use support::{
    Peer, alone, answer_to, assert_back_at, at_once, bounded, by_deadline, frame, join, ms,
    settled_descriptors_and_threads,
};
use tls_websocket::TlsWebSocket;
use websocket_sync::{
    AppError, CallbackPolicy, Cancellation, CloseCause, CloseCode, Closed, ConnectOptions, Error, Handle, ManyApps,
    MessageRef, Overflow, Reconnect, Result, SocketOptions, TlsOptions, WebSocket, WebSocketApp,
};
use wrapped::Wrapped;

/// Runs one app on a loop; how it ended.
fn run(app: WebSocketApp<'_>) -> Result<Closed> {
    let mut outcome = None;
    let mut apps = ManyApps::new().unwrap();
    apps.on_ended(|_, ended| outcome = Some(ended));
    apps.add(app).unwrap();
    apps.run().unwrap();
    assert!(apps.is_empty());
    drop(apps);
    outcome.unwrap()
}

/// The same on a thread of its own.
fn spawn(app: WebSocketApp<'static>) -> (Handle, thread::JoinHandle<Result<Closed>>) {
    (app.handle(), thread::spawn(|| run(app)))
}

fn show(outcome: &Result<Closed>) -> String {
    outcome.as_ref().map_or_else(show_error, show_closed)
}

/// A server that accepts and goes on with its script, once.
fn accepting<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, support::Script<T>) {
    support::serve(|mut peer| {
        peer.accept();
        script(peer)
    })
}

fn quick() -> ConnectOptions {
    ConnectOptions::new().close_timeout(ms(200)).open_timeout(ms(2000))
}

/// What a server does with each connection, and what an app does; whether the server goes on.
struct Row {
    event: &'static str,
    server: fn(usize, Peer) -> bool,
    app: fn(WebSocketApp<'static>, &Log) -> WebSocketApp<'static>,
}

fn as_it_is(app: WebSocketApp<'static>, _: &Log) -> WebSocketApp<'static> {
    app
}

fn says(mut peer: Peer, bytes: impl AsRef<[u8]>) -> Peer {
    peer.accept();
    peer.say(bytes);
    peer
}

fn answers(mut peer: Peer, head: &str) -> bool {
    peer.head();
    peer.say(head);
    false
}

fn hangs_up(peer: Peer) -> bool {
    drop(peer);
    false
}

/// Everything until the end.
fn listens(mut peer: Peer) -> bool {
    peer.rest();
    false
}

const ROWS: &[Row] = &[
    Row {
        event: "messages of all kinds, and a close",
        server: |_, peer| {
            let said = [frame(0x81, "a"), frame(0x82, "b"), frame(0x89, "c"), frame(0x8A, "d"), frame(0x01, "e")];
            let mut peer = says(peer, [said.concat(), frame(0x80, "f"), frame(0x88, b"\x03\xe8bye")].concat());
            assert_eq!(peer.frame(), (0x8A, b"c".to_vec()));
            assert_eq!(peer.close_code(), 1000);
            false
        },
        app: as_it_is,
    },
    Row {
        event: "fragments, one by one",
        server: |_, peer| {
            let said = [frame(0x01, "a"), frame(0x00, "b"), frame(0x80, "c"), frame(0x82, "d"), frame(0x88, "")];
            listens(says(peer, said.concat()))
        },
        app: |app, log| {
            let log = log.clone();
            app.on_cont_message(move |_, payload, fin| log.note(format!("cont {} {fin}", payload.escape_ascii())))
        },
    },
    Row {
        event: "messages and a close in one piece with the answer, and the end",
        server: |_, mut peer| {
            let answer = answer_to(&peer.head()).into_bytes();
            peer.say([answer, frame(0x81, "a"), frame(0x82, "b"), frame(0x88, b"\x03\xe8bye")].concat());
            hangs_up(peer)
        },
        app: as_it_is,
    },
    Row {
        event: "a redirect, a challenge, and a close",
        server: |number, mut peer| match number {
            0 => !answers(peer, "HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"),
            1 => {
                let challenge = "HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic realm=\"r\"\r\nContent-Length: 0\r\n\r\n";
                assert!(peer.head().starts_with("GET /b "));
                peer.say(challenge);
                true
            }
            _ => {
                let request = peer.head();
                assert!(request.contains("Authorization: Basic "), "{request}");
                peer.say([answer_to(&request).into_bytes(), frame(0x88, b"\x03\xe8")].concat());
                listens(peer)
            }
        },
        app: |app, _| app.options(quick().credentials("u", "p")),
    },
    Row { event: "the end without a close", server: |_, peer| hangs_up(says(peer, "")), app: as_it_is },
    Row { event: "half a frame and the end", server: |_, peer| hangs_up(says(peer, b"\x81\x05He")), app: as_it_is },
    Row {
        event: "a refusal",
        server: |_, peer| answers(peer, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        app: |app, _| app.reconnect(Reconnect::backoff().stop_on_refusal()),
    },
    Row { event: "no HTTP", server: |_, peer| answers(peer, "220 mail.example ESMTP\r\n\r\n"), app: as_it_is },
    Row { event: "a violation", server: |_, peer| listens(says(peer, frame(0x83, "?"))), app: as_it_is },
    Row { event: "text that is none", server: |_, peer| listens(says(peer, frame(0x81, b"\xff"))), app: as_it_is },
    Row {
        event: "a close in on_open, and messages that come nevertheless",
        server: |_, peer| {
            let mut peer = says(peer, frame(0x81, "late").repeat(10));
            assert_eq!(peer.close_code(), 1000);
            peer.say([frame(0x81, "later"), frame(0x88, b"\x03\xe8")].concat());
            listens(peer)
        },
        app: |app, log| {
            let log = log.clone();
            app.on_open(move |app| {
                log.note("open, closes");
                app.close()
            })
        },
    },
    Row {
        event: "a close in on_message that nobody answers",
        server: |_, peer| listens(says(peer, frame(0x81, "1").repeat(3))),
        app: |app, log| {
            let log = log.clone();
            app.on_message(move |app, _| {
                log.note("message, closes");
                app.close_with(CloseCode(4000), "enough")
            })
        },
    },
    Row {
        event: "a stop in on_message",
        server: |_, peer| listens(says(peer, frame(0x81, "1").repeat(3))),
        app: |app, _| app.on_message(|app, _| app.stop()),
    },
    Row {
        event: "errors and panics of callbacks, and the app goes on",
        server: |_, peer| {
            let said = [frame(0x81, "error"), frame(0x81, "panic"), frame(0x81, "fine"), frame(0x88, b"\x03\xe8")];
            listens(says(peer, said.concat()))
        },
        app: |app, log| {
            let log = log.clone();
            app.on_message(move |_, message| match message.as_bytes() {
                b"error" => Err(Error::other("expected by this test")),
                b"panic" => panic!("expected by this test"),
                _ => {
                    log.note("fine");
                    Ok(())
                }
            })
        },
    },
    Row {
        event: "an error of a callback that ends the run",
        server: |_, peer| {
            assert_eq!(says(peer, frame(0x81, "1").repeat(3)).end(), 1011);
            false
        },
        app: |app, _| {
            app.callback_errors(CallbackPolicy::Stop)
                .reconnect(Reconnect::backoff())
                .on_message(|_, _| Err::<(), _>(Error::other("expected by this test")))
        },
    },
    Row {
        event: "a panic of a callback that ends the run",
        server: |_, peer| {
            assert_eq!(says(peer, frame(0x81, "1")).end(), 1011);
            false
        },
        app: |app, _| {
            app.callback_panics(CallbackPolicy::Stop).on_message(|_, _| -> () { panic!("expected by this test") })
        },
    },
    Row {
        event: "three losses and a close of the server",
        server: |number, peer| {
            let peer = says(peer, frame(0x81, number.to_string()));
            if number < 3 {
                return true;
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            listens(peer)
        },
        app: |app, _| app.reconnect(Reconnect::fixed(ms(20)).stop_on_close()),
    },
    Row {
        event: "as many attempts as are allowed",
        server: |number, mut peer| {
            peer.head();
            peer.say("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
            number < 2
        },
        app: |app, _| app.reconnect(Reconnect::fixed(ms(20)).max_attempts(3)),
    },
    Row {
        event: "a connector that panics, fails, and connects",
        server: |_, peer| listens(says(peer, frame(0x88, b"\x03\xe8"))),
        app: |app, log| {
            let log = log.clone();
            app.reconnect(Reconnect::fixed(ms(20)).stop_on_close()).connect_with(move |attempt, options| {
                log.note(format!("attempt {} after {:?}", attempt.number, attempt.last_error.map(ToString::to_string)));
                match attempt.number {
                    1 => panic!("expected by this test"),
                    2 => Err(Error::other("expected by this test")),
                    _ => options.connect(&log.lines()[0]),
                }
            })
        },
    },
];

/// What an app hears from this server, and how its run ends.
fn hears(row: &Row, drive: fn(WebSocketApp<'static>) -> Result<Closed>) -> (Vec<String>, String) {
    let (url, server) = serve_again(row.server);
    let log = Log::default();
    // For those who connect by themselves.
    log.note(&url);
    let app = (row.app)(log.app(&url).options(quick()), &log);
    let outcome = show(&drive(app));
    join(server);
    (log.lines().split_off(1), outcome)
}

#[test]
fn a_loop_calls_back_what_a_thread_does() {
    bounded(60, || {
        for row in ROWS {
            let (on_thread, ended) = hears(row, |mut app| app.run_forever());
            let (on_loop, ended_on_loop) = hears(row, run);
            assert!(!on_thread.is_empty(), "{}", row.event);
            assert_eq!(on_loop, on_thread, "{}", row.event);
            assert_eq!(ended_on_loop, ended, "{}", row.event);
        }
    });
}

#[test]
fn settings_are_looked_at_first() {
    bounded(20, || {
        let mut apps = ManyApps::new().unwrap();
        let refused = [
            ("queue", WebSocketApp::new(nowhere()).queue(10, Overflow::Block)),
            ("ping_timeout", WebSocketApp::new(nowhere()).ping_timeout(Duration::ZERO)),
            ("open_timeout", WebSocketApp::new(nowhere()).options(ConnectOptions::new().open_timeout(Duration::ZERO))),
        ];
        for (option, app) in refused {
            let error = apps.add(app).unwrap_err();
            assert!(matches!(&error, Error::Options(problem) if problem.option == option), "{error:?}");
        }
        assert!(apps.is_empty());
        at_once(|| apps.run().unwrap());
    });
}

#[test]
fn callbacks_may_borrow_and_all_apps_are_driven_by_one_thread() {
    const APPS: usize = 50;
    let _alone = alone();
    bounded(60, || {
        let (url, server) = serve_again(|number, peer| {
            // All connections are open at once.
            thread::spawn(move || {
                let mut peer = says(peer, frame(0x81, "hello"));
                assert_eq!(peer.frame().1, b"hello");
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            number < APPS - 1
        });
        let (heard, this) = (AtomicUsize::new(0), thread::current().id());
        let mut ended = 0;
        let before = settled_descriptors_and_threads();
        {
            let mut apps = ManyApps::new().unwrap();
            apps.on_ended(|_, outcome| {
                assert_eq!(outcome.unwrap().cause, CloseCause::Remote);
                ended += 1;
            });
            for _ in 0..APPS {
                let app = WebSocketApp::new(&url).on_message(|app, message| {
                    assert_eq!(thread::current().id(), this);
                    heard.fetch_add(1, Ordering::Relaxed);
                    app.send(message.as_bytes(), message.kind().into())
                });
                apps.add(app).unwrap();
            }
            assert_eq!(apps.len(), APPS);
            apps.run().unwrap();
        }
        assert_eq!((ended, heard.load(Ordering::Relaxed)), (APPS, APPS));
        join(server);
        assert_back_at(before);
    });
}

#[test]
fn a_panic_of_who_is_told_of_an_end_does_not_end_the_other_apps() {
    let mut ends = 0;
    let mut apps = ManyApps::new().unwrap();
    apps.on_ended(|_, _| {
        ends += 1;
        panic!("a bug");
    });
    for _ in 0..3 {
        apps.add(WebSocketApp::new(nowhere())).unwrap();
    }
    apps.run().unwrap();
    assert!(apps.is_empty());
    drop(apps);
    assert_eq!(ends, 3);
}

#[test]
fn a_server_that_floods_does_not_starve_the_others() {
    bounded(60, || {
        let stop = Arc::new(Barrier::new(2));
        let stopped = Arc::clone(&stop);
        let (flood, flooding) = accepting(move |peer| {
            let _ = peer.repeat(frame(0x82, [7; 1000]), usize::MAX / 2048);
            stopped.wait();
        });
        let (url, quiet) = accepting(|mut peer| {
            let mut worst = Duration::ZERO;
            for number in 0..50_u8 {
                let asked = Instant::now();
                peer.say(frame(0x81, [b'0' + number]));
                assert_eq!(peer.frame().1, [b'0' + number]);
                thread::sleep(ms(2));
                worst = worst.max(asked.elapsed());
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            worst
        });
        let flooded = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&flooded);
        let mut apps = ManyApps::new().unwrap();
        let app = WebSocketApp::new(&flood).on_message(move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let flooding_app = apps.add(app).unwrap();
        let app = WebSocketApp::new(&url)
            .on_message(|app, message| app.send(message.as_bytes(), message.kind().into()))
            .on_close(move |_, _| flooding_app.stop());
        apps.add(app).unwrap();
        apps.run().unwrap();
        let worst = quiet.join();
        assert!(worst < ms(500), "an answer took {worst:?}");
        assert!(flooded.load(Ordering::Relaxed) > 1000);
        stop.wait();
        flooding.join();
    });
}

#[test]
fn an_app_that_is_closed_while_it_waits_for_its_attempt_ends_at_once() {
    bounded(60, || {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = format!("ws://{}/", silent.local_addr().unwrap());
        let mut ended = Vec::new();
        let mut apps = ManyApps::new().unwrap();
        apps.max_openings_per_host(NonZeroUsize::new(4).unwrap());
        let start = Instant::now();
        apps.on_ended(|_, outcome| ended.push((start.elapsed(), outcome)));
        // Four are busy with those before it.
        let handles: Vec<Handle> = (0..5)
            .map(|_| {
                apps.add(WebSocketApp::new(&nobody).options(ConnectOptions::new().open_timeout(ms(2000)))).unwrap()
            })
            .collect();
        let last = handles[4].clone();
        let closing = thread::spawn(move || {
            thread::sleep(ms(100));
            at_once(|| last.close().unwrap());
        });
        apps.run().unwrap();
        join(closing);
        drop(apps);
        let (when, outcome) = &ended[0];
        assert!(*when < ms(1500), "{when:?}");
        assert_eq!(outcome.as_ref().unwrap().cause, CloseCause::Cancelled);
        assert!(ended[1..].iter().all(|(_, outcome)| outcome.as_ref().is_err_and(Error::is_timeout)), "{ended:?}");
    });
}

/// A server that accepts so many connections, each after a while, and keeps them until they are closed.
fn accepting_all(connections: usize, delay: Duration) -> (String, thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let peers: Vec<_> = (0..connections)
            .map(|_| {
                let mut peer = Peer::new(listener.accept().unwrap().0);
                thread::spawn(move || {
                    let request = peer.head();
                    thread::sleep(delay);
                    peer.say(answer_to(&request));
                    peer.rest();
                })
            })
            .collect();
        peers.into_iter().for_each(join);
    });
    (url, server)
}

/// Counts the apps that are open, and closes all when it is so many.
fn closes_at(app: WebSocketApp<'static>, expected: usize, opened: &Arc<Mutex<Vec<Handle>>>) -> WebSocketApp<'static> {
    let opened = Arc::clone(opened);
    app.on_open(move |app| {
        let mut opened = opened.lock().unwrap();
        opened.push(app.clone());
        if opened.len() == expected {
            opened.drain(..).for_each(|app| app.stop());
        }
    })
}

#[test]
fn openings_whose_answers_take_their_time_go_on_at_the_same_time() {
    const APPS: usize = 100;
    bounded(60, || {
        let (url, server) = accepting_all(APPS, ms(100));
        let opened = Arc::default();
        let mut apps = ManyApps::new().unwrap();
        for _ in 0..APPS {
            apps.add(closes_at(WebSocketApp::new(&url), APPS, &opened)).unwrap();
        }
        let start = Instant::now();
        apps.run().unwrap();
        // Four at a time take 2.5 s.
        assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
        join(server);
    });
}

#[test]
fn hosts_that_do_not_answer_hold_up_no_other_host() {
    const APPS: usize = 100;
    bounded(60, || {
        let silent: Vec<_> = (0..20).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let (url, server) = accepting_all(APPS, Duration::ZERO);
        let opened = Arc::default();
        let mut apps = ManyApps::new().unwrap();
        // Many for one host, some for each of the others: not one of them may delay those of the host that answers.
        let dead = iter::repeat_n(&silent[0], 200).chain(&silent);
        let dead: Vec<Handle> = dead
            .map(|silent| apps.add(WebSocketApp::new(format!("ws://{}/", silent.local_addr().unwrap()))).unwrap())
            .collect();
        for _ in 0..APPS {
            apps.add(closes_at(WebSocketApp::new(&url), APPS, &opened)).unwrap();
        }
        let (ended, ends) = mpsc::channel();
        let mut healthy = 0;
        apps.on_ended(move |_, outcome| {
            healthy += usize::from(outcome.is_ok());
            if healthy == APPS && outcome.is_ok() {
                ended.send(Instant::now()).unwrap();
            }
        });
        let start = Instant::now();
        let stopping = thread::spawn(move || {
            let end = ends.recv().unwrap();
            dead.iter().for_each(Handle::stop);
            end
        });
        apps.run().unwrap();
        let took = join(stopping) - start;
        assert!(took < ms(2000), "{took:?}");
        join(server);
    });
}

#[test]
fn what_hangs_in_connect_with_holds_up_no_other_app() {
    const HANGING: usize = 8;
    bounded(60, || {
        let (url, server) = accepting_all(2 * HANGING, Duration::ZERO);
        let release = Arc::new(Barrier::new(HANGING + 1));
        let mut apps = ManyApps::new().unwrap();
        for _ in 0..HANGING {
            let release = Arc::clone(&release);
            let app = WebSocketApp::new(nowhere()).connect_with(move |_, options| {
                release.wait();
                options.connect("ws://127.0.0.1:1/")
            });
            apps.add(app).unwrap();
        }
        let opened = Arc::default();
        for _ in 0..HANGING {
            let app = WebSocketApp::new(&url);
            let url = url.clone();
            apps.add(closes_at(app, 2 * HANGING, &opened)).unwrap();
            let app = WebSocketApp::new("ws://unused.test/").connect_with(move |_, options| options.connect(&url));
            apps.add(closes_at(app, 2 * HANGING, &opened)).unwrap();
        }
        let mut healthy = 0;
        apps.on_ended(move |_, outcome| {
            healthy += usize::from(outcome.is_ok());
            if healthy == 2 * HANGING && outcome.is_ok() {
                release.wait();
            }
        });
        let start = Instant::now();
        apps.run().unwrap();
        assert!(start.elapsed() < ms(2000), "{:?}", start.elapsed());
        join(server);
    });
}

#[test]
fn an_app_that_is_closed_while_connect_with_has_no_thread_for_it_ends_at_once() {
    // As many calls as are made at a time.
    const THREADS: usize = 128;
    bounded(60, || {
        let (url, server) = accepting_all(1, Duration::ZERO);
        let (release, released) = mpsc::channel::<()>();
        let released = Arc::new(Mutex::new(released));
        let hanging = Arc::new(AtomicUsize::new(0));
        let mut apps = ManyApps::new().unwrap();
        for _ in 0..THREADS {
            let (released, hanging) = (Arc::clone(&released), Arc::clone(&hanging));
            let app = WebSocketApp::new("ws://unused.test/").connect_with(move |_, _| {
                hanging.fetch_add(1, Ordering::SeqCst);
                let _ = released.lock().unwrap().recv();
                Err(Error::other("expected by this test"))
            });
            apps.add(app).unwrap();
        }
        let waiting = |name: &'static str| {
            let url = url.clone();
            let app = WebSocketApp::new("ws://unused.test/").connect_with(move |_, options| {
                assert_eq!(name, "kept");
                options.connect(&url)
            });
            app.on_open(Handle::stop)
        };
        let closed = [
            apps.add(waiting("stopped")).unwrap(),
            apps.add(waiting("closed")).unwrap(),
            apps.add(waiting("closed without waiting")).unwrap(),
        ];
        let kept = apps.add(waiting("kept")).unwrap();
        let closing = thread::spawn(move || {
            wait_for("all threads hang", || hanging.load(Ordering::SeqCst) == THREADS);
            at_once(|| closed[0].stop());
            at_once(|| closed[1].close().unwrap());
            at_once(|| closed[2].try_close(CloseCode::NORMAL, "").unwrap());
            for app in &closed {
                let outcome = at_once(|| app.wait_end(ms(5000))).unwrap();
                assert_eq!(outcome.unwrap().cause, CloseCause::Cancelled);
            }
            assert!(kept.wait_end(Duration::ZERO).is_none());
            drop(release);
            assert_eq!(kept.wait_end(ms(5000)).unwrap().unwrap().cause, CloseCause::Aborted);
        });
        apps.run().unwrap();
        join(closing);
        join(server);
    });
}

#[test]
fn connections_that_are_slow_to_make_hold_nobody_up_who_is_open() {
    bounded(60, || {
        let (url, peer) = accepting(|mut peer| {
            for number in 0..20_u8 {
                peer.say(frame(0x81, [b'a' + number]));
                at_once(|| assert_eq!(peer.frame().1, [b'a' + number]));
                thread::sleep(ms(20));
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let mut apps = ManyApps::new().unwrap();
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = format!("ws://{}/", silent.local_addr().unwrap());
        let app =
            WebSocketApp::new(&url).on_message(|app, message| app.send(message.as_bytes(), message.kind().into()));
        apps.add(app).unwrap();
        let slow: Vec<Handle> = (0..8)
            .map(|_| {
                apps.add(WebSocketApp::new(&nobody).options(ConnectOptions::new().open_timeout(ms(10_000)))).unwrap()
            })
            .collect();
        let stops = slow.clone();
        let stopping = thread::spawn(move || {
            peer.join();
            at_once(|| stops.iter().for_each(Handle::stop));
        });
        let start = Instant::now();
        apps.run().unwrap();
        assert!(start.elapsed() < ms(5000), "they were cancelled");
        join(stopping);
        assert!(slow.iter().all(|handle| !handle.is_running()));
    });
}

#[test]
fn a_dead_peer_is_found_out_and_pings_leave_when_they_are_due() {
    bounded(60, || {
        let (url, peer) = accepting(|mut peer| {
            let mut pings = Vec::new();
            while let Some((first, _)) = peer.frame_or_end() {
                assert_eq!(first, 0x89);
                pings.push(Instant::now());
            }
            pings
        });
        let app = WebSocketApp::new(&url).ping_interval(ms(100)).ping_timeout(ms(250));
        let closed = by_deadline(ms(100 + 250 + 100), || run(app)).unwrap_err();
        assert_eq!(closed.close_info().unwrap().cause, CloseCause::PingTimeout);
        let pings = peer.join();
        assert!((3..=4).contains(&pings.len()), "{}", pings.len());

        // One that answers lives, however slow the callbacks of another app are.
        let (url, peer) = accepting(|mut peer| {
            for _ in 0..5 {
                let (first, payload) = peer.frame();
                assert_eq!(first, 0x89);
                peer.say(frame(0x8A, payload));
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let (busy, other) = accepting(|peer| {
            peer.say(frame(0x81, "work"));
            peer.fall_silent();
        });
        let mut outcomes = Vec::new();
        let mut apps = ManyApps::new().unwrap();
        apps.on_ended(|_, outcome| outcomes.push(show(&outcome)));
        let app = WebSocketApp::new(&url).ping_interval(ms(50)).ping_timeout(ms(100));
        let handle = apps.add(app).unwrap();
        apps.add(WebSocketApp::new(&busy).on_message(|_, _| thread::sleep(ms(300)))).unwrap();
        apps.run().unwrap();
        assert_eq!(handle.last_close().unwrap().cause, CloseCause::Remote);
        assert!(handle.statistics().latency.is_some());
        peer.join();
        other.join();
    });
}

#[test]
fn a_slow_callback_is_not_a_dead_peer() {
    bounded(60, || {
        let (begin, begins) = mpsc::channel();
        let (url, peer) = accepting(move |mut peer| {
            begins.recv().unwrap();
            peer.say(frame(0x81, "work"));
            let (first, payload) = peer.frame();
            assert_eq!(first, 0x89);
            thread::sleep(ms(30));
            peer.say([frame(0x8A, payload), frame(0x88, b"\x03\xe8")].concat());
            peer.rest();
        });
        let (busy, other) = accepting(|mut peer| {
            peer.say(frame(0x81, "work"));
            peer.rest();
        });
        let mut apps = ManyApps::new().unwrap();
        let slow = WebSocketApp::new(&url)
            .ping_interval(ms(300))
            .ping_timeout(ms(300))
            .on_message(|_, _| thread::sleep(ms(600)));
        let handle = apps.add(slow).unwrap();
        let slow = handle.clone();
        // In the meantime a message comes for the other app, and its ping becomes due.
        let busy = WebSocketApp::new(&busy).on_message(move |app, _| {
            wait_for("the other app is open", || slow.statistics().connects == 1);
            begin.send(()).unwrap();
            thread::sleep(ms(400));
            app.stop();
        });
        let apart = apps.adder();
        let added = thread::spawn(move || {
            wait_for("the first app is open", || handle.ready());
            apart.add(busy).unwrap();
            handle
        });
        apps.run().unwrap();
        assert_eq!(join(added).last_close().unwrap().cause, CloseCause::Remote);
        peer.join();
        other.join();
    });
}

#[test]
fn pings_leave_while_more_comes_than_callbacks_can_take() {
    bounded(60, || {
        let (url, peer) = accepting(|mut peer| {
            let socket = peer.socket().try_clone().unwrap();
            let flood = thread::spawn(move || Peer::new(socket).repeat(frame(0x82, [7; 1000]), usize::MAX / 2048));
            for _ in 0..5 {
                assert_eq!(peer.frame().0, 0x89);
            }
            peer.socket().shutdown(Shutdown::Both).unwrap();
            join(flood).unwrap_err();
        });
        let app =
            WebSocketApp::new(&url).ping_interval(ms(50)).on_message(|_, _| thread::sleep(Duration::from_micros(100)));
        run(app).unwrap_err();
        peer.join();
    });
}

#[test]
fn a_peer_that_floods_and_takes_nothing_is_given_up() {
    bounded(60, || {
        let (url, peer) = accepting(|peer| drop(peer.repeat(frame(0x82, [7; 1000]), usize::MAX / 2048)));
        let app = WebSocketApp::new(&url)
            .options(ConnectOptions::new().send_timeout(ms(300)))
            .on_open(|app| while app.send_binary(&[1; 100_000]).is_ok() {})
            .on_message(|_, _| thread::sleep(Duration::from_micros(100)));
        let error = by_deadline(ms(2000), || run(app)).unwrap_err();
        assert_eq!(error.close_info().unwrap().cause, CloseCause::Lost(io::ErrorKind::TimedOut));
        peer.join();
    });
}

#[test]
fn a_close_from_another_thread_works_at_any_time() {
    bounded(60, || {
        // Open, and the peer answers.
        let (url, peer) = accepting(Peer::end);
        let (handle, running) = spawn(WebSocketApp::new(&url));
        wait_for("open", || handle.ready());
        by_deadline(ms(1000), || handle.close().unwrap());
        assert_eq!(join(running).unwrap().cause, CloseCause::Local);
        assert_eq!(peer.join(), 1000);

        // Open, and the peer does not.
        let (url, peer) = accepting(|mut peer| peer.rest());
        let (handle, running) = spawn(WebSocketApp::new(&url).options(quick()));
        wait_for("open", || handle.ready());
        by_deadline(ms(200), || handle.close().unwrap());
        by_deadline(ms(100), || assert_eq!(join(running).unwrap().cause, CloseCause::Unanswered));
        peer.join();

        // Connecting.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let (handle, running) = spawn(WebSocketApp::new(format!("ws://{}/", silent.local_addr().unwrap())));
        wait_for("running", || handle.is_running());
        thread::sleep(ms(50));
        at_once(|| handle.close().unwrap());
        at_once(|| assert_eq!(join(running).unwrap().cause, CloseCause::Cancelled));

        // Waiting to connect again.
        let (handle, running) = spawn(WebSocketApp::new(nowhere()).reconnect(Reconnect::fixed(ms(60_000))));
        wait_for("backing off", || handle.has_errored());
        thread::sleep(ms(50));
        at_once(|| handle.close().unwrap());
        at_once(|| assert_eq!(join(running).unwrap().cause, CloseCause::Cancelled));

        // Before it begins.
        let app = WebSocketApp::new(nowhere());
        app.handle().close().unwrap();
        at_once(|| assert_eq!(run(app).unwrap().cause, CloseCause::Cancelled));

        // By the user's own cancellation: no further attempt.
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().cancellation(&cancellation);
        let app = WebSocketApp::new(nowhere()).options(options).reconnect(Reconnect::fixed(ms(60_000)));
        let (handle, running) = spawn(app);
        wait_for("backing off", || handle.has_errored());
        thread::sleep(ms(50));
        cancellation.cancel();
        at_once(|| assert_eq!(join(running).unwrap().cause, CloseCause::Cancelled));
    });
}

#[test]
fn all_apps_are_closed_at_a_time_though_no_server_answers() {
    const APPS: usize = 50;
    bounded(60, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let peers: Vec<_> = (0..APPS)
                .map(|_| {
                    let mut peer = Peer::new(listener.accept().unwrap().0);
                    peer.accept();
                    thread::spawn(move || (peer.close_code(), peer.rest()))
                })
                .collect();
            peers
                .into_iter()
                .for_each(|peer| assert_eq!(join(peer), (4000, Vec::new()), "one Close, and nothing else"));
        });
        let mut apps = ManyApps::new().unwrap();
        let handles: Vec<Handle> =
            (0..APPS).map(|_| apps.add(WebSocketApp::new(&url).options(quick())).unwrap()).collect();
        let closing = thread::spawn(move || {
            assert!(handles.iter().all(|app| app.wait_open(ms(5000))));
            assert!(matches!(handles[0].try_close(CloseCode(1), ""), Err(Error::Usage(_))));
            at_once(|| handles.iter().for_each(|app| app.try_close(CloseCode(4000), "enough").unwrap()));
            by_deadline(ms(200), || {
                for app in &handles {
                    let closed = app.wait_end(ms(5000)).unwrap().unwrap();
                    assert_eq!((closed.cause, closed.code), (CloseCause::Unanswered, CloseCode::ABNORMAL_CLOSURE));
                }
            });
            assert!(
                handles.iter().all(|app| app.try_close(CloseCode::NORMAL, "").is_ok()),
                "there is nothing to close"
            );
        });
        apps.run().unwrap();
        join(closing);
        join(server);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_wakes_an_app_during_a_turn_that_a_wake_has_begun_is_not_lost() {
    bounded(20, || {
        let nobody = BlackHole::new([127, 0, 0, 1].into()).unwrap();
        let url = format!("ws://name.test:{}/", nobody.address.port());
        let (address, handle) = (nobody.address, Arc::new(OnceLock::<Handle>::new()));
        let own = Arc::clone(&handle);
        // The resolver, on its own thread, wakes the app for the turn in which the hook is called.
        let socket = SocketOptions::new().configure(move |_| {
            let handle = own.get().unwrap().clone();
            join(thread::spawn(move || handle.try_close(CloseCode::NORMAL, "").unwrap()));
            Ok(())
        });
        let options = ConnectOptions::new().resolver(move |_, _| Ok(vec![address])).socket(socket);
        let app = WebSocketApp::new(url).options(options.open_timeout(ms(5000)));
        handle.set(app.handle()).unwrap();
        at_once(|| assert_eq!(run(app).unwrap().cause, CloseCause::Cancelled));
    });
}

#[test]
fn a_callback_closes_another_app_without_waiting_and_the_timer_sees_to_the_rest() {
    bounded(60, || {
        let (url, silent) = accepting(|mut peer| peer.rest());
        let (tell, told) = mpsc::channel::<Handle>();
        let (other, peer) = accepting(move |peer| {
            let closed = told.recv().unwrap();
            wait_for("the other app is open", || closed.ready());
            peer.say(frame(0x81, "close the other"));
            peer
        });
        let mut outcomes = Vec::new();
        let mut apps = ManyApps::new().unwrap();
        apps.on_ended(|_, outcome| outcomes.push(show(&outcome)));
        let closed = apps.add(WebSocketApp::new(&url).options(quick())).unwrap();
        let other_app = closed.clone();
        tell.send(closed.clone()).unwrap();
        let app = WebSocketApp::new(&other).on_message(move |app, _| {
            at_once(|| other_app.close().unwrap());
            app.stop();
        });
        let start = Instant::now();
        apps.add(app).unwrap();
        apps.run().unwrap();
        drop(apps);
        assert!(start.elapsed() < ms(1500), "{:?}", start.elapsed());
        assert_eq!(outcomes.len(), 2);
        assert!(!closed.is_running());
        drop(peer.join());
        silent.join();
    });
}

#[test]
fn sending_to_a_peer_that_does_not_read_fails_at_once_and_holds_nobody_up() {
    bounded(60, || {
        let (go, may_read) = mpsc::channel::<usize>();
        let (url, stuck) = accepting(move |mut peer| {
            let sent = may_read.recv().unwrap();
            (0..sent).for_each(|_| assert_eq!(peer.frame().1.len(), 100_000));
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let (other, quiet) = accepting(|mut peer| {
            for _ in 0..20 {
                peer.say(frame(0x81, "?"));
                at_once(|| assert_eq!(peer.frame().1, b"!"));
                thread::sleep(ms(5));
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let mut apps = ManyApps::new().unwrap();
        let app = WebSocketApp::new(&url).on_open(move |app| {
            let mut sent = 0;
            let full = at_once(|| {
                loop {
                    match app.send_binary(&[1; 100_000]) {
                        Ok(_) => sent += 1,
                        Err(error) => break error,
                    }
                }
            });
            assert!(matches!(full, Error::Full), "{full:?}");
            let go = go.clone();
            thread::spawn(move || {
                thread::sleep(ms(300));
                go.send(sent).unwrap();
            });
        });
        let handle = apps.add(app).unwrap();
        apps.add(WebSocketApp::new(&other).on_message(|app, _| app.send_text("!"))).unwrap();
        apps.run().unwrap();
        assert_eq!(handle.last_close().unwrap().cause, CloseCause::Remote);
        quiet.join();
        stuck.join();
    });
}

#[test]
fn a_peer_that_takes_nothing_at_all_is_given_up() {
    bounded(60, || {
        let (done, ended) = mpsc::channel::<()>();
        let (url, stuck) = accepting(move |peer| {
            let _ = ended.recv();
            drop(peer);
        });
        let options = ConnectOptions::new().send_timeout(ms(300));
        let app =
            WebSocketApp::new(&url).options(options).on_open(|app| while app.send_binary(&[1; 100_000]).is_ok() {});
        // The kernel may still find room in between.
        let error = by_deadline(ms(2000), || run(app)).unwrap_err();
        assert_eq!(error.close_info().unwrap().cause, CloseCause::Lost(io::ErrorKind::TimedOut));
        drop(done);
        stuck.join();
    });
}

#[test]
fn a_peer_that_is_slow_to_read_is_not_dead_while_a_ping_waits_behind_what_it_reads() {
    bounded(60, || {
        let (url, slow) = accepting(|mut peer| {
            thread::sleep(ms(500));
            assert_eq!(peer.frame().1.len(), 900_000);
            assert_eq!(peer.frame().0, 0x89);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let options = ConnectOptions::new().socket(SocketOptions::new().send_buffer_size(1));
        let app = WebSocketApp::new(&url)
            .options(options)
            .ping_interval(ms(50))
            .ping_timeout(ms(150))
            .on_open(|app| app.send_binary(&[1; 900_000]));
        assert_eq!(run(app).unwrap().cause, CloseCause::Remote);
        slow.join();
    });
}

#[test]
fn what_is_added_to_a_loop_that_is_over_is_refused_and_what_is_added_before_counts() {
    bounded(20, || {
        let is_refused = |added: Result<Handle>| match added.unwrap_err() {
            Error::Other(error) => assert_eq!(error.downcast_ref(), Some(&AppError::LoopEnded)),
            other => panic!("{other:?}"),
        };
        let ended = AtomicUsize::new(0);
        let mut apps = ManyApps::new().unwrap();
        apps.on_ended(|_, outcome| {
            outcome.unwrap_err();
            ended.fetch_add(1, Ordering::Relaxed);
        });
        let adder = apps.adder();
        let early = adder.add(WebSocketApp::new(nowhere())).unwrap();
        assert!(apps.len() == 1 && early.is_running());
        apps.run().unwrap();
        assert!(apps.is_empty() && !early.is_running());
        assert_eq!(ended.load(Ordering::Relaxed), 1);
        let late = WebSocketApp::new(nowhere());
        let handle = late.handle();
        is_refused(adder.add(late));
        assert!(!handle.is_running());

        // It can be used again, and what nobody takes does not run for ever.
        apps.add(WebSocketApp::new(nowhere())).unwrap();
        apps.run().unwrap();
        assert_eq!(ended.load(Ordering::Relaxed), 2);
        drop(apps);
        is_refused(adder.add(WebSocketApp::new(nowhere())));
        let apps = ManyApps::new().unwrap();
        let forgotten = apps.adder().add(WebSocketApp::new(nowhere())).unwrap();
        drop(apps);
        assert!(!forgotten.is_running());
        assert!(forgotten.wait_end(Duration::ZERO).unwrap().is_err());
    });
}

#[test]
fn apps_are_added_by_callbacks_and_by_other_threads_while_the_loop_runs() {
    bounded(60, || {
        let (url, server) = serve_again(|number, peer| {
            listens(says(peer, frame(0x88, b"\x03\xe8")));
            number < 3
        });
        let opened = Arc::new(AtomicUsize::new(0));
        let mut apps = ManyApps::new().unwrap();
        let adder = apps.adder();
        let count = |opened: &Arc<AtomicUsize>| {
            let opened = Arc::clone(opened);
            move |_: &Handle| {
                opened.fetch_add(1, Ordering::Relaxed);
            }
        };
        let (from_thread, counts) = (adder.clone(), Arc::clone(&opened));
        let second = url.clone();
        let first = WebSocketApp::new(&url).on_open(move |_| {
            let app = WebSocketApp::new(&second).on_open(count(&counts));
            let next = WebSocketApp::new(&second).on_open(count(&counts));
            let last = WebSocketApp::new(&second).on_open(count(&counts));
            adder.add(app).unwrap();
            let from_thread = from_thread.clone();
            join(thread::spawn(move || drop([from_thread.add(next), from_thread.add(last)])));
        });
        apps.add(first).unwrap();
        apps.run().unwrap();
        assert_eq!(opened.load(Ordering::Relaxed), 3);
        join(server);
    });
}

/// Gives a byte at a time, as TLS gives a record, and tells when none is left how many there were.
fn byte_by_byte(below: TcpStream, exhausted: mpsc::Sender<usize>) -> Wrapped {
    let total = AtomicUsize::new(0);
    Wrapped::over(below).on_read(move |below, buf| {
        let read = below.try_read(&mut buf[..1]);
        match &read {
            Ok(length) => drop(total.fetch_add(*length, Ordering::Relaxed)),
            Err(_) => drop(exhausted.send(total.load(Ordering::Relaxed))),
        }
        read
    })
}

#[test]
fn an_opening_that_has_used_up_its_turn_is_waited_for_again() {
    bounded(20, || {
        // A step reads 64 times. What follows is at hand, or comes later.
        for first in [usize::MAX, 100] {
            let (exhausted, has_read) = mpsc::channel();
            let (url, peer) = support::serve(move |mut peer| {
                let answer = answer_to(&peer.head());
                let (now, later) = answer.split_at(first.min(answer.len()));
                peer.say(now);
                while has_read.recv().unwrap() < now.len() {}
                peer.say(later);
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
            let options = ConnectOptions::new()
                .dial_with(move |_| Ok(byte_by_byte(TcpStream::connect(&address)?, exhausted.clone())));
            assert_eq!(run(WebSocketApp::new(&url).options(options)).unwrap().cause, CloseCause::Remote);
            peer.join();
        }
    });
}

#[cfg(unix)]
#[test]
fn a_socket_in_the_file_system_that_does_not_answer_holds_up_no_other() {
    bounded(20, || {
        let listen = |name: &str| {
            let name = format!("websocket-sync-many-apps-{}-{name}.socket", std::process::id());
            let path = std::env::temp_dir().join(name);
            let listener = UnixListener::bind(&path).unwrap();
            (format!("ws+unix://{}", path.display()), listener, path)
        };
        let (nobody, _silent, silent_path) = listen("silent");
        let (url, listener, path) = listen("alive");
        let server = thread::spawn(move || {
            let mut peer = Peer::new(listener.accept().unwrap().0);
            peer.accept();
            peer.end()
        });
        let mut apps = ManyApps::new().unwrap();
        apps.max_openings_per_host(NonZeroUsize::MIN);
        let waiting = apps.add(WebSocketApp::new(&nobody).options(quick())).unwrap();
        let stop = waiting.clone();
        let app = WebSocketApp::new(&url).options(quick()).on_open(move |app| {
            stop.stop();
            app.close()
        });
        apps.add(app).unwrap();
        apps.run().unwrap();
        [path, silent_path].into_iter().for_each(|path| std::fs::remove_file(path).unwrap());
        assert_eq!(waiting.wait_end(Duration::ZERO).unwrap().unwrap().cause, CloseCause::Cancelled);
        assert_eq!(join(server), 1000);
    });
}

/// Closes an app once it is open and the other has ended.
fn close_behind(app: &Handle, other: &Handle) {
    assert!(app.wait_open(Duration::from_secs(5)));
    assert!(other.wait_end(Duration::from_secs(5)).is_some());
    app.close().unwrap();
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        assert!(thread::panicking(), "expected by this test");
    }
}

#[test]
fn a_stream_that_panics_when_it_is_dropped_ends_no_other_app() {
    bounded(20, || {
        // The connection ends in its first turn, or while its socket is registered.
        for registered in [false, true] {
            let (url, peer) = accepting(move |mut peer| {
                if registered {
                    assert_eq!(peer.frame().1, b"open");
                }
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            let (other, quiet) = accepting(Peer::end);
            let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
            let options = quick().dial_with(move |_| {
                let on_drop = PanicsOnDrop;
                let transport = Wrapped::over(TcpStream::connect(&address)?);
                Ok(transport.on_read(move |below, buf| {
                    let _captured = &on_drop;
                    below.try_read(buf)
                }))
            });
            let log = Log::default();
            let ends = log.clone();
            let mut apps = ManyApps::new().unwrap();
            let bystander = apps.add(WebSocketApp::new(&other)).unwrap();
            apps.on_ended(|_, outcome| drop(outcome.unwrap()));
            let app = log.app(&url).options(options).on_open(|app| app.send_text("open").map(drop));
            let handle = apps.add(app.on_end(move |_, _| ends.note("end"))).unwrap();
            let closing = thread::spawn(move || close_behind(&bystander, &handle));
            apps.run().unwrap();
            join(closing);
            assert_eq!(log.lines(), ["close 1000 \"\" Remote", "end"]);
            peer.join();
            assert_eq!(quiet.join(), 1000);
        }
    });
}

#[test]
fn a_stream_that_panics_is_lost_and_no_other_app_with_it() {
    bounded(20, || {
        let (url, server) = serve_again(|number, peer| {
            let mut peer = says(peer, frame(0x81, number.to_string()));
            if number == 1 {
                peer.say(frame(0x88, b"\x03\xe8"));
            }
            peer.rest();
            number == 0
        });
        let (other, quiet) = accepting(Peer::end);
        let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let panics = Arc::new(AtomicBool::new(false));
        let armed = Arc::clone(&panics);
        let options = quick().dial_with(move |_| {
            let is_due = Arc::clone(&panics);
            let transport = Wrapped::over(TcpStream::connect(&address)?);
            Ok(transport.on_read(move |below, buf| {
                assert!(!is_due.swap(false, Ordering::SeqCst), "expected by this test");
                below.try_read(buf)
            }))
        });
        let log = Log::default();
        let mut apps = ManyApps::new().unwrap();
        let bystander = apps.add(WebSocketApp::new(&other)).unwrap();
        let app = log.app(&url).options(options).reconnect(Reconnect::fixed(ms(20)).stop_on_close());
        let app = app.on_message(move |_, message| {
            if message.as_bytes() == b"0" {
                armed.store(true, Ordering::SeqCst);
            }
        });
        let handle = apps.add(app).unwrap();
        let closing = thread::spawn(move || close_behind(&bystander, &handle));
        apps.run().unwrap();
        join(closing);
        let expected = [
            "open",
            "data 0 text true",
            "error a Transport panicked: expected by this test",
            "close 1006 \"\" lost: Other, again",
            "reconnect",
            "data 1 text true",
            "close 1000 \"\" Remote",
        ];
        assert_eq!(log.lines(), expected);
        join(server);
        assert_eq!(quiet.join(), 1000);
    });
}

/// As one does that has a `Mutex` which the first panic has poisoned.
#[test]
fn a_stream_that_goes_on_to_panic_is_lost_and_not_the_process() {
    bounded(20, || {
        let (url, peer) = accepting(|mut peer| {
            peer.say(frame(0x81, "now"));
            peer.rest();
        });
        let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let armed = Arc::new(AtomicBool::new(false));
        let panics = Arc::clone(&armed);
        let options = quick().dial_with(move |_| {
            let (reads, shuts) = (Arc::clone(&panics), Arc::clone(&panics));
            let transport = Wrapped::over(TcpStream::connect(&address)?);
            let transport = transport.on_read(move |below, buf| {
                assert!(!reads.load(Ordering::SeqCst), "expected by this test");
                below.try_read(buf)
            });
            Ok(transport.on_shutdown(move |below, how| {
                assert!(!shuts.load(Ordering::SeqCst), "expected by this test, again");
                below.shutdown(how)
            }))
        });
        let app = WebSocketApp::new(url).options(options).on_message(move |_, _| armed.store(true, Ordering::SeqCst));
        let error = run(app).unwrap_err();
        assert_eq!(error.to_string(), "a Transport panicked: expected by this test");
        peer.join();
    });
}

#[test]
fn a_provider_that_hangs_keeps_one_thread_however_often_its_app_tries() {
    bounded(20, || {
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let calls = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&calls);
        let options = ConnectOptions::new().open_timeout(ms(50)).header_provider(move || {
            counts.fetch_add(1, Ordering::SeqCst);
            let _ = released.lock().unwrap().recv();
            Ok(Vec::new())
        });
        let app = WebSocketApp::new(nowhere()).options(options).reconnect(Reconnect::fixed(ms(10)).max_attempts(5));
        let error = run(app).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        drop(release);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn each_of_many_hosts_has_its_turn_where_one_opening_is_allowed() {
    const HOSTS: usize = 1100;
    bounded(60, || {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            for _ in 0..HOSTS {
                let mut peer = Peer::new(listener.accept().unwrap().0);
                peer.accept();
                peer.rest();
            }
        });
        let mut ended = 0;
        let mut apps = ManyApps::new().unwrap();
        apps.max_openings(NonZeroUsize::MIN);
        apps.max_openings_per_host(NonZeroUsize::MIN);
        apps.on_ended(|_, outcome| {
            outcome.unwrap();
            ended += 1;
        });
        for host in 0..HOSTS {
            let url = format!("ws://127.1.{}.{}:{port}/", host / 250, host % 250 + 1);
            apps.add(WebSocketApp::new(url).on_open(Handle::stop)).unwrap();
        }
        apps.run().unwrap();
        drop(apps);
        assert_eq!(ended, HOSTS);
        join(server);
    });
}

/// Options of which this hook does something before it fails.
type WithHook = fn(ConnectOptions, Arc<dyn Fn() + Send + Sync>) -> ConnectOptions;

const HOOKS: [(&str, WithHook); 4] = [
    ("header_provider", |options, act| {
        options.header_provider(move || {
            act();
            Err(Error::other("expected by this test"))
        })
    }),
    ("resolver", |options, act| {
        options.resolver(move |_, _| {
            act();
            Err(io::Error::other("expected by this test"))
        })
    }),
    ("dial_with", |options, act| {
        options.dial_with(move |_| -> io::Result<TcpStream> {
            act();
            Err(io::Error::other("expected by this test"))
        })
    }),
    ("configure", |options, act| {
        let socket = SocketOptions::new().configure(move |_| {
            act();
            Err(io::Error::other("expected by this test"))
        });
        options.resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()])).socket(socket)
    }),
];

#[test]
fn hooks_may_end_their_app_and_add_others_and_their_panics_end_one_attempt() {
    bounded(20, || {
        for (hook, with_hook) in HOOKS {
            let mut apps = ManyApps::new().unwrap();
            let adder = apps.adder();
            let panics = with_hook(quick(), Arc::new(|| panic!("expected by this test")));
            let second =
                WebSocketApp::new("ws://host.test/").options(panics).reconnect(Reconnect::fixed(ms(1)).max_attempts(2));
            let errors = Arc::new(Mutex::new(Vec::new()));
            let noted = Arc::clone(&errors);
            let second =
                Mutex::new(Some(second.on_error(move |_, error| noted.lock().unwrap().push(error.to_string()))));
            let handle = Arc::new(OnceLock::<Handle>::new());
            let own = Arc::clone(&handle);
            let ends = with_hook(
                quick(),
                Arc::new(move || {
                    // In this order: a loop without an app is over, and takes none.
                    adder.add(second.lock().unwrap().take().unwrap()).unwrap();
                    own.get().unwrap().close().unwrap();
                }),
            );
            let app = WebSocketApp::new("ws://host.test/").options(ends).reconnect(Reconnect::fixed(ms(60_000)));
            handle.set(app.handle()).unwrap();
            apps.add(app).unwrap();
            by_deadline(ms(1000), || apps.run().unwrap());
            let outcome = handle.get().unwrap().wait_end(Duration::ZERO).unwrap();
            assert_eq!(outcome.unwrap().cause, CloseCause::Cancelled, "{hook}");
            let panicked = "a hook of the options panicked: expected by this test";
            assert_eq!(*errors.lock().unwrap(), [panicked; 2], "{hook}");
        }
    });
}

#[test]
fn a_users_cancellation_ends_an_app_that_waits_for_its_opening() {
    bounded(20, || {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = format!("ws://{}/", silent.local_addr().unwrap());
        let cancellation = Cancellation::new();
        let mut apps = ManyApps::new().unwrap();
        apps.max_openings(NonZeroUsize::MIN);
        let first = apps.add(WebSocketApp::new(&nobody)).unwrap();
        let options = ConnectOptions::new().cancellation(&cancellation);
        let waiting = apps.add(WebSocketApp::new(&nobody).options(options)).unwrap();
        let cancelling = thread::spawn(move || {
            // The loop runs: the other app has connected.
            drop(silent.accept().unwrap());
            cancellation.cancel();
            let outcome = waiting.wait_end(Duration::from_secs(5)).unwrap();
            assert_eq!(outcome.unwrap().cause, CloseCause::Cancelled);
            first.stop();
        });
        apps.run().unwrap();
        join(cancelling);
    });
}

#[test]
fn a_stream_that_cannot_be_waited_for_is_refused_and_told_so() {
    bounded(60, || {
        let (url, peer) = accepting(Peer::end);
        let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let app = WebSocketApp::new(&url).options(quick()).connect_with(move |_, options| {
            let stream = TcpStream::connect(&address).unwrap();
            let mut ws = WebSocket::with_options(options);
            ws.connect_over(Wrapped::over(stream).without_descriptor(), "ws://peer/")?;
            Ok(ws)
        });
        let error = run(app).unwrap_err();
        assert!(matches!(&error, Error::Options(problem) if problem.option == "connect_with"), "{error:?}");
        assert_eq!(peer.join(), 1011);

        let (url, peer) = accepting(Peer::end);
        let address = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
        let options = quick().dial_with(move |_| Ok(Wrapped::over(TcpStream::connect(&address)?).without_descriptor()));
        let error = run(WebSocketApp::new(&url).options(options)).unwrap_err();
        assert!(matches!(&error, Error::Options(problem) if problem.option == "dial_with"), "{error:?}");
        assert_eq!(peer.join(), 1011);
    });
}

#[test]
fn over_tls_nothing_is_left_lying_in_its_buffers() {
    bounded(60, || {
        let authority = tls_peer::Authority::new();
        let config = authority.server("localhost");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let socket = listener.accept().unwrap().0;
            let mut ws = TlsWebSocket::accept(tls_peer::accept(config, socket).unwrap()).unwrap();
            for round in 0..20 {
                for size in [1, 1000, 20_000, 100_000] {
                    ws.send_binary(&vec![round; size]);
                }
                assert_eq!(ws.message().unwrap().1.len(), 121_001);
            }
            ws.close();
        });
        let options = ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem(authority.pem.as_bytes()));
        let options = options.resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]));
        let mut sum = 0;
        let app = WebSocketApp::new(&url).options(options).on_message(|app, message: MessageRef<'_>| {
            sum += message.as_bytes().len();
            if sum == 121_001 {
                app.send_binary(&vec![0; std::mem::take(&mut sum)])?;
            }
            Ok::<(), Error>(())
        });
        assert_eq!(run(app).unwrap().cause, CloseCause::Remote);
        join(server);
    });
}

#[test]
fn what_many_apps_do_at_once_comes_to_an_end() {
    let _alone = alone();
    bounded(60, || {
        let (url, server) = serve_again(|number, mut peer| {
            thread::spawn(move || {
                peer.accept();
                match number % 4 {
                    0 => drop(peer),
                    1 => peer.reset(),
                    2 => {
                        let _ = peer.try_say([frame(0x81, "x"), frame(0x88, b"\x03\xe8")].concat());
                        peer.rest();
                    }
                    _ => drop(peer.rest()),
                }
            });
            number < 399
        });
        let mut apps = ManyApps::new().unwrap();
        let handles: Vec<Handle> = iter::repeat_with(|| {
            let options = ConnectOptions::new().close_timeout(ms(100));
            let app = WebSocketApp::new(&url)
                .options(options)
                .reconnect(Reconnect::backoff().base(ms(20)).cap(ms(100)).floor(ms(1)));
            apps.add(app).unwrap()
        })
        .take(100)
        .collect();
        let stops = handles.clone();
        let stopping = thread::spawn(move || {
            join(server);
            stops.iter().enumerate().for_each(|(number, handle)| match number % 2 {
                0 => handle.stop(),
                _ => handle.close().unwrap(),
            });
        });
        apps.run().unwrap();
        join(stopping);
        assert!(handles.iter().all(|handle| !handle.is_running()));
    });
}

#[test]
fn whatever_races_against_a_loop_it_ends_and_each_opening_has_one_close() {
    const ROUNDS: usize = 100;
    const APPS: usize = 5;
    let _alone = alone();
    bounded(120, || {
        for manners in [Manners::Polite, Manners::Rude] {
            let (url, seed) = races::serve(manners);
            for round in 0..ROUNDS {
                let mut apps = ManyApps::new().unwrap();
                let (mut counts, mut others) = (Vec::new(), Vec::new());
                for _ in 0..APPS {
                    let (app, count) = races::app(&url, manners, &seed);
                    counts.push(count);
                    others.extend(races::interfere(&apps.add(app).unwrap(), &seed));
                }
                // Among the polite there is nothing but what wakes it that keeps the loop going.
                by_deadline(ms(2000), || apps.run().unwrap());
                others.into_iter().for_each(join);
                for count in counts {
                    assert_eq!(count.closed(), count.opened().max(1), "round {round}, {manners:?}");
                }
            }
        }
    });
}

#[test]
fn an_end_behind_the_last_message_is_seen_at_once_whether_it_came_with_it_or_after_it() {
    const APPS: usize = 200;

    bounded(20, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            thread::spawn(move || {
                peer.say(frame(0x81, "hello"));
                if number % 2 == 1 {
                    thread::sleep(ms(50));
                }
                peer.say(frame(0x81, "the last"));
                // The end, without a Close.
                drop(peer);
            });
            number + 1 < APPS
        });
        let mut apps = ManyApps::new().unwrap();
        let messages = Arc::new(AtomicUsize::new(0));
        let lost = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lost);
        apps.on_ended(move |_, outcome| {
            assert!(matches!(support::closed(outcome).cause, CloseCause::Lost(_)));
            counted.fetch_add(1, Ordering::SeqCst);
        });
        for _ in 0..APPS {
            let messages = Arc::clone(&messages);
            let app = WebSocketApp::new(&url).options(quick()).on_message(move |_, _| {
                messages.fetch_add(1, Ordering::SeqCst);
            });
            apps.add(app).unwrap();
        }
        let start = Instant::now();
        apps.run().unwrap();
        let passed = start.elapsed();
        assert_eq!((messages.load(Ordering::SeqCst), lost.load(Ordering::SeqCst)), (2 * APPS, APPS));
        assert!(passed < ms(5000), "{passed:?}");
        join(server);
    });
}
