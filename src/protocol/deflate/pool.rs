//! zlib's states, and where they are while no message needs them.

use std::fmt;

use zlib_rs::{Deflate, Inflate};

/// Keeps zlib's states while no message needs them: a connection that takes over no context gives its states back after each
/// message.
///
/// A connection has a pool of its own unless [`PerMessageDeflate::pool`](super::PerMessageDeflate::pool) says otherwise. A pool
/// that many connections share makes idle ones cost nothing.
///
/// ```
/// use std::sync::Mutex;
///
/// use websocket_sync::protocol::{DeflateShape, DeflateState, InflateState, StatePool};
///
/// static INFLATE: Mutex<Vec<InflateState>> = Mutex::new(Vec::new());
///
/// /// Shares what receives and creates what sends anew each time.
/// #[derive(Debug)]
/// struct OfTheProcess;
///
/// impl StatePool for OfTheProcess {
///     fn take_inflate(&mut self) -> Option<InflateState> {
///         INFLATE.lock().ok()?.pop()
///     }
///     fn give_inflate(&mut self, state: InflateState) {
///         if let Ok(mut states) = INFLATE.lock() && states.len() < 8 {
///             states.push(state);
///         }
///     }
///     fn take_deflate(&mut self, _: DeflateShape) -> Option<DeflateState> {
///         None
///     }
///     fn give_deflate(&mut self, _: DeflateState) {}
/// }
/// ```
pub trait StatePool: fmt::Debug + Send {
    /// A state to receive with; `None` where there is none, and one is made.
    fn take_inflate(&mut self) -> Option<InflateState>;

    /// Takes a state that received a message.
    fn give_inflate(&mut self, state: InflateState);

    /// A state of this shape to send with; `None` where there is none, and one is made.
    fn take_deflate(&mut self, shape: DeflateShape) -> Option<DeflateState>;

    /// Takes a state that sent a message.
    fn give_deflate(&mut self, state: DeflateState);
}

/// The pool of a connection that shares with none.
#[derive(Debug, Default)]
pub(super) struct OwnPool {
    inflate: Option<InflateState>,
    deflate: Option<DeflateState>,
}

impl StatePool for OwnPool {
    fn take_inflate(&mut self) -> Option<InflateState> {
        self.inflate.take()
    }

    fn give_inflate(&mut self, state: InflateState) {
        self.inflate = Some(state);
    }

    fn take_deflate(&mut self, shape: DeflateShape) -> Option<DeflateState> {
        self.deflate.take_if(|state| state.shape == shape)
    }

    fn give_deflate(&mut self, state: DeflateState) {
        self.deflate = Some(state);
    }
}

/// Where the states of a connection are while no message needs them.
#[derive(Debug)]
pub(super) enum IdleStates {
    Own(Box<OwnPool>),
    Shared(Box<dyn StatePool>),
}

impl IdleStates {
    pub(super) fn pool(&mut self) -> &mut dyn StatePool {
        match self {
            Self::Own(own) => &mut **own,
            Self::Shared(shared) => &mut **shared,
        }
    }

    /// How many bytes they hold that are kept for this connection alone.
    pub(super) const fn memory(&self) -> usize {
        let Self::Own(own) = self else { return 0 };
        let inflate = if own.inflate.is_some() { InflateState::MEMORY } else { 0 };
        match &own.deflate {
            Some(state) => inflate + state.shape.memory(),
            None => inflate,
        }
    }

    /// Gives that memory back.
    pub(super) fn release(&mut self) {
        if let Self::Own(own) = self {
            **own = OwnPool::default();
        }
    }
}

impl Default for IdleStates {
    fn default() -> Self {
        Self::Own(Box::default())
    }
}

/// zlib's state for receiving: a window of 32 KiB and tables, about 50 KiB.
pub struct InflateState(pub(super) Inflate);

impl InflateState {
    /// What one holds, in bytes.
    pub(super) const MEMORY: usize = 47 * 1024;

    /// Always of the largest window: it can receive what any smaller one has sent.
    pub(super) fn new() -> Self {
        Self(Inflate::new(false, 15))
    }
}

/// zlib's state for sending: 250 to 370 KiB, depending on the window.
pub struct DeflateState {
    pub(super) zlib: Deflate,
    shape: DeflateShape,
}

/// What two states for sending must have in common to be exchanged.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct DeflateShape {
    level: u8,
    /// 9 to 15: zlib cannot compress with a window of 8 bits.
    window_bits: u8,
}

impl DeflateState {
    pub(super) fn new(shape: DeflateShape) -> Self {
        Self { zlib: Deflate::new(shape.level.into(), false, shape.window_bits), shape }
    }

    /// What the state was made for.
    pub const fn shape(&self) -> DeflateShape {
        self.shape
    }
}

impl DeflateShape {
    /// `None` for a window that zlib cannot compress with.
    pub(super) fn new(level: u8, window_bits: u8) -> Option<Self> {
        (9..=15).contains(&window_bits).then_some(Self { level: level.min(9), window_bits })
    }

    /// What a state of this shape holds, in bytes.
    pub(super) const fn memory(self) -> usize {
        (4 << self.window_bits) + 243 * 1024
    }
}

/// Shows nothing of the window: it holds what was received.
impl fmt::Debug for InflateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InflateState").finish_non_exhaustive()
    }
}

/// Shows nothing of the window: it holds what was sent.
impl fmt::Debug for DeflateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeflateState").field("shape", &self.shape).finish_non_exhaustive()
    }
}
