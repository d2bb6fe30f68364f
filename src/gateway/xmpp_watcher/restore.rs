// SPDX-License-Identifier: GPL-2.0-or-later
//! XMPP watchers as the store gives them back.
//!
//! NOTIFYs may have been missed, so every contact is asked anew, once and ahead of its time: first those whose
//! subscription has run out meanwhile, the rest in the order in which they would run out. Not as a storm.

use crate::record::{AuthorizationRecord, Change, DialogRecord, Moment};

use super::super::desk::Desk;
use super::super::dialog::Dialog;
use super::super::timers::Timer;
use super::standing::Standing;
use super::subscribe::refresh_at;
use super::{Phase, XmppWatchers, shown};

/// The longest pause between two SUBSCRIBEs after a restart: a few contacts are asked within seconds.
const LONGEST_PAUSE_US: u64 = 100_000;

impl XmppWatchers {
    /// Takes up a stored authorisation.
    pub(in super::super) fn restore_authorization(&mut self, record: AuthorizationRecord) {
        let standing = Standing::restored(record.state);
        self.ledger.restored(standing.authorization());
        self.watchers.entry(record.pair).or_default().standing = standing;
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
            if wanted {
                self.missed.push((record.expires_at, record.pair.clone()));
            } else {
                self.forget_if_idle(&record.pair);
            }
            return;
        }
        desk.timers
            .set(Timer::SubscriberExpires(id), record.expires_at);
        // Forks share a Call-ID; a second one was about to end when the process did.
        let second = self.live(&record.pair).iter().any(|id| {
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
        }
    }

    /// All that was stored has been taken up: sets when each contact is asked.
    pub(in super::super) fn restored(&mut self, desk: &mut Desk, now: Moment) {
        let mut missed = std::mem::take(&mut self.missed);
        missed.sort_unstable();
        let mut open: Vec<_> = self
            .subscriptions
            .values()
            .map(|s| (s.dialog.expires_at, s.dialog.id()))
            .collect();
        open.sort_unstable();
        let missed = missed.into_iter().map(|(_, pair)| pair);
        let others = self
            .watchers
            .iter()
            .filter(|(_, watcher)| watcher.standing.is_wanted() && watcher.dialogs.is_empty());
        let mut to_subscribe: Vec<_> = missed.collect();
        let first = to_subscribe.len();
        to_subscribe.extend(others.map(|(pair, _)| pair.clone()));

        let mut pace = Pace::new(
            now,
            desk.config.expires_max,
            open.len() + to_subscribe.len(),
        );
        let (missed, others) = to_subscribe.split_at(first);
        for pair in missed {
            let timer = Timer::SubscribeAgain(pair.clone());
            desk.timers.set(timer, pace.next());
        }
        for (expires_at, id) in open {
            let own_time = refresh_at(desk, expires_at, desk.config.expires_max);
            let at = pace.next().min(own_time.max(now));
            desk.timers.set(Timer::Refresh(id), at);
        }
        for pair in others {
            let timer = Timer::SubscribeAgain(pair.clone());
            if !desk.timers.is_set(&timer) {
                desk.timers.set(timer, pace.next());
            }
        }
    }
}

/// Moments for SUBSCRIBEs after a restart: twice as many a second as so many subscriptions take anyway, or ten
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
