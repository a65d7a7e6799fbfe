//! Messages that are received while they are read, and sent while they are written.

use std::io::{self, Read, Write};
use std::sync::Arc;

use super::never_panic_twice;
use super::reader::{ControlFrames, ControlPolicy, Reader, timed_out};
use super::receive_deadline::ReceiveDeadline;
use super::shared::{Purpose, SharedConnection, Transaction};
use super::writing::Wait;
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::message::MessageKind;
use crate::net::SendDeadline;
use crate::protocol::{
    CloseCode, CloseFrame, Compression, Fin, Granularity, LocalProtocolError, Opcode, Piece, Step, Utf8Validator,
};
use crate::sync::ThreadToken;

/// Reads one message before all of it has arrived; the end of the message is the end of the reader.
///
/// Text is valid UTF-8, checked as it comes. Dropped early, the rest of the message is skipped by the next receive.
///
/// ```no_run
/// use std::io::Read;
///
/// use websocket_sync::create_connection;
///
/// let mut ws = create_connection("ws://localhost:9001/")?;
/// let mut message = ws.message_reader()?;
/// let mut first = [0; 16];
/// message.read_exact(&mut first)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MessageReader<'a> {
    reader: &'a mut Reader,
    shared: &'a SharedConnection,
    piece: Piece,
    /// How much of the piece was read.
    read: usize,
}

impl<'a> MessageReader<'a> {
    /// How many empty pieces a read that does not wait looks behind.
    const PIECES: u32 = 64;

    /// Waits for a message to begin.
    pub(super) fn new(reader: &'a mut Reader, shared: &'a SharedConnection) -> Result<Self> {
        let mut deadline = reader.deadline();
        let piece = next_piece(reader, shared, &mut deadline)?;
        Ok(Self { reader, shared, piece, read: 0 })
    }

    /// Whether the message is text or binary.
    pub const fn kind(&self) -> MessageKind {
        self.piece.kind
    }
}

impl Read for MessageReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // One for all: a peer may send empty fragments without end.
        let mut deadline = self.reader.deadline();
        let mut without_waiting = 0..Self::PIECES;
        loop {
            let unread = self.reader.inbound.piece().get(self.read..).unwrap_or_default();
            if !unread.is_empty() || buf.is_empty() {
                let length = unread.len().min(buf.len());
                buf[..length].copy_from_slice(&unread[..length]);
                self.read += length;
                return Ok(length);
            }
            if self.piece.message_finished {
                return Ok(0);
            }
            if deadline.is_now() && without_waiting.next().is_none() {
                return Err(timed_out().into());
            }
            self.piece = next_piece(self.reader, self.shared, &mut deadline)?;
            self.read = 0;
        }
    }
}

impl Drop for MessageReader<'_> {
    fn drop(&mut self) {
        self.reader.inbound.skip_message();
    }
}

fn next_piece(reader: &mut Reader, shared: &SharedConnection, deadline: &mut ReceiveDeadline) -> Result<Piece> {
    let control = ControlPolicy::Handle(ControlFrames::Hide);
    // A reader may move from one thread to another.
    reader.note_thread(shared);
    loop {
        match reader.receive(shared, Granularity::Piece, control, deadline)? {
            Some(Step::Piece(piece)) => return Ok(piece),
            Some(_) => {}
            None => return Err(timed_out()),
        }
    }
}

/// Sends one message while it is written, in fragments of 64 KiB (RFC 6455, section 5.4).
///
/// Each fragment has the time of a send. Pings, pongs and a Close pass between the fragments. Other messages wait, until their
/// deadlines, for this one to be [finished](Self::finish); the same thread gets [`LocalProtocolError::SendingMessage`] instead.
/// Dropped unfinished, the connection is closed with 1011, since a half message must not pass for a whole one; that may wait for
/// the close timeout.
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
    shared: Arc<SharedConnection>,
    /// The opcode of the next fragment.
    opcode: Opcode,
    /// There for text, which must be UTF-8 although its fragments may be cut anywhere.
    text: Option<Utf8Validator>,
    buffer: Vec<u8>,
    compression: Compression,
    /// What others see of it.
    transaction: fn(ThreadToken) -> Transaction,
    /// The thread that wrote last, or else began the message: a writer may move from one to another.
    thread: ThreadToken,
    deadline: WriterDeadline,
    state: WriterState,
}

/// By when fragments have to be sent.
#[derive(Clone, Copy, Debug)]
enum WriterDeadline {
    /// Each fragment has the time of a send: each is sent by a call of its own.
    EachFragment,
    /// All of them together: one call sends them. Its time begins to run when a fragment has to wait first.
    Together(Option<SendDeadline>),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum WriterState {
    Writing,
    Finished,
    /// What was written is not UTF-8: the message cannot be finished.
    NotUtf8,
}

impl MessageWriter {
    /// How much is gathered before a fragment is sent, in bytes.
    const FRAGMENT: usize = 64 * 1024;
    /// The reason of the Close where a message remains unfinished.
    pub(super) const UNFINISHED: &'static str = "message was not finished";

    pub(super) fn new(shared: Arc<SharedConnection>, kind: MessageKind, compression: Compression) -> Result<Self> {
        Self::begin(shared, kind, compression, Transaction::Fragments, WriterDeadline::EachFragment)
    }

    /// For a message that a reader of the user's gives, within one call.
    pub(super) fn for_reader(
        shared: Arc<SharedConnection>,
        kind: MessageKind,
        compression: Compression,
    ) -> Result<Self> {
        Self::begin(shared, kind, compression, Transaction::Reader, WriterDeadline::Together(None))
    }

    fn begin(
        shared: Arc<SharedConnection>,
        kind: MessageKind,
        compression: Compression,
        transaction: fn(ThreadToken) -> Transaction,
        deadline: WriterDeadline,
    ) -> Result<Self> {
        // Who holds the sending half knows that no other message is in progress.
        let guard = shared.acquire(Purpose::Message)?;
        let thread = ThreadToken::current();
        shared.set_fragments(transaction(thread));
        drop(guard);
        let text = (kind == MessageKind::Text).then(Utf8Validator::default);
        let (opcode, state) = (kind.into(), WriterState::Writing);
        Ok(Self { shared, opcode, text, buffer: Vec::new(), compression, transaction, thread, deadline, state })
    }

    /// Sends the rest and ends the message.
    ///
    /// # Errors
    ///
    /// As for [`WebSocket::send_text`](crate::WebSocket::send_text), and [`Error::Usage`] for text that ends inside a character or was
    /// refused before: if no fragment has left, the connection goes on without the message. Otherwise the connection is closed with
    /// 1011, whatever the error, and instead of [`Error::Usage`] it is [`Error::Closed`] with [`CloseCause::Unfinished`].
    pub fn finish(mut self) -> Result<()> {
        if self.text.as_ref().is_some_and(|text| text.finish().is_err()) {
            self.state = WriterState::NotUtf8;
        }
        if let Err(error) = self.check_text().and_then(|()| self.send(Fin::Last)) {
            return Err(self.abandon(error));
        }
        self.state = WriterState::Finished;
        Ok(())
    }

    fn check_text(&self) -> Result<()> {
        match self.state {
            WriterState::NotUtf8 => Err(Error::Usage(LocalProtocolError::TextNotUtf8)),
            WriterState::Writing | WriterState::Finished => Ok(()),
        }
    }

    /// Gives the message up for this error, which is returned for the caller. When a part of it has left, the connection is closed.
    pub(super) fn abandon(mut self, error: Error) -> Error {
        self.buffer.clear();
        match error {
            Error::Usage(broken) if self.has_sent() => {
                let cause = CloseCause::Unfinished(broken);
                Error::Closed(Box::new(CloseInfo::new(CloseCode::INTERNAL_ERROR, "", cause)))
            }
            error => error,
        }
    }

    /// Whether a fragment has left.
    const fn has_sent(&self) -> bool {
        matches!(self.opcode, Opcode::Continuation)
    }

    /// Whether the peer has a part of a message, or the user takes for sent what has not become part of one.
    const fn is_unfinished(&self) -> bool {
        match self.state {
            WriterState::Finished => false,
            WriterState::NotUtf8 => self.has_sent(),
            WriterState::Writing => self.has_sent() || !self.buffer.is_empty(),
        }
    }

    /// Notes which thread writes: it must not wait for itself.
    fn note_thread(&mut self) {
        let thread = ThreadToken::current();
        if thread != self.thread {
            self.thread = thread;
            self.shared.set_fragments((self.transaction)(thread));
        }
    }

    fn send(&mut self, fin: Fin) -> Result<()> {
        self.note_thread();
        let mut own = None;
        let deadline = match &mut self.deadline {
            WriterDeadline::EachFragment => &mut own,
            WriterDeadline::Together(deadline) => deadline,
        };
        self.shared.send_fragment(self.opcode, fin, &self.buffer, self.compression, deadline)?;
        self.opcode = Opcode::Continuation;
        self.buffer.clear();
        Ok(())
    }
}

/// After a timeout nothing is lost: the same call can be made again.
impl Write for MessageWriter {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.check_text()?;
        self.note_thread();
        // Only now, since it may have been the last: then it ends the message.
        if self.buffer.len() == Self::FRAGMENT && !piece.is_empty() {
            self.send(Fin::More)?;
        }
        let piece = &piece[..piece.len().min(Self::FRAGMENT - self.buffer.len())];
        if let Some(text) = &mut self.text
            && text.push(piece).is_err()
        {
            self.state = WriterState::NotUtf8;
            self.check_text()?;
        }
        self.buffer.extend_from_slice(piece);
        Ok(piece.len())
    }

    /// Sends what was written so far as a fragment.
    fn flush(&mut self) -> io::Result<()> {
        self.check_text()?;
        if !self.buffer.is_empty() {
            self.send(Fin::More)?;
        }
        Ok(())
    }
}

/// Ends a message in fragments when it is dropped, also by a panic.
struct FragmentsEnd<'a>(&'a SharedConnection);

impl Drop for FragmentsEnd<'_> {
    fn drop(&mut self) {
        self.0.end_fragments();
    }
}

impl Drop for MessageWriter {
    fn drop(&mut self) {
        let _end = FragmentsEnd(&self.shared);
        // A fork must not speak on its parent's connection.
        if self.is_unfinished() && self.shared.is_of_this_process() {
            // If the connection is over already, that is as well.
            never_panic_twice(|| {
                let _ = CloseFrame::new(CloseCode::INTERNAL_ERROR, Self::UNFINISHED)
                    .map_err(Error::Usage)
                    .and_then(|close| self.shared.break_off(close, Wait::Allowed));
            });
        }
    }
}
