// SPDX-License-Identifier: GPL-2.0-or-later
//! Which connections are taken (RFC 6120 §13.12): so many in all, so many of one address, so many new ones of one
//! address in a minute.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::{Config, Limit};

/// The time over which attempts are counted.
const MINUTE: Duration = Duration::from_secs(60);

/// Addresses remembered, at most; one more finds no room, and one that is remembered still does.
const REMEMBERED: usize = 65_536;

/// Who is connected, and who has tried lately.
#[derive(Debug)]
pub(super) struct Admission {
    most: usize,
    most_of_address: u32,
    most_attempts: u32,
    all: usize,
    visitors: HashMap<IpAddr, Visitor>,
    swept: Instant,
}

#[derive(Debug)]
struct Visitor {
    connected: u32,
    /// Attempts since `since`.
    attempts: u32,
    since: Instant,
}

impl Admission {
    /// Nobody is here yet.
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        Self {
            most: usize::try_from(config.max_connections).unwrap_or(usize::MAX),
            most_of_address: config.max_address_connections,
            most_attempts: config.max_address_attempts,
            all: 0,
            visitors: HashMap::new(),
            swept: now,
        }
    }

    /// A connection from that address; the limit that it runs into, if any. One that is taken has to
    /// [`Self::leave`].
    pub(super) fn enter(&mut self, address: IpAddr, now: Instant) -> Result<(), Limit> {
        self.sweep(now);
        let network = network(address);
        if self.visitors.len() >= REMEMBERED && !self.visitors.contains_key(&network) {
            return Err(Limit::Connections);
        }
        let full = self.all >= self.most;
        let visitor = self.visitors.entry(network).or_insert(Visitor {
            connected: 0,
            attempts: 0,
            since: now,
        });
        if now.duration_since(visitor.since) >= MINUTE {
            visitor.attempts = 0;
            visitor.since = now;
        }
        visitor.attempts = visitor.attempts.saturating_add(1);
        let limited = |count: u32, most: u32| most != 0 && count > most;
        if limited(visitor.attempts, self.most_attempts) {
            return Err(Limit::AddressAttempts);
        }
        if limited(visitor.connected + 1, self.most_of_address) {
            return Err(Limit::AddressConnections);
        }
        if full {
            return Err(Limit::Connections);
        }
        visitor.connected += 1;
        self.all += 1;
        Ok(())
    }

    /// A connection has ended.
    pub(super) fn leave(&mut self, address: IpAddr) {
        if let Some(visitor) = self.visitors.get_mut(&network(address)) {
            visitor.connected = visitor.connected.saturating_sub(1);
        }
        self.all = self.all.saturating_sub(1);
    }

    /// Forgets who has gone and tried nothing for a minute.
    fn sweep(&mut self, now: Instant) {
        if now.duration_since(self.swept) >= MINUTE {
            self.swept = now;
            let lately = |v: &Visitor| v.connected > 0 || now.duration_since(v.since) < MINUTE;
            self.visitors.retain(|_, visitor| lately(visitor));
        }
    }
}

/// Whoever has one address of IPv6 has a whole network of 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from(u128::from(v6) >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(most: u32, of_address: u32, attempts: u32, now: Instant) -> Admission {
        let config = Config {
            max_connections: most,
            max_address_connections: of_address,
            max_address_attempts: attempts,
            ..Config::default()
        };
        Admission::new(&config, now)
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn each_limit_takes_n_and_refuses_more() {
        let now = Instant::now();
        let mut all = admission(3, 0, 0, now);
        let mut of_address = admission(1000, 3, 0, now);
        let mut attempts = admission(1000, 0, 3, now);
        for n in 0..30 {
            let taken = n < 3;
            let all = all.enter(address(n), now);
            assert_eq!(
                all,
                if taken {
                    Ok(())
                } else {
                    Err(Limit::Connections)
                }
            );
            let one = of_address.enter(address(1), now);
            assert_eq!(
                one,
                if taken {
                    Ok(())
                } else {
                    Err(Limit::AddressConnections)
                }
            );
            let tried = attempts.enter(address(1), now);
            attempts.leave(address(1));
            assert_eq!(
                tried,
                if taken {
                    Ok(())
                } else {
                    Err(Limit::AddressAttempts)
                }
            );
        }
        of_address.leave(address(1));
        assert_eq!(of_address.enter(address(1), now), Ok(()));
        assert_eq!(attempts.enter(address(1), now + MINUTE), Ok(()));
    }

    #[test]
    fn many_addresses_take_bounded_memory_and_shut_out_nobody_who_was_here() {
        let now = Instant::now();
        let mut admission = admission(10, 1, 0, now);
        let nth = |n: usize| IpAddr::from(std::net::Ipv4Addr::from(u32::try_from(n).unwrap()));
        for n in 0..2 * REMEMBERED {
            let entered = admission.enter(nth(n), now);
            assert_eq!(entered.is_ok(), n < 10, "{n}");
        }
        assert_eq!(admission.visitors.len(), REMEMBERED);
        admission.leave(nth(0));
        assert_eq!(admission.enter(nth(0), now), Ok(()));
        let later = admission.enter(nth(2 * REMEMBERED), now + MINUTE);
        assert_eq!(later, Err(Limit::Connections));
        assert_eq!(admission.visitors.len(), 11);
    }

    #[test]
    fn a_network_of_ipv6_is_one_visitor_and_who_is_gone_is_forgotten() {
        let now = Instant::now();
        let mut admission = admission(1000, 1, 0, now);
        assert_eq!(admission.enter("2001:db8::1".parse().unwrap(), now), Ok(()));
        let neighbour = admission.enter("2001:db8::2".parse().unwrap(), now);
        assert_eq!(neighbour, Err(Limit::AddressConnections));
        assert_eq!(
            admission.enter("2001:db8:0:1::1".parse().unwrap(), now),
            Ok(())
        );
        admission.leave("2001:db8::1".parse().unwrap());
        admission.leave("2001:db8:0:1::1".parse().unwrap());
        assert_eq!(admission.enter(address(1), now + 2 * MINUTE), Ok(()));
        assert_eq!(admission.visitors.len(), 1);
        assert_eq!(admission.all, 1);
    }
}
