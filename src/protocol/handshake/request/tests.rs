use super::*;

const NONCE: [u8; KEY_LEN] = *b"the sample nonce";

/// The head's lines, without the empty one.
fn lines(request: &ClientRequest) -> Vec<String> {
    let (bytes, _) = request.encode(NONCE).unwrap();
    let head = String::from_utf8(bytes).unwrap();
    head.strip_suffix("\r\n\r\n").unwrap().split("\r\n").map(str::to_owned).collect()
}

fn minimal() -> ClientRequest {
    ClientRequest::new("h", "/")
}

#[test]
fn everything_stands_in_the_order_of_websocket_client() {
    let request = ClientRequest::new("example.com:8080", "/chat?x=1")
        .cookie("a=1; b=2")
        .headers([("X-One", "1"), ("x-two", "2")])
        .extensions("permessage-deflate; client_max_window_bits")
        .subprotocols(["a", "b"])
        .origin("http://example.com:8080");
    assert_eq!(
        lines(&request),
        [
            "GET /chat?x=1 HTTP/1.1",
            "Upgrade: websocket",
            "Host: example.com:8080",
            "Origin: http://example.com:8080",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            "Sec-WebSocket-Version: 13",
            "Connection: Upgrade",
            "Sec-WebSocket-Protocol: a,b",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
            "X-One: 1",
            "x-two: 2",
            "Cookie: a=1; b=2",
        ]
    );
}

#[test]
fn fields_of_the_user_take_the_place_of_ours() {
    let request = minimal()
        .origin("http://h")
        .cookie("ours=1")
        .subprotocols(["ours"])
        .header("X-First", "1")
        .header("COOKIE", "theirs=1")
        .header("host", "other")
        .header("ORIGIN", "null")
        .header("connection", "keep-alive, upgrade")
        .header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==")
        .header("sec-websocket-protocol", "theirs, more")
        .header("Sec-WebSocket-Protocol", "last");
    assert_eq!(
        lines(&request),
        [
            "GET / HTTP/1.1",
            "Upgrade: websocket",
            "host: other",
            "ORIGIN: null",
            "sec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==",
            "Sec-WebSocket-Version: 13",
            "connection: keep-alive, upgrade",
            "sec-websocket-protocol: theirs, more",
            "Sec-WebSocket-Protocol: last",
            "X-First: 1",
            "COOKIE: theirs=1",
        ]
    );
    let (_, offer) = request.encode(NONCE).unwrap();
    assert_eq!(offer.key, "x3JJHMbDL1EzLkh9GBhXDw==");
    assert_eq!(offer.subprotocols, ["theirs", "more", "last"]);
}

#[test]
fn host_may_be_left_out_and_empty_values_are_sent() {
    assert!(!lines(&minimal().suppress_host()).iter().any(|line| line.starts_with("Host")));
    assert!(lines(&minimal().origin("")).contains(&String::from("Origin: ")));
}

#[test]
fn nothing_can_be_injected_into_any_part() {
    let strings = [
        "a\rb",
        "a\nb",
        "a\r\nb",
        "a\r\nX-Evil: 1",
        "a\r\n\r\nGET / HTTP/1.1",
        "\n",
        "\r",
        "a\0",
        "\x01",
        "a\x1bb",
        "a\x7f",
        "a\x0bb",
    ];
    type Put = fn(ClientRequest, &str) -> ClientRequest;
    let parts: [(&str, Put); 10] = [
        ("request target", |_, text| ClientRequest::new("h", format!("/{text}"))),
        ("host", |_, text| ClientRequest::new(text, "/")),
        ("origin", |request, text| request.origin(text)),
        ("connection", |request, text| request.connection(format!("Upgrade, {text}"))),
        ("subprotocol", |request, text| request.subprotocols(["ok", text])),
        ("extensions", |request, text| request.extensions(format!("x; a={text}"))),
        ("header name", |request, text| request.header(text, "v")),
        ("header value", |request, text| request.header("n", text)),
        ("header value", |request, text| request.header("Host", text)),
        ("cookie", |request, text| request.cookie(text)),
    ];
    for (part, put) in parts {
        for string in strings {
            let refused = put(minimal(), string).encode(NONCE);
            assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter(part)), "{string:?}");
        }
    }
}

#[test]
fn parts_that_do_not_fit_their_grammar_are_refused() {
    for target in ["", "a", "/a b", "/a#b", "/\u{e9}"] {
        let refused = ClientRequest::new("h", target).encode(NONCE);
        assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("request target")), "{target:?}");
    }
    for host in ["a b", "b\u{fc}cher.example", "h/x", "u@h", "a,b"] {
        let refused = ClientRequest::new(host, "/").encode(NONCE);
        assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("host")), "{host:?}");
    }
    for name in ["", "a b", "a,b", "a/b", "\u{e9}"] {
        let refused = minimal().subprotocols([name]).encode(NONCE);
        assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("subprotocol")), "{name:?}");
    }
    assert!(ClientRequest::new("[::1]:80", "wss://h/ws").encode(NONCE).is_ok());
}

#[test]
fn a_cookie_is_not_shown() {
    assert!(!format!("{:?}", minimal().cookie("canary").header("Authorization", "canary")).contains("canary"));
}

const GOOD: [(&str, &str); 5] = [
    ("Upgrade", "websocket"),
    ("Host", "h"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
    ("Connection", "Upgrade"),
];

/// The good fields with others of one name.
fn with(name: &str, values: &[&str]) -> Result<HandshakeOffer, LocalProtocolError> {
    let kept = GOOD.into_iter().filter(|(other, _)| *other != name);
    let given = values.iter().map(|value| (name, *value));
    offer_in(&kept.chain(given).collect())
}

#[test]
fn fields_of_the_user_cannot_make_it_another_request() {
    let cases = [
        ("Upgrade", "h2c"),
        ("Host", "a b"),
        ("Sec-WebSocket-Key", "abc"),
        ("Sec-WebSocket-Version", "8"),
        ("Connection", "keep-alive"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Sec-WebSocket-Extensions", "a b"),
    ];
    for (name, value) in cases {
        assert_eq!(with(name, &[value]), Err(LocalProtocolError::HeaderValue(name)), "{value}");
    }
    for name in ["Host", "Origin", "Sec-WebSocket-Key", "Cookie", "Content-Length"] {
        assert_eq!(with(name, &["0", "5"]), Err(LocalProtocolError::RepeatedHeader(name)));
    }
    for (name, value) in [("Upgrade", "WebSocket"), ("Content-Length", "0"), ("Connection", "x, upgrade")] {
        assert!(with(name, &[value]).is_ok(), "{name}");
    }
}

#[test]
fn subprotocols_are_tokens_and_each_is_offered_once() {
    let cases = [
        (vec!["a, b", "c"], Ok(vec!["a".into(), "b".into(), "c".into()])),
        (vec!["a b"], Err(LocalProtocolError::IllegalCharacter("subprotocol"))),
        (vec!["a, b", "a"], Err(LocalProtocolError::RepeatedSubprotocol)),
    ];
    for (values, expected) in cases {
        assert_eq!(with("Sec-WebSocket-Protocol", &values).map(|asked| asked.subprotocols), expected);
    }
}
