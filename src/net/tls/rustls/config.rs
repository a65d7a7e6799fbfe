//! From options to a configuration of rustls: the authorities, the client's certificate, and who checks the server's.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::{env, fmt};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    ClientConfig, DigitallySignedStruct, KeyLogFile, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};

use crate::error::{Error, Result};
use crate::net::tls::pem::{self, Bundle, Key, NO_KEY, OLD_ENCRYPTION, told};
use crate::net::tls::{WaitLimit, refuse};
use crate::options::{Danger, Identity, SystemRoots, TlsOptions, TlsVersion};

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
            let (chain, key) = read_identity(own, options.key_password.as_deref(), limit)?;
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
    Lenient(LenientVerifier),
}

fn verifier(options: &TlsOptions, algorithms: WebPkiSupportedAlgorithms, limit: WaitLimit<'_>) -> Result<Verifier> {
    let (invalid_certs, invalid_hostnames) = (options.invalid_certs, options.invalid_hostnames);
    let roots = match invalid_certs {
        Danger::Refused => trusted_roots(options, limit)?,
        // What is named has to be there all the same.
        Danger::Accepted => named_roots(options, limit)?,
    };
    if (invalid_certs, invalid_hostnames) == (Danger::Refused, Danger::Refused) {
        return Ok(Verifier::Strict(roots));
    }
    Ok(Verifier::Lenient(LenientVerifier { roots, algorithms, invalid_certs, invalid_hostnames }))
}

/// A log of keys that can be written to, if there is to be one.
fn key_log() -> Result<KeyLogFile> {
    let named = env::var_os(KEY_LOG).filter(|path| !path.is_empty());
    let Some(path) = named.map(PathBuf::from) else { return Ok(KeyLogFile::new()) };
    let refused = |problem: &dyn fmt::Display| refuse("key_log", told(&path, problem));
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

/// Those that the system trusts: read once in the life of the process.
static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();

/// The authorities that these options come to.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for certificates that cannot be read.
fn trusted_roots(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<RootCertStore> {
    let bundles = pem::read_authorities(options, limit)?;
    let roots = match pem::system_roots(options, &bundles) {
        SystemRoots::Included => system_roots().map_err(|problem| refuse("system_roots", problem))?,
        SystemRoots::Excluded => RootCertStore::empty(),
    };
    add_all(roots, &bundles)
}

/// Only those that the options name.
///
/// # Errors
///
/// Those of [`trusted_roots`].
fn named_roots(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<RootCertStore> {
    add_all(RootCertStore::empty(), &pem::read_authorities(options, limit)?)
}

fn add_all(mut roots: RootCertStore, bundles: &[Bundle]) -> Result<RootCertStore> {
    for bundle in bundles {
        add_bundle(&mut roots, bundle).map_err(|problem| bundle.refuse(&problem))?;
    }
    Ok(roots)
}

fn system_roots() -> std::result::Result<RootCertStore, String> {
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

fn add_bundle(roots: &mut RootCertStore, bundle: &Bundle) -> std::result::Result<(), String> {
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

/// A certificate with those above it, and its key.
type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Reads the client's certificate and key.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for what cannot be read, for a password that is missing or wrong, and for PKCS#12.
fn read_identity(own: &Identity, password: Option<&str>, limit: WaitLimit<'_>) -> Result<Own> {
    let option = own.option();
    let (chain, key) = match own {
        Identity::Pem { chain, key } => pem::read_pair(option, chain, key, limit)?,
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
    match pem::find_key(&key) {
        Some(Key::Pkcs8(key) | Key::Traditional(key)) => match PrivateKeyDer::from_pem_slice(key.as_bytes()) {
            Ok(key) => Ok((chain, key)),
            Err(error) => Err(refuse(option, error.to_string())),
        },
        Some(Key::Encrypted(key)) => {
            Ok((chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pem::decrypt(key, password)?))))
        }
        Some(Key::TraditionalEncrypted) => Err(refuse(option, OLD_ENCRYPTION)),
        None => Err(refuse(option, NO_KEY)),
    }
}

/// Checks the chain, the name, or neither. That the server has the certificate's key is checked in any case.
#[derive(Debug)]
struct LenientVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
    invalid_certs: Danger,
    invalid_hostnames: Danger,
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let parsed = || ParsedCertificate::try_from(certificate);
        if self.invalid_certs == Danger::Refused {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed()?, &self.roots, intermediates, now, algorithms)?;
        }
        if self.invalid_hostnames == Danger::Refused {
            verify_server_name(&parsed()?, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
