//! The library that speaks TLS.

use std::fmt;
#[cfg(feature = "rustls")]
use std::sync::Arc;

#[cfg(feature = "native-tls")]
use native_tls::{TlsAcceptor, TlsConnector};
#[cfg(feature = "rustls")]
use rustls::{ClientConfig, ServerConfig};

use super::TlsOptions;

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

/// The library that speaks TLS, and ready configurations of it.
///
/// ```
/// use websocket_sync::{TlsBackend, TlsOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let by_rustls = TlsOptions::new().backend(TlsBackend::Rustls);
/// # #[cfg(feature = "native-tls")]
/// let ready = TlsOptions::new().connector(native_tls::TlsConnector::builder().build()?);
/// # #[cfg(feature = "rustls")] {
/// let roots = rustls::RootCertStore::empty();
/// let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
/// let ready = TlsOptions::new().rustls_config(std::sync::Arc::new(config));
/// # }
///
/// // For a server: with its certificate.
/// # #[cfg(feature = "native-tls")]
/// fn server(identity: native_tls::Identity) -> native_tls::Result<TlsOptions> {
///     Ok(TlsOptions::new().acceptor(native_tls::TlsAcceptor::new(identity)?))
/// }
/// # #[cfg(feature = "rustls")]
/// fn rustls_server(config: rustls::ServerConfig) -> TlsOptions {
///     TlsOptions::new().rustls_server_config(std::sync::Arc::new(config))
/// }
/// # Ok(())
/// # }
/// ```
impl TlsOptions {
    /// The library that speaks TLS.
    ///
    /// Default: [`TlsBackend::NativeTls`], or [`TlsBackend::Rustls`] where only that is built in.
    pub fn backend(self, backend: TlsBackend) -> Self {
        self.with(|tls| tls.backend = backend)
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

    /// A ready configuration of rustls, for what these options do not cover. It takes the place of the
    /// [backend](Self::backend), and all other options but [`server_hostname`](Self::server_hostname) and
    /// [`pin_sha256`](Self::pin_sha256) are without effect.
    ///
    /// Where it resumes sessions, a connection that resumes one is judged by the certificate that was shown to the first.
    ///
    /// Default: one made from the other options.
    #[cfg(feature = "rustls")]
    #[doc(alias = "context")]
    pub fn rustls_config(self, config: Arc<ClientConfig>) -> Self {
        self.with(|tls| tls.ready = Some(Connector::Rustls(config)))
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

    /// The server role: like [`acceptor`](Self::acceptor), with rustls, which speaks TLS 1.3 on every platform. It takes
    /// precedence.
    ///
    /// Default: no TLS.
    #[cfg(feature = "rustls")]
    pub fn rustls_server_config(self, config: Arc<ServerConfig>) -> Self {
        // The connector does not depend on it.
        Self { rustls_server_config: Some(config), ..self }
    }
}
