//! The second library: rustls, by its unbuffered interface, which decrypts where the bytes lie.

mod config;
mod connection;
mod error;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::{ClientConfig, ServerConfig};

pub(super) use self::config::client_config;

use self::connection::RustlsConnection;
use self::session::RustlsSession;
use super::engine::{Handshake, HandshakeFailure, HandshakeStep};
use super::pipe::Pipe;
use super::refuse;

/// Begins a handshake as a client.
pub(super) fn connect(config: &Arc<ClientConfig>, name: &str, pipe: Pipe) -> HandshakeStep {
    let Ok(server) = ServerName::try_from(name.to_owned()) else {
        let error = refuse("server_hostname", format!("{name:?} is no name that a certificate can be for"));
        return HandshakeStep::Failed(HandshakeFailure::Options(error));
    };
    match UnbufferedClientConnection::new(Arc::clone(config), server) {
        Ok(connection) => begin(RustlsConnection::Client(connection), pipe),
        Err(error) => HandshakeStep::Failed(error.into()),
    }
}

/// Begins a handshake as a server.
pub(super) fn accept(config: &Arc<ServerConfig>, pipe: Pipe) -> HandshakeStep {
    match UnbufferedServerConnection::new(without_early_data(config)) {
        Ok(connection) => begin(RustlsConnection::Server(connection), pipe),
        Err(error) => HandshakeStep::Failed(error.into()),
    }
}

/// What comes before the handshake has ended can be repeated by others (RFC 8446, section 8).
fn without_early_data(config: &Arc<ServerConfig>) -> Arc<ServerConfig> {
    if config.max_early_data_size == 0 {
        return Arc::clone(config);
    }
    let mut config = ServerConfig::clone(config);
    config.max_early_data_size = 0;
    Arc::new(config)
}

fn begin(connection: RustlsConnection, pipe: Pipe) -> HandshakeStep {
    Box::new(RustlsSession::new(connection, pipe)).advance()
}
