//! The client's certificate.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::TlsOptions;

/// A certificate of the client's, and its key.
#[derive(Clone)]
pub(crate) enum Identity {
    /// The certificate with those above it, and the key, both in PEM form.
    Pem { chain: PemSource, key: PemSource },
    /// All of it in one file, which is encrypted.
    Pkcs12 {
        bundle: PemSource,
        #[cfg_attr(not(feature = "native-tls"), expect(dead_code, reason = "rustls refuses it unread"))]
        password: Arc<str>,
    },
}

/// Where something is to be had.
#[derive(Clone)]
pub(crate) enum PemSource {
    File(PathBuf),
    Bytes(Arc<[u8]>),
}

impl Identity {
    /// The setter that made it.
    pub(crate) const fn option(&self) -> &'static str {
        match self {
            Self::Pem { chain: PemSource::File(_), .. } => "client_cert",
            Self::Pem { chain: PemSource::Bytes(_), .. } => "client_cert_pem",
            Self::Pkcs12 { bundle: PemSource::File(_), .. } => "client_pkcs12",
            Self::Pkcs12 { bundle: PemSource::Bytes(_), .. } => "client_pkcs12_der",
        }
    }
}

/// Says where the parts are, not what they are.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem { chain, key } => f.debug_struct("Pem").field("chain", chain).field("key", key).finish(),
            Self::Pkcs12 { bundle, .. } => f.debug_struct("Pkcs12").field("bundle", bundle).finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for PemSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Bytes(_) => f.write_str(".."),
        }
    }
}

/// The client's certificate, for servers that ask for one (mutual TLS). It is not sent to others.
///
/// ```
/// use websocket_sync::TlsOptions;
///
/// # let (chain, key, bundle) = ("", "", b"");
/// let files = TlsOptions::new().client_cert("me.pem", "me.key").client_key_password("secret");
/// let bytes = TlsOptions::new().client_cert_pem(chain, key);
/// // With native-tls only.
/// let pkcs12 = TlsOptions::new().client_pkcs12("me.p12", "secret");
/// let der = TlsOptions::new().client_pkcs12_der(bundle, "secret");
/// ```
impl TlsOptions {
    /// Sends this certificate: a PEM file with it, followed by intermediate certificates if there are any, and a PEM file with its
    /// key. Both may be the same file.
    ///
    /// The key is in PKCS#8 form (`BEGIN PRIVATE KEY`, or `BEGIN ENCRYPTED PRIVATE KEY` with a
    /// [password](Self::client_key_password)), in PKCS#1 (`BEGIN RSA PRIVATE KEY`) or in SEC1 (`BEGIN EC PRIVATE KEY`). One that OpenSSL has
    /// encrypted in its old form (`Proc-Type: 4,ENCRYPTED`) is refused; `openssl pkcs8 -topk8` converts it.
    ///
    /// Default: none.
    #[doc(alias = "certfile")]
    #[doc(alias = "keyfile")]
    #[doc(alias = "cert_chain")]
    pub fn client_cert(self, chain: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.identity(Identity::Pem { chain: PemSource::File(chain.into()), key: PemSource::File(key.into()) })
    }

    /// Like [`client_cert`](Self::client_cert), with what the files hold.
    ///
    /// Default: none.
    pub fn client_cert_pem(self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let bytes = |pem: &[u8]| PemSource::Bytes(pem.into());
        self.identity(Identity::Pem { chain: bytes(chain.as_ref()), key: bytes(key.as_ref()) })
    }

    /// The password of an encrypted PKCS#8 key (`BEGIN ENCRYPTED PRIVATE KEY`, RFC 5958) that is given to
    /// [`client_cert`](Self::client_cert). The encryption is PBES2 (RFC 8018) with PBKDF2 or scrypt, as OpenSSL has it.
    ///
    /// Default: none.
    #[doc(alias = "password")]
    pub fn client_key_password(self, password: impl Into<Arc<str>>) -> Self {
        self.with(|tls| tls.key_password = Some(password.into()))
    }

    /// Sends the certificate in this PKCS#12 file (RFC 7292; `.p12`, `.pfx`), which holds its key too: native-tls only.
    ///
    /// Default: none.
    #[doc(alias = "pfx")]
    pub fn client_pkcs12(self, path: impl Into<PathBuf>, password: impl Into<Arc<str>>) -> Self {
        self.identity(Identity::Pkcs12 { bundle: PemSource::File(path.into()), password: password.into() })
    }

    /// Like [`client_pkcs12`](Self::client_pkcs12), with what the file holds.
    ///
    /// Default: none.
    pub fn client_pkcs12_der(self, der: impl AsRef<[u8]>, password: impl Into<Arc<str>>) -> Self {
        self.identity(Identity::Pkcs12 { bundle: PemSource::Bytes(der.as_ref().into()), password: password.into() })
    }

    /// The same for a server that a redirect leads to: without the name that another one is called by, and without who the client
    /// is.
    pub(crate) fn for_another_origin(self) -> Self {
        let nameless = Self { server_hostname: None, ..self };
        if nameless.identity.is_none() {
            return nameless;
        }
        let built = nameless.built_without_identity.clone();
        Self { identity: None, key_password: None, built, ..nameless }
    }

    fn identity(self, identity: Identity) -> Self {
        self.with(|tls| tls.identity = Some(identity))
    }
}
