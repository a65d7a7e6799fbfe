//! From a host name to addresses, within a deadline that the operating system's resolver knows nothing of.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{panic, thread};

use super::deadline::Deadline;
use crate::error::{AddressError, Error, Phase, Result};
use crate::options::{Hook, Resolver};

/// How many helper threads may be alive in the process. A resolver that hangs keeps its thread, whoever still waits for
/// it.
const MAX_HELPERS: usize = 8;

/// The addresses of a host, in the order in which to try them: at least one.
///
/// # Errors
///
/// [`Error::Address`] when there are none, [`Error::Timeout`] when they are not known in time, [`Error::Io`] when the
/// system has no thread to spare.
pub(super) fn resolve(
    host: &str,
    port: u16,
    resolver: Option<&Hook<Resolver>>,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let name = host.to_owned();
    let resolver = resolver.cloned();
    let lookup = move || match resolver {
        Some(resolver) => (resolver.0)(&name, port),
        None => (name.as_str(), port).to_socket_addrs().map(Iterator::collect),
    };
    let found = if deadline.is_never() { lookup() } else { HELPERS.run(lookup, deadline)? };
    match found {
        Ok(addresses) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(no_address(host, io::Error::new(io::ErrorKind::NotFound, "the name has no address"))),
        Err(problem) => Err(no_address(host, problem)),
    }
}

#[cold]
fn no_address(host: &str, problem: io::Error) -> Error {
    Error::Address(Box::new(AddressError { host: host.to_owned(), problem }))
}

static HELPERS: Helpers = Helpers { alive: Mutex::new(0), left: Condvar::new() };

/// The threads on which names are resolved: the only ones that this crate starts without being asked to.
struct Helpers {
    alive: Mutex<usize>,
    left: Condvar,
}

impl Helpers {
    /// Does `work` on a thread of its own and waits for it until the deadline. What is not done by then goes on,
    /// unattended.
    fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
        deadline: Deadline,
    ) -> Result<T> {
        let place = self.enter(deadline)?;
        let (answer, answered) = mpsc::sync_channel(1);
        let builder = thread::Builder::new().name("websocket-sync resolver".to_owned());
        let helper = builder.spawn(move || {
            let _place = place;
            let _ = answer.send(work());
        });
        let helper = helper.map_err(|error| Error::Io { phase: Phase::Resolve, error })?;
        match answered.recv_timeout(wait(deadline)?) {
            Ok(answer) => {
                // It has nothing left to do but to end.
                let _ = helper.join();
                Ok(answer)
            }
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(Phase::Resolve)),
            // Only the user's resolver can panic, and its panic belongs to whoever called.
            Err(RecvTimeoutError::Disconnected) => match helper.join() {
                Err(panicked) => panic::resume_unwind(panicked),
                Ok(()) => Err(Error::Timeout(Phase::Resolve)),
            },
        }
    }

    /// Waits until there are fewer than [`MAX_HELPERS`].
    fn enter(&'static self, deadline: Deadline) -> Result<Place> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.left.wait_timeout_while(alive, wait(deadline)?, |alive| *alive >= MAX_HELPERS);
        let (mut alive, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(Error::Timeout(Phase::Resolve));
        }
        *alive += 1;
        Ok(Place(self))
    }
}

fn wait(deadline: Deadline) -> Result<Duration> {
    match deadline.wait() {
        Ok(limit) => Ok(limit.unwrap_or(Duration::MAX)),
        Err(_) => Err(Error::Timeout(Phase::Resolve)),
    }
}

/// One of the helpers' places; free again when dropped.
struct Place(&'static Helpers);

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.alive.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    fn soon(ms: u64) -> Deadline {
        Deadline::after(Some(Duration::from_millis(ms)))
    }

    fn hook(resolver: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Hook<Resolver> {
        Hook(Arc::new(resolver))
    }

    #[test]
    fn addresses_need_no_resolver() {
        let never = hook(|_, _| panic!("not needed"));
        for host in ["127.0.0.1", "::1", "2a03:4000:123:83::3"] {
            let found = resolve(host, 81, Some(&never), soon(1000)).unwrap();
            assert_eq!(found, [SocketAddr::new(host.parse().unwrap(), 81)]);
        }
    }

    #[test]
    fn the_system_knows_localhost_with_and_without_a_deadline() {
        for deadline in [soon(10_000), Deadline::NEVER] {
            let found = resolve("localhost", 9, None, deadline).unwrap();
            assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 9));
        }
    }

    #[test]
    fn a_resolver_of_the_users_is_asked_and_its_failures_name_the_host() {
        let echo = hook(|host, port| Ok(vec![SocketAddr::from(([10, 0, 0, host.len() as u8], port))]));
        assert_eq!(resolve("abc", 7, Some(&echo), soon(5000)).unwrap(), ["10.0.0.3:7".parse().unwrap()]);
        for failing in [hook(|_, _| Ok(Vec::new())), hook(|_, _| Err(io::ErrorKind::Other.into()))] {
            let Err(Error::Address(error)) = resolve("abc", 7, Some(&failing), soon(5000)) else { panic!() };
            assert_eq!(error.host, "abc");
        }
    }

    #[test]
    fn slow_names_end_at_the_deadline_and_no_more_than_eight_are_looked_up_at_once() {
        static ALIVE: AtomicUsize = AtomicUsize::new(0);
        static MOST: AtomicUsize = AtomicUsize::new(0);
        let slow = hook(|_, _| {
            MOST.fetch_max(ALIVE.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1500));
            ALIVE.fetch_sub(1, Ordering::SeqCst);
            Ok(Vec::new())
        });
        let start = Instant::now();
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let slow = slow.clone();
                thread::spawn(move || resolve("slow.example", 1, Some(&slow), soon(60)))
            })
            .collect();
        for caller in callers {
            assert!(matches!(caller.join().unwrap(), Err(Error::Timeout(Phase::Resolve))));
        }
        assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
        assert!(MOST.load(Ordering::SeqCst) <= MAX_HELPERS);
        // The places are free again once the helpers are done.
        assert!(resolve("localhost", 1, None, soon(10_000)).is_ok());
    }

    #[test]
    fn a_panic_in_the_users_resolver_is_the_callers() {
        let panicking = hook(|_, _| panic!("on purpose"));
        let caught = thread::spawn(move || resolve("x", 1, Some(&panicking), soon(5000))).join();
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"on purpose"));
    }
}
