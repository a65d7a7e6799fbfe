//! The blocking driver: a connection that is received from and sent to.
//!
//! [`WebSocket`] owns the receiving half ([`reader`]); the sending half is shared with every [`Sender`] ([`shared`]), and taken by
//! whoever writes ([`acquire`], [`write_guard`], [`writing`]). [`opening`] and [`ending`] are the two handshakes, [`close_state`] is
//! how far the second one has come. The public calls are in the modules that come first.

// In the order in which the documentation of `WebSocket` shows what they add to it.
mod connect;

mod receive;

mod send;

mod closing;

mod facts;

mod streams;

mod frames;

mod nonblocking;

mod acquire;
mod close_state;
mod compression;
mod ending;
mod event_loop;
mod opening;
mod reader;
mod receive_deadline;
mod shared;
#[cfg(all(test, shuttle))]
mod tests;
mod write_guard;
mod writing;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::Duration;

pub use self::connect::create_connection;
#[cfg(feature = "mio")]
pub(crate) use self::event_loop::SocketEvent;
pub(crate) use self::event_loop::{ActivitySnapshot, SendProgress};
pub use self::opening::{Opening, PendingUpgrade};
pub use self::reader::ControlFrames;
pub use self::receive::Messages;
pub(crate) use self::receive::Received;
pub use self::send::Sender;
pub use self::streams::{MessageReader, MessageWriter};
pub use self::writing::Batch;
pub(crate) use self::writing::PingStatus;
pub(crate) use crate::protocol::handshake::Response;
/// Plain values that those who drive a connection name too.
pub(crate) use crate::protocol::{CloseCode, Granularity, Opcode};

use self::acquire::STALL;
use self::reader::Reader;
use self::shared::{SharedConnection, WriterKind};
use crate::error::{CloseCause, CloseInfo, Error, Result};
use crate::net::Layer as _;
use crate::options::{ConnectOptions, Timeouts};
use crate::protocol::{CloseFrame, DeflateParams};
use crate::sync::Mutex;
use crate::timings::Timings;
use crate::url::without_query;

/// A WebSocket connection, and the options to make another one.
///
/// Receiving takes `&mut self`, sending and closing `&self`; a [`sender`](Self::sender) sends from other threads. Every blocking
/// call has a deadline, except for a receive without a [timeout](ConnectOptions::recv_timeout). Dropping it sends a Close with code
/// 1001 if that is possible without waiting, and ends the connection.
///
/// ```no_run
/// use websocket_sync::{Message, create_connection};
///
/// let mut ws = create_connection("wss://echo.example/")?;
/// ws.send_text("Hello")?;
/// match ws.recv()? {
///     Message::Text(text) => println!("{text}"),
///     Message::Binary(bytes) => println!("{} bytes", bytes.len()),
/// }
/// ws.close()?;
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Debug)]
pub struct WebSocket {
    options: ConnectOptions,
    timeouts: Timeouts,
    connection: Option<ActiveConnection>,
}

impl Default for WebSocket {
    fn default() -> Self {
        Self::new()
    }
}

/// What there is only while connected.
#[derive(Debug)]
struct ActiveConnection {
    shared: Arc<SharedConnection>,
    /// Locked only by those who have no exclusive reference: a close, an abort.
    reader: Mutex<Reader>,
    /// The answer to the opening handshake; `None` where that was done elsewhere.
    response: Option<Box<Response>>,
    timings: Timings,
    visited: VisitedUrls,
    deflate: Option<DeflateParams>,
}

/// The URLs that were asked, the first one first, without user and password; none in the server's role.
#[derive(Default)]
struct VisitedUrls(Vec<String>);

/// Shows no query: there may be a secret in it.
impl fmt::Debug for VisitedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|url| without_query(url))).finish()
    }
}

impl Drop for ActiveConnection {
    fn drop(&mut self) {
        never_panic_twice(|| self.shared.disconnect());
    }
}

/// Runs what calls something of the user's, such as a Transport. While a panic passes and drops values, a second one would end the
/// process: it goes nowhere.
fn never_panic_twice(act: impl FnOnce()) {
    if thread::panicking() {
        drop(catch_unwind(AssertUnwindSafe(act)));
    } else {
        act();
    }
}

impl WebSocket {
    fn shared(&self) -> Result<&Arc<SharedConnection>> {
        match &self.connection {
            Some(connection) => Ok(&connection.shared),
            None => Err(not_connected()),
        }
    }

    /// What receives, for the thread that receives from now on.
    #[inline]
    fn receiver(&mut self) -> Result<(&mut Reader, &Arc<SharedConnection>)> {
        let Some(ActiveConnection { shared, reader, .. }) = &mut self.connection else { return Err(not_connected()) };
        let reader = reader.get_mut().unwrap_or_else(PoisonError::into_inner);
        reader.note_thread(shared);
        Ok((reader, shared))
    }
}

/// For an event loop.
impl WebSocket {
    /// Hands the connection to this thread's loop. From now on no message, control frame or Close waits to be sent, whoever sends it;
    /// what sends in parts does, and [`Sender::close`] of another thread waits for the answer. `wake` is called from any thread when a
    /// Close, or what did not leave at once, needs attention; it must not wait.
    pub(crate) fn attach(&mut self, wake: impl Fn() + Send + Sync + 'static) -> Result<()> {
        let (_, shared) = self.receiver()?;
        shared.event_loop.attach(Box::new(wake));
        Ok(())
    }

    /// The loop waits for the socket edge-triggered, and tells its events: then a read that brought less than there was room for is not
    /// followed by one that finds nothing. It changes nothing for TLS, a Unix socket, and a stream of the user's.
    #[cfg(feature = "mio")]
    pub(crate) fn trust_events(&mut self) {
        if let Ok((reader, shared)) = self.receiver()
            && shared.stream.is_plain_tcp()
        {
            reader.readiness = event_loop::Readiness::Unknown;
        }
    }

    /// An event of the socket has come.
    #[cfg(feature = "mio")]
    pub(crate) fn note_event(&mut self, event: SocketEvent) {
        if let Ok((reader, _)) = self.receiver() {
            reader.readiness.note_event(event);
        }
    }

    /// How far sending has come.
    pub(crate) fn send_progress(&self) -> SendProgress {
        self.connection.as_ref().map_or_else(SendProgress::default, |connection| {
            let shared = &connection.shared;
            SendProgress { sent: shared.event_loop.sent(), in_tls: shared.stream.output_len() }
        })
    }

    /// Whether another thread is in the midst of a send that waits: whatever else waits to be sent is behind that.
    pub(crate) fn is_held_by_another(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| {
            let state = connection.shared.state();
            state.outbound.is_none() && state.writer == WriterKind::Waiting
        })
    }

    /// How long that may stay the same while something waits to be sent.
    pub(crate) fn stall_timeout(&self) -> Duration {
        self.connection.as_ref().and_then(|connection| connection.shared.timeouts().send).unwrap_or(STALL)
    }

    /// Ends the connection of a peer that takes nothing.
    pub(crate) fn abort_stalled(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.abort(CloseCause::Lost(io::ErrorKind::TimedOut));
        }
    }
}

impl ActiveConnection {
    fn reader_mut(&mut self) -> &mut Reader {
        self.reader.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> usize {
        self.shared.memory() + self.reader.try_lock().map_or(0, |reader| reader.inbound.memory())
    }
}

#[cold]
pub(crate) fn cancelled() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Cancelled)))
}

#[cold]
pub(crate) fn not_connected() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::NotConnected)))
}

/// Refuses a code or a reason that must not be sent (RFC 6455, section 7.4).
pub(crate) fn check_close(code: CloseCode, reason: &str) -> Result<()> {
    CloseFrame::new(code, reason)?;
    Ok(())
}
