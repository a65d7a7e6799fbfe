//! What rustls says, in our words.

use rustls::{CertificateError, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

use crate::error::TlsErrorKind;
use crate::net::tls::engine::HandshakeFailure;

impl From<Error> for HandshakeFailure {
    fn from(error: Error) -> Self {
        Self::Tls { kind: kind(&error), problem: error.into() }
    }
}

pub(super) fn kind(error: &Error) -> TlsErrorKind {
    match error {
        Error::InvalidCertificate(error) => kind_of_certificate(error),
        Error::AlertReceived(alert) => TlsErrorKind::of_alert(u8::from(*alert)),
        Error::NoApplicationProtocol | Error::PeerMisbehaved(PeerMisbehaved::SelectedUnofferedApplicationProtocol) => {
            TlsErrorKind::ApplicationProtocol
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic,
        ) => TlsErrorKind::ProtocolVersion,
        Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion) => {
            TlsErrorKind::NotTls
        }
        _ => TlsErrorKind::Other,
    }
}

fn kind_of_certificate(error: &CertificateError) -> TlsErrorKind {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsErrorKind::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsErrorKind::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => TlsErrorKind::WrongName,
        CertificateError::UnknownIssuer => TlsErrorKind::UnknownIssuer,
        CertificateError::Revoked => TlsErrorKind::Revoked,
        CertificateError::BadSignature => TlsErrorKind::BadSignature,
        _ => TlsErrorKind::InvalidCertificate,
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn each_kind_of_failure_is_told_apart() {
        let certificate = |error: CertificateError| Error::InvalidCertificate(error);
        let cases = [
            (certificate(CertificateError::Expired), TlsErrorKind::Expired),
            (certificate(CertificateError::NotValidYet), TlsErrorKind::NotYetValid),
            (certificate(CertificateError::NotValidForName), TlsErrorKind::WrongName),
            (certificate(CertificateError::UnknownIssuer), TlsErrorKind::UnknownIssuer),
            (certificate(CertificateError::Revoked), TlsErrorKind::Revoked),
            (certificate(CertificateError::BadSignature), TlsErrorKind::BadSignature),
            (certificate(CertificateError::BadEncoding), TlsErrorKind::InvalidCertificate),
            (Error::AlertReceived(AlertDescription::CertificateRequired), TlsErrorKind::Alert(116)),
            (Error::AlertReceived(AlertDescription::ProtocolVersion), TlsErrorKind::ProtocolVersion),
            (PeerIncompatible::ServerDoesNotSupportTls12Or13.into(), TlsErrorKind::ProtocolVersion),
            (Error::NoApplicationProtocol, TlsErrorKind::ApplicationProtocol),
            (InvalidMessage::InvalidContentType.into(), TlsErrorKind::NotTls),
            (Error::DecryptError, TlsErrorKind::Other),
        ];
        for (error, expected) in cases {
            assert_eq!(kind(&error), expected, "{error}");
        }
    }
}
