//! Every kind of opening that fails, many times each: no descriptor, no thread and no memory is left behind. The whole process is
//! measured, so this is the only test in it.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/backends.rs"]
mod backends;
mod http;
mod network;
mod options;
mod proxies;
mod redirects;
#[path = "../support/mod.rs"]
mod support;
mod tls;
#[path = "../support/tls_peer.rs"]
mod tls_peer;

use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use allocation_counter::measure;
use rustls::ServerConfig;
use support::refusing::{RefusingAddress, refusing_address};
use support::{Peer, bounded, ms};
use tls_peer::{Authority, VERSIONS, Validity};
use websocket_sync::TlsBackend;
use websocket_sync::{
    Cancellation, CloseCause, ConnectOptions, Error, HandshakeError, Phase, SocketOptions, TlsOptions,
};

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

    /// What all those rounds leave behind beside these descriptors and threads, after what those at the other end need to notice.
    fn left_behind(&mut self, before: (usize, usize), patience: Duration) -> Option<String> {
        (0..WARM_UP).for_each(|_| self.fail());
        let (memory, times) = (support::Memory::now(), support::times(100, 25));
        let own = measure(|| (0..times).for_each(|_| self.fail()));
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

    /// Whenever it has heard something it says the next of these, and then closes.
    fn scripted(answers: &'static [&'static [u8]]) -> Self {
        Self::new(move |mut stream| {
            for answer in answers {
                let heard = stream.read(&mut [0; 4096]);
                if heard.is_err() || stream.write_all(answer).is_err() {
                    return;
                }
            }
        })
    }

    /// Hears whatever comes, and says nothing.
    fn silent() -> Self {
        Self::new(|stream| drop(Peer::new(stream).rest()))
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
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking(), "the server has panicked");
    }
}

#[test]
fn an_opening_that_fails_leaves_nothing_behind() {
    bounded(240, || {
        what_is_left_behind_is_noticed();
        let kinds: [fn() -> Vec<Kind>; 11] = [
            http::refusals,
            http::broken_answers,
            http::wrong_upgrades,
            redirects::redirects,
            redirects::challenges,
            proxies::http,
            proxies::socks,
            proxies::tls,
            tls::tls,
            network::network,
            options::options,
        ];
        let mut count = 0;
        for kinds in kinds {
            let mut kinds = kinds();
            // The servers stay until all have had their turn: so each kind begins with what the one before it had to come back to.
            let before = support::settled_descriptors_and_threads();
            for kind in &mut kinds {
                assert_eq!(kind.left_behind(before, ms(5000)), None, "{}", kind.name);
            }
            count += kinds.len();
        }
        assert!(count >= 60, "{count} kinds");
    });
}

/// Of the test itself: each of the four would be seen.
fn what_is_left_behind_is_noticed() {
    let (_, threads) = support::descriptors_and_threads();
    let error = || ConnectOptions::new().connect("none").unwrap_err();
    let is_any = |_: &Error| true;
    let settled = support::settled_descriptors_and_threads;
    let memory = move || {
        std::mem::forget(black_box(Box::new(1)));
        error()
    };
    assert!(Kind::new("memory", memory, is_any).left_behind(settled(), ms(0)).is_some());
    let unseen = move || {
        std::mem::forget(black_box(vec![1_u8; 64 * 1024]));
        error()
    };
    assert!(
        Kind::new("unseen memory", unseen, is_any).shared().left_behind(settled(), ms(0)).unwrap().ends_with("bytes")
    );
    let descriptor = move || {
        std::mem::forget(std::fs::File::open("/dev/null").unwrap());
        error()
    };
    assert!(
        Kind::new("a descriptor", descriptor, is_any).left_behind(settled(), ms(0)).unwrap().contains("descriptors")
    );
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = Arc::new(Mutex::new(stopped));
    let thread = move || {
        let stopped = Arc::clone(&stopped);
        drop(thread::spawn(move || stopped.lock().unwrap().recv().is_err()));
        error()
    };
    assert!(Kind::new("a thread", thread, is_any).shared().left_behind(settled(), ms(0)).is_some());
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
