//! The seam for extensions (RFC 6455, section 9): negotiation in the opening handshake, and a hook for each direction.

use std::any::Any;
use std::fmt;

use crate::protocol::handshake::{ExtensionOffer, HandshakeError};
use crate::protocol::{FrameHeader, LocalProtocolError, PerMessageDeflate, ProtocolError, Role, Rsv};

/// An extension: what it says in the opening handshake, and what it does to frames once it is agreed upon.
///
/// A client [offers](Self::offer) and then [finalizes](Self::finalize) what the server answered; a server
/// [accepts](Self::accept) what a client offered. The two directions of a connection work independently, so an extension
/// hands out one object for each.
///
/// One that marks each message and changes nothing else:
///
/// ```
/// use websocket_sync::protocol::handshake::{ExtensionOffer, HandshakeError, accept_extensions, offer_extensions};
/// use websocket_sync::protocol::{
///     Extension, FrameHeader, InboundExtension, OutboundExtension, ProtocolError, Room, Rsv,
/// };
///
/// #[derive(Debug, Default)]
/// struct Marked {
///     enabled: bool,
/// }
///
/// impl Extension for Marked {
///     fn name(&self) -> &str {
///         "x-marked"
///     }
///     fn offer(&self) -> Option<String> {
///         Some(String::new())
///     }
///     fn accept(&mut self, _offer: &ExtensionOffer) -> Option<String> {
///         self.enabled = true;
///         Some(String::new())
///     }
///     fn finalize(&mut self, _agreed: &ExtensionOffer) -> Result<(), HandshakeError> {
///         self.enabled = true;
///         Ok(())
///     }
///     fn enabled(&self) -> bool {
///         self.enabled
///     }
///     fn inbound(&mut self) -> Box<dyn InboundExtension> {
///         Box::new(Mark)
///     }
///     fn outbound(&mut self) -> Box<dyn OutboundExtension> {
///         Box::new(Mark)
///     }
/// }
///
/// #[derive(Debug)]
/// struct Mark;
///
/// impl OutboundExtension for Mark {
///     fn frame(&mut self, header: &mut FrameHeader, payload: &[u8], encoded: &mut Vec<u8>) {
///         header.rsv = header.rsv | Rsv::RSV2;
///         encoded.extend_from_slice(payload);
///     }
/// }
///
/// impl InboundExtension for Mark {
///     fn reserved_bits(&self) -> Rsv {
///         Rsv::RSV2
///     }
///     fn header(&mut self, _header: &FrameHeader) -> Result<Rsv, ProtocolError> {
///         Ok(Rsv::RSV2)
///     }
///     fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError> {
///         if piece.len() > room.left {
///             return Err(room.error());
///         }
///         decoded.extend_from_slice(piece);
///         Ok(())
///     }
///     fn complete(&mut self, _: &FrameHeader, _: &mut Vec<u8>, _: Room) -> Result<(), ProtocolError> {
///         Ok(())
///     }
/// }
///
/// let mut extensions: [Box<dyn Extension>; 1] = [Box::new(Marked::default())];
/// assert_eq!(offer_extensions(&extensions).as_deref(), Some("x-marked"));
/// let offers = ExtensionOffer::parse_list("permessage-deflate, x-marked")?;
/// let agreed = accept_extensions(&offers, &mut extensions)?;
/// assert_eq!(agreed[0].name, "x-marked");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Extension: Any + fmt::Debug + Send {
    /// The registered name, such as `permessage-deflate`.
    fn name(&self) -> &str;

    /// Client: the parameters to offer, as they stand behind the name (empty for none), or `None` to offer nothing.
    fn offer(&self) -> Option<String>;

    /// Server: the parameters to answer to this offer (empty for none), or `None` to decline it.
    fn accept(&mut self, offer: &ExtensionOffer) -> Option<String>;

    /// Client: takes note of what the server agreed to.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] when the answer does not fit the offer; the connection is not made.
    fn finalize(&mut self, agreed: &ExtensionOffer) -> Result<(), HandshakeError>;

    /// Whether both sides agreed to use it.
    fn enabled(&self) -> bool;

    /// What it does to received frames; asked for once, when it is enabled.
    fn inbound(&mut self) -> Box<dyn InboundExtension>;

    /// What it does to frames to be sent; asked for once, when it is enabled.
    fn outbound(&mut self) -> Box<dyn OutboundExtension>;
}

/// What an extension does to received frames.
pub trait InboundExtension: fmt::Debug + Send {
    /// The bits that it may ever claim.
    fn reserved_bits(&self) -> Rsv;

    /// A frame begins; returns the bits of it that this extension claims. Control frames are shown too.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] when the frame is not as the extension defines it.
    #[doc(alias = "frame_inbound_header")]
    fn header(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError>;

    /// A piece of a data frame's payload; what it decodes to is appended to `decoded`, at most `room` bytes.
    ///
    /// # Errors
    ///
    /// A [`ProtocolError`] when the piece cannot be decoded or decodes to more than `room` bytes.
    #[doc(alias = "frame_inbound_payload_data")]
    fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError>;

    /// A data frame ends; what that brings to light is appended to `decoded`, at most `room` bytes.
    ///
    /// # Errors
    ///
    /// As for [`payload`](Self::payload).
    #[doc(alias = "frame_inbound_complete")]
    fn complete(&mut self, header: &FrameHeader, decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError>;
}

/// How many more bytes a message may grow by, and the limit that says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Room {
    /// How many bytes may still be appended.
    pub left: usize,
    /// The limit in force, in bytes.
    pub limit: usize,
}

impl Room {
    pub(crate) const fn new(left: usize, limit: usize) -> Self {
        Self { left, limit }
    }

    /// The error for a message that does not fit.
    pub const fn error(self) -> ProtocolError {
        ProtocolError::MessageTooBig { limit: self.limit }
    }
}

/// What an extension does to frames to be sent.
pub trait OutboundExtension: fmt::Debug + Send {
    /// Changes a data frame: the reserved bits are set in `header`, and what the payload becomes is appended to `encoded`.
    /// `header.len` is set by the caller.
    #[doc(alias = "frame_outbound")]
    fn frame(&mut self, header: &mut FrameHeader, payload: &[u8], encoded: &mut Vec<u8>);
}

/// The names of the extensions that this crate brings along. A user's own can be put into a connection.
pub const SUPPORTED_EXTENSIONS: &[&str] = &["permessage-deflate"];

/// Client: what these extensions offer, as it goes into
/// [`ClientRequest::extensions`](crate::protocol::handshake::ClientRequest::extensions); `None` where none of them offers anything.
pub fn offer_extensions(extensions: &[Box<dyn Extension>]) -> Option<String> {
    let offers: Vec<String> = extensions
        .iter()
        .filter_map(|extension| extension.offer().map(|parameters| header_value(extension.name(), &parameters)))
        .collect();
    if offers.is_empty() { None } else { Some(offers.join(", ")) }
}

/// Client: tells these extensions what the server agreed to. What is agreed to and none of them is left alone.
///
/// # Errors
///
/// The [`HandshakeError`] of the first extension that cannot work as the server wants it.
#[doc(alias = "client_extensions_handshake")]
pub fn finalize_extensions(
    agreed: &[ExtensionOffer],
    extensions: &mut [Box<dyn Extension>],
) -> Result<(), HandshakeError> {
    for answer in agreed {
        if let Some(extension) = waiting(extensions, &answer.name) {
            extension.finalize(answer)?;
        }
    }
    Ok(())
}

/// Server: what these extensions agree to, in the order of the client's offers. Each takes the first offer that it can
/// work with, and no other.
///
/// # Errors
///
/// [`LocalProtocolError::IllegalCharacter`] where an extension answers with parameters that cannot be sent. It, and those that have agreed
/// by then, are not to be used.
#[doc(alias = "server_extensions_handshake")]
pub fn accept_extensions(
    offers: &[ExtensionOffer],
    extensions: &mut [Box<dyn Extension>],
) -> Result<Vec<ExtensionOffer>, LocalProtocolError> {
    let mut agreed: Vec<ExtensionOffer> = Vec::new();
    for offer in offers {
        // Never twice, whatever is offered and by how many extensions it could be served (RFC 6455, section 9.1).
        if agreed.iter().any(|answer| answer.name == offer.name) {
            continue;
        }
        let Some(extension) = waiting(extensions, &offer.name) else { continue };
        let Some(parameters) = extension.accept(offer) else { continue };
        match ExtensionOffer::parse_list(header_value(&offer.name, &parameters)).as_deref() {
            Ok([answer]) => agreed.push(answer.clone()),
            _ => return Err(LocalProtocolError::IllegalCharacter("extensions")),
        }
    }
    Ok(agreed)
}

/// Whether an extension is to work on a connection in this role: it is enabled, and not for the other one.
pub(super) fn works_for(extension: &dyn Extension, role: Role) -> bool {
    extension.enabled() && as_deflate(extension).is_none_or(|deflate| deflate.role() == Some(role))
}

/// The only extension that works, if that is permessage-deflate: the halves of a connection know it, which is faster and takes
/// less memory.
pub(super) fn only_deflate(extensions: &[Box<dyn Extension>]) -> Option<&PerMessageDeflate> {
    match extensions {
        [only] => as_deflate(&**only),
        _ => None,
    }
}

fn as_deflate(extension: &dyn Extension) -> Option<&PerMessageDeflate> {
    let extension: &dyn Any = extension;
    extension.downcast_ref()
}

/// What extensions do to received frames, and what they do to frames to be sent.
pub(super) type Hooks = (Vec<Box<dyn InboundExtension>>, Vec<Box<dyn OutboundExtension>>);

/// The hooks of extensions that work, which come in the order in which they were agreed to. Frames to be
/// sent pass them in that order, received ones in the opposite one (RFC 6455, section 9.1).
pub(super) fn hooks(mut extensions: Vec<Box<dyn Extension>>) -> Hooks {
    let inbound = extensions.iter_mut().rev().map(|extension| extension.inbound()).collect();
    let outbound = extensions.iter_mut().map(|extension| extension.outbound()).collect();
    (inbound, outbound)
}

/// Brings extensions into the order in which they were agreed to; the others come last.
pub(super) fn sort_extensions(extensions: &mut [Box<dyn Extension>], agreed: &[ExtensionOffer]) {
    let place = |name: &str| agreed.iter().position(|answer| answer.name == name).unwrap_or(usize::MAX);
    extensions.sort_by_key(|extension| place(extension.name()));
}

/// The first extension of this name that was not agreed to yet.
fn waiting<'a>(extensions: &'a mut [Box<dyn Extension>], name: &str) -> Option<&'a mut Box<dyn Extension>> {
    extensions.iter_mut().find(|extension| extension.name() == name && !extension.enabled())
}

/// A name with its parameters as they stand in the header.
fn header_value(name: &str, parameters: &str) -> String {
    if parameters.is_empty() { name.to_owned() } else { format!("{name}; {parameters}") }
}
