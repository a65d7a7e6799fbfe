//! What a peer may send that is not TLS, or not quite.

use std::io::Write;
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use rustls::{ClientConfig, ServerConfig, ServerConnection};

use super::super::engine::Engine;
use super::super::engine::HandshakeStep;
use super::super::pipe::Pipe;
use super::{client_config, connect};
use crate::net::deadline::Deadline;
use crate::net::tests::tls_peer::{Authority, VERSIONS, Validity};
use crate::net::tls::WaitLimit;
use crate::options::{SystemRoots, TlsOptions};

struct Cast {
    client: Arc<ClientConfig>,
    /// Of each version, in records of the usual size and in the smallest ones.
    servers: Vec<Arc<ServerConfig>>,
}

static CAST: LazyLock<Cast> = LazyLock::new(|| {
    let authority = Authority::new();
    let leaf = authority.leaf("localhost", Validity::Now);
    let options = TlsOptions::new().ca_certs_pem(&authority.pem).system_roots(SystemRoots::Excluded);
    let server = |(version, size)| {
        let mut config = leaf.config(&[version], None);
        config.max_fragment_size = size;
        config.send_half_rtt_data = true;
        Arc::new(config)
    };
    let kinds = VERSIONS.into_iter().flat_map(|version| [(version, None), (version, Some(32))]);
    let limit = WaitLimit { deadline: Deadline::NEVER, cancellation: None };
    Cast { client: client_config(&options, &[], limit).unwrap(), servers: kinds.map(server).collect() }
});

/// The first that a server says, with data behind it where the version allows that.
fn flight(config: &Arc<ServerConfig>, hello: &[u8]) -> Vec<u8> {
    let mut server = ServerConnection::new(Arc::clone(config)).unwrap();
    server.read_tls(&mut &*hello).unwrap();
    server.process_new_packets().unwrap();
    server.writer().write_all(&[7; 300]).unwrap();
    let mut flight = Vec::new();
    while server.wants_write() {
        server.write_tls(&mut flight).unwrap();
    }
    flight
}

/// Hands bytes to a client, a piece at a time. The engine, if the handshake came to its end.
fn feed(mut attempt: HandshakeStep, bytes: &[u8], piece: usize) -> Option<Box<dyn Engine>> {
    for piece in bytes.chunks(piece) {
        attempt = match attempt {
            HandshakeStep::Unfinished(mut handshake) => {
                receive(handshake.pipe(), piece);
                handshake.advance()
            }
            HandshakeStep::Done(mut engine) => {
                receive(engine.pipe(), piece);
                HandshakeStep::Done(engine)
            }
            HandshakeStep::Failed(_) => return None,
        };
    }
    match attempt {
        HandshakeStep::Done(engine) => Some(engine),
        HandshakeStep::Unfinished(_) | HandshakeStep::Failed(_) => None,
    }
}

fn receive(pipe: &mut Pipe, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let space = pipe.incoming.space();
        let n = space.len().min(bytes.len());
        space[..n].copy_from_slice(&bytes[..n]);
        pipe.incoming.received(n);
        bytes = &bytes[n..];
    }
}

/// Begins a handshake, and gives the client's hello too.
fn begin() -> (HandshakeStep, Vec<u8>) {
    let (pipe, outgoing) = Pipe::for_handshake();
    let attempt = connect(&CAST.client, "localhost", pipe);
    let hello = std::mem::take(&mut *outgoing.lock());
    (attempt, hello)
}

/// Reads and writes until nothing comes any more, or the engine has enough.
fn use_up(engine: &mut dyn Engine) -> Vec<u8> {
    let (mut read, mut buf) = (Vec::new(), [0; 100]);
    loop {
        let written = engine.write(b"an answer");
        match engine.read(&mut buf) {
            Ok(n @ 1..) => read.extend_from_slice(&buf[..n]),
            Ok(0) | Err(_) => break,
        }
        written.unwrap();
    }
    engine.close();
    read
}

proptest! {
    #[test]
    fn a_flight_is_understood_however_it_is_cut(server in 0..4_usize, piece in 1..1000_usize) {
        let (attempt, hello) = begin();
        let flight = flight(&CAST.servers[server], &hello);
        let engine = feed(attempt, &flight, piece);
        // Over TLS 1.2 the client's answer is waited for.
        prop_assert_eq!(engine.is_some(), server >= 2);
        if let Some(mut engine) = engine {
            prop_assert_eq!(use_up(&mut *engine), [7; 300]);
        }
    }

    #[test]
    fn no_change_to_a_flight_makes_it_panic(
        server in 0..4_usize,
        piece in 1..1000_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        doubled in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let (attempt, hello) = begin();
        let mut flight = flight(&CAST.servers[server], &hello);
        for (at, byte) in changes {
            let at = at.index(flight.len());
            flight[at] = byte;
        }
        let part = doubled.0.index(flight.len())..flight.len();
        let part = flight[part.start..].to_vec();
        let at = doubled.1.index(flight.len());
        flight.splice(at..at, part);
        if let Some(mut engine) = feed(attempt, &flight, piece) {
            use_up(&mut *engine);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1..1000_usize) {
        prop_assert!(feed(begin().0, &bytes, piece).is_none());
    }

    #[test]
    fn no_records_make_it_panic(
        records in prop::collection::vec((20..24_u8, prop::collection::vec(any::<u8>(), 0..100)), 0..20),
        piece in 1..1000_usize,
    ) {
        let bytes: Vec<u8> = records.into_iter().flat_map(|(kind, content)| {
            let length = u16::try_from(content.len()).unwrap().to_be_bytes();
            [vec![kind, 3, 3], length.to_vec(), content].concat()
        }).collect();
        prop_assert!(feed(begin().0, &bytes, piece).is_none());
    }
}
