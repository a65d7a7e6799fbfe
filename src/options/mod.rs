//! What can be set before a connection is made: websocket-client's keywords. Plain values; others act on them.

// In the order in which the documentation of `ConnectOptions` shows what they add to it.
mod connect;

mod http;

mod dial;

mod proxy;

mod messages;

mod limits;

mod socket;
#[cfg_attr(
    not(any(feature = "native-tls", feature = "rustls")),
    allow(dead_code, unused_variables, reason = "no library is there to use them")
)]
mod tls;

use std::fmt;
use std::sync::Arc;

pub use self::connect::{ConnectOptions, default_timeout, set_default_timeout};
pub(crate) use self::connect::{Field, Settings, Timeouts};
pub(crate) use self::dial::Dial;
pub use self::dial::Hop;
pub use self::proxy::Proxy;
pub(crate) use self::proxy::{ProxyChoice, ProxySettings};
pub use self::socket::{Family, SocketOptions};
#[cfg_attr(
    not(any(feature = "native-tls", feature = "rustls")),
    allow(unused_imports, reason = "no library is there to use them")
)]
pub(crate) use self::tls::{Authorities, Connector, Danger, Identity, PemSource, Ready};
pub use self::tls::{SystemRoots, TlsBackend, TlsOptions, TlsVersion};

/// A function that the user gave. Its `Debug` form does not try to show it.
pub(crate) struct Hook<F: ?Sized>(pub(crate) Arc<F>);

impl<F: ?Sized> Clone for Hook<F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<F: ?Sized> fmt::Debug for Hook<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn(..)")
    }
}
