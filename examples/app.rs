//! An app: called back, kept alive with pings, connected again when the connection is lost.
//!
//! `cargo run --example app [URL]`. Without a URL it starts a server of its own, which hangs up after every third message; the app
//! ends by itself after nine. With one, it sends what is typed and ends with the input.

use std::error::Error;
use std::net::TcpListener;
use std::time::Duration;
use std::{env, io, thread};

use websocket_sync::{Handle, Message, Reconnect, WebSocket, WebSocketApp};

fn main() -> Result<(), Box<dyn Error>> {
    let given = env::args().nth(1);
    let url = given.clone().map_or_else(start_server, Ok)?;
    let mut received = 0;
    let mut app = WebSocketApp::new(url)
        .on_open(|app| {
            println!("open");
            app.send_text("go on")
        })
        .on_reconnect(|app| {
            println!("open again");
            app.send_text("go on")
        })
        .on_message(|app, message| {
            received += 1;
            println!("{received}: {message:?}");
            if given.is_none() && received == 9 { app.close() } else { Ok(()) }
        })
        .on_error(|_, error| eprintln!("error: {error:#}"))
        .on_close(|_, closed| match closed.reconnect {
            Some(delay) => println!("{closed}; connects again in {delay:?}"),
            None => println!("{closed}; that was all"),
        })
        .ping_interval(Duration::from_secs(20))
        .ping_timeout(Duration::from_secs(10))
        .reconnect(Reconnect::backoff());
    let handle = app.handle();
    let interrupted = app.handle();
    ctrlc::set_handler(move || drop(interrupted.close()))?; // Ctrl-C: run_forever returns
    if given.is_some() {
        thread::spawn(move || send_lines(&handle));
    }
    let closed = app.run_forever()?;
    println!("ended: {} {}", closed.code, closed.reason);
    Ok(())
}

/// Sends what is typed, from a thread of its own, and ends the run with the input.
fn send_lines(handle: &Handle) {
    for line in io::stdin().lines().map_while(Result::ok) {
        if let Err(error) = handle.send_text(&line) {
            eprintln!("not sent: {error:#}");
        }
    }
    handle.stop();
}

/// Serves one connection after the other on a port that is free, and returns the URL.
fn start_server() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("ws://{}/", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(WebSocket::accept(stream?).map_err(io::Error::other)?).map_err(io::Error::other)?;
        }
        io::Result::Ok(())
    });
    Ok(url)
}

/// Says three things when asked to go on, and hangs up.
fn serve(mut ws: WebSocket) -> websocket_sync::Result<()> {
    while let Ok(Message::Text(_)) = ws.recv() {
        for number in 1..=3 {
            ws.send_text(&format!("tick {number}"))?;
        }
        ws.close()?;
    }
    Ok(())
}
