//! Messages that were to be sent while there was no connection.

use std::collections::VecDeque;

use super::error::AppError;
use crate::error::{Error, Result};
use crate::message::{Message, MessageRef};
use crate::websocket::not_connected;

/// Keeps messages until the application takes them back. Nothing here is ever sent by itself.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// How many messages it holds at most; 0 where there is none.
    capacity: usize,
    unsent: VecDeque<Message>,
}

impl Outbox {
    pub(super) const fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Keeps a message that cannot be sent now.
    pub(super) fn keep(&mut self, message: MessageRef<'_>) -> Result<()> {
        if self.capacity == 0 {
            return Err(not_connected());
        }
        if self.unsent.len() >= self.capacity {
            return Err(Error::other(AppError::OutboxFull { capacity: self.capacity }));
        }
        self.unsent.push_back(message.to_owned());
        Ok(())
    }

    /// Hands back what it holds, the oldest first.
    pub(super) fn take(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.unsent).into()
    }
}
