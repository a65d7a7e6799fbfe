//! An app on a thread of its own.

use super::WebSocketApp;
use super::closed::Closed;
use super::error::AppError;
use super::handle::Handle;
use crate::error::{Error, Result};
use crate::sync::thread::{Builder, JoinHandle};

/// An app that runs on a thread of its own. Dropped, it lets the app run on.
#[derive(Debug)]
#[must_use = "it says how the app ends"]
pub struct AppThread {
    handle: Handle,
    thread: JoinHandle<Result<Closed>>,
}

impl AppThread {
    /// What sends, and closes the app.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Whether the run is over, so that [`join`](Self::join) would not wait.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits for the end of the run.
    ///
    /// # Errors
    ///
    /// As for [`WebSocketApp::run_forever`].
    pub fn join(self) -> Result<Closed> {
        let panicked =
            |payload: Box<dyn std::any::Any + Send>| Err(Error::other(AppError::panicked("the app", &*payload)));
        self.thread.join().unwrap_or_else(panicked)
    }
}

impl WebSocketApp<'static> {
    /// Runs the app on a thread of its own, as [`run_forever`](Self::run_forever) does.
    ///
    /// # Errors
    ///
    /// [`Error::Other`] when the system has no thread to give.
    ///
    /// ```no_run
    /// use websocket_sync::WebSocketApp;
    ///
    /// let app = WebSocketApp::new("wss://feed.example/").on_message(|_, message| println!("{message:?}")).spawn()?;
    /// // … and when it is no longer wanted:
    /// app.handle().close()?;
    /// app.join()?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn spawn(mut self) -> Result<AppThread> {
        let handle = self.handle();
        // From now on it can be closed, whether its thread has begun or not.
        handle.shared().announce();
        match Builder::new().name("websocket-app".to_owned()).spawn(move || self.run_forever()) {
            Ok(thread) => Ok(AppThread { handle, thread }),
            Err(error) => {
                let error = Error::from(error);
                handle.shared().refuse(&error);
                Err(error)
            }
        }
    }
}
