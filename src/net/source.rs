//! What an event loop waits for in the place of an opening, or of an app.

#[cfg(unix)]
use std::os::fd::BorrowedFd;
#[cfg(windows)]
use std::os::windows::io::BorrowedSocket;
use std::sync::Arc;

use super::transport::Transport;

/// A socket that an [`Opening`](crate::Opening) or an [`AppTask`](crate::AppTask) waits for: to be polled for what it [wants](Self::wants_read).
///
/// It stands for the socket and keeps it open, so that the number of its descriptor cannot become another socket's while this lives.
/// Two are equal that are of the same socket and want the same.
#[derive(Clone, Debug)]
pub struct Source {
    transport: Arc<dyn Transport>,
    wants_read: bool,
    wants_write: bool,
}

impl Source {
    /// One to read from.
    pub(super) fn reading(transport: Arc<dyn Transport>) -> Self {
        Self { transport, wants_read: true, wants_write: false }
    }

    /// One to write to.
    pub(super) fn writing(transport: Arc<dyn Transport>) -> Self {
        Self { transport, wants_read: false, wants_write: true }
    }

    /// The same, and to write to.
    pub(crate) fn and_writing(self) -> Self {
        Self { wants_write: true, ..self }
    }

    /// Whether a step has something to do when it can be read (POLLIN).
    pub fn wants_read(&self) -> bool {
        self.wants_read
    }

    /// Whether a step has something to do when it can be written (POLLOUT), which includes that it has connected.
    pub fn wants_write(&self) -> bool {
        self.wants_write
    }

    /// The file descriptor to poll. None for a [`Transport`] that has none.
    #[cfg(unix)]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.as_fd()
    }

    /// The socket to poll. None for a [`Transport`] that has none.
    #[cfg(windows)]
    pub fn as_socket(&self) -> Option<BorrowedSocket<'_>> {
        self.transport.as_socket()
    }

    /// Waits for one of these, or until it is woken.
    #[cfg(stepped_opening)]
    pub(crate) fn poll(sources: &[Self], wakes: &std::os::unix::net::UnixStream, until: Option<std::time::Instant>) {
        use rustix::event::{PollFd, PollFlags};

        let polled = sources.iter().filter_map(|source| {
            let fd = source.as_fd()?;
            let read = if source.wants_read { PollFlags::IN } else { PollFlags::empty() };
            let write = if source.wants_write { PollFlags::OUT } else { PollFlags::empty() };
            Some(PollFd::from_borrowed_fd(fd, read | write))
        });
        let timeout = until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
        let mut polled: Vec<_> = polled.chain([PollFd::new(wakes, PollFlags::IN)]).collect();
        super::poll::poll(&mut polled, timeout).expect("sockets can be polled");
    }

    /// Whether both are of the same socket.
    #[cfg(feature = "mio")]
    pub(crate) fn is_same_socket(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transport, &other.transport)
    }

    /// Whether a loop can poll it.
    pub(crate) fn can_be_polled(&self) -> bool {
        #[cfg(unix)]
        return self.as_fd().is_some();
        #[cfg(windows)]
        return self.as_socket().is_some();
    }
}

impl Eq for Source {}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.transport, &other.transport)
            && (self.wants_read, self.wants_write) == (other.wants_read, other.wants_write)
    }
}
