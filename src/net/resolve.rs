//! From a host name to addresses, within a deadline that the operating system's resolver knows nothing of.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::system_calls;
use super::wait_mode::{Reporter, WaitLimit, WaitMode, reports, spawn};
use crate::error::{AddressError, Error, Phase, Result};
use crate::options::{Family, Settings};

/// How many threads of the process may look names up with the platform's resolver. A lookup that hangs keeps its thread, whoever
/// still waits for it; there is one per name.
const MAX_HELPERS: usize = 64;

/// What a lookup comes to.
type Found = io::Result<Vec<SocketAddr>>;

/// The addresses of a host, in the order in which to try them: at least one. `zone` is the name or number of an interface, for a
/// link-local IPv6 address (RFC 6874).
///
/// # Errors
///
/// [`Error::Address`] when there are none, [`Error::Timeout`] when they are not known in time, [`Error::Io`] when the
/// system has no thread to spare or the opening is cancelled.
pub(super) async fn resolve(
    mode: &WaitMode,
    host: &str,
    zone: Option<&str>,
    port: u16,
    settings: &Settings,
    limit: WaitLimit<'_>,
) -> Result<Vec<SocketAddr>> {
    let found = match (host.parse::<IpAddr>(), zone) {
        (Ok(IpAddr::V6(address)), Some(zone)) => scoped(mode, address, zone, port, limit).await?,
        (Ok(address), _) => Ok(vec![SocketAddr::new(address, port)]),
        (Err(_), _) => look_up(mode, host, port, settings, limit).await?,
    };
    let found = found.map_err(|problem| no_address(host, problem))?;
    let ordered = order(found, settings.socket.family);
    if ordered.is_empty() {
        return Err(no_address(host, no_such_family(settings.socket.family)));
    }
    Ok(ordered)
}

/// In which order addresses are tried (RFC 8305, section 4): those of the wanted family or families, taking turns. The family of the
/// first address that the resolver gave goes first, unless the other is preferred; within a family the resolver's order stays.
fn order(addresses: Vec<SocketAddr>, family: Family) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return addresses };
    let prefers_ipv4 = match family {
        Family::Any => first.is_ipv4(),
        Family::PreferIpv4 | Family::Ipv4Only => true,
        Family::PreferIpv6 | Family::Ipv6Only => false,
    };
    let (preferred, others) = addresses.into_iter().partition(|address| address.is_ipv4() == prefers_ipv4);
    match family {
        Family::Ipv4Only | Family::Ipv6Only => preferred,
        Family::Any | Family::PreferIpv4 | Family::PreferIpv6 => alternate(preferred, others),
    }
}

fn alternate(first: Vec<SocketAddr>, second: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

/// A number is taken as it is. Only the system knows names, and its resolver asks nobody else for them.
async fn scoped(mode: &WaitMode, address: Ipv6Addr, zone: &str, port: u16, limit: WaitLimit<'_>) -> Result<Found> {
    if let Ok(number) = zone.parse() {
        return Ok(Ok(vec![SocketAddrV6::new(address, port, 0, number).into()]));
    }
    let literal = format!("{address}%{zone}");
    let found = PLATFORM.look_up(mode, &literal, port, limit).await?;
    let unknown = |_| io::Error::new(io::ErrorKind::NotFound, format!("there is no interface {zone:?} for it"));
    Ok(found.map_err(unknown))
}

/// How many threads a user's resolver may have is for the user to say, who may know of a better bound than [`MAX_HELPERS`].
async fn look_up(mode: &WaitMode, host: &str, port: u16, settings: &Settings, limit: WaitLimit<'_>) -> Result<Found> {
    match settings.resolver.clone() {
        Some(resolver) => {
            let name = host.to_owned();
            mode.on_helper(Phase::Resolve, limit, move || (resolver.0)(&name, port)).await
        }
        None => PLATFORM.look_up(mode, host, port, limit).await,
    }
}

#[cold]
fn no_address(host: &str, problem: io::Error) -> Error {
    Error::Address(Box::new(AddressError { host: host.to_owned(), problem }))
}

/// The name has addresses, and none that can be used.
#[cold]
pub(super) fn no_fit_address(host: &str, problem: impl Into<String>) -> Error {
    no_address(host, io::Error::new(io::ErrorKind::NotFound, problem.into()))
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

/// The operating system's resolver.
static PLATFORM: Lookups = Lookups::new(|host, port| {
    loop {
        match system_calls::look_up(host, port) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            found => return found,
        }
    }
});

/// Lookups with a resolver that cannot be interrupted, on helper threads. There is one lookup at a time for a name and a port, and all
/// who wait for these share it: however many openings of a name hang, they hold one thread. Beyond [`MAX_HELPERS`] names wait for a
/// thread in the order in which they came.
struct Lookups {
    resolver: fn(&str, u16) -> Found,
    state: Mutex<LookupState>,
}

struct LookupState {
    /// How many threads there are. None of them is idle.
    helpers: usize,
    /// Who waits for each lookup that runs or is in the queue, each with a number. Of one that runs all may have gone.
    waiters: BTreeMap<Name, Vec<(u64, Reporter<Found>)>>,
    /// What is not looked up yet. Somebody waits for each.
    queue: VecDeque<Name>,
    last: u64,
}

type Name = (String, u16);

impl Lookups {
    const fn new(resolver: fn(&str, u16) -> Found) -> Self {
        let state = LookupState { helpers: 0, waiters: BTreeMap::new(), queue: VecDeque::new(), last: 0 };
        Self { resolver, state: Mutex::new(state) }
    }

    /// Waits for a lookup until the deadline, and begins it if none is running. It goes on when nobody waits any more, for those who
    /// come before it ends. Without anything that could end the wait, it is done on this thread.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`], and [`Error::Io`] when it is cancelled or the system has no thread to spare.
    async fn look_up(&'static self, mode: &WaitMode, host: &str, port: u16, limit: WaitLimit<'_>) -> Result<Found> {
        if mode.is_blocking() && limit.is_endless() {
            return Ok((self.resolver)(host, port));
        }
        limit.deadline.remaining().map_err(|_| Error::Timeout(Phase::Resolve))?;
        let (reporter, reports) = reports(limit.cancellation).await;
        let _waiter = self.join((host.to_owned(), port), reporter)?;
        mode.receive(Phase::Resolve, reports, limit.deadline).await
    }

    fn join(&'static self, name: Name, reporter: Reporter<Found>) -> Result<Waiter> {
        let mut state = self.state();
        state.last += 1;
        let number = state.last;
        if let Some(waiters) = state.waiters.get_mut(&name) {
            waiters.push((number, reporter));
            return Ok(Waiter { of: self, name, number });
        }
        if state.helpers < MAX_HELPERS {
            // It waits for the lock, and then for nothing.
            match spawn(Phase::Resolve, || self.help()) {
                Ok(_) => state.helpers += 1,
                Err(error) if state.helpers == 0 => return Err(error),
                Err(_) => {}
            }
        }
        state.queue.push_back(name.clone());
        state.waiters.insert(name.clone(), vec![(number, reporter)]);
        Ok(Waiter { of: self, name, number })
    }

    /// A helper thread: looks names up until none is left.
    fn help(&self) {
        while let Some(name) = self.next() {
            let found = (self.resolver)(&name.0, name.1);
            // Who comes from now on has the name looked up anew.
            let waiters = self.state().waiters.remove(&name);
            for (_, reporter) in waiters.into_iter().flatten() {
                reporter.done(duplicate(&found));
            }
        }
    }

    fn next(&self) -> Option<Name> {
        let mut state = self.state();
        let next = state.queue.pop_front();
        if next.is_none() {
            state.helpers -= 1;
        }
        next
    }

    fn state(&self) -> MutexGuard<'_, LookupState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who waits for a lookup, until this is dropped.
struct Waiter {
    of: &'static Lookups,
    name: Name,
    number: u64,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.of.state();
        let Some(waiters) = state.waiters.get_mut(&self.name) else { return };
        waiters.retain(|(number, _)| *number != self.number);
        if !waiters.is_empty() {
            return;
        }
        // What nobody waits for is not begun.
        if let Some(place) = state.queue.iter().position(|queued| *queued == self.name) {
            state.queue.remove(place);
            state.waiters.remove(&self.name);
        }
    }
}

/// One for each who waits.
fn duplicate(found: &Found) -> Found {
    let error = match found {
        Ok(addresses) => return Ok(addresses.clone()),
        Err(error) => error,
    };
    Err(match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    })
}

#[cfg(test)]
mod tests;
