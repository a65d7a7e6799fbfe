//! The TLS backends beside each other: the same records from the same server, one run, in turns.
//!
//! ```text
//! cargo bench -p websocket-sync-tungstenite --features rustls --bench tls_backends             # all of it
//! cargo bench -p websocket-sync-tungstenite --features rustls --bench tls_backends -- --quick  # enough to see that it works
//! ```
//!
//! A line says what a message costs with rustls and with native-tls, and the ratio: the median of the ratios of the single
//! rounds, with the quartiles. The cost is the time of the client's thread on the processor. Both speak TLS 1.3 with
//! `TLS_AES_256_GCM_SHA384`.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

mod server;
#[path = "../../../support/tls_peer.rs"]
mod tls_peer;

use std::env;
use std::hint::black_box;
use std::net::TcpStream;

use websocket_sync::{ConnectOptions, TlsBackend, TlsOptions, WebSocket};
use websocket_sync_tungstenite::clock::{Cost, cost_of};
use websocket_sync_tungstenite::rounds::{Clock, Contender, Contenders, Plan, compare};

use crate::server::{Order, Server};

/// What the project wants the first ratio to be.
const TARGET: f64 = 0.6;

fn main() {
    // `cargo test --benches` has no use for this.
    if !env::args().any(|argument| argument == "--bench") {
        return;
    }
    let plan = if env::args().any(|argument| argument == "--quick") { Plan::QUICK } else { Plan::FULL };
    println!("{:<32} {:>9} {:>11}   ratio (quartiles)", "", "rustls", "native-tls");
    for (size, messages) in [(100, 40_000), (1024, 20_000), (16 * 1024 - 8, 4000)] {
        let target = if size == 100 { format!(", target {TARGET}") } else { String::new() };
        let name = format!("recv_ref, records of {size} B");
        line(&name, &target, size, messages, plan, receive);
    }
    for (size, messages) in [(100, 20_000), (16 * 1024 - 16, 2000)] {
        line(&format!("send, records of {size} B"), "", size, messages, plan, send);
    }
}

/// What the client does with its server.
type Work = fn(&Server, &mut WebSocket, size: usize, messages: usize) -> Cost;

fn line(name: &str, target: &str, size: usize, messages: usize, plan: Plan, work: Work) {
    let messages = plan.messages(messages);
    let ours = contender(TlsBackend::Rustls, size, messages, work);
    let theirs = contender(TlsBackend::NativeTls, size, messages, work);
    let outcome = compare(Contenders { ours, theirs, floor: None, messages }, plan, Clock::Cpu);
    let [low, median, high] = outcome.ratio;
    let (rustls, native) = (outcome.ours, outcome.theirs);
    println!("{name:<32} {rustls:>6.0} ns {native:>8.0} ns   {median:.2} ({low:.2} to {high:.2}){target}");
}

fn contender(backend: TlsBackend, size: usize, messages: usize, work: Work) -> Contender<'static> {
    let server = Server::start();
    let tls = TlsOptions::new().backend(backend).ca_certs_pem(&server.authority);
    let stream = TcpStream::connect(server.address).unwrap();
    let mut ws = ConnectOptions::new().tls(tls).connect_over(stream, "wss://localhost/").unwrap();
    Box::new(move || work(&server, &mut ws, size, messages))
}

fn receive(server: &Server, ws: &mut WebSocket, size: usize, messages: usize) -> Cost {
    server.order(Order::Feed { size, messages });
    cost_of(|| {
        for _ in 0..messages {
            assert_eq!(black_box(ws.recv_ref().unwrap().as_bytes()).len(), size);
        }
    })
}

fn send(server: &Server, ws: &mut WebSocket, size: usize, messages: usize) -> Cost {
    let message = vec![b'x'; size];
    server.order(Order::Drain { size, messages });
    cost_of(|| {
        for _ in 0..messages {
            ws.send_binary(&message).unwrap();
        }
    })
}
