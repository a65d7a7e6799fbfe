//! What the two sides agree upon.

#[cfg(feature = "rustls")]
use std::sync::Arc;

use rustls::{ProtocolVersion, SupportedProtocolVersion};
use websocket_sync::{TlsErrorKind, TlsOptions, TlsVersion};

use crate::tls_peer::{Authority, Leaf, VERSIONS, Validity};
use crate::{kind, meet, module, refused};

on_each_backend! {
    servers_that_prefer_http_2_speak_http_1_1
    other_protocols_can_be_offered_or_none
    versions_can_be_bounded_from_both_sides
    a_server_is_told_its_name_unless_that_is_an_address
    what_was_agreed_can_be_read
}

const TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn localhost(tls: &TlsOptions) -> (Leaf, TlsOptions) {
    let authority = Authority::new();
    (authority.leaf("localhost", Validity::Now), tls.clone().ca_certs_pem(authority.pem))
}

fn servers_that_prefer_http_2_speak_http_1_1(tls: TlsOptions) {
    let (leaf, tls) = localhost(&tls);
    for version in VERSIONS {
        let with = |protocols: &[&str]| {
            let mut config = leaf.config(&[version], None);
            config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
            config
        };
        let (result, _) = meet(with(&["h2", "http/1.1"]), tls.clone());
        assert_eq!(result.unwrap().alpn().as_deref(), Some("http/1.1"));
        let (result, _) = meet(with(&[]), tls.clone());
        assert_eq!(result.unwrap().alpn(), None);
        assert_eq!(kind(meet(with(&["h2"]), tls.clone()).0), TlsErrorKind::ApplicationProtocol);
    }
}

fn other_protocols_can_be_offered_or_none(tls: TlsOptions) {
    let (leaf, tls) = localhost(&tls);
    let mut config = leaf.config(TLS13, None);
    config.alpn_protocols = vec![b"second".to_vec(), b"first".to_vec()];
    let (result, _) = meet(config.clone(), tls.clone().alpn(["first", "second"]));
    assert_eq!(result.unwrap().alpn().as_deref(), Some("second"));
    let (result, seen) = meet(config, tls.clone().alpn([] as [&str; 0]));
    assert_eq!((result.unwrap().alpn(), seen.unwrap().alpn), (None, None));
    for wrong in ["", &"x".repeat(256)] {
        assert_eq!(refused(tls.clone().alpn([wrong])).0, "alpn");
    }
}

fn versions_can_be_bounded_from_both_sides(tls: TlsOptions) {
    let (leaf, tls) = localhost(&tls);
    let version = |versions, tls: TlsOptions| meet(leaf.config(versions, None), tls).1.unwrap().version;
    let both = &VERSIONS[..];
    assert_eq!(version(both, tls.clone()), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(version(both, tls.clone().max_version(TlsVersion::Tls12)), Some(ProtocolVersion::TLSv1_2));
    assert_eq!(version(both, tls.clone().min_version(TlsVersion::Tls13)), Some(ProtocolVersion::TLSv1_3));
    let old = meet(leaf.config(TLS12, None), tls.clone().min_version(TlsVersion::Tls13)).0;
    assert_eq!(kind(old), TlsErrorKind::ProtocolVersion);
    let new = meet(leaf.config(TLS13, None), tls.clone().max_version(TlsVersion::Tls12)).0;
    assert_eq!(kind(new), TlsErrorKind::ProtocolVersion);
    let none = tls.min_version(TlsVersion::Tls13).max_version(TlsVersion::Tls12);
    assert_eq!(refused(none), ("max_version", "TLS 1.2 is older than TLS 1.3".to_owned()));
}

fn a_server_is_told_its_name_unless_that_is_an_address(tls: TlsOptions) {
    let authority = Authority::new();
    let tls = tls.ca_certs_pem(&authority.pem);
    let names = [("localhost", Some("localhost")), ("server.example.", Some("server.example")), ("127.0.0.1", None)];
    for (name, told) in names {
        for version in VERSIONS {
            let leaf = authority.leaf(name.trim_end_matches('.'), Validity::Now);
            let (result, seen) = meet(leaf.config(&[version], None), tls.clone().server_hostname(name));
            result.unwrap();
            assert_eq!(seen.unwrap().name.as_deref(), told);
        }
    }
}

fn what_was_agreed_can_be_read(tls: TlsOptions) {
    let (leaf, tls) = localhost(&tls);
    for (version, expected) in VERSIONS.into_iter().zip([TlsVersion::Tls12, TlsVersion::Tls13]) {
        let ws = meet(leaf.config(&[version], None), tls.clone()).0.unwrap();
        assert_eq!(ws.peer_certificate().unwrap(), leaf.der());
        // Native-tls does not tell.
        let tells = module(&tls) == "on_rustls";
        assert_eq!(ws.tls_version(), tells.then_some(expected));
        assert_eq!(ws.tls_cipher_suite().is_some(), tells);
    }
}

/// What native-tls cannot do.
#[cfg(feature = "rustls")]
mod with_rustls_only {
    use std::{env, fs};

    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    use websocket_sync::TlsBackend;

    use super::*;
    use crate::{PART, again_with, directory, options, serve};

    fn with_rustls() -> TlsOptions {
        TlsOptions::new().backend(TlsBackend::Rustls)
    }

    #[test]
    fn cipher_suites_can_be_chosen_by_their_names() {
        let (leaf, tls) = localhost(&with_rustls());
        let cases = [
            ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
            ("TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
            ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        ];
        for (name, expected) in cases {
            let ws = meet(leaf.config(&VERSIONS, None), tls.clone().cipher_suites([name])).0.unwrap();
            assert_eq!(ws.tls_cipher_suite().as_deref(), Some(expected));
        }
        let (option, problem) = refused(tls.clone().cipher_suites(["TLS_RSA_WITH_RC4_128_MD5"]));
        assert!(option == "cipher_suites" && problem.contains("TLS_AES_256_GCM_SHA384"), "{problem}");
        // A suite of one version, and the other version.
        let none = tls.cipher_suites(["TLS_AES_128_GCM_SHA256"]).max_version(TlsVersion::Tls12);
        assert_eq!(refused(none).0, "cipher_suites");
    }

    #[test]
    fn groups_can_be_chosen_by_their_names() {
        let (leaf, tls) = localhost(&with_rustls());
        for name in ["X25519", "secp256r1", "SECP384R1"] {
            let (result, seen) = meet(leaf.config(TLS13, None), tls.clone().key_exchange_groups([name]));
            result.unwrap();
            assert!(seen.unwrap().group.unwrap().eq_ignore_ascii_case(name));
        }
        let (option, problem) = refused(tls.key_exchange_groups(["sect571k1"]));
        assert!(option == "key_exchange_groups" && problem.contains("secp256r1"), "{problem}");
    }

    /// The processes that this starts read their own variable, as nobody may change that of this one.
    #[test]
    fn keys_are_logged_for_those_who_ask_and_only_for_them() {
        const TEST: &str = "negotiation::with_rustls_only::keys_are_logged_for_those_who_ask_and_only_for_them";
        if let Ok(part) = env::var(PART) {
            let (leaf, tls) = localhost(&with_rustls());
            match &*part {
                "asked" => drop(meet(leaf.config(TLS13, None), tls.key_log()).0.unwrap()),
                "not asked" => drop(meet(leaf.config(TLS13, None), tls).0.unwrap()),
                _ => assert_eq!(refused(tls.key_log()).0, "key_log"),
            }
            return;
        }
        let files = directory("key-log");
        let (asked, not_asked) = (files.join("asked"), files.join("not-asked"));
        again_with(TEST, "SSLKEYLOGFILE", asked.as_os_str(), "asked");
        again_with(TEST, "SSLKEYLOGFILE", not_asked.as_os_str(), "not asked");
        again_with(TEST, "SSLKEYLOGFILE", "".as_ref(), "asked");
        again_with(TEST, "SSLKEYLOGFILE", files.as_os_str(), "a directory");
        // It would hold up the handshake until somebody reads.
        #[cfg(unix)]
        again_with(TEST, "SSLKEYLOGFILE", crate::files::fifo(files.join("fifo")).as_os_str(), "a fifo");
        let log = fs::read_to_string(asked).unwrap();
        assert!(log.contains("CLIENT_TRAFFIC_SECRET_0 ") && log.contains("SERVER_TRAFFIC_SECRET_0 "), "{log}");
        assert!(!not_asked.exists());
        fs::remove_dir_all(files).unwrap();
    }

    #[test]
    fn the_name_is_checked_even_where_any_certificate_is_accepted() {
        let leaf = crate::tls_peer::self_signed("other.example");
        let any = with_rustls().danger_accept_invalid_certs();
        assert_eq!(kind(meet(leaf.config(TLS13, None), any.clone()).0), TlsErrorKind::WrongName);
        meet(leaf.config(TLS13, None), any.clone().server_hostname("other.example")).0.unwrap();
        meet(leaf.config(TLS13, None), any.danger_accept_invalid_hostnames()).0.unwrap();
    }

    #[test]
    fn ready_configurations_are_used_as_they_are_and_pins_beside_them() {
        let authority = Authority::new();
        let leaf = authority.leaf("localhost", Validity::Now);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_protocol_versions(TLS12).unwrap().with_root_certificates(roots);
        let tls = TlsOptions::new().rustls_config(Arc::new(config.with_no_client_auth()));
        let ws = meet(leaf.config(&VERSIONS, None), tls.clone().pin_sha256(&leaf.pin)).0.unwrap();
        assert_eq!((ws.tls_version(), ws.alpn()), (Some(TlsVersion::Tls12), None));
        let other = crate::tls_peer::self_signed("localhost").pin;
        let mismatch = meet(leaf.config(&VERSIONS, None), tls.pin_sha256(other)).0;
        assert_eq!(kind(mismatch), TlsErrorKind::PinMismatch);
    }

    #[test]
    fn a_server_with_rustls_speaks_both_versions_and_sees_the_client() {
        let (leaf, tls) = localhost(&with_rustls());
        let clients = Authority::new();
        let client = clients.leaf("client.example", Validity::Now);
        let mut config = leaf.config(&VERSIONS, Some(&clients));
        config.max_early_data_size = 1000;
        let config = Arc::new(config);
        for version in [TlsVersion::Tls12, TlsVersion::Tls13] {
            let serving = options(TlsOptions::new().rustls_server_config(Arc::clone(&config)));
            let (url, server) = serve(move |socket| {
                let mut ws = serving.accept(socket).unwrap();
                let seen = (ws.peer_certificate(), ws.tls_version());
                let message = ws.recv().unwrap();
                ws.send(message.as_bytes(), websocket_sync::Opcode::Text).unwrap();
                ws.recv().unwrap_err();
                seen
            });
            let tls = tls.clone().client_cert_pem(&client.cert, &client.key).max_version(version);
            let mut ws = options(tls).connect(&url).unwrap();
            ws.send_text("echo").unwrap();
            assert_eq!(ws.recv().unwrap().as_bytes(), b"echo");
            ws.close().unwrap();
            assert_eq!(server.join().unwrap(), (Some(client.der()), Some(version)));
        }
    }
}
