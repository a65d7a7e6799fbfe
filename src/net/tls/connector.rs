//! From options to a TLS connector, which holds the certificates that are trusted and is dear to make.

use std::sync::OnceLock;
use std::{fs, io};

use native_tls::{Certificate, Protocol, TlsConnector, TlsConnectorBuilder};

use crate::error::{Error, OptionsError, Result};
use crate::options::{Authorities, SystemRoots, TlsOptions};

/// The connector of all who ask for nothing special: the system's certificates are loaded once in the life of the
/// process.
static DEFAULT: OnceLock<TlsConnector> = OnceLock::new();

/// The connector that these options come to; made at the first call, unless there is one ready.
///
/// # Errors
///
/// [`Error::Options`] for certificates that cannot be read.
pub(crate) fn connector(options: &TlsOptions) -> Result<TlsConnector> {
    if let Some(ready) = &options.connector {
        return Ok(ready.clone());
    }
    let kept = if options.is_default() { &DEFAULT } else { &*options.built };
    if let Some(connector) = kept.get() {
        return Ok(connector.clone());
    }
    // Two threads may both come here; one of the connectors is then dropped after its use. A failure is not kept.
    let connector = build(options)?;
    Ok(kept.get_or_init(|| connector).clone())
}

fn build(options: &TlsOptions) -> Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    builder
        .min_protocol_version(Some(Protocol::Tlsv12))
        .use_sni(true)
        .disable_built_in_roots(options.system_roots == SystemRoots::Excluded)
        .danger_accept_invalid_certs(options.accepts_invalid_certs)
        .danger_accept_invalid_hostnames(options.accepts_invalid_hostnames);
    for authorities in &options.authorities {
        add(&mut builder, authorities)?;
    }
    builder.build().map_err(|error| refuse("tls", error.to_string()))
}

fn add(builder: &mut TlsConnectorBuilder, authorities: &Authorities) -> Result<()> {
    match authorities {
        Authorities::Pem(pem) => add_pem(builder, pem).map_err(|problem| refuse("ca_certs_pem", problem)),
        Authorities::File(path) => {
            let told = |problem: String| refuse("ca_certs", format!("{}: {problem}", path.display()));
            let pem = fs::read(path).map_err(|error: io::Error| told(error.to_string()))?;
            add_pem(builder, &pem).map_err(told)
        }
    }
}

fn add_pem(builder: &mut TlsConnectorBuilder, pem: &[u8]) -> std::result::Result<(), String> {
    let certificates = Certificate::stack_from_pem(pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    for certificate in certificates {
        builder.add_root_certificate(certificate);
    }
    Ok(())
}

#[cold]
fn refuse(option: &'static str, problem: String) -> Error {
    Error::Options(Box::new(OptionsError { option, problem }))
}
