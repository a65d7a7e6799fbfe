//! wss through proxies: the server's certificate counts, whatever is in between.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::ServerConfig;

use super::support::{bounded, join};
use super::tls_peer::{Authority, Validity, accept};
use super::*;
use websocket_sync::{TlsErrorKind, TlsOptions};

/// The head of a request, and not a byte more.
fn head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A server over TLS of another making that says hello; the head of the request that it got.
fn serve_tls(config: Arc<ServerConfig>, stream: impl Read + Write) -> Option<String> {
    let mut tls = accept(config, stream).ok()?;
    let head = head(&mut tls);
    tls.write_all(support::answer_to(&head).as_bytes()).unwrap();
    tls.write_all(&frame(0x81, "hello")).unwrap();
    tls.flush().unwrap();
    // The hello that comes back: two bytes, a mask, five letters.
    tls.read_exact(&mut [0; 11]).unwrap();
    Some(head)
}

/// Makes a tunnel to the server, which is here; what the proxy heard, and what the server did.
fn tunnel(config: Arc<ServerConfig>, mut stream: impl Read + Write) -> (String, Option<String>) {
    let asked = head(&mut stream);
    stream.write_all(ESTABLISHED.as_bytes()).unwrap();
    stream.flush().unwrap();
    (asked, serve_tls(config, stream))
}

fn trusting(tls: &TlsOptions, authority: &Authority) -> TlsOptions {
    tls.clone().ca_certs_pem(&authority.pem)
}

on_each_backend! {
    wss_through_a_tunnel_verifies_the_server
    wss_through_socks_verifies_the_server
    tls_to_the_proxy_has_the_servers_tls_inside
    ws_through_a_proxy_that_speaks_tls_is_encrypted_as_far_as_the_proxy
    a_proxy_that_is_not_trusted_hears_nothing
}

/// One layer of TLS inside the other, each of another backend.
#[cfg(all(feature = "native-tls", feature = "rustls"))]
#[test]
fn either_backend_carries_the_other() {
    for [to_proxy, to_server] in
        [[TlsBackend::NativeTls, TlsBackend::Rustls], [TlsBackend::Rustls, TlsBackend::NativeTls]]
    {
        let new = |backend| TlsOptions::new().backend(backend);
        bounded(30, move || two_layers(&new(to_proxy), &new(to_server)));
    }
}

fn wss_through_a_tunnel_verifies_the_server(tls: TlsOptions) {
    bounded(30, move || {
        let authority = Authority::new();
        for (name, is_right) in [("server.example", true), ("proxy.example", false)] {
            let server = authority.server(name);
            let (port, proxy) = proxy(move |listener| tunnel(server, socket(listener)));
            let via = at("http", port).credentials("user", "s3cret");
            let opened = options().tls(trusting(&tls, &authority)).proxy(via).connect("wss://server.example/");
            match opened {
                Ok(mut ws) => {
                    assert!(is_right && ws.is_ssl());
                    say_back(&mut ws);
                    let timings = ws.timings().unwrap();
                    assert!(timings.proxy.is_some() && timings.tls.is_some());
                }
                Err(Error::Tls(error)) => assert!(!is_right && error.host == "server.example", "{error:?}"),
                Err(other) => panic!("{other:?}"),
            }
            let (asked, heard) = join(proxy);
            assert!(
                asked.contains("CONNECT server.example:443 ") && asked.contains("Basic dXNlcjpzM2NyZXQ="),
                "{asked}"
            );
            assert!(heard.is_none_or(|heard| is_right && !heard.contains("uthorization")));
        }
    });
}

fn wss_through_socks_verifies_the_server(tls: TlsOptions) {
    bounded(30, move || {
        let authority = Authority::new();
        let table: [(&str, &[u8], &[u8]); 2] = [
            ("socks4a", b"\x04\x01\x01\xbb\0\0\0\x01\0server.example\0", b"\0\x5a\0\0\0\0\0\0"),
            ("socks5h", b"\x05\x01\0\x05\x01\0\x03\x0eserver.example\x01\xbb", b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
        ];
        for (scheme, hears, says) in table {
            for (name, is_right) in [("server.example", true), ("proxy.example", false)] {
                let server = authority.server(name);
                let (port, proxy) = proxy(move |listener| {
                    let mut stream = socket(listener);
                    // Said before it is asked for: a client waits for each answer and cannot tell.
                    stream.write_all(says).unwrap();
                    let mut heard = vec![0; hears.len()];
                    stream.read_exact(&mut heard).unwrap();
                    assert_eq!(heard, hears);
                    serve_tls(server, stream).is_some()
                });
                let options = options().tls(trusting(&tls, &authority)).proxy(at(scheme, port));
                match options.connect("wss://server.example/") {
                    Ok(mut ws) => say_back(&mut ws),
                    Err(Error::Tls(_)) => assert!(!is_right),
                    Err(other) => panic!("{other:?}"),
                }
                assert_eq!(join(proxy), is_right, "{scheme} {name}");
            }
        }
    });
}

fn tls_to_the_proxy_has_the_servers_tls_inside(tls: TlsOptions) {
    bounded(30, move || two_layers(&tls, &tls));
}

fn two_layers(to_proxy: &TlsOptions, to_server: &TlsOptions) {
    let (outer, inner) = (Authority::new(), Authority::new());
    let (proxy_config, server) = (outer.server("proxy.example"), inner.server("server.example"));
    let (port, proxy) = proxy(move |listener| tunnel(server, accept(proxy_config, socket(listener)).unwrap()));
    let via = at("https", port).tls(trusting(to_proxy, &outer)).credentials("user", "s3cret");
    let mut ws = options().tls(trusting(to_server, &inner)).proxy(via).connect("wss://server.example/").unwrap();
    assert!(ws.is_ssl() && ws.peer_certificate().is_some());
    say_back(&mut ws);
    let (asked, heard) = join(proxy);
    assert!(asked.contains("Basic dXNlcjpzM2NyZXQ="), "{asked}");
    assert!(!heard.unwrap().contains("uthorization"));
}

fn ws_through_a_proxy_that_speaks_tls_is_encrypted_as_far_as_the_proxy(tls: TlsOptions) {
    bounded(30, move || {
        let outer = Authority::new();
        let to_proxy = outer.server("proxy.example");
        let (port, proxy) = proxy(move |listener| {
            let mut tls = accept(to_proxy, socket(listener)).unwrap();
            head(&mut tls);
            tls.write_all(ESTABLISHED.as_bytes()).unwrap();
            let asked = head(&mut tls);
            tls.write_all(support::answer_to(&asked).as_bytes()).unwrap();
            tls.write_all(&frame(0x81, "hello")).unwrap();
            tls.read_exact(&mut [0; 11]).unwrap();
        });
        let via = at("https", port).tls(trusting(&tls, &outer));
        let mut ws = options().proxy(via).connect("ws://server.example/").unwrap();
        // From the proxy on, anybody can read it.
        assert!(!ws.is_ssl());
        assert_eq!(
            (ws.peer_certificate(), ws.tls_version(), ws.tls_cipher_suite(), ws.alpn()),
            (None, None, None, None)
        );
        say_back(&mut ws);
        join(proxy);
    });
}

fn a_proxy_that_is_not_trusted_hears_nothing(tls: TlsOptions) {
    bounded(30, move || {
        let (outer, other) = (Authority::new(), Authority::new());
        // Whom the server's options trust is another matter.
        for (name, trusted) in [("proxy.example", trusting(&tls, &other)), ("other.example", trusting(&tls, &outer))] {
            let to_proxy = outer.server(name);
            let (port, proxy) = proxy(move |listener| accept(to_proxy, socket(listener)).is_err());
            let options = options()
                .tls(trusting(&tls, &outer))
                .proxy(at("https", port).tls(trusted).credentials("user", "s3cret"));
            let error = options.connect("ws://server.example/").unwrap_err();
            assert!(matches!(&error, Error::Tls(inner) if inner.host == "proxy.example"), "{error:?}");
            assert!(join(proxy), "a handshake with {name}");
        }
    });
}

/// In TLS 1.3 it refuses the client when that takes the handshake for finished, before or after it gets the request.
#[test]
fn a_proxy_that_wants_a_certificate_is_heard() {
    bounded(30, || {
        let outer = Authority::new();
        let leaf = outer.leaf("proxy.example", Validity::Now);
        let to_proxy = Arc::new(leaf.config(&[&rustls::version::TLS13], Some(&outer)));
        for _ in 0..20 {
            let to_proxy = Arc::clone(&to_proxy);
            let (port, proxy) = proxy(move |listener| accept(to_proxy, socket(listener)).is_err());
            let via = at("https", port).tls(trusting(&TlsOptions::new(), &outer));
            let error = options().proxy(via).connect("ws://server.example/").unwrap_err();
            assert!(matches!(&error, Error::Tls(inner) if inner.kind == TlsErrorKind::Alert(116)), "{error:?}");
            assert!(join(proxy), "a handshake without a certificate");
        }
    });
}
