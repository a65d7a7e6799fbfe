//! Callbacks as a trait.

use super::closed::Closed;
use super::handle::Handle;
use crate::error::{Error, Result};
use crate::message::MessageRef;
use crate::websocket::Opcode;

/// The callbacks of an app as methods of one value, for those who share state between them. Each does nothing unless it is
/// written.
///
/// An error that is returned goes to [`on_error`](Self::on_error); the app goes on, unless
/// [told otherwise](crate::WebSocketApp::callback_errors).
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

    /// Something has failed: an attempt to connect, a connection, or a callback. Default: it is logged.
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

/// Errors that nobody listens to.
pub(super) fn log_error(error: &Error) {
    let mut causes = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        causes.push_str(": ");
        causes.push_str(&cause.to_string());
        source = cause.source();
    }
    log::error!("{error}{causes}");
}
