//! From a URL to a stream: the name, the TCP connection, TLS, all under one deadline.

use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::resolve::resolve;
use super::stream::Stream;
use super::tcp;
use super::tls::{Tls, connector};
use super::transport::Transport;
use crate::error::Result;
use crate::options::{ConnectOptions, TlsOptions};
use crate::timings::Timings;
use crate::url::Target;

/// Connects to a server, and speaks TLS with it where the URL says so.
///
/// # Errors
///
/// [`Error::Timeout`](crate::Error::Timeout) with the phase that did not end before the deadline, and those of each
/// phase.
pub(crate) fn dial(
    target: &Target,
    options: &ConnectOptions,
    deadline: Deadline,
    timings: &mut Timings,
) -> Result<Stream> {
    let settings = options.settings();
    if target.secure {
        // Certificates that cannot be read are told before anyone is bothered.
        connector(&settings.tls)?;
    }
    let lookup = || resolve(&target.host, target.port, settings.resolver.as_ref(), deadline);
    let addresses = timed(&mut timings.resolve, lookup)?;
    let socket = timed(&mut timings.connect, || tcp::connect(&addresses, &settings.socket, deadline))?;
    let stream = Stream::from(Box::new(socket) as Box<dyn Transport>);
    if !target.secure {
        return Ok(stream);
    }
    timed(&mut timings.tls, || secure(stream, &target.host, &settings.tls, deadline))
}

/// Takes a stream that is connected already, and speaks TLS over it where the URL says so.
///
/// # Errors
///
/// Those of the TLS handshake.
pub(crate) fn over(
    transport: Box<dyn Transport>,
    target: &Target,
    options: &ConnectOptions,
    deadline: Deadline,
    timings: &mut Timings,
) -> Result<Stream> {
    let stream = Stream::from(transport);
    if !target.secure {
        return Ok(stream);
    }
    timed(&mut timings.tls, || secure(stream, &target.host, &options.settings().tls, deadline))
}

/// Takes a stream that a listener gave, and speaks TLS over it as a server where the options have a certificate for
/// that.
///
/// # Errors
///
/// Those of the TLS handshake.
pub(crate) fn accept(transport: Box<dyn Transport>, options: &ConnectOptions, deadline: Deadline) -> Result<Stream> {
    let stream = Stream::from(transport);
    match &options.settings().tls.acceptor {
        Some(acceptor) => Tls::accept(stream, acceptor, deadline),
        None => Ok(stream),
    }
}

/// Speaks TLS over a stream, as a client, with the server that is called `host` in the URL.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for certificates that cannot be read, and those of the handshake.
pub(crate) fn secure(stream: Stream, host: &str, options: &TlsOptions, deadline: Deadline) -> Result<Stream> {
    let name = options.server_hostname.as_deref().unwrap_or(host);
    Tls::connect(stream, &connector(options)?, name, deadline)
}

/// Does one phase and notes how long it took, if it succeeded.
fn timed<T>(phase: &mut Option<Duration>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work()?;
    *phase = Some(start.elapsed());
    Ok(done)
}
