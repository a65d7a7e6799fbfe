//! Addresses that refuse connections for as long as a test needs them. Unit tests include this file too.

#![allow(dead_code, reason = "each file of tests needs a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// An address of this machine at which nobody listens: a socket is bound to it and does not listen, so that whoever connects is refused,
/// and the system gives the port to nobody else.
pub(crate) struct RefusingAddress {
    // By method only: a closure that moved this field would leave the socket behind.
    address: SocketAddr,
    _socket: Socket,
}

pub(crate) fn refusing_address() -> RefusingAddress {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
    RefusingAddress { address: socket.local_addr().unwrap().as_socket().unwrap(), _socket: socket }
}

impl RefusingAddress {
    /// It refuses while `self` lives.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl fmt::Display for RefusingAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
