//! Who speaks TLS.

use std::fmt;

use native_tls::TlsConnector;

use super::TlsOptions;

/// The library that speaks TLS.
///
/// | | native-tls | rustls |
/// |---|---|---|
/// | is | the platform's: OpenSSL, Secure Transport, Schannel | written in Rust, the same everywhere |
/// | needs | on Linux OpenSSL and its headers | feature `rustls` of this crate |
/// | [PKCS#12](TlsOptions::client_pkcs12) | yes | no |
/// | [cipher suites](TlsOptions::cipher_suites), [groups](TlsOptions::key_exchange_groups), [key log](TlsOptions::key_log) | no | yes |
/// | the name alone can be [checked](TlsOptions::danger_accept_invalid_certs) | no | yes |
/// | [`TlsError::kind`](crate::TlsError::kind) | from the words of the library | precise |
/// | tells version and cipher suite | no | yes |
/// | server that names itself in the subject only (CN) | accepted by OpenSSL | refused |
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsBackend {
    /// The library of the platform.
    #[default]
    NativeTls,
    /// Rustls with ring. It trusts what the platform trusts, as far as that is told.
    #[cfg(feature = "rustls")]
    Rustls,
}

/// What speaks TLS with these options.
#[derive(Clone)]
pub(crate) enum Connector {
    Native(TlsConnector),
    #[cfg(feature = "rustls")]
    Rustls(std::sync::Arc<::rustls::ClientConfig>),
}

/// Says which library it is: what it holds may be secret.
impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native(_) => "Native(..)",
            #[cfg(feature = "rustls")]
            Self::Rustls(_) => "Rustls(..)",
        })
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
    /// Default: [`TlsBackend::NativeTls`].
    pub fn backend(self, backend: TlsBackend) -> Self {
        self.with(|tls| tls.backend = backend)
    }
}
