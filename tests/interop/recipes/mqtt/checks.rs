//! Against mosquitto.

use std::thread;

use websocket_sync::{MessageKind, WebSocket};

use super::*;
use crate::{Check, LIMIT};

pub(crate) const CHECKS: [Check; 7] = [
    ("subscribe and publish", subscribe_and_publish),
    ("messages between two clients, in order", between_two_clients),
    ("packets of 1 B to 20 KB", sizes),
    ("packets cut over many messages, and many packets in one", cut_and_joined),
    ("idle for longer than the server waits", idle),
    ("never idle, for longer than the server waits", never_idle),
    ("what is not MQTT ends the connection", not_mqtt),
];

fn open(url: &str, client: &str) -> Result<Mqtt> {
    Mqtt::connect(url, client, Duration::from_secs(60))
}

fn close(mut client: Mqtt) -> Result<()> {
    client.send(0xe0, &[])?; // DISCONNECT
    client.ws.close()
}

fn subscribe_and_publish(url: &str) -> Result<()> {
    let mut client = open(url, "one")?;
    assert_eq!(client.ws.subprotocol(), Some("mqtt"));
    client.subscribe("house/+/temperature")?;
    client.publish("house/kitchen/humidity", b"55")?;
    client.publish("house/küche/temperature", b"20.5")?;
    client.publish("house/hall/temperature", b"")?;
    assert_eq!(client.message()?, ("house/küche/temperature".to_owned(), b"20.5".to_vec()));
    assert_eq!(client.message()?, ("house/hall/temperature".to_owned(), b"".to_vec()));
    close(client)
}

fn between_two_clients(url: &str) -> Result<()> {
    let (mut publisher, mut subscriber) = (open(url, "publisher")?, open(url, "subscriber")?);
    subscriber.subscribe("numbers")?;
    let publishing = thread::spawn(move || {
        (0..1000_u32).try_for_each(|number| publisher.publish("numbers", &number.to_be_bytes()))?;
        close(publisher)
    });
    for number in 0..1000_u32 {
        assert_eq!(subscriber.message()?.1, number.to_be_bytes());
    }
    publishing.join().expect("no panic")?;
    close(subscriber)
}

/// This server takes 0.1 s for each 4 KiB of a packet, from whomever.
fn sizes(url: &str) -> Result<()> {
    let mut client = open(url, "one")?;
    client.subscribe("sizes")?;
    for size in [1, 118, 119, 120, 16_374, 20_000] {
        let payload: Vec<u8> = (0..size).map(|at| (at * 7 % 251) as u8).collect();
        client.publish("sizes", &payload)?;
        let (_, received) = client.message()?;
        assert!(received == payload, "{} of {size} bytes", received.len());
    }
    close(client)
}

/// A packet of 7 + `payload` bytes.
fn publish_packet(payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(5 + payload.len()).expect("a short payload");
    [&[PUBLISH, length], &string("cut")[..], payload].concat()
}

fn cut_and_joined(url: &str) -> Result<()> {
    let mut client = open(url, "one")?;
    client.subscribe("cut")?;
    let packets = [b"first".as_slice(), b"", b"second"].map(publish_packet).concat();
    for size in [1, 2, 3, packets.len()] {
        // As messages, and as the fragments of one.
        for piece in packets.chunks(size) {
            client.ws.send_binary(piece)?;
        }
        let mut writer = client.ws.message_writer(MessageKind::Binary)?;
        for piece in packets.chunks(size) {
            std::io::Write::write_all(&mut writer, piece)?;
            std::io::Write::flush(&mut writer)?;
        }
        writer.finish()?;
        for payload in [b"first".as_slice(), b"", b"second"].repeat(2) {
            assert_eq!(client.message()?, ("cut".to_owned(), payload.to_vec()));
        }
    }
    close(client)
}

/// The server waits 1.5 s for a packet.
fn idle(url: &str) -> Result<()> {
    let mut waiting = Mqtt::connect(url, "idle", Duration::from_secs(1))?;
    waiting.subscribe("idle")?;
    let mut other = open(url, "other")?;
    let later = thread::spawn(move || {
        thread::sleep(Duration::from_secs(3));
        other.publish("idle", b"later")?;
        close(other)
    });
    assert_eq!(waiting.message()?.1, b"later");
    later.join().expect("no panic")?;
    close(waiting)
}

/// Messages come all the time, so that no receive times out.
fn never_idle(url: &str) -> Result<()> {
    let mut busy = Mqtt::connect(url, "busy", Duration::from_secs(1))?;
    busy.subscribe("busy")?;
    let mut other = open(url, "other")?;
    let publishing = thread::spawn(move || {
        for _ in 0..300 {
            other.publish("busy", b"more")?;
            thread::sleep(Duration::from_millis(10));
        }
        other.publish("busy", b"last")?;
        close(other)
    });
    while busy.message()?.1 != b"last" {}
    publishing.join().expect("no panic")?;
    close(busy)
}

fn not_mqtt(url: &str) -> Result<()> {
    let mut ws: WebSocket = ConnectOptions::new().subprotocols(["mqtt"]).recv_timeout(LIMIT).connect(url)?;
    ws.send_binary(b"\xff\xff")?;
    let error = ws.recv().unwrap_err();
    assert!(error.is_closed(), "{error}");
    Ok(())
}
