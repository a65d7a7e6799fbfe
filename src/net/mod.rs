//! The network: the only room that touches sockets and speaks TLS. It moves bytes and does not know what they mean.

pub(crate) mod deadline;
pub(crate) mod dial;
pub(crate) mod exchange;
mod half_duplex;
mod order;
mod poll;
mod proxy;
mod race;
mod resolve;
mod socket;
pub(crate) mod stream;
mod tcp;
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
mod unix;
mod wake;

pub(crate) use self::deadline::{Deadline, SendDeadline, is_timeout};
pub(crate) use self::dial::{accept, dial, upgrade_stream};
pub use self::half_duplex::HalfDuplex;
pub(crate) use self::stream::Stream;
pub use self::transport::{Interest, Transport};
#[cfg(test)]
pub(crate) mod tests;
