// SPDX-License-Identifier: GPL-2.0-or-later
//! XMPP watchers as the store gives them back.
//!
//! NOTIFYs may have been missed, so every contact is asked anew, once and ahead of its time: those whose
//! subscription has run out meanwhile, and the others in the order in which theirs would. Not as a storm.

use crate::record::{AuthorizationRecord, Change, DialogRecord, Moment};
use crate::sip::Package;

use super::super::desk::Desk;
use super::super::dialog::Dialog;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers, shown};

/// The longest pause between two SUBSCRIBEs after a restart: a few contacts are asked within seconds.
const LONGEST_PAUSE_US: u64 = 200_000;

/// A refresh is to have its answer before the subscription ends.
const MARGIN_MS: u64 = 5_000;

impl XmppWatchers {
    /// Takes up a stored authorisation.
    pub(in super::super) fn restore_authorization(&mut self, record: AuthorizationRecord) {
        let standing = Standing::restored(record.state);
        self.ledger.restored(standing.authorization());
        let watcher = self.watchers.entry(record.pair).or_default();
        watcher.standing = standing;
        watcher.heard = record.heard;
        watcher.since = record.since;
    }

    /// Takes up a stored dialog.
    pub(in super::super) fn restore_dialog(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        record: &DialogRecord,
    ) {
        let id = record.id;
        let watcher = self.watchers.entry(record.pair.clone()).or_default();
        for resource in &record.shown {
            watcher.shown.insert(resource, None);
        }
        let wanted = watcher.standing.is_wanted();
        if record.remote_tag.is_none() || record.expires_at <= now {
            // Nothing came of it, or it has run out: ask anew.
            desk.change(Change::RemoveDialog(id));
            if wanted && record.package == Package::Presence {
                self.missed.push((record.expires_at, record.pair.clone()));
            } else {
                self.forget_if_idle(&record.pair);
            }
            return;
        }
        desk.timers
            .set(Timer::SubscriberExpires(id), record.expires_at);
        // Forks share a Call-ID; a second one was about to end when the process did.
        let second = self.live_of(&record.pair, record.package).iter().any(|id| {
            self.subscriptions
                .get(id)
                .is_some_and(|s| s.dialog.texts().call_id != record.call_id)
        });
        let phase = if wanted && !second {
            Phase::Open
        } else {
            Phase::ToEnd
        };
        let document = record.shown.iter().map(|r| (r, shown::online())).collect();
        let duration = desk.config.expires_max;
        self.add(
            desk,
            Dialog::restored(record),
            phase,
            document,
            now,
            duration,
        );
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.opened = Moment::default();
            // What was missed is not to wait for an answer.
            subscription.probed = true;
        }
    }

    /// All that was stored has been taken up: sets when each contact is asked. Missed ones take turns with
    /// those that stand, so that none of these runs out meanwhile.
    pub(in super::super) fn restored(&mut self, desk: &mut Desk, now: Moment) {
        let mut missed = std::mem::take(&mut self.missed);
        missed.sort_unstable();
        let mut missed = missed.into_iter();
        let mut open: Vec<_> = self
            .subscriptions
            .values()
            .map(|s| (s.dialog.expires_at, s.dialog.id()))
            .collect();
        open.sort_unstable();
        let without: Vec<_> = self
            .watchers
            .iter()
            .filter(|(pair, w)| w.standing.is_wanted() && self.live(pair).is_empty())
            .map(|(pair, _)| pair.clone())
            .collect();

        let wanted = open.len() + without.len();
        let mut pace = Pace::new(now, desk.config.expires_max, wanted);
        for (expires_at, id) in open {
            if let Some((_, pair)) = missed.next() {
                desk.timers.set(Timer::SubscribeAgain(pair), pace.next());
            }
            let mut at = pace.next();
            if expires_at < at.plus_ms(MARGIN_MS) {
                // Too many end at one time for each to have its turn before.
                let left = expires_at.0.saturating_sub(now.0 + MARGIN_MS);
                at = now.plus_ms(desk.identity.between(0, left));
            }
            desk.timers.set(Timer::Refresh(id), at);
        }
        for pair in missed.map(|(_, pair)| pair).chain(without) {
            let timer = Timer::SubscribeAgain(pair);
            if !desk.timers.is_set(&timer) {
                desk.timers.set(timer, pace.next());
            }
        }
    }
}

/// Moments for SUBSCRIBEs after a restart: twice as many a second as so many subscriptions take anyway, or five
/// where that is more.
struct Pace {
    start: Moment,
    pause_us: u64,
    given: u64,
}

impl Pace {
    fn new(start: Moment, duration: u32, subscriptions: usize) -> Self {
        let count = u64::try_from(subscriptions).unwrap_or(u64::MAX).max(1);
        // A subscription is refreshed after 85 % of its time.
        let steady_us = u64::from(duration) * 850_000 / count;
        Self {
            start,
            pause_us: (steady_us / 2).min(LONGEST_PAUSE_US),
            given: 0,
        }
    }

    fn next(&mut self) -> Moment {
        let at = self.start.plus_ms(self.given * self.pause_us / 1000);
        self.given += 1;
        at
    }
}
