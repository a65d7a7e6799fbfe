//! permessage-deflate on a connection: negotiated if the options ask for it, with zlib's states shared by the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, OptionsError, Result};
use crate::options::ConnectOptions;
use crate::protocol::handshake::ExtensionOffer;
use crate::protocol::{
    DeflateParams, DeflateShape, DeflateState, Extension, Inbound, InflateState, Limits, MaskKeys, Outbound,
    PerMessageDeflate, Role, StatePool, TextPolicy,
};

/// What the options ask for, then what was agreed.
#[derive(Debug)]
pub(super) struct CompressionOffer {
    deflate: Option<PerMessageDeflate>,
}

impl CompressionOffer {
    pub(super) fn new(options: &ConnectOptions) -> Result<Self> {
        let deflate = match options.settings().deflate {
            Some(asked) => Some(PerMessageDeflate::new(asked)?.pool(shared_pool)),
            None => None,
        };
        Ok(Self { deflate })
    }

    /// What was negotiated elsewhere, for a connection in this role.
    pub(super) fn negotiated(deflate: Option<PerMessageDeflate>, role: Role) -> Result<Self> {
        if deflate.as_ref().and_then(PerMessageDeflate::role).is_some_and(|negotiated| negotiated != role) {
            return Err(Error::Options(Box::new(OptionsError::new("deflate", "negotiated for the other role"))));
        }
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

/// How many states of each kind are kept: as many threads can be busy at a time without one being made anew.
const KEPT: usize = 16;

static INFLATE: Mutex<Vec<InflateState>> = Mutex::new(Vec::new());
static DEFLATE: Mutex<Vec<DeflateState>> = Mutex::new(Vec::new());

/// zlib's states for connections that take over no context: they have one only while they send or receive a message.
fn shared_pool() -> Box<dyn StatePool> {
    Box::new(ProcessPool)
}

/// Held for a push or a pop, never across anything else.
#[derive(Debug)]
struct ProcessPool;

impl StatePool for ProcessPool {
    fn take_inflate(&mut self) -> Option<InflateState> {
        lock(&INFLATE).pop()
    }

    fn give_inflate(&mut self, state: InflateState) {
        give(&INFLATE, state);
    }

    fn take_deflate(&mut self, shape: DeflateShape) -> Option<DeflateState> {
        let mut states = lock(&DEFLATE);
        let index = states.iter().rposition(|state| state.shape() == shape)?;
        Some(states.swap_remove(index))
    }

    fn give_deflate(&mut self, state: DeflateState) {
        give(&DEFLATE, state);
    }
}

fn lock<T>(states: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    states.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The oldest goes when there are too many, so that one shape does not keep another out.
fn give<T>(states: &Mutex<Vec<T>>, state: T) {
    let mut states = lock(states);
    let oldest = if states.len() >= KEPT { Some(states.remove(0)) } else { None };
    states.push(state);
    drop(states);
    // Freed outside the lock.
    drop(oldest);
}
