//! TLS as it comes: in records of any size, cut anywhere, and with things between them that are not ours.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};

use super::tls_peer::{Authority, Peer, VERSIONS, Validity, accept};
use super::{connect_tls, long, patient, pattern, read_exact, tcp_pair};
use crate::error::{Error, TlsErrorKind};
use crate::net::layer::Layer;
use crate::net::stream::Stream;
use crate::options::TlsOptions;

on_each_backend! {
    records_of_every_size_are_read_into_buffers_of_every_size
    a_handshake_in_the_smallest_records_is_put_together
    a_handshake_that_is_cut_off_anywhere_is_a_loss
    what_comes_right_behind_the_handshake_is_read
    a_server_that_closes_right_after_the_handshake_ends_the_stream
    new_keys_in_the_midst_of_the_data_change_nothing
    a_record_that_was_tampered_with_ends_the_connection_for_good
    an_alert_after_the_handshake_says_its_number
}

/// A client that has connected to a server with this configuration, and the server's end.
fn pair(tls: &TlsOptions, config: ServerConfig, authority: &Authority) -> (Stream, Peer<TcpStream>) {
    let (stream, theirs) = tcp_pair();
    let server = thread::spawn(move || accept(Arc::new(config), theirs).unwrap());
    let tls = tls.clone().ca_certs_pem(&authority.pem);
    let stream = connect_tls(stream, &tls, "localhost", long()).unwrap();
    (stream, server.join().unwrap())
}

fn config(authority: &Authority, version: &'static rustls::SupportedProtocolVersion) -> ServerConfig {
    authority.leaf("localhost", Validity::Now).config(&[version], None)
}

/// A record for each size.
fn send_records(mut peer: Peer<TcpStream>, sizes: Vec<usize>) -> JoinHandle<Peer<TcpStream>> {
    thread::spawn(move || {
        let message = pattern(sizes.iter().sum());
        let mut rest = &message[..];
        for size in sizes {
            let (record, behind) = rest.split_at(size);
            peer.conn.writer().write_all(record).unwrap();
            while peer.conn.wants_write() {
                peer.conn.write_tls(&mut peer.sock).unwrap();
            }
            rest = behind;
        }
        peer
    })
}

fn records_of_every_size_are_read_into_buffers_of_every_size(tls: TlsOptions) {
    let authority = Authority::new();
    let sizes: Vec<usize> = (1..200).chain([16_384, 1, 16_383, 5000, 16_384, 16_384, 2]).collect();
    let total = sizes.iter().sum();
    for version in VERSIONS {
        for buffer in [1, 7, 1000, 16_384, 100_000] {
            let (stream, peer) = pair(&tls, config(&authority, version), &authority);
            let peer = send_records(peer, sizes.clone());
            let (mut got, mut buf) = (Vec::new(), vec![0; buffer]);
            while got.len() < total {
                let n = stream.read(&mut buf, long()).unwrap();
                assert!(n > 0, "ended after {} of {total} bytes", got.len());
                got.extend_from_slice(&buf[..n]);
            }
            assert!(got == pattern(total));
            assert!(!stream.has_input());
            drop(peer.join().unwrap());
        }
    }
}

fn a_handshake_in_the_smallest_records_is_put_together(tls: TlsOptions) {
    let authority = Authority::new();
    for version in VERSIONS {
        let mut config = config(&authority, version);
        config.max_fragment_size = Some(32);
        let (stream, mut peer) = pair(&tls, config, &authority);
        peer.write_all(&pattern(1000)).unwrap();
        assert_eq!(read_exact(&stream, 1000), pattern(1000));
        stream.write_all(b"back", patient()).unwrap();
        peer.read_exact(&mut [0; 4]).unwrap();
    }
}

/// What a server answers to a hello.
fn flight(config: ServerConfig, hello: &[u8]) -> Vec<u8> {
    let mut server = ServerConnection::new(Arc::new(config)).unwrap();
    server.read_tls(&mut &*hello).unwrap();
    server.process_new_packets().unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    flight
}

fn a_handshake_that_is_cut_off_anywhere_is_a_loss(tls: TlsOptions) {
    let authority = Authority::new();
    let tls = tls.ca_certs_pem(&authority.pem);
    for version in VERSIONS {
        for cut in (0..1000).step_by(37).chain(0..10) {
            let (stream, mut theirs) = tcp_pair();
            let config = config(&authority, version);
            let server = thread::spawn(move || {
                let mut hello = [0; 4096];
                let n = theirs.read(&mut hello).unwrap();
                let flight = flight(config, &hello[..n]);
                let whole = version == &rustls::version::TLS13 && cut >= flight.len();
                theirs.write_all(&flight[..cut.min(flight.len())]).unwrap();
                theirs.shutdown(Shutdown::Write).unwrap();
                let _ = theirs.read_to_end(&mut Vec::new());
                whole
            });
            let result = connect_tls(stream, &tls, "localhost", long());
            let complete = match result {
                Ok(_stream) => true,
                Err(Error::Io { error, .. }) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
                    false
                }
                Err(error) => panic!("{cut}: {error:?}"),
            };
            assert_eq!(server.join().unwrap(), complete, "{cut}");
        }
    }
}

fn what_comes_right_behind_the_handshake_is_read(tls: TlsOptions) {
    let authority = Authority::new();
    let mut config = config(&authority, &rustls::version::TLS13);
    config.send_half_rtt_data = true;
    let (stream, mut theirs) = tcp_pair();
    let server = thread::spawn(move || {
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        while connection.wants_read() && !connection.wants_write() {
            connection.read_tls(&mut theirs).unwrap();
            connection.process_new_packets().unwrap();
        }
        // With the server's Finished, before the client's: in one piece with the handshake.
        connection.writer().write_all(b"early").unwrap();
        let mut flight = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut flight).unwrap();
        }
        theirs.write_all(&flight).unwrap();
        thread::sleep(Duration::from_millis(100));
        theirs
    });
    let stream = connect_tls(stream, &tls.ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    assert_eq!(read_exact(&stream, 5), b"early");
    drop(server.join().unwrap());
}

fn a_server_that_closes_right_after_the_handshake_ends_the_stream(tls: TlsOptions) {
    let authority = Authority::new();
    for version in VERSIONS {
        let (stream, peer) = pair(&tls, config(&authority, version), &authority);
        peer.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0; 16], long()).unwrap(), 0);
        assert_eq!(stream.read(&mut [0; 16], long()).unwrap(), 0);
    }
}

/// A ticket is a message of the handshake that comes after it (RFC 8446, section 4.6.1). OpenSSL writes nothing before it has
/// read one whole.
#[cfg(feature = "rustls")]
#[test]
fn tickets_in_pieces_do_not_keep_others_from_writing() {
    let tls = TlsOptions::new().backend(crate::TlsBackend::Rustls);
    let authority = Authority::new();
    let mut config = config(&authority, &rustls::version::TLS13);
    config.max_fragment_size = Some(32);
    config.send_tls13_tickets = 2;
    let (stream, theirs) = tcp_pair();
    let server = thread::spawn(move || {
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut theirs = theirs;
        while connection.is_handshaking() {
            while connection.wants_write() {
                connection.write_tls(&mut theirs).unwrap();
            }
            connection.read_tls(&mut theirs).unwrap();
            connection.process_new_packets().unwrap();
        }
        let mut tickets = Vec::new();
        connection.writer().write_all(b"after the tickets").unwrap();
        while connection.wants_write() {
            connection.write_tls(&mut tickets).unwrap();
        }
        assert!(tickets.len() > 200, "{}", tickets.len());
        // A byte at a time, and one back for each.
        for byte in tickets {
            theirs.write_all(&[byte]).unwrap();
            while connection.reader().read(&mut [0; 1]).is_err() {
                connection.read_tls(&mut theirs).unwrap();
                connection.process_new_packets().unwrap();
            }
        }
        // Not closed before the client has written all it wants.
        theirs
    });
    let stream = connect_tls(stream, &tls.ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    let mut got = Vec::new();
    let mut buf = [0; 64];
    while got.len() < b"after the tickets".len() {
        stream.write_all(b"x", patient()).unwrap();
        if let Ok(n) = stream.read(&mut buf, super::soon(2)) {
            got.extend_from_slice(&buf[..n]);
        }
    }
    assert_eq!(got, b"after the tickets");
    stream.write_all(b"x", patient()).unwrap();
    drop(server.join().unwrap());
}

fn new_keys_in_the_midst_of_the_data_change_nothing(tls: TlsOptions) {
    let authority = Authority::new();
    let (stream, mut peer) = pair(&tls, config(&authority, &rustls::version::TLS13), &authority);
    for _ in 0..50 {
        peer.write_all(&pattern(100)).unwrap();
        peer.conn.refresh_traffic_keys().unwrap();
        peer.write_all(&pattern(100)).unwrap();
        assert_eq!(read_exact(&stream, 200), [pattern(100), pattern(100)].concat());
        stream.write_all(&pattern(300), patient()).unwrap();
        let mut got = vec![0; 300];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(got, pattern(300));
    }
}

fn a_record_that_was_tampered_with_ends_the_connection_for_good(tls: TlsOptions) {
    let authority = Authority::new();
    for version in VERSIONS {
        let (stream, mut peer) = pair(&tls, config(&authority, version), &authority);
        let mut ciphertext = Vec::new();
        peer.conn.writer().write_all(b"good").unwrap();
        while peer.conn.wants_write() {
            peer.conn.write_tls(&mut ciphertext).unwrap();
        }
        peer.conn.writer().write_all(b"bad").unwrap();
        let before = ciphertext.len();
        while peer.conn.wants_write() {
            peer.conn.write_tls(&mut ciphertext).unwrap();
        }
        *ciphertext.last_mut().unwrap() ^= 1;
        assert!(ciphertext.len() > before);
        peer.sock.write_all(&ciphertext).unwrap();
        assert_eq!(read_exact(&stream, 4), b"good");
        let error = stream.read(&mut [0; 16], long()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(!matches!(stream.read(&mut [0; 16], long()), Ok(1..)));
        // The peer is told: with an alert, and with nothing else.
        let told = peer.read(&mut [0; 16]).unwrap_err().to_string();
        assert!(told.contains("BadRecordMac"), "{told}");
    }
}

fn an_alert_after_the_handshake_says_its_number(tls: TlsOptions) {
    let authority = Authority::new();
    let client = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let config = leaf.config(&[&rustls::version::TLS13], Some(&client));
    let (stream, theirs) = tcp_pair();
    let server = thread::spawn(move || accept(Arc::new(config), theirs).map(drop).unwrap_err());
    let stream = connect_tls(stream, &tls.ca_certs_pem(&authority.pem), "localhost", long()).unwrap();
    let error = stream.read(&mut [0; 16], long()).unwrap_err();
    let error = error.downcast::<crate::TlsError>().unwrap();
    assert_eq!((error.kind, &*error.host), (TlsErrorKind::Alert(116), "localhost"));
    server.join().unwrap();
}
