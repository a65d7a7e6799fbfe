//! Certificates of the tests' own authorities.

use native_tls::{Identity, Protocol, TlsAcceptor};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};

/// A certificate authority of the test's own.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM form.
pub(crate) struct Leaf {
    pub(crate) cert: String,
    pub(crate) key: String,
}

/// When a certificate is valid.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Now,
    Over,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        // An authority is found by its name.
        let name = format!("websocket-sync test authority {:02x?}", &key.public_key_raw()[..8]);
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn leaf(&self, name: &str, validity: Validity) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        if let Validity::Over = validity {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// A server for `name` whose certificate is as it should be.
    pub(crate) fn acceptor(&self, name: &str) -> TlsAcceptor {
        self.leaf(name, Validity::Now).acceptor(Protocol::Tlsv13)
    }
}

impl Leaf {
    /// A server that speaks `newest` at best.
    pub(crate) fn acceptor(&self, newest: Protocol) -> TlsAcceptor {
        let identity = Identity::from_pkcs8(self.cert.as_bytes(), self.key.as_bytes()).unwrap();
        TlsAcceptor::builder(identity).max_protocol_version(Some(newest)).build().unwrap()
    }
}
