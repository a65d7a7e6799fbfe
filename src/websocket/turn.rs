//! The turn: the sending half of a connection in the hands of one thread.

use std::io;
use std::sync::PoisonError;

use super::reply::Reply;
use super::shared::Shared;
use crate::error::{CloseCause, Error, Phase, Result};
use crate::message::MessageRef;
use crate::net::Patience;
pub(super) use crate::net::is_timeout;
use crate::protocol::{Compression, Fin, LocalProtocolError, MaskKeys, Opcode, Outbound};
use crate::trace::Epoch;

/// The right to write. It ends when it is dropped; a reply that the reader left in the meantime is sent then, as far as that is
/// possible without waiting.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    shared: &'a Shared,
    /// There until the turn is dropped.
    outbound: Option<Box<Outbound>>,
    patience: Patience,
    compression: Compression,
    condition: Condition,
    /// Whether the trace is told of what is written. What was begun untold is not told to its end.
    is_traced: bool,
}

/// What has become of what was begun in a turn.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Condition {
    /// Nothing is begun that must be finished.
    Sound,
    /// A message is begun that must not remain a part of one.
    Unfinished,
    /// Nothing can be written any more.
    Dead,
}

impl<'a> Turn<'a> {
    /// A payload is masked and written in pieces of this size: large enough that the system call is nothing, small enough that the
    /// kernel finds it in the second-level cache.
    pub(super) const PIECE: usize = 256 * 1024;
    /// What is at least so long may take a while to leave.
    const LARGE: usize = 16 * 1024;
    /// So many replies in a row are sent for the reader. A peer that pings without end must not keep a sender from returning.
    const REPLIES: usize = 4;

    pub(super) fn new(shared: &'a Shared, outbound: Box<Outbound>, patience: Patience) -> Self {
        let is_traced = Epoch::now().is_some_and(|epoch| shared.listen(epoch, &outbound));
        Self {
            shared,
            outbound: Some(outbound),
            patience,
            compression: Compression::Agreed,
            condition: Condition::Sound,
            is_traced,
        }
    }

    /// The same turn, for messages that are compressed like this.
    pub(super) const fn compressing(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sends a whole message, as one frame unless it is large and compressed; returns the length of what was sent in bytes.
    #[inline]
    pub(super) fn message(&mut self, message: MessageRef<'_>) -> Result<u64> {
        let (opcode, payload) = (message.kind().into(), message.as_bytes());
        if payload.len() > Self::PIECE {
            return self.large(opcode, Fin::Last, payload, |outbound| outbound.begin_message(message));
        }
        let compression = self.compression;
        self.send(|outbound| outbound.message_with(message, compression)).map(|length| length as u64)
    }

    /// Sends a data frame, or several where it is large and compressed; returns their length in bytes.
    #[inline]
    pub(super) fn data(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<u64> {
        if payload.len() > Self::PIECE {
            return self.large(opcode, fin, payload, |outbound| outbound.begin(opcode, fin, payload.len() as u64));
        }
        let compression = self.compression;
        self.send(|outbound| outbound.data_with(opcode, fin, payload, compression)).map(|length| length as u64)
    }

    /// Whether a data frame would be compressed if it were sent now.
    pub(super) fn would_deflate(&mut self, opcode: Opcode, fin: Fin, len: u64) -> bool {
        let compression = self.compression;
        self.outbound().would_deflate(opcode, fin, len, compression)
    }

    /// Sends one frame, or nothing of it: when no byte has left by the deadline, it is taken back.
    #[inline]
    pub(super) fn send<N>(&mut self, encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>) -> Result<N> {
        let outbound = self.outbound();
        let checkpoint = outbound.checkpoint();
        let length = encode(outbound)?;
        let flushed = self.flush();
        if flushed.is_err() && !self.outbound().rollback(checkpoint) {
            self.tear();
        }
        flushed.map(|()| length)
    }

    /// Sends one frame by the deadline of the turn, if that goes. Before a byte of it has left it is taken back; otherwise the rest
    /// stays pending, since this frame is no reason to end the connection. A timeout says that not a byte has left, of what was
    /// pending before it neither.
    pub(super) fn send_leniently<N>(
        &mut self,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        let outbound = self.outbound();
        let checkpoint = outbound.checkpoint();
        let length = encode(outbound)?;
        let encoded = outbound.pending().len();
        match self.flush() {
            Err(error) if error.is_timeout() && self.condition == Condition::Sound => {
                let has_moved = self.pending() < encoded;
                self.outbound().rollback(checkpoint);
                Err(if has_moved { Error::Full } else { error })
            }
            flushed => flushed.map(|()| length),
        }
    }

    /// Sends one frame of about `size` bytes without waiting, or nothing of it: what does not leave at once stays pending, as long
    /// as that is no more than `limit` bytes.
    pub(super) fn try_send<N>(
        &mut self,
        size: usize,
        limit: usize,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        self.try_flush();
        let outbound = self.outbound();
        if size > limit - limit.min(outbound.pending().len()) {
            return Err(Error::Full);
        }
        outbound.compact();
        let length = self.encode(encode)?;
        self.try_flush();
        if self.condition == Condition::Dead { Err(self.shared.dead()) } else { Ok(length) }
    }

    /// Encodes without sending; [`flush`](Self::flush) sends.
    pub(super) fn encode<N>(
        &mut self,
        encode: impl FnOnce(&mut Outbound) -> Result<N, LocalProtocolError>,
    ) -> Result<N> {
        if self.condition == Condition::Dead {
            return Err(self.shared.dead());
        }
        encode(self.outbound()).map_err(Error::Usage)
    }

    /// Encodes a whole message without sending; returns its length in bytes.
    #[inline]
    pub(super) fn encode_message(&mut self, message: MessageRef<'_>) -> Result<usize> {
        let compression = self.compression;
        self.encode(|outbound| outbound.message_with(message, compression))
    }

    /// Encodes a data frame without sending; returns its length in bytes.
    #[inline]
    pub(super) fn encode_data(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<usize> {
        let compression = self.compression;
        self.encode(|outbound| outbound.data_with(opcode, fin, payload, compression))
    }

    /// Does what sends a message in several steps. If it fails, or panics in the middle of a payload that a reader of the user's
    /// gives, the connection is over: the message cannot be finished.
    pub(super) fn whole_message<T>(&mut self, send: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.condition = Condition::Unfinished;
        let sent = send(self);
        match sent {
            Ok(_) => self.condition = Condition::Sound,
            Err(_) => self.tear(),
        }
        sent
    }

    /// How many bytes are encoded and not sent.
    pub(super) fn pending(&mut self) -> usize {
        self.outbound().pending().len()
    }

    /// Writes what is pending. After a timeout the rest stays, to be taken back if it may be: nothing may follow a torn frame.
    #[inline]
    pub(super) fn flush(&mut self) -> Result<()> {
        let (shared, patience, is_traced) = (self.shared, self.patience, self.is_traced);
        if self.condition == Condition::Dead {
            return Err(shared.dead());
        }
        let outbound = self.outbound();
        let pending = outbound.pending();
        let written = if pending.len() < Self::LARGE {
            shared.stream.write_all(pending, patience)
        } else {
            shared.pulse.set_sending(true);
            let written = shared.stream.write_all(pending, patience);
            shared.pulse.set_sending(false);
            written
        };
        match written {
            Ok(()) => {
                let length = pending.len();
                note_written(shared, is_traced, outbound, length);
                Ok(())
            }
            Err(failure) if is_timeout(&failure.error) => {
                match failure.taken {
                    Some(length) => note_written(shared, is_traced, outbound, length),
                    None => self.tear(),
                }
                Err(Error::Timeout(Phase::Send))
            }
            Err(failure) => {
                outbound.discard_pending();
                self.condition = Condition::Dead;
                Err(shared.write_failed(failure.error.kind()))
            }
        }
    }

    pub(super) fn set_mask_keys(&mut self, keys: MaskKeys) {
        self.outbound().set_mask_keys(keys);
    }

    /// What is begun cannot be finished: the connection is over, and the rest must not leave.
    #[cold]
    pub(super) fn tear(&mut self) {
        if self.condition != Condition::Dead {
            self.condition = Condition::Dead;
            self.outbound().discard_pending();
            self.shared.abort(CloseCause::TornFrame);
        }
    }

    /// Sends the reply that waits, our Close, and waits until it is sent.
    pub(super) fn send_reply(mut self) -> Result<()> {
        let reply = self.shared.take_reply();
        self.encode_reply(&reply);
        self.flush().map_err(|error| if error.is_timeout() { Error::Timeout(Phase::Close) } else { error })
    }

    #[cold]
    fn large(
        &mut self,
        opcode: Opcode,
        fin: Fin,
        payload: &[u8],
        begin: impl FnOnce(&mut Outbound) -> Result<u64, LocalProtocolError>,
    ) -> Result<u64> {
        if self.would_deflate(opcode, fin, payload.len() as u64) {
            return self.large_deflated(opcode, fin, payload);
        }
        let (first, rest) = payload.split_at(Self::PIECE);
        let length = self.send(|outbound| {
            let length = begin(outbound)?;
            outbound.payload(first)?;
            Ok(length)
        })?;
        self.whole_message(|turn| {
            for piece in rest.chunks(Self::PIECE) {
                turn.encode(|outbound| outbound.payload(piece))?;
                turn.flush()?;
            }
            Ok(length)
        })
    }

    /// The length of a compressed frame is known when all of it is compressed, which a large one shall not wait for: it goes in
    /// fragments.
    fn large_deflated(&mut self, opcode: Opcode, fin: Fin, payload: &[u8]) -> Result<u64> {
        let (first, rest) = payload.split_at(Self::PIECE);
        let compression = self.compression;
        let mut length = self.send(|outbound| outbound.data_with(opcode, Fin::More, first, compression))? as u64;
        self.whole_message(|turn| {
            let mut pieces = rest.chunks(Self::PIECE).peekable();
            while let Some(piece) = pieces.next() {
                let fin = if pieces.peek().is_some() { Fin::More } else { fin };
                length += turn.encode(|outbound| outbound.data(Opcode::Continuation, fin, piece))? as u64;
                turn.flush()?;
            }
            Ok(length)
        })
    }

    fn encode_reply(&mut self, reply: &Reply) {
        let outbound = self.outbound();
        // Neither can be refused: a pong repeats what a ping brought, and a Close was checked before it was queued.
        let _ = match reply {
            Reply::Empty => Ok(0),
            Reply::Pong(payload) => outbound.pong(payload.as_slice()),
            Reply::Close(close) => outbound.close(close),
        };
    }

    /// Writes what goes without waiting.
    fn try_flush(&mut self) {
        let (shared, is_traced) = (self.shared, self.is_traced);
        let outbound = self.outbound();
        if shared.stream.has_output() && shared.stream.try_flush().is_err() {
            return;
        }
        while !outbound.pending().is_empty() {
            match shared.stream.try_write(outbound.pending()) {
                Ok(0) => return,
                Ok(length) => {
                    note_written(shared, is_traced, outbound, length);
                    shared.driver.count(length);
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        outbound.discard_pending();
                        self.condition = Condition::Dead;
                        shared.write_failed(error.kind());
                    }
                    return;
                }
            }
        }
    }

    fn outbound(&mut self) -> &mut Outbound {
        self.outbound.as_mut().expect("the sending half is there until the turn is dropped")
    }
}

/// Takes note that the first `length` bytes that were pending are written.
#[inline]
fn note_written(shared: &Shared, is_traced: bool, outbound: &mut Outbound, length: usize) {
    if is_traced {
        shared.tell_sent(&outbound.pending()[..length]);
    }
    outbound.written(length);
}

impl Shared {
    /// Whether the trace has seen all that was written since `epoch` began, or can begin now: between two frames.
    #[cold]
    fn listen(&self, epoch: Epoch, outbound: &Outbound) -> bool {
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        if !trace.follows(epoch) && outbound.pending().is_empty() && !outbound.is_inside_frame() {
            trace.join(epoch, 0);
        }
        trace.follows(epoch)
    }

    #[cold]
    fn tell_sent(&self, bytes: &[u8]) {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).pass(bytes);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.condition == Condition::Unfinished {
            self.tear();
        }
        self.try_flush();
        for _ in 0..Self::REPLIES {
            let Some(outbound) = self.outbound.take() else { return };
            let Some((outbound, reply)) = self.shared.give_back(outbound) else { return };
            self.outbound = Some(outbound);
            self.encode_reply(&reply);
            self.try_flush();
        }
        if let Some(outbound) = self.outbound.take() {
            self.shared.give_up_turn(outbound);
        }
    }
}
