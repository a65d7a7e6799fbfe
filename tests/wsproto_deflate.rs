//! Compression in the face of wsproto, after its tests: what is said in the handshake, and what becomes of events.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use websocket_sync::protocol::handshake::SUPPORTED_EXTENSIONS;
use websocket_sync::protocol::{
    AcceptConnection, BytesMessage, Connection, ConnectionBuilder, DeflateOptions, Event, Limits, PerMessageDeflate,
    Ping, ProtocolError, ProtocolViolation, Request, TextMessage,
};

const PLAIN: DeflateOptions = DeflateOptions::new().threshold(0);

/// A client and a server after their handshake, and the lines of `Sec-WebSocket-Extensions`.
fn open(client: DeflateOptions, server: DeflateOptions) -> (Connection, Connection, [String; 2]) {
    let extension = |options| PerMessageDeflate::new(options).unwrap();
    let mut limits = Limits::default();
    limits.max_message_size = 100_000;
    let mut client =
        ConnectionBuilder::new().limits(limits).extension(extension(client)).client(Box::new(|bytes| bytes.fill(0)));
    let mut server = ConnectionBuilder::new().limits(limits).extension(extension(server)).server();
    let asked = client.send(Request::new("h", "/")).unwrap();
    server.receive_data(Some(&asked)).unwrap();
    assert!(matches!(server.next_event(), Some(Event::Request(_))));
    let answered = server.send(AcceptConnection::default()).unwrap();
    client.receive_data(Some(&answered)).unwrap();
    assert!(matches!(client.next_event(), Some(Event::AcceptConnection(_))));
    let line = |head: &[u8]| {
        let head = String::from_utf8(head.to_vec()).unwrap();
        head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).unwrap().to_owned()
    };
    (client, server, [line(&asked), line(&answered)])
}

fn received(connection: &mut Connection, bytes: &[u8]) -> Vec<Event> {
    connection.receive_data(Some(bytes)).unwrap();
    connection.events().collect()
}

fn violation(error: ProtocolError) -> Event {
    Event::ProtocolViolation(ProtocolViolation { error })
}

#[test]
fn it_is_one_of_the_extensions_that_come_along() {
    assert_eq!(SUPPORTED_EXTENSIONS, ["permessage-deflate"]);
}

#[test]
fn options_are_offered_and_answered() {
    let (_, _, said) = open(PLAIN, PLAIN);
    assert_eq!(said, ["permessage-deflate; client_max_window_bits", "permessage-deflate"]);
    let (_, _, said) =
        open(PLAIN.client_no_context_takeover().client_max_window_bits(9), PLAIN.server_max_window_bits(9));
    let offered = "permessage-deflate; client_no_context_takeover; client_max_window_bits=9";
    assert_eq!(said, [offered, "permessage-deflate; client_no_context_takeover; server_max_window_bits=9"]);
}

#[test]
fn control_frames_and_uncompressed_messages_pass() {
    let (mut client, _, _) = open(PLAIN, PLAIN);
    assert_eq!(received(&mut client, b"\x89\x01p"), [Event::from(Ping::new("p"))]);
    assert_eq!(received(&mut client, b"\x82\x03xxx"), [Event::from(BytesMessage::new("xxx"))]);
    let compressed = b"\xc2\x06\xaa\xa8\xc0\x0a\x00\x00";
    assert_eq!(received(&mut client, compressed), [Event::from(BytesMessage::new(vec![b'x'; 23]))]);
}

#[test]
fn a_ping_between_the_fragments_changes_nothing() {
    let (mut client, _, _) = open(PLAIN, PLAIN);
    let events = received(&mut client, b"\x42\x03\xaa\xa8\xc0\x89\x00\x80\x03\x0a\x00\x00");
    let mut bytes = Vec::new();
    for event in events {
        match event {
            Event::BytesMessage(message) => bytes.extend(message.data),
            Event::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(bytes, [b'x'; 23]);
}

#[test]
fn the_mark_is_for_the_first_data_frame() {
    for bytes in [&b"\xc9\x00"[..], b"\xc0\x00", b"\x42\x00\xc0\x00"] {
        let (mut client, _, _) = open(PLAIN, PLAIN);
        let events = received(&mut client, bytes);
        assert_eq!(events.last(), Some(&violation(ProtocolError::ReservedBits)), "{bytes:02x?}");
    }
}

#[test]
fn what_cannot_be_inflated_and_what_is_too_much_is_a_violation() {
    let (mut client, _, _) = open(PLAIN, PLAIN);
    let error = ProtocolError::ExtensionPayload;
    assert_eq!(received(&mut client, b"\xc2\x17xxxxxxxxxxxxxxxxxxxxxxx"), [violation(error)]);
    assert_eq!(error.close_code().0, 1007);
    let (mut client, mut server, _) = open(PLAIN, PLAIN);
    let bytes = server.send(BytesMessage::new(vec![0; 100_000])).unwrap();
    assert!(matches!(received(&mut client, &bytes)[..], [Event::BytesMessage(_)]));
    let bytes = server.send(BytesMessage::new(vec![0; 100_001])).unwrap();
    assert_eq!(received(&mut client, &bytes), [violation(ProtocolError::MessageTooBig { limit: 100_000 })]);
}

#[test]
fn what_one_side_says_the_other_hears() {
    for options in [PLAIN, PLAIN.server_no_context_takeover().client_no_context_takeover().client_max_window_bits(9)] {
        let (client, server, _) = open(options, options);
        let mut ends = [client, server];
        for round in 0..5 {
            let text = format!("round {round} of many, of which each is like the one before");
            for (sender, receiver) in [(0, 1), (1, 0)] {
                let [sender, receiver] = ends.get_disjoint_mut([sender, receiver]).unwrap();
                let mut bytes = sender.send(TextMessage::new(&text[..20]).unfinished()).unwrap();
                assert_eq!(bytes[0], 0x41);
                bytes.extend(sender.send(TextMessage::new(&text[20..])).unwrap());
                let heard: String = received(receiver, &bytes)
                    .into_iter()
                    .map(|event| match event {
                        Event::TextMessage(message) => message.data,
                        other => panic!("{other:?}"),
                    })
                    .collect();
                assert_eq!(heard, text);
            }
        }
    }
}
