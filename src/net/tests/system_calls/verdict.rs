//! What a run may come to, by the faults that have struck.

use std::io;

use super::scenarios::{Hurry, Outcome, Scenario};
use super::servers::Route;
use crate::error::{CloseCause, Error, Phase, ProxyError};
use crate::net::system_calls::Call;
use crate::net::system_calls::faults::{Fault, PlannedFault};

/// Whether a run ended as it may.
pub(super) fn judge(
    struck: &[PlannedFault],
    scenario: Scenario,
    hurry: Hurry,
    outcome: &Outcome,
) -> Result<(), String> {
    let may_fail = hurry == Hurry::Great || !struck.iter().all(|&fault| is_harmless(fault));
    match outcome {
        // Where the end of an app's run is concerned it has seen to itself.
        Outcome::Done(_) if scenario == Scenario::Reconnect => Ok(()),
        Outcome::Done(Some(CloseCause::Local)) => Ok(()),
        // Our Close, or the answer to it, was lost.
        Outcome::Done(Some(CloseCause::Unanswered | CloseCause::Lost(_))) if may_fail => Ok(()),
        Outcome::Lost(info) if may_fail => match info.cause {
            CloseCause::Lost(kind) if is_expected(kind) => Ok(()),
            CloseCause::TornFrame => Ok(()),
            // It was closed before the loss was noticed.
            CloseCause::Unanswered if scenario == Scenario::Threads => Ok(()),
            cause => Err(format!("lost by {cause:?}")),
        },
        Outcome::NotOpened(error) if may_fail => phase(error, hurry).map(drop),
        outcome => Err(format!("{outcome:?} after {}", names(struck))),
    }
}

/// What does not end a connection, nor an opening, whichever call it is.
fn is_harmless(PlannedFault { call, fault, .. }: PlannedFault) -> bool {
    match (call, fault) {
        // Linux has no such error for TCP but where it has no port to give.
        (Call::Connect, Fault::Again) => false,
        (Call::Lookup | Call::Spawn, Fault::Again) => false,
        (Call::Poll, Fault::Zero) => true,
        (_, Fault::Interrupted | Fault::Again | Fault::Short | Fault::Spurious | Fault::Late) => true,
        (Call::Shutdown, _) => true,
        _ => false,
    }
}

fn is_expected(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, TimedOut, UnexpectedEof, WriteZero};
    // What has no kind of its own is ENOBUFS.
    matches!(kind, BrokenPipe | ConnectionReset | NotConnected | TimedOut | UnexpectedEof | WriteZero)
        || kind == io::Error::from(rustix::io::Errno::NOBUFS).kind()
}

/// In which phase an opening has failed.
fn phase(error: &Error, hurry: Hurry) -> Result<Phase, String> {
    match error {
        Error::Address(_) => Ok(Phase::Resolve),
        Error::Io { phase, .. } => Ok(*phase),
        Error::Timeout(phase) if hurry == Hurry::Great => Ok(*phase),
        Error::Proxy(error) => match **error {
            ProxyError::Connect { .. } => Ok(Phase::Connect),
            ProxyError::Eof => Ok(Phase::Proxy),
            _ => Err(format!("{error:?}")),
        },
        Error::Tls(_) => Ok(Phase::Tls),
        Error::Handshake(_) => Ok(Phase::Handshake),
        _ => Err(format!("not opened: {error:?}")),
    }
}

/// That an opening failed in the phase to which this call belongs, the only one that has failed.
pub(super) fn judge_phase(route: Route, fault: PlannedFault, error: &Error) -> Result<(), String> {
    let phase = phase(error, Hurry::Great)?;
    if matches!(error, Error::Timeout(_)) && fault.fault != Fault::TimedOut {
        // Who is in a hurry has no time left in whichever phase comes then.
        return Ok(());
    }
    let phases = route.phases();
    let is_expected = match fault.call {
        Call::Lookup => phase == Phase::Resolve,
        // The files of certificates are read by one, too.
        Call::Spawn => matches!(phase, Phase::Resolve | Phase::Tls),
        Call::Open | Call::Connect | Call::Address | Call::SetMode => phase == Phase::Connect,
        Call::Poll => phase == Phase::Connect || phases.contains(&phase),
        Call::SetTimeout | Call::Receive | Call::Send if fault.number == 1 => phase == phases[0],
        Call::SetTimeout | Call::Receive | Call::Send => phases.contains(&phase),
        Call::Shutdown => false,
    };
    if is_expected { Ok(()) } else { Err(format!("another phase than that of the call: {error:?}")) }
}

fn names(faults: &[PlannedFault]) -> String {
    faults.iter().map(|fault| format!("{fault}")).collect::<Vec<_>>().join(", ")
}
