//! Whatever the order in which threads wake the loop of many apps and add apps to it, no wake-up is lost, and no app.
//!
//! Played as the scenarios of [`schedules`](super::schedules) are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::exploring::explore;
use crate::app::WebSocketApp;
use crate::app::many_apps::wakeups::{WakeFlag, Wakeups};
use crate::sync::{AtomicU64, Condvar, Mutex, thread};

/// What the loop waits in: a poll without sockets.
#[derive(Default)]
struct Poll {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Poll {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_all();
    }

    /// Waits for a wake-up since the last wait began.
    fn wait(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.changed.wait(woken).unwrap();
        }
        *woken = false;
    }
}

fn wakeups() -> (Arc<Wakeups<'static>>, Arc<Poll>) {
    let poll = Arc::new(Poll::default());
    let waker = Arc::clone(&poll);
    (Arc::new(Wakeups::new(move || waker.wake())), poll)
}

#[test]
fn whoever_has_done_something_before_a_wake_is_seen_by_the_loop() {
    const APPS: usize = 2;
    const DONE: u64 = 6;

    explore(|| {
        let (wakeups, poll) = wakeups();
        let flags: Vec<WakeFlag> = (0..APPS).map(|_| WakeFlag::default()).collect();
        let done: Arc<Vec<AtomicU64>> = Arc::new((0..APPS).map(|_| AtomicU64::new(0)).collect());
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                let done = Arc::clone(&done);
                let wakes: Vec<_> = (0..APPS).map(|app| wakeups.app_waker(app, flags[app].clone())).collect();
                thread::spawn(move || {
                    for step in 0..DONE as usize {
                        let app = (worker + step) % APPS;
                        done[app].fetch_add(1, Ordering::SeqCst);
                        wakes[app]();
                    }
                })
            })
            .collect();
        // The loop ends when it has seen all; a wake-up that is lost leaves it waiting, which is found out.
        let mut seen = [0; APPS];
        let mut turns = 0;
        while seen.iter().sum::<u64>() < 2 * DONE {
            poll.wait();
            while let Some(app) = wakeups.take_woken() {
                flags[app].clear();
                seen[app] = done[app].load(Ordering::SeqCst);
                turns += 1;
            }
        }
        assert!(turns <= 2 * DONE, "{turns} turns for {} wakes", 2 * DONE);
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
}

#[test]
fn an_app_is_driven_or_refused_whenever_it_is_added() {
    explore(|| {
        let (wakeups, poll) = wakeups();
        wakeups.open();
        let accepted = Arc::new(Mutex::new(0));
        let adders: Vec<_> = (0..2)
            .map(|_| {
                let (wakeups, accepted) = (Arc::clone(&wakeups), Arc::clone(&accepted));
                thread::spawn(move || {
                    for _ in 0..2 {
                        if wakeups.add(WebSocketApp::new("ws://unused/")).is_ok() {
                            *accepted.lock().unwrap() += 1;
                        }
                    }
                })
            })
            .collect();
        let mut driven = 0;
        loop {
            driven += wakeups.take_added().len();
            if driven > 0 && wakeups.close_if_none_added() {
                break;
            }
            if driven == 0 {
                // One of them at least is accepted, since the loop has not ended.
                poll.wait();
            }
        }
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        assert_eq!(driven, *accepted.lock().unwrap());
        assert_eq!(wakeups.count_added(), 0);
    });
}
