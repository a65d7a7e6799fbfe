//! Who asks: user and password in the URL, in the options, and what a server with a challenge gets to see of them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fmt::Write;
use std::net::TcpListener;
use std::thread;

use md5::Md5;
use sha2::{Digest, Sha256};
use support::site::{Site, fields, found, open, path, status};
use support::{Peer, at_once, bounded};
use websocket_sync::{ConnectOptions, Error, Refusal};

const MD5: &str = "Digest realm=\"r\", nonce=\"n\", qop=\"auth\", opaque=\"o\", algorithm=MD5";
const SHA_256: &str = "Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\", algorithm=SHA-256";
const BASIC: &str = "Basic realm=\"r\"";
/// `user:password`.
const PROOF: &str = "Basic dXNlcjpwYXNzd29yZA==";

fn challenge(challenges: &[&str]) -> String {
    let fields: String = challenges.iter().map(|challenge| format!("WWW-Authenticate: {challenge}\r\n")).collect();
    status("401 Unauthorized", &fields)
}

fn known() -> ConnectOptions {
    ConnectOptions::new().credentials("user", "password")
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

/// The `Authorization` of each request.
fn authorizations(site: &Site) -> Vec<String> {
    site.heads().iter().map(|head| fields(head, "Authorization").join(" and ")).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn md5(text: &str) -> String {
    hex(&Md5::digest(text))
}

fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// What a server does that knows the password: whether the answer proves it (RFC 7616, section 3.4.1).
fn proves(answer: &str, hash: fn(&str) -> String, uri: &str) -> bool {
    let parameters = answer.strip_prefix("Digest ").unwrap().split(", ");
    let parameters: Vec<_> = parameters.map(|parameter| parameter.split_once('=').unwrap()).collect();
    let value = |name| parameters.iter().find(|(other, _)| *other == name).map(|(_, value)| value.trim_matches('"'));
    let secret = hash("user:r:password");
    let request = hash(&format!("GET:{uri}"));
    let (nc, cnonce) = (value("nc").unwrap(), value("cnonce").unwrap());
    let said = [value("username"), value("realm"), value("nonce"), value("uri"), value("qop")];
    said == [Some("user"), Some("r"), Some("n"), Some(uri), Some("auth")]
        && nc == "00000001"
        && value("response") == Some(&hash(&format!("{secret}:n:{nc}:{cnonce}:auth:{request}")))
}

#[test]
fn the_best_challenge_is_answered_once_and_not_before_it_comes() {
    // What is asked for, and how the second request begins to answer; nothing where there is none.
    let table: &[(&[&str], Option<&str>)] = &[
        (&[BASIC], Some(PROOF)),
        (&["basic"], Some(PROOF)),
        (&[MD5], Some("Digest username=\"user\", realm=\"r\", nonce=\"n\", uri=\"/r?q=1\", response=")),
        (&[BASIC, MD5], Some("Digest ")),
        (&[MD5, SHA_256, BASIC], Some("Digest ")),
        (&["Negotiate, Basic realm=\"a, Digest b\""], Some(PROOF)),
        (&["Bearer realm=\"r\"", BASIC], Some(PROOF)),
        (&["Bearer realm=\"r\""], None),
        (&["Digest realm=\"r\", nonce=\"n\", algorithm=SHA-1"], None),
        (&["Digest realm=\"r\""], None),
        (&[], None),
    ];
    for (challenges, expected) in table {
        let asked = challenge(challenges);
        let site =
            Site::new(move |head| if fields(head, "Authorization").is_empty() { asked.clone() } else { open(head) });
        let result = known().connect(&site.url("/r?q=1"));
        let sent = authorizations(&site);
        assert_eq!(sent[0], "", "{challenges:?}");
        match expected {
            Some(start) => {
                result.unwrap();
                assert!(sent.len() == 2 && sent[1].starts_with(start), "{challenges:?}: {sent:?}");
            }
            None => {
                assert_eq!((refusal(result).status, sent.len()), (401, 1), "{challenges:?}");
            }
        }
    }
}

#[test]
fn digest_proves_the_password_without_telling_it() {
    for (asked, hash) in [(MD5, md5 as fn(&str) -> String), (SHA_256, sha256)] {
        let site = Site::new(move |head| {
            let answer = fields(head, "Authorization").concat();
            if !answer.is_empty() && proves(&answer, hash, "/r?q=1") { open(head) } else { challenge(&[asked]) }
        });
        known().connect(&site.url("/r?q=1")).unwrap();
        refusal(ConnectOptions::new().credentials("user", "wrong").connect(&site.url("/r?q=1")));
        let [first, second, ..] = &authorizations(&site)[..] else { panic!() };
        assert!(first.is_empty() && !second.contains("password"));
    }
}

#[test]
fn wrong_credentials_are_refused_once() {
    for asked in [&[BASIC][..], &[MD5], &[SHA_256, MD5, BASIC]] {
        let mut nonces = 0;
        let site = Site::new(move |_| {
            nonces += 1;
            let new_nonce = format!("nonce=\"{nonces}\", stale=true");
            let asked: Vec<String> = asked.iter().map(|asked| asked.replace("nonce=\"n\"", &new_nonce)).collect();
            challenge(&asked.iter().map(String::as_str).collect::<Vec<_>>())
        });
        assert_eq!(refusal(known().connect(&site.url("/"))).status, 401);
        assert_eq!(site.heads().len(), 2, "{asked:?}");
    }
}

#[test]
fn user_and_password_of_the_url_are_sent_unasked_and_answer_a_digest() {
    let with_userinfo = |site: &Site, userinfo: &str| site.url("/r?q=1").replace("ws://", &format!("ws://{userinfo}@"));
    let site = Site::new(open);
    ConnectOptions::new().connect(&with_userinfo(&site, "user:password")).unwrap();
    ConnectOptions::new().connect(&with_userinfo(&site, "us%65r")).unwrap();
    ConnectOptions::new().connect(&with_userinfo(&site, "%FF:%00")).unwrap();
    assert_eq!(authorizations(&site), [PROOF, "Basic dXNlcjo=", "Basic /zoA"]);

    // Basic was refused already.
    let site = Site::new(|_| challenge(&[BASIC]));
    refusal(ConnectOptions::new().connect(&with_userinfo(&site, "user:password")));
    assert_eq!(authorizations(&site), [PROOF]);

    let site = Site::new(|head| if head.contains("Digest") { open(head) } else { challenge(&[BASIC, SHA_256]) });
    ConnectOptions::new().connect(&with_userinfo(&site, "user:password")).unwrap();
    let sent = authorizations(&site);
    assert!(sent.len() == 2 && sent[0] == PROOF && proves(&sent[1], sha256, "/r?q=1"), "{sent:?}");
}

#[test]
fn the_header_counts_more_than_the_option_and_the_option_more_than_the_url() {
    let site = Site::new(|head| if head.contains(PROOF) { open(head) } else { challenge(&[BASIC]) });
    let url = site.url("/").replace("ws://", "ws://other:one@");
    known().connect(&url).unwrap();
    assert_eq!(authorizations(&site), ["", PROOF]);
    let site = Site::new(|_| challenge(&[BASIC, MD5]));
    let url = site.url("/").replace("ws://", "ws://other:one@");
    refusal(known().header("authorization", "Bearer token").connect(&url));
    assert_eq!(authorizations(&site), ["Bearer token"]);
}

/// Refuses a first request with a status of 401 and this field, and returns the second one, which it opens.
fn challenging(field: &'static [u8]) -> (String, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut peer = Peer::new(listener.accept().unwrap().0);
        peer.head();
        peer.say([b"HTTP/1.1 401 Who\r\nWWW-Authenticate: ", field, b"\r\nContent-Length: 0\r\n\r\n"].concat());
        let mut peer = Peer::new(listener.accept().unwrap().0);
        let head = peer.head_bytes();
        peer.say(support::answer_to(&String::from_utf8_lossy(&head)));
        head
    });
    (url, server)
}

/// The value of a field of a head.
fn value_in<'a>(head: &'a [u8], name: &str) -> &'a [u8] {
    let mut lines = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines.find_map(|line| line.strip_prefix(format!("{name}: ").as_bytes())).unwrap()
}

#[test]
fn a_realm_that_is_not_utf_8_is_answered() {
    bounded(20, || {
        let (url, server) = challenging(b"Basic realm=\"caf\xe9\"");
        drop(known().connect(&url).unwrap());
        assert_eq!(value_in(&support::join(server), "Authorization"), PROOF.as_bytes());

        let (url, server) = challenging(b"Digest realm=\"caf\xe9\", nonce=n, opaque=\"\xff\"");
        drop(known().connect(&url).unwrap());
        let secret = hex(&Md5::digest(b"user:caf\xe9:password"));
        let response = md5(&format!("{secret}:n:{}", md5("GET:/")));
        let mut expected = b"Digest username=\"user\", realm=\"caf\xe9\", nonce=\"n\", uri=\"/\", response=\"".to_vec();
        expected.extend_from_slice(response.as_bytes());
        expected.extend_from_slice(b"\", opaque=\"\xff\"");
        let head = support::join(server);
        assert_eq!(value_in(&head, "Authorization"), expected, "{}", head.escape_ascii());
    });
}

#[test]
fn digest_only_never_sends_basic() {
    let table: [(&[&str], &str); 3] = [(&[BASIC], ""), (&[BASIC, SHA_256], "Digest"), (&["Basic"], "")];
    for (challenges, expected) in table {
        let challenges: Vec<String> = challenges.iter().map(|&challenge| challenge.to_owned()).collect();
        for with_option in [false, true] {
            let challenges = challenges.clone();
            let site = Site::new(move |head| match &fields(head, "Authorization")[..] {
                [] => challenge(&challenges.iter().map(String::as_str).collect::<Vec<_>>()),
                _ => open(head),
            });
            let (options, url) = match with_option {
                true => (known(), site.url("/")),
                false => (ConnectOptions::new(), site.url("/").replace("ws://", "ws://user:password@")),
            };
            let opened = options.digest_only().connect(&url);
            let sent = authorizations(&site);
            assert_eq!(sent[0], "", "sent unasked");
            match expected {
                "" => assert_eq!((refusal(opened).status, sent.len()), (401, 1)),
                _ => assert!(opened.is_ok() && sent[1].starts_with(expected), "{sent:?}"),
            }
        }
    }
    // What the user writes is the user's.
    let site = Site::new(open);
    ConnectOptions::new().digest_only().header("Authorization", PROOF).connect(&site.url("/")).unwrap();
    assert_eq!(authorizations(&site), [PROOF]);
}

#[test]
fn another_origin_gets_no_answer() {
    let b = Site::new(|_| challenge(&[BASIC, MD5]));
    let location = b.url("/b").replace("ws", "http");
    let a = Site::new(move |head| match (path(head), fields(head, "Authorization").is_empty()) {
        ("/a", true) => challenge(&[BASIC]),
        _ => found(&location),
    });
    for options in [known(), ConnectOptions::new()] {
        let url = a.url("/a").replace("ws://", "ws://user:password@");
        assert_eq!(refusal(options.connect(&url)).status, 401);
    }
    assert_eq!(authorizations(&a), ["", PROOF, PROOF]);
    assert_eq!(authorizations(&b), ["", ""]);
}

#[test]
fn each_hop_at_home_may_ask_once() {
    let site = Site::new(|head| match (path(head), fields(head, "Authorization").concat()) {
        (_, answer) if answer.is_empty() => challenge(&[SHA_256]),
        ("/1", answer) if proves(&answer, sha256, "/1") => found("/2"),
        ("/2", answer) if proves(&answer, sha256, "/2") => found("/3"),
        ("/3", answer) if proves(&answer, sha256, "/3") => open(head),
        other => panic!("{other:?}"),
    });
    let ws = known().connect(&site.url("/1")).unwrap();
    assert_eq!(ws.redirects(), [site.url("/2"), site.url("/3")]);
    assert_eq!(site.heads().len(), 6);
}

#[test]
fn a_stream_of_ones_own_cannot_be_asked_again() {
    let (ours, theirs) = support::narrow();
    let peer = thread::spawn(move || {
        let mut peer = Peer::new(theirs);
        peer.head();
        peer.say(challenge(&[BASIC]));
        peer.rest()
    });
    assert_eq!(refusal(known().connect_over(ours, "ws://peer/")).status, 401);
    assert_eq!(support::join(peer), b"");
}

#[test]
fn the_body_of_a_challenge_is_waited_for_only_where_it_is_the_end() {
    bounded(30, || {
        let site = Site::new(|head| {
            if fields(head, "Authorization").is_empty() {
                let fields = "WWW-Authenticate: Basic\r\nContent-Length: 1000000000\r\n";
                return format!("HTTP/1.1 401 Unauthorized\r\n{fields}\r\nwho");
            }
            "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nwrong".into()
        });
        let refused = refusal(at_once(|| known().connect(&site.url("/"))));
        assert_eq!(refused.body, b"wrong");
    });
}

#[test]
fn nothing_shows_the_password() {
    let options = ConnectOptions::new().credentials("canary", "canary");
    let site = Site::new(|_| challenge(&[BASIC, MD5]));
    let error = options.connect(&site.url("/")).unwrap_err();
    let url = site.url("/").replace("ws://", "ws://canary:canary@");
    let other = ConnectOptions::new().connect(&url).unwrap_err();
    let shown = format!("{options:?} {error} {error:?} {other} {other:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(!shown.contains("Y2FuYXJ5OmNhbmFyeQ=="), "{shown}");
}
