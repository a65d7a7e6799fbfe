//! The client that the Autobahn testsuite tests: asks how many cases there are and echoes what each sends.
//!
//! `tests/autobahn/run client` starts it with the fuzzing server's URL as last argument.

use std::error::Error;

use websocket_sync::{ConnectOptions, DeflateOptions, Message, MessageRef, Result, create_connection};

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let url = std::env::args().next_back().filter(|url| url.starts_with("ws")).ok_or("usage: autobahn_client URL")?;
    let url = url.trim_end_matches('/');
    let count: u32 = match create_connection(&format!("{url}/getCaseCount"))?.recv()? {
        Message::Text(count) => count.parse()?,
        Message::Binary(_) => return Err("a number was expected".into()),
    };
    for case in 1..=count {
        // How a case ends is for the testsuite to judge.
        let _ = echo(&format!("{url}/runCase?case={case}&agent=websocket-sync"));
    }
    Ok(())
}

fn echo(url: &str) -> Result<()> {
    let mut ws = ConnectOptions::new().deflate(DeflateOptions::new().threshold(0)).connect(url)?;
    let sender = ws.sender();
    loop {
        match ws.recv_ref()? {
            MessageRef::Text(text) => sender.send_text(text)?,
            MessageRef::Binary(bytes) => sender.send_binary(bytes)?,
        };
    }
}
