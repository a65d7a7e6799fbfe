//! The TLS handshake: driven in memory like everything else, under one deadline, whichever library it is.

use std::{io, mem};

use super::engine::{Engine, HandshakeFailure, HandshakeStep, ended};
#[cfg(feature = "native-tls")]
use super::native;
use super::pin;
use super::pipe::{Pipe, SharedBytes};
#[cfg(feature = "rustls")]
use super::rustls;
use crate::error::{Error, Phase, Result, TlsError, TlsErrorKind};
use crate::net::deadline::{Deadline, is_timeout};
use crate::net::layer::Layer;
use crate::net::wait_mode::WaitMode;
use crate::options::{Connector, Ready};

/// The client's side. The server's certificate has to be for `name`, unless the connector was told otherwise.
///
/// # Errors
///
/// [`Error::Tls`] when the two do not come to terms, [`Error::Timeout`] at the deadline, [`Error::Io`] when the
/// connection is lost.
pub(super) async fn connect<L: Layer>(
    mode: &WaitMode,
    below: &L,
    ready: &Ready,
    name: &str,
    deadline: Deadline,
) -> Result<Box<dyn Engine>> {
    // The dot that makes a name absolute belongs to the DNS, not to certificates (RFC 6066, section 3).
    let name = name.strip_suffix('.').unwrap_or(name);
    let begin = |pipe| match ready.connector {
        #[cfg(feature = "native-tls")]
        Connector::Native(ref connector) => native::connect(connector, name, pipe),
        #[cfg(feature = "rustls")]
        Connector::Rustls(ref config) => rustls::connect(config, name, pipe),
    };
    let done = handshake(mode, below, deadline, begin, |engine| judge(engine, ready)).await;
    done.map_err(|failure| failure.into_error(name))
}

/// The server's side, begun with the library that has the certificate.
pub(super) async fn accept<L: Layer>(
    mode: &WaitMode,
    below: &L,
    deadline: Deadline,
    begin: impl FnOnce(Pipe) -> HandshakeStep,
) -> Result<Box<dyn Engine>> {
    let done = handshake(mode, below, deadline, begin, |_| Ok(())).await;
    done.map_err(|failure| failure.into_error(""))
}

async fn handshake<L: Layer>(
    mode: &WaitMode,
    below: &L,
    deadline: Deadline,
    begin: impl FnOnce(Pipe) -> HandshakeStep,
    judge: impl FnOnce(&dyn Engine) -> std::result::Result<(), HandshakeFailure>,
) -> std::result::Result<Box<dyn Engine>, HandshakeFailure> {
    let (pipe, outgoing) = Pipe::for_handshake();
    let mut attempt = begin(pipe);
    loop {
        let mut unfinished = match attempt {
            HandshakeStep::Done(mut engine) => {
                // Before the last word: over TLS 1.3, that is where a client says who it is.
                judge(&*engine)?;
                send(mode, below, &outgoing, deadline).await?;
                engine.pipe().end_handshake();
                return Ok(engine);
            }
            HandshakeStep::Failed(failure) => {
                // The alert, so that the peer knows too. Not worth waiting for.
                let _ = below.try_write(&outgoing.lock());
                return Err(failure);
            }
            HandshakeStep::Unfinished(unfinished) => unfinished,
        };
        send(mode, below, &outgoing, deadline).await?;
        let incoming = &mut unfinished.pipe().incoming;
        let n = mode.read(below, incoming.space(), deadline).await?;
        if n == 0 {
            return Err(HandshakeFailure::Io(ended()));
        }
        incoming.received(n);
        attempt = unfinished.advance();
    }
}

/// What is demanded beyond what the library looks after. It looks at this very connection, never at an earlier one.
fn judge(engine: &dyn Engine, ready: &Ready) -> std::result::Result<(), HandshakeFailure> {
    if !ready.pins.is_empty() && !engine.peer_certificate().is_some_and(|der| pin::fits(&ready.pins, &der)) {
        let problem = "the server's key is not pinned".into();
        return Err(HandshakeFailure::Tls { kind: TlsErrorKind::PinMismatch, problem });
    }
    let Some(offered) = &ready.alpn else { return Ok(()) };
    agree(offered, engine.alpn().as_deref())
}

/// A server may pick nothing, and nothing that was not offered (RFC 7301, section 3.2). Not every library looks after that.
fn agree(offered: &[String], picked: Option<&[u8]>) -> std::result::Result<(), HandshakeFailure> {
    match picked {
        Some(picked) if offered.iter().all(|offered| offered.as_bytes() != picked) => {
            let problem = format!("the server picked {:?}", String::from_utf8_lossy(picked)).into();
            Err(HandshakeFailure::Tls { kind: TlsErrorKind::ApplicationProtocol, problem })
        }
        Some(_) | None => Ok(()),
    }
}

/// Sends what the TLS library has to say.
async fn send<L: Layer>(mode: &WaitMode, below: &L, outgoing: &SharedBytes, deadline: Deadline) -> io::Result<()> {
    let bytes = mem::take(&mut *outgoing.lock());
    if bytes.is_empty() { Ok(()) } else { mode.write_all(below, &bytes, deadline).await }
}

impl HandshakeFailure {
    fn into_error(self, name: &str) -> Error {
        match self {
            Self::Io(error) if is_timeout(&error) => Error::Timeout(Phase::Tls),
            Self::Io(error) => Error::Io { phase: Phase::Tls, error },
            Self::Tls { kind, problem } => Error::Tls(Box::new(TlsError { host: name.to_owned(), kind, problem })),
            #[cfg(feature = "rustls")]
            Self::Options(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(unix)]
    use crate::net::deadline::timed_out;

    #[test]
    fn a_server_picks_one_of_what_was_offered_or_nothing() {
        let offered = ["http/1.1".to_owned(), "mqtt".to_owned()];
        for good in [None, Some("http/1.1"), Some("mqtt")] {
            assert!(agree(&offered, good.map(str::as_bytes)).is_ok());
        }
        for bad in ["h2", "", "http/1.10", "HTTP/1.1"] {
            let Err(HandshakeFailure::Tls { kind, .. }) = agree(&offered, Some(bad.as_bytes())) else {
                panic!("{bad}")
            };
            assert_eq!(kind, TlsErrorKind::ApplicationProtocol);
        }
        assert!(agree(&[], Some(b"http/1.1")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_the_system_gives_up_is_lost_and_not_late() {
        let unanswered = io::Error::from(rustix::io::Errno::TIMEDOUT);
        let lost = HandshakeFailure::Io(unanswered).into_error("h");
        assert!(matches!(lost, Error::Io { phase: Phase::Tls, .. }), "{lost:?}");
        let late = HandshakeFailure::Io(timed_out()).into_error("h");
        assert!(matches!(late, Error::Timeout(Phase::Tls)), "{late:?}");
    }
}
