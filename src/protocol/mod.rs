//! placeholder
mod buffer;
mod close;
mod connection;
mod connection_builder;
mod continuous_frame;
mod decoding;
mod error;
mod event;
mod extension;
mod frame;
mod frame_buffer;
pub mod handshake;
mod inbound;
mod limits;
mod mask;
mod opcode;
mod open_connection;
mod opening;
mod outbound;
mod role;
mod utf8;

pub use self::close::{CloseCode, CloseFrame, MAX_CLOSE_REASON};
pub use self::connection::{Connection, ConnectionState, Halves, RemoteProtocolError};
pub use self::connection_builder::ConnectionBuilder;
pub use self::continuous_frame::TextPolicy;
pub use self::error::{LocalProtocolError, ProtocolError};
pub use self::event::{
    AcceptConnection, BytesMessage, CloseConnection, Event, Ping, Pong, ProtocolViolation, RejectConnection,
    RejectData, Request, TextMessage,
};
pub use self::extension::{Extension, InboundExtension, OutboundExtension, Room};
pub use self::frame::{Frame, FrameHeader, LENGTH_7, LENGTH_16, LENGTH_63, MAX_CONTROL_PAYLOAD, Rsv};
pub use self::inbound::{Granularity, Inbound, Piece, Step};
pub use self::limits::Limits;
pub use self::mask::{Entropy, MaskKeys, mask};
pub use self::opcode::Opcode;
pub use self::outbound::{Fin, Outbound};
pub use self::role::Role;
pub(crate) use self::utf8::TextCheck;
