//! The cookie jar: which cookies it takes, which requests they go with, and what becomes of them in an opening handshake.

#![cfg(feature = "cookies")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::thread;

use support::site::{Site, fields, open, path, status};
use support::{Peer, Script, answer_to, bounded, serve};
use websocket_sync::{ConnectOptions, CookieError, CookieJar, Error};

/// What is set from where, and what a request then bears.
type Row = (&'static [(&'static str, &'static str)], &'static str, &'static str);

#[track_caller]
fn check(rows: &[Row]) {
    for (sets, url, expected) in rows {
        let jar = CookieJar::new();
        for (from, cookie) in *sets {
            // Whether it was refused is seen by what follows.
            let _ = jar.set(from, cookie);
        }
        assert_eq!(jar.cookies_for(url).unwrap_or_default(), *expected, "{sets:?} for {url}");
    }
}

#[test]
fn cookies_go_back_to_the_host_that_set_them_or_below_its_domain() {
    check(&[
        // A cookie without a Domain belongs to its host; websocket-client forgot it, or gave it to all.
        (&[("ws://h.example/", "a=b")], "ws://h.example/", "a=b"),
        (&[("ws://h.example/", "a=b")], "ws://other.example/", ""),
        (&[("ws://h.example/", "a=b")], "ws://x.h.example/", ""),
        (&[("ws://h.example/", "a=b")], "ws://example/", ""),
        // test_cookiejar: "a=b; c=d; domain=abc", where c is an attribute that nobody knows.
        (&[("ws://x.abc.com/", "a=b; c=d; domain=abc.com")], "ws://abc.com/", "a=b"),
        (&[("ws://x.abc.com/", "a=b; domain=.abc.com")], "ws://abc.com/", "a=b"),
        (&[("ws://x.abc.com/", "a=b; domain=.abc.com")], "ws://x.abc.com/", "a=b"),
        (&[("ws://x.abc.com/", "a=b; domain=abc.com")], "ws://y.z.abc.com/", "a=b"),
        (&[("ws://x.abc.com/", "a=b; domain=abc.com")], "ws://abc.com.es/", ""),
        (&[("ws://x.abc.com/", "a=b; domain=abc.com")], "ws://xabc.com/", ""),
        (
            &[("ws://x.abc.com/", "a=b; domain=ABC.com"), ("ws://x.abc.com/", "c=d; domain=abc.COM")],
            "ws://abc.com/",
            "a=b; c=d",
        ),
        (&[("ws://abc.com/", "a=b; domain=abc.com"), ("ws://xyz.com/", "e=f; domain=xyz.com")], "ws://abc.com/", "a=b"),
        (&[("ws://abc.com/", "a=b; domain=abc.com"), ("ws://xyz.com/", "e=f; domain=xyz.com")], "ws://xyz.com/", "e=f"),
        (
            &[("ws://abc.com/", "a=b; domain=abc.com"), ("ws://xyz.com/", "e=f; domain=xyz.com")],
            "ws://something.com/",
            "",
        ),
        // websocket-client gave a cookie to any domain that a server named.
        (&[("ws://evil.example/", "a=b; domain=bank.com")], "ws://bank.com/", ""),
        (&[("ws://evil.example/", "a=b; domain=bank.com")], "ws://evil.example/", ""),
        (&[("ws://127.0.0.1/", "a=b; domain=0.0.1")], "ws://127.0.0.1/", ""),
        (&[("ws://127.0.0.1/", "a=b; domain=127.0.0.1")], "ws://127.0.0.1/", "a=b"),
        (&[("ws://127.0.0.1/", "a=b")], "ws://127.0.0.2/", ""),
        (&[("ws://[::1]/", "a=b")], "ws://[0:0:0:0:0:0:0:1]/", "a=b"),
        (&[("ws://[::1]/", "a=b")], "ws://[::2]/", ""),
        (&[("ws://a.co.uk/", "a=b; domain=co.uk")], "ws://b.co.uk/", ""),
        (&[("ws://a.github.io/", "a=b; domain=github.io")], "ws://b.github.io/", ""),
        (&[("ws://a.b.co.uk/", "a=b; domain=b.co.uk")], "ws://c.b.co.uk/", "a=b"),
        (&[("ws://h.com/", "a=b; domain=com")], "ws://h.com/", ""),
        (&[("ws://github.io/", "a=b; domain=github.io")], "ws://github.io/", "a=b"),
        (&[("ws://github.io/", "a=b; domain=github.io")], "ws://me.github.io/", ""),
        (&[("ws://localhost/", "a=b; domain=localhost")], "ws://localhost/", "a=b"),
        (&[("ws://b\u{fc}cher.example/", "a=b")], "ws://xn--bcher-kva.example/", "a=b"),
        (&[("ws://H.EXAMPLE/", "a=b")], "ws://h.example/", "a=b"),
        (&[("ws://h.example./", "a=b")], "ws://h.example/", ""),
        // Cookies know no ports, and user and password are not a part of the host.
        (&[("ws://h.example:1/", "a=b")], "ws://h.example:2/", "a=b"),
        (&[("ws://user:password@h.example/", "a=b")], "ws://h.example/", "a=b"),
        (&[("ws://good.example@evil.example/", "a=b")], "ws://good.example/", ""),
    ]);
}

#[test]
fn cookies_go_with_paths_at_or_below_theirs() {
    check(&[
        (&[("ws://h.example/x/y", "a=b")], "ws://h.example/x", "a=b"),
        (&[("ws://h.example/x/y", "a=b")], "ws://h.example/x/", "a=b"),
        (&[("ws://h.example/x/y", "a=b")], "ws://h.example/x/z?q", "a=b"),
        (&[("ws://h.example/x/y", "a=b")], "ws://h.example/", ""),
        (&[("ws://h.example/x/y", "a=b")], "ws://h.example/xy", ""),
        (&[("ws://h.example/x", "a=b")], "ws://h.example/", "a=b"),
        (&[("ws://h.example", "a=b")], "ws://h.example?x", "a=b"),
        (&[("ws://h.example/", "a=b; Path=/feed")], "ws://h.example/feed", "a=b"),
        (&[("ws://h.example/", "a=b; Path=/feed")], "ws://h.example/feed/1", "a=b"),
        (&[("ws://h.example/", "a=b; Path=/feed")], "ws://h.example/feeds", ""),
        (&[("ws://h.example/", "a=b; Path=/feed")], "ws://h.example/?/feed", ""),
        (&[("ws://h.example/", "a=b; Path=/feed/")], "ws://h.example/feed", ""),
        (&[("ws://h.example/x/y", "a=b; Path=feed")], "ws://h.example/x/", "a=b"),
        (&[("ws://h.example/x/y", "a=b; Path=")], "ws://h.example/", ""),
        (&[("ws://h.example/x/y", "a=b; Path=/; Path=/x")], "ws://h.example/", ""),
    ]);
}

#[test]
fn secure_cookies_come_and_go_over_tls_only() {
    check(&[
        (&[("wss://h.example/", "a=b; Secure")], "wss://h.example/", "a=b"),
        (&[("wss://h.example/", "a=b; Secure")], "ws://h.example/", ""),
        (&[("https://h.example/", "a=b; secure=no")], "http://h.example/", ""),
        (&[("ws://h.example/", "a=b; Secure")], "wss://h.example/", ""),
        (&[("ws://localhost/", "a=b; Secure")], "wss://localhost/", ""),
        (&[("wss://localhost/", "a=b; Secure")], "ws://localhost/", ""),
        (&[("wss://h.example/", "a=b")], "ws://h.example/", "a=b"),
        (&[("http://h.example/", "a=b; HttpOnly")], "ws://h.example/", "a=b"),
        (&[("https://h.example/", "a=b; Secure; HttpOnly; SameSite=Strict")], "wss://h.example/", "a=b"),
        // What was set over TLS is not hidden by what comes without.
        (&[("wss://h.example/", "a=good; Secure"), ("ws://h.example/", "a=evil")], "wss://h.example/", "a=good"),
        (&[("wss://h.example/", "a=good; Secure"), ("ws://h.example/", "a=; Max-Age=0")], "wss://h.example/", "a=good"),
        (&[("wss://h.example/", "a=good; Secure"), ("ws://h.example/x/y", "a=evil")], "wss://h.example/x/", "a=good"),
        (
            &[("wss://h.example.com/", "a=good; Secure"), ("ws://x.example.com/", "a=evil; Domain=example.com")],
            "wss://h.example.com/",
            "a=good",
        ),
        (&[("wss://h.example/", "a=1; Secure"), ("wss://h.example/", "a=2")], "ws://h.example/", "a=2"),
        (&[("wss://h.example/", "__Secure-a=b; Secure")], "wss://h.example/", "__Secure-a=b"),
        (&[("wss://h.example/", "__secure-a=b")], "wss://h.example/", ""),
        (&[("wss://h.example/x/y", "__Host-a=b; Secure; Path=/")], "wss://h.example/", "__Host-a=b"),
        (&[("wss://h.example/", "__Host-a=b; Secure")], "wss://h.example/", ""),
        (&[("wss://h.example/", "__HOST-a=b; Secure; Path=/x")], "wss://h.example/x", ""),
        (&[("wss://h.example/", "__Host-a=b; Path=/")], "wss://h.example/", ""),
        (&[("wss://h.example.com/", "__Host-a=b; Secure; Path=/; Domain=h.example.com")], "wss://h.example.com/", ""),
    ]);
}

#[test]
fn a_cookie_replaces_its_namesake_and_can_be_taken_away() {
    const PAST: &str = "a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT";
    check(&[
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", "a=2")], "ws://h.example/", "a=2"),
        (
            &[("ws://h.example/", "a=1"), ("ws://h.example/", "b=1"), ("ws://h.example/", "a=2")],
            "ws://h.example/",
            "a=2; b=1",
        ),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", "A=2")], "ws://h.example/", "a=1; A=2"),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/x/", "a=2")], "ws://h.example/x/", "a=2; a=1"),
        (
            &[("ws://h.example.com/", "a=1"), ("ws://h.example.com/", "a=2; Domain=h.example.com")],
            "ws://h.example.com/",
            "a=1; a=2",
        ),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", PAST)], "ws://h.example/", ""),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", "a=; Max-Age=0")], "ws://h.example/", ""),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", "a=; max-age=-5")], "ws://h.example/", ""),
        (&[("ws://h.example/", "a=1"), ("ws://other.example/", "a=; Max-Age=0")], "ws://h.example/", "a=1"),
        (&[("ws://h.example/", "a=1"), ("ws://h.example/", "a=; Max-Age=0; Path=/x")], "ws://h.example/", "a=1"),
        (&[("ws://h.example/", PAST)], "ws://h.example/", ""),
        (&[("ws://h.example/", "a=1; Expires=Wed, 01 Jan 2200 00:00:00 GMT")], "ws://h.example/", "a=1"),
        (&[("ws://h.example/", "a=1; Expires=Wed, 01 Jan 2200 00:00:00 GMT; Max-Age=0")], "ws://h.example/", ""),
        (&[("ws://h.example/", "a=1; Expires=Wed, 01 Jan 1975 00:00:00 GMT; Max-Age=1000")], "ws://h.example/", "a=1"),
        (&[("ws://h.example/", "a=1; Expires=never")], "ws://h.example/", "a=1"),
    ]);
}

#[test]
fn the_examples_of_rfc_6265_come_out_as_they_say() {
    // Section 3.1.
    let jar = CookieJar::new();
    let url = "https://www.example.com/";
    let sent = |url| jar.cookies_for(url);
    jar.set(url, "SID=31d4d96e407aad42").unwrap();
    assert_eq!(sent(url).as_deref(), Some("SID=31d4d96e407aad42"));
    jar.set(url, "SID=31d4d96e407aad42; Path=/; Domain=example.com").unwrap();
    assert_eq!(sent("http://sub.example.com/x").as_deref(), Some("SID=31d4d96e407aad42"));
    jar.clear();
    jar.set(url, "SID=31d4d96e407aad42; Path=/; Secure; HttpOnly").unwrap();
    jar.set(url, "lang=en-US; Path=/; Domain=example.com").unwrap();
    assert_eq!(sent(url).as_deref(), Some("SID=31d4d96e407aad42; lang=en-US"));
    assert_eq!(sent("https://example.com/").as_deref(), Some("lang=en-US"));
    jar.set(url, "lang=en-US; Expires=Wed, 09 Jun 2221 10:18:14 GMT").unwrap();
    assert_eq!(sent(url).as_deref(), Some("SID=31d4d96e407aad42; lang=en-US; lang=en-US"));
    jar.set(url, "lang=; Expires=Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
    assert_eq!(sent(url).as_deref(), Some("SID=31d4d96e407aad42; lang=en-US"));
    assert_eq!(jar.len(), 2);
}

#[test]
fn what_a_server_must_not_set_is_refused_and_says_why() {
    let long = |length: usize| format!("a={}", "v".repeat(length));
    let rows = [
        ("ws://h.example/", "", CookieError::Syntax),
        ("ws://h.example/", "a", CookieError::Syntax),
        ("ws://h.example/", "=b", CookieError::Syntax),
        ("ws://h.example/", " = b", CookieError::Syntax),
        ("ws://h.example/", "; a=b", CookieError::Syntax),
        ("ws://h.example/", "a=b\r\nX-Evil: 1", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b; Path=/\n", CookieError::ControlCharacter),
        ("ws://h.example/", "a\0=b", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b\tc", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b\u{7f}", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b\u{85}", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b; x=\u{1b}[2J", CookieError::ControlCharacter),
        ("ws://h.example/", "a=b; Secure", CookieError::Secure),
        ("wss://h.example/", "__Host-a=b", CookieError::Prefix),
        ("ws://h.example/", "a=b; Domain=other.example", CookieError::Domain),
        ("ws://h.com/", "a=b; Domain=com", CookieError::PublicSuffix),
        ("ws://a.co.uk/", "a=b; Domain=.co.uk", CookieError::PublicSuffix),
    ];
    let jar = CookieJar::new();
    for (url, cookie, expected) in rows {
        match jar.set(url, cookie) {
            Err(Error::Cookie(error)) => assert_eq!(error, expected, "{cookie:?}"),
            other => panic!("{cookie:?}: {other:?}"),
        }
    }
    assert!(matches!(
        jar.set("ws://h.example/", &long(4096)),
        Err(Error::Cookie(CookieError::TooLong { limit: 4096 }))
    ));
    assert!(jar.is_empty());
    jar.set("ws://h.example/", &long(4095)).unwrap();
    for url in ["", "h.example", "ftp://h.example/", "ws://h.example:0/", "http://h.example\\@evil.example/"] {
        assert!(matches!(jar.set(url, "a=b"), Err(Error::Url(_))), "{url:?}");
        assert_eq!(jar.cookies_for(url), None);
    }
    assert_eq!(jar.len(), 1);
}

#[test]
fn a_jar_does_not_grow_without_end() {
    let jar = CookieJar::new();
    for number in 0..60 {
        jar.set("ws://h.example/", &format!("n{number}=1")).unwrap();
    }
    assert_eq!(jar.len(), 50);
    let header = jar.cookies_for("ws://h.example/").unwrap();
    assert!(header.starts_with("n10=1; n11=1; ") && header.ends_with("; n59=1"), "{header}");
    for number in 0..3100 {
        jar.set(&format!("ws://h{number}.example/"), "a=1").unwrap();
    }
    assert_eq!(jar.len(), 3000);
    assert_eq!(jar.cookies_for("ws://h99.example/"), None);
    assert_eq!(jar.cookies_for("ws://h100.example/").as_deref(), Some("a=1"));
}

#[test]
fn clones_are_the_same_jar_in_all_threads() {
    fn shared<T: Send + Sync + Clone + 'static>(_: &T) {}
    let jar = CookieJar::new();
    shared(&jar);
    thread::scope(|scope| {
        for number in 0..4 {
            let jar = jar.clone();
            scope.spawn(move || jar.set("ws://h.example/", &format!("n{number}=1")).unwrap());
        }
    });
    assert_eq!(format!("{jar:?}"), "CookieJar { cookies: 4 }");
    let other = jar.clone();
    other.clear();
    assert!(jar.is_empty());
    drop(other);
}

#[test]
fn a_saved_jar_is_loaded_again_and_only_its_owner_may_read_it() {
    let directory = std::env::temp_dir().join(format!("websocket-sync-cookies-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join("cookies.txt");
    let jar = CookieJar::new();
    jar.set("https://www.example.com/", "keep=1; Max-Age=1000; Domain=example.com; Secure; HttpOnly").unwrap();
    jar.set("ws://h.example/x/y", "stay=2; Max-Age=1000").unwrap();
    jar.set("ws://h.example/", "session=3").unwrap();
    jar.save(&path).unwrap();
    let loaded = CookieJar::load(&path).unwrap();
    assert_eq!(loaded.len(), 2);
    assert_eq!(loaded.cookies_for("wss://a.example.com/").as_deref(), Some("keep=1"));
    assert_eq!(loaded.cookies_for("ws://a.example.com/"), None);
    assert_eq!(loaded.cookies_for("ws://h.example/x").as_deref(), Some("stay=2"));
    jar.save_all(&path).unwrap();
    assert_eq!(CookieJar::load(&path).unwrap().cookies_for("ws://h.example/").as_deref(), Some("session=3"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "nothing else is left there");
    assert_eq!(CookieJar::load(directory.join("none.txt")).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    assert!(jar.save(directory.join("none/cookies.txt")).is_err());
    fs::write(&path, "# Netscape HTTP Cookie File\nnothing\n").unwrap();
    let error = CookieJar::load(&path).unwrap_err();
    assert_eq!(error.to_string(), "line 2 is no cookie: it does not begin with name=value");
    fs::remove_dir_all(&directory).unwrap();
}

// In an opening handshake.

/// Whoever is asked for, the server of this URL is meant.
fn at(url: &str, jar: &CookieJar) -> ConnectOptions {
    let address: SocketAddr = url.trim_start_matches("ws://").trim_end_matches('/').parse().unwrap();
    ConnectOptions::new().cookie_jar(jar).resolver(move |_, _| Ok(vec![address]))
}

/// Answers 101 with these fields, and returns the request.
fn accepting(fields: &'static str) -> (String, Script<String>) {
    serve(move |mut peer: Peer| {
        let request = peer.head();
        peer.say(answer_to(&request).replace("\r\n\r\n", &format!("\r\n{fields}\r\n")));
        request
    })
}

/// The `Cookie` fields of the request that `connect` makes for this URL.
fn asked(jar: &CookieJar, url: &str, change: impl FnOnce(ConnectOptions) -> ConnectOptions) -> Vec<String> {
    let (server, script) = accepting("");
    drop(change(at(&server, jar)).connect(url).unwrap());
    cookies_of(&script.join())
}

fn cookies_of(request: &str) -> Vec<String> {
    let lines = request.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(name, _)| name.eq_ignore_ascii_case("cookie")).map(|(_, value)| value.to_owned()).collect()
}

#[test]
fn a_cookie_that_opens_a_connection_goes_with_the_next_one() {
    bounded(20, || {
        let jar = CookieJar::new();
        let (server, script) =
            accepting("Set-Cookie: a=1\r\nset-cookie: b=2; Path=/feed\r\nSet-Cookie: c=3; Domain=com\r\n");
        drop(at(&server, &jar).connect("ws://h.example.com/feed/x").unwrap());
        assert_eq!(cookies_of(&script.join()), [""; 0]);
        assert_eq!(jar.len(), 2);
        assert_eq!(asked(&jar, "ws://h.example.com/feed/y", |options| options), ["a=1; b=2"]);
        assert_eq!(asked(&jar, "ws://h.example.com/", |options| options), [""; 0]);
        assert_eq!(asked(&jar, "ws://other.example.com/feed/x", |options| options), [""; 0]);
        assert_eq!(asked(&jar, "ws://example.com/feed/x", |options| options), [""; 0]);
    });
}

#[test]
fn a_refusal_sets_cookies_too() {
    bounded(20, || {
        let jar = CookieJar::new();
        for (answer, cookie) in [
            ("HTTP/1.1 401 No\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n", "a=1"),
            ("HTTP/1.1 503 Later\r\nSet-Cookie: a=2\r\nContent-Length: 9\r\n\r\ncut", "a=2"),
            ("HTTP/1.1 500 Oops\r\nSet-Cookie: a=; Max-Age=0\r\n\r\n", ""),
        ] {
            let (server, script) = serve(move |mut peer: Peer| {
                peer.head();
                peer.say(answer);
            });
            assert!(matches!(at(&server, &jar).connect("ws://h.example/"), Err(Error::Refused(_))));
            script.join();
            assert_eq!(jar.cookies_for("ws://h.example/").unwrap_or_default(), cookie);
        }
        // An answer that is none sets nothing.
        let (server, script) = serve(|mut peer: Peer| {
            peer.head();
            peer.say("HTTP/1.1 101 Yes\r\nSet-Cookie: a=3\r\n\r\n");
        });
        assert!(matches!(at(&server, &jar).connect("ws://h.example/"), Err(Error::Handshake(_))));
        script.join();
        assert!(jar.is_empty());
    });
}

#[test]
fn the_jar_comes_first_then_the_cookie_option_and_a_field_of_the_user_replaces_both() {
    bounded(20, || {
        let jar = CookieJar::new();
        let url = "ws://h.example/";
        assert_eq!(asked(&jar, url, |options| options), [""; 0]);
        assert_eq!(asked(&jar, url, |options| options.cookie("mine=2")), ["mine=2"]);
        jar.set(url, "a=1").unwrap();
        assert_eq!(asked(&jar, url, |options| options), ["a=1"]);
        assert_eq!(asked(&jar, url, |options| options.cookie("mine=2")), ["a=1; mine=2"]);
        assert_eq!(asked(&jar, url, |options| options.cookie("")), ["a=1"]);
        assert_eq!(asked(&jar, url, |options| options.cookie("mine=2").header("cookie", "own=3")), ["own=3"]);
    });
}

#[test]
fn a_flood_of_cookies_stays_within_the_bounds() {
    bounded(20, || {
        let jar = CookieJar::new();
        let (server, script) = serve(|mut peer: Peer| {
            let request = peer.head();
            let flood: String =
                (0..120).map(|number| format!("Set-Cookie: n{number}={}\r\n", "v".repeat(400))).collect();
            peer.say(answer_to(&request).replace("\r\n\r\n", &format!("\r\n{flood}\r\n")));
        });
        drop(at(&server, &jar).connect("ws://h.example/").unwrap());
        script.join();
        assert_eq!(jar.len(), 50);
        let header = jar.cookies_for("ws://h.example/").unwrap();
        assert!((7500..=8190).contains(&header.len()), "{}", header.len());
    });
}

/// A server of all hosts: what it says depends on host and path, without the port.
fn site(answer: impl Fn(&str, &str) -> String + Send + 'static) -> Site {
    Site::new(move |head| {
        let host = fields(head, "Host")[0].split(':').next().unwrap().to_owned();
        match &*answer(&format!("{host}{}", path(head)), head) {
            "" => open(head),
            answer => answer.to_owned(),
        }
    })
}

/// Connects to a host of the site.
fn visit(site: &Site, options: ConnectOptions, host_and_path: &str) {
    let address = site.address;
    let url = format!("ws://{}", host_and_path.replacen('/', &format!(":{}/", address.port()), 1));
    drop(options.resolver(move |_, _| Ok(vec![address])).connect(&url).unwrap());
}

/// The hosts and paths that were asked, and the cookies.
fn visits(site: &Site) -> Vec<String> {
    let heads = site.heads();
    let visit = |head: &String| {
        let host = fields(head, "Host")[0].split(':').next().unwrap();
        format!("{host}{} {}", path(head), fields(head, "Cookie").join("|"))
    };
    heads.iter().map(visit).collect()
}

#[test]
fn each_hop_of_a_redirect_sets_and_gets_its_own_cookies() {
    bounded(20, || {
        let jar = CookieJar::new();
        let site = site(|at, head| {
            let port = fields(head, "Host")[0].rsplit_once(':').unwrap().1;
            let found = |to: &str, cookies: &str| status("302 Found", &format!("Location: http://{to}\r\n{cookies}"));
            match at {
                "a.example.com/1" => found(
                    &format!("b.example.com:{port}/2"),
                    "Set-Cookie: host=1\r\nSet-Cookie: all=2; Domain=example.com\r\n",
                ),
                "b.example.com/2" => found(
                    &format!("evil.example.org:{port}/3"),
                    "Set-Cookie: more=3\r\nSet-Cookie: wrong=4; Domain=example.org\r\nSet-Cookie: all=5; Domain=b.example.com\r\n",
                ),
                "evil.example.org/3" => found(
                    &format!("a.example.com:{port}/4"),
                    "Set-Cookie: evil=6; Domain=example.com\r\nSet-Cookie: own=7\r\n",
                ),
                _ => String::new(),
            }
        });
        visit(&site, ConnectOptions::new().cookie_jar(&jar).cookie("mine=0"), "a.example.com/1");
        assert_eq!(
            visits(&site),
            [
                "a.example.com/1 mine=0",
                "b.example.com/2 all=2",
                "evil.example.org/3 ",
                "a.example.com/4 host=1; all=2; mine=0",
            ]
        );
        assert_eq!(jar.cookies_for("ws://b.example.com/").as_deref(), Some("all=2; more=3; all=5"));
        assert_eq!(jar.cookies_for("ws://evil.example.org/").as_deref(), Some("own=7"));
    });
}

#[test]
fn a_redirect_to_the_same_url_is_no_circle_when_it_brings_a_cookie() {
    bounded(20, || {
        let site = site(|at, head| match (at, &fields(head, "Cookie")[..]) {
            ("h.example/feed", []) => status("302 Found", "Location: /login\r\n"),
            ("h.example/login", []) => status("302 Found", "Location: /feed\r\nSet-Cookie: sid=1; Path=/\r\n"),
            _ => String::new(),
        });
        visit(&site, ConnectOptions::new().cookie_jar(&CookieJar::new()), "h.example/feed");
        assert_eq!(visits(&site), ["h.example/feed ", "h.example/login ", "h.example/feed sid=1"]);
    });
}

#[test]
fn an_answer_to_a_challenge_brings_the_cookie_that_came_with_it() {
    bounded(20, || {
        let site = site(|_, head| match fields(head, "Authorization")[..] {
            [] => status("401 Who", "WWW-Authenticate: Basic realm=\"x\"\r\nSet-Cookie: nonce=1\r\n"),
            _ => String::new(),
        });
        let options = ConnectOptions::new().cookie_jar(&CookieJar::new()).credentials("user", "password");
        visit(&site, options, "h.example/");
        assert_eq!(visits(&site), ["h.example/ ", "h.example/ nonce=1"]);
    });
}
