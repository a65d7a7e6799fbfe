//! Frames from any function that receives bytes.

use thiserror::Error;

use super::error::{LocalProtocolError, ProtocolError};
use super::frame::{Frame, Role};
use super::inbound::{Granularity, Inbound, Limits, Step};
use crate::message::Message;

/// Reads frames or messages through a function that fills a slice and says how many bytes it wrote, 0 at the end: what
/// websocket-client's `frame_buffer` and `continuous_frame` are, over any source.
///
/// Nothing is answered. An error of the function loses nothing: the next call goes on where it stopped.
///
/// ```
/// use websocket_sync::protocol::{FrameReader, Opcode, Role};
///
/// let mut bytes = &b"\x81\x05Hello\x82\x01\x07"[..];
/// let mut frames = FrameReader::new(Role::Client, |space: &mut [u8]| std::io::Read::read(&mut bytes, space));
/// let frame = frames.recv_frame()?;
/// assert_eq!((frame.opcode, frame.payload.as_slice()), (Opcode::Text, &b"Hello"[..]));
/// assert_eq!(frames.recv()?, websocket_sync::Message::Binary(vec![7]));
/// # Ok::<(), websocket_sync::protocol::FrameReaderError<std::io::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "frame_buffer")]
#[doc(alias = "continuous_frame")]
pub struct FrameReader<F> {
    receive: F,
    inbound: Inbound,
}

/// Why a [`FrameReader`] has no frame to give.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameReaderError<E> {
    /// The source has ended.
    #[error("the source has ended")]
    Eof,
    /// The function failed.
    #[error("receiving failed")]
    Receive(#[source] E),
    /// The bytes are not what RFC 6455 allows.
    #[error("peer violated the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    /// A message or a frame was received in part, and the other kind is asked for.
    #[error(transparent)]
    Usage(#[from] LocalProtocolError),
}

impl<E, F: FnMut(&mut [u8]) -> Result<usize, E>> FrameReader<F> {
    /// Reads what the peer of `role` sends, within the default [`Limits`].
    pub fn new(role: Role, receive: F) -> Self {
        Self::over(Inbound::new(role, Limits::default()), receive)
    }

    /// Reads into a receiving half of your own.
    pub const fn over(inbound: Inbound, receive: F) -> Self {
        Self { receive, inbound }
    }

    /// Receives a frame, of data or control.
    ///
    /// # Errors
    ///
    /// [`FrameReaderError::Eof`] at the end and after a Close, [`FrameReaderError::Receive`] for what the function says,
    /// [`FrameReaderError::Protocol`] for a broken rule, [`FrameReaderError::Usage`] while a message is received in part.
    pub fn recv_frame(&mut self) -> Result<Frame, FrameReaderError<E>> {
        self.allow(Granularity::Frame)?;
        loop {
            match self.inbound.advance_frame()? {
                Step::NeedMore => self.fill()?,
                Step::Ended => return Err(FrameReaderError::Eof),
                _ => return Ok(self.inbound.take_frame()),
            }
        }
    }

    /// Receives a whole message; control frames on the way are passed over.
    ///
    /// # Errors
    ///
    /// As for [`recv_frame`](Self::recv_frame); [`FrameReaderError::Usage`] while a frame is received in part, or has ended inside a
    /// character of its text.
    pub fn recv(&mut self) -> Result<Message, FrameReaderError<E>> {
        self.allow(Granularity::Message)?;
        loop {
            match self.inbound.advance()? {
                Step::NeedMore => self.fill()?,
                Step::Message => return Ok(self.inbound.take_message()?),
                Step::Close | Step::Ended => return Err(FrameReaderError::Eof),
                _ => {}
            }
        }
    }

    fn allow(&self, granularity: Granularity) -> Result<(), LocalProtocolError> {
        match self.inbound.half_taken() {
            Some(half) if half != granularity => Err(LocalProtocolError::ReceivingMessage),
            _ => Ok(()),
        }
    }

    fn fill(&mut self) -> Result<(), FrameReaderError<E>> {
        match (self.receive)(self.inbound.space()).map_err(FrameReaderError::Receive)? {
            0 => Err(FrameReaderError::Eof),
            length => {
                self.inbound.received(length);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Opcode;

    /// Gives the pieces one by one; an empty one is a timeout.
    fn reader(pieces: &[&[u8]]) -> FrameReader<impl FnMut(&mut [u8]) -> Result<usize, &'static str>> {
        let mut pieces: Vec<Vec<u8>> = pieces.iter().rev().map(|piece| piece.to_vec()).collect();
        FrameReader::new(Role::Client, move |space: &mut [u8]| match pieces.pop() {
            None => Ok(0),
            Some(piece) if piece.is_empty() => Err("timed out"),
            Some(piece) => {
                space[..piece.len()].copy_from_slice(&piece);
                Ok(piece.len())
            }
        })
    }

    #[test]
    fn frames_come_out_of_pieces_of_any_size() {
        let mut frames = reader(&[b"\x81", b"\x05", b"H", b"ello"]);
        assert_eq!(frames.recv_frame().unwrap(), Frame::new(Opcode::Text, "Hello"));
        assert!(matches!(frames.recv_frame(), Err(FrameReaderError::Eof)));
    }

    #[test]
    fn a_timeout_in_the_midst_of_a_frame_loses_nothing() {
        let mut frames = reader(&[b"\x81", b"", b"\x0dHello", b"", b", World!"]);
        for _ in 0..2 {
            assert!(matches!(frames.recv(), Err(FrameReaderError::Receive(_))));
        }
        assert_eq!(frames.recv().unwrap(), Message::from("Hello, World!"));
    }

    #[test]
    fn fragments_are_joined_and_a_stray_one_is_refused() {
        let mut frames = reader(&[b"\x01\x0bBrevity is \x89\x01a\x80\x0fthe soul of wit\x80\x01x"]);
        assert_eq!(frames.recv().unwrap(), Message::from("Brevity is the soul of wit"));
        assert!(matches!(frames.recv(), Err(FrameReaderError::Protocol(ProtocolError::UnexpectedContinuation))));
    }

    #[test]
    fn frames_and_messages_are_not_mixed_where_that_would_lose_something() {
        let usage = LocalProtocolError::ReceivingMessage;
        let mut frames = reader(&[b"\x81\x04He", b"", b"ll\x01\x01\xc3\x80\x02\xa9!\x81\x01x"]);
        assert!(matches!(frames.recv(), Err(FrameReaderError::Receive(_))));
        assert!(matches!(frames.recv_frame(), Err(FrameReaderError::Usage(error)) if error == usage));
        assert_eq!(frames.recv().unwrap(), Message::from("Hell"));
        assert_eq!(frames.recv_frame().unwrap().payload, b"\xc3");
        assert!(matches!(frames.recv(), Err(FrameReaderError::Usage(error)) if error == usage));
        assert_eq!(frames.recv_frame().unwrap().payload, b"\xa9!");
        assert_eq!(frames.recv().unwrap(), Message::from("x"));
    }
}
