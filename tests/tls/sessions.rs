//! How it behaves, with peers that are good and others.

use std::error::Error as _;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{CloseCause, Error, Message, MessageRef, Phase, Retry, SystemRoots, TlsOptions, WebSocket};

use crate::tls_peer::{Authority, VERSIONS, Validity, send_close_notify};
use crate::tls_websocket::TlsWebSocket;
use crate::{LONG, options, serve, serve_websocket, trusting};

on_each_backend! {
    messages_come_back_over_tls_1_2_and_1_3
    both_roles_speak_tls
    servers_that_cannot_be_trusted_are_refused_with_an_error_that_helps
    a_trusted_authority_does_not_make_a_wrong_name_right_and_the_system_trusts_no_stranger
    each_connection_is_verified_anew
    silence_instead_of_a_handshake_ends_at_the_deadline
    an_end_without_a_close_frame_is_a_loss_with_and_without_close_notify
    both_directions_are_full_at_once_against_a_server_that_blocks_on_its_writes
    an_idle_connection_that_had_small_messages_holds_little_memory
    a_peer_that_asks_for_new_keys_without_end_and_does_not_listen_is_left
}

fn messages_come_back_over_tls_1_2_and_1_3(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    for version in VERSIONS {
        let (url, server) = serve_websocket(leaf.server(version), TlsWebSocket::echo);
        let mut ws = trusting(&tls, &authority).connect(&url).unwrap();
        assert!(ws.is_ssl());
        for size in [0, 1, 125, 126, 4096, 16_384, 65_536, 1 << 20] {
            let text = "x".repeat(size);
            ws.send_text(&text).unwrap();
            assert_eq!(ws.recv_ref().unwrap(), MessageRef::Text(&text));
        }
        ws.close().unwrap();
        assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
        server.join().unwrap().unwrap();
    }
}

fn both_roles_speak_tls(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    #[cfg(feature = "native-tls")]
    let serving = tls.clone().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv12));
    #[cfg(not(feature = "native-tls"))]
    let serving = tls.clone().rustls_server_config(leaf.server(&rustls::version::TLS12));
    let serving = options(serving);
    let (url, server) = serve(move |socket| {
        let mut ws = serving.accept(socket).unwrap();
        assert!(ws.is_ssl());
        let message = ws.recv().unwrap();
        ws.send(message.as_bytes(), websocket_sync::Opcode::Binary).unwrap();
        ws.recv().unwrap_err()
    });
    let mut ws = trusting(&tls, &authority).connect(&url).unwrap();
    ws.send_binary(&[7; 100_000]).unwrap();
    assert_eq!(ws.recv().unwrap(), Message::Binary(vec![7; 100_000]));
    ws.close().unwrap();
    assert!(server.join().unwrap().close_info().unwrap().is_clean());
}

fn servers_that_cannot_be_trusted_are_refused_with_an_error_that_helps(tls: TlsOptions) {
    let (authority, other) = (Authority::new(), Authority::new());
    let now = Validity::Now;
    let cases = [
        (authority.leaf("other.example", now), &authority, "the certificate is for another name"),
        (authority.leaf("localhost", Validity::Over), &authority, "the certificate has expired, or a clock is wrong"),
        (
            authority.leaf("localhost", now),
            &other,
            "the certificate's issuer is not trusted; TlsOptions::ca_certs names one",
        ),
    ];
    for version in VERSIONS {
        for (leaf, trusted, hint) in &cases {
            let (url, server) = serve_websocket(leaf.server(version), TlsWebSocket::echo);
            let error = trusting(&tls, trusted).connect(&url).unwrap_err();
            assert_eq!(error.to_string(), format!("TLS with \"localhost\" failed: {hint}"));
            assert!(matches!(error, Error::Tls(_)) && error.source().is_some() && error.retry() == Retry::Slowly);
            server.join().unwrap().unwrap_err();
        }
    }
}

fn a_trusted_authority_does_not_make_a_wrong_name_right_and_the_system_trusts_no_stranger(tls: TlsOptions) {
    let authority = Authority::new();
    for tls in [tls.clone(), tls.clone().system_roots(SystemRoots::Excluded)] {
        let (url, _server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
        assert!(matches!(options(tls).connect(&url), Err(Error::Tls(_))));
    }
    let strict = tls.ca_certs_pem(&authority.pem).system_roots(SystemRoots::Excluded);
    let (url, _server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    let right = options(strict.clone()).connect(&url).unwrap();
    right.close().unwrap();
    let (url, _server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    assert!(matches!(options(strict.server_hostname("other.example")).connect(&url), Err(Error::Tls(_))));
}

fn each_connection_is_verified_anew(tls: TlsOptions) {
    let (authority, other) = (Authority::new(), Authority::new());
    let options = trusting(&tls, &authority);
    let (url, _server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    let mut ws = options.connect(&url).unwrap();
    ws.close().unwrap();
    let (url, _server) = serve_websocket(other.server("localhost"), TlsWebSocket::echo);
    assert!(matches!(ws.connect(&url), Err(Error::Tls(_))));
    assert!(!ws.connected());
}

fn silence_instead_of_a_handshake_ends_at_the_deadline(tls: TlsOptions) {
    let (url, server) = serve(|mut socket| drop(socket.read_to_end(&mut Vec::new())));
    // To make a connector takes time too; these options have one then.
    let tls = tls.system_roots(SystemRoots::Excluded);
    options(tls.clone()).connect("wss://localhost:9/").unwrap_err();
    let start = Instant::now();
    let result = options(tls).open_timeout(Duration::from_millis(200)).connect(&url);
    assert!(matches!(result, Err(Error::Timeout(Phase::Tls))), "{result:?}");
    assert!((200..1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    server.join().unwrap();
}

fn an_end_without_a_close_frame_is_a_loss_with_and_without_close_notify(tls: TlsOptions) {
    for close_notify in [true, false] {
        let authority = Authority::new();
        let (url, _server) = serve_websocket(authority.server("localhost"), move |mut ws| {
            ws.send_text("whole");
            if close_notify {
                send_close_notify(&mut ws.tls());
            }
        });
        let mut ws = trusting(&tls, &authority).connect(&url).unwrap();
        assert_eq!(ws.recv().unwrap(), Message::from("whole"));
        let error = ws.recv().unwrap_err();
        assert!(matches!(error.close_info().unwrap().cause, CloseCause::Lost(_)), "{error}");
    }
}

fn both_directions_are_full_at_once_against_a_server_that_blocks_on_its_writes(tls: TlsOptions) {
    const MESSAGES: usize = 64;
    const SIZE: usize = 1 << 20;
    let authority = Authority::new();
    let (url, server) = serve_websocket(authority.server("localhost"), |mut ws| {
        for _ in 0..MESSAGES {
            ws.send_binary(&[7; SIZE]);
        }
        for _ in 0..MESSAGES {
            assert_eq!(ws.message().unwrap().1.len(), SIZE);
        }
        assert_eq!(ws.message(), None);
    });
    let mut ws = trusting(&tls, &authority).connect(&url).unwrap();
    let sender = ws.sender();
    let writer = thread::spawn(move || {
        for _ in 0..MESSAGES {
            sender.send_binary(&[9; SIZE]).unwrap();
        }
    });
    for _ in 0..MESSAGES {
        assert_eq!(ws.recv_ref().unwrap().as_bytes().len(), SIZE);
    }
    writer.join().unwrap();
    ws.close().unwrap();
    server.join().unwrap().unwrap();
}

fn an_idle_connection_that_had_small_messages_holds_little_memory(tls: TlsOptions) {
    let authority = Authority::new();
    let (url, _server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    let mut ws: WebSocket = trusting(&tls, &authority).connect(&url).unwrap();
    for i in 0..1000 {
        ws.send_text(&format!("message {i}")).unwrap();
        ws.recv_ref().unwrap();
    }
    assert!(ws.memory() <= 12 * 1024, "{}", ws.memory());
    ws.close().unwrap();
}

/// Each asks for an answer (RFC 8446, section 4.6.3); answers that nobody reads must not pile up.
fn a_peer_that_asks_for_new_keys_without_end_and_does_not_listen_is_left(tls: TlsOptions) {
    let authority = Authority::new();
    let (url, server) = serve_websocket(authority.server("localhost"), |ws| {
        let mut tls = ws.tls();
        for _ in 0..1_000_000 {
            if tls.conn.refresh_traffic_keys().is_err() || tls.flush().is_err() {
                return;
            }
        }
        panic!("nobody was bothered");
    });
    let tls = tls.ca_certs_pem(&authority.pem);
    let mut ws = options(tls).recv_timeout(LONG).connect(&url).unwrap();
    let Err(Error::Closed(info)) = ws.recv() else { panic!("it goes on") };
    assert_eq!(info.cause, CloseCause::Lost(std::io::ErrorKind::InvalidData));
    drop(ws);
    server.join().unwrap().unwrap();
}
