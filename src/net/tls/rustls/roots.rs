//! Who is trusted.

use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::error::Result;
use crate::net::tls::trust::Bundle;
use crate::net::tls::{WaitLimit, refuse, trust};
use crate::options::{SystemRoots, TlsOptions};

/// Those that the system trusts: read once in the life of the process.
static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();

/// The authorities that these options come to.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for certificates that cannot be read.
pub(super) fn roots(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<RootCertStore> {
    let bundles = trust::read(options, limit)?;
    let roots = match trust::system_roots(options, &bundles) {
        SystemRoots::Included => system().map_err(|problem| refuse("system_roots", problem))?,
        SystemRoots::Excluded => RootCertStore::empty(),
    };
    add_all(roots, &bundles)
}

/// Only those that the options name.
///
/// # Errors
///
/// Those of [`roots`].
pub(super) fn named(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<RootCertStore> {
    add_all(RootCertStore::empty(), &trust::read(options, limit)?)
}

fn add_all(mut roots: RootCertStore, bundles: &[Bundle]) -> Result<RootCertStore> {
    for bundle in bundles {
        add(&mut roots, bundle).map_err(|problem| bundle.refuse(&problem))?;
    }
    Ok(roots)
}

fn system() -> std::result::Result<RootCertStore, String> {
    if let Some(roots) = SYSTEM.get() {
        return Ok(roots.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    if let Some(error) = found.errors.first().filter(|_| found.certs.is_empty()) {
        return Err(error.to_string());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    Ok(SYSTEM.get_or_init(|| roots).clone())
}

fn add(roots: &mut RootCertStore, bundle: &Bundle) -> std::result::Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&bundle.pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before {
        return Err("holds no certificate in PEM form".to_owned());
    }
    Ok(())
}
