//! Tests of the whole room: streams against peers that are real, slow, hostile or broken.

#![cfg_attr(
    not(any(feature = "native-tls", feature = "rustls")),
    allow(dead_code, unused_imports, reason = "what tests of TLS need is unused in a build without TLS")
)]

#[macro_use]
#[path = "../../../tests/support/backends.rs"]
mod backends;
#[path = "../../../tests/support/cases.rs"]
pub(crate) mod cases;
mod duplex;
mod faults;
mod openssl;
#[cfg(shuttle)]
pub(crate) mod pipe;
mod places;
mod records;
mod sockets;
mod stalls;
#[cfg(all(target_os = "linux", not(shuttle), any(feature = "native-tls", feature = "rustls")))]
mod system_calls;
mod tls;
#[path = "../../../tests/support/tls_peer.rs"]
pub(crate) mod tls_peer;

use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::tls_peer::{Authority, Validity};
use super::connect::Dialer;
use super::deadline::Deadline;
use super::layer::Layer;
use super::send_timer::SendDeadline;
use super::stream::Stream;
use super::tls::{self as net_tls, TlsEnd};
use super::wait_mode::{WaitMode, block_on};
use crate::error::Result;
use crate::options::{ConnectOptions, TlsOptions};
use crate::timings::Timings;
use crate::trace::Tracer;
use crate::url::Target;

/// Far more than anything here takes, so that what hangs fails.
const LONG: Duration = Duration::from_secs(30);

fn soon(ms: u64) -> Deadline {
    Deadline::after(Some(Duration::from_millis(ms)))
}

fn long() -> Deadline {
    Deadline::after(Some(LONG))
}

/// Connects to a server, and says how long that took.
fn dial(target: &Target, options: &ConnectOptions, deadline: Deadline) -> Result<(Stream, Timings)> {
    let mode = WaitMode::Blocking;
    let mut dialer = Dialer::new(options, &mode, deadline, Tracer::new());
    let stream = block_on(dialer.dial(target))?;
    Ok((stream, dialer.timings()))
}

/// Speaks TLS as a client.
fn connect_tls(below: Stream, options: &TlsOptions, host: &str, deadline: Deadline) -> Result<Stream> {
    block_on(net_tls::connect(&WaitMode::Blocking, below, options, TlsEnd::Peer, host, deadline))
}

/// Speaks TLS as a server.
fn accept_tls(below: Stream, options: &TlsOptions, deadline: Deadline) -> Result<Stream> {
    block_on(net_tls::accept(&WaitMode::Blocking, below, options, deadline))
}

fn patient() -> SendDeadline {
    SendDeadline::until(long())
}

/// A call that must last so many milliseconds, and at most 100 more. What this machine is late by is no fault of the crate's: a thread
/// beside it measures that.
#[track_caller]
pub(super) fn lasts<T>(ms: u64, call: impl FnOnce() -> T) -> T {
    let (length, nap) = (Duration::from_millis(ms), Duration::from_millis(2));
    let done = AtomicBool::new(false);
    let (result, took, late) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            while !done.load(Ordering::Acquire) {
                let start = Instant::now();
                thread::sleep(nap);
                worst = worst.max(start.elapsed() - nap);
            }
            worst
        });
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(call));
        let took = start.elapsed();
        done.store(true, Ordering::Release);
        (result, took, watch.join().unwrap())
    });
    let result = result.unwrap_or_else(|panic| resume_unwind(panic));
    assert!(took >= length && took < length + Duration::from_millis(100) + 3 * late, "{took:?}, {late:?} late");
    result
}

/// A connection over loopback: ours, and the peer's.
fn tcp_pair() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    for socket in [&ours, &theirs] {
        socket.set_nodelay(true).unwrap();
    }
    theirs.set_read_timeout(Some(LONG)).unwrap();
    theirs.set_write_timeout(Some(LONG)).unwrap();
    (Stream::from(<Box<dyn super::transport::Transport>>::from(ours)), theirs)
}

/// Listens on loopback and serves one connection on a thread of its own.
fn serve<T: Send + 'static>(serve: impl FnOnce(TcpStream) -> T + Send + 'static) -> (u16, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(LONG)).unwrap();
        socket.set_write_timeout(Some(LONG)).unwrap();
        serve(socket)
    });
    (port, server)
}

fn read_exact(stream: &Stream, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    let mut filled = 0;
    while filled < n {
        match stream.read(&mut bytes[filled..], long()).unwrap() {
            0 => panic!("ended after {filled} of {n} bytes"),
            read => filled += read,
        }
    }
    bytes
}

/// Bytes that are different everywhere.
fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
}
