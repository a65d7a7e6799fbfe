//! permessage-deflate: messages compressed one by one (RFC 7692).
//!
//! What is asked for stands in [`DeflateOptions`], what was agreed in [`DeflateParams`]; [`PerMessageDeflate`] gets from the
//! one to the other in the opening handshake. [`Inflater`] and [`Deflater`] then do the work for the two halves of a
//! connection, and a [`StatePool`] keeps zlib's states while no message needs them.

#[expect(clippy::module_inception, reason = "DEFLATE has two directions, and one of them is called like it")]
mod deflate;
mod inflate;
mod negotiation;
mod pool;

pub use self::deflate::Deflater;
pub use self::inflate::Inflater;
pub use self::negotiation::{DeflateOptions, DeflateParams, PerMessageDeflate};
pub use self::pool::{DeflateShape, DeflateState, InflateState, StatePool};

/// The registered name (RFC 7692, section 9.1).
pub(super) const NAME: &str = "permessage-deflate";

/// What ends every message and is not sent: the length of an empty stored block (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

#[cfg(test)]
mod tests;
