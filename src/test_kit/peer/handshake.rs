//! The opening handshake of a scripted peer, in both roles.

use super::Peer;
use crate::protocol::handshake::{
    Acceptance, ClientHandshake, ClientRequest, HandshakeOutcome, HeadLimits, Rejection, Response, ServerHandshake,
    UpgradeRequest,
};
use crate::test_kit::error::PeerError;

/// The nonce of every request: that of the RFC's example. It need not be secret in a test, and each run is the same.
const NONCE: [u8; 16] = *b"the sample nonce";

impl Peer {
    /// Server: expects a request and opens the WebSocket with 101.
    ///
    /// ```
    /// use websocket_sync::ConnectOptions;
    /// use websocket_sync::test_kit::{PeerError, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     let request = peer.accept()?;
    ///     match request.headers.first("authorization") {
    ///         Some(b"Bearer me") => Ok(()),
    ///         _ => Err(PeerError::other("no token")),
    ///     }
    /// })?;
    /// let ws = ConnectOptions::new().header("Authorization", "Bearer me").connect(server.url())?;
    /// server.finish()?;
    /// # drop(ws);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Handshake`] for a request that breaks a rule, and as for [`expect_with`](Self::expect_with).
    pub fn accept(&mut self) -> Result<UpgradeRequest, PeerError> {
        self.accept_with(&Acceptance::default())
    }

    /// The same with a subprotocol, extensions or header fields. An extension that is agreed to is not applied: frames are sent and
    /// received as they are.
    ///
    /// ```
    /// use websocket_sync::protocol::handshake::{Acceptance, ClientRequest};
    /// use websocket_sync::test_kit::{Peer, TestServer};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     let request = peer.accept_with(&Acceptance::default().subprotocol("chat.v2"))?;
    ///     assert_eq!(request.subprotocols, ["chat.v2", "chat.v1"]);
    ///     peer.echo()
    /// })?;
    /// let mut client = Peer::connect(server.address())?;
    /// let request = ClientRequest::new("localhost", "/").subprotocols(["chat.v2", "chat.v1"]);
    /// assert_eq!(client.open_with(&request)?.subprotocol.as_deref(), Some("chat.v2"));
    /// client.close(1000)?;
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Usage`] where the request does not offer what is accepted, and as for [`accept`](Self::accept).
    pub fn accept_with(&mut self, acceptance: &Acceptance) -> Result<UpgradeRequest, PeerError> {
        let (mut handshake, request) = self.expect_handshake()?;
        let answer = handshake.accept(acceptance)?;
        self.send_bytes(answer)?;
        Ok(request)
    }

    /// Server: expects a request and refuses it with this status, without a body. The connection stays open.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn refuse(&mut self, status: u16) -> Result<(), PeerError> {
        self.refuse_with(&Rejection::new(status), b"").map(drop)
    }

    /// The same with header fields, and a body where the rejection [announces](Rejection::with_body) one.
    ///
    /// ```
    /// use websocket_sync::protocol::handshake::Rejection;
    /// use websocket_sync::test_kit::TestServer;
    /// use websocket_sync::{Error, create_connection};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     let busy = Rejection::new(503).header("Retry-After", "120").with_body();
    ///     peer.refuse_with(&busy, b"come back later").map(drop)
    /// })?;
    /// let Err(Error::Refused(refusal)) = create_connection(server.url()) else { panic!("it must be refused") };
    /// assert_eq!((refusal.status, refusal.body.as_slice()), (503, &b"come back later"[..]));
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`PeerError::Usage`] for what cannot be sent, and as for [`accept`](Self::accept).
    pub fn refuse_with(&mut self, rejection: &Rejection, body: &[u8]) -> Result<UpgradeRequest, PeerError> {
        let (mut handshake, request) = self.expect_handshake()?;
        let mut answer = handshake.reject(rejection)?;
        if rejection.has_body {
            answer.append(&mut handshake.finish_rejection(body)?);
        }
        self.send_bytes(answer)?;
        Ok(request)
    }

    /// Server: expects a request that breaks no rule of the opening handshake, and does not answer it.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn expect_request(&mut self) -> Result<UpgradeRequest, PeerError> {
        self.expect_handshake().map(|(_, request)| request)
    }

    fn expect_handshake(&mut self) -> Result<(ServerHandshake, UpgradeRequest), PeerError> {
        self.expect_with("a request to open a WebSocket", |bytes| {
            let Some(length) = head_length(bytes) else { return Ok(None) };
            let mut handshake = ServerHandshake::new(HeadLimits::default());
            let request = handshake.receive(&bytes[..length])?;
            Ok(request.map(|request| ((handshake, request), length)))
        })
    }

    /// Either role: expects the head of an HTTP message, whatever it says, up to and including the empty line.
    ///
    /// ```
    /// use websocket_sync::create_connection;
    /// use websocket_sync::test_kit::TestServer;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = TestServer::start(|peer| {
    ///     assert!(peer.expect_head()?.starts_with(b"GET / HTTP/1.1\r\n"));
    ///     peer.send_bytes("HTTP/1.1 101 Switching Protocols\r\n\r\n") // no key was answered
    /// })?;
    /// assert!(create_connection(server.url()).is_err());
    /// server.finish()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`expect_with`](Self::expect_with).
    pub fn expect_head(&mut self) -> Result<Vec<u8>, PeerError> {
        self.expect_with("the head of an HTTP message", |bytes| {
            Ok(head_length(bytes).map(|length| (bytes[..length].to_vec(), length)))
        })
    }

    /// Client: opens the WebSocket with this target, such as `/chat?room=1`.
    ///
    /// # Errors
    ///
    /// As for [`open_with`](Self::open_with).
    pub fn open(&mut self, target: &str) -> Result<Response, PeerError> {
        self.open_with(&ClientRequest::new("localhost", target))
    }

    /// Client: sends this request, and expects that the server opens the WebSocket. The nonce is always the same.
    ///
    /// # Errors
    ///
    /// [`PeerError::Unexpected`] for a refusal, [`PeerError::Handshake`] for a response that breaks a rule, [`PeerError::Usage`] for a
    /// request that cannot be sent, and as for [`expect_with`](Self::expect_with).
    pub fn open_with(&mut self, request: &ClientRequest) -> Result<Response, PeerError> {
        const EXPECTED: &str = "a response that opens the WebSocket";
        let (mut handshake, bytes) = ClientHandshake::new(request, HeadLimits::default(), NONCE)?;
        self.send_bytes(bytes)?;
        loop {
            let head = self.expect_with(EXPECTED, |bytes| {
                Ok(head_length(bytes).map(|length| (bytes[..length].to_vec(), length)))
            })?;
            match handshake.receive(&head)? {
                Some(HandshakeOutcome::Accepted { response, .. }) => return Ok(response),
                Some(HandshakeOutcome::Refused(refusal)) => return Err(refused(EXPECTED, refusal.status)),
                None => {}
            }
            // Its body is not waited for.
            if let Some(refusal) = handshake.refusal() {
                return Err(refused(EXPECTED, refusal.status));
            }
        }
    }
}

fn refused(expected: &str, status: u16) -> PeerError {
    PeerError::unexpected(expected, format!("status {status}"))
}

/// The length of the head at the beginning, with the empty line.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
}
