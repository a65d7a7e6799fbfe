//! The opening handshake without I/O, for both roles (RFC 6455, section 4).
//!
//! [`ClientHandshake`] makes the request of a [`ClientRequest`] and reads the answer: a [`Response`], or a [`Refusal`]
//! with its body. [`ServerHandshake`] reads an [`UpgradeRequest`] and answers it with an [`Acceptance`] or a
//! [`Rejection`]. Both take bytes in pieces of any size, within [`HeadLimits`], and name the rule that was broken in a
//! [`HandshakeError`].
//!
//! What is wrong in the peer's half is refused, not repaired; what is wrong in ours is refused before a byte is made.

mod acceptance;
mod answer;
mod asked;
mod body;
mod client;
mod error;
mod extension_header;
mod grammar;
mod head;
mod headers;
mod key;
mod negotiation;
mod rejection;
mod request;
mod response;
mod server;
mod subprotocol_header;
mod tunnel;
mod upgrade_request;

pub use self::acceptance::Acceptance;
pub use self::body::BodyEnd;
pub use self::client::{ClientHandshake, Progress};
pub use self::error::HandshakeError;
pub use self::extension_header::ExtensionOffer;
pub use self::head::HeadLimits;
pub use self::headers::Headers;
pub use self::key::{KEY_LEN, accept_for, key_from};
pub use self::negotiation::{SUPPORTED_EXTENSIONS, accept_extensions, finalize_extensions, offer_extensions};
pub use self::rejection::Rejection;
pub use self::request::ClientRequest;
pub use self::response::{Refusal, Response};
pub use self::server::ServerHandshake;
pub use self::upgrade_request::UpgradeRequest;

// For the way through an HTTP proxy, which is no business of those who use the core alone.
pub(crate) use self::tunnel::{Tunnel, TunnelProgress, TunnelRefusal, tunnel_request};

// For the connection, which tells the handshake as events.
pub(super) use self::answer::{Answer, AnswerReader};
pub(super) use self::body::Body;
pub(super) use self::negotiation::{hooks, sort as sort_extensions};
