//! Both sides of the TLS handshake, by rustls.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::{ByteStream, TestCertificate, refused};
use crate::test_kit::error::PeerError;

/// The server's side of the handshake.
pub(in crate::test_kit) fn accept(mut stream: impl ByteStream + 'static) -> Result<Box<dyn ByteStream>, PeerError> {
    let chain = CertificateDer::pem_slice_iter(TestCertificate::CHAIN_PEM.as_bytes());
    let chain = chain.collect::<Result<_, _>>().map_err(refused)?;
    let key = PrivateKeyDer::from_pem_slice(TestCertificate::KEY_PEM.as_bytes()).map_err(refused)?;
    let config = ServerConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().map_err(refused)?;
    let config = config.with_no_client_auth().with_single_cert(chain, key).map_err(refused)?;
    let mut connection = ServerConnection::new(config.into()).map_err(refused)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(refused)?;
    }
    Ok(Box::new(StreamOwned::new(connection, stream)))
}

/// The client's side, which trusts [`TestCertificate`] alone.
pub(in crate::test_kit) fn connect(mut stream: impl ByteStream + 'static) -> Result<Box<dyn ByteStream>, PeerError> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(TestCertificate::AUTHORITY_PEM.as_bytes()).map_err(refused)?;
    roots.add(authority).map_err(refused)?;
    let config = ClientConfig::builder_with_provider(provider());
    let config = config.with_safe_default_protocol_versions().map_err(refused)?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from("localhost").map_err(refused)?;
    let mut connection = ClientConnection::new(config.into(), name).map_err(refused)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).map_err(refused)?;
    }
    Ok(Box::new(StreamOwned::new(connection, stream)))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
