//! Whether anything comes in, as other threads can see it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How the receiving thread fares. It costs that thread two stores per read of the network, and nothing per message.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    received: AtomicU64,
    waiting: AtomicBool,
}

/// What another thread sees of it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Vitals {
    /// How many bytes have come in since the connection was opened.
    pub(crate) received: u64,
    /// Whether a thread waits for bytes: what is sent to it would be seen. Not so while it is busy with what has come.
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

    pub(super) fn vitals(&self) -> Vitals {
        let waiting = self.waiting.load(Ordering::Acquire);
        Vitals { received: self.received.load(Ordering::Acquire), waiting }
    }
}
