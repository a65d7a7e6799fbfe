//! One run of the client: connects, shows what comes, sends the input, closes in order.

use std::collections::VecDeque;
use std::io;
use std::process;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Builder};
use std::time::{Duration, Instant};

use websocket_sync::{
    CloseCause, CloseCode, Closed, ConnectOptions, Error, Handle, Handler, MessageKind, MessageRef, Opcode, Phase,
    Result, WebSocket, WebSocketApp,
};

use crate::arguments::{Arguments, CloseRequest};
use crate::connect::{Destination, FileValues, RetryLimit, key_log_note, with_file_values};
use crate::console::{Console, PingOrigin};
use crate::ending::{Exit, Failure, on_signal};
use crate::input::{EndOfInput, Input, InputSender, InputSource, OfflinePolicy};
use crate::output::restore_terminal;
use crate::recording::{Recorder, Side};

/// How long a closing handshake may take when the user wants to leave.
const INTERRUPT_TIMEOUT: Duration = Duration::from_millis(700);

/// Talks to a server until one of the two ends it.
///
/// # Errors
///
/// Whatever it ends with that is no close in order.
pub(crate) fn run_session(arguments: &Arguments, console: &Console) -> Result<Exit, Failure> {
    let values = FileValues::default();
    let Destination { url, options, cookie_jar } = Destination::new(arguments)?;
    // What is wrong with them is found before the first attempt.
    drop(with_file_values(ConnectOptions::new(), arguments, &values)?);
    let source = InputSource::new(arguments, console, &values)?;
    if let Some(note) = key_log_note(arguments) {
        console.print_note(note);
    }
    let recorder = arguments.record.as_deref().map(Recorder::new).transpose()?;
    let state = SharedSession::new(arguments);
    let mut app =
        WebSocketApp::new(url).options(options).reconnect(state.retries.policy()).connect_with(|attempt, options| {
            let ws = with_file_values(options, arguments, &values).map_err(into_error)?.connect(attempt.url)?;
            print_opened(console, &state, &ws, arguments.verbose)?;
            Ok(ws)
        });
    if let Some(interval) = arguments.ping_interval {
        app = app.ping_interval(interval).ping_timeout(interval);
    }
    let handle = app.handle();
    let interruption = Interruption { handle: handle.clone(), console: console.clone(), state: state.clone() };
    let signalled = interruption.clone();
    on_signal(move || signalled.begin())?;
    if let Some(limit) = arguments.max_time {
        let late = interruption.clone();
        thread::spawn(move || late.begin_after(limit));
    }
    let input = Input {
        sender: InputSender {
            handle,
            console: console.clone(),
            recorder: recorder.clone(),
            state: state.clone(),
            interruption,
            close: arguments.close_request(),
            offline: if arguments.reconnect.is_some() { OfflinePolicy::Wait } else { OfflinePolicy::Fail },
        },
        end: EndOfInput::new(arguments, &source),
        source,
    };
    let handler = SessionHandler::new(arguments, console.clone(), recorder, state.clone(), input);
    let ended = app.handler(handler).run_forever();
    if let (Some(jar), Some(path)) = (cookie_jar, &arguments.cookie_jar) {
        jar.save_all(path).map_err(|error| Failure::local(path.display(), error))?;
    }
    match (state.failure.take(), ended) {
        (Some(failure), _) => Err(failure),
        (None, Ok(closed)) => {
            let exit = Exit::of_closed(&closed, state.close_code());
            match exit {
                Exit::Success | Exit::Interrupted => {}
                _ => console.explain(&closed, state.close_code()),
            }
            Ok(exit)
        }
        (None, Err(error)) => Err(error.into()),
    }
}

/// What the threads of a session share. Clones are the same session.
#[derive(Clone)]
pub(crate) struct SharedSession {
    pub(crate) failure: FirstFailure,
    pub(crate) pings: Pings,
    pub(crate) retries: RetryLimit,
    /// Whether the input may be sent: the connection is open, and the texts of `--text` have left.
    is_ready: Arc<AtomicBool>,
    /// The code that this side closes with.
    close_code: Arc<AtomicU16>,
}

impl SharedSession {
    fn new(arguments: &Arguments) -> Self {
        Self {
            failure: FirstFailure::default(),
            pings: Pings::default(),
            retries: RetryLimit::new(arguments.reconnect),
            is_ready: Arc::default(),
            close_code: Arc::new(AtomicU16::new(arguments.close_request().code.0)),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    pub(crate) fn close_code(&self) -> CloseCode {
        CloseCode(self.close_code.load(Ordering::Acquire))
    }

    pub(crate) fn set_close_code(&self, code: CloseCode) {
        self.close_code.store(code.0, Ordering::Release);
    }
}

/// What ends the program from within: the first thing that failed here.
#[derive(Clone, Default)]
pub(crate) struct FirstFailure(Arc<Mutex<Option<Failure>>>);

impl FirstFailure {
    /// Keeps what failed, unless something has failed before.
    pub(crate) fn set(&self, failure: Failure) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }

    fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Ends a session at the user's wish: what comes is not shown any more, and the server has little time to answer the Close.
#[derive(Clone)]
pub(crate) struct Interruption {
    handle: Handle,
    console: Console,
    state: SharedSession,
}

impl Interruption {
    /// Returns at once.
    pub(crate) fn begin(&self) {
        self.console.discard_messages();
        self.state.retries.stop();
        let (closing, waiting) = (self.handle.clone(), self.clone());
        thread::spawn(move || closing.close());
        thread::spawn(move || waiting.enforce());
    }

    /// Waits until a limit of time is over, unless the run is earlier.
    fn begin_after(&self, limit: Duration) {
        if self.handle.wait_end(limit).is_none() {
            self.state.failure.set(Failure::TimeLimit);
            self.begin();
        }
    }

    fn enforce(&self) {
        if self.handle.wait_end(INTERRUPT_TIMEOUT).is_some() {
            return;
        }
        self.state.failure.set(Failure::WebSocket(Error::Timeout(Phase::Close)));
        if let Some(sender) = self.handle.sender() {
            sender.abort();
        }
        if self.handle.wait_end(INTERRUPT_TIMEOUT / 5).is_some() {
            return;
        }
        // Whoever reads the output does not read: the thread that writes it cannot be waited for.
        restore_terminal();
        eprintln!("wsdump: {}", Error::Timeout(Phase::Close));
        process::exit(Exit::Timeout as i32);
    }
}

/// The callbacks of a session.
struct SessionHandler {
    console: Console,
    recorder: Option<Recorder>,
    state: SharedSession,
    /// What is sent first on each connection.
    texts: Vec<String>,
    /// What is started when the connection is open for the first time.
    input: Option<Input>,
    /// How many messages are still wanted.
    wanted: Option<u64>,
    /// What this side closes with.
    close: CloseRequest,
    keepalive: KeepalivePings,
    connection: ConnectionNotice,
}

/// Whether pings are sent by themselves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum KeepalivePings {
    Sent,
    None,
}

/// What has been told of the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ConnectionNotice {
    /// There is none.
    None,
    Open,
    /// Why it is over has been printed.
    FailureTold,
}

impl SessionHandler {
    fn new(
        arguments: &Arguments,
        console: Console,
        recorder: Option<Recorder>,
        state: SharedSession,
        input: Input,
    ) -> Self {
        Self {
            console,
            recorder,
            state,
            texts: arguments.text.clone(),
            input: Some(input),
            wanted: arguments.max_messages,
            close: arguments.close_request(),
            keepalive: if arguments.ping_interval.is_some() { KeepalivePings::Sent } else { KeepalivePings::None },
            connection: ConnectionNotice::None,
        }
    }

    /// Ends the run where something could not be shown: 1001, as this side goes away.
    fn shown(&self, app: &Handle, result: io::Result<()>) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        self.state.failure.set(not_shown(error));
        self.state.set_close_code(CloseCode::GOING_AWAY);
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

    fn send_first_texts(&self, app: &Handle) -> Result<()> {
        for text in &self.texts {
            if let Some(recorder) = &self.recorder {
                self.shown(app, recorder.message(Side::Client, "text", text.as_bytes()))?;
            }
            app.send_text(text)?;
        }
        Ok(())
    }

    fn start_input(&mut self, app: &Handle) -> Result<()> {
        let Some(input) = self.input.take() else { return Ok(()) };
        self.shown(app, self.console.greet())?;
        let started = Builder::new().name("wsdump-input".to_owned()).spawn(move || input.run());
        self.shown(app, started.map(drop))
    }

    /// Who sent the ping that a pong answers: the app's own have their number as 8 bytes.
    fn ping_origin(&self, payload: &[u8]) -> PingOrigin {
        match (self.keepalive, payload) {
            (KeepalivePings::Sent, [0, 0, 0, 0, _, _, _, _]) => PingOrigin::Keepalive,
            _ => PingOrigin::User,
        }
    }
}

impl Handler for SessionHandler {
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        self.connection = ConnectionNotice::Open;
        self.state.retries.opened();
        self.state.pings.forget();
        if let Some(recorder) = &self.recorder {
            recorder.begin();
        }
        self.send_first_texts(app)?;
        if self.wanted == Some(0) {
            return app.close_with(self.close.code, &self.close.reason);
        }
        self.state.is_ready.store(true, Ordering::Release);
        self.start_input(app)
    }

    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        self.shown(app, self.message(message))?;
        let Some(wanted) = &mut self.wanted else { return Ok(()) };
        *wanted = wanted.saturating_sub(1);
        if *wanted == 0 { app.close_with(self.close.code, &self.close.reason) } else { Ok(()) }
    }

    fn on_ping(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        self.shown(app, self.console.frame(Opcode::Ping, payload))
    }

    fn on_pong(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        let origin = self.ping_origin(payload);
        let round_trip = match origin {
            PingOrigin::Keepalive => app.statistics().latency.map(|latency| latency.last),
            PingOrigin::User => self.state.pings.answered(payload, Instant::now()),
        };
        self.shown(app, self.console.pong(payload, round_trip, origin))
    }

    /// What ends the run is told when it is over, and the end of a connection by `on_close`: here all else. A machine is told
    /// everything here.
    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        let was_open = self.connection == ConnectionNotice::Open;
        let planned = app.retry_delay();
        // The end of a connection is told by `on_close`, and so is the delay after it.
        let delay = planned.filter(|_| !was_open);
        if self.console.is_json() {
            return self.shown(app, self.console.json_error(error, delay));
        }
        if planned.is_none() || (was_open && error.is_closed()) {
            return Ok(());
        }
        self.console.note_failure(error, delay);
        if was_open {
            self.connection = ConnectionNotice::FailureTold;
        }
        Ok(())
    }

    fn on_close(&mut self, app: &Handle, closed: &Closed) -> Result<()> {
        self.state.is_ready.store(false, Ordering::Release);
        let connection = std::mem::replace(&mut self.connection, ConnectionNotice::None);
        if closed.cause == CloseCause::Remote {
            self.shown(app, self.console.peer_closed(closed))?;
        }
        match closed.cause {
            CloseCause::NotConnected | CloseCause::Cancelled => return Ok(()),
            _ if self.console.is_json() => return self.shown(app, self.console.json_closed(closed)),
            _ => {}
        }
        let is_told_later = !closed.is_clean() && closed.reconnect.is_none();
        if connection != ConnectionNotice::FailureTold && !is_told_later {
            self.console.note_end(closed, self.state.close_code());
        }
        if let Some(delay) = closed.reconnect {
            self.console.note_delay(delay);
        }
        Ok(())
    }
}

/// Shows that a connection is open.
fn print_opened(console: &Console, state: &SharedSession, ws: &WebSocket, verbose: u8) -> Result<()> {
    if verbose > 1 {
        console.opening(ws);
    }
    console.opened(ws).map_err(|error| {
        let kind = error.kind();
        state.failure.set(not_shown(error));
        Error::other(io::Error::from(kind))
    })
}

/// A failure of this side as one of an attempt to connect, after which another one may follow.
pub(crate) fn into_error(failure: Failure) -> Error {
    match failure {
        Failure::WebSocket(error) => error,
        Failure::Local(what) | Failure::Usage(what) => Error::other(what),
        failure @ (Failure::NobodyReads | Failure::TimeLimit) => Error::other(failure.to_string()),
    }
}

/// What it means that something could not be put out.
fn not_shown(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::NobodyReads,
        _ => Failure::local("output", error),
    }
}

/// How many pings are waited for at most; older ones are forgotten.
const MAX_UNANSWERED: usize = 64;

/// The user's pings that were not answered yet. Clones know the same ones.
#[derive(Clone, Default)]
pub(crate) struct Pings(Arc<Mutex<UnansweredPings>>);

/// Payloads, and when they left; the oldest first.
type UnansweredPings = VecDeque<(Vec<u8>, Instant)>;

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

    /// A new connection answers none of those that were sent on the one before it.
    fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
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

    #[test]
    fn pings_are_those_of_one_connection() {
        let pings = Pings::default();
        pings.sent(b"a", Instant::now());
        pings.forget();
        assert_eq!(pings.answered(b"a", Instant::now()), None);
    }
}
