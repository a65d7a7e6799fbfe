//! The opening handshake as events, for both roles: what wsproto calls `H11Handshake`.

use std::collections::VecDeque;

use super::event::{AcceptConnection, Event, RejectConnection, RejectData, Request};
use super::extension::{Extension, accept_extensions, finalize_extensions, offer_extensions, sort_extensions};
use crate::protocol::handshake::{
    Acceptance, BodyEnd, ClientRequest, ExtensionOffer, HandshakeError, HandshakeOffer, HeadLimits, KEY_LEN, Rejection,
    Response, ResponsePart, ResponseReader, ServerHandshake, UpgradeRequest,
};
use crate::protocol::{Entropy, LocalProtocolError};

/// An opening handshake that is not over.
#[derive(Debug)]
pub(super) enum OpeningHandshake {
    /// A client that has not sent its request.
    Idle(HeadLimits),
    /// A client that waits for the response to what it offered, or for the body of a refusal.
    Requested(HandshakeOffer, ResponseReader),
    /// A server.
    Server(ServerHandshake),
}

/// What a call has led to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum OpeningStep {
    /// The handshake goes on.
    Continues,
    /// The WebSocket is open; the bytes are those that came behind the handshake.
    Opened(Vec<u8>),
    /// The handshake is over, and there is no WebSocket.
    Ended,
}

impl OpeningHandshake {
    /// Whether a refusal is being received or sent.
    pub(super) const fn is_rejecting(&self) -> bool {
        match self {
            Self::Idle(_) => false,
            Self::Requested(_, reader) => reader.has_head(),
            Self::Server(handshake) => handshake.is_rejecting(),
        }
    }

    /// Sends an event: its bytes are appended to `out`.
    pub(super) fn send(
        &mut self,
        event: Event,
        extensions: &mut Vec<Box<dyn Extension>>,
        entropy: &mut Entropy,
        out: &mut Vec<u8>,
    ) -> Result<OpeningStep, LocalProtocolError> {
        match (&mut *self, event) {
            (Self::Idle(limits), Event::Request(request)) => {
                let mut key = [0; KEY_LEN];
                entropy(&mut key);
                let (mut bytes, offer) = to_client_request(request, extensions).encode(key)?;
                out.append(&mut bytes);
                *self = Self::Requested(offer, ResponseReader::new(*limits));
                Ok(OpeningStep::Continues)
            }
            (Self::Server(handshake), Event::AcceptConnection(accept)) => {
                out.append(&mut accept_request(handshake, accept, extensions)?);
                Ok(OpeningStep::Opened(handshake.take_early_data()))
            }
            (Self::Server(handshake), Event::RejectConnection(reject)) => {
                let RejectConnection { status_code: status, headers, has_body } = reject;
                out.append(&mut handshake.reject(&Rejection { status, reason: None, headers, has_body })?);
                Ok(if has_body { OpeningStep::Continues } else { OpeningStep::Ended })
            }
            (Self::Server(handshake), Event::RejectData(RejectData { data, body_finished: false })) => {
                out.append(&mut handshake.reject_data(&data)?);
                Ok(OpeningStep::Continues)
            }
            (Self::Server(handshake), Event::RejectData(RejectData { data, body_finished: true })) => {
                out.append(&mut handshake.finish_rejection(&data)?);
                Ok(OpeningStep::Ended)
            }
            (_, other) => Err(LocalProtocolError::Handshake(other.name())),
        }
    }

    /// Takes received bytes, or the end of the connection. After an error only a server goes on, if only to refuse.
    pub(super) fn receive(
        &mut self,
        data: Option<&[u8]>,
        extensions: &mut [Box<dyn Extension>],
        events: &mut VecDeque<Event>,
    ) -> Result<OpeningStep, HandshakeError> {
        match (self, data) {
            (Self::Requested(offer, reader), Some(bytes)) => receive_response(offer, reader, bytes, extensions, events),
            (Self::Requested(_, reader), None) => end_body(reader.read_eof()?, events),
            (Self::Server(handshake), Some(bytes)) => {
                if handshake.is_listening() {
                    events.extend(handshake.receive(bytes)?.map(|request| Event::Request(request.into())));
                }
                Ok(OpeningStep::Continues)
            }
            (Self::Server(handshake), None) if handshake.is_rejecting() => Ok(OpeningStep::Ended),
            // A response without a request is nobody's.
            (Self::Idle(_), Some(_)) => Err(HandshakeError::Over),
            (Self::Idle(_) | Self::Server(_), None) => Err(HandshakeError::Eof),
        }
    }
}

/// Server: the bytes that open the WebSocket. Before an extension takes note of anything, all else must be in order. After an error
/// no extension is left that is enabled and was not agreed upon.
fn accept_request(
    handshake: &mut ServerHandshake,
    accept: AcceptConnection,
    extensions: &mut Vec<Box<dyn Extension>>,
) -> Result<Vec<u8>, LocalProtocolError> {
    let AcceptConnection { subprotocol, extensions: named, extra_headers: headers } = accept;
    let mut acceptance = Acceptance { subprotocol, extensions: named, headers };
    let offer = handshake.offer()?;
    acceptance.encode(offer)?;
    let is_named = |name: &str| acceptance.extensions.iter().any(|named| named.name == name);
    if extensions.iter().any(|own| !own.enabled() && is_named(own.name())) {
        return Err(LocalProtocolError::RepeatedExtension);
    }
    let mut agreed = accept_extensions(&offer.extensions, extensions)
        .inspect_err(|_| extensions.retain(|own| !own.enabled() || is_named(own.name())))?;
    sort_extensions(extensions, &agreed);
    agreed.append(&mut acceptance.extensions);
    acceptance.extensions = agreed;
    handshake.accept(&acceptance)
}

fn receive_response(
    offer: &HandshakeOffer,
    reader: &mut ResponseReader,
    bytes: &[u8],
    extensions: &mut [Box<dyn Extension>],
    events: &mut VecDeque<Event>,
) -> Result<OpeningStep, HandshakeError> {
    let mut rest = bytes;
    while let Some(part) = reader.read(&mut rest)? {
        match part {
            ResponsePart::Head(head) if head.status == 101 => {
                let response = offer.judge(head)?;
                finalize_extensions(&response.extensions, extensions)?;
                sort_extensions(extensions, &response.extensions);
                events.push_back(Event::AcceptConnection(response.into()));
                return Ok(OpeningStep::Opened(rest.to_vec()));
            }
            ResponsePart::Head(head) => {
                let (status_code, headers) = (head.status, head.headers);
                events.push_back(Event::RejectConnection(RejectConnection { status_code, headers, has_body: true }));
            }
            ResponsePart::Body(data) => {
                events.push_back(Event::RejectData(RejectData { data: data.to_vec(), body_finished: false }));
            }
            ResponsePart::End(end) => return end_body(end, events),
        }
    }
    Ok(OpeningStep::Continues)
}

/// The body of a refusal has ended, well or not.
fn end_body(end: BodyEnd, events: &mut VecDeque<Event>) -> Result<OpeningStep, HandshakeError> {
    match end {
        BodyEnd::Malformed => Err(HandshakeError::RefusalBody),
        BodyEnd::ConnectionLost => Err(HandshakeError::Eof),
        BodyEnd::Complete | BodyEnd::LimitReached | BodyEnd::NotAwaited => {
            events.push_back(Event::RejectData(RejectData::default()));
            Ok(OpeningStep::Ended)
        }
    }
}

fn to_client_request(request: Request, extensions: &[Box<dyn Extension>]) -> ClientRequest {
    let Request { host, target, extensions: more, extra_headers, subprotocols } = request;
    let mut offers: Vec<String> = offer_extensions(extensions).into_iter().collect();
    offers.extend(more.iter().map(ExtensionOffer::to_string));
    let asked = ClientRequest::new(host, target).subprotocols(subprotocols).headers(extra_headers.iter());
    if offers.is_empty() { asked } else { asked.extensions(offers.join(", ")) }
}

impl From<UpgradeRequest> for Request {
    fn from(request: UpgradeRequest) -> Self {
        let of_their_own = ["host", "sec-websocket-extensions", "sec-websocket-protocol"];
        Self {
            host: request.host,
            target: request.target,
            extensions: request.extensions,
            extra_headers: request.headers.without(&of_their_own),
            subprotocols: request.subprotocols,
        }
    }
}

impl From<Response> for AcceptConnection {
    fn from(response: Response) -> Self {
        let of_their_own =
            ["upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"];
        Self {
            subprotocol: response.subprotocol,
            extensions: response.extensions,
            extra_headers: response.headers.without(&of_their_own),
        }
    }
}

impl From<Rejection> for RejectConnection {
    fn from(rejection: Rejection) -> Self {
        Self { status_code: rejection.status, headers: rejection.headers, has_body: rejection.has_body }
    }
}
