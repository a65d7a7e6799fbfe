//! Names that resolve, hang, fail and are given up, with the platform's resolver and with a user's.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::cancellation::Cancellation;
use crate::net::deadline::Deadline;
use crate::net::wait_mode::block_on;
use crate::options::{ConnectOptions, SocketOptions};

fn soon(ms: u64) -> Deadline {
    Deadline::after(Some(Duration::from_millis(ms)))
}

fn asking(resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> ConnectOptions {
    ConnectOptions::new().resolver(resolver)
}

fn resolve(host: &str, port: u16, options: &ConnectOptions, deadline: Deadline) -> Result<Vec<SocketAddr>> {
    let limit = WaitLimit { deadline, cancellation: options.settings().cancellation.as_ref() };
    block_on(super::resolve(&WaitMode::Blocking, host, None, port, options.settings(), limit))
}

#[test]
fn addresses_need_no_resolver() {
    let never = asking(|_, _| panic!("not needed"));
    for host in ["127.0.0.1", "::1", "2a03:4000:123:83::3"] {
        let found = resolve(host, 81, &never, soon(1000)).unwrap();
        assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 81)]);
    }
}

#[test]
fn the_zone_of_an_address_is_a_number_or_a_name_of_an_interface() {
    let never = asking(|_, _| panic!("not needed"));
    let limit = WaitLimit { deadline: soon(10_000), cancellation: None };
    let zoned =
        |zone| block_on(super::resolve(&WaitMode::Blocking, "fe80::1", Some(zone), 81, never.settings(), limit));
    assert_eq!(zoned("7").unwrap(), ["[fe80::1%7]:81".parse().unwrap()]);
    if cfg!(target_os = "linux") {
        assert_eq!(zoned("lo").unwrap(), ["[fe80::1%1]:81".parse().unwrap()]);
    }
    let Err(Error::Address(error)) = zoned("no-such-0") else { panic!() };
    assert_eq!((error.host.as_str(), error.problem.kind()), ("fe80::1", io::ErrorKind::NotFound));
    assert_eq!(error.problem.to_string(), "there is no interface \"no-such-0\" for it");
}

#[test]
fn the_system_knows_localhost_with_and_without_a_deadline() {
    for deadline in [soon(10_000), Deadline::NEVER] {
        let found = resolve("localhost", 9, &ConnectOptions::new(), deadline).unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 9));
    }
}

#[test]
fn a_resolver_of_the_users_is_asked_and_its_failures_name_the_host() {
    let echo = asking(|host, port| Ok(vec![SocketAddr::from(([10, 0, 0, host.len() as u8], port))]));
    assert_eq!(resolve("abc", 7, &echo, soon(5000)).unwrap(), ["10.0.0.3:7".parse().unwrap()]);
    for failing in [asking(|_, _| Ok(Vec::new())), asking(|_, _| Err(io::ErrorKind::Other.into()))] {
        let Err(Error::Address(error)) = resolve("abc", 7, &failing, soon(5000)) else { panic!() };
        assert_eq!(error.host, "abc");
    }
}

#[test]
fn a_family_that_the_host_does_not_have_is_told() {
    let both = || asking(|_, port| Ok(vec![([10, 0, 0, 1], port).into(), ([0; 8], port).into()]));
    let only = |family| both().socket(SocketOptions::new().family(family));
    let ipv4: SocketAddr = "10.0.0.1:7".parse().unwrap();
    let ipv6: SocketAddr = "[::]:7".parse().unwrap();
    let cases = [
        (Family::Any, vec![ipv4, ipv6]),
        (Family::PreferIpv6, vec![ipv6, ipv4]),
        (Family::Ipv4Only, vec![ipv4]),
        (Family::Ipv6Only, vec![ipv6]),
    ];
    for (family, expected) in cases {
        assert_eq!(resolve("abc", 7, &only(family), soon(5000)).unwrap(), expected);
    }
    for (host, family, problem) in
        [("::1", Family::Ipv4Only, "it has no IPv4 address"), ("127.0.0.1", Family::Ipv6Only, "it has no IPv6 address")]
    {
        let Err(Error::Address(error)) = resolve(host, 7, &only(family), soon(5000)) else { panic!() };
        assert_eq!((error.host.as_str(), error.problem.to_string().as_str()), (host, problem));
    }
}

/// A resolver that hangs for names that begin with "hangs", until the gate is open, and knows all others.
#[derive(Debug)]
struct Gate {
    hanging: AtomicUsize,
    lookups: AtomicUsize,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    const fn new() -> Self {
        let (hanging, lookups) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { hanging, lookups, open: Mutex::new(false), opened: Condvar::new() }
    }

    fn look_up(&self, host: &str, port: u16) -> Found {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        if host.starts_with("hangs") {
            self.hanging.fetch_add(1, Ordering::SeqCst);
            drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
            self.hanging.fetch_sub(1, Ordering::SeqCst);
        }
        Ok(vec![([10, 0, 0, host.len() as u8], port).into()])
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    fn wait_for(&self, hanging: usize) {
        let start = Instant::now();
        while self.hanging.load(Ordering::SeqCst) != hanging {
            assert!(start.elapsed() < Duration::from_secs(20), "{self:?}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Lookups {
    fn find(&'static self, host: &str, port: u16, deadline: Deadline) -> Result<Found> {
        self.find_until(host, port, WaitLimit { deadline, cancellation: None })
    }

    fn find_until(&'static self, host: &str, port: u16, limit: WaitLimit<'_>) -> Result<Found> {
        block_on(self.look_up(&WaitMode::Blocking, host, port, limit))
    }

    fn waiters(&self, host: &str) -> Option<usize> {
        self.state().waiters.get(&(host.to_owned(), 1)).map(Vec::len)
    }

    fn wait_until(&self, is_so: impl Fn(&LookupState) -> bool) {
        let start = Instant::now();
        while !is_so(&self.state()) {
            assert!(start.elapsed() < Duration::from_secs(20));
            thread::sleep(Duration::from_millis(1));
        }
    }
}

fn hang(lookups: &'static Lookups, names: std::ops::Range<usize>) -> Vec<thread::JoinHandle<Result<Found>>> {
    names.map(|i| thread::spawn(move || lookups.find(&format!("hangs-{i}"), 1, soon(1000)))).collect()
}

#[test]
fn names_that_hang_end_at_the_deadline_and_do_not_hinder_others() {
    static GATE: Gate = Gate::new();
    static LOOKUPS: Lookups = Lookups::new(|host, port| GATE.look_up(host, port));
    let start = Instant::now();
    let callers = hang(&LOOKUPS, 0..40);
    GATE.wait_for(40);
    let found = LOOKUPS.find("localhost", 1, soon(5000)).unwrap().unwrap();
    assert_eq!(found, ["10.0.0.9:1".parse().unwrap()]);
    for caller in callers {
        assert!(matches!(caller.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(LOOKUPS.find("localhost", 1, soon(5000)).unwrap().is_ok());
    GATE.open();
    LOOKUPS.wait_until(|state| state.helpers == 0);
    assert!(LOOKUPS.state().waiters.is_empty() && LOOKUPS.state().queue.is_empty());
}

#[test]
fn openings_of_one_name_share_a_lookup_and_who_gives_up_leaves_it_to_the_others() {
    static GATE: Gate = Gate::new();
    static LOOKUPS: Lookups = Lookups::new(|host, port| GATE.look_up(host, port));
    let look_up = |limit| move || LOOKUPS.find("hangs", 1, soon(limit));
    let first = thread::spawn(look_up(100));
    GATE.wait_for(1);
    let others: Vec<_> = (0..100).map(|_| thread::spawn(look_up(20_000))).collect();
    assert!(matches!(first.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
    LOOKUPS.wait_until(|state| state.waiters.values().all(|waiters| waiters.len() == 100));
    let port_of_its_own = thread::spawn(|| LOOKUPS.find("hangs", 2, soon(20_000)));
    GATE.wait_for(2);
    GATE.open();
    for other in others {
        assert_eq!(other.join().unwrap().unwrap().unwrap(), ["10.0.0.5:1".parse().unwrap()]);
    }
    assert_eq!(port_of_its_own.join().unwrap().unwrap().unwrap(), ["10.0.0.5:2".parse().unwrap()]);
    assert_eq!(GATE.lookups.load(Ordering::SeqCst), 2);
    // What has ended is not kept.
    look_up(20_000)().unwrap().unwrap();
    assert_eq!(GATE.lookups.load(Ordering::SeqCst), 3);
}

#[test]
fn a_lookup_that_all_have_given_up_is_there_for_who_comes_next() {
    static GATE: Gate = Gate::new();
    static LOOKUPS: Lookups = Lookups::new(|host, port| GATE.look_up(host, port));
    LOOKUPS.find("hangs", 1, soon(50)).unwrap_err();
    assert_eq!(LOOKUPS.waiters("hangs"), Some(0));
    let next = thread::spawn(|| LOOKUPS.find("hangs", 1, soon(20_000)));
    LOOKUPS.wait_until(|state| state.waiters.values().all(|waiters| waiters.len() == 1));
    GATE.open();
    next.join().unwrap().unwrap().unwrap();
    assert_eq!(GATE.lookups.load(Ordering::SeqCst), 1);
}

#[test]
fn a_failure_is_the_same_for_all_who_share_it() {
    static LOOKUPS: Lookups = Lookups::new(|host, _| match host {
        "unknown" => Err(io::Error::new(io::ErrorKind::NotFound, "nobody knows it")),
        _ => Err(io::ErrorKind::PermissionDenied.into()),
    });
    let error = LOOKUPS.find("unknown", 1, soon(5000)).unwrap().unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "nobody knows it"));
    let error = LOOKUPS.find("forbidden", 1, soon(5000)).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let system = io::Error::from_raw_os_error(2);
    let copy = duplicate(&Err(io::Error::from_raw_os_error(2))).unwrap_err();
    assert_eq!((copy.raw_os_error(), copy.to_string()), (system.raw_os_error(), system.to_string()));
}

#[test]
fn beyond_the_limit_names_wait_in_order_and_those_that_are_given_up_are_not_looked_up() {
    static GATE: Gate = Gate::new();
    static LOOKUPS: Lookups = Lookups::new(|host, port| GATE.look_up(host, port));
    let callers = hang(&LOOKUPS, 0..MAX_HELPERS + 5);
    for caller in callers {
        assert!(matches!(caller.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
    }
    assert_eq!(GATE.lookups.load(Ordering::SeqCst), MAX_HELPERS);
    assert!(LOOKUPS.state().queue.is_empty(), "nobody waits for them");
    let waiting: Vec<_> = ["first", "second", "third"]
        .into_iter()
        .enumerate()
        .map(|(place, name)| {
            let waiting = thread::spawn(move || LOOKUPS.find(name, 1, soon(20_000)));
            LOOKUPS.wait_until(|state| state.queue.len() == place + 1);
            waiting
        })
        .collect();
    assert!(LOOKUPS.state().queue.iter().map(|name| name.0.as_str()).eq(["first", "second", "third"]));
    GATE.open();
    for waiting in waiting {
        waiting.join().unwrap().unwrap().unwrap();
    }
    LOOKUPS.wait_until(|state| state.helpers == 0 && state.waiters.is_empty());
}

#[test]
fn a_cancel_ends_the_wait_for_an_answer_and_for_a_place() {
    const CALLERS: usize = MAX_HELPERS + 2;
    static GATE: Gate = Gate::new();
    static LOOKUPS: Lookups = Lookups::new(|host, port| GATE.look_up(host, port));
    let cancellation = Cancellation::new();
    let callers: Vec<_> = (0..CALLERS)
        .map(|i| {
            let cancellation = cancellation.clone();
            thread::spawn(move || {
                let found = LOOKUPS.find_until(
                    &format!("hangs-{i}"),
                    1,
                    WaitLimit { deadline: Deadline::NEVER, cancellation: Some(&cancellation) },
                );
                (found.unwrap_err(), Instant::now())
            })
        })
        .collect();
    GATE.wait_for(MAX_HELPERS);
    LOOKUPS.wait_until(|state| state.queue.len() == 2);
    let start = Instant::now();
    cancellation.cancel();
    for caller in callers {
        let (error, end) = caller.join().unwrap();
        assert!(matches!(error, Error::Io { phase: Phase::Resolve, .. }), "{error:?}");
        assert!(end - start < Duration::from_millis(500), "{:?}", end - start);
    }
    GATE.open();
    assert!(LOOKUPS.find("localhost", 1, soon(10_000)).unwrap().is_ok());
}

#[test]
fn a_cancel_ends_the_wait_for_a_users_resolver() {
    let cancellation = Cancellation::new();
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let silent = asking(move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(Vec::new())
    });
    let silent = silent.cancellation(&cancellation);
    let caller = thread::spawn(move || resolve("silent.example", 1, &silent, Deadline::NEVER).unwrap_err());
    thread::sleep(Duration::from_millis(50));
    let start = Instant::now();
    cancellation.cancel();
    let error = caller.join().unwrap();
    assert!(matches!(error, Error::Io { phase: Phase::Resolve, .. }), "{error:?}");
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
    drop(hold);
}

#[test]
fn lookups_of_a_users_resolver_that_hang_hinder_nobody() {
    const HANGING: usize = 70;
    let (hold, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hanging = asking(move |_, _| {
        let _ = held.lock().unwrap().recv();
        Ok(Vec::new())
    });
    let callers: Vec<_> = (0..HANGING)
        .map(|i| {
            let hanging = hanging.clone();
            thread::spawn(move || resolve(&format!("hangs-{i}.example"), 1, &hanging, soon(200)))
        })
        .collect();
    for caller in callers {
        assert!(matches!(caller.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
    }
    resolve("localhost", 1, &ConnectOptions::new(), soon(3000)).unwrap();
    let answering = asking(|_, port| Ok(vec![([10, 0, 0, 1], port).into()]));
    resolve("other.example", 1, &answering, soon(3000)).unwrap();
    drop(hold);
}

#[test]
fn a_panic_in_the_users_resolver_is_the_callers() {
    let panicking = asking(|_, _| panic!("on purpose"));
    let caught = thread::spawn(move || resolve("x", 1, &panicking, soon(5000))).join();
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
}

mod order {
    use super::*;

    /// `4a` is 10.0.0.10, `6b` is ::b.
    fn addresses(short: &str) -> Vec<SocketAddr> {
        let address = |short: &str| {
            let number = u8::from_str_radix(&short[1..], 16).unwrap();
            match &short[..1] {
                "4" => SocketAddr::from(([10, 0, 0, number], 80)),
                _ => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, u16::from(number)], 80)),
            }
        };
        short.split_whitespace().map(address).collect()
    }

    #[test]
    fn the_families_take_turns() {
        use Family::{Any, Ipv4Only, Ipv6Only, PreferIpv4, PreferIpv6};
        let table = [
            (Any, "", ""),
            (Any, "4a", "4a"),
            (Any, "6a", "6a"),
            (Any, "6a 4a", "6a 4a"),
            (Any, "4a 6a", "4a 6a"),
            (Any, "6a 6b 4a 4b", "6a 4a 6b 4b"),
            (Any, "4a 4b 6a 6b", "4a 6a 4b 6b"),
            (Any, "6a 4a 4b 6b", "6a 4a 6b 4b"),
            (Any, "6a 6b 6c 4a", "6a 4a 6b 6c"),
            (Any, "6a 4a 4b 4c", "6a 4a 4b 4c"),
            (Any, "4b 4a 4c", "4b 4a 4c"),
            (PreferIpv4, "6a 6b 4a 4b", "4a 6a 4b 6b"),
            (PreferIpv4, "6a 6b", "6a 6b"),
            (PreferIpv6, "4a 4b 6a", "6a 4a 4b"),
            (PreferIpv6, "4b 4a", "4b 4a"),
            (Ipv4Only, "6a 4a 6b 4b", "4a 4b"),
            (Ipv4Only, "6a 6b", ""),
            (Ipv6Only, "4a 6a", "6a"),
            (Ipv6Only, "4a", ""),
        ];
        for (family, given, expected) in table {
            assert_eq!(order(addresses(given), family), addresses(expected), "{family:?}: {given}");
        }
    }
}
