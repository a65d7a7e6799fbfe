//! Who speaks TLS.

use std::fmt;

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
    Native(native_tls::TlsConnector),
    #[cfg(feature = "rustls")]
    Rustls(std::sync::Arc<::rustls::ClientConfig>),
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
