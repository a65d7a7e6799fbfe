//! What goes over the wires, told as it goes: heads of the handshakes and frames.
//!
//! `switch` knows whether anybody listens and who, `record` is what is told, `head` leaves the secrets out of it; `tap` finds heads and
//! frames in the bytes that pass.

mod head;
mod record;
mod switch;
mod tap;

pub use self::record::{TraceDirection, TraceEvent, TraceFrame, TraceRecord};
pub(crate) use self::switch::{Epoch, Tracer};
pub use self::switch::{TraceSink, TraceToStderr, disable_trace, enable_trace, is_trace_enabled};
pub(crate) use self::tap::{FrameTap, HeadTap};
