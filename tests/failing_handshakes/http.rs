//! Servers that do not open a WebSocket.

use crate::*;

/// Answers that are HTTP, and no WebSocket.
pub(crate) fn refusals() -> Vec<Kind> {
    let table: [(&str, u16); 20] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 300 Choose\r\nContent-Length: 0\r\n\r\n", 300),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 304),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400),
        ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", 401),
        ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest nonce\r\nContent-Length: 0\r\n\r\n", 401),
        ("HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\nno!", 403),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", 404),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nno!\r\n", 404),
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", 407),
        ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", 426),
        ("HTTP/1.1 429 Slow down\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 429),
        ("HTTP/1.1 500 Oops\r\n\r\nuntil the end", 500),
        ("HTTP/1.0 500 Oops\r\n\r\n", 500),
        ("HTTP/1.1 503 \r\nContent-Length: 99\r\n\r\ncut off", 503),
        ("HTTP/1.1 599 \r\nContent-Length: none\r\n\r\n", 599),
        ("HTTP/1.1 599 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 599),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403),
        ("HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", 999),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(answer, status)| {
            let is_expected = move |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == status);
            Kind::at(answer, Server::answering(answer), "ws", ConnectOptions::new(), is_expected)
        })
        .collect();
    let large = format!("HTTP/1.1 403 No\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000));
    let is_403 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 403);
    kinds.push(Kind::at("a large body", Server::answering(large), "ws", ConnectOptions::new(), is_403));
    let stalled = Server::new(|mut stream| {
        // Time may have run out before anything is said.
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno");
        let _ = stream.read_to_end(&mut Vec::new());
    });
    kinds.push(Kind::at("a body that stalls", stalled, "ws", short(), move |error| is_403(error) || is_timeout(error)));
    kinds
}

/// Whether it is this rule of the handshake that was broken.
type Rule = fn(&HandshakeError) -> bool;

/// Answers that are none.
pub(crate) fn broken_answers() -> Vec<Kind> {
    let many = format!("HTTP/1.1 101 Yes\r\n{}\r\n", "X: y\r\n".repeat(200));
    let long = format!("HTTP/1.1 101 Yes\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    let large = format!("HTTP/1.1 101 Yes\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(8000)).repeat(20));
    let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(20);
    let table: [(&str, Rule); 15] = [
        ("", |error| matches!(error, HandshakeError::Eof)),
        ("HTTP/1.1 101 Yes\r\nUpgr", |error| matches!(error, HandshakeError::Eof)),
        ("HTTP/1.1 100 Continue\r\n\r\n", |error| matches!(error, HandshakeError::Eof)),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", |error| matches!(error, HandshakeError::NotHttp)),
        ("HTTP/1.1\r\n\r\n", |error| matches!(error, HandshakeError::HttpVersion)),
        ("HTTP/1.1 1o1 Yes\r\n\r\n", |error| matches!(error, HandshakeError::StatusLine)),
        ("HTTP/2.0 101 Yes\r\n\r\n", |error| matches!(error, HandshakeError::HttpVersion | HandshakeError::StatusLine)),
        ("HTTP/1.1 101 Yes\r\nNo colon\r\n\r\n", |error| matches!(error, HandshakeError::HeaderSyntax)),
        ("HTTP/1.1 101 Yes\r\nX: y\r\n folded\r\n\r\n", |error| matches!(error, HandshakeError::FoldedHeader)),
        ("HTTP/1.1 101 Yes\r\nX: y\0z\r\n\r\n", |error| matches!(error, HandshakeError::ControlCharacter)),
        ("HTTP/1.1 101 Yes\r\nX: y\rz\r\n\r\n", |error| matches!(error, HandshakeError::BareCarriageReturn)),
        (&many, |error| matches!(error, HandshakeError::TooManyFields { .. })),
        (&long, |error| matches!(error, HandshakeError::LineTooLong { .. })),
        (&large, |error| matches!(error, HandshakeError::HeadTooLarge { .. })),
        (&interim, |error| matches!(error, HandshakeError::TooManyInterim { .. })),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(answer, is_rule)| {
            let name = answer.chars().take(40).collect::<String>();
            let is_expected = move |error: &Error| match error {
                Error::Handshake(broken) => is_rule(broken),
                // Who has closed while this side still had to say something, or had not read all of it.
                Error::Io { phase: Phase::Handshake, .. } => answer_is_cut(error),
                _ => false,
            };
            Kind::at(name, Server::answering(answer), "ws", ConnectOptions::new(), is_expected)
        })
        .collect();
    let reset = Server::new(|stream| {
        let mut peer = Peer::new(stream);
        peer.head();
        let _ = peer.try_say("HTTP/1.1 101 Y");
        peer.reset();
    });
    let is_lost = |error: &Error| matches!(error, Error::Io { phase: Phase::Handshake, .. });
    kinds.push(Kind::at("a reset", reset, "ws", ConnectOptions::new(), is_lost));
    let silent = Server::silent();
    kinds.push(Kind::at("silence", silent, "ws", short(), is_timeout));
    let dripping = Server::new(|stream| Peer::new(stream).drip("HTTP/1.1 101 Switching Protocols", ms(2)));
    kinds.push(Kind::at("one byte at a time", dripping, "ws", short(), |error| {
        is_timeout(error) || matches!(error, Error::Handshake(_) | Error::Io { .. })
    }));
    kinds
}

fn answer_is_cut(error: &Error) -> bool {
    matches!(error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionReset)
}

/// 101, and something that does not fit.
pub(crate) fn wrong_upgrades() -> Vec<Kind> {
    type Change = fn(String) -> String;
    let table: [(&str, Change, Rule); 10] = [
        (
            "no accept",
            |answer| answer.replace("Sec-WebSocket-Accept", "X-Accept"),
            |error| matches!(error, HandshakeError::MissingAccept),
        ),
        (
            "another accept",
            |answer| answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
            |error| matches!(error, HandshakeError::AcceptMismatch),
        ),
        (
            "two accepts",
            |answer| with(answer, "Sec-WebSocket-Accept: x"),
            |error| matches!(error, HandshakeError::RepeatedAccept),
        ),
        (
            "no Upgrade",
            |answer| answer.replace("Upgrade: websocket\r\n", ""),
            |error| matches!(error, HandshakeError::Upgrade),
        ),
        (
            "another Upgrade",
            |answer| answer.replace("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"),
            |error| matches!(error, HandshakeError::Upgrade),
        ),
        (
            "no Connection",
            |answer| answer.replace("Connection: Upgrade", "Connection: close"),
            |error| matches!(error, HandshakeError::Connection),
        ),
        (
            "a subprotocol that was not offered",
            |answer| with(answer, "Sec-WebSocket-Protocol: x"),
            |error| matches!(error, HandshakeError::UnofferedSubprotocol(_)),
        ),
        (
            "two subprotocols",
            |answer| with(answer, "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y"),
            |error| matches!(error, HandshakeError::RepeatedSubprotocol),
        ),
        (
            "an extension that was not offered",
            |answer| with(answer, "Sec-WebSocket-Extensions: x"),
            |error| matches!(error, HandshakeError::UnofferedExtension(_)),
        ),
        (
            "an extension that cannot be read",
            |answer| with(answer, "Sec-WebSocket-Extensions: x;;="),
            |error| matches!(error, HandshakeError::ExtensionSyntax),
        ),
    ];
    table
        .into_iter()
        .map(|(name, change, is_rule)| {
            let server = Server::new(move |stream| {
                let mut peer = Peer::new(stream);
                let answer = support::answer_to(&peer.head());
                let _ = peer.try_say(change(answer));
            });
            let is_expected = move |error: &Error| matches!(error, Error::Handshake(broken) if is_rule(broken));
            Kind::at(name, server, "ws", ConnectOptions::new(), is_expected)
        })
        .collect()
}

/// The answer with one more line.
fn with(answer: String, line: &str) -> String {
    answer.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}
