//! WebSocketApp: what a lost connection is followed by, and when.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use app_support::{Log, nowhere, serve_again, wait_until};
use support::{Peer, at_once, bounded, descriptors_and_threads, frame, ms, timed};
use websocket_sync::{
    AppStep, CloseCause, CloseCode, Closed, ConnectOptions, Error, Overflow, Reconnect, Result, Retry, TlsErrorKind,
    WebSocketApp, set_reconnect,
};

fn quickly() -> Reconnect {
    Reconnect::fixed(ms(5))
}

/// A server that refuses each attempt with this status and these fields, and notes when they come.
fn refusing(status: &'static str) -> (String, mpsc::Receiver<Instant>) {
    let (attempt, attempts) = mpsc::channel();
    let (url, _) = serve_again(move |_, mut peer| {
        attempt.send(Instant::now()).unwrap();
        peer.head();
        let _ = peer.try_say(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
        true
    });
    (url, attempts)
}

/// The URL of a server, and how many connections there were.
type CountedServer = (String, Arc<AtomicUsize>);

/// A server that does this with each connection; counts how many there were.
fn ending(end: impl Fn(&mut Peer) + Send + 'static) -> CountedServer {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let (url, _) = serve_again(move |_, mut peer| {
        count.fetch_add(1, Ordering::Relaxed);
        peer.head();
        end(&mut peer);
        true
    });
    (url, attempts)
}

/// Says this instead of an answer to the handshake.
fn answering(answer: &'static str) -> CountedServer {
    ending(move |peer| drop(peer.try_say(answer)))
}

/// Accepts, and says this.
fn accepting(bytes: Vec<u8>) -> CountedServer {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    let (url, _) = serve_again(move |_, mut peer| {
        count.fetch_add(1, Ordering::Relaxed);
        peer.accept();
        let _ = peer.try_say(&bytes);
        peer.rest();
        true
    });
    (url, attempts)
}

#[test]
fn the_documented_predicate_decides_as_the_default_does() {
    let closing = |code: u16| accepting(frame(0x88, code.to_be_bytes()));
    let servers = [
        answering("HTTP/1.1 520 Reason\r\nContent-Length: 0\r\n\r\n"),
        answering("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"),
        answering("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"),
        answering("220 mail.example ESMTP\r\n\r\n"),
        accepting(frame(0x88, "")),
        accepting(frame(0x83, "")),
        closing(1000),
        closing(1008),
        closing(4000),
    ];
    bounded(20, move || {
        for (number, (url, attempts)) in servers.into_iter().enumerate() {
            for reconnect in [quickly(), quickly().retry_if(|_, default| default)] {
                drop(WebSocketApp::new(&url).reconnect(reconnect.max_attempts(3)).run_forever());
                assert_eq!(attempts.swap(0, Ordering::Relaxed), 3, "{number}");
            }
        }
    });
}

#[test]
fn statuses_that_will_hardly_change_are_tried_again_slowly_or_end_the_run_where_that_is_wanted() {
    bounded(20, || {
        for status in [400, 401, 403, 404, 410, 408, 429, 500, 502, 503] {
            let is_permanent = [400, 401, 403, 404, 410].contains(&status);
            let (url, attempts) = refusing(format!("{status} Reason").leak());
            let log = Log::default();
            let patient = Reconnect::backoff().floor(ms(0)).base(ms(1)).cap(ms(100)).max_attempts(3);
            let (error, took) = timed(|| log.app(&url).reconnect(patient.clone()).run_forever().unwrap_err());
            assert!(matches!(&error, Error::Refused(refusal) if refusal.status == status), "{error:?}");
            assert_eq!(attempts.try_iter().count(), 3, "{status}");
            assert_eq!((log.count("error"), log.count("close")), (3, 1), "{status}");
            assert!(!is_permanent || took >= ms(100), "{status}: {took:?}");

            let strict = patient.stop_on_refusal();
            WebSocketApp::new(url).reconnect(strict).run_forever().unwrap_err();
            assert_eq!(attempts.try_iter().count(), if is_permanent { 1 } else { 3 }, "{status}");
        }
    });
}

#[test]
fn settings_that_cannot_be_meant_are_not_tried_twice() {
    bounded(10, || {
        let log = Log::default();
        let error = log.app("http://example.com/").reconnect(quickly()).run_forever().unwrap_err();
        assert!(matches!(error, Error::Url(_)), "{error:?}");
        assert_eq!((log.count("error"), log.count("close")), (1, 1));
    });
}

#[test]
fn a_certificate_that_is_not_trusted_is_tried_again_slowly_or_not_at_all_where_that_is_wanted() {
    bounded(10, || {
        let config = tls_peer::self_signed("127.0.0.1").server(&rustls::version::TLS13);
        let (url, server) = serve_again(move |number, peer| {
            tls_peer::accept(Arc::clone(&config), &*peer.socket()).unwrap_err();
            number < 3
        });
        let url = url.replace("ws:", "wss:");
        let twice = Reconnect::backoff().cap(ms(100)).floor(ms(0)).max_attempts(3);
        let untrusted = |reconnect| {
            let (error, took) = timed(|| WebSocketApp::new(&url).reconnect(reconnect).run_forever().unwrap_err());
            assert!(matches!(&error, Error::Tls(tls) if tls.kind == TlsErrorKind::UnknownIssuer), "{error:?}");
            took
        };
        assert!(untrusted(twice.clone()) >= ms(100));
        untrusted(twice.stop_on_refusal());
        assert_eq!(support::join(server), 4);
    });
}

#[test]
fn a_gateway_that_answers_in_clear_text_is_asked_again() {
    bounded(10, || {
        let (url, server) = serve_again(|number, peer| {
            peer.say("HTTP/1.1 503 the server is away\r\n\r\n");
            number < 2
        });
        let thrice = quickly().max_attempts(3);
        let error = WebSocketApp::new(url.replace("ws:", "wss:")).reconnect(thrice).run_forever().unwrap_err();
        assert!(matches!(&error, Error::Tls(tls) if tls.kind == TlsErrorKind::NotTls), "{error:?}");
        assert_eq!(support::join(server), 3);
    });
}

#[test]
fn the_user_decides_otherwise() {
    bounded(10, || {
        let (url, attempts) = refusing("403 Forbidden");
        let stubborn = quickly().max_attempts(4).retry_if(|error, default| {
            assert_eq!((error.retry(), default), (Retry::Slowly, Retry::Slowly));
            Retry::Soon
        });
        WebSocketApp::new(url).reconnect(stubborn).run_forever().unwrap_err();
        assert_eq!(attempts.try_iter().count(), 4);

        let (url, attempts) = refusing("503 Service Unavailable");
        WebSocketApp::new(url).reconnect(quickly().retry_if(|_, _| Retry::Never)).run_forever().unwrap_err();
        assert_eq!(attempts.try_iter().count(), 1);
    });
}

#[test]
fn a_predicate_that_panics_decides_nothing() {
    bounded(10, || {
        for queue in [false, true] {
            let log = Log::default();
            let app = log.app(&nowhere()).reconnect(quickly().max_attempts(3).retry_if(|_, _| panic!("a bug")));
            let mut app = if queue { app.queue(1, Overflow::Block) } else { app };
            assert!(matches!(app.run_forever(), Err(Error::Io { .. })));
            assert_eq!((log.count("error"), log.count("close")), (3, 1));
        }
    });
}

#[test]
fn what_the_server_asks_for_is_waited_for() {
    bounded(10, || {
        let (url, attempts) = refusing("503 Service Unavailable\r\nRetry-After: 1");
        let ((), took) = timed(|| {
            let error = WebSocketApp::new(url).reconnect(quickly().max_attempts(2)).run_forever().unwrap_err();
            assert!(matches!(error, Error::Refused(_)));
        });
        assert_eq!(attempts.try_iter().count(), 2);
        assert!(took >= ms(1000) && took < ms(1500), "{took:?}");
        // But not for as long as it pleases.
        let (url, attempts) = refusing("503 Service Unavailable\r\nRetry-After: 99999");
        WebSocketApp::new(url).reconnect(quickly().cap(ms(20)).max_attempts(3)).run_forever().unwrap_err();
        assert_eq!(attempts.try_iter().count(), 3);
    });
}

#[test]
fn each_attempt_may_have_a_url_and_headers_of_its_own() {
    bounded(10, || {
        let (tell, requests) = mpsc::channel();
        let (url, server) = serve_again(move |number, mut peer| {
            let request = peer.head();
            peer.say(support::answer_to(&request));
            tell.send(request).unwrap();
            if number == 2 {
                peer.end();
            }
            number < 2
        });
        let mut causes = Vec::new();
        let mut app = WebSocketApp::new("ws://unused/")
            .options(ConnectOptions::new().header("X-Fixed", "yes"))
            .reconnect(quickly().stable_after(Duration::MAX))
            .connect_with(|attempt, options| {
                causes.push(attempt.last_error.and_then(Error::close_info).map(|info| info.cause.to_string()));
                options.header("X-Token", attempt.number.to_string()).connect(&format!("{url}{}", attempt.number))
            })
            .on_open(|_| ())
            .on_reconnect(|app| if app.statistics().connects == 3 { app.close() } else { Ok(()) });
        app.run_forever().unwrap();
        drop(app);
        support::join(server);
        for (number, request) in (1..).zip(requests) {
            assert!(request.starts_with(&format!("GET /{number} HTTP/1.1\r\n")), "{request}");
            assert!(
                request.contains(&format!("X-Token: {number}\r\n")) && request.contains("X-Fixed: yes"),
                "{request}"
            );
        }
        let lost = Some("connection lost: unexpected end of file".to_owned());
        assert_eq!(causes, [None, lost.clone(), lost]);
    });
}

#[test]
fn a_clean_close_inside_of_connect_with_is_a_failed_attempt() {
    bounded(10, || {
        let refused = |attempts: Reconnect| {
            let (url, _) = serve_again(|_, mut peer| {
                peer.accept();
                peer.say(frame(0x88, b"\x0f\xa1no such user"));
                peer.rest();
                true
            });
            let log = Log::default();
            let app = log.app(&url).reconnect(attempts);
            let mut app = app.connect_with(move |_, options| {
                let mut ws = options.connect(&url)?;
                // The answer to a login.
                ws.recv()?;
                Ok(ws)
            });
            let handle = app.handle();
            let error = app.run_forever().unwrap_err();
            assert_eq!(error.close_info().unwrap().code.0, 4001);
            assert!(handle.has_errored());
            (log.count("error"), log.count("close"), log.count("open"))
        };
        assert_eq!(refused(Reconnect::never()), (1, 1, 0));
        assert_eq!(refused(quickly().max_attempts(3)), (3, 1, 0));
    });
}

#[test]
fn the_delay_is_counted_from_the_end_of_the_callbacks() {
    bounded(10, || {
        let (url, server) = serve_again(|number, mut peer| {
            let came = Instant::now();
            peer.accept();
            number == 0 && came.elapsed() < ms(5000)
        });
        let (told, ends) = mpsc::channel();
        let mut app = WebSocketApp::new(url)
            .reconnect(Reconnect::fixed(ms(300)).max_attempts(2))
            .on_close(move |_, _| {
                std::thread::sleep(ms(400));
                told.send(Instant::now()).unwrap();
            })
            .on_reconnect(move |_| {
                let took = ends.recv().unwrap().elapsed();
                assert!(took >= ms(300), "{took:?}");
            });
        let app_handle = app.handle();
        app.run_forever().unwrap_err();
        assert_eq!(app_handle.statistics().connects, 2);
        support::join(server);
    });
}

#[test]
fn names_are_resolved_anew_for_each_attempt() {
    bounded(10, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            number < 1
        });
        let port: u16 = url.rsplit(':').next().unwrap().trim_end_matches('/').parse().unwrap();
        let lookups = Arc::new(Mutex::new(0));
        let count = Arc::clone(&lookups);
        let options = ConnectOptions::new().resolver(move |_, port| {
            *count.lock().unwrap() += 1;
            Ok(vec![([127, 0, 0, 1], port).into()])
        });
        let app = WebSocketApp::new(format!("ws://moving.example:{port}/"));
        let app = app.options(options).reconnect(quickly().max_attempts(2));
        { app }.run_forever().unwrap_err();
        support::join(server);
        assert_eq!(*lookups.lock().unwrap(), 2);
    });
}

#[test]
fn a_server_that_accepts_and_drops_at_once_meets_ever_longer_delays() {
    bounded(20, || {
        let (url, _) = serve_again(|_, mut peer| {
            peer.accept();
            true
        });
        let reconnect = Reconnect::backoff().base(ms(20)).floor(ms(20)).cap(ms(160)).factor(2.0).max_attempts(7);
        let mut announced = Vec::new();
        let mut app =
            WebSocketApp::new(url).reconnect(reconnect).on_close(|_, closed| announced.push(closed.reconnect));
        let start = Instant::now();
        app.run_forever().unwrap_err();
        let took = start.elapsed();
        drop(app);
        let (last, waits) = announced.split_last().unwrap();
        assert_eq!((*last, waits.len()), (None, 6));
        let total: Duration = waits.iter().flatten().sum();
        assert!(took >= total && took < total + ms(400), "{took:?} for delays of {total:?}");
        for (number, wait) in waits.iter().enumerate() {
            let longest = ms(20 << number.min(3));
            assert!(wait.is_some_and(|wait| wait >= ms(20) && wait <= longest), "{number}: {wait:?}");
        }
    });
}

#[test]
fn mark_healthy_begins_anew() {
    bounded(10, || {
        let (url, _) = serve_again(|_, mut peer| {
            peer.accept();
            true
        });
        let mut numbers = Vec::new();
        let mut app = WebSocketApp::new("ws://unused/")
            .reconnect(quickly().max_attempts(3))
            .connect_with(|attempt, options| {
                numbers.push(attempt.number);
                options.connect(&url)
            })
            .on_open(|app| app.mark_healthy())
            .on_reconnect(|app| {
                if app.statistics().connects == 2 {
                    app.mark_healthy();
                }
            });
        app.run_forever().unwrap_err();
        drop(app);
        assert_eq!(numbers, [1, 1, 1, 2, 3]);
    });
}

#[test]
fn attempts_have_an_end_in_time() {
    bounded(10, || {
        let (result, took) =
            timed(|| WebSocketApp::new(nowhere()).reconnect(quickly().max_elapsed(ms(150))).run_forever());
        assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
        assert!(took >= ms(100) && took < ms(600), "{took:?}");
    });
}

#[test]
fn a_clean_close_by_the_server_ends_the_run_where_that_is_wanted() {
    bounded(10, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            if number > 0 {
                peer.say(frame(0x88, b"\x03\xe9bye"));
                peer.rest();
            }
            number < 1
        });
        let log = Log::default();
        let closed = log.app(&url).reconnect(quickly().stop_on_close()).run_forever().unwrap();
        support::join(server);
        assert_eq!((closed.cause, closed.reason.as_str(), closed.reconnect), (CloseCause::Remote, "bye", None));
        let heard = [
            "open",
            "error connection lost: unexpected end of file",
            "close 1006 \"\" lost: UnexpectedEof, again",
            "reconnect",
            "close 1001 \"bye\" Remote",
        ];
        assert_eq!(log.lines(), heard);
    });
}

#[test]
fn on_open_stands_in_for_on_reconnect() {
    bounded(10, || {
        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            number < 2
        });
        let mut opened = 0;
        let mut app = WebSocketApp::new(url).reconnect(quickly().max_attempts(3)).on_open(|_| opened += 1);
        app.run_forever().unwrap_err();
        drop(app);
        support::join(server);
        assert_eq!(opened, 3);
    });
}

#[test]
fn closing_in_on_error_and_in_on_close_ends_the_run() {
    bounded(10, || {
        let app = WebSocketApp::new(nowhere()).reconnect(Reconnect::fixed(Duration::from_secs(60)));
        let log = Log::default();
        let close = log.clone();
        let mut app = app.on_error(|app, _| app.close()).on_close(move |_, closed| {
            close.note(format!("{} {:?}", closed.cause, closed.reconnect));
        });
        at_once(|| app.run_forever()).unwrap();
        assert_eq!(log.lines(), ["not connected None"]);

        let (url, server) = serve_again(|_, mut peer| {
            peer.accept();
            false
        });
        let app = WebSocketApp::new(url).reconnect(Reconnect::fixed(Duration::from_secs(60)));
        let closed = { app.on_close(|app, _| app.close()) }.run_forever().unwrap();
        assert_eq!(closed.cause, CloseCause::Cancelled);
        support::join(server);
    });
}

#[test]
fn a_handle_sends_on_whatever_connection_is_open() {
    bounded(10, || {
        let (tell, heard) = mpsc::channel();
        let (url, server) = serve_again(move |number, mut peer| {
            peer.accept();
            tell.send(peer.frame()).unwrap();
            number < 2
        });
        let mut app = WebSocketApp::new(url).reconnect(quickly().max_attempts(3));
        let handle = app.handle();
        app = app.on_open(move |_| handle.send_text("still the same handle"));
        app = app.on_close(|app, _| {
            // Not so a sender: it belongs to one connection.
            assert!(app.sender().is_none());
        });
        app.run_forever().unwrap_err();
        drop(app);
        support::join(server);
        assert_eq!(heard.iter().map(|(_, text)| text).collect::<HashSet<_>>().len(), 1);
    });
}

#[test]
fn a_default_of_the_process_is_overridden_by_the_apps_own() {
    bounded(10, || {
        let attempts = |app: WebSocketApp<'static>| {
            let log = Log::default();
            let errors = log.clone();
            { app.on_error(move |_, _| errors.note("error")) }.run_forever().unwrap_err();
            log.count("error")
        };
        set_reconnect(Some(quickly().max_attempts(2)));
        let with_default = attempts(WebSocketApp::new(nowhere()));
        let with_own = attempts(WebSocketApp::new(nowhere()).reconnect(Reconnect::never()));
        set_reconnect(None);
        assert_eq!((with_default, with_own), (2, 1));
    });
}

#[test]
fn hundreds_of_reconnects_leave_nothing_behind() {
    let _alone = support::alone();
    bounded(60, || {
        const TIMES: usize = 400;
        let (url, server) = serve_again(|number, mut peer: Peer| {
            peer.accept();
            if number % 3 == 0 {
                peer.say(frame(0x88, b"\x03\xe8"));
            }
            number + 1 < TIMES
        });
        let mut seen = Vec::new();
        let mut app = WebSocketApp::new(url)
            .reconnect(Reconnect::fixed(ms(1)).max_attempts(u32::try_from(TIMES).unwrap()))
            .ping_interval(ms(5))
            .ping_timeout(ms(1000))
            .on_close(|_, _| seen.push(descriptors_and_threads()));
        let _ = app.run_forever();
        drop(app);
        support::join(server);
        assert_eq!(seen.len(), TIMES);
        let (early, late) = (seen[10], seen[TIMES - 1]);
        // Other tests of this file come and go; what is left behind would be left hundreds of times.
        let is_told = cfg!(not(windows)); // what wine shows of /proc is its own
        assert!(!is_told || late.0 < early.0 + 50 && late.1 < early.1 + 50, "{early:?}, then {late:?}");
    });
}

type Run = fn(WebSocketApp<'static>) -> Result<Closed>;

/// Each way to drive an app.
const RUNS: [Run; 3] = [
    |mut app| app.run_forever(),
    |app| app.queue(2, Overflow::Block).run_forever(),
    |app| {
        let (wake, woken) = mpsc::channel();
        let mut task = app.into_task(move || wake.send(()).unwrap_or_default()).unwrap();
        loop {
            match task.advance() {
                AppStep::Connect(attempt) => task.connected(attempt.run()),
                AppStep::Wait(until) if task.sources().is_empty() => {
                    let longest = until.map_or(ms(1), |until| until.saturating_duration_since(Instant::now()));
                    let _ = woken.recv_timeout(longest);
                }
                AppStep::Wait(_) => std::thread::sleep(ms(1)),
                AppStep::Again => {}
                AppStep::Over(outcome) => return outcome,
            }
        }
    },
];

/// The Close could only leave when the batch has.
#[test]
fn inside_a_batch_reconnect_is_refused_and_the_connection_goes_on() {
    bounded(20, || {
        for run in RUNS {
            let (url, server) = support::serve(|mut peer| {
                peer.accept();
                peer.say(frame(0x81, "first"));
                assert_eq!(peer.frame(), (0x81, b"batch".to_vec()));
                peer.say(frame(0x81, "second"));
                assert_eq!(peer.frame(), (0x81, b"second".to_vec()));
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            let app = WebSocketApp::new(url).reconnect(Reconnect::never()).on_message(|app, message| {
                if message.as_text() == Some("second") {
                    assert!(app.clone().wait_open(Duration::ZERO));
                    return app.clone().send_text("second");
                }
                app.sender().unwrap().cork(|batch| {
                    batch.send_text("batch")?;
                    assert!(matches!(app.reconnect(CloseCode(4000), ""), Err(Error::Usage(_))));
                    Ok(())
                })
            });
            let closed = run(app).unwrap();
            assert_eq!((closed.code, closed.cause), (CloseCode::NORMAL, CloseCause::Remote));
            server.join();
        }
    });
}

#[test]
fn a_callback_has_the_app_connect_again_and_hears_nothing_more_of_what_it_has_closed() {
    bounded(20, || {
        for run in RUNS {
            let (url, server) = serve_again(|number, mut peer| {
                peer.accept();
                if number == 0 {
                    peer.say(frame(0x81, "gap").repeat(20));
                    let (first, body) = peer.frame();
                    assert_eq!((first, &body[2..]), (0x88, &b"a gap"[..]));
                    peer.say(frame(0x88, &body));
                } else {
                    peer.say([frame(0x81, "whole"), frame(0x88, b"\x03\xe8")].concat());
                }
                peer.rest();
                number == 0
            });
            let log = Log::default();
            let messages = log.clone();
            let app = log.app(&url).reconnect(quickly().stop_on_close()).on_data(|_, _, _, _| ());
            let app = app.on_message(move |app, message| {
                messages.note(format!("message {}", message.as_text().unwrap()));
                match message.as_text() {
                    Some("gap") => app.reconnect(CloseCode(4000), "a gap"),
                    _ => Ok(()),
                }
            });
            let (closed, took) = timed(|| run(app).unwrap());
            assert_eq!(closed.cause, CloseCause::Remote);
            assert!(took < ms(2000), "{took:?}");
            let closed = "close 4000 \"a gap\" Local, again";
            let heard = ["open", "message gap", closed, "reconnect", "message whole", "close 1000 \"\" Remote"];
            assert_eq!(log.lines(), heard);
            support::join(server);
        }
    });
}

/// The rest of the frame and of the message come before the answer to the Close.
#[test]
fn a_close_in_the_midst_of_a_fragment_is_answered_like_any_other() {
    bounded(20, || {
        for run in RUNS {
            for reconnects in [false, true] {
                let (url, server) = serve_again(move |number, mut peer| {
                    peer.accept();
                    let (cut, rest) = (frame(0x00, [7; 100]), frame(0x80, "rest"));
                    peer.say([frame(0x02, "part"), cut[..50].to_vec()].concat());
                    let (first, body) = peer.frame();
                    assert_eq!(first, 0x88);
                    peer.say([cut[50..].to_vec(), rest, frame(0x88, body)].concat());
                    peer.rest();
                    reconnects && number == 0
                });
                let log = Log::default();
                let app =
                    log.app(&url).reconnect(quickly()).on_data(|_, _, _, _| ()).on_cont_message(move |app, _, _| {
                        let (app, reconnects) = (app.clone(), reconnects && app.statistics().connects == 1);
                        std::thread::spawn(move || {
                            // The other fragment has begun by then.
                            std::thread::sleep(ms(100));
                            if reconnects { app.reconnect(CloseCode(4000), "") } else { app.close() }
                        });
                    });
                assert_eq!(run(app).unwrap().cause, CloseCause::Local);
                let (replaced, closed) = ("close 4000 \"\" Local, again", "close 1000 \"\" Local");
                let heard = if reconnects { vec!["open", replaced, "reconnect", closed] } else { vec!["open", closed] };
                assert_eq!(log.lines(), heard);
                support::join(server);
            }
        }
    });
}

#[test]
fn the_wait_for_the_next_attempt_can_be_cut_short() {
    bounded(20, || {
        for run in RUNS {
            let (url, server) = serve_again(|number, mut peer| {
                if number == 0 {
                    return true;
                }
                peer.accept();
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
                false
            });
            let (failed, failures) = mpsc::channel();
            let app = WebSocketApp::new(url)
                .reconnect(Reconnect::fixed(Duration::from_secs(3600)).stop_on_close())
                .on_error(move |_, _| failed.send(()).unwrap());
            let handle = app.handle();
            assert!(matches!(handle.reconnect(CloseCode(1006), ""), Err(Error::Usage(_))));
            let ended = handle.clone();
            let impatient = std::thread::spawn(move || {
                failures.recv().unwrap();
                while ended.wait_end(ms(5)).is_none() {
                    ended.reconnect(CloseCode::NORMAL, "").unwrap();
                }
            });
            assert_eq!(run(app).unwrap().cause, CloseCause::Remote);
            support::join(impatient);
            assert_eq!(support::join(server), 2);
            assert_eq!(handle.statistics().connects, 1);
        }
    });
}

#[test]
fn without_reconnecting_a_reconnect_is_the_end_and_a_late_callback_replaces_nothing() {
    bounded(20, || {
        let (url, server) = serve_again(|_, peer| {
            let mut peer = peer;
            peer.accept();
            peer.end();
            false
        });
        let mut app = WebSocketApp::new(url).on_open(|app| app.reconnect(CloseCode::GOING_AWAY, ""));
        let closed = app.run_forever().unwrap();
        assert_eq!((closed.code, closed.cause, closed.reconnect), (CloseCode::GOING_AWAY, CloseCause::Local, None));
        support::join(server);

        let (url, server) = serve_again(|number, mut peer| {
            peer.accept();
            if number == 1 {
                assert_eq!(peer.end(), 1000);
            }
            number == 0
        });
        let mut opened = 0;
        let mut app = WebSocketApp::new(url).reconnect(quickly()).queue(10, Overflow::Block).on_open(move |app| {
            opened += 1;
            if opened == 2 {
                return app.close();
            }
            while app.statistics().connects < 2 {
                std::thread::sleep(ms(1));
            }
            app.reconnect(CloseCode(4000), "late")
        });
        assert_eq!(app.run_forever().unwrap().cause, CloseCause::Local);
        support::join(server);
    });
}

#[test]
fn an_attempt_knows_the_url_of_its_app() {
    bounded(10, || {
        for run in RUNS {
            let (url, server) = serve_again(|_, mut peer| {
                peer.accept();
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
                false
            });
            let app = WebSocketApp::new(&url).connect_with(|attempt, options| options.connect(attempt.url));
            assert_eq!(run(app).unwrap().cause, CloseCause::Remote);
            support::join(server);
        }
    });
}

/// The delay before an attempt is told with the failure that it follows, and is the one that is taken.
#[test]
fn the_delay_before_an_attempt_is_told_when_the_one_before_it_fails() {
    bounded(20, || {
        let (url, attempts) = refusing("503 Busy");
        let told = Mutex::new(Vec::new());
        let mut app = WebSocketApp::new(url)
            .reconnect(Reconnect::backoff().base(ms(100)).cap(ms(400)).floor(ms(50)).max_attempts(4))
            .on_error(|app, _| told.lock().unwrap().push((app.retry_delay(), Instant::now())));
        let handle = app.handle();
        assert_eq!(handle.retry_delay(), None);
        app.run_forever().unwrap_err();
        drop(app);
        let told = told.into_inner().unwrap();
        let begun: Vec<Instant> = attempts.try_iter().skip(1).collect();
        assert_eq!((told.len(), begun.len()), (4, 3));
        for ((delay, at), begun) in told.iter().zip(begun) {
            let (delay, taken) = (delay.unwrap(), begun - *at);
            assert!(taken >= delay && taken < delay + ms(250), "told {delay:?}, taken {taken:?}");
        }
        assert_eq!((told[3].0, handle.retry_delay()), (None, None));
    });
}

/// A proxy that is overloaded may say when to come back, too.
#[test]
fn what_a_proxy_asks_for_is_waited_for() {
    bounded(20, || {
        let (url, _attempts) = refusing("503 Busy\r\nRetry-After: 7");
        let proxy = url.replace("ws://", "http://");
        let told = Mutex::new(Vec::new());
        WebSocketApp::new("ws://server.example/")
            .options(ConnectOptions::new().proxy(proxy))
            .reconnect(Reconnect::backoff().base(ms(100)))
            .on_error(|app, _| {
                told.lock().unwrap().push(app.retry_delay());
                app.stop();
            })
            .run_forever()
            .unwrap();
        let told = told.into_inner().unwrap();
        assert!(told[0].is_some_and(|delay| delay >= ms(7000)), "{told:?}");
    });
}

/// While the next attempt is waited for, and with a connection that was lost.
#[test]
fn the_delay_before_an_attempt_is_known_until_it_begins() {
    bounded(20, || {
        let (url, _attempts) = accepting(frame(0x88, b"\x03\xe8"));
        let seen = Mutex::new(Vec::new());
        let app = WebSocketApp::new(url)
            .reconnect(Reconnect::fixed(ms(300)).max_attempts(2))
            .on_open(|app| seen.lock().unwrap().push(app.retry_delay()))
            .on_close(|app, closed| {
                assert_eq!(app.retry_delay(), closed.reconnect);
                seen.lock().unwrap().push(app.retry_delay());
            });
        let handle = app.handle();
        std::thread::scope(|scope| {
            let watch = scope.spawn(|| {
                wait_until(|| handle.retry_delay() == Some(ms(300)) && !handle.ready());
                wait_until(|| handle.retry_delay().is_none());
            });
            { app }.run_forever().unwrap();
            watch.join().unwrap();
        });
        assert_eq!(seen.into_inner().unwrap(), [None, Some(ms(300)), None, None]);
    });
}
