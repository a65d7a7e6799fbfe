//! The interop client: asks a server everything in list.rs or in compressed.rs, or expects to be refused by TLS.

mod compressed;
mod list;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use websocket_sync::{ConnectOptions, Error, TlsOptions};

const USAGE: &str =
    "usage: interop_client URL [--ca FILE] [--without TEST]... | URL --deflate | URL --ca FILE --refused TEXT";

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1);
    let (mut url, mut options, mut without, mut refused) = (None, ConnectOptions::new(), Vec::new(), None);
    let mut tests: &[list::Test] = &list::TESTS;
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), &url) {
            ("--ca", _) => options = options.tls(TlsOptions::new().ca_certs(arguments.next().expect(USAGE))),
            ("--without", _) => without.push(arguments.next().expect(USAGE)),
            ("--deflate", _) => tests = &compressed::TESTS,
            ("--refused", _) => refused = Some(arguments.next().expect(USAGE)),
            (_, None) => url = Some(argument),
            _ => panic!("{USAGE}"),
        }
    }
    let peer = list::Peer { url: url.expect(USAGE), options };
    match refused {
        Some(text) => expect_refusal(&peer, &text),
        None => ask(&peer, tests, &without),
    }
}

/// Asks one after the other, and says which were left out.
fn ask(peer: &list::Peer, tests: &[list::Test], without: &[String]) -> ExitCode {
    let mut passed = 0;
    for (name, test) in tests {
        let began = Instant::now();
        if without.iter().any(|other| other == name) {
            println!("LEFT OUT {name}: this server cannot do it");
            continue;
        }
        if let Err(error) = test(peer) {
            eprintln!("FAILED {name}: {}", chain(&error));
            return ExitCode::FAILURE;
        }
        println!("ok {name}, {} ms", began.elapsed().as_millis());
        passed += 1;
    }
    println!("{passed} passed");
    ExitCode::SUCCESS
}

/// Connecting must fail in TLS, for the reason given.
fn expect_refusal(peer: &list::Peer, text: &str) -> ExitCode {
    let options = peer.options.clone().open_timeout(Duration::from_secs(10));
    let Err(error) = options.connect(&peer.url) else {
        eprintln!("FAILED: the connection was not refused");
        return ExitCode::FAILURE;
    };
    let said = chain(&error);
    if !matches!(error, Error::Tls(_)) || !said.contains(text) {
        eprintln!("FAILED: {text:?} was expected in a TLS error, not {said}");
        return ExitCode::FAILURE;
    }
    println!("ok refused: {said}\n1 passed");
    ExitCode::SUCCESS
}

/// An error and what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
