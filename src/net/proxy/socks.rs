//! SOCKS: 4 and 4a, which sends the name to the proxy (the papers of Ying-Da Lee), and 5 (RFC 1928) with user and password (RFC 1929).
//! Of the short answers not a byte more is read than belongs to them. What follows is the server's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{failed, literal};
use crate::authentication::Credentials;
use crate::error::{ProxyError, Result};
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;
use crate::net::wait_mode::WaitMode;

/// The command of both versions: to connect to a server.
const CONNECT: u8 = 1;
/// The longest text that a length of one byte can tell; the most bytes of a name and of a user in SOCKS 4, too.
const MAX_TEXT: usize = u8::MAX as usize;

/// A conversation with a SOCKS proxy.
#[derive(Clone, Copy)]
pub(super) struct SocksExchange<'a> {
    pub(super) mode: &'a WaitMode,
    pub(super) stream: &'a Stream,
    pub(super) deadline: Deadline,
}

impl SocksExchange<'_> {
    /// Sends a request.
    pub(super) async fn send(self, request: &[u8]) -> Result<()> {
        self.mode.write_all(self.stream, request, self.deadline).await.map_err(failed)
    }

    /// The next bytes of an answer, as many as that.
    pub(super) async fn receive<const N: usize>(self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads bytes of an answer that mean nothing here.
    pub(super) async fn skip(self, length: usize) -> Result<()> {
        let mut bytes = [0; u8::MAX as usize + 2];
        self.fill(&mut bytes[..length]).await
    }

    async fn fill(self, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.mode.read(self.stream, bytes, self.deadline).await {
                Ok(0) => return Err(ProxyError::Eof.into()),
                Ok(length) => bytes = &mut bytes[length..],
                // A proxy that refuses may not wait for all that it is sent.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ProxyError::Eof.into()),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

// Version 4.

const VERSION_4: u8 = 4;
const GRANTED: u8 = 90;
/// An address that there is not: the name follows.
const NAME_FOLLOWS: Ipv4Addr = Ipv4Addr::new(0, 0, 0, 1);

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
pub(super) fn check_v4(host: &str, credentials: Option<&Credentials>) -> Result<(), ProxyError> {
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

/// Has the proxy connect. Everything has been [checked](check_v4).
pub(super) async fn connect_v4(
    socks: SocksExchange<'_>,
    destination: Socks4Address<'_>,
    credentials: Option<&Credentials>,
) -> Result<()> {
    socks.send(&request_v4(destination, credentials)).await?;
    let [version, code] = socks.receive().await?;
    if version != 0 {
        return Err(ProxyError::SocksSyntax("it is not of SOCKS 4").into());
    }
    if code != GRANTED {
        return Err(ProxyError::Socks { version: VERSION_4, code }.into());
    }
    // An address and a port, which say nothing of a connection that the proxy makes.
    socks.skip(6).await
}

fn request_v4(destination: Socks4Address<'_>, credentials: Option<&Credentials>) -> Vec<u8> {
    let (address, port, name) = match destination {
        Socks4Address::Address(address, port) => (address, port, None),
        Socks4Address::Name(name, port) => (NAME_FOLLOWS, port, Some(name)),
    };
    let mut request = vec![VERSION_4, CONNECT];
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

// Version 5.

const VERSION_5: u8 = 5;
const SUCCEEDED: u8 = 0;
/// The version of the exchange of user and password (RFC 1929, section 2).
const PASSWORD_VERSION: u8 = 1;

// Methods (RFC 1928, section 3).
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xFF;

// Types of addresses (RFC 1928, section 5).
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The server, as the proxy is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Socks5Address<'a> {
    Address(SocketAddr),
    Name(&'a str, u16),
}

impl<'a> Socks5Address<'a> {
    /// A name that the proxy looks up, unless it is an address.
    pub(super) fn by_name(host: &'a str, port: u16) -> Self {
        literal(host).map_or(Self::Name(host, port), |address| Self::Address((address, port).into()))
    }
}

/// Refuses what has no room in this version: a length that wraps around would make the rest of a name a command (as in
/// CVE-2023-38545).
pub(super) fn check_v5(host: &str, credentials: Option<&Credentials>) -> Result<(), ProxyError> {
    if host.len() > MAX_TEXT {
        return Err(ProxyError::Target("the name is longer than 255 bytes"));
    }
    match credentials {
        Some(Credentials { user, password }) if user.len() > MAX_TEXT || password.len() > MAX_TEXT => {
            Err(ProxyError::Credentials("one of them is longer than 255 bytes"))
        }
        _ => Ok(()),
    }
}

/// Has the proxy connect, which knows [who asks](authenticate). Everything has been [checked](check_v5).
pub(super) async fn connect_v5(socks: SocksExchange<'_>, destination: Socks5Address<'_>) -> Result<()> {
    socks.send(&request_v5(destination)).await?;
    receive_reply(socks).await
}

/// Tells the proxy who asks, if it wants to know.
pub(super) async fn authenticate(socks: SocksExchange<'_>, credentials: Option<&Credentials>) -> Result<()> {
    let methods: &[u8] = match credentials {
        None => &[VERSION_5, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION_5, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    socks.send(methods).await?;
    let [version, method] = socks.receive().await?;
    if version != VERSION_5 {
        return Err(ProxyError::SocksSyntax("it is not of SOCKS 5").into());
    }
    match (method, credentials) {
        (NO_AUTHENTICATION, _) => Ok(()),
        (USER_AND_PASSWORD, Some(credentials)) => send_password(socks, credentials).await,
        (NONE_ACCEPTABLE, _) => Err(ProxyError::Authentication.into()),
        _ => Err(ProxyError::SocksSyntax("it chooses a way to authenticate that was not offered").into()),
    }
}

async fn send_password(socks: SocksExchange<'_>, credentials: &Credentials) -> Result<()> {
    let mut request = vec![PASSWORD_VERSION];
    push_text(&mut request, &credentials.user);
    push_text(&mut request, &credentials.password);
    socks.send(&request).await?;
    match socks.receive().await? {
        [PASSWORD_VERSION, SUCCEEDED] => Ok(()),
        [PASSWORD_VERSION, _] => Err(ProxyError::Authentication.into()),
        _ => Err(ProxyError::SocksSyntax("it is no answer to user and password").into()),
    }
}

fn request_v5(destination: Socks5Address<'_>) -> Vec<u8> {
    let mut request = vec![VERSION_5, CONNECT, 0];
    let port = match destination {
        Socks5Address::Address(address) => {
            match address.ip() {
                IpAddr::V4(ip) => {
                    request.push(IPV4);
                    request.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    request.push(IPV6);
                    request.extend_from_slice(&ip.octets());
                }
            }
            address.port()
        }
        Socks5Address::Name(name, port) => {
            request.push(NAME);
            push_text(&mut request, name);
            port
        }
    };
    request.extend_from_slice(&port.to_be_bytes());
    request
}

/// Reads the reply to its end, whatever kind of address it bears. A refusal may be cut short, so its code counts first.
async fn receive_reply(socks: SocksExchange<'_>) -> Result<()> {
    let [version, code] = socks.receive().await?;
    if version != VERSION_5 {
        return Err(ProxyError::SocksSyntax("it is not of SOCKS 5").into());
    }
    if code != SUCCEEDED {
        return Err(ProxyError::Socks { version: VERSION_5, code }.into());
    }
    let [reserved, kind] = socks.receive().await?;
    if reserved != 0 {
        return Err(ProxyError::SocksSyntax("a reserved byte is not zero").into());
    }
    let length = match kind {
        IPV4 => 4,
        IPV6 => 16,
        NAME => usize::from(socks.receive::<1>().await?[0]),
        _ => return Err(ProxyError::SocksSyntax("there is no such type of address").into()),
    };
    // With the port: where the proxy connects from is its own business.
    socks.skip(length + 2).await
}

/// A text behind its length; it has been seen to have room there.
fn push_text(request: &mut Vec<u8>, text: &str) {
    debug_assert!(text.len() <= MAX_TEXT, "checked before anything was connected");
    request.push(text.len() as u8);
    request.extend_from_slice(text.as_bytes());
}
