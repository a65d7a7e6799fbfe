//! How a client reads the answer: interim ones are skipped, 101 is judged, everything else is a refusal
//! (RFC 6455, section 4.1; RFC 9110, section 15.2).

use super::asked::Asked;
use super::body::Body;
use super::error::HandshakeError;
use super::extension_header::ExtensionOffer;
use super::head::{HeadCollector, HeadLimits, ResponseHead, StartLine};
use super::headers::Headers;
use super::key::{KEY_LEN, accept_for};
use super::request::ClientRequest;
use super::response::{Refusal, Response};
use crate::protocol::LocalProtocolError;

/// Reads the answer to one request.
#[derive(Debug)]
pub(in crate::protocol) struct AnswerReader {
    asked: Asked,
    head: HeadCollector,
    interim: usize,
    limits: HeadLimits,
}

/// The final answer.
#[derive(Debug)]
pub(in crate::protocol) enum Answer {
    /// 101, and every rule was kept.
    Accepted(Response),
    /// Another status; its body follows.
    Refused(Refusal, Body),
}

impl AnswerReader {
    /// Makes the bytes of a request, and what will read its answer.
    pub(in crate::protocol) fn ask(
        request: &ClientRequest,
        limits: HeadLimits,
        entropy: [u8; KEY_LEN],
    ) -> Result<(Self, Vec<u8>), LocalProtocolError> {
        let (bytes, asked) = request.encode(entropy)?;
        let head = HeadCollector::new(StartLine::Status, limits);
        Ok((Self { asked, head, interim: 0, limits }, bytes))
    }

    /// Takes received bytes up to the end of the final head: how many they were and what it says, or `None` if all were
    /// taken and it has not come.
    pub(in crate::protocol) fn receive(&mut self, bytes: &[u8]) -> Result<Option<(usize, Answer)>, HandshakeError> {
        let mut taken = 0;
        while let Some(end) = self.head.collect(&bytes[taken..])? {
            taken += end;
            let head = self.head.response()?;
            self.head.restart();
            match head.status {
                101 => return Ok(Some((taken, Answer::Accepted(judge(&self.asked, head)?)))),
                100..=199 => self.count_interim()?,
                _ => {
                    let body = Body::after(&head);
                    return Ok(Some((taken, Answer::Refused(Refusal::new(head), body))));
                }
            }
        }
        Ok(None)
    }

    fn count_interim(&mut self) -> Result<(), HandshakeError> {
        self.interim += 1;
        if self.interim > self.limits.interim {
            return Err(HandshakeError::TooManyInterim { limit: self.limits.interim });
        }
        Ok(())
    }
}

/// Judges a 101 by the rules of RFC 6455, section 4.1.
fn judge(asked: &Asked, head: ResponseHead) -> Result<Response, HandshakeError> {
    if head.minor_version != 1 {
        return Err(HandshakeError::HttpVersion);
    }
    if !head.headers.has_element("connection", "upgrade") {
        return Err(HandshakeError::Connection);
    }
    if !is_upgrade_to_websocket(&head.headers) {
        return Err(HandshakeError::Upgrade);
    }
    check_accept(&asked.key, &head.headers)?;
    let subprotocol = agreed_subprotocol(&asked.subprotocols, &head.headers)?;
    let extensions = agreed_extensions(&asked.extensions, &head.headers)?;
    Ok(Response { status: head.status, reason: head.reason, headers: head.headers, subprotocol, extensions })
}

/// Whether `Upgrade` is `websocket` in any case, and nothing else (RFC 6455, sections 4.1 and 4.2.1).
pub(super) fn is_upgrade_to_websocket(headers: &Headers) -> bool {
    let mut protocols = headers.elements("upgrade");
    protocols.next().is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) && protocols.next().is_none()
}

/// There must be one `Sec-WebSocket-Accept`, and it must be that of our key byte by byte.
fn check_accept(key: &str, headers: &Headers) -> Result<(), HandshakeError> {
    let mut values = headers.all("sec-websocket-accept");
    match (values.next(), values.next()) {
        (None, _) => Err(HandshakeError::MissingAccept),
        (Some(_), Some(_)) => Err(HandshakeError::RepeatedAccept),
        (Some(value), None) if value == accept_for(key).as_bytes() => Ok(()),
        (Some(_), None) => Err(HandshakeError::AcceptMismatch),
    }
}

/// The subprotocol of the answer. A server need not choose one (RFC 6455, section 4.2.2), but not one that was not
/// offered.
fn agreed_subprotocol(offered: &[String], headers: &Headers) -> Result<Option<String>, HandshakeError> {
    let mut values = headers.all("sec-websocket-protocol");
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(HandshakeError::RepeatedSubprotocol),
        (Some(value), None) => match offered.iter().find(|name| name.as_bytes() == value) {
            Some(name) => Ok(Some(name.clone())),
            None => Err(HandshakeError::UnofferedSubprotocol(String::from_utf8_lossy(value).into_owned())),
        },
    }
}

/// The extensions of the answer: each one offered, and none twice.
fn agreed_extensions(offered: &[ExtensionOffer], headers: &Headers) -> Result<Vec<ExtensionOffer>, HandshakeError> {
    let agreed = ExtensionOffer::from_headers(headers)?;
    for (index, extension) in agreed.iter().enumerate() {
        if !offered.iter().any(|offer| offer.name == extension.name) {
            return Err(HandshakeError::UnofferedExtension(extension.name.clone()));
        }
        if agreed[..index].iter().any(|other| other.name == extension.name) {
            return Err(HandshakeError::RepeatedExtension(extension.name.clone()));
        }
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    const GOOD: [&str; 4] = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", ACCEPT];

    /// What a client that offered the subprotocols `chat` and `Super` and the extension `x-mark` makes of an answer.
    fn answer(lines: &[&str]) -> Result<Response, HandshakeError> {
        let request =
            ClientRequest::new("h", "/").subprotocols(["chat", "Super"]).extensions("x-mark; level=3, x-mark");
        let (mut reader, _) = AnswerReader::ask(&request, HeadLimits::default(), *b"the sample nonce").unwrap();
        let mut head = lines.join("\r\n").into_bytes();
        head.extend_from_slice(b"\r\n\r\n");
        match reader.receive(&head)? {
            Some((taken, Answer::Accepted(response))) if taken == head.len() => Ok(response),
            other => panic!("{other:?}"),
        }
    }

    /// The good answer with lines in the place of one of its own.
    fn with(replaced: usize, lines: &[&str]) -> Result<Response, HandshakeError> {
        let mut answered = GOOD.to_vec();
        answered.splice(replaced..=replaced, lines.iter().copied());
        answer(&answered)
    }

    #[test]
    fn what_the_rules_allow_is_accepted() {
        assert!(answer(&GOOD).is_ok());
        let allowed: &[(usize, &[&str])] = &[
            (0, &["HTTP/1.1 101 "]),
            (0, &["HTTP/1.1 101"]),
            (0, &["HTTP/1.1 101 d'accord, \u{e7}a marche"]),
            (1, &["UPGRADE:\t WebSocket  "]),
            (2, &["Connection: keep-alive, upGRADE"]),
            (2, &["Connection: keep-alive", "Connection: Upgrade"]),
            (2, &["Connection: Upgrade", "Connection: keep-alive"]),
            (3, &[ACCEPT, "Server: \u{e9}", "X-Empty:"]),
        ];
        for (replaced, lines) in allowed {
            assert!(with(*replaced, lines).is_ok(), "{lines:?}");
        }
    }

    #[test]
    fn what_the_rules_forbid_is_refused_by_name() {
        use HandshakeError::*;
        let forbidden: &[(usize, &[&str], HandshakeError)] = &[
            (0, &["HTTP/1.0 101 Switching Protocols"], HttpVersion),
            (1, &[], Upgrade),
            (1, &["Upgrade: h2c"], Upgrade),
            (1, &["Upgrade: websocket, h2c"], Upgrade),
            (1, &["Upgrade: websocket", "Upgrade: websocket"], Upgrade),
            (2, &[], Connection),
            (2, &["Connection: keep-alive"], Connection),
            (2, &["Connection: upgrades"], Connection),
            (3, &[], MissingAccept),
            (3, &["Sec-WebSocket-Accept:"], AcceptMismatch),
            (3, &["Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo="], AcceptMismatch),
            (3, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo"], AcceptMismatch),
            (3, &["Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=="], AcceptMismatch),
            (3, &[ACCEPT, ACCEPT], RepeatedAccept),
            (3, &[ACCEPT, "Sec-WebSocket-Accept: x"], RepeatedAccept),
        ];
        for (replaced, lines, expected) in forbidden {
            assert_eq!(with(*replaced, lines), Err(expected.clone()), "{lines:?}");
        }
    }

    #[test]
    fn a_subprotocol_must_be_one_that_was_offered() {
        let agreed = |lines: &[&str]| answer(&[&GOOD, lines].concat()).map(|response| response.subprotocol);
        assert_eq!(agreed(&[]), Ok(None));
        assert_eq!(agreed(&["Sec-WebSocket-Protocol: Super"]), Ok(Some("Super".into())));
        for other in ["super", "new", "", "chat, Super"] {
            let line = format!("Sec-WebSocket-Protocol: {other}");
            assert_eq!(agreed(&[&line]), Err(HandshakeError::UnofferedSubprotocol(other.into())));
        }
        let twice = ["Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat"];
        assert_eq!(agreed(&twice), Err(HandshakeError::RepeatedSubprotocol));
    }

    #[test]
    fn an_extension_must_be_one_that_was_offered() {
        let agreed = |lines: &[&str]| answer(&[&GOOD, lines].concat()).map(|response| response.extensions);
        assert_eq!(agreed(&[]), Ok(Vec::new()));
        let marked = ExtensionOffer::new("x-mark").param("level", Some("2"));
        assert_eq!(agreed(&["Sec-WebSocket-Extensions: x-mark; level=2"]), Ok(vec![marked]));
        let cases = [
            ("bad, x-mark", HandshakeError::UnofferedExtension("bad".into())),
            ("permessage-deflate", HandshakeError::UnofferedExtension("permessage-deflate".into())),
            ("x-mark, x-mark", HandshakeError::RepeatedExtension("x-mark".into())),
            ("", HandshakeError::ExtensionSyntax),
            ("x-mark;", HandshakeError::ExtensionSyntax),
        ];
        for (value, expected) in cases {
            assert_eq!(agreed(&[&format!("Sec-WebSocket-Extensions: {value}")]), Err(expected), "{value}");
        }
    }
}
