//! A connection from its opening handshake to its end, as events: the interface of wsproto, on top of the two halves.

mod event;
mod extended;
pub(super) mod extension;
mod open;
mod opening;

use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;

use self::extended::ExtensionDecoder;
use self::extension::{hooks, only_deflate, works_for};
use self::open::{EstablishedConnection, Extended};
use self::opening::{OpeningHandshake, OpeningStep};
use super::handshake::{HandshakeError, HeadLimits, Headers, Rejection, ServerHandshake};
use super::{Entropy, Inbound, Limits, LocalProtocolError, MaskKeys, Outbound, PerMessageDeflate, Role, TextPolicy};

pub use self::event::{
    AcceptConnection, BytesMessage, CloseConnection, Event, Ping, Pong, ProtocolViolation, RejectConnection,
    RejectData, Request, TextMessage,
};
pub use self::extension::{
    Extension, InboundExtension, OutboundExtension, Room, SUPPORTED_EXTENSIONS, accept_extensions, finalize_extensions,
    offer_extensions,
};

/// A WebSocket connection without I/O, in either role: bytes and events in, events and bytes out.
///
/// The contract: send what [`send`](Self::send) returns; give everything that is received to
/// [`receive_data`](Self::receive_data), then take the [`events`](Self::events) until there are none. Nothing is
/// answered by itself: a [`Ping`] and a [`CloseConnection`] have a `response()`
/// that ought to be sent.
///
/// ```
/// use websocket_sync::protocol::{AcceptConnection, Connection, Event, Request, TextMessage};
///
/// // Entropy that can be foreseen is for examples only.
/// let mut client = Connection::client(Box::new(|bytes| bytes.fill(7)));
/// let mut server = Connection::server();
///
/// server.receive_data(Some(&client.send(Request::new("example.com", "/"))?))?;
/// let Some(Event::Request(request)) = server.next_event() else { panic!("no request") };
/// assert_eq!(request.target, "/");
///
/// client.receive_data(Some(&server.send(AcceptConnection::default())?))?;
/// assert_eq!(client.next_event(), Some(AcceptConnection::default().into()));
///
/// server.receive_data(Some(&client.send(TextMessage::new("Hello"))?))?;
/// assert_eq!(server.next_event(), Some(TextMessage::new("Hello").into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias = "WSConnection")]
pub struct Connection {
    role: Role,
    phase: ConnectionPhase,
    /// The events of the opening handshake that were not taken; those of frames are made when they are asked for.
    events: VecDeque<Event>,
}

enum ConnectionPhase {
    Opening(Box<OpeningHandshake>, Box<OpenSettings>),
    Open(Box<EstablishedConnection>),
    /// There was no WebSocket.
    Over,
}

/// Where a connection stands. It is computed from what was sent and received. The opening handshake counts as soon as it was received;
/// the peer's Close, a rule that it broke and the end of the connection from the moment when [`Connection::next_event`] tells them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "the states of wsproto")]
pub enum ConnectionState {
    /// The opening handshake is not over.
    Connecting,
    /// Messages can be sent and received.
    Open,
    /// The peer has closed, or broken the protocol; our Close is due.
    RemoteClosing,
    /// We have closed and the peer has not. Messages can still be received and pings answered.
    LocalClosing,
    /// Both have closed, or the connection is lost, or it was refused.
    Closed,
    /// The server refuses; the body of the refusal is not over.
    Rejecting,
}

/// The peer broke a rule of the opening handshake. (What it does wrong later is an event,
/// [`ProtocolViolation`].)
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{error}")]
#[non_exhaustive]
pub struct RemoteProtocolError {
    /// The rule.
    pub error: HandshakeError,
    /// Server: what ought to be sent before the connection is given up.
    pub event_hint: Option<RejectConnection>,
}

/// What a connection consists of when its opening handshake is over; see [`Connection::into_halves`].
#[derive(Debug)]
#[expect(clippy::exhaustive_structs, reason = "to be taken apart")]
pub struct Halves {
    /// What receives.
    pub inbound: Inbound,
    /// What sends.
    pub outbound: Outbound,
    /// What was received and has found no room in `inbound`: to be pushed once the steps before are done. Empty unless
    /// more followed the handshake than the receive window of `inbound` takes, which is 128 KiB.
    pub rest: Vec<u8>,
}

/// The whole life of a connection after its opening handshake, whose end is a Close from each side:
///
/// ```
/// use websocket_sync::protocol::{
///     BytesMessage, CloseCode, CloseConnection, Connection, ConnectionState, Event, Inbound, Ping, Role,
/// };
///
/// let mut client = Connection::open(Role::Client, Box::new(|bytes| bytes.fill(7)));
/// let mut server = Connection::open(Role::Server, Box::new(|_| {}));
///
/// let mut wire = Vec::new();
/// server.send_into(BytesMessage::new([1, 2, 3]), &mut wire)?;
/// server.send_into(Ping::new("are you there?"), &mut wire)?;
/// server.send_into(CloseConnection::new(CloseCode::GOING_AWAY, "restart"), &mut wire)?;
/// assert_eq!((server.role(), server.state()), (Role::Server, ConnectionState::LocalClosing));
///
/// client.receive_data(Some(&wire))?;
/// let events: Vec<Event> = client.events().collect();
/// for event in &events {
///     match event {
///         Event::BytesMessage(message) => assert_eq!(message.data, [1, 2, 3]),
///         Event::Ping(ping) => server.receive_data(Some(&client.send(ping.response())?))?,
///         Event::CloseConnection(close) => server.receive_data(Some(&client.send(close.response())?))?,
///         // One that broke a rule: its answer is a Close with the code for that.
///         Event::ProtocolViolation(violation) => drop(client.send(violation.response())?),
///         _ => {}
///     }
/// }
/// assert_eq!((events.len(), client.state()), (3, ConnectionState::Closed));
///
/// // Or the two directions apart, for two threads.
/// let halves = Connection::open(Role::Client, Box::new(|bytes| bytes.fill(7))).into_halves();
/// let inbound: Option<Inbound> = halves.map(|halves| halves.inbound);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl Connection {
    /// A client that will send a [`Request`]. Its key and masking keys are drawn from `entropy`.
    pub fn client(entropy: Entropy) -> Self {
        ConnectionBuilder::new().client(entropy)
    }

    /// A server that waits for a [`Request`].
    pub fn server() -> Self {
        ConnectionBuilder::new().server()
    }

    /// A connection whose opening handshake was done elsewhere. A server never asks for `entropy`.
    pub fn open(role: Role, entropy: Entropy) -> Self {
        ConnectionBuilder::new().open(role, entropy)
    }

    /// Where the connection stands.
    pub fn state(&self) -> ConnectionState {
        let closing = match &self.phase {
            ConnectionPhase::Opening(opening, _) if opening.is_rejecting() => return ConnectionState::Rejecting,
            ConnectionPhase::Opening(..) => return ConnectionState::Connecting,
            ConnectionPhase::Over => return ConnectionState::Closed,
            ConnectionPhase::Open(open) => open.closing(),
        };
        match (closing.sent, closing.received) {
            _ if closing.lost => ConnectionState::Closed,
            (true, true) => ConnectionState::Closed,
            (true, false) => ConnectionState::LocalClosing,
            (false, true) => ConnectionState::RemoteClosing,
            (false, false) => ConnectionState::Open,
        }
    }

    /// Which endpoint this is.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Sends an event: the bytes for the peer.
    ///
    /// # Errors
    ///
    /// A [`LocalProtocolError`] where the protocol does not allow the event, or not now. Nothing has changed then; but where an extension
    /// answers an offer with parameters that cannot be sent, it is left out from then on, with those that have agreed before it.
    #[doc(alias = "bytes_to_send")]
    pub fn send(&mut self, event: impl Into<Event>) -> Result<Vec<u8>, LocalProtocolError> {
        let mut out = Vec::new();
        self.send_into(event, &mut out)?;
        Ok(out)
    }

    /// Sends an event: the bytes for the peer are appended to `out`.
    ///
    /// # Errors
    ///
    /// As for [`send`](Self::send); `out` has not changed then.
    pub fn send_into(&mut self, event: impl Into<Event>, out: &mut Vec<u8>) -> Result<(), LocalProtocolError> {
        let event = event.into();
        match &mut self.phase {
            ConnectionPhase::Open(open) => open.send(event, out),
            ConnectionPhase::Over => Err(LocalProtocolError::Handshake(event.name())),
            ConnectionPhase::Opening(opening, settings) => {
                let step = opening.send(event, &mut settings.extensions, &mut settings.entropy, out)?;
                self.take_step(step);
                Ok(())
            }
        }
    }

    /// Takes bytes that were received, or `None` for the end of the connection. What that brought is told by
    /// [`events`](Self::events).
    ///
    /// What follows the peer's Close is ignored, where wsproto raises an error: the peer's mistakes are not the
    /// caller's.
    ///
    /// # Errors
    ///
    /// [`RemoteProtocolError`] for the rule of the opening handshake that the peer broke. A client's connection is over
    /// then; a server's can still send the event of the hint.
    #[doc(alias = "receive_bytes")]
    pub fn receive_data(&mut self, data: Option<&[u8]>) -> Result<(), RemoteProtocolError> {
        match (&mut self.phase, data) {
            (ConnectionPhase::Open(open), Some(bytes)) => open.receive(bytes),
            (ConnectionPhase::Open(open), None) => open.receive_eof(),
            (ConnectionPhase::Over, _) => {}
            (ConnectionPhase::Opening(opening, settings), _) => {
                match opening.receive(data, &mut settings.extensions, &mut self.events) {
                    Ok(step) => self.take_step(step),
                    Err(error) => return Err(self.fail(error)),
                }
            }
        }
        Ok(())
    }

    /// The next event, or `None` until more is received.
    pub fn next_event(&mut self) -> Option<Event> {
        match (self.events.pop_front(), &mut self.phase) {
            (Some(event), _) => Some(event),
            (None, ConnectionPhase::Open(open)) => open.next_event(),
            (None, _) => None,
        }
    }

    /// The events until more is received.
    pub fn events(&mut self) -> impl Iterator<Item = Event> {
        std::iter::from_fn(move || self.next_event())
    }

    /// The two halves, which work alone, one per thread; `None` unless the WebSocket is open or was, and where other extensions
    /// than permessage-deflate were agreed upon, which the halves do not know. What was received is in them; events of the opening
    /// handshake that were not taken are lost.
    pub fn into_halves(self) -> Option<Halves> {
        match self.phase {
            ConnectionPhase::Open(open) => {
                let (inbound, outbound, rest) = open.into_parts()?;
                Some(Halves { inbound, outbound, rest })
            }
            ConnectionPhase::Opening(..) | ConnectionPhase::Over => None,
        }
    }

    /// A connection at its beginning, with events that have come before.
    fn opening(role: Role, opening: OpeningHandshake, settings: OpenSettings, events: VecDeque<Event>) -> Self {
        Self { role, phase: ConnectionPhase::Opening(Box::new(opening), Box::new(settings)), events }
    }

    /// A connection whose opening handshake is over.
    fn opened(role: Role, open: EstablishedConnection) -> Self {
        Self { role, phase: ConnectionPhase::Open(Box::new(open)), events: VecDeque::new() }
    }

    fn take_step(&mut self, step: OpeningStep) {
        let surplus = match step {
            OpeningStep::Continues => return,
            OpeningStep::Opened(surplus) => Some(surplus),
            OpeningStep::Ended => None,
        };
        let phase = std::mem::replace(&mut self.phase, ConnectionPhase::Over);
        if let (Some(surplus), ConnectionPhase::Opening(_, settings)) = (surplus, phase) {
            let mut open = settings.open(self.role);
            open.receive(&surplus);
            self.phase = ConnectionPhase::Open(Box::new(open));
        }
    }

    /// After a broken rule: the end, unless a server can still say what is wrong.
    fn fail(&mut self, error: HandshakeError) -> RemoteProtocolError {
        let remote = RemoteProtocolError::new(self.role, error);
        if remote.event_hint.is_none() {
            self.phase = ConnectionPhase::Over;
        }
        remote
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("role", &self.role).field("state", &self.state()).finish_non_exhaustive()
    }
}

impl RemoteProtocolError {
    fn new(role: Role, error: HandshakeError) -> Self {
        let event_hint = match role {
            Role::Client => None,
            Role::Server => Rejection::for_error(&error).map(RejectConnection::from),
        };
        Self { error, event_hint }
    }
}

/// Makes a [`Connection`] that is not an ordinary one.
///
/// ```
/// use websocket_sync::protocol::handshake::HeadLimits;
/// use websocket_sync::protocol::{ConnectionBuilder, Limits};
///
/// let mut limits = Limits::default();
/// limits.max_message_size = 1 << 20;
/// let server = ConnectionBuilder::new().limits(limits).head_limits(HeadLimits::default()).server();
/// ```
#[derive(Debug)]
pub struct ConnectionBuilder {
    limits: Limits,
    head_limits: HeadLimits,
    text_policy: TextPolicy,
    extensions: Vec<Box<dyn Extension>>,
}

/// What a connection will need once it is open.
struct OpenSettings {
    limits: Limits,
    text_policy: TextPolicy,
    extensions: Vec<Box<dyn Extension>>,
    entropy: Entropy,
}

impl ConnectionBuilder {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            limits: Limits::default(),
            head_limits: HeadLimits::default(),
            text_policy: TextPolicy::default(),
            extensions: Vec::new(),
        }
    }

    /// The limits on messages. Default: [`Limits::default`].
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits on the opening handshake. Default: [`HeadLimits::default`].
    #[must_use]
    pub const fn head_limits(mut self, limits: HeadLimits) -> Self {
        self.head_limits = limits;
        self
    }

    /// Whether received text is validated. Default: [`TextPolicy::Validate`].
    #[must_use]
    pub const fn text_policy(mut self, policy: TextPolicy) -> Self {
        self.text_policy = policy;
        self
    }

    /// An extension to offer or to agree to, less wanted than those before it. Default: none.
    #[must_use]
    pub fn extension(mut self, extension: impl Extension + 'static) -> Self {
        self.extensions.push(Box::new(extension));
        self
    }

    /// As [`Connection::client`].
    pub fn client(self, entropy: Entropy) -> Connection {
        let opening = OpeningHandshake::Idle(self.head_limits);
        Connection::opening(Role::Client, opening, self.into_settings(entropy), VecDeque::new())
    }

    /// As [`Connection::server`].
    pub fn server(self) -> Connection {
        let opening = OpeningHandshake::Server(ServerHandshake::new(self.head_limits));
        Connection::opening(Role::Server, opening, self.into_settings(no_entropy()), VecDeque::new())
    }

    /// A server whose request was read by somebody else, such as an HTTP server that also speaks WebSocket. The first
    /// event is the [`Request`].
    ///
    /// # Errors
    ///
    /// [`RemoteProtocolError`] for the rule that the request breaks, and what to answer.
    #[doc(alias = "initiate_upgrade_connection")]
    pub fn upgrade(self, headers: Headers, target: &str) -> Result<Connection, RemoteProtocolError> {
        let (handshake, request) = ServerHandshake::from_parsed("GET", target, headers, self.head_limits)
            .map_err(|error| RemoteProtocolError::new(Role::Server, error))?;
        let events = VecDeque::from([Event::Request(request.into())]);
        let opening = OpeningHandshake::Server(handshake);
        Ok(Connection::opening(Role::Server, opening, self.into_settings(no_entropy()), events))
    }

    /// As [`Connection::open`]. Of the extensions those work that are enabled; they come in the order in which they
    /// were agreed to. A [`PerMessageDeflate`] that was negotiated for the other role does nothing.
    pub fn open(self, role: Role, entropy: Entropy) -> Connection {
        Connection::opened(role, self.into_settings(entropy).open(role))
    }

    fn into_settings(self, entropy: Entropy) -> OpenSettings {
        let Self { limits, text_policy, extensions, .. } = self;
        OpenSettings { limits, text_policy, extensions, entropy }
    }
}

impl Default for ConnectionBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl OpenSettings {
    /// The halves that these settings make.
    fn open(mut self, role: Role) -> EstablishedConnection {
        self.extensions.retain(|extension| works_for(&**extension, role));
        let keys = MaskKeys::pooled(self.entropy);
        let deflate = only_deflate(&self.extensions);
        if deflate.is_some() || self.extensions.is_empty() {
            let inflater = deflate.and_then(PerMessageDeflate::inflater);
            let deflater = deflate.and_then(PerMessageDeflate::deflater);
            let inbound = Inbound::inflating(role, self.limits, self.text_policy, inflater);
            return EstablishedConnection::new(inbound, Outbound::deflating(role, keys, deflater), None);
        }
        let (inbound, outbound) = hooks(self.extensions);
        let decoder = ExtensionDecoder::new(inbound, self.limits.max_message_size, self.text_policy);
        let inbound = decoder.inbound(role, self.limits);
        let extended = Some(Box::new(Extended { decoder, outbound }));
        EstablishedConnection::new(inbound, Outbound::deflating(role, keys, None), extended)
    }
}

/// For servers, which draw nothing: their frames are not masked.
fn no_entropy() -> Entropy {
    Box::new(|_| {})
}
