//! How many system calls a message costs, counted below TLS: `cargo test --test system_calls -- --nocapture` prints it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use websocket_sync::{ConnectOptions, Interest, MessageRef, TlsOptions, Transport, WebSocket};

use tls_peer::{Authority, Validity};

const MESSAGES: usize = 100_000;

/// A socket that counts what is asked of it.
#[derive(Debug)]
struct Counting {
    socket: Box<dyn Transport>,
    calls: Arc<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    reads: AtomicUsize,
    writes: AtomicUsize,
    /// Waits before a read or a write.
    waits: AtomicUsize,
}

impl Transport for Counting {
    fn read(&self, buf: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.calls.reads.fetch_add(1, Ordering::Relaxed);
        self.socket.read(buf, deadline)
    }

    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.calls.reads.fetch_add(1, Ordering::Relaxed);
        self.socket.try_read(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.calls.writes.fetch_add(1, Ordering::Relaxed);
        self.socket.try_write(buf)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.calls.waits.fetch_add(1, Ordering::Relaxed);
        self.socket.wait(interest, deadline)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }
}

/// A server that says a lot of small things in a burst once it is asked to, and then hears as many.
fn serve(options: ConnectOptions) -> (TcpStream, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let server = thread::spawn(move || {
        let mut ws = options.accept(listener.accept().unwrap().0).unwrap();
        ws.recv_ref().unwrap();
        ws.cork(|batch| (0..MESSAGES).try_for_each(|_| batch.send_text("a small message").map(drop))).unwrap();
        while ws.recv_ref().is_ok() {}
    });
    (client, server)
}

impl Calls {
    fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed) + self.waits.load(Ordering::Relaxed)
    }

    fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed) + self.waits.load(Ordering::Relaxed)
    }
}

/// Reads for each message of a burst, writes for each message sent by itself, and writes for each of a batch; waits are counted with
/// them.
fn calls_per_message(url: &str, options: &ConnectOptions, server: ConnectOptions) -> [f64; 3] {
    let (socket, server) = serve(server);
    let calls = Arc::new(Calls::default());
    let transport = Counting { socket: socket.into(), calls: Arc::clone(&calls) };
    let mut ws: WebSocket = options.connect_over(transport, url).unwrap();
    ws.send_text("go").unwrap();
    // The server is ahead of who reads, as in a burst.
    thread::sleep(Duration::from_millis(200));
    let before = calls.reads();
    for _ in 0..MESSAGES {
        assert_eq!(ws.recv_ref().unwrap(), MessageRef::Text("a small message"));
    }
    let reads = calls.reads() - before;
    let writes = |sends: &dyn Fn()| {
        let before = calls.writes();
        sends();
        calls.writes() - before
    };
    let single = writes(&|| {
        for _ in 0..1000 {
            ws.send_text("tick").unwrap();
        }
    });
    let batched =
        writes(&|| ws.cork(|batch| (0..MESSAGES).try_for_each(|_| batch.send_text("tick").map(drop))).unwrap());
    drop(ws);
    server.join().unwrap();
    [reads as f64 / MESSAGES as f64, single as f64 / 1000.0, batched as f64 / MESSAGES as f64]
}

fn judge(name: &str, [read, single, batched]: [f64; 3]) {
    println!(
        "{name}: {read:.4} reads per message of a burst, {single:.3} writes per message sent, {batched:.4} in a batch"
    );
    assert!(read < 0.01, "{name}: {read} reads per message");
    assert!((1.0..1.01).contains(&single), "{name}: {single} writes per message");
    assert!(batched < 0.01, "{name}: {batched} writes per message");
}

#[test]
fn a_small_message_of_a_burst_costs_a_hundredth_of_a_system_call_at_most() {
    judge("ws", calls_per_message("ws://localhost/", &ConnectOptions::new(), ConnectOptions::new()));
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    #[cfg(feature = "native-tls")]
    let serving = TlsOptions::new().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv12));
    #[cfg(not(feature = "native-tls"))]
    let serving = TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS12));
    let client = ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem(&authority.pem));
    let server = ConnectOptions::new().tls(serving);
    judge("wss", calls_per_message("wss://localhost/", &client, server));
}
