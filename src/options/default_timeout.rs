//! The timeout for those who give none.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

static DEFAULT: RwLock<Option<Duration>> = RwLock::new(None);

/// Sets how long opening, receiving and sending may take where the options do not say; `None` for the defaults of
/// [`ConnectOptions`](crate::ConnectOptions). It holds for everything in the process that is connected from now on, so
/// it is for programs and not for libraries.
///
/// ```
/// use std::time::Duration;
///
/// websocket_sync::set_default_timeout(Some(Duration::from_secs(20)));
/// assert_eq!(websocket_sync::default_timeout(), Some(Duration::from_secs(20)));
/// # websocket_sync::set_default_timeout(None);
/// ```
#[doc(alias = "setdefaulttimeout")]
pub fn set_default_timeout(timeout: Option<Duration>) {
    *DEFAULT.write().unwrap_or_else(PoisonError::into_inner) = timeout;
}

/// What [`set_default_timeout`] has set. Default: `None`.
#[doc(alias = "getdefaulttimeout")]
pub fn default_timeout() -> Option<Duration> {
    *DEFAULT.read().unwrap_or_else(PoisonError::into_inner)
}
