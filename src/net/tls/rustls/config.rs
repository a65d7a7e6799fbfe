//! From options to a configuration of rustls.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{env, fmt};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring};
use rustls::{ClientConfig, KeyLogFile, RootCertStore, SupportedProtocolVersion};

use super::verifier::Lenient;
use super::{identity, roots};
use crate::error::{Error, Result};
use crate::net::tls::{WaitLimit, files, refuse};
use crate::options::{Danger, TlsOptions, TlsVersion};

/// Names the file that keys are written to, by custom.
const KEY_LOG: &str = "SSLKEYLOGFILE";

/// The configuration that these options come to.
///
/// # Errors
///
/// [`Error::Options`] for certificates and keys that cannot be read, and for what rustls does not know.
pub(in crate::net::tls) fn client_config(
    options: &TlsOptions,
    alpn: &[String],
    limit: WaitLimit<'_>,
) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(provider(options)?);
    let algorithms = provider.signature_verification_algorithms;
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(options))
        .map_err(|error| refuse("cipher_suites", error.to_string()))?;
    let config = match verifier(options, algorithms, limit)? {
        Verifier::Strict(roots) => config.with_root_certificates(roots),
        Verifier::Lenient(lenient) => config.dangerous().with_custom_certificate_verifier(Arc::new(lenient)),
    };
    let mut config = match &options.identity {
        None => config.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = identity::read(own, options.key_password.as_deref(), limit)?;
            config.with_client_auth_cert(chain, key).map_err(|error| refuse(own.option(), error.to_string()))?
        }
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.clone().into_bytes()).collect();
    // Each connection verifies the server anew, as with native-tls.
    config.resumption = Resumption::disabled();
    if options.key_log {
        config.key_log = Arc::new(key_log()?);
    }
    Ok(Arc::new(config))
}

/// The cryptography, with what the options choose of it.
fn provider(options: &TlsOptions) -> Result<CryptoProvider> {
    let mut provider = ring::default_provider();
    if !options.cipher_suites.is_empty() {
        let known: Vec<_> = provider.cipher_suites.iter().map(|suite| (name_of(suite.suite()), *suite)).collect();
        provider.cipher_suites = choose("cipher_suites", &options.cipher_suites, &known)?;
    }
    if !options.key_exchange_groups.is_empty() {
        let known: Vec<_> = provider.kx_groups.iter().map(|group| (name_of(group.name()), *group)).collect();
        provider.kx_groups = choose("key_exchange_groups", &options.key_exchange_groups, &known)?;
    }
    Ok(provider)
}

/// The IANA name, which rustls changes a little for the suites of TLS 1.3.
pub(super) fn name_of(value: impl fmt::Debug) -> String {
    format!("{value:?}").replacen("TLS13_", "TLS_", 1)
}

/// Those of the known ones that are named, in the order of the names.
fn choose<T: Copy>(option: &'static str, names: &[String], known: &[(String, T)]) -> Result<Vec<T>> {
    let find = |name: &String| {
        let wanted = name.replacen("TLS13_", "TLS_", 1);
        let found = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(&wanted));
        found.map(|(_, value)| *value).ok_or_else(|| unknown(option, name, known))
    };
    names.iter().map(find).collect()
}

#[cold]
fn unknown<T>(option: &'static str, name: &str, known: &[(String, T)]) -> Error {
    let known: Vec<&str> = known.iter().map(|(known, _)| known.as_str()).collect();
    refuse(option, format!("{name:?} is none of {}", known.join(", ")))
}

fn versions(options: &TlsOptions) -> Vec<&'static SupportedProtocolVersion> {
    let oldest = options.min_version.unwrap_or(TlsVersion::Tls12);
    let newest = options.max_version.unwrap_or(TlsVersion::Tls13);
    let all = [(TlsVersion::Tls12, &rustls::version::TLS12), (TlsVersion::Tls13, &rustls::version::TLS13)];
    all.into_iter().filter(|(version, _)| (oldest..=newest).contains(version)).map(|(_, version)| version).collect()
}

/// Who checks certificates.
enum Verifier {
    /// Rustls itself, with these authorities.
    Strict(RootCertStore),
    Lenient(Lenient),
}

fn verifier(options: &TlsOptions, algorithms: WebPkiSupportedAlgorithms, limit: WaitLimit<'_>) -> Result<Verifier> {
    let (invalid_certs, invalid_hostnames) = (options.invalid_certs, options.invalid_hostnames);
    let roots = match invalid_certs {
        Danger::Refused => roots::roots(options, limit)?,
        // What is named has to be there all the same.
        Danger::Accepted => roots::named(options, limit)?,
    };
    if (invalid_certs, invalid_hostnames) == (Danger::Refused, Danger::Refused) {
        return Ok(Verifier::Strict(roots));
    }
    Ok(Verifier::Lenient(Lenient { roots, algorithms, invalid_certs, invalid_hostnames }))
}

/// A log of keys that can be written to, if there is to be one.
fn key_log() -> Result<KeyLogFile> {
    let Some(path) = env::var_os(KEY_LOG).map(PathBuf::from) else { return Ok(KeyLogFile::new()) };
    let refused = |problem: &dyn fmt::Display| refuse("key_log", files::told(&path, problem));
    // Rustls writes to it in the midst of a handshake, and waits for whoever reads.
    if is_fifo(&path) {
        return Err(refused(&"a FIFO, which would block"));
    }
    let log = KeyLogFile::new();
    File::options().append(true).open(&path).map_err(|error| refused(&error))?;
    Ok(log)
}

fn is_fifo(path: &Path) -> bool {
    #[cfg(unix)]
    return path.metadata().is_ok_and(|metadata| std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()));
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
