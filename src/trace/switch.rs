//! Turning the trace on and off, and its sink.

use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::head;
use super::record::{TraceDirection, TraceEvent, TraceRecord};

/// Odd while there is a trace; grows with each change. Written under the lock of `SINK`.
static EPOCH: AtomicU64 = AtomicU64::new(0);
static SINK: RwLock<Option<Arc<dyn TraceSink>>> = RwLock::new(None);
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Whether this thread is in a sink: what that sends is not traced in turn.
    static IN_SINK: Cell<bool> = const { Cell::new(false) };
}

/// Gets a record of each head and each frame; see [`enable_trace`]. Closures are sinks, too.
///
/// It is called on the thread that sends or receives, while others wait for that. So it must not block, and must not use the
/// connection. If it panics, the trace ends.
#[doc(alias = "handler")]
pub trait TraceSink: Send + Sync {
    /// Handles a record.
    fn record(&self, record: &TraceRecord<'_>);
}

impl<F: Fn(&TraceRecord<'_>) + Send + Sync> TraceSink for F {
    fn record(&self, record: &TraceRecord<'_>) {
        self(record);
    }
}

/// Writes the trace to the standard error stream, as Python's `enableTrace(True)` does.
///
/// ```no_run
/// websocket_sync::enable_trace(websocket_sync::TraceToStderr);
/// let ws = websocket_sync::create_connection("ws://localhost:9001/")?;
/// ws.send_text("Hello")?; // ++Sent decoded: fin=1 opcode=1 data=b'Hello'
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "there is one such stream")]
pub struct TraceToStderr;

impl TraceSink for TraceToStderr {
    fn record(&self, record: &TraceRecord<'_>) {
        // A stream that is closed is not worth an error.
        let _ = writeln!(io::stderr().lock(), "{record}");
    }
}

/// Traces every connection of this process, also those that are open already: `sink` gets the heads of opening handshakes,
/// also with proxies, and each frame that is sent or received. It replaces the sink that was there before.
///
/// Header fields are shown only if they are known to hold no secrets, subprotocols only if they are registered or
/// [public](crate::ConnectOptions::public_subprotocols); queries, userinfo and authorization never are. Of the payloads
/// the first 1,024 bytes are shown, as they pass: what is compressed stays so. While there is no trace, it costs a look at
/// an integer when a socket is read or written, and nothing per message received.
///
/// ```
/// use websocket_sync::{TraceRecord, disable_trace, enable_trace, is_trace_enabled};
///
/// enable_trace(|record: &TraceRecord<'_>| log::trace!("connection {}: {record}", record.connection));
/// assert!(is_trace_enabled());
/// disable_trace();
/// assert!(!is_trace_enabled());
/// ```
#[doc(alias = "enableTrace")]
pub fn enable_trace(sink: impl TraceSink + 'static) {
    switch(Some(Arc::new(sink)));
}

/// Ends the trace. A sink that another thread is in may still be called to the end of that.
#[doc(alias = "enableTrace")]
pub fn disable_trace() {
    switch(None);
}

/// Whether there is a trace.
#[doc(alias = "isEnabledForTrace")]
pub fn is_trace_enabled() -> bool {
    Epoch::now().is_some()
}

/// One stretch of time in which there is a trace: who has seen all that passed since it began can go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Epoch(u64);

impl Epoch {
    /// That of now, if there is a trace.
    #[inline]
    pub(crate) fn now() -> Option<Self> {
        let epoch = EPOCH.load(Ordering::Relaxed);
        (epoch & 1 == 1).then_some(Self(epoch))
    }
}

/// The name of a connection in the trace: all that one opening does, with its redirects and proxies, and what comes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracer(u64);

impl Tracer {
    /// The next one.
    pub(crate) fn new() -> Self {
        Self(CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Tells of a request that is about to be sent, with the subprotocols in it that are registered or `public`.
    pub(crate) fn send_request(self, bytes: &[u8], public: &[String]) {
        if is_trace_enabled() {
            self.tell(TraceDirection::Sent, TraceEvent::Request(&head::shown(bytes, public)));
        }
    }

    /// Tells of an answer that is about to be sent, in the same way.
    pub(crate) fn send_response(self, bytes: &[u8], public: &[String]) {
        if is_trace_enabled() {
            self.tell(TraceDirection::Sent, TraceEvent::Response(&head::shown(bytes, public)));
        }
    }

    /// Tells the sink, if there is one.
    #[cold]
    pub(super) fn tell(self, direction: TraceDirection, event: TraceEvent<'_>) {
        let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(sink) = sink.filter(|_| !IN_SINK.replace(true)) else { return };
        let record = TraceRecord { connection: self.0, direction, event };
        let outcome = catch_unwind(AssertUnwindSafe(|| sink.record(&record)));
        IN_SINK.set(false);
        if outcome.is_err() {
            end(&sink);
        }
    }
}

fn switch(sink: Option<Arc<dyn TraceSink>>) {
    let mut current = SINK.write().unwrap_or_else(PoisonError::into_inner);
    let on = u64::from(sink.is_some());
    let next = EPOCH.load(Ordering::Relaxed) + 1;
    EPOCH.store(next + ((next & 1) ^ on), Ordering::Relaxed);
    let replaced = std::mem::replace(&mut *current, sink);
    // What a sink does when it is dropped is its own affair.
    drop(current);
    drop(replaced);
}

/// Ends the trace of a sink that has failed, unless there is another one by now.
#[cold]
fn end(failed: &Arc<dyn TraceSink>) {
    let mut current = SINK.write().unwrap_or_else(PoisonError::into_inner);
    if current.as_ref().is_some_and(|sink| Arc::ptr_eq(sink, failed)) {
        *current = None;
        EPOCH.fetch_add(1, Ordering::Relaxed);
    }
}
