//! Calls the callbacks, and catches their errors and panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::callbacks::{Closures, Handler, log_error};
use super::facts::{AppError, Closed};
use super::handle::Handle;
use super::lifecycle::OpenEvent;
use crate::error::{Error, Result};
use crate::message::MessageRef;
use crate::websocket::{CloseCode, Received};

/// Receives the events of a run, in the order in which the callbacks are to be called.
pub(super) trait EventSink {
    /// Runs what calls [`message`](Self::message) many times, and catches a panic: then there is no result.
    fn catch_panics<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T>;
    /// A message has come. Only inside of [`catch_panics`](Self::catch_panics).
    fn message(&mut self, message: MessageRef<'_>) -> Result<()>;
    /// A connection is open, and this is its number.
    fn opened(&mut self, opened: OpenEvent, number: u64);
    fn received(&mut self, received: Received<'_>) -> Result<()>;
    fn failed(&mut self, error: Arc<Error>);
    fn closed(&mut self, closed: Closed);
}

/// What becomes of a run when a callback fails.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum CallbackPolicy {
    /// `on_error` is told, and the app goes on.
    #[default]
    Continue,
    /// `on_error` is told, the connection is closed with code 1011, and the run ends with that error.
    Stop,
}

/// What becomes of a run when a callback returns an error, and when it panics.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallbackPolicies {
    pub(super) errors: CallbackPolicy,
    pub(super) panics: CallbackPolicy,
}

/// Calls the callbacks, on this thread.
#[derive(Debug)]
pub(super) struct CallbackRunner<'a, 'env> {
    closures: &'a mut Closures<'env>,
    handle: &'a Handle,
    /// The handle for callbacks about a connection: bound to it, so that a late callback does nothing to the next one.
    bound: Handle,
    /// The number of that connection; 0 for none.
    connection: u64,
    policies: CallbackPolicies,
    /// The failure of a callback that has ended the run.
    fatal: Option<Error>,
}

impl<'a, 'env> CallbackRunner<'a, 'env> {
    pub(super) fn new(closures: &'a mut Closures<'env>, handle: &'a Handle, policies: CallbackPolicies) -> Self {
        Self { closures, handle, bound: handle.clone(), connection: 0, policies, fatal: None }
    }

    /// Goes on with a connection that was opened before.
    pub(super) fn resume(self, bound: Handle, connection: u64) -> Self {
        Self { bound, connection, ..self }
    }

    /// The failure of a callback that has ended the run, and the handle of the connection.
    pub(super) fn into_parts(self) -> (Option<Error>, Handle) {
        (self.fatal, self.bound)
    }

    /// Calls `on_end`, last of all; what the run returns then.
    pub(super) fn end(mut self, outcome: Result<Closed>, fatal: Option<Error>) -> Result<Closed> {
        let outcome = fatal.or_else(|| self.fatal.take()).map_or(outcome, Err);
        self.call("on_end", |callbacks, app| callbacks.on_end(app, outcome.as_ref()));
        match self.fatal {
            Some(fatal) => outcome.and(Err(fatal)),
            None => outcome,
        }
    }

    /// Calls a callback about a connection, and handles its failure.
    #[inline]
    fn call_bound(&mut self, name: &'static str, callback: impl FnOnce(&mut Closures<'env>, &Handle) -> Result<()>) {
        let Self { closures, bound, .. } = self;
        // What a panic leaves behind is the callback's own.
        let called = catch_unwind(AssertUnwindSafe(|| callback(closures, bound)));
        self.called(name, called);
    }

    /// Calls a callback about the app, and handles its failure.
    fn call(&mut self, name: &'static str, callback: impl FnOnce(&mut Closures<'env>, &Handle) -> Result<()>) {
        let Self { closures, handle, .. } = self;
        let called = catch_unwind(AssertUnwindSafe(|| callback(closures, handle)));
        self.called(name, called);
    }

    /// Whether a callback has ended the run or the connection, so that nothing more of it is handed out.
    fn is_discarding(&self) -> bool {
        self.handle.shared().is_discarding(self.connection)
    }

    #[inline]
    fn called(&mut self, name: &'static str, called: std::thread::Result<Result<()>>) {
        match called {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed_with(error, self.policies.errors),
            Err(payload) => self.panicked(name, &*payload),
        }
    }

    #[cold]
    fn panicked(&mut self, name: &'static str, payload: &(dyn Any + Send)) {
        self.failed_with(Error::other(AppError::panicked(name, payload)), self.policies.panics);
    }

    #[cold]
    fn failed_with(&mut self, error: Error, policy: CallbackPolicy) {
        self.report_error(&error);
        if policy == CallbackPolicy::Stop && self.fatal.is_none() {
            self.fatal = Some(error);
            // The code can be sent, so there is nothing to refuse.
            let _ = self.handle.close_with(CloseCode::INTERNAL_ERROR, "");
        }
    }

    /// Calls `on_error`, whose own failure is logged and goes nowhere else.
    fn report_error(&mut self, error: &Error) {
        self.handle.shared().note_error();
        let Self { closures, handle, .. } = self;
        match catch_unwind(AssertUnwindSafe(|| closures.on_error(handle, error))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => log_error(&error),
            Err(payload) => log_error(&Error::other(AppError::panicked("on_error", &*payload))),
        }
    }
}

impl EventSink for CallbackRunner<'_, '_> {
    /// Once for many messages: to catch panics of each one costs as much as the call itself.
    #[inline]
    fn catch_panics<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| act(self))) {
            Ok(done) => Some(done),
            Err(payload) => {
                self.panicked("on_message", &*payload);
                None
            }
        }
    }

    #[inline]
    fn message(&mut self, message: MessageRef<'_>) -> Result<()> {
        if self.closures.wants_data() {
            let (data, opcode) = (message.as_bytes(), message.kind().into());
            self.call_bound("on_data", |callbacks, app| callbacks.on_data(app, data, opcode, true));
            if self.is_discarding() {
                return Ok(());
            }
        }
        if let Err(error) = self.closures.on_message(&self.bound, message) {
            self.failed_with(error, self.policies.errors);
        }
        Ok(())
    }

    fn opened(&mut self, opened: OpenEvent, number: u64) {
        self.bound = self.handle.bound_to(number);
        self.connection = number;
        let shared = self.handle.shared();
        shared.begin_on_open(number);
        match opened {
            OpenEvent::First => self.call_bound("on_open", |callbacks, app| callbacks.on_open(app)),
            OpenEvent::Reconnected => self.call_bound("on_reconnect", |callbacks, app| callbacks.on_reconnect(app)),
        }
        match shared.end_on_open(number) {
            // There will be room, or the end of the connection is told.
            Ok(()) | Err(Error::Full | Error::Closed(_)) => {}
            Err(error) => self.report_error(&error),
        }
    }

    #[inline]
    fn received(&mut self, received: Received<'_>) -> Result<()> {
        match received {
            Received::Message(message) => {
                self.catch_panics(|runner| runner.message(message));
            }
            Received::Fragment { opcode, payload, fin } => {
                self.call_bound("on_data", |callbacks, app| callbacks.on_data(app, payload, opcode, fin));
                if self.is_discarding() {
                    return Ok(());
                }
                self.call_bound("on_cont_message", |callbacks, app| callbacks.on_cont_message(app, payload, fin));
            }
            Received::Ping(payload) => self.call_bound("on_ping", |callbacks, app| callbacks.on_ping(app, payload)),
            Received::Pong(payload) => self.call_bound("on_pong", |callbacks, app| callbacks.on_pong(app, payload)),
        }
        Ok(())
    }

    fn failed(&mut self, error: Arc<Error>) {
        self.report_error(&error);
    }

    fn closed(&mut self, closed: Closed) {
        self.call("on_close", |callbacks, app| callbacks.on_close(app, &closed));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::sync::atomic::{AtomicBool, Ordering};

    use log::{LevelFilter, Log, Metadata, Record};

    use super::*;
    use crate::app::WebSocketApp;
    use crate::error::Phase;
    use crate::websocket::Opcode;

    thread_local! {
        static LOGGED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    /// Keeps the errors of this thread.
    struct Logger;

    impl Log for Logger {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() == log::Level::Error
        }

        fn log(&self, record: &Record<'_>) {
            if self.enabled(record.metadata()) {
                LOGGED.with_borrow_mut(|logged| logged.push(record.args().to_string()));
            }
        }

        fn flush(&self) {}
    }

    /// What is logged while an app hears of a timeout, of a message and of its close.
    fn logged(app: WebSocketApp<'_>) -> Vec<String> {
        // Another test may have set it.
        let _ = log::set_logger(&Logger);
        log::set_max_level(LevelFilter::Error);
        LOGGED.take();
        let handle = app.handle();
        let mut closures = app.closures;
        let mut runner = CallbackRunner::new(&mut closures, &handle, CallbackPolicies::default());
        runner.failed(Arc::new(Error::Io { phase: Phase::Connect, error: std::io::Error::other("cable unplugged") }));
        runner.received(Received::Message(MessageRef::Text("m"))).unwrap();
        LOGGED.take()
    }

    fn app() -> WebSocketApp<'static> {
        WebSocketApp::new("ws://unused/")
    }

    #[test]
    fn an_error_that_nobody_listens_to_is_logged_with_its_causes() {
        assert_eq!(logged(app()), ["connecting failed: cable unplugged"]);
        let failing = app().on_message(|_, _| Err::<(), _>(Error::other("not understood")));
        assert_eq!(logged(failing), ["connecting failed: cable unplugged", "not understood"]);
    }

    /// [`Handle::close`] promises that nothing is handed out after it, and so does [`Handle::reconnect`].
    #[test]
    fn what_on_data_closes_for_is_not_handed_out_again() {
        type OnData = fn(&Handle) -> Result<()>;
        let table: [(OnData, bool); 3] =
            [(|_| Ok(()), true), (|app| app.close(), false), (|app| app.close_with(CloseCode::GOING_AWAY, ""), false)];
        for (on_data, is_handed_out) in table {
            for received in [
                Received::Message(MessageRef::Text("m")),
                Received::Fragment { opcode: Opcode::Text, payload: b"m", fin: true },
            ] {
                let heard = AtomicBool::new(false);
                let app = WebSocketApp::new("ws://unused/")
                    .on_data(|app, _, _, _| on_data(app))
                    .on_message(|_, _| heard.store(true, Ordering::Relaxed))
                    .on_cont_message(|_, _, _| heard.store(true, Ordering::Relaxed));
                let handle = app.handle();
                let mut closures = app.closures;
                let mut runner = CallbackRunner::new(&mut closures, &handle, CallbackPolicies::default());
                runner.opened(OpenEvent::First, 1);
                runner.received(received).unwrap();
                drop(closures);
                assert_eq!(heard.load(Ordering::Relaxed), is_handed_out);
            }
        }
    }

    #[test]
    fn one_that_somebody_listens_to_is_not() {
        assert_eq!(logged(app().on_error(|_, _| ())), [""; 0]);
    }

    #[test]
    fn the_failure_of_the_listener_is_logged_too() {
        let failing = app().on_error(|_, _| Err::<(), _>(Error::other("deaf")));
        assert_eq!(logged(failing), ["deaf"]);
        let panicking = app().on_error(|_, _| -> () { panic!("dead") });
        assert_eq!(logged(panicking), ["on_error panicked: dead"]);
    }
}
