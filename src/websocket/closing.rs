//! The calls that close a connection, and how it ended; [`ending`](super::ending) has what they do.

use super::writing::Wait;
use super::{ActiveConnection, WebSocket};
#[cfg(doc)]
use crate::error::Error;
use crate::error::{CloseCause, CloseInfo, Result};
use crate::protocol::{CloseCode, CloseFrame};

/// Closing. After the end of a connection, every call that sends or receives returns [`Error::Closed`].
///
/// ```no_run
/// use websocket_sync::{CloseCode, Error, create_connection};
///
/// let mut ws = create_connection("wss://feed.example/")?;
/// // Without waiting for the answer, so that what is still on its way is received.
/// ws.send_close(CloseCode::NORMAL, "enough")?;
/// let end = loop {
///     match ws.recv() {
///         Ok(message) => println!("{message:?}"),
///         Err(Error::Closed(end)) => break end,
///         Err(error) => return Err(error),
///     }
/// };
/// println!("{end}");
///
/// ws.connect("wss://feed.example/")?;
/// ws.close_with(CloseCode(4000), "no reason")?;
/// assert!(!ws.connected());
/// println!("{:?}", ws.close_info());
///
/// // In an emergency: without a Close frame.
/// ws.connect("wss://feed.example/")?;
/// ws.abort();
/// ws.shutdown();
/// # Ok::<(), Error>(())
/// ```
impl WebSocket {
    /// Sends a Close with code 1000, waits for the peer's answer, and ends the connection. Sending may take the
    /// [close timeout](crate::ConnectOptions::close_timeout), and the answer the same again. Messages that still arrive are thrown away;
    /// to receive them, use [`send_close`](Self::send_close) and receive until [`Error::Closed`].
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] when this thread calls it inside a batch ([`cork`](Self::cork)) or from a reader that was given to
    /// [`send_reader`](Self::send_reader). Nothing else: a connection that was lost is closed, too; [`close_info`](Self::close_info)
    /// says how it ended.
    pub fn close(&self) -> Result<()> {
        self.close_with(CloseCode::NORMAL, "")
    }

    /// The same with a code and a reason of up to 123 bytes. 1005 without a reason sends a Close without a body.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent (RFC 6455, section 7.4), and as for [`close`](Self::close); the
    /// connection goes on.
    pub fn close_with(&self, code: CloseCode, reason: &str) -> Result<()> {
        match &self.connection {
            Some(connection) => connection.shared.close_with_reader(&connection.reader, CloseFrame::new(code, reason)?),
            None => Ok(()),
        }
    }

    /// Sends a Close and does not wait for the peer's, so that what the peer has sent can still be received, until
    /// [`Error::Closed`]. Further calls send no second Close. 1005 without a reason sends a Close without a body.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a code or a reason that must not be sent, and as for [`close`](Self::close); [`Error::Closed`] when the
    /// connection is over. [`Error::Timeout`] when the Close did not leave within the
    /// [close timeout](crate::ConnectOptions::close_timeout): it stays queued, and the receive that follows may still send it.
    pub fn send_close(&self, code: CloseCode, reason: &str) -> Result<()> {
        self.shared()?.send_close(CloseFrame::new(code, reason)?, Wait::Allowed)
    }

    /// Ends the connection at once, without a Close; a thread that waits in a send is woken.
    pub fn abort(&self) {
        if let Some(connection) = &self.connection {
            connection.shared.abort(CloseCause::Aborted);
        }
    }

    /// Ends the connection at once, without a Close, and gives the socket back to the system. What was known of it is gone, too: there
    /// is no [`close_info`](Self::close_info).
    pub fn shutdown(&mut self) {
        self.abort();
        self.connection = None;
    }

    /// Whether there is a connection that is neither closed nor known to be lost.
    pub fn connected(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| connection.shared.is_open())
    }

    /// How the last connection ended, or `None` if it did not. Where this side has ended it, or nothing can be sent any more, a Close of
    /// the peer that has arrived unread is taken into account. This never waits.
    #[doc(alias = "close_frame")]
    #[doc(alias = "last_close_frame")]
    pub fn close_info(&self) -> Option<CloseInfo> {
        let ActiveConnection { shared, reader, .. } = self.connection.as_ref()?;
        // What the peer said last may have arrived and not been received yet.
        if let Ok(mut reader) = reader.try_lock() {
            if shared.is_over() {
                reader.look_for_close(shared);
            } else if shared.has_failed_write()
                && let Some(info) = reader.peek_close(shared)
            {
                return Some(info);
            }
        }
        shared.close_info()
    }
}
