//! Messages that could not be sent yet: bounded, and in the order in which they were to be sent.

use std::collections::VecDeque;

use super::error::AppError;
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::websocket::not_connected;

/// Messages that could not be sent yet, the oldest first.
///
/// The oldest of them may be *held*: they were kept while there was no connection, and wait until the application takes them or has them
/// sent. Those behind were to be sent on the connection that is open, and leave by themselves.
#[derive(Debug)]
pub(super) struct Outbox {
    /// How many messages it holds at most; 0 where there is none.
    capacity: usize,
    max_bytes: usize,
    unsent: VecDeque<Message>,
    /// The bytes in them.
    bytes: usize,
    /// How many of them, from the oldest on, are held.
    held: usize,
    /// The connection that a thread is sending them on.
    drains_for: Option<u64>,
}

impl Outbox {
    /// So many bytes are kept by default.
    const MAX_BYTES: usize = 16 << 20;

    pub(super) const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    pub(super) const fn set_max_bytes(&mut self, bytes: usize) {
        self.max_bytes = bytes;
    }

    /// Whether anything can be kept.
    pub(super) const fn is_wanted(&self) -> bool {
        self.capacity > 0
    }

    /// Whether messages leave by themselves, so that others have to go behind them.
    pub(super) fn is_flowing(&self) -> bool {
        self.drains_for.is_some() || self.unsent.len() > self.held
    }

    /// Keeps a message that cannot be sent now.
    pub(super) fn keep(&mut self, message: MessageRef<'_>) -> Result<()> {
        if self.capacity == 0 {
            return Err(not_connected());
        }
        let length = message.as_bytes().len();
        if self.unsent.len() >= self.capacity || length > self.max_bytes.saturating_sub(self.bytes) {
            let (capacity, max_bytes) = (self.capacity, self.max_bytes);
            return Err(Error::other(AppError::OutboxFull { capacity, max_bytes }));
        }
        self.bytes += length;
        self.unsent.push_back(message.to_owned());
        Ok(())
    }

    /// There is no connection: all of it waits for the application.
    pub(super) fn hold(&mut self) {
        self.held = self.unsent.len();
    }

    /// Hands back what it holds, the oldest first.
    pub(super) fn take(&mut self) -> Vec<Message> {
        (self.bytes, self.held) = (0, 0);
        std::mem::take(&mut self.unsent).into()
    }

    /// What is held is to be sent, too.
    pub(super) const fn release(&mut self) {
        self.held = 0;
    }

    /// The connection that a thread is sending them on.
    pub(super) const fn drains_for(&self) -> Option<u64> {
        self.drains_for
    }

    /// A thread begins to send on this connection; how many messages.
    pub(super) fn begin_drain(&mut self, number: u64) -> usize {
        self.drains_for = Some(number);
        self.unsent.len() - self.held
    }

    pub(super) const fn end_drain(&mut self) {
        self.drains_for = None;
    }

    /// Takes the next one to be sent, and says where it lay.
    pub(super) fn pop(&mut self) -> Option<(usize, Message)> {
        let message = self.unsent.remove(self.held)?;
        self.bytes -= message.as_bytes().len();
        Some((self.held, message))
    }

    /// Puts back the one that was taken last, and could not be sent.
    pub(super) fn put_back(&mut self, index: usize, message: Message) {
        self.bytes += message.as_bytes().len();
        // All of them may have been taken since, or be held.
        let index = index.min(self.unsent.len());
        self.unsent.insert(index, message);
        if index < self.held {
            self.held += 1;
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { capacity: 0, max_bytes: Self::MAX_BYTES, unsent: VecDeque::new(), bytes: 0, held: 0, drains_for: None }
    }
}
