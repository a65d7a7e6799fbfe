//! The client's certificate and key, read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;

use super::pin::{INTEGER, SEQUENCE, take};
use super::{FileWait, files, refuse};
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
    Pkcs8(&'a str),
    /// PKCS#8 that needs a password.
    Encrypted(&'a str),
    /// PKCS#1 or SEC1.
    Traditional(&'a str),
    /// The same with a password, in a form of OpenSSL's own.
    TraditionalEncrypted,
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
            Some(_) if body.trim_start().starts_with("Proc-Type: 4,ENCRYPTED") => {
                return Some(Key::TraditionalEncrypted);
            }
            Some(_) => return Some(Key::Traditional(block)),
            None => rest = &rest[length..],
        }
    }
}

/// What is wrong where there is no key that can be read.
pub(super) const NO_KEY: &str = "there is no private key in PEM form";
pub(super) const OLD_ENCRYPTION: &str =
    "the key is encrypted in OpenSSL's old form: convert it with `openssl pkcs8 -topk8`";

/// Decrypts a key to PKCS#8 in DER form (RFC 5958, section 3; RFC 8018, section 6.2).
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for a password that is missing or wrong.
pub(super) fn decrypt(pem: &str, password: Option<&str>) -> Result<Vec<u8>> {
    let password = password.ok_or_else(|| refuse(PASSWORD, "the key is encrypted"))?;
    let decrypted = || {
        let der = der(pem)?;
        let encrypted = EncryptedPrivateKeyInfoRef::try_from(&*der).ok()?;
        Some(encrypted.decrypt(password).ok()?.as_bytes().to_vec())
    };
    decrypted().ok_or_else(|| refuse(PASSWORD, "the password is wrong, or the encryption not PBES2"))
}

const PASSWORD: &str = "client_key_password";

/// What a PEM block holds (RFC 7468, section 3).
fn der(block: &str) -> Option<Vec<u8>> {
    let lines = block.lines().filter(|line| !line.starts_with(DASHES));
    let text: String = lines.flat_map(str::chars).filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
}

/// A key in PKCS#8 and PEM form.
pub(super) fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("{BEGIN}{PRIVATE_KEY}{DASHES}\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().copied().map(char::from));
        pem.push('\n');
    }
    pem + END + PRIVATE_KEY + DASHES + "\n"
}

/// An RSA key in PKCS#1 form (RFC 8017, appendix A.1.2) or an elliptic one in SEC1 form (RFC 5915) as PKCS#8 in DER form (RFC 5208,
/// section 5). `None` for what is neither, and for an elliptic key that does not name its curve.
pub(super) fn to_pkcs8(traditional: &str) -> Option<Vec<u8>> {
    let key = der(traditional)?;
    let algorithm = match traditional.strip_prefix(BEGIN)?.split_once(PRIVATE_KEY)?.0 {
        "RSA " => value(SEQUENCE, &[RSA, NULL]),
        "EC " => value(SEQUENCE, &[ELLIPTIC, curve(&key)?]),
        _ => return None,
    };
    Some(value(SEQUENCE, &[VERSION, &algorithm, &value(OCTET_STRING, &[&key])]))
}

/// The OID of the curve, with its tag and length.
fn curve(sec1: &[u8]) -> Option<&[u8]> {
    let (key, _) = take(sec1, SEQUENCE)?;
    let (_, rest) = take(key.content, INTEGER)?;
    let (_, rest) = take(rest, OCTET_STRING)?;
    let (parameters, _) = take(rest, PARAMETERS)?;
    Some(take(parameters.content, OBJECT_IDENTIFIER)?.0.whole)
}

const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]`, constructed: the curve.
const PARAMETERS: u8 = 0xA0;
/// Values in DER form: version 0, NULL, and the OIDs rsaEncryption and id-ecPublicKey.
const VERSION: &[u8] = &[INTEGER, 1, 0];
const NULL: &[u8] = &[0x05, 0];
const RSA: &[u8] = &[OBJECT_IDENTIFIER, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1];
const ELLIPTIC: &[u8] = &[OBJECT_IDENTIFIER, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 2, 1];

/// A value in DER form.
fn value(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len().to_be_bytes();
    let significant = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut bytes = vec![tag];
    if content.len() > 0x7F {
        bytes.push(0x80 | significant.len() as u8);
        bytes.extend_from_slice(significant);
    } else {
        bytes.push(content.len() as u8);
    }
    bytes.extend(content);
    bytes
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
            (pkcs1.replace("AAAA", "Proc-Type: 4,ENCRYPTED\n\nAAAA"), Some(Key::TraditionalEncrypted)),
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

    #[test]
    fn a_key_that_does_not_say_what_it_is_is_not_made_pkcs8() {
        let labelled = |label: &str, der: &[u8]| pem(der).replace(PRIVATE_KEY, &format!("{label} {PRIVATE_KEY}"));
        let curve = value(PARAMETERS, &[&value(OBJECT_IDENTIFIER, &[&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 3, 1, 7]])]);
        let sec1 = |rest: &[u8]| value(SEQUENCE, &[&value(INTEGER, &[&[1]]), &value(OCTET_STRING, &[&[7; 32]]), rest]);
        assert!(to_pkcs8(&labelled("EC", &sec1(&curve))).is_some());
        assert!(to_pkcs8(&labelled("RSA", &[1, 2, 3])).is_some(), "the library looks into it");
        for (label, der) in [("EC", sec1(&[])), ("EC", sec1(&[PARAMETERS, 0])), ("EC", vec![]), ("DSA", sec1(&curve))] {
            assert_eq!(to_pkcs8(&labelled(label, &der)), None, "{label} {der:?}");
        }
    }

    #[test]
    fn lengths_are_as_short_as_can_be() {
        for length in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF] {
            let bytes = value(OCTET_STRING, &[&vec![7; length]]);
            let (read, rest) = take(&bytes, OCTET_STRING).unwrap();
            assert!(read.content.len() == length && rest.is_empty());
        }
    }
}
