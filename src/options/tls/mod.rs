//! How TLS is spoken.

mod identity;
mod negotiation;
mod trust;

use std::fmt;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "native-tls")]
use native_tls::{TlsAcceptor, TlsConnector};
#[cfg(feature = "rustls")]
use rustls::{ClientConfig, ServerConfig};

pub(crate) use self::identity::{Identity, PemSource};
pub use self::negotiation::TlsVersion;
pub use self::trust::SystemRoots;
pub(crate) use self::trust::{Authorities, Danger};

/// How TLS is spoken with a server of `wss://`.
///
/// By default the certificate has to be for the URL's host and to come from an authority that the operating system
/// trusts, the version is TLS 1.2 or newer, and the server is told which name it is called by (SNI). Clones share what
/// is loaded, so that connecting again with the same options does not read certificates again; files are read by the first
/// connection.
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
}

impl TlsOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name that the server is told (SNI) and that its certificate has to be for.
    ///
    /// Default: the URL's host.
    pub fn server_hostname(self, name: impl Into<String>) -> Self {
        // The connector does not depend on it.
        Self { server_hostname: Some(name.into()), ..self }
    }

    /// A ready connector of native-tls, for what these options do not cover. It takes the place of the
    /// [backend](Self::backend), and all other options but [`server_hostname`](Self::server_hostname) and
    /// [`pin_sha256`](Self::pin_sha256) are without effect.
    ///
    /// Default: one made from the other options.
    #[cfg(feature = "native-tls")]
    #[doc(alias = "context")]
    pub fn connector(self, connector: TlsConnector) -> Self {
        self.with(|tls| tls.ready = Some(Connector::Native(connector)))
    }

    /// The server role: speaks TLS with this acceptor of native-tls, which has the certificate, in
    /// [`ConnectOptions::accept`](crate::ConnectOptions::accept). Without effect on connections of the client role.
    ///
    /// With OpenSSL, native-tls makes acceptors that speak TLS 1.2 and nothing newer.
    ///
    /// Default: no TLS.
    #[cfg(feature = "native-tls")]
    pub fn acceptor(self, acceptor: TlsAcceptor) -> Self {
        // The connector does not depend on it.
        Self { acceptor: Some(acceptor), ..self }
    }

    /// Changes something that the connector depends on. The clones that were made before keep theirs.
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self.built = Some(Arc::default());
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

/// The library that speaks TLS.
///
/// | | native-tls | rustls |
/// |---|---|---|
/// | is | the platform's: OpenSSL, Secure Transport, Schannel | written in Rust, the same everywhere |
/// | feature of this crate | `native-tls`, on by default | `rustls` |
/// | needs | on Linux OpenSSL and its headers | a C compiler |
/// | [PKCS#12](TlsOptions::client_pkcs12) | yes | no |
/// | [cipher suites](TlsOptions::cipher_suites), [groups](TlsOptions::key_exchange_groups), [key log](TlsOptions::key_log) | no | yes |
/// | the name alone can be [checked](TlsOptions::danger_accept_invalid_certs) | no | yes |
/// | [`TlsError::kind`](crate::TlsError::kind) | from the words of the library | precise |
/// | tells version and cipher suite | no | yes |
/// | server that names itself in the subject only (CN) | accepted by OpenSSL | refused |
///
/// One whose feature is not built in is refused when connecting, by [`Error::Options`](crate::Error::Options); so is `wss://` without
/// either feature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsBackend {
    /// The library of the platform.
    NativeTls,
    /// Rustls with ring. It trusts what the platform trusts, as far as that is told.
    Rustls,
}

/// The platform's library, unless only rustls is built in.
impl Default for TlsBackend {
    fn default() -> Self {
        if cfg!(all(feature = "rustls", not(feature = "native-tls"))) { Self::Rustls } else { Self::NativeTls }
    }
}

/// What speaks TLS with these options.
#[derive(Clone)]
pub(crate) enum Connector {
    #[cfg(feature = "native-tls")]
    Native(TlsConnector),
    #[cfg(feature = "rustls")]
    Rustls(Arc<ClientConfig>),
}

/// Says which library it is: what it holds may be secret.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            #[cfg(feature = "native-tls")]
            Self::Native(_) => f.write_str("Native(..)"),
            #[cfg(feature = "rustls")]
            Self::Rustls(_) => f.write_str("Rustls(..)"),
        }
    }
}

/// What the options come to.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub(crate) connector: Connector,
    /// SHA-256 of the keys of which the server has to have one, if there are any.
    pub(crate) pins: Vec<[u8; 32]>,
    /// The protocols of which the server has to pick one, if it picks any; `None` if that is not for us to judge.
    pub(crate) alpn: Option<Vec<String>>,
}

impl TlsOptions {
    /// The library that speaks TLS.
    ///
    /// Default: [`TlsBackend::NativeTls`], or [`TlsBackend::Rustls`] where only that is built in.
    pub fn backend(self, backend: TlsBackend) -> Self {
        self.with(|tls| tls.backend = backend)
    }
}

/// Feature `rustls`.
#[cfg(feature = "rustls")]
impl TlsOptions {
    /// A ready configuration of rustls, for what these options do not cover. It takes the place of the
    /// [backend](Self::backend), and all other options but [`server_hostname`](Self::server_hostname) and
    /// [`pin_sha256`](Self::pin_sha256) are without effect.
    ///
    /// Where it resumes sessions, a connection that resumes one is judged by the certificate that was shown to the first.
    ///
    /// Default: one made from the other options.
    #[doc(alias = "context")]
    pub fn rustls_config(self, config: Arc<ClientConfig>) -> Self {
        self.with(|tls| tls.ready = Some(Connector::Rustls(config)))
    }

    /// The server role: like [`acceptor`](Self::acceptor), with rustls, which speaks TLS 1.3 on every platform. It takes
    /// precedence.
    ///
    /// Default: no TLS.
    pub fn rustls_server_config(self, config: Arc<ServerConfig>) -> Self {
        // The connector does not depend on it.
        Self { rustls_server_config: Some(config), ..self }
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
            options.clone().connector(TlsConnector::new().unwrap()),
        ];
        assert!(changed.iter().all(|changed| !same_connector(changed, &options)));
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
