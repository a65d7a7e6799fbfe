//! Clients that show who they are.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use rustls::SupportedProtocolVersion;
use websocket_sync::{Retry, TlsErrorKind, TlsOptions};

use crate::tls_peer::{Authority, Leaf, VERSIONS, Validity};
use crate::{directory, kind, meet, module, refused};

on_each_backend! {
    a_client_shows_its_certificate_to_a_server_that_asks
    a_chain_is_shown_whole
    a_client_without_a_certificate_is_told_that_one_is_wanted
    a_certificate_of_a_stranger_is_refused_by_the_server
    what_is_no_identity_is_refused_by_name
    pkcs12_is_read_or_refused_by_name
    keys_of_every_form_are_read_by_each_library
}

/// A server's certificate, that of a client, and who vouches for both.
struct Cast {
    servers: Authority,
    clients: Authority,
    server: Leaf,
    client: Leaf,
}

impl Cast {
    fn new() -> Self {
        let (servers, clients) = (Authority::new(), Authority::new());
        let server = servers.leaf("localhost", Validity::Now);
        let client = clients.leaf("client.example", Validity::Now);
        Self { servers, clients, server, client }
    }

    fn trusting(&self, tls: &TlsOptions) -> TlsOptions {
        tls.clone().ca_certs_pem(&self.servers.pem)
    }

    fn server(&self, version: &'static SupportedProtocolVersion) -> rustls::ServerConfig {
        self.server.config(&[version], Some(&self.clients))
    }

    /// Whether the server sees the client's certificate.
    #[track_caller]
    fn assert_shown(&self, tls: TlsOptions) {
        for version in VERSIONS {
            let (result, seen) = meet(self.server(version), tls.clone());
            result.unwrap();
            assert_eq!(seen.unwrap().certificate.unwrap(), self.client.der());
        }
    }
}

fn a_client_shows_its_certificate_to_a_server_that_asks(tls: TlsOptions) {
    let cast = Cast::new();
    let files = directory(&format!("identity-{}", module(&tls)));
    let path = |name: &str| files.join(name);
    fs::write(path("cert.pem"), &cast.client.cert).unwrap();
    fs::write(path("key.pem"), &cast.client.key).unwrap();
    fs::write(path("both.pem"), format!("{}\n# the key\n{}", cast.client.cert, cast.client.key)).unwrap();
    let tls = cast.trusting(&tls);
    cast.assert_shown(tls.clone().client_cert_pem(&cast.client.cert, &cast.client.key));
    cast.assert_shown(tls.clone().client_cert(path("cert.pem"), path("key.pem")));
    cast.assert_shown(tls.client_cert(path("both.pem"), path("both.pem")));
    fs::remove_dir_all(files).unwrap();
}

fn a_chain_is_shown_whole(tls: TlsOptions) {
    let mut cast = Cast::new();
    let intermediate = cast.clients.intermediate();
    cast.client = intermediate.leaf("client.example", Validity::Now);
    let tls = cast.trusting(&tls);
    let chain = format!("{}{}", cast.client.cert, intermediate.pem);
    cast.assert_shown(tls.client_cert_pem(chain, &cast.client.key));
}

fn a_client_without_a_certificate_is_told_that_one_is_wanted(tls: TlsOptions) {
    let cast = Cast::new();
    for version in VERSIONS {
        let (result, seen) = meet(cast.server(version), cast.trusting(&tls));
        assert_eq!(result.as_ref().unwrap_err().retry(), Retry::Slowly);
        assert_eq!(kind(result), TlsErrorKind::Alert(116));
        seen.unwrap_err();
    }
}

fn a_certificate_of_a_stranger_is_refused_by_the_server(tls: TlsOptions) {
    let cast = Cast::new();
    let stranger = Authority::new().leaf("client.example", Validity::Now);
    for version in VERSIONS {
        let tls = cast.trusting(&tls).client_cert_pem(&stranger.cert, &stranger.key);
        let (result, seen) = meet(cast.server(version), tls);
        // Unknown authority (RFC 8446, section 6.2).
        assert_eq!(kind(result), TlsErrorKind::Alert(48));
        seen.unwrap_err();
    }
}

fn what_is_no_identity_is_refused_by_name(tls: TlsOptions) {
    let cast = Cast::new();
    let (cert, key) = (cast.client.cert.as_str(), cast.client.key.as_str());
    for (cert, key) in [("", key), (cert, ""), (cert, cert), ("nonsense", "nonsense"), (cert, &cast.server.key)] {
        assert_eq!(refused(tls.clone().client_cert_pem(cert, key)).0, "client_cert_pem");
    }
    let (option, problem) = refused(tls.client_cert("/no/such/cert", "/no/such/key"));
    assert!(option == "client_cert" && problem.contains("/no/such/cert"), "{problem}");
}

/// What `openssl` makes of this. `None`, loudly, where there is none.
fn openssl(arguments: &[&str], input: &str) -> Option<Vec<u8>> {
    let mut command = Command::new("openssl");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        eprintln!("SKIPPED, NOT PASSED: there is no `openssl` on this machine to make files with");
        return None;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

fn pkcs12_is_read_or_refused_by_name(tls: TlsOptions) {
    let cast = Cast::new();
    let files = directory(&format!("pkcs12-{}", module(&tls)));
    let both = files.join("both.pem");
    fs::write(&both, format!("{}{}", cast.client.cert, cast.client.key)).unwrap();
    let bundle = openssl(&["pkcs12", "-export", "-passout", "pass:s3cret", "-in", both.to_str().unwrap()], "");
    let Some(bundle) = bundle else { return };
    fs::write(files.join("client.p12"), &bundle).unwrap();
    let tls = cast.trusting(&tls);
    if module(&tls) == "on_rustls" {
        let (option, problem) = refused(tls.client_pkcs12_der(bundle, "s3cret"));
        assert!(option == "client_pkcs12_der" && problem.contains("native-tls only"), "{problem}");
        return fs::remove_dir_all(files).unwrap();
    }
    cast.assert_shown(tls.clone().client_pkcs12_der(&bundle, "s3cret"));
    assert_eq!(refused(tls.clone().client_pkcs12_der(&bundle, "wrong")).0, "client_pkcs12_der");
    assert_eq!(refused(tls.clone().client_pkcs12_der(&bundle, "s3cret\0")).0, "client_pkcs12_der");
    assert_eq!(refused(tls.clone().client_pkcs12_der("nonsense", "s3cret")).0, "client_pkcs12_der");
    cast.assert_shown(tls.clone().client_pkcs12(files.join("client.p12"), "s3cret"));
    assert_eq!(refused(tls.client_pkcs12(files.join("missing.p12"), "s3cret")).0, "client_pkcs12");
    fs::remove_dir_all(files).unwrap();
}

fn keys_of_every_form_are_read_by_each_library(tls: TlsOptions) {
    let mut cast = Cast::new();
    let tls = cast.trusting(&tls);
    for (name, arguments) in [
        ("P-256", ["EC", "ec_paramgen_curve:P-256"]),
        ("P-384", ["EC", "ec_paramgen_curve:P-384"]),
        ("RSA", ["RSA", "rsa_keygen_bits:2048"]),
    ] {
        let [algorithm, setting] = arguments;
        let pem = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let made = openssl(&["genpkey", "-algorithm", algorithm, "-pkeyopt", setting], "");
        let Some(pkcs8) = made.map(pem) else { return };
        let convert = |arguments: &[&str]| pem(openssl(arguments, &pkcs8).unwrap());
        cast.client = cast.clients.leaf_of("client.example", &pkcs8);
        let cert = cast.client.cert.clone();
        let traditional = convert(&["pkey", "-traditional"]);
        let label = if algorithm == "RSA" { "BEGIN RSA PRIVATE KEY" } else { "BEGIN EC PRIVATE KEY" };
        assert!(traditional.contains(label), "{traditional}");
        cast.assert_shown(tls.clone().client_cert_pem(&cert, &pkcs8));
        cast.assert_shown(tls.clone().client_cert_pem(&cert, &traditional));
        for arguments in [
            ["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout", "pass:s3cret"].as_slice(),
            &["pkcs8", "-topk8", "-scrypt", "-passout", "pass:s3cret"],
        ] {
            let key = convert(arguments);
            assert!(key.contains("BEGIN ENCRYPTED PRIVATE KEY"));
            cast.assert_shown(tls.clone().client_cert_pem(&cert, &key).client_key_password("s3cret"));
            for wrong in [tls.clone(), tls.clone().client_key_password("wrong")] {
                assert_eq!(refused(wrong.client_cert_pem(&cert, &key)).0, "client_key_password", "{name}");
            }
        }
        // What OpenSSL wrote before PKCS#8.
        let old = convert(&["pkey", "-traditional", "-aes128", "-passout", "pass:s3cret"]);
        assert!(old.contains("Proc-Type: 4,ENCRYPTED"), "{old}");
        let (option, problem) = refused(tls.clone().client_cert_pem(&cert, old).client_key_password("s3cret"));
        assert!(option == "client_cert_pem" && problem.contains("openssl pkcs8 -topk8"), "{problem}");
    }
}
