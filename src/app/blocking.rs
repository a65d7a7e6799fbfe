//! The driver of an app with threads that wait: connects, receives, backs off.

use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

use super::builder::{ConnectHook, WebSocketApp};
use super::callbacks::drop_transport;
use super::calling::{CallbackRunner, EventSink};
use super::facts::{AppError, Attempt, Closed, duplicate};
use super::ping_thread::PingRegistration;
use super::queue::{Queue, QueueSender};
use super::reconnect::default_reconnect;
use super::session::{RetryDecision, Session};
use super::shared::{Shared, StopRequest};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::options::ConnectOptions;
use crate::sync::thread::{self, Builder};
use crate::websocket::{CloseCode, Granularity, Sender, WebSocket, cancelled, not_connected};

/// Runs an app whose settings are valid until nothing more is to be done.
pub(super) fn run_app(app: &mut WebSocketApp<'_>) -> Result<Closed> {
    let fragments = app.hands_out_fragments();
    let WebSocketApp { url, options, connector, closures, policies, pings, reconnect, queue, handle } = app;
    let (handle, pings) = (&*handle, &*pings);
    let shared = handle.shared();
    let cancellation = shared.begin();
    let mut finish = Finish { shared, outcome: None };
    let _users_cancellation = options.settings().cancellation.clone().map(|users| {
        let handle = handle.clone();
        users.watch(move || handle.shared().cancel())
    });
    let source = ConnectionSource {
        url,
        options: options.clone().cancellation(&cancellation),
        connector: connector.as_mut(),
        fragments,
    };
    let reconnect = reconnect.clone().unwrap_or_else(default_reconnect);
    let runner = CallbackRunner::new(closures, handle, *policies);
    let registration =
        if pings.are_wanted() { PingRegistration::new(handle.keepalive_target()).map(Some) } else { Ok(None) };
    let (runner, outcome) = match (registration, *queue) {
        (Err(error), _) => (runner, Err(error.into())),
        (Ok(_pings_are_sent), None) => run_here(Session::new(handle, pings, reconnect, runner), source),
        (Ok(_pings_are_sent), Some((capacity, overflow))) => {
            let queue = Arc::new(Queue::new(capacity, overflow));
            let wake = {
                let queue = Arc::clone(&queue);
                move || queue.wake()
            };
            shared.set_waker(Arc::new(wake.clone()));
            let _cancel_wakes = cancellation.watch(wake);
            let session = Session::new(handle, pings, reconnect, QueueSender::new(&queue, shared));
            run_behind_queue(session, source, &queue, runner)
        }
    };
    let outcome = runner.end(outcome, None);
    finish.outcome = Some(duplicate(&outcome));
    outcome
}

/// Receives and calls back on this thread.
fn run_here<'a, 'env>(
    mut session: Session<'a, CallbackRunner<'a, 'env>>,
    source: ConnectionSource<'_, '_>,
) -> (CallbackRunner<'a, 'env>, Result<Closed>) {
    let outcome = run(&mut session, source);
    let runner = session.into_sink();
    (runner, outcome.map_err(unshared))
}

/// Receives on a thread of its own, and calls back on this one.
fn run_behind_queue<'a, 'env>(
    mut session: Session<'_, QueueSender<'_>>,
    source: ConnectionSource<'_, '_>,
    queue: &Queue,
    mut runner: CallbackRunner<'a, 'env>,
) -> (CallbackRunner<'a, 'env>, Result<Closed>) {
    let shared = session.handle().shared();
    let outcome = thread::scope(|scope| {
        let receiver = Builder::new().name("websocket-recv".to_owned());
        // The session ends with its thread: then nobody fills the queue any more.
        let receiver = receiver.spawn_scoped(scope, move || run(&mut session, source))?;
        queue.drain(shared, &mut runner);
        receiver.join().unwrap_or_else(|panicked| resume_unwind(panicked)).map_err(unshared)
    });
    (runner, outcome)
}

/// The error that ends a run. The session and the queue are gone, so nobody else has it.
fn unshared(error: Arc<Error>) -> Error {
    Arc::into_inner(error).unwrap_or_else(not_connected)
}

/// Ends a run, however it ends.
struct Finish<'a> {
    shared: &'a Shared<Sender>,
    /// None after a panic.
    outcome: Option<Result<Closed>>,
}

impl Drop for Finish<'_> {
    fn drop(&mut self) {
        self.shared.finish(self.outcome.take().unwrap_or_else(|| Err(not_connected())));
    }
}

/// How connections are made, and how their messages are received.
pub(super) struct ConnectionSource<'a, 'env> {
    pub(super) url: &'a str,
    pub(super) options: ConnectOptions,
    pub(super) connector: Option<&'a mut ConnectHook<'env>>,
    /// Whether messages are handed out fragment by fragment.
    pub(super) fragments: bool,
}

/// Runs until there is no further attempt. Returns how the last connection ended, or what has failed.
pub(super) fn run<A: EventSink>(
    session: &mut Session<'_, A>,
    mut source: ConnectionSource<'_, '_>,
) -> Result<Closed, Arc<Error>> {
    loop {
        let (number, last_error) = session.begin_attempt();
        let connected = source.connect(number, last_error.as_deref());
        let (error, info) = match connected {
            Ok(ws) => source.serve(session, ws),
            Err(error) => (error, None),
        };
        match session.ended(error, info) {
            RetryDecision::Over(outcome) => return outcome,
            RetryDecision::Retry(at) if session.handle().shared().back_off(at) => {}
            RetryDecision::Retry(_) => return Ok(session.cancelled()),
        }
    }
}

impl ConnectionSource<'_, '_> {
    pub(super) fn connect(&mut self, number: u32, last_error: Option<&Error>) -> Result<WebSocket> {
        if self.options.settings().is_cancelled() {
            return Err(cancelled());
        }
        let attempt = Attempt { url: self.url, number, last_error };
        let options = self.options.clone();
        let (name, connected) = match &mut self.connector {
            Some(connector) => ("connect_with", catch_unwind(AssertUnwindSafe(|| connector(&attempt, options)))),
            None => ("a hook of the options", catch_unwind(AssertUnwindSafe(|| options.connect(self.url)))),
        };
        connected.unwrap_or_else(|payload| Err(Error::other(AppError::panicked(name, &*payload))))
    }

    /// Hands out what comes until the connection is over; says why, and how it ended. A user's Transport that panics ends the connection,
    /// as if that had failed, and not the run.
    fn serve<A: EventSink>(&self, session: &mut Session<'_, A>, mut ws: WebSocket) -> (Error, Option<CloseInfo>) {
        let served = catch_unwind(AssertUnwindSafe(|| {
            if let Err(error) = session.opened(&mut ws) {
                close_as_asked(session.handle().shared(), &ws);
                return (error, None);
            }
            let error = self.receive(session, &mut ws);
            (error, ws.close_info())
        }));
        drop_transport(ws);
        served.unwrap_or_else(|payload| {
            let lost = CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Lost(io::ErrorKind::Other));
            (Error::other(AppError::panicked("a Transport", &*payload)), Some(lost))
        })
    }

    fn receive<A: EventSink>(&self, session: &mut Session<'_, A>, ws: &mut WebSocket) -> Error {
        let shared = session.handle().shared();
        while !shared.is_stopping() {
            let step = if self.fragments { step_by_fragment(session, ws) } else { step(session, ws) };
            match step {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(error)) => {
                    close(ws, CloseCode::INTERNAL_ERROR);
                    return error;
                }
                Err(error) => return error,
            }
        }
        close_as_asked(shared, ws)
    }
}

/// Hands out what is there already, or else waits for something. Breaks with a reason to close.
fn step<A: EventSink>(session: &mut Session<'_, A>, ws: &mut WebSocket) -> Result<ControlFlow<Error>> {
    let drained = session.drain(ws)?;
    if drained.is_break() || session.handle().shared().is_stopping() {
        return Ok(drained);
    }
    Ok(handed_out(session.received(ws.recv_event(Granularity::Message)?)))
}

fn step_by_fragment<A: EventSink>(session: &mut Session<'_, A>, ws: &mut WebSocket) -> Result<ControlFlow<Error>> {
    Ok(handed_out(session.received(ws.recv_event(Granularity::Frame)?)))
}

fn handed_out(result: Result<()>) -> ControlFlow<Error> {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

/// Closes as the end of the run was asked for, unless somebody is about to; says how it ended.
fn close_as_asked(shared: &Shared<Sender>, ws: &WebSocket) -> Error {
    match shared.request() {
        Some(StopRequest::Disconnect) => ws.sender().disconnect(),
        // It was looked at when it was asked for.
        Some(StopRequest::Close(code, reason)) => drop(ws.close_with(code, &reason)),
        None => drop(ws.close()),
    }
    ended(ws)
}

/// Closes, unless somebody is about to; says how it ended.
fn close(ws: &WebSocket, code: CloseCode) -> Error {
    // The code can be sent, so there is nothing to refuse.
    let _ = ws.close_with(code, "");
    ended(ws)
}

fn ended(ws: &WebSocket) -> Error {
    ws.close_info().map_or_else(not_connected, |info| Error::Closed(Box::new(info)))
}
