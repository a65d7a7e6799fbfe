//! An app in a loop of the user's own: what it asks for, and when, and that whatever races against it comes to one end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/app.rs"]
mod app_support;
#[path = "support/races.rs"]
mod races;
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use app_support::{finish, nowhere, serve_again};
use races::Manners;
use support::{answer_to, at_once, bounded, frame, join, ms};
use websocket_sync::{AppStep, AppTask, CloseCause, ConnectOptions, Error, MessageKind, Reconnect, WebSocketApp};

/// A task, and what wakes its loop.
fn task(app: WebSocketApp<'static>) -> (AppTask<'static>, Receiver<()>) {
    let (wake, woken) = mpsc::channel();
    let wake = move || {
        let _ = wake.send(());
    };
    (app.into_task(wake).unwrap(), woken)
}

/// The moment that it waits for.
#[track_caller]
fn waits(step: AppStep<'_>) -> Option<Instant> {
    match step {
        AppStep::Wait(until) => until,
        other => panic!("{other:?}"),
    }
}

/// Goes on, a step each millisecond, until it waits without a socket or with a connection; until when.
#[track_caller]
fn open(task: &mut AppTask<'_>) -> Option<Instant> {
    let start = Instant::now();
    loop {
        match at_once(|| task.advance()) {
            AppStep::Wait(until) if task.connection().is_some() || task.sources().is_empty() => return until,
            AppStep::Wait(_) => thread::sleep(ms(1)),
            AppStep::Again => {}
            other => panic!("{other:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(10), "it does not open: {task:?}");
    }
}

#[test]
fn it_opens_without_waiting_then_waits_for_its_socket_or_the_next_ping() {
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            let request = peer.head();
            thread::sleep(ms(50));
            peer.say(answer_to(&request));
            assert_eq!(peer.frame().0, 0x89);
            peer.end()
        });
        let (mut task, woken) = task(WebSocketApp::new(&url).ping_interval(ms(200)));
        let handle = task.handle();
        assert!(handle.is_running() && !handle.ready() && task.sources().is_empty());
        let timeout = waits(at_once(|| task.advance())).unwrap();
        assert!(timeout > Instant::now() + Duration::from_secs(20), "that of opening");
        assert_eq!((task.connection(), task.sources().len()), (None, 1));
        let ping = open(&mut task).unwrap();
        assert!(ping > Instant::now() + ms(100) && ping <= Instant::now() + ms(200));
        assert_eq!(task.sources().len(), 1);
        assert!(handle.ready());
        assert_eq!(task.connection(), Some(1));
        #[cfg(unix)]
        assert!(task.as_fd().is_some());
        assert_eq!(waits(task.advance()), Some(ping), "nothing has happened");
        thread::sleep(ping - Instant::now());
        assert!(waits(task.advance()).unwrap() >= ping + ms(150), "the one after it");
        assert!(woken.try_recv().is_err(), "nobody has called");

        let closing = handle.clone();
        let closing = thread::spawn(move || closing.close());
        woken.recv_timeout(Duration::from_secs(5)).unwrap();
        assert_eq!(finish(&mut task).unwrap().cause, CloseCause::Local);
        join(closing).unwrap();
        assert!(!handle.is_running() && task.connection().is_none());
        assert!(matches!(task.advance(), AppStep::Over(Err(Error::Closed(_)))), "it is over");
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn between_attempts_it_waits_for_a_moment_and_is_woken_by_who_ends_it() {
    bounded(20, || {
        let (mut task, woken) = task(WebSocketApp::new(nowhere()).reconnect(Reconnect::fixed(ms(100))));
        let at = open(&mut task).unwrap();
        assert!(at > Instant::now() && at <= Instant::now() + ms(100));
        assert_eq!(waits(task.advance()), Some(at), "too early");
        thread::sleep(at - Instant::now());
        open(&mut task).unwrap();
        task.handle().close().unwrap();
        woken.recv_timeout(Duration::from_secs(5)).unwrap();
        let AppStep::Over(outcome) = task.advance() else { panic!("it goes on") };
        assert_eq!(outcome.unwrap().cause, CloseCause::Cancelled);
    });
}

#[test]
fn an_app_that_was_closed_before_its_run_asks_for_no_connection() {
    bounded(20, || {
        let app = || {
            let app = WebSocketApp::new(nowhere()).connect_with(|_, _| unreachable!("nobody calls it"));
            app.handle().close().unwrap();
            app
        };
        assert_eq!(app().run_forever().unwrap().cause, CloseCause::Cancelled);
        let AppStep::Over(outcome) = task(app()).0.advance() else { panic!("it goes on") };
        assert_eq!(outcome.unwrap().cause, CloseCause::Cancelled);
    });
}

#[test]
fn who_cannot_connect_says_so_and_who_drops_a_task_leaves() {
    bounded(20, || {
        let app = WebSocketApp::new(nowhere()).connect_with(|_, _| unreachable!("nobody calls it"));
        let (mut lazy, _woken) = task(app);
        let AppStep::Connect(attempt) = lazy.advance() else { panic!("it does not connect") };
        // In the meantime nobody else can do anything for it.
        assert_eq!(waits(lazy.advance()), None);
        lazy.connected(attempt.fail(Error::other("no thread to spare")));
        assert_eq!(finish(&mut lazy).unwrap_err().to_string(), "no thread to spare");

        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            peer.close_code()
        });
        let (mut left, _woken) = task(WebSocketApp::new(&url));
        let handle = left.handle();
        open(&mut left);
        assert!(handle.ready());
        drop(left);
        assert!(!handle.is_running() && !handle.ready());
        assert_eq!(peer.join(), 1001);
    });
}

#[test]
fn a_task_that_is_dropped_has_ended_although_its_wake_panics() {
    bounded(20, || {
        let dropped = WebSocketApp::new(nowhere()).into_task(|| panic!("on purpose")).unwrap();
        let handle = dropped.handle();
        let caught = catch_unwind(AssertUnwindSafe(|| drop(dropped))).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"));
        assert!(!handle.is_running() && handle.wait_end(Duration::ZERO).is_some());
        // While another panic passes, a second one would end the process.
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let _dropped = WebSocketApp::new(nowhere()).into_task(|| panic!("on purpose")).unwrap();
            panic!("first");
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"first"));
    });
}

#[test]
fn a_pong_behind_what_another_thread_sends_slowly_is_no_stall() {
    /// Gives a few bytes at a time, with a pause in the middle.
    struct Slow(usize);
    impl std::io::Read for Slow {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 == 2 {
                thread::sleep(ms(1000));
            }
            buf[..10].fill(7);
            Ok(10)
        }
    }
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            // By then its reader pauses with the frame in progress.
            thread::sleep(ms(300));
            peer.say(frame(0x89, "ping"));
            assert_eq!(peer.frame(), (0x82, vec![7; 20]));
            assert_eq!(peer.frame(), (0x8A, b"ping".to_vec()));
            peer.end()
        });
        let options = ConnectOptions::new().send_timeout(ms(200));
        let (mut task, _woken) = task(WebSocketApp::new(&url).options(options));
        let handle = task.handle();
        open(&mut task);
        let sending = thread::spawn(move || {
            while !handle.ready() {
                thread::sleep(ms(1));
            }
            handle.sender().unwrap().send_reader(MessageKind::Binary, Slow(0), Some(20)).unwrap();
            handle.close().unwrap();
        });
        assert_eq!(finish(&mut task).unwrap().cause, CloseCause::Local);
        join(sending);
        assert_eq!(peer.join(), 1000);
    });
}

#[test]
fn a_callback_that_is_slow_while_a_ping_is_due_is_not_a_dead_peer() {
    bounded(20, || {
        let (begin, begins) = mpsc::channel();
        let (url, peer) = support::serve(move |mut peer| {
            peer.accept();
            begins.recv().unwrap();
            peer.say(frame(0x81, "work"));
            let (first, payload) = peer.frame();
            assert_eq!(first, 0x89);
            thread::sleep(ms(30));
            peer.say([frame(0x8A, payload), frame(0x88, b"\x03\xe8")].concat());
            peer.rest();
        });
        let app = WebSocketApp::new(&url)
            .ping_interval(ms(200))
            .ping_timeout(ms(300))
            .on_message(|_, _| thread::sleep(ms(600)));
        let (mut task, _woken) = task(app);
        let ping = open(&mut task).unwrap();
        begin.send(()).unwrap();
        // Message and ping are due in one turn.
        thread::sleep(ping + ms(20) - Instant::now());
        assert_eq!(finish(&mut task).unwrap().cause, CloseCause::Remote);
        peer.join();
    });
}

/// The peer reads while the callback takes its time.
#[test]
fn a_callback_that_is_slow_while_something_waits_to_be_sent_is_no_stall() {
    const LENGTH: usize = 60 << 20;
    bounded(20, || {
        let (begin, begins) = mpsc::channel();
        let (url, peer) = support::serve(move |mut peer| {
            peer.accept();
            begins.recv().unwrap();
            peer.say(frame(0x81, "work"));
            thread::sleep(ms(50));
            let (_, payload) = peer.frame();
            peer.say(frame(0x88, b"\x03\xe8"));
            peer.rest();
            payload.len()
        });
        let options = ConnectOptions::new().send_timeout(ms(500)).max_unsent(2 * LENGTH);
        let app = WebSocketApp::new(&url)
            .options(options)
            .on_open(|app| app.send_binary(&vec![7; LENGTH]))
            .on_message(|_, _| thread::sleep(ms(700)));
        let (mut task, _woken) = task(app);
        let mut full = None;
        // Until the socket has taken all that it does.
        while full.is_none_or(|full: Instant| full.elapsed() < ms(200)) {
            assert!(!matches!(task.advance(), AppStep::Over(_)));
            full = full.or_else(|| task.connection().map(|_| Instant::now()));
            thread::sleep(ms(1));
        }
        begin.send(()).unwrap();
        assert_eq!(finish(&mut task).unwrap().cause, CloseCause::Remote);
        assert_eq!(peer.join(), LENGTH);
    });
}

#[test]
fn a_turn_ends_after_a_slow_callback_although_more_is_at_hand() {
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            peer.say(frame(0x81, "work").repeat(20));
            let asked = Instant::now();
            assert_eq!(peer.frame().0, 0x89);
            asked.elapsed()
        });
        let app = WebSocketApp::new(&url).ping_interval(ms(100)).on_message(|_, _| thread::sleep(ms(100)));
        let (mut task, _woken) = task(app);
        drop(finish(&mut task));
        let took = peer.join();
        assert!(took < ms(800), "the first ping left after {took:?}");
    });
}

#[test]
fn what_a_burst_has_taken_is_given_back_when_nothing_has_come_for_a_second() {
    bounded(20, || {
        let (url, peer) = support::serve(|mut peer| {
            peer.accept();
            peer.say(frame(0x82, vec![7; 4 << 20]));
            peer.rest()
        });
        let (mut task, _woken) = task(WebSocketApp::new(&url));
        let handle = task.handle();
        open(&mut task);
        let mut until = None;
        while handle.statistics().bytes_received == 0 || until.is_none() {
            match task.advance() {
                AppStep::Wait(moment) => until = moment,
                AppStep::Again => {}
                other => panic!("{other:?}"),
            }
        }
        let until = until.unwrap();
        assert!(until > Instant::now() + ms(500) && until <= Instant::now() + ms(1000));
        thread::sleep(until - Instant::now());
        assert_eq!(waits(task.advance()), None, "there is nothing more to give back");
        drop(task);
        peer.join();
    });
}

#[test]
fn whatever_races_each_run_ends_and_each_opening_has_one_close() {
    const ROUNDS: usize = 300;
    bounded(120, || {
        let manners = Manners::Rude;
        let (url, seed) = races::serve(manners);
        for round in 0..ROUNDS {
            let (app, count) = races::app(&url, manners, &seed);
            let (mut task, _woken) = task(app);
            let handle = task.handle();
            let others = races::interfere(&handle, &seed);
            let outcome = finish(&mut task);
            others.into_iter().for_each(join);
            assert_eq!(count.closed(), count.opened().max(1), "round {round}: {outcome:?}");
            assert!(!handle.is_running());
        }
    });
}

#[test]
fn every_app_of_a_hand_made_loop_gets_what_it_is_sent() {
    const APPS: usize = 20;
    bounded(30, || {
        let (url, server) = serve_again(|number, peer| {
            thread::spawn(move || {
                let mut peer = peer;
                peer.accept();
                peer.say(frame(0x81, "hello").repeat(200));
                peer.say(frame(0x88, b"\x03\xe8"));
                peer.rest();
            });
            number < APPS - 1
        });
        let (wake, woken) = mpsc::channel();
        let mut tasks: Vec<Option<AppTask<'_>>> = (0..APPS)
            .map(|number| {
                let wake = wake.clone();
                let wake = move || {
                    let _ = wake.send(number);
                };
                Some(WebSocketApp::new(&url).into_task(wake).unwrap())
            })
            .collect();
        let mut received = 0;
        while tasks.iter().any(Option::is_some) {
            for slot in &mut tasks {
                let Some(task) = slot else { continue };
                match task.advance() {
                    AppStep::Connect(_) => unreachable!("it has no connector"),
                    AppStep::Wait(_) | AppStep::Again => {}
                    AppStep::Over(outcome) => {
                        assert_eq!(outcome.unwrap().cause, CloseCause::Remote);
                        received += task.handle().statistics().messages_received;
                        *slot = None;
                    }
                }
            }
            let _ = woken.recv_timeout(ms(1));
        }
        assert_eq!(received, 200 * APPS as u64);
        join(server);
    });
}
