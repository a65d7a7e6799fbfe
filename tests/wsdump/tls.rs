//! The flags about TLS, with a server of another making.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::shell::{Said, wsdump};
use crate::tls_peer::{Authority, Validity, accept};
use crate::tls_websocket::TlsWebSocket;

/// The certificate that a client showed, or why there was no session.
type Met = Result<Option<Vec<u8>>, String>;

/// Says hello to one client.
fn serve(config: ServerConfig) -> (u16, JoinHandle<Met>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let tls = accept(Arc::new(config), socket).map_err(|error| error.to_string())?;
        let certificate = tls.conn.peer_certificates().map(|chain| chain[0].to_vec());
        let mut ws = TlsWebSocket::accept(tls).map_err(|error| error.to_string())?;
        ws.send_text("hello");
        while ws.message().is_some() {}
        Ok(certificate)
    });
    (port, server)
}

fn file(name: &str, holds: &str) -> String {
    let path = std::env::temp_dir().join(format!("wsdump-{name}-{}.pem", std::process::id()));
    fs::write(&path, holds).unwrap();
    path.to_str().unwrap().to_owned()
}

#[track_caller]
fn greeted(said: &Said) {
    assert_eq!((said.code, said.out.as_str()), (0, "hello\n"), "{said:?}");
}

#[test]
fn who_is_trusted_can_be_said_and_not_be_asked_at_all() {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let ca = file("ca", &authority.pem);
    let (port, server) = serve(leaf.config(&[&TLS13], None));
    greeted(&wsdump(&["-r", "--max-messages", "1", "--ca", &ca, &format!("wss://localhost:{port}/")]));
    server.join().unwrap().unwrap();

    let (port, server) = serve(leaf.config(&[&TLS13], None));
    let said = wsdump(&["-r", &format!("wss://localhost:{port}/")]);
    assert_eq!(said.code, 5, "{said:?}");
    assert!(said.err.contains("issuer is not trusted"), "{}", said.err);
    // What OpenSSL says of its own source helps nobody.
    assert!(!said.err.contains("SSL routines") && !said.err.contains(".c:"), "{}", said.err);
    server.join().unwrap().unwrap_err();

    for flag in ["-n", "--nocert"] {
        let (port, server) = serve(leaf.config(&[&TLS13], None));
        greeted(&wsdump(&["-r", flag, &format!("wss://127.0.0.1:{port}/")]));
        server.join().unwrap().unwrap();
    }
}

#[test]
fn the_certificate_may_be_for_another_name_that_is_given() {
    let authority = Authority::new();
    let leaf = authority.leaf("other.example", Validity::Now);
    let ca = file("ca-name", &authority.pem);
    let (port, server) = serve(leaf.config(&[&TLS13], None));
    let url = format!("wss://localhost:{port}/");
    greeted(&wsdump(&["-r", "--max-messages", "1", "--ca", &ca, "--server-name", "other.example", &url]));
    server.join().unwrap().unwrap();
    let (port, server) = serve(leaf.config(&[&TLS13], None));
    let said = wsdump(&["-r", "--max-messages", "1", "--ca", &ca, &format!("wss://localhost:{port}/")]);
    assert_eq!(said.code, 5, "{said:?}");
    server.join().unwrap().unwrap_err();
}

#[test]
fn the_client_shows_its_certificate() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let client = clients.leaf("client.example", Validity::Now);
    let (ca, cert, key) = (file("ca-client", &servers.pem), file("cert", &client.cert), file("key", &client.key));
    let both = file("both", &(client.cert.clone() + &client.key));
    for shown in [["--cert", &*cert, "--key", &key].as_slice(), &["--cert", &both]] {
        let config = servers.leaf("localhost", Validity::Now).config(&[&TLS13], Some(&clients));
        let (port, server) = serve(config);
        greeted(&wsdump(
            &[&["-r", "--max-messages", "1", "--ca", &ca, &format!("wss://localhost:{port}/")], shown].concat(),
        ));
        assert_eq!(server.join().unwrap().unwrap(), Some(client.der()));
    }
}

#[test]
fn the_oldest_version_can_be_said() {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let ca = file("ca-version", &authority.pem);
    for (version, code) in [("1.2", 0), ("1.3", 5)] {
        let (port, server) = serve(leaf.config(&[&TLS12], None));
        let said = wsdump(&[
            "-r",
            "--eof-silence",
            "0.3",
            "--ca",
            &ca,
            "--tls-min",
            version,
            &format!("wss://localhost:{port}/"),
        ]);
        assert_eq!(said.code, code, "{said:?}");
        assert_eq!(server.join().unwrap().is_ok(), code == 0);
    }
}

/// A server that names itself in the subject alone is accepted by OpenSSL and refused by rustls.
#[cfg(target_os = "linux")]
#[test]
fn the_library_can_be_said_and_has_to_be_built_in() {
    let authority = Authority::new();
    let leaf = authority.leaf_with("localhost", |params| params.subject_alt_names.clear());
    let ca = file("ca-library", &authority.pem);
    for (library, is_built_in, code) in
        [("native-tls", cfg!(feature = "native-tls"), 0), ("rustls", cfg!(feature = "rustls"), 5)]
    {
        let run = |port| {
            wsdump(&[
                "-r",
                "--eof-silence",
                "0.3",
                "--ca",
                &ca,
                "--tls-library",
                library,
                &format!("wss://localhost:{port}/"),
            ])
        };
        if !is_built_in {
            let said = run(1);
            assert!(said.code == 2 && said.err.contains(&format!("`{library}`")), "{said:?}");
            continue;
        }
        let (port, server) = serve(leaf.config(&[&TLS13], None));
        let said = run(port);
        assert_eq!(said.code, code, "{library}: {said:?}");
        assert_eq!(server.join().unwrap().is_ok(), code == 0);
    }
}

/// TLS 1.3 lets a client finish before the server has looked at its certificate.
#[test]
fn a_certificate_that_is_missing_is_hinted_at() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let ca = file("ca-missing", &servers.pem);
    for version in [&TLS12, &TLS13] {
        let config = servers.leaf("localhost", Validity::Now).config(&[version], Some(&clients));
        let (port, server) = serve(config);
        let said = wsdump(&["-r", "--max-messages", "1", "--ca", &ca, &format!("wss://localhost:{port}/")]);
        server.join().unwrap().unwrap_err();
        assert!(matches!(said.code, 5 | 7), "{said:?}");
        assert!(said.err.contains("--cert FILE"), "{}", said.err);
    }
}

/// Only rustls writes keys down: with it the variable works, without it that is told.
#[cfg(feature = "rustls")]
#[test]
fn keys_are_logged_where_the_variable_says_so() {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let ca = file("ca-keys", &authority.pem);
    let keys = file("keys", "");
    for library in ["rustls", "native-tls"] {
        if library == "native-tls" && !cfg!(feature = "native-tls") {
            continue;
        }
        let (port, server) = serve(leaf.config(&[&TLS13], None));
        let url = format!("wss://localhost:{port}/");
        let mut command = crate::shell::command(&["--ca", &ca, "--tls-library", library, &url, "--eof-wait", "0"]);
        let said = crate::shell::end_of(command.env("SSLKEYLOGFILE", &keys).spawn().unwrap());
        server.join().unwrap().unwrap();
        let logged = fs::read_to_string(&keys).unwrap();
        fs::write(&keys, "").unwrap();
        let is_rustls = library == "rustls";
        assert_eq!(logged.contains("CLIENT_TRAFFIC_SECRET_0"), is_rustls, "{library}: {said:?}");
        assert_eq!(said.err.contains("--tls-library rustls"), !is_rustls, "{library}: {said:?}");
    }
}
