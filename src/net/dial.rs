//! From a URL to a stream: the name, the connection, the proxy, TLS, all under one deadline.

use std::io;
use std::time::Instant;

use super::connect::{Dialer, Endpoint};
use super::proxy;
use super::stream::Stream;
use super::tls::{self, TlsEnd};
use super::transport::Transport;
use super::wait_mode::WaitLimit;
use crate::error::{Error, Phase, Result};
use crate::options::{Dial, Hook, Hop, TlsOptions};
use crate::url::Target;

impl Dialer<'_> {
    /// Connects to a server, through a proxy if there is one, and speaks TLS with it where the URL says so.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`](crate::Error::Timeout) with the phase that did not end before the deadline, and those of each
    /// phase.
    pub(crate) async fn dial(&mut self, target: &Target) -> Result<Stream> {
        if target.secure {
            // Certificates that cannot be read are told before anyone is bothered.
            self.prepare_tls(&self.settings().tls).await?;
        }
        if let Some(dial) = self.settings().dial.clone() {
            let transport = self.dial_with(dial, target).await?;
            let stream = self.watched(Stream::from(transport));
            return self.upgrade(stream, target).await;
        }
        let stream = match proxy::choose(self, target).await? {
            Some(hop) => hop.tunnel(target, self).await?,
            None => self.connect_socket(Endpoint::of(target)).await?,
        };
        self.upgrade(stream, target).await
    }

    /// Takes a stream that is connected already, and speaks TLS over it where the URL says so.
    ///
    /// # Errors
    ///
    /// Those of the TLS handshake.
    pub(crate) async fn dial_over(&mut self, transport: Box<dyn Transport>, target: &Target) -> Result<Stream> {
        let stream = self.watched(Stream::from(transport));
        if target.secure {
            self.prepare_tls(&self.settings().tls).await?;
        }
        self.upgrade(stream, target).await
    }

    /// Takes a stream that a listener gave, and speaks TLS over it as a server where the options have a certificate for
    /// that.
    ///
    /// # Errors
    ///
    /// Those of the TLS handshake.
    pub(crate) async fn accept(&mut self, transport: Box<dyn Transport>) -> Result<Stream> {
        let stream = self.watched(Stream::from(transport));
        tls::accept(self.mode, stream, &self.settings().tls, self.deadline).await
    }

    /// Reads what these options name, on a helper thread where it may not be waited for, or where a wait would know no deadline.
    pub(super) async fn prepare_tls(&self, options: &TlsOptions) -> Result<()> {
        if tls::is_prepared(options) || self.mode.is_blocking() && !tls::may_block() {
            return tls::prepare(options, self.limit());
        }
        let (options, deadline) = (options.clone(), self.deadline);
        let cancellation = self.settings().cancellation.clone();
        let prepare = move || tls::prepare(&options, WaitLimit { deadline, cancellation: cancellation.as_ref() });
        self.mode.on_helper(Phase::Tls, self.limit(), prepare).await?
    }

    /// Has a hook of the user's connect.
    async fn dial_with(&mut self, dial: Hook<Dial>, target: &Target) -> Result<Box<dyn Transport>> {
        let start = Instant::now();
        let hop = Hop::new(target, self.deadline.instant());
        let transport = self.mode.on_helper(Phase::Connect, self.limit(), move || (dial.0)(&hop)).await?;
        self.timings.connect = Some(start.elapsed());
        transport.map_err(|error| match error.kind() {
            io::ErrorKind::TimedOut => Error::Timeout(Phase::Connect),
            _ => Error::Io { phase: Phase::Connect, error },
        })
    }

    async fn upgrade(&mut self, stream: Stream, target: &Target) -> Result<Stream> {
        if !target.secure {
            return Ok(stream);
        }
        let start = Instant::now();
        let (options, host) = (&self.settings().tls, &target.host);
        let stream = tls::connect(self.mode, stream, options, TlsEnd::Peer, host, self.deadline).await?;
        self.timings.tls = Some(start.elapsed());
        Ok(stream)
    }
}
