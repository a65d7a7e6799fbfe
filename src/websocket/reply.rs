//! What the reader leaves to be sent.

use crate::protocol::{CloseFrame, MAX_CONTROL_PAYLOAD};

/// A control frame that the reader wants sent. There is one slot: the latest ping is the one to answer (RFC 6455, section
/// 5.5.3), and a Close overtakes everything.
#[derive(Debug, Default)]
pub(super) enum Reply {
    #[default]
    Empty,
    Pong(Payload),
    Close(CloseFrame),
}

/// The payload of a control frame, kept without an allocation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    length: usize,
}

impl Payload {
    pub(super) fn new(payload: &[u8]) -> Self {
        let length = payload.len().min(MAX_CONTROL_PAYLOAD);
        let mut bytes = [0; MAX_CONTROL_PAYLOAD];
        bytes[..length].copy_from_slice(&payload[..length]);
        Self { bytes, length }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
