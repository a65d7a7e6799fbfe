//! placeholder
mod buffer;
mod close;
mod continuous_frame;
mod decoding;
mod error;
mod extension;
mod frame;
mod frame_buffer;
pub mod handshake;
mod inbound;
mod limits;
mod mask;
mod opcode;
mod outbound;
mod utf8;

pub use self::close::{CloseCode, CloseFrame, MAX_CLOSE_REASON};
pub use self::continuous_frame::TextPolicy;
pub use self::error::{LocalProtocolError, ProtocolError};
pub use self::extension::{Extension, InboundExtension, OutboundExtension, Room};
pub use self::frame::{Frame, FrameHeader, LENGTH_7, LENGTH_16, LENGTH_63, MAX_CONTROL_PAYLOAD, Rsv};
pub use self::frame_buffer::Role;
pub use self::inbound::{Granularity, Inbound, Piece, Step};
pub use self::limits::Limits;
pub use self::mask::{Entropy, MaskKeys, mask};
pub use self::opcode::Opcode;
pub use self::outbound::{Fin, Outbound};
