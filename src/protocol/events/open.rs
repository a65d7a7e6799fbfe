//! The open state of a [`Connection`](super::Connection): frames in, events out.

use super::event::{BytesMessage, CloseConnection, Event, Ping, Pong, ProtocolViolation, TextMessage};
use super::extended::{ExtensionDecoder, encode};
use super::extension::OutboundExtension;
use crate::message::{MessageKind, MessageRef};
use crate::protocol::{
    CloseCode, CloseFrame, Fin, Inbound, LocalProtocolError, Opcode, Outbound, Piece, ProtocolError, Step,
};

/// A connection whose opening handshake is over.
#[derive(Debug)]
pub(super) struct EstablishedConnection {
    pub(super) inbound: Inbound,
    pub(super) outbound: Outbound,
    /// What is done to frames beside that, where extensions of others were agreed upon.
    extended: Option<Box<Extended>>,
    /// What was received and has not found room in `inbound`, behind `taken` bytes that have.
    backlog: Vec<u8>,
    taken: usize,
    input: InputState,
}

/// The extensions of others.
#[derive(Debug)]
pub(super) struct Extended {
    pub(super) decoder: ExtensionDecoder,
    pub(super) outbound: Vec<Box<dyn OutboundExtension>>,
}

/// How far it is from its end, apart from the Close frames that the halves know of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum InputState {
    /// More can be received.
    Open,
    /// The connection has ended; what it brought before has not been looked at, all of it.
    Eof,
    /// The connection has ended, and everything was looked at.
    Lost,
    /// The peer broke the protocol. Nothing is read any more.
    Failed,
    /// The same, where the connection has ended behind it.
    FailedAtEof,
}

/// What has been sent and received of the closing handshake.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct CloseProgress {
    pub(super) sent: bool,
    /// The peer's Close, or its last word otherwise: a violation.
    pub(super) received: bool,
    /// The connection is gone.
    pub(super) lost: bool,
}

impl EstablishedConnection {
    pub(super) const fn new(inbound: Inbound, outbound: Outbound, extended: Option<Box<Extended>>) -> Self {
        Self { inbound, outbound, extended, backlog: Vec::new(), taken: 0, input: InputState::Open }
    }

    pub(super) const fn closing(&self) -> CloseProgress {
        CloseProgress {
            sent: self.outbound.close_sent().is_some(),
            received: self.inbound.close().is_some()
                || matches!(self.input, InputState::Failed | InputState::FailedAtEof),
            lost: matches!(self.input, InputState::Lost),
        }
    }

    /// Takes received bytes. What follows a Close, a violation or the end belongs to nobody (RFC 6455, sections 5.5.1
    /// and 7.1.7).
    pub(super) fn receive(&mut self, bytes: &[u8]) {
        if self.input != InputState::Open || self.inbound.close().is_some() {
            return;
        }
        let taken = if self.backlog.is_empty() { self.inbound.push(bytes) } else { 0 };
        // A backlog that is never empty must not grow for ever.
        if self.taken > self.backlog.len() / 2 {
            self.backlog.drain(..self.taken);
            self.taken = 0;
        }
        self.backlog.extend_from_slice(&bytes[taken..]);
    }

    /// The connection has ended.
    pub(super) fn receive_eof(&mut self) {
        self.input = match self.input {
            InputState::Open | InputState::Eof => InputState::Eof,
            InputState::Lost | InputState::Failed | InputState::FailedAtEof => InputState::Lost,
        };
    }

    /// The halves, and what has not found room in the receiving one. Those of a connection with extensions of others do not work
    /// alone.
    pub(super) fn into_parts(mut self) -> Option<(Inbound, Outbound, Vec<u8>)> {
        if self.extended.is_some() {
            return None;
        }
        while self.refill() {}
        self.backlog.drain(..self.taken);
        Some((self.inbound, self.outbound, self.backlog))
    }

    /// The next event, or `None` until more is received.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        while matches!(self.input, InputState::Open | InputState::Eof) {
            let event = match self.step() {
                Ok(Step::NeedMore) if self.refill() => continue,
                Ok(Step::NeedMore | Step::Ended) => return self.end_of_data(),
                Ok(Step::Piece(piece)) => self.piece(piece),
                Ok(Step::Ping) => Some(Event::Ping(Ping::new(self.inbound.control()))),
                Ok(Step::Pong) => Some(Event::Pong(Pong::new(self.inbound.control()))),
                Ok(Step::Close) => self.inbound.close().cloned().map(|close| Event::CloseConnection(close.into())),
                // Whole messages and frames are not what was asked for.
                Ok(Step::Message | Step::Frame) => None,
                Err(error) => Some(self.fail(ProtocolViolation { error })),
            };
            if event.is_some() {
                return event;
            }
        }
        if self.input == InputState::FailedAtEof {
            self.input = InputState::Lost;
        }
        None
    }

    /// Encodes an event; the bytes are appended to `out`.
    pub(super) fn send(&mut self, event: Event, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
        self.check_may_send(&event)?;
        match event {
            Event::TextMessage(text) => {
                self.send_data(MessageKind::Text, text.message_finished, text.data.as_bytes())?
            }
            Event::BytesMessage(bytes) => self.send_data(MessageKind::Binary, bytes.message_finished, &bytes.data)?,
            Event::Ping(ping) => self.outbound.ping(&ping.payload)?,
            Event::Pong(pong) => self.outbound.pong(&pong.payload)?,
            Event::CloseConnection(close) => self.outbound.close(&CloseFrame::new(close.code, &close.reason)?)?,
            other => return Err(LocalProtocolError::Handshake(other.name())),
        };
        out.extend_from_slice(self.outbound.pending());
        self.outbound.written(self.outbound.pending().len());
        Ok(())
    }

    /// After our Close a pong may follow, as long as the peer's has not come; after the peer's, our own Close, and
    /// before it a pong and the rest of a message that was begun (RFC 6455, section 5.5.1).
    fn check_may_send(&self, event: &Event) -> Result<(), LocalProtocolError> {
        let CloseProgress { sent, received, lost } = self.closing();
        let continues = self.outbound.in_progress().is_some();
        let allowed = match event {
            _ if lost => false,
            Event::CloseConnection(_) => !sent,
            Event::Pong(_) => !(sent && received),
            Event::TextMessage(_) | Event::BytesMessage(_) => !sent && (!received || continues),
            Event::Ping(_) => !sent && !received,
            _ => true,
        };
        if allowed { Ok(()) } else { Err(LocalProtocolError::AfterClose) }
    }

    /// A message's first frame has its kind as opcode, each further one that of a continuation (RFC 6455, section 5.4).
    fn send_data(&mut self, kind: MessageKind, finished: bool, payload: &[u8]) -> Result<usize, LocalProtocolError> {
        let opcode = match self.outbound.in_progress() {
            Some(other) if other == kind => Opcode::Continuation,
            _ => kind.into(),
        };
        let fin = if finished { Fin::Last } else { Fin::More };
        match &mut self.extended {
            Some(extended) => encode(&mut extended.outbound, &mut self.outbound, opcode, fin, payload),
            None => self.outbound.data(opcode, fin, payload),
        }
    }

    /// Goes on to the next piece or control frame. Extensions see the header of every frame.
    fn step(&mut self) -> Result<Step, ProtocolError> {
        let step = self.inbound.advance_piece()?;
        let (chunk, header) = self.inbound.chunk();
        if let Some(extended) = &mut self.extended
            && chunk.first
            && !matches!(step, Step::NeedMore | Step::Ended)
        {
            extended.decoder.header(&header)?;
        }
        Ok(step)
    }

    /// Gives the receiving half more of what is waiting; whether that was anything.
    fn refill(&mut self) -> bool {
        let Some(waiting @ [_, ..]) = self.backlog.get(self.taken..) else {
            return false;
        };
        let taken = self.inbound.push(waiting);
        self.taken += taken;
        if self.taken == self.backlog.len() {
            self.forget_backlog();
        }
        taken > 0
    }

    /// A chunk of a message; nothing where no more than the header of its frame, or half a character, has come.
    fn piece(&mut self, piece: Piece) -> Option<Event> {
        let Piece { kind, frame_finished, message_finished } = piece;
        let (_, header) = self.inbound.chunk();
        let data = match (&mut self.extended, self.inbound.message()) {
            (Some(extended), Ok(payload)) => extended.decoder.decode(&header, frame_finished, payload.as_bytes(), kind),
            (_, payload) => payload,
        };
        match data {
            Ok(data) if data.as_bytes().is_empty() && !frame_finished => None,
            Ok(MessageRef::Text(text)) => {
                Some(Event::TextMessage(TextMessage { data: text.to_owned(), frame_finished, message_finished }))
            }
            Ok(MessageRef::Binary(bytes)) => {
                Some(Event::BytesMessage(BytesMessage { data: bytes.to_vec(), frame_finished, message_finished }))
            }
            Err(error) => Some(self.fail(ProtocolViolation { error })),
        }
    }

    fn forget_backlog(&mut self) {
        self.backlog = Vec::new();
        self.taken = 0;
    }

    fn fail(&mut self, violation: ProtocolViolation) -> Event {
        self.input = if self.input == InputState::Eof { InputState::FailedAtEof } else { InputState::Failed };
        self.forget_backlog();
        Event::ProtocolViolation(violation)
    }

    /// Everything was looked at. If the connection has ended without a Close, that is an event, once (RFC 6455, section
    /// 7.1.5).
    fn end_of_data(&mut self) -> Option<Event> {
        if self.inbound.close().is_some() {
            self.forget_backlog();
        }
        if self.input != InputState::Eof {
            return None;
        }
        self.input = InputState::Lost;
        match self.inbound.close() {
            Some(_) => None,
            None => Some(Event::CloseConnection(CloseConnection::new(CloseCode::ABNORMAL_CLOSURE, ""))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Limits, Role};

    #[test]
    #[cfg_attr(miri, ignore = "it receives megabytes")]
    fn what_was_looked_at_takes_no_memory_although_something_always_waits() {
        let inbound = Inbound::new(Role::Client, Limits::default());
        let outbound = Outbound::new(Role::Client, Box::new(|bytes| bytes.fill(7)));
        let mut open = EstablishedConnection::new(inbound, outbound, None);
        let frame = [&b"\x82\x7e\x10\x00"[..], &[7; 4096]].concat();
        // More than the window takes.
        (0..100).for_each(|_| open.receive(&frame));
        for _ in 0..1000 {
            open.receive(&frame);
            while let Some(Event::BytesMessage(BytesMessage { message_finished: false, .. })) = open.next_event() {}
        }
        assert!(open.backlog.len() < 200 * frame.len(), "{} bytes", open.backlog.len());
    }
}
