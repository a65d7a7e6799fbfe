//! The driver's part in compression: negotiates it if the options ask for it, and makes the halves that it takes part in.

use crate::error::Result;
use crate::options::ConnectOptions;
use crate::protocol::handshake::ExtensionOffer;
use crate::protocol::{DeflateParams, Extension, PerMessageDeflate};
use crate::protocol::{Inbound, Limits, MaskKeys, Outbound, Role, TextPolicy};

/// What the options ask for, then what was agreed.
#[derive(Debug)]
pub(super) struct Compressing {
    deflate: Option<PerMessageDeflate>,
}

impl Compressing {
    pub(super) fn new(options: &ConnectOptions) -> Result<Self> {
        let deflate = match options.settings().deflate {
            Some(asked) => Some(PerMessageDeflate::new(asked)?.pool(super::state_pool::of_the_process)),
            None => None,
        };
        Ok(Self { deflate })
    }

    /// Client: what goes into `Sec-WebSocket-Extensions`.
    pub(super) fn offer(&self) -> Option<String> {
        let deflate = self.deflate.as_ref()?;
        let parameters = deflate.offer()?;
        Some(if parameters.is_empty() {
            deflate.name().to_owned()
        } else {
            format!("{}; {parameters}", deflate.name())
        })
    }

    /// Client: takes the server's answer.
    pub(super) fn finalize(&mut self, agreed: &[ExtensionOffer]) -> Result<()> {
        let Some(deflate) = &mut self.deflate else { return Ok(()) };
        match agreed.iter().find(|answer| answer.name == deflate.name()) {
            Some(answer) => Ok(deflate.finalize(answer)?),
            None => Ok(()),
        }
    }

    /// Server: the answer to the first of the client's offers that fits.
    pub(super) fn accept(&mut self, offers: &[ExtensionOffer]) -> Vec<ExtensionOffer> {
        let Some(deflate) = &mut self.deflate else { return Vec::new() };
        let offers = offers.iter().filter(|offer| offer.name == "permessage-deflate");
        let Some(parameters) = offers.into_iter().find_map(|offer| deflate.accept(offer)) else { return Vec::new() };
        let answer = format!("{}; {parameters}", deflate.name());
        ExtensionOffer::parse_list(answer.trim_end_matches("; ")).unwrap_or_default()
    }

    pub(super) fn agreed(&self) -> Option<DeflateParams> {
        self.deflate.as_ref()?.agreed()
    }

    pub(super) fn halves(&self, role: Role, limits: Limits, policy: TextPolicy, keys: MaskKeys) -> (Inbound, Outbound) {
        let deflate = self.deflate.as_ref();
        let inflater = deflate.and_then(PerMessageDeflate::inflater);
        let deflater = deflate.and_then(PerMessageDeflate::deflater);
        (Inbound::inflating(role, limits, policy, inflater), Outbound::deflating(role, keys, deflater))
    }
}
