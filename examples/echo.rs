//! Connect, send, receive, close.
//!
//! `cargo run --example echo [URL]`; without a URL it starts an echo server of its own and talks to that.

use std::error::Error;
use std::net::TcpListener;
use std::{env, io, thread};

use websocket_sync::{Message, WebSocket, create_connection};

fn main() -> Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).map_or_else(start_server, Ok)?;
    println!("connecting to {url}");
    let mut ws = create_connection(&url)?;
    for text in ["Hello", "Grüße aus Köln", "さようなら"] {
        println!("sending  {text}");
        ws.send_text(text)?;
        match ws.recv()? {
            Message::Text(text) => println!("received {text}"),
            Message::Binary(bytes) => println!("received {} bytes", bytes.len()),
        }
    }
    ws.close()?;
    println!("closed");
    Ok(())
}

/// Serves one connection on a port that is free, and returns the URL.
fn start_server() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        let mut ws = WebSocket::accept(stream).map_err(io::Error::other)?;
        while let Ok(Message::Text(text)) = ws.recv() {
            ws.send_text(&text).map_err(io::Error::other)?;
        }
        io::Result::Ok(())
    });
    Ok(url)
}
