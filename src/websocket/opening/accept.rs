//! The server's side of the opening handshake (RFC 6455, section 4.2).

use std::fmt;
use std::net::Shutdown;
use std::pin::pin;

use super::{ActiveConnection, Opener, failed};
use crate::error::{Error, HandshakeError, OptionsError, Result};
use crate::net::exchange::READ_SIZE;
use crate::net::{Deadline, Layer, Stream, Transport, WaitMode, block_on};
use crate::options::ConnectOptions;
use crate::protocol::Role;
use crate::protocol::handshake::{Acceptance, Rejection, Response, ServerHandshake, UpgradeRequest};
use crate::trace::HeadTap;
use crate::websocket::WebSocket;
use crate::websocket::compression::CompressionOffer;

/// What is read of a client that was refused, in bytes.
const MAX_DISCARDED: usize = 1 << 20;

/// A client's request that waits for its answer: what [`ConnectOptions::read_request`] returns. Dropped, it hangs up.
///
/// ```no_run
/// use std::net::TcpListener;
///
/// use websocket_sync::ConnectOptions;
/// use websocket_sync::protocol::handshake::{Acceptance, Rejection};
///
/// let (stream, _) = TcpListener::bind("127.0.0.1:9001")?.accept()?;
/// let pending = ConnectOptions::new().read_request(stream)?;
/// // A page of somebody else's must not speak for the user whose browser shows it.
/// if pending.request().headers.text("origin").is_some_and(|origin| origin != "https://app.example") {
///     pending.reject(Rejection::new(403), b"this origin is not allowed")?;
/// } else {
///     let mut client = pending.accept(Acceptance::default().header("Set-Cookie", "seen=1"))?;
///     client.send_text("welcome")?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "the client waits for the answer"]
pub struct PendingUpgrade {
    options: ConnectOptions,
    opener: Opener,
    requested: Requested,
}

/// A request with what answers it.
struct Requested {
    stream: Stream,
    handshake: ServerHandshake,
    request: UpgradeRequest,
}

impl PendingUpgrade {
    pub(in crate::websocket) fn read(options: &ConnectOptions, transport: Box<dyn Transport>) -> Result<Self> {
        let options = options.clone();
        let opener = Opener::new(options.clone(), options.settings().timeouts(), WaitMode::Blocking)?;
        let requested = block_on(async { opener.cancellable(pin!(opener.request(transport))).await })?;
        Ok(Self { options, opener, requested })
    }

    /// What the client asks for.
    pub const fn request(&self) -> &UpgradeRequest {
        &self.requested.request
    }

    /// Opens the WebSocket. The header fields of the options are sent, too; compression is agreed on as the options say. Where it fails,
    /// it hangs up.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] where the answer would not be one to this request, such as a subprotocol that was not offered;
    /// [`Error::Options`] for extensions, since [`deflate`](ConnectOptions::deflate) is the only one that a connection knows;
    /// [`Error::Timeout`] after the [open timeout](ConnectOptions::open_timeout), which begins anew; [`Error::Io`].
    pub fn accept(mut self, acceptance: Acceptance) -> Result<WebSocket> {
        if !acceptance.extensions.is_empty() {
            let problem = "extensions of the acceptance: the option `deflate` agrees on the only one that there is";
            return Err(Error::Options(Box::new(OptionsError::new("accept", problem))));
        }
        self.opener.begin_anew();
        let Self { options, opener, requested } = self;
        let mut ws = WebSocket::with_options(options);
        ws.connection = Some(block_on(async { opener.cancellable(pin!(opener.answer(requested, acceptance))).await })?);
        Ok(ws)
    }

    /// Refuses to open a WebSocket, with a body that may be empty, and hangs up. The rejection need not tell its length.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a rejection that cannot be sent as it is, or whose `Content-Length` is not that of the body;
    /// [`Error::Timeout`] after the [open timeout](ConnectOptions::open_timeout), which begins anew; [`Error::Io`].
    pub fn reject(mut self, mut rejection: Rejection, body: &[u8]) -> Result<()> {
        self.opener.begin_anew();
        let Self { opener, mut requested, .. } = self;
        if !body.is_empty() {
            rejection.has_body = true;
            if !rejection.headers.contains("Content-Length") && !rejection.headers.contains("Transfer-Encoding") {
                rejection = rejection.header("Content-Length", body.len().to_string());
            }
        }
        let mut answer = requested.handshake.reject(&rejection)?;
        if rejection.has_body {
            answer.extend(requested.handshake.finish_rejection(body)?);
        }
        block_on(async { opener.cancellable(pin!(opener.send_rejection(&requested.stream, &answer))).await })
    }
}

/// What is unread when a socket is closed makes a reset of that, and loses what is on its way to the client. Does not wait.
fn discard_unread(stream: &Stream) {
    let mut piece = [0; READ_SIZE];
    let mut left = MAX_DISCARDED;
    while left > 0
        && let Ok(length @ 1..) = stream.read(&mut piece, Deadline::NOW)
    {
        left = left.saturating_sub(length);
    }
}

impl fmt::Debug for PendingUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingUpgrade").field("request", &self.requested.request).finish_non_exhaustive()
    }
}

impl Opener {
    /// Reads a client's request and accepts it.
    pub(in crate::websocket) async fn accept(&self, transport: Box<dyn Transport>) -> Result<ActiveConnection> {
        self.cancellable(pin!(self.serve(transport))).await
    }

    async fn serve(&self, transport: Box<dyn Transport>) -> Result<ActiveConnection> {
        let requested = self.request(transport).await?;
        let ours = &self.options.settings().subprotocols;
        let subprotocol = requested.request.subprotocols.iter().find(|name| ours.contains(name)).cloned();
        self.answer(requested, Acceptance { subprotocol, ..Acceptance::default() }).await
    }

    /// Reads a client's request. One that is none is answered with a refusal.
    async fn request(&self, transport: Box<dyn Transport>) -> Result<Requested> {
        let mut dialer = self.dialer(&self.options);
        let stream = dialer.accept(transport).await?;
        let mut handshake = ServerHandshake::new(self.options.settings().head_limits);
        match self.read_request(&stream, &mut handshake).await {
            Ok(request) => Ok(Requested { stream, handshake, request }),
            Err(error) => {
                self.refuse(&stream, &mut handshake, &error).await;
                Err(error)
            }
        }
    }

    async fn read_request(&self, stream: &Stream, handshake: &mut ServerHandshake) -> Result<UpgradeRequest> {
        let mut tap = HeadTap::request(self.tracer, self.public_subprotocols());
        let mut piece = [0; READ_SIZE];
        loop {
            match self.mode.read(stream, &mut piece, self.deadline).await {
                Ok(0) => return Err(HandshakeError::Eof.into()),
                Ok(length) => {
                    tap.pass(&piece[..length]);
                    if let Some(request) = handshake.receive(&piece[..length])? {
                        return Ok(request);
                    }
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Accepts a request, with the compression and the header fields of the options besides.
    async fn answer(&self, requested: Requested, mut acceptance: Acceptance) -> Result<ActiveConnection> {
        let Requested { stream, mut handshake, request } = requested;
        let mut compression = CompressionOffer::new(&self.options)?;
        acceptance.extensions = compression.accept(&request.extensions);
        for (name, value) in &self.options.settings().headers {
            acceptance = acceptance.header(name, value.as_slice());
        }
        let answer = handshake.accept(&acceptance)?;
        self.tracer.send_response(&answer, self.public_subprotocols());
        self.send_answer(&stream, &answer).await?;
        let response = Response::accepted(request.headers, acceptance.subprotocol, acceptance.extensions);
        Ok(self.establish(stream, Role::Server, Some(response), &handshake.take_early_data(), &compression))
    }

    /// Tells the client why its request is none; whether it hears that changes nothing.
    async fn refuse(&self, stream: &Stream, handshake: &mut ServerHandshake, error: &Error) {
        let Error::Handshake(broken) = error else { return };
        let Some(rejection) = Rejection::for_error(broken) else { return };
        if let Ok(answer) = handshake.reject(&rejection) {
            let _ = self.send_rejection(stream, &answer).await;
        }
    }

    async fn send_rejection(&self, stream: &Stream, answer: &[u8]) -> Result<()> {
        self.tracer.send_response(answer, self.public_subprotocols());
        self.send_answer(stream, answer).await?;
        // The client may have gone.
        if stream.shutdown(Shutdown::Write).is_ok() {
            discard_unread(stream);
        }
        Ok(())
    }

    /// Sends an answer until that is cancelled: what has read the request may be gone, and its watch with it.
    async fn send_answer(&self, stream: &Stream, answer: &[u8]) -> Result<()> {
        let _watch = stream.watch(self.options.settings().cancellation.as_ref());
        self.send(stream, answer).await
    }
}
