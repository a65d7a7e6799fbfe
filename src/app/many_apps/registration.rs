//! The sockets that a loop waits for, one system at a time.

#[cfg(unix)]
use std::os::fd::AsRawFd;

use mio::{Interest, Registry, Token};

use crate::app::callbacks::drop_transport;
use crate::error::{Error, OptionsError, Result};
use crate::net::Source;

/// A socket that is registered with the poll. Invariant: it is open, so that no other socket has its number.
#[derive(Debug)]
pub(super) struct Registration {
    source: Source,
    #[cfg(windows)]
    socket: mio::net::TcpStream,
}

impl Registration {
    /// Waits for a socket from now on. `option` is the name of the option that the stream comes from.
    ///
    /// # Errors
    ///
    /// What the system says; [`Error::Options`] for a stream without a socket.
    pub(super) fn new(registry: &Registry, source: Source, token: Token, option: &'static str) -> Result<Self> {
        let no_socket = || {
            let problem = "the stream has no socket that could be waited for";
            Error::Options(Box::new(OptionsError::new(option, problem)))
        };
        Self::register(registry, source, token, no_socket)
    }

    /// Whether it is for this socket.
    pub(super) fn is_of(&self, source: &Source) -> bool {
        self.source.is_same_socket(source)
    }
}

/// Edge-triggered, for both directions at once: an event comes each time that there is more to read, or room to write.
#[cfg(unix)]
impl Registration {
    fn register(registry: &Registry, source: Source, token: Token, no_socket: impl FnOnce() -> Error) -> Result<Self> {
        let descriptor = source.as_fd().ok_or_else(no_socket)?.as_raw_fd();
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut mio::unix::SourceFd(&descriptor), token, both)?;
        Ok(Self { source })
    }

    /// Stops waiting for it. To close it is not enough: others may hold clones of it, and an opening waits for something else for a
    /// while and then for the same socket again.
    pub(super) fn remove(self, registry: &Registry) {
        if let Some(socket) = self.source.as_fd() {
            // It fails only for what is not registered.
            let _ = registry.deregister(&mut mio::unix::SourceFd(&socket.as_raw_fd()));
        }
        drop_transport(self);
    }
}

/// There is one event for each time that a socket is armed. A poll of Windows takes sockets of mio's own: a second handle of the same.
#[cfg(windows)]
impl Registration {
    fn register(registry: &Registry, source: Source, token: Token, no_socket: impl FnOnce() -> Error) -> Result<Self> {
        let handle = source.as_socket().ok_or_else(no_socket)?.try_clone_to_owned()?;
        let mut socket = mio::net::TcpStream::from_std(handle.into());
        registry.register(&mut socket, token, interest(&source))?;
        Ok(Self { source, socket })
    }

    /// Before the loop waits again, for what is waited for now.
    pub(super) fn rearm(&mut self, registry: &Registry, source: &Source, token: Token) -> Result<()> {
        Ok(registry.reregister(&mut self.socket, token, interest(source))?)
    }

    /// Stops waiting for it.
    pub(super) fn remove(mut self, registry: &Registry) {
        // It fails only for what is not registered.
        let _ = registry.deregister(&mut self.socket);
        drop_transport(self);
    }
}

#[cfg(windows)]
fn interest(source: &Source) -> Interest {
    match (source.wants_read(), source.wants_write()) {
        (true, true) => Interest::READABLE | Interest::WRITABLE,
        (false, true) => Interest::WRITABLE,
        (_, false) => Interest::READABLE,
    }
}
