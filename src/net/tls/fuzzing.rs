//! TLS over a stream that is open already, without what is above it, for the fuzz targets.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

use super::{TlsEnd, accept, connect};
use crate::error::Result;
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::send_timer::SendDeadline;
use crate::net::stream::Stream;
use crate::net::transport::Transport;
use crate::net::wait_mode::{WaitMode, block_on};
use crate::options::TlsOptions;

/// Longer than anything takes in memory: what waits for it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// A TLS connection after its handshake.
#[derive(Debug)]
pub struct TlsConnection(Stream);

impl TlsConnection {
    /// The client's side of the handshake, with a server that is called `localhost`.
    ///
    /// # Errors
    ///
    /// Those of an opening in its TLS phase.
    pub fn connect(stream: Box<dyn Transport>, options: &TlsOptions) -> Result<Self> {
        let (stream, host) = (Stream::from(stream), "localhost");
        let handshake = connect(&WaitMode::Blocking, stream, options, TlsEnd::Peer, host, deadline());
        block_on(handshake).map(Self)
    }

    /// The server's side, by the acceptor or the configuration in the options.
    ///
    /// # Errors
    ///
    /// Those of an opening in its TLS phase.
    pub fn accept(stream: Box<dyn Transport>, options: &TlsOptions) -> Result<Self> {
        block_on(accept(&WaitMode::Blocking, Stream::from(stream), options, deadline())).map(Self)
    }

    /// Reads plaintext. `Ok(0)` is the end.
    ///
    /// # Errors
    ///
    /// What ends the connection.
    pub fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf, deadline())
    }

    /// Writes plaintext, all of it.
    ///
    /// # Errors
    ///
    /// What ends the connection.
    pub fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes, SendDeadline::until(deadline())).map_err(|failure| failure.error)
    }

    /// Writes of the plaintext what goes without waiting: how many bytes.
    ///
    /// # Errors
    ///
    /// What ends the connection.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    /// Sends close_notify, and nothing after it.
    ///
    /// # Errors
    ///
    /// What the stream says.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Whether there is ciphertext that has not left.
    pub fn has_output(&self) -> bool {
        self.0.has_output()
    }

    /// How much memory the buffers hold, in bytes, without what the TLS library has.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }
}

fn deadline() -> Deadline {
    Deadline::after(Some(PATIENCE))
}
