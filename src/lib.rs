//! placeholder of the crate documentation

#![doc(html_no_source)]

mod error;
mod message;
pub mod protocol;
mod url;
mod window;

// The public interface is:
pub use crate::error::{
    AddressError, CloseCause, CloseInfo, Error, HandshakeError, OptionsError, Phase, Refusal, Result, TlsError,
};
pub use crate::message::{Message, MessageKind, MessageRef};
pub use crate::protocol::{CloseCode, Opcode};
pub use crate::url::UrlError;
