//! The server that the Autobahn testsuite tests: echoes every message, with a thread for each connection.
//!
//! `tests/autobahn/run server` starts it with the port as last argument.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::thread;

use websocket_sync::{ConnectOptions, DeflateOptions, MessageRef, Result};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("usage: autobahn_server PORT")?;
    let listener = TcpListener::bind(("127.0.0.1", port.parse()?))?;
    for stream in listener.incoming() {
        let stream = stream?;
        thread::spawn(move || echo(stream)); // how it ends is for the testsuite to judge
    }
    Ok(())
}

fn echo(stream: TcpStream) -> Result<()> {
    let mut ws = ConnectOptions::new().deflate(DeflateOptions::new().threshold(0)).accept(stream)?;
    let sender = ws.sender();
    loop {
        match ws.recv_ref()? {
            MessageRef::Text(text) => sender.send_text(text)?,
            MessageRef::Binary(bytes) => sender.send_binary(bytes)?,
        };
    }
}
