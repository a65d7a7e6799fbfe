//! The opening handshake over a stream, both roles (RFC 6455, section 4).
//!
//! `route` knows where to ask and how often, `request` what is said there, `exchange` says it and hears the answer; `accept` is the
//! server's side; `stepping` is for event loops.

mod accept;
mod exchange;
mod request;
mod route;
mod stepping;

use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;

use rand::TryRng;
use rand::rngs::SysRng;

pub use self::accept::PendingUpgrade;
use self::exchange::{ExchangeOutcome, PreparedRequest};
use self::route::Route;
pub use self::stepping::Opening;
use super::compression::CompressionOffer;
use super::reader::Reader;
use super::shared::SharedConnection;
use super::{ActiveConnection, VisitedUrls, cancelled};
use crate::error::{Error, OptionsError, Phase, Result};
use crate::net::exchange::stream_error;
use crate::net::{Deadline, Dialer, Stream, Transport, WaitLimit, WaitMode};
use crate::options::{ConnectOptions, Timeouts};
use crate::protocol::handshake::Response;
use crate::protocol::{Entropy, MaskKeys, PerMessageDeflate, Role, TextPolicy};
use crate::sync::Mutex;
use crate::timings::Timings;
use crate::trace::Tracer;
use crate::url::{Target, without_query};

/// What may have come behind an opening handshake that was done elsewhere, in bytes: less than the window of received bytes holds.
const MAX_RECEIVED: usize = 64 * 1024;

/// One attempt to make a connection: how, and by when.
#[derive(Debug)]
pub(super) struct Opener {
    options: ConnectOptions,
    timeouts: Timeouts,
    deadline: Deadline,
    tracer: Tracer,
    mode: WaitMode,
}

impl Opener {
    pub(super) fn new(options: ConnectOptions, timeouts: Timeouts, mode: WaitMode) -> Result<Self> {
        options.validate()?;
        // Of the options' own none is zero: it is the default that was in force when the WebSocket was made. A receive may look once.
        if timeouts.open.is_zero() || timeouts.send.is_some_and(|send| send.is_zero()) {
            return Err(Error::Options(Box::new(OptionsError::of_zero("set_default_timeout"))));
        }
        let deadline = Deadline::after(Some(timeouts.open));
        Ok(Self { options, timeouts, deadline, tracer: Tracer::new(), mode })
    }

    /// The time of the open timeout begins anew.
    fn begin_anew(&mut self) {
        self.deadline = Deadline::after(Some(self.timeouts.open));
    }

    /// Asks where redirects lead and with what a challenge wants, all under one deadline.
    pub(super) async fn connect(&self, target: Target) -> Result<ActiveConnection> {
        self.cancellable(pin!(self.follow(target))).await
    }

    async fn follow(&self, target: Target) -> Result<ActiveConnection> {
        let mut route = self.route(target).await?;
        loop {
            let prepared = PreparedRequest::new(&route, &self.options)?;
            log::debug!("opening {}", without_query(&route.target().to_string()));
            let options = route.options(&self.options);
            let mut dialer = self.dialer(&options);
            let stream = dialer.dial(route.target()).await?;
            match self.ask(&route, prepared, stream, dialer.timings()).await? {
                ExchangeOutcome::Opened(connection) => return Ok(route.arrive(*connection)),
                ExchangeOutcome::Refused(refused) if route.follow(&refused.head)? => {}
                ExchangeOutcome::Refused(refused) => return Err(self.refusal(*refused).await),
            }
        }
    }

    /// Asks once: the stream is used up by it.
    pub(super) async fn connect_over(&self, transport: Box<dyn Transport>, target: Target) -> Result<ActiveConnection> {
        self.cancellable(pin!(self.ask_over(transport, target))).await
    }

    async fn ask_over(&self, transport: Box<dyn Transport>, target: Target) -> Result<ActiveConnection> {
        let route = self.route(target).await?;
        let prepared = PreparedRequest::new(&route, &self.options)?;
        let mut dialer = self.dialer(&self.options);
        let stream = dialer.dial_over(transport, route.target()).await?;
        match self.ask(&route, prepared, stream, dialer.timings()).await? {
            ExchangeOutcome::Opened(connection) => Ok(route.arrive(*connection)),
            ExchangeOutcome::Refused(refused) => Err(self.refusal(*refused).await),
        }
    }

    /// The way to the target, with the header fields that the user's provider gives.
    async fn route(&self, target: Target) -> Result<Route<'_>> {
        let settings = self.options.settings();
        let provided = match settings.header_provider.clone() {
            Some(provider) => self.mode.run(Phase::Handshake, self.limit(), move || (provider.0)()).await??,
            None => Vec::new(),
        };
        Route::new(target, settings, provided)
    }

    fn dialer<'a>(&'a self, options: &'a ConnectOptions) -> Dialer<'a> {
        Dialer::new(options, &self.mode, self.deadline, self.tracer)
    }

    fn limit(&self) -> WaitLimit<'_> {
        WaitLimit { deadline: self.deadline, cancellation: self.options.settings().cancellation.as_ref() }
    }

    /// The subprotocols that the trace may show.
    fn public_subprotocols(&self) -> &[String] {
        &self.options.settings().public_subprotocols
    }

    /// Makes a request. Whatever the server says, it may set cookies with it.
    async fn ask(
        &self,
        route: &Route<'_>,
        prepared: PreparedRequest,
        stream: Stream,
        timings: Timings,
    ) -> Result<ExchangeOutcome> {
        let answer = self.exchange(stream, prepared, timings).await?;
        let headers = match &answer {
            ExchangeOutcome::Opened(connection) => connection.response.as_ref().map(|response| &response.headers),
            ExchangeOutcome::Refused(refused) => Some(&refused.head.headers),
        };
        if let Some(headers) = headers {
            self.options.settings().keep_cookies(route.target(), headers);
        }
        Ok(answer)
    }

    /// Does what can be cancelled. Whatever it then fails of, it is cancelled, and so it is if it succeeds nevertheless: what
    /// watched it may have ended it. Pinned by the caller, the opening is in memory once: a future that is moved in has room twice.
    async fn cancellable<T>(&self, open: Pin<&mut impl Future<Output = Result<T>>>) -> Result<T> {
        let is_cancelled = || self.options.settings().is_cancelled();
        if is_cancelled() {
            return Err(cancelled());
        }
        let opened = open.await;
        if is_cancelled() { Err(cancelled()) } else { opened }
    }

    /// Takes a stream whose opening handshake was done elsewhere.
    pub(super) fn take_open(
        &self,
        transport: Box<dyn Transport>,
        role: Role,
        received: &[u8],
        deflate: Option<PerMessageDeflate>,
    ) -> Result<ActiveConnection> {
        if received.len() > MAX_RECEIVED {
            let problem = format!("more than {MAX_RECEIVED} bytes");
            return Err(Error::Options(Box::new(OptionsError::new("received", problem))));
        }
        let compression = CompressionOffer::negotiated(deflate, role)?;
        Ok(self.establish(transport.into(), role, None, received, &compression))
    }

    /// Joins the halves that drive the connection from here on. `received` is what came behind the head: the first frames.
    fn establish(
        &self,
        stream: Stream,
        role: Role,
        response: Option<Response>,
        received: &[u8],
        compression: &CompressionOffer,
    ) -> ActiveConnection {
        let settings = self.options.settings();
        let keys = match &settings.mask_key {
            Some(key) => {
                let key = Arc::clone(&key.0);
                MaskKeys::each(Box::new(move || key()))
            }
            None => MaskKeys::pooled(system_entropy()),
        };
        let policy = if settings.skips_utf8_validation { TextPolicy::Skip } else { TextPolicy::Validate };
        let (mut inbound, outbound) = compression.halves(role, settings.limits, policy, keys);
        let mut rest = received;
        while !rest.is_empty() {
            // The window takes more than the limits on what came behind a handshake allow.
            rest = &rest[inbound.push(rest)..];
        }
        let tracer = self.tracer;
        ActiveConnection {
            shared: SharedConnection::new(stream, role, outbound, self.timeouts, settings.max_unsent(), tracer),
            reader: Mutex::new(Reader::new(inbound, self.timeouts.recv, tracer)),
            response: response.map(Box::new),
            timings: Timings::default(),
            visited: VisitedUrls::default(),
            deflate: compression.agreed(),
        }
    }

    async fn send(&self, stream: &Stream, bytes: &[u8]) -> Result<()> {
        self.mode.write_all(stream, bytes, self.deadline).await.map_err(failed)
    }
}

/// What went wrong with the connection to the other side of the handshake.
fn failed(error: io::Error) -> Error {
    stream_error(Phase::Handshake, error)
}

/// Masking keys come from the operating system's generator (RFC 6455, sections 5.3 and 10.3).
fn system_entropy() -> Entropy {
    Box::new(|bytes| {
        SysRng.try_fill_bytes(bytes).expect("a system that gave the nonce of the handshake gives random bytes");
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_default_timeout_of_zero_is_refused_although_it_is_another_by_the_time_of_the_connection() {
        let (zero, second) = (Duration::ZERO, Duration::from_secs(1));
        let open = |open, recv, send| {
            let timeouts = Timeouts { open, recv: Some(recv), send: Some(send), close: second };
            Opener::new(ConnectOptions::new(), timeouts, WaitMode::Blocking)
        };
        for (open_timeout, send_timeout) in [(zero, zero), (second, zero), (zero, second)] {
            let Err(Error::Options(error)) = open(open_timeout, zero, send_timeout) else { panic!("{open_timeout:?}") };
            assert_eq!(error.option, "set_default_timeout");
        }
        open(second, zero, second).unwrap();
    }
}
