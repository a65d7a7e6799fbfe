//! How TLS is spoken.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use native_tls::{TlsAcceptor, TlsConnector};

/// How TLS is spoken with a server of `wss://`.
///
/// By default the certificate has to be for the URL's host and to come from an authority that the operating system
/// trusts, the version is TLS 1.2 or newer, and the server is told which name it is called by (SNI). Clones share what
/// is loaded, so that connecting again with the same options does not read certificates again.
///
/// ```no_run
/// use websocket_sync::{ConnectOptions, TlsOptions};
///
/// let tls = TlsOptions::new().ca_certs("company-ca.pem");
/// let ws = ConnectOptions::new().tls(tls).connect("wss://feed.intra.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Default)]
#[doc(alias = "sslopt")]
#[non_exhaustive]
pub struct TlsOptions {
    pub(crate) authorities: Vec<Authorities>,
    pub(crate) system_roots: SystemRoots,
    pub(crate) server_hostname: Option<String>,
    pub(crate) accepts_invalid_certs: bool,
    pub(crate) accepts_invalid_hostnames: bool,
    pub(crate) connector: Option<TlsConnector>,
    pub(crate) acceptor: Option<TlsAcceptor>,
    /// What these options come to, once somebody has connected with them.
    pub(crate) built: Arc<OnceLock<TlsConnector>>,
}

/// Certificates of authorities in PEM form, and where they come from.
#[derive(Clone, Debug)]
pub(crate) enum Authorities {
    File(PathBuf),
    Pem(Arc<[u8]>),
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificate authorities in this PEM file too; it may hold several. It is read when a connection is
    /// made. Can be called again for more.
    ///
    /// Nothing else is relaxed: the certificate still has to be valid, and for the right name.
    ///
    /// Default: none but those of the system.
    #[doc(alias = "ca_cert")]
    #[doc(alias = "cafile")]
    pub fn ca_certs(self, path: impl Into<PathBuf>) -> Self {
        self.with(|tls| tls.authorities.push(Authorities::File(path.into())))
    }

    /// Like [`ca_certs`](Self::ca_certs), with what the file holds.
    ///
    /// Default: none but those of the system.
    #[doc(alias = "cadata")]
    pub fn ca_certs_pem(self, pem: impl AsRef<[u8]>) -> Self {
        self.with(|tls| tls.authorities.push(Authorities::Pem(pem.as_ref().into())))
    }

    /// Whether the authorities that the operating system trusts are trusted.
    ///
    /// Default: [`SystemRoots::Included`].
    pub fn system_roots(self, roots: SystemRoots) -> Self {
        self.with(|tls| tls.system_roots = roots)
    }

    /// The name that the server is told (SNI) and that its certificate has to be for.
    ///
    /// Default: the URL's host.
    pub fn server_hostname(self, name: impl Into<String>) -> Self {
        // The connector does not depend on it.
        Self { server_hostname: Some(name.into()), ..self }
    }

    /// Accepts any certificate: expired, self-signed, of an unknown authority. Whoever sits between here and the server
    /// can then read and change everything.
    ///
    /// With OpenSSL this accepts any name as well; a check of the name alone is more than native-tls can do.
    ///
    /// Default: refused.
    #[doc(alias = "cert_reqs")]
    #[doc(alias = "CERT_NONE")]
    pub fn danger_accept_invalid_certs(self) -> Self {
        self.with(|tls| tls.accepts_invalid_certs = true)
    }

    /// Accepts a valid certificate that is for another name. Whoever owns any certificate can then pretend to be the
    /// server.
    ///
    /// Default: refused.
    #[doc(alias = "check_hostname")]
    pub fn danger_accept_invalid_hostnames(self) -> Self {
        self.with(|tls| tls.accepts_invalid_hostnames = true)
    }

    /// A ready connector, for what these options do not cover, such as a client certificate. All other options but
    /// [`server_hostname`](Self::server_hostname) are then without effect.
    ///
    /// Default: one made from the other options.
    #[doc(alias = "context")]
    pub fn connector(self, connector: TlsConnector) -> Self {
        self.with(|tls| tls.connector = Some(connector))
    }

    /// The server role: speaks TLS with this acceptor, which has the certificate, in
    /// [`ConnectOptions::accept`](crate::ConnectOptions::accept). Without effect on connections of the client role.
    ///
    /// With OpenSSL, native-tls makes acceptors that speak TLS 1.2 and nothing newer.
    ///
    /// Default: no TLS.
    pub fn acceptor(self, acceptor: TlsAcceptor) -> Self {
        // The connector does not depend on it.
        Self { acceptor: Some(acceptor), ..self }
    }

    /// Whether these options ask for nothing that the connector of the process does not do.
    pub(crate) fn is_default(&self) -> bool {
        self.authorities.is_empty()
            && self.system_roots == SystemRoots::Included
            && !self.accepts_invalid_certs
            && !self.accepts_invalid_hostnames
            && self.connector.is_none()
    }

    /// Changes something that the connector depends on. The clones that were made before keep theirs.
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.built = Arc::default();
        self
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("authorities", &self.authorities.len())
            .field("system_roots", &self.system_roots)
            .field("server_hostname", &self.server_hostname)
            .field("accepts_invalid_certs", &self.accepts_invalid_certs)
            .field("accepts_invalid_hostnames", &self.accepts_invalid_hostnames)
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}

/// Whether the authorities that the operating system trusts are trusted.
///
/// ```
/// use websocket_sync::{SystemRoots, TlsOptions};
///
/// // This server's authority, and nobody else's.
/// let tls = TlsOptions::new().ca_certs("pinned-ca.pem").system_roots(SystemRoots::Excluded);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SystemRoots {
    /// They are, beside those that [`TlsOptions::ca_certs`] adds.
    #[default]
    Included,
    /// They are not: only those that [`TlsOptions::ca_certs`] adds.
    Excluded,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_connector_until_something_changes() {
        let options = TlsOptions::new().ca_certs("a.pem");
        let same = options.clone().server_hostname("other");
        let changed = options.clone().danger_accept_invalid_hostnames();
        assert!(Arc::ptr_eq(&options.built, &same.built));
        assert!(!Arc::ptr_eq(&options.built, &changed.built));
    }

    #[test]
    fn only_a_server_name_leaves_the_options_as_the_process_has_them() {
        assert!(TlsOptions::new().server_hostname("a").system_roots(SystemRoots::Included).is_default());
        let others = [
            TlsOptions::new().ca_certs("a.pem"),
            TlsOptions::new().ca_certs_pem(""),
            TlsOptions::new().system_roots(SystemRoots::Excluded),
            TlsOptions::new().danger_accept_invalid_certs(),
            TlsOptions::new().danger_accept_invalid_hostnames(),
            TlsOptions::new().connector(TlsConnector::new().unwrap()),
        ];
        assert!(others.iter().all(|options| !options.is_default()));
    }
}
