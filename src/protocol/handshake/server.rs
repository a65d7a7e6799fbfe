//! The server's side of the opening handshake (RFC 6455, section 4.2).

use super::acceptance::Acceptance;
use super::error::HandshakeError;
use super::head::{HeadCollector, HeadLimits, RequestHead, StartLine};
use super::headers::Headers;
use super::rejection::{BodyWriter, Rejection};
use super::upgrade_request::UpgradeRequest;
use crate::protocol::LocalProtocolError;

/// The opening handshake of a server: reads the request, makes the answer.
///
/// ```
/// use websocket_sync::protocol::handshake::{Acceptance, HeadLimits, ServerHandshake};
///
/// let mut handshake = ServerHandshake::new(HeadLimits::default());
/// let request = handshake.receive(
///     b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
///       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
/// )?;
/// assert_eq!(request.map(|request| request.target).as_deref(), Some("/chat"));
/// let bytes = handshake.accept(&Acceptance::default())?;
/// assert!(bytes.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n"));
/// assert!(handshake.take_early_data().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[doc(alias = "H11Handshake")]
pub struct ServerHandshake {
    state: State,
    limits: HeadLimits,
    /// What followed the request.
    early_data: Vec<u8>,
}

#[derive(Debug)]
enum State {
    /// The request is being received.
    Head(HeadCollector),
    /// The request broke a rule; it can only be rejected.
    Broken,
    /// The request waits for its answer.
    Requested(UpgradeRequest),
    /// The head of the rejection is made, its body is not.
    Rejecting(BodyWriter),
    /// Accepted or rejected.
    Over,
}

impl ServerHandshake {
    /// A server that waits for a request.
    pub const fn new(limits: HeadLimits) -> Self {
        Self { state: State::Head(HeadCollector::new(StartLine::Request, limits)), limits, early_data: Vec::new() }
    }

    /// A server whose request was read by somebody else, such as an HTTP server that also speaks WebSocket.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the request breaks; [`Rejection::for_error`] says what to answer.
    #[doc(alias = "initiate_upgrade_connection")]
    pub fn from_parsed(
        method: &str,
        target: &str,
        headers: Headers,
        limits: HeadLimits,
    ) -> Result<(Self, UpgradeRequest), HandshakeError> {
        let head = RequestHead { method: method.to_owned(), target: target.to_owned(), minor_version: 1, headers };
        let request = UpgradeRequest::judge(head)?;
        let state = State::Requested(request.clone());
        Ok((Self { state, limits, early_data: Vec::new() }, request))
    }

    /// Takes bytes that were received: the request, once it is whole. What follows it is kept for the frames.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for the rule that the client broke; [`Rejection::for_error`] says what to answer.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Option<UpgradeRequest>, HandshakeError> {
        match &mut self.state {
            State::Head(collector) => match read_request(collector, bytes) {
                Ok(None) => Ok(None),
                Ok(Some((taken, request))) => {
                    self.state = State::Requested(request.clone());
                    self.keep_early_data(&bytes[taken..])?;
                    Ok(Some(request))
                }
                Err(error) => {
                    self.state = State::Broken;
                    Err(error)
                }
            },
            State::Requested(_) => self.keep_early_data(bytes).map(|()| None),
            State::Broken | State::Rejecting(_) | State::Over => Err(HandshakeError::Over),
        }
    }

    /// Opens the WebSocket: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a request waits for its answer, and others where the answer would not
    /// be one to this request. The request goes on waiting then.
    pub fn accept(&mut self, acceptance: &Acceptance) -> Result<Vec<u8>, LocalProtocolError> {
        let State::Requested(request) = &self.state else {
            return Err(LocalProtocolError::Handshake("AcceptConnection"));
        };
        let bytes = acceptance.encode(request)?;
        self.state = State::Over;
        Ok(bytes)
    }

    /// Refuses: the bytes to be sent. Where a body was announced, it follows through [`reject_data`](Self::reject_data)
    /// and [`finish_rejection`](Self::finish_rejection).
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] after an answer was given, and others where the rejection cannot be sent as it
    /// is.
    pub fn reject(&mut self, rejection: &Rejection) -> Result<Vec<u8>, LocalProtocolError> {
        if matches!(self.state, State::Rejecting(_) | State::Over) {
            return Err(LocalProtocolError::Handshake("RejectConnection"));
        }
        let (bytes, body) = rejection.encode()?;
        self.state = if rejection.has_body { State::Rejecting(body) } else { State::Over };
        Ok(bytes)
    }

    /// A part of the rejection's body: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a body was announced, [`LocalProtocolError::PayloadLength`] for more
    /// than that.
    pub fn reject_data(&mut self, data: &[u8]) -> Result<Vec<u8>, LocalProtocolError> {
        match &mut self.state {
            State::Rejecting(body) => body.write(data),
            _ => Err(LocalProtocolError::Handshake("RejectData")),
        }
    }

    /// The last part of the rejection's body, which may be empty: the bytes to be sent.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::Handshake`] unless a body was announced, [`LocalProtocolError::PayloadLength`] where it is
    /// not as long as that. The part is not taken then.
    pub fn finish_rejection(&mut self, data: &[u8]) -> Result<Vec<u8>, LocalProtocolError> {
        let State::Rejecting(mut body) = self.state else {
            return Err(LocalProtocolError::Handshake("RejectData"));
        };
        let mut bytes = body.write(data)?;
        bytes.append(&mut body.finish()?);
        self.state = State::Over;
        Ok(bytes)
    }

    /// What came behind the request: the beginning of the first frames, for the time after [`accept`](Self::accept).
    pub fn take_early_data(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.early_data)
    }

    /// Whether received bytes still matter: not after a rule was broken, nor after the answer.
    pub(in crate::protocol) const fn is_listening(&self) -> bool {
        matches!(self.state, State::Head(_) | State::Requested(_))
    }

    /// Whether the body of a rejection is still to be sent.
    pub(in crate::protocol) const fn is_rejecting(&self) -> bool {
        matches!(self.state, State::Rejecting(_))
    }

    /// The request, if it waits for its answer and this can be it.
    pub(in crate::protocol) fn check(&self, acceptance: &Acceptance) -> Result<&UpgradeRequest, LocalProtocolError> {
        let State::Requested(request) = &self.state else {
            return Err(LocalProtocolError::Handshake("AcceptConnection"));
        };
        acceptance.encode(request).map(|_| request)
    }

    fn keep_early_data(&mut self, bytes: &[u8]) -> Result<(), HandshakeError> {
        if self.early_data.len() + bytes.len() > self.limits.head {
            self.state = State::Broken;
            return Err(HandshakeError::EarlyData { limit: self.limits.head });
        }
        self.early_data.extend_from_slice(bytes);
        Ok(())
    }
}

/// The request and how many of these bytes belong to it, if it is whole.
fn read_request(
    collector: &mut HeadCollector,
    bytes: &[u8],
) -> Result<Option<(usize, UpgradeRequest)>, HandshakeError> {
    match collector.collect(bytes)? {
        None => Ok(None),
        Some(taken) => Ok(Some((taken, UpgradeRequest::judge(collector.request()?)?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Protocol: one, two\r\nSec-WebSocket-Extensions: x-mark; level=3\r\n\r\n";
    const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn requested() -> ServerHandshake {
        let mut handshake = ServerHandshake::new(HeadLimits::default());
        assert!(handshake.receive(REQUEST.as_bytes()).unwrap().is_some());
        handshake
    }

    #[test]
    fn any_chunking_gives_the_same_request_and_keeps_early_data() {
        let frames = b"\x81\x85abcd\x29\x07\x0f\x08\x0e";
        let bytes = [REQUEST.as_bytes(), frames].concat();
        let (_, expected) = {
            let mut handshake = ServerHandshake::new(HeadLimits::default());
            let request = handshake.receive(&bytes).unwrap().unwrap();
            (handshake, request)
        };
        for size in 1..bytes.len() {
            let mut handshake = ServerHandshake::new(HeadLimits::default());
            let requests: Vec<UpgradeRequest> =
                bytes.chunks(size).filter_map(|chunk| handshake.receive(chunk).unwrap()).collect();
            assert_eq!(requests, std::slice::from_ref(&expected));
            handshake.accept(&Acceptance::default()).unwrap();
            assert_eq!(handshake.take_early_data(), frames);
            assert_eq!(handshake.receive(b"x"), Err(HandshakeError::Over));
        }
    }

    #[test]
    fn a_request_waits_on_after_an_answer_that_cannot_be_given() {
        let mut handshake = requested();
        let refused = handshake.accept(&Acceptance::default().subprotocol("three"));
        assert_eq!(refused, Err(LocalProtocolError::UnofferedSubprotocol));
        assert!(handshake.accept(&Acceptance::default().subprotocol("one")).is_ok());
        assert_eq!(handshake.accept(&Acceptance::default()), Err(LocalProtocolError::Handshake("AcceptConnection")));
    }

    #[test]
    fn early_data_is_bounded() {
        let mut handshake = requested();
        let error = (0..100).find_map(|_| handshake.receive(&[0; 1024]).err());
        assert_eq!(error, Some(HandshakeError::EarlyData { limit: 65_536 }));
    }

    #[test]
    fn a_broken_request_can_be_rejected_as_the_error_says() {
        let cases = [
            (REQUEST.replace("Version: 13", "Version: 8"), 426),
            (REQUEST.replace("GET", "POST"), 400),
            (REQUEST.replace("Host: example.com", &"A: b\r\n".repeat(200)), 431),
        ];
        for (request, status) in cases {
            let mut handshake = ServerHandshake::new(HeadLimits::default());
            let error = handshake.receive(request.as_bytes()).unwrap_err();
            let rejection = Rejection::for_error(&error).unwrap();
            assert_eq!(rejection.status, status);
            assert_eq!(
                handshake.accept(&Acceptance::default()),
                Err(LocalProtocolError::Handshake("AcceptConnection"))
            );
            assert!(handshake.reject(&rejection).is_ok());
        }
        assert_eq!(Rejection::for_error(&HandshakeError::NotHttp), None);
    }

    #[test]
    fn a_rejection_has_a_body_if_it_says_so() {
        let mut handshake = requested();
        handshake.reject(&Rejection::new(403).header("Content-Length", "5").with_body()).unwrap();
        assert_eq!(handshake.reject_data(b"Hel"), Ok(b"Hel".to_vec()));
        assert_eq!(handshake.finish_rejection(b"l"), Err(LocalProtocolError::PayloadLength));
        assert_eq!(handshake.finish_rejection(b"loo"), Err(LocalProtocolError::PayloadLength));
        assert_eq!(handshake.finish_rejection(b"lo"), Ok(b"lo".to_vec()));
        assert_eq!(handshake.reject_data(b"x"), Err(LocalProtocolError::Handshake("RejectData")));
        assert_eq!(handshake.finish_rejection(b""), Err(LocalProtocolError::Handshake("RejectData")));
        assert_eq!(handshake.reject(&Rejection::new(403)), Err(LocalProtocolError::Handshake("RejectConnection")));
    }

    #[test]
    fn a_request_may_have_been_read_by_somebody_else() {
        let headers = Headers::from([
            ("Host", "example.com"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ]);
        let limits = HeadLimits::default();
        let (mut handshake, request) = ServerHandshake::from_parsed("GET", "/chat", headers.clone(), limits).unwrap();
        assert_eq!(request.target, "/chat");
        assert_eq!(handshake.accept(&Acceptance::default()), Ok(format!("{AGREED}\r\n").into_bytes()));
        let refused = ServerHandshake::from_parsed("POST", "/chat", headers, limits);
        assert_eq!(refused.map(|(_, request)| request), Err(HandshakeError::Method));
    }
}
