//! How a task connects: by steps of an opening, or by an attempt that the loop makes on another thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::connecting::Connecting;
use super::{AppStep, AppTask, Permission, TaskPhase};
use crate::app::error::AppError;
use crate::app::sync::Arc;
use crate::error::{Error, Result};
use crate::websocket::{Opening, cancelled};

impl<'env> AppTask<'env> {
    /// Whether an attempt waits for [`open`](Self::open).
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn wants_to_open(&self) -> bool {
        matches!(self.phase, TaskPhase::Unpermitted)
    }

    /// Whether an attempt goes on in steps.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn is_opening(&self) -> bool {
        matches!(self.phase, TaskPhase::Opening(_))
    }

    /// Whether the loop makes an attempt.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn is_connecting(&self) -> bool {
        matches!(self.phase, TaskPhase::Connecting)
    }

    /// The option that a stream of the user's comes from.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) const fn stream_option(&self) -> &'static str {
        if self.app.connector.is_some() { "connect_with" } else { "dial_with" }
    }

    /// The attempt that waits may begin. Then the task is to be advanced.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn open(&mut self) {
        if self.wants_to_open() {
            self.start_opening();
        }
    }

    /// Begins an attempt.
    pub(super) fn connect(&mut self) -> Option<AppStep<'env>> {
        let (number, last_error) = self.with_session(|session| session.begin_attempt());
        if let Some(connector) = self.app.connector.take() {
            self.phase = TaskPhase::Connecting;
            let (url, options) = (self.app.url.clone(), self.options.clone());
            return Some(AppStep::Connect(Connecting { url, options, connector, number, last_error }));
        }
        match self.permission {
            Permission::Granted => self.start_opening(),
            #[cfg(all(unix, feature = "mio"))]
            Permission::ByLoop => self.phase = TaskPhase::Unpermitted,
        }
        None
    }

    fn start_opening(&mut self) {
        let wake = Arc::clone(&self.wake);
        self.phase = match self.options.start_with(&self.app.url, self.helper.clone()) {
            Ok(opening) => TaskPhase::Opening(Box::new(opening.on_wake(move || wake()))),
            Err(error) => TaskPhase::Attempted(Err(error)),
        };
    }

    pub(super) fn wait_for_permission(&mut self) -> Option<AppStep<'env>> {
        if self.app.handle.shared().is_called_off() {
            self.phase = TaskPhase::Attempted(Err(cancelled()));
            return None;
        }
        self.phase = TaskPhase::Unpermitted;
        Some(AppStep::Wait(None))
    }

    pub(super) fn step_opening(&mut self, mut opening: Box<Opening>) -> Option<AppStep<'env>> {
        let stepped = catch_unwind(AssertUnwindSafe(|| opening.step()))
            .unwrap_or_else(|payload| Err(Error::other(AppError::panicked("a hook of the options", &*payload))));
        let outcome: Result<_> = match stepped {
            Ok(None) => {
                let next = opening.next_step();
                self.phase = TaskPhase::Opening(opening);
                let is_due = next.is_some_and(|next| next <= Instant::now());
                return Some(if is_due { AppStep::Again } else { AppStep::Wait(next) });
            }
            Ok(Some(ws)) => Ok(ws),
            Err(error) => Err(error),
        };
        self.phase = TaskPhase::Attempted(outcome);
        None
    }
}
