// SPDX-License-Identifier: GPL-2.0-or-later
//! Everybody's share: how many dialogs there may be, and how fast new subscriptions and messages may come.
//!
//! A share belongs to a watcher, or to an XMPP domain in one direction, so that what its users ask for takes
//! nothing from those who ask for them. Users and domains are known by a keyed hash: what is counted costs
//! the same few bytes for any name, and nothing for a dialog.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::address::Pair;
use crate::config::{Config, Limit};
use crate::record::{Direction, Moment};

use super::identity::Identity;

/// The times over which new subscriptions and messages are counted.
const USER_PERIOD_MS: u64 = 60_000;
const DOMAIN_PERIOD_MS: u64 = 1_000;

/// Who has how much, and who may have how much.
#[derive(Debug)]
pub(super) struct Quota {
    dialogs: Allowance,
    user_subscribes: Rate,
    domain_subscribes: Rate,
    user_messages: Rate,
    domain_messages: Rate,
    held: Held,
    buckets: Buckets,
    secret: u64,
}

/// How many dialogs there may be; `None` is no limit.
#[derive(Debug)]
struct Allowance {
    all: u64,
    of_user: Option<u32>,
    of_domain: Option<u32>,
}

/// How many dialogs there are.
#[derive(Debug, Default)]
struct Held {
    all: u64,
    by_owner: HashMap<u64, u32>,
}

/// Why something is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Overdrawn {
    pub(super) limit: Limit,
    /// When it may be tried again, in milliseconds, where that is known.
    pub(super) wait_ms: Option<u64>,
}

/// Those whose shares a pair's dialog takes from, as hashes.
#[derive(Debug, Clone, Copy)]
struct Owners {
    user: u64,
    domain: u64,
}

impl Quota {
    pub(super) fn new(config: &Config, identity: &mut Identity) -> Self {
        Self {
            dialogs: Allowance {
                all: u64::from(config.max_dialogs),
                of_user: Some(config.max_user_dialogs).filter(|most| *most > 0),
                of_domain: Some(config.max_domain_dialogs).filter(|most| *most > 0),
            },
            user_subscribes: Rate::new(config.max_user_subscribes, USER_PERIOD_MS),
            domain_subscribes: Rate::new(config.max_domain_subscribes, DOMAIN_PERIOD_MS),
            user_messages: Rate::new(config.max_user_messages, USER_PERIOD_MS),
            domain_messages: Rate::new(config.max_domain_messages, DOMAIN_PERIOD_MS),
            held: Held::default(),
            buckets: Buckets::default(),
            secret: identity.between(0, u64::MAX),
        }
    }

    /// Whether there is room for one more dialog.
    pub(super) fn room(&self, direction: Direction, pair: &Pair) -> Result<(), Overdrawn> {
        let owners = self.owners(direction, pair);
        let full = |owner: u64, most: Option<u32>| {
            let held = self.held.by_owner.get(&owner).copied().unwrap_or(0);
            most.is_some_and(|most| held >= most)
        };
        let limit = if self.held.all >= self.dialogs.all {
            Limit::Dialogs
        } else if full(owners.user, self.dialogs.of_user) {
            Limit::UserDialogs
        } else if full(owners.domain, self.dialogs.of_domain) {
            Limit::DomainDialogs
        } else {
            return Ok(());
        };
        Err(Overdrawn {
            limit,
            wait_ms: None,
        })
    }

    /// Whether somebody may subscribe anew; if so, that is one less.
    pub(super) fn subscribe(
        &mut self,
        now: Moment,
        direction: Direction,
        pair: &Pair,
    ) -> Result<(), Overdrawn> {
        self.room(direction, pair)?;
        let owners = self.owners(direction, pair);
        let user = (owners.user, self.user_subscribes, Limit::UserSubscribes);
        let domain = (
            owners.domain,
            self.domain_subscribes,
            Limit::DomainSubscribes,
        );
        self.draw(now, [user, domain])
    }

    /// Whether somebody may send a message; if so, that is one less.
    pub(super) fn message(
        &mut self,
        now: Moment,
        direction: Direction,
        pair: &Pair,
    ) -> Result<(), Overdrawn> {
        let owners = self.senders(direction, pair);
        let user = (owners.user, self.user_messages, Limit::UserMessages);
        let domain = (owners.domain, self.domain_messages, Limit::DomainMessages);
        self.draw(now, [user, domain])
    }

    fn draw(&mut self, now: Moment, shares: [(u64, Rate, Limit); 2]) -> Result<(), Overdrawn> {
        for (owner, rate, limit) in shares {
            if let Err(wait_ms) = self.buckets.look(owner, rate, now) {
                return Err(Overdrawn {
                    limit,
                    wait_ms: Some(wait_ms),
                });
            }
        }
        for (owner, rate, _) in shares {
            self.buckets.take(owner, rate, now);
        }
        Ok(())
    }

    /// A dialog was made or taken up.
    pub(super) fn opened(&mut self, direction: Direction, pair: &Pair) {
        self.held.all += 1;
        let owners = self.owners(direction, pair);
        for owner in [owners.user, owners.domain] {
            *self.held.by_owner.entry(owner).or_default() += 1;
        }
    }

    /// A dialog is gone.
    pub(super) fn closed(&mut self, direction: Direction, pair: &Pair) {
        self.held.all = self.held.all.saturating_sub(1);
        let owners = self.owners(direction, pair);
        for owner in [owners.user, owners.domain] {
            if let Some(held) = self.held.by_owner.get_mut(&owner) {
                *held = held.saturating_sub(1);
                if *held == 0 {
                    self.held.by_owner.remove(&owner);
                }
            }
        }
    }

    /// How many dialogs there are.
    pub(super) fn dialogs(&self) -> u64 {
        self.held.all
    }

    fn owners(&self, direction: Direction, pair: &Pair) -> Owners {
        self.hashes(["user", "domain"], direction, pair)
    }

    fn senders(&self, direction: Direction, pair: &Pair) -> Owners {
        self.hashes(["sender", "domain of senders"], direction, pair)
    }

    fn hashes(&self, kinds: [&str; 2], direction: Direction, pair: &Pair) -> Owners {
        let [mut user, mut domain] = kinds.map(|what| {
            let mut hasher = DefaultHasher::new();
            (self.secret, direction, what).hash(&mut hasher);
            hasher
        });
        match direction {
            Direction::ToXmpp => pair.sip.hash(&mut user),
            Direction::ToSip => pair.xmpp.hash(&mut user),
        }
        pair.xmpp.domain().as_str().hash(&mut domain);
        Owners {
            user: user.finish(),
            domain: domain.finish(),
        }
    }
}

/// So many at once, and again so many over a period; `None` is no limit.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<Pace>);

#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Microseconds that one costs.
    cost: u64,
    /// Microseconds that a full bucket holds.
    full: u64,
}

impl Rate {
    fn new(most: u32, period_ms: u64) -> Self {
        Self((most > 0).then(|| {
            let cost = period_ms * 1000 / u64::from(most);
            Pace {
                cost,
                full: cost * u64::from(most),
            }
        }))
    }
}

/// Token buckets: when each will be full again, in microseconds. One that is full is as good as none.
#[derive(Debug, Default)]
struct Buckets {
    full_at: HashMap<u64, u64>,
    /// How many there were after the full ones had been dropped last.
    kept: usize,
}

/// As many may lie about full before they are looked through.
const FEW: usize = 1024;

impl Buckets {
    /// Whether there is a token; if not, in how many milliseconds.
    fn look(&self, owner: u64, Rate(pace): Rate, now: Moment) -> Result<(), u64> {
        let Some(Pace { cost, full }) = pace else {
            return Ok(());
        };
        let now = now.0.saturating_mul(1000);
        let full_at = self.full_at.get(&owner).copied().unwrap_or(0).max(now);
        let over = (full_at - now + cost).saturating_sub(full);
        if over == 0 {
            Ok(())
        } else {
            Err(over.div_ceil(1000))
        }
    }

    fn take(&mut self, owner: u64, Rate(pace): Rate, now: Moment) {
        let Some(Pace { cost, .. }) = pace else {
            return;
        };
        let now = now.0.saturating_mul(1000);
        let full_at = self.full_at.entry(owner).or_insert(now);
        *full_at = (*full_at).max(now).saturating_add(cost);
        if self.full_at.len() > 2 * self.kept.max(FEW) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.full_at.shrink_to_fit();
            self.kept = self.full_at.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Aor;

    fn quota(parameters: &[(&str, &str)]) -> Quota {
        let mut config = Config::default();
        for (name, value) in parameters {
            config.set(name, value).unwrap();
        }
        Quota::new(&config, &mut Identity::new([1; 32]))
    }

    fn pair(sip: &str, xmpp: &str) -> Pair {
        Pair::new(Aor::new(sip, "sip.example").unwrap(), xmpp.parse().unwrap())
    }

    const WATCHER: Direction = Direction::ToXmpp;

    #[test]
    fn a_bucket_gives_a_burst_and_then_a_rate() {
        for (most, period) in [(1, 60_000), (7, 60_000), (30, 60_000), (100, 1000)] {
            let rate = Rate::new(most, period);
            let mut buckets = Buckets::default();
            let start = Moment(1_700_000_000_000);
            let mut given = 0;
            // Ten times the limit, all at once, and then evenly over two periods.
            for n in 0..u64::from(most) * 30 {
                let now = start.plus_ms(
                    n.saturating_sub(u64::from(most) * 10) * period / u64::from(most) / 10,
                );
                if buckets.look(1, rate, now).is_ok() {
                    buckets.take(1, rate, now);
                    given += 1;
                }
                if n + 1 == u64::from(most) * 10 {
                    assert_eq!(given, most);
                }
            }
            assert!(
                (3 * most - 1..=3 * most).contains(&given),
                "{most}: {given}"
            );
        }
    }

    #[test]
    fn the_wait_is_as_long_as_it_takes() {
        let rate = Rate::new(30, 60_000);
        let mut buckets = Buckets::default();
        (0..30).for_each(|_| buckets.take(1, rate, Moment(0)));
        assert_eq!(buckets.look(1, rate, Moment(0)), Err(2000));
        assert_eq!(buckets.look(1, rate, Moment(1500)), Err(500));
        assert_eq!(buckets.look(1, rate, Moment(2000)), Ok(()));
        assert_eq!(buckets.look(2, rate, Moment(0)), Ok(()));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let rate = Rate::new(30, 60_000);
        let mut buckets = Buckets::default();
        for owner in 0..1_000_000 {
            buckets.take(owner, rate, Moment(owner * 10));
            // One is full again after two seconds: 200 are not, at this speed.
            assert!(buckets.full_at.len() <= 2 * FEW + 1);
        }
    }

    #[test]
    fn what_is_refused_takes_nothing() {
        let mut quota = quota(&[("max_user_subscribes", "2"), ("max_domain_subscribes", "3")]);
        let now = Moment(0);
        let one = pair("a", "x@d.example");
        assert_eq!(quota.subscribe(now, WATCHER, &one), Ok(()));
        assert_eq!(quota.subscribe(now, WATCHER, &one), Ok(()));
        for _ in 0..20 {
            let refused = quota.subscribe(now, WATCHER, &one).unwrap_err();
            assert_eq!(refused.limit, Limit::UserSubscribes);
        }
        let other = pair("b", "y@d.example");
        assert_eq!(quota.subscribe(now, WATCHER, &other), Ok(()));
        let refused = quota.subscribe(now, WATCHER, &other).unwrap_err();
        assert_eq!(refused.limit, Limit::DomainSubscribes);
        assert_eq!(quota.subscribe(now, Direction::ToSip, &other), Ok(()));
        let elsewhere = pair("b", "y@e.example");
        assert_eq!(quota.subscribe(now, WATCHER, &elsewhere), Ok(()));
    }

    #[test]
    fn a_dialog_that_ends_makes_room_and_leaves_nothing() {
        let mut quota = quota(&[
            ("max_dialogs", "4"),
            ("max_user_dialogs", "2"),
            ("max_domain_dialogs", "3"),
        ]);
        let [a, b, c] = ["a", "b", "c"].map(|user| pair(user, "x@d.example"));
        let elsewhere = pair("c", "x@e.example");
        let room = |quota: &Quota, pair| quota.room(WATCHER, pair).map_err(|o| o.limit);
        quota.opened(WATCHER, &a);
        assert_eq!(room(&quota, &a), Ok(()));
        quota.opened(WATCHER, &a);
        assert_eq!(room(&quota, &a), Err(Limit::UserDialogs));
        quota.opened(WATCHER, &b);
        assert_eq!(room(&quota, &b), Err(Limit::DomainDialogs));
        assert_eq!(room(&quota, &elsewhere), Ok(()));
        quota.opened(WATCHER, &elsewhere);
        assert_eq!(room(&quota, &c), Err(Limit::Dialogs));
        quota.closed(WATCHER, &a);
        assert_eq!(room(&quota, &a), Ok(()));
        for pair in [&a, &b, &elsewhere] {
            quota.closed(WATCHER, pair);
        }
        assert!(quota.held.by_owner.is_empty() && quota.held.all == 0);
    }

    #[test]
    fn zero_is_no_limit() {
        let mut quota = quota(&[
            ("max_user_dialogs", "0"),
            ("max_domain_dialogs", "0"),
            ("max_user_subscribes", "0"),
            ("max_domain_subscribes", "0"),
        ]);
        let one = pair("a", "x@d.example");
        for _ in 0..100_000 {
            assert_eq!(quota.subscribe(Moment(0), WATCHER, &one), Ok(()));
            quota.opened(WATCHER, &one);
        }
        assert!(quota.buckets.full_at.is_empty());
    }
}
