//! The messages of a connection as an iterator.

use std::iter::FusedIterator;

use super::WebSocket;
use crate::error::{Error, Result};
use crate::message::Message;

/// Receives until the connection is closed; made by [`WebSocket::messages`].
#[derive(Debug)]
pub struct Messages<'a> {
    ws: &'a mut WebSocket,
    over: Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Over {
    No,
    Yes,
}

impl<'a> Messages<'a> {
    pub(super) const fn new(ws: &'a mut WebSocket) -> Self {
        Self { ws, over: Over::No }
    }
}

/// Ends after a clean close. An error ends it too, except a timeout, after which the next message may still come.
impl Iterator for Messages<'_> {
    type Item = Result<Message>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over == Over::Yes {
            return None;
        }
        match self.ws.recv() {
            Ok(message) => Some(Ok(message)),
            Err(error) if error.is_timeout() => Some(Err(error)),
            Err(error) => {
                self.over = Over::Yes;
                let clean = matches!(&error, Error::Closed(info) if info.is_clean());
                (!clean).then_some(Err(error))
            }
        }
    }
}

impl FusedIterator for Messages<'_> {}

impl<'a> IntoIterator for &'a mut WebSocket {
    type Item = Result<Message>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.messages()
    }
}
