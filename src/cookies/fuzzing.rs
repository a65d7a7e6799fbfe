//! A jar whose clock and whose files are handed in, for the fuzz targets.

use std::fmt;
use std::io;

use super::cookie::{RequestUri, parse_url};
use super::file::{self, Saved};
use super::store::Store;
use crate::error::Result;

/// The cookies of a jar.
#[derive(Default)]
pub struct CookieStore(Store);

impl fmt::Debug for CookieStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieStore(..)")
    }
}

impl CookieStore {
    /// Those of the text of a file, at this time in seconds.
    ///
    /// # Errors
    ///
    /// A line that is no cookie.
    pub fn from_file(text: &[u8], now: u64) -> io::Result<Self> {
        file::from_lines(text, now).map(Self)
    }

    /// The text of a file with all of them.
    pub fn to_file(&self, now: u64) -> String {
        file::to_text(&self.0, Saved::All, now)
    }

    /// Takes in a `Set-Cookie` field.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub fn set(&mut self, url: &str, field: &str, now: u64) -> Result<()> {
        let target = parse_url(url)?;
        Ok(self.0.set(field, &RequestUri::of(&target)?, now)?)
    }

    /// The `Cookie` field of a request.
    pub fn header(&mut self, url: &str, now: u64) -> Option<String> {
        let target = parse_url(url).ok()?;
        self.0.header(&RequestUri::of(&target).ok()?, now)
    }

    /// How many there are.
    pub fn len(&self, now: u64) -> usize {
        self.0.len(now)
    }

    /// Whether there is none.
    pub fn is_empty(&self, now: u64) -> bool {
        self.len(now) == 0
    }
}
