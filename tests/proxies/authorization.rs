//! Basic and Digest with an HTTP proxy.

use md5::{Digest, Md5};

use super::support::{bounded, join};
use super::*;

const DIGEST: &str = "Proxy-Authenticate: Digest realm=\"r\", qop=\"auth\", nonce=\"n1\", opaque=\"o\"\r\n";
const STALE: &str = "Proxy-Authenticate: Digest realm=\"r\", qop=\"auth\", nonce=\"n2\", Stale=TRUE\r\n";
const BASIC: &str = "Proxy-Authenticate: Basic realm=\"r\"\r\n";

fn refusal(fields: &str) -> String {
    format!("HTTP/1.1 407 Proxy Authentication Required\r\n{fields}Content-Length: 3000\r\n\r\n{}", "x".repeat(3000))
}

/// The value of `Proxy-Authorization`.
#[track_caller]
fn authorization(head: &str) -> &str {
    assert!(head.starts_with("CONNECT server.example:80 HTTP/1.1\r\n"), "{head}");
    head.lines().find_map(|line| line.strip_prefix("Proxy-Authorization: ")).expect("an authorization")
}

/// A parameter of Digest.
#[track_caller]
fn parameter<'a>(authorization: &'a str, name: &str) -> &'a str {
    let value = authorization.split([' ', ',']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {name} in {authorization}")).trim_matches('"')
}

/// Asserts that this proves to know the password (RFC 7616, section 3.4).
#[track_caller]
fn assert_digest(authorization: &str, nonce: &str) {
    let hash = |text: String| Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of = |name| parameter(authorization, name);
    assert_eq!((of("username"), of("realm"), of("nonce")), ("user", "r", nonce));
    assert_eq!((of("uri"), of("qop"), of("nc")), ("server.example:80", "auth", "00000001"));
    let (who, what) = (hash("user:r:s3cret".into()), hash("CONNECT:server.example:80".into()));
    let expected = hash(format!("{who}:{nonce}:00000001:{}:auth:{what}", of("cnonce")));
    assert_eq!(of("response"), expected);
    assert!(of("cnonce").len() >= 16, "{authorization}");
}

/// What comes of connecting through this proxy as `user` with the password `s3cret`. Nothing of it may be in what is told.
#[track_caller]
fn connect(port: u16) -> Result<()> {
    let proxy = Proxy::new(format!("http://user:s3cret@127.0.0.1:{port}"));
    let opened = options().proxy(proxy).connect("ws://server.example/");
    let told = format!("{opened:?}");
    assert!(!told.contains("s3cret") && !told.contains("dXNlcjpzM2NyZXQ="), "{told}");
    opened.map(|mut ws| say_back(&mut ws))
}

/// Makes the tunnel, and is the server.
fn establish(peer: &mut Peer) {
    peer.say(ESTABLISHED);
    let heard = serve_hello(peer);
    assert!(!heard.contains("uthorization") && !heard.contains("s3cret"), "{heard}");
}

#[test]
fn basic_is_sent_before_it_is_asked_for_and_never_to_the_server() {
    bounded(20, || {
        for (url, expected) in [
            ("http://user:s3cret@127.0.0.1", "Basic dXNlcjpzM2NyZXQ="),
            ("http://user:s3cret@127.0.0.1/", "Basic dXNlcjpzM2NyZXQ="),
            ("http://user@127.0.0.1", "Basic dXNlcjo="),
            ("http://a%40b:c%3Ad@127.0.0.1", "Basic YUBiOmM6ZA=="),
        ] {
            let (port, proxy) = proxy(|listener| {
                let mut peer = next(listener);
                let head = peer.head();
                establish(&mut peer);
                head
            });
            let url = format!("{}:{port}", url.trim_end_matches('/'));
            say_back(&mut options().proxy(url).connect("ws://server.example/").unwrap());
            assert_eq!(authorization(&join(proxy)), expected);
        }
    });
}

#[test]
fn digest_is_answered_on_the_connection_that_was_kept() {
    bounded(20, || {
        for fields in
            [DIGEST.to_owned(), [BASIC, DIGEST].concat(), [DIGEST, "Connection: keep-alive\r\n", BASIC].concat()]
        {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                assert_eq!(authorization(&peer.head()), "Basic dXNlcjpzM2NyZXQ=");
                peer.say(refusal(&fields));
                assert_digest(authorization(&peer.head()), "n1");
                establish(&mut peer);
            });
            connect(port).unwrap();
            join(proxy);
        }
    });
}

#[test]
fn digest_is_answered_on_a_new_connection_where_the_old_one_is_closed() {
    bounded(20, || {
        let closing = [
            refusal(&[DIGEST, "Connection: close\r\n"].concat()),
            refusal(&[DIGEST, "Proxy-Connection: close\r\n"].concat()),
            refusal(DIGEST).replace("HTTP/1.1", "HTTP/1.0"),
            format!("HTTP/1.1 407 Auth\r\n{DIGEST}\r\nuntil the end"),
            // It does not say so, and closes all the same.
            refusal(DIGEST),
        ];
        for answer in closing {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                peer.head();
                peer.say(answer);
                peer.fall_silent();
                // Whatever was said to it is lost.
                let mut again = next(listener);
                assert_digest(authorization(&again.head()), "n1");
                establish(&mut again);
            });
            connect(port).unwrap();
            join(proxy);
        }
    });
}

#[test]
fn a_nonce_that_has_grown_old_is_replaced_once() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            peer.head();
            peer.say(refusal(DIGEST));
            assert_digest(authorization(&peer.head()), "n1");
            peer.say(refusal(STALE));
            assert_digest(authorization(&peer.head()), "n2");
            peer.say(refusal(STALE));
            assert_eq!(peer.rest(), b"", "asked a fourth time");
        });
        assert!(wrong(connect(port)).wants_credentials());
        join(proxy);
    });
}

#[test]
fn credentials_that_are_not_accepted_are_not_tried_again() {
    bounded(20, || {
        // tinyproxy says 401 of a wrong password.
        let unauthorized = "HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"r\"\r\n\r\n".to_owned();
        for answers in [
            vec![refusal(BASIC)],
            vec![refusal("")],
            vec![refusal("Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: NTLM\r\n")],
            vec![refusal("Proxy-Authenticate: Digest realm=\"r\"\r\n")],
            vec![unauthorized],
            vec![refusal(DIGEST), refusal(DIGEST)],
            vec![refusal(DIGEST), refusal(BASIC)],
        ] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                for answer in answers {
                    authorization(&peer.head());
                    peer.say(answer);
                }
                peer.fall_silent();
                assert_eq!(peer.rest(), b"", "asked once more");
            });
            let problem = wrong(connect(port));
            assert!(problem.wants_credentials() && problem.retry() == Retry::Slowly, "{problem:?}");
            join(proxy);
        }
    });
}

#[test]
fn without_credentials_none_are_sent_and_the_refusal_says_what_is_wanted() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            assert!(!peer.head().contains("uthorization"));
            peer.say(refusal(DIGEST));
            assert_eq!(peer.rest(), b"", "asked once more");
        });
        let problem = wrong(options().proxy(at("http", port)).connect("ws://server.example/"));
        assert!(problem.wants_credentials());
        let ProxyError::Refused(refusal) = problem else { panic!("{problem:?}") };
        assert_eq!((refusal.status, refusal.body.len()), (407, 3000));
        assert!(refusal.headers.text("proxy-authenticate").unwrap().starts_with("Digest"));
        join(proxy);
    });
}

#[test]
fn a_user_with_a_colon_is_told_by_digest_only() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            assert!(!peer.head().contains("uthorization"));
            peer.say(refusal(DIGEST));
            assert_eq!(parameter(authorization(&peer.head()), "username"), "a:b");
            establish(&mut peer);
        });
        let via = at("http", port).credentials("a:b", "s3cret");
        say_back(&mut options().proxy(via).connect("ws://server.example/").unwrap());
        join(proxy);
    });
}

#[test]
fn a_realm_that_is_not_utf_8_is_answered_with_the_same_bytes() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            peer.head();
            peer.say(
                [
                    &b"HTTP/1.1 407 Who\r\nProxy-Authenticate: Digest realm=\"caf\xe9\", nonce=\"n\xff\"\r\n"[..],
                    b"Content-Length: 0\r\n\r\n",
                ]
                .concat(),
            );
            let head = peer.head_bytes();
            establish(&mut peer);
            head
        });
        connect(port).unwrap();
        let head = join(proxy);
        let hash = |text: &[u8]| Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (who, what) = (hash(b"user:caf\xe9:s3cret"), hash(b"CONNECT:server.example:80"));
        let response = hash(&[who.as_bytes(), b":n\xff:", what.as_bytes()].concat());
        let expected = [
            &b"Proxy-Authorization: Digest username=\"user\", realm=\"caf\xe9\", nonce=\"n\xff\", "[..],
            format!("uri=\"server.example:80\", response=\"{response}\"\r\n").as_bytes(),
        ]
        .concat();
        assert!(head.windows(expected.len()).any(|part| part == expected), "{}", head.escape_ascii());
    });
}

#[test]
fn digest_only_tells_a_proxy_no_password_in_clear_text() {
    bounded(20, || {
        for (challenges, is_answered) in [(BASIC.to_owned(), false), ([BASIC, DIGEST].concat(), true)] {
            let (port, proxy) = proxy(move |listener| {
                let mut peer = next(listener);
                let first = peer.head();
                assert!(!first.contains("Proxy-Authorization"), "{first}");
                peer.say(refusal(&challenges));
                if is_answered {
                    assert_digest(authorization(&peer.head()), "n1");
                    establish(&mut peer);
                } else {
                    assert_eq!(peer.rest(), b"");
                }
            });
            let given = Proxy::new(format!("http://user:s3cret@127.0.0.1:{port}"));
            let opened = options().digest_only().proxy(given).connect("ws://server.example/");
            match opened {
                Ok(mut ws) if is_answered => say_back(&mut ws),
                Err(Error::Proxy(error)) if !is_answered => assert!(error.wants_credentials(), "{error}"),
                other => panic!("{other:?}"),
            }
            join(proxy);
        }
    });
}

/// With a port of one's own there can be one connection to the proxy at a time, and some proxies allow a client no second one.
#[cfg(unix)]
#[test]
fn the_old_connection_is_closed_before_a_new_one_is_made() {
    bounded(20, || {
        let (port, proxy) = proxy(|listener| {
            let mut peer = next(listener);
            peer.head();
            peer.say(format!("HTTP/1.1 407 Auth\r\n{DIGEST}\r\nuntil the end"));
            drop(peer);
            let mut again = next(listener);
            assert_digest(authorization(&again.head()), "n1");
            establish(&mut again);
        });
        let own = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let options = options().socket(SocketOptions::new().bind(own));
        let via = Proxy::new(format!("http://user:s3cret@127.0.0.1:{port}"));
        let mut ws = options.proxy(via).connect("ws://server.example/").unwrap();
        assert_eq!(ws.local_addr(), Some(own));
        say_back(&mut ws);
        join(proxy);
    });
}
