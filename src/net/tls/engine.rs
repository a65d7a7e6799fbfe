//! What a TLS library has to offer: plaintext on one side, a [`Pipe`] on the other. Everything here happens in memory.

use std::fmt;
use std::io;

use super::handshake::HandshakeStep;
use super::pipe::Pipe;
use crate::error::TlsErrorKind;
use crate::options::TlsVersion;

/// A handshake that waits for the peer.
pub(super) trait Handshake: Send {
    fn pipe(&mut self) -> &mut Pipe;

    /// Continues with what has come in.
    fn advance(self: Box<Self>) -> HandshakeStep;
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
