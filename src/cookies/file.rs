//! The file format of Netscape, which curl and Python read and write: `cookies.txt`.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::cookie::Cookie;
use super::scope::Scope;
use super::store::Store;
use crate::error::CookieError;

/// By this first line Python knows the format.
const HEADER: &str = "# Netscape HTTP Cookie File\n";
/// A comment for those who do not know better.
const HTTP_ONLY: &str = "#HttpOnly_";
/// The largest file that is read, in bytes: more than a jar can hold.
const MAX_FILE: u64 = 16 * 1024 * 1024;

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
    let beside = beside(path)?;
    // Somebody else's file, or link, is not written to.
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    drop(file);
    let moved = written.and_then(|()| fs::rename(&beside, path));
    if moved.is_err() {
        let _ = fs::remove_file(&beside);
    }
    moved
}

/// A name that nobody else uses, in the same directory.
fn beside(path: &Path) -> io::Result<PathBuf> {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}-{}.new", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(name))
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
    let fields = [below, &cookie.path, secure, &expires, &cookie.name, &cookie.value];
    text.extend([dot, cookie.scope.name()]);
    fields.iter().for_each(|field| text.extend(["\t", field]));
    text.push('\n');
}

fn from_lines(reader: impl BufRead, now: u64) -> io::Result<Store> {
    let mut store = Store::default();
    let mut reader = reader.take(MAX_FILE + 1);
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        if reader.limit() == 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "more than 16 MiB of cookies"));
        }
        match from_line(line.trim_end_matches(['\r', '\n'])) {
            Ok(cookie) => cookie.into_iter().for_each(|cookie| store.insert(cookie, now)),
            Err(problem) => {
                let problem = format!("line {number} is no cookie: {problem}");
                return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
            }
        }
    }
    Ok(store)
}

/// The cookie of a line; `None` for a comment and an empty line.
///
/// # Errors
///
/// What is wrong with a line that is neither.
fn from_line(line: &str) -> Result<Option<Cookie>, CookieError> {
    let (line, is_http_only) = match line.strip_prefix(HTTP_ONLY) {
        Some(rest) => (rest, true),
        None if line.starts_with('#') || line.trim().is_empty() => return Ok(None),
        None => (line, false),
    };
    let mut fields = line.split('\t');
    let mut field = || fields.next().ok_or(CookieError::Syntax);
    let scope = scope(field()?, field()?)?;
    let cookie = Cookie {
        scope,
        path: Some(field()?).filter(|path| path.starts_with('/')).ok_or(CookieError::Syntax)?.to_owned(),
        is_secure: is_true(field()?)?,
        is_http_only,
        expires: expires(field()?)?,
        name: field()?.to_owned(),
        // Some leave out a value that is empty, and the tab before it.
        value: fields.next().unwrap_or_default().to_owned(),
    };
    if fields.next().is_some() {
        return Err(CookieError::Syntax);
    }
    cookie.check()?;
    Ok(Some(cookie))
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

/// 0 is curl's sign for a cookie that goes with the program, nothing is Python's.
fn expires(seconds: &str) -> Result<Option<u64>, CookieError> {
    match seconds {
        "" | "0" => Ok(None),
        _ => seconds.parse().map(Some).map_err(|_| CookieError::Syntax),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn load(text: &str) -> io::Result<Store> {
        from_lines(text.as_bytes(), NOW)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = "# Netscape HTTP Cookie File\n\
                    .example.com\tTRUE\t/\tFALSE\t1000000060\ta\tb c=d\n\
                    #HttpOnly_h.example.com\tFALSE\t/x\tTRUE\t18446744073709551615\t__Secure-a\t\n\
                    ::1\tFALSE\t/\tFALSE\t0\ts\t1\n";
        let store = load(text).unwrap();
        assert_eq!(to_text(&store, Saved::All, NOW), text);
        let persistent = to_text(&store, Saved::Persistent, NOW);
        assert_eq!(persistent, text.replace("::1\tFALSE\t/\tFALSE\t0\ts\t1\n", ""));
        assert_eq!(to_text(&store, Saved::Persistent, NOW + 60).lines().count(), 2, "what has expired is not written");
        assert_eq!(load(text).unwrap().len(NOW + 60), 2);
    }

    #[test]
    fn what_curl_and_python_write_is_read() {
        let curl = "# Netscape HTTP Cookie File\n# https://curl.se/docs/http-cookies.html\n\
                    # This file was generated by libcurl! Edit at your own risk.\n\n\
                    #HttpOnly_.example.com\tTRUE\t/\tTRUE\t1000000001\tsid\tabc\nh.example\tFALSE\t/\tFALSE\t0\tempty\t\n";
        let python = "# Netscape HTTP Cookie File\r\n# http://curl.haxx.se/rfc/cookie_spec.html\r\n\
                      example.com\tTRUE\t/\tFALSE\t\tsid\tabc\r\nh.example\tFALSE\t/\tFALSE\t1000000001\tempty";
        assert_eq!(load(curl).unwrap().len(NOW), 2);
        assert_eq!(load(python).unwrap().len(NOW), 2);
        assert_eq!(load("").unwrap().len(NOW), 0);
    }

    #[test]
    fn a_cookie_for_a_public_suffix_is_for_that_host_alone() {
        let line = from_line(".co.uk\tTRUE\t/\tFALSE\t0\ta\tb").ok().flatten().unwrap();
        assert_eq!(line.scope, Scope::Host("co.uk".into()));
        let line = from_line("127.0.0.1\tTRUE\t/\tFALSE\t0\ta\tb").ok().flatten().unwrap();
        assert_eq!(line.scope, Scope::Host("127.0.0.1".into()));
    }

    #[test]
    fn a_line_that_is_no_cookie_is_told_by_its_number_and_not_by_what_it_says() {
        let lines = [
            "canary",
            "h\tFALSE\t/\tFALSE\t0",
            "h\tFALSE\t/\tFALSE\t0\tname\tcanary\tmore",
            "h\tno\t/\tFALSE\t0\tname\tcanary",
            "h\tFALSE\t/\tyes\t0\tname\tcanary",
            "h\tFALSE\tpath\tFALSE\t0\tname\tcanary",
            "h\tFALSE\t/\tFALSE\t-1\tname\tcanary",
            "h\tFALSE\t/\tFALSE\tcanary\tname\tcanary",
            "h\tFALSE\t/\tFALSE\t0\t\tcanary",
            "h\tFALSE\t/\tFALSE\t0\tname\tcan;ary",
            "h\tFALSE\t/\tFALSE\t0\tna=me\tcanary",
            "h\tFALSE\t/\tFALSE\t0\tname\tcan\rary",
            "h\tFALSE\t/\tFALSE\t0\tname\tcan\0ary",
            "h\tFALSE\t/\x1b\tFALSE\t0\tname\tcanary",
            "h\tFALSE\t/\tFALSE\t0\t__Host-a\tcanary",
            "h h\tTRUE\t/\tFALSE\t0\tname\tcanary",
        ];
        for line in lines {
            let error = load(&format!("# Netscape HTTP Cookie File\n\n{line}\n")).err().unwrap();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{line:?}");
            let says = error.to_string();
            assert!(says.starts_with("line 3 is no cookie: ") && !says.contains("canary"), "{says}");
        }
        let long = format!("h\tFALSE\t/\tFALSE\t0\ta\t{}", "v".repeat(4096));
        assert!(load(&long).is_err());
        assert!(from_lines(&[0xFF][..], NOW).is_err(), "not UTF-8");
    }

    #[test]
    fn a_file_without_end_is_not_read_for_ever() {
        let endless = BufReader::new(io::repeat(b'#'));
        let error = from_lines(endless, NOW).err().unwrap();
        assert_eq!(error.to_string(), "more than 16 MiB of cookies");
    }
}
