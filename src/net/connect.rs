//! Making the connection of the operating system: which addresses to dial first, when to start the next (happy eyeballs, RFC 8305),
//! and Unix sockets.

#[cfg(unix)]
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, io, vec};

use rustix::io::Errno;

use super::deadline::{Deadline, cancelled, timed_out};
use super::poll::{CancelSignal, PollOutcome, poll_sockets};
use super::resolve::{no_fit_address, resolve};
use super::socket::{self, Socket};
use super::source::Source;
use super::stream::Stream;
use super::system_calls;
use super::transport::Transport;
use super::wait_mode::{AwaitedEvent, WaitLimit, WaitMode};
use crate::cancellation::Watch;
use crate::error::{Error, OptionsError, Phase, Result};
use crate::options::{ConnectOptions, Settings, SocketOptions};
use crate::timings::Timings;
use crate::trace::Tracer;
use crate::url::Target;

/// How connections are made for one hop of an opening, by when, and how long each phase took.
///
/// While it lives, a cancellation ends the stream that it gave last.
#[derive(Debug)]
pub(crate) struct Dialer<'a> {
    pub(super) options: &'a ConnectOptions,
    pub(super) mode: &'a WaitMode,
    pub(super) deadline: Deadline,
    pub(super) tracer: Tracer,
    pub(super) timings: Timings,
    watch: Option<Watch>,
}

/// Where a socket connects to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint<'a> {
    /// A name, or an address without brackets, whose zone, if it has one, is the name or number of an interface.
    Host { host: &'a str, port: u16, zone: Option<&'a str> },
    /// A socket in the file system.
    Unix(&'a Path),
}

impl<'a> Endpoint<'a> {
    pub(super) fn of(target: &'a Target) -> Self {
        match &target.socket_path {
            Some(path) => Self::Unix(path),
            None => Self::Host { host: &target.host, port: target.port, zone: target.zone.as_deref() },
        }
    }
}

impl<'a> Dialer<'a> {
    pub(crate) fn new(options: &'a ConnectOptions, mode: &'a WaitMode, deadline: Deadline, tracer: Tracer) -> Self {
        Self { options, mode, deadline, tracer, timings: Timings::default(), watch: None }
    }

    /// How long each phase took so far.
    pub(crate) const fn timings(&self) -> Timings {
        self.timings
    }

    pub(super) fn settings(&self) -> &'a Settings {
        self.options.settings()
    }

    /// What ends a wait for something that is no stream.
    pub(super) fn limit(&self) -> WaitLimit<'a> {
        WaitLimit { deadline: self.deadline, cancellation: self.settings().cancellation.as_ref() }
    }

    /// Connects a socket: the first step of every way, to a server or to a proxy.
    ///
    /// # Errors
    ///
    /// Those of the phases [`Resolve`](Phase::Resolve) and [`Connect`](Phase::Connect).
    pub(super) async fn connect_socket(&mut self, endpoint: Endpoint<'_>) -> Result<Stream> {
        // A connection that failed before is closed by now, and nothing else may keep its socket open.
        self.watch = None;
        let settings = self.settings();
        let socket = match endpoint {
            Endpoint::Host { host, port, zone } => {
                let start = Instant::now();
                let addresses = resolve(self.mode, host, zone, port, settings, self.limit()).await?;
                self.timings.resolve = Some(start.elapsed());
                let start = Instant::now();
                let addresses = of_local_family(host, addresses, settings.socket.bind)?;
                let socket = connect(self.mode, addresses, settings, self.deadline).await?;
                self.timings.connect = Some(start.elapsed());
                socket
            }
            Endpoint::Unix(path) => {
                let start = Instant::now();
                let connected = connect_unix(self.mode, path, settings, self.deadline).await;
                let socket = connected.map_err(|error| failed_at(path.display(), error))?;
                self.timings.connect = Some(start.elapsed());
                socket
            }
        };
        Ok(self.watched(Stream::Plain(socket)))
    }

    /// From now on a cancellation ends this stream.
    pub(super) fn watched(&mut self, stream: Stream) -> Stream {
        self.watch = stream.watch(self.settings().cancellation.as_ref());
        stream
    }
}

/// Connects to the first of `addresses` that answers, whatever is wrong with the others (RFC 8305). The sockets of the others
/// are closed.
///
/// # Errors
///
/// [`Error::Timeout`] when time runs out, otherwise what tells most of what was wrong with the addresses.
async fn connect(
    mode: &WaitMode,
    addresses: Vec<SocketAddr>,
    settings: &Settings,
    deadline: Deadline,
) -> Result<Arc<Socket>> {
    let options = &settings.socket;
    let signal = cancel_signal(mode, settings).map_err(failed)?;
    let mut race = Race::new(addresses, options.attempt_timeout);
    let mut failures = Failures::default();
    loop {
        let Ok(rest) = deadline.remaining() else { return Err(Error::Timeout(Phase::Connect)) };
        let now = Instant::now();
        while let Some(late) = race.expire(now) {
            failures.add(late.address, timed_out());
        }
        start_due(&mut race, &mut failures, options, now);
        if race.is_over() {
            return Err(failures.into_error());
        }
        let timeout = rest.into_iter().chain(race.wait(now)).min();
        match wait_connected(mode, &race, signal.as_ref(), timeout).await.map_err(failed)? {
            PollOutcome::Nothing => {}
            PollOutcome::Cancelled => return Err(failed(cancelled())),
            PollOutcome::Ready(index) => {
                let runner = race.leave(index);
                match finish(&runner.attempt) {
                    Ok(()) => {
                        log::debug!("connected to {}", runner.address);
                        return Ok(runner.attempt);
                    }
                    Err(error) => failures.add(runner.address, error),
                }
            }
        }
    }
}

/// Starts the attempts whose turn it is.
fn start_due(race: &mut Race<Arc<Socket>>, failures: &mut Failures, options: &SocketOptions, now: Instant) {
    while let Some(address) = race.next(now) {
        match start(address, options) {
            Ok(socket) => race.enter(address, socket, now),
            Err(error) => failures.add(address, error),
        }
    }
}

/// Waits until one of the attempts has come to its end.
async fn wait_connected(
    mode: &WaitMode,
    race: &Race<Arc<Socket>>,
    signal: Option<&CancelSignal>,
    timeout: Option<Duration>,
) -> io::Result<PollOutcome> {
    let poll = |timeout| poll_sockets(race.attempts().map(|socket| &socket.inner), signal, timeout);
    let WaitMode::Stepping(awaited) = mode else { return poll(timeout) };
    let outcome = poll(Some(Duration::ZERO))?;
    if outcome != PollOutcome::Nothing {
        return Ok(outcome);
    }
    let sources = race.attempts().map(|socket| Source::writing(Arc::clone(socket) as Arc<dyn Transport>)).collect();
    let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    awaited.note(AwaitedEvent::Sockets(sources, until)).await;
    // Before anybody looks at the clock: the loop may come late, and one of them have connected in time.
    poll(Some(Duration::ZERO))
}

/// Ends a `poll` when the opening is cancelled. Who steps looks in each step.
fn cancel_signal(mode: &WaitMode, settings: &Settings) -> io::Result<Option<CancelSignal>> {
    match mode {
        WaitMode::Blocking => settings.cancellation.as_ref().map(CancelSignal::new).transpose(),
        WaitMode::Stepping(_) => Ok(None),
    }
}

/// Begins to connect, and does not wait for it.
fn start(address: SocketAddr, options: &SocketOptions) -> io::Result<Arc<Socket>> {
    log::debug!("connecting to {address}");
    let socket = socket::tcp(address, options)?;
    system_calls::set_nonblocking(&socket, true)?;
    match system_calls::connect(&socket, &address.into()) {
        Err(error) if !is_under_way(&error) => Err(error),
        _ => Ok(Arc::new(Socket::connecting(socket))),
    }
}

/// POSIX and Windows have different names for it.
fn is_under_way(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::WOULDBLOCK | Errno::INTR))
}

/// Whether the socket has connected, now that it has come to its end. Only one that has not is asked why.
fn finish(socket: &Socket) -> io::Result<()> {
    refuse_self(&socket.inner).map_err(|error| socket.inner.take_error().ok().flatten().unwrap_or(error))?;
    socket.set_mode();
    Ok(())
}

/// A port of this machine on which nobody listens can be the very one that the system gave this socket: it would then
/// talk to itself.
fn refuse_self(socket: &socket2::Socket) -> io::Result<()> {
    let peer = system_calls::peer_address(socket)?;
    if peer.as_socket() == system_calls::local_address(socket)?.as_socket() {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok(())
}

/// How long an attempt has for itself, before the next address is tried beside it.
const STAGGER: Duration = Duration::from_millis(250);
/// How long an address is tried while others are left, unless the user says how long each is.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Addresses that wait for their turn, and attempts that are under way.
#[derive(Debug)]
struct Race<T> {
    waiting: vec::IntoIter<SocketAddr>,
    runners: Vec<Runner<T>>,
    /// When the next of those who wait may start; `None` for at once.
    next_start: Option<Instant>,
    /// How long an attempt may take; the user's limit.
    limit: Option<Duration>,
}

/// An attempt to connect to one address.
#[derive(Debug)]
struct Runner<T> {
    address: SocketAddr,
    attempt: T,
    start: Instant,
}

impl<T> Race<T> {
    /// Nobody has started yet.
    fn new(addresses: Vec<SocketAddr>, limit: Option<Duration>) -> Self {
        Self { waiting: addresses.into_iter(), runners: Vec::new(), next_start: None, limit }
    }

    /// Whose turn it is, if it is anybody's. Who does not [`enter`](Self::enter) then leaves the turn to the next.
    fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        if self.next_start.is_some_and(|start| now < start) { None } else { self.waiting.next() }
    }

    /// An attempt is under way.
    fn enter(&mut self, address: SocketAddr, attempt: T, now: Instant) {
        self.runners.push(Runner { address, attempt, start: now });
        self.next_start = Some(now + STAGGER);
    }

    /// Takes an attempt out that has come to its end. If it has failed, the next one waits no longer.
    fn leave(&mut self, index: usize) -> Runner<T> {
        self.next_start = None;
        self.runners.remove(index)
    }

    /// Takes out an attempt that has had its time.
    fn expire(&mut self, now: Instant) -> Option<Runner<T>> {
        let limit = self.limit()?;
        let index = self.runners.iter().position(|runner| runner.rest(limit, now).is_zero())?;
        Some(self.leave(index))
    }

    /// How long an attempt may take now. Without a limit of the user's nobody gives up the last address that is left.
    fn limit(&self) -> Option<Duration> {
        let is_last = self.runners.len() + self.waiting.len() <= 1;
        if is_last { self.limit } else { Some(self.limit.unwrap_or(ATTEMPT)) }
    }

    /// How long nothing happens by itself; `None` for ever.
    fn wait(&self, now: Instant) -> Option<Duration> {
        let start = self.next_start.filter(|_| self.waiting.len() > 0);
        let start = start.map(|start| start.saturating_duration_since(now));
        let expiry = self.limit().and_then(|limit| self.runners.iter().map(|runner| runner.rest(limit, now)).min());
        start.into_iter().chain(expiry).min()
    }

    /// Those who are under way, the earliest first.
    fn attempts(&self) -> impl ExactSizeIterator<Item = &T> {
        self.runners.iter().map(|runner| &runner.attempt)
    }

    /// Whether nobody is left.
    fn is_over(&self) -> bool {
        self.runners.is_empty() && self.waiting.len() == 0
    }
}

impl<T> Runner<T> {
    fn rest(&self, limit: Duration, now: Instant) -> Duration {
        limit.saturating_sub(now.saturating_duration_since(self.start))
    }
}

/// What was wrong with the addresses: kept is what tells most.
#[derive(Debug, Default)]
struct Failures(Option<AddressFailure>);

/// What was wrong with an address.
#[derive(Debug)]
struct AddressFailure {
    weight: u8,
    address: SocketAddr,
    error: io::Error,
}

impl Failures {
    fn add(&mut self, address: SocketAddr, error: io::Error) {
        log::debug!("cannot connect to {address}: {error}");
        let weight = weight(&error);
        if self.0.as_ref().is_none_or(|kept| weight > kept.weight) {
            self.0 = Some(AddressFailure { weight, address, error });
        }
    }

    fn into_error(self) -> Error {
        match self.0 {
            Some(AddressFailure { address, error, .. }) => failed_at(address, error),
            None => failed(timed_out()),
        }
    }
}

/// How much an error tells. That an address means nothing to the system says nothing of the server. That this machine has no way there
/// says less than that nobody answered, and that less than what somebody answered.
fn weight(error: &io::Error) -> u8 {
    if matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::AFNOSUPPORT)) {
        return 0;
    }
    match error.kind() {
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => 1,
        io::ErrorKind::NetworkDown | io::ErrorKind::HostUnreachable => 2,
        io::ErrorKind::TimedOut => 3,
        _ => 4,
    }
}

/// The error of a connection to a place. What the system says is told with the place, and stays of its kind. What does not come from the
/// system is left as it is: a hook of the user's may look for it.
fn failed_at(place: impl fmt::Display, error: io::Error) -> Error {
    if error.raw_os_error().is_none() {
        return failed(error);
    }
    Error::Io { phase: Phase::Connect, error: io::Error::new(error.kind(), format!("{place}: {error}")) }
}

/// What the system itself calls ETIMEDOUT is no deadline of this crate's: it has given the connection up.
fn failed(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut if error.raw_os_error().is_none() => Error::Timeout(Phase::Connect),
        _ => Error::Io { phase: Phase::Connect, error },
    }
}

/// The addresses of `host` that can be connected to from the local one, if the user has named one.
///
/// # Errors
///
/// Where there are none: [`Error::Address`] for a name, which may lead to others later, and [`Error::Options`] for a host that is an address.
fn of_local_family(host: &str, mut addresses: Vec<SocketAddr>, local: Option<SocketAddr>) -> Result<Vec<SocketAddr>> {
    let Some(local) = local else { return Ok(addresses) };
    addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
    if !addresses.is_empty() {
        return Ok(addresses);
    }
    let family = format!("no address of the family of {}", local.ip());
    if host.parse::<IpAddr>().is_ok() {
        return Err(Error::Options(Box::new(OptionsError::new("bind", format!("the host has {family}")))));
    }
    Err(no_fit_address(host, format!("it has {family}, the local address (bind)")))
}

/// How long a listener whose queue is full is left alone, at first and at most.
#[cfg(unix)]
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Connects to a socket in the file system.
///
/// # Errors
///
/// [`io::ErrorKind::TimedOut`] when time runs out, otherwise what the system says.
#[cfg(unix)]
async fn connect_unix(
    mode: &WaitMode,
    path: &Path,
    settings: &Settings,
    deadline: Deadline,
) -> io::Result<Arc<Socket>> {
    let address = socket2::SockAddr::unix(path)?;
    let signal = cancel_signal(mode, settings)?;
    let socket = socket::unix(&settings.socket)?;
    let (mut pause, longest) = PAUSE;
    let mut was_interrupted = false;
    loop {
        // Each time: whoever has a clone may have changed it.
        system_calls::set_nonblocking(&socket, true)?;
        match system_calls::connect(&socket, &address) {
            // Linux says so when the listener's queue is full, and nothing tells when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // POSIX: what a signal has interrupted goes on by itself, and the next call says how far it has come.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => was_interrupted = true,
            Err(error) if was_interrupted && Errno::from_io_error(&error) == Some(Errno::ALREADY) => {}
            Err(error) if was_interrupted && Errno::from_io_error(&error) == Some(Errno::ISCONN) => {
                return Ok(Arc::new(Socket::new(socket)));
            }
            result => return result.map(|()| Arc::new(Socket::new(socket))),
        }
        let timeout = deadline.remaining()?.map_or(pause, |rest| rest.min(pause));
        match mode {
            WaitMode::Blocking => {
                if poll_sockets(iter::empty(), signal.as_ref(), Some(timeout))? == PollOutcome::Cancelled {
                    return Err(cancelled());
                }
            }
            WaitMode::Stepping(awaited) => {
                awaited.note(AwaitedEvent::Time(Some(Instant::now() + timeout))).await;
            }
        }
        pause = (2 * pause).min(longest);
    }
}

#[cfg(not(unix))]
async fn connect_unix(_: &WaitMode, _: &Path, _: &Settings, _: Deadline) -> io::Result<Arc<Socket>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are for Unix"))
}

#[cfg(test)]
mod tests;
