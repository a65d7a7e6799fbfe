//! HTTP proxies: `CONNECT` (RFC 9110, section 9.3.6), with Basic and Digest authorization (RFC 9110, section 11.7).

use std::pin::pin;

use super::{ProxyDialer, failed};
use crate::authentication::{AllowedSchemes, Challenges, Credentials, basic};
use crate::error::{Error, Phase, ProxyError, Refusal, Result};
use crate::net::connect::Dialer;
use crate::net::deadline::Deadline;
use crate::net::exchange::{READ_SIZE, REFUSAL_BODY, nonce, response_after};
use crate::net::stream::Stream;
use crate::protocol::handshake::{Tunnel, TunnelOutcome, TunnelRefusal, tunnel_request};
use crate::trace::HeadTap;
use crate::url::Target;

/// How often a proxy is asked: with Basic, with Digest, and once more where its nonce has grown old meanwhile.
const MAX_REQUESTS: usize = 3;

/// Refuses what must not be sent.
pub(super) fn check(headers: &[(String, Vec<u8>)], credentials: Option<&Credentials>) -> Result<(), ProxyError> {
    tunnel_request("host:80", None, headers).map_err(ProxyError::Header)?;
    if credentials.is_some_and(Credentials::has_control_character) {
        return Err(ProxyError::Credentials("one of them has a control character"));
    }
    Ok(())
}

/// Asks for a tunnel to the server until the proxy makes one or has nothing more to ask. Everything has been
/// [checked](check).
pub(super) async fn tunnel(dialer: &mut ProxyDialer<'_, '_>, target: &Target) -> Result<Stream> {
    let authority = target.host_and_port();
    let headers = &dialer.hop.headers;
    let is_given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    let credentials = dialer.hop.url.credentials.as_ref().filter(|_| !is_given);
    let allowed = dialer.dialer.settings().allowed_schemes;
    // The proxy would take a colon for the end of the user (RFC 7617, section 2).
    let is_unasked =
        |credentials: &&Credentials| allowed == AllowedSchemes::BasicAndDigest && !credentials.user.contains(':');
    let mut authorization = credentials.filter(is_unasked).map(|credentials| basic(credentials).into_bytes());
    let mut stream = dialer.connect().await?;
    let mut was_kept = false;
    let mut requests = 0;
    loop {
        let request = tunnel_request(&authority, authorization.as_deref(), headers).map_err(ProxyError::Header)?;
        let mut answered = exchange(dialer.dialer, &stream, &request).await;
        if was_kept && answered.as_ref().is_err_and(is_loss) {
            // The proxy did not keep it after all.
            drop(stream);
            stream = dialer.connect().await?;
            answered = exchange(dialer.dialer, &stream, &request).await;
        }
        let Some(TunnelRefusal { refusal, persists }) = answered? else { return Ok(stream) };
        requests += 1;
        let next = match credentials.filter(|_| requests < MAX_REQUESTS) {
            Some(credentials) => respond(&refusal, (credentials, allowed), &authority, authorization.as_deref())?,
            None => None,
        };
        if next.is_none() {
            return Err(ProxyError::Refused(Box::new(refusal)).into());
        }
        authorization = next;
        was_kept = persists;
        if !persists {
            // First: a port of the user's own cannot be used twice, and a proxy may allow one connection.
            drop(stream);
            stream = dialer.connect().await?;
        }
    }
}

/// Sends a request and reads the answer: `None` is a tunnel.
async fn exchange(dialer: &Dialer<'_>, stream: &Stream, request: &[u8]) -> Result<Option<TunnelRefusal>> {
    dialer.tracer.send_request(request, &[]);
    let written = dialer.mode.write_all(stream, request, dialer.deadline).await.map_err(failed);
    response_after(written, pin!(read_response(dialer, stream)), Option::is_some).await
}

/// Reads the answer to a request.
async fn read_response(dialer: &Dialer<'_>, stream: &Stream) -> Result<Option<TunnelRefusal>> {
    let mut deadline = dialer.deadline;
    let mut tunnel = Tunnel::new(dialer.settings().head_limits);
    let mut tap = HeadTap::response(dialer.tracer, &[]);
    let mut piece = [0; READ_SIZE];
    loop {
        let was_refused = tunnel.is_refused();
        let outcome = match dialer.mode.read(stream, &mut piece, deadline).await {
            Ok(0) => return ended(tunnel.receive_eof(), ProxyError::Eof.into()),
            Ok(length) => {
                tap.pass(&piece[..length]);
                tunnel.receive(&piece[..length]).map_err(ProxyError::Http)?
            }
            Err(error) => return ended(tunnel.finish_refusal(), failed(error)),
        };
        match outcome {
            None if tunnel.is_refused() && !was_refused => {
                deadline = deadline.min(Deadline::after(Some(REFUSAL_BODY)));
            }
            None => {}
            Some(TunnelOutcome::Established { surplus: 0 }) => return Ok(None),
            Some(TunnelOutcome::Established { .. }) => return Err(ProxyError::EarlyBytes.into()),
            Some(TunnelOutcome::Refused(refused)) => return Ok(Some(refused)),
        }
    }
}

/// The answer broke off. If it was a refusal, that says more than the error.
fn ended(refusal: Option<Refusal>, error: Error) -> Result<Option<TunnelRefusal>> {
    match refusal {
        Some(refusal) => Ok(Some(TunnelRefusal { refusal, persists: false })),
        None => Err(error),
    }
}

/// Whether this is what becomes of a connection that the other side has closed.
fn is_loss(error: &Error) -> bool {
    match error {
        Error::Io { .. } => true,
        Error::Proxy(problem) => matches!(**problem, ProxyError::Eof),
        _ => false,
    }
}

/// The authorization that the proxy asks for, if it is another than the one that it got.
fn respond(
    refusal: &Refusal,
    (credentials, allowed): (&Credentials, AllowedSchemes),
    authority: &str,
    sent: Option<&[u8]>,
) -> Result<Option<Vec<u8>>> {
    if refusal.status != 407 {
        return Ok(None);
    }
    let challenges = Challenges::in_fields(refusal.headers.all("proxy-authenticate"));
    let was_digest = sent.is_some_and(|sent| sent.starts_with(b"Digest "));
    if was_digest && !challenges.is_stale() {
        return Ok(None);
    }
    let wanted = challenges.answer(credentials, allowed, ("CONNECT", authority), nonce(Phase::Proxy)?);
    Ok(wanted.filter(|wanted| sent != Some(wanted)))
}
