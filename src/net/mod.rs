//! The network: the only room that touches sockets and speaks TLS. It moves bytes and does not know what they mean.

pub(crate) mod deadline;
pub(crate) mod transport;
