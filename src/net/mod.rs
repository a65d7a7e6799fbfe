//! The network: the only room that touches sockets and speaks TLS. It moves bytes and does not know what they mean.

pub(crate) mod deadline;
pub(crate) mod dial;
mod resolve;
pub(crate) mod stream;
mod tcp;
pub(crate) mod tls;
pub(crate) mod transport;

#[cfg(test)]
mod tests;
