//! [`TlsOptions`]: what can be set, and what it comes to.

use std::fmt;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "native-tls")]
use native_tls::TlsAcceptor;
#[cfg(feature = "rustls")]
use rustls::ServerConfig;

use super::{Authorities, Connector, Danger, Identity, Ready, SystemRoots, TlsBackend, TlsVersion};

/// How TLS is spoken with a server of `wss://`.
///
/// By default the certificate has to be for the URL's host and to come from an authority that the operating system
/// trusts, the version is TLS 1.2 or newer, and the server is told the host name (SNI). Files are read when the first connection is
/// made; clones share what was read, so that it is not read again.
///
/// What the [backend](Self::backend) cannot do is refused when connecting, by [`Error::Options`](crate::Error::Options)
/// with the name of the setter.
///
/// ```no_run
/// use websocket_sync::{ConnectOptions, TlsOptions};
///
/// let tls = TlsOptions::new().ca_certs("company-ca.pem").client_cert("me.pem", "me.key");
/// let ws = ConnectOptions::new().tls(tls).connect("wss://feed.intra.example/")?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Default)]
#[doc(alias = "sslopt")]
#[must_use]
#[non_exhaustive]
pub struct TlsOptions {
    pub(crate) backend: TlsBackend,
    pub(crate) authorities: Vec<Authorities>,
    /// As the user said; otherwise they are trusted where no other authorities are named.
    pub(crate) system_roots: Option<SystemRoots>,
    pub(crate) server_hostname: Option<String>,
    pub(crate) invalid_certs: Danger,
    pub(crate) invalid_hostnames: Danger,
    pub(crate) pins: Vec<String>,
    pub(crate) identity: Option<Identity>,
    pub(crate) key_password: Option<Arc<str>>,
    pub(crate) min_version: Option<TlsVersion>,
    pub(crate) max_version: Option<TlsVersion>,
    pub(crate) alpn: Option<Vec<String>>,
    pub(crate) cipher_suites: Vec<String>,
    pub(crate) key_exchange_groups: Vec<String>,
    pub(crate) key_log: bool,
    /// One that the user has made.
    pub(crate) ready: Option<Connector>,
    #[cfg(feature = "native-tls")]
    pub(crate) acceptor: Option<TlsAcceptor>,
    #[cfg(feature = "rustls")]
    pub(crate) rustls_server_config: Option<Arc<ServerConfig>>,
    /// What these options come to, once somebody has connected with them. `None` says that they ask for nothing that the
    /// connector of the process does not do.
    pub(crate) built: Option<Arc<OnceLock<Ready>>>,
    /// The same without who the client is, for servers that redirects lead to.
    pub(super) built_without_identity: Option<Arc<OnceLock<Ready>>>,
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Changes something that the connector depends on. The clones that were made before keep theirs.
    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        (self.built, self.built_without_identity) = (Some(Arc::default()), Some(Arc::default()));
        self
    }
}

/// Without what is secret: keys and passwords.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("backend", &self.backend)
            .field("authorities", &self.authorities.len())
            .field("system_roots", &self.system_roots)
            .field("server_hostname", &self.server_hostname)
            .field("invalid_certs", &self.invalid_certs)
            .field("invalid_hostnames", &self.invalid_hostnames)
            .field("pins", &self.pins)
            .field("identity", &self.identity)
            .field("min_version", &self.min_version)
            .field("max_version", &self.max_version)
            .field("alpn", &self.alpn)
            .field("cipher_suites", &self.cipher_suites)
            .field("key_exchange_groups", &self.key_exchange_groups)
            .field("key_log", &self.key_log)
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_a_connector_until_something_changes() {
        let options = TlsOptions::new().ca_certs("a.pem");
        let same = options.clone().server_hostname("other");
        assert!(same_connector(&options, &same));
        assert!(!same_connector(&options, &options.clone().danger_accept_invalid_hostnames()));
        assert!(same_connector(&TlsOptions::new(), &TlsOptions::new().server_hostname("other")));
    }

    fn same_connector(one: &TlsOptions, other: &TlsOptions) -> bool {
        match (&one.built, &other.built) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }

    /// A setter that forgot to would leave the connector of before in use.
    #[test]
    fn every_option_that_the_connector_depends_on_makes_a_new_one() {
        let options = TlsOptions::new().ca_certs_pem("");
        let changed = [
            options.clone().ca_certs("a.pem"),
            options.clone().ca_certs_dir("a"),
            options.clone().ca_certs_pem(""),
            options.clone().system_roots(SystemRoots::Excluded),
            options.clone().danger_accept_invalid_certs(),
            options.clone().danger_accept_invalid_hostnames(),
            options.clone().pin_sha256(""),
            options.clone().client_cert("a", "b"),
            options.clone().client_cert_pem("a", "b"),
            options.clone().client_key_password("a"),
            options.clone().client_pkcs12("a", "b"),
            options.clone().client_pkcs12_der("a", "b"),
            options.clone().min_version(TlsVersion::Tls13),
            options.clone().max_version(TlsVersion::Tls12),
            options.clone().alpn(["a"]),
            options.clone().cipher_suites(["a"]),
            options.clone().key_exchange_groups(["a"]),
            options.clone().key_log(),
            options.clone().backend(TlsBackend::NativeTls),
            #[cfg(feature = "native-tls")]
            options.clone().connector(native_tls::TlsConnector::new().unwrap()),
        ];
        assert!(changed.iter().all(|changed| !same_connector(changed, &options)));
    }

    /// So that files are read once, however often a redirect is followed.
    #[test]
    fn what_is_made_for_other_origins_is_shared_too() {
        let options = TlsOptions::new().ca_certs("a.pem").client_cert("a", "b");
        let [one, other] = [options.clone(), options.clone()].map(TlsOptions::for_another_origin);
        assert!(same_connector(&one, &other) && !same_connector(&one, &options));
        let anonymous = TlsOptions::new().ca_certs("a.pem");
        assert!(same_connector(&anonymous, &anonymous.clone().for_another_origin()));
    }

    #[test]
    fn debug_shows_no_key_and_no_password() {
        let pem = TlsOptions::new().client_cert_pem("chain", "s3cret").client_key_password("s3cret");
        let files = TlsOptions::new().client_cert("me.pem", "me.key").client_key_password("s3cret");
        let pkcs12 = TlsOptions::new().client_pkcs12_der("s3cret", "s3cret");
        for options in [pem, files, pkcs12, TlsOptions::new().client_pkcs12("me.p12", "s3cret")] {
            // As it would have to look if the bytes were shown.
            let bytes = format!("{:?}", b"s3cret").replace(['[', ']'], "");
            let shown = format!("{options:?}");
            assert!(!shown.contains("s3cret") && !shown.contains(&bytes), "{shown}");
        }
    }
}
