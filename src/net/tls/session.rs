//! A TLS session in memory: decrypting for the reader, encrypting for the writer, one at a time.

use std::io;

use super::BATCH;
use super::engine::Engine;
use super::output::TlsOutput;
use crate::buffer::Window;

/// Everything that changes while bytes are encrypted or decrypted.
pub(super) struct TlsSession {
    pub(super) engine: Box<dyn Engine>,
    /// Whether decrypting is in vain until more ciphertext comes.
    pub(super) dry: bool,
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
        Self { engine, dry: false, failed: None, fed: 0, waiting: 0, shut: false }
    }

    /// Decrypts as much into `buf` as there is and fits. `None` says that there is nothing; `Some(Ok(0))` is the end.
    pub(super) fn decrypt(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let mut filled = 0;
        while !self.dry && filled < buf.len() {
            let rest = &mut buf[filled..];
            let asked = rest.len();
            match self.engine.read(rest) {
                Ok(0) => return Some(Ok(filled)),
                Ok(n) => {
                    filled += n;
                    self.dry = n < asked && self.engine.is_drained();
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.dry = true,
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
            self.dry = false;
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
