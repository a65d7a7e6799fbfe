//! How much has passed through an app.

use std::sync::atomic::Ordering;

use crate::sync::AtomicU64;

/// A count of messages and of the bytes in them.
#[derive(Debug, Default)]
pub(in crate::app) struct TrafficCounter {
    messages: AtomicU64,
    bytes: AtomicU64,
}

impl TrafficCounter {
    /// Counts where only one thread counts.
    #[inline]
    pub(in crate::app) fn count_alone(&self, bytes: usize) {
        let add = |count: &AtomicU64, more: u64| count.store(count.load(Ordering::Relaxed) + more, Ordering::Relaxed);
        add(&self.messages, 1);
        add(&self.bytes, bytes as u64);
    }

    /// Counts where many threads do.
    pub(in crate::app) fn count(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    pub(in crate::app) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}
