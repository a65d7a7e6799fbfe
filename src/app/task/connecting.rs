//! An attempt to connect by the user's `connect_with`, which may wait: for another thread than that of the loop.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::app::attempt::{Attempt, Connector};
use crate::app::error::AppError;
use crate::app::sync::Arc;
#[cfg(all(unix, feature = "mio"))]
use crate::cancellation::Cancellation;
use crate::error::{Error, Result};
use crate::options::ConnectOptions;
use crate::websocket::WebSocket;
#[cfg(all(unix, feature = "mio"))]
use crate::websocket::cancelled;

/// An attempt to connect by [`connect_with`](crate::WebSocketApp::connect_with), to be made on a thread that may wait.
pub struct Connecting<'env> {
    pub(super) url: String,
    pub(super) options: ConnectOptions,
    pub(super) connector: Connector<'env>,
    pub(super) number: u32,
    pub(super) last_error: Option<Arc<Error>>,
}

/// What came of an attempt to connect.
#[derive(Debug)]
pub struct Connected<'env> {
    pub(super) connector: ReturnedConnector<'env>,
    pub(super) outcome: Result<WebSocket>,
}

/// A connector on its way back.
pub(super) struct ReturnedConnector<'env>(pub(super) Connector<'env>);

impl<'env> Connecting<'env> {
    /// Connects, and waits for it, at most for the [open timeout](crate::ConnectOptions::open_timeout); called off when the app is
    /// closed.
    pub fn run(mut self) -> Connected<'env> {
        let Self { url, options, connector, number, last_error } = &mut self;
        let attempt = Attempt { url, number: *number, last_error: last_error.as_deref() };
        let outcome = catch_unwind(AssertUnwindSafe(|| connector(&attempt, options.clone())))
            .unwrap_or_else(|payload| Err(Error::other(AppError::panicked("connect_with", &*payload))));
        self.ended(outcome)
    }

    /// Does not connect: there is nobody to do it.
    pub fn fail(self, error: Error) -> Connected<'env> {
        self.ended(Err(error))
    }

    /// Whether the app has been closed since.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn is_called_off(&self) -> bool {
        self.options.settings().cancellation.as_ref().is_some_and(Cancellation::is_cancelled)
    }

    /// Does not connect: nobody wants it any more.
    #[cfg(all(unix, feature = "mio"))]
    pub(in crate::app) fn call_off(self) -> Connected<'env> {
        self.ended(Err(cancelled()))
    }

    fn ended(self, outcome: Result<WebSocket>) -> Connected<'env> {
        Connected { connector: ReturnedConnector(self.connector), outcome }
    }
}

impl fmt::Debug for Connecting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting")
            .field("number", &self.number)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for ReturnedConnector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn(..)")
    }
}
