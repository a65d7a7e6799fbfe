//! The client's certificate and key, as rustls wants them.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::error::Result;
use crate::net::tls::identity::{self, Key, NO_KEY, OLD_ENCRYPTION};
use crate::net::tls::{WaitLimit, refuse};
use crate::options::Identity;

/// A certificate with those above it, and its key.
pub(super) type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads the client's certificate and key.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for what cannot be read, for a password that is missing or wrong, and for PKCS#12.
pub(super) fn read(own: &Identity, password: Option<&str>, limit: WaitLimit<'_>) -> Result<Own> {
    let option = own.option();
    let (chain, key) = match own {
        Identity::Pem { chain, key } => identity::read_pair(option, chain, key, limit)?,
        Identity::Pkcs12 { .. } => {
            let problem = "rustls does not read PKCS#12: native-tls only, or converted with `openssl pkcs12 -nodes`";
            return Err(refuse(option, problem));
        }
    };
    let chain = CertificateDer::pem_slice_iter(&chain).collect::<std::result::Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| refuse(option, error.to_string()))?;
    if chain.is_empty() {
        return Err(refuse(option, "there is no certificate in PEM form"));
    }
    match identity::key(&key) {
        Some(Key::Pkcs8(key) | Key::Traditional(key)) => match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
            Ok(key) => Ok((chain, key)),
            Err(error) => Err(refuse(option, error.to_string())),
        },
        Some(Key::Encrypted(key)) => {
            Ok((chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity::decrypt(key, password)?))))
        }
        Some(Key::TraditionalEncrypted) => Err(refuse(option, OLD_ENCRYPTION)),
        None => Err(refuse(option, NO_KEY)),
    }
}
