//! How far the closing handshake has come, and what each event makes of that (RFC 6455, section 7).
//!
//! The state is behind the lock of [`SharedConnection`]: any thread may close, receive the peer's Close, or meet a failure.

use std::io;
use std::mem;
use std::net::Shutdown;
use std::sync::atomic::Ordering;

use super::shared::{SendState, SharedConnection};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::{Deadline, Layer};
use crate::protocol::{CloseCode, CloseFrame, ProtocolError};
use crate::sync::MutexGuard;

/// How far the closing handshake has come (RFC 6455, section 7).
#[derive(Debug)]
pub(super) enum CloseState {
    /// Neither side has closed.
    Open,
    /// Our Close waits to be sent.
    Queued { ours: CloseFrame, send_by: Deadline },
    /// Our Close has left, the peer's is awaited.
    Sent { ours: CloseFrame, answer_by: Deadline },
    /// The peer has closed or broken a rule, which decides how the connection ends; it is over by `until`. `ours` is our Close
    /// while it waits to be sent.
    Ending { info: CloseInfo, ours: Option<CloseFrame>, until: Deadline },
    /// Nothing more can be sent. What was received before, or comes until `read_by`, may say why.
    WriteFailed { info: CloseInfo, read_by: Deadline },
    /// The connection is over.
    Closed(CloseInfo),
}

impl CloseState {
    /// How the connection ends, if that is known.
    const fn info(&self) -> Option<&CloseInfo> {
        match self {
            Self::Open | Self::Queued { .. } | Self::Sent { .. } => None,
            Self::Ending { info, .. } | Self::WriteFailed { info, .. } | Self::Closed(info) => Some(info),
        }
    }

    pub(super) const fn can_write(&self) -> bool {
        match self {
            Self::Open | Self::Queued { .. } | Self::Sent { .. } | Self::Ending { .. } => true,
            Self::WriteFailed { .. } | Self::Closed(_) => false,
        }
    }

    /// By when this state must have come to its end.
    pub(super) const fn deadline(&self) -> Deadline {
        match self {
            Self::Queued { send_by, .. } => *send_by,
            Self::Sent { answer_by, .. } => *answer_by,
            Self::Ending { until, .. } => *until,
            Self::WriteFailed { read_by, .. } => *read_by,
            Self::Open | Self::Closed(_) => Deadline::NEVER,
        }
    }

    /// What the loss of the connection means: after our Close, that it was not answered.
    fn cause_of_loss(&self, kind: io::ErrorKind) -> CloseCause {
        match self {
            Self::Queued { .. } | Self::Sent { .. } => CloseCause::Unanswered,
            _ => CloseCause::Lost(kind),
        }
    }
}

impl SendState {
    /// Our Close, if it waits to be sent.
    pub(super) const fn queued_close(&self) -> Option<&CloseFrame> {
        match &self.close {
            CloseState::Queued { ours, .. } => Some(ours),
            CloseState::Ending { ours: Some(ours), .. } => Some(ours),
            _ => None,
        }
    }

    /// Our Close has left: the time for the peer's begins to run.
    pub(super) fn close_left(&mut self) {
        let answer_by = self.close_timeout_from_now();
        match &mut self.close {
            CloseState::Queued { ours, .. } => {
                let ours = mem::replace(ours, CloseFrame::empty());
                self.close = CloseState::Sent { ours, answer_by };
            }
            CloseState::Ending { ours, .. } => *ours = None,
            CloseState::Open | CloseState::Sent { .. } | CloseState::WriteFailed { .. } | CloseState::Closed(_) => {}
        }
    }

    /// Gives our Close, which could not leave in time, the same time again: the receive that follows may still send it.
    pub(super) fn renew_send_by(&mut self) {
        let renewed = self.close_timeout_from_now();
        if let CloseState::Queued { send_by, .. } = &mut self.close {
            *send_by = renewed;
        }
    }

    fn close_timeout_from_now(&self) -> Deadline {
        Deadline::after(Some(self.timeouts.close))
    }
}

impl SharedConnection {
    /// Queues our Close unless there was one; the first counts, and there is never a second on the wire (section 5.5.1).
    pub(super) fn queue_close(&self, close: CloseFrame) -> bool {
        let mut state = self.state();
        if !matches!(state.close, CloseState::Open) {
            return false;
        }
        let send_by = state.close_timeout_from_now();
        state.close = CloseState::Queued { ours: close, send_by };
        state.discard_queued_controls();
        self.has_unsent.store(true, Ordering::Relaxed);
        drop(state);
        self.event_loop.wake();
        true
    }

    /// The peer's Close was received: queues the answer, unless it answers ours (section 5.5.1). Returns how the connection ends.
    pub(super) fn receive_close(&self, theirs: &CloseFrame, first: CloseCause) -> CloseInfo {
        let mut state = self.state();
        let answer = CloseFrame { code: theirs.code, reason: String::new() };
        let (cause, ours) = match &mut state.close {
            CloseState::Open => (CloseCause::Remote, Some(answer)),
            CloseState::Queued { ours, .. } => (first, Some(ours.clone())),
            CloseState::Sent { .. } => (first, None),
            CloseState::WriteFailed { info, .. } => {
                let info = info.with_close(theirs);
                return self.end_unanswered(state, info);
            }
            CloseState::Ending { info, .. } => return info.clone(),
            CloseState::Closed(info) => {
                // This side had ended it meanwhile. What the peer said last counts.
                if !info.is_decided_by_peer() {
                    *info = info.with_close(theirs);
                }
                return info.clone();
            }
        };
        let info = CloseInfo::new(theirs.code, &theirs.reason, cause);
        self.begin_ending(state, info.clone(), ours);
        log::debug!("connection closed: {info}");
        info
    }

    /// The peer broke a rule: queues the Close that says which (section 7.1.7). Returns how the connection ends.
    #[cold]
    pub(super) fn receive_violation(&self, error: ProtocolError, reason: &str) -> CloseInfo {
        log::debug!("peer violated the protocol: {error}");
        let state = self.state();
        let ours = match &state.close {
            CloseState::Open => CloseFrame::new(error.close_code(), "").ok(),
            CloseState::Queued { ours, .. } => Some(ours.clone()),
            CloseState::Sent { .. } => None,
            CloseState::WriteFailed { .. } => {
                let info = CloseInfo::of_violation(error, reason);
                return self.end_unanswered(state, info);
            }
            CloseState::Ending { info, .. } | CloseState::Closed(info) => return info.clone(),
        };
        let info = CloseInfo::of_violation(error, reason);
        self.begin_ending(state, info.clone(), ours);
        info
    }

    /// A Close that must not be sent had come before this side ended the connection: what the peer said last counts. Returns how the
    /// connection ended.
    #[cold]
    pub(super) fn receive_rejected_close(&self, error: ProtocolError, reason: &str) -> CloseInfo {
        let info = CloseInfo::of_violation(error, reason);
        match &mut self.state().close {
            CloseState::Closed(ended) if !ended.is_decided_by_peer() => ended.clone_from(&info),
            CloseState::Closed(ended) => return ended.clone(),
            _ => {}
        }
        info
    }

    /// No pong is due any more (section 5.5.2).
    fn begin_ending(&self, mut state: MutexGuard<'_, SendState>, info: CloseInfo, ours: Option<CloseFrame>) {
        if ours.is_some() {
            self.has_unsent.store(true, Ordering::Relaxed);
        }
        // Our own closing deadline holds for what is left to do, too.
        let until = match state.close {
            CloseState::Sent { answer_by, .. } => answer_by,
            _ => state.close_timeout_from_now(),
        };
        state.close = CloseState::Ending { info, ours, until };
        state.discard_queued_controls();
        state.wake_all(self);
    }

    /// The peer has said why it ends a connection that nothing can be sent on: there is nothing more to do.
    fn end_unanswered(&self, mut state: MutexGuard<'_, SendState>, info: CloseInfo) -> CloseInfo {
        state.close = CloseState::Closed(info.clone());
        state.wake_all(self);
        drop(state);
        let _ = self.stream.shutdown(Shutdown::Both);
        info
    }

    /// Ends the connection. What was decided before counts; how it ended is returned.
    pub(super) fn end(&self, info: CloseInfo) -> CloseInfo {
        let mut state = self.state();
        let info = match &state.close {
            CloseState::Closed(info) => return info.clone(),
            CloseState::Ending { info, .. } | CloseState::WriteFailed { info, .. } => info.clone(),
            CloseState::Open | CloseState::Queued { .. } | CloseState::Sent { .. } => info,
        };
        state.close = CloseState::Closed(info.clone());
        state.discard_queued_controls();
        self.has_unsent.store(false, Ordering::Relaxed);
        state.wake_all(self);
        info
    }

    /// Ends the connection at once: whoever reads or writes is woken.
    pub(crate) fn abort(&self, cause: CloseCause) -> CloseInfo {
        let info = self.end(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause));
        // The socket may be gone already; that is what is wanted.
        let _ = self.stream.shutdown(Shutdown::Both);
        info
    }

    /// A read failed.
    pub(super) fn read_failed(&self, kind: io::ErrorKind) -> Error {
        let cause = self.state().close.cause_of_loss(kind);
        Error::Closed(Box::new(self.abort(cause)))
    }

    /// A write failed, or a frame was written in part and cannot be finished: nothing more is sent. A peer that closes and goes
    /// does that to whoever is sending, so what it said last is still received: see [`CloseState::WriteFailed`].
    #[cold]
    pub(super) fn write_failed(&self, cause: CloseCause) -> Error {
        let mut state = self.state();
        let mut read_by = state.close_timeout_from_now();
        let info = match &mut state.close {
            CloseState::Open => CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", cause),
            CloseState::Queued { .. } => CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Unanswered),
            CloseState::Sent { answer_by, .. } => {
                read_by = *answer_by;
                CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Unanswered)
            }
            CloseState::Ending { info, ours, .. } => {
                *ours = None;
                let info = info.clone();
                state.wake_all(self);
                return Error::Closed(Box::new(info));
            }
            CloseState::WriteFailed { info, .. } | CloseState::Closed(info) => {
                return Error::Closed(Box::new(info.clone()));
            }
        };
        state.close = CloseState::WriteFailed { info: info.clone(), read_by };
        state.discard_queued_controls();
        self.has_unsent.store(false, Ordering::Relaxed);
        state.wake_all(self);
        drop(state);
        match cause {
            // Nothing has arrived that a receive could wait behind, and nothing more is to be expected.
            CloseCause::Lost(_) if self.activity.is_blocked() => drop(self.stream.shutdown(Shutdown::Both)),
            // A peer that still reads finds out, and hangs up sooner.
            _ => {
                let _ = self.stream.shutdown(Shutdown::Write);
                self.watch_blocked_receive();
            }
        }
        // Last: it is the user's, and may panic.
        self.event_loop.wake();
        Error::Closed(Box::new(info))
    }

    /// The error for a call on a connection that is over.
    pub(super) fn closed(&self) -> Option<Error> {
        match &self.state().close {
            CloseState::Closed(info) => Some(Error::Closed(Box::new(info.clone()))),
            _ => None,
        }
    }

    /// How a connection that nothing can be sent on ends with this Close of the peer; `None` in any other state.
    pub(super) fn close_info_after_failed_write(&self, theirs: &CloseFrame) -> Option<CloseInfo> {
        match &self.state().close {
            CloseState::WriteFailed { info, .. } => Some(info.with_close(theirs)),
            _ => None,
        }
    }

    /// Whether nothing more can be sent, and what has arrived may say why.
    pub(super) fn has_failed_write(&self) -> bool {
        matches!(self.state().close, CloseState::WriteFailed { .. })
    }

    /// How the connection ended or is about to end, if that is known.
    pub(super) fn close_info(&self) -> Option<CloseInfo> {
        self.state().close.info().cloned()
    }

    /// The error for a write where nothing can be written any more.
    #[cold]
    pub(super) fn write_error(&self) -> Error {
        self.close_info().map_or_else(super::not_connected, |info| Error::Closed(Box::new(info)))
    }

    /// Whether the connection is over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.state().close, CloseState::Closed(_))
    }

    /// Whether the connection stands: messages can be sent, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state().close, CloseState::Open)
    }

    /// Whether anything can still be sent, if only our Close.
    pub(super) fn can_write(&self) -> bool {
        self.state().close.can_write()
    }

    /// # Errors
    ///
    /// [`Error::Closed`] when nothing can be sent any more.
    pub(super) fn check_can_write(&self) -> Result<()> {
        if self.can_write() { Ok(()) } else { Err(self.write_error()) }
    }

    /// By when what the closing handshake waits for must have come.
    pub(super) fn closing_deadline(&self) -> Deadline {
        self.state().close.deadline()
    }
}
