//! What both versions of SOCKS have in common: short answers, of which not a byte more is read than belongs to them. What
//! follows is the server's.

use std::io;

use super::failed;
use crate::error::{ProxyError, Result};
use crate::net::deadline::Deadline;
use crate::net::stream::Stream;
use crate::net::wait_mode::WaitMode;

/// A conversation with a SOCKS proxy.
#[derive(Clone, Copy)]
pub(super) struct SocksExchange<'a> {
    pub(super) mode: &'a WaitMode,
    pub(super) stream: &'a Stream,
    pub(super) deadline: Deadline,
}

impl SocksExchange<'_> {
    /// Sends a request.
    pub(super) async fn send(self, request: &[u8]) -> Result<()> {
        self.mode.write_all(self.stream, request, self.deadline).await.map_err(failed)
    }

    /// The next bytes of an answer, as many as that.
    pub(super) async fn receive<const N: usize>(self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads bytes of an answer that mean nothing here.
    pub(super) async fn skip(self, length: usize) -> Result<()> {
        let mut bytes = [0; u8::MAX as usize + 2];
        self.fill(&mut bytes[..length]).await
    }

    async fn fill(self, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            match self.mode.read(self.stream, bytes, self.deadline).await {
                Ok(0) => return Err(ProxyError::Eof.into()),
                Ok(length) => bytes = &mut bytes[length..],
                // A proxy that refuses may not wait for all that it is sent.
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ProxyError::Eof.into()),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}
