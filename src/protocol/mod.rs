//! placeholder
mod close;
mod error;
pub mod handshake;
mod opcode;

pub use self::close::{CloseCode, CloseFrame, MAX_CLOSE_REASON};
pub use self::error::{LocalProtocolError, ProtocolError};
pub use self::opcode::Opcode;
