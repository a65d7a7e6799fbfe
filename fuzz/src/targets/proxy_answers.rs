use std::io;
use std::net::Shutdown;
use std::sync::Mutex;
use std::time::Instant;

use websocket_sync::fuzzing::{SocksVersion, TunnelAnswer, TunnelReader, connect_by_socks};
use websocket_sync::protocol::handshake::Refusal;
use websocket_sync::{Error, Interest, Transport};

use super::response_head::{check_headers, limits};
use crate::input::{Cuts, Input};

/// What a proxy answers is taken the same way however it is cut, and no byte of the server's is taken for the proxy's.
///
/// Input: which proxy (1 byte), a seed of cuts (2), for SOCKS host, user and password behind their lengths, then the answers.
pub fn proxy_answers(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let seed = input.short();
    match flags % 3 {
        0 => http(flags, seed, input.rest()),
        1 => socks(SocksVersion::Four, seed, input),
        _ => socks(SocksVersion::Five, seed, input),
    }
}

fn http(flags: u8, seed: u16, bytes: &[u8]) {
    let whole = tunnel(flags, [bytes].into_iter());
    assert_eq!(tunnel(flags, bytes.chunks(1)).0, whole.0, "byte by byte");
    assert_eq!(tunnel(flags, Cuts::new(bytes, seed)).0, whole.0, "cut by seed {seed}");
    if let (Told::Refused(refusal), _) = whole {
        assert!(refusal.body.len() <= limits(flags).body);
        check_headers(&refusal.headers, limits(flags).head);
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Told {
    /// How many bytes came behind the head, in this call or later.
    Established(usize),
    Refused(Refusal),
    Failed(String),
}

/// What is told, and whether the connection can be used again, which depends on what has come when the answer is whole.
fn tunnel<'a>(flags: u8, mut chunks: impl Iterator<Item = &'a [u8]>) -> (Told, bool) {
    let mut reader = TunnelReader::new(limits(flags));
    for chunk in chunks.by_ref() {
        match reader.receive(chunk) {
            Ok(None) => {}
            Ok(Some(TunnelAnswer::Established(surplus))) => {
                return (Told::Established(surplus + chunks.map(<[u8]>::len).sum::<usize>()), false);
            }
            Ok(Some(TunnelAnswer::Refused(refusal, persists))) => return (Told::Refused(refusal), persists),
            Err(error) => return (Told::Failed(error.to_string()), false),
        }
    }
    match reader.receive_eof() {
        Some(refusal) => (Told::Refused(refusal), false),
        None => (Told::Failed(String::from("end")), false),
    }
}

fn socks(version: SocksVersion, seed: u16, mut input: Input<'_>) {
    let (host, user, password) = (input.text(), input.text(), input.text());
    let credentials = (!user.is_empty()).then_some((&user[..], &password[..]));
    let says = input.rest();
    let connect = |seed| {
        let chunks = Cuts::new(says, seed).map(<[u8]>::to_vec).collect::<Vec<_>>();
        let proxy = Proxy(Mutex::new((chunks, 0)));
        match connect_by_socks(Box::new(proxy), version, &host, credentials) {
            Ok(()) => Ok(()),
            Err(Error::Proxy(problem)) => Err(problem.to_string()),
            Err(other) => panic!("{other:?}"),
        }
    };
    let told = connect(seed);
    assert_eq!(connect(seed.wrapping_add(1)), told);
    if told.is_ok() {
        assert!(says.len() >= 8 || version == SocksVersion::Five && says.len() >= 9, "{says:?} is no whole answer");
    }
}

/// Says what it says, a chunk at a time, and then ends the connection.
#[derive(Debug)]
struct Proxy(Mutex<(Vec<Vec<u8>>, usize)>);

impl Transport for Proxy {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock().expect("nobody panics");
        let (chunks, next) = &mut *state;
        let Some(chunk) = chunks.get_mut(*next) else { return Ok(0) };
        let length = chunk.len().min(buf.len());
        buf[..length].copy_from_slice(&chunk[..length]);
        chunk.drain(..length);
        if chunk.is_empty() {
            *next += 1;
        }
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}
