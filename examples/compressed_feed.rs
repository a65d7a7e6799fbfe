//! A feed of prices, compressed, and who reads it: how much goes over the wire with a window that is kept from one message to
//! the next, with one that is not, and without compression.
//!
//! ```sh
//! cargo run --features deflate --example compressed_feed
//! ```

use std::net::{SocketAddr, TcpListener};
use std::thread;

use websocket_sync::{ConnectOptions, DeflateOptions, MessageRef, Result};

const TICKS: usize = 10_000;

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let kept = DeflateOptions::new();
    let alone = kept.server_no_context_takeover().threshold(0);
    for (name, options) in [
        ("window kept", ConnectOptions::new().deflate(kept)),
        ("each message by itself", ConnectOptions::new().deflate(alone)),
        ("as it is", ConnectOptions::new()),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = thread::spawn({
            let options = options.clone();
            move || feed(&listener, &options)
        });
        let received = read(address, &options)?;
        let sent = server.join().expect("the feed does not panic")?;
        println!("{name}: {sent} bytes sent for {received} bytes of text");
    }
    Ok(())
}

/// Sends the ticks to one client; returns the bytes that went over the wire.
fn feed(listener: &TcpListener, options: &ConnectOptions) -> Result<usize> {
    let (stream, _) = listener.accept()?;
    let mut ws = options.accept(stream)?;
    let mut sent = 0;
    for tick in 0..TICKS {
        let (price, time) = (6_400_000 + tick * 7 % 5000, 1_700_000_000_000_u64 + tick as u64 * 13);
        sent += ws.send_text(&format!(
            r#"{{"event":"trade","symbol":"BTCUSDT","price":"{}.{:02}","quantity":"0.{:04}","time":{time},"maker":{}}}"#,
            price / 100,
            price % 100,
            tick * 31 % 10_000,
            tick % 3 == 0,
        ))?;
    }
    ws.send_text("end")?;
    // The client closes; that is what ends this.
    let _ = ws.recv();
    Ok(sent)
}

/// Reads until the end; returns the bytes of text. What is inflated lies in the connection's buffer and is not copied.
fn read(address: SocketAddr, options: &ConnectOptions) -> Result<usize> {
    let mut ws = options.connect(&format!("ws://{address}/"))?;
    let mut received = 0;
    while let MessageRef::Text(tick) = ws.recv_ref()? {
        if tick == "end" {
            break;
        }
        received += tick.len();
    }
    ws.close()?;
    Ok(received)
}
