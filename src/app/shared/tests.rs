//! What the threads of an app do to each other, with a connection that is none.

use std::sync::atomic::AtomicU32;
use std::thread;

use super::*;
use crate::app::keepalive::PingOptions;
use crate::app::ping_thread::PingRegistration;
use crate::error::CloseCause;
use crate::message::MessageRef;
use crate::net::tests::cases::Cases;
use crate::protocol::LocalProtocolError;
use crate::websocket::{ActivitySnapshot, PingStatus, not_connected};

/// Counts what is done to it.
#[derive(Clone, Debug, Default)]
struct Wire(Arc<Done>);

#[derive(Debug, Default)]
struct Done {
    closes: AtomicU32,
    leaves: AtomicU32,
    given_up: AtomicU32,
    pings: AtomicU32,
    sent: Mutex<Vec<String>>,
    received: AtomicU64,
    /// Whether something lies in the socket.
    has_arrived: AtomicBool,
    /// Whether nothing can be sent.
    is_broken: AtomicBool,
    is_in_event_loop: AtomicBool,
    /// Whether this thread is in the midst of what a Close cannot end.
    is_busy: AtomicBool,
    /// Happens while a ping is sent, once.
    during_ping: Mutex<Option<Deed>>,
    /// Happens while a message is sent, once.
    during_send: Mutex<Option<Deed>>,
}

struct Deed(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FnOnce()")
    }
}

impl Link for Wire {
    fn check_close(&self) -> Result<()> {
        if self.0.is_busy.load(Ordering::SeqCst) {
            Err(Error::Usage(LocalProtocolError::SendingMessage))
        } else {
            Ok(())
        }
    }

    fn close(&self, _: CloseCode, _: &str) -> Result<()> {
        self.check_close()?;
        self.0.closes.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.close(code, reason)
    }

    fn disconnect(&self) {
        self.0.leaves.fetch_add(1, Ordering::SeqCst);
    }

    fn fail_silent(&self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }

    fn send_ping(&self, _: &[u8]) -> Result<PingStatus> {
        self.0.pings.fetch_add(1, Ordering::SeqCst);
        let during_ping = self.0.during_ping.lock().unwrap().take();
        during_ping.into_iter().for_each(|deed| (deed.0)());
        if self.0.is_broken.load(Ordering::SeqCst) { Err(not_connected()) } else { Ok(PingStatus::Left) }
    }

    fn flush_ping(&self) -> PingStatus {
        PingStatus::Left
    }

    fn gathered(&self) -> u64 {
        0
    }

    fn has_arrived(&self) -> bool {
        self.0.has_arrived.load(Ordering::SeqCst)
    }

    fn send(&self, message: MessageRef<'_>) -> Result<()> {
        let during_send = self.0.during_send.lock().unwrap().take();
        during_send.into_iter().for_each(|deed| (deed.0)());
        if self.0.is_broken.load(Ordering::SeqCst) {
            return Err(not_connected());
        }
        self.0.sent.lock().unwrap().push(String::from_utf8(message.as_bytes().to_vec()).unwrap());
        Ok(())
    }

    fn send_timeout(&self) -> Duration {
        MINUTE
    }

    fn is_in_event_loop(&self) -> bool {
        self.0.is_in_event_loop.load(Ordering::SeqCst)
    }

    /// Somebody listens, and nothing comes.
    fn activity(&self) -> ActivitySnapshot {
        ActivitySnapshot { received: self.0.received.load(Ordering::SeqCst), waiting: true }
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

fn send_pings(shared: &Arc<Shared<Wire>>) -> PingRegistration {
    PingRegistration::new(Arc::<Shared<Wire>>::clone(shared)).unwrap()
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

    for ends in [|shared: &Shared<Wire>| drop(shared.close(CloseCode::ABNORMAL_CLOSURE, "")), Shared::disconnect] {
        let (shared, wire) = (shared(), Wire::default());
        let cancellation = shared.begin();
        assert!(shared.opened(wire.clone(), None, None).is_some());
        let _watch = cancellation.watch(|| panic!("on purpose"));
        let caught = catch_unwind(AssertUnwindSafe(|| ends(&shared))).unwrap_err();
        assert_eq!(caught.downcast_ref::<&str>(), Some(&"on purpose"));
        assert!(shared.is_stopping());
        let done = wire.0.closes.load(Ordering::SeqCst) + wire.0.leaves.load(Ordering::SeqCst);
        assert_eq!(done, 1, "the connection is closed nevertheless");
    }
    for cancels in [Shared::disconnect, Shared::cancel] {
        let shared = shared();
        let cancellation = shared.begin();
        let start = Instant::now();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| shared.back_off(Instant::now() + MINUTE / 6));
            thread::sleep(ms(50));
            let _watch = cancellation.watch(|| panic!("on purpose"));
            catch_unwind(AssertUnwindSafe(|| cancels(&shared))).unwrap_err();
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
    assert!(shared.opened(Wire::default(), None, None).is_none());
    finish(&shared);
    close(&shared);
    assert!(!shared.begin().is_cancelled() && !shared.is_stopping());
    assert!(shared.opened(Wire::default(), None, None).is_some());
}

#[test]
fn a_close_reaches_the_connection_that_is_open_and_no_other() {
    let shared = shared();
    let (first, second) = (Wire::default(), Wire::default());
    shared.begin();
    assert!(shared.opened(first.clone(), None, None).is_some() && shared.is_running());
    shared.lost(&lost());
    assert!(shared.link(None).is_none() && shared.is_running());
    assert!(shared.opened(second.clone(), None, None).is_some());
    close(&shared);
    shared.disconnect();
    assert_eq!(first.0.closes.load(Ordering::SeqCst), 0);
    assert_eq!((second.0.closes.load(Ordering::SeqCst), second.0.leaves.load(Ordering::SeqCst)), (1, 1));
    finish(&shared);
    assert!(!shared.is_running() && shared.link(None).is_none());
}

#[test]
fn a_wait_ends_at_its_time_or_when_nobody_wants_it_any_more() {
    let ends: [fn(&Shared<Wire>); 3] = [close, Shared::disconnect, Shared::cancel];
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
    let shared = Arc::new(shared());
    let (first, second) = (Wire::default(), Wire::default());
    shared.begin();
    let registration = send_pings(&shared);
    for wire in [&first, &second] {
        assert!(shared.opened(wire.clone(), keepalive(5, 60_000), None).is_some());
        while wire.0.pings.load(Ordering::SeqCst) < 3 {
            thread::sleep(ms(1));
        }
        shared.lost(&lost());
    }
    finish(&shared);
    drop(registration);
    let ended = [&first, &second].map(|wire| wire.0.pings.load(Ordering::SeqCst));
    thread::sleep(ms(20));
    assert_eq!([&first, &second].map(|wire| wire.0.pings.load(Ordering::SeqCst)), ended);
    assert!(shared.statistics().last_ping.is_some());
}

#[test]
fn a_ping_that_has_not_left_is_not_the_last_one() {
    let (shared, wire) = (shared(), Wire::default());
    shared.begin();
    shared.opened(wire.clone(), keepalive(1, 60_000), None);
    for is_broken in [true, false] {
        wire.0.is_broken.store(is_broken, Ordering::SeqCst);
        thread::sleep(ms(5));
        shared.poll_keepalive();
        assert_eq!(shared.statistics().last_ping.is_none(), is_broken);
    }
    assert_eq!(wire.0.pings.load(Ordering::SeqCst), 2);
}

#[test]
fn a_silent_connection_is_given_up_once() {
    let shared = Arc::new(shared());
    let wire = Wire::default();
    shared.begin();
    let _registration = send_pings(&shared);
    assert!(shared.opened(wire.clone(), keepalive(10, 10), None).is_some());
    thread::sleep(ms(100));
    finish(&shared);
    assert_eq!(wire.0.given_up.load(Ordering::SeqCst), 1);
}

#[test]
fn an_answer_that_lies_in_the_socket_is_waited_for_but_not_for_ever() {
    let mut cases = Cases::new();
    for is_read in [true, false] {
        cases.add(format!("read: {is_read}"), move || {
            let (shared, wire) = (shared(), Wire::default());
            wire.0.has_arrived.store(true, Ordering::SeqCst);
            shared.begin();
            let start = Instant::now();
            assert!(shared.opened(wire.clone(), keepalive(20, 200), None).is_some());
            while shared.poll_keepalive() != PingOutcome::Dead && start.elapsed() < ms(1000) {
                if is_read && start.elapsed() >= ms(260) {
                    wire.0.received.store(1 + start.elapsed().as_millis() as u64 / 30, Ordering::SeqCst);
                }
                thread::sleep(ms(1));
            }
            // An interval, a timeout, and another one.
            let found = start.elapsed();
            let given_up = wire.0.given_up.load(Ordering::SeqCst);
            assert!(found >= ms(420), "{found:?}");
            assert_eq!(given_up, u32::from(!is_read), "{found:?}");
        });
    }
    cases.run(10);
}

#[test]
fn a_connection_that_takes_no_pings_is_not_missed_for_it() {
    let shared = Arc::new(shared());
    let wire = Wire::default();
    wire.0.is_broken.store(true, Ordering::SeqCst);
    shared.begin();
    let _registration = send_pings(&shared);
    assert!(shared.opened(wire.clone(), keepalive(5, 1), None).is_some());
    thread::sleep(ms(60));
    finish(&shared);
    assert!(wire.0.pings.load(Ordering::SeqCst) > 2);
    assert_eq!(wire.0.given_up.load(Ordering::SeqCst), 0);
}

#[test]
fn health_belongs_to_one_connection() {
    let shared = shared();
    shared.begin();
    shared.mark_healthy(None);
    assert!(shared.opened(Wire::default(), None, None).is_some());
    assert!(!shared.lost(&lost()).is_healthy);
    assert!(shared.opened(Wire::default(), None, None).is_some());
    shared.mark_healthy(None);
    assert!(shared.lost(&lost()).is_healthy);
    assert!(shared.opened(Wire::default(), None, None).is_some());
    assert!(!shared.lost(&lost()).is_healthy);
}

#[test]
fn many_threads_may_close_while_connections_come_and_go() {
    for round in 0..200 {
        let shared = Arc::new(shared());
        let cancellation = shared.begin();
        let _registration = send_pings(&shared);
        let wires: Vec<Wire> = (0..20).map(|_| Wire::default()).collect();
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    thread::sleep(Duration::from_micros(round));
                    close(&shared);
                });
            }
            for wire in &wires {
                if shared.opened(wire.clone(), keepalive(1, 1), None).is_none() {
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

/// What the outbox holds.
fn unsent(shared: &Shared<Wire>) -> Vec<String> {
    shared
        .outbox(|outbox| outbox.take())
        .iter()
        .map(|message| String::from_utf8_lossy(message.as_bytes()).into())
        .collect()
}

fn with_outbox() -> Shared<Wire> {
    let shared = shared();
    shared.outbox(|outbox| outbox.set_capacity(10_000));
    shared.begin();
    shared
}

#[test]
fn nothing_is_kept_behind_the_back_of_a_connection_that_opens() {
    for round in 0..2000 {
        let (shared, wire) = (with_outbox(), Wire::default());
        let start = std::sync::Barrier::new(3);
        let taken = thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    (0..3).for_each(|_| shared.send(None, "m".into()).unwrap());
                });
            }
            start.wait();
            let number = shared.opened(wire.clone(), None, None).unwrap();
            shared.begin_on_open(number);
            let taken = unsent(&shared).len();
            shared.end_on_open(number).unwrap();
            taken
        });
        assert_eq!(unsent(&shared), [""; 0], "round {round}");
        assert_eq!(taken + wire.0.sent.lock().unwrap().len(), 6, "round {round}");
    }
}

#[test]
fn what_each_thread_sends_leaves_in_its_order_whatever_opens_and_whoever_empties_the_outbox() {
    const EACH: usize = 200;
    for round in 0..50 {
        let (shared, wire) = (with_outbox(), Wire::default());
        thread::scope(|scope| {
            for name in ["a", "b"] {
                let shared = &shared;
                scope.spawn(move || {
                    (0..EACH).for_each(|number| shared.send(None, (&*format!("{name}{number:04}")).into()).unwrap());
                });
            }
            thread::sleep(Duration::from_micros(10 * round));
            let number = shared.opened(wire.clone(), None, None).unwrap();
            shared.begin_on_open(number);
            shared.send(None, "login".into()).unwrap();
            if round % 2 == 0 {
                shared.send_unsent(Some(number)).unwrap();
            } else {
                let taken = unsent(&shared);
                taken.iter().for_each(|message| shared.send(Some(number), (&**message).into()).unwrap());
            }
            shared.end_on_open(number).unwrap();
            // Another thread may do it as well.
            scope.spawn(|| shared.send_unsent(None).unwrap());
        });
        let sent = wire.0.sent.lock().unwrap().clone();
        assert_eq!((sent.len(), &*sent[0]), (2 * EACH + 1, "login"), "round {round}");
        for name in ["a", "b"] {
            let of_one: Vec<&String> = sent.iter().filter(|message| message.starts_with(name)).collect();
            assert!(of_one.is_sorted(), "round {round}: {of_one:?}");
        }
        assert_eq!(unsent(&shared), [""; 0]);
    }
}

#[test]
fn what_did_not_leave_is_kept_in_its_place() {
    let (shared, broken, whole) = (with_outbox(), Wire::default(), Wire::default());
    ["a", "b"].iter().for_each(|text| shared.send(None, (*text).into()).unwrap());
    broken.0.is_broken.store(true, Ordering::SeqCst);
    let number = shared.opened(broken, None, None).unwrap();
    shared.begin_on_open(number);
    shared.send_unsent(Some(number)).unwrap_err();
    thread::scope(|scope| scope.spawn(|| shared.send(None, "c".into()).unwrap()).join().unwrap());
    shared.end_on_open(number).unwrap_err();
    shared.lost(&lost());
    shared.send(None, "d".into()).unwrap();
    shared.send(Some(number), "late".into()).unwrap_err();

    let number = shared.opened(whole.clone(), None, None).unwrap();
    shared.begin_on_open(number);
    shared.send_unsent(Some(number)).unwrap();
    shared.end_on_open(number).unwrap();
    assert_eq!(*whole.0.sent.lock().unwrap(), ["a", "b", "c", "d"]);
    assert_eq!(unsent(&shared), [""; 0]);
}

/// A send on a connection that is lost may return when the next one is open already.
#[test]
fn a_send_that_fails_late_holds_back_nothing_of_the_next_connection() {
    for is_released in [false, true] {
        let (shared, broken, whole) = (Arc::new(with_outbox()), Wire::default(), Wire::default());
        ["old", "older"].iter().rev().for_each(|text| shared.send(None, (*text).into()).unwrap());
        broken.0.is_broken.store(true, Ordering::SeqCst);
        let number = shared.opened(broken.clone(), None, None).unwrap();
        shared.begin_on_open(number);
        shared.end_on_open(number).unwrap();
        let replacing = (Arc::clone(&shared), whole.clone());
        let replace = Deed(Box::new(move || {
            let (shared, whole) = replacing;
            shared.lost(&lost());
            assert!(shared.opened(whole, None, None).is_some());
            // Its `on_open` is due: this leaves when that has returned.
            shared.send(None, "new".into()).unwrap();
        }));
        *broken.0.during_send.lock().unwrap() = Some(replace);
        shared.send_unsent(None).unwrap_err();

        let next = number + 1;
        shared.begin_on_open(next);
        if is_released {
            shared.send_unsent(Some(next)).unwrap();
        }
        shared.end_on_open(next).unwrap();
        let expected = if is_released { ("older old new", "") } else { ("new", "older old") };
        let sent = whole.0.sent.lock().unwrap().join(" ");
        assert_eq!((&*sent, &*unsent(&shared).join(" ")), expected);
    }
}

/// In a loop nobody waits for who sends the outbox: what is sent meanwhile lies behind it.
#[test]
fn what_is_put_behind_the_outbox_while_another_thread_sends_it_wakes_the_loop() {
    let (shared, wire) = (Arc::new(with_outbox()), Wire::default());
    wire.0.is_in_event_loop.store(true, Ordering::SeqCst);
    let woken = Arc::new(AtomicU32::new(0));
    let wakes = Arc::clone(&woken);
    shared.set_waker(Arc::new(move || {
        wakes.fetch_add(1, Ordering::SeqCst);
    }));
    shared.send(None, "a".into()).unwrap();
    let number = shared.opened(wire.clone(), None, None).unwrap();
    shared.begin_on_open(number);
    shared.end_on_open(number).unwrap();
    let other = Arc::clone(&shared);
    let send = Deed(Box::new(move || other.send(None, "b".into()).unwrap()));
    *wire.0.during_send.lock().unwrap() = Some(send);
    shared.send_unsent(None).unwrap();
    assert_eq!((wire.0.sent.lock().unwrap().join(" "), woken.load(Ordering::SeqCst)), ("a".to_owned(), 1));
    assert_eq!(shared.continue_draining().unwrap(), DrainOutcome::Empty);
    assert_eq!(wire.0.sent.lock().unwrap().join(" "), "a b");
    shared.send_unsent(None).unwrap();
    assert_eq!(woken.load(Ordering::SeqCst), 1, "there is nothing to do");
}

#[test]
fn a_ping_counts_for_its_own_connection_only() {
    let shared = Arc::new(shared());
    let (first, second) = (Wire::default(), Wire::default());
    shared.begin();
    assert!(shared.opened(first.clone(), keepalive(1, 60_000), None).is_some());
    let replacing = (Arc::clone(&shared), second.clone());
    let replace = Deed(Box::new(move || {
        let (shared, second) = replacing;
        shared.lost(&lost());
        assert!(shared.opened(second, keepalive(60_000, 10), None).is_some());
    }));
    *first.0.during_ping.lock().unwrap() = Some(replace);
    thread::sleep(ms(5));
    let start = Instant::now();
    while start.elapsed() < ms(100) {
        assert_ne!(shared.poll_keepalive(), PingOutcome::Dead, "it was not asked anything");
        thread::sleep(ms(1));
    }
    let pings = [&first, &second].map(|wire| wire.0.pings.load(Ordering::SeqCst));
    assert_eq!((pings, second.0.given_up.load(Ordering::SeqCst)), ([1, 0], 0));
}

/// Nothing more of a connection is used that the application has closed to have another one, although its end was not told yet.
#[test]
fn a_connection_that_is_to_be_replaced_is_open_to_nobody() {
    let (shared, first, second) = (shared(), Wire::default(), Wire::default());
    let open = |wire: &Wire| {
        let number = shared.opened(wire.clone(), None, None).unwrap();
        shared.begin_on_open(number);
        shared.end_on_open(number).unwrap();
    };
    shared.outbox(|outbox| outbox.set_capacity(9));
    shared.begin();
    open(&first);
    assert!(shared.wait_open(Duration::ZERO));
    shared.reconnect(None, CloseCode(4000), "").unwrap();
    assert!(!shared.wait_open(Duration::ZERO));
    shared.send(None, "for the next one".into()).unwrap();
    assert!(shared.lost(&lost()).is_replaced);
    open(&second);
    shared.send_unsent(None).unwrap();
    assert_eq!(*first.0.sent.lock().unwrap(), [""; 0]);
    assert_eq!(*second.0.sent.lock().unwrap(), ["for the next one"]);
}

#[test]
fn a_reconnect_that_is_refused_changes_nothing() {
    let (shared, wire) = (shared(), Wire::default());
    shared.begin();
    let number = shared.opened(wire.clone(), None, None).unwrap();
    shared.begin_on_open(number);
    shared.end_on_open(number).unwrap();
    wire.0.is_busy.store(true, Ordering::SeqCst);
    assert!(matches!(shared.reconnect(None, CloseCode(4000), ""), Err(Error::Usage(_))));
    assert!(!shared.is_discarding(number) && shared.wait_open(Duration::ZERO));
    shared.send(None, "goes on".into()).unwrap();
    assert!(!shared.lost(&lost()).is_replaced);
    assert_eq!(
        (wire.0.closes.load(Ordering::SeqCst), wire.0.sent.lock().unwrap().join(" ")),
        (0, "goes on".to_owned())
    );
}

#[test]
fn a_close_that_is_refused_changes_nothing() {
    let (shared, wire) = (shared(), Wire::default());
    shared.begin();
    let number = shared.opened(wire.clone(), None, None).unwrap();
    wire.0.is_busy.store(true, Ordering::SeqCst);
    assert!(matches!(shared.close(CloseCode(4000), ""), Err(Error::Usage(_))));
    assert!(matches!(shared.try_close(CloseCode(4000), ""), Err(Error::Usage(_))));
    assert!(!shared.is_stopping() && !shared.is_discarding(number));
    wire.0.is_busy.store(false, Ordering::SeqCst);
    shared.close(CloseCode(4000), "").unwrap();
    assert!(shared.is_stopping());
    assert_eq!(wire.0.closes.load(Ordering::SeqCst), 1);
}

/// Who opens the next connection waits only so long for a send that hangs on the one before.
#[test]
fn what_waits_behind_a_send_that_is_very_late_leaves_when_that_has_ended() {
    for is_broken in [false, true] {
        let (shared, late, next) = (Arc::new(with_outbox()), Wire::default(), Wire::default());
        shared.send(None, "old".into()).unwrap();
        late.0.is_broken.store(is_broken, Ordering::SeqCst);
        let number = shared.opened(late.clone(), None, None).unwrap();
        shared.begin_on_open(number);
        shared.end_on_open(number).unwrap();
        let replacing = (Arc::clone(&shared), next.clone());
        let replace = Deed(Box::new(move || {
            let (shared, wire) = replacing;
            shared.lost(&lost());
            let next = shared.opened(wire, None, None).unwrap();
            shared.send(None, "new".into()).unwrap();
            shared.begin_on_open(next);
            shared.end_on_open(next).unwrap();
        }));
        *late.0.during_send.lock().unwrap() = Some(replace);
        shared.send_unsent(None).unwrap_err();

        // Nobody else would send it, and all others would wait for that.
        assert_eq!(next.0.sent.lock().unwrap().join(" "), "new");
        shared.send(None, "newer".into()).unwrap();
        assert_eq!(next.0.sent.lock().unwrap().join(" "), "new newer");
        assert_eq!(unsent(&shared), if is_broken { vec!["old"] } else { vec![] });
    }
}
