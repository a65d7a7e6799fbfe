//! What is ready for rustls.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use super::{Connector, TlsOptions};

/// Feature `rustls`.
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
