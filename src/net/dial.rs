//! From a URL to a stream: the name, the connection, TLS, all under one deadline.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::proxy;
use super::resolve::resolve;
use super::stream::Stream;
use super::tcp;
use super::tls::{self, FileWait};
use super::transport::Transport;
use super::unix;
use crate::cancellation::Watch;
use crate::error::Result;
use crate::options::ConnectOptions;
use crate::timings::Timings;
use crate::trace::Tracer;
use crate::url::Target;

/// Where a socket connects to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Endpoint<'a> {
    /// A name, or an address without brackets, whose zone, if it has one, is the name or number of an interface.
    Host { host: &'a str, port: u16, zone: Option<&'a str> },
    /// A socket in the file system.
    Unix(&'a Path),
}

impl<'a> Endpoint<'a> {
    fn of(target: &'a Target) -> Self {
        match &target.socket_path {
            Some(path) => Self::Unix(path),
            None => Self::Host { host: &target.host, port: target.port, zone: target.zone.as_deref() },
        }
    }
}

/// Connects to a server, through a proxy if there is one, and speaks TLS with it where the URL says so.
///
/// # Errors
///
/// [`Error::Timeout`](crate::Error::Timeout) with the phase that did not end before the deadline, and those of each
/// phase.
pub(crate) fn dial(
    target: &Target,
    options: &ConnectOptions,
    deadline: Deadline,
    tracer: Tracer,
    timings: &mut Timings,
) -> Result<Stream> {
    let settings = options.settings();
    if target.secure {
        // Certificates that cannot be read are told before anyone is bothered.
        tls::prepare(&settings.tls, FileWait { deadline, cancellation: settings.cancellation.as_ref() })?;
    }
    let (stream, _watch) = match proxy::choose(target, options, deadline)? {
        Some(hop) => hop.tunnel(target, options, deadline, tracer, timings)?,
        None => connect_socket(Endpoint::of(target), options, deadline, timings)?,
    };
    if !target.secure {
        return Ok(stream);
    }
    timed(&mut timings.tls, || tls::connect(stream, &settings.tls, &target.host, deadline))
}

/// Makes the connection of the operating system: the first step of every way, to a server or to a proxy.
///
/// What is returned beside the stream lets a cancellation end it, and is to be kept for as long as something waits in the
/// stream.
///
/// # Errors
///
/// Those of the phases [`Resolve`](crate::Phase::Resolve) and [`Connect`](crate::Phase::Connect).
pub(super) fn connect_socket(
    endpoint: Endpoint<'_>,
    options: &ConnectOptions,
    deadline: Deadline,
    timings: &mut Timings,
) -> Result<(Stream, Option<Watch>)> {
    let settings = options.settings();
    let socket = match endpoint {
        Endpoint::Host { host, port, zone } => {
            let look_up = || resolve(host, zone, port, settings, deadline);
            let addresses = timed(&mut timings.resolve, look_up)?;
            timed(&mut timings.connect, || tcp::connect(addresses, settings, deadline))?
        }
        Endpoint::Unix(path) => timed(&mut timings.connect, || unix::connect(path, settings, deadline))?,
    };
    let stream = Stream::Plain(Arc::new(socket));
    let watch = stream.watch(settings.cancellation.as_ref());
    Ok((stream, watch))
}

/// Takes a stream that is connected already, and speaks TLS over it where the URL says so.
///
/// # Errors
///
/// Those of the TLS handshake.
pub(crate) fn upgrade_stream(
    transport: Box<dyn Transport>,
    target: &Target,
    options: &ConnectOptions,
    deadline: Deadline,
    timings: &mut Timings,
) -> Result<Stream> {
    let settings = options.settings();
    let stream = Stream::from(transport);
    let _watch = stream.watch(settings.cancellation.as_ref());
    if !target.secure {
        return Ok(stream);
    }
    tls::prepare(&settings.tls, FileWait { deadline, cancellation: settings.cancellation.as_ref() })?;
    timed(&mut timings.tls, || tls::connect(stream, &settings.tls, &target.host, deadline))
}

/// Takes a stream that a listener gave, and speaks TLS over it as a server where the options have a certificate for
/// that.
///
/// # Errors
///
/// Those of the TLS handshake.
pub(crate) fn accept(transport: Box<dyn Transport>, options: &ConnectOptions, deadline: Deadline) -> Result<Stream> {
    let settings = options.settings();
    let stream = Stream::from(transport);
    let _watch = stream.watch(settings.cancellation.as_ref());
    tls::accept(stream, &settings.tls, deadline)
}

/// Does one phase and notes how long it took, if it succeeded.
fn timed<T>(phase: &mut Option<Duration>, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = work()?;
    *phase = Some(start.elapsed());
    Ok(done)
}
