//! The URLs on the way to a connection.

use std::fmt;

use crate::url::without_query;

/// The URLs that were asked, the first one first, without userinfo; none in the server's role.
#[derive(Default)]
pub(super) struct Itinerary {
    pub(super) urls: Vec<String>,
}

impl Itinerary {
    /// That of the connection.
    pub(super) fn url(&self) -> Option<&str> {
        self.urls.last().map(String::as_str)
    }

    /// Those that redirects led to.
    pub(super) fn redirects(&self) -> &[String] {
        self.urls.get(1..).unwrap_or_default()
    }
}

/// Shows no query: there may be a secret in it.
impl fmt::Debug for Itinerary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.urls.iter().map(|url| without_query(url))).finish()
    }
}
