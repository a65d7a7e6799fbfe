//! How long each phase of an opening took.

use std::time::Duration;

/// How long each phase of the opening of a connection took; `None` for a phase that did not take place. After redirects, those of
/// the last hop.
///
/// ```no_run
/// let ws = websocket_sync::create_connection("wss://feed.example/")?;
/// println!("{:?}", ws.timings().and_then(|timings| timings.tls));
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Timings {
    /// Looking up the host's name, or the proxy's.
    pub resolve: Option<Duration>,
    /// Connecting the socket, all addresses together.
    pub connect: Option<Duration>,
    /// Having the proxy connect, TLS with the proxy included.
    pub proxy: Option<Duration>,
    /// The TLS handshake with the server.
    pub tls: Option<Duration>,
    /// The opening handshake: our request, the server's answer.
    pub handshake: Option<Duration>,
}
