//! Proxies that take their time, and openings that are cancelled meanwhile.

use std::sync::mpsc;

use super::support::cases::Cases;
use super::support::{at_deadline, bounded, by_deadline, closed, join, ms};
use super::*;
use websocket_sync::{Cancellation, CloseCause, Phase};

/// What a proxy of this scheme may say before it falls silent.
const SILENCES: [(&str, &[u8]); 12] = [
    ("http", b""),
    ("http", b"HTTP/1.1 200 OK\r\n"),
    ("https", b""),
    ("https", b"\x16\x03\x03"),
    ("socks4a", b""),
    ("socks4a", b"\0\x5a\0\0"),
    ("socks5h", b""),
    ("socks5h", b"\x05"),
    ("socks5h", b"\x05\0"),
    ("socks5h", b"\x05\x02"),
    ("socks5h", b"\x05\0\x05\0\0\x03\x09name"),
    ("http", b"HTTP/1.1 100 Continue\r\n\r\n"),
];

/// A proxy that says this, and then nothing until nobody listens any more.
fn silent(says: &'static [u8]) -> (u16, JoinHandle<()>) {
    proxy(move |listener| {
        let mut peer = next(listener);
        peer.say(says);
        peer.rest();
    })
}

fn through(scheme: &str, port: u16) -> ConnectOptions {
    options().proxy(at(scheme, port).credentials("user", if scheme == "socks4a" { "" } else { "s3cret" }))
}

#[test]
fn silence_ends_at_the_deadline_wherever_it_falls() {
    let mut cases = Cases::new();
    for (scheme, says) in SILENCES {
        cases.add(format!("{scheme}, {:?}", says.escape_ascii().to_string()), move || {
            let (port, proxy) = silent(says);
            let options = through(scheme, port).open_timeout(ms(200));
            let result = at_deadline(ms(200), || options.connect("ws://server.example/"));
            assert!(matches!(result, Err(Error::Timeout(Phase::Proxy))), "{result:?}");
            join(proxy);
        });
    }
    cases.run(60);
}

#[test]
fn an_answer_that_comes_byte_by_byte_does_not_extend_the_deadline() {
    let mut cases = Cases::new();
    let drips: [(&str, &[u8]); 3] =
        [("http", b"HTTP/1.1 200 OK\r\n"), ("socks4a", b"\0\x5a\0\0\0\0"), ("socks5h", b"\x05\0\x05\0\0\x03\xffname")];
    for (scheme, says) in drips {
        cases.add(scheme, move || {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.drip(says, ms(90));
                peer.rest();
            });
            let options = through(scheme, port).open_timeout(ms(300));
            let result = at_deadline(ms(300), || options.connect("ws://server.example/"));
            assert!(matches!(result, Err(Error::Timeout(Phase::Proxy))), "{result:?}");
            join(proxy);
        });
    }
    cases.run(60);
}

#[test]
fn the_body_of_a_refusal_is_not_waited_for_beyond_the_deadline() {
    bounded(20, || {
        let (port, proxy) = silent(b"HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\npart");
        let options = through("http", port).open_timeout(ms(200));
        let result = at_deadline(ms(200), || options.connect("ws://server.example/"));
        let ProxyError::Refused(refusal) = wrong(result) else { panic!() };
        assert_eq!((refusal.status, refusal.body.as_slice()), (403, &b"part"[..]));
        join(proxy);
    });
}

#[test]
fn silence_on_a_new_connection_ends_at_the_same_deadline() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            peer.head();
            peer.say("HTTP/1.0 407 Auth\r\nProxy-Authenticate: Digest realm=\"r\", nonce=\"n\", qop=\"auth\"\r\n\r\n");
            drop(peer);
            next(listener).rest();
        });
        let options = through("http", port).open_timeout(ms(200));
        let result = at_deadline(ms(200), || options.connect("ws://server.example/"));
        assert!(matches!(result, Err(Error::Timeout(Phase::Proxy))), "{result:?}");
        join(proxy);
    });
}

#[test]
fn an_opening_is_cancelled_wherever_the_proxy_is() {
    bounded(60, || {
        for (scheme, says) in SILENCES {
            let (reached, is_reached) = mpsc::channel();
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.say(says);
                reached.send(()).unwrap();
                peer.rest();
            });
            let cancellation = Cancellation::new();
            let options = through(scheme, port).cancellation(&cancellation);
            let opening = thread::spawn(move || options.connect("ws://server.example/"));
            is_reached.recv().unwrap();
            thread::sleep(ms(20));
            let result = by_deadline(ms(0), || {
                cancellation.cancel();
                join(opening)
            });
            assert_eq!(closed(result).cause, CloseCause::Cancelled, "{scheme}, {says:02x?}");
            join(proxy);
        }
    });
}
