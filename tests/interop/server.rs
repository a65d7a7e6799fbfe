//! The interop server: our server role, on a free port; README.md says what it answers.

mod answer;

use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use websocket_sync::{ConnectOptions, DeflateOptions};

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening {}", listener.local_addr()?.port());
    let log = Arc::new(answer::Log::default());
    for stream in listener.incoming() {
        let (stream, log) = (stream?, Arc::clone(&log));
        let options = ConnectOptions::new().deflate(DeflateOptions::new());
        thread::spawn(move || {
            if let Err(error) = answer::serve(stream, &options, &log) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}
