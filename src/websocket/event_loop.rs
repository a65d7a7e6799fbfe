//! What others see of a connection without its locks: whether anything comes in, and the event loop that it belongs to.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::never_panic_twice;
use crate::net::Deadline;
use crate::sync::{AtomicBool, AtomicU64};

/// Receive activity, published for keepalive and for those who close: a few stores per read of the network, none per message.
#[derive(Debug, Default)]
pub(super) struct Activity {
    received: AtomicU64,
    /// How many bytes of a message have come that is not whole.
    gathered: AtomicU64,
    /// A receive waits for bytes, or a loop does that will be told when some come.
    waiting: AtomicBool,
    /// A receive waits in the network: nothing but bytes, the end of the connection or its deadline wakes it.
    blocked: AtomicBool,
    /// A large frame is leaving.
    sending: AtomicBool,
}

/// The activity of a connection, as another thread sees it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct ActivitySnapshot {
    /// A number that grows with every byte that comes in.
    pub(crate) received: u64,
    /// Whether the peer can be expected to be heard: a receive waits for bytes, and nothing large is leaving behind which a ping
    /// would have to wait.
    pub(crate) waiting: bool,
}

/// The event loop that a connection was handed to. From then on no call that sends waits.
#[derive(Default)]
pub(super) struct EventLoop {
    /// Tells the loop that a Close, or what could not be sent at once, needs its attention.
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
    /// Counts the bytes that were sent without waiting.
    sent: AtomicU64,
}

/// What an edge-triggered loop is told of a socket.
#[cfg(feature = "mio")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SocketEvent {
    /// There may be something to read, and another event comes with what arrives later.
    Readable,
    /// The peer has ended its side: no other event comes.
    ReadClosed,
}

/// Whether a read that does not wait can find anything.
#[cfg_attr(not(feature = "mio"), expect(dead_code, reason = "only the loop of `mio` tells"))]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Readiness {
    /// The read finds out: no loop tells, or no other event comes.
    #[default]
    Untold,
    /// The read finds out, until the first event comes.
    Unknown,
    Readable,
    /// A read that brought less than there was room for has taken all that had arrived.
    Drained,
}

/// How far sending has come. While it changes, the peer reads.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SendProgress {
    /// How many bytes have left so far; with TLS, how many it has taken.
    pub(super) sent: u64,
    /// How many of those TLS still holds.
    pub(super) in_tls: usize,
}

impl Readiness {
    #[cfg(feature = "mio")]
    pub(super) const fn note_event(&mut self, event: SocketEvent) {
        *self = match (*self, event) {
            (Self::Untold, _) | (_, SocketEvent::ReadClosed) => Self::Untold,
            (Self::Unknown | Self::Readable | Self::Drained, SocketEvent::Readable) => Self::Readable,
        };
    }

    /// A read has brought so many of the bytes that there was room for; 0 if there was nothing.
    pub(super) const fn note_read(&mut self, length: usize, room: usize) {
        if matches!(self, Self::Readable) && length < room {
            *self = Self::Drained;
        }
    }
}

impl Activity {
    /// A receive begins to wait. Called under the lock of the state.
    pub(super) fn begin_wait(&self, deadline: Deadline) {
        self.waiting.store(true, Ordering::Relaxed);
        self.blocked.store(!deadline.is_now(), Ordering::Relaxed);
    }

    /// So many bytes have come of a message that is not whole. Told before each read.
    pub(super) fn note_gathered(&self, bytes: usize) {
        self.gathered.store(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn gathered(&self) -> u64 {
        self.gathered.load(Ordering::Relaxed)
    }

    /// A wait is over that has brought `length` bytes. They count first: whoever sees that nobody waits sees why. There is one
    /// receiver, so nothing has to be added atomically.
    pub(super) fn end_wait(&self, length: usize) {
        self.received.store(self.received.load(Ordering::Relaxed) + length as u64, Ordering::Release);
        self.blocked.store(false, Ordering::Relaxed);
        self.waiting.store(false, Ordering::Release);
    }

    /// Nothing was at hand, and whoever does not wait comes again when something is.
    pub(super) fn await_readiness(&self) {
        self.blocked.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.blocked.load(Ordering::Relaxed)
    }

    /// A large frame begins to leave. There is one writer at a time.
    pub(super) fn begin_large_send(&self) {
        self.sending.store(true, Ordering::Relaxed);
    }

    pub(super) fn end_large_send(&self) {
        self.sending.store(false, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> ActivitySnapshot {
        let waiting = self.waiting.load(Ordering::Acquire) && !self.sending.load(Ordering::Relaxed);
        ActivitySnapshot { received: self.received.load(Ordering::Acquire), waiting }
    }
}

impl EventLoop {
    /// Hands the connection to a loop. It has one; a second is ignored.
    pub(super) fn attach(&self, wake: Box<dyn Fn() + Send + Sync>) {
        let _ = self.wake.set(wake);
    }

    #[inline]
    pub(super) fn is_attached(&self) -> bool {
        self.wake.get().is_some()
    }

    /// Wakes the loop. That is the user's, and may panic: so it comes last.
    pub(super) fn wake(&self) {
        if let Some(wake) = self.wake.get() {
            never_panic_twice(wake);
        }
    }

    pub(super) fn count_sent(&self, length: usize) {
        self.sent.fetch_add(length as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").field("attached", &self.is_attached()).finish_non_exhaustive()
    }
}
