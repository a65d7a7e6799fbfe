//! The opening handshake without I/O, for both roles (RFC 6455, section 4).
//!
//! [`ClientHandshake`] makes the request of a [`ClientRequest`] and reads its outcome: a [`Response`], or a [`Refusal`]
//! with its body. [`ServerHandshake`] reads an [`UpgradeRequest`] and answers it with an [`Acceptance`] or a
//! [`Rejection`]. Both take bytes in chunks of any size, within [`HeadLimits`], and name the rule that was broken in a
//! [`HandshakeError`].
//!
//! What is wrong in the peer's half is refused, not repaired; what is wrong in ours is refused before a byte is made.

mod client;
mod error;
mod fields;
mod headers;
mod http;
mod request;
mod server;
mod subprotocols;
mod tunnel;

pub use self::client::{ClientHandshake, HandshakeOutcome, Refusal, Response};
pub use self::error::HandshakeError;
pub use self::fields::{ExtensionOffer, KEY_LEN, accept_for, key_from};
pub use self::headers::Headers;
pub use self::http::{BodyEnd, HeadLimits};
pub use self::request::ClientRequest;
pub use self::server::{Acceptance, Rejection, ServerHandshake, UpgradeRequest};
// What the handshake says of extensions is said by the extensions themselves.
pub use super::events::{SUPPORTED_EXTENSIONS, accept_extensions, finalize_extensions, offer_extensions};

// For the options and the trace, which know what else the user has named as public.
pub(crate) use self::subprotocols::shown as shown_subprotocol;

// For the way through an HTTP proxy, which is no business of those who use the core alone.
pub(crate) use self::tunnel::{Tunnel, TunnelOutcome, TunnelRefusal, tunnel_request};

// For the events, which tell a response part by part.
pub(super) use self::fields::HandshakeOffer;
pub(super) use self::headers::ShownTarget;
pub(super) use self::http::{ResponsePart, ResponseReader};
pub(super) use self::subprotocols::{ShownSubprotocol, ShownSubprotocols};
