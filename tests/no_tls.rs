//! A build without a TLS library: `wss://` is an error that says what is missing, before anyone is bothered.

#![cfg(not(any(feature = "native-tls", feature = "rustls")))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::net::TcpListener;

use websocket_sync::{ConnectOptions, Error, TlsBackend, TlsOptions};

#[test]
fn wss_is_an_error_that_names_the_features() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for backend in [None, Some(TlsBackend::NativeTls), Some(TlsBackend::Rustls)] {
        let tls = backend.map_or_else(TlsOptions::new, |backend| TlsOptions::new().backend(backend));
        let options = ConnectOptions::new().tls(tls);
        let Err(Error::Options(error)) = options.connect(&format!("wss://{address}/")) else { panic!() };
        assert!(error.to_string().contains("`native-tls` or `rustls`"), "{error}");
        let proxied = options.proxy(format!("https://{address}")).connect("ws://server.example/");
        let Err(Error::Options(error)) = proxied else { panic!("{proxied:?}") };
        assert!(error.to_string().contains("`native-tls` or `rustls`"), "{error}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody was asked");
}
