//! Chunks of frames to steps: whole messages, frames or pieces.

use super::frames::Chunk;
use super::{Granularity, Inbound, Latest, Piece, ReceiveState, Step, Taking, TextPolicy};
use crate::message::MessageKind;
use crate::protocol::Room;
use crate::protocol::close::CloseFrame;
use crate::protocol::deflate::Inflater;
use crate::protocol::error::ProtocolError;
use crate::protocol::frame::Opcode;

impl Inbound {
    /// How much of a compressed payload is inflated at once to be thrown away, in bytes: it becomes a thousand times as long at most.
    const SKIPPED: usize = 1024;

    /// Goes on to whatever `asked` waits for. What another granularity has begun is finished first, in that granularity.
    pub(super) fn step(&mut self, asked: Granularity) -> Result<Step, ProtocolError> {
        let step = self.next_step(asked);
        if let Err(error) = step {
            self.state = ReceiveState::Failed(error);
            self.discard();
        }
        step
    }

    fn next_step(&mut self, asked: Granularity) -> Result<Step, ProtocolError> {
        let mut half = match self.state {
            ReceiveState::Idle => None,
            ReceiveState::Receiving(taking) => Some(taking),
            ReceiveState::Closed => {
                self.discard();
                return Ok(Step::Ended);
            }
            ReceiveState::Failed(error) => return Err(error),
        };
        loop {
            // The pool of states may be the user's, and panic.
            let take_state = || self.inflater.iter_mut().for_each(Inflater::take_state);
            if !self.frames.next_chunk(&mut self.window, half.is_some(), take_state)? {
                return Ok(Step::NeedMore);
            }
            let chunk = self.frames.chunk;
            if chunk.is_control() {
                return self.take_control(&chunk);
            }
            let taking = self.prepare(&chunk, half, asked);
            let step = self.take_data(&chunk, taking)?;
            if step.is_none() {
                half = if chunk.ends_message() { None } else { Some(taking) };
                self.state = half.map_or(ReceiveState::Idle, ReceiveState::Receiving);
            }
            // All else is noted by now: the pool may be the user's, and panic.
            if chunk.ends_message()
                && self.frames.message.compressed
                && let Some(inflater) = &mut self.inflater
            {
                inflater.give_back();
            }
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    fn take_control(&mut self, chunk: &Chunk) -> Result<Step, ProtocolError> {
        self.latest = Latest::Control(chunk.opcode, chunk.len);
        Ok(match chunk.opcode {
            Opcode::Ping => Step::Ping,
            Opcode::Pong => Step::Pong,
            _ => {
                let body = self.window.behind(chunk.len);
                let close = CloseFrame::parse(body).inspect_err(|_| self.close = CloseFrame::parse_rejected(body))?;
                self.close = Some(close);
                self.state = ReceiveState::Closed;
                Step::Close
            }
        })
    }

    /// Takes a chunk of data; the step that it brings, if it is enough for one.
    #[inline]
    fn take_data(&mut self, chunk: &Chunk, taking: Taking) -> Result<Option<Step>, ProtocolError> {
        let kind = self.frames.message.kind;
        if chunk.is_whole_message() && taking == Taking::Message && !self.frames.message.compressed {
            // It stays where it lies, and text is validated when it is looked at.
            self.state = ReceiveState::Idle;
            self.latest = Latest::Window(kind, chunk.len);
            return Ok(Some(Step::Message));
        }
        self.gather(chunk, taking)?;
        let ends_message = chunk.ends_message();
        if ends_message {
            self.end_message()?;
        } else if taking == Taking::Message {
            return Ok(None);
        }
        let (brought, step) = match taking {
            Taking::Message => (Latest::Gathered, Step::Message),
            Taking::Frame(opcode) if chunk.last => (Latest::Frame(opcode, chunk.fin), Step::Frame),
            Taking::Piece => {
                let piece = Piece { kind, frame_finished: chunk.last, message_finished: ends_message };
                (Latest::Gathered, Step::Piece(piece))
            }
            Taking::Nothing | Taking::Frame(_) | Taking::Skip => return Ok(None),
        };
        self.latest = brought;
        self.state = match self.utf8.incomplete() {
            _ if ends_message => ReceiveState::Idle,
            0 => ReceiveState::Receiving(Taking::Nothing),
            // What is left of a character that is cut can only be handed out in the same way.
            _ => ReceiveState::Receiving(taking),
        };
        Ok(Some(step))
    }

    /// Decides how a chunk is taken, and forgets what was handed out before.
    #[inline]
    fn prepare(&mut self, chunk: &Chunk, half: Option<Taking>, asked: Granularity) -> Taking {
        let half = match half {
            Some(taking) => taking,
            None if self.discards => Taking::Skip,
            None => Taking::Nothing,
        };
        match half {
            Taking::Message | Taking::Skip => return half,
            Taking::Frame(_) if !chunk.first => return half,
            Taking::Piece => {
                self.bytes.drop_front(self.bytes.len() - self.utf8.incomplete());
                return half;
            }
            Taking::Nothing | Taking::Frame(_) => self.bytes.clear(),
        }
        match asked {
            Granularity::Message if half == Taking::Nothing => Taking::Message,
            Granularity::Piece if half == Taking::Nothing => Taking::Piece,
            // The rest of a frame whose beginning was handed out continues that.
            _ if chunk.first => Taking::Frame(chunk.opcode),
            _ => Taking::Frame(Opcode::Continuation),
        }
    }

    /// Puts the payload of a chunk to the bytes that are taken, decoded and validated.
    fn gather(&mut self, chunk: &Chunk, taking: Taking) -> Result<(), ProtocolError> {
        if self.frames.message.compressed {
            return self.inflate(chunk, taking);
        }
        let payload = self.window.behind(chunk.len);
        if taking != Taking::Skip {
            let limit = self.frames.limits().max_message_size;
            self.bytes.extend(payload, limit).map_err(|_| ProtocolError::OutOfMemory)?;
        }
        if is_validated(self.frames.message.kind, self.policy) {
            self.utf8.push(payload)?;
        }
        Ok(())
    }

    /// The same with a chunk that is compressed. What is thrown away is inflated in small parts, so that it takes no memory.
    ///
    /// An octet that makes text invalid is told before whatever is wrong with what comes behind it, however the bytes were cut.
    fn inflate(&mut self, chunk: &Chunk, taking: Taking) -> Result<(), ProtocolError> {
        let Some(inflater) = &mut self.inflater else { return Ok(()) };
        let most = if taking == Taking::Skip { Self::SKIPPED } else { chunk.len.max(1) };
        for part in self.window.behind(chunk.len).chunks(most) {
            let before = self.bytes.len();
            let room = Room::new(self.frames.room(), self.frames.limits().max_message_size);
            let inflated = inflater.inflate(part, &mut self.bytes, room);
            self.frames.message.size += self.bytes.len() - before;
            if is_validated(self.frames.message.kind, self.policy) {
                self.utf8.push(&self.bytes.as_slice()[before..])?;
            }
            if taking == Taking::Skip {
                self.bytes.clear();
            }
            inflated?;
        }
        Ok(())
    }

    /// The message in progress has ended: it must be whole, and so must its last character.
    fn end_message(&mut self) -> Result<(), ProtocolError> {
        if self.frames.message.compressed
            && let Some(inflater) = &mut self.inflater
        {
            inflater.finish()?;
        }
        Ok(self.utf8.finish()?)
    }
}

/// Whether text is validated, and then arrives as text.
#[inline]
pub(super) fn is_validated(kind: MessageKind, policy: TextPolicy) -> bool {
    (kind, policy) == (MessageKind::Text, TextPolicy::Validate)
}
