//! SOCKS 5 (RFC 1928) with user and password (RFC 1929).

use std::net::{IpAddr, SocketAddr};

use super::literal;
use super::socks::SocksExchange;
use crate::authentication::Credentials;
use crate::error::{ProxyError, Result};

const VERSION: u8 = 5;
const CONNECT: u8 = 1;
const SUCCEEDED: u8 = 0;
/// The version of the exchange of user and password (RFC 1929, section 2).
const PASSWORD_VERSION: u8 = 1;
/// The longest text that a length of one byte can tell.
const MAX_TEXT: usize = u8::MAX as usize;

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
pub(super) fn check(host: &str, credentials: Option<&Credentials>) -> Result<(), ProxyError> {
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

/// Has the proxy connect. Everything has been [checked](check).
pub(super) async fn connect(
    socks: SocksExchange<'_>,
    destination: Socks5Address<'_>,
    credentials: Option<&Credentials>,
) -> Result<()> {
    authenticate(socks, credentials).await?;
    socks.send(&request(destination)).await?;
    receive_reply(socks).await
}

async fn authenticate(socks: SocksExchange<'_>, credentials: Option<&Credentials>) -> Result<()> {
    let methods: &[u8] = match credentials {
        None => &[VERSION, 1, NO_AUTHENTICATION],
        Some(_) => &[VERSION, 2, NO_AUTHENTICATION, USER_AND_PASSWORD],
    };
    socks.send(methods).await?;
    let [version, method] = socks.receive().await?;
    if version != VERSION {
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

fn request(destination: Socks5Address<'_>) -> Vec<u8> {
    let mut request = vec![VERSION, CONNECT, 0];
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
    if version != VERSION {
        return Err(ProxyError::SocksSyntax("it is not of SOCKS 5").into());
    }
    if code != SUCCEEDED {
        return Err(ProxyError::Socks { version: VERSION, code }.into());
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
