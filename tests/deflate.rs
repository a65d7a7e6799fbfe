//! Compression over loopback: what is negotiated, what goes over the wire, and how what is wrong ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use websocket_sync::protocol::handshake::{ExtensionOffer, accept_for};
use websocket_sync::protocol::{Extension, Fin, Frame, MaskKeys, Outbound, PerMessageDeflate, ProtocolError, Role};
use websocket_sync::{
    CloseCode, ConnectOptions, DeflateOptions, Error, HandshakeError, Message, MessageKind, MessageRef, Opcode,
    WebSocket,
};

const DEFLATE: DeflateOptions = DeflateOptions::new();

fn asking(deflate: DeflateOptions) -> ConnectOptions {
    ConnectOptions::new().deflate(deflate)
}

/// Serves one connection that echoes until it is over.
fn echo_server(options: ConnectOptions) -> (String, JoinHandle<WebSocket>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut ws = options.accept(listener.accept().unwrap().0).unwrap();
        let sender = ws.sender();
        loop {
            match ws.recv_ref() {
                Ok(MessageRef::Text(text)) => sender.send_text(text).map(|_| ()).unwrap(),
                Ok(MessageRef::Binary(bytes)) => sender.send_binary(bytes).map(|_| ()).unwrap(),
                Err(_) => return ws,
            }
        }
    });
    (format!("ws://{address}/"), server)
}

/// A server that answers the handshake with these extensions, then sends bytes, and hands the stream over. What the
/// client offered is returned with it.
fn scripted(extensions: &'static str, bytes: Vec<u8>) -> (SocketAddr, JoinHandle<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        let accept = accept_for(&field("Sec-WebSocket-Key: "));
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{extensions}\r\n"
        );
        stream.write_all(&[answer.as_bytes(), &bytes].concat()).unwrap();
        (field("Sec-WebSocket-Extensions: "), stream)
    });
    (address, server)
}

const AGREED: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// The code of the Close that a client sends, as the first of its frames.
fn close_code(mut stream: TcpStream) -> CloseCode {
    let mut frame = [0; 8];
    stream.read_exact(&mut frame).unwrap();
    assert_eq!(frame[0], 0x88, "a Close");
    CloseCode(u16::from_be_bytes([frame[6] ^ frame[2], frame[7] ^ frame[3]]))
}

fn json(n: usize) -> String {
    format!(
        "{{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"p\":\"{}.{:02}\",\"q\":\"0.{n:05}\",\"T\":{}}}",
        64_000 + n,
        n % 100,
        n * 37
    )
}

#[test]
fn nothing_is_offered_unless_it_is_asked_for() {
    for (options, expected) in [
        (ConnectOptions::new(), ""),
        (asking(DEFLATE), "permessage-deflate; client_max_window_bits"),
        (asking(DEFLATE.without_client_max_window_bits()), "permessage-deflate"),
    ] {
        let (address, server) = scripted("", b"\x81\x02ok".to_vec());
        let mut ws = options.connect(&format!("ws://{address}/")).unwrap();
        assert_eq!((ws.recv().unwrap(), ws.deflate()), (Message::from("ok"), None));
        let (offered, _stream) = server.join().unwrap();
        assert_eq!(offered, expected);
    }
}

#[test]
fn what_was_agreed_can_be_read_at_both_ends() {
    let (url, server) = echo_server(asking(DEFLATE.server_max_window_bits(11).client_no_context_takeover()));
    let ws = asking(DEFLATE.client_max_window_bits(10)).connect(&url).unwrap();
    let agreed = ws.deflate().unwrap();
    assert!(agreed.client_no_context_takeover && !agreed.server_no_context_takeover);
    assert_eq!((agreed.server_max_window_bits, agreed.client_max_window_bits), (11, 10));
    let extension = ExtensionOffer::new("permessage-deflate")
        .param("client_no_context_takeover", None)
        .param("server_max_window_bits", Some("11"));
    assert_eq!(ws.response().unwrap().extensions, [extension]);
    ws.close().unwrap();
    let server = server.join().unwrap();
    assert_eq!(server.deflate(), Some(agreed));
    assert_eq!(server.response().unwrap().extensions, ws.response().unwrap().extensions);
}

#[test]
fn either_end_does_without() {
    for (ours, theirs) in [(asking(DEFLATE), ConnectOptions::new()), (ConnectOptions::new(), asking(DEFLATE))] {
        let (url, server) = echo_server(theirs);
        let mut ws = ours.connect(&url).unwrap();
        let text = json(1).repeat(100);
        assert!(ws.send_text(&text).unwrap() > text.len());
        assert_eq!((ws.recv().unwrap(), ws.deflate()), (Message::Text(text), None));
        ws.close().unwrap();
        server.join().unwrap();
    }
}

#[test]
fn an_answer_that_does_not_fit_the_offer_fails_the_handshake() {
    for (options, answer) in [
        (ConnectOptions::new(), "permessage-deflate"),
        (asking(DEFLATE), "permessage-deflate; client_max_window_bits"),
        (asking(DEFLATE), "permessage-deflate; unknown"),
        (asking(DEFLATE), "permessage-deflate, permessage-deflate"),
        (asking(DEFLATE.server_no_context_takeover()), "permessage-deflate"),
    ] {
        let line: &'static str = Box::leak(format!("Sec-WebSocket-Extensions: {answer}\r\n").into_boxed_str());
        let (address, server) = scripted(line, Vec::new());
        let error = options.connect(&format!("ws://{address}/")).unwrap_err();
        let Error::Handshake(error) = error else { panic!("{error}") };
        assert!(
            matches!(
                *error,
                HandshakeError::ExtensionParameters { .. }
                    | HandshakeError::RepeatedExtension(_)
                    | HandshakeError::UnofferedExtension(_)
            ),
            "{error}"
        );
        drop(server.join().unwrap());
    }
}

#[test]
fn a_server_takes_the_first_of_several_offers_that_it_can_work_with() {
    for (offers, expected) in [
        (
            "permessage-deflate; unknown, x; y, permessage-deflate; server_max_window_bits=\"10\", permessage-deflate",
            Some("permessage-deflate; server_max_window_bits=10"),
        ),
        (
            "permessage-deflate; client_max_window_bits, permessage-deflate; server_no_context_takeover",
            Some("permessage-deflate"),
        ),
        ("permessage-deflate; server_max_window_bits=16, x-other", None),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n"
        );
        client.write_all(request.as_bytes()).unwrap();
        let ws = asking(DEFLATE).accept(listener.accept().unwrap().0).unwrap();
        assert_eq!(ws.deflate().is_some(), expected.is_some());
        drop(ws);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let agreed = answer.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
        assert_eq!(agreed, expected, "{offers}");
    }
}

#[test]
fn messages_of_every_size_come_back_smaller() {
    for options in [DEFLATE, DEFLATE.server_no_context_takeover().client_no_context_takeover().threshold(0)] {
        let (url, server) = echo_server(asking(options));
        let mut ws = asking(options).connect(&url).unwrap();
        for count in [0, 1, 3, 40, 500, 3000, 20_000] {
            let text: String = (0..count).map(json).collect();
            let sent = ws.send_text(&text).unwrap();
            assert!(count < 40 || sent < text.len() / 2, "{sent} of {}", text.len());
            assert_eq!(ws.recv().unwrap(), Message::Text(text.clone()));
            ws.send_binary(text.as_bytes()).unwrap();
            assert_eq!(ws.recv_ref().unwrap(), MessageRef::Binary(text.as_bytes()));
        }
        ws.close().unwrap();
        server.join().unwrap();
    }
}

#[test]
fn every_way_of_sending_is_compressed_unless_it_is_excepted() {
    let (url, server) = echo_server(asking(DEFLATE));
    let mut ws = asking(DEFLATE).connect(&url).unwrap();
    let text: String = (0..3000).map(json).collect();
    let expected = Message::Text(text.clone());
    let (sender, plain) = (ws.sender(), ws.sender().uncompressed());
    for sender in [&sender, &plain] {
        sender.send_text(&text).unwrap();
        sender.send(&text, Opcode::Text).unwrap();
        sender.send_frame(&Frame::new(Opcode::Text, text.as_bytes())).unwrap();
        sender
            .cork(|batch| {
                batch.send_text(&text)?;
                batch.ping(b"?")?;
                batch.send_text(&text).map(|_| ())
            })
            .unwrap();
        sender.send_reader(MessageKind::Text, text.as_bytes(), Some(text.len() as u64)).unwrap();
        sender.send_reader(MessageKind::Text, &b""[..], Some(0)).unwrap();
        sender.send_reader(MessageKind::Text, text.as_bytes(), None).unwrap();
        let mut writer = sender.message_writer(MessageKind::Text).unwrap();
        for part in text.as_bytes().chunks(5000) {
            writer.write_all(part).unwrap();
            writer.flush().unwrap();
        }
        writer.finish().unwrap();
        for index in 0..9 {
            let expected = if index == 6 { &Message::from("") } else { &expected };
            assert_eq!(ws.recv().as_ref().unwrap(), expected, "{index}");
        }
    }
    assert!(sender.send_text(&text).unwrap() < text.len() / 2);
    assert!(plain.send_text(&text).unwrap() > text.len());
    assert!(plain.uncompressed().send_binary(text.as_bytes()).unwrap() > text.len());
    for _ in 0..3 {
        assert_eq!(ws.recv().unwrap().as_bytes(), text.as_bytes());
    }
    ws.close().unwrap();
    server.join().unwrap();
}

#[test]
fn a_message_can_be_read_while_it_arrives() {
    let (url, server) = echo_server(asking(DEFLATE));
    let mut ws = asking(DEFLATE).connect(&url).unwrap();
    let text: String = (0..5000).map(json).collect();
    for _ in 0..3 {
        ws.send_text(&text).unwrap();
        let mut read = String::new();
        ws.message_reader().unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        ws.send_text(&text).unwrap();
        let mut beginning = [0; 100];
        ws.message_reader().unwrap().read_exact(&mut beginning).unwrap();
        assert_eq!(beginning, text.as_bytes()[..100]);
    }
    ws.send_text("after one of which the rest was skipped").unwrap();
    assert_eq!(ws.recv().unwrap(), Message::from("after one of which the rest was skipped"));
    ws.close().unwrap();
    server.join().unwrap();
}

#[test]
fn what_is_wrong_is_told_with_its_code() {
    let cases: [(&str, &[u8], ProtocolError, CloseCode); 4] = [
        (AGREED, b"\xc1\x04\x78\x78\x78\x78", ProtocolError::ExtensionPayload, CloseCode::INVALID_PAYLOAD),
        (AGREED, b"\xc1\x06\xf2\x48\xcd\xc9\xc9\x07", ProtocolError::ExtensionPayload, CloseCode::INVALID_PAYLOAD),
        (AGREED, b"\xc9\x00", ProtocolError::ReservedBits, CloseCode::PROTOCOL_ERROR),
        ("", b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", ProtocolError::ReservedBits, CloseCode::PROTOCOL_ERROR),
    ];
    for (extensions, bytes, expected, code) in cases {
        let (address, server) = scripted(extensions, bytes.to_vec());
        let mut ws = asking(DEFLATE).connect(&format!("ws://{address}/")).unwrap();
        let peer = thread::spawn(move || close_code(server.join().unwrap().1));
        let error = ws.recv().unwrap_err();
        assert!(matches!(error, Error::Protocol(error) if error == expected), "{error}");
        assert_eq!(peer.join().unwrap(), code);
    }
}

#[test]
fn a_bomb_ends_with_1009_long_before_it_is_inflated() {
    let mut deflate = PerMessageDeflate::new(DEFLATE.level(9)).unwrap();
    deflate.accept(&ExtensionOffer::new("permessage-deflate")).unwrap();
    let mut outbound = Outbound::deflating(Role::Server, MaskKeys::pooled(Box::new(|_| {})), deflate.deflater());
    let zeros = vec![0; 1 << 20];
    for index in 0..300 {
        let opcode = if index == 0 { Opcode::Binary } else { Opcode::Continuation };
        outbound.data(opcode, if index == 299 { Fin::Last } else { Fin::More }, &zeros).unwrap();
    }
    assert!(outbound.pending().len() < 400_000);
    let (address, server) = scripted(AGREED, outbound.pending().to_vec());
    let limit = 4 << 20;
    let mut ws = asking(DEFLATE).max_message_size(limit).connect(&format!("ws://{address}/")).unwrap();
    let peer = thread::spawn(move || close_code(server.join().unwrap().1));
    let error = ws.recv().unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::MessageTooBig { limit: 4_194_304 })), "{error}");
    assert_eq!(peer.join().unwrap(), CloseCode::MESSAGE_TOO_BIG);
}
