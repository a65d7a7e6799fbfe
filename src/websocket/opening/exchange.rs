//! One request and its answer (RFC 6455, section 4.1).

use std::pin::pin;
use std::time::Instant;

use super::route::Route;
use super::{ActiveConnection, Opener, failed};
use crate::error::{Error, Phase, Refusal, Result};
use crate::net::exchange::{READ_SIZE, REFUSAL_BODY, nonce, response_after};
use crate::net::{Deadline, Stream, WaitMode};
use crate::options::ConnectOptions;
use crate::protocol::Role;
use crate::protocol::handshake::{ClientHandshake, HandshakeOutcome};
use crate::timings::Timings;
use crate::trace::HeadTap;
use crate::websocket::compression::CompressionOffer;

/// A request that is ready to be sent, and what its answer will be checked against.
pub(super) struct PreparedRequest {
    handshake: ClientHandshake,
    request: Vec<u8>,
    compression: CompressionOffer,
}

impl PreparedRequest {
    /// The request of a hop, with a key of its own.
    pub(super) fn new(route: &Route<'_>, options: &ConnectOptions) -> Result<Self> {
        let compression = CompressionOffer::new(options)?;
        let mut request = route.request();
        if let Some(offer) = compression.offer() {
            request = request.extensions(offer);
        }
        let settings = options.settings();
        let (mut handshake, request) = ClientHandshake::new(&request, settings.head_limits, nonce(Phase::Handshake)?)?;
        if settings.has_lenient_handshake {
            handshake = handshake.lenient();
        }
        Ok(Self { handshake, request, compression })
    }
}

/// What came of a request.
#[derive(Debug)]
pub(super) enum ExchangeOutcome {
    Opened(Box<ActiveConnection>),
    Refused(Box<Refused>),
}

/// A refusal of which the body may still be on its way.
#[derive(Debug)]
pub(super) struct Refused {
    /// As much as has come.
    pub(super) head: Refusal,
    unread: Option<(Stream, ClientHandshake)>,
}

impl ExchangeOutcome {
    fn refused(head: Refusal, unread: Option<(Stream, ClientHandshake)>) -> Self {
        Self::Refused(Box::new(Refused { head, unread }))
    }
}

impl Opener {
    /// Sends the request and reads the answer, of a refusal no more than the head.
    pub(super) async fn exchange(
        &self,
        stream: Stream,
        prepared: PreparedRequest,
        timings: Timings,
    ) -> Result<ExchangeOutcome> {
        let start = Instant::now();
        self.tracer.send_request(&prepared.request, self.public_subprotocols());
        let written = self.send(&stream, &prepared.request).await;
        let response = pin!(self.read_response(stream, prepared, timings, start));
        response_after(written, response, |outcome| matches!(outcome, ExchangeOutcome::Refused(_))).await
    }

    async fn read_response(
        &self,
        stream: Stream,
        prepared: PreparedRequest,
        mut timings: Timings,
        start: Instant,
    ) -> Result<ExchangeOutcome> {
        let PreparedRequest { mut handshake, mut compression, .. } = prepared;
        let mut tap = HeadTap::response(self.tracer, self.public_subprotocols());
        let mut piece = [0; READ_SIZE];
        loop {
            let outcome = match self.mode.read(&stream, &mut piece, self.deadline).await.map_err(failed)? {
                0 => Some(HandshakeOutcome::Refused(handshake.receive_eof()?)),
                length => {
                    tap.pass(&piece[..length]);
                    handshake.receive(&piece[..length])?
                }
            };
            match outcome {
                None => {}
                Some(HandshakeOutcome::Refused(head)) => return Ok(ExchangeOutcome::refused(head, None)),
                Some(HandshakeOutcome::Accepted { response, surplus }) => {
                    compression.finalize(&response.extensions)?;
                    log::debug!("connection opened");
                    timings.handshake = Some(start.elapsed());
                    let mut connection = self.establish(stream, Role::Client, Some(response), &surplus, &compression);
                    connection.timings = timings;
                    return Ok(ExchangeOutcome::Opened(Box::new(connection)));
                }
            }
            if let Some(head) = handshake.refusal().cloned() {
                return Ok(ExchangeOutcome::refused(head, Some((stream, handshake))));
            }
        }
    }

    /// A refusal that is the end, with as much of its body as comes in time.
    pub(super) async fn refusal(&self, refused: Refused) -> Error {
        let deadline = self.deadline.min(Deadline::after(Some(REFUSAL_BODY)));
        Error::Refused(Box::new(refused.with_body(&self.mode, deadline).await))
    }
}

impl Refused {
    async fn with_body(self, mode: &WaitMode, deadline: Deadline) -> Refusal {
        let Some((stream, mut handshake)) = self.unread else { return self.head };
        let mut piece = [0; READ_SIZE];
        loop {
            let outcome = match mode.read(&stream, &mut piece, deadline).await {
                Ok(0) => return handshake.receive_eof().unwrap_or(self.head),
                Ok(length) => handshake.receive(&piece[..length]),
                Err(_) => return handshake.finish_refusal().unwrap_or(self.head),
            };
            match outcome {
                Ok(None) => {}
                Ok(Some(HandshakeOutcome::Refused(refusal))) => return refusal,
                Ok(Some(HandshakeOutcome::Accepted { .. })) | Err(_) => return self.head,
            }
        }
    }
}
