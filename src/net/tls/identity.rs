//! The client's certificate and key, read.

use std::borrow::Cow;

use super::{FileWait, files};
use crate::error::Result;
use crate::options::Source;

/// What a PEM block with a key begins with, and what it ends with after the same label (RFC 7468, section 2).
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// Reads a certificate or a key for the option of this name.
///
/// # Errors
///
/// Those of [`files::read`].
pub(super) fn read<'a>(option: &'static str, source: &'a Source, wait: FileWait<'_>) -> Result<Cow<'a, [u8]>> {
    match source {
        Source::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        Source::File(path) => files::read(option, path, wait).map(Cow::Owned),
    }
}

/// A private key in PEM form.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Key<'a> {
    /// As native-tls wants it.
    Pkcs8(&'a str),
    /// PKCS#8 that needs a password.
    Encrypted(&'a str),
    /// PKCS#1 or SEC1.
    Traditional(&'a str),
}

/// The first private key in a PEM file, which may hold other things too.
pub(super) fn key(pem: &[u8]) -> Option<Key<'_>> {
    let mut rest = std::str::from_utf8(pem).ok()?;
    loop {
        rest = &rest[rest.find(BEGIN)?..];
        let (label, body) = rest[BEGIN.len()..].split_once(DASHES)?;
        let end = format!("{END}{label}{DASHES}");
        let length = rest.find(&end)? + end.len();
        let block = &rest[..length];
        match label.strip_suffix(PRIVATE_KEY) {
            Some("") => return Some(Key::Pkcs8(block)),
            Some("ENCRYPTED ") => return Some(Key::Encrypted(block)),
            Some(_) if body.contains("Proc-Type: 4,ENCRYPTED") => return None,
            Some(_) => return Some(Key::Traditional(block)),
            None => rest = &rest[length..],
        }
    }
}

/// What a PEM block holds (RFC 7468, section 3).
#[cfg(feature = "rustls")]
pub(super) fn der(block: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    let lines = block.lines().filter(|line| !line.starts_with(DASHES));
    let text: String = lines.flat_map(str::chars).filter(|c| !c.is_ascii_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----")
    }

    #[test]
    fn the_key_is_found_among_other_things() {
        let (certificate, parameters) = (block("CERTIFICATE"), block("EC PARAMETERS"));
        let [pkcs8, encrypted, pkcs1, sec1] =
            ["PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"].map(block);
        let cases = [
            (format!("a comment\n{certificate}\n{pkcs8}\n{pkcs1}\n"), Some(Key::Pkcs8(&pkcs8))),
            (encrypted.clone(), Some(Key::Encrypted(&encrypted))),
            (pkcs1.clone(), Some(Key::Traditional(&pkcs1))),
            (format!("{parameters}\n{sec1}"), Some(Key::Traditional(&sec1))),
            (certificate, None),
            (String::new(), None),
            ("-----BEGIN PRIVATE KEY-----\nAAAA".to_owned(), None),
            ("-----BEGIN PRIVATE KEY".to_owned(), None),
        ];
        for (pem, expected) in cases {
            assert_eq!(key(pem.as_bytes()), expected, "{pem}");
        }
        assert_eq!(key(b"\xff"), None);
    }
}
