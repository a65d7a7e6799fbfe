//! What the threads of an app do with the connection that is open.

use std::time::Duration;

use crate::error::Result;
use crate::message::MessageRef;
use crate::websocket::{ActivitySnapshot, CloseCode, PingStatus};

/// An open connection, as far as the other threads are concerned. Clones are the same connection.
pub(in crate::app) trait Link: Clone {
    /// Whether this thread may close it now: not in the midst of what it sends itself.
    fn check_close(&self) -> Result<()>;
    /// Sends a Close and waits for the end, but not on the thread that receives. Bounded.
    fn close(&self, code: CloseCode, reason: &str) -> Result<()>;
    /// Sends a Close, or queues it, and waits for nothing.
    fn try_close(&self, code: CloseCode, reason: &str) -> Result<()>;
    /// Ends the connection without waiting for anything.
    fn disconnect(&self);
    /// Ends the connection of a peer that has fallen silent.
    fn fail_silent(&self);
    /// Sends a ping, or queues it behind what is being sent. Does not wait.
    fn send_ping(&self, payload: &[u8]) -> Result<PingStatus>;
    /// Sends a queued ping if that goes without waiting; whether it has left.
    fn flush_ping(&self) -> PingStatus;
    /// What has come in.
    fn activity(&self) -> ActivitySnapshot;
    /// How many bytes have come of a message that is not whole.
    fn gathered(&self) -> u64;
    /// Whether something lies in the socket that has not been read. Does not wait.
    fn has_arrived(&self) -> bool;
    /// Sends a message. Waits as long as it takes, within the send timeout, but not in an event loop.
    fn send(&self, message: MessageRef<'_>) -> Result<()>;
    /// How long a send may wait for its turn.
    fn send_timeout(&self) -> Duration;
    /// Whether it belongs to an event loop, so that nobody waits.
    fn is_in_event_loop(&self) -> bool;
}
