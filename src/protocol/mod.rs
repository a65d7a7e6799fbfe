//! The protocol without I/O: bytes in, events and bytes out, for both roles.
//!
//! ```text
//!   received bytes ─► Inbound ─► messages, frames or pieces        Frame  FrameHeader  mask  CloseFrame
//!                     (window, frames, inflate, UTF-8)             Opcode  CloseCode  Rsv  ProtocolError
//!
//!   messages, control frames ─► Outbound ─► bytes to send          handshake: before all this
//!                     (UTF-8, deflate, masking keys)
//! ```
//!
//! [`Inbound`] and [`Outbound`] are the two halves of a connection after its opening [`handshake`]; each works alone, on a
//! thread of its own. Nothing here has a socket, a thread, a lock, a clock or a source of randomness: bytes and entropy are
//! handed in. Nothing is answered by itself: a ping asks for [`Outbound::pong`], a Close for [`Outbound::close`].
//!
//! What the peer does wrong is a [`ProtocolError`], what the caller does wrong a [`LocalProtocolError`]. Everything that a peer
//! can make grow is bounded by [`Limits`].

mod close;
mod deflate;
mod error;
mod escape;
mod events;
mod frame;
mod frame_reader;
pub mod handshake;
mod inbound;
mod mask;
mod outbound;
mod utf8;

pub use self::close::{CloseCode, CloseFrame, MAX_CLOSE_REASON};
pub use self::deflate::{
    DeflateOptions, DeflateParams, DeflateShape, DeflateState, Deflater, InflateState, Inflater, PerMessageDeflate,
    StatePool,
};
pub use self::error::{LocalProtocolError, ProtocolError};
pub(crate) use self::escape::{Escaped, Quoted};
pub use self::events::{
    AcceptConnection, BytesMessage, CloseConnection, Connection, ConnectionBuilder, ConnectionState, Event, Extension,
    Halves, InboundExtension, OutboundExtension, Ping, Pong, ProtocolViolation, RejectConnection, RejectData,
    RemoteProtocolError, Request, Room, TextMessage,
};
pub use self::frame::{Frame, FrameHeader, LENGTH_7, LENGTH_16, LENGTH_63, MAX_CONTROL_PAYLOAD, Opcode, Role, Rsv};
pub use self::frame_reader::{FrameReader, FrameReaderError};
pub use self::inbound::{Granularity, Inbound, Limits, Piece, Step, TextPolicy};
pub use self::mask::{Entropy, MaskKeys, mask};
pub(crate) use self::outbound::{Checkpoint, Compression};
pub use self::outbound::{Fin, Outbound};
pub(crate) use self::utf8::Utf8Validator;
