//! From a host name to addresses, within a deadline that the operating system's resolver knows nothing of.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::deadline::Deadline;
use super::order::order;
use super::tcp::called_off;
use crate::cancellation::Cancellation;
use crate::error::{AddressError, Error, Phase, Result};
use crate::options::{Family, Settings};

/// How many helper threads may be alive in the process. A resolver that hangs keeps its thread, whoever still waits for
/// it.
const MAX_HELPERS: usize = 8;

/// The addresses of a host, in the order in which to try them: at least one. `zone` is the name or number of an interface, for a
/// link-local IPv6 address (RFC 6874).
///
/// # Errors
///
/// [`Error::Address`] when there are none, [`Error::Timeout`] when they are not known in time, [`Error::Io`] when the
/// system has no thread to spare or the opening is called off.
pub(super) fn resolve(
    host: &str,
    zone: Option<&str>,
    port: u16,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>> {
    let found = match (host.parse::<IpAddr>(), zone) {
        (Ok(IpAddr::V6(address)), Some(zone)) => scoped(address, zone, port, settings, deadline)?,
        (Ok(address), _) => Ok(vec![SocketAddr::new(address, port)]),
        (Err(_), _) => look_up(host, port, settings, deadline)?,
    };
    let found = found.map_err(|problem| no_address(host, problem))?;
    let ordered = order(found, settings.socket.family);
    if ordered.is_empty() {
        return Err(no_address(host, no_such_family(settings.socket.family)));
    }
    Ok(ordered)
}

/// A number is taken as it is. Only the system knows names, and its resolver asks nobody else for them.
fn scoped(
    address: Ipv6Addr,
    zone: &str,
    port: u16,
    settings: &Settings,
    deadline: Deadline,
) -> Result<io::Result<Vec<SocketAddr>>> {
    if let Ok(number) = zone.parse() {
        return Ok(Ok(vec![SocketAddrV6::new(address, port, 0, number).into()]));
    }
    let literal = format!("{address}%{zone}");
    let look_up = move || (literal.as_str(), port).to_socket_addrs().map(Iterator::collect);
    let found = HELPERS.run(look_up, deadline, settings.cancellation.as_ref())?;
    let unknown = |_| io::Error::new(io::ErrorKind::NotFound, format!("there is no interface {zone:?} for it"));
    Ok(found.map_err(unknown))
}

fn look_up(host: &str, port: u16, settings: &Settings, deadline: Deadline) -> Result<io::Result<Vec<SocketAddr>>> {
    let name = host.to_owned();
    let resolver = settings.resolver.clone();
    let look_up = move || match resolver {
        Some(resolver) => (resolver.0)(&name, port),
        None => (name.as_str(), port).to_socket_addrs().map(Iterator::collect),
    };
    HELPERS.run(look_up, deadline, settings.cancellation.as_ref())
}

#[cold]
fn no_address(host: &str, problem: io::Error) -> Error {
    Error::Address(Box::new(AddressError { host: host.to_owned(), problem }))
}

#[cold]
fn no_such_family(family: Family) -> io::Error {
    let problem = match family {
        Family::Any | Family::PreferIpv4 | Family::PreferIpv6 => "it has no address",
        Family::Ipv4Only => "it has no IPv4 address",
        Family::Ipv6Only => "it has no IPv6 address",
    };
    io::Error::new(io::ErrorKind::NotFound, problem)
}

static HELPERS: Helpers = Helpers { alive: Mutex::new(0), left: Condvar::new() };

/// The threads on which names are resolved: the only ones that this crate starts without being asked to.
struct Helpers {
    alive: Mutex<usize>,
    left: Condvar,
}

/// What comes of a helper's work, if it is waited for.
enum Outcome<T> {
    Done(thread::Result<T>),
    CalledOff,
}

impl Helpers {
    /// Does `work` on a thread of its own and waits for it until the deadline. What is not done by then goes on,
    /// unattended. Without anything that could end the wait, it is done on this thread.
    fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
        deadline: Deadline,
        cancellation: Option<&Cancellation>,
    ) -> Result<T> {
        if deadline.is_never() && cancellation.is_none() {
            return Ok(work());
        }
        let place = self.enter(deadline, cancellation)?;
        let (outcome, outcomes) = mpsc::channel();
        let _watch = cancellation.map(|cancellation| {
            let outcome = outcome.clone();
            cancellation.watch(move || drop(outcome.send(Outcome::CalledOff)))
        });
        let builder = thread::Builder::new().name("websocket-sync resolver".to_owned());
        let helper = builder.spawn(move || {
            let _place = place;
            let _ = outcome.send(Outcome::Done(panic::catch_unwind(AssertUnwindSafe(work))));
        });
        let helper = helper.map_err(failed)?;
        match outcomes.recv_timeout(wait(deadline)?) {
            Ok(Outcome::Done(done)) => {
                // It has nothing left to do but to end.
                let _ = helper.join();
                // Only the user's resolver can panic, and its panic belongs to whoever called.
                done.or_else(|panicked| panic::resume_unwind(panicked))
            }
            Ok(Outcome::CalledOff) => Err(failed(called_off())),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(Error::Timeout(Phase::Resolve)),
        }
    }

    /// Waits until there are fewer than [`MAX_HELPERS`].
    fn enter(&'static self, deadline: Deadline, cancellation: Option<&Cancellation>) -> Result<Place> {
        let is_called_off = Arc::new(AtomicBool::new(false));
        let _watch = cancellation.map(|cancellation| {
            let is_called_off = Arc::clone(&is_called_off);
            cancellation.watch(move || {
                // Under the lock, or it could pass between a look at it and the wait.
                let _alive = self.alive();
                is_called_off.store(true, Ordering::Relaxed);
                self.left.notify_all();
            })
        });
        let is_full = |alive: &mut usize| *alive >= MAX_HELPERS && !is_called_off.load(Ordering::Relaxed);
        let waited = self.left.wait_timeout_while(self.alive(), wait(deadline)?, is_full);
        let (mut alive, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(Error::Timeout(Phase::Resolve));
        }
        if is_called_off.load(Ordering::Relaxed) {
            return Err(failed(called_off()));
        }
        *alive += 1;
        Ok(Place(self))
    }

    fn alive(&self) -> MutexGuard<'_, usize> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait(deadline: Deadline) -> Result<Duration> {
    match deadline.remaining() {
        Ok(limit) => Ok(limit.unwrap_or(Duration::MAX)),
        Err(_) => Err(Error::Timeout(Phase::Resolve)),
    }
}

fn failed(error: io::Error) -> Error {
    Error::Io { phase: Phase::Resolve, error }
}

/// One of the helpers' places; free again when dropped.
struct Place(&'static Helpers);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.alive() -= 1;
        // To wake one would be to wake perhaps just the one whose time is up.
        self.0.left.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Instant;

    use super::*;
    use crate::options::{ConnectOptions, SocketOptions};

    /// Only the test that fills the places and those that would notice wait for each other.
    static PLACES: Mutex<()> = Mutex::new(());

    fn soon(ms: u64) -> Deadline {
        Deadline::after(Some(Duration::from_millis(ms)))
    }

    fn asking(resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> ConnectOptions {
        ConnectOptions::new().resolver(resolver)
    }

    fn resolve(host: &str, port: u16, options: &ConnectOptions, deadline: Deadline) -> Result<Vec<SocketAddr>> {
        super::resolve(host, None, port, options.settings(), deadline)
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
        let zoned = |zone| super::resolve("fe80::1", Some(zone), 81, never.settings(), soon(10_000));
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
        for (host, family, problem) in [
            ("::1", Family::Ipv4Only, "it has no IPv4 address"),
            ("127.0.0.1", Family::Ipv6Only, "it has no IPv6 address"),
        ] {
            let Err(Error::Address(error)) = resolve(host, 7, &only(family), soon(5000)) else { panic!() };
            assert_eq!((error.host.as_str(), error.problem.to_string().as_str()), (host, problem));
        }
    }

    #[test]
    fn slow_names_end_at_the_deadline_and_no_more_than_eight_are_looked_up_at_once() {
        static ALIVE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let _places = PLACES.lock();
        let slow = asking(|_, _| {
            MOST.fetch_max(ALIVE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1500));
            ALIVE.fetch_sub(1, Ordering::SeqCst);
            Ok(Vec::new())
        });
        let start = Instant::now();
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let slow = slow.clone();
                thread::spawn(move || resolve("slow.example", 1, &slow, soon(60)))
            })
            .collect();
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
        }
        assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
        assert!(MOST.load(Ordering::SeqCst) <= MAX_HELPERS);
        // The places are free again once the helpers are done.
        assert!(resolve("localhost", 1, &ConnectOptions::new(), soon(10_000)).is_ok());
    }

    #[test]
    fn a_cancel_ends_the_wait_for_an_answer_and_for_a_place() {
        const CALLERS: usize = MAX_HELPERS + 2;
        let _places = PLACES.lock();
        let cancellation = Cancellation::new();
        let (hold, held) = mpsc::channel::<()>();
        let held = Mutex::new(held);
        let silent = asking(move |_, _| {
            let _ = held.lock().unwrap().recv();
            Ok(Vec::new())
        });
        let silent = silent.cancellation(&cancellation);
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let silent = silent.clone();
                thread::spawn(move || {
                    let error = resolve("silent.example", 1, &silent, Deadline::NEVER).unwrap_err();
                    (error, Instant::now())
                })
            })
            .collect();
        while *HELPERS.alive() < MAX_HELPERS {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(50));
        let start = Instant::now();
        cancellation.cancel();
        for caller in callers {
            let (error, end) = caller.join().unwrap();
            assert!(matches!(error, Error::Io { phase: Phase::Resolve, .. }), "{error:?}");
            assert!(end - start < Duration::from_millis(500), "{:?}", end - start);
        }
        drop(hold);
        assert!(resolve("localhost", 1, &ConnectOptions::new(), soon(10_000)).is_ok());
    }

    #[test]
    fn a_panic_in_the_users_resolver_is_the_callers() {
        let panicking = asking(|_, _| panic!("on purpose"));
        let caught = thread::spawn(move || resolve("x", 1, &panicking, soon(5000))).join();
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
