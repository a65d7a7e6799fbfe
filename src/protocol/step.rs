//! What a step of the receiving half waits for, and what it brings.

use crate::message::MessageKind;

/// What a step brought.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing until more bytes are received.
    NeedMore,
    /// A whole message: [`Inbound::message`](super::Inbound::message).
    Message,
    /// A whole data frame: [`Inbound::frame`](super::Inbound::frame).
    Frame,
    /// A piece of a message: [`Inbound::message`](super::Inbound::message).
    Piece(Piece),
    /// A ping; it ought to be answered with a pong of the same payload (RFC 6455, section 5.5.2).
    Ping,
    /// A pong.
    Pong,
    /// A Close; it must be answered with a Close, unless one was sent before (section 5.5.1).
    Close,
    /// Nothing ever again: a Close was received before.
    Ended,
}

/// What is known of a piece of a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "what there is to say of a piece")]
pub struct Piece {
    /// The kind of the message that it belongs to.
    pub kind: MessageKind,
    /// Whether it ends its frame.
    pub frame_finished: bool,
    /// Whether it ends its message.
    pub message_finished: bool,
}

/// What becomes of the payload that a step takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Gather {
    /// It is put together as a message.
    Message,
    /// It is put together as a frame, whatever the kind of its message.
    Frame,
    /// It is handed out as it comes, text in whole characters.
    Piece,
    /// It is checked and thrown away.
    Nothing,
}

/// How much a step waits for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between these")]
pub enum Granularity {
    /// A whole message.
    Message,
    /// A whole frame.
    Frame,
    /// Whatever has arrived.
    Piece,
}
