//! What a connection takes of memory: nothing per message once it runs, and little while it is idle. How much a peer can make it
//! take is in `limits.rs`.
//!
//! The allocations of the thread that receives and sends are counted; those of a TLS library in C are not among them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::hint::black_box;
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use allocation_counter::{AllocationInfo, measure};
use websocket_sync::{ConnectOptions, Frame, MessageRef, Opcode, Result, TlsOptions, WebSocket};

use support::{Peer, bounded, frame, ms, open};
use tls_peer::{Authority, Validity};

/// The end of every feed.
const END: &str = "end of the feed";

/// A connection to a server that says `bytes` so many times, and then [`END`]. It says about 64 KiB at a time: behind small writes
/// the window would be given back and grow again, as their pace changes.
fn feed(bytes: Vec<u8>, times: usize) -> (WebSocket, support::Script<()>) {
    open(&ConnectOptions::new(), move |mut peer: Peer| {
        let (code, go) = peer.frame();
        assert_eq!((code, go.as_slice()), (0x81, &b"go"[..]));
        peer.repeat(&bytes, times).unwrap();
        peer.say(frame(0x81, END));
        peer.rest();
    })
}

/// Receives until the feed ends; how many messages that were.
fn receive(ws: &mut WebSocket) -> usize {
    let mut messages = 0;
    while ws.recv_ref().unwrap() != MessageRef::Text(END) {
        messages += 1;
    }
    messages
}

/// The allocations for the second half of a feed, after a first half to warm up.
fn receiving(bytes: &[u8], times: usize) -> (usize, AllocationInfo) {
    let (mut ws, script) = feed(bytes.to_vec(), times);
    ws.send_text("go").unwrap();
    for _ in 0..times / 2 {
        black_box(ws.recv_ref().unwrap());
    }
    let mut messages = 0;
    let info = measure(|| messages = receive(&mut ws));
    drop(ws);
    script.join();
    (messages, info)
}

#[test]
fn receiving_takes_no_memory_per_message() {
    bounded(60, || {
        let fragments: Vec<u8> = (0..8)
            .flat_map(|index| {
                let first = if index == 0 { 0x01 } else { 0x00 } | if index == 7 { 0x80 } else { 0 };
                frame(first, [b'f'; 64])
            })
            .collect();
        let streams: [(&str, Vec<u8>, usize); 6] = [
            ("16 B text", frame(0x81, [b'a'; 16]), 20_000),
            ("256 B text, not ASCII", frame(0x81, "\u{e9}".repeat(128)), 20_000),
            ("4 KiB binary", frame(0x82, [1; 4096]), 4000),
            ("eight fragments", fragments, 4000),
            ("a ping before each", [frame(0x89, "ping"), frame(0x81, "x")].concat(), 2000),
            ("1 MiB binary", frame(0x82, vec![7; 1 << 20]), 40),
        ];
        for (name, bytes, times) in streams {
            let (messages, info) = receiving(&bytes, times);
            assert_eq!(messages, times / 2, "{name}");
            // The window may still grow after the warm-up.
            assert!(info.count_total <= 4, "{name}: {info:?} for {messages} messages");
        }
    });
}

#[test]
fn sending_takes_no_memory_per_message() {
    bounded(60, || {
        let (ws, script) = open(&ConnectOptions::new(), |mut peer: Peer| peer.rest().len());
        let large = vec![7; 1 << 20];
        let text = "t".repeat(4096);
        let send_all = || {
            for _ in 0..100 {
                ws.send_text(&text[..64]).unwrap();
                ws.send_text(&text).unwrap();
                ws.ping("alive").unwrap();
            }
            for _ in 0..5 {
                ws.send_binary(&large).unwrap();
            }
        };
        let send_batch = || {
            let batch = |batch: &mut websocket_sync::Batch<'_>| {
                for _ in 0..5000 {
                    batch.send_text("tick")?;
                }
                Ok(())
            };
            ws.cork(batch).unwrap();
        };
        for sends in [&send_all as &dyn Fn(), &send_batch] {
            sends();
            // After some small frames the memory of large ones is given back; then it is taken once more.
            let info = measure(sends);
            assert!(info.count_total <= 8, "{info:?}");
        }
        drop(ws);
        assert!(script.join() > 10 << 20);
    });
}

#[test]
fn a_large_message_leaves_in_parts_however_it_is_sent() {
    bounded(60, || {
        let (ws, script) = open(&ConnectOptions::new(), |mut peer: Peer| peer.rest().len());
        let frame = Frame::new(Opcode::Binary, vec![7; 16 << 20]);
        let large = &frame.payload;
        let sends: [&dyn Fn() -> Result<usize>; 3] =
            [&|| ws.send_binary(large), &|| ws.send(large, Opcode::Binary), &|| ws.send_frame(&frame)];
        for send in sends {
            let info = measure(|| assert_eq!(send().unwrap(), 14 + large.len()));
            assert!(info.bytes_max < 1 << 20, "{info:?}");
        }
        drop(ws);
        assert!(script.join() > 3 * large.len());
    });
}

/// What is held after `exchange`, of what was taken for the connection and since.
fn held_after(connect: impl FnOnce() -> WebSocket, exchange: impl FnOnce(&mut WebSocket)) -> i64 {
    let mut ws = None;
    let info = measure(|| {
        let mut open = connect();
        exchange(&mut open);
        ws = Some(open);
    });
    drop(ws);
    info.bytes_current
}

fn exchange_small_messages(ws: &mut WebSocket) {
    for _ in 0..1000 {
        ws.send_text("a small message").unwrap();
        ws.recv_ref().unwrap();
    }
}

/// A server that echoes and, when it gets a text that begins with `burst`, says a lot of small things.
fn serve_echo(options: ConnectOptions) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let mut ws = options.accept(listener.accept().unwrap().0).unwrap();
        let sender = ws.sender();
        while let Ok(message) = ws.recv_ref() {
            let (text, times) = match message {
                MessageRef::Text("burst") => ("a small message", 100_000),
                MessageRef::Text(text) => (text, 1),
                MessageRef::Binary(_) => return,
            };
            let echo =
                |batch: &mut websocket_sync::Batch<'_>| (0..times).try_for_each(|_| batch.send_text(text).map(|_| ()));
            if sender.cork(echo).is_err() {
                return;
            }
        }
    });
    (port, server)
}

#[test]
fn an_idle_connection_holds_little() {
    bounded(60, || {
        let (port, server) = serve_echo(ConnectOptions::new());
        let connect = || ConnectOptions::new().connect(&format!("ws://127.0.0.1:{port}/")).unwrap();
        let held = held_after(connect, exchange_small_messages);
        assert!(held <= 12 * 1024, "{held} bytes");
        server.join().unwrap();
    });
}

#[test]
fn what_a_burst_has_taken_is_given_back_to_who_waits() {
    bounded(60, || {
        let (port, server) = serve_echo(ConnectOptions::new());
        let connect = || ConnectOptions::new().connect(&format!("ws://127.0.0.1:{port}/")).unwrap();
        let held = held_after(connect, |ws| {
            ws.send_text("burst").unwrap();
            for _ in 0..100_000 {
                ws.recv_ref().unwrap();
            }
            assert!(ws.recv_timeout(ms(1500)).unwrap_err().is_timeout());
        });
        assert!(held <= 12 * 1024, "{held} bytes");
        server.join().unwrap();
    });
}

/// The same as [`serve_echo`] over TLS, and what connects to it.
fn serve_echo_over_tls(tls: TlsOptions) -> (impl Fn() -> WebSocket, JoinHandle<()>) {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    #[cfg(feature = "native-tls")]
    let serving = TlsOptions::new().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv12));
    #[cfg(not(feature = "native-tls"))]
    let serving = TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS12));
    let (port, server) = serve_echo(ConnectOptions::new().tls(serving));
    let options = ConnectOptions::new().tls(tls.ca_certs_pem(&authority.pem));
    let connect = move || {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        options.connect_over(stream, "wss://localhost/").unwrap()
    };
    (connect, server)
}

/// OpenSSL takes its memory from the C library, past Rust's allocator, so that what is counted is ours. Schannel's half is
/// written in Rust.
#[cfg(all(not(windows), feature = "native-tls"))]
#[test]
fn over_tls_nothing_of_ours_is_taken_per_message() {
    bounded(60, || {
        let (connect, server) = serve_echo_over_tls(TlsOptions::new());
        let mut ws = connect();
        let texts = ["a small message".to_owned(), "t".repeat(4096), "l".repeat(100_000)];
        for text in texts {
            let mut exchange = || {
                for _ in 0..100 {
                    ws.send_text(&text).unwrap();
                    assert_eq!(ws.recv_ref().unwrap().as_bytes().len(), text.len());
                }
            };
            exchange();
            let info = measure(exchange);
            assert_eq!(info.count_total, 0, "{} bytes: {info:?}", text.len());
        }
        drop(ws);
        server.join().unwrap();
    });
}

/// Sends a text and receives its echo, and never waits but for the socket's sake.
#[cfg(all(not(windows), feature = "native-tls"))]
fn exchange_without_waiting(ws: &mut WebSocket, text: &str) {
    ws.try_send_text(text).unwrap();
    loop {
        match ws.try_recv_ref().unwrap() {
            Some(message) => return assert_eq!(message.as_bytes().len(), text.len()),
            None => thread::yield_now(),
        }
        ws.try_flush().unwrap();
    }
}

#[cfg(all(not(windows), feature = "native-tls"))]
#[test]
fn without_waiting_nothing_is_taken_per_message_either() {
    bounded(60, || {
        let (port, server) = serve_echo(ConnectOptions::new());
        let plain = ConnectOptions::new().connect(&format!("ws://127.0.0.1:{port}/")).unwrap();
        let (connect, tls_server) = serve_echo_over_tls(TlsOptions::new());
        for mut ws in [plain, connect()] {
            for text in ["a small message".to_owned(), "t".repeat(4096), "l".repeat(100_000)] {
                let mut exchange = || (0..100).for_each(|_| exchange_without_waiting(&mut ws, &text));
                exchange();
                let info = measure(exchange);
                assert!(info.count_total <= 4, "{} bytes, TLS {}: {info:?}", text.len(), ws.is_ssl());
            }
        }
        server.join().unwrap();
        tls_server.join().unwrap();
    });
}

/// Rustls has no way to decrypt into memory that is there, nor to encrypt into it: one allocation for each record, sent
/// or received. Ours are none.
#[cfg(feature = "rustls")]
#[test]
fn with_rustls_nothing_but_its_own_is_taken_per_record() {
    bounded(60, || {
        let (connect, server) = serve_echo_over_tls(TlsOptions::new().backend(websocket_sync::TlsBackend::Rustls));
        let mut ws = connect();
        for (length, records) in [(15, 1), (4096, 1), (100_000, 7)] {
            let text = "t".repeat(length);
            let mut exchange = || {
                for _ in 0..100 {
                    ws.send_text(&text).unwrap();
                    assert_eq!(ws.recv_ref().unwrap().as_bytes().len(), length);
                }
            };
            exchange();
            let info = measure(exchange);
            assert!(info.count_total <= 100 * 2 * records, "{length} bytes: {info:?}");
        }
        drop(ws);
        server.join().unwrap();
    });
}

#[cfg(feature = "rustls")]
#[test]
fn with_rustls_an_idle_connection_holds_little() {
    bounded(60, || {
        // The system's authorities are held once, by the options.
        let tls = TlsOptions::new().backend(websocket_sync::TlsBackend::Rustls);
        let (connect, server) = serve_echo_over_tls(tls.system_roots(websocket_sync::SystemRoots::Excluded));
        let held = held_after(connect, exchange_small_messages);
        assert!(held <= (12 + 24) * 1024, "{held} bytes");
        server.join().unwrap();
    });
}

#[cfg(feature = "native-tls")]
#[test]
fn tls_adds_little_of_ours() {
    bounded(60, || {
        let (connect, server) = serve_echo_over_tls(TlsOptions::new());
        let held = held_after(connect, exchange_small_messages);
        assert!(held <= (12 + 24) * 1024, "{held} bytes");
        server.join().unwrap();
    });
}

/// A buffer that grows is counted twice while its bytes move, half of them at most.
#[test]
fn a_message_that_grows_takes_no_more_than_half_of_it_in_addition() {
    const LIMIT: usize = 8 << 20;
    bounded(60, || {
        let options = ConnectOptions::new().max_message_size(LIMIT).max_frame_size(LIMIT);
        let info = measure(|| {
            let (mut ws, script) = open(&options, |mut peer: Peer| {
                for first in [0x81, 0x82] {
                    peer.say(frame(first, vec![b'x'; LIMIT]));
                    peer.say(frame(first & 0x0F, vec![b'x'; LIMIT / 3]));
                    peer.say(frame(0x00, vec![b'x'; LIMIT / 2]));
                    peer.say(frame(0x80, vec![b'x'; LIMIT / 7]));
                }
                peer.say(frame(0x81, END));
                peer.rest();
            });
            assert_eq!(receive(&mut ws), 4);
            drop(ws);
            script.join();
        });
        assert!(info.bytes_max <= (LIMIT + LIMIT / 2 + (1 << 20)) as u64, "{info:?}");
    });
}
