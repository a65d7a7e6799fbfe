//! The driver that runs an app on one thread: connects, receives, waits.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::attempt::{Attempt, Connector};
use super::closed::Closed;
use super::error::AppError;
use super::session::{RetryDecision, Session};
use super::shared::{Shared, StopRequest};
use super::stage::Audience;
use super::sync::Arc;
use crate::error::{CloseInfo, Error, Result};
use crate::options::ConnectOptions;
use crate::websocket::Sender;
use crate::websocket::{CloseCode, Granularity, WebSocket, not_connected};

/// How connections are made and received from.
pub(super) struct Way<'a, 'env> {
    pub(super) url: &'a str,
    pub(super) options: ConnectOptions,
    pub(super) connector: Option<&'a mut Connector<'env>>,
    /// Whether messages are handed out fragment by fragment.
    pub(super) fragments: bool,
}

/// Runs until there is no further attempt. Returns how the last connection ended, or what has failed.
pub(super) fn run<A: Audience>(session: &mut Session<'_, A>, mut way: Way<'_, '_>) -> Result<Closed, Arc<Error>> {
    loop {
        let (number, last_error) = session.begin_attempt();
        let connected = way.connect(number, last_error.as_deref());
        let (error, info) = match connected {
            Ok(ws) => way.serve(session, ws),
            Err(error) => (error, None),
        };
        match session.ended(error, info) {
            RetryDecision::Over(outcome) => return outcome,
            RetryDecision::Retry(at) if session.handle().shared().back_off(at) => {}
            RetryDecision::Retry(_) => return Ok(session.called_off()),
        }
    }
}

impl Way<'_, '_> {
    pub(super) fn connect(&mut self, number: u32, last_error: Option<&Error>) -> Result<WebSocket> {
        let attempt = Attempt { url: self.url, number, last_error };
        let options = self.options.clone();
        let (name, connected) = match &mut self.connector {
            Some(connector) => ("connect_with", catch_unwind(AssertUnwindSafe(|| connector(&attempt, options)))),
            None => ("a hook of the options", catch_unwind(AssertUnwindSafe(|| options.connect(self.url)))),
        };
        connected.unwrap_or_else(|payload| Err(Error::other(AppError::panicked(name, &*payload))))
    }

    /// Hands out what comes until the connection is over; says why, and how it ended.
    fn serve<A: Audience>(&self, session: &mut Session<'_, A>, mut ws: WebSocket) -> (Error, Option<CloseInfo>) {
        if let Err(error) = session.opened(&mut ws) {
            close_as_asked(session.handle().shared(), &ws);
            return (error, None);
        }
        let error = self.receive(session, &mut ws);
        (error, ws.close_info())
    }

    fn receive<A: Audience>(&self, session: &mut Session<'_, A>, ws: &mut WebSocket) -> Error {
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
fn step<A: Audience>(session: &mut Session<'_, A>, ws: &mut WebSocket) -> Result<ControlFlow<Error>> {
    let drained = session.drain(ws)?;
    if drained.is_break() || session.handle().shared().is_stopping() {
        return Ok(drained);
    }
    Ok(handed_out(session.received(ws.recv_event(Granularity::Message)?)))
}

fn step_by_fragment<A: Audience>(session: &mut Session<'_, A>, ws: &mut WebSocket) -> Result<ControlFlow<Error>> {
    Ok(handed_out(session.received(ws.recv_event(Granularity::Frame)?)))
}

fn handed_out(result: Result<()>) -> ControlFlow<Error> {
    result.map_or_else(ControlFlow::Break, ControlFlow::Continue)
}

/// Closes as the end of the run was asked for, unless somebody is about to; says how it ended.
fn close_as_asked(shared: &Shared<Sender>, ws: &WebSocket) -> Error {
    match shared.request() {
        Some(StopRequest::Leave) => ws.sender().leave(),
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
