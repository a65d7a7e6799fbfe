//! All cookies of a jar: which are kept, and which go with a request (RFC 6265, sections 5.3 and 5.4).

use std::cmp::Reverse;

use super::cookie::Cookie;
use super::place::Place;
use crate::error::CookieError;

/// The largest number of cookies of one host or domain.
const MAX_OF_ONE: usize = 50;
/// The largest number of cookies.
const MAX: usize = 3000;
/// The largest value of a `Cookie` field, in bytes.
const MAX_HEADER: usize = 8190;

/// Cookies, the oldest first.
#[derive(Default)]
pub(super) struct Store {
    cookies: Vec<Cookie>,
}

impl Store {
    /// Takes in what `place` sets.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub(super) fn set(&mut self, field: &str, place: &Place<'_>, now: u64) -> Result<(), CookieError> {
        let cookie = Cookie::parse(field, place, now)?;
        self.forget_expired(now);
        if !place.secure && self.cookies.iter().any(|other| cookie.shadows(other)) {
            return Err(CookieError::Secure);
        }
        self.insert(cookie, now);
        Ok(())
    }

    /// Takes in a cookie, which keeps the age of the one that it replaces. One that has expired only takes that away.
    pub(super) fn insert(&mut self, cookie: Cookie, now: u64) {
        let same = self.cookies.iter().position(|other| cookie.is_same(other));
        match (same, cookie.is_expired(now)) {
            (Some(at), true) => drop(self.cookies.remove(at)),
            (Some(at), false) => self.cookies[at] = cookie,
            (None, true) => {}
            (None, false) => {
                self.make_room_beside(&cookie);
                self.cookies.push(cookie);
            }
        }
    }

    /// The value of the `Cookie` field for a request to `place`.
    pub(super) fn header(&mut self, place: &Place<'_>, now: u64) -> Option<String> {
        self.forget_expired(now);
        let mut fitting: Vec<&Cookie> = self.cookies.iter().filter(|cookie| cookie.is_for(place)).collect();
        // Of paths of the same length, the oldest stay first.
        fitting.sort_by_key(|cookie| Reverse(cookie.path.len()));
        let mut header = String::new();
        for cookie in fitting {
            let separator = if header.is_empty() { "" } else { "; " };
            if header.len() + separator.len() + cookie.len() > MAX_HEADER {
                break;
            }
            header.push_str(separator);
            cookie.push_to(&mut header);
        }
        Some(header).filter(|header| !header.is_empty())
    }

    pub(super) fn len(&self, now: u64) -> usize {
        self.unexpired(now).count()
    }

    pub(super) fn unexpired(&self, now: u64) -> impl Iterator<Item = &Cookie> {
        self.cookies.iter().filter(move |cookie| !cookie.is_expired(now))
    }

    fn forget_expired(&mut self, now: u64) {
        self.cookies.retain(|cookie| !cookie.is_expired(now));
    }

    fn make_room_beside(&mut self, cookie: &Cookie) {
        let is_neighbour = |other: &Cookie| other.scope.name() == cookie.scope.name();
        if self.cookies.iter().filter(|other| is_neighbour(other)).count() >= MAX_OF_ONE {
            self.forget_oldest(is_neighbour);
        }
        if self.cookies.len() >= MAX {
            self.forget_oldest(|_| true);
        }
    }

    /// Whoever sits on a connection without TLS must not be able to push out what was set over it.
    fn forget_oldest(&mut self, is_candidate: impl Fn(&Cookie) -> bool) {
        let candidates = self.cookies.iter().enumerate().filter(|(_, cookie)| is_candidate(cookie));
        // The first of those that compare equal.
        if let Some((at, _)) = candidates.min_by_key(|(_, cookie)| cookie.is_secure) {
            self.cookies.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookies::place;

    const NOW: u64 = 1_000_000_000;

    impl Store {
        fn set_at(&mut self, url: &str, field: &str, now: u64) -> Result<(), CookieError> {
            let target = place::parse(url).unwrap();
            self.set(field, &Place::of(&target).unwrap(), now)
        }

        fn header_at(&mut self, url: &str, now: u64) -> String {
            let target = place::parse(url).unwrap();
            self.header(&Place::of(&target).unwrap(), now).unwrap_or_default()
        }
    }

    #[test]
    fn cookies_go_when_their_time_has_come() {
        let mut store = Store::default();
        store.set_at("ws://h/", "a=1; Max-Age=60", NOW).unwrap();
        store.set_at("ws://h/", "b=2", NOW).unwrap();
        store.set_at("ws://h/", "c=3; Expires=Sun, 09 Sep 2001 01:47:20 GMT", NOW).unwrap();
        for (later, expected, len) in [(0, "a=1; b=2; c=3", 3), (39, "a=1; b=2; c=3", 3), (40, "a=1; b=2", 2)] {
            assert_eq!((store.len(NOW + later), store.header_at("ws://h/", NOW + later)), (len, expected.to_owned()));
        }
        store.set_at("ws://h/", "b=; Max-Age=0", NOW + 50).unwrap();
        assert_eq!(store.header_at("ws://h/", NOW + 59), "a=1");
        assert_eq!(store.len(NOW + 60), 0);
        assert_eq!(store.header_at("ws://h/", NOW + 60), "");
        assert!(store.cookies.is_empty(), "what has expired takes no room");
    }

    #[test]
    fn the_oldest_make_room_and_those_of_tls_come_last() {
        let mut store = Store::default();
        store.set_at("wss://h/", "first=1; Secure", NOW).unwrap();
        for number in 0..MAX_OF_ONE {
            store.set_at("ws://h/", &format!("n{number}=1"), NOW).unwrap();
        }
        assert_eq!(store.len(NOW), MAX_OF_ONE);
        let header = store.header_at("wss://h/", NOW);
        assert!(header.starts_with("first=1; n1=1;"), "{header}");
        // Of other hosts, nothing had to go.
        for host in 0..MAX {
            store.set_at(&format!("ws://h{host}/"), "a=1", NOW).unwrap();
        }
        assert_eq!(store.len(NOW), MAX);
        assert_eq!(store.header_at("wss://h/", NOW), "first=1");
        assert_eq!(store.header_at("ws://h0/", NOW), "");
        assert_eq!(store.header_at("ws://h1/", NOW), "a=1");
    }

    #[test]
    fn a_request_bears_so_much_and_no_more() {
        let mut store = Store::default();
        let value = "v".repeat(4000);
        for name in ["a", "b", "c"] {
            store.set_at("ws://h/", &format!("{name}={value}"), NOW).unwrap();
        }
        assert_eq!(store.header_at("ws://h/", NOW), format!("a={value}; b={value}"));
        store.set_at("ws://h/x/", "deep=1; Path=/x", NOW).unwrap();
        assert!(store.header_at("ws://h/x", NOW).starts_with("deep=1; a="));
        for (one_more, expected) in [("", MAX_HEADER), ("v", MAX_HEADER / 2 - 1)] {
            let half = "v".repeat(MAX_HEADER / 2 - 3);
            let mut store = Store::default();
            store.set_at("ws://h/", &format!("a={half}"), NOW).unwrap();
            store.set_at("ws://h/", &format!("b={half}{one_more}"), NOW).unwrap();
            assert_eq!(store.header_at("ws://h/", NOW).len(), expected);
        }
    }
}
