//! One run of the client: connects, shows what comes, sends the input, closes in order.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use websocket_sync::{
    CloseCause, CloseCode, Closed, Error, Handle, Handler, MessageKind, MessageRef, Opcode, Result, WebSocket,
    WebSocketApp,
};

use crate::arguments::Arguments;
use crate::connect::{self, Destination};
use crate::console::{Console, PingOrigin};
use crate::ending::{Exit, Failure, on_signal};
use crate::input::{EndOfInput, Input, InputSender, OfflinePolicy, Source};
use crate::recording::{Recorder, Side};

/// Talks to a server until one of the two has had enough.
///
/// # Errors
///
/// Whatever it ends with that is no close in order.
pub(crate) fn run_session(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let Destination { url, options, cookie_jar } = Destination::new(arguments)?;
    let recorder = arguments.record.as_deref().map(Recorder::new).transpose()?;
    let failure = FirstFailure::default();
    let (shown, unshown, verbose) = (console.clone(), failure.clone(), arguments.verbose);
    let mut app = WebSocketApp::new(url).options(options).reconnect(connect::reconnect(arguments)).connect_with(
        move |attempt, options| {
            let ws = options.connect(attempt.url)?;
            show_opened(&shown, &unshown, &ws, verbose)?;
            Ok(ws)
        },
    );
    if let Some(interval) = arguments.ping_interval {
        app = app.ping_interval(interval).ping_timeout(interval);
    }
    let handle = app.handle();
    let closing = handle.clone();
    on_signal(move || {
        let closing = closing.clone();
        thread::spawn(move || closing.close());
    })?;
    let sender = InputSender {
        handle,
        console: console.clone(),
        recorder: recorder.clone(),
        failure: failure.clone(),
        offline: if arguments.reconnect.is_some() { OfflinePolicy::Wait } else { OfflinePolicy::Fail },
        pings: Pings::default(),
    };
    let input = Input {
        sender,
        source: Source::new(arguments, console)?,
        text: arguments.text.clone(),
        eof: EndOfInput::new(arguments),
    };
    let keepalive = if arguments.ping_interval.is_some() { Keepalive::Sent } else { Keepalive::None };
    let events =
        SessionHandler::new(console.clone(), recorder, failure.clone(), input, arguments.max_messages, keepalive);
    let ended = app.handler(events).run_forever();
    if let (Some(jar), Some(path)) = (cookie_jar, &arguments.cookie_jar) {
        jar.save_all(path).map_err(|error| Failure::local(path.display(), error))?;
    }
    match (failure.take(), ended) {
        (Some(failure), _) => Err(failure),
        (None, Ok(closed)) => {
            let exit = Exit::of_closed(&closed);
            match exit {
                Exit::Success | Exit::Interrupted => {}
                _ => console.explain(&closed),
            }
            Ok(exit)
        }
        (None, Err(error)) => Err(error.into()),
    }
}

/// The callbacks of a dialogue.
pub(crate) struct SessionHandler {
    console: Console,
    recorder: Option<Recorder>,
    failure: FirstFailure,
    /// What is started when the connection is open for the first time.
    input: Option<Input>,
    /// How many messages are still wanted.
    wanted: Option<u64>,
    keepalive: Keepalive,
    pings: Pings,
    offline: OfflinePolicy,
}

/// What ends the program from within: the first thing that failed here.
#[derive(Clone, Default)]
pub(crate) struct FirstFailure(Arc<Mutex<Option<Failure>>>);

/// Whether pings are sent by themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Keepalive {
    Sent,
    None,
}

impl FirstFailure {
    /// Notes what failed, unless something has failed before.
    pub(crate) fn print_note(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    pub(crate) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl SessionHandler {
    pub(crate) fn new(
        console: Console,
        recorder: Option<Recorder>,
        failure: FirstFailure,
        input: Input,
        wanted: Option<u64>,
        keepalive: Keepalive,
    ) -> Self {
        let (pings, offline) = (input.sender.pings.clone(), input.sender.offline);
        Self { console, recorder, failure, input: Some(input), wanted, keepalive, pings, offline }
    }

    /// Ends the run where something could not be shown: 1001, as this side goes away.
    fn shown(&self, app: &Handle, result: io::Result<()>) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        self.failure.print_note(not_shown(error));
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
    fn origin(&self, payload: &[u8]) -> PingOrigin {
        match (self.keepalive, payload) {
            (Keepalive::Sent, [0, 0, 0, 0, _, _, _, _]) => PingOrigin::Keepalive,
            _ => PingOrigin::User,
        }
    }
}

impl Handler for SessionHandler {
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
        let origin = self.origin(payload);
        let round_trip = match origin {
            PingOrigin::Keepalive => app.statistics().latency.map(|latency| latency.last),
            PingOrigin::User => self.pings.answered(payload, Instant::now()),
        };
        self.shown(app, self.console.pong(payload, round_trip, origin))
    }

    /// The last failure is what the run ends with, and is told then: those before it are told here, and all of them to
    /// machines.
    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        match self.offline {
            OfflinePolicy::Fail if !self.console.is_json() => Ok(()),
            OfflinePolicy::Fail | OfflinePolicy::Wait => self.shown(app, self.console.failed(error)),
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
pub(crate) fn show_opened(console: &Console, failure: &FirstFailure, ws: &WebSocket, verbose: u8) -> Result<()> {
    if verbose > 1 {
        console.opening(ws);
    }
    console.opened(ws).map_err(|error| {
        let kind = error.kind();
        failure.print_note(not_shown(error));
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

/// How many are waited for at most; older ones are forgotten.
const MAX_UNANSWERED: usize = 64;

/// Pings that were not answered yet. Clones know the same ones.
#[derive(Clone, Default)]
pub(crate) struct Pings(Arc<Mutex<Unanswered>>);

/// Payloads, and when they left; the oldest first.
type Unanswered = VecDeque<(Vec<u8>, Instant)>;

impl Pings {
    pub(crate) fn sent(&self, payload: &[u8], now: Instant) {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pings.len() == MAX_UNANSWERED {
            pings.pop_front();
        }
        pings.push_back((payload.to_vec(), now));
    }

    /// How long the answer took, if it is one. A peer may answer the latest of several alone (RFC 6455, section 5.5.3).
    pub(crate) fn answered(&self, payload: &[u8], now: Instant) -> Option<Duration> {
        let mut pings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = pings.iter().position(|(sent, _)| sent == payload)?;
        let (_, since) = pings.drain(..=index).next_back()?;
        Some(now.saturating_duration_since(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_known_by_its_payload() {
        let (pings, begin) = (Pings::default(), Instant::now());
        let at = |millis| begin + Duration::from_millis(millis);
        pings.sent(b"a", at(0));
        pings.sent(b"b", at(10));
        pings.sent(b"c", at(20));
        assert_eq!(pings.answered(b"x", at(30)), None);
        assert_eq!(pings.answered(b"b", at(30)), Some(Duration::from_millis(20)));
        assert_eq!(pings.answered(b"a", at(30)), None);
        assert_eq!(pings.answered(b"c", at(30)), Some(Duration::from_millis(10)));
    }

    #[test]
    fn a_server_that_never_answers_is_not_remembered_for_ever() {
        let pings = Pings::default();
        (0..1000).for_each(|_| pings.sent(b"", Instant::now()));
        assert_eq!(pings.0.lock().map_or(0, |pings| pings.len()), MAX_UNANSWERED);
    }
}
