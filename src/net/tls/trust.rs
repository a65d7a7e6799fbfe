//! The authorities that the options name, read.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use super::files::{self, told};
use super::{WaitLimit, refuse};
use crate::error::{Error, Result};
use crate::options::{Authorities, SystemRoots, TlsOptions};

/// Names authorities for those who name none in their options: websocket-client's own.
const VARIABLE: &str = "WEBSOCKET_CLIENT_CA_BUNDLE";

/// What every PEM file of certificates has in it (RFC 7468, section 5.1).
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

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
        Ok(Self { pem: files::read(option, &path, limit)?, option, path: Some(path) })
    }
}

/// Reads all that the options name, or the environment where they name nothing.
///
/// # Errors
///
/// Those of [`files::read`].
pub(super) fn read(options: &TlsOptions, limit: WaitLimit<'_>) -> Result<Vec<Bundle>> {
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
    for path in paths.into_iter().filter(|path| files::may_be_read(path)) {
        let bundle = Bundle::read(option, path, limit)?;
        if bundle.pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
            bundles.push(bundle);
        }
    }
    if bundles.len() == before {
        return Err(refuse(option, told(directory, "no file in it holds a certificate in PEM form")));
    }
    Ok(())
}
