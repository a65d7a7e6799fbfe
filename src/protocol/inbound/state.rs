//! Where the receiving half stands between two calls.

use crate::message::MessageKind;
use crate::protocol::{Opcode, ProtocolError};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    Open,
    /// The rest of the message in progress is not wanted.
    Skipping,
    Closed,
    Failed(ProtocolError),
}

/// Where the payload of the last step lies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A message whose payload the window handed out last; text is not validated yet.
    Window(MessageKind, usize),
    /// A message or a piece, in the assembler.
    Gathered,
    /// A message that was inflated, in the assembler; text lies there as bytes and is not validated yet where it came in one
    /// piece.
    Inflated(MessageKind),
    /// A data frame, in the assembler.
    Frame { opcode: Opcode, fin: bool },
    /// A control frame whose payload the window handed out last.
    Control(Opcode, usize),
}

/// Where the bytes that are read next go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Window,
    /// Straight to the message: the window would be a detour.
    Assembler,
}
