//! One end of a connection in the hands of a script: bytes, silence, and the ways to end.

mod frames;
mod handshake;
mod link;

use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

pub(super) use self::frames::take_payload;
use self::link::PeerLink;
use super::error::PeerError;
use super::recording::Recording;
use crate::protocol::Role;
use crate::trace::TraceDirection;

/// The other end of a connection under test: a server, or a client where a server is tested.
///
/// It does what it is told and nothing by itself: no ping is answered, no Close, unless the documentation of a call says so. Each call
/// waits for at most the [timeout](Self::set_timeout), and fails with a [`PeerError`] that says what was expected.
///
/// A [`TestServer`](super::TestServer) hands one to each script. Without it, a test runs the peer itself:
///
/// ```
/// use std::net::TcpListener;
/// use std::thread;
///
/// use websocket_sync::WebSocket;
/// use websocket_sync::test_kit::Peer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // The server under test.
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = thread::spawn(move || -> websocket_sync::Result<()> {
///     let (stream, _) = listener.accept().expect("a connection");
///     let mut ws = WebSocket::accept(stream)?;
///     let question = ws.recv()?;
///     ws.send_text(&format!("{} yourself", question.as_text().unwrap_or_default()))?;
///     ws.recv().map(drop)
/// });
///
/// let mut peer = Peer::connect(address)?;
/// peer.open("/")?;
/// peer.send_text("hello")?;
/// peer.expect_text("hello yourself")?;
/// peer.close(1000)?;
/// assert!(server.join().unwrap().unwrap_err().is_closed());
/// # Ok(())
/// # }
/// ```
pub struct Peer {
    role: Role,
    /// `None` when this side has ended it.
    link: Option<PeerLink>,
    /// What was received and not looked at.
    unread: Vec<u8>,
    timeout: Duration,
    recording: Option<Recording>,
    finish: FinishSignal,
}

/// How long a call of a peer waits, unless it is told otherwise.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// How many bytes a peer keeps that it has not looked at.
const MAX_UNREAD: usize = 256 << 20;

impl Peer {
    /// The peer's end of a connected pair of sockets: a [`TcpStream`](std::net::TcpStream), a `UnixStream`, a
    /// [`socket2::Socket`]. The role is the peer's.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::protocol::Role;
    /// use websocket_sync::test_kit::Peer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let (ours, theirs) = (std::net::TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0);
    /// let mut peer = Peer::over(theirs, Role::Server)?;
    /// let peer = std::thread::spawn(move || peer.accept().map(|request| request.target));
    /// let ws = ConnectOptions::new().connect_over(ours, "ws://peer/path")?;
    /// assert_eq!(peer.join().unwrap()?, "/path");
    /// # drop(ws);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn over(socket: impl Into<Socket>, role: Role) -> io::Result<Self> {
        Ok(Self::new(PeerLink::plain(socket.into())?, role))
    }

    /// The same over a stream that lies over the socket, such as TLS of another library. Where the stream waits, it waits for the socket:
    /// that bounds the wait. The socket is a clone of the one beneath the stream.
    ///
    /// ```
    /// use websocket_sync::protocol::Role;
    /// use websocket_sync::test_kit::Peer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// # let (_ours, stream) = (std::net::TcpStream::connect(listener.local_addr()?)?, listener.accept()?.0);
    /// let socket = stream.try_clone()?;
    /// let peer = Peer::layered(std::io::BufReader::new(stream).into_inner(), socket, Role::Server)?;
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn layered(
        stream: impl Read + Write + Send + 'static,
        socket: impl Into<Socket>,
        role: Role,
    ) -> io::Result<Self> {
        Ok(Self::new(PeerLink::layered(stream, socket.into())?, role))
    }

    /// A client that connects to a server under test. [`open`](Self::open) makes the opening handshake.
    ///
    /// # Errors
    ///
    /// [`PeerError::NotLoopback`], and what the operating system says.
    pub fn connect(address: SocketAddr) -> Result<Self, PeerError> {
        if !address.ip().is_loopback() {
            return Err(PeerError::NotLoopback(address));
        }
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.connect_timeout(&address.into(), DEFAULT_TIMEOUT)?;
        Ok(Self::over(socket, Role::Client)?)
    }

    /// The same with TLS. It trusts [`TestCertificate`](super::TestCertificate) and no other.
    ///
    /// ```no_run
    /// use websocket_sync::test_kit::Peer;
    ///
    /// let mut peer = Peer::connect_tls(([127, 0, 0, 1], 9001).into())?;
    /// peer.open("/")?;
    /// # Ok::<(), websocket_sync::test_kit::PeerError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::NoTlsLibrary`], [`PeerError::Tls`], and as for [`connect`](Self::connect).
    pub fn connect_tls(address: SocketAddr) -> Result<Self, PeerError> {
        let mut peer = Self::connect(address)?;
        peer.with_tls(PeerLink::connect_tls)?;
        Ok(peer)
    }

    fn new(link: PeerLink, role: Role) -> Self {
        Self {
            role,
            link: Some(link),
            unread: Vec::new(),
            timeout: DEFAULT_TIMEOUT,
            recording: None,
            finish: FinishSignal::default(),
        }
    }

    /// Makes the TLS handshake of a server.
    pub(super) fn accept_tls(&mut self) -> Result<(), PeerError> {
        self.with_tls(PeerLink::accept_tls)
    }

    fn with_tls(&mut self, handshake: fn(PeerLink, Instant) -> Result<PeerLink, PeerError>) -> Result<(), PeerError> {
        if let Some(link) = self.link.take() {
            self.link = Some(handshake(link, self.deadline())?);
        }
        Ok(())
    }

    /// What ends its waits early, for the server that it belongs to.
    pub(super) fn set_finish(&mut self, finish: FinishSignal) {
        self.finish = finish;
    }

    /// The same for others, for as long as the peer has it.
    pub(super) fn weak_socket(&self) -> Weak<Socket> {
        self.link.as_ref().map(|link| Arc::downgrade(link.socket())).unwrap_or_default()
    }

    /// How long each call waits from now on, a millisecond at least and a day at most. Default: 10 s.
    pub const fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Records what is sent and received from now on. The peers of a [`TestServer`](super::TestServer) record from the beginning.
    ///
    /// ```
    /// use websocket_sync::TraceDirection;
    /// use websocket_sync::test_kit::{Peer, Recording, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| peer.expect_request().map(drop))?;
    /// let mut client = Peer::connect(server.address())?;
    /// let recording = Recording::new();
    /// client.record(&recording);
    /// client.open("/").unwrap_err(); // nobody answers
    /// server.finish()?;
    /// assert_eq!(recording.bytes(TraceDirection::Received), b"");
    /// # Ok(())
    /// # }
    /// ```
    pub fn record(&mut self, recording: &Recording) {
        self.recording = Some(recording.clone());
    }

    /// The socket beneath, to set its options, or to read and write past the peer; `None` once this side has ended the connection. Its
    /// timeouts are set anew by each call of the peer.
    pub fn socket(&self) -> Option<&Socket> {
        self.link.as_ref().map(|link| &**link.socket())
    }

    /// What was received and not looked at.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Which end of the connection this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Sends these bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// [`PeerError::Timeout`] where the other side does not read, [`PeerError::Ended`] where it has gone.
    pub fn send_bytes(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), PeerError> {
        const EXPECTED: &str = "room for what is sent";
        let mut rest = bytes.as_ref();
        let until = self.deadline();
        while !rest.is_empty() {
            let link = self.link.as_mut().ok_or_else(|| ended(EXPECTED, None))?;
            let sent = link.write(rest, until).map_err(|error| self.failed(EXPECTED, error))?;
            let (sent, unsent) = rest.split_at(sent.min(rest.len()));
            self.note(TraceDirection::Sent, sent);
            rest = unsent;
        }
        Ok(())
    }

    /// Sends bytes in chunks of this size (at least 1), with a pause before each but the first.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use websocket_sync::test_kit::TestServer;
    /// use websocket_sync::{Frame, Opcode, create_connection};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     let frame = peer.encode(&Frame::new(Opcode::Text, "bit by bit"));
    ///     peer.send_in_chunks(frame, 1, Duration::from_millis(1))
    /// })?;
    /// assert_eq!(create_connection(server.url())?.recv()?.as_text(), Some("bit by bit"));
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_in_chunks(&mut self, bytes: impl AsRef<[u8]>, size: usize, pause: Duration) -> Result<(), PeerError> {
        for (number, chunk) in bytes.as_ref().chunks(size.max(1)).enumerate() {
            if number > 0 {
                thread::sleep(pause);
            }
            self.send_bytes(chunk)?;
        }
        Ok(())
    }

    /// Expects exactly these bytes next.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use websocket_sync::protocol::Role;
    /// use websocket_sync::test_kit::{Peer, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.expect_bytes("PING\r\n")?;
    ///     peer.send_bytes("PONG\r\n")?;
    ///     peer.expect_end()
    /// })?;
    /// let mut client = Peer::connect(server.address())?;
    /// assert_eq!(client.role(), Role::Client);
    /// client.set_timeout(Duration::from_secs(1));
    /// client.socket().expect("it is open").set_tcp_nodelay(true)?;
    /// client.send_bytes("PING\r\n")?;
    /// client.expect_bytes("PO")?;
    /// client.shutdown_write()?;
    /// assert_eq!(client.read_to_end()?, b"NG\r\n");
    /// assert_eq!(client.unread(), b"");
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`], [`PeerError::Timeout`], [`PeerError::Ended`].
    pub fn expect_bytes(&mut self, expected: impl AsRef<[u8]>) -> Result<(), PeerError> {
        let expected = expected.as_ref();
        let shown = shown(expected);
        let received = self.expect_with(&shown, |bytes| {
            Ok(bytes.get(..expected.len()).map(|bytes| (bytes.to_vec(), expected.len())))
        })?;
        if received == expected { Ok(()) } else { Err(PeerError::unexpected(shown, self::shown(&received))) }
    }

    /// Receives until `parse` finds what it looks for at the beginning of what has come: the value, and how many bytes it takes. `None`
    /// asks for more. For protocols that the kit does not speak, such as that of a proxy.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::test_kit::{PeerError, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // A SOCKS5 proxy that wants a way of authentication that nobody offers.
    /// let proxy = TestServer::start(|peer| {
    ///     let offered = peer.expect_with("a SOCKS5 greeting", |bytes| match bytes {
    ///         [5, count, methods @ ..] if methods.len() >= usize::from(*count) => Ok(Some((methods.to_vec(), 2 + methods.len()))),
    ///         [] | [5, ..] => Ok(None),
    ///         _ => Err(PeerError::other("no SOCKS5")),
    ///     })?;
    ///     assert_eq!(offered, [0]);
    ///     peer.send_bytes([5, 0xFF])
    /// })?;
    /// let options = ConnectOptions::new().proxy(format!("socks5h://{}", proxy.address()));
    /// assert!(options.connect("ws://feed.example/").is_err());
    /// proxy.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Timeout`], [`PeerError::Ended`], [`PeerError::TooLong`], and what `parse` says.
    pub fn expect_with<T>(
        &mut self,
        expected: &str,
        mut parse: impl FnMut(&[u8]) -> Result<Option<(T, usize)>, PeerError>,
    ) -> Result<T, PeerError> {
        let until = self.deadline();
        loop {
            if let Some((found, length)) = parse(&self.unread)? {
                self.unread.drain(..length.min(self.unread.len()));
                return Ok(found);
            }
            match self.receive(until) {
                Ok(0) => return Err(ended(expected, None)),
                Ok(_) => {}
                Err(error) => return Err(self.failed(expected, error)),
            }
            if self.unread.len() > MAX_UNREAD {
                return Err(PeerError::TooLong { expected: expected.to_owned(), limit: MAX_UNREAD });
            }
        }
    }

    /// Expects that the other side ends the connection, in order or by a reset, and sends nothing before.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for bytes, [`PeerError::Timeout`].
    pub fn expect_end(&mut self) -> Result<(), PeerError> {
        let rest = self.read_to_end()?;
        if rest.is_empty() { Ok(()) } else { Err(PeerError::unexpected(END, shown(&rest))) }
    }

    /// All that comes until the other side ends the connection, in order or by a reset.
    ///
    /// # Errors
    ///
    /// [`PeerError::Timeout`] where it does not; [`PeerError::TooLong`].
    pub fn read_to_end(&mut self) -> Result<Vec<u8>, PeerError> {
        let mut is_ended = false;
        let until = self.deadline();
        while !is_ended {
            is_ended = match self.receive(until) {
                Ok(length) => length == 0,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(self.failed(END, error)),
                Err(_) => true,
            };
            if self.unread.len() > MAX_UNREAD {
                return Err(PeerError::TooLong { expected: END.to_owned(), limit: MAX_UNREAD });
            }
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// Neither sends nor reads for so long, or until the test has [finished](super::TestServer::finish) the server, or dropped it.
    ///
    /// # Errors
    ///
    /// None: it returns a result so that it can be the last call of a script.
    pub fn stall(&mut self, longest: Duration) -> Result<(), PeerError> {
        self.finish.wait(longest);
        Ok(())
    }

    /// Ends what this side sends (a half-close); it can still receive.
    ///
    /// # Errors
    ///
    /// [`PeerError::Ended`] where the connection is gone.
    pub fn shutdown_write(&mut self) -> Result<(), PeerError> {
        const EXPECTED: &str = "an open connection";
        let link = self.link.as_ref().ok_or_else(|| ended(EXPECTED, None))?;
        link.shutdown_write().map_err(|error| ended(EXPECTED, Some(error)))
    }

    /// Ends the connection by a reset (RST): the other side loses what it has not read.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn reset(&mut self) -> Result<(), PeerError> {
        self.link.take().map_or(Ok(()), |link| Ok(link.reset()?))
    }

    /// Ends both directions.
    fn end(&mut self) {
        self.link = None;
    }

    /// Ends the connection so that the other side still gets all that was sent. To close a socket with unread bytes in it would be a
    /// reset.
    pub(super) fn end_in_order(mut self) {
        if self.link.as_ref().is_none_or(|link| link.shutdown_write().is_err()) {
            return;
        }
        let until = self.deadline();
        while self.receive(until).is_ok_and(|length| length > 0) {
            self.unread.clear();
        }
    }

    /// When a call that begins now has to end.
    fn deadline(&self) -> Instant {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Instant::now() + self.timeout.clamp(Duration::from_millis(1), DAY)
    }

    /// Reads once; 0 at the end.
    fn receive(&mut self, until: Instant) -> io::Result<usize> {
        let Some(link) = &mut self.link else { return Ok(0) };
        let mut chunk = [0; 64 * 1024];
        let length = link.read(&mut chunk, until)?.min(chunk.len());
        self.note(TraceDirection::Received, &chunk[..length]);
        self.unread.extend_from_slice(&chunk[..length]);
        Ok(length)
    }

    fn note(&self, direction: TraceDirection, bytes: &[u8]) {
        if let Some(recording) = &self.recording {
            recording.note(direction, bytes);
        }
    }

    fn failed(&self, expected: &str, error: io::Error) -> PeerError {
        match error.kind() {
            io::ErrorKind::TimedOut => PeerError::Timeout { expected: expected.to_owned(), timeout: self.timeout },
            _ => ended(expected, Some(error)),
        }
    }
}

const END: &str = "the end of the connection";

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Peer");
        shown.field("role", &self.role).field("unread", &format_args!("{} bytes", self.unread.len()));
        shown.field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

fn ended(expected: &str, source: Option<io::Error>) -> PeerError {
    PeerError::Ended { expected: expected.to_owned(), source }
}

/// The beginning of bytes, for people.
fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 100;
    match bytes.get(..MOST) {
        None => format!("b\"{}\"", bytes.escape_ascii()),
        Some(first) => format!("b\"{}\"… ({} bytes)", first.escape_ascii(), bytes.len()),
    }
}

/// Says that the test has finished its server, to the scripts that wait for that.
#[derive(Clone, Debug, Default)]
pub(super) struct FinishSignal(Arc<(Mutex<bool>, Condvar)>);

impl FinishSignal {
    pub(super) fn set(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    pub(super) fn is_set(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, longest: Duration) {
        let finished = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.0.1.wait_timeout_while(finished, longest, |finished| !*finished);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
