//! The opening handshake as events: the ideas of wsproto's tests of its client, its server and both together, and what
//! wsproto got wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use websocket_sync::HandshakeError;
use websocket_sync::protocol::handshake::{ExtensionOffer, HeadLimits, Headers, accept_for};
use websocket_sync::protocol::{
    AcceptConnection, CloseCode, CloseConnection, Connection, ConnectionBuilder, ConnectionState, Entropy, Event,
    LocalProtocolError, Ping, ProtocolError, ProtocolViolation, RejectConnection, RejectData, RemoteProtocolError,
    Request, TextMessage,
};

/// The key that [`entropy`] makes.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBw==";

fn entropy() -> Entropy {
    Box::new(|bytes| bytes.fill(7))
}

/// A client, and the request that it has sent.
fn asked(request: Request) -> (Connection, String) {
    let mut client = Connection::client(entropy());
    let bytes = client.send(request).unwrap();
    assert_eq!(client.state(), ConnectionState::Connecting);
    (client, String::from_utf8(bytes).unwrap())
}

/// A 101 with these fields behind its accept.
fn accepting(lines: &[&str]) -> String {
    let accept = accept_for(KEY);
    let mut answer = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n");
    lines.iter().for_each(|line| answer += &format!("{line}\r\n"));
    answer + "\r\n"
}

/// What a client that sent this request makes of an answer.
fn answered(request: Request, answer: &str) -> Result<Vec<Event>, RemoteProtocolError> {
    let (mut client, _) = asked(request);
    client.receive_data(Some(answer.as_bytes()))?;
    assert_ne!(client.state(), ConnectionState::Connecting);
    Ok(client.events().collect())
}

fn plain() -> Request {
    Request::new("localhost", "/")
}

const UPGRADE: [&str; 2] = ["Connection: Upgrade", "Upgrade: websocket"];

#[test]
fn debug_shows_nothing_of_a_request_and_its_answer_that_may_be_secret() {
    let request = Request {
        extra_headers: Headers::from([("Authorization", "canary")]),
        subprotocols: vec!["mqtt".into(), "canary".into()],
        ..Request::new("example.com", "/feed?canary")
    };
    let accept = AcceptConnection {
        subprotocol: Some("canary".into()),
        extensions: vec![ExtensionOffer::new("x-mark")],
        extra_headers: Headers::from([("Set-Cookie", "canary")]),
    };
    let shown = format!("{request:?} {accept:?}");
    assert!(!shown.contains("canary"), "{shown}");
    for part in ["example.com", "/feed?<hidden>", "Authorization", r#"["mqtt", "<hidden>"]"#, "x-mark", "Set-Cookie"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

mod client {
    use super::*;

    #[test]
    fn a_request_says_what_rfc_6455_asks_for() {
        let (_, head) = asked(plain());
        assert_eq!(
            head,
            format!(
                "GET / HTTP/1.1\r\nUpgrade: websocket\r\nHost: localhost\r\nSec-WebSocket-Key: {KEY}\r\n\
                 Sec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n"
            )
        );
    }

    #[test]
    fn a_request_carries_further_headers_and_subprotocols() {
        let request = Request {
            extra_headers: Headers::from([("X-Foo", "Bar"), ("X-Bar", "Foo")]),
            subprotocols: vec!["one".into(), "two".into()],
            ..plain()
        };
        let (_, head) = asked(request);
        assert!(head.ends_with("Sec-WebSocket-Protocol: one,two\r\nX-Foo: Bar\r\nX-Bar: Foo\r\n\r\n"), "{head}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_another_request_may_follow() {
        let mut client = Connection::client(entropy());
        let cases = [
            (Request::new("local\r\nhost", "/"), "host"),
            (Request::new("芝士汉堡", "/"), "host"),
            (Request::new("localhost", "/ HTTP/1.1\r\nX: y"), "request target"),
            (Request { extra_headers: Headers::from([("X", "a\nb")]), ..plain() }, "header value"),
        ];
        for (request, part) in cases {
            assert_eq!(client.send(request), Err(LocalProtocolError::IllegalCharacter(part)));
        }
        assert!(client.send(plain()).is_ok());
        assert_eq!(client.send(plain()), Err(LocalProtocolError::Handshake("Request")));
    }

    #[test]
    fn an_answer_opens_the_connection() {
        let (mut client, _) = asked(plain());
        client.receive_data(Some(accepting(&UPGRADE).as_bytes())).unwrap();
        assert_eq!(client.events().collect::<Vec<_>>(), [Event::from(AcceptConnection::default())]);
        assert_eq!(client.state(), ConnectionState::Open);
        assert_eq!(client.send(plain()), Err(LocalProtocolError::Handshake("Request")));
        client.receive_data(Some(b"foobar")).unwrap();
        let violation = ProtocolViolation { error: ProtocolError::UnknownOpcode(6) };
        assert_eq!(client.events().collect::<Vec<_>>(), [Event::ProtocolViolation(violation)]);
    }

    #[test]
    fn interim_answers_are_skipped() {
        let answer = format!(
            "HTTP/1.1 102 Processing\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n{}",
            accepting(&UPGRADE)
        );
        assert_eq!(answered(plain(), &answer), Ok(vec![AcceptConnection::default().into()]));
        let (mut client, _) = asked(plain());
        client.receive_data(Some(b"HTTP/1.1 102 Processing\r\n\r\n")).unwrap();
        assert_eq!((client.next_event(), client.state()), (None, ConnectionState::Connecting));
    }

    #[test]
    fn further_headers_of_the_answer_are_told() {
        let answer = accepting(&[UPGRADE[0], UPGRADE[1], "X-Foo: bar", "Set-Cookie: a=1", "Set-Cookie: b=2"]);
        let extra_headers = Headers::from([("x-foo", "bar"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]);
        let accept = AcceptConnection { extra_headers, ..AcceptConnection::default() };
        assert_eq!(answered(plain(), &answer), Ok(vec![accept.into()]));
    }

    #[test]
    fn a_broken_answer_names_its_fault_and_ends_the_connection() {
        let accept = format!("Sec-WebSocket-Accept: {}", accept_for(KEY));
        let cases = [
            (accepting(&["Upgrade: websocket"]), HandshakeError::Connection),
            (accepting(&["Upgrade: websocket", "Connection: Keep-Alive"]), HandshakeError::Connection),
            (accepting(&["Connection: Upgrade"]), HandshakeError::Upgrade),
            (accepting(&["Connection: Upgrade", "Upgrade: h2"]), HandshakeError::Upgrade),
            (accepting(&UPGRADE).replace(&accept, "X: y"), HandshakeError::MissingAccept),
            (accepting(&[UPGRADE[0], UPGRADE[1], &accept]), HandshakeError::RepeatedAccept),
            (accepting(&UPGRADE).replace("1.1", "1.0"), HandshakeError::HttpVersion),
            (
                accepting(&[UPGRADE[0], UPGRADE[1], "Sec-WebSocket-Protocol: new"]),
                HandshakeError::UnofferedSubprotocol("new".into()),
            ),
            (
                accepting(&[UPGRADE[0], UPGRADE[1], "Sec-WebSocket-Extensions: bad, foo"]),
                HandshakeError::UnofferedExtension("bad".into()),
            ),
            ("broken nonsense\r\n\r\n".into(), HandshakeError::NotHttp),
        ];
        for (answer, expected) in cases {
            let (mut client, _) = asked(plain());
            let error = client.receive_data(Some(answer.as_bytes())).unwrap_err();
            assert_eq!((&error.error, error.event_hint.as_ref()), (&expected, None));
            assert_eq!(error.to_string(), expected.to_string());
            assert_eq!(client.state(), ConnectionState::Closed);
            assert_eq!(client.receive_data(Some(b"more")), Ok(()));
            assert_eq!(client.next_event(), None);
        }
    }

    #[test]
    fn a_subprotocol_is_one_of_those_offered() {
        let request = Request { subprotocols: vec!["one".into(), "two".into()], ..plain() };
        let answer = accepting(&[UPGRADE[0], UPGRADE[1], "Sec-WebSocket-Protocol: one"]);
        let accept = AcceptConnection { subprotocol: Some("one".into()), ..AcceptConnection::default() };
        assert_eq!(answered(request, &answer), Ok(vec![accept.into()]));
    }

    #[test]
    fn a_refusal_is_told_with_its_body() {
        let refused = |answer: &str| {
            let (mut client, _) = asked(plain());
            client.receive_data(Some(answer.as_bytes())).unwrap();
            let state = client.state();
            client.receive_data(None).unwrap();
            assert_eq!(client.state(), ConnectionState::Closed);
            (state, client.events().collect::<Vec<_>>())
        };
        let reject = |name: &str, value: &str| {
            let headers = Headers::from([(name, value)]);
            Event::from(RejectConnection { status_code: 400, headers, has_body: true })
        };
        let part = |data: &str| Event::from(RejectData { data: data.into(), body_finished: false });
        let end = || Event::from(RejectData::default());

        assert_eq!(
            refused("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
            (ConnectionState::Rejecting, vec![reject("connection", "close"), end()])
        );
        assert_eq!(
            refused("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nHello"),
            (ConnectionState::Rejecting, vec![reject("connection", "close"), part("Hello"), end()])
        );
        assert_eq!(
            refused("HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nHello, not more"),
            (ConnectionState::Closed, vec![reject("content-length", "5"), part("Hello"), end()])
        );
        assert_eq!(
            refused("HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHel\r\n2\r\nlo\r\n0\r\n\r\n"),
            (ConnectionState::Closed, vec![reject("transfer-encoding", "chunked"), part("Hel"), part("lo"), end()])
        );
    }

    #[test]
    fn a_refusal_is_told_even_if_its_body_is_cut_off_or_malformed() {
        let cases = [
            ("Content-Length: 5\r\n\r\nHel", HandshakeError::Eof),
            ("Content-Length: five\r\n\r\n", HandshakeError::RefusalBody),
        ];
        for (rest, expected) in cases {
            let (mut client, _) = asked(plain());
            let answer = format!("HTTP/1.1 503 Busy\r\n{rest}");
            let result = client.receive_data(Some(answer.as_bytes())).and_then(|()| client.receive_data(None));
            assert_eq!(result.map_err(|error| error.error), Err(expected));
            assert!(matches!(client.next_event(), Some(Event::RejectConnection(reject)) if reject.status_code == 503));
            assert_eq!(client.state(), ConnectionState::Closed);
        }
    }

    #[test]
    fn the_end_before_the_answer_is_an_error() {
        let (mut client, _) = asked(plain());
        client.receive_data(Some(b"HTTP/1.1 101")).unwrap();
        assert_eq!(client.receive_data(None).map_err(|error| error.error), Err(HandshakeError::Eof));
        assert_eq!(client.state(), ConnectionState::Closed);
        assert_eq!(client.receive_data(None), Ok(()));
    }

    #[test]
    fn frames_may_come_with_the_answer_cut_anywhere() {
        let bytes = [accepting(&UPGRADE).as_bytes(), b"\x81\x05Hello\x88\x02\x03\xe8"].concat();
        let expected = [
            Event::from(AcceptConnection::default()),
            TextMessage::new("Hello").into(),
            CloseConnection::new(CloseCode::NORMAL, "").into(),
        ];
        for cut in 0..bytes.len() {
            let (mut client, _) = asked(plain());
            let mut events = Vec::new();
            for piece in [&bytes[..cut], &bytes[cut..]] {
                client.receive_data(Some(piece)).unwrap();
                events.extend(client.events());
            }
            let whole_text = |event: &Event| !matches!(event, Event::TextMessage(text) if !text.frame_finished);
            let text: String = events
                .iter()
                .filter_map(|event| if let Event::TextMessage(text) = event { Some(text.data.as_str()) } else { None })
                .collect();
            assert_eq!(text, "Hello");
            assert_eq!(events.iter().filter(|event| whole_text(event)).count(), 3, "{events:?}");
            assert_eq!((events.first(), events.last()), (expected.first(), expected.last()));
            assert_eq!(client.state(), ConnectionState::RemoteClosing);
        }
    }

    #[test]
    fn nothing_is_expected_before_the_request() {
        let mut client = Connection::client(entropy());
        let error = client.receive_data(Some(accepting(&UPGRADE).as_bytes())).unwrap_err();
        assert_eq!(error.error, HandshakeError::Over);
        assert_eq!(client.state(), ConnectionState::Closed);
    }
}

mod server {
    use super::*;

    const REQUEST: [(&str, &str); 5] = [
        ("Host", "localhost"),
        ("Connection", "Keep-Alive, Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", KEY),
        ("Sec-WebSocket-Version", "13"),
    ];

    fn head(start: &str, fields: &[(&str, &str)]) -> String {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("{start}\r\n{fields}\r\n")
    }

    /// The request with other fields of one name.
    fn with(name: &str, values: &[&str]) -> String {
        let kept = REQUEST.into_iter().filter(|(other, _)| *other != name);
        let fields: Vec<(&str, &str)> = kept.chain(values.iter().map(|value| (name, *value))).collect();
        head("GET / HTTP/1.1", &fields)
    }

    /// A server that has received this request.
    fn requested(head: &str) -> (Connection, Request) {
        let mut server = Connection::server();
        server.receive_data(Some(head.as_bytes())).unwrap();
        assert_eq!(server.state(), ConnectionState::Connecting);
        let Some(Event::Request(request)) = server.next_event() else { panic!("no request") };
        (server, request)
    }

    fn text(bytes: Result<Vec<u8>, LocalProtocolError>) -> String {
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    fn agreed(more: &str) -> String {
        let accept = accept_for(KEY);
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }

    #[test]
    fn a_request_is_told_with_what_is_not_told_apart() {
        let mut fields = REQUEST.to_vec();
        fields.extend([("X-Foo", "bar"), ("Sec-WebSocket-Protocol", "one, two")]);
        fields.extend([("Sec-WebSocket-Extensions", "foo; a=1, bar"), ("Sec-WebSocket-Protocol", "three")]);
        fields.extend([("Sec-WebSocket-Protocol", "four, five"), ("Sec-WebSocket-Extensions", "foo")]);
        let (_, request) = requested(&head("GET wss://api.website.example/ws HTTP/1.1", &fields));
        assert_eq!((request.host.as_str(), request.target.as_str()), ("localhost", "wss://api.website.example/ws"));
        assert_eq!(request.subprotocols, ["one", "two", "three", "four", "five"]);
        let extensions: Vec<String> = request.extensions.iter().map(ExtensionOffer::to_string).collect();
        assert_eq!(extensions, ["foo; a=1", "bar", "foo"]);
        let mut kept = Headers::new();
        kept.extend(REQUEST[1..].iter().copied());
        kept.push("X-Foo", "bar");
        assert_eq!(request.extra_headers, kept);
    }

    #[test]
    fn a_broken_request_names_its_fault_and_what_to_answer() {
        let bad = RejectConnection::default;
        let version = |status_code, more: &[(&str, &str)]| {
            let mut headers = Headers::from([("Sec-WebSocket-Version", "13")]);
            headers.extend(more.iter().copied());
            RejectConnection { status_code, headers, has_body: false }
        };
        let other_version = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let cases = [
            (head("POST / HTTP/1.1", &REQUEST), HandshakeError::Method, bad()),
            (with("Connection", &["Keep-Alive, No-Upgrade"]), HandshakeError::Connection, bad()),
            (with("Connection", &[]), HandshakeError::Connection, bad()),
            (with("Upgrade", &["h2c"]), HandshakeError::Upgrade, bad()),
            (with("Sec-WebSocket-Version", &[]), HandshakeError::MissingVersion, version(400, &[])),
            (with("Sec-WebSocket-Version", &["12"]), HandshakeError::UnsupportedVersion, version(426, &other_version)),
            (with("Sec-WebSocket-Version", &["no"]), HandshakeError::UnsupportedVersion, version(426, &other_version)),
            (with("Sec-WebSocket-Key", &[]), HandshakeError::MissingKey, bad()),
            (with("Sec-WebSocket-Key", &["abc"]), HandshakeError::InvalidKey, bad()),
            (with("Host", &[]), HandshakeError::Host, bad()),
            (with("Host", &[]).replace("HTTP/1.1", "HTTP/1.0"), HandshakeError::Host, bad()),
            (with("Content-Length", &["5"]), HandshakeError::RequestBody, bad()),
            (with("Sec-WebSocket-Extensions", &["a; b=\","]), HandshakeError::ExtensionSyntax, bad()),
            ("broken nonsense\r\n\r\n".into(), HandshakeError::RequestLine, bad()),
        ];
        for (request, expected, hint) in cases {
            let mut server = Connection::server();
            let error = server.receive_data(Some(request.as_bytes())).unwrap_err();
            assert_eq!((&error.error, error.event_hint.as_ref()), (&expected, Some(&hint)), "{request}");
            assert_eq!(server.receive_data(Some(b"more")), Ok(()), "what follows is not looked at");
            let answer = text(server.send(hint));
            assert!(answer.starts_with("HTTP/1.1 4") && answer.ends_with("Content-Length: 0\r\n\r\n"), "{answer}");
            assert_eq!(server.state(), ConnectionState::Closed);
        }
    }

    #[test]
    fn nobody_is_there_to_be_answered_after_the_end() {
        for bytes in [&b"GET / HT"[..], b"\x16\x03\x01"] {
            let mut server = Connection::server();
            let result = server.receive_data(Some(bytes)).and_then(|()| server.receive_data(None));
            assert_eq!(result.map_err(|error| error.event_hint), Err(None));
            assert_eq!(server.state(), ConnectionState::Closed);
        }
    }

    #[test]
    fn a_request_may_have_been_read_by_an_http_server() {
        let (_, expected) = requested(&with("Host", &["localhost"]));
        let mut headers = Headers::from(REQUEST);
        let mut server = ConnectionBuilder::new().upgrade(headers.clone(), "/").unwrap();
        let Some(Event::Request(request)) = server.next_event() else { panic!("no request") };
        assert_eq!((request.host, request.target), (expected.host, expected.target));
        assert_eq!(text(server.send(AcceptConnection::default())), agreed(""));
        assert_eq!(server.state(), ConnectionState::Open);

        headers.push("Host", "another");
        let error = ConnectionBuilder::new().upgrade(headers, "/").unwrap_err();
        assert_eq!((error.error, error.event_hint), (HandshakeError::Host, Some(RejectConnection::default())));
    }

    #[test]
    fn a_request_is_accepted_with_a_subprotocol_and_further_headers() {
        let offered = with("Sec-WebSocket-Protocol", &["one, two"]);
        for chosen in ["one", "two"] {
            let (mut server, _) = requested(&offered);
            let accept = AcceptConnection {
                subprotocol: Some(chosen.into()),
                extra_headers: Headers::from([("X-Foo", "bar")]),
                ..AcceptConnection::default()
            };
            let expected = agreed(&format!("Sec-WebSocket-Protocol: {chosen}\r\nX-Foo: bar\r\n"));
            assert_eq!(text(server.send(accept)), expected);
            assert_eq!(server.state(), ConnectionState::Open);
        }
        let (mut server, _) = requested(&offered);
        let unoffered = AcceptConnection { subprotocol: Some("three".into()), ..AcceptConnection::default() };
        assert_eq!(server.send(unoffered), Err(LocalProtocolError::UnofferedSubprotocol));
        assert!(server.send(AcceptConnection::default()).is_ok(), "the server may choose none");
    }

    #[test]
    fn nothing_is_answered_before_the_request_or_twice() {
        let mut server = Connection::server();
        let accept = AcceptConnection::default;
        assert_eq!(server.send(accept()), Err(LocalProtocolError::Handshake("AcceptConnection")));
        assert_eq!(server.send(RejectData::default()), Err(LocalProtocolError::Handshake("RejectData")));
        assert_eq!(server.send(Ping::default()), Err(LocalProtocolError::Handshake("Ping")));
        assert_eq!(server.send(plain()), Err(LocalProtocolError::Handshake("Request")));
        server.receive_data(Some(with("X", &["y"]).as_bytes())).unwrap();
        server.send(accept()).unwrap();
        assert_eq!(server.send(accept()), Err(LocalProtocolError::Handshake("AcceptConnection")));
        let reject = server.send(RejectConnection::default());
        assert_eq!(reject, Err(LocalProtocolError::Handshake("RejectConnection")));
    }

    #[test]
    fn a_request_is_rejected_without_a_body() {
        let (mut server, _) = requested(&with("X", &["y"]));
        let answer = text(server.send(RejectConnection::default()));
        assert_eq!(answer, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(server.state(), ConnectionState::Closed);
        assert_eq!(server.send(AcceptConnection::default()), Err(LocalProtocolError::Handshake("AcceptConnection")));
    }

    #[test]
    fn a_request_is_rejected_with_a_body() {
        let cases = [
            (vec![("Content-Length", "5")], vec!["Hel", "lo"]),
            (vec![("Transfer-Encoding", "chunked")], vec!["3\r\nHel\r\n", "2\r\nlo\r\n0\r\n\r\n"]),
            (vec![], vec!["3\r\nHel\r\n", "2\r\nlo\r\n0\r\n\r\n"]),
        ];
        for (headers, expected) in cases {
            let (mut server, _) = requested(&with("X", &["y"]));
            let headers = headers.into_iter().collect();
            server.send(RejectConnection { status_code: 403, headers, has_body: true }).unwrap();
            assert_eq!(server.state(), ConnectionState::Rejecting);
            let first = RejectData { data: b"Hel".to_vec(), body_finished: false };
            let last = RejectData { data: b"lo".to_vec(), body_finished: true };
            assert_eq!([text(server.send(first)), text(server.send(last))], expected[..]);
            assert_eq!(server.state(), ConnectionState::Closed);
            assert_eq!(server.send(RejectData::default()), Err(LocalProtocolError::Handshake("RejectData")));
        }
    }

    #[test]
    fn a_body_that_is_not_as_long_as_announced_is_refused() {
        let (mut server, _) = requested(&with("X", &["y"]));
        let headers = Headers::from([("Content-Length", "5")]);
        server.send(RejectConnection { headers, has_body: true, ..RejectConnection::default() }).unwrap();
        let part = |data: &str, body_finished| RejectData { data: data.into(), body_finished };
        assert_eq!(server.send(part("too long", true)), Err(LocalProtocolError::PayloadLength));
        assert_eq!(server.send(part("no", true)), Err(LocalProtocolError::PayloadLength));
        assert_eq!(server.send(part("Hello", true)), Ok(b"Hello".to_vec()), "nothing had been sent");
    }

    #[test]
    fn a_client_that_leaves_during_a_refusal_ends_it() {
        let (mut server, _) = requested(&with("X", &["y"]));
        server.send(RejectConnection { has_body: true, ..RejectConnection::default() }).unwrap();
        assert_eq!(server.receive_data(None), Ok(()));
        assert_eq!((server.state(), server.next_event()), (ConnectionState::Closed, None));
        assert_eq!(server.send(RejectData::default()), Err(LocalProtocolError::Handshake("RejectData")));
    }

    #[test]
    fn frames_may_come_before_the_answer() {
        let (mut server, _) = requested(&(with("X", &["y"]) + "\u{1}"));
        assert_eq!(server.next_event(), None);
        server.receive_data(Some(b"\x81abcd\x29\x81\x80\0\0\0\0")).unwrap();
        assert_eq!(server.next_event(), None, "not before the answer");
        server.send(AcceptConnection::default()).unwrap();
        let events: Vec<Event> = server.events().collect();
        assert_eq!(events[0], TextMessage::new("H").unfinished().into());
        assert_eq!(events.len(), 2);
        assert!(matches!(events[1], Event::ProtocolViolation(_)), "a new message inside a fragmented one");
    }

    #[test]
    fn a_head_over_the_limits_is_refused() {
        let mut limits = HeadLimits::default();
        limits.head = 300;
        let mut server = ConnectionBuilder::new().head_limits(limits).server();
        let error = server.receive_data(Some(with("X", &["y".repeat(300).as_str()]).as_bytes())).unwrap_err();
        assert_eq!(error.error, HandshakeError::HeadTooLarge { limit: 300 });
        assert_eq!(error.event_hint.map(|hint| hint.status_code), Some(431));
    }
}

#[test]
fn both_ends_come_to_an_open_connection() {
    let mut client = Connection::client(entropy());
    let mut server = Connection::server();
    let request = Request { subprotocols: vec!["chat".into()], ..Request::new("xn--7ks3rz39bh7u:8080", "/a?b") };
    server.receive_data(Some(&client.send(request).unwrap())).unwrap();
    let Some(Event::Request(received)) = server.next_event() else { panic!("no request") };
    assert_eq!((received.host.as_str(), received.target.as_str()), ("xn--7ks3rz39bh7u:8080", "/a?b"));
    let accept = AcceptConnection { subprotocol: Some("chat".into()), ..AcceptConnection::default() };
    client.receive_data(Some(&server.send(accept.clone()).unwrap())).unwrap();
    assert_eq!(client.next_event(), Some(accept.into()));
    for connection in [client, server] {
        assert_eq!(connection.state(), ConnectionState::Open);
        assert!(format!("{connection:?}").contains("state: Open"), "{connection:?}");
    }
}

mod hostile_heads {
    use super::*;

    /// What a role made of the bytes: its events, with the parts of a body joined, and how it failed.
    type Outcome = (Vec<Event>, Option<HandshakeError>);

    fn client(limits: HeadLimits) -> Connection {
        let mut client = ConnectionBuilder::new().head_limits(limits).client(entropy());
        client.send(Request { subprotocols: vec!["chat".into()], ..plain() }).unwrap();
        client
    }

    fn server(limits: HeadLimits) -> Connection {
        ConnectionBuilder::new().head_limits(limits).server()
    }

    /// Gives a connection these chunks, then the end of the connection.
    fn outcome<'a>(mut connection: Connection, chunks: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
        let mut events: Vec<Event> = Vec::new();
        let mut error = None;
        for data in chunks.into_iter().map(Some).chain([None]) {
            error = connection.receive_data(data).err().map(|error| error.error);
            for event in connection.events() {
                match (events.last_mut(), event) {
                    (Some(Event::RejectData(last)), Event::RejectData(part)) => {
                        last.data.extend(part.data);
                        last.body_finished |= part.body_finished;
                    }
                    (_, event) => events.push(event),
                }
            }
            if error.is_some() {
                break;
            }
        }
        (events, error)
    }

    fn request() -> String {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {KEY}\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: x; y=1\r\n\r\n"
        )
    }

    fn scripts() -> Vec<String> {
        let refusal =
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nHel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n";
        vec![
            request(),
            format!("\r\n\n{}", request()),
            request().replace("GET", "POST"),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            accepting(&UPGRADE),
            format!("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\n\n{}", accepting(&UPGRADE)),
            refusal.into(),
            "HTTP/1.1 302 Found\nLocation: /\nContent-Length: 3\n\nabc".into(),
            "HTTP/1.0 200 OK\r\n\r\nuntil the end".into(),
            "HTTP/1.1 101 OK\r\nFolded: a\r\n b\r\n\r\n".into(),
            "HTTP/2 200\r\n\r\n".into(),
            "SSH-2.0-OpenSSH_9.6\r\n".into(),
            "\u{16}\u{3}\u{1}\u{2}\0\u{1}".into(),
            "220 mail.example ESMTP\r\n".into(),
        ]
    }

    prop_compose! {
        /// A script, some of its bytes replaced.
        fn any_script()(
            script in prop::sample::select(scripts()),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            repeated in prop::sample::select(vec![0, 0, 0, 30, 3000]),
        ) -> Vec<u8> {
            let mut bytes = script.into_bytes();
            for (at, byte) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            if let Some((at, byte)) = changes.first() {
                let at = at.index(bytes.len());
                bytes.splice(at..at, vec![*byte; repeated]);
            }
            bytes
        }
    }

    prop_compose! {
        fn any_limits()(
            head in prop::sample::select(vec![3, 20, 60, 150, 400, 65_536]),
            line in prop::sample::select(vec![2, 6, 16, 40, 16_384]),
            fields in prop::sample::select(vec![0, 1, 5, 128]),
            interim in 0..3_usize,
        ) -> HeadLimits {
            let mut limits = HeadLimits::default();
            (limits.head, limits.line, limits.fields, limits.interim) = (head, line, fields, interim);
            limits
        }
    }

    fn is_early_data(outcome: &Outcome) -> bool {
        matches!(outcome.1, Some(HandshakeError::EarlyData { .. }))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_verdict_does_not_depend_on_the_cuts(
            script in any_script(),
            limits in any_limits(),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(script.len() + 1)).chain([0, script.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|cut| &script[cut[0]..cut[1]]).collect();
            for role in [client, server] {
                let whole = outcome(role(limits), [script.as_slice()]);
                // What follows a whole head is no part of it: how much of it waits for an answer depends on its arrival.
                if is_early_data(&whole) {
                    continue;
                }
                prop_assert_eq!(&outcome(role(limits), script.chunks(1)), &whole, "byte by byte");
                prop_assert_eq!(&outcome(role(limits), chunks.iter().copied()), &whole, "{:?}", cuts);
            }
        }
    }

    #[test]
    fn what_is_no_http_is_no_http_however_much_comes_at_once() {
        let limits = HeadLimits::default();
        for length in [1, 7, 20_000, 100_000] {
            for beginning in [&b"\x16\x03\x01"[..], b"\0", b"\xff\xfe"] {
                let bytes = [beginning, &vec![b'a'; length]].concat();
                for role in [client, server] {
                    for chunk in [1, 4096, usize::MAX] {
                        let mut connection = role(limits);
                        let refused = bytes.chunks(chunk).find_map(|chunk| connection.receive_data(Some(chunk)).err());
                        let refused = refused.unwrap();
                        assert_eq!((refused.error, refused.event_hint), (HandshakeError::NotHttp, None), "{length}");
                    }
                }
            }
            let bytes = [&b"SSH-2.0-"[..], &vec![b'a'; length]].concat();
            assert_eq!(outcome(client(limits), [bytes.as_slice()]), (vec![], Some(HandshakeError::NotHttp)));
        }
        let after_an_empty_line = outcome(server(limits), [&b"\r\n\x16\x03\x01"[..]]);
        assert_eq!(after_an_empty_line, (vec![], Some(HandshakeError::NotHttp)));
    }

    #[cfg(target_os = "linux")]
    mod costs {
        use std::time::Duration;

        use rustix::time::{ClockId, clock_gettime};

        use super::*;

        /// What this thread has had of a processor: other threads make no difference.
        fn cpu_time() -> Duration {
            Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
        }

        /// The cheapest of some runs.
        fn cheapest(run: impl Fn()) -> Duration {
            let once = || {
                let start = cpu_time();
                run();
                cpu_time() - start
            };
            (0..5).map(|_| once()).min().unwrap()
        }

        #[test]
        fn no_head_costs_more_than_its_length() {
            let mut limits = HeadLimits::default();
            (limits.head, limits.line, limits.fields) = (1 << 20, 1 << 20, 1 << 20);
            let request = |more: &str| request().replace("Sec-WebSocket-Protocol: a, b\r\n", more);
            let names = |count: usize| (0..count).map(|name| format!("{name:x},")).collect::<String>();
            type Fill<'a> = &'a dyn Fn(usize) -> String;
            let heads: [(&str, Fill<'_>); 4] = [
                ("subprotocols", &|count| request(&format!("Sec-WebSocket-Protocol: {}\r\n", names(count)))),
                ("fields of subprotocols", &|count| {
                    request(&(0..count).map(|name| format!("Sec-WebSocket-Protocol: {name:x}\r\n")).collect::<String>())
                }),
                ("fields", &|count| request(&(0..count).map(|name| format!("X-{name}: 1\r\n")).collect::<String>())),
                ("elements", &|count| request(&format!("Connection: {}\r\n", names(count)))),
            ];
            for (what, head) in heads {
                let (few, many) = (head(500), head(16_000));
                let served = |head: &str| {
                    let mut server = server(limits);
                    server.receive_data(Some(head.as_bytes())).unwrap();
                    server.send(AcceptConnection::default()).unwrap();
                };
                let (of_few, of_many) = (cheapest(|| served(&few)), cheapest(|| served(&many)));
                // 32 times as much; all compared with all would be 1,024 times as much.
                assert!(of_many < 200 * of_few.max(Duration::from_micros(20)), "{what}: {of_few:?}, {of_many:?}");
            }
        }

        /// The most memory that a connection has held while it was given these bytes.
        fn memory(mut connection: Connection, received: &str) -> u64 {
            let mut give =
                || received.as_bytes().chunks(1000).try_for_each(|chunk| connection.receive_data(Some(chunk)));
            allocation_counter::measure(|| drop(give())).bytes_max
        }

        #[test]
        fn what_a_peer_can_make_this_side_hold_is_bounded() {
            let limits = HeadLimits::default();
            let repeated = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
            let long = "x".repeat(500);
            let fields = repeated(120, &|at| format!("X-{at}: {long}\r\n"));
            let names = |line: usize| repeated(2800, &|at| format!("{:x},", line * 2800 + at));
            let subprotocols = repeated(4, &|line| format!("Sec-WebSocket-Protocol: {}\r\n", names(line)));
            let requests = [
                request().replace("Host", &(fields.clone() + "Host")),
                request().replace("Host", &(subprotocols + "Host")),
                "\r\n".repeat(100_000),
                "GET ".to_owned() + &"x".repeat(1 << 20),
            ];
            // Thousands of names take more than the bytes that they came in.
            for request in requests {
                let held = memory(server(limits), &request);
                assert!(held < 32 * limits.head as u64, "{held} bytes for {}", request.len());
            }
            let responses = [
                repeated(1000, &|_| format!("HTTP/1.1 103 Early Hints\r\nLink: {long}\r\n\r\n")),
                format!("HTTP/1.1 403 No\r\n{fields}\r\n{}", "x".repeat(60_000)),
            ];
            for response in responses {
                let held = memory(client(limits), &response);
                assert!(held < 4 * limits.head as u64, "{held} bytes for {}", response.len());
            }
        }
    }
}
