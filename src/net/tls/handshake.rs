//! The TLS handshake: driven in memory like everything else, under one deadline.

use std::io;

use native_tls::{HandshakeError, TlsAcceptor, TlsConnector, TlsStream};

use super::engine::Engine;
use super::pipe::{Outgoing, Pipe};
use crate::error::{Error, Phase, Result, TlsError};
use crate::net::deadline::{Deadline, Patience};
use crate::net::stream::Stream;

type Attempt = std::result::Result<TlsStream<Pipe>, HandshakeError<Pipe>>;

/// The client's side. The server's certificate has to be for `name`, unless the connector was told otherwise.
///
/// # Errors
///
/// [`Error::Tls`] when the two do not come to terms, [`Error::Timeout`] at the deadline, [`Error::Io`] when the
/// connection is lost.
pub(super) fn connect(below: &Stream, connector: &TlsConnector, name: &str, deadline: Deadline) -> Result<Engine> {
    // The dot that makes a name absolute belongs to the DNS, not to certificates (RFC 6066, section 3).
    let name = name.strip_suffix('.').unwrap_or(name);
    handshake(below, deadline, |pipe| connector.connect(name, pipe)).map_err(|failure| failure.into_error(name))
}

/// The server's side.
pub(super) fn accept(below: &Stream, acceptor: &TlsAcceptor, deadline: Deadline) -> Result<Engine> {
    handshake(below, deadline, |pipe| acceptor.accept(pipe)).map_err(|failure| failure.into_error(""))
}

fn handshake(
    below: &Stream,
    deadline: Deadline,
    begin: impl FnOnce(Pipe) -> Attempt,
) -> std::result::Result<Engine, Failure> {
    let pipe = Pipe::default();
    let outgoing = pipe.outgoing.clone();
    let mut attempt = begin(pipe);
    loop {
        let mut unfinished = match attempt {
            Ok(mut stream) => {
                send(below, &outgoing, deadline)?;
                stream.get_mut().settle();
                return Ok(Engine::Native(stream));
            }
            Err(HandshakeError::Failure(error)) => {
                // The alert, so that the peer knows too. Not worth waiting for.
                let _ = below.try_write(&outgoing.lock());
                return Err(Failure::Tls(error));
            }
            Err(HandshakeError::WouldBlock(unfinished)) => unfinished,
        };
        send(below, &outgoing, deadline)?;
        let incoming = &mut unfinished.get_mut().incoming;
        let n = below.read(incoming.space(), deadline)?;
        if n == 0 {
            let problem = "the peer ended the connection during the TLS handshake";
            return Err(Failure::Io(io::Error::new(io::ErrorKind::UnexpectedEof, problem)));
        }
        incoming.received(n);
        attempt = unfinished.handshake();
    }
}

/// Sends what the TLS library has to say.
fn send(below: &Stream, outgoing: &Outgoing, deadline: Deadline) -> io::Result<()> {
    let mut outgoing = outgoing.lock();
    if outgoing.is_empty() {
        return Ok(());
    }
    below.write_all(&outgoing, Patience::until(deadline)).map_err(|failed| failed.error)?;
    outgoing.clear();
    Ok(())
}

impl Pipe {
    /// Certificates are larger than most of what follows: their buffers are not kept for it.
    fn settle(&mut self) {
        self.incoming.release();
        *self.outgoing.lock() = Vec::new();
    }
}

enum Failure {
    /// The network's part.
    Io(io::Error),
    /// The TLS library's verdict.
    Tls(native_tls::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    fn into_error(self, name: &str) -> Error {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::TimedOut => Error::Timeout(Phase::Tls),
            Self::Io(error) => Error::Io { phase: Phase::Tls, error },
            Self::Tls(problem) => Error::Tls(Box::new(TlsError { host: name.to_owned(), problem: problem.into() })),
        }
    }
}
