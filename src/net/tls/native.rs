//! The platform's library, through native-tls.

use std::borrow::Cow;
use std::io;

use native_tls::{
    Certificate, HandshakeError, MidHandshakeTlsStream, Protocol, TlsAcceptor, TlsConnector, TlsConnectorBuilder,
    TlsStream,
};

use super::engine::{Engine, Handshake, HandshakeFailure, HandshakeStep, ended};
use super::pem::{self, Key, NO_KEY, OLD_ENCRYPTION};
use super::pipe::Pipe;
use super::{WaitLimit, refuse, traditional_key};
use crate::error::{Result, TlsErrorKind};
use crate::options::{Danger, Identity, SystemRoots, TlsOptions, TlsVersion};

/// The connector that these options come to.
///
/// # Errors
///
/// [`Error::Options`] for certificates and keys that cannot be read, and for what this backend cannot do.
pub(super) fn connector(options: &TlsOptions, alpn: &[String], limit: WaitLimit<'_>) -> Result<TlsConnector> {
    refuse_what_rustls_only_does(options)?;
    let alpn: Vec<&str> = alpn.iter().map(String::as_str).collect();
    let authorities = pem::read_authorities(options, limit)?;
    let mut builder = TlsConnector::builder();
    builder
        .min_protocol_version(Some(protocol(options.min_version.unwrap_or(TlsVersion::Tls12))))
        .max_protocol_version(options.max_version.map(protocol))
        .request_alpns(&alpn)
        .use_sni(true)
        .disable_built_in_roots(pem::system_roots(options, &authorities) == SystemRoots::Excluded)
        .danger_accept_invalid_certs(options.invalid_certs == Danger::Accepted)
        .danger_accept_invalid_hostnames(options.invalid_hostnames == Danger::Accepted);
    for bundle in authorities {
        add_authorities(&mut builder, &bundle.pem).map_err(|problem| bundle.refuse(&problem))?;
    }
    if let Some(own) = &options.identity {
        builder.identity(read_identity(own, options.key_password.as_deref(), limit)?);
    }
    // What else can be wrong has been looked at; whether a key fits its certificate has not.
    let option = options.identity.as_ref().map_or("tls", Identity::option);
    builder.build().map_err(|error| refuse(option, error.to_string()))
}

fn refuse_what_rustls_only_does(options: &TlsOptions) -> Result<()> {
    let asked = [
        ("cipher_suites", !options.cipher_suites.is_empty()),
        ("key_exchange_groups", !options.key_exchange_groups.is_empty()),
        ("key_log", options.key_log),
    ];
    match asked.iter().find(|(_, asked)| *asked) {
        Some((option, _)) => Err(refuse(option, "native-tls has no such setting: rustls only")),
        None => Ok(()),
    }
}

const fn protocol(version: TlsVersion) -> Protocol {
    match version {
        TlsVersion::Tls12 => Protocol::Tlsv12,
        TlsVersion::Tls13 => Protocol::Tlsv13,
    }
}

fn add_authorities(builder: &mut TlsConnectorBuilder, pem: &[u8]) -> std::result::Result<(), String> {
    let certificates = Certificate::stack_from_pem(pem).map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    for certificate in certificates {
        builder.add_root_certificate(certificate);
    }
    Ok(())
}

fn read_identity(own: &Identity, password: Option<&str>, limit: WaitLimit<'_>) -> Result<native_tls::Identity> {
    let option = own.option();
    let refused = |error: native_tls::Error| refuse(option, error.to_string());
    match own {
        // OpenSSL's wrapper panics on it.
        Identity::Pkcs12 { password, .. } if password.contains('\0') => {
            Err(refuse(option, "the password has a NUL character"))
        }
        Identity::Pkcs12 { bundle, password } => {
            native_tls::Identity::from_pkcs12(&pem::read_source(option, bundle, limit)?, password).map_err(refused)
        }
        Identity::Pem { chain, key } => {
            let (chain, key) = pem::read_pair(option, chain, key, limit)?;
            let key = pkcs8(option, &key, password)?;
            native_tls::Identity::from_pkcs8(&chain, key.as_bytes()).map_err(refused)
        }
    }
}

/// The key as native-tls wants it.
fn pkcs8<'a>(option: &'static str, pem: &'a [u8], password: Option<&str>) -> Result<Cow<'a, str>> {
    match pem::find_key(pem) {
        Some(Key::Pkcs8(key)) => Ok(Cow::Borrowed(key)),
        Some(Key::Encrypted(key)) => Ok(Cow::Owned(traditional_key::pem(&pem::decrypt(key, password)?))),
        Some(Key::Traditional(key)) => match traditional_key::to_pkcs8(key) {
            Some(key) => Ok(Cow::Owned(traditional_key::pem(&key))),
            None => Err(refuse(option, "the key is neither PKCS#8, PKCS#1 nor SEC1 with the name of its curve")),
        },
        Some(Key::TraditionalEncrypted) => Err(refuse(option, OLD_ENCRYPTION)),
        None => Err(refuse(option, NO_KEY)),
    }
}

/// Begins a handshake as a client. The server's certificate has to be for `name`, unless the connector was told otherwise.
pub(super) fn connect(connector: &TlsConnector, name: &str, pipe: Pipe) -> HandshakeStep {
    attempt(connector.connect(name, pipe))
}

/// Begins a handshake as a server.
pub(super) fn accept(acceptor: &TlsAcceptor, pipe: Pipe) -> HandshakeStep {
    attempt(acceptor.accept(pipe))
}

fn attempt(attempt: std::result::Result<TlsStream<Pipe>, HandshakeError<Pipe>>) -> HandshakeStep {
    match attempt {
        Ok(stream) => HandshakeStep::Done(Box::new(stream)),
        Err(HandshakeError::WouldBlock(unfinished)) => HandshakeStep::Unfinished(Box::new(unfinished)),
        Err(HandshakeError::Failure(error)) => {
            let words = error.to_string();
            if is_close_notify(&words) {
                return HandshakeStep::Failed(HandshakeFailure::Io(ended()));
            }
            HandshakeStep::Failed(HandshakeFailure::Tls { kind: kind(&words), problem: error.into() })
        }
    }
}

impl Handshake for MidHandshakeTlsStream<Pipe> {
    fn pipe(&mut self) -> &mut Pipe {
        self.get_mut()
    }

    fn advance(self: Box<Self>) -> HandshakeStep {
        attempt(self.handshake())
    }
}

/// Whether a library keeps no ciphertext of its own beside an unfinished record, so that an empty pipe means that there
/// is nothing to decrypt. So it is with OpenSSL, which reads a record's head and then its body.
const KEEPS_NOTHING: bool = cfg!(not(any(windows, target_vendor = "apple")));

/// Native-tls tells neither version nor cipher suite.
impl Engine for TlsStream<Pipe> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        io::Read::read(self, buf)
    }

    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        io::Write::write(self, buf)
    }

    fn close(&mut self) {
        // It fails in the midst of a handshake, where there is nothing to be said.
        let _ = self.shutdown();
    }

    fn is_drained(&self) -> bool {
        KEEPS_NOTHING && self.get_ref().incoming.is_empty() && !self.get_ref().ended
    }

    fn has_input(&self) -> bool {
        !self.is_drained() || self.buffered_read_size().is_ok_and(|size| size > 0)
    }

    fn error_kind(&self, error: &io::Error) -> TlsErrorKind {
        kind(&error.to_string())
    }

    fn peer_certificate(&self) -> Option<Vec<u8>> {
        Self::peer_certificate(self).ok()??.to_der().ok()
    }

    fn alpn(&self) -> Option<Vec<u8>> {
        self.negotiated_alpn().ok()?
    }

    fn version(&self) -> Option<TlsVersion> {
        None
    }

    fn cipher_suite(&self) -> Option<String> {
        None
    }

    fn pipe(&mut self) -> &mut Pipe {
        self.get_mut()
    }

    fn release(&mut self) {
        self.get_mut().release();
    }
}

/// Whether the peer has ended TLS in order (RFC 8446, section 6.1), by what OpenSSL, Secure Transport and Schannel say: it is gone, and
/// nothing is wrong with TLS.
fn is_close_notify(words: &str) -> bool {
    ["session has been shut down", "closed gracefully", "context has expired"].iter().any(|known| words.contains(known))
}

/// What the words of OpenSSL, Secure Transport and Schannel come to.
fn kind(words: &str) -> TlsErrorKind {
    const WORDS: &[(TlsErrorKind, &[&str])] = &[
        (
            TlsErrorKind::WrongName,
            &["hostname mismatch", "ip address mismatch", "host name mismatch", "does not match the passed value"],
        ),
        (TlsErrorKind::NotYetValid, &["not yet valid"]),
        (TlsErrorKind::Expired, &["has expired", "within its validity period"]),
        (TlsErrorKind::Revoked, &["revoked"]),
        (TlsErrorKind::BadSignature, &["signature failure", "signature of the certificate cannot be verified"]),
        (
            TlsErrorKind::UnknownIssuer,
            &[
                "issuer",
                "self-signed",
                "self signed",
                "was not trusted",
                "authority that is not trusted",
                "user-specified roots",
            ],
        ),
        (TlsErrorKind::InvalidCertificate, &["certificate verify failed"]),
        (TlsErrorKind::NotTls, &["wrong version number", "record overflow", "record header", "packet length too long"]),
        (TlsErrorKind::ProtocolVersion, &["protocol version", "unsupported protocol"]),
        (TlsErrorKind::ApplicationProtocol, &["no application protocol"]),
    ];
    let words = words.to_ascii_lowercase();
    if let Some(number) = words.split("alert number ").nth(1) {
        let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
        if let Ok(number) = number[..digits].parse() {
            return TlsErrorKind::of_alert(number);
        }
    }
    let fits = |known: &&(TlsErrorKind, &[&str])| known.1.iter().any(|known| words.contains(known));
    WORDS.iter().find(fits).map_or(TlsErrorKind::Other, |(kind, _)| *kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::net::deadline::Deadline;

    #[test]
    fn the_words_of_each_library_are_understood() {
        use TlsErrorKind::*;
        let ssl =
            |reason: &str| format!("error:0A000086:SSL routines:tls_process:certificate verify failed ({reason})");
        let cases = [
            (ssl("hostname mismatch"), WrongName),
            (ssl("IP address mismatch"), WrongName),
            (ssl("certificate has expired"), Expired),
            (ssl("certificate is not yet valid"), NotYetValid),
            (ssl("certificate revoked"), Revoked),
            (ssl("certificate signature failure"), BadSignature),
            (ssl("self-signed certificate"), UnknownIssuer),
            (ssl("unable to get local issuer certificate"), UnknownIssuer),
            (ssl("unsuitable certificate purpose"), InvalidCertificate),
            ("...:wrong version number:../ssl/record/ssl3_record.c:354:".to_owned(), NotTls),
            ("...:unsupported protocol:../ssl/statem/statem_lib.c:1986:".to_owned(), ProtocolVersion),
            ("...:tlsv1 alert protocol version:...:SSL alert number 70".to_owned(), ProtocolVersion),
            ("...:sslv3 alert handshake failure:...:SSL alert number 40".to_owned(), Alert(40)),
            ("...:tlsv13 alert certificate required:...:SSL alert number 116:".to_owned(), Alert(116)),
            ("...:tlsv1 alert no application protocol:...:SSL alert number 120".to_owned(), ApplicationProtocol),
            ("The certificate was not trusted.".to_owned(), UnknownIssuer),
            ("A required certificate is not within its validity period".to_owned(), Expired),
            ("The certificate's CN name does not match the passed value. (os error -2146762481)".to_owned(), WrongName),
            ("unable to find any user-specified roots in the final cert chain".to_owned(), UnknownIssuer),
            ("alert number none".to_owned(), Other),
            ("something new".to_owned(), Other),
        ];
        for (words, expected) in cases {
            assert_eq!(kind(&words), expected, "{words}");
        }
    }

    #[test]
    fn the_end_of_tls_is_no_failure_of_it() {
        for words in [
            "the SSL session has been shut down",
            "connection closed gracefully (-9805)",
            "The context has expired and can no longer be used. (os error -2146893033)",
        ] {
            assert!(is_close_notify(words), "{words}");
        }
        assert!(!is_close_notify("certificate has expired") && !is_close_notify("unexpected EOF"));
    }

    #[test]
    fn what_only_rustls_can_do_is_refused_by_name() {
        let options = TlsOptions::new;
        let cases = [
            ("cipher_suites", options().cipher_suites(["TLS_AES_128_GCM_SHA256"])),
            ("key_exchange_groups", options().key_exchange_groups(["x25519"])),
            ("key_log", options().key_log()),
        ];
        for (name, options) in cases {
            let Err(Error::Options(error)) =
                connector(&options, &[], WaitLimit { deadline: Deadline::NEVER, cancellation: None })
            else {
                panic!("{name}")
            };
            assert_eq!(error.option, name);
            assert!(error.problem.contains("rustls only"), "{error}");
        }
    }
}
