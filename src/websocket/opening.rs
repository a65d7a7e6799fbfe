//! The opening handshake over a stream, both roles (RFC 6455, section 4).

use std::io;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::Connection;
use super::compression::Compressing;
use super::entropy::{nonce, system};
use super::reader::Reader;
use super::shared::Shared;
use super::turn::is_timeout;
use crate::cancellation::Cancellation;
use crate::error::{CloseCause, CloseInfo, Error, HandshakeError, Phase, Refusal, Result};
use crate::net::{self, Deadline, Patience, Stream, Transport};
use crate::options::{ConnectOptions, Field, Timeouts};
use crate::protocol::handshake::{
    Acceptance, ClientHandshake, ClientRequest, Progress, Rejection, Response, ServerHandshake, UpgradeRequest,
};
use crate::protocol::{CloseCode, MaskKeys, Role, TextPolicy};
use crate::timings::Timings;
use crate::url::Target;

/// How long the body of a refusal is waited for; the status and the headers are worth more than it.
const REFUSAL_BODY: Duration = Duration::from_secs(5);

/// What is read at a time. It fits an empty receive window, so that what follows the head does too.
const PIECE: usize = 4096;

/// One attempt to make a connection: how, and by when.
#[derive(Debug)]
pub(super) struct Opening<'a> {
    options: &'a ConnectOptions,
    timeouts: Timeouts,
    deadline: Deadline,
}

impl<'a> Opening<'a> {
    pub(super) fn new(options: &'a ConnectOptions, timeouts: Timeouts) -> Result<Self> {
        options.validate()?;
        Ok(Self { options, timeouts, deadline: Deadline::after(Some(timeouts.open)) })
    }

    pub(super) fn connect(&self, url: &str) -> Result<Connection> {
        let target = Target::parse(url)?;
        let compressing = Compressing::new(self.options)?;
        let (handshake, request) = self.begin(&target, &compressing)?;
        let mut timings = Timings::default();
        self.cancellable(|| {
            let stream = net::dial(&target, self.options, self.deadline, &mut timings)?;
            let opened = self.open(stream, handshake, &request, compressing, timings);
            self.keep_cookies(&target, &opened);
            opened
        })
    }

    pub(super) fn connect_over(&self, transport: Box<dyn Transport>, url: &str) -> Result<Connection> {
        let target = Target::parse(url)?;
        let compressing = Compressing::new(self.options)?;
        let (handshake, request) = self.begin(&target, &compressing)?;
        let mut timings = Timings::default();
        self.cancellable(|| {
            let stream = net::over(transport, &target, self.options, self.deadline, &mut timings)?;
            let opened = self.open(stream, handshake, &request, compressing, timings);
            self.keep_cookies(&target, &opened);
            opened
        })
    }

    pub(super) fn accept(&self, transport: Box<dyn Transport>) -> Result<Connection> {
        let mut compressing = Compressing::new(self.options)?;
        let stream = net::accept(transport, self.options, self.deadline)?;
        let mut handshake = ServerHandshake::new(self.options.settings().head_limits);
        let request = match self.read_request(&stream, &mut handshake) {
            Ok(request) => request,
            Err(error) => {
                self.refuse(&stream, &mut handshake, &error);
                return Err(error);
            }
        };
        let settings = self.options.settings();
        let subprotocol = request.subprotocols.into_iter().find(|name| settings.subprotocols.contains(name));
        let mut acceptance = Acceptance { subprotocol, ..Acceptance::default() };
        acceptance.extensions = compressing.accept(&request.extensions);
        for (name, value) in &settings.headers {
            acceptance = acceptance.header(name, value.as_str());
        }
        self.send(&stream, &handshake.accept(&acceptance)?)?;
        let response = Response::accepted(request.headers, acceptance.subprotocol, acceptance.extensions);
        Ok(self.establish(stream, Role::Server, response, &handshake.take_early_data(), &compressing))
    }

    /// Does what can be called off. Whatever it then fails of, it is called off, and so it is if it succeeds nevertheless: what
    /// watched it may have ended it.
    fn cancellable(&self, open: impl FnOnce() -> Result<Connection>) -> Result<Connection> {
        let is_cancelled = || self.options.settings().cancellation.as_ref().is_some_and(Cancellation::is_cancelled);
        if is_cancelled() {
            return Err(cancelled());
        }
        let opened = open();
        if is_cancelled() { Err(cancelled()) } else { opened }
    }

    /// Makes the request before anything is connected, so that what must not be sent is refused before a byte is.
    fn begin(&self, target: &Target, compressing: &Compressing) -> Result<(ClientHandshake, Vec<u8>)> {
        let mut request = request(target, self.options);
        if let Some(offer) = compressing.offer() {
            request = request.extensions(offer);
        }
        Ok(ClientHandshake::new(&request, self.options.settings().head_limits, nonce()?)?)
    }

    fn open(
        &self,
        stream: Stream,
        mut handshake: ClientHandshake,
        request: &[u8],
        mut compressing: Compressing,
        mut timings: Timings,
    ) -> Result<Connection> {
        let start = Instant::now();
        let _watch = stream.watch(self.options.settings().cancellation.as_ref());
        self.send(&stream, request)?;
        let mut piece = [0; PIECE];
        let mut deadline = self.deadline;
        let mut refused_before = false;
        loop {
            let progress = match stream.read(&mut piece, deadline) {
                Ok(0) => Progress::Refused(handshake.receive_eof()?),
                Ok(length) => handshake.receive(&piece[..length])?,
                Err(error) => return Err(interrupted(handshake, error)),
            };
            match progress {
                Progress::NeedMore => {}
                Progress::Refused(refusal) => return Err(refused(refusal)),
                Progress::Accepted { response, surplus } => {
                    compressing.finalize(&response.extensions)?;
                    log::debug!("connection opened");
                    timings.handshake = Some(start.elapsed());
                    let mut connection = self.establish(stream, Role::Client, response, &surplus, &compressing);
                    connection.timings = timings;
                    return Ok(connection);
                }
            }
            if handshake.is_refused() && !refused_before {
                refused_before = true;
                deadline = deadline.min(Deadline::after(Some(REFUSAL_BODY)));
            }
        }
    }

    /// Whatever the server says, it may set cookies with it.
    fn keep_cookies(&self, target: &Target, opened: &Result<Connection>) {
        let settings = self.options.settings();
        match opened {
            Ok(connection) => settings.keep_cookies(target, &connection.response.headers),
            Err(Error::Refused(refusal)) => settings.keep_cookies(target, &refusal.headers),
            Err(_) => {}
        }
    }

    /// Joins the halves that drive the connection from here on. `surplus` is what came behind the head: the first frames.
    fn establish(
        &self,
        stream: Stream,
        role: Role,
        response: Response,
        surplus: &[u8],
        compressing: &Compressing,
    ) -> Connection {
        let settings = self.options.settings();
        let keys = match &settings.mask_key {
            Some(key) => {
                let key = Arc::clone(&key.0);
                MaskKeys::each(Box::new(move || key()))
            }
            None => MaskKeys::pooled(system()),
        };
        let policy = if settings.skips_utf8_validation { TextPolicy::Skip } else { TextPolicy::Validate };
        let (mut inbound, outbound) = compressing.halves(role, settings.limits, policy, keys);
        let pushed = inbound.push(surplus);
        debug_assert_eq!(pushed, surplus.len(), "a piece fits an empty window");
        Connection {
            shared: Arc::new(Shared::new(stream, role, outbound, self.timeouts, settings.max_unsent())),
            reader: Mutex::new(Reader::new(inbound, self.timeouts.recv)),
            response: Box::new(response),
            timings: Timings::default(),
            #[cfg(feature = "deflate")]
            deflate: compressing.agreed(),
        }
    }

    fn read_request(&self, stream: &Stream, handshake: &mut ServerHandshake) -> Result<UpgradeRequest> {
        let mut piece = [0; PIECE];
        loop {
            match stream.read(&mut piece, self.deadline) {
                Ok(0) => return Err(HandshakeError::Eof.into()),
                Ok(length) => {
                    if let Some(request) = handshake.receive(&piece[..length])? {
                        return Ok(request);
                    }
                }
                Err(error) => return Err(phase(error)),
            }
        }
    }

    /// Tells the client why its request is none; whether it hears that changes nothing.
    fn refuse(&self, stream: &Stream, handshake: &mut ServerHandshake, error: &Error) {
        let Error::Handshake(broken) = error else { return };
        let Some(rejection) = Rejection::for_error(broken) else { return };
        if let Ok(answer) = handshake.reject(&rejection) {
            let _ = self.send(stream, &answer);
            let _ = stream.shutdown(Shutdown::Write);
        }
    }

    fn send(&self, stream: &Stream, bytes: &[u8]) -> Result<()> {
        stream.write_all(bytes, Patience::until(self.deadline)).map_err(|failure| phase(failure.error))
    }
}

fn request(target: &Target, options: &ConnectOptions) -> ClientRequest {
    let settings = options.settings();
    let host = match &settings.host {
        Field::Given(host) => host.clone(),
        Field::Derived | Field::Suppressed => target.host_header(),
    };
    let mut request = ClientRequest::new(host, &target.resource)
        .subprotocols(settings.subprotocols.iter().cloned())
        .headers(settings.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    if settings.host == Field::Suppressed {
        request = request.suppress_host();
    }
    request = match &settings.origin {
        Field::Derived => request.origin(target.origin()),
        Field::Given(origin) => request.origin(origin),
        Field::Suppressed => request,
    };
    let authorized = settings.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    if let Some(userinfo) = target.userinfo.as_ref().filter(|_| !authorized) {
        request = request.basic_authorization(&userinfo.bytes());
    }
    if let Some(connection) = &settings.connection {
        request = request.connection(connection);
    }
    match settings.cookies_for(target, settings.cookie.as_deref()) {
        Some(cookie) => request.cookie(cookie),
        None => request,
    }
}

/// The answer broke off. If it was a refusal, that says more than the error.
fn interrupted(handshake: ClientHandshake, error: io::Error) -> Error {
    match handshake.finish_refusal() {
        Some(refusal) => refused(refusal),
        None => phase(error),
    }
}

#[cold]
fn cancelled() -> Error {
    Error::Closed(Box::new(CloseInfo::new(CloseCode::ABNORMAL_CLOSURE, "", CloseCause::Cancelled)))
}

fn refused(refusal: Refusal) -> Error {
    Error::Refused(Box::new(refusal))
}

fn phase(error: io::Error) -> Error {
    if is_timeout(&error) { Error::Timeout(Phase::Handshake) } else { Error::Io { phase: Phase::Handshake, error } }
}
