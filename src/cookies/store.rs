//! All cookies of a jar: which are kept, and which go with a request (RFC 6265, sections 5.3 and 5.4).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use super::cookie::Cookie;
use super::cookie::RequestUri;
use crate::error::CookieError;

/// The largest number of cookies of one host or domain.
const MAX_OF_ONE: usize = 50;
/// The largest number of cookies.
const MAX: usize = 3000;
/// The largest value of a `Cookie` field, in bytes.
const MAX_HEADER: usize = 8190;

/// Cookies, by the host or domain that they are for: no operation but listing them looks at all.
pub(super) struct Store {
    domains: BTreeMap<DomainKey, Vec<StoredCookie>>,
    /// Where each cookie is, those first that are evicted first.
    eviction: BTreeMap<Rank, DomainKey>,
    next_age: u64,
    /// No cookie expires before this time.
    next_expiry: u64,
}

/// A cookie of one host or domain; of those, the oldest comes first.
struct StoredCookie {
    /// Smaller for older ones, and unique.
    age: u64,
    cookie: Cookie,
}

/// `Secure` or not, and age. Whoever sits on a connection without TLS must not be able to push out what was set over
/// it.
type Rank = (bool, u64);

/// The labels of a host or domain from the last to the first (`com.example.www`), so that what is below a domain
/// follows it.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
struct DomainKey(String);

impl Store {
    /// Takes in what `uri` sets.
    ///
    /// # Errors
    ///
    /// The rule that it breaks.
    pub(super) fn set(&mut self, field: &str, uri: &RequestUri<'_>, now: u64) -> Result<(), CookieError> {
        let cookie = Cookie::parse(field, uri, now)?;
        self.forget_expired(now);
        if !uri.secure && self.is_shadowing(&cookie) {
            return Err(CookieError::Secure);
        }
        self.insert(cookie, now);
        Ok(())
    }

    /// Takes in a cookie, which keeps the age of the one that it replaces. One that has expired only takes that away.
    pub(super) fn insert(&mut self, cookie: Cookie, now: u64) {
        let key = DomainKey::new(cookie.scope.name());
        let replaced = self.remove_same(&key, &cookie);
        if cookie.is_expired(now) {
            return;
        }
        let age = replaced.unwrap_or_else(|| {
            self.make_room_at(&key);
            self.next_age += 1;
            self.next_age
        });
        self.next_expiry = self.next_expiry.min(cookie.expires.unwrap_or(u64::MAX));
        let entry = StoredCookie { age, cookie };
        self.eviction.insert(entry.rank(), key.clone());
        let entries = self.domains.entry(key).or_default();
        let at = entries.partition_point(|other| other.age < age);
        entries.insert(at, entry);
    }

    /// The value of the `Cookie` field for a request to `uri`.
    pub(super) fn header(&mut self, uri: &RequestUri<'_>, now: u64) -> Option<String> {
        self.forget_expired(now);
        let key = DomainKey::new(&uri.host);
        let entries = key.with_ancestors().filter_map(|key| self.domains.get(&key)).flatten();
        let mut fitting: Vec<&StoredCookie> = entries.filter(|entry| entry.cookie.is_for(uri)).collect();
        fitting.sort_by_key(|entry| (Reverse(entry.cookie.path.len()), entry.age));
        let mut header = String::new();
        for StoredCookie { cookie, .. } in fitting {
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
        self.entries().filter(|entry| !entry.cookie.is_expired(now)).count()
    }

    /// The oldest first.
    pub(super) fn unexpired(&self, now: u64) -> impl Iterator<Item = &Cookie> {
        let mut entries: Vec<&StoredCookie> = self.entries().filter(|entry| !entry.cookie.is_expired(now)).collect();
        entries.sort_by_key(|entry| entry.age);
        entries.into_iter().map(|entry| &entry.cookie)
    }

    fn entries(&self) -> impl Iterator<Item = &StoredCookie> {
        self.domains.values().flatten()
    }

    /// Whether this cookie, set without TLS, would stand in for one that was set with it.
    fn is_shadowing(&self, cookie: &Cookie) -> bool {
        let key = DomainKey::new(cookie.scope.name());
        let at_or_above = key.with_ancestors().filter_map(|key| self.domains.get(&key));
        let below = self.domains.range(key.below()).map(|(_, entries)| entries);
        at_or_above.chain(below).flatten().any(|entry| cookie.shadows(&entry.cookie))
    }

    /// At most once for each second of the clock, this looks at all cookies.
    fn forget_expired(&mut self, now: u64) {
        if now < self.next_expiry {
            return;
        }
        for entries in self.domains.values_mut() {
            for expired in entries.extract_if(.., |entry| entry.cookie.is_expired(now)) {
                self.eviction.remove(&expired.rank());
            }
        }
        self.domains.retain(|_, entries| !entries.is_empty());
        self.next_expiry = self.entries().filter_map(|entry| entry.cookie.expires).min().unwrap_or(u64::MAX);
    }

    fn make_room_at(&mut self, key: &DomainKey) {
        let entries = self.domains.get(key).map_or(&[][..], Vec::as_slice);
        if entries.len() >= MAX_OF_ONE
            && let Some(first) = entries.iter().map(StoredCookie::rank).min()
        {
            self.evict(first);
        }
        if self.eviction.len() >= MAX
            && let Some((&first, _)) = self.eviction.first_key_value()
        {
            self.evict(first);
        }
    }

    fn evict(&mut self, rank: Rank) {
        if let Some(key) = self.eviction.remove(&rank) {
            self.remove(&key, |entry| entry.rank() == rank);
        }
    }

    /// Takes the namesake of a cookie away, and returns its age.
    fn remove_same(&mut self, key: &DomainKey, cookie: &Cookie) -> Option<u64> {
        let removed = self.remove(key, |entry| cookie.is_same(&entry.cookie))?;
        self.eviction.remove(&removed.rank());
        Some(removed.age)
    }

    fn remove(&mut self, key: &DomainKey, is_meant: impl Fn(&StoredCookie) -> bool) -> Option<StoredCookie> {
        let entries = self.domains.get_mut(key)?;
        let at = entries.iter().position(is_meant)?;
        let removed = entries.remove(at);
        if entries.is_empty() {
            self.domains.remove(key);
        }
        Some(removed)
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { domains: BTreeMap::new(), eviction: BTreeMap::new(), next_age: 0, next_expiry: u64::MAX }
    }
}

impl StoredCookie {
    const fn rank(&self) -> Rank {
        (self.cookie.is_secure, self.age)
    }
}

impl DomainKey {
    fn new(name: &str) -> Self {
        Self(name.rsplit('.').collect::<Vec<_>>().join("."))
    }

    /// This name and all that end what it ends with: `com.example.www`, `com.example`, `com`.
    fn with_ancestors(&self) -> impl Iterator<Item = Self> {
        let ends = self.0.rmatch_indices('.').map(|(end, _)| end);
        [self.0.len()].into_iter().chain(ends).map(|end| Self(self.0[..end].to_owned()))
    }

    /// The names below this one.
    fn below(&self) -> Range<Self> {
        // In ASCII, the slash follows the dot.
        Self(format!("{}.", self.0))..Self(format!("{}/", self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cookies::cookie;

    const NOW: u64 = 1_000_000_000;

    impl Store {
        fn set_at(&mut self, url: &str, field: &str, now: u64) -> Result<(), CookieError> {
            let target = cookie::parse_url(url).unwrap();
            self.set(field, &RequestUri::of(&target).unwrap(), now)
        }

        fn header_at(&mut self, url: &str, now: u64) -> String {
            let target = cookie::parse_url(url).unwrap();
            self.header(&RequestUri::of(&target).unwrap(), now).unwrap_or_default()
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
        assert!(store.domains.is_empty() && store.eviction.is_empty(), "what has expired takes no room");
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

    /// A store as RFC 6265 describes it, which looks at all cookies each time.
    #[derive(Default)]
    struct Model(Vec<Cookie>);

    impl Model {
        fn set(&mut self, field: &str, uri: &RequestUri<'_>, now: u64) -> Result<(), CookieError> {
            let cookie = Cookie::parse(field, uri, now)?;
            self.0.retain(|cookie| !cookie.is_expired(now));
            if !uri.secure && self.0.iter().any(|other| cookie.shadows(other)) {
                return Err(CookieError::Secure);
            }
            match (self.0.iter().position(|other| cookie.is_same(other)), cookie.is_expired(now)) {
                (Some(at), true) => drop(self.0.remove(at)),
                (Some(at), false) => self.0[at] = cookie,
                (None, true) => {}
                (None, false) => {
                    let is_neighbour = |other: &Cookie| other.scope.name() == cookie.scope.name();
                    if self.0.iter().filter(|other| is_neighbour(other)).count() >= MAX_OF_ONE {
                        self.evict(is_neighbour);
                    }
                    if self.0.len() >= MAX {
                        self.evict(|_| true);
                    }
                    self.0.push(cookie);
                }
            }
            Ok(())
        }

        fn evict(&mut self, is_candidate: impl Fn(&Cookie) -> bool) {
            let candidates = self.0.iter().enumerate().filter(|(_, cookie)| is_candidate(cookie));
            if let Some((at, _)) = candidates.min_by_key(|(_, cookie)| cookie.is_secure) {
                self.0.remove(at);
            }
        }

        fn header(&self, uri: &RequestUri<'_>, now: u64) -> Vec<String> {
            let mut fitting: Vec<_> =
                self.0.iter().filter(|cookie| cookie.is_for(uri) && !cookie.is_expired(now)).collect();
            fitting.sort_by_key(|cookie| Reverse(cookie.path.len()));
            fitting.into_iter().map(shown).collect()
        }
    }

    fn shown(cookie: &Cookie) -> String {
        let mut text = String::new();
        cookie.push_to(&mut text);
        text
    }

    proptest! {
        #[test]
        fn the_index_changes_nothing(
            sets in prop::collection::vec((0..4_usize, 0..6_usize, 0..70_u32, 0..3_usize, 0..4_usize, 0..3_u64), 1..300),
        ) {
            let schemes = ["ws", "ws", "wss", "wss"];
            let hosts = ["example.com", "a.example.com", "b.a.example.com", "c.example.com", "127.0.0.1", "badexample.com"];
            let domains = ["", "; Domain=example.com", "; Domain=a.example.com"];
            let rest = ["", "; Secure", "; Max-Age=2", "; Max-Age=0"];
            let (mut store, mut model, mut now) = (Store::default(), Model::default(), NOW);
            for (scheme, host, name, domain, more, later) in sets {
                now += u64::from(later == 2);
                let url = format!("{}://{}/x/", schemes[scheme], hosts[host]);
                let target = cookie::parse_url(&url).unwrap();
                let uri = RequestUri::of(&target).unwrap();
                // Few names are set often, and one host gets more than it may have.
                let name = if host == 0 { name } else { name % 3 };
                let field = format!("n{name}={now}{}{}", domains[domain], rest[more]);
                prop_assert_eq!(store.set(&field, &uri, now), model.set(&field, &uri, now));
                let expected = model.header(&uri, now);
                prop_assert_eq!(store.header(&uri, now).unwrap_or_default(), expected.join("; "));
                prop_assert_eq!(store.len(now), store.eviction.len());
            }
            let expected: Vec<String> = model.0.iter().filter(|cookie| !cookie.is_expired(now)).map(shown).collect();
            prop_assert_eq!(store.unexpired(now).map(shown).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn setting_cookies_one_by_one_does_not_look_at_all_of_them() {
        let mut store = Store::default();
        let started = std::time::Instant::now();
        for number in 0..50_000 {
            store.set_at(&format!("ws://h{number}.example/"), "a=1; Max-Age=60", NOW).unwrap();
            store.header_at(&format!("ws://h{number}.example/"), NOW);
        }
        assert_eq!(store.len(NOW), MAX);
        let took = started.elapsed();
        assert!(took < std::time::Duration::from_secs(30), "{took:?}");
    }
}
