use proptest::prelude::*;

use super::*;

const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

fn handshake() -> ClientHandshake {
    let request = ClientRequest::new("h", "/");
    ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce").unwrap().0
}

/// How the handshake ends when these pieces are received and then the connection ends. The surplus may come in
/// several pieces.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<HandshakeOutcome, HandshakeError> {
    let mut handshake = handshake();
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        match handshake.receive(piece)? {
            None => {}
            Some(HandshakeOutcome::Accepted { response, mut surplus }) => {
                pieces.for_each(|piece| surplus.extend_from_slice(piece));
                return Ok(HandshakeOutcome::Accepted { response, surplus });
            }
            Some(refused @ HandshakeOutcome::Refused(_)) => return Ok(refused),
        }
    }
    handshake.receive_eof().map(HandshakeOutcome::Refused)
}

fn refusal(bytes: &str) -> Refusal {
    match run([bytes.as_bytes()]) {
        Ok(HandshakeOutcome::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn interim_answers_are_skipped_up_to_the_limit() {
    let many = INTERIM.repeat(8) + ACCEPTED;
    assert!(matches!(run([many.as_bytes()]), Ok(HandshakeOutcome::Accepted { .. })));
    let too_many = INTERIM.repeat(if cfg!(miri) { 100 } else { 100_000 });
    assert_eq!(run([too_many.as_bytes()]), Err(HandshakeError::TooManyInterim { limit: 8 }));
}

#[test]
fn a_connection_that_ends_early_is_worth_another_attempt() {
    // Miri takes minutes for all.
    for end in (0..ACCEPTED.len()).step_by(if cfg!(miri) { 19 } else { 1 }) {
        assert_eq!(run([&ACCEPTED.as_bytes()[..end]]), Err(HandshakeError::Eof));
    }
}

#[test]
fn a_refusal_has_status_headers_and_body() {
    let refused = refusal(
        "HTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nHello",
    );
    assert_eq!((refused.status, refused.reason.as_str()), (401, "Unauthorized"));
    assert_eq!(refused.headers, Headers::from([("www-authenticate", "Basic"), ("content-length", "5")]));
    assert_eq!((refused.body.as_slice(), refused.body_end), (&b"Hello"[..], BodyEnd::Complete));
}

#[test]
fn the_body_of_a_refusal_is_kept_as_far_as_it_makes_sense() {
    let cases = [
        ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", "until the end", BodyEnd::Complete),
        ("HTTP/1.1 204 No Content\r\n\r\nnone", "", BodyEnd::Complete),
        (
            "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHel\r\n2\r\nlo\r\n0\r\n\r\n",
            "Hello",
            BodyEnd::Complete,
        ),
        ("HTTP/1.1 503 Busy\r\nContent-Length: 99999999999\r\n\r\nHello", "Hello", BodyEnd::ConnectionLost),
        ("HTTP/1.1 503 Busy\r\nContent-Length: abc\r\n\r\nHello", "", BodyEnd::Malformed),
    ];
    for (received, body, end) in cases {
        let refused = refusal(received);
        assert_eq!((refused.body.as_slice(), refused.body_end), (body.as_bytes(), end), "{received:?}");
    }
}

#[test]
fn a_large_body_is_cut_at_the_limit() {
    let limit = HeadLimits::default().body;
    let exactly = format!("HTTP/1.1 403 No\r\nContent-Length: {limit}\r\n\r\n{}", "x".repeat(limit));
    assert_eq!(refusal(&exactly).body_end, BodyEnd::Complete);
    let more = format!("HTTP/1.1 403 No\r\n\r\n{}", "x".repeat(limit + 1));
    let refused = refusal(&more);
    assert_eq!((refused.body.len(), refused.body_end), (limit, BodyEnd::LimitReached));
}

#[test]
fn a_refusal_shows_the_beginning_of_its_body() {
    let show = |fields: &str, body: &str| {
        let length = body.len();
        refusal(&format!("HTTP/1.1 403 Forbidden\r\n{fields}Content-Length: {length}\r\n\r\n{body}")).to_string()
    };
    let table = [
        ("", " \r\n", String::new()),
        ("", "origin not allowed\n", ": origin not allowed".to_owned()),
        ("", "<html>\r\n\u{1b}[2J\u{202e}</html>", r": <html>\r\n\u{1b}[2J\u{202e}</html>".to_owned()),
        ("", &"é".repeat(256), format!(": {}", "é".repeat(256))),
        ("", &format!("\n{}", "\u{1f388}".repeat(257)), format!(": {}…", "\u{1f388}".repeat(256))),
        ("", &format!("a{}", "\u{1f388}".repeat(1000)), format!(": a{}…", "\u{1f388}".repeat(255))),
        ("Content-Encoding: identity\r\n", "hi", ": hi".to_owned()),
        ("Content-Encoding: gzip\r\n", "\u{1f}\u{8b}", String::new()),
    ];
    for (fields, body, shown) in table {
        assert_eq!(show(fields, body), format!("status 403 Forbidden{shown}"), "{body:?}");
    }
    let mut refused = refusal("HTTP/1.1 503 \r\nContent-Length: 2\r\n\r\nno");
    assert!(format!("{refused:?}").contains("body: 2 bytes: no, "), "{refused:?}");
    refused.body = b"caf\xe9\x1b".to_vec();
    assert_eq!(refused.body_text(), "caf\u{fffd}\u{1b}");
    assert_eq!(refused.to_string(), "status 503: caf\u{fffd}\\u{1b}");
}

#[test]
fn the_body_of_a_refusal_need_not_be_awaited() {
    let mut handshake = handshake();
    assert!(!handshake.is_refused());
    let head = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 10\r\n\r\nHel";
    assert_eq!(handshake.receive(head), Ok(None));
    assert!(handshake.is_refused());
    assert_eq!(handshake.refusal().map(|refusal| refusal.status), Some(503));
    let refused = handshake.finish_refusal().unwrap();
    assert_eq!((refused.status, refused.body.as_slice(), refused.body_end), (503, &b"Hel"[..], BodyEnd::NotAwaited));
    assert_eq!(refused.headers.text("retry-after").as_deref(), Some("7"));
}

#[test]
fn nothing_is_received_after_the_end() {
    let mut handshake = handshake();
    assert!(matches!(handshake.receive(ACCEPTED.as_bytes()), Ok(Some(HandshakeOutcome::Accepted { .. }))));
    assert_eq!(handshake.receive(b"x"), Err(HandshakeError::Over));
    assert_eq!(handshake.receive_eof(), Err(HandshakeError::Over));
    assert!(handshake.finish_refusal().is_none());
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_result(
        script in prop::sample::select(vec![
            format!("{INTERIM}{ACCEPTED}\u{1}\u{5}frames\r\n\r\nand more"),
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nHel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n".into(),
            "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nHello".into(),
            "HTTP/1.1 403 No\n\nHello".into(),
            "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n".into(),
            "HTTP/1.1 101 OK\r\nUpgrade : websocket\r\n\r\n".into(),
            "ICY 200 OK\r\n\r\n".into(),
        ]),
        cuts in prop::collection::vec(1..20_usize, 1..200),
    ) {
        let whole = run([script.as_bytes()]);
        let mut rest = script.as_bytes();
        let pieces = cuts.iter().map(|&size| {
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            piece
        });
        let mut pieces: Vec<&[u8]> = pieces.collect();
        pieces.push(rest);
        prop_assert_eq!(run(pieces), whole);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..50_usize) {
        let mut heads = bytes.clone();
        heads.splice(..0, b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n".iter().copied());
        let _ = run(bytes.chunks(size));
        let _ = run(heads.chunks(size));
    }
}

fn refusal_with(status: u16, reason: &str) -> Refusal {
    let headers = Headers::from([("set-cookie", "canary"), ("www-authenticate", "canary")]);
    let mut refusal = Refusal::new(ResponseHead { minor_version: 1, status, reason: reason.into(), headers });
    refusal.body = b"why".to_vec();
    refusal
}

#[test]
fn display_is_the_status_and_the_body_and_no_header() {
    assert_eq!(refusal_with(403, "Forbidden").to_string(), "status 403 Forbidden: why");
    assert_eq!(refusal_with(599, "").to_string(), "status 599: why");
}

#[test]
fn display_shows_no_more_of_a_peer_than_plain_text() {
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{feff}\r\n\\ it's";
    let expected = r"status 403 \u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{feff}\r\n\\ it's: why";
    assert_eq!(refusal_with(403, hostile).to_string(), expected);
    let long = refusal_with(403, &"\u{1f980}".repeat(10_000)).to_string();
    assert_eq!(long, format!("status 403 {}…: why", "\u{1f980}".repeat(128)));
}

#[test]
fn debug_hides_what_may_be_secret() {
    assert!(!format!("{:?}", refusal_with(401, "Unauthorized")).contains("canary"));
}

const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const GOOD: [&str; 4] = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", ACCEPT];

/// A client that offered the subprotocols `chat` and `Super` and the extension `x-mark`.
fn client() -> ClientHandshake {
    let request = ClientRequest::new("h", "/").subprotocols(["chat", "Super"]).extensions("x-mark; level=3, x-mark");
    ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce").unwrap().0
}

/// What that client makes of an answer.
fn answer(lines: &[&str]) -> Result<Response, HandshakeError> {
    answer_to(client(), lines)
}

fn answer_to(mut handshake: ClientHandshake, lines: &[&str]) -> Result<Response, HandshakeError> {
    let mut head = lines.join("\r\n").into_bytes();
    head.extend_from_slice(b"\r\n\r\n");
    match handshake.receive(&head)? {
        Some(HandshakeOutcome::Accepted { response, surplus }) if surplus.is_empty() => Ok(response),
        other => panic!("{other:?}"),
    }
}

/// The good answer with lines in the place of one of its own.
fn with(replaced: usize, lines: &[&str]) -> Result<Response, HandshakeError> {
    let mut answered = GOOD.to_vec();
    answered.splice(replaced..=replaced, lines.iter().copied());
    answer(&answered)
}

#[test]
fn what_the_rules_allow_is_accepted() {
    assert!(answer(&GOOD).is_ok());
    let allowed: &[(usize, &[&str])] = &[
        (0, &["HTTP/1.1 101 "]),
        (0, &["HTTP/1.1 101"]),
        (0, &["HTTP/1.1 101 d'accord, \u{e7}a marche"]),
        (1, &["UPGRADE:\t WebSocket  "]),
        (2, &["Connection: keep-alive, upGRADE"]),
        (2, &["Connection: keep-alive", "Connection: Upgrade"]),
        (2, &["Connection: Upgrade", "Connection: keep-alive"]),
        (3, &[ACCEPT, "Server: \u{e9}", "X-Empty:"]),
    ];
    for (replaced, lines) in allowed {
        assert!(with(*replaced, lines).is_ok(), "{lines:?}");
    }
}

#[test]
fn what_the_rules_forbid_is_refused_by_name() {
    use HandshakeError::*;
    let forbidden: &[(usize, &[&str], HandshakeError)] = &[
        (0, &["HTTP/1.0 101 Switching Protocols"], HttpVersion),
        (1, &[], Upgrade),
        (1, &["Upgrade: h2c"], Upgrade),
        (1, &["Upgrade: websocket, h2c"], Upgrade),
        (1, &["Upgrade: websocket", "Upgrade: websocket"], RepeatedUpgrade),
        (1, &["Upgrade: websocket", "Upgrade: h2c"], RepeatedUpgrade),
        (2, &[], Connection),
        (2, &["Connection: keep-alive"], Connection),
        (2, &["Connection: upgrades"], Connection),
        (3, &[], MissingAccept),
        (3, &["Sec-WebSocket-Accept:"], AcceptMismatch),
        (3, &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], AcceptMismatch),
        (3, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], AcceptMismatch),
        (3, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="], AcceptMismatch),
        (3, &[ACCEPT, ACCEPT], RepeatedAccept),
        (3, &[ACCEPT, "Sec-WebSocket-Accept: x"], RepeatedAccept),
    ];
    for (replaced, lines, expected) in forbidden {
        assert_eq!(with(*replaced, lines), Err(expected.clone()), "{lines:?}");
    }
}

#[test]
fn a_subprotocol_must_be_one_that_was_offered() {
    let agreed = |lines: &[&str]| answer(&[&GOOD, lines].concat()).map(|response| response.subprotocol);
    assert_eq!(agreed(&[]), Ok(None));
    assert_eq!(agreed(&["Sec-WebSocket-Protocol: Super"]), Ok(Some("Super".into())));
    assert_eq!(agreed(&["Sec-WebSocket-Protocol:"]), Err(HandshakeError::EmptyField("Sec-WebSocket-Protocol")));
    // What repeats an offer may be a token, and is not told.
    for (other, told) in [("new", "new"), ("super", "<hidden>"), ("chat, Super", "<hidden>"), ("mqtt", "mqtt")] {
        let line = format!("Sec-WebSocket-Protocol: {other}");
        assert_eq!(agreed(&[&line]), Err(HandshakeError::UnofferedSubprotocol(told.into())));
    }
    let request = ClientRequest::new("h", "/").subprotocols(["mqtt", "token"]);
    let offer = request.encode(*b"the sample nonce").unwrap().1;
    for (other, told) in [("MQTT, x", "MQTT, x"), ("mqtt, Token", "<hidden>")] {
        assert_eq!(offer.without_tokens(other.as_bytes()), told);
    }
    let twice = ["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"];
    assert_eq!(agreed(&twice), Err(HandshakeError::RepeatedSubprotocol));
}

#[test]
fn an_extension_must_be_one_that_was_offered() {
    let agreed = |lines: &[&str]| answer(&[&GOOD, lines].concat()).map(|response| response.extensions);
    assert_eq!(agreed(&[]), Ok(Vec::new()));
    let marked = ExtensionOffer::new("x-mark").param("level", Some("2"));
    assert_eq!(agreed(&["Sec-WebSocket-Extensions: x-mark; level=2"]), Ok(vec![marked]));
    let cases = [
        ("bad, x-mark", HandshakeError::UnofferedExtension("bad".into())),
        ("permessage-deflate", HandshakeError::UnofferedExtension("permessage-deflate".into())),
        ("x-mark, x-mark", HandshakeError::RepeatedExtension("x-mark".into())),
        ("", HandshakeError::EmptyField("Sec-WebSocket-Extensions")),
        (",", HandshakeError::ExtensionSyntax),
        ("x-mark;", HandshakeError::ExtensionSyntax),
    ];
    for (value, expected) in cases {
        assert_eq!(agreed(&[&format!("Sec-WebSocket-Extensions: {value}")]), Err(expected), "{value}");
    }
}

/// Lines in the place of one of the good answer, and what the strict client says to them.
fn tolerated() -> Vec<(usize, Vec<String>, HandshakeError)> {
    use HandshakeError::*;
    let row = |replaced, lines: &[&str], error| (replaced, lines.iter().map(|&line| line.to_owned()).collect(), error);
    let marked = "Sec-WebSocket-Extensions: x-mark; level=2";
    let mut rows = vec![
        row(0, &["HTTP/1.0 101 Switching Protocols"], HttpVersion),
        row(1, &["Upgrade: websocket", "Upgrade: websocket"], RepeatedUpgrade),
        row(1, &["Upgrade: WebSocket", "UPGRADE:WebSocket "], RepeatedUpgrade),
        row(3, &[ACCEPT, ACCEPT, ACCEPT], RepeatedAccept),
        row(3, &[ACCEPT, "Sec-WebSocket-Protocol:"], EmptyField("Sec-WebSocket-Protocol")),
        row(3, &[ACCEPT, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"], RepeatedSubprotocol),
        row(3, &[ACCEPT, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: "], RepeatedSubprotocol),
        row(3, &[ACCEPT, "Sec-WebSocket-Extensions: "], EmptyField("Sec-WebSocket-Extensions")),
        row(3, &[ACCEPT, marked, marked], RepeatedExtension("x-mark".into())),
    ];
    let malformed = ["no field", "X : y", ": y", "X Y: z", "\u{e9}: x", "Sec-WebSocket-Accept : x", "(){}"];
    rows.extend(malformed.map(|line| row(3, &[line, ACCEPT], HeaderSyntax)));
    let many = (0..1000).map(|number| format!("X-{number}: y")).chain([ACCEPT.to_owned()]).collect();
    rows.push((3, many, TooManyFields { limit: 128 }));
    rows
}

#[test]
fn a_lenient_client_takes_what_is_wrong_in_form_and_the_strict_error_names_the_option() {
    for (replaced, lines, error) in tolerated() {
        let mut answered: Vec<&str> = GOOD.to_vec();
        answered.splice(replaced..=replaced, lines.iter().map(String::as_str));
        assert_eq!(answer(&answered), Err(error.clone()), "{lines:?}");
        assert!(error.to_string().contains("lenient_handshake"), "{error}");
        let response = answer_to(client().lenient(), &answered).unwrap_or_else(|error| panic!("{lines:?}: {error}"));
        assert_eq!(response.status, 101);
        let has_subprotocol = lines.iter().any(|line| line.ends_with("chat"));
        assert_eq!(response.subprotocol.as_deref(), has_subprotocol.then_some("chat"), "{lines:?}");
        let extensions = lines.iter().filter(|line| line.ends_with("level=2")).count();
        assert_eq!(response.extensions.len(), extensions.min(1), "{lines:?}");
    }
    let all: Vec<&str> = ["HTTP/1.0 101", "Upgrade: websocket", "no field", GOOD[1], GOOD[2], ACCEPT, ACCEPT].into();
    let response = answer_to(client().lenient(), &all).unwrap();
    assert_eq!(response.headers.len(), 5, "what is a field is shown as it came");
}

#[test]
fn a_lenient_client_refuses_everything_else() {
    use HandshakeError::*;
    let forbidden: &[(usize, &[&str], HandshakeError)] = &[
        (0, &["HTTP/1.2 101 Switching Protocols"], HttpVersion),
        (0, &["HTTP/2.0 101 Switching Protocols"], HttpVersion),
        (1, &[], Upgrade),
        (1, &["Upgrade: websocket, h2c"], Upgrade),
        (1, &["Upgrade: websocket", "Upgrade: h2c"], RepeatedUpgrade),
        (2, &["Connection: keep-alive"], Connection),
        (2, &["Connection : Upgrade"], Connection),
        (3, &[], MissingAccept),
        (3, &[ACCEPT, "Sec-WebSocket-Accept: x"], RepeatedAccept),
        (3, &["Sec-WebSocket-Accept: x", "Sec-WebSocket-Accept: x"], AcceptMismatch),
        (3, &[ACCEPT, "Sec-WebSocket-Protocol: new"], UnofferedSubprotocol("new".into())),
        (3, &[ACCEPT, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: Super"], RepeatedSubprotocol),
        (3, &[ACCEPT, "Sec-WebSocket-Extensions: x-mark, x-mark"], RepeatedExtension("x-mark".into())),
        (3, &[ACCEPT, "Sec-WebSocket-Extensions: ,"], ExtensionSyntax),
        (3, &[ACCEPT, " folded"], FoldedHeader),
        (3, &[ACCEPT, "no\0field"], ControlCharacter),
        (3, &[ACCEPT, "no\rfield"], BareCarriageReturn),
    ];
    for (replaced, lines, expected) in forbidden {
        let mut answered = GOOD.to_vec();
        answered.splice(replaced..=replaced, lines.iter().copied());
        assert_eq!(answer_to(client().lenient(), &answered), Err(expected.clone()), "{lines:?}");
    }
    let large = format!("X: {}", "y".repeat(10_000));
    let heads = ["HTTP/1.1 101 Switching Protocols"].into_iter().chain(std::iter::repeat_n(large.as_str(), 7));
    let too_large = answer_to(client().lenient(), &heads.collect::<Vec<_>>());
    assert_eq!(too_large, Err(HeadTooLarge { limit: 65_536 }));
}

#[test]
fn a_lenient_client_reads_other_responses_strictly() {
    for start in ["HTTP/1.1 403 Forbidden", "HTTP/1.1 302 Found", "HTTP/1.1 100 Continue", "HTTP/1.1 1010 No"] {
        let refused = answer_to(client().lenient(), &[start, "no field"]);
        assert!(matches!(refused, Err(HandshakeError::HeaderSyntax | HandshakeError::StatusLine)), "{refused:?}");
        let fields = std::iter::repeat_n("X: y", 129);
        let refused = answer_to(client().lenient(), &[start].into_iter().chain(fields).collect::<Vec<_>>());
        assert_eq!(refused, Err(HandshakeError::TooManyFields { limit: 128 }), "{start}");
    }
}

#[test]
fn debug_shows_only_subprotocols_that_are_registered() {
    let request = ClientRequest::new("h", "/").subprotocols(["mqtt", "canary"]);
    let (mut handshake, bytes) = ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce").unwrap();
    assert!(String::from_utf8(bytes).unwrap().contains("Sec-WebSocket-Protocol: mqtt,canary\r\n"));
    let text = format!("{request:?} {handshake:?}");
    assert!(!text.contains("canary") && text.contains(r#"["mqtt", "<hidden>"]"#), "{text}");
    let answer = ACCEPTED.replace("\r\n\r\n", "\r\nSec-WebSocket-Protocol: canary\r\n\r\n");
    let Ok(Some(HandshakeOutcome::Accepted { response, .. })) = handshake.receive(answer.as_bytes()) else { panic!() };
    assert_eq!(response.subprotocol.as_deref(), Some("canary"));
    let text = format!("{response:?}");
    assert!(!text.contains("canary") && text.contains(r#"subprotocol: Some("<hidden>")"#), "{text}");
    let public = ["canary".to_owned()];
    assert_eq!((shown("canary", &public), shown("other", &public), shown("mqtt", &[])), ("canary", HIDDEN, "mqtt"));
}

#[test]
fn debug_shows_nothing_of_a_head_that_is_not_whole_and_no_query() {
    let mut handshake = handshake();
    assert_eq!(handshake.receive(b"HTTP/1.1 101 OK\r\nSet-Cookie: canary\r\n"), Ok(None));
    let request = ClientRequest::new("h", "/feed?token=canary");
    let shown = format!("{handshake:?} {request:?}");
    let bytes = format!("{:?}", b"canary");
    assert!(!shown.contains("canary") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.contains(r#""/feed?<hidden>""#), "{shown}");
}
