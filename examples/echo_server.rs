//! The server role: accept, receive, send back, with a thread for each connection.
//!
//! `cargo run --example echo_server [ADDRESS]`; the address is 127.0.0.1:9001 unless given.

use std::net::{TcpListener, TcpStream};
use std::{env, io, thread};

use websocket_sync::{Error, MessageRef, Result, WebSocket};

fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let listener = TcpListener::bind(&address)?;
    println!("listening on ws://{}/", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        let peer = stream.peer_addr()?;
        thread::spawn(move || match serve(stream) {
            Err(Error::Closed(info)) => println!("{peer}: {info}"),
            Err(error) => println!("{peer}: {error:#}"),
            Ok(()) => unreachable!("it ends with an error that says how"),
        });
    }
    Ok(())
}

fn serve(stream: TcpStream) -> Result<()> {
    let mut ws = WebSocket::accept(stream)?;
    let sender = ws.sender();
    loop {
        match ws.recv_ref()? {
            MessageRef::Text(text) => sender.send_text(text)?,
            MessageRef::Binary(bytes) => sender.send_binary(bytes)?,
        };
    }
}
