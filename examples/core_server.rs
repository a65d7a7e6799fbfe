//! An echo server that uses the protocol core alone, over `std::net`: bytes in, events out, and the other way round.
//!
//! `cargo run --example core_server -- 127.0.0.1:9001`, then connect to it with any WebSocket client.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use websocket_sync::protocol::{AcceptConnection, Connection, ConnectionState, Event};

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| String::from("127.0.0.1:9001"));
    let listener = TcpListener::bind(address)?;
    println!("listening on ws://{}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || match serve(stream) {
            Ok(()) => println!("closed"),
            Err(error) => println!("failed: {error}"),
        });
    }
    Ok(())
}

/// Talks to one client until the connection ends.
fn serve(mut stream: TcpStream) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::server();
    let mut received = [0; 16 * 1024];
    let mut out = Vec::new();
    while connection.state() != ConnectionState::Closed {
        let length = stream.read(&mut received)?;
        // Nothing more to read is the end of the connection.
        let data = (length > 0).then_some(&received[..length]);
        if let Err(broken) = connection.receive_data(data) {
            if let Some(reject) = broken.event_hint {
                stream.write_all(&connection.send(reject)?)?;
            }
            return Err(broken.error.into());
        }
        while let Some(event) = connection.next_event() {
            if let Some(answer) = answer(&connection, event) {
                connection.send_into(answer, &mut out)?;
            }
        }
        stream.write_all(&out)?;
        out.clear();
    }
    Ok(())
}

/// What there is to say to an event. The core answers nothing by itself.
fn answer(connection: &Connection, event: Event) -> Option<Event> {
    match event {
        Event::Request(request) => {
            println!("request for {}", request.target);
            Some(AcceptConnection::default().into())
        }
        // A piece is whatever has arrived of a message; each goes back as a frame of its own.
        Event::TextMessage(_) | Event::BytesMessage(_) => Some(event),
        Event::Ping(ping) => Some(ping.response().into()),
        Event::CloseConnection(close) if connection.state() == ConnectionState::RemoteClosing => {
            Some(close.response().into())
        }
        Event::ProtocolViolation(violation) => Some(violation.response().into()),
        _ => None,
    }
}
