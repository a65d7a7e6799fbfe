//! TLS of the peers, by whichever library is there, and the certificate that they show.

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
mod native;
#[cfg(feature = "rustls")]
mod rustls;

use std::io::{Read, Write};

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
pub(super) use self::native::{accept, connect};
#[cfg(feature = "rustls")]
pub(super) use self::rustls::{accept, connect};
use super::error::PeerError;
use crate::options::TlsOptions;

/// A certificate for `localhost`, `127.0.0.1` and `::1` of an authority that has signed nothing else: its key was thrown away. Valid
/// until 2119. The key is in the source of this crate: it proves nothing.
///
/// [`TestServerBuilder::tls`](super::TestServerBuilder::tls) shows it, [`Peer::connect_tls`](super::Peer::connect_tls) trusts it.
///
/// ```
/// use websocket_sync::test_kit::TestCertificate;
/// use websocket_sync::ConnectOptions;
///
/// let options = ConnectOptions::new().tls(TestCertificate::tls_options());
/// assert!(TestCertificate::AUTHORITY_PEM.starts_with("-----BEGIN CERTIFICATE-----"));
/// assert!(TestCertificate::CHAIN_PEM.starts_with("-----BEGIN CERTIFICATE-----"));
/// assert!(TestCertificate::KEY_PEM.starts_with("-----BEGIN PRIVATE KEY-----")); // PKCS#8
/// # drop(options);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct TestCertificate {}

// Made by OpenSSL 3.0 in an empty directory; the key of the authority, ca.key, was deleted afterwards. RSA, since the platform's library
// on Windows takes no other PKCS#8 key; valid from 2019-01-01, since Apple's refuses what is valid for longer than 825 days only where
// it was issued after June of that year.
//
//   printf '%s\n' '[ca]' 'default_ca=kit' '[kit]' 'new_certs_dir=.' 'database=index' 'default_md=sha256' 'policy=any' 'unique_subject=no' \
//     'rand_serial=yes' '[any]' 'commonName=supplied' '[req]' 'distinguished_name=any' \
//     '[authority]' 'basicConstraints=critical,CA:true' 'keyUsage=critical,keyCertSign,cRLSign' 'subjectKeyIdentifier=hash' \
//     '[server]' 'basicConstraints=critical,CA:false' 'keyUsage=critical,digitalSignature,keyEncipherment' \
//     'extendedKeyUsage=serverAuth' 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1' 'authorityKeyIdentifier=keyid' >ca.cnf
//   : >index; dates='-startdate 20190101000000Z -enddate 21190101000000Z'
//   openssl req -config ca.cnf -new -newkey rsa:2048 -nodes -keyout ca.key -out ca.csr -subj '/CN=websocket-sync test kit authority'
//   openssl ca -config ca.cnf -batch -notext -selfsign -keyfile ca.key -extensions authority $dates -in ca.csr -out authority.pem
//   openssl req -config ca.cnf -new -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=websocket-sync test kit server'
//   openssl ca -config ca.cnf -batch -notext -cert authority.pem -keyfile ca.key -extensions server $dates -in server.csr -out server.pem
impl TestCertificate {
    /// The certificate of the authority, for [`ca_certs_pem`](TlsOptions::ca_certs_pem) and the like.
    pub const AUTHORITY_PEM: &'static str = include_str!("certificate/authority.pem");
    /// The certificate of the server, for a server under test.
    pub const CHAIN_PEM: &'static str = include_str!("certificate/server.pem");
    /// Its key, in PKCS#8 form.
    pub const KEY_PEM: &'static str = include_str!("certificate/server.key");

    /// Options that trust the authority and no other.
    pub fn tls_options() -> TlsOptions {
        TlsOptions::new().ca_certs_pem(Self::AUTHORITY_PEM)
    }
}

/// What TLS is spoken over, and what it gives.
pub(super) trait ByteStream: Read + Write + Send {}

impl<T: Read + Write + Send> ByteStream for T {}

/// Where there is no library.
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(super) fn accept(_stream: impl ByteStream) -> Result<Box<dyn ByteStream>, PeerError> {
    Err(PeerError::NoTlsLibrary)
}

/// The same.
#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(super) fn connect(_stream: impl ByteStream) -> Result<Box<dyn ByteStream>, PeerError> {
    Err(PeerError::NoTlsLibrary)
}

/// Whether the kit can speak TLS.
pub(super) const fn is_available() -> bool {
    cfg!(any(feature = "native-tls", feature = "rustls"))
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn refused(error: impl std::fmt::Display) -> PeerError {
    PeerError::Tls(error.to_string())
}
