//! Who is trusted, and what is demanded beyond that.

use std::path::PathBuf;
use std::sync::Arc;

use super::TlsOptions;

/// Certificates of authorities in PEM form, and where they come from.
#[derive(Clone, Debug)]
pub(crate) enum Authorities {
    File(PathBuf),
    Directory(PathBuf),
    Pem(Arc<[u8]>),
}

/// Whether something dangerous is accepted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Danger {
    #[default]
    Refused,
    Accepted,
}

/// Which servers are trusted.
///
/// Without `ca_certs`, `ca_certs_dir` and `ca_certs_pem`, the environment variable `WEBSOCKET_CLIENT_CA_BUNDLE` may name a file,
/// which is used as by `ca_certs`, or a directory, as by `ca_certs_dir`. It has to exist. It is read by the first connection with
/// these options.
///
/// ```
/// use websocket_sync::{SystemRoots, TlsOptions};
///
/// # let pem = "";
/// let cluster = TlsOptions::new().ca_certs("cluster-ca.pem").server_hostname("kubernetes.default");
/// let partners = TlsOptions::new()
///     .ca_certs_dir("/etc/partners")
///     .ca_certs_pem(pem)
///     .system_roots(SystemRoots::Included);
/// // For a test server only.
/// let unsafe_one = TlsOptions::new().danger_accept_invalid_certs().danger_accept_invalid_hostnames();
/// ```
impl TlsOptions {
    /// Trusts the certificate authorities in this PEM file in place of the system's, which
    /// [`system_roots(SystemRoots::Included)`](Self::system_roots) adds. The file has to hold one or more, and is read when a connection is
    /// made. Can be called again for more files.
    ///
    /// Nothing is relaxed: the certificate still has to be valid, and for the right name.
    ///
    /// A FIFO, such as a shell's `<(…)`, is read to its end; on Unix the open timeout and a cancellation end the wait for it. No file may be
    /// larger than 16 MiB. The same holds for the other files that are named here. Where the environment variable `SSL_CERT_FILE` names a FIFO
    /// in place of the system's file, the wait for it ends in the same way, and a thread goes on with it.
    ///
    /// Default: those of the system.
    #[doc(alias = "ca_cert")]
    #[doc(alias = "cafile")]
    pub fn ca_certs(self, path: impl Into<PathBuf>) -> Self {
        self.with(|tls| tls.authorities.push(Authorities::File(path.into())))
    }

    /// Like [`ca_certs`](Self::ca_certs), for a directory: every file in it, but not in directories below, that holds certificates in PEM
    /// form, whatever it is called. Other files are passed over.
    ///
    /// Default: those of the system.
    #[doc(alias = "ca_cert_path")]
    #[doc(alias = "capath")]
    pub fn ca_certs_dir(self, path: impl Into<PathBuf>) -> Self {
        self.with(|tls| tls.authorities.push(Authorities::Directory(path.into())))
    }

    /// Like [`ca_certs`](Self::ca_certs), with what the file holds.
    ///
    /// Default: those of the system.
    #[doc(alias = "cadata")]
    pub fn ca_certs_pem(self, pem: impl AsRef<[u8]>) -> Self {
        self.with(|tls| tls.authorities.push(Authorities::Pem(pem.as_ref().into())))
    }

    /// Whether the authorities that the operating system trusts are trusted.
    ///
    /// Default: only where no others are named, by [`ca_certs`](Self::ca_certs) and its kin or by the environment.
    pub fn system_roots(self, roots: SystemRoots) -> Self {
        self.with(|tls| tls.system_roots = Some(roots))
    }

    /// The name that the server is told (SNI) and that its certificate has to be for.
    ///
    /// Default: the URL's host.
    pub fn server_hostname(self, name: impl Into<String>) -> Self {
        // The connector does not depend on it.
        Self { server_hostname: Some(name.into()), ..self }
    }

    /// Pins the server's key: the SHA-256 of its certificate's SubjectPublicKeyInfo in base64, as in
    /// RFC 7469, section 2.4, with or without curl's `sha256//` before it. Can be called again for more, such as the next key;
    /// one of them has to match.
    ///
    /// It is checked in addition to everything else, for every connection, before a byte of the opening handshake is sent; also
    /// with a ready connector. A certificate that was renewed with the same key fits.
    ///
    /// ```
    /// use websocket_sync::TlsOptions;
    ///
    /// // openssl pkey -in key.pem -pubout -outform der | openssl dgst -sha256 -binary | base64
    /// let tls = TlsOptions::new().pin_sha256("sha256//YLh1dUR9y6Kja30RrAn7JKnbQG/uEtLMkBgFF2Fuihg=");
    /// ```
    ///
    /// Default: any key.
    #[doc(alias = "pinnedpubkey")]
    pub fn pin_sha256(self, pin: impl Into<String>) -> Self {
        self.with(|tls| tls.pins.push(pin.into()))
    }

    /// Accepts any certificate: expired, self-signed, of an unknown authority. An attacker on the network can then read and
    /// change everything.
    ///
    /// With native-tls this accepts any name as well: OpenSSL cannot check the name alone. With rustls the name is still
    /// checked.
    ///
    /// Default: refused.
    #[doc(alias = "cert_reqs")]
    #[doc(alias = "CERT_NONE")]
    pub fn danger_accept_invalid_certs(self) -> Self {
        self.with(|tls| tls.invalid_certs = Danger::Accepted)
    }

    /// Accepts a valid certificate that is for another name. Anybody who has a certificate of any name can then impersonate the
    /// server.
    ///
    /// Default: refused.
    #[doc(alias = "check_hostname")]
    pub fn danger_accept_invalid_hostnames(self) -> Self {
        self.with(|tls| tls.invalid_hostnames = Danger::Accepted)
    }
}

/// Whether the authorities that the operating system trusts are trusted.
///
/// ```
/// use websocket_sync::{SystemRoots, TlsOptions};
///
/// // The company's authority beside those of the system.
/// let tls = TlsOptions::new().ca_certs("company-ca.pem").system_roots(SystemRoots::Included);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SystemRoots {
    /// They are, beside those that [`TlsOptions::ca_certs`] names.
    #[default]
    Included,
    /// They are not: only those that [`TlsOptions::ca_certs`] names, if any.
    Excluded,
}
