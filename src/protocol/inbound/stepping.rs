//! From the parts of frames to steps, of each granularity.

use super::Inbound;
use super::state::{Place, State};
use crate::protocol::close::CloseFrame;
use crate::protocol::error::ProtocolError;
use crate::protocol::frame_buffer::Part;
use crate::protocol::opcode::Opcode;
use crate::protocol::step::{Gather, Granularity, Piece, Step};

impl Inbound {
    /// Takes the next step, and notes where the receiving half stands after it.
    pub(super) fn go_on(&mut self, granularity: Granularity) -> Result<Step, ProtocolError> {
        let step = self.step(granularity);
        match step {
            Ok(_) if self.assembler.in_progress().is_none() && self.state == State::Open => {
                self.short = self.short_at_rest
            }
            Ok(_) => self.short = None,
            Err(error) => {
                self.state = State::Failed(error);
                self.short = None;
            }
        }
        step
    }

    fn step(&mut self, granularity: Granularity) -> Result<Step, ProtocolError> {
        loop {
            match self.state {
                State::Open | State::Skipping => {}
                State::Closed => {
                    self.frames.discard();
                    return Ok(Step::Ended);
                }
                State::Failed(error) => return Err(error),
            }
            let Some(part) = self.frames.next_part()? else { return Ok(Step::NeedMore) };
            if part.first {
                self.decoding.header(&part.header)?;
            }
            if part.is_control() {
                return self.take_control(&part);
            }
            if part.first {
                self.begin(&part)?;
            }
            let step = match granularity {
                _ if self.state == State::Skipping || self.discards => self.skip(&part)?,
                Granularity::Message => self.take_for_message(&part)?,
                Granularity::Frame => self.take_for_frame(&part)?,
                Granularity::Piece => self.take_for_piece(&part)?,
            };
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    /// Takes note of a data frame before anything is done with its payload.
    #[inline]
    fn begin(&mut self, part: &Part) -> Result<(), ProtocolError> {
        self.assembler.begin(&part.header)?;
        // What an extension makes of it is counted as it comes out.
        if self.decoding.is_plain() { self.assembler.announce(part.header.len) } else { Ok(()) }
    }

    fn take_control(&mut self, part: &Part) -> Result<Step, ProtocolError> {
        self.controls += 1;
        if self.controls > self.max_control_frames {
            return Err(ProtocolError::TooManyControlFrames { limit: self.max_control_frames });
        }
        self.place = Place::Control(part.header.opcode, part.len);
        Ok(match part.header.opcode {
            Opcode::Ping => Step::Ping,
            Opcode::Pong => Step::Pong,
            _ => {
                self.close = Some(CloseFrame::parse(self.frames.payload(part.len))?);
                self.state = State::Closed;
                Step::Close
            }
        })
    }

    fn take_for_message(&mut self, part: &Part) -> Result<Option<Step>, ProtocolError> {
        if part.is_whole_message() && self.decoding.is_plain() {
            let kind = self.assembler.kind();
            self.end_message()?;
            self.place = Place::Window(kind, part.len);
            return Ok(Some(Step::Message));
        }
        if self.half_taken != Some(Granularity::Message) {
            // What another granularity has taken is not repeated.
            self.assembler.forget();
            self.half_taken = Some(Granularity::Message);
        }
        let Self { frames, assembler, decoding, .. } = self;
        decoding.piece(part, frames.payload(part.len), assembler, Gather::Message)?;
        if !part.ends_message() {
            return Ok(None);
        }
        self.end_message()?;
        self.place =
            if self.decoding.is_inflating() { Place::Inflated(self.assembler.kind()) } else { Place::Gathered };
        Ok(Some(Step::Message))
    }

    fn take_for_frame(&mut self, part: &Part) -> Result<Option<Step>, ProtocolError> {
        if part.first {
            self.assembler.forget();
        }
        self.half_taken = Some(Granularity::Frame);
        let Self { frames, assembler, decoding, .. } = self;
        decoding.piece(part, frames.payload(part.len), assembler, Gather::Frame)?;
        if !part.last {
            return Ok(None);
        }
        self.half_taken = None;
        if part.ends_message() {
            self.end_message()?;
        }
        self.place = Place::Frame { opcode: part.header.opcode, fin: part.header.fin };
        Ok(Some(Step::Frame))
    }

    fn take_for_piece(&mut self, part: &Part) -> Result<Option<Step>, ProtocolError> {
        self.assembler.forget();
        let Self { frames, assembler, decoding, .. } = self;
        decoding.piece(part, frames.payload(part.len), assembler, Gather::Piece)?;
        if part.ends_message() {
            self.end_message()?;
        }
        self.place = Place::Gathered;
        let kind = self.assembler.kind();
        Ok(Some(Step::Piece(Piece { kind, frame_finished: part.last, message_finished: part.ends_message() })))
    }

    fn skip(&mut self, part: &Part) -> Result<Option<Step>, ProtocolError> {
        let Self { frames, assembler, decoding, .. } = self;
        decoding.piece(part, frames.payload(part.len), assembler, Gather::Nothing)?;
        if part.ends_message() {
            self.end_message()?;
            self.state = State::Open;
        }
        Ok(None)
    }

    fn end_message(&mut self) -> Result<(), ProtocolError> {
        self.controls = 0;
        self.half_taken = None;
        self.assembler.finish()
    }
}
