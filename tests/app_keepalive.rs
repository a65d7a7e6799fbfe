//! WebSocketApp: pings, pongs, and peers that fall silent.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use app_support::{Log, serve_again};
use support::cases::Cases;
use support::{Peer, bounded, by_deadline, frame, ms, timed};
use websocket_sync::{
    CloseCause, ConnectOptions, Error, HalfDuplex, Proxy, Reconnect, Result, TlsOptions, WebSocketApp,
};

fn accepting<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, support::Script<T>) {
    support::serve(|mut peer| {
        peer.accept();
        script(peer)
    })
}

/// A peer that answers so many pings, then does something else.
fn answer_pings(peer: &mut Peer, pings: usize) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    for _ in 0..pings {
        let (first, payload) = peer.frame();
        assert_eq!(first, 0x89);
        peer.say(frame(0x8A, &payload));
        payloads.push(payload);
    }
    payloads
}

#[track_caller]
fn is_ping_timeout<T: std::fmt::Debug>(ended: Result<T>) {
    assert_eq!(support::closed(ended).cause, CloseCause::PingTimeout);
}

#[test]
fn pings_leave_every_interval_and_their_latency_is_known() {
    bounded(20, || {
        let (url, peer) = accepting(|mut peer| {
            let mut payloads = Vec::new();
            let mut times = Vec::new();
            for _ in 0..5 {
                payloads.extend(answer_pings(&mut peer, 1));
                times.push(Instant::now());
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            (payloads, times)
        });
        let log = Log::default();
        let opened = Instant::now();
        let mut app = log.app(&url).ping_interval(ms(100)).ping_timeout(ms(1000));
        app.run_forever().unwrap();
        let (payloads, times) = peer.join();
        for (number, (payload, time)) in (1..).zip(payloads.iter().zip(times)) {
            assert_eq!(*payload, (number as u64).to_be_bytes());
            let (due, came) = (ms(100) * number, time - opened);
            assert!(came + ms(5) > due && came < due + ms(90), "ping {number} came after {came:?}");
        }
        let statistics = app.handle().statistics();
        let latency = statistics.latency.unwrap();
        assert!(latency.min <= latency.mean && latency.mean <= latency.p99 && latency.p99 < ms(90), "{latency:?}");
        assert!(statistics.last_ping.unwrap() <= statistics.last_pong.unwrap());
        assert_eq!(log.count("pong"), 5);
    });
}

#[test]
fn a_payload_of_the_users_is_sent_as_it_is() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| {
            let payloads = answer_pings(&mut peer, 2);
            peer.say(frame(0x88, b"\x03\xe8"));
            payloads
        });
        let mut app = WebSocketApp::new(url).ping_interval(ms(20)).ping_payload("still here");
        app.run_forever().unwrap();
        assert_eq!(peer.join(), [b"still here", b"still here"]);
        assert!(app.handle().statistics().latency.is_some());
    });
}

/// One thread sends the pings of all apps: it must not wait for a stream that can do one thing at a time.
#[test]
fn an_app_over_a_half_duplex_stream_keeps_no_other_app_from_its_pings() {
    bounded(20, || {
        let (slow_url, slow) = accepting(|mut peer| peer.rest());
        let (url, peer) = accepting(|mut peer| {
            answer_pings(&mut peer, 5);
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
        });
        let (opens, open) = mpsc::channel();
        let app = WebSocketApp::new(slow_url.clone())
            .connect_with(move |_, options| {
                let stream = TcpStream::connect(slow_url.strip_prefix("ws://").unwrap().trim_end_matches('/'))?;
                options.connect_over(HalfDuplex::new(stream), &slow_url)
            })
            .on_open(move |_| opens.send(()).unwrap())
            .ping_interval(ms(20))
            .spawn()
            .unwrap();
        open.recv().unwrap();
        thread::sleep(ms(100));
        WebSocketApp::new(url).ping_interval(ms(20)).run_forever().unwrap();
        peer.join();
        app.handle().stop();
        drop((app, slow));
    });
}

#[test]
fn nothing_is_pinged_unless_asked_for() {
    bounded(10, || {
        for interval in [None, Some(Duration::ZERO)] {
            let (url, peer) = accepting(|mut peer| {
                thread::sleep(ms(100));
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.frame().0
            });
            let app = WebSocketApp::new(url).ping_timeout(ms(10));
            let mut app = if let Some(interval) = interval { app.ping_interval(interval) } else { app };
            app.run_forever().unwrap();
            assert_eq!(peer.join(), 0x88, "not a ping");
        }
    });
}

#[test]
fn a_peer_that_falls_silent_is_found_out_within_interval_and_timeout() {
    let mut cases = Cases::new();
    // The timeout may be longer than the interval.
    for (interval, timeout) in [(200, 100), (100, 200), (60, 250)] {
        for answered in [0, 1, 3] {
            cases.add(format!("interval {interval}, timeout {timeout}, answered {answered}"), move || {
                let (url, peer) = accepting(move |mut peer| {
                    answer_pings(&mut peer, answered);
                    let silent = Instant::now();
                    peer.rest();
                    silent
                });
                let app = WebSocketApp::new(url).ping_interval(ms(interval)).ping_timeout(ms(timeout));
                is_ping_timeout({ app }.run_forever());
                let found_out = Instant::now();
                let took = found_out - peer.join();
                let latest = ms(interval + timeout + 100);
                assert!(took < latest, "{took:?}");
                assert!(took + ms(20) > ms(timeout), "too early: {took:?}");
            });
        }
    }
    cases.run(30);
}

#[test]
fn a_peer_that_takes_nothing_is_found_out_as_soon_while_others_send_to_it() {
    let mut cases = Cases::new();
    // A timeout that is longer than the interval, too: pings wait behind each other then.
    for timeout in [100, 500] {
        cases.add(format!("timeout {timeout}"), move || {
            let (leave, left) = mpsc::channel::<()>();
            let (url, peer) = accepting(move |_peer| left.recv().is_err());
            let app = WebSocketApp::new(url).ping_interval(ms(200)).ping_timeout(ms(timeout)).spawn().unwrap();
            let handle = app.handle();
            let sending = thread::spawn(move || {
                while !handle.ready() {
                    thread::yield_now();
                }
                while handle.send_binary(&[0; 1000]).is_ok() {}
            });
            // The first ping may have left before there was no room any more, and then the next one waits.
            is_ping_timeout(by_deadline(ms(200 + 200 + timeout), || app.join()));
            support::join(sending);
            drop(leave);
            assert!(peer.join());
        });
    }
    cases.run(30);
}

#[test]
fn a_peer_that_says_anything_is_alive() {
    bounded(10, || {
        let (url, peer) = accepting(|peer| {
            // A message that is longer than the timeout on its way, and no pong.
            peer.drip(frame(0x81, [b'x'; 30]), ms(20));
            peer.say(frame(0x88, b"\x03\xe8"));
        });
        let log = Log::default();
        let closed = log.app(&url).ping_interval(ms(50)).ping_timeout(ms(150)).run_forever().unwrap();
        peer.join();
        assert_eq!((closed.cause, log.count("message")), (CloseCause::Remote, 1));
    });
}

#[test]
fn a_part_of_a_tls_record_is_a_sign_of_life() {
    bounded(20, || {
        let authority = tls_peer::Authority::new();
        let config = authority.server("localhost");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let mut peer = tls_peer::accept(config, listener.accept().unwrap().0).unwrap();
            let mut head = [0; 2048];
            let length = peer.read(&mut head).unwrap();
            peer.write_all(support::answer_to(std::str::from_utf8(&head[..length]).unwrap()).as_bytes()).unwrap();
            // One record, byte by byte, for far longer than the timeout.
            let message = [frame(0x81, "slow"), frame(0x88, b"\x03\xe8")].concat();
            peer.conn.writer().write_all(&message).unwrap();
            let mut record = Vec::new();
            peer.conn.write_tls(&mut record).unwrap();
            for byte in record {
                thread::sleep(ms(15));
                peer.sock.write_all(&[byte]).unwrap();
            }
            // Until the client is gone.
            while peer.read(&mut head).is_ok_and(|length| length > 0) {}
        });
        let options = ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem(authority.pem));
        let log = Log::default();
        let app = log.app(&url).options(options).ping_interval(ms(50)).ping_timeout(ms(150));
        assert_eq!({ app }.run_forever().unwrap().cause, CloseCause::Remote);
        assert_eq!(log.count("message slow"), 1);
        support::join(server);
    });
}

/// TLS with the server inside of TLS with a proxy.
#[test]
fn a_part_of_a_proxys_tls_record_is_a_sign_of_life() {
    bounded(20, || {
        let authority = tls_peer::Authority::new();
        let (outer, inner) = (authority.server("localhost"), authority.server("server.example"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let server = thread::spawn(move || {
            let mut peer = tls_peer::accept(outer, listener.accept().unwrap().0).unwrap();
            let mut head = [0; 2048];
            assert!(peer.read(&mut head).unwrap() > 0);
            peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            let mut peer = tls_peer::accept(inner, peer).unwrap();
            let length = peer.read(&mut head).unwrap();
            peer.write_all(support::answer_to(std::str::from_utf8(&head[..length]).unwrap()).as_bytes()).unwrap();
            peer.flush().unwrap();
            let message = [frame(0x81, "slow"), frame(0x88, b"\x03\xe8")].concat();
            let (mut within, mut record) = (Vec::new(), Vec::new());
            peer.conn.writer().write_all(&message).unwrap();
            peer.conn.write_tls(&mut within).unwrap();
            peer.sock.conn.writer().write_all(&within).unwrap();
            peer.sock.conn.write_tls(&mut record).unwrap();
            for byte in record {
                thread::sleep(ms(10));
                peer.sock.sock.write_all(&[byte]).unwrap();
            }
            while peer.read(&mut head).is_ok_and(|length| length > 0) {}
        });
        let tls = TlsOptions::new().ca_certs_pem(authority.pem);
        let options = ConnectOptions::new().tls(tls.clone()).proxy(Proxy::new(proxy).tls(tls));
        let log = Log::default();
        let app = log.app("wss://server.example/").options(options).ping_interval(ms(50)).ping_timeout(ms(150));
        assert_eq!({ app }.run_forever().unwrap().cause, CloseCause::Remote);
        assert_eq!(log.count("message slow"), 1);
        support::join(server);
    });
}

#[test]
fn a_slow_callback_is_not_a_dead_peer_and_does_not_delay_pings() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| {
            peer.say(frame(0x81, "slow"));
            let (pings, took) = timed(|| answer_pings(&mut peer, 5));
            peer.say(frame(0x88, b"\x03\xe8"));
            (pings.len(), took)
        });
        let mut app =
            WebSocketApp::new(url).ping_interval(ms(50)).ping_timeout(ms(50)).on_message(|_, _| thread::sleep(ms(600)));
        assert_eq!(app.run_forever().unwrap().cause, CloseCause::Remote);
        let (pings, took) = peer.join();
        assert!(pings == 5 && took < ms(400), "{pings} pings in {took:?}");
    });
}

#[test]
fn a_peer_that_dies_while_a_callback_is_busy_is_found_out_afterwards() {
    bounded(10, || {
        let (returned, when) = mpsc::channel();
        let (url, peer) = accepting(|mut peer| {
            peer.say(frame(0x81, "slow"));
            peer.rest();
        });
        let mut app = WebSocketApp::new(url).ping_interval(ms(50)).ping_timeout(ms(100)).on_message(move |_, _| {
            thread::sleep(ms(300));
            returned.send(Instant::now()).unwrap();
        });
        is_ping_timeout(app.run_forever());
        let took = when.recv().unwrap().elapsed();
        assert!(took + ms(5) > ms(100) && took < ms(250), "{took:?}");
        drop(app);
        peer.join();
    });
}

#[test]
fn a_large_message_that_makes_progress_keeps_the_connection() {
    const LENGTH: usize = 60_000;
    bounded(20, || {
        let (ours, theirs) = support::narrow_with_room_for(16 * 1024);
        let (socket, sockets) = (
            std::sync::Mutex::new(Some(ours)),
            thread::spawn(move || {
                let mut peer = Peer::new(theirs);
                peer.accept();
                // Reads slowly, and hears no ping in the meantime.
                let mut length = 0;
                while length < LENGTH {
                    let mut piece = [0; 1024];
                    thread::sleep(ms(20));
                    length += Read::read(&mut &*peer.socket(), &mut piece).unwrap();
                }
                peer
            }),
        );
        let (sent, ended) = mpsc::channel();
        let app = WebSocketApp::new("ws://peer/")
            .connect_with(move |_, options| options.connect_over(socket.lock().unwrap().take().unwrap(), "ws://peer/"))
            .ping_interval(ms(200))
            .ping_timeout(ms(60))
            .on_open(move |app| {
                let (app, sent) = (app.clone(), sent.clone());
                thread::spawn(move || {
                    // A ping is on its way, and will not be answered.
                    while app.statistics().last_ping.is_none() {
                        thread::sleep(ms(1));
                    }
                    let result = timed(|| app.send_binary(&vec![0; LENGTH]));
                    app.stop();
                    sent.send(result).unwrap();
                });
            });
        let closed = { app }.run_forever().unwrap();
        let (length, took) = ended.recv().unwrap();
        assert!(length.is_ok() && took > ms(300), "{length:?} after {took:?}");
        assert_eq!(closed.cause, CloseCause::Aborted);
        drop(support::join(sockets));
    });
}

#[test]
fn each_connection_has_a_keepalive_of_its_own() {
    bounded(20, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            if number < 3 {
                // Falls silent.
                thread::spawn(move || peer.rest());
                return true;
            }
            let numbers = answer_pings(&mut peer, 1);
            assert_eq!(numbers, [1u64.to_be_bytes()]);
            peer.end();
            false
        });
        let log = Log::default();
        let app = log.app(&url).ping_interval(ms(60)).ping_timeout(ms(60)).reconnect(Reconnect::fixed(ms(10)));
        let mut app = app.on_pong(|app, _| app.close());
        let closed = by_deadline(ms(700), || app.run_forever()).unwrap();
        support::join(server);
        assert_eq!(closed.cause, CloseCause::Local);
        assert_eq!(log.count("error no answer to a ping"), 3);
        assert_eq!(log.count("close 1006 \"\" PingTimeout, again"), 3);
    });
}

#[test]
fn a_dead_peer_does_not_keep_a_run_from_ending() {
    bounded(10, || {
        let (url, peer) = accepting(|mut peer| drop(peer.rest()));
        let options = ConnectOptions::new().close_timeout(ms(200));
        let app =
            WebSocketApp::new(url).options(options).ping_interval(ms(20)).ping_timeout(ms(10_000)).spawn().unwrap();
        thread::sleep(ms(100));
        by_deadline(ms(200), || app.handle().close()).unwrap();
        let ended = support::at_once(|| app.join()).unwrap();
        assert!(matches!(ended.cause, CloseCause::Unanswered | CloseCause::Local), "{ended:?}");
        peer.join();
    });
}

#[test]
fn a_ping_timeout_is_retryable() {
    let (url, peer) = accepting(|mut peer| drop(peer.rest()));
    let error = WebSocketApp::new(url).ping_interval(ms(20)).ping_timeout(ms(20)).run_forever().unwrap_err();
    peer.join();
    assert!(error.is_retryable() && matches!(error, Error::Closed(_)), "{error:?}");
}

/// The variable that tells the other process where to connect.
#[cfg(unix)]
const URL: &str = "TESTED_URL";

#[test]
#[cfg(unix)]
#[ignore = "it is run by the other one"]
fn stays_connected_to_what_its_environment_names() {
    let Ok(url) = std::env::var(URL) else { return };
    let ended = WebSocketApp::new(url).ping_interval(ms(50)).ping_timeout(ms(300)).run_forever();
    assert_eq!(ended.unwrap().cause, CloseCause::Remote);
}

#[test]
#[cfg(unix)]
fn a_process_that_was_stopped_does_not_take_its_peer_for_dead() {
    use rustix::process::{Pid, Signal, kill_process};

    let mut cases = Cases::new();
    for process in ["one process", "another"] {
        cases.add(process, || {
            let (stop, stopped) = mpsc::channel::<()>();
            let (url, peer) = accepting(move |mut peer| {
                while stopped.try_recv().is_err() {
                    answer_pings(&mut peer, 1);
                }
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            let mut child = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "stays_connected_to_what_its_environment_names"])
                .env(URL, url)
                .spawn()
                .unwrap();
            let process = Pid::from_child(&child);
            for _ in 0..5 {
                thread::sleep(ms(150));
                kill_process(process, Signal::STOP).unwrap();
                thread::sleep(ms(600));
                kill_process(process, Signal::CONT).unwrap();
            }
            stop.send(()).unwrap();
            assert!(child.wait().unwrap().success());
            peer.join();
        });
    }
    cases.run(60);
}

#[cfg(target_os = "linux")]
#[test]
fn one_thread_sends_the_pings_of_all_apps_and_ends_with_the_last() {
    // In a process of its own: other tests have apps, too.
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "sends_the_pings_of_many_apps_by_one_thread"])
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[cfg(target_os = "linux")]
#[ignore = "another test runs it in a process of its own"]
#[test]
fn sends_the_pings_of_many_apps_by_one_thread() {
    const APPS: usize = 50;

    let threads = |name: &str| {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names.filter(|comm| comm.trim_end() == name).count()
    };
    bounded(30, move || {
        // A second time after the thread has ended.
        for _ in 0..2 {
            let pinged = || {
                let (url, peer) = accepting(|mut peer| {
                    loop {
                        match peer.frame() {
                            (0x89, payload) => peer.say(frame(0x8A, &payload)),
                            (first, _) => break first,
                        }
                    }
                });
                (WebSocketApp::new(url).ping_interval(ms(50)).spawn().unwrap(), peer)
            };
            let (apps, peers): (Vec<_>, Vec<_>) = (0..APPS).map(|_| pinged()).unzip();
            for app in &apps {
                app_support::wait_for("a pong", || app.handle().statistics().latency.is_some());
            }
            assert_eq!((threads("websocket-ping"), threads("websocket-app")), (1, APPS));
            for app in apps {
                app.handle().close().unwrap();
                app.join().unwrap();
            }
            peers.into_iter().for_each(|peer| assert_eq!(peer.join(), 0x88));
            assert_eq!(threads("websocket-ping"), 0);
        }
    });
}

#[test]
fn a_peer_that_takes_nothing_delays_the_pings_of_no_other_app() {
    bounded(30, || {
        let (release, released) = mpsc::channel::<()>();
        let (stuck_url, stuck_peer) = accepting(move |peer| {
            let _ = released.recv_timeout(ms(20_000));
            drop(peer);
        });
        let (url, peer) = accepting(|mut peer| {
            let mut times = Vec::new();
            for _ in 0..10 {
                answer_pings(&mut peer, 1);
                times.push(Instant::now());
            }
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            times
        });
        let stuck = WebSocketApp::new(stuck_url).ping_interval(ms(50)).ping_timeout(ms(10_000)).spawn().unwrap();
        let other = WebSocketApp::new(url).ping_interval(ms(100)).ping_timeout(ms(300)).spawn().unwrap();
        assert!(stuck.handle().wait_open(ms(5000)) && other.handle().wait_open(ms(5000)));
        let sender = stuck.handle();
        // More than the socket takes: it waits, and the pings of its connection with it.
        let sending = thread::spawn(move || drop(sender.send_binary(&vec![0; 32 << 20])));
        other.join().unwrap();
        let times = peer.join();
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] < ms(250), "{:?}", pair[1] - pair[0]);
        }
        assert_eq!(stuck.handle().statistics().latency, None);
        stuck.handle().stop();
        drop((stuck.join(), release));
        sending.join().unwrap();
        stuck_peer.join();
    });
}
