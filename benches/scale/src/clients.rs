//! What the clients of all contenders have in common: what they are to do, and what they tell of it.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::resources::now_ns;

/// How many addresses a server has.
pub(crate) const ADDRESSES: usize = 16;
/// How many openings may be under way at a time: what `ManyApps` has by default.
pub(crate) const MAX_OPENINGS: usize = 1024;
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Contender {
    Ours,
    /// tokio-tungstenite as it comes.
    Theirs,
    /// tokio-tungstenite with a read buffer of 4 KiB.
    TheirsSmall,
}

impl Contender {
    pub(crate) const ALL: [Self; 3] = [Self::Ours, Self::Theirs, Self::TheirsSmall];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
            Self::TheirsSmall => "theirs-small",
        }
    }
}

impl FromStr for Contender {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| format!("no contender: {name}").into())
    }
}

/// A client to be.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) url: String,
    pub(crate) open_timeout: Duration,
    /// After how long it tries again.
    pub(crate) reconnect: Duration,
}

/// What clients tell.
#[derive(Debug, Default)]
pub(crate) struct Told {
    open: Counter,
    /// How often one was opened.
    openings: Counter,
    /// How many have ended for good.
    ended: Counter,
    failures: AtomicU64,
    messages: Counter,
    latencies: Mutex<Vec<u32>>,
}

impl Told {
    /// With room for so many latencies, of which each page is there already.
    pub(crate) fn new(latencies: usize) -> Arc<Self> {
        let mut room = vec![1; latencies];
        room.clear();
        Arc::new(Self { latencies: Mutex::new(room), ..Self::default() })
    }

    pub(crate) fn opened(&self) {
        self.open.add();
        self.openings.add();
    }

    /// A connection that was open is not so any more.
    pub(crate) fn lost(&self) {
        self.open.subtract();
    }

    pub(crate) fn ended(&self) {
        self.ended.add();
    }

    /// An attempt to open has failed, or, where that is not told apart, a connection was lost.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// A message: one with the time of its sending has a latency.
    pub(crate) fn received(&self, message: &[u8]) {
        self.messages.add();
        if let Ok(sent) = <[u8; 8]>::try_from(message) {
            let latency = now_ns().saturating_sub(u64::from_be_bytes(sent));
            let mut latencies = lock(&self.latencies);
            if latencies.len() < latencies.capacity() {
                latencies.push(u32::try_from(latency).unwrap_or(u32::MAX));
            }
        }
    }

    pub(crate) fn wait_open(&self, count: usize) {
        self.open.wait(count);
    }

    /// Until so many have been opened a second time, and are open.
    pub(crate) fn wait_reopened(&self, count: usize) {
        self.openings.wait(2 * count);
        self.open.wait(count);
    }

    pub(crate) fn wait_ended(&self, count: usize) {
        self.ended.wait(count);
    }

    pub(crate) fn wait_messages(&self, count: usize) {
        self.messages.wait(count);
    }

    pub(crate) fn messages(&self) -> usize {
        self.messages.count.load(Ordering::Relaxed)
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Seconds, in their order.
    pub(crate) fn latencies(&self) -> Vec<f64> {
        let mut latencies: Vec<f64> = lock(&self.latencies).iter().map(|&ns| f64::from(ns) / 1e9).collect();
        latencies.sort_by(f64::total_cmp);
        latencies
    }
}

/// A number that a thread can wait for without asking again and again.
#[derive(Debug)]
struct Counter {
    count: AtomicUsize,
    /// Whoever comes to this number wakes who waits.
    wanted: AtomicUsize,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Default for Counter {
    fn default() -> Self {
        Self {
            count: AtomicUsize::new(0),
            wanted: AtomicUsize::new(usize::MAX),
            lock: Mutex::default(),
            changed: Condvar::new(),
        }
    }
}

impl Counter {
    /// How long a measure waits for what has to come.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn add(&self) {
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        if count >= self.wanted.load(Ordering::SeqCst) {
            drop(lock(&self.lock));
            self.changed.notify_all();
        }
    }

    fn subtract(&self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    fn wait(&self, wanted: usize) {
        let start = Instant::now();
        let guard = lock(&self.lock);
        self.wanted.store(wanted, Ordering::SeqCst);
        let is_missing = |(): &mut ()| self.count.load(Ordering::SeqCst) < wanted;
        let (_guard, _) =
            self.changed.wait_timeout_while(guard, Self::PATIENCE, is_missing).unwrap_or_else(PoisonError::into_inner);
        self.wanted.store(usize::MAX, Ordering::SeqCst);
        let count = self.count.load(Ordering::SeqCst);
        assert!(count >= wanted, "{count} of {wanted} after {:?}", start.elapsed());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs clients until they are closed.
pub(crate) struct Runner {
    /// On the thread that calls it.
    pub(crate) run: Box<dyn FnOnce()>,
    /// Closes all, from another thread; they tell when they have ended.
    pub(crate) close: Box<dyn FnOnce() + Send>,
}
