//! The client's certificate and key, read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;

use super::{WaitLimit, files, refuse};
use crate::error::Result;
use crate::options::PemSource;

/// What a PEM block with a key begins with, and what it ends with after the same label (RFC 7468, section 2).
pub(super) const BEGIN: &str = "-----BEGIN ";
pub(super) const END: &str = "-----END ";
pub(super) const DASHES: &str = "-----";
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// What an option holds, or the file that it names.
type Pem<'a> = Cow<'a, [u8]>;

/// Reads a certificate or a key for the option of this name.
///
/// # Errors
///
/// Those of [`files::read`].
pub(super) fn read<'a>(option: &'static str, source: &'a PemSource, limit: WaitLimit<'_>) -> Result<Pem<'a>> {
    match source {
        PemSource::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        PemSource::File(path) => files::read(option, path, limit).map(Cow::Owned),
    }
}

/// Reads a certificate and its key, which may be in the same file: that may be a FIFO, which gives what it holds once.
///
/// # Errors
///
/// Those of [`files::read`].
pub(super) fn read_pair<'a>(
    option: &'static str,
    chain: &'a PemSource,
    key: &'a PemSource,
    limit: WaitLimit<'_>,
) -> Result<(Pem<'a>, Pem<'a>)> {
    let read_chain = read(option, chain, limit)?;
    let read_key = match (chain, key) {
        (PemSource::File(one), PemSource::File(other)) if one == other => read_chain.clone(),
        _ => read(option, key, limit)?,
    };
    Ok((read_chain, read_key))
}

/// A private key in PEM form.
#[cfg_attr(test, derive(Debug, Eq, PartialEq))]
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
pub(super) fn der(block: &str) -> Option<Vec<u8>> {
    let lines = block.lines().filter(|line| !line.starts_with(DASHES));
    let text: String = lines.flat_map(str::chars).filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(text).ok()
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
}
