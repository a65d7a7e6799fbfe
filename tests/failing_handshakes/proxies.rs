//! Proxies that do not make a connection, and servers behind them that do not open a WebSocket.

use websocket_sync::{Proxy, ProxyError};

use crate::*;

/// What is answered, each time that something is heard.
type Answers = &'static [&'static [u8]];
type IsProblem = fn(&ProxyError) -> bool;

/// Through a server that is taken for a proxy.
fn through(
    name: impl Into<String>,
    proxy: Server,
    scheme: &str,
    options: ConnectOptions,
    is_expected: impl Fn(&Error) -> bool + Send + 'static,
) -> Kind {
    let options = options.proxy(format!("{scheme}://user:password@{}", proxy.address));
    let attempt = move || options.connect("ws://192.0.2.1/").unwrap_err();
    Kind { _server: Some(proxy), ..Kind::new(name, attempt, is_expected) }
}

fn is_proxy(error: &Error) -> bool {
    matches!(error, Error::Proxy(_))
}

const TUNNEL: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// HTTP proxies.
pub(crate) fn http() -> Vec<Kind> {
    let table: [(Answers, IsProblem); 10] = [
        (&[b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno"], |error| matches!(error, ProxyError::Refused(_))),
        (&[b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n"], |error| matches!(error, ProxyError::Refused(_))),
        (
            &[b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nContent-Length: 0\r\n\r\n"],
            |error| matches!(error, ProxyError::Refused(_)),
        ),
        (&[b"HTTP/1.1 502 Bad Gateway\r\n\r\nuntil the end"], |error| matches!(error, ProxyError::Refused(_))),
        (&[b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Yes\r\n\r\n"], |error| matches!(error, ProxyError::EarlyBytes)),
        (&[b"HTTP/1.1 2oo OK\r\n\r\n"], |error| matches!(error, ProxyError::Http(_))),
        (&[b"SSH-2.0-OpenSSH_9.9\r\n\r\n"], |error| matches!(error, ProxyError::Http(_))),
        (&[b"HTTP/1.1 200 OK\r\nX: y\0z\r\n\r\n"], |error| matches!(error, ProxyError::Http(_))),
        (&[b"HTTP/1.1 200 O"], |error| matches!(error, ProxyError::Eof | ProxyError::Http(_))),
        (&[b""], |error| matches!(error, ProxyError::Eof)),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(answers, is_problem)| {
            let name = format!("proxy, {}", answers[0].escape_ascii());
            let is_expected = move |error: &Error| matches!(error, Error::Proxy(problem) if is_problem(problem));
            through(name, Server::scripted(answers), "http", ConnectOptions::new(), is_expected)
        })
        .collect();
    let large = format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(8000)).repeat(9));
    kinds.push(through("a large answer of a proxy", Server::answering(large), "http", ConnectOptions::new(), is_proxy));
    kinds.push(through("a silent proxy", Server::silent(), "http", short(), is_timeout));
    let refused: &[&[u8]] = &[TUNNEL, b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"];
    let is_403 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 403);
    kinds.push(through("a refusal behind a proxy", Server::scripted(refused), "http", ConnectOptions::new(), is_403));
    let lost: &[&[u8]] = &[TUNNEL, b""];
    let is_lost = |error: &Error| matches!(error, Error::Handshake(broken) if **broken == HandshakeError::Eof);
    kinds.push(through("the end behind a proxy", Server::scripted(lost), "http", ConnectOptions::new(), is_lost));
    let dead = Arc::new(refusing_address());
    for proxy in [
        Proxy::new(format!("http://{dead}")),
        Proxy::new(format!("socks5h://{dead}")),
        Proxy::new("ftp://proxy.example"),
        Proxy::new(format!("http://{dead}")).header("a b", "c"),
        Proxy::new(format!("http://{dead}")).credentials("a\n", "b"),
        Proxy::new(format!("socks5://{dead}")).credentials("a".repeat(256), "b"),
    ] {
        let name = format!("{proxy:?}");
        let options = ConnectOptions::new().proxy(proxy);
        let dead = Arc::clone(&dead);
        let attempt = move || {
            let _keep = &dead;
            options.connect("ws://192.0.2.1/").unwrap_err()
        };
        kinds.push(Kind::new(name, attempt, is_proxy));
    }
    kinds
}

/// SOCKS proxies.
pub(crate) fn socks() -> Vec<Kind> {
    let table: [(&str, Answers, IsProblem); 15] = [
        ("socks5", &[b"\x05\xff"], |error| matches!(error, ProxyError::Authentication)),
        ("socks5", &[b"\x05\x02", b"\x01\x01"], |error| matches!(error, ProxyError::Authentication)),
        ("socks5", &[b"\x05\x02", b"\x02\x00"], |error| matches!(error, ProxyError::SocksSyntax(_))),
        ("socks5", &[b"\x04\x00"], |error| matches!(error, ProxyError::SocksSyntax(_))),
        ("socks5", &[b"\x05\x07"], |error| matches!(error, ProxyError::SocksSyntax(_))),
        ("socks5", &[b""], |error| matches!(error, ProxyError::Eof)),
        ("socks5", &[b"\x05\x00", b"\x05"], |error| matches!(error, ProxyError::Eof)),
        ("socks5", &[b"\x05\x00", b"\x05\x02\x00\x01\0\0\0\0\0\0"], |error| {
            matches!(error, ProxyError::Socks { version: 5, code: 2 })
        }),
        ("socks5h", &[b"\x05\x00", b"\x05\x05\x00\x01\0\0\0\0\0\0"], |error| {
            matches!(error, ProxyError::Socks { version: 5, code: 5 })
        }),
        ("socks5", &[b"\x05\x00", b"\x05\x00\x00\x09\0\0\0\0\0\0"], |error| {
            matches!(error, ProxyError::SocksSyntax(_))
        }),
        ("socks5", &[b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0too early"], |error| {
            matches!(error, ProxyError::EarlyBytes)
        }),
        ("socks4", &[b"\0\x5b\0\0\0\0\0\0"], |error| matches!(error, ProxyError::Socks { version: 4, code: 91 })),
        ("socks4a", &[b"\0\x5d\0\0\0\0\0\0"], |error| matches!(error, ProxyError::Socks { version: 4, code: 93 })),
        ("socks4", &[b"\x05\x5a\0\0\0\0\0\0"], |error| matches!(error, ProxyError::SocksSyntax(_))),
        ("socks4a", &[b"\0"], |error| matches!(error, ProxyError::Eof)),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(scheme, answers, is_problem)| {
            let name = format!("{scheme}, {:?}", answers.concat().escape_ascii().to_string());
            let is_expected = move |error: &Error| matches!(error, Error::Proxy(problem) if is_problem(problem));
            let server = Server::scripted(answers);
            // Version 4 has no password.
            let userinfo = if scheme.starts_with("socks4") { "user" } else { "user:password" };
            let options = ConnectOptions::new().proxy(format!("{scheme}://{userinfo}@{}", server.address));
            let attempt = move || options.connect("ws://192.0.2.1/").unwrap_err();
            Kind { _server: Some(server), ..Kind::new(name, attempt, is_expected) }
        })
        .collect();
    kinds.push(through("a silent SOCKS proxy", Server::silent(), "socks5", short(), is_timeout));
    let established: &[&[u8]] = &[b"\x05\x00", b"\x05\x00\x00\x01\0\0\0\0\0\0", b"SSH-2.0-OpenSSH_9.9\r\n\r\n"];
    let is_not_http = |error: &Error| matches!(error, Error::Handshake(broken) if **broken == HandshakeError::NotHttp);
    let behind = Server::scripted(established);
    kinds.push(through("no HTTP behind a SOCKS proxy", behind, "socks5", ConnectOptions::new(), is_not_http));
    kinds
}

/// TLS with the proxy, and with the server behind it.
pub(crate) fn tls() -> Vec<Kind> {
    let mut kinds = Vec::new();
    for backend in backends::backends() {
        let (authority, other) = (Authority::new(), Authority::new());
        let name = |what: &str| format!("{what}, {backend:?}");
        let with = |scheme: &str, proxy: &Server, tls: TlsOptions| {
            ConnectOptions::new().proxy(Proxy::new(format!("{scheme}://{}", proxy.address)).tls(tls))
        };
        let kind = |name: String, server: Server, options: ConnectOptions, url: &'static str| {
            let attempt = move || options.connect(url).unwrap_err();
            let is_tls = |error: &Error| matches!(error, Error::Tls(_));
            Kind { _server: Some(server), ..Kind::new(name, attempt, is_tls) }
        };
        let stranger = tls::speaking(other.server("127.0.0.1"), |_| {});
        let options = with("https", &stranger, backend.clone().ca_certs_pem(&authority.pem));
        kinds.push(kind(name("a proxy that is a stranger"), stranger, options, "ws://192.0.2.1/"));
        let plain = Server::new(|mut stream| {
            tls::skip_client_hello(&mut stream);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        });
        let options = with("https", &plain, backend.clone());
        kinds.push(kind(name("a proxy without TLS"), plain, options, "ws://192.0.2.1/"));
        let config = other.server("192.0.2.1");
        let tunnel = Server::new(move |mut stream| {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(TUNNEL);
            drop(tls_peer::accept(Arc::clone(&config), stream));
        });
        let options = with("http", &tunnel, TlsOptions::new()).tls(backend.clone().ca_certs_pem(&authority.pem));
        kinds.push(kind(name("a stranger behind a proxy"), tunnel, options, "wss://192.0.2.1/"));
    }
    kinds
}
