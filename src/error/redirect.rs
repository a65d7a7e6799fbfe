//! Redirects that cannot be followed.

use std::fmt;

use thiserror::Error;

use crate::url::{UrlError, without_query};

/// A redirect that was not followed.
///
/// ```no_run
/// use websocket_sync::{Error, RedirectProblem, create_connection};
///
/// match create_connection("wss://example.com/") {
///     Err(Error::Redirect(error)) if error.problem == RedirectProblem::Downgrade => {
///         eprintln!("{} wants us to go without TLS", error.urls.last().unwrap());
///     }
///     other => drop(other),
/// }
/// ```
#[derive(Clone, Eq, Error, PartialEq)]
#[error("{problem}")]
#[non_exhaustive]
pub struct RedirectError {
    /// The status of the redirect.
    pub status: u16,
    /// The URLs that were asked, the first one first, without userinfo. The last of them gave the redirect.
    pub urls: Vec<String>,
    /// Why it was not followed.
    pub problem: RedirectProblem,
}

/// URLs are shown without their queries, which may hold secrets.
impl fmt::Debug for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls: Vec<&str> = self.urls.iter().map(|url| without_query(url)).collect();
        f.debug_struct("RedirectError")
            .field("status", &self.status)
            .field("urls", &urls)
            .field("problem", &self.problem)
            .finish()
    }
}

/// Why a redirect was not followed.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum RedirectProblem {
    /// It leads from `wss` to `ws`.
    #[error("it leads from wss to ws")]
    Downgrade,
    /// One more than [`ConnectOptions::redirect_limit`](crate::ConnectOptions::redirect_limit).
    #[error("redirect limit of {limit} exhausted")]
    Limit {
        /// The limit in force.
        limit: usize,
    },
    /// Its `Location` is nothing that a WebSocket can be opened to.
    #[error("its Location is no URL to go to: {0}")]
    Location(UrlError),
    /// It leads to what was asked before.
    #[error("it leads in a circle")]
    Loop,
    /// It has no `Location` header.
    #[error("it has no Location header")]
    MissingLocation,
    /// It has several `Location` headers.
    #[error("it has several Location headers")]
    RepeatedLocation,
}
