//! What programs run on: threads, the system's clock, sockets.

use std::io;
use std::net::Shutdown;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};
pub(crate) use websocket_sync::protocol::ProtocolError;
pub(crate) use websocket_sync::protocol::handshake::accept_for;
pub(crate) use websocket_sync::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, DeflateOptions, Error, Frame, Message,
    MessageKind, MessageRef, Opcode, Sender, Transport, WebSocket,
};

use crate::model::Wire;

/// What a call may take beyond its deadline.
pub(crate) const SLACK: Duration = Duration::from_millis(100);
/// What one may take that does not wait.
pub(crate) const AT_ONCE: Duration = SLACK;
/// How much earlier than another event one must have been to be surely before it.
pub(crate) const TOLERANCE: Duration = Duration::from_millis(10);

pub(crate) fn now() -> Instant {
    Instant::now()
}

static LATE: AtomicU64 = AtomicU64::new(0);

/// Sums up by how much a thread that sleeps is late: by as much any other may be, each time that it is woken.
pub(crate) fn watch_the_clock() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        thread::spawn(|| {
            const NAP: Duration = Duration::from_millis(1);
            loop {
                let began = Instant::now();
                thread::sleep(NAP);
                let late = began.elapsed().saturating_sub(NAP).as_micros();
                LATE.fetch_add(3 * u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
    });
}

/// How long threads have been held up by the system so far.
pub(crate) fn late() -> Duration {
    Duration::from_micros(LATE.load(Ordering::Relaxed))
}

pub(crate) fn sleep(length: Duration) {
    thread::sleep(length);
}

pub(crate) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(body)
}

pub(crate) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

/// A connection: over TCP or a Unix socket, with buffers that are about so small.
pub(crate) fn pair(seed: u64, capacity: usize) -> (Box<dyn Transport>, SocketEnd) {
    #[cfg(unix)]
    if seed.is_multiple_of(2) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Socket::from(ours);
        let theirs = SocketEnd(theirs.into());
        set_capacity(&ours, capacity);
        set_capacity(&theirs.0, capacity);
        theirs.0.set_nonblocking(true).unwrap();
        return (UnixStream::from(ours).into(), theirs);
    }
    let _ = seed;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    // The peer's window must hold a segment, or the system sends by a timer.
    listener.set_recv_buffer_size(capacity.max(100_000)).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(1).unwrap();
    let ours = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    ours.set_send_buffer_size(capacity).unwrap();
    ours.connect(&listener.local_addr().unwrap()).unwrap();
    ours.set_tcp_nodelay(true).unwrap();
    let (theirs, _) = listener.accept().unwrap();
    theirs.set_tcp_nodelay(true).unwrap();
    theirs.set_nonblocking(true).unwrap();
    (std::net::TcpStream::from(ours).into(), SocketEnd(theirs))
}

fn set_capacity(socket: &Socket, bytes: usize) {
    socket.set_send_buffer_size(bytes).unwrap();
    socket.set_recv_buffer_size(bytes).unwrap();
}

/// The peer's end.
pub(crate) struct SocketEnd(Socket);

impl Wire for SocketEnd {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut &self.0, buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.send(buf)
    }

    fn wait(&self, readable: bool, writable: bool, longest: Duration) {
        if !readable && !writable {
            return thread::sleep(longest);
        }
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, readable);
        flags.set(PollFlags::OUT, writable);
        let longest = Timespec::try_from(longest).ok();
        let _ = poll(&mut [PollFd::new(&self.0, flags)], longest.as_ref());
    }

    fn shutdown_write(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    /// TCP says so when the socket is closed; a Unix socket knows no resets.
    fn reset(&self) {
        let _ = self.0.set_linger(Some(Duration::ZERO));
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
