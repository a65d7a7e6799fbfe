//! Files of certificates and keys, read with a bound on their size and, for a FIFO, a terminal and the like, on the wait for them.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use super::refuse;
use crate::error::{Error, Phase, Result};
use crate::net::wait_mode::WaitLimit;

/// The largest file that is read, in MiB. All authorities of a system together are a quarter of one.
const MAX_MIB: usize = 16;
const MAX_LENGTH: usize = MAX_MIB << 20;

/// Reads the file that the option of this name names. What is no regular file (a FIFO, a shell's `<(…)`) is read to its end as it
/// comes.
///
/// # Errors
///
/// [`Error::Options`] for what cannot be read or is too large; for what blocks [`Error::Timeout`] at the deadline and [`Error::Io`] when
/// the opening is called off, both with the phase [`Phase::Tls`].
pub(super) fn read(option: &'static str, path: &Path, limit: WaitLimit<'_>) -> Result<Vec<u8>> {
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
pub(super) fn may_be_read(path: &Path) -> bool {
    let is_fit = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_LENGTH as u64);
    is_fit && !open(path).is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
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
    use crate::net::deadline::called_off;
    use crate::net::poll::{CancelSignal, PollOutcome, poll_file};

    let failed = |error| Error::Io { phase: Phase::Tls, error };
    let signal = limit.cancellation.map(CancelSignal::new).transpose().map_err(failed)?;
    loop {
        let rest = limit.deadline.remaining().map_err(|_| Error::Timeout(Phase::Tls))?;
        match poll_file(file.get_ref(), signal.as_ref(), rest).map_err(failed)? {
            PollOutcome::Nothing => {}
            PollOutcome::CalledOff => return Err(failed(called_off())),
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
