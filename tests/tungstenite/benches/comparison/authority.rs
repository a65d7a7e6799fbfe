//! A certificate authority that both clients trust by default, as they trust those of the system.
//!
//! tungstenite's `connect` takes no authority of one's own. OpenSSL looks for the system's where `SSL_CERT_FILE`
//! says, and nobody may change the environment of a process that has threads: so the comparison runs in a child of
//! itself.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, process};

use native_tls::{Identity, TlsAcceptor};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

const CERT_FILE: &str = "SSL_CERT_FILE";
/// Set for the child: where its authorities are to be.
const OURS: &str = "WEBSOCKET_SYNC_BENCH_CERT_FILE";

/// Where systems keep the authorities that they trust. What is trusted by default is loaded for a connection, so it
/// must not be less here than it is for a user.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Runs `comparison` in a process that trusts the acceptor's authority.
pub(crate) fn with_authority(comparison: impl FnOnce(TlsAcceptor) -> ExitCode) -> ExitCode {
    if let Some(path) = env::var_os(OURS) {
        let (acceptor, certificate) = issue();
        let mut trusted = system_authorities();
        trusted.push_str(&certificate);
        fs::write(Path::new(&path), trusted).expect("the directory for temporary files can be written to");
        return comparison(acceptor);
    }
    let path: PathBuf = env::temp_dir().join(format!("websocket-sync-bench-{}.pem", process::id()));
    let status = Command::new(env::current_exe().expect("a bench is a file"))
        .args(env::args_os().skip(1))
        .env(OURS, &path)
        .env(CERT_FILE, &path)
        .status()
        .expect("it was started once, so it can be again");
    // It may never have been written.
    let _ = fs::remove_file(path);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn system_authorities() -> String {
    SYSTEM.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// A server's certificate, and the authority that vouches for it.
fn issue() -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, "websocket-sync bench authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let identity = Identity::from_pkcs8(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
    (TlsAcceptor::new(identity).unwrap(), authority.pem())
}
