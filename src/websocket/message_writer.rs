//! A message that is sent as it is written.

use std::io::{self, Write};
use std::sync::Arc;

use super::shared::{Purpose, Sending, Shared};
use crate::error::{Error, Result};
use crate::message::MessageKind;
use crate::protocol::{CloseCode, Compression, Fin, LocalProtocolError, Opcode, TextCheck};
use crate::sync::thread;

/// Sends one message while it is written, in fragments of 64 KiB (RFC 6455, section 5.4).
///
/// Pings, pongs and a Close pass between the fragments. Other messages wait, until their deadlines, for this one to be
/// [finished](Self::finish); the same thread gets [`LocalProtocolError::SendingMessage`] instead. Dropped unfinished, the
/// connection is closed with 1011, since a half message must not pass for a whole one; that may wait for the close timeout.
///
/// ```no_run
/// use std::io::Write;
///
/// use websocket_sync::{MessageKind, create_connection};
///
/// let ws = create_connection("ws://localhost:9001/")?;
/// let mut message = ws.message_writer(MessageKind::Binary)?;
/// message.write_all(b"a part")?;
/// message.write_all(b" and another")?;
/// message.finish()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageWriter {
    shared: Arc<Shared>,
    /// The opcode of the next fragment.
    opcode: Opcode,
    /// There for text, which must be UTF-8 although its fragments may be cut anywhere.
    text: Option<TextCheck>,
    buffer: Vec<u8>,
    compression: Compression,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Writing,
    Finished,
    /// Text that is none was refused: a part of the message is missing.
    NotUtf8,
}

impl MessageWriter {
    /// How much is gathered before a fragment is sent, in bytes.
    const FRAGMENT: usize = 64 * 1024;

    pub(crate) fn new(shared: Arc<Shared>, kind: MessageKind, compression: Compression) -> Result<Self> {
        // Holding the turn for a moment makes sure that no other message is in progress.
        let turn = shared.turn(Purpose::Message)?;
        shared.set_sending(Sending::Fragments(thread::current().id()));
        drop(turn);
        let text = (kind == MessageKind::Text).then(TextCheck::default);
        Ok(Self { shared, opcode: kind.into(), text, buffer: Vec::new(), compression, state: State::Writing })
    }

    /// Sends the rest and ends the message.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when text ends inside a character, otherwise as for
    /// [`WebSocket::send_text`](crate::WebSocket::send_text).
    pub fn finish(mut self) -> Result<()> {
        self.check_text()?;
        if self.text.as_ref().is_some_and(|text| text.finish().is_err()) {
            return Err(Error::Usage(LocalProtocolError::TextNotUtf8));
        }
        self.send(Fin::Last)?;
        self.state = State::Finished;
        Ok(())
    }

    fn check_text(&self) -> Result<()> {
        match self.state {
            State::NotUtf8 => Err(Error::Usage(LocalProtocolError::TextNotUtf8)),
            State::Writing | State::Finished => Ok(()),
        }
    }

    /// Whether anything was written that has not become part of a whole message.
    const fn is_unfinished(&self) -> bool {
        match self.state {
            State::Finished => false,
            State::NotUtf8 => true,
            State::Writing => matches!(self.opcode, Opcode::Continuation) || !self.buffer.is_empty(),
        }
    }

    fn send(&mut self, fin: Fin) -> Result<()> {
        // The thread that sends must not wait for itself.
        self.shared.set_sending(Sending::Fragments(thread::current().id()));
        self.shared.turn(Purpose::Fragment)?.compressing(self.compression).data(self.opcode, fin, &self.buffer)?;
        self.opcode = Opcode::Continuation;
        self.buffer.clear();
        Ok(())
    }
}

/// After a timeout nothing is lost: the same call can be made again.
impl Write for MessageWriter {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.check_text()?;
        // Only now, since it may have been the last: then it ends the message.
        if self.buffer.len() == Self::FRAGMENT && !piece.is_empty() {
            self.send(Fin::More)?;
        }
        let piece = &piece[..piece.len().min(Self::FRAGMENT - self.buffer.len())];
        if let Some(text) = &mut self.text
            && text.push(piece).is_err()
        {
            self.state = State::NotUtf8;
            self.check_text()?;
        }
        self.buffer.extend_from_slice(piece);
        Ok(piece.len())
    }

    /// Sends what was written so far as a fragment.
    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.send(Fin::More)?;
        }
        Ok(())
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        // A fork must not speak on its parent's connection.
        if self.is_unfinished() && self.shared.is_ours() {
            // The message cannot be completed, so the connection cannot go on. If it is over already, that is as well.
            let _ = self.shared.send_close(CloseCode::INTERNAL_ERROR, "message was not finished");
        }
        self.shared.set_sending(Sending::Nothing);
    }
}
