//! HTTP proxies without authorization.

use super::support::{Memory, bounded, join, ms};
use super::*;
use websocket_sync::Timings;

#[test]
fn ws_goes_through_a_tunnel_and_only_the_proxy_knows_of_it() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            let asked = peer.head();
            peer.say(ESTABLISHED);
            (asked, serve_hello(&mut peer))
        });
        let options = options().proxy(at("http", port).header("User-Agent", "s3cret/1"));
        let mut ws = options.connect("ws://server.example/path?query").unwrap();
        say_back(&mut ws);
        assert_eq!(ws.peer_addr().unwrap().port(), port);
        let timings = ws.timings().unwrap();
        assert!(timings.resolve.is_some() && timings.connect.is_some() && timings.proxy.is_some(), "{timings:?}");
        assert!(matches!(timings, Timings { tls: None, handshake: Some(_), .. }));
        let (asked, heard) = join(proxy);
        assert_eq!(
            asked,
            "CONNECT server.example:80 HTTP/1.1\r\nHost: server.example:80\r\nUser-Agent: s3cret/1\r\n\r\n"
        );
        assert!(heard.starts_with("GET /path?query HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("\r\nHost: server.example\r\n"), "{heard}");
        assert!(!heard.contains("s3cret") && !heard.contains("proxy"), "{heard}");
    });
}

#[test]
fn the_server_is_named_by_host_and_port_and_ipv6_has_its_brackets() {
    bounded(20, || {
        for (url, expected) in [
            ("ws://server.example:8080/", "server.example:8080"),
            ("ws://10.1.2.3/", "10.1.2.3:80"),
            ("ws://[2001:db8::1]/", "[2001:db8::1]:80"),
            ("wss://[2001:db8::1]:9/", "[2001:db8::1]:9"),
            ("wss://SERVER.example/", "server.example:443"),
            ("ws://localhost/", "localhost:80"),
        ] {
            let (port, proxy) = proxy(|listener| {
                let mut peer = next(listener);
                let asked = peer.head();
                peer.say("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
                asked
            });
            wrong(options().proxy(at("http", port)).connect(url));
            let request = format!("CONNECT {expected} HTTP/1.1\r\nHost: {expected}\r\n\r\n");
            assert_eq!(join(proxy), request, "{url}");
        }
    });
}

#[test]
fn any_2xx_is_a_tunnel_in_any_piece_and_behind_interim_answers() {
    bounded(20, || {
        for answer in [
            "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
            "HTTP/1.1 204 No Content\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        ] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.drip(answer, ms(1));
                serve_hello(&mut peer);
            });
            say_back(&mut options().proxy(at("http", port)).connect("ws://server.example/").unwrap());
            join(proxy);
        }
    });
}

#[test]
fn a_refusal_is_told_with_status_headers_and_body() {
    bounded(30, || {
        let table: [(&str, u16, &str, Retry); 7] = [
            (
                "HTTP/1.1 403 Forbidden\r\nX-Why: rules\r\nContent-Length: 9\r\n\r\nnot there",
                403,
                "not there",
                Retry::Slowly,
            ),
            ("HTTP/1.0 403 Filtered\r\nX-Why: rules\r\n\r\nnot there", 403, "not there", Retry::Slowly),
            (
                "HTTP/1.1 500 No\r\nX-Why: rules\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n0\r\n\r\n",
                500,
                "not",
                Retry::Soon,
            ),
            ("HTTP/1.1 503 Busy\r\nX-Why: rules\r\nContent-Length: 99\r\n\r\ncut o", 503, "cut o", Retry::Soon),
            ("HTTP/1.1 502 Bad\r\nX-Why: rules\r\nContent-Length: x\r\n\r\nlost", 502, "", Retry::Soon),
            ("HTTP/1.1 302 Found\r\nX-Why: rules\r\nLocation: ws://evil/\r\n\r\n", 302, "", Retry::Soon),
            ("HTTP/1.1 101 Switching Protocols\r\nX-Why: rules\r\nUpgrade: websocket\r\n\r\n", 101, "", Retry::Soon),
        ];
        for (answer, status, body, retry) in table {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.say(answer);
                peer.fall_silent();
                assert_eq!(peer.rest(), b"", "said to a proxy that had refused");
            });
            let problem = wrong(options().proxy(at("http", port)).connect("ws://server.example/"));
            assert_eq!(problem.retry(), retry, "{status}");
            let ProxyError::Refused(refusal) = problem else { panic!("{problem:?}") };
            assert_eq!((refusal.status, refusal.body.as_slice()), (status, body.as_bytes()));
            assert_eq!(refusal.headers.text("x-why").as_deref(), Some("rules"));
            join(proxy);
        }
    });
}

#[test]
fn the_body_of_a_refusal_is_bounded() {
    bounded(30, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            peer.head();
            peer.say("HTTP/1.1 403 Forbidden\r\n\r\n");
            let _ = peer.repeat([b'x'; 1000], 1_000_000);
        });
        let options = options().proxy(at("http", port)).max_refusal_body(5000);
        let memory = Memory::now();
        let ProxyError::Refused(refusal) = wrong(options.connect("ws://server.example/")) else { panic!() };
        assert_eq!(refusal.body.len(), 5000);
        assert!(memory.peak() < 32 << 20, "{}", memory.peak());
        join(proxy);
    });
}

#[test]
fn bytes_behind_the_answer_are_refused() {
    bounded(20, || {
        for (url, early) in [
            ("ws://server.example/", "\r\n"),
            ("ws://server.example/", "HTTP/1.1 101 Switching Protocols\r\n"),
            ("wss://server.example/", "\x16\x03\x01"),
        ] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.say([ESTABLISHED, early].concat());
                assert_eq!(peer.rest(), b"", "said to a server that speaks first");
            });
            let problem = wrong(options().proxy(at("http", port)).connect(url));
            assert!(matches!(problem, ProxyError::EarlyBytes), "{problem:?}");
            join(proxy);
        }
    });
}

#[test]
fn an_answer_that_does_not_end_is_bounded() {
    bounded(60, || {
        let bombs: [(&str, &str); 4] = [
            ("HTTP/1.1 200 OK\r\nX: ", "aaaaaaaa"),
            ("HTTP/1.1 200 OK\r\n", "A: b\r\n"),
            ("", "HTTP/1.1 100 Continue\r\n\r\n"),
            ("", "aaaaaaaa"),
        ];
        for (first, again) in bombs {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                let _ = peer.try_say(first);
                assert!(peer.repeat(again, 100 << 20).is_err(), "all of it was listened to");
            });
            let memory = Memory::now();
            let problem = wrong(options().proxy(at("http", port)).connect("ws://server.example/"));
            assert!(matches!(problem, ProxyError::Http(_)) && problem.retry() == Retry::Soon, "{problem:?}");
            assert!(memory.peak() < 32 << 20, "{}", memory.peak());
            join(proxy);
        }
    });
}

#[test]
fn what_is_no_http_is_told() {
    bounded(20, || {
        for answer in
            ["GARBAGE", "SSH-2.0-x\r\n", "\x05\u{ff}", "HTTP/1.1 XX OK\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"]
        {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.say(answer);
                peer.rest();
            });
            let problem = wrong(options().proxy(at("http", port)).connect("ws://server.example/"));
            assert!(matches!(problem, ProxyError::Http(_)), "{answer:?}: {problem:?}");
            join(proxy);
        }
    });
}

#[test]
fn an_end_instead_of_an_answer_is_worth_another_attempt() {
    bounded(20, || {
        for said in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\n"] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.say(said);
            });
            let problem = wrong(options().proxy(at("http", port)).connect("ws://server.example/"));
            assert!(matches!(problem, ProxyError::Eof) && problem.is_retryable(), "{problem:?}");
            join(proxy);
        }
    });
}

#[test]
fn a_proxy_that_is_not_there_is_told_by_its_name() {
    bounded(20, || {
        let (port, proxy) = proxy(|_| ());
        join(proxy);
        for scheme in ["http", "https", "socks4a", "socks5h"] {
            let error = options().proxy(at(scheme, port)).connect("ws://server.example/").unwrap_err();
            assert_eq!(error.to_string(), format!("cannot connect to proxy \"proxy.example:{port}\""));
            assert!(error.is_retryable());
        }
        let nowhere = ConnectOptions::new().resolver(|_, _| Ok(Vec::new())).proxy("http://nowhere.example");
        let error = nowhere.connect("ws://10.0.0.1/").unwrap_err();
        assert!(matches!(&error, Error::Address(inner) if inner.host == "nowhere.example"), "{error:?}");
    });
}

#[test]
fn servers_that_are_excepted_are_connected_to_directly() {
    bounded(20, || {
        let (port, server) = proxy(|listener| serve_hello(&mut next(listener)));
        let url = format!("ws://proxy.example:{port}/");
        let nobody = options().proxy("http://127.0.0.1:9").bypass_proxy(["other.example", ".example"]);
        say_back(&mut nobody.connect(&url).unwrap());
        assert!(join(server).starts_with("GET / HTTP/1.1\r\n"));
    });
}

#[test]
fn the_users_header_fields_replace_ours() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            let asked = peer.head();
            peer.say(ESTABLISHED);
            (asked, serve_hello(&mut peer))
        });
        let via = at("http", port)
            .credentials("user", "s3cret")
            .header("host", "other")
            .header("Proxy-authorization", "Bearer s3cret");
        say_back(&mut options().proxy(via).connect("ws://server.example/").unwrap());
        let (asked, heard) = join(proxy);
        assert_eq!(
            asked,
            "CONNECT server.example:80 HTTP/1.1\r\nhost: other\r\nProxy-authorization: Bearer s3cret\r\n\r\n"
        );
        assert!(!heard.contains("s3cret"), "{heard}");
    });
}
