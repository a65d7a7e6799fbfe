//! The seam for extensions (RFC 6455, section 9): negotiation in the opening handshake, and a hook for each direction.

use std::fmt;

use super::error::ProtocolError;
use super::frame::{FrameHeader, Rsv};
use super::handshake::{ExtensionOffer, HandshakeError};

/// An extension: what it says in the opening handshake, and what it does to frames once it is agreed upon.
///
/// A client [offers](Self::offer) and then [finalizes](Self::finalize) what the server answered; a server
/// [accepts](Self::accept) what a client offered. The two directions of a connection work independently, so an extension
/// hands out one object for each.
pub trait Extension: fmt::Debug + Send {
    /// The registered name, such as `permessage-deflate`.
    fn name(&self) -> &str;

    /// Client: the parameters to offer, as they stand behind the name (empty for none), or `None` to offer nothing.
    fn offer(&self) -> Option<String>;

    /// Server: the parameters to answer to this offer (empty for none), or `None` to decline it.
    fn accept(&mut self, offer: &ExtensionOffer) -> Option<String>;

    /// Client: takes note of what the server agreed to.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] when the answer does not fit the offer; the connection is not made.
    fn finalize(&mut self, agreed: &ExtensionOffer) -> Result<(), HandshakeError>;

    /// Whether both sides agreed to use it.
    fn enabled(&self) -> bool;

    /// What it does to received frames; asked for once, when it is enabled.
    fn inbound(&mut self) -> Box<dyn InboundExtension>;

    /// What it does to frames to be sent; asked for once, when it is enabled.
    fn outbound(&mut self) -> Box<dyn OutboundExtension>;
}

/// What an extension does to received frames.
pub trait InboundExtension: fmt::Debug + Send {
    /// The bits that it may ever claim.
    fn reserved_bits(&self) -> Rsv;

    /// A frame begins; returns the bits of it that this extension claims. Control frames are shown too.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] when the frame is not as the extension defines it.
    fn header(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError>;

    /// A piece of a data frame's payload; what it decodes to is appended to `decoded`, at most `room` bytes.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] when the piece cannot be decoded or decodes to more than `room` bytes.
    fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError>;

    /// A data frame ends; what that brings to light is appended to `decoded`, at most `room` bytes.
    ///
    /// # Errors
    ///
    /// As for [`payload`](Self::payload).
    fn complete(&mut self, header: &FrameHeader, decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError>;
}

/// How many more bytes a message may grow by, and the limit that says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Room {
    /// How many bytes may still be appended.
    pub left: usize,
    /// The limit in force, in bytes.
    pub limit: usize,
}

impl Room {
    pub(crate) const fn new(left: usize, limit: usize) -> Self {
        Self { left, limit }
    }

    /// The error for a message that does not fit.
    pub const fn error(self) -> ProtocolError {
        ProtocolError::MessageTooBig { limit: self.limit }
    }
}

/// What an extension does to frames to be sent.
pub trait OutboundExtension: fmt::Debug + Send {
    /// Changes a data frame: the reserved bits are set in `header`, and what the payload becomes is appended to `encoded`.
    /// `header.len` is set by the caller.
    fn frame(&mut self, header: &mut FrameHeader, payload: &[u8], encoded: &mut Vec<u8>);
}
