//! Handshakes that fail: what a failure comes to, and whether it is worth another attempt, does not depend on the TLS library.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use websocket_sync::{Error, HandshakeError, Phase, Retry, TlsErrorKind, TlsOptions};

use crate::tls_peer::{Authority, VERSIONS, Validity, accept, send_close_notify};
use crate::tls_websocket::TlsWebSocket;
use crate::{options, serve};

on_each_backend! {
    each_way_to_fail_comes_to_the_same_with_each_library
    what_fails_after_the_handshake_comes_to_the_same_with_each_library
    a_warning_is_no_failure
}

/// What the server says in place of its side of the handshake, before it hangs up.
const HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
const SSH: &[u8] = b"SSH-2.0-OpenSSH_9.2\r\n";
const SMTP: &[u8] = b"220 mail.example ESMTP\r\n";

/// What a failure comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Tls(TlsErrorKind),
    /// The connection was lost in the phase of TLS.
    Lost,
}

fn each_way_to_fail_comes_to_the_same_with_each_library(tls: TlsOptions) {
    use Outcome::{Lost, Tls};
    use TlsErrorKind::{Alert, ApplicationProtocol, NotTls, Other, ProtocolVersion};

    let alert = |level: u8, number: u8| vec![21, 3, 3, 0, 2, level, number];
    // A ServerHello of this version, without extensions.
    let hello = |minor: u8| {
        let mut body = vec![3, minor];
        body.extend([7; 32]);
        body.extend([0, 0x00, 0x2f, 0]);
        let mut bytes = vec![22, 3, minor, 0, body.len() as u8 + 4, 2, 0, 0, body.len() as u8];
        bytes.extend(body);
        bytes
    };
    let cases = [
        ("the end", vec![], Lost),
        ("the end in a record", hello(3)[..20].to_vec(), Lost),
        ("the end in a head", vec![22, 3], Lost),
        ("close_notify", alert(1, 0), Lost),
        ("user_canceled and close_notify", [alert(1, 90), alert(1, 0)].concat(), Lost),
        ("handshake_failure", alert(2, 40), Tls(Alert(40))),
        ("bad_certificate", alert(2, 42), Tls(Alert(42))),
        ("protocol_version", alert(2, 70), Tls(ProtocolVersion)),
        ("insufficient_security", alert(2, 71), Tls(Alert(71))),
        ("internal_error", alert(2, 80), Tls(Alert(80))),
        ("unrecognized_name", alert(2, 112), Tls(Alert(112))),
        ("certificate_required", alert(2, 116), Tls(Alert(116))),
        ("no_application_protocol", alert(2, 120), Tls(ApplicationProtocol)),
        ("an alert that nobody knows", alert(2, 200), Tls(Alert(200))),
        ("HTTP", HTTP.to_vec(), Tls(NotTls)),
        ("SSH", SSH.to_vec(), Tls(NotTls)),
        ("SMTP", SMTP.to_vec(), Tls(NotTls)),
        ("zeros", vec![0; 64], Tls(NotTls)),
        ("ones", vec![0xff; 64], Tls(NotTls)),
        ("TLS 1.0", hello(1), Tls(ProtocolVersion)),
        ("TLS 1.1", hello(2), Tls(ProtocolVersion)),
        ("a suite that was not offered", hello(3), Tls(Other)),
    ];
    let mut told = Told::default();
    for (name, bytes, expected) in cases {
        let (url, server) = serve(move |mut socket: TcpStream| {
            // The ClientHello: a record that is longer than its head.
            let mut head = [0; 5];
            socket.read_exact(&mut head).unwrap();
            let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
            socket.read_exact(&mut vec![0; length]).unwrap();
            socket.write_all(&bytes).unwrap();
            socket.shutdown(Shutdown::Write).unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        });
        told.note(name, &options(tls.clone()).connect(&url).unwrap_err(), expected);
        server.join().unwrap();
    }
    told.judge();
}

/// In the midst of the opening handshake, where the server's side of TLS has ended: over TLS 1.3 that is also where a server tells that
/// it does not like the client.
fn what_fails_after_the_handshake_comes_to_the_same_with_each_library(tls: TlsOptions) {
    use Outcome::{Lost, Tls};
    use TlsErrorKind::{Alert, NotTls, Other};

    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let tls = tls.ca_certs_pem(&authority.pem);
    let record = |length: u8| {
        let mut bytes = vec![23, 3, 3, 0, length];
        bytes.resize(5 + usize::from(length), 7);
        bytes
    };
    let mut told = Told::default();
    for version in VERSIONS {
        let cases = [
            ("the end", vec![], Lost),
            ("the end in a record", record(64)[..20].to_vec(), Lost),
            ("a record that is not for this key", record(64), Tls(Other)),
            ("a record that is too short", record(4), Tls(Other)),
            ("HTTP", HTTP.to_vec(), Tls(NotTls)),
            ("zeros", vec![0; 64], Tls(NotTls)),
        ];
        for (name, bytes, expected) in cases {
            let config = leaf.server(version);
            let (url, server) = serve(move |socket| {
                let mut tls = accept(config, socket).unwrap();
                let _ = tls.read(&mut [0; 4096]).unwrap();
                tls.sock.write_all(&bytes).unwrap();
                tls.sock.shutdown(Shutdown::Write).unwrap();
                let _ = tls.sock.read_to_end(&mut Vec::new());
            });
            told.note(&format!("{name}, {version:?}"), &options(tls.clone()).connect(&url).unwrap_err(), expected);
            server.join().unwrap();
        }
        let config = leaf.server(version);
        let (url, server) = serve(move |socket| {
            let mut tls = accept(config, socket).unwrap();
            let _ = tls.read(&mut [0; 4096]).unwrap();
            send_close_notify(&mut tls);
            let _ = tls.sock.read_to_end(&mut Vec::new());
        });
        told.note(&format!("close_notify, {version:?}"), &options(tls.clone()).connect(&url).unwrap_err(), Lost);
        server.join().unwrap();

        // The client's certificate.
        let clients = Authority::new();
        let cert = |validity| clients.leaf("client.example", validity);
        let over = cert(Validity::Over);
        let stranger = Authority::new().leaf("client.example", Validity::Now);
        for (name, shown, expected) in [
            ("no certificate", None, Alert(116)),
            ("one that has expired", Some(over), Alert(45)),
            ("one of a stranger", Some(stranger), Alert(48)),
        ] {
            let config = leaf.config(&[version], Some(&clients));
            let (url, server) = serve(move |socket| accept(Arc::new(config), socket).map(drop).unwrap_err());
            let shown = match shown {
                Some(shown) => tls.clone().client_cert_pem(&shown.cert, &shown.key),
                None => tls.clone(),
            };
            told.note(&format!("{name}, {version:?}"), &options(shown).connect(&url).unwrap_err(), Tls(expected));
            server.join().unwrap();
        }
    }
    told.judge();
}

/// Servers that do not know the name and go on say so (RFC 6066, section 3).
fn a_warning_is_no_failure(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    for version in VERSIONS {
        let config = leaf.server(version);
        let (url, server) = serve(move |mut socket| {
            socket.write_all(&[21, 3, 3, 0, 2, 1, 112]).unwrap();
            TlsWebSocket::accept(accept(config, socket).unwrap()).unwrap().echo();
        });
        let ws = options(tls.clone().ca_certs_pem(&authority.pem)).connect(&url).unwrap();
        ws.close().unwrap();
        server.join().unwrap();
    }
}

/// What each case came to that is not as expected.
#[derive(Default)]
struct Told(Vec<String>);

impl Told {
    fn note(&mut self, name: &str, error: &Error, expected: Outcome) {
        let outcome = match error {
            Error::Tls(error) => Outcome::Tls(error.kind),
            Error::Io { phase: Phase::Tls | Phase::Handshake, .. } => Outcome::Lost,
            Error::Handshake(error) if matches!(**error, HandshakeError::Eof) => Outcome::Lost,
            other => return self.0.push(format!("{name}: {other:?}")),
        };
        if outcome != expected {
            self.0.push(format!("{name}: {outcome:?} and not {expected:?}: {error:?}"));
        }
        // What was lost may work again, and so may a gateway in trouble.
        let retry = match outcome {
            Outcome::Lost | Outcome::Tls(TlsErrorKind::NotTls | TlsErrorKind::Alert(80)) => Retry::Soon,
            Outcome::Tls(_) => Retry::Slowly,
        };
        if error.retry() != retry {
            self.0.push(format!("{name}: tried again {:?} and not {retry:?}", error.retry()));
        }
    }

    #[track_caller]
    fn judge(self) {
        assert!(self.0.is_empty(), "{:#?}", self.0);
    }
}
