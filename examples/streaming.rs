//! Messages that need not fit into memory: written and read piece by piece, as `io::Write` and `io::Read`.
//!
//! `cargo run --example streaming [URL]`; the server must echo. Without a URL it starts one of its own.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::{env, thread};

use websocket_sync::{MessageKind, Sender, WebSocket, create_connection};

const MIB: u64 = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).map_or_else(start_server, Ok)?;
    let mut ws = create_connection(&url)?;
    let sender = ws.sender();
    let sending = thread::spawn(move || send(&sender));
    for what in ["fragments", "one frame"] {
        let mut message = ws.message_reader()?;
        let length = io::copy(&mut message, &mut io::sink())?;
        println!("{length} bytes sent as {what} came back");
    }
    sending.join().expect("no panic")?;
    ws.close()?;
    Ok(())
}

fn send(sender: &Sender) -> io::Result<()> {
    // A length that nobody knows beforehand: fragments of 64 KiB.
    let mut message = sender.message_writer(MessageKind::Text).map_err(io::Error::other)?;
    for number in 0..1_000_000 {
        writeln!(message, "line {number}")?;
    }
    message.finish().map_err(io::Error::other)?;
    // A length that is known: one frame, filled from a reader.
    let reader = io::repeat(b'x').take(16 * MIB);
    sender.send_reader(MessageKind::Binary, reader, Some(16 * MIB)).map_err(io::Error::other)?;
    Ok(())
}

/// Serves one connection on a port that is free, and returns the URL. It sends back what it is still receiving.
fn start_server() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        let mut ws = WebSocket::accept(stream).map_err(io::Error::other)?;
        let sender = ws.sender();
        while let Ok(mut message) = ws.message_reader() {
            let mut copy = sender.message_writer(message.kind()).map_err(io::Error::other)?;
            io::copy(&mut message, &mut copy)?;
            copy.finish().map_err(io::Error::other)?;
        }
        io::Result::Ok(())
    });
    Ok(url)
}
