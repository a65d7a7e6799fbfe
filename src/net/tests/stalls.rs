//! How long a send may go without a byte leaving: once, whatever happens meanwhile, and through every layer.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::backends::backends;
use super::cases::Cases;
use super::tls_peer::{VERSIONS, accept};
use super::{Authority, Validity, connect_tls, lasts, long, patient, pattern};
use crate::net::deadline::Deadline;
use crate::net::layer::Layer;
use crate::net::layer::WriteError;
use crate::net::send_timer::SendDeadline;
use crate::net::stream::Stream;
use crate::net::transport::{Interest, Transport};

const MS: Duration = Duration::from_millis(1);
const HUGE: usize = 64 << 20;

/// A socket that can be stalled: then it takes nothing, and signals come while it is waited for.
#[derive(Debug)]
struct Stalling {
    inner: Box<dyn Transport>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_stalled: AtomicBool,
    /// When the socket was full, if nothing has left since.
    full: Mutex<Option<Instant>>,
    /// The longest time after which something left again.
    longest: Mutex<Duration>,
}

impl Transport for Stalling {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buf)
    }
    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if self.state.is_stalled.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let result = self.inner.try_write(buf);
        let mut full = self.state.full.lock().unwrap();
        match (&result, *full) {
            (Err(_), None) => *full = Some(Instant::now()),
            (Ok(_), Some(since)) => {
                let mut longest = self.state.longest.lock().unwrap();
                *longest = since.elapsed().max(*longest);
                *full = None;
            }
            _ => {}
        }
        result
    }
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        if interest == Interest::Read || !self.state.is_stalled.load(Ordering::Relaxed) {
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
fn each_kind(test: fn(Stream, &State)) {
    let mut cases = Cases::new();
    cases.add("TCP", move || {
        let (stream, state, _theirs) = stalling();
        test(stream, &state);
    });
    let authority = Authority::new();
    for tls in backends() {
        let tls = tls.ca_certs_pem(&authority.pem);
        for version in VERSIONS {
            let config = authority.leaf("localhost", Validity::Now).server(version);
            for layers in [1, 2] {
                let (tls, config) = (tls.clone(), Arc::clone(&config));
                cases.add(format!("{layers} layers of {:?} by {:?}", version.version, tls.backend), move || {
                    let (mut stream, state, theirs) = stalling();
                    let server = thread::spawn(move || {
                        let outer = accept(Arc::clone(&config), theirs).unwrap();
                        match layers {
                            1 => Box::new(outer) as Box<dyn Send>,
                            _ => Box::new(accept(config, outer).unwrap()),
                        }
                    });
                    for _ in 0..layers {
                        stream = connect_tls(stream, &tls, "localhost", long()).unwrap();
                    }
                    let _peer = server.join().unwrap();
                    test(stream, &state);
                });
            }
        }
    }
    cases.run(60);
}

fn stalling() -> (Stream, Arc<State>, TcpStream) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let inner = TcpStream::connect(listener.local_addr().unwrap()).unwrap().into();
    let state = Arc::default();
    let transport = Stalling { inner, state: Arc::clone(&state) };
    (Stream::from(<Box<dyn Transport>>::from(transport)), state, listener.accept().unwrap().0)
}

/// A send that times out after so many milliseconds.
#[track_caller]
fn times_out(ms: u64, send: impl FnOnce() -> Result<(), WriteError>) {
    let failed = lasts(ms, send).unwrap_err();
    assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
}

#[test]
fn signals_do_not_begin_the_time_of_a_stall_anew() {
    each_kind(|stream, state| {
        state.is_stalled.store(true, Ordering::Relaxed);
        let deadline = SendDeadline::while_progressing(200 * MS);
        times_out(200, || stream.write_all(&[7; 100], deadline));
        assert_eq!(stream.has_output(), stream.is_tls());
        assert_eq!(stream.output_len() > 0, stream.is_tls());
        times_out(200, || stream.write_all(b"", deadline).and_then(|()| stream.write_all(b"x", deadline)));
        times_out(100, || stream.write_all(b"x", SendDeadline::until(Deadline::after(Some(100 * MS)))));
        times_out(0, || stream.write_all(b"x", SendDeadline::until(Deadline::NOW)));
    });
}

#[test]
fn a_peer_that_reads_nothing_is_waited_for_once() {
    each_kind(|stream, state| {
        let start = Instant::now();
        // Zeros, for which the system needs no memory.
        let failed = stream.write_all(&vec![0; HUGE], SendDeadline::while_progressing(1000 * MS)).unwrap_err();
        assert_eq!(failed.error.kind(), ErrorKind::TimedOut);
        assert!((1..HUGE).contains(&failed.taken));
        assert!(start.elapsed() >= 1000 * MS);
        // TCP takes some more a moment after it was full. To find that at the end of the time would be to begin it anew.
        let longest = *state.longest.lock().unwrap();
        assert!(longest < 900 * MS, "{longest:?}");
    });
}

#[test]
fn a_send_that_stalls_again_and_again_and_moves_in_between_goes_on() {
    let (stream, _state, mut theirs) = stalling();
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
    ours.write_all(b"", patient()).unwrap();
    peer.join().unwrap();
}
