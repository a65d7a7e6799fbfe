//! Files of certificates and keys that are no usual files: they block, never end, or are far too large.

use std::env;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use websocket_sync::{Cancellation, CloseCause, ConnectOptions, Error, Phase, TlsOptions, WebSocket};

use crate::support::cases::Cases;
use crate::tls_peer::{Authority, Leaf, VERSIONS, Validity};
use crate::tls_websocket::TlsWebSocket;
use crate::{PART, again_with, directory, module, options, refused, serve_websocket};

on_each_backend! {
    a_file_that_blocks_costs_the_open_timeout_and_no_more
    a_cancel_ends_the_wait_for_a_file_that_blocks
    a_file_of_the_system_that_blocks_costs_no_more_either
    what_comes_through_a_pipe_is_read_to_its_end
    certificate_and_key_may_come_through_the_same_pipe
    a_file_that_never_ends_or_is_too_large_is_refused_by_name
}

const LIMIT: Duration = Duration::from_millis(300);

pub(crate) fn fifo(path: PathBuf) -> PathBuf {
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    path
}

/// Options that name this file, each in another way.
fn naming(path: &Path, tls: &TlsOptions, leaf: &Leaf, directory: &Path) -> Vec<TlsOptions> {
    let (cert, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&cert, &leaf.cert).unwrap();
    fs::write(&key, &leaf.key).unwrap();
    let mut all =
        vec![tls.clone().ca_certs(path), tls.clone().client_cert(path, key), tls.clone().client_cert(cert, path)];
    if module(tls) == "on_native_tls" {
        all.push(tls.clone().client_pkcs12(path, ""));
    }
    all
}

/// The same, where each names a file of its own, which blocks.
fn each_naming(tls: &TlsOptions, leaf: &Leaf, directory: &Path) -> Vec<(PathBuf, TlsOptions)> {
    let one = |place: usize| {
        let directory = directory.join(place.to_string());
        fs::create_dir_all(&directory).unwrap();
        let path = fifo(directory.join("fifo"));
        let tls = naming(&path, tls, leaf, &directory).into_iter().nth(place)?;
        Some((path, tls))
    };
    (0..).map_while(one).collect()
}

/// Opens on a thread of its own, so that what hangs fails.
fn open(options: ConnectOptions, url: &str) -> (websocket_sync::Result<WebSocket>, Duration) {
    let url = url.to_owned();
    let (done, outcome) = mpsc::channel();
    thread::spawn(move || {
        let start = Instant::now();
        let result = options.connect(&url);
        let _ = done.send((result, start.elapsed()));
    });
    outcome.recv_timeout(Duration::from_secs(10)).expect("it waits without a bound")
}

fn a_file_that_blocks_costs_the_open_timeout_and_no_more(tls: TlsOptions) {
    let leaf = Authority::new().leaf("client.example", Validity::Now);
    let files = directory(&format!("fifo-{}", module(&tls)));
    let mut cases = Cases::new();
    // Nobody writes, and then somebody who does not end.
    for writes in [false, true] {
        for (place, (path, tls)) in each_naming(&tls, &leaf, &files.join(writes.to_string())).into_iter().enumerate() {
            cases.add(format!("the file in place {place}, writes: {writes}"), move || {
                let writer = writes.then(|| File::options().read(true).write(true).open(&path).unwrap());
                if let Some(mut writer) = writer.as_ref() {
                    writer.write_all(b"-----BEGIN CERTIFICATE-----\n").unwrap();
                }
                let (result, took) = open(options(tls).open_timeout(LIMIT), "wss://localhost:9/");
                assert!(matches!(result, Err(Error::Timeout(Phase::Tls))), "{result:?}");
                assert!(took >= LIMIT && took < LIMIT + Duration::from_secs(1), "{took:?}");
            });
        }
    }
    cases.run(60);
    fs::remove_dir_all(files).unwrap();
}

fn a_cancel_ends_the_wait_for_a_file_that_blocks(tls: TlsOptions) {
    let leaf = Authority::new().leaf("client.example", Validity::Now);
    let files = directory(&format!("cancel-{}", module(&tls)));
    let mut cases = Cases::new();
    for (place, (_, tls)) in each_naming(&tls, &leaf, &files).into_iter().enumerate() {
        cases.add(format!("the file in place {place}"), move || {
            let cancellation = Cancellation::new();
            let canceller = cancellation.clone();
            thread::spawn(move || {
                thread::sleep(LIMIT);
                canceller.cancel();
            });
            let options = options(tls).open_timeout(Duration::MAX).cancellation(&cancellation);
            let (result, took) = open(options, "wss://localhost:9/");
            assert_eq!(result.unwrap_err().close_info().unwrap().cause, CloseCause::Cancelled);
            assert!(took < LIMIT + Duration::from_secs(1), "{took:?}");
        });
    }
    cases.run(60);
    fs::remove_dir_all(files).unwrap();
}

/// The libraries read this one, and know of no deadline.
fn a_file_of_the_system_that_blocks_costs_no_more_either(tls: TlsOptions) {
    if env::var(PART).is_ok() {
        let (result, took) = open(options(tls.clone()).open_timeout(LIMIT), "wss://localhost:9/");
        assert!(matches!(result, Err(Error::Timeout(Phase::Tls))), "{result:?}");
        assert!(took >= LIMIT && took < LIMIT + Duration::from_secs(1), "{took:?}");
        let cancellation = Cancellation::new();
        let options = options(tls).open_timeout(Duration::MAX).cancellation(&cancellation);
        thread::spawn(move || {
            thread::sleep(LIMIT);
            cancellation.cancel();
        });
        let (result, took) = open(options, "wss://localhost:9/");
        assert_eq!(result.unwrap_err().close_info().unwrap().cause, CloseCause::Cancelled);
        assert!(took < LIMIT + Duration::from_secs(1), "{took:?}");
        return;
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    let test = format!("files::{}::a_file_of_the_system_that_blocks_costs_no_more_either", module(&tls));
    let files = directory(&format!("system-fifo-{}", module(&tls)));
    again_with(&test, "SSL_CERT_FILE", fifo(files.join("fifo")).as_os_str(), "part");
    fs::remove_dir_all(files).unwrap();
}

/// A shell's `<(…)`.
fn what_comes_through_a_pipe_is_read_to_its_end(tls: TlsOptions) {
    let authority = Authority::new();
    let files = directory(&format!("pipe-{}", module(&tls)));
    let path = fifo(files.join("fifo"));
    let writer = thread::spawn({
        let (path, pem) = (path.clone(), authority.pem.clone());
        move || {
            thread::sleep(Duration::from_millis(50));
            let mut file = File::options().write(true).open(path).unwrap();
            for piece in pem.as_bytes().chunks(100) {
                file.write_all(piece).unwrap();
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let (url, server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    let (result, _) = open(options(tls.ca_certs(path)), &url);
    result.unwrap().close().unwrap();
    writer.join().unwrap();
    server.join().unwrap().unwrap();
    fs::remove_dir_all(files).unwrap();
}

fn certificate_and_key_may_come_through_the_same_pipe(tls: TlsOptions) {
    let (authority, clients) = (Authority::new(), Authority::new());
    let leaf = clients.leaf("client.example", Validity::Now);
    let files = directory(&format!("both-{}", module(&tls)));
    let path = fifo(files.join("fifo"));
    let writer = thread::spawn({
        let (path, both) = (path.clone(), leaf.cert.clone() + &leaf.key);
        move || File::options().write(true).open(path).unwrap().write_all(both.as_bytes()).unwrap()
    });
    let config = authority.leaf("localhost", Validity::Now).config(&VERSIONS, Some(&clients));
    let (url, server) = serve_websocket(Arc::new(config), TlsWebSocket::echo);
    let tls = tls.ca_certs_pem(&authority.pem).client_cert(&path, &path);
    let (result, _) = open(options(tls).open_timeout(Duration::from_secs(5)), &url);
    result.unwrap().close().unwrap();
    writer.join().unwrap();
    server.join().unwrap().unwrap();
    fs::remove_dir_all(files).unwrap();
}

fn a_file_that_never_ends_or_is_too_large_is_refused_by_name(tls: TlsOptions) {
    let authority = Authority::new();
    let leaf = authority.leaf("client.example", Validity::Now);
    let files = directory(&format!("large-{}", module(&tls)));
    // It takes no room.
    let large = files.join("large.pem");
    File::create(&large).unwrap().set_len(1 << 40).unwrap();
    for path in [&large, Path::new("/dev/zero")] {
        for tls in naming(path, &tls, &leaf, &files) {
            let (_, problem) = refused(tls);
            let told = format!("{}: larger than 16 MiB", path.display());
            assert_eq!(problem, told);
        }
    }
    // In a directory it is one of those that are passed over.
    fs::write(files.join("ca.pem"), &authority.pem).unwrap();
    let (url, server) = serve_websocket(authority.server("localhost"), TlsWebSocket::echo);
    options(tls.ca_certs_dir(&files)).connect(&url).unwrap().close().unwrap();
    server.join().unwrap().unwrap();
    fs::remove_dir_all(files).unwrap();
}
