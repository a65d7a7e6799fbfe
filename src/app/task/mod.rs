//! An app for a loop of the user's own: it is told to go on, never waits, and says what it waits for.

mod connection;
mod opening;

use std::any::Any;
use std::fmt;
use std::io;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

pub use self::opening::{Connected, Connecting};

use self::connection::{
    Backlog, ClosingConnection, Delivery, MESSAGES, OpenConnection, begin_close, begin_requested_close, deliver,
};
use super::WebSocketApp;
use super::calling::CallbackRunner;
use super::facts::{AppError, Closed, duplicate};
use super::handle::Handle;
use super::reconnect::default_reconnect;
use super::session::{RetryDecision, Session, SessionState};
use super::shared::{DrainOutcome, PingOutcome, StopRequest};
use crate::cancellation::Watch;
use crate::error::{CloseCause, CloseInfo, Error, OptionsError, Result};
use crate::net::{HelperLock, Source};
use crate::options::ConnectOptions;
use crate::url::Target;
#[cfg(feature = "mio")]
use crate::websocket::SocketEvent;
use crate::websocket::{CloseCode, Granularity, Opening, WebSocket, cancelled, not_connected};

/// One run of an app, in the hands of a loop: made by [`WebSocketApp::into_task`].
///
/// The callbacks are called by [`advance`](Self::advance), which does what there is to be done and never waits; what follows, the
/// loop is told by [`AppStep`]. What websocket-client asks of a dispatcher is all there: to *read* is to wait for the
/// [sources](Self::sources), a *timeout* and a *reconnect* are the moments that it gives, and to *send* is bounded by
/// [`max_unsent`](crate::ConnectOptions::max_unsent), and goes on when the socket is writable.
///
/// A loop for many apps is ready made: `ManyApps`, with the feature `mio`. Here is the smallest of all:
///
/// ```
/// use std::{sync::mpsc, time::Instant};
///
/// use websocket_sync::{AppStep, Result, WebSocketApp};
///
/// fn drive(app: WebSocketApp<'static>) -> Result<()> {
///     let (wake, woken) = mpsc::channel();
///     let mut task = app.into_task(move || drop(wake.send(())))?;
///     loop {
///         match task.advance() {
///             AppStep::Connect(attempt) => task.connected(attempt.run()), // better on another thread
///             // A real loop waits for the sources besides, and looks less often.
///             AppStep::Wait(until) => {
///                 let wait = until.map(|until| until - Instant::now()).unwrap_or_default();
///                 let _ = woken.recv_timeout(wait.min(std::time::Duration::from_millis(1)));
///             }
///             AppStep::Again => {}
///             AppStep::Over(outcome) => return outcome.map(|closed| println!("{}", closed.cause)),
///         }
///     }
/// }
/// # drive(WebSocketApp::new("ws://127.0.0.1:1/")).unwrap_err();
/// ```
#[must_use = "it does nothing until it is advanced"]
pub struct AppTask<'env> {
    app: WebSocketApp<'env>,
    /// Those of the app, and what calls an attempt off.
    options: ConnectOptions,
    /// The session between two turns.
    suspended: SessionState,
    /// The failure of a callback that has ended the run.
    fatal: Option<Error>,
    /// What callbacks get that hear of the connection.
    bound: Handle,
    phase: TaskPhase,
    /// The URL of the app, when it has been parsed.
    target: Option<Target>,
    /// How many attempts have succeeded.
    connections: u64,
    /// Whether messages are delivered fragment by fragment. Invariant: nothing is received in another way, for one that has begun to come
    /// has to be finished in the same.
    granularity: Granularity,
    permission: Permission,
    /// A hook of the options that hangs keeps one thread, however often the app tries.
    helper: HelperLock,
    wake: Arc<dyn Fn() + Send + Sync>,
    /// Wakes the loop when the run is cancelled.
    _cancel_wakes: Watch,
    /// Calls the run off when the user's own cancellation is.
    _cancelled: Option<Watch>,
}

/// What a loop has to do before an app can go on.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a loop has to be able to do all of it")]
pub enum AppStep<'env> {
    /// Make this attempt to connect, on a thread that may wait, and give what came of it to [`AppTask::connected`]. Only an app with
    /// [`connect_with`](WebSocketApp::connect_with) asks for it; all others connect while they are advanced.
    Connect(Connecting<'env>),
    /// Wait until one of the [sources](AppTask::sources) is ready, the loop is woken, or this moment has come, if there is one.
    Wait(Option<Instant>),
    /// Look after others, then after this one again: there is more at hand.
    Again,
    /// Nothing: the run is over, as [`WebSocketApp::run_forever`] would have returned.
    Over(Result<Closed>),
}

#[derive(Debug)]
enum TaskPhase {
    Starting,
    /// The loop makes an attempt.
    Connecting,
    /// An attempt waits until the loop permits it.
    AwaitingPermission,
    /// An attempt goes on in steps.
    Opening(Box<Opening>),
    /// An attempt is over.
    Attempted(Result<WebSocket>),
    Open(OpenConnection),
    Closing(ClosingConnection),
    BackingOff(Instant),
    Over,
}

/// Whether an attempt begins by itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::app) enum Permission {
    /// At once.
    Granted,
    /// When the loop says so.
    #[cfg(feature = "mio")]
    ByLoop,
}

impl<'env> WebSocketApp<'env> {
    /// Begins a run that a loop of your own drives; nothing happens before its first [`advance`](AppTask::advance). `wake` is called
    /// from any thread when the task is to be advanced although its socket says nothing; it must not wait, nor call anything of
    /// the app.
    ///
    /// In a task nobody waits: [`Handle::send_text`] and its kin fail with [`Error::Full`] when too much waits to be sent, and
    /// [`Handle::close`] waits for the end only on other threads than that of the loop. What does wait are the streams and
    /// batches of [`Handle::sender`]: use them on other threads.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for an invalid setting, and for a [queue](Self::queue), which needs threads of its own.
    pub fn into_task(self, wake: impl Fn() + Send + Sync + 'static) -> Result<AppTask<'env>> {
        self.into_task_with(Permission::Granted, wake)
    }

    pub(in crate::app) fn into_task_with(
        self,
        permission: Permission,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<AppTask<'env>> {
        match self.validate().and_then(|()| self.refuse_queue()) {
            Ok(()) => Ok(AppTask::new(self, permission, Arc::new(wake))),
            Err(error) => {
                self.handle.shared().refuse(&error);
                Err(error)
            }
        }
    }

    fn refuse_queue(&self) -> Result<()> {
        if self.queue.is_none() {
            return Ok(());
        }
        let problem = "callbacks behind a queue need a thread of their own, not a loop";
        Err(Error::Options(Box::new(OptionsError::new("queue", problem))))
    }
}

impl<'env> AppTask<'env> {
    fn new(app: WebSocketApp<'env>, permission: Permission, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        let cancellation = app.handle.shared().begin();
        app.handle.shared().set_waker(Arc::clone(&wake));
        let cancel_wakes = {
            let wake = Arc::clone(&wake);
            cancellation.watch(move || wake())
        };
        let users = app.options.settings().cancellation.clone();
        let cancelled = users.map(|users| {
            let handle = app.handle.clone();
            users.watch(move || handle.shared().cancel())
        });
        Self {
            options: app.options.clone().cancellation(&cancellation),
            suspended: SessionState::none(app.reconnect.clone().unwrap_or_else(default_reconnect)),
            fatal: None,
            bound: app.handle(),
            phase: TaskPhase::Starting,
            target: None,
            connections: 0,
            granularity: if app.hands_out_fragments() { Granularity::Frame } else { Granularity::Message },
            permission,
            helper: HelperLock::default(),
            wake,
            _cancel_wakes: cancel_wakes,
            _cancelled: cancelled,
            app,
        }
    }

    /// What sends on the app's connection, and closes the app.
    pub fn handle(&self) -> Handle {
        self.app.handle()
    }

    /// What the loop waits for: while a connection is opened, a socket for each address that is tried, or none during a name lookup; then
    /// the socket of the connection, if it has one. They change with each [`advance`](Self::advance), and a socket that was none of them
    /// for a while may be one again: in an epoll, delete it in the meantime. An edge-triggered loop may wait when
    /// [`advance`](Self::advance) says [`AppStep::Wait`]: then there was nothing more to be read or written.
    pub fn sources(&self) -> Vec<Source> {
        if let TaskPhase::Opening(opening) = &self.phase {
            return opening.sources();
        }
        self.ws().and_then(WebSocket::source).map_or_else(Vec::new, |source| vec![source])
    }

    /// The socket of the connection, if there is one and it has one: to wait for to be readable and to be writable. It is another one after
    /// each attempt.
    #[cfg(unix)]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.ws()?.as_fd()
    }

    /// The socket to wait for, both to be readable and to be writable, if there is a connection and it has one. It is another one
    /// after each attempt.
    #[cfg(windows)]
    pub fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        self.ws()?.as_socket()
    }

    /// How many connections there were, so that a loop knows one socket from the next.
    pub fn connection(&self) -> Option<u64> {
        self.ws().map(|_| self.connections)
    }

    /// Does what there is to be done: receives, calls back, sends on what waits, pings, closes, backs off. Never waits.
    ///
    /// A connection whose [`Transport`](crate::Transport) panics is lost, as if that had failed.
    pub fn advance(&mut self) -> AppStep<'env> {
        loop {
            let advanced = catch_unwind(AssertUnwindSafe(|| self.advance_phase()));
            if let Some(step) = advanced.unwrap_or_else(|payload| self.panicked(&*payload)) {
                return step;
            }
        }
    }

    /// The phase is gone, and the connection with it. The run may be over already: a Transport that panics when it is dropped.
    fn panicked(&mut self, payload: &(dyn Any + Send)) -> Option<AppStep<'env>> {
        if let Some(outcome) = self.app.handle.wait_end(Duration::ZERO) {
            return Some(AppStep::Over(outcome));
        }
        let lost = CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Lost(io::ErrorKind::Other));
        self.ended(Error::other(AppError::panicked("a Transport", payload)), Some(lost))
    }

    fn advance_phase(&mut self) -> Option<AppStep<'env>> {
        match std::mem::replace(&mut self.phase, TaskPhase::Over) {
            TaskPhase::Starting => self.connect(),
            TaskPhase::Connecting => {
                self.phase = TaskPhase::Connecting;
                Some(AppStep::Wait(None))
            }
            TaskPhase::AwaitingPermission => self.wait_for_permission(),
            TaskPhase::Opening(opening) => self.step_opening(opening),
            TaskPhase::Attempted(Ok(ws)) => self.opened(ws),
            TaskPhase::Attempted(Err(error)) => self.ended(error, None),
            TaskPhase::Open(open) => self.serve(open),
            TaskPhase::Closing(closing) => self.drain(closing),
            TaskPhase::BackingOff(at) => self.back_off(at),
            TaskPhase::Over => Some(AppStep::Over(Err(not_connected()))),
        }
    }

    /// Takes what came of the attempt that [`advance`](Self::advance) asked for; then it is to be advanced.
    pub fn connected(&mut self, connected: Connected<'env>) {
        self.app.connector = Some(connected.connector.0);
        if matches!(self.phase, TaskPhase::Connecting) {
            self.phase = TaskPhase::Attempted(connected.outcome);
        }
    }

    /// Gives the connection up for a reason of the loop's: its socket cannot be waited for. Then it is to be advanced.
    pub fn fail(&mut self, error: Error) {
        self.phase = match std::mem::replace(&mut self.phase, TaskPhase::Over) {
            TaskPhase::Open(open) => {
                TaskPhase::Closing(begin_close(open.ws, CloseCode::INTERNAL_ERROR, Some(error), true))
            }
            TaskPhase::Opening(_) => TaskPhase::Attempted(Err(error)),
            other => other,
        };
    }

    /// An event of the connection's socket has come, which the loop waits for edge-triggered.
    #[cfg(feature = "mio")]
    pub(in crate::app) fn note_event(&mut self, event: SocketEvent) {
        let (TaskPhase::Open(OpenConnection { ws, .. }) | TaskPhase::Closing(ClosingConnection { ws, .. })) =
            &mut self.phase
        else {
            return;
        };
        ws.note_event(event);
    }

    fn ws(&self) -> Option<&WebSocket> {
        match &self.phase {
            TaskPhase::Open(OpenConnection { ws, .. }) | TaskPhase::Closing(ClosingConnection { ws, .. }) => Some(ws),
            TaskPhase::Starting
            | TaskPhase::Connecting
            | TaskPhase::AwaitingPermission
            | TaskPhase::Opening(_)
            | TaskPhase::Attempted(_)
            | TaskPhase::BackingOff(_)
            | TaskPhase::Over => None,
        }
    }

    fn opened(&mut self, mut ws: WebSocket) -> Option<AppStep<'env>> {
        self.connections += 1;
        let wake = Arc::clone(&self.wake);
        #[cfg(feature = "mio")]
        if self.permission == Permission::ByLoop {
            ws.trust_events();
        }
        let opened = ws.attach(move || wake()).and_then(|()| self.with_session(|session| session.opened(&mut ws)));
        self.phase = match opened {
            Ok(()) => TaskPhase::Open(OpenConnection { ws, unsent: None, release_at: None }),
            Err(error) => TaskPhase::Closing(begin_requested_close(self.request(), ws, Some(error), false)),
        };
        None
    }

    /// How the end of the run was asked for.
    fn request(&self) -> Option<StopRequest> {
        self.app.handle.shared().request()
    }

    /// Delivers what has come.
    fn serve(&mut self, mut open: OpenConnection) -> Option<AppStep<'env>> {
        let granularity = self.granularity;
        let delivered = self.with_session(|session| deliver(session, &mut open.ws, granularity));
        match delivered {
            Delivery::Drained(any) => {
                if any {
                    open.release_at = None;
                }
                self.maintain(open, Backlog::Empty)
            }
            Delivery::BudgetSpent => {
                open.release_at = None;
                self.maintain(open, Backlog::More)
            }
            Delivery::Stopping => {
                self.phase = TaskPhase::Closing(begin_requested_close(self.request(), open.ws, None, true));
                None
            }
            Delivery::Rejected(error) => {
                self.phase = TaskPhase::Closing(begin_close(open.ws, CloseCode::INTERNAL_ERROR, Some(error), true));
                None
            }
            Delivery::Ended(error) => self.ended(error, open.ws.close_info()),
        }
    }

    /// Sees to the pings, to what waits to be sent, and to the memory; after each turn, so that a peer that floods keeps none of it
    /// from being done. Callbacks were called since the turn began: the clock is read here.
    fn maintain(&mut self, mut open: OpenConnection, backlog: Backlog) -> Option<AppStep<'env>> {
        let beat = match self.app.handle.shared().poll_keepalive() {
            PingOutcome::WaitUntil(beat) => beat,
            PingOutcome::Dead => {
                self.phase = TaskPhase::Open(open);
                return None;
            }
        };
        let outbox = self.app.handle.shared().continue_draining().unwrap_or_else(|error| {
            self.with_session(|session| session.failed(error));
            DrainOutcome::Empty
        });
        let now = Instant::now();
        let stalled = open.stalls_at(now);
        if stalled.is_some_and(|at| now >= at) {
            open.ws.abort_stalled();
            self.phase = TaskPhase::Open(open);
            return None;
        }
        let step = match backlog {
            Backlog::More => AppStep::Again,
            Backlog::Empty if outbox == DrainOutcome::More => AppStep::Again,
            Backlog::Empty => {
                let moments =
                    [beat, stalled, open.retries_at(outbox, now), open.releases_at(now), open.ws.close_deadline()];
                AppStep::Wait(moments.into_iter().flatten().min())
            }
        };
        self.phase = TaskPhase::Open(open);
        Some(step)
    }

    /// Discards what comes, until the connection is over.
    fn drain(&mut self, mut closing: ClosingConnection) -> Option<AppStep<'env>> {
        for _ in 0..MESSAGES {
            match closing.ws.try_recv_event(self.granularity).map(|received| received.is_some()) {
                Ok(true) => {}
                Ok(false) if closing.ws.has_buffered() => break,
                Ok(false) => {
                    let until = closing.ws.close_deadline();
                    self.phase = TaskPhase::Closing(closing);
                    return Some(AppStep::Wait(until));
                }
                Err(error) => {
                    let info = closing.ws.close_info().filter(|_| closing.was_open);
                    return self.ended(closing.error.unwrap_or(error), info);
                }
            }
        }
        self.phase = TaskPhase::Closing(closing);
        Some(AppStep::Again)
    }

    fn back_off(&mut self, at: Instant) -> Option<AppStep<'env>> {
        if self.app.handle.shared().is_cancelled() {
            let closed = self.with_session(|session| session.cancelled());
            return Some(self.over(Ok(closed)));
        }
        if Instant::now() >= at || self.app.handle.shared().is_back_off_cut_short() {
            self.app.handle.shared().end_back_off();
            return self.connect();
        }
        self.phase = TaskPhase::BackingOff(at);
        Some(AppStep::Wait(Some(at)))
    }

    fn ended(&mut self, error: Error, info: Option<CloseInfo>) -> Option<AppStep<'env>> {
        match self.with_session(|session| session.ended(error, info)) {
            RetryDecision::Retry(at) => {
                self.app.handle.shared().begin_back_off();
                self.phase = TaskPhase::BackingOff(at);
                None
            }
            RetryDecision::Over(outcome) => Some(self.over(outcome)),
        }
    }

    fn over(&mut self, outcome: Result<Closed, Arc<Error>>) -> AppStep<'env> {
        self.phase = TaskPhase::Over;
        // It may hold the very error that is to be returned.
        self.suspended = SessionState::none(super::Reconnect::never());
        let outcome = outcome.map_err(|error| Arc::into_inner(error).unwrap_or_else(not_connected));
        let WebSocketApp { closures, policies, handle, .. } = &mut self.app;
        let outcome = CallbackRunner::new(closures, handle, *policies).end(outcome, self.fatal.take());
        handle.shared().finish(duplicate(&outcome));
        AppStep::Over(outcome)
    }

    /// Gives the run up, which has ended with this error then: an open connection is left with a Close 1001, without waiting, and an
    /// attempt is cancelled. What wakes the loop and a Transport are the user's: a panic of theirs is handed back.
    pub(in crate::app) fn give_up(&mut self, error: Error) -> thread::Result<()> {
        let phase = std::mem::replace(&mut self.phase, TaskPhase::Over);
        if matches!(phase, TaskPhase::Over) {
            return Ok(());
        }
        let stopped = catch_unwind(AssertUnwindSafe(|| self.app.handle.stop()));
        self.app.handle.shared().finish(Err(error));
        stopped.and(catch_unwind(AssertUnwindSafe(|| drop(phase))))
    }

    /// Takes the session up for a moment.
    fn with_session<T>(&mut self, act: impl FnOnce(&mut Session<'_, CallbackRunner<'_, 'env>>) -> T) -> T {
        let Self { app, suspended, fatal, bound, .. } = self;
        let WebSocketApp { closures, policies, pings, handle, .. } = app;
        let taken = std::mem::replace(suspended, SessionState::none(super::Reconnect::never()));
        let runner = CallbackRunner::new(closures, handle, *policies).resume(bound.still_bound(), taken.connection());
        let mut session = Session::resume(handle, pings, taken, runner);
        // A user's Transport may panic, which ends the connection and not the run.
        let result = catch_unwind(AssertUnwindSafe(|| act(&mut session)));
        let (left, runner) = session.suspend();
        *suspended = left;
        let failure;
        (failure, *bound) = runner.into_parts();
        *fatal = fatal.take().or(failure);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }
}

impl Drop for AppTask<'_> {
    fn drop(&mut self) {
        let given_up = self.give_up(cancelled());
        // While another panic passes, a second one would end the process.
        if !thread::panicking() {
            given_up.unwrap_or_else(|payload| resume_unwind(payload));
        }
    }
}

impl fmt::Debug for AppTask<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppTask").field("app", &self.app).field("phase", &self.phase).finish_non_exhaustive()
    }
}
