//! What a layer of a connection offers to the next: bytes in both directions, each call with its deadline.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;

use super::deadline::Deadline;
use super::send_timer::{SendDeadline, SendTimer};
use super::transport::Transport;

/// One layer of a connection: the transport, or TLS over another layer.
///
/// At most one thread reads and at most one thread writes at a time (the driver sees to that), but a reader and a
/// writer at once: neither ever waits for the other's network.
pub(crate) trait Layer {
    /// Reads some bytes: as many as are at hand and fit, and waits only if there are none, and not at all with
    /// [`Deadline::NOW`]. `Ok(0)` is the end of the stream.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when none came before the deadline; nothing is lost then, and the next read goes on.
    /// Any other error is the end.
    fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize>;

    /// Writes `buf` from `taken` on, after what an earlier write may have left behind, and counts there what has left or will.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the timer's deadline has passed. Any other error is the end.
    fn send(&self, buf: &[u8], timer: &mut SendTimer, taken: &mut usize) -> io::Result<()>;

    /// Writes all of `buf`, after what an earlier write may have left behind.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send), with the word how much has left.
    fn write_all(&self, buf: &[u8], deadline: SendDeadline) -> Result<(), WriteError> {
        let mut taken = 0;
        self.send(buf, &mut SendTimer::new(deadline), &mut taken).map_err(|error| WriteError { error, taken })
    }

    /// Writes what can be written without waiting, and says how many bytes that is: possibly none.
    ///
    /// TLS takes up to 64 KiB, unless something earlier is still in its way. What of it does not leave at once leaves
    /// before anything that is written later; see [`has_output`](Self::has_output).
    ///
    /// # Errors
    ///
    /// Those that are the end.
    fn try_write(&self, buf: &[u8]) -> io::Result<usize>;

    /// Whether a read may give bytes without waiting for the network: TLS has some that did not fit the last read, or that read has stopped
    /// before it had taken all that has arrived.
    fn has_input(&self) -> bool;

    /// How many bytes came for TLS, in all layers of it together, whether they gave anything to read or not yet; 0 without TLS.
    fn arrived(&self) -> u64;

    /// Whether TLS has bytes to send that no write is going to send: the rest of a [`try_write`](Self::try_write) or of a write that
    /// failed, or what TLS itself has to say to the peer and could not.
    fn has_output(&self) -> bool;

    /// How many bytes that are. What somebody is sending right now does not count.
    fn output_len(&self) -> usize;

    /// Sends of what is left in TLS what can be sent without waiting. Harmless at any time, from any thread.
    ///
    /// # Errors
    ///
    /// Those that are the end.
    fn try_flush(&self) -> io::Result<()>;

    /// Ends one direction or both and wakes the threads that wait in it. Never waits. TLS sends close_notify first,
    /// if that goes without waiting.
    ///
    /// # Errors
    ///
    /// What the transport says.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Gives back the memory that a burst has taken, unless it is in use.
    fn release(&self);

    /// Whether [`release`](Self::release) would give memory back: more is held than an idle connection needs.
    fn can_release(&self) -> bool;

    /// How many bytes of memory its buffers hold, without those of a TLS library; of those that somebody is sending from, as
    /// many as they had before.
    fn memory(&self) -> usize;

    /// Whether the bytes are encrypted.
    fn is_tls(&self) -> bool;

    /// What is beneath all layers.
    fn transport(&self) -> &Arc<dyn Transport>;
}

/// A write that did not come to its end.
#[derive(Debug)]
pub(crate) struct WriteError {
    /// What stopped it.
    pub(crate) error: io::Error,
    /// How many bytes of it have left or will leave, so that nothing else can take their place.
    pub(crate) taken: usize,
}
