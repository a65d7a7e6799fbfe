//! What both versions of SOCKS have in common: short answers, of which not a byte more is read than belongs to them. What
//! follows is the server's.

use std::io;

use super::failed;
use crate::error::{ProxyError, Result};
use crate::net::deadline::{Deadline, SendDeadline};
use crate::net::stream::Stream;

/// Sends a request.
pub(super) fn send(stream: &Stream, request: &[u8], deadline: Deadline) -> Result<()> {
    stream.write_all(request, SendDeadline::until(deadline)).map_err(|failure| failed(failure.error))
}

/// The next bytes of an answer, as many as that.
pub(super) fn receive<const N: usize>(stream: &Stream, deadline: Deadline) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(stream, &mut bytes, deadline)?;
    Ok(bytes)
}

/// Reads bytes of an answer that mean nothing here.
pub(super) fn skip(stream: &Stream, length: usize, deadline: Deadline) -> Result<()> {
    let mut bytes = [0; u8::MAX as usize + 2];
    fill(stream, &mut bytes[..length], deadline)
}

fn fill(stream: &Stream, mut bytes: &mut [u8], deadline: Deadline) -> Result<()> {
    while !bytes.is_empty() {
        match stream.read(bytes, deadline) {
            Ok(0) => return Err(ProxyError::Eof.into()),
            Ok(length) => bytes = &mut bytes[length..],
            // A proxy that refuses may not wait for all that it is sent.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ProxyError::Eof.into()),
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}
