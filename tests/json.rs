//! Messages that are JSON, over a connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use websocket_sync::protocol::Role;
use websocket_sync::{ConnectOptions, Error, JsonError, Message, Retry, WebSocket, WebSocketApp};

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Tick {
    symbol: String,
    price: f64,
}

fn tick() -> Tick {
    Tick { symbol: "ABC".into(), price: 1.5 }
}

/// A client and a server that are connected.
fn pair() -> (WebSocket, WebSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    let options = ConnectOptions::new().timeout(Duration::from_secs(10));
    let open = |stream, role| options.from_open(stream, role, b"", None).unwrap();
    (open(client, Role::Client), open(server, Role::Server))
}

#[test]
fn whatever_sends_sends_json_as_text() {
    let (client, mut server) = pair();
    let text = r#"{"symbol":"ABC","price":1.5}"#;
    assert_eq!(client.send_json(&tick()).unwrap(), 6 + text.len());
    client.sender().send_json("a string").unwrap();
    client.cork(|batch| batch.send_json(&json!({"n": null})).and_then(|_| batch.send_json(&[1, 2][..]))).unwrap();
    assert_eq!(server.recv().unwrap(), text);
    assert_eq!(server.recv().unwrap(), r#""a string""#);
    assert_eq!(server.recv().unwrap(), r#"{"n":null}"#);
    assert_eq!(server.recv_json::<(u8, u8)>().unwrap(), (1, 2));
}

#[test]
fn json_is_received_from_text_and_binary() {
    let (mut client, server) = pair();
    let bytes = serde_json::to_vec(&tick()).unwrap();
    server.send_json(&tick()).unwrap();
    server.send_binary(&bytes).unwrap();
    assert_eq!(client.recv_json::<Tick>().unwrap(), tick());
    assert_eq!(client.recv_json::<Tick>().unwrap(), tick());
}

#[test]
fn what_is_not_the_json_that_was_expected_is_in_the_error_and_the_connection_goes_on() {
    let (mut client, server) = pair();
    let (not_json, other_shape) = ("Invalid API key", r#"{"error":"unknown symbol"}"#);
    server.send_text(not_json).unwrap();
    server.send_text(other_shape).unwrap();
    server.send_json(&tick()).unwrap();
    for expected in [not_json, other_shape] {
        let error = client.recv_json::<Tick>().unwrap_err();
        assert_eq!((error.retry(), error.is_closed(), error.is_timeout()), (Retry::Soon, false, false));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("API key") && !shown.contains("unknown symbol"), "{shown}");
        let Error::Json(error) = error else { panic!("{error:?}") };
        let JsonError::Deserialize { message, problem } = *error else { panic!("{error:?}") };
        assert_eq!(message, expected);
        assert!(problem.is_syntax() || problem.is_data());
    }
    assert_eq!(client.recv_json::<Tick>().unwrap(), tick());
}

#[test]
fn what_json_cannot_express_is_not_sent() {
    let (client, mut server) = pair();
    let keys_are_no_strings = BTreeMap::from([((1, 2), 3)]);
    let refused = [
        client.send_json(&keys_are_no_strings),
        client.sender().send_json(&keys_are_no_strings),
        client.cork(|batch| batch.send_json(&keys_are_no_strings)),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.to_string(), "value cannot be expressed in JSON: key must be a string");
        assert_eq!(error.retry(), Retry::Never);
        assert!(matches!(&error, Error::Json(error) if error.message().is_none()), "{error:?}");
    }
    client.send_text("next").unwrap();
    assert_eq!(server.recv().unwrap(), Message::from("next"));
}

#[test]
fn an_app_sends_and_reads_json_and_its_error_handler_gets_what_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut client = WebSocket::accept(listener.accept().unwrap().0).unwrap();
        let subscription = client.recv_json::<Value>().unwrap();
        client.send_json(&tick()).unwrap();
        client.send_text("maintenance at noon").unwrap();
        client.close().unwrap();
        subscription
    });
    let (mut ticks, mut errors) = (Vec::new(), Vec::new());
    let closed = WebSocketApp::new(&*url)
        .on_open(|app| app.send_json(&json!({"subscribe": "ticks"})))
        .on_message(|_, message| {
            ticks.push(message.json::<Tick>()?);
            Ok::<(), Error>(())
        })
        .on_error(|_, error| errors.push(error.to_string()))
        .run_forever();
    assert_eq!(server.join().unwrap(), json!({"subscribe": "ticks"}));
    assert!(closed.unwrap().is_clean());
    assert_eq!(ticks, [tick()]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("message is not the JSON that was expected: expected value at line 1"), "{errors:?}");
}

#[test]
fn a_json_error_survives_io() {
    let error = std::io::Error::from(Message::from("{").json::<Tick>().unwrap_err());
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    assert!(matches!(Error::from(error), Error::Json(_)));
}
