//! A bounded queue between the thread that receives and the one that calls back.

use std::collections::VecDeque;

use super::closed::Closed;
use super::error::AppError;
use super::life::Opened;
use super::shared::Shared;
use super::stage::Audience;
use super::sync::{Arc, Condvar, Mutex, MutexGuard, Ordering, PoisonError};
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::sender::Sender;
use crate::websocket::{Opcode, Received};

/// What becomes of a message that comes while the queue is full.
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
    /// The connection is closed with code 1011, and has failed with
    /// [`AppError::QueueFull`](crate::AppError::QueueFull).
    Fail,
}

/// What waits to be called back.
#[derive(Debug)]
enum Event {
    Opened(Opened),
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
    lane: Mutex<Lane>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Lane {
    events: VecDeque<Event>,
    /// How many of them are data. The others are never dropped.
    data: usize,
    /// Nothing comes any more.
    is_over: bool,
}

/// The end of the queue that is filled.
#[derive(Debug)]
pub(super) struct Entrance<'a> {
    pub(super) queue: &'a Queue,
    pub(super) shared: &'a Shared<Sender>,
}

impl Queue {
    /// So many events beside data fit in; the thread that receives waits with further ones, having nothing to receive then.
    const MARGIN: usize = 16;

    pub(super) fn new(capacity: usize, overflow: Overflow) -> Self {
        Self { capacity: capacity.max(1), overflow, lane: Mutex::default(), changed: Condvar::new() }
    }

    /// Calls back, until nothing comes any more. After the end of the run was asked for, what was received before is thrown away.
    pub(super) fn drain(&self, shared: &Shared<Sender>, audience: &mut impl Audience) {
        while let Some(event) = self.next() {
            match event {
                Event::Opened(opened) => audience.opened(opened),
                Event::Data(_) if shared.is_stopping() => {}
                // Whoever calls back on the spot has nothing to complain of.
                Event::Data(data) => drop(audience.received(data.as_received())),
                Event::Failed(error) => audience.failed(error),
                Event::Closed(closed) => audience.closed(closed),
            }
        }
    }

    /// Wakes whoever waits for room: perhaps there is no need to wait any more.
    pub(super) fn wake(&self) {
        drop(self.lane());
        self.changed.notify_all();
    }

    /// Nothing comes any more.
    fn end(&self) {
        self.lane().is_over = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<Event> {
        let mut lane = self.lane();
        loop {
            if let Some(event) = lane.events.pop_front() {
                lane.data -= usize::from(matches!(event, Event::Data(_)));
                self.changed.notify_all();
                return Some(event);
            }
            if lane.is_over {
                return None;
            }
            lane = self.wait(lane);
        }
    }

    fn lane(&self) -> MutexGuard<'_, Lane> {
        self.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, lane: MutexGuard<'a, Lane>) -> MutexGuard<'a, Lane> {
        self.changed.wait(lane).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrance<'_> {
    fn push(&self, event: Event) {
        let mut lane = self.queue.lane();
        while lane.events.len() >= self.queue.capacity.saturating_add(Queue::MARGIN) && !self.shared.is_stopping() {
            lane = self.queue.wait(lane);
        }
        lane.push(event);
        self.queue.changed.notify_all();
    }

    fn push_data(&self, data: Data) -> Result<()> {
        let Queue { capacity, overflow, .. } = *self.queue;
        let mut lane = self.queue.lane();
        if lane.data >= capacity {
            match overflow {
                Overflow::Block => {
                    while lane.data >= capacity && !self.shared.is_stopping() {
                        lane = self.queue.wait(lane);
                    }
                }
                Overflow::DropOldest => {
                    lane.drop_oldest();
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                }
                Overflow::DropNewest => {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Overflow::Fail => return Err(Error::other(AppError::QueueFull { capacity })),
            }
        }
        if self.shared.is_stopping() {
            return Ok(());
        }
        lane.data += 1;
        lane.push(Event::Data(data));
        self.queue.changed.notify_all();
        Ok(())
    }
}

impl Lane {
    fn push(&mut self, event: Event) {
        self.events.push_back(event);
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.events.iter().position(|event| matches!(event, Event::Data(_))) {
            self.events.remove(oldest);
            self.data -= 1;
        }
    }
}

/// Whoever calls back learns that nothing comes any more, however the thread that receives ends.
impl Drop for Entrance<'_> {
    fn drop(&mut self) {
        self.queue.end();
    }
}

impl Audience for Entrance<'_> {
    fn guarded<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> Option<T> {
        Some(act(self))
    }

    fn message(&mut self, message: MessageRef<'_>) -> Result<()> {
        self.push_data(Data::Message(message.to_owned()))
    }

    fn opened(&mut self, opened: Opened) {
        self.push(Event::Opened(opened));
    }

    fn received(&mut self, received: Received<'_>) -> Result<()> {
        self.push_data(Data::new(received))
    }

    fn failed(&mut self, error: Arc<Error>) {
        self.push(Event::Failed(error));
    }

    fn closed(&mut self, closed: Closed) {
        self.push(Event::Closed(closed));
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

    fn as_received(&self) -> Received<'_> {
        match self {
            Self::Message(message) => Received::Message(message.as_ref()),
            Self::Fragment { opcode, payload, fin } => Received::Fragment { opcode: *opcode, payload, fin: *fin },
            Self::Ping(payload) => Received::Ping(payload),
            Self::Pong(payload) => Received::Pong(payload),
        }
    }
}
