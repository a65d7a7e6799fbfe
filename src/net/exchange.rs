//! What the HTTP exchanges with a server and with a proxy have in common: how much is read, and what their failures mean.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;

use super::deadline::is_timeout;
use crate::error::{Error, Phase, Result, TlsError};

/// How much of a head or a body is read at a time. It fits an empty receive window, so that what follows the head does too.
pub(crate) const READ_SIZE: usize = 4096;

/// How long the body of a refusal is waited for; the status and the headers are worth more than it.
pub(crate) const REFUSAL_BODY: Duration = Duration::from_secs(5);

/// Reads the response to a request that was `written`. Who refuses without reading the request may be gone before it is sent: then
/// a response that `is_refusal` tells more than the failed write does.
pub(crate) async fn response_after<T>(
    written: Result<()>,
    response: Pin<&mut impl Future<Output = Result<T>>>,
    is_refusal: impl FnOnce(&T) -> bool,
) -> Result<T> {
    let error = match written {
        Ok(()) => return response.await,
        Err(error @ Error::Timeout(_)) => return Err(error),
        Err(error) => error,
    };
    match response.await {
        Ok(response) if is_refusal(&response) => Ok(response),
        Err(refused @ Error::Tls(_)) => Err(refused),
        Ok(_) | Err(_) => Err(error),
    }
}

/// What a failed read or write of the stream means in this phase. Over TLS 1.3 the other side refuses the client when that takes the
/// handshake for finished.
pub(crate) fn stream_error(phase: Phase, error: io::Error) -> Error {
    if is_timeout(&error) {
        return Error::Timeout(phase);
    }
    match error.downcast::<TlsError>() {
        Ok(error) => Error::Tls(Box::new(error)),
        Err(error) => Error::Io { phase, error },
    }
}

/// A nonce: of an opening handshake (RFC 6455, section 4.1), or the client's one of Digest (RFC 7616, section 3.4).
pub(crate) fn nonce(phase: Phase) -> Result<[u8; 16]> {
    let mut nonce = [0; 16];
    SysRng.try_fill_bytes(&mut nonce).map_err(|error| Error::Io { phase, error: io::Error::other(error) })?;
    Ok(nonce)
}
