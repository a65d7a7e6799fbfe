//! A TLS server of another making than ours, and certificates for it.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{self, Read, Write};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
#[cfg(feature = "native-tls")]
use native_tls::{Identity, Protocol, TlsAcceptor};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned, SupportedProtocolVersion};
use sha2::{Digest as _, Sha256};

/// The versions of TLS that both sides can speak.
pub(crate) const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];

/// The server's end of a TLS connection. It reads and writes as it is told, so it does not read while it writes.
pub(crate) type Peer<S> = StreamOwned<ServerConnection, S>;

/// The server's side of the handshake.
pub(crate) fn accept<S: Read + Write>(config: Arc<ServerConfig>, mut socket: S) -> io::Result<Peer<S>> {
    let mut connection = ServerConnection::new(config).map_err(io::Error::other)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(connection, socket))
}

/// Says close_notify.
pub(crate) fn send_close_notify<S: Read + Write>(peer: &mut Peer<S>) {
    peer.conn.send_close_notify();
    peer.flush().unwrap();
}

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    name: DistinguishedName,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM form. Others may follow the certificate.
pub(crate) struct Leaf {
    pub(crate) cert: String,
    pub(crate) key: String,
    /// The hash of its key, as it is pinned.
    pub(crate) pin: String,
}

fn authority() -> (CertificateParams, KeyPair) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    // An authority is found by its name.
    let name = format!("websocket-sync test authority {:02x?}", &key.public_key_raw()[..8]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params, key)
}

/// The hash of a key (RFC 7469, section 2.4).
fn pin(key: &KeyPair) -> String {
    STANDARD.encode(Sha256::digest(key.subject_public_key_info()))
}

/// A certificate that nobody but itself vouches for.
pub(crate) fn self_signed(name: &str) -> Leaf {
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Leaf { cert: cert.pem(), key: key.serialize_pem(), pin: pin(&key) }
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Over,
    Later,
}

impl Validity {
    pub(crate) fn apply(self, params: &mut CertificateParams) {
        match self {
            Self::Now => {}
            Self::Over => params.not_after = date_time_ymd(2001, 1, 1),
            Self::Later => params.not_before = date_time_ymd(2999, 1, 1),
        }
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let (params, key) = authority();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, name: params.distinguished_name.clone(), issuer: Issuer::new(params, key) }
    }

    pub(crate) fn leaf(&self, name: &str, validity: Validity) -> Leaf {
        self.leaf_with(name, |params| validity.apply(params))
    }

    /// A certificate that is special.
    pub(crate) fn leaf_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        self.leaf_for(name, &KeyPair::generate().unwrap(), change)
    }

    /// A certificate for a key in PKCS#8 form.
    pub(crate) fn leaf_of(&self, name: &str, key: &str) -> Leaf {
        Leaf { key: key.to_owned(), ..self.leaf_for(name, &KeyPair::from_pem(key).unwrap(), |_| {}) }
    }

    fn leaf_for(&self, name: &str, key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let cert = params.signed_by(key, &self.issuer).unwrap();
        Leaf { cert: cert.pem(), key: key.serialize_pem(), pin: pin(key) }
    }

    /// An authority below this one.
    pub(crate) fn intermediate(&self) -> Self {
        self.intermediate_with(|_| {})
    }

    /// One that is special.
    pub(crate) fn intermediate_with(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let (mut params, key) = authority();
        change(&mut params);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { pem, name: params.distinguished_name.clone(), issuer: Issuer::new(params, key) }
    }

    /// One that is called the same and has another key.
    pub(crate) fn impostor(&self) -> Self {
        let (mut params, key) = authority();
        params.distinguished_name = self.name.clone();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, name: params.distinguished_name.clone(), issuer: Issuer::new(params, key) }
    }

    /// A server for `name` whose certificate is as it should be.
    pub(crate) fn server(&self, name: &str) -> Arc<ServerConfig> {
        self.leaf(name, Validity::Now).server(&rustls::version::TLS13)
    }
}

impl Leaf {
    /// The certificate in DER form.
    pub(crate) fn der(&self) -> Vec<u8> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap().to_vec()
    }

    /// A server that speaks this version and no other.
    pub(crate) fn server(&self, version: &'static SupportedProtocolVersion) -> Arc<ServerConfig> {
        Arc::new(self.config(&[version], None))
    }

    /// What such a server is made of. With an authority for clients, they have to show a certificate of it.
    pub(crate) fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
    ) -> ServerConfig {
        let chain = CertificateDer::pem_slice_iter(self.cert.as_bytes()).map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_protocol_versions(versions).unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                config.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        config.with_single_cert(chain, key).unwrap()
    }

    /// A server of the platform's library, which speaks `newest` at best.
    #[cfg(feature = "native-tls")]
    pub(crate) fn acceptor(&self, newest: Protocol) -> TlsAcceptor {
        let identity = Identity::from_pkcs8(self.cert.as_bytes(), self.key.as_bytes()).unwrap();
        TlsAcceptor::builder(identity).max_protocol_version(Some(newest)).build().unwrap()
    }
}
