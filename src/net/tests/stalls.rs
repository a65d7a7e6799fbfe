//! How long a send may go without a byte leaving: once, whatever happens meanwhile, and through every layer.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::backends::backends;
use super::tls_peer::{VERSIONS, accept};
use super::{Authority, Validity, long, patient, pattern};
use crate::net::deadline::{Deadline, SendDeadline};
use crate::net::stream::{Stream, WriteError};
use crate::net::tls;
use crate::net::transport::{Interest, Transport};

const MS: Duration = Duration::from_millis(1);
const HUGE: usize = 64 << 20;

/// A socket that can be stalled: then it takes nothing, and signals come while it is waited for.
#[derive(Debug)]
struct Stalling {
    inner: Box<dyn Transport>,
    stalled: Arc<AtomicBool>,
}

impl Transport for Stalling {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buf)
    }
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if self.stalled.load(Ordering::Relaxed) { Err(ErrorKind::WouldBlock.into()) } else { self.inner.try_write(buf) }
    }
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        if interest == Interest::Read || !self.stalled.load(Ordering::Relaxed) {
            return self.inner.wait(interest, deadline);
        }
        thread::sleep(7 * MS);
        Err(ErrorKind::Interrupted.into())
    }
    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.shutdown(how)
    }
}

/// Streams of each kind, TLS in TLS too, to a peer that reads nothing.
fn each_kind(test: impl Fn(Stream, &AtomicBool)) {
    let (stream, stalled, _theirs) = stalling();
    test(stream, &stalled);
    let authority = Authority::new();
    for tls in backends() {
        let tls = tls.ca_certs_pem(&authority.pem);
        for version in VERSIONS {
            for layers in [1, 2] {
                let (mut stream, stalled, theirs) = stalling();
                let config = authority.leaf("localhost", Validity::Now).server(version);
                let server = thread::spawn(move || {
                    let outer = accept(Arc::clone(&config), theirs).unwrap();
                    match layers {
                        1 => Box::new(outer) as Box<dyn Send>,
                        _ => Box::new(accept(config, outer).unwrap()),
                    }
                });
                for _ in 0..layers {
                    stream = tls::connect(stream, &tls, "localhost", long()).unwrap();
                }
                let _peer = server.join().unwrap();
                test(stream, &stalled);
            }
        }
    }
}

fn stalling() -> (Stream, Arc<AtomicBool>, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inner = TcpStream::connect(listener.local_addr().unwrap()).unwrap().into();
    let stalled = Arc::default();
    let transport = Stalling { inner, stalled: Arc::clone(&stalled) };
    (Stream::from(<Box<dyn Transport>>::from(transport)), stalled, listener.accept().unwrap().0)
}

/// A send that times out after so many milliseconds.
#[track_caller]
fn times_out(ms: u128, send: impl FnOnce() -> Result<(), WriteError>) -> usize {
    let start = Instant::now();
    let failed = send().unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
    assert!((ms..ms + 150).contains(&start.elapsed().as_millis()), "{:?} for {ms} ms", start.elapsed());
    failed.taken
}

#[test]
fn signals_do_not_begin_the_time_of_a_stall_anew() {
    each_kind(|stream, stalled| {
        stalled.store(true, Ordering::Relaxed);
        let deadline = SendDeadline::while_progressing(200 * MS);
        times_out(200, || stream.write_all(&[7; 100], deadline));
        assert_eq!(stream.has_output(), stream.is_tls());
        assert_eq!(stream.output_len() > 0, stream.is_tls());
        times_out(200, || stream.flush(deadline).map_or_else(fail, |()| stream.write_all(b"x", deadline)));
        times_out(100, || stream.write_all(b"x", SendDeadline::until(Deadline::after(Some(100 * MS)))));
        times_out(0, || stream.write_all(b"x", SendDeadline::until(Deadline::NOW)));
    });
}

fn fail(error: io::Error) -> Result<(), WriteError> {
    Err(WriteError { error, taken: 0 })
}

#[test]
fn a_peer_that_reads_nothing_is_waited_for_once() {
    each_kind(|stream, _stalled| {
        let start = Instant::now();
        let failed = stream.write_all(&vec![7; HUGE], SendDeadline::while_progressing(600 * MS)).unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
        assert!((1..HUGE).contains(&failed.taken));
        // It takes a while, too, to fill what is between the two.
        assert!((600..1150).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    });
}

#[test]
fn a_send_that_stalls_again_and_again_and_moves_in_between_goes_on() {
    let (stream, _stalled, mut theirs) = stalling();
    let peer = thread::spawn(move || {
        let mut buf = vec![0; 64 * 1024];
        let mut got = 0;
        while got < HUGE / 2 {
            thread::sleep(2 * MS);
            got += theirs.read(&mut buf).unwrap();
        }
        theirs
    });
    let start = Instant::now();
    // Longer than the limit in all; the socket is writable when a third of its buffer is free, which takes longer than that.
    stream.write_all(&vec![7; HUGE / 2], SendDeadline::while_progressing(300 * MS)).unwrap();
    assert!(start.elapsed() > 300 * MS, "{:?}", start.elapsed());
    drop(peer.join().unwrap());
}

#[test]
fn what_a_send_that_timed_out_has_taken_is_neither_lost_nor_sent_again() {
    let message = Arc::new(pattern(8 << 20));
    let (ours, mut theirs) = super::tcp_pair();
    let mut sent = 0;
    let mut timed_out = 0;
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let expected = Arc::clone(&message);
    let peer = thread::spawn(move || {
        gone.recv().unwrap();
        let mut got = vec![0; expected.len()];
        for piece in got.chunks_mut(100_000) {
            theirs.read_exact(piece).unwrap();
            thread::sleep(MS);
        }
        assert!(got == *expected);
    });
    while let Err(failed) =
        ours.write_all(&message[sent..], SendDeadline::until(Deadline::after(Some(Duration::from_millis(20)))))
    {
        assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
        sent += failed.taken;
        timed_out += 1;
        if timed_out == 3 {
            go.send(()).unwrap();
        }
    }
    assert!(timed_out >= 3);
    ours.flush(patient()).unwrap();
    peer.join().unwrap();
}
