//! The TLS machine: plaintext on one side, a [`Pipe`] on the other. Everything here happens in memory.

use std::io::{self, Read, Write};

use native_tls::TlsStream;

use super::native;
use super::pipe::Pipe;
#[cfg(feature = "rustls")]
use super::rustls;
use crate::error::TlsErrorKind;
use crate::options::TlsVersion;

/// A TLS session after its handshake, of whichever library.
#[derive(Debug)]
pub(super) enum Engine {
    /// The library of the platform.
    Native(TlsStream<Pipe>),
    /// Rustls.
    #[cfg(feature = "rustls")]
    Rustls(Box<rustls::Machine>),
}

/// Whether a library keeps no ciphertext of its own beside an unfinished record, so that an empty pipe means that there
/// is nothing to decrypt. So it is with OpenSSL, which reads a record's head and then its body.
const KEEPS_NOTHING: bool = cfg!(not(any(windows, target_vendor = "apple")));

impl Engine {
    /// Decrypts into `buf` until it is full or nothing is left to decrypt. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when more ciphertext is needed before anything comes out.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Native(stream) => stream.read(buf),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.read(buf),
        }
    }

    /// Encrypts some of `buf`, at least one byte.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when the peer has to say something first: TLS 1.2 negotiates anew.
    pub(super) fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Native(stream) => stream.write(buf),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.write(buf),
        }
    }

    /// Sends close_notify to the peer.
    pub(super) fn close(&mut self) {
        match self {
            // It fails in the midst of a handshake, where there is nothing to be said.
            Self::Native(stream) => drop(stream.shutdown()),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.close(),
        }
    }

    /// Whether a read that gave less than it was asked for was the last that can give anything.
    pub(super) fn is_drained(&self) -> bool {
        match self {
            Self::Native(stream) => KEEPS_NOTHING && stream.get_ref().incoming.is_empty() && !stream.get_ref().ended,
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.is_drained(),
        }
    }

    /// Whether a read may give something although the last one gave all that it was asked for.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Native(stream) => !self.is_drained() || stream.buffered_read_size().is_ok_and(|size| size > 0),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => !machine.is_drained(),
        }
    }

    /// The peer's certificate, in DER form.
    pub(super) fn peer_certificate(&self) -> Option<Vec<u8>> {
        match self {
            Self::Native(stream) => stream.peer_certificate().ok()??.to_der().ok(),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.peer_certificate(),
        }
    }

    /// The application protocol that was agreed upon (RFC 7301).
    pub(super) fn alpn(&self) -> Option<Vec<u8>> {
        match self {
            Self::Native(stream) => stream.negotiated_alpn().ok()?,
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.alpn(),
        }
    }

    /// The version that was agreed upon. Native-tls does not tell.
    pub(super) fn version(&self) -> Option<TlsVersion> {
        match self {
            Self::Native(_) => None,
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.version(),
        }
    }

    /// The cipher suite that was agreed upon, by its IANA name. Native-tls does not tell.
    pub(super) fn cipher_suite(&self) -> Option<String> {
        match self {
            Self::Native(_) => None,
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.cipher_suite(),
        }
    }

    pub(super) fn pipe(&mut self) -> &mut Pipe {
        match self {
            Self::Native(stream) => stream.get_mut(),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.pipe(),
        }
    }

    /// Gives back the memory that holds nothing.
    pub(super) fn release(&mut self) {
        match self {
            Self::Native(stream) => stream.get_mut().release(),
            #[cfg(feature = "rustls")]
            Self::Rustls(machine) => machine.release(),
        }
    }
}

/// What an error of [`Engine::read`] comes to.
pub(super) fn kind(error: &io::Error) -> TlsErrorKind {
    #[cfg(feature = "rustls")]
    if let Some(kind) = rustls::kind_of(error) {
        return kind;
    }
    native::kind(&error.to_string())
}
