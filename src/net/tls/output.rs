//! Ciphertext on its way to the peer.

use std::{io, mem};

use crate::buffer::Retention;
use crate::net::deadline::SendTimer;
use crate::net::stream::Stream;

/// Ciphertext that TLS has let go and the stream below has not taken yet, in order.
#[derive(Debug, Default)]
pub(super) struct TlsOutput {
    bytes: Vec<u8>,
    sent: usize,
    retention: Retention,
}

impl TlsOutput {
    /// How many bytes have not been sent.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Whether everything has been sent.
    pub(super) const fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Lends the memory of this empty buffer to `outgoing`, if that is empty too, so that one large buffer does instead
    /// of two.
    pub(super) fn lend(&mut self, outgoing: &mut Vec<u8>) {
        if self.is_empty() && outgoing.is_empty() {
            self.clear();
            mem::swap(&mut self.bytes, outgoing);
        }
    }

    /// Moves the bytes of `outgoing` here, behind those that wait already.
    pub(super) fn take(&mut self, outgoing: &mut Vec<u8>) {
        if self.is_empty() {
            self.clear();
            mem::swap(&mut self.bytes, outgoing);
        } else {
            self.bytes.append(outgoing);
        }
    }

    /// Sends everything, and waits for that. What has not been sent when it fails stays.
    pub(super) fn send(&mut self, below: &Stream, timer: &mut SendTimer) -> io::Result<()> {
        below.send(&self.bytes, timer, &mut self.sent)?;
        self.clear();
        Ok(())
    }

    /// Sends what can be sent without waiting, and says whether that is everything.
    pub(super) fn try_send(&mut self, below: &Stream) -> io::Result<bool> {
        while !self.is_empty() {
            match below.try_write(&self.bytes[self.sent..])? {
                0 => return Ok(false),
                n => self.sent += n,
            }
        }
        self.clear();
        below.try_flush()?;
        Ok(true)
    }

    /// Gives the memory back, if everything has been sent.
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            *self = Self::default();
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    fn clear(&mut self) {
        if !self.bytes.is_empty() {
            let enough = self.retention.note(self.bytes.len(), self.bytes.capacity());
            self.bytes.clear();
            if let Some(enough) = enough {
                self.bytes.shrink_to(enough);
            }
        }
        self.sent = 0;
    }
}
