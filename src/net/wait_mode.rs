//! How the steps of an opening wait: in the call, or not at all.
//!
//! An opening is written once, as `async` functions, of which the compiler makes the state machine. There is no runtime behind
//! them. A blocking opening is polled once: each operation here then waits by itself, until its deadline. One that steps is polled
//! in each step: an operation that would wait notes in [`Awaited`] what it waits for, and is pending.

use std::future::{self, Future};
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, mem};

use super::deadline::{Deadline, cancelled, is_timeout};
use super::layer::Layer;
use super::send_timer::SendDeadline;
use super::source::Source;
use super::system_calls;
use super::transport::Transport;
use crate::cancellation::{Cancellation, Watch};
use crate::error::{Error, Phase, Result};

/// Whether an operation waits in the call.
#[derive(Clone, Debug)]
pub(crate) enum WaitMode {
    /// It does.
    Blocking,
    /// It does not: whoever steps the opening waits for what is noted here.
    Stepping(Arc<Awaited>),
}

/// How often is read in one step: a peer that never stops must not keep the loop from its other connections.
const MAX_READS: u32 = 64;

/// What an opening that steps waits for.
#[derive(Debug, Default)]
pub(crate) struct Awaited {
    event: Mutex<AwaitedEvent>,
    /// Of this step.
    reads: AtomicU32,
    helper: HelperLock,
}

/// Held by the helper thread of an opening, so that all openings that share the lock have one at a time: while the hook of one that has
/// given up still hangs, the next waits for it and starts no other thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct HelperLock(Arc<Mutex<HelperLockState>>);

#[derive(Debug, Default)]
struct HelperLockState {
    is_held: bool,
    /// Who waits for it. Whoever did before has given up.
    waiter: Option<Waker>,
}

/// Gives the lock back when it is dropped.
#[derive(Debug)]
struct HelperGuard(HelperLock);

/// What the next step waits for, each until a time, if there is one.
#[derive(Clone, Debug, Default)]
pub(crate) enum AwaitedEvent {
    /// Nothing: it is due.
    #[default]
    Nothing,
    Sockets(Vec<Source>, Option<Instant>),
    /// A helper thread, which wakes the loop.
    Helper(Option<Instant>),
    Time(Option<Instant>),
}

/// What ends a wait for something that is no stream: time, or that it is cancelled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitLimit<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) cancellation: Option<&'a Cancellation>,
}

/// Polls a future whose operations are all [`WaitMode::Blocking`].
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("what waits in the call is never pending"),
    }
}

impl WaitLimit<'_> {
    /// Whether nothing ends the wait.
    pub(super) fn is_endless(self) -> bool {
        self.deadline.is_never() && self.cancellation.is_none()
    }
}

impl WaitMode {
    pub(super) const fn is_blocking(&self) -> bool {
        matches!(self, Self::Blocking)
    }

    /// Reads some bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Layer::read`].
    pub(crate) async fn read(&self, stream: &impl Layer, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        let Self::Stepping(awaited) = self else { return stream.read(buf, deadline) };
        deadline.remaining()?;
        loop {
            match stream.read(buf, Deadline::NOW) {
                Err(error) if is_timeout(&error) && stream.has_input() => {
                    deadline.remaining()?;
                    awaited.note(AwaitedEvent::Nothing).await;
                }
                Err(error) if is_timeout(&error) => awaited.stream(stream, Source::reading, deadline).await?,
                result => {
                    awaited.count_read().await;
                    return result;
                }
            }
        }
    }

    /// Writes all bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Layer::write_all`].
    pub(crate) async fn write_all(&self, stream: &impl Layer, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        let Self::Stepping(awaited) = self else {
            return stream.write_all(bytes, SendDeadline::until(deadline)).map_err(|failure| failure.error);
        };
        deadline.remaining()?;
        let mut rest = bytes;
        loop {
            match stream.write_all(rest, SendDeadline::until(Deadline::NOW)) {
                Ok(()) => return Ok(()),
                Err(failure) if is_timeout(&failure.error) => rest = &rest[failure.taken..],
                Err(failure) => return Err(failure.error),
            }
            if stream.is_tls() && !stream.has_output() {
                // TLS 1.2 negotiates anew, and waits for an answer that nobody reads.
                awaited.time(deadline).await?;
            } else {
                awaited.stream(stream, Source::writing, deadline).await?;
            }
        }
    }

    /// Does something that may block and knows no deadline: on a helper thread, unless nothing could end the wait for it. A helper
    /// thread that blocks goes on when nobody waits for it any more.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] with the phase; [`Error::Io`] when it is cancelled, or the system has no thread to spare.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub(crate) async fn on_helper<T: Send + 'static>(
        &self,
        phase: Phase,
        limit: WaitLimit<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        if self.is_blocking() && limit.is_endless() {
            return Ok(work());
        }
        limit.deadline.remaining().map_err(|_| Error::Timeout(phase))?;
        let guard = match self {
            Self::Blocking => None,
            Self::Stepping(awaited) => {
                Some(awaited.lock_helper(limit.deadline).await.map_err(|_| Error::Timeout(phase))?)
            }
        };
        let (reporter, reports) = reports(limit.cancellation).await;
        let helper = spawn(phase, move || {
            let done = panic::catch_unwind(AssertUnwindSafe(work));
            // First: who is told may want the next.
            drop(guard);
            reporter.done(done);
        })?;
        let done = self.receive(phase, reports, limit.deadline).await?;
        if self.is_blocking() {
            // It has nothing left to do but to end. A step does not wait even for that.
            let _ = helper.join();
        }
        done.or_else(|panic| panic::resume_unwind(panic))
    }

    /// The same for what has a deadline of its own: in the call, where that may wait.
    ///
    /// # Errors
    ///
    /// Those of [`on_helper`](Self::on_helper).
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        phase: Phase,
        limit: WaitLimit<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        match self {
            Self::Blocking => Ok(work()),
            Self::Stepping(_) => self.on_helper(phase, limit, work).await,
        }
    }

    /// What a helper thread reports.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] with the phase; [`Error::Io`] when it is cancelled.
    pub(super) async fn receive<T>(&self, phase: Phase, reports: Reports<T>, deadline: Deadline) -> Result<T> {
        let report = match self {
            Self::Blocking => reports.wait(deadline),
            Self::Stepping(awaited) => loop {
                match reports.receiver.try_recv() {
                    Ok(report) => break Some(report),
                    Err(TryRecvError::Disconnected) => break None,
                    Err(TryRecvError::Empty) if awaited.helper(deadline).await.is_err() => break None,
                    Err(TryRecvError::Empty) => {}
                }
            },
        };
        match report {
            Some(Report::Done(done)) => Ok(done),
            Some(Report::Cancelled) => Err(Error::Io { phase, error: cancelled() }),
            None => Err(Error::Timeout(phase)),
        }
    }
}

impl Awaited {
    pub(crate) fn new(helper: HelperLock) -> Self {
        Self { helper, ..Self::default() }
    }

    /// What is waited for now.
    pub(crate) fn event(&self) -> AwaitedEvent {
        self.lock().clone()
    }

    /// Leaves the rest to the next step.
    pub(super) async fn note(&self, event: AwaitedEvent) {
        *self.lock() = event;
        let mut is_next_step = false;
        future::poll_fn(|_| if mem::replace(&mut is_next_step, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Begins a step: nothing is waited for.
    pub(crate) fn clear(&self) {
        *self.lock() = AwaitedEvent::Nothing;
        self.reads.store(0, Ordering::Relaxed);
    }

    /// Leaves the rest to the next step, which is due at once, if this one has read enough.
    async fn count_read(&self) {
        if self.reads.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_READS {
            self.note(AwaitedEvent::Nothing).await;
        }
    }

    /// Waits for a stream, and for what TLS has to send there.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline has passed.
    async fn stream(
        &self,
        stream: &impl Layer,
        source: fn(Arc<dyn Transport>) -> Source,
        deadline: Deadline,
    ) -> io::Result<()> {
        deadline.remaining()?;
        let mut source = source(Arc::clone(stream.transport()));
        if stream.has_output() {
            source = source.and_writing();
        }
        self.note(AwaitedEvent::Sockets(vec![source], deadline.instant())).await;
        Ok(())
    }

    /// Waits for the deadline.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when it has passed.
    async fn time(&self, deadline: Deadline) -> io::Result<()> {
        deadline.remaining()?;
        self.note(AwaitedEvent::Time(deadline.instant())).await;
        Ok(())
    }

    /// Waits for a helper thread.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline has passed.
    async fn helper(&self, deadline: Deadline) -> io::Result<()> {
        deadline.remaining()?;
        self.note(AwaitedEvent::Helper(deadline.instant())).await;
        Ok(())
    }

    /// Waits until there may be a helper thread.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the deadline has passed.
    async fn lock_helper(&self, deadline: Deadline) -> io::Result<HelperGuard> {
        loop {
            let locked = future::poll_fn(|context| Poll::Ready(self.helper.try_lock(context.waker()))).await;
            match locked {
                Some(guard) => return Ok(guard),
                None => self.helper(deadline).await?,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, AwaitedEvent> {
        self.event.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HelperLock {
    /// Takes the lock, or else has `waker` woken when it is free.
    fn try_lock(&self, waker: &Waker) -> Option<HelperGuard> {
        let mut state = self.state();
        if state.is_held {
            state.waiter = Some(waker.clone());
            return None;
        }
        state.is_held = true;
        Some(HelperGuard(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, HelperLockState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HelperGuard {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_held = false;
        let waiter = state.waiter.take();
        drop(state);
        if let Some(waiter) = waiter {
            // What wakes a loop is the user's: should it panic, the thread goes on.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waiter.wake()));
        }
    }
}

/// What ends the wait for a helper thread.
enum Report<T> {
    Done(T),
    Cancelled,
}

/// Tells whoever waits for a helper thread what came of it.
pub(super) struct Reporter<T> {
    sender: Sender<Report<T>>,
    waker: Waker,
}

/// Where that arrives.
pub(super) struct Reports<T> {
    receiver: Receiver<Report<T>>,
    _watch: Option<Watch>,
}

/// To wait for a helper thread, until that is cancelled.
pub(super) async fn reports<T: Send + 'static>(cancellation: Option<&Cancellation>) -> (Reporter<T>, Reports<T>) {
    let waker = future::poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    let (sender, receiver) = mpsc::channel();
    let reporter = Reporter { sender, waker };
    let watch = cancellation.map(|cancellation| {
        let reporter = reporter.clone();
        cancellation.watch(move || reporter.send(Report::Cancelled))
    });
    (reporter, Reports { receiver, _watch: watch })
}

impl<T> Reporter<T> {
    /// The work is done. What wakes a loop is the user's: should it panic, the thread goes on, for which others may wait.
    pub(super) fn done(self, done: T) {
        let _ = panic::catch_unwind(AssertUnwindSafe(move || self.send(Report::Done(done))));
    }

    fn send(&self, report: Report<T>) {
        // Nobody may be waiting any more.
        let _ = self.sender.send(report);
        self.waker.wake_by_ref();
    }
}

impl<T> Clone for Reporter<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), waker: self.waker.clone() }
    }
}

impl<T> Reports<T> {
    fn wait(&self, deadline: Deadline) -> Option<Report<T>> {
        let rest = deadline.remaining().ok()?.unwrap_or(Duration::MAX);
        self.receiver.recv_timeout(rest).ok()
    }
}

/// A helper thread.
///
/// # Errors
///
/// [`Error::Io`] with the phase when the system has no thread to spare.
pub(super) fn spawn(phase: Phase, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    system_calls::spawn("websocket-sync helper", work).map_err(|error| Error::Io { phase, error })
}
