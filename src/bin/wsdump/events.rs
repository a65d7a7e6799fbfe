//! What happens to the connection, shown.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Instant;

use websocket_sync::{
    CloseCause, CloseCode, Closed, Error, Handle, Handler, MessageKind, MessageRef, Opcode, Result, WebSocket,
};

use crate::console::{Asker, Console};
use crate::failure::Failure;
use crate::input::{Input, Loss};
use crate::pings::Pings;
use crate::record::{Recorder, Side};

/// The callbacks of a dialogue.
pub(crate) struct Events {
    console: Console,
    recorder: Option<Recorder>,
    problem: Problem,
    /// What is started when the connection is open for the first time.
    input: Option<Input>,
    /// How many messages are still wanted.
    wanted: Option<u64>,
    keepalive: Keepalive,
    pings: Pings,
    loss: Loss,
}

/// What ends the program from within: the first thing that failed here.
#[derive(Clone, Default)]
pub(crate) struct Problem(Arc<Mutex<Option<Failure>>>);

/// Whether pings are sent by themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keepalive {
    Sent,
    None,
}

impl Problem {
    /// Notes what failed, unless something has failed before.
    pub(crate) fn note(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    pub(crate) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Events {
    pub(crate) fn new(
        console: Console,
        recorder: Option<Recorder>,
        problem: Problem,
        input: Input,
        wanted: Option<u64>,
        keepalive: Keepalive,
    ) -> Self {
        let (pings, loss) = (input.speaker.pings.clone(), input.speaker.loss);
        Self { console, recorder, problem, input: Some(input), wanted, keepalive, pings, loss }
    }

    /// Ends the run where something could not be shown: 1001, as this side goes away.
    fn shown(&self, app: &Handle, result: io::Result<()>) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        self.problem.note(not_shown(error));
        app.close_with(CloseCode::GOING_AWAY, "")
    }

    fn message(&self, message: MessageRef<'_>) -> io::Result<()> {
        let (kind, opcode) = match message.kind() {
            MessageKind::Text => ("text", Opcode::Text),
            MessageKind::Binary => ("binary", Opcode::Binary),
        };
        if let Some(recorder) = &self.recorder {
            recorder.message(Side::Server, kind, message.as_bytes())?;
        }
        self.console.frame(opcode, message.as_bytes())
    }

    /// Who sent the ping that a pong answers: the app's own have their number as 8 bytes.
    fn asker(&self, payload: &[u8]) -> Asker {
        match (self.keepalive, payload) {
            (Keepalive::Sent, [0, 0, 0, 0, _, _, _, _]) => Asker::Keepalive,
            _ => Asker::User,
        }
    }
}

impl Handler for Events {
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        let Some(input) = self.input.take() else { return Ok(()) };
        if self.console.is_marked() {
            self.shown(app, self.console.print_words(format_args!("Press Ctrl+C to quit")))?;
        }
        let started = Builder::new().name("wsdump-input".to_owned()).spawn(move || input.run());
        self.shown(app, started.map(drop))
    }

    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        self.shown(app, self.message(message))?;
        let Some(wanted) = &mut self.wanted else { return Ok(()) };
        *wanted = wanted.saturating_sub(1);
        if *wanted == 0 { app.close() } else { Ok(()) }
    }

    fn on_ping(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        self.shown(app, self.console.frame(Opcode::Ping, payload))
    }

    fn on_pong(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        let asker = self.asker(payload);
        let round_trip = match asker {
            Asker::Keepalive => app.statistics().latency.map(|latency| latency.last),
            Asker::User => self.pings.answered(payload, Instant::now()),
        };
        self.shown(app, self.console.pong(payload, round_trip, asker))
    }

    /// The last failure is what the run ends with, and is told then: those before it are told here, and all of them to
    /// machines.
    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        match self.loss {
            Loss::Fails if !self.console.is_json() => Ok(()),
            Loss::Fails | Loss::Waits => self.shown(app, self.console.failed(error)),
        }
    }

    fn on_close(&mut self, app: &Handle, closed: &Closed) -> Result<()> {
        if closed.cause == CloseCause::Remote {
            self.shown(app, self.console.peer_closed(closed))?;
        }
        match closed.cause {
            CloseCause::NotConnected | CloseCause::Cancelled => Ok(()),
            _ => self.shown(app, self.console.closed(closed)),
        }
    }
}

/// Shows that a connection is open.
pub(crate) fn show_opened(console: &Console, problem: &Problem, ws: &WebSocket, verbose: u8) -> Result<()> {
    if verbose > 1 {
        console.opening(ws);
    }
    console.opened(ws).map_err(|error| {
        let kind = error.kind();
        problem.note(not_shown(error));
        Error::other(io::Error::from(kind))
    })
}

/// What it means that something could not be put out.
fn not_shown(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::local("output", error),
    }
}
