//! How a connection is made: its limits, its extensions, and where its opening handshake stands.

use std::collections::VecDeque;

use super::connection::{Connection, RemoteProtocolError};
use super::deflate::PerMessageDeflate;
use super::event::Event;
use super::extension::{Extension, ExtensionDecoder, only_deflate};
use super::frame::Role;
use super::handshake::{HeadLimits, Headers, ServerHandshake, hooks};
use super::inbound::{Inbound, Limits, TextPolicy};
use super::mask::{Entropy, MaskKeys};
use super::open_connection::{Extended, OpenConnection};
use super::opening::Opening;
use super::outbound::Outbound;

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
pub(super) struct Settings {
    limits: Limits,
    text_policy: TextPolicy,
    pub(super) extensions: Vec<Box<dyn Extension>>,
    pub(super) entropy: Entropy,
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
        let opening = Opening::Idle(self.head_limits);
        Connection::opening(Role::Client, opening, self.into_settings(entropy), VecDeque::new())
    }

    /// As [`Connection::server`].
    pub fn server(self) -> Connection {
        let opening = Opening::Server(ServerHandshake::new(self.head_limits));
        Connection::opening(Role::Server, opening, self.into_settings(no_entropy()), VecDeque::new())
    }

    /// A server whose request was read by somebody else, such as an HTTP server that also speaks WebSocket. The first
    /// event is the [`Request`](super::Request).
    ///
    /// # Errors
    ///
    /// [`RemoteProtocolError`] for the rule that the request breaks, and what to answer.
    #[doc(alias = "initiate_upgrade_connection")]
    pub fn upgrade(self, headers: Headers, target: &str) -> Result<Connection, RemoteProtocolError> {
        let (handshake, request) = ServerHandshake::from_parsed("GET", target, headers, self.head_limits)
            .map_err(|error| RemoteProtocolError::new(Role::Server, error))?;
        let events = VecDeque::from([Event::Request(request.into())]);
        let opening = Opening::Server(handshake);
        Ok(Connection::opening(Role::Server, opening, self.into_settings(no_entropy()), events))
    }

    /// As [`Connection::open`]. Of the extensions those work that are enabled; they come in the order in which they
    /// were agreed to.
    pub fn open(self, role: Role, entropy: Entropy) -> Connection {
        Connection::opened(role, self.into_settings(entropy).open(role))
    }

    fn into_settings(self, entropy: Entropy) -> Settings {
        let Self { limits, text_policy, extensions, .. } = self;
        Settings { limits, text_policy, extensions, entropy }
    }
}

impl Default for ConnectionBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl Settings {
    /// The halves that these settings make.
    pub(super) fn open(self, role: Role) -> OpenConnection {
        let keys = MaskKeys::pooled(self.entropy);
        let deflate = only_deflate(&self.extensions);
        if deflate.is_some() || !self.extensions.iter().any(|extension| extension.enabled()) {
            let inflater = deflate.and_then(PerMessageDeflate::inflater);
            let deflater = deflate.and_then(PerMessageDeflate::deflater);
            let inbound = Inbound::inflating(role, self.limits, self.text_policy, inflater);
            return OpenConnection::new(inbound, Outbound::deflating(role, keys, deflater), None);
        }
        let (inbound, outbound) = hooks(self.extensions);
        let decoder = ExtensionDecoder::new(inbound, self.limits.max_message_size, self.text_policy);
        let inbound = decoder.inbound(role, self.limits);
        let extended = Some(Box::new(Extended { decoder, outbound }));
        OpenConnection::new(inbound, Outbound::deflating(role, keys, None), extended)
    }
}

/// For servers, which draw nothing: their frames are not masked.
fn no_entropy() -> Entropy {
    Box::new(|_| {})
}
