//! The program `wsdump`: how soon it is there, and how much passes through it beside what the library alone does.
//!
//! `cargo bench --bench wsdump --all-features` prints milliseconds, and GiB/s for a gibibyte in messages of 64 KiB over loopback. The
//! server is the same in each pair, in this process.

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use websocket_sync::{CloseCode, ConnectOptions, WebSocket, create_connection};

const TOTAL: usize = 1 << 30;
const MESSAGE: usize = 64 * 1024;
/// How often each figure is taken; the best one counts.
const ROUNDS: usize = 5;

fn main() {
    println!("start-up: {:.2} ms to say its version", millis(best(|| run(&["--version"]))));
    println!("start-up: {:.2} ms to connect, send a line, get it back and close", millis(best(line)));
    let (alone, piped, discarded) = (best(receive), best(receive_through_pipe), best(receive_to_nothing));
    println!("receiving: library {:.2} GiB/s", rate(alone));
    println!("receiving: wsdump into a pipe {:.2} GiB/s, {:.2} of the library", rate(piped), share(alone, piped));
    println!(
        "receiving: wsdump to /dev/null {:.2} GiB/s, {:.2} of the library",
        rate(discarded),
        share(alone, discarded)
    );
    let (alone, piped, file) = (best(send), best(send_from_pipe), best(send_from_file));
    println!("sending: library {:.2} GiB/s", rate(alone));
    println!("sending: wsdump from a pipe {:.2} GiB/s, {:.2} of the library", rate(piped), share(alone, piped));
    println!("sending: wsdump from a file of zeros {:.2} GiB/s, {:.2} of the library", rate(file), share(alone, file));
}

fn best(mut measure: impl FnMut() -> Duration) -> Duration {
    (0..ROUNDS).map(|_| measure()).min().unwrap()
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn rate(time: Duration) -> f64 {
    TOTAL as f64 / (1u64 << 30) as f64 / time.as_secs_f64()
}

fn share(alone: Duration, through: Duration) -> f64 {
    alone.as_secs_f64() / through.as_secs_f64()
}

fn wsdump(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wsdump"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Duration {
    let began = Instant::now();
    assert!(wsdump(arguments).status().unwrap().success());
    began.elapsed()
}

/// Serves one connection.
fn serve(serve: impl FnOnce(WebSocket) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || serve(ConnectOptions::new().accept(listener.accept().unwrap().0).unwrap()));
    (url, server)
}

fn line() -> Duration {
    let (url, server) = serve(|mut ws| {
        while let Ok(message) = ws.recv() {
            ws.send_text(str::from_utf8(message.as_bytes()).unwrap()).unwrap();
        }
    });
    let began = Instant::now();
    let mut child = wsdump(&["-r", "--max-messages", "1", &url]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"hello\n").unwrap();
    assert!(child.wait().unwrap().success());
    let took = began.elapsed();
    server.join().unwrap();
    took
}

/// A server that sends everything, and closes.
fn source() -> (String, JoinHandle<()>) {
    serve(|mut ws| {
        let message = vec![7; MESSAGE];
        for _ in 0..TOTAL / MESSAGE {
            ws.send_binary(&message).unwrap();
        }
        ws.send_close(CloseCode::NORMAL, "").unwrap();
        while ws.recv_ref().is_ok() {}
    })
}

fn receive() -> Duration {
    let (url, server) = source();
    let began = Instant::now();
    let mut ws = create_connection(&url).unwrap();
    let mut received = 0;
    while let Ok(message) = ws.recv_ref() {
        received += message.as_bytes().len();
    }
    let took = began.elapsed();
    assert_eq!(received, TOTAL);
    server.join().unwrap();
    took
}

fn receive_through_pipe() -> Duration {
    let (url, server) = source();
    let began = Instant::now();
    let mut child = wsdump(&["-rb", "--no-input", &url]).stdout(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdout.take().unwrap();
    let (mut piece, mut received) = (vec![0; MESSAGE], 0);
    loop {
        match pipe.read(&mut piece).unwrap() {
            0 => break,
            length => received += length,
        }
    }
    assert!(child.wait().unwrap().success());
    let took = began.elapsed();
    assert_eq!(received, TOTAL);
    server.join().unwrap();
    took
}

fn receive_to_nothing() -> Duration {
    let (url, server) = source();
    let took = run(&["-rb", "--no-input", &url]);
    server.join().unwrap();
    took
}

/// A server that takes everything.
fn sink() -> (String, JoinHandle<()>) {
    serve(|mut ws| {
        let mut received = 0;
        while let Ok(message) = ws.recv_ref() {
            received += message.as_bytes().len();
        }
        assert_eq!(received, TOTAL);
    })
}

fn send() -> Duration {
    let (url, server) = sink();
    let message = vec![0; MESSAGE];
    let began = Instant::now();
    let ws = create_connection(&url).unwrap();
    for _ in 0..TOTAL / MESSAGE {
        ws.send_binary(&message).unwrap();
    }
    ws.close().unwrap();
    server.join().unwrap();
    began.elapsed()
}

fn send_from_pipe() -> Duration {
    let (url, server) = sink();
    let began = Instant::now();
    let mut child = wsdump(&["-rb", "--eof-wait", "0", &url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let piece = vec![0; MESSAGE];
    for _ in 0..TOTAL / MESSAGE {
        pipe.write_all(&piece).unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success());
    server.join().unwrap();
    began.elapsed()
}

fn send_from_file() -> Duration {
    let (url, server) = sink();
    // As much of it as is wanted, at no cost.
    let path = std::env::temp_dir().join(format!("wsdump-bench-{}", std::process::id()));
    File::create(&path).unwrap().set_len(TOTAL as u64).unwrap();
    let began = Instant::now();
    let status = wsdump(&["-rb", "--eof-wait", "0", &url]).stdin(File::open(&path).unwrap()).status().unwrap();
    assert!(status.success());
    server.join().unwrap();
    let took = began.elapsed();
    std::fs::remove_file(path).unwrap();
    took
}
