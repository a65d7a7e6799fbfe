//! What a request says, what the user can change of it, and what is told of an answer that refuses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{self, Read};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use log::{LevelFilter, Log, Metadata, Record};
use support::site::{Site, fields, found, open, path, status};
use support::{Peer, bounded, by_deadline, ms, serve};
use websocket_sync::protocol::LocalProtocolError;
use websocket_sync::protocol::handshake::BodyEnd;
use websocket_sync::{ConnectOptions, Error, HandshakeError, Interest, Phase, Refusal, Transport, create_connection};

/// The lines of the head that these options come to, but for the key.
fn said(options: &ConnectOptions) -> Vec<String> {
    let site = Site::new(open);
    options.connect(&site.url("/chat?x=1")).unwrap();
    let head = site.heads().remove(0).replace(&site.address.to_string(), "here");
    let lines = head.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned);
    lines.filter(|line| !line.starts_with("Sec-WebSocket-Key: ")).collect()
}

#[test]
fn a_value_in_bytes_is_sent_as_it_is() {
    let every: Vec<u8> = (0x20..=0xff).filter(|byte| *byte != 0x7f).chain([b'\t', b'.']).collect();
    let value = every.trim_ascii().to_vec();
    let (url, server) = serve(|mut peer: Peer| {
        let head = peer.head_bytes();
        peer.say(support::answer_to(&String::from_utf8_lossy(&head)));
        head
    });
    let options = ConnectOptions::new().header_bytes("X-Place", b"caf\xe9").header_bytes("X-Every", value.clone());
    drop(options.header("X-Text", String::from("caf\u{e9}")).connect(&url).unwrap());
    let head = server.join();
    let fields = [&b"X-Place: caf\xe9\r\nX-Every: "[..], &value, "\r\nX-Text: caf\u{e9}\r\n".as_bytes()].concat();
    assert!(head.windows(fields.len()).any(|part| part == fields), "{}", head.escape_ascii());
    for byte in (0..0x20).filter(|byte| *byte != b'\t').chain([0x7f]) {
        let refused = ConnectOptions::new().header_bytes("X", [b'a', byte, 0xe9]).connect("ws://127.0.0.1:1/");
        let illegal = LocalProtocolError::IllegalCharacter("header value");
        assert!(matches!(refused, Err(Error::Usage(problem)) if problem == illegal), "{byte:#x}");
    }
}

#[test]
fn the_fields_of_the_answer_are_known_afterwards() {
    let (url, server) = serve(|mut peer: Peer| {
        let head = peer.head();
        peer.say(support::answer_to(&head).replace("\r\n\r\n", "\r\nX-Server: seven\r\n\r\n"));
    });
    let ws = ConnectOptions::new().connect(&url).unwrap();
    server.join();
    assert_eq!(ws.headers().unwrap().text("x-server").as_deref(), Some("seven"));
}

#[test]
fn the_order_is_that_of_websocket_client() {
    let options = ConnectOptions::new()
        .cookie("a=1; b=2")
        .headers([("X-One", "1"), ("x-two", "")])
        .subprotocols(["chat", "superchat"]);
    let expected = [
        "GET /chat?x=1 HTTP/1.1",
        "Upgrade: websocket",
        "Host: here",
        "Origin: http://here",
        "Sec-WebSocket-Version: 13",
        "Connection: Upgrade",
        "Sec-WebSocket-Protocol: chat,superchat",
        "X-One: 1",
        "x-two: ",
        "Cookie: a=1; b=2",
    ];
    // The subprotocols are not agreed to, which a server may do (RFC 6455, section 4.2.2).
    assert_eq!(said(&options), expected);
}

#[test]
fn a_field_of_the_user_takes_the_place_of_ours_whatever_its_case() {
    let ours = ConnectOptions::new()
        .host("ours")
        .origin("ours")
        .connection("Upgrade, ours")
        .cookie("ours")
        .subprotocols(["ours"])
        .header("X", "x");
    let table = [
        ("HOST", "theirs"),
        ("host", ""),
        ("origin", "null"),
        ("Origin", ""),
        ("CONNECTION", "keep-alive, Upgrade"),
        ("cookie", "theirs"),
        ("Cookie", ""),
        ("sec-websocket-protocol", "theirs"),
        ("upgrade", "WebSocket"),
        ("authorization", "Bearer theirs"),
        ("user-agent", "theirs"),
    ];
    for (name, value) in table {
        let lines = said(&ours.clone().header(name, value));
        let found: Vec<_> = lines
            .iter()
            .filter_map(|line| line.split_once(": "))
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .collect();
        assert_eq!(found, [(name, value)], "{lines:?}");
    }
}

#[test]
fn the_fields_of_the_handshake_itself_are_refused() {
    let table = [
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
        ("SEC-WEBSOCKET-ACCEPT", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ];
    for (name, value) in table {
        let provided = ConnectOptions::new().header_provider(move || Ok(vec![(name.to_owned(), value.to_owned())]));
        for options in [ConnectOptions::new().header(name, value), provided] {
            let (ours, theirs) = support::narrow();
            let error = options.connect_over(ours, "ws://host/").unwrap_err();
            let Error::Usage(LocalProtocolError::ReservedHeader(told)) = error else { panic!("{error:?}") };
            assert!(told.eq_ignore_ascii_case(name));
            assert_eq!(Peer::new(theirs).rest(), b"");
        }
    }
    for name in ["Host", "Origin", "Cookie"] {
        let (ours, _theirs) = support::narrow();
        let error = ConnectOptions::new().headers([(name, "a"), (name, "b")]).connect_over(ours, "ws://host/");
        let expected = matches!(error, Err(Error::Usage(LocalProtocolError::RepeatedHeader(told))) if told == name);
        assert!(expected, "{error:?}");
    }
}

#[test]
fn a_provider_is_asked_once_for_each_connection() {
    let asked = Arc::new(AtomicUsize::new(0));
    let options = ConnectOptions::new().headers([("X-Fixed", "1"), ("x-token", "old"), ("X-Token", "older")]);
    let options = options.header_provider({
        let asked = Arc::clone(&asked);
        move || Ok(vec![("X-Token".into(), asked.fetch_add(1, Ordering::Relaxed).to_string())])
    });
    let site = Site::new(|head| if path(head) == "/start" { found("/next") } else { open(head) });
    for _ in 0..2 {
        options.connect(&site.url("/start")).unwrap();
    }
    let tokens: Vec<String> = site.heads().iter().map(|head| fields(head, "X-Token").join(",")).collect();
    assert_eq!(tokens, ["0", "0", "1", "1"]);
    assert!(site.heads().iter().all(|head| head.contains("X-Fixed: 1\r\nX-Token: ")));
    options.connect("ftp://nowhere/").unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody was to be asked");
}

#[test]
fn the_error_of_a_provider_ends_the_opening() {
    let options = ConnectOptions::new().resolver(|_, _| panic!("nobody should be asked"));
    let failing = options.clone().header_provider(|| Err(Error::other("no token")));
    let error = failing.connect("ws://a.invalid/").unwrap_err();
    assert!(matches!(error, Error::Other(_)));
    assert_eq!(error.to_string(), "no token");
    for text in ["a\r\nX-Evil: 1", "a\0", "a\n"] {
        for (name, value) in [("X", text), (text, "x")] {
            let field = (name.to_owned(), value.to_owned());
            let error = options.clone().header_provider(move || Ok(vec![field.clone()])).connect("ws://a.invalid/");
            assert!(matches!(error, Err(Error::Usage(LocalProtocolError::IllegalCharacter(_)))), "{error:?}");
        }
    }
}

#[test]
fn user_and_password_never_leave_the_url_but_as_authorization() {
    let site = Site::new(open);
    let url = site.url("/").replace("ws://", "ws://canary:canary@");
    let ws = ConnectOptions::new().connect(&url).unwrap();
    assert!(!site.heads()[0].contains("canary"));
    assert_eq!(ws.url(), Some(&*site.url("/")));
    assert!(!format!("{ws:?}").contains("canary"));
}

fn refusal(answer: impl AsRef<[u8]> + Send + 'static) -> Refusal {
    let (url, peer) = serve(move |mut peer| {
        peer.head();
        let _ = peer.try_say(answer);
    });
    let result = create_connection(&url);
    peer.join();
    match result {
        Err(Error::Refused(refusal)) => *refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refusal_brings_its_body_however_that_is_framed() {
    let large = "x".repeat(20_000);
    let limit = 64 * 1024;
    let chunks = format!("4e20\r\n{large}\r\n0\r\n\r\n");
    let exactly = "y".repeat(limit);
    let more = "z".repeat(limit + 1);
    let table = [
        (format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 20000\r\n\r\n{large}"), 20_000, BodyEnd::Complete),
        (format!("HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"), 20_000, BodyEnd::Complete),
        (format!("HTTP/1.1 403 Forbidden\r\n\r\n{large}"), 20_000, BodyEnd::Complete),
        (format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {limit}\r\n\r\n{exactly}"), limit, BodyEnd::Complete),
        (format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 65537\r\n\r\n{more}"), limit, BodyEnd::LimitReached),
        (format!("HTTP/1.1 403 Forbidden\r\nContent-Length: 20001\r\n\r\n{large}"), 20_000, BodyEnd::ConnectionLost),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nsmall".into(), 5, BodyEnd::Complete),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".into(), 0, BodyEnd::Complete),
        ("HTTP/1.1 403 Forbidden\r\nContent-Length: abc\r\n\r\nbody".into(), 0, BodyEnd::Malformed),
        ("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 403 Forbidden\r\n\r\nbody".into(), 4, BodyEnd::Complete),
    ];
    for (answer, length, end) in table {
        let head = answer.split("\r\n\r\n").next().unwrap().to_owned();
        let refused = refusal(answer);
        assert_eq!((refused.body.len(), refused.body_end), (length, end), "{head}");
        let shown = match refused.body_text() {
            text if text.is_empty() => String::new(),
            text if text.len() > 256 => format!(": {}…", &text[..256]),
            text => format!(": {text}"),
        };
        assert_eq!(refused.to_string(), format!("status 403 Forbidden{shown}"));
    }
}

#[test]
fn a_refusal_says_when_to_come_back() {
    let table = [
        ("Retry-After: 120\r\n", Some(120)),
        ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", Some(60)),
        ("Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\r\n", Some(0)),
        ("Retry-After: later\r\n", None),
        ("", None),
    ];
    for (fields, expected) in table {
        let refused = refusal(status("503 Service Unavailable", fields));
        assert_eq!(refused.retry_after(SystemTime::now()), expected.map(Duration::from_secs), "{fields}");
    }
}

#[test]
fn a_refusal_whose_body_does_not_come_is_told_at_the_deadline() {
    bounded(30, || {
        let (url, peer) = serve(|mut peer| {
            peer.head();
            peer.say("HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\nContent-Length: 10\r\n\r\nwait");
            peer.rest()
        });
        let options = ConnectOptions::new().open_timeout(ms(200));
        let Err(Error::Refused(refused)) = by_deadline(ms(200), || options.connect(&url)) else { panic!() };
        assert_eq!((refused.status, refused.body.as_slice()), (429, &b"wait"[..]));
        assert_eq!(refused.body_end, BodyEnd::NotAwaited);
        peer.join();
    });
}

#[test]
fn a_refusal_shows_no_secret() {
    let refused = refusal(status("403 Forbidden", "Set-Cookie: session=canary\r\nX-Auth-Token: canary\r\n"));
    assert_eq!(refused.headers.text("set-cookie").as_deref(), Some("session=canary"));
    let error = Error::Refused(Box::new(refused));
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[test]
fn what_is_no_answer_is_refused_by_its_rule() {
    let accept = |head: &str| open(head);
    type Edit = fn(String) -> String;
    let edits: [(Edit, Option<HandshakeError>); 8] = [
        (|answer| answer.replace("Upgrade: websocket", "Upgrade:   WebSocket  "), None),
        (|answer| answer.replace("Connection: Upgrade", "connection: keep-alive,upgrade"), None),
        (|answer| answer.replace("Upgrade: websocket", "Upgrade websocket"), Some(HandshakeError::HeaderSyntax)),
        (|answer| answer.replace("HTTP/1.1 101", "GARBAGE 101"), Some(HandshakeError::NotHttp)),
        (|answer| answer.replace("HTTP/1.1 101", "HTTP/1.1 XX"), Some(HandshakeError::StatusLine)),
        (|answer| answer.replace("HTTP/1.1 101", "HTTP/1.0 101"), Some(HandshakeError::HttpVersion)),
        (|answer| answer.replace("Connection: Upgrade\r\n", ""), Some(HandshakeError::Connection)),
        (|answer| answer.replace("Sec-WebSocket-Accept", "X-Accept"), Some(HandshakeError::MissingAccept)),
    ];
    for (edit, expected) in edits {
        let site = Site::new(move |head| edit(accept(head)));
        match (create_connection(&site.url("/")), expected) {
            (Ok(_), None) => {}
            (Err(Error::Handshake(error)), Some(expected)) => assert_eq!(*error, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// What was logged.
struct Logged(Mutex<Vec<String>>);

static LOGGED: Logged = Logged(Mutex::new(Vec::new()));

impl Log for Logged {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.0.lock().unwrap().push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[test]
fn a_log_names_the_url_without_its_secrets() {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(LevelFilter::Trace);
    let site = Site::new(|head| match path(head) {
        "/start?secret-canary" => found("/next?secret-canary"),
        _ => open(head),
    });
    let url = site.url("/start?secret-canary").replace("ws://", "ws://secret-canary:secret-canary@");
    let options = ConnectOptions::new().header("X-Token", "secret-canary").cookie("a=secret-canary");
    drop(options.connect(&url).unwrap());
    let logged = LOGGED.0.lock().unwrap().join("\n");
    for path in ["/start", "/next"] {
        assert!(logged.contains(&format!("opening {}\n", site.url(path))), "{logged}");
    }
    assert!(!logged.contains("secret-canary"), "{logged}");
}

/// A connection that the peer has reset after its last words.
#[derive(Debug)]
struct Gone(Mutex<&'static [u8]>);

impl Transport for Gone {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.lock().unwrap().read(buf)
    }

    fn try_write(&self, _buf: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_server_that_refuses_without_reading_the_request_is_heard() {
    let connect = |words: &'static str| {
        let gone = Gone(Mutex::new(words.as_bytes()));
        ConnectOptions::new().connect_over(gone, "ws://h/").unwrap_err()
    };
    let busy = connect("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 3\r\n\r\nbye");
    assert!(matches!(&busy, Error::Refused(refusal) if refusal.status == 503 && refusal.body == *b"bye"), "{busy:?}");
    for words in ["", "HTTP/1.1 503", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "?\r\n\r\n"] {
        let error = connect(words);
        let is_reset = matches!(&error, Error::Io { phase: Phase::Handshake, error }
            if error.kind() == io::ErrorKind::ConnectionReset);
        assert!(is_reset, "{error:?} after {words:?}");
    }
}
