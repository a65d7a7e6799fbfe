//! Which openings may be under way at a time: so many in all, and so many to one host. What waits for one host holds up no other.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;

use crate::url::Target;

/// What one limit is for: a host, as the URL names it, and its port, or a socket in the file system.
pub(super) type HostKey = Arc<str>;

/// The host that openings to a target count for.
pub(super) fn host_of(target: &Target) -> HostKey {
    match (&target.socket_path, &target.zone) {
        (Some(path), _) => path.to_string_lossy().into(),
        (None, Some(zone)) => format!("{}%{zone}:{}", target.host, target.port).into(),
        (None, None) => format!("{}:{}", target.host, target.port).into(),
    }
}

/// The openings of a loop.
///
/// A slot of the loop is named by its number, and each request by a ticket of its own: a request that is no longer wanted is left where
/// it is, and found out when it is its turn.
#[derive(Debug)]
pub(super) struct Openings {
    pub(super) limits: OpeningLimits,
    under_way: usize,
    hosts: HashMap<HostKey, HostOpenings>,
    /// The hosts that an opening may begin to, in the order of their turns. Invariant: a host is here, once, exactly if an opening to it
    /// waits and its limit leaves room.
    turns: VecDeque<HostKey>,
}

/// How many openings may be under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpeningLimits {
    pub(super) total: NonZeroUsize,
    pub(super) per_host: NonZeroUsize,
}

/// A request for an opening.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Ticket {
    pub(super) app: usize,
    pub(super) number: u64,
}

#[derive(Debug, Default)]
struct HostOpenings {
    under_way: usize,
    waiting: VecDeque<Ticket>,
}

impl Openings {
    pub(super) fn new(limits: OpeningLimits) -> Self {
        Self { limits, under_way: 0, hosts: HashMap::new(), turns: VecDeque::new() }
    }

    /// An opening to this host is wanted.
    pub(super) fn request(&mut self, host: &HostKey, ticket: Ticket) {
        let openings = self.hosts.entry(Arc::clone(host)).or_default();
        openings.waiting.push_back(ticket);
        if openings.waiting.len() == 1 && openings.under_way < self.limits.per_host.get() {
            self.turns.push_back(Arc::clone(host));
        }
    }

    /// The next opening that may begin. [`finish`](Self::finish) has to follow.
    pub(super) fn begin(&mut self) -> Option<(HostKey, Ticket)> {
        if self.under_way >= self.limits.total.get() {
            return None;
        }
        let host = self.turns.pop_front()?;
        let openings = self.hosts.get_mut(&host)?;
        let ticket = openings.waiting.pop_front()?;
        openings.under_way += 1;
        self.under_way += 1;
        if !openings.waiting.is_empty() && openings.under_way < self.limits.per_host.get() {
            self.turns.push_back(Arc::clone(&host));
        }
        Some((host, ticket))
    }

    /// An opening to this host is over, or was not wanted any more.
    pub(super) fn finish(&mut self, host: &HostKey) {
        let Some(openings) = self.hosts.get_mut(host) else { return };
        let was_full = openings.under_way >= self.limits.per_host.get();
        openings.under_way -= 1;
        self.under_way -= 1;
        if openings.waiting.is_empty() {
            if openings.under_way == 0 {
                self.hosts.remove(host);
            }
        } else if was_full && openings.under_way < self.limits.per_host.get() {
            self.turns.push_back(Arc::clone(host));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn openings(total: usize, per_host: usize) -> Openings {
        let limit = |limit| NonZeroUsize::new(limit).unwrap();
        Openings::new(OpeningLimits { total: limit(total), per_host: limit(per_host) })
    }

    fn request(openings: &mut Openings, host: &str, apps: std::ops::Range<usize>) {
        for app in apps {
            openings.request(&HostKey::from(host), Ticket { app, number: app as u64 });
        }
    }

    fn begin(openings: &mut Openings) -> Vec<(String, usize)> {
        std::iter::from_fn(|| openings.begin()).map(|(host, ticket)| (host.to_string(), ticket.app)).collect()
    }

    #[test]
    fn a_host_with_many_waiting_holds_up_no_other() {
        let mut openings = openings(100, 3);
        request(&mut openings, "dead", 0..50);
        request(&mut openings, "alive", 50..52);
        let begun = begin(&mut openings);
        let at = |host: &str| begun.iter().filter(|(begun, _)| begun == host).map(|(_, app)| *app).collect::<Vec<_>>();
        assert_eq!((at("dead"), at("alive")), (vec![0, 1, 2], vec![50, 51]));
        openings.finish(&HostKey::from("dead"));
        assert_eq!(begin(&mut openings), [("dead".to_owned(), 3)]);
    }

    #[test]
    fn hosts_take_turns_where_the_whole_is_limited() {
        let mut openings = openings(2, 2);
        request(&mut openings, "a", 0..3);
        request(&mut openings, "b", 10..13);
        assert_eq!(begin(&mut openings), [("a".to_owned(), 0), ("b".to_owned(), 10)]);
        openings.finish(&HostKey::from("a"));
        assert_eq!(begin(&mut openings), [("a".to_owned(), 1)]);
        openings.finish(&HostKey::from("a"));
        openings.finish(&HostKey::from("b"));
        assert_eq!(begin(&mut openings), [("b".to_owned(), 11), ("a".to_owned(), 2)]);
        openings.finish(&HostKey::from("a"));
        assert_eq!(begin(&mut openings), [("b".to_owned(), 12)]);
    }

    #[test]
    fn each_request_begins_once_whatever_the_order_and_nothing_is_kept() {
        let mut openings = openings(4, 3);
        let mut under_way = Vec::new();
        let mut begun = 0;
        // Any order will do that mixes the hosts and the ends.
        for round in 0..1000_usize {
            let host = HostKey::from(["a", "b", "c"][round * 7 % 3]);
            openings.request(&host, Ticket { app: round, number: 0 });
            if let Some((host, _)) = openings.begin() {
                begun += 1;
                under_way.push(host);
            }
            let per_host = |host: &str| under_way.iter().filter(|at| &***at == host).count();
            assert!(under_way.len() <= 4 && ["a", "b", "c"].into_iter().all(|host| per_host(host) <= 3));
            if round % 3 != 0 && !under_way.is_empty() {
                openings.finish(&under_way.swap_remove(round * 5 % under_way.len()));
            }
        }
        loop {
            under_way.drain(..).for_each(|host| openings.finish(&host));
            under_way.extend(std::iter::from_fn(|| openings.begin()).map(|(host, _)| host));
            begun += under_way.len();
            if under_way.is_empty() {
                break;
            }
        }
        assert_eq!((begun, openings.under_way, openings.hosts.len(), openings.turns.len()), (1000, 0, 0, 0));
    }
}
