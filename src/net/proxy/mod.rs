//! The way to a server through a proxy: which proxy, and how it is made to connect.

mod choice;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod http;
mod socks;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

pub(super) use self::choice::choose;
use self::socks::{Socks4Address, Socks5Address, SocksExchange};
use super::connect::{Dialer, Endpoint};
use super::deadline::{Deadline, is_timeout};
use super::exchange::stream_error;
use super::layer::Layer;
use super::resolve::{no_fit_address, resolve};
use super::stream::Stream;
use super::tls::{self, TlsEnd};
use crate::authentication::Credentials;
use crate::error::{Error, Phase, ProxyError, Result};
use crate::options::{Proxy, TlsOptions};
use crate::url::{ProxyScheme, ProxyUrl, Target};

/// How many of a server's addresses a proxy is asked to try.
const MAX_ADDRESSES: usize = 4;

/// The proxy between here and a server.
pub(super) struct ProxyHop {
    url: ProxyUrl,
    headers: Vec<(String, Vec<u8>)>,
    tls: TlsOptions,
}

/// Without the values of header fields, which may be secret.
impl fmt::Debug for ProxyHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ProxyHop").field("url", &self.url).field("headers", &names).finish_non_exhaustive()
    }
}

impl ProxyHop {
    fn given(proxy: &Proxy) -> Result<Self> {
        let url = ProxyUrl::parse(&proxy.url).map_err(|problem| ProxyError::Url { variable: None, problem })?;
        let credentials = match &proxy.credentials {
            Some((user, password)) => Some(Credentials { user: user.clone(), password: password.clone() }),
            None => url.credentials.clone(),
        };
        Ok(Self { url: ProxyUrl { credentials, ..url }, headers: proxy.headers.clone(), tls: proxy.tls.clone() })
    }

    /// Refuses what cannot be said to this proxy.
    fn check(&self, target: &Target) -> Result<()> {
        if target.zone.is_some() {
            return Err(ProxyError::Target("it is on a link of this machine").into());
        }
        let credentials = self.url.credentials.as_ref();
        match self.url.scheme {
            ProxyScheme::Http | ProxyScheme::Https => http::check(&self.headers, credentials)?,
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => socks::check_v4(&target.host, credentials)?,
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => socks::check_v5(&target.host, credentials)?,
        }
        Ok(())
    }

    /// Has the proxy connect to the server. What is sent over the stream from then on is the server's.
    ///
    /// # Errors
    ///
    /// [`Error::Proxy`] for what the proxy says, [`Error::Timeout`] and [`Error::Io`] with the phase [`Phase::Proxy`], and
    /// those of connecting to the proxy.
    pub(super) async fn tunnel(&self, target: &Target, dialer: &mut Dialer<'_>) -> Result<Stream> {
        log::debug!("connecting through {} proxy {}", self.url.scheme.as_str(), self.url.host_and_port());
        let mut dialer = ProxyDialer { hop: self, dialer, began: None };
        let stream = match dialer.socks_destinations(target).await? {
            None => http::tunnel(&mut dialer, target).await?,
            Some(destinations) => dialer.connect_to_one_of(target, destinations).await?,
        };
        refuse_early_bytes(&stream)?;
        let took = dialer.began.map(|began| began.elapsed());
        dialer.dialer.timings.proxy = took;
        Ok(stream)
    }
}

/// The server, as a SOCKS proxy is told.
#[derive(Clone, Copy)]
enum SocksDestination<'a> {
    V4(Socks4Address<'a>),
    V5(Socks5Address<'a>),
}

/// Looks whether somebody speaks whom nobody has asked: in TLS and in WebSocket the server is never the first. What a proxy puts
/// there would be taken for the server's answer.
fn refuse_early_bytes(stream: &Stream) -> Result<()> {
    match stream.read(&mut [0], Deadline::NOW) {
        Ok(0) => Ok(()),
        Ok(_) => Err(ProxyError::EarlyBytes.into()),
        Err(error) if is_timeout(&error) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// How to get connected to the proxy, again if need be.
struct ProxyDialer<'a, 'd> {
    hop: &'a ProxyHop,
    dialer: &'a mut Dialer<'d>,
    /// Since when there is something to say to the proxy.
    began: Option<Instant>,
}

impl ProxyDialer<'_, '_> {
    /// Connects to the proxy, and speaks TLS with it where its URL says so.
    async fn connect(&mut self) -> Result<Stream> {
        let ProxyHop { url, tls, .. } = self.hop;
        let endpoint = Endpoint::Host { host: &url.host, port: url.port, zone: url.zone.as_deref() };
        let stream = self.dialer.connect_socket(endpoint).await.map_err(|error| match error {
            Error::Io { phase: Phase::Connect, error: problem } => {
                ProxyError::Connect { proxy: url.host_and_port(), problem }.into()
            }
            other => other,
        })?;
        self.began.get_or_insert_with(Instant::now);
        if url.scheme != ProxyScheme::Https {
            return Ok(stream);
        }
        let connected =
            tls::connect(self.dialer.mode, stream, tls, TlsEnd::Proxy, &url.host, self.dialer.deadline).await;
        connected.map_err(|error| match error {
            Error::Timeout(Phase::Tls) => Error::Timeout(Phase::Proxy),
            Error::Io { phase: Phase::Tls, error } => Error::Io { phase: Phase::Proxy, error },
            other => other,
        })
    }

    /// What a SOCKS proxy is to connect to: the name, or each address of the server where it is for this side to look them up. None for
    /// an HTTP proxy.
    async fn socks_destinations<'t>(&self, target: &'t Target) -> Result<Option<Vec<SocksDestination<'t>>>> {
        let Target { host, port, .. } = target;
        Ok(Some(match self.hop.url.scheme {
            ProxyScheme::Socks4a => vec![SocksDestination::V4(Socks4Address::by_name(host, *port))],
            ProxyScheme::Socks5h => vec![SocksDestination::V5(Socks5Address::by_name(host, *port))],
            ProxyScheme::Socks4 => {
                let addresses = self.look_up(target).await?.into_iter().filter_map(Socks4Address::of);
                addresses.map(SocksDestination::V4).collect()
            }
            ProxyScheme::Socks5 => {
                let addresses = self.look_up(target).await?.into_iter().map(Socks5Address::Address);
                addresses.map(SocksDestination::V5).collect()
            }
            ProxyScheme::Http | ProxyScheme::Https => return Ok(None),
        }))
    }

    async fn look_up(&self, target: &Target) -> Result<Vec<SocketAddr>> {
        let dialer = &self.dialer;
        resolve(dialer.mode, &target.host, None, target.port, dialer.settings(), dialer.limit()).await
    }

    /// Asks for each destination until the proxy has reached one, on a new connection each time.
    async fn connect_to_one_of(&mut self, target: &Target, destinations: Vec<SocksDestination<'_>>) -> Result<Stream> {
        // A host that is an IPv6 address was refused before; a name may have an IPv4 address later.
        let mut problem = no_fit_address(&target.host, "it has no IPv4 address, and SOCKS 4 knows no others");
        for destination in destinations.into_iter().take(MAX_ADDRESSES) {
            let stream = self.connect().await?;
            // Who asks is no matter of the address: what fails here is not tried with another one.
            if let SocksDestination::V5(_) = destination {
                socks::authenticate(self.exchange(&stream), self.credentials()).await?;
            }
            match self.ask(&stream, destination).await {
                Ok(()) => return Ok(stream),
                Err(Error::Proxy(unreached)) if is_of_address(&unreached) => problem = Error::Proxy(unreached),
                Err(error) => return Err(error),
            }
        }
        Err(problem)
    }

    async fn ask(&self, stream: &Stream, destination: SocksDestination<'_>) -> Result<()> {
        match destination {
            SocksDestination::V4(address) => {
                socks::connect_v4(self.exchange(stream), address, self.credentials()).await
            }
            SocksDestination::V5(address) => socks::connect_v5(self.exchange(stream), address).await,
        }
    }

    fn exchange<'s>(&'s self, stream: &'s Stream) -> SocksExchange<'s> {
        SocksExchange { mode: self.dialer.mode, stream, deadline: self.dialer.deadline }
    }

    fn credentials(&self) -> Option<&Credentials> {
        self.hop.url.credentials.as_ref()
    }
}

/// Whether another address of the server may be better off: this one was not reached, or its family means nothing to the proxy
/// (RFC 1928, section 6).
const fn is_of_address(problem: &ProxyError) -> bool {
    problem.is_of_network() || matches!(problem, ProxyError::Socks { version: 5, code: 8 })
}

/// The address that a host is, if it is one.
fn literal(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// What went wrong with the connection to a proxy.
fn failed(error: io::Error) -> Error {
    stream_error(Phase::Proxy, error)
}

#[cfg(test)]
mod tests;
