//! permessage-deflate: messages compressed one by one (RFC 7692).
//!
//! What is asked for stands in [`DeflateOptions`], what was agreed in [`DeflateParams`]; [`PerMessageDeflate`] gets from the
//! one to the other in the opening handshake. [`Inflater`] and [`Deflater`] then do the work for the two halves of a
//! connection, and a [`StatePool`] keeps zlib's states while no message needs them.

mod deflater;
mod extension;
mod inflater;
mod options;
mod params;
mod pool;

pub use self::deflater::Deflater;
pub use self::extension::PerMessageDeflate;
pub use self::inflater::Inflater;
pub use self::options::DeflateOptions;
pub use self::params::DeflateParams;
pub use self::pool::{DeflateShape, DeflateState, InflateState, StatePool};

/// The registered name (RFC 7692, section 9.1).
pub(super) const NAME: &str = "permessage-deflate";

/// What ends every message and is not sent: the length of an empty stored block (RFC 7692, section 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

#[cfg(test)]
mod tests;
