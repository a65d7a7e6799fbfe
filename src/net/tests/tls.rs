//! TLS against servers on threads of their own, which use the platform's library directly.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[cfg(feature = "native-tls")]
use native_tls::{Protocol, TlsConnector};
use rustls::ServerConfig;

#[cfg(feature = "native-tls")]
use super::backends::backends;
use super::tls_peer::{VERSIONS, accept, send_close_notify};
use super::{
    Authority, Validity, accept_tls, connect_tls, dial, long, patient, pattern, read_exact, serve, soon, tcp_pair,
};
use crate::error::{Error, Phase, Retry};
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::stream::Stream;
use crate::net::tls;
use crate::net::wait_mode::WaitLimit;
use crate::options::{ConnectOptions, SystemRoots, TlsOptions};
use crate::url::Target;

on_each_backend! {
    a_server_with_a_valid_certificate_is_spoken_with
    the_certificate_may_be_for_an_address_or_for_a_name_with_a_final_dot
    certificates_that_are_not_good_are_refused_with_a_hint_and_the_server_is_told
    an_authority_of_ones_own_relaxes_nothing_else_and_can_be_the_only_one
    a_file_may_hold_several_authorities_and_is_read_when_connecting
    what_is_no_certificate_is_an_error_of_the_options
    each_danger_is_accepted_by_its_own_switch
    the_name_to_expect_can_be_given
    a_server_that_does_not_speak_tls_is_told_apart
    a_connection_lost_in_the_handshake_is_no_verdict_of_tls
    the_handshake_ends_at_its_deadline_against_silence_and_against_a_trickle
    a_read_that_times_out_loses_nothing
    the_end_of_the_stream_is_told_with_and_without_close_notify
    shutting_down_sends_close_notify_and_ends_what_is_sent_but_not_what_is_received
    what_did_not_fit_a_read_is_known_to_be_at_hand
    a_layer_can_stand_on_another
    both_roles_are_played
}

/// A server that sends back what it gets. It says how the handshake went.
fn echo_server(config: Arc<ServerConfig>) -> (u16, JoinHandle<Result<(), String>>) {
    serve(move |socket| {
        let mut tls = accept(config, socket).map_err(|error| error.to_string())?;
        let mut buf = [0; 4096];
        loop {
            match tls.read(&mut buf) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(n) => tls.write_all(&buf[..n]).map_err(|error| error.to_string())?,
            }
        }
    })
}

fn dial_tls(host: &str, port: u16, tls: TlsOptions) -> crate::Result<Stream> {
    let target = Target::parse(&format!("wss://{host}:{port}/")).unwrap();
    let options = ConnectOptions::new().tls(tls).resolver(|_, port| Ok(vec![([127, 0, 0, 1], port).into()]));
    Ok(dial(&target, &options, long())?.0)
}

fn assert_echoes(stream: &Stream) {
    let message = pattern(100_000);
    thread::scope(|scope| {
        scope.spawn(|| stream.write_all(&message, patient()).unwrap());
        assert!(read_exact(stream, message.len()) == message);
    });
}

fn a_server_with_a_valid_certificate_is_spoken_with(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    for version in VERSIONS {
        let (port, server) = echo_server(leaf.server(version));
        let stream = dial_tls("localhost", port, tls.clone().ca_certs_pem(&authority.pem)).unwrap();
        assert!(stream.is_tls());
        assert_eq!(stream.peer_addr().unwrap().port(), port);
        assert_echoes(&stream);
        drop(stream);
        server.join().unwrap().unwrap();
    }
}

fn the_certificate_may_be_for_an_address_or_for_a_name_with_a_final_dot(tls: TlsOptions) {
    let authority = Authority::new();
    for (host, name) in [("127.0.0.1", "127.0.0.1"), ("server.example.", "server.example")] {
        let (port, _server) = echo_server(authority.server(name));
        let stream = dial_tls(host, port, tls.clone().ca_certs_pem(&authority.pem)).unwrap();
        assert_echoes(&stream);
    }
}

fn certificates_that_are_not_good_are_refused_with_a_hint_and_the_server_is_told(tls: TlsOptions) {
    let (authority, other) = (Authority::new(), Authority::new());
    let now = Validity::Now;
    let cases = [
        (authority.leaf("other.example", now), &authority, "the certificate is for another name"),
        (authority.leaf("127.0.0.2", now), &authority, "the certificate is for another name"),
        (authority.leaf("localhost", Validity::Over), &authority, "the certificate has expired"),
        (authority.leaf("localhost", now), &other, "the certificate's issuer is not trusted"),
    ];
    for version in VERSIONS {
        for (leaf, trusted, hint) in &cases {
            let (port, server) = echo_server(leaf.server(version));
            let error = dial_tls("localhost", port, tls.clone().ca_certs_pem(&trusted.pem)).unwrap_err();
            assert!(matches!(&error, Error::Tls(error) if error.host == "localhost"), "{error:?}");
            assert!(error.to_string().contains(hint), "{error}: {:?}", std::error::Error::source(&error));
            assert_eq!(error.retry(), Retry::Slowly);
            let told = server.join().unwrap().unwrap_err();
            assert!(told.contains("alert"), "{told}");
        }
    }
}

fn an_authority_of_ones_own_relaxes_nothing_else_and_can_be_the_only_one(tls: TlsOptions) {
    let authority = Authority::new();
    let only = tls.clone().system_roots(SystemRoots::Excluded);
    let (port, _server) = echo_server(authority.server("localhost"));
    let stream = dial_tls("localhost", port, only.clone().ca_certs_pem(&authority.pem)).unwrap();
    assert_echoes(&stream);
    for tls in [tls, only] {
        let (port, _server) = echo_server(authority.server("localhost"));
        assert!(matches!(dial_tls("localhost", port, tls), Err(Error::Tls(_))));
    }
}

fn a_file_may_hold_several_authorities_and_is_read_when_connecting(tls: TlsOptions) {
    let (first, second) = (Authority::new(), Authority::new());
    let path = std::env::temp_dir().join(format!("websocket-sync-{}-ca.pem", std::process::id()));
    let tls = tls.ca_certs(&path);
    let Err(Error::Options(error)) = dial_tls("localhost", 1, tls.clone()) else { panic!() };
    assert_eq!(error.option, "ca_certs");
    assert!(error.problem.contains("ca.pem"), "{error}");

    std::fs::write(&path, format!("{}\n# the second\n{}", first.pem, second.pem)).unwrap();
    for authority in [&first, &second] {
        let (port, _server) = echo_server(authority.server("localhost"));
        assert_echoes(&dial_tls("localhost", port, tls.clone()).unwrap());
        // Read once: these options do not need the file any more.
        let _ = std::fs::remove_file(&path);
    }
}

fn what_is_no_certificate_is_an_error_of_the_options(tls: TlsOptions) {
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "no certificate", damaged] {
        let error = dial_tls("localhost", 1, tls.clone().ca_certs_pem(pem)).unwrap_err();
        assert!(matches!(&error, Error::Options(error) if error.option == "ca_certs_pem"), "{error:?}");
    }
}

fn each_danger_is_accepted_by_its_own_switch(tls: TlsOptions) {
    let (authority, other) = (Authority::new(), Authority::new());
    let trusted = || tls.clone().ca_certs_pem(&authority.pem);
    let (port, _server) = echo_server(authority.server("other.example"));
    assert_echoes(&dial_tls("localhost", port, trusted().danger_accept_invalid_hostnames()).unwrap());
    let (port, _server) = echo_server(other.server("localhost"));
    let refused = dial_tls("localhost", port, trusted().danger_accept_invalid_hostnames());
    assert!(matches!(refused, Err(Error::Tls(_))));
    let expired = other.leaf("localhost", Validity::Over);
    let (port, _server) = echo_server(expired.server(&rustls::version::TLS13));
    assert_echoes(&dial_tls("localhost", port, trusted().danger_accept_invalid_certs()).unwrap());
}

fn the_name_to_expect_can_be_given(tls: TlsOptions) {
    let authority = Authority::new();
    let (port, _server) = echo_server(authority.server("other.example"));
    let tls = tls.ca_certs_pem(&authority.pem).server_hostname("other.example");
    assert_echoes(&dial_tls("localhost", port, tls).unwrap());
}

#[cfg(feature = "native-tls")]
#[test]
fn a_ready_connector_is_used_as_it_is() {
    let authority = Authority::new();
    let certificate = native_tls::Certificate::from_pem(authority.pem.as_bytes()).unwrap();
    let ready = TlsConnector::builder().add_root_certificate(certificate).build().unwrap();
    let (port, _server) = echo_server(authority.server("localhost"));
    assert_echoes(&dial_tls("localhost", port, TlsOptions::new().connector(ready)).unwrap());
}

/// Rustls cannot speak them at all; only OpenSSL can be a server that does.
#[cfg(feature = "native-tls")]
#[test]
fn versions_before_1_2_are_refused() {
    backends().into_iter().for_each(refuse_versions_before_1_2);
}

#[cfg(feature = "native-tls")]
fn refuse_versions_before_1_2(tls: TlsOptions) {
    let leaf = Authority::new().leaf("localhost", Validity::Now);
    let acceptor = leaf.acceptor(Protocol::Tlsv11);
    let (port, _server) = serve(move |socket| drop(acceptor.accept(socket)));
    let tls = tls.danger_accept_invalid_certs();
    assert!(matches!(dial_tls("localhost", port, tls), Err(Error::Tls(_))));
}

fn a_server_that_does_not_speak_tls_is_told_apart(tls: TlsOptions) {
    let (port, _server) = serve(|mut socket| {
        let _ = socket.read(&mut [0; 4096]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let error = dial_tls("localhost", port, tls).unwrap_err();
    assert!(error.to_string().ends_with("the server does not speak TLS on this port"), "{error}");
}

fn a_connection_lost_in_the_handshake_is_no_verdict_of_tls(tls: TlsOptions) {
    let (port, _server) = serve(|mut socket| drop(socket.read(&mut [0; 4096])));
    let error = dial_tls("localhost", port, tls).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.is_retryable(), "{error:?}");
}

/// Measures one handshake of 150 ms with a server that does as it is told.
fn assert_times_out(tls: &TlsOptions, server: impl FnOnce(TcpStream) + Send + 'static) {
    let (stream, theirs) = tcp_pair();
    let server = thread::spawn(move || server(theirs));
    let start = Instant::now();
    let result = connect_tls(stream, tls, "localhost", soon(150));
    assert!(matches!(result, Err(Error::Timeout(Phase::Tls))), "{result:?}");
    assert!((150..1000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    server.join().unwrap();
}

fn the_handshake_ends_at_its_deadline_against_silence_and_against_a_trickle(tls: TlsOptions) {
    // To make a connector takes time too.
    let tls = tls.system_roots(SystemRoots::Excluded);
    tls::prepare(&tls, WaitLimit { deadline: long(), cancellation: None }).unwrap();
    assert_times_out(&tls, |mut socket| drop(io::copy(&mut socket, &mut io::sink())));
    assert_times_out(&tls, |mut socket| {
        // The head of a handshake record of 16 KiB, and then a byte at a time.
        let mut bytes = [22, 3, 3, 64, 0].into_iter().chain(std::iter::repeat(2));
        while socket.write_all(&[bytes.next().unwrap()]).is_ok() {
            thread::sleep(Duration::from_millis(5));
        }
    });
}

fn a_read_that_times_out_loses_nothing(tls: TlsOptions) {
    let authority = Authority::new();
    let config = authority.server("localhost");
    let (stream, theirs) = tcp_pair();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let mut tls = accept(config, theirs).unwrap();
        gone.recv().unwrap();
        tls.write_all(b"late").unwrap();
        tls
    });
    let stream = connect_tls(stream, &tls.ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    for _ in 0..3 {
        let error = stream.read(&mut [0; 16], soon(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    go.send(()).unwrap();
    assert_eq!(read_exact(&stream, 4), b"late");
    drop(server.join().unwrap());
}

fn the_end_of_the_stream_is_told_with_and_without_close_notify(tls: TlsOptions) {
    for close_notify in [true, false] {
        let authority = Authority::new();
        let config = authority.server("localhost");
        let (port, _server) = serve(move |socket| {
            let mut tls = accept(config, socket).unwrap();
            tls.write_all(b"last words").unwrap();
            if close_notify {
                send_close_notify(&mut tls);
            }
            tls.sock.shutdown(Shutdown::Write).unwrap();
            let _ = io::copy(&mut tls.sock, &mut io::sink());
        });
        let stream = dial_tls("localhost", port, tls.clone().ca_certs_pem(&authority.pem)).unwrap();
        assert_eq!(read_exact(&stream, 10), b"last words");
        for _ in 0..2 {
            assert_eq!(stream.read(&mut [0; 16], long()).unwrap(), 0);
        }
    }
}

fn shutting_down_sends_close_notify_and_ends_what_is_sent_but_not_what_is_received(tls: TlsOptions) {
    let authority = Authority::new();
    let config = authority.server("localhost");
    let (port, server) = serve(move |socket| {
        let mut tls = accept(config, socket).unwrap();
        let mut all = Vec::new();
        // Fails for an end without close_notify.
        tls.read_to_end(&mut all).unwrap();
        tls.write_all(b"answer").unwrap();
        all
    });
    let stream = dial_tls("localhost", port, tls.ca_certs_pem(&authority.pem)).unwrap();
    stream.write_all(b"question", patient()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.shutdown(Shutdown::Write);
    let failed = stream.write_all(b"more", patient()).unwrap_err();
    assert_eq!((failed.error.kind(), failed.taken != 0), (io::ErrorKind::BrokenPipe, false));
    assert_eq!(stream.try_write(b"more").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(read_exact(&stream, 6), b"answer");
    assert_eq!(server.join().unwrap(), b"question");
}

fn what_did_not_fit_a_read_is_known_to_be_at_hand(tls: TlsOptions) {
    let authority = Authority::new();
    let config = authority.server("localhost");
    let (port, _server) = serve(move |socket| {
        let mut tls = accept(config, socket).unwrap();
        tls.write_all(&pattern(10_000)).unwrap();
        tls.read_exact(&mut [0; 1]).unwrap();
    });
    let stream = dial_tls("localhost", port, tls.ca_certs_pem(&authority.pem)).unwrap();
    assert!(!stream.has_input());
    for left in (0..10).rev() {
        assert_eq!(read_exact(&stream, 1000).len(), 1000);
        assert_eq!(stream.has_input(), left > 0);
    }
    stream.write_all(b"x", patient()).unwrap();
}

fn a_layer_can_stand_on_another(tls: TlsOptions) {
    let (outer, inner) = (Authority::new(), Authority::new());
    let configs = (outer.server("proxy.example"), inner.server("server.example"));
    let (port, server) = serve(move |socket| {
        let tls = accept(configs.0, socket).unwrap();
        let mut tls = accept(configs.1, tls).unwrap();
        let mut buf = vec![0; 300_000];
        tls.read_exact(&mut buf).unwrap();
        tls.write_all(&buf).unwrap();
        tls
    });
    let proxy = dial_tls("proxy.example", port, tls.clone().ca_certs_pem(&outer.pem)).unwrap();
    let stream = connect_tls(proxy, &tls.ca_certs_pem(&inner.pem), "server.example", long()).unwrap();
    let message = pattern(300_000);
    stream.write_all(&message, patient()).unwrap();
    assert!(read_exact(&stream, message.len()) == message);
    drop(server.join().unwrap());
    let _ = stream.shutdown(Shutdown::Both);
    assert_eq!(stream.read(&mut [0; 8], long()).unwrap(), 0);
}

#[cfg(any(feature = "native-tls", feature = "rustls"))]
fn both_roles_are_played(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    #[cfg(feature = "native-tls")]
    let serving = TlsOptions::new().acceptor(leaf.acceptor(Protocol::Tlsv13));
    #[cfg(not(feature = "native-tls"))]
    let serving = TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS13));
    let (ours, theirs) = tcp_pair();
    let theirs = Stream::from(<Box<dyn crate::Transport>>::from(theirs));
    let server = thread::spawn(move || {
        let stream = accept_tls(theirs, &serving, long()).unwrap();
        assert_eq!(read_exact(&stream, 4), b"ping");
        stream.write_all(b"pong", patient()).unwrap();
        stream
    });
    let stream = connect_tls(ours, &tls.ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    stream.write_all(b"ping", patient()).unwrap();
    assert_eq!(read_exact(&stream, 4), b"pong");
    drop(server.join().unwrap());
}

#[test]
fn a_connector_is_made_once_for_the_process_and_once_for_each_set_of_options() {
    let (stream, theirs) = tcp_pair();
    drop(theirs);
    let tls = TlsOptions::new().ca_certs_pem(Authority::new().pem);
    assert!(tls.built.as_ref().unwrap().get().is_none());
    let _ = connect_tls(stream, &tls, "localhost", Deadline::NEVER);
    assert!(tls.built.as_ref().unwrap().get().is_some());
    assert!(TlsOptions::new().built.is_none());
}
