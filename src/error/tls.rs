//! What goes wrong in TLS.

use thiserror::Error;

use super::Retry;
use crate::protocol::Escaped;

/// The most characters that are shown of what a TLS library said: it lists the names of a certificate.
const MAX_SHOWN: usize = 1024;

/// A failure of TLS.
///
/// ```no_run
/// use websocket_sync::{Error, TlsErrorKind, create_connection};
///
/// match create_connection("wss://echo.example/") {
///     Err(Error::Tls(error)) if error.kind == TlsErrorKind::Expired => println!("time to call {}", error.host),
///     other => drop(other?),
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug, Error)]
#[error("{}", Escaped::up_to(MAX_SHOWN, &.problem.to_string()))]
#[non_exhaustive]
pub struct TlsError {
    /// The name that the certificate has to be for.
    pub host: String,
    /// The kind of failure.
    pub kind: TlsErrorKind,
    /// What the TLS library said.
    pub problem: Box<dyn std::error::Error + Send + Sync>,
}

/// The kind of a TLS failure. With rustls it is precise; with native-tls it is read from the message of the library, and is
/// [`Other`](Self::Other) for a message that is not known.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsErrorKind {
    /// The certificate, or one of its issuers, has expired.
    #[error("the certificate has expired, or a clock is wrong")]
    Expired,
    /// The certificate, or one of its issuers, is not valid yet.
    #[error("the certificate is not valid yet, or a clock is wrong")]
    NotYetValid,
    /// The certificate is not issued by a trusted authority: it is self-signed, the server does not send the intermediate
    /// certificates, or the authority is unknown.
    #[error("the certificate's issuer is not trusted; TlsOptions::ca_certs names one")]
    UnknownIssuer,
    /// The certificate is for another name.
    #[error("the certificate is for another name")]
    WrongName,
    /// The certificate was revoked.
    #[error("the certificate was revoked")]
    Revoked,
    /// A signature is wrong: the certificate is a forgery, or the server does not have its key.
    #[error("a signature of the certificate or of the handshake is wrong")]
    BadSignature,
    /// The certificate is not acceptable for another reason: it is not for servers, or not well-formed.
    #[error("the certificate is not acceptable")]
    InvalidCertificate,
    /// The server's key is none of [`TlsOptions::pin_sha256`](crate::TlsOptions::pin_sha256).
    #[error("the server's key is none of those that are pinned")]
    PinMismatch,
    /// The two sides have no version of TLS in common.
    #[error("no version of TLS in common, 1.2 is the oldest")]
    ProtocolVersion,
    /// The two sides have no protocol of [`TlsOptions::alpn`](crate::TlsOptions::alpn) in common, or the server picked one that was
    /// not offered.
    #[error("no application protocol in common (ALPN)")]
    ApplicationProtocol,
    /// The peer ended the handshake with an alert (RFC 8446, section 6): 40 for no parameters in common, 42 to 49 for a client
    /// certificate that it does not accept, 112 for an unknown name, 116 for a client certificate that is missing.
    #[error("the peer gave up with alert {0}{name}", name = alert(*.0))]
    Alert(u8),
    /// The answer is not TLS.
    #[error("the server does not speak TLS on this port")]
    NotTls,
    /// Something else.
    #[error("something else")]
    Other,
}

/// What an alert is called (RFC 8446, appendix B.2), of those that one meets.
const fn alert(number: u8) -> &'static str {
    match number {
        40 => ", handshake failure",
        42 => ", bad certificate",
        43 => ", unsupported certificate",
        44 => ", certificate revoked",
        45 => ", certificate expired",
        46 => ", certificate unknown",
        48 => ", unknown authority",
        49 => ", access denied",
        51 => ", decrypt error",
        71 => ", insufficient security",
        80 => ", internal error",
        112 => ", unrecognized name",
        116 => ", certificate required",
        _ => "",
    }
}

impl TlsErrorKind {
    /// An alert, or what it comes to where others say that too.
    #[cfg(any(feature = "native-tls", feature = "rustls"))]
    pub(crate) const fn of_alert(number: u8) -> Self {
        match number {
            70 => Self::ProtocolVersion,
            120 => Self::ApplicationProtocol,
            number => Self::Alert(number),
        }
    }
}

impl TlsError {
    /// Whether another attempt is worth it, and how soon. A gateway that has lost its server answers in clear text, or with an
    /// `internal_error` (RFC 8446, section 6.2).
    pub(super) const fn retry(&self) -> Retry {
        match self.kind {
            TlsErrorKind::NotTls | TlsErrorKind::Alert(80) => Retry::Soon,
            TlsErrorKind::Alert(_)
            | TlsErrorKind::ApplicationProtocol
            | TlsErrorKind::BadSignature
            | TlsErrorKind::Expired
            | TlsErrorKind::InvalidCertificate
            | TlsErrorKind::NotYetValid
            | TlsErrorKind::Other
            | TlsErrorKind::PinMismatch
            | TlsErrorKind::ProtocolVersion
            | TlsErrorKind::Revoked
            | TlsErrorKind::UnknownIssuer
            | TlsErrorKind::WrongName => Retry::Slowly,
        }
    }

    /// The same error once more, with the text of what the TLS library said.
    pub(super) fn duplicate(&self) -> Self {
        Self { host: self.host.clone(), kind: self.kind, problem: self.problem.to_string().into() }
    }

    /// What it comes to, to be appended to the message.
    pub(super) fn hint(&self) -> String {
        match self.kind {
            TlsErrorKind::Other => String::new(),
            kind => format!(": {kind}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_library_says_of_a_certificate_is_escaped() {
        let problem = format!("valid for \"a\nb\u{1b}[2J\" {}", "x".repeat(10_000)).into();
        let error = TlsError { host: "h".into(), kind: TlsErrorKind::WrongName, problem };
        let says = error.to_string();
        assert!(says.starts_with(r#"valid for "a\nb\u{1b}[2J" xx"#) && says.len() < 1100, "{says}");
    }

    #[cfg(any(feature = "native-tls", feature = "rustls"))]
    #[test]
    fn alerts_say_their_number_and_name() {
        assert_eq!(TlsErrorKind::of_alert(116).to_string(), "the peer gave up with alert 116, certificate required");
        assert_eq!(TlsErrorKind::of_alert(255).to_string(), "the peer gave up with alert 255");
        assert_eq!(TlsErrorKind::of_alert(70), TlsErrorKind::ProtocolVersion);
        assert_eq!(TlsErrorKind::of_alert(120), TlsErrorKind::ApplicationProtocol);
    }
}
