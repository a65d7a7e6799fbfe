//! Certificates and keys in PEM form: the authorities that the options name, the client's own certificate and key, and how their files
//! are read.

use std::borrow::Cow;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::{env, fmt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::refuse;
use crate::error::{Error, Phase, Result};
use crate::net::wait_mode::WaitLimit;
use crate::options::{Authorities, PemSource, SystemRoots, TlsOptions};

/// Names authorities for those who name none in their options: websocket-client's own.
const VARIABLE: &str = "WEBSOCKET_CLIENT_CA_BUNDLE";

/// Names the file of the system's authorities for OpenSSL and for rustls-native-certs, which read it themselves.
const SYSTEM_FILE: &str = "SSL_CERT_FILE";

/// What every PEM file of certificates has in it (RFC 7468, section 5.1).
const BEGIN_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";

/// Certificates in PEM form.
#[derive(Debug)]
pub(super) struct Bundle {
    pub(super) pem: Vec<u8>,
    /// The option that named them.
    option: &'static str,
    /// Where they are from, unless the option held them itself.
    path: Option<PathBuf>,
}

impl Bundle {
    /// What is wrong with them, as an error.
    pub(super) fn refuse(&self, problem: &str) -> Error {
        match &self.path {
            Some(path) => refuse(self.option, told(path, problem)),
            None => refuse(self.option, problem),
        }
    }

    fn read(option: &'static str, path: PathBuf, limit: WaitLimit<'_>) -> Result<Self> {
        Ok(Self { pem: read_file(option, &path, limit)?, option, path: Some(path) })
    }
}

/// Reads all that the options name, or the environment where they name nothing.
///
/// # Errors
///
/// Those of [`read_file`].
pub(super) fn read_authorities(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<Vec<Bundle>> {
    let mut bundles = Vec::new();
    for authorities in &options.authorities {
        match authorities {
            Authorities::Pem(pem) => bundles.push(Bundle { pem: pem.to_vec(), option: "ca_certs_pem", path: None }),
            Authorities::File(path) => bundles.push(Bundle::read("ca_certs", path.clone(), limit)?),
            Authorities::Directory(path) => read_directory(&mut bundles, "ca_certs_dir", path, limit)?,
        }
    }
    if let Some(path) = env::var_os(VARIABLE).filter(|path| options.authorities.is_empty() && !path.is_empty()) {
        read_any(&mut bundles, path.into(), limit)?
    }
    Ok(bundles)
}

/// Whether the system's authorities are trusted, where the options name these.
pub(super) fn system_roots(options: &TlsOptions, named: &[Bundle]) -> SystemRoots {
    let by_default = if named.is_empty() { SystemRoots::Included } else { SystemRoots::Excluded };
    options.system_roots.unwrap_or(by_default)
}

/// A file or a directory.
fn read_any(bundles: &mut Vec<Bundle>, path: PathBuf, limit: WaitLimit<'_>) -> Result<()> {
    if path.is_dir() {
        return read_directory(bundles, VARIABLE, &path, limit);
    }
    bundles.push(Bundle::read(VARIABLE, path, limit)?);
    Ok(())
}

/// The files right in a directory that hold certificates. Others lie there too: keys, lists, archives, links that lead nowhere.
fn read_directory(
    bundles: &mut Vec<Bundle>,
    option: &'static str,
    directory: &Path,
    limit: WaitLimit<'_>,
) -> Result<()> {
    let before = bundles.len();
    let list = || fs::read_dir(directory)?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = list().map_err(|error| refuse(option, told(directory, error)))?;
    paths.sort();
    for path in paths.into_iter().filter(|path| may_be_read(path)) {
        let bundle = Bundle::read(option, path, limit)?;
        if bundle.pem.windows(BEGIN_CERTIFICATE.len()).any(|window| window == BEGIN_CERTIFICATE) {
            bundles.push(bundle);
        }
    }
    if bundles.len() == before {
        return Err(refuse(option, told(directory, "no file in it holds a certificate in PEM form")));
    }
    Ok(())
}

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
/// Those of [`read_file`].
pub(super) fn read_source<'a>(option: &'static str, source: &'a PemSource, limit: WaitLimit<'_>) -> Result<Pem<'a>> {
    match source {
        PemSource::Bytes(bytes) => Ok(Cow::Borrowed(bytes)),
        PemSource::File(path) => read_file(option, path, limit).map(Cow::Owned),
    }
}

/// Reads a certificate and its key, which may be in the same file: that may be a FIFO, which gives what it holds once.
///
/// # Errors
///
/// Those of [`read_file`].
pub(super) fn read_pair<'a>(
    option: &'static str,
    chain: &'a PemSource,
    key: &'a PemSource,
    limit: WaitLimit<'_>,
) -> Result<(Pem<'a>, Pem<'a>)> {
    let read_chain = read_source(option, chain, limit)?;
    let read_key = match (chain, key) {
        (PemSource::File(one), PemSource::File(other)) if one == other => read_chain.clone(),
        _ => read_source(option, key, limit)?,
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

/// The first private key in a PEM file, which may hold other things too, such as comments that are not UTF-8.
pub(super) fn find_key(pem: &[u8]) -> Option<Key<'_>> {
    pem.utf8_chunks().find_map(|chunk| find_key_in(chunk.valid()))
}

fn find_key_in(text: &str) -> Option<Key<'_>> {
    let mut rest = text;
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
#[cfg(any(feature = "native-tls", feature = "rustls"))]
pub(super) fn decrypt(pem: &str, password: Option<&str>) -> Result<Vec<u8>> {
    let password = password.ok_or_else(|| refuse(PASSWORD, "the key is encrypted"))?;
    let decrypted = || {
        let der = der(pem)?;
        let encrypted = pkcs8::EncryptedPrivateKeyInfoRef::try_from(&*der).ok()?;
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

/// The largest file that is read, in MiB. All authorities of a system together are a quarter of one.
const MAX_MIB: usize = 16;
const MAX_LENGTH: usize = MAX_MIB << 20;

/// Reads the file that the option of this name names. What is no regular file (a FIFO, a shell's `<(…)`) is read to its end as it
/// comes.
///
/// # Errors
///
/// [`Error::Options`] for what cannot be read or is too large; for what blocks [`Error::Timeout`] at the deadline and [`Error::Io`] when
/// the opening is cancelled, both with the phase [`Phase::Tls`].
pub(super) fn read_file(option: &'static str, path: &Path, limit: WaitLimit<'_>) -> Result<Vec<u8>> {
    let refused = |problem: &dyn fmt::Display| refuse(option, told(path, problem));
    let file = open(path).map_err(|error| refused(&error))?;
    let metadata = file.metadata().map_err(|error| refused(&error))?;
    let mut bytes = Vec::new();
    if metadata.len() <= MAX_LENGTH as u64 {
        let mut file = file.take(MAX_LENGTH as u64 + 1);
        if metadata.is_file() {
            file.read_to_end(&mut bytes).map_err(|error| refused(&error))?;
        } else {
            read_as_it_comes(&mut file, &mut bytes, limit)?.map_err(|error| refused(&error))?;
        }
        if bytes.len() <= MAX_LENGTH {
            return Ok(bytes);
        }
    }
    Err(refused(&format!("larger than {MAX_MIB} MiB")))
}

/// Whether it is a regular file that is not too large, and that this process is allowed to read.
fn may_be_read(path: &Path) -> bool {
    let is_fit = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_LENGTH as u64);
    is_fit && !open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Whether the file of the system's authorities is one that a read may wait for, such as a FIFO.
pub(super) fn may_system_file_block() -> bool {
    let is_special = |path| fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
    env::var_os(SYSTEM_FILE).is_some_and(is_special)
}

/// What is wrong with a file, for people.
pub(super) fn told(path: &Path, problem: impl fmt::Display) -> String {
    format!("{}: {problem}", path.display())
}

/// Opens a file and does not wait for a FIFO's writer, nor later for what it writes.
#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Without an effect on regular files.
    OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

/// A FIFO without a writer is at its end; so each read comes after a wait, which does not end before there was a writer.
#[cfg(unix)]
fn read_as_it_comes(file: &mut io::Take<File>, bytes: &mut Vec<u8>, limit: WaitLimit<'_>) -> Result<io::Result<()>> {
    use crate::net::deadline::cancelled;
    use crate::net::poll::{CancelSignal, PollOutcome, poll_file};

    let failed = |error| Error::Io { phase: Phase::Tls, error };
    let signal = limit.cancellation.map(CancelSignal::new).transpose().map_err(failed)?;
    loop {
        let rest = limit.deadline.remaining().map_err(|_| Error::Timeout(Phase::Tls))?;
        match poll_file(file.get_ref(), signal.as_ref(), rest).map_err(failed)? {
            PollOutcome::Nothing => {}
            PollOutcome::Cancelled => return Err(failed(cancelled())),
            PollOutcome::Ready(_) => match read_some(file, bytes) {
                Ok(0) => return Ok(Ok(())),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Ok(Err(error)),
            },
        }
    }
}

#[cfg(unix)]
fn read_some(file: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 4096];
    let n = file.read(&mut chunk)?;
    bytes.extend_from_slice(&chunk[..n]);
    Ok(n)
}

/// What waits cannot be interrupted there.
#[cfg(not(unix))]
fn read_as_it_comes(file: &mut io::Take<File>, bytes: &mut Vec<u8>, limit: WaitLimit<'_>) -> Result<io::Result<()>> {
    if limit.deadline.is_over() || limit.cancellation.is_some_and(|cancellation| cancellation.is_cancelled()) {
        return Err(Error::Timeout(Phase::Tls));
    }
    Ok(file.read_to_end(bytes).map(drop))
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
            assert_eq!(find_key(pem.as_bytes()), expected, "{pem}");
        }
        assert_eq!(find_key(b"\xff"), None);
    }

    /// As OpenSSL writes what it takes out of a PKCS#12 file: names in Latin-1.
    #[test]
    fn the_key_is_found_beside_comments_that_are_not_utf_8() {
        let key = block("PRIVATE KEY");
        let comment = b"Bag Attributes\n    friendlyName: M\xfcller\n";
        let pem = [comment, block("CERTIFICATE").as_bytes(), b"\n", comment, key.as_bytes(), b"\n"].concat();
        assert_eq!(find_key(&pem), Some(Key::Pkcs8(&key)));
    }
}
