//! From options to what speaks TLS, which holds the certificates that are trusted and is dear to make.

use std::sync::OnceLock;

#[cfg(feature = "native-tls")]
use super::native;
#[cfg(feature = "rustls")]
use super::rustls;
use super::{WaitLimit, pin, refuse};
use crate::error::Result;
use crate::options::{Connector, Ready, TlsBackend, TlsOptions, TlsVersion};

/// What all who ask for nothing special use: the system's certificates are loaded once in the life of the process.
static DEFAULT: OnceLock<Ready> = OnceLock::new();

/// What is offered by those who did not say (RFC 7301, section 6).
const ALPN: &str = "http/1.1";

/// What these options come to; made at the first call.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for certificates and keys that cannot be read, and for what the backend cannot
/// do; for a file that blocks those of [`pem::read_file`](super::pem::read_file).
pub(super) fn ready<'a>(options: &'a TlsOptions, limit: WaitLimit<'_>) -> Result<&'a Ready> {
    let kept = kept(options);
    if let Some(ready) = kept.get() {
        return Ok(ready);
    }
    // Two threads may both come here; what one of them made is then dropped. A failure is not kept.
    let ready = build(options, limit)?;
    Ok(kept.get_or_init(|| ready))
}

/// Whether that was made before.
pub(super) fn is_ready(options: &TlsOptions) -> bool {
    kept(options).get().is_some()
}

/// Where it is kept.
fn kept(options: &TlsOptions) -> &OnceLock<Ready> {
    options.built.as_deref().unwrap_or(&DEFAULT)
}

fn build(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<Ready> {
    let pins = pin::parse(&options.pins)?;
    if let Some(connector) = options.ready.clone() {
        return Ok(Ready { connector, pins, alpn: None });
    }
    let alpn = options.alpn.clone().unwrap_or_else(|| vec![ALPN.to_owned()]);
    check(options, &alpn)?;
    let connector = match options.backend {
        #[cfg(feature = "native-tls")]
        TlsBackend::NativeTls => Connector::Native(native::connector(options, &alpn, limit)?),
        #[cfg(feature = "rustls")]
        TlsBackend::Rustls => Connector::Rustls(rustls::client_config(options, &alpn, limit)?),
        #[cfg(not(all(feature = "native-tls", feature = "rustls")))]
        missing => return Err(not_built_in(missing)),
    };
    Ok(Ready { connector, pins, alpn: Some(alpn) })
}

/// There is no library to speak TLS with, or not the one that is asked for.
#[cfg(not(all(feature = "native-tls", feature = "rustls")))]
fn not_built_in(backend: TlsBackend) -> crate::error::Error {
    let feature = match backend {
        _ if cfg!(not(any(feature = "native-tls", feature = "rustls"))) => "`native-tls` or `rustls`",
        TlsBackend::NativeTls => "`native-tls`",
        TlsBackend::Rustls => "`rustls`",
    };
    refuse("backend", format!("TLS (wss://) needs the feature {feature} of websocket-sync"))
}

/// What no backend can do.
fn check(options: &TlsOptions, alpn: &[String]) -> Result<()> {
    // As TLS writes them (RFC 7301, section 3.1).
    if let Some(wrong) = alpn.iter().find(|protocol| !(1..=255).contains(&protocol.len())) {
        return Err(refuse("alpn", format!("{wrong:?} is not 1 to 255 bytes long")));
    }
    if alpn.iter().any(|protocol| protocol.contains(char::is_control)) {
        return Err(refuse("alpn", "a protocol with a control character"));
    }
    let oldest = options.min_version.unwrap_or(TlsVersion::Tls12);
    match options.max_version {
        Some(newest) if newest < oldest => Err(refuse("max_version", format!("{newest} is older than {oldest}"))),
        _ => Ok(()),
    }
}
