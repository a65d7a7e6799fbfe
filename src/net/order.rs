//! In which order the addresses of a host are tried (RFC 8305, section 4).

use std::net::SocketAddr;

use crate::options::Family;

/// Those of the wanted family or families, taking turns. The family of the first address that the resolver gave goes first,
/// unless the other is preferred; within a family the resolver's order stays.
pub(super) fn order(addresses: Vec<SocketAddr>, family: Family) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return addresses };
    let prefers_ipv4 = match family {
        Family::Any => first.is_ipv4(),
        Family::PreferIpv4 | Family::Ipv4Only => true,
        Family::PreferIpv6 | Family::Ipv6Only => false,
    };
    let (preferred, others) = addresses.into_iter().partition(|address| address.is_ipv4() == prefers_ipv4);
    match family {
        Family::Ipv4Only | Family::Ipv6Only => preferred,
        Family::Any | Family::PreferIpv4 | Family::PreferIpv6 => alternate(preferred, others),
    }
}

fn alternate(first: Vec<SocketAddr>, second: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let mut ordered = Vec::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `4a` is 10.0.0.10, `6b` is ::b.
    fn addresses(short: &str) -> Vec<SocketAddr> {
        let address = |short: &str| {
            let number = u8::from_str_radix(&short[1..], 16).unwrap();
            match &short[..1] {
                "4" => SocketAddr::from(([10, 0, 0, number], 80)),
                _ => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, u16::from(number)], 80)),
            }
        };
        short.split_whitespace().map(address).collect()
    }

    #[test]
    fn the_families_take_turns() {
        use Family::{Any, Ipv4Only, Ipv6Only, PreferIpv4, PreferIpv6};
        let table = [
            (Any, "", ""),
            (Any, "4a", "4a"),
            (Any, "6a", "6a"),
            (Any, "6a 4a", "6a 4a"),
            (Any, "4a 6a", "4a 6a"),
            (Any, "6a 6b 4a 4b", "6a 4a 6b 4b"),
            (Any, "4a 4b 6a 6b", "4a 6a 4b 6b"),
            (Any, "6a 4a 4b 6b", "6a 4a 6b 4b"),
            (Any, "6a 6b 6c 4a", "6a 4a 6b 6c"),
            (Any, "6a 4a 4b 4c", "6a 4a 4b 4c"),
            (Any, "4b 4a 4c", "4b 4a 4c"),
            (PreferIpv4, "6a 6b 4a 4b", "4a 6a 4b 6b"),
            (PreferIpv4, "6a 6b", "6a 6b"),
            (PreferIpv6, "4a 4b 6a", "6a 4a 4b"),
            (PreferIpv6, "4b 4a", "4b 4a"),
            (Ipv4Only, "6a 4a 6b 4b", "4a 4b"),
            (Ipv4Only, "6a 6b", ""),
            (Ipv6Only, "4a 6a", "6a"),
            (Ipv6Only, "4a", ""),
        ];
        for (family, given, expected) in table {
            assert_eq!(order(addresses(given), family), addresses(expected), "{family:?}: {given}");
        }
    }
}
