//! An app that writes down what its callbacks hear, and a server that it meets again and again.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{AppStep, AppTask, CloseCause, Closed, Error, MessageRef, Opcode, Result, WebSocketApp};

use crate::support::Peer;
use crate::support::refusing::{RefusingAddress, refusing_address};

/// What the callbacks have heard, in their order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn note(&self, line: impl Into<String>) {
        self.lines_now().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines_now().clone()
    }

    pub(crate) fn count(&self, beginning: &str) -> usize {
        self.lines_now().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// An app all of whose callbacks write here.
    pub(crate) fn app(&self, url: &str) -> WebSocketApp<'static> {
        let [open, reconnect, message, data, ping, pong, error, close] = std::array::from_fn(|_| self.clone());
        WebSocketApp::new(url)
            .on_open(move |_| open.note("open"))
            .on_reconnect(move |_| reconnect.note("reconnect"))
            .on_message(move |_, received| message.note(show_message(received)))
            .on_data(move |_, bytes, opcode, fin| data.note(show_data(bytes, opcode, fin)))
            .on_ping(move |_, payload| ping.note(format!("ping {}", payload.escape_ascii())))
            .on_pong(move |_, payload| pong.note(format!("pong {}", payload.escape_ascii())))
            .on_error(move |_, failure| error.note(format!("error {}", show_error(failure))))
            .on_close(move |_, closed| close.note(format!("close {}", show_closed(closed))))
    }

    fn lines_now(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn show_message(message: MessageRef<'_>) -> String {
    match message {
        MessageRef::Text(text) => format!("message {text}"),
        MessageRef::Binary(bytes) => format!("message b{}", bytes.escape_ascii()),
    }
}

pub(crate) fn show_data(bytes: &[u8], opcode: Opcode, fin: bool) -> String {
    format!("data {} {opcode} {fin}", bytes.escape_ascii())
}

/// The message with its causes.
pub(crate) fn show_error(error: &Error) -> String {
    let mut shown = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        shown += &format!(": {cause}");
        source = cause.source();
    }
    shown
}

/// Code, reason and cause; then whether it connects again.
pub(crate) fn show_closed(closed: &Closed) -> String {
    let cause = match closed.cause {
        CloseCause::Lost(kind) => format!("lost: {kind:?}"),
        CloseCause::Violation(rule) => format!("violation: {rule}"),
        cause => format!("{cause:?}"),
    };
    let again = if closed.reconnect.is_some() { ", again" } else { "" };
    format!("{} {:?} {cause}{again}", closed.code.0, closed.reason)
}

/// A server that hands its connections to one script after the other, each before any handshake; the n-th gets `n`, from 0. The
/// script says whether there is to be another one.
pub(crate) fn serve_again(
    mut script: impl FnMut(usize, Peer) -> bool + Send + 'static,
) -> (String, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut number = 0;
        loop {
            let (stream, _) = listener.accept().unwrap();
            number += 1;
            if !script(number - 1, Peer::new(stream)) {
                return number;
            }
        }
    });
    (url, server)
}

/// A URL at which nobody listens while the thread lives that asked for it, which is that of the test.
pub(crate) fn nowhere() -> String {
    thread_local! {
        static NOBODY: RefusingAddress = refusing_address();
    }
    NOBODY.with(|nobody| format!("ws://{nobody}/"))
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: it does not come to that");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Drives a task to its end, a step each millisecond.
#[track_caller]
pub(crate) fn finish(task: &mut AppTask<'_>) -> Result<Closed> {
    let start = Instant::now();
    loop {
        match task.advance() {
            AppStep::Connect(attempt) => task.connected(attempt.run()),
            AppStep::Wait(_) => thread::sleep(Duration::from_millis(1)),
            AppStep::Again => {}
            AppStep::Over(outcome) => return outcome,
        }
        assert!(start.elapsed() < Duration::from_secs(30), "it does not end: {task:?}");
    }
}

/// Waits until this is so, for ten seconds at most.
#[track_caller]
pub(crate) fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed().as_secs() < 10, "not so after ten seconds");
        thread::sleep(Duration::from_millis(1));
    }
}
