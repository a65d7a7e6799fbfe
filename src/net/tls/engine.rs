//! What a TLS library has to offer: plaintext on one side, a [`Pipe`] on the other. Everything here happens in memory.

use std::fmt;
use std::io;

use super::pipe::Pipe;
#[cfg(feature = "rustls")]
use crate::error::Error;
use crate::error::TlsErrorKind;
use crate::options::TlsVersion;

/// A handshake that waits for the peer.
pub(super) trait Handshake: Send {
    fn pipe(&mut self) -> &mut Pipe;

    /// Continues with what has come in.
    fn advance(self: Box<Self>) -> HandshakeStep;
}

/// How far a library came with what it had.
pub(super) enum HandshakeStep {
    /// To the end. What it has to say last may still be in the pipe.
    Done(Box<dyn Engine>),
    /// It waits for the peer.
    Unfinished(Box<dyn Handshake>),
    /// To no good end. Why may be in the pipe, for the peer to know.
    Failed(HandshakeFailure),
}

/// Why there is no TLS.
pub(super) enum HandshakeFailure {
    /// The network's part.
    Io(io::Error),
    /// The library's verdict, or ours.
    Tls { kind: TlsErrorKind, problem: Box<dyn std::error::Error + Send + Sync> },
    /// What was asked for cannot be done.
    #[cfg(feature = "rustls")]
    Options(Error),
}

impl From<io::Error> for HandshakeFailure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The end of the stream, or of TLS (close_notify), where the handshake was to go on.
#[cold]
pub(super) fn ended() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer ended the connection during the TLS handshake")
}

/// A TLS session after its handshake.
pub(super) trait Engine: fmt::Debug + Send {
    /// Decrypts into `buf` until it is full or nothing is left to decrypt. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when more ciphertext is needed before anything comes out.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize>;

    /// Encrypts some of `buf`, at least one byte.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the peer has to say something first: TLS 1.2 negotiates anew.
    fn write(&mut self, buf: &[u8]) -> io::Result<usize>;

    /// Sends close_notify to the peer.
    fn close(&mut self);

    /// Whether a read that gave less than it was asked for was the last that can give anything.
    fn is_drained(&self) -> bool;

    /// Whether a read may give something although the last one gave all that it was asked for.
    fn has_input(&self) -> bool;

    /// What an error of [`read`](Self::read) comes to.
    fn error_kind(&self, error: &io::Error) -> TlsErrorKind;

    /// The peer's certificate, in DER form.
    fn peer_certificate(&self) -> Option<Vec<u8>>;

    /// The application protocol that was agreed upon (RFC 7301).
    fn alpn(&self) -> Option<Vec<u8>>;

    /// The version that was agreed upon, where the library tells.
    fn version(&self) -> Option<TlsVersion>;

    /// The cipher suite that was agreed upon, by its IANA name, where the library tells.
    fn cipher_suite(&self) -> Option<String>;

    fn pipe(&mut self) -> &mut Pipe;

    /// Gives back the memory that holds nothing.
    fn release(&mut self);
}
