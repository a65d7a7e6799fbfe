//! The callbacks of an app: setters for closures, the trait [`Handler`], and what a callback may return.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::WebSocketApp;
use super::facts::{AppError, Closed};
use super::handle::Handle;
use crate::error::{Error, Result, text_of};
use crate::message::MessageRef;
use crate::websocket::Opcode;

/// Callbacks. Each is called with the app's [`Handle`], on the thread of [`run_forever`](Self::run_forever), one at a time. It may
/// return nothing, or a `Result` whose error, of [any type](Outcome), goes to [`on_error`](Self::on_error); then the app goes on, unless
/// [`callback_errors`](Self::callback_errors) says otherwise. Where there is no callback, nothing is done, but for `on_error` and
/// `on_reconnect`, which have defaults.
///
/// Where a closure uses `?`, the compiler has to be told the type of the error:
///
/// ```
/// use websocket_sync::{Error, WebSocketApp};
///
/// let app = WebSocketApp::new("wss://feed.example/").on_open(|app| {
///     app.send_text("log in")?;
///     app.send_text("subscribe")?;
///     Ok::<(), Error>(())
/// });
/// ```
///
/// # State
///
/// A closure may borrow what outlives the app, and change it; it is read when the app is gone:
///
/// ```no_run
/// use websocket_sync::WebSocketApp;
///
/// let mut texts = 0;
/// let mut app = WebSocketApp::new("wss://feed.example/").on_message(|_, _| texts += 1);
/// app.run_forever()?;
/// drop(app); // it holds the borrow
/// println!("{texts}");
/// # Ok::<(), websocket_sync::Error>(())
/// ```
///
/// Two closures cannot both borrow it to change it. What they share is behind a `Mutex`, or an atomic, since closures have to be
/// `Send`, though one at a time is called; or it is a [`Handler`], whose methods all have `&mut self`:
///
/// ```no_run
/// use std::sync::Mutex;
///
/// use websocket_sync::{Closed, Handle, Handler, MessageRef, Result, WebSocketApp};
///
/// let last = Mutex::new(String::new());
/// WebSocketApp::new("wss://feed.example/")
///     .on_message(|_, message| *last.lock().unwrap() = message.as_text().unwrap_or_default().to_owned())
///     .on_close(|_, closed| println!("{} after {}", closed.cause, last.lock().unwrap()))
///     .run_forever()?;
///
/// #[derive(Default)]
/// struct Last(String);
///
/// impl Handler for Last {
///     fn on_message(&mut self, _: &Handle, message: MessageRef<'_>) -> Result<()> {
///         self.0 = message.as_text().unwrap_or_default().to_owned();
///         Ok(())
///     }
///
///     fn on_close(&mut self, _: &Handle, closed: &Closed) -> Result<()> {
///         println!("{} after {}", closed.cause, self.0);
///         Ok(())
///     }
/// }
///
/// let mut last = Last::default();
/// WebSocketApp::new("wss://feed.example/").handler(&mut last).run_forever()?;
/// println!("{}", last.0);
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl<'env> WebSocketApp<'env> {
    /// The first connection of a run is open.
    pub fn on_open<R: Outcome>(mut self, mut callback: impl FnMut(&Handle) -> R + Send + 'env) -> Self {
        self.closures.on_open = Some(Box::new(move |app| callback(app).into_result()));
        self
    }

    /// A connection is open after an earlier one was lost.
    ///
    /// Default: the [handler's](Self::handler) method, if it has one, else [`on_open`](Self::on_open).
    pub fn on_reconnect<R: Outcome>(mut self, mut callback: impl FnMut(&Handle) -> R + Send + 'env) -> Self {
        self.closures.on_reconnect = Some(Box::new(move |app| callback(app).into_result()));
        self
    }

    /// A message has come. It is borrowed: valid until the callback returns.
    ///
    /// ```
    /// use websocket_sync::{MessageRef, WebSocketApp};
    ///
    /// let mut bytes = 0;
    /// let app = WebSocketApp::new("ws://localhost:9001/").on_message(|app, message| match message {
    ///     MessageRef::Text(text) => app.send_text(text),
    ///     MessageRef::Binary(binary) => {
    ///         bytes += binary.len();
    ///         Ok(())
    ///     }
    /// });
    /// ```
    pub fn on_message<R: Outcome>(
        mut self,
        mut callback: impl FnMut(&Handle, MessageRef<'_>) -> R + Send + 'env,
    ) -> Self {
        self.closures.on_message = Some(Box::new(move |app, message| callback(app, message).into_result()));
        self
    }

    /// A message has come: its bytes, its opcode, and whether this is the end of it: false only for a fragment that others follow. Called
    /// before [`on_message`](Self::on_message) and [`on_cont_message`](Self::on_cont_message).
    pub fn on_data<R: Outcome>(
        mut self,
        mut callback: impl FnMut(&Handle, &[u8], Opcode, bool) -> R + Send + 'env,
    ) -> Self {
        self.closures.on_data =
            Some(Box::new(move |app, data, opcode, fin| callback(app, data, opcode, fin).into_result()));
        self
    }

    /// A fragment of a message has come, and whether it is the last. With this callback, messages that come in several frames are
    /// handed out frame by frame, to this one and to `on_data`, and text may be cut anywhere; those in one frame go to
    /// [`on_message`](Self::on_message).
    pub fn on_cont_message<R: Outcome>(
        mut self,
        mut callback: impl FnMut(&Handle, &[u8], bool) -> R + Send + 'env,
    ) -> Self {
        self.closures.on_cont_message = Some(Box::new(move |app, data, fin| callback(app, data, fin).into_result()));
        self
    }

    /// A ping has come. It has been answered.
    pub fn on_ping<R: Outcome>(mut self, mut callback: impl FnMut(&Handle, &[u8]) -> R + Send + 'env) -> Self {
        self.closures.on_ping = Some(Box::new(move |app, payload| callback(app, payload).into_result()));
        self
    }

    /// A pong has come, asked for or not.
    pub fn on_pong<R: Outcome>(mut self, mut callback: impl FnMut(&Handle, &[u8]) -> R + Send + 'env) -> Self {
        self.closures.on_pong = Some(Box::new(move |app, payload| callback(app, payload).into_result()));
        self
    }

    /// Something has failed: an attempt to connect, a connection, or a callback. A clean close is no error.
    ///
    /// Default: the error and its causes are logged by the crate [`log`](https://docs.rs/log), as `error`, with a target that begins with
    /// `websocket_sync`. A program without a logger sees nothing of them.
    pub fn on_error<R: Outcome>(mut self, mut callback: impl FnMut(&Handle, &Error) -> R + Send + 'env) -> Self {
        self.closures.on_error = Some(Box::new(move |app, error| callback(app, error).into_result()));
        self
    }

    /// A connection is over: called once for each that was open, and once for a run that never had one, when it ends. That a run is given
    /// up later, after failed attempts, only [`on_end`](Self::on_end) learns.
    pub fn on_close<R: Outcome>(mut self, mut callback: impl FnMut(&Handle, &Closed) -> R + Send + 'env) -> Self {
        self.closures.on_close = Some(Box::new(move |app, closed| callback(app, closed).into_result()));
        self
    }

    /// The run is over: called once for each run, last of all, with what [`run_forever`](Self::run_forever) is about to return. It is
    /// not called where the settings are refused, since that run has not begun, nor where an [`AppTask`](crate::AppTask) is dropped.
    ///
    /// ```
    /// use websocket_sync::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").on_end(|_, outcome| match outcome {
    ///     Ok(closed) => println!("ended: {}", closed.cause),
    ///     Err(error) => eprintln!("given up: {error:#}"),
    /// });
    /// ```
    pub fn on_end<R: Outcome>(
        mut self,
        mut callback: impl FnMut(&Handle, Result<&Closed, &Error>) -> R + Send + 'env,
    ) -> Self {
        self.closures.on_end = Some(Box::new(move |app, outcome| callback(app, outcome).into_result()));
        self
    }

    /// All callbacks as the methods of one value. Where there is a closure of the same name, it is called instead of the method.
    pub fn handler(mut self, handler: impl Handler + Send + 'env) -> Self {
        self.closures.handler = Some(Box::new(handler));
        self
    }
}

/// The callbacks of an app as methods of one value, for those who share state between them. Each does nothing unless it is
/// written.
///
/// An error that is returned goes to [`on_error`](Self::on_error); the app goes on, unless
/// [`callback_errors`](crate::WebSocketApp::callback_errors) says otherwise.
///
/// ```no_run
/// use websocket_sync::{Handle, Handler, MessageRef, Result, WebSocketApp};
///
/// #[derive(Default)]
/// struct Counter {
///     texts: usize,
/// }
///
/// impl Handler for Counter {
///     fn on_open(&mut self, app: &Handle) -> Result<()> {
///         app.send_text("subscribe")
///     }
///
///     fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
///         self.texts += usize::from(matches!(message, MessageRef::Text(_)));
///         if self.texts == 10 { app.close() } else { Ok(()) }
///     }
/// }
///
/// let mut counter = Counter::default();
/// WebSocketApp::new("wss://feed.example/").handler(&mut counter).run_forever()?;
/// println!("{}", counter.texts);
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[expect(unused_variables, reason = "the names are for those who write the methods")]
pub trait Handler {
    /// The first connection of a run is open.
    ///
    /// # Errors
    ///
    /// The handler's own, here and below.
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        Ok(())
    }

    /// A connection is open after an earlier one was lost. Default: [`on_open`](Self::on_open), or the app's
    /// [closure](crate::WebSocketApp::on_open) of that name, if it has one.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_reconnect(&mut self, app: &Handle) -> Result<()> {
        if app.shared().leaves_reconnect_to_closure() { Ok(()) } else { self.on_open(app) }
    }

    /// A message has come, valid until this returns.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        Ok(())
    }

    /// A message or a fragment has come: its bytes, the opcode of the message, and whether it is its end. Called before the more
    /// particular callback.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_data(&mut self, app: &Handle, data: &[u8], opcode: Opcode, fin: bool) -> Result<()> {
        Ok(())
    }

    /// A fragment of a message has come, and whether it is the last; only with
    /// [`fire_cont_frame`](crate::ConnectOptions::fire_cont_frame). Text may be cut anywhere.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_cont_message(&mut self, app: &Handle, fragment: &[u8], fin: bool) -> Result<()> {
        Ok(())
    }

    /// A ping has come. It has been answered.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_ping(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        Ok(())
    }

    /// A pong has come, asked for or not.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_pong(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        Ok(())
    }

    /// Something has failed: an attempt to connect, a connection, or a callback. Default: it is logged, as by
    /// [`WebSocketApp::on_error`](crate::WebSocketApp::on_error).
    ///
    /// # Errors
    ///
    /// The handler's own; it is logged.
    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        log_error(error);
        Ok(())
    }

    /// A connection is over, or the run ends without ever having had one.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_close(&mut self, app: &Handle, closed: &Closed) -> Result<()> {
        Ok(())
    }

    /// The run is over, with what [`run_forever`](crate::WebSocketApp::run_forever) is about to return. Called once for each run, last
    /// of all.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn on_end(&mut self, app: &Handle, outcome: Result<&Closed, &Error>) -> Result<()> {
        Ok(())
    }
}

impl<H: Handler + ?Sized> Handler for &mut H {
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        (**self).on_open(app)
    }

    fn on_reconnect(&mut self, app: &Handle) -> Result<()> {
        (**self).on_reconnect(app)
    }

    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        (**self).on_message(app, message)
    }

    fn on_data(&mut self, app: &Handle, data: &[u8], opcode: Opcode, fin: bool) -> Result<()> {
        (**self).on_data(app, data, opcode, fin)
    }

    fn on_cont_message(&mut self, app: &Handle, fragment: &[u8], fin: bool) -> Result<()> {
        (**self).on_cont_message(app, fragment, fin)
    }

    fn on_ping(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        (**self).on_ping(app, payload)
    }

    fn on_pong(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        (**self).on_pong(app, payload)
    }

    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        (**self).on_error(app, error)
    }

    fn on_close(&mut self, app: &Handle, closed: &Closed) -> Result<()> {
        (**self).on_close(app, closed)
    }

    fn on_end(&mut self, app: &Handle, outcome: Result<&Closed, &Error>) -> Result<()> {
        (**self).on_end(app, outcome)
    }
}

/// What a closure that is a callback may return: nothing, or a `Result` of which only the error matters. That may be any that can be
/// boxed, those of this crate included, which stay what they are.
///
/// ```
/// # use websocket_sync::{Error, WebSocketApp};
/// let app = WebSocketApp::new("ws://localhost:9001/")
///     .on_open(|app| app.send_text("subscribe"))
///     .on_message(|_, message| message.as_text().unwrap_or_default().parse::<u64>().map(|tick| println!("{tick}")))
///     // Where `?` is used, the type of the error has to be said somewhere.
///     .on_pong(|_, payload| -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///         println!("{}", std::str::from_utf8(payload)?.parse::<u64>()?);
///         Ok(())
///     })
///     .on_reconnect(|app| {
///         app.send_text("log in")?;
///         app.send_text("subscribe")?;
///         Ok::<(), Error>(())
///     });
/// ```
#[diagnostic::on_unimplemented(
    message = "a callback returns nothing or a `Result`, not `{Self}`",
    note = "end the last expression with `;`, or end with `Ok::<(), Error>(())`"
)]
pub trait Outcome {
    /// As the app sees it.
    ///
    /// # Errors
    ///
    /// That of the callback.
    fn into_result(self) -> Result<()>;
}

impl Outcome for () {
    #[inline]
    fn into_result(self) -> Result<()> {
        Ok(())
    }
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Outcome for Result<T, E> {
    #[inline]
    fn into_result(self) -> Result<()> {
        match self {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::from_any(error)),
        }
    }
}

/// A callback that never returns: `|_| todo!()`.
#[expect(private_interfaces, reason = "it is `!`, which everybody can name")]
impl Outcome for <fn() -> ! as Returns>::Value {
    fn into_result(self) -> Result<()> {
        self
    }
}

/// Names the type `!`, which may be written only as what a function returns.
trait Returns {
    type Value;
}

impl<T> Returns for fn() -> T {
    type Value = T;
}

type AppCallback<'env> = Box<dyn FnMut(&Handle) -> Result<()> + Send + 'env>;
type MessageCallback<'env> = Box<dyn FnMut(&Handle, MessageRef<'_>) -> Result<()> + Send + 'env>;
type DataCallback<'env> = Box<dyn FnMut(&Handle, &[u8], Opcode, bool) -> Result<()> + Send + 'env>;
type FragmentCallback<'env> = Box<dyn FnMut(&Handle, &[u8], bool) -> Result<()> + Send + 'env>;
type PayloadCallback<'env> = Box<dyn FnMut(&Handle, &[u8]) -> Result<()> + Send + 'env>;
type ErrorCallback<'env> = Box<dyn FnMut(&Handle, &Error) -> Result<()> + Send + 'env>;
type CloseCallback<'env> = Box<dyn FnMut(&Handle, &Closed) -> Result<()> + Send + 'env>;
type EndCallback<'env> = Box<dyn FnMut(&Handle, Result<&Closed, &Error>) -> Result<()> + Send + 'env>;

/// The callbacks of an app. A closure goes before the handler's method of the same name.
#[derive(Default)]
pub(super) struct Closures<'env> {
    pub(super) on_open: Option<AppCallback<'env>>,
    pub(super) on_reconnect: Option<AppCallback<'env>>,
    pub(super) on_message: Option<MessageCallback<'env>>,
    pub(super) on_data: Option<DataCallback<'env>>,
    pub(super) on_cont_message: Option<FragmentCallback<'env>>,
    pub(super) on_ping: Option<PayloadCallback<'env>>,
    pub(super) on_pong: Option<PayloadCallback<'env>>,
    pub(super) on_error: Option<ErrorCallback<'env>>,
    pub(super) on_close: Option<CloseCallback<'env>>,
    pub(super) on_end: Option<EndCallback<'env>>,
    pub(super) handler: Option<Box<dyn Handler + Send + 'env>>,
}

impl Closures<'_> {
    /// Whether somebody listens to fragments.
    pub(super) const fn wants_fragments(&self) -> bool {
        self.on_cont_message.is_some()
    }

    /// Whether anybody listens to data of every kind.
    #[inline]
    pub(super) const fn wants_data(&self) -> bool {
        self.on_data.is_some() || self.handler.is_some()
    }
}

impl Handler for Closures<'_> {
    fn on_open(&mut self, app: &Handle) -> Result<()> {
        match (&mut self.on_open, &mut self.handler) {
            (Some(callback), _) => callback(app),
            (None, Some(handler)) => handler.on_open(app),
            (None, None) => Ok(()),
        }
    }

    fn on_reconnect(&mut self, app: &Handle) -> Result<()> {
        match (&mut self.on_reconnect, &mut self.on_open, &mut self.handler) {
            (Some(callback), _, _) | (None, Some(callback), None) => callback(app),
            (None, Some(on_open), Some(handler)) => {
                // A handler that has no method of its own would call the method that the closure goes before.
                app.shared().begin_reconnect_with_closure();
                let result = handler.on_reconnect(app);
                if app.shared().end_reconnect_with_closure() { on_open(app) } else { result }
            }
            (None, None, Some(handler)) => handler.on_reconnect(app),
            (None, None, None) => Ok(()),
        }
    }

    #[inline]
    fn on_message(&mut self, app: &Handle, message: MessageRef<'_>) -> Result<()> {
        match (&mut self.on_message, &mut self.handler) {
            (Some(callback), _) => callback(app, message),
            (None, Some(handler)) => handler.on_message(app, message),
            (None, None) => Ok(()),
        }
    }

    #[inline]
    fn on_data(&mut self, app: &Handle, data: &[u8], opcode: Opcode, fin: bool) -> Result<()> {
        match (&mut self.on_data, &mut self.handler) {
            (Some(callback), _) => callback(app, data, opcode, fin),
            (None, Some(handler)) => handler.on_data(app, data, opcode, fin),
            (None, None) => Ok(()),
        }
    }

    fn on_cont_message(&mut self, app: &Handle, fragment: &[u8], fin: bool) -> Result<()> {
        match (&mut self.on_cont_message, &mut self.handler) {
            (Some(callback), _) => callback(app, fragment, fin),
            (None, Some(handler)) => handler.on_cont_message(app, fragment, fin),
            (None, None) => Ok(()),
        }
    }

    fn on_ping(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        match (&mut self.on_ping, &mut self.handler) {
            (Some(callback), _) => callback(app, payload),
            (None, Some(handler)) => handler.on_ping(app, payload),
            (None, None) => Ok(()),
        }
    }

    fn on_pong(&mut self, app: &Handle, payload: &[u8]) -> Result<()> {
        match (&mut self.on_pong, &mut self.handler) {
            (Some(callback), _) => callback(app, payload),
            (None, Some(handler)) => handler.on_pong(app, payload),
            (None, None) => Ok(()),
        }
    }

    fn on_error(&mut self, app: &Handle, error: &Error) -> Result<()> {
        match (&mut self.on_error, &mut self.handler) {
            (Some(callback), _) => callback(app, error),
            (None, Some(handler)) => handler.on_error(app, error),
            (None, None) => {
                log_error(error);
                Ok(())
            }
        }
    }

    fn on_close(&mut self, app: &Handle, closed: &Closed) -> Result<()> {
        match (&mut self.on_close, &mut self.handler) {
            (Some(callback), _) => callback(app, closed),
            (None, Some(handler)) => handler.on_close(app, closed),
            (None, None) => Ok(()),
        }
    }

    fn on_end(&mut self, app: &Handle, outcome: Result<&Closed, &Error>) -> Result<()> {
        match (&mut self.on_end, &mut self.handler) {
            (Some(callback), _) => callback(app, outcome),
            (None, Some(handler)) => handler.on_end(app, outcome),
            (None, None) => Ok(()),
        }
    }
}

/// Says which callbacks there are.
impl fmt::Debug for Closures<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = [
            ("on_open", self.on_open.is_some()),
            ("on_reconnect", self.on_reconnect.is_some()),
            ("on_message", self.on_message.is_some()),
            ("on_data", self.on_data.is_some()),
            ("on_cont_message", self.on_cont_message.is_some()),
            ("on_ping", self.on_ping.is_some()),
            ("on_pong", self.on_pong.is_some()),
            ("on_error", self.on_error.is_some()),
            ("on_close", self.on_close.is_some()),
            ("on_end", self.on_end.is_some()),
            ("handler", self.handler.is_some()),
        ];
        f.debug_list().entries(set.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name)).finish()
    }
}

/// Errors that nobody listens to.
pub(super) fn log_error(error: &Error) {
    log::error!("{}", text_of(error));
}

/// Drops what may hold a [`Transport`](crate::Transport) of the user's: its panic is logged, and ends nothing else.
pub(super) fn drop_transport<T>(holder: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(holder))) {
        log_error(&Error::other(AppError::panicked("a Transport", &*payload)));
    }
}
