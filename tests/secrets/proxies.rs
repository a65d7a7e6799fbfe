//! What proxies are told, and what they are not.

use std::net::Shutdown;

use crate::*;

/// User and password for a proxy.
const PROXY_USERINFO: &str = "c4n4ry-proxy:c4n4ry-gate";

#[test]
fn what_a_proxy_is_told_is_seen_by_the_proxy_alone() {
    listen_to_the_log();
    bounded(60, || {
        let refusal = "HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"c4n4ry\", nonce=\"c4n4ry\", qop=\"auth\"\r\n\
                       Content-Length: 6\r\n\r\ndenied";
        for refusals in 0..=2 {
            let (server, script) = serve(move |mut peer: Peer| {
                let mut told = String::new();
                for _ in 0..refusals {
                    told += &peer.head();
                    peer.say(refusal);
                }
                if refusals < 2 {
                    told += &peer.head();
                    peer.say("HTTP/1.1 200 OK\r\n\r\n");
                    let request = peer.head();
                    peer.say(answer_to(&request));
                    assert!(!has_secret(&request), "{request}");
                }
                told
            });
            let proxy =
                Proxy::new(server.replace("ws://", &format!("http://{USERINFO}@"))).header("X-Key", "c4n4ry-12");
            assert_silent("proxy", &proxy);
            let options = ConnectOptions::new().proxy(proxy);
            assert_silent("options", &options);
            match options.connect("ws://host.example/") {
                Ok(mut ws) => {
                    assert!(refusals < 2);
                    assert_silent("connection", &ws);
                    assert_error_is_silent("later", &ws.recv().unwrap_err());
                }
                Err(error) => {
                    assert!(refusals == 2 && matches!(error, Error::Proxy(_)), "{error:?}");
                    assert_error_is_silent("refused", &error);
                }
            }
            let told = script.join();
            assert!(has_secret(&told) && told.contains("X-Key: c4n4ry-12"), "{told}");
        }
        for url in [
            format!("http://{USERINFO}@"),
            format!("http://{USERINFO}@host.example:c4n4ry"),
            format!("http://{USERINFO}@host.example/c4n4ry"),
            format!("http://{USERINFO}@other@host.example"),
            format!("http://c4n4ry/{USERINFO}@host.example"),
            format!("c4n4ry://{USERINFO}@host.example"),
            format!("socks4://{USERINFO}@127.0.0.1:1"),
            format!("socks5h://{USERINFO}@127.0.0.1:1"),
            format!("{USERINFO}@127.0.0.1:1"),
        ] {
            let proxy = Proxy::new(&url);
            assert_silent("proxy", &proxy);
            assert_error_is_silent(
                "url",
                &ConnectOptions::new().proxy(proxy).connect("ws://host.example/").unwrap_err(),
            );
        }
    });
    assert_log_is_silent();
    assert!(LOG.lines().contains("connecting through http proxy 127.0.0.1:"), "{}", LOG.lines());
}

/// A proxy that answers with `answer`, and then does what the server would do. Says what both are told.
fn through(
    proxy: fn(String) -> Proxy,
    answer: &'static [u8],
) -> (Result<websocket_sync::WebSocket, Error>, String, String) {
    let (url, script) = serve(move |mut peer: Peer| {
        let told = peer.head();
        peer.say(answer);
        let is_established = answer == b"HTTP/1.1 200 OK\r\n\r\n";
        let request = if is_established { peer.head() } else { String::new() };
        if is_established {
            peer.say(answer_to(&request));
        }
        (told, request)
    });
    let proxy = proxy(url.trim_start_matches("ws://").trim_end_matches('/').to_owned());
    assert_silent("proxy", &proxy);
    let options = all().proxy(proxy);
    assert_silent("options with a proxy", &options);
    let result = options.connect("ws://host.example/feed");
    let (told, request) = script.join();
    (result, told, request)
}

#[test]
fn what_a_proxy_is_told_the_server_does_not_hear_and_the_other_way_round() {
    listen_to_the_log();
    bounded(30, || {
        let proxies: [fn(String) -> Proxy; 3] = [
            |address| Proxy::new(format!("http://{PROXY_USERINFO}@{address}")),
            |address| Proxy::new(format!("http://{address}")).credentials("c4n4ry-proxy", "c4n4ry-gate"),
            |address| {
                Proxy::new(format!("http://{address}"))
                    .header("Proxy-Authorization", "c4n4ry-gate")
                    .header("X-Gate", "c4n4ry-gate")
            },
        ];
        for proxy in proxies {
            let (result, told, request) = through(proxy, b"HTTP/1.1 200 OK\r\n\r\n");
            assert_silent("through a proxy", &result.unwrap());
            let for_proxy = [STANDARD.encode(PROXY_USERINFO), "c4n4ry-gate".into()];
            assert!(for_proxy.iter().any(|secret| told.contains(secret)), "{told}");
            assert!(!for_proxy.iter().any(|secret| request.contains(secret)), "{request}");
            assert!(request.contains("c4n4ry-1") && !told.contains("c4n4ry-1"), "{told}{request}");
            for answer in [
                &b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic realm=\"c4n4ry\"\r\nContent-Length: 6\r\n\r\ndenied"[..],
                b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Bearer\r\n\r\n",
                b"HTTP/1.1 403 No\r\nSet-Cookie: a=c4n4ry\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 200 OK\r\n\r\nc4n4ry",
                b"HTTP/1.1 c4n4ry\r\n\r\n",
                b"c4n4ry\r\n\r\n",
                b"",
            ] {
                let (result, _, _) = through(proxy, answer);
                assert_error_is_silent(&answer.escape_ascii().to_string(), &result.unwrap_err());
            }
        }
    });
    assert_log_is_silent();
}

#[test]
fn a_proxy_that_is_not_reached_tells_no_secret() {
    listen_to_the_log();
    bounded(30, || {
        let answers: [&'static [u8]; 5] = [
            b"\x05\xff",
            b"\x05\x02\x01\x01",
            b"\x05\x02\x01\x00\x05\x02\x00\x01\0\0\0\0\0\0",
            b"\0\x5d\0\0\0\0\0\0",
            b"",
        ];
        for scheme in ["socks4", "socks4a", "socks5", "socks5h"] {
            for answer in answers {
                let (url, script) = serve(move |mut peer: Peer| {
                    let _ = peer.try_say(answer);
                    // Who was refused may have gone.
                    let _ = peer.socket().shutdown(Shutdown::Write);
                    peer.rest()
                });
                let address = url.trim_start_matches("ws://").trim_end_matches('/');
                let userinfo = if scheme.starts_with("socks4") { "c4n4ry-proxy" } else { PROXY_USERINFO };
                let proxy = Proxy::new(format!("{scheme}://{userinfo}@{address}"));
                assert_silent(scheme, &proxy);
                let error = at(&url, all().proxy(proxy)).connect(&url_of_an_address()).unwrap_err();
                assert!(matches!(error, Error::Proxy(_)), "{error:?}");
                assert_error_is_silent(scheme, &error);
                script.join();
            }
        }
    });
    assert_log_is_silent();
}

/// SOCKS 4 cannot be told a name.
fn url_of_an_address() -> String {
    format!("ws://{USERINFO}@192.0.2.1/feed?token=c4n4ry")
}

#[test]
fn entries_that_mean_nothing_are_told_by_their_place_and_not_by_what_they_are() {
    listen_to_the_log();
    let bypassed = ["host.example", "http://c4n4ry@proxy", "10.0.0.0/33 other.example", "127.0.0.1"];
    let options = ConnectOptions::new().proxy("http://proxy.example").bypass_proxy(bypassed);
    // Port 1 of this machine refuses.
    options.connect("ws://127.0.0.1:1/").unwrap_err();
    let told = "bypass_proxy has entries that are no name, address or network and match nothing, at place 2, 3";
    let lines = LOG.lines().lines().filter(|line| line.ends_with(told)).count();
    assert_eq!(lines, 1);
    assert_log_is_silent();
}
