//! What a script found that it did not expect, or could not do.

use std::error::Error as StdError;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::handshake::HandshakeError;
use crate::protocol::{LocalProtocolError, ProtocolError};

/// Why a script has failed.
///
/// ```
/// use websocket_sync::create_connection;
/// use websocket_sync::test_kit::{PeerError, TestServer};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = TestServer::start(|peer| {
///     peer.accept()?;
///     peer.expect_text("one")
/// })?;
/// let ws = create_connection(server.url())?;
/// ws.send_text("two")?;
/// let failed = server.finish().unwrap_err();
/// assert_eq!(failed.to_string(), r#"connection 1: expected text "one", received text "two""#);
/// assert!(matches!(failed, PeerError::Script { connection: 1, .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// Something else came.
    #[error("expected {expected}, received {received}")]
    Unexpected {
        /// What the script waits for.
        expected: String,
        /// What came.
        received: String,
    },
    /// It did not come in time.
    #[error("expected {expected}, but it did not come within {timeout:?}")]
    Timeout {
        /// What the script waits for.
        expected: String,
        /// How long it has waited.
        timeout: Duration,
    },
    /// The connection has ended before it came.
    #[error("expected {expected}, but the connection has ended")]
    Ended {
        /// What the script waits for.
        expected: String,
        /// How it has ended, unless in order.
        #[source]
        source: Option<io::Error>,
    },
    /// More than 256 MiB came, and they are not what the script waits for.
    #[error("expected {expected}, but it is not among the first {limit} bytes")]
    TooLong {
        /// What the script waits for.
        expected: String,
        /// So many bytes are kept.
        limit: usize,
    },
    /// The other side broke a rule of RFC 6455 for frames.
    #[error("the other side violated the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// The other side broke a rule of the opening handshake.
    #[error("the opening handshake of the other side is invalid: {0}")]
    Handshake(#[from] HandshakeError),
    /// The script asks for something that cannot be sent like this. [`Peer::send_bytes`](super::Peer::send_bytes) sends anything.
    #[error("it cannot be sent: {0}")]
    Usage(#[from] LocalProtocolError),
    /// The operating system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS was not established.
    #[error("TLS: {0}")]
    Tls(String),
    /// TLS is asked for, and neither of the features `native-tls` and `rustls` is on.
    #[error("TLS needs one of the features native-tls and rustls")]
    NoTlsLibrary,
    /// The kit connects to this machine only.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// No connection came for these scripts.
    #[error("no connection came for {0} of the scripts")]
    Unreached(usize),
    /// Connections came for which there is no script; they were ended at once.
    #[error("{0} connections came for which there is no script")]
    Surplus(usize),
    /// The script panicked.
    #[error("the script panicked: {0}")]
    Panicked(String),
    /// The script of this connection has failed; the first is 1.
    #[error("connection {connection}: {source}")]
    Script {
        /// Which connection.
        connection: usize,
        /// Why.
        source: Box<Self>,
    },
    /// What a script says by [`PeerError::other`].
    #[error("{0}")]
    Other(Box<dyn StdError + Send + Sync>),
}

impl PeerError {
    /// An error of the script's own.
    ///
    /// ```
    /// use websocket_sync::test_kit::PeerError;
    ///
    /// assert_eq!(PeerError::other("no token in the request").to_string(), "no token in the request");
    /// ```
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Other(error.into())
    }

    pub(super) fn unexpected(expected: impl Into<String>, received: impl Into<String>) -> Self {
        Self::Unexpected { expected: expected.into(), received: received.into() }
    }
}
