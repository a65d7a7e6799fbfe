//! Both sides of the TLS handshake, by the platform's library.

use std::fmt;

use native_tls::{Certificate, HandshakeError, Identity, TlsAcceptor, TlsConnector};

use super::{ByteStream, TestCertificate, refused};
use crate::test_kit::error::PeerError;

/// The server's side of the handshake.
pub(in crate::test_kit) fn accept(
    stream: impl ByteStream + fmt::Debug + 'static,
) -> Result<Box<dyn ByteStream>, PeerError> {
    let (chain, key) = (TestCertificate::CHAIN_PEM, TestCertificate::KEY_PEM);
    let identity = Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).map_err(refused)?;
    let acceptor = TlsAcceptor::new(identity).map_err(refused)?;
    Ok(Box::new(acceptor.accept(stream).map_err(failed)?))
}

/// The client's side, which trusts [`TestCertificate`] alone.
pub(in crate::test_kit) fn connect(
    stream: impl ByteStream + fmt::Debug + 'static,
) -> Result<Box<dyn ByteStream>, PeerError> {
    let authority = Certificate::from_pem(TestCertificate::AUTHORITY_PEM.as_bytes()).map_err(refused)?;
    let mut builder = TlsConnector::builder();
    let builder = builder.disable_built_in_roots(true).add_root_certificate(authority);
    let connector = builder.build().map_err(refused)?;
    Ok(Box::new(connector.connect("localhost", stream).map_err(failed)?))
}

/// A socket with a timeout stops a handshake where a non-blocking one would.
fn failed<S>(error: HandshakeError<S>) -> PeerError {
    match error {
        HandshakeError::Failure(error) => refused(error),
        HandshakeError::WouldBlock(_) => PeerError::Tls("the handshake took too long".to_owned()),
    }
}
