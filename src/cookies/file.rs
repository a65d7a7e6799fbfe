//! The file format of Netscape, which curl and Python read and write: `cookies.txt`.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;

use super::cookie::Cookie;
use super::cookie::Scope;
use super::store::Store;
use crate::error::CookieError;

/// By this first line Python knows the format.
const HEADER: &str = "# Netscape HTTP Cookie File\n";
/// A comment for those who do not know better.
const HTTP_ONLY: &str = "#HttpOnly_";
/// The largest file that is read, in bytes: more than a jar can hold.
const MAX_FILE: u64 = 16 * 1024 * 1024;
/// How the name of a file ends that is not complete.
const TEMPORARY: &str = ".new";
/// How long nobody has written to a temporary file whose process is taken to be gone.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);
/// How often another temporary file is taken because the name is in use, or because the file was removed.
const MAX_RETRIES: u32 = 100;

/// Which cookies are written.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Saved {
    /// Those that have a date on which they expire.
    Persistent,
    /// The others as well.
    All,
}

/// Reads a file.
pub(super) fn read(path: &Path, now: u64) -> io::Result<Store> {
    from_lines(BufReader::new(fs::File::open(path)?), now)
}

/// Puts a file there with this text, which only its owner may read; not before all of it is written.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    remove_abandoned(path);
    let mut retries = 0..MAX_RETRIES;
    loop {
        let (temporary, mut file) = create_temporary(path)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        drop(file);
        match written.and_then(|()| replace(&temporary, path)) {
            Ok(()) => return Ok(()),
            // Another process took the file for an abandoned one.
            Err(error) if error.kind() == io::ErrorKind::NotFound && retries.next().is_some() => {}
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                return Err(error);
            }
        }
    }
}

/// Renames. Windows refuses that for as long as another thread or process has one of the files in hand.
fn replace(temporary: &Path, path: &Path) -> io::Result<()> {
    /// What std has no kind for.
    const ERROR_SHARING_VIOLATION: i32 = 32;
    let mut retries = 0..if cfg!(windows) { MAX_RETRIES } else { 0 };
    loop {
        match fs::rename(temporary, path) {
            Err(error)
                if (error.kind() == io::ErrorKind::PermissionDenied
                    || error.raw_os_error() == Some(ERROR_SHARING_VIOLATION))
                    && retries.next().is_some() => {}
            result => return result,
        }
    }
}

/// A new file beside `path`: somebody else's file, or link, is not written to.
fn create_temporary(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut retries = 0..MAX_RETRIES;
    loop {
        let temporary = temporary_path(path)?;
        match options.open(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && retries.next().is_some() => {}
            Err(error) => return Err(error),
        }
    }
}

/// A name in the same directory. The time is a part of it since process ids repeat: in a container they are always the
/// same.
fn temporary_path(path: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}-{time}-{number}{TEMPORARY}", std::process::id()));
    Ok(path.with_file_name(name))
}

/// Removes the temporary files of processes that have ended in the midst of a save.
fn remove_abandoned(path: &Path) {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let (Some(name), Ok(entries)) = (path.file_name(), fs::read_dir(directory)) else { return };
    for entry in entries.flatten().filter(|entry| is_temporary(&entry.file_name(), name)) {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > ABANDONED_AFTER)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether this is a name of [`temporary_path`] for a file with the name `target`.
fn is_temporary(name: &OsStr, target: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let numbers = name.strip_prefix(target.as_encoded_bytes()).and_then(|rest| rest.strip_prefix(b"."));
    let Some(numbers) = numbers.and_then(|rest| rest.strip_suffix(TEMPORARY.as_bytes())) else { return false };
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let parts: Vec<&[u8]> = numbers.splitn(4, |byte| *byte == b'-').collect();
    parts.len() == 3 && parts.into_iter().all(is_number)
}

/// The text of a file with these cookies.
pub(super) fn to_text(store: &Store, which: Saved, now: u64) -> String {
    let mut text = String::from(HEADER);
    for cookie in store.unexpired(now).filter(|cookie| which == Saved::All || cookie.expires.is_some()) {
        push_line(&mut text, cookie);
    }
    text
}

fn push_line(text: &mut String, cookie: &Cookie) {
    let flag = |is_set| if is_set { "TRUE" } else { "FALSE" };
    let (dot, includes_below) = match cookie.scope {
        Scope::Host(_) => ("", false),
        Scope::Domain(_) => (".", true),
    };
    if cookie.is_http_only {
        text.push_str(HTTP_ONLY);
    }
    // 0 is curl's sign for a cookie that goes with the program.
    let expires = cookie.expires.unwrap_or(0).to_string();
    let (below, secure) = (flag(includes_below), flag(cookie.is_secure));
    // Python's form of a cookie without a value.
    let (name, value) = cookie.value.as_ref().map_or(("", &cookie.name), |value| (&cookie.name, value));
    let fields = [below, &cookie.path, secure, &expires, name, value];
    text.extend([dot, cookie.scope.name()]);
    fields.iter().for_each(|field| text.extend(["\t", field]));
    text.push('\n');
}

pub(super) fn from_lines(reader: impl BufRead, now: u64) -> io::Result<Store> {
    let mut store = Store::default();
    let mut reader = reader.take(MAX_FILE + 1);
    let mut line = Vec::new();
    let (mut unfit, mut first_unfit) = (0_usize, None);
    for number in 1_usize.. {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if reader.limit() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 16 MiB of cookies"));
        }
        match from_bytes(&line) {
            Ok(FileLine::Cookie(cookie)) => store.insert(cookie, now),
            Ok(FileLine::Comment) => {}
            Ok(FileLine::Unfit(problem)) => {
                unfit += 1;
                first_unfit.get_or_insert((number, problem));
            }
            Err(problem) => {
                let problem = format!("line {number} is no cookie: {problem}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
    }
    if let Some((number, problem)) = first_unfit {
        log::warn!("{unfit} cookies of a file are left out, the first of them in line {number}: {problem}");
    }
    Ok(store)
}

enum FileLine {
    /// An empty one, too.
    Comment,
    Cookie(Cookie),
    /// A cookie that others keep, and this jar does not.
    Unfit(Unfit),
}

/// Why a cookie of a file is left out.
#[derive(Debug, Error)]
enum Unfit {
    /// It is too long, or not what its name promises.
    #[error("{0}")]
    Rule(CookieError),
    /// Curl writes what a server says, byte by byte.
    #[error("it is not UTF-8")]
    NotUtf8,
}

fn from_bytes(line: &[u8]) -> Result<FileLine, CookieError> {
    let text = String::from_utf8_lossy(line);
    match (from_line(text.trim_end_matches(['\r', '\n']))?, text) {
        (FileLine::Cookie(_), Cow::Owned(_)) => Ok(FileLine::Unfit(Unfit::NotUtf8)),
        (read, _) => Ok(read),
    }
}

/// # Errors
///
/// What is wrong with a line that is neither a comment nor a cookie.
fn from_line(line: &str) -> Result<FileLine, CookieError> {
    let (line, is_http_only) = match line.strip_prefix(HTTP_ONLY) {
        Some(rest) => (rest, true),
        None if is_comment(line) => return Ok(FileLine::Comment),
        None => (line, false),
    };
    let mut fields = line.split('\t');
    let mut field = || fields.next().ok_or(CookieError::Syntax);
    let mut cookie = Cookie {
        scope: scope(field()?, field()?)?,
        // Python keeps paths that do not begin with a slash. No request is for one.
        path: Some(field()?).filter(|path| !path.is_empty()).ok_or(CookieError::Syntax)?.to_owned(),
        is_secure: is_true(field()?)?,
        is_http_only,
        expires: expires(field()?)?,
        name: field()?.to_owned(),
        // Some leave out a value that is empty, and the tab before it.
        value: Some(fields.next().unwrap_or_default().to_owned()),
    };
    if fields.next().is_some() {
        return Err(CookieError::Syntax);
    }
    if cookie.name.is_empty() {
        // Python's form of a cookie without a value.
        cookie.name = cookie.value.take().unwrap_or_default();
    }
    match cookie.check() {
        Ok(()) => Ok(FileLine::Cookie(cookie)),
        Err(problem @ (CookieError::Prefix | CookieError::TooLong { .. })) => Ok(FileLine::Unfit(Unfit::Rule(problem))),
        Err(problem) => Err(problem),
    }
}

/// Python takes `$` for the sign of a comment, too.
fn is_comment(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with(['#', '$'])
}

fn scope(name: &str, includes_below: &str) -> Result<Scope, CookieError> {
    if is_true(includes_below)? {
        return Scope::widest(name).ok_or(CookieError::Domain);
    }
    Ok(Scope::Host(name.to_ascii_lowercase()))
}

fn is_true(flag: &str) -> Result<bool, CookieError> {
    match flag {
        "TRUE" => Ok(true),
        "FALSE" => Ok(false),
        _ => Err(CookieError::Syntax),
    }
}

/// 0 is curl's sign for a cookie that goes with the program, nothing is Python's. Python knows times before 1970 and fractions of a second,
/// and has no largest number.
fn expires(seconds: &str) -> Result<Option<u64>, CookieError> {
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match seconds {
        "" | "0" => Ok(None),
        _ if !is_number(digits) || !is_number(fraction) => Err(CookieError::Syntax),
        _ if seconds.starts_with('-') => Ok(Some(0)),
        _ => Ok(Some(digits.parse().unwrap_or(u64::MAX))),
    }
}

#[cfg(test)]
mod tests;
