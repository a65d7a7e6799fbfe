//! A server that follows a script over TCP, a Unix socket or TLS, with nothing in between: what it does not read stays unread.
//!
//! Whoever uses it has the modules `support` and `tls_peer` at the root of the crate.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use socket2::Socket;
use websocket_sync::protocol::{FrameHeader, Role};
use websocket_sync::test_kit::Peer;
use websocket_sync::{ConnectOptions, TlsBackend, TlsOptions, WebSocket};

use crate::support::cases::when_the_case_is_over;
use crate::support::{Heard, PATIENCE, answer_to, by_deadline, expect, join, ms, parse, rest_of, sent};
use crate::tls_peer;

/// What the bytes pass through.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Layer {
    Tcp,
    #[cfg(unix)]
    Unix,
    Tls(TlsBackend),
}

/// All of them.
pub(crate) const LAYERS: &[Layer] = &[
    Layer::Tcp,
    #[cfg(unix)]
    Layer::Unix,
    #[cfg(feature = "native-tls")]
    Layer::Tls(TlsBackend::NativeTls),
    #[cfg(feature = "rustls")]
    Layer::Tls(TlsBackend::Rustls),
];

/// TCP, and TLS of each library.
pub(crate) const TCP_AND_TLS: &[Layer] = &[
    Layer::Tcp,
    #[cfg(feature = "native-tls")]
    Layer::Tls(TlsBackend::NativeTls),
    #[cfg(feature = "rustls")]
    Layer::Tls(TlsBackend::Rustls),
];

/// A pair of connected TCP sockets with the buffers that the system gives.
pub(crate) fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (ours, listener.accept().unwrap().0)
}

/// The server's end of a connection.
pub(crate) struct Server(Peer);

impl Server {
    fn new(wire: impl Read + Write + Send + 'static, socket: Socket) -> Self {
        let mut peer = Peer::layered(wire, socket, Role::Server).unwrap();
        peer.set_timeout(PATIENCE);
        Self(peer)
    }

    /// Answers the request with 101, and says `more` in the same segment.
    pub(crate) fn accept_and_say(&mut self, more: &[u8]) {
        let head = self.head();
        let answer = [answer_to(&head).as_bytes(), more].concat();
        self.say(answer);
    }

    /// Answers the request with 101 and these fields.
    pub(crate) fn accept_with(&mut self, fields: &str) {
        let answer = answer_to(&self.head());
        self.say(format!("{}{fields}\r\n", answer.strip_suffix("\r\n").unwrap()));
    }

    pub(crate) fn head(&mut self) -> String {
        String::from_utf8(expect(self.0.expect_head())).unwrap()
    }

    #[track_caller]
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes).unwrap();
    }

    pub(crate) fn try_say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        sent(self.0.send_bytes(bytes))
    }

    /// The next frame of a client.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Heard {
        expect(self.0.expect_with("a frame", |bytes| Ok(parse(bytes))))
    }

    /// The next frame, or `None` where the connection ends before it is whole.
    #[track_caller]
    pub(crate) fn frame_or_end(&mut self) -> Option<Heard> {
        self.0.expect_with("a frame", |bytes| Ok(parse(bytes))).ok()
    }

    /// The first byte of the next frame, and the length of its payload, which is not looked at.
    #[track_caller]
    pub(crate) fn frame_length(&mut self) -> (u8, usize) {
        expect(self.0.expect_with("a frame", |bytes| {
            let Some((header, start)) = FrameHeader::parse(bytes)? else { return Ok(None) };
            let length = usize::try_from(header.len).unwrap();
            Ok((bytes.len() >= start + length).then(|| ((bytes[0], length), start + length)))
        }))
    }

    /// Reads until so many bytes have come that are not looked at.
    pub(crate) fn take(&mut self, length: usize) {
        expect(self.0.expect_with("bytes", |bytes| Ok((bytes.len() >= length).then_some(((), 0)))));
    }

    /// Skips messages and pings until a Close; its code, 1005 for none.
    #[track_caller]
    pub(crate) fn close_code(&mut self) -> u16 {
        loop {
            let (first, body) = self.frame();
            if first == 0x88 {
                return body.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            }
        }
    }

    /// Everything until the connection ends, however it does.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        rest_of(&mut self.0)
    }

    /// Makes of the end a reset.
    pub(crate) fn reset(mut self) {
        self.0.reset().unwrap();
    }
}

/// A script that runs on a thread of its own. One that is dropped in a case of `Cases` is joined when the case is over, since it may
/// wait for something that the case drops later: the end of the connection. Everywhere else it has to be joined.
pub(crate) struct Script<T: Send + 'static>(Option<JoinHandle<T>>);

impl<T: Send + 'static> Script<T> {
    const fn new(thread: JoinHandle<T>) -> Self {
        Self(Some(thread))
    }

    pub(crate) fn join(mut self) -> T {
        join(self.0.take().unwrap())
    }

    /// For a script that asserts nothing and writes without a pause: where the peer's window is closed when this side closes, Linux
    /// may leave the write blocked.
    pub(crate) fn detach(mut self) {
        self.0 = None;
    }
}

impl<T: Send + 'static> Drop for Script<T> {
    fn drop(&mut self) {
        let Some(script) = self.0.take() else { return };
        if thread::panicking() {
            return;
        }
        assert!(when_the_case_is_over(|| drop(join(script))), "a script that nobody joins");
    }
}

/// An open connection; the server answers the request, with `first` behind its 101, and goes on with its script.
pub(crate) fn open_saying<T: Send + 'static>(
    layer: Layer,
    pair: fn() -> (TcpStream, TcpStream),
    options: &ConnectOptions,
    first: Vec<u8>,
    script: impl FnOnce(Server) -> T + Send + 'static,
) -> (WebSocket, Script<T>) {
    let script = move |mut server: Server| {
        server.accept_and_say(&first);
        script(server)
    };
    match layer {
        Layer::Tcp => {
            let (ours, theirs) = pair();
            let peer = thread::spawn(move || {
                let socket = theirs.try_clone().unwrap().into();
                script(Server::new(theirs, socket))
            });
            (options.connect_over(ours, "ws://peer/").unwrap(), Script::new(peer))
        }
        #[cfg(unix)]
        Layer::Unix => {
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            let peer = thread::spawn(move || {
                let socket = theirs.try_clone().unwrap().into();
                script(Server::new(theirs, socket))
            });
            (options.connect_over(ours, "ws://peer/").unwrap(), Script::new(peer))
        }
        Layer::Tls(backend) => {
            let (ours, theirs) = pair();
            let authority = tls_peer::Authority::new();
            let config = authority.server("localhost");
            let peer = thread::spawn(move || {
                let socket = theirs.try_clone().unwrap().into();
                script(Server::new(tls_peer::accept(config, theirs).unwrap(), socket))
            });
            let tls = TlsOptions::new().backend(backend).ca_certs_pem(authority.pem.as_bytes());
            let options = options.clone().tls(tls);
            (options.connect_over(ours, "wss://localhost/").unwrap(), Script::new(peer))
        }
    }
}

/// The same with nothing behind the 101.
pub(crate) fn open_on<T: Send + 'static>(
    layer: Layer,
    options: &ConnectOptions,
    script: impl FnOnce(Server) -> T + Send + 'static,
) -> (WebSocket, Script<T>) {
    open_saying(layer, tcp_pair, options, Vec::new(), script)
}

/// A call that has nothing to wait for, where many others load the machine at the same time. What it must not wait for takes longer.
#[track_caller]
pub(crate) fn promptly<T>(call: impl FnOnce() -> T) -> T {
    by_deadline(ms(300), call)
}

/// Asserts that a call fails, and hands out the error.
#[track_caller]
pub(crate) fn refused<T: Debug, E>(result: Result<T, E>) -> E {
    match result {
        Ok(value) => panic!("it succeeds: {value:?}"),
        Err(error) => error,
    }
}
