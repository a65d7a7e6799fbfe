//! TLS by rustls: plaintext on one side, a [`Pipe`] on the other.

use std::{fmt, io};

use rustls::{Error, InvalidMessage, ProtocolVersion};

use super::config::name_of;
use super::connection::{RecordStep, Results, RustlsConnection, Want};
use super::error::kind;
use crate::error::TlsErrorKind;
use crate::net::tls::engine::{Engine, Handshake, HandshakeFailure, HandshakeStep, ended};
use crate::net::tls::pipe::Pipe;
use crate::options::TlsVersion;

/// The head of a record: type, version, length (RFC 8446, section 5.1).
const HEAD: usize = 5;
/// The largest length of a record: 16 KiB and what TLS 1.2 may add to it (RFC 5246, section 6.2.3).
const MAX_LENGTH: usize = 16 * 1024 + 2048;
/// From change_cipher_spec to application_data: what a record can be.
const TYPES: std::ops::RangeInclusive<u8> = 20..=23;
/// So much of a handshake message is kept until it is whole, in bytes: rustls takes none of more than 64 KiB, and they come in
/// records that add to them.
const MAX_KEPT: usize = 128 * 1024;

/// A session, during its handshake and after.
///
/// One record after the other is decrypted where it lies in the pipe. A handshake message that is spread over several
/// is the exception: rustls wants its parts to stay where they are, and the pipe is lent to the reader. They wait in
/// `kept`. So between two calls there is never a record that rustls has seen in part.
pub(super) struct RustlsSession {
    connection: RustlsConnection,
    pipe: Pipe,
    kept: Vec<u8>,
    plain: Plain,
    /// The peer has sent close_notify.
    closed: bool,
    /// What was wrong; nothing is done after that.
    failed: Option<Error>,
}

/// Plaintext that did not fit a read. It is what is left of one record.
#[derive(Default)]
struct Plain {
    bytes: Vec<u8>,
    start: usize,
}

impl RustlsSession {
    pub(super) fn new(connection: RustlsConnection, pipe: Pipe) -> Self {
        Self { connection, pipe, kept: Vec::new(), plain: Plain::default(), closed: false, failed: None }
    }

    /// Goes on with the handshake, and says whether it has ended. What comes behind it stays where it is.
    fn advance_handshake(&mut self) -> Result<bool, Error> {
        // The client speaks first.
        self.process(0, &mut [])?;
        while self.connection.is_handshaking() {
            let Some(length) = record(self.pipe.incoming.unread()) else { return Ok(false) };
            self.process(length, &mut [])?;
        }
        Ok(true)
    }

    /// Has rustls work on a record of this length, the next of the pipe, or on nothing. Plaintext goes to `buf`, and what does
    /// not fit it to `plain`.
    fn process(&mut self, length: usize, buf: &mut [u8]) -> Result<usize, Error> {
        let Self { connection, pipe: Pipe { incoming, outgoing, .. }, kept, plain, .. } = self;
        let mut filled = 0;
        let mut take = |bytes: &[u8]| {
            let (fits, rest) = bytes.split_at(bytes.len().min(buf.len() - filled));
            buf[filled..filled + fits.len()].copy_from_slice(fits);
            filled += fits.len();
            plain.append(rest);
        };
        let mut outgoing = outgoing.bytes();
        let mut results = Results { plain: &mut take, outgoing: &mut outgoing };
        let record = &mut incoming.unread_mut()[..length];
        let step = if kept.is_empty() {
            let (done, step) = connection.advance(record, &Want::Progress, &mut results);
            kept.extend_from_slice(&record[done..]);
            step
        } else {
            kept.extend_from_slice(record);
            let (done, step) = connection.advance(kept, &Want::Progress, &mut results);
            kept.drain(..done);
            step
        };
        incoming.consume(length);
        drop(outgoing);
        let step = step.and_then(|step| if kept.len() > MAX_KEPT { Err(too_long()) } else { Ok(step) });
        self.note(step).map(|_| filled)
    }

    /// Has rustls do something that does not depend on what comes in.
    fn want(&mut self, want: &Want<'_>) -> io::Result<()> {
        loop {
            if let Some(error) = &self.failed {
                return Err(invalid(error));
            }
            let mut ignore = |_: &[u8]| {};
            let mut outgoing = self.pipe.outgoing.bytes();
            let mut results = Results { plain: &mut ignore, outgoing: &mut outgoing };
            let (done, step) = self.connection.advance(&mut self.kept, want, &mut results);
            drop(outgoing);
            self.kept.drain(..done);
            match self.note(step) {
                Ok(RecordStep::Done) => return Ok(()),
                Ok(RecordStep::Blocked) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(RecordStep::Again | RecordStep::Plain | RecordStep::PeerClosed) | Err(_) => {}
            }
        }
    }

    fn note(&mut self, step: Result<RecordStep, Error>) -> Result<RecordStep, Error> {
        match &step {
            Ok(RecordStep::PeerClosed) => self.closed = true,
            Ok(_) => {}
            Err(error) => self.failed = Some(error.clone()),
        }
        step
    }
}

impl Handshake for RustlsSession {
    fn pipe(&mut self) -> &mut Pipe {
        &mut self.pipe
    }

    fn advance(mut self: Box<Self>) -> HandshakeStep {
        match self.advance_handshake() {
            Ok(true) => HandshakeStep::Done(self),
            // The peer has sent close_notify.
            Ok(false) if self.closed => HandshakeStep::Failed(HandshakeFailure::Io(ended())),
            Ok(false) => HandshakeStep::Unfinished(self),
            Err(error) => HandshakeStep::Failed(error.into()),
        }
    }
}

impl Engine for RustlsSession {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = self.plain.read(buf);
        while filled < buf.len() && !self.closed && self.failed.is_none() {
            let Some(length) = record(self.pipe.incoming.unread()) else { break };
            match self.process(length, &mut buf[filled..]) {
                Ok(n) => filled += n,
                // The next read says it.
                Err(_) => break,
            }
        }
        if filled > 0 || buf.is_empty() {
            return Ok(filled);
        }
        match &self.failed {
            Some(error) => Err(invalid(error)),
            None if self.closed || self.pipe.ended => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.want(&Want::Encrypt(buf)).map(|()| buf.len())
    }

    fn close(&mut self) {
        let _ = self.want(&Want::CloseNotify);
    }

    fn is_drained(&self) -> bool {
        let over = self.closed || self.pipe.ended || self.failed.is_some();
        !over && self.plain.is_empty() && record(self.pipe.incoming.unread()).is_none()
    }

    fn has_input(&self) -> bool {
        !self.is_drained()
    }

    fn error_kind(&self, error: &io::Error) -> TlsErrorKind {
        error.get_ref().and_then(|error| error.downcast_ref()).map_or(TlsErrorKind::Other, kind)
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        Some(self.connection.peer_certificates()?.first()?.to_vec())
    }

    fn alpn(&self) -> Option<Vec<u8>> {
        self.connection.alpn_protocol().map(<[u8]>::to_vec)
    }

    fn version(&self) -> Option<TlsVersion> {
        match self.connection.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some(TlsVersion::Tls12),
            ProtocolVersion::TLSv1_3 => Some(TlsVersion::Tls13),
            _ => None,
        }
    }

    fn cipher_suite(&self) -> Option<String> {
        self.connection.negotiated_cipher_suite().map(|suite| name_of(suite.suite()))
    }

    fn pipe(&mut self) -> &mut Pipe {
        &mut self.pipe
    }

    fn release(&mut self) {
        self.pipe.release();
        if self.plain.is_empty() {
            self.plain = Plain::default();
        }
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
    }
}

/// The length of the record at the front, if it is there whole. Of what is no record everything is: rustls is to judge.
fn record(bytes: &[u8]) -> Option<usize> {
    let [kind, _, _, high, low] = *bytes.first_chunk::<HEAD>()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !TYPES.contains(&kind) || length > MAX_LENGTH {
        return Some(bytes.len());
    }
    (bytes.len() >= HEAD + length).then_some(HEAD + length)
}

impl Plain {
    fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn read(&mut self, buf: &mut [u8]) -> usize {
        let unread = &self.bytes[self.start..];
        let n = unread.len().min(buf.len());
        buf[..n].copy_from_slice(&unread[..n]);
        self.start += n;
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
        }
        n
    }
}

/// Without what may be secret.
impl fmt::Debug for RustlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RustlsSession")
            .field("pipe", &self.pipe)
            .field("closed", &self.closed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn invalid(error: &Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

#[cold]
fn too_long() -> Error {
    Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge)
}
