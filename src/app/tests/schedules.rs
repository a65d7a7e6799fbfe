//! Whatever the order in which threads do what they do, a run ends, and in order.
//!
//! Each scenario is played many times. With `--cfg shuttle` one scheduler explores 10,000 orders of it, switching threads at each lock,
//! wait and atomic of the app and of the connection below it, and time is simulated; without, it is played with real threads over
//! loopback, less often.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::chance::{below, dawdle, wait_up_to};
use super::exploring::explore;
use super::peer::Habit;
use super::round::{CLOSE, Heard, INTERVAL, Round, TIMEOUT, act, closes, join, lock, sends, sent};
use crate::app::{CallbackPolicy, Overflow, Reconnect, WebSocketApp};
use crate::cancellation::Cancellation;
use crate::error::{CloseCause, Error};
use crate::options::ConnectOptions;
use crate::sync::thread;
use crate::websocket::CloseCode;

fn pinging(app: WebSocketApp<'static>) -> WebSocketApp<'static> {
    app.ping_interval(INTERVAL).ping_timeout(TIMEOUT)
}

/// Panics as a callback may, and as quietly as it goes.
fn panics() {
    resume_unwind(Box::new("expected by this test"));
}

#[test]
fn senders_race_a_close() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Polite]);
        round.race(app, [sends(), sends(), closes()]).unwrap();
    });
}

#[test]
fn closes_race_each_other_and_a_stop() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Says(2)]);
        round.race(app, [closes(), closes(), act(|app| app.stop())]).unwrap();
    });
}

#[test]
fn a_close_races_the_peers() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Closes, Habit::Polite]));
        round.race(app, [closes(), sends()]).unwrap();
    });
}

#[test]
fn a_close_races_a_drop() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Drops]);
        round.race(app, [sends(), closes()]).unwrap();
    });
}

#[test]
fn a_stop_races_connections_that_are_dropped_and_refused() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Drops, Habit::Refuses, Habit::Drops]));
        let stop = act(|app| {
            wait_up_to(2 * CLOSE);
            app.stop();
        });
        round.race(app, [stop, sends()]).unwrap();
    });
}

#[test]
fn a_close_in_a_callback_races_one_from_outside() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Says(3)]).on_data(|app, _, _, _| {
            sent(app.send_text("echo"), true);
            app.close().unwrap();
            sent(app.send_text("too late"), false);
        });
        round.race(app, [closes(), sends()]).unwrap();
        // Of several messages, those after the close were not handed out.
        assert!(round.count(&Heard::Message) <= 1);
    });
}

#[test]
fn callbacks_that_panic_race_a_close() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Says(3), Habit::Pings]));
        let app = app.on_data(|_, _, _, _| panics()).on_pong(|_, _| panics()).on_ping(|_, _| panics());
        round.race(app, [closes()]).unwrap();
    });
}

#[test]
fn a_panic_that_ends_the_run_races_the_peers_close_and_a_drop() {
    explore(|| {
        let round = Round::default();
        let app = round.app([[Habit::Closes, Habit::Drops, Habit::Says(1)][below(3) as usize], Habit::Says(1)]);
        let app = app.callback_panics(CallbackPolicy::Stop).on_data(|_, _, _, _| panics());
        let ended = round.race(app, [sends()]);
        assert!(matches!(ended, Err(Error::Other(_))), "{ended:?}");
    });
}

#[test]
fn a_ping_timeout_races_a_late_pong() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Late]));
        let close = act(|app| {
            wait_up_to(8 * TIMEOUT);
            app.close().unwrap();
        });
        round.race(app, [close]).unwrap();
    });
}

#[test]
fn a_ping_timeout_races_a_close_and_senders() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Silent]));
        let close = act(|app| {
            wait_up_to(INTERVAL + 2 * TIMEOUT);
            app.close().unwrap();
        });
        round.race(app, [close, sends()]).unwrap();
    });
}

#[test]
fn a_close_races_a_back_off() {
    explore(|| {
        let round = Round::default();
        // It would not end by itself.
        let app = round.app([Habit::Refuses]).reconnect(Reconnect::fixed(Duration::from_secs(3600)));
        let close = act(|app| {
            wait_up_to(2 * CLOSE);
            app.close().unwrap();
        });
        let ended = round.race(app, [close, act(|app| app.mark_healthy())]);
        // It was cancelled, or the attempt that was under way had failed.
        assert!(matches!(&ended, Ok(closed) if closed.reconnect.is_none()), "{ended:?}");
    });
}

#[test]
fn a_close_races_the_beginning_of_a_run() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Polite]);
        let handle = app.handle();
        let closer = thread::spawn(move || handle.close().unwrap());
        let ended = round.race(app, [closes()]).unwrap();
        join(closer);
        // The attempt may have failed just before it was cancelled: a chance that time passes makes the handshake time out.
        let causes = [CloseCause::Cancelled, CloseCause::Local, CloseCause::Unanswered, CloseCause::NotConnected];
        assert!(causes.contains(&ended.cause), "{ended:?}");
    });
}

#[test]
fn a_close_races_a_queue_that_is_full() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Says(6)])).queue(1, Overflow::Block).on_data(|_, _, _, _| dawdle());
        round.race(app, [closes(), sends()]).unwrap();
    });
}

#[test]
fn a_close_in_a_queued_callback_races_overflow_and_a_drop() {
    explore(|| {
        let round = Round::default();
        let overflow = [Overflow::Block, Overflow::DropOldest, Overflow::DropNewest, Overflow::Fail];
        let overflow = overflow[below(4) as usize];
        let app = round.app([Habit::Says(4), Habit::Drops, Habit::Says(4)]).queue(2, overflow);
        let messages = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&messages);
        let app = app.on_data(move |app, _, _, _| {
            dawdle();
            match count.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => {}
                2 => panics(),
                _ => app.close().unwrap(),
            }
        });
        round.race(app, [sends(), closes()]).unwrap();
        assert!(messages.load(Ordering::Relaxed) <= 4, "none is handed out after the close");
    });
}

#[test]
fn a_cancellation_of_the_users_races_openings_and_drops() {
    explore(|| {
        let round = Round::default();
        let cancellation = Cancellation::new();
        let options = ConnectOptions::new().close_timeout(CLOSE).cancellation(&cancellation);
        let app = round.app([Habit::Refuses, Habit::Drops]).options(options);
        let cancel = act(move |_| {
            wait_up_to(CLOSE);
            cancellation.cancel();
        });
        // An open connection is left alone, but then it is dropped.
        round.race(app, [cancel, sends()]).map_or_else(|error| sent::<()>(Err(error), false), |_| ());
    });
}

#[test]
fn what_an_outbox_has_taken_leaves_or_is_handed_back_exactly_once() {
    explore(|| {
        let round = Round::default();
        let app = round.app([Habit::Drops, Habit::Refuses, Habit::Polite]).outbox(8);
        let sends_on = below(2) == 0;
        let app = app.on_reconnect(move |app| if sends_on { drop(app.send_unsent()) } else { dawdle() });
        let (given, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gives = || {
            let given = Arc::clone(&given);
            act(move |app| {
                for _ in 0..3 {
                    let result = app.send_text("kept, or sent");
                    given.fetch_add(usize::from(result.is_ok()), Ordering::Relaxed);
                    sent(result, true);
                    dawdle();
                }
            })
        };
        let takes = Arc::clone(&taken);
        let take = act(move |app| {
            wait_up_to(CLOSE);
            if below(2) == 0 {
                sent(app.send_unsent(), true);
            }
            takes.fetch_add(app.take_unsent().len(), Ordering::Relaxed);
            dawdle();
            app.close().unwrap();
        });
        let handle = app.handle();
        // What it opens with is not noted, so nothing of its order is asserted.
        let app = app.spawn().unwrap();
        let others: Vec<_> = [gives(), gives(), take]
            .into_iter()
            .map(|act| {
                let handle = handle.clone();
                thread::spawn(move || act(&handle))
            })
            .collect();
        others.into_iter().for_each(join);
        app.join().unwrap();
        let left = handle.take_unsent().len() + taken.load(Ordering::Relaxed);
        let sent = usize::try_from(handle.statistics().messages_sent).unwrap();
        assert_eq!(given.load(Ordering::Relaxed), sent + left);
        round.join_servers();
    });
}

#[test]
fn a_reconnect_races_a_close_a_drop_a_back_off_and_senders() {
    explore(|| {
        let round = Round::default();
        let habits = [Habit::Says(2), [Habit::Polite, Habit::Drops, Habit::Refuses][below(3) as usize], Habit::Polite];
        let app = pinging(round.app(habits));
        let app = if below(2) == 0 { app } else { app.queue(1, Overflow::Block) };
        let reconnects = || {
            act(|app| {
                dawdle();
                app.reconnect(CloseCode::NORMAL, "again").unwrap();
            })
        };
        let close = act(|app| {
            wait_up_to(2 * CLOSE);
            app.close().unwrap();
        });
        let ended = round.race(app, [reconnects(), reconnects(), sends(), close]);
        assert!(matches!(&ended, Ok(closed) if closed.reconnect.is_none()), "{ended:?}");
    });
}

#[test]
fn a_large_message_races_the_keepalive_a_drop_and_a_stop() {
    explore(|| {
        let round = Round::default();
        let app = pinging(round.app([Habit::Deaf, Habit::Polite]));
        let large = act(|app| sent(app.send_binary(&[7; 5000]), true));
        let stop = act(|app| {
            wait_up_to(4 * CLOSE);
            app.stop();
        });
        round.race(app, [large, sends(), stop]).unwrap();
    });
}

#[test]
fn late_closes_race_the_next_run() {
    explore(|| {
        let round = Round::default();
        let mut app = round.app([Habit::Says(1)]).on_data(|app, _, _, _| app.close());
        let handle = app.handle();
        let closers: Vec<_> = (0..2)
            .map(|_| {
                let handle = handle.clone();
                thread::spawn(move || {
                    wait_up_to(CLOSE);
                    handle.close().unwrap();
                })
            })
            .collect();
        let ends = Mutex::new(Vec::new());
        for _ in 0..2 {
            let ended = app.run_forever().unwrap();
            assert!(!handle.is_running());
            lock(&ends).push(ended);
        }
        closers.into_iter().for_each(join);
        assert!(lock(&ends).iter().all(|closed| closed.reconnect.is_none()));
    });
}

#[test]
fn apps_that_share_the_thread_for_pings_end_in_any_order() {
    explore(|| {
        let apps = [Habit::Polite, Habit::Late].map(|habit| {
            thread::spawn(move || {
                let round = Round::default();
                let app = pinging(round.app([habit, Habit::Polite]));
                drop(round.race(app, [closes()]));
            })
        });
        apps.into_iter().for_each(join);
    });
}
