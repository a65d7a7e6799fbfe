use super::*;

const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Extensions: x-mark; level=3\r\n\r\n";
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn requested() -> ServerHandshake {
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    assert!(handshake.receive(REQUEST.as_bytes()).unwrap().is_some());
    handshake
}

#[test]
fn any_chunking_gives_the_same_request_and_keeps_early_data() {
    let frames = b"\x81\x85abcd\x29\x07\x0f\x08\x0e";
    let bytes = [REQUEST.as_bytes(), frames].concat();
    let (_, expected) = {
        let mut handshake = ServerHandshake::new(HeadLimits::default());
        let request = handshake.receive(&bytes).unwrap().unwrap();
        (handshake, request)
    };
    for size in 1..bytes.len() {
        let mut handshake = ServerHandshake::new(HeadLimits::default());
        let requests: Vec<UpgradeRequest> =
            bytes.chunks(size).filter_map(|chunk| handshake.receive(chunk).unwrap()).collect();
        assert_eq!(requests, std::slice::from_ref(&expected));
        handshake.accept(&Acceptance::default()).unwrap();
        assert_eq!(handshake.take_early_data(), frames);
        assert_eq!(handshake.receive(b"x"), Err(HandshakeError::Over));
    }
}

#[test]
fn a_request_waits_on_after_an_answer_that_cannot_be_given() {
    let mut handshake = requested();
    let refused = handshake.accept(&Acceptance::default().subprotocol("three"));
    assert_eq!(refused, Err(LocalProtocolError::UnofferedSubprotocol));
    assert!(handshake.accept(&Acceptance::default().subprotocol("one")).is_ok());
    assert_eq!(handshake.accept(&Acceptance::default()), Err(LocalProtocolError::Handshake("AcceptConnection")));
}

#[test]
fn debug_shows_nothing_of_a_request_and_its_answer_that_may_be_secret() {
    let bytes = REQUEST.replace("/chat", "/chat?canary").replace("one, two", "mqtt, canary");
    let bytes = bytes.replace("\r\n\r\n", "\r\nCookie: canary\r\n\r\n");
    let mut handshake = ServerHandshake::new(HeadLimits::default());
    let request = handshake.receive(bytes.as_bytes()).unwrap().unwrap();
    let acceptance = Acceptance::default().subprotocol("canary").header("Set-Cookie", "canary");
    let shown = format!("{handshake:?} {request:?} {acceptance:?}");
    assert!(!shown.contains("canary"), "{shown}");
    for part in ["/chat?<hidden>", "example.com", r#"["mqtt", "<hidden>"]"#, "x-mark", "Cookie", "Set-Cookie"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn early_data_is_bounded() {
    let mut handshake = requested();
    let error = (0..100).find_map(|_| handshake.receive(&[0; 1024]).err());
    assert_eq!(error, Some(HandshakeError::EarlyData { limit: 65_536 }));
}

#[test]
fn a_broken_request_can_be_rejected_as_the_error_says() {
    let cases = [
        (REQUEST.replace("Version: 13", "Version: 8"), 426),
        (REQUEST.replace("GET", "POST"), 400),
        (REQUEST.replace("Host: example.com", &"A: b\r\n".repeat(200)), 431),
    ];
    for (request, status) in cases {
        let mut handshake = ServerHandshake::new(HeadLimits::default());
        let error = handshake.receive(request.as_bytes()).unwrap_err();
        let rejection = Rejection::for_error(&error).unwrap();
        assert_eq!(rejection.status, status);
        assert_eq!(handshake.accept(&Acceptance::default()), Err(LocalProtocolError::Handshake("AcceptConnection")));
        assert!(handshake.reject(&rejection).is_ok());
    }
    assert_eq!(Rejection::for_error(&HandshakeError::NotHttp), None);
}

#[test]
fn a_rejection_has_a_body_if_it_says_so() {
    let mut handshake = requested();
    handshake.reject(&Rejection::new(403).header("Content-Length", "5").with_body()).unwrap();
    assert_eq!(handshake.reject_data(b"Hel"), Ok(b"Hel".to_vec()));
    assert_eq!(handshake.finish_rejection(b"l"), Err(LocalProtocolError::PayloadLength));
    assert_eq!(handshake.finish_rejection(b"loo"), Err(LocalProtocolError::PayloadLength));
    assert_eq!(handshake.finish_rejection(b"lo"), Ok(b"lo".to_vec()));
    assert_eq!(handshake.reject_data(b"x"), Err(LocalProtocolError::Handshake("RejectData")));
    assert_eq!(handshake.finish_rejection(b""), Err(LocalProtocolError::Handshake("RejectData")));
    assert_eq!(handshake.reject(&Rejection::new(403)), Err(LocalProtocolError::Handshake("RejectConnection")));
}

#[test]
fn a_rejection_may_have_a_reason_phrase_of_its_own() {
    let first_line = |rejection: Rejection| {
        let bytes = requested().reject(&rejection).unwrap();
        String::from_utf8(bytes).unwrap().lines().next().unwrap().to_owned()
    };
    assert_eq!(first_line(Rejection::new(403).reason("Not On Sundays")), "HTTP/1.1 403 Not On Sundays");
    assert_eq!(first_line(Rejection::new(403).reason("")), "HTTP/1.1 403 ");
    assert_eq!(first_line(Rejection::new(499)), "HTTP/1.1 499 ");
    let split = Rejection::new(403).reason("a\r\nX: y");
    assert_eq!(requested().reject(&split), Err(LocalProtocolError::IllegalCharacter("reason phrase")));
}

#[test]
fn a_request_may_have_been_read_by_somebody_else() {
    let headers = Headers::from([
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
    ]);
    let limits = HeadLimits::default();
    let (mut handshake, request) = ServerHandshake::from_parsed("GET", "/chat", headers.clone(), limits).unwrap();
    assert_eq!(request.target, "/chat");
    assert_eq!(handshake.accept(&Acceptance::default()), Ok(format!("{AGREED}\r\n").into_bytes()));
    let refused = ServerHandshake::from_parsed("POST", "/chat", headers, limits);
    assert_eq!(refused.map(|(_, request)| request), Err(HandshakeError::Method));
}

const GOOD: [(&str, &str); 5] = [
    ("Host", "example.com"),
    ("Connection", "Keep-Alive, Upgrade"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Upgrade", "WebSocket"),
];

fn judge(method: &str, minor_version: u8, headers: Headers) -> Result<UpgradeRequest, HandshakeError> {
    UpgradeRequest::judge(RequestHead { method: method.into(), target: "/".into(), minor_version, headers })
}

/// The good request with other fields of one name.
fn with(name: &str, values: &[&str]) -> Result<UpgradeRequest, HandshakeError> {
    let kept = GOOD.into_iter().filter(|(other, _)| *other != name);
    judge("GET", 1, kept.chain(values.iter().map(|value| (name, *value))).collect())
}

#[test]
fn a_request_is_taken_apart() {
    let mut headers = Headers::from(GOOD);
    headers.extend([("Sec-WebSocket-Protocol", "one, two"), ("X-Foo", "bar"), ("Sec-WebSocket-Protocol", "three")]);
    headers.extend([("Sec-WebSocket-Extensions", "x-mark; a=1, y"), ("sec-websocket-extensions", "x-mark")]);
    let request = judge("GET", 1, headers.clone()).unwrap();
    assert_eq!((request.host.as_str(), request.target.as_str()), ("example.com", "/"));
    assert_eq!(request.subprotocols, ["one", "two", "three"]);
    let extensions: Vec<String> = request.extensions.iter().map(ExtensionOffer::to_string).collect();
    assert_eq!(extensions, ["x-mark; a=1", "y", "x-mark"]);
    assert_eq!(request.headers, headers);
}

#[test]
fn what_the_rules_forbid_is_refused_by_name() {
    use HandshakeError::*;
    let cases: &[(&str, &[&str], HandshakeError)] = &[
        ("Connection", &[], Connection),
        ("Connection", &["Keep-Alive, No-Upgrade"], Connection),
        ("Sec-WebSocket-Version", &[], MissingVersion),
        ("Sec-WebSocket-Version", &["12"], UnsupportedVersion),
        ("Sec-WebSocket-Version", &["not-a-digit"], UnsupportedVersion),
        ("Sec-WebSocket-Version", &["8, 13"], UnsupportedVersion),
        ("Sec-WebSocket-Version", &["13", "13"], UnsupportedVersion),
        ("Sec-WebSocket-Key", &[], MissingKey),
        ("Sec-WebSocket-Key", &["abc"], InvalidKey),
        ("Sec-WebSocket-Key", &["dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ=="], RepeatedKey),
        ("Upgrade", &[], Upgrade),
        ("Upgrade", &["h2c"], Upgrade),
        ("Host", &[], Host),
        ("Host", &["a", "b"], Host),
        ("Host", &["a b"], Host),
        ("Content-Length", &["5"], RequestBody),
        ("Transfer-Encoding", &["chunked"], RequestBody),
        ("Sec-WebSocket-Protocol", &["a b"], SubprotocolSyntax),
        ("Sec-WebSocket-Protocol", &["a, b", "a"], SubprotocolSyntax),
        ("Sec-WebSocket-Extensions", &["a b"], ExtensionSyntax),
        ("Sec-WebSocket-Extensions", &[""], ExtensionSyntax),
    ];
    for (name, values, expected) in cases {
        assert_eq!(with(name, values), Err(expected.clone()), "{name} {values:?}");
    }
    assert_eq!(judge("POST", 1, GOOD.into()), Err(Method));
    assert_eq!(judge("get", 1, GOOD.into()), Err(Method));
    assert_eq!(judge("GET", 0, GOOD.into()), Err(HttpVersion));
    assert!(with("Content-Length", &["0"]).is_ok());
}

/// The answer to a request that offers the subprotocols `one` and `two` and the extension `x-mark`.
fn answer(acceptance: &Acceptance) -> Result<String, LocalProtocolError> {
    let headers = Headers::from([
        ("Host", "h"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "one, two"),
        ("Sec-WebSocket-Extensions", "x-mark; level=3"),
    ]);
    let (_, request) = ServerHandshake::from_parsed("GET", "/", headers, HeadLimits::default()).unwrap();
    acceptance.encode(&request.offer()).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_request_is_accepted_with_what_it_offered() {
    assert_eq!(answer(&Acceptance::default()), Ok(format!("{AGREED}\r\n")));
    let extension = ExtensionOffer::new("x-mark").param("level", Some("2"));
    let acceptance = Acceptance::default().subprotocol("two").extension(extension).header("X-Foo", "bar");
    assert_eq!(
        answer(&acceptance),
        Ok(format!(
            "{AGREED}Sec-WebSocket-Protocol: two\r\nSec-WebSocket-Extensions: x-mark; level=2\r\nX-Foo: bar\r\n\r\n"
        ))
    );
}

#[test]
fn nothing_is_accepted_that_was_not_offered_or_cannot_be_said() {
    use LocalProtocolError::*;
    let cases = [
        (Acceptance::default().subprotocol("three"), UnofferedSubprotocol),
        (
            Acceptance::default()
                .extension(ExtensionOffer::new("x-mark"))
                .extension(ExtensionOffer::new("x-mark").param("level", Some("1"))),
            RepeatedExtension,
        ),
        (Acceptance::default().extension(ExtensionOffer::new("other")), UnofferedExtension),
        (
            Acceptance::default().extension(ExtensionOffer::new("x-mark").param("a", Some("b\r\nc: d"))),
            IllegalCharacter("extensions"),
        ),
        (Acceptance::default().header("X", "b\r\nc: d"), IllegalCharacter("header value")),
        (Acceptance::default().header("sec-websocket-accept", "x"), RepeatedHeader("Sec-WebSocket-Accept")),
        (Acceptance::default().header("content-length", "5"), RepeatedHeader("Content-Length")),
    ];
    for (acceptance, expected) in cases {
        assert_eq!(answer(&acceptance), Err(expected), "{acceptance:?}");
    }
}

fn head(rejection: &Rejection) -> Result<String, LocalProtocolError> {
    rejection.encode().map(|(bytes, _)| String::from_utf8(bytes).unwrap())
}

#[test]
fn the_length_of_the_body_is_always_told() {
    let cases = [
        (Rejection::default(), "400 Bad Request\r\nContent-Length: 0\r\n"),
        (Rejection::new(599), "599 \r\nContent-Length: 0\r\n"),
        (Rejection::new(204), "204 No Content\r\n"),
        (Rejection::new(403).header("content-length", "0"), "403 Forbidden\r\ncontent-length: 0\r\n"),
        (Rejection::new(403).with_body(), "403 Forbidden\r\nTransfer-Encoding: chunked\r\n"),
        (Rejection::new(403).header("content-length", "5").with_body(), "403 Forbidden\r\ncontent-length: 5\r\n"),
        (
            Rejection::new(403).header("transfer-encoding", "Chunked").with_body(),
            "403 Forbidden\r\ntransfer-encoding: Chunked\r\n",
        ),
    ];
    for (rejection, expected) in cases {
        assert_eq!(head(&rejection), Ok(format!("HTTP/1.1 {expected}\r\n")));
    }
}

#[test]
fn what_cannot_be_said_is_refused() {
    use LocalProtocolError::*;
    let cases = [
        (Rejection::new(101), Status(101)),
        (Rejection::new(199), Status(199)),
        (Rejection::new(600), Status(600)),
        (Rejection::new(204).with_body(), Status(204)),
        (Rejection::new(403).header("content-length", "5"), HeaderValue("Content-Length")),
        (Rejection::new(403).header("content-length", "+5").with_body(), HeaderValue("Content-Length")),
        (
            Rejection::new(403).header("content-length", "5").header("Content-Length", "5").with_body(),
            RepeatedHeader("Content-Length"),
        ),
        (Rejection::new(403).header("transfer-encoding", "chunked"), HeaderValue("Transfer-Encoding")),
        (Rejection::new(403).header("transfer-encoding", "gzip").with_body(), HeaderValue("Transfer-Encoding")),
        (
            Rejection::new(403).header("transfer-encoding", "chunked").header("content-length", "5").with_body(),
            HeaderValue("Transfer-Encoding"),
        ),
        (Rejection::new(403).header("a b", ""), IllegalCharacter("header name")),
        (Rejection::new(403).header("a", "b\r\nc: d"), IllegalCharacter("header value")),
    ];
    for (rejection, expected) in cases {
        assert_eq!(head(&rejection), Err(expected), "{rejection:?}");
    }
}

#[test]
fn a_body_is_as_long_as_it_was_announced_to_be() {
    let mut length = BodyWriter::Length(5);
    assert_eq!(length.write(b"Hel"), Ok(b"Hel".to_vec()));
    assert_eq!(length.finish(), Err(LocalProtocolError::PayloadLength));
    assert_eq!(length.write(b"loo"), Err(LocalProtocolError::PayloadLength));
    assert_eq!(length.write(b"lo"), Ok(b"lo".to_vec()));
    assert_eq!(length.finish(), Ok(Vec::new()));

    let mut chunked = BodyWriter::Chunked;
    assert_eq!(chunked.write(&[b'x'; 26]), Ok([b"1a\r\n", &[b'x'; 26][..], b"\r\n"].concat()));
    assert_eq!(chunked.write(b""), Ok(Vec::new()));
    assert_eq!(chunked.finish(), Ok(b"0\r\n\r\n".to_vec()));
}
