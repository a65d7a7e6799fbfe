//! wss, from outside, on each backend.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[macro_use]
#[path = "../support/backends.rs"]
mod backends;
mod failures;
#[cfg(unix)]
mod files;
mod identity;
mod negotiation;
mod sessions;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/tls_peer.rs"]
mod tls_peer;
#[path = "../support/tls_websocket.rs"]
mod tls_websocket;
mod trust;

use std::env;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ProtocolVersion, ServerConfig, ServerConnection};
use websocket_sync::{ConnectOptions, Error, TlsBackend, TlsErrorKind, TlsOptions, WebSocket};

use tls_peer::{Authority, accept};
use tls_websocket::TlsWebSocket;

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// What a server came to know of its client.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The name that it was called by (SNI).
    pub(crate) name: Option<String>,
    pub(crate) alpn: Option<Vec<u8>>,
    pub(crate) version: Option<ProtocolVersion>,
    #[cfg(feature = "rustls")]
    pub(crate) group: Option<String>,
    /// The client's certificate, in DER form.
    pub(crate) certificate: Option<Vec<u8>>,
}

impl Seen {
    fn of(connection: &ServerConnection) -> Self {
        Self {
            name: connection.server_name().map(str::to_owned),
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            version: connection.protocol_version(),
            #[cfg(feature = "rustls")]
            group: connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
            certificate: connection.peer_certificates().map(|chain| chain[0].to_vec()),
        }
    }
}

/// Serves one connection on a thread of its own.
pub(crate) fn serve<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (String, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        serve(socket)
    });
    (url, server)
}

/// A server whose TLS and WebSocket are not this crate's. Says how the TLS handshake went.
pub(crate) fn serve_websocket(
    config: Arc<ServerConfig>,
    session: impl FnOnce(TlsWebSocket) + Send + 'static,
) -> (String, JoinHandle<Result<Seen, String>>) {
    serve(move |socket| {
        let tls = accept(config, socket).map_err(|error| error.to_string())?;
        let seen = Seen::of(&tls.conn);
        // A client that is not satisfied with the server says nothing more.
        if let Ok(ws) = TlsWebSocket::accept(tls) {
            session(ws);
        }
        Ok(seen)
    })
}

/// Localhost is 127.0.0.1 only, so that no attempt goes astray.
pub(crate) fn options(tls: TlsOptions) -> ConnectOptions {
    let options = ConnectOptions::new().tls(tls).timeout(LONG);
    options.resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]))
}

pub(crate) fn trusting(tls: &TlsOptions, authority: &Authority) -> ConnectOptions {
    options(tls.clone().ca_certs_pem(&authority.pem))
}

/// A server with this configuration that echoes, and what a client with these options comes to with it.
pub(crate) fn meet(config: ServerConfig, tls: TlsOptions) -> (websocket_sync::Result<WebSocket>, Result<Seen, String>) {
    let (url, server) = serve_websocket(Arc::new(config), TlsWebSocket::echo);
    let result = options(tls).connect(&url).and_then(|mut ws| {
        ws.send_text("both ways")?;
        assert_eq!(ws.recv()?.as_bytes(), b"both ways");
        ws.send_close(websocket_sync::CloseCode::NORMAL, "")?;
        Ok(ws)
    });
    (result, server.join().unwrap())
}

/// The kind of a failure that has to be one of TLS.
#[track_caller]
pub(crate) fn kind(result: websocket_sync::Result<WebSocket>) -> TlsErrorKind {
    match result {
        Err(Error::Tls(error)) => error.kind,
        other => panic!("{other:?}"),
    }
}

/// The option that is refused, and why.
#[track_caller]
pub(crate) fn refused(tls: TlsOptions) -> (&'static str, String) {
    match options(tls).connect("wss://localhost:9/") {
        Err(Error::Options(error)) => (error.option, error.problem),
        other => panic!("{other:?}"),
    }
}

/// The module that `on_each_backend` makes for this backend.
pub(crate) fn module(tls: &TlsOptions) -> &'static str {
    if format!("{tls:?}").contains("backend: NativeTls") { "on_native_tls" } else { "on_rustls" }
}

/// Runs a test again in a process with this environment.
pub(crate) fn again_with(test: &str, variable: &str, value: &std::ffi::OsStr, part: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(variable, value)
        .env(PART, part)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// Names what is to be done to a process that [`again_with`] started.
pub(crate) const PART: &str = "WEBSOCKET_SYNC_TEST_PART";

/// A directory of this test's own, which is empty.
pub(crate) fn directory(name: &str) -> std::path::PathBuf {
    let path = env::temp_dir().join(format!("websocket-sync-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir(&path).unwrap();
    path
}
