//! What a [`WebSocket`] sends, in every shape that is asked for; a [`Sender`] does the same.

use std::io::Read;
use std::sync::Arc;

use super::{Batch, MessageWriter, WebSocket};
use crate::error::Result;
use crate::message::MessageKind;
use crate::protocol::{Compression, Frame, MaskKeys, Opcode};
use crate::sender::Sender;

/// Sending; all of it works from any number of threads at once, and while another thread receives.
impl WebSocket {
    /// Sends a text message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) when the connection is over or this side has closed it. [`Error::Timeout`](crate::Error::Timeout) when it took longer than the
    /// [timeout](crate::ConnectOptions::send_timeout): if any byte of the frame had left, the connection is over; otherwise nothing
    /// was sent and it goes on. [`Error::Usage`](crate::Error::Usage) inside a message that is sent in fragments.
    #[inline]
    pub fn send_text(&self, text: &str) -> Result<usize> {
        self.shared()?.send_message(text.into(), Compression::Agreed)
    }

    /// Sends a binary message; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    #[doc(alias = "send_bytes")]
    #[inline]
    pub fn send_binary(&self, bytes: &[u8]) -> Result<usize> {
        self.shared()?.send_message(bytes.into(), Compression::Agreed)
    }

    /// Sends a payload as a whole message or a control frame; returns the length of the frame in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text); [`Error::Usage`](crate::Error::Usage) for text that is not UTF-8 and for a control frame that must not be
    /// sent.
    pub fn send(&self, payload: impl AsRef<[u8]>, opcode: Opcode) -> Result<usize> {
        self.shared()?.send(payload.as_ref(), opcode, Compression::Agreed)
    }

    /// Sends a frame that was put together by hand, such as a fragment; returns its length in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send), and when it does not continue the message in progress.
    pub fn send_frame(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame(frame, Compression::Agreed)
    }

    /// Sends a frame as it stands, legal or not: for tests of a peer.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn send_frame_unchecked(&self, frame: &Frame) -> Result<usize> {
        self.shared()?.send_frame_unchecked(frame)
    }

    /// Sends a ping with a payload of up to 125 bytes.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn ping(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Ping, Compression::Agreed).map(|_| ())
    }

    /// Sends a pong that nobody asked for, with a payload of up to 125 bytes. Pings are answered without it.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send).
    pub fn pong(&self, payload: impl AsRef<[u8]>) -> Result<()> {
        self.shared()?.send(payload.as_ref(), Opcode::Pong, Compression::Agreed).map(|_| ())
    }

    /// Sends the messages of a batch in as few writes as possible. Other senders wait meanwhile.
    ///
    /// # Errors
    ///
    /// What `batch` returns, or as for [`send_text`](Self::send_text).
    ///
    /// ```no_run
    /// # let ws = websocket_sync::create_connection("ws://localhost:9001/")?;
    /// ws.cork(|batch| {
    ///     for order in ["buy", "sell"] {
    ///         batch.send_text(order)?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    pub fn cork<T>(&self, batch: impl FnOnce(&mut Batch<'_>) -> Result<T>) -> Result<T> {
        self.shared()?.cork(Compression::Agreed, batch)
    }

    /// Begins a message that is sent while it is written.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn message_writer(&self, kind: MessageKind) -> Result<MessageWriter> {
        MessageWriter::new(Arc::clone(self.shared()?), kind, Compression::Agreed)
    }

    /// Sends what a reader gives as one message: as a single frame when its length in bytes is known and it is not compressed, in
    /// fragments otherwise.
    /// Returns the length of the payload in bytes.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text). When the reader fails, or gives less than `len` bytes, the connection is over:
    /// the frame cannot be finished. [`Error::Usage`](crate::Error::Usage) for text that is not UTF-8.
    pub fn send_reader(&self, kind: MessageKind, reader: impl Read, len: Option<u64>) -> Result<u64> {
        self.shared()?.send_reader(kind, reader, len, Compression::Agreed)
    }

    /// A handle that sends from other threads, on this connection only. Without a connection, every call of it answers
    /// [`Error::Closed`](crate::Error::Closed).
    #[doc(alias = "enable_multithread")]
    pub fn sender(&self) -> Sender {
        match &self.connection {
            Some(connection) => Sender::new(Arc::clone(&connection.shared)),
            None => Sender::unconnected(),
        }
    }

    /// Takes a source of masking keys, asked anew for each frame: for tests.
    ///
    /// # Errors
    ///
    /// As for [`send_text`](Self::send_text).
    pub fn set_mask_key(&self, key: impl FnMut() -> [u8; 4] + Send + 'static) -> Result<()> {
        self.shared()?.set_mask_keys(MaskKeys::each(Box::new(key)))
    }
}
