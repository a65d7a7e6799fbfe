//! From a URL to a stream: the name, the TCP connection, TLS, all under one deadline.

use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::resolve::resolve;
use super::stream::Stream;
use super::tcp;
use super::tls;
use super::transport::Transport;
use crate::error::Result;
use crate::options::ConnectOptions;
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
        tls::prepare(&settings.tls)?;
    }
    let lookup = || resolve(&target.host, target.port, settings.resolver.as_ref(), deadline);
    let addresses = timed(&mut timings.resolve, lookup)?;
    let socket = timed(&mut timings.connect, || tcp::connect(&addresses, &settings.socket, deadline))?;
    let stream = Stream::from(Box::new(socket) as Box<dyn Transport>);
    if !target.secure {
        return Ok(stream);
    }
    timed(&mut timings.tls, || tls::connect(stream, &settings.tls, &target.host, deadline))
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
    timed(&mut timings.tls, || tls::connect(stream, &options.settings().tls, &target.host, deadline))
}

/// Takes a stream that a listener gave, and speaks TLS over it as a server where the options have a certificate for
/// that.
///
/// # Errors
///
/// Those of the TLS handshake.
pub(crate) fn accept(transport: Box<dyn Transport>, options: &ConnectOptions, deadline: Deadline) -> Result<Stream> {
    let stream = Stream::from(transport);
    tls::accept(stream, &options.settings().tls, deadline)
}

/// Does one phase and notes how long it took, if it succeeded.
fn timed<T>(phase: &mut Option<Duration>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work()?;
    *phase = Some(start.elapsed());
    Ok(done)
}
