// SPDX-License-Identifier: GPL-2.0-or-later
//! Contacts that are to be asked again later, found by their address: one who registers is asked at once.

use std::collections::BTreeMap;

use smallvec::SmallVec;

use crate::address::{Aor, Pair};
use crate::record::Moment;

use super::super::desk::Desk;
use super::super::timers::Timer;
use super::XmppWatchers;

/// A contact who registers all the time is asked no more often than this.
const APART_MS: u64 = 10_000;

/// A contact with many watchers is asked for one of them each of so many milliseconds.
const TURN_MS: u64 = 10;

/// Pairs without a subscription, each with the moment since when.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Aor, SmallVec<[(Pair, Moment); 1]>>);

impl Waiting {
    /// A pair waits from now on.
    pub(super) fn add(&mut self, pair: &Pair, now: Moment) {
        self.remove(pair);
        let pairs = self.0.entry(pair.sip.clone()).or_default();
        pairs.push((pair.clone(), now));
    }

    /// A pair waits no longer.
    pub(super) fn remove(&mut self, pair: &Pair) {
        if let Some(pairs) = self.0.get_mut(&pair.sip) {
            pairs.retain(|(waiting, _)| waiting != pair);
            if pairs.is_empty() {
                self.0.remove(&pair.sip);
            }
        }
    }

    /// The pairs that wait for a contact, each with the moment since when.
    fn of(&self, contact: &Aor) -> impl Iterator<Item = &(Pair, Moment)> {
        self.0.get(contact).into_iter().flatten()
    }
}

impl XmppWatchers {
    /// A contact has registered: those who wait for him need not any more.
    pub(in super::super) fn registered(&self, desk: &mut Desk, now: Moment, contact: &Aor) {
        let mut turn = now;
        for (pair, since) in self.waiting.of(contact) {
            let again = Timer::SubscribeAgain(pair.clone());
            let at = turn.max(since.plus_ms(APART_MS));
            if desk.timers.due(&again).is_some_and(|due| due > at) {
                desk.timers.set(again, at);
            }
            turn = turn.plus_ms(TURN_MS);
        }
    }
}
