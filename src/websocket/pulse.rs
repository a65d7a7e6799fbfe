//! Whether anything comes in, as other threads can see it.

use std::sync::atomic::Ordering;

use crate::sync::{AtomicBool, AtomicU64};

/// How the threads fare that receive and send. It costs two stores per read of the network and per large write, and nothing per
/// message.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    received: AtomicU64,
    waiting: AtomicBool,
    sending: AtomicBool,
}

/// What another thread sees of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Vitals {
    /// A number that grows with every byte that comes in.
    pub(crate) received: u64,
    /// Whether the peer can be expected to be heard: a thread waits for bytes, and is not busy with what has come; and nothing
    /// large is leaving, behind which a ping would have to wait.
    pub(crate) waiting: bool,
}

impl Pulse {
    /// There is one reader, so nothing has to be added atomically.
    pub(super) fn begin_wait(&self) {
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// The bytes count before the wait is over: who sees the reader busy sees why.
    pub(super) fn end_wait(&self, length: usize) {
        self.received.store(self.received.load(Ordering::Relaxed) + length as u64, Ordering::Release);
        self.waiting.store(false, Ordering::Release);
    }

    /// Something is leaving that may take its time, or is not any more. There is one writer at a time.
    pub(super) fn set_sending(&self, sending: bool) {
        self.sending.store(sending, Ordering::Relaxed);
    }

    pub(super) fn vitals(&self) -> Vitals {
        let waiting = self.waiting.load(Ordering::Acquire) && !self.sending.load(Ordering::Relaxed);
        Vitals { received: self.received.load(Ordering::Acquire), waiting }
    }
}
