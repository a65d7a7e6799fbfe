//! placeholder of the crate documentation

#![doc(html_no_source)]

mod error;
mod message;
mod net;
mod options;
pub mod protocol;
mod url;
mod window;

// The public interface is:
pub use crate::error::{
    AddressError, CloseCause, CloseInfo, Error, HandshakeError, OptionsError, Phase, Refusal, Result, TlsError,
};
pub use crate::message::{Message, MessageKind, MessageRef};
pub use crate::net::transport::{HalfDuplex, Transport};
pub use crate::options::{ConnectOptions, SocketOptions, SystemRoots, TlsOptions};
pub use crate::protocol::{CloseCode, Opcode};
pub use crate::url::UrlError;
