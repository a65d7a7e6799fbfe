//! The network: the only room that touches sockets and speaks TLS. It moves bytes and does not know what they mean.

mod connect;
pub(crate) mod deadline;
pub(crate) mod dial;
pub(crate) mod exchange;
mod half_duplex;
pub(crate) mod layer;
mod poll;
mod proxy;
mod resolve;
mod send_timer;
#[cfg(any(not(target_os = "linux"), portable_io))]
mod shutdown;
mod socket;
mod source;
pub(crate) mod stream;
mod system_calls;
#[cfg(all(target_os = "linux", not(portable_io)))]
mod timed_read;
#[cfg_attr(
    not(any(feature = "native-tls", feature = "rustls")),
    allow(
        dead_code,
        unreachable_code,
        unused_imports,
        unused_variables,
        reason = "nothing is left of TLS but its errors"
    )
)]
pub(crate) mod tls;
pub(crate) mod transport;
mod wait_mode;

pub(crate) use self::connect::Dialer;
pub(crate) use self::deadline::{Deadline, is_timeout};
pub use self::half_duplex::HalfDuplex;
pub(crate) use self::layer::Layer;
#[cfg(fuzzing)]
pub(crate) use self::proxy::fuzzing as fuzzed_socks;
pub(crate) use self::send_timer::SendDeadline;
pub use self::source::Source;
pub(crate) use self::stream::Stream;
#[cfg(fuzzing)]
pub use self::tls::fuzzing::TlsConnection;
pub use self::transport::{Interest, Transport};
pub(crate) use self::wait_mode::{Awaited, AwaitedEvent, HelperLock, WaitLimit, WaitMode, block_on};
#[cfg(test)]
pub(crate) mod tests;
