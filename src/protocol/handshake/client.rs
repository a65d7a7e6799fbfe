//! The client's side of the opening handshake (RFC 6455, section 4.1).

use super::answer::{Answer, AnswerReader};
use super::body::Body;
use super::error::HandshakeError;
use super::head::HeadLimits;
use super::key::KEY_LEN;
use super::request::ClientRequest;
use super::response::{Refusal, Response};
use crate::protocol::LocalProtocolError;

/// The opening handshake of a client: makes the request, reads the answer.
///
/// ```
/// use websocket_sync::protocol::handshake::{ClientHandshake, ClientRequest, HeadLimits, Progress};
///
/// let request = ClientRequest::new("example.com", "/chat");
/// let (mut handshake, bytes) = ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce")?;
/// // Send `bytes`; then, with what is received:
/// assert_eq!(handshake.receive(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n")?, Progress::NeedMore);
/// let rest = b"Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x05Hello";
/// match handshake.receive(rest)? {
///     Progress::Accepted { response, surplus } => {
///         assert_eq!(response.status, 101);
///         assert_eq!(surplus, b"\x81\x05Hello", "the first frame came with the answer");
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "H11Handshake")]
#[doc(alias = "handshake")]
pub struct ClientHandshake {
    state: State,
    limits: HeadLimits,
}

#[derive(Debug)]
enum State {
    Head(AnswerReader),
    Body(Refusal, Body),
    Over,
}

/// How far the answer has come.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle each of the three")]
pub enum Progress {
    /// The answer goes on: receive more.
    NeedMore,
    /// The WebSocket is open.
    Accepted {
        /// What the server said.
        response: Response,
        /// What came behind the answer: the beginning of the first frames.
        surplus: Vec<u8>,
    },
    /// The server does not open a WebSocket.
    Refused(Refusal),
}

impl ClientHandshake {
    /// Begins a handshake: the state, and the bytes to be sent. The entropy becomes `Sec-WebSocket-Key` and must be
    /// fresh and unpredictable for every connection.
    ///
    /// # Errors
    ///
    /// A [`LocalProtocolError`] where a part of the request cannot be sent as it is; no byte has been made then.
    pub fn new(
        request: &ClientRequest,
        limits: HeadLimits,
        entropy: [u8; KEY_LEN],
    ) -> Result<(Self, Vec<u8>), LocalProtocolError> {
        let (reader, bytes) = AnswerReader::ask(request, limits, entropy)?;
        Ok((Self { state: State::Head(reader), limits }, bytes))
    }

    /// Takes bytes that were received.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the server broke. The connection must be given up.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(reader) => self.receive_head(reader, bytes),
            State::Body(refusal, body) => Ok(self.receive_body(refusal, body, bytes)),
            State::Over => Err(HandshakeError::Over),
        }
    }

    /// The server has ended the connection: the refusal, if the answer was one, as far as it came.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Eof`] where the answer had not come.
    pub fn receive_eof(&mut self) -> Result<Refusal, HandshakeError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Head(_) => Err(HandshakeError::Eof),
            State::Body(mut refusal, mut body) => {
                refusal.body_end = body.end_of_connection();
                Ok(refusal)
            }
            State::Over => Err(HandshakeError::Over),
        }
    }

    /// Whether the answer is a refusal of which a part of the body is still missing. It need not be waited for.
    pub const fn is_refused(&self) -> bool {
        self.refusal().is_some()
    }

    /// That refusal as far as it has come: status, headers, the beginning of the body.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match &self.state {
            State::Body(refusal, _) => Some(refusal),
            State::Head(_) | State::Over => None,
        }
    }

    /// The refusal with as much of its body as has come, for those who do not wait any longer; `None` where the answer
    /// is none.
    pub fn finish_refusal(self) -> Option<Refusal> {
        match self.state {
            State::Body(refusal, _) => Some(refusal),
            State::Head(_) | State::Over => None,
        }
    }

    fn receive_head(&mut self, mut reader: AnswerReader, bytes: &[u8]) -> Result<Progress, HandshakeError> {
        match reader.receive(bytes)? {
            None => {
                self.state = State::Head(reader);
                Ok(Progress::NeedMore)
            }
            Some((taken, Answer::Accepted(response))) => {
                Ok(Progress::Accepted { response, surplus: bytes[taken..].to_vec() })
            }
            Some((taken, Answer::Refused(refusal, body))) => Ok(self.receive_body(refusal, body, &bytes[taken..])),
        }
    }

    fn receive_body(&mut self, mut refusal: Refusal, mut body: Body, bytes: &[u8]) -> Progress {
        if refusal.receive_body(&mut body, bytes, self.limits.body).is_some() {
            return Progress::Refused(refusal);
        }
        self.state = State::Body(refusal, body);
        Progress::NeedMore
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::body::BodyEnd;
    use super::super::headers::Headers;
    use super::*;

    const ACCEPTED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";

    fn handshake() -> ClientHandshake {
        let request = ClientRequest::new("h", "/");
        ClientHandshake::new(&request, HeadLimits::default(), *b"the sample nonce").unwrap().0
    }

    /// How the handshake ends when these pieces are received and then the connection ends. The surplus may come in
    /// several pieces.
    fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Progress, HandshakeError> {
        let mut handshake = handshake();
        let mut pieces = pieces.into_iter();
        while let Some(piece) = pieces.next() {
            match handshake.receive(piece)? {
                Progress::NeedMore => {}
                Progress::Accepted { response, mut surplus } => {
                    pieces.for_each(|piece| surplus.extend_from_slice(piece));
                    return Ok(Progress::Accepted { response, surplus });
                }
                refused @ Progress::Refused(_) => return Ok(refused),
            }
        }
        handshake.receive_eof().map(Progress::Refused)
    }

    fn refusal(bytes: &str) -> Refusal {
        match run([bytes.as_bytes()]) {
            Ok(Progress::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn interim_answers_are_skipped_up_to_the_limit() {
        let many = INTERIM.repeat(8) + ACCEPTED;
        assert!(matches!(run([many.as_bytes()]), Ok(Progress::Accepted { .. })));
        let too_many = INTERIM.repeat(100_000);
        assert_eq!(run([too_many.as_bytes()]), Err(HandshakeError::TooManyInterim { limit: 8 }));
    }

    #[test]
    fn a_connection_that_ends_early_is_worth_another_attempt() {
        for end in 0..ACCEPTED.len() {
            assert_eq!(run([&ACCEPTED.as_bytes()[..end]]), Err(HandshakeError::Eof));
        }
    }

    #[test]
    fn a_refusal_has_status_headers_and_body() {
        let refused = refusal(
            "HTTP/1.1 100 Continue\r\n\r\n\
             HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 5\r\n\r\nHello",
        );
        assert_eq!((refused.status, refused.reason.as_str()), (401, "Unauthorized"));
        assert_eq!(refused.headers, Headers::from([("www-authenticate", "Basic"), ("content-length", "5")]));
        assert_eq!((refused.body.as_slice(), refused.body_end), (&b"Hello"[..], BodyEnd::Complete));
    }

    #[test]
    fn the_body_of_a_refusal_is_kept_as_far_as_it_makes_sense() {
        let cases = [
            ("HTTP/1.0 404 Not Found\r\n\r\nuntil the end", "until the end", BodyEnd::Complete),
            ("HTTP/1.1 204 No Content\r\n\r\nnone", "", BodyEnd::Complete),
            (
                "HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nHel\r\n2\r\nlo\r\n0\r\n\r\n",
                "Hello",
                BodyEnd::Complete,
            ),
            ("HTTP/1.1 503 Busy\r\nContent-Length: 99999999999\r\n\r\nHello", "Hello", BodyEnd::ConnectionLost),
            ("HTTP/1.1 503 Busy\r\nContent-Length: abc\r\n\r\nHello", "", BodyEnd::Malformed),
        ];
        for (received, body, end) in cases {
            let refused = refusal(received);
            assert_eq!((refused.body.as_slice(), refused.body_end), (body.as_bytes(), end), "{received:?}");
        }
    }

    #[test]
    fn a_large_body_is_cut_at_the_limit() {
        let limit = HeadLimits::default().body;
        let exactly = format!("HTTP/1.1 403 No\r\nContent-Length: {limit}\r\n\r\n{}", "x".repeat(limit));
        assert_eq!(refusal(&exactly).body_end, BodyEnd::Complete);
        let more = format!("HTTP/1.1 403 No\r\n\r\n{}", "x".repeat(limit + 1));
        let refused = refusal(&more);
        assert_eq!((refused.body.len(), refused.body_end), (limit, BodyEnd::LimitReached));
    }

    #[test]
    fn the_body_of_a_refusal_need_not_be_awaited() {
        let mut handshake = handshake();
        assert!(!handshake.is_refused());
        let head = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 10\r\n\r\nHel";
        assert_eq!(handshake.receive(head), Ok(Progress::NeedMore));
        assert!(handshake.is_refused());
        assert_eq!(handshake.refusal().map(|refusal| refusal.status), Some(503));
        let refused = handshake.finish_refusal().unwrap();
        assert_eq!(
            (refused.status, refused.body.as_slice(), refused.body_end),
            (503, &b"Hel"[..], BodyEnd::NotAwaited)
        );
        assert_eq!(refused.headers.text("retry-after").as_deref(), Some("7"));
    }

    #[test]
    fn nothing_is_received_after_the_end() {
        let mut handshake = handshake();
        assert!(matches!(handshake.receive(ACCEPTED.as_bytes()), Ok(Progress::Accepted { .. })));
        assert_eq!(handshake.receive(b"x"), Err(HandshakeError::Over));
        assert_eq!(handshake.receive_eof(), Err(HandshakeError::Over));
        assert!(handshake.finish_refusal().is_none());
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_result(
            script in prop::sample::select(vec![
                format!("{INTERIM}{ACCEPTED}\u{1}\u{5}frames\r\n\r\nand more"),
                "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nHel\r\n2\r\nlo\r\n0\r\nA: b\r\n\r\n".into(),
                "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nHello".into(),
                "HTTP/1.1 403 No\n\nHello".into(),
                "HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n".into(),
                "HTTP/1.1 101 OK\r\nUpgrade : websocket\r\n\r\n".into(),
                "ICY 200 OK\r\n\r\n".into(),
            ]),
            cuts in prop::collection::vec(1..20_usize, 1..200),
        ) {
            let whole = run([script.as_bytes()]);
            let mut rest = script.as_bytes();
            let pieces = cuts.iter().map(|&size| {
                let (piece, after) = rest.split_at(size.min(rest.len()));
                rest = after;
                piece
            });
            let mut pieces: Vec<&[u8]> = pieces.collect();
            pieces.push(rest);
            prop_assert_eq!(run(pieces), whole);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1..50_usize) {
            let mut heads = bytes.clone();
            heads.splice(..0, b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n".iter().copied());
            let _ = run(bytes.chunks(size));
            let _ = run(heads.chunks(size));
        }
    }
}
