//! The server's side of the opening handshake (RFC 6455, section 4.2).

use std::net::Shutdown;
use std::pin::pin;

use super::{ActiveConnection, Opener, failed};
use crate::error::{Error, HandshakeError, Result};
use crate::net::exchange::READ_SIZE;
use crate::net::{Stream, Transport};
use crate::protocol::Role;
use crate::protocol::handshake::{Acceptance, Rejection, Response, ServerHandshake, UpgradeRequest};
use crate::trace::HeadTap;
use crate::websocket::compression::CompressionOffer;

impl Opener {
    /// Reads a client's request and accepts it.
    pub(in crate::websocket) async fn accept(&self, transport: Box<dyn Transport>) -> Result<ActiveConnection> {
        self.cancellable(pin!(self.serve(transport))).await
    }

    async fn serve(&self, transport: Box<dyn Transport>) -> Result<ActiveConnection> {
        let mut compression = CompressionOffer::new(&self.options)?;
        let mut dialer = self.dialer(&self.options);
        let stream = dialer.accept(transport).await?;
        let mut handshake = ServerHandshake::new(self.options.settings().head_limits);
        let request = match self.read_request(&stream, &mut handshake).await {
            Ok(request) => request,
            Err(error) => {
                self.refuse(&stream, &mut handshake, &error).await;
                return Err(error);
            }
        };
        let settings = self.options.settings();
        let subprotocol = request.subprotocols.into_iter().find(|name| settings.subprotocols.contains(name));
        let mut acceptance = Acceptance { subprotocol, ..Acceptance::default() };
        acceptance.extensions = compression.accept(&request.extensions);
        for (name, value) in &settings.headers {
            acceptance = acceptance.header(name, value.as_slice());
        }
        let answer = handshake.accept(&acceptance)?;
        self.tracer.send_response(&answer, self.public_subprotocols());
        self.send(&stream, &answer).await?;
        let response = Response::accepted(request.headers, acceptance.subprotocol, acceptance.extensions);
        Ok(self.establish(stream, Role::Server, Some(response), &handshake.take_early_data(), &compression))
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

    /// Tells the client why its request is none; whether it hears that changes nothing.
    async fn refuse(&self, stream: &Stream, handshake: &mut ServerHandshake, error: &Error) {
        let Error::Handshake(broken) = error else { return };
        let Some(rejection) = Rejection::for_error(broken) else { return };
        if let Ok(answer) = handshake.reject(&rejection) {
            self.tracer.send_response(&answer, self.public_subprotocols());
            let _ = self.send(stream, &answer).await;
            let _ = stream.shutdown(Shutdown::Write);
        }
    }
}
