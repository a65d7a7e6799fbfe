use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Instant;

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection};
use rustls::{SupportedProtocolVersion, version};
use websocket_sync::fuzzing::TlsConnection;
use websocket_sync::test_kit::TestCertificate;
use websocket_sync::{Error, Interest, Phase, TlsBackend, TlsError, TlsOptions, Transport};

use crate::input::{Chance, Input};

/// The most that the buffers of a connection hold, in bytes: a window and ciphertext to go out.
const MOST_MEMORY: usize = 768 << 10;
const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
/// The head of a record: type, version, length.
const HEAD: usize = 5;
/// How often a stream is read behind its end.
const MOST_ENDS: usize = 64;

/// Whatever a peer makes of its TLS records, with either library and in either role: what is read is a beginning of what the peer has
/// written, then comes the end or an error of TLS; what the peer reads is a beginning of what this side has written; memory is bounded
/// and nothing waits for what does not come.
///
/// Input: flags (1 byte), a seed of cuts (2), then behind their lengths the fates of the peer's records, what it writes and what this side
/// writes; then bytes that are put between records or are all that the peer says.
pub fn tls_records(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let seed = input.short();
    let (fates, theirs, ours) = (input.counted(), input.counted(), input.counted());
    let role = if flags & 2 == 0 { Role::Client } else { Role::Server };
    let link = Link::new(Peer {
        speaks: if flags & 0x10 == 0 { Speaks::Tls(Box::new(connection(role, flags))) } else { Speaks::Bytes },
        refreshes: flags & 0x20 != 0,
        closes: flags & 0x40 != 0,
        records: Records::new(fates, input.rest(), seed),
        texts: Texts::new(theirs),
        heard: Vec::new(),
        blocked: [false; 2],
        ends: 0,
    });
    let library = if flags & 1 == 0 { TlsBackend::NativeTls } else { TlsBackend::Rustls };
    let opened = match role {
        Role::Client => TlsConnection::connect(Box::new(link.clone()), client_options(library)),
        Role::Server => TlsConnection::accept(Box::new(link.clone()), server_options(library)),
    };
    match opened {
        Ok(connection) => {
            assert!(matches!(link.peer().speaks, Speaks::Tls(_)), "TLS with a peer that does not speak it");
            converse(&connection, Texts::new(ours), &link);
        }
        Err(error @ (Error::Tls(_) | Error::Io { phase: Phase::Tls, .. })) => {
            assert!(!link.peer().is_honest(), "{error:?} of a handshake with an honest peer");
        }
        Err(other) => panic!("{other:?} of a TLS handshake"),
    }
}

/// This side's role.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Role {
    Client,
    Server,
}

/// Writes and reads by turns, and then reads to the end.
fn converse(connection: &TlsConnection, mut texts: Texts, link: &Link) {
    let mut received = Vec::new();
    let mut sent = Ok(());
    while sent.is_ok()
        && let Some(text) = texts.next()
    {
        sent = connection.write_all(&text);
        if read(connection, &mut received, 1 + text.len() % 700).is_some() {
            break;
        }
    }
    let end = loop {
        if let Some(end) = read(connection, &mut received, 4096) {
            break end;
        }
    };
    let mut behind = [0; 16];
    for _ in 0..2 {
        let read = connection.read(&mut behind);
        assert!(!matches!(read, Ok(1..)), "{read:?} behind the end");
    }
    let flushed = connection.shutdown_write().is_ok() && !connection.has_output();
    let peer = link.peer();
    let (written, expected) = (texts.written(), peer.texts.written());
    assert!(expected.starts_with(&received), "{} bytes that the peer has not written", received.len());
    assert!(written.starts_with(&peer.heard), "{} bytes that this side has not written", peer.heard.len());
    if peer.is_honest() {
        assert!(end.is_ok(), "{end:?} of an honest peer");
        assert_eq!(received.len(), expected.len(), "of what an honest peer has written");
        if sent.is_ok() && flushed {
            assert_eq!(peer.heard.len(), written.len(), "of what was written to an honest peer");
        }
    }
}

/// Reads once, and says how the stream has ended if it has.
fn read(connection: &TlsConnection, received: &mut Vec<u8>, most: usize) -> Option<io::Result<()>> {
    let mut buf = vec![0; most];
    let read = connection.read(&mut buf);
    let memory = connection.memory();
    assert!(memory <= MOST_MEMORY, "{memory} bytes are held");
    match read {
        Ok(0) => Some(Ok(())),
        Ok(length) => {
            received.extend_from_slice(&buf[..length]);
            None
        }
        Err(error) => {
            let is_typed = error.get_ref().is_some_and(|cause| cause.is::<TlsError>());
            assert!(is_typed, "{error:?} is no error of TLS");
            Some(Err(error))
        }
    }
}

/// What one side writes, a part at a time: all parts together are the beginning of one long text.
struct Texts {
    lengths: Vec<u8>,
    next: usize,
    length: usize,
}

impl Texts {
    fn new(lengths: &[u8]) -> Self {
        Self { lengths: lengths[..lengths.len().min(12)].to_vec(), next: 0, length: 0 }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        let length = match *self.lengths.get(self.next)? {
            byte @ 0..200 => usize::from(byte) + 1,
            byte => usize::from(byte - 199) * 400,
        };
        self.next += 1;
        self.length += length;
        Some(text(self.length - length..self.length))
    }

    /// What `next` has returned so far.
    fn written(&self) -> Vec<u8> {
        text(0..self.length)
    }
}

fn text(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|index| ((index as u32).wrapping_mul(0x9E37_79B1) >> 24) as u8).collect()
}

/// The other end of the connection, in memory: it answers at once.
struct Peer {
    speaks: Speaks,
    /// Whether it asks for new keys after each text.
    refreshes: bool,
    /// Whether it sends close_notify in the end.
    closes: bool,
    records: Records,
    texts: Texts,
    /// The plaintext that has come.
    heard: Vec<u8>,
    /// Whether the last operation of each direction found the stream blocked.
    blocked: [bool; 2],
    /// How often it was read behind its end.
    ends: usize,
}

enum Speaks {
    Tls(Box<Connection>),
    /// TLS until something was wrong with what came.
    Nothing,
    /// The bytes of the input.
    Bytes,
}

impl Peer {
    /// Whether all was done as TLS has it.
    fn is_honest(&self) -> bool {
        matches!(self.speaks, Speaks::Tls(_)) && !self.records.is_tampered
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        let Speaks::Tls(connection) = &mut self.speaks else { return };
        while !bytes.is_empty() {
            let is_taken = connection.read_tls(&mut bytes).is_ok() && connection.process_new_packets().is_ok();
            // What came before the end is there, and after it nothing is.
            let _ = connection.reader().read_to_end(&mut self.heard);
            if !is_taken {
                self.records.take_output(connection);
                self.speaks = Speaks::Nothing;
                return;
            }
        }
        self.records.take_output(connection);
    }

    /// Says what comes next, when all before it was read.
    fn speak(&mut self) {
        let connection = match &mut self.speaks {
            Speaks::Tls(connection) => connection,
            Speaks::Bytes => return self.records.put_all(),
            Speaks::Nothing => return,
        };
        if connection.is_handshaking() {
            // A client begins.
            return self.records.take_output(connection);
        }
        if let Some(text) = self.texts.next() {
            connection.writer().write_all(&text).expect("memory");
            if self.refreshes {
                // TLS 1.2 has nothing of the kind.
                let _ = connection.refresh_traffic_keys();
            }
        } else if self.closes {
            self.closes = false;
            connection.send_close_notify();
        }
        self.records.take_output(connection);
    }
}

/// What the peer says, as it comes in.
struct Records {
    fates: Vec<u8>,
    next: usize,
    /// What is put between records.
    other: Vec<u8>,
    put: usize,
    cuts: Chance,
    incoming: Vec<u8>,
    /// How much of it was read.
    read: usize,
    /// A record that comes behind the next one.
    held: Option<Vec<u8>>,
    /// Whether the peer is gone.
    is_ended: bool,
    is_tampered: bool,
}

impl Records {
    fn new(fates: &[u8], other: &[u8], seed: u16) -> Self {
        Self {
            fates: fates.to_vec(),
            next: 0,
            other: other.to_vec(),
            put: 0,
            cuts: Chance::new(seed.into()),
            incoming: Vec::new(),
            read: 0,
            held: None,
            is_ended: false,
            is_tampered: false,
        }
    }

    fn byte(&mut self) -> u8 {
        self.next += 1;
        self.fates.get(self.next - 1).copied().unwrap_or(0)
    }

    /// Takes what a connection has to say, record by record.
    fn take_output(&mut self, connection: &mut Connection) {
        let mut output = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut output).expect("memory");
        }
        let mut rest = &output[..];
        while let [_, _, _, high, low, ..] = *rest {
            let length = HEAD + usize::from(u16::from_be_bytes([high, low]));
            let (record, behind) = rest.split_at(length);
            rest = behind;
            if !self.is_ended {
                self.take(record.to_vec());
            }
        }
        assert!(rest.is_empty(), "the peer has written a part of a record");
    }

    /// Decides what becomes of a record.
    fn take(&mut self, mut record: Vec<u8>) {
        let fate = self.byte();
        self.is_tampered |= fate >= 96;
        let held = self.held.take();
        match fate {
            0..96 => self.put(&record),
            96..128 => {
                let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % record.len();
                record[at] ^= self.byte().max(1);
                self.put(&record);
            }
            128..152 => {
                let at = usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % record.len();
                self.put(&record[..at]);
            }
            152..168 => {}
            168..184 => {
                self.put(&record);
                self.put(&record);
            }
            184..200 => self.held = Some(record),
            200..224 => {
                let length = usize::from(self.byte());
                self.put_other(length);
                self.put(&record);
            }
            224..240 => {
                // The same record, with another head.
                record[usize::from(fate) % HEAD] = self.byte();
                self.put(&record);
            }
            240.. => self.is_ended = true,
        }
        if let Some(held) = held {
            self.put(&held);
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.incoming.extend_from_slice(bytes);
    }

    fn put_other(&mut self, length: usize) {
        let end = self.other.len().min(self.put + length);
        self.incoming.extend_from_slice(&self.other[self.put..end]);
        self.put = end;
    }

    fn put_all(&mut self) {
        self.put_other(usize::MAX - self.put);
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        let most = self.cut(buf.len());
        let rest = &self.incoming[self.read..];
        let length = rest.len().min(most);
        buf[..length].copy_from_slice(&rest[..length]);
        self.read += length;
        length
    }

    /// How many bytes an operation moves at most.
    fn cut(&mut self, room: usize) -> usize {
        match self.cuts.below(8) {
            0 => 1,
            1 => 1 + self.cuts.below(16),
            2 => 1 + self.cuts.below(600),
            _ => room,
        }
        .min(room)
    }
}

#[derive(Clone)]
struct Link(Arc<Mutex<Peer>>);

impl Link {
    fn new(peer: Peer) -> Self {
        Self(Arc::new(Mutex::new(peer)))
    }

    fn peer(&self) -> MutexGuard<'_, Peer> {
        self.0.lock().expect("nobody panics here")
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Link")
    }
}

impl Transport for Link {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut peer = self.peer();
        if peer.is_blocked(Interest::Read) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if peer.records.read == peer.records.incoming.len() {
            peer.speak();
        }
        if peer.records.read == peer.records.incoming.len()
            && let Some(held) = peer.records.held.take()
        {
            peer.records.put(&held);
        }
        let length = peer.records.read(buf);
        if length == 0 {
            peer.ends += 1;
            assert!(peer.ends < MOST_ENDS, "the end of the stream is read again and again");
        }
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut peer = self.peer();
        if peer.is_blocked(Interest::Write) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = peer.records.cut(buf.len());
        peer.receive(&buf[..length]);
        Ok(length)
    }

    /// What has blocked once is ready.
    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

impl Peer {
    fn is_blocked(&mut self, interest: Interest) -> bool {
        let direction = usize::from(interest == Interest::Write);
        self.blocked[direction] = !self.blocked[direction] && self.records.cuts.below(8) == 0;
        self.blocked[direction]
    }
}

/// The peer's side of TLS, for this role of ours: version and size of records by the flags.
fn connection(role: Role, flags: u8) -> Connection {
    static SERVERS: [OnceLock<Arc<ServerConfig>>; 4] = [const { OnceLock::new() }; 4];
    static CLIENTS: [OnceLock<Arc<ClientConfig>>; 4] = [const { OnceLock::new() }; 4];
    let versions = if flags & 4 == 0 { &VERSIONS[..] } else { &VERSIONS[1..] };
    let most = (flags & 8 != 0).then_some(64);
    let kind = usize::from(flags >> 2 & 3);
    let mut connection: Connection = match role {
        Role::Client => {
            let config = SERVERS[kind].get_or_init(|| {
                let mut config = server_config(versions);
                config.max_fragment_size = most;
                config.into()
            });
            ServerConnection::new(Arc::clone(config)).expect("the settings are good").into()
        }
        Role::Server => {
            let config = CLIENTS[kind].get_or_init(|| {
                let mut config = client_config(versions);
                config.max_fragment_size = most;
                config.into()
            });
            let name = ServerName::try_from("localhost").expect("a name");
            ClientConnection::new(Arc::clone(config), name).expect("the settings are good").into()
        }
    };
    connection.set_buffer_limit(None);
    connection
}

fn server_config(versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let (chain, key) = chain_and_key();
    ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate and its key")
}

fn client_config(versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(TestCertificate::AUTHORITY_PEM.as_bytes()).expect("a certificate");
    roots.add(authority).expect("an authority");
    let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(versions)
        .expect("known versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config
}

fn chain_and_key() -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(TestCertificate::CHAIN_PEM.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(TestCertificate::KEY_PEM.as_bytes()).expect("a key");
    (chain.collect::<Result<_, _>>().expect("certificates"), key)
}

/// Made once: certificates are read, and there may be those of the system.
fn client_options(library: TlsBackend) -> &'static TlsOptions {
    static NATIVE: OnceLock<TlsOptions> = OnceLock::new();
    static RUSTLS: OnceLock<TlsOptions> = OnceLock::new();
    match library {
        TlsBackend::Rustls => &RUSTLS,
        _ => &NATIVE,
    }
    .get_or_init(|| TestCertificate::tls_options().backend(library))
}

fn server_options(library: TlsBackend) -> &'static TlsOptions {
    static NATIVE: OnceLock<TlsOptions> = OnceLock::new();
    static RUSTLS: OnceLock<TlsOptions> = OnceLock::new();
    match library {
        TlsBackend::Rustls => {
            RUSTLS.get_or_init(|| TlsOptions::new().rustls_server_config(server_config(&VERSIONS).into()))
        }
        _ => NATIVE.get_or_init(|| {
            let (chain, key) = (TestCertificate::CHAIN_PEM, TestCertificate::KEY_PEM);
            let identity = native_tls::Identity::from_pkcs8(chain.as_bytes(), key.as_bytes()).expect("an identity");
            TlsOptions::new().acceptor(native_tls::TlsAcceptor::new(identity).expect("an acceptor"))
        }),
    }
}
