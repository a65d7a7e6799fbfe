//! What is known of a TLS session.

use super::Tls;
use crate::net::stream::Stream;
use crate::options::TlsVersion;

/// Each is that of the outermost layer: TLS with the server, not with a proxy. `None` without TLS, and for what the library
/// does not tell.
impl Stream {
    /// The peer's certificate, in DER form.
    pub(crate) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.tls()?.session().engine.peer_certificate()
    }

    /// The application protocol that was agreed upon.
    pub(crate) fn alpn(&self) -> Option<String> {
        let protocol = self.tls()?.session().engine.alpn()?;
        String::from_utf8(protocol).ok()
    }

    /// The version that was agreed upon.
    pub(crate) fn tls_version(&self) -> Option<TlsVersion> {
        self.tls()?.session().engine.version()
    }

    /// The cipher suite that was agreed upon, by its IANA name.
    pub(crate) fn cipher_suite(&self) -> Option<String> {
        self.tls()?.session().engine.cipher_suite()
    }

    const fn tls(&self) -> Option<&Tls> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::Plain(_) => None,
        }
    }
}
