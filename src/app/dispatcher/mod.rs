//! Who drives an app: the seam, and what there is behind it.

#[cfg(all(unix, feature = "mio"))]
mod helpers;
#[cfg(all(unix, feature = "mio"))]
mod many_apps;
#[cfg(all(unix, feature = "mio"))]
mod slot;
#[cfg(all(unix, feature = "mio"))]
mod timers;

#[cfg(all(unix, feature = "mio"))]
pub use self::many_apps::{AppAdder, ManyApps};

use super::WebSocketApp;
use super::closed::Closed;
use crate::error::Result;

/// Who drives an app: this thread, a loop for many apps, a loop of your own.
///
/// A loop of your own is handed the app and makes an [`AppTask`](crate::AppTask) of it:
///
/// ```
/// use std::sync::mpsc::Sender;
///
/// use websocket_sync::{AppTask, Dispatcher, Handle, Result, WebSocketApp};
///
/// /// A loop that lives with the rest of the program.
/// struct MyLoop {
///     tasks: Vec<AppTask<'static>>,
///     wake: Sender<usize>,
/// }
///
/// impl Dispatcher<'static> for &mut MyLoop {
///     type Driven = Handle;
///
///     fn drive(self, app: WebSocketApp<'static>) -> Result<Handle> {
///         let (wake, number) = (self.wake.clone(), self.tasks.len());
///         let task = app.into_task(move || drop(wake.send(number)))?;
///         let handle = task.handle();
///         self.tasks.push(task);
///         Ok(handle)
///     }
/// }
///
/// let mut mine = MyLoop { tasks: Vec::new(), wake: std::sync::mpsc::channel().0 };
/// let handle = WebSocketApp::new("wss://feed.example/").run_on(&mut mine)?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[doc(alias = "dispatcher")]
#[doc(alias = "rel")]
pub trait Dispatcher<'env> {
    /// What there is of an app that is driven: how it ended, or what is needed to end it.
    type Driven;

    /// Takes an app over: runs it, or has it run.
    ///
    /// # Errors
    ///
    /// Those of the run, or of what keeps it from running.
    fn drive(self, app: WebSocketApp<'env>) -> Result<Self::Driven>;
}

/// Drives an app on this thread, until it ends: what [`WebSocketApp::run_forever`] does.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct ThisThread;

impl<'env> Dispatcher<'env> for ThisThread {
    type Driven = Closed;

    fn drive(self, mut app: WebSocketApp<'env>) -> Result<Closed> {
        app.run_forever()
    }
}

impl<'env> WebSocketApp<'env> {
    /// Has the app driven by somebody else than [`run_forever`](Self::run_forever) does.
    ///
    /// # Errors
    ///
    /// Those of the [`Dispatcher`].
    ///
    /// ```no_run
    /// use websocket_sync::{ThisThread, WebSocketApp};
    ///
    /// let closed = WebSocketApp::new("wss://feed.example/").run_on(ThisThread)?;
    /// println!("{}", closed.cause);
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "dispatcher")]
    pub fn run_on<D: Dispatcher<'env>>(self, dispatcher: D) -> Result<D::Driven> {
        dispatcher.drive(self)
    }
}
