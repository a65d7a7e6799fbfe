//! What `lenient_handshake` takes of a server's 101, and that refusals, redirects and proxies stay strict.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::{Peer, bounded, frame, serve};
use websocket_sync::{ConnectOptions, Error, HandshakeError, Message, ProxyError};

/// Breaks some rules of form in an answer that opens the WebSocket.
type Break = fn(&str) -> String;

const BREAKS: [(&str, Break); 6] = [
    ("HTTP/1.0", |answer| answer.replacen("HTTP/1.1", "HTTP/1.0", 1)),
    ("a doubled Upgrade", |answer| before_end(answer, "Upgrade: websocket")),
    ("a doubled Accept", |answer| {
        let accept = answer.lines().find(|line| line.to_lowercase().starts_with("sec-websocket-accept")).unwrap();
        before_end(answer, accept)
    }),
    ("an empty subprotocol", |answer| before_end(answer, "Sec-WebSocket-Protocol:")),
    ("no field", |answer| before_end(answer, "this is no field")),
    ("many fields", |answer| before_end(answer, &vec!["X: y"; 500].join("\r\n"))),
];

fn before_end(answer: &str, line: &str) -> String {
    format!("{}\r\n{line}\r\n\r\n", answer.strip_suffix("\r\n\r\n").unwrap())
}

/// Answers with a broken head, says a message and waits for the end.
fn answer_broken(peer: &mut Peer, breaks: impl IntoIterator<Item = Break>) {
    let answer = support::answer_to(&peer.head());
    let mut bytes = breaks.into_iter().fold(answer, |answer, breaks| breaks(&answer)).into_bytes();
    bytes.extend_from_slice(&frame(0x81, "open"));
    // Who refuses the head may be gone.
    let _ = peer.try_say(bytes);
}

#[test]
fn a_head_that_breaks_rules_of_form_is_taken_only_with_the_option_which_the_error_names() {
    bounded(20, || {
        for (name, breaks) in BREAKS {
            let (url, peer) = serve(move |mut peer| answer_broken(&mut peer, [breaks]));
            let error = ConnectOptions::new().connect(&url).unwrap_err();
            assert!(matches!(error, Error::Handshake(_)), "{name}: {error:?}");
            let source = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
            assert!(format!("{error} {source}").contains("lenient_handshake"), "{name}: {error}, {source}");
            peer.join();
            open_leniently(name, vec![breaks]);
        }
        open_leniently("all at once", BREAKS.map(|(_, breaks)| breaks).to_vec());
    });
}

fn open_leniently(name: &str, breaks: Vec<Break>) {
    let (url, peer) = serve(move |mut peer| {
        answer_broken(&mut peer, breaks);
        support::one_close(&mut peer);
    });
    let mut ws = ConnectOptions::new().lenient_handshake().connect(&url).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(ws.recv().unwrap(), Message::from("open"), "{name}");
    ws.close().unwrap();
    peer.join();
}

#[test]
fn refusals_and_redirects_stay_strict() {
    bounded(20, || {
        for head in
            ["HTTP/1.1 403 Forbidden\r\nno field\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: /other\r\nno field\r\n\r\n"]
        {
            let (url, peer) = serve(move |mut peer| {
                peer.head();
                peer.say(head);
            });
            let error = ConnectOptions::new().lenient_handshake().connect(&url).unwrap_err();
            let Error::Handshake(error) = &error else { panic!("{error:?}") };
            assert_eq!(**error, HandshakeError::HeaderSyntax);
            peer.join();
        }
    });
}

#[test]
fn proxies_stay_strict() {
    bounded(20, || {
        let (url, peer) = serve(|mut peer| {
            peer.head();
            peer.say("HTTP/1.1 200 OK\r\nno field\r\n\r\n");
        });
        let options = ConnectOptions::new().lenient_handshake().proxy(url.replace("ws://", "http://"));
        let error = options.connect("ws://server.example/").unwrap_err();
        let Error::Proxy(error) = &error else { panic!("{error:?}") };
        assert!(matches!(**error, ProxyError::Http(HandshakeError::HeaderSyntax)), "{error:?}");
        peer.join();
    });
}
