//! Every kind of opening that fails, a hundred times each: no descriptor, no thread and no memory is left behind. The whole process is
//! measured, so this is the only test in it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;
#[path = "support/tls_peer.rs"]
mod tls_peer;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use rustls::ServerConfig;
use support::{Peer, bounded, ms};
use tls_peer::{Authority, VERSIONS, Validity};
use websocket_sync::{
    Cancellation, CloseCause, ConnectOptions, Error, HandshakeError, Phase, RedirectProblem, SocketOptions, TlsOptions,
    UrlError,
};

const TIMES: usize = 100;
/// What is made once is made by then.
const WARM_UP: usize = 5;
/// What the process may grow by in all those rounds, in bytes, with all that the TLS library holds and nobody counts.
const GROWTH: u64 = 1 << 20;
/// How long an opening waits for what never comes.
const SHORT: Duration = ms(10);

/// One kind of opening that fails.
struct Kind {
    name: String,
    attempt: Box<dyn FnMut() -> Error + Send>,
    is_expected: Box<dyn Fn(&Error) -> bool + Send>,
    memory: Memory,
    /// Ends when the kind does.
    _server: Option<Server>,
}

/// Whose memory it is.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Memory {
    /// All is taken and given back by the thread that opens.
    Own,
    /// A part is taken by one thread and given back by another, so that only the whole can be looked at.
    Shared,
}

impl Kind {
    fn new(
        name: impl Into<String>,
        attempt: impl FnMut() -> Error + Send + 'static,
        is_expected: impl Fn(&Error) -> bool + Send + 'static,
    ) -> Self {
        let (attempt, is_expected) = (Box::new(attempt), Box::new(is_expected));
        Self { name: name.into(), attempt, is_expected, memory: Memory::Own, _server: None }
    }

    fn shared(self) -> Self {
        Self { memory: Memory::Shared, ..self }
    }

    /// Against a server.
    fn at(
        name: impl Into<String>,
        server: Server,
        scheme: &str,
        options: ConnectOptions,
        is_expected: impl Fn(&Error) -> bool + Send + 'static,
    ) -> Self {
        let url = format!("{scheme}://{}/", server.address);
        let attempt = move || options.connect(&url).unwrap_err();
        Self { _server: Some(server), ..Self::new(name, attempt, is_expected) }
    }

    /// What all those rounds leave behind, after what those at the other end need to notice.
    fn left_behind(&mut self, patience: Duration) -> Option<String> {
        let before = support::descriptors_and_threads();
        (0..WARM_UP).for_each(|_| self.fail());
        let memory = support::Memory::now();
        let own = measure(|| (0..TIMES).for_each(|_| self.fail()));
        if self.memory == Memory::Own && (own.count_current, own.bytes_current) != (0, 0) {
            return Some(format!("{own:?}"));
        }
        if memory.growth() > GROWTH {
            return Some(format!("{} bytes", memory.growth()));
        }
        let start = Instant::now();
        while support::descriptors_and_threads() != before && start.elapsed() < patience {
            thread::sleep(ms(1));
        }
        let after = support::descriptors_and_threads();
        (after != before).then(|| format!("{after:?} descriptors and threads, {before:?} before"))
    }

    fn fail(&mut self) {
        let error = (self.attempt)();
        assert!((self.is_expected)(&error), "{}: {error:?}", self.name);
    }
}

/// Does the same with each connection, one after the other, until it is dropped.
struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(script: impl Fn(TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if over.load(Ordering::Acquire) {
                    return;
                }
                script(stream);
            }
        });
        Self { address, is_over, thread: Some(thread) }
    }

    /// Reads a request, says this and closes.
    fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |stream| {
            let mut peer = Peer::new(stream);
            peer.head();
            let _ = peer.try_say(&answer);
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            support::join(thread);
        }
    }
}

#[test]
fn an_opening_that_fails_leaves_nothing_behind() {
    bounded(240, || {
        what_is_left_behind_is_noticed();
        let kinds: [fn() -> Vec<Kind>; 7] =
            [refusals, redirects, broken_answers, wrong_upgrades, tls, network, options];
        let mut count = 0;
        for kinds in kinds {
            for mut kind in kinds() {
                assert_eq!(kind.left_behind(ms(5000)), None, "{}", kind.name);
                count += 1;
            }
        }
        assert!(count >= 60, "{count} kinds");
    });
}

/// Of the test itself: each of the four would be seen.
fn what_is_left_behind_is_noticed() {
    let (_, threads) = support::descriptors_and_threads();
    let error = || ConnectOptions::new().connect("none").unwrap_err();
    let is_any = |_: &Error| true;
    let memory = move || {
        std::mem::forget(Box::new(1));
        error()
    };
    assert!(Kind::new("memory", memory, is_any).left_behind(ms(0)).is_some());
    let unseen = move || {
        std::mem::forget(vec![1_u8; 32 * 1024]);
        error()
    };
    assert!(Kind::new("unseen memory", unseen, is_any).shared().left_behind(ms(0)).unwrap().ends_with("bytes"));
    let descriptor = move || {
        std::mem::forget(std::fs::File::open("/dev/null").unwrap());
        error()
    };
    assert!(Kind::new("a descriptor", descriptor, is_any).left_behind(ms(0)).unwrap().contains("descriptors"));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = Arc::new(Mutex::new(stopped));
    let thread = move || {
        let stopped = Arc::clone(&stopped);
        drop(thread::spawn(move || stopped.lock().unwrap().recv().is_err()));
        error()
    };
    assert!(Kind::new("a thread", thread, is_any).shared().left_behind(ms(0)).is_some());
    drop(stop);
    while support::descriptors_and_threads().1 > threads {
        thread::sleep(ms(1));
    }
}

fn short() -> ConnectOptions {
    ConnectOptions::new().open_timeout(SHORT)
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::Timeout(_))
}

/// Answers that are HTTP, and no WebSocket.
fn refusals() -> Vec<Kind> {
    let table: [(&str, u16); 20] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\n\r\n", 300),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 304),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", 400),
        ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n", 401),
        ("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest nonce\r\nContent-Length: 0\r\n\r\n", 401),
        ("HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\nno!", 403),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nno!\r\n0\r\n\r\n", 404),
        ("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nno!\r\n", 404),
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", 407),
        ("HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\nContent-Length: 0\r\n\r\n", 426),
        ("HTTP/1.1 429 Slow down\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n", 429),
        ("HTTP/1.1 500 Oops\r\n\r\nuntil the end", 500),
        ("HTTP/1.0 500 Oops\r\n\r\n", 500),
        ("HTTP/1.1 503 \r\nContent-Length: 99\r\n\r\ncut off", 503),
        ("HTTP/1.1 599 \r\nContent-Length: none\r\n\r\n", 599),
        ("HTTP/1.1 599 \r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 599),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\n\r\nHTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 403),
        ("HTTP/1.1 999 \r\nContent-Length: 0\r\n\r\n", 999),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(answer, status)| {
            let is_expected = move |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == status);
            Kind::at(answer, Server::answering(answer), "ws", ConnectOptions::new(), is_expected)
        })
        .collect();
    let large = format!("HTTP/1.1 403 No\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000));
    let is_403 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 403);
    kinds.push(Kind::at("a large body", Server::answering(large), "ws", ConnectOptions::new(), is_403));
    let stalled = Server::new(|stream| {
        let mut peer = Peer::new(stream);
        peer.head();
        let _ = peer.try_say("HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nno");
        peer.rest();
    });
    kinds.push(Kind::at("a body that stalls", stalled, "ws", short(), move |error| is_403(error) || is_timeout(error)));
    kinds
}

/// Redirects that are not followed to the end, and challenges that are answered in vain.
fn redirects() -> Vec<Kind> {
    let table = [
        ("", RedirectProblem::MissingLocation),
        ("Location: /a\r\nLocation: /b\r\n", RedirectProblem::RepeatedLocation),
        ("Location: ftp://a/\r\n", RedirectProblem::Location(UrlError::Scheme("ftp".into()))),
        ("Location: /\r\n", RedirectProblem::Loop),
        ("Location: a/?\r\n", RedirectProblem::Limit { limit: 3 }),
    ];
    let redirects = table.into_iter().map(|(fields, problem)| {
        let answer = format!("HTTP/1.1 302 Found\r\n{fields}Content-Length: 3\r\n\r\nbye");
        let is_expected =
            move |error: &Error| matches!(error, Error::Redirect(redirect) if redirect.problem == problem);
        Kind::at(fields, Server::answering(answer), "ws", ConnectOptions::new(), is_expected)
    });
    let challenges = ["Basic", "Digest realm=\"a\", nonce=\"b\", qop=\"auth\""].map(|challenge| {
        let answer = format!("HTTP/1.1 401 Who\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 3\r\n\r\nwho");
        let is_expected = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 401);
        let options = ConnectOptions::new().credentials("user", "wrong");
        Kind::at(challenge, Server::answering(answer), "ws", options, is_expected)
    });
    redirects.chain(challenges).collect()
}

/// Whether it is this rule of the handshake that was broken.
type Rule = fn(&HandshakeError) -> bool;

/// Answers that are none.
fn broken_answers() -> Vec<Kind> {
    let many = format!("HTTP/1.1 101 Yes\r\n{}\r\n", "X: y\r\n".repeat(200));
    let long = format!("HTTP/1.1 101 Yes\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    let large = format!("HTTP/1.1 101 Yes\r\n{}\r\n", format!("X: {}\r\n", "y".repeat(8000)).repeat(20));
    let interim = "HTTP/1.1 102 Wait\r\n\r\n".repeat(20);
    let table: [(&str, Rule); 15] = [
        ("", |error| matches!(error, HandshakeError::Eof)),
        ("HTTP/1.1 101 Yes\r\nUpgr", |error| matches!(error, HandshakeError::Eof)),
        ("HTTP/1.1 100 Continue\r\n\r\n", |error| matches!(error, HandshakeError::Eof)),
        ("SSH-2.0-OpenSSH_9.9\r\n\r\n", |error| matches!(error, HandshakeError::NotHttp)),
        ("HTTP/1.1\r\n\r\n", |error| matches!(error, HandshakeError::HttpVersion)),
        ("HTTP/1.1 1o1 Yes\r\n\r\n", |error| matches!(error, HandshakeError::StatusLine)),
        ("HTTP/2.0 101 Yes\r\n\r\n", |error| matches!(error, HandshakeError::HttpVersion | HandshakeError::StatusLine)),
        ("HTTP/1.1 101 Yes\r\nNo colon\r\n\r\n", |error| matches!(error, HandshakeError::HeaderSyntax)),
        ("HTTP/1.1 101 Yes\r\nX: y\r\n folded\r\n\r\n", |error| matches!(error, HandshakeError::FoldedHeader)),
        ("HTTP/1.1 101 Yes\r\nX: y\0z\r\n\r\n", |error| matches!(error, HandshakeError::ControlCharacter)),
        ("HTTP/1.1 101 Yes\r\nX: y\rz\r\n\r\n", |error| matches!(error, HandshakeError::BareCarriageReturn)),
        (&many, |error| matches!(error, HandshakeError::TooManyFields { .. })),
        (&long, |error| matches!(error, HandshakeError::LineTooLong { .. })),
        (&large, |error| matches!(error, HandshakeError::HeadTooLarge { .. })),
        (&interim, |error| matches!(error, HandshakeError::TooManyInterim { .. })),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(answer, is_rule)| {
            let name = answer.chars().take(40).collect::<String>();
            let is_expected = move |error: &Error| match error {
                Error::Handshake(broken) => is_rule(broken),
                // Who has closed while this side still had to say something, or had not read all of it.
                Error::Io { phase: Phase::Handshake, .. } => answer_is_cut(error),
                _ => false,
            };
            Kind::at(name, Server::answering(answer), "ws", ConnectOptions::new(), is_expected)
        })
        .collect();
    let reset = Server::new(|stream| {
        let mut peer = Peer::new(stream);
        peer.head();
        let _ = peer.try_say("HTTP/1.1 101 Y");
        peer.reset();
    });
    let is_lost = |error: &Error| matches!(error, Error::Io { phase: Phase::Handshake, .. });
    kinds.push(Kind::at("a reset", reset, "ws", ConnectOptions::new(), is_lost));
    let silent = Server::new(|stream| drop(Peer::new(stream).rest()));
    kinds.push(Kind::at("silence", silent, "ws", short(), is_timeout));
    let dripping = Server::new(|stream| Peer::new(stream).drip("HTTP/1.1 101 Switching Protocols", ms(2)));
    kinds.push(Kind::at("one byte at a time", dripping, "ws", short(), |error| {
        is_timeout(error) || matches!(error, Error::Handshake(_) | Error::Io { .. })
    }));
    kinds
}

fn answer_is_cut(error: &Error) -> bool {
    matches!(error, Error::Io { error, .. } if error.kind() == io::ErrorKind::ConnectionReset)
}

/// 101, and something that does not fit.
fn wrong_upgrades() -> Vec<Kind> {
    type Change = fn(String) -> String;
    let table: [(&str, Change, Rule); 10] = [
        (
            "no accept",
            |answer| answer.replace("Sec-WebSocket-Accept", "X-Accept"),
            |error| matches!(error, HandshakeError::MissingAccept),
        ),
        (
            "another accept",
            |answer| answer.replace("Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x"),
            |error| matches!(error, HandshakeError::AcceptMismatch),
        ),
        (
            "two accepts",
            |answer| with(answer, "Sec-WebSocket-Accept: x"),
            |error| matches!(error, HandshakeError::RepeatedAccept),
        ),
        (
            "no Upgrade",
            |answer| answer.replace("Upgrade: websocket\r\n", ""),
            |error| matches!(error, HandshakeError::Upgrade),
        ),
        (
            "another Upgrade",
            |answer| answer.replace("Upgrade: websocket\r\n", "Upgrade: h2c\r\n"),
            |error| matches!(error, HandshakeError::Upgrade),
        ),
        (
            "no Connection",
            |answer| answer.replace("Connection: Upgrade", "Connection: close"),
            |error| matches!(error, HandshakeError::Connection),
        ),
        (
            "a subprotocol that was not offered",
            |answer| with(answer, "Sec-WebSocket-Protocol: x"),
            |error| matches!(error, HandshakeError::UnofferedSubprotocol(_)),
        ),
        (
            "two subprotocols",
            |answer| with(answer, "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y"),
            |error| matches!(error, HandshakeError::RepeatedSubprotocol),
        ),
        (
            "an extension that was not offered",
            |answer| with(answer, "Sec-WebSocket-Extensions: x"),
            |error| matches!(error, HandshakeError::UnofferedExtension(_)),
        ),
        (
            "an extension that cannot be read",
            |answer| with(answer, "Sec-WebSocket-Extensions: x;;="),
            |error| matches!(error, HandshakeError::ExtensionSyntax),
        ),
    ];
    table
        .into_iter()
        .map(|(name, change, is_rule)| {
            let server = Server::new(move |stream| {
                let mut peer = Peer::new(stream);
                let answer = support::answer_to(&peer.head());
                let _ = peer.try_say(change(answer));
            });
            let is_expected = move |error: &Error| matches!(error, Error::Handshake(broken) if is_rule(broken));
            Kind::at(name, server, "ws", ConnectOptions::new(), is_expected)
        })
        .collect()
}

/// The answer with one more line.
fn with(answer: String, line: &str) -> String {
    answer.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"))
}

/// TLS that does not come about.
fn tls() -> Vec<Kind> {
    let (authority, other) = (Authority::new(), Authority::new());
    let trusting = || ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem(&authority.pem));
    let is_tls = |error: &Error| matches!(error, Error::Tls(_));
    let is_lost = |error: &Error| matches!(error, Error::Tls(_) | Error::Io { phase: Phase::Tls, .. });
    let mut kinds = Vec::new();
    for version in VERSIONS {
        let leaves = [
            ("another name", authority.leaf("other.example", Validity::Now)),
            ("expired", authority.leaf("127.0.0.1", Validity::Over)),
            ("a stranger", other.leaf("127.0.0.1", Validity::Now)),
        ];
        for (name, leaf) in leaves {
            let server = speaking(leaf.server(version), |_| {});
            kinds.push(Kind::at(format!("{name}, {version:?}"), server, "wss", trusting(), is_tls));
        }
    }
    let garbage: [(&str, &[u8]); 6] = [
        ("HTTP in place of TLS", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
        ("an alert", b"\x15\x03\x03\x00\x02\x02\x28"),
        ("no version in common", b"\x15\x03\x03\x00\x02\x02\x46"),
        ("a record that is cut", b"\x16\x03\x03\x40\x00\x02\x00"),
        ("a record that is none", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        ("nothing", b""),
    ];
    for (name, bytes) in garbage {
        let server = Server::new(move |mut stream| {
            skip_client_hello(&mut stream);
            let _ = stream.write_all(bytes);
        });
        kinds.push(Kind::at(name, server, "wss", trusting(), is_lost));
    }
    let reset = Server::new(|mut stream| {
        skip_client_hello(&mut stream);
        Peer::new(stream).reset();
    });
    kinds.push(Kind::at("a reset instead of TLS", reset, "wss", trusting(), is_lost));
    let silent = Server::new(|stream| drop(Peer::new(stream).rest()));
    kinds.push(Kind::at("silence instead of TLS", silent, "wss", trusting().open_timeout(SHORT), is_timeout));
    let config = authority.server("127.0.0.1");
    let refusing = speaking(Arc::clone(&config), |tls| {
        let _ = tls.write_all(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n");
    });
    let is_403 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 403);
    kinds.push(Kind::at("a refusal over TLS", refusing, "wss", trusting(), is_403));
    let leaving = speaking(config, |_| {});
    let is_gone = |error: &Error| matches!(error, Error::Handshake(_) | Error::Io { phase: Phase::Handshake, .. });
    kinds.push(Kind::at("the end after TLS", leaving, "wss", trusting(), is_gone));
    kinds
}

/// Speaks TLS, hears a request, does this and says farewell.
fn speaking(config: Arc<ServerConfig>, then: fn(&mut tls_peer::Peer<TcpStream>)) -> Server {
    Server::new(move |stream| {
        let Ok(mut tls) = tls_peer::accept(Arc::clone(&config), stream) else { return };
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut piece = [0; 4096];
            match tls.read(&mut piece) {
                Ok(length) if length > 0 => request.extend_from_slice(&piece[..length]),
                _ => return,
            }
        }
        then(&mut tls);
        tls_peer::say_farewell(&mut tls);
    })
}

/// Reads the client's first record, since a socket that is closed unread resets the connection.
fn skip_client_hello(stream: &mut TcpStream) {
    let mut header = [0; 5];
    let mut rest = Vec::new();
    if stream.read_exact(&mut header).is_ok() {
        let length = u16::from_be_bytes([header[3], header[4]]);
        let _ = stream.take(length.into()).read_to_end(&mut rest);
    }
}

/// What happens before anybody answers.
fn network() -> Vec<Kind> {
    let dead = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let is_connect = |error: &Error| matches!(error, Error::Io { phase: Phase::Connect, .. });
    let is_cancelled = |error: &Error| error.close_info().is_some_and(|info| info.cause == CloseCause::Cancelled);
    let connecting = |options: ConnectOptions, url: String| move || options.connect(&url).unwrap_err();
    let address = dead();
    let many: Vec<SocketAddr> = (0..10).map(|_| dead()).collect();
    let unplugged = SocketOptions::new().configure(|_| Err(io::Error::other("cable unplugged")));
    let nameless = |error: &Error| matches!(error, Error::Address(_));
    let before = Cancellation::new();
    before.cancel();
    vec![
        Kind::new("nobody there", connecting(ConnectOptions::new(), format!("ws://{address}/")), is_connect),
        Kind::new("nobody there for TLS", connecting(ConnectOptions::new(), format!("wss://{address}/")), is_connect),
        Kind::new(
            "nobody at any of ten addresses",
            connecting(ConnectOptions::new().resolver(move |_, _| Ok(many.clone())), "ws://ten.example/".into()),
            is_connect,
        )
        .shared(),
        Kind::new(
            "a socket that cannot be set up",
            connecting(ConnectOptions::new().socket(unplugged), format!("ws://{address}/")),
            is_connect,
        ),
        Kind::new(
            "a name that does not resolve",
            connecting(
                ConnectOptions::new().resolver(|_, _| Err(io::Error::other("no such host"))),
                "ws://none.example/".into(),
            ),
            nameless,
        )
        .shared(),
        Kind::new(
            "a name without an address",
            connecting(ConnectOptions::new().resolver(|_, _| Ok(Vec::new())), "ws://none.example/".into()),
            nameless,
        )
        .shared(),
        Kind::new(
            "a name that takes too long",
            connecting(
                short().resolver(|_, _| {
                    thread::sleep(2 * SHORT);
                    Ok(Vec::new())
                }),
                "ws://slow.example/".into(),
            ),
            // The helpers that are still busy are counted.
            |error| is_timeout(error) || matches!(error, Error::Io { phase: Phase::Resolve, .. }),
        )
        .shared(),
        full(),
        Kind::new(
            "cancelled before",
            connecting(ConnectOptions::new().cancellation(&before), format!("ws://{address}/")),
            is_cancelled,
        ),
        cancelled_by_the_server("ws", is_cancelled),
        cancelled_by_the_server("wss", is_cancelled),
        Kind::new(
            "no Unix socket there",
            connecting(ConnectOptions::new(), "ws+unix:///nonexistent/feed.sock:/".into()),
            is_connect,
        ),
    ]
}

/// A listener that takes no more connections: whoever comes waits.
fn full() -> Kind {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let waiting: Vec<_> = (0..4).map(|_| TcpStream::connect_timeout(&address, ms(20))).collect();
    let options = short();
    let attempt = move || {
        let _keep = (&listener, &waiting);
        options.connect(&format!("ws://{address}/")).unwrap_err()
    };
    Kind::new("nobody answers", attempt, is_timeout)
}

/// The server calls the opening off as soon as it hears of it.
fn cancelled_by_the_server(scheme: &'static str, is_expected: fn(&Error) -> bool) -> Kind {
    let current = Arc::new(Mutex::new(Cancellation::new()));
    let heard = Arc::clone(&current);
    let server = Server::new(move |mut stream| {
        if stream.read(&mut [0; 4096]).is_ok() {
            heard.lock().unwrap().cancel();
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let url = format!("{scheme}://{}/", server.address);
    let attempt = move || {
        let cancellation = Cancellation::new();
        *current.lock().unwrap() = cancellation.clone();
        ConnectOptions::new().cancellation(&cancellation).connect(&url).unwrap_err()
    };
    // What wakes the one thread is dropped by the other.
    Kind { _server: Some(server), ..Kind::new(format!("cancelled by the server, {scheme}"), attempt, is_expected) }
        .shared()
}

/// What cannot be asked for.
fn options() -> Vec<Kind> {
    type Make = fn() -> ConnectOptions;
    type Expected = fn(&Error) -> bool;
    let is_option = |error: &Error| matches!(error, Error::Options(_));
    let is_usage = |error: &Error| matches!(error, Error::Usage(_));
    let is_url = |error: &Error| matches!(error, Error::Url(_));
    let table: [(&str, Make, &str, Expected); 10] = [
        ("no time", || ConnectOptions::new().timeout(Duration::ZERO), "ws://h/", is_option),
        (
            "a CA file that is none",
            || ConnectOptions::new().tls(TlsOptions::new().ca_certs("/nonexistent.pem")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        (
            "a CA that is none",
            || ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem("none")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        (
            "a server name that is none",
            || ConnectOptions::new().tls(TlsOptions::new().server_hostname("a b")),
            "wss://127.0.0.1:9/",
            is_option,
        ),
        ("a header that is none", || ConnectOptions::new().header("a b", "c"), "ws://h/", is_usage),
        ("a cookie that is none", || ConnectOptions::new().cookie("a\n"), "ws://h/", is_usage),
        ("a subprotocol twice", || ConnectOptions::new().subprotocols(["a", "a"]), "ws://h/", is_usage),
        ("another Upgrade", || ConnectOptions::new().header("Upgrade", "h2c"), "ws://h/", is_usage),
        ("a scheme that is none", ConnectOptions::new, "http://h/", is_url),
        ("a URL that is none", ConnectOptions::new, "ws://h:99999/", is_url),
    ];
    table
        .into_iter()
        .map(|(name, make, url, is_expected)| {
            let options = make();
            Kind::new(name, move || options.connect(url).unwrap_err(), is_expected)
        })
        .collect()
}
