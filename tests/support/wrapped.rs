//! A transport around another one: what a test is about is replaced, all else is passed on.

#![allow(dead_code, reason = "each file of tests needs a part of it")]

use std::fmt;
use std::io;
use std::net::Shutdown;
#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::time::Instant;

use websocket_sync::{Interest, Transport};

type Read = dyn Fn(&dyn Transport, &mut [u8]) -> io::Result<usize> + Send + Sync;
type Shut = dyn Fn(&dyn Transport, Shutdown) -> io::Result<()> + Send + Sync;

pub(crate) struct Wrapped {
    below: Box<dyn Transport>,
    /// Dropped with the transport, and with it what it has captured.
    read: Box<Read>,
    shutdown: Box<Shut>,
    descriptor: Descriptor,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Descriptor {
    OfBelow,
    Hidden,
}

impl Wrapped {
    pub(crate) fn over(below: impl Into<Box<dyn Transport>>) -> Self {
        Self {
            below: below.into(),
            read: Box::new(|below, buf| below.try_read(buf)),
            shutdown: Box::new(|below, how| below.shutdown(how)),
            descriptor: Descriptor::OfBelow,
        }
    }

    /// What a read does, with the transport below.
    pub(crate) fn on_read(
        self,
        read: impl Fn(&dyn Transport, &mut [u8]) -> io::Result<usize> + Send + Sync + 'static,
    ) -> Self {
        Self { read: Box::new(read), ..self }
    }

    /// What a shutdown does, with the transport below.
    pub(crate) fn on_shutdown(
        self,
        shutdown: impl Fn(&dyn Transport, Shutdown) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { shutdown: Box::new(shutdown), ..self }
    }

    /// Nobody can poll it.
    pub(crate) fn without_descriptor(self) -> Self {
        Self { descriptor: Descriptor::Hidden, ..self }
    }
}

impl Transport for Wrapped {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (self.read)(&*self.below, buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.below.try_write(buf)
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        self.below.wait(interest, deadline)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        (self.shutdown)(&*self.below, how)
    }

    #[cfg(unix)]
    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.below.as_fd().filter(|_| self.descriptor == Descriptor::OfBelow)
    }

    #[cfg(windows)]
    fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        self.below.as_socket().filter(|_| self.descriptor == Descriptor::OfBelow)
    }
}

impl fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wrapped").field("below", &self.below).finish_non_exhaustive()
    }
}
