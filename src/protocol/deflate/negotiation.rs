//! permessage-deflate in the opening handshake (RFC 7692, section 7.1): what is asked for, offered, answered and agreed to.

use std::fmt;

use super::NAME;
use super::deflate::Deflater;
use super::inflate::Inflater;
use super::pool::StatePool;
use crate::protocol::handshake::{ExtensionOffer, HandshakeError};
use crate::protocol::{Extension, InboundExtension, LocalProtocolError, OutboundExtension, Role};

const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// permessage-deflate (RFC 7692): its negotiation in the opening handshake, and the compressors that follow from it.
///
/// For a [`Connection`](crate::protocol::Connection), give it to the
/// [builder](crate::protocol::ConnectionBuilder::extension). A driver of the two halves takes an [`inflater`](Self::inflater) and a
/// [`deflater`](Self::deflater) from it once it is agreed upon.
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

    /// The role in which it was negotiated: what each end does follows from that.
    pub(crate) fn role(&self) -> Option<Role> {
        self.agreed.map(|(role, _)| role)
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
        Some(offer_parameters(&self.options))
    }

    fn accept(&mut self, offer: &ExtensionOffer) -> Option<String> {
        let (agreed, answer) = accept_parameters(&self.options, offer)?;
        self.agreed = Some((Role::Server, agreed));
        Some(answer)
    }

    fn finalize(&mut self, agreed: &ExtensionOffer) -> Result<(), HandshakeError> {
        self.agreed = Some((Role::Client, finalize_parameters(&self.options, agreed)?));
        Ok(())
    }

    fn enabled(&self) -> bool {
        self.agreed.is_some()
    }

    fn inbound(&mut self) -> Box<dyn InboundExtension> {
        self.inflater().expect("it is enabled").into()
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

/// How messages are compressed, and what is asked of the peer for it (RFC 7692, section 7.1).
///
/// As it stands, a client offers `permessage-deflate; client_max_window_bits`, the offer of the browsers, and a server agrees to
/// every offer. The names are those of the RFC and mean the same in both roles: "server" and "client" are the two ends, "ours" is
/// the one that the connection has.
///
/// A window that is kept from one message to the next is what makes small messages small: of a feed of 300 bytes each, little is left.
/// It costs memory for as long as the connection stands, about 50 KiB for receiving and 370 KiB for sending; the latter only
/// once something is sent.
///
/// ```
/// use websocket_sync::protocol::{Extension, DeflateOptions, PerMessageDeflate};
///
/// let options = DeflateOptions::new().server_no_context_takeover().client_max_window_bits(12).level(6);
/// let deflate = PerMessageDeflate::new(options)?;
/// assert_eq!(deflate.offer().as_deref(), Some("server_no_context_takeover; client_max_window_bits=12"));
/// # Ok::<(), websocket_sync::protocol::LocalProtocolError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeflateOptions {
    pub(super) server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientWindow,
    pub(super) level: u8,
    threshold: Option<usize>,
}

/// What a client says of its own window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClientWindow {
    /// Nothing: the server must not limit it.
    Silent,
    /// The server may limit it.
    Open,
    /// It has this many bits; the server may limit it further.
    Limited(u8),
}

impl DeflateOptions {
    /// The smallest message that is worth compressing with a window that has seen others like it.
    const THRESHOLD: usize = 64;
    /// The same without.
    const THRESHOLD_ALONE: usize = 1024;

    /// The defaults.
    pub const fn new() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: None,
            client_max_window_bits: ClientWindow::Open,
            level: 1,
            threshold: None,
        }
    }

    /// The server compresses each message by itself. A client demands it, and the connection is not made if the server does not
    /// agree; a server does it.
    ///
    /// Default: the server may keep its window.
    #[must_use]
    pub const fn server_no_context_takeover(mut self) -> Self {
        self.server_no_context_takeover = true;
        self
    }

    /// The client compresses each message by itself. A client does it, whatever the server says; a server demands it.
    ///
    /// Default: the client may keep its window.
    #[must_use]
    pub const fn client_no_context_takeover(mut self) -> Self {
        self.client_no_context_takeover = true;
        self
    }

    /// The server's window has at most 2 to the power of `bits` bytes, 9 to 15. A client demands it, and the connection is not made
    /// if the server does not agree; a server keeps to it.
    ///
    /// Default: 15, and nothing is said of it.
    #[must_use]
    pub const fn server_max_window_bits(mut self, bits: u8) -> Self {
        self.server_max_window_bits = Some(bits);
        self
    }

    /// The client's window has at most 2 to the power of `bits` bytes, 9 to 15. A client keeps to it; a server demands it of
    /// clients that can do that.
    ///
    /// Default: 15; a client says that it can do with less.
    #[must_use]
    pub const fn client_max_window_bits(mut self, bits: u8) -> Self {
        self.client_max_window_bits = ClientWindow::Limited(bits);
        self
    }

    /// A client does not mention `client_max_window_bits`: for servers that choke on it.
    ///
    /// Default: it does.
    #[must_use]
    pub const fn without_client_max_window_bits(mut self) -> Self {
        self.client_max_window_bits = ClientWindow::Silent;
        self
    }

    /// How hard to try, from 0 for not at all to 9. On small messages with a kept window, 1 comes within a tenth of 6 at a fraction of
    /// the time.
    ///
    /// Default: 1.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = level;
        self
    }

    /// Messages of less than this many bytes are sent as they are. Those that are sent in fragments are always compressed: how
    /// long they will be is not known.
    ///
    /// Default: 64 where the window is kept, 1,024 where each message is compressed by itself.
    #[doc(alias = "minimum_size")]
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = Some(bytes);
        self
    }

    /// Refuses what zlib cannot do. A window of 8 bits can be received, and that without asking.
    pub(crate) fn check(&self) -> Result<(), LocalProtocolError> {
        let sane = |bits: u8| (9..=15).contains(&bits);
        if !self.server_max_window_bits.is_none_or(sane) {
            return Err(LocalProtocolError::DeflateOption("server_max_window_bits"));
        }
        if matches!(self.client_max_window_bits, ClientWindow::Limited(bits) if !sane(bits)) {
            return Err(LocalProtocolError::DeflateOption("client_max_window_bits"));
        }
        if self.level > 9 {
            return Err(LocalProtocolError::DeflateOption("level"));
        }
        Ok(())
    }

    /// What a client says of its own window, if it limits it.
    const fn client_limit(&self) -> u8 {
        match self.client_max_window_bits {
            ClientWindow::Limited(bits) => bits,
            ClientWindow::Silent | ClientWindow::Open => 15,
        }
    }

    /// The smallest message that is compressed.
    pub(super) fn threshold_for(&self, takeover: bool) -> usize {
        self.threshold.unwrap_or(if takeover { Self::THRESHOLD } else { Self::THRESHOLD_ALONE })
    }
}

impl Default for DeflateOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What both sides agreed to.
///
/// ```
/// use websocket_sync::protocol::handshake::ExtensionOffer;
/// use websocket_sync::protocol::{DeflateOptions, Extension, PerMessageDeflate};
///
/// let mut deflate = PerMessageDeflate::new(DeflateOptions::new())?;
/// deflate.finalize(&ExtensionOffer::new("permessage-deflate").param("client_max_window_bits", Some("12")))?;
/// let agreed = deflate.agreed().expect("it is agreed upon");
/// assert_eq!((agreed.client_max_window_bits, agreed.server_max_window_bits), (12, 15));
/// assert!(!agreed.client_no_context_takeover);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct DeflateParams {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The size of the server's window, as a power of two: 8 to 15.
    pub server_max_window_bits: u8,
    /// The size of the client's window, as a power of two: 8 to 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateParams {
    /// Windows of 32 KiB that are kept: what holds where nothing is stated.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

impl DeflateParams {
    /// Whether an end keeps its window from one message to the next.
    pub(super) const fn takeover(&self, role: Role) -> bool {
        match role {
            Role::Client => !self.client_no_context_takeover,
            Role::Server => !self.server_no_context_takeover,
        }
    }

    /// The window of an end.
    pub(super) const fn window_bits(&self, role: Role) -> u8 {
        match role {
            Role::Client => self.client_max_window_bits,
            Role::Server => self.server_max_window_bits,
        }
    }
}

/// The parameters as one side has said them.
#[derive(Debug, Default)]
struct Parameters {
    pub(super) server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<WindowBits>,
}

/// A window, with or without its size.
#[derive(Clone, Copy, Debug)]
enum WindowBits {
    Any,
    Bits(u8),
}

impl Parameters {
    /// Reads the parameters: each known, in place, and there only once.
    fn parse(extension: &ExtensionOffer) -> Result<Self, &'static str> {
        let mut stated = Self::default();
        for (index, (name, value)) in extension.params.iter().enumerate() {
            if extension.params[..index].iter().any(|(other, _)| other == name) {
                return Err("a parameter occurs twice");
            }
            match (name.as_str(), value.as_deref()) {
                (SERVER_TAKEOVER, None) => stated.server_no_context_takeover = true,
                (CLIENT_TAKEOVER, None) => stated.client_no_context_takeover = true,
                (SERVER_WINDOW, Some(bits)) => stated.server_max_window_bits = Some(window_bits(bits)?),
                (CLIENT_WINDOW, Some(bits)) => {
                    stated.client_max_window_bits = Some(WindowBits::Bits(window_bits(bits)?))
                }
                (CLIENT_WINDOW, None) => stated.client_max_window_bits = Some(WindowBits::Any),
                (SERVER_WINDOW, None) => return Err("window bits lack a value"),
                (SERVER_TAKEOVER | CLIENT_TAKEOVER, Some(_)) => return Err("a parameter has a value that takes none"),
                _ => return Err("a parameter is unknown"),
            }
        }
        Ok(stated)
    }
}

/// 8 to 15, without a leading zero (RFC 7692, section 7.1.2).
fn window_bits(value: &str) -> Result<u8, &'static str> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits));
    match bits {
        Some(bits) if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0') => Ok(bits),
        _ => Err("window bits are not a number from 8 to 15"),
    }
}

/// Client: the parameters to offer.
fn offer_parameters(options: &DeflateOptions) -> String {
    let mut offer = List::default();
    offer.flag(SERVER_TAKEOVER, options.server_no_context_takeover);
    offer.flag(CLIENT_TAKEOVER, options.client_no_context_takeover);
    offer.bits(SERVER_WINDOW, options.server_max_window_bits);
    match options.client_max_window_bits {
        ClientWindow::Silent => {}
        ClientWindow::Open => offer.flag(CLIENT_WINDOW, true),
        ClientWindow::Limited(bits) => offer.bits(CLIENT_WINDOW, Some(bits)),
    }
    offer.0
}

/// Client: what the server's answer to our offer makes.
fn finalize_parameters(options: &DeflateOptions, answer: &ExtensionOffer) -> Result<DeflateParams, HandshakeError> {
    judge(options, answer).map_err(|problem| HandshakeError::ExtensionParameters { name: NAME.to_owned(), problem })
}

fn judge(options: &DeflateOptions, answer: &ExtensionOffer) -> Result<DeflateParams, &'static str> {
    let stated = Parameters::parse(answer)?;
    if options.server_no_context_takeover && !stated.server_no_context_takeover {
        return Err("server_no_context_takeover was demanded");
    }
    if let Some(limit) = options.server_max_window_bits
        && stated.server_max_window_bits.is_none_or(|bits| bits > limit)
    {
        return Err("server_max_window_bits was demanded");
    }
    let client_max_window_bits = match (options.client_max_window_bits, stated.client_max_window_bits) {
        (_, None) => options.client_limit(),
        (ClientWindow::Silent, Some(_)) => return Err("client_max_window_bits was not offered"),
        (_, Some(WindowBits::Any)) => return Err("window bits lack a value"),
        (_, Some(WindowBits::Bits(bits))) if bits > options.client_limit() => {
            return Err("client_max_window_bits is larger than offered");
        }
        (_, Some(WindowBits::Bits(bits))) => bits,
    };
    Ok(DeflateParams {
        server_no_context_takeover: stated.server_no_context_takeover,
        client_no_context_takeover: stated.client_no_context_takeover || options.client_no_context_takeover,
        server_max_window_bits: stated.server_max_window_bits.unwrap_or(15),
        client_max_window_bits,
    })
}

/// Server: what we make of a client's offer, and the parameters to answer; `None` to decline it.
fn accept_parameters(options: &DeflateOptions, offer: &ExtensionOffer) -> Option<(DeflateParams, String)> {
    let stated = Parameters::parse(offer).ok()?;
    let server_limit = options.server_max_window_bits.unwrap_or(15);
    let client_limit = options.client_limit();
    // Only a client that has mentioned its window can be told to limit it (section 7.1.2.2). What is received is
    // inflated with the largest window, so nothing is lost where it has not.
    let told = match stated.client_max_window_bits {
        Some(_) if client_limit < 15 => Some(client_limit),
        _ => None,
    };
    let offered = match stated.client_max_window_bits {
        Some(WindowBits::Bits(bits)) => bits,
        Some(WindowBits::Any) | None => 15,
    };
    let params = DeflateParams {
        server_no_context_takeover: stated.server_no_context_takeover || options.server_no_context_takeover,
        client_no_context_takeover: stated.client_no_context_takeover || options.client_no_context_takeover,
        server_max_window_bits: stated.server_max_window_bits.unwrap_or(15).min(server_limit),
        client_max_window_bits: offered.min(told.unwrap_or(15)),
    };
    let mut answer = List::default();
    answer.flag(SERVER_TAKEOVER, params.server_no_context_takeover);
    answer.flag(CLIENT_TAKEOVER, params.client_no_context_takeover);
    if stated.server_max_window_bits.is_some() || server_limit < 15 {
        answer.bits(SERVER_WINDOW, Some(params.server_max_window_bits));
    }
    answer.bits(CLIENT_WINDOW, told.map(|_| params.client_max_window_bits));
    Some((params, answer.0))
}

/// Parameters as they stand in the header.
#[derive(Default)]
struct List(String);

impl List {
    fn push(&mut self, parameter: &str) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(parameter);
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.push(name);
        }
    }

    fn bits(&mut self, name: &str, bits: Option<u8>) {
        if let Some(bits) = bits {
            self.push(&format!("{name}={bits}"));
        }
    }
}

#[cfg(test)]
mod tests;
