//! SOCKS 4, and 4a, which sends the name to the proxy (the papers of Ying-Da Lee).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::literal;
use super::socks::SocksExchange;
use crate::authentication::Credentials;
use crate::error::{ProxyError, Result};

const VERSION: u8 = 4;
const CONNECT: u8 = 1;
const GRANTED: u8 = 90;
/// An address that there is not: the name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);
/// The most bytes of a name, as in SOCKS 5, and of a user.
const MAX_TEXT: usize = 255;

/// The server, as the proxy is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Socks4Address<'a> {
    Address(Ipv4Addr, u16),
    Name(&'a str, u16),
}

impl<'a> Socks4Address<'a> {
    /// An IPv4 address: there are no others.
    pub(super) fn of(address: SocketAddr) -> Option<Self> {
        match address.ip() {
            IpAddr::V4(ip) => Some(Self::Address(ip, address.port())),
            IpAddr::V6(_) => None,
        }
    }

    /// A name that the proxy looks up, unless it is an address: then SOCKS 4 suffices.
    pub(super) fn by_name(host: &'a str, port: u16) -> Self {
        host.parse().map_or(Self::Name(host, port), |address| Self::Address(address, port))
    }
}

/// Refuses what cannot be said in this version.
pub(super) fn check(host: &str, credentials: Option<&Credentials>) -> Result<(), ProxyError> {
    if literal(host).is_some_and(|address| address.is_ipv6()) {
        return Err(ProxyError::Target("SOCKS 4 knows no IPv6 addresses"));
    }
    if host.len() > MAX_TEXT {
        return Err(ProxyError::Target("the name is longer than 255 bytes"));
    }
    let Some(Credentials { user, password }) = credentials else { return Ok(()) };
    if !password.is_empty() {
        return Err(ProxyError::Credentials("SOCKS 4 knows no passwords"));
    }
    if user.len() > MAX_TEXT {
        return Err(ProxyError::Credentials("the user is longer than 255 bytes"));
    }
    if user.contains('\0') {
        return Err(ProxyError::Credentials("the user has a NUL in it"));
    }
    Ok(())
}

/// Has the proxy connect. Everything has been [checked](check).
pub(super) async fn connect(
    socks: SocksExchange<'_>,
    destination: Socks4Address<'_>,
    credentials: Option<&Credentials>,
) -> Result<()> {
    socks.send(&request(destination, credentials)).await?;
    let [version, code] = socks.receive().await?;
    if version != 0 {
        return Err(ProxyError::SocksSyntax("it is not of SOCKS 4").into());
    }
    if code != GRANTED {
        return Err(ProxyError::Socks { version: VERSION, code }.into());
    }
    // An address and a port, which say nothing of a connection that the proxy makes.
    socks.skip(6).await
}

fn request(destination: Socks4Address<'_>, credentials: Option<&Credentials>) -> Vec<u8> {
    let (address, port, name) = match destination {
        Socks4Address::Address(address, port) => (address, port, None),
        Socks4Address::Name(name, port) => (NAME_FOLLOWS, port, Some(name)),
    };
    let mut request = vec![VERSION, CONNECT];
    request.extend_from_slice(&port.to_be_bytes());
    request.extend_from_slice(&address.octets());
    request.extend_from_slice(credentials.map_or(&[], |credentials| credentials.user.as_bytes()));
    request.push(0);
    if let Some(name) = name {
        request.extend_from_slice(name.as_bytes());
        request.push(0);
    }
    request
}
