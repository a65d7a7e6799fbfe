//! A client and a server of this crate over loopback: what is sent comes back, and both ends agree on how it ended.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use websocket_sync::protocol::Frame;
use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, Error, Message, MessageKind, MessageRef, Opcode,
    WebSocket, create_connection,
};

/// Serves one connection that echoes until it is closed; says how that came.
fn echo_server() -> (SocketAddr, JoinHandle<CloseInfo>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut ws = WebSocket::accept(stream).unwrap();
        let sender = ws.sender();
        loop {
            match ws.recv_ref() {
                Ok(MessageRef::Text(text)) => sender.send_text(text).map(|_| ()).unwrap(),
                Ok(MessageRef::Binary(bytes)) => sender.send_binary(bytes).map(|_| ()).unwrap(),
                Err(Error::Closed(info)) => return *info,
                Err(error) => panic!("{error}"),
            }
        }
    });
    (address, server)
}

fn connect(address: SocketAddr) -> WebSocket {
    create_connection(&format!("ws://{address}/")).unwrap()
}

#[test]
fn pings_and_pongs_of_ones_own_leave_from_a_connection_and_its_senders() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let ws = connect(address);
        let sender = ws.sender();
        ws.ping("1").unwrap();
        sender.ping("2").unwrap();
        ws.pong("3").unwrap();
        sender.pong("4").unwrap();
        ws
    });
    let mut ws = WebSocket::accept(listener.accept().unwrap().0).unwrap();
    let mut next = || ws.recv_data(ControlFrames::Show).map(|(opcode, payload)| (opcode, payload.to_vec())).unwrap();
    let heard = [(); 4].map(|()| next());
    let [ping, pong] = [Opcode::Ping, Opcode::Pong];
    assert_eq!(heard, [(ping, b"1".into()), (ping, b"2".into()), (pong, b"3".into()), (pong, b"4".into())]);
    drop(client.join().unwrap());
}

#[test]
fn messages_of_every_size_and_kind_come_back() {
    let (address, server) = echo_server();
    let mut ws = connect(address);
    for size in [0, 1, 125, 126, 127, 4096, 65_535, 65_536, 65_537, 200_000, 1 << 20, 16 << 20] {
        let text = "x".repeat(size);
        let header = if size < 126 {
            6
        } else if size < 65_536 {
            8
        } else {
            14
        };
        assert_eq!(ws.send_text(&text).unwrap(), header + size);
        assert_eq!(ws.recv().unwrap(), Message::Text(text), "{size}");
        let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
        ws.send_binary(&bytes).unwrap();
        assert_eq!(ws.recv_ref().unwrap(), MessageRef::Binary(&bytes), "{size}");
    }
    ws.close().unwrap();
    let info = server.join().unwrap();
    assert_eq!((info.code, info.cause), (CloseCode::NORMAL, CloseCause::Remote));
    assert_eq!(ws.close_info().unwrap().cause, CloseCause::Local);
    assert!(matches!(ws.recv(), Err(Error::Closed(_))));
    assert!(matches!(ws.send_text(""), Err(Error::Closed(_))));
}

#[test]
fn fragments_pings_and_streams_come_back_as_messages() {
    let (address, server) = echo_server();
    let mut ws = connect(address);
    ws.send_frame(&Frame::new(Opcode::Text, "Hel").fragment()).unwrap();
    ws.ping("between").unwrap();
    ws.send_frame(&Frame::new(Opcode::Continuation, "lo")).unwrap();
    let pong = ws.recv_data_frame(ControlFrames::Show).unwrap();
    assert_eq!(pong, Frame::new(Opcode::Pong, "between"));
    assert_eq!(ws.recv().unwrap(), Message::from("Hello"));

    let mut writer = ws.message_writer(MessageKind::Text).unwrap();
    writer.write_all("h\u{e9}".as_bytes().split_at(2).0).unwrap();
    writer.flush().unwrap();
    writer.write_all(&"h\u{e9}".as_bytes()[2..]).unwrap();
    assert!(matches!(ws.send_text("no"), Err(Error::Usage(_))));
    writer.finish().unwrap();
    let mut text = String::new();
    ws.message_reader().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "h\u{e9}");

    let payload = vec![7; 300_000];
    ws.send_reader(MessageKind::Binary, payload.as_slice(), Some(300_000)).unwrap();
    ws.send_reader(MessageKind::Binary, payload.as_slice(), None).unwrap();
    ws.send_reader(MessageKind::Text, &b""[..], Some(0)).unwrap();
    let mut first = [0; 100];
    ws.message_reader().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(ws.recv().unwrap(), Message::Binary(payload), "the rest of the first is skipped");
    assert_eq!(ws.recv().unwrap(), Message::from(""));
    ws.close_with(CloseCode(4001), "enough").unwrap();
    let info = server.join().unwrap();
    assert_eq!((info.code, info.reason.as_str()), (CloseCode(4001), "enough"));
}

#[test]
fn a_batch_leaves_in_order_and_a_receive_that_times_out_loses_nothing() {
    let (address, server) = echo_server();
    let mut ws = connect(address);
    assert!(matches!(ws.recv_timeout(Duration::from_millis(30)), Err(Error::Timeout(_))));
    ws.cork(|batch| {
        for number in 0..10_000 {
            batch.send_text(&number.to_string())?;
        }
        Ok(())
    })
    .unwrap();
    for number in 0..10_000 {
        assert_eq!(ws.recv_ref().unwrap(), MessageRef::Text(&number.to_string()));
    }
    drop(ws);
    assert_eq!(server.join().unwrap().code, CloseCode::GOING_AWAY);
}

#[test]
fn the_messages_end_with_a_clean_close() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let ws = WebSocket::accept(listener.accept().unwrap().0).unwrap();
        ws.send_text("one").unwrap();
        ws.send_text("two").unwrap();
        ws.close_with(CloseCode::GOING_AWAY, "bye").unwrap();
        ws.close_info().unwrap()
    });
    let mut ws = ConnectOptions::new().connect(&format!("ws://{address}/")).unwrap();
    let messages: Vec<Message> = ws.messages().map(Result::unwrap).collect();
    assert_eq!(messages, [Message::from("one"), Message::from("two")]);
    let info = ws.close_info().unwrap();
    assert_eq!((info.code, info.reason.as_str(), info.cause), (CloseCode::GOING_AWAY, "bye", CloseCause::Remote));
    let theirs = server.join().unwrap();
    assert_eq!((theirs.code, theirs.cause), (CloseCode::GOING_AWAY, CloseCause::Local));
}
