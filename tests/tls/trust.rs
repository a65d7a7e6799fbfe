//! Who is trusted, and who is not and what that is called.

use std::env;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, NameConstraints};
use websocket_sync::{Error, Retry, SystemRoots, TlsErrorKind, TlsOptions};

use crate::tls_peer::{Authority, Leaf, VERSIONS, Validity, accept, self_signed};
use crate::tls_websocket::TlsWebSocket;
use crate::{PART, again_with, directory, kind, meet, module, options, refused};

on_each_backend! {
    each_kind_of_bad_certificate_has_a_name
    no_way_to_trust_an_authority_makes_a_wrong_name_right
    an_intermediate_that_the_server_sends_completes_the_chain
    a_pinned_key_is_demanded_beside_all_else
    pins_are_checked_where_nothing_else_is
    a_server_that_changes_its_key_between_two_connections_is_refused
    a_pin_is_checked_before_the_first_byte_is_sent
    a_directory_may_hold_anything_beside_certificates
    what_is_no_pin_and_no_directory_is_refused_by_name
    the_environment_names_authorities_for_those_who_name_none
    authorities_that_are_named_replace_those_of_the_system
}

const TLS13: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

fn each_kind_of_bad_certificate_has_a_name(tls: TlsOptions) {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let leaf = |validity| authority.leaf("localhost", validity);
    let cases = [
        (leaf(Validity::Over), TlsErrorKind::Expired),
        (leaf(Validity::Later), TlsErrorKind::NotYetValid),
        (authority.leaf("other.example", Validity::Now), TlsErrorKind::WrongName),
        (authority.leaf("127.0.0.1", Validity::Now), TlsErrorKind::WrongName),
        (stranger.leaf("localhost", Validity::Now), TlsErrorKind::UnknownIssuer),
        (self_signed("localhost"), TlsErrorKind::UnknownIssuer),
        // Without the certificate that links it to the authority.
        (authority.intermediate().leaf("localhost", Validity::Now), TlsErrorKind::UnknownIssuer),
        (authority.impostor().leaf("localhost", Validity::Now), TlsErrorKind::BadSignature),
        // For clients only.
        (
            authority.leaf_with("localhost", |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
            TlsErrorKind::InvalidCertificate,
        ),
        (below(&authority, |params| Validity::Over.apply(params)), TlsErrorKind::Expired),
        // By an authority that may vouch for others only, or for nobody.
        (
            below(&authority, |params| {
                let permitted_subtrees = vec![GeneralSubtree::DnsName("other.example".to_owned())];
                let excluded_subtrees = Vec::new();
                params.name_constraints = Some(NameConstraints { permitted_subtrees, excluded_subtrees });
            }),
            TlsErrorKind::InvalidCertificate,
        ),
        (below(&authority, |params| params.is_ca = IsCa::ExplicitNoCa), TlsErrorKind::InvalidCertificate),
    ];
    for version in VERSIONS {
        for (leaf, expected) in &cases {
            let (result, seen) = meet(leaf.config(&[version], None), tls.clone().ca_certs_pem(&authority.pem));
            let Err(error) = result else { panic!("{expected:?}") };
            assert_eq!(error.retry(), Retry::Slowly);
            assert_eq!(error.to_string(), format!("TLS with \"localhost\" failed: {expected}"));
            assert_eq!(kind(Err(error)), *expected);
            seen.unwrap_err();
        }
    }
}

/// A certificate that an authority below this one has issued, with its.
fn below(authority: &Authority, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let intermediate = authority.intermediate_with(change);
    let mut leaf = intermediate.leaf("localhost", Validity::Now);
    leaf.cert += &intermediate.pem;
    leaf
}

fn no_way_to_trust_an_authority_makes_a_wrong_name_right(tls: TlsOptions) {
    let authority = Authority::new();
    let files = directory(&format!("names-{:?}", thread::current().id()));
    let file = files.join("ca.pem");
    fs::write(&file, &authority.pem).unwrap();
    let ways = [
        tls.clone().ca_certs_pem(&authority.pem),
        tls.clone().ca_certs(&file),
        tls.clone().ca_certs_dir(&files),
        tls.ca_certs_pem(&authority.pem).system_roots(SystemRoots::Excluded),
    ];
    let names = [
        ("a.example", "A.Example", true),
        ("*.a.example", "b.a.example", true),
        ("127.0.0.1", "127.0.0.1", true),
        ("a.example", "b.example", false),
        ("a.example", "b.a.example", false),
        ("*.a.example", "a.example", false),
        ("*.a.example", "c.b.a.example", false),
        ("127.0.0.1", "127.0.0.2", false),
        ("a.example", "127.0.0.1", false),
    ];
    for tls in ways {
        for (certificate, wanted, right) in names {
            let leaf = authority.leaf(certificate, Validity::Now);
            let (result, _) = meet(leaf.config(TLS13, None), tls.clone().server_hostname(wanted));
            match result {
                Ok(_) => assert!(right, "{certificate} {wanted}"),
                error => assert_eq!((kind(error), right), (TlsErrorKind::WrongName, false), "{certificate} {wanted}"),
            }
        }
    }
    fs::remove_dir_all(files).unwrap();
}

fn an_intermediate_that_the_server_sends_completes_the_chain(tls: TlsOptions) {
    let authority = Authority::new();
    let intermediate = authority.intermediate();
    let mut leaf = intermediate.leaf("localhost", Validity::Now);
    leaf.cert += &intermediate.pem;
    let (result, _) = meet(leaf.config(TLS13, None), tls.ca_certs_pem(&authority.pem));
    result.unwrap();
}

fn a_pinned_key_is_demanded_beside_all_else(tls: TlsOptions) {
    let authority = Authority::new();
    let (leaf, other) = (authority.leaf("localhost", Validity::Now), self_signed("localhost"));
    let trusting = tls.clone().ca_certs_pem(&authority.pem);
    for version in VERSIONS {
        let meet = |tls| meet(leaf.config(&[version], None), tls).0;
        meet(trusting.clone().pin_sha256(&leaf.pin)).unwrap();
        meet(trusting.clone().pin_sha256(&other.pin).pin_sha256(format!("sha256//{}", leaf.pin))).unwrap();
        assert_eq!(kind(meet(trusting.clone().pin_sha256(&other.pin))), TlsErrorKind::PinMismatch);
        // A pin is no reason to trust.
        assert_eq!(kind(meet(tls.clone().pin_sha256(&leaf.pin))), TlsErrorKind::UnknownIssuer);
        let other_name = trusting.clone().pin_sha256(&leaf.pin).server_hostname("other.example");
        assert_eq!(kind(meet(other_name)), TlsErrorKind::WrongName);
    }
}

fn pins_are_checked_where_nothing_else_is(tls: TlsOptions) {
    let leaf = self_signed("localhost");
    let any = tls.danger_accept_invalid_certs().danger_accept_invalid_hostnames();
    meet(leaf.config(TLS13, None), any.clone().pin_sha256(&leaf.pin)).0.unwrap();
    let mismatch = meet(leaf.config(TLS13, None), any.pin_sha256(self_signed("localhost").pin)).0;
    assert_eq!(kind(mismatch), TlsErrorKind::PinMismatch);
}

fn a_server_that_changes_its_key_between_two_connections_is_refused(tls: TlsOptions) {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
    let leaves: [Leaf; 2] = std::array::from_fn(|_| authority.leaf("localhost", Validity::Now));
    let pin = leaves[0].pin.clone();
    // One memory of sessions for both, so that the second could be resumed from the first.
    let sessions = rustls::server::ServerSessionMemoryCache::new(8);
    let server = thread::spawn(move || {
        for leaf in leaves {
            let mut config = leaf.config(TLS13, None);
            config.session_storage = sessions.clone();
            let Ok(tls) = accept(Arc::new(config), listener.accept().unwrap().0) else { continue };
            if let Ok(ws) = TlsWebSocket::accept(tls) {
                ws.echo();
            }
        }
    });
    let mut ws = options(tls.ca_certs_pem(&authority.pem).pin_sha256(pin)).connect(&url).unwrap();
    ws.send_text("tickets come with the answer").unwrap();
    ws.recv().unwrap();
    ws.close().unwrap();
    match ws.connect(&url) {
        Err(Error::Tls(error)) => assert_eq!(error.kind, TlsErrorKind::PinMismatch),
        other => panic!("{other:?}"),
    }
    server.join().unwrap();
}

fn a_pin_is_checked_before_the_first_byte_is_sent(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    for version in VERSIONS {
        let config = Arc::new(leaf.config(&[version], None));
        let (url, server) = crate::serve(move |socket| match accept(config, socket) {
            Ok(mut tls) => tls.read(&mut [0; 1]).unwrap_or(0),
            Err(_) => 0,
        });
        let tls = tls.clone().ca_certs_pem(&authority.pem).pin_sha256(self_signed("localhost").pin);
        assert_eq!(kind(options(tls).connect(&url)), TlsErrorKind::PinMismatch);
        assert_eq!(server.join().unwrap(), 0);
    }
}

fn a_directory_may_hold_anything_beside_certificates(tls: TlsOptions) {
    let (first, second) = (Authority::new(), Authority::new());
    let files = directory(&format!("capath-{:?}", thread::current().id()));
    fs::write(files.join("README"), "not a certificate\n").unwrap();
    fs::write(files.join("binary"), [0, 255, 128]).unwrap();
    fs::write(files.join("key.pem"), &first.leaf("a.example", Validity::Now).key).unwrap();
    fs::create_dir(files.join("directory.pem")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", files.join("00000000.0")).unwrap();
    assert_eq!(refused(tls.clone().ca_certs_dir(&files)).0, "ca_certs_dir");
    fs::write(files.join("first"), &first.pem).unwrap();
    fs::write(files.join("second.crt"), format!("# the second\n{}", second.pem)).unwrap();
    for authority in [first, second] {
        let leaf = authority.leaf("localhost", Validity::Now);
        meet(leaf.config(TLS13, None), tls.clone().ca_certs_dir(&files)).0.unwrap();
    }
    fs::write(files.join("broken"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let (option, problem) = refused(tls.ca_certs_dir(&files));
    assert!(option == "ca_certs_dir" && problem.contains("broken"), "{problem}");
    fs::remove_dir_all(files).unwrap();
}

fn what_is_no_pin_and_no_directory_is_refused_by_name(tls: TlsOptions) {
    assert_eq!(refused(tls.clone().pin_sha256("sha256//")).0, "pin_sha256");
    let (option, problem) = refused(tls.clone().ca_certs_dir("/no/such/directory"));
    assert!(option == "ca_certs_dir" && problem.contains("/no/such/directory"), "{problem}");
    let (option, problem) = refused(tls.ca_certs("/no/such/file.pem"));
    assert!(option == "ca_certs" && problem.contains("/no/such/file.pem"), "{problem}");
}

const BUNDLE: &str = "WEBSOCKET_CLIENT_CA_BUNDLE";

/// The processes that this starts read their own variable, as nobody may change that of this one.
fn the_environment_names_authorities_for_those_who_name_none(tls: TlsOptions) {
    if let Ok(part) = env::var(PART) {
        return connect_by_environment(&part, tls);
    }
    let test = format!("trust::{}::the_environment_names_authorities_for_those_who_name_none", module(&tls));
    let files = directory(&format!("bundle-{}", module(&tls)));
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    fs::write(files.join("ca.pem"), &authority.pem).unwrap();
    let server = directory(&format!("server-{}", module(&tls)));
    fs::write(server.join("cert"), &leaf.cert).unwrap();
    fs::write(server.join("key"), &leaf.key).unwrap();
    let cases = [
        (files.join("ca.pem"), "trusted"),
        (files.clone(), "trusted"),
        (files.join("ca.pem"), "not asked"),
        (files.join("missing"), "missing"),
        (PathBuf::new(), "unset"),
    ];
    for (value, part) in cases {
        again_with(&test, BUNDLE, value.as_os_str(), &format!("{part}|{}", server.display()));
    }
    fs::remove_dir_all(files).unwrap();
    fs::remove_dir_all(server).unwrap();
}

fn connect_by_environment(part: &str, tls: TlsOptions) {
    let (part, server) = part.split_once('|').unwrap();
    let read = |name| fs::read_to_string(Path::new(server).join(name)).unwrap();
    let config = Leaf { cert: read("cert"), key: read("key"), pin: String::new() }.config(TLS13, None);
    match part {
        "trusted" => drop(meet(config, tls).0.unwrap()),
        "not asked" => {
            let tls = tls.ca_certs_pem(Authority::new().pem);
            assert_eq!(kind(meet(config, tls).0), TlsErrorKind::UnknownIssuer);
        }
        "missing" => {
            let (option, problem) = refused(tls);
            assert!(option == BUNDLE && problem.contains("missing"), "{problem}");
        }
        "unset" => assert_eq!(kind(meet(config, tls).0), TlsErrorKind::UnknownIssuer),
        other => panic!("{other}"),
    }
}

/// The system's authorities are those in the file that this variable names, for OpenSSL and for rustls.
fn authorities_that_are_named_replace_those_of_the_system(tls: TlsOptions) {
    if let Ok(server) = env::var(PART) {
        return connect_beside_the_system(&server, &tls);
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    let test = format!("trust::{}::authorities_that_are_named_replace_those_of_the_system", module(&tls));
    let server = directory(&format!("system-{}", module(&tls)));
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    for (name, text) in [("ca.pem", &authority.pem), ("cert", &leaf.cert), ("key", &leaf.key)] {
        fs::write(server.join(name), text).unwrap();
    }
    again_with(&test, "SSL_CERT_FILE", server.join("ca.pem").as_os_str(), server.to_str().unwrap());
    fs::remove_dir_all(server).unwrap();
}

fn connect_beside_the_system(server: &str, tls: &TlsOptions) {
    let read = |name| fs::read_to_string(Path::new(server).join(name)).unwrap();
    let config = Leaf { cert: read("cert"), key: read("key"), pin: String::new() }.config(TLS13, None);
    let connect = |tls: TlsOptions| meet(config.clone(), tls).0;
    let named = tls.clone().ca_certs_pem(Authority::new().pem);
    drop(connect(tls.clone()).unwrap());
    assert_eq!(kind(connect(named.clone())), TlsErrorKind::UnknownIssuer);
    drop(connect(named.system_roots(SystemRoots::Included)).unwrap());
    assert_eq!(kind(connect(tls.clone().system_roots(SystemRoots::Excluded))), TlsErrorKind::UnknownIssuer);
}
