//! The opening handshake over a stream, both roles (RFC 6455, section 4).

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Connection;
use super::entropy::{nonce, system};
use super::reader::Reader;
use super::shared::Shared;
use super::turn::is_timeout;
use crate::error::{Error, HandshakeError, Phase, Refusal, Result};
use crate::net::{self, Deadline, Patience, Stream, Transport};
use crate::options::{ConnectOptions, HostField, OriginField};
use crate::protocol::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Progress, Rejection, Response, ServerHandshake, UpgradeRequest,
};
use crate::protocol::{Inbound, MaskKeys, Outbound, Role};
use crate::url::Target;

/// How long the body of a refusal is waited for; the status and the headers are worth more than it.
const REFUSAL_BODY: Duration = Duration::from_secs(5);

/// What is read at a time. It fits an empty receive window, so that what follows the head does too.
const PIECE: usize = 4096;

pub(super) fn connect(url: &str, options: &ConnectOptions) -> Result<Connection> {
    let target = Target::parse(url)?;
    options.validate()?;
    let deadline = Deadline::after(Some(options.open_timeout));
    let (handshake, request) = begin(&target, options)?;
    let stream = net::dial(&target, options, deadline)?;
    open(stream, handshake, &request, options, deadline)
}

pub(super) fn connect_over(transport: Box<dyn Transport>, url: &str, options: &ConnectOptions) -> Result<Connection> {
    let target = Target::parse(url)?;
    options.validate()?;
    let deadline = Deadline::after(Some(options.open_timeout));
    let (handshake, request) = begin(&target, options)?;
    let stream = net::over(transport, &target, options, deadline)?;
    open(stream, handshake, &request, options, deadline)
}

pub(super) fn accept(transport: Box<dyn Transport>, options: &ConnectOptions) -> Result<Connection> {
    options.validate()?;
    let deadline = Deadline::after(Some(options.open_timeout));
    let stream = net::accept(transport, options, deadline)?;
    let mut handshake = ServerHandshake::new(options.head_limits);
    let request = match read_request(&stream, &mut handshake, deadline) {
        Ok(request) => request,
        Err(error) => {
            refuse(&stream, &mut handshake, &error, deadline);
            return Err(error);
        }
    };
    let subprotocol = request.subprotocols.iter().find(|offered| options.subprotocols.contains(offered));
    let mut acceptance = Acceptance::default();
    acceptance.subprotocol = subprotocol.cloned();
    for (name, value) in &options.headers {
        acceptance = acceptance.header(name, value.as_str());
    }
    let answer = handshake.accept(&acceptance)?;
    send(&stream, &answer, deadline)?;
    let response = Response::accepted(request.headers, acceptance.subprotocol);
    let early = handshake.take_early_data();
    Ok(establish(stream, Role::Server, response, &early, options))
}

/// Makes the request before anything is connected, so that what must not be sent is refused before a byte is.
fn begin(target: &Target, options: &ConnectOptions) -> Result<(ClientHandshake, Vec<u8>)> {
    let request = request(target, options);
    Ok(ClientHandshake::new(&request, options.head_limits, nonce()?)?)
}

fn open(
    stream: Stream,
    mut handshake: ClientHandshake,
    request: &[u8],
    options: &ConnectOptions,
    deadline: Deadline,
) -> Result<Connection> {
    send(&stream, request, deadline)?;
    let mut piece = [0; PIECE];
    let mut deadline = deadline;
    let mut waits_for_body = false;
    loop {
        let progress = match stream.read(&mut piece, deadline) {
            Ok(0) => Progress::Refused(handshake.receive_eof()?),
            Ok(length) => handshake.receive(&piece[..length])?,
            Err(error) => return Err(interrupted(handshake, &error)),
        };
        match progress {
            Progress::NeedMore if handshake.is_refused() && !waits_for_body => {
                waits_for_body = true;
                deadline = deadline.min(Deadline::after(Some(REFUSAL_BODY)));
            }
            Progress::NeedMore => {}
            Progress::Refused(refusal) => return Err(refused(refusal)),
            Progress::Accepted { response, surplus } => {
                log::debug!("connection opened");
                return Ok(establish(stream, Role::Client, response, &surplus, options));
            }
        }
    }
}

/// Joins the halves that drive the connection from here on. `surplus` is what came behind the head: the first frames.
fn establish(stream: Stream, role: Role, response: Response, surplus: &[u8], options: &ConnectOptions) -> Connection {
    let keys = match &options.mask_key {
        Some(key) => {
            let key = Arc::clone(key);
            MaskKeys::each(Box::new(move || key()))
        }
        None => MaskKeys::pooled(system()),
    };
    let outbound = Outbound::with_extensions(role, keys, Vec::new());
    let mut inbound = Inbound::with_extensions(role, options.limits, options.text_policy, Vec::new());
    let pushed = inbound.push(surplus);
    debug_assert_eq!(pushed, surplus.len(), "a piece fits an empty window");
    let shared = Shared::new(stream, role, outbound, options.send_timeouts());
    Connection {
        shared: Arc::new(shared),
        reader: Mutex::new(Reader::new(inbound, options.recv_timeout)),
        response: Box::new(response),
    }
}

fn request(target: &Target, options: &ConnectOptions) -> ClientRequest {
    let mut request = ClientRequest::new(target.host_header(), &target.resource)
        .subprotocols(options.subprotocols.iter().cloned())
        .headers(options.headers.iter().cloned());
    request = match &options.host {
        HostField::Default => request,
        HostField::Custom(host) => request.host(host),
        HostField::Suppressed => request.suppress_host(),
    };
    request = match &options.origin {
        OriginField::Default => request.origin(target.origin()),
        OriginField::Custom(origin) => request.origin(origin),
        OriginField::Suppressed => request,
    };
    if let Some(connection) = &options.connection {
        request = request.connection(connection);
    }
    match &options.cookie {
        Some(cookie) => request.cookie(cookie),
        None => request,
    }
}

fn read_request(stream: &Stream, handshake: &mut ServerHandshake, deadline: Deadline) -> Result<UpgradeRequest> {
    let mut piece = [0; PIECE];
    loop {
        match stream.read(&mut piece, deadline) {
            Ok(0) => return Err(HandshakeError::Eof.into()),
            Ok(length) => {
                if let Some(request) = handshake.receive(&piece[..length])? {
                    return Ok(request);
                }
            }
            Err(error) => return Err(phase(&error)),
        }
    }
}

/// Tells the client why its request is none; whether it hears that changes nothing.
fn refuse(stream: &Stream, handshake: &mut ServerHandshake, error: &Error, deadline: Deadline) {
    let Error::Handshake(broken) = error else { return };
    let Some(rejection) = Rejection::for_error(broken) else { return };
    if let Ok(answer) = handshake.reject(&rejection) {
        let _ = send(stream, &answer, deadline);
        let _ = stream.shutdown(Shutdown::Write);
    }
}

fn send(stream: &Stream, bytes: &[u8], deadline: Deadline) -> Result<()> {
    stream.write_all(bytes, Patience::until(deadline)).map_err(|failure| phase(&failure.error))
}

/// The answer broke off. If it was a refusal, that says more than the error.
fn interrupted(handshake: ClientHandshake, error: &io::Error) -> Error {
    match handshake.finish_refusal() {
        Some(refusal) => refused(refusal),
        None => phase(error),
    }
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused(Box::new(refusal))
}

fn phase(error: &io::Error) -> Error {
    if is_timeout(error) { Error::Timeout(Phase::Handshake) } else { Error::Io(error.kind().into()) }
}
