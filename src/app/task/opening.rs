//! How a task connects: by steps of an opening, or by an attempt with `connect_with` that the loop makes on another thread.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::{AppStep, AppTask, Permission, TaskPhase};
use crate::app::builder::ConnectHook;
use crate::app::facts::{AppError, Attempt};
use crate::error::{Error, Result};
use crate::options::ConnectOptions;
use crate::url::Target;
use crate::websocket::{Opening, WebSocket, cancelled};

/// An attempt to connect by [`connect_with`](crate::WebSocketApp::connect_with), to be made on a thread that may wait.
pub struct Connecting<'env> {
    pub(super) url: String,
    pub(super) options: ConnectOptions,
    pub(super) connector: ConnectHook<'env>,
    pub(super) number: u32,
    pub(super) last_error: Option<Arc<Error>>,
}

/// What came of an attempt to connect.
#[derive(Debug)]
pub struct Connected<'env> {
    pub(super) connector: ReturnedConnector<'env>,
    pub(super) outcome: Result<WebSocket>,
}

/// A connector on its way back.
pub(super) struct ReturnedConnector<'env>(pub(super) ConnectHook<'env>);

impl<'env> Connecting<'env> {
    /// Connects, and waits for it, at most for the [open timeout](crate::ConnectOptions::open_timeout); cancelled when the app is
    /// closed.
    pub fn run(mut self) -> Connected<'env> {
        let Self { url, options, connector, number, last_error } = &mut self;
        let attempt = Attempt { url, number: *number, last_error: last_error.as_deref() };
        let outcome = catch_unwind(AssertUnwindSafe(|| connector(&attempt, options.clone())))
            .unwrap_or_else(|payload| Err(Error::other(AppError::panicked("connect_with", &*payload))));
        self.ended(outcome)
    }

    /// Does not connect: there is nobody to do it.
    pub fn fail(self, error: Error) -> Connected<'env> {
        self.ended(Err(error))
    }

    /// Whether the app has been closed since.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn is_cancelled(&self) -> bool {
        self.options.settings().is_cancelled()
    }

    /// Does not connect: nobody wants it any more.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn cancel(self) -> Connected<'env> {
        self.ended(Err(cancelled()))
    }

    fn ended(self, outcome: Result<WebSocket>) -> Connected<'env> {
        Connected { connector: ReturnedConnector(self.connector), outcome }
    }
}

impl fmt::Debug for Connecting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("number", &self.number)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReturnedConnector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn(..)")
    }
}

impl<'env> AppTask<'env> {
    /// Whether an attempt waits for [`open`](Self::open).
    #[cfg(feature = "mio")]
    pub(in crate::app) fn wants_to_open(&self) -> bool {
        matches!(self.phase, TaskPhase::AwaitingPermission)
    }

    /// Whether an attempt goes on in steps.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn is_opening(&self) -> bool {
        matches!(self.phase, TaskPhase::Opening(_))
    }

    /// Whether the loop makes an attempt.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn is_connecting(&self) -> bool {
        matches!(self.phase, TaskPhase::Connecting)
    }

    /// The option that a stream of the user's comes from.
    #[cfg(feature = "mio")]
    pub(in crate::app) const fn stream_option(&self) -> &'static str {
        if self.app.connector.is_some() { "connect_with" } else { "dial_with" }
    }

    /// The attempt that waits may begin. Then the task is to be advanced.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn open(&mut self) {
        if self.wants_to_open() {
            self.start_opening();
        }
    }

    /// Begins an attempt.
    pub(super) fn connect(&mut self) -> Option<AppStep<'env>> {
        let (number, last_error) = self.with_session(|session| session.begin_attempt());
        if self.app.handle.shared().is_cancelled() {
            self.phase = TaskPhase::Attempted(Err(cancelled()));
            return None;
        }
        if let Some(connector) = self.app.connector.take() {
            self.phase = TaskPhase::Connecting;
            let (url, options) = (self.app.url.clone(), self.options.clone());
            return Some(AppStep::Connect(Connecting { url, options, connector, number, last_error }));
        }
        match self.permission {
            Permission::Granted => self.start_opening(),
            #[cfg(feature = "mio")]
            Permission::ByLoop => self.phase = TaskPhase::AwaitingPermission,
        }
        None
    }

    /// Where the app connects to.
    pub(in crate::app) fn target(&mut self) -> Result<Target> {
        if let Some(target) = &self.target {
            return Ok(target.clone());
        }
        let target = Target::parse(&self.app.url)?;
        self.target = Some(target.clone());
        Ok(target)
    }

    fn start_opening(&mut self) {
        let wake = Arc::clone(&self.wake);
        let opening = self.target().and_then(|target| self.options.start_at(target, self.helper.clone()));
        self.phase = match opening {
            Ok(opening) => TaskPhase::Opening(Box::new(opening.on_wake(move || wake()))),
            Err(error) => TaskPhase::Attempted(Err(error)),
        };
    }

    pub(super) fn wait_for_permission(&mut self) -> Option<AppStep<'env>> {
        if self.app.handle.shared().is_cancelled() {
            self.phase = TaskPhase::Attempted(Err(cancelled()));
            return None;
        }
        self.phase = TaskPhase::AwaitingPermission;
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
