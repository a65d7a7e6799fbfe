//! Frames and messages of a scripted peer.

use super::{Peer, shown};
use crate::message::{Message, MessageKind};
use crate::protocol::{CloseCode, CloseFrame, Frame, FrameHeader, Opcode, ProtocolError, Role, mask};
use crate::test_kit::error::PeerError;

/// The masking key of every frame of a client: it need not be secret in a test, and each run is the same.
const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

impl Peer {
    /// The bytes of a frame as this side sends it: masked by a client, with a key that is always the same. Nothing is checked.
    pub fn encode(&self, frame: &Frame) -> Vec<u8> {
        frame.to_bytes((self.role == Role::Client).then_some(KEY))
    }

    /// Sends a frame as it is, whether it may be sent or not.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_frame(&mut self, frame: &Frame) -> Result<(), PeerError> {
        self.send_bytes(self.encode(frame))
    }

    /// Sends a text message in one frame.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_text(&mut self, text: impl AsRef<str>) -> Result<(), PeerError> {
        self.send_frame(&Frame::new(Opcode::Text, text.as_ref()))
    }

    /// Sends a binary message in one frame.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_binary(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), PeerError> {
        self.send_frame(&Frame::new(Opcode::Binary, bytes.as_ref()))
    }

    /// Sends a ping.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_ping(&mut self, payload: impl AsRef<[u8]>) -> Result<(), PeerError> {
        self.send_frame(&Frame::new(Opcode::Ping, payload.as_ref()))
    }

    /// Sends a pong.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_pong(&mut self, payload: impl AsRef<[u8]>) -> Result<(), PeerError> {
        self.send_frame(&Frame::new(Opcode::Pong, payload.as_ref()))
    }

    /// Sends a Close with this code and reason, and waits for nothing. Neither is checked; 1005 is the Close without a body.
    ///
    /// # Errors
    ///
    /// As for [`send_bytes`](Self::send_bytes).
    pub fn send_close(&mut self, code: u16, reason: &str) -> Result<(), PeerError> {
        let close = CloseFrame { code: CloseCode(code), reason: reason.to_owned() };
        self.send_frame(&Frame::new(Opcode::Close, close.to_body()))
    }

    /// Expects a frame, of data or control.
    ///
    /// ```
    /// use websocket_sync::protocol::CloseCode;
    /// use websocket_sync::test_kit::TestServer;
    /// use websocket_sync::{Frame, Message, Opcode, create_connection};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     assert_eq!(peer.expect_frame()?, Frame::new(Opcode::Ping, "are you there?"));
    ///     peer.send_pong("are you there?")?;
    ///     peer.expect_binary([1, 2, 3])?;
    ///     assert_eq!(peer.expect_message()?, Message::Text("in order".to_owned()));
    ///
    ///     peer.send_ping("and you?")?;
    ///     peer.send_frame(&Frame::new(Opcode::Binary, [4]).fragment())?;
    ///     peer.send_frame(&Frame::new(Opcode::Continuation, [5]))?;
    ///     peer.send_binary([6])?;
    ///     assert_eq!(peer.expect_pong()?, b"and you?");
    ///     peer.send_close(4000, "enough")?;
    ///     assert_eq!(peer.expect_close(4000)?.code, CloseCode(4000));
    ///     peer.shutdown_write()?;
    ///     assert_eq!(peer.next_frame()?, None);
    ///     Ok(())
    /// })?;
    /// let mut ws = create_connection(server.url())?;
    /// ws.ping("are you there?")?;
    /// ws.send_binary(&[1, 2, 3])?;
    /// ws.send_text("in order")?;
    /// assert_eq!(ws.recv()?, Message::Binary(vec![4, 5]));
    /// assert_eq!(ws.recv()?, Message::Binary(vec![6]));
    /// assert_eq!(ws.recv().unwrap_err().close_info().map(|info| info.reason.as_str()), Some("enough"));
    /// drop(ws);
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Protocol`] for a header that breaks a rule, or the wrong masking for the role of the other side; the reserved bits are
    /// not judged. Otherwise as for [`expect_with`](Self::expect_with).
    pub fn expect_frame(&mut self) -> Result<Frame, PeerError> {
        self.take_frame("a frame")
    }

    /// A frame, or `None` where the connection ends before another one begins.
    ///
    /// # Errors
    ///
    /// As for [`expect_frame`](Self::expect_frame); [`PeerError::Ended`] inside a frame.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, PeerError> {
        if self.unread.is_empty() {
            let until = self.deadline();
            match self.receive(until) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(self.failed("a frame", error)),
            }
        }
        self.expect_frame().map(Some)
    }

    fn take_frame(&mut self, expected: &str) -> Result<Frame, PeerError> {
        let role = self.role;
        self.expect_with(expected, |bytes| Ok(parse_frame(bytes, role)?))
    }

    /// Expects a message and puts its fragments together. Pings before and inside it are answered, pongs passed over.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for a Close, [`PeerError::Protocol`] for fragments out of order and for text that is not UTF-8, and as
    /// for [`expect_frame`](Self::expect_frame).
    pub fn expect_message(&mut self) -> Result<Message, PeerError> {
        self.take_message("a message")
    }

    fn take_message(&mut self, expected: &str) -> Result<Message, PeerError> {
        let mut begun: Option<(MessageKind, Vec<u8>)> = None;
        loop {
            let frame = self.take_frame(expected)?;
            let (kind, payload) = match (frame.opcode, begun.take()) {
                (Opcode::Text, None) => (MessageKind::Text, frame.payload),
                (Opcode::Binary, None) => (MessageKind::Binary, frame.payload),
                (Opcode::Continuation, Some((kind, mut payload))) => {
                    payload.extend_from_slice(&frame.payload);
                    (kind, payload)
                }
                (Opcode::Continuation, None) => return Err(ProtocolError::UnexpectedContinuation.into()),
                (Opcode::Text | Opcode::Binary, Some(_)) => return Err(ProtocolError::ExpectedContinuation.into()),
                (Opcode::Close, _) => return Err(PeerError::unexpected(expected, shown_frame(&frame))),
                (Opcode::Ping, unfinished) => {
                    self.send_pong(frame.payload)?;
                    begun = unfinished;
                    continue;
                }
                (Opcode::Pong, unfinished) => {
                    begun = unfinished;
                    continue;
                }
            };
            if frame.fin {
                return message(kind, payload);
            }
            begun = Some((kind, payload));
        }
    }

    /// Expects a message with this text.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for any other, and as for [`expect_message`](Self::expect_message).
    pub fn expect_text(&mut self, text: impl AsRef<str>) -> Result<(), PeerError> {
        self.expect_this(&Message::Text(text.as_ref().to_owned()))
    }

    /// Expects a binary message with these bytes.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for any other, and as for [`expect_message`](Self::expect_message).
    pub fn expect_binary(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), PeerError> {
        self.expect_this(&Message::Binary(bytes.as_ref().to_vec()))
    }

    fn expect_this(&mut self, expected: &Message) -> Result<(), PeerError> {
        let expected_shown = shown_message(expected);
        let received = self.take_message(&expected_shown)?;
        if received == *expected {
            return Ok(());
        }
        Err(PeerError::unexpected(expected_shown, shown_message(&received)))
    }

    /// Expects a ping; its payload. It is not answered.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use websocket_sync::WebSocketApp;
    /// use websocket_sync::test_kit::TestServer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Answers one ping, and no other.
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     let payload = peer.expect_ping()?;
    ///     peer.send_pong(payload)?;
    ///     peer.expect_ping()?;
    ///     peer.stall(Duration::from_secs(60))
    /// })?;
    /// let app = WebSocketApp::new(server.url()).ping_interval(Duration::from_millis(60));
    /// app.ping_timeout(Duration::from_millis(50)).run_forever().unwrap_err();
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for any other frame, and as for [`expect_frame`](Self::expect_frame).
    pub fn expect_ping(&mut self) -> Result<Vec<u8>, PeerError> {
        self.expect_opcode(Opcode::Ping, "a ping")
    }

    /// Expects a pong; its payload.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for any other frame, and as for [`expect_frame`](Self::expect_frame).
    pub fn expect_pong(&mut self) -> Result<Vec<u8>, PeerError> {
        self.expect_opcode(Opcode::Pong, "a pong")
    }

    fn expect_opcode(&mut self, opcode: Opcode, expected: &str) -> Result<Vec<u8>, PeerError> {
        let frame = self.take_frame(expected)?;
        if frame.opcode != opcode {
            return Err(PeerError::unexpected(expected, shown_frame(&frame)));
        }
        Ok(frame.payload)
    }

    /// Expects a Close with this code, and does not answer it. Pings and pongs before it are passed over.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for a message or another code, [`PeerError::Protocol`] for a body that breaks a rule, and as for
    /// [`expect_frame`](Self::expect_frame).
    pub fn expect_close(&mut self, code: u16) -> Result<CloseFrame, PeerError> {
        let expected = format!("a Close with {code}");
        let frame = self.take_close(&expected, |frame| Err(PeerError::unexpected(&expected, shown_frame(frame))))?;
        let close = CloseFrame::parse(&frame.payload)?;
        if close.code.0 != code {
            return Err(PeerError::unexpected(expected, shown_frame(&frame)));
        }
        Ok(close)
    }

    /// Expects a Close with this code, answers it, and expects the end of the connection; a server ends its direction first
    /// (RFC 6455, section 7.1.1).
    ///
    /// ```
    /// use websocket_sync::create_connection;
    /// use websocket_sync::test_kit::TestServer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     peer.answer_close(1000)
    /// })?;
    /// create_connection(server.url())?.close()?;
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`expect_close`](Self::expect_close) and [`expect_end`](Self::expect_end).
    pub fn answer_close(&mut self, code: u16) -> Result<(), PeerError> {
        let close = self.expect_close(code)?;
        self.send_answer(&close.to_body())
    }

    /// Sends a Close with this code, expects the other side's, and expects the end of the connection. What is sent before the answer is
    /// passed over.
    ///
    /// # Errors
    ///
    /// As for [`expect_frame`](Self::expect_frame) and [`expect_end`](Self::expect_end).
    pub fn close(&mut self, code: u16) -> Result<(), PeerError> {
        self.send_close(code, "")?;
        self.take_close("a Close", |_| Ok(()))?;
        self.end_connection()
    }

    /// Sends back each message that comes, in one frame, until a Close, which is answered. Pings are answered too.
    ///
    /// ```
    /// use websocket_sync::create_connection;
    /// use websocket_sync::test_kit::TestServer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     peer.accept()?;
    ///     peer.echo()
    /// })?;
    /// let mut ws = create_connection(server.url())?;
    /// ws.send_text("there and back")?;
    /// assert_eq!(ws.recv()?.as_text(), Some("there and back"));
    /// ws.close()?;
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`expect_frame`](Self::expect_frame) and [`expect_end`](Self::expect_end): the other side has to close.
    pub fn echo(&mut self) -> Result<(), PeerError> {
        const EXPECTED: &str = "a message or a Close";
        let mut opcode = Opcode::Text;
        let mut payload = Vec::new();
        loop {
            let mut frame = self.take_frame(EXPECTED)?;
            match frame.opcode {
                Opcode::Close => return self.send_answer(&frame.payload),
                Opcode::Ping => self.send_pong(frame.payload)?,
                Opcode::Pong => {}
                Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                    if frame.opcode != Opcode::Continuation {
                        opcode = frame.opcode;
                    }
                    payload.append(&mut frame.payload);
                    if frame.fin {
                        self.send_frame(&Frame::new(opcode, std::mem::take(&mut payload)))?;
                    }
                }
            }
        }
    }

    /// Frames until a Close; those of data are shown to `data`.
    fn take_close(
        &mut self,
        expected: &str,
        data: impl Fn(&Frame) -> Result<(), PeerError>,
    ) -> Result<Frame, PeerError> {
        loop {
            let frame = self.take_frame(expected)?;
            match frame.opcode {
                Opcode::Close => return Ok(frame),
                Opcode::Ping | Opcode::Pong => {}
                Opcode::Text | Opcode::Binary | Opcode::Continuation => data(&frame)?,
            }
        }
    }

    fn send_answer(&mut self, body: &[u8]) -> Result<(), PeerError> {
        // A Close with a reason has the code in its first two bytes.
        let body = body.get(..2).unwrap_or_default();
        match self.send_frame(&Frame::new(Opcode::Close, body)) {
            // The other side need not wait for it.
            Ok(()) | Err(PeerError::Ended { .. }) => self.end_connection(),
            Err(error) => Err(error),
        }
    }

    fn end_connection(&mut self) -> Result<(), PeerError> {
        if self.role == Role::Server {
            // Where the other side has gone, it has ended as well.
            let _ = self.shutdown_write();
        }
        self.expect_end()?;
        self.end();
        Ok(())
    }
}

/// The frame of the other side at the beginning, and its length; `None` while it is not all there.
fn parse_frame(bytes: &[u8], role: Role) -> Result<Option<(Frame, usize)>, ProtocolError> {
    let Some((header, start)) = FrameHeader::parse(bytes)? else { return Ok(None) };
    match (role, header.mask) {
        (Role::Server, None) => return Err(ProtocolError::UnmaskedFrame),
        (Role::Client, Some(_)) => return Err(ProtocolError::MaskedFrame),
        _ => {}
    }
    Ok(take_payload(&header, start, bytes))
}

/// The frame with this header, where its payload is all there.
pub(in crate::test_kit) fn take_payload(header: &FrameHeader, start: usize, bytes: &[u8]) -> Option<(Frame, usize)> {
    let end = start.checked_add(usize::try_from(header.len).ok()?)?;
    let mut payload = bytes.get(start..end)?.to_vec();
    mask(header.mask.unwrap_or_default(), &mut payload);
    Some((Frame { fin: header.fin, rsv: header.rsv, opcode: header.opcode, payload }, end))
}

fn message(kind: MessageKind, payload: Vec<u8>) -> Result<Message, PeerError> {
    match kind {
        MessageKind::Binary => Ok(Message::Binary(payload)),
        MessageKind::Text => match String::from_utf8(payload) {
            Ok(text) => Ok(Message::Text(text)),
            Err(_) => Err(ProtocolError::TextNotUtf8.into()),
        },
    }
}

fn shown_message(message: &Message) -> String {
    match message {
        Message::Text(text) => format!("text {}", shown_text(text)),
        Message::Binary(bytes) => format!("binary {}", shown(bytes)),
    }
}

fn shown_text(text: &str) -> String {
    match text.char_indices().nth(100) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} bytes)", &text[..end], text.len()),
    }
}

fn shown_frame(frame: &Frame) -> String {
    match (frame.opcode, CloseFrame::parse(&frame.payload)) {
        (Opcode::Close, Ok(close)) => format!("a Close with {} and the reason {:?}", close.code.0, close.reason),
        (opcode, _) => format!("a {opcode} frame with {}", shown(&frame.payload)),
    }
}
