//! SOCKS proxies. Every reply is in the tables beside the code; here they make tunnels.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::support::{bounded, join};
use super::*;

const GRANTED: &[u8] = b"\0\x5a\0\0\0\0\0\0";
const SUCCEEDED: &[u8] = b"\x05\0\0\x03\x07unknown\0\0";

/// Options that know where `server.example` is, too.
fn knowing(addresses: &'static [[u8; 4]]) -> ConnectOptions {
    ConnectOptions::new().resolver(move |host, port| match host {
        "proxy.example" => Ok(vec![([127, 0, 0, 1], port).into()]),
        "server.example" => Ok(addresses.iter().map(|&address| (address, port).into()).collect()),
        _ => panic!("{host} is looked up"),
    })
}

/// What a proxy hears and says, in turn.
type Dialogue = &'static [(&'static [u8], &'static [u8])];

#[test]
fn every_version_makes_tunnels_with_and_without_a_user() {
    const NAME: &[u8] = b"\x05\x01\0\x03\x0eserver.example\0\x50";
    const ADDRESS: &[u8] = b"\x05\x01\0\x01\x0a\0\0\x01\0\x50";
    const PASSWORD: &[u8] = b"\x01\x04user\x06s3cret";
    const BOTH: &[u8] = b"\x05\x02\0\x02";
    let local = || knowing(&[[10, 0, 0, 1], [10, 0, 0, 2]]);
    let table: [(ConnectOptions, &str, &str, Dialogue); 8] = [
        (local(), "socks4", "", &[(b"\x04\x01\0\x50\x0a\0\0\x01\0", GRANTED)]),
        (local(), "socks4", "user", &[(b"\x04\x01\0\x50\x0a\0\0\x01user\0", GRANTED)]),
        (options(), "socks4a", "", &[(b"\x04\x01\0\x50\0\0\0\x01\0server.example\0", GRANTED)]),
        (options(), "socks4a", "user", &[(b"\x04\x01\0\x50\0\0\0\x01user\0server.example\0", GRANTED)]),
        (local(), "socks5", "", &[(b"\x05\x01\0", b"\x05\0"), (ADDRESS, SUCCEEDED)]),
        (local(), "socks5", "user", &[(BOTH, b"\x05\x02"), (PASSWORD, b"\x01\0"), (ADDRESS, SUCCEEDED)]),
        (options(), "socks5h", "", &[(b"\x05\x01\0", b"\x05\0"), (NAME, SUCCEEDED)]),
        (options(), "socks5h", "user", &[(BOTH, b"\x05\x02"), (PASSWORD, b"\x01\0"), (NAME, SUCCEEDED)]),
    ];
    bounded(30, || {
        for (options, scheme, user, dialogue) in table {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                for (hears, says) in dialogue {
                    peer.hear(hears);
                    peer.say(says);
                }
                serve_hello(&mut peer)
            });
            let password = if scheme.starts_with("socks4") { "" } else { "s3cret" };
            let via = match user {
                "" => at(scheme, port),
                user => at(scheme, port).credentials(user, password),
            };
            let mut ws = options.proxy(via).connect("ws://server.example/").unwrap();
            say_back(&mut ws);
            assert!(ws.timings().unwrap().proxy.is_some());
            let heard = join(proxy);
            assert!(heard.contains("Host: server.example\r\n") && !heard.contains("s3cret"), "{heard}");
        }
    });
}

#[test]
fn the_next_address_is_asked_for_where_one_is_not_reached() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            for (address, reply) in [(1, 5), (2, 4), (3, 0)] {
                let mut peer = next(listener);
                peer.hear(b"\x05\x01\0");
                peer.say(b"\x05\0");
                peer.hear([5, 1, 0, 1, 10, 0, 0, address, 0, 80]);
                peer.say([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
                if reply == 0 {
                    serve_hello(&mut peer);
                }
            }
        });
        let options = knowing(&[[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]]).proxy(at("socks5", port));
        say_back(&mut options.connect("ws://server.example/").unwrap());
        join(proxy);
    });
}

/// Another address of the server changes nothing about user and password, and each try may count as one too many.
#[test]
fn a_proxy_that_hangs_up_on_user_and_password_is_told_them_once() {
    bounded(20, || {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let (port, _proxy) = proxy(move |listener| {
            loop {
                let mut peer = next(listener);
                peer.hear(b"\x05\x02\0\x02");
                peer.say(b"\x05\x02");
                peer.hear(b"\x01\x04user\x06s3cret");
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        let options = knowing(&[[10, 0, 0, 1], [10, 0, 0, 2]]);
        let options = options.proxy(at("socks5", port).credentials("user", "s3cret"));
        let problem = wrong(options.connect("ws://server.example/"));
        assert!(matches!(problem, ProxyError::Eof), "{problem:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_proxy_without_ipv6_is_asked_for_ipv4() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            for (request, reply) in [(&b"\x05\x01\0\x04"[..], 8), (b"\x05\x01\0\x01\x0a\0\0\x01\0\x50", 0)] {
                let mut peer = next(listener);
                peer.hear(b"\x05\x01\0");
                peer.say(b"\x05\0");
                peer.hear(request);
                peer.say([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
                if reply == 0 {
                    serve_hello(&mut peer);
                } else {
                    peer.rest();
                }
            }
        });
        let both = ConnectOptions::new().resolver(|host, port| match host {
            "server.example" => Ok(vec![(Ipv6Addr::LOCALHOST, port).into(), ([10, 0, 0, 1], port).into()]),
            _ => Ok(vec![([127, 0, 0, 1], port).into()]),
        });
        say_back(&mut both.proxy(at("socks5", port)).connect("ws://server.example/").unwrap());
        join(proxy);
    });
}

#[test]
fn no_more_than_four_addresses_are_asked_for_and_a_ban_ends_it() {
    bounded(20, || {
        for (reply, times) in [(5, 4), (2, 1)] {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let (port, proxy) = proxy(move |listener| {
                for _ in 0..times {
                    let mut peer = next(listener);
                    peer.hear(b"\x05\x01\0");
                    peer.say([5, 0, 5, reply, 0, 1, 0, 0, 0, 0, 0, 0]);
                    peer.rest();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
            let options = knowing(&[[10, 0, 0, 1]; 9]).proxy(at("socks5", port));
            let problem = wrong(options.connect("ws://server.example/"));
            assert!(matches!(problem, ProxyError::Socks { version: 5, code } if code == reply), "{problem:?}");
            join(proxy);
            assert_eq!(asked.load(Ordering::Relaxed), times);
        }
    });
}

#[test]
fn a_password_that_is_not_accepted_is_told() {
    bounded(20, || {
        // microsocks: for a wrong password, and for none.
        for (user, says) in [("user", &b"\x05\x02\x01\x02"[..]), ("", b"\x05\xff")] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.say(says);
                peer.rest();
            });
            let via =
                if user.is_empty() { at("socks5h", port) } else { at("socks5h", port).credentials(user, "s3cret") };
            let problem = wrong(options().proxy(via).connect("ws://server.example/"));
            assert!(matches!(problem, ProxyError::Authentication) && problem.wants_credentials(), "{problem:?}");
            join(proxy);
        }
    });
}

/// It may have one later, when an app tries again.
#[test]
fn a_name_without_an_ipv4_address_is_none_for_version_4() {
    let options = ConnectOptions::new().resolver(|host, port| {
        assert_eq!(host, "server.example", "the proxy need not be found");
        Ok(vec![(Ipv6Addr::LOCALHOST, port).into()])
    });
    let error = options.proxy("socks4://proxy.example").connect("ws://server.example/").unwrap_err();
    let Error::Address(unfit) = &error else { panic!("{error:?}") };
    assert_eq!(unfit.host, "server.example");
    assert_eq!(unfit.problem.to_string(), "it has no IPv4 address, and SOCKS 4 knows no others");
    assert_eq!(error.retry(), Retry::Soon);
}

#[test]
fn what_cannot_be_said_is_refused_before_anybody_is_asked() {
    let unasked = || ConnectOptions::new().resolver(|host, _| panic!("{host} is looked up"));
    let long = "x".repeat(256);
    for proxy in [
        Proxy::new("socks5h://proxy.example").credentials(&long, ""),
        Proxy::new("socks5://proxy.example").credentials("", &long),
        Proxy::new("socks4://user:s3cret@proxy.example"),
        Proxy::new("socks4a://us%00er@proxy.example"),
        Proxy::new("socks://proxy.example"),
        Proxy::new("http://proxy.example").header("X-A", "a\r\nX-Evil: 1"),
    ] {
        let problem = wrong(unasked().proxy(proxy).connect("ws://server.example/"));
        assert!(!problem.to_string().contains("s3cret") && !problem.is_retryable(), "{problem}");
    }
}

#[test]
fn bytes_behind_the_answer_are_refused() {
    bounded(20, || {
        let answers: [(&str, &[u8]); 3] = [
            ("socks4a", b"\0\x5a\0\0\0\0\0\0"),
            ("socks5h", b"\x05\0\0\x01\0\0\0\0\0\0"),
            ("socks5h", b"\x05\0\0\x03\x01a\0\0"),
        ];
        for (scheme, answer) in answers {
            for (url, early) in [
                ("ws://server.example/", &b"HTTP/1.1 503 Injected\r\n\r\n"[..]),
                ("ws://server.example/", b"\0"),
                ("wss://server.example/", b"\x16\x03\x01"),
            ] {
                let (port, proxy) = proxy(move |listener| {
                    let mut peer = next(listener);
                    if scheme == "socks5h" {
                        peer.hear([5, 1, 0]);
                        peer.say([5, 0]);
                    }
                    peer.hear([if scheme == "socks5h" { 5 } else { 4 }, 1]);
                    peer.say([answer, early].concat());
                    peer.rest()
                });
                let problem = wrong(options().proxy(at(scheme, port)).connect(url));
                assert!(matches!(problem, ProxyError::EarlyBytes), "{problem:?}");
                // The rest of the request for a tunnel, and nothing for a server.
                assert!(join(proxy).len() < 40);
            }
        }
    });
}
