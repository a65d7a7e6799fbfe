//! What the threads of an app do to each other, with a connection that is none.

use std::sync::atomic::AtomicU32;
use std::thread;

use super::*;
use crate::app::keepalive::PingOptions;
use crate::error::CloseCause;
use crate::websocket::not_connected;

/// Counts what is done to it.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<Done>);

#[derive(Debug, Default)]
struct Done {
    closes: AtomicU32,
    leaves: AtomicU32,
    given_up: AtomicU32,
    pings: AtomicU32,
    /// Whether a ping cannot be sent.
    is_broken: AtomicBool,
}

impl Link for Wire {
    fn close(&self, _: CloseCode, _: &str) -> Result<()> {
        self.0.closes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn leave(&self) {
        self.0.leaves.fetch_add(1, Ordering::SeqCst);
    }

    fn give_up(&self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }

    fn ping(&self, _: &[u8], _: Option<Duration>) -> Result<()> {
        self.0.pings.fetch_add(1, Ordering::SeqCst);
        if self.0.is_broken.load(Ordering::SeqCst) { Err(not_connected()) } else { Ok(()) }
    }

    /// Somebody listens, and nothing comes.
    fn activity(&self) -> ActivitySnapshot {
        ActivitySnapshot { received: 0, waiting: true }
    }
}

const MINUTE: Duration = Duration::from_secs(60);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn shared() -> Shared<Wire> {
    Shared::new(Outbox::default())
}

fn lost() -> CloseInfo {
    CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Aborted)
}

fn keepalive(interval: u64, timeout: u64) -> Option<Keepalive> {
    let options = PingOptions { interval: Some(ms(interval)), timeout: Some(ms(timeout)), payload: None };
    options.start(Instant::now())
}

fn finish(shared: &Shared<Wire>) {
    shared.finish(Err(not_connected()));
}

fn close(shared: &Shared<Wire>) {
    shared.close(CloseCode::NORMAL, "").unwrap();
}

#[test]
fn a_waker_that_panics_keeps_nobody_from_being_stopped() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    for ends in [|shared: &Shared<Wire>| drop(shared.close(CloseCode::ABNORMAL_CLOSURE, "")), Shared::leave] {
        let (shared, wire) = (shared(), Wire::default());
        let cancellation = shared.begin();
        assert!(shared.opened(wire.clone(), None, None));
        let _watch = cancellation.watch(|| panic!("on purpose"));
        let caught = catch_unwind(AssertUnwindSafe(|| ends(&shared))).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"));
        assert!(shared.is_stopping());
        let done = wire.0.closes.load(Ordering::SeqCst) + wire.0.leaves.load(Ordering::SeqCst);
        assert_eq!(done, 1, "the connection is closed nevertheless");
    }
    for calls_off in [Shared::leave, Shared::call_off] {
        let shared = shared();
        let cancellation = shared.begin();
        let start = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| shared.back_off(Instant::now() + MINUTE / 6));
            thread::sleep(ms(50));
            let _watch = cancellation.watch(|| panic!("on purpose"));
            catch_unwind(AssertUnwindSafe(|| calls_off(&shared))).unwrap_err();
            assert!(!waiting.join().unwrap());
        });
        assert!(start.elapsed() < MINUTE / 12, "who waits for the next attempt was not woken");
    }
}

#[test]
fn a_close_before_the_first_run_is_for_that_run_and_one_after_it_for_none() {
    let shared = shared();
    close(&shared);
    assert!(shared.begin().is_cancelled() && shared.is_stopping());
    assert!(!shared.opened(Wire::default(), None, None));
    finish(&shared);
    close(&shared);
    assert!(!shared.begin().is_cancelled() && !shared.is_stopping());
    assert!(shared.opened(Wire::default(), None, None));
}

#[test]
fn a_close_reaches_the_connection_that_is_open_and_no_other() {
    let shared = shared();
    let (first, second) = (Wire::default(), Wire::default());
    shared.begin();
    assert!(shared.opened(first.clone(), None, None) && shared.is_running());
    shared.lost(&lost());
    assert!(shared.link().is_none() && shared.is_running());
    assert!(shared.opened(second.clone(), None, None));
    close(&shared);
    shared.leave();
    assert_eq!(first.0.closes.load(Ordering::SeqCst), 0);
    assert_eq!((second.0.closes.load(Ordering::SeqCst), second.0.leaves.load(Ordering::SeqCst)), (1, 1));
    finish(&shared);
    assert!(!shared.is_running() && shared.link().is_none());
}

#[test]
fn a_wait_ends_at_its_time_or_when_nobody_wants_it_any_more() {
    let ends: [fn(&Shared<Wire>); 3] = [close, Shared::leave, Shared::call_off];
    for end in ends {
        let shared = shared();
        shared.begin();
        assert!(shared.back_off(Instant::now() + ms(20)));
        thread::scope(|scope| {
            let waits = scope.spawn(|| shared.back_off(Instant::now() + MINUTE / 6));
            thread::sleep(ms(30));
            end(&shared);
            assert!(!waits.join().unwrap());
        });
        assert!(!shared.back_off(Instant::now() + MINUTE), "nor does another one begin");
    }
}

#[test]
fn pings_are_sent_on_one_connection_after_the_other_until_the_run_is_over() {
    let shared = shared();
    let (first, second) = (Wire::default(), Wire::default());
    shared.begin();
    thread::scope(|scope| {
        let keeper = scope.spawn(|| shared.keep_alive());
        for wire in [&first, &second] {
            assert!(shared.opened(wire.clone(), keepalive(5, 60_000), None));
            while wire.0.pings.load(Ordering::SeqCst) < 3 {
                thread::sleep(ms(1));
            }
            shared.lost(&lost());
        }
        finish(&shared);
        keeper.join().unwrap();
    });
    let ended = [&first, &second].map(|wire| wire.0.pings.load(Ordering::SeqCst));
    thread::sleep(ms(20));
    assert_eq!([&first, &second].map(|wire| wire.0.pings.load(Ordering::SeqCst)), ended);
    assert!(shared.statistics().last_ping.is_some());
}

#[test]
fn a_silent_connection_is_given_up_once() {
    let shared = shared();
    let wire = Wire::default();
    shared.begin();
    thread::scope(|scope| {
        scope.spawn(|| shared.keep_alive());
        assert!(shared.opened(wire.clone(), keepalive(10, 10), None));
        thread::sleep(ms(100));
        finish(&shared);
    });
    assert_eq!(wire.0.given_up.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_that_takes_no_pings_is_not_missed_for_it() {
    let shared = shared();
    let wire = Wire::default();
    wire.0.is_broken.store(true, Ordering::SeqCst);
    shared.begin();
    thread::scope(|scope| {
        scope.spawn(|| shared.keep_alive());
        assert!(shared.opened(wire.clone(), keepalive(5, 1), None));
        thread::sleep(ms(60));
        finish(&shared);
    });
    assert!(wire.0.pings.load(Ordering::SeqCst) > 2);
    assert_eq!(wire.0.given_up.load(Ordering::SeqCst), 0);
}

#[test]
fn health_belongs_to_one_connection() {
    let shared = shared();
    shared.begin();
    shared.mark_healthy();
    assert!(shared.opened(Wire::default(), None, None));
    assert!(!shared.lost(&lost()));
    assert!(shared.opened(Wire::default(), None, None));
    shared.mark_healthy();
    assert!(shared.lost(&lost()));
    assert!(shared.opened(Wire::default(), None, None));
    assert!(!shared.lost(&lost()));
}

#[test]
fn many_threads_may_close_while_connections_come_and_go() {
    for round in 0..200 {
        let shared = shared();
        let cancellation = shared.begin();
        let wires: Vec<Wire> = (0..20).map(|_| Wire::default()).collect();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    thread::sleep(Duration::from_micros(round));
                    close(&shared);
                });
            }
            scope.spawn(|| shared.keep_alive());
            for wire in &wires {
                if !shared.opened(wire.clone(), keepalive(1, 1), None) {
                    break;
                }
                shared.lost(&lost());
                if !shared.back_off(Instant::now() + Duration::from_micros(20)) {
                    break;
                }
            }
            finish(&shared);
        });
        let closes: u32 = wires.iter().map(|wire| wire.0.closes.load(Ordering::SeqCst)).sum();
        assert!(closes <= 2, "round {round}: {closes}");
        // Whoever came after the run found nothing to close.
        assert!(!shared.is_stopping());
        drop(cancellation);
    }
}
