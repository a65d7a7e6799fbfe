//! A peer that follows a script, over loopback: it says what the test says, when the test says it, and asserts what it hears. It is that
//! of the test kit, with panics for errors.
//!
//! Frames are read by a parser of the tests' own, not by that of the crate.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub(crate) mod cases;
pub(crate) mod refusing;
pub(crate) mod site;

use std::cell::{Ref, RefCell};
use std::io;
#[cfg(target_os = "linux")]
use std::net::IpAddr;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::Socket;
use websocket_sync::protocol::Role;
use websocket_sync::protocol::handshake::accept_for;
use websocket_sync::test_kit::{self, PeerError};
use websocket_sync::{CloseInfo, ConnectOptions, Error, Phase, Sender, WebSocket};

/// How long a peer waits for what its script expects: far longer than it takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a call may take beyond its deadline. Under wine each system call goes through another process.
pub(crate) const SLACK: Duration = Duration::from_millis(if cfg!(windows) { 300 } else { 100 });

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How often a test repeats what it finds the more with the more often it does: in full where the variable `LONG_TESTS` is set, as in
/// `.ci/run`.
pub(crate) fn times(in_full: usize, otherwise: usize) -> usize {
    if std::env::var_os("LONG_TESTS").is_some() { in_full } else { otherwise }
}

/// Runs a test that must end: one that hangs fails after `seconds`, and the others go on.
pub(crate) fn bounded<T: Send + 'static>(seconds: u64, test: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, ended) = mpsc::channel();
    let worker = thread::spawn(move || {
        let result = test();
        let _ = done.send(());
        result
    });
    match ended.recv_timeout(Duration::from_secs(seconds)) {
        Ok(()) | Err(RecvTimeoutError::Disconnected) => join(worker),
        Err(RecvTimeoutError::Timeout) => panic!("hangs: it has not ended after {seconds} s"),
    }
}

/// Joins a thread; its panic becomes ours.
pub(crate) fn join<T>(worker: JoinHandle<T>) -> T {
    worker.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
}

/// Any result without its value.
pub(crate) fn unit<T, E>(result: Result<T, E>) -> Result<(), E> {
    result.map(drop)
}

/// What a call returned, and how long it took.
pub(crate) fn timed<T>(call: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = call();
    (result, start.elapsed())
}

/// A call that must return when `deadline` has passed: not before, and not later than the crate promises.
#[track_caller]
pub(crate) fn at_deadline<T>(deadline: Duration, call: impl FnOnce() -> T) -> T {
    let (result, took) = timed(|| by_deadline(deadline, call));
    assert!(took + ms(5) >= deadline, "returned after {took:?}, before its deadline of {deadline:?}");
    result
}

/// A call that must return by `deadline`, and may return earlier. What this machine is late by is no fault of the crate's: a
/// thread beside it measures that.
#[track_caller]
pub(crate) fn by_deadline<T>(deadline: Duration, call: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let (result, took, late) = thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut worst = Duration::ZERO;
            while !done.load(Ordering::Acquire) {
                let ((), slept) = timed(|| thread::sleep(ms(2)));
                worst = worst.max(slept.saturating_sub(ms(2)));
            }
            worst
        });
        let ended = Ended(&done);
        let (result, took) = timed(call);
        drop(ended);
        (result, took, watch.join().unwrap())
    });
    // A call may be late each time that one of its threads is woken.
    let latest = deadline + SLACK + 3 * late;
    assert!(
        took <= latest,
        "returned after {took:?}, too late for its deadline of {deadline:?} (late by itself: {late:?})"
    );
    result
}

/// Ends the watch, also when the call panics.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A call that has nothing to wait for.
#[track_caller]
pub(crate) fn at_once<T>(call: impl FnOnce() -> T) -> T {
    by_deadline(Duration::ZERO, call)
}

/// Keeps the other tests of this file waiting: for those that measure the whole process.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What ended the connection.
#[track_caller]
pub(crate) fn closed<T: std::fmt::Debug>(result: Result<T, Error>) -> CloseInfo {
    match result {
        Err(Error::Closed(info)) => *info,
        other => panic!("not closed: {other:?}"),
    }
}

/// A peer's script, run by a thread of its own.
pub(crate) struct Script<T>(JoinHandle<T>);

impl<T> Script<T> {
    /// Waits for its end; what it did not like becomes a panic here.
    pub(crate) fn join(self) -> T {
        join(self.0)
    }
}

/// Listens; the script gets the first connection as it comes, before any handshake. Returns the URL.
pub(crate) fn serve<T: Send + 'static>(script: impl FnOnce(Peer) -> T + Send + 'static) -> (String, Script<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let script = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        script(Peer::new(stream))
    });
    (url, Script(script))
}

/// An open connection over TCP to a peer that goes on with its script.
pub(crate) fn open<T: Send + 'static>(
    options: &ConnectOptions,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> (WebSocket, Script<T>) {
    let (url, script) = serve(|mut peer| {
        peer.accept();
        script(peer)
    });
    (options.connect(&url).unwrap(), script)
}

/// A server that nobody reaches: its queue is full, and Linux drops what comes then without a word.
#[cfg(target_os = "linux")]
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    listener: Socket,
    _queue: Vec<Socket>,
}

#[cfg(target_os = "linux")]
impl BlackHole {
    pub(crate) fn new(ip: IpAddr) -> io::Result<Self> {
        let any = SocketAddr::new(ip, 0);
        let new = || Socket::new(socket2::Domain::for_address(any), socket2::Type::STREAM, None);
        let listener = new()?;
        listener.bind(&any.into())?;
        listener.listen(0)?;
        let address = listener.local_addr()?.as_socket().unwrap();
        let mut queue = Vec::new();
        loop {
            let socket = new()?;
            let connected = socket.connect_timeout(&address.into(), ms(100));
            queue.push(socket);
            if connected.is_err() {
                return Ok(Self { address, listener, _queue: queue });
            }
        }
    }

    /// Somebody comes who lets them in.
    pub(crate) fn open(self) -> TcpListener {
        self.listener.into()
    }
}

/// A pair of connected TCP sockets with the smallest buffers that the system grants: soon full.
///
/// Not for much: where the peer's window is smaller than a segment, the system may fall to sending some 2 KiB a second, by a timer.
pub(crate) fn narrow() -> (TcpStream, TcpStream) {
    narrow_with_room_for(1)
}

/// The same, where the peer's side takes so many bytes that it has not read.
pub(crate) fn narrow_with_room_for(bytes: usize) -> (TcpStream, TcpStream) {
    let listener = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.set_recv_buffer_size(bytes).unwrap();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let ours = Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    ours.set_send_buffer_size(1).unwrap();
    ours.connect(&listener.local_addr().unwrap()).unwrap();
    ours.set_tcp_nodelay(true).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    (ours.into(), theirs.into())
}

/// An open connection over these sockets, ours and the peer's.
pub(crate) fn open_over<T: Send + 'static>(
    (ours, theirs): (TcpStream, TcpStream),
    options: &ConnectOptions,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> (WebSocket, Script<T>) {
    let script = thread::spawn(move || {
        let mut peer = Peer::new(theirs);
        peer.accept();
        script(peer)
    });
    (options.connect_over(ours, "ws://peer/").unwrap(), Script(script))
}

/// The same for one that is quickly made and quickly gone.
#[cfg(unix)]
pub(crate) fn open_unix<T: Send + 'static>(
    options: &ConnectOptions,
    script: impl FnOnce(Peer) -> T + Send + 'static,
) -> (WebSocket, Script<T>) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let script = thread::spawn(move || {
        let mut peer = Peer::new(theirs);
        peer.accept();
        script(peer)
    });
    (options.connect_over(ours, "ws://peer/").unwrap(), Script(script))
}

/// A frame as the peer hears it: its first byte, and its payload without the mask.
pub(crate) type Heard = (u8, Vec<u8>);

/// The other end of a connection: a server, unless the test makes a client of it.
#[derive(Debug)]
pub(crate) struct Peer(RefCell<test_kit::Peer>);

impl Peer {
    pub(crate) fn new(socket: impl Into<Socket>) -> Self {
        let mut peer = test_kit::Peer::over(socket, Role::Server).unwrap();
        peer.set_timeout(PATIENCE);
        Self(RefCell::new(peer))
    }

    /// Reads a request and answers it with 101.
    pub(crate) fn accept(&mut self) {
        let answer = answer_to(&self.head());
        self.say(answer);
    }

    /// Reads the head of a request or an answer.
    pub(crate) fn head(&mut self) -> String {
        String::from_utf8(self.head_bytes()).unwrap()
    }

    /// The same where it need not be UTF-8.
    pub(crate) fn head_bytes(&mut self) -> Vec<u8> {
        let peer = self.0.get_mut();
        peer.expect_head().unwrap_or_else(|error| panic!("{error}: {:?}", peer.unread().escape_ascii().to_string()))
    }

    pub(crate) fn say(&self, bytes: impl AsRef<[u8]>) {
        self.try_say(bytes).unwrap();
    }

    /// The same to somebody who may have gone.
    pub(crate) fn try_say(&self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        sent(self.0.borrow_mut().send_bytes(bytes))
    }

    /// Says the same again and again until nobody listens any more, or `times` is reached.
    pub(crate) fn repeat(&self, bytes: impl AsRef<[u8]>, times: usize) -> io::Result<()> {
        let bytes = bytes.as_ref();
        let together = (64 * 1024 / bytes.len()).max(1);
        let many = bytes.repeat(together.min(times));
        for _ in 0..times / together {
            self.try_say(&many)?;
        }
        self.try_say(bytes.repeat(times % together))
    }

    /// Says one byte at a time, with a pause before each, until all is said or nobody listens.
    pub(crate) fn drip(&self, bytes: impl AsRef<[u8]>, pause: Duration) {
        thread::sleep(pause);
        let _ = self.0.borrow_mut().send_in_chunks(bytes, 1, pause);
    }

    /// Expects exactly these bytes next.
    #[track_caller]
    pub(crate) fn hear(&mut self, expected: impl AsRef<[u8]>) {
        expect(self.0.get_mut().expect_bytes(expected));
    }

    /// The next frame, of a client: masked, its length in the shortest form.
    #[track_caller]
    pub(crate) fn frame(&mut self) -> Heard {
        self.frame_or_end().expect("a frame, not the end of the connection")
    }

    /// The next frame, or `None` where the connection ends between two.
    #[track_caller]
    pub(crate) fn frame_or_end(&mut self) -> Option<Heard> {
        let peer = self.0.get_mut();
        match peer.expect_with("a frame, or the end of the connection between two", |bytes| Ok(parse(bytes))) {
            Err(PeerError::Ended { source: None, .. }) if peer.unread().is_empty() => None,
            frame => Some(expect(frame)),
        }
    }

    /// Frames until a Close; says its code, 1005 for none. Nothing but pongs and messages may come before it.
    #[track_caller]
    pub(crate) fn close_code(&mut self) -> u16 {
        loop {
            let (first, body) = self.frame();
            if first == 0x88 {
                return body.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
            }
            assert!(first & 0x7F <= 0x0A, "{first:02x} is no frame that may come");
        }
    }

    /// Expects a Close, answers it, and expects the end.
    #[track_caller]
    pub(crate) fn end(mut self) -> u16 {
        let code = self.close_code();
        let _ = self.try_say([0x88, 2, (code >> 8) as u8, code as u8]);
        let _ = self.0.get_mut().shutdown_write();
        let rest = self.rest();
        assert!(rest.is_empty(), "after the Close came {rest:02x?}");
        code
    }

    /// Expects a Close of a server, answers it, and expects the end.
    #[track_caller]
    pub(crate) fn end_as_client(mut self) {
        self.hear(b"\x88\x02\x03\xe8");
        self.say(masked_frame(0x88, b"\x03\xe8"));
        assert_eq!(self.rest(), b"");
    }

    /// Everything until the connection ends, however it does.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        rest_of(self.0.get_mut())
    }

    /// Ends what this side says; it still listens.
    pub(crate) fn fall_silent(&self) {
        self.0.borrow_mut().shutdown_write().unwrap();
    }

    /// Makes of the end a reset.
    pub(crate) fn reset(self) {
        self.0.into_inner().reset().unwrap();
    }

    pub(crate) fn socket(&self) -> Ref<'_, Socket> {
        Ref::map(self.0.borrow(), |peer| peer.socket().unwrap())
    }
}

/// What a call of the kit's peer gives; its error becomes a panic.
#[track_caller]
pub(crate) fn expect<T>(result: Result<T, PeerError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// What came of sending, in the words of std.
pub(crate) fn sent(result: Result<(), PeerError>) -> io::Result<()> {
    result.map_err(|error| match error {
        PeerError::Ended { source: Some(error), .. } => error,
        PeerError::Timeout { .. } => io::ErrorKind::TimedOut.into(),
        other => io::Error::other(other),
    })
}

/// Everything that a peer of the kit receives until the connection ends, however it does.
pub(crate) fn rest_of(peer: &mut test_kit::Peer) -> Vec<u8> {
    loop {
        let before = peer.unread().len();
        match peer.read_to_end() {
            Ok(rest) => return rest,
            // It goes on for longer than a peer waits for one thing.
            Err(PeerError::Timeout { .. }) if peer.unread().len() > before => {}
            Err(_) => return peer.unread().to_vec(),
        }
    }
}

/// The answer that opens the connection for this request.
pub(crate) fn answer_to(request: &str) -> String {
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_for(key)
    )
}

/// The first frame of a client in these bytes and how long it is; `None` if it is not all there.
///
/// # Panics
///
/// When it is not masked, or when its length is not in the shortest form.
#[track_caller]
pub(crate) fn parse(bytes: &[u8]) -> Option<(Heard, usize)> {
    let (&first, &second) = (bytes.first()?, bytes.get(1)?);
    assert_eq!(first & 0x70, 0, "reserved bits: {first:02x}");
    assert!(matches!(first & 0x0F, 0..=2 | 8..=10), "opcode: {first:02x}");
    assert_ne!(second & 0x80, 0, "no mask: {first:02x} {second:02x}");
    let (length, start) = match second & 0x7F {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        length => (u64::from(length), 2),
    };
    let shortest = match length {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    assert_eq!(start, shortest, "length {length} is not in its shortest form");
    let key: &[u8; 4] = bytes.get(start..)?.first_chunk()?;
    let end = start + 4 + usize::try_from(length).unwrap();
    let mut payload = bytes.get(start + 4..end)?.to_vec();
    // Four bytes at a time: this code is not optimized, and messages are large.
    let (words, rest) = payload.as_chunks_mut();
    words.iter_mut().for_each(|word| *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(*key)).to_ne_bytes());
    rest.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    Some(((first, payload), end))
}

/// All whole frames in these bytes, and what is left of an incomplete one.
#[track_caller]
pub(crate) fn parse_all(mut bytes: &[u8]) -> (Vec<Heard>, &[u8]) {
    let mut frames = Vec::new();
    while let Some((frame, length)) = parse(bytes) {
        frames.push(frame);
        bytes = &bytes[length..];
    }
    (frames, bytes)
}

/// A frame as a server says it.
pub(crate) fn frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(length as u8),
        length @ 126..65_536 => {
            bytes.push(126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame as a client says it.
pub(crate) fn masked_frame(first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];
    let payload = payload.as_ref();
    let mut bytes = frame(first, payload);
    let start = bytes.len() - payload.len();
    bytes[1] |= 0x80;
    bytes.iter_mut().skip(start).zip(KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    bytes.splice(start..start, KEY);
    bytes
}

/// Hears whole frames and one Close, behind which only a pong may come (RFC 6455, sections 5.5.1 and 5.5.2).
pub(crate) fn one_close(peer: &mut Peer) {
    while peer.frame().0 != 0x88 {}
    // It may have left already.
    let _ = peer.try_say(frame(0x88, b"\x03\xe8"));
    while let Some(heard) = peer.frame_or_end() {
        assert_eq!(heard, (0x8A, b"?".to_vec()), "behind the Close");
    }
}

/// Sends until the connection is closed, or so many messages are sent.
pub(crate) fn send_up_to(messages: usize, sender: &Sender, payload: &[u8]) {
    for _ in 0..messages {
        match sender.send_binary(payload) {
            Ok(_) => {}
            Err(Error::Closed(_)) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Sends until the socket takes no more; says how many messages went. Each is so short that it goes whole or not at all. The options
/// have a short send timeout.
pub(crate) fn fill(ws: &WebSocket) -> usize {
    let mut sent = 0;
    loop {
        match ws.send_binary(&[7; 100]) {
            Ok(_) => sent += 1,
            Err(Error::Timeout(Phase::Send)) => return sent,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A request that opens a connection.
pub(crate) const REQUEST: &str = "GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The most memory that the process held since [`Memory::now`], where the system tells. Code that was loaded meanwhile is not
/// counted: how much that is depends on how much is linked.
pub(crate) struct Memory {
    before: Option<Resident>,
}

/// What is resident of a process, in bytes.
struct Resident {
    all: u64,
    /// Of that, what is mapped from files.
    files: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        // Begins a new maximum.
        let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        Self { before: reset.then(|| resident("VmRSS:")).flatten() }
    }

    /// In bytes; 0 where it is not known.
    pub(crate) fn peak(&self) -> u64 {
        self.above("VmHWM:")
    }
}

/// What the process holds now more than then.
impl Memory {
    /// In bytes; 0 where it is not known.
    pub(crate) fn growth(&self) -> u64 {
        self.above("VmRSS:")
    }

    fn above(&self, field: &str) -> u64 {
        match (&self.before, resident(field)) {
            (Some(before), Some(now)) => {
                let loaded = now.files.saturating_sub(before.files);
                now.all.saturating_sub(before.all).saturating_sub(loaded)
            }
            _ => 0,
        }
    }
}

fn resident(field: &str) -> Option<Resident> {
    Some(Resident { all: status(field)?, files: status("RssFile:")? })
}

fn status(field: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// How many descriptors the process has open and how many threads it has, where the system tells.
pub(crate) fn descriptors_and_threads() -> (usize, usize) {
    let count = |path| std::fs::read_dir(path).map_or(0, Iterator::count);
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// The same, to compare with later. A thread that was joined is counted until the kernel has taken it down, which may take longer
/// than the call that joined it: so this waits until the numbers have stood still for a while.
pub(crate) fn settled_descriptors_and_threads() -> (usize, usize) {
    let (start, mut since, mut settled) = (Instant::now(), Instant::now(), descriptors_and_threads());
    while since.elapsed() < ms(50) && start.elapsed() < ms(5000) {
        thread::sleep(ms(5));
        let now = descriptors_and_threads();
        if now != settled {
            (settled, since) = (now, Instant::now());
        }
    }
    settled
}

/// The process has no more descriptors and threads than `before`, after what the kernel needs to take a thread down.
#[track_caller]
pub(crate) fn assert_back_at(before: (usize, usize)) {
    let is_back = || {
        let now = descriptors_and_threads();
        now.0 <= before.0 && now.1 <= before.1
    };
    let start = Instant::now();
    while !is_back() && start.elapsed() < ms(5000) {
        thread::sleep(ms(10));
    }
    assert!(is_back(), "{:?} descriptors and threads, {before:?} before", descriptors_and_threads());
}
