//! Which faults strike which operations of a transport: by plan, or by seed.

mod seeded;
mod transport;

use std::fmt;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use self::seeded::{Seeded, Severity};
pub use self::transport::FaultyTransport;
use crate::net::Transport;

/// Makes faulty [transports](Transport) of good ones: by [plan](Self::on), the n-th operation meets this fault; by
/// [seed](Self::seeded), faults that look like chance and are the same for the same seed. Its clones are the same.
///
/// A connection whose third write fails; the first is the request of the opening handshake:
///
/// ```
/// use std::net::TcpStream;
///
/// use websocket_sync::ConnectOptions;
/// use websocket_sync::test_kit::{Fault, FaultInjector, Operation, TestServer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = TestServer::start(|peer| {
///     peer.accept()?;
///     peer.expect_text("first")?;
///     peer.expect_end()
/// })?;
/// let faults = FaultInjector::new().on(Operation::Write, 3, Fault::Reset);
/// let stream = faults.wrap(TcpStream::connect(server.address())?);
/// let ws = ConnectOptions::new().connect_over(stream, server.url())?;
/// ws.send_text("first")?;
/// assert!(ws.send_text("second").is_err());
/// assert_eq!(faults.to_string(), "transport 1: write 3: reset");
/// drop(ws);
/// server.finish()?;
/// # Ok(())
/// # }
/// ```
///
/// For an app, [`dial_with`](crate::ConnectOptions::dial_with) wraps each of its connections. A planned fault strikes once: on the first
/// transport that comes so far.
///
/// The seed, and what has struck, is in the text of the injector (`Display`), and on standard error where a test panics that holds one.
///
/// What waits in a loop by descriptor would not see the faults, so a faulty transport has [none](Transport::as_fd).
#[derive(Clone)]
pub struct FaultInjector(Arc<Injection>);

/// What a fault strikes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a transport has no other operations that can fail")]
pub enum Operation {
    /// [`Transport::try_read`] where there is something to read, be it the end.
    Read,
    /// [`Transport::try_write`] where there is room.
    Write,
    /// [`Transport::wait`]. How many there are depends on the network and the machine.
    Wait,
}

/// What an operation does instead of what it should.
///
/// ```
/// use std::time::Duration;
///
/// use websocket_sync::test_kit::{Fault, FaultInjector, Operation};
///
/// let faults = FaultInjector::new()
///     .on(Operation::Read, 2, Fault::Delay(Duration::from_millis(50)))
///     .on(Operation::Write, 4, Fault::Torn(3));
/// assert!(faults.struck().is_empty()); // there is no transport yet
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// EINTR: it is called again.
    Interrupted,
    /// EAGAIN, although there is something or room; a wait ends although there is not.
    WouldBlock,
    /// Passes on so many bytes and no more. With 0, a read says that the stream has ended, and a write that nothing was written, once.
    Short(usize),
    /// The direction is blocked for so long.
    Delay(Duration),
    /// The direction is blocked until a wait for it has reached its deadline, and for the last try after that.
    Timeout,
    /// Passes on so many bytes; then the connection is reset.
    Torn(usize),
    /// ECONNRESET, now and ever after; the peer sees the connection end.
    Reset,
    /// The end of the stream, now and ever after; a write fails with EPIPE.
    Eof,
    /// This error, once.
    Error(ErrorKind),
    /// Passes nothing on, and claims one byte more than there was room for, which no transport may do.
    Overrun,
}

/// A fault that has struck.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct StruckFault {
    /// Which of the injector's transports; the first is 1.
    pub transport: usize,
    /// What it has struck.
    pub operation: Operation,
    /// Which of these operations of the transport; the first is 1.
    pub number: usize,
    /// What has happened.
    pub fault: Fault,
}

struct Injection {
    seeded: Option<Seeded>,
    state: Mutex<InjectionState>,
}

#[derive(Default)]
struct InjectionState {
    planned: Vec<(Operation, usize, Fault)>,
    /// What every operation of a kind meets.
    each: Vec<(Operation, Fault)>,
    struck: Vec<StruckFault>,
    transports: usize,
    /// A panic has told what has struck.
    is_told: bool,
}

impl FaultInjector {
    /// One that has no fault planned.
    pub fn new() -> Self {
        Self::with(None)
    }

    /// Faults by seed: one operation in 16 meets one, and one fault in 16 ends the connection.
    ///
    /// The n-th read of the m-th transport meets the same fault in each run; so does the n-th write. Into how many reads a stream is
    /// cut may depend on the network.
    pub fn seeded(seed: u64) -> Self {
        Self::with(Some(Seeded { seed, severity: Severity::Any }))
    }

    /// Faults by seed that no connection notices but by the time it takes: [`Interrupted`](Fault::Interrupted),
    /// [`WouldBlock`](Fault::WouldBlock), [`Short`](Fault::Short), [`Delay`](Fault::Delay) of at most 3 ms.
    ///
    /// ```
    /// use std::net::TcpStream;
    ///
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::test_kit::{FaultInjector, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// for seed in 1..=3 {
    ///     let server = TestServer::start(|peer| {
    ///         peer.accept()?;
    ///         peer.echo()
    ///     })?;
    ///     let faults = FaultInjector::harmless(seed);
    ///     let stream = faults.wrap(TcpStream::connect(server.address())?);
    ///     let mut ws = ConnectOptions::new().connect_over(stream, server.url())?;
    ///     ws.send_text("there and back")?;
    ///     assert_eq!(ws.recv()?.as_text(), Some("there and back"));
    ///     ws.close()?;
    ///     server.finish()?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn harmless(seed: u64) -> Self {
        Self::with(Some(Seeded { seed, severity: Severity::Harmless }))
    }

    fn with(seeded: Option<Seeded>) -> Self {
        Self(Arc::new(Injection { seeded, state: Mutex::default() }))
    }

    /// Plans a fault for the n-th operation of its kind; the first is 1. An operation that a fault has kept is still the n-th when it is
    /// called again. Two faults for the same operation strike two transports.
    #[must_use]
    pub fn on(self, operation: Operation, number: usize, fault: Fault) -> Self {
        self.0.state().planned.push((operation, number, fault));
        self
    }

    /// Plans a fault for each operation of this kind that meets no other. It is not among those that [struck](Self::struck).
    ///
    /// ```
    /// use std::net::TcpStream;
    ///
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::test_kit::{Fault, FaultInjector, Operation, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     peer.send_text("a byte at a time")
    /// })?;
    /// let faults = FaultInjector::new().on_each(Operation::Read, Fault::Short(1));
    /// let stream = faults.wrap(TcpStream::connect(server.address())?);
    /// let mut ws = ConnectOptions::new().connect_over(stream, server.url())?;
    /// assert_eq!(ws.recv()?.as_text(), Some("a byte at a time"));
    /// # drop(ws);
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn on_each(self, operation: Operation, fault: Fault) -> Self {
        self.0.state().each.push((operation, fault));
        self
    }

    /// A transport that does what this one does, but for the faults.
    pub fn wrap(&self, transport: impl Into<Box<dyn Transport>>) -> FaultyTransport {
        let mut state = self.0.state();
        state.transports += 1;
        let number = state.transports;
        drop(state);
        FaultyTransport::new(transport.into(), Arc::clone(&self.0), number)
    }

    /// What has struck so far: the first 10,000 faults.
    pub fn struck(&self) -> Vec<StruckFault> {
        self.0.state().struck.clone()
    }

    /// The seed, if there is one.
    pub fn seed(&self) -> Option<u64> {
        self.0.seeded.map(|seeded| seeded.seed)
    }
}

impl Default for FaultInjector {
    fn default() -> Self {
        Self::new()
    }
}

/// `seed 7: transport 1: write 3: reset, read 9: torn after 5 bytes`
impl fmt::Display for FaultInjector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seed) = self.seed() {
            write!(f, "seed {seed}: ")?;
        }
        let struck = self.struck();
        if struck.is_empty() {
            return f.write_str("nothing has struck");
        }
        let mut transport = None;
        for (index, fault) in struck.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            if transport != Some(fault.transport) {
                write!(f, "transport {}: ", fault.transport)?;
                transport = Some(fault.transport);
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for FaultInjector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultInjector({self})")
    }
}

impl Drop for FaultInjector {
    fn drop(&mut self) {
        if !thread::panicking() || self.0.seeded.is_none() && self.struck().is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.0.state().is_told, true) {
            eprintln!("faults were injected: {self}");
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Wait => "wait",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::WouldBlock => f.write_str("would block"),
            Self::Short(bytes) => write!(f, "cut to {bytes} bytes"),
            Self::Delay(delay) => write!(f, "late by {delay:?}"),
            Self::Timeout => f.write_str("timed out"),
            Self::Torn(bytes) => write!(f, "torn after {bytes} bytes"),
            Self::Reset => f.write_str("reset"),
            Self::Eof => f.write_str("end of the stream"),
            Self::Error(kind) => write!(f, "{kind}"),
            Self::Overrun => f.write_str("claimed too much"),
        }
    }
}

/// `write 3: reset`
impl fmt::Display for StruckFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.operation, self.number, self.fault)
    }
}

impl Injection {
    fn state(&self) -> MutexGuard<'_, InjectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault that this operation meets.
    fn strike(&self, transport: usize, operation: Operation, number: usize) -> Option<Fault> {
        const MOST: usize = 10_000;
        let mut state = self.state();
        let planned = state.planned.iter().position(|&(planned, at, _)| (planned, at) == (operation, number));
        let fault = match planned {
            Some(planned) => Some(state.planned.remove(planned).2),
            None => self.seeded.and_then(|seeded| seeded.fault(transport, operation, number)),
        };
        let Some(fault) = fault else {
            return state.each.iter().find(|(each, _)| *each == operation).map(|(_, fault)| *fault);
        };
        if state.struck.len() < MOST {
            state.struck.push(StruckFault { transport, operation, number, fault });
        }
        Some(fault)
    }

    /// An error that says where it comes from.
    fn error(&self, kind: ErrorKind, struck: &str) -> io::Error {
        match self.seeded {
            None => io::Error::new(kind, format!("injected fault: {struck}")),
            Some(Seeded { seed, .. }) => io::Error::new(kind, format!("injected fault: {struck} (seed {seed})")),
        }
    }
}
