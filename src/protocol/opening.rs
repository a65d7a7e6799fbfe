//! The opening handshake as events, for both roles: what wsproto calls `H11Handshake`.

use std::collections::VecDeque;

use super::error::LocalProtocolError;
use super::event::{AcceptConnection, Event, RejectConnection, RejectData, Request};
use super::extension::Extension;
use super::handshake::{
    Acceptance, Answer, AnswerReader, Body, BodyEnd, ClientRequest, ExtensionOffer, HandshakeError, HeadLimits,
    KEY_LEN, Refusal, Rejection, Response, ServerHandshake, UpgradeRequest, accept_extensions, finalize_extensions,
    offer_extensions, sort_extensions,
};
use super::mask::Entropy;

/// An opening handshake that is not over.
#[derive(Debug)]
pub(super) enum Opening {
    /// A client that has not asked yet.
    Idle(HeadLimits),
    /// A client that waits for the answer.
    Asked(AnswerReader),
    /// A client that receives the body of a refusal.
    Refused(Body),
    /// A server.
    Server(ServerHandshake),
}

/// What became of the handshake.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It goes on.
    Continues,
    /// The WebSocket is open; the bytes are those that came behind the handshake.
    Opened(Vec<u8>),
    /// It is over, and there is no WebSocket.
    Ended,
}

impl Opening {
    /// Whether a refusal is being received or sent.
    pub(super) const fn is_rejecting(&self) -> bool {
        match self {
            Self::Idle(_) | Self::Asked(_) => false,
            Self::Refused(_) => true,
            Self::Server(handshake) => handshake.is_rejecting(),
        }
    }

    /// Client: sends the request. The bytes are appended to `out`.
    pub(super) fn ask(
        &mut self,
        request: Request,
        extensions: &[Box<dyn Extension>],
        entropy: &mut Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), LocalProtocolError> {
        let Self::Idle(limits) = *self else {
            return Err(LocalProtocolError::Handshake("Request"));
        };
        let mut key = [0; KEY_LEN];
        entropy(&mut key);
        let (reader, mut bytes) = AnswerReader::ask(&to_client_request(request, extensions), limits, key)?;
        out.append(&mut bytes);
        *self = Self::Asked(reader);
        Ok(())
    }

    /// Server: opens the WebSocket. The bytes are appended to `out`; what is returned came behind the request.
    pub(super) fn accept(
        &mut self,
        accept: AcceptConnection,
        extensions: &mut [Box<dyn Extension>],
        out: &mut Vec<u8>,
    ) -> Result<Vec<u8>, LocalProtocolError> {
        let Self::Server(handshake) = self else {
            return Err(LocalProtocolError::Handshake("AcceptConnection"));
        };
        let AcceptConnection { subprotocol, extensions: more, extra_headers: headers } = accept;
        let mut acceptance = Acceptance { subprotocol, extensions: more, headers };
        // Before an extension takes note of anything, all else must be in order.
        let request = handshake.check(&acceptance)?;
        let mut agreed = accept_extensions(&request.extensions, extensions)?;
        sort_extensions(extensions, &agreed);
        agreed.append(&mut acceptance.extensions);
        acceptance.extensions = agreed;
        out.append(&mut handshake.accept(&acceptance)?);
        Ok(handshake.take_early_data())
    }

    /// Server: refuses. The bytes are appended to `out`; returns whether that is all.
    pub(super) fn reject(&mut self, reject: RejectConnection, out: &mut Vec<u8>) -> Result<bool, LocalProtocolError> {
        let Self::Server(handshake) = self else {
            return Err(LocalProtocolError::Handshake("RejectConnection"));
        };
        let RejectConnection { status_code: status, headers, has_body } = reject;
        out.append(&mut handshake.reject(&Rejection { status, headers, has_body })?);
        Ok(!has_body)
    }

    /// Server: goes on with the body of the refusal. The bytes are appended to `out`; returns whether that is all.
    pub(super) fn reject_data(&mut self, part: &RejectData, out: &mut Vec<u8>) -> Result<bool, LocalProtocolError> {
        let Self::Server(handshake) = self else {
            return Err(LocalProtocolError::Handshake("RejectData"));
        };
        let mut bytes = match part.body_finished {
            true => handshake.finish_rejection(&part.data)?,
            false => handshake.reject_data(&part.data)?,
        };
        out.append(&mut bytes);
        Ok(part.body_finished)
    }

    /// Takes received bytes, or the end of the connection. After an error only a server goes on, if only to refuse.
    pub(super) fn receive(
        &mut self,
        data: Option<&[u8]>,
        extensions: &mut [Box<dyn Extension>],
        events: &mut VecDeque<Event>,
    ) -> Result<Outcome, HandshakeError> {
        match (&mut *self, data) {
            (Self::Server(handshake), Some(bytes)) => receive_request(handshake, bytes, events),
            (Self::Asked(reader), Some(bytes)) => match reader.receive(bytes)? {
                None => Ok(Outcome::Continues),
                Some((taken, Answer::Accepted(response))) => {
                    finalize_extensions(&response.extensions, extensions)?;
                    sort_extensions(extensions, &response.extensions);
                    events.push_back(Event::AcceptConnection(response.into()));
                    Ok(Outcome::Opened(bytes[taken..].to_vec()))
                }
                Some((taken, Answer::Refused(refusal, mut body))) => {
                    events.push_back(Event::RejectConnection(refusal.into()));
                    let outcome = receive_body(&mut body, &bytes[taken..], events);
                    *self = Self::Refused(body);
                    outcome
                }
            },
            (Self::Refused(body), Some(bytes)) => receive_body(body, bytes, events),
            (Self::Refused(body), None) => end_body(body.end_of_connection(), events),
            // Nobody was asked, so nobody can have answered.
            (Self::Idle(_), Some(_)) => Err(HandshakeError::Over),
            (Self::Server(handshake), None) if handshake.is_rejecting() => Ok(Outcome::Ended),
            (Self::Idle(_) | Self::Asked(_) | Self::Server(_), None) => Err(HandshakeError::Eof),
        }
    }
}

fn receive_request(
    handshake: &mut ServerHandshake,
    bytes: &[u8],
    events: &mut VecDeque<Event>,
) -> Result<Outcome, HandshakeError> {
    if handshake.is_listening() {
        events.extend(handshake.receive(bytes)?.map(|request| Event::Request(request.into())));
    }
    Ok(Outcome::Continues)
}

fn receive_body(body: &mut Body, bytes: &[u8], events: &mut VecDeque<Event>) -> Result<Outcome, HandshakeError> {
    let mut rest = bytes;
    loop {
        if let Some(end) = body.end() {
            return end_body(end, events);
        }
        if rest.is_empty() {
            return Ok(Outcome::Continues);
        }
        let (taken, data) = body.decode(rest);
        if !data.is_empty() {
            events.push_back(Event::RejectData(RejectData { data: data.to_vec(), body_finished: false }));
        }
        rest = &rest[taken..];
    }
}

/// The body has ended, well or not.
fn end_body(end: BodyEnd, events: &mut VecDeque<Event>) -> Result<Outcome, HandshakeError> {
    match end {
        BodyEnd::Malformed => Err(HandshakeError::RefusalBody),
        BodyEnd::ConnectionLost => Err(HandshakeError::Eof),
        _ => {
            events.push_back(Event::RejectData(RejectData::default()));
            Ok(Outcome::Ended)
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
        let told_apart = ["host", "sec-websocket-extensions", "sec-websocket-protocol"];
        Self {
            host: request.host,
            target: request.target,
            extensions: request.extensions,
            extra_headers: request.headers.without(&told_apart),
            subprotocols: request.subprotocols,
        }
    }
}

impl From<Response> for AcceptConnection {
    fn from(response: Response) -> Self {
        let told_apart =
            ["upgrade", "connection", "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-protocol"];
        Self {
            subprotocol: response.subprotocol,
            extensions: response.extensions,
            extra_headers: response.headers.without(&told_apart),
        }
    }
}

impl From<Refusal> for RejectConnection {
    fn from(refusal: Refusal) -> Self {
        Self { status_code: refusal.status, headers: refusal.headers, has_body: true }
    }
}

impl From<Rejection> for RejectConnection {
    fn from(rejection: Rejection) -> Self {
        Self { status_code: rejection.status, headers: rejection.headers, has_body: rejection.has_body }
    }
}
