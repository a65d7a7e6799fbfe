//! What it costs to be called back: an app beside a bare `recv_ref` loop over the same messages, which lie in memory.
//!
//! ```text
//! cargo bench --bench dispatch
//! ```
//!
//! Both do the same with a message, in one run and in turns; what is printed is the median of the rounds. The target is from the
//! project's plan: at most 15 ns per message.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

use std::hint::black_box;
use std::io;
use std::net::Shutdown;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use websocket_sync::protocol::handshake::accept_for;
use websocket_sync::{ConnectOptions, Error, Interest, MessageRef, Transport, WebSocketApp};

const MESSAGES: usize = 1_000_000;
const ROUNDS: usize = 25;
const TARGET: f64 = 15.0;

/// A server in memory: answers the handshake, says all messages of 64 bytes, and closes.
#[derive(Debug)]
struct Tape(Mutex<State>);

#[derive(Debug)]
struct State {
    answer: Vec<u8>,
    /// Many messages in a row.
    burst: Vec<u8>,
    /// How much of the present burst was read.
    position: usize,
    bursts: usize,
}

impl Tape {
    const BURST: usize = 1000;

    fn new() -> Self {
        let message = [&b"\x81\x40"[..], &[b'x'; 64]].concat();
        let state = State {
            answer: Vec::new(),
            burst: message.repeat(Self::BURST),
            position: 0,
            bursts: MESSAGES / Self::BURST,
        };
        Self(Mutex::new(state))
    }
}

impl Transport for Tape {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { answer, burst, position, bursts } = &mut *state;
        if !answer.is_empty() {
            buf[..answer.len()].copy_from_slice(answer);
            return Ok(std::mem::take(answer).len());
        }
        if *bursts == 0 {
            let close = b"\x88\x02\x03\xe8";
            buf[..close.len()].copy_from_slice(close);
            return Ok(close.len());
        }
        let rest = &burst[*position..];
        let length = rest.len().min(buf.len());
        buf[..length].copy_from_slice(&rest[..length]);
        *position += length;
        if *position == burst.len() {
            *position = 0;
            *bursts -= 1;
        }
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if let Some(key) = std::str::from_utf8(buf).ok().and_then(|head| head.split("Sec-WebSocket-Key: ").nth(1)) {
            let accept = accept_for(key.lines().next().unwrap());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \
                 {accept}\r\n\r\n"
            );
            self.0.lock().unwrap_or_else(PoisonError::into_inner).answer = answer.into_bytes();
        }
        Ok(buf.len())
    }

    fn wait(&self, _: Interest, _: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

fn length(message: MessageRef<'_>) -> usize {
    black_box(message).as_bytes().len()
}

/// Seconds for all messages in a loop.
fn bare() -> f64 {
    let mut ws =
        ConnectOptions::new().close_timeout(Duration::from_millis(1)).connect_over(Tape::new(), "ws://tape/").unwrap();
    let mut bytes = 0;
    let start = Instant::now();
    loop {
        match ws.recv_ref() {
            Ok(message) => bytes += length(message),
            Err(Error::Closed(_)) => break,
            Err(error) => panic!("{error}"),
        }
    }
    finished(start, bytes)
}

/// The same through callbacks.
fn called_back(ping_interval: Duration) -> f64 {
    let mut bytes = 0;
    let mut start = Instant::now();
    let mut app = WebSocketApp::new("ws://tape/")
        .ping_interval(ping_interval)
        .ping_timeout(Duration::from_secs(3600))
        .options(ConnectOptions::new().close_timeout(Duration::from_millis(1)))
        .connect_with(|_, options| options.connect_over(Tape::new(), "ws://tape/"))
        .on_open(|_| start = Instant::now())
        .on_message(|_, message| bytes += length(message));
    app.run_forever().unwrap();
    drop(app);
    finished(start, bytes)
}

fn finished(start: Instant, bytes: usize) -> f64 {
    let took = start.elapsed().as_secs_f64();
    assert_eq!(bytes, MESSAGES * 64);
    took
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let nanos = |seconds: f64| seconds * 1e9 / MESSAGES as f64;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        // With pings that are never due, or with none.
        let [silent, pinging] = [Duration::ZERO, Duration::from_secs(3600)].map(called_back);
        rounds.push((nanos(bare()), nanos(silent), nanos(pinging)));
    }
    let of = |pick: fn(&(f64, f64, f64)) -> f64| median(rounds.iter().map(pick).collect());
    println!("recv_ref in a loop          {:6.1} ns", of(|round| round.0));
    println!("on_message                  {:6.1} ns", of(|round| round.1));
    println!("on_message, with keepalive  {:6.1} ns", of(|round| round.2));
    let added = of(|round| round.1 - round.0);
    println!("added by callbacks          {added:6.1} ns, target {TARGET} ns");
    if added <= TARGET { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
