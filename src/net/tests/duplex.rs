//! Reading and writing at once, and peers that do not read.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::SupportedProtocolVersion;

use super::backends::backends;
use super::tls_peer::{Peer, VERSIONS, accept};
use super::{Authority, Validity, connect_tls, long, patient, pattern, read_exact, soon, tcp_pair};
use crate::net::layer::Layer;
use crate::net::send_timer::SendDeadline;
use crate::net::stream::Stream;
use crate::options::TlsOptions;

/// Streams of each kind to the same peer: a function of its plain side.
fn each_kind(test: impl Fn(Stream, Box<dyn Socket>)) {
    let (stream, theirs) = tcp_pair();
    test(stream, Box::new(theirs));
    each_tls(VERSIONS, |stream, theirs| test(stream, Box::new(theirs)));
}

/// Streams of these versions with each backend.
fn each_tls<const N: usize>(versions: [&'static SupportedProtocolVersion; N], test: impl Fn(Stream, Peer<TcpStream>)) {
    for tls in backends() {
        for version in versions {
            let (stream, theirs) = tls_pair(&tls, version);
            test(stream, theirs);
        }
    }
}

trait Socket: Read + Write + Send {}
impl<T: Read + Write + Send> Socket for T {}

fn tls_pair(tls: &TlsOptions, version: &'static SupportedProtocolVersion) -> (Stream, Peer<TcpStream>) {
    let authority = Authority::new();
    let config = authority.leaf("localhost", Validity::Now).server(version);
    let (stream, theirs) = tcp_pair();
    let server = thread::spawn(move || accept(config, theirs).unwrap());
    let stream = connect_tls(stream, &tls.clone().ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    (stream, server.join().unwrap())
}

#[test]
fn megabytes_each_way_at_once_with_a_peer_that_blocks_on_its_writes() {
    const PIECE: usize = 1 << 20;
    const PIECES: usize = 64;
    each_kind(|stream, mut peer| {
        let piece = Arc::new(pattern(PIECE));
        let expected = Arc::clone(&piece);
        // First writes everything, then reads everything: whoever does not read while it writes is stuck with it.
        let peer = thread::spawn(move || {
            for _ in 0..PIECES {
                peer.write_all(&expected).unwrap();
            }
            let mut got = vec![0; PIECE];
            for _ in 0..PIECES {
                peer.read_exact(&mut got).unwrap();
                assert!(got == *expected);
            }
            peer
        });
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..PIECES {
                    stream.write_all(&piece, patient()).unwrap();
                }
            });
            for _ in 0..PIECES {
                assert!(read_exact(&stream, PIECE) == *piece);
            }
        });
        drop(peer.join().unwrap());
    });
}

#[test]
fn small_messages_pass_in_both_directions_while_the_other_side_waits() {
    each_kind(|stream, mut peer| {
        let peer = thread::spawn(move || {
            for i in 0..500_u32 {
                peer.write_all(&i.to_be_bytes()).unwrap();
                let mut got = [0; 4];
                peer.read_exact(&mut got).unwrap();
                assert_eq!(u32::from_be_bytes(got), i);
            }
            peer
        });
        let (heard, to_say) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| {
                for word in to_say {
                    let word: Vec<u8> = word;
                    stream.write_all(&word, patient()).unwrap();
                }
            });
            for _ in 0..500 {
                heard.send(read_exact(&stream, 4)).unwrap();
            }
            drop(heard);
        });
        drop(peer.join().unwrap());
    });
}

#[test]
fn a_send_to_a_peer_that_does_not_read_ends_with_patience_and_says_what_has_left() {
    each_kind(|stream, _peer| {
        let start = Instant::now();
        let huge = vec![7; 64 << 20];
        let failed = stream.write_all(&huge, SendDeadline::while_progressing(Duration::from_millis(50))).unwrap_err();
        assert_eq!((failed.error.kind(), failed.taken != 0), (io::ErrorKind::TimedOut, true));
        // Nothing fits now. For TLS the rest of what it took is in the way; the new bytes have not been taken.
        let failed = stream.write_all(b"more", SendDeadline::until(soon(50))).unwrap_err();
        assert_eq!((failed.error.kind(), failed.taken != 0), (io::ErrorKind::TimedOut, false));
        assert_eq!(stream.try_write(b"more").unwrap(), 0);
        assert_eq!(stream.has_output(), stream.is_tls());
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    });
}

#[test]
fn the_whole_deadline_ends_a_send_that_still_moves() {
    each_kind(|stream, mut peer| {
        let peer = thread::spawn(move || {
            let mut buf = [0; 16 * 1024];
            while peer.read(&mut buf).is_ok_and(|n| n > 0) {
                thread::sleep(Duration::from_millis(1));
            }
        });
        let start = Instant::now();
        let huge = vec![7; 64 << 20];
        let failed = stream.write_all(&huge, SendDeadline::until(soon(100))).unwrap_err();
        assert_eq!((failed.error.kind(), failed.taken != 0), (io::ErrorKind::TimedOut, true));
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        drop(stream);
        peer.join().unwrap();
    });
}

#[test]
fn what_try_write_took_arrives_whole_and_in_order() {
    each_kind(|stream, mut peer| {
        let message = pattern(1000);
        let mut sent = Vec::new();
        loop {
            match stream.try_write(&message).unwrap() {
                0 => break,
                n => sent.extend_from_slice(&message[..n]),
            }
        }
        assert!(sent.len() >= 1000);
        let length = sent.len() + 5;
        let peer = thread::spawn(move || {
            let mut got = vec![0; length];
            peer.read_exact(&mut got).unwrap();
            (got, peer)
        });
        stream.write_all(b"after", patient()).unwrap();
        sent.extend_from_slice(b"after");
        let (got, _peer) = peer.join().unwrap();
        assert!(got == sent);
        assert!(!stream.has_output());
    });
}

#[test]
fn what_is_stuck_can_be_flushed_when_the_peer_reads_again() {
    each_tls([&rustls::version::TLS13], |stream, mut peer| {
        let mut sent = 0;
        while let n @ 1.. = stream.try_write(&[7; 60_000]).unwrap() {
            sent += n;
        }
        assert!(stream.has_output());
        let peer = thread::spawn(move || {
            let mut got = vec![0; sent];
            peer.read_exact(&mut got).unwrap();
            peer
        });
        let start = Instant::now();
        while stream.has_output() {
            stream.try_flush().unwrap();
            assert!(start.elapsed() < Duration::from_secs(10));
            thread::sleep(Duration::from_millis(1));
        }
        drop(peer.join().unwrap());
    });
}

#[test]
fn shutdown_wakes_a_blocked_reader_and_a_blocked_writer() {
    each_kind(|stream, _peer| {
        thread::scope(|scope| {
            let reader = scope.spawn(|| stream.read(&mut [0; 8], long()));
            let writer = scope.spawn(|| stream.write_all(&vec![7; 64 << 20], patient()));
            thread::sleep(Duration::from_millis(100));
            let start = Instant::now();
            let _ = stream.shutdown(Shutdown::Both);
            assert_eq!(reader.join().unwrap().unwrap(), 0);
            assert!(writer.join().unwrap().is_err());
            assert!(start.elapsed() < Duration::from_secs(5));
        });
    });
}

#[test]
fn memory_grows_with_the_traffic_only() {
    each_tls([&rustls::version::TLS13], |stream, mut peer| {
        for _ in 0..100 {
            stream.write_all(b"small", patient()).unwrap();
            peer.read_exact(&mut [0; 5]).unwrap();
            peer.write_all(b"small").unwrap();
            assert_eq!(read_exact(&stream, 5), b"small");
        }
        assert!(stream.memory() <= 8 * 1024, "{}", stream.memory());
    });
}
