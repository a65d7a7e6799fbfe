//! Chunks of frames to steps: whole messages, frames or pieces.

use super::frames::Chunk;
use super::{Granularity, Inbound, Latest, Piece, State, Step, Taking, TextPolicy};
use crate::message::MessageKind;
use crate::protocol::Room;
use crate::protocol::close::CloseFrame;
use crate::protocol::error::ProtocolError;
use crate::protocol::frame::Opcode;

impl Inbound {
    /// Goes on to whatever `asked` waits for. What another granularity has begun is finished first, in that granularity.
    pub(super) fn step(&mut self, asked: Granularity) -> Result<Step, ProtocolError> {
        let step = self.next_step(asked);
        if let Err(error) = step {
            self.state = State::Failed(error);
            self.discard();
        }
        step
    }

    fn next_step(&mut self, asked: Granularity) -> Result<Step, ProtocolError> {
        loop {
            let in_progress = match self.state {
                State::Idle => false,
                State::Receiving(_) => true,
                State::Closed => {
                    self.discard();
                    return Ok(Step::Ended);
                }
                State::Failed(error) => return Err(error),
            };
            let Some(chunk) = self.frames.next_chunk(&mut self.window, in_progress)? else {
                return Ok(Step::NeedMore);
            };
            self.chunk = Some(chunk);
            if chunk.is_control() {
                return self.take_control(&chunk);
            }
            if let Some(step) = self.take_data(&chunk, asked)? {
                return Ok(step);
            }
        }
    }

    fn take_control(&mut self, chunk: &Chunk) -> Result<Step, ProtocolError> {
        self.latest = Latest::Control(chunk.header.opcode, chunk.len);
        Ok(match chunk.header.opcode {
            Opcode::Ping => Step::Ping,
            Opcode::Pong => Step::Pong,
            _ => {
                let body = self.window.behind(chunk.len);
                let close = CloseFrame::parse(body).inspect_err(|_| self.close = CloseFrame::parse_rejected(body))?;
                self.close = Some(close);
                self.state = State::Closed;
                Step::Close
            }
        })
    }

    fn take_data(&mut self, chunk: &Chunk, asked: Granularity) -> Result<Option<Step>, ProtocolError> {
        let taking = self.prepare(chunk, asked);
        let facts = self.frames.message;
        if taking == Taking::Message && chunk.is_whole_message() && !facts.compressed {
            // It stays where it lies, and text is validated when it is looked at.
            self.state = State::Idle;
            self.latest = Latest::Window(facts.kind, chunk.len);
            return Ok(Some(Step::Message));
        }
        self.gather(chunk, taking)?;
        let ends_message = chunk.ends_message();
        if ends_message {
            self.end_message()?;
        }
        let (taken, step) = match taking {
            Taking::Message if ends_message => (Taking::Nothing, Some((Latest::Gathered, Step::Message))),
            Taking::Frame(opcode) if chunk.last => {
                // What is left of a character that the end of the frame has cut can only be taken as a frame, too.
                let taken = if self.utf8.incomplete() == 0 { Taking::Nothing } else { taking };
                (taken, Some((Latest::Frame(opcode, chunk.header.fin), Step::Frame)))
            }
            Taking::Piece => {
                let taken = if self.utf8.incomplete() == 0 { Taking::Nothing } else { taking };
                let piece = Piece { kind: facts.kind, frame_finished: chunk.last, message_finished: ends_message };
                (taken, Some((Latest::Gathered, Step::Piece(piece))))
            }
            Taking::Nothing | Taking::Message | Taking::Frame(_) | Taking::Skip => (taking, None),
        };
        self.state = if ends_message { State::Idle } else { State::Receiving(taken) };
        Ok(step.map(|(latest, step)| {
            self.latest = latest;
            step
        }))
    }

    /// Decides how a chunk is taken, and forgets what was handed out before.
    #[inline]
    fn prepare(&mut self, chunk: &Chunk, asked: Granularity) -> Taking {
        let half = match self.state {
            State::Receiving(taking) => taking,
            _ if self.discards => Taking::Skip,
            _ => Taking::Nothing,
        };
        // The rest of a frame whose beginning was handed out continues that.
        let opcode = if chunk.first { chunk.header.opcode } else { Opcode::Continuation };
        match (half, asked) {
            (Taking::Message | Taking::Skip, _) => return half,
            (Taking::Frame(opcode), _) if !chunk.first => return Taking::Frame(opcode),
            (Taking::Piece, _) => {
                self.bytes.drop_front(self.bytes.len() - self.utf8.incomplete());
                return Taking::Piece;
            }
            _ => self.bytes.clear(),
        }
        match (half, asked) {
            (Taking::Frame(_), _) | (_, Granularity::Frame) => Taking::Frame(opcode),
            (_, Granularity::Message) => Taking::Message,
            (_, Granularity::Piece) => Taking::Piece,
        }
    }

    /// Puts the payload of a chunk to the bytes that are taken, decoded and validated.
    ///
    /// An octet that makes text invalid is told before whatever is wrong with what comes behind it, however the bytes were cut.
    fn gather(&mut self, chunk: &Chunk, taking: Taking) -> Result<(), ProtocolError> {
        let before = self.bytes.len();
        let payload = self.window.behind(chunk.len);
        let limit = self.frames.limits().max_message_size;
        let (new, inflated) = match &mut self.inflater {
            Some(inflater) if self.frames.message.compressed => {
                let room = Room::new(self.frames.room(), limit);
                let inflated = inflater.inflate(payload, &mut self.bytes, room);
                self.frames.message.size += self.bytes.len() - before;
                (&self.bytes.as_slice()[before..], inflated)
            }
            _ if taking == Taking::Skip => (payload, Ok(())),
            _ => {
                self.bytes.extend(payload, limit);
                (payload, Ok(()))
            }
        };
        if is_validated(self.frames.message.kind, self.policy) {
            self.utf8.push(new)?;
        }
        if taking == Taking::Skip {
            self.bytes.clear();
        }
        inflated
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
