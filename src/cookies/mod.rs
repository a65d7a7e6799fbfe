//! Cookies (RFC 6265), kept by whoever makes connections.
//!
//! The rules are written down here rather than taken from a crate: those that exist read the clock and the URL by themselves, do
//! not keep the order in which cookies came, know no bounds, and send `Secure` cookies to localhost without TLS. Only the list of
//! public suffixes is somebody else's.

mod cookie;
mod date;
mod file;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod store;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use self::cookie::RequestUri;
use self::file::Saved;
use self::store::Store;
use crate::error::Result;
use crate::url::Target;

/// A cookie jar (RFC 6265): stores the cookies that servers set, and sends them back.
///
/// Clones are the same jar, which may be used from any thread. Given to
/// [`ConnectOptions::cookie_jar`](crate::ConnectOptions::cookie_jar) it takes part in each opening handshake; an HTTP client that
/// logs in can share it through [`set`](Self::set) and [`cookies_for`](Self::cookies_for). Cookies know no ports, and `ws`, `wss`
/// stand for `http`, `https`.
///
/// What a server can do is narrow. A cookie is sent back to the host that set it and to no other, unless its `Domain` says
/// otherwise, which has to cover that host and must not be an address, a name without dots, or a public suffix such as `co.uk` or
/// `github.io` (by the list as it was when this crate was built). `Secure` cookies come and go over TLS only, on localhost too. Of
/// one domain 50 cookies are kept, of all together 3,000, each of 4,096 bytes for name and value; the oldest make room, those that
/// are not `Secure` before those that are. A request bears 8,190 bytes of them, those of the longest paths first.
/// `Debug` shows how many there are.
///
/// ```
/// use websocket_sync::CookieJar;
///
/// let jar = CookieJar::new();
/// jar.set("https://shop.example/login", "session=31d4d96e; Path=/; Secure; HttpOnly")?;
/// jar.set("https://shop.example/login", "theme=dark; Path=/; Domain=shop.example")?;
/// assert_eq!(jar.cookies_for("wss://shop.example/feed").as_deref(), Some("session=31d4d96e; theme=dark"));
/// assert_eq!(jar.cookies_for("ws://api.shop.example/").as_deref(), Some("theme=dark"));
/// assert_eq!(jar.cookies_for("wss://example/"), None);
///
/// assert_eq!(jar.len(), 2);
/// jar.clear();
/// assert!(jar.is_empty());
/// # Ok::<(), websocket_sync::Error>(())
/// ```
#[derive(Clone, Default)]
#[doc(alias = "SimpleCookieJar")]
pub struct CookieJar(Arc<Mutex<Store>>);

impl CookieJar {
    /// An empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// A jar with the cookies of a file in the format that Netscape had and that curl (`-b`, `-c`) and Python's
    /// `MozillaCookieJar` read and write: one cookie in a line, seven fields with tabs between them.
    ///
    /// Cookies that have expired are left out. One for all of `co.uk`, which no server could have set, counts for that
    /// host alone. A cookie that Python keeps without a value (`Set-Cookie: flag`) is sent as Python sends it: `flag`.
    /// Left out, with a line in the log, are those that Python and curl keep although they are too long, are not what
    /// `__Secure-` or `__Host-` promises, or are not UTF-8.
    ///
    /// # Errors
    ///
    /// Those of reading the file; [`InvalidData`](io::ErrorKind::InvalidData) with the number of the first line that is
    /// no cookie, and for a file of more than 16 MiB.
    ///
    /// ```no_run
    /// use websocket_sync::{ConnectOptions, CookieJar};
    ///
    /// let jar = CookieJar::load("cookies.txt")?;
    /// let ws = ConnectOptions::new().cookie_jar(&jar).connect("wss://shop.example/feed")?;
    /// jar.save("cookies.txt")?;
    /// // With those that end with the session, too.
    /// jar.save_all("all-cookies.txt")?;
    /// # Ok::<(), websocket_sync::Error>(())
    /// ```
    #[doc(alias = "MozillaCookieJar")]
    pub fn load(path: impl AsRef<Path>) -> io::Result<Self> {
        let store = file::read(path.as_ref(), now())?;
        Ok(Self(Arc::new(Mutex::new(store))))
    }

    /// Writes the cookies that have a date on which they expire to a file, as [`load`](Self::load) reads them. Those without are
    /// meant to be gone when the program ends.
    ///
    /// The file takes the place of one that was there when it is complete, and only its owner may read it. Until then
    /// its name is that of the file with `.<process>-<time>-<number>.new` behind it. What a process that was killed in
    /// the midst of a save has left is removed by a save a minute later, or after that.
    ///
    /// # Errors
    ///
    /// Those of writing the file.
    pub fn save(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.save_those(path.as_ref(), Saved::Persistent)
    }

    /// Like [`save`](Self::save), with those that have no such date.
    ///
    /// # Errors
    ///
    /// Those of writing the file.
    #[doc(alias = "ignore_discard")]
    pub fn save_all(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.save_those(path.as_ref(), Saved::All)
    }

    /// Stores a cookie: the value of a `Set-Cookie` field that came from this URL, of a scheme that is `ws`, `wss`, `http` or
    /// `https`. One that has expired removes the stored one of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Url`](crate::Error::Url), and [`Error::Cookie`](crate::Error::Cookie) for a cookie that this server must not set.
    ///
    /// ```
    /// use websocket_sync::{CookieError, CookieJar, Error};
    ///
    /// let jar = CookieJar::new();
    /// let error = jar.set("https://shop.co.uk/", "a=1; Domain=co.uk").unwrap_err();
    /// assert!(matches!(error, Error::Cookie(CookieError::PublicSuffix)));
    /// ```
    pub fn set(&self, url: &str, cookie: &str) -> Result<()> {
        let target = cookie::parse_url(url)?;
        Ok(self.store().set(cookie, &RequestUri::of(&target)?, now())?)
    }

    /// The value of the `Cookie` field for a request to this URL, of a scheme as in [`set`](Self::set). `None` when there are no
    /// cookies for it, or it is no such URL.
    pub fn cookies_for(&self, url: &str) -> Option<String> {
        self.cookies_for_target(&cookie::parse_url(url).ok()?)
    }

    /// Removes all cookies.
    pub fn clear(&self) {
        *self.store() = Store::default();
    }

    /// The number of cookies that have not expired.
    pub fn len(&self) -> usize {
        self.store().len(now())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of the `Cookie` field for a request to this URI.
    pub(crate) fn cookies_for_target(&self, target: &Target) -> Option<String> {
        self.store().header(&RequestUri::of(target).ok()?, now())
    }

    /// Takes in the `Set-Cookie` fields of an answer. What this server must not set is left out.
    pub(crate) fn keep<'a>(&self, target: &Target, fields: impl Iterator<Item = &'a [u8]>) {
        let Ok(uri) = RequestUri::of(target) else { return };
        let now = now();
        let mut store = self.store();
        for text in fields.filter_map(|field| str::from_utf8(field).ok()) {
            // RFC 6265, section 5.3: a cookie that does not fit is ignored.
            let _ = store.set(text, &uri, now);
        }
    }

    fn save_those(&self, path: &Path, which: Saved) -> io::Result<()> {
        let text = file::to_text(&self.store(), which, now());
        file::write(path, &text)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CookieJar").field("cookies", &self.len()).finish()
    }
}

/// Seconds since 1970, as cookies count time.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
