//! A connection from its opening handshake to its end, as events: the face of wsproto.

use std::collections::VecDeque;
use std::fmt;

use thiserror::Error;

use super::connection_builder::{ConnectionBuilder, Settings};
use super::error::LocalProtocolError;
use super::event::{Event, RejectConnection};
use super::frame::Role;
use super::handshake::{HandshakeError, Rejection};
use super::inbound::Inbound;
use super::mask::Entropy;
use super::open_connection::OpenConnection;
use super::opening::{Opening, Outcome};
use super::outbound::Outbound;

/// A WebSocket connection without I/O, in either role: bytes and events in, events and bytes out.
///
/// The contract: send what [`send`](Self::send) returns; give everything that is received to
/// [`receive_data`](Self::receive_data), then take the [`events`](Self::events) until there are none. Nothing is
/// answered by itself: a [`Ping`](super::Ping) and a [`CloseConnection`](super::CloseConnection) have a `response()`
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
    phase: Phase,
    /// The events of the opening handshake that were not taken; those of frames are made when they are asked for.
    events: VecDeque<Event>,
}

enum Phase {
    Opening(Box<Opening>, Box<Settings>),
    Open(Box<OpenConnection>),
    /// There was no WebSocket.
    Over,
}

/// Where a connection stands. It is computed from what was sent, and from the events that were taken of what was
/// received: the peer's Close counts from the moment when [`Connection::next_event`] tells it.
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
/// [`ProtocolViolation`](super::ProtocolViolation).)
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
    /// more than 128 KiB followed the handshake.
    pub rest: Vec<u8>,
}

impl Connection {
    /// A client that will send a [`Request`](super::Request). Its key and masking keys are drawn from `entropy`.
    pub fn client(entropy: Entropy) -> Self {
        ConnectionBuilder::new().client(entropy)
    }

    /// A server that waits for a [`Request`](super::Request).
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
            Phase::Opening(opening, _) if opening.is_rejecting() => return ConnectionState::Rejecting,
            Phase::Opening(..) => return ConnectionState::Connecting,
            Phase::Over => return ConnectionState::Closed,
            Phase::Open(open) => open.closing(),
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
    /// A [`LocalProtocolError`] where the protocol does not allow the event, or not now. Nothing has changed then.
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
            Phase::Open(open) => open.send(event, out),
            Phase::Over => Err(LocalProtocolError::Handshake(event.name())),
            Phase::Opening(opening, settings) => match send_opening(opening, settings, event, out)? {
                Outcome::Continues => Ok(()),
                outcome => {
                    self.leave_opening(outcome);
                    Ok(())
                }
            },
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
            (Phase::Open(open), Some(bytes)) => open.receive(bytes),
            (Phase::Open(open), None) => open.receive_eof(),
            (Phase::Over, _) => {}
            (Phase::Opening(opening, settings), _) => {
                match opening.receive(data, &mut settings.extensions, &mut self.events) {
                    Ok(Outcome::Continues) => {}
                    Ok(outcome) => self.leave_opening(outcome),
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
            (None, Phase::Open(open)) => open.next_event(),
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
            Phase::Open(open) => {
                let (inbound, outbound, rest) = open.into_parts()?;
                Some(Halves { inbound, outbound, rest })
            }
            Phase::Opening(..) | Phase::Over => None,
        }
    }

    /// A connection at its beginning, with events that have come before.
    pub(super) fn opening(role: Role, opening: Opening, settings: Settings, events: VecDeque<Event>) -> Self {
        Self { role, phase: Phase::Opening(Box::new(opening), Box::new(settings)), events }
    }

    /// A connection whose opening handshake is over.
    pub(super) fn opened(role: Role, open: OpenConnection) -> Self {
        Self { role, phase: Phase::Open(Box::new(open)), events: VecDeque::new() }
    }

    fn leave_opening(&mut self, outcome: Outcome) {
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        if let (Outcome::Opened(surplus), Phase::Opening(_, settings)) = (outcome, phase) {
            let mut open = settings.open(self.role);
            open.receive(&surplus);
            self.phase = Phase::Open(Box::new(open));
        }
    }

    /// After a broken rule: the end, unless a server can still say what is wrong.
    fn fail(&mut self, error: HandshakeError) -> RemoteProtocolError {
        let remote = RemoteProtocolError::new(self.role, error);
        if remote.event_hint.is_none() {
            self.phase = Phase::Over;
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
    pub(super) fn new(role: Role, error: HandshakeError) -> Self {
        let event_hint = match role {
            Role::Client => None,
            Role::Server => Rejection::for_error(&error).map(RejectConnection::from),
        };
        Self { error, event_hint }
    }
}

fn send_opening(
    opening: &mut Opening,
    settings: &mut Settings,
    event: Event,
    out: &mut Vec<u8>,
) -> Result<Outcome, LocalProtocolError> {
    let is_all = match event {
        Event::Request(request) => {
            opening.ask(request, &settings.extensions, &mut settings.entropy, out)?;
            false
        }
        Event::AcceptConnection(accept) => {
            return opening.accept(accept, &mut settings.extensions, out).map(Outcome::Opened);
        }
        Event::RejectConnection(reject) => opening.reject(reject, out)?,
        Event::RejectData(part) => opening.reject_data(&part, out)?,
        other => return Err(LocalProtocolError::Handshake(other.name())),
    };
    Ok(if is_all { Outcome::Ended } else { Outcome::Continues })
}
