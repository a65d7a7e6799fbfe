//! The extension as the opening handshake sees it.

use std::fmt;

use super::NAME;
use super::deflater::Deflater;
use super::inflater::Inflater;
use super::options::DeflateOptions;
use super::params::{self, DeflateParams};
use super::pool::StatePool;
use crate::protocol::handshake::{ExtensionOffer, HandshakeError};
use crate::protocol::{Extension, InboundExtension, LocalProtocolError, OutboundExtension, Role};

/// permessage-deflate (RFC 7692): what is said of it in the opening handshake, and what comes of that.
///
/// For a [`Connection`](crate::protocol::Connection), hand it to the
/// [builder](crate::protocol::ConnectionBuilder::extension). Whoever drives the halves asks it for an
/// [`inflater`](Self::inflater) and a [`deflater`](Self::deflater) once it is agreed upon.
///
/// ```
/// use websocket_sync::protocol::{
///     AcceptConnection, ConnectionBuilder, DeflateOptions, Event, PerMessageDeflate, Request, TextMessage,
/// };
///
/// let deflate = || PerMessageDeflate::new(DeflateOptions::new().threshold(0));
/// // Entropy that can be foreseen is for examples only.
/// let mut client = ConnectionBuilder::new().extension(deflate()?).client(Box::new(|bytes| bytes.fill(0)));
/// let mut server = ConnectionBuilder::new().extension(deflate()?).server();
/// server.receive_data(Some(&client.send(Request::new("example.com", "/"))?))?;
/// server.next_event();
/// client.receive_data(Some(&server.send(AcceptConnection::default())?))?;
/// client.next_event();
///
/// let bytes = server.send(TextMessage::new("Hello"))?;
/// assert_eq!(bytes, b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
/// client.receive_data(Some(&bytes))?;
/// assert_eq!(client.next_event(), Some(TextMessage::new("Hello").into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PerMessageDeflate {
    options: DeflateOptions,
    agreed: Option<(Role, DeflateParams)>,
    pool: Option<fn() -> Box<dyn StatePool>>,
}

impl PerMessageDeflate {
    /// The extension with these options, to be negotiated.
    ///
    /// # Errors
    ///
    /// [`LocalProtocolError::DeflateOption`] for window bits other than 9 to 15 and a level over 9.
    pub fn new(options: DeflateOptions) -> Result<Self, LocalProtocolError> {
        options.check()?;
        Ok(Self { options, agreed: None, pool: None })
    }

    /// Where the states of zlib are while no message needs them; `pool` is asked once for each direction.
    ///
    /// Default: with the connection.
    #[must_use]
    pub fn pool(mut self, pool: fn() -> Box<dyn StatePool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// What both sides agreed to, once they did.
    pub fn agreed(&self) -> Option<DeflateParams> {
        self.agreed.map(|(_, params)| params)
    }

    /// What inflates received messages, once it is agreed upon.
    pub fn inflater(&self) -> Option<Inflater> {
        let (role, params) = self.agreed?;
        let mut inflater = Inflater::new(&params, other(role));
        if let Some(pool) = self.pool {
            inflater.set_pool(pool());
        }
        Some(inflater)
    }

    /// What compresses messages to be sent, once it is agreed upon.
    pub fn deflater(&self) -> Option<Deflater> {
        let (role, params) = self.agreed?;
        let mut deflater = Deflater::new(&self.options, &params, role);
        if let Some(pool) = self.pool {
            deflater.set_pool(pool());
        }
        Some(deflater)
    }
}

const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

impl Extension for PerMessageDeflate {
    fn name(&self) -> &str {
        NAME
    }

    fn offer(&self) -> Option<String> {
        Some(params::offer(&self.options))
    }

    fn accept(&mut self, offer: &ExtensionOffer) -> Option<String> {
        let (agreed, answer) = params::accept(&self.options, offer)?;
        self.agreed = Some((Role::Server, agreed));
        Some(answer)
    }

    fn finalize(&mut self, agreed: &ExtensionOffer) -> Result<(), HandshakeError> {
        self.agreed = Some((Role::Client, params::finalize(&self.options, agreed)?));
        Ok(())
    }

    fn enabled(&self) -> bool {
        self.agreed.is_some()
    }

    fn inbound(&mut self) -> Box<dyn InboundExtension> {
        Box::new(self.inflater().expect("it is enabled"))
    }

    fn outbound(&mut self) -> Box<dyn OutboundExtension> {
        Box::new(self.deflater().expect("it is enabled"))
    }
}

impl fmt::Debug for PerMessageDeflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerMessageDeflate")
            .field("options", &self.options)
            .field("agreed", &self.agreed())
            .finish_non_exhaustive()
    }
}
