use super::*;

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade:websocket\r\nX-Obs: \xff\t \r\nA: \n\nrest";

fn collect(start: StartLine, bytes: &[u8]) -> Result<(HeadCollector, Option<usize>), HandshakeError> {
    let mut collector = HeadCollector::new(start, HeadLimits::default());
    let mut rest = bytes;
    let end = collector.collect(&mut rest)?.then(|| bytes.len() - rest.len());
    Ok((collector, end))
}

#[test]
fn a_head_ends_at_the_same_byte_however_it_arrives() {
    let expected = collect(StartLine::Status, RESPONSE).unwrap().0.response().unwrap();
    assert_eq!((expected.status, expected.reason.as_str(), expected.minor_version), (101, "Switching Protocols", 1));
    assert_eq!(expected.headers, Headers::from([("upgrade", &b"websocket"[..]), ("x-obs", b"\xff"), ("a", b"")]));
    for size in 1..RESPONSE.len() {
        let mut collector = HeadCollector::new(StartLine::Status, HeadLimits::default());
        let mut taken = 0;
        let is_whole = RESPONSE.chunks(size).any(|chunk| {
            let mut rest = chunk;
            let is_whole = collector.collect(&mut rest).unwrap();
            taken += chunk.len() - rest.len();
            is_whole
        });
        assert!(is_whole);
        assert_eq!(&RESPONSE[taken..], b"rest");
        assert_eq!(collector.response().unwrap(), expected);
    }
}

#[test]
fn malformed_answers_are_told_apart() {
    use HandshakeError::*;
    let cases: &[(&[u8], HandshakeError)] = &[
        (b"ICY 200 OK\r\n\r\n", NotHttp),
        (b"SSH-2.0-OpenSSH", NotHttp),
        (b"\x15\x03\x01", NotHttp),
        (b"h", NotHttp),
        (b"HTTP/2 101", HttpVersion),
        (b"HTTP/1.2 101 Switching\r\n\r\n", HttpVersion),
        (b"HTTP/1.1\r\n\r\n", HttpVersion),
        (b"HTTP/1.1\xff 101\r\n\r\n", HttpVersion),
        (b"HTTP/1.1 XX Switching\r\n\r\n", StatusLine),
        (b"HTTP/1.1 10 Switching\r\n\r\n", StatusLine),
        (b"HTTP/1.1 099 Low\r\n\r\n", StatusLine),
        (b"HTTP/1.1 1010 Long\r\n\r\n", StatusLine),
        (b"HTTP/1.1  101 Spaces\r\n\r\n", StatusLine),
        (b"HTTP/1.1 101 OK\0\r\n\r\n", ControlCharacter),
        (b"HTTP/1.1 101 OK\r\nUpgrade websocket\r\n\r\n", HeaderSyntax),
        (b"HTTP/1.1 101 OK\r\nUpgrade : websocket\r\n\r\n", HeaderSyntax),
        (b"HTTP/1.1 101 OK\r\n: websocket\r\n\r\n", HeaderSyntax),
        (b"HTTP/1.1 101 OK\r\nUpgr\xc3\xa4de: websocket\r\n\r\n", HeaderSyntax),
        (b"HTTP/1.1 101 OK\r\nUpgrade: a\0b\r\n\r\n", ControlCharacter),
        (b"HTTP/1.1 101 OK\r\nUpgrade: a\x7fb\r\n\r\n", ControlCharacter),
        (b"HTTP/1.1 101 OK\r\nUpgrade: a\rb\r\n\r\n", BareCarriageReturn),
        (b"HTTP/1.1 101 OK\r\nUpgrade: a\r\r\n\r\n", BareCarriageReturn),
        (b"HTTP/1.1 101 OK\r\nA: b\r\n c\r\n\r\n", FoldedHeader),
        (b"HTTP/1.1 101 OK\r\n\tc: d\r\n\r\n", FoldedHeader),
    ];
    for (bytes, expected) in cases {
        let error = collect(StartLine::Status, bytes).and_then(|(collector, _)| collector.response());
        assert_eq!(error, Err(expected.clone()), "{}", bytes.escape_ascii());
    }
    assert_eq!(collect(StartLine::Status, b"\r\nHTTP/1.1 101 OK\r\n\r\n").unwrap_err(), NotHttp);
}

#[test]
fn malformed_requests_are_told_apart() {
    use HandshakeError::*;
    let cases: &[(&[u8], HandshakeError)] = &[
        (b"\x16\x03\x01\x02\x00", NotHttp),
        (b"broken nonsense\r\n\r\n", RequestLine),
        (b"GET /\r\n\r\n", RequestLine),
        (b"GET / HTTP/2.0\r\n\r\n", HttpVersion),
        (b"GET  / HTTP/1.1\r\n\r\n", RequestLine),
        (b"GE(T / HTTP/1.1\r\n\r\n", RequestLine),
        (b"GET / HTTP/1.1\r\nHost\r\n\r\n", HeaderSyntax),
        (b"GET / HTTP/1.1\r\nHost : h\r\n\r\n", HeaderSyntax),
        (b"GET / HTTP/1.1\r\n Host: h\r\n\r\n", FoldedHeader),
    ];
    for (bytes, expected) in cases {
        let error = collect(StartLine::Request, bytes).and_then(|(collector, _)| collector.request());
        assert_eq!(error, Err(expected.clone()), "{}", bytes.escape_ascii());
    }
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    let (collector, end) = collect(StartLine::Request, b"\r\n\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(end, Some(31));
    assert_eq!(collector.request().unwrap().target, "/x");
}

#[test]
#[cfg_attr(miri, ignore = "it allocates 20 MB, and receives heads of the largest size byte by byte")]
fn limits_hold_whatever_the_peer_sends() {
    let limits = HeadLimits::default();
    let fed = |piece: &[u8], most: usize| {
        let mut collector = HeadCollector::new(StartLine::Status, limits);
        collector.collect(&mut &b"HTTP/1.1 101 OK\r\n"[..]).unwrap();
        let error = (0..most).find_map(|_| collector.collect(&mut { piece }).err());
        assert!(collector.head.capacity() <= 2 * limits.head, "{}", collector.head.capacity());
        error
    };
    assert_eq!(fed(b"a", 20_000_000), Some(HandshakeError::LineTooLong { limit: limits.line }));
    assert_eq!(fed(&vec![b'a'; 20_000_000], 1), Some(HandshakeError::LineTooLong { limit: limits.line }));
    assert_eq!(fed(b"a: b\r\n", 129), Some(HandshakeError::TooManyFields { limit: 128 }));
    assert_eq!(fed(b"a: b\r\n", 128), None);
    let long = format!("a: {}\r\n", "b".repeat(8000));
    assert_eq!(fed(long.as_bytes(), 100), Some(HandshakeError::HeadTooLarge { limit: limits.head }));
    let mut empty_lines = HeadCollector::new(StartLine::Request, limits);
    let error = (0..limits.head).find_map(|_| empty_lines.collect(&mut &b"\r\n"[..]).err());
    assert_eq!(error, Some(HandshakeError::HeadTooLarge { limit: limits.head }));
}

fn head(status: u16, minor_version: u8, headers: &[(&str, &str)]) -> ResponseHead {
    ResponseHead { minor_version, status, reason: String::new(), headers: headers.iter().copied().collect() }
}

/// The body in `bytes`, received in chunks of this size, and how it ends if the connection does so afterwards.
fn decode(head: &ResponseHead, bytes: &[u8], size: usize) -> (Vec<u8>, BodyEnd) {
    let mut reader = ResponseReader { body: Some(Body::after(head)), ..ResponseReader::new(HeadLimits::default()) };
    let mut decoded = Vec::new();
    for mut chunk in bytes.chunks(size) {
        while let Some(ResponsePart::Body(data)) = reader.read(&mut chunk).unwrap() {
            decoded.extend_from_slice(data);
        }
    }
    (decoded, reader.read_eof().unwrap())
}

/// Status, minor version, headers, what is received; the body in it, and how it ends.
type Case<'a> = (u16, u8, &'a [(&'a str, &'a str)], &'a str, &'a str, BodyEnd);

#[test]
fn a_body_ends_where_rfc_9112_says() {
    let chunked = [("transfer-encoding", "gzip, Chunked")];
    let cases: &[Case<'_>] = &[
        (403, 1, &[], "until the end", "until the end", BodyEnd::Complete),
        (204, 1, &[("content-length", "5")], "Hello", "", BodyEnd::Complete),
        (304, 1, &[], "Hello", "", BodyEnd::Complete),
        (403, 1, &[("content-length", "0")], "Hello", "", BodyEnd::Complete),
        (403, 1, &[("content-length", "5")], "Hello, and more", "Hello", BodyEnd::Complete),
        (403, 1, &[("content-length", "5")], "Hel", "Hel", BodyEnd::ConnectionLost),
        (403, 1, &[("content-length", "5, 5"), ("content-length", "5")], "Hello!", "Hello", BodyEnd::Complete),
        (403, 1, &[("content-length", "5, 6")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "abc")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "-1")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "+5")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "5"), ("content-length", "")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "99999999999999999999")], "Hello!", "", BodyEnd::Malformed),
        (403, 1, &[("content-length", "18446744073709551615")], "Hello!", "Hello!", BodyEnd::ConnectionLost),
        (403, 1, &[("transfer-encoding", "gzip")], "Hello!", "Hello!", BodyEnd::Complete),
        (403, 0, &chunked, "5\r\n", "5\r\n", BodyEnd::Complete),
        (403, 1, &chunked, "5\r\nHello\r\n0\r\n\r\nmore", "Hello", BodyEnd::Complete),
        (403, 1, &chunked, "5\nHello\n0\n\n", "Hello", BodyEnd::Complete),
        (403, 1, &chunked, "3;a=b\r\nHel\r\n02 \r\nlo\r\n000;x\r\nA: b\r\nC: d\r\n\r\n", "Hello", BodyEnd::Complete),
        (403, 1, &chunked, "A\r\n0123456789\r\n0\r\n\r\n", "0123456789", BodyEnd::Complete),
        (403, 1, &chunked, "5\r\nHel", "Hel", BodyEnd::ConnectionLost),
        (403, 1, &chunked, "5\r\nHello\r\n", "Hello", BodyEnd::ConnectionLost),
        (403, 1, &chunked, "5\r\nHello5\r\n", "Hello", BodyEnd::Malformed),
        (403, 1, &chunked, "\r\n", "", BodyEnd::Malformed),
        (403, 1, &chunked, "x\r\n", "", BodyEnd::Malformed),
        (403, 1, &chunked, "-1\r\n", "", BodyEnd::Malformed),
        (403, 1, &chunked, "10000000000000000\r\n", "", BodyEnd::Malformed),
    ];
    for (status, version, headers, received, expected, end) in cases {
        for size in 1..=received.len() {
            let decoded = decode(&head(*status, *version, headers), received.as_bytes(), size);
            assert_eq!(decoded, (expected.as_bytes().to_vec(), *end), "{headers:?} {received:?} by {size}");
        }
    }
}

#[test]
fn endless_extensions_and_trailers_are_cut_off() {
    for (opening, filler) in [("5;", "a"), ("0\r\n", "a"), ("0\r\n", "\r"), ("0\r\n", "a\r\n")] {
        let received = opening.to_owned() + &filler.repeat(2 * MAX_IGNORED);
        let head = head(403, 1, &[("transfer-encoding", "chunked")]);
        let (_, end) = decode(&head, received.as_bytes(), 999);
        assert_eq!(end, BodyEnd::Malformed, "{opening:?} {filler:?}");
    }
}
