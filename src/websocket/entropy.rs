//! Masking keys and handshake keys from the operating system (RFC 6455, sections 5.3 and 10.3).

use std::io;

use rand::TryRng;
use rand::rngs::SysRng;

use crate::protocol::Entropy;

/// The nonce of an opening handshake.
pub(super) fn nonce() -> io::Result<[u8; 16]> {
    let mut nonce = [0; 16];
    SysRng.try_fill_bytes(&mut nonce).map_err(io::Error::other)?;
    Ok(nonce)
}

/// The source of masking keys.
pub(super) fn system() -> Entropy {
    Box::new(|bytes| {
        SysRng.try_fill_bytes(bytes).expect("a system that gave the nonce of the handshake gives random bytes");
    })
}
