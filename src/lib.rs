//! placeholder of the crate documentation

mod error;
mod message;
mod net;
mod options;
pub mod protocol;
mod sender;
mod url;
mod websocket;
mod window;

// The public interface is:
pub use crate::error::{
    AddressError, CloseCause, CloseInfo, Error, HandshakeError, OptionsError, Phase, Refusal, Result, TlsError,
};
pub use crate::message::{Message, MessageKind, MessageRef};
pub use crate::net::{HalfDuplex, Transport};
pub use crate::options::{
    ConnectOptions, SocketOptions, SystemRoots, TlsOptions, default_timeout, set_default_timeout,
};
pub use crate::protocol::handshake::{Headers, Response};
pub use crate::protocol::{CloseCode, Frame, Opcode};
pub use crate::sender::Sender;
pub use crate::url::UrlError;
pub use crate::websocket::{
    Batch, ControlFrames, MessageReader, MessageWriter, Messages, WebSocket, create_connection,
};
