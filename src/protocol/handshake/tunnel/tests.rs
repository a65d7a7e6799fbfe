use proptest::prelude::*;

use super::*;

/// How the answer ends, received in pieces of this size.
fn run(answer: &[u8], size: usize) -> Result<Option<TunnelOutcome>, HandshakeError> {
    let mut tunnel = Tunnel::new(HeadLimits::default());
    for piece in answer.chunks(size) {
        if let Some(outcome) = tunnel.receive(piece)? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

fn fields(fields: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    fields.iter().map(|&(name, value)| (name.to_owned(), value.as_bytes().to_owned())).collect()
}

#[test]
fn a_request_names_host_and_port_and_the_users_fields_replace_ours() {
    let request = |authorization: Option<&str>, given: &[(&str, &str)]| {
        String::from_utf8(tunnel_request("[::1]:443", authorization.map(str::as_bytes), &fields(given)).unwrap())
            .unwrap()
    };
    assert_eq!(request(None, &[]), "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
    assert_eq!(
        request(Some("Basic eDp5"), &[("User-Agent", "x/1"), ("X-A", ""), ("X-A", "2")]),
        "CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\nProxy-Authorization: Basic eDp5\r\nUser-Agent: x/1\r\n\
         X-A: \r\nX-A: 2\r\n\r\n"
    );
    assert_eq!(
        request(Some("Basic eDp5"), &[("host", "other"), ("PROXY-Authorization", "Bearer z")]),
        "CONNECT [::1]:443 HTTP/1.1\r\nhost: other\r\nPROXY-Authorization: Bearer z\r\n\r\n"
    );
}

#[test]
fn nothing_breaks_out_of_its_line() {
    for text in ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "\r\n", "a\u{7f}", "a\u{1b}[2J", "a\r\n\r\nGET / HTTP/1.1"] {
        for given in [("X-Name", text), (text, "value")] {
            let refused = tunnel_request("h:1", None, &fields(&[given]));
            assert!(matches!(refused, Err(LocalProtocolError::IllegalCharacter(_))), "{text:?}: {refused:?}");
        }
    }
    for name in ["", "a b", "a:", "\u{e9}"] {
        assert!(tunnel_request("h:1", None, &fields(&[(name, "x")])).is_err(), "{name:?}");
    }
    for name in ["content-length", "Transfer-Encoding"] {
        let refused = tunnel_request("h:1", None, &fields(&[(name, "5")]));
        assert!(matches!(refused, Err(LocalProtocolError::HeaderValue(_))), "{name}: {refused:?}");
    }
    for name in ["Host", "Proxy-Authorization"] {
        let refused = tunnel_request("h:1", None, &fields(&[(name, "a"), (name, "b")]));
        assert_eq!(refused, Err(LocalProtocolError::RepeatedHeader(name)));
    }
    let refused = tunnel_request("h:1", None, &fields(&[("host", "a b")]));
    assert_eq!(refused, Err(LocalProtocolError::HeaderValue("Host")));
}

#[test]
fn any_2xx_is_a_tunnel_however_it_comes() {
    let answers = [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 299 Odd\n\n",
        // RFC 9110, section 9.3.6: neither means anything here.
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    ];
    for answer in answers {
        for size in 1..=answer.len() {
            let established = Ok(Some(TunnelOutcome::Established { surplus: 0 }));
            assert_eq!(run(answer.as_bytes(), size), established, "{answer:?}");
        }
        let early = [answer, "\x16\x03"].concat();
        assert_eq!(run(early.as_bytes(), early.len()), Ok(Some(TunnelOutcome::Established { surplus: 2 })));
        for end in 0..answer.len() {
            assert_eq!(run(&answer.as_bytes()[..end], 1000), Ok(None), "{answer:?}, {end}");
        }
    }
}

#[test]
fn a_refusal_has_its_body_and_says_whether_the_connection_goes_on() {
    let length = "Content-Length: 2\r\n";
    let table = [
        (format!("HTTP/1.1 407 Auth\r\n{length}\r\nno"), 407, "no", true),
        (format!("HTTP/1.1 407 Auth\r\nConnection: keep-alive\r\n{length}\r\nno"), 407, "no", true),
        ("HTTP/1.1 407 Auth\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n".into(), 407, "no", true),
        (format!("HTTP/1.0 407 Auth\r\nProxy-Connection: Keep-Alive\r\n{length}\r\nno"), 407, "no", true),
        (format!("HTTP/1.1 407 Auth\r\n{length}Connection: x, CLOSE\r\n\r\nno"), 407, "no", false),
        (format!("HTTP/1.1 407 Auth\r\n{length}Proxy-Connection: close\r\n\r\nno"), 407, "no", false),
        (format!("HTTP/1.0 403 Filtered\r\n{length}\r\nno"), 403, "no", false),
        (format!("HTTP/1.1 403 Filtered\r\n{length}\r\nno more"), 403, "no", false),
        ("HTTP/1.1 407 Auth\r\nContent-Length: x\r\n\r\nno".into(), 407, "", false),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n".into(), 101, "", false),
        ("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n".into(), 302, "", true),
        ("HTTP/1.1 304 Not Modified\r\n\r\n".into(), 304, "", true),
    ];
    for (answer, status, body, persists) in table {
        match run(answer.as_bytes(), answer.len()) {
            Ok(Some(TunnelOutcome::Refused(refused))) => {
                assert_eq!((refused.refusal.status, refused.persists), (status, persists), "{answer:?}");
                assert_eq!(refused.refusal.body, body.as_bytes(), "{answer:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_body_need_not_be_awaited() {
    let mut tunnel = Tunnel::new(HeadLimits::default());
    assert_eq!(tunnel.receive(b"HTTP/1.0 500 Unable to connect\r\n\r\npart"), Ok(None));
    assert!(tunnel.is_refused());
    let refusal = tunnel.finish_refusal().unwrap();
    assert_eq!((refusal.status, refusal.body, refusal.body_end), (500, b"part".to_vec(), BodyEnd::NotAwaited));
    assert!(Tunnel::new(HeadLimits::default()).finish_refusal().is_none());
    let mut tunnel = Tunnel::new(HeadLimits::default());
    assert_eq!(tunnel.receive(b"HTTP/1.0 500 Unable to connect\r\n\r\nall"), Ok(None));
    let refusal = tunnel.receive_eof().unwrap();
    assert_eq!((refusal.body, refusal.body_end), (b"all".to_vec(), BodyEnd::Complete));
    assert!(Tunnel::new(HeadLimits::default()).receive_eof().is_none());
}

#[test]
fn what_is_no_answer_or_too_much_of_one_is_refused() {
    let field = format!("X-A: {}\r\n", "a".repeat(4000));
    let table = [
        (b"\x05\xff".to_vec(), HandshakeError::NotHttp),
        (b"SSH-2.0-x\r\n".to_vec(), HandshakeError::NotHttp),
        (b"HTTP/2 200\r\n\r\n".to_vec(), HandshakeError::HttpVersion),
        (b"HTTP/1.1 XX OK\r\n\r\n".to_vec(), HandshakeError::StatusLine),
        (b"HTTP/1.1 200 OK\r\nbad\r\n\r\n".to_vec(), HandshakeError::HeaderSyntax),
        (b"HTTP/1.1 100 C\r\n\r\n".repeat(9), HandshakeError::TooManyInterim { limit: 8 }),
        (
            format!("HTTP/1.1 200 OK\r\n{}", field.repeat(17)).into_bytes(),
            HandshakeError::HeadTooLarge { limit: 65_536 },
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(129)).into_bytes(),
            HandshakeError::TooManyFields { limit: 128 },
        ),
    ];
    for (answer, expected) in table {
        assert_eq!(run(&answer, 1000), Err(expected), "{}", answer.escape_ascii());
    }
    let mut over = Tunnel::new(HeadLimits::default());
    over.receive(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    assert_eq!(over.receive(b"x"), Err(HandshakeError::Over));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..50_usize) {
        let mut heads = bytes.clone();
        heads.splice(..0, b"HTTP/1.1 407 No\r\nTransfer-Encoding: chunked\r\n\r\n".iter().copied());
        let _ = run(&bytes, size);
        let _ = run(&heads, size);
    }
}

/// The error names `max_head_size`, which is this limit.
#[test]
fn the_limit_on_its_head_is_the_one_that_is_given() {
    let head = format!("HTTP/1.1 200 OK\r\n{}\r\n", format!("X-A: {}\r\n", "a".repeat(4000)).repeat(20));
    for (limit, expected) in [
        (head.len(), Ok(Some(TunnelOutcome::Established { surplus: 0 }))),
        (head.len() - 1, Err(HandshakeError::HeadTooLarge { limit: head.len() - 1 })),
    ] {
        let mut tunnel = Tunnel::new(HeadLimits { head: limit, ..HeadLimits::default() });
        assert_eq!(tunnel.receive(head.as_bytes()), expected);
    }
}
