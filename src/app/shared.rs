//! The state that the threads of an app share: the one that runs it, the one that sends pings, and those with a [`Handle`](super::Handle).
//!
//! One lock, held for a few instructions and never across a wait for the network or a callback. What is connected is known only
//! by what can be done to it, a [`Link`], so that all of this can be tried out without a network.

mod keepalive;
mod link;
mod outbox;
mod traffic;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

pub(super) use self::link::Link;
pub(super) use self::outbox::{DrainOutcome, Outbox};

use self::outbox::OpenCallback;
use self::traffic::TrafficCounter;
use super::callbacks::drop_transport;
use super::facts::{Closed, Latencies, Statistics, duplicate, duplicate_error};
use super::keepalive::Keepalive;
use crate::cancellation::Cancellation;
use crate::error::{CloseInfo, Error, Result};
use crate::sync::{self, AtomicBool, AtomicU64, Condvar, Mutex, MutexGuard};
use crate::websocket::{CloseCode, Response};

/// How the run was asked to end.
#[derive(Clone, Debug)]
pub(super) enum StopRequest {
    /// With this Close, if a connection is open.
    Close(CloseCode, String),
    /// Without waiting for anything.
    Disconnect,
}

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared<L> {
    state: Mutex<SharedState<L>>,
    /// Something in it has changed that somebody may wait for.
    changed: Condvar,
    /// Whether the run is to end, for a look after every message: `state.request` without the lock.
    is_stopping: AtomicBool,
    /// The number of the last connection that the application has closed to have another one: nothing of it is handed out any more.
    replaced: AtomicU64,
    pub(super) received: TrafficCounter,
    pub(super) sent: TrafficCounter,
    pub(super) dropped: AtomicU64,
}

#[derive(Debug)]
struct SharedState<L> {
    run: RunPhase,
    connection: Option<OpenLink<L>>,
    /// The end of the run, once it is asked for.
    request: Option<StopRequest>,
    /// Cancels the attempts of this run.
    cancellation: Cancellation,
    is_healthy: bool,
    has_errored: bool,
    last_close: Option<CloseInfo>,
    connects: u64,
    last_ping: Option<Instant>,
    last_pong: Option<Instant>,
    latencies: Latencies,
    outbox: Outbox,
    reconnect_callback: ReconnectCallback,
    back_off: BackOff,
    /// The delay before the next attempt, from the failure before it until it begins.
    retry_delay: Option<Duration>,
    /// What wakes the loop that drives the app, or who waits for room in its queue.
    waker: Option<LoopWaker>,
    /// What wakes the thread that sends the pings.
    ping_waker: Option<LoopWaker>,
    /// How the last run ended.
    outcome: Option<Result<Closed>>,
}

/// Which `on_open` the default of [`Handler::on_reconnect`](super::Handler::on_reconnect) stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReconnectCallback {
    /// The handler's.
    Method,
    /// A closure, which goes before it.
    Closure,
    /// A closure, to be called when the method has returned: the method was the default.
    ClosureNext,
}

/// Whether the app runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum RunPhase {
    /// Not yet. To close it means that it shall end at once when it does.
    Before,
    /// It is about to begin, on another thread.
    Announced,
    During,
    /// Not any more: there is nothing to close.
    After,
}

/// What follows when pings were sent that were due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PingOutcome {
    /// The next look, then.
    WaitUntil(Option<Instant>),
    /// The peer is dead, and its connection is over.
    Dead,
}

/// What the application wanted of a connection that is over.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LostLink {
    /// It has called it healthy.
    pub(super) is_healthy: bool,
    /// It has closed it to have another one.
    pub(super) is_replaced: bool,
}

/// The wait for the next attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum BackOff {
    None,
    Waiting,
    /// The application does not want to wait any longer.
    CutShort,
}

/// Wakes a loop or a thread.
#[derive(Clone)]
struct LoopWaker(Arc<dyn Fn() + Send + Sync>);

impl fmt::Debug for LoopWaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fn()")
    }
}

/// The connection that is open.
#[derive(Debug)]
struct OpenLink<L> {
    link: L,
    /// Tells it from the others of this app.
    number: u64,
    /// Whether the application has closed it to have another one.
    is_replaced: bool,
    on_open: OpenCallback,
    keepalive: Option<Keepalive>,
    response: Option<Arc<Response>>,
}

impl<L: Link> Shared<L> {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            state: Mutex::new(SharedState {
                run: RunPhase::Before,
                connection: None,
                request: None,
                cancellation: Cancellation::new(),
                is_healthy: false,
                has_errored: false,
                last_close: None,
                connects: 0,
                last_ping: None,
                last_pong: None,
                latencies: Latencies::default(),
                outbox,
                reconnect_callback: ReconnectCallback::Method,
                back_off: BackOff::None,
                retry_delay: None,
                waker: None,
                ping_waker: None,
                outcome: None,
            }),
            changed: Condvar::new(),
            is_stopping: AtomicBool::new(false),
            replaced: AtomicU64::new(0),
            received: TrafficCounter::default(),
            sent: TrafficCounter::default(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A run is about to begin, on another thread. From now on it can be closed.
    pub(super) fn announce(&self) {
        let mut state = self.state();
        state.run = RunPhase::Announced;
        state.outcome = None;
    }

    /// A run that was announced does not begin, for this reason.
    pub(super) fn refuse(&self, error: &Error) {
        if self.state().run == RunPhase::Announced {
            self.finish(Err(duplicate_error(error)));
        }
    }

    /// A run begins. Returns what calls its attempts off: it has been already if it was closed before it began.
    pub(super) fn begin(&self) -> Cancellation {
        let mut state = self.state();
        state.run = RunPhase::During;
        state.outcome = None;
        state.has_errored = false;
        state.last_close = None;
        state.cancellation.clone()
    }

    /// The run is over. Whatever was asked of it is done.
    pub(super) fn finish(&self, outcome: Result<Closed>) {
        let mut state = self.state();
        state.run = RunPhase::After;
        state.outcome = Some(outcome);
        state.back_off = BackOff::None;
        state.retry_delay = None;
        state.waker = None;
        state.ping_waker = None;
        let open = state.connection.take();
        state.outbox.hold();
        state.request = None;
        state.cancellation = Cancellation::new();
        self.is_stopping.store(false, Ordering::Relaxed);
        self.changed.notify_all();
        drop(state);
        drop_transport(open);
    }

    /// A connection is open; its number. Not so if the end of the run was asked for in the meantime.
    pub(super) fn opened(&self, link: L, keepalive: Option<Keepalive>, response: Option<Response>) -> Option<u64> {
        let mut state = self.state();
        if state.request.is_some() {
            return None;
        }
        state.connects += 1;
        state.is_healthy = false;
        let number = state.connects;
        let (on_open, response) = (OpenCallback::Due, response.map(Arc::new));
        state.connection = Some(OpenLink { link, number, is_replaced: false, on_open, keepalive, response });
        self.changed.notify_all();
        let ping_waker = state.ping_waker.clone();
        drop(state);
        ping_waker.iter().for_each(|waker| (waker.0)());
        Some(number)
    }

    /// The connection is over. Says what the application wanted of it.
    pub(super) fn lost(&self, info: &CloseInfo) -> LostLink {
        let mut state = self.state();
        let open = state.connection.take();
        state.outbox.hold();
        state.last_close = Some(info.clone());
        let is_healthy = std::mem::take(&mut state.is_healthy);
        self.changed.notify_all();
        drop(state);
        let is_replaced = open.as_ref().is_some_and(|open| open.is_replaced);
        drop_transport(open);
        LostLink { is_healthy, is_replaced }
    }

    /// Something has failed that `on_error` is told of.
    pub(super) fn note_error(&self) {
        self.state().has_errored = true;
    }

    /// A pong has come.
    pub(super) fn pong(&self, payload: &[u8], now: Instant) {
        let mut state = self.state();
        state.last_pong = Some(now);
        let keepalive = state.connection.as_mut().and_then(|open| open.keepalive.as_mut());
        if let Some(latency) = keepalive.and_then(|keepalive| keepalive.pong(payload, now)) {
            state.latencies.push(latency);
        }
    }

    /// What follows the failure of an attempt or the end of a connection: another attempt after this delay, or none. An attempt that
    /// begins follows no delay any more.
    pub(super) fn set_retry_delay(&self, delay: Option<Duration>) {
        self.state().retry_delay = delay;
    }

    pub(super) fn retry_delay(&self) -> Option<Duration> {
        self.state().retry_delay
    }

    /// Waits for the time of the next attempt. Returns at once, and false, when there is to be none.
    pub(super) fn back_off(&self, until: Instant) -> bool {
        self.begin_back_off();
        let mut state = self.state();
        loop {
            if state.request.is_some() || state.cancellation.is_cancelled() {
                return false;
            }
            let now = sync::now();
            if now >= until || state.back_off == BackOff::CutShort {
                state.back_off = BackOff::None;
                return true;
            }
            state = self.wait(state, Some(until - now));
        }
    }

    /// The wait for the next attempt begins.
    pub(super) fn begin_back_off(&self) {
        self.state().back_off = BackOff::Waiting;
    }

    /// Whether the application does not want to wait for the next attempt any longer.
    pub(super) fn is_back_off_cut_short(&self) -> bool {
        self.state().back_off == BackOff::CutShort
    }

    /// The next attempt begins.
    pub(super) fn end_back_off(&self) {
        self.state().back_off = BackOff::None;
    }

    /// Who drives the app may have to be woken when the application wants another connection.
    pub(super) fn set_waker(&self, waker: Arc<dyn Fn() + Send + Sync>) {
        self.state().waker = Some(LoopWaker(waker));
    }

    /// Closes the connection that is open, to have another one; where none is, and the next attempt is waited for, it is made at once.
    pub(super) fn reconnect(&self, bound: Option<u64>, code: CloseCode, reason: &str) -> Result<()> {
        let mut state = self.state();
        if state.request.is_some() || (bound.is_some() && state.bound(bound).is_none()) {
            return Ok(());
        }
        let SharedState { connection, back_off, .. } = &mut *state;
        let link = match connection {
            Some(open) => {
                // One that stays open is not replaced.
                open.link.check_close()?;
                open.is_replaced = true;
                self.replaced.store(open.number, Ordering::Relaxed);
                Some(open.link.clone())
            }
            None if *back_off == BackOff::Waiting => {
                *back_off = BackOff::CutShort;
                None
            }
            None => return Ok(()),
        };
        self.changed.notify_all();
        let waker = state.waker.clone();
        drop(state);
        // It may be the user's, and panic.
        let woken = catch_unwind(AssertUnwindSafe(|| waker.iter().for_each(|waker| (waker.0)())));
        let closed = link.map_or(Ok(()), |link| link.close(code, reason));
        woken.unwrap_or_else(|panic| resume_unwind(panic));
        closed
    }

    /// Whether nothing of this connection is to be handed out any more.
    #[inline]
    pub(super) fn is_discarding(&self, number: u64) -> bool {
        self.is_stopping() || number <= self.replaced.load(Ordering::Relaxed)
    }

    /// Ends the run. An open connection is closed; what is being connected or waited for is cancelled. Does nothing after a run.
    pub(super) fn close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.check_close()?;
        let request = StopRequest::Close(code, reason.to_owned());
        self.stop(request, |link| link.close(code, reason)).unwrap_or(Ok(()))
    }

    /// Begins to do the same, without waiting for anything.
    pub(super) fn try_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.check_close()?;
        let request = StopRequest::Close(code, reason.to_owned());
        self.stop(request, |link| link.try_close(code, reason)).unwrap_or(Ok(()))
    }

    /// Whether this thread may end the run with a Close: a run whose connection stays open goes on.
    fn check_close(&self) -> Result<()> {
        self.state().connection.as_ref().map_or(Ok(()), |open| open.link.check_close())
    }

    /// Ends the run without waiting for anything; an open connection is dropped.
    pub(super) fn disconnect(&self) {
        self.stop(StopRequest::Disconnect, |link| link.disconnect());
    }

    /// Notes that the run is to end, and ends the connection that is open. A waker of the user's that panics keeps none of it from being
    /// done.
    fn stop<T>(&self, request: StopRequest, end: impl FnOnce(L) -> T) -> Option<T> {
        let mut state = self.state();
        if state.run == RunPhase::After {
            return None;
        }
        match (&state.request, request) {
            // The first Close counts, but who leaves waits for none.
            (None, request) | (Some(_), request @ StopRequest::Disconnect) => state.request = Some(request),
            (Some(_), StopRequest::Close(..)) => {}
        }
        self.is_stopping.store(true, Ordering::Relaxed);
        let cancelled = catch_unwind(AssertUnwindSafe(|| state.cancellation.cancel()));
        self.changed.notify_all();
        let link = state.connection.as_ref().map(|open| open.link.clone());
        drop(state);
        let ended = link.map(end);
        cancelled.unwrap_or_else(|panic| resume_unwind(panic));
        ended
    }

    /// No further attempt is to be made; an open connection is left alone. Never waits.
    pub(super) fn cancel(&self) {
        let state = self.state();
        // Who waits looks again when the lock is free, so after the cancel; which may panic.
        self.changed.notify_all();
        state.cancellation.cancel();
    }

    /// Whether the end of the run was asked for.
    #[inline]
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// How the end of the run was asked for.
    pub(super) fn request(&self) -> Option<StopRequest> {
        self.state().request.clone()
    }

    /// Whether no further attempt is to be made.
    pub(super) fn is_cancelled(&self) -> bool {
        let state = self.state();
        state.request.is_some() || state.cancellation.is_cancelled()
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state().run, RunPhase::Announced | RunPhase::During)
    }

    /// Waits until a connection is open and its `on_open` has returned, unless this thread is in that. Returns false when time is up or
    /// the run is over.
    pub(super) fn wait_open(&self, timeout: Duration) -> bool {
        let until = sync::now().checked_add(timeout);
        let mut state = self.state();
        loop {
            if state.connection.as_ref().is_some_and(OpenLink::is_awaited) {
                return true;
            }
            if state.run == RunPhase::After {
                return false;
            }
            state = match self.wait_until(state, until) {
                Some(state) => state,
                None => return false,
            };
        }
    }

    /// Waits until a run is over; how it ended, or `None` when time is up.
    pub(super) fn wait_end(&self, timeout: Duration) -> Option<Result<Closed>> {
        let until = sync::now().checked_add(timeout);
        let mut state = self.state();
        loop {
            if let Some(outcome) = &state.outcome {
                return Some(duplicate(outcome));
            }
            state = self.wait_until(state, until)?;
        }
    }

    /// The handler's `on_reconnect` is called, and there is a closure that goes before its `on_open`.
    pub(super) fn begin_reconnect_with_closure(&self) {
        self.state().reconnect_callback = ReconnectCallback::Closure;
    }

    /// Whether the default of `on_reconnect` is not to call the handler's `on_open`: the closure is called in its stead.
    pub(super) fn leaves_reconnect_to_closure(&self) -> bool {
        let mut state = self.state();
        match state.reconnect_callback {
            ReconnectCallback::Method => false,
            ReconnectCallback::Closure | ReconnectCallback::ClosureNext => {
                state.reconnect_callback = ReconnectCallback::ClosureNext;
                true
            }
        }
    }

    /// The handler's `on_reconnect` has returned; whether the closure is to be called now.
    pub(super) fn end_reconnect_with_closure(&self) -> bool {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.reconnect_callback, ReconnectCallback::Method);
        before == ReconnectCallback::ClosureNext
    }

    pub(super) fn mark_healthy(&self, bound: Option<u64>) {
        let mut state = self.state();
        if bound.is_none() || state.bound(bound).is_some() {
            state.is_healthy = true;
        }
    }

    pub(super) fn has_errored(&self) -> bool {
        self.state().has_errored
    }

    pub(super) fn last_close(&self) -> Option<CloseInfo> {
        self.state().last_close.clone()
    }

    pub(super) fn response(&self, bound: Option<u64>) -> Option<Arc<Response>> {
        self.state().bound(bound)?.response.clone()
    }

    /// What sends on the connection that is open; `bound` is the one that it has to be, if it has to be a certain one.
    pub(super) fn link(&self, bound: Option<u64>) -> Option<L> {
        Some(self.state().bound(bound)?.link.clone())
    }

    /// The number of the connection that is open, if it is the one that it has to be.
    fn number(&self, bound: Option<u64>) -> Option<u64> {
        Some(self.state().bound(bound)?.number)
    }

    /// Gets at the messages that could not be sent.
    pub(super) fn outbox<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        act(&mut self.state().outbox)
    }

    pub(super) fn statistics(&self) -> Statistics {
        let state = self.state();
        Statistics {
            messages_received: self.received.messages(),
            bytes_received: self.received.bytes(),
            bytes_gathered: state.connection.as_ref().map_or(0, |open| open.link.gathered()),
            messages_sent: self.sent.messages(),
            bytes_sent: self.sent.bytes(),
            messages_dropped: self.dropped.load(Ordering::Relaxed),
            connects: state.connects,
            last_ping: state.last_ping,
            last_pong: state.last_pong,
            latency: state.latencies.summary(),
        }
    }

    fn state(&self) -> MutexGuard<'_, SharedState<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change; `None` when it is too late for one.
    fn wait_until<'a>(
        &self,
        state: MutexGuard<'a, SharedState<L>>,
        until: Option<Instant>,
    ) -> Option<MutexGuard<'a, SharedState<L>>> {
        let now = sync::now();
        if until.is_some_and(|until| now >= until) {
            return None;
        }
        Some(self.wait(state, until.map(|until| until - now)))
    }

    fn wait<'a>(
        &self,
        state: MutexGuard<'a, SharedState<L>>,
        longest: Option<Duration>,
    ) -> MutexGuard<'a, SharedState<L>> {
        match longest {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(longest) => self.changed.wait_timeout(state, longest).unwrap_or_else(PoisonError::into_inner).0,
        }
    }
}

impl<L> SharedState<L> {
    /// The connection of this number, if it is open.
    fn open(&mut self, number: u64) -> Option<&mut OpenLink<L>> {
        self.connection.as_mut().filter(|open| open.number == number)
    }

    /// The connection that is open, if it is the one that it has to be.
    fn bound(&self, bound: Option<u64>) -> Option<&OpenLink<L>> {
        self.connection.as_ref().filter(|open| bound.is_none_or(|number| open.number == number))
    }
}

#[cfg(test)]
mod tests;
