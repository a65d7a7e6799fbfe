//! The stream of all contenders: two queues of bytes in memory, one for each direction.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use websocket_sync::{Interest, Transport};

/// The bytes of one direction. All that is written fits in: nothing is allocated while the clock runs.
#[derive(Debug)]
struct Queue {
    bytes: Vec<u8>,
    /// How many have been read.
    read: usize,
}

/// One end of the stream. It has a lock because `websocket_sync::Transport` is shared between threads; nobody ever waits for it.
#[derive(Debug)]
pub(crate) struct End {
    incoming: Arc<Mutex<Queue>>,
    outgoing: Arc<Mutex<Queue>>,
}

/// Both ends of a stream that holds so many bytes in each direction.
pub(crate) fn pipe(capacity: usize) -> [End; 2] {
    let queue = || Arc::new(Mutex::new(Queue { bytes: touched(capacity), read: 0 }));
    let [there, back] = [queue(), queue()];
    let client = End { incoming: Arc::clone(&back), outgoing: Arc::clone(&there) };
    [client, End { incoming: there, outgoing: back }]
}

/// Memory that the system has mapped already: page faults are not what is compared.
fn touched(capacity: usize) -> Vec<u8> {
    let mut bytes = vec![1; capacity];
    bytes.clear();
    bytes
}

impl End {
    /// `WouldBlock` where there is nothing to read, which no contender should come to.
    fn take(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut queue = lock(&self.incoming);
        let rest = &queue.bytes[queue.read..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let length = rest.len().min(buf.len());
        buf[..length].copy_from_slice(&rest[..length]);
        queue.read += length;
        Ok(length)
    }

    fn put(&self, bytes: &[u8]) -> usize {
        lock(&self.outgoing).bytes.extend_from_slice(bytes);
        bytes.len()
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Transport for End {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.take(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        Ok(self.put(buf))
    }

    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Err(io::Error::other("a wait in memory would be without an end"))
    }

    fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Copied by `put_slice`, without zeroing the buffer first.
        let mut queue = lock(&self.incoming);
        let rest = &queue.bytes[queue.read..];
        if rest.is_empty() {
            return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
        }
        let length = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..length]);
        queue.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.put(buf)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut queue = lock(&self.outgoing);
        for part in parts {
            queue.bytes.extend_from_slice(part);
        }
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
