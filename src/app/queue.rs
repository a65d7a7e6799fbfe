//! A bounded queue between the receiving thread and the thread that calls the callbacks.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::calling::EventSink;
use super::facts::{AppError, Closed};
use super::lifecycle::OpenEvent;
use super::shared::Shared;
use crate::error::{Error, OptionsError, Result};
use crate::message::{Message, MessageRef};
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::websocket::{Opcode, Received, Sender};

/// What becomes of a message that comes while the [queue](crate::WebSocketApp::queue) is full. Pings and pongs take no room from messages:
/// there is the same room for them again. One that finds it full does not reach its callback, except with `Block`.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Overflow {
    /// Nothing more is received until there is room: the server has to wait. Nor are its pings answered in that time.
    #[default]
    Block,
    /// The oldest message in the queue is thrown away for it.
    DropOldest,
    /// It is thrown away.
    DropNewest,
    /// The connection is closed with code 1011, and `on_error` is called with [`AppError::QueueFull`](crate::AppError::QueueFull).
    Fail,
}

impl Overflow {
    /// A message of which a fragment was dropped would be another message.
    pub(super) fn allow_fragments(self) -> Result<()> {
        match self {
            Self::Block | Self::Fail => Ok(()),
            Self::DropOldest | Self::DropNewest => {
                let problem = "fragments are handed out one by one, and none may be dropped";
                Err(Error::Options(Box::new(OptionsError::new("queue", problem))))
            }
        }
    }
}

/// What waits to be called back.
#[derive(Debug)]
enum QueuedEvent {
    /// And its number.
    Opened(OpenEvent, u64),
    Data(Data),
    Failed(Arc<Error>),
    Closed(Closed),
}

/// Something received, as a value of its own.
#[derive(Debug)]
enum Data {
    Message(Message),
    Fragment { opcode: Opcode, payload: Vec<u8>, fin: bool },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    overflow: Overflow,
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<QueuedEvent>,
    /// How many of them are messages or fragments.
    data: usize,
    /// How many are pings or pongs. The rest, how a connection fares, is never dropped.
    control: usize,
    /// No event is added any more.
    is_over: bool,
}

/// The sending end of the queue.
#[derive(Debug)]
pub(super) struct QueueSender<'a> {
    queue: &'a Queue,
    shared: &'a Shared<Sender>,
    /// The number of the connection that was opened last.
    connection: u64,
}

impl Queue {
    /// So many events beside data fit in; the thread that receives waits with further ones, having nothing to receive then.
    const MARGIN: usize = 16;

    pub(super) fn new(capacity: usize, overflow: Overflow) -> Self {
        Self { capacity: capacity.max(1), overflow, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Calls back, until nothing comes any more. After the end of the run, or another connection, was asked for, what was received
    /// before is thrown away.
    pub(super) fn drain(&self, shared: &Shared<Sender>, sink: &mut impl EventSink) {
        let mut connection = 0;
        while let Some(event) = self.next() {
            match event {
                QueuedEvent::Opened(opened, number) => {
                    connection = number;
                    sink.opened(opened, number);
                }
                QueuedEvent::Data(_) if shared.is_discarding(connection) => {}
                // Whoever calls back on the spot has nothing to complain of.
                QueuedEvent::Data(data) => drop(sink.received(data.as_received())),
                QueuedEvent::Failed(error) => sink.failed(error),
                QueuedEvent::Closed(closed) => sink.closed(closed),
            }
        }
    }

    /// Wakes whoever waits for room: perhaps there is no need to wait any more.
    pub(super) fn wake(&self) {
        drop(self.state());
        self.changed.notify_all();
    }

    /// Nothing comes any more.
    fn end(&self) {
        self.state().is_over = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<QueuedEvent> {
        let mut state = self.state();
        loop {
            if let Some(event) = state.events.pop_front() {
                state.taken(&event);
                self.changed.notify_all();
                return Some(event);
            }
            if state.is_over {
                return None;
            }
            state = self.wait(state);
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, QueueState>) -> MutexGuard<'a, QueueState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> QueueSender<'a> {
    pub(super) const fn new(queue: &'a Queue, shared: &'a Shared<Sender>) -> Self {
        Self { queue, shared, connection: 0 }
    }

    fn push(&self, event: QueuedEvent) {
        let mut state = self.queue.state();
        while state.events.len() >= self.queue.capacity.saturating_mul(2).saturating_add(Queue::MARGIN)
            && !self.shared.is_stopping()
        {
            state = self.queue.wait(state);
        }
        state.push(event);
        self.queue.changed.notify_all();
    }

    fn push_data(&self, data: Data) -> Result<()> {
        let Queue { capacity, overflow, .. } = *self.queue;
        let mut state = self.queue.state();
        if state.count(&data) >= capacity {
            match overflow {
                Overflow::Block => {
                    while state.count(&data) >= capacity && !self.shared.is_discarding(self.connection) {
                        state = self.queue.wait(state);
                    }
                }
                // No message is lost for a ping or a pong, of which the connection has taken note.
                Overflow::DropOldest | Overflow::DropNewest | Overflow::Fail if data.is_control() => return Ok(()),
                Overflow::DropOldest => {
                    state.drop_oldest();
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Overflow::DropNewest => {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Overflow::Fail => return Err(Error::other(AppError::QueueFull { capacity })),
            }
        }
        if self.shared.is_discarding(self.connection) {
            return Ok(());
        }
        *state.count_mut(&data) += 1;
        state.push(QueuedEvent::Data(data));
        self.queue.changed.notify_all();
        Ok(())
    }
}

impl QueueState {
    fn push(&mut self, event: QueuedEvent) {
        self.events.push_back(event);
    }

    fn drop_oldest(&mut self) {
        let is_message = |event: &QueuedEvent| matches!(event, QueuedEvent::Data(data) if !data.is_control());
        if let Some(oldest) = self.events.iter().position(is_message) {
            self.events.remove(oldest);
            self.data -= 1;
        }
    }

    /// An event was taken out of it.
    fn taken(&mut self, event: &QueuedEvent) {
        match event {
            QueuedEvent::Data(data) => *self.count_mut(data) -= 1,
            QueuedEvent::Opened(..) | QueuedEvent::Failed(_) | QueuedEvent::Closed(_) => {}
        }
    }

    /// How many of this kind there are.
    const fn count(&self, data: &Data) -> usize {
        if data.is_control() { self.control } else { self.data }
    }

    const fn count_mut(&mut self, data: &Data) -> &mut usize {
        if data.is_control() { &mut self.control } else { &mut self.data }
    }
}

/// Whoever calls back learns that nothing comes any more, however the thread that receives ends.
impl Drop for QueueSender<'_> {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl EventSink for QueueSender<'_> {
    fn catch_panics<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        Some(act(self))
    }

    fn message(&mut self, message: MessageRef<'_>) -> Result<()> {
        self.push_data(Data::Message(message.to_owned()))
    }

    fn opened(&mut self, opened: OpenEvent, number: u64) {
        self.connection = number;
        self.push(QueuedEvent::Opened(opened, number));
    }

    fn received(&mut self, received: Received<'_>) -> Result<()> {
        self.push_data(Data::new(received))
    }

    fn failed(&mut self, error: Arc<Error>) {
        self.push(QueuedEvent::Failed(error));
    }

    fn closed(&mut self, closed: Closed) {
        self.push(QueuedEvent::Closed(closed));
    }
}

impl Data {
    fn new(received: Received<'_>) -> Self {
        match received {
            Received::Message(message) => Self::Message(message.to_owned()),
            Received::Fragment { opcode, payload, fin } => Self::Fragment { opcode, payload: payload.to_vec(), fin },
            Received::Ping(payload) => Self::Ping(payload.to_vec()),
            Received::Pong(payload) => Self::Pong(payload.to_vec()),
        }
    }

    /// Whether it is a ping or a pong.
    const fn is_control(&self) -> bool {
        match self {
            Self::Ping(_) | Self::Pong(_) => true,
            Self::Message(_) | Self::Fragment { .. } => false,
        }
    }

    fn as_received(&self) -> Received<'_> {
        match self {
            Self::Message(message) => Received::Message(message.as_ref()),
            Self::Fragment { opcode, payload, fin } => Received::Fragment { opcode: *opcode, payload, fin: *fin },
            Self::Ping(payload) => Received::Ping(payload),
            Self::Pong(payload) => Received::Pong(payload),
        }
    }
}
