//! What the two sides may agree upon.

use std::fmt;

use super::TlsOptions;

/// A version of TLS. There are none older: they are broken (RFC 8996).
///
/// ```
/// use websocket_sync::{TlsOptions, TlsVersion};
///
/// let modern = TlsOptions::new().min_version(TlsVersion::Tls13);
/// assert!(TlsVersion::Tls12 < TlsVersion::Tls13);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446. Secure Transport, which is native-tls on macOS and iOS, does not speak it.
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// What is offered to the server.
///
/// ```
/// use websocket_sync::{TlsOptions, TlsVersion};
///
/// let oldest_and_newest = TlsOptions::new().min_version(TlsVersion::Tls12).max_version(TlsVersion::Tls13);
/// let no_alpn = TlsOptions::new().alpn::<String>([]);
/// // With rustls only.
/// let strict = TlsOptions::new()
///     .cipher_suites(["TLS13_AES_256_GCM_SHA384"])
///     .key_exchange_groups(["x25519"])
///     .key_log();
/// ```
impl TlsOptions {
    /// The oldest version to speak.
    ///
    /// Default: [`TlsVersion::Tls12`].
    #[doc(alias = "ssl_version")]
    pub fn min_version(self, version: TlsVersion) -> Self {
        self.with(|tls| tls.min_version = Some(version))
    }

    /// The newest version to speak.
    ///
    /// Default: the newest that the backend has.
    #[doc(alias = "ssl_version")]
    pub fn max_version(self, version: TlsVersion) -> Self {
        self.with(|tls| tls.max_version = Some(version))
    }

    /// The application protocols to offer (ALPN, RFC 7301), best first; an empty list offers none. A server that picks
    /// something else is refused. One that picks nothing is not: many do not know ALPN.
    ///
    /// Default: `http/1.1`, so that a server that also speaks HTTP/2 does not choose that.
    pub fn alpn<P: Into<String>>(self, protocols: impl IntoIterator<Item = P>) -> Self {
        let protocols = protocols.into_iter().map(Into::into).collect();
        self.with(|tls| tls.alpn = Some(protocols))
    }

    /// The cipher suites to offer, best first, by their IANA names, such as `TLS13_AES_128_GCM_SHA256` or
    /// `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`; those of TLS 1.3 with or without the `13`. Rustls only.
    ///
    /// Default: those of rustls.
    #[doc(alias = "ciphers")]
    pub fn cipher_suites<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.with(|tls| tls.cipher_suites = names)
    }

    /// The groups to offer for the exchange of keys, best first, by their IANA names: `x25519`, `secp256r1`, `secp384r1`.
    /// Rustls only.
    ///
    /// Default: those three, in this order.
    #[doc(alias = "ecdh_curve")]
    pub fn key_exchange_groups<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.with(|tls| tls.key_exchange_groups = names)
    }

    /// Writes the keys of each session to the file that the environment's variable `SSLKEYLOGFILE` names, for Wireshark and
    /// the like to decrypt what was recorded; nothing if there is no such variable, or it is empty. Rustls only.
    ///
    /// With that file everything that was sent can be decrypted. So the variable alone does nothing, unlike in Python: the program
    /// has to allow it.
    ///
    /// Default: no keys are written.
    #[doc(alias = "SSLKEYLOGFILE")]
    pub fn key_log(self) -> Self {
        self.with(|tls| tls.key_log = true)
    }
}
