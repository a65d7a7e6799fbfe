//! Send and receive at once: two threads send through a `Sender` while this one receives.
//!
//! `cargo run --example threads [URL]`; the server must echo. Without a URL it starts one of its own.

use std::error::Error;
use std::net::TcpListener;
use std::{env, io, thread};

use websocket_sync::{Message, Result, Sender, WebSocket, create_connection};

const EACH: usize = 1000;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let url = env::args().nth(1).map_or_else(start_server, Ok)?;
    let mut ws = create_connection(&url)?;
    let (one, two) = (ws.sender(), ws.sender()); // a Sender can be cloned, and used from any thread
    let mut ticks = 0;
    thread::scope(|scope| {
        let senders = [scope.spawn(move || send(&one, "tick")), scope.spawn(move || send(&two, "tock"))];
        for _ in 0..2 * EACH {
            match ws.recv()? {
                Message::Text(text) => ticks += usize::from(text.starts_with("tick")),
                Message::Binary(_) => unreachable!("only text was sent"),
            }
        }
        senders.into_iter().try_for_each(|sender| sender.join().expect("no panic"))
    })?;
    println!("received {} messages, {ticks} of them ticks", 2 * EACH);
    ws.close()?;
    Ok(())
}

fn send(sender: &Sender, word: &str) -> Result<()> {
    for number in 0..EACH {
        sender.send_text(&format!("{word} {number}"))?;
    }
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
