//! A WebSocket over something that is no socket: here, two pipes, as to a child process.
//!
//! Any `Read + Write` will do, in a `HalfDuplex`. To send while receiving, and for deadlines, implement `Transport` instead.

use std::error::Error;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::thread;

use websocket_sync::{ConnectOptions, HalfDuplex, Message, Result, WebSocket};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let (from_client, to_server) = io::pipe()?;
    let (from_server, to_client) = io::pipe()?;
    let serving = thread::spawn(|| echo(Pipes(from_client, to_client)));

    let mut ws = ConnectOptions::new().connect_over(HalfDuplex::new(Pipes(from_server, to_server)), "ws://child/")?;
    ws.send_text("Hello through two pipes")?;
    println!("received {:?}", ws.recv()?);
    ws.close()?;
    let end = serving.join().expect("no panic").expect_err("an echo that ends when the connection does");
    println!("the server says: {end}");
    Ok(())
}

/// Goes on until the connection ends, with the error that says how.
fn echo(stream: Pipes) -> Result<()> {
    let mut ws = WebSocket::accept(HalfDuplex::new(stream))?;
    loop {
        match ws.recv()? {
            Message::Text(text) => ws.send_text(&text)?,
            Message::Binary(bytes) => ws.send_binary(&bytes)?,
        };
    }
}

/// What is read from one pipe and written to another.
struct Pipes(PipeReader, PipeWriter);

impl Read for Pipes {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Pipes {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.1.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.1.flush()
    }
}
