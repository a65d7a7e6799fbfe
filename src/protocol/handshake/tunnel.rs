//! A tunnel through an HTTP proxy: `CONNECT`, and how its response is read (RFC 9110, section 9.3.6).

use super::client::{Refusal, Verdict, VerdictReader};
use super::error::HandshakeError;
use super::headers::Headers;
use super::http::{BodyEnd, HeadLimits, ResponseHead};
use super::request::is_host;
use crate::protocol::LocalProtocolError;

/// The bytes of a request for a tunnel to `authority`, a host and port.
///
/// Fields of the user's replace those that there are by themselves.
///
/// # Errors
///
/// [`LocalProtocolError::IllegalCharacter`] for a field that would break out of its line,
/// [`LocalProtocolError::RepeatedHeader`] for one that there is only one of, and [`LocalProtocolError::HeaderValue`] for a `Host`
/// that is none and for one that announces a body.
pub(crate) fn tunnel_request(
    authority: &str,
    authorization: Option<&[u8]>,
    fields: &[(String, Vec<u8>)],
) -> Result<Vec<u8>, LocalProtocolError> {
    let given: Headers = fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let mut headers = Headers::new();
    if !given.contains("host") {
        headers.push("Host", authority);
    }
    if let Some(authorization) = authorization.filter(|_| !given.contains("proxy-authorization")) {
        headers.push("Proxy-Authorization", authorization);
    }
    given.iter().for_each(|(name, value)| headers.push(name, value));
    headers.check()?;
    headers.check_once(&["Host", "Proxy-Authorization"])?;
    if !headers.first("host").is_some_and(is_host) {
        return Err(LocalProtocolError::HeaderValue("Host"));
    }
    if let Some(name) = ["Content-Length", "Transfer-Encoding"].into_iter().find(|name| headers.contains(name)) {
        return Err(LocalProtocolError::HeaderValue(name));
    }
    Ok(headers.to_head(&format!("CONNECT {authority} HTTP/1.1")))
}

/// Reads the response to a request for a tunnel.
#[derive(Debug)]
pub(crate) struct Tunnel {
    reader: VerdictReader,
    /// Whether the connection stays open after a refusal, by what its head says.
    keeps_alive: bool,
}

/// What a proxy makes of a request for a tunnel.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum TunnelOutcome {
    /// What is sent from now on goes to the server. So many bytes came behind the head.
    Established {
        surplus: usize,
    },
    Refused(TunnelRefusal),
}

/// A response other than 2xx.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct TunnelRefusal {
    pub(crate) refusal: Refusal,
    /// Whether another request may be sent on this connection (RFC 9112, section 9.3).
    pub(crate) persists: bool,
}

impl Tunnel {
    pub(crate) const fn new(limits: HeadLimits) -> Self {
        Self { reader: VerdictReader::new(limits), keeps_alive: false }
    }

    /// Takes bytes that were received; `None` while the response goes on.
    ///
    /// # Errors
    ///
    /// A [`HandshakeError`] for what is no response.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Option<TunnelOutcome>, HandshakeError> {
        let mut rest = bytes;
        let keeps_alive = &mut self.keeps_alive;
        let verdict = self.reader.receive(&mut rest, |head| match head.status {
            200..=299 => Ok(Verdict::Accepted(())),
            _ => {
                *keeps_alive = is_kept_alive(&head);
                Ok(Verdict::Refused(Refusal::new(head)))
            }
        })?;
        Ok(verdict.map(|verdict| match verdict {
            Verdict::Accepted(()) => TunnelOutcome::Established { surplus: rest.len() },
            Verdict::Refused(refusal) => {
                let is_read = refusal.body_end == BodyEnd::Complete && rest.is_empty();
                TunnelOutcome::Refused(TunnelRefusal { refusal, persists: self.keeps_alive && is_read })
            }
        }))
    }

    /// The proxy has ended the connection: the refusal as far as it came, if the response was one.
    pub(crate) fn receive_eof(mut self) -> Option<Refusal> {
        self.reader.receive_eof().ok()
    }

    /// The refusal with as much of its body as has come, for those who cannot or will not wait any longer; `None` where the
    /// response is none.
    pub(crate) fn finish_refusal(self) -> Option<Refusal> {
        self.reader.into_refusal()
    }

    /// Whether the response is a refusal of which a part of the body is still missing.
    pub(crate) const fn is_refused(&self) -> bool {
        self.reader.refusal().is_some()
    }
}

/// Whether the connection stays open after a response with this head (RFC 9112, section 9.3). Proxies of old have a field of
/// their own for that. After a 101 nobody knows what the connection speaks.
fn is_kept_alive(head: &ResponseHead) -> bool {
    let says = |option| ["connection", "proxy-connection"].iter().any(|name| head.headers.has_element(name, option));
    head.status != 101 && !says("close") && (head.minor_version == 1 || says("keep-alive"))
}

#[cfg(test)]
mod tests;
