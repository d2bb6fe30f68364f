// SPDX-License-Identifier: GPL-2.0-or-later
//! The order in which to try the servers of a domain.
//!
//! In: the SRV records of both kinds, and randomness. Out: endpoints, by RFC 2782 as if both kinds were one
//! (XEP-0368 §3).

use std::fmt;

use super::endpoint::{Endpoint, Security};

/// The most endpoints that are used of one domain.
const MOST_ENDPOINTS: usize = 20;

/// An SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    /// None where the record says that the service is not available (target "."), or names nothing that a
    /// connection can be made to.
    pub(super) place: Option<(String, u16)>,
}

impl fmt::Display for Srv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some((host, port)) => {
                write!(
                    f,
                    "{host}:{port} (priority {}, weight {})",
                    self.priority, self.weight
                )
            }
            None => f.write_str("not available"),
        }
    }
}

/// What the SRV records of a domain say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Servers, the first to try first.
    Endpoints(Vec<Endpoint>),
    /// The service is decidedly not available; no address of the domain may be tried instead.
    Unavailable,
    /// Nothing: the domain's own addresses may be tried (RFC 6120 §3.2.2).
    Unpublished,
}

/// Merges what the records for direct TLS and those for STARTTLS say.
pub(super) fn order(direct: &[Srv], start_tls: &[Srv], mut random: impl FnMut() -> u64) -> Order {
    if direct.is_empty() && start_tls.is_empty() {
        return Order::Unpublished;
    }
    let direct = direct.iter().map(|srv| (srv, Security::Direct));
    let start_tls = start_tls.iter().map(|srv| (srv, Security::StartTls));
    let mut records: Vec<_> = direct.chain(start_tls).collect();
    // Those without weight stand first in their priority, so that they have a small chance (RFC 2782).
    records.sort_by_key(|(srv, _)| (srv.priority, srv.weight > 0));
    let mut endpoints = Vec::new();
    while !records.is_empty() && endpoints.len() < MOST_ENDPOINTS {
        let (srv, security) = records.remove(pick(&records, random()));
        let Some((host, port)) = srv.place.clone() else {
            continue;
        };
        let endpoint = Endpoint {
            host,
            port,
            security,
        };
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
    }
    if endpoints.is_empty() {
        Order::Unavailable
    } else {
        Order::Endpoints(endpoints)
    }
}

/// The next record: by chance, in proportion to the weights, among those of the first one's priority.
fn pick(records: &[(&Srv, Security)], random: u64) -> usize {
    let first = records.first().map(|(srv, _)| srv.priority);
    let weights = || {
        records
            .iter()
            .take_while(|(srv, _)| Some(srv.priority) == first)
            .map(|(srv, _)| u64::from(srv.weight))
    };
    let point = random % (weights().sum::<u64>() + 1);
    let running = weights().scan(0, |sum, weight| {
        *sum += weight;
        Some(*sum)
    });
    running.take_while(|sum| *sum < point).count()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_chacha::rand_core::{Rng, SeedableRng};

    use super::*;

    fn srv(priority: u16, weight: u16, host: &str) -> Srv {
        Srv {
            priority,
            weight,
            place: Some((host.to_owned(), 5269)),
        }
    }

    const NOT_AVAILABLE: Srv = Srv {
        priority: 0,
        weight: 0,
        place: None,
    };

    /// The hosts in order, those for direct TLS with a plus.
    fn hosts(direct: &[Srv], start_tls: &[Srv], random: impl FnMut() -> u64) -> Vec<String> {
        let Order::Endpoints(endpoints) = order(direct, start_tls, random) else {
            panic!("no endpoints of {direct:?} and {start_tls:?}");
        };
        let name = |endpoint: Endpoint| match endpoint.security {
            Security::Direct => format!("+{}", endpoint.host),
            Security::StartTls => endpoint.host,
        };
        endpoints.into_iter().map(name).collect()
    }

    #[test]
    fn both_kinds_are_one_set_ordered_by_priority() {
        let direct = [srv(20, 0, "c"), srv(5, 0, "a")];
        let start_tls = [srv(30, 0, "d"), srv(10, 0, "b")];
        for random in [0, 1, u64::MAX] {
            assert_eq!(
                hosts(&direct, &start_tls, || random),
                ["+a", "b", "+c", "d"]
            );
        }
    }

    #[test]
    fn a_host_may_be_listed_for_both_kinds_but_not_twice_for_one() {
        let both = [srv(1, 0, "a"), srv(2, 0, "a")];
        assert_eq!(hosts(&both, &both, || 0), ["+a", "a"]);
    }

    #[test]
    fn the_first_is_chosen_in_proportion_to_the_weights() {
        let mut rng = ChaCha12Rng::seed_from_u64(1);
        let (direct, start_tls) = ([srv(1, 60, "a")], [srv(1, 30, "b"), srv(1, 10, "c")]);
        let mut first = [0_u32; 3];
        const ROUNDS: u32 = 20_000;
        for _ in 0..ROUNDS {
            let hosts = hosts(&direct, &start_tls, || rng.next_u64());
            assert_eq!(hosts.len(), 3);
            first[["+a", "b", "c"]
                .iter()
                .position(|h| *h == hosts[0])
                .unwrap()] += 1;
        }
        for (count, percent) in first.into_iter().zip([60, 30, 10]) {
            let expected = ROUNDS * percent / 100;
            assert!(
                count.abs_diff(expected) < ROUNDS * 2 / 100,
                "{first:?} of {ROUNDS}"
            );
        }
    }

    #[test]
    fn weight_zero_comes_first_rarely_beside_weight_and_sometimes_among_its_like() {
        let records = [srv(1, 99, "a"), srv(1, 0, "b")];
        let mut rng = ChaCha12Rng::seed_from_u64(2);
        let first = (0..10_000)
            .filter(|_| hosts(&[], &records, || rng.next_u64())[0] == "b")
            .count();
        assert!((50..200).contains(&first), "{first} of 10000");
        assert_eq!(hosts(&[], &[srv(1, 0, "a"), srv(1, 0, "b")], || 7).len(), 2);
    }

    #[test]
    fn no_records_are_not_the_same_as_a_service_that_is_not_available() {
        let (no, yes) = (&[NOT_AVAILABLE][..], &[srv(1, 1, "a")][..]);
        assert_eq!(order(&[], &[], || 0), Order::Unpublished);
        assert_eq!(order(no, no, || 0), Order::Unavailable);
        assert_eq!(order(&[], no, || 0), Order::Unavailable);
        assert_eq!(order(no, &[], || 0), Order::Unavailable);
        assert_eq!(hosts(no, yes, || 0), ["a"]);
        assert_eq!(hosts(yes, no, || 0), ["+a"]);
    }

    #[test]
    fn no_more_endpoints_are_used_than_is_reasonable() {
        let many: Vec<_> = (0..500).map(|n| srv(n, n, &format!("h{n}"))).collect();
        let hosts = hosts(&many, &many, || 3);
        assert_eq!(hosts.len(), MOST_ENDPOINTS);
        assert_eq!(hosts[..2], ["+h0", "h0"]);
    }

    #[test]
    fn the_greatest_weights_do_no_harm() {
        let many: Vec<_> = (0..50)
            .map(|n| srv(1, u16::MAX, &format!("h{n}")))
            .collect();
        assert_eq!(hosts(&many, &many, || u64::MAX).len(), MOST_ENDPOINTS);
    }
}
