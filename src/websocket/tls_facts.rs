//! What is known of the TLS session beneath a connection.

use super::WebSocket;
use crate::net::Stream;
use crate::options::TlsVersion;

/// What is known of TLS. All of it is `None` without TLS and while there is no connection.
///
/// ```no_run
/// let ws = websocket_sync::create_connection("wss://echo.example/")?;
/// if let Some(certificate) = ws.peer_certificate() {
///     println!("{} bytes of DER over {:?}", certificate.len(), ws.tls_version());
/// }
/// # Ok::<(), websocket_sync::Error>(())
/// ```
impl WebSocket {
    /// The peer's certificate, in DER form (RFC 5280). A client that showed none has none.
    #[doc(alias = "getpeercert")]
    pub fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.stream()?.peer_certificate()
    }

    /// The version of TLS that was agreed upon; native-tls does not tell.
    pub fn tls_version(&self) -> Option<TlsVersion> {
        self.stream()?.tls_version()
    }

    /// The cipher suite that was agreed upon, by its IANA name; native-tls does not tell.
    #[doc(alias = "cipher")]
    pub fn tls_cipher_suite(&self) -> Option<String> {
        self.stream()?.cipher_suite()
    }

    /// The application protocol that was agreed upon (ALPN, RFC 7301); `None` also when the server picked none. See
    /// [`TlsOptions::alpn`](crate::TlsOptions::alpn).
    #[doc(alias = "selected_alpn_protocol")]
    pub fn alpn(&self) -> Option<String> {
        self.stream()?.alpn()
    }

    fn stream(&self) -> Option<&Stream> {
        self.connection.as_ref().map(|connection| &connection.shared.stream)
    }
}
