//! What is done while system calls fail, and how each step of it ended.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Error, Phase, Result};
use crate::options::ConnectOptions;
use crate::{Cancellation, CloseCause, CloseInfo, Closed, Message, Reconnect, WebSocket, WebSocketApp};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scenario {
    /// Open, exchange messages, close.
    Exchange,
    /// The same, opened in steps.
    Stepped,
    /// One thread receives, another one sends and closes.
    Threads,
    /// An app whose first connection is lost.
    Reconnect,
}

impl Scenario {
    pub(super) const ALL: [Self; 4] = [Self::Exchange, Self::Stepped, Self::Threads, Self::Reconnect];
}

/// How long each step may take.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Hurry {
    /// Longer than any machine needs.
    None,
    /// Shorter than a call that is overdue.
    Great,
}

impl Hurry {
    fn apply(self, scenario: Scenario, options: ConnectOptions) -> ConnectOptions {
        let seconds = Duration::from_secs(5);
        let (open, rest, close) = match (self, scenario) {
            (Self::None, _) => (seconds, seconds, Duration::from_secs(2)),
            // Long enough to come to an end on a machine that has other things to do, too.
            (Self::Great, Scenario::Reconnect) => (seconds / 10, seconds, seconds / 10),
            (Self::Great, _) => (HURRIED, HURRIED, HURRIED),
        };
        options.open_timeout(open).recv_timeout(rest).send_timeout(rest).close_timeout(close)
    }

    /// What a run may take at most: an opening, two sends and two receives, a close. An app that is in a hurry tries again until this
    /// machine is fast enough.
    pub(super) fn longest(self, scenario: Scenario) -> Duration {
        match (self, scenario) {
            (Self::None, _) | (Self::Great, Scenario::Reconnect) => Duration::from_secs(5 + 4 * 5 + 2 * 2),
            (Self::Great, _) => PATIENCE * HURRIED,
        }
    }
}

/// Less than [`OVERDUE`](crate::net::system_calls::faults::Fault::OVERDUE).
const HURRIED: Duration = Duration::from_millis(60);
/// How often is tried again what has timed out.
const PATIENCE: u32 = 300;

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All was said and heard; the closing handshake came to this.
    Done(Option<CloseCause>),
    /// There was no connection.
    NotOpened(Error),
    /// The connection was lost, and all calls said so from then on.
    Lost(CloseInfo),
}

/// Runs a scenario.
///
/// # Errors
///
/// What must not be, whichever calls fail.
pub(super) fn run(client: &(ConnectOptions, String), scenario: Scenario, hurry: Hurry) -> Result<Outcome, String> {
    let (options, url) = client;
    let options = hurry.apply(scenario, options.clone()).cancellation(&Cancellation::new());
    let opened = match scenario {
        Scenario::Exchange | Scenario::Threads => options.connect(url),
        Scenario::Stepped => open_in_steps(&options, url),
        Scenario::Reconnect => return reconnect(options, url),
    };
    match opened {
        Ok(ws) if scenario == Scenario::Threads => two_threads(ws),
        Ok(ws) => exchange(ws),
        Err(error) => Ok(Outcome::NotOpened(error)),
    }
}

fn open_in_steps(options: &ConnectOptions, url: &str) -> Result<WebSocket> {
    let mut opening = options.start(url)?;
    loop {
        if let Some(ws) = opening.step()? {
            return Ok(ws);
        }
        let sources = opening.sources();
        let polled = sources.iter().map(|source| {
            let read = if source.wants_read() { PollFlags::IN } else { PollFlags::empty() };
            let write = if source.wants_write() { PollFlags::OUT } else { PollFlags::empty() };
            PollFd::from_borrowed_fd(source.as_fd().unwrap(), read | write)
        });
        let timeout = opening.next_step().map(|step| step.saturating_duration_since(Instant::now()));
        // A look at the helper threads now and then; nothing wakes this loop.
        let timeout = timeout.unwrap_or(Duration::MAX).min(Duration::from_millis(20));
        let timeout = if sources.is_empty() { timeout.min(Duration::from_micros(200)) } else { timeout };
        rustix::event::poll(&mut polled.collect::<Vec<_>>(), Some(&Timespec::try_from(timeout).unwrap())).unwrap();
    }
}

const TEXT: &str = "a text of some length";

/// More than fits.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| super::super::pattern(20_000));

fn exchange(mut ws: WebSocket) -> Result<Outcome, String> {
    match converse(&mut ws) {
        Ok(()) => {}
        Err(Failure::Wrong(problem)) => return Err(problem),
        Err(Failure::Error(Error::Closed(info))) => return end(ws, info),
        Err(Failure::Error(error)) => return Err(format!("the exchange ended with {error:?}")),
    }
    if let Err(error) = ws.close() {
        return Err(format!("close failed: {error:?}"));
    }
    if ws.connected() {
        return Err("connected after close".to_owned());
    }
    Ok(Outcome::Done(ws.close_info().map(|info| info.cause)))
}

fn two_threads(mut ws: WebSocket) -> Result<Outcome, String> {
    let sender = ws.sender();
    let (came, comes) = mpsc::channel();
    let end = thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let came = came;
            loop {
                match ws.recv() {
                    // Nobody waits for it any more when the connection was lost in the meantime.
                    Ok(message) => drop(came.send(message)),
                    Err(Error::Timeout(Phase::Recv)) => {}
                    Err(error) => return error,
                }
            }
        });
        let sent = send(&sender, |sender| sender.send_text(TEXT).map(drop));
        let sent = sent.and_then(|()| send(&sender, |sender| sender.send_binary(&LARGE).map(drop)));
        let expected = [Message::Text(TEXT.to_owned()), Message::Binary(LARGE.clone())];
        let received: Vec<_> = comes.iter().take(if sent.is_ok() { 2 } else { 0 }).collect();
        let closed = sender.close();
        let end = receiver.join().map_err(|_| "the receiving thread panicked")?;
        if let Err(Failure::Wrong(problem)) = sent {
            return Err(problem);
        }
        if !expected.starts_with(&received) {
            return Err("received what nobody sent".to_owned());
        }
        closed.map_err(|error| format!("close failed: {error:?}"))?;
        Ok(end)
    })?;
    match end {
        Error::Closed(info) if info.cause == CloseCause::Local => Ok(Outcome::Done(Some(info.cause))),
        Error::Closed(_) => Ok(Outcome::Lost(ws.close_info().ok_or("no close_info after the end")?)),
        error => Err(format!("the receiving thread ended with {error:?}")),
    }
}

enum Failure {
    Wrong(String),
    Error(Error),
}

fn converse(ws: &mut WebSocket) -> Result<(), Failure> {
    send(&*ws, |ws| ws.send_text(TEXT).map(drop))?;
    receive(ws, &Message::Text(TEXT.to_owned()))?;
    send(&*ws, |ws| ws.ping("alive?"))?;
    send(&*ws, |ws| ws.send_binary(&LARGE).map(drop))?;
    receive(ws, &Message::Binary(LARGE.clone()))
}

/// A send that timed out and left the connection open has sent nothing.
fn send<T>(ws: &T, send: impl Fn(&T) -> Result<()>) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        match send(ws) {
            Err(Error::Timeout(Phase::Send)) => {}
            result => return result.map_err(Failure::Error),
        }
    }
    Err(Failure::Wrong("each send timed out".to_owned()))
}

/// After a receive that timed out the next one goes on.
fn receive(ws: &mut WebSocket, expected: &Message) -> Result<(), Failure> {
    for _ in 0..PATIENCE {
        match ws.recv() {
            Ok(message) if message == *expected => return Ok(()),
            Ok(message) => return Err(Failure::Wrong(format!("{} bytes that nobody sent", message.as_bytes().len()))),
            Err(Error::Timeout(Phase::Recv)) => {}
            Err(error) => return Err(Failure::Error(error)),
        }
    }
    Err(Failure::Wrong("each receive timed out".to_owned()))
}

/// After the end every call says that the connection is closed.
fn end(mut ws: WebSocket, first: Box<CloseInfo>) -> Result<Outcome, String> {
    if ws.connected() {
        return Err(format!("closed, and yet connected: {first:?}"));
    }
    for _ in 0..PATIENCE {
        match ws.recv() {
            Ok(_) | Err(Error::Timeout(Phase::Recv)) => {}
            Err(Error::Closed(_)) => {
                let sends =
                    [ws.send_text("x").map(drop), ws.ping("x"), ws.try_send_text("x").map(drop), ws.recv().map(drop)];
                if let Some(other) = sends.into_iter().find(|send| !matches!(send, Err(Error::Closed(_)))) {
                    return Err(format!("after the end: {other:?}"));
                }
                ws.close().map_err(|error| format!("close after the end: {error:?}"))?;
                let info = ws.close_info().ok_or("no close_info after the end")?;
                return Ok(Outcome::Lost(info));
            }
            Err(error) => return Err(format!("receiving after the end: {error:?}")),
        }
    }
    Err("receives go on after the end".to_owned())
}

/// Comes to its end only when a message has come back over a connection after the first.
fn reconnect(options: ConnectOptions, url: &str) -> Result<Outcome, String> {
    let (opened, answered) = (AtomicU32::new(0), AtomicU32::new(0));
    let mut app = WebSocketApp::new(url)
        .options(options)
        .reconnect(Reconnect::fixed(Duration::from_millis(1)))
        .on_open(|app| {
            let is_first = opened.fetch_add(1, Ordering::Relaxed) == 0;
            app.send_text(if is_first { "lose" } else { TEXT })
        })
        .on_message(|app, message| {
            answered.fetch_add(u32::from(message.as_text() == Some(TEXT)), Ordering::Relaxed);
            app.close()
        });
    let ended = app.run_forever();
    drop(app);
    let (opened, answered) = (opened.into_inner(), answered.into_inner());
    match ended {
        Ok(Closed { cause, .. }) if opened >= 2 && answered >= 1 => Ok(Outcome::Done(Some(cause))),
        ended => Err(format!("the run ended with {ended:?} after {opened} connections, {answered} answers")),
    }
}
