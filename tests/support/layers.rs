//! A server that follows a script over TCP, a Unix socket or TLS, with nothing in between: what it does not read stays unread.
//!
//! Whoever uses it has the modules `support` and `tls_peer` at the root of the crate.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::cell::RefCell;
use std::fmt::{Debug, Display};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;
use websocket_sync::protocol::{FrameHeader, Role};
use websocket_sync::test_kit::Peer;
use websocket_sync::{ConnectOptions, TlsBackend, TlsOptions, WebSocket};

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

/// A script that runs on a thread of its own. One that is dropped in a case of [`Cases`] is joined when the case is over, since it may
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
        UNJOINED.with_borrow_mut(|unjoined| match unjoined {
            Some(unjoined) => unjoined.push(Box::new(|| drop(join(script)))),
            None => panic!("a script that nobody joins"),
        });
    }
}

/// Joins a script; its panic becomes ours.
type Join = Box<dyn FnOnce()>;

thread_local! {
    /// The scripts that the case of this thread has dropped; `None` where no case runs.
    static UNJOINED: RefCell<Option<Vec<Join>>> = const { RefCell::new(None) };
}

/// Runs a case, and then joins the scripts that it has dropped.
fn with_scripts(case: impl FnOnce()) {
    UNJOINED.set(Some(Vec::new()));
    case();
    UNJOINED.take().into_iter().flatten().for_each(|join| join());
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

/// Cases of one test, which run at the same time, each on a thread of its own: one that fails does not hide the others.
#[derive(Default)]
pub(crate) struct Cases(Vec<(String, Box<dyn FnOnce() + Send>)>);

impl Cases {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&mut self, name: impl Display, case: impl FnOnce() + Send + 'static) {
        self.0.push((name.to_string(), Box::new(case)));
    }

    /// Runs all at the same time; a case that has not ended after `seconds` fails.
    #[track_caller]
    pub(crate) fn run(self, seconds: u64) {
        self.run_few(usize::MAX, seconds);
    }

    /// The same for cases that move much or that measure short times: so many run at the same time.
    #[track_caller]
    pub(crate) fn run_few(self, at_once: usize, seconds: u64) {
        let (tell, told): (Sender<(usize, bool)>, Receiver<_>) = mpsc::channel();
        let free = Arc::new((Mutex::new(at_once), Condvar::new()));
        let mut names = Vec::new();
        for (number, (name, case)) in self.0.into_iter().enumerate() {
            let (tell, free) = (tell.clone(), Arc::clone(&free));
            let worker = thread::Builder::new().name(name.clone());
            let worker = worker.spawn(move || {
                let (count, changed) = &*free;
                *changed.wait_while(count.lock().unwrap(), |count| *count == 0).unwrap() -= 1;
                let result = panic::catch_unwind(AssertUnwindSafe(|| with_scripts(case)));
                *count.lock().unwrap() += 1;
                changed.notify_one();
                let _ = tell.send((number, result.is_ok()));
            });
            worker.unwrap();
            names.push(Some((name, "hangs")));
        }
        let (all, start, limit) = (names.len(), Instant::now(), Duration::from_secs(seconds));
        for _ in 0..all {
            let Ok((number, passed)) = told.recv_timeout(limit.saturating_sub(start.elapsed())) else { break };
            match passed {
                true => names[number] = None,
                false => names[number].as_mut().unwrap().1 = "fails",
            }
        }
        let failed: Vec<_> = names.into_iter().flatten().map(|(name, how)| format!("{name} {how}")).collect();
        assert!(failed.is_empty(), "{} of {all} cases fail:\n  {}", failed.len(), failed.join("\n  "));
    }
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
