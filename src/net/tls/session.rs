//! A TLS session in memory: decrypting for the reader, encrypting for the writer, one at a time; ciphertext on its way to the peer.

use std::{io, mem};

use super::BATCH;
use super::engine::Engine;
use crate::buffer::{Retention, Window};
use crate::net::layer::Layer;
use crate::net::send_timer::SendTimer;

/// Everything that changes while bytes are encrypted or decrypted.
pub(super) struct TlsSession {
    pub(super) engine: Box<dyn Engine>,
    /// Whether decrypting is in vain until more ciphertext comes.
    pub(super) needs_ciphertext: bool,
    /// Whether the last read stopped before it had taken all that has arrived.
    pub(super) has_more: bool,
    /// What decrypting said after it had given bytes; the next read says it.
    pub(super) failed: Option<io::Error>,
    /// Counts what the reader brought, so that a writer that waits for it does not miss it.
    pub(super) fed: u64,
    /// How many writers wait for the reader.
    pub(super) waiting: u32,
    /// Nothing more is to be sent.
    pub(super) shut: bool,
}

impl TlsSession {
    pub(super) const fn new(engine: Box<dyn Engine>) -> Self {
        Self { engine, needs_ciphertext: false, has_more: false, failed: None, fed: 0, waiting: 0, shut: false }
    }

    /// Decrypts as much into `buf` as there is and fits. `None` says that there is nothing; `Some(Ok(0))` is the end.
    pub(super) fn decrypt(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let mut filled = 0;
        while !self.needs_ciphertext && filled < buf.len() {
            let rest = &mut buf[filled..];
            let asked = rest.len();
            match self.engine.read(rest) {
                Ok(0) => return Some(Ok(filled)),
                Ok(n) => {
                    filled += n;
                    self.needs_ciphertext = n < asked && self.engine.is_drained();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.needs_ciphertext = true,
                Err(error) if filled == 0 => return Some(Err(error)),
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        (filled > 0 || buf.is_empty()).then_some(Ok(filled))
    }

    /// Takes back the buffer that the reader has read into. Ciphertext or an end of it is something to decrypt.
    pub(super) fn feed(&mut self, mut incoming: Window, received: io::Result<usize>) -> io::Result<()> {
        if let Ok(n) = received {
            incoming.received(n);
            self.needs_ciphertext = false;
            self.fed += 1;
            self.engine.pipe().ended = n == 0;
        }
        self.engine.pipe().incoming = incoming;
        received.map(drop)
    }

    /// Encrypts the beginning of `buf` into the empty `output`.
    pub(super) fn encrypt(&mut self, output: &mut TlsOutput, buf: &[u8]) -> io::Result<usize> {
        if self.shut {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        output.lend(&mut self.engine.pipe().outgoing.bytes());
        let batch = &buf[..buf.len().min(BATCH)];
        let mut taken = 0;
        let mut result = Ok(());
        while taken < batch.len() && result.is_ok() {
            match self.engine.write(&batch[taken..]) {
                Ok(0) => result = Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => taken += n,
                Err(error) => result = Err(error),
            }
        }
        output.take(&mut self.engine.pipe().outgoing.bytes());
        if taken > 0 { Ok(taken) } else { result.map(|()| 0) }
    }

    /// How many bytes wait to be collected.
    pub(super) fn outgoing(&mut self) -> usize {
        self.engine.pipe().outgoing.bytes().len()
    }
}

/// Ciphertext that TLS has let go and the layer below has not taken yet, in order.
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
    pub(super) fn send(&mut self, below: &impl Layer, timer: &mut SendTimer) -> io::Result<()> {
        below.send(&self.bytes, timer, &mut self.sent)?;
        self.clear();
        Ok(())
    }

    /// Sends what can be sent without waiting, and says whether that is everything.
    pub(super) fn try_send(&mut self, below: &impl Layer) -> io::Result<bool> {
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

    /// How much memory it holds, in bytes.
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
