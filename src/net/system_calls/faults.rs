//! Faults of system calls: a plan for the whole process says which call of its kind fails, and how. A process of tests that has a plan
//! does nothing else, so that the n-th call of a kind is the same in each run, whichever thread makes it.

use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use socket2::Socket;

use super::Call;

impl Call {
    pub(crate) const ALL: [Self; 11] = [
        Self::Lookup,
        Self::Spawn,
        Self::Open,
        Self::SetMode,
        Self::SetTimeout,
        Self::Connect,
        Self::Address,
        Self::Poll,
        Self::Receive,
        Self::Send,
        Self::Shutdown,
    ];

    /// In which ways it can fail.
    pub(crate) const fn faults(self) -> &'static [Fault] {
        use Fault::*;
        match self {
            Self::Lookup => &[Interrupted, Again, Zero, Late, Overdue],
            Self::Spawn => &[Again, Late],
            Self::Open => &[NoDescriptors, NoBuffers, Late],
            Self::SetMode | Self::SetTimeout => &[NoBuffers],
            Self::Connect => &[Interrupted, Again, Refused, Reset, TimedOut, NoBuffers, Late, Overdue],
            Self::Address => &[NotConnected, NoBuffers],
            Self::Poll => &[Interrupted, Again, NoBuffers, Zero, Spurious, Late, Overdue],
            Self::Receive => {
                &[Interrupted, Again, Reset, TimedOut, NotConnected, NoBuffers, Short, Zero, Late, Overdue]
            }
            Self::Send => &[Interrupted, Again, Reset, BrokenPipe, TimedOut, NoBuffers, Short, Zero, Late, Overdue],
            Self::Shutdown => &[NotConnected, Late],
        }
    }
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Fault {
    /// EINTR.
    Interrupted,
    /// EAGAIN.
    Again,
    Refused,
    /// ECONNRESET. As with all that ends a connection, the socket is good for nothing afterwards.
    Reset,
    BrokenPipe,
    /// ETIMEDOUT: the system has given the connection up.
    TimedOut,
    NotConnected,
    /// EMFILE.
    NoDescriptors,
    /// ENOBUFS: the system is short of memory. The socket is as good as it was.
    NoBuffers,
    /// One byte is moved, however much there is.
    Short,
    /// The end of the stream, nothing written, nobody ready, no address.
    Zero,
    /// `poll` says "ready" where nothing is.
    Spurious,
    /// The call takes [`LATE`](Self::LATE) longer.
    Late,
    /// The call takes [`OVERDUE`](Self::OVERDUE) longer, which is more than those have who are in a hurry.
    Overdue,
}

impl Fault {
    pub(crate) const ALL: [Self; 14] = [
        Self::Interrupted,
        Self::Again,
        Self::Refused,
        Self::Reset,
        Self::BrokenPipe,
        Self::TimedOut,
        Self::NotConnected,
        Self::NoDescriptors,
        Self::NoBuffers,
        Self::Short,
        Self::Zero,
        Self::Spurious,
        Self::Late,
        Self::Overdue,
    ];
    const LATE: Duration = Duration::from_millis(2);
    pub(crate) const OVERDUE: Duration = Duration::from_millis(80);

    const fn errno(self) -> Option<Errno> {
        match self {
            Self::Interrupted => Some(Errno::INTR),
            Self::Again => Some(Errno::AGAIN),
            Self::Refused => Some(Errno::CONNREFUSED),
            Self::Reset => Some(Errno::CONNRESET),
            Self::BrokenPipe => Some(Errno::PIPE),
            Self::TimedOut => Some(Errno::TIMEDOUT),
            Self::NotConnected => Some(Errno::NOTCONN),
            Self::NoDescriptors => Some(Errno::MFILE),
            Self::NoBuffers => Some(Errno::NOBUFS),
            Self::Short | Self::Zero | Self::Spurious | Self::Late | Self::Overdue => None,
        }
    }

    /// Whether the connection that it strikes is over for the system, too.
    const fn is_deadly(self) -> bool {
        matches!(self, Self::Reset | Self::BrokenPipe | Self::TimedOut | Self::NotConnected)
    }
}

/// A call that fails: the n-th of its kind, from 1.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct PlannedFault {
    pub(crate) call: Call,
    pub(crate) number: u32,
    pub(crate) fault: Fault,
}

impl std::fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}:{}:{:?}", self.call, self.number, self.fault)
    }
}

impl FromStr for PlannedFault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let [call, number, fault] = text.split(':').collect::<Vec<_>>().try_into().ok()?;
            Some(Self {
                call: Call::ALL.into_iter().find(|known| format!("{known:?}") == call)?,
                number: number.parse().ok()?,
                fault: Fault::ALL.into_iter().find(|known| format!("{known:?}") == fault)?,
            })
        };
        parse().ok_or_else(|| format!("{text:?} is not Call:number:Fault"))
    }
}

/// How many calls of each kind there were, and which faults have struck.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    calls: [u32; Call::ALL.len()],
    pub(crate) struck: Vec<PlannedFault>,
}

impl Counts {
    pub(crate) const fn of(&self, call: Call) -> u32 {
        self.calls[call as usize]
    }
}

struct Plan {
    faults: Vec<PlannedFault>,
    counts: Counts,
}

static IS_PLANNED: AtomicBool = AtomicBool::new(false);
static PLAN: Mutex<Plan> =
    Mutex::new(Plan { faults: Vec::new(), counts: Counts { calls: [0; Call::ALL.len()], struck: Vec::new() } });

/// From now on these calls fail, counted from here.
pub(crate) fn begin(faults: Vec<PlannedFault>) {
    *plan() = Plan { faults, counts: Counts::default() };
    IS_PLANNED.store(true, Ordering::SeqCst);
}

/// From now on no call fails.
pub(crate) fn end() -> Counts {
    IS_PLANNED.store(false, Ordering::SeqCst);
    plan().counts.clone()
}

fn plan() -> MutexGuard<'static, Plan> {
    PLAN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a call, and says what happens to it. One that is late is so already.
fn strike(call: Call) -> Option<Fault> {
    if !IS_PLANNED.load(Ordering::Relaxed) {
        return None;
    }
    let fault = {
        let mut plan = plan();
        plan.counts.calls[call as usize] += 1;
        let number = plan.counts.calls[call as usize];
        let planned = plan.faults.iter().find(|fault| fault.call == call && fault.number == number).copied()?;
        plan.counts.struck.push(planned);
        planned.fault
    };
    match fault {
        Fault::Late => thread::sleep(Fault::LATE),
        Fault::Overdue => thread::sleep(Fault::OVERDUE),
        _ => return Some(fault),
    }
    None
}

pub(super) fn transfer(
    call: Call,
    socket: Option<&Socket>,
    most: usize,
    make: impl FnOnce(usize) -> io::Result<usize>,
) -> io::Result<usize> {
    let fault = match strike(call) {
        None => return make(most),
        Some(Fault::Short) => return make(most.min(1)),
        Some(Fault::Zero) => return Ok(0),
        Some(Fault::Spurious) => return Ok(1),
        Some(fault) => fault,
    };
    if let Some(socket) = socket.filter(|_| fault.is_deadly()) {
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }
    Err(error(fault))
}

pub(super) fn attempt<T>(call: Call, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let Some(fault) = strike(call) else { return make() };
    let is_made = match call {
        // POSIX: a connect that a signal interrupts goes on nevertheless.
        Call::Connect => fault == Fault::Interrupted,
        // What is said not to be connected must not be left connected.
        Call::Shutdown => true,
        _ => false,
    };
    if is_made {
        let _ = make();
    }
    Err(error(fault))
}

pub(super) fn look_up(make: impl FnOnce() -> io::Result<Vec<SocketAddr>>) -> io::Result<Vec<SocketAddr>> {
    match strike(Call::Lookup) {
        None => make(),
        Some(Fault::Zero) => Ok(Vec::new()),
        Some(fault) => Err(error(fault)),
    }
}

fn error(fault: Fault) -> io::Error {
    fault.errno().map_or_else(|| unreachable!("{fault:?} is no error"), io::Error::from)
}
