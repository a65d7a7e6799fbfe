//! What is asked of a server of the interop tests about compression.

use std::time::Duration;

use websocket_sync::{DeflateOptions, Message, Result};

use super::list::{Peer, Test};

pub(crate) const TESTS: [Test; 4] = [
    ("both windows are kept", |peer| every_size(peer, DeflateOptions::new())),
    ("the server's window is not", |peer| every_size(peer, DeflateOptions::new().server_no_context_takeover())),
    ("the client's window is not", |peer| every_size(peer, DeflateOptions::new().client_no_context_takeover())),
    ("neither is", |peer| {
        every_size(peer, DeflateOptions::new().server_no_context_takeover().client_no_context_takeover())
    }),
];

/// Messages on each connection.
const MESSAGES: usize = 200;

/// Echoes messages over a connection for each pair of sizes of the windows.
fn every_size(peer: &Peer, deflate: DeflateOptions) -> Result<()> {
    let messages: Vec<Message> = (0..MESSAGES).map(message).collect();
    for server in 9..=15 {
        for client in 9..=15 {
            let deflate = deflate.server_max_window_bits(server).client_max_window_bits(client).threshold(0);
            let options = peer.options.clone().deflate(deflate).timeout(Duration::from_secs(20));
            let mut ws = options.connect(&peer.url)?;
            let agreed = ws.deflate().expect("compression is agreed upon");
            assert!(agreed.server_max_window_bits <= server && agreed.client_max_window_bits <= client);
            ws.send_text("echo")?;
            for message in &messages {
                match message {
                    Message::Text(text) => ws.send_text(text)?,
                    Message::Binary(bytes) => ws.send_binary(bytes)?,
                };
                assert!(ws.recv()? == *message, "{} bytes come back changed", message.as_bytes().len());
            }
            ws.close()?;
        }
    }
    Ok(())
}

/// Of one message in four nothing can be compressed; the others are text of every size, and each is like the ones before.
fn message(number: usize) -> Message {
    let size = [0, 1, 20, 300, 300, 300, 4000, 20_000][number % 8];
    if number % 4 == 3 {
        let mut state = number as u32 | 1;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 9) as u8
        });
        return Message::Binary(noise.take(size).collect());
    }
    let ticks = (0..).map(|tick| format!("{{\"price\":{},\"size\":{}}},", number * 7 + tick, tick % 13));
    let mut text = String::new();
    for tick in ticks {
        if text.len() >= size {
            break;
        }
        text.push_str(&tick);
    }
    text.truncate(size);
    Message::Text(text)
}
