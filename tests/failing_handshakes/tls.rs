//! Servers that TLS is not spoken with.

use crate::*;

/// TLS that does not come about.
pub(crate) fn tls() -> Vec<Kind> {
    backends::backends().into_iter().flat_map(on).collect()
}

/// With a backend.
fn on(backend: TlsOptions) -> Vec<Kind> {
    let (authority, other) = (Authority::new(), Authority::new());
    let trusting = || ConnectOptions::new().tls(backend.clone().ca_certs_pem(&authority.pem));
    let is_tls = |error: &Error| matches!(error, Error::Tls(_));
    let is_lost = |error: &Error| matches!(error, Error::Tls(_) | Error::Io { phase: Phase::Tls, .. });
    let mut kinds = Vec::new();
    for version in VERSIONS {
        let leaves = [
            ("another name", authority.leaf("other.example", Validity::Now)),
            ("expired", authority.leaf("127.0.0.1", Validity::Over)),
            ("a stranger", other.leaf("127.0.0.1", Validity::Now)),
        ];
        for (name, leaf) in leaves {
            let server = speaking(leaf.server(version), |_| {});
            kinds.push(Kind::at(format!("{name}, {version:?}"), server, "wss", trusting(), is_tls));
        }
    }
    let garbage: [(&str, &[u8]); 6] = [
        ("HTTP in place of TLS", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("no version in common", b"\x15\x03\x03\x00\x02\x02\x46"),
        ("a record that is cut", b"\x16\x03\x03\x40\x00\x02\x00"),
        ("a record that is none", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("nothing", b""),
    ];
    for (name, bytes) in garbage {
        let server = Server::new(move |mut stream| {
            skip_client_hello(&mut stream);
            let _ = stream.write_all(bytes);
        });
        kinds.push(Kind::at(name, server, "wss", trusting(), is_lost));
    }
    let reset = Server::new(|mut stream| {
        skip_client_hello(&mut stream);
        Peer::new(stream).reset();
    });
    kinds.push(Kind::at("a reset instead of TLS", reset, "wss", trusting(), is_lost));
    let silent = Server::silent();
    kinds.push(Kind::at("silence instead of TLS", silent, "wss", trusting().open_timeout(SHORT), is_timeout));
    let config = authority.server("127.0.0.1");
    let refusing = speaking(Arc::clone(&config), |tls| {
        let _ = tls.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    });
    let is_403 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 403);
    kinds.push(Kind::at("a refusal over TLS", refusing, "wss", trusting(), is_403));
    let leaving = speaking(config, |_| {});
    let is_gone = |error: &Error| matches!(error, Error::Handshake(_) | Error::Io { phase: Phase::Handshake, .. });
    kinds.push(Kind::at("the end after TLS", leaving, "wss", trusting(), is_gone));
    kinds
}

/// Speaks TLS, hears a request, does this and sends close_notify.
pub(crate) fn speaking(config: Arc<ServerConfig>, then: fn(&mut tls_peer::Peer<TcpStream>)) -> Server {
    Server::new(move |stream| {
        let Ok(mut tls) = tls_peer::accept(Arc::clone(&config), stream) else { return };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 4096];
            match tls.read(&mut piece) {
                Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
        then(&mut tls);
        tls_peer::send_close_notify(&mut tls);
    })
}

/// Reads the client's first record, since a socket that is closed unread resets the connection.
pub(crate) fn skip_client_hello(stream: &mut TcpStream) {
    let mut header = [0; 5];
    let mut rest = Vec::new();
    if stream.read_exact(&mut header).is_ok() {
        let length = u16::from_be_bytes([header[3], header[4]]);
        let _ = stream.take(length.into()).read_to_end(&mut rest);
    }
}
