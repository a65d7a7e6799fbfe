//! Which extensions both sides will use: what is offered, what is accepted, what that makes of each (RFC 6455, section
//! 9.1).

use super::error::HandshakeError;
use super::extension_header::ExtensionOffer;
use crate::protocol::{Extension, InboundExtension, LocalProtocolError, OutboundExtension};

/// The names of the extensions that this crate brings along. A user's own can be put into a connection.
pub const SUPPORTED_EXTENSIONS: &[&str] = &["permessage-deflate"];

/// Client: what these extensions offer, as it goes into
/// [`ClientRequest::extensions`](super::ClientRequest::extensions); `None` where none of them offers anything.
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
/// [`LocalProtocolError::IllegalCharacter`] where an extension answers with parameters that cannot be sent.
#[doc(alias = "server_extensions_handshake")]
pub fn accept_extensions(
    offers: &[ExtensionOffer],
    extensions: &mut [Box<dyn Extension>],
) -> Result<Vec<ExtensionOffer>, LocalProtocolError> {
    let mut agreed = Vec::new();
    for offer in offers {
        let Some(extension) = waiting(extensions, &offer.name) else { continue };
        let Some(parameters) = extension.accept(offer) else { continue };
        match ExtensionOffer::parse_list(header_value(&offer.name, &parameters)).as_deref() {
            Ok([answer]) => agreed.push(answer.clone()),
            _ => return Err(LocalProtocolError::IllegalCharacter("extensions")),
        }
    }
    Ok(agreed)
}

/// What the enabled extensions do to received frames, and what they do to frames to be sent.
pub(in crate::protocol) type Hooks = (Vec<Box<dyn InboundExtension>>, Vec<Box<dyn OutboundExtension>>);

/// The hooks of the extensions that are enabled, which come in the order in which they were agreed to. Frames to be
/// sent pass them in that order, received ones in the opposite one (RFC 6455, section 9.1).
pub(in crate::protocol) fn hooks(extensions: Vec<Box<dyn Extension>>) -> Hooks {
    let mut enabled: Vec<_> = extensions.into_iter().filter(|extension| extension.enabled()).collect();
    let inbound = enabled.iter_mut().rev().map(|extension| extension.inbound()).collect();
    let outbound = enabled.iter_mut().map(|extension| extension.outbound()).collect();
    (inbound, outbound)
}

/// Brings extensions into the order in which they were agreed to; the others come last.
pub(in crate::protocol) fn sort(extensions: &mut [Box<dyn Extension>], agreed: &[ExtensionOffer]) {
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
