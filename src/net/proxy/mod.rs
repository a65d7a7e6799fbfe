//! The way to a server through a proxy: which proxy, and how it is made to connect.

mod environment;
mod http;
mod no_proxy;
mod socks;
mod socks4;
mod socks5;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use self::environment::Variables;
use super::deadline::{Deadline, is_timeout};
use super::dial::{Endpoint, connect_socket};
use super::exchange::stream_error;
use super::resolve::resolve;
use super::stream::Stream;
use super::tls::{self, FileWait};
use crate::authentication::Credentials;
use crate::cancellation::Watch;
use crate::error::{Error, Phase, ProxyError, Result};
use crate::options::{ConnectOptions, Proxy, ProxyChoice, TlsOptions};
use crate::timings::Timings;
use crate::trace::Tracer;
use crate::url::{ProxyScheme, ProxyUrl, Target};

/// How many of a server's addresses a proxy is asked to try.
const MAX_ADDRESSES: usize = 4;

/// The proxy between here and a server.
pub(super) struct ProxyHop {
    url: ProxyUrl,
    headers: Vec<(String, Vec<u8>)>,
    tls: TlsOptions,
}

/// A connection, and what lets a cancellation end it.
type Watched = (Stream, Option<Watch>);

/// The proxy through which a server is to be reached, if it is by one.
///
/// # Errors
///
/// [`ProxyError::Url`] for what is no proxy, and the other errors of [`ProxyError`] for what this proxy could not be
/// told: nobody is bothered for nothing.
pub(super) fn choose(target: &Target, options: &ConnectOptions, deadline: Deadline) -> Result<Option<ProxyHop>> {
    let Some(hop) = choose_from(target, options, &environment::of_process)? else { return Ok(None) };
    let cancellation = options.settings().cancellation.as_ref();
    hop.check(target, FileWait { deadline, cancellation })?;
    Ok(Some(hop))
}

fn choose_from(target: &Target, options: &ConnectOptions, variables: Variables<'_>) -> Result<Option<ProxyHop>> {
    let settings = &options.settings().proxy;
    let is_local = target.socket_path.is_some();
    if is_local || no_proxy::lists("bypass_proxy", settings.bypass.iter().map(String::as_str), target) {
        return Ok(None);
    }
    match &settings.choice {
        ProxyChoice::Direct => Ok(None),
        ProxyChoice::Explicit(proxy) => ProxyHop::given(proxy).map(Some),
        ProxyChoice::Environment => {
            if no_proxy::lists("no_proxy", environment::no_proxy(variables).as_deref(), target) {
                return Ok(None);
            }
            let found = environment::proxy(target.secure, variables)?;
            Ok(found.map(|url| ProxyHop { url, headers: Vec::new(), tls: TlsOptions::new() }))
        }
    }
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
    fn check(&self, target: &Target, wait: FileWait<'_>) -> Result<()> {
        if target.zone.is_some() {
            return Err(ProxyError::Target("it is on a link of this machine").into());
        }
        let credentials = self.url.credentials.as_ref();
        match self.url.scheme {
            ProxyScheme::Http => http::check(&self.headers, credentials)?,
            ProxyScheme::Https => {
                http::check(&self.headers, credentials)?;
                tls::prepare(&self.tls, wait)?;
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => socks4::check(&target.host, credentials)?,
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => socks5::check(&target.host, credentials)?,
        }
        Ok(())
    }

    /// Has the proxy connect to the server. What is sent over the stream from then on is the server's.
    ///
    /// # Errors
    ///
    /// [`Error::Proxy`] for what the proxy says, [`Error::Timeout`] and [`Error::Io`] with the phase [`Phase::Proxy`], and
    /// those of connecting to the proxy.
    pub(super) fn tunnel(
        &self,
        target: &Target,
        options: &ConnectOptions,
        deadline: Deadline,
        tracer: Tracer,
        timings: &mut Timings,
    ) -> Result<Watched> {
        log::debug!("connecting through {} proxy {}", self.url.scheme.as_str(), self.url.host_and_port());
        let credentials = self.url.credentials.as_ref();
        let by_four =
            |stream: &Stream, to: socks4::Socks4Address<'_>| socks4::connect(stream, to, credentials, deadline);
        let by_five =
            |stream: &Stream, to: socks5::Socks5Address<'_>| socks5::connect(stream, to, credentials, deadline);
        let mut dialer = ProxyDialer { hop: self, options, deadline, tracer, timings, began: None };
        let connected = match self.url.scheme {
            ProxyScheme::Http | ProxyScheme::Https => http::tunnel(&mut dialer, target),
            ProxyScheme::Socks4 => {
                let addresses = dialer.look_up(target)?.filter_map(socks4::Socks4Address::of);
                dialer.connect_to_one_of(addresses, by_four)
            }
            ProxyScheme::Socks4a => {
                dialer.connect_to_one_of([socks4::Socks4Address::by_name(&target.host, target.port)], by_four)
            }
            ProxyScheme::Socks5 => {
                let addresses = dialer.look_up(target)?.map(socks5::Socks5Address::Address);
                dialer.connect_to_one_of(addresses, by_five)
            }
            ProxyScheme::Socks5h => {
                dialer.connect_to_one_of([socks5::Socks5Address::by_name(&target.host, target.port)], by_five)
            }
        }?;
        refuse_early_bytes(&connected.0)?;
        dialer.timings.proxy = dialer.began.map(|began| began.elapsed());
        Ok(connected)
    }
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
struct ProxyDialer<'a> {
    hop: &'a ProxyHop,
    options: &'a ConnectOptions,
    deadline: Deadline,
    tracer: Tracer,
    timings: &'a mut Timings,
    /// Since when there is something to say to the proxy.
    began: Option<Instant>,
}

impl ProxyDialer<'_> {
    /// Connects to the proxy, and speaks TLS with it where its URL says so.
    fn connect(&mut self) -> Result<Watched> {
        let url = &self.hop.url;
        let endpoint = Endpoint::Host { host: &url.host, port: url.port, zone: url.zone.as_deref() };
        let (stream, watch) =
            connect_socket(endpoint, self.options, self.deadline, self.timings).map_err(|error| match error {
                Error::Io { phase: Phase::Connect, error: problem } => {
                    ProxyError::Connect { proxy: url.host_and_port(), problem }.into()
                }
                other => other,
            })?;
        self.began.get_or_insert_with(Instant::now);
        if url.scheme != ProxyScheme::Https {
            return Ok((stream, watch));
        }
        let stream = tls::connect(stream, &self.hop.tls, &url.host, self.deadline).map_err(|error| match error {
            Error::Timeout(Phase::Tls) => Error::Timeout(Phase::Proxy),
            Error::Io { phase: Phase::Tls, error } => Error::Io { phase: Phase::Proxy, error },
            other => other,
        })?;
        Ok((stream, watch))
    }

    /// The addresses of the server, where it is for this side to look them up.
    fn look_up(&self, target: &Target) -> Result<impl Iterator<Item = SocketAddr> + use<>> {
        let found = resolve(&target.host, None, target.port, self.options.settings(), self.deadline)?;
        Ok(found.into_iter())
    }

    /// Asks for each destination until the proxy has reached one, on a new connection each time.
    fn connect_to_one_of<D>(
        &mut self,
        destinations: impl IntoIterator<Item = D>,
        ask: impl Fn(&Stream, D) -> Result<()>,
    ) -> Result<Watched> {
        let mut problem = Box::new(ProxyError::Target("the name has no IPv4 address, and SOCKS 4 knows no others"));
        for destination in destinations.into_iter().take(MAX_ADDRESSES) {
            let connected = self.connect()?;
            match ask(&connected.0, destination) {
                Ok(()) => return Ok(connected),
                Err(Error::Proxy(unreached)) if is_of_address(&unreached) => problem = unreached,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Proxy(problem))
    }
}

/// Whether another address of the server may be better off: this one was not reached, or its family means nothing to the proxy
/// (RFC 1928, section 6).
const fn is_of_address(problem: &ProxyError) -> bool {
    problem.is_retryable() || matches!(problem, ProxyError::Socks { version: 5, code: 8 })
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
